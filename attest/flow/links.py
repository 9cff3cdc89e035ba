"""Read the evidence for an in-toto layout from a folder: once, bounded, before any is judged.

Only files that the layout's steps and keys name are read: ``STEP.KEYID8.link`` in the folder, and
for a delegated step the same below ``STEP.KEYID8/``. Each is opened relative to its folder and
never through a symbolic link, so that nothing outside the folder is read, and each is read once:
what was verified is what was used.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from attest import limits
from attest.codec.layouts import Layout, Step, UnverifiedMetadata, parse_layout_metadata
from attest.digest import Digest
from attest.errors import AttestError, MalformedInput, TooLarge, Unavailable

_FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class LinkFile:
    """One file of evidence: a link, or the layout of a delegated step.

    Attributes:
        name: of the file.
        digest: hex SHA-256 of its bytes.
        metadata: parsed, unverified.
        inner: for a layout, the evidence for its own steps.
    """

    name: str
    digest: str
    metadata: UnverifiedMetadata
    inner: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The files for the steps of one layout: (step, keyid) -> file."""

    files: dict[tuple[str, str], LinkFile] = field(default_factory=dict)

    def of_step(self, step: str) -> dict[str, LinkFile]:
        """keyid -> file, in the order of the layout's keys."""
        return {keyid: file for (name, keyid), file in self.files.items() if name == step}


def inspections(layout: Layout, evidence: Evidence, within: str = "") -> Iterator[str]:
    """The inspections of a layout and of all layouts inside it, signed by whomever."""
    yield from (within + name for name in layout.inspections)
    for (step, keyid), file in evidence.files.items():
        if file.inner is not None and isinstance(file.metadata.content, Layout):
            place = f"{within}{step}/{keyid[:8]}/"
            yield from inspections(file.metadata.content, file.inner, place)


def gather_evidence(layout: Layout, folder: Path) -> Evidence:
    """Read every file that the layout's steps can use.

    Raises:
        Unavailable: the folder, or a file in it, cannot be read.
        MalformedInput, Unsupported: a file is no layout or link, or is a symbolic link.
        TooLarge: too many files, too much, or too deep.
    """
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(str(folder), error) from None
    try:
        return _Reader().read(layout, handle, str(folder), 0)
    finally:
        os.close(handle)


class _Reader:
    """Counts what was read, over all folders."""

    def __init__(self) -> None:
        self._files = 0
        self._bytes = 0

    def read(self, layout: Layout, folder: int, where: str, depth: int) -> Evidence:
        if depth > limits.MAX_LAYOUT_DEPTH:
            raise TooLarge(
                f"layouts are nested more than {limits.MAX_LAYOUT_DEPTH} deep", where=where
            )
        files: dict[tuple[str, str], LinkFile] = {}
        known: dict[str, LinkFile | None] = {}
        for step in layout.steps:
            for keyid in authorised_keyids(layout, step):
                stem = f"{step.name}.{keyid[:8]}"
                if stem not in known:
                    known[stem] = self._file(folder, stem, where, depth)
                file = known[stem]
                if file is not None:
                    files[step.name, keyid] = file
        return Evidence(files)

    def _file(self, folder: int, stem: str, where: str, depth: int) -> LinkFile | None:
        name = f"{stem}.link"
        place = f"{where}/{name}"
        data = self._bytes_of(folder, name, place)
        if data is None:
            return None
        metadata = parse_layout_metadata(data, what=place)
        inner = None
        if isinstance(metadata.content, Layout):
            inner = self._inner(metadata.content, folder, stem, f"{where}/{stem}", depth)
        return LinkFile(name, Digest.of(data).hex, metadata, inner)

    def _inner(self, layout: Layout, folder: int, stem: str, where: str, depth: int) -> Evidence:
        try:
            handle = os.open(stem, _FOLDER_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return Evidence()
        except OSError as error:
            raise _unreadable(where, error) from None
        try:
            return self.read(layout, handle, where, depth + 1)
        finally:
            os.close(handle)

    def _bytes_of(self, folder: int, name: str, place: str) -> bytes | None:
        """The content of a regular file; None where there is none."""
        try:
            handle = os.open(name, _FILE_FLAGS, dir_fd=folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _unreadable(place, error) from None
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode):
                raise MalformedInput("is not a regular file", where=place, code="not-a-file")
            self._count(info.st_size, place)
            with open(handle, "rb", closefd=False) as file:
                data = file.read(limits.MAX_LAYOUT_BYTES + 1)
        except OSError as error:
            raise _unreadable(place, error) from None
        finally:
            os.close(handle)
        if len(data) > limits.MAX_LAYOUT_BYTES:
            raise TooLarge(f"has more than {limits.MAX_LAYOUT_BYTES} bytes", where=place)
        return data

    def _count(self, size: int, place: str) -> None:
        self._files += 1
        self._bytes += size
        if self._files > limits.MAX_LAYOUT_LINKS:
            raise TooLarge(f"more than {limits.MAX_LAYOUT_LINKS} link files", where=place)
        if self._bytes > limits.MAX_LAYOUT_LINK_BYTES:
            raise TooLarge(
                f"the link files have more than {limits.MAX_LAYOUT_LINK_BYTES} bytes", where=place
            )


def authorised_keyids(layout: Layout, step: Step) -> list[str]:
    """Keys that may sign a step, and the subkeys of GPG keys among them."""
    keyids: dict[str, None] = {}
    for keyid in step.pubkeys:
        keyids[keyid] = None
        keyids.update(dict.fromkeys(layout.keys.get(keyid, {}).get("subkeys") or ()))
    return list(keyids)


def _unreadable(where: str, error: OSError) -> AttestError:
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return MalformedInput(
            "is a symbolic link, which could lead anywhere", where=where, code="link-is-symlink"
        )
    if error.errno == errno.ENOTDIR:
        return Unavailable("is no folder", where=where, code="not-a-folder")
    return Unavailable(
        f"cannot be read ({os.strerror(error.errno or 0)})", where=where, code="file-unreadable"
    )
