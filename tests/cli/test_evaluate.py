"""``attest evaluate`` and ``attest evaluate import``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.claim.evaluation import read_test_result
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from tests.attest.flow.test_evaluation import HARNESS
from tests.cli.support import attest, unchanged

ONE = {
    "--suite": "safety", "--suite-version": "2.1", "--metric": "refusal-rate", "--value": "0.994",
    "--comparator": ">=", "--threshold": "0.99", "--sample-size": "5000",
}  # fmt: skip
REPORT = (
    '<testsuites><testsuite name="smoke"><testcase/><testcase/><testcase/>'
    "<testcase><skipped/></testcase></testsuite></testsuites>"
)


def claimed() -> Any:
    line = Path("model.claims.jsonl").read_bytes().splitlines()[-1]
    parsed: Any = parse_signature(line)
    payload = getattr(parsed, "envelope", parsed).payload
    return read_test_result(parse_statement(payload).predicate)


def evaluate(signed: Path, *extra: str, **changes: str | None) -> Any:
    options = {**ONE, **{f"--{key.replace('_', '-')}": each for key, each in changes.items()}}
    args = [part for pair in options.items() if pair[1] is not None for part in pair]
    return attest("evaluate", signed, *args, *extra, "--key", "release.key")


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({}, "PASSED"),
        ({"value": "0.98"}, "FAILED"),
        ({"comparator": None, "threshold": None}, "WARNED"),
        ({"comparator": "==", "value": "0.99"}, "PASSED"),
        ({"comparator": "<"}, "FAILED"),
    ],
)
def test_the_result_follows(signed: Path, changes: dict[str, str | None], result: str):
    ran = evaluate(signed, **changes)
    assert (ran.code, ran.err) == (0, "")
    assert f"evaluation ({result})" in ran.out
    assert claimed().result == result


def test_everything(signed: Path):
    ran = evaluate(
        signed, "--task", "weapons", "--stderr", "0.001",
        "--dataset", "prompts=sha256:" + "5a" * 32,
        "--environment", "gpu=h200", "--environment", "seed=1", "--json",
    )  # fmt: skip
    assert ran.report["subject"]["testResult"]["result"] == "PASSED"
    (evaluation,) = claimed().evaluations
    assert evaluation.environment == {"gpu": "h200", "seed": "1"}
    assert evaluation.dataset.digests == {"sha256": "5a" * 32}
    assert (evaluation.stderr, evaluation.task) == (0.001, "weapons")


@pytest.mark.parametrize(
    "changes",
    [
        {"value": "nan"}, {"value": "inf"}, {"value": "1_0"}, {"value": "0x1"}, {"value": "1e999"},
        {"threshold": "NaN"}, {"threshold": None}, {"comparator": None}, {"comparator": "=>"},
        {"sample_size": "0"}, {"sample_size": "-5"}, {"sample_size": "1.5"}, {"sample_size": "٣"},
        {"sample_size": None}, {"suite": ""}, {"metric": "a\nb"}, {"stderr": "-1"},
        {"dataset": "x"}, {"dataset": "x=path"}, {"dataset": "x=sha256:abc"},
        {"environment": "gpu"},
    ],
)  # fmt: skip
def test_usage_errors(signed: Path, changes: dict[str, str | None]):
    with unchanged(Path()):
        ran = evaluate(signed, **changes)
    assert ran.code == 2
    assert ran.out == ""


def test_the_result_cannot_be_stated(signed: Path):
    assert evaluate(signed, "--result", "PASSED").code == 2


# -- import --------------------------------------------------------------------------------------


@pytest.fixture
def reports(signed: Path) -> Path:
    Path("results.json").write_text(json.dumps(HARNESS))
    Path("report.xml").write_text(REPORT)
    return signed


def imports(path: Path, *args: str) -> Any:
    return attest("evaluate", "import", path, *args, "--key", "release.key")


def test_lm_eval(reports: Path):
    ran = imports(
        reports, "--lm-eval", "results.json", "--threshold", "arc_easy/acc>=0.4",
        "--threshold", "mmlu/acc>0.4", "--dataset", "arc_easy=sha256:" + "5a" * 32,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert "evaluation (PASSED)" in ran.out
    assert "warn: evaluation-limited" in ran.out
    result = claimed()
    assert len(result.evaluations) == 2
    assert result.configuration[0].name == "results.json"
    assert result.evaluations[0].dataset.name == "arc_easy"


def test_lm_eval_without_thresholds(reports: Path):
    assert imports(reports, "--lm-eval", "results.json", "--json").report["outcome"] == "pass"
    assert (claimed().result, claimed().passed) == ("WARNED", ())
    options = ("--lm-eval", "results.json", "--all", "--threshold", "arc_easy/acc>=0.4")
    assert imports(reports, *options).code == 0
    assert claimed().result == "WARNED"


@pytest.mark.parametrize(
    ("thresholds", "result"),
    [([], "FAILED"), (["smoke/pass-rate>=0.75"], "PASSED"), (["smoke/pass-rate>0.75"], "FAILED")],
)
def test_junit(reports: Path, thresholds: list[str], result: str):
    options = [part for each in thresholds for part in ("--threshold", each)]
    ran = imports(
        reports, "--junit", "report.xml", "--suite-version", "1.0", "--environment", "py=3.13",
        *options,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert claimed().result == result
    assert claimed().evaluations[0].counts["skipped"] == 1


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ([], 2),
        (["--lm-eval", "results.json", "--junit", "report.xml"], 2),
        (["--junit", "report.xml"], 2),
        (["--junit", "report.xml", "--suite-version", "1", "--all"], 2),
        (["--lm-eval", "results.json", "--suite-version", "1"], 2),
        (["--lm-eval", "results.json", "--threshold", "arc_easy/acc"], 2),
        (["--lm-eval", "results.json", "--threshold", "arc_easy/acc>=nan"], 2),
        (["--lm-eval", "results.json", "--dataset", "arc_easy=x"], 2),
        (["--lm-eval", "results.json", "--threshold", "arc_eazy/acc>=0.4"], 1),
        (["--lm-eval", "results.json", "--threshold", "gsm8k/exact_match>=0.4"], 1),
        (["--lm-eval", "results.json", "--threshold", "arc_easy/acc<=0.4"], 1),
        (["--lm-eval", "report.xml"], 1),
        (["--junit", "results.json", "--suite-version", "1"], 1),
        (["--lm-eval", "gone.json"], 3),
    ],
)
def test_refusals(reports: Path, args: list[str], code: int):
    with unchanged(Path()):
        ran = imports(reports, *args)
    assert ran.code == code
    assert ran.out == ""


def test_a_hostile_report(reports: Path):
    Path("report.xml").write_text('<!DOCTYPE x [<!ENTITY a "b">]>' + REPORT)
    with unchanged(Path()):
        ran = imports(reports, "--junit", "report.xml", "--suite-version", "1")
    assert ran.code == 1
    assert "report.xml" in ran.err
