"""SARIF 2.1.0 (OASIS) as a vulnerability report: one run, its rules, its results.

A result that passed, does not apply or is gone is no finding. A run that failed, or that has no
``results`` at all, found nothing because nobody looked: it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from attest.codec import jsonstrict
from attest.codec.scanmodel import (
    ScanFinding,
    ScanReport,
    Score,
    bounded,
    read_moment,
    read_object,
    read_objects,
    read_required,
    read_text,
)
from attest.errors import MalformedInput, Unsupported


def read_sarif(document: dict[str, Any]) -> ScanReport:
    """The report in a SARIF log.

    Raises:
        TooLarge, MalformedInput; Unsupported (another version).
    """
    version = jsonstrict.member(document, "version", str, where="report")
    if version != "2.1.0":
        raise Unsupported(f"SARIF {version[:20]!r}", code="unsupported-report")
    runs = jsonstrict.member(document, "runs", list, where="report")
    if len(runs) != 1:
        raise MalformedInput(
            f"{len(runs)} runs; one run is one scan",
            where="/runs",
            code="nothing-scanned" if not runs else "several-scans",
        )
    where = "/runs/0"
    run = jsonstrict.typed(runs[0], dict, where=where)
    driver = jsonstrict.member(
        jsonstrict.member(run, "tool", dict, where=where), "driver", dict, where=f"{where}/tool"
    )
    if jsonstrict.optional(run, "results", list, where=where) is None:
        raise MalformedInput(
            "the run has no results: SARIF 3.14.23 says that nothing was scanned",
            where=where,
            code="nothing-scanned",
        )
    started, finished = _times(run, where)
    return ScanReport(
        form="sarif",
        scanner=read_required(driver, "name", f"{where}/tool/driver"),
        version=read_text(driver, "semanticVersion", where) or read_text(driver, "version", where),
        uri=read_text(driver, "informationUri", where),
        db_uri=None,
        db_version=None,
        db_updated=None,
        started=started,
        finished=finished,
        findings=bounded(_findings(run, driver, where)),
    )


def _times(run: dict[str, Any], where: str) -> tuple[str | None, str | None]:
    """Start of the first and end of the last invocation; none of them may have failed."""
    started: list[str] = []
    finished: list[str] = []
    for pointer, each in read_objects(run, "invocations", where):
        if each.get("executionSuccessful") is False:
            raise MalformedInput(
                "the report says that the scan failed", where=pointer, code="scan-failed"
            )
        for key, times in (("startTimeUtc", started), ("endTimeUtc", finished)):
            time = read_moment(each, key, pointer)
            if time is not None:
                times.append(time)
    return min(started, default=None), max(finished, default=None)


def _findings(run: dict[str, Any], driver: dict[str, Any], where: str) -> Iterator[ScanFinding]:
    rules = [rule for _, rule in read_objects(driver, "rules", f"{where}/tool/driver")]
    by_id = {rule["id"]: rule for rule in rules if isinstance(rule.get("id"), str)}
    for pointer, result in read_objects(run, "results", where):
        if result.get("kind", "fail") in ("pass", "notApplicable", "informational"):
            continue
        if result.get("baselineState") == "absent":
            continue
        yield _finding(result, _rule(result, rules, by_id, pointer), pointer)


def _rule(
    result: dict[str, Any],
    rules: list[dict[str, Any]],
    by_id: dict[str, dict[str, Any]],
    pointer: str,
) -> dict[str, Any]:
    """The rule of a result: by its index, by its id, or none."""
    index = jsonstrict.optional(result, "ruleIndex", int, where=pointer)
    if index is not None and index >= 0:
        if index >= len(rules):
            raise MalformedInput("names a rule that is not there", where=pointer, code="bad-rule")
        return rules[index]
    name = read_text(result, "ruleId", pointer)
    return by_id.get(name or "", {})


def _finding(result: dict[str, Any], rule: dict[str, Any], pointer: str) -> ScanFinding:
    name = read_text(result, "ruleId", pointer) or read_text(rule, "id", pointer)
    if name is None:
        raise MalformedInput("names no rule", where=pointer, code="missing-member")
    level = read_text(result, "level", pointer)
    if level is None:
        level = read_text(read_object(rule, "defaultConfiguration", pointer), "level", pointer)
    level = level or "warning"  # SARIF 3.27.10
    scores = [Score("sarif-level", level, None, None)]
    number = read_object(rule, "properties", pointer).get("security-severity")
    if isinstance(number, str) and re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", number):
        scores.insert(0, Score("security-severity", None, number, None))
    suppressed = bool(jsonstrict.optional(result, "suppressions", list, where=pointer))
    return ScanFinding(
        id=name,
        severity=None,
        scores=tuple(scores),
        purl=None,
        name=None,
        version=None,
        fixed=(),
        state="suppressed" if suppressed else None,
        justification=None,
        responses=(),
        aliases=(),
        where=_place(result, pointer),
        pointer=pointer,
    )


def _place(result: dict[str, Any], pointer: str) -> str | None:
    """The URI of the first location."""
    for at, location in read_objects(result, "locations", pointer):
        physical = read_object(location, "physicalLocation", at)
        return read_text(read_object(physical, "artifactLocation", at), "uri", at)
    return None
