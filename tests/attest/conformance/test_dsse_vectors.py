"""DSSE vectors (``../shared/fixtures/provenance/dsse``) through our reader and keys.

The vectors ask for m-of-n; here every key that is named must have signed. That is the same where
threshold and number of keys agree, and elsewhere the difference is spelled out.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from attest.codec.dsse import EnvelopeSignature, pae_parts, parse_envelope
from attest.codec.statement import parse_statement
from attest.crypto.keys import ecdsa_signature_from_raw, load_public_key
from attest.errors import AttestError, BadSignature, MalformedInput, Unsupported
from attest.trust.signature import verify_envelope
from attest.trust.signers import KeyTrust
from tests.support.fixtures import fixture, fixtures_root
from tests.support.pki import NOON

REASONS = {
    "dup-signature-threshold": "no-signature-by-key",
    "dup-signature-different-keyids": "no-signature-by-key",
    "signature-over-payload-not-pae": "no-signature-by-key",
    "payloadtype-swapped": "unknown-payload-type",
    "payload-modified": "no-signature-by-key",
    "pae-length-confusion": "no-signature-by-key",
    "urlsafe-base64-payload": "malformed-base64",
    "no-signatures": "no-signature",
    "hybrid-pq-stripped": "no-signature-by-key",
    "hybrid-two-classical": "no-signature-by-key",
}
ACCEPTED = {
    "ed-1of1",
    "ed-nokeyid",
    "ed-wrong-keyid-hint",  # a hint that names no key of ours only costs a try
    "two-of-two",
    "untrusted-plus-trusted",
    "hybrid-p256-mldsa65",
}


def _load() -> dict[str, Any]:
    root = fixtures_root()
    path = root / "provenance" / "dsse" / "vectors.json" if root else None
    return json.loads(path.read_bytes()) if path and path.exists() else {"vectors": [], "keys": {}}


DOCUMENT = _load()
VECTORS = {vector["name"]: vector for vector in DOCUMENT["vectors"]}


def verify(name: str) -> None:
    vector = VECTORS[name]
    keys = tuple(load_public_key(DOCUMENT["keys"][key].encode()) for key in vector["keys"])
    envelope = parse_envelope(json.dumps(vector["envelope"]).encode())
    verified = verify_envelope(envelope, KeyTrust(keys), NOON)
    assert len(verified.signers) == len(keys)


def vector_of(name: str) -> dict[str, Any]:
    fixture("provenance", "dsse", "vectors.json")
    return VECTORS[name]


def test_every_vector_is_judged_here():
    fixture("provenance", "dsse", "vectors.json")
    assert set(VECTORS) == ACCEPTED | set(REASONS) | {"spec-vector"}


@pytest.mark.parametrize("name", sorted(ACCEPTED & set(VECTORS)))
def test_accepted(name):
    verify(name)


@pytest.mark.parametrize("name", sorted(set(REASONS) & set(VECTORS)))
def test_refused(name):
    with pytest.raises((BadSignature, MalformedInput, Unsupported)) as caught:
        verify(name)
    assert caught.value.code == REASONS[name]


def test_vector_of_the_specification():
    """Its signature is r and s side by side, and its payload type is not in-toto's."""
    vector = vector_of("spec-vector")
    envelope = parse_envelope(json.dumps(vector["envelope"]).encode())
    parts = pae_parts(envelope.payload_type, envelope.payload)
    assert b"".join(parts) == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    key = load_public_key(DOCUMENT["keys"]["spec-p256"].encode())
    key.verify_parts(ecdsa_signature_from_raw(envelope.signatures[0].sig), parts)
    with pytest.raises(BadSignature):
        key.verify_parts(envelope.signatures[0].sig, parts)
    with pytest.raises(Unsupported):
        verify_envelope(envelope, KeyTrust((key,)), NOON)


def test_url_safe_payload_is_no_statement_in_any_alphabet():
    """DSSE lets readers take both alphabets; here a value has one spelling. Nothing is lost."""
    vector = vector_of("urlsafe-base64-payload")
    with pytest.raises(AttestError):
        parse_statement(base64.urlsafe_b64decode(vector["envelope"]["payload"]))


def test_signatures_keep_their_hints():
    vector = vector_of("ed-1of1")
    (signature,) = parse_envelope(json.dumps(vector["envelope"]).encode()).signatures
    assert isinstance(signature, EnvelopeSignature)
    assert signature.keyid == vector["envelope"]["signatures"][0]["keyid"]
