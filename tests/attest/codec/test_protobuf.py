"""The wire format: one spelling, nothing outside, nothing read that was not asked for."""

from __future__ import annotations

import pytest

from attest import limits
from attest.codec import protobuf
from attest.codec.protobuf import Budget, fields, packed, signed, varint
from attest.codec.reader import BytesSource, Window
from attest.errors import MalformedInput, NotCanonical, TooLarge, Truncated, Unsupported
from tests.support.modelfiles import pb
from tests.support.modelfiles import varint as write


def both(data):
    """Read from memory and by position: the same comes out, or the same is refused."""
    results = []
    for message in (data, BytesSource(data)):
        try:
            results.append(
                [
                    (f.number, f.wire_type, f.value if isinstance(f.value, int) else whole(f.value))
                    for f in fields(message)
                ]
            )
        except (MalformedInput, Unsupported) as refused:
            results.append((type(refused), refused.code))
    assert results[0] == results[1]
    return results[0]


def whole(value):
    return bytes(value) if isinstance(value, memoryview) else value.read(0, value.size)


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 1 << 31, 1 << 63, (1 << 64) - 1])
def test_varints(number):
    assert varint(write(number) + b"rest", 0) == (number, len(write(number)))


@pytest.mark.parametrize("data", [b"\x80\x00", b"\x81\x00", b"\xff\xff\x00", b"\x80" * 9 + b"\x00"])
def test_a_varint_longer_than_it_must_be(data):
    with pytest.raises(NotCanonical):
        varint(data, 0)


@pytest.mark.parametrize("data", [b"\xff" * 9 + b"\x02", b"\xff" * 9 + b"\x7f"])
def test_a_varint_over_64_bits(data):
    with pytest.raises(MalformedInput) as refused:
        varint(data, 0)
    assert refused.value.code == "varint-overflow"


def test_a_varint_that_does_not_end():
    with pytest.raises(MalformedInput) as refused:
        varint(b"\xff" * 1000, 0)
    assert refused.value.code == "varint-overflow"
    with pytest.raises(Truncated):
        varint(b"\xff" * 9, 0)
    with pytest.raises(Truncated):
        varint(b"", 0)


def test_signed():
    assert signed((1 << 64) - 1) == -1
    assert signed(1 << 63) == -(1 << 63)
    assert signed(5) == 5


def test_fields():
    data = pb((1, 150), (2, "text"), (536_870_911, 1)) + b"\x1d\1\0\0\0" + b"\x21" + bytes(8)
    assert both(data) == [
        (1, 0, 150),
        (2, 2, b"text"),
        (536_870_911, 0, 1),
        (3, 5, 1),
        (4, 1, 0),
    ]


def test_many_fields_across_chunks():
    data = pb(*((1 + i % 9, "x" * (i % 300)) for i in range(3000)))
    assert len(both(data)) == 3000


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("field 0", b"\x00\x01", MalformedInput),
        ("field 2^29", write(1 << 32) + b"\x01", MalformedInput),
        ("group start", b"\x0b", Unsupported),
        ("group end", b"\x0c", Unsupported),
        ("wire type 6", b"\x0e", MalformedInput),
        ("wire type 7", b"\x0f", MalformedInput),
        ("length over the end", b"\x0a\x02x", Truncated),
        ("length of 2^63", b"\x0a" + write(1 << 63), Truncated),
        ("no length", b"\x0a", Truncated),
        ("no value", b"\x08", Truncated),
        ("cut off 64-bit", b"\x09" + bytes(7), Truncated),
        ("cut off 32-bit", b"\x0d" + bytes(3), Truncated),
        ("overlong tag", b"\x88\x00\x01", NotCanonical),
    ],
)
def test_malformed(name, data, kind):
    assert both(data)[0] is kind


def test_long_values_are_not_read():
    class Watched(BytesSource):
        largest = 0

        def read(self, offset, length):
            self.largest = max(self.largest, length)
            return super().read(offset, length)

    size = limits.MAX_PROTOBUF_INLINE_BYTES + 1
    source = Watched(pb((1, bytes(size)), (2, "after")))
    first, second = fields(source)
    assert isinstance(first.value, Window)
    assert protobuf.length_of(first.value) == size
    assert bytes(second.value) == b"after"
    assert source.largest < size


def test_the_budget_is_shared():
    budget = Budget(10)
    assert len(list(fields(pb(*((1, 1),) * 6), budget))) == 6
    with pytest.raises(TooLarge):
        list(fields(pb(*((1, 1),) * 6), budget))


def test_packed():
    assert list(packed(memoryview(write(1) + write(300)), 2)) == [1, 300]
    with pytest.raises(TooLarge):
        list(packed(memoryview(bytes(3)), 2))


def test_types_are_checked():
    with pytest.raises(MalformedInput):
        protobuf.text(1, 10, "x")
    with pytest.raises(MalformedInput):
        protobuf.nested(1, "x")
    with pytest.raises(MalformedInput):
        protobuf.number(memoryview(b""), "x")
    with pytest.raises(MalformedInput):
        protobuf.text(memoryview(b"\xff"), 10, "x")
    with pytest.raises(TooLarge):
        protobuf.text(memoryview(b"12345"), 4, "x")
