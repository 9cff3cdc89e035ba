"""What a dataset's own files say of it: Croissant descriptions and README front matter.

Nothing is fetched, and no record is read. Where the two disagree, both are kept and that is told;
digests that a description gives for files of the artifact are compared with the files.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.bom.components import (
    Component,
    Contact,
    ExternalReference,
    Licence,
    Organization,
    Property,
    clean_text,
    clean_url,
    clean_version,
    source_of,
)
from attest.bom.modelcard import ComponentData, DataContents, DataGovernance, Party
from attest.codec.croissant import (
    Croissant,
    DistributionFile,
    RecordSet,
    looks_like_croissant,
    parse_croissant,
)
from attest.codec.reader import Source
from attest.codec.yamlstrict import front_matter
from attest.errors import AttestError, MalformedInput, Unsupported

README: Final = "README.md"
_CHUNK: Final = 1 << 20
_DESCRIPTIONS: Final = ("croissant.json", "croissant.jsonld", "metadata.json", "metadata.jsonld")
"""File names at the root that a description has; the first that is one counts."""

_RAI_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")

_SENSITIVE: Final = ("personalSensitiveInformation", "dataSensitivity")
"""Properties of the Responsible AI vocabulary that say what is sensitive."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Something about the dataset's own description that its reader should know.

    Attributes:
        code: ``file-digest-mismatch``, ``file-not-there``, ``sources-disagree``,
            ``description-unreadable``, ``not-a-digest``, ``unexpected-type``.
        where: file and, after ``#``, the place in it.
    """

    code: str
    where: str
    message: str


@dataclass(frozen=True, slots=True)
class Split:
    """One part of a configuration, such as ``train``; sizes are the card's word."""

    config: str
    name: str
    examples: int | None
    size: int | None


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What a dataset says of itself. Every text is its makers'; nothing of it was verified.

    Attributes:
        licences: as written: SPDX ids, names, links.
        tasks, sizes, sources: categories as Hugging Face has them; ``sources`` are datasets that
            it was made from.
        files: the distribution of a Croissant description.
        matched: names of files of the artifact whose SHA-256 is the one in the description.
        sensitive: statements about personal or sensitive data.
        rai: the Responsible AI properties.
        read_from: fact -> where it was read from, such as ``README.md#license``.
    """

    name: str | None = None
    version: str | None = None
    description: str | None = None
    licences: tuple[str, ...] = ()
    creators: tuple[str, ...] = ()
    publishers: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    citation: str | None = None
    published: str | None = None
    languages: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    configs: tuple[str, ...] = ()
    splits: tuple[Split, ...] = ()
    croissant: str | None = None
    files: tuple[DistributionFile, ...] = ()
    record_sets: tuple[RecordSet, ...] = ()
    matched: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    rai: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    read_from: Mapping[str, str] = field(default_factory=dict)
    observations: tuple[Observation, ...] = ()


def describe_dataset(
    files: Mapping[str, Source], *, digests: Mapping[str, str] | None = None
) -> DatasetFacts:
    """Read what the files of a dataset say of it.

    Args:
        files: the artifact, name -> content; whoever published it controls all of it.
        digests: SHA-256 in hex of files whose content was hashed already; the others that a
            description gives a digest for are read.

    Raises:
        Unavailable: a file cannot be read. A description that is malformed is an observation.
    """
    collected = _Collected()
    described = _description(files, collected)
    card = _card(files, collected)
    if described is not None:
        collected.take_croissant(*described)
        collected.check_files(files, digests or {})
    collected.take_card(card)
    return collected.facts()


# -- reading -------------------------------------------------------------------------------------


def _description(
    files: Mapping[str, Source], collected: _Collected
) -> tuple[str, Croissant] | None:
    """The first file that is a Croissant description, and its name."""
    others = sorted(
        name
        for name in files
        if "/" not in name and name.endswith((".croissant.json", ".croissant"))
    )
    for name in (*_DESCRIPTIONS, *others):
        source = files.get(name)
        if source is None or source.size > limits.MAX_JSON_BYTES:
            continue
        data = source.read(0, source.size)
        if not looks_like_croissant(data):
            continue
        try:
            return name, parse_croissant(data)
        except (MalformedInput, Unsupported) as error:
            collected.unreadable(name, error)
    return None


def _card(files: Mapping[str, Source], collected: _Collected) -> dict[str, Any]:
    """The front matter of the README; empty where there is none."""
    source = files.get(README)
    if source is None:
        return {}
    if source.size > limits.MAX_CARD_BYTES:
        collected.observe("description-unreadable", README, "is too large to be read")
        return {}
    try:
        return front_matter(source.read(0, source.size))
    except (MalformedInput, Unsupported) as error:
        collected.unreadable(README, error)
        return {}


class _Collected:
    """Facts as they come in. The first source of a fact wins; another that differs is told."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._from: dict[str, str] = {}
        self._observations: list[Observation] = []

    def observe(self, code: str, where: str, message: str) -> None:
        self._observations.append(Observation(code, where, message))

    def unreadable(self, where: str, error: AttestError) -> None:
        place = where if error.where is None else f"{where}#{error.where}"
        self.observe("description-unreadable", place, error.message)

    def take(self, fact: str, value: Any, where: str) -> None:
        """Remember one fact unless there is none, or it is known already."""
        if value is None or value == ():
            return
        if fact not in self._values:
            self._values[fact] = value
            self._from[fact] = where
        elif _comparable(self._values[fact]) != _comparable(value):
            self.observe("sources-disagree", where, f"says another {fact} than {self._from[fact]}")

    def take_croissant(self, name: str, told: Croissant) -> None:
        self._croissant_file = name
        for fact, term, value in (
            ("name", "name", clean_text(told.name)),
            ("version", "version", clean_version(told.dataset_version)),
            ("description", "description", clean_text(told.description)),
            ("licences", "license", _clean(told.licences)),
            ("creators", "creator", _clean(told.creators)),
            ("publishers", "publisher", _clean(told.publishers)),
            ("urls", "url", _clean((*told.urls, *told.same_as))),
            ("citation", "citeAs", clean_text(told.cite_as)),
            ("published", "datePublished", clean_text(told.published)),
            ("languages", "inLanguage", _clean(told.languages)),
            ("keywords", "keywords", _clean(told.keywords)),
            ("croissant", "conformsTo", told.version),
            ("files", "distribution", told.files),
            ("record_sets", "recordSet", told.record_sets),
        ):
            self.take(fact, value, f"{name}#/{term}")
        rai = {key: _clean(texts) for key, texts in told.rai.items() if _RAI_NAME.fullmatch(key)}
        self.take("rai", {key: texts for key, texts in rai.items() if texts} or None, name)
        sensitive = tuple(text for key in _SENSITIVE for text in rai.get(key, ()))
        self.take("sensitive", sensitive, f"{name}#/rai:{_SENSITIVE[0]}")
        for code, pointer, message in told.anomalies[: limits.MAX_LISTED]:
            self.observe(code, f"{name}#{pointer}", message)

    def check_files(self, files: Mapping[str, Source], digests: Mapping[str, str]) -> None:
        """Compare digests in the description with the files of the artifact that it names."""
        known = dict(digests)  # a description may name one file many times
        matched = set()
        for entry in self._values.get("files", ()):
            name = _own_file(entry, files)
            where = f"{self._croissant_file}#{entry.pointer}"
            if name is None:
                if _is_relative(entry):
                    self.observe("file-not-there", where, f"{entry.url} is not in the artifact")
            elif entry.sha256 is not None:
                if name not in known:
                    known[name] = _sha256(files[name])
                if known[name] == entry.sha256:
                    matched.add(name)
                else:
                    self.observe(
                        "file-digest-mismatch", where, f"{name} has another SHA-256 than told"
                    )
        self._values["matched"] = tuple(sorted(matched))

    def take_card(self, card: Mapping[str, Any]) -> None:
        """The front matter of a dataset card, as Hugging Face documents it."""
        self.take("name", clean_text(card.get("pretty_name")), f"{README}#pretty_name")
        for fact, key in (
            ("licences", "license"),
            ("languages", "language"),
            ("tasks", "task_categories"),
            ("sizes", "size_categories"),
            ("sources", "source_datasets"),
            ("keywords", "tags"),
        ):
            self.take(fact, self._listed(card, key), f"{README}#{key}")
        configs = [each.get("config_name") for each in self._mappings(card, "configs")]
        self.take("configs", _clean(configs), f"{README}#configs")
        self.take("splits", tuple(self._splits(card)), f"{README}#dataset_info")

    def _listed(self, card: Mapping[str, Any], key: str) -> tuple[str, ...]:
        """One text or a list of them."""
        value = card.get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if any(not isinstance(each, str) for each in listed):
            self.observe("unexpected-type", f"{README}#{key}", "holds what is no text")
        return _clean(listed)

    def _mappings(self, card: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        """One mapping or a list of them."""
        value = card.get(key)
        listed = value if isinstance(value, list) else [] if value is None else [value]
        if any(not isinstance(each, dict) for each in listed):
            self.observe("unexpected-type", f"{README}#{key}", "holds what is no mapping")
        return [each for each in listed[: limits.MAX_LISTED] if isinstance(each, dict)]

    def _splits(self, card: Mapping[str, Any]) -> Iterable[Split]:
        for info in self._mappings(card, "dataset_info"):
            config = clean_text(info.get("config_name")) or "default"
            for each in self._mappings(info, "splits"):
                name = clean_text(each.get("name"))
                if name is not None:
                    yield Split(
                        config,
                        name,
                        _count(each.get("num_examples")),
                        _count(each.get("num_bytes")),
                    )

    def facts(self) -> DatasetFacts:
        return DatasetFacts(
            **self._values, read_from=self._from, observations=tuple(self._observations)
        )


def _comparable(value: Any) -> Any:
    """For comparing two sources: order and capitals say nothing."""
    if isinstance(value, tuple):
        return {each.casefold() if isinstance(each, str) else each for each in value}
    return value.casefold() if isinstance(value, str) else value


def _clean(texts: Iterable[object]) -> tuple[str, ...]:
    cleaned = (clean_text(text) for text in texts)
    kept = dict.fromkeys(text for text in cleaned if text is not None)
    return tuple(kept)[: limits.MAX_LISTED]


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _is_relative(entry: DistributionFile) -> bool:
    """Whether it claims to be a file inside the dataset: a path, not in an archive."""
    url = entry.url
    return (
        entry.kind == "file"
        and url is not None
        and ":" not in url.partition("/")[0]
        and not url.startswith("/")
        and not entry.contained_in
    )


def _own_file(entry: DistributionFile, files: Mapping[str, Source]) -> str | None:
    """The file of the artifact that an entry describes, if it says so by path."""
    if entry.kind != "file" or entry.contained_in:
        return None
    if _is_relative(entry):
        name = posixpath.normpath(entry.url or "")
        return name if name in files else None
    return entry.id if entry.id in files else None


def _sha256(source: Source) -> str:
    hasher = hashlib.sha256()
    for offset in range(0, source.size, _CHUNK):
        hasher.update(source.read(offset, min(_CHUNK, source.size - offset)))
    return hasher.hexdigest()


# -- the component -------------------------------------------------------------------------------


def dataset_component(
    facts: DatasetFacts,
    *,
    name: str,
    ref: str,
    version: str | None = None,
    licences: tuple[Licence, ...] = (),
    properties: tuple[Property, ...] = (),
    classification: str | None = None,
) -> Component:
    """A dataset as a component of type ``data``, with one entry in its ``data``.

    Args:
        name: of the artifact; what the dataset calls itself is the name of its ``data`` entry.
        version: overrides what the description says.
        licences: the licences in :attr:`DatasetFacts.licences`, as components have them.
        properties: go before those of the facts, such as the artifact's digests.
        classification: of its sensitivity, if somebody has decided on one.
    """
    return Component(
        type="data",
        ref=ref,
        name=name,
        version=version or facts.version,
        description=facts.description,
        authors=tuple(Contact(name=each) for each in facts.creators),
        publisher=next(iter(facts.publishers), None),
        licences=licences,
        external_references=tuple(_references(facts)),
        data=(_data(facts, classification),),
        properties=(*properties, *_properties(facts), *_sources(facts)),
    )


def _data(facts: DatasetFacts, classification: str | None) -> ComponentData:
    custodians = tuple(Party(organization=Organization(name=each)) for each in facts.publishers)
    url = next((url for url in map(clean_url, facts.urls) if url is not None), None)
    properties = tuple(_contents(facts))
    return ComponentData(
        type="dataset",
        name=facts.name,
        contents=DataContents(url=url, properties=properties) if url or properties else None,
        classification=classification,
        sensitive_data=facts.sensitive,
        description=facts.description,
        governance=DataGovernance(custodians=custodians) if custodians else None,
    )


def _references(facts: DatasetFacts) -> Iterable[ExternalReference]:
    for url in map(clean_url, facts.urls):
        if url is not None:
            yield ExternalReference(type="website", url=url)


def _contents(facts: DatasetFacts) -> Iterable[Property]:
    """What is inside, as far as the description goes."""
    for each in facts.record_sets[: limits.MAX_LISTED]:
        yield Property(
            "attest:dataset:record-set", f"{each.name or '?'}: {len(each.fields)} fields"
        )
    for split in facts.splits[: limits.MAX_LISTED]:
        examples = "?" if split.examples is None else str(split.examples)
        yield Property("attest:dataset:split", f"{split.config}/{split.name}: {examples} examples")


def _properties(facts: DatasetFacts) -> Iterable[Property]:
    for name, values in (
        ("language", facts.languages),
        ("task", facts.tasks),
        ("size-category", facts.sizes),
        ("source-dataset", facts.sources),
        ("config", facts.configs),
        ("citation", (facts.citation,)),
        ("published", (facts.published,)),
        ("croissant", (facts.croissant,)),
    ):
        for value in values:
            if value is not None:
                yield Property(f"attest:dataset:{name}", value)
    for key, texts in sorted(facts.rai.items()):
        for text in texts:
            yield Property(f"attest:dataset:rai:{key}", text)


_MEMBERS: Final = {
    "name": "data.name",
    "version": "version",
    "description": "description",
    "licences": "licenses",
    "creators": "authors",
    "publishers": "publisher",
    "urls": "externalReferences",
    "sensitive": "data.sensitiveData",
    "record_sets": "data.contents",
    "splits": "data.contents",
}
"""Fact -> the member that it became."""


def _sources(facts: DatasetFacts) -> Iterable[Property]:
    for fact, member in _MEMBERS.items():
        if fact in facts.read_from:
            yield source_of(member, facts.read_from[fact])
