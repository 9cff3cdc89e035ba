"""Dataset cards: read from a file, completed by options, judged before they are claimed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attest import limits
from attest.claim.dataset import UNKNOWN, DatasetClaim, read_dataset
from attest.codec import jsonstrict
from attest.errors import MalformedInput
from attest.verdict import Finding, Severity

_DEMANDED = (
    "sources",
    "licences",
    "consentBasis",
    "personalData",
    "jurisdictions",
    "permittedUses",
    "forbiddenUses",
    "retention",
    "contact",
)
_KNOWN = frozenset((*_DEMANDED, "version", "transformations", "notes"))


def read_card(data: bytes) -> dict[str, Any]:
    """A card as JSON or YAML; its content decides, not its name.

    Raises:
        MalformedInput, TooLarge.
    """
    if data.lstrip()[:1] == b"{":
        document = jsonstrict.loads(data, what="dataset card", max_bytes=limits.MAX_CARD_BYTES)
    else:
        from attest.codec import yamlstrict

        document = yamlstrict.load(data, what="dataset card")
    return jsonstrict.typed(document, dict, where="dataset card")


def dataset_claim(card: Mapping[str, Any]) -> tuple[DatasetClaim, tuple[Finding, ...]]:
    """The claim that a card makes, and what its reader should know.

    Every licence must be an SPDX expression; one that is on no list is allowed and told.

    Raises:
        MalformedInput: something is missing, contradicts itself or is no licence expression.
    """
    missing = [key for key in _DEMANDED if key not in card]
    if missing:
        raise MalformedInput(
            f"says nothing about {', '.join(missing)}",
            where="dataset card",
            hint="say 'unknown' where something is not known: silence is no permission",
            code="missing-member",
        )
    claim = read_dataset(dict(card), where="dataset card")
    return claim, (*_strays(card), *_judge_licences(claim), *_unknowns(claim))


def _strays(card: Mapping[str, Any]) -> list[Finding]:
    """Members that the claim will not carry: perhaps a slip of the pen."""
    return [
        Finding(
            "member-unknown",
            Severity.WARN,
            f"{name[:100]!r} is no member of a dataset card, and is not claimed",
            hint="free text belongs into notes",
        )
        for name in card
        if name not in _KNOWN
    ]


def _judge_licences(claim: DatasetClaim) -> list[Finding]:
    if claim.licences == (UNKNOWN,):
        return []
    from attest.bom.licences import parse_expression

    notes = []
    for text in claim.licences:
        try:
            facts = parse_expression(text)
        except MalformedInput as error:
            raise error.at("dataset card.licences") from None
        notes += [
            Finding(
                "licence-unknown",
                Severity.WARN,
                f"{licence[:100]} is on no list of licences",
                hint="use an SPDX id, or LicenseRef-… and hand out its text",
            )
            for licence in facts.unknown
        ]
    return notes


def _unknowns(claim: DatasetClaim) -> list[Finding]:
    """One warning that names everything that is said to be unknown."""
    said = {
        "licences": UNKNOWN in claim.licences,
        "consent basis": claim.consent_basis == UNKNOWN,
        "personal data": claim.personal_data == UNKNOWN,
        "jurisdictions": UNKNOWN in claim.jurisdictions,
        "permitted uses": UNKNOWN in claim.permitted_uses,
        "forbidden uses": UNKNOWN in claim.forbidden_uses,
        "retention": claim.retention.unknown,
        "contact": claim.contact == UNKNOWN,
    }
    names = [name for name, unknown in said.items() if unknown]
    if not names:
        return []
    message = f"said to be unknown: {', '.join(names)}"
    return [Finding("governance-unknown", Severity.WARN, message)]
