"""Two documents that are too large to hold as Python objects, read with the strict reader.

*A JSON document with one huge base64 member* (a bundle or envelope whose payload lists 10^6 files):
the member's text is cut out, decoded by itself, and a mark is left in its place. The rest goes
through :func:`attest.codec.jsonstrict.loads`; only if the mark turns up exactly where the payload
belongs is the cut accepted, so cutting never changes what is read.

*A JSON array with 10^6 small elements*: parsed in windows. A window ends at a ``},`` chosen by eye;
the strict decoder then parses ``[`` + window + ``]``. JSON is read left to right without
look-ahead, so if that succeeds the window ended between two elements, and if the ``},`` was inside
a string or a nested value it fails and the window is enlarged.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from attest import limits
from attest.codec import b64, jsonstrict
from attest.errors import MalformedInput, TooLarge, Truncated

_CUT_FROM: Final = 64 * limits.KIB
"""Payload texts shorter than this stay in the document."""

_PAYLOAD: Final = re.compile(rb'"payload"[ \t\r\n]*:[ \t\r\n]*"([A-Za-z0-9+/]{65536,}={0,2})"')
_WINDOW: Final = 512 * limits.KIB
_TRIES: Final = 2
"""Neighbouring cuts that are tried before a window is doubled: keeps hostile input linear."""


def loads_with_payload(data: bytes, *, what: str, path: Sequence[str]) -> tuple[Any, bytes | None]:
    """Parse a document whose member at ``path`` may be a huge base64 text.

    Returns:
        the document, and the decoded payload if it was cut out (then the document holds a mark in
        its place), else None.

    Raises:
        TooLarge, Truncated, MalformedInput.
    """
    if len(data) > limits.MAX_BUNDLE_BYTES:
        raise TooLarge(f"{what} has {len(data)} bytes; at most {limits.MAX_BUNDLE_BYTES} are read")
    found = _PAYLOAD.search(data) if len(data) > _CUT_FROM else None
    if found is None:
        return jsonstrict.loads(data, what=what), None
    start, end = found.span(1)
    mark = new_mark()
    small = data[:start] + mark.encode() + data[end:]
    document = jsonstrict.loads(small, what=what)
    place: Any = document
    for key in path:
        place = place.get(key) if isinstance(place, dict) else None
    if place != mark:
        raise MalformedInput(f"{what} has a second member 'payload'", code="ambiguous-payload")
    return document, b64.decode(memoryview(data)[start:end], what=f"{what} payload")


def new_mark() -> str:
    """A text that stands for what was cut out.

    Random, because whoever wrote the document must not be able to put the mark elsewhere, in
    whatever spelling; not base64, so no payload can look like it.
    """
    return f"@{secrets.token_hex(16)}@"


def each_element(
    data: bytes | bytearray,
    start: int,
    take: Callable[[list[Any]], None],
    *,
    what: str,
) -> int:
    """Parse the array whose ``[`` is at ``data[start]``, handing over its elements in batches.

    Returns:
        the offset after the closing ``]``.

    Raises:
        Truncated, MalformedInput, TooLarge (one element over ``limits.MAX_MANIFEST_WINDOW_BYTES``).
    """
    position = start + 1
    step, misses = _WINDOW, 0
    while True:
        cut = data.find(b"},", position + step)
        if cut - position > limits.MAX_MANIFEST_WINDOW_BYTES:
            cut = -1
        window = _text(data, position, len(data) if cut < 0 else cut + 1, what)
        _check_parts(window, what)
        parsed = _parse_window(window, closed=cut < 0)
        if parsed is None:
            # Not between two elements: inside a string or a nested value. Look further.
            if cut < 0:
                _explain_end(len(data) - position, what)
            misses += 1
            step = (cut - position) * (1 if misses % _TRIES else 2) + 1
            continue
        elements, end = parsed
        take(elements)
        if end is not None:
            if position > start + 1 and not elements:
                raise MalformedInput(f"{what} has a comma before its end", code="malformed-json")
            return position + end
        position, step, misses = cut + 2, _WINDOW, 0


def _parse_window(window: str, *, closed: bool) -> tuple[list[Any], int | None] | None:
    """Parse a window once.

    Args:
        closed: the window reaches to the end of the document, so the array must end inside it.

    Returns:
        None if the window does not end between two elements; else its elements, and where the array
        ended (bytes, behind the ``]``) if it ended inside the window.
    """
    text = f"[{window}" if closed else f"[{window}]"
    try:
        elements, length = jsonstrict.DECODER.raw_decode(text)
    except json.JSONDecodeError:
        return None
    except RecursionError:
        raise MalformedInput("nested too deep", code="nested-too-deep") from None
    if not closed and length == len(text):
        return elements, None
    return elements, len(window[: length - 1].encode("utf-8"))


def _explain_end(rest: int, what: str) -> NoReturn:
    if rest > limits.MAX_MANIFEST_WINDOW_BYTES:
        raise TooLarge(f"an element of {what} is larger than allowed")
    raise Truncated(f"{what} is not a JSON array of objects up to its end")


def _check_parts(window: str, what: str) -> None:
    """A window that grew large holds one element: bound what it makes in memory."""
    if len(window) > 8 * _WINDOW and window.count(",") > limits.MAX_ELEMENT_PARTS:
        raise TooLarge(f"an element of {what} has too many parts")


def _text(data: bytes | bytearray, start: int, end: int, what: str) -> str:
    """Decode a slice; never more than one window beyond the largest element."""
    end = min(end, start + limits.MAX_MANIFEST_WINDOW_BYTES + _WINDOW)
    try:
        return bytes(data[start:end]).decode("utf-8")
    except UnicodeDecodeError as error:
        if end < len(data) and error.end >= end - start - 3:
            raise TooLarge(f"an element of {what} is larger than allowed") from None
        raise MalformedInput(
            f"{what} is not UTF-8 (byte {start + error.start})", code="not-utf8"
        ) from None
