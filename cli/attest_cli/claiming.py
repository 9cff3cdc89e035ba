"""What the verbs that sign claims share: options, the artifact's digests, the report."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli import material, timestamps
from attest_cli.exits import Exit, for_outcome
from attest_cli.keys import SigningKeys, key_options
from attest_cli.options import FILE
from attest_cli.output import Voice, counted, human_size
from attest_cli.progress import bar

if TYPE_CHECKING:
    from attest.flow.pack import PackReport
    from attest.flow.record import RecordReport
    from attest.flow.subject import ArtifactSubject
    from attest.trust.principals import Principals

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

_KEY_OPTIONS: Final = (
    "key",
    "certificate",
    "chain",
    "pkcs11",
    "passphrase_file",
    "passphrase_env",
)


def claim_options(command: _Callback) -> _Callback:
    """The options that :class:`Author` takes, by name: who signs, what about, where to."""
    for option in (
        click.option("--tsa", metavar="URL", help="Ask this authority for a timestamp."),
        click.option(
            "--rehash",
            is_flag=True,
            help="Take the digests from the content that lies there, not from a signature.",
        ),
        click.option(
            "--signed-by",
            type=FILE,
            multiple=True,
            metavar="PUB",
            help="Who signed the artifact; default: the keys that sign the claim.",
        ),
        click.option(
            "--signature", type=FILE, metavar="FILE", help="Of the artifact. Default: found there."
        ),
        click.option("--claims", type=FILE, metavar="FILE", help="Default: PATH.claims.jsonl."),
        key_options,
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Author:
    """The options of :func:`claim_options` as given.

    Args:
        path: the artifact.
        required: whether the verb makes no sense without a key.

    Raises:
        click.UsageError: they make no sense together.
    """

    path: Path
    keys: SigningKeys
    claims: Path | None
    signature: Path | None
    signed_by: tuple[Path, ...]
    rehash: bool
    tsa: str | None

    @classmethod
    def of(cls, path: Path, options: Mapping[str, Any], *, required: bool = True) -> Author:
        """From the verb's keyword arguments."""
        keys = SigningKeys(**{name: options[name] for name in _KEY_OPTIONS})
        rest = {name: value for name, value in options.items() if name not in _KEY_OPTIONS}
        author = cls(path, keys, **rest)
        author._check(required)
        return author

    def _check(self, required: bool) -> None:
        self.keys.check(self.path)
        if required and not self.keys.count:
            raise click.UsageError("say who signs the claim: --key K, or --pkcs11 URI")
        if not self.keys.count:
            self._refuse_strays()
        self._check_subject()
        if self.tsa is not None and not timestamps.is_url(self.tsa):
            raise click.UsageError("--tsa: an address starts with http:// or https://")

    def _check_subject(self) -> None:
        if self.rehash and (self.signed_by or self.signature is not None):
            raise click.UsageError("--rehash reads no signature: not with --signed-by, --signature")

    def _refuse_strays(self) -> None:
        strays = {
            "--claims": self.claims is not None,
            "--tsa": self.tsa is not None,
            "--signature": self.signature is not None,
            "--signed-by": bool(self.signed_by),
            "--rehash": self.rehash,
        }
        for name, given in strays.items():
            if given:
                raise click.UsageError(f"{name} means nothing without --key or --pkcs11")

    @property
    def signs(self) -> bool:
        """Whether a claim is to be written."""
        return self.keys.count > 0

    @contextlib.contextmanager
    def session(self, voice: Voice) -> Iterator[Session]:
        """Keys opened and the artifact's digests known: a :class:`Session`.

        Raises:
            AttestError: a key cannot be had, or the artifact's digests cannot.
        """
        timestamp = timestamps.asking(self.tsa)
        with contextlib.ExitStack() as stack:
            signers = self.keys.open(stack)
            trusted = [material.public_key(path) for path in self.signed_by]
            subject = self._subject(voice, trusted or [each.public_key for each in signers])
            yield Session(self, voice, signers, subject, timestamp)

    @classmethod
    def subject_for_reader(
        cls, voice: Voice, path: Path, options: Mapping[str, Any]
    ) -> ArtifactSubject:
        """The artifact's digests for a verb that signs nothing: by --signed-by or --rehash.

        Raises:
            click.UsageError: neither is given, or both.
        """
        keys = SigningKeys((), None, None, None, None, None)
        rest = {name: value for name, value in options.items() if name not in _KEY_OPTIONS}
        author = cls(path, keys, **rest)
        author._check_subject()
        if not author.signed_by and not author.rehash:
            raise click.UsageError(
                "say which artifact PATH is: --signed-by PUB (who signed it), or --rehash"
            )
        return author._subject(voice, [material.public_key(each) for each in author.signed_by])

    def _subject(self, voice: Voice, keys: Sequence[Any]) -> ArtifactSubject:
        from attest.errors import VerificationFailed
        from attest.flow.subject import subject_from_content, subject_from_signature
        from attest.trust.signers import KeyTrust

        if self.rehash:
            progress = bar(quiet=voice.quiet)
            with progress or contextlib.nullcontext():
                return subject_from_content(self.path, progress=progress)
        try:
            return subject_from_signature(
                self.path, KeyTrust(tuple(keys)), datetime.now(UTC), signature=self.signature
            )
        except VerificationFailed as error:
            if not self.signed_by:
                error.hint = (
                    "say whose signature over the artifact you believe with --signed-by PUB,"
                    " or hash its content with --rehash"
                )
            raise


@dataclass(frozen=True, slots=True)
class Session:
    """An author with keys in hand.

    Attributes:
        subject: the artifact that the claim will be about.
    """

    author: Author
    voice: Voice
    signers: Sequence[Any]
    subject: ArtifactSubject
    timestamp: Callable[[bytes], bytes] | None

    def record(self, predicate_type: str, predicate: Mapping[str, Any] | bytes) -> RecordReport:
        """Sign the claim and append it."""
        from attest.flow.record import record_claim

        return record_claim(
            self.author.path,
            self.subject,
            predicate_type,
            predicate,
            self.signers,
            claims=self.author.claims,
            timestamp=self.timestamp,
        )

    def record_statement(self, statement: bytes) -> RecordReport:
        """Sign a finished statement and append it."""
        from attest.flow.record import record_statement

        return record_statement(
            self.author.path,
            statement,
            self.signers,
            claims=self.author.claims,
            timestamp=self.timestamp,
        )

    def report(
        self,
        recorded: RecordReport,
        what: str,
        lines: Sequence[str] = (),
        *,
        details: Mapping[str, Any] | None = None,
        findings: Sequence[Finding] = (),
    ) -> Exit:
        """Say what was claimed, in words or JSON, and give the exit code.

        Args:
            what: a few words: ``approval``, ``provenance (training)``.
            lines: what it says, each ``"label  value"``.
            details: for ``--json``, into ``subject``.
            findings: warnings and refusals of the verb's own.
        """
        subject, voice = self.subject, self.voice
        extent = f"{counted(subject.files, 'file')}, {human_size(subject.size)}"
        voice.tell(f"claimed: {what} of {subject.name}")
        for line in lines:
            voice.tell(f"  {line}")
        voice.tell(f"  about      {subject.name} ({extent}), digests from its {subject.source}")
        for fingerprint in recorded.signers:
            voice.tell(f"  signed by  key {fingerprint}")
        voice.tell(f"  claim      {recorded.claim_id}")
        voice.tell(f"  claims     {recorded.claims}")
        noted = (*recorded.findings, *findings)
        if not voice.quiet:
            voice.findings(noted)
        done = Finding("claim-recorded", Severity.PASS, f"{what} claimed", str(recorded.claims))
        verdict = Verdict.conclude(
            (done, *noted),
            subject={
                "name": subject.name,
                "digests": dict(subject.digests),
                "source": subject.source,
                "claim": {
                    "id": recorded.claim_id,
                    "file": str(recorded.claims),
                    "signers": list(recorded.signers),
                },
                **(details or {}),
            },
            inputs={"claim": f"sha256:{recorded.claim_id}"},
            at=datetime.now(UTC),
        )
        voice.emit(verdict)
        return for_outcome(verdict.outcome)


def principal_options(command: _Callback) -> _Callback:
    """The options that :func:`load_principals` takes: whose claims count."""
    for option in (
        click.option(
            "--principal",
            multiple=True,
            metavar="NAME=PUB",
            help="A person or service and its public key; repeatable, also with one NAME.",
        ),
        click.option(
            "--key",
            type=FILE,
            multiple=True,
            metavar="PUB",
            help="A public key that is nobody's but its own; repeatable.",
        ),
    ):
        command = option(command)
    return command


def load_principals(principal: Sequence[str], key: Sequence[Path]) -> Principals:
    """Read the keys of everybody whose claims count.

    Raises:
        click.UsageError: nobody is named, or one key belongs to two.
        AttestError: a key cannot be read.
    """
    from attest.trust.principals import Principal, Principals
    from attest.trust.signers import KeyTrust

    keys: dict[str, list[Path]] = {}
    for entry in principal:
        name, separator, file = entry.partition("=")
        if not separator or not name or not file:
            raise click.UsageError(f"--principal takes NAME=PUB, not {entry!r}")
        keys.setdefault(name, []).append(Path(file))
    members = [
        (name, [material.public_key(path) for path in paths]) for name, paths in keys.items()
    ]
    for path in key:
        own = material.public_key(path)
        members.append((f"key {own.fingerprint[:16]}", [own]))
    if not members:
        raise click.UsageError("say whose claims count: --principal NAME=PUB, or --key PUB")
    try:
        return Principals(
            Principal(name, tuple(KeyTrust((each,)) for each in owned)) for name, owned in members
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def ways_of(signed_by: Sequence[Path], principals: Principals) -> list[Any]:
    """In which ways the artifact may be signed: all of these keys, or as any principal does."""
    from attest.trust.signers import KeyTrust

    if signed_by:
        return [KeyTrust(tuple(material.public_key(file) for file in signed_by))]
    return [way for member in principals for way in member.ways]


def tell_pack(voice: Voice, report: PackReport, findings: Sequence[Finding]) -> None:
    """What a pack holds, in words."""
    if voice.quiet:
        return
    voice.tell(f"  artifact {report.subject.name} ({counted(report.subject.files, 'file')})")
    voice.tell(f"  claims   {counted(len(report.claims.verified), 'claim')} that count")
    for name in report.material:
        voice.tell(f"  along    {name} (not trusted for being here)")
    shown = {Severity.FAIL, Severity.ERROR, Severity.WARN}
    if voice.verbose:
        shown |= {Severity.INFO, Severity.PASS}
    voice.findings(finding for finding in findings if finding.outcome in shown)
