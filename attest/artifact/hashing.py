"""Hash many files in parallel, in constant memory, noticing any that change meanwhile.

Three shapes of work:

* *tiny files* (up to 64 KiB) are hashed by one thread: half of their cost is Python's, and two
  threads that take the interpreter lock from each other need half as much CPU again and end no
  earlier (measured). The loop does one open, two fstat, one read, one hash, one close, no more;
* *small files* (up to 1 MiB) are read in one piece too, in batches, by all workers;
* *large files* are streamed. Where there are fewer of them than workers, reading, hashing the whole
  and hashing the chunks of one file run in threads of their own over a small ring of buffers.

A file is accepted only if what was opened is what was listed (device, inode, size), was read to
exactly that size, and has the same size, modification and change time afterwards. A writer that
restores every field, or writes through a memory map that was dirty before, goes unnoticed here; the
digest then still describes bytes that were really read.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from attest import limits
from attest.artifact.mapped import feed_mapped
from attest.artifact.stream import Chunker, Feed
from attest.artifact.walk import DIRECTORY_FLAGS, Listing, Problem, unavailable
from attest.codec.manifest import CHUNK_SIZE
from attest.digest import HashAlgorithm, Hasher

TINY: Final = 64 * limits.KIB
"""Files up to this many bytes are hashed by one thread."""

SMALL: Final = limits.MIB
"""Files up to this many bytes are read in one piece."""

_BATCH_FILES: Final = 256
_BATCH_SMALL: Final = 16
_RING: Final = 8
"""Buffers of one file at most: a reader and two hashes that share two processors drift apart."""

_RING_BUDGET: Final = 48 * limits.MIB
"""Bytes of buffers of all files together that are hashed at the same time."""

_FILE_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


class Progress(Protocol):
    """Told about hashing as it goes on; called from several threads, one at a time."""

    def begin(self, files: int, size: int) -> None:
        """``files`` and ``size`` (bytes) are about to be hashed."""

    def advance(self, files: int, size: int) -> None:
        """That much more is done."""

    def end(self) -> None:
        """Nothing more will come."""


class Known(Protocol):
    """Digests that need not be computed again (a journal). See :mod:`attest.artifact.journal`."""

    def find(self, name: str, info: os.stat_result) -> tuple[bytes, bytes] | None:
        """Digest and chunk digests of an unchanged file."""

    def note(self, name: str, info: os.stat_result, digest: bytes, chunks: bytes) -> None:
        """Remember a file that was hashed."""


@dataclass(slots=True)
class Hashed:
    """What hashing found out.

    Attributes:
        digests: raw digests, one for each asked index, in the order asked.
        chunks: position -> concatenated SHA-256 digests of the file's chunks.
        problems: files that changed, vanished or could not be read; their digests are zero.
        size: bytes hashed.
    """

    digests: bytearray
    chunks: dict[int, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    size: int = 0


class FileChanged(Exception):
    """The file on disk is not, or no longer, the one that was listed."""


def hash_listed(
    listing: Listing,
    positions: Sequence[int],
    algorithm: HashAlgorithm,
    *,
    chunk_digests: bool = False,
    known: Known | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Hashed:
    """Hash files of a listing.

    Args:
        listing: from :func:`attest.artifact.walk.list_files`.
        positions: which of its files, by index.
        algorithm: content hash.
        chunk_digests: also SHA-256 of each 16 MiB of files beyond that size. This hashes them
            twice; it has no effect with BLAKE3.
        known: consulted before, and told after, each file is hashed.
        workers: threads; default is the number of usable processors.

    Raises:
        Unavailable: the root cannot be opened.
    """
    count = workers or len(os.sched_getaffinity(0))
    try:
        root = os.open(listing.root, DIRECTORY_FLAGS & ~os.O_NOFOLLOW)
    except OSError as error:
        raise unavailable(error, str(listing.root)) from None
    job = _Job(listing, positions, algorithm, chunk_digests, known, progress, root, count)
    try:
        return job.run()
    finally:
        os.close(root)


class _Job:
    def __init__(
        self,
        listing: Listing,
        positions: Sequence[int],
        algorithm: HashAlgorithm,
        chunk_digests: bool,
        known: Known | None,
        progress: Progress | None,
        root: int,
        workers: int,
    ) -> None:
        self.listing = listing
        self.positions = positions
        self.algorithm = algorithm
        self.chunk_digests = chunk_digests
        self.known = known
        self.progress = progress
        self.root = root
        self.workers = workers
        self.result = Hashed(bytearray(algorithm.size * len(positions)))
        self.lock = threading.Lock()
        self.stopped = False
        self.flags = _open_flags(listing)
        # BLAKE3 is parallel inside one file, so its large files are hashed one after the other.
        self.streams = 1 if algorithm is HashAlgorithm.BLAKE3 else workers
        self.piece, self.ring = limits.MIB, 1  # bytes of a buffer, buffers of a file

    def run(self) -> Hashed:
        tiny, small, large = self._plan()
        if self.progress:
            sizes = self.listing.sizes
            self.progress.begin(len(self.positions), sum(sizes[p] for p in self.positions))
        try:
            self._run_large(large)
            self._run_small(small)
            for start in range(0, len(tiny), _BATCH_FILES):
                self._batch(tiny[start : start + _BATCH_FILES])
        finally:
            self.stopped = True
            if self.progress:
                self.progress.end()
        self.result.problems.sort(key=lambda problem: problem.name)
        return self.result

    def _plan(self) -> tuple[Sequence[int], list[int], list[int]]:
        """Indexes into ``positions``: tiny, small, and large ones with the largest first."""
        sizes, positions = self.listing.sizes, self.positions
        if len(positions) == len(sizes) and max(sizes, default=0) <= TINY:
            return range(len(positions)), [], []
        tiny: list[int] = []
        small: list[int] = []
        large: list[int] = []
        for at, position in enumerate(positions):
            size = sizes[position]
            (tiny if size <= TINY else small if size <= SMALL else large).append(at)
        large.sort(key=lambda at: -sizes[positions[at]])
        return tiny, small, large

    def _run_large(self, large: list[int]) -> None:
        if not large:
            return
        spread = len(large) < self.workers
        self._divide_budget(min(len(large), self.streams), spread)
        with ThreadPoolExecutor(self.streams) as pool, ThreadPoolExecutor(2 * self.streams) as side:
            helpers = side if spread else None
            self._wait(pool.submit(self._one_large, at, helpers) for at in large)

    def _divide_budget(self, files: int, spread: bool) -> None:
        """Size the buffers for so many files at a time; a ring of them where threads pass them."""
        share = _RING_BUDGET // files
        if self.algorithm is HashAlgorithm.BLAKE3:
            self.piece = 16 * limits.MIB  # its threads need enough to share
        else:
            most = share // _RING if spread else limits.MIB
            self.piece = max(256 * limits.KIB, min(4 * limits.MIB, most, share))
        self.ring = max(2, min(_RING, share // self.piece)) if spread else 1

    def _run_small(self, small: list[int]) -> None:
        if not small:
            return
        step = _BATCH_SMALL
        with ThreadPoolExecutor(self.workers) as pool:
            self._wait(
                pool.submit(self._batch, small[start : start + step])
                for start in range(0, len(small), step)
            )

    def _wait(self, submissions: Iterator[Future[None]]) -> None:
        """Start everything, then wait for it. Ctrl-C may come at any point of both."""
        futures: list[Future[None]] = []
        try:
            futures.extend(submissions)
            for future in futures:
                future.result()
        except BaseException:
            self.stopped = True  # Ctrl-C or a defect: let the workers end at their next piece
            for future in futures:
                future.cancel()
            raise

    def _batch(self, batch: Sequence[int]) -> None:
        listing, positions, width = self.listing, self.positions, self.algorithm.size
        names, sizes = listing.names, listing.sizes
        digests = self.result.digests
        files = total = 0
        new = _one_shot(self.algorithm)
        for at in batch:
            if self.stopped:
                return
            position = positions[at]
            size = sizes[position]
            try:
                digest = self._small(names[position], position, size, new)
            except (OSError, FileChanged) as error:
                self._failed(names[position], error)
            else:
                digests[at * width : (at + 1) * width] = digest
            files += 1
            total += size
        self._done(files, total)

    def _small(self, name: str, position: int, size: int, new: Callable[[bytes], bytes]) -> bytes:
        handle = os.open(name, self.flags, dir_fd=self.root)
        try:
            before = os.fstat(handle)
            _check_listed(self.listing, position, before)
            if self.known is not None and (found := self.known.find(name, before)) is not None:
                return found[0]
            data = os.read(handle, size + 1)
            while len(data) < size and (more := os.read(handle, size + 1 - len(data))):
                data += more
            digest = new(data)
            check_unchanged(before, os.fstat(handle), len(data))
        finally:
            os.close(handle)
        if self.known is not None:
            self.known.note(name, before, digest, b"")
        return digest

    def _one_large(self, at: int, helpers: ThreadPoolExecutor | None) -> None:
        if self.stopped:
            return
        position, width = self.positions[at], self.algorithm.size
        name, size = self.listing.names[position], self.listing.sizes[position]
        try:
            digest, chunks = self._large(name, position, size, helpers)
        except (OSError, FileChanged) as error:
            self._failed(name, error)
        else:
            self.result.digests[at * width : (at + 1) * width] = digest
            if chunks:
                self.result.chunks[at] = chunks
        self._done(1, 0)

    def _large(
        self, name: str, position: int, size: int, helpers: ThreadPoolExecutor | None
    ) -> tuple[bytes, bytes]:
        handle = os.open(name, self.flags, dir_fd=self.root)
        try:
            before = os.fstat(handle)
            _check_listed(self.listing, position, before)
            if self.known is not None and (found := self.known.find(name, before)) is not None:
                self._done(0, size)
                return found
            whole = _stream_hasher(self.algorithm)
            sinks: list[Callable[[Any], None]] = [whole.update]
            chunker = Chunker() if self._wants_chunks(size) else None
            if chunker:
                sinks.append(chunker.update)
            read = self._mapped(handle, size, sinks)
            if read < size:
                read += self._stream(handle, size - read, sinks, helpers)
            check_unchanged(before, os.fstat(handle), read)
        finally:
            os.close(handle)
        digest, chunks = whole.digest(), chunker.finish() if chunker else b""
        if self.known is not None:
            self.known.note(name, before, digest, chunks)
        return digest, chunks

    def _wants_chunks(self, size: int) -> bool:
        """Not with BLAKE3: SHA-256 of the chunks would take many times as long as the file."""
        wanted = self.chunk_digests and self.algorithm is not HashAlgorithm.BLAKE3
        return wanted and size > CHUNK_SIZE

    def _mapped(self, handle: int, size: int, sinks: list[Callable[[Any], None]]) -> int:
        """Feed BLAKE3 from memory maps where that is safe; how much. Moves the offset there."""
        if self.algorithm is not HashAlgorithm.BLAKE3 or len(sinks) > 1:
            return 0
        fed = feed_mapped(handle, size, sinks[0], lambda length: self._done(0, length))
        os.lseek(handle, fed, os.SEEK_SET)
        return fed

    def _stream(
        self,
        handle: int,
        size: int,
        sinks: list[Callable[[Any], None]],
        helpers: ThreadPoolExecutor | None,
    ) -> int:
        """Read to the end, feeding every sink every piece in order; how much was read."""
        count = min(self.ring, -(-size // self.piece))
        feeds = [Feed(sink, count) for sink in sinks] if helpers else []
        outlets = [feed.pieces.put for feed in feeds] or sinks
        ends: list[Future[None]] = []
        total = 0
        try:
            if helpers:
                ends += [helpers.submit(feed.drain) for feed in feeds]
            for buffer in itertools.cycle([bytearray(self.piece) for _ in range(count)]):
                if self.stopped or not all(feed.make_room() for feed in feeds):
                    break
                read = os.readv(handle, [buffer])
                if not read:
                    break
                total += read
                if total > size:
                    raise FileChanged
                for outlet in outlets:
                    outlet(memoryview(buffer)[:read])
                self._done(0, read)
        finally:
            for feed in feeds:
                feed.pieces.put(None)
        for end in ends:
            end.result()
        return total

    def _failed(self, name: str, error: OSError | FileChanged) -> None:
        vanished = isinstance(error, OSError) and error.errno in (
            errno.ENOENT,
            errno.ENOTDIR,
            errno.ELOOP,
            errno.ENXIO,
        )
        if isinstance(error, FileChanged) or vanished:
            problem = Problem(name, "file-changed-while-read", "changed while it was being read")
        else:
            problem = Problem(
                name, "file-unreadable", f"cannot be read: {error.strerror}", unreadable=True
            )
        with self.lock:
            self.result.problems.append(problem)

    def _done(self, files: int, size: int) -> None:
        with self.lock:
            self.result.size += size
            if self.progress:
                self.progress.advance(files, size)


def open_listed(listing: Listing, position: int) -> int:
    """Open a listed file for reading, if it is still the one that was listed.

    Returns:
        a descriptor; the caller closes it.

    Raises:
        FileChanged, OSError.
    """
    handle = os.open(listing.root / listing.names[position], _open_flags(listing))
    try:
        _check_listed(listing, position, os.fstat(handle))
    except BaseException:
        os.close(handle)
        raise
    return handle


def _open_flags(listing: Listing) -> int:
    """Links are followed only where the listing followed them; the inode is compared anyway."""
    return _FILE_FLAGS | (0 if listing.followed or listing.single else os.O_NOFOLLOW)


def _check_listed(listing: Listing, position: int, info: os.stat_result) -> None:
    if (
        info.st_ino != listing.inodes[position]
        or info.st_dev != listing.devices[position]
        or info.st_size != listing.sizes[position]
    ):
        raise FileChanged


def check_unchanged(before: os.stat_result, after: os.stat_result, read: int) -> None:
    """Raise FileChanged unless ``read`` bytes are the file that it was, and still is."""
    if (
        read != before.st_size
        or after.st_size != before.st_size
        or after.st_mtime_ns != before.st_mtime_ns
        or after.st_ctime_ns != before.st_ctime_ns
    ):
        raise FileChanged


def _one_shot(algorithm: HashAlgorithm) -> Callable[[bytes], bytes]:
    if algorithm is HashAlgorithm.BLAKE3:
        from blake3 import blake3

        return lambda data: blake3(data).digest()
    make: Any = getattr(hashlib, algorithm.value)
    return lambda data: make(data).digest()


def _stream_hasher(algorithm: HashAlgorithm) -> Hasher:
    if algorithm is HashAlgorithm.BLAKE3:
        from blake3 import blake3

        return blake3(max_threads=blake3.AUTO)
    return algorithm.new()


def hash_range(handle: int, start: int, end: int, algorithm: HashAlgorithm) -> bytes:
    """Digest of bytes ``start`` to ``end`` (exclusive) of an open file.

    Raises:
        FileChanged: the file ends before ``end``.
        OSError.
    """
    hasher = algorithm.new()
    for piece in _pieces(handle, start, end):
        hasher.update(piece)
    return hasher.digest()


def _pieces(handle: int, start: int, end: int) -> Iterator[bytes]:
    while start < end:
        piece = os.pread(handle, min(limits.MIB, end - start), start)
        if not piece:
            raise FileChanged
        start += len(piece)
        yield piece
