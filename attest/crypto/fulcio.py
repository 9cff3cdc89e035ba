"""What a Sigstore CA wrote into a certificate about the build that asked for it.

Extensions 1.3.6.1.4.1.57264.1.8 and later are DER UTF8Strings (Fulcio, "OID information"). They are
worth what the verification of the certificate was worth; nothing is verified here.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Final

from attest.errors import MalformedInput

_ARC: Final = "1.3.6.1.4.1.57264.1."
_UTF8_STRING: Final = 0x0C


@dataclass(frozen=True, slots=True)
class BuildIdentity:
    """The source that the CA saw in the identity token.

    Attributes:
        source_uri: repository (.12), such as ``https://github.com/org/repo``.
        source_digest: commit (.13), hex.
        source_ref: reference (.14), such as ``refs/tags/v1``.
    """

    source_uri: str | None
    source_digest: str | None
    source_ref: str | None


def build_identity(der: bytes) -> BuildIdentity:
    """Read the extensions of a certificate whose signature was verified.

    Raises:
        MalformedInput: no certificate, or such an extension is no UTF8String.
    """
    from cryptography import x509

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            extensions = x509.load_der_x509_certificate(der).extensions
    except (ValueError, TypeError, x509.DuplicateExtension):
        raise MalformedInput(
            "the signer's certificate cannot be read", code="malformed-certificate"
        ) from None
    values = {
        each.oid.dotted_string: each.value.value
        for each in extensions
        if isinstance(each.value, x509.UnrecognizedExtension)
    }
    uri, digest, ref = (_text(values.get(f"{_ARC}{number}")) for number in (12, 13, 14))
    return BuildIdentity(uri, digest, ref)


def _text(value: bytes | None) -> str | None:
    """The content of one DER UTF8String."""
    if value is None:
        return None
    if len(value) >= 2 and value[0] == _UTF8_STRING:
        length, start = value[1], 2
        if 0x80 < length <= 0x84:
            start += length - 0x80
            length = int.from_bytes(value[2:start], "big")
        if start + length == len(value):
            try:
                return value[start:].decode("utf-8")
            except UnicodeDecodeError:
                pass
    raise MalformedInput("a certificate extension is no text", code="malformed-certificate")
