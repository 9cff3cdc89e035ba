"""The report of a scan as a file: every find in every file, in full."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.artifact.names import relative_inside
from attest.codec import jsonstrict
from attest.errors import AttestError, MalformedInput, Unavailable
from attest.files import read_bounded, write_atomic
from attest.flow.scan import ScanReport, hit_to_json

REPORT_SCHEMA: Final = "urn:attest-toolkit:scan-report:v1"


def check_report_place(path: Path, report: Path) -> None:
    """Refuse a place inside the artifact, or one where something else than a report lies.

    Raises:
        MalformedInput: ``report-inside``.
        Unavailable: ``not-a-report``.
    """
    if path.is_dir() and relative_inside(path, report) is not None:
        raise MalformedInput(
            "a report inside the artifact would change what was scanned",
            where=str(report),
            code="report-inside",
        )
    if not os.path.lexists(report):
        return
    try:
        data = read_bounded(report, limits.MAX_JSON_BYTES, "report")
        document = jsonstrict.loads(data, what="report")
        known = isinstance(document, dict) and document.get("schema") == REPORT_SCHEMA
    except AttestError:
        known = False
    if not known:
        raise Unavailable(
            "is no scan report, and is not overwritten",
            where=str(report),
            hint="name another file, or move this one away",
            code="not-a-report",
        )


def write_report(report: ScanReport, target: Path) -> None:
    """Write all of it as JSON, indented.

    Raises:
        Unavailable: it cannot be written.
    """
    text = json.dumps(report_to_json(report), indent=1, ensure_ascii=True)
    write_atomic(target, text.encode("ascii") + b"\n")


def report_to_json(report: ScanReport) -> dict[str, Any]:
    """JSON-compatible: every file with its format, its grade and all of its finds."""
    subject = report.subject
    return {
        "schema": REPORT_SCHEMA,
        "path": str(report.path),
        "digests": None if subject is None else dict(subject.digests),
        **report.describe(),
        "problems": [problem.to_json() for problem in report.problems],
        "scanned": [
            {
                "name": file.name,
                "format": file.format,
                "grade": file.grade.value,
                "hits": [hit_to_json(hit) for hit in file.hits],
            }
            for file in report.files
        ],
    }
