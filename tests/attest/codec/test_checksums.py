"""CRC-32 in parts is CRC-32."""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from attest.codec import checksums
from attest.codec.checksums import combine, crc_of
from attest.codec.reader import BytesSource


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 3000, 12_345])
def test_parts_and_whole_agree(size: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checksums, "PART", 1000)
    monkeypatch.setattr(checksums, "PIECE", 300)
    data = os.urandom(size)
    with ThreadPoolExecutor(2) as pool:
        assert crc_of(BytesSource(data), pool) == zlib.crc32(data)
    assert crc_of(BytesSource(data)) == zlib.crc32(data)


@pytest.mark.parametrize(
    ("first", "second"), [(b"", b""), (b"a", b""), (b"", b"b"), (b"ab", b"c" * 70_000)]
)
def test_combining(first: bytes, second: bytes):
    combined = combine(zlib.crc32(first), zlib.crc32(second), len(second))
    assert combined == zlib.crc32(first + second)
