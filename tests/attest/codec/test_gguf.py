"""The GGUF header: counts are not believed, ranges are checked."""

from __future__ import annotations

import struct
import time

import pytest

from attest import limits
from attest.codec.gguf import TENSOR_TYPES, GgufArray, parse_gguf
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported
from tests.support import modelfiles as m
from tests.support.modelfiles import gguf, gguf_entry, gguf_text


def parse(data):
    return parse_gguf(BytesSource(data))


def codes(data):
    return [code for code, _ in parse(data).anomalies]


ENTRIES = [
    ("general.architecture", m.STRING, "llama"),
    ("general.file_type", m.U32, 15),
    ("u8", m.U8, 255),
    ("i8", m.I8, -1),
    ("u16", m.U16, 65535),
    ("i16", m.I16, -2),
    ("i32", m.I32, -3),
    ("f32", m.F32, 0.5),
    ("yes", m.BOOL, 1),
    ("no", m.BOOL, 0),
    ("u64", m.U64, 1 << 63),
    ("i64", m.I64, -4),
    ("f64", m.F64, 0.25),
    ("tags", m.ARRAY, (m.STRING, ["a", "b"])),
    ("nested", m.ARRAY, (m.ARRAY, [(m.U8, [1, 2]), (m.U8, [])])),
    ("tokens", m.ARRAY, (m.STRING, [f"t{i}" for i in range(1000)])),
    ("scores", m.ARRAY, (m.F32, [0.0] * 1000)),
]


@pytest.mark.parametrize("version", [2, 3])
def test_a_good_file(version):
    tensors = [("a", (4, 2), 0, 0), ("b", (256,), 12, 32), ("c", (), 0, 192)]
    read = parse(gguf(ENTRIES, tensors, bytes(32 + 160 + 32), version=version))
    assert read.version == version
    assert read.architecture == "llama"
    assert read.quantisation == "Q4_K_M"
    assert read.parameters == 8 + 256 + 1
    assert read.metadata["yes"] is True
    assert read.metadata["no"] is False
    assert read.metadata["u64"] == 1 << 63
    assert read.metadata["i64"] == -4
    assert read.metadata["f64"] == 0.25
    assert read.metadata["tags"] == ["a", "b"]
    assert read.metadata["nested"] == [[1, 2], []]
    assert read.metadata["tokens"] == GgufArray("string", 1000)
    assert read.metadata["scores"] == GgufArray("f32", 1000)
    assert [(t.name, t.type_name, t.shape, t.size) for t in read.tensors] == [
        ("a", "F32", (4, 2), 32),
        ("b", "Q4_K", (256,), 144),
        ("c", "F32", (), 4),
    ]
    assert read.anomalies == ()


def test_templates_by_key():
    read = parse(
        gguf(
            [
                ("tokenizer.chat_template", m.STRING, "x"),
                ("tokenizer.chat_template.tool_use", m.STRING, "y"),
                ("tokenizer.chat_templates", m.ARRAY, (m.STRING, ["tool_use"])),
            ]
        )
    )
    assert read.templates == {
        "tokenizer.chat_template": "x",
        "tokenizer.chat_template.tool_use": "y",
    }
    assert read.anomalies == ()


def test_a_template_that_is_no_text():
    assert codes(gguf([("tokenizer.chat_template", m.U32, 1)])) == ["template-type"]


def test_a_file_that_ends_after_its_header():
    made = gguf([("a", m.U8, 1)])
    end = 24 + len(gguf_entry("a", m.U8, 1))
    assert parse(made[:end]).data_start == end


def test_every_cut_is_refused():
    made = gguf(ENTRIES, [("a", (4, 2), 0, 0)], bytes(32))
    for size in (*range(600), *range(600, len(made), 97), len(made) - 1):
        with pytest.raises(MalformedInput):
            parse(made[:size])


@pytest.mark.parametrize("version", [0, 1, 4, 1 << 31])
def test_other_versions(version):
    with pytest.raises(Unsupported) as refused:
        parse(gguf(version=version))
    assert refused.value.code in ("gguf-version", "big-endian")


def test_big_endian():
    with pytest.raises(Unsupported) as refused:
        parse(b"GGUF" + (3).to_bytes(4, "big") + bytes(16))
    assert refused.value.code == "big-endian"


def test_bad_magic():
    with pytest.raises(MalformedInput):
        parse(b"GGML" + bytes(20))


@pytest.mark.parametrize("count", [1 << 62, (1 << 64) - 1, 1 << 32])
@pytest.mark.parametrize("which", [0, 1])
def test_a_count_of_two_to_the_62(count, which):
    counts = (count, 0) if which == 0 else (0, count)
    with pytest.raises(TooLarge):
        parse(gguf(counts=counts))


@pytest.mark.parametrize("counts", [(100, 0), (0, 100)])
def test_counts_that_do_not_fit_the_file(counts):
    with pytest.raises(Truncated):
        parse(gguf(counts=counts))


def raw_entry(key, kind, body):
    return b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + gguf_text(key) + struct.pack("<I", kind) + body


@pytest.mark.parametrize("length", [1 << 62, (1 << 64) - 1])
def test_a_string_length_that_lies(length):
    with pytest.raises(TooLarge):
        parse(raw_entry("a", m.STRING, struct.pack("<Q", length) + b"x"))


def test_a_string_that_ends_after_the_file():
    with pytest.raises(Truncated):
        parse(raw_entry("a", m.STRING, struct.pack("<Q", 1000) + b"x"))


@pytest.mark.parametrize("kind", [m.U8, m.STRING, m.ARRAY, m.F64])
@pytest.mark.parametrize("count", [1 << 62, (1 << 64) - 1, 1 << 61])
def test_an_array_count_of_two_to_the_62(kind, count):
    with pytest.raises(Truncated):
        parse(raw_entry("a", m.ARRAY, struct.pack("<IQ", kind, count)))


def test_a_string_in_a_long_array_that_ends_after_the_file():
    body = struct.pack("<IQ", m.STRING, 100) + struct.pack("<Q", 1 << 40) * 100
    with pytest.raises(Truncated):
        parse(raw_entry("a", m.ARRAY, body))


def test_a_nested_array_bomb():
    with pytest.raises(MalformedInput) as refused:
        parse(raw_entry("a", m.ARRAY, struct.pack("<IQ", m.ARRAY, 1) * 100_000))
    assert refused.value.code == "nested-too-deep"


def test_too_many_texts(monkeypatch):
    monkeypatch.setattr(limits, "MAX_GGUF_ITEMS", 100)
    with pytest.raises(TooLarge):
        parse(gguf([("a", m.ARRAY, (m.STRING, [""] * 101))]))


def test_a_header_that_is_too_long(monkeypatch):
    monkeypatch.setattr(limits, "MAX_GGUF_HEADER_BYTES", 1000)
    with pytest.raises(TooLarge):
        parse(gguf([("a", m.ARRAY, (m.U8, [0] * 2000))]))


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([("a", m.U8, 1), ("a", m.U8, 1)], "duplicate-key"),
        ([("a", m.BOOL, 2)], "bad-boolean"),
        ([("a", m.STRING, b"\xff")], "not-utf8"),
        ([(b"\xff", m.U8, 1)], "not-utf8"),
        ([("general.alignment", m.U32, 0)], "bad-alignment"),
        ([("general.alignment", m.U32, 24)], "bad-alignment"),
        ([("general.alignment", m.I32, -32)], "bad-alignment"),
        ([("general.alignment", m.STRING, "32")], "bad-alignment"),
        ([("general.alignment", m.BOOL, 1)], "bad-alignment"),
        ([("general.alignment", m.U32, 1 << 30)], "too-large"),
    ],
)
def test_bad_metadata(entries, code):
    with pytest.raises(MalformedInput) as refused:
        parse(gguf(entries))
    assert refused.value.code == code


@pytest.mark.parametrize("kind", [13, 255, 1 << 31])
def test_unknown_value_type(kind):
    with pytest.raises(MalformedInput):
        parse(raw_entry("a", kind, bytes(16)))
    with pytest.raises(MalformedInput):
        parse(raw_entry("a", m.ARRAY, struct.pack("<IQ", kind, 0)))


@pytest.mark.parametrize(
    ("tensors", "code"),
    [
        ([("a", (1,) * 5, 0, 0)], "bad-shape"),
        ([("a", (1 << 63,), 0, 0)], "bad-shape"),
        ([("a", (1 << 32, 1 << 32), 0, 0)], "bad-shape"),
        ([("a", (31,), 2, 0)], "bad-shape"),
        ([("a", (), 2, 0)], "bad-shape"),
        ([("a", (1,), 0, 1)], "bad-offset"),
        ([("a", (1,), 0, 1 << 63)], "truncated"),
        ([("a", (100,), 0, 0)], "truncated"),
        ([("a", (1,), 0, 0), ("a", (1,), 0, 32)], "duplicate-key"),
    ],
)
def test_bad_tensor(tensors, code):
    with pytest.raises(MalformedInput) as refused:
        parse(gguf((), tensors, bytes(64)))
    assert refused.value.code == code


def test_overlap():
    assert "overlap" in codes(gguf((), [("a", (16,), 0, 0), ("b", (8,), 0, 32)], bytes(64)))


def test_hole():
    assert codes(gguf((), [("a", (8,), 0, 0), ("b", (8,), 0, 64)], bytes(96))) == ["hole"]


def test_tail():
    assert codes(gguf((), [("a", (8,), 0, 0)], bytes(32) + b"PK\3\4" * 8)) == ["tail"]


def test_padding_that_is_not_zero():
    assert codes(gguf((), [("a", (1,), 0, 0)], b"data" + b"x" * 28)) == ["padding"]
    made = bytearray(gguf([("a", m.U8, 1)], [("a", (8,), 0, 0)], bytes(32)))
    made[-33] = 1
    assert codes(bytes(made)) == ["padding"]


def test_unknown_tensor_type_is_told():
    assert codes(gguf((), [("a", (8,), 999, 0)], bytes(32))) == ["unknown-tensor-type"]


@pytest.mark.parametrize("kind", TENSOR_TYPES)
def test_every_tensor_type(kind):
    _, block, size = TENSOR_TYPES[kind]
    made = gguf((), [("a", (block, 3), kind, 0)], bytes(-(-3 * size // 32) * 32))
    assert parse(made).anomalies == ()


def test_a_vocabulary_of_a_quarter_million():
    tokens = [f"token{i}" for i in range(262_144)]
    made = gguf([("tokenizer.ggml.tokens", m.ARRAY, (m.STRING, tokens))])
    begin = time.process_time()
    assert parse(made).metadata["tokenizer.ggml.tokens"].count == 262_144
    assert time.process_time() - begin < 10


def test_a_hundred_thousand_tensors():
    tensors = [(f"blk.{i}.weight", (8,), 0, 32 * i) for i in range(100_000)]
    made = gguf((), tensors, bytes(32 * 100_000))
    begin = time.process_time()
    read = parse(made)
    assert time.process_time() - begin < 40
    assert read.parameters == 800_000
    assert read.anomalies == ()
