"""Digests of a signing run that was interrupted, so that it can go on.

What a journal entry assumes: a file with the same device, inode, size, modification time and change
time (both in nanoseconds) has the same content. That misses a writer who sets the system clock back
and restores both times, who writes again within one tick of the kernel's clock (some milliseconds)
without changing the size, or who writes to the disk below the file system. Therefore resuming is
off unless asked for, ``verify`` never reads a journal, and a journal is used only if it is a plain
file of the same user that nobody else can write (mode 0600, no second hard link), for the same
artifact folder, algorithm and kind of digests.

Format: JSON lines. The first names version, artifact (device, inode), algorithm and whether chunks
were hashed; each further one is ``[name, device, inode, size, mtime_ns, ctime_ns, digest,
chunks]``. What follows a damaged line is dropped.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, Unavailable

_VERSION: Final = "attest-sign-journal-v1"
_FLUSH_LINES: Final = 512
_FLUSH_BYTES: Final = 256 * limits.MIB
"""Hashed bytes after which lines are written: what a kill can lose at most."""


class Journal:
    """An open journal; implements :class:`attest.artifact.hashing.Known`.

    Use as a context manager; :meth:`discard` once the signature is on disk.
    """

    def __init__(
        self, path: Path, artifact: Path, algorithm: HashAlgorithm, *, chunk_digests: bool
    ) -> None:
        """Open or create.

        Raises:
            Unavailable: cannot be opened, or ``unsafe-journal``: others could have written it.
        """
        self.path = path
        info = artifact.stat()
        self._header = [_VERSION, info.st_dev, info.st_ino, str(algorithm), chunk_digests]
        self._size = algorithm.size
        self._lock = threading.Lock()
        self._lines: list[str] = []
        self._unwritten = 0
        self._known: dict[str, tuple[list[int], bytes, bytes]] = {}
        self.reused = 0
        self._handle = _open_private(path)
        try:
            self._load()
        except BaseException:
            os.close(self._handle)
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._flush()
        finally:
            os.close(self._handle)

    def find(self, name: str, info: os.stat_result) -> tuple[bytes, bytes] | None:
        """Digest and chunk digests of ``name`` if nothing of its identity has changed."""
        entry = self._known.get(name)
        if entry is None or entry[0] != _identity(info):
            return None
        self.reused += 1
        return entry[1], entry[2]

    def note(self, name: str, info: os.stat_result, digest: bytes, chunks: bytes) -> None:
        """Remember a digest."""
        line = json.dumps([name, *_identity(info), digest.hex(), chunks.hex()])
        with self._lock:
            self._lines.append(line)
            self._unwritten += info.st_size
            if len(self._lines) >= _FLUSH_LINES or self._unwritten >= _FLUSH_BYTES:
                self._flush()

    def discard(self) -> None:
        """Remove the journal: its work is done."""
        self._lines.clear()
        self.path.unlink(missing_ok=True)

    def _flush(self) -> None:
        if self._lines:
            data = ("\n".join(self._lines) + "\n").encode("ascii")
            self._lines.clear()
            self._unwritten = 0
            try:
                while data:
                    data = data[os.write(self._handle, data) :]
            except OSError as error:
                raise Unavailable(
                    f"journal cannot be written: {error.strerror}",
                    where=str(self.path),
                    code="file-unwritable",
                ) from None

    def _load(self) -> None:
        with open(os.dup(self._handle), "rb") as file:
            first = file.readline(limits.MAX_NAME_BYTES)
            if _parse(first) != self._header:
                self._start_over()
                return
            good = len(first)
            for line in file:
                entry = _parse(line)
                if entry is None or not self._take(entry):
                    break
                good += len(line)
        os.truncate(self._handle, good)  # what follows a damaged line is not to be believed
        os.lseek(self._handle, 0, os.SEEK_END)

    def _start_over(self) -> None:
        os.truncate(self._handle, 0)
        os.lseek(self._handle, 0, os.SEEK_SET)
        self._lines.append(json.dumps(self._header))
        self._flush()

    def _take(self, entry: Any) -> bool:
        if not (isinstance(entry, list) and len(entry) == 8):
            return False
        name, *numbers, digest, chunks = entry
        try:
            found = bytes.fromhex(digest), bytes.fromhex(chunks)
        except (TypeError, ValueError):
            return False
        typed = type(name) is str and all(type(number) is int for number in numbers)
        if not typed or len(found[0]) != self._size or len(found[1]) % 32:
            return False
        self._known[name] = (numbers, *found)
        return True


def _identity(info: os.stat_result) -> list[int]:
    return [info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]


def _parse(line: bytes) -> Any:
    """One complete line as JSON, or None."""
    if not line.endswith(b"\n"):
        return None
    try:
        return jsonstrict.loads(line, what="journal", max_bytes=limits.MAX_MANIFEST_WINDOW_BYTES)
    except MalformedInput:
        return None


def _open_private(path: Path) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(path, flags, 0o600)
    except OSError as error:
        raise Unavailable(
            f"journal cannot be opened: {error.strerror}", where=str(path), code="file-unwritable"
        ) from None
    info = os.fstat(handle)
    private = (
        stat.S_ISREG(info.st_mode)
        and info.st_uid == os.geteuid()
        and info.st_nlink == 1
        and not info.st_mode & 0o077
    )
    if private and not _locked(handle):
        os.close(handle)
        raise Unavailable(
            "journal is in use by another run", where=str(path), code="journal-in-use"
        )
    if not private:
        os.close(handle)
        raise Unavailable(
            "journal could have been written by somebody else",
            where=str(path),
            hint="remove it, or name another one",
            code="unsafe-journal",
        )
    return handle


def _locked(handle: int) -> bool:
    """Whether this run alone holds the journal now; the lock ends with the descriptor."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
