"""List the files of an artifact without being led astray.

Rules:

1. Directories are opened relative to their parent with ``O_NOFOLLOW``: a directory that is swapped
   for a link between listing and opening is refused, not followed.
2. Symbolic links are problems by default. With ``follow_symlinks`` a link counts as what it points
   to, if that lies inside the root (both fully resolved); directory links are walked like
   directories, and one that leads back to a directory above itself is a problem.
3. Devices, fifos and sockets, and names that are not UTF-8, are problems, wherever they are.
4. Files come out in code-point order of their full relative names.

Each file's device, inode and size are kept: :mod:`attest.artifact.hashing` compares them with what
it opens later.
"""

from __future__ import annotations

import os
import stat
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from attest import limits
from attest.errors import AttestError, MalformedInput, TooLarge, Unavailable

DIRECTORY_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Problem:
    """Something in the tree that cannot be covered by a signature.

    Attributes:
        name: relative name, with undecodable bytes as ``\\udcXX`` surrogates.
        code: stable reason.
        message: one sentence.
        unreadable: the tree could not be judged (I/O), rather than is bad.
    """

    name: str
    code: str
    message: str
    unreadable: bool = False


@dataclass(slots=True)
class Listing:
    """The regular files below a root, in columns.

    Attributes:
        root: the artifact: a directory, or the folder of a single file.
        names: relative to ``root``, code-point order.
        sizes, devices, inodes: as seen while walking, one per name.
        problems: what is there but is no plain file.
        followed: names were reached through symbolic links.
        single: the artifact is one file (``names[0]``).
    """

    root: Path
    names: list[str] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("Q"))
    devices: array[int] = field(default_factory=lambda: array("Q"))
    inodes: array[int] = field(default_factory=lambda: array("Q"))
    problems: list[Problem] = field(default_factory=list)
    followed: bool = False
    single: bool = False

    def add(self, name: str, info: os.stat_result) -> None:
        self.names.append(name)
        self.sizes.append(info.st_size)
        self.devices.append(info.st_dev & 0xFFFF_FFFF_FFFF_FFFF)
        self.inodes.append(info.st_ino)


def list_files(
    path: Path, *, follow_symlinks: bool = False, skip: Callable[[str], bool] | None = None
) -> Listing:
    """List one artifact.

    Args:
        path: a directory or a regular file. The path itself may be a symbolic link: the caller
            named it.
        follow_symlinks: rule 2.
        skip: relative name -> leave it out (and, for a directory, what is below).

    Raises:
        Unavailable: ``path`` does not exist or cannot be listed.
        MalformedInput: ``path`` is a device, fifo or socket.
    """
    try:
        info = path.stat()
    except OSError as error:
        raise unavailable(error, str(path)) from None
    if stat.S_ISREG(info.st_mode):
        listing = Listing(path.parent, single=True)
        if not _is_text(path.name):
            raise MalformedInput("name is not UTF-8", where=ascii(path.name), code="name-not-utf8")
        listing.add(path.name, info)
        return listing
    if not stat.S_ISDIR(info.st_mode):
        raise MalformedInput(
            "is neither a file nor a directory", where=str(path), code="special-file"
        )
    listing = Listing(path, followed=follow_symlinks)
    _Walker(listing, skip).start()
    return listing


class _Walker:
    def __init__(self, listing: Listing, skip: Callable[[str], bool] | None) -> None:
        self.listing = listing
        self.skip = skip
        self.above: list[tuple[int, int]] = []
        self.folders = 0
        self.real_root = os.path.realpath(listing.root)

    def start(self) -> None:
        try:
            handle = os.open(self.real_root, DIRECTORY_FLAGS)
        except OSError as error:
            raise unavailable(error, str(self.listing.root)) from None
        try:
            self._directory(handle, "")
        finally:
            os.close(handle)

    def _directory(self, handle: int, prefix: str) -> None:
        """Walk one open directory; ``prefix`` is its relative name with a slash, or empty."""
        info = os.fstat(handle)
        identity = (info.st_dev, info.st_ino)
        if identity in self.above:
            self._problem(prefix[:-1], "symlink-loop", "symbolic link leads back to a folder above")
            return
        if len(self.above) >= limits.MAX_TREE_DEPTH:
            self._problem(prefix[:-1], "too-deep", "folders are nested too deep")
            return
        self.folders += 1
        # Links that lead to folders with links double what is there at every level.
        most = limits.MAX_FOLLOWED_FOLDERS if self.listing.followed else limits.MAX_MANIFEST_ENTRIES
        if self.folders > most or len(self.listing.names) > limits.MAX_MANIFEST_ENTRIES:
            raise TooLarge("holds too many files", where=str(self.listing.root))
        self.above.append(identity)
        try:
            for key, entry in self._entries(handle, prefix):
                if key.endswith("/"):
                    self._enter(handle, entry.name, prefix + entry.name)
                else:
                    self._file(entry, prefix + entry.name)
        finally:
            self.above.pop()

    def _entries(self, handle: int, prefix: str) -> list[tuple[str, os.DirEntry[str]]]:
        """Entries in code-point order of what is below them: a folder sorts with its slash."""
        listed = []
        skip, ascii_only = self.skip, str.isascii
        try:
            with os.scandir(handle) as entries:
                for entry in entries:
                    name = entry.name
                    if skip is not None and skip(prefix + name):
                        continue
                    if not ascii_only(name) and not _is_text(name):
                        self._problem(prefix + name, "name-not-utf8", "name is not UTF-8")
                    elif entry.is_dir(follow_symlinks=False) or self._is_followed_dir(
                        entry, prefix
                    ):
                        listed.append((name + "/", entry))
                    else:
                        listed.append((name, entry))
        except OSError as error:
            self._unreadable(prefix[:-1] or ".", error)
        listed.sort(key=_first)
        return listed

    def _is_followed_dir(self, entry: os.DirEntry[str], prefix: str) -> bool:
        if not (self.listing.followed and entry.is_symlink()):
            return False
        target = self._resolve(prefix + entry.name)
        return target is not None and os.path.isdir(target)

    def _enter(self, parent: int, name: str, relative: str) -> None:
        try:
            if self.listing.followed:
                target = self._resolve(relative)
                if target is None:
                    return
                handle = os.open(target, DIRECTORY_FLAGS)
            else:
                handle = os.open(name, DIRECTORY_FLAGS, dir_fd=parent)
        except OSError as error:
            self._unreadable(relative, error)
            return
        try:
            self._directory(handle, relative + "/")
        finally:
            os.close(handle)

    def _file(self, entry: os.DirEntry[str], relative: str) -> None:
        try:
            info = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(info.st_mode):
                followed = self._follow_file(relative)
                if followed is None:
                    return
                info = followed
        except OSError as error:
            self._unreadable(relative, error)
            return
        if stat.S_ISREG(info.st_mode):
            self.listing.add(relative, info)
        else:
            self._problem(relative, "special-file", "is a device, fifo or socket")

    def _follow_file(self, relative: str) -> os.stat_result | None:
        if not self.listing.followed:
            self._problem(relative, "symlink-refused", "is a symbolic link")
            return None
        target = self._resolve(relative)
        return None if target is None else os.stat(target, follow_symlinks=False)

    def _resolve(self, relative: str) -> str | None:
        """Where a followed path ends, if that exists inside the root; else notes a problem."""
        try:
            target = os.path.realpath(os.path.join(self.real_root, relative), strict=True)
        except OSError:
            self._problem(relative, "symlink-broken", "symbolic link leads nowhere")
            return None
        if target != self.real_root and not target.startswith(self.real_root.rstrip("/") + "/"):
            self._problem(relative, "symlink-outside", "symbolic link leads out of the artifact")
            return None
        return target

    def _problem(self, name: str, code: str, message: str) -> None:
        if not any(p.name == name and p.code == code for p in self.listing.problems[-1:]):
            self.listing.problems.append(Problem(name, code, message))

    def _unreadable(self, name: str, error: OSError) -> None:
        message = f"cannot be read: {error.strerror}"
        self.listing.problems.append(Problem(name, "file-unreadable", message, unreadable=True))


def _first(pair: tuple[str, os.DirEntry[str]]) -> str:
    return pair[0]


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def unavailable(error: OSError, where: str) -> AttestError:
    """An I/O failure as an error of ours."""
    return Unavailable(
        f"{(error.strerror or 'cannot be read').lower()}", where=where, code="file-unreadable"
    )
