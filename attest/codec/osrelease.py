"""os-release files (freedesktop.org, ``os-release(5)``), as a UKI carries one in ``.osrel``.

The format is a subset of shell assignments. A shell would expand what is not quoted, so the strict
reading is the safe one: what the specification calls for quotes for must be quoted, nothing is
expanded, and a key counts once.
"""

from __future__ import annotations

import re
from typing import Final

from attest import limits
from attest.errors import MalformedInput, TooLarge

_KEY: Final = re.compile(r"[A-Z_][A-Z0-9_]*")
_PLAIN: Final = re.compile(r"[^\s\"'`$\\;&|<>(){}*?!#~\[\]]*")
"""An unquoted value: nothing that a shell gives a meaning to."""
_DOUBLE: Final = re.compile(r'"((?:[^"\\$`]|\\["\\$`])*)"')
_SINGLE: Final = re.compile(r"'([^']*)'")
_ESCAPE: Final = re.compile(r'\\(["\\$`])')


def parse_os_release(data: bytes) -> dict[str, str]:
    """The assignments, in order.

    Args:
        data: the whole file; whoever made the image controls every byte.

    Raises:
        TooLarge, MalformedInput: not UTF-8, a NUL, not an assignment, a key twice.
    """
    if len(data) > limits.MAX_OS_RELEASE_BYTES:
        raise TooLarge(f"os-release has {len(data)} bytes; {limits.MAX_OS_RELEASE_BYTES} are read")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedInput(
            f"os-release is not UTF-8 (byte {error.start})", code="not-utf8"
        ) from None
    if "\0" in text:
        raise MalformedInput("os-release holds a NUL byte", code="malformed-os-release")
    found: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        key, value = _assignment(stripped, f"line {number}")
        if key in found:
            raise MalformedInput(
                f"{key[:40]} is assigned twice", where=f"line {number}", code="duplicate-key"
            )
        found[key] = value
    return found


def _assignment(line: str, where: str) -> tuple[str, str]:
    key, equals, value = line.partition("=")
    if equals and _KEY.fullmatch(key):
        if _PLAIN.fullmatch(value):
            return key, value
        quoted = _SINGLE.fullmatch(value)
        if quoted:
            return key, quoted[1]
        quoted = _DOUBLE.fullmatch(value)
        if quoted:
            return key, _ESCAPE.sub(r"\1", quoted[1])
    raise MalformedInput("not an assignment", where=where, code="malformed-os-release")
