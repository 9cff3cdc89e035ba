"""``attest claim pack``: an artifact's signature and claims as one file, for an air gap."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli import material
from attest_cli.claiming import load_principals, principal_options, tell_pack
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice
from attest_cli.signedby import BY_PRINCIPALS, SignedBy, signed_by_options


@click.command(
    cls=Verb,
    name="claim pack",
    schema="urn:attest-toolkit:claim-pack:v1",
    examples=("attest claim pack approved -o approved.pack --principal alice=release.pub",),
)
@click.argument("path", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, metavar="FILE", help="The new pack.")
@principal_options
@signed_by_options(BY_PRINCIPALS)
@click.option(
    "--material",
    "extra",
    type=FILE,
    multiple=True,
    metavar="FILE",
    help="Also pack this: a CA, a trusted root. The public keys are always packed.",
)
@click.option("--signature", type=FILE, metavar="FILE", help="Of the artifact.")
@click.option("--claims", type=FILE, metavar="FILE", help="Default: PATH.claims.jsonl.")
@click.option("--at", callback=moment, metavar="TIME", help="Judge for this time, not now.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    output: Path,
    principal: tuple[str, ...],
    principal_ca: tuple[tuple[str, Path, str], ...],
    key: tuple[Path, ...],
    signed_by: tuple[Path, ...],
    signed_by_ca: Path | None,
    signed_by_san: str | None,
    extra: tuple[Path, ...],
    signature: Path | None,
    claims: Path | None,
    at: datetime | None,
) -> Exit:
    """Verify the signature and the claims of PATH and write them into one file.

    The artifact itself travels on its own. The public keys go along so that they can be compared;
    nobody should trust them for having come in the pack.
    """
    trusted = SignedBy(signed_by, signed_by_ca, signed_by_san)
    trusted.check()
    principals = load_principals(principal, key, principal_ca)
    keys = [Path(entry.partition("=")[2]) for entry in principal]
    authorities = [ca for _, ca, _ in principal_ca]
    files = list(dict.fromkeys((*keys, *key, *authorities, *trusted.files, *extra)))
    names = [file.name for file in files]
    if len(set(names)) != len(names):
        raise click.UsageError("two files that would be packed have the same name")

    from attest.files import read_bounded
    from attest.flow.pack import pack, pack_findings
    from attest.limits import MAX_JSON_BYTES

    packed = {}
    for file in files:
        packed[file.name] = read_bounded(file, MAX_JSON_BYTES, "file to pack")
        material.refuse_secret(packed[file.name], file)
    moment_judged = at or datetime.now(UTC)
    try:
        report = pack(
            path,
            output,
            ways=trusted.ways(principals),
            principals=principals,
            at=moment_judged,
            signature=signature,
            claims=claims,
            material=packed,
        )
    except ValueError as error:  # a file name that does not fit into a pack
        raise click.UsageError(str(error)) from None
    done = Finding("packed", Severity.PASS, "the pack was written", str(output))
    findings = (done, *pack_findings(report))
    voice.tell(f"packed: {output}")
    tell_pack(voice, report, findings)
    verdict = Verdict.conclude(
        findings,
        subject={
            "name": report.subject.name,
            "digests": dict(report.subject.digests),
            "pack": str(output),
            "members": dict(report.members),
        },
        inputs={"principals": str(principals.digest)},
        at=moment_judged,
    )
    voice.emit(verdict)
    return for_outcome(verdict.outcome)
