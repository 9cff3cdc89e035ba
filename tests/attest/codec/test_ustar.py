"""Pack files: what is written is plain ustar, and nothing else is read."""

from __future__ import annotations

import io
import tarfile

import pytest

from attest import limits
from attest.codec.reader import BytesSource
from attest.codec.ustar import encode_header, encode_ustar, read_ustar_strict
from attest.errors import (
    AttestError,
    MalformedInput,
    NotCanonical,
    TooLarge,
    TrailingData,
    Truncated,
)

FILES = {"artifact.sig": b"{}", "claims.jsonl": b"x" * 1500, "keys/é.pub": b"", "b": bytes(512)}


def made(files: dict[str, bytes] | None = None) -> bytes:
    entries = ((name, len(content), [content]) for name, content in (files or FILES).items())
    return b"".join(encode_ustar(entries))


def read(data: bytes) -> dict[str, bytes]:
    source = BytesSource(data)
    members = read_ustar_strict(source)
    return {each.name: source.read(each.offset, each.size) for each in members}


def test_there_and_back():
    assert read(made()) == FILES


def test_the_same_files_make_the_same_bytes():
    assert made() == made()


def test_tarfile_reads_it():
    with tarfile.open(fileobj=io.BytesIO(made())) as peer:
        assert {m.name: peer.extractfile(m).read() for m in peer.getmembers()} == FILES
        assert {(m.mode, m.uid, m.gid, m.mtime) for m in peer.getmembers()} == {(0o644, 0, 0, 0)}


@pytest.mark.parametrize(
    "name", ["a", "x" * 100, "p" * 60 + "/" + "n" * 90, "z/" * 77 + "q" * 99, "d" * 155 + "/n"]
)
def test_the_header_is_that_of_tarfile(name: str):
    info = tarfile.TarInfo(name)
    info.size = 8**11 - 1
    assert info.tobuf(tarfile.USTAR_FORMAT) == encode_header(name, 8**11 - 1)


def test_content_in_chunks():
    chunks = [b"he", b"", b"llo"]
    assert b"".join(encode_ustar([("a", 5, chunks)])) == made({"a": b"hello"})


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [("a", 1, [b"x"]), ("a", 1, [b"y"])],
        [("../a", 0, [])],
        [("/a", 0, [])],
        [("", 0, [])],
        [("a/", 0, [])],
        [("x" * 101, 0, [])],
        [("a", 2, [b"x"])],
        [("a", 0, [b"x"])],
        [("a", 8**11, [])],
        [("a", -1, [])],
    ],
)
def test_what_cannot_be_written(entries):
    with pytest.raises(ValueError, match=r"."):
        list(encode_ustar(entries))


def changed(data: bytes, at: int, new: bytes, *, header: int | None = 0) -> bytes:
    """The archive with other bytes, the checksum of the header at ``header`` renewed."""
    block = bytearray(data)
    block[at : at + len(new)] = new
    if header is not None:
        block[header + 148 : header + 156] = b" " * 8
        block[header + 148 : header + 156] = b"%06o\0 " % sum(block[header : header + 512])
    return bytes(block)


@pytest.mark.parametrize(
    ("at", "new"),
    [
        (100, b"0000755"),
        (108, b"0001750"),
        (124, b" 0000000002"),
        (124, b"\x80" + bytes(10) + b"\x02"),
        (124, b"00000000002 "),
        (136, b"00000000001"),
        (156, b"\0"),
        (156, b"2"),
        (156, b"5"),
        (156, b"x"),
        (157, b"target"),
        (257, b"ustar  \0"),
        (265, b"root"),
        (329, b"0000001"),
        (500, b"x"),
        (20, b"hidden"),
    ],
)
def test_a_header_with_anything_else(at: int, new: bytes):
    with pytest.raises(MalformedInput):
        read(changed(made(), at, new))


def test_a_wrong_checksum():
    with pytest.raises(NotCanonical):
        read(changed(made(), 148, b"000000", header=None))


def test_a_name_that_is_split_where_it_need_not_be():
    data = made({"p/n": b""})
    with pytest.raises(NotCanonical):
        read(changed(changed(data, 0, b"n\0\0"), 345, b"p"))


@pytest.mark.parametrize("name", [b"../etc\0", b"/abs\0", b"a//b\0", b"a/\0", b".\0", b"\xff\0"])
def test_an_unsafe_name(name: bytes):
    with pytest.raises(MalformedInput):
        read(changed(made(), 0, name.ljust(13, b"\0")))


def test_a_name_given_twice():
    one = made({"a": b"x"})[:1024]
    with pytest.raises(MalformedInput) as caught:
        read(one + one + bytes(1024))
    assert caught.value.code == "duplicate-name"


def test_padding_that_is_not_zero():
    with pytest.raises(NotCanonical):
        read(changed(made(), 512 + 2, b"!", header=None))


@pytest.mark.parametrize("extra", [b"\0", bytes(512), b"x"])
def test_bytes_after_the_end(extra: bytes):
    with pytest.raises((TrailingData, NotCanonical)):
        read(made() + extra)


def test_one_zero_block_at_the_end():
    with pytest.raises(AttestError):
        read(made()[:-512])
    with pytest.raises(NotCanonical):
        read(made()[:-512] + b"x" * 512)


@pytest.mark.parametrize("length", [0, 1, 511, 512, 513, 1023, 1024, 1025])
def test_an_archive_that_is_cut_off(length: int):
    with pytest.raises(Truncated):
        read(made()[:length])


def test_a_size_beyond_the_end():
    with pytest.raises(Truncated):
        read(changed(made(), 124, b"77777777777"))


def test_no_file_at_all():
    with pytest.raises(MalformedInput):
        read(bytes(1024))


def test_more_files_than_are_read(monkeypatch):
    monkeypatch.setattr(limits, "MAX_PACK_FILES", 3)
    with pytest.raises(TooLarge):
        read(made())
