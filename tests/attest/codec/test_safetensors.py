"""The safetensors header: what is refused, what is an anomaly, and how fast."""

from __future__ import annotations

import json
import time

import pytest

from attest import limits
from attest.codec import safetensors as safetensors_codec
from attest.codec.reader import BytesSource
from attest.codec.safetensors import DTYPE_BITS, parse_safetensors
from attest.errors import MalformedInput, TooLarge, Truncated
from tests.support.modelfiles import safetensors, safetensors_raw


def parse(data):
    return parse_safetensors(BytesSource(data))


def codes(data):
    return [code for code, _ in parse(data).anomalies]


def test_a_good_file():
    made = safetensors(
        {"a": ("F32", [2, 2], 0, 16), "b": ("BF16", [], 16, 18), "none": ("I64", [0, 7], 18, 18)},
        bytes(18),
        metadata={"format": "pt"},
        padding=b"   ",
    )
    read = parse(made)
    assert [tensor.name for tensor in read.tensors] == ["a", "b", "none"]
    assert read.tensors[0] == ("a", "F32", (2, 2), 0, 16)
    assert read.metadata == {"format": "pt"}
    assert read.anomalies == ()
    assert read.data_start == len(made) - 18
    assert read.size == len(made)


def test_a_file_without_tensors():
    assert parse(safetensors({})).tensors == ()


@pytest.mark.parametrize(("dtype", "bits"), DTYPE_BITS.items())
def test_every_dtype(dtype, bits):
    size = 8 * bits // 8
    assert parse(safetensors({"a": (dtype, [8], 0, size)}, bytes(size))).anomalies == ()


@pytest.mark.parametrize("size", range(9))
def test_cut_off(size):
    with pytest.raises(MalformedInput):
        parse(safetensors({"a": ("U8", [1], 0, 1)}, b"x")[:size])


@pytest.mark.parametrize(
    "length", [1 << 63, (1 << 64) - 1, limits.MAX_SAFETENSORS_HEADER_BYTES + 1]
)
def test_length_over_the_cap(length):
    with pytest.raises(TooLarge):
        parse(safetensors_raw(b"{}", length=length))


def test_length_over_the_file():
    with pytest.raises(Truncated):
        parse(safetensors_raw(b"{}", length=3))


@pytest.mark.parametrize(
    "header", [b"", b" {}", b"\n{}", b"[]", b'"x"', b"\xef\xbb\xbf{}", b"null"]
)
def test_header_that_does_not_begin_with_a_brace(header):
    with pytest.raises(MalformedInput):
        parse(safetensors_raw(header))


GOOD = {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]}


@pytest.mark.parametrize(
    ("name", "header", "code"),
    [
        ("duplicate tensor", b'{"a":%(t)s,"a":%(t)s}', "duplicate-key"),
        ("duplicate member", b'{"a":{"dtype":"U8","dtype":"I8"}}', "duplicate-key"),
        ("duplicate metadata", b'{"__metadata__":{"a":"1","a":"2"}}', "duplicate-key"),
        ("not JSON", b"{'a': 1}", "malformed-json"),
        ("cut off", b'{"a":', "truncated"),
        ("NaN", b'{"a":NaN}', "malformed-json"),
        ("two documents", b"{}{}", "malformed-json"),
        ("not UTF-8", b'{"\xff":1}', "not-utf8"),
        ("nested 100 000 deep", b'{"a":' + b"[" * 100_000, "nested-too-deep"),
        ("tensor that is a list", b'{"a":[]}', "malformed-header"),
        ("tensor that is text", b'{"a":"dtype"}', "malformed-header"),
        ("tensor that is null", b'{"a":null}', "malformed-header"),
        ("metadata that is a list", b'{"__metadata__":[]}', "wrong-type"),
        ("metadata that is no text", b'{"__metadata__":{"a":1}}', "wrong-type"),
        ("a huge number", b'{"a":%s}' % (b"9" * 5000), "number-out-of-range"),
    ],
)
def test_bad_json(name, header, code):
    with pytest.raises(MalformedInput) as refused:
        parse(safetensors_raw(header.replace(b"%(t)s", json.dumps(GOOD).encode()), b"x"))
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"dtype": "F7"}, "unknown-dtype"),
        ({"dtype": 1}, "unknown-dtype"),
        ({"dtype": []}, "unknown-dtype"),
        ({"shape": 1}, "malformed-header"),
        ({"shape": {}}, "malformed-header"),
        ({"shape": [-1]}, "bad-shape"),
        ({"shape": [1.0]}, "bad-shape"),
        ({"shape": [True]}, "bad-shape"),
        ({"shape": ["1"]}, "bad-shape"),
        ({"shape": [1 << 62, 1 << 62]}, "bad-shape"),
        ({"shape": [1 << 63, 0]}, "bad-shape"),
        ({"shape": [1] * 65}, "bad-shape"),
        ({"shape": [2]}, "size-mismatch"),
        ({"shape": [0]}, "size-mismatch"),
        ({"dtype": "F4"}, "size-mismatch"),
        ({"data_offsets": [0]}, "malformed-header"),
        ({"data_offsets": [0, 1, 2]}, "malformed-header"),
        ({"data_offsets": "01"}, "malformed-header"),
        ({"data_offsets": [0.0, 1]}, "malformed-header"),
        ({"data_offsets": [False, True]}, "malformed-header"),
        ({"data_offsets": [1, 0]}, "bad-offsets"),
        ({"data_offsets": [-1, 0]}, "bad-offsets"),
        ({"data_offsets": [1, 2]}, "truncated"),
        ({"data_offsets": [1 << 63, (1 << 63) + 1]}, "truncated"),
    ],
)
def test_bad_tensor(change, code):
    header = json.dumps({"a": {**GOOD, **change}}).encode()
    with pytest.raises(MalformedInput) as refused:
        parse(safetensors_raw(header, b"x"))
    assert refused.value.code == code


@pytest.mark.parametrize("member", ["dtype", "shape", "data_offsets"])
def test_missing_member(member):
    tensor = {key: value for key, value in GOOD.items() if key != member}
    with pytest.raises(MalformedInput):
        parse(safetensors_raw(json.dumps({"a": tensor}).encode(), b"x"))


def test_hole():
    assert codes(safetensors({"a": ("U8", [1], 0, 1), "b": ("U8", [1], 2, 3)}, b"xyz")) == ["hole"]


def test_hole_before_the_first():
    assert codes(safetensors({"a": ("U8", [1], 1, 2)}, b"xy")) == ["hole"]


def test_overlap():
    made = safetensors({"a": ("U8", [2], 0, 2), "b": ("U8", [2], 1, 3)}, b"xyz")
    assert codes(made) == ["overlap"]


def test_the_same_range_twice():
    made = safetensors({"a": ("U8", [2], 0, 2), "b": ("U8", [2], 0, 2)}, b"xy")
    assert codes(made) == ["overlap"]


def test_an_empty_tensor_inside_another():
    made = safetensors({"a": ("U8", [2], 0, 2), "b": ("U8", [0], 1, 1)}, b"xy")
    assert codes(made) == ["overlap"]


def test_tail():
    assert codes(safetensors({"a": ("U8", [1], 0, 1)}, b"xPK\3\4")) == ["tail"]


def test_tail_without_tensors():
    assert codes(safetensors({}, b"x")) == ["tail"]


def test_unknown_member():
    header = json.dumps({"a": {**GOOD, "code": "x"}}).encode()
    assert codes(safetensors_raw(header, b"x")) == ["unknown-member"]


def test_padding_that_is_not_spaces():
    assert codes(safetensors_raw(b"{}\n\n")) == ["header-padding"]


@pytest.fixture
def _small_windows(monkeypatch):
    monkeypatch.setattr(safetensors_codec, "_WINDOW", 16)


@pytest.mark.usefixtures("_small_windows")
class TestWindows:
    """A long header is parsed in windows; the same is read, and the same is refused."""

    def test_cuts_inside_texts(self):
        names = ["]},", 'a"]},"b', "\\]},", "]},]},", "plain", "x" * 100]
        tensors = {name: ("U8", [1], at, at + 1) for at, name in enumerate(names)}
        metadata = {"a]},": "]},{]},"}
        read = parse(safetensors(tensors, bytes(len(names)), metadata=metadata))
        assert [tensor.name for tensor in read.tensors] == names
        assert read.metadata == metadata

    @pytest.mark.parametrize("name", ["a", "__metadata__"])
    def test_duplicates_far_apart(self, name):
        first = json.dumps({"a": GOOD, "__metadata__": {"k": "v" * 50}})[:-1]
        second = {"b": GOOD, name: GOOD if name == "a" else {"k": "v"}}
        header = first + "," + json.dumps(second)[1:]
        with pytest.raises(MalformedInput) as refused:
            parse(safetensors_raw(header.encode(), b"x"))
        assert refused.value.code == "duplicate-key"

    @pytest.mark.parametrize("end", [",}", ",,}", "", "}}", "]}", ',"b"}'])
    def test_bad_ends(self, end):
        header = json.dumps({f"t{i}": GOOD for i in range(9)})[:-1] + end
        with pytest.raises(MalformedInput):
            parse(safetensors_raw(header.encode(), b"x"))

    def test_missing_comma(self):
        header = json.dumps({f"t{i}": GOOD for i in range(9)}).replace("}, ", "} ")
        with pytest.raises(MalformedInput):
            parse(safetensors_raw(header.encode(), b"x"))


def test_many_anomalies_are_counted():
    tensors = {f"t{i}": ("U8", [1], 2 * i + 1, 2 * i + 2) for i in range(1000)}
    found = parse(safetensors(tensors, bytes(2000))).anomalies
    assert len(found) == limits.MAX_HEADER_ANOMALIES
    assert found[-1] == ("more-anomalies", "there are 969 more anomalies")


@pytest.mark.parametrize("bomb", [b"{", b"[", b","])
def test_bombs_are_counted_before_they_are_parsed(bomb):
    filler = {b"{": b'{"a":0},', b"[": b"[],", b",": b"0,"}[bomb]
    header = b'{"a":[' + filler * (8_500_000 if bomb == b"," else 1_100_000) + b"0]}"
    begin = time.process_time()
    with pytest.raises(TooLarge):
        parse(safetensors_raw(header))
    assert time.process_time() - begin < 10


def test_a_hundred_thousand_tensors():
    count = 100_000
    made = safetensors(
        {
            f"model.layers.{i}.mlp.weight": ("F32", [4, 4], 64 * i, 64 * i + 64)
            for i in range(count)
        },
        bytes(64 * count),
    )
    took = []
    for _ in range(3):
        begin = time.process_time()
        assert len(parse(made).tensors) == count
        took.append(time.process_time() - begin)
    assert min(took) < 10
