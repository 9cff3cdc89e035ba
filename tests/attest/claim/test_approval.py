"""The approval predicate: what is written is read, and nothing else is."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

import attest.claim
from attest.claim.approval import ANY_ENVIRONMENT, DECISIONS, Approval, read_approval
from attest.errors import MalformedInput
from tests.support.claims import approval as predicate

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SCHEMA = Path(attest.claim.__file__).parent / "schemas" / "approval-v1.schema.json"


def make(**members) -> Approval:
    return Approval(
        **{
            "decision": "approve",
            "approver": "Alice",
            "role": "release",
            "environment": "production",
            "approved_on": NOON,
            **members,
        }
    )


def full() -> Approval:
    return make(
        ring="canary",
        valid_until=NOON + timedelta(days=1),
        conditions=("rate limit 10/s",),
        reviewed=("ab" * 32,),
        comment="two\nlines",
    )


def test_a_written_approval_reads_back():
    for made in (make(), full(), make(decision="reject")):
        assert read_approval(made.to_predicate()) == made


def test_what_is_absent_is_not_written():
    assert set(make().to_predicate()) == {
        "decision",
        "approver",
        "role",
        "environment",
        "approvedOn",
    }
    assert full().to_predicate()["reviewed"] == [{"sha256": "ab" * 32}]


def test_what_is_written_fits_the_schema():
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    for made in (make(), full()):
        validator.validate(made.to_predicate())
    for spoil in ({"decision": "maybe"}, {"role": None}, {"reviewed": ["x"]}):
        assert not validator.is_valid({**full().to_predicate(), **spoil})


def test_null_is_absent_and_unknown_members_are_ignored():
    read = read_approval({**make().to_predicate(), "ring": None, "comment": None, "x": [1]})
    assert read == make()


WORDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)


@given(
    st.sampled_from(DECISIONS),
    WORDS,
    st.none() | WORDS,
    st.none() | st.integers(1, 10**9),
    st.lists(WORDS, max_size=3).map(tuple),
)
def test_any_approval_reads_back(decision, word, ring, seconds, conditions):
    until = None if seconds is None else NOON + timedelta(microseconds=seconds)
    made = make(decision=decision, role=word, ring=ring, valid_until=until, conditions=conditions)
    assert read_approval(json.loads(json.dumps(made.to_predicate()))) == made


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"decision": "perhaps"}, "decision"),
        ({"decision": "Approve"}, "decision"),
        ({"approver": ""}, "approver"),
        ({"approver": "x" * 201}, "approver"),
        ({"role": "a\x1bb"}, "role"),
        ({"environment": "\u202e"}, "environment"),
        ({"ring": ""}, "ring"),
        ({"comment": "x" * 2001}, "comment"),
        ({"conditions": ("",)}, "condition"),
        ({"conditions": ("ok", "x" * 2001)}, "condition"),
        ({"reviewed": ("AB" * 32,)}, "reviewed"),
        ({"reviewed": ("ab" * 31,)}, "reviewed"),
        ({"valid_until": NOON}, "before it begins"),
        ({"valid_until": NOON - timedelta(seconds=1)}, "before it begins"),
    ],
)
def test_what_cannot_be_said(members, reason):
    with pytest.raises(ValueError, match=reason):
        make(**members)


@pytest.mark.parametrize(
    "members",
    [
        {"decision": None},
        {"decision": True},
        {"decision": "yes"},
        {"approver": 1},
        {"role": None},
        {"environment": ["production"]},
        {"approvedOn": None},
        {"approvedOn": 1714564800},
        {"approvedOn": "2026-05-01"},
        {"validUntil": "never"},
        {"validUntil": "2026-05-01T12:00:00Z"},
        {"ring": 1},
        {"conditions": "none"},
        {"conditions": [None]},
        {"reviewed": ["ab" * 32]},
        {"reviewed": [{"sha256": "xx"}]},
        {"reviewed": [{}]},
        {"comment": "\x1b[31m"},
    ],
)
def test_malformed_predicates(members):
    with pytest.raises(MalformedInput):
        read_approval(predicate(**members))


def test_the_empty_predicate():
    with pytest.raises(MalformedInput):
        read_approval({})


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        ({}, {}, True),
        ({}, {"ring": "canary"}, True),
        ({"ring": "canary"}, {"ring": "canary"}, True),
        ({"ring": "canary"}, {}, False),
        ({"ring": "canary"}, {"ring": "wide"}, False),
        ({"environment": ANY_ENVIRONMENT}, {}, True),
        ({"environment": ANY_ENVIRONMENT}, {"environment": ANY_ENVIRONMENT}, True),
        ({}, {"environment": ANY_ENVIRONMENT}, False),
        ({"environment": "staging"}, {}, False),
        ({"environment": "Production"}, {}, False),
        ({"role": "safety"}, {}, False),
        ({"role": "any"}, {}, False),
        ({"ring": "any"}, {"ring": "canary"}, False),
    ],
)
def test_what_an_approval_covers(held, asked, expected):
    question = {"role": "release", "environment": "production", "ring": None, **asked}
    assert make(**held).covers(**question) is expected


def test_an_approval_is_current_from_its_making_to_its_end_both_included():
    second = timedelta(seconds=1)
    made = make(valid_until=NOON + 10 * second)
    assert [made.is_current(NOON + n * second) for n in (-1, 0, 10, 11)] == [
        False,
        True,
        True,
        False,
    ]
    assert not made.is_current(NOON + 10 * second + timedelta(microseconds=1))
    assert make().is_current(datetime.max.replace(tzinfo=UTC))
