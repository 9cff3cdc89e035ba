"""UEFI capsules: what they carry, and every size in them that can lie."""

from __future__ import annotations

import struct

import pytest

from attest import limits
from attest.codec.capsule import looks_like_capsule, parse_capsule
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, Unsupported
from tests.support.firmware import capsule, fmp_payload

ITEM = fmp_payload(b"firmware" * 10)


def test_an_authenticated_payload():
    data = capsule([ITEM])
    read = parse_capsule(BytesSource(data))
    assert (read.kind, read.flags) == (
        "firmware management protocol",
        ("persist-across-reset", "initiate-reset"),
    )
    (payload,) = read.payloads
    assert payload.image_type == "11111111-2222-3333-4444-555555555555"
    assert (payload.index, payload.hardware_instance) == (1, 7)
    assert (payload.authenticated, payload.monotonic_count) == (True, 41)
    assert (payload.version, payload.lowest_version) == (0x00010203, 0x00010000)
    region = payload.content
    assert data[region.offset : region.offset + region.size] == b"firmware" * 10
    assert read.anomalies == ()


@pytest.mark.parametrize(("version", "instance"), [(1, None), (2, 7), (3, 7)])
def test_image_header_versions(version: int, instance: int | None):
    read = parse_capsule(BytesSource(capsule([fmp_payload(b"x" * 9, version=version)])))
    assert read.payloads[0].hardware_instance == instance


def test_a_bare_payload():
    item = fmp_payload(b"raw bytes", authenticated=False, payload_header=None, vendor=b"code")
    data = capsule([item])
    (payload,) = parse_capsule(BytesSource(data)).payloads
    assert not payload.authenticated
    assert payload.version is None
    assert data[payload.content.offset :][: payload.content.size] == b"raw bytes"
    assert data[payload.vendor_code.offset :][: payload.vendor_code.size] == b"code"


def test_drivers_come_before_payloads():
    data = capsule([b"MZ driver", ITEM], drivers=1)
    read = parse_capsule(BytesSource(data))
    (driver,) = read.drivers
    assert data[driver.offset : driver.offset + driver.size] == b"MZ driver"
    assert len(read.payloads) == 1


def test_another_capsule_has_a_body_only():
    data = capsule([b"x" * 40], guid="3b6686bd-0d76-4030-b70e-b5519e2fc5a0")
    read = parse_capsule(BytesSource(data))
    assert (read.kind, read.payloads, read.body.size) == ("EDK capsule", (), len(data) - 28)


def test_unknown_flags_are_told():
    read = parse_capsule(BytesSource(capsule([ITEM], flags=0x1_0001)))
    assert read.flags == ("persist-across-reset", "0x1")


def test_anomalies():
    loose = parse_capsule(BytesSource(capsule([ITEM + b"\0\0"])))
    assert [code for code, _ in loose.anomalies] == ["gap"]
    lying = fmp_payload(b"x" * 9, version=3, support=0)
    told = parse_capsule(BytesSource(capsule([lying])))
    assert [code for code, _ in told.anomalies] == ["authentication-flag"]


def signature_size(length: int) -> bytes:
    data = bytearray(ITEM)
    struct.pack_into("<I", data, 40 + 8, length)
    return capsule([bytes(data)])


BAD = {
    "empty": (b"", "truncated"),
    "header-cut": (capsule([ITEM])[:27], "truncated"),
    "size-beyond-the-file": (capsule([ITEM], size=0xFFFFFFFF), "truncated"),
    "size-short-of-the-file": (capsule([ITEM], size=100), "trailing-data"),
    "data-after-it": (capsule([ITEM]) + b"\0", "trailing-data"),
    "header-larger-than-capsule": (capsule([ITEM], size=20), "bad-capsule-size"),
    "header-too-small": (
        capsule([ITEM])[:16] + struct.pack("<III", 8, 0, 200) + bytes(200), "bad-capsule-size"),
    "no-fmp-header": (capsule([ITEM])[:16] + struct.pack("<III", 28, 0, 30) + b"\0\0", "truncated"),
    "no-items": (capsule([]), "empty-capsule"),
    "65535-payloads": (capsule([ITEM], counts=(0, 65535)), "too-large"),
    "65535-drivers-and-payloads": (capsule([ITEM], counts=(65535, 65535)), "too-large"),
    "more-items-than-room": (
        capsule([b"x"], counts=(0, limits.MAX_CAPSULE_ITEMS), offsets=[16]), "truncated"),
    "first-item-in-header": (capsule([ITEM], offsets=[0]), "bad-item-offset"),
    "first-item-behind-a-hole": (capsule([ITEM], offsets=[17]), "bad-item-offset"),
    "items-in-reverse": (capsule([ITEM, ITEM], offsets=[24, 20]), "bad-item-offset"),
    "items-at-one-place": (capsule([ITEM, ITEM], offsets=[24, 24]), "bad-item-offset"),
    "item-beyond-the-end": (capsule([ITEM, ITEM], offsets=[24, 1 << 40]), "bad-item-offset"),
    "item-at-2^64": (capsule([ITEM, ITEM], offsets=[24, (1 << 64) - 1]), "bad-item-offset"),
    "payload-of-two-bytes": (capsule([b"\2\0"]), "truncated"),
    "payload-header-cut": (capsule([ITEM[:39]]), "truncated"),
    "image-size-lies": (capsule([fmp_payload(b"x", size=0xFFFFFFFF)]), "truncated"),
    "vendor-code-size-lies": (capsule([fmp_payload(b"x", vendor_size=0xFFFFFFFF)]), "truncated"),
    "signature-size-too-large": (signature_size(0xFFFFFFFF), "bad-signature-size"),
    "signature-size-too-small": (signature_size(8), "bad-signature-size"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_capsule(name: str):
    data, code = BAD[name]
    with pytest.raises(MalformedInput) as caught:
        parse_capsule(BytesSource(data))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        capsule([ITEM], guid="00000000-0000-0000-0000-000000000000"),
        capsule([ITEM], version=2),
        capsule([fmp_payload(b"x", version=1).replace(b"\1", b"\4", 1)]),
    ],
    ids=["unknown-guid", "fmp-version", "image-header-version"],
)
def test_unsupported_capsule(data: bytes):
    with pytest.raises(Unsupported):
        parse_capsule(BytesSource(data))


def test_looks_like_capsule():
    assert looks_like_capsule(BytesSource(capsule([ITEM])))
    for data in (b"", b"x" * 15, b"x" * 100):
        assert not looks_like_capsule(BytesSource(data))
