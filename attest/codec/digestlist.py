"""Lists of digests as ``sha256sum`` and its relatives write them.

One line a file: the digest in lower-case hexadecimal, a space, a space or ``*``, the name. A name
with a newline or backslash is written with escapes behind a leading backslash (coreutils).
"""

from __future__ import annotations

import re
from typing import Final

from attest import limits
from attest.digest import HashAlgorithm, parse_hex
from attest.errors import MalformedInput, TooLarge

_LINE: Final = re.compile(r"(\\?)([0-9a-f]+) [ *](.+)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.?)", re.DOTALL)
_ESCAPES: Final = {"\\": "\\", "n": "\n", "r": "\r"}


def parse_digest_list(data: bytes, algorithm: HashAlgorithm) -> dict[str, bytes]:
    """Name -> raw digest.

    Raises:
        MalformedInput: a line that is not understood, another digest length, a name twice, not
            UTF-8, or no line at all.
    """
    if len(data) > limits.MAX_BUNDLE_BYTES:
        raise TooLarge(f"list of digests has {len(data)} bytes")
    try:
        lines = data.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        raise MalformedInput("list of digests is not UTF-8", code="not-utf8") from None
    if lines[-1] == "":
        lines.pop()
    digests: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise MalformedInput(
                "is not '<hex digest>  <name>'", where=f"line {number}", code="malformed-line"
            )
        name = _unescape(found[3], number) if found[1] else found[3]
        name = name.removeprefix("./")
        if name in digests:
            raise MalformedInput("file is listed twice", where=name, code="duplicate-name")
        digests[name] = parse_hex(found[2], algorithm.size, what=f"digest in line {number}")
    if not digests:
        raise MalformedInput("list of digests is empty", code="empty-list")
    return digests


def _unescape(text: str, number: int) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[1] not in _ESCAPES:
            raise MalformedInput("unknown escape", where=f"line {number}", code="malformed-line")
        return _ESCAPES[found[1]]

    return _ESCAPE.sub(replace, text)
