"""TensorFlow graphs: which operations there are, and where their paths come from."""

from __future__ import annotations

import pytest

from attest import limits
from attest.codec.reader import BytesSource
from attest.codec.savedmodel import parse_graph, parse_keras_metadata, parse_saved_model
from attest.errors import MalformedInput, TooLarge
from tests.support.modelfiles import (
    pb,
    saved_model,
    tf_const,
    tf_function,
    tf_graph,
    tf_node,
    tf_save_functions,
)

ASKED = frozenset({"SaveV2", "RestoreV2", "MergeV2Checkpoints", "PrintV2"})


def parse(data):
    return parse_saved_model(BytesSource(data), ASKED)


def test_a_saved_model():
    facts = parse(
        saved_model(
            [tf_node("x", "Placeholder"), tf_node("y", "MatMul", ["x", "x"])],
            tf_save_functions(),
            assets=["vocab.txt"],
            metadata=['{"class_name": "Dense"}', ""],
        )
    )
    assert facts.version == 1
    assert facts.tensorflow == "2.15.0"
    assert facts.graphs == 1
    assert facts.ops["MatMul"] == 1
    assert facts.ops["SaveV2"] == 1
    assert facts.functions == ("__inference__traced_save_42", "__inference__traced_restore_43")
    assert facts.assets == ("vocab.txt",)
    assert facts.metadata == (b'{"class_name": "Dense"}',)
    assert facts.unknown_fields == ()
    save = next(use for use in facts.uses if use.op == "SaveV2")
    assert save.function == "__inference__traced_save_42"
    assert set(save.paths) == {".part", "_temp/part", "variables/0/.ATTRIBUTES/VARIABLE_VALUE"}
    assert save.sources == ()


def test_constant_paths_are_followed():
    nodes = [
        tf_const("dir", "/etc"),
        tf_const("name", "cron.d"),
        tf_node("path", "StringJoin", ["dir:output:0", "name:output:0"]),
        tf_node("again", "Identity", ["path"]),
        tf_node("save", "SaveV2", ["again", "names"]),
    ]
    (use,) = parse(saved_model((), [tf_function("f", nodes)])).uses
    assert set(use.paths) == {"/etc", "cron.d"}
    assert use.sources == ()


def test_paths_that_are_made_in_other_ways_are_told():
    nodes = [
        tf_node("x", "DecodeBase64", ["y"]),
        tf_node("save", "SaveV2", ["x:0", "names", "^control"]),
    ]
    (use,) = parse(saved_model(nodes)).uses
    assert use.sources == ("DecodeBase64",)


def test_raw_string_tensors_are_read():
    """``tensor_content`` of texts: the lengths come first."""
    tensor = pb((1, 7), (4, b"\x0b/etc/passwd"))
    nodes = [
        tf_node("c", "Const", (), [("value", [(8, tensor)])]),
        tf_node("save", "SaveV2", ["c"]),
    ]
    (use,) = parse(saved_model(nodes)).uses
    assert use.paths == ("/etc/passwd",)


def test_paths_that_go_round():
    nodes = [
        tf_node("a", "Identity", ["b"]),
        tf_node("b", "Identity", ["a"]),
        tf_node("save", "SaveV2", ["a"]),
    ]
    (use,) = parse(saved_model(nodes)).uses
    assert use.paths == ()


def test_paths_through_very_many_operations():
    nodes = [tf_node(f"n{i}", "Identity", [f"n{i + 1}"]) for i in range(5000)]
    (use,) = parse(saved_model([*nodes, tf_node("save", "SaveV2", ["n0"])])).uses
    assert use.sources == ("more operations than are followed",)


def test_text_attributes():
    nodes = [tf_node("p", "PrintV2", ["x"], [("output_stream", [(2, "file:///tmp/x")])])]
    (use,) = parse(saved_model(nodes)).uses
    assert use.attributes == {"output_stream": ("file:///tmp/x",)}


def test_a_frozen_graph():
    facts = parse_graph(BytesSource(tf_graph([tf_node("x", "ReadFile")])), ASKED)
    assert facts.ops == {"ReadFile": 1}


def test_keras_metadata():
    data = pb((1, pb((2, 0), (3, "root"), (4, "_tf_keras_model"), (5, '{"class_name": "M"}'))))
    assert parse_keras_metadata(BytesSource(data)).metadata == (b'{"class_name": "M"}',)


def test_unknown_fields():
    assert parse(saved_model() + pb((77, "x"))).unknown_fields == ("SavedModel 77",)


@pytest.mark.parametrize("data", [b"", pb((1, 1)), b"PK\3\4" * 10, pb((2, 1)), b"\xff" * 50])
def test_no_saved_model(data):
    with pytest.raises(MalformedInput):
        parse(data)


def test_no_graph():
    with pytest.raises(MalformedInput):
        parse_graph(BytesSource(b""), ASKED)


def test_too_many_nodes(monkeypatch):
    monkeypatch.setattr(limits, "MAX_SAVED_MODEL_NODES", 3)
    with pytest.raises(TooLarge):
        parse(saved_model([tf_node("x", "Add")] * 4))


def test_every_cut_is_refused():
    made = saved_model([tf_node("x", "Add")], tf_save_functions())
    for size in range(len(made)):
        with pytest.raises(MalformedInput):
            parse(made[:size])
