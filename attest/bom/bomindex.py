"""Where things are in a BOM: its components by kind, and paths into them.

For BOMs by anybody: members of wrong types are passed over, and no depth is trusted.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

_STEP: Final = re.compile(r"\*(?:\[([A-Za-z-]+)=([^\]]+)\])?|[A-Za-z-]+")


class Scope(enum.StrEnum):
    """Where an element is looked for; ``NONE``: no file can show it."""

    DOCUMENT = "document"
    SYSTEM = "system"
    MODEL = "model"
    DATASET = "dataset"
    COMPONENT = "component"
    NONE = "none"


# -- paths ---------------------------------------------------------------------------------------

Values = Iterator[tuple[str, Any]]


@dataclass(frozen=True, slots=True)
class Finder:
    """A compiled path.

    Attributes:
        path: as written.
        first: the member that an object must have for the path to find anything; ``""`` for a
            named finder.
        find: (object, its pointer, index) -> pointers and values.
    """

    path: str
    first: str
    find: Callable[[dict[str, Any], str, BomIndex], Values]


def compile_path(path: str) -> Finder:
    """A finder for ``/member/*/member``.

    ``*`` is every element of an array; ``*[type=a|b]`` every object in it whose member ``type`` is
    one of the texts. ``@depended-on`` finds what depends on the object.

    Raises:
        ValueError: not such a path.
    """
    if path == "@depended-on":
        return Finder(path, "", _depended_on)
    steps = [_STEP.fullmatch(part) for part in _parts(path)]
    if not path.startswith("/") or not steps or None in steps:
        raise ValueError(f"{path!r} is not a path")
    compiled = [
        (each[0], None)
        if not each[0].startswith("*")
        else ("*", (each[1], frozenset(each[2].split("|"))) if each[1] else None)
        for each in steps
        if each is not None
    ]

    def find(holder: dict[str, Any], pointer: str, index: BomIndex) -> Values:
        return _walk(holder, pointer, compiled, 0)

    return Finder(path, compiled[0][0], find)


def _parts(path: str) -> list[str]:
    """Split at slashes that are not in brackets."""
    return re.findall(r"/((?:[^/\[]|\[[^\]]*\])*)", path)


_Step = tuple[str, tuple[str, frozenset[str]] | None]


def _walk(value: Any, pointer: str, steps: Sequence[_Step], at: int) -> Values:
    """Depth is the number of steps: at most eight."""
    if at == len(steps):
        yield pointer, value
        return
    name, condition = steps[at]
    if name != "*":
        if isinstance(value, dict) and name in value:
            yield from _walk(value[name], f"{pointer}/{name}", steps, at + 1)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            if condition is None or (
                isinstance(each, dict)
                and isinstance(each.get(condition[0]), str)
                and each[condition[0]] in condition[1]
            ):
                yield from _walk(each, f"{pointer}/{number}", steps, at + 1)


def _depended_on(holder: dict[str, Any], pointer: str, index: BomIndex) -> Values:
    """The dependency, or the model card, that names the object's ``bom-ref``."""
    if pointer in index.embedded:  # described inside the card of the model that uses it
        yield index.embedded[pointer], True
    ref = holder.get("bom-ref")
    if isinstance(ref, str) and ref in index.depended_on:
        yield index.depended_on[ref], True


# -- what a BOM lists ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class BomIndex:
    """The parts of a BOM by scope, each as (pointer, object).

    Attributes:
        components: all but files inside another component.
        embedded: pointer of a dataset inside a model card -> pointer of that card.
        depended_on: ref -> pointer of the first place that depends on it.
    """

    document: dict[str, Any]
    system: tuple[tuple[str, dict[str, Any]], ...]
    components: tuple[tuple[str, dict[str, Any]], ...]
    models: tuple[tuple[str, dict[str, Any]], ...]
    datasets: tuple[tuple[str, dict[str, Any]], ...]
    embedded: dict[str, str]
    depended_on: dict[str, str]

    def in_scope(self, scope: Scope) -> Sequence[tuple[str, dict[str, Any]]]:
        """The objects of a scope."""
        match scope:
            case Scope.DOCUMENT:
                return (("", self.document),)
            case Scope.SYSTEM:
                return self.system
            case Scope.MODEL:
                return self.models
            case Scope.DATASET:
                return self.datasets
            case Scope.COMPONENT:
                return self.components
            case Scope.NONE:
                return ()


def index_bom(document: dict[str, Any]) -> BomIndex:
    """Find the parts of a BOM, nested ones included. Wrong types are passed over, not refused."""
    components = tuple(_components(document))
    models = [each for each in components if each[1].get("type") == "machine-learning-model"]
    datasets = [each for each in components if each[1].get("type") == "data"]
    embedded: dict[str, str] = {}
    depended_on: dict[str, str] = {}
    steps = compile_path("/modelCard/modelParameters/datasets/*")
    for pointer, model in models:
        for place, each in _walk(model, pointer, _steps_of(steps), 0):
            if isinstance(each, dict) and isinstance(each.get("ref"), str):
                depended_on.setdefault(each["ref"], place)
            elif isinstance(each, dict):
                embedded[place] = f"{pointer}/modelCard"
                datasets.append((place, each))
    for place, ref in _dependencies(document):
        depended_on.setdefault(ref, place)
    return BomIndex(
        document=document,
        system=tuple(each for each in components if each[0] == "/metadata/component"),
        components=tuple(each for each in components if not _is_part(*each)),
        models=tuple(models),
        datasets=tuple(datasets),
        embedded=embedded,
        depended_on=depended_on,
    )


def _is_part(pointer: str, component: dict[str, Any]) -> bool:
    """A file inside a component, such as a section of an image: it has the identity of that."""
    inside = pointer.count("/components/") > (not pointer.startswith("/metadata/"))
    return inside and component.get("type") == "file"


def _steps_of(finder: Finder) -> list[_Step]:
    return [(part, None) for part in _parts(finder.path)]


def _components(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """``metadata.component`` and every component, outer ones first. Iterative: no depth is
    trusted."""
    metadata = document.get("metadata")
    waiting: list[tuple[str, Any]] = []
    if isinstance(metadata, dict):
        waiting.append(("/metadata/component", metadata.get("component")))
    waiting += _numbered(document, "")
    for pointer, each in waiting:  # grows while it is read
        if isinstance(each, dict):
            yield pointer, each
            waiting += _numbered(each, pointer)


def _numbered(holder: dict[str, Any], pointer: str) -> list[tuple[str, Any]]:
    listed = holder.get("components")
    if not isinstance(listed, list):
        return []
    return [(f"{pointer}/components/{number}", each) for number, each in enumerate(listed)]


def _dependencies(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    listed = document.get("dependencies")
    for number, each in enumerate(listed if isinstance(listed, list) else ()):
        needs = each.get("dependsOn") if isinstance(each, dict) else None
        for ref in needs if isinstance(needs, list) else ():
            if isinstance(ref, str):
                yield f"/dependencies/{number}", ref
