"""Claims made by hand: statements, lines and people, without the library's encoders.

::

    data = line(claim(APPROVAL, approval()), ALICE) + line(claim(ODD, {"x": 1}), BOB)
    read = read_claims(data, principals=people(alice=ALICE, bob=BOB), at=NOON, where="c")

``ALICE`` to ``DAN`` are keys of the test run, each of another algorithm where that matters.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attest.crypto.keys import LocalSigner, PublicKey
from attest.trust.principals import Principal, Principals
from attest.trust.signers import KeyTrust, Trust
from tests.support import forge, pki

ALICE = forge.signer(forge.P256, 101)
BOB = forge.signer(forge.P256, 102)
CAROL = forge.signer(forge.ED25519, 103)
DAN = forge.signer(forge.ML_DSA, 104)

DIGESTS = {"sha256": "a1" * 32, "attestTreeV1": "b2" * 32}
"""Of the artifact that the claims are about unless something else is said."""

OTHER = {"sha256": "c3" * 32, "attestTreeV1": "d4" * 32}
APPROVAL = "urn:attest-toolkit:approval:v1"
REVOCATION = "urn:attest-toolkit:revocation:v1"
ARTIFACT = "urn:attest-toolkit:artifact:v1"
ODD = "https://example.com/review/v1"


def claim(
    predicate_type: str,
    predicate: Mapping[str, Any],
    digests: Mapping[str, str] | Sequence[Mapping[str, str]] = DIGESTS,
    **members: Any,
) -> bytes:
    """A statement; a list of digests makes several subjects."""
    subjects = [digests] if isinstance(digests, Mapping) else digests
    document = {
        "_type": forge.STATEMENT,
        "subject": [{"name": "model", "digest": dict(each)} for each in subjects],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
        **members,
    }
    return json.dumps(document).encode()


def claim_id(payload: bytes) -> str:
    """How other claims name it."""
    return hashlib.sha256(payload).hexdigest()


def approval(**members: Any) -> dict[str, Any]:
    """An approval for production in the role release; None leaves a member out."""
    made = {
        "decision": "approve",
        "approver": "Somebody",
        "role": "release",
        "environment": "production",
        "approvedOn": "2026-05-01T12:00:00Z",
        **members,
    }
    return {key: value for key, value in made.items() if value is not None}


def revoking(payload: bytes, **members: Any) -> bytes:
    """A statement that takes back the one with these bytes."""
    predicate = {
        "claim": {"sha256": claim_id(payload)},
        "reason": "regression",
        "revokedOn": "2026-05-02T12:00:00Z",
        **members,
    }
    return claim(REVOCATION, predicate)


def compact(document: Mapping[str, Any]) -> bytes:
    """One line of a claims file, newline included."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def line(
    payload: bytes,
    *keys: LocalSigner,
    keyids: bool = True,
    payload_type: str = forge.PAYLOAD_TYPE,
) -> bytes:
    """An envelope signed by each of ``keys``; the same each time in one test run."""
    entries = [
        {
            "sig": forge.b64(sign(key, payload, payload_type)),
            **({"keyid": fingerprint(key)} if keyids else {}),
        }
        for key in keys
    ]
    document = {"payloadType": payload_type, "payload": forge.b64(payload), "signatures": entries}
    return compact(document)


def signatures(payload: bytes, *entries: tuple[LocalSigner | bytes, str | None]) -> bytes:
    """An envelope whose signatures carry any hint: pairs of a key, or raw bytes, and a keyid."""
    listed = []
    for key, keyid in entries:
        raw = key if isinstance(key, bytes) else sign(key, payload)
        listed.append({"sig": forge.b64(raw), **({} if keyid is None else {"keyid": keyid})})
    document = {"payloadType": forge.PAYLOAD_TYPE, "payload": forge.b64(payload)}
    return compact({**document, "signatures": listed})


@functools.cache
def sign(key: LocalSigner, payload: bytes, payload_type: str = forge.PAYLOAD_TYPE) -> bytes:
    """A raw signature over a payload; the same each time in one test run."""
    return key.sign_parts([forge.pae(payload, payload_type)])


def certified(payload: bytes, authority: pki.Pki, leaf: pki.Entity | None = None) -> bytes:
    """A bundle signed by a leaf of ``authority``, its own unless another is given."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    leaf = leaf or authority.leaf
    chain = [pki.der(leaf), pki.der(authority.intermediate)]
    raw = leaf.key.sign(forge.pae(payload), ec.ECDSA(hashes.SHA256()))
    return compact(forge.bundle(payload, signature=raw, material=forge.chain_material(chain)))


def fingerprint(key: LocalSigner) -> str:
    return key.public_key.fingerprint


def people(**members: LocalSigner | PublicKey | Trust | Sequence[Any]) -> Principals:
    """Principals by name; each has one or several keys, or ways of its own."""
    return Principals(Principal(name, tuple(_ways(held))) for name, held in members.items())


def _ways(held: Any) -> list[Trust]:
    listed = held if isinstance(held, list | tuple) else [held]
    return [
        KeyTrust((each.public_key,))
        if isinstance(each, LocalSigner)
        else KeyTrust((each,))
        if isinstance(each, PublicKey)
        else each
        for each in listed
    ]


def scanned(**files: int) -> dict[str, Any]:
    """A scan predicate with these counts; one clean file unless others are given."""
    grades = ("clean", "unlisted", "suspicious", "malicious", "unscannable")
    counts = {grade: files.get(grade, 0) for grade in grades}
    if not files:
        counts["clean"] = 1
    worst = [grade for grade in grades if counts[grade]][-1]
    return {
        "scanner": {"name": "attest", "version": "1"},
        "allowList": {"digest": {"sha256": "5a" * 32}},
        "result": worst,
        "files": counts,
        "notClean": [
            {"name": f"{grade}.bin", "grade": grade, "format": "pickle", "codes": ["x"]}
            for grade in grades[1:]
            for _ in range(counts[grade])
        ],
        "notCleanOmitted": 0,
        "limits": {},
        "ignored": [],
    }


def card(**members: Any) -> dict[str, Any]:
    """A dataset card on which everything is unknown, but for the members given."""
    unknown = ("licences", "jurisdictions", "permittedUses", "forbiddenUses")
    return {
        "sources": [{"name": "unknown"}],
        "consentBasis": "unknown",
        "personalData": "unknown",
        "retention": {"unknown": True},
        "contact": "unknown",
        **{key: ["unknown"] for key in unknown},
        **members,
    }
