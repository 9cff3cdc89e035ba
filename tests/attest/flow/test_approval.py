"""Have enough people approved it? Every way in which an approval must not count is here by name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.claim.approval import Approval
from attest.errors import MalformedInput
from attest.flow.approval import ApprovalScope, check_approvals, describe, judge_approvals
from attest.flow.claimset import read_claims
from attest.flow.sign import sign_artifact
from attest.flow.subject import subject_from_content
from attest.trust.principals import Principals
from attest.trust.signers import KeyTrust
from attest.verdict import Outcome, Severity, Verdict
from tests.support import pki
from tests.support.claims import (
    ALICE,
    APPROVAL,
    BOB,
    CAROL,
    DAN,
    DIGESTS,
    OTHER,
    approval,
    claim,
    claim_id,
    fingerprint,
    line,
    people,
    revoking,
    sign,
    signatures,
)
from tests.support.forge import pae, refusals
from tests.support.recovered import recovered_keys

PEOPLE = people(alice=ALICE, bob=BOB, carol=CAROL)


def approves(key=ALICE, digests=DIGESTS, **members) -> bytes:
    """A line: somebody's approval, or whatever the members make of it."""
    return line(claim(APPROVAL, approval(**members), digests), key)


def judged(
    *lines: bytes,
    principals: Principals = PEOPLE,
    at: datetime = pki.NOON,
    environment: str = "production",
    **scope,
) -> Verdict:
    read = read_claims(b"".join(lines), principals=principals, at=at, where="c")
    asked = ApprovalScope("release", environment, **scope)
    findings = judge_approvals(read, DIGESTS, asked, at)
    return Verdict.conclude(findings, subject={}, inputs={}, at=at)


def passes(*lines: bytes, **more) -> bool:
    return judged(*lines, **more).outcome is Outcome.PASS


def codes(verdict: Verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


# -- thresholds ----------------------------------------------------------------------------------


def test_nothing_is_no_approval():
    """Trap 1."""
    verdict = judged()
    assert set(refusals(verdict)) == {"approvals-missing"}
    assert "0 of 1" in verdict.findings[-1].message


def test_a_threshold_of_none_cannot_be_asked():
    for threshold in (0, -1):
        with pytest.raises(ValueError, match="approves everything"):
            ApprovalScope("release", "production", threshold=threshold)


def test_one_of_one():
    verdict = judged(approves())
    assert codes(verdict) == ["approval-counted", "approvals-met"]
    assert verdict.findings[-1].details == {"approved": ["alice"], "threshold": 1}
    assert "by alice" in verdict.findings[-1].message


def test_two_people_are_two():
    assert passes(approves(ALICE), approves(BOB), threshold=2)
    assert not passes(approves(ALICE), approves(BOB), threshold=3)


def test_two_keys_of_one_person_are_one():
    """Traps 14 and 16f."""
    one = people(alice=[ALICE, BOB], carol=CAROL)
    both = approves(ALICE), approves(BOB, approver="Bob Example")
    assert not passes(*both, principals=one, threshold=2)
    cosigned = line(claim(APPROVAL, approval()), ALICE, BOB)
    assert not passes(cosigned, principals=one, threshold=2)
    assert passes(cosigned, principals=PEOPLE, threshold=2)


@pytest.mark.parametrize("hints", [True, False])
def test_one_approval_many_times_is_one(hints):
    again = line(claim(APPROVAL, approval()), ALICE, ALICE, keyids=hints)
    assert not passes(again, again, approves(comment="again"), threshold=2)


def test_the_name_in_the_approval_makes_no_person():
    assert not passes(approves(approver="Alice"), approves(approver="Bob"), threshold=2)


def test_strangers_do_not_count():
    assert not passes(approves(DAN))
    assert not passes(approves(ALICE), approves(DAN), threshold=2)


def test_a_label_makes_no_person():
    statement = claim(APPROVAL, approval())
    stolen = signatures(statement, (ALICE, fingerprint(ALICE)), (ALICE, fingerprint(BOB)))
    assert not passes(stolen, threshold=2)


@pytest.mark.parametrize("lines", [1, 2])
def test_a_key_computed_from_an_approval_is_no_second_approver(lines):
    statement = claim(APPROVAL, approval())
    raw = sign(ALICE, statement)
    computed = next(key for key in recovered_keys(raw, pae(statement)) if key != ALICE.public_key)
    entries = [(raw, fingerprint(ALICE)), (raw, computed.fingerprint)]
    data = (
        [signatures(statement, *entries)]
        if lines == 1
        else [signatures(statement, entry) for entry in entries]
    )
    from attest.errors import BadSignature

    with pytest.raises(BadSignature):
        judged(*data, principals=people(alice=ALICE, mallory=computed), threshold=2)


def test_a_hybrid_approver():
    hybrid = people(alice=KeyTrust((ALICE.public_key, DAN.public_key)))
    statement = claim(APPROVAL, approval())
    assert passes(line(statement, ALICE, DAN), principals=hybrid)
    assert not passes(line(statement, ALICE), line(statement, DAN), principals=hybrid)


# -- which artifact ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "digests",
    [
        OTHER,
        {**DIGESTS, "sha256": "00" * 32},
        {**DIGESTS, "attestTreeV1": "00" * 32},
        {"sha256": DIGESTS["sha256"]},
        {"attestTreeV1": DIGESTS["attestTreeV1"]},
        [DIGESTS, OTHER],
    ],
    ids=["other", "root", "tree", "root only", "tree only", "several"],
)
def test_another_artifact(digests):
    verdict = judged(approves(digests=digests))
    assert codes(verdict) == ["approval-not-counted", "approvals-missing"]
    assert "another artifact" in verdict.findings[0].message


def test_further_digests_do_no_harm():
    assert passes(approves(digests={**DIGESTS, "sha512": "ee"}))


def test_a_rejection_of_another_artifact_does_not_matter():
    assert passes(approves(), approves(BOB, decision="reject", digests=OTHER))


# -- when ----------------------------------------------------------------------------------------

END = "2026-06-01T12:00:00Z"


def test_the_last_second_counts_and_the_next_does_not():
    end = datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert passes(approves(validUntil=END), at=end)
    verdict = judged(approves(validUntil=END), at=end + timedelta(seconds=1))
    assert "not valid at the judged time" in verdict.findings[0].message
    assert verdict.outcome is Outcome.FAIL
    assert not passes(approves(validUntil=END), at=end + timedelta(microseconds=1))


def test_not_before_it_was_made():
    made = datetime(2026, 5, 1, 12, tzinfo=UTC)
    assert passes(approves(), at=made)
    assert not passes(approves(), at=made - timedelta(seconds=1))


def test_the_zone_of_the_judged_time_does_not_matter():
    from datetime import timezone

    east = datetime(2026, 6, 1, 14, tzinfo=timezone(timedelta(hours=2)))
    assert passes(approves(validUntil=END), at=east)
    assert not passes(approves(validUntil=END), at=east + timedelta(seconds=1))


# -- for what ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"role": "safety"},
        {"role": "Release"},
        {"role": "any"},
        {"environment": "staging"},
        {"environment": "PRODUCTION"},
        {"ring": "canary"},
    ],
)
def test_another_scope(members):
    verdict = judged(approves(**members))
    assert codes(verdict) == ["approval-not-counted", "approvals-missing"]


def test_any_environment_and_the_whole_of_one():
    assert passes(approves(environment="any"))
    assert passes(approves(), ring="canary")
    assert passes(approves(ring="canary"), ring="canary")
    assert not passes(approves(ring="wide"), ring="canary")
    assert passes(approves(environment="any"), environment="any")
    assert not passes(approves(), environment="any")


# -- conditions ----------------------------------------------------------------------------------


def test_every_condition_must_be_accepted_word_for_word():
    held = approves(conditions=["rate limit", "eu only"])
    verdict = judged(held)
    assert "rate limit" in verdict.findings[0].message
    assert verdict.outcome is Outcome.FAIL
    assert not passes(held, conditions=frozenset({"rate limit"}))
    assert not passes(held, conditions=frozenset({"rate limit", "EU only"}))
    assert passes(held, conditions=frozenset({"rate limit", "eu only", "more"}))


# -- rejections ----------------------------------------------------------------------------------


def rejects(key=BOB, **members) -> bytes:
    return approves(key, decision="reject", **members)


@pytest.mark.parametrize("order", [1, -1])
def test_one_rejection_outweighs_any_number_of_approvals(order):
    verdict = judged(*[approves(ALICE), rejects(), approves(CAROL)][::order])
    assert verdict.outcome is Outcome.FAIL
    assert set(refusals(verdict)) == {"approval-rejected"}


def test_who_approved_can_reject():
    assert not passes(approves(ALICE), rejects(ALICE))


@pytest.mark.parametrize(
    ("members", "asked", "blocks"),
    [
        ({}, {}, True),
        ({}, {"ring": "canary"}, True),
        ({"ring": "canary"}, {}, True),
        ({"ring": "canary"}, {"ring": "canary"}, True),
        ({"ring": "wide"}, {"ring": "canary"}, False),
        ({"environment": "any"}, {}, True),
        ({"environment": "staging"}, {}, False),
        ({"environment": "staging"}, {"environment": "any"}, True),
        ({"environment": "staging", "ring": "a"}, {"environment": "any"}, True),
        ({"environment": "staging", "ring": "a"}, {"environment": "any", "ring": "b"}, False),
        ({"role": "safety"}, {}, False),
        ({"conditions": ["nobody accepts this"]}, {}, True),
        ({"validUntil": "2026-06-01T11:59:59Z"}, {}, False),
        ({"approvedOn": "2026-06-01T12:00:01Z"}, {}, False),
    ],
)
def test_a_rejection_of_a_part_stands_in_the_way_of_the_whole(members, asked, blocks):
    everything = approves(environment="any"), rejects(**members)
    assert passes(*everything, **asked) is not blocks


def test_a_rejection_by_a_stranger_or_withdrawn_does_not_matter():
    assert passes(approves(), rejects(DAN))
    statement = claim(APPROVAL, approval(decision="reject"))
    assert passes(approves(), line(statement, BOB), line(revoking(statement), BOB))
    assert not passes(approves(), line(statement, BOB), line(revoking(statement), ALICE))


# -- withdrawals ---------------------------------------------------------------------------------


def test_a_withdrawn_approval_is_told_and_does_not_count():
    statement = claim(APPROVAL, approval())
    verdict = judged(line(statement, ALICE), line(revoking(statement), ALICE))
    assert codes(verdict) == ["approval-withdrawn", "approvals-missing"]


def test_one_of_two_cosigners_withdraws():
    statement = claim(APPROVAL, approval())
    lines = line(statement, ALICE, BOB), line(revoking(statement), ALICE)
    assert passes(*lines)
    assert not passes(*lines, threshold=2)


def test_withdrawn_approvals_of_others_artifacts_are_not_told():
    statement = claim(APPROVAL, approval(), OTHER)
    verdict = judged(line(statement, ALICE), line(revoking(statement), ALICE))
    assert codes(verdict) == ["approvals-missing"]


# -- malformed -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members", [{"decision": "maybe"}, {"role": None}, {"conditions": "x"}, {"validUntil": 5}]
)
def test_a_malformed_approval_by_somebody_who_counts_refuses(members):
    """It may have been a rejection."""
    with pytest.raises(MalformedInput) as caught:
        judged(approves(ALICE), approves(BOB, **members))
    assert "line 2" in str(caught.value.where)


def test_a_malformed_approval_by_a_stranger_is_not_read():
    assert passes(approves(ALICE), approves(DAN, decision="maybe"))


# -- beside an artifact --------------------------------------------------------------------------

SCOPE = ApprovalScope("release", "production")


@pytest.fixture
def digests(tree: Path) -> dict[str, str]:
    sign_artifact(tree, [ALICE])
    return dict(subject_from_content(tree).digests)


def checked(path: Path, *lines: bytes, **more) -> Verdict:
    if lines:
        (path.parent / f"{path.name}.claims.jsonl").write_bytes(b"".join(lines))
    given = {"principals": PEOPLE, "at": pki.NOON, **more}
    return check_approvals(path, given.pop("scope", SCOPE), **given)


def test_an_approved_artifact(tree, digests):
    statement = claim(APPROVAL, approval(), digests)
    verdict = checked(tree, line(statement, BOB))
    assert verdict.outcome is Outcome.PASS
    assert verdict.subject["digests"] == digests
    assert verdict.subject["scope"] == {
        "role": "release",
        "environment": "production",
        "ring": None,
        "threshold": 1,
        "conditions": [],
    }
    assert set(verdict.inputs) == {"principals", "claims"}
    counted = verdict.findings[0]
    assert counted.details["claim"] == claim_id(statement)
    assert counted.details["approval"]["approver"] == "Somebody"
    assert any(each.code == "content-not-read" for each in verdict.findings)


def test_approvals_by_keys_that_were_not_named_are_told(tree, digests):
    verdict = checked(tree, line(claim(APPROVAL, approval(), digests), DAN))
    assert set(refusals(verdict)) == {"approvals-missing"}
    (told,) = [each for each in verdict.findings if each.code == "claims-not-counted"]
    assert told.message == "1 claim(s) by nobody who was named"


def test_an_artifact_without_claims_is_not_approved(tree, digests):
    assert set(refusals(checked(tree))) == {"approvals-missing"}


def test_a_named_claims_file_must_be_there(tree, digests, tmp_path):
    assert checked(tree, claims=tmp_path / "none").outcome is Outcome.ERROR


def test_the_signature_must_be_by_somebody_who_counts(tree, digests):
    approved = line(claim(APPROVAL, approval(), digests), BOB)
    assert checked(tree, approved, principals=people(bob=BOB)).outcome is Outcome.FAIL
    trusting = checked(
        tree, approved, principals=people(bob=BOB), trust=KeyTrust((ALICE.public_key,))
    )
    assert trusting.outcome is Outcome.PASS
    wrong = checked(tree, approved, trust=KeyTrust((BOB.public_key,)))
    assert wrong.outcome is Outcome.FAIL


def test_an_approval_of_one_artifact_beside_another(tree, digests, tmp_path):
    from tests.support.forge import make_tree

    other = make_tree(tmp_path / "other", {"a": b"1"})
    sign_artifact(other, [ALICE])
    verdict = checked(other, line(claim(APPROVAL, approval(), digests), BOB))
    assert set(refusals(verdict)) == {"approvals-missing"}


@pytest.mark.parametrize("tail", [b"{", b"\n", b"{}\n"])
def test_a_malformed_claims_file_is_a_refusal(tree, digests, tail):
    verdict = checked(tree, line(claim(APPROVAL, approval(), digests), BOB) + tail)
    assert verdict.outcome is Outcome.FAIL
    assert "approvals-met" not in codes(verdict)


# -- words ---------------------------------------------------------------------------------------


def test_describe():
    made = Approval(
        "reject",
        "Alice",
        "release",
        "production",
        pki.NOON,
        ring="canary",
        valid_until=pki.END,
        conditions=("a", "b"),
    )
    assert describe(made) == [
        "decision   reject",
        "role       release",
        "for        production, ring canary",
        "until      2030-01-01T00:00:00Z",
        "condition  a",
        "condition  b",
    ]


# -- the law -------------------------------------------------------------------------------------

MEMBERS = st.fixed_dictionaries(
    {
        "decision": st.sampled_from(["approve"] * 4 + ["reject"]),
        "environment": st.sampled_from(["production", "staging", "any"]),
        "ring": st.sampled_from([None, None, "canary"]),
        "conditions": st.sampled_from([None, None, ["c"]]),
        "validUntil": st.sampled_from([None, None, "2026-05-31T00:00:00Z"]),
    }
)


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from([ALICE, BOB, CAROL, DAN]), MEMBERS), max_size=6),
    st.integers(1, 3),
)
def test_counting_by_hand(entries, threshold):
    """Against the definition, written out."""
    verdict = judged(*[approves(key, **members) for key, members in entries], threshold=threshold)
    voices, rejected = set(), False
    for key, each in entries:
        if key is DAN or each["environment"] == "staging" or each["validUntil"]:
            continue
        if each["decision"] == "reject":
            rejected = True
        elif each["ring"] is None and not each["conditions"]:
            voices.add(fingerprint(key))
    good = len(voices) >= threshold and not rejected
    assert (verdict.outcome is Outcome.PASS) is good
    assert all(each.outcome is not Severity.PASS for each in verdict.findings) is (
        len(voices) < threshold
    )
