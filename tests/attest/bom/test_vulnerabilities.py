"""Severities and states in one vocabulary: what is not known is never called harmless."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attest.bom.vulnerabilities import (
    SARIF_LEVELS,
    SEVERITY_NAMES,
    VulnerabilitySeverity,
    normalise,
    severity_of,
    severity_of_score,
    worst,
)
from attest.codec.scanreports import parse_report
from tests.support.bom_examples import grype, sarif, trivy, vex

S = VulnerabilitySeverity


def read(document: Any):
    return normalise(parse_report(json.dumps(document).encode()))


@pytest.mark.parametrize(
    ("written", "severity"),
    [
        ("Critical", S.CRITICAL), ("HIGH", S.HIGH), ("Important", S.HIGH), ("moderate", S.MEDIUM),
        ("Medium", S.MEDIUM), ("Low", S.LOW), ("Negligible", S.INFO), ("informational", S.INFO),
        ("none", S.NONE), ("Unknown", S.UNKNOWN), ("UNKNOWN", S.UNKNOWN),
    ],
)  # fmt: skip
def test_severity_names(written: str, severity: S):
    assert severity_of(written) is severity


@pytest.mark.parametrize("written", [None, "", "n/a", "Urgent", "5", "no", "hıgh", "critical!"])
def test_a_name_that_is_not_in_the_table_is_unknown(written: str | None):
    assert severity_of(written) is S.UNKNOWN


def test_only_one_word_means_none():
    assert [name for name, severity in SEVERITY_NAMES.items() if severity is S.NONE] == ["none"]
    assert S.NONE not in SARIF_LEVELS.values()


@pytest.mark.parametrize(
    ("score", "severity"),
    [(10, S.CRITICAL), (9.0, S.CRITICAL), (8.9, S.HIGH), (7.0, S.HIGH), (4.0, S.MEDIUM),
     (0.1, S.LOW), (0, S.UNKNOWN), (-1, S.UNKNOWN), (10.1, S.UNKNOWN)],
)  # fmt: skip
def test_bands(score: float, severity: S):
    assert severity_of_score(score) is severity


def test_worst():
    assert worst([S.LOW, S.CRITICAL, S.UNKNOWN]) is S.CRITICAL
    assert worst([S.NONE, S.UNKNOWN]) is S.UNKNOWN
    assert worst([S.NONE]) is S.NONE
    assert worst([]) is S.UNKNOWN


def test_grype():
    report = read(grype())
    assert [(each.id, each.severity, each.state) for each in report.findings] == [
        ("GHSA-jfh8-c2jp-5v3q", S.CRITICAL, "open"),
        ("CVE-2020-1", S.HIGH, "suppressed"),
        ("CVE-2005-2541", S.INFO, "open"),
    ]
    assert report.findings[0].score == 10.0
    assert report.findings[2].package == "tar@1.34"
    assert report.counts() == {"critical": 1, "info": 1, "suppressed": 1}


def test_trivy():
    (found,) = read(trivy()).findings
    assert (found.severity, found.score, found.scores) == (S.HIGH, 7.5, (("CVSSv3", "7.5"),))


def test_sarif_scores_before_levels():
    first, second = read(sarif()).findings
    assert (first.severity, first.score) == (S.CRITICAL, 9.8)
    assert (second.severity, second.state) == (S.LOW, "suppressed")


def test_the_sarif_level_none_is_unknown():
    (found,) = read(sarif(results=[{"ruleId": "A", "level": "none"}])).findings
    assert found.severity is S.UNKNOWN


@pytest.mark.parametrize(
    ("rating", "severity"),
    [
        ({"severity": "none", "score": 9.8, "method": "CVSSv31"}, S.CRITICAL),
        ({"severity": "none", "score": 0, "method": "CVSSv31"}, S.NONE),
        ({"severity": "none"}, S.NONE),
        ({"severity": "low", "score": 9.8, "method": "CVSSv31"}, S.LOW),  # somebody's judgement
    ],
)
def test_none_beside_a_score_is_no_judgement(rating, severity):
    document = vex()
    document["vulnerabilities"] = [{"id": "CVE-1", "ratings": [rating]}]
    (found,) = read(document).findings
    assert found.severity is severity


def test_a_scanner_that_says_none_beside_a_score():
    document = grype()
    document["matches"] = document["matches"][:1]
    document["matches"][0]["vulnerability"] |= {
        "severity": "None",
        "cvss": [{"version": "3.1", "vector": "x", "metrics": {"baseScore": 9.8}}],
    }
    assert S.CRITICAL in {each.severity for each in read(document).findings}


def test_vex():
    report = read(vex())
    assert [(each.id, each.severity, each.state) for each in report.findings] == [
        ("CVE-2020-25649", S.HIGH, "not_affected"),
        ("CVE-2021-1", S.UNKNOWN, "open"),
    ]
    assert report.counts() == {"unknown": 1, "not_affected": 1}


def test_a_rating_of_zero_is_no_rating():
    rated = {"id": "C", "ratings": [{"score": 0, "method": "CVSSv31"}]}
    assert read(vex(vulnerabilities=[rated])).findings[0].severity is S.UNKNOWN


def test_a_strange_state_settles_nothing():
    odd = {"id": "C", "analysis": {"state": "wontfix_because_reasons"}}
    report = read(vex(vulnerabilities=[odd]))
    assert report.findings[0].state == "unknown"
    assert report.counts() == {"unknown": 1}


def test_repetitions_count_once():
    match = grype()["matches"][1]
    assert len(read(grype(matches=[match, match], ignoredMatches=[])).findings) == 1


def test_order_does_not_depend_on_the_report():
    matches = [
        {"vulnerability": {"id": f"CVE-{n}", "severity": "Low"}, "artifact": {"name": str(n % 7)}}
        for n in range(50)
    ]
    forward = read(grype(matches=matches)).findings
    assert forward == read(grype(matches=matches[::-1])).findings
