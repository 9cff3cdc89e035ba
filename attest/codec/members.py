"""What archives have in common: names of members, and a bounded list of what is odd."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import Final, NamedTuple

MAX_OF_A_KIND: Final = 20
"""Anomalies of one code that are kept of one archive."""

_MESSAGE_CHARACTERS: Final = 400
_DRIVE: Final = re.compile(r"[A-Za-z]:")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Anomaly(NamedTuple):
    """Something that no writer of the format makes, or that two readers understand differently.

    Attributes:
        code: stable kebab-case name.
        message: one sentence; names from the archive are in it, quoted and cut.
        offset: where, in bytes from the start of the archive, if at one place.
    """

    code: str
    message: str
    offset: int | None = None


class Anomalies:
    """Anomalies in order of discovery, as many of each code as are useful."""

    def __init__(self) -> None:
        self._kept: list[Anomaly] = []
        self._counts: Counter[str] = Counter()

    def add(self, code: str, message: str, offset: int | None = None) -> None:
        """Keep one more, unless there are enough of its code."""
        self._counts[code] += 1
        if self._counts[code] <= MAX_OF_A_KIND:
            self._kept.append(Anomaly(code, message[:_MESSAGE_CHARACTERS], offset))

    @property
    def found(self) -> tuple[Anomaly, ...]:
        """Those that were kept."""
        return tuple(self._kept)


def quoted(name: str) -> str:
    """A member's name for a message: escaped and cut."""
    return repr(name if len(name) <= 120 else name[:117] + "...")


def name_fault(name: str) -> str | None:
    """Why a member's name is not a plain relative POSIX path, as the end of a sentence."""
    if not name:
        return "is an empty name"
    if _CONTROL.search(name):
        return "has control characters in its name"
    if "\\" in name:
        return "has a backslash in its name, which some readers take for a slash"
    if name.startswith("/") or _DRIVE.match(name):
        return "is an absolute name"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "has empty or dot parts in its name"
    return None


def member_key(name: str) -> str:
    """The same for names that lead to the same file: ``./a//b`` and ``a/b``."""
    if "//" not in name and "./" not in name and not name.endswith(("/", "/.")):
        return name
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def folded_key(name: str) -> str:
    """The same for names that lead to the same file where case and normalisation do not count."""
    key = member_key(name)
    if key.isascii():
        return key.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", key).casefold())
