"""One file being scanned: what was found, and how much may still be read.

A container multiplies: members, bytes that unpack, bytes that are read again at every level. All of
it is paid from one budget per file, so that no nesting gets more than a flat file would.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import Final

from attest import limits
from attest.codec.members import quoted
from attest.codec.reader import Source
from attest.errors import AttestError, MalformedInput, Unsupported
from attest.scan.grades import Grade, Hit, Rules

_HEADER_BYTES: Final = 76
"""Bytes that the two headers of a zip member have at least; those of a tar have 512."""

_FREE_MEMBERS: Final = 100

_NESTED_EFFORT: Final = 8 * limits.KIB
"""What a member of an archive inside an archive costs at least, in unpacked bytes: looking at it
takes as long, and a few kilobytes can unpack to millions of empty members."""

_FREE_BYTES: Final = 256 * limits.MIB
"""Bytes that any file may unpack to, and that may be read again, however small it is."""


class Role(enum.Enum):
    """What the container says that a content is for."""

    FILE = "file"
    """Anything; the default."""
    TENSOR = "tensor"
    """Raw numbers: loaders copy them and look at no byte."""
    TORCHSCRIPT = "torchscript"
    """Source code for the TorchScript interpreter."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a content is.

    Attributes:
        name: of the file or member, for the rules that go by names.
        where: for hits: empty at the top, else member names joined with ``!``.
        depth: containers around it.
        role: what it is for.
        parallel: several threads may read from it.
        parent: format of the container around it; empty at the top.
    """

    name: str
    where: str = ""
    depth: int = 0
    role: Role = Role.FILE
    parallel: bool = False
    parent: str = ""

    def inner(
        self, name: str, parent: str, *, role: Role = Role.FILE, parallel: bool = False
    ) -> Place:
        """A member of this container."""
        shown = quoted(name)[1:-1]
        where = f"{self.where}!{shown}" if self.where else shown
        return Place(name, where, self.depth + 1, role, parallel and self.parallel, parent)

    def as_role(self, role: Role) -> Place:
        return replace(self, role=role)


class Exhausted(Exception):
    """The budget is spent: nothing more of this file is read."""


@dataclass(slots=True)
class Job:
    """The state of one scan.

    Attributes:
        rules: what it judges by.
        size: bytes of the file, which the budget follows.
        pool: helps with large members; None: one thread.
        scan: how a content inside a container is scanned; returns its format.
    """

    rules: Rules
    size: int
    pool: Executor | None
    scan: Callable[[Job, Place, Source], str]
    hits: list[Hit] = field(default_factory=list)
    dropped: int = 0
    unpacked: int = 0
    read: int = 0
    members: int = 0
    effort: int = 0
    _seen: set[Hit] = field(default_factory=set)

    def hit(self, code: str, grade: Grade, message: str, place: Place, at: str = "") -> None:
        """Note one find at a place; ``at`` says more about where, such as ``byte 12``."""
        where = ", ".join(part for part in (place.where, at) if part) or None
        self.add([Hit(code, grade, message, where)])

    def add(self, hits: Iterable[Hit]) -> None:
        """Note finds, each once; many of one kind are dropped in favour of worse ones."""
        for hit in hits:
            if hit in self._seen:
                continue
            if len(self.hits) >= limits.MAX_SCAN_HITS and not self._is_worse(hit):
                self.dropped += 1
                continue
            self._seen.add(hit)
            self.hits.append(hit)

    def _is_worse(self, hit: Hit) -> bool:
        return all(hit.grade.rank > known.grade.rank for known in self.hits)

    def failed(self, error: AttestError, place: Place) -> None:
        """Note that something could not be read. I/O errors are not the file's: they go on.

        Raises:
            AttestError: ``error``, if it says nothing about the bytes.
        """
        if not isinstance(error, MalformedInput | Unsupported):
            raise error
        at = error.where or ""
        self.hit(error.code, Grade.UNSCANNABLE, error.message, place, at)

    def trial(self) -> Job:
        """A job with the same budget whose hits can be thrown away; see :meth:`settle`."""
        return replace(self, hits=[], dropped=0, _seen=set())

    def settle(self, trial: Job, hits: Iterable[Hit]) -> None:
        """Take over what a trial has spent, and those of its hits that count."""
        self.unpacked, self.effort = trial.unpacked, trial.effort
        self.read, self.members = trial.read, trial.members
        self.add(hits)

    # -- the budget --------------------------------------------------------------------------------

    def enter_member(self, place: Place) -> None:
        """Pay for one more member of any container.

        Every honest member has headers of its own somewhere in the file or in what it unpacks to;
        members that share bytes do not, and could be entered without end.
        """
        self.members += 1
        most = _FREE_MEMBERS + (self.size + self.unpacked) // _HEADER_BYTES
        if self.members > min(most, self.rules.max_members):
            self._stop("too-many-members", "more members than are read", place)
        if place.depth > 1:
            self.pay_effort(_NESTED_EFFORT, place)

    def pay_unpacked(self, size: int, place: Place) -> None:
        """Pay for bytes that come out of compression."""
        self.unpacked += size
        most = _FREE_BYTES + limits.MAX_SCAN_TOTAL_RATIO * self.size
        if self.unpacked + self.effort > most:
            self._stop("unpacks-too-large", f"unpacks to more than {most} bytes together", place)

    def pay_effort(self, amount: int, place: Place) -> None:
        """Pay for work on what is in a container, in unpacked bytes that take as long to read.

        What is not in one is bounded by the limits of its format.
        """
        if place.depth:
            self.effort += amount
            self.pay_unpacked(0, place)

    def pay_read(self, size: int, place: Place) -> None:
        """Pay for bytes that are read because they are in a container."""
        self.read += size
        most = _FREE_BYTES + limits.MAX_SCAN_READ_FACTOR * (self.size + self.unpacked)
        if self.read > most:
            self._stop("read-too-often", "the same bytes would be read over and over", place)

    def may_enter(self, place: Place) -> bool:
        """Whether a container at ``place`` may be opened; notes it where it is too deep."""
        if place.depth < self.rules.max_depth:
            return True
        message = f"containers are nested deeper than {self.rules.max_depth}"
        self.hit("nested-too-deep", Grade.UNSCANNABLE, message, place)
        return False

    def _stop(self, code: str, message: str, place: Place) -> None:
        self.hit(code, Grade.UNSCANNABLE, message, place)
        raise Exhausted
