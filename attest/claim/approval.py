"""Approvals: who lets an artifact into which environment.

Predicate ``urn:attest-toolkit:approval:v1``::

    {"decision": "approve" | "reject", "approver": text, "role": text,
     "environment": text, "ring": text?,             # "any" is an environment like any other word
     "approvedOn": RFC 3339, "validUntil": RFC 3339?,
     "conditions": [text]?, "reviewed": [{"sha256": claim id}]?, "comment": text?}

``approver`` is what the signer calls themselves; who it was, the signature says. An approval is
taken back by a revocation (:mod:`attest.claim.revocation`), never by deleting its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest.claim.texts import short_text, text_list, write_time
from attest.codec import jsonstrict
from attest.codec.times import parse_time
from attest.errors import MalformedInput

DECISIONS: Final = ("approve", "reject")
ANY_ENVIRONMENT: Final = "any"
_WHERE: Final = "predicate"


@dataclass(frozen=True, slots=True)
class Approval:
    """One person's decision.

    Attributes:
        decision: ``approve`` or ``reject``.
        approver, role, environment: 1 to 200 characters each. The environment ``any`` stands for
            all of them.
        approved_on: when, as the signer says.
        ring: a part of the environment; None: all of it.
        valid_until: not counted after that; None: no end.
        conditions: it counts only for those who accept every one.
        reviewed: ids (hex SHA-256) of the claims that were looked at.
        comment: for people.
    """

    decision: str
    approver: str
    role: str
    environment: str
    approved_on: datetime
    ring: str | None = None
    valid_until: datetime | None = None
    conditions: tuple[str, ...] = ()
    reviewed: tuple[str, ...] = ()
    comment: str | None = None

    def __post_init__(self) -> None:
        if self.decision not in DECISIONS:
            raise ValueError(f"the decision is one of {', '.join(DECISIONS)}")
        for what in ("approver", "role", "environment", "ring", "comment"):
            text = getattr(self, what)
            if text is not None:
                short_text(text, what, most=2000 if what == "comment" else 200)
        for condition in self.conditions:
            short_text(condition, "condition", most=2000)
        for claim in self.reviewed:
            if len(claim) != 64 or set(claim) - set("0123456789abcdef"):
                raise ValueError("a reviewed claim is named by the hex SHA-256 of its statement")
        if self.valid_until is not None and self.valid_until <= self.approved_on:
            raise ValueError("the approval ends before it begins")

    def covers(self, *, role: str, environment: str, ring: str | None) -> bool:
        """Whether it speaks about this role, environment and ring (None: the whole environment)."""
        return (
            self.role == role
            and self.environment in (environment, ANY_ENVIRONMENT)
            and self.ring in (None, ring)
        )

    def is_current(self, at: datetime) -> bool:
        """Whether ``at`` lies between its making and its end, both included."""
        return self.approved_on <= at and (self.valid_until is None or at <= self.valid_until)

    def to_predicate(self) -> dict[str, Any]:
        """The predicate; absent members are left out."""
        made: dict[str, Any] = {
            "decision": self.decision,
            "approver": self.approver,
            "role": self.role,
            "environment": self.environment,
            "approvedOn": write_time(self.approved_on),
        }
        if self.ring is not None:
            made["ring"] = self.ring
        if self.valid_until is not None:
            made["validUntil"] = write_time(self.valid_until)
        if self.conditions:
            made["conditions"] = list(self.conditions)
        if self.reviewed:
            made["reviewed"] = [{"sha256": claim} for claim in self.reviewed]
        if self.comment is not None:
            made["comment"] = self.comment
        return made


def read_approval(predicate: Mapping[str, Any]) -> Approval:
    """The approval in a predicate whose signature was verified.

    Raises:
        MalformedInput: not this predicate.
    """
    document = dict(predicate)
    reviewed = jsonstrict.optional(document, "reviewed", list, where=_WHERE) or []
    until = jsonstrict.optional(document, "validUntil", str, where=_WHERE)
    try:
        return Approval(
            decision=jsonstrict.member(document, "decision", str, where=_WHERE),
            approver=jsonstrict.member(document, "approver", str, where=_WHERE),
            role=jsonstrict.member(document, "role", str, where=_WHERE),
            environment=jsonstrict.member(document, "environment", str, where=_WHERE),
            approved_on=parse_time(
                jsonstrict.member(document, "approvedOn", str, where=_WHERE), where="approvedOn"
            ),
            ring=jsonstrict.optional(document, "ring", str, where=_WHERE),
            valid_until=None if until is None else parse_time(until, where="validUntil"),
            conditions=text_list(document, "conditions"),
            reviewed=tuple(
                jsonstrict.member(entry, "sha256", str, where=f"{_WHERE}.reviewed")
                for entry in jsonstrict.objects(reviewed, where=f"{_WHERE}.reviewed")
            ),
            comment=jsonstrict.optional(document, "comment", str, where=_WHERE),
        )
    except ValueError as error:
        raise MalformedInput(str(error), where=_WHERE) from None
