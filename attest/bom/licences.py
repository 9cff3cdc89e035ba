"""Licences: SPDX expressions, and a registry of the model licences that the SPDX list lacks.

1. A licence is *known* if it is on the SPDX list or in the registry that is shipped here
   (``data/licences.json``: ``LicenseRef-`` ids for OpenRAIL, Llama, Gemma and similar).
2. Of a known licence the *use-restriction classes* are given, such as ``non-commercial``. They are
   a judgement; the registry says which clause each was read in. They say nothing about copyleft.
3. Anything else is unknown, and said to be: an unknown licence has no classes, which is not the
   same as having no restrictions. Whoever decides must ask :attr:`LicenceFacts.known` first.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from attest import limits
from attest.bom.components import Licence, Property, clean_text, clean_url
from attest.bom.licenceregistry import registry
from attest.bom.licencetext import recognise, titled
from attest.errors import MalformedInput, TooLarge

if TYPE_CHECKING:
    from license_expression import Licensing  # type: ignore[import-untyped]

_TERM: Final = re.compile(r"[^\s()]+|[()]")
_IDENTIFIER: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?[A-Za-z0-9.-]+\+?")
_SPDX_URL: Final = re.compile(
    r"https?://(?:www\.)?spdx\.org/licenses/([A-Za-z0-9.+-]+?)(?:\.html)?/?"
)
_CC_URL: Final = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/(?:licenses|publicdomain)/"
    r"(by(?:-nc)?(?:-sa|-nd)?|zero)/([1-4]\.[0-9])(?:/(?:legalcode|deed)(?:\.en)?)?/?"
)
_SPDX_REF: Final = re.compile(r"(?:DocumentRef-[A-Za-z0-9.-]+:)?LicenseRef-[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class LicenceTerm:
    """One licence of an expression.

    Attributes:
        id: SPDX id or ``LicenseRef-…``; for an unknown one, what was declared.
        known: it is on the SPDX list or in the registry.
        classes: use-restriction classes; empty means nothing where ``known`` is false.
    """

    id: str
    known: bool
    classes: tuple[str, ...] = ()
    name: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class LicenceFacts:
    """What is known of a declared or recognised licence.

    Attributes:
        expression: SPDX expression in its usual spelling; None if there is none (nothing declared,
            or something that no expression can name).
        terms: each licence in it once, in order.
        unknown: what was declared and is not known, in order.
    """

    expression: str | None = None
    terms: tuple[LicenceTerm, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """Whether something was declared and every licence in it is known."""
        return bool(self.terms) and not self.unknown

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """Classes of each known licence that restricts use."""
        return {term.id: term.classes for term in self.terms if term.classes}


NOTHING: Final = LicenceFacts()
"""Nothing was declared."""


# -- expressions ---------------------------------------------------------------------------------


def parse_expression(text: str) -> LicenceFacts:
    """What an SPDX expression says; licences in it may be unknown, its grammar may not.

    Args:
        text: whoever wrote it controls every character.

    Raises:
        TooLarge: more characters or terms than a sensible expression has.
        MalformedInput: not an expression.

    Returns:
        facts without ``expression`` if a licence in it is neither on the SPDX list nor spelled
        ``LicenseRef-…``: SPDX has no word for it.
    """
    if len(text) > limits.MAX_LICENCE_EXPRESSION:
        raise TooLarge(f"licence expression has {len(text)} characters")
    words = _TERM.findall(text)
    if len(words) > limits.MAX_LICENCE_TERMS:
        raise TooLarge("licence expression has too many terms")
    from license_expression import ExpressionError

    licensing = _licensing()
    try:
        parsed = licensing.parse(text, strict=True) if _is_well_formed(words) else None
    except ExpressionError:  # `MIT WITH MIT`: an exception where there is none
        parsed = None
    if parsed is None:
        raise MalformedInput(
            f"{clean_text(text[:60])!r} is not an SPDX licence expression",
            code="malformed-licence-expression",
        )
    terms = tuple(_term(each) for each in licensing.license_symbols(parsed, decompose=True))
    unknown = tuple(each.id for each in terms if not each.known)
    spdx = all(_SPDX_REF.fullmatch(each) for each in unknown)
    return LicenceFacts(str(parsed) if spdx else None, terms, unknown)


def _is_well_formed(words: list[str]) -> bool:
    """The grammar of SPDX, Annex B. The library answers some of what breaks it with a traceback."""
    depth, operand, simple, after_with = 0, True, False, False
    for word in words:
        operator = word.upper() if word.upper() in ("AND", "OR", "WITH") else None
        if operand:
            if word == "(" and not after_with:
                depth += 1
                continue
            if operator or _IDENTIFIER.fullmatch(word) is None:
                return False
            operand, simple, after_with = False, not after_with, False
        elif word == ")":
            depth -= 1
            simple = False
        elif operator is None or (operator == "WITH" and not simple):
            return False
        else:
            operand, after_with = True, operator == "WITH"
        if depth < 0:
            return False
    return depth == 0 and not operand


def _term(symbol: Any) -> LicenceTerm:
    if getattr(symbol, "is_exception", False):
        return LicenceTerm(symbol.key, known=True)
    return find_licence(symbol.key)


def find_licence(identifier: str) -> LicenceTerm:
    """One licence by its SPDX id or ``LicenseRef-`` id."""
    from cyclonedx.spdx import is_supported_id

    shipped = registry()
    entry = shipped.entries.get(identifier)
    if entry is not None:
        return LicenceTerm(entry.id, True, entry.classes, entry.name, clean_url(entry.url))
    if is_supported_id(identifier):
        return LicenceTerm(identifier, True, shipped.spdx_classes.get(identifier, ()))
    return LicenceTerm(identifier, known=False)


@functools.cache
def _licensing() -> Licensing:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


# -- what a model card declares ------------------------------------------------------------------


def declared_licence(license: object, *, name: object = None, link: object = None) -> LicenceFacts:
    """What the front matter of a model card or data card declares.

    Args:
        license: its ``license``: a licence id of the Hub, an SPDX expression, or a list of either,
            of which all are taken to hold, which is the stricter reading.
        name: its ``license_name``, which says which one ``license: other`` is.
        link: its ``license_link``.
    """
    named = clean_text(name, limits.MAX_LICENCE_EXPRESSION)
    values = license if isinstance(license, list) else [license]
    found = [
        _declared(each, named, clean_url(link))
        for each in values[: limits.MAX_LICENCE_TERMS]
        if each not in (None, "")
    ]
    if len(values) > limits.MAX_LICENCE_TERMS:
        found.append(_unknown(f"{len(values)} licences", None))
    if not found and named is not None:
        found = [_by_name(named, clean_url(link))]
    return _all_of(found)


def _declared(value: object, name: str | None, link: str | None) -> LicenceFacts:
    text = clean_text(value, limits.MAX_LICENCE_EXPRESSION)
    if text is None:
        return _unknown("(not readable)", link)
    shipped = registry()
    key = text.lower()
    if key == "other" and name is not None:
        return _by_name(name, link)
    if key in shipped.families:
        return _unknown(text, link)
    mapped = shipped.hugging_face.get(key) or _by_url(text)
    if mapped is not None:
        return _of(find_licence(mapped))
    try:
        found = parse_expression(text)
    except MalformedInput:
        return _unknown(text, link)
    return _unknown(text, link) if found.expression is None else found


def _by_url(text: str) -> str | None:
    """The SPDX id that the address of a licence stands for, as data cards have it."""
    found = _SPDX_URL.fullmatch(text)
    if found is not None:
        return found[1]
    found = _CC_URL.fullmatch(text.lower())
    if found is None:
        return None
    return "CC0-1.0" if found[1] == "zero" else f"CC-{found[1].upper()}-{found[2]}"


def _by_name(name: str, link: str | None) -> LicenceFacts:
    shipped = registry()
    key = name.lower().replace(" ", "-")
    mapped = shipped.names.get(key) or shipped.hugging_face.get(key)
    return _unknown(name, link) if mapped is None else _of(find_licence(mapped))


def _of(term: LicenceTerm) -> LicenceFacts:
    return LicenceFacts(term.id, (term,), () if term.known else (term.id,))


def _unknown(text: str, link: str | None) -> LicenceFacts:
    return LicenceFacts(None, (LicenceTerm(text, known=False, url=link),), (text,))


def _all_of(found: list[LicenceFacts]) -> LicenceFacts:
    if len(found) < 2:
        return found[0] if found else NOTHING
    terms = {term.id: term for each in found for term in each.terms}
    unknown = tuple(dict.fromkeys(name for each in found for name in each.unknown))
    parts = [each.expression for each in found]
    if None in parts:
        return LicenceFacts(None, tuple(terms.values()), unknown)
    expression = " AND ".join(
        f"({part})" if part is not None and " " in part else str(part) for part in parts
    )
    return LicenceFacts(expression, tuple(terms.values()), unknown)


# -- what a licence file is ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextMatch:
    """What a licence file is.

    Attributes:
        term: the licence.
        exact: its whole text is there and nothing else; otherwise only a title says so, which
            proves nothing.
    """

    term: LicenceTerm
    exact: bool


def match_text(text: str) -> TextMatch | None:
    """The licence that a file holds, or claims in its title to hold; None: not recognised."""
    shipped = registry()
    found = recognise(text, shipped.texts)
    if found is not None:
        return TextMatch(find_licence(found), exact=True)
    titles = [(each.title, each.id) for each in shipped.entries.values() if each.title is not None]
    found = titled(text, titles)
    return None if found is None else TextMatch(find_licence(found), exact=False)


# -- into a BOM ----------------------------------------------------------------------------------


def bom_licences(facts: LicenceFacts, acknowledgement: str) -> tuple[Licence, ...]:
    """The ``licenses`` of a component: one expression, or one entry for each licence."""
    if facts.expression is not None and len(facts.terms) > 1:
        return (Licence(expression=facts.expression, acknowledgement=acknowledgement),)
    return tuple(_bom_licence(term, acknowledgement) for term in facts.terms)


def _bom_licence(term: LicenceTerm, acknowledgement: str) -> Licence:
    from cyclonedx.spdx import is_supported_id

    if is_supported_id(term.id):
        return Licence(id=term.id, acknowledgement=acknowledgement, url=term.url)
    return Licence(name=term.id, acknowledgement=acknowledgement, url=term.url)


def licence_properties(facts: LicenceFacts) -> Iterator[Property]:
    """Classes of each licence, and what is unknown, as properties of a component."""
    for identifier, classes in facts.classes.items():
        yield Property(f"attest:licence:classes:{identifier}", " ".join(classes))
    for name in facts.unknown:
        yield Property("attest:licence:unknown", name)
