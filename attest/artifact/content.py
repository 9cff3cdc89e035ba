"""The files of an artifact, opened for reading, and held against the digests they should have.

Reading a header or scanning a file says something about bytes; a claim says it about digests. This
is where the two are tied together: what was read through :meth:`ArtifactContent.open` is hashed,
compared with a manifest, and must not have changed from the first opening to the end of the hash.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator

from attest.artifact.hashing import FileChanged, Progress, hash_listed, open_listed
from attest.artifact.walk import Listing, unavailable
from attest.codec.manifest import Manifest
from attest.digest import HashAlgorithm
from attest.errors import AttestError, DigestMismatch, Unavailable, VerificationFailed
from attest.files import FileSource


class ArtifactContent:
    """The files of one listing.

    Args:
        listing: from :func:`attest.artifact.walk.list_files`; its problems are the caller's.
    """

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._positions = {name: position for position, name in enumerate(listing.names)}
        self._seen: dict[str, tuple[int, int]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every file, relative to the root, in code-point order."""
        return tuple(self._listing.names)

    @property
    def opened(self) -> tuple[str, ...]:
        """The files that were opened so far, in code-point order."""
        return tuple(sorted(self._seen))

    def size(self, name: str) -> int:
        """Bytes of a file when it was listed."""
        return self._listing.sizes[self._positions[name]]

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[FileSource]:
        """A file for reading by position.

        Raises:
            KeyError: not in the listing.
            VerificationFailed: ``file-changed-while-read``: not the file that was listed.
            Unavailable: it cannot be opened.
        """
        try:
            descriptor = open_listed(self._listing, self._positions[name])
        except FileChanged:
            raise _changed(name) from None
        except OSError as error:
            raise unavailable(error, name) from None
        try:
            source = FileSource(descriptor, name)
            times = source.opened.st_mtime_ns, source.opened.st_ctime_ns
            if self._seen.setdefault(name, times) != times:
                raise _changed(name)
            yield source
        finally:
            os.close(descriptor)

    def manifest(self, progress: Progress | None = None) -> Manifest:
        """The manifest of all files, by hashing them.

        Raises:
            VerificationFailed: ``file-changed-while-read``.
            Unavailable: a file cannot be read.
        """
        listing, algorithm = self._listing, HashAlgorithm.SHA256
        hashed = hash_listed(listing, range(len(listing.names)), algorithm, progress=progress)
        _raise_first([_problem(each.name, each.unreadable) for each in hashed.problems])
        self._check_unchanged()
        made = Manifest(algorithm, list(listing.names), hashed.digests, listing.sizes)
        made.check_names()
        return made

    def match(
        self,
        manifest: Manifest,
        names: Iterable[str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Hash files and compare them with ``manifest``.

        Args:
            manifest: of whole files, verified; of a single-file artifact with any one name.
            names: which files; default: those that were opened.

        Raises:
            DigestMismatch: ``file-changed``: other content than in the manifest, or not in it; all
                are told (``also``).
            VerificationFailed: ``file-changed-while-read``.
            Unavailable: a file cannot be read.
            KeyError: one of ``names`` is not in the listing. ValueError: a manifest of ranges.
        """
        if manifest.ranges is not None:
            raise ValueError("a manifest of byte ranges has no digests of whole files")
        chosen = sorted(self.opened if names is None else set(names))
        entries = self._entries(manifest)
        positions = [self._positions[name] for name in chosen]
        hashed = hash_listed(self._listing, positions, manifest.algorithm, progress=progress)
        _raise_first([_problem(each.name, each.unreadable) for each in hashed.problems])
        width = manifest.algorithm.size
        faults: list[AttestError] = []
        for at, name in enumerate(chosen):
            index = entries.get(name)
            found = bytes(hashed.digests[at * width : (at + 1) * width])
            if index is None or manifest.digest(index) != found:
                what = (
                    "is not in the signature" if index is None else "differs from what was signed"
                )
                faults.append(DigestMismatch(f"content {what}", where=name, code="file-changed"))
        _raise_first(faults)
        self._check_unchanged()

    def _entries(self, manifest: Manifest) -> dict[str, int]:
        if self._listing.single and len(manifest) == 1:
            return {self._listing.names[0]: 0}
        return {name: index for index, name in enumerate(manifest.names)}

    def _check_unchanged(self) -> None:
        """Nothing that was opened has changed since: hashing opened the file once more."""
        faults: list[AttestError] = []
        for name, times in self._seen.items():
            try:
                info = os.stat(self._listing.root / name)
            except OSError as error:
                raise unavailable(error, name) from None
            if (info.st_mtime_ns, info.st_ctime_ns) != times:
                faults.append(_changed(name))
        _raise_first(faults)


def _problem(name: str, unreadable: bool) -> AttestError:
    if unreadable:
        return Unavailable("cannot be read", where=name, code="file-unreadable")
    return _changed(name)


def _changed(name: str) -> AttestError:
    return VerificationFailed(
        "changed while it was read",
        where=name,
        hint="let nobody write to the artifact meanwhile, and try again",
        code="file-changed-while-read",
    )


def _raise_first(faults: list[AttestError]) -> None:
    if faults:
        first, *rest = faults
        first.also = tuple(rest)
        raise first
