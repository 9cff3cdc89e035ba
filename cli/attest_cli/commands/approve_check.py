"""``attest approve check``: have enough people approved this artifact?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from attest.verdict import VERDICT_SCHEMA, Outcome, Severity
from attest_cli.claiming import load_principals, principal_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice
from attest_cli.signedby import BY_PRINCIPALS, SignedBy, signed_by_options


@click.command(
    cls=Verb,
    name="approve check",
    schema=VERDICT_SCHEMA,
    examples=(
        "attest approve check approved --role release --environment production"
        " --principal alice=release.pub",
    ),
)
@click.argument("path", type=FILE)
@click.option("--role", required=True, metavar="R", help="Which the approvals must name.")
@click.option("--environment", required=True, metavar="E", help="Which they must name.")
@click.option("--ring", metavar="G", help="Where an approval for this part of it is enough.")
@click.option(
    "--threshold",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How many different people or services.",
)
@click.option(
    "--accept",
    multiple=True,
    metavar="TEXT",
    help="Condition that is met here, word for word; repeatable.",
)
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
    role: str,
    environment: str,
    ring: str | None,
    threshold: int,
    accept: tuple[str, ...],
    principal: tuple[str, ...],
    principal_ca: tuple[tuple[str, Path, str], ...],
    key: tuple[Path, ...],
    signed_by: tuple[Path, ...],
    signed_by_ca: Path | None,
    signed_by_san: str | None,
    signature: Path | None,
    claims: Path | None,
    at: datetime | None,
) -> Exit:
    """Judge the approvals of the artifact at PATH. Uses no network.

    Counts people and services (--principal NAME=PUB; several keys with one NAME are one voice).
    Approvals that are withdrawn, out of date, for something else or under a condition that is not
    accepted do not count; one rejection is enough to refuse. The content is not read.
    """
    trusted = SignedBy(signed_by, signed_by_ca, signed_by_san)
    trusted.check()
    principals = load_principals(principal, key, principal_ca)

    from attest.flow.approval import ApprovalScope, check_approvals

    verdict = check_approvals(
        path,
        ApprovalScope(role, environment, ring, threshold, frozenset(accept)),
        principals=principals,
        at=at or datetime.now(UTC),
        trust=trusted.load(),
        signature=signature,
        claims=claims,
    )
    voice.emit(verdict)
    good = verdict.outcome is Outcome.PASS
    if not (good and voice.quiet):
        voice.outcome(verdict.outcome, str(path), passed="approved")
        shown = set(Severity) if voice.verbose or not good else {Severity.PASS, Severity.WARN}
        voice.findings(finding for finding in verdict.findings if finding.outcome in shown)
    return for_outcome(verdict.outcome)
