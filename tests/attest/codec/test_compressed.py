"""Compressed streams: whole ones, several in a row, broken ones, and bombs."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import zlib

import pytest

from attest import limits
from attest.codec.compressed import InflatedSource, compression_of, unpack
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge, Truncated
from tests.support.fixtures import fixture
from tests.support.zips import deflate


def alone(content: bytes) -> bytes:
    return lzma.compress(content, format=lzma.FORMAT_ALONE)


def zero_file(content: bytes) -> bytes:
    """joblib's first format."""
    return b"ZF" + hex(len(content)).encode().ljust(19) + zlib.compress(content)


PACKERS = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zlib": zlib.compress,
    "lzma": alone,
    "joblib-zlib": zero_file,
}
REPEATABLE = ["gzip", "bz2", "xz"]
TEXT = b"a few words, again and again. " * 200


def whole(packed: bytes, kind: str, **options):
    return unpack(BytesSource(packed), kind, **options)


def content_of(made) -> bytes:
    return made.content.read(0, made.content.size)


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("content", [TEXT, os.urandom(300_000)], ids=["text", "noise"])
def test_there_and_back(kind: str, content: bytes):
    packed = PACKERS[kind](content)
    assert compression_of(packed[:64]) == kind
    made = whole(packed, kind)
    assert content_of(made) == content
    assert (made.streams, made.trailing, made.fault) == (1, 0, None)


@pytest.mark.parametrize("kind", PACKERS)
def test_nothing_inside(kind: str):
    made = whole(PACKERS[kind](b""), kind)
    assert (made.content.size, made.fault) == (0, None)


@pytest.mark.parametrize("kind", REPEATABLE)
@pytest.mark.parametrize("between", [b"", bytes(8)])
def test_streams_that_follow_one_another(kind: str, between: bytes):
    packed = PACKERS[kind](TEXT)
    made = whole(packed + between + packed + bytes(4), kind)
    assert content_of(made) == TEXT * 2
    assert (made.streams, made.trailing, made.fault) == (2, 0, None)


@pytest.mark.parametrize("kind", PACKERS)
def test_bytes_after_the_end(kind: str):
    made = whole(PACKERS[kind](TEXT) + b"hidden", kind)
    assert content_of(made) == TEXT
    assert made.trailing == 6


@pytest.mark.parametrize("kind", PACKERS)
def test_what_came_before_a_cut_is_kept(kind: str):
    content = os.urandom(200_000)
    made = whole(PACKERS[kind](content)[:150_000], kind)
    assert isinstance(made.fault, Truncated)
    if kind != "bz2":  # which decodes blocks of 900 kB at once
        assert 0 < made.content.size < 200_000
    assert content.startswith(content_of(made))


@pytest.mark.parametrize("kind", PACKERS)
def test_what_came_before_a_fault_is_kept(kind: str):
    content = os.urandom(2_000_000)
    packed = bytearray(PACKERS[kind](content))
    packed[-300_000:-200_000] = bytes(100_000)
    made = whole(bytes(packed), kind)
    assert made.fault is not None
    assert made.content.size > 100_000


def test_a_second_stream_that_is_broken():
    made = whole(gzip.compress(TEXT) + b"\x1f\x8b\x08" + b"\xff" * 50, "gzip")
    assert content_of(made) == TEXT
    assert made.fault is not None


def test_a_wrong_checksum():
    packed = bytearray(gzip.compress(TEXT))
    packed[-8] ^= 1
    made = whole(bytes(packed), "gzip")
    assert content_of(made) == TEXT
    assert made.fault is not None


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bomb_stops_at_the_ratio(kind: str):
    made = whole(PACKERS[kind](bytes(24 << 20)), kind, max_ratio=100)
    assert isinstance(made.fault, TooLarge)
    assert made.content.size <= 18 << 20


@pytest.mark.parametrize("kind", PACKERS)
def test_a_bound_in_bytes(kind: str):
    made = whole(PACKERS[kind](TEXT), kind, max_bytes=100)
    assert isinstance(made.fault, TooLarge)
    assert content_of(made) == TEXT[:100]


def test_exactly_the_bound_is_no_fault():
    assert whole(gzip.compress(TEXT), "gzip", max_bytes=len(TEXT)).fault is None


def test_a_dictionary_larger_than_the_limit():
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 512 << 20}]
    packed = lzma.compress(b"x", filters=filters, format=lzma.FORMAT_XZ)
    assert whole(packed, "xz").fault is not None


def test_streams_without_number(monkeypatch):
    monkeypatch.setattr(limits, "MAX_UNPACKED_STREAMS", 50)
    made = whole(gzip.compress(b"") * 51, "gzip")
    assert isinstance(made.fault, TooLarge)


def test_an_unknown_kind_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="zip9"):
        whole(b"", "zip9")


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x1f",
        b"BZh9",
        b"text",
        b"x",
        bytes(64),
        b"\xff" * 64,
        b"ZF not",
        b"x\xbb" + b"\0" * 9,
    ],
)
def test_what_is_not_compressed(head: bytes):
    assert compression_of(head) is None


@pytest.mark.parametrize("name", ["bz2", "xz", "z"])
def test_fixtures(name: str):
    packed = fixture("pickles", "malicious", f"joblib.pkl.{name}").read_bytes()
    kind = compression_of(packed[:64])
    assert kind is not None
    assert whole(packed, kind).fault is None


# -- deflated members ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def large() -> bytes:
    """More than is unpacked at once."""
    return b"".join(os.urandom(1 << 16) * 20 for _ in range(40))


def test_a_large_member_is_read_anywhere(large: bytes):
    content = InflatedSource(BytesSource(deflate(large, level=1)), len(large))
    for offset in (0, 40 << 20, 5, 20 << 20, len(large) - 10, 17 << 20):
        assert content.read(offset, 10) == large[offset : offset + 10]
    assert content.read(3, 30 << 20) == large[3 : 3 + (30 << 20)]
    content.check_end()
    assert content.read(1, 2) == large[1:3]


@pytest.mark.parametrize("offset", [-1, 6001, 1 << 60])
def test_outside_a_member(offset: int):
    content = InflatedSource(BytesSource(deflate(TEXT)), len(TEXT))
    with pytest.raises(Truncated):
        content.read(offset, 1)


@pytest.mark.parametrize("more", [-1, 1])
def test_a_large_member_of_another_size(large: bytes, more: int):
    content = InflatedSource(BytesSource(deflate(large, level=1)), len(large) + more)
    with pytest.raises(MalformedInput):
        content.check_end()


def test_a_member_that_is_broken():
    content = InflatedSource(BytesSource(b"\xff" * 100), 50)
    with pytest.raises(MalformedInput):
        content.read(0, 1)
    with pytest.raises(MalformedInput):
        content.check_end()


def test_an_empty_member():
    content = InflatedSource(BytesSource(deflate(b"")), 0)
    content.check_end()
    assert content.read(0, 0) == b""
