"""Signing and adding claims: well-formed, about this artifact, where they belong, or not at all."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path

import pytest

from attest import limits
from attest.claim.predicates import READERS
from attest.claim.store import split_claims
from attest.errors import (
    AttestError,
    DigestMismatch,
    MalformedInput,
    TooLarge,
    Unavailable,
    Unsupported,
)
from attest.flow.claiming import (
    add_signed,
    check_about,
    check_predicate,
    knows_claim,
    read_predicate,
    statement_to_cosign,
)
from attest.flow.claimset import read_claims
from attest.flow.record import record_claim, record_statement
from attest.flow.sign import sign_artifact
from attest.flow.subject import ArtifactSubject, subject_from_content
from tests.support import claims as made
from tests.support import forge, pki
from tests.support.claims import (
    ALICE,
    APPROVAL,
    BOB,
    CAROL,
    DAN,
    ODD,
    OTHER,
    approval,
    claim,
    claim_id,
    line,
    people,
)
from tests.support.forge import digest_of, make_tree, verify
from tests.support.rights import unprivileged


@pytest.fixture
def subject(tree: Path) -> ArtifactSubject:
    """Of the tree, which Alice has signed."""
    sign_artifact(tree, [ALICE])
    return subject_from_content(tree)


@pytest.fixture
def claims(tree: Path) -> Path:
    return tree.parent / "model.claims.jsonl"


def refused(kind: type[AttestError], code: str | None, call, *args, **more) -> AttestError:
    with pytest.raises(kind) as caught:
        call(*args, **more)
    if code is not None:
        assert caught.value.code == code
    return caught.value


def counted(data: bytes) -> list[tuple[str, list[str]]]:
    everybody = people(alice=ALICE, bob=BOB, carol=CAROL, dan=DAN)
    read = read_claims(data, principals=everybody, at=pki.NOON, where="c")
    return [(each.id, sorted(each.principals)) for each in read.verified]


# -- predicates ----------------------------------------------------------------------------------


@pytest.mark.parametrize("predicate_type", sorted(READERS))
def test_every_known_type_has_a_reader_that_refuses_what_it_is_not(predicate_type):
    module, _, name = READERS[predicate_type].partition(":")
    assert callable(getattr(importlib.import_module(module), name))
    for predicate in ({}, {"x": 1}, {"kind": 1}, {"subject": []}):
        with pytest.raises((MalformedInput, Unsupported)):
            read_predicate(predicate_type, predicate)


def test_unknown_types_are_never_interpreted():
    assert read_predicate(ODD, {"anything": [1]}) is None
    assert check_predicate(ODD, {"anything": [1]}) == {"anything": [1]}
    assert check_predicate("urn:x", {}) == {}


def test_known_types_are_checked_before_they_are_signed():
    assert check_predicate(APPROVAL, approval()) == approval()
    refused(MalformedInput, None, check_predicate, APPROVAL, approval(decision="maybe"))


@pytest.mark.parametrize(
    "predicate_type", ["", "x", "a b:c", "urn:x\n", "urn:\x1b[0m", "urn:\u202e"]
)
def test_types_that_are_no_uri(predicate_type):
    refused(Unsupported, "bad-predicate-type", check_predicate, predicate_type, {})


# -- recording -----------------------------------------------------------------------------------


def test_a_recorded_claim_is_read_back(tree, subject, claims):
    report = record_claim(tree, subject, ODD, {"x": "\u00fc"}, [ALICE])
    assert report.claims == claims
    assert report.findings == ()
    assert report.claim_id == claim_id(report.statement)
    assert counted(claims.read_bytes()) == [(report.claim_id, ["alice"])]
    document = json.loads(report.statement)
    assert document["subject"] == [{"name": "model", "digest": dict(subject.digests)}]
    assert verify(tree, ALICE).outcome == "pass"


def test_several_keys_make_one_envelope(tree, subject, claims):
    record_claim(tree, subject, ODD, {}, [ALICE, CAROL, DAN])
    assert len(split_claims(claims.read_bytes())) == 1
    assert [names for _, names in counted(claims.read_bytes())] == [["alice", "carol", "dan"]]


@pytest.mark.parametrize("signers", [[], [ALICE, ALICE]])
def test_signers_that_make_no_sense(tree, subject, claims, signers):
    with pytest.raises(ValueError, match=r"signer is needed|given twice"):
        record_claim(tree, subject, ODD, {}, signers)
    assert not claims.exists()


def test_a_torn_tail_is_repaired_and_told(tree, subject, claims):
    claims.write_bytes(line(claim(ODD, {}), ALICE) + b'{"payload')
    report = record_claim(tree, subject, ODD, {}, [ALICE])
    assert [each.code for each in report.findings] == ["torn-line-removed"]
    assert len(split_claims(claims.read_bytes())) == 2


def test_a_statement_that_readers_could_not_take_is_not_signed(tree, subject, claims):
    big = {"x": "y" * limits.MAX_CLAIM_BYTES}
    refused(TooLarge, "claim-too-large", record_claim, tree, subject, ODD, big, [ALICE])
    deep: dict = {}
    for _ in range(40):
        deep = {"x": deep}
    refused(MalformedInput, "nested-too-deep", record_claim, tree, subject, ODD, deep, [ALICE])
    refused(MalformedInput, None, record_statement, tree, b"{}", [ALICE])
    assert not claims.exists()


def test_the_largest_claim_fits_into_a_line(tree, subject, claims):
    """In base64, with signatures of the longest kind around it."""
    room = limits.MAX_CLAIM_BYTES - len(
        record_claim(tree, subject, ODD, {"x": ""}, [ALICE]).statement
    )
    record_claim(tree, subject, ODD, {"x": "y" * room}, [ALICE, DAN])
    assert len(counted(claims.read_bytes())) == 2


@pytest.mark.parametrize("name", ["claims.jsonl", "sub/claims.jsonl"])
def test_claims_inside_the_artifact(tree, subject, name):
    refused(
        MalformedInput,
        "claims-inside",
        record_claim,
        tree,
        subject,
        ODD,
        {},
        [ALICE],
        claims=tree / name,
    )
    assert not (tree / name).exists()


def test_claims_inside_by_way_of_a_link(tree, subject, tmp_path):
    (tmp_path / "elsewhere").symlink_to(tree)
    place = tmp_path / "elsewhere" / "claims.jsonl"
    refused(
        MalformedInput, "claims-inside", record_claim, tree, subject, ODD, {}, [ALICE], claims=place
    )


@pytest.mark.parametrize("kind", ["link", "folder", "fifo", "key", "json", "no folder"])
def test_places_that_are_no_claims_file(tree, subject, tmp_path, kind):
    place = tmp_path / "place"
    if kind == "link":
        (tmp_path / "victim").write_bytes(line(claim(ODD, {}), ALICE))
        place.symlink_to("victim")
    elif kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "key":
        place.write_bytes(ALICE.to_pem(None))
    elif kind == "json":
        place.write_bytes(b'{"a": 1}\n')
    else:
        place = tmp_path / "none" / "place"
    before = place.read_bytes() if kind in ("key", "json") else None
    refused(Unavailable, None, record_claim, tree, subject, ODD, {}, [ALICE], claims=place)
    if before is not None:
        assert place.read_bytes() == before
    if kind == "link":
        assert (tmp_path / "victim").read_bytes() == line(claim(ODD, {}), ALICE)


@pytest.mark.parametrize("suffix", [".sig", ".dsse.json"])
def test_a_signature_is_no_claims_file(firmware, suffix):
    """A signature of one line would pass for one."""
    place = firmware.with_name(firmware.name + suffix)
    held = place.read_bytes() if place.exists() else line(claim(ODD, {}), ALICE)
    place.write_bytes(held)
    subject = subject_from_content(firmware)
    refused(
        Unavailable,
        "not-a-claims-file",
        record_claim,
        firmware,
        subject,
        ODD,
        {},
        [ALICE],
        claims=place,
    )
    assert place.read_bytes() == held


@unprivileged
def test_a_folder_that_cannot_be_written(tree, subject, tmp_path):
    (tmp_path / "f").mkdir(mode=0o500)
    place = tmp_path / "f" / "c"
    refused(Unavailable, None, record_claim, tree, subject, ODD, {}, [ALICE], claims=place)


# -- adding what somebody else signed ------------------------------------------------------------


def test_a_signed_claim_is_added_over_one_line(tree, subject, claims):
    statement = claim(ODD, {"x": 1}, subject.digests)
    document = json.loads(line(statement, BOB))
    added = add_signed(tree, json.dumps(document, indent=2).encode(), subject)
    assert (added.claims, added.claim_id, added.predicate_type) == (
        claims,
        claim_id(statement),
        ODD,
    )
    assert len(split_claims(claims.read_bytes())) == 1
    assert counted(claims.read_bytes()) == [(claim_id(statement), ["bob"])]


def test_a_bundle_is_added(tree, subject, claims):
    statement = claim(ODD, {}, subject.digests)
    add_signed(tree, made.compact(forge.bundle(statement, BOB)), subject)
    assert counted(claims.read_bytes()) == [(claim_id(statement), ["bob"])]


def test_unknown_types_are_added_and_forged_ones_too(tree, subject, claims):
    """It is not verified: that is for readers."""
    statement = claim("https://x/y", {}, subject.digests)
    add_signed(tree, made.signatures(statement, (b"junk", None)), subject)
    assert counted(claims.read_bytes()) == []


@pytest.mark.parametrize("wrong", ["both", "sha256", "attestTreeV1", "missing", "several"])
def test_a_claim_for_another_artifact(tree, subject, claims, wrong):
    own = dict(subject.digests)
    digests = {
        "both": OTHER,
        "missing": {"sha256": own["sha256"]},
        "several": [own, OTHER],
    }.get(wrong) or {**own, wrong: "00" * 32}
    data = line(claim(ODD, {}, digests), BOB)
    refused(DigestMismatch, "claim-for-another-artifact", add_signed, tree, data, subject)
    assert not claims.exists()


def test_a_claim_by_another_tool_about_the_only_file(firmware):
    subject = subject_from_content(firmware)
    own = digest_of(firmware.read_bytes())
    data = line(claim(ODD, {}, [OTHER, {"sha256": own}]), BOB)
    assert add_signed(firmware, data, subject).predicate_type == ODD
    for digests in ({"sha256": "00" * 32}, {"sha256": own, "sha512": "00"}, {"md5": own}):
        data = line(claim(ODD, {}, digests), BOB)
        refused(DigestMismatch, None, add_signed, firmware, data, subject)


def test_one_file_of_several_is_not_the_artifact(tree, subject):
    data = line(claim(ODD, {}, {"sha256": digest_of(forge.FILES["config.json"])}), BOB)
    refused(DigestMismatch, None, add_signed, tree, data, subject)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", MalformedInput),
        (b"junk", MalformedInput),
        (b"{}", MalformedInput),
        (b"[]", MalformedInput),
        (b'{"a":1,"a":2}', MalformedInput),
        (b"[" * 1000, MalformedInput),
        (line(b"{}", BOB), MalformedInput),
        (line(claim(ODD, {}), BOB) * 2, MalformedInput),
        (line(claim(ODD, {}), BOB, payload_type="text/plain"), Unsupported),
    ],
)
def test_what_is_no_claim_is_not_added(tree, subject, claims, data, kind):
    refused(kind, None, add_signed, tree, data, subject)
    assert not claims.exists()


def test_one_text_with_two_readings(tree, subject, claims):
    """An escaped member name hides a bundle inside an envelope: what is written decides."""
    own, other = claim(ODD, {}, subject.digests), claim(ODD, {}, OTHER)
    document = {**forge.bundle(other, BOB), **forge.envelope(own, [BOB])}
    data = json.dumps(document).replace("dsseEnvelope", "dsse\\u0045nvelope").encode()
    refused(DigestMismatch, "claim-for-another-artifact", add_signed, tree, data, subject)
    assert not claims.exists()


def test_a_claim_that_grows_beyond_a_line(tree, subject, claims):
    """Every character outside ASCII takes six bytes in the line."""
    document = {
        **json.loads(line(claim(ODD, {}, subject.digests), BOB)),
        "pad": "\u00fc" * 3_000_000,
    }
    data = json.dumps(document, ensure_ascii=False).encode()
    assert len(data) < limits.MAX_JSON_BYTES
    refused(TooLarge, None, add_signed, tree, data, subject)
    assert not claims.exists()


# -- cosigning -----------------------------------------------------------------------------------


def test_a_further_signature_under_a_claim(tree, subject, claims):
    first = record_claim(tree, subject, APPROVAL, approval(), [ALICE])
    statement = statement_to_cosign(tree, first.claim_id, subject, None)
    assert statement == first.statement
    second = record_statement(tree, statement, [BOB])
    assert second.claim_id == first.claim_id
    assert counted(claims.read_bytes()) == [
        (first.claim_id, ["alice"]),
        (first.claim_id, ["bob"]),
    ]


def test_cosigning_what_is_not_there(tree, subject, claims):
    refused(Unavailable, "file-missing", statement_to_cosign, tree, "0" * 64, subject, None)
    record_claim(tree, subject, ODD, {}, [ALICE])
    for identity in ("0" * 64, "", "x"):
        refused(Unavailable, "claim-missing", statement_to_cosign, tree, identity, subject, None)


def test_cosigning_a_claim_about_another_artifact(tree, subject, claims):
    stranger = claim(ODD, {}, OTHER)
    claims.write_bytes(line(stranger, ALICE))
    refused(DigestMismatch, None, statement_to_cosign, tree, claim_id(stranger), subject, None)


def test_cosigning_what_is_not_what_its_type_says(tree, subject, claims):
    bad = claim(APPROVAL, {"decision": "maybe"}, subject.digests)
    claims.write_bytes(line(bad, ALICE))
    refused(MalformedInput, None, statement_to_cosign, tree, claim_id(bad), subject, None)


def test_cosigning_from_a_torn_file(tree, subject, claims):
    claims.write_bytes(line(claim(ODD, {}), ALICE)[:-1])
    error = refused(MalformedInput, "torn-line", statement_to_cosign, tree, "x", subject, None)
    assert str(error.where).startswith(str(claims))


def test_whether_a_claim_is_known(tree, subject, claims, tmp_path):
    assert not knows_claim(tree, "0" * 64)
    report = record_claim(tree, subject, ODD, {}, [ALICE])
    assert knows_claim(tree, report.claim_id)
    assert not knows_claim(tree, "0" * 64)
    assert not knows_claim(tree, report.claim_id, tmp_path / "none")
    claims.write_bytes(b"junk\n")
    refused(MalformedInput, None, knows_claim, tree, "0" * 64)


def test_check_about_is_strict(subject):
    from attest.codec.statement import parse_statement

    check_about(parse_statement(claim(ODD, {}, subject.digests)), subject)
    more = {**subject.digests, "sha512": "00"}
    check_about(parse_statement(claim(ODD, {}, more)), subject)


def test_claims_of_several_artifacts_do_not_mix(tree, subject, tmp_path):
    other = make_tree(tmp_path / "other", {"a": b"1"})
    report = record_claim(tree, subject, ODD, {}, [ALICE])
    data = report.claims.read_bytes()
    refused(DigestMismatch, None, add_signed, other, data, subject_from_content(other))
