"""Who has signed: principals are counted, never keys, signatures or hints."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509

from attest.codec.dsse import UnverifiedEnvelope
from attest.codec.signature import parse_signature
from attest.crypto.keys import PublicKey
from attest.crypto.x509 import SanRule, SubjectRule
from attest.errors import BadSignature, MalformedInput, Unsupported
from attest.trust.principals import (
    Endorsed,
    Principal,
    Principals,
    check_one_owner,
    verify_for_principals,
)
from attest.trust.signers import CertificateTrust, KeyTrust, SignerIdentity, SigstoreTrust
from tests.support import claims as made
from tests.support import forge, pki
from tests.support.claims import ALICE, BOB, CAROL, DAN, fingerprint, line, people, signatures
from tests.support.recovered import other_spelling, recovered_keys

PAYLOAD = made.claim(made.ODD, {"x": 1})
NAME = SanRule("signer@example.org")


def who(data: bytes, principals: Principals, at=pki.NOON) -> Endorsed:
    return verify_for_principals(parse_signature(data), principals, at)


def names(data: bytes, principals: Principals) -> set[str]:
    return set(who(data, principals).principals)


# -- who can be named ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "x" * 201, "a\nb", "a\x1b[31m", "\u202eevil"])
def test_odd_names_of_principals(name):
    with pytest.raises(ValueError, match="printable"):
        Principal(name, (KeyTrust((ALICE.public_key,)),))


def test_a_principal_without_a_key():
    with pytest.raises(ValueError, match="has no key"):
        Principal("alice", ())


def test_nobody_is_no_set_of_principals():
    """Trap 1: an empty set must not be asked."""
    with pytest.raises(ValueError, match="principals can be named"):
        Principals([])


def test_too_many_principals():
    one = Principal("x", (KeyTrust((ALICE.public_key,)),))
    with pytest.raises(ValueError, match="principals can be named"):
        Principals([one] * 4097)


def test_two_principals_of_one_name():
    with pytest.raises(ValueError, match="one name"):
        Principals(
            [
                Principal("a", (KeyTrust((ALICE.public_key,)),)),
                Principal("a", (KeyTrust((BOB.public_key,)),)),
            ]
        )


def test_one_key_cannot_be_two_people():
    with pytest.raises(ValueError, match="cannot be two people"):
        people(alice=[ALICE, BOB], mallory=BOB)


def test_one_key_in_two_ways_of_two_people():
    hybrid = KeyTrust((ALICE.public_key, DAN.public_key))
    with pytest.raises(ValueError, match="cannot be two people"):
        people(alice=[hybrid], mallory=DAN)


def test_one_certified_name_cannot_be_two_people():
    roots = tuple(pki.make_pki().roots)
    with pytest.raises(ValueError, match="cannot be two people"):
        people(alice=CertificateTrust(roots, NAME), mallory=CertificateTrust(roots, NAME))


def test_one_person_may_name_a_key_twice():
    both = people(alice=[ALICE, KeyTrust((ALICE.public_key, DAN.public_key))])
    assert names(line(PAYLOAD, ALICE), both) == {"alice"}


def test_the_digest_tells_who_was_trusted_and_not_in_which_order():
    one = people(alice=[ALICE, BOB], carol=CAROL)
    assert one.digest == people(carol=CAROL, alice=[BOB, ALICE]).digest
    assert one.digest != people(alice=[ALICE], carol=CAROL).digest
    assert one.digest != people(alicia=[ALICE, BOB], carol=CAROL).digest
    assert one.digest != people(alice=[KeyTrust((ALICE.public_key, BOB.public_key))]).digest


# -- counting ------------------------------------------------------------------------------------


def test_two_keys_of_one_person_are_one_voice():
    """Trap 14: m-of-n counts people."""
    endorsed = who(line(PAYLOAD, ALICE, BOB), people(alice=[ALICE, BOB], carol=CAROL))
    assert endorsed.principals == {"alice"}
    assert {each.fingerprint for each in endorsed.signers} == {
        fingerprint(ALICE),
        fingerprint(BOB),
    }


def test_everybody_who_signed_counts_once():
    everybody = people(alice=ALICE, bob=BOB, carol=CAROL, dan=DAN)
    assert names(line(PAYLOAD, BOB, DAN, CAROL), everybody) == {"bob", "carol", "dan"}
    assert names(line(PAYLOAD, BOB, BOB, BOB), everybody) == {"bob"}


def test_strangers_count_for_nobody():
    endorsed = who(line(PAYLOAD, BOB), people(alice=ALICE))
    assert (endorsed.principals, endorsed.signers, endorsed.refusals) == (frozenset(), (), ())
    assert endorsed.payload == PAYLOAD


@pytest.mark.parametrize("signed", [[ALICE], [DAN]])
def test_half_of_a_hybrid_is_nobody(signed):
    hybrid = KeyTrust((ALICE.public_key, DAN.public_key))
    assert names(line(PAYLOAD, *signed), people(alice=[hybrid])) == set()
    assert names(line(PAYLOAD, ALICE, DAN), people(alice=[hybrid])) == {"alice"}
    assert names(line(PAYLOAD, ALICE, DAN, keyids=False), people(alice=[hybrid])) == {"alice"}


def test_a_hybrid_is_not_satisfied_by_two_classical_keys():
    hybrid = KeyTrust((ALICE.public_key, DAN.public_key))
    assert names(line(PAYLOAD, ALICE, BOB), people(alice=[hybrid], bob=BOB)) == {"bob"}


def test_a_signature_over_another_payload_counts_for_nobody():
    other = made.sign(ALICE, made.claim(made.ODD, {"x": 2}))
    data = signatures(PAYLOAD, (other, fingerprint(ALICE)), (other, None))
    assert names(data, people(alice=ALICE)) == set()


# -- hints ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("hint", [None, "", "nonsense", "0" * 64])
def test_a_hint_that_names_nobody_is_no_hindrance(hint):
    assert names(signatures(PAYLOAD, (ALICE, hint)), people(alice=ALICE, bob=BOB)) == {"alice"}


def test_a_signature_under_the_name_of_another_principal_does_not_count():
    data = signatures(PAYLOAD, (ALICE, fingerprint(BOB)))
    assert names(data, people(alice=ALICE, bob=BOB)) == set()


def test_a_hint_never_makes_a_signature_count():
    data = signatures(PAYLOAD, (BOB, fingerprint(ALICE)))
    assert names(data, people(alice=ALICE)) == set()


def test_a_bad_signature_under_a_good_name_does_no_harm():
    """Merging a stranger's file must not take a claim away."""
    junk = made.sign(BOB, PAYLOAD)
    data = signatures(
        PAYLOAD, (junk, fingerprint(ALICE)), (ALICE, fingerprint(ALICE)), (b"x", fingerprint(ALICE))
    )
    assert names(data, people(alice=ALICE)) == {"alice"}


def test_a_key_of_the_same_person_in_the_hint():
    data = signatures(PAYLOAD, (ALICE, fingerprint(BOB)))
    assert names(data, people(alice=[KeyTrust((ALICE.public_key, BOB.public_key))])) == set()
    assert names(data, people(alice=[ALICE, BOB])) == set()  # tried with Bob's key alone


def test_repeated_signatures_are_one():
    data = signatures(PAYLOAD, *[(made.sign(ALICE, PAYLOAD), None)] * 64)
    assert names(data, people(alice=ALICE, bob=BOB)) == {"alice"}


# -- computed keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("hinted", [True, False])
@pytest.mark.parametrize("spell", [lambda s: s, other_spelling], ids=["same", "other-s"])
def test_a_computed_key_is_no_second_person(hinted, spell):
    """Whoever was talked into trusting a key that was computed from Alice's signature sees one."""
    raw = made.sign(ALICE, PAYLOAD)
    computed = next(
        key
        for key in recovered_keys(raw, forge.pae(PAYLOAD))
        if key.fingerprint != fingerprint(ALICE)
    )
    both = people(alice=ALICE, mallory=computed)
    hints = (fingerprint(ALICE), computed.fingerprint) if hinted else (None, None)
    data = signatures(PAYLOAD, (raw, hints[0]), (spell(raw), hints[1]))
    with pytest.raises(BadSignature) as caught:
        who(data, both)
    assert caught.value.code == "signature-counted-twice"


def test_owners_are_kept_between_envelopes():
    owners: dict[bytes, str] = {}
    check_one_owner(owners, {b"r": "alice"})
    check_one_owner(owners, {b"r": "alice", b"s": "bob"})
    with pytest.raises(BadSignature) as caught:
        check_one_owner(owners, {b"s": "alice"})
    assert caught.value.code == "signature-counted-twice"


# -- bundles and certificates --------------------------------------------------------------------


def bundled(key, **knobs) -> bytes:
    return made.compact(forge.bundle(PAYLOAD, key, **knobs))


def test_a_bundle_by_a_key():
    assert names(bundled(ALICE), people(alice=ALICE, carol=CAROL)) == {"alice"}
    assert names(bundled(BOB), people(alice=ALICE, carol=CAROL)) == set()
    assert names(bundled(ALICE, hint=fingerprint(BOB)), people(alice=ALICE, bob=BOB)) == set()


def test_a_bundle_without_a_hint_beside_keys_that_sign_no_bundles():
    """One Ed25519 or ML-DSA principal must not make a file with old bundles unreadable."""
    old = {"publicKey": {"rawBytes": forge.b64(b"key")}, "tlogEntries": []}
    everybody = people(carol=CAROL, dan=DAN, alice=ALICE)
    assert names(bundled(ALICE, material=old), everybody) == {"alice"}
    assert names(bundled(BOB, material=old), everybody) == set()


def test_a_bundle_never_satisfies_a_hybrid():
    hybrid = KeyTrust((ALICE.public_key, DAN.public_key))
    assert names(bundled(ALICE), people(alice=[hybrid])) == set()


@pytest.fixture(scope="module")
def authority() -> pki.Pki:
    return pki.make_pki()


def trusting(authority: pki.Pki, name=NAME, **knobs) -> CertificateTrust:
    return CertificateTrust(tuple(authority.roots), name, **knobs)


def test_a_certificate(authority):
    signer = people(alice=ALICE, ci=trusting(authority))
    endorsed = who(made.certified(PAYLOAD, authority), signer)
    assert endorsed.principals == {"ci"}
    assert endorsed.signers[0].type == "certificate"
    assert not endorsed.refusals
    assert names(line(PAYLOAD, ALICE), signer) == {"alice"}


def test_a_certificate_of_another_name_is_nobody(authority):
    leaf = authority.intermediate.issue("x", sans=(x509.RFC822Name("other@example.org"),))
    endorsed = who(
        made.certified(PAYLOAD, authority, leaf), people(ci=trusting(authority), alice=ALICE)
    )
    assert (endorsed.principals, endorsed.refusals) == (frozenset(), ())


def test_a_certificate_of_another_authority_is_nobody(authority):
    assert names(made.certified(PAYLOAD, pki.make_pki()), people(ci=trusting(authority))) == set()


def test_a_certificate_with_a_forged_signature_is_nobody(authority):
    document = forge.bundle(
        PAYLOAD, BOB, material=forge.chain_material([pki.der(authority.leaf), *authority.chain[1:]])
    )
    assert names(made.compact(document), people(ci=trusting(authority))) == set()


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (pki.END + timedelta(seconds=1), "certificate-expired"),
        (pki.START - timedelta(seconds=1), "certificate-not-yet-valid"),
    ],
)
def test_a_certificate_out_of_its_validity_is_told_once(authority, at, code):
    several = people(
        ci=trusting(authority),
        other=trusting(authority, SanRule("other@example.org")),
        third=trusting(authority, SubjectRule("CN=third")),
    )
    endorsed = who(made.certified(PAYLOAD, authority), several, at)
    assert endorsed.principals == frozenset()
    assert [error.code for error in endorsed.refusals] == [code]


def test_validity_includes_its_ends(authority):
    signer = people(ci=trusting(authority))
    for at in (pki.START, pki.END):
        assert who(made.certified(PAYLOAD, authority), signer, at).principals == {"ci"}


def test_a_certificate_outside_the_allow_list_is_told_and_refuses_nothing(authority):
    """A stranger's RSA certificate in a merged file must not make the file unreadable."""
    leaf = authority.intermediate.issue("signer", key=pki.rsa_key())
    material = forge.chain_material([pki.der(leaf), pki.der(authority.intermediate)])
    data = made.compact(forge.bundle(PAYLOAD, signature=b"x" * 256, material=material))
    endorsed = who(data, people(ci=trusting(authority)))
    assert endorsed.principals == frozenset()
    assert all(isinstance(error, Unsupported) for error in endorsed.refusals)
    assert endorsed.refusals


def test_a_certificate_that_cannot_be_read_is_malformed(authority):
    data = made.compact(forge.bundle(PAYLOAD, material=forge.chain_material([b"junk"])))
    with pytest.raises(MalformedInput):
        who(data, people(ci=trusting(authority)))


def test_one_certificate_with_two_names_is_not_two_people(authority):
    sans = (x509.RFC822Name("alice@example.org"), x509.RFC822Name("bob@example.org"))
    leaf = authority.intermediate.issue("both", sans=sans)
    both = people(
        alice=trusting(authority, SanRule("alice@example.org")),
        bob=trusting(authority, SanRule("bob@example.org")),
    )
    with pytest.raises(BadSignature) as caught:
        who(made.certified(PAYLOAD, authority, leaf), both)
    assert caught.value.code == "signature-counted-twice"


def with_key(authority: pki.Pki, name: str, key) -> pki.Entity:
    return authority.intermediate.issue(name, key=key, sans=(x509.RFC822Name(name),))


def test_a_key_and_a_certificate_over_it_are_not_two_people(authority):
    key = pki.ec_key()
    leaf = with_key(authority, "bob@example.org", key)
    both = people(
        alice=PublicKey(key.public_key()), bob=trusting(authority, SanRule("bob@example.org"))
    )
    with pytest.raises(BadSignature) as caught:
        who(made.certified(PAYLOAD, authority, leaf), both)
    assert caught.value.code == "key-counted-twice"


def test_a_key_and_a_certificate_over_it_may_be_one_person(authority):
    key = pki.ec_key()
    leaf = with_key(authority, "bob@example.org", key)
    bob = people(bob=[PublicKey(key.public_key()), trusting(authority, SanRule("bob@example.org"))])
    assert who(made.certified(PAYLOAD, authority, leaf), bob).principals == {"bob"}


def test_two_certificates_over_one_key_are_not_two_people(authority):
    """Each signs on a line of its own, so that no signature is counted twice."""
    key, names = pki.ec_key(), ("alice@example.org", "bob@example.org")
    both = people(**{each.partition("@")[0]: trusting(authority, SanRule(each)) for each in names})
    owners: dict[bytes, str] = {}
    one, other = (
        who(made.certified(PAYLOAD, authority, with_key(authority, each, key)), both)
        for each in names
    )
    check_one_owner(owners, one.used)
    with pytest.raises(BadSignature) as caught:
        check_one_owner(owners, other.used)
    assert caught.value.code == "key-counted-twice"


def test_a_refusal_of_one_way_is_not_told_where_another_way_counts(authority):
    strict = trusting(authority, tsa_roots=tuple(authority.roots))
    data = made.certified(PAYLOAD, authority)
    assert [error.code for error in who(data, people(ci=[strict])).refusals] == [
        "timestamp-missing"
    ]
    either = people(ci=[strict, trusting(authority)])
    endorsed = who(data, either)
    assert (endorsed.principals, endorsed.refusals) == ({"ci"}, ())


def test_the_refusal_of_one_is_told_where_another_counts():
    strict = KeyTrust((BOB.public_key,), tsa_roots=tuple(pki.make_pki().roots))
    endorsed = who(line(PAYLOAD, ALICE, BOB), people(alice=ALICE, bob=strict))
    assert endorsed.principals == {"alice"}
    assert [error.code for error in endorsed.refusals] == ["timestamp-missing"]


def sigstore(identity: str) -> SigstoreTrust:
    def check(raw: bytes):
        return forge.PAYLOAD_TYPE, PAYLOAD, SignerIdentity("sigstore", "f", "p256", identity)

    return SigstoreTrust(identity, "https://issuer", "0" * 64, check)


def test_one_sigstore_bundle_is_not_two_people():
    material = {"certificate": {"rawBytes": forge.b64(b"c")}, "tlogEntries": [{}]}
    data = bundled(ALICE, material=material)
    assert names(data, people(alice=ALICE, ci=sigstore("a"))) == {"ci"}
    with pytest.raises(BadSignature) as caught:
        who(data, people(one=sigstore("a"), two=sigstore("b")))
    assert caught.value.code == "signature-counted-twice"


def test_an_envelope_is_not_tried_with_certificates(authority):
    assert names(line(PAYLOAD, ALICE), people(ci=trusting(authority))) == set()


@pytest.mark.parametrize("trusted", ["key", "certificate"])
def test_another_payload_type_is_refused_whoever_is_trusted(authority, trusted):
    members = {"key": people(alice=ALICE), "certificate": people(ci=trusting(authority))}
    for data in (
        line(PAYLOAD, BOB, payload_type="text/plain"),
        bundled(BOB, payload_type="text/plain"),
    ):
        with pytest.raises(Unsupported) as caught:
            who(data, members[trusted])
        assert caught.value.code == "unknown-payload-type"


def test_no_signature_at_all_is_nobody():
    empty = UnverifiedEnvelope(forge.PAYLOAD_TYPE, PAYLOAD, ())
    assert verify_for_principals(empty, people(alice=ALICE), pki.NOON).principals == frozenset()
