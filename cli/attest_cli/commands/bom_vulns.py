"""``attest bom vulns``: what a vulnerability scanner or a VEX document says, as a claim."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from attest.verdict import format_time
from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice


@click.command(
    cls=Verb,
    name="bom vulns",
    schema="urn:attest-toolkit:bom-vulns:v1",
    examples=(
        "attest bom vulns model --import grype.json --key release.key",
        "attest bom vulns model --import vex.cdx.json --key release.key --json",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--import",
    "report",
    type=FILE,
    required=True,
    metavar="FILE",
    help="Report of Grype, Trivy, in SARIF 2.1.0, or a CycloneDX VEX document; JSON.",
)
@click.option(
    "--scanned", callback=moment, metavar="TIME", help="When, if the report does not say."
)
@click.option(
    "--db-updated",
    callback=moment,
    metavar="TIME",
    help="When the vulnerability database was, if the report does not say.",
)
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    report: Path,
    scanned: datetime | None,
    db_updated: datetime | None,
    **options: Any,
) -> Exit:
    """Claim what a scanner reports, or a VEX document states, about the artifact at PATH.

    A report becomes an in-toto `vulns` claim, a CycloneDX document a claim as it is. That the
    report is about this artifact is the signer's word: no report names its digests.
    """
    author = Author.of(path, options)

    from attest.flow.vulnerabilities import TimesMisfit, import_report

    try:
        imported = import_report(
            report,
            scanned=None if scanned is None else format_time(scanned),
            db_updated=None if db_updated is None else format_time(db_updated),
        )
    except TimesMisfit as error:
        wanted = " and ".join(f"--{name} TIME" for name in error.missing)
        raise click.UsageError(f"{error}; give {wanted}" if wanted else str(error)) from None
    counts = imported.report.counts()
    told = ", ".join(f"{number} {name}" for name, number in counts.items()) or "none"
    with author.session(voice) as session:
        recorded = session.record(imported.predicate_type, imported.predicate)
        return session.report(
            recorded,
            f"vulnerabilities ({imported.report.form})",
            [
                f"scanner    {imported.report.scanner} {imported.report.version or ''}".rstrip(),
                f"found      {told}",
            ],
            details={
                "report": {
                    "form": imported.report.form,
                    "digest": imported.digest,
                    "predicateType": imported.predicate_type,
                    "findings": len(imported.report.findings),
                    "counts": counts,
                }
            },
        )
