"""Claims files: one envelope or bundle per line, appended under a lock.

Readers refuse a malformed line. Only a writer that holds the lock repairs a torn last line (a crash
in the middle of an append), and it says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attest import limits
from attest.errors import MalformedInput, TooLarge, Unavailable
from attest.files import sync_folder, write_atomic


def append_claim(path: Path, line: bytes) -> bool:
    """Append one claim; durable when this returns.

    Args:
        path: created if absent.
        line: one JSON document without a newline.

    Returns:
        whether a torn last line was removed.

    Raises:
        Unavailable: cannot be written; nothing of the claim is left then.
        MalformedInput: the path is no regular file. TooLarge: no reader would accept the line, or
            the file with it.
    """
    if b"\n" in line or not line:
        raise ValueError("a claim is one line")
    if len(line) > limits.MAX_JSON_BYTES:
        raise TooLarge(f"claim has {len(line)} bytes; at most {limits.MAX_JSON_BYTES} are read")
    with _locked(path) as handle:
        size = os.fstat(handle).st_size
        end = _end_of_last_line(handle, size)
        if end + len(line) + 1 > limits.MAX_BUNDLE_BYTES:
            raise TooLarge(f"is full: {limits.MAX_BUNDLE_BYTES} bytes are read", where=str(path))
        if not end:
            sync_folder(path.parent)  # it may be new: its name has to be durable as well
        torn = end != size
        if torn:
            os.ftruncate(handle, end)
        _append(handle, end, line + b"\n")
        return torn


def rewrite_claims(path: Path, change: Callable[[bytes], Iterable[bytes]]) -> None:
    """Replace a claims file by what ``change`` makes of it, while nobody can append.

    A crash leaves the old file or the new one; its permissions are kept, less the umask.

    Args:
        path: created if absent.
        change: whole content -> the new content in pieces; may raise to leave things as they are.

    Raises:
        Unavailable, MalformedInput: as :func:`append_claim`; ``TooLarge`` over the limit.
    """
    existed = os.path.lexists(path)
    with _locked(path) as handle:
        try:
            data = _read_all(handle, path)
            mode = stat.S_IMODE(os.fstat(handle).st_mode)
            write_atomic(path, change(data), mode)
        except BaseException:
            if not existed and not os.fstat(handle).st_size and _is_still(path, handle):
                path.unlink()  # made by this call; who waits for the lock makes it anew
            raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    """A descriptor of the file that ``path`` names, exclusively locked."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        while True:
            handle = os.open(path, flags, 0o644)
            try:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise MalformedInput(
                        "is no plain file", where=str(path), code="not-a-claims-file"
                    )
                fcntl.flock(handle, fcntl.LOCK_EX)
                if _is_still(path, handle):  # else it was replaced while this waited for the lock
                    yield handle
                    return
            finally:
                os.close(handle)
    except OSError as error:
        raise Unavailable(
            f"claims cannot be written: {error.strerror}", where=str(path), code="file-unwritable"
        ) from None


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _read_all(handle: int, path: Path) -> bytes:
    size = os.fstat(handle).st_size
    if size > limits.MAX_BUNDLE_BYTES:
        raise TooLarge(f"has {size} bytes; at most {limits.MAX_BUNDLE_BYTES}", where=str(path))
    with open(os.dup(handle), "rb") as file:
        return file.read(size)


def _append(handle: int, end: int, data: bytes) -> None:
    try:
        os.lseek(handle, end, os.SEEK_SET)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    except BaseException:
        os.ftruncate(handle, end)  # nothing of the claim stays
        raise


def _end_of_last_line(handle: int, size: int) -> int:
    """Offset after the last newline; looks back in blocks."""
    end = size
    while end > 0:
        start = max(0, end - 64 * limits.KIB)
        block = os.pread(handle, end - start, start)
        found = block.rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def split_claims(data: bytes) -> list[bytes]:
    """The lines of a claims file.

    Raises:
        MalformedInput: an empty line, or a last line without newline (``torn-line``).
        TooLarge: one line over ``limits.MAX_JSON_BYTES``.
    """
    if not data:
        return []
    if not data.endswith(b"\n"):
        raise MalformedInput(
            "the last claim is cut off",
            code="torn-line",
            hint="the next claim that is written repairs it",
        )
    lines = data[:-1].split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line:
            raise MalformedInput("is empty", where=f"line {number}", code="empty-line")
        if len(line) > limits.MAX_JSON_BYTES:
            raise TooLarge(f"claim has {len(line)} bytes", where=f"line {number}")
    return lines
