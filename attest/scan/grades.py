"""What a scanner says: grades, hits, and the rules that it judged by.

A grade answers one question: may this file be given to its loader? Only ``clean`` says yes.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from attest import limits
from attest.scan.allowlist import AllowList


class Grade(enum.StrEnum):
    """The verdict about a file, or about one thing found in it.

    From best to worst, which is the order of :attr:`rank`:

    ``clean``        everything was read, and all of it is on the allow-list
    ``unlisted``     a name that nobody has reviewed; nothing is known against it
    ``suspicious``   an anomaly that no writer of the format makes: hidden or ambiguous bytes
    ``unscannable``  some of it was not read (broken, over a limit, unknown): it may hold anything
    ``malicious``    a name or construction that runs code, reaches files or the network

    ``unscannable`` is worse than ``suspicious``: an anomaly was at least seen whole, whereas unread
    bytes are bounded by nothing. ``malicious`` is the worst because it is knowledge.
    """

    CLEAN = "clean"
    UNLISTED = "unlisted"
    SUSPICIOUS = "suspicious"
    UNSCANNABLE = "unscannable"
    MALICIOUS = "malicious"

    @property
    def rank(self) -> int:
        """0 for the best; the greater, the worse."""
        return _RANK[self]


_RANK: Final = {grade: rank for rank, grade in enumerate(Grade)}


def worst(grades: Iterable[Grade]) -> Grade:
    """The worst of ``grades``.

    Raises:
        ValueError: there are none. Nothing judged is not clean.
    """
    return max(grades, key=lambda grade: grade.rank)


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing that was found.

    Attributes:
        code: stable kebab-case name of the kind of find; part of the API.
        grade: how bad.
        message: one sentence for a person, without a final full stop. Names from the file are in
            it, escaped and cut.
        where: member path inside the file (``!`` between containers) and/or ``byte N``.
    """

    code: str
    grade: Grade
    message: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class FileScan:
    """What was found in one file.

    Attributes:
        name: of the file inside its artifact.
        format: what its content is, whatever its name says: ``pickle``, ``torch-zip``,
            ``safetensors``, ``text``, ...
        hits: in the order of discovery; none of them means clean, so a scanner that did not look
            at something must say so with a hit.
    """

    name: str
    format: str
    hits: tuple[Hit, ...] = ()

    @property
    def grade(self) -> Grade:
        """The worst grade of the hits."""
        return worst((Grade.CLEAN, *(hit.grade for hit in self.hits)))


@dataclass(frozen=True, slots=True)
class Rules:
    """What the scanner judges by. It has no defaults from the environment: same rules, same hits.

    Attributes:
        allow: the names that a pickle may use.
        max_depth: containers inside containers (a zip in a zip in a gzip is 3).
        max_unpacked: bytes that one compressed member or stream may unpack to.
        max_ratio: unpacked over packed size of one member or stream.
        max_members: members of one container.
        max_operations: pickle operations of one stream.
    """

    allow: AllowList
    max_depth: int = limits.MAX_SCAN_DEPTH
    max_unpacked: int = limits.MAX_SCAN_UNPACKED_BYTES
    max_ratio: int = limits.MAX_SCAN_RATIO
    max_members: int = limits.MAX_SCAN_MEMBERS
    max_operations: int = limits.MAX_PICKLE_OPERATIONS
