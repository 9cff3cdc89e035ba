"""PE/COFF images: kernels, boot loaders, unified kernel images (UKI); Authenticode digests.

Microsoft PE Format and "Windows Authenticode Portable Executable Signature Format". Headers only
are read; contents are read by position when somebody asks for them, so that an image of any size
takes the same memory. Whoever sent the image controls every byte of it.

What is refused, because two readers could see two images in one file: sections that overlap one
another, the headers or the certificate table; anything outside the file; a certificate table that
is not the last thing in it. What is odd but has one meaning is an anomaly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from attest import limits
from attest.codec.reader import Reader, Source, Window
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported

_DOS_HEADER: Final = 64
_COFF_HEADER: Final = 24  # with the signature "PE\0\0"
_SECTION_ENTRY: Final = 40
_CHECKSUM: Final = 64  # offset in the optional header, of both kinds
_CERTIFICATES: Final = 4  # index of the directory entry
_CHUNK: Final = 1 << 20
_GENERATION: Final = re.compile(r"[1-9][0-9]{0,8}")

_MACHINES: Final = {
    0x014C: "x86", 0x8664: "x86-64", 0x01C0: "arm", 0x01C2: "arm", 0x01C4: "arm",
    0xAA64: "aarch64", 0x5032: "riscv32", 0x5064: "riscv64", 0x6232: "loongarch32",
    0x6264: "loongarch64", 0x0200: "ia64", 0x0EBC: "ebc",
}  # fmt: skip
_SUBSYSTEMS: Final = {
    1: "native", 2: "windows-gui", 3: "windows-console", 10: "efi-application",
    11: "efi-boot-service-driver", 12: "efi-runtime-driver", 13: "efi-rom",
    16: "windows-boot-application",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the section table.

    Attributes:
        name: as stored, up to 8 bytes; bytes that are not ASCII are escaped.
        virtual_size, virtual_address: of the section in memory.
        raw_size, raw_offset: of its bytes in the file. ``raw_offset`` is 0 where there are none.
    """

    name: str
    virtual_size: int
    virtual_address: int
    raw_size: int
    raw_offset: int

    @property
    def content_size(self) -> int:
        """Bytes of content: without the padding up to the file alignment."""
        return min(self.virtual_size, self.raw_size) if self.virtual_size else self.raw_size


@dataclass(frozen=True, slots=True)
class PeImage:
    """The headers of an image.

    Attributes:
        machine, subsystem: by name, or ``0x…``.
        timestamp: of the COFF header. Reproducible builds put a hash here: it is no time to trust.
        headers_size: ``SizeOfHeaders``.
        sections: in the order of the table.
        checksum_offset: file offset of the 4-byte ``CheckSum``.
        certificate_entry: file offset of the certificate table's 8-byte directory entry, or None.
        certificates: (offset, size) of the certificate table; size 0 means unsigned.
        size: of the file.
        anomalies: (code, message) of what is odd and has one meaning.
    """

    machine: str
    subsystem: str
    timestamp: int
    headers_size: int
    sections: tuple[Section, ...]
    checksum_offset: int
    certificate_entry: int | None
    certificates: tuple[int, int]
    size: int
    anomalies: tuple[tuple[str, str], ...]

    @property
    def is_efi(self) -> bool:
        """Whether firmware would run it."""
        return self.subsystem.startswith("efi-")

    def named(self, name: str) -> tuple[Section, ...]:
        """The sections of that name; a UKI with profiles has several."""
        return tuple(section for section in self.sections if section.name == name)


def looks_like_pe(source: Source) -> bool:
    """Whether it begins as an MS-DOS executable whose header points at ``PE\\0\\0``."""
    if source.size < _DOS_HEADER:
        return False
    start = source.read(0, _DOS_HEADER)
    at = int.from_bytes(start[60:64], "little")
    return start[:2] == b"MZ" and at + 4 <= source.size and source.read(at, 4) == b"PE\0\0"


def parse_pe(source: Source) -> PeImage:
    """Read the headers of an image.

    Raises:
        Truncated, TooLarge, MalformedInput; Unsupported (a ROM image, an object file).
    """
    start = _image_header_offset(source)
    coff = Reader(source.read(start, _COFF_HEADER), "COFF header")
    if coff.take(4) != b"PE\0\0":
        raise MalformedInput("no PE header where the MS-DOS header says", code="not-pe")
    machine, count, timestamp = coff.u16(), coff.u16(), coff.u32()
    coff.take(8)  # symbol table: debugging only
    optional_size = coff.u16()
    if count > limits.MAX_PE_SECTIONS:
        raise TooLarge(f"{count} sections; at most {limits.MAX_PE_SECTIONS} are read")
    table = start + _COFF_HEADER + optional_size
    optional = _read_optional_header(source, start + _COFF_HEADER, optional_size)
    end_of_table = table + count * _SECTION_ENTRY
    _check_headers(optional.headers_size, end_of_table, source.size)
    sections = _read_sections(source, table, count)
    certificates = _check_certificates(optional.certificates, source.size)
    _check_layout(sections, optional.headers_size, certificates, source.size)
    return PeImage(
        _MACHINES.get(machine, f"{machine:#06x}"),
        _SUBSYSTEMS.get(optional.subsystem, f"{optional.subsystem:#x}"),
        timestamp,
        optional.headers_size,
        sections,
        optional.checksum_offset,
        optional.certificate_entry,
        certificates,
        source.size,
        tuple(_anomalies(sections, optional.headers_size, certificates, source.size)),
    )


def section_content(source: Source, section: Section) -> Source:
    """The bytes of a section, without padding.

    Raises:
        MalformedInput: ``section-not-in-file``, it is larger in memory than in the file, so that
            the rest would be zeros that nobody stored.
    """
    if section.virtual_size > section.raw_size:
        raise MalformedInput(
            f"holds {section.raw_size} bytes and claims {section.virtual_size}",
            where=f"section {section.name}",
            code="section-not-in-file",
        )
    return Window(source, section.raw_offset, section.content_size)


# -- Authenticode --------------------------------------------------------------------------------


def authenticode_digest(
    source: Source, algorithm: HashAlgorithm, *, as_signed: bool = False
) -> bytes:
    """The digest that signers sign and firmware measures into PCR 4.

    Everything but the checksum, the certificate table and its directory entry, in this order
    (Authenticode, "Calculating the PE Image Hash", which UEFI and the TCG profile refer to): the
    headers, each section by its place in the file, then what the file holds beyond the sum of the
    bytes hashed so far. Reads the image in chunks of 1 MiB.

    Args:
        as_signed: as the image will hash once it is signed: signers pad it to a multiple of 8
            bytes first. Changes nothing for an image that is signed or has such a size already.

    Raises:
        MalformedInput and its kinds, Unsupported: see :func:`parse_pe`.
    """
    image = parse_pe(source)
    hasher = algorithm.new()
    for offset, length in _authenticode_ranges(image):
        for piece in _pieces(source, offset, length):
            hasher.update(piece)
    if as_signed and not image.certificates[1]:
        hasher.update(bytes(-image.size % 8))
    return hasher.digest()


def _authenticode_ranges(image: PeImage) -> Iterator[tuple[int, int]]:
    """(offset, length) of what is hashed, in order."""
    after = image.checksum_offset + 4
    yield 0, image.checksum_offset
    if image.certificate_entry is None:
        yield after, image.headers_size - after
    else:
        yield after, image.certificate_entry - after
        beyond = image.certificate_entry + 8
        yield beyond, image.headers_size - beyond
    hashed = image.headers_size
    for section in sorted(_stored(image.sections), key=lambda each: each.raw_offset):
        yield section.raw_offset, section.raw_size
        hashed += section.raw_size
    # By the specification this starts at the *sum* of the sizes, also where there are gaps.
    yield hashed, image.size - image.certificates[1] - hashed


def _pieces(source: Source, offset: int, length: int) -> Iterator[bytes]:
    end = offset + length
    while offset < end:
        step = min(_CHUNK, end - offset)
        yield source.read(offset, step)
        offset += step


# -- SBAT ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SbatEntry:
    """One line of ``.sbat``: a component and its generation, by which shim revokes old ones."""

    component: str
    generation: int
    vendor: str
    package: str
    version: str


def parse_sbat(data: bytes) -> tuple[SbatEntry, ...]:
    """The lines of an SBAT section (shim's ``SBAT.md``): six fields, no quotes; NULs may follow.

    Raises:
        TooLarge, MalformedInput: a line that has not that form, a component twice, no line.
    """
    if len(data) > limits.MAX_EMBEDDED_TEXT_BYTES:
        raise TooLarge(f"SBAT of {len(data)} bytes; {limits.MAX_EMBEDDED_TEXT_BYTES} are read")
    try:
        text = data.rstrip(b"\0").decode("ascii")
    except UnicodeDecodeError:
        raise MalformedInput("SBAT is not ASCII", code="malformed-sbat") from None
    entries: dict[str, SbatEntry] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r")
        if not line:
            continue
        fields = line.split(",")
        plain = line.isprintable() and len(fields) > 1 and fields[0]
        if not plain or not _GENERATION.fullmatch(fields[1]):
            raise MalformedInput("not an SBAT line", where=f"line {number}", code="malformed-sbat")
        if fields[0] in entries:
            raise MalformedInput("a component twice", where=f"line {number}", code="duplicate-key")
        rest = [*fields[2:5], "", "", ""]
        entries[fields[0]] = SbatEntry(fields[0], int(fields[1]), *rest[:3])
    if not entries:
        raise MalformedInput("SBAT has no line", code="malformed-sbat")
    return tuple(entries.values())


# -- headers -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _OptionalHeader:
    headers_size: int
    subsystem: int
    checksum_offset: int
    certificate_entry: int | None
    certificates: tuple[int, int]


def _image_header_offset(source: Source) -> int:
    """``e_lfanew``: where the PE header is."""
    if source.size < _DOS_HEADER:
        raise Truncated(f"a PE image has at least {_DOS_HEADER} bytes, not {source.size}")
    start = source.read(0, _DOS_HEADER)
    if start[:2] == b"VZ":
        raise Unsupported("a TE image", code="unsupported-te-image")
    if start[:2] != b"MZ":
        raise MalformedInput("does not begin with MZ", code="not-pe")
    offset = int.from_bytes(start[60:64], "little")
    if offset < _DOS_HEADER:
        raise MalformedInput("the PE header overlaps the MS-DOS header", code="header-overlap")
    if offset > source.size - _COFF_HEADER:
        raise Truncated(f"the PE header is at byte {offset} of {source.size}")
    return offset


def _read_optional_header(source: Source, start: int, size: int) -> _OptionalHeader:
    if size > source.size - start:
        raise Truncated("ends inside the optional header")
    header = source.read(start, size)
    reader = Reader(header, "optional header")
    magic = reader.u16()
    if magic == 0x10B:
        directories = 96
    elif magic == 0x20B:
        directories = 112
    else:
        raise Unsupported(f"optional header {magic:#06x}", code="unsupported-pe")
    if size < directories:
        raise Truncated(f"the optional header has {size} bytes; {directories} are due")
    field = Reader(header[60:72], "optional header")
    headers_size, _checksum, subsystem, _flags = field.u32(), field.u32(), field.u16(), field.u16()
    number = int.from_bytes(header[directories - 4 : directories], "little")
    if number > 16 or directories + 8 * number > size:
        raise MalformedInput(
            f"{number} data directories do not fit into the optional header",
            code="bad-data-directories",
        )
    entry, certificates = None, (0, 0)
    if number > _CERTIFICATES:
        at = directories + 8 * _CERTIFICATES
        pair = Reader(header[at : at + 8], "data directory")
        entry, certificates = start + at, (pair.u32(), pair.u32())
    return _OptionalHeader(headers_size, subsystem, start + _CHECKSUM, entry, certificates)


def _check_headers(headers_size: int, end_of_table: int, size: int) -> None:
    if headers_size > size or end_of_table > size:
        raise Truncated(f"the headers have {max(headers_size, end_of_table)} bytes of {size}")
    if end_of_table > headers_size:
        raise MalformedInput("the section table is not inside the headers", code="header-overlap")
    if headers_size > limits.MAX_PE_HEADER_BYTES:
        raise TooLarge(f"headers of {headers_size} bytes")


def _read_sections(source: Source, table: int, count: int) -> tuple[Section, ...]:
    reader = Reader(source.read(table, count * _SECTION_ENTRY), "section table")
    sections = []
    for _ in range(count):
        name = reader.take(8).rstrip(b"\0").decode("ascii", "backslashreplace")
        virtual_size, virtual_address = reader.u32(), reader.u32()
        raw_size, raw_offset = reader.u32(), reader.u32()
        reader.take(16)  # relocations and line numbers of object files; characteristics
        sections.append(
            Section(name, virtual_size, virtual_address, raw_size, raw_offset if raw_size else 0)
        )
    return tuple(sections)


def _check_certificates(entry: tuple[int, int], size: int) -> tuple[int, int]:
    offset, length = entry
    if not length:
        return (0, 0)
    if offset > size or length > size - offset:
        raise Truncated(f"the certificate table of {length} bytes at byte {offset} of {size}")
    if offset + length != size:
        raise MalformedInput(
            "the certificate table is not the last thing in the file",
            hint="what follows it would be neither signed nor measured",
            code="data-after-certificates",
        )
    return entry


# -- layout --------------------------------------------------------------------------------------


def _stored(sections: tuple[Section, ...]) -> list[Section]:
    return [section for section in sections if section.raw_size]


def _check_layout(
    sections: tuple[Section, ...], headers_size: int, certificates: tuple[int, int], size: int
) -> None:
    """Every stored section lies after the headers, before the certificates, and alone."""
    end = certificates[0] if certificates[1] else size
    if end < headers_size:
        raise MalformedInput("the certificate table overlaps the headers", code="header-overlap")
    before = headers_size
    for section in sorted(_stored(sections), key=lambda each: each.raw_offset):
        where = f"section {section.name}"
        if section.raw_offset > size or section.raw_size > size - section.raw_offset:
            raise Truncated(
                f"{section.raw_size} bytes at byte {section.raw_offset} of {size}", where=where
            )
        if section.raw_offset < before:
            code = "header-overlap" if section.raw_offset < headers_size else "section-overlap"
            raise MalformedInput("overlaps what is before it in the file", where=where, code=code)
        before = section.raw_offset + section.raw_size
        if before > end:
            raise MalformedInput(
                "overlaps the certificate table", where=where, code="section-overlap"
            )


def _anomalies(
    sections: tuple[Section, ...], headers_size: int, certificates: tuple[int, int], size: int
) -> Iterator[tuple[str, str]]:
    hashed = headers_size + sum(section.raw_size for section in sections)
    last = max(
        (section.raw_offset + section.raw_size for section in _stored(sections)),
        default=headers_size,
    )
    if last > hashed:
        yield "gap", f"{last - hashed} bytes between sections belong to none"
    rest = size - certificates[1] - last
    if rest:
        yield "trailing-data", f"{rest} bytes after the last section (Authenticode covers them)"
    spans = sorted(
        (section.virtual_address, section.virtual_address + section.virtual_size, section.name)
        for section in sections
        if section.virtual_size
    )
    for (_, end, first), (begin, _, second) in pairwise(spans):
        if begin < end:
            yield "memory-overlap", f"sections {first} and {second} overlap in memory"
