"""Small values inside predicates: texts with a length, times with an offset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attest.codec import jsonstrict
from attest.verdict import format_time


def write_time(moment: datetime) -> str:
    """RFC 3339 in UTC.

    Raises:
        ValueError: no timezone.
    """
    if moment.tzinfo is None:
        raise ValueError("a time needs its timezone")
    return format_time(moment)


def short_text(text: str, what: str, *, most: int = 200) -> str:
    """``text`` if it has 1 to ``most`` characters and no control characters but newlines.

    Raises:
        ValueError: otherwise.
    """
    if not 0 < len(text) <= most:
        raise ValueError(f"{what} must have 1 to {most} characters")
    if any(not (char.isprintable() or char in "\n\t") for char in text):
        raise ValueError(f"{what} holds characters that do not print")
    return text


def text_list(
    document: Mapping[str, Any], key: str, *, where: str = "predicate"
) -> tuple[str, ...]:
    """An optional array of texts.

    Raises:
        MalformedInput: something else is there.
    """
    entries = jsonstrict.optional(dict(document), key, list, where=where) or []
    return tuple(
        jsonstrict.typed(entry, str, where=f"{where}.{key}[{index}]")
        for index, entry in enumerate(entries)
    )
