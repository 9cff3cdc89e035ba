"""Archives and compressed streams: every member is scanned, and the archive itself is judged.

An archive that two readers would understand differently is never clean, whatever its members are:
the codecs report such anomalies, and each becomes a hit here. The content of every member is
scanned as if the archive were honest *and* as if its flags and checksums were lies: an entry that
is marked as encrypted, or whose checksum is wrong, is read all the same, because torch reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from attest import limits
from attest.codec.checksums import crc_of
from attest.codec.compressed import InflatedSource, Unpacked, unpack
from attest.codec.members import Anomaly, quoted
from attest.codec.reader import Source, Window
from attest.codec.tars import TarListing, read_tar
from attest.codec.zipend import other_ends
from attest.codec.zips import STORED, ZipListing, ZipMember, open_member, read_zip
from attest.errors import AttestError
from attest.scan.grades import Grade
from attest.scan.job import Job, Place, Role
from attest.scan.scriptclasses import with_script_classes

_TORCH_DATA: Final = re.compile(r"(?:data|constants|tensors|xl_model_weights)/[0-9]{1,10}")
"""Raw storages of a torch zip, below its root folder."""

_MAX_SERIES: Final = 10_000
"""Archives one after another in one file: tensors of one shard of a checkpoint."""

_LEGACY_TAR: Final = frozenset(("sys_info", "storages", "tensors"))
"""Names beside ``pickle`` in torch's first format."""


def scan_zip(job: Job, place: Place, source: Source, *, alone: bool = True) -> str:
    """Scan a zip archive; its format (``torch-zip``, ``torchscript-zip``, ``npz``, ...).

    Args:
        alone: the archive is all that its bytes are known to be. Otherwise its caller scans them
            as something else too, and what is around the archive is left to that.
    """
    if not job.may_enter(place):
        return "zip"
    try:
        listing = read_zip(source, max_members=job.rules.max_members)
    except AttestError as error:
        job.failed(error, place)
        return "zip"
    layout = _layout(listing)
    if alone and (parts := _series(source, listing, layout)):
        return _scan_series(job, place, source, parts)
    _report(job, place, "zip", _relevant(listing, layout))
    if listing.comment and layout.format != "zip":
        message = f"has a comment of {len(listing.comment)} byte(s), which its writers do not make"
        job.hit("zip-comment", Grade.SUSPICIOUS, message, place)
    rules = job.rules
    if layout.format == "torchscript-zip":
        job.rules = with_script_classes(rules, source, listing, layout.root)
    for member in listing.members:
        if not member.is_folder or member.size or member.compressed_size:
            _scan_member(job, place, source, member, layout)
    job.rules = rules
    if alone:
        if any(anomaly.code == "zip-two-ends" for anomaly in listing.anomalies):
            _scan_other_views(job, place, source)
        _scan_outside(job, place, source, listing)
    return layout.format


def _series(source: Source, last: ZipListing, layout: _Layout) -> list[tuple[int, int]]:
    """Where the archives begin and end if this is nothing but torch zips one after another.

    Distributed checkpoints keep one for each tensor in a file. Read from the end of the file, with
    offsets from its start, the directory of one may be found at the end of another (they are often
    equally long), but never anywhere else: that would be an archive that nobody wrote.
    """
    parts: list[tuple[int, int]] = []
    directories: set[int] = set()
    found: set[int] = set()
    end, listing = source.size, last
    while layout.format == "torch-zip" and len(parts) < _MAX_SERIES:
        for anomaly in listing.anomalies:
            if anomaly.code == "zip-two-directories" and anomaly.offset is not None:
                found.add(anomaly.offset)
            elif anomaly.code != "prefix":
                return []
        if listing.tail or listing.comment:
            return []
        parts.append((listing.prefix, end))
        directories.add(listing.directory)
        if not listing.prefix:
            return parts[::-1] if len(parts) > 1 and found <= directories else []
        end = listing.prefix
        try:
            listing = read_zip(Window(source, 0, end))
        except AttestError:
            return []
        layout = _layout(listing)
    return []


def _scan_series(job: Job, place: Place, source: Source, parts: list[tuple[int, int]]) -> str:
    """Scan torch zips one after another, each as a file of its own."""
    if not place.name.endswith(".distcp"):
        message = f"is {len(parts)} archives one after another"
        job.hit("zip-series", Grade.SUSPICIOUS, message, place)
    for number, (start, end) in enumerate(parts):
        inner = place.inner(f"(archive {number})", "zip", parallel=True)
        job.pay_read(end - start, inner)
        scan_zip(job, replace(inner, depth=place.depth), Window(source, start, end - start))
    return "torch-zip-series"


def _scan_other_views(job: Job, place: Place, source: Source) -> None:
    """Scan what readers see that find another end record."""
    for end in other_ends(source):
        inner = place.inner(f"(as it is read to byte {end})", "zip", parallel=True)
        job.enter_member(inner)
        job.pay_read(end, inner)
        scan_zip(job, inner, Window(source, 0, end), alone=False)


def _scan_outside(job: Job, place: Place, source: Source, listing: ZipListing) -> None:
    """Scan what is in front of the archive and behind it."""
    for name, start, length in (
        ("(before the archive)", 0, listing.prefix),
        ("(after the archive)", source.size - listing.tail, listing.tail),
    ):
        if length:
            inner = place.inner(name, "zip", parallel=True)
            job.enter_member(inner)
            job.pay_read(length, inner)
            job.scan(job, inner, Window(source, start, length))


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a zip is for, by the names in it. Names decide nothing but what is *not* suspicious.

    Attributes:
        format: how to call it.
        root: name of its one folder with a slash, for a torch zip; else empty.
    """

    format: str
    root: str = ""

    def role(self, name: str) -> Role:
        """What a member is for."""
        if not self.root or not name.startswith(self.root):
            return Role.FILE
        inside = name.removeprefix(self.root)
        if _TORCH_DATA.fullmatch(inside):
            return Role.TENSOR
        if self.format == "torchscript-zip" and inside.startswith("code/"):
            return Role.TORCHSCRIPT if inside.endswith(".py") else Role.FILE
        return Role.FILE


def _layout(listing: ZipListing) -> _Layout:
    names = {member.name for member in listing.members}
    files = [name for name in names if not name.endswith("/")]
    roots = {name.partition("/")[0] + "/" for name in files}
    if len(roots) == 1 and (root := next(iter(roots))) + "data.pkl" in names:
        script = any(name.startswith(root + "code/") for name in files)
        return _Layout("torchscript-zip" if script else "torch-zip", root)
    if files and all(name.endswith(".npy") for name in files):
        return _Layout("npz")
    if {"config.json", "metadata.json"} <= names:
        return _Layout("keras-zip")
    return _Layout("zip")


def _relevant(listing: ZipListing, layout: _Layout) -> Iterable[Anomaly]:
    """Arrays called ``W`` and ``w`` are usual; elsewhere a reader that ignores case is fooled."""
    return (
        anomaly
        for anomaly in listing.anomalies
        if not (anomaly.code == "duplicate-folded" and layout.format == "npz")
    )


def _scan_member(
    job: Job, place: Place, source: Source, member: ZipMember, layout: _Layout
) -> None:
    stored = member.method == STORED
    inner = place.inner(member.name, layout.format, role=layout.role(member.name), parallel=stored)
    job.enter_member(inner)
    try:
        content = open_member(source, member, job.rules.max_unpacked)
    except AttestError as error:
        job.failed(error, inner)
        return
    job.pay_read(member.compressed_size, inner)
    if not stored:
        job.pay_unpacked(member.size, inner)
    try:
        _check_content(job, inner, member, content)
    except AttestError as error:
        job.failed(error, inner)
        if isinstance(content, InflatedSource):  # a loader has used what comes before the fault
            content = Window(content, 0, content.reached)
    try:
        job.scan(job, inner, content)
    except AttestError as error:
        job.failed(error, inner)


def _check_content(job: Job, place: Place, member: ZipMember, content: Source) -> None:
    """The checksum holds, and compressed content is exactly what it says."""
    crc = crc_of(content, job.pool if place.parallel else None)
    if crc != member.crc:
        message = f"{quoted(member.name)} has another checksum than it says"
        job.hit("zip-crc", Grade.SUSPICIOUS, message, place)
    if isinstance(content, InflatedSource):
        content.check_end()


def scan_tar(job: Job, place: Place, source: Source) -> str:
    """Scan a tar archive, the format of torch before 0.1.10 included."""
    if not job.may_enter(place):
        return "tar"
    try:
        listing = read_tar(source, max_members=job.rules.max_members)
    except AttestError as error:
        job.failed(error, place)
        return "tar"
    _report(job, place, "tar", listing.anomalies)
    if listing.fault is not None:
        job.failed(listing.fault, place)
    legacy = _is_legacy_torch(listing)
    if legacy:
        message = "storages of torch's first format are pickles between raw bytes, and are not read"
        job.hit("torch-tar", Grade.UNSCANNABLE, message, place)
    for entry in listing.entries:
        inner = place.inner(entry.name, "tar", parallel=True)
        job.enter_member(inner)
        job.pay_read(entry.size, inner)
        try:
            job.scan(job, inner, entry.open(source))
        except AttestError as error:
            job.failed(error, inner)
    return "torch-tar" if legacy else "tar"


def _is_legacy_torch(listing: TarListing) -> bool:
    names = {entry.name.removeprefix("./") for entry in listing.entries}
    return "pickle" in names and not names.isdisjoint(_LEGACY_TAR)


def scan_compressed(job: Job, place: Place, source: Source, kind: str) -> Unpacked | None:
    """Scan what a compressed stream holds; None where it is nested too deep to be opened.

    What came before a fault is scanned: a loader that streams has used that already.
    """
    if not job.may_enter(place):
        return None
    made = unpack(source, kind, max_ratio=job.rules.max_ratio, max_bytes=_room(job))
    name = place.name.rpartition(".")[0] or place.name
    inner = place.inner(name.rpartition("/")[2], kind)
    job.pay_unpacked(made.content.size, inner)
    if made.fault is not None:
        job.failed(made.fault, place)
    if made.trailing:
        message = f"{made.trailing} byte(s) follow the compressed content"
        job.hit("trailing-data", Grade.SUSPICIOUS, message, place)
    if made.content.size or made.fault is None:
        job.scan(job, inner, made.content)
    return made


def _room(job: Job) -> int:
    return min(limits.MAX_UNPACKED_MEMORY, job.rules.max_unpacked)


def _report(job: Job, place: Place, kind: str, anomalies: Iterable[Anomaly]) -> None:
    for anomaly in anomalies:
        at = "" if anomaly.offset is None else f"byte {anomaly.offset}"
        code = f"{kind}-{anomaly.code.removeprefix(kind + '-')}"
        job.hit(code, Grade.SUSPICIOUS, anomaly.message, place, at)
