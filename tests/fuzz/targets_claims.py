"""Fuzz targets for provenance, dataset cards, evaluations and their reports; see targets.py."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final

from attest.claim.dataset import read_dataset
from attest.claim.evaluation import read_test_result
from attest.claim.predicates import (
    DATASET_PREDICATE,
    PROVENANCE_PREDICATE,
    PROVENANCE_V01_PREDICATE,
    PROVENANCE_V02_PREDICATE,
    TEST_RESULT_PREDICATE,
)
from attest.claim.provenance import read_provenance
from attest.claim.sources import is_repository
from attest.codec import jsonstrict
from attest.codec.attestations import parse_any_statement, parse_attestations
from attest.codec.bundle import UnverifiedBundle
from attest.codec.evalreports import parse_harness_report
from attest.codec.junit import parse_junit
from attest.errors import MalformedInput

SHA: Final = "5a" * 32
COMMIT: Final = "1b" * 20


def fuzz_attestations(data: bytes) -> None:
    """What is signed is what a forgiving reader finds in the envelope."""
    for each in parse_attestations(data):
        if each.signed is not None:
            signed = each.signed
            envelope = signed.envelope if isinstance(signed, UnverifiedBundle) else signed
            assert envelope.payload == each.payload
            assert envelope.signatures
        try:
            statement = parse_any_statement(each.payload)
        except MalformedInput:
            continue
        assert statement.predicate_type == json.loads(each.payload)["predicateType"]


def fuzz_provenance(data: bytes) -> None:
    """One of the claims, by its ``kind``: provenance, dataset card or test result."""
    document = jsonstrict.typed(jsonstrict.loads(data, what="x"), dict, where="x")
    kind = jsonstrict.member(document, "kind", str, where="x")
    predicate = jsonstrict.member(document, "predicate", dict, where="x")
    if kind == DATASET_PREDICATE:
        card = read_dataset(predicate)
        assert read_dataset(card.to_predicate()) == card
        assert not set(card.permitted_uses) & set(card.forbidden_uses) - {"unknown"}
        return
    if kind == TEST_RESULT_PREDICATE:
        result = read_test_result(predicate)
        assert result.passed or result.warned or result.failed
        assert read_test_result(result.to_predicate()) == result
        for each in result.evaluations:
            assert math.isfinite(each.value)
        return
    facts = read_provenance(kind, predicate)
    assert facts.builder_id
    if facts.source is not None and is_repository(facts.source.uri):
        assert "@" not in facts.source.uri
        assert facts.source.uri in json.dumps(json.loads(data))
    if facts.interpreted:
        assert all(each.identified for each in facts.dependencies)


def fuzz_junit(data: bytes) -> None:
    """No more tests passed than there are elements that could be tests."""
    suites = parse_junit(data)
    assert sum(suite.passed for suite in suites) <= data.count(b"testcase")
    for suite in suites:
        assert 0 <= suite.passed <= suite.total
        assert suite.total > 0


def fuzz_evalreports(data: bytes) -> None:
    report = parse_harness_report(data)
    results = json.loads(data)["results"]
    assert report.values
    for value in report.values:
        if value.value is not None:
            assert math.isfinite(value.value)
            assert results[value.task][value.full_metric] == value.value


# Where fuzzing begins


def _own(build_type: str = "urn:attest-toolkit:build:training:v1") -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": build_type,
            "externalParameters": {
                "recipe": {"digest": {"sha256": SHA}},
                "seed": 1,
                "workflow": {
                    "ref": "refs/heads/main",
                    "repository": "https://github.com/org/repo",
                    "path": "b.yml",
                },
            },
            "resolvedDependencies": [
                {"digest": {"sha256": SHA}, "annotations": {"attest:role": "dataset"}},
                {
                    "uri": "git+https://github.com/org/repo@refs/heads/main",
                    "digest": {"gitCommit": COMMIT},
                    "annotations": {"attest:role": "code"},
                },
            ],
        },
        "runDetails": {
            "builder": {"id": "https://e.com/b"},
            "metadata": {"startedOn": "2026-01-01T00:00:00Z"},
        },
    }


def _old(**changes: Any) -> dict[str, Any]:
    config = {"uri": "git+https://github.com/org/repo@refs/tags/v1", "digest": {"sha1": COMMIT}}
    return {
        "buildType": "https://e.com/t",
        "builder": {"id": "https://e.com/b"},
        "invocation": {"configSource": config},
        "recipe": {"type": "https://e.com/t", "definedInMaterial": 0},
        "materials": [config],
        **changes,
    }


CARD: Final[dict[str, Any]] = {
    "sources": [{"name": "x", "digest": {"sha256": SHA}, "collectedFrom": "2024-01-01"}],
    "licences": ["MIT"],
    "consentBasis": "licence",
    "personalData": "none",
    "jurisdictions": ["DE", "EU"],
    "permittedUses": ["training"],
    "forbiddenUses": ["military"],
    "retention": {"period": "P2Y", "deletion": "x"},
    "contact": "a@example.com",
    "transformations": [{"description": "x", "inputs": [{"digest": {"sha256": SHA}}]}],
}
RESULT: Final[dict[str, Any]] = {
    "result": "PASSED",
    "configuration": [{"name": "x"}],
    "passedTests": ["s/m"],
    "evaluation": [
        {
            "suite": "s", "version": "1", "metric": "m", "value": 0.5, "comparator": ">=",
            "threshold": 0.1, "environment": {"a": "b"}, "counts": {"passed": 1},
            "dataset": {"name": "d", "digest": {"sha256": SHA}},
        }
    ],
}  # fmt: skip


def _claims() -> list[bytes]:
    listed: list[tuple[str, dict[str, Any]]] = [
        (PROVENANCE_PREDICATE, _own()),
        (PROVENANCE_PREDICATE, _own("https://actions.github.io/buildtypes/workflow/v1")),
        (PROVENANCE_PREDICATE, _own("https://e.com/unknown")),
        (PROVENANCE_V02_PREDICATE, _old()),
        (PROVENANCE_V01_PREDICATE, _old()),
        (DATASET_PREDICATE, CARD),
        (TEST_RESULT_PREDICATE, RESULT),
    ]
    return [json.dumps({"kind": kind, "predicate": made}).encode() for kind, made in listed]


def _attestations() -> list[bytes]:
    import base64

    statement = {
        "_type": "https://in-toto.io/Statement/v0.1",
        "subject": [{"name": "x", "digest": {"sha256": SHA}}],
        "predicateType": PROVENANCE_PREDICATE,
        "predicate": _own(),
    }
    payload = base64.b64encode(json.dumps(statement).encode()).decode()
    kind = "application/vnd.in-toto+json"
    envelope = {"payload": payload, "payloadType": kind, "signatures": [{"sig": "AAAA"}]}
    chain = {"certificates": [{"rawBytes": "AAAA"}]}
    old = {
        "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2",
        "verificationMaterial": {"x509CertificateChain": chain, "tlogEntries": [{}]},
        "dsseEnvelope": envelope,
    }
    new = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{}]},
        "dsseEnvelope": envelope,
    }
    pep740 = {
        "version": 1,
        "verification_material": {"certificate": "AAAA", "transparency_entries": [{}]},
        "envelope": {"statement": payload, "signature": "AAAA"},
    }
    documents: list[dict[str, Any]] = [
        statement, envelope, old, new, pep740,
        {"attestations": [{"bundle": old}, {"bundle": new}]},
        {"version": 1, "attestation_bundles": [{"attestations": [pep740, pep740]}]},
        {"provenance_summary": {"provenance": [{"envelope": envelope}]}},
    ]  # fmt: skip
    made = [json.dumps(document).encode() for document in documents]
    return [*made, b"\n".join(made)]


def _junit() -> list[bytes]:
    return [
        b'<testsuites><testsuite name="s" tests="3" failures="1"><testcase name="a"/>'
        b"<testcase><failure>x</failure></testcase><testcase><skipped/></testcase></testsuite>"
        b"</testsuites>",
        b'<?xml version="1.0" encoding="utf-8"?><testsuite><testsuite><properties><property/>'
        b'</properties><testcase status="notrun"/></testsuite></testsuite>',
        b'<!DOCTYPE x [<!ENTITY a "b">]><testsuite><testcase/></testsuite>',
        b'<p:testsuite xmlns:p="x"><p:testcase><p:error/></p:testcase></p:testsuite>',
    ]


def _reports() -> list[bytes]:
    report = {
        "results": {
            "t": {"acc,none": 0.5, "acc_stderr,none": 0.1, "alias": "t"},
            "g": {"acc,none": 1, "f1,strict": "N/A"},
        },
        "group_subtasks": {"g": ["t", "g"]},
        "versions": {"t": 1.0, "g": "2"},
        "n-samples": {"t": {"original": 5, "effective": 4}},
        "higher_is_better": {"t": {"acc": True}},
        "config": {"model": "hf", "limit": 4, "random_seed": 0},
        "git_hash": "abc",
    }
    old = {"results": {"t": {"acc": 0.5, "acc_stderr": 0.1}}, "versions": {"t": 0}}
    return [json.dumps(report).encode(), json.dumps(old).encode()]


SEEDS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "fuzz_attestations": _attestations,
    "fuzz_provenance": _claims,
    "fuzz_junit": _junit,
    "fuzz_evalreports": _reports,
}


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    return SEEDS[name]()
