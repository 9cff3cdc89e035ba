"""BOMs and scanner reports, ours, in the shape that their tools write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def release(**changes: Any) -> dict[str, Any]:
    """A BOM of a model release with what CISA's list asks for."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": "2026-11-20T12:00:00Z",
            "lifecycles": [{"phase": "post-build"}],
            "authors": [{"name": "Example Release Team"}],
            "tools": {"components": [{"type": "application", "name": "maker", "version": "2.0"}]},
            "component": {
                "type": "machine-learning-model",
                "bom-ref": "model",
                "name": "classifier",
                "version": "2.1.0",
                "manufacturer": {"name": "Example Labs"},
                "purl": "pkg:huggingface/example/classifier@2.1.0",
                "hashes": [{"alg": "SHA-256", "content": "aa" * 32}],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
                "modelCard": {
                    "modelParameters": {
                        "task": "text-classification",
                        "architectureFamily": "bert",
                        "datasets": [{"ref": "data"}],
                    }
                },
                "properties": [
                    {"name": "attest:parameters", "value": "109482240"},
                    {"name": "attest:source:licenses", "value": "README.md#license"},
                ],
            },
        },
        "components": [
            {
                "type": "data",
                "bom-ref": "data",
                "name": "reviews",
                "version": "3",
                "manufacturer": {"name": "Example Labs"},
                "purl": "pkg:huggingface/datasets/example/reviews@3",
                "hashes": [{"alg": "SHA-256", "content": "bb" * 32}],
                "licenses": [{"license": {"id": "CC-BY-4.0"}}],
            }
        ],
        "dependencies": [{"ref": "model", "dependsOn": ["data"]}, {"ref": "data"}],
        **changes,
    }


def older() -> dict[str, Any]:
    """The release before: another version, other weights, no dataset."""
    document = release()
    model = document["metadata"]["component"]
    model["version"], model["purl"] = "2.0.0", "pkg:huggingface/example/classifier@2.0.0"
    model["hashes"][0]["content"] = "cc" * 32
    model["modelCard"]["modelParameters"].pop("datasets")
    model["properties"][0]["value"] = "66362880"
    return {**document, "components": [], "dependencies": [{"ref": "model"}]}


def grype(**changes: Any) -> dict[str, Any]:
    """As ``grype -o json`` writes it (0.80)."""
    return {
        "matches": [
            {
                "vulnerability": {
                    "id": "GHSA-jfh8-c2jp-5v3q",
                    "severity": "Critical",
                    "fix": {"versions": ["2.15.0"], "state": "fixed"},
                    "cvss": [
                        {"version": "3.1", "vector": "CVSS:3.1/AV:N", "metrics": {"baseScore": 10}}
                    ],
                },
                "relatedVulnerabilities": [{"id": "CVE-2021-44228"}],
                "artifact": {
                    "name": "log4j-core",
                    "version": "2.14.1",
                    "purl": "pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1",
                },
            },
            {
                "vulnerability": {"id": "CVE-2005-2541", "severity": "Negligible"},
                "artifact": {"name": "tar", "version": "1.34"},
            },
        ],
        "ignoredMatches": [
            {
                "vulnerability": {"id": "CVE-2020-1", "severity": "High"},
                "artifact": {"name": "x", "version": "1"},
                "appliedIgnoreRules": [{"vulnerability": "CVE-2020-1"}],
            }
        ],
        "descriptor": {
            "name": "grype",
            "version": "0.80.0",
            "timestamp": "2026-11-20T10:00:00.123456789Z",
            "db": {"built": "2026-11-19T01:30:00Z", "schemaVersion": 5},
        },
        **changes,
    }


def trivy(**changes: Any) -> dict[str, Any]:
    """As ``trivy --format json`` writes it (schema 2)."""
    return {
        "SchemaVersion": 2,
        "CreatedAt": "2026-11-20T10:00:00+01:00",
        "ArtifactName": "example/app:1",
        "Results": [
            {
                "Target": "example/app:1 (alpine 3.18.2)",
                "Vulnerabilities": [
                    {
                        "VulnerabilityID": "CVE-2023-44487",
                        "PkgName": "nghttp2",
                        "PkgIdentifier": {"PURL": "pkg:apk/alpine/nghttp2@1.55.1-r0"},
                        "InstalledVersion": "1.55.1-r0",
                        "FixedVersion": "1.55.1-r1, 1.57.0-r0",
                        "Severity": "HIGH",
                        "CVSS": {"nvd": {"V3Vector": "CVSS:3.1/AV:N", "V3Score": 7.5}},
                    }
                ],
            },
            {"Target": "Python", "Class": "lang-pkgs"},
        ],
        **changes,
    }


def sarif(**changes: Any) -> dict[str, Any]:
    """SARIF 2.1.0 with one run."""
    run: dict[str, Any] = {
        "tool": {
            "driver": {
                "name": "Some Scanner",
                "semanticVersion": "1.2.3",
                "informationUri": "https://example.com/scanner",
                "rules": [
                    {"id": "CVE-1", "properties": {"security-severity": "9.8"}},
                    {"id": "CVE-2", "defaultConfiguration": {"level": "note"}},
                ],
            }
        },
        "invocations": [
            {
                "executionSuccessful": True,
                "startTimeUtc": "2026-11-20T10:00:00Z",
                "endTimeUtc": "2026-11-20T10:05:00Z",
            }
        ],
        "results": [
            {"ruleId": "CVE-1", "ruleIndex": 0, "level": "error", "message": {"text": "x"}},
            {
                "ruleId": "CVE-2",
                "message": {"text": "y"},
                "suppressions": [{"kind": "external"}],
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": "lib/a.jar"}}}],
            },
        ],
        **changes,
    }
    return {"version": "2.1.0", "runs": [run]}


def vex(**changes: Any) -> dict[str, Any]:
    """CycloneDX with vulnerabilities and what was decided about them."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"timestamp": "2026-11-20T10:00:00Z"},
        "components": [
            {
                "type": "library",
                "bom-ref": "jackson",
                "name": "jackson-databind",
                "version": "2.10.0",
                "purl": "pkg:maven/com.fasterxml.jackson.core/jackson-databind@2.10.0",
            }
        ],
        "vulnerabilities": [
            {
                "id": "CVE-2020-25649",
                "ratings": [
                    {"score": 7.5, "severity": "high", "method": "CVSSv31", "vector": "AV:N"},
                    {"severity": "unknown", "method": "other"},
                ],
                "analysis": {
                    "state": "not_affected",
                    "justification": "code_not_reachable",
                    "response": ["will_not_fix"],
                },
                "affects": [{"ref": "jackson"}],
            },
            {"id": "CVE-2021-1", "affects": [{"ref": "jackson"}]},
        ],
        **changes,
    }


def write_examples(folder: Path) -> None:
    """``release.cdx.json``, ``old.cdx.json``, ``grype.json``, ``vex.cdx.json``."""
    for name, document in (
        ("release.cdx.json", release()),
        ("old.cdx.json", older()),
        ("grype.json", grype()),
        ("vex.cdx.json", vex()),
    ):
        (folder / name).write_text(json.dumps(document, indent=2) + "\n")
