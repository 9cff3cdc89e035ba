"""The three kinds of artifacts, as far as a BOM is concerned: recognised, read, put into parts.

Each describer reads first and names later: the artifact's digests are known only when all that was
read has been hashed. It returns what makes the parts once the name is known.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from attest import limits
from attest.bom.card import README
from attest.bom.components import Hash, Organization, Property
from attest.bom.dataset import DatasetFacts, Observation, dataset_component, describe_dataset
from attest.bom.firmware import describe_firmware, firmware_component
from attest.bom.licences import bom_licences, declared_licence, licence_properties
from attest.bom.model import describe_model, is_weight_candidate
from attest.bom.modelparts import (
    Material,
    Parts,
    dependencies_of,
    join_materials,
    licence_observations,
    material_components,
    model_parts,
)
from attest.bom.weights import Tensor, format_of
from attest.claim.artifact import KINDS
from attest.codec.capsule import looks_like_capsule
from attest.codec.croissant import looks_like_croissant
from attest.codec.pe import looks_like_pe
from attest.codec.reader import Source
from attest.codec.yamlstrict import front_matter
from attest.codec.zips import open_member, read_zip
from attest.errors import MalformedInput, Unsupported
from attest.scan.tensors import tensor_facts

_DATASET_KEYS: Final = frozenset({
    "annotations_creators", "configs", "dataset_info", "multilinguality", "size_categories",
    "source_datasets", "task_categories", "task_ids",
})  # fmt: skip
"""Keys of the front matter that only a data card has."""

_DESCRIPTION: Final = re.compile(
    r"(?:croissant|metadata)\.json(?:ld)?|[^/]+\.croissant(?:\.json)?", re.DOTALL
)
"""Where a Croissant description is looked for, as :mod:`attest.bom.dataset` does."""

_MODEL_FILES: Final = ("config.json", "model_index.json", "adapter_config.json", "params.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What a component is called and identified by.

    Attributes:
        properties: the artifact's digests.
        hashes: of the one file that it is; none for a directory.
        materials: what claims say that it was made from.
    """

    name: str
    version: str | None
    supplier: Organization | None
    properties: tuple[Property, ...]
    hashes: tuple[Hash, ...]
    materials: tuple[Material, ...]


Assemble = Callable[[Naming], Parts]


# -- recognising ---------------------------------------------------------------------------------


def recognise_kind(files: Mapping[str, Source]) -> str:
    """What an artifact is, by its content.

    1. A single file that is a PE image or a UEFI capsule is firmware.
    2. Weights, or a configuration that only models have, make a model.
    3. A Croissant description, or front matter that only a data card has, makes a dataset.

    Raises:
        MalformedInput: ``kind-unclear``: none of these, or 2 and 3 at once.
    """
    if len(files) == 1:
        (only,) = files.values()
        if looks_like_capsule(only) or looks_like_pe(only):
            return "firmware"
    found = [kind for kind, test in (("model", _is_model), ("dataset", _is_dataset)) if test(files)]
    if len(found) == 1:
        return found[0]
    what = "a model and a dataset at once" if found else "no model, dataset or firmware"
    raise MalformedInput(
        f"looks like {what}", code="kind-unclear", hint=f"say which: --kind {'|'.join(KINDS)}"
    )


def _is_model(files: Mapping[str, Source]) -> bool:
    if any(name in files for name in _MODEL_FILES):
        return True
    for name, source in files.items():
        if is_weight_candidate(name, source.size):
            form = format_of(name, source)
            if form in ("safetensors", "gguf", "onnx") or (form and _pickle_inside(source)):
                return True
    return False


def _is_dataset(files: Mapping[str, Source]) -> bool:
    for name, source in files.items():
        named = _DESCRIPTION.fullmatch(name) is not None and source.size <= limits.MAX_JSON_BYTES
        if named and looks_like_croissant(source.read(0, source.size)):
            return True
    return not _DATASET_KEYS.isdisjoint(_front_matter(files))


def _front_matter(files: Mapping[str, Source]) -> Mapping[str, Any]:
    source = files.get(README)
    if source is None or source.size > limits.MAX_CARD_BYTES:
        return {}
    try:
        return front_matter(source.read(0, source.size))
    except (MalformedInput, Unsupported):
        return {}  # what is wrong is told by whoever describes it


# -- model ---------------------------------------------------------------------------------------


def _model(files: Mapping[str, Source], observed: list[Observation]) -> Assemble:
    facts = describe_model(files, tensors=dict(_torch_tensors(files)))
    observed += facts.observations
    observed += licence_observations(facts)

    def assemble(naming: Naming) -> Parts:
        return model_parts(
            facts,
            name=naming.name,
            version=naming.version,
            supplier=naming.supplier,
            properties=naming.properties,
            hashes=naming.hashes,
            materials=naming.materials,
        )

    return assemble


def _torch_tensors(files: Mapping[str, Source]) -> Iterator[tuple[str, list[Tensor]]]:
    """Tensors of PyTorch archives, from their pickles, which are followed and not run."""
    for name, source in files.items():
        if not is_weight_candidate(name, source.size) or format_of(name, source) != "zip":
            continue
        try:
            pickle = _pickle_inside(source)
            if pickle is not None:
                yield name, [_tensor(each) for each in tensor_facts(pickle)]
        except (MalformedInput, Unsupported):
            continue  # told as weights that are not read; `attest scan` says why


def _tensor(fact: Any) -> Tensor:
    elements = 1
    for size in fact.shape:
        elements *= size
    return Tensor(fact.name, fact.dtype, elements, fact.shape)


def _pickle_inside(source: Source) -> Source | None:
    """``data.pkl`` of a PyTorch archive, or None."""
    try:
        members = read_zip(source).members
    except (MalformedInput, Unsupported):
        return None
    found = [each for each in members if each.name.count("/") == 1 and _is_data(each.name)]
    if len(found) != 1:
        return None
    return open_member(source, found[0], limits.MAX_JSON_BYTES)


def _is_data(name: str) -> bool:
    return name.endswith("/data.pkl")


# -- dataset -------------------------------------------------------------------------------------


def _dataset(files: Mapping[str, Source], observed: list[Observation]) -> Assemble:
    facts: DatasetFacts = describe_dataset(files)
    licence = declared_licence(list(facts.licences))
    observed += facts.observations
    where = facts.read_from.get("licences", README)
    if not licence.terms:
        observed.append(Observation("licence-missing", where, "no licence is declared"))
    for name in licence.unknown:
        message = f"{name[:80]!r} is not known; it allows nothing until somebody has read it"
        observed.append(Observation("licence-unknown", where, message))

    def assemble(naming: Naming) -> Parts:
        ref = f"dataset:{naming.name}"
        component = dataset_component(
            facts,
            name=naming.name,
            ref=ref,
            version=naming.version,
            licences=bom_licences(licence, "declared"),
            properties=(*naming.properties, *licence_properties(licence)),
        )
        made_from = material_components(join_materials(naming.materials), {ref})
        component = replace(component, supplier=naming.supplier, hashes=naming.hashes)
        return Parts(component, made_from, dependencies_of(ref, made_from))

    return assemble


# -- firmware ------------------------------------------------------------------------------------


def _firmware(files: Mapping[str, Source], observed: list[Observation]) -> Assemble:
    if len(files) != 1:
        raise MalformedInput(
            f"a firmware image is one file, not {len(files)}",
            code="not-one-file",
            hint="describe each image by itself",
        )
    ((name, source),) = files.items()
    facts = describe_firmware(source, name)
    observed += [Observation(code, name, message) for code, message in facts.anomalies]

    def assemble(naming: Naming) -> Parts:
        ref = f"firmware:{naming.name}"
        component = firmware_component(
            facts, name=naming.name, ref=ref, version=naming.version, properties=naming.properties
        )
        component = replace(component, supplier=naming.supplier)
        return Parts(component)

    return assemble


DESCRIBERS: Final[Mapping[str, Callable[[Mapping[str, Source], list[Observation]], Assemble]]] = {
    "model": _model,
    "dataset": _dataset,
    "firmware": _firmware,
}
"""Kind -> what reads the files, notes what is odd, and makes the parts."""
