"""A signature file of either form: Sigstore bundle or stand-alone DSSE envelope."""

from __future__ import annotations

from attest.codec.bundle import UnverifiedBundle, parse_bundle
from attest.codec.dsse import UnverifiedEnvelope, parse_envelope


def parse_signature(data: bytes) -> UnverifiedBundle | UnverifiedEnvelope:
    """Parse a signature file; its content, never its name, decides the form.

    Raises:
        MalformedInput, Unsupported.
    """
    # Base64 holds no quotes, so a large payload cannot contain the name of a member.
    if b'"payloadType"' in data and b'"dsseEnvelope"' not in data:
        return parse_envelope(data)
    return parse_bundle(data)
