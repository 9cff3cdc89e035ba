"""JSON (RFC 8259) without the forgiveness of the standard library.

:mod:`json` accepts duplicate keys (the last one wins), ``NaN``, integers of any length, lone
surrogates and a byte order mark. Two readers that disagree on any of these can be shown two
different documents under one signature, so all of them are refused here. Unknown members are kept:
in-toto demands that readers ignore them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final, NoReturn, TypeVar

from attest import limits
from attest.errors import MalformedInput, TooLarge, Truncated

T = TypeVar("T", str, int, bool, dict[str, Any], list[Any])

_TOKEN: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A string or a bracket. Possessive, and the closing quote is optional: an unterminated string is
skipped once instead of once per escaped quote, and no byte of it is remembered for backtracking."""
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def loads(data: bytes, *, what: str, max_bytes: int = limits.MAX_JSON_BYTES) -> Any:
    """Parse one JSON document.

    Args:
        data: the whole document; whoever sent it controls every byte.
        what: how to call the document in errors, e.g. ``"index file"``.
        max_bytes: cap on ``len(data)``.

    Raises:
        TooLarge, Truncated, MalformedInput.
    """
    if len(data) > max_bytes:
        raise TooLarge(f"{what} has {len(data)} bytes; at most {max_bytes} are read")
    if not data.strip(b" \t\r\n"):
        raise Truncated(f"{what} is empty")
    check_depth(data, what)
    value = _decode_text(_to_text(data, what), what)
    if _SURROGATE.search(data):
        _check_surrogates(value, what)
    return value


def _to_text(data: bytes, what: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"{what} is not UTF-8 (byte {error.start})", code="not-utf8") from None


def _decode_text(text: str, what: str) -> Any:
    try:
        return DECODER.decode(text)
    except json.JSONDecodeError as error:
        cut_off = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        kind = Truncated if cut_off else MalformedInput
        reason = error.msg.lower().removesuffix(" at").removesuffix(" starting")
        raise kind(
            f"{what} is not JSON: {reason} at line {error.lineno} column {error.colno}",
            code="truncated" if cut_off else "malformed-json",
        ) from None
    except RecursionError:
        raise _too_deep(what) from None


def check_depth(data: bytes, what: str, most: int = limits.MAX_JSON_DEPTH) -> None:
    """Refuse deep nesting before any recursion. Cheap for flat documents.

    Args:
        data: JSON, or what passes for it; strings are skipped as such.
        what: how to call it in errors.
        most: levels that are accepted.

    Raises:
        MalformedInput: ``nested-too-deep``.
    """
    if data.count(b"[") + data.count(b"{") <= most:
        return
    depth = 0
    for token in _TOKEN.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > most:
                raise _too_deep(what, most)
        elif first in b"]}":
            depth -= 1


def _too_deep(what: str, most: int = limits.MAX_JSON_DEPTH) -> MalformedInput:
    return MalformedInput(f"{what} is nested more than {most} levels deep", code="nested-too-deep")


def _check_surrogates(value: Any, what: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedInput(
            f"{what} has a string that is not Unicode (lone surrogate)", code="not-utf8"
        ) from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedInput(f"member {key[:60]!r} occurs twice", code="duplicate-key")
            seen.add(key)
    return members


def _bounded_int(text: str) -> int:
    if len(text) > limits.MAX_JSON_INTEGER_DIGITS + 1:
        raise MalformedInput("an integer has too many digits", code="number-out-of-range")
    return int(text)


def _finite_float(text: str) -> float:
    value = float(text) if len(text) <= 64 else math.inf
    if not math.isfinite(value):
        raise MalformedInput("a number is out of range", code="number-out-of-range")
    return value


def _no_constant(text: str) -> NoReturn:
    raise MalformedInput(f"{text} is not JSON", code="malformed-json")


DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique_members,
    parse_int=_bounded_int,
    parse_float=_finite_float,
    parse_constant=_no_constant,
)
"""The configured decoder. Use :func:`loads`; only the manifest reader, which cannot hold its
document in one string, uses this directly."""


def member(holder: dict[str, Any], key: str, kind: type[T], *, where: str) -> T:
    """``holder[key]``, which must exist and be exactly of type ``kind`` (``True`` is no int).

    Raises:
        MalformedInput: absent or of another type; ``where`` names the holder.
    """
    if key not in holder:
        raise MalformedInput(f"member {key!r} is missing", where=where, code="missing-member")
    return typed(holder[key], kind, where=f"{where}.{key}")


def optional(holder: dict[str, Any], key: str, kind: type[T], *, where: str) -> T | None:
    """Like :func:`member`, but absent and ``null`` give None."""
    if holder.get(key) is None:
        return None
    return typed(holder[key], kind, where=f"{where}.{key}")


def typed(value: Any, kind: type[T], *, where: str) -> T:
    """``value``, which must be exactly of type ``kind``."""
    if type(value) is not kind:
        raise MalformedInput(
            f"must be {_NAMES[kind]}, not {_NAMES.get(type(value), 'null')}",
            where=where,
            code="wrong-type",
        )
    return value


def objects(values: Iterable[Any], *, where: str) -> list[dict[str, Any]]:
    """Every element as an object."""
    return [typed(value, dict, where=f"{where}[{index}]") for index, value in enumerate(values)]


_NAMES: Final[dict[type, str]] = {
    str: "a string",
    int: "an integer",
    float: "a fraction",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
}
