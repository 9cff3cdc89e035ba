"""Files: read with a bound, written so that a crash leaves the old content or the new.

What a failed write can leave behind: after a power loss or ``kill -9`` in the middle of
:func:`write_atomic`, a file ``.attest-*.tmp`` beside the target. The target itself is untouched.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from attest.errors import TooLarge, Truncated, Unavailable

_READ_BYTES: Final = 1 << 20
_TEMPORARY: Final = re.compile(r"\.attest-[0-9a-f]{16}\.tmp")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_bounded(path: Path, limit: int, what: str, *, allow_pipe: bool = False) -> bytes:
    """The whole content of a regular file.

    Args:
        path: followed if it is a symbolic link.
        limit: most bytes that are accepted; nothing beyond is read.
        what: noun for messages, such as ``"signature"``.
        allow_pipe: also read a pipe (``--key <(vault read …)``). Only for paths that the person at
            the prompt named: a pipe found inside an artifact would block for ever.

    Raises:
        TooLarge: more than ``limit`` bytes.
        Unavailable: ``file-missing``, ``file-unreadable`` or ``not-a-file``.
    """
    try:
        # Non-blocking, because opening a pipe that nobody writes to would wait for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(mode) or (allow_pipe and stat.S_ISFIFO(mode))):
                raise Unavailable(
                    f"the {what} is not a regular file", where=str(path), code="not-a-file"
                )
            os.set_blocking(descriptor, True)
            oversized = os.fstat(descriptor).st_size > limit  # known without reading any of it
            content = b"" if oversized else _read_at_most(descriptor, limit + 1)
        finally:
            os.close(descriptor)
        if oversized or len(content) > limit:
            raise TooLarge(f"the {what} has more than {limit} bytes", where=str(path))
        return content
    except FileNotFoundError:
        raise Unavailable(
            f"the {what} does not exist", where=str(path), code="file-missing"
        ) from None
    except OSError as error:
        raise _unavailable(f"the {what} cannot be read", path, error, "file-unreadable") from None


def _read_at_most(descriptor: int, count: int) -> bytes:
    """Up to ``count`` bytes; a regular file of 100 MB is not held twice on the way."""
    size = os.fstat(descriptor).st_size
    content = os.read(descriptor, min(size + 1, count))
    while len(content) < count:
        more = os.read(descriptor, min(_READ_BYTES, count - len(content)))
        if not more:
            break
        content += more
    return content


class FileSource:
    """A file that is read by position (see :class:`attest.codec.reader.Source`).

    Args:
        descriptor: of a regular file, open for reading; the caller closes it.
        where: how to call it in errors.
    """

    def __init__(self, descriptor: int, where: str) -> None:
        self.descriptor = descriptor
        self.opened = os.fstat(descriptor)
        self._where = where

    @property
    def size(self) -> int:
        """Bytes, when it was opened."""
        return self.opened.st_size

    def read(self, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes from ``offset``.

        Raises:
            Truncated: that is not all inside the file.
            Unavailable: it cannot be read, or has become shorter.
        """
        if offset < 0 or length < 0 or length > self.size - offset:
            raise Truncated(f"{length} bytes at offset {offset} of only {self.size}")
        try:
            content = os.pread(self.descriptor, length, offset)
            while len(content) < length:  # one call reads 2 GiB at most
                more = os.pread(self.descriptor, length - len(content), offset + len(content))
                if not more:
                    raise Unavailable(
                        "became shorter while it was read", where=self._where, code="file-changed"
                    )
                content += more
        except OSError as error:
            raise _unavailable(
                "cannot be read", Path(self._where), error, "file-unreadable"
            ) from None
        return content


@contextlib.contextmanager
def open_source(path: Path, what: str) -> Iterator[FileSource]:
    """Open a regular file for reading by position.

    Raises:
        Unavailable: ``file-missing``, ``file-unreadable`` or ``not-a-file``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise Unavailable(
            f"the {what} does not exist", where=str(path), code="file-missing"
        ) from None
    except OSError as error:
        raise _unavailable(f"the {what} cannot be read", path, error, "file-unreadable") from None
    try:
        source = FileSource(descriptor, str(path))
        if not stat.S_ISREG(source.opened.st_mode):
            raise Unavailable(
                f"the {what} is not a regular file", where=str(path), code="not-a-file"
            )
        yield source
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes | Iterable[bytes | memoryview], mode: int = 0o644) -> None:
    """Replace ``path`` by ``data``: readers see the old content or the new, never a part.

    Temporary file in the same folder, fsync, rename, fsync of the folder. On any failure, Ctrl-C
    included, the temporary file is removed and the old content stays.

    Args:
        path: a symbolic link is replaced, not followed.
        data: all of it, or chunks in order.
        mode: permissions of the new file, less the umask.

    Raises:
        Unavailable: ``disk-full`` or ``file-unwritable``.
    """
    temporary = path.with_name(f".attest-{secrets.token_hex(8)}.tmp")  # see is_temporary
    try:
        _create(temporary, data, mode)
        try:
            os.replace(temporary, path)
        except BaseException:
            _remove(temporary)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise _unwritable(path, error) from None


def is_temporary(name: str) -> bool:
    """Whether a file name is that of a temporary file of :func:`write_atomic`."""
    return _TEMPORARY.fullmatch(name.rpartition("/")[2]) is not None


def write_new(path: Path, data: bytes | Iterable[bytes | memoryview], mode: int = 0o600) -> None:
    """Create ``path`` with ``data``; never touch what is already there, not even a dangling link.

    The default mode is for private keys: nobody else can read the file at any moment.

    Raises:
        Unavailable: ``already-exists``, ``disk-full`` or ``file-unwritable``. No new file is left.
    """
    try:
        _create(path, data, mode)
        sync_folder(path.parent)
    except FileExistsError:
        raise Unavailable(
            "the file already exists and is not overwritten",
            where=str(path),
            hint="choose another name, or move the old file away",
            code="already-exists",
        ) from None
    except OSError as error:
        raise _unwritable(path, error) from None


def _create(path: Path, data: bytes | Iterable[bytes | memoryview], mode: int) -> None:
    """A new file on stable storage, or none."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        with open(descriptor, "wb") as file:
            for chunk in (data,) if isinstance(data, bytes) else data:
                file.write(chunk)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        _remove(path)
        raise


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink()


def sync_folder(folder: Path) -> None:
    """Make the new name durable. Some file systems cannot sync a folder; the name still holds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _unwritable(path: Path, error: OSError) -> Unavailable:
    if error.errno in _FULL:
        return _unavailable("no space is left to write it", path, error, "disk-full")
    return _unavailable("the file cannot be written", path, error, "file-unwritable")


def _unavailable(message: str, path: Path, error: OSError, code: str) -> Unavailable:
    reason = os.strerror(error.errno) if error.errno else "unknown reason"
    hint = "free some space and run it again" if code == "disk-full" else "check path and rights"
    return Unavailable(f"{message} ({reason})", where=str(path), hint=hint, code=code)
