"""One file, or one member of an archive: what it is, and what scans it.

The order of the questions matters, and each is about content:

1. Does it begin as an archive? Then its members are scanned (:mod:`attest.scan.containers`).
2. Does it begin as a model format? Then that format's scanner reads it.
3. Is it a pickle? A program or another recognised format (:mod:`attest.scan.sniff`)? Text?
4. None of these: a blob that nobody recognises is ``unscannable``, unless its container says that
   loaders take it for raw numbers.

Then, whatever it was: does a zip archive end it, is it a pickle as well, does its name promise
something else? A file that is two things is ``suspicious`` at least, and scanned as both.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Final

from attest.codec.compressed import compression_of
from attest.codec.npy import MAGIC as NPY_MAGIC
from attest.codec.reader import Source
from attest.codec.tars import looks_like_tar
from attest.codec.zipend import has_directory
from attest.errors import AttestError
from attest.scan import registry, sniff
from attest.scan.containers import scan_compressed, scan_tar, scan_zip
from attest.scan.formats.texts import scan_text
from attest.scan.formats.torchscript import scan_torchscript
from attest.scan.grades import FileScan, Grade, Hit, Rules
from attest.scan.job import Exhausted, Job, Place, Role
from attest.scan.numpy import scan_npy
from attest.scan.pickles import (
    inspect_legacy_torch,
    inspect_pickle,
    looks_like_legacy_torch,
    scan_pickle,
    sniff_effort,
    sniff_pickle,
)
from attest.scan.registry import Scanner
from attest.scan.sniff import Nature

_ZIP_STARTS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_UNSURE: Final = frozenset(("zlib", "lzma"))
"""Compressions without a signature: only unpacking tells."""

_NOT_PICKLED: Final = frozenset(("tar", "npy", "gguf", "safetensors", "hdf5", "bz2", "xz", "gzip"))
"""Formats that were recognised before anybody asked whether the content is a pickle as well."""

_OPERATION_EFFORT: Final = 16
_SOURCE_EFFORT: Final = 8
_TEXT_EFFORT: Final = {"template": 100, "yaml": 16, "json": 4}
"""Work for one operation of a pickle, or one byte of text, in bytes that are merely unpacked."""

_PROGRAMS: Final = (b"\x7fELF", b"MZ")
"""How programs begin that are recognised by enough bytes to tell them from numbers."""


def scan_source(
    name: str, source: Source, rules: Rules, *, pool: Executor | None = None
) -> FileScan:
    """Scan one file.

    Args:
        name: of the file inside its artifact. It can only make the verdict stricter.
        source: its content; whoever made it controls every byte.
        rules: the allow-list and the limits.
        pool: threads that help with checksums of large members; ``source`` is then read from them.

    Returns:
        what was found; without hits, everything was read and all of it is harmless.

    Raises:
        Unavailable: the file cannot be read. Nothing about its content raises.
    """
    job = Job(rules, source.size, pool, _scan)
    place = Place(name, parallel=pool is not None)
    try:
        kind = _scan(job, place, source)
    except Exhausted:
        kind = "archive"
    except AttestError as error:
        job.failed(error, place)
        kind = "unknown"
    if job.dropped:
        message = f"{job.dropped} more finds are not listed"
        job.hits.append(Hit("more-hits", Grade.SUSPICIOUS, message))
    return FileScan(name, kind, tuple(job.hits))


def _scan(job: Job, place: Place, source: Source) -> str:
    """Scan one content, at the top or in a container; its format."""
    if source.size == 0:
        return "empty"
    head = source.read(0, min(sniff.HEAD, source.size))
    if head.startswith(_ZIP_STARTS):
        kind = scan_zip(job, place, source)
    else:
        kind = _by_signature(job, place, source, head) or _by_shape(job, place, source, head)
        _check_second_nature(job, place, source, kind)
    if place.role is Role.FILE and sniff.name_contradicts(place.name, kind):
        message = f"its name promises something else than {kind}"
        job.hit("name-content-mismatch", Grade.SUSPICIOUS, message, place)
    return kind


# -- what it is ------------------------------------------------------------------------------------


def _by_signature(job: Job, place: Place, source: Source, head: bytes) -> str | None:
    """Formats that begin with a signature or a checked header."""
    if looks_like_tar(head):
        return scan_tar(job, place, source)
    if head.startswith(NPY_MAGIC):
        return scan_npy(job, place, source)
    kind = compression_of(head)
    if kind is not None and kind not in _UNSURE:
        if place.role is Role.TENSOR:
            return kind if _unpacks(job, place, source, kind) else None
        scan_compressed(job, place, source, kind)
        return kind
    return _by_scanner(job, place, source, head, registry.WITH_SIGNATURE)


def _by_scanner(
    job: Job, place: Place, source: Source, head: bytes, scanners: tuple[Scanner, ...]
) -> str | None:
    scanner = registry.recognise(scanners, head, source)
    if scanner is None:
        return None
    hits = scanner.scan(source, job.rules, where=place.where)
    if place.role is Role.TENSOR and not _is_malicious(hits):
        return "tensor-data"
    job.add(hits)
    return scanner.format


def _by_shape(job: Job, place: Place, source: Source, head: bytes) -> str:
    """Formats that are recognised by reading them."""
    pickled, operations = sniff_effort(source)
    job.pay_effort(operations * _OPERATION_EFFORT, place)
    if pickled:
        return _pickle(job, place, source, head)
    if place.role is Role.TENSOR:
        return _numbers(job, place, source, head)
    by_scanner = _by_scanner(job, place, source, head, registry.BY_SHAPE)
    if by_scanner is not None:
        return by_scanner
    known = sniff.known_by_magic(head, source)
    if known is not None:
        return _known(job, place, known)
    if (kind := compression_of(head)) is not None and _unpacks(job, place, source, kind):
        return kind
    if sniff.is_text(source):
        return _text(job, place, source, head)
    if sniff.is_sentencepiece(head, source):
        return "sentencepiece"
    if sniff.is_checkpoint_index(place.name, source):
        return "tf-checkpoint-index"
    return _unrecognised(job, place)


def _numbers(job: Job, place: Place, source: Source, head: bytes) -> str:
    """Raw numbers, unless their first bytes cannot be chance."""
    if head.startswith(_PROGRAMS):
        known = sniff.known_by_magic(head, source)
        if known is not None:
            return _known(job, place, known)
    return "tensor-data"


def _known(job: Job, place: Place, known: sniff.Known) -> str:
    """A format whose content is not examined: harmless by nature, a program, or unread."""
    if known.nature is Nature.CODE:
        message = f"is a program ({known.format})"
        job.hit("code-in-artifact", Grade.SUSPICIOUS, message, place)
    elif known.nature is Nature.OPAQUE:
        message = f"is {known.format}, which is recognised and not examined"
        job.hit("unsupported-format", Grade.UNSCANNABLE, message, place)
    return known.format


def _unpacks(job: Job, place: Place, source: Source, kind: str) -> bool:
    """Scan what a stream without signature holds, if it is one at all.

    Text and numbers may begin like one by chance. Then unpacking fails at once, or what comes out
    is noise; only what is known to be bad counts there.
    """
    trial = job.trial()
    try:
        made = scan_compressed(trial, place, source, kind)
    except Exhausted:  # it did unpack, to too much
        job.settle(trial, trial.hits)
        raise
    whole = made is None or made.fault is None
    job.settle(trial, (hit for hit in trial.hits if whole or hit.grade is Grade.MALICIOUS))
    return whole


def _pickle(job: Job, place: Place, source: Source, head: bytes) -> str:
    legacy = looks_like_legacy_torch(head)
    inspect = inspect_legacy_torch if legacy else inspect_pickle
    scan = inspect(source, job.rules, where=place.where)
    hits = scan.hits
    if place.role is Role.TENSOR and not _is_malicious(hits):
        job.pay_effort(scan.operations * _OPERATION_EFFORT, place)
        return "tensor-data"  # numbers may look like operations; loaders run none here
    job.add(hits)
    job.pay_effort(scan.operations * _OPERATION_EFFORT, place)
    return "torch-legacy" if legacy else "pickle"


def _check_second_nature(job: Job, place: Place, source: Source, kind: str) -> None:
    """What the content is besides: a zip archive from its end, a pickle from its start."""
    if has_directory(source):
        message = f"is {kind}, and a zip archive for readers that start at the end"
        job.hit("polyglot", Grade.SUSPICIOUS, message, place)
        scan_zip(job, place, source, alone=False)
    if kind in _NOT_PICKLED and sniff_pickle(source):
        hits = scan_pickle(source, job.rules, where=place.where)
        if _is_malicious(hits):
            job.hit("polyglot", Grade.SUSPICIOUS, f"is {kind}, and a pickle", place)
            job.add(hits)


def _is_malicious(hits: Iterable[Hit]) -> bool:
    return any(hit.grade is Grade.MALICIOUS for hit in hits)


def _text(job: Job, place: Place, source: Source, head: bytes) -> str:
    if sniff.is_lfs_pointer(head):
        message = "is a Git LFS pointer: the content that it stands for is not here"
        job.hit("lfs-pointer", Grade.UNSCANNABLE, message, place)
        return "lfs-pointer"
    if place.role is Role.FILE and sniff.is_code_name(place.name):
        message = "is program text, and is not part of a model or data set"
        job.hit("code-in-artifact", Grade.SUSPICIOUS, message, place)
        return "code"
    return _text_format(job, place, source)


def _text_format(job: Job, place: Place, source: Source) -> str:
    if place.role is Role.TORCHSCRIPT:
        job.pay_effort(source.size * _SOURCE_EFFORT, place)
        job.add(scan_torchscript(source, job.rules, where=place.where))
        return "torchscript"
    kind, hits = scan_text(place.name, source, job.rules, where=place.where)
    job.add(hits)
    job.pay_effort(source.size * _TEXT_EFFORT.get(kind, 0), place)
    return kind


def _unrecognised(job: Job, place: Place) -> str:
    message = "is of no format that is known here, and was not scanned"
    job.hit("unrecognised", Grade.UNSCANNABLE, message, place)
    return "unknown"
