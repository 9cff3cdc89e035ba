"""A whole BOM: assembled from typed parts, written to the same bytes each time.

* One artifact is ``metadata.component``. What it was made from (base models, datasets) are
  ``components``, joined to it by ``dependencies``.
* Nothing is random and nothing reads a clock: lists are sorted by ``bom-ref``, the timestamp is
  given by the caller, and the serial number is a UUIDv5 over the SHA-256 of everything else in the
  document. So one content has one serial number, and a BOM-Link to it names exactly that content.
* CycloneDX 1.6 or 1.7. What is written here is the same in both.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest._version import __version__
from attest.bom.components import (
    Attachment,
    Component,
    Contact,
    ExternalReference,
    Licence,
    Organization,
    Property,
    members,
    to_json,
)
from attest.bom.modelcard import DatasetRef
from attest.verdict import format_time

SPEC_VERSIONS: Final = ("1.6", "1.7")
"""CycloneDX versions that are written."""

_SERIALS: Final = uuid.uuid5(uuid.NAMESPACE_URL, "urn:attest-toolkit:bom:v1")
"""The namespace of the serial numbers of BOMs made here."""

_AGGREGATES: Final = frozenset({
    "complete", "incomplete", "incomplete_first_party_only",
    "incomplete_first_party_proprietary_only", "incomplete_first_party_opensource_only",
    "incomplete_third_party_only", "incomplete_third_party_proprietary_only",
    "incomplete_third_party_opensource_only", "unknown", "not_specified",
})  # fmt: skip
_PHASES: Final = frozenset({
    "design", "pre-build", "build", "post-build", "operations", "discovery", "decommission",
})  # fmt: skip
_TASKS: Final = frozenset({
    "copy", "clone", "lint", "scan", "merge", "build", "test", "deliver", "deploy", "release",
    "clean", "other",
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependency:
    """``ref`` is made from, or needs, each of ``depends_on``."""

    ref: str
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """How complete the BOM is about some components.

    Attributes:
        aggregate: ``complete``, ``incomplete``, ``unknown``, …
        assemblies: components whose parts, and dependencies: whose dependencies, it speaks of.
    """

    aggregate: str
    assemblies: tuple[str, ...] = ()
    dependencies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.aggregate not in _AGGREGATES:
            raise ValueError(f"{self.aggregate!r} is not an aggregate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotator:
    """Who says it: exactly one of these."""

    organization: Organization | None = None
    individual: Contact | None = None
    component: Component | None = None

    def __post_init__(self) -> None:
        if len([one for one in (self.organization, self.individual, self.component) if one]) != 1:
            raise ValueError("an annotation has one annotator")


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """A remark about components, by somebody, at a time."""

    subjects: tuple[str, ...]
    annotator: Annotator
    timestamp: datetime
    text: str

    def as_json(self) -> dict[str, Any]:
        return {**members(self), "timestamp": format_time(_aware(self.timestamp))}


# -- formulation: how it was made ----------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """A component of this BOM, or a place elsewhere; exactly one of both."""

    ref: str | None = None
    external_reference: ExternalReference | None = None

    def __post_init__(self) -> None:
        if (self.ref is None) == (self.external_reference is None):
            raise ValueError("a resource is a component or an external reference")

    def as_json(self) -> dict[str, Any]:
        if self.ref is not None:
            return {"ref": self.ref}
        return {"externalReference": to_json(self.external_reference)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A named setting of a run."""

    name: str
    value: str | None = None
    data_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInput:
    """What a run took: exactly one of a resource, settings, variables and a text."""

    resource: Resource | None = None
    parameters: tuple[Parameter, ...] = ()
    environment_vars: tuple[Property, ...] = ()
    data: Attachment | None = None

    def __post_init__(self) -> None:
        given = (self.resource, self.parameters, self.environment_vars, self.data)
        if len([one for one in given if one]) != 1:
            raise ValueError("an input is one thing")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowOutput:
    """What a run made. ``type``: ``artifact``, ``attestation``, ``log``, ``metrics``, ``other``."""

    type: str | None = None
    resource: Resource | None = None
    data: Attachment | None = None

    def __post_init__(self) -> None:
        if (self.resource is None) == (self.data is None):
            raise ValueError("an output is a resource or a text")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One run that made the artifact: training, conversion, a firmware build."""

    ref: str
    uid: str
    name: str | None = None
    description: str | None = None
    task_types: tuple[str, ...]
    inputs: tuple[WorkflowInput, ...] = ()
    outputs: tuple[WorkflowOutput, ...] = ()
    time_start: datetime | None = None
    time_end: datetime | None = None
    properties: tuple[Property, ...] = ()

    def __post_init__(self) -> None:
        if not self.task_types or not _TASKS.issuperset(self.task_types):
            raise ValueError("a workflow has task types of CycloneDX")

    def as_json(self) -> dict[str, Any]:
        made = members(self)
        for key in ("timeStart", "timeEnd"):
            if key in made:
                made[key] = format_time(_aware(made[key]))
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """How the artifact came to be."""

    ref: str | None = None
    components: tuple[Component, ...] = ()
    workflows: tuple[Workflow, ...] = ()
    properties: tuple[Property, ...] = ()


# -- the document --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class BomDocument:
    """One BOM about one artifact.

    Attributes:
        component: the artifact.
        timestamp: when the BOM was made, as the caller says; None leaves it out.
        components: what the artifact was made from, each with a ref.
        dependencies: between refs; the artifact's own entry included.
        licences: of the BOM itself, not of the artifact.
        tools: programs that made the BOM, beside this one.
        spec_version: one of :data:`SPEC_VERSIONS`.
        version: of the BOM, from 1.

    Raises:
        ValueError: two components share a ref, a component has none, or something refers to a ref
            that is not there.
    """

    component: Component
    timestamp: datetime | None = None
    lifecycles: tuple[str, ...] = ()
    authors: tuple[Contact, ...] = ()
    manufacturer: Organization | None = None
    supplier: Organization | None = None
    licences: tuple[Licence, ...] = ()
    tools: tuple[Component, ...] = ()
    metadata_properties: tuple[Property, ...] = ()
    components: tuple[Component, ...] = ()
    external_references: tuple[ExternalReference, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    compositions: tuple[Composition, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    formulation: tuple[Formula, ...] = ()
    properties: tuple[Property, ...] = ()
    spec_version: str = SPEC_VERSIONS[0]
    version: int = 1

    def __post_init__(self) -> None:
        if self.spec_version not in SPEC_VERSIONS:
            raise ValueError(f"CycloneDX {self.spec_version!r} is not written")
        if self.version < 1:
            raise ValueError("versions of a BOM count from 1")
        if not _PHASES.issuperset(self.lifecycles):
            raise ValueError("unknown phase of a life cycle")
        if self.timestamp is not None:
            _aware(self.timestamp)
        self._check_refs()

    def _check_refs(self) -> None:
        parts = (self.component, *self.components)
        refs = [*_refs(parts), *_refs_of_formulas(self.formulation)]
        known = set(refs)
        if len(known) != len(refs):
            raise ValueError("two components share a ref")
        used = [name for each in self.dependencies for name in (each.ref, *each.depends_on)]
        used += [name for each in self.compositions for name in each.assemblies]
        used += [name for each in self.compositions for name in each.dependencies]
        used += [name for each in self.annotations for name in each.subjects]
        used += [name for each in parts for name in _datasets_used(each)]
        used += [name for each in self.formulation for name in _resources_used(each)]
        if not known.issuperset(used):
            raise ValueError("refers to a component that is not there")
        if len({each.ref for each in self.dependencies}) != len(self.dependencies):
            raise ValueError("a component has two lists of dependencies")

    @property
    def serial_number(self) -> str:
        """``urn:uuid:`` with the UUIDv5 of everything else in the document."""
        return self.to_json()["serialNumber"]  # type: ignore[no-any-return]

    def to_json(self) -> dict[str, Any]:
        """The document as JSON members, in the order of the schema."""
        head = {"bomFormat": "CycloneDX", "specVersion": self.spec_version}
        body = {
            "version": self.version,
            "metadata": self._metadata(),
            "components": to_json(_by_ref(self.components)),
            "externalReferences": to_json(self.external_references),
            "dependencies": [
                {"ref": each.ref, "dependsOn": sorted(set(each.depends_on))}
                for each in sorted(self.dependencies, key=lambda one: one.ref)
            ],
            "compositions": to_json(self.compositions),
            "annotations": to_json(self.annotations),
            "formulation": to_json(self.formulation),
            "properties": to_json(self.properties),
        }
        body = {key: value for key, value in body.items() if value}
        content = hashlib.sha256(_encode({**head, **body}, indent=None)).hexdigest()
        return {**head, "serialNumber": uuid.uuid5(_SERIALS, content).urn, **body}

    def to_bytes(self) -> bytes:
        """The document's bytes: the same for the same parts. ASCII, two spaces of indent."""
        return _encode(self.to_json(), indent=2) + b"\n"

    def _metadata(self) -> dict[str, Any]:
        tools = (own_tool(), *sorted(self.tools, key=lambda one: (one.name, one.version or "")))
        made = {
            "timestamp": None if self.timestamp is None else format_time(self.timestamp),
            "lifecycles": [{"phase": phase} for phase in self.lifecycles],
            "tools": {"components": to_json(tools)},
            "manufacturer": to_json(self.manufacturer),
            "authors": to_json(self.authors),
            "component": to_json(self.component),
            "supplier": to_json(self.supplier),
            "licenses": to_json(self.licences),
            "properties": to_json(self.metadata_properties),
        }
        return {key: value for key, value in made.items() if value}


def own_tool() -> Component:
    """This program, as the tool that made a BOM."""
    return Component(type="application", name="attest-toolkit", version=__version__)


def make_ref(kind: str, name: str, taken: Mapping[str, Any] | set[str]) -> str:
    """A ref that is not taken: ``dataset:c4``, then ``dataset:c4#2``."""
    ref, number = f"{kind}:{name}", 1
    while ref in taken:
        number += 1
        ref = f"{kind}:{name}#{number}"
    return ref


def _refs(components: tuple[Component, ...]) -> Iterator[str]:
    """The ref of every component and of every component inside it."""
    for each in components:
        if each.ref is None:
            raise ValueError(f"the component {each.name!r} has no ref")
        yield each.ref
        yield from (data.ref for data in each.data if data.ref is not None)
        if each.model_card is not None and each.model_card.ref is not None:
            yield each.model_card.ref
        yield from _refs(each.components)


def _datasets_used(component: Component) -> Iterator[str]:
    """The refs of the datasets that a model card names."""
    card = component.model_card
    if card is not None and card.model_parameters is not None:
        for each in card.model_parameters.datasets:
            if isinstance(each, DatasetRef):
                yield each.ref


def _refs_of_formulas(formulas: tuple[Formula, ...]) -> Iterator[str]:
    for formula in formulas:
        if formula.ref is not None:
            yield formula.ref
        yield from _refs(formula.components)
        yield from (run.ref for run in formula.workflows)


def _resources_used(formula: Formula) -> Iterator[str]:
    """The refs of what the runs took and made."""
    for run in formula.workflows:
        resources = [each.resource for each in run.inputs]
        resources += [each.resource for each in run.outputs]
        for each in resources:
            if each is not None and each.ref is not None:
                yield each.ref


def _by_ref(components: tuple[Component, ...]) -> tuple[Component, ...]:
    return tuple(sorted(components, key=lambda one: one.ref or ""))


def _encode(document: Mapping[str, Any], *, indent: int | None) -> bytes:
    separators = (",", ": ") if indent else (",", ":")
    text = json.dumps(document, indent=indent, separators=separators, allow_nan=False)
    return text.encode("ascii")


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("times are timezone-aware")
    return moment
