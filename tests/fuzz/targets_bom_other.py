"""Fuzz targets of firmware images, dataset descriptions and scanner reports; see ``targets.py``."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from typing import Final

from attest.bom.dataset import dataset_component, describe_dataset
from attest.bom.document import BomDocument
from attest.bom.firmware import describe_firmware, firmware_component
from attest.bom.vulnerabilities import VulnerabilitySeverity, normalise
from attest.codec.capsule import parse_capsule
from attest.codec.croissant import parse_croissant
from attest.codec.osrelease import parse_os_release
from attest.codec.pe import authenticode_digest, parse_pe, parse_sbat, section_content
from attest.codec.reader import BytesSource
from attest.codec.sarif import read_sarif
from attest.codec.scanreports import load_report, parse_report
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput
from tests.support.bom_examples import grype, sarif, trivy, vex
from tests.support.firmware import capsule, fmp_payload, pe, uki


def fuzz_pe(data: bytes) -> None:
    """Sections lie apart in the file; the digest covers what is no checksum and no certificate."""
    source = BytesSource(data)
    image = parse_pe(source)
    spans = sorted((s.raw_offset, s.raw_offset + s.raw_size) for s in image.sections if s.raw_size)
    end = image.headers_size
    for start, stop in spans:
        assert end <= start < stop <= len(data) - image.certificates[1]
        end = stop
    digest = authenticode_digest(source, HashAlgorithm.SHA256)
    changed = bytearray(data)
    changed[image.checksum_offset : image.checksum_offset + 4] = b"\xa5\x5a\xa5\x5a"
    for at in range(image.certificates[0], image.certificates[0] + image.certificates[1]):
        changed[at] ^= 0xFF
    assert authenticode_digest(BytesSource(bytes(changed)), HashAlgorithm.SHA256) == digest
    if not any(code == "gap" for code, _ in image.anomalies):
        assert digest == hashlib.sha256(_flat(data, image.certificates[1])).digest()
    for section in image.sections:
        if section.virtual_size <= section.raw_size:
            content = section_content(source, section)
            assert content.size == min(section.virtual_size or section.raw_size, section.raw_size)
    facts = describe_firmware(source, "x")
    firmware_component(facts, name="x", ref="x")


def _flat(data: bytes, certificates: int) -> bytes:
    """What Authenticode covers of an image without gaps, by plain offsets."""
    optional = struct.unpack_from("<I", data, 60)[0] + 24
    directories = optional + {0x10B: 96, 0x20B: 112}[struct.unpack_from("<H", data, optional)[0]]
    number = struct.unpack_from("<I", data, directories - 4)[0]
    entry = directories + 32
    body = data[: len(data) - certificates]
    if number <= 4:
        return body[: optional + 64] + body[optional + 68 :]
    return body[: optional + 64] + body[optional + 68 : entry] + body[entry + 8 :]


def fuzz_capsule(data: bytes) -> None:
    """Drivers and payloads lie inside, in order and apart."""
    source = BytesSource(data)
    read = parse_capsule(source)
    assert read.body.offset + read.body.size == len(data)
    end = read.header_size
    for region in read.drivers:
        assert end <= region.offset
        end = region.offset + region.size
    for payload in read.payloads:
        assert end <= payload.image.offset <= payload.content.offset
        content_end = payload.content.offset + payload.content.size
        assert content_end == payload.image.offset + payload.image.size
        assert payload.vendor_code.offset == content_end
        end = payload.vendor_code.offset + payload.vendor_code.size
    assert end <= len(data)
    firmware_component(describe_firmware(source, "x"), name="x", ref="x")


def fuzz_osrelease(data: bytes) -> None:
    """What is read is what was written, quoted or not; SBAT of the same bytes may be refused."""
    read = parse_os_release(data)
    lines = [f'{key}="{_quoted(value)}"' for key, value in read.items()]
    assert parse_os_release("\n".join(lines).encode()) == read
    try:
        assert parse_sbat(data)
    except MalformedInput:
        return


def _quoted(value: str) -> str:
    for special in '\\"$`':
        value = value.replace(special, f"\\{special}")
    return value


def fuzz_croissant(data: bytes) -> None:
    """A description is what its JSON says, and makes a component."""
    read = parse_croissant(data)
    document = json.loads(data)
    assert isinstance(document, dict)
    for entry in read.files:
        assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == 32
    facts = describe_dataset({"croissant.json": BytesSource(data), "a.csv": BytesSource(b"a")})
    component = dataset_component(facts, name="x", ref="x")
    BomDocument(component=component).to_bytes()


def fuzz_scanreports(data: bytes) -> None:
    """Every finding has a severity of ours; none is made up, and none says less than was said."""
    report = normalise(parse_report(data))
    for finding in report.findings:
        assert finding.id
        if finding.severity is VulnerabilitySeverity.NONE:
            assert b"one" in data.lower() or b"\\u" in data
        assert finding.score is None or 0 <= finding.score <= 10
    assert sum(report.counts().values()) == len(report.findings)


def fuzz_sarif(data: bytes) -> None:
    """SARIF alone: nothing that failed or never ran gets through."""
    document = load_report(data)
    report = read_sarif(document)
    (run,) = document["runs"]
    assert len(report.findings) <= len(run["results"])
    assert all(
        each.get("executionSuccessful") is not False for each in run.get("invocations") or ()
    )
    normalise(report)


# -- seeds ---------------------------------------------------------------------------------------


def _images() -> list[bytes]:
    return [
        pe(),
        pe(certificate=b"c" * 64),
        pe([(".a", b"1" * 600), (".b", b"2")], trailing=b"tail"),
        pe([(".a", b"1" * 512), (".b", b"2" * 512)], places={".a": (0, 0x9000, 0, 0)}),
        pe(magic=0x10B, optional_size=224),
        pe(directories=4, optional_size=240),
        uki(),
        uki(sbat=None, cmdline=b"\xff"),
        pe(count=65535),
    ]


def _capsules() -> list[bytes]:
    return [
        capsule([fmp_payload(b"firmware" * 4)]),
        capsule([b"driver", fmp_payload(b"x", version=3, vendor=b"code")], drivers=1),
        capsule([fmp_payload(b"x", version=1, authenticated=False, payload_header=None)]),
        capsule([b"x" * 40], guid="3b6686bd-0d76-4030-b70e-b5519e2fc5a0"),
        capsule([fmp_payload(b"x")], size=10),
    ]


def _os_releases() -> list[bytes]:
    return [
        b"ID=debian\nVERSION_ID=\"12\"\nNAME='a b'\n# c\n",
        b'A="\\"\\$\\\\"\nB=\n',
        b"ID=$(id)\n",
    ]


def _descriptions() -> list[bytes]:
    from tests.attest.codec.test_croissant import BAD, encode

    return [encode(), encode(conformsTo=..., name=["a", "b"]), *(data for data, _ in BAD.values())]


def _reports() -> list[bytes]:
    from tests.attest.codec.test_scanreports import BAD

    documents = [grype(), trivy(), sarif(), vex(), *(each for each, _ in BAD.values())]
    return [json.dumps(document).encode() for document in documents]


def _logs() -> list[bytes]:
    documents = [
        sarif(),
        sarif(invocations=None),
        sarif(results=[{"ruleId": "A", "kind": "pass"}, {"ruleId": "B", "level": "none"}]),
        sarif(results=None),
        sarif(invocations=[{"executionSuccessful": False}]),
    ]
    return [json.dumps(document).encode() for document in documents]


SEEDS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "fuzz_pe": _images,
    "fuzz_capsule": _capsules,
    "fuzz_osrelease": _os_releases,
    "fuzz_croissant": _descriptions,
    "fuzz_scanreports": _reports,
    "fuzz_sarif": _logs,
}


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    return SEEDS[name]()
