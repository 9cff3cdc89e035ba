"""Evaluations from harness reports: values held against the thresholds that the caller states.

A threshold names what it is about exactly; one that fits nothing, or several values, or a value
that was not measured, refuses. So a check cannot disappear behind a typo, nor be satisfied by the
filter that happens to score best. What has no threshold is left out, and counted; without any
threshold everything is recorded as measured only, which is a warning (``WARNED``), never a pass.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from attest import limits
from attest.claim.evaluation import Evaluation, TestResult, Threshold, check_number
from attest.claim.resources import ResourceDescriptor
from attest.codec.evalreports import HarnessReport, HarnessValue, parse_harness_report
from attest.codec.junit import JUnitSuite, parse_junit
from attest.errors import MalformedInput
from attest.verdict import Finding, Severity

LM_EVAL: Final = "lm-evaluation-harness"
JUNIT: Final = "junit"
TEST_RATE: Final = "pass-rate"

_EVERY_TEST: Final = Threshold(">=", 1.0)
_THRESHOLD: Final = re.compile(
    r"(?P<name>[^<>=]+?)\s*(?P<comparator>>=|<=|==|>|<)\s*(?P<limit>\S+)"
)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")


@dataclass(frozen=True, slots=True)
class NamedThreshold:
    """A threshold and what it is about: ``task/metric``, ``task/metric,filter`` or
    ``suite/pass-rate``."""

    name: str
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class Imported:
    """A report as a claim.

    Attributes:
        result: what is to be claimed.
        findings: what its reader should know.
    """

    result: TestResult
    findings: tuple[Finding, ...] = ()


def parse_threshold(text: str) -> NamedThreshold:
    """``'mmlu/acc>=0.6'``.

    Raises:
        MalformedInput: not in this form, or the limit is no finite number.
    """
    found = _THRESHOLD.fullmatch(text.strip())
    if found is None:
        raise MalformedInput(
            "a threshold is written as NAME/METRIC>=NUMBER",
            where=text[:100],
            hint="comparators: >= > <= < ==",
            code="malformed-threshold",
        )
    limit = parse_number(found["limit"], text[:100])
    return NamedThreshold(found["name"], Threshold(found["comparator"], limit))


def parse_number(text: str, where: str) -> float:
    """A number in plain decimal digits; ``nan``, ``inf``, ``1_000`` and the like are none.

    Raises:
        MalformedInput.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return check_number(math.nan, where)
    whole = found[2] is None and found[3] is None  # an integer that no double holds is refused
    return check_number(int(text) if whole else float(text), where)


def import_lm_eval(
    data: bytes,
    thresholds: Sequence[NamedThreshold] = (),
    *,
    everything: bool = False,
    datasets: Mapping[str, ResourceDescriptor] | None = None,
    report: ResourceDescriptor,
) -> Imported:
    """The values of a harness report.

    Args:
        data: the ``results_*.json``.
        thresholds: what must hold.
        everything: also record what has no threshold, as measured only.
        datasets: task -> what it was measured on.
        report: the file, by digest, for the claim's configuration.

    Raises:
        MalformedInput: the report, or a threshold that fits no measured value or several.
    """
    parsed = parse_harness_report(data)
    held = {index: each.threshold for each in thresholds for index in [_find(each, parsed)]}
    if len(held) != len(thresholds):
        raise MalformedInput("two thresholds are about one value", code="duplicate-threshold")
    known = datasets or {}
    for task in known:
        if not any(value.task == task for value in parsed.values):
            raise MalformedInput(
                "no such task in the report", where=task[:100], code="unknown-task"
            )
    take_all = everything or not thresholds
    evaluations = [
        _harness_evaluation(value, held.get(index), known.get(value.task), parsed)
        for index, value in enumerate(parsed.values)
        if index in held or (take_all and value.value is not None)
    ]
    return Imported(
        TestResult.of(evaluations, (report,)),
        tuple(_notes(parsed, len(parsed.values) - len(evaluations))),
    )


def _find(wanted: NamedThreshold, report: HarnessReport) -> int:
    """The index of the one value that a threshold is about."""
    fitting = [
        index
        for index, value in enumerate(report.values)
        if wanted.name in (f"{value.task}/{value.full_metric}", f"{value.task}/{value.metric}")
    ]
    exact = [
        index
        for index in fitting
        if wanted.name == f"{report.values[index].task}/{report.values[index].full_metric}"
    ]
    chosen = exact or fitting
    if len(chosen) != 1:
        choices = ", ".join(
            f"{report.values[index].task}/{report.values[index].full_metric}" for index in chosen
        )
        raise MalformedInput(
            "fits several values: name the filter" if chosen else "fits no value of the report",
            where=wanted.name[:200],
            hint=choices[:500] or None,
            code="ambiguous-threshold" if chosen else "threshold-without-value",
        )
    if report.values[chosen[0]].value is None:
        raise MalformedInput(
            "was not measured: the report holds no number for it",
            where=wanted.name[:200],
            code="not-measured",
        )
    return chosen[0]


def _harness_evaluation(
    value: HarnessValue,
    threshold: Threshold | None,
    dataset: ResourceDescriptor | None,
    report: HarnessReport,
) -> Evaluation:
    partial = value.original is not None and value.original != value.effective
    environment = dict(report.environment)
    if report.model:
        environment["model"] = report.model[: limits.MAX_CLAIM_TEXT]
    try:
        return Evaluation(
            LM_EVAL,
            value.version or "unknown",
            value.full_metric,
            check_number(value.value, "value"),
            threshold,
            value.task,
            value.stderr,
            value.effective,
            value.original if partial else None,
            dataset,
            value.higher_is_better,
            environment,
        )
    except MalformedInput as error:
        raise error.within(f"{value.task}/{value.full_metric}"[:200]) from None


def _notes(report: HarnessReport, left_out: int) -> list[Finding]:
    notes = []
    if left_out:
        message = f"{left_out} value(s) without a threshold, or not measured, are not in the claim"
        notes.append(Finding("values-left-out", Severity.INFO, message))
    if report.limited:
        message = "only part of the samples was used (`limit`): the values are estimates"
        notes.append(Finding("evaluation-limited", Severity.WARN, message))
    return notes


def import_junit(
    data: bytes,
    thresholds: Sequence[NamedThreshold] = (),
    *,
    version: str,
    dataset: ResourceDescriptor | None = None,
    environment: Mapping[str, str] | None = None,
    report: ResourceDescriptor,
) -> Imported:
    """The suites of a JUnit report, each as its rate of passed tests.

    Skipped tests did not pass. A suite without a threshold of its own must pass as a whole
    (``pass-rate >= 1``).

    Args:
        version: of the suites; a report does not say.

    Raises:
        MalformedInput: the report, one without any test, or a threshold for no suite.
    """
    suites = _by_name(parse_junit(data))
    held = {each.name: each.threshold for each in thresholds}
    if len(held) != len(thresholds):
        raise MalformedInput("two thresholds are about one suite", code="duplicate-threshold")
    for name in held:
        if name not in {f"{suite}/{TEST_RATE}" for suite in suites}:
            raise MalformedInput(
                f"fits no suite of the report; it names {TEST_RATE} of a suite",
                where=name[:200],
                code="threshold-without-value",
            )
    evaluations = [
        Evaluation(
            JUNIT,
            version,
            TEST_RATE,
            counts["passed"] / sum(counts.values()),
            held.get(f"{name}/{TEST_RATE}", _EVERY_TEST),
            name,
            sample_size=sum(counts.values()),
            dataset=dataset,
            higher_is_better=True,
            environment=environment or {},
            counts=counts,
        )
        for name, counts in suites.items()
    ]
    return Imported(TestResult.of(evaluations, (report,)))


def _by_name(suites: Sequence[JUnitSuite]) -> dict[str, dict[str, int]]:
    """Counts of the suites, those of one name together; what is not listed has an error."""
    found: dict[str, dict[str, int]] = {}
    for suite in suites:
        name = " ".join(suite.name.split()) or "unnamed"
        counts = found.setdefault(name, dict.fromkeys(("passed", "failed", "errors", "skipped"), 0))
        passed = min(suite.passed, suite.total)
        rest = suite.total - passed
        for outcome in ("failed", "skipped"):
            counts[outcome] += (taken := min(rest, suite.counts[outcome]))
            rest -= taken
        counts["errors"] += rest
        counts["passed"] += passed
    return found
