"""Standard base64 (RFC 4648 section 4), one spelling per value.

:func:`base64.b64decode` skips what it does not know and accepts bits that it throws away; a value
with two spellings is a way around a deny list or a comparison by text.
"""

from __future__ import annotations

import base64
import binascii

from attest.errors import MalformedInput


def decode(text: str | bytes | memoryview, *, what: str, allow_empty: bool = False) -> bytes:
    """Decode padded base64 of the standard alphabet.

    Raises:
        MalformedInput: other characters, white space, missing or extra padding, unused bits that
            are not zero, or nothing at all unless ``allow_empty``.
    """
    try:
        value = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError):
        raise _malformed(what) from None
    tail = bytes(text[-4:].encode("ascii") if isinstance(text, str) else text[-4:])
    if len(text) % 4 or (len(tail) == 4 and base64.b64encode(base64.b64decode(tail)) != tail):
        raise _malformed(what)
    if not value and not allow_empty:
        raise MalformedInput(f"{what} is empty", code="malformed-base64")
    return value


def encode(data: bytes | memoryview) -> str:
    """Padded base64 of the standard alphabet."""
    return base64.b64encode(data).decode("ascii")


def _malformed(what: str) -> MalformedInput:
    return MalformedInput(f"{what} is not canonical base64", code="malformed-base64")
