"""``attest claim merge``: bring together what several people and machines have claimed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice, counted


@click.command(
    cls=Verb,
    name="claim merge",
    schema="urn:attest-toolkit:claim-merge:v1",
    examples=("attest claim merge all.claims.jsonl approved.claims.jsonl",),
)
@click.argument("target", type=FILE)
@click.argument("sources", type=FILE, nargs=-1, required=True)
@click.pass_obj
def command(voice: Voice, /, target: Path, sources: tuple[Path, ...]) -> Exit:
    """Merge the claims files SOURCES into TARGET, which is created if it is not there.

    Each statement is kept once, with all signatures under it. Nothing is verified or believed;
    a line that is no claim refuses, and then nothing is written.
    """
    from attest.flow.merge import merge_claims

    report = merge_claims(target, sources)
    findings = [Finding("claims-merged", Severity.PASS, "the files were merged", str(target))]
    if report.torn:
        findings.append(
            Finding(
                "torn-line-removed",
                Severity.WARN,
                "a claim that was cut off at the end of the file was removed",
                where=str(target),
            )
        )
    voice.tell(f"merged: {target}")
    voice.tell(f"  claims  {counted(report.claims, 'claim')}, {report.added} of them new")
    if report.joined:
        voice.tell(f"  joined  {report.joined} got further signatures")
    if not voice.quiet:
        voice.findings(finding for finding in findings if finding.outcome is Severity.WARN)
    verdict = Verdict.conclude(
        findings,
        subject={
            "target": str(target),
            "claims": report.claims,
            "added": report.added,
            "joined": report.joined,
        },
        inputs={},
        at=datetime.now(UTC),
    )
    voice.emit(verdict)
    return for_outcome(verdict.outcome)
