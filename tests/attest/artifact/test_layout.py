"""Sharded checkpoints, by their names and indexes."""

from __future__ import annotations

import json
import time

import pytest

from attest.artifact.layout import describe_layout, describe_shard, parse_shard, shard_problems
from attest.errors import MalformedInput


def problems(names, contents=None):
    found = shard_problems(names, lambda name: (contents or {})[name])
    return [(problem.name, problem.code) for problem in found]


def numbered(indexes, total, stem="m", suffix=".safetensors", digits=5):
    return [f"{stem}-{i:0{digits}d}-of-{total:0{digits}d}{suffix}" for i in indexes]


def test_complete_series():
    for suffix in (".safetensors", ".bin", ".gguf", ".pth.tar"):
        assert problems(numbered([1, 2, 3], 3, suffix=suffix)) == []


def test_series_that_begins_at_zero():
    assert problems(numbered([0, 1, 2], 3)) == []


def test_gap_first_last_and_beyond():
    assert problems(numbered([2, 4], 4)) == [
        ("m-00001-of-00004.safetensors", "shard-missing"),
        ("m-00003-of-00004.safetensors", "shard-missing"),
    ]
    assert problems(numbered([1, 2, 3], 2)) == [("m-00003-of-00002.safetensors", "shard-extra")]
    assert problems(numbered([1], 2)) == [("m-00002-of-00002.safetensors", "shard-missing")]


def test_six_digits():
    assert problems(numbered([1], 2, digits=6)) == [
        ("m-000002-of-000002.safetensors", "shard-missing")
    ]


def test_series_in_folders_are_apart():
    names = numbered([1, 2], 2, stem="a/m") + numbered([1], 2, stem="b/m")
    assert problems(names) == [("b/m-00002-of-00002.safetensors", "shard-missing")]


def test_made_up_total_does_not_cost_a_line_each():
    begin = time.process_time()
    assert len(problems(numbered([1], 999999, digits=6))) == 1000
    assert time.process_time() - begin < 50


def test_digits_of_other_scripts_are_no_number():
    """Trap 17: Python's ``\\d`` and ``int`` read them."""
    assert (
        parse_shard("m-\u0660\u0660\u0660\u0660\u0661-of-\u0660\u0660\u0660\u0660\u0662.bin")
        is None
    )
    assert describe_shard("__\u0661_0.distcp") is None


def test_descriptions():
    assert describe_shard("m-00003-of-00064.bin") == "shard 3 of 64 of m.bin"
    assert describe_shard("ckpt/__0_1.distcp") == "shard of a PyTorch distributed checkpoint"
    assert describe_shard("model.bin") is None
    names = [*numbered([1, 2], 2), "ckpt/__0_0.distcp", "x.txt"]
    assert describe_layout(names) == "m.safetensors: 2 shards, ckpt: 1 shards"
    assert describe_layout(["x.txt"]) is None


def test_index_in_a_folder_lists_files_beside_it():
    index = json.dumps({"weight_map": {"t": "w-1.bin", "u": "w-2.bin"}}).encode()
    names = ["d/x.bin.index.json", "d/w-1.bin", "w-2.bin"]
    assert problems(names, {"d/x.bin.index.json": index}) == [("d/w-2.bin", "shard-missing")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"weight_map": []}',
        b'{"weight_map": {"t": 1}}',
        b'{"weight_map": {"t": "a", "t": "b"}}',
        b'{"weight_map": {"t": "a"}',
        b"\xff",
    ],
)
def test_index_that_cannot_be_understood(data):
    with pytest.raises(MalformedInput):
        problems(["x.bin.index.json"], {"x.bin.index.json": data})


def test_index_that_points_outside_names_what_is_not_there():
    index = json.dumps({"weight_map": {"t": "../secret", "u": "/etc/passwd"}}).encode()
    found = problems(["x.bin.index.json"], {"x.bin.index.json": index})
    assert [code for _, code in found] == ["shard-missing"] * 2


def test_metadata_without_distcp_files_is_not_read():
    assert problems([".metadata", "x"]) == []
