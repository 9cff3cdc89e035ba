"""The claim about what an artifact is."""

from __future__ import annotations

import json

import pytest

from attest.claim.artifact import ArtifactClaim, encode_artifact_claim, read_artifact_claim
from attest.codec.statement import parse_statement
from attest.errors import MalformedInput

DIGESTS = {"sha256": "00" * 32, "attestTreeV1": "11" * 32}


def encode(claim: ArtifactClaim) -> bytes:
    return encode_artifact_claim(claim, name="x", digests=DIGESTS, files=1, size=2)


@pytest.mark.parametrize(
    "claim",
    [
        ArtifactClaim("model"),
        ArtifactClaim("dataset"),
        ArtifactClaim("firmware", "1.0 \N{SNOWMAN}", 0),
        ArtifactClaim("firmware", "v", (1 << 63) - 1),
    ],
)
def test_round_trip(claim):
    statement = parse_statement(encode(claim))
    assert read_artifact_claim(statement.predicate) == claim
    assert statement.subjects[0].digests == DIGESTS


@pytest.mark.parametrize(
    "arguments",
    [
        ("weights",),
        ("",),
        ("Model",),
        ("model", "1.0"),
        ("model", None, 1),
        ("firmware",),
        ("firmware", "1.0"),
        ("firmware", None, 1),
        ("firmware", "", 1),
        ("firmware", "x" * 201, 1),
        ("firmware", "1", -1),
        ("firmware", "1", 1 << 63),
    ],
)
def test_that_cannot_be_made(arguments):
    with pytest.raises(ValueError, match=r"must|firmware"):
        ArtifactClaim(*arguments)


def spoiled(**members) -> bytes:
    document = json.loads(encode(ArtifactClaim("firmware", "1", 1)))
    document["predicate"].update(members)
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "members",
    [
        {"kind": "weights"},
        {"kind": 7},
        {"firmware": None},
        {"firmware": []},
        {"firmware": {"version": "1"}},
        {"firmware": {"version": "1", "rollbackCounter": True}},
        {"firmware": {"version": "1", "rollbackCounter": 1.0}},
        {"firmware": {"version": "1", "rollbackCounter": "1"}},
        {"firmware": {"version": 1, "rollbackCounter": 1}},
    ],
    ids=str,
)
def test_malformed(members):
    with pytest.raises(MalformedInput):
        read_artifact_claim(parse_statement(spoiled(**members)).predicate)


def test_unknown_members_are_ignored():
    assert read_artifact_claim(parse_statement(spoiled(note=1)).predicate).kind == "firmware"
