"""The result of an in-toto layout, as a claim: which steps were verified, by whose keys.

Predicate ``urn:attest-toolkit:layout-result:v1``::

    {"layout": {"name": text, "digest": {"sha256": hex of the layout's file}},
     "layoutKeys": [keyid], "expires": RFC 3339, "verifiedOn": RFC 3339,
     "steps": [{"name": text, "threshold": int, "functionaries": [keyid],
                "links": [{"name": file, "digest": {"sha256": hex}}], "sublayout": bool}],
     "products": int, "materials": [resource descriptor]?, "materialsLeftOut": int?}

The subject is the artifact whose files the last step's products were. A step of a sublayout is
called ``STEP/KEYID8/INNER``. ``functionaries`` are keys: one person may hold two.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from attest import limits
from attest.claim.resources import ResourceDescriptor, read_resource, read_resources
from attest.claim.texts import short_text, write_time
from attest.codec import jsonstrict
from attest.codec.times import parse_time
from attest.errors import MalformedInput

_WHERE: Final = "predicate"
_KEYID: Final = re.compile(r"[0-9a-f]{8,128}")
_MAX_NAME: Final = 2000


@dataclass(frozen=True, slots=True)
class LayoutStep:
    """One step that was carried out as its layout demands.

    Attributes:
        name: of the step; inside a sublayout with the outer steps before it.
        threshold: keys that had to agree, at least 1.
        functionaries: keyids of those that did, at least ``threshold``.
        links: file name and hex SHA-256 of each piece of evidence.
        sublayout: the step was delegated to a layout of its own.
    """

    name: str
    threshold: int
    functionaries: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    sublayout: bool = False

    def __post_init__(self) -> None:
        short_text(self.name, "a step's name", most=_MAX_NAME)
        _check_keyids(self.functionaries)
        if not 1 <= self.threshold <= len(self.functionaries):
            raise ValueError("a step needs as many functionaries as its threshold, at least one")
        if not self.links:
            raise ValueError("a step needs a link")
        for name, digest in self.links:
            short_text(name, "a link's name", most=_MAX_NAME)
            _check_digest(digest)


@dataclass(frozen=True, slots=True)
class LayoutResult:
    """A layout that was verified for an artifact.

    Attributes:
        layout: file name of the layout.
        digest: hex SHA-256 of that file.
        layout_keys: keyids that the layout had to be signed by, all of them; at least one.
        expires: when the layout does.
        verified_on: the time that it was judged for.
        steps: at least one.
        products: files of the artifact that the last step's products were, at least one.
        materials: what went into the steps and was made by none of them.
        materials_left_out: how many more there were.
    """

    layout: str
    digest: str
    layout_keys: tuple[str, ...]
    expires: datetime
    verified_on: datetime
    steps: tuple[LayoutStep, ...]
    products: int
    materials: tuple[ResourceDescriptor, ...] = ()
    materials_left_out: int = 0

    def __post_init__(self) -> None:
        short_text(self.layout, "the layout's name", most=_MAX_NAME)
        _check_digest(self.digest)
        _check_keyids(self.layout_keys)
        if not self.layout_keys or not self.steps:
            raise ValueError("a layout has a key and a step")
        if self.products < 1:
            raise ValueError("no product was matched")
        if self.materials_left_out < 0 or len(self.materials) > limits.MAX_LAYOUT_MATERIALS:
            raise ValueError("too many materials")
        if self.expires <= self.verified_on:
            raise ValueError("the layout had expired")

    def to_predicate(self) -> dict[str, Any]:
        """The predicate; absent members are left out."""
        made: dict[str, Any] = {
            "layout": {"name": self.layout, "digest": {"sha256": self.digest}},
            "layoutKeys": list(self.layout_keys),
            "expires": write_time(self.expires),
            "verifiedOn": write_time(self.verified_on),
            "steps": [_step_to_json(step) for step in self.steps],
            "products": self.products,
        }
        if self.materials:
            made["materials"] = [each.to_json() for each in self.materials]
        if self.materials_left_out:
            made["materialsLeftOut"] = self.materials_left_out
        return made


def read_layout_result(predicate: Mapping[str, Any]) -> LayoutResult:
    """The result in a predicate whose signature was verified.

    Raises:
        MalformedInput: not this predicate.
    """
    document = dict(predicate)
    layout = jsonstrict.member(document, "layout", dict, where=_WHERE)
    steps = jsonstrict.member(document, "steps", list, where=_WHERE)
    if len(steps) > limits.MAX_LAYOUT_LINKS:
        raise MalformedInput(f"has {len(steps)} steps", where=f"{_WHERE}.steps")
    name, digest = _read_file(layout, f"{_WHERE}.layout")
    try:
        return LayoutResult(
            layout=name,
            digest=digest,
            layout_keys=_keyids(document, "layoutKeys", _WHERE),
            expires=_time(document, "expires"),
            verified_on=_time(document, "verifiedOn"),
            steps=tuple(
                _read_step(entry, f"{_WHERE}.steps[{index}]")
                for index, entry in enumerate(jsonstrict.objects(steps, where=f"{_WHERE}.steps"))
            ),
            products=jsonstrict.member(document, "products", int, where=_WHERE),
            materials=read_resources(document, "materials", where=_WHERE),
            materials_left_out=jsonstrict.optional(document, "materialsLeftOut", int, where=_WHERE)
            or 0,
        )
    except ValueError as error:
        raise MalformedInput(str(error), where=_WHERE) from None


def _step_to_json(step: LayoutStep) -> dict[str, Any]:
    return {
        "name": step.name,
        "threshold": step.threshold,
        "functionaries": list(step.functionaries),
        "links": [{"name": name, "digest": {"sha256": digest}} for name, digest in step.links],
        "sublayout": step.sublayout,
    }


def _read_step(entry: dict[str, Any], where: str) -> LayoutStep:
    links = jsonstrict.member(entry, "links", list, where=where)
    return LayoutStep(
        jsonstrict.member(entry, "name", str, where=where),
        jsonstrict.member(entry, "threshold", int, where=where),
        _keyids(entry, "functionaries", where),
        tuple(
            _read_file(link, f"{where}.links[{index}]")
            for index, link in enumerate(jsonstrict.objects(links, where=f"{where}.links"))
        ),
        jsonstrict.member(entry, "sublayout", bool, where=where),
    )


def _read_file(entry: dict[str, Any], where: str) -> tuple[str, str]:
    """Name and SHA-256 of a file."""
    jsonstrict.member(entry, "name", str, where=where)
    read = read_resource(entry, where)
    return read.name or "", read.digests.get("sha256", "")


def _keyids(holder: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    listed = jsonstrict.member(holder, key, list, where=where)
    return tuple(jsonstrict.typed(each, str, where=f"{where}.{key}") for each in listed)


def _time(document: dict[str, Any], key: str) -> datetime:
    return parse_time(jsonstrict.member(document, key, str, where=_WHERE), where=key)


def _check_keyids(keyids: tuple[str, ...]) -> None:
    if not all(_KEYID.fullmatch(keyid) for keyid in keyids):
        raise ValueError("a keyid is 8 to 128 lower-case hexadecimal characters")
    if len(set(keyids)) != len(keyids):
        raise ValueError("a key is listed twice")


def _check_digest(digest: str) -> None:
    if len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError("a file is named by its lower-case hex SHA-256")
