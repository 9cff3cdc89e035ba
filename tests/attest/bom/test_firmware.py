"""What firmware images consist of, and that each part's digest is of its exact content."""

from __future__ import annotations

import hashlib

import pytest

from attest.bom.components import to_json
from attest.bom.document import BomDocument
from attest.bom.firmware import describe_firmware, firmware_component, read_part
from attest.bom.schema import validate_bom
from attest.codec.pe import authenticode_digest
from attest.codec.reader import BytesSource
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, TooLarge
from tests.support.firmware import capsule, fmp_payload, pe, uki


def describe(data: bytes):
    return describe_firmware(BytesSource(data), "image")


def test_a_raw_image():
    facts = describe(b"\x7fFW" * 100)
    assert (facts.kind, facts.size, facts.parts) == ("raw", 300, ())
    assert facts.sha256 == hashlib.sha256(b"\x7fFW" * 100).hexdigest()
    assert (facts.signed, facts.authenticode) == (None, None)


def test_an_empty_image():
    assert describe(b"").kind == "raw"


def test_a_uki():
    data = uki()
    facts = describe(data)
    assert facts.kind == "uki"
    assert facts.version == "6.1.0-55-cloud-amd64"
    assert facts.os_release == {"ID": "debian", "VERSION_ID": "12"}
    parts = {part.name: part for part in facts.parts}
    assert set(parts) == {
        ".osrel", ".cmdline", ".uname", ".sbat", ".sbom", ".initrd", ".linux",
    }  # fmt: skip
    initrd = b"\x1f\x8b" + bytes(range(256)) * 9
    assert parts[".initrd"].sha256 == hashlib.sha256(initrd).hexdigest()
    # What systemd-stub measures into PCR 11: the command line with its NUL, without padding.
    assert parts[".cmdline"].sha256 == hashlib.sha256(b"console=ttyS0 quiet\0").hexdigest()
    assert parts[".cmdline"].text == "console=ttyS0 quiet"
    assert dict(parts[".sbat"].facts) == {"sbat:sbat": "1", "sbat:systemd": "1"}
    assert facts.authenticode == authenticode_digest(
        BytesSource(data), HashAlgorithm.SHA256
    ).hex()  # fmt: skip
    inner = authenticode_digest(BytesSource(pe()), HashAlgorithm.SHA256).hex()
    assert dict(parts[".linux"].facts) == {"authenticode:sha256": inner}
    assert facts.anomalies == ()


@pytest.mark.parametrize(
    ("content", "form", "version"),
    [
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6"}\0\0', "CycloneDX", "1.6"),
        (b'{"spdxVersion":"SPDX-2.3"}', "SPDX", "SPDX-2.3"),
        (b'{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}', "SPDX", "3"),
        (b'{"bomFormat":"CycloneDX","specVersion":7}', "CycloneDX", None),
        (b"[]", "unknown", None),
        (b"{", "unknown", None),
        (b'{"a":' + b"[" * 999, "unknown", None),
        (b"\x78\x9c", "unknown", None),
    ],
)
def test_an_embedded_bom_is_named_and_kept(content: bytes, form: str, version: str | None):
    source = BytesSource(uki(sbom=content))
    (part,) = [each for each in describe_firmware(source, "x").parts if each.name == ".sbom"]
    assert part.bom is not None
    assert (part.bom.form, part.bom.version) == (form, version)
    assert read_part(source, part) == content


def test_reading_a_part_is_bounded():
    source = BytesSource(uki())
    (part,) = [each for each in describe_firmware(source, "x").parts if each.name == ".initrd"]
    with pytest.raises(TooLarge):
        read_part(source, part, limit=100)


def test_profiles_have_their_own_sections():
    data = pe([
        (".linux", b"k"), (".cmdline", b"base"),
        (".profile", b"ID=one"), (".cmdline", b"first"),
        (".profile", b"ID=two"), (".cmdline", b"second"), (".dtbauto", b"a"), (".dtbauto", b"b"),
    ])  # fmt: skip
    facts = describe(data)
    assert [part.name for part in facts.parts] == [
        ".linux", ".cmdline", ".profile@0", ".cmdline@0", ".profile@1", ".cmdline@1",
        ".dtbauto@1", ".dtbauto@1#2",
    ]  # fmt: skip
    assert facts.anomalies == ()


def test_a_second_section_of_one_name_is_told():
    """A loader that takes the first one and a reader that takes the last see two images."""
    facts = describe(pe([(".linux", b"k"), (".cmdline", b"quiet"), (".cmdline", b"init=/bin/sh")]))
    assert [part.name for part in facts.parts] == [".linux", ".cmdline", ".cmdline#2"]
    assert [code for code, _ in facts.anomalies] == ["duplicate-section"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"osrel": b"ID=$(reboot)\n"}, "malformed-os-release"),
        ({"cmdline": b"\xff\xfe"}, "not-a-text"),
        ({"cmdline": b"a\0b"}, "not-a-text"),
        ({"sbat": b"nothing"}, "malformed-sbat"),
        ({"linux": pe(count=65535)}, "too-large"),
        ({"uname": b"x" * 70_000}, "not-a-text"),
    ],
    ids=str,
)
def test_odd_parts_are_told_and_still_hashed(changes: dict[str, bytes], code: str):
    facts = describe(uki(**changes))
    assert [each for each, _ in facts.anomalies] == [code]
    name, content = next(iter(changes.items()))
    (part,) = [each for each in facts.parts if each.name == f".{name}"]
    assert part.sha256 == hashlib.sha256(content).hexdigest()


def test_a_signed_image():
    facts = describe(pe(certificate=b"c" * 64))
    assert (facts.kind, facts.signed) == ("pe", True)
    assert facts.authenticode == describe(pe()).authenticode
    assert facts.sha256 != describe(pe()).sha256


def test_a_capsule():
    data = capsule([b"driver", fmp_payload(b"firmware" * 10, vendor=b"code")], drivers=1)
    facts = describe(data)
    assert (facts.kind, facts.signed, facts.version) == ("capsule", True, "0x00010203")
    driver, payload = facts.parts
    assert driver.sha256 == hashlib.sha256(b"driver").hexdigest()
    assert payload.sha256 == hashlib.sha256(b"firmware" * 10).hexdigest()
    assert dict(payload.facts) == {
        "image-type": "11111111-2222-3333-4444-555555555555",
        "image-index": "1",
        "hardware-instance": "0x7",
        "authenticated": "yes",
        "monotonic-count": "41",
        "lowest-version": "0x00010000",
        "vendor-code:sha256": hashlib.sha256(b"code").hexdigest(),
    }


def test_another_capsule():
    facts = describe(capsule([b"x" * 40], guid="4a3ca68b-7723-48fb-803d-578cc1fec44d"))
    assert [part.name for part in facts.parts] == ["body"]
    assert facts.signed is None


def overlapping() -> bytes:
    return pe([(".linux", b"1" * 512), (".b", b"2")], places={".b": (1, 0x9000, 512, 700)})


@pytest.mark.parametrize(
    "data",
    [overlapping(), pe(count=65535), capsule([fmp_payload(b"x")], size=9999), capsule([])],
    ids=["section-overlap", "65535-sections", "capsule-size", "empty-capsule"],
)
def test_a_malformed_image_is_refused(data: bytes):
    with pytest.raises(MalformedInput):
        describe(data)


def test_a_known_digest_is_taken():
    assert describe_firmware(BytesSource(b"x"), "x", sha256="ab" * 32).sha256 == "ab" * 32


@pytest.mark.parametrize(
    "data",
    [b"raw", pe(certificate=b"c" * 64), uki(), capsule([fmp_payload(b"x")])],
    ids=["raw", "pe", "uki", "capsule"],
)
def test_the_component_is_valid_cyclonedx(data: bytes):
    component = firmware_component(describe(data), name="image", ref="image")
    for version in ("1.6", "1.7"):
        bom = BomDocument(component=component, spec_version=version)
        assert validate_bom(bom.to_bytes()) == []
    made = to_json(component)
    assert made["type"] == "firmware"
    assert made["hashes"] == [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]
