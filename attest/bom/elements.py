"""Which minimum elements a BOM has: G7 "SBOM for AI" and CISA, read as data.

The lists are JSON files beside this module (``data/minimum-elements-*.json``): each element has a
title from its source, and our reading of how a CycloneDX BOM shows it. Whether an element is
``required`` here is ours too: the sources call their elements a baseline, not a rule. See
``docs/formats/bom-check.md``.

An element is looked for in its scope: the document, the system (``metadata.component``), or *each*
model, dataset or component. It is present when every one has it: a hundred libraries with a licence
do not make up for a model without one. What a BOM does not list cannot lack anything, so a BOM that
lists a model and no dataset lacks the elements of datasets, instead of having none to check.
"""

from __future__ import annotations

import enum
import functools
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from attest.bom.bomindex import BomIndex, Finder, Scope, compile_path
from attest.codec import jsonstrict

PROFILES: Final = ("g7", "cisa", "cisa-2026")
NAMED: Final = 20
"""Places of one element that are named; the rest are counted."""

_UNKNOWN: Final = frozenset({"noassertion", "unknown", "n/a", "tbd", "todo", "?", "-"})
"""Values by which somebody says that they do not know."""


class Status(enum.StrEnum):
    """``PRESENT`` everywhere in scope; ``MISSING`` somewhere; ``NOT_APPLICABLE`` nothing in scope.

    ``UNKNOWN`` is there, and says only that somebody does not know.
    """

    PRESENT = "present"
    UNKNOWN = "unknown"
    MISSING = "missing"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Element:
    """One minimum element.

    Attributes:
        asks: what it asks for, in our words.
        required: whether lacking it fails the check (ours).
        applies: ``model``: only to a BOM that lists one; or None.
        find: where a value counts; see :func:`~attest.bom.bomindex.compile_path`.
        note: what to know of the answer, or None.
        unknown_counts: whether saying "unknown" is what it asks for.
    """

    id: str
    cluster: str
    title: str
    asks: str
    required: bool
    scope: Scope
    applies: str | None
    find: tuple[Finder, ...]
    note: str | None
    unknown_counts: bool


@dataclass(frozen=True, slots=True)
class Profile:
    """A list of minimum elements.

    Attributes:
        for_ai: whether it is for BOMs that list a model or a dataset.
        clusters: id -> title, in order.
        provenance: what was taken from the source, and what is ours.
    """

    id: str
    title: str
    publisher: str
    published: str
    url: str
    for_ai: bool
    clusters: dict[str, str]
    elements: tuple[Element, ...]
    provenance: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """A value: where it is, and the file that the BOM says it was read from, if it says so."""

    pointer: str
    read_from: str | None


@dataclass(frozen=True, slots=True)
class ElementResult:
    """What a BOM shows of one element.

    Attributes:
        found: the first :data:`NAMED` places with a value.
        lacking: JSON pointers of the first :data:`NAMED` objects in scope without one.
        in_scope, having: how many objects were looked at, and how many have a value.
        reason: why it does not apply, or None.
    """

    element: Element
    status: Status
    found: tuple[Found, ...] = ()
    lacking: tuple[str, ...] = ()
    in_scope: int = 0
    having: int = 0
    reason: str | None = None


# -- profiles ------------------------------------------------------------------------------------


@functools.cache
def load_profile(name: str) -> Profile:
    """The profile called ``name``.

    Raises:
        ValueError: not one of :data:`PROFILES`.
    """
    if name not in PROFILES:
        raise ValueError(f"{name!r} is not a profile")
    file = resources.files("attest.bom") / "data" / f"minimum-elements-{name}.json"
    read = jsonstrict.loads(file.read_bytes(), what=f"profile {name}")
    return Profile(
        id=read["profile"],
        title=read["title"],
        publisher=read["publisher"],
        published=read["published"],
        url=read["url"],
        for_ai=read["scope"] == "ai",
        clusters={each["id"]: each["title"] for each in read["clusters"]},
        elements=tuple(_element(each) for each in read["elements"]),
        provenance=read["provenance"],
    )


def _element(read: dict[str, Any]) -> Element:
    return Element(
        id=read["id"],
        cluster=read["cluster"],
        title=read["title"],
        asks=read["asks"],
        required={"required": True, "recommended": False}[read["level"]],
        scope=Scope(read["scope"]),
        applies=read.get("applies"),
        find=tuple(compile_path(path) for path in read["find"]),
        note=read.get("note"),
        unknown_counts=read.get("unknownCounts", False),
    )


# -- the check -----------------------------------------------------------------------------------


def check_elements(index: BomIndex, profile: Profile) -> tuple[ElementResult, ...]:
    """What a BOM shows of each element of a profile, in its order."""
    return tuple(_check(element, index, profile) for element in profile.elements)


def _check(element: Element, index: BomIndex, profile: Profile) -> ElementResult:
    reason = _inapplicable(element, index, profile)
    if reason is not None:
        return ElementResult(element, Status.NOT_APPLICABLE, reason=reason)
    found: list[Found] = []
    lacking: list[str] = []
    having = unknown = 0
    objects = index.in_scope(element.scope)
    for pointer, each in objects:
        place, known = _first(element, each, pointer, index)
        if place is None:
            if len(lacking) < NAMED:
                lacking.append(pointer)
            continue
        having += 1
        unknown += not known
        if len(found) < NAMED:
            found.append(Found(place, _read_from(each, pointer, place)))
    if having < len(objects) or not objects:
        status = Status.MISSING
    else:
        status = Status.UNKNOWN if unknown else Status.PRESENT
    return ElementResult(element, status, tuple(found), tuple(lacking), len(objects), having)


def _inapplicable(element: Element, index: BomIndex, profile: Profile) -> str | None:
    """Why an element does not apply to a BOM, or None."""
    if element.scope is Scope.NONE:
        return element.note or "no file can show it"
    if (element.applies == "model" or element.scope is Scope.MODEL) and not index.models:
        return "the BOM lists no model"
    if element.scope is Scope.DATASET and not index.datasets and not index.models:
        return "the BOM lists neither dataset nor model"
    return None


def _first(
    element: Element, holder: dict[str, Any], pointer: str, index: BomIndex
) -> tuple[str | None, bool]:
    """The first place with a value, and whether the value is more than "unknown"."""
    unknown = None
    for finder in element.find:
        if finder.first and finder.first not in holder:
            continue
        for place, value in finder.find(holder, pointer, index):
            if _is_unknown(value) and not element.unknown_counts:
                unknown = unknown or place
            elif not _is_empty(value):
                return place, True
    return unknown, False


def _is_empty(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | dict) and not value)


def _is_unknown(value: Any) -> bool:
    return isinstance(value, str) and value.strip().casefold() in _UNKNOWN


def _read_from(holder: dict[str, Any], pointer: str, place: str) -> str | None:
    """The file that the component says the value was read from (``attest:source:…``).

    The longest name that the place begins with counts: ``licenses`` for ``/licenses/0/expression``.
    """
    listed = holder.get("properties")
    steps = [step for step in place.removeprefix(pointer).split("/") if step and not step.isdigit()]
    dotted = ".".join(steps)
    best = None
    for each in listed if isinstance(listed, list) else ():
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        name, value = each["name"].removeprefix("attest:source:"), each.get("value")
        if name == each["name"] or not isinstance(value, str):
            continue
        if (dotted == name or dotted.startswith(f"{name}.")) and (
            best is None or len(name) > len(best[0])
        ):
            best = name, value
    return best[1] if best else None
