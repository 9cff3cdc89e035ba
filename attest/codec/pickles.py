"""Pickle streams as a sequence of operations (protocols 0 to 5). Nothing is executed.

A pickle is a program for a stack machine; this is its disassembler. What the bytes *do* is judged
by :mod:`attest.scan.machine`. Reference: CPython's ``Modules/_pickle.c`` (what runs) and
``Lib/pickletools.py`` (what is written down); where they differ, this reads as the former does:

* names of ``GLOBAL`` and ``INST`` are UTF-8 lines without escapes (``pickletools`` undoes escapes);
* the end of a frame is not enforced: read from memory, a frame that lies changes nothing. Read from
  a file it does: an operation that crosses the end of its frame loses the part before the end, and
  so runs as another one. Such a frame is an :class:`Anomaly`, and what is yielded is one of the
  readings only;
* numbers written as text may have forms that only C's ``strtol`` accepts.

The rule for doubtful bytes: whatever some unpickler would go on after, is gone on after, with an
:class:`Anomaly`; whatever every unpickler stops at, raises. So no operation that a loader would
execute is missed, and none is invented in front of one.

Payloads are not read: a string over :data:`attest.limits.MAX_PICKLE_TEXT_BYTES` is a
:class:`Blob`, and the next operation is found by position. Two gigabytes of bytes cost nothing.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn

from attest.codec.reader import Source
from attest.errors import MalformedInput, TooLarge, Truncated
from attest.limits import KIB, MAX_PICKLE_TEXT_BYTES


@dataclass(frozen=True, slots=True)
class Blob:
    """An argument that is not looked at.

    Attributes:
        kind: ``text``, ``bytes`` or ``number``.
        position: of its first byte in the source.
        length: in bytes, as encoded.
    """

    kind: str
    position: int
    length: int


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that runs, and that no pickler writes. ``code`` is kebab-case, as in errors."""

    code: str
    message: str
    position: int


Argument = int | float | str | bytes | Blob | tuple[str, str] | None
"""``bytes`` for the bytes opcodes, ``str`` for all strings (8-bit strings as Latin-1), (module,
name) for ``GLOBAL`` and ``INST``; None where there is no argument."""

Operation = tuple[str, Argument, int]
"""Name as in :mod:`pickletools`, argument, position of the opcode in the source."""

HIGHEST_PROTOCOL: Final = 5
PROTO: Final = 0x80
"""The first byte of pickles of protocol 2 and later; the second is the protocol."""

_CHUNK: Final = 64 * KIB
_WIDEST: Final = 9
"""Bytes of the longest operation without a counted payload: an opcode and eight bytes."""
_MAX_ANOMALIES: Final = 16
_NO_FRAME: Final = 1 << 64

_BARE: Final = {
    "MARK": 0x28, "STOP": 0x2E, "POP": 0x30, "POP_MARK": 0x31, "DUP": 0x32, "NONE": 0x4E,
    "REDUCE": 0x52, "APPEND": 0x61, "BUILD": 0x62, "DICT": 0x64, "EMPTY_DICT": 0x7D,
    "APPENDS": 0x65, "LIST": 0x6C, "EMPTY_LIST": 0x5D, "OBJ": 0x6F, "SETITEM": 0x73,
    "TUPLE": 0x74, "EMPTY_TUPLE": 0x29, "SETITEMS": 0x75, "BINPERSID": 0x51, "NEWOBJ": 0x81,
    "TUPLE1": 0x85, "TUPLE2": 0x86, "TUPLE3": 0x87, "NEWTRUE": 0x88, "NEWFALSE": 0x89,
    "EMPTY_SET": 0x8F, "ADDITEMS": 0x90, "FROZENSET": 0x91, "NEWOBJ_EX": 0x92,
    "STACK_GLOBAL": 0x93, "MEMOIZE": 0x94, "NEXT_BUFFER": 0x97, "READONLY_BUFFER": 0x98,
}  # fmt: skip

_FIXED: Final = {
    "PROTO": (PROTO, "<B"), "BININT": (0x4A, "<i"), "BININT1": (0x4B, "<B"),
    "BININT2": (0x4D, "<H"), "BINFLOAT": (0x47, ">d"), "BINGET": (0x68, "<B"),
    "LONG_BINGET": (0x6A, "<I"), "BINPUT": (0x71, "<B"), "LONG_BINPUT": (0x72, "<I"),
    "EXT1": (0x82, "<B"), "EXT2": (0x83, "<H"), "EXT4": (0x84, "<i"), "FRAME": (0x95, "<Q"),
}  # fmt: skip

_COUNTED: Final = {
    "SHORT_BINSTRING": (0x55, "<B", "latin"), "BINSTRING": (0x54, "<i", "latin"),
    "SHORT_BINBYTES": (0x43, "<B", "bytes"), "BINBYTES": (0x42, "<I", "bytes"),
    "BINBYTES8": (0x8E, "<Q", "bytes"), "BYTEARRAY8": (0x96, "<Q", "bytes"),
    "SHORT_BINUNICODE": (0x8C, "<B", "utf8"), "BINUNICODE": (0x58, "<I", "utf8"),
    "BINUNICODE8": (0x8D, "<Q", "utf8"), "LONG1": (0x8A, "<B", "long"),
    "LONG4": (0x8B, "<i", "long"),
}  # fmt: skip

_LINES: Final = {
    "INT": 0x49, "LONG": 0x4C, "FLOAT": 0x46, "STRING": 0x53, "UNICODE": 0x56, "PERSID": 0x50,
    "GET": 0x67, "PUT": 0x70, "GLOBAL": 0x63, "INST": 0x69,
}  # fmt: skip
"""Arguments that end at a line feed; ``GLOBAL`` and ``INST`` have two."""

_IS_BARE, _IS_FIXED, _IS_COUNTED, _IS_LINE = range(4)

_Row = tuple[str, int, struct.Struct | None, int, str]


def _rows() -> list[_Row | None]:
    """By opcode: name, shape, how to read its number, how wide that is, what the payload is."""
    rows: list[_Row | None] = [None] * 256
    for name, code in _BARE.items():
        rows[code] = (name, _IS_BARE, None, 0, "")
    for name, (code, layout) in _FIXED.items():
        number = struct.Struct(layout)
        rows[code] = (name, _IS_FIXED, number, number.size, "")
    for name, (code, layout, kind) in _COUNTED.items():
        number = struct.Struct(layout)
        rows[code] = (name, _IS_COUNTED, number, number.size, kind)
    for name, code in _LINES.items():
        rows[code] = (name, _IS_LINE, None, 0, "")
    return rows


_TABLE: Final = _rows()

OPERATIONS: Final = frozenset(row[0] for row in _TABLE if row)
"""The names of all operations."""


def is_opcode(byte: int) -> bool:
    """Whether an operation may begin with this byte."""
    return _TABLE[byte] is not None


@dataclass(slots=True)
class PickleReader:
    """The operations of one pickle, up to and including ``STOP``.

    Args:
        source: whoever made the file controls every byte.
        position: where the pickle begins; once it was read, where it ended or broke off.
        available: how many bytes of the source can be read, when only its beginning is at hand;
            lengths are held against all of it.

    Attributes:
        anomalies: what was odd so far, in order; the first few only.

    Iterating raises:
        Truncated: the source ends inside the pickle.
        MalformedInput: an operation that no unpickler accepts. The message names the byte.
        TooLarge: a module name over the limit.
        Unavailable: the source cannot be read.
    """

    source: Source
    position: int = 0
    available: int | None = None
    anomalies: list[Anomaly] = field(default_factory=list)

    def __iter__(self) -> Iterator[Operation]:
        # One loop on purpose: a call per operation would take longer than the rest of it.
        source, size, table = self.source, self.source.size, _TABLE
        limit = self._limit()
        base, buffer, at, end = self.position, b"", 0, 0
        frame_end = _NO_FRAME
        try:
            name = ""
            while name != "STOP":
                if end - at < _WIDEST and base + end < limit:
                    base += at
                    buffer = source.read(base, min(_CHUNK, limit - base))
                    at, end = 0, len(buffer)
                start = base + at
                if start >= frame_end:
                    if start != frame_end:
                        self._odd(
                            "frame-mismatch", "an operation crosses the end of its frame", start
                        )
                    frame_end = _NO_FRAME
                if at >= end:
                    raise _cut_off(start)
                row = table[buffer[at]]
                if row is None:
                    _malformed(
                        f"0x{buffer[at]:02x} is no pickle operation", start, "unknown-opcode"
                    )
                name, shape, number, width, kind = row
                at += 1
                if shape == _IS_BARE:
                    yield name, None, start
                    continue
                if shape == _IS_LINE:
                    here = base + at
                    argument, after = self._text_argument(name, buffer, at, here, start)
                    at += after - here
                    if at > end:
                        base, buffer, at, end = after, b"", 0, 0
                    yield name, argument, start
                    continue
                if end - at < width or number is None:
                    raise _cut_off(start)
                (value,) = number.unpack_from(buffer, at)
                at += width
                if shape == _IS_FIXED:
                    if name == "FRAME":
                        frame_end = self._frame(value, base + at, frame_end, start)
                    yield name, value, start
                    continue
                if value < 0:
                    _malformed(f"{name} has a negative length", start, "negative-length")
                if value > size - base - at:
                    raise _cut_off(start, f"{name} claims {value} bytes", "length-over-end")
                if value > MAX_PICKLE_TEXT_BYTES:
                    blob = Blob(_BLOB_KINDS[kind], base + at, value)
                    at += value
                    if at > end:
                        base, buffer, at, end = base + at, b"", 0, 0
                    yield name, blob, start
                    continue
                if value > end - at:
                    if value > limit - base - at:
                        raise _cut_off(start)
                    base += at
                    buffer = source.read(base, min(_CHUNK, limit - base))
                    at, end = 0, len(buffer)
                yield name, _payload(kind, buffer[at : at + value], start), start
                at += value
        finally:
            self.position = base + at
        if frame_end not in (_NO_FRAME, self.position):
            self._odd("frame-mismatch", "the pickle ends elsewhere than its frame", self.position)

    def _limit(self) -> int:
        size = self.source.size
        return size if self.available is None else min(size, self.available)

    def _odd(self, code: str, message: str, position: int) -> None:
        if len(self.anomalies) < _MAX_ANOMALIES:
            self.anomalies.append(Anomaly(code, message, position))

    def _frame(self, length: int, begin: int, open_until: int, start: int) -> int:
        """Where the new frame ends."""
        if open_until != _NO_FRAME:
            self._odd("frame-mismatch", "a frame begins inside another", start)
        if length > self.source.size - begin:
            self._odd("frame-mismatch", f"a frame claims {length} bytes, more than follow", start)
            return _NO_FRAME
        return begin + length

    def _text_argument(
        self, name: str, buffer: bytes, at: int, here: int, start: int
    ) -> tuple[Argument, int]:
        """The argument of a line operation, and the position behind it."""
        line, after = self._line(buffer, at, here, start)
        if name in ("GLOBAL", "INST"):
            second, end = self._line(buffer, at + after - here, after, start)
            return (_name(line, start), _name(second, start)), end
        if name in ("GET", "PUT"):
            if line is None:
                line = self._long_index(name, here, start)
            if b"\0" in line:
                self._odd("odd-number", f"{name} is written in a way no pickler writes it", start)
            return _memo_index(name, line, start), after
        if line is None:
            return Blob(_LINE_BLOBS.get(name, "text"), here, after - here - 1), after
        if name in ("INT", "LONG", "FLOAT"):
            value = _number(name, line)
            if value is None:
                self._odd("odd-number", f"{name} is written in a way no pickler writes it", start)
                return Blob("number", here, len(line)), after
            return value, after
        return _string(name, line, start), after

    def _long_index(self, name: str, here: int, start: int) -> bytes:
        """The beginning of a memo index that is too long; if it is one, older CPythons read it."""
        begin = self.source.read(here, MAX_PICKLE_TEXT_BYTES)
        if b"\0" not in begin and _INDEX_START.match(begin):
            message = f"{name} has more than {MAX_PICKLE_TEXT_BYTES} digits (byte {start})"
            raise TooLarge(message, code="over-limit")
        return begin

    def _line(self, buffer: bytes, at: int, here: int, start: int) -> tuple[bytes | None, int]:
        """One line and the position behind its line feed; None when it is longer than is read."""
        stop = buffer.find(b"\n", at) if at < len(buffer) else -1
        if stop >= 0:
            line = buffer[at:stop] if stop - at <= MAX_PICKLE_TEXT_BYTES else None
            return line, here + stop - at + 1
        position, limit, kept = here, self._limit(), b""
        while position < limit:
            chunk = self.source.read(position, min(_CHUNK, limit - position))
            stop = chunk.find(b"\n")
            if len(kept) <= MAX_PICKLE_TEXT_BYTES:
                kept += chunk[:stop] if stop >= 0 else chunk
            if stop >= 0:
                line = kept if len(kept) <= MAX_PICKLE_TEXT_BYTES else None
                return line, position + stop + 1
            position += len(chunk)
        raise _cut_off(start, "a line does not end")


_BLOB_KINDS: Final = {"latin": "text", "utf8": "text", "bytes": "bytes", "long": "number"}
_LINE_BLOBS: Final = {"INT": "number", "LONG": "number", "FLOAT": "number"}
_INTEGER: Final = re.compile(rb"-?(?:0|[1-9][0-9]*)")
_INDEX_START: Final = re.compile(rb"\s*[+-]?[0-9]")
_FLOAT: Final = re.compile(rb"-?(?:[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|inf|nan)")
_ESCAPE: Final = re.compile(
    rb"\\(?:(\n)|([\\'\"abfnrtv])|([0-7]{1,3})|x([0-9a-fA-F]{2})|(x))", re.DOTALL
)
_PLAIN_ESCAPES: Final = dict(zip(b"\\'\"abfnrtv", b"\\'\"\a\b\f\n\r\t\v", strict=True))


def _cut_off(
    position: int, why: str = "it ends before STOP", code: str = "truncated-pickle"
) -> Truncated:
    return Truncated(f"the pickle is cut off: {why} (byte {position})", code=code)


def _malformed(message: str, position: int, code: str) -> NoReturn:
    raise MalformedInput(f"{message} (byte {position})", code=code)


def _payload(kind: str, raw: bytes, start: int) -> Argument:
    if kind == "utf8":
        try:
            return raw.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            _malformed("a string is not UTF-8", start, "not-utf8")
    if kind == "latin":
        return raw.decode("latin-1")
    if kind == "long":
        return int.from_bytes(raw, "little", signed=True)
    return raw


def _name(line: bytes | None, start: int) -> str:
    """Half of a ``GLOBAL``: CPython decodes UTF-8, strictly, and undoes no escapes."""
    if line is None:
        raise TooLarge(f"a module or name is over {MAX_PICKLE_TEXT_BYTES} bytes (byte {start})")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        _malformed("a module or name is not UTF-8", start, "not-utf8")


def _memo_index(name: str, line: bytes, start: int) -> int:
    """As CPython: anything that ``int`` takes, sign, underscores and white space included. Its C
    code stops at a NUL, whatever comes after."""
    try:
        index = int(line.partition(b"\0")[0])
    except ValueError:
        _malformed(f"{name} has no number", start, "bad-memo-index")
    if index < 0:
        _malformed(f"{name} has a negative index", start, "bad-memo-index")
    return index


def _number(name: str, line: bytes) -> int | float | None:
    """The number, or None when only a lenient reader might make sense of it."""
    if name == "FLOAT":
        return float(line) if _FLOAT.fullmatch(line) else None
    if name == "INT" and line in (b"00", b"01"):
        return line == b"01"
    if name == "LONG":
        line = line.removesuffix(b"L")
    return int(line) if _INTEGER.fullmatch(line) else None


def _string(name: str, line: bytes, start: int) -> str:
    try:
        if name == "UNICODE":
            return line.decode("raw-unicode-escape")
        if name == "PERSID":
            return line.decode("ascii")
    except UnicodeDecodeError:
        _malformed(f"{name} cannot be decoded", start, "bad-string")
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        _malformed("STRING is not quoted", start, "bad-string")
    return _unescape(line[1:-1], start).decode("latin-1")


def _unescape(raw: bytes, start: int) -> bytes:
    """Python's escapes of a bytes literal; unknown ones stay as they are, as in CPython."""
    if b"\\" not in raw:
        return raw

    def replace(match: re.Match[bytes]) -> bytes:
        newline, plain, octal, digits, _ = match.groups()
        if newline:
            return b""
        if plain:
            return bytes((_PLAIN_ESCAPES[plain[0]],))
        if octal:
            return bytes((int(octal, 8) & 0xFF,))
        if digits:
            return bytes((int(digits, 16),))
        _malformed("STRING has a broken \\x escape", start, "bad-string")

    return _ESCAPE.sub(replace, raw)
