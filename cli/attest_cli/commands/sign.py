"""``attest sign``: bind an artifact's files to the keys of those who release it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, Unavailable, Unsupported
from attest.verdict import Finding, Severity, Verdict
from attest_cli import material, timestamps
from attest_cli.commands.verify import FORMS
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, counter, inside, passphrase_options
from attest_cli.output import Voice, counted, human_size
from attest_cli.progress import bar

if TYPE_CHECKING:
    from attest.adapters.pkcs11 import Pkcs11Signer
    from attest.claim.artifact import ArtifactClaim
    from attest.crypto.signer import Signer
    from attest.flow.sign import SignReport

_HASHES: Final = [name.value for name in HashAlgorithm if name is not HashAlgorithm.BLAKE2B]
"""Content hashes that are written; BLAKE2b is only read."""

_OMS_HASHES: Final = (HashAlgorithm.SHA256, HashAlgorithm.BLAKE3)
"""Content hashes of OMS bundles, the only form that carries certificates."""

_PIN_HINT: Final = "put it into a file that only you can read, and ?pin-source=/path into the URI"


@dataclass(frozen=True, slots=True)
class _Keys:
    """The signer options as given."""

    key: tuple[Path, ...]
    certificate: Path | None
    chain: Path | None
    pkcs11: str | None
    passphrase_file: Path | None
    passphrase_env: str | None

    def check(self, path: Path, algorithm: HashAlgorithm) -> None:
        """Raise click.UsageError for what makes no sense, with this artifact and content hash."""
        if self.certificate is not None and self.count != 1:
            raise click.UsageError("--certificate needs exactly one --key or --pkcs11: its own")
        if self.chain is not None and self.certificate is None:
            raise click.UsageError("--chain means nothing without --certificate")
        if self.certificate is not None and algorithm not in _OMS_HASHES:
            raise click.UsageError("--certificate needs --algorithm sha256 or blake3")
        for option, files in (("--key", self.key), ("--passphrase-file", (self.passphrase_file,))):
            for file in files:
                if file is not None and _lies_in(file, path):
                    raise click.UsageError(
                        f"{option} {file}: a secret inside the artifact would be handed out with it"
                    )
        if self.pkcs11 is not None:
            _check_uri(self.pkcs11)
        material.Passphrase(self.passphrase_file, self.passphrase_env)

    @property
    def count(self) -> int:
        return len(self.key) + (self.pkcs11 is not None)

    def open(self, stack: contextlib.ExitStack) -> list[Signer]:
        """The signers; ``stack`` closes the sessions of security modules."""
        passphrase = material.Passphrase(self.passphrase_file, self.passphrase_env)
        signers: list[Signer] = [material.private_key(path, passphrase) for path in self.key]
        if self.pkcs11 is not None:
            # Wrong PINs lock tokens: a passphrase meant for a key file is not tried on one.
            signers.append(
                stack.enter_context(_open_token(self.pkcs11, None if self.key else passphrase))
            )
        if self.certificate is not None:
            signers = [self._certified(signers[0])]
        if len({signer.public_key for signer in signers}) != len(signers):
            raise click.UsageError("the same key twice signs no more than once")
        return signers

    def _certified(self, signer: Signer) -> Signer:
        from cryptography.hazmat.primitives.serialization import Encoding

        from attest.crypto.signer import CertificateSigner

        assert self.certificate is not None
        chain = list(material.certificates(self.certificate, "certificate"))
        if self.chain is not None:
            chain += material.certificates(self.chain, "certificate chain")
        with material.needed(self.certificate):
            if not signer.algorithm.oms:
                raise Unsupported(
                    f"a certificate signs with an ECDSA key, not with {signer.algorithm}",
                    hint="use a P-256, P-384 or P-521 certificate",
                    code="unsupported-certificate-key",
                )
            return CertificateSigner(signer, [one.public_bytes(Encoding.DER) for one in chain])


@dataclass(frozen=True, slots=True)
class _Kind:
    """What kind of artifact it is, as given; recorded in the first claim beside it."""

    kind: str | None
    fw_version: str | None
    rollback_counter: int | None
    claims: Path | None

    def check(self) -> None:
        """Raise click.UsageError for combinations that make no sense."""
        firmware = (self.fw_version, self.rollback_counter)
        if self.kind == "firmware" and None in firmware:
            raise click.UsageError("--kind firmware needs --fw-version and --rollback-counter")
        if self.kind != "firmware" and firmware != (None, None):
            raise click.UsageError("--fw-version and --rollback-counter need --kind firmware")
        if self.kind is None and self.claims is not None:
            raise click.UsageError("--claims needs --kind: without it no claim is written")

    def claim(self) -> ArtifactClaim | None:
        """The claim to write, if any.

        Raises:
            click.UsageError: the version is empty or too long.
        """
        from attest.claim.artifact import ArtifactClaim

        if self.kind is None:
            return None
        try:
            return ArtifactClaim(self.kind, self.fw_version, self.rollback_counter)
        except ValueError as error:
            raise click.UsageError(str(error)) from None


@click.command(
    cls=Verb,
    name="sign",
    schema="urn:attest-toolkit:sign:v1",
    examples=(
        "attest sign model --key release.key",
        "attest sign model --key release.key --key archive.key --passphrase-file secret.txt",
        "attest sign firmware.bin --key release.key"
        " --kind firmware --fw-version 1.4.2 --rollback-counter 7",
        "attest sign dataset --key release.key --kind dataset --ignore .cache --tsa request.tsq",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--key", type=FILE, multiple=True, metavar="K", help="Private key; repeatable, outside PATH."
)
@click.option("--certificate", type=FILE, metavar="C", help="Certificate of the one key, in PEM.")
@click.option("--chain", type=FILE, metavar="F", help="Its intermediate certificates, in PEM.")
@click.option("--pkcs11", metavar="URI", help="Key in a security module, by its RFC 7512 URI.")
@passphrase_options
@click.option(
    "--signature", type=FILE, metavar="FILE", help="Default: PATH/model.sig, or PATH.sig."
)
@click.option("--kind", type=click.Choice(["model", "dataset", "firmware"]), help="Claim its kind.")
@click.option("--fw-version", metavar="V", help="Firmware: its version.")
@click.option("--rollback-counter", callback=counter, metavar="N", help="Firmware: anti-rollback.")
@click.option("--claims", type=FILE, metavar="FILE", help="Default: PATH.claims.jsonl.")
@click.option(
    "--ignore",
    multiple=True,
    callback=inside,
    metavar="P",
    help="Path in PATH left unsigned; repeatable.",
)
@click.option(
    "--algorithm",
    type=click.Choice(_HASHES),
    default=HashAlgorithm.SHA256.value,
    show_default=True,
    help="Content hash. Only sha256 is read by every OMS tool.",
)
@click.option("--follow-symlinks", is_flag=True, help="Sign what links inside PATH point to.")
@click.option(
    "--digests",
    type=FILE,
    metavar="FILE",
    help="List of sha256sum, sha384sum or sha512sum, whichever --algorithm says: these files are"
    " not read, and marked so.",
)
@click.option(
    "--git-paths",
    is_flag=True,
    help="Sign .git, .gitattributes, .github and .gitignore too. Other OMS tools then refuse.",
)
@click.option(
    "--allow-incomplete", is_flag=True, help="Sign although shards are missing or too many."
)
@click.option(
    "--no-chunk-digests", is_flag=True, help="No digests of 16 MiB pieces of large files."
)
@click.option(
    "--resume", is_flag=True, help="Keep a journal, and go on where a killed run stopped."
)
@click.option(
    "--tsa",
    metavar="URL|FILE",
    help="URL: ask this timestamp authority. FILE, with keys: write the request there; without"
    " keys: attach the response in it to the existing signature.",
)
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    signature: Path | None,
    ignore: tuple[str, ...],
    algorithm: str,
    follow_symlinks: bool,
    digests: Path | None,
    git_paths: bool,
    allow_incomplete: bool,
    no_chunk_digests: bool,
    resume: bool,
    tsa: str | None,
    kind: str | None,
    fw_version: str | None,
    rollback_counter: int | None,
    claims: Path | None,
    **key_options: Any,
) -> Exit:
    """Sign PATH, a directory or a file.

    One ECDSA key makes an OpenSSF Model Signing bundle. Another algorithm, or several keys, make a
    multi-signature envelope (....dsse.json) over the same statement.

    One passphrase serves all key files. It is never tried as the PIN of a token beside them.
    """
    keys = _Keys(**key_options)
    keys.check(path, HashAlgorithm(algorithm))
    if digests is not None and algorithm == HashAlgorithm.BLAKE3:
        raise click.UsageError("--digests takes lists of sha256sum and the like, not of blake3")
    what = _Kind(kind, fw_version, rollback_counter, claims)
    what.check()
    if not keys.count:
        return _attach(voice, path, signature, tsa)
    timestamp = timestamps.asking(tsa)
    request_file = timestamps.request_file(tsa, keys.count)
    claim = what.claim()

    from attest.flow.sign import SignOptions, sign_artifact

    options = SignOptions(
        algorithm=HashAlgorithm(algorithm),
        ignore=ignore,
        follow_symlinks=follow_symlinks,
        digests=_known_digests(digests, HashAlgorithm(algorithm)),
        chunk_digests=not no_chunk_digests,
        git_paths=git_paths,
        allow_incomplete=allow_incomplete,
        journal=_journal(path) if resume else None,
    )
    with contextlib.ExitStack() as stack:
        signers = keys.open(stack)
        progress = bar(quiet=voice.quiet)
        stack.enter_context(progress or contextlib.nullcontext())
        noted = timestamps.Noted(signers[0])
        report = sign_artifact(
            path,
            [noted, *signers[1:]],
            signature=signature,
            options=options,
            timestamp=timestamp,
            claim=claim,
            claims=claims,
            progress=progress,
        )
    if request_file is not None:
        timestamps.write_request(request_file, noted.signature)
    return _report(voice, report, request_file, noted.chain)


def _lies_in(file: Path, path: Path) -> bool:
    """Whether ``file`` is, or is inside, the artifact at ``path``; links followed."""
    real = Path(os.path.realpath(file))
    return real.is_relative_to(os.path.realpath(path))


def _check_uri(uri: str) -> None:
    """Raise click.UsageError for a URI that names no key; found before a passphrase is asked."""
    from attest.adapters.pkcs11 import Pkcs11Uri

    try:
        Pkcs11Uri.parse(uri)
    except MalformedInput as error:
        raise _bad_uri(error) from None


def _bad_uri(error: MalformedInput) -> click.UsageError:
    hint = f" ({error.hint})" if error.hint else ""
    return click.UsageError(f"--pkcs11: {error.message}{hint}")


def _open_token(uri: str, passphrase: material.Passphrase | None) -> Pkcs11Signer:
    """The key in a security module; its PIN is asked for only if the URI has none.

    Args:
        passphrase: whose sources hold the PIN; None: they are for key files.
    """
    from attest.adapters.pkcs11 import open_pkcs11_signer

    try:
        try:
            return open_pkcs11_signer(uri, pin=None, module=None)
        except Unavailable as error:
            if error.code != "pin-required":
                raise
        what = "PIN of the token"
        pin = passphrase.get(what, _PIN_HINT) if passphrase else material.ask(what, _PIN_HINT)
        return open_pkcs11_signer(uri, pin=os.fsdecode(pin), module=None)
    except MalformedInput as error:
        if error.where is None:
            raise _bad_uri(error) from None
        raise material.unusable(error) from None
    except Unsupported as error:
        raise material.unusable(error) from None


def _known_digests(path: Path | None, algorithm: HashAlgorithm) -> Mapping[str, bytes]:
    """What a checksum list says of files that are not to be read."""
    if path is None:
        return {}
    from attest.codec.digestlist import parse_digest_list
    from attest.files import read_bounded
    from attest.limits import MAX_BUNDLE_BYTES

    content = read_bounded(path, MAX_BUNDLE_BYTES, "list of digests", allow_pipe=True)
    with material.about(path):
        return parse_digest_list(content, algorithm)


def _attach(voice: Voice, path: Path, signature: Path | None, tsa: str | None) -> Exit:
    """Without keys: put a timestamp authority's response into the signature that is there."""
    if tsa is None or timestamps.is_url(tsa):
        raise click.UsageError("say who signs: --key K, or --pkcs11 URI")
    from attest.codec.tsp import parse_response
    from attest.files import read_bounded
    from attest.flow.timestamp import attach_timestamp
    from attest.limits import MAX_TIMESTAMP_BYTES

    response = read_bounded(Path(tsa), MAX_TIMESTAMP_BYTES, "timestamp response", allow_pipe=True)
    with material.about(Path(tsa)):
        parse_response(response)
    changed = attach_timestamp(path, signature, response)
    voice.tell(f"attached the timestamp in {tsa} to {changed}")
    done = Finding("timestamp-attached", Severity.PASS, "not judged here", where=str(changed))
    subject = {"signature": str(changed)}
    voice.emit(Verdict.conclude([done], subject=subject, inputs={}, at=datetime.now(UTC)))
    return Exit.OK


def _journal(path: Path) -> Path:
    """The journal of this artifact, in a folder of the user's own that nobody else may enter."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "attest" / "journals"
    folder.parent.parent.mkdir(parents=True, exist_ok=True)
    for own in (folder.parent, folder):
        own.mkdir(mode=0o700, exist_ok=True)
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    return folder / f"{name}.journal"


def _describe_certificate(chain: Sequence[bytes]) -> dict[str, str] | None:
    """Name and fingerprint of the certificate that signed, if one did; named as verify does."""
    if not chain:
        return None
    from attest.crypto.x509 import describe_certificate

    said = describe_certificate(chain[0])
    names = (*said["sans"], *([said["subject"]] if said["subject"] else ()))
    return {"name": ", ".join(names), "fingerprint": said["fingerprint"]}


def _report(voice: Voice, report: SignReport, request: Path | None, chain: Sequence[bytes]) -> Exit:
    """What was signed, by whom, and what deserves attention."""
    certificate = _describe_certificate(chain)
    form = FORMS.get(report.form, report.form)
    extent = f"{counted(report.files, 'file')}, {human_size(report.size)}"
    voice.tell(f"signed: {report.name}")
    voice.tell(f"  signature  {report.signature} ({form})")
    voice.tell(f"  files      {extent}")
    if report.layout is not None:
        voice.tell(f"  layout     {report.layout}")
    if report.precomputed:
        voice.tell(f"  not read   {counted(report.precomputed, 'file')}: their digests were given")
    if report.reused:
        voice.tell(f"  resumed    {counted(report.reused, 'file')} from the journal")
    if certificate is not None:
        name, fingerprint = certificate["name"], certificate["fingerprint"]
        voice.tell(f"  signed by  certificate {name} (fingerprint {fingerprint})")
    else:
        for fingerprint in report.signers:
            voice.tell(f"  signed by  key {fingerprint}")
    if report.claims is not None:
        voice.tell(f"  claims     {report.claims}")
    if request is not None:
        voice.tell(f"  timestamp  request in {request}; attach the response with --tsa")
    if not voice.quiet:
        voice.findings(report.findings)
    done = Finding("signed", Severity.PASS, "the signature was written", str(report.signature))
    verdict = Verdict.conclude(
        (done, *report.findings),
        subject={
            "name": report.name,
            "signature": str(report.signature),
            "form": report.form,
            "files": report.files,
            "bytes": report.size,
            "digests": dict(report.digests),
            "layout": report.layout,
            "precomputed": report.precomputed,
            "reused": report.reused,
            "signers": list(report.signers),
            "certificate": certificate,
            "claims": None if report.claims is None else str(report.claims),
            "timestamp_request": None if request is None else str(request),
        },
        inputs={},
        at=datetime.now(UTC),
    )
    voice.emit(verdict)
    return for_outcome(verdict.outcome)
