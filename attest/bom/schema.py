"""Check a BOM against the official CycloneDX schemas: offline, and in linear time.

1. The schemas are those that :mod:`cyclonedx` ships, 1.4 to 1.7, with the SPDX, JSF and
   cryptography schemas that they refer to. All are in one registry, under their ``$id`` and under
   the ``.SNAPSHOT`` names that they call each other by. There is no retriever: a reference to
   anything else fails when the validator is built, before it sees a BOM.
2. Formats (``date-time``, ``iri-reference``, ``idn-email``) are asserted: a timestamp that is none
   is a problem, not a remark.
3. What a schema cannot say: every ``bom-ref`` is unique, and dependencies, compositions and
   annotations speak of refs that are there. Cycles of dependencies are allowed.

Patterns are matched by an engine without backtracking.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.codec.boms import UnverifiedBom, is_larger, parse_bom, values_of

if TYPE_CHECKING:
    from jsonschema_rs import Draft7Validator, Registry, ValidationError

_BASE: Final = "http://cyclonedx.org/schema/"
_REFERRED: Final = ("spdx", "jsf-0.82", "cryptography-defs")
_MOST_TEXT: Final = 300
_MOST_BRANCHES: Final = 8
_PIECE: Final = 64
"""Elements of an array that are asked about together."""
_MOST_VALUES: Final = 20_000
"""Values of a part beyond which its faults are not named one by one."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a BOM.

    Attributes:
        path: JSON pointer to the place (RFC 6901), empty for the document.
        code: ``schema``, ``duplicate-bom-ref`` or ``dangling-ref``.
        message: one sentence; values of the BOM are quoted only where they are refs, and cut.
    """

    path: str
    code: str
    message: str


def validate_bom(data: bytes) -> list[Problem]:
    """The problems of a BOM, at most ``limits.MAX_BOM_PROBLEMS``; none: it is valid.

    Args:
        data: the whole document; whoever sent it controls every byte.

    Raises:
        TooLarge, MalformedInput, Unsupported: cannot be read as a BOM at all.
    """
    return problems_of(parse_bom(data))


def problems_of(bom: UnverifiedBom) -> list[Problem]:
    """:func:`validate_bom` for a BOM that is parsed already."""
    found = islice(_schema_problems(bom), limits.MAX_BOM_PROBLEMS)
    # The refs are looked for only where the schema says that they can be found.
    return list(found) or list(islice(_ref_problems(bom.document), limits.MAX_BOM_PROBLEMS))


# -- the schema ----------------------------------------------------------------------------------


def _schema_problems(bom: UnverifiedBom) -> Iterator[Problem]:
    """What is wrong, part by part.

    A document is first asked as a whole, which ends at the first fault. To name all faults the
    validator builds every one of them before it hands over the first, with those of all
    alternatives: so it is asked about small parts, and about no part that is large in itself.
    """
    check = validator(bom.spec_version)
    if check.is_valid(bom.document):
        return
    told = False
    for pointer, offset, part in _parts(bom):
        if check.is_valid(part):
            continue
        told = True
        if is_larger(part, _MOST_VALUES):
            yield Problem(pointer, "schema", "does not follow the schema; too large to say where")
            continue
        for error in check.iter_errors(part):
            yield _problem(_telling(error), offset)
    if not told:
        yield Problem("", "schema", "an array holds the same element twice")


def _parts(bom: UnverifiedBom) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Each member of the document beside the required ones, long arrays in pieces.

    Yields:
        the member's pointer, how many elements of its array came before, and a document with it.
    """
    head = {"bomFormat": "CycloneDX", "specVersion": bom.spec_version, "version": 1}
    for key, value in bom.document.items():
        if type(value) is list:
            for start in range(0, len(value), _PIECE):
                yield f"/{_escape(key)}", start, {**head, key: value[start : start + _PIECE]}
        else:
            yield f"/{_escape(key)}", 0, {**head, key: value}


def _problem(error: ValidationError, offset: int) -> Problem:
    steps = list(error.instance_path)
    if len(steps) > 1 and isinstance(steps[1], int):
        steps[1] += offset
    pointer = "".join(f"/{_escape(str(step))}" for step in steps)
    return Problem(pointer, "schema", _cut(error.message))


def _telling(error: ValidationError) -> ValidationError:
    """Of "is valid under none of these", the fault of the alternative that went furthest."""
    for _ in range(limits.MAX_JSON_DEPTH):
        branches = getattr(error.kind, "context", None)
        if not branches:
            return error
        inner = [one for branch in branches[:_MOST_BRANCHES] for one in branch[:_MOST_BRANCHES]]
        furthest = max(inner, key=lambda one: len(one.instance_path), default=None)
        if furthest is None or len(furthest.instance_path) <= len(error.instance_path):
            return error
        error = furthest
    return error


@functools.cache
def validator(spec_version: str) -> Draft7Validator:
    """The compiled schema of one CycloneDX version; a few milliseconds the first time."""
    return compile_schema(schema_text(f"bom-{spec_version}"))


def compile_schema(schema: dict[str, Any]) -> Draft7Validator:
    """A validator that knows the schemas shipped here and can reach no others.

    Raises:
        jsonschema_rs.ReferencingError: ``schema`` refers to a schema that is not shipped.
    """
    import jsonschema_rs

    return jsonschema_rs.Draft7Validator(
        schema,
        registry=_registry(),
        retriever=_refuse,
        validate_formats=True,
        mask="the value",
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _refuse(uri: str) -> Any:
    raise LookupError(f"{uri[:200]} is not among the shipped schemas, and nothing is fetched")


@functools.cache
def _registry() -> Registry:
    import jsonschema_rs

    pairs = []
    for name in _REFERRED:
        schema = schema_text(name)
        pairs += [(schema["$id"], schema), (f"{_BASE}{name}.SNAPSHOT.schema.json", schema)]
    return jsonschema_rs.Registry(pairs, draft=jsonschema_rs.Draft7, retriever=_refuse)


def schema_text(name: str) -> dict[str, Any]:
    """A schema that the CycloneDX library ships, such as ``bom-1.6``."""
    file = resources.files("cyclonedx.schema") / "_res" / f"{name}.SNAPSHOT.schema.json"
    made = jsonstrict.loads(file.read_bytes(), what=f"schema {name}")
    return jsonstrict.typed(made, dict, where=name)


# -- the refs ------------------------------------------------------------------------------------


def _ref_problems(document: dict[str, Any]) -> Iterator[Problem]:
    counts = Counter(values_of(document, "bom-ref"))
    if len(counts) != counts.total():
        for ref, number in counts.items():
            if number > 1:
                yield Problem(
                    "", "duplicate-bom-ref", f"{number} elements share the ref {_cut(ref)!r}"
                )
    for pointer, ref in _refs_used(document):
        if ref not in counts and not ref.startswith("urn:cdx:"):
            yield Problem(pointer, "dangling-ref", f"nothing has the ref {_cut(ref)!r}")


def _refs_used(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Every place that names a ref, and the ref; the document follows its schema."""
    for number, each in enumerate(document.get("dependencies", ())):
        yield f"/dependencies/{number}/ref", each["ref"]
        for key in ("dependsOn", "provides"):
            yield from _listed(f"/dependencies/{number}/{key}", each.get(key, ()))
    for number, each in enumerate(document.get("compositions", ())):
        for key in ("assemblies", "dependencies", "vulnerabilities"):
            yield from _listed(f"/compositions/{number}/{key}", each.get(key, ()))
    for number, each in enumerate(document.get("annotations", ())):
        yield from _listed(f"/annotations/{number}/subjects", each["subjects"])


def _listed(pointer: str, refs: Iterable[str]) -> Iterator[tuple[str, str]]:
    for number, ref in enumerate(refs):
        yield f"{pointer}/{number}", ref


def _escape(step: str) -> str:
    return _cut(step).replace("~", "~0").replace("/", "~1")


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}…"
