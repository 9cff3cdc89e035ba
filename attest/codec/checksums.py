"""CRC-32 of large content, computed in parts at the same time.

A CRC is no protection against anybody; it is checked because loaders differ in whether they check
it, and a wrong one is how a file is made that one reader refuses and another loads.

The CRC of two parts together follows from their CRCs and the second part's length: shifting a CRC
register over zero bytes is a linear map over GF(2), a 32x32 bit matrix, and the map for ``n`` bytes
is its ``n``-th power.
"""

from __future__ import annotations

import functools
import zlib
from concurrent.futures import Executor
from typing import Final

from attest.codec.reader import Source

PIECE: Final = 1 << 19
"""Bytes read at once: they are still in the processor's cache when they are summed up."""

PART: Final = 1 << 24
"""Bytes of one part that is computed on its own."""

_POLYNOMIAL: Final = 0xEDB88320

_Matrix = tuple[int, ...]


def crc_of(content: Source, pool: Executor | None = None) -> int:
    """CRC-32 (as in zip and gzip) of all of ``content``.

    Args:
        content: read in pieces; read from several threads if ``pool`` is given.
        pool: computes the parts of large content.

    Raises:
        AttestError: what reading raises.
    """
    if pool is None or content.size <= PART:
        return _crc_between(content, 0, content.size)
    bounds = [(start, min(start + PART, content.size)) for start in range(0, content.size, PART)]
    parts = [pool.submit(_crc_between, content, *each) for each in bounds]
    total = 0
    for (start, end), part in zip(bounds, parts, strict=True):
        total = combine(total, part.result(), end - start)
    return total


def _crc_between(content: Source, start: int, end: int) -> int:
    crc = 0
    for offset in range(start, end, PIECE):
        crc = zlib.crc32(content.read(offset, min(PIECE, end - offset)), crc)
    return crc


def combine(first: int, second: int, length: int) -> int:
    """The CRC of two parts together, the second of ``length`` bytes."""
    return _apply(_zeros(length), first) ^ second


@functools.lru_cache(maxsize=64)
def _zeros(length: int) -> _Matrix:
    """The map that moves a CRC over ``length`` zero bytes, by repeated squaring."""
    result: _Matrix = tuple(1 << bit for bit in range(32))
    power: _Matrix = (_POLYNOMIAL, *(1 << bit for bit in range(31)))  # one zero bit
    for _ in range(3):
        power = _product(power, power)
    while length:
        if length & 1:
            result = _product(power, result)
        power = _product(power, power)
        length >>= 1
    return result


def _product(left: _Matrix, right: _Matrix) -> _Matrix:
    return tuple(_apply(left, column) for column in right)


def _apply(matrix: _Matrix, vector: int) -> int:
    result = 0
    for column in matrix:
        if vector & 1:
            result ^= column
        vector >>= 1
    return result
