"""The revocation predicate."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import jsonschema
import pytest

import attest.claim
from attest.claim.revocation import Revocation, read_revocation
from attest.errors import MalformedInput

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
SCHEMA = Path(attest.claim.__file__).parent / "schemas" / "revocation-v1.schema.json"
GOOD = Revocation("ab" * 32, "regression\nfound", NOON)


def test_a_written_revocation_reads_back():
    assert read_revocation(GOOD.to_predicate()) == GOOD
    assert GOOD.to_predicate() == {
        "claim": {"sha256": "ab" * 32},
        "reason": "regression\nfound",
        "revokedOn": "2026-05-01T12:00:00Z",
    }


def test_unknown_members_are_ignored():
    more = {**GOOD.to_predicate(), "x": 1, "claim": {"sha256": "ab" * 32, "sha512": "cd"}}
    assert read_revocation(more) == GOOD


def test_what_is_written_fits_the_schema():
    validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
    validator.validate(GOOD.to_predicate())
    assert not validator.is_valid({**GOOD.to_predicate(), "claim": {"sha256": "AB" * 32}})
    assert not validator.is_valid({**GOOD.to_predicate(), "reason": ""})


@pytest.mark.parametrize("claim", ["", "ab", "AB" * 32, "ab" * 33, "g" * 64, "ab" * 31 + "a\n"])
def test_ids_that_name_nothing(claim):
    with pytest.raises(ValueError, match="SHA-256"):
        Revocation(claim, "x", NOON)
    with pytest.raises(MalformedInput):
        read_revocation({**GOOD.to_predicate(), "claim": {"sha256": claim}})


@pytest.mark.parametrize("reason", ["", "x" * 2001, "\x1b[0m"])
def test_reasons_that_nobody_can_read(reason):
    with pytest.raises(ValueError, match="reason"):
        Revocation("ab" * 32, reason, NOON)
    with pytest.raises(MalformedInput):
        read_revocation({**GOOD.to_predicate(), "reason": reason})


@pytest.mark.parametrize("missing", ["claim", "reason", "revokedOn"])
@pytest.mark.parametrize("value", [None, 1, [], "absent"])
def test_members_that_are_missing_or_something_else(missing, value):
    spoiled = {**GOOD.to_predicate(), missing: value}
    if value == "absent":
        del spoiled[missing]
    with pytest.raises(MalformedInput):
        read_revocation(spoiled)
