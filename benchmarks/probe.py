"""Small programs that are measured: the hashing engine alone, and what it is compared with.

``python -m benchmarks.probe NAME PATH`` prints the seconds and the processor seconds of the inner
loop, without starting Python.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

KIB = 1 << 10
MIB = 1 << 20


Work = Callable[[], object]


def engine(path: Path, algorithm: str = "sha256") -> Work:
    """attest's hashing engine over a file or tree."""
    from attest.artifact.hashing import hash_listed
    from attest.artifact.walk import list_files
    from attest.digest import HashAlgorithm

    listing = list_files(path)
    chosen = HashAlgorithm(algorithm)

    def work() -> None:
        hashed = hash_listed(listing, range(len(listing.names)), chosen)
        assert not hashed.problems, hashed.problems

    return work


def engine_blake3(path: Path) -> Work:
    return engine(path, "blake3")


def one_thread(path: Path) -> Work:
    """hashlib over one file."""
    return lambda: _sha256(path)


def all_threads(path: Path) -> Work:
    """hashlib over the files of a tree, as many at a time as there are processors."""
    files = sorted(file for file in path.rglob("*") if file.is_file())
    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
    return lambda: list(pool.map(_sha256, files))


def in_memory(path: Path) -> Work:
    """SHA-256 without reading: one buffer that stays in the processor's cache."""
    return _again(hashlib.sha256().update, 256 * KIB, path)


def blake3_mapped(path: Path) -> Work:
    """The blake3 package's own way to hash a file with all threads."""
    from blake3 import blake3

    return lambda: blake3(max_threads=blake3.AUTO).update_mmap(path).digest()


def blake3_in_memory(path: Path) -> Work:
    """BLAKE3 without reading: one buffer, larger than the processor's cache."""
    from blake3 import blake3

    return _again(blake3(max_threads=blake3.AUTO).update, 512 * MIB, path)


def raw(path: Path) -> Work:
    """Open, read, hash and close every file of a tree: what cannot be saved."""

    def work() -> None:
        for folder, _, names in os.walk(path):
            for name in names:
                handle = os.open(f"{folder}/{name}", os.O_RDONLY)
                hashlib.sha256(os.read(handle, 64 * KIB)).digest()
                os.close(handle)

    return work


def scan(path: Path) -> Work:
    """attest's scanner over a file or tree."""
    from attest.flow.scan import default_rules, scan_artifact
    from attest.scan.grades import Grade

    def work() -> None:
        report = scan_artifact(path, rules=default_rules())
        assert all(file.grade is Grade.CLEAN for file in report.files), report.files

    return work


def validate_bom(path: Path) -> Work:
    """attest's strict reading and schema validation of a BOM."""
    from attest.bom.schema import validate_bom as validate

    data = path.read_bytes()

    def work() -> None:
        assert not validate(data)

    return work


def validate_bom_library(path: Path) -> Work:
    """cyclonedx-python-lib's strict validation of the same."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = path.read_text()
    validator = JsonStrictValidator(SchemaVersion.V1_6)

    def work() -> None:
        assert validator.validate_str(text) is None

    return work


def _again(update: Callable[[bytes], object], step: int, path: Path) -> Work:
    """Feed as many bytes as ``path`` has, all from one buffer."""
    size = path.stat().st_size
    piece = b"x" * min(step, size)  # zeros would all be one and the same page

    def work() -> None:
        for _ in range(size // len(piece)):
            update(piece)

    return work


def _sha256(path: Path) -> bytes:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").digest()


PROBES: dict[str, Callable[[Path], Work]] = {
    probe.__name__: probe
    for probe in (
        engine,
        engine_blake3,
        one_thread,
        all_threads,
        in_memory,
        blake3_mapped,
        blake3_in_memory,
        raw,
        scan,
        validate_bom,
        validate_bom_library,
    )
}

if __name__ == "__main__":
    work = PROBES[sys.argv[1]](Path(sys.argv[2]))
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    print(time.perf_counter() - wall, time.process_time() - cpu)
