"""``attest bom vulns``: reports become claims that say no more than the report did."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from attest.claim.vulns import read_vulns
from tests.cli.support import attest
from tests.support.bom_examples import grype, sarif, trivy, vex

VULNS = "https://in-toto.io/attestation/vulns/v0.2"


def write(document: Any) -> str:
    Path("report.json").write_text(json.dumps(document))
    return "report.json"


def claim(*args: str, document: Any):
    return attest(
        "bom", "vulns", "model", "--import", write(document), "--key", "release.key", *args
    )


def statement() -> dict[str, Any]:
    (line,) = Path("model.claims.jsonl").read_text().splitlines()
    held = json.loads(line)
    return json.loads(base64.b64decode(held.get("dsseEnvelope", held)["payload"]))


def test_grype(signed: Path):
    ran = claim(document=grype())
    assert ran.code == 0, ran.err
    assert "claimed: vulnerabilities (grype) of model" in ran.out
    assert "found      1 critical, 1 info, 1 suppressed" in ran.out
    made = statement()
    assert made["predicateType"] == VULNS
    read = read_vulns(made["predicate"])
    assert (read.scanner, read.version) == ("https://github.com/anchore/grype", "0.80.0")
    assert read.db_updated == "2026-11-19T01:30:00Z"
    assert read.started == read.finished == "2026-11-20T10:00:00.123456789Z"
    worst = read.results[0]
    assert worst.severities == (("severity", "critical"), ("CVSSv31", "10"))
    assert worst.annotation("package") == "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1"
    assert worst.annotation("fixed") == "2.15.0"
    assert worst.annotation("alias") == "CVE-2021-44228"
    assert [each.annotation("state") for each in read.results] == [None, "suppressed", None]


def test_json(signed: Path):
    ran = claim("--json", document=grype())
    report = ran.report
    assert report["schema"] == "urn:attest-toolkit:bom-vulns:v1"
    assert report["subject"]["report"]["counts"] == {"critical": 1, "info": 1, "suppressed": 1}
    assert report["subject"]["report"]["predicateType"] == VULNS
    assert report["subject"]["report"]["digest"].startswith("sha256:")


def test_nothing_found_is_an_empty_result(signed: Path):
    ran = claim(document=grype(matches=[], ignoredMatches=[]))
    assert ran.code == 0
    assert "found      none" in ran.out
    assert statement()["predicate"]["scanner"]["result"] == []


def test_what_a_report_does_not_say_is_asked_for(signed: Path):
    ran = claim(document=trivy())
    assert ran.code == 2
    assert "--db-updated TIME" in ran.err
    assert "--scanned" not in ran.err.split("hint")[0].partition("give")[2]
    ran = claim("--db-updated", "2026-11-19T00:00:00Z", document=trivy())
    assert ran.code == 0
    read = read_vulns(statement()["predicate"])
    assert read.db_updated == "2026-11-19T00:00:00Z"
    assert read.finished == "2026-11-20T10:00:00+01:00"
    assert read.results[0].annotation("location") == "example/app:1 (alpine 3.18.2)"


def test_sarif(signed: Path):
    ran = claim("--db-updated", "2026-11-19T00:00:00Z", document=sarif())
    assert ran.code == 0
    read = read_vulns(statement()["predicate"])
    assert (read.started, read.finished) == ("2026-11-20T10:00:00Z", "2026-11-20T10:05:00Z")
    assert [each.severity() for each in read.results] == ["critical", "low"]


def test_sarif_without_any_time(signed: Path):
    document = sarif(invocations=[])
    ran = claim(document=document)
    assert ran.code == 2
    assert "give --scanned TIME and --db-updated TIME" in ran.err
    times = ("--scanned", "2026-11-20T00:00:00Z", "--db-updated", "2026-11-19T00:00:00Z")
    assert claim(*times, document=document).code == 0


def test_a_time_that_the_report_has_is_not_overridden(signed: Path):
    ran = claim("--db-updated", "2026-11-20T00:00:00Z", document=grype())
    assert ran.code == 2
    assert "the report itself says" in ran.err
    assert not Path("model.claims.jsonl").exists()


def test_vex_is_claimed_as_it_is(signed: Path):
    document = vex()
    document["vulnerabilities"][0]["later"] = {"kept": [1, 2.5, None]}
    ran = claim(document=document)
    assert ran.code == 0, ran.err
    assert "found      1 unknown, 1 not_affected" in ran.out
    made = statement()
    assert made["predicateType"] == "https://cyclonedx.org/bom"
    assert made["predicate"] == document


def test_vex_takes_no_times(signed: Path):
    assert claim("--scanned", "2026-11-20T00:00:00Z", document=vex()).code == 2


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ([], "wrong-type"),
        ({}, "unknown-report"),
        (trivy(Results=[]), "nothing-scanned"),
        ({"version": "2.1.0", "runs": []}, "nothing-scanned"),
        (sarif(invocations=[{"executionSuccessful": False}]), "scan-failed"),
        (grype(matches="none"), "wrong-type"),
        (vex(vulnerabilities=None), "nothing-scanned"),
    ],
    ids=["array", "other", "trivy-nothing", "sarif-no-run", "failed", "types", "no-vulns"],
)
def test_bad_report(signed: Path, document: Any, code: str):
    ran = claim("--json", document=document)
    assert ran.code in (1, 3)
    assert code in ran.codes
    assert not Path("model.claims.jsonl").exists()


def test_cut_off(signed: Path):
    Path("cut.json").write_text(json.dumps(grype())[:-9])
    ran = attest("bom", "vulns", "model", "--import", "cut.json", "--key", "release.key")
    assert ran.code == 1
    assert "cut.json" in ran.err


def test_usage(signed: Path):
    assert attest("bom", "vulns", "model", "--key", "release.key").code == 2
    assert attest("bom", "vulns", "model", "--import", write(grype())).code == 2


def test_a_missing_report(signed: Path):
    ran = attest("bom", "vulns", "model", "--import", "nowhere", "--key", "release.key")
    assert ran.code == 3


def test_a_scanner_without_an_address_is_a_urn(signed: Path):
    document = sarif()
    driver = document["runs"][0]["tool"]["driver"]
    del driver["informationUri"]
    driver["name"] = "Größe 1"
    assert claim("--db-updated", "2026-11-19T00:00:00Z", document=document).code == 0
    assert statement()["predicate"]["scanner"]["uri"] == "urn:scanner:Gr%C3%B6%C3%9Fe%201"
