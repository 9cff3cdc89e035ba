"""A CycloneDX BOM in JSON, by anybody: strict parsing of its bytes, and nothing more.

A BOM that came from outside is kept as the bytes that it came in and never written anew: a
serialiser drops what it does not know, and then a signature or digest over the original means
nothing. Whether it follows its schema is asked of :func:`attest.bom.schema.validate_bom`.
"""

from __future__ import annotations

import contextlib
import gc
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.errors import MalformedInput, TooLarge, Unsupported

READ_VERSIONS: Final = ("1.4", "1.5", "1.6", "1.7")
"""CycloneDX versions that are read. Older ones have no unique ``bom-ref`` everywhere."""

_WHAT: Final = "BOM"
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_ALL_BUT_BRACKETS: Final = bytes(set(range(256)) - set(b'"[]{}'))
_ROUNDS: Final = limits.MAX_JSON_DEPTH // 2


@dataclass(frozen=True, slots=True)
class UnverifiedBom:
    """A parsed BOM; as trustworthy as whoever sent it.

    Attributes:
        document: its members, not checked against a schema.
        data: the bytes that it came in.
        spec_version: one of :data:`READ_VERSIONS`.
    """

    document: dict[str, Any]
    data: bytes
    spec_version: str


def parse_bom(data: bytes, *, where: str | None = None) -> UnverifiedBom:
    """Parse a BOM.

    Args:
        data: the whole document; whoever sent it controls every byte.
        where: how to call it in errors.

    Raises:
        TooLarge: over ``limits.MAX_BOM_BYTES``.
        MalformedInput: not JSON (see :mod:`attest.codec.jsonstrict`), or not a CycloneDX BOM.
        Unsupported: XML, SPDX, or another version of CycloneDX.
    """
    try:
        return _parse(data)
    except (MalformedInput, Unsupported) as error:
        raise (error if where is None else error.at(where)) from None


def read_bom(document: Any, data: bytes) -> UnverifiedBom:
    """A BOM whose JSON was parsed already, such as the predicate of a claim.

    Raises:
        MalformedInput, Unsupported: as :func:`parse_bom`.
    """
    document = jsonstrict.typed(document, dict, where=_WHAT)
    if "spdxVersion" in document or "@context" in document:
        raise Unsupported(
            "is an SPDX document; CycloneDX is read", code="unsupported-bom", hint=_CONVERT
        )
    if document.get("bomFormat") != "CycloneDX":
        raise MalformedInput("member 'bomFormat' is not 'CycloneDX'", where=_WHAT, code="not-a-bom")
    version = jsonstrict.member(document, "specVersion", str, where=_WHAT)
    if version not in READ_VERSIONS:
        raise Unsupported(
            f"CycloneDX version {version[:20]!r} is not read",
            code="unsupported-bom-version",
            hint=f"versions that are read: {', '.join(READ_VERSIONS)}",
        )
    return UnverifiedBom(document, data, version)


_CONVERT: Final = "have its maker write CycloneDX JSON; a converted BOM is no longer theirs"


def _parse(data: bytes) -> UnverifiedBom:
    if len(data) > limits.MAX_BOM_BYTES:
        raise TooLarge(f"{_WHAT} has {len(data)} bytes; at most {limits.MAX_BOM_BYTES} are read")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise Unsupported("is XML; CycloneDX JSON is read", code="unsupported-bom", hint=_CONVERT)
    return read_bom(loads(data), data)


def loads(data: bytes) -> Any:
    """What :func:`attest.codec.jsonstrict.loads` gives, in a quarter of the time for large ones.

    Two thirds of its time are spent on things that most documents do not need:

    * finding the brackets that are no part of a text, to bound the nesting before anything
      recurses: :func:`is_shallow` settles that in a few passes at memory speed;
    * looking for garbage cycles among a million new objects, of which JSON can have none.

    Whatever cannot be settled so, and whatever is wrong, takes the long way.
    """
    if is_shallow(data) and not _SURROGATE.search(data):
        try:
            with _collector_paused():
                return jsonstrict.DECODER.decode(data.decode("utf-8"))
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            pass  # the long way says what is wrong
    return jsonstrict.loads(data, what=_WHAT, max_bytes=limits.MAX_BOM_BYTES)


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """No search for garbage cycles meanwhile, unless somebody else has seen to that already."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def is_shallow(data: bytes) -> bool:
    """Whether no bracket outside a text is nested over ``limits.MAX_JSON_DEPTH``; False: unknown.

    1. Escapes go first, so that every quote that is left begins or ends a text.
    2. Only quotes and brackets are kept. Two quotes side by side are dropped: that never changes
       on which side of a text a bracket is.
    3. What is left has to vanish when ``{}`` and ``[]`` are taken out 16 times. Each time takes out
       at most the two innermost levels, so nothing was nested over 32. A text with a bracket in it
       does not vanish, and neither does anything unbalanced.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    left = data.translate(None, _ALL_BUT_BRACKETS).replace(b'""', b"")
    for _ in range(_ROUNDS):
        left = left.replace(b"{}", b"").replace(b"[]", b"")
        if not left:
            return True
    return False


def values_of(document: Any, key: str) -> list[Any]:
    """The value of every member called ``key`` inside a document, without recursion."""
    found = []
    waiting = [document]
    while waiting:
        value = waiting.pop()
        for each in value.values() if type(value) is dict else value:
            if type(each) is dict:
                if key in each:
                    found.append(each[key])
                waiting.append(each)
            elif type(each) is list:
                waiting.append(each)
    return found


def is_larger(document: Any, most: int) -> bool:
    """Whether a document holds more than ``most`` values."""
    count, waiting = 0, [document]
    while waiting:
        value = waiting.pop()
        count += len(value)
        if count > most:
            return True
        inner = value.values() if type(value) is dict else value
        waiting += [each for each in inner if type(each) in (dict, list)]
    return False
