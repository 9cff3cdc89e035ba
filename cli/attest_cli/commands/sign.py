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
from attest.verdict import Finding, Severity, Verdict
from attest_cli import material, timestamps
from attest_cli.commands.verify import FORMS
from attest_cli.exits import Exit, for_outcome
from attest_cli.keys import SigningKeys, key_options
from attest_cli.options import FILE, Verb, counter, inside
from attest_cli.output import Voice, counted, human_size
from attest_cli.progress import bar

if TYPE_CHECKING:
    from attest.claim.artifact import ArtifactClaim
    from attest.flow.sign import SignReport

_HASHES: Final = [name.value for name in HashAlgorithm if name is not HashAlgorithm.BLAKE2B]
"""Content hashes that are written; BLAKE2b is only read."""


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
@key_options
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
@click.option("--replace", is_flag=True, help="Overwrite a signature by somebody else.")
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
    replace: bool,
    no_chunk_digests: bool,
    resume: bool,
    tsa: str | None,
    kind: str | None,
    fw_version: str | None,
    rollback_counter: int | None,
    claims: Path | None,
    **signing: Any,
) -> Exit:
    """Sign PATH, a directory or a file.

    One ECDSA key makes an OpenSSF Model Signing bundle. Another algorithm, or several keys, make a
    multi-signature envelope (....dsse.json) over the same statement.

    One passphrase serves all key files. It is never tried as the PIN of a token beside them.
    """
    keys = SigningKeys(**signing)
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
        replace=replace,
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
