"""One ECDSA signature, many keys: who computes a key from a signature has not signed.

From a P-256 signature and its message anybody recovers two public keys under which it verifies
(SEC 1 section 4.1.6); nobody needs their private keys. A consumer who was talked into trusting both
must still not see two signers.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from attest.codec.dsse import EnvelopeSignature, UnverifiedEnvelope
from attest.crypto.keys import PublicKey
from attest.errors import BadSignature
from attest.trust.signature import verify_envelope
from attest.trust.signers import KeyTrust
from tests.support import forge, pki

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
Point = tuple[int, int] | None


def add(first: Point, second: Point) -> Point:
    if first is None or second is None:
        return first or second
    if first[0] == second[0]:
        if (first[1] + second[1]) % P == 0:
            return None
        slope = (3 * first[0] ** 2 - 3) * pow(2 * first[1], -1, P) % P
    else:
        slope = (second[1] - first[1]) * pow(second[0] - first[0], -1, P) % P
    x = (slope * slope - first[0] - second[0]) % P
    return x, (slope * (first[0] - x) - first[1]) % P


def multiply(factor: int, point: Point) -> Point:
    result: Point = None
    while factor:
        if factor & 1:
            result = add(result, point)
        point, factor = add(point, point), factor >> 1
    return result


def recovered_keys(signature: bytes, message: bytes) -> list[PublicKey]:
    r, s = decode_dss_signature(signature)
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    y = pow(r**3 - 3 * r + B, (P + 1) // 4, P)
    keys = []
    for root in (y, P - y):
        point = add(
            multiply(s * pow(r, -1, N) % N, (r, root)), multiply(-digest * pow(r, -1, N) % N, G)
        )
        assert point is not None
        keys.append(PublicKey(ec.EllipticCurvePublicNumbers(*point, ec.SECP256R1()).public_key()))
    return keys


@pytest.fixture(scope="module")
def forged() -> tuple[bytes, bytes, tuple[PublicKey, ...]]:
    payload = json.dumps(forge.statement(forge.resources({"a": b"aaa"}))).encode()
    signature = forge.signer(forge.P256).sign_parts([forge.pae(payload)])
    return payload, signature, tuple(recovered_keys(signature, forge.pae(payload)))


def other_spelling(signature: bytes) -> bytes:
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, N - s)


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
