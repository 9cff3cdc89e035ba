"""Claims about vulnerabilities: what a scanner found, in which database, and when.

Predicate ``https://in-toto.io/attestation/vulns/v0.2``::

    {"scanner": {"uri": URI, "version": text,
                 "db": {"uri": URI, "version": text, "lastUpdate": time},
                 "result": [{"id": text, "severity": [{"method": text, "score": text}],
                             "annotations": [{name: value}, …]}]},
     "metadata": {"scanStartedOn": time, "scanFinishedOn": time}}

``scanner.version``, ``db.uri``, ``db.version`` and ``annotations`` may be absent. An empty result
says that the scanner found nothing. Annotations are ours; see ``docs/formats/vulnerabilities.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest.codec import jsonstrict
from attest.codec.scanmodel import check_moment
from attest.errors import MalformedInput

SEVERITY_METHOD: Final = "severity"
"""The method whose score is a name of ours: ``critical`` … ``none``, ``unknown``."""


@dataclass(frozen=True, slots=True)
class VulnResult:
    """One vulnerability.

    Attributes:
        id: ``CVE-…`` or what the scanner calls it.
        severities: (method, score) pairs, at least one when written here.
        annotations: (name, value) pairs; values are texts.
    """

    id: str
    severities: tuple[tuple[str, str], ...]
    annotations: tuple[tuple[str, str], ...] = ()

    def severity(self) -> str:
        """The name of :data:`SEVERITY_METHOD`; ``unknown`` where none or several are given."""
        names = {score for method, score in self.severities if method == SEVERITY_METHOD}
        return names.pop() if len(names) == 1 else "unknown"

    def annotation(self, name: str) -> str | None:
        """The first annotation of that name."""
        return next((value for key, value in self.annotations if key == name), None)


@dataclass(frozen=True, slots=True)
class VulnsClaim:
    """A scan for vulnerabilities and what it found.

    Attributes:
        scanner: URI of who scanned.
        db_updated, started, finished: RFC 3339 times with their offset; required.

    Raises:
        ValueError: a required text is empty, or a time is none.
    """

    scanner: str
    version: str | None
    db_uri: str | None
    db_version: str | None
    db_updated: str
    started: str
    finished: str
    results: tuple[VulnResult, ...]

    def __post_init__(self) -> None:
        if not self.scanner:
            raise ValueError("a scan names its scanner")
        if not all(result.id for result in self.results):
            raise ValueError("a vulnerability has an id")
        for time in (self.db_updated, self.started, self.finished):
            try:
                check_moment(time, "time")
            except MalformedInput as error:
                raise ValueError(f"{time!r} {error.message}") from None

    def to_predicate(self) -> dict[str, Any]:
        """The predicate, members in the order of the specification."""
        database = {"uri": self.db_uri, "version": self.db_version, "lastUpdate": self.db_updated}
        scanner = {
            "uri": self.scanner,
            "version": self.version,
            "db": {key: value for key, value in database.items() if value is not None},
            "result": [_result(each) for each in self.results],
        }
        return {
            "scanner": {key: value for key, value in scanner.items() if value is not None},
            "metadata": {"scanStartedOn": self.started, "scanFinishedOn": self.finished},
        }


def _result(result: VulnResult) -> dict[str, Any]:
    made: dict[str, Any] = {
        "id": result.id,
        "severity": [{"method": method, "score": score} for method, score in result.severities],
    }
    if result.annotations:
        made["annotations"] = [{name: value} for name, value in result.annotations]
    return made


def read_vulns(predicate: Mapping[str, Any]) -> VulnsClaim:
    """The claim in a predicate whose signature was verified. Unknown members are ignored.

    Raises:
        MalformedInput: a member is missing or of another type, or a time is none.
    """
    where = "predicate"
    held = dict(predicate)
    scanner = jsonstrict.member(held, "scanner", dict, where=where)
    metadata = jsonstrict.member(held, "metadata", dict, where=where)
    at = f"{where}.scanner"
    database = jsonstrict.member(scanner, "db", dict, where=at)
    results = jsonstrict.member(scanner, "result", list, where=at)
    try:
        return VulnsClaim(
            scanner=jsonstrict.member(scanner, "uri", str, where=at),
            version=jsonstrict.optional(scanner, "version", str, where=at),
            db_uri=jsonstrict.optional(database, "uri", str, where=f"{at}.db"),
            db_version=jsonstrict.optional(database, "version", str, where=f"{at}.db"),
            db_updated=jsonstrict.member(database, "lastUpdate", str, where=f"{at}.db"),
            started=jsonstrict.member(metadata, "scanStartedOn", str, where=f"{where}.metadata"),
            finished=jsonstrict.member(metadata, "scanFinishedOn", str, where=f"{where}.metadata"),
            results=tuple(
                _read_result(each, f"{at}.result[{index}]")
                for index, each in enumerate(jsonstrict.objects(results, where=f"{at}.result"))
            ),
        )
    except ValueError as error:
        raise MalformedInput(str(error), where=where) from None


def _read_result(entry: dict[str, Any], where: str) -> VulnResult:
    severities = jsonstrict.member(entry, "severity", list, where=where)
    pairs = tuple(
        (
            jsonstrict.member(each, "method", str, where=f"{where}.severity"),
            jsonstrict.member(each, "score", str, where=f"{where}.severity"),
        )
        for each in jsonstrict.objects(severities, where=f"{where}.severity")
    )
    listed = jsonstrict.optional(entry, "annotations", list, where=where) or []
    return VulnResult(
        jsonstrict.member(entry, "id", str, where=where),
        pairs,
        tuple(
            (name, value)
            for each in jsonstrict.objects(listed, where=f"{where}.annotations")
            for name, value in each.items()
            if isinstance(value, str)
        ),
    )
