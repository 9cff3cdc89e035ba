"""Hashing: right for every size, algorithm and number of workers; never blind to a change."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest
from blake3 import blake3

from attest.artifact import hashing
from attest.artifact.hashing import SMALL, TINY, FileChanged, hash_listed, hash_range
from attest.artifact.walk import list_files
from attest.codec.manifest import CHUNK_SIZE
from attest.digest import HashAlgorithm
from tests.support.forge import make_tree
from tests.support.rights import unprivileged

SIZES = (0, 1, TINY - 1, TINY, TINY + 1, SMALL, SMALL + 1, 5 * SMALL + 7)


def content(size: int) -> bytes:
    return (b"0123456789abcdef" * (size // 16 + 1))[:size]


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    files = {f"s{size}": content(size) for size in SIZES}
    return make_tree(tmp_path_factory.mktemp("hash") / "t", files)


def expected(name: str, algorithm: HashAlgorithm) -> bytes:
    data = content(int(name[1:]))
    return blake3(data).digest() if algorithm == "blake3" else hashlib.new(algorithm, data).digest()


@pytest.mark.parametrize("workers", [1, 2, 7])
@pytest.mark.parametrize("algorithm", list(HashAlgorithm), ids=str)
def test_every_size(tree, algorithm, workers):
    listing = list_files(tree)
    found = hash_listed(listing, range(len(SIZES)), algorithm, workers=workers)
    assert found.problems == []
    assert found.size == sum(SIZES)
    width = algorithm.size
    for at, name in enumerate(listing.names):
        assert found.digests[at * width : (at + 1) * width] == expected(name, algorithm), name


def test_some_positions_in_any_order(tree):
    listing = list_files(tree)
    positions = [5, 0, 3]
    found = hash_listed(listing, positions, HashAlgorithm.SHA256)
    for at, position in enumerate(positions):
        name = listing.names[position]
        assert found.digests[32 * at : 32 * at + 32] == expected(name, HashAlgorithm.SHA256)


@pytest.mark.parametrize("size", [CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE])
@pytest.mark.parametrize("workers", [1, 3])
def test_chunk_digests(tmp_path, size, workers):
    data = content(size)
    listing = list_files(make_tree(tmp_path / "t", {"f": data}))
    found = hash_listed(listing, [0], HashAlgorithm.SHA256, chunk_digests=True, workers=workers)
    assert found.digests == hashlib.sha256(data).digest()
    pieces = [data[at : at + CHUNK_SIZE] for at in range(0, size, CHUNK_SIZE)]
    wanted = b"".join(hashlib.sha256(piece).digest() for piece in pieces)
    assert found.chunks == ({0: wanted} if size > CHUNK_SIZE else {})


def test_progress_counts_every_file_and_byte_once(tree):
    class Count:
        def __init__(self):
            self.files = self.size = self.ended = 0
            self.total = (0, 0)

        def begin(self, files, size):
            self.total = (files, size)

        def advance(self, files, size):
            self.files += files
            self.size += size

        def end(self):
            self.ended += 1

    for algorithm in (HashAlgorithm.SHA256, HashAlgorithm.BLAKE3):
        count = Count()
        listing = list_files(tree)
        hash_listed(listing, range(len(SIZES)), algorithm, progress=count)
        assert (count.files, count.size) == count.total == (len(SIZES), sum(SIZES))
        assert count.ended == 1


def test_file_that_a_writer_appends_to_all_the_time(tmp_path):
    """A real race: whatever happens, a digest is never reported for a file that moved."""
    path = make_tree(tmp_path / "t", {"log": b"x" * (3 << 20)}) / "log"
    stop = threading.Event()

    def append():
        with path.open("ab", buffering=0) as file:
            while not stop.is_set():
                file.write(b"more")

    writer = threading.Thread(target=append)
    listing = list_files(path.parent)
    writer.start()
    try:
        codes = set()
        for _ in range(5):
            found = hash_listed(listing, [0], HashAlgorithm.SHA256)
            codes |= {problem.code for problem in found.problems}
            listing = list_files(path.parent)
    finally:
        stop.set()
        writer.join()
    assert codes == {"file-changed-while-read"}


@pytest.mark.parametrize("algorithm", [HashAlgorithm.SHA256, HashAlgorithm.BLAKE3], ids=str)
@pytest.mark.parametrize("size", [10, TINY + 10, SMALL + 10])
def test_change_between_listing_and_hashing(tmp_path, algorithm, size):
    folder = make_tree(tmp_path / "t", {"f": content(size), "other": content(size)})
    listing = list_files(folder)
    os.replace(folder / "other", folder / "f")
    found = hash_listed(listing, [0, 1], algorithm)
    assert {(p.name, p.code) for p in found.problems} == {
        ("f", "file-changed-while-read"),
        ("other", "file-changed-while-read"),
    }
    assert not any(found.digests)


@unprivileged
def test_file_that_may_not_be_read(tmp_path):
    folder = make_tree(tmp_path / "t", {"f": b"x"})
    listing = list_files(folder)
    (folder / "f").chmod(0)
    (problem,) = hash_listed(listing, [0], HashAlgorithm.SHA256).problems
    assert problem.unreadable


def test_defect_in_a_worker_is_not_swallowed(tree, monkeypatch):
    def broken(*_):
        raise RuntimeError("defect")

    monkeypatch.setattr(hashing._Job, "_small", broken)
    listing = list_files(tree)
    with pytest.raises(RuntimeError, match="defect"):
        hash_listed(listing, range(len(SIZES)), HashAlgorithm.SHA256)


def test_handles_are_closed(tree):
    before = len(os.listdir("/proc/self/fd"))
    hash_listed(list_files(tree), range(len(SIZES)), HashAlgorithm.SHA256)
    assert len(os.listdir("/proc/self/fd")) == before


def test_blake3_of_a_file_that_a_writer_holds_open(tmp_path):
    """No read lease is to be had then; the file is read instead of mapped."""
    data = content(5 << 20)
    path = make_tree(tmp_path / "t", {"f": data}) / "f"
    with path.open("ab"):
        found = hash_listed(list_files(path.parent), [0], HashAlgorithm.BLAKE3)
    assert found.digests == blake3(data).digest()


def test_range_of_a_file(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(content(100))
    handle = os.open(path, os.O_RDONLY)
    try:
        found = hash_range(handle, 10, 90, HashAlgorithm.SHA256)
        assert found == hashlib.sha256(content(100)[10:90]).digest()
        with pytest.raises(FileChanged):
            hash_range(handle, 10, 101, HashAlgorithm.SHA256)
    finally:
        os.close(handle)
