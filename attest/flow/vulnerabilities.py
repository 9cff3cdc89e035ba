"""A scanner's report or a VEX document as a claim about an artifact.

Reports of Grype, Trivy and in SARIF become ``https://in-toto.io/attestation/vulns/v0.2``. That
predicate demands to know when the scan took place and how old the database was. Not every report
says so; what it does not say comes from the caller and is never made up. A CycloneDX document is a
claim as it is: VEX states are more than that predicate can hold.
"""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.bom.vulnerabilities import OPEN, Vulnerability, VulnerabilityReport, normalise
from attest.claim.predicates import BOM_PREDICATE, VULNS_PREDICATE
from attest.claim.vulns import SEVERITY_METHOD, VulnResult, VulnsClaim
from attest.codec.boms import read_bom
from attest.codec.scanreports import load_report, read_report
from attest.digest import Digest
from attest.errors import AttestError
from attest.files import read_bounded

_SAFE: Final = frozenset(string.ascii_letters + string.digits + "._-")


@dataclass(frozen=True, slots=True)
class ImportedReport:
    """A report that can be claimed.

    Attributes:
        report: in our vocabulary.
        predicate_type, predicate: of the claim; a CycloneDX document keeps its bytes.
        digest: ``sha256:…`` of the file.
    """

    report: VulnerabilityReport
    predicate_type: str
    predicate: dict[str, Any] | bytes
    digest: str


class TimesMisfit(ValueError):
    """The times that the caller gave are not those that the report lacks.

    Attributes:
        missing: what is needed: ``scanned``, ``db-updated``; empty where one is too many.
    """

    def __init__(self, message: str, missing: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.missing = missing


def import_report(
    path: Path, *, scanned: str | None = None, db_updated: str | None = None
) -> ImportedReport:
    """Read a report and make the claim's predicate of it.

    Args:
        scanned: RFC 3339 time of the scan, if the report has none.
        db_updated: of the last update of the vulnerability database, if the report has none.

    Raises:
        TimesMisfit: a time is needed that neither gives, or given that the report has itself.
        MalformedInput, Unsupported: no such report. Unavailable: it cannot be read.
    """
    data = read_bounded(path, limits.MAX_SCAN_REPORT_BYTES, "report", allow_pipe=True)
    digest = str(Digest.of(data))
    try:
        document = load_report(data)
        report = normalise(read_report(document))
        if report.form == "cyclonedx":
            if scanned or db_updated:
                raise TimesMisfit("a CycloneDX document is claimed as it is; it takes no times")
            read_bom(document, data)
            return ImportedReport(report, BOM_PREDICATE, data, digest)
    except AttestError as error:
        raise error.within(str(path)) from None
    claim = _claim(report, scanned, db_updated)
    return ImportedReport(report, VULNS_PREDICATE, claim.to_predicate(), digest)


def _claim(report: VulnerabilityReport, scanned: str | None, db_updated: str | None) -> VulnsClaim:
    for told, given, name in (
        (report.finished, scanned, "scanned"),
        (report.db_updated, db_updated, "db-updated"),
    ):
        if told is not None and given is not None:
            raise TimesMisfit(f"the report itself says when it was {name}: {told}")
    finished = report.finished or scanned
    updated = report.db_updated or db_updated
    if finished is None or updated is None:
        wanted = (("scanned", finished), ("db-updated", updated))
        missing = tuple(name for name, time in wanted if time is None)
        raise TimesMisfit(f"the report does not say when: {', '.join(missing)}", missing)
    return VulnsClaim(
        scanner=report.uri or f"urn:scanner:{_escaped(report.scanner)}",
        version=report.version,
        db_uri=report.db_uri,
        db_version=report.db_version,
        db_updated=updated,
        # Scanners note one time, when they write the report: then it is both.
        started=report.started or finished,
        finished=finished,
        results=tuple(_result(each) for each in report.findings),
    )


def _escaped(name: str) -> str:
    """``name`` as a part of a URN: every byte that is no letter, digit, ``.``, ``_``, ``-``."""
    return "".join(
        chr(byte) if chr(byte) in _SAFE else f"%{byte:02X}" for byte in name.encode("utf-8")
    )


def _result(found: Vulnerability) -> VulnResult:
    return VulnResult(
        found.id,
        ((SEVERITY_METHOD, found.severity.value), *found.scores),
        tuple(_annotations(found)),
    )


def _annotations(found: Vulnerability) -> Iterator[tuple[str, str]]:
    if found.package is not None:
        yield "package", found.package
    for version in found.fixed:
        yield "fixed", version
    if found.state != OPEN:
        yield "state", found.state
    for alias in found.aliases:
        yield "alias", alias
    if found.where is not None:
        yield "location", found.where
