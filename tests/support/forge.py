"""Signatures of every form and dialect, made by hand: nothing here uses the library's encoders.

::

    files = {"a.txt": b"hello"}
    make_tree(folder, files)
    write(folder / "model.sig", bundle(statement(files), signer(P256)))
    refusals(verify(folder, signer(P256)))        # {} if it verifies

Every builder takes knobs that spoil exactly one thing. Keys come from one cache per test run.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, PublicKey, generate
from attest.digest import HashAlgorithm
from attest.flow.verify import verify_artifact
from attest.trust.signers import KeyTrust, Trust
from attest.verdict import Finding, Severity, Verdict
from tests.support.pki import NOON

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://model_signing/signature/v1.0"
LEGACY_PREDICATE = "https://model_signing/Digests/v0.1"

P256, P384, P521 = KeyAlgorithm.ECDSA_P256, KeyAlgorithm.ECDSA_P384, KeyAlgorithm.ECDSA_P521
ED25519, ML_DSA = KeyAlgorithm.ED25519, KeyAlgorithm.ML_DSA_65

FILES = {
    "a-b.txt": b"before the folder a/ in code-point order\n",
    "a.b.txt": b"also before it\n",
    "a/weights.bin": bytes(range(256)) * 4,
    "config.json": b'{"hidden": 8}\n',
    "empty.bin": b"",
    "sub/deep/est.txt": b"deep\n",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}.txt": b"not ASCII\n",
}
"""A tree with every ordinary difficulty; keys in code-point order."""


def signer(algorithm: KeyAlgorithm = P256, number: int = 0) -> LocalSigner:
    """A key of the test run; other numbers are other keys."""
    return _signer(algorithm, number)


@functools.cache
def _signer(algorithm: KeyAlgorithm, number: int) -> LocalSigner:
    del number
    return generate(algorithm)


def make_tree(folder: Path, files: Mapping[str, bytes] = FILES) -> Path:
    """``folder`` with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Hexadecimal digest."""
    hasher = HashAlgorithm(algorithm).new()
    hasher.update(content)
    return hasher.hexdigest()


def resources(
    files: Mapping[str, bytes] = FILES, *, algorithm: str = "sha256", sizes: bool = True
) -> list[dict[str, Any]]:
    """Honest resources in code-point order."""
    return [
        {
            "name": name,
            "digest": digest_of(files[name], algorithm),
            "algorithm": algorithm,
            **({"size": len(files[name])} if sizes else {}),
        }
        for name in sorted(files)
    ]


def sharded(
    files: Mapping[str, bytes], size: int, *, label: str = "sha256"
) -> list[dict[str, Any]]:
    """Resources of method ``shards``."""
    return [
        {
            "name": f"{name}:{start}:{min(start + size, len(content))}",
            "digest": digest_of(content[start : start + size]),
            "algorithm": label,
        }
        for name, content in sorted(files.items())
        for start in range(0, len(content), size)
    ]


def root_of(listed: Sequence[Mapping[str, Any]]) -> str:
    """OMS root over resources in the order given."""
    return hashlib.sha256(b"".join(bytes.fromhex(each["digest"]) for each in listed)).hexdigest()


def tree_of(listed: Sequence[Mapping[str, Any]], algorithm: str = "sha256") -> str:
    """Tree digest v1, from its definition."""
    suffix = "" if algorithm == "sha256" else f":{algorithm}"
    hasher = hashlib.sha256(f"attest-tree-v1{suffix}\n".encode())
    for each in sorted(listed, key=lambda entry: entry["name"]):
        name = each["name"].encode()
        hasher.update(struct.pack(">I", len(name)) + name + struct.pack(">Q", each["size"]))
        hasher.update(bytes.fromhex(each["digest"]))
    return hasher.hexdigest()


def statement(
    listed: Sequence[Mapping[str, Any]] | None = None,
    *,
    name: str = "model",
    root: str | None = None,
    tree: str | None = "",
    algorithm: str = "sha256",
    **settings: Any,
) -> dict[str, Any]:
    """An OMS v1.0 statement.

    Args:
        root: instead of the right one.
        tree: a tree digest instead of the right one; None leaves it out.
        settings: members of ``serialization``; None removes one.
    """
    listed = resources() if listed is None else listed
    digests = {"sha256": root if root is not None else root_of(listed)}
    if tree is not None:
        key = "attestTreeV1" if algorithm == "sha256" else f"attestTreeV1:{algorithm}"
        digests[key] = tree or tree_of(listed, algorithm)
    serialization = {
        "method": "files",
        "hash_type": algorithm,
        "allow_symlinks": False,
        **settings,
    }
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": digests}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": {k: v for k, v in serialization.items() if v is not None},
            "resources": list(listed),
        },
    }


def foreign(listed: Sequence[Mapping[str, Any]], **settings: Any) -> dict[str, Any]:
    """A statement of another tool: no tree digest."""
    return statement(listed, tree=None, **settings)


def legacy(files: Mapping[str, bytes] = FILES, **digests: str) -> dict[str, Any]:
    """A v0.2-era statement: the files are the subjects."""
    return {
        "_type": STATEMENT,
        "subject": [
            {"name": name, "digest": {"sha256": digest_of(files[name]), **digests}}
            for name in sorted(files)
        ],
        "predicateType": LEGACY_PREDICATE,
        "predicate": {"unused": "Unused, just passed due to API requirements"},
    }


def encoded(payload: Mapping[str, Any] | bytes) -> bytes:
    """The payload's bytes."""
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def legacy_pae(payload: bytes) -> bytes:
    """What v0.2-era signers signed."""
    text = f"DSSEV1 {len(PAYLOAD_TYPE)} {PAYLOAD_TYPE} {len(payload)} {payload!r}"
    return text.encode()


def b64(data: bytes) -> str:
    """Ordinary base64."""
    return base64.b64encode(data).decode()


def bundle(
    payload: Mapping[str, Any] | bytes,
    key: LocalSigner | None = None,
    *,
    payload_type: str = PAYLOAD_TYPE,
    hint: str | None = "",
    material: Mapping[str, Any] | None = None,
    signature: bytes | None = None,
    media_type: str = MEDIA_TYPE,
) -> dict[str, Any]:
    """A validly signed Sigstore bundle.

    Args:
        hint: instead of the right one; None leaves it out.
        material: instead of the public key's.
        signature: raw bytes instead of a valid one.
    """
    key = key or signer()
    body = encoded(payload)
    if material is None:
        right = key.public_key.fingerprint if hint == "" else hint
        material = {"publicKey": {} if right is None else {"hint": right}, "tlogEntries": []}
    raw = signature if signature is not None else key.sign_parts([pae(body, payload_type)])
    return {
        "mediaType": media_type,
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": b64(body),
            "payloadType": payload_type,
            "signatures": [{"sig": b64(raw), "keyid": ""}],
        },
    }


def chain_material(chain: Sequence[bytes]) -> dict[str, Any]:
    """Verification material of a certificate signature."""
    certificates = [{"rawBytes": b64(each)} for each in chain]
    return {"x509CertificateChain": {"certificates": certificates}, "tlogEntries": []}


def envelope(
    payload: Mapping[str, Any] | bytes,
    keys: Sequence[LocalSigner],
    *,
    payload_type: str = PAYLOAD_TYPE,
    keyids: bool = True,
) -> dict[str, Any]:
    """A stand-alone envelope signed by each of ``keys``."""
    body = encoded(payload)
    return {
        "payloadType": payload_type,
        "payload": b64(body),
        "signatures": [
            {
                "sig": b64(key.sign_parts([pae(body, payload_type)])),
                **({"keyid": key.public_key.fingerprint} if keyids else {}),
            }
            for key in keys
        ],
    }


def write(path: Path, document: Mapping[str, Any] | bytes) -> Path:
    """Write a document; returns the path."""
    path.write_bytes(encoded(document))
    return path


def verify(
    path: Path,
    *keys: LocalSigner | PublicKey,
    trust: Trust | None = None,
    at: datetime = NOON,
    **more: Any,
) -> Verdict:
    """Verify with bare keys, the cached P-256 key unless others are given, or with ``trust``."""
    public = [key.public_key if isinstance(key, LocalSigner) else key for key in keys or [signer()]]
    return verify_artifact(path, trust=trust or KeyTrust(tuple(public)), at=at, **more)


def refused(verdict: Verdict) -> list[Finding]:
    """The findings that decide against the artifact."""
    return [f for f in verdict.findings if f.outcome in (Severity.FAIL, Severity.ERROR)]


def refusals(verdict: Verdict) -> dict[str, list[str | None]]:
    """Code -> places, of the findings that decide against the artifact."""
    found: dict[str, list[str | None]] = {}
    for finding in refused(verdict):
        found.setdefault(finding.code, []).append(finding.where)
    return found
