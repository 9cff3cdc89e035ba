"""Croissant 1.0 and 1.1 (MLCommons): what a dataset's JSON-LD description says.

A small reader of the JSON as JSON: no RDF, no expansion, no ``@context`` fetched or interpreted.
Terms are recognised in the spellings that tools write (``name``, ``sc:name``,
``https://schema.org/name``); one term in two spellings is refused, because two readers could each
take another one. Unknown members are ignored: JSON-LD is open by design. Whoever publishes the
dataset controls every byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.errors import MalformedInput, TooLarge, Unsupported

_PREFIXES: Final = (
    "sc:", "schema:", "https://schema.org/", "http://schema.org/",
    "cr:", "ml:", "http://mlcommons.org/croissant/", "https://mlcommons.org/croissant/",
    "dct:", "http://purl.org/dc/terms/",
)  # fmt: skip
_RAI_PREFIXES: Final = (
    "rai:", "http://mlcommons.org/croissant/RAI/", "https://mlcommons.org/croissant/RAI/",
)  # fmt: skip
_CONFORMS: Final = re.compile(r"https?://mlcommons\.org/croissant/(RAI/)?([0-9]+)\.([0-9]+)/?")
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")
_MD5: Final = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(frozen=True, slots=True)
class DistributionFile:
    """A FileObject (one file) or FileSet (files that match a pattern).

    Attributes:
        id: ``@id``, or the name where there is none.
        kind: ``file`` or ``set``.
        url: ``contentUrl``: a URL, or a path inside the dataset.
        sha256, md5: lower-case hex, or None where the description has none.
        size: as written (``contentSize``: ``"5 MB"``); nothing is computed from it.
        formats: media types.
        contained_in: ids of the files or sets that it is part of.
        includes: patterns of a set.
        pointer: JSON pointer to it.
    """

    id: str
    kind: str
    url: str | None
    sha256: str | None
    md5: str | None
    size: str | None
    formats: tuple[str, ...]
    contained_in: tuple[str, ...]
    includes: tuple[str, ...]
    pointer: str


@dataclass(frozen=True, slots=True)
class RecordSet:
    """Records and their fields: (name, data types); fields of fields are ``outer/inner``."""

    name: str
    fields: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Croissant:
    """What a description says; every text is its author's.

    Attributes:
        version: of the format (``1.0``), or None where ``conformsTo`` is absent (before 1.0).
        name, description, dataset_version, cite_as: texts.
        licences, urls, keywords, creators, publishers, same_as: in order.
        published, created, modified: dates as written.
        files: the distribution.
        rai: properties of the Responsible AI vocabulary without prefix, each with its texts.
        live: ``isLiveDataset``.
        anomalies: (code, JSON pointer, message) of what is odd and has one meaning.
    """

    version: str | None
    name: str | None
    description: str | None
    dataset_version: str | None
    cite_as: str | None
    licences: tuple[str, ...]
    urls: tuple[str, ...]
    same_as: tuple[str, ...]
    keywords: tuple[str, ...]
    languages: tuple[str, ...]
    creators: tuple[str, ...]
    publishers: tuple[str, ...]
    published: str | None
    created: str | None
    modified: str | None
    files: tuple[DistributionFile, ...]
    record_sets: tuple[RecordSet, ...]
    rai: dict[str, tuple[str, ...]]
    live: bool
    anomalies: tuple[tuple[str, str, str], ...]


def looks_like_croissant(data: bytes) -> bool:
    """Whether a JSON document names the vocabulary; cheap, and no promise that it parses."""
    return b"mlcommons.org/croissant" in data or b'"cr:' in data


def parse_croissant(data: bytes) -> Croissant:
    """Read a description.

    Raises:
        TooLarge: bytes, files or fields over their cap.
        MalformedInput: no JSON, wrong types, a term twice, or not a dataset.
        Unsupported: another major version, or a graph of several nodes (``@graph``).
    """
    document = jsonstrict.typed(
        jsonstrict.loads(data, what="Croissant description"), dict, where="croissant"
    )
    if "@graph" in document:
        raise Unsupported("a description with @graph", code="unsupported-json-ld")
    node = _Node(document, "", [])
    if "Dataset" not in node.types():
        raise MalformedInput("is not a Dataset", where="/@type", code="not-a-dataset")
    files = tuple(_distribution(node))
    return Croissant(
        version=_conforms_to(node),
        name=node.text("name"),
        description=node.text("description"),
        dataset_version=node.text("version"),
        cite_as=node.text("citeAs") or node.text("citation"),
        licences=node.texts("license"),
        urls=node.texts("url"),
        same_as=node.texts("sameAs"),
        keywords=node.texts("keywords"),
        languages=node.texts("inLanguage"),
        creators=node.texts("creator"),
        publishers=node.texts("publisher"),
        published=node.text("datePublished"),
        created=node.text("dateCreated"),
        modified=node.text("dateModified"),
        files=files,
        record_sets=tuple(_record_sets(node)),
        rai=_responsible_ai(node),
        live=node.members.get("isLiveDataset") is True,
        anomalies=tuple(node.anomalies),
    )


# -- terms ---------------------------------------------------------------------------------------


def _term(key: str) -> str:
    """A key without the prefix of a vocabulary that we know; RAI terms become ``rai:…``."""
    for prefix in _RAI_PREFIXES:
        if key.startswith(prefix):
            return f"rai:{key.removeprefix(prefix)}"
    for prefix in _PREFIXES:
        if key.startswith(prefix):
            return key.removeprefix(prefix)
    return key


class _Node:
    """One JSON object, its members by term, and where it is.

    Raises:
        MalformedInput: ``duplicate-key``, one term in two spellings.
    """

    def __init__(
        self, value: dict[str, Any], pointer: str, anomalies: list[tuple[str, str, str]]
    ) -> None:
        self.pointer = pointer
        self.anomalies = anomalies
        self.members: dict[str, Any] = {}
        for key, member in value.items():
            term = _term(key)
            if term in self.members:
                raise MalformedInput(
                    f"{term[:60]!r} is given in two spellings",
                    where=pointer or "/",
                    code="duplicate-key",
                )
            self.members[term] = member

    def types(self) -> set[str]:
        return {_term(each) for each in self.texts("@type")}

    def texts(self, term: str) -> tuple[str, ...]:
        """Every text of a member: one, or a list of them; of an object its name, url or id."""
        value = self.members.get(term)
        where = f"{self.pointer}/{term}"
        listed = value if isinstance(value, list) else [] if value is None else [value]
        found = (_text_of(each, where) for each in listed)
        return tuple(dict.fromkeys(text for text in found if text))

    def text(self, term: str) -> str | None:
        """The first text of a member, or None."""
        return next(iter(self.texts(term)), None)

    def children(self, term: str) -> Iterator[_Node]:
        """The objects of a member: one, or a list of them."""
        value = self.members.get(term)
        if isinstance(value, dict):
            value = [value]
        for index, each in enumerate(
            jsonstrict.typed([] if value is None else value, list, where=f"{self.pointer}/{term}")
        ):
            where = f"{self.pointer}/{term}/{index}"
            yield _Node(jsonstrict.typed(each, dict, where=where), where, self.anomalies)


def _text_of(value: Any, where: str) -> str:
    """A text; numbers as written (``"version": 1.0``); of an object what names it."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, dict):
        for key in ("@value", "name", "sc:name", "url", "sc:url", "contentUrl", "@id"):
            if isinstance(value.get(key), str):
                return str(value[key]).strip()
        return ""
    raise MalformedInput("must be a text or an object", where=where, code="wrong-type")


def _conforms_to(node: _Node) -> str | None:
    """The version of the core vocabulary that it claims.

    Raises:
        Unsupported: another major version.
    """
    found = None
    for claim in node.texts("conformsTo"):
        match = _CONFORMS.fullmatch(claim)
        if match is None or match[1]:
            continue
        if match[2] != "1":
            raise Unsupported(f"Croissant {match[2]}.{match[3]}"[:60], code="unsupported-croissant")
        found = f"{match[2]}.{match[3]}"
    return found


# -- parts ---------------------------------------------------------------------------------------


def _distribution(dataset: _Node) -> Iterator[DistributionFile]:
    for number, node in enumerate(dataset.children("distribution")):
        if number >= limits.MAX_CROISSANT_FILES:
            raise TooLarge(f"more than {limits.MAX_CROISSANT_FILES} files", where="/distribution")
        identity = node.text("@id") or node.text("name")
        if not identity:
            raise MalformedInput(
                "has neither @id nor name", where=node.pointer, code="missing-member"
            )
        yield DistributionFile(
            id=identity,
            kind="set" if "FileSet" in node.types() else "file",
            url=node.text("contentUrl"),
            sha256=_digest(node, "sha256", _SHA256),
            md5=_digest(node, "md5", _MD5),
            size=node.text("contentSize"),
            formats=node.texts("encodingFormat"),
            contained_in=node.texts("containedIn"),
            includes=node.texts("includes"),
            pointer=node.pointer,
        )


def _digest(node: _Node, term: str, form: re.Pattern[str]) -> str | None:
    """Lower-case hex. What is no digest is none, and said: hosts write placeholder links there."""
    written = node.text(term)
    if written is None:
        return None
    if form.fullmatch(written):
        return written.lower()
    node.anomalies.append(("not-a-digest", f"{node.pointer}/{term}", f"{term} is not a digest"))
    return None


def _record_sets(dataset: _Node) -> Iterator[RecordSet]:
    read = 0
    for node in dataset.children("recordSet"):
        fields = []
        for field in _fields(node, ""):
            fields.append(field)
            _check_count(read + len(fields))
        read += 1 + len(fields)
        _check_count(read)
        yield RecordSet(node.text("name") or node.text("@id") or "", tuple(fields))


def _check_count(fields: int) -> None:
    if fields > limits.MAX_CROISSANT_FIELDS:
        raise TooLarge(f"more than {limits.MAX_CROISSANT_FIELDS} fields", where="/recordSet")


def _fields(holder: _Node, outer: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Fields and their sub-fields. The depth is that of the JSON, which is bounded."""
    for term in ("field", "subField"):
        for node in holder.children(term):
            name = f"{outer}{node.text('name') or node.text('@id') or ''}"
            if len(name) > limits.MAX_SCAN_TEXT:  # it is repeated in front of every sub-field
                raise TooLarge("the name of a field is too long", where=node.pointer)
            yield name, node.texts("dataType")
            yield from _fields(node, f"{name}/")


def _responsible_ai(dataset: _Node) -> dict[str, tuple[str, ...]]:
    found = {}
    for term in dataset.members:
        if term.startswith("rai:"):
            texts = dataset.texts(term)
            if texts:
                found[term.removeprefix("rai:")] = texts
    return found
