"""The registry of model licences that the SPDX list lacks, shipped as ``data/licences.json``.

Each entry has a ``LicenseRef-`` id, the names that it goes by on the Hugging Face Hub, its
use-restriction classes and the clauses that they were read in. Texts are recognised by digests;
none is shipped. See ``docs/formats/licences.md``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from attest.bom.licencetext import KnownText
from attest.codec import jsonstrict


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One licence of the registry.

    Attributes:
        id: ``LicenseRef-…``.
        classes: use-restriction classes, sorted.
        clauses: where they were read.
        compared: the text was at hand when the entry was written; else the clauses are as its
            publisher and others describe them.
        names: lower-case ``license_name`` values that mean it.
    """

    id: str
    name: str
    version: str | None
    url: str
    classes: tuple[str, ...]
    clauses: str
    hugging_face: tuple[str, ...]
    names: tuple[str, ...]
    title: str | None
    compared: bool


@dataclass(frozen=True, slots=True)
class Registry:
    """The shipped registry.

    Attributes:
        version: its date.
        classes: class -> what it means.
        entries: by ``LicenseRef-`` id.
        hugging_face: licence id of the Hugging Face Hub -> SPDX id or ``LicenseRef-``.
        names: ``license_name`` in lower case -> ``LicenseRef-``.
        spdx_classes: SPDX id -> classes, for those that restrict use.
        families: Hub ids that name a family of licences, or none: always unknown.
        texts: texts that are recognised.
    """

    version: str
    classes: Mapping[str, str]
    entries: Mapping[str, RegistryEntry]
    hugging_face: Mapping[str, str]
    names: Mapping[str, str]
    spdx_classes: Mapping[str, tuple[str, ...]]
    families: frozenset[str]
    texts: tuple[KnownText, ...]


@functools.cache
def registry() -> Registry:
    """The registry that is shipped."""
    file = resources.files("attest.bom") / "data" / "licences.json"
    document = jsonstrict.loads(file.read_bytes(), what="licence registry")
    entries = {each["id"]: _entry(each) for each in document["licences"]}
    hub = dict(document["spdx"])
    for entry in entries.values():
        hub.update((name, entry.id) for name in entry.hugging_face)
    return Registry(
        version=document["version"],
        classes=document["classes"],
        entries=entries,
        hugging_face=hub,
        names={name: entry.id for entry in entries.values() for name in entry.names},
        spdx_classes={key: tuple(value) for key, value in document["spdxClasses"].items()},
        families=frozenset(document["families"]) | frozenset(document["unsaid"]),
        texts=tuple(_text(each) for each in document["texts"]),
    )


def _entry(made: dict[str, Any]) -> RegistryEntry:
    return RegistryEntry(
        id=made["id"],
        name=made["name"],
        version=made.get("version"),
        url=made["url"],
        classes=tuple(made["classes"]),
        clauses=made["clauses"],
        hugging_face=tuple(made["huggingFace"]),
        names=tuple(made["names"]),
        title=made.get("title"),
        compared=made["compared"],
    )


def _text(made: dict[str, Any]) -> KnownText:
    return KnownText(
        licence=made["id"],
        head=frozenset(made["head"]),
        start=made["start"],
        words=made["words"],
        digest=made["digest"],
        tail=made["tail"],
        tail_words=made["tailWords"],
    )
