"""What the files of a model say of it, read offline: headers, configuration, card, licences.

Nothing is loaded, imported or fetched, and no tensor is read. Each fact keeps where it was read
from. A weight file that is not what it says refuses the whole; a text file that cannot be read (a
card, a configuration) is an observation, and its facts are missing.

``_name_or_path`` of a configuration is whatever folder somebody once had: it is carried as a hint
and never taken for the base model.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.bom.card import NO_CARD, README, CardFacts, read_card
from attest.bom.components import clean_text
from attest.bom.dataset import Observation
from attest.bom.licences import NOTHING, LicenceFacts, TextMatch, declared_licence, match_text
from attest.bom.templates import (
    TEMPLATE_HOLDERS,
    Template,
    is_template_file,
    make_template,
    template_file,
    templates_in,
)
from attest.bom.weights import (
    Tensor,
    WeightFile,
    WeightSet,
    format_of,
    index_problems,
    read_weights,
    torch_weights,
    weight_sets,
)
from attest.codec import jsonstrict
from attest.codec.reader import Source
from attest.errors import MalformedInput, Unsupported

CONFIG: Final = "config.json"

_WEIGHT_NAMES: Final = re.compile(
    r".*\.(?:safetensors|gguf|onnx|bin|pt|pth|ckpt|th)", re.IGNORECASE | re.DOTALL
)
_SNIFFED_FROM: Final = limits.MIB
"""Files of any name that are this large are looked at too: weights do not have to say so."""

_LICENCE_FILE: Final = re.compile(
    r"(?:LICEN[CS]E|COPYING|USE_POLICY|UNLICENSE)(?:[-_.][^/]{0,64})?", re.IGNORECASE
)
_INDEX: Final = re.compile(r"(?:[^/]+/)*[^/]+\.(?:safetensors|bin)\.index\.json")

_SIZES: Final = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "num_experts",
    "num_local_experts",
    "max_position_embeddings",
    "vocab_size",
)
_GENERATION: Final = (
    "do_sample",
    "max_length",
    "max_new_tokens",
    "repetition_penalty",
    "temperature",
    "top_k",
    "top_p",
)


@dataclass(frozen=True, slots=True)
class LicenceFile:
    """A licence file at the root of a model.

    Attributes:
        sha256: of its bytes, hexadecimal.
        match: what it was recognised as, or None.
    """

    name: str
    sha256: str
    match: TextMatch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model says of itself. Every text is its makers'.

    Attributes:
        weights: by checkpoint and format.
        architectures, model_type: of ``config.json``, else of a GGUF header.
        config: further (name, value) pairs of ``config.json``.
        generation: (name, value) pairs of ``generation_config.json``.
        quantization: how it was quantised, as ``config.json`` or a GGUF header says.
        header_licence: what the headers of GGUF files declare.
        declared: the licence that the card declares; where it declares none, the headers.
        read_from: element -> where it was read from.
    """

    weights: tuple[WeightSet, ...] = ()
    architectures: tuple[str, ...] = ()
    model_type: str | None = None
    config: tuple[tuple[str, str], ...] = ()
    generation: tuple[tuple[str, str], ...] = ()
    quantization: str | None = None
    templates: tuple[Template, ...] = ()
    card: CardFacts = NO_CARD
    header_licence: LicenceFacts = NOTHING
    licence_files: tuple[LicenceFile, ...] = ()
    read_from: Mapping[str, str] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()

    @property
    def declared(self) -> LicenceFacts:
        return self.header_licence if self.card.licence == NOTHING else self.card.licence

    @property
    def concluded(self) -> LicenceFacts:
        """The licence files that were recognised by their whole text, together."""
        terms = {
            each.match.term.id: each.match.term
            for each in self.licence_files
            if each.match is not None and each.match.exact
        }
        if not terms:
            return NOTHING
        unknown = tuple(term.id for term in terms.values() if not term.known)
        return LicenceFacts(" AND ".join(terms), tuple(terms.values()), unknown)


def describe_model(
    files: Mapping[str, Source], *, tensors: Mapping[str, Iterable[Tensor]] | None = None
) -> ModelFacts:
    """Read what the files of a model say of it.

    Args:
        files: the artifact, name -> content; whoever published it controls all of it.
        tensors: of PyTorch files by name, whose pickles were examined elsewhere.

    Raises:
        MalformedInput, Unsupported: a weight file is not of the format that it says it is.
        Unavailable: a file cannot be read.
    """
    reader = _Reader(files)
    reader.weights(tensors or {})
    reader.indexes()
    reader.config()
    reader.generation()
    reader.templates()
    reader.card()
    reader.header_licence()
    reader.licences()
    return reader.facts()


def is_weight_candidate(name: str, size: int) -> bool:
    """Whether a file is looked at to see if it holds weights."""
    return size >= _SNIFFED_FROM or _WEIGHT_NAMES.fullmatch(name) is not None


class _Reader:
    """Facts as they come in."""

    def __init__(self, files: Mapping[str, Source]) -> None:
        self._files = files
        self._values: dict[str, Any] = {}
        self._from: dict[str, str] = {}
        self._observations: list[Observation] = []
        self._weights: list[WeightFile] = []
        self._templates: list[Template] = []

    def facts(self) -> ModelFacts:
        return ModelFacts(
            **self._values,
            weights=weight_sets(self._weights),
            templates=tuple(self._templates),
            read_from=self._from,
            observations=tuple(self._observations),
        )

    def _observe(self, code: str, where: str, message: str) -> None:
        self._observations.append(Observation(code, where, message))

    def _take(self, fact: str, value: Any, where: str, *elements: str) -> None:
        """Remember a fact unless there is none, or a better source gave it already."""
        if value is None or value == () or fact in self._values:
            return
        self._values[fact] = value
        for element in elements:
            self._from.setdefault(element, where)

    # -- weights ---------------------------------------------------------------------------

    def weights(self, tensors: Mapping[str, Iterable[Tensor]]) -> None:
        for name, source in self._files.items():
            if name in tensors:
                self._weights.append(torch_weights(name, tensors[name]))
            elif is_weight_candidate(name, source.size):
                self._weigh(name, source)
        for each in self._weights:
            said = dict(each.said)
            for key, text in each.templates:
                place = f"{each.name}#tokenizer.chat_template"
                self._templates.append(make_template(key, text, place))
            where = f"{each.name}#general"
            self._take("model_type", said.get("architecture"), where, _FAMILY)
            self._take("quantization", said.get("quantization"), where, "attest:model:quantization")
        if self._weights:
            self._from["attest:model:parameters"] = set_of_names(
                each.name for each in self._weights
            )

    def _weigh(self, name: str, source: Source) -> None:
        form = format_of(name, source)
        if form == "zip" or (form is None and _WEIGHT_NAMES.fullmatch(name)):
            self._observe("weights-not-read", name, "no tensors are known of this file")
        elif form is not None:
            weights = read_weights(name, form, source)
            self._weights.append(weights)
            for oddity in weights.oddities:
                self._observe("weights-odd", name, f"{oddity}; attest scan judges that")

    def indexes(self) -> None:
        """Hold the index of a sharded checkpoint against the headers of its shards."""
        by_name = {each.name: each for each in self._weights}
        for name in self._files:
            if _INDEX.fullmatch(name) is None:
                continue
            document = self._json(name, limits.MAX_JSON_BYTES)
            if document is not None:
                self._observations += index_problems(name, document, by_name, self._files)

    # -- configuration ---------------------------------------------------------------------

    def config(self) -> None:
        config = self._json(CONFIG, limits.MAX_MODEL_CONFIG_BYTES) or self._pipeline()
        if not config:
            return
        place = self._config_name
        text = config.get("text_config")
        inner = text if isinstance(text, dict) else {}
        listed = config.get("architectures")
        names = listed if isinstance(listed, list) else [config.get("_class_name")]
        architectures = tuple(one for one in map(clean_text, names) if one is not None)
        self._take("architectures", architectures, f"{place}#architectures", _ARCHITECTURE)
        stated = clean_text(config.get("model_type"))
        if stated is not None:  # what the configuration says comes before a header's word
            self._values.pop("model_type", None)
            self._from.pop(_FAMILY, None)
        self._take("model_type", stated, f"{place}#model_type", _FAMILY)
        method = config.get("quantization_config")
        if isinstance(method, dict):
            said = clean_text(method.get("quant_method")) or "unnamed"
            bits = method.get("bits")
            said += f" {bits}-bit" if type(bits) is int else ""
            where = f"{place}#quantization_config"
            self._take("quantization", said, where, "attest:model:quantization")
        pairs = [(key, config.get(key, inner.get(key))) for key in _SIZES]
        pairs += [
            ("torch_dtype", config.get("torch_dtype", config.get("dtype"))),
            ("transformers_version", config.get("transformers_version")),
            ("name_or_path", config.get("_name_or_path")),
        ]
        self._take("config", _scalars(pairs), place, "attest:config")

    _config_name = CONFIG

    def _pipeline(self) -> dict[str, Any] | None:
        """``model_index.json`` of a diffusion pipeline, where there is no ``config.json``."""
        if CONFIG in self._files:
            return None
        self._config_name = "model_index.json"
        return self._json(self._config_name, limits.MAX_MODEL_CONFIG_BYTES)

    def generation(self) -> None:
        name = "generation_config.json"
        told = self._json(name, limits.MAX_MODEL_CONFIG_BYTES) or {}
        pairs = _scalars((key, told.get(key)) for key in _GENERATION)
        self._take("generation", pairs, name, "attest:generation")

    def templates(self) -> None:
        for name in TEMPLATE_HOLDERS:
            document = self._json(name, limits.MAX_JSON_BYTES) or {}
            found, odd = templates_in(document.get("chat_template"), f"{name}#chat_template")
            self._templates += found
            self._observations += odd
        for name, source in self._files.items():
            if is_template_file(name) and source.size <= limits.MAX_JSON_BYTES:
                self._templates.append(template_file(name, source.read(0, source.size)))

    # -- texts -----------------------------------------------------------------------------

    def card(self) -> None:
        data = self._content(README, limits.MAX_CARD_BYTES)
        if data is None:
            return
        try:
            card = read_card(data)
        except (MalformedInput, Unsupported) as error:
            self._observe("description-unreadable", README, error.message)
            return
        self._values["card"] = card
        self._observations += card.observations
        for key, element in _CARD_ELEMENTS.items():
            if key in card.present:
                self._from.setdefault(element, f"{README}#{key}")

    def header_licence(self) -> None:
        """What GGUF files declare; a single file has no card beside it."""
        said = {each.name: dict(each.said).get("license") for each in self._weights}
        stated = {name: text for name, text in said.items() if text is not None}
        if stated:
            values = list(dict.fromkeys(stated.values()))
            self._values["header_licence"] = declared_licence(values)
            place = f"{set_of_names(stated)}#general.license"
            self._from.setdefault(_LICENCES, place)

    def licences(self) -> None:
        found = []
        for name in self._files:
            if _LICENCE_FILE.fullmatch(name) is None:
                continue
            data = self._content(name, limits.MAX_LICENCE_TEXT_BYTES)
            if data is not None:
                text = data.decode("utf-8", errors="replace")
                digest = hashlib.sha256(data).hexdigest()
                found.append(LicenceFile(name, digest, match_text(text)))
        self._values["licence_files"] = tuple(found)
        names = [each.name for each in found if each.match is not None and each.match.exact]
        if names:
            self._from["evidence.licenses"] = set_of_names(names)
            self._from.setdefault(_LICENCES, set_of_names(names))

    # -- files -----------------------------------------------------------------------------

    def _content(self, name: str, most: int) -> bytes | None:
        source = self._files.get(name)
        if source is None:
            return None
        if source.size > most:
            self._observe("description-unreadable", name, "is too large to be read")
            return None
        return source.read(0, source.size)

    def _json(self, name: str, most: int) -> dict[str, Any] | None:
        data = self._content(name, most)
        if data is None:
            return None
        try:
            return jsonstrict.typed(jsonstrict.loads(data, what=name), dict, where=name)
        except MalformedInput as error:
            self._observe("description-unreadable", name, error.message)
            return None


_LICENCES: Final = "licenses"
_FAMILY: Final = "modelCard.modelParameters.architectureFamily"
_ARCHITECTURE: Final = "modelCard.modelParameters.modelArchitecture"
_CARD_ELEMENTS: Final = {
    "license": "licenses",
    "license_name": "licenses",
    "base_model": "pedigree.ancestors",
    "datasets": "modelCard.modelParameters.datasets",
    "pipeline_tag": "modelCard.modelParameters.task",
    "model-index": "modelCard.quantitativeAnalysis.performanceMetrics",
    "tags": "tags",
    "language": "attest:card:language",
    "library_name": "attest:card:library",
}
"""Key of the front matter -> element of the component that it ends in."""


def set_of_names(names: Iterable[str]) -> str:
    """File names for a person: at most three, the rest counted."""
    listed = sorted(names)
    shown = ", ".join(listed[:3])
    return shown if len(listed) <= 3 else f"{shown} and {len(listed) - 3} more"


def _scalars(pairs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    return tuple(_texts(pairs))


def _texts(pairs: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    """Numbers, truth values and texts as texts; what is anything else is left out."""
    for key, value in pairs:
        if isinstance(value, bool):
            yield key, "true" if value else "false"
        elif isinstance(value, int | float):
            yield key, repr(value)
        else:
            text = clean_text(value)
            if text is not None:
                yield key, text
