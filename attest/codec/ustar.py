"""Plain ustar (POSIX.1-1988), one spelling for one content: the form of pack files.

Regular files only, mode 0644, owner, group and times zero, two zero blocks at the end and nothing
after them: the same entries make the same bytes everywhere. The reader accepts exactly what the
writer makes, so nothing can hide in fields that nobody looks at. Any tar program unpacks it.

A header block, 512 bytes::

    name 100 | mode 8 | uid 8 | gid 8 | size 12 | mtime 12 | chksum 8 | typeflag 1 | linkname 100
    | magic "ustar\\0" "00" | uname 32 | gname 32 | devmajor 8 | devminor 8 | prefix 155 | zeros 12
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from attest import limits
from attest.codec.manifest import check_name
from attest.codec.reader import Source
from attest.errors import MalformedInput, NotCanonical, TooLarge, TrailingData, Truncated

BLOCK: Final = 512
_NAME_BYTES: Final = 100
_PREFIX_BYTES: Final = 155
_MAX_FILE_BYTES: Final = 8**11 - 1
_END: Final = bytes(2 * BLOCK)
_OCTAL: Final = re.compile(rb"[0-7]{11}\0")


@dataclass(frozen=True, slots=True)
class TarMember:
    """One file of a pack.

    Attributes:
        name: plain relative POSIX name.
        size: bytes.
        offset: where its content begins.
    """

    name: str
    size: int
    offset: int


def encode_ustar(entries: Iterable[tuple[str, int, Iterable[bytes]]]) -> Iterator[bytes]:
    """The archive, piece by piece.

    Args:
        entries: name, size and content of each file, in the order they shall have; the content may
            come in any chunks that are ``size`` bytes together.

    Raises:
        ValueError: a name or size that ustar cannot hold, a name given twice, or content of
            another length than was announced. What came out before must be thrown away.
    """
    seen: set[str] = set()
    for name, size, chunks in entries:
        if name in seen:
            raise ValueError(f"two entries are called {name!r}")
        seen.add(name)
        yield encode_header(name, size)
        written = 0
        for chunk in chunks:
            written += len(chunk)
            yield chunk
        if written != size:
            raise ValueError(f"{name!r} has {written} bytes, {size} were announced")
        yield bytes(-size % BLOCK)
    if not seen:
        raise ValueError("an archive without entries says nothing")
    yield _END


def encode_header(name: str, size: int) -> bytes:
    """The one header block for a file of this name and size.

    Raises:
        ValueError: what ustar cannot hold.
    """
    try:
        check_name(name)
    except MalformedInput as error:
        raise ValueError(f"{name!r} {error.message}") from None
    if not 0 <= size <= _MAX_FILE_BYTES:
        raise ValueError(f"{size} bytes do not fit into ustar")
    base, prefix = _split(name.encode("utf-8"))
    fields = (
        base.ljust(_NAME_BYTES, b"\0"),
        b"0000644\0" + 2 * b"0000000\0",
        b"%011o\0" % size,
        b"00000000000\0",
        b"        0",
        bytes(100),
        b"ustar\x0000",
        bytes(32 + 32 + 8 + 8),
        prefix.ljust(_PREFIX_BYTES, b"\0"),
        bytes(12),
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _split(name: bytes) -> tuple[bytes, bytes]:
    """Name field and prefix field: whole if it fits, else cut at the last slash that can be one."""
    if len(name) <= _NAME_BYTES:
        return name, b""
    cut = name.rfind(b"/", 0, _PREFIX_BYTES + 1)
    if cut < 0 or len(name) - cut - 1 > _NAME_BYTES:
        raise ValueError(f"the name {name[:60]!r} is too long for ustar")
    return name[cut + 1 :], name[:cut]


def read_ustar_strict(source: Source) -> tuple[TarMember, ...]:
    """The files of an archive that :func:`encode_ustar` made, at least one.

    Args:
        source: the whole archive; whoever sent it controls every byte.

    Raises:
        Truncated, TooLarge, TrailingData: ends early, too many files, or goes on after its end.
        NotCanonical: readable by other programs, perhaps, but not what is written here: another
            kind of entry, another mode or time, padding that is not zero.
        MalformedInput: unsafe or repeated names, no file at all.
    """
    members: list[TarMember] = []
    seen: set[str] = set()
    offset = 0
    while (block := _block(source, offset)) != _END[:BLOCK]:
        if len(members) == limits.MAX_PACK_FILES:
            raise TooLarge(f"holds more than {limits.MAX_PACK_FILES} files")
        member = _member(block, offset)
        if member.name in seen:
            raise MalformedInput("is there twice", where=member.name, code="duplicate-name")
        seen.add(member.name)
        members.append(member)
        offset = _skip_content(source, member)
    if source.size < offset + len(_END):
        raise Truncated("the archive ends before its two zero blocks")
    if _block(source, offset + BLOCK) != _END[:BLOCK]:
        raise NotCanonical("the archive has one zero block at its end, not two")
    if source.size != offset + len(_END):
        raise TrailingData("the archive goes on after its end")
    if not members:
        raise MalformedInput("the archive holds no file", code="empty-archive")
    return tuple(members)


def _block(source: Source, offset: int) -> bytes:
    if source.size - offset < BLOCK:
        raise Truncated("the archive ends before its two zero blocks")
    return source.read(offset, BLOCK)


def _member(block: bytes, offset: int) -> TarMember:
    """A header, which must be byte for byte the one that its name and size make."""
    if not _OCTAL.fullmatch(block[124:136]):
        raise NotCanonical(f"the header at byte {offset} is not plain ustar")
    size = int(block[124:135], 8)
    base = block[:_NAME_BYTES].rstrip(b"\0")
    prefix = block[345 : 345 + _PREFIX_BYTES].rstrip(b"\0")
    try:
        name = (prefix + b"/" + base if prefix else base).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedInput("a name is not UTF-8", code="unsafe-name") from None
    check_name(name)
    try:
        canonical = encode_header(name, size) == block
    except ValueError:
        canonical = False
    if not canonical:
        raise NotCanonical("its header is not plain ustar", where=name)
    return TarMember(name, size, offset + BLOCK)


def _skip_content(source: Source, member: TarMember) -> int:
    """The offset after a member's content and its padding, which must be zero."""
    padding = -member.size % BLOCK
    if member.size + padding > source.size - member.offset:
        raise Truncated("is cut off", where=member.name)
    end = member.offset + member.size
    if any(source.read(end, padding)):
        raise NotCanonical("its padding is not zero", where=member.name)
    return end + padding
