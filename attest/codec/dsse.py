"""DSSE envelopes v1.0 (secure-systems-lab/dsse): several signatures over one typed payload.

Wire form::

    {"payload": base64, "payloadType": text,
     "signatures": [{"sig": base64, "keyid": text?,
                     "timestamps": [{"type": "tsp", "data": base64}]?}]}

``keyid`` is a hint that nobody signed: it may say which key to *try*, never which key *did*.
``timestamps`` follows the practice of in-toto/witness: RFC 3161 responses over the raw signature.
What is signed is the pre-authentication encoding (PAE), with lengths in bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.codec import b64, jsonstrict
from attest.errors import MalformedInput, TooLarge

IN_TOTO_PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


@dataclass(frozen=True, slots=True)
class EnvelopeSignature:
    """One signature of an envelope, unverified.

    Attributes:
        sig: raw signature bytes.
        keyid: hint, possibly absent.
        timestamps: RFC 3161 responses (DER) over ``sig``.
    """

    sig: bytes
    keyid: str | None = None
    timestamps: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class UnverifiedEnvelope:
    """A parsed envelope: nothing in it is proved yet.

    Attributes:
        payload_type: media type; part of what is signed.
        payload: original bytes; part of what is signed, never re-serialised.
        signatures: at least one, at most ``limits.MAX_SIGNATURES``.
    """

    payload_type: str
    payload: bytes = field(repr=False)
    signatures: tuple[EnvelopeSignature, ...]


def pae_header(payload_type: str, payload_length: int) -> bytes:
    """What precedes the payload in the PAE: ``DSSEv1 len(type) type len(payload)`` and a space.

    Args:
        payload_length: in bytes.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %s %d " % (len(kind), kind, payload_length)


def pae_parts(payload_type: str, payload: bytes | bytearray) -> tuple[bytes, memoryview]:
    """The PAE as parts that a signer hashes one after the other: payloads reach 400 MB."""
    return pae_header(payload_type, len(payload)), memoryview(payload)


def parse_envelope(data: bytes) -> UnverifiedEnvelope:
    """Parse a stand-alone envelope file.

    Raises:
        MalformedInput.
    """
    from attest.codec.bigjson import loads_with_payload

    document, payload = loads_with_payload(data, what="envelope", path=("payload",))
    return read_envelope(jsonstrict.typed(document, dict, where="envelope"), payload)


def read_envelope(
    document: dict[str, Any], payload: bytes | None, *, where: str = "envelope"
) -> UnverifiedEnvelope:
    """Build an envelope from its parsed members.

    Args:
        payload: the decoded payload where a caller cut it out of the text, else None.
    """
    text = jsonstrict.member(document, "payload", str, where=where)
    if payload is None:
        payload = b64.decode(text, what=f"{where}.payload")
    payload_type = jsonstrict.member(document, "payloadType", str, where=where)
    signatures = jsonstrict.member(document, "signatures", list, where=where)
    if not signatures:
        raise MalformedInput("has no signature", where=where, code="no-signature")
    if len(signatures) > limits.MAX_SIGNATURES:
        raise TooLarge(
            f"has {len(signatures)} signatures; at most {limits.MAX_SIGNATURES}", where=where
        )
    read = tuple(
        _read_signature(entry, f"{where}.signatures[{index}]")
        for index, entry in enumerate(jsonstrict.objects(signatures, where=f"{where}.signatures"))
    )
    return UnverifiedEnvelope(payload_type, payload, read)


def _read_signature(entry: dict[str, Any], where: str) -> EnvelopeSignature:
    sig = b64.decode(jsonstrict.member(entry, "sig", str, where=where), what=f"{where}.sig")
    if len(sig) > limits.MAX_SIGNATURE_BYTES:
        raise TooLarge(f"signature has {len(sig)} bytes", where=where)
    stamps = jsonstrict.optional(entry, "timestamps", list, where=where) or []
    if len(stamps) > limits.MAX_TIMESTAMPS:
        raise TooLarge(f"has {len(stamps)} timestamps", where=where)
    tokens = []
    for index, stamp in enumerate(jsonstrict.objects(stamps, where=f"{where}.timestamps")):
        place = f"{where}.timestamps[{index}]"
        if jsonstrict.member(stamp, "type", str, where=place) != "tsp":
            raise MalformedInput("type must be 'tsp'", where=place, code="unknown-timestamp-type")
        tokens.append(read_timestamp(jsonstrict.member(stamp, "data", str, where=place), place))
    keyid = jsonstrict.optional(entry, "keyid", str, where=where)
    return EnvelopeSignature(sig, keyid or None, tuple(tokens))


def read_timestamp(text: str, where: str) -> bytes:
    """One base64 RFC 3161 response, bounded."""
    token = b64.decode(text, what=where)
    if len(token) > limits.MAX_TIMESTAMP_BYTES:
        raise TooLarge(f"timestamp has {len(token)} bytes", where=where)
    return token


def encode_envelope(
    payload_type: str, payload: bytes | bytearray, signatures: Sequence[EnvelopeSignature]
) -> Iterator[bytes]:
    """The envelope as JSON, in pieces: the base64 of a large payload is never held whole."""
    head = json.dumps({"payloadType": payload_type})[:-1]
    yield f'{head}, "payload": "'.encode()
    yield from base64_pieces(payload)
    listed = [_signature_members(signature) for signature in signatures]
    yield f'", "signatures": {json.dumps(listed)}}}\n'.encode()


def _signature_members(signature: EnvelopeSignature) -> dict[str, Any]:
    members: dict[str, Any] = {"sig": b64.encode(signature.sig)}
    if signature.keyid is not None:
        members["keyid"] = signature.keyid
    if signature.timestamps:
        members["timestamps"] = [
            {"type": "tsp", "data": b64.encode(token)} for token in signature.timestamps
        ]
    return members


def base64_pieces(payload: bytes | bytearray) -> Iterator[bytes]:
    """Base64 of ``payload`` in pieces whose concatenation is the base64 of the whole."""
    view = memoryview(payload)
    step = 3 * 256 * limits.KIB
    for start in range(0, len(view), step):
        yield b64.encode(view[start : start + step]).encode("ascii")
