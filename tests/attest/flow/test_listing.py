"""Listing claims: what counts, what it says, and what contradicts itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.flow.listing import list_claims
from attest.flow.sign import sign_artifact
from attest.flow.subject import subject_from_content
from attest.trust.signers import KeyTrust
from attest.verdict import Outcome, Verdict
from tests.support import pki
from tests.support.claims import (
    ALICE,
    APPROVAL,
    ARTIFACT,
    BOB,
    CAROL,
    ODD,
    OTHER,
    approval,
    card,
    claim,
    claim_id,
    line,
    people,
    revoking,
    scanned,
)
from tests.support.forge import refusals

PEOPLE = people(alice=ALICE, bob=BOB)


@pytest.fixture
def digests(tree: Path) -> dict[str, str]:
    """Of the tree, which Alice has signed."""
    sign_artifact(tree, [ALICE])
    return dict(subject_from_content(tree).digests)


def listed(path: Path, *lines: bytes, **more) -> Verdict:
    (path.parent / f"{path.name}.claims.jsonl").write_bytes(b"".join(lines))
    return list_claims(path, **{"principals": PEOPLE, "at": pki.NOON, **more})


def codes(verdict: Verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


def test_claims_are_listed_with_who_and_what(tree, digests):
    odd = claim(ODD, {"x": 1}, digests)
    verdict = listed(
        tree, line(claim(APPROVAL, approval(ring="canary"), digests), ALICE, BOB), line(odd, BOB)
    )
    assert verdict.outcome is Outcome.PASS
    first, second = verdict.subject["claims"]
    assert first["principals"] == ["alice", "bob"]
    assert first["says"] == [
        "Somebody (release): approve for production, ring canary",
    ]
    assert second == {
        "line": 2,
        "id": claim_id(odd),
        "type": ODD,
        "principals": ["bob"],
        "says": [],
        "withdrawn": False,
        "other-artifact": False,
        "subject": [{"name": "model", "digest": digests}],
    }
    assert verdict.subject["digests"] == digests
    assert set(verdict.inputs) == {"principals", "claims"}
    json.dumps(verdict.to_json())


def test_a_claim_that_says_null_says_nothing(tree, digests):
    verdict = listed(tree, line(claim(APPROVAL, {**approval(), "ring": None}, digests), ALICE))
    assert verdict.subject["claims"][0]["says"] == ["Somebody (release): approve for production"]


def test_strangers_are_counted_and_other_artifacts_marked(tree, digests):
    verdict = listed(
        tree,
        line(claim(ODD, {}, digests), CAROL),
        line(claim(ODD, {}, OTHER), ALICE),
        line(claim(ODD, {}, [digests, OTHER]), ALICE),
    )
    assert verdict.outcome is Outcome.FAIL  # nothing that counts is left
    assert {"claims-not-counted", "claim-about-another", "no-claims"} <= set(codes(verdict))
    assert [each["other-artifact"] for each in verdict.subject["claims"]] == [True, True]


@pytest.mark.parametrize("wrong", ["sha256", "attestTreeV1"])
def test_one_digest_of_two_is_another_artifact(tree, digests, wrong):
    verdict = listed(tree, line(claim(ODD, {}, {**digests, wrong: "00" * 32}), ALICE))
    assert verdict.subject["claims"][0]["other-artifact"] is True


def test_withdrawn_claims_are_marked(tree, digests):
    odd = claim(ODD, {}, digests)
    verdict = listed(tree, line(odd, ALICE), line(revoking(odd), ALICE))
    marked = {each["id"]: each["withdrawn"] for each in verdict.subject["claims"]}
    assert marked[claim_id(odd)] is True
    assert sum(marked.values()) == 1


# -- clashes -------------------------------------------------------------------------------------


def scored(value: float, **members) -> dict:
    record = {
        "suite": "mmlu",
        "version": "1",
        "task": "law",
        "metric": "acc",
        "value": value,
        "comparator": ">=",
        "threshold": 0.5,
        **members,
    }
    name = f"{record['suite']}/{record['task']}/{record['metric']}"
    return {
        "result": "PASSED",
        "configuration": [],
        "passedTests": [name],
        "warnedTests": [],
        "failedTests": [],
        "evaluation": [record],
    }


LAW = "mmlu/law/acc"
SCAN = "urn:attest-toolkit:scan:v1"
DATASET = "urn:attest-toolkit:dataset:v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
CLASHES = {
    "kind": (ARTIFACT, {"kind": "model"}, {"kind": "dataset"}),
    "firmware": (
        ARTIFACT,
        {"kind": "firmware", "firmware": {"version": "1", "rollbackCounter": 7}},
        {"kind": "firmware", "firmware": {"version": "1", "rollbackCounter": 6}},
    ),
    "approval": (APPROVAL, approval(), approval(decision="reject")),
    "approval of null": (APPROVAL, approval(), {**approval(decision="reject"), "ring": None}),
    "metric": (TEST_RESULT, scored(0.71), scored(0.69)),
    "threshold": (
        TEST_RESULT,
        scored(0.71),
        {
            **scored(0.71, threshold=0.9),
            "result": "FAILED",
            "passedTests": [],
            "failedTests": [LAW],
        },
    ),
    "scan": (SCAN, scanned(), scanned(clean=1, malicious=1)),
    "unlisted is not clean": (SCAN, scanned(), scanned(unlisted=1)),
    "personal data": (DATASET, card(personalData="none"), card(personalData="unknown")),
}
AGREEMENTS = {
    "kind": (ARTIFACT, {"kind": "model", "files": 1}, {"kind": "model", "files": 2}),
    "unknown members": (ARTIFACT, {"kind": "model"}, {"kind": "model", "firmware": {}, "x": 1}),
    "approvers": (APPROVAL, approval(), approval(approver="Another", comment="fine")),
    "rings": (APPROVAL, approval(ring="a"), approval(ring="b", decision="reject")),
    "roles": (APPROVAL, approval(), approval(role="safety", decision="reject")),
    "metric": (TEST_RESULT, scored(0.71), scored(0.71, stderr=0.1)),
    "versions": (TEST_RESULT, scored(0.71), scored(0.6, version="2")),
    "scan": (SCAN, scanned(), scanned(clean=7)),
    "dataset": (DATASET, card(), card(contact="data@example.com")),
    "unknown types": (ODD, {"x": 1}, {"x": 2}),
}


@pytest.mark.parametrize("name", CLASHES)
def test_contradictions_are_both_shown_and_refuse(tree, digests, name):
    kind, first, second = CLASHES[name]
    verdict = listed(
        tree, line(claim(kind, first, digests), ALICE), line(claim(kind, second, digests), BOB)
    )
    assert verdict.outcome is Outcome.FAIL
    assert set(refusals(verdict)) == {"claims-clash"}
    (clash,) = [each for each in verdict.findings if each.code == "claims-clash"]
    assert "alice (line 1)" in clash.message
    assert "bob (line 2)" in clash.message
    told = [identity for listed in clash.details["answers"].values() for identity in listed]
    assert set(told) == {claim_id(claim(kind, each, digests)) for each in (first, second)}
    assert len(verdict.subject["claims"]) == 2


@pytest.mark.parametrize("name", AGREEMENTS)
def test_what_does_not_contradict(tree, digests, name):
    kind, first, second = AGREEMENTS[name]
    verdict = listed(
        tree, line(claim(kind, first, digests), ALICE), line(claim(kind, second, digests), BOB)
    )
    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize("how", ["stranger", "other artifact", "withdrawn"])
def test_contradictions_by_nobody_about_others_or_withdrawn(tree, digests, how):
    said = line(claim(ARTIFACT, {"kind": "model"}, digests), ALICE)
    wrong = claim(ARTIFACT, {"kind": "dataset"}, OTHER if how == "other artifact" else digests)
    lines = [said, line(wrong, CAROL if how == "stranger" else BOB)]
    if how == "withdrawn":
        lines.append(line(revoking(wrong), BOB))
    assert listed(tree, *lines).outcome is Outcome.PASS


def test_one_person_can_contradict_themselves(tree, digests):
    lines = [line(claim(ARTIFACT, {"kind": kind}, digests), ALICE) for kind in ("model", "dataset")]
    assert listed(tree, *lines).outcome is Outcome.FAIL


# -- a claims file by itself ---------------------------------------------------------------------


def test_a_claims_file_by_itself(tmp_path):
    path = tmp_path / "any.claims.jsonl"
    path.write_bytes(line(claim(ODD, {}, OTHER), ALICE))
    verdict = list_claims(path, principals=PEOPLE, at=pki.NOON)
    assert verdict.outcome is Outcome.PASS
    assert verdict.subject["claims"][0]["other-artifact"] is False
    assert "digests" not in verdict.subject


def test_a_dataset_that_is_called_jsonl_is_an_artifact(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(b'{"text": "not a claim"}\n')
    sign_artifact(path, [ALICE])
    digests = dict(subject_from_content(path).digests)
    verdict = listed(path, line(claim(ODD, {}, digests), ALICE))
    assert verdict.outcome is Outcome.PASS
    assert verdict.subject["digests"] == digests


@pytest.mark.parametrize("option", ["trust", "signature", "claims"])
def test_who_speaks_of_an_artifact_means_one(tmp_path, option):
    """An argument that would be left out of account must not be accepted."""
    path = tmp_path / "any.claims.jsonl"
    path.write_bytes(line(claim(ODD, {}), ALICE))
    given = {
        "trust": KeyTrust((BOB.public_key,)),
        "signature": tmp_path / "none.sig",
        "claims": path,
    }
    verdict = list_claims(path, principals=PEOPLE, at=pki.NOON, **{option: given[option]})
    assert verdict.outcome in (Outcome.FAIL, Outcome.ERROR)


# -- refusals ------------------------------------------------------------------------------------


def test_an_artifact_without_claims(tree, digests):
    verdict = list_claims(tree, principals=PEOPLE, at=pki.NOON)
    assert verdict.outcome is Outcome.ERROR
    assert set(refusals(verdict)) == {"file-missing"}


def test_an_artifact_that_nobody_known_has_signed(tree, digests):
    verdict = listed(tree, line(claim(ODD, {}, digests), ALICE), principals=people(bob=BOB))
    assert verdict.outcome is Outcome.FAIL
    trusting = listed(
        tree,
        line(claim(ODD, {}, digests), BOB),
        principals=people(bob=BOB),
        trust=KeyTrust((ALICE.public_key,)),
    )
    assert trusting.outcome is Outcome.PASS
    assert [each["principals"] for each in trusting.subject["claims"]] == [["bob"]]


def test_a_malformed_predicate_of_a_known_type_is_named(tree, digests):
    verdict = listed(
        tree, line(claim(ODD, {}, digests), ALICE), line(claim(APPROVAL, {}, digests), ALICE)
    )
    (places,) = refusals(verdict).values()
    assert "line 2" in str(places[0])


@pytest.mark.parametrize("tail", [b"{", b"\n", b"junk\n"])
def test_a_malformed_file(tree, digests, tail):
    verdict = listed(tree, line(claim(ODD, {}, digests), ALICE) + tail)
    assert verdict.outcome is Outcome.FAIL
    assert verdict.subject["claims"] == []


@pytest.mark.parametrize("by", [CAROL, None], ids=["a stranger", "nobody"])
def test_an_empty_list_is_no_pass(tree, digests, by):
    verdict = listed(tree, *([] if by is None else [line(claim(ODD, {}, digests), by)]))
    assert verdict.outcome is Outcome.FAIL
    assert "no-claims" in codes(verdict)
    assert "claims-verified" not in codes(verdict)


def test_an_empty_claims_file_by_itself_is_no_pass(tmp_path):
    path = tmp_path / "any.claims.jsonl"
    path.write_bytes(b"")
    assert list_claims(path, principals=PEOPLE, at=pki.NOON).outcome is Outcome.FAIL
