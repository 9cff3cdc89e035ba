"""``attest claim unpack``: verify a pack that came over an air gap, and open it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli.claiming import load_principals, principal_options, tell_pack
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice
from attest_cli.signedby import BY_PRINCIPALS, SignedBy, signed_by_options


@click.command(
    cls=Verb,
    name="claim unpack",
    schema="urn:attest-toolkit:claim-unpack:v1",
    examples=(
        "mkdir arrived && attest claim pack approved -o a.pack --key release.pub"
        " && attest claim unpack a.pack --into arrived --key release.pub",
    ),
)
@click.argument("pack", type=FILE)
@click.option("--into", type=FILE, required=True, metavar="DIR", help="Folder to write to.")
@principal_options
@signed_by_options(BY_PRINCIPALS)
@click.option("--at", callback=moment, metavar="TIME", help="Judge for this time, not now.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    pack: Path,
    into: Path,
    principal: tuple[str, ...],
    principal_ca: tuple[tuple[str, Path, str], ...],
    key: tuple[Path, ...],
    signed_by: tuple[Path, ...],
    signed_by_ca: Path | None,
    signed_by_san: str | None,
    at: datetime | None,
) -> Exit:
    """Verify PACK with your own keys, then write NAME.sig, NAME.claims.jsonl and material/.

    Keys inside the pack are written for comparison and trusted by nobody. Afterwards:
    attest verify NAME --signature NAME.sig --key YOUR.pub
    """
    trusted = SignedBy(signed_by, signed_by_ca, signed_by_san)
    trusted.check()
    principals = load_principals(principal, key, principal_ca)

    from attest.flow.pack import pack_findings, unpack

    moment_judged = at or datetime.now(UTC)
    report, written = unpack(
        pack,
        into,
        ways=trusted.ways(principals),
        principals=principals,
        at=moment_judged,
    )
    done = Finding("unpacked", Severity.PASS, "the pack holds and was opened", str(pack))
    findings = (done, *pack_findings(report))
    voice.tell(f"unpacked: {pack}")
    for file in written:
        voice.tell(f"  wrote    {file}")
    tell_pack(voice, report, findings)
    voice.tell(f"  next     attest verify PATH --signature {written[0]}, with your own trust")
    verdict = Verdict.conclude(
        findings,
        subject={
            "name": report.subject.name,
            "digests": dict(report.subject.digests),
            "written": [str(file) for file in written],
        },
        inputs={"principals": str(principals.digest)},
        at=moment_judged,
    )
    voice.emit(verdict)
    return for_outcome(verdict.outcome)
