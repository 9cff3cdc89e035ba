"""The wire format of Protocol Buffers (https://protobuf.dev/programming-guides/encoding), strict.

A message is a sequence of fields, each a tag and a value. Whoever sent the message controls all of
it. Nothing here knows a schema; a reader asks for the fields that it knows and steps over others.

1. A varint has at most 10 bytes, fits 64 bits and is spelled as short as it can be: two spellings
   of one number are how two readers are shown different things.
2. A field number is 1 to 2^29 - 1. Wire types are varint, 64-bit, length-delimited and 32-bit;
   groups (deprecated since 2008) are refused.
3. A length ends inside its message. Values longer than ``MAX_PROTOBUF_INLINE_BYTES`` are not read
   but handed on as a :class:`~attest.codec.reader.Window`, so tensors of 2 GiB cost nothing.
4. The fields of a whole file are counted against one :class:`Budget`.

Not checked here: repeated singular fields (the last one wins in most readers, messages are merged);
callers that care must look.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from attest import limits
from attest.codec.reader import Source, Window
from attest.errors import MalformedInput, NotCanonical, TooLarge, Truncated, Unsupported

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_MAX_FIELD_NUMBER: Final = (1 << 29) - 1
_MAX_VARINT_BYTES: Final = 10
_CHUNK: Final = 64 * limits.KIB
_WHERE: Final = "protobuf"

Value = int | memoryview | Window
"""Of a field: numbers as unsigned; bytes in memory; bytes too long to hold."""

Message = bytes | memoryview | Source
"""What holds fields."""


class Field(NamedTuple):
    """One field: number, wire type, value (see :data:`Value`)."""

    number: int
    wire_type: int
    value: Value


class Budget:
    """How many fields may still be read from one file, over all nested messages."""

    def __init__(self, fields: int | None = None) -> None:
        self.left = limits.MAX_PROTOBUF_FIELDS if fields is None else fields


def fields(message: Message, budget: Budget | None = None) -> Iterator[Field]:
    """The fields of one message, in order, read as they are asked for.

    Args:
        message: bytes, or a source that is read by position.
        budget: shared by all messages of one file; a fresh one if None.

    Raises:
        MalformedInput, NotCanonical, Truncated, TooLarge, Unsupported.
        Unavailable: the source cannot be read.
    """
    spent = Budget() if budget is None else budget
    if isinstance(message, bytes | memoryview):
        return _fields_in_memory(memoryview(message), spent)
    return _fields_by_position(message, spent)


def varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The varint at ``data[at]`` and the position after it; check 1.

    Raises:
        Truncated, MalformedInput, NotCanonical.
    """
    value = shift = 0
    for position in range(at, min(at + _MAX_VARINT_BYTES, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise NotCanonical("a varint is longer than it must be", where=_WHERE)
            if value >> 64:
                raise MalformedInput(
                    "a varint does not fit 64 bits", where=_WHERE, code="varint-overflow"
                )
            return value, position + 1
        shift += 7
    if len(data) - at >= _MAX_VARINT_BYTES:
        raise MalformedInput(
            "a varint has more than 10 bytes", where=_WHERE, code="varint-overflow"
        )
    raise Truncated("ends inside a varint", where=_WHERE)


def packed(data: memoryview, most: int) -> Iterator[int]:
    """The numbers of a packed repeated varint field, at most ``most``.

    Raises:
        TooLarge, and those of :func:`varint`.
    """
    at = count = 0
    while at < len(data):
        if count == most:
            raise TooLarge(f"a packed field has more than {most} numbers", where=_WHERE)
        number, at = varint(data, at)
        count += 1
        yield number


def signed(number: int) -> int:
    """An ``int32`` or ``int64`` from its 64-bit two's complement."""
    return number - (1 << 64) if number >> 63 else number


def held(value: Value, most: int, what: str) -> memoryview:
    """A length-delimited value in memory.

    Raises:
        TooLarge: longer than ``most`` bytes.
        MalformedInput: a number.
    """
    if isinstance(value, int):
        raise MalformedInput(f"{what} is a number", where=_WHERE, code="wrong-wire-type")
    size = length_of(value)
    if size > most:
        raise TooLarge(f"{what} has {size} bytes; at most {most} are read", where=_WHERE)
    return value if isinstance(value, memoryview) else memoryview(value.read(0, size))


def text(value: Value, most: int, what: str) -> str:
    """A ``string`` value: UTF-8, at most ``most`` bytes.

    Raises:
        TooLarge, MalformedInput.
    """
    try:
        return str(held(value, most, what), "utf-8")
    except UnicodeDecodeError:
        raise MalformedInput(f"{what} is not UTF-8", where=_WHERE, code="not-utf8") from None


def nested(value: Value, what: str) -> memoryview | Window:
    """A length-delimited value as the message that it must be.

    Raises:
        MalformedInput: a number.
    """
    if isinstance(value, int):
        raise MalformedInput(f"{what} is a number", where=_WHERE, code="wrong-wire-type")
    return value


def number(value: Value, what: str) -> int:
    """A numeric value, unsigned.

    Raises:
        MalformedInput: bytes.
    """
    if not isinstance(value, int):
        raise MalformedInput(f"{what} is not a number", where=_WHERE, code="wrong-wire-type")
    return value


def length_of(value: memoryview | Window) -> int:
    """Bytes of a length-delimited value, read or not."""
    return len(value) if isinstance(value, memoryview) else value.size


def _tag(data: memoryview, at: int, budget: Budget) -> tuple[int, int, int]:
    """Checks 2 and 4; the field's number, its wire type, and where its value begins."""
    if budget.left <= 0:
        raise TooLarge("has too many fields", where=_WHERE)
    budget.left -= 1
    byte = data[at]
    if byte < 0x80:  # nearly all tags
        tag, at = byte, at + 1
    else:
        tag, at = varint(data, at)
    field, wire_type = tag >> 3, tag & 7
    if not 0 < field <= _MAX_FIELD_NUMBER:
        raise MalformedInput(f"field number {field}", where=_WHERE, code="bad-field-number")
    if wire_type in (3, 4):
        raise Unsupported("groups are not read", where=_WHERE, code="protobuf-group")
    if wire_type > FIXED32:
        raise MalformedInput(f"wire type {wire_type}", where=_WHERE, code="bad-wire-type")
    return field, wire_type, at


def _fields_in_memory(data: memoryview, budget: Budget) -> Iterator[Field]:
    at, end = 0, len(data)
    while at < end:
        field, wire_type, at = _tag(data, at, budget)
        if wire_type == VARINT:
            value, at = varint(data, at)
            yield Field(field, wire_type, value)
            continue
        length = 8 if wire_type == FIXED64 else 4
        if wire_type == BYTES:
            length, at = varint(data, at)
        if length > end - at:
            raise _cut_off(field)
        body = data[at : at + length]
        at += length
        yield Field(
            field, wire_type, body if wire_type == BYTES else int.from_bytes(body, "little")
        )


def _fields_by_position(source: Source, budget: Budget) -> Iterator[Field]:
    """Like :func:`_fields_in_memory`, over chunks; a long value is passed over unread."""
    base = at = 0
    chunk = memoryview(b"")
    while base + at < source.size:
        if len(chunk) - at < 2 * _MAX_VARINT_BYTES:  # a tag and a number or length always fit
            base, at = base + at, 0
            chunk = memoryview(source.read(base, min(_CHUNK, source.size - base)))
        field, wire_type, at = _tag(chunk, at, budget)
        if wire_type == VARINT:
            value, at = varint(chunk, at)
            yield Field(field, wire_type, value)
            continue
        length = 8 if wire_type == FIXED64 else 4
        if wire_type == BYTES:
            length, at = varint(chunk, at)
        if length > source.size - base - at:
            raise _cut_off(field)
        body = _body(source, chunk, base, at, length)
        at += length
        if at > len(chunk):
            base, at, chunk = base + at, 0, memoryview(b"")
        if wire_type == BYTES:
            yield Field(field, wire_type, body)
        else:
            yield Field(field, wire_type, int.from_bytes(held(body, 8, "number"), "little"))


def _body(
    source: Source, chunk: memoryview, base: int, at: int, length: int
) -> memoryview | Window:
    if at + length <= len(chunk):
        return chunk[at : at + length]
    if length <= limits.MAX_PROTOBUF_INLINE_BYTES:
        return memoryview(source.read(base + at, length))
    return Window(source, base + at, length)


def _cut_off(field: int) -> Truncated:
    return Truncated(f"field {field} goes on after the end of its message", where=_WHERE)
