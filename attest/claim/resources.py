"""Resource descriptors (in-toto attestation v1): things that a claim names by digest.

A known digest has its one spelling: lower-case hexadecimal of exactly the right length. A digest of
a name that is not known here is kept and never relied on.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.digest import parse_hex
from attest.errors import MalformedInput, TooLarge

ROLE: Final = "attest:role"
"""The annotation that says what part a dependency played."""

STRONG_DIGESTS: Final[Mapping[str, int]] = {
    "sha256": 32,
    "sha384": 48,
    "sha512": 64,
    "blake3": 32,
    "blake2b": 64,
    "sha512_256": 32,
    "sha3_256": 32,
    "sha3_384": 48,
    "sha3_512": 64,
    "attestTreeV1": 32,
}
"""Digest name -> bytes: what identifies content."""

GIT_OBJECTS: Final = ("gitCommit", "gitTree", "gitTag", "gitBlob")
"""Git's object names: SHA-1 or, in newer repositories, SHA-256."""

_IDENTIFYING: Final = frozenset({*STRONG_DIGESTS, *GIT_OBJECTS})
_READ_ONLY: Final[Mapping[str, int]] = {"sha1": 20, "sha224": 28, "md5": 16, "sha3_224": 28}
_UNKNOWN_VALUE: Final = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class ResourceDescriptor:
    """One thing, as its namer described it.

    Attributes:
        digests: digest name -> value; may be empty where somebody else wrote the claim.
        name, uri: informative; at least one of name, uri and digests is there.
        media_type: of the content.
        annotations: JSON-compatible.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    uri: str | None = None
    media_type: str | None = None
    annotations: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        read_digests(self.digests, where="digest")
        for text in (self.name, self.uri, self.media_type):
            _check_text(text, "resource")
        if not (self.digests or self.name or self.uri):
            raise MalformedInput("a resource has no name, uri or digest", code="empty-resource")

    @property
    def role(self) -> str | None:
        """What part it played, if that was said."""
        role = self.annotations.get(ROLE)
        return role if isinstance(role, str) else None

    @property
    def identified(self) -> bool:
        """Whether a digest that identifies content, or a git commit, is there."""
        return not _IDENTIFYING.isdisjoint(self.digests)

    def to_json(self) -> dict[str, Any]:
        """The descriptor's members, those that are there."""
        members = {
            "name": self.name,
            "uri": self.uri,
            "digest": dict(self.digests),
            "mediaType": self.media_type,
            "annotations": dict(self.annotations),
        }
        return {key: value for key, value in members.items() if value}


def resource(
    role: str, digests: Mapping[str, str], *, name: str | None = None, uri: str | None = None
) -> ResourceDescriptor:
    """A dependency that plays ``role``.

    Raises:
        MalformedInput: ``dependency-without-digest``, or a digest that is none.
    """
    made = ResourceDescriptor(digests, name, uri, annotations={ROLE: role})
    check_identified([made], "dependency")
    return made


def check_identified(resources: Iterable[ResourceDescriptor], what: str) -> None:
    """Refuse what is named without a digest: nobody could tell later what it was.

    Raises:
        MalformedInput: ``dependency-without-digest``.
    """
    for index, each in enumerate(resources):
        if not each.identified:
            called = each.name or each.uri or str(index)
            raise MalformedInput(
                f"the {what} {called[:100]!r} has no digest that identifies it",
                hint=f"give one of {', '.join(STRONG_DIGESTS)}, or gitCommit for code",
                code="dependency-without-digest",
            )


def read_digests(value: Mapping[str, Any], *, where: str) -> dict[str, str]:
    """A DigestSet. Every digest of a known name must be well-formed, whether it is used or not.

    Raises:
        MalformedInput: ``wrong-digest-length``, ``malformed-digest`` or ``wrong-type``.
    """
    if len(value) > limits.MAX_RESOURCE_DIGESTS:
        raise TooLarge(f"has {len(value)} digests", where=where)
    for name, text in value.items():
        _check_digest(name, text, where)
    return dict(value)


def _check_digest(name: str, text: Any, where: str) -> None:
    place = f"{where}.{name[:40]}"
    text = jsonstrict.typed(text, str, where=place)
    sizes = (20, 32) if name in GIT_OBJECTS else (STRONG_DIGESTS.get(name) or _READ_ONLY.get(name),)
    if sizes == (None,):
        if not (_UNKNOWN_VALUE.fullmatch(text) and 0 < len(name) <= 64):
            raise MalformedInput("is no digest", where=place, code="malformed-digest")
        return
    fitting = [size for size in sizes if size and len(text) == 2 * size]
    if not fitting:
        wanted = " or ".join(str(2 * size) for size in sizes if size)
        raise MalformedInput(
            f"a {name} digest has {wanted} hexadecimal characters, not {len(text)}",
            where=place,
            code="wrong-digest-length",
        )
    try:
        parse_hex(text, fitting[0], what=f"a {name} digest")
    except MalformedInput as error:
        raise error.at(place) from None


def read_resource(entry: dict[str, Any], where: str) -> ResourceDescriptor:
    """A descriptor from its parsed members; others are ignored.

    Raises:
        MalformedInput.
    """
    digests = jsonstrict.optional(entry, "digest", dict, where=where) or {}
    name, uri, kind = (
        jsonstrict.optional(entry, key, str, where=where) or None
        for key in ("name", "uri", "mediaType")
    )
    annotations = jsonstrict.optional(entry, "annotations", dict, where=where) or {}
    try:
        return ResourceDescriptor(digests, name, uri, kind, annotations)
    except MalformedInput as error:
        raise error.within(where) from None


def read_resources(
    holder: dict[str, Any], key: str, *, where: str
) -> tuple[ResourceDescriptor, ...]:
    """The list ``holder[key]``, empty where absent.

    Raises:
        MalformedInput, TooLarge.
    """
    listed = jsonstrict.optional(holder, key, list, where=where) or []
    place = f"{where}.{key}"
    if len(listed) > limits.MAX_RESOURCES:
        raise TooLarge(f"has {len(listed)} entries; at most {limits.MAX_RESOURCES}", where=place)
    return tuple(
        read_resource(entry, f"{place}[{index}]")
        for index, entry in enumerate(jsonstrict.objects(listed, where=place))
    )


def _check_text(text: str | None, where: str) -> None:
    if text is not None and len(text) > limits.MAX_CLAIM_TEXT:
        raise TooLarge(f"a text has {len(text)} characters", where=where)
