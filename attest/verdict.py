"""What a decision looks like: outcome, findings, verdict.

A :class:`Verdict` has no truth value on purpose: ``if verify(...)`` would read a refusal as success
in half of the projects that offer it. Compare ``verdict.outcome``.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, NoReturn

from attest.errors import (
    AttestError,
    InvalidPolicy,
    TrustUnavailable,
    Unavailable,
)

VERDICT_SCHEMA: Final = "urn:attest-toolkit:verdict:v1"


class Outcome(enum.StrEnum):
    """How a verdict ends.

    ``PASS`` verified; ``PARTIAL`` only what was asked for was verified; ``FAIL`` refused; ``ERROR``
    could not be judged; ``BREAK_GLASS`` allowed only by an emergency approval.
    """

    PASS = "pass"
    PARTIAL = "partial"
    FAIL = "fail"
    ERROR = "error"
    BREAK_GLASS = "break-glass"


class Severity(enum.StrEnum):
    """What one finding does to the verdict: ``FAIL`` and ``ERROR`` decide it, the rest inform."""

    PASS = "pass"
    INFO = "info"
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked fact.

    Attributes:
        code: stable kebab-case reason (API).
        outcome: what it does to the verdict.
        message: one sentence for a person.
        where: file, field or rule it is about.
        hint: what to do next.
        details: JSON-compatible extras; keys are API per code.
    """

    code: str
    outcome: Severity
    message: str
    where: str | None = None
    hint: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "code": self.code,
            "outcome": self.outcome.value,
            "message": self.message,
        }
        if self.where is not None:
            out["where"] = self.where
        if self.hint is not None:
            out["hint"] = self.hint
        return {**self.details, **out}

    @classmethod
    def from_error(cls, error: AttestError) -> Finding:
        """A failing finding for a refused input, an erring one for what could not be judged."""
        unjudged = isinstance(error, TrustUnavailable | InvalidPolicy | Unavailable)
        return cls(
            code=error.code,
            outcome=Severity.ERROR if unjudged else Severity.FAIL,
            message=error.message,
            where=error.where,
            hint=error.hint,
        )

    @classmethod
    def all_from_error(cls, error: AttestError) -> tuple[Finding, ...]:
        """One finding for the error and one for each that came with it."""
        return (cls.from_error(error), *(cls.from_error(other) for other in error.also))


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision and everything that it rests on.

    Attributes:
        outcome: derived from the findings by :meth:`conclude`.
        subject: what was judged (name, digests, counts), JSON-compatible.
        findings: in the order of the checks.
        inputs: name of each input -> its digest (``sha256:…``) or its plain value.
        at: the time that was judged for, timezone-aware.
    """

    outcome: Outcome
    subject: Mapping[str, Any]
    findings: tuple[Finding, ...]
    inputs: Mapping[str, str]
    at: datetime

    def __bool__(self) -> NoReturn:
        raise TypeError("a Verdict has no truth value; compare verdict.outcome")

    @classmethod
    def conclude(
        cls,
        findings: Iterable[Finding],
        *,
        subject: Mapping[str, Any],
        inputs: Mapping[str, str],
        at: datetime,
        partial: bool = False,
    ) -> Verdict:
        """Derive the outcome: any failure refuses, then any error, and nothing checked refuses too.

        Raises:
            ValueError: ``at`` has no timezone.
        """
        if at.tzinfo is None:
            raise ValueError("`at` must be timezone-aware")
        listed = tuple(findings)
        severities = {finding.outcome for finding in listed}
        if Severity.FAIL in severities:
            outcome = Outcome.FAIL
        elif Severity.ERROR in severities:
            outcome = Outcome.ERROR
        elif Severity.PASS not in severities:
            outcome = Outcome.FAIL
            listed += (Finding("nothing-judged", Severity.FAIL, "no check was made"),)
        else:
            outcome = Outcome.PARTIAL if partial else Outcome.PASS
        return cls(outcome, dict(subject), listed, dict(inputs), at)

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints; see ``docs/formats/verdict.md``."""
        return {
            "schema": VERDICT_SCHEMA,
            "outcome": self.outcome.value,
            "subject": dict(self.subject),
            "findings": [finding.to_json() for finding in self.findings],
            "inputs": dict(self.inputs),
            "at": format_time(self.at),
        }

    def to_bytes(self) -> bytes:
        """Deterministic bytes: sorted keys, no spaces, ASCII."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return text.encode("ascii")


def format_time(moment: datetime) -> str:
    """RFC 3339 in UTC with ``Z``; microseconds only where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
