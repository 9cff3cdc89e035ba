"""Evaluations: what was measured, against which threshold, and what follows.

Predicate https://in-toto.io/attestation/test-result/v0.1 with a member of our own, ``evaluation``:
one record per measured value. The result is never stated, it follows from the records: a record
with a threshold ``PASSED`` or ``FAILED``; one without was only measured, and is ``WARNED``. The
whole is ``FAILED`` if one failed, else ``WARNED`` if one was only measured, else ``PASSED``. A
reader computes this again and refuses a predicate that says something else, and one without any
test: nothing tested is nothing passed.

Values and thresholds are IEEE 754 doubles, written in the shortest form that reads back as the same
double (``repr``), and compared as doubles: ``==`` means the same double. NaN and infinities are
refused, and so are integers that a double cannot hold exactly.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.claim.resources import ResourceDescriptor, read_digests, read_resources
from attest.codec import jsonstrict
from attest.errors import MalformedInput, TooLarge

PASSED: Final = "PASSED"
WARNED: Final = "WARNED"
FAILED: Final = "FAILED"

COMPARATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
    "==": operator.eq,
}
_UPWARD: Final = {">=": True, ">": True, "<=": False, "<": False}
_EXACT: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class Threshold:
    """What a value is held against: ``value comparator limit`` must be true."""

    comparator: str
    limit: float

    def __post_init__(self) -> None:
        if self.comparator not in COMPARATORS:
            known = " ".join(COMPARATORS)
            raise MalformedInput(
                f"{self.comparator[:20]!r} is no comparator", hint=f"one of {known}"
            )
        object.__setattr__(self, "limit", check_number(self.limit, "threshold"))

    def holds(self, value: float) -> bool:
        return COMPARATORS[self.comparator](value, self.limit)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One measured value.

    Attributes:
        suite, version: the suite and its version, as its makers count.
        task: part of the suite; None where it has no parts.
        metric: what was measured; with a filter as ``metric,filter``.
        value: finite.
        threshold: what it is held against; None where it was only measured.
        stderr: standard error of the value, if known; not negative.
        sample_size: how many samples went into the value, at least 1, if known.
        population: how many the task has, where only some were used.
        dataset: what it was measured on: name and digests.
        higher_is_better: of the metric, if known; a threshold must point that way.
        environment: name -> text of whatever else matters: harness version, seed, hardware.
        counts: outcome -> how many tests, for suites of tests.

    Raises:
        MalformedInput: what does not fit these descriptions.
    """

    suite: str
    version: str
    metric: str
    value: float
    threshold: Threshold | None = None
    task: str | None = None
    stderr: float | None = None
    sample_size: int | None = None
    population: int | None = None
    dataset: ResourceDescriptor | None = None
    higher_is_better: bool | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for what in ("suite", "version", "metric"):
            _check_name(getattr(self, what), what)
        if self.task is not None:
            _check_name(self.task, "task")
        object.__setattr__(self, "value", check_number(self.value, "value"))
        if self.stderr is not None:
            object.__setattr__(self, "stderr", check_number(self.stderr, "stderr"))
            if self.stderr < 0:
                raise MalformedInput("a standard error is not negative", where="stderr")
        for count in (self.sample_size, self.population):
            if count is not None and not 0 < count <= _EXACT:
                raise MalformedInput(
                    "a sample has at least one member", where="sampleSize", code="no-sample"
                )
        if self.population is not None and (self.sample_size or 0) > self.population:
            raise MalformedInput("the sample is larger than the whole", where="sampleSize")
        self._check_direction()
        _check_environment(self.environment)
        if any(not 0 <= count <= _EXACT for count in self.counts.values()):
            raise MalformedInput("a count is negative", where="counts")

    def _check_direction(self) -> None:
        """``loss >= 0.5`` would pass every bad model."""
        if self.threshold is None or self.higher_is_better is None:
            return
        upward = _UPWARD.get(self.threshold.comparator)
        if upward is not None and upward is not self.higher_is_better:
            better = "higher" if self.higher_is_better else "lower"
            raise MalformedInput(
                f"{self.metric} is better when {better}, and the threshold is"
                f" {self.threshold.comparator}",
                where=self.name,
                code="threshold-points-away",
            )

    @property
    def name(self) -> str:
        """As in the lists of passed, warned and failed tests."""
        return "/".join(part for part in (self.suite, self.task, self.metric) if part)

    @property
    def result(self) -> str:
        """``PASSED``, ``FAILED``, or ``WARNED`` where there is no threshold."""
        if self.threshold is None:
            return WARNED
        return PASSED if self.threshold.holds(self.value) else FAILED

    def to_json(self) -> dict[str, Any]:
        """The record's members, those that are known."""
        members: dict[str, Any] = {
            "suite": self.suite,
            "version": self.version,
            "task": self.task,
            "dataset": self.dataset and self.dataset.to_json(),
            "metric": self.metric,
            "comparator": self.threshold and self.threshold.comparator,
            "threshold": self.threshold and self.threshold.limit,
            "value": self.value,
            "stderr": self.stderr,
            "sampleSize": self.sample_size,
            "population": self.population,
            "higherIsBetter": self.higher_is_better,
            "environment": dict(self.environment) or None,
            "counts": dict(self.counts) or None,
        }
        return {key: value for key, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TestResult:
    """A test-result predicate.

    Attributes:
        configuration: what the tests were run with.
        evaluations: our records; empty where another tool wrote the claim.
        passed, warned, failed: names of tests; for ours they follow from the records.
        result: the whole.

    Raises:
        MalformedInput: no test, or a result that contradicts the lists.
    """

    __test__ = False  # pytest takes classes called Test… for tests

    configuration: tuple[ResourceDescriptor, ...]
    passed: tuple[str, ...]
    warned: tuple[str, ...]
    failed: tuple[str, ...]
    result: str
    evaluations: tuple[Evaluation, ...] = ()

    def __post_init__(self) -> None:
        if not (self.passed or self.warned or self.failed):
            raise MalformedInput(
                "no test was run", hint="an empty suite passes nothing", code="no-test"
            )
        expected = FAILED if self.failed else WARNED if self.warned else PASSED
        if self.result != expected:
            raise MalformedInput(
                f"says {self.result[:20]!r}, and its tests say {expected}",
                where="predicate.result",
                code="result-contradicts-tests",
            )

    @classmethod
    def of(
        cls, evaluations: Iterable[Evaluation], configuration: Iterable[ResourceDescriptor] = ()
    ) -> TestResult:
        """What follows from measured values.

        Raises:
            MalformedInput: none, or two of one name.
        """
        records = tuple(evaluations)
        if len(records) > limits.MAX_EVALUATIONS:
            raise TooLarge(f"{len(records)} measured values; at most {limits.MAX_EVALUATIONS}")
        names: dict[str, str] = {}
        for each in records:
            if each.name in names:
                raise MalformedInput("measured twice", where=each.name, code="duplicate-evaluation")
            names[each.name] = each.result
        passed, warned, failed = (
            tuple(name for name, result in names.items() if result == wanted)
            for wanted in (PASSED, WARNED, FAILED)
        )
        result = FAILED if failed else WARNED if warned else PASSED
        return cls(tuple(configuration), passed, warned, failed, result, records)

    def to_predicate(self) -> dict[str, Any]:
        """The predicate's members, in the order of the specification."""
        members: dict[str, Any] = {
            "result": self.result,
            "configuration": [each.to_json() for each in self.configuration],
            "passedTests": list(self.passed),
            "warnedTests": list(self.warned),
            "failedTests": list(self.failed),
        }
        if self.evaluations:
            members["evaluation"] = [each.to_json() for each in self.evaluations]
        return members


def read_test_result(predicate: dict[str, Any]) -> TestResult:
    """The result in a predicate whose signature was verified.

    Raises:
        MalformedInput: not this predicate, contradicts itself, or without any test.
    """
    where = "predicate"
    passed, warned, failed = (
        _names(predicate, key) for key in ("passedTests", "warnedTests", "failedTests")
    )
    listed = jsonstrict.member(predicate, "configuration", list, where=where)
    configuration = read_resources({"configuration": listed}, "configuration", where=where)
    result = jsonstrict.member(predicate, "result", str, where=where)
    records = jsonstrict.optional(predicate, "evaluation", list, where=where)
    stated = TestResult(configuration, passed, warned, failed, result)
    if records is None:
        return stated
    if len(records) > limits.MAX_EVALUATIONS:
        raise TooLarge(f"{len(records)} measured values", where=f"{where}.evaluation")
    derived = TestResult.of(
        (
            _read_evaluation(entry, f"{where}.evaluation[{index}]")
            for index, entry in enumerate(jsonstrict.objects(records, where=f"{where}.evaluation"))
        ),
        configuration,
    )
    follows = (derived.passed, derived.warned, derived.failed)
    for said, computed in zip((passed, warned, failed), follows, strict=True):
        if sorted(said) != sorted(computed):
            raise MalformedInput(
                "the lists of tests are not what follows from the measured values",
                where=f"{where}.evaluation",
                code="result-contradicts-tests",
            )
    return derived


def check_number(value: object, what: str) -> float:
    """``value`` as a finite double that is exactly what was written, if it is a number.

    Raises:
        MalformedInput: ``not-a-number`` for NaN, infinities, booleans, text and large integers.
    """
    exact = type(value) is float or (type(value) is int and abs(value) <= _EXACT)
    if exact and math.isfinite(value):  # type: ignore[arg-type]
        return float(value)  # type: ignore[arg-type]
    raise MalformedInput("is no finite number", where=what, code="not-a-number")


def _read_evaluation(entry: dict[str, Any], where: str) -> Evaluation:
    def number(key: str) -> float | None:
        return None if entry.get(key) is None else check_number(entry[key], key)

    comparator = jsonstrict.optional(entry, "comparator", str, where=where)
    limit = number("threshold")
    if (comparator is None) is not (limit is None):
        raise MalformedInput("needs comparator and threshold, or neither", where=where)
    dataset = jsonstrict.optional(entry, "dataset", dict, where=where)
    counts = jsonstrict.optional(entry, "counts", dict, where=where) or {}
    environment = jsonstrict.optional(entry, "environment", dict, where=where) or {}
    try:
        return Evaluation(
            jsonstrict.member(entry, "suite", str, where=where),
            jsonstrict.member(entry, "version", str, where=where),
            jsonstrict.member(entry, "metric", str, where=where),
            check_number(entry.get("value"), "value"),
            None if comparator is None or limit is None else Threshold(comparator, limit),
            jsonstrict.optional(entry, "task", str, where=where),
            number("stderr"),
            jsonstrict.optional(entry, "sampleSize", int, where=where),
            jsonstrict.optional(entry, "population", int, where=where),
            None if dataset is None else _read_dataset(dataset, f"{where}.dataset"),
            jsonstrict.optional(entry, "higherIsBetter", bool, where=where),
            {
                key: jsonstrict.typed(environment[key], str, where=f"{where}.environment")
                for key in environment
            },
            {key: jsonstrict.typed(counts[key], int, where=f"{where}.counts") for key in counts},
        )
    except MalformedInput as error:
        if error.where is None or not error.where.startswith(where):
            raise error.within(where) from None
        raise


def _read_dataset(entry: dict[str, Any], where: str) -> ResourceDescriptor:
    digests = jsonstrict.optional(entry, "digest", dict, where=where) or {}
    return ResourceDescriptor(
        read_digests(digests, where=f"{where}.digest"),
        jsonstrict.optional(entry, "name", str, where=where),
    )


def _names(predicate: dict[str, Any], key: str) -> tuple[str, ...]:
    listed = jsonstrict.optional(predicate, key, list, where="predicate") or []
    return tuple(jsonstrict.typed(name, str, where=f"predicate.{key}") for name in listed)


def _check_name(text: str, what: str) -> None:
    if not (0 < len(text) <= 200 and text.isprintable() and text == text.strip()):
        raise MalformedInput(
            f"a {what} has 1 to 200 printable characters and no blank at its ends",
            where=what,
            code="malformed-name",
        )


def _check_environment(environment: Mapping[str, str]) -> None:
    if len(environment) > 1000:
        raise TooLarge("the environment has more than 1000 entries")
    for key, value in environment.items():
        _check_name(key, "environment")
        if len(value) > limits.MAX_CLAIM_TEXT:
            raise TooLarge(f"has {len(value)} characters", where=f"environment.{key}")
