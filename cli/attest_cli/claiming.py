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
from attest_cli.signedby import SIGNED_BY_OPTIONS, SignedBy, certified, signed_by_options

if TYPE_CHECKING:
    from attest.flow.pack import PackReport
    from attest.flow.record import RecordReport
    from attest.flow.subject import ArtifactSubject
    from attest.trust.principals import Principals
    from attest.trust.signers import Trust

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
        signed_by_options("Who signed the artifact; default: the keys that sign the claim."),
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
    signed_by: SignedBy
    rehash: bool
    tsa: str | None

    @classmethod
    def of(cls, path: Path, options: Mapping[str, Any], *, required: bool = True) -> Author:
        """From the verb's keyword arguments."""
        keys = SigningKeys(**{name: options[name] for name in _KEY_OPTIONS})
        author = cls._made(path, keys, options)
        author._check(required)
        return author

    @classmethod
    def _made(cls, path: Path, keys: SigningKeys, options: Mapping[str, Any]) -> Author:
        used = (*_KEY_OPTIONS, *SIGNED_BY_OPTIONS)
        rest = {name: value for name, value in options.items() if name not in used}
        signed_by = SignedBy(*(options[name] for name in SIGNED_BY_OPTIONS))
        return cls(path, keys, signed_by=signed_by, **rest)

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
        self.signed_by.check()
        if self.rehash and (self.signed_by.given or self.signature is not None):
            raise click.UsageError("--rehash reads no signature: not with --signed-by, --signature")

    def _refuse_strays(self) -> None:
        strays = {
            "--claims": self.claims is not None,
            "--tsa": self.tsa is not None,
            "--signature": self.signature is not None,
            "--signed-by": self.signed_by.given,
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
            AttestError: a key cannot be had, the artifact's digests cannot, or the claim could
                not be written.
        """
        timestamp = timestamps.asking(self.tsa)
        with contextlib.ExitStack() as stack:
            signers = self.keys.open(stack)
            trust = self.signed_by.load()
            self._check_place()
            subject = self._subject(voice, trust, [each.public_key for each in signers])
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
        author = cls._made(path, keys, options)
        author._check_subject()
        if not author.signed_by.given and not author.rehash:
            raise click.UsageError(
                "say which artifact PATH is: --signed-by PUB (who signed it), or --rehash"
            )
        trust = author.signed_by.load()
        author._check_place()
        return author._subject(voice, trust, ())

    def _check_place(self) -> None:
        """Before terabytes are hashed: may the claim be written there?"""
        from attest.artifact.names import default_claims
        from attest.flow.places import check_claims_place, default_signatures

        if self.path.exists():  # else there are better words for it
            place = self.claims or default_claims(self.path)
            check_claims_place(self.path, place, *default_signatures(self.path))

    def _subject(self, voice: Voice, trust: Trust | None, own: Sequence[Any]) -> ArtifactSubject:
        from attest.errors import VerificationFailed
        from attest.flow.subject import subject_from_content, subject_from_signature
        from attest.trust.signers import KeyTrust

        if self.rehash:
            progress = bar(quiet=voice.quiet)
            with progress or contextlib.nullcontext():
                return subject_from_content(self.path, progress=progress)
        try:
            return subject_from_signature(
                self.path,
                trust or KeyTrust(tuple(own)),
                datetime.now(UTC),
                signature=self.signature,
            )
        except VerificationFailed as error:
            if not self.signed_by.given:
                error.hint = (
                    "say whose signature over the artifact you believe with --signed-by PUB, or"
                    " --signed-by-ca CA --signed-by-san NAME, or hash its content with --rehash"
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
        who = "certificate, key" if self.signers[0].chain else "key"
        for fingerprint in recorded.signers:
            voice.tell(f"  signed by  {who} {fingerprint}")
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
            "--principal-ca",
            multiple=True,
            type=(str, FILE, str),
            metavar="NAME CA SAN",
            help="Likewise one that signs with a certificate of CA that carries SAN.",
        ),
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


def load_principals(
    principal: Sequence[str], key: Sequence[Path], principal_ca: Sequence[tuple[str, Path, str]]
) -> Principals:
    """Read the keys and CAs of everybody whose claims count.

    Raises:
        click.UsageError: nobody is named, or one key or certified name belongs to two.
        AttestError: a key or CA cannot be read.
    """
    from attest.trust.principals import Principal, Principals
    from attest.trust.signers import KeyTrust

    ways: dict[str, list[Trust]] = {}
    for entry in principal:
        name, separator, file = entry.partition("=")
        if not separator or not name or not file:
            raise click.UsageError(f"--principal takes NAME=PUB, not {entry!r}")
        ways.setdefault(name, []).append(KeyTrust((material.public_key(Path(file)),)))
    for name, ca, san in principal_ca:
        ways.setdefault(name, []).append(certified("--principal-ca", ca, san))
    members = list(ways.items())
    for path in key:
        own = material.public_key(path)
        members.append((f"key {own.fingerprint[:16]}", [KeyTrust((own,))]))
    if not members:
        raise click.UsageError(
            "say whose claims count: --principal NAME=PUB, --principal-ca NAME CA SAN or --key PUB"
        )
    try:
        return Principals(Principal(name, tuple(held)) for name, held in members)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


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
