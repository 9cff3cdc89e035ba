"""The cursor and the sources: nothing outside the range, nothing skipped, nothing left over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attest.codec.reader import BytesSource, Reader, Source, Window, check_range
from attest.errors import TrailingData, Truncated

HOSTILE = [-1, -(1 << 63), 1 << 31, 1 << 63, (1 << 64) - 1, 1 << 200]


def test_a_structure_is_read_field_by_field():
    data = bytes.fromhex("01 0203 04050607 08090a0b0c0d0e0f") + b"rest"
    for order in ("little", "big"):
        reader = Reader(data, "header", order=order)
        numbers = reader.u8(), reader.u16(), reader.u32(), reader.u64()
        cuts = (data[:1], data[1:3], data[3:7], data[7:15])
        assert numbers == tuple(int.from_bytes(cut, order) for cut in cuts)
        assert (reader.offset, reader.remaining) == (15, 4)
        assert reader.rest() == b"rest"
        reader.end()


def test_little_endian_unless_told_otherwise():
    assert Reader(b"\x01\x00", "x").u16() == 1


@pytest.mark.parametrize("order", ["", "native", "BIG"])
def test_orders_that_are_none(order):
    with pytest.raises(ValueError, match="order"):
        Reader(b"", "x", order=order)


@pytest.mark.parametrize("length", [5, *HOSTILE])
def test_a_field_that_is_cut_off_moves_nothing(length):
    reader = Reader(b"abcd", "header")
    reader.take(1)
    for read in (reader.take, reader.view):
        with pytest.raises(Truncated) as caught:
            read(length)
        assert "header" in caught.value.message
        assert "byte 1" in caught.value.message
    assert reader.rest() == b"bcd"


@pytest.mark.parametrize("width", [1, 2, 3, 4, 8, 32])
def test_numbers_that_are_cut_off(width):
    with pytest.raises(Truncated):
        Reader(bytes(width - 1), "x").uint(width)


def test_unsigned_at_their_ends():
    assert Reader(b"\xff" * 8, "x").u64() == (1 << 64) - 1
    assert Reader(bytes(8), "x").u64() == 0


def test_trailing_bytes():
    """Trap 20."""
    reader = Reader(b"abc", "header")
    reader.take(1)
    with pytest.raises(TrailingData) as caught:
        reader.end()
    assert "2 byte(s)" in caught.value.message
    reader.take(2)
    reader.end()


def test_nothing_is_a_field_of_no_bytes():
    reader = Reader(b"", "x")
    assert (reader.take(0), reader.rest(), reader.uint(0)) == (b"", b"", 0)
    reader.end()


def test_views_are_not_copied():
    data = bytearray(b"abcd")
    view = Reader(data, "x").view(2)
    data[0] = ord("z")
    assert bytes(view) == b"zb"


@pytest.mark.parametrize("kind", ["bytes", "window", "window in a window"])
def test_sources(kind):
    source: Source = BytesSource(b"0123456789")
    if kind != "bytes":
        source = Window(BytesSource(b"xx0123456789xx"), 2, 10)
    if kind == "window in a window":
        source = Window(Window(BytesSource(b"yxx0123456789xxy"), 1, 14), 2, 10)
    assert source.size == 10
    assert source.read(0, 10) == b"0123456789"
    assert source.read(3, 4) == b"3456"
    assert source.read(10, 0) == b""
    for offset, length in [(0, 11), (10, 1), (11, 0), (-1, 1), (1, -1), (5, 6)]:
        with pytest.raises(Truncated):
            source.read(offset, length)
    for number in HOSTILE:
        for offset, length in [(number, 1), (0, number), (number, number)]:
            with pytest.raises(Truncated):
                source.read(offset, length)


@pytest.mark.parametrize(
    ("start", "length"), [(0, 5), (5, 0), (4, 1), (-1, 2), (1, -1), (1 << 64, 0), (0, 1 << 64)]
)
def test_windows_outside_their_source(start, length):
    with pytest.raises(Truncated):
        Window(BytesSource(b"abc"), start, length)


def test_a_memoryview_is_a_source():
    assert BytesSource(memoryview(b"abc")[1:]).read(0, 2) == b"bc"


RANGES = st.integers(-5, 40) | st.sampled_from(HOSTILE)


@given(RANGES, RANGES, st.integers(0, 32))
def test_a_range_is_inside_or_refused(offset, length, size):
    data = bytes(range(size))
    inside = offset >= 0 and length >= 0 and offset + length <= size
    if inside:
        check_range(offset, length, size)
        assert BytesSource(data).read(offset, length) == data[offset : offset + length]
        window = Window(BytesSource(data), offset, length)
        assert window.read(0, window.size) == data[offset : offset + length]
    else:
        with pytest.raises(Truncated):
            check_range(offset, length, size)


@given(st.binary(max_size=40), st.lists(st.integers(0, 9), max_size=12))
def test_what_is_taken_is_what_was_there(data, widths):
    reader = Reader(data, "x")
    taken = b""
    for width in widths:
        if width > reader.remaining:
            with pytest.raises(Truncated):
                reader.take(width)
            continue
        taken += reader.take(width)
    assert taken + reader.rest() == data
