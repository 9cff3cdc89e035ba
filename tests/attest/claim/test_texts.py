"""Small values: times with an offset, texts with a length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.claim.texts import short_text, text_list, write_time
from attest.codec.times import parse_time
from attest.errors import MalformedInput


def naive(year: int) -> datetime:
    return datetime(year, 6, 1, tzinfo=UTC).replace(tzinfo=None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-05-01T12:00:00Z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01t12:00:00z", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T14:00:00+02:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00-00:00", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("2026-05-01T12:00:00.5Z", datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2026-05-01T12:00:00.123456999Z", datetime(2026, 5, 1, 12, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_times(text, expected):
    moment = parse_time(text)
    assert moment == expected
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-05-01",
        "2026-05-01T12:00Z",
        "2026-05-01T12:00:00",
        "2026-05-01 12:00:00Z",
        "20260501T120000Z",
        "2026-05-01T12:00:00Z\n",
        " 2026-05-01T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-05-01T24:00:00Z",
        "2026-05-01T23:59:60Z",
        "2026-05-01T12:00:00+24:00",
        "2026-05-01T12:00:00+0200",
        "2026-05-01T12:00:00.Z",
        "2026-05-01T12:00:00.1234567890Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "\u0662026-05-01T12:00:00Z",
        "2026-W18-5T12:00:00Z",
        "+2026-05-01T12:00:00Z",
    ],
)
def test_what_is_no_time(text):
    """Trap 17: other digits, other forms of ISO 8601, days that are none, no offset."""
    with pytest.raises(MalformedInput) as caught:
        parse_time(text, where="approvedOn")
    assert (caught.value.code, caught.value.where) == ("bad-time", "approvedOn")


@given(st.datetimes(min_value=naive(1), max_value=naive(9999)))
def test_what_is_written_is_read(moment):
    for zone in (UTC, timezone(timedelta(hours=-5, minutes=30))):
        placed = moment.replace(tzinfo=zone)
        assert parse_time(write_time(placed)) == placed


def test_a_time_needs_its_zone():
    with pytest.raises(ValueError, match="timezone"):
        write_time(naive(2026))


@given(st.text(max_size=30))
def test_any_text_for_a_time(text):
    try:
        assert parse_time(text).tzinfo is UTC
    except MalformedInput:
        pass


@pytest.mark.parametrize("text", ["x", "x" * 200, "two words", "\u00fc\u4f60", "a\nb\tc", "\\x1b"])
def test_short_texts(text):
    assert short_text(text, "comment") == text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "1 to 200"),
        ("x" * 201, "1 to 200"),
        ("\x1b[2J", "do not print"),
        ("a\rb", "do not print"),
        ("a\x00", "do not print"),
        ("\u202egnp.exe", "do not print"),
        ("a\u200bb", "do not print"),
        ("\udcff", "do not print"),
        ("\x7f", "do not print"),
        ("\u2028", "do not print"),
    ],
)
def test_texts_that_are_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        short_text(text, "comment")


def test_the_most_is_the_callers():
    assert short_text("x" * 2000, "comment", most=2000)
    with pytest.raises(ValueError, match="1 to 3"):
        short_text("four", "comment", most=3)


@pytest.mark.parametrize(
    ("document", "expected"),
    [({}, ()), ({"k": None}, ()), ({"k": []}, ()), ({"k": ["a", "b"]}, ("a", "b"))],
)
def test_lists_of_texts(document, expected):
    assert text_list(document, "k") == expected


@pytest.mark.parametrize("value", ["a", {"a": "b"}, [1], ["a", None], [["a"]], 1])
def test_lists_of_something_else(value):
    with pytest.raises(MalformedInput) as caught:
        text_list({"k": value}, "k")
    assert str(caught.value.where).startswith("predicate.k")
