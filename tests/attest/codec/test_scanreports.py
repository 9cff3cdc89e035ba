"""Scanner reports: four forms, wrong types in each, and reports of scans that never were."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attest import limits
from attest.codec.scanmodel import check_moment
from attest.codec.scanreports import parse_report
from attest.errors import MalformedInput, TooLarge, Unsupported
from tests.support.bom_examples import grype, sarif, trivy, vex


def parse(document: Any):
    return parse_report(json.dumps(document).encode())


def test_grype():
    read = parse(grype())
    assert (read.form, read.scanner, read.version) == ("grype", "grype", "0.80.0")
    assert (read.db_updated, read.db_version) == ("2026-11-19T01:30:00Z", "5")
    assert read.finished == "2026-11-20T10:00:00.123456789Z"
    first, second, ignored = read.findings
    assert (first.id, first.severity, first.fixed) == (
        "GHSA-jfh8-c2jp-5v3q",
        "Critical",
        ("2.15.0",),
    )
    assert (first.scores[0].method, first.scores[0].score) == ("CVSSv31", "10")
    assert first.aliases == ("CVE-2021-44228",)
    assert (second.name, second.version, second.purl) == ("tar", "1.34", None)
    assert (ignored.id, ignored.state) == ("CVE-2020-1", "suppressed")


def test_grype_with_the_database_status_of_newer_versions():
    about = {
        "name": "grype",
        "version": "0.100.0",
        "timestamp": "2026-11-20T10:00:00Z",
        "db": {
            "status": {
                "schemaVersion": "v6.0.2",
                "from": "https://grype.anchore.io/databases/v6/x.tar.zst",
                "built": "2026-11-19T06:16:22Z",
            }
        },
    }
    read = parse(grype(descriptor=about))
    assert (read.db_version, read.db_updated) == ("v6.0.2", "2026-11-19T06:16:22Z")
    assert read.db_uri == "https://grype.anchore.io/databases/v6/x.tar.zst"


def test_grype_tells_what_a_vex_document_settled():
    rules = [{"vulnerability": "CVE-1"}, {"namespace": "vex", "vex-status": "not_affected"}]
    match = {
        "vulnerability": {"id": "CVE-1"},
        "artifact": {"name": "x"},
        "appliedIgnoreRules": rules,
    }
    (found,) = parse(grype(matches=[], ignoredMatches=[match])).findings
    assert found.state == "not_affected"


def test_trivy():
    read = parse(trivy())
    (found,) = read.findings
    assert (found.id, found.severity, found.purl) == (
        "CVE-2023-44487",
        "HIGH",
        "pkg:apk/alpine/nghttp2@1.55.1-r0",
    )
    assert found.fixed == ("1.55.1-r1", "1.57.0-r0")
    assert [(s.method, s.score) for s in found.scores] == [("CVSSv3", "7.5")]
    assert found.where == "example/app:1 (alpine 3.18.2)"


def test_trivy_tells_what_a_vex_document_settled():
    changed = {
        "Type": "vulnerability",
        "Status": "not_affected",
        "Finding": {"VulnerabilityID": "CVE-3", "PkgName": "x", "Severity": "LOW"},
    }
    result = {"Target": "t", "ExperimentalModifiedFindings": [changed, {"Type": "secret"}]}
    (found,) = parse(trivy(Results=[result])).findings
    assert (found.id, found.state) == ("CVE-3", "not_affected")


def test_sarif():
    read = parse(sarif())
    assert (read.scanner, read.version) == ("Some Scanner", "1.2.3")
    assert (read.started, read.finished) == ("2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z")
    first, second = read.findings
    assert [(s.method, s.score, s.severity) for s in first.scores] == [
        ("security-severity", "9.8", None),
        ("sarif-level", None, "error"),
    ]
    assert (second.id, second.state, second.where) == ("CVE-2", "suppressed", "lib/a.jar")
    assert second.scores[0].severity == "note"


def test_sarif_passes_are_no_findings():
    results = [
        {"ruleId": "A", "kind": kind} for kind in ("pass", "notApplicable", "informational", "open")
    ]
    results.append({"ruleId": "B", "baselineState": "absent"})
    assert [each.id for each in parse(sarif(results=results)).findings] == ["A"]


@pytest.mark.parametrize(
    ("stated", "state"),
    [
        ([{"kind": "external"}], "suppressed"),
        ([{"kind": "external", "status": "accepted"}], "suppressed"),
        ([{"kind": "external", "status": "rejected"}], None),
        ([{"kind": "external", "status": "underReview"}], None),
        ([{"kind": "inSource"}, {"kind": "external", "status": "rejected"}], None),
        ([], None),
    ],
)
def test_a_sarif_suppression_that_was_not_accepted_suppresses_nothing(stated, state):
    (found,) = parse(sarif(results=[{"ruleId": "A", "suppressions": stated}])).findings
    assert found.state == state


def test_a_sarif_rule_of_an_extension_is_not_taken_for_the_tools_own():
    tool = {
        "driver": {"name": "s", "rules": [{"id": "X", "defaultConfiguration": {"level": "note"}}]},
        "extensions": [
            {"name": "e", "rules": [{"id": "X", "properties": {"security-severity": "9.8"}}]}
        ],
    }
    rule = {"index": 0, "toolComponent": {"index": 0}}
    for result in ({"rule": rule}, {"ruleId": "X", "ruleIndex": 0, "rule": rule}):
        (found,) = parse(sarif(tool=tool, results=[result])).findings
        assert (found.id, found.scores[0].score) == ("X", "9.8")
    (own,) = parse(sarif(tool=tool, results=[{"ruleId": "X"}])).findings
    assert [each.severity for each in own.scores] == ["note"]


def test_a_sarif_score_that_is_a_number():
    tool = {
        "driver": {"name": "s", "rules": [{"id": "A", "properties": {"security-severity": 9.1}}]}
    }
    (found,) = parse(sarif(tool=tool, results=[{"ruleId": "A"}])).findings
    assert found.scores[0].score == "9.1"


def test_cyclonedx():
    read = parse(vex())
    first, second = read.findings
    assert (first.id, first.state, first.justification) == (
        "CVE-2020-25649",
        "not_affected",
        "code_not_reachable",
    )
    assert first.purl == "pkg:maven/com.fasterxml.jackson.core/jackson-databind@2.10.0"
    assert [s.severity for s in first.scores] == ["high", "unknown"]
    assert (second.state, second.where) == (None, "jackson")


def test_cyclonedx_names_what_a_nested_component_is():
    inner = {"type": "library", "bom-ref": "in", "name": "inner", "version": "1"}
    outer = {"type": "application", "bom-ref": "out", "name": "outer", "components": [inner]}
    found = parse(
        vex(
            components=[],
            metadata={"component": outer},
            vulnerabilities=[{"id": "CVE-1", "affects": [{"ref": "in"}, {"ref": "urn:cdx:x/1#y"}]}],
        )
    ).findings
    assert [(each.name, each.where) for each in found] == [
        ("inner", "in"),
        (None, "urn:cdx:x/1#y"),
    ]


BAD: dict[str, tuple[Any, str]] = {
    "grype-matches-is-an-object": (grype(matches={}), "wrong-type"),
    "grype-without-descriptor": (grype(descriptor=None), "wrong-type"),
    "grype-match-is-a-text": (grype(matches=["CVE-1"]), "wrong-type"),
    "grype-match-without-artifact": (
        grype(matches=[{"vulnerability": {"id": "CVE-1"}}]), "missing-member"),
    "grype-id-is-empty": (
        grype(matches=[{"vulnerability": {"id": ""}, "artifact": {}}]), "missing-member"),
    "grype-severity-is-a-number": (
        grype(matches=[{"vulnerability": {"id": "C", "severity": 9}, "artifact": {}}]),
        "wrong-type"),
    "grype-score-is-a-text": (
        grype(matches=[{
            "vulnerability": {"id": "C", "cvss": [{"metrics": {"baseScore": "10"}}]},
            "artifact": {}}]),
        "wrong-type"),
    "grype-time-without-offset": (
        grype(descriptor={"name": "grype", "timestamp": "2026-11-20T10:00:00"}), "bad-time"),
    "trivy-results-missing": (trivy(Results=None), "nothing-scanned"),
    "trivy-results-empty": (trivy(Results=[]), "nothing-scanned"),
    "trivy-results-is-an-object": (trivy(Results={"a": 1}), "wrong-type"),
    "trivy-vulnerabilities-is-a-text": (
        trivy(Results=[{"Vulnerabilities": "none"}]), "wrong-type"),
    "trivy-vulnerability-without-package": (
        trivy(Results=[{"Vulnerabilities": [{"VulnerabilityID": "C"}]}]), "missing-member"),
    "trivy-cvss-is-a-number": (
        trivy(Results=[{"Vulnerabilities": [
            {"VulnerabilityID": "C", "PkgName": "p", "CVSS": {"nvd": 7}}]}]),
        "wrong-type"),
    "trivy-created-in-month-13": (trivy(CreatedAt="2026-13-01T00:00:00Z"), "bad-time"),
    "sarif-without-runs": ({"version": "2.1.0", "$schema": "sarif-2.1.0.json"}, "missing-member"),
    "sarif-with-no-run": ({"version": "2.1.0", "runs": []}, "nothing-scanned"),
    "sarif-with-two-runs": ({"version": "2.1.0", "runs": [{}, {}]}, "several-scans"),
    "sarif-without-results": (sarif(results=None), "nothing-scanned"),
    "sarif-of-a-failed-run": (
        sarif(invocations=[{"executionSuccessful": False}]), "scan-failed"),
    "sarif-rule-that-is-not-there": (sarif(results=[{"ruleIndex": 9}]), "bad-rule"),
    "sarif-extension-that-is-not-there": (
        sarif(results=[{"rule": {"index": 0, "toolComponent": {"index": 0}}}]), "bad-rule"),
    "sarif-result-without-rule": (sarif(results=[{"message": {}}]), "missing-member"),
    "sarif-rule-index-is-a-text": (sarif(results=[{"ruleIndex": "0"}]), "wrong-type"),
    "cyclonedx-without-vulnerabilities": (vex(vulnerabilities=None), "nothing-scanned"),
    "cyclonedx-affects-is-an-object": (
        vex(vulnerabilities=[{"id": "C", "affects": {"ref": "x"}}]), "wrong-type"),
    "cyclonedx-vulnerability-without-id": (vex(vulnerabilities=[{}]), "missing-member"),
    "cyclonedx-components-is-a-text": (vex(components="many"), "wrong-type"),
    "an-array": ([], "wrong-type"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_report(name: str):
    document, code = BAD[name]
    with pytest.raises(MalformedInput) as caught:
        parse(document)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "document",
    [{}, {"a": 1}, trivy(SchemaVersion=1), {"version": "2.0.0", "runs": []},
     vex(specVersion="1.3"), {"spdxVersion": "SPDX-2.3"}],
    ids=["empty", "other", "trivy-1", "sarif-2.0", "cyclonedx-1.3", "spdx"],
)  # fmt: skip
def test_unsupported_report(document: Any):
    with pytest.raises(Unsupported):
        parse(document)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"matches":[],"matches":[]}'])
def test_not_json(data: bytes):
    with pytest.raises(MalformedInput):
        parse_report(data)


def test_deep_nesting():
    with pytest.raises(MalformedInput) as caught:
        parse_report(b'{"runs":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
    assert caught.value.code == "nested-too-deep"


def test_one_finding_cannot_be_multiplied():
    """Ratings and affected components of one vulnerability would multiply."""
    many = [{"ref": str(number)} for number in range(20_000)]
    ratings = [{"severity": "low"}] * (limits.MAX_LISTED + 1)
    with pytest.raises(TooLarge):
        parse(vex(vulnerabilities=[{"id": "C", "affects": many, "ratings": ratings}]))
    found = parse(vex(vulnerabilities=[{"id": "C", "affects": many, "ratings": ratings[:-1]}]))
    assert len(found.findings) == len(many)


def test_too_many_findings():
    many = [{"ref": str(number)} for number in range(limits.MAX_SCAN_FINDINGS + 1)]
    with pytest.raises(TooLarge):
        parse(vex(vulnerabilities=[{"id": "C", "affects": many}]))


def test_a_long_text():
    with pytest.raises(TooLarge):
        parse(vex(vulnerabilities=[{"id": "C" * (limits.MAX_SCAN_TEXT + 1)}]))


@pytest.mark.parametrize(
    "text",
    ["2026-11-20T10:00:00Z", "2026-11-20t10:00:00.123456789+05:30"],
)
def test_moments(text: str):
    assert check_moment(text, "x") == text


@pytest.mark.parametrize(
    "text", ["", "2026-11-20", "2026-11-20T25:00:00Z", "2026-11-20T10:00:00", "20261120T100000Z",
             "2026-11-20T10:00:00Z ", "٢٠٢٦-11-20T10:00:00Z"],
)  # fmt: skip
def test_bad_moments(text: str):
    with pytest.raises(MalformedInput):
        check_moment(text, "x")
