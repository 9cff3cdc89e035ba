"""What all vulnerability reports have in common, and bounded reading of their members."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from attest import limits
from attest.codec import jsonstrict
from attest.codec.times import parse_time
from attest.errors import MalformedInput, TooLarge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Score:
    """One rating.

    Attributes:
        method: as written: ``CVSSv31``, ``3.1``, ``nvd``, ``security-severity``.
        severity: as written, or None.
        score: the number as text, or None.
        vector: such as ``CVSS:3.1/AV:N/…``, or None.
    """

    method: str
    severity: str | None
    score: str | None
    vector: str | None


@dataclass(frozen=True, slots=True)
class ScanFinding:
    """One vulnerability in one package.

    Attributes:
        id: ``CVE-…``, ``GHSA-…``, a rule id.
        severity: as written, or None.
        purl, name, version: of the package, where the report names one.
        fixed: versions without it.
        state: what somebody decided about it, as written; ``suppressed`` for what the scanner was
            told to leave out; None where nobody said anything.
        where: file or component that it was found in, or None.
        pointer: JSON pointer to it.
    """

    id: str
    severity: str | None
    scores: tuple[Score, ...]
    purl: str | None
    name: str | None
    version: str | None
    fixed: tuple[str, ...]
    state: str | None
    justification: str | None
    responses: tuple[str, ...]
    aliases: tuple[str, ...]
    where: str | None
    pointer: str


@dataclass(frozen=True, slots=True)
class ScanReport:
    """A report as it says of itself.

    Attributes:
        form: ``grype``, ``trivy``, ``sarif`` or ``cyclonedx``.
        scanner, version, uri: who made it.
        db_uri, db_version, db_updated: the vulnerability database.
        started, finished: times in RFC 3339 as written, or None.
    """

    form: str
    scanner: str
    version: str | None
    uri: str | None
    db_uri: str | None
    db_version: str | None
    db_updated: str | None
    started: str | None
    finished: str | None
    findings: tuple[ScanFinding, ...]


def check_moment(text: str, where: str) -> str:
    """``text``, which must be an RFC 3339 time with its offset.

    Raises:
        MalformedInput: ``bad-time``.
    """
    parse_time(text, where=where)
    return text


# -- members -------------------------------------------------------------------------------------


def read_text(holder: dict[str, Any], key: str, where: str) -> str | None:
    """An optional text of bounded length; empty is None."""
    value = jsonstrict.optional(holder, key, str, where=where)
    if value is not None and len(value) > limits.MAX_SCAN_TEXT:
        raise TooLarge(f"a text of {len(value)} characters", where=f"{where}.{key}")
    return value or None


def read_required(holder: dict[str, Any], key: str, where: str) -> str:
    """A text that must be there and not empty."""
    value = read_text(holder, key, where)
    if value is None:
        raise MalformedInput(f"member {key!r} is missing", where=where, code="missing-member")
    return value


def read_texts(holder: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    """An optional array of texts, few and short."""
    listed = jsonstrict.optional(holder, key, list, where=where) or []
    texts = [jsonstrict.typed(each, str, where=f"{where}.{key}") for each in listed]
    if any(len(each) > limits.MAX_SCAN_TEXT for each in texts) or len(texts) > limits.MAX_LISTED:
        raise TooLarge("too many or too long texts", where=f"{where}.{key}")
    return tuple(texts)


def read_object(holder: dict[str, Any], key: str, where: str) -> dict[str, Any]:
    """An optional object; absent is empty."""
    return jsonstrict.optional(holder, key, dict, where=where) or {}


def read_objects(
    holder: dict[str, Any], key: str, where: str
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every element of an optional array with its pointer."""
    listed = jsonstrict.optional(holder, key, list, where=where) or []
    for index, value in enumerate(listed):
        pointer = f"{where}/{key}/{index}"
        yield pointer, jsonstrict.typed(value, dict, where=pointer)


def read_moment(holder: dict[str, Any], key: str, where: str) -> str | None:
    """An optional RFC 3339 time, as written."""
    text = read_text(holder, key, where)
    return None if text is None else check_moment(text, f"{where}.{key}")


def read_number(holder: dict[str, Any], key: str, where: str) -> str | None:
    """A number as text, or None."""
    value = holder.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MalformedInput("must be a number", where=f"{where}.{key}", code="wrong-type")
    return repr(value)


def few_scores(scores: Iterator[Score], where: str) -> tuple[Score, ...]:
    """The scores of one finding."""
    return tuple(few(scores, where))


def read_ids(members: Iterator[tuple[str, dict[str, Any]]], where: str) -> tuple[str, ...]:
    """The ``id`` of each object that one finding lists."""
    return tuple(read_required(each, "id", at) for at, each in few(members, where))


def few(members: Iterator[T], where: str) -> Iterator[T]:
    """At most ``limits.MAX_LISTED`` of what one finding lists."""
    for number, each in enumerate(members):
        if number >= limits.MAX_LISTED:
            raise TooLarge(f"lists more than {limits.MAX_LISTED}", where=where)
        yield each


def bounded(findings: Iterator[ScanFinding]) -> tuple[ScanFinding, ...]:
    """All findings, at most ``limits.MAX_SCAN_FINDINGS``."""
    kept: list[ScanFinding] = []
    for finding in findings:
        if len(kept) >= limits.MAX_SCAN_FINDINGS:
            raise TooLarge(f"more than {limits.MAX_SCAN_FINDINGS} findings")
        kept.append(finding)
    return tuple(kept)
