"""Dataset governance: where data came from and what may be done with it.

Predicate ``urn:attest-toolkit:dataset:v1``. Every member but ``transformations``, ``version`` and
``notes`` must be there: what is not known is said to be ``unknown``, never left out, so that
silence cannot be read as permission. Licences are SPDX expressions; their syntax is judged where
the claim is made (:mod:`attest.flow.dataset`). All of it is the signer's word.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.claim.datasetparts import (
    DataSource,
    Retention,
    Transformation,
    check_steps,
    check_text,
    read_retention,
    read_source,
    read_step,
)
from attest.claim.jurisdictions import JURISDICTIONS
from attest.codec import jsonstrict
from attest.errors import MalformedInput, TooLarge

UNKNOWN: Final = "unknown"
NONE: Final = "none"
ANY: Final = "any"

CONSENT_BASES: Final = (
    "consent",
    "contract",
    "legitimate-interest",
    "public-domain",
    "licence",
    "statutory",
    "none-required",
    UNKNOWN,
)
PERSONAL_DATA: Final = (NONE, "pseudonymised", "personal", "special-category", UNKNOWN)
USES: Final = (
    "training",
    "fine-tuning",
    "evaluation",
    "retrieval",
    "research",
    "education",
    "commercial",
    "redistribution",
    "publication",
    "advertising",
    "profiling",
    "automated-decisions",
    "medical",
    "biometric-identification",
    "surveillance",
    "military",
)
"""Controlled uses; own ones begin with ``x-``."""

_JURISDICTIONS: Final = (*sorted(JURISDICTIONS), UNKNOWN)
_OWN_USE: Final = re.compile(r"x-[a-z0-9]+(?:-[a-z0-9]+)*")
_MAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
_URI: Final = re.compile(r"[a-z][a-z0-9+.-]{1,30}:[!-~]+")


@dataclass(frozen=True, slots=True)
class DatasetClaim:
    """What is claimed of a dataset.

    Attributes:
        sources: at least one.
        licences: SPDX expressions, or only ``unknown``.
        consent_basis, personal_data: one of :data:`CONSENT_BASES`, :data:`PERSONAL_DATA`.
        jurisdictions: codes whose law applies, or only ``unknown``.
        permitted_uses: of :data:`USES` or ``x-…``; or only ``any``, or ``unknown``.
        forbidden_uses: likewise; or only ``none``, or ``unknown``.
        contact: e-mail address or URI, or ``unknown``.
        transformations: in the order in which they were made.

    Raises:
        MalformedInput: something else, or a contradiction: one use both permitted and forbidden;
            personal data that is said to need no basis; a step over something that is no source.
    """

    sources: tuple[DataSource, ...]
    licences: tuple[str, ...]
    consent_basis: str
    personal_data: str
    jurisdictions: tuple[str, ...]
    permitted_uses: tuple[str, ...]
    forbidden_uses: tuple[str, ...]
    retention: Retention
    contact: str
    transformations: tuple[Transformation, ...] = ()
    version: str | None = None
    notes: str | None = None

    def __post_init__(self) -> None:
        for listed in (self.sources, self.licences, self.jurisdictions, self.transformations):
            if len(listed) > limits.MAX_DATASET_ENTRIES:
                raise TooLarge(f"{len(listed)} entries; at most {limits.MAX_DATASET_ENTRIES}")
        if not self.sources:
            raise MalformedInput("names no source", where="sources", code="no-source")
        _check_list(self.licences, "licences", alone=(UNKNOWN,))
        for licence in self.licences:
            check_text(licence, "licences")
        _check_choice(self.consent_basis, CONSENT_BASES, "consentBasis")
        _check_choice(self.personal_data, PERSONAL_DATA, "personalData")
        _check_list(self.jurisdictions, "jurisdictions", alone=(UNKNOWN,))
        for code in self.jurisdictions:
            _check_choice(code, _JURISDICTIONS, "jurisdictions")
        _check_uses(self.permitted_uses, "permittedUses", alone=(ANY, UNKNOWN))
        _check_uses(self.forbidden_uses, "forbiddenUses", alone=(NONE, UNKNOWN))
        _check_contact(self.contact)
        for text in (self.version, self.notes):
            if text is not None:
                check_text(text, "notes")
        self._check_contradictions()
        check_steps(self.sources, self.transformations)

    def _check_contradictions(self) -> None:
        both = sorted(set(self.permitted_uses) & set(self.forbidden_uses) - {UNKNOWN})
        if both:
            raise MalformedInput(
                f"both permitted and forbidden: {', '.join(both)}",
                where="forbiddenUses",
                code="contradictory-uses",
            )
        if ANY in self.permitted_uses and not set(self.forbidden_uses) <= {NONE, UNKNOWN}:
            raise MalformedInput(
                "any use is permitted, and some are forbidden: name those that are permitted",
                where="permittedUses",
                code="contradictory-uses",
            )
        personal = self.personal_data not in (NONE, UNKNOWN)
        if personal and self.consent_basis == "none-required":
            raise MalformedInput(
                f"{self.personal_data} data is not processed without a basis",
                where="consentBasis",
                code="contradictory-consent",
            )

    def to_predicate(self) -> dict[str, Any]:
        """The predicate."""
        members: dict[str, Any] = {
            "version": self.version,
            "sources": [each.to_json() for each in self.sources],
            "licences": list(self.licences),
            "consentBasis": self.consent_basis,
            "personalData": self.personal_data,
            "jurisdictions": list(self.jurisdictions),
            "permittedUses": list(self.permitted_uses),
            "forbiddenUses": list(self.forbidden_uses),
            "retention": self.retention.to_json(),
            "contact": self.contact,
            "transformations": [each.to_json() for each in self.transformations] or None,
            "notes": self.notes,
        }
        return {key: value for key, value in members.items() if value is not None}


def read_dataset(predicate: dict[str, Any], *, where: str = "predicate") -> DatasetClaim:
    """The claim in a predicate whose signature was verified, or in a card.

    Raises:
        MalformedInput: not this predicate; a member is missing, even if it is not known.
    """
    steps = jsonstrict.optional(predicate, "transformations", list, where=where) or []
    sources = jsonstrict.member(predicate, "sources", list, where=where)
    if max(len(steps), len(sources)) > limits.MAX_DATASET_ENTRIES:
        raise TooLarge(f"more than {limits.MAX_DATASET_ENTRIES} entries", where=where)
    try:
        return DatasetClaim(
            tuple(
                read_source(each, f"{where}.sources[{index}]")
                for index, each in enumerate(jsonstrict.objects(sources, where=f"{where}.sources"))
            ),
            _texts(predicate, "licences", where),
            jsonstrict.member(predicate, "consentBasis", str, where=where),
            jsonstrict.member(predicate, "personalData", str, where=where),
            _texts(predicate, "jurisdictions", where),
            _texts(predicate, "permittedUses", where),
            _texts(predicate, "forbiddenUses", where),
            read_retention(
                jsonstrict.member(predicate, "retention", dict, where=where), f"{where}.retention"
            ),
            jsonstrict.member(predicate, "contact", str, where=where),
            tuple(
                read_step(each, f"{where}.transformations[{index}]")
                for index, each in enumerate(
                    jsonstrict.objects(steps, where=f"{where}.transformations")
                )
            ),
            jsonstrict.optional(predicate, "version", str, where=where),
            jsonstrict.optional(predicate, "notes", str, where=where),
        )
    except MalformedInput as error:
        if error.where is None or not error.where.startswith(where):
            raise error.within(where) from None
        raise


def _texts(holder: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    listed = jsonstrict.member(holder, key, list, where=where)
    return tuple(jsonstrict.typed(each, str, where=f"{where}.{key}") for each in listed)


def _check_list(values: Sequence[str], what: str, *, alone: tuple[str, ...]) -> None:
    """Not empty, nothing twice, and a word for everything or nothing only by itself."""
    if not values:
        raise MalformedInput(
            f"says nothing; say {alone[-1]!r} where it is not known", where=what, code="empty-list"
        )
    if len(set(values)) != len(values):
        raise MalformedInput("says something twice", where=what, code="duplicate-entry")
    for word in alone:
        if word in values and len(values) > 1:
            raise MalformedInput(
                f"says {word!r} and something else", where=what, code="contradictory-list"
            )


def _check_uses(values: Sequence[str], what: str, *, alone: tuple[str, ...]) -> None:
    _check_list(values, what, alone=alone)
    for use in values:
        if not (use in USES or use in alone or (len(use) <= 100 and _OWN_USE.fullmatch(use))):
            raise MalformedInput(
                f"{use[:60]!r} is no known use",
                where=what,
                hint=f"one of {', '.join((*USES, *alone))}, or an own one as x-…",
                code="unknown-use",
            )


def _check_choice(value: str, choices: Sequence[str], what: str) -> None:
    if value not in choices:
        shown = ", ".join(choices) if len(choices) < 20 else "ISO 3166-1 alpha-2 codes, EU, unknown"
        raise MalformedInput(
            f"{value[:60]!r} is none of the allowed values",
            where=what,
            hint=f"allowed: {shown}",
            code="unknown-value",
        )


def _check_contact(text: str) -> None:
    fits = text == UNKNOWN or _MAIL.fullmatch(text) or _URI.fullmatch(text)
    if not fits or len(text) > limits.MAX_CLAIM_TEXT:
        raise MalformedInput(
            "is neither an e-mail address nor a URI", where="contact", code="malformed-contact"
        )
