"""Zip archives that lie, made field by field; :mod:`zipfile` would not write them."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Entry:
    """One member. ``local`` and ``central`` override single fields of either header.

    Fields: ``name`` (bytes), ``flags``, ``method``, ``crc``, ``packed``, ``size``, ``extra``;
    central also ``offset``, ``mode``, ``disk``.
    """

    name: str
    content: bytes = b""
    deflate: bool = False
    raw: bytes | None = None
    descriptor: bytes | None = None
    before: bytes = b""
    local: Mapping[str, Any] = field(default_factory=dict)
    central: Mapping[str, Any] = field(default_factory=dict)

    def packed(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return deflate(self.content) if self.deflate else self.content

    def fields(self) -> dict[str, Any]:
        return {
            "name": self.name.encode(),
            "flags": 0 if self.descriptor is None else 8,
            "method": 8 if self.deflate else 0,
            "crc": zlib.crc32(self.content),
            "packed": len(self.packed()),
            "size": len(self.content),
            "extra": b"",
            "mode": 0o100644 << 16,
            "disk": 0,
        }


def deflate(content: bytes, level: int = 9) -> bytes:
    """A raw deflate stream."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def local_header(entry: Entry) -> bytes:
    values = {**entry.fields(), **entry.local}
    return (
        struct.pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            20,
            values["flags"],
            values["method"],
            0,
            0x21,
            values["crc"],
            values["packed"],
            values["size"],
            len(values["name"]),
            len(values["extra"]),
        )
        + values["name"]
        + values["extra"]
    )


def central_header(entry: Entry, offset: int) -> bytes:
    values = {**entry.fields(), "offset": offset, **entry.central}
    return (
        struct.pack(
            "<4s6H3L5H2L",
            b"PK\x01\x02",
            0x0314,
            20,
            values["flags"],
            values["method"],
            0,
            0x21,
            values["crc"],
            values["packed"],
            values["size"],
            len(values["name"]),
            len(values["extra"]),
            0,
            values["disk"],
            0,
            values["mode"],
            values["offset"],
        )
        + values["name"]
        + values["extra"]
    )


def end_record(entries: int, size: int, offset: int, comment: bytes = b"", **other: int) -> bytes:
    values = {"disk": 0, "first": 0, "here": entries, "comment": len(comment), **other}
    return (
        struct.pack(
            "<4s4H2LH",
            b"PK\x05\x06",
            values["disk"],
            values["first"],
            min(values["here"], 0xFFFF),
            min(entries, 0xFFFF),
            size,
            offset,
            values["comment"],
        )
        + comment
    )


def end_record64(entries: int, size: int, offset: int, at: int, **other: int) -> bytes:
    """ZIP64 record and locator for a record at offset ``at``."""
    values = {"here": entries, "disks": 1, "length": 44, "stated": at, **other}
    record = struct.pack(
        "<4sQ2H2L4Q",
        b"PK\x06\x06",
        values["length"],
        45,
        45,
        0,
        0,
        values["here"],
        entries,
        size,
        offset,
    )
    return record + struct.pack("<4sLQL", b"PK\x06\x07", 0, values["stated"], values["disks"])


def archive(
    entries: Sequence[Entry],
    *,
    prefix: bytes = b"",
    between: bytes = b"",
    zip64: Mapping[str, int] | None = None,
    end: Mapping[str, Any] | None = None,
    tail: bytes = b"",
) -> bytes:
    """An archive of members in order. ``end`` and ``zip64`` override fields of the end records."""
    out = bytearray(prefix)
    offsets = []
    for entry in entries:
        out += entry.before
        offsets.append(len(out))
        out += local_header(entry) + entry.packed() + (entry.descriptor or b"")
    out += between
    start = len(out)
    for entry, offset in zip(entries, offsets, strict=True):
        out += central_header(entry, offset)
    size = len(out) - start
    if zip64 is not None:
        numbers = {"entries": len(entries), "size": size, "offset": start, "at": len(out), **zip64}
        out += end_record64(**numbers)
    out += end_record(**{"entries": len(entries), "size": size, "offset": start, **(end or {})})
    return bytes(out + tail)


def plain(members: Mapping[str, bytes], *, compress: bool = False) -> bytes:
    """An honest archive, by :mod:`zipfile`."""
    made = io.BytesIO()
    with zipfile.ZipFile(
        made, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    ) as out:
        for name, content in members.items():
            out.writestr(zipfile.ZipInfo(name), content, out.compression)
    return made.getvalue()
