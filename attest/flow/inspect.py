"""Show what a file says, without believing it.

The file's content decides what it is; only a claims file of one line, which is also an envelope, is
told by its name. Everything in the result is unverified, and the result says
so in its first member.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.claim.store import split_claims
from attest.codec.bundle import (
    ChainMaterial,
    KeyMaterial,
    SigstoreMaterial,
    UnverifiedBundle,
)
from attest.codec.dsse import IN_TOTO_PAYLOAD_TYPE, UnverifiedEnvelope
from attest.codec.manifest import Manifest
from attest.codec.oms import OmsStatement, is_oms_payload, parse_oms
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from attest.digest import Digest
from attest.errors import AttestError, MalformedInput, TooLarge, Unsupported
from attest.files import read_bounded
from attest.verdict import format_time

_LISTED: Final = 1000
"""Files of a manifest that are shown one by one."""

_KNOWN_FILES: Final = (
    "shown are signatures, envelopes, claims files, packs, BOMs, public keys and certificates"
)


def inspect_file(path: Path) -> dict[str, Any]:
    """Describe a signature, envelope, claims file, pack, BOM, key or certificate.

    Returns:
        JSON-compatible; ``verified`` is always False, ``type`` says what was recognised, ``sha256``
        is the digest of the file.

    Raises:
        Unavailable: cannot be read.
        MalformedInput, Unsupported: not understood; both name the place.
    """
    data = read_bounded(path, limits.MAX_BUNDLE_BYTES, "file")
    try:
        described = _describe(data, claims=path.name.endswith(".claims.jsonl"))
    except AttestError as error:
        error.hint = error.hint or _KNOWN_FILES
        raise error.within(str(path)) from None
    return {"verified": False, "path": str(path), "sha256": Digest.of(data).hex, **described}


def _describe(data: bytes, *, claims: bool) -> dict[str, Any]:
    if b"-----BEGIN " in data[:4096]:
        return _describe_pem(data)
    if data.startswith(b"pack.json\0"):
        return _describe_pack(data)
    if not claims and b'"bomFormat"' in data and b'"payloadType"' not in data:
        return _describe_bom(data)
    lines = split_claims(data) if claims else _claim_lines(data)
    if lines is not None:
        if len(data) > limits.MAX_INSPECTED_CLAIMS_BYTES:
            raise TooLarge(f"claims files of {len(data)} bytes are not shown")
        return {"type": "claims", "claims": [_describe_signed(line) for line in lines]}
    return _describe_signed(data)


def _describe_pack(data: bytes) -> dict[str, Any]:
    from attest.flow.pack import describe_pack

    return {"type": "pack", **describe_pack(data)}


def _describe_bom(data: bytes) -> dict[str, Any]:
    from attest.codec.boms import parse_bom

    bom = parse_bom(data)
    return {"type": "bom", "content": bom.document}


def _claim_lines(data: bytes) -> list[bytes] | None:
    """The lines of a claims file: each line is a JSON object of its own; else None."""
    first, newline, rest = data.partition(b"\n")
    if not newline or not rest or not (first.startswith(b"{") and first.rstrip().endswith(b"}")):
        return None
    return split_claims(data)


def _describe_signed(data: bytes) -> dict[str, Any]:
    parsed = parse_signature(data)
    if isinstance(parsed, UnverifiedBundle):
        described: dict[str, Any] = {"type": "oms-bundle", "signer": _describe_material(parsed)}
        if parsed.timestamps:
            described["timestamps"] = len(parsed.timestamps)
        envelope = parsed.envelope
    else:
        envelope = parsed
        described = {"type": "dsse-envelope", "signatures": _describe_signatures(parsed)}
    return {
        **described,
        "payloadType": envelope.payload_type,
        "payload": _describe_payload(envelope),
    }


def _describe_material(bundle: UnverifiedBundle) -> dict[str, Any]:
    material = bundle.material
    match material:
        case KeyMaterial():
            return {"type": "key", "hint": material.hint}
        case ChainMaterial():
            return {
                "type": "certificate",
                "chain": [_describe_certificate(der) for der in material.certificates],
            }
        case SigstoreMaterial():
            return {
                "type": "sigstore",
                "certificate": _describe_certificate(material.certificate),
                "logEntries": material.entries,
            }


def _describe_signatures(envelope: UnverifiedEnvelope) -> list[dict[str, Any]]:
    return [
        {"keyid": entry.keyid, "bytes": len(entry.sig), "timestamps": len(entry.timestamps)}
        for entry in envelope.signatures
    ]


def _describe_payload(envelope: UnverifiedEnvelope) -> dict[str, Any]:
    if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE:
        return {"bytes": len(envelope.payload)}
    if is_oms_payload(envelope.payload):
        return _describe_oms(parse_oms(envelope.payload))
    statement = parse_statement(envelope.payload)
    return {
        "id": Digest.of(envelope.payload).hex,
        "predicateType": statement.predicate_type,
        "subjects": [
            {"name": subject.name, "digests": dict(subject.digests)}
            for subject in statement.subjects
        ],
        "predicate": statement.predicate,
    }


def _describe_oms(statement: OmsStatement) -> dict[str, Any]:
    manifest = statement.manifest
    described: dict[str, Any] = {
        "format": "OMS v0.2-era" if statement.legacy else "OMS v1.0",
        "subject": {
            "name": statement.subject.name,
            "digests": dict(statement.subject.digests),
        },
        "method": "files" if manifest.ranges is None else "shards",
        "algorithm": str(manifest.algorithm),
        "allowSymlinks": statement.allow_symlinks,
        "ignorePaths": list(statement.ignore_paths),
        "entries": len(manifest),
        "bytes": manifest.total_size(),
        "precomputed": len(manifest.assumed),
        "files": [_describe_entry(manifest, at) for at in range(min(len(manifest), _LISTED))],
    }
    if len(manifest) > _LISTED:
        described["filesNotShown"] = len(manifest) - _LISTED
    return described


def _describe_entry(manifest: Manifest, index: int) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": manifest.names[index],
        "digest": manifest.digest(index).hex(),
    }
    if manifest.ranges is not None:
        entry["range"] = [manifest.ranges[2 * index], manifest.ranges[2 * index + 1]]
    if manifest.sizes is not None:
        entry["size"] = manifest.sizes[index]
    if index in manifest.assumed:
        entry["precomputed"] = True
    return entry


def _describe_pem(data: bytes) -> dict[str, Any]:
    if len(data) > limits.MAX_CERTIFICATES * limits.MAX_CERTIFICATE_BYTES:
        raise MalformedInput("PEM file is too large", code="too-large")
    readers: dict[bytes, Callable[[bytes], dict[str, Any]]] = {
        b"-----BEGIN PUBLIC KEY-----": _describe_public_key,
        b"-----BEGIN CERTIFICATE-----": _describe_certificates,
    }
    for marker, reader in readers.items():
        if marker in data:
            return reader(data)
    if b"PRIVATE KEY-----" in data:
        raise Unsupported(
            "is a private key; it is not shown", code="private-key", hint="inspect the .pub file"
        )
    raise Unsupported("PEM of a kind that is not shown", code="unknown-file")


def _describe_public_key(data: bytes) -> dict[str, Any]:
    from attest.crypto.keys import load_public_key

    key = load_public_key(data)
    return {"type": "public-key", "algorithm": str(key.algorithm), "fingerprint": key.fingerprint}


def _describe_certificates(data: bytes) -> dict[str, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding

    from attest.crypto.x509 import load_certificates

    ders = [certificate.public_bytes(Encoding.DER) for certificate in load_certificates(data)]
    return {"type": "certificate", "certificates": [_describe_certificate(der) for der in ders]}


def _describe_certificate(der: bytes) -> dict[str, Any]:
    from attest.crypto.x509 import describe_certificate

    described = describe_certificate(der)
    for key in ("notBefore", "notAfter"):
        described[key] = format_time(described[key])
    return described
