"""Tar archives as other programs write them, read strictly: v7, ustar, GNU and pax.

The scanner's reader. It finds every byte of content and tells whatever two readers could disagree
about, or that has no place in a model or data set: links, devices, sparse files, numbers in odd
spellings, a size that a pax record overrides, names given twice, bytes after the end. Pack files
have a stricter reader of their own (:mod:`attest.codec.ustar`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.codec.members import Anomalies, Anomaly, member_key, name_fault, quoted
from attest.codec.reader import Source, Window
from attest.errors import MalformedInput, TooLarge, Truncated

BLOCK: Final = 512
_NUMBER: Final = re.compile(rb" *([0-7]*)[ \0]*")
_RECORD: Final = re.compile(rb"([1-9][0-9]{0,7}) ([^=\n]{1,256})=")
_REGULAR: Final = frozenset((b"0", b"\0", b"7"))
_KINDS: Final = {
    b"1": "hard link",
    b"2": "symbolic link",
    b"3": "character device",
    b"4": "block device",
    b"6": "fifo",
}
_FOLDER: Final = b"5"
_SPARSE: Final = b"S"
_OTHER_NUMBERS: Final = ((100, 8), (108, 8), (116, 8), (136, 12), (329, 8), (337, 8))
"""Where mode, owner, group, time and device numbers are."""

_EXTENSIONS: Final = frozenset((b"x", b"X", b"g", b"L", b"K"))


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One regular file of a tar archive.

    Attributes:
        name: as the archive spells it, undecodable bytes as ``\\xNN``.
        size: bytes.
        offset: where its content begins.
    """

    name: str
    size: int
    offset: int

    def open(self, source: Source) -> Source:
        """Its content, of the archive that it was listed from."""
        return Window(source, self.offset, self.size)


@dataclass(frozen=True, slots=True)
class TarListing:
    """What an archive holds.

    Attributes:
        entries: regular files in the order of the archive.
        anomalies: what a careful reader should know; empty for an archive that is plain.
        end: offset after the last entry that was understood; :attr:`tail` bytes follow.
        tail: bytes from ``end`` that are not the zero blocks of the end.
        fault: why what follows ``end`` was not read, if it should have been.
    """

    entries: tuple[TarEntry, ...]
    anomalies: tuple[Anomaly, ...]
    end: int
    tail: int
    fault: MalformedInput | None = None


def looks_like_tar(head: bytes) -> bool:
    """Whether the first 512 bytes are a tar header, by its checksum."""
    return len(head) >= BLOCK and any(head[:BLOCK]) and _checksum_holds(head[:BLOCK])


def read_tar(source: Source, *, max_members: int = limits.MAX_SCAN_MEMBERS) -> TarListing:
    """List an archive.

    Args:
        source: the whole archive; whoever sent it controls every byte.
        max_members: entries of all kinds.

    Raises:
        MalformedInput: the first block is no header, or a number in a header means nothing.
        Truncated: content or a header is cut off.
        TooLarge: more entries, or a longer name or pax record, than is read.
    """
    return _TarReader(source, max_members).run()


@dataclass(slots=True)
class _Override:
    """What extension entries said about the next entry."""

    name: bytes | None = None
    size: int | None = None
    sparse: bool = False
    pending: bool = False


@dataclass(slots=True)
class _TarReader:
    source: Source
    max_members: int
    anomalies: Anomalies = field(default_factory=Anomalies)
    entries: list[TarEntry] = field(default_factory=list)
    headers: int = 0
    seen: set[str] = field(default_factory=set)
    ended: bool = False

    def run(self) -> TarListing:
        offset = 0
        override = _Override()
        while offset < self.source.size:
            block = self.source.read(offset, min(BLOCK, self.source.size - offset))
            if not any(block):
                self.ended = True
                break
            if len(block) < BLOCK or not _checksum_holds(block):
                if not self.headers:
                    raise MalformedInput("is no tar archive", code="not-a-tar")
                self.anomalies.add(
                    "tar-bad-header", f"what follows at byte {offset} is no entry", offset
                )
                break
            self.headers += 1
            if self.headers > self.max_members:
                raise TooLarge(f"holds more than {self.max_members} entries")
            try:
                offset = self._entry(block, offset + BLOCK, override)
            except MalformedInput as error:
                if not self.entries:
                    raise
                return TarListing(tuple(self.entries), self.anomalies.found, offset, 0, error)
        if not self.headers:
            raise MalformedInput("is no tar archive", code="not-a-tar")
        if override.pending:
            self.anomalies.add("tar-no-entry", "an extension is for an entry that is not there")
        return self._finish(offset)

    def _finish(self, offset: int) -> TarListing:
        tail = _count_tail(self.source, offset)
        if not self.ended and not tail:
            self.anomalies.add("tar-no-end", "the archive has no end mark", offset)
        if self.ended and tail:
            self.anomalies.add("tail", f"{tail} byte(s) follow the end of the archive", offset)
        return TarListing(tuple(self.entries), self.anomalies.found, offset, tail)

    def _entry(self, block: bytes, start: int, override: _Override) -> int:
        """Note one entry; the offset of the next header."""
        kind = block[156:157]
        size = self._number(block[124:136], "size", start)
        self._check_numbers(block, start)
        if kind in _EXTENSIONS:
            self._extension(
                kind, self._content(start, size, limits.MAX_TAR_EXTENSION_BYTES), override
            )
            self._check_padding(start + size, size, "an extension")
            return _padded(start, size)
        name = _display(_name(block) if override.name is None else override.name)
        if block[257:263] != b"ustar\0" and block[345:500].strip(b"\0"):
            message = f"{quoted(name)} has a longer name for readers that ignore the format"
            self.anomalies.add("tar-prefix", message, start)
        if override.size is not None and override.size != size:
            if size or override.size < 8**11:  # no writer needs a record for what the field holds
                self.anomalies.add("tar-size-lies", f"{quoted(name)} has two sizes", start)
            size = override.size
        sparse = override.sparse or kind == _SPARSE
        if kind == b"\0" and name.endswith("/"):  # how v7 spells a folder
            kind = _FOLDER
        override.name, override.size, override.sparse, override.pending = None, None, False, False
        if sparse:
            self.anomalies.add("tar-sparse", f"{quoted(name)} is a sparse file", start)
        if kind in _REGULAR or kind == _SPARSE or kind not in (*_KINDS, _FOLDER):
            return self._file(kind, name, size, start)
        if size:  # some readers skip that many bytes, others read a header there
            self.anomalies.add("tar-size-lies", f"{quoted(name)} has no content and a size", start)
        if kind in _KINDS:
            self.anomalies.add("link", f"{quoted(name)} is a {_KINDS[kind]}", start)
        self._check_name(name.rstrip("/"), start)
        return start

    def _file(self, kind: bytes, name: str, size: int, start: int) -> int:
        if kind not in _REGULAR and kind != _SPARSE:
            self.anomalies.add("tar-type", f"{quoted(name)} is of the unknown type {kind!r}", start)
        elif name.endswith("/"):
            self.anomalies.add(
                "unsafe-name", f"{quoted(name)} is a file with a folder's name", start
            )
        if size > self.source.size - start:
            raise Truncated(f"{quoted(name)} is cut off", code="truncated")
        self._check_name(name, start)
        self.entries.append(TarEntry(name, size, start))
        self._check_padding(start + size, size, quoted(name))
        return min(_padded(start, size), self.source.size)

    def _check_padding(self, at: int, size: int, what: str) -> None:
        """Zeros up to the next block; some readers take names from there as well."""
        if any(self.source.read(at, min(-size % BLOCK, self.source.size - at))):
            self.anomalies.add("gap", f"bytes are hidden after {what}", at)

    def _check_name(self, name: str, start: int) -> None:
        fault = name_fault(name.removeprefix("./"))
        if fault and name != ".":
            self.anomalies.add("unsafe-name", f"{quoted(name)} {fault}", start)
        key = member_key(name)
        if key in self.seen:
            self.anomalies.add("duplicate-name", f"{quoted(name)} is there twice", start)
        self.seen.add(key)

    def _content(self, start: int, size: int, most: int) -> bytes:
        if size > most:
            raise TooLarge(f"an extension entry has {size} bytes")
        if size > self.source.size - start:
            raise Truncated("an extension entry is cut off")
        return self.source.read(start, size)

    def _extension(self, kind: bytes, content: bytes, override: _Override) -> None:
        override.pending = True
        if kind == b"L":
            override.name = content.partition(b"\0")[0]
        elif kind in (b"x", b"X", b"g"):
            self._pax(content, override, everywhere=kind == b"g")

    def _pax(self, content: bytes, override: _Override, *, everywhere: bool) -> None:
        """Records ``<length> <key>=<value>\\n``, the length being that of the whole record."""
        at = 0
        while at < len(content):
            match = _RECORD.match(content, at)
            end = at + int(match[1]) if match else 0
            if match is None or not match.end() < end <= len(content) or content[end - 1] != 10:
                raise MalformedInput("a pax record is malformed", code="malformed-pax")
            key, value = match[2], content[match.end() : end - 1]
            at = end
            if everywhere and (key in (b"path", b"size") or key.startswith(b"GNU.sparse")):
                self.anomalies.add("tar-global", f"a pax record sets {key!r} for all entries")
            elif key == b"path" or key == b"GNU.sparse.name":
                override.name = value
            elif key == b"size":
                override.size = _decimal(value)
            override.sparse |= key.startswith(b"GNU.sparse")

    def _check_numbers(self, block: bytes, start: int) -> None:
        """Numbers that are not used here; some readers stop at one that means nothing."""
        for at, length in _OTHER_NUMBERS:
            text = block[at : at + length]
            if text[0] not in (0x80, 0xFF) and _NUMBER.fullmatch(text) is None:
                self.anomalies.add("tar-number", "a header has a number that is none", start)

    def _number(self, text: bytes, what: str, start: int) -> int:
        """An octal number, or GNU's base 256 where the first byte is 0x80."""
        if text[0] == 0x80:
            value = int.from_bytes(text[1:], "big")
            if value < 8**11:
                self.anomalies.add("tar-number", f"a {what} is spelled in base 256", start)
            return value
        match = _NUMBER.fullmatch(text)
        if match is None:
            raise MalformedInput(f"the {what} in the header before byte {start} is no number")
        return int(match[1] or b"0", 8)


def _checksum_holds(block: bytes) -> bool:
    """Whether the sum of the bytes, unsigned or signed, is the one that the header states."""
    match = _NUMBER.fullmatch(block[148:156])
    if match is None or not match[1]:
        return False
    rest = block[:148] + block[156:]
    unsigned = sum(rest) + 8 * 32
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)
    return int(match[1], 8) in (unsigned, signed)


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _display(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def _decimal(value: bytes) -> int:
    if not re.fullmatch(rb"0|[1-9][0-9]{0,18}", value):
        raise MalformedInput("a pax size is no number", code="malformed-pax")
    return int(value)


def _padded(start: int, size: int) -> int:
    return start + size + -size % BLOCK


def _count_tail(source: Source, offset: int) -> int:
    """Bytes from ``offset`` up to the last one that is not zero."""
    end = source.size
    while end > offset:
        piece = source.read(max(offset, end - limits.MIB), end - max(offset, end - limits.MIB))
        kept = len(piece.rstrip(b"\0"))
        if kept:
            return end - len(piece) + kept - offset
        end -= len(piece)
    return 0
