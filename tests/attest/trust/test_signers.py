"""Trust as arguments: complete, immutable, never truth-tested away."""

from __future__ import annotations

import dataclasses

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest.codec.bundle import parse_bundle
from attest.codec.dsse import parse_envelope
from attest.errors import BadSignature, Unsupported, UntrustedIdentity, VerificationFailed
from attest.trust.signature import verify_bundle, verify_envelope
from attest.trust.signers import KeyTrust, SignerIdentity, SigstoreTrust
from tests.support.forge import (
    ED25519,
    P256,
    bundle,
    chain_material,
    encoded,
    envelope,
    legacy,
    legacy_pae,
    signer,
    statement,
)
from tests.support.pki import NOON, make_pki

TRUST = KeyTrust((signer().public_key,))


def check(document, trust=TRUST):
    return verify_bundle(parse_bundle(encoded(document)), trust, NOON)


def check_envelope(document, *keys):
    trust = KeyTrust(tuple(key.public_key for key in keys))
    return verify_envelope(parse_envelope(encoded(document)), trust, NOON)


def test_what_was_signed_is_what_comes_back():
    verified = check(bundle(statement()))
    assert verified.payload == encoded(statement())
    (who,) = verified.signers
    assert (who.type, who.fingerprint) == ("key", signer().public_key.fingerprint)


def test_trust_is_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(TRUST, "keys", ())  # noqa: B010


def test_hint_of_another_key():
    with pytest.raises(UntrustedIdentity) as caught:
        check(bundle(statement(), hint="00" * 32))
    assert caught.value.code == "key-hint-mismatch"


def test_hint_that_is_hostile_text_is_quoted():
    with pytest.raises(UntrustedIdentity) as caught:
        check(bundle(statement(), hint="\x1b[2Jowned"))
    assert "\x1b" not in str(caught.value)


def test_no_hint_and_wrong_key():
    material = {"publicKey": {"rawBytes": "AAAA", "keyDetails": "x"}}
    with pytest.raises(BadSignature):
        check(bundle(statement(), signer(number=1), material=material))


def test_key_inside_the_bundle_is_never_used():
    """Trap 5 in this format: the key taken from the evidence itself."""
    attacker = signer(number=1)
    body = "".join(attacker.public_key.pem.decode().splitlines()[1:-1])
    material = {"publicKey": {"rawBytes": body, "keyDetails": "PKIX_ECDSA_P256_SHA_256"}}
    document = bundle(statement(), attacker, material=material)
    with pytest.raises(BadSignature):
        check(document)
    assert check(document, KeyTrust((attacker.public_key,)))


def test_legacy_statement_with_either_encoding():
    data = encoded(legacy())
    pem = signer().to_pem(None)
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    raw = key.sign(legacy_pae(data), ec.ECDSA(hashes.SHA256()))
    assert check(bundle(data, signature=raw)).payload == data
    assert check(bundle(data)).payload == data
    body = encoded(statement())
    raw = key.sign(legacy_pae(body), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(BadSignature):
        check(bundle(body, signature=raw))


def test_one_kind_of_trust_never_verifies_another():
    made = make_pki()
    chained = bundle(statement(), material=chain_material(made.chain))
    with pytest.raises(UntrustedIdentity):
        check(chained)
    sigstore = SigstoreTrust("a", "b", "00" * 32, lambda raw: pytest.fail("was asked"))
    with pytest.raises(UntrustedIdentity):
        check(bundle(statement()), sigstore)
    with pytest.raises(UntrustedIdentity):
        verify_envelope(parse_envelope(encoded(envelope(statement(), [signer()]))), sigstore, NOON)


def sigstore_bundle():
    material = {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{}]}
    return bundle(statement(), material=material)


def test_sigstore_check_must_have_seen_the_same_payload():
    who = SignerIdentity("sigstore", "00", "p256")
    right = encoded(statement())
    kind = "application/vnd.in-toto+json"
    assert check(
        sigstore_bundle(), SigstoreTrust("a", "b", "00" * 32, lambda raw: (kind, right, who))
    )
    with pytest.raises(BadSignature) as caught:
        check(sigstore_bundle(), SigstoreTrust("a", "b", "00" * 32, lambda raw: (kind, b"{}", who)))
    assert caught.value.code == "ambiguous-payload"
    with pytest.raises(Unsupported):
        check(
            sigstore_bundle(),
            SigstoreTrust("a", "b", "00" * 32, lambda raw: ("text/plain", right, who)),
        )


def test_sigstore_check_that_raises_is_a_refusal():
    def refuse(raw):
        raise VerificationFailed("no")

    with pytest.raises(VerificationFailed):
        check(sigstore_bundle(), SigstoreTrust("a", "b", "00" * 32, refuse))


def test_every_key_must_have_signed():
    document = envelope(statement(), [signer(P256)])
    assert check_envelope(document, signer(P256))
    with pytest.raises(BadSignature) as caught:
        check_envelope(document, signer(P256), signer(ED25519))
    assert caught.value.code == "no-signature-by-key"


def test_one_signature_repeated_is_one_signer():
    document = envelope(statement(), [signer(P256)] * 3)
    verified = check_envelope(document, signer(P256))
    assert len(verified.signers) == 1
    with pytest.raises(BadSignature):
        check_envelope(document, signer(P256), signer(P256, 1))


def test_hint_of_a_given_key_on_a_bad_signature_refuses_though_a_good_one_is_there():
    document = envelope(statement(), [signer(P256), signer(P256)])
    document["signatures"][1]["sig"] = "AAAA"
    with pytest.raises(BadSignature):
        check_envelope(document, signer(P256))


@pytest.mark.parametrize("kind", ["text/plain", "application/vnd.in-toto+JSON", ""])
def test_payload_type_is_checked_though_it_is_signed(kind):
    with pytest.raises(Unsupported) as caught:
        check(bundle(statement(), payload_type=kind))
    assert caught.value.code == "unknown-payload-type"
    with pytest.raises(Unsupported):
        check_envelope(envelope(statement(), [signer()], payload_type=kind), signer())


def test_payload_type_is_signed():
    document = bundle(statement(), payload_type="text/plain")
    document["dsseEnvelope"]["payloadType"] = "application/vnd.in-toto+json"
    with pytest.raises(BadSignature):
        check(document)
