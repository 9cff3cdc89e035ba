"""Parts of a stream: chunk digests, and sinks that run in threads of their own."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from queue import SimpleQueue

from attest.codec.manifest import CHUNK_SIZE


class Chunker:
    """SHA-256 of each 16 MiB of a stream."""

    def __init__(self) -> None:
        self.hasher = hashlib.sha256()
        self.room = CHUNK_SIZE
        self.digests: list[bytes] = []

    def update(self, view: memoryview) -> None:
        while len(view) >= self.room:
            self.hasher.update(view[: self.room])
            view = view[self.room :]
            self.digests.append(self.hasher.digest())
            self.hasher, self.room = hashlib.sha256(), CHUNK_SIZE
        if view:
            self.hasher.update(view)
            self.room -= len(view)

    def finish(self) -> bytes:
        if self.room < CHUNK_SIZE:
            self.digests.append(self.hasher.digest())
        return b"".join(self.digests)


class Feed:
    """One sink in a thread of its own, which is at most ``depth`` pieces behind the reader.

    One thread for each sink, not one task for each piece: handing every piece to another thread
    made a file that is hashed twice take 18% longer on two cores.
    """

    def __init__(self, sink: Callable[[memoryview], None], depth: int) -> None:
        self.sink = sink
        self.room = threading.Semaphore(depth)
        self.pieces: SimpleQueue[memoryview | None] = SimpleQueue()
        self.ended = False

    def drain(self) -> None:
        try:
            while (piece := self.pieces.get()) is not None:
                self.sink(piece)
                self.room.release()
        finally:
            self.ended = True
            self.room.release()

    def make_room(self) -> bool:
        """Wait until the oldest piece is done with. False: the sink failed and takes no more."""
        self.room.acquire()
        return not self.ended
