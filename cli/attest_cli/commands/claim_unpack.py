"""``attest claim unpack``: verify a pack that came over an air gap, and open it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli.claiming import load_principals, principal_options, tell_pack, ways_of
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice


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
@click.option(
    "--signed-by",
    type=FILE,
    multiple=True,
    metavar="PUB",
    help="Who must have signed the artifact; default: any of the principals.",
)
@click.option("--at", callback=moment, metavar="TIME", help="Judge for this time, not now.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    pack: Path,
    into: Path,
    principal: tuple[str, ...],
    key: tuple[Path, ...],
    signed_by: tuple[Path, ...],
    at: datetime | None,
) -> Exit:
    """Verify PACK with your own keys, then write NAME.sig, NAME.claims.jsonl and material/.

    Keys inside the pack are written for comparison and trusted by nobody. Afterwards:
    attest verify NAME --signature NAME.sig --key YOUR.pub
    """
    principals = load_principals(principal, key)

    from attest.flow.pack import pack_findings, unpack

    moment_judged = at or datetime.now(UTC)
    report, written = unpack(
        pack,
        into,
        ways=ways_of(signed_by, principals),
        principals=principals,
        at=moment_judged,
    )
    done = Finding("unpacked", Severity.PASS, "the pack holds and was opened", str(pack))
    findings = (done, *pack_findings(report))
    voice.tell(f"unpacked: {pack}")
    for file in written:
        voice.tell(f"  wrote    {file}")
    tell_pack(voice, report, findings)
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
