"""Safetensors, GGUF, ONNX, HDF5, TensorFlow: what is clean, and what is not."""

from __future__ import annotations

import pytest

from attest.codec.reader import BytesSource
from attest.scan.allowlist import Entry, Use, builtin_allow_list
from attest.scan.engine import scan_source
from attest.scan.formats.keras import looks_like_hdf5, scan_hdf5
from attest.scan.formats.onnx import looks_like_onnx, scan_onnx
from attest.scan.formats.tensorflow import (
    looks_like_fingerprint,
    looks_like_graph,
    looks_like_keras_metadata,
    looks_like_saved_model,
    scan_fingerprint,
    scan_graph,
    scan_keras_metadata,
    scan_saved_model,
)
from attest.scan.formats.tensors import (
    looks_like_gguf,
    looks_like_safetensors,
    scan_gguf,
    scan_safetensors,
)
from attest.scan.grades import Grade, Rules, worst
from tests.support import modelfiles as m
from tests.support.fixtures import fixture
from tests.support.modelfiles import (
    gguf,
    gguf_template,
    hdf5,
    onnx,
    onnx_node,
    onnx_tensor,
    pb,
    safetensors,
    saved_model,
    tf_const,
    tf_function,
    tf_graph,
    tf_node,
    tf_save_functions,
)

RULES = Rules(builtin_allow_list())


def hits(scan, data, rules=RULES):
    return scan(BytesSource(data), rules, where="")


def grade(scan, data, rules=RULES):
    return worst([Grade.CLEAN, *(hit.grade for hit in hits(scan, data, rules))])


TESTS = {
    "safetensors": looks_like_safetensors,
    "gguf": looks_like_gguf,
    "hdf5": looks_like_hdf5,
    "onnx": looks_like_onnx,
    "saved-model": looks_like_saved_model,
    "keras-metadata": looks_like_keras_metadata,
    "graph": looks_like_graph,
    "fingerprint": looks_like_fingerprint,
}

METADATA = pb((1, pb((2, 0), (3, "root"), (4, "_tf_keras_model"), (5, "{}"))))
FINGERPRINT = pb(*((i, 12345 << i) for i in range(1, 6)), (6, pb((1, 1))), (7, "7d1b"))
SAMPLES = {
    "safetensors": safetensors({"a": ("U8", [1], 0, 1)}, b"x"),
    "gguf": gguf_template("x"),
    "hdf5": hdf5("plain"),
    "onnx": onnx(tensors=[onnx_tensor(raw=bytes(16))]),
    "saved-model": saved_model([tf_node("x", "Add")], tf_save_functions()),
    "keras-metadata": METADATA,
    "graph": tf_graph([tf_node("x", "Add", ["y"])]),
    "fingerprint": FINGERPRINT,
}
OTHERS = {
    "text": b"hello, world\n",
    "json": b'{"a": 1}',
    "pickle": b"\x80\x04}.",
    "zip": b"PK\3\4" + bytes(26),
    "zeros": bytes(4096),
    "sentencepiece": pb((1, pb((1, "<unk>")) + b"\x15\0\0\0\0" + pb((3, 2)))),
    "empty": b"",
}


@pytest.mark.parametrize("name", [*SAMPLES, *OTHERS])
def test_formats_are_told_apart(name):
    data = {**SAMPLES, **OTHERS}[name]
    source = BytesSource(data)
    found = {
        kind for kind, looks_like in TESTS.items() if looks_like(data[:4096], len(data), source)
    }
    assert found == ({name} if name in SAMPLES else set())


def test_looks_like_a_format_that_is_broken():
    made = safetensors({"a": ("U8", [1], 0, 1)}, b"x")
    lying = (1 << 63).to_bytes(8, "little") + made[8:]
    assert looks_like_safetensors(lying, len(lying), BytesSource(lying))
    assert grade(scan_safetensors, lying) is Grade.UNSCANNABLE
    broken = onnx() + b"\xff\xff"
    assert looks_like_onnx(broken, len(broken), BytesSource(broken))
    assert grade(scan_onnx, broken) is Grade.UNSCANNABLE


# safetensors and GGUF


def test_safetensors():
    assert grade(scan_safetensors, SAMPLES["safetensors"]) is Grade.CLEAN
    described = safetensors({}, metadata={"format": "pt", "note": "import os; {{ x.__class__ }}"})
    assert grade(scan_safetensors, described) is Grade.CLEAN


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (safetensors({"a": ("U8", [1], 0, 1)}, b"xPK\3\4"), "safetensors-tail"),
        (safetensors({"a": ("U8", [1], 1, 2)}, b"xy"), "safetensors-hole"),
        (
            safetensors({"a": ("U8", [1], 0, 1), "b": ("U8", [1], 0, 1)}, b"x"),
            "safetensors-overlap",
        ),
    ],
)
def test_safetensors_that_hide(data, code):
    (hit,) = hits(scan_safetensors, data)
    assert (hit.code, hit.grade) == (code, Grade.SUSPICIOUS)


def test_gguf():
    assert grade(scan_gguf, gguf_template("{{ messages[0].content }}")) is Grade.CLEAN
    assert grade(scan_gguf, gguf((), [("a", (8,), 0, 0)], bytes(32))) is Grade.CLEAN


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (gguf_template("{{ x.__class__ }}"), Grade.MALICIOUS),
        (gguf_template("{{ x"), Grade.UNSCANNABLE),
        (gguf_template("{{ x|evil }}"), Grade.UNLISTED),
        (gguf([("tokenizer.chat_template.x", m.STRING, "{{ x.__class__ }}")]), Grade.MALICIOUS),
        (gguf([("tokenizer.chat_template", m.ARRAY, (m.STRING, ["x"]))]), Grade.SUSPICIOUS),
        (gguf((), [("a", (8,), 0, 0)], bytes(64)), Grade.SUSPICIOUS),
        (gguf((), [("a", (8,), 77, 0)], bytes(32)), Grade.UNLISTED),
        (gguf(counts=(0, 1 << 62)), Grade.UNSCANNABLE),
        (gguf(version=1), Grade.UNSCANNABLE),
        (b"GGUF", Grade.UNSCANNABLE),
    ],
)
def test_gguf_that_is_not_clean(data, expected):
    assert grade(scan_gguf, data) is expected


def test_gguf_says_which_template():
    (hit,) = hits(scan_gguf, gguf_template("{{ x|evil }}"))
    assert hit.where == "tokenizer.chat_template, line 1"


# ONNX


def external(location):
    return onnx(tensors=[onnx_tensor(external={"location": location})])


@pytest.mark.parametrize(
    "data",
    [
        onnx(),
        onnx(tensors=[onnx_tensor(raw=bytes(16))]),
        onnx([onnx_node("Gelu", "com.microsoft")], opsets=(("", 17), ("com.microsoft", 1))),
        external("model.onnx_data"),
        external("./weights/w.bin"),
        external("a..b"),
        onnx(
            [onnx_node("F", "local")],
            opsets=(("", 17), ("local", 1)),
            more=((25, pb((1, "F"), (10, "local"), (7, onnx_node()))),),
        ),
    ],
)
def test_onnx(data):
    assert hits(scan_onnx, data) == []


@pytest.mark.parametrize(
    "location",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a\\..\\x",
        "\\\\host\\share",
        "C:\\x",
        "c:x",
        "~/x",
        "file:///etc/passwd",
        "file:x",
        "https://host/x",
        "*/_ORT_MEM_ADDR_/*",
    ],
)
def test_onnx_external_paths(location):
    assert grade(scan_onnx, external(location)) is Grade.MALICIOUS


@pytest.mark.parametrize("location", ["", "a\\b", "a\0b", "a\nb"])
def test_onnx_odd_external_paths(location):
    assert grade(scan_onnx, external(location)) is Grade.SUSPICIOUS


@pytest.mark.parametrize(
    ("data", "code", "expected"),
    [
        (onnx([onnx_node("X", "evil")]), "onnx-custom-domain", Grade.SUSPICIOUS),
        (onnx([onnx_node("X", "ai.onnx.contrib")]), "onnx-custom-domain", Grade.SUSPICIOUS),
        (onnx(opsets=(("", 17), ("evil", 1))), "onnx-custom-domain", Grade.SUSPICIOUS),
        (
            onnx([onnx_node("EPContext", "com.microsoft")]),
            "onnx-foreign-operator",
            Grade.SUSPICIOUS,
        ),
        (onnx([onnx_node("PythonOp", "com.microsoft")]), "onnx-foreign-operator", Grade.SUSPICIOUS),
        (onnx(more=((1000, "x"),)), "onnx-unknown-field", Grade.UNLISTED),
        (onnx(tensors=[onnx_tensor(raw=b"x")]), "onnx-size-mismatch", Grade.SUSPICIOUS),
        (onnx()[:-1], "truncated", Grade.UNSCANNABLE),
        (
            onnx(
                [onnx_node("G", "local")],
                more=((25, pb((1, "F"), (10, "local"), (7, onnx_node()))),),
            ),
            "onnx-custom-domain",
            Grade.SUSPICIOUS,
        ),
    ],
)
def test_onnx_that_is_not_clean(data, code, expected):
    found = hits(scan_onnx, data)
    assert {hit.code for hit in found} == {code}
    assert worst(hit.grade for hit in found) is expected


# HDF5


@pytest.mark.parametrize("name", ["plain", "latest", "weights"])
def test_hdf5(name):
    assert hits(scan_hdf5, hdf5(name)) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (hdf5("lambda"), Grade.MALICIOUS),
        (hdf5("external"), Grade.MALICIOUS),
        (hdf5("dense"), Grade.UNSCANNABLE),
        (hdf5("userblock"), Grade.SUSPICIOUS),
        (hdf5("plain") + b"tail", Grade.SUSPICIOUS),
        (hdf5("plain")[:-1], Grade.UNSCANNABLE),
        (hdf5("plain").replace(b'{"class_name"', b'{"class_name'), Grade.UNSCANNABLE),
        (m.hdf5("plain")[:8], Grade.UNSCANNABLE),
        (m.hdf5("plain")[:8] + b'{"class_name": "Lambda"}', Grade.MALICIOUS),
        (bytes(512) + hdf5("lambda"), Grade.UNSCANNABLE),
    ],
)
def test_hdf5_that_is_not_clean(data, expected):
    assert grade(scan_hdf5, data).rank >= expected.rank


# TensorFlow


def test_saved_model():
    made = saved_model(
        [tf_node("x", "Placeholder"), tf_node("y", "MatMul", ["x"])],
        tf_save_functions(),
        assets=["vocab.txt"],
        metadata=['{"class_name": "Dense", "module": "keras.layers", "config": {}}', "", "plain"],
    )
    assert hits(scan_saved_model, made) == []


def test_saver_of_tensorflow_1():
    nodes = [
        tf_const("save/filename/input", "model"),
        tf_node("save/filename", "PlaceholderWithDefault", ["save/filename/input"]),
        tf_node("save/Const", "PlaceholderWithDefault", ["save/filename"]),
        tf_const("save/SaveV2/tensor_names", "w"),
        tf_node("save/SaveV2", "SaveV2", ["save/Const", "save/SaveV2/tensor_names", "", "w"]),
        tf_node("save/control_dependency", "Identity", ["save/Const", "^save/SaveV2"]),
        tf_node("save/RestoreV2", "RestoreV2", ["save/Const", "save/RestoreV2/tensor_names"]),
    ]
    assert hits(scan_saved_model, saved_model(nodes)) == []


def print_to(stream):
    return [tf_node("p", "PrintV2", ["x"], [("output_stream", [(2, stream)])])]


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([tf_node("x", "ReadFile")], Grade.MALICIOUS),
        ([tf_node("x", "WriteFile")], Grade.MALICIOUS),
        ([tf_node("x", "MatchingFiles")], Grade.MALICIOUS),
        ([tf_node("x", "RpcCall")], Grade.MALICIOUS),
        ([tf_node("x", "ImmutableConst")], Grade.MALICIOUS),
        ([tf_node("x", "DatasetToTFRecord")], Grade.MALICIOUS),
        ([tf_node("x", "TRTEngineOp")], Grade.SUSPICIOUS),
        ([tf_node("x", "IO>ParquetRead")], Grade.UNLISTED),
        ([tf_const("p", "/etc/x"), tf_node("c", "CacheDatasetV2", ["d", "p"])], Grade.MALICIOUS),
        ([tf_const("p", ""), tf_node("c", "CacheDatasetV2", ["d", "p"])], Grade.CLEAN),
        ([tf_node("x", "PyFunc")], Grade.SUSPICIOUS),
        ([tf_node("x", "EagerPyFunc")], Grade.SUSPICIOUS),
        ([tf_node("x", "TFRecordDataset")], Grade.SUSPICIOUS),
        (print_to("file:///tmp/x"), Grade.MALICIOUS),
        (print_to("stderr"), Grade.CLEAN),
        ([tf_const("p", "/etc/x"), tf_node("s", "SaveV2", ["p"])], Grade.MALICIOUS),
        ([tf_const("p", "../x"), tf_node("s", "SaveV2", ["p"])], Grade.MALICIOUS),
        ([tf_const("p", "gs://b/x"), tf_node("s", "RestoreV2", ["p"])], Grade.MALICIOUS),
        ([tf_const("p", "/x"), tf_node("m", "MergeV2Checkpoints", ["q", "p"])], Grade.MALICIOUS),
        ([tf_node("p", "DecodeBase64"), tf_node("s", "SaveV2", ["p"])], Grade.UNLISTED),
        ([tf_const("p", "/x"), tf_node("t", "InitializeTableFromTextFileV2", ["h", "p"])],
         Grade.MALICIOUS),
    ],
)  # fmt: skip
def test_operations(nodes, expected):
    assert grade(scan_saved_model, saved_model(nodes)) is expected
    assert grade(scan_saved_model, saved_model((), [tf_function("f", nodes)])) is expected
    assert grade(scan_graph, tf_graph(nodes)) is expected


@pytest.mark.parametrize("info", [(), ((1, pb((4, "train"), (5, "1.15"))),)])
@pytest.mark.parametrize(("op", "expected"), [("ReadFile", "malicious"), ("Add", "clean")])
def test_the_meta_graph_of_a_checkpoint(info, op, expected):
    """Its graph stands where a SavedModel has a meta graph, its operations where that has tags."""
    found = scan_source(
        "model.ckpt.meta", BytesSource(pb(*info, (2, tf_graph([tf_node("n", op)])))), RULES
    )
    assert (found.format, found.grade) == ("tf-meta-graph", expected)


def test_paths_that_are_shared_by_many_nodes_are_followed_to_a_limit():
    nodes = [tf_node(f"s{n}", "SaveV2", [f"s{n + 1}"]) for n in range(20_000)]
    found = hits(scan_saved_model, saved_model(nodes))
    assert {hit.grade for hit in found} == {Grade.UNLISTED}


def test_short_lines_of_json_are_no_tensors():
    found = scan_source("x.jsonl", BytesSource(b'{"a":1}\n{"b":2}\n'), RULES)
    assert (found.format, found.hits) == ("json", ())


def test_text_that_is_called_a_graph():
    found = scan_source("saved_model.pb", BytesSource(b"\x08\x01\x12\x10ReadFile"), RULES)
    assert [hit.code for hit in found.hits] == ["name-content-mismatch"]


def test_a_model_where_keras_does_not_look():
    data = hdf5("lambda").replace(b"model_config", b"other_config")
    assert grade(scan_hdf5, data) is Grade.SUSPICIOUS


def test_templates_under_keys_of_other_programs():
    entry = ("mymodel.chat_template", m.STRING, "{{ x.__class__ }}")
    assert grade(scan_gguf, gguf([entry])) is Grade.MALICIOUS


def test_chat_templates_of_gguf_are_bounded_together():
    entries = [(f"tokenizer.chat_template.{n}", m.STRING, "x" * 200_000) for n in range(6)]
    assert grade(scan_gguf, gguf(entries)) is Grade.UNSCANNABLE


LAMBDA = '{"class_name": "Lambda", "config": {"function": ["4wEAAAA=", null, null]}}'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (saved_model(assets=["/etc/passwd"]), Grade.MALICIOUS),
        (saved_model(assets=["../x"]), Grade.MALICIOUS),
        (saved_model(metadata=[LAMBDA]), Grade.MALICIOUS),
        (saved_model(metadata=['{"class_name": "x", "class_name": "y"}']), Grade.UNSCANNABLE),
        (saved_model() + pb((9, "x")), Grade.UNLISTED),
        (saved_model()[:-1], Grade.UNSCANNABLE),
    ],
)
def test_saved_models_that_are_not_clean(data, expected):
    assert grade(scan_saved_model, data) is expected


def test_keras_metadata():
    assert grade(scan_keras_metadata, METADATA) is Grade.CLEAN
    made = pb((1, pb((4, "_tf_keras_layer"), (5, LAMBDA))))
    assert grade(scan_keras_metadata, made) is Grade.MALICIOUS


def test_fingerprint():
    assert hits(scan_fingerprint, FINGERPRINT) == []
    assert grade(scan_fingerprint, FINGERPRINT + pb((8, "x"))) is Grade.UNLISTED
    assert grade(scan_fingerprint, FINGERPRINT[:-1]) is Grade.UNSCANNABLE


def test_site_additions_count():
    made = saved_model(metadata=['{"class_name": "X", "module": "our.layers", "config": {}}'])
    assert grade(scan_saved_model, made) is Grade.UNLISTED
    allow = builtin_allow_list().extended([Entry("our.layers", "X", Use.CLASS, True, "ours")])
    assert grade(scan_saved_model, made, Rules(allow)) is Grade.CLEAN


# the shared fixtures


@pytest.mark.parametrize(
    ("name", "scan", "expected"),
    [
        ("malicious/onnx_traversal.onnx", scan_onnx, Grade.MALICIOUS),
        ("malicious/onnx_abs.onnx", scan_onnx, Grade.MALICIOUS),
        ("malicious/template.gguf", scan_gguf, Grade.MALICIOUS),
        ("malicious/polyglot.safetensors", scan_safetensors, Grade.SUSPICIOUS),
        ("benign/model.gguf", scan_gguf, Grade.CLEAN),
    ],
)
def test_fixtures(name, scan, expected):
    assert grade(scan, fixture("pickles", name).read_bytes()) is expected
