"""in-toto layouts and links (in-toto specification v1.0, sections 4.2 to 4.4), read strictly.

Two containers are read: ``{"signed", "signatures"}`` (Metablock, signed over canonical JSON) and
DSSE envelopes. The ``in-toto`` package verifies them from the objects that were parsed here, so two
readers cannot see two documents. It forgives what must not pass, hence these are refused here:
a layout without steps or expiry, a threshold below one, an artifact without digest, a key listed
under another id than its own, two signatures with one keyid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from attest import limits
from attest.codec import jsonstrict
from attest.codec.dsse import IN_TOTO_PAYLOAD_TYPE, read_envelope
from attest.codec.layoutkeys import check_keyid, read_keys
from attest.errors import MalformedInput, TooLarge, Unsupported

Artifacts: TypeAlias = Mapping[str, Mapping[str, str]]
"""Path -> digest name -> lower-case hex."""

_EXPIRES: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_HEX: Final = re.compile(r"(?:[0-9a-f]{2})+")
_GENERIC_RULES: Final = ("create", "modify", "delete", "allow", "disallow", "require")
_MATCH_SHAPES: Final = (
    (6, {2: "with", 4: "from"}, 3),
    (8, {2: "in", 4: "with", 6: "from"}, 5),
    (8, {2: "with", 4: "in", 6: "from"}, 3),
    (10, {2: "in", 4: "with", 6: "in", 8: "from"}, 5),
)
"""Of a MATCH rule: words, fixed words by position, position of MATERIALS or PRODUCTS."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a layout.

    Attributes:
        name: unique in its layout; no slash, so that it can begin a file name.
        pubkeys: keyids that may sign its links; all different.
        threshold: how many of them must, at least 1.
        expected_command: what the functionaries should have run.
        materials, products: artifact rules, each a list of words.
    """

    name: str
    pubkeys: tuple[str, ...]
    threshold: int
    expected_command: tuple[str, ...]
    materials: tuple[tuple[str, ...], ...] = field(repr=False)
    products: tuple[tuple[str, ...], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a project owner demands of a supply chain.

    Attributes:
        steps: at least one.
        inspections: names of commands that a verifier is asked to run. None is ever run here.
        keys: keyid -> functionary key (:mod:`attest.codec.layoutkeys`).
        expires: in UTC.
    """

    steps: tuple[Step, ...]
    inspections: tuple[str, ...]
    keys: Mapping[str, Mapping[str, Any]] = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class Link:
    """What a functionary says of one step.

    Attributes:
        name: of the step.
        materials, products: what went in and came out.
        command: what was run.
    """

    name: str
    materials: Artifacts = field(repr=False)
    products: Artifacts = field(repr=False)
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnverifiedMetadata:
    """A layout or link whose signatures were not checked.

    Attributes:
        form: ``metablock`` or ``dsse``.
        content: what it says.
        document: the parsed JSON, unchanged: what the in-toto package takes.
        keyids: of the signatures, in order; hints only.
    """

    form: str
    content: Layout | Link
    document: dict[str, Any] = field(repr=False)
    keyids: tuple[str, ...]


def parse_layout_metadata(data: bytes, *, what: str = "metadata") -> UnverifiedMetadata:
    """Parse a layout or link file.

    Args:
        data: the whole file; whoever wrote it controls every byte.
        what: how to call it in errors.

    Raises:
        MalformedInput, TooLarge, Unsupported.
    """
    document = jsonstrict.typed(
        jsonstrict.loads(data, what=what, max_bytes=limits.MAX_LAYOUT_BYTES), dict, where=what
    )
    if ("signed" in document) is ("payload" in document):
        raise MalformedInput(
            "is neither in-toto metadata nor an envelope", where=what, code="not-in-toto-metadata"
        )
    if "signed" in document:
        signed = jsonstrict.member(document, "signed", dict, where=what)
        keyids = _metablock_keyids(document, what)
        return UnverifiedMetadata("metablock", _content(signed, what), document, keyids)
    envelope = read_envelope(document, None, where=what)
    if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise Unsupported(
            f"payload type {envelope.payload_type[:80]!r} is not in-toto's",
            where=what,
            code="unsupported-payload-type",
        )
    payload = jsonstrict.loads(envelope.payload, what=what, max_bytes=limits.MAX_LAYOUT_BYTES)
    content = _content(jsonstrict.typed(payload, dict, where=what), what)
    keyids = tuple(signature.keyid or "" for signature in envelope.signatures)
    _check_signature_keyids(keyids, what)
    return UnverifiedMetadata("dsse", content, document, keyids)


def _metablock_keyids(document: dict[str, Any], what: str) -> tuple[str, ...]:
    """The keyids of well-formed signatures: plain ones, and those of GPG keys."""
    signatures = jsonstrict.member(document, "signatures", list, where=what)
    if not signatures:
        raise MalformedInput("has no signature", where=what, code="no-signature")
    if len(signatures) > limits.MAX_SIGNATURES:
        raise TooLarge(f"has {len(signatures)} signatures", where=what)
    keyids = []
    for index, entry in enumerate(jsonstrict.objects(signatures, where=f"{what}.signatures")):
        place = f"{what}.signatures[{index}]"
        keyids.append(jsonstrict.member(entry, "keyid", str, where=place))
        names = ("signature", "other_headers") if "other_headers" in entry else ("sig",)
        if ("sig" in entry) is ("signature" in entry):
            raise MalformedInput("is not one signature", where=place, code="malformed-signature")
        for name in names:
            value = jsonstrict.member(entry, name, str, where=place)
            if len(value) > 2 * limits.MAX_SIGNATURE_BYTES:
                raise TooLarge("a signature is too long", where=place)
            if not _HEX.fullmatch(value):
                raise MalformedInput("is not hexadecimal", where=f"{place}.{name}")
    _check_signature_keyids(tuple(keyids), what)
    return tuple(keyids)


def _check_signature_keyids(keyids: tuple[str, ...], what: str) -> None:
    for keyid in keyids:
        check_keyid(keyid, f"{what}.signatures")
    if len(set(keyids)) != len(keyids):
        raise MalformedInput(
            "two signatures carry one keyid", where=what, code="signature-listed-twice"
        )


def _content(signed: dict[str, Any], what: str) -> Layout | Link:
    kind = jsonstrict.member(signed, "_type", str, where=what)
    if kind == "layout":
        return _read_layout(signed, what)
    if kind == "link":
        return _read_link(signed, what)
    raise Unsupported(
        f"in-toto metadata of type {kind[:80]!r} is not supported",
        where=what,
        code="unsupported-metadata-type",
    )


# -- layouts ---------------------------------------------------------------------------------


def _read_layout(signed: dict[str, Any], what: str) -> Layout:
    steps = jsonstrict.member(signed, "steps", list, where=what)
    if not steps:
        raise MalformedInput("demands nothing: it has no step", where=what, code="no-steps")
    if len(steps) > limits.MAX_LAYOUT_STEPS:
        raise TooLarge(f"has {len(steps)} steps", where=what)
    read = tuple(
        _read_step(entry, f"{what}.steps[{index}]")
        for index, entry in enumerate(jsonstrict.objects(steps, where=f"{what}.steps"))
    )
    if len({step.name for step in read}) != len(read):
        raise MalformedInput("two steps have one name", where=what, code="duplicate-step")
    inspections = jsonstrict.member(signed, "inspect", list, where=what)
    jsonstrict.optional(signed, "readme", str, where=what)
    return Layout(
        read,
        tuple(
            str(entry.get("name", ""))[:200]
            for entry in jsonstrict.objects(inspections, where=f"{what}.inspect")
        ),
        read_keys(jsonstrict.member(signed, "keys", dict, where=what), f"{what}.keys"),
        _read_expiry(signed, what),
    )


def _read_expiry(signed: dict[str, Any], what: str) -> datetime:
    """The in-toto package gives a layout without expiry another month each time."""
    if not signed.get("expires"):
        raise MalformedInput("has no expiry date", where=what, code="no-expiry")
    text = jsonstrict.member(signed, "expires", str, where=what)
    try:
        if _EXPIRES.fullmatch(text):
            return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        pass
    raise MalformedInput(
        "is not a time such as 2030-01-01T00:00:00Z", where=f"{what}.expires", code="bad-time"
    )


def _read_step(entry: dict[str, Any], where: str) -> Step:
    if entry.get("_type", "step") != "step":
        raise MalformedInput("is no step", where=where, code="wrong-type")
    name = jsonstrict.member(entry, "name", str, where=where)
    if not (name and name.isprintable() and "/" not in name and len(name.encode()) <= 200):
        raise MalformedInput(
            "a step's name has 1 to 200 printable characters and no slash",
            where=where,
            code="unsafe-name",
        )
    pubkeys = _texts(entry, "pubkeys", where)
    for keyid in pubkeys:
        check_keyid(keyid, f"{where}.pubkeys")
    if len(pubkeys) > limits.MAX_LAYOUT_KEYS:
        raise TooLarge(f"has {len(pubkeys)} keys", where=where)
    if len(set(pubkeys)) != len(pubkeys):
        raise MalformedInput("a key is listed twice", where=where, code="duplicate-key-id")
    threshold = jsonstrict.member(entry, "threshold", int, where=where)
    if threshold < 1:
        raise MalformedInput(
            "a threshold below one is met by nobody's work", where=where, code="threshold-below-one"
        )
    return Step(
        name,
        pubkeys,
        threshold,
        _texts(entry, "expected_command", where),
        _read_rules(entry, "expected_materials", where),
        _read_rules(entry, "expected_products", where),
    )


def _read_rules(entry: dict[str, Any], key: str, where: str) -> tuple[tuple[str, ...], ...]:
    rules = []
    for index, rule in enumerate(jsonstrict.member(entry, key, list, where=where)):
        place = f"{where}.{key}[{index}]"
        words = tuple(
            jsonstrict.typed(word, str, where=place)
            for word in jsonstrict.typed(rule, list, where=place)
        )
        if not _is_rule(words):
            raise MalformedInput("is no artifact rule", where=place, code="malformed-rule")
        rules.append(words)
    return tuple(rules)


def _is_rule(words: tuple[str, ...]) -> bool:
    """Section 4.3.3: ``MATCH pattern [IN p] WITH (MATERIALS|PRODUCTS) [IN p] FROM step``, or one
    of six words and a pattern."""
    lowered = [word.lower() for word in words]
    if len(words) == 2:
        return lowered[0] in _GENERIC_RULES
    return (
        bool(words)
        and lowered[0] == "match"
        and any(
            len(words) == length
            and all(lowered[at] == word for at, word in fixed.items())
            and lowered[kind] in ("materials", "products")
            for length, fixed, kind in _MATCH_SHAPES
        )
    )


# -- links -----------------------------------------------------------------------------------


def _read_link(signed: dict[str, Any], what: str) -> Link:
    jsonstrict.member(signed, "byproducts", dict, where=what)
    jsonstrict.member(signed, "environment", dict, where=what)
    return Link(
        jsonstrict.member(signed, "name", str, where=what),
        _read_artifacts(signed, "materials", what),
        _read_artifacts(signed, "products", what),
        _texts(signed, "command", what),
    )


def _read_artifacts(signed: dict[str, Any], key: str, what: str) -> Artifacts:
    artifacts = jsonstrict.member(signed, key, dict, where=what)
    for path, digests in artifacts.items():
        place = f"{what}.{key}.{path[:100]}"
        if not path:
            raise MalformedInput("an artifact has no path", where=place, code="unsafe-name")
        if not jsonstrict.typed(digests, dict, where=place):
            raise MalformedInput(
                "has no digest, and would equal anything else without one",
                where=place,
                code="no-digest",
            )
        for value in digests.values():
            if not (isinstance(value, str) and len(value) <= 256 and _HEX.fullmatch(value)):
                raise MalformedInput(
                    "is not lower-case hexadecimal", where=place, code="malformed-digest"
                )
    return artifacts


def _texts(holder: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    listed = jsonstrict.member(holder, key, list, where=where)
    return tuple(jsonstrict.typed(each, str, where=f"{where}.{key}") for each in listed)
