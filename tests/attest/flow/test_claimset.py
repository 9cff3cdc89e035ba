"""Reading a claims file: every line verified, revocations honoured, nothing believed unread."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest import limits
from attest.codec.statement import Statement, Subject
from attest.crypto.x509 import SanRule
from attest.digest import Digest
from attest.errors import (
    AttestError,
    BadSignature,
    MalformedInput,
    TooLarge,
    Unavailable,
    Unsupported,
)
from attest.flow.claimset import ClaimsRead, about, load_claims, read_claims
from attest.trust import principals as principals_module
from attest.trust.principals import Principals
from attest.trust.signers import CertificateTrust
from tests.support import claims as made
from tests.support import forge, pki
from tests.support.claims import (
    ALICE,
    APPROVAL,
    BOB,
    CAROL,
    DIGESTS,
    ODD,
    OTHER,
    approval,
    claim,
    claim_id,
    fingerprint,
    line,
    people,
    revoking,
    signatures,
)
from tests.support.recovered import recovered_keys

ONE = claim(ODD, {"n": 1})
TWO = claim(ODD, {"n": 2})


def read(data: bytes, principals: Principals | None = None, at=pki.NOON) -> ClaimsRead:
    return read_claims(data, principals=principals or people(alice=ALICE), at=at, where="c.jsonl")


def refusal(data: bytes, kind: type[AttestError] = MalformedInput, **more) -> AttestError:
    with pytest.raises(kind) as caught:
        read(data, **more)
    assert str(caught.value.where).startswith("c.jsonl")
    return caught.value


# -- what counts ---------------------------------------------------------------------------------


def test_an_empty_file_says_nothing():
    assert read(b"") == ClaimsRead()


def test_a_claim_is_kept_with_its_line_id_bytes_and_signer():
    (_, found) = read(line(TWO, ALICE) + line(ONE, ALICE)).verified
    assert (found.line, found.id, found.payload) == (2, claim_id(ONE), ONE)
    assert found.statement == Statement((Subject("model", DIGESTS),), ODD, {"n": 1})
    assert found.principals == {"alice"}
    assert [each.fingerprint for each in found.signers] == [fingerprint(ALICE)]
    assert found.predicate_type == ODD


def test_claims_by_nobody_who_counts_are_counted_and_not_read():
    """What a stranger's statement says is never parsed."""
    result = read(line(b"no statement", BOB) + line(ONE, ALICE) + line(TWO, BOB))
    assert result.others == 2
    assert [found.id for found in result.verified] == [claim_id(ONE)]
    assert result.findings == ()


def test_of_type():
    result = read(line(ONE, ALICE) + line(claim(APPROVAL, approval()), ALICE))
    assert [found.line for found in result.of_type(APPROVAL)] == [2]
    assert [found.line for found in result.of_type(APPROVAL, ODD)] == [1, 2]
    assert result.of_type() == ()


@pytest.mark.parametrize(
    "predicate_type", [ODD, "https://slsa.dev/verification_summary/v1", "x", ""]
)
def test_unknown_predicate_types_are_carried(predicate_type):
    odd = claim(predicate_type, {"deep": {"er": [1, None, "\u202e"]}})
    (found,) = read(line(odd, ALICE)).verified
    assert found.predicate_type == predicate_type
    assert found.payload == odd


def test_unknown_members_are_kept_and_ignored():
    odd = claim(ODD, {}, extra={"x": 1})
    document = {**json.loads(line(odd, ALICE)), "new": [1]}
    (found,) = read(made.compact(document)).verified
    assert found.payload == odd


def test_a_statement_without_a_predicate_has_an_empty_one():
    document = json.loads(claim(ODD, {}))
    del document["predicate"]
    (found,) = read(line(json.dumps(document).encode(), ALICE)).verified
    assert found.statement.predicate == {}


def test_both_forms_on_neighbouring_lines():
    bundle = made.compact(forge.bundle(TWO, BOB))
    result = read(line(ONE, ALICE) + bundle, people(alice=ALICE, bob=BOB))
    assert [sorted(found.principals) for found in result.verified] == [["alice"], ["bob"]]


def test_one_statement_on_two_lines_stays_two_claims_of_one_id():
    result = read(line(ONE, ALICE) + line(ONE, CAROL), people(alice=ALICE, carol=CAROL))
    assert [found.id for found in result.verified] == [claim_id(ONE)] * 2


def test_windows_line_ends_are_white_space_after_a_document():
    data = line(ONE, ALICE).replace(b"\n", b"\r\n")
    assert [found.id for found in read(data).verified] == [claim_id(ONE)]


# -- malformed lines: rule 1 ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        (b"\n", "empty-line"),
        (b"\r\n", "truncated"),
        (b"junk\n", "malformed-json"),
        (b"{}\n", "missing-member"),
        (b"[]\n", "wrong-type"),
        (b"null\n", "wrong-type"),
        (b'{"payloadType":"x","payload":"AAAA","signatures":[]}\n', "no-signature"),
        (b'{"payloadType":"x","payloadType":"x"}\n', "duplicate-key"),
        (b"\xff\n", "not-utf8"),
        (b"\xef\xbb\xbf{}\n", "malformed-json"),
        (b'{"payloadType":"' + b"[" * 99 + b"\n", "truncated"),
        (b"[" * 99 + b"\n", "nested-too-deep"),
    ],
)
def test_a_malformed_line_refuses_the_file_and_is_named(bad, code):
    error = refusal(line(ONE, ALICE) + bad + line(TWO, ALICE))
    assert error.where is not None
    assert "line 2" in error.where
    assert error.code == code


@pytest.mark.parametrize("tail", [b"{", b'{"payload', b"x", line(TWO, ALICE)[:-1]])
def test_a_half_written_last_line_refuses(tail):
    assert refusal(line(ONE, ALICE) + tail).code == "torn-line"


@pytest.mark.parametrize("pair", ['"subject":[]', '"predicateType":"y"', '"predicate":{}'])
def test_duplicate_keys_in_a_signed_statement(pair):
    twice = ONE[:-1] + b"," + pair.encode() + b"}"
    assert refusal(line(twice, ALICE)).code == "duplicate-key"


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ({"subject": []}, "no-subject"),
        ({"subject": [{"name": "x", "digest": {}}]}, "no-digest"),
        ({"subject": [{"name": "x", "digest": {"sha256": "AA"}}]}, "malformed-input"),
        ({"subject": [{"digest": {"sha256": "aa"}}]}, "missing-member"),
        ({"predicate": []}, "wrong-type"),
        ({"predicateType": 1}, "wrong-type"),
    ],
)
def test_a_signed_statement_that_is_none(spoil, code):
    document = {**json.loads(ONE), **spoil}
    assert refusal(line(json.dumps(document).encode(), ALICE)).code == code


def test_another_version_of_statements_is_unsupported():
    document = {**json.loads(ONE), "_type": "https://in-toto.io/Statement/v0.1"}
    error = refusal(line(json.dumps(document).encode(), ALICE), Unsupported)
    assert error.code == "unsupported-statement-type"


def test_another_payload_type_refuses_even_from_a_stranger():
    data = line(ONE, ALICE) + line(ONE, BOB, payload_type="application/json")
    assert refusal(data, Unsupported).code == "unknown-payload-type"


def test_too_many_claims(monkeypatch):
    monkeypatch.setattr(limits, "MAX_CLAIMS", 2)
    assert len(read(line(ONE, ALICE) * 2).verified) == 2
    refusal(line(ONE, ALICE) * 3, TooLarge)


def test_a_line_beyond_the_limit_is_refused_before_it_is_parsed():
    refusal(b"{" + b" " * limits.MAX_JSON_BYTES + b"}\n", TooLarge)


# -- certificates --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> pki.Pki:
    return pki.make_pki()


def test_a_certificate_that_has_expired_is_a_warning(authority):
    ci = people(ci=CertificateTrust(tuple(authority.roots), SanRule("signer@example.org")))
    data = made.certified(ONE, authority)
    assert [sorted(found.principals) for found in read(data, ci).verified] == [["ci"]]
    late = read(data, ci, pki.END + timedelta(days=1))
    assert late.verified == ()
    assert late.others == 1
    (finding,) = late.findings
    assert (finding.code, finding.outcome) == ("claim-not-counted", "warn")
    assert finding.where == "c.jsonl: line 1"
    assert finding.details == {"reason": "certificate-expired"}


def test_a_cosigner_who_does_not_count_is_told(authority):
    from attest.trust.signers import KeyTrust

    strict = KeyTrust((BOB.public_key,), tsa_roots=tuple(authority.roots))
    result = read(line(ONE, ALICE, BOB), people(alice=ALICE, bob=strict))
    assert [sorted(found.principals) for found in result.verified] == [["alice"]]
    assert [f.details["reason"] for f in result.findings] == ["timestamp-missing"]


# -- one signature, one person -------------------------------------------------------------------


@pytest.mark.parametrize("second", ["line", "bundle"])
def test_a_computed_key_is_no_second_person_on_another_line(second):
    """Two copies of one signature under two hints: each line alone has one signer."""
    raw = made.sign(ALICE, ONE)
    computed = next(key for key in recovered_keys(raw, forge.pae(ONE)) if key != ALICE.public_key)
    copy = signatures(ONE, (raw, computed.fingerprint))
    if second == "bundle":
        copy = made.compact(forge.bundle(ONE, signature=raw, hint=computed.fingerprint))
    data = signatures(ONE, (raw, fingerprint(ALICE))) + copy
    both = people(alice=ALICE, mallory=computed)
    error = refusal(data, BadSignature, principals=both)
    assert error.code == "signature-counted-twice"
    assert "line 2" in str(error.where)


def test_the_same_signature_on_two_lines_is_no_fault():
    assert len(read(line(ONE, ALICE) + signatures(ONE, (ALICE, None))).verified) == 2


# -- revocations: rule 3 -------------------------------------------------------------------------

BOTH = {"alice": ALICE, "bob": BOB}


def standing(*lines: bytes) -> list[tuple[str, list[str]]]:
    """What stands of the claims that are no revocations."""
    result = read(b"".join(lines), people(**BOTH))
    return [
        (found.id, sorted(found.principals))
        for found in result.verified
        if found.predicate_type == ODD
    ]


@pytest.mark.parametrize("order", [1, -1], ids=["after", "before"])
def test_a_revocation_by_the_signer_takes_the_claim_back(order):
    lines = [line(ONE, ALICE), line(revoking(ONE), ALICE), line(TWO, ALICE)][::order]
    result = read(b"".join(lines), people(**BOTH))
    assert [found.id for found in result.withdrawn] == [claim_id(ONE)]
    assert claim_id(TWO) in [found.id for found in result.verified]
    assert claim_id(ONE) not in [found.id for found in result.verified]


def test_a_revocation_by_somebody_else_takes_nothing_back():
    assert standing(line(ONE, ALICE), line(revoking(ONE), BOB)) == [(claim_id(ONE), ["alice"])]


def test_a_revocation_by_a_stranger_takes_nothing_back():
    assert standing(line(ONE, ALICE), line(revoking(ONE), CAROL)) == [(claim_id(ONE), ["alice"])]


def test_one_of_two_cosigners_leaves_the_other():
    assert standing(line(ONE, ALICE, BOB), line(revoking(ONE), ALICE)) == [(claim_id(ONE), ["bob"])]


def test_both_cosigners_in_one_revocation_or_in_two():
    claimed = line(ONE, ALICE, BOB)
    assert standing(claimed, line(revoking(ONE), ALICE, BOB)) == []
    assert standing(claimed, line(revoking(ONE), ALICE), line(revoking(ONE), BOB)) == []


def test_a_revocation_reaches_every_copy_of_the_statement():
    copy = made.compact(forge.bundle(ONE, ALICE))
    assert standing(line(ONE, ALICE), copy, line(revoking(ONE), ALICE)) == []


def test_two_keys_of_one_person_are_one_voice_here_too():
    result = read(line(ONE, ALICE) + line(revoking(ONE), BOB), people(alice=[ALICE, BOB]))
    assert [found.id for found in result.withdrawn] == [claim_id(ONE)]


def test_a_revocation_cannot_itself_be_taken_back():
    back = revoking(ONE)
    assert standing(line(ONE, ALICE), line(back, ALICE), line(revoking(back), ALICE)) == []


def test_a_revocation_counts_whatever_its_date_and_artifact_say():
    for odd in (
        revoking(ONE, revokedOn="2999-01-01T00:00:00Z"),
        json.dumps(
            {**json.loads(revoking(ONE)), "subject": [{"name": "x", "digest": OTHER}]}
        ).encode(),
    ):
        assert standing(line(ONE, ALICE), line(odd, ALICE)) == []


def test_a_revocation_of_nothing_that_is_here():
    assert standing(line(ONE, ALICE), line(revoking(TWO), ALICE)) == [(claim_id(ONE), ["alice"])]


@pytest.mark.parametrize(
    "spoil",
    [
        {"claim": {}},
        {"claim": {"sha256": "A" * 64}},
        {"claim": {"sha256": "a" * 63}},
        {"reason": ""},
        {"reason": "\x1b"},
        {"revokedOn": "yesterday"},
        {"claim": None},
    ],
)
def test_a_malformed_revocation_by_somebody_who_counts_refuses(spoil):
    """It may have been meant to take something back."""
    error = refusal(line(ONE, ALICE) + line(revoking(ONE, **spoil), ALICE))
    assert "line 2" in str(error.where)


def test_a_malformed_revocation_by_a_stranger_is_counted():
    assert read(line(revoking(ONE, reason=""), BOB)).others == 1


# -- about ---------------------------------------------------------------------------------------


def statement(*digests: dict[str, str]) -> Statement:
    return Statement(tuple(Subject("x", each) for each in digests), ODD, {})


def test_about_means_every_digest_of_the_artifact():
    assert about(statement(DIGESTS), DIGESTS)
    assert about(statement({**DIGESTS, "sha512": "ee"}), DIGESTS)


@pytest.mark.parametrize("wrong", ["sha256", "attestTreeV1"])
@pytest.mark.parametrize("how", ["other", "missing"])
def test_one_digest_of_two_is_not_enough(wrong, how):
    """Trap 16d."""
    digests = {**DIGESTS, wrong: OTHER[wrong]}
    if how == "missing":
        del digests[wrong]
    assert not about(statement(digests), DIGESTS)


def test_several_subjects_are_about_nothing():
    assert not about(statement(DIGESTS, DIGESTS), DIGESTS)
    assert not about(statement(DIGESTS, OTHER), DIGESTS)


def test_no_digest_at_all_is_no_match():
    """Trap 1."""
    assert not about(statement(DIGESTS), {})


def test_another_content_hash_is_another_digest():
    blake = {"sha256": DIGESTS["sha256"], "attestTreeV1:blake3": DIGESTS["attestTreeV1"]}
    assert not about(statement(DIGESTS), blake)
    assert not about(statement(blake), DIGESTS)


# -- files ---------------------------------------------------------------------------------------


def test_load_gives_the_digest_of_what_was_read(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(line(ONE, ALICE))
    digest, found = load_claims(path, principals=people(alice=ALICE), at=pki.NOON)
    assert digest == Digest.of(path.read_bytes())
    assert len(found.verified) == 1


@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_a_file_that_cannot_be_read(tmp_path, kind):
    path = tmp_path / "c"
    if kind == "folder":
        path.mkdir()
    with pytest.raises(Unavailable):
        load_claims(path, principals=people(alice=ALICE), at=pki.NOON)


# -- properties ----------------------------------------------------------------------------------

SIGNED = {
    (number, key): line(claim(ODD, {"n": number}), signer)
    for number in range(3)
    for key, signer in (("alice", ALICE), ("bob", BOB), ("carol", CAROL))
}
REVOKED = {
    (number, key): line(revoking(claim(ODD, {"n": number})), signer)
    for number in range(3)
    for key, signer in (("alice", ALICE), ("bob", BOB), ("carol", CAROL))
}


@given(
    st.lists(st.sampled_from(sorted(SIGNED)), max_size=8),
    st.lists(st.sampled_from(sorted(REVOKED)), max_size=5),
    st.randoms(use_true_random=False),
)
def test_order_does_not_matter_and_revocations_win(signed, revoked, source):
    lines = [SIGNED[each] for each in signed] + [REVOKED[each] for each in revoked]
    source.shuffle(lines)
    result = read(b"".join(lines), people(**BOTH))
    stands = {
        (found.statement.predicate["n"], name)
        for found in result.verified
        if found.predicate_type == ODD
        for name in found.principals
    }
    assert stands == {each for each in signed if each[1] != "carol"} - set(revoked)
    strangers = [each for each in (*signed, *revoked) if each[1] == "carol"]
    assert result.others == len(strangers)


def test_hinted_claims_are_not_tried_with_everybody(monkeypatch):
    """A hint is trusted for that one thing: whom to try."""
    tried = []
    honest = principals_module.verify_envelope
    monkeypatch.setattr(
        principals_module, "verify_envelope", lambda *args: tried.append(1) or honest(*args)
    )
    crowd = people(alice=ALICE, **{f"p{n}": forge.signer(forge.P256, 500 + n) for n in range(30)})
    assert len(read(line(ONE, ALICE) * 20, crowd).verified) == 20
    assert len(tried) == 20
    assert len(read(line(ONE, ALICE, keyids=False), crowd).verified) == 1
    assert len(tried) == 20 + 31
