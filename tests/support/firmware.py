"""Firmware images made byte by byte, so that a test can spoil any field of them."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Sequence
from typing import Any

FMP = "6dcbd5ed-e82d-4c44-bda1-7194199ad92a"
PKCS7 = "4aafd29d-68df-49ee-8aa9-347d375665a7"
ALIGNMENT = 512


def pe(
    sections: Sequence[tuple[str, bytes]] = ((".text", b"\x90" * 100),),
    *,
    certificate: bytes = b"",
    trailing: bytes = b"",
    lfanew: int = 64,
    optional_size: int = 240,
    magic: int = 0x20B,
    directories: int = 16,
    count: int | None = None,
    headers_size: int | None = None,
    places: dict[str, Any] | None = None,
) -> bytes:
    """A PE32+ EFI application.

    Args:
        certificate: content of the certificate table, put at the end.
        trailing: bytes between the last section and the certificates.
        count: of sections, if it is to lie.
        places: section name -> (virtual size, virtual address, raw size, raw offset) that lie.
    """
    number = len(sections) if count is None else count
    table_end = lfanew + 24 + optional_size + 40 * len(sections)
    headers = headers_size if headers_size is not None else -(-table_end // ALIGNMENT) * ALIGNMENT
    entries, bodies = b"", b""
    offset, address = -(-table_end // ALIGNMENT) * ALIGNMENT, 0x1000
    for name, content in sections:
        raw = -(-len(content) // ALIGNMENT) * ALIGNMENT
        place = (len(content), address, raw, offset)
        place = (places or {}).get(name, place)
        entries += struct.pack("<8sIIIIIIHHI", name.encode()[:8], *place, 0, 0, 0, 0, 0)
        bodies += content.ljust(raw, b"\0")
        offset += raw
        address += 0x1000 * (1 + len(content) // 0x1000)
    end = offset + len(trailing)
    optional = bytearray(optional_size)
    if optional_size >= 112:
        struct.pack_into("<H", optional, 0, magic)
        struct.pack_into("<IIIIH", optional, 52, 0, 0x10000, headers, 0xDEADBEEF, 10)
        at = 108 if magic == 0x20B else 92
        struct.pack_into("<I", optional, at, directories)
        if certificate and optional_size >= at + 44:
            struct.pack_into("<II", optional, at + 4 + 32, end, len(certificate))
    coff = struct.pack("<4sHHIIIHH", b"PE\0\0", 0x8664, number, 0, 0, 0, optional_size, 0x22E)
    start = b"MZ".ljust(60, b"\0") + struct.pack("<I", lfanew)
    header = start.ljust(lfanew, b"\0") + coff + bytes(optional) + entries
    return (
        header.ljust(-(-table_end // ALIGNMENT) * ALIGNMENT, b"\0")
        + bodies
        + trailing
        + certificate
    )


def uki(**changes: bytes | None) -> bytes:
    """A unified kernel image; sections by name without the dot, ``None`` leaves one out."""
    content: dict[str, bytes | None] = {
        "osrel": b'ID=debian\nVERSION_ID="12"\n',
        "cmdline": b"console=ttyS0 quiet\0",
        "uname": b"6.1.0-55-cloud-amd64",
        "sbat": b"sbat,1,SBAT Version,sbat,1,https://example.com\nsystemd,1,x,systemd,252,https://e\n",
        "sbom": b'{"bomFormat":"CycloneDX","specVersion":"1.6"}',
        "initrd": b"\x1f\x8b" + bytes(range(256)) * 9,
        "linux": pe(),
        **changes,
    }
    return pe([(f".{name}", data) for name, data in content.items() if data is not None])


def fmp_payload(
    image: bytes,
    *,
    version: int = 2,
    image_type: str = "11111111-2222-3333-4444-555555555555",
    instance: int = 7,
    support: int = 1,
    size: int | None = None,
    vendor: bytes = b"",
    vendor_size: int | None = None,
    authenticated: bool = True,
    payload_header: tuple[int, int] | None = (0x00010203, 0x00010000),
) -> bytes:
    """One payload item; ``size`` and ``vendor_size`` may lie."""
    body = image
    if payload_header is not None:
        body = struct.pack("<4sIII", b"MSS1", 16, *payload_header) + body
    if authenticated:
        certificate = b"signature"
        wrapped = struct.pack("<IHH", 24 + len(certificate), 0x0200, 0x0EF1)
        guid = uuid.UUID(PKCS7).bytes_le
        body = struct.pack("<Q", 41) + wrapped + guid + certificate + body
    head = struct.pack("<I", version) + uuid.UUID(image_type).bytes_le + b"\x01\0\0\0"
    head += struct.pack(
        "<II",
        len(body) if size is None else size,
        len(vendor) if vendor_size is None else vendor_size,
    )
    if version >= 2:
        head += struct.pack("<Q", instance)
    if version >= 3:
        head += struct.pack("<Q", support)
    return head + body + vendor


def capsule(
    items: Sequence[bytes] = (),
    *,
    drivers: int = 0,
    guid: str = FMP,
    header_size: int = 28,
    flags: int = 0x50000,
    size: int | None = None,
    offsets: Sequence[int] | None = None,
    version: int = 1,
    counts: tuple[int, int] | None = None,
) -> bytes:
    """An FMP capsule of drivers and payloads; sizes, offsets and counts may lie."""
    listed, at = [], 8 + 8 * len(items)
    for item in items:
        listed.append(at)
        at += len(item)
    number = counts or (drivers, len(items) - drivers)
    body = struct.pack("<IHH", version, *number)
    body += b"".join(struct.pack("<Q", each) for each in (listed if offsets is None else offsets))
    body += b"".join(items)
    total = header_size + len(body) if size is None else size
    head = uuid.UUID(guid).bytes_le + struct.pack("<III", header_size, flags, total)
    return head.ljust(header_size, b"\0") + body
