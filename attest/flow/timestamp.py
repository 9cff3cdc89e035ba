"""Attach a timestamp to a signature that exists.

For sites where the machine that signs cannot reach the authority: the request is carried out by
hand, the response back.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from attest import limits
from attest.artifact.names import default_signature
from attest.codec.bundle import ChainMaterial, KeyMaterial, UnverifiedBundle, encode_bundle
from attest.codec.dsse import UnverifiedEnvelope, encode_envelope
from attest.codec.signature import parse_signature
from attest.errors import AttestError, DigestMismatch, TooLarge, Unavailable, Unsupported
from attest.files import read_bounded, write_atomic


def attach_timestamp(path: Path, signature: Path | None, response: bytes) -> Path:
    """Put an RFC 3161 response into the signature that it is about.

    For sites where the machine that signs cannot reach the authority: the request is carried out,
    the response back. Whether the authority is to be trusted is judged by whoever verifies.

    Args:
        path: the artifact.
        signature: its signature file; default as in :func:`sign_artifact`.
        response: DER, from anywhere.

    Returns:
        the signature file that was rewritten.

    Raises:
        Unavailable: no signature there.
        MalformedInput: not a response, or not granted.
        DigestMismatch: about none of the signatures in the file.
        Unsupported: a form that is not written here.
        TooLarge: no room for another timestamp.
    """
    target = signature or _existing_signature(path)
    parsed = parse_signature(read_bounded(target, limits.MAX_BUNDLE_BYTES, "signature"))
    try:
        if isinstance(parsed, UnverifiedBundle):
            write_atomic(target, _stamped_bundle(parsed, response))
        else:
            write_atomic(target, _stamped_envelope(parsed, response))
    except AttestError as error:
        raise error.at(str(target)) from None
    return target


def _existing_signature(path: Path) -> Path:
    candidates = [default_signature(path, envelope=choice) for choice in (False, True)]
    found = [candidate for candidate in candidates if os.path.lexists(candidate)]
    if len(found) == 1:
        return found[0]
    what = "there are two signatures" if found else "there is no signature"
    raise Unavailable(
        what, where=str(path), hint="name it with --signature", code="signature-missing"
    )


def _stamped_bundle(bundle: UnverifiedBundle, response: bytes) -> Iterator[bytes]:
    from attest.crypto.timestamp import check_about

    material = bundle.material
    hint = material.hint if isinstance(material, KeyMaterial) else None
    chain = material.certificates if isinstance(material, ChainMaterial) else ()
    if hint is None and not chain:
        raise Unsupported("only OMS v1.0 key and certificate bundles are rewritten")
    sig = bundle.envelope.signatures[0].sig
    check_about(response, sig)
    _check_room(bundle.timestamps)
    return encode_bundle(
        bundle.envelope.payload,
        sig,
        hint=hint,
        chain=chain,
        timestamps=(*bundle.timestamps, response),
    )


def _check_room(timestamps: Sequence[bytes]) -> None:
    """A file with more could not be read again."""
    if len(timestamps) >= limits.MAX_TIMESTAMPS:
        raise TooLarge(f"a signature carries at most {limits.MAX_TIMESTAMPS} timestamps")


def _stamped_envelope(envelope: UnverifiedEnvelope, response: bytes) -> Iterator[bytes]:
    from attest.crypto.timestamp import check_about

    stamped, failure = [], None
    for entry in envelope.signatures:
        try:
            check_about(response, entry.sig)
        except DigestMismatch as error:
            failure = error
            stamped.append(entry)
        else:
            _check_room(entry.timestamps)
            stamped.append(replace(entry, timestamps=(*entry.timestamps, response)))
    if stamped == list(envelope.signatures) and failure is not None:
        raise failure
    return encode_envelope(envelope.payload_type, envelope.payload, stamped)
