"""The files that are measured: made in a folder of their own, removed afterwards.

Contents are random enough for every hash and different in every file, and cost no time to make.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
_PIECE = 4 * MIB


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured, and how often.

    Attributes:
        file: bytes of the one large file.
        shards, shard: number of large files, and bytes of each.
        small_files, small: number of small files, and bytes of each.
        entries: files of the smaller of the two huge trees; the other has twice as many.
        rounds, long_rounds, starts: how often; long ones are the peers and the huge trees.
    """

    file: int = 4096 * MIB
    shards: int = 32
    shard: int = 128 * MIB
    small_files: int = 20_000
    small: int = 16 * 1024
    entries: int = 500_000
    rounds: int = 5
    long_rounds: int = 3
    starts: int = 10


QUICK = Sizes(32 * MIB, 4, 8 * MIB, 200, 16 * 1024, 1_000, 1, 1, 1)
"""For trying the benchmarks themselves: the figures say nothing."""

NEEDED = 11_000_000_000
"""Bytes of disk at the same time, full size."""


class Workspace:
    """A folder with the measured files."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder = folder
        self.sizes = sizes
        self.path("signatures").mkdir()

    def path(self, name: str) -> Path:
        return self.folder / name

    def signature(self, name: str) -> Path:
        return self.folder / "signatures" / f"{name}.sig"

    def large_file(self) -> Path:
        """One large file, kept until the end: three groups measure it."""
        path = self.path("large.bin")
        if not path.exists():
            _write(path, self.sizes.file, 0)
            os.sync()
        return path

    @contextlib.contextmanager
    def tree(self, name: str, folders: int, files: int, size: int) -> Iterator[Path]:
        """``folders`` folders with ``files`` files of ``size`` bytes each."""
        root = self.path(name)
        try:
            for folder in range(folders):
                place = root / f"shard-{folder:05}"
                place.mkdir(parents=True)
                _fill(place, files, size, folder * files)
            os.sync()  # what is written back later would be measured too
            yield root
        finally:
            shutil.rmtree(root)


def _fill(place: Path, files: int, size: int, first: int) -> None:
    filler = os.urandom(min(size, _PIECE))
    for number in range(files):
        path = f"{place}/sample-{number:08}.bin"
        if size > _PIECE:
            _write(Path(path), size, first + number)
            continue
        content = (first + number).to_bytes(8, "big") + filler
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(handle, content[:size])
        os.close(handle)


def _write(path: Path, size: int, number: int) -> None:
    piece = bytearray(os.urandom(_PIECE))
    with path.open("xb", buffering=0) as file:
        for start in range(0, size, _PIECE):
            piece[:16] = number.to_bytes(8, "big") + start.to_bytes(8, "big")
            file.write(memoryview(piece)[: min(_PIECE, size - start)])
