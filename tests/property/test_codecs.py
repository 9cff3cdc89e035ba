"""Laws of the codecs."""

from __future__ import annotations

import base64
import json
import math
import random
from array import array
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest.codec import b64, bigjson, jsonstrict
from attest.codec.dsse import EnvelopeSignature, encode_envelope, parse_envelope
from attest.codec.manifest import Manifest, check_name, normalisation_collision
from attest.codec.oms import encode_oms, parse_oms
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput, Unsupported

integers = st.integers(-(10**19), 10**19)
scalars = st.none() | st.booleans() | integers | st.floats(allow_nan=False) | st.text(max_size=20)
values = st.recursive(
    scalars | st.floats(allow_infinity=False, allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=15,
)
finite = values.filter(lambda value: "Infinity" not in json.dumps(value))
punctuation = st.text(alphabet='{}[],:"\\ a\u2603\U0001f600', max_size=12)
awkward = st.recursive(
    punctuation | st.integers(0, 9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(punctuation, inner, max_size=4),
    max_leaves=12,
)
objects = st.lists(st.dictionaries(punctuation, awkward, max_size=4), max_size=12)


def is_name(text: str) -> bool:
    try:
        check_name(text)
    except MalformedInput:
        return False
    return True


parts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6
)
names = st.lists(parts, min_size=1, max_size=4).map("/".join).filter(is_name)
name_lists = st.lists(names, min_size=1, max_size=8, unique=True).filter(
    lambda listed: normalisation_collision(listed) is None
)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    algorithm = draw(st.sampled_from(list(HashAlgorithm)))
    listed = sorted(draw(name_lists))
    size = algorithm.size * len(listed)
    digests = draw(st.binary(min_size=size, max_size=size))
    sizes = draw(
        st.lists(st.integers(0, (1 << 63) - 1), min_size=len(listed), max_size=len(listed))
    )
    assumed = draw(st.sets(st.integers(0, len(listed) - 1)))
    return Manifest(algorithm, listed, bytearray(digests), array("Q", sizes), assumed=assumed)


def same(one: Any, other: Any) -> bool:
    """Equal in value and in every type."""
    if isinstance(one, float) and isinstance(other, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other)
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return one == other


# Strict JSON


@given(finite, st.booleans(), st.sampled_from([None, 1]))
def test_json_is_read_as_the_standard_library_reads_it(value, escaped, indent):
    data = json.dumps(value, ensure_ascii=escaped, indent=indent).encode()
    assert same(jsonstrict.loads(data, what="x"), json.loads(data))


@given(
    st.binary(max_size=60)
    | st.text(alphabet='{}[],:"\\/0129.-+eEntfu \n', max_size=40).map(str.encode)
)
def test_what_strict_json_accepts_the_standard_library_reads_equally(data):
    try:
        value = jsonstrict.loads(data, what="x")
    except MalformedInput:
        return
    assert same(value, json.loads(data))


@given(st.dictionaries(st.text(max_size=4), st.integers(0, 9), min_size=1, max_size=4), st.data())
def test_one_key_twice_is_refused_in_any_spelling(members, data):
    key = data.draw(st.sampled_from(list(members)))
    spelled = "".join(
        f"\\u{unit:04x}"
        for char in key
        for unit in array("H", char.encode("utf-16-le", "surrogatepass"))
    )
    text = json.dumps(members)[:-1] + f', "{spelled}": 0}}'
    with pytest.raises(MalformedInput) as caught:
        jsonstrict.loads(text.encode(), what="x")
    assert caught.value.code == "duplicate-key"


@given(finite, st.data())
def test_truncated_json_is_refused(value, data):
    text = json.dumps([value]).encode()
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(MalformedInput):
        jsonstrict.loads(text[:cut], what="x")


# Windows


def elements(data: bytes) -> tuple[list[Any], int]:
    taken: list[Any] = []
    return taken, bigjson.each_element(data, 0, taken.extend, what="array")


@pytest.fixture(params=[1, 3, 20], scope="module")
def window(request):
    with mock.patch.object(bigjson, "_WINDOW", request.param):
        yield


@settings(max_examples=40)
@given(value=objects, escaped=st.booleans(), tail=st.sampled_from([b"", b" ", b"}}", b"]", b"},"]))
def test_windows_read_what_the_standard_library_reads(window, value, escaped, tail):
    data = json.dumps(value, ensure_ascii=escaped).encode()
    assert elements(data + tail) == (value, len(data))


@settings(max_examples=40)
@given(value=objects, data=st.data())
def test_truncated_array_is_refused(window, value, data):
    text = json.dumps(value, ensure_ascii=False).encode()
    with pytest.raises(MalformedInput):
        elements(text[: data.draw(st.integers(1, len(text) - 1))])


@settings(max_examples=40)
@given(value=objects, data=st.data())
def test_changed_byte_is_refused_or_read_as_the_standard_library_reads_it(window, value, data):
    text = bytearray(json.dumps(value, ensure_ascii=False).encode())
    at = data.draw(st.integers(1, len(text) - 1))
    text[at] = data.draw(st.integers(0, 255))
    try:
        found, end = elements(bytes(text))
    except (MalformedInput, Unsupported):
        return
    assert found == json.loads(text[:end])


@settings(max_examples=50)
@given(st.integers(0, 1 << 32), st.integers(0, 9), st.integers(0, 3))
def test_payload_is_cut_out_and_comes_back(seed, more, extra):
    payload = random.Random(seed).randbytes(50_000 + more)
    document = {"x": ["y"] * extra, "payload": b64.encode(payload), "payloadType": "t"}
    found, cut = bigjson.loads_with_payload(
        json.dumps(document).encode(), what="x", path=("payload",)
    )
    assert (cut or b64.decode(found["payload"], what="x")) == payload
    assert cut is not None


# Base64


@given(st.binary(max_size=40))
def test_base64_round_trip(data):
    assert b64.decode(b64.encode(data), what="x", allow_empty=True) == data


@given(st.text(alphabet="AQgw+/-_=\n ", max_size=12) | st.text(max_size=8))
def test_base64_accepts_one_spelling_per_value(text):
    try:
        value = b64.decode(text, what="x", allow_empty=True)
    except MalformedInput:
        return
    assert base64.b64encode(value).decode() == text


# Manifests


@given(manifests())
def test_manifest_round_trip(manifest):
    payload = encode_oms("m", manifest, ignore_paths=(), allow_symlinks=False)
    read = parse_oms(bytes(payload))
    assert read.manifest == manifest
    assert read.subject.digests == {
        "sha256": manifest.root().hex,
        manifest.tree_name(): manifest.tree_digest().hex,
    }


@given(manifests(), st.data())
def test_tree_digest_binds_names_sizes_and_content(manifest, data):
    before, root = manifest.tree_digest(), manifest.root()
    at = data.draw(st.integers(0, len(manifest) - 1))
    what = data.draw(st.sampled_from(["rename", "resize", "content"]))
    if what == "rename":
        old = manifest.names[at]
        new = data.draw(names.filter(lambda name: name not in manifest.names))
        listed = sorted([*manifest.names[:at], new, *manifest.names[at + 1 :]])
        if listed.index(new) != at:
            return  # moves other entries, too
        manifest.names = listed
        assert old not in listed
        assert manifest.root() == root
    elif what == "resize":
        sizes = manifest.sizes
        assert sizes is not None
        sizes[at] = data.draw(st.integers(0, (1 << 63) - 1).filter(lambda size: size != sizes[at]))
        assert manifest.root() == root
    else:
        manifest.digests[at * manifest.algorithm.size] ^= 1
        assert manifest.root() != root
    assert manifest.tree_digest() != before


@given(manifests().filter(lambda manifest: len(manifest) > 1), st.data())
def test_tree_digest_binds_which_file_is_which(manifest, data):
    first, second = data.draw(
        st.lists(st.integers(0, len(manifest) - 1), min_size=2, max_size=2, unique=True)
    )
    sizes, width = manifest.sizes, manifest.algorithm.size
    assert sizes is not None
    rows = [(sizes[i], manifest.digest(i)) for i in (first, second)]
    if rows[0] == rows[1]:
        return
    before = manifest.tree_digest()
    for index, (size, digest) in zip((second, first), rows, strict=True):
        sizes[index] = size
        manifest.digests[index * width : (index + 1) * width] = digest
    assert manifest.tree_digest() != before


@given(manifests(), st.data())
def test_truncated_statement_is_refused(manifest, data):
    payload = bytes(encode_oms("m", manifest, ignore_paths=(), allow_symlinks=False))
    with pytest.raises((MalformedInput, Unsupported)):
        parse_oms(payload[: data.draw(st.integers(0, len(payload) - 1))])


@given(manifests(), st.data())
def test_changed_statement_is_refused_or_means_something_definite(manifest, data):
    payload = bytearray(encode_oms("m", manifest, ignore_paths=(), allow_symlinks=False))
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = parse_oms(bytes(payload))
    except (MalformedInput, Unsupported):
        return
    document = json.loads(payload)
    entries = document["predicate"]["resources"]
    assert read.manifest.names == [entry["name"] for entry in entries]
    assert read.manifest.digests.hex() == "".join(entry["digest"] for entry in entries)
    assert dict(read.subject.digests) == document["subject"][0]["digest"]


# Envelopes

signatures = st.builds(
    EnvelopeSignature,
    st.binary(min_size=1, max_size=20),
    st.none() | st.text(min_size=1, max_size=8),
    st.lists(st.binary(min_size=1, max_size=9), max_size=2).map(tuple),
)


@given(
    st.text(max_size=9),
    st.binary(min_size=1, max_size=99),
    st.lists(signatures, min_size=1, max_size=4),
)
def test_envelope_round_trip(kind, payload, listed):
    read = parse_envelope(b"".join(encode_envelope(kind, payload, listed)))
    assert (read.payload_type, read.payload, read.signatures) == (kind, payload, tuple(listed))
