"""Bounded reading of structures: a cursor over bytes, and sources that are read by position.

:class:`Reader` composes: each method takes what it needs and moves on, a field that is cut off
raises, and :meth:`Reader.end` forbids trailing bytes. :class:`Source` is for files of any size, of
which a parser reads a few places only; nothing is read that was not asked for.
"""

from __future__ import annotations

from typing import Protocol

from attest.errors import TrailingData, Truncated


class Source(Protocol):
    """Bytes that are read by position: a file, a member of an archive, a buffer."""

    @property
    def size(self) -> int:
        """How many bytes there are."""

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises:
            Truncated: that is not all inside the source.
            Unavailable: the bytes cannot be read.
        """


class BytesSource:
    """A source over bytes in memory."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._view = memoryview(data)

    @property
    def size(self) -> int:
        return len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        check_range(offset, length, self.size)
        return bytes(self._view[offset : offset + length])


class Window:
    """Part of another source, such as a stored member of an archive.

    Raises:
        Truncated: the part is not inside the source.
    """

    def __init__(self, source: Source, start: int, length: int) -> None:
        check_range(start, length, source.size)
        self._source = source
        self._start = start
        self._length = length

    @property
    def size(self) -> int:
        return self._length

    def read(self, offset: int, length: int) -> bytes:
        check_range(offset, length, self._length)
        return self._source.read(self._start + offset, length)


def check_range(offset: int, length: int, size: int) -> None:
    """Refuse a range that is not inside ``size`` bytes; all may be hostile."""
    if offset < 0 or length < 0 or offset > size or length > size - offset:
        raise Truncated(f"{length} bytes at offset {offset} of only {size}")


class Reader:
    """A cursor over bytes in memory.

    Args:
        data: whoever sent it controls every byte.
        what: how to call the structure in errors.
        order: ``little`` or ``big``, for all numbers.
    """

    def __init__(self, data: bytes | memoryview, what: str, *, order: str = "little") -> None:
        if order not in ("little", "big"):
            raise ValueError("order is 'little' or 'big'")
        self._view = memoryview(data)
        self._what = what
        self._little = order == "little"
        self.offset = 0

    @property
    def remaining(self) -> int:
        """Bytes not yet taken."""
        return len(self._view) - self.offset

    def view(self, length: int) -> memoryview:
        """The next ``length`` bytes, not copied."""
        if length < 0 or length > self.remaining:
            raise Truncated(
                f"{self._what} ends at byte {len(self._view)},"
                f" and {length} more bytes are due at byte {self.offset}"
            )
        start = self.offset
        self.offset += length
        return self._view[start : self.offset]

    def take(self, length: int) -> bytes:
        """The next ``length`` bytes."""
        return bytes(self.view(length))

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(self.remaining)

    def uint(self, width: int) -> int:
        """An unsigned number of ``width`` bytes."""
        return int.from_bytes(self.view(width), "little" if self._little else "big")

    def u8(self) -> int:
        return self.uint(1)

    def u16(self) -> int:
        return self.uint(2)

    def u32(self) -> int:
        return self.uint(4)

    def u64(self) -> int:
        return self.uint(8)

    def end(self) -> None:
        """Nothing may follow.

        Raises:
            TrailingData: something does.
        """
        if self.remaining:
            raise TrailingData(f"{self._what} goes on for {self.remaining} byte(s) after its end")
