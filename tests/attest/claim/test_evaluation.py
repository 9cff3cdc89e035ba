"""Evaluations: the result follows from what was measured, and from nothing else."""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import Any

import jsonschema
import pytest

from attest import limits
from attest.claim.evaluation import (
    COMPARATORS,
    FAILED,
    PASSED,
    WARNED,
    Evaluation,
    TestResult,
    Threshold,
    check_number,
    read_test_result,
)
from attest.claim.resources import ResourceDescriptor
from attest.errors import AttestError, MalformedInput, TooLarge

SHA = "5a" * 32


def schema(name: str) -> dict[str, Any]:
    file = resources.files("attest.claim") / "schemas" / f"{name}.schema.json"
    document = json.loads(file.read_bytes())
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def measured(**changes: Any) -> Evaluation:
    members: dict[str, Any] = {
        "suite": "safety",
        "version": "2.1",
        "metric": "refusal-rate",
        "value": 0.994,
        "threshold": Threshold(">=", 0.99),
    }
    return Evaluation(**{**members, **changes})


FULL = measured(
    task="weapons",
    stderr=0.001,
    sample_size=500,
    population=5000,
    dataset=ResourceDescriptor({"sha256": SHA}, "prompts"),
    higher_is_better=True,
    environment={"gpu": "h200"},
    counts={"passed": 4},
)


def again(result: TestResult) -> TestResult:
    return read_test_result(json.loads(json.dumps(result.to_predicate(), allow_nan=False)))


def refused(code: str, function: Any, *args: Any, **kwargs: Any) -> AttestError:
    with pytest.raises(AttestError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.mark.parametrize(
    "records",
    [[measured()], [FULL], [measured(), FULL], [measured(threshold=None)]],
    ids=["small", "full", "both", "unjudged"],
)
def test_round_trip_and_schema(records: list[Evaluation]):
    configuration = [ResourceDescriptor({"sha256": SHA}, "results.json")]
    result = TestResult.of(records, configuration)
    predicate = result.to_predicate()
    jsonschema.validate(predicate, schema("test-result-v0.1"))
    for record in predicate["evaluation"]:
        jsonschema.validate(record, schema("evaluation-v1"))
    assert again(result) == result


@pytest.mark.parametrize("value", [0.1, 1e-320, 1e308, -0.0, 1, 0.1 + 0.2, (1 << 53) - 1])
def test_values_survive_as_the_same_double(value: float):
    record = again(TestResult.of([measured(value=value, threshold=None)])).evaluations[0]
    assert math.copysign(1, record.value) == math.copysign(1, value)
    assert record.value == value


@pytest.mark.parametrize(
    ("comparator", "value", "result"),
    [
        (">=", 0.5, PASSED), (">=", 0.49, FAILED), (">", 0.5, FAILED), (">", 0.51, PASSED),
        ("<=", 0.5, PASSED), ("<=", 0.51, FAILED), ("<", 0.5, FAILED), ("<", 0.49, PASSED),
        ("==", 0.5, PASSED), ("==", 0.5000000000000001, FAILED),
    ],
)  # fmt: skip
def test_the_result_follows_from_comparator_and_threshold(
    comparator: str, value: float, result: str
):
    assert measured(value=value, threshold=Threshold(comparator, 0.5)).result == result


def test_doubles_are_compared_not_decimals():
    assert measured(value=0.1 + 0.2, threshold=Threshold("==", 0.3)).result == FAILED
    assert measured(value=0.1 + 0.2, threshold=Threshold(">", 0.3)).result == PASSED


def test_without_a_threshold_nothing_is_judged():
    result = TestResult.of([measured(), measured(metric="other", threshold=None)])
    assert result.result == WARNED
    assert result.passed == ("safety/refusal-rate",)
    assert result.warned == ("safety/other",)


def test_the_worst_decides():
    bad = measured(metric="bad", value=0.1)
    result = TestResult.of([measured(), measured(metric="x", threshold=None), bad])
    assert (result.result, result.failed) == (FAILED, ("safety/bad",))


# -- refused -------------------------------------------------------------------------------------

NOT_NUMBERS = [math.nan, math.inf, -math.inf, True, "0.9", None, [], (1 << 53) + 1, 10**400]


@pytest.mark.parametrize("value", NOT_NUMBERS)
def test_what_is_no_number(value: object):
    refused("not-a-number", check_number, value, "value")
    refused("not-a-number", measured, value=value)
    refused("not-a-number", Threshold, ">=", value)


def test_an_empty_suite_passes_nothing():
    refused("no-test", TestResult.of, [])
    refused("no-test", read_test_result, {"result": "PASSED", "configuration": []})
    empty = {"result": "PASSED", "configuration": [], "passedTests": [], "evaluation": []}
    refused("no-test", read_test_result, empty)
    refused("no-test", read_test_result, {**empty, "passedTests": ["claimed"]})


def test_measured_twice():
    refused("duplicate-evaluation", TestResult.of, [measured(), measured(value=0.1)])


def test_two_names_that_read_alike_are_one_name():
    one = measured(suite="a/b", task="c")
    other = measured(suite="a", task="b/c", value=0.1)
    refused("duplicate-evaluation", TestResult.of, [one, other])


@pytest.mark.parametrize("comparator", ["", "!=", "=>", "≥", ">= "])
def test_an_unknown_comparator(comparator: str):
    with pytest.raises(MalformedInput):
        Threshold(comparator, 1)


@pytest.mark.parametrize(
    ("higher", "comparator"), [(True, "<="), (True, "<"), (False, ">="), (False, ">")]
)
def test_a_threshold_that_points_the_wrong_way(higher: bool, comparator: str):
    threshold = Threshold(comparator, 0.5)
    refused("threshold-points-away", measured, threshold=threshold, higher_is_better=higher)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"suite": ""}, "malformed-name"),
        ({"suite": " a"}, "malformed-name"),
        ({"metric": "a\nb"}, "malformed-name"),
        ({"metric": "a" * 201}, "malformed-name"),
        ({"task": ""}, "malformed-name"),
        ({"version": "\x1b[31m"}, "malformed-name"),
        ({"stderr": -0.1}, "malformed-input"),
        ({"stderr": math.nan}, "not-a-number"),
        ({"sample_size": 0}, "no-sample"),
        ({"sample_size": -1}, "no-sample"),
        ({"population": 0}, "no-sample"),
        ({"sample_size": 11, "population": 10}, "malformed-input"),
        ({"counts": {"passed": -1}}, "malformed-input"),
        ({"environment": {"": "x"}}, "malformed-name"),
    ],
)
def test_malformed_records(changes: dict[str, Any], code: str):
    refused(code, measured, **changes)


def test_bounds(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TooLarge):
        measured(environment={f"k{number}": "v" for number in range(1001)})
    with pytest.raises(TooLarge):
        measured(environment={"k": "v" * 5000})
    result = TestResult.of([measured(), FULL])
    monkeypatch.setattr(limits, "MAX_EVALUATIONS", 1)
    with pytest.raises(TooLarge):
        TestResult.of([measured(), FULL])
    with pytest.raises(TooLarge):
        again(result)


# -- predicates that lie -------------------------------------------------------------------------


def lying(**changes: Any) -> dict[str, Any]:
    failed = measured(value=0.1)
    return {**TestResult.of([failed]).to_predicate(), **changes}


def test_a_failed_record_under_a_passed_result():
    refused("result-contradicts-tests", read_test_result, lying(result="PASSED"))


def test_a_failed_record_listed_as_passed():
    name = "safety/refusal-rate"
    predicate = lying(result="PASSED", passedTests=[name], failedTests=[])
    refused("result-contradicts-tests", read_test_result, predicate)


def test_a_test_without_a_record():
    predicate = {**TestResult.of([measured()]).to_predicate()}
    predicate["passedTests"] = [*predicate["passedTests"], "another"]
    refused("result-contradicts-tests", read_test_result, predicate)


@pytest.mark.parametrize(
    ("result", "lists"),
    [
        ("PASSED", {"failedTests": ["a"]}),
        ("PASSED", {"passedTests": ["b"], "warnedTests": ["a"]}),
        ("WARNED", {"passedTests": ["a"]}),
        ("FAILED", {"passedTests": ["a"]}),
        ("GREAT", {"passedTests": ["a"]}),
        ("passed", {"passedTests": ["a"]}),
    ],
)
def test_a_foreign_result_that_contradicts_itself(result: str, lists: dict[str, Any]):
    predicate = {"result": result, "configuration": [], **lists}
    refused("result-contradicts-tests", read_test_result, predicate)


def test_a_foreign_result_without_records():
    read = read_test_result(
        {"result": "WARNED", "configuration": [{"uri": "x"}], "warnedTests": ["a"], "url": "u"}
    )
    assert (read.result, read.evaluations, read.warned) == ("WARNED", (), ("a",))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("value", None), ("value", "0.9"), ("value", True), ("threshold", None),
        ("comparator", None), ("comparator", 1), ("suite", None), ("suite", 4),
        ("dataset", "x"), ("dataset", {"digest": {"sha256": "ab"}}), ("stderr", "x"),
        ("sampleSize", 1.5), ("sampleSize", "5"), ("higherIsBetter", 1),
        ("environment", []), ("environment", {"a": 1}), ("counts", {"a": "b"}),
    ],
)  # fmt: skip
def test_wrong_types_in_a_record(key: str, value: Any):
    predicate = TestResult.of([FULL]).to_predicate()
    if value is None:
        del predicate["evaluation"][0][key]
    else:
        predicate["evaluation"][0][key] = value
    with pytest.raises(MalformedInput) as caught:
        read_test_result(predicate)
    assert "evaluation[0]" in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("result", None), ("configuration", None), ("configuration", {}), ("passedTests", "a"),
        ("passedTests", [1]), ("evaluation", {}), ("evaluation", ["x"]),
    ],
)  # fmt: skip
def test_wrong_types_in_the_predicate(key: str, value: Any):
    with pytest.raises(MalformedInput):
        read_test_result({**TestResult.of([FULL]).to_predicate(), key: value})


def test_every_comparator_is_in_the_schema():
    record = schema("evaluation-v1")["properties"]["comparator"]["enum"]
    assert set(record) == set(COMPARATORS)
