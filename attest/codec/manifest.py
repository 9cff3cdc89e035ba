"""Manifests in columns: the files of an artifact, their digests and sizes.

A manifest of 10^6 files is kept as one list of names and flat arrays, about 130 bytes a file; a
Python object per file would take five times that.

Two digests name the whole:

* :meth:`Manifest.root` - OMS v1.0: SHA-256 over the raw digests in list order. Names are *not*
  bound into it.
* :meth:`Manifest.tree_digest` - tree digest v1: SHA-256 over ``attest-tree-v1\\n`` and, for each
  file in code-point order of its name: u32 big-endian length of the name, the name in UTF-8, u64
  big-endian size, the file's digest. Renaming, resizing or swapping files changes it. For manifests
  that do not use SHA-256 the first line is ``attest-tree-v1:<algorithm>\\n``.
"""

from __future__ import annotations

import hashlib
import itertools
import operator
import re
import unicodedata
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.digest import Digest, HashAlgorithm
from attest.errors import MalformedInput, TooLarge

CHUNK_SIZE: Final = 16 * limits.MIB
"""Bytes covered by one chunk digest of ours."""

TREE_DIGEST_NAME: Final = "attestTreeV1"
"""Under which name a subject carries a tree digest over SHA-256 digests."""

_BAD_PART: Final = re.compile(r"(?:^|/)\.{0,2}(?:/|\Z)|\x00")


@dataclass(slots=True)
class Manifest:
    """The files of one artifact.

    Attributes:
        algorithm: content hash of every entry.
        names: relative POSIX names, unique. In byte-range manifests a name occurs once per range.
        digests: concatenated raw digests, ``algorithm.size`` bytes an entry.
        sizes: bytes of each file, or None where the signer did not record them.
        ranges: for OMS method ``shards``: start and end offset of each entry, flat; else None.
        chunks: entry index -> concatenated SHA-256 digests of its ``chunk_size`` pieces.
        chunk_size: bytes of one chunk.
        assumed: indexes of entries whose digest was given to the signer, not computed.
    """

    algorithm: HashAlgorithm
    names: list[str] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray, repr=False)
    sizes: array[int] | None = None
    ranges: array[int] | None = None
    chunks: dict[int, bytes] = field(default_factory=dict, repr=False)
    chunk_size: int = CHUNK_SIZE
    assumed: set[int] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.names)

    def digest(self, index: int) -> bytes:
        """Raw digest of entry ``index``."""
        size = self.algorithm.size
        return bytes(self.digests[index * size : (index + 1) * size])

    def lists_the_same(self, other: Manifest) -> bool:
        """Whether both list the same files with the same digests, in whatever order."""
        if self.algorithm is not other.algorithm or len(self) != len(other):
            return False
        if self.ranges is not None or other.ranges is not None:
            return False
        mine = sorted(range(len(self)), key=self.names.__getitem__)
        theirs = sorted(range(len(other)), key=other.names.__getitem__)
        return all(
            self.names[a] == other.names[b] and self.digest(a) == other.digest(b)
            for a, b in zip(mine, theirs, strict=True)
        )

    def total_size(self) -> int | None:
        """Bytes of all files together, where sizes are known."""
        return sum(self.sizes) if self.sizes is not None else None

    def root(self) -> Digest:
        """OMS root digest: SHA-256 over the raw digests in list order."""
        return Digest(HashAlgorithm.SHA256, hashlib.sha256(self.digests).digest())

    def tree_name(self) -> str:
        """Under which name a subject carries :meth:`tree_digest`."""
        return tree_digest_name(self.algorithm)

    def tree_digest(self) -> Digest:
        """Tree digest v1.

        Raises:
            ValueError: sizes unknown, byte ranges, or entries out of order (caller's mistake).
        """
        if self.sizes is None or self.ranges is not None:
            raise ValueError("a tree digest needs whole files with sizes")
        if not is_sorted(self.names):
            raise ValueError("entries are not in code-point order")
        hasher = hashlib.sha256(_tree_header(self.algorithm))
        for start in range(0, len(self), 4096):
            hasher.update(b"".join(self._tree_records(start, min(start + 4096, len(self)))))
        return Digest(HashAlgorithm.SHA256, hasher.digest())

    def _tree_records(self, start: int, end: int) -> Iterator[bytes]:
        assert self.sizes is not None
        width = self.algorithm.size
        texts = map(str.encode, self.names[start:end])
        places = range(start * width, end * width, width)
        return (
            len(text).to_bytes(4, "big")
            + text
            + size.to_bytes(8, "big")
            + self.digests[at : at + width]
            for text, size, at in zip(texts, self.sizes[start:end], places, strict=True)
        )

    def check_names(self) -> None:
        """Refuse names that could mean another file than the signer meant.

        Raises:
            MalformedInput: absolute, empty or dot components, NUL, not encodable, too long,
                duplicate, or equal after Unicode normalisation (NFC).
        """
        if len(self.names) > limits.MAX_MANIFEST_ENTRIES:
            raise TooLarge(f"manifest has {len(self.names)} entries")
        for name in self.names:
            check_name(name)
        if self.ranges is None:
            _check_unique(self.names)


def tree_digest_name(algorithm: HashAlgorithm) -> str:
    """``attestTreeV1``, with the algorithm appended unless it is SHA-256."""
    suffix = "" if algorithm is HashAlgorithm.SHA256 else f":{algorithm}"
    return TREE_DIGEST_NAME + suffix


def _tree_header(algorithm: HashAlgorithm) -> bytes:
    if algorithm is HashAlgorithm.SHA256:
        return b"attest-tree-v1\n"
    return f"attest-tree-v1:{algorithm}\n".encode()


def check_name(name: str) -> None:
    """Refuse a file name that is not a plain relative POSIX path.

    Raises:
        MalformedInput: code ``unsafe-name``.
    """
    if _BAD_PART.search(name):
        raise MalformedInput(
            "is no plain relative file name", where=name[:200] or "(empty name)", code="unsafe-name"
        )
    if len(name) * 4 > limits.MAX_NAME_BYTES or not name.isascii():
        try:
            length = len(name.encode("utf-8"))
        except UnicodeEncodeError:
            raise MalformedInput("file name is not Unicode", code="unsafe-name") from None
        if length > limits.MAX_NAME_BYTES:
            raise TooLarge(f"a file name has {length} bytes", where=name[:200])


def _check_unique(names: list[str]) -> None:
    if not is_sorted(names):  # what is strictly increasing is unique, and needs no set
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise MalformedInput("file is listed twice", where=name, code="duplicate-name")
            seen.add(name)
    check_collisions(names)


def check_collisions(names: list[str]) -> None:
    """Refuse different names with one NFC form.

    Raises:
        MalformedInput: code ``colliding-names``.
    """
    collision = normalisation_collision(names)
    if collision is not None:
        raise MalformedInput(
            f"file name equals {collision[1]!r} after Unicode normalisation",
            where=collision[0],
            code="colliding-names",
        )


def is_sorted(names: list[str]) -> bool:
    """Whether names are in strictly increasing code-point order."""
    return all(map(operator.lt, names, itertools.islice(names, 1, None)))


def normalisation_collision(names: list[str]) -> tuple[str, str] | None:
    """Two different names with one NFC form, if there are any.

    File systems that normalise (APFS, HFS+, some SMB servers) would read one for the other.
    """
    forms: dict[str, str] = {}
    for name in names:
        if not name.isascii():
            form = unicodedata.normalize("NFC", name)
            other = forms.setdefault(form, name)
            if other != name:
                return name, other
    folded_to_ascii = {form for form, name in forms.items() if form.isascii()}
    if folded_to_ascii:
        for name in names:
            if name in folded_to_ascii:
                return forms[name], name
    return None
