"""One function per codec: feed it any bytes, and it must hold.

The oracle is the same everywhere: nothing but :class:`MalformedInput` and :class:`Unsupported` gets
out, and what is accepted is what an independent, forgiving reader sees there.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from unittest import mock

from attest.codec import b64, bigjson, jsonstrict
from attest.codec.bundle import encode_bundle, parse_bundle
from attest.codec.digestlist import parse_digest_list
from attest.codec.dsse import encode_envelope, parse_envelope
from attest.codec.manifest import check_name
from attest.codec.oms import parse_oms
from attest.codec.shardindex import parse_dcp_metadata, parse_weight_map
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from attest.codec.tsp import parse_response
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput

VECTORS: Final = Path(__file__).parents[1] / "vectors"


@contextlib.contextmanager
def _small_windows() -> Iterator[None]:
    """Windows so small that cuts fall everywhere."""
    with mock.patch.object(bigjson, "_WINDOW", 40):
        yield


def fuzz_jsonstrict(data: bytes) -> None:
    value = jsonstrict.loads(data, what="x")
    assert value == json.loads(data)


def fuzz_bigjson(data: bytes) -> None:
    taken: list[Any] = []
    start = data.find(b"[")
    if start < 0:
        return
    with _small_windows():
        end = bigjson.each_element(data, start, taken.extend, what="array")
    assert taken == json.loads(data[start:end])


def fuzz_b64(data: bytes) -> None:
    assert base64.b64encode(b64.decode(data, what="x", allow_empty=True)) == data


def fuzz_dsse(data: bytes) -> None:
    read = parse_envelope(data)
    again = b"".join(encode_envelope(read.payload_type, read.payload, read.signatures))
    assert parse_envelope(again) == read


def fuzz_bundle(data: bytes) -> None:
    read = parse_bundle(data)
    (sole,) = read.envelope.signatures
    again = b"".join(
        encode_bundle(
            read.envelope.payload,
            sole.sig,
            hint="00",
            chain=getattr(read.material, "certificates", ()),
            timestamps=read.timestamps,
        )
    )
    made = parse_bundle(again)
    assert made.envelope.payload == read.envelope.payload
    assert made.timestamps == read.timestamps


def fuzz_signature(data: bytes) -> None:
    parse_signature(data)


def fuzz_oms(data: bytes) -> None:
    with _small_windows():
        read = parse_oms(data)
    document = json.loads(data)
    listed = document["subject"] if read.legacy else document["predicate"]["resources"]
    manifest = read.manifest
    assert len(listed) == len(manifest) > 0
    assert len(manifest.digests) == len(manifest) * manifest.algorithm.size
    if manifest.ranges is None:
        assert manifest.names == [entry["name"] for entry in listed]
        assert len(set(manifest.names)) == len(manifest)
    for name in manifest.names:
        if name != ".":
            check_name(name)
    if not read.legacy:
        assert manifest.digests.hex() == "".join(entry["digest"] for entry in listed)
        assert read.subject.digests == document["subject"][0]["digest"]
    if read.carries_tree_digest:
        manifest.tree_digest()


def fuzz_statement(data: bytes) -> None:
    read = parse_statement(data)
    assert read.subjects
    assert all(subject.digests for subject in read.subjects)


def fuzz_digestlist(data: bytes) -> None:
    digests = parse_digest_list(data, HashAlgorithm.SHA256)
    assert digests
    assert {len(value) for value in digests.values()} == {32}


def fuzz_shardindex(data: bytes) -> None:
    with contextlib.suppress(MalformedInput):
        parse_weight_map(data, where="x")
    for name in parse_dcp_metadata(data, where="x"):
        assert name.endswith(".distcp")
        assert "/" not in name


def fuzz_tsp(data: bytes) -> None:
    parse_response(data)


# Where fuzzing begins


def _files() -> list[bytes]:
    return [path.read_bytes() for path in sorted(VECTORS.glob("*/*.sig"))]


def _payloads() -> Iterator[bytes]:
    for data in _files():
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
            document = json.loads(data)
            document = document.get("dsseEnvelope", document)
            yield base64.b64decode(document["payload"], validate=True)


def _arrays() -> Iterator[bytes]:
    for payload in _payloads():
        start = payload.find(b'"resources"')
        if start >= 0:
            yield payload[start + 12 :]


def _pickles() -> list[bytes]:
    name = b"__0_0.distcp"
    return [
        b"\x80\x04(\x8c\x0c" + name + b"l.",
        b"\x80\x02(X\x0c\x00\x00\x00" + name + b"q\x00e.",
        b"(V" + name + b"\nl.",
        b"(S'" + name + b"'\nl.",
        b"cos\nsystem\n(S'x\\x41'\ntR.",
        b"\x80\x04\x8d\x0c\x00\x00\x00\x00\x00\x00\x00" + name + b".",
        b"\x80\x04\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fG?\xf0\x00\x00\x00\x00\x00\x00I1\nL9L\nF1.5\n.",
        b'{"weight_map": {"a": "m-00001-of-00002.safetensors"}}',
    ]


def _timestamps() -> list[bytes]:
    """Responses by a small authority; and those of real ones where the fixtures are here."""
    from attest.crypto.timestamp import build_request
    from tests.support.fixtures import fixtures_root
    from tests.support.tsa import TimestampAuthority

    authority = TimestampAuthority.make()
    request = build_request(b"signature").der
    made = [authority.respond(request), authority.respond(request, certificate_id="v1")]
    root = fixtures_root()
    real = sorted((root / "provenance" / "rfc3161").rglob("*.tsr")) if root else []
    return made + [path.read_bytes() for path in real[:8]]


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target, from our vectors."""
    made: dict[str, Callable[[], list[bytes]]] = {
        "fuzz_jsonstrict": lambda: _files()[:60] + list(_payloads())[:20],
        "fuzz_bigjson": lambda: list(_arrays()),
        "fuzz_b64": lambda: [b"", b"AAAA", b"AA==", b"AAA=", b"+/+/", b"AB=="],
        "fuzz_oms": lambda: list(_payloads()),
        "fuzz_statement": lambda: list(_payloads()),
        "fuzz_digestlist": lambda: [
            b"0" * 64 + b"  a\n",
            b"1" * 64 + b" *./a/b\n" + b"2" * 64 + b"  c",
            b"\\" + b"3" * 64 + b"  a\\nb\\\\\n",
        ],
        "fuzz_shardindex": _pickles,
        "fuzz_tsp": _timestamps,
    }
    return made.get(name, _files)()
