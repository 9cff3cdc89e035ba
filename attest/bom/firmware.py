"""What a firmware image consists of: UEFI capsules, PE images, unified kernel images, raw images.

The sections of a unified kernel image (UKI; uapi-group.org, "Unified Kernel Image") and the
payloads of a capsule become parts, each with the SHA-256 of its exact content, which is what
systemd-stub measures into PCR 11. Contents are hashed in chunks; only small texts are held.
Nothing is run, decompressed or verified: an Authenticode or PKCS#7 signature is noted, not judged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.bom.components import Component, Hash, Property, clean_text, clean_version
from attest.codec import jsonstrict
from attest.codec.capsule import Capsule, Payload, Region, looks_like_capsule, parse_capsule
from attest.codec.osrelease import parse_os_release
from attest.codec.pe import (
    PeImage,
    Section,
    authenticode_digest,
    looks_like_pe,
    parse_pe,
    parse_sbat,
    section_content,
)
from attest.codec.reader import Source, Window
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, TooLarge, Unsupported

_CHUNK: Final = 1 << 20

UKI_SECTIONS: Final = {
    ".linux": "Linux kernel",
    ".initrd": "initial RAM disk",
    ".ucode": "CPU microcode",
    ".cmdline": "kernel command line",
    ".osrel": "os-release",
    ".uname": "kernel release",
    ".splash": "boot splash image",
    ".dtb": "device tree",
    ".dtbauto": "device tree for one of several machines",
    ".hwids": "hardware identifiers",
    ".efifw": "firmware for one of several machines",
    ".profile": "profile",
    ".sbat": "SBAT revocation metadata",
    ".sbom": "embedded bill of materials",
    ".pcrsig": "signed PCR policy",
    ".pcrpkey": "public key of the PCR policy",
    ".sdmagic": "systemd loader identification",
}
"""Sections that a UKI or a systemd loader has, and what they hold."""

_REPEATED: Final = frozenset({".dtbauto", ".efifw"})
"""Sections of which one profile may have several."""

_TEXTS: Final = frozenset({".cmdline", ".uname", ".profile", ".sdmagic"})
_SDMAGIC: Final = re.compile(
    r"#### LoaderInfo: ([A-Za-z0-9._-]{1,64}) ([A-Za-z0-9._~+-]{1,64}) ####"
)


@dataclass(frozen=True, slots=True)
class EmbeddedBom:
    """A bill of materials inside the image. Its bytes stay where they are and are never rewritten.

    Attributes:
        form: ``CycloneDX``, ``SPDX`` or ``unknown``.
        version: of the format, or None.
    """

    form: str
    version: str | None


@dataclass(frozen=True, slots=True)
class FirmwarePart:
    """One section or payload.

    Attributes:
        name: unique inside the image: ``.linux``, ``.cmdline@1`` (second profile), ``payload-0``.
        description: what it holds.
        region: its exact content in the image.
        sha256: of that content, lower-case hex.
        version: where the part states one.
        text: of a small text (the command line), or None.
        bom: of ``.sbom``.
        facts: further (name, value) pairs.
    """

    name: str
    description: str
    region: Region
    sha256: str
    version: str | None = None
    text: str | None = None
    bom: EmbeddedBom | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class FirmwareFacts:
    """What an image is made of.

    Attributes:
        kind: ``raw``, ``capsule``, ``pe`` or ``uki``.
        name, size, sha256: of the whole file.
        authenticode: SHA-256 Authenticode digest of a PE image, which firmware measures into
            PCR 4; None for others.
        signed: whether it carries a signature; None where the kind has no place for one.
        version: the one thing that says so: a capsule's payload header, ``.osrel``, ``.uname``.
        facts: (name, value) pairs: machine, subsystem, GUIDs.
        anomalies: (code, message) of what is odd.
    """

    kind: str
    name: str
    size: int
    sha256: str
    authenticode: str | None = None
    signed: bool | None = None
    version: str | None = None
    parts: tuple[FirmwarePart, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    os_release: Mapping[str, str] = field(default_factory=dict)
    anomalies: tuple[tuple[str, str], ...] = ()


def describe_firmware(source: Source, name: str, *, sha256: str | None = None) -> FirmwareFacts:
    """Recognise an image by its first bytes and list its parts.

    Args:
        source: the whole image; whoever made it controls every byte.
        sha256: of the whole file, if it is known already.

    Raises:
        MalformedInput and its kinds, Unsupported: it says that it is a PE image or a capsule, and
            is not. What is neither is a raw image.
        Unavailable: it cannot be read.
    """
    whole = sha256 or _sha256(source)
    if looks_like_capsule(source):
        return _capsule(source, name, whole)
    if looks_like_pe(source):
        return _pe(source, name, whole)
    return FirmwareFacts("raw", name, source.size, whole)


def read_part(source: Source, part: FirmwarePart, limit: int = limits.MAX_JSON_BYTES) -> bytes:
    """The exact bytes of a part, such as an embedded bill of materials.

    Raises:
        TooLarge: more than ``limit`` bytes.
    """
    if part.region.size > limit:
        raise TooLarge(f"{part.region.size} bytes; at most {limit} are read", where=part.name)
    return source.read(part.region.offset, part.region.size)


# -- PE and UKI ----------------------------------------------------------------------------------


def _pe(source: Source, name: str, whole: str) -> FirmwareFacts:
    image = parse_pe(source)
    # Symbols behind the last section are usual, and Authenticode covers them: no anomaly here.
    anomalies = [each for each in image.anomalies if each[0] != "trailing-data"]
    parts = tuple(_sections(source, image, anomalies))
    by_name = {part.name: part for part in parts}
    release: Mapping[str, str] = {}
    if ".osrel" in by_name:
        release = _os_release(source, by_name[".osrel"], anomalies)
    kind = "uki" if ".linux" in by_name else "pe"
    return FirmwareFacts(
        kind,
        name,
        source.size,
        whole,
        authenticode=authenticode_digest(source, HashAlgorithm.SHA256).hex(),
        signed=image.certificates[1] > 0,
        version=_version(by_name, release),
        parts=parts,
        facts=(("machine", image.machine), ("subsystem", image.subsystem)),
        os_release=release,
        anomalies=tuple(anomalies),
    )


def _version(parts: Mapping[str, FirmwarePart], release: Mapping[str, str]) -> str | None:
    """The kernel's release, else the image's, else the operating system's, else the loader's."""
    candidates = (
        parts[".uname"].text if ".uname" in parts else None,
        release.get("IMAGE_VERSION"),
        release.get("VERSION_ID") if ".linux" in parts else None,
        parts[".sdmagic"].version if ".sdmagic" in parts else None,
    )
    return next((each for each in map(clean_version, candidates) if each is not None), None)


def _sections(
    source: Source, image: PeImage, anomalies: list[tuple[str, str]]
) -> Iterator[FirmwarePart]:
    """The known sections in order. Each ``.profile`` begins a profile; they count from 0, the
    sections in front of the first one belong to the base."""
    profile, seen = -1, Counter[tuple[int, str]]()
    for section in image.sections:
        if section.name not in UKI_SECTIONS:
            continue
        if section.name == ".profile":
            profile += 1
        seen[profile, section.name] += 1
        number = seen[profile, section.name]
        if number > 1 and section.name not in _REPEATED:
            anomalies.append(("duplicate-section", f"{section.name} occurs {number} times"))
        label = section.name if profile < 0 else f"{section.name}@{profile}"
        yield _section(source, section, label if number == 1 else f"{label}#{number}", anomalies)


def _section(
    source: Source, section: Section, label: str, anomalies: list[tuple[str, str]]
) -> FirmwarePart:
    content = section_content(source, section)
    region = Region(section.raw_offset, content.size)
    text, version, bom = None, None, None
    facts: list[tuple[str, str]] = []
    if section.name in _TEXTS:
        text = _text(content, label, anomalies)
    if section.name == ".sdmagic" and text is not None:
        match = _SDMAGIC.fullmatch(text)
        if match:
            facts, version = [("loader", match[1])], clean_version(match[2])
    elif section.name == ".sbom":
        bom = _embedded_bom(content)
        facts = [("bom-format", bom.form), *([("bom-version", bom.version)] if bom.version else [])]
    elif section.name == ".sbat":
        facts = list(_sbat(content, label, anomalies))
    elif section.name in (".linux", ".efifw") and looks_like_pe(content):
        facts = list(_inner_image(content, label, anomalies))
    return FirmwarePart(
        label,
        UKI_SECTIONS[section.name],
        region,
        _sha256(content),
        version=version,
        text=text,
        bom=bom,
        facts=tuple(facts),
    )


def _text(content: Source, label: str, anomalies: list[tuple[str, str]]) -> str | None:
    """A small text without the NULs at its end; None and an anomaly for anything else."""
    if content.size <= limits.MAX_EMBEDDED_TEXT_BYTES:
        data = content.read(0, content.size).rstrip(b"\0\n")
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            if "\0" not in text:
                return text
    anomalies.append(("not-a-text", f"{label} holds no short text"))
    return None


def _embedded_bom(content: Source) -> EmbeddedBom:
    """Which format an embedded bill of materials says it has; it is not judged here."""
    if content.size > limits.MAX_JSON_BYTES:
        return EmbeddedBom("unknown", None)
    data = content.read(0, content.size).rstrip(b"\0")
    try:
        document = jsonstrict.loads(data, what="embedded bill of materials")
    except MalformedInput:
        return EmbeddedBom("unknown", None)
    if not isinstance(document, dict):
        return EmbeddedBom("unknown", None)
    if document.get("bomFormat") == "CycloneDX":
        return EmbeddedBom("CycloneDX", clean_text(document.get("specVersion"), 20))
    if "spdxVersion" in document:
        return EmbeddedBom("SPDX", clean_text(document["spdxVersion"], 20))
    if "spdx.org/rdf/3" in str(document.get("@context", ""))[:200]:
        return EmbeddedBom("SPDX", "3")
    return EmbeddedBom("unknown", None)


def _sbat(
    content: Source, label: str, anomalies: list[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    size = min(content.size, limits.MAX_EMBEDDED_TEXT_BYTES + 1)
    try:
        for entry in parse_sbat(content.read(0, size)):
            yield f"sbat:{entry.component}", str(entry.generation)
    except MalformedInput as error:
        anomalies.append((error.code, f"{label}: {error}"))


def _inner_image(
    content: Source, label: str, anomalies: list[tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """The kernel inside a UKI is an image of its own: what it would measure if it were booted."""
    try:
        digest = authenticode_digest(content, HashAlgorithm.SHA256)
    except (MalformedInput, Unsupported) as error:
        anomalies.append((error.code, f"{label}: {error}"))
    else:
        yield "authenticode:sha256", digest.hex()


def _os_release(
    source: Source, part: FirmwarePart, anomalies: list[tuple[str, str]]
) -> dict[str, str]:
    try:
        data = read_part(source, part, limits.MAX_OS_RELEASE_BYTES)
        return parse_os_release(data.rstrip(b"\0"))
    except MalformedInput as error:
        anomalies.append((error.code, f".osrel: {error}"))
        return {}


# -- capsules ------------------------------------------------------------------------------------


def _capsule(source: Source, name: str, whole: str) -> FirmwareFacts:
    capsule = parse_capsule(source)
    versions = {each.version for each in capsule.payloads if each.version is not None}
    return FirmwareFacts(
        "capsule",
        name,
        source.size,
        whole,
        signed=any(each.authenticated for each in capsule.payloads) if capsule.payloads else None,
        version=f"{versions.pop():#010x}" if len(versions) == 1 else None,
        parts=tuple(_capsule_parts(source, capsule)),
        facts=(
            ("capsule-guid", capsule.guid),
            ("capsule-kind", capsule.kind),
            *(("capsule-flag", flag) for flag in capsule.flags),
        ),
        anomalies=capsule.anomalies,
    )


def _capsule_parts(source: Source, capsule: Capsule) -> Iterator[FirmwarePart]:
    if not capsule.payloads and not capsule.drivers:
        yield _part(source, "body", capsule.kind, capsule.body)
    for number, region in enumerate(capsule.drivers):
        yield _part(source, f"driver-{number}", "embedded driver", region)
    for number, payload in enumerate(capsule.payloads):
        yield _part(
            source,
            f"payload-{number}",
            "firmware image for a device",
            payload.content,
            version=None if payload.version is None else f"{payload.version:#010x}",
            facts=tuple(_payload_facts(source, payload)),
        )


def _payload_facts(source: Source, payload: Payload) -> Iterable[tuple[str, str]]:
    yield "image-type", payload.image_type
    yield "image-index", str(payload.index)
    if payload.hardware_instance is not None:
        yield "hardware-instance", f"{payload.hardware_instance:#x}"
    yield "authenticated", "yes" if payload.authenticated else "no"
    if payload.monotonic_count is not None:
        yield "monotonic-count", str(payload.monotonic_count)
    if payload.lowest_version is not None:
        yield "lowest-version", f"{payload.lowest_version:#010x}"
    if payload.vendor_code.size:
        code = Window(source, payload.vendor_code.offset, payload.vendor_code.size)
        yield "vendor-code:sha256", _sha256(code)


def _part(
    source: Source,
    name: str,
    description: str,
    region: Region,
    *,
    version: str | None = None,
    facts: tuple[tuple[str, str], ...] = (),
) -> FirmwarePart:
    content = Window(source, region.offset, region.size)
    return FirmwarePart(name, description, region, _sha256(content), version=version, facts=facts)


def _sha256(source: Source) -> str:
    hasher = HashAlgorithm.SHA256.new()
    for offset in range(0, source.size, _CHUNK):
        hasher.update(source.read(offset, min(_CHUNK, source.size - offset)))
    return hasher.hexdigest()


# -- the component -------------------------------------------------------------------------------


def firmware_component(
    facts: FirmwareFacts,
    *,
    name: str,
    ref: str,
    version: str | None = None,
    properties: tuple[Property, ...] = (),
) -> Component:
    """An image as a component of type ``firmware``, its parts as components inside it.

    Args:
        version: overrides what the image says.
        properties: go before those of the facts, such as the artifact's digests.
    """
    own = [("kind", facts.kind), ("size", str(facts.size)), *facts.facts]
    if facts.authenticode is not None:
        own.append(("authenticode:sha256", facts.authenticode))
    if facts.signed is not None:
        own.append(("signed", "yes" if facts.signed else "no"))
    own += [(f"os-release:{key}", value) for key, value in facts.os_release.items()]
    own += [("anomaly", f"{code}: {message}") for code, message in facts.anomalies]
    return Component(
        type="firmware",
        ref=ref,
        name=name,
        version=version or facts.version,
        hashes=(Hash("SHA-256", facts.sha256),),
        components=tuple(_part_component(part, ref) for part in facts.parts),
        properties=(*properties, *_named(own)),
    )


def _part_component(part: FirmwarePart, ref: str) -> Component:
    own = [("size", str(part.region.size)), ("offset", str(part.region.offset)), *part.facts]
    if part.text is not None:
        own.append(("text", part.text))
    return Component(
        type="firmware" if part.name.startswith(("payload-", "driver-")) else "file",
        ref=f"{ref}#{part.name}",
        name=part.name,
        version=part.version,
        description=part.description,
        hashes=(Hash("SHA-256", part.sha256),),
        properties=_named(own),
    )


def _named(pairs: Iterable[tuple[str, str]]) -> tuple[Property, ...]:
    return tuple(Property(f"attest:firmware:{key}", value) for key, value in pairs if value)
