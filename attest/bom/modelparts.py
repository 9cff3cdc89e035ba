"""A model as a component of a BOM, and what it was made from as further components.

One component for the whole model, however many shards it has. Base models and datasets are those
that the card names and those that verified claims name; only claims have digests, and a digest is
given only to the component that the claim calls by the very same name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from attest.bom.components import (
    Component,
    Evidence,
    ExternalReference,
    Hash,
    Licence,
    Organization,
    Pedigree,
    Property,
    clean_purl,
    clean_text,
    clean_url,
    hugging_face_purl,
    source_of,
)
from attest.bom.dataset import Observation
from attest.bom.document import Dependency, make_ref
from attest.bom.licences import (
    LicenceFacts,
    bom_licences,
    declared_licence,
    licence_properties,
)
from attest.bom.model import LicenceFile, ModelFacts
from attest.bom.modelcard import (
    ComponentData,
    DatasetRef,
    ModelCard,
    ModelParameters,
    QuantitativeAnalysis,
)
from attest.bom.weights import BASE_MODEL, WeightSet, main_sets

MODEL: Final = "machine-learning-model"
_KINDS: Final = {"model": MODEL, "dataset": "data"}
_HASHES: Final = {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}


_LISTED_SHAPES: Final = 32
"""Shapes of tensors that are listed, the most frequent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Something that an artifact was made from.

    Attributes:
        kind: ``model`` or ``dataset``.
        name: as the card or the claim calls it.
        digests: digest name -> lower-case hex; an artifact's two, a file's one, or none.
        url: where it is, if a claim says so.
        where: what says so: ``README.md#datasets``, or a claim's id.
    """

    kind: str
    name: str
    digests: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    where: str

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            raise ValueError("a material is a model or a dataset")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a BOM about one artifact.

    Attributes:
        component: the artifact.
        materials: what it was made from.
        dependencies: of each of them.
    """

    component: Component
    materials: tuple[Component, ...] = ()
    dependencies: tuple[Dependency, ...] = ()


def model_parts(
    facts: ModelFacts,
    *,
    name: str,
    version: str | None = None,
    supplier: Organization | None = None,
    properties: tuple[Property, ...] = (),
    hashes: tuple[Hash, ...] = (),
    materials: Sequence[Material] = (),
) -> Parts:
    """A model's component and what it was made from.

    Args:
        properties: go before those of the facts, such as the artifact's digests.
        hashes: of the one file that the artifact is; none for a directory.
        materials: from verified claims.
    """
    ref = f"model:{name}"
    made_from = material_components(join_materials(card_materials(facts), materials), {ref})
    component = Component(
        type=MODEL,
        ref=ref,
        supplier=supplier,
        name=name,
        version=version,
        hashes=hashes,
        licences=_licences(facts),
        pedigree=_pedigree(facts, made_from),
        evidence=_evidence(facts),
        model_card=_card(facts, made_from),
        properties=(*properties, *_properties(facts), *_sources(facts)),
        tags=facts.card.tags,
    )
    return Parts(component, made_from, dependencies_of(ref, made_from))


# -- licences ------------------------------------------------------------------------------------


def _licences(facts: ModelFacts) -> tuple[Licence, ...]:
    """Declared, and beside it what the licence files are, where both can stand in one list.

    Where the card and the files disagree a reader has to see both.
    """
    declared = bom_licences(facts.declared, "declared")
    concluded = tuple(
        licence
        for term in facts.concluded.terms
        for licence in bom_licences(LicenceFacts(term.id, (term,)), "concluded")
    )
    return declared if any(each.expression for each in declared) else (*declared, *concluded)


def _evidence(facts: ModelFacts) -> Evidence | None:
    found = tuple(
        replace(licence, properties=(Property("attest:read-from", file.name),))
        for file in facts.licence_files
        if file.match is not None and file.match.exact
        for licence in bom_licences(
            LicenceFacts(file.match.term.id, (file.match.term,)), "concluded"
        )
    )
    return Evidence(licences=found) if found else None


def licence_observations(facts: ModelFacts) -> Iterator[Observation]:
    """What is wrong with the licences: none, unknown, or two sources that disagree."""
    declared, concluded = facts.declared, facts.concluded
    where = facts.read_from.get("licenses", "README.md")
    if not declared.terms and not concluded.terms:
        yield Observation("licence-missing", where, "no licence is declared or recognised")
    for name in declared.unknown:
        message = f"{name[:80]!r} is not known; it allows nothing until somebody has read it"
        yield Observation("licence-unknown", where, message)
    said = _families(declared)
    if not said:
        return
    for file in facts.licence_files:
        if file.match is not None and _family(file.match.term.id) not in said:
            how = "is" if file.match.exact else "has the title of"
            message = f"{how} {file.match.term.id}; declared is {_shown(declared)}"
            yield Observation("licence-conflict", file.name, message)
    for each in facts.weights:
        stated = declared_licence(dict(each.said).get("license"))
        if stated.known and not _families(stated) <= said:
            message = f"its header says {_shown(stated)}; declared is {_shown(declared)}"
            yield Observation("licence-conflict", each.name, message)


def _families(facts: LicenceFacts) -> set[str]:
    return {_family(term.id) for term in facts.terms if term.known}


def _family(identifier: str) -> str:
    """A text does not say whether later versions are allowed."""
    return identifier.removesuffix("-only").removesuffix("-or-later")


def _shown(facts: LicenceFacts) -> str:
    return facts.expression or ", ".join(term.id[:80] for term in facts.terms)


# -- what it was made from -----------------------------------------------------------------------


def card_materials(facts: ModelFacts) -> Iterator[Material]:
    """The base models and datasets that the card names."""
    for name in facts.card.base_models:
        yield Material(kind="model", name=name, where="README.md#base_model")
    for weights in () if facts.card.base_models else facts.weights:
        for key, name in weights.said:
            if key.startswith(BASE_MODEL):
                yield Material(kind="model", name=name, where=f"{weights.name}#general.base_model")
    for name in facts.card.datasets:
        yield Material(kind="dataset", name=name, where="README.md#datasets")


def join_materials(*sources: Iterable[Material]) -> tuple[Material, ...]:
    """Materials of several sources, by kind and name; digests that differ stay apart."""
    joined: dict[tuple[str, str, tuple[tuple[str, str], ...]], Material] = {}
    for each in (one for source in sources for one in source):
        plain = (each.kind, each.name, ())
        key = (each.kind, each.name, tuple(sorted(each.digests.items())))
        known = joined.pop(plain, None) if each.digests else None
        if known is not None:
            each = replace(each, where=f"{known.where}, {each.where}", url=each.url or known.url)
        elif not each.digests and any(kept[:2] == plain[:2] for kept in joined):
            continue
        joined.setdefault(key, each)
    return tuple(joined.values())


def material_components(materials: Iterable[Material], taken: set[str]) -> tuple[Component, ...]:
    """A component for each material. ``taken``: refs in use; those made here are added."""
    made = []
    for each in sorted(
        materials, key=lambda one: (one.kind, one.name, sorted(one.digests.items()))
    ):
        ref = make_ref(f"base-{each.kind}" if each.kind == "model" else each.kind, each.name, taken)
        taken.add(ref)
        made.append(_material(each, ref))
    return tuple(made)


def _material(material: Material, ref: str) -> Component:
    url = clean_url(material.url)
    own = (Property("attest:read-from", material.where),)
    hashes, named = _digests(material.digests)
    purl = hugging_face_purl(material.name) if "/" in material.name else None
    return Component(
        type=_KINDS[material.kind],
        ref=ref,
        name=material.name,
        hashes=hashes,
        # A dataset has the same purl type on the Hub, and would be taken for a model of that name.
        purl=clean_purl(purl) if material.kind == "model" else None,
        external_references=(ExternalReference(type="distribution", url=url),) if url else (),
        data=(ComponentData(type="dataset", name=material.name),)
        if material.kind == "dataset"
        else (),
        properties=(*own, *named),
    )


def _digests(digests: Mapping[str, str]) -> tuple[tuple[Hash, ...], tuple[Property, ...]]:
    """An artifact's two digests are properties; a digest of a file's bytes is a hash."""
    artifact = any(name.startswith("attestTreeV1") for name in digests)
    hashes, named = [], []
    for name, value in sorted(digests.items()):
        if name in _HASHES and not artifact:
            hashes.append(Hash(_HASHES[name], value))
        elif name == "sha256":
            named.append(Property("attest:oms-root:sha256", value))
        elif name.startswith("attestTreeV1"):
            named.append(Property(f"attest:{name}", value))
        else:
            named.append(Property(f"attest:digest:{name}", value))
    return tuple(hashes), tuple(named)


def dependencies_of(ref: str, made_from: Iterable[Component]) -> tuple[Dependency, ...]:
    """The artifact depends on its materials.

    In CycloneDX an empty list says that there is nothing; so the materials, of which nothing is
    known here, and an artifact whose materials nobody named, have no entry.
    """
    refs = tuple(each.ref for each in made_from if each.ref is not None)
    return (Dependency(ref=ref, depends_on=refs),) if refs else ()


def _pedigree(facts: ModelFacts, made_from: Iterable[Component]) -> Pedigree | None:
    ancestors = tuple(replace(each, ref=None) for each in made_from if each.type == MODEL)
    notes = facts.card.relation
    return Pedigree(ancestors=ancestors, notes=notes) if ancestors or notes else None


# -- model card and properties -------------------------------------------------------------------


def _card(facts: ModelFacts, made_from: Iterable[Component]) -> ModelCard:
    parameters = ModelParameters(
        task=facts.card.task,
        architecture_family=facts.model_type,
        model_architecture=", ".join(facts.architectures) or None,
        datasets=tuple(
            DatasetRef(each.ref) for each in made_from if each.type == "data" and each.ref
        ),
    )
    analysis = QuantitativeAnalysis(performance_metrics=facts.card.results)
    return ModelCard(
        model_parameters=parameters if parameters != ModelParameters() else None,
        quantitative_analysis=analysis if facts.card.results else None,
    )


def _properties(facts: ModelFacts) -> Iterator[Property]:
    main = main_sets(facts.weights)
    if main:
        yield Property("attest:model:format", main[0].format)
        yield Property("attest:model:parameters", str(sum(each.parameters for each in main)))
        yield Property("attest:model:tensors", str(sum(each.tensors for each in main)))
        for dtype, elements in _dtypes(main).items():
            yield Property(f"attest:model:dtype:{dtype}", str(elements))
    if facts.quantization is not None:
        yield Property("attest:model:quantization", facts.quantization)
    for each in facts.weights:
        yield from _weights(each)
    yield from _prefixed("attest:config", facts.config)
    yield from _prefixed("attest:generation", facts.generation)
    for template in facts.templates:
        yield Property(f"attest:chat-template:{template.name}:sha256", template.sha256)
    card: Sequence[tuple[str, Any]] = (
        ("library", (facts.card.library,)),
        ("language", facts.card.languages),
        ("metric", facts.card.metrics),
    )
    for key, values in card:
        yield from (Property(f"attest:card:{key}", value) for value in values if value)
    yield from licence_properties(facts.declared)
    if facts.concluded.classes != facts.declared.classes:
        yield from licence_properties(facts.concluded)
    for file in facts.licence_files:
        yield from _licence_file(file)


def _weights(each: WeightSet) -> Iterator[Property]:
    place = f"attest:weights:{each.name}"
    yield Property(f"{place}:format", each.format)
    yield Property(f"{place}:files", str(len(each.files)))
    yield Property(f"{place}:parameters", str(each.parameters))
    for shape, count in list(each.shapes.items())[:_LISTED_SHAPES]:
        yield Property(f"{place}:shape:{shape}", str(count))
    if len(each.shapes) > _LISTED_SHAPES:
        yield Property(f"{place}:shapes-not-listed", str(len(each.shapes) - _LISTED_SHAPES))
    yield from _prefixed(place, each.said)


def _dtypes(sets: Iterable[WeightSet]) -> dict[str, int]:
    total: dict[str, int] = {}
    for each in sets:
        for dtype, elements in each.dtypes.items():
            total[dtype] = total.get(dtype, 0) + elements
    return dict(sorted(total.items()))


def _licence_file(file: LicenceFile) -> Iterator[Property]:
    yield Property(f"attest:licence-file:{file.name}:sha256", file.sha256)
    if file.match is not None and not file.match.exact:
        yield Property(f"attest:licence-file:{file.name}:title-of", file.match.term.id)


def _prefixed(prefix: str, pairs: Iterable[tuple[str, str]]) -> Iterator[Property]:
    return (Property(f"{prefix}:{key}", value) for key, value in pairs)


def _sources(facts: ModelFacts) -> Iterator[Property]:
    for element, where in sorted(facts.read_from.items()):
        text = clean_text(where)
        if text is not None:
            yield source_of(element, text)
    for template in facts.templates:
        yield source_of(f"attest:chat-template:{template.name}:sha256", template.where)
