"""The parts of a dataset card: sources, how long they are kept, and what was done to them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from attest import limits
from attest.claim.resources import (
    ResourceDescriptor,
    check_identified,
    read_resource,
    read_resources,
)
from attest.codec import jsonstrict
from attest.errors import MalformedInput

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PERIOD: Final = re.compile(
    r"P(?=[0-9])(?:[0-9]{1,4}Y)?(?:[0-9]{1,4}M)?(?:[0-9]{1,4}W)?(?:[0-9]{1,5}D)?"
)


@dataclass(frozen=True, slots=True)
class DataSource:
    """One origin.

    Attributes:
        resource: name or URI, and digests if it is identified.
        collected_from, collected_to: dates as ``YYYY-MM-DD``.
    """

    resource: ResourceDescriptor
    collected_from: str | None = None
    collected_to: str | None = None

    def __post_init__(self) -> None:
        if not (self.resource.name or self.resource.uri):
            raise MalformedInput("a source needs a name or a uri", code="nameless-source")
        begin, end = (
            text and check_date(text, what)
            for text, what in (
                (self.collected_from, "collectedFrom"),
                (self.collected_to, "collectedTo"),
            )
        )
        if begin and end and end < begin:
            raise MalformedInput("ends before it begins", where="collectedTo", code="bad-date")

    def to_json(self) -> dict[str, Any]:
        members = self.resource.to_json()
        dates = {"collectedFrom": self.collected_from, "collectedTo": self.collected_to}
        return {**members, **{key: value for key, value in dates.items() if value}}


@dataclass(frozen=True, slots=True)
class Retention:
    """How long the data may be kept: one of four, and how it is then deleted.

    Attributes:
        until: a date as ``YYYY-MM-DD``.
        period: ISO 8601 duration in years, months, weeks and days.
        unlimited, unknown: one of them is said where neither a date nor a period is.
        deletion: how it is deleted; demanded with a date or a period.
    """

    until: str | None = None
    period: str | None = None
    unlimited: bool = False
    unknown: bool = False
    deletion: str | None = None

    def __post_init__(self) -> None:
        said = [self.until is not None, self.period is not None, self.unlimited, self.unknown]
        if sum(said) != 1:
            raise MalformedInput(
                "say exactly one of until, period, unlimited and unknown",
                where="retention",
                code="malformed-retention",
            )
        if self.until is not None:
            check_date(self.until, "retention.until")
        if self.period is not None and not _PERIOD.fullmatch(self.period):
            raise MalformedInput(
                "is no ISO 8601 duration such as P2Y", where="retention.period", code="bad-period"
            )
        if (said[0] or said[1]) and not (self.deletion or "").strip():
            raise MalformedInput(
                "what ends is deleted: say how", where="retention.deletion", code="no-deletion"
            )

    def to_json(self) -> dict[str, Any]:
        members = {
            "until": self.until,
            "period": self.period,
            "unlimited": self.unlimited,
            "unknown": self.unknown,
            "deletion": self.deletion,
        }
        return {key: value for key, value in members.items() if value}


@dataclass(frozen=True, slots=True)
class Transformation:
    """One step between the sources and the dataset.

    Attributes:
        description: for people.
        inputs: by digest: sources, or outputs of earlier steps.
        output: by digest, where a later step uses it.
        tool: what did it, by digest if known.
        parameters: JSON-compatible.
    """

    description: str
    inputs: tuple[ResourceDescriptor, ...]
    output: ResourceDescriptor | None = None
    tool: ResourceDescriptor | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_text(self.description, "description")
        check_identified(self.inputs, "input")
        if self.output is not None:
            check_identified([self.output], "output")

    def to_json(self) -> dict[str, Any]:
        members = {
            "description": self.description,
            "tool": self.tool and self.tool.to_json(),
            "inputs": [each.to_json() for each in self.inputs],
            "output": self.output and self.output.to_json(),
            "parameters": dict(self.parameters),
        }
        return {key: value for key, value in members.items() if value}


def check_date(text: str, what: str) -> date:
    """A date as ``YYYY-MM-DD``.

    Raises:
        MalformedInput.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise MalformedInput("is no date such as 2026-11-20", where=what, code="bad-date")


def read_source(entry: dict[str, Any], where: str) -> DataSource:
    return DataSource(
        read_resource(entry, where),
        jsonstrict.optional(entry, "collectedFrom", str, where=where),
        jsonstrict.optional(entry, "collectedTo", str, where=where),
    )


def read_retention(entry: dict[str, Any], where: str) -> Retention:
    return Retention(
        jsonstrict.optional(entry, "until", str, where=where),
        jsonstrict.optional(entry, "period", str, where=where),
        jsonstrict.optional(entry, "unlimited", bool, where=where) or False,
        jsonstrict.optional(entry, "unknown", bool, where=where) or False,
        jsonstrict.optional(entry, "deletion", str, where=where),
    )


def read_step(entry: dict[str, Any], where: str) -> Transformation:
    tool = jsonstrict.optional(entry, "tool", dict, where=where)
    output = jsonstrict.optional(entry, "output", dict, where=where)
    return Transformation(
        jsonstrict.member(entry, "description", str, where=where),
        read_resources(entry, "inputs", where=where),
        None if output is None else read_resource(output, f"{where}.output"),
        None if tool is None else read_resource(tool, f"{where}.tool"),
        jsonstrict.optional(entry, "parameters", dict, where=where) or {},
    )


def check_steps(sources: Iterable[DataSource], steps: Iterable[Transformation]) -> None:
    """Every input is a source or what an earlier step made; all shared digests must agree."""
    known: dict[tuple[str, str], Mapping[str, str]] = {}
    for source in sources:
        _remember(known, source.resource)
    for number, step in enumerate(steps):
        if not step.inputs:
            raise MalformedInput(
                "names no input", where=f"transformations[{number}]", code="unlinked-input"
            )
        for each in step.inputs:
            if not _is_known(known, each):
                raise MalformedInput(
                    "works on something that is no source and that no earlier step made",
                    where=f"transformations[{number}]",
                    hint="name it among the sources, by the same digests",
                    code="unlinked-input",
                )
        if step.output is not None:
            _remember(known, step.output)


def _remember(
    known: dict[tuple[str, str], Mapping[str, str]], resource: ResourceDescriptor
) -> None:
    for pair in resource.digests.items():
        known[pair] = resource.digests


def _is_known(
    known: Mapping[tuple[str, str], Mapping[str, str]], resource: ResourceDescriptor
) -> bool:
    found = [known[pair] for pair in resource.digests.items() if pair in known]
    return bool(found) and all(
        digests.get(name, value) == value
        for digests in found
        for name, value in resource.digests.items()
    )


def check_text(text: str, what: str) -> None:
    if not 0 < len(text) <= limits.MAX_CLAIM_TEXT or not text.strip():
        raise MalformedInput("is empty or too long", where=what, code="wrong-length")
