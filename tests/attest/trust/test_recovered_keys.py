"""One ECDSA signature, many keys: who computes a key from a signature has not signed.

From a P-256 signature and its message anybody recovers two public keys under which it verifies
(SEC 1 section 4.1.6); nobody needs their private keys. A consumer who was talked into trusting both
must still not see two signers.
"""

from __future__ import annotations

import json

import pytest

from attest.codec.dsse import EnvelopeSignature, UnverifiedEnvelope
from attest.crypto.keys import PublicKey
from attest.errors import BadSignature
from attest.trust.signature import verify_envelope
from attest.trust.signers import KeyTrust
from tests.support import forge, pki
from tests.support.recovered import other_spelling, recovered_keys


@pytest.fixture(scope="module")
def forged() -> tuple[bytes, bytes, tuple[PublicKey, ...]]:
    payload = json.dumps(forge.statement(forge.resources({"a": b"aaa"}))).encode()
    signature = forge.signer(forge.P256).sign_parts([forge.pae(payload)])
    return payload, signature, tuple(recovered_keys(signature, forge.pae(payload)))


@pytest.mark.parametrize(
    "spell",
    [lambda s: [s], lambda s: [s, s], lambda s: [s, other_spelling(s)]],
    ids=["once", "repeated", "other-s"],
)
def test_one_signature_does_not_stand_for_two_keys(forged, spell):
    payload, signature, keys = forged
    entries = tuple(EnvelopeSignature(each) for each in spell(signature))
    envelope = UnverifiedEnvelope(forge.PAYLOAD_TYPE, payload, entries)
    for key in keys:
        verify_envelope(envelope, KeyTrust((key,)), pki.NOON)
    with pytest.raises(BadSignature) as caught:
        verify_envelope(envelope, KeyTrust(keys), pki.NOON)
    assert caught.value.code == "signature-counted-twice"
