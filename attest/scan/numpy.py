"""NumPy's ``.npy``: raw numbers, or a pickle where the dtype has an object in it."""

from __future__ import annotations

from attest.codec.npy import MAGIC, NpyHeader, parse_npy
from attest.codec.reader import Source, Window
from attest.errors import AttestError
from attest.scan.grades import Grade
from attest.scan.job import Job, Place
from attest.scan.pickles import scan_pickle


def scan_npy(job: Job, place: Place, source: Source) -> str:
    """Scan one array, or several that were saved one after another into the same file."""
    start = 0
    while start < source.size:
        rest = Window(source, start, source.size - start)
        if start and rest.read(0, min(len(MAGIC), rest.size)) != MAGIC:
            message = f"{rest.size} byte(s) follow the array"
            job.hit("npy-tail", Grade.SUSPICIOUS, message, place, f"byte {start}")
            break
        try:
            header = parse_npy(rest)
        except AttestError as error:
            job.failed(error, place)
            break
        if header.has_objects:
            _scan_objects(job, place, rest, header)
            break
        start += header.data_start + header.data_size
        if start > source.size:
            message = "the array is cut off: its header asks for more bytes"
            job.hit("truncated", Grade.UNSCANNABLE, message, place)
    return "npy"


def _scan_objects(job: Job, place: Place, source: Source, header: NpyHeader) -> None:
    pickled = Window(source, header.data_start, source.size - header.data_start)
    where = f"{place.where}!objects" if place.where else "objects"
    job.add(scan_pickle(pickled, job.rules, where=where))
