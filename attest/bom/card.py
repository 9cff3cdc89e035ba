"""The front matter of a model card (``README.md``), as Hugging Face documents it.

Everything in it is what the makers say. Texts that are none, lists of the wrong things and results
without a value are told, not repaired.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.bom.components import clean_text
from attest.bom.dataset import Observation
from attest.bom.licences import NOTHING, LicenceFacts, declared_licence
from attest.bom.modelcard import PerformanceMetric
from attest.codec.yamlstrict import front_matter

README: Final = "README.md"


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a model card declares.

    Attributes:
        licence: what ``license``, ``license_name`` and ``license_link`` say together.
        base_models: ids such as ``owner/name``.
        relation: of the model to them: ``finetune``, ``quantized``, ``adapter``, ``merge``.
        results: of ``model-index``.
        present: keys of the front matter that were there.
    """

    licence: LicenceFacts = NOTHING
    base_models: tuple[str, ...] = ()
    relation: str | None = None
    datasets: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    task: str | None = None
    library: str | None = None
    name: str | None = None
    results: tuple[PerformanceMetric, ...] = ()
    present: frozenset[str] = frozenset()
    observations: tuple[Observation, ...] = ()


NO_CARD: Final = CardFacts()
"""There is no card, or it declares nothing."""


def read_card(readme: bytes, where: str = README) -> CardFacts:
    """The card in a README; empty if it has no front matter.

    Args:
        readme: whoever published the model controls every byte.

    Raises:
        TooLarge, MalformedInput: front matter that cannot be read.
    """
    return _Card(front_matter(readme), where).facts()


class _Card:
    def __init__(self, told: Mapping[str, Any], where: str) -> None:
        self._told = told
        self._where = where
        self._observations: list[Observation] = []

    def facts(self) -> CardFacts:
        told = self._told
        return CardFacts(
            licence=declared_licence(
                told.get("license"), name=told.get("license_name"), link=told.get("license_link")
            ),
            base_models=self._texts("base_model"),
            relation=self._text("base_model_relation"),
            datasets=self._texts("datasets"),
            languages=self._texts("language"),
            tags=self._texts("tags"),
            metrics=self._texts("metrics"),
            task=self._text("pipeline_tag"),
            library=self._text("library_name"),
            name=self._text("model_name"),
            results=tuple(self._results()),
            present=frozenset(told),
            observations=tuple(self._observations),
        )

    def _odd(self, key: str, message: str) -> None:
        self._observations.append(Observation("unexpected-type", f"{self._where}#{key}", message))

    def _text(self, key: str) -> str | None:
        value = self._told.get(key)
        found = clean_text(value)
        if found is None and value not in (None, ""):
            self._odd(key, "is no text")
        return found

    def _texts(self, key: str) -> tuple[str, ...]:
        """One text, or a list of them, each once."""
        value = self._told.get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if len(listed) > limits.MAX_LISTED:
            self._odd(key, f"has {len(listed)} entries; the first {limits.MAX_LISTED} are carried")
        # YAML 1.2 leaves `no` a text, but a bare number or null is none.
        found = [clean_text(each) for each in listed[: limits.MAX_LISTED]]
        if None in found:
            self._odd(key, "holds what is no text")
        return tuple(dict.fromkeys(each for each in found if each is not None))

    # -- model-index -----------------------------------------------------------------------

    def _results(self) -> Iterator[PerformanceMetric]:
        count = 0
        for model in self._objects(self._told, "model-index"):
            for result in self._objects(model, "results"):
                part = self._part(result)
                for metric in self._objects(result, "metrics"):
                    found = self._metric(metric, part)
                    if found is not None and count < limits.MAX_LISTED:
                        count += 1
                        yield found

    def _metric(self, metric: Mapping[str, Any], part: str | None) -> PerformanceMetric | None:
        kind = clean_text(metric.get("name")) or clean_text(metric.get("type"))
        value = metric.get("value")
        if isinstance(value, int | float) and not isinstance(value, bool):
            text: str | None = repr(value)
        else:
            text = clean_text(value)
        if kind is None or text is None:
            self._odd("model-index", "has a result without a metric and its value")
            return None
        return PerformanceMetric(type=kind, value=text, slice=part)

    def _part(self, result: Mapping[str, Any]) -> str | None:
        """On what it was measured: data set, configuration and split."""
        dataset = result.get("dataset")
        if not isinstance(dataset, dict):
            return None
        parts = [clean_text(dataset.get(key)) for key in ("name", "config", "split")]
        return ", ".join(part for part in parts if part) or None

    def _objects(self, holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        value = holder.get(key)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            self._odd("model-index", f"{key} is no list of mappings")
            return []
        return value[: limits.MAX_LISTED]
