"""Sigstore bundles (v0.3 JSON) as OMS v1.0 uses them: one DSSE envelope and what verifies it.

Three kinds of verification material:

* ``publicKey`` with a ``hint`` (hex SHA-256 of the PEM key) or, from older signers, ``rawBytes``
  and ``keyDetails``. The key itself always comes from the verifier, never from the bundle;
* ``x509CertificateChain``, leaf first;
* ``certificate`` with ``tlogEntries``: Sigstore.

Checks, in order: size; strict JSON; media type; exactly one kind of material; one envelope with
exactly one signature (the Sigstore bundle carries one).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.codec import b64, jsonstrict
from attest.codec.bigjson import loads_with_payload
from attest.codec.dsse import (
    IN_TOTO_PAYLOAD_TYPE,
    UnverifiedEnvelope,
    base64_pieces,
    read_envelope,
    read_timestamp,
)
from attest.errors import MalformedInput, TooLarge, Unsupported

BUNDLE_MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
_MEDIA_TYPES: Final = frozenset(
    {
        BUNDLE_MEDIA_TYPE,
        "application/vnd.dev.sigstore.bundle+json;version=0.3",
    }
)


@dataclass(frozen=True, slots=True)
class KeyMaterial:
    """Signed by a bare key.

    Attributes:
        hint: hex SHA-256 of the signer's PEM key, if given; unverified.
    """

    hint: str | None


@dataclass(frozen=True, slots=True)
class ChainMaterial:
    """Signed by a certificate.

    Attributes:
        certificates: DER, leaf first; unverified.
    """

    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SigstoreMaterial:
    """Signed through Sigstore.

    Attributes:
        certificate: DER of the leaf; unverified.
        entries: how many log entries are attached.
    """

    certificate: bytes
    entries: int


Material = KeyMaterial | ChainMaterial | SigstoreMaterial


@dataclass(frozen=True, slots=True)
class UnverifiedBundle:
    """A parsed bundle: nothing in it is proved yet.

    Attributes:
        material: which kind of signer it claims.
        envelope: exactly one signature.
        timestamps: RFC 3161 responses over that signature.
        raw: the original bytes for small Sigstore bundles (their verifier wants the whole file).
    """

    material: Material
    envelope: UnverifiedEnvelope
    timestamps: tuple[bytes, ...]
    raw: bytes | None = field(repr=False, default=None)


def parse_bundle(data: bytes) -> UnverifiedBundle:
    """Parse a bundle of up to ``limits.MAX_BUNDLE_BYTES``.

    Raises:
        MalformedInput, Unsupported.
    """
    parsed, payload = loads_with_payload(data, what="bundle", path=("dsseEnvelope", "payload"))
    document = jsonstrict.typed(parsed, dict, where="bundle")
    media_type = jsonstrict.member(document, "mediaType", str, where="bundle")
    if media_type not in _MEDIA_TYPES:
        raise Unsupported(
            f"media type {media_type[:80]!r} is not supported", code="unknown-media-type"
        )
    where = "verificationMaterial"
    material = jsonstrict.member(document, where, dict, where="bundle")
    envelope = read_envelope(
        jsonstrict.member(document, "dsseEnvelope", dict, where="bundle"),
        payload,
        where="dsseEnvelope",
    )
    if len(envelope.signatures) != 1:
        raise MalformedInput(
            f"a bundle carries one signature, not {len(envelope.signatures)}",
            code="signature-count",
        )
    kind = _read_material(material, where)
    raw = data if isinstance(kind, SigstoreMaterial) else None
    return UnverifiedBundle(kind, envelope, _read_timestamps(material, where), raw)


def _read_material(material: dict[str, Any], where: str) -> Material:
    kinds = {"publicKey", "x509CertificateChain", "certificate"} & material.keys()
    if len(kinds) != 1:
        raise MalformedInput(
            "needs exactly one of publicKey, x509CertificateChain, certificate",
            where=where,
            code="ambiguous-material" if kinds else "no-material",
        )
    kind = kinds.pop()
    place = f"{where}.{kind}"
    content = jsonstrict.member(material, kind, dict, where=where)
    entries = jsonstrict.optional(material, "tlogEntries", list, where=where) or []
    if kind == "publicKey":
        return _read_key(content, place)
    if kind == "certificate":
        if not entries:
            raise MalformedInput(
                "a Sigstore bundle needs a log entry", where=where, code="no-log-entry"
            )
        return SigstoreMaterial(_read_certificate(content, place), len(entries))
    listed = jsonstrict.member(content, "certificates", list, where=place)
    if not 0 < len(listed) <= limits.MAX_CHAIN_LENGTH:
        raise MalformedInput(
            f"chain has {len(listed)} certificates; 1 to {limits.MAX_CHAIN_LENGTH} are allowed",
            where=place,
            code="chain-length",
        )
    return ChainMaterial(
        tuple(
            _read_certificate(entry, f"{place}[{index}]")
            for index, entry in enumerate(jsonstrict.objects(listed, where=place))
        )
    )


def _read_key(content: dict[str, Any], where: str) -> KeyMaterial:
    hint = jsonstrict.optional(content, "hint", str, where=where)
    raw = jsonstrict.optional(content, "rawBytes", str, where=where)
    if hint is None and raw is None:
        raise MalformedInput("has neither hint nor rawBytes", where=where, code="no-material")
    if raw is not None:
        b64.decode(raw, what=f"{where}.rawBytes")  # well-formed, and otherwise not used
    return KeyMaterial(hint or None)


def _read_certificate(content: dict[str, Any], where: str) -> bytes:
    der = b64.decode(
        jsonstrict.member(content, "rawBytes", str, where=where), what=f"{where}.rawBytes"
    )
    if len(der) > limits.MAX_CERTIFICATE_BYTES:
        raise TooLarge(f"certificate has {len(der)} bytes", where=where)
    return der


def _read_timestamps(material: dict[str, Any], where: str) -> tuple[bytes, ...]:
    data = jsonstrict.optional(material, "timestampVerificationData", dict, where=where)
    if data is None:
        return ()
    place = f"{where}.timestampVerificationData"
    listed = jsonstrict.optional(data, "rfc3161Timestamps", list, where=place) or []
    if len(listed) > limits.MAX_TIMESTAMPS:
        raise TooLarge(f"has {len(listed)} timestamps", where=place)
    return tuple(
        read_timestamp(jsonstrict.member(entry, "signedTimestamp", str, where=place), place)
        for entry in jsonstrict.objects(listed, where=place)
    )


def encode_bundle(
    payload: bytes | bytearray,
    signature: bytes,
    *,
    hint: str | None,
    chain: Sequence[bytes],
    timestamps: Sequence[bytes],
) -> Iterator[bytes]:
    """The bundle as JSON, in pieces.

    Args:
        hint: hex SHA-256 of the PEM key; used when ``chain`` is empty.
        chain: DER certificates, leaf first, for certificate signatures.
    """
    material: dict[str, Any]
    if chain:
        listed = [{"rawBytes": b64.encode(der)} for der in chain]
        material = {"x509CertificateChain": {"certificates": listed}}
    else:
        material = {"publicKey": {"hint": hint}}
    material["tlogEntries"] = []
    if timestamps:
        tokens = [{"signedTimestamp": b64.encode(token)} for token in timestamps]
        material["timestampVerificationData"] = {"rfc3161Timestamps": tokens}
    head = json.dumps({"mediaType": BUNDLE_MEDIA_TYPE, "verificationMaterial": material})[:-1]
    yield f'{head}, "dsseEnvelope": {{"payload": "'.encode()
    yield from base64_pieces(payload)
    tail = {
        "payloadType": IN_TOTO_PAYLOAD_TYPE,
        "signatures": [{"sig": b64.encode(signature), "keyid": ""}],
    }
    yield f'", {json.dumps(tail)[1:]}}}\n'.encode()
