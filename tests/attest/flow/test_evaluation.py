"""Reports of harnesses and test runners: nothing passes that they do not say has passed."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from attest import limits
from attest.claim.evaluation import FAILED, PASSED, WARNED
from attest.claim.resources import ResourceDescriptor
from attest.codec.evalreports import parse_harness_report
from attest.codec.junit import parse_junit
from attest.errors import AttestError, MalformedInput, TooLarge
from attest.flow.evaluation import (
    Imported,
    NamedThreshold,
    import_junit,
    import_lm_eval,
    parse_threshold,
)

REPORT = ResourceDescriptor({"sha256": "5a" * 32}, "report")


def refused(code: str, function: Any, *args: Any, **kwargs: Any) -> AttestError:
    with pytest.raises(AttestError) as caught:
        function(*args, **kwargs)
    assert caught.value.code == code, caught.value
    return caught.value


# -- thresholds ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mmlu/acc>=0.5", ("mmlu/acc", ">=", 0.5)),
        (" a/b,c < -1e-3 ", ("a/b,c", "<", -0.001)),
        ("my suite/pass-rate==1", ("my suite/pass-rate", "==", 1.0)),
        ("a/b > 10", ("a/b", ">", 10.0)),
        ("a/b<=0", ("a/b", "<=", 0.0)),
    ],
)
def test_thresholds(text: str, expected: tuple[str, str, float]):
    named = parse_threshold(text)
    assert (named.name, named.threshold.comparator, named.threshold.limit) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "a/b", "a/b>=", ">=0.5", "a/b=0.5", "a/b>=nan", "a/b>=inf", "a/b>=1_0", "a/b>=+1",
        "a/b>=0x1", "a/b>=1e999", "a/b>=.5", "a/b>=1.", "a/b>=01", "a/b>=٣", "a/b>>1", "a/b!=1",
        "a/b>=0.5>=0.1", "a/b>=0.5 x", "a/b>=99999999999999999999",
    ],
)  # fmt: skip
def test_what_is_no_threshold(text: str):
    with pytest.raises(MalformedInput):
        parse_threshold(text)


# -- lm-evaluation-harness -----------------------------------------------------------------------

HARNESS: dict[str, Any] = {
    "results": {
        "arc_easy": {
            "alias": "arc_easy",
            "acc,none": 0.45,
            "acc_stderr,none": 0.0102,
            "acc_norm,none": 0.4,
            "acc_norm_stderr,none": "N/A",
        },
        "gsm8k": {
            "alias": "gsm8k",
            "exact_match,strict-match": 0.3,
            "exact_match_stderr,strict-match": 0.02,
            "exact_match,flexible-extract": 0.6,
            "exact_match_stderr,flexible-extract": 0.02,
        },
        "wikitext": {"word_perplexity,none": 12.5, "word_perplexity_stderr,none": "N/A"},
        "mmlu": {"acc,none": 0.5, "acc_stderr,none": 0.004, "alias": "mmlu"},
        "broken": {"acc,none": "N/A"},
    },
    "group_subtasks": {"mmlu": ["mmlu_a", "mmlu_b"]},
    "versions": {"arc_easy": 1.0, "gsm8k": 3, "mmlu": "2"},
    "n-samples": {
        "arc_easy": {"original": 2376, "effective": 2376},
        "gsm8k": {"original": 1319, "effective": 100},
        "mmlu_a": {"original": 10, "effective": 10},
        "mmlu_b": {"original": 20, "effective": 15},
    },
    "higher_is_better": {
        "arc_easy": {"acc": True, "acc_norm": True},
        "wikitext": {"word_perplexity": False},
    },
    "config": {"model": "hf", "model_args": "pretrained=x", "limit": 100, "random_seed": 0},
    "git_hash": "f" * 40,
    "lm_eval_version": "0.4.9",
    "model_name": "org/model",
    "date": 1731655933.0,
}


def harness(*thresholds: str, report: dict[str, Any] | None = None, **options: Any) -> Imported:
    data = json.dumps(HARNESS if report is None else report).encode()
    wanted = [parse_threshold(text) for text in thresholds]
    return import_lm_eval(data, wanted, report=REPORT, **options)


def test_values_with_thresholds():
    imported = harness("arc_easy/acc>=0.4", "wikitext/word_perplexity<15", "mmlu/acc>0.6")
    result = imported.result
    by_task = {each.task: each for each in result.evaluations}
    assert result.result == FAILED
    assert result.failed == ("lm-evaluation-harness/mmlu/acc,none",)
    assert result.configuration == (REPORT,)
    arc = by_task["arc_easy"]
    assert (arc.value, arc.stderr, arc.sample_size, arc.population) == (0.45, 0.0102, 2376, None)
    assert (arc.version, arc.higher_is_better) == ("1.0", True)
    assert by_task["wikitext"].stderr is None
    assert by_task["wikitext"].version == "unknown"
    assert (by_task["mmlu"].sample_size, by_task["mmlu"].population) == (25, 30)
    assert arc.environment["harnessCommit"] == "f" * 40
    assert arc.environment["model"] == "org/model"
    assert {finding.code for finding in imported.findings} == {
        "values-left-out", "evaluation-limited",
    }  # fmt: skip


def test_only_what_has_a_threshold_is_claimed():
    imported = harness("arc_easy/acc>=0.4")
    assert (imported.result.result, len(imported.result.evaluations)) == (PASSED, 1)
    everything = harness("arc_easy/acc>=0.4", everything=True)
    assert (everything.result.result, len(everything.result.evaluations)) == (WARNED, 6)


def test_without_thresholds_nothing_passes():
    result = harness().result
    assert (result.result, result.passed, len(result.warned)) == (WARNED, (), 6)


def test_a_filter_is_named_where_there_are_several():
    error = refused("ambiguous-threshold", harness, "gsm8k/exact_match>=0.5")
    assert "strict-match" in (error.hint or "")
    assert harness("gsm8k/exact_match,strict-match>=0.5").result.result == FAILED
    assert harness("gsm8k/exact_match,flexible-extract>=0.5").result.result == PASSED


@pytest.mark.parametrize("name", ["arc_easy/acccc", "arc_eazy/acc", "acc", "arc_easy", "*/acc"])
def test_a_threshold_for_nothing(name: str):
    refused("threshold-without-value", harness, f"{name}>=0.1")


def test_a_threshold_for_what_was_not_measured():
    refused("not-measured", harness, "broken/acc>=0.1")
    refused("threshold-without-value", harness, "arc_easy/acc_stderr>=0")
    refused("threshold-without-value", harness, "arc_easy/alias>=0")


def test_two_thresholds_for_one_value():
    refused("duplicate-threshold", harness, "arc_easy/acc>=0.1", "arc_easy/acc,none>=0.2")


def test_a_threshold_against_the_direction_of_the_metric():
    refused("threshold-points-away", harness, "wikitext/word_perplexity>=5")
    refused("threshold-points-away", harness, "arc_easy/acc<=1")


def test_datasets_of_tasks():
    data = ResourceDescriptor({"sha256": "6b" * 32}, "arc")
    imported = harness("arc_easy/acc>=0.4", datasets={"arc_easy": data})
    assert imported.result.evaluations[0].dataset == data
    refused("unknown-task", harness, "arc_easy/acc>=0.4", datasets={"arc": data})


def test_reports_before_0_4():
    report = {
        "results": {"lambada": {"ppl": 5.3, "ppl_stderr": 0.1, "acc": 0.6, "acc_stderr": 0.01}},
        "versions": {"lambada": 0},
        "config": {"model": "gpt2", "limit": None},
    }
    imported = harness("lambada/ppl<6", report=report)
    (evaluation,) = imported.result.evaluations
    assert (evaluation.metric, evaluation.stderr, evaluation.version) == ("ppl", 0.1, "0")
    assert not any(finding.code == "evaluation-limited" for finding in imported.findings)


@pytest.mark.parametrize("token", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_results_that_are_no_number(token: bytes):
    data = b'{"results": {"t": {"acc,none": ' + token + b"}}}"
    with pytest.raises(MalformedInput):
        import_lm_eval(data, report=REPORT)


@pytest.mark.parametrize("value", ["0.9", True, None, [0.9], {"a": 1}, ""])
def test_results_of_another_type_are_not_measured(value: Any):
    report = {"results": {"t": {"acc,none": value, "f1,none": 0.5}}}
    assert len(harness(report=report).result.evaluations) == 1
    refused("not-measured", harness, "t/acc>=0.1", report=report)


@pytest.mark.parametrize(
    "report",
    [{}, {"results": {}}, {"results": {"t": {}}}, {"results": {"t": {"alias": "t"}}}],
)
def test_empty_reports(report: dict[str, Any]):
    with pytest.raises(MalformedInput):
        harness(report=report)


def test_a_report_without_any_number():
    refused("no-test", harness, report={"results": {"t": {"acc,none": "N/A"}}})


@pytest.mark.parametrize(
    "changes",
    [
        {"results": []}, {"results": {"t": 1}}, {"n-samples": []}, {"n-samples": {"arc_easy": 3}},
        {"n-samples": {"arc_easy": {}}}, {"n-samples": {"arc_easy": {"effective": "all"}}},
        {"n-samples": {"arc_easy": {"effective": 0}}},
        {"n-samples": {"arc_easy": {"effective": -5}}},
        {"versions": []}, {"config": []}, {"higher_is_better": 1},
        {"higher_is_better": {"arc_easy": True}}, {"group_subtasks": []},
    ],
)  # fmt: skip
def test_malformed_reports(changes: dict[str, Any]):
    with pytest.raises(MalformedInput):
        harness("arc_easy/acc>=0.4", report={**HARNESS, **changes})


def test_groups_in_circles_and_without_end():
    circle = {**HARNESS, "group_subtasks": {"mmlu": ["a"], "a": ["b"], "b": ["mmlu", "a"]}}
    (mmlu,) = [
        v for v in parse_harness_report(json.dumps(circle).encode()).values if v.task == "mmlu"
    ]
    assert mmlu.effective in (None, 0)
    names = [f"g{number}" for number in range(3000)]
    maze = {
        "results": {name: {"acc,none": 1.0} for name in names},
        "group_subtasks": dict.fromkeys(names[:700], names),
    }
    begin = time.process_time()
    refused("too-large", parse_harness_report, json.dumps(maze).encode())
    assert time.process_time() - begin < 50


def test_more_values_than_allowed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_EVALUATIONS", 3)
    with pytest.raises(TooLarge):
        harness()


# -- JUnit ---------------------------------------------------------------------------------------


def suites(*cases: str, attributes: str = "") -> bytes:
    return f'<testsuite name="s"{attributes}>{"".join(cases)}</testsuite>'.encode()


GOOD = '<testcase name="good"/>'
BAD = '<testcase name="bad"><failure message="x"/></testcase>'


def junit(data: bytes, *thresholds: str) -> Imported:
    wanted: list[NamedThreshold] = [parse_threshold(text) for text in thresholds]
    return import_junit(data, wanted, version="1", report=REPORT)


def test_a_suite_passes_as_a_whole_or_not():
    assert junit(suites(GOOD, GOOD)).result.result == PASSED
    imported = junit(suites(GOOD, GOOD, GOOD, BAD))
    (evaluation,) = imported.result.evaluations
    assert evaluation.result == FAILED
    assert (evaluation.value, evaluation.sample_size) == (0.75, 4)
    assert evaluation.counts == {"passed": 3, "failed": 1, "errors": 0, "skipped": 0}


def test_a_threshold_of_its_own():
    data = suites(GOOD, GOOD, GOOD, BAD)
    assert junit(data, "s/pass-rate>=0.75").result.result == PASSED
    assert junit(data, "s/pass-rate>0.75").result.result == FAILED
    refused("threshold-without-value", junit, data, "t/pass-rate>=0.5")
    refused("threshold-without-value", junit, data, "s/good>=0.5")
    refused("duplicate-threshold", junit, data, "s/pass-rate>=0.5", "s/pass-rate>=0.1")
    refused("threshold-points-away", junit, data, "s/pass-rate<=1")


@pytest.mark.parametrize(
    "case",
    [
        "<testcase><skipped/></testcase>",
        "<testcase><error/></testcase>",
        "<testcase><failure/></testcase>",
        "<testcase><system-out/><failure/></testcase>",
        "<testcase><failure/><skipped/></testcase>",
        "<testcase><x><failure/></x></testcase>",
        "<testcase><flakyFailure/></testcase>",
        "<testcase><flakyError/></testcase>",
        "<testcase><rerunFailure/></testcase>",
        '<testcase status="notrun"/>',
        '<testcase status="disabled"/>',
        '<testcase result="suppressed"/>',
        '<testcase result="skipped"/>',
        '<p:testcase xmlns:p="x"><p:failure/></p:testcase>',
        '<testcase><p:failure xmlns:p="x"/></testcase>',
    ],
)
def test_what_did_not_pass(case: str):
    (suite,) = parse_junit(suites(GOOD, case))
    assert (suite.passed, suite.total) == (1, 2)
    assert junit(suites(GOOD, case)).result.result == FAILED


@pytest.mark.parametrize(
    ("attributes", "passed", "total"),
    [
        (' tests="2"', 2, 2),
        (' tests="3"', 2, 3),
        (' tests="1"', 2, 2),
        (' tests="2" failures="1"', 1, 2),
        (' tests="2" errors="1" failures="1"', 0, 2),
        (' failures="9"', 0, 9),
        (' skipped="1"', 1, 2),
        (' tests=""', 2, 2),
    ],
)
def test_declared_totals_never_make_it_better(attributes: str, passed: int, total: int):
    (suite,) = parse_junit(suites(GOOD, GOOD, attributes=attributes))
    assert (suite.passed, suite.total) == (passed, total)


def test_totals_of_an_outer_suite_count_the_inner_ones():
    data = (
        b'<testsuites tests="9"><testsuite name="outer" tests="3" failures="1">'
        b'<testsuite name="inner" tests="3" failures="1"><testcase/><testcase/>'
        b"<testcase><failure/></testcase></testsuite></testsuite></testsuites>"
    )
    (suite,) = parse_junit(data)
    assert (suite.name, suite.passed, suite.total) == ("inner", 2, 3)


@pytest.mark.parametrize(
    "bad",
    [
        b'<testsuite name="broken" tests="0" errors="1"/>',
        b'<testsuite name="broken" failures="1"/>',
        b'<testsuite name="broken" skipped="2"/>',
    ],
)
def test_a_suite_that_failed_before_any_test_is_not_left_out(bad: bytes):
    result = junit(b"<testsuites>" + suites(GOOD) + bad + b"</testsuites>").result
    assert result.result == FAILED
    assert result.failed == ("junit/broken/pass-rate",)


@pytest.mark.parametrize("total", ["failures", "errors"])
def test_failures_that_only_the_whole_declares(total: str):
    data = f'<testsuites {total}="1">'.encode() + suites(GOOD) + b"</testsuites>"
    assert junit(data).result.result == FAILED
    listed = f'<testsuites {total}="1">'.encode() + suites(BAD) + b"</testsuites>"
    assert [each.total for each in parse_junit(listed) if each.total] != []


@pytest.mark.parametrize("word", ["failed", "FAIL", "error", "timeout", "not run", "no idea"])
@pytest.mark.parametrize("key", ["status", "result"])
def test_a_state_that_is_not_one_of_success(key: str, word: str):
    assert junit(suites(GOOD, f'<testcase {key}="{word}"/>')).result.result == FAILED


@pytest.mark.parametrize("word", ["run", "Completed", "PASSED", "success", ""])
def test_states_of_success(word: str):
    assert junit(suites(f'<testcase status="{word}"/>')).result.result == PASSED


def test_an_outer_suite_that_counts_more_than_is_there():
    data = (
        b'<testsuite name="outer" tests="3"><testsuite name="inner" tests="2">'
        b"<testcase/><testcase/></testsuite></testsuite>"
    )
    result = junit(data).result
    assert result.failed == ("junit/outer/pass-rate",)


def test_suites_of_one_name_are_one():
    data = b"<testsuites>" + suites(GOOD) + suites(BAD) + b"</testsuites>"
    (evaluation,) = junit(data).result.evaluations
    assert (evaluation.sample_size, evaluation.value) == (2, 0.5)


@pytest.mark.parametrize(
    "data",
    [b"<testsuites/>", b'<testsuite name="s"/>', b'<testsuite tests="0"></testsuite>',
     b"<testsuites><testsuite/><testsuite/></testsuites>"],
)  # fmt: skip
def test_empty_suites(data: bytes):
    assert parse_junit(data) == ()
    refused("no-test", junit, data)


def test_no_billion_laughs():
    lol = "".join(
        f'<!ENTITY l{n} "{"".join([f"&l{n - 1};"] * 10)}">' if n else '<!ENTITY l0 "lol">'
        for n in range(10)
    )
    data = f'<?xml version="1.0"?><!DOCTYPE x [{lol}]><testsuite name="&l9;">{GOOD}</testsuite>'
    refused("document-type", parse_junit, data.encode())


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE testsuite>",
        '<!DOCTYPE testsuite SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE testsuite PUBLIC "x" "http://example.com/x.dtd">',
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE x [<!ENTITY % p SYSTEM "http://example.com/x">%p;]>',
        '<!DOCTYPE x [<!ATTLIST testcase status CDATA "run">]>',
    ],
)
def test_no_document_type_at_all(doctype: str):
    refused("document-type", parse_junit, doctype.encode() + suites(GOOD))


def test_an_undeclared_entity():
    refused("malformed-xml", parse_junit, b'<testsuite name="&e;"><testcase/></testsuite>')


def test_nothing_is_nested_without_end():
    refused("nested-too-deep", parse_junit, b"<testsuite>" * 100_000)
    deep = b"<testsuite><testcase>" + b"<x>" * 100 + b"</x>" * 100 + b"</testcase></testsuite>"
    refused("nested-too-deep", parse_junit, deep)


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch):
    refused("too-large", parse_junit, b'<testsuite name="' + b"n" * 2000 + b'"/>')
    monkeypatch.setattr(limits, "MAX_JUNIT_ELEMENTS", 5)
    refused("too-large", parse_junit, suites(*[GOOD] * 5))
    monkeypatch.setattr(limits, "MAX_HARNESS_BYTES", 10)
    refused("too-large", parse_junit, suites(GOOD))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"  \n", b"text", b"<testsuite>", b"<testsuite></testsuites>", b"<a/>",
        b"<testsuite/><testsuite/>", b"<testcase/>", b"<testsuites><testcase/></testsuites>",
        b"<testsuite><x><testcase/></x></testsuite>",
        b"<testsuite><testcase><testcase/></testcase></testsuite>",
        b"<testsuite><testcase><testsuite/></testcase></testsuite>",
        b"<x><testsuite><testcase/></testsuite></x>",
        b'<testsuite tests="many"/>', b'<testsuite tests="-1"/>', b'<testsuite tests="1_0"/>',
        b'<testsuite tests="9999999999"/>', b'<testsuite tests="\xd9\xa3"/>',
        b'<testsuite name="a" name="b"/>', b"\xff\xfe<\x00", b"<testsuite>\xff</testsuite>",
        '<?xml version="1.0" encoding="utf-16"?><testsuite/>'.encode("utf-16"),
        b"<testsuite>\x00</testsuite>",
    ],
)  # fmt: skip
def test_what_is_no_report(data: bytes):
    with pytest.raises(MalformedInput):
        junit(data)


def test_a_declared_encoding_changes_nothing():
    data = b'<?xml version="1.0" encoding="iso-8859-1"?>' + suites(GOOD)
    assert parse_junit(data)[0].total == 1


def test_a_suite_name_that_cannot_be_a_name():
    data = b'<testsuite name="' + b"n" * 300 + b'"><testcase/></testsuite>'
    refused("malformed-name", junit, data)


def test_a_hundred_thousand_tests_in_good_time():
    begin = time.process_time()
    (suite,) = parse_junit(suites(*[GOOD] * 100_000))
    assert suite.passed == 100_000
    assert time.process_time() - begin < 30


@pytest.mark.parametrize("text", ["9007199254740993", "-9007199254740993", "9999999999999999"])
def test_an_integer_that_no_double_holds_is_not_rounded(text: str):
    with pytest.raises(MalformedInput) as caught:
        parse_threshold(f"t/m>={text}")
    assert caught.value.code == "not-a-number"


@pytest.mark.parametrize(
    ("text", "value"), [("9007199254740992", 2.0**53), ("-0", 0.0), ("1e3", 1000.0), ("0.1", 0.1)]
)
def test_numbers_are_read_exactly(text: str, value: float):
    assert parse_threshold(f"t/m>={text}").threshold.limit == value
