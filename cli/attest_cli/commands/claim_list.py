"""``attest claim list``: what has been said about an artifact, and by whom."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest.verdict import Finding, Outcome, Severity, Verdict
from attest_cli.claiming import load_principals, principal_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice
from attest_cli.signedby import BY_PRINCIPALS, SignedBy, signed_by_options


@click.command(
    cls=Verb,
    name="claim list",
    schema="urn:attest-toolkit:claim-list:v1",
    examples=(
        "attest claim list approved --principal alice=release.pub",
        "attest claim list approved.claims.jsonl --key release.pub --json",
    ),
)
@click.argument("path", type=FILE)
@principal_options
@signed_by_options(BY_PRINCIPALS)
@click.option("--signature", type=FILE, metavar="FILE", help="Of the artifact.")
@click.option("--claims", type=FILE, metavar="FILE", help="Default: PATH.claims.jsonl.")
@click.option("--at", callback=moment, metavar="TIME", help="Judge for this time, not now.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    principal: tuple[str, ...],
    principal_ca: tuple[tuple[str, Path, str], ...],
    key: tuple[Path, ...],
    signed_by: tuple[Path, ...],
    signed_by_ca: Path | None,
    signed_by_san: str | None,
    at: datetime | None,
    **options: Any,
) -> Exit:
    """Verify the claims beside the artifact at PATH, or in the claims file PATH, and list them.

    Only claims by the people and services that you name are shown; the others are counted. Claims
    about another artifact are marked, those that contradict each other are both shown and refuse.
    """
    trusted = SignedBy(signed_by, signed_by_ca, signed_by_san)
    trusted.check()
    principals = load_principals(principal, key, principal_ca)

    from attest.flow.listing import list_claims

    verdict = list_claims(
        path,
        principals=principals,
        at=at or datetime.now(UTC),
        trust=trusted.load(),
        **options,
    )
    voice.emit(verdict)
    _tell(voice, verdict)
    return for_outcome(verdict.outcome)


def _tell(voice: Voice, verdict: Verdict) -> None:
    if voice.quiet and verdict.outcome is Outcome.PASS:
        return
    if verdict.outcome is not Outcome.PASS:
        voice.outcome(verdict.outcome, str(verdict.subject["path"]), passed="")
    for claim in verdict.subject.get("claims", ()):
        marks = [name for name in ("withdrawn", "other-artifact") if claim[name]]
        suffix = f"  [{', '.join(marks)}]" if marks else ""
        voice.say(f"line {claim['line']}: {claim['type']}{suffix}")
        voice.say(f"  by     {', '.join(claim['principals'])}")
        for line in claim["says"]:
            voice.say(f"  says   {line}")
        voice.say(f"  claim  {claim['id']}")
    shown: list[Finding] = [
        finding
        for finding in verdict.findings
        if voice.verbose or finding.outcome is not Severity.PASS
    ]
    voice.findings(shown)
