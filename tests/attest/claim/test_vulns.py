"""Vulnerability claims: the predicate of in-toto, member for member."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from attest.claim.vulns import VulnResult, VulnsClaim, read_vulns
from attest.errors import MalformedInput

TIME = "2026-11-20T10:00:00Z"
CLAIM = VulnsClaim(
    scanner="https://github.com/anchore/grype",
    version="0.80.0",
    db_uri="https://example.com/db",
    db_version="6",
    db_updated=TIME,
    started=TIME,
    finished="2026-11-20T10:05:00.123456789+01:00",
    results=(
        VulnResult(
            "CVE-2021-44228",
            (("severity", "critical"), ("CVSSv31", "10.0")),
            (("package", "pkg:npm/a@1"), ("fixed", "2"), ("fixed", "1.9")),
        ),
        VulnResult("CVE-2020-1", (("severity", "unknown"),)),
    ),
)
SCHEMA = json.loads(
    (resources.files("attest.claim") / "schemas" / "vulns-v0.2.schema.json").read_text()
)


def test_the_predicate_has_the_members_of_the_specification():
    assert CLAIM.to_predicate() == {
        "scanner": {
            "uri": "https://github.com/anchore/grype",
            "version": "0.80.0",
            "db": {"uri": "https://example.com/db", "version": "6", "lastUpdate": TIME},
            "result": [
                {
                    "id": "CVE-2021-44228",
                    "severity": [
                        {"method": "severity", "score": "critical"},
                        {"method": "CVSSv31", "score": "10.0"},
                    ],
                    "annotations": [{"package": "pkg:npm/a@1"}, {"fixed": "2"}, {"fixed": "1.9"}],
                },
                {"id": "CVE-2020-1", "severity": [{"method": "severity", "score": "unknown"}]},
            ],
        },
        "metadata": {
            "scanStartedOn": TIME,
            "scanFinishedOn": "2026-11-20T10:05:00.123456789+01:00",
        },
    }


@pytest.mark.parametrize(
    "claim",
    [CLAIM, VulnsClaim("urn:scanner:x", None, None, None, TIME, TIME, TIME, ())],
    ids=["full", "least"],
)
def test_it_follows_its_schema_and_is_read_back(claim: VulnsClaim):
    predicate = claim.to_predicate()
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(predicate)
    assert read_vulns(predicate) == claim


def test_the_example_of_the_specification():
    predicate = {
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@244fd47e07d1004f0aed9",
            "version": "0.19.2",
            "db": {
                "uri": "pkg:github/aquasecurity/trivy-db/commit/4c76bb5",
                "version": "v1-2021080612",
                "lastUpdate": "2021-08-06T17:45:50.52Z",
            },
            "result": [
                {
                    "id": "CVE-123",
                    "severity": [
                        {"method": "nvd", "score": "medium"},
                        {"method": "cvss_score", "score": "5.2"},
                    ],
                }
            ],
        },
        "metadata": {
            "scanStartedOn": "2021-08-06T17:45:50.52Z",
            "scanFinishedOn": "2021-08-06T17:50:50.52Z",
        },
    }
    jsonschema.Draft202012Validator(SCHEMA).validate(predicate)
    (result,) = read_vulns(predicate).results
    assert result.severity() == "unknown"  # no severity of ours: never guessed
    assert result.annotation("package") is None


def test_unknown_members_are_ignored():
    predicate = {**CLAIM.to_predicate(), "later": 1}
    predicate["scanner"]["later"] = True
    predicate["scanner"]["result"][0]["annotations"].append({"count": 3})
    assert read_vulns(predicate) == CLAIM


def test_severity():
    assert CLAIM.results[0].severity() == "critical"
    assert CLAIM.results[0].annotation("fixed") == "2"
    two = VulnResult("C", (("severity", "low"), ("severity", "high")))
    assert two.severity() == "unknown"


def spoiled(path: str, value: Any) -> dict[str, Any]:
    predicate = CLAIM.to_predicate()
    holder: Any = predicate
    *steps, last = path.split(".")
    for step in steps:
        holder = holder[int(step) if step.isdigit() else step]
    if value is ...:
        del holder[last]
    else:
        holder[last] = value
    return predicate


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("scanner", ...), ("metadata", []), ("scanner.uri", ...), ("scanner.uri", ""),
        ("scanner.db", ...), ("scanner.db.lastUpdate", "yesterday"), ("scanner.version", 3),
        ("scanner.db.lastUpdate", ...), ("scanner.result", {}), ("scanner.result", ["CVE"]),
        ("scanner.result.0.id", ...), ("scanner.result.0.id", ""),
        ("scanner.result.0.severity", ...), ("scanner.result.0.severity", {"method": "x"}),
        ("scanner.result.0.severity.0.score", 10), ("scanner.result.0.annotations", {}),
        ("metadata.scanStartedOn", ...), ("metadata.scanFinishedOn", 1),
        ("metadata.scanFinishedOn", "2026-11-20"),
    ],
)  # fmt: skip
def test_bad_predicate(path: str, value: Any):
    with pytest.raises(MalformedInput):
        read_vulns(spoiled(path, value))


@pytest.mark.parametrize(
    "changes",
    [{"scanner": ""}, {"db_updated": "now"}, {"started": ""},
     {"results": (VulnResult("", ()),)}],
)  # fmt: skip
def test_bad_arguments(changes: dict[str, Any]):
    given = {name: getattr(CLAIM, name) for name in CLAIM.__slots__}
    with pytest.raises(ValueError, match=r"names its|has an id|is not an RFC 3339"):
        VulnsClaim(**{**given, **changes})
