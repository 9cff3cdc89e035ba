"""UEFI capsules (UEFI Specification 2.10, 8.5.3 and 23.2-23.3): what a firmware update carries.

A capsule begins with EFI_CAPSULE_HEADER. One for the Firmware Management Protocol (FMP) then lists
drivers and payloads, each payload for one device (GUID, and hardware instance where there are
several); a payload is usually an authenticated image: a monotonic count, a PKCS#7 signature, then
the bytes. EDK II puts a version and the lowest version that may be installed in front of these.

Little-endian throughout. Whoever made the capsule controls every byte; every size is checked
against what is there before it is used, and no content is read.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from attest import limits
from attest.codec.reader import Reader, Source
from attest.errors import MalformedInput, TooLarge, TrailingData, Truncated, Unsupported

CAPSULES: Final = {
    "6dcbd5ed-e82d-4c44-bda1-7194199ad92a": "firmware management protocol",
    "3b6686bd-0d76-4030-b70e-b5519e2fc5a0": "EDK capsule",
    "539182b9-abb5-4391-b69a-e3a943f72fcc": "Intel Framework capsule",
    "4a3ca68b-7723-48fb-803d-578cc1fec44d": "Aptio signed capsule",
    "14eebb90-890a-43db-aed1-5d3c4588a418": "Aptio capsule",
    "3b8c8162-188c-46a4-aec9-be43f1d65697": "Windows UX capsule",
    "39b68c46-f7fb-441b-b6ec-16b0f69821f3": "capsule result report",
    "67d6f4cd-d6b8-4573-bf4a-de5e252d61ae": "JSON configuration capsule",
}
"""GUIDs that a capsule is recognised by. Without one of these a file is no capsule to us."""

FMP: Final = "6dcbd5ed-e82d-4c44-bda1-7194199ad92a"
_PKCS7: Final = "4aafd29d-68df-49ee-8aa9-347d375665a7"
_CAPSULE_HEADER: Final = 28
_FLAGS: Final = {
    0x0001_0000: "persist-across-reset",
    0x0002_0000: "populate-system-table",
    0x0004_0000: "initiate-reset",
}
_FMP_HEADER: Final = 8
_IMAGE_HEADERS: Final = {1: 32, 2: 40, 3: 48}
"""EFI_FIRMWARE_MANAGEMENT_CAPSULE_IMAGE_HEADER: bytes by version."""
_AUTHENTICATION: Final = 32  # count u64, WIN_CERTIFICATE_UEFI_GUID without its data
_CERTIFICATE: Final = 24  # WIN_CERTIFICATE_UEFI_GUID without its data


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes of the capsule: from ``offset``, ``size`` of them."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Payload:
    """One FMP payload.

    Attributes:
        image_type: GUID of what it is for (``UpdateImageTypeId``), which ESRT lists.
        index: ``UpdateImageIndex``.
        hardware_instance: None where the header has none; 0 means every instance.
        authenticated: whether the image is wrapped in a PKCS#7 signature. It is not verified here.
        monotonic_count: of the authentication, or None.
        version, lowest_version: as EDK II's FMP payload header has them, or None.
        image: the whole image as the device's driver gets it.
        content: what is behind authentication and payload header.
        vendor_code: what follows the image.
    """

    image_type: str
    index: int
    hardware_instance: int | None
    authenticated: bool
    monotonic_count: int | None
    version: int | None
    lowest_version: int | None
    image: Region
    content: Region
    vendor_code: Region


@dataclass(frozen=True, slots=True)
class Capsule:
    """A capsule.

    Attributes:
        guid: lower case, one of :data:`CAPSULES`.
        flags: known ones by name, in order; others as ``0x…``.
        body: what follows the header.
        drivers, payloads: of an FMP capsule; empty for another.
        anomalies: (code, message) of what is odd and has one meaning.
    """

    guid: str
    flags: tuple[str, ...]
    header_size: int
    body: Region
    drivers: tuple[Region, ...]
    payloads: tuple[Payload, ...]
    anomalies: tuple[tuple[str, str], ...]

    @property
    def kind(self) -> str:
        """What the GUID means."""
        return CAPSULES[self.guid]


def looks_like_capsule(source: Source) -> bool:
    """Whether it begins with a GUID that we know capsules by."""
    return source.size >= _CAPSULE_HEADER and _guid(source.read(0, 16)) in CAPSULES


def parse_capsule(source: Source) -> Capsule:
    """Read the structure of a capsule.

    Raises:
        Truncated, TooLarge, MalformedInput, TrailingData; Unsupported (a GUID or version that we
        do not know).
    """
    if source.size < _CAPSULE_HEADER:
        raise Truncated(f"a capsule has at least {_CAPSULE_HEADER} bytes, not {source.size}")
    head = Reader(source.read(0, _CAPSULE_HEADER), "capsule header")
    guid = _guid(head.take(16))
    if guid not in CAPSULES:
        raise Unsupported(f"capsule GUID {guid} is not known", code="unsupported-capsule")
    header_size, flags, size = head.u32(), head.u32(), head.u32()
    _check_sizes(header_size, size, source.size)
    drivers: tuple[Region, ...] = ()
    payloads: tuple[Payload, ...] = ()
    anomalies: list[tuple[str, str]] = []
    if guid == FMP:
        drivers, payloads = _fmp(source, header_size, anomalies)
    return Capsule(
        guid,
        tuple(_flag_names(flags)),
        header_size,
        Region(header_size, size - header_size),
        drivers,
        payloads,
        tuple(anomalies),
    )


def _check_sizes(header_size: int, size: int, file_size: int) -> None:
    """``CapsuleImageSize`` covers header and body, and is the file."""
    if not _CAPSULE_HEADER <= header_size <= size:
        raise MalformedInput(
            f"a header of {header_size} bytes in a capsule of {size}", code="bad-capsule-size"
        )
    if size > file_size:
        raise Truncated(f"the capsule has {size} bytes, the file {file_size}")
    if size < file_size:
        raise TrailingData(f"{file_size - size} bytes follow the capsule")


def _flag_names(flags: int) -> list[str]:
    names = [name for bit, name in _FLAGS.items() if flags & bit]
    rest = flags & ~sum(_FLAGS)
    return [*names, f"{rest:#x}"] if rest else names


def _guid(data: bytes) -> str:
    return str(uuid.UUID(bytes_le=data))


# -- firmware management protocol ----------------------------------------------------------------


def _fmp(
    source: Source, start: int, anomalies: list[tuple[str, str]]
) -> tuple[tuple[Region, ...], tuple[Payload, ...]]:
    """EFI_FIRMWARE_MANAGEMENT_CAPSULE_HEADER and what it lists; offsets count from it."""
    room = source.size - start
    if room < _FMP_HEADER:
        raise Truncated("ends inside the FMP capsule header")
    head = Reader(source.read(start, _FMP_HEADER), "FMP capsule header")
    version, drivers, payloads = head.u32(), head.u16(), head.u16()
    if version != 1:
        raise Unsupported(f"FMP capsule version {version}", code="unsupported-capsule")
    count = drivers + payloads
    if count > limits.MAX_CAPSULE_ITEMS:
        raise TooLarge(f"{count} items; at most {limits.MAX_CAPSULE_ITEMS} are read")
    if not count:
        raise MalformedInput("an FMP capsule without driver and payload", code="empty-capsule")
    if count * 8 > room - _FMP_HEADER:
        raise Truncated("ends inside the list of items")
    offsets = Reader(source.read(start + _FMP_HEADER, count * 8), "list of items")
    regions = _items([offsets.u64() for _ in range(count)], _FMP_HEADER + count * 8, room)
    placed = [Region(start + each.offset, each.size) for each in regions]
    return tuple(placed[:drivers]), tuple(
        _payload(source, region, f"payload {number}", anomalies)
        for number, region in enumerate(placed[drivers:])
    )


def _items(offsets: list[int], header: int, room: int) -> list[Region]:
    """Each item reaches to the next one; in order, without holes in front and without overlap."""
    if offsets[0] != header:
        raise MalformedInput(
            f"the first item is at byte {offsets[0]}, not {header}", code="bad-item-offset"
        )
    for number, (one, other) in enumerate(pairwise([*offsets, room])):
        if other <= one:
            raise MalformedInput(
                f"an item at byte {one} that ends at byte {other}",
                where=f"item {number}",
                code="bad-item-offset",
            )
    return [Region(one, other - one) for one, other in pairwise([*offsets, room])]


def _payload(
    source: Source, region: Region, where: str, anomalies: list[tuple[str, str]]
) -> Payload:
    if region.size < 4:
        raise Truncated("ends inside its header", where=where)
    version = int.from_bytes(source.read(region.offset, 4), "little")
    if version not in _IMAGE_HEADERS:
        raise Unsupported(f"image header {version}", where=where, code="unsupported-capsule")
    header = _IMAGE_HEADERS[version]
    if region.size < header:
        raise Truncated("ends inside its header", where=where)
    reader = Reader(source.read(region.offset, header), "image header")
    reader.take(4)
    image_type, index, reserved = _guid(reader.take(16)), reader.u8(), reader.take(3)
    image_size, vendor_size = reader.u32(), reader.u32()
    instance = reader.u64() if version >= 2 else None
    support = reader.u64() if version >= 3 else None
    room = region.size - header
    if image_size > room or vendor_size > room - image_size:
        raise Truncated(
            f"an image of {image_size} and vendor code of {vendor_size} bytes in {room}",
            where=where,
        )
    if room > image_size + vendor_size:
        anomalies.append(("gap", f"{where}: {room - image_size - vendor_size} bytes behind it"))
    if any(reserved):
        anomalies.append(("reserved-bytes", f"{where}: reserved bytes are not zero"))
    image = Region(region.offset + header, image_size)
    count, after = _authentication(source, image, where)
    if support is not None and bool(support & 1) != (count is not None):
        anomalies.append(
            ("authentication-flag", f"{where}: the flag and the image disagree on a signature")
        )
    versions, content = _payload_header(source, after)
    return Payload(
        image_type,
        index,
        instance,
        count is not None,
        count,
        *versions,
        image,
        content,
        Region(image.offset + image_size, vendor_size),
    )


def _authentication(source: Source, image: Region, where: str) -> tuple[int | None, Region]:
    """EFI_FIRMWARE_IMAGE_AUTHENTICATION if the image begins with one: its count, and the rest."""
    if image.size < _AUTHENTICATION:
        return None, image
    reader = Reader(source.read(image.offset, _AUTHENTICATION), "image authentication")
    count, length, revision, kind = reader.u64(), reader.u32(), reader.u16(), reader.u16()
    if (revision, kind) != (0x0200, 0x0EF1) or _guid(reader.take(16)) != _PKCS7:
        return None, image
    if length < _CERTIFICATE or length > image.size - 8:
        raise MalformedInput(
            f"a signature of {length} bytes in an image of {image.size}",
            where=where,
            code="bad-signature-size",
        )
    return count, Region(image.offset + 8 + length, image.size - 8 - length)


def _payload_header(source: Source, region: Region) -> tuple[tuple[int | None, int | None], Region]:
    """EDK II's FMP payload header (``MSS1``), if there is one: the two versions, and the rest."""
    if region.size < 16:
        return (None, None), region
    reader = Reader(source.read(region.offset, 16), "FMP payload header")
    signature, size, version, lowest = reader.take(4), reader.u32(), reader.u32(), reader.u32()
    if signature != b"MSS1" or not 16 <= size <= region.size:
        return (None, None), region
    return (version, lowest), Region(region.offset + size, region.size - size)
