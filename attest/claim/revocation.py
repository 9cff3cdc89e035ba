"""Revocations of claims: what a signer takes back.

Predicate ``urn:attest-toolkit:revocation:v1``::

    {"claim": {"sha256": hex SHA-256 of the revoked statement's bytes},
     "reason": text, "revokedOn": RFC 3339}

A reader of claims stops counting, for the claim that is named, those principals that have signed
the revocation. A line can be stripped from a file, so whoever decides must also be told through
trust material that cannot be rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest.claim.texts import short_text, write_time
from attest.codec import jsonstrict
from attest.codec.times import parse_time
from attest.errors import MalformedInput

_WHERE: Final = "predicate"


@dataclass(frozen=True, slots=True)
class Revocation:
    """What is taken back.

    Attributes:
        claim_id: lower-case hex SHA-256 of the statement.
        reason: 1 to 2000 characters, for people.
        revoked_on: when, as the signer says. A revocation counts whatever this says.
    """

    claim_id: str
    reason: str
    revoked_on: datetime

    def __post_init__(self) -> None:
        if len(self.claim_id) != 64 or set(self.claim_id) - set("0123456789abcdef"):
            raise ValueError("a claim is named by the lower-case hex SHA-256 of its statement")
        short_text(self.reason, "reason", most=2000)

    def to_predicate(self) -> dict[str, Any]:
        """The predicate."""
        return {
            "claim": {"sha256": self.claim_id},
            "reason": self.reason,
            "revokedOn": write_time(self.revoked_on),
        }


def read_revocation(predicate: Mapping[str, Any]) -> Revocation:
    """The revocation in a predicate whose signature was verified.

    Raises:
        MalformedInput: not this predicate.
    """
    document = dict(predicate)
    claim = jsonstrict.member(document, "claim", dict, where=_WHERE)
    try:
        return Revocation(
            jsonstrict.member(claim, "sha256", str, where=f"{_WHERE}.claim"),
            jsonstrict.member(document, "reason", str, where=_WHERE),
            parse_time(
                jsonstrict.member(document, "revokedOn", str, where=_WHERE), where="revokedOn"
            ),
        )
    except ValueError as error:
        raise MalformedInput(str(error), where=_WHERE) from None
