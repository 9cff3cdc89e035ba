"""Fuzz targets of archives, compressed streams and arrays, and of the scanner as a whole.

The oracle for archives: what is accepted without an anomaly is what the standard library reads
there, name for name and byte for byte. A difference would be the gap that a file can hide in.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import pickle
import tarfile
import warnings
import zipfile
import zlib
from typing import Final

import numpy

from attest.codec.checksums import combine, crc_of
from attest.codec.compressed import InflatedSource, compression_of, unpack
from attest.codec.npy import parse_npy
from attest.codec.reader import BytesSource
from attest.codec.tars import looks_like_tar, read_tar
from attest.codec.ustar import encode_ustar, read_ustar_strict
from attest.codec.zipend import has_directory
from attest.codec.zips import ZipMember, open_member, read_zip
from attest.errors import MalformedInput, Unsupported
from attest.scan.allowlist import builtin_allow_list
from attest.scan.engine import scan_source
from attest.scan.grades import Grade, Rules
from tests.support.zips import Entry, archive, deflate, end_record, plain

_RULES: Final = Rules(builtin_allow_list(), max_operations=100_000)
_MOST: Final = 1 << 20


def fuzz_zips(data: bytes) -> None:
    source = BytesSource(data)
    listing = read_zip(source, max_members=1000)
    assert has_directory(source) or listing.anomalies or not listing.members
    contents = [_content(source, member) for member in listing.members]
    if listing.anomalies or None in contents:
        return
    with zipfile.ZipFile(io.BytesIO(data)) as peer:
        names = [_as_peer(member) for member in listing.members]
        assert names == peer.namelist()
        for info, content in zip(peer.infolist(), contents, strict=True):
            assert peer.read(info) == content


def _as_peer(member: ZipMember) -> str:
    """zipfile decodes names as strictly as it can, and fails on what we show escaped."""
    return member.name


def _content(source: BytesSource, member: ZipMember) -> bytes | None:
    """All of a member if it is whole, small and of a kind that is read; else None."""
    try:
        content = open_member(source, member, _MOST)
        made = content.read(0, content.size)
        if isinstance(content, InflatedSource):
            content.check_end()
    except (MalformedInput, Unsupported):
        return None
    crc = crc_of(content)
    assert crc == zlib.crc32(made)
    assert crc == combine(zlib.crc32(made[:3]), zlib.crc32(made[3:]), len(made[3:]))
    return made if crc == member.crc else None


def fuzz_tars(data: bytes) -> None:
    source = BytesSource(data)
    listing = read_tar(source, max_members=1000)
    assert looks_like_tar(data[:512])
    opened = [(entry.name, entry.open(source)) for entry in listing.entries]
    contents = [(name, content.read(0, content.size)) for name, content in opened]
    if listing.anomalies or listing.fault:
        return
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="backslashreplace") as peer:
        read = [(each.name, peer.extractfile(each)) for each in peer.getmembers() if each.isreg()]
        assert [(name, file.read()) for name, file in read if file is not None] == contents


def fuzz_ustar(data: bytes) -> None:
    source = BytesSource(data)
    members = read_ustar_strict(source)
    entries = ((each.name, each.size, [source.read(each.offset, each.size)]) for each in members)
    assert b"".join(encode_ustar(entries)) == data


_PEERS: Final = {
    "gzip": gzip.decompress,
    "bz2": bz2.decompress,
    "zlib": zlib.decompress,
    "xz": lambda data: lzma.decompress(data, lzma.FORMAT_XZ),
    "lzma": lambda data: lzma.decompress(data, lzma.FORMAT_ALONE),
    "joblib-zlib": lambda data: zlib.decompress(data[21:]),
}


def fuzz_compressed(data: bytes) -> None:
    kind = compression_of(data[:64])
    if kind is None:
        raise Unsupported("not compressed")
    made = unpack(BytesSource(data), kind, max_bytes=_MOST)
    content = made.content.read(0, made.content.size)
    assert len(content) <= _MOST
    if made.fault is not None:
        raise made.fault
    if not made.trailing and not data.endswith(b"\0"):  # zero padding, which not all peers know
        assert _PEERS[kind](data) == content


def fuzz_npy(data: bytes) -> None:
    header = parse_npy(BytesSource(data))
    file = io.BytesIO(data)
    version = numpy.lib.format.read_magic(file)
    assert version == header.version
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = getattr(numpy.lib.format, f"read_array_header_{version[0]}_0", None)
            if read is None:
                return
            shape, order, dtype = read(file, max_header_size=_MOST)
        except (ValueError, TypeError, OverflowError, SyntaxError):
            return  # stricter than we are, which no scanner has to be
    assert (shape, order) == (header.shape, header.fortran_order)
    assert dtype.hasobject == header.has_objects


def fuzz_scan(data: bytes) -> None:
    for name in ("model.bin", "x.safetensors", "x.json"):
        found = scan_source(name, BytesSource(data), _RULES)
        if found.grade is not Grade.CLEAN:
            continue
        assert found.format.endswith("zip") or found.format == "npz" or not _zip_names(data)
    if found.grade is not Grade.CLEAN:
        raise Unsupported(found.grade)


def _zip_names(data: bytes) -> list[str]:
    """What zipfile would see."""
    with (
        contextlib.suppress(zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError),
        zipfile.ZipFile(io.BytesIO(data)) as peer,
    ):
        return peer.namelist()
    return []


# Where fuzzing begins


def _zips() -> list[bytes]:
    stream = b"PK\x07\x08" + bytes(12)
    return [
        plain({"a": b"alpha", "b/c": b"beta" * 50}),
        plain({"a": b"alpha", "b/c": b"beta" * 50}, compress=True),
        archive([Entry("data.pkl", pickle.dumps({"a": [1]}))], zip64={}),
        archive([Entry("a", b"x"), Entry("a", b"y")], prefix=b"junk", tail=b"tail"),
        archive([Entry("a", descriptor=stream, local={"crc": 0})]),
        archive([Entry("a", raw=deflate(b"x") + b"y", deflate=True)]),
        plain({"archive/data.pkl": b"\x80\x02}.", "archive/data/0": bytes(64)}),
        plain({"inner.zip": plain({"x": b"cos\nsystem\n(S'true'\ntR."})}),
        end_record(0, 0, 0),
    ]


def _tars() -> list[bytes]:
    made = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=form) as out:
            for name, content in (("a", b"alpha"), ("d/" * 60 + "é", bytes(600))):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                with contextlib.suppress(ValueError):
                    out.addfile(info, io.BytesIO(content))
        made.append(file.getvalue())
    return made


def _arrays() -> list[bytes]:
    made = []
    for array in (
        numpy.arange(4, dtype="<f4"),
        numpy.zeros((2, 2), dtype=[("a", "<i4"), ("b", "U2", (2,))]),
        numpy.array([{}, None], dtype=object),
    ):
        file = io.BytesIO()
        numpy.save(file, array, allow_pickle=True)
        made.append(file.getvalue())
    return made


def _streams() -> list[bytes]:
    text = b"a few words, again and again. " * 20
    packed = [gzip.compress(text), bz2.compress(text), zlib.compress(text), lzma.compress(text)]
    alone = lzma.compress(text, format=lzma.FORMAT_ALONE)
    return [*packed, alone, packed[0] * 2, b"ZF" + b"0x258".ljust(19) + packed[2], packed[1] + b"x"]


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    ustar = b"".join(encode_ustar([("a", 5, [b"alpha"]), ("d/b", 600, [bytes(600)])]))
    made = {
        "fuzz_zips": _zips(),
        "fuzz_tars": [*_tars(), ustar],
        "fuzz_ustar": [ustar, *_tars()],
        "fuzz_npy": _arrays(),
        "fuzz_compressed": _streams(),
    }
    everything = [each for kind in made.values() for each in kind]
    others = [b"plain text", b'{"auto_map": {"A": "b.C"}}', pickle.dumps([1, "a", {}]), bytes(64)]
    return made.get(name) or everything + others
