"""``attest sign``: bind an artifact's files to the keys of those who release it."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from attest.digest import HashAlgorithm
from attest.errors import Unavailable
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


@dataclass(frozen=True, slots=True)
class _Keys:
    """The signer options as given."""

    key: tuple[Path, ...]
    certificate: Path | None
    chain: Path | None
    pkcs11: str | None
    passphrase_file: Path | None
    passphrase_env: str | None

    def check(self) -> None:
        """Raise click.UsageError for combinations that make no sense."""
        if self.certificate is not None and self.count != 1:
            raise click.UsageError("--certificate needs exactly one --key or --pkcs11: its own")
        if self.chain is not None and self.certificate is None:
            raise click.UsageError("--chain means nothing without --certificate")
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
            pin = material.Passphrase(None, None) if self.key else passphrase
            signers.append(stack.enter_context(_open_token(self.pkcs11, pin)))
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
        with material.about(self.certificate):
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
@click.option("--key", type=FILE, multiple=True, metavar="K", help="Private key; repeatable.")
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
    help="Checksum list (sha256sum format): these files are not read, and marked so.",
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
    """
    keys = _Keys(**key_options)
    keys.check()
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
    return _report(voice, report, request_file)


def _open_token(uri: str, pin: material.Passphrase) -> Pkcs11Signer:
    """The key in a security module; its PIN is asked for only if the URI has none."""
    from attest.adapters.pkcs11 import open_pkcs11_signer

    try:
        return open_pkcs11_signer(uri, pin=None, module=None)
    except Unavailable as error:
        if error.code != "pin-required":
            raise
    typed = os.fsdecode(pin.get("PIN of the token: "))
    return open_pkcs11_signer(uri, pin=typed, module=None)


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


def _report(voice: Voice, report: SignReport, request: Path | None) -> Exit:
    """What was signed, by whom, and what deserves attention."""
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
            "claims": None if report.claims is None else str(report.claims),
            "timestamp_request": None if request is None else str(request),
        },
        inputs={},
        at=datetime.now(UTC),
    )
    voice.emit(verdict)
    return for_outcome(verdict.outcome)
