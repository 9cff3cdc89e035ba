"""Tar archives of several writers, and each way of lying."""

from __future__ import annotations

import io
import tarfile

import pytest

from attest.codec.reader import BytesSource
from attest.codec.tars import TarListing, looks_like_tar, read_tar
from attest.errors import MalformedInput, TooLarge, Truncated
from tests.support.fixtures import fixture

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def header(name: str = "a.txt", size: int = 0, **fields) -> bytes:
    """One header block by :mod:`tarfile`, then any fields by position, checksum renewed."""
    info = tarfile.TarInfo(name)
    info.size = size
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    places = {"octal": (124, 12), "type": (156, 1), "magic": (257, 8), "checksum": (148, 8)}
    for field, value in fields.items():
        start, length = places[field]
        block[start : start + length] = value.ljust(length, b"\0")
    if "checksum" not in fields:
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def member(name: str, content: bytes, **fields) -> bytes:
    return header(name, len(content), **fields) + content + bytes(-len(content) % 512)


END = bytes(1024)


def listed(data: bytes, **options) -> TarListing:
    return read_tar(BytesSource(data), **options)


def codes(data: bytes) -> set[str]:
    return {anomaly.code for anomaly in listed(data).anomalies}


def contents(data: bytes) -> dict[str, bytes]:
    source = BytesSource(data)
    return {
        entry.name: (content := entry.open(source)).read(0, content.size)
        for entry in read_tar(source).entries
    }


@pytest.mark.parametrize("form", FORMATS)
def test_what_tarfile_writes(form: str):
    long_name = "folder/" * 20 + "x" * 90
    members = {"a": b"", "b/c": b"x" * 5000, "é": bytes(513), long_name: b"long"}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=FORMATS[form]) as out:
        folder = tarfile.TarInfo("b")
        folder.type = tarfile.DIRTYPE
        out.addfile(folder)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    assert listed(made.getvalue()).anomalies == ()
    assert contents(made.getvalue()) == members
    assert looks_like_tar(made.getvalue()[:512])


def test_a_large_size_in_base_256():
    block = header(size=0)
    big = bytearray(block)
    big[124:136] = b"\x80" + (9 << 33).to_bytes(11, "big")
    big[148:156] = b" " * 8
    big[148:156] = b"%06o\0 " % sum(big)
    with pytest.raises(Truncated):
        listed(bytes(big) + END)


def test_the_old_format_without_a_magic():
    assert contents(member("a", b"x", magic=b"", type=b"\0") + END) == {"a": b"x"}
    assert codes(member("a", b"x", magic=b"", type=b"\0") + END) == set()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (header("a", type=b"1") + END, "link"),
        (header("a", type=b"2") + END, "link"),
        (header("a", type=b"3") + END, "link"),
        (header("a", type=b"4") + END, "link"),
        (header("a", type=b"6") + END, "link"),
        (header("a", 512, type=b"2") + member("b", b"x") + END, "tar-size-lies"),
        (header("a/", 512, type=b"5") + member("b", b"x") + END, "tar-size-lies"),
        (header("a/", 512, type=b"\0") + member("b", b"x") + END, "tar-size-lies"),
        (member("a", b"x", type=b"S") + END, "tar-sparse"),
        (member("a", b"x", type=b"Z") + END, "tar-type"),
        (member("../a", b"x") + END, "unsafe-name"),
        (member("/a", b"x") + END, "unsafe-name"),
        (member("a\\b", b"x") + END, "unsafe-name"),
        (member("a", b"x") + member("a", b"y") + END, "duplicate-name"),
        (member("a", b"x") + member("./a", b"y") + END, "duplicate-name"),
        (member("a", b"x")[:-1] + b"!" + END, "gap"),
        (member("a", b"x") + END + b"hidden", "tail"),
        (member("a", b"x") + END + member("b", b"y"), "tail"),
        (member("a", b"x") + b"junk" * 128 + END, "tar-bad-header"),
        (member("a", b"x") + header("b", checksum=b"000000") + END, "tar-bad-header"),
        (member("a", b"x"), "tar-no-end"),
        (header("a", octal=b"\x80" + bytes(10) + b"\x05") + b"hello".ljust(512, b"\0") + END, None),
    ],
)
def test_an_archive_that_lies(data: bytes, code: str | None):
    assert (code or "tar-number") in codes(data)


def pax(*records: bytes, kind: bytes = b"x") -> bytes:
    return member("pax", b"".join(records), type=kind)


@pytest.mark.parametrize(
    ("records", "code"),
    [
        ((b"13 size=1024\n",), "tar-size-lies"),
        ((b"22 GNU.sparse.major=1\n",), "tar-sparse"),
    ],
)
def test_pax_records_that_override(records: tuple[bytes, ...], code: str):
    assert code in codes(pax(*records) + member("a", bytes(1024)[:512]) + bytes(512) + END)


def test_a_pax_record_for_all_entries():
    assert "tar-global" in codes(pax(b"13 path=evil\n", kind=b"g") + member("a", b"x") + END)


def test_a_name_that_only_some_readers_see_whole():
    block = bytearray(header("a", magic=b"ustar  \0"))
    block[345:351] = b"hidden"
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert "tar-prefix" in codes(bytes(block) + END)


def test_an_extension_without_an_entry():
    assert "tar-no-entry" in codes(member("a", b"x") + pax(b"13 path=evil\n") + END)


def test_a_pax_name():
    assert contents(pax(b"14 path=b/c\xc3\xa9\n") + member("a", b"x") + END) == {"b/cé": b"x"}


@pytest.mark.parametrize(
    "record",
    [b"x path=a\n", b"99 path=a\n", b"9 path=ab\n", b"9 pathab!\n", b"0 path=a\n", b"10 size=-1\n"],
)
def test_a_malformed_pax_record(record: bytes):
    with pytest.raises(MalformedInput):
        listed(pax(record) + member("a", b"x") + END)


def test_a_pax_header_over_the_limit():
    with pytest.raises(TooLarge):
        listed(header("pax", 1 << 30, type=b"x") + END)


@pytest.mark.parametrize("data", [b"", b"x" * 512, END, b"short"])
def test_what_is_no_archive(data: bytes):
    with pytest.raises(MalformedInput):
        listed(data)
    assert not looks_like_tar(data)


@pytest.mark.parametrize("size", [1, 512, 1 << 32])
def test_content_that_is_cut_off(size: int):
    with pytest.raises(Truncated):
        listed(header("a", size))


def test_a_size_that_is_no_number():
    with pytest.raises(MalformedInput):
        listed(header("a", octal=b"12x45") + END)


def test_more_entries_than_are_read():
    with pytest.raises(TooLarge):
        listed(member("a", b"") * 3 + END, max_members=2)


def test_the_fixture():
    data = fixture("pickles", "malicious", "torch_tar.pt").read_bytes()
    assert set(contents(data)) >= {"pickle", "storages"}


def test_what_comes_before_a_cut_is_listed():
    listing = listed(member("a", b"x") + header("b", 1 << 20) + b"short")
    assert [entry.name for entry in listing.entries] == ["a"]
    assert isinstance(listing.fault, Truncated)


def test_a_long_name_that_goes_on_in_the_padding():
    long = header("././@LongLink", 4, type=b"L") + b"name" + b"more".ljust(508, b"\0")
    assert "gap" in codes(long + member("a", b"x") + END)
