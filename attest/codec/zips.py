"""Zip archives (PKWARE APPNOTE 6.3.10), read so that no two readers can see different things.

The zip readers of this world disagree: some trust the central directory, some the local headers;
some find the directory from the end, some take the first record; flags, checksums and names are
checked by one and ignored by the next. Every published bypass of a model scanner that used a zip
lived in such a difference (CVE-2025-1944, CVE-2025-1945, CVE-2025-10156). So this reader looks at
all of it and reports every disagreement as an anomaly; a scanner calls an archive with an anomaly
never clean.

Numbered checks, in the order in which they are made:

1. one end-of-directory record, at the very end, its comment reaching the end of the file;
2. ZIP64 records, if any, directly before it, agreeing with it; one disk;
3. the central directory directly before those, holding exactly as many entries as announced;
4. each entry: plain name, unique, also where case does not count; no encryption, no link, no
   alternative name; sizes that fit;
5. its local header: there, with the same name, flags, method, checksum and sizes, or a data
   descriptor that has them;
6. all members together: no byte in two members, no byte in none.

The content of a member is opened by :func:`open_member`; its checksum is computed by
:func:`attest.codec.checksums.crc_of`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.codec.compressed import InflatedSource
from attest.codec.members import Anomalies, Anomaly, folded_key, member_key, name_fault, quoted
from attest.codec.reader import Source, Window
from attest.codec.zipend import CENTRAL_MAGIC, FULL16, FULL32, Directory, find_directory, read_at
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported

STORED: Final = 0
DEFLATED: Final = 8

MAGIC: Final = b"PK\x03\x04"
_DESCRIPTOR_MAGIC: Final = b"PK\x07\x08"

_ENTRY: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")

_NEWEST: Final = 63
"""Highest "version needed to extract" (6.3). Readers refuse higher ones, or do not look."""

_ENCRYPTED: Final = 1 << 0 | 1 << 6 | 1 << 13
_DESCRIPTOR: Final = 1 << 3
_PATCH: Final = 1 << 5
_UTF8: Final = 1 << 11

_EXTRA_ZIP64: Final = 0x0001
_EXTRA_UNICODE_NAME: Final = 0x7075
_EXTRA_AES: Final = 0x9901


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One entry of the central directory, with what its local header adds.

    Attributes:
        name: from the central directory; bytes that are no text as ``\\xNN``.
        local_name: from the local header; the same unless there is an anomaly.
        method: compression, 0 stored, 8 deflated.
        flags: general purpose bits of the central directory.
        crc: CRC-32 of the content, as stated there.
        size, compressed_size: bytes, as stated there.
        header_offset: of the local header, from the start of the file.
        data_offset: of the content; None where the local header is missing.
    """

    name: str
    local_name: str
    method: int
    flags: int
    crc: int
    size: int
    compressed_size: int
    header_offset: int
    data_offset: int | None

    @property
    def is_folder(self) -> bool:
        return self.name.endswith("/")


@dataclass(frozen=True, slots=True)
class ZipListing:
    """What an archive holds.

    Attributes:
        members: in the order of the central directory.
        anomalies: empty for an archive that every reader understands alike.
        prefix: bytes before the first local header.
        tail: bytes after the end-of-directory record and its comment.
        comment: of the archive, at most 65 535 bytes.
        directory: where the central directory begins.
    """

    members: tuple[ZipMember, ...]
    anomalies: tuple[Anomaly, ...]
    prefix: int
    tail: int
    comment: bytes
    directory: int


def read_zip(source: Source, *, max_members: int = limits.MAX_SCAN_MEMBERS) -> ZipListing:
    """List an archive.

    Args:
        source: the whole file; whoever sent it controls every byte.
        max_members: entries of the central directory.

    Raises:
        MalformedInput: no end-of-directory record (``no-directory``), or no central directory where
            it says: nothing can be listed. Truncated: the directory is cut off.
        TooLarge: more entries or a larger directory than is read.
        Unsupported: an archive in several volumes, or an encrypted directory.
    """
    anomalies = Anomalies()
    found = find_directory(source, anomalies, max_members)
    members: list[ZipMember] = []
    ends: list[tuple[int, int, str]] = []
    names = _Names(anomalies)
    for entry in _entries(source, found, anomalies, max_members):
        names.check(entry)
        member, end = _with_local(source, found, entry, anomalies)
        members.append(member)
        ends.append((member.header_offset, end, member.name))
    if len(members) != found.entries:
        anomalies.add(
            "zip-count",
            f"{found.entries} member(s) are announced and {len(members)} are there",
            found.start,
        )
    prefix = _check_layout(ends, found, anomalies)
    if found.tail:
        offset = source.size - found.tail
        anomalies.add("tail", f"{found.tail} byte(s) follow the end of the zip archive", offset)
    return ZipListing(
        tuple(members), anomalies.found, prefix, found.tail, found.comment, found.start
    )


# -- check 4: entries ------------------------------------------------------------------------------


@dataclass(slots=True)
class _Entry:
    """An entry of the central directory as it is spelled, ZIP64 values filled in."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc: int
    compressed_size: int
    size: int
    offset: int
    is_link: bool


def _entries(
    source: Source, found: Directory, anomalies: Anomalies, max_members: int
) -> Iterator[_Entry]:
    directory = source.read(found.start, found.end - found.start)
    at = 0
    count = 0
    while at < len(directory):
        if directory[at : at + 4] != CENTRAL_MAGIC or at + _ENTRY.size > len(directory):
            if count == 0:
                raise MalformedInput("its zip directory is malformed", code="no-directory")
            anomalies.add("zip-count", "the zip directory ends in something else", found.start + at)
            return
        count += 1
        if count > max_members:
            raise TooLarge(f"holds more than {max_members} members")
        fields = _ENTRY.unpack_from(directory, at)
        lengths = fields[10:13]
        name_at = at + _ENTRY.size
        following = name_at + sum(lengths)
        if following > len(directory):
            raise Truncated("its zip directory is cut off")
        raw_name = directory[name_at : name_at + lengths[0]]
        extra = directory[name_at + lengths[0] : name_at + lengths[0] + lengths[1]]
        yield _entry(fields, raw_name, extra, anomalies, found.start + at)
        at = following


def _entry(
    fields: tuple[int, ...], raw_name: bytes, extra: bytes, anomalies: Anomalies, at: int
) -> _Entry:
    _, made_by, needed, flags, method, _, _, crc, packed, size, _, _, _, disk, _, mode, offset = (
        fields
    )
    name = _text(raw_name, flags)
    extras = _extras(extra, name, anomalies, at)
    _check_alternative_name(extras, raw_name, name, anomalies, at)
    size, packed, offset, disk = _widen(
        extras, (size, packed, offset, disk), name, anomalies, at, local=False
    )
    if disk:
        raise Unsupported("is one of several volumes of a zip archive", code="zip-volumes")
    if flags & _ENCRYPTED or method == 99 or _EXTRA_AES in extras:
        anomalies.add("encrypted", f"{quoted(name)} is marked as encrypted", at)
    if flags & _PATCH:
        anomalies.add("zip-flags", f"{quoted(name)} is marked as patch data", at)
    if method == STORED and size != packed:
        anomalies.add("size-lies", f"{quoted(name)} is stored, in another size than its own", at)
    if needed & 0xFF > _NEWEST:
        anomalies.add("zip-version", f"{quoted(name)} needs a version that does not exist", at)
    del made_by  # the mode is read whatever system is named: readers do
    is_link = (mode >> 16) & 0o170000 == 0o120000
    return _Entry(raw_name, name, flags, method, crc, packed, size, offset, is_link)


def _text(raw: bytes, flags: int) -> str:
    if flags & _UTF8 or raw.isascii():
        return raw.decode("utf-8", "backslashreplace")
    return raw.decode("cp437")


def _extras(extra: bytes, name: str, anomalies: Anomalies, at: int) -> dict[int, bytes]:
    """Extra fields by their number. Up to three zero bytes of padding are usual."""
    found: dict[int, bytes] = {}
    offset = 0
    while len(extra) - offset >= 4:
        kind = int.from_bytes(extra[offset : offset + 2], "little")
        length = int.from_bytes(extra[offset + 2 : offset + 4], "little")
        offset += 4
        if length > len(extra) - offset:
            anomalies.add("zip-extra", f"{quoted(name)} has a malformed extra field", at)
            return found
        if kind in found and kind in (_EXTRA_ZIP64, _EXTRA_UNICODE_NAME):
            anomalies.add("zip-extra", f"{quoted(name)} has an extra field twice", at)
        found.setdefault(kind, extra[offset : offset + length])
        offset += length
    if any(extra[offset:]):
        anomalies.add("zip-extra", f"{quoted(name)} has a malformed extra field", at)
    return found


def _widen(
    extras: dict[int, bytes],
    numbers: tuple[int, int, int, int],
    name: str,
    anomalies: Anomalies,
    at: int,
    *,
    local: bool,
) -> tuple[int, int, int, int]:
    """Size, packed size, offset, disk with the ZIP64 values of those that are full (4.5.3)."""
    wide = extras.get(_EXTRA_ZIP64)
    fulls = (FULL32, FULL32, FULL32, FULL16)
    if wide is None:
        return numbers
    values = list(numbers)
    cursor = 0
    for index, (value, full) in enumerate(zip(numbers, fulls, strict=True)):
        width = 4 if index == 3 else 8
        if value != full:
            continue
        if cursor + width > len(wide):
            anomalies.add("zip64-disagrees", f"{quoted(name)} lacks a ZIP64 number", at)
            break
        values[index] = int.from_bytes(wide[cursor : cursor + width], "little")
        cursor += width
    if cursor == 0 and len(wide) >= 16 and not local:  # some readers believe it all the same
        stated = tuple(int.from_bytes(wide[start : start + 8], "little") for start in (0, 8))
        if stated != numbers[:2]:
            anomalies.add("zip64-disagrees", f"{quoted(name)} has two sizes", at)
    return values[0], values[1], values[2], values[3]


def _check_alternative_name(
    extras: dict[int, bytes], raw_name: bytes, name: str, anomalies: Anomalies, at: int
) -> None:
    """Info-ZIP's Unicode path field: version, CRC of the plain name, another name."""
    other = extras.get(_EXTRA_UNICODE_NAME)
    if other is not None and other[5:] != raw_name and other[5:] != name.encode("utf-8"):
        anomalies.add("name-mismatch", f"{quoted(name)} has a second name", at)


@dataclass(slots=True)
class _Names:
    """Whether names are plain and unique."""

    anomalies: Anomalies
    exact: set[str] = field(default_factory=set)
    folded: set[str] = field(default_factory=set)

    def check(self, entry: _Entry) -> None:
        name = entry.name
        fault = name_fault(name.removesuffix("/") if name.endswith("/") else name)
        if fault:
            self.anomalies.add("unsafe-name", f"{quoted(name)} {fault}")
        if entry.is_link:
            self.anomalies.add("link", f"{quoted(name)} is a symbolic link")
        if name.endswith("/") and (entry.size or entry.compressed_size):
            self.anomalies.add("zip-folder", f"{quoted(name)} is a folder with content")
        exact, folded = member_key(name.replace("\\", "/")), folded_key(name.replace("\\", "/"))
        if exact in self.exact:
            self.anomalies.add("duplicate-name", f"{quoted(name)} is there twice")
        elif folded in self.folded:
            self.anomalies.add(
                "duplicate-folded", f"{quoted(name)} is there twice where case does not count"
            )
        self.exact.add(exact)
        self.folded.add(folded)


# -- check 5: local headers ------------------------------------------------------------------------


def _with_local(
    source: Source, found: Directory, entry: _Entry, anomalies: Anomalies
) -> tuple[ZipMember, int]:
    """The member, and the offset after all of it."""
    start = found.base + entry.offset
    fixed = read_at(source, start, _LOCAL.size)
    if fixed[:4] != MAGIC:
        anomalies.add("local-header-missing", f"{quoted(entry.name)} is not where it should be")
        return _member(entry, entry.name, max(start, 0), None), max(start, 0)
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(fixed)
    variable = read_at(source, start + _LOCAL.size, name_length + extra_length)
    data = start + _LOCAL.size + name_length + extra_length
    if len(variable) < name_length + extra_length or entry.compressed_size > source.size - data:
        anomalies.add("local-header-missing", f"{quoted(entry.name)} is cut off", start)
        return _member(entry, entry.name, start, None), start
    raw_name = variable[:name_length]
    local_name = _text(raw_name, flags)
    if raw_name != entry.raw_name or (flags ^ entry.flags) & _UTF8:
        message = f"{quoted(entry.name)} is called {quoted(local_name)} in its local header"
        anomalies.add("name-mismatch", message, start)
    extras = _extras(variable[name_length:], entry.name, anomalies, start)
    _check_alternative_name(extras, raw_name, local_name, anomalies, start)
    size, packed, _, _ = _widen(
        extras, (size, packed, 0, 0), local_name, anomalies, start, local=True
    )
    if (flags ^ entry.flags) & ~0x0006 or method != entry.method:  # bits 1, 2: how hard it tried
        message = f"{quoted(entry.name)} has another method or other flags in its local header"
        anomalies.add("local-disagrees", message, start)
    end = data + entry.compressed_size
    stated = (crc, packed, size)
    wanted = (entry.crc, entry.compressed_size, entry.size)
    if flags & _DESCRIPTOR:
        end += _descriptor_length(source, end, wanted, entry.name, anomalies)
        mismatch = any(
            each not in (0, FULL32, due) for each, due in zip(stated, wanted, strict=True)
        )
    else:
        mismatch = stated != wanted
    if mismatch:
        message = f"{quoted(entry.name)} has another checksum or size in its local header"
        anomalies.add("local-disagrees", message, start)
    return _member(entry, local_name, start, data), end


def _member(entry: _Entry, local_name: str, start: int, data: int | None) -> ZipMember:
    return ZipMember(
        entry.name,
        local_name,
        entry.method,
        entry.flags,
        entry.crc,
        entry.size,
        entry.compressed_size,
        start,
        data,
    )


def _descriptor_length(
    source: Source, at: int, wanted: tuple[int, int, int], name: str, anomalies: Anomalies
) -> int:
    """Bytes of the data descriptor: with or without signature, 32 or 64 bits, all are in use."""
    crc, packed, size = wanted
    data = source.read(at, min(24, source.size - at))
    for signature in (_DESCRIPTOR_MAGIC, b""):
        for width in (8, 4):
            if max(packed, size) >> (8 * width):
                continue
            expected = (
                signature
                + crc.to_bytes(4, "little")
                + packed.to_bytes(width, "little")
                + size.to_bytes(width, "little")
            )
            if data.startswith(expected):
                return len(expected)
    anomalies.add("local-disagrees", f"{quoted(name)} has no data descriptor that fits", at)
    return 0


# -- check 6: the whole ----------------------------------------------------------------------------


def _check_layout(ends: list[tuple[int, int, str]], found: Directory, anomalies: Anomalies) -> int:
    """No byte in two members, none in no member; the bytes before the first one."""
    if not ends:
        prefix = found.start
    else:
        ends.sort()
        prefix = ends[0][0]
    if prefix:
        anomalies.add("prefix", f"{prefix} byte(s) are in front of the first member", 0)
    reached = prefix
    for start, end, name in ends:
        if start < reached:
            anomalies.add("overlap", f"{quoted(name)} shares bytes with another member", start)
        elif start > reached:
            anomalies.add("gap", f"{start - reached} byte(s) lie before {quoted(name)}", reached)
        reached = max(reached, end)
    if reached > found.start:
        anomalies.add("overlap", "a member shares bytes with the zip directory", found.start)
    elif reached < found.start:
        hidden = found.start - reached
        anomalies.add("gap", f"{hidden} byte(s) lie before the zip directory", reached)
    return prefix


# -- contents --------------------------------------------------------------------------------------


def open_member(source: Source, member: ZipMember, max_bytes: int) -> Source:
    """The content of a member, by position, whatever its flags say.

    Args:
        source: the archive.
        member: of its listing.
        max_bytes: bytes that a compressed member may unpack to. Nothing is unpacked here: reading
            does that, in constant memory.

    Raises:
        MalformedInput: the content is not there. TooLarge: larger, or denser than deflate can pack.
        Unsupported: another compression method.
    """
    if member.data_offset is None:
        raise MalformedInput("its local header is missing", code="local-header-missing")
    packed = Window(source, member.data_offset, member.compressed_size)
    if member.method == STORED:
        return packed
    if member.method != DEFLATED:
        raise Unsupported(f"compression method {member.method}", code="compression-method")
    if member.size > max_bytes:
        raise TooLarge(f"unpacks to {member.size} bytes; at most {max_bytes} are read")
    return InflatedSource(packed, member.size)
