"""The result of a scan for unsafe serialization, of a whole artifact.

Predicate ``urn:attest-toolkit:scan:v1``::

    {"scanner": {"name": text, "version": text},
     "allowList": {"digest": {"sha256": hex}},          # of the names that a pickle may use
     "result": grade,                                   # the worst of all files
     "files": {grade: int, ...},                        # all five, how many files of each
     "notClean": [{"name": text, "grade": grade, "format": text, "codes": [text, ...]}, ...],
     "notCleanOmitted": int,                            # beyond the first 1 000, the worst first
     "limits": {name: int},
     "ignored": [text, ...]}                            # paths that are not part of the artifact

Grades, best to worst: ``clean``, ``unlisted``, ``suspicious``, ``unscannable``, ``malicious``. A
failed scan is a claim like any other. Nothing follows from the absence of one.

The result is never only stated: it is the worst grade of which there is a file, and every file that
is not clean is in the list or counted as omitted. A reader computes that again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.digest import parse_hex
from attest.errors import MalformedInput

GRADES: Final = ("clean", "unlisted", "suspicious", "unscannable", "malicious")
"""From best to worst."""

MAX_LISTED: Final = 1000
"""Files that are not clean and are named in a claim."""

MAX_CODES: Final = 50
"""Codes of one file."""

_MAX_COUNT: Final = 1 << 53


@dataclass(frozen=True, slots=True)
class NotClean:
    """One file that is not clean.

    Attributes:
        name: inside the artifact.
        grade: any but ``clean``.
        format: what its content is.
        codes: kinds of finds, each once, sorted.
    """

    name: str
    grade: str
    format: str
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScanClaim:
    """What a scan came to.

    Attributes:
        scanner, version: who scanned.
        allow_list: hex SHA-256 of the allow-list.
        counts: files by grade; grades without files may be left out.
        not_clean: at most :data:`MAX_LISTED`.
        omitted: files that are not clean and not listed.
        limits: bounds that the scan kept to, by name.
        ignored: paths that were not scanned because they are not part of the artifact.

    Raises:
        MalformedInput: no file at all, counts that are not whole, or a list that does not fit them.
    """

    scanner: str
    version: str
    allow_list: str
    counts: Mapping[str, int]
    not_clean: tuple[NotClean, ...] = ()
    omitted: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        parse_hex(self.allow_list, 32, what="digest of the allow-list")
        for grade, count in self.counts.items():
            if grade not in GRADES or not 0 <= count <= _MAX_COUNT:
                raise MalformedInput("counts something else than files by grade", where="files")
        if not any(self.counts.values()):
            raise MalformedInput("no file was scanned", where="files", code="nothing-judged")
        self._check_list()

    def _check_list(self) -> None:
        if len(self.not_clean) > MAX_LISTED or not 0 <= self.omitted <= _MAX_COUNT:
            raise MalformedInput("lists too many files", where="notClean")
        if len({entry.name for entry in self.not_clean}) != len(self.not_clean):
            raise MalformedInput("lists a file twice", where="notClean", code="duplicate-name")
        listed = Counter(entry.grade for entry in self.not_clean)
        unclean = sum(count for grade, count in self.counts.items() if grade != "clean")
        fits = all(listed[grade] <= self.counts.get(grade, 0) for grade in listed)
        if "clean" in listed or not fits or len(self.not_clean) + self.omitted != unclean:
            raise MalformedInput(
                "the list of files does not fit their counts", where="notClean", code="wrong-counts"
            )

    @property
    def result(self) -> str:
        """The worst grade of which there is a file."""
        return max((grade for grade, count in self.counts.items() if count), key=GRADES.index)

    def to_predicate(self) -> dict[str, Any]:
        """The predicate's members."""
        return {
            "scanner": {"name": self.scanner, "version": self.version},
            "allowList": {"digest": {"sha256": self.allow_list}},
            "result": self.result,
            "files": {grade: self.counts.get(grade, 0) for grade in GRADES},
            "notClean": [
                {
                    "name": entry.name,
                    "grade": entry.grade,
                    "format": entry.format,
                    "codes": list(entry.codes),
                }
                for entry in self.not_clean
            ],
            "notCleanOmitted": self.omitted,
            "limits": dict(self.limits),
            "ignored": list(self.ignored),
        }


def read_scan(predicate: Mapping[str, Any]) -> ScanClaim:
    """The claim in a predicate whose signature was verified.

    Unknown members are ignored.

    Raises:
        MalformedInput: not this predicate, or it contradicts itself.
    """
    root = dict(predicate)
    where = "predicate"
    scanner = jsonstrict.member(root, "scanner", dict, where=where)
    allow = jsonstrict.member(root, "allowList", dict, where=where)
    digest = jsonstrict.member(allow, "digest", dict, where=f"{where}.allowList")
    files = jsonstrict.member(root, "files", dict, where=where)
    claim = ScanClaim(
        jsonstrict.member(scanner, "name", str, where=f"{where}.scanner"),
        jsonstrict.member(scanner, "version", str, where=f"{where}.scanner"),
        jsonstrict.member(digest, "sha256", str, where=f"{where}.allowList.digest"),
        {grade: jsonstrict.member(files, grade, int, where=f"{where}.files") for grade in GRADES},
        tuple(_read_entries(root, where)),
        jsonstrict.member(root, "notCleanOmitted", int, where=where),
        _read_limits(root, where),
        _texts(root, "ignored", where, limits.MAX_IGNORE_PATHS),
    )
    if jsonstrict.member(root, "result", str, where=where) != claim.result:
        raise MalformedInput(
            "states another result than its counts", where=f"{where}.result", code="wrong-result"
        )
    return claim


def _read_entries(root: dict[str, Any], where: str) -> list[NotClean]:
    listed = jsonstrict.member(root, "notClean", list, where=where)
    if len(listed) > MAX_LISTED:
        raise MalformedInput("lists too many files", where=f"{where}.notClean")
    return [
        NotClean(
            jsonstrict.member(entry, "name", str, where=f"{where}.notClean"),
            jsonstrict.member(entry, "grade", str, where=f"{where}.notClean"),
            jsonstrict.member(entry, "format", str, where=f"{where}.notClean"),
            _texts(entry, "codes", f"{where}.notClean", MAX_CODES),
        )
        for entry in jsonstrict.objects(listed, where=f"{where}.notClean")
    ]


def _read_limits(root: dict[str, Any], where: str) -> dict[str, int]:
    stated = jsonstrict.optional(root, "limits", dict, where=where) or {}
    return {
        name: jsonstrict.typed(value, int, where=f"{where}.limits.{name[:40]}")
        for name, value in stated.items()
    }


def _texts(holder: dict[str, Any], key: str, where: str, most: int) -> tuple[str, ...]:
    values = jsonstrict.optional(holder, key, list, where=where) or []
    if len(values) > most:
        raise MalformedInput(f"has more than {most} entries", where=f"{where}.{key}")
    return tuple(jsonstrict.typed(value, str, where=f"{where}.{key}") for value in values)
