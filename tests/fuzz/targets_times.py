"""Times: whatever is read as one is that time for an independent reader too."""

from __future__ import annotations

from datetime import datetime

from attest.codec.times import parse_time
from attest.errors import MalformedInput


def fuzz_times(data: bytes) -> None:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedInput("is no text") from None
    moment = parse_time(text)
    head, digits = text.upper().partition(".")[::2]
    if not digits:
        assert moment == datetime.fromisoformat(head)


def seeds(name: str) -> list[bytes]:
    """Good and bad times."""
    return [
        b"2026-11-20T12:00:00Z",
        b"2026-11-20t12:00:00.123456789+05:30",
        b"2026-02-30T12:00:00Z",
        b"0001-01-01T00:00:00+23:59",
        b"2026-W18-5T12:00:00Z",
    ]
