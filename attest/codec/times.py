"""Times of RFC 3339, in the one spelling that is read everywhere: date, time and offset."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from attest.errors import MalformedInput

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def parse_time(text: str, *, where: str | None = None) -> datetime:
    """The time, in UTC; what is finer than a microsecond is cut off.

    ISO 8601 allows much more (week dates, no offset, a comma), and all of that is refused.

    Raises:
        MalformedInput: ``bad-time``.
    """
    match = _RFC3339.fullmatch(text)
    if match is not None:
        try:
            spelled = match[1] + (match[2] or "")[:7] + match[3]
            return datetime.fromisoformat(spelled.upper()).astimezone(UTC)
        except (ValueError, OverflowError):  # the 30th of February; a year that UTC has not
            raise _no_time(where) from None
    raise _no_time(where)


def _no_time(where: str | None) -> MalformedInput:
    return MalformedInput(
        "is not an RFC 3339 time with its offset, such as 2026-11-20T12:00:00Z",
        where=where,
        code="bad-time",
    )
