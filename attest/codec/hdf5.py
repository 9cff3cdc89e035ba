"""A small reader of HDF5 files: what they refer to, and the texts at their root.

Implements, of the HDF5 File Format Specification 3.0, what h5py writes for Keras: superblocks 0 to
3 (II), symbol tables with version 1 B-trees and local heaps (III.A, III.C, III.D), object headers 1
and 2 with continuations (IV.A), the messages named in :data:`_HANDLERS`, fixed and variable-length
text (IV.A.2.d, III.E). Tensor data is not read. Every address and count is controlled by whoever
sent the file: each is checked against the file, each structure is visited once, and the number of
objects and messages is bounded.

What is understood is listed; what is not (dense links and attributes, shared messages, unknown
versions of a structure) makes :attr:`Hdf5Facts.unread` non-empty, so that nobody takes "not found"
for "not there". Checksums are not compared: they protect from accidents only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.codec.reader import Reader, Source, Window
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"

_WHERE: Final = "HDF5"
_MAX_PREFIX: Final = limits.MIB
_MAX_NAME: Final = 64 * limits.KIB
_MAX_BLOCK: Final = 16 * limits.MIB
_MAX_TOLD: Final = 64
_CONTINUATION: Final = 0x10
_ATTRIBUTE: Final = 0x0C
_SHARED: Final = 0x02
_EXTERNAL_LINK: Final = 64
_SYMBOLIC: Final = 2

Anomaly = tuple[str, str]
"""(stable kebab-case code, one sentence)."""


@dataclass(frozen=True, slots=True)
class Hdf5Facts:
    """What an HDF5 file holds.

    Attributes:
        attributes: of the root group; text as bytes, None for everything that is no text.
        names: of the root group's members.
        external: (kind, file) of everything that is read from other files: ``link``, ``data`` or
            ``virtual`` (whose files are not listed).
        objects: groups and datasets that were visited.
        unread: what was not understood, for people; empty if everything was.
        anomalies: (code, sentence).
    """

    attributes: dict[str, bytes | None]
    names: tuple[str, ...]
    external: tuple[tuple[str, str], ...]
    objects: int
    unread: tuple[str, ...]
    anomalies: tuple[Anomaly, ...]


def find_superblock(source: Source) -> int | None:
    """Where the signature is: 0, 512, 1024, 2048, ... up to 1 MiB; None if nowhere."""
    at = 0
    while at <= min(source.size - len(SIGNATURE), _MAX_PREFIX):
        if source.read(at, len(SIGNATURE)) == SIGNATURE:
            return at
        at = at * 2 or 512
    return None


def parse_hdf5(source: Source) -> Hdf5Facts:
    """Visit everything that the root group reaches.

    Raises:
        TooLarge, Truncated, MalformedInput, Unsupported.
        Unavailable: the source cannot be read.
    """
    start = find_superblock(source)
    if start is None:
        raise MalformedInput("has no HDF5 signature", where=_WHERE, code="bad-magic")
    visit = _Visit(source)
    root = visit.superblock(start)
    visit.all(root)
    return Hdf5Facts(
        attributes=visit.attributes,
        names=tuple(visit.names),
        external=tuple(sorted(visit.external)),
        objects=len(visit.headers),
        unread=tuple(sorted(visit.unread)),
        anomalies=tuple(visit.anomalies[: limits.MAX_HEADER_ANOMALIES]),
    )


@dataclass(slots=True)
class _Message:
    """One message of an object header: type, flags, body."""

    kind: int
    flags: int
    body: bytes


@dataclass(slots=True)
class _Visit:
    """One pass over a file; ``data`` is the file from its base address on."""

    source: Source
    data: Source = field(init=False)
    offsets: int = 8
    lengths: int = 8
    attributes: dict[str, bytes | None] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    external: set[tuple[str, str]] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    anomalies: list[Anomaly] = field(default_factory=list)
    headers: set[int] = field(default_factory=set)
    nodes: set[int] = field(default_factory=set)
    waiting: list[int] = field(default_factory=list)
    messages: int = 0
    budget: int = field(default_factory=lambda: limits.MAX_HDF5_READ_BYTES)

    # Reading

    def reader(self, address: int, length: int, what: str) -> Reader:
        if length > _MAX_BLOCK:
            raise TooLarge(f"{what} of {length} bytes", where=_WHERE)
        self.spend(length)
        return Reader(self.data.read(address, length), what)

    def spend(self, length: int) -> None:
        """Many groups may name one heap: bound what is read, not only what there is."""
        self.budget -= length
        if self.budget < 0:
            raise TooLarge(
                f"has more than {limits.MAX_HDF5_READ_BYTES} bytes of structure", where=_WHERE
            )

    def magic(self, read: Reader, expected: bytes) -> None:
        if read.take(4) != expected:
            raise MalformedInput(
                f"{expected.decode()} is not where it should be", where=_WHERE, code="bad-magic"
            )

    def address(self, read: Reader) -> int | None:
        """An address, None if undefined (all ones)."""
        value = read.uint(self.offsets)
        return None if value == (1 << 8 * self.offsets) - 1 else value

    def not_read(self, what: str) -> None:
        if len(self.unread) < _MAX_TOLD:
            self.unread.add(what)

    def count_message(self) -> None:
        self.messages += 1
        if self.messages > limits.MAX_HDF5_MESSAGES:
            raise TooLarge("has too many messages and links", where=_WHERE)

    # II: superblock

    def superblock(self, start: int) -> int:
        """The address of the root group's object header."""
        read = Reader(self.source.read(start, min(256, self.source.size - start)), "superblock")
        read.take(len(SIGNATURE))
        version = read.u8()
        if version in (0, 1):
            read.take(4)
            self.sizes(read.u8(), read.u8())
            read.take(1 + 2 + 2 + 4 + (4 if version == 1 else 0))
            base, _, end, _ = (read.uint(self.offsets) for _ in range(4))
            read.uint(self.offsets)
            root = read.uint(self.offsets)
        elif version in (2, 3):
            self.sizes(read.u8(), read.u8())
            read.take(1)
            base, _, end, root = (read.uint(self.offsets) for _ in range(4))
        else:
            raise Unsupported(f"superblock version {version}", where=_WHERE, code="hdf5-version")
        self.place(start, base, end)
        return root

    def sizes(self, offsets: int, lengths: int) -> None:
        if offsets not in (2, 4, 8) or lengths not in (2, 4, 8):
            raise MalformedInput(
                f"addresses of {offsets} and lengths of {lengths} bytes", where=_WHERE
            )
        self.offsets, self.lengths = offsets, lengths

    def place(self, start: int, base: int, end: int) -> None:
        if base not in (0, start):
            self.anomalies.append(("base-address", f"addresses count from byte {base}"))
        if start:
            self.anomalies.append(("prefix", f"{start} bytes come before the HDF5 signature"))
        # The end is counted like an address: from the base, except where writers forgot it.
        if end > self.source.size:
            raise Truncated(f"ends at byte {self.source.size} of {end}", where=_WHERE)
        tail = self.source.size - max(end, min(base + end, self.source.size))
        if tail > 0:
            self.anomalies.append(("tail", f"{tail} bytes follow the end of the HDF5 file"))
        self.data = Window(self.source, base, max(0, self.source.size - base))

    # IV.A: object headers

    def all(self, root: int) -> None:
        self.waiting.append(root)
        while self.waiting:
            address = self.waiting.pop()
            if address in self.headers:
                continue
            if len(self.headers) >= limits.MAX_HDF5_OBJECTS:
                raise TooLarge(f"has more than {limits.MAX_HDF5_OBJECTS} objects", where=_WHERE)
            self.headers.add(address)
            for message in self.header(address):
                handler = _HANDLERS.get(message.kind)
                if handler is None or (message.kind == _ATTRIBUTE and address != root):
                    continue
                if message.flags & _SHARED:
                    self.not_read("a shared header message")
                else:
                    handler(self, Reader(message.body, "object header message"), address == root)

    def header(self, address: int) -> Iterator[_Message]:
        if self.data.read(address, 4) == b"OHDR":
            return self.header_v2(address)
        return self.header_v1(address)

    def header_v1(self, address: int) -> Iterator[_Message]:
        read = self.reader(address, 16, "object header")
        version = read.u8()
        if version != 1:
            raise Unsupported(f"object header version {version}", where=_WHERE, code="hdf5-version")
        read.take(1)
        left = read.u16()
        read.take(4)
        blocks = [(address + 16, read.u32())]
        seen = {address + 16}
        while blocks:
            start, length = blocks.pop(0)
            block = self.reader(start, length, "object header")
            while left and block.remaining >= 8:
                left -= 1
                kind, size, flags = block.u16(), block.u16(), block.u8()
                block.take(3)
                yield from self.message(_Message(kind, flags, block.take(size)), blocks, seen)

    def header_v2(self, address: int) -> Iterator[_Message]:
        read = self.reader(address, min(64, self.data.size - address), "object header")
        self.magic(read, b"OHDR")
        version, flags = read.u8(), read.u8()
        if version != 2:
            raise Unsupported(f"object header version {version}", where=_WHERE, code="hdf5-version")
        read.take((16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0))
        length = read.uint(1 << (flags & 3))
        blocks = [(address + read.offset, length)]
        seen = {address + read.offset}
        first = True
        while blocks:
            start, length = blocks.pop(0)
            block = self.reader(start, length, "object header")
            if not first:
                self.magic(block, b"OCHK")
            end = 0 if first else 4  # a continuation's checksum is inside its length
            first = False
            while block.remaining - end >= 4 + (2 if flags & 4 else 0):
                kind, size, message_flags = block.u8(), block.u16(), block.u8()
                block.take(2 if flags & 4 else 0)
                body = block.take(size)
                yield from self.message(_Message(kind, message_flags, body), blocks, seen)

    def message(
        self, message: _Message, blocks: list[tuple[int, int]], seen: set[int]
    ) -> Iterator[_Message]:
        """The message, unless it says where the header goes on."""
        self.count_message()
        if message.kind != _CONTINUATION:
            yield message
            return
        read = Reader(message.body, "continuation")
        start, length = read.uint(self.offsets), read.uint(self.lengths)
        if start in seen:
            raise MalformedInput("an object header goes round in circles", where=_WHERE)
        seen.add(start)
        blocks.append((start, length))

    # IV.A.2.m: attributes

    def attribute(self, read: Reader, root: bool) -> None:
        version = read.u8()
        if version not in (1, 2, 3):
            self.not_read(f"an attribute message of version {version}")
            return
        flags = read.u8()
        sizes = [read.u16() for _ in range(3)]
        if version == 3:
            read.take(1)
        parts = []
        for size in sizes:
            parts.append(read.take(size))
            read.take(min(-size % 8, read.remaining) if version == 1 else 0)
        name = _text(parts[0].split(b"\0")[0])
        if version > 1 and flags & 3:
            self.not_read(f"the attribute {name[:60]!r}, whose type is shared")
            return
        if name in self.attributes:
            self.anomalies.append(("duplicate-key", f"two attributes are called {name[:60]!r}"))
        self.attributes[name] = self.text(Reader(parts[1], "datatype"), parts[2], read)

    def text(self, datatype: Reader, dataspace: bytes, data: Reader) -> bytes | None:
        """The value of a scalar text; None for anything else."""
        kind = datatype.u8() & 0x0F
        bits = datatype.take(3)
        size = datatype.u32()
        if not _one_element(dataspace, self.lengths):
            return None
        if kind == 3:
            return data.take(size).rstrip(b"\0")
        if kind == 9 and bits[0] & 0x0F == 1:
            length = data.u32()
            collection, index = self.address(data), data.u32()
            return b"" if collection is None else self.heap_object(collection, index, length)
        return None

    # III.E: global heap

    def heap_object(self, address: int, index: int, length: int) -> bytes:
        head = self.reader(address, 8 + self.lengths, "global heap")
        self.magic(head, b"GCOL")
        head.take(4)
        end = address + head.uint(self.lengths)
        at = address + 8 + self.lengths
        while at + 8 + self.lengths <= end:
            self.count_message()
            read = self.reader(at, 8 + self.lengths, "global heap object")
            number = read.u16()
            read.take(6)
            size = read.uint(self.lengths)
            at += 8 + self.lengths
            if number == index:
                if length > size or size > limits.MAX_HDF5_ATTRIBUTE_BYTES:
                    raise TooLarge(f"an attribute of {max(length, size)} bytes", where=_WHERE)
                self.spend(length)
                return self.data.read(at, length).rstrip(b"\0")
            if number == 0:
                break
            at += size + -size % 8
        raise MalformedInput("a text is not in its heap", where=_WHERE, code="bad-address")

    # III.A, III.C, III.D: groups of the old kind

    def symbol_table(self, read: Reader, root: bool) -> None:
        tree, heap = self.address(read), self.address(read)
        if tree is None or heap is None:
            return
        names = self.local_heap(heap)
        waiting = [tree]
        while waiting:
            address = waiting.pop()
            if address in self.nodes:
                raise MalformedInput("a group goes round in circles", where=_WHERE)
            self.nodes.add(address)
            self.count_message()
            if self.data.read(address, 4) == b"SNOD":
                self.symbols(address, names, root)
            else:
                waiting += self.tree(address)

    def tree(self, address: int) -> list[int]:
        head = self.reader(address, 8 + 2 * self.offsets, "group B-tree")
        self.magic(head, b"TREE")
        if head.u8() != 0:
            raise MalformedInput("a group's B-tree is of another kind", where=_WHERE)
        head.take(1)
        used = head.u16()
        size = used * (self.lengths + self.offsets)
        read = self.reader(address + 8 + 2 * self.offsets, size, "group B-tree")
        children = []
        for _ in range(used):
            read.take(self.lengths)
            children.append(read.uint(self.offsets))
        return children

    def symbols(self, address: int, names: bytes, root: bool) -> None:
        head = self.reader(address, 8, "group node")
        head.take(6)
        entry = 2 * self.offsets + 24
        count = head.u16()
        read = self.reader(address + 8, count * entry, "group node")
        for _ in range(count):
            self.count_message()
            name_offset, header = read.uint(self.offsets), self.address(read)
            cache = read.u32()
            read.take(20)
            if name_offset >= len(names):
                raise MalformedInput("a name is not in its heap", where=_WHERE, code="bad-address")
            if root:
                end = names.find(b"\0", name_offset)
                self.names.append(_text(names[name_offset : end if end >= 0 else None]))
            if header is not None and cache != _SYMBOLIC:
                self.waiting.append(header)

    def local_heap(self, address: int) -> bytes:
        read = self.reader(address, 8 + 2 * self.lengths + self.offsets, "local heap")
        self.magic(read, b"HEAP")
        read.take(4)
        size = read.uint(self.lengths)
        read.uint(self.lengths)
        return self.reader(read.uint(self.offsets), size, "local heap").rest()

    # IV.A.2: groups of the new kind, and what lies in other files

    def link(self, read: Reader, root: bool) -> None:
        self.count_message()
        if read.u8() != 1:
            self.not_read("a link message of an unknown version")
            return
        flags = read.u8()
        kind = read.u8() if flags & 8 else 0
        read.take((8 if flags & 4 else 0) + (1 if flags & 16 else 0))
        length = read.uint(1 << (flags & 3))
        if length > _MAX_NAME:
            raise TooLarge(f"a link name of {length} bytes", where=_WHERE)
        name = _text(read.take(length))
        if root:
            self.names.append(name)
        if kind == 0:
            self.waiting.append(read.uint(self.offsets))
        elif kind == _EXTERNAL_LINK:
            value = read.take(read.u16())
            self.add_external("link", value[1:].split(b"\0")[0])
        elif kind != 1:
            self.not_read(f"a link of kind {kind}")

    def add_external(self, kind: str, name: bytes) -> None:
        if len(self.external) < _MAX_TOLD:
            self.external.add((kind, _text(name)))

    def link_info(self, read: Reader, root: bool) -> None:
        read.take(1)
        read.take(8 if read.u8() & 1 else 0)
        if self.address(read) is not None:
            self.not_read("a group with dense links")

    def attribute_info(self, read: Reader, root: bool) -> None:
        read.take(1)
        read.take(2 if read.u8() & 1 else 0)
        if self.address(read) is not None and root:
            self.not_read("dense attributes of the root group")

    def layout(self, read: Reader, root: bool) -> None:
        version, kind = read.u8(), read.u8()
        if version >= 4 and kind == 3:
            self.add_external("virtual", b"")

    def external_files(self, read: Reader, root: bool) -> None:
        read.take(4)
        read.take(2)
        used = read.u16()
        heap = self.local_heap(read.uint(self.offsets))
        for _ in range(used):
            start = read.uint(self.lengths)
            read.take(2 * self.lengths)
            self.add_external("data", heap[start:].split(b"\0", 1)[0])


_HANDLERS: Final[dict[int, Callable[[_Visit, Reader, bool], None]]] = {
    0x02: _Visit.link_info,
    0x06: _Visit.link,
    0x07: _Visit.external_files,
    0x08: _Visit.layout,
    _ATTRIBUTE: _Visit.attribute,
    0x11: _Visit.symbol_table,
    0x15: _Visit.attribute_info,
}
"""Message types that matter here. Others describe data (dataspace, datatype, fill value, filters,
times, comments) and refer to nothing outside."""


def _one_element(dataspace: bytes, lengths: int) -> bool:
    """Whether a dataspace message describes a scalar, or arrays of one element."""
    read = Reader(dataspace, "dataspace")
    version, rank = read.u8(), read.u8()
    flags = read.u8()
    if version == 2 and read.u8() == 2:  # null
        return False
    if version == 1:
        read.take(5)
    del flags
    return all(read.uint(lengths) == 1 for _ in range(rank))


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")
