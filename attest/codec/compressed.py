"""Compressed streams: gzip, zlib, bz2, xz, lzma, and the deflate of zip members, all bounded.

Two forms. A member of a zip states its size and can be begun again at any saved state, so
:class:`InflatedSource` reads it by position in constant memory. The others are unpacked into memory
by :func:`unpack`, up to a bound; what came before a fault is kept, because a loader that reads a
stream has used that already when it meets the fault.
"""

from __future__ import annotations

import bz2
import contextlib
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol

from attest import limits
from attest.codec.reader import BytesSource, Source, check_range
from attest.errors import MalformedInput, TooLarge, Truncated

_PIECE: Final = 1 << 18
_STREAM_PIECE: Final = 1 << 13
"""Packed bytes that are fed at once: as few as Python's own readers feed, so that no more is lost
at a fault than a loader would lose."""

_SMALL: Final = 8 * limits.MIB
"""Up to this size, a deflated member is unpacked once and kept."""

_CHECKPOINT: Final = 16 * limits.MIB
"""Bytes between two saved states of a larger one: reading anywhere unpacks no more than this."""

_CHECKPOINTS: Final = 256
"""Saved states kept, about 45 kB each; beyond 4 GiB they lie further apart."""

_MAX_DEFLATE_RATIO: Final = 1032
"""A deflate stream cannot unpack to more than this times its size."""

_FREE_RATIO: Final = 16 * limits.MIB
"""Up to this many bytes the ratio does not matter."""

_ZERO_FILE: Final = re.compile(rb"ZF0x[0-9a-f]{1,16}L? *")
"""Header of joblib's first format (to 0.9): the size in hexadecimal, 21 bytes in all, then zlib."""


class InflatedSource:
    """A deflated member of a zip archive, read by position.

    Args:
        packed: the raw deflate stream.
        size: what it is said to unpack to.

    Raises:
        TooLarge: deflate cannot pack that densely, so the size is a lie.
    """

    def __init__(self, packed: Source, size: int) -> None:
        if size > packed.size * _MAX_DEFLATE_RATIO + limits.KIB:
            raise TooLarge(f"{packed.size} packed bytes cannot make {size}", code="size-lies")
        self._packed = packed
        self._size = size
        self._whole: bytes | None = None
        self._fault: MalformedInput | None = None
        self._reached = 0
        self._step = max(_CHECKPOINT, size // _CHECKPOINTS)
        self._saved: list[_State] = [_State(zlib.decompressobj(-15), 0, 0, b"")]
        self._now = self._saved[0].copy()

    @property
    def size(self) -> int:
        return self._size

    @property
    def reached(self) -> int:
        """Bytes from the start that were unpacked so far without a fault."""
        return self._reached

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises:
            Truncated: outside the size, or the stream ends before.
            MalformedInput: the stream is broken before.
        """
        check_range(offset, length, self._size)
        if self._size <= _SMALL:
            content = self._from_whole(offset, length)
        else:
            self._seek(offset)
            content = b"".join(self._pieces(length))
        if len(content) < length:
            raise Truncated("the compressed content is shorter than it says")
        return content

    def _from_whole(self, offset: int, length: int) -> bytes:
        """From what was unpacked at once; a fault counts only for what lies behind it."""
        if self._whole is None:
            made = bytearray()
            try:
                for piece in self._pieces(self._size):
                    made += piece
            except MalformedInput as error:
                self._fault = error
            self._whole = bytes(made)
        if self._fault is not None and offset + length > len(self._whole):
            raise self._fault
        return self._whole[offset : offset + length]

    def check_end(self) -> None:
        """The stream unpacks to exactly its size, and its packed bytes are used up.

        Raises:
            MalformedInput: ``size-lies`` or ``hidden-bytes``.
        """
        if self._size > _SMALL:
            self._seek(self._size)
        else:
            self.read(0, self._size)
        if self._now.at != self._size or any(map(len, self._pieces(1))):
            raise MalformedInput("unpacks to another size than it says", code="size-lies")
        if not self._now.stream.eof:
            raise Truncated("the compressed content is cut off")
        left = len(self._now.pending) + self._packed.size - self._now.taken
        if left:
            raise MalformedInput(
                f"{left} byte(s) are hidden after the compressed content", code="hidden-bytes"
            )

    def _seek(self, offset: int) -> None:
        if offset < self._now.at:
            before = max(each for each in range(len(self._saved)) if self._saved[each].at <= offset)
            self._now = self._saved[before].copy()
        for _ in self._pieces(offset - self._now.at):
            pass

    def _pieces(self, length: int) -> Iterator[bytes]:
        """The next ``length`` bytes; fewer only at the end of the stream."""
        while length and not self._now.stream.eof:
            content = self._now.advance(self._packed, min(length, _PIECE))
            if content is None:
                return
            length -= len(content)
            self._reached = min(self._size, max(self._reached, self._now.at))
            if self._now.at >= self._saved[-1].at + self._step:
                self._saved.append(self._now.copy())
            yield content


class _State:
    """A decompressor and where it is in both streams."""

    __slots__ = ("at", "pending", "stream", "taken")

    def __init__(self, stream: Any, at: int, taken: int, pending: bytes) -> None:
        self.stream = stream
        self.at = at
        self.taken = taken
        self.pending = pending

    def copy(self) -> _State:
        return _State(self.stream.copy(), self.at, self.taken, self.pending)

    def advance(self, packed: Source, most: int) -> bytes | None:
        """Up to ``most`` more bytes, perhaps none yet; None when the packed bytes are used up."""
        if not self.pending:
            length = min(_PIECE, packed.size - self.taken)
            self.pending = packed.read(self.taken, length)
            self.taken += length
        drained = not self.pending
        try:
            content = bytes(self.stream.decompress(self.pending, most))
        except zlib.error:
            raise MalformedInput("the compressed content is broken", code="broken-stream") from None
        self.pending = self.stream.unconsumed_tail or self.stream.unused_data
        self.at += len(content)
        return None if drained and not content else content


class _Decompressor(Protocol):
    """What the four have in common once wrapped."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused(self) -> bytes: ...

    def feed(self, data: bytes, most: int) -> bytes: ...

    @property
    def hungry(self) -> bool: ...


class _Zlib:
    """zlib gives nothing of a piece that has a fault in it; loaders with smaller pieces get more.

    So a piece with a fault is fed again byte by byte, from a copy of the state before it.
    """

    def __init__(self, bits: int) -> None:
        self._stream = zlib.decompressobj(bits)
        self._rest = b""
        self._fault: zlib.error | None = None

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused(self) -> bytes:
        return self._stream.unused_data

    @property
    def hungry(self) -> bool:
        return not self._rest and self._fault is None

    def feed(self, data: bytes, most: int) -> bytes:
        if self._fault is not None:
            raise self._fault
        data, before = self._rest + data, self._stream.copy()
        try:
            content = self._stream.decompress(data, most)
        except zlib.error as error:
            self._fault, self._rest = error, b""
            return self._salvage(before, data, most)
        self._rest = self._stream.unconsumed_tail
        return content

    def _salvage(self, stream: Any, data: bytes, most: int) -> bytes:
        made = bytearray()
        with contextlib.suppress(zlib.error):
            for at in range(len(data)):
                made += stream.decompress(data[at : at + 1])
        return bytes(made[:most])


class _Buffered:
    """bz2 and lzma keep what they did not use yet."""

    def __init__(self, stream: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._stream = stream

    @property
    def eof(self) -> bool:
        return self._stream.eof

    @property
    def unused(self) -> bytes:
        return self._stream.unused_data

    @property
    def hungry(self) -> bool:
        return self._stream.needs_input

    def feed(self, data: bytes, most: int) -> bytes:
        return self._stream.decompress(data, most)


def _xz(form: int) -> Callable[[], _Decompressor]:
    return lambda: _Buffered(lzma.LZMADecompressor(form, memlimit=limits.MAX_XZ_MEMORY))


@dataclass(frozen=True, slots=True)
class _Form:
    """A kind of stream: how it is begun, and how another one may follow it."""

    start: Callable[[], _Decompressor]
    again: bytes = b""
    skip: int = 0


_FORMS: Final = {
    "gzip": _Form(lambda: _Zlib(31), b"\x1f\x8b"),
    "zlib": _Form(lambda: _Zlib(15)),
    "joblib-zlib": _Form(lambda: _Zlib(15), skip=21),
    "bz2": _Form(lambda: _Buffered(bz2.BZ2Decompressor()), b"BZh"),
    "xz": _Form(_xz(lzma.FORMAT_XZ), b"\xfd7zXZ\0"),
    "lzma": _Form(_xz(lzma.FORMAT_ALONE)),
}

_FAULTS: Final = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)
"""How the four say that a stream is broken; bz2 uses OSError."""


def compression_of(head: bytes) -> str | None:
    """Which compressed stream begins with ``head``, of at least 32 bytes where there are that many.

    zlib and lzma have no signature: their headers are two and thirteen bytes of settings, and other
    content may look the same. Whoever asks must see whether unpacking works.
    """
    if head[:3] == b"\x1f\x8b\x08":
        return "gzip"
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"):
        return "bz2"
    if head[:6] == b"\xfd7zXZ\0":
        return "xz"
    if len(head) >= 21 and _ZERO_FILE.fullmatch(head[:21]):
        return "joblib-zlib"
    if len(head) >= 2 and head[0] & 0x8F == 0x08 and int.from_bytes(head[:2], "big") % 31 == 0:
        return None if head[1] & 0x20 else "zlib"
    if len(head) >= 13 and head[0] < 225 and head[1:3] == b"\0\0":
        size = int.from_bytes(head[5:13], "little")
        dictionary = int.from_bytes(head[1:5], "little")
        if dictionary and (size == _UNKNOWN or size < 1 << 48):
            return "lzma"
    return None


_UNKNOWN: Final = (1 << 64) - 1
"""Size of an lzma stream that ends with a mark."""


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a compressed stream holds.

    Attributes:
        content: what was unpacked, up to the fault if there is one.
        streams: how many streams followed one another.
        trailing: bytes after the last one that are not zero padding.
        fault: why the content is not whole: broken, cut off, over a bound.
    """

    content: BytesSource
    streams: int
    trailing: int
    fault: MalformedInput | None


def unpack(
    source: Source,
    kind: str,
    *,
    max_bytes: int = limits.MAX_UNPACKED_MEMORY,
    max_ratio: int = limits.MAX_SCAN_RATIO,
) -> Unpacked:
    """Unpack all streams of one file.

    Args:
        source: the packed bytes; whoever sent it controls every one.
        kind: of :func:`compression_of`.
        max_bytes: unpacked bytes that are made, held in memory.
        max_ratio: unpacked over packed bytes, beyond the first 16 MiB.

    Raises:
        ValueError: no such kind. Faults of the content are in the result instead.
        Unavailable: the source cannot be read.
    """
    if kind not in _FORMS:
        raise ValueError(f"no compression is called {kind!r}")
    return _Unpacking(source, _FORMS[kind], max_bytes, max_ratio).run()


class _Unpacking:
    def __init__(self, source: Source, form: _Form, max_bytes: int, max_ratio: int) -> None:
        self.source = source
        self.form = form
        self.most = max_bytes
        self.ratio = max_ratio
        self.made = bytearray()
        self.at = min(form.skip, source.size)
        self.pending = b""
        self.streams = 0

    def run(self) -> Unpacked:
        fault: MalformedInput | None = None
        trailing = 0
        try:
            self._one()
            while self._again():
                self._one()
            trailing = len(self.pending) + self.source.size - self.at
        except MalformedInput as error:
            fault = error
        return Unpacked(BytesSource(memoryview(self.made)), self.streams, trailing, fault)

    def _one(self) -> None:
        """Unpack one stream; ``pending`` holds the packed bytes that were read after it."""
        stream = self.form.start()
        self.streams += 1
        if self.streams > limits.MAX_UNPACKED_STREAMS:
            raise TooLarge(f"is more than {limits.MAX_UNPACKED_STREAMS} streams")
        while not stream.eof:
            if stream.hungry and not self._fill():
                raise Truncated("the compressed content is cut off")
            room = self.most - len(self.made)
            try:
                content = stream.feed(self.pending, min(room + 1, 1 << 20))
            except _FAULTS:
                raise MalformedInput(
                    "the compressed content is broken", code="broken-stream"
                ) from None
            self.pending = b""
            self.made += content[:room]
            self._check_bounds(len(content) > room)
        self.pending = stream.unused

    def _check_bounds(self, full: bool) -> None:
        if full:
            raise TooLarge(f"unpacks to more than {self.most} bytes")
        if len(self.made) > _FREE_RATIO and len(self.made) > self.ratio * self.at:
            raise TooLarge(f"unpacks to more than {self.ratio} times its size", code="ratio")

    def _fill(self) -> bool:
        """Have packed bytes at hand, if there are any left."""
        if not self.pending:
            length = min(_STREAM_PIECE, self.source.size - self.at)
            self.pending = self.source.read(self.at, length)
            self.at += length
        return bool(self.pending)

    def _again(self) -> bool:
        """Whether another stream follows, after zero padding perhaps, which is passed over."""
        while self._fill() and not self.pending.strip(b"\0"):
            self.pending = b""
        self.pending = self.pending.lstrip(b"\0")
        signature = self.form.again
        if self.pending and len(self.pending) < len(signature):
            more = min(len(signature), self.source.size - self.at)
            self.pending += self.source.read(self.at, more)
            self.at += more
        return bool(signature) and self.pending.startswith(signature)
