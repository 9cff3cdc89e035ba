"""PE images: layout, Authenticode, and every way to lie about either."""

from __future__ import annotations

import hashlib
import json
import struct

import pytest

from attest import limits
from attest.codec.pe import (
    authenticode_digest,
    looks_like_pe,
    parse_pe,
    parse_sbat,
    section_content,
)
from attest.codec.reader import BytesSource
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported
from tests.support.firmware import pe
from tests.support.fixtures import fixture

SHA256 = HashAlgorithm.SHA256


def independent_digest(data: bytes) -> str:
    """Authenticode over an image without gaps, in the shortest possible words."""
    optional = struct.unpack_from("<I", data, 60)[0] + 24
    entry = optional + {0x10B: 128, 0x20B: 144}[struct.unpack_from("<H", data, optional)[0]]
    size = struct.unpack_from("<I", data, entry + 4)[0]
    kept = data[: optional + 64] + data[optional + 68 : entry] + data[entry + 8 : len(data) - size]
    return hashlib.sha256(kept).hexdigest()


def test_sections_are_read():
    image = parse_pe(BytesSource(pe([(".text", b"a" * 700), (".data", b"b")])))
    assert (image.machine, image.subsystem, image.is_efi) == ("x86-64", "efi-application", True)
    assert [(s.name, s.content_size, s.raw_size) for s in image.sections] == [
        (".text", 700, 1024),
        (".data", 1, 512),
    ]
    assert image.certificates == (0, 0)
    assert image.anomalies == ()


def test_content_of_a_section_has_no_padding():
    source = BytesSource(pe([(".text", b"a" * 700), (".data", b"hello")]))
    (data,) = parse_pe(source).named(".data")
    content = section_content(source, data)
    assert content.read(0, content.size) == b"hello"


def test_content_larger_than_what_is_stored_is_refused():
    source = BytesSource(pe([(".data", b"hello")], places={".data": (600, 0x1000, 512, 512)}))
    with pytest.raises(MalformedInput) as caught:
        section_content(source, parse_pe(source).sections[0])
    assert caught.value.code == "section-not-in-file"


def test_a_section_name_that_is_not_ascii_is_escaped():
    data = bytearray(pe([("zzzzzzzz", b"a")]))
    at = data.index(b"zzzzzzzz")
    data[at : at + 8] = b"a\xff\0b\0\0\0\0"
    assert parse_pe(BytesSource(bytes(data))).sections[0].name == "a\\xff\0b"


# -- Authenticode --------------------------------------------------------------------------------


@pytest.mark.parametrize("certificate", [b"", b"c" * 1472])
@pytest.mark.parametrize("trailing", [b"", b"t" * 8, b"t" * 3])
def test_the_digest_leaves_out_checksum_and_certificates(certificate: bytes, trailing: bytes):
    data = pe([(".text", b"a" * 700), (".x", b"y")], certificate=certificate, trailing=trailing)
    assert authenticode_digest(BytesSource(data), SHA256).hex() == independent_digest(data)


def test_signing_does_not_change_the_digest():
    plain, signed = pe(), pe(certificate=b"c" * 64)
    assert authenticode_digest(BytesSource(plain), SHA256) == authenticode_digest(
        BytesSource(signed), SHA256
    )


def test_as_signed_pads_what_is_unsigned():
    odd, padded = pe(trailing=b"abc"), pe(trailing=b"abc".ljust(8, b"\0"))
    assert authenticode_digest(BytesSource(odd), SHA256, as_signed=True) == authenticode_digest(
        BytesSource(padded), SHA256
    )
    assert authenticode_digest(BytesSource(odd), SHA256) != authenticode_digest(
        BytesSource(padded), SHA256
    )


def test_sections_are_hashed_by_their_place_in_the_file():
    ordered = pe([(".a", b"1" * 512), (".b", b"2" * 512)])
    swapped = pe(
        [(".a", b"1" * 512), (".b", b"2" * 512)],
        places={".a": (512, 0x1000, 512, 512 + 512), ".b": (512, 0x2000, 512, 512)},
    )
    assert authenticode_digest(BytesSource(swapped), SHA256).hex() == independent_digest(swapped)
    assert ordered != swapped


def test_other_algorithms():
    assert len(authenticode_digest(BytesSource(pe()), HashAlgorithm.SHA384)) == 48


def test_memory_does_not_grow_with_the_image():
    class Huge:
        """200 MB of one section that nobody holds; the largest read is remembered."""

        def __init__(self) -> None:
            place = {".linux": (200_000_000, 0x1000, 200_000_000, 512)}
            self._head = pe([(".linux", b"")], places=place)[:512]
            self.size = 512 + 200_000_000
            self.largest = 0

        def read(self, offset: int, length: int) -> bytes:
            self.largest = max(self.largest, length)
            return (self._head[offset : offset + length]).ljust(length, b"\0")

    huge = Huge()
    authenticode_digest(huge, SHA256)
    assert huge.largest <= 1 << 20


# -- lies ----------------------------------------------------------------------------------------


def overlapping() -> bytes:
    return pe(
        [(".a", b"1" * 512), (".b", b"2" * 512)],
        places={".b": (512, 0x2000, 512, 700)},
    )


def certificates_not_last() -> bytes:
    return pe(certificate=b"c" * 64) + b"more"


def certificates_outside() -> bytes:
    return pe(certificate=b"c" * 64)[:-8]


BAD = {
    "empty": (b"", Truncated, "truncated"),
    "dos-header-cut": (pe()[:63], Truncated, "truncated"),
    "not-mz": (b"ZM" + pe()[2:], MalformedInput, "not-pe"),
    "te-image": (b"VZ" + pe()[2:], Unsupported, "unsupported-te-image"),
    "lfanew-beyond-the-end": (
        pe()[:60] + struct.pack("<I", 0x7FFFFFFF) + pe()[64:], Truncated, "truncated",
    ),
    "lfanew-in-dos-header": (
        pe()[:60] + struct.pack("<I", 4) + pe()[64:], MalformedInput, "header-overlap",
    ),
    "no-pe-signature": (pe().replace(b"PE\0\0", b"NE\0\0"), MalformedInput, "not-pe"),
    "65535-sections": (pe(count=65535), TooLarge, "too-large"),
    "512-sections-that-are-not-there": (pe(count=limits.MAX_PE_SECTIONS), Truncated, "truncated"),
    "optional-header-too-short": (pe(optional_size=100), Unsupported, "unsupported-pe"),
    "optional-header-without-directories": (
        pe(directories=17), MalformedInput, "bad-data-directories",
    ),
    "rom-image": (pe(magic=0x107), Unsupported, "unsupported-pe"),
    "headers-larger-than-file": (pe(headers_size=0x7FFFFFFF), Truncated, "truncated"),
    "headers-end-before-the-table": (pe(headers_size=64), MalformedInput, "header-overlap"),
    "section-overlap": (overlapping(), MalformedInput, "section-overlap"),
    "section-in-headers": (
        pe(places={".text": (100, 0x1000, 512, 8)}), MalformedInput, "header-overlap",
    ),
    "section-beyond-the-end": (
        pe(places={".text": (100, 0x1000, 0xFFFFFFFF, 512)}), Truncated, "truncated",
    ),
    "section-starts-beyond-the-end": (
        pe(places={".text": (100, 0x1000, 16, 0xFFFFFFF0)}), Truncated, "truncated",
    ),
    "section-over-certificates": (
        pe(certificate=b"c" * 512, places={".text": (100, 0x1000, 1024, 512)}),
        MalformedInput, "section-overlap",
    ),
    "certificates-not-last": (
        certificates_not_last(), MalformedInput, "data-after-certificates",
    ),
    "certificates-outside": (certificates_outside(), Truncated, "truncated"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_image(name: str):
    data, kind, code = BAD[name]
    with pytest.raises((MalformedInput, Unsupported)) as caught:
        parse_pe(BytesSource(data))
    assert type(caught.value) is kind
    assert caught.value.code == code
    with pytest.raises(kind):
        authenticode_digest(BytesSource(data), SHA256)


def test_a_gap_and_trailing_data_are_told():
    gap = pe([(".a", b"1" * 512), (".b", b"2" * 512)], places={".b": (0, 0x9000, 0, 0)})
    assert [code for code, _ in parse_pe(BytesSource(gap)).anomalies] == ["trailing-data"]
    hole = pe([(".a", b"1" * 512), (".b", b"2" * 512)], places={".a": (0, 0x9000, 0, 0)})
    assert [code for code, _ in parse_pe(BytesSource(hole)).anomalies] == ["gap"]


def test_overlap_in_memory_is_told():
    data = pe([(".a", b"1"), (".b", b"2")], places={".b": (9, 0x1000, 512, 1024)})
    assert [code for code, _ in parse_pe(BytesSource(data)).anomalies] == ["memory-overlap"]


def test_looks_like_pe():
    assert looks_like_pe(BytesSource(pe()))
    for data in (b"", b"MZ", b"MZ" + bytes(100), b"\x7fELF" + bytes(100)):
        assert not looks_like_pe(BytesSource(data))
    assert not looks_like_pe(BytesSource(b"MZ".ljust(60, b"\0") + b"\xff\xff\xff\xff" + bytes(9)))


# -- SBAT ----------------------------------------------------------------------------------------


def test_sbat():
    lines = (
        b"sbat,1,SBAT Version,sbat,1,https://x\ngrub.debian,5,Debian,grub2,2.06-13,https://y\n\0\0"
    )
    first, second = parse_sbat(lines)
    assert (first.component, first.generation) == ("sbat", 1)
    assert (second.component, second.generation, second.version) == ("grub.debian", 5, "2.06-13")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"sbat", b"sbat,0,a,b,c,d", b"sbat,+1,a", b"sbat,01,a", b",1,a",
     b"a,1,b\na,2,b", b"\xff,1,b", b"a,1,b\n\0c,1", b"a,9999999999,b"],
)  # fmt: skip
def test_bad_sbat(data: bytes):
    with pytest.raises(MalformedInput):
        parse_sbat(data)


# -- real boots ----------------------------------------------------------------------------------


def test_the_fixtures_measured_what_this_computes():
    """The digests that real boots measured are in the fixtures; the images are Debian's and are
    not. This holds what was compared by hand: see docs/formats/firmware.md."""
    measured = {
        entry["authenticode_sha256"]
        for meta in sorted(fixture("boot", "dev").glob("*/meta.json"))
        for entry in json.loads(meta.read_text()).get("boot_files", {}).values()
        if "authenticode_sha256" in entry
    }
    compared = {
        "9bf2519c746ec66b569300e423127a9361b47af7f66783c7e1378fb055671ad4",  # systemd-boot 252.39
        "a041d124254bcf3a72384df011e54f3cb7344d0365c53dd634702222bcf86a28",  # Linux 6.1.0-55-cloud
        "a68f6d71ebddaa19751ff8d729f67d11b0df8e4c49400c3e7e90de16119e1265",  # GRUB 2.06-13+deb12u2
        "80a66d53a945d2286fcadd780fae1c225aa732079cd67b5225dc78aaab4e2ff8",  # shim 16.1-2~deb12u1
    }
    assert compared <= measured
