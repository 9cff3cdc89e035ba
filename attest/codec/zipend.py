"""Where the central directory of a zip archive is: checks 1 to 3 of :mod:`attest.codec.zips`.

A zip archive is read from its end: an end-of-directory record of 22 bytes and a comment, before
it perhaps a ZIP64 locator and record, before those the directory. What lies in front of the first
member, or after the comment, is not part of the archive, and most readers do not mind it: that is
how one file can be two things.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from attest import limits
from attest.codec.members import Anomalies
from attest.codec.reader import Source, check_range
from attest.errors import MalformedInput, TooLarge, Unsupported

CENTRAL_MAGIC: Final = b"PK\x01\x02"
END_MAGIC: Final = b"PK\x05\x06"
_END64_MAGIC: Final = b"PK\x06\x06"
_LOCATOR_MAGIC: Final = b"PK\x06\x07"

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")

FULL16: Final = 0xFFFF
FULL32: Final = 0xFFFF_FFFF
"""Values that say: look into the ZIP64 record or field."""

_SEARCHED: Final = 0xFFFF + _END.size
"""Bytes at the end of a file in which readers look for the end record: the longest comment."""


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies, and what the end records say.

    Attributes:
        start, end: of the directory, in bytes from the start of the file.
        base: what must be added to every stated offset: bytes put in front of the archive.
        entries: how many are announced.
        tail: bytes after the comment.
        comment: of the archive.
    """

    start: int
    end: int
    base: int
    entries: int
    tail: int
    comment: bytes


class _End(NamedTuple):
    """The numbers of an end record, plain or ZIP64: which disk, how many entries, where."""

    disk: int
    first_disk: int
    here: int
    entries: int
    size: int
    offset: int
    comment: int


class _End64(NamedTuple):
    """A ZIP64 record: where it is, where the locator says that it is, its numbers."""

    position: int
    stated: int
    record: _End


def other_ends(source: Source) -> list[int]:
    """Where the archive ends for readers that find another end record than the last one.

    Cut off there, the file is the archive that they see. At most four: more say nothing new.
    """
    found = [
        position + _END.size
        for position, record in _end_records(source)
        if _leads_somewhere(source, position, record)
    ]
    return [end for end in found if end < source.size][:4]


def has_directory(source: Source) -> bool:
    """Whether a reader that starts at the end would take the file for a zip archive.

    It need not be a good one, nor begin with a zip signature: true for any end-of-directory record
    in the last 64 KiB that leads to an entry, to ZIP64 records, or to an empty directory.
    """
    return any(_leads_somewhere(source, *each) for each in _end_records(source))


def _leads_somewhere(source: Source, position: int, record: _End) -> bool:
    if read_at(source, position - _LOCATOR.size, 4) == _LOCATOR_MAGIC:
        return True
    if record.size == 0:
        return record.entries == 0 and position == record.offset
    begins = (position - record.size, record.offset)
    return any(read_at(source, begin, 4) == CENTRAL_MAGIC for begin in begins)


def find_directory(source: Source, anomalies: Anomalies, max_members: int) -> Directory:
    """Find the central directory.

    Args:
        source: the whole file; whoever sent it controls every byte.
        anomalies: told whatever another reader could see differently.
        max_members: entries that may be announced.

    Raises:
        MalformedInput: there is none. Truncated: it is cut off. TooLarge. Unsupported: volumes.
    """
    position, record = _choose_end(source, anomalies)
    after = position + _END.size
    comment = source.read(after, min(record.comment, source.size - after))
    if len(comment) < record.comment:
        anomalies.add("zip-comment", "the comment goes on after the end of the file", after)
    end = position
    record64 = _find_end64(source, position, anomalies)
    if record64 is not None:
        end = record64.position
        _compare(record, record64.record, end, anomalies)
        record = record64.record
    if record.disk or record.first_disk or record.here != record.entries:
        raise Unsupported("is one of several volumes of a zip archive", code="zip-volumes")
    if record.entries > max_members:
        raise TooLarge(f"holds {record.entries} members; at most {max_members} are read")
    if record.size > limits.MAX_ZIP_DIRECTORY_BYTES:
        raise TooLarge(f"its central directory has {record.size} bytes")
    start = _locate(source, record.size, record.offset, end, anomalies)
    base = start - record.offset
    if record64 is not None and record64.stated + base != end:
        anomalies.add("zip64-elsewhere", "the ZIP64 locator leads to another place", end)
    tail = source.size - after - len(comment)
    return Directory(start, start + record.size, base, record.entries, tail, comment)


def _end_records(source: Source) -> Iterator[tuple[int, _End]]:
    """Everything that looks like an end-of-directory record, from the end of the file."""
    length = min(source.size, _SEARCHED)
    start = source.size - length
    tail = source.read(start, length)
    at = tail.rfind(END_MAGIC)
    while at >= 0:
        if at + _END.size <= len(tail):
            yield start + at, _End(*_END.unpack_from(tail, at)[1:])
        at = tail.rfind(END_MAGIC, 0, at + len(END_MAGIC) - 1)


def _choose_end(source: Source, anomalies: Anomalies) -> tuple[int, _End]:
    """The end-of-directory record: the last one whose comment ends with the file, else the last."""
    records = list(_end_records(source))
    if not records:
        raise MalformedInput("has no zip directory", code="no-directory")
    exact = [each for each in records if each[0] + _END.size + each[1].comment == source.size]
    chosen = exact[0] if exact else records[0]
    start = chosen[0] - chosen[1].size  # a stored archive in a member ends before that
    for each in records:
        if each is not chosen and (each in exact or each[0] >= start):
            anomalies.add("zip-two-ends", "a second zip directory could be found", each[0])
    return chosen


def _find_end64(source: Source, position: int, anomalies: Anomalies) -> _End64 | None:
    """The ZIP64 record, if there is a locator before the end record at ``position``."""
    at = position - _LOCATOR.size
    locator = read_at(source, at, _LOCATOR.size)
    if locator[:4] != _LOCATOR_MAGIC:
        return None
    _, disk, stated, disks = _LOCATOR.unpack(locator)
    if disk or disks > 1:
        raise Unsupported("is one of several volumes of a zip archive", code="zip-volumes")
    start = at - _END64.size
    if read_at(source, start, 4) != _END64_MAGIC:
        anomalies.add("zip64-elsewhere", "the ZIP64 record is not directly before the end", at)
        start = stated
    data = read_at(source, start, _END64.size)
    if data[:4] != _END64_MAGIC:
        raise MalformedInput("its ZIP64 record is not where it should be", code="no-directory")
    _, length, _, _, disk, first, here, entries, size, offset = _END64.unpack(data)
    if length != _END64.size - 12:
        anomalies.add("zip64-disagrees", "the ZIP64 record has an extension", start)
    return _End64(start, stated, _End(disk, first, here, entries, size, offset, 0))


def _compare(short: _End, wide: _End, at: int, anomalies: Anomalies) -> None:
    """Every number of the plain record is full, or the same as in the ZIP64 record."""
    fulls = (FULL16,) * 4 + (FULL32,) * 2
    for narrow, number, full in zip(short[:6], wide[:6], fulls, strict=True):
        if narrow not in (full, number):
            anomalies.add("zip64-disagrees", "ZIP64 record and plain record differ", at)


def _locate(source: Source, size: int, offset: int, end: int, anomalies: Anomalies) -> int:
    """Where the directory begins: where the record says, else directly before ``end``."""
    before = end - size
    if before == offset:
        return before
    if before > offset and (size == 0 or read_at(source, before, 4) == CENTRAL_MAGIC):
        # Bytes were put in front, and offsets count from after them; see the check of the layout.
        if size and read_at(source, offset, 4) == CENTRAL_MAGIC:
            anomalies.add("zip-two-directories", "two zip directories could be found", offset)
        return before
    check_range(offset, size, source.size)
    if size and read_at(source, offset, 4) != CENTRAL_MAGIC:
        raise MalformedInput("its zip directory is not where it should be", code="no-directory")
    message = "zip directory and end record do not meet"
    anomalies.add("gap", message, min(offset + size, source.size))
    return offset


def read_at(source: Source, offset: int, length: int) -> bytes:
    """What is there, empty where that is outside the file."""
    if offset < 0 or offset > source.size - length:
        return b""
    return source.read(offset, length)
