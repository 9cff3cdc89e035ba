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
    tool = jsonstrict.member(run, "tool", dict, where=where)
    extensions = [each for _, each in read_objects(tool, "extensions", f"{where}/tool")]
    own, *others = [_Rules(component, f"{where}/tool") for component in (driver, *extensions)]
    for pointer, result in read_objects(run, "results", where):
        if result.get("kind", "fail") in ("pass", "notApplicable", "informational"):
            continue
        if result.get("baselineState") == "absent":
            continue
        yield _finding(result, _rule(result, own, others, pointer), pointer)


class _Rules:
    """The rules of a tool, or of an extension of it."""

    def __init__(self, component: dict[str, Any], where: str) -> None:
        self._listed = [rule for _, rule in read_objects(component, "rules", where)]
        self._by_id = {rule["id"]: rule for rule in self._listed if isinstance(rule.get("id"), str)}

    def find(self, index: int | None, name: str | None, pointer: str) -> dict[str, Any]:
        """By its index, by its id, or none."""
        if index is None or index < 0:
            return self._by_id.get(name or "", {})
        if index >= len(self._listed):
            raise MalformedInput("names a rule that is not there", where=pointer, code="bad-rule")
        return self._listed[index]


def _rule(
    result: dict[str, Any], own: _Rules, others: list[_Rules], pointer: str
) -> dict[str, Any]:
    """The rule of a result, which may be one of an extension's (SARIF 3.27.7, 3.52)."""
    reference, where = read_object(result, "rule", pointer), f"{pointer}/rule"
    component = read_object(reference, "toolComponent", where)
    at = jsonstrict.optional(component, "index", int, where=f"{where}/toolComponent")
    if at is not None and at >= len(others):
        raise MalformedInput("names an extension that is not there", where=where, code="bad-rule")
    index = jsonstrict.optional(reference, "index", int, where=where)
    if index is None:
        index = jsonstrict.optional(result, "ruleIndex", int, where=pointer)
    name = read_text(reference, "id", where) or read_text(result, "ruleId", pointer)
    rules = own if at is None or at < 0 else others[at]
    return rules.find(index, name, pointer)


def _finding(result: dict[str, Any], rule: dict[str, Any], pointer: str) -> ScanFinding:
    name = (
        read_text(result, "ruleId", pointer)
        or read_text(read_object(result, "rule", pointer), "id", pointer)
        or read_text(rule, "id", pointer)
    )
    if name is None:
        raise MalformedInput("names no rule", where=pointer, code="missing-member")
    level = read_text(result, "level", pointer)
    if level is None:
        level = read_text(read_object(rule, "defaultConfiguration", pointer), "level", pointer)
    level = level or "warning"  # SARIF 3.27.10
    scores = [Score("sarif-level", level, None, None)]
    number = read_object(rule, "properties", pointer).get("security-severity")
    if type(number) in (int, float):  # a text by GitHub's definition, which not all follow
        number = str(number)
    if isinstance(number, str) and re.fullmatch(r"[0-9]{1,2}(\.[0-9]{1,3})?", number):
        scores.insert(0, Score("security-severity", None, number, None))
    return ScanFinding(
        id=name,
        severity=None,
        scores=tuple(scores),
        purl=None,
        name=None,
        version=None,
        fixed=(),
        state="suppressed" if _is_suppressed(result, pointer) else None,
        justification=None,
        responses=(),
        aliases=(),
        where=_place(result, pointer),
        pointer=pointer,
    )


def _is_suppressed(result: dict[str, Any], pointer: str) -> bool:
    """One that is under review or was rejected suppresses nothing (SARIF 3.27.23)."""
    stated = [
        read_text(each, "status", at) or "accepted"
        for at, each in read_objects(result, "suppressions", pointer)
    ]
    return bool(stated) and all(status == "accepted" for status in stated)


def _place(result: dict[str, Any], pointer: str) -> str | None:
    """The URI of the first location."""
    for at, location in read_objects(result, "locations", pointer):
        physical = read_object(location, "physicalLocation", at)
        return read_text(read_object(physical, "artifactLocation", at), "uri", at)
    return None
