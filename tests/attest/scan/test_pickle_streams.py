"""Recognising pickles without a magic number; several in a row; torch's legacy files; facts."""

from __future__ import annotations

import pickle
import struct

import numpy
import pytest

from attest.codec.reader import BytesSource
from attest.errors import MalformedInput
from attest.scan.allowlist import builtin_allow_list
from attest.scan.grades import FileScan, Grade, Hit, Rules, worst
from attest.scan.pickles import (
    LEGACY_MAGIC,
    Trailing,
    inspect_pickle,
    looks_like_legacy_torch,
    looks_like_pickle,
    scan_legacy_torch,
    scan_pickle,
    sniff_pickle,
)
from attest.scan.tensors import TensorFact, tensor_facts
from tests.support.pickling import (
    call,
    name,
    number,
    ordered_dict,
    shape,
    storage,
    stream,
    tensor,
    text,
)

RULES = Rules(builtin_allow_list())
PAYLOAD = b"cos\nsystem\n(S'echo'\ntR."


def codes(data, trailing="refuse"):
    return [hit.code for hit in scan_pickle(BytesSource(data), RULES, trailing=trailing)]


# Grades.


def test_grades_from_best_to_worst():
    assert [grade.rank for grade in Grade] == [0, 1, 2, 3, 4]
    assert worst([Grade.SUSPICIOUS, Grade.CLEAN, Grade.UNSCANNABLE]) is Grade.UNSCANNABLE
    assert worst(reversed(Grade)) is Grade.MALICIOUS


def test_nothing_judged_is_not_clean():
    with pytest.raises(ValueError):
        worst([])


def test_a_file_is_as_bad_as_its_worst_hit():
    hits = (Hit("a", Grade.UNLISTED, "a"), Hit("b", Grade.MALICIOUS, "b"))
    assert FileScan("x", "pickle", hits).grade is Grade.MALICIOUS
    assert FileScan("x", "pickle").grade is Grade.CLEAN


# Sniffing.


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value", [None, 1, [], {"a": [1.5, "b"]}, "text\n" * 5000, list(range(9999))]
)
def test_every_pickle_is_recognised(value, protocol):
    data = pickle.dumps(value, protocol)
    assert sniff_pickle(BytesSource(data))
    assert looks_like_pickle(data[:4096], len(data))


@pytest.mark.parametrize(
    "data",
    [
        PAYLOAD,
        PAYLOAD + b"junk",
        PAYLOAD[:-1] + b"\xff\xfe",
        PAYLOAD[:-1],
        b"N0" * 5000 + PAYLOAD,
        b"N." + PAYLOAD,
        b"(lp0\n." * 20 + PAYLOAD,
        b"V" + b"The licence of this model is as follows. " * 500 + b"\n0" + PAYLOAD,
        b"(S'x'\nios\nsystem\n and some text",
        b"Nr    0" + PAYLOAD,
        b"Np5\0\n0" + PAYLOAD,
        b"(" * 9000 + b"0" * 9000 + PAYLOAD,
        b"\x80\x01" + PAYLOAD,
        b"F1_0\n0I0x1f\n0" + PAYLOAD,
        b"]ca.b\nc\n(tRcd\ne\n)R not a word more",
        b"K\xc2\x80\x040cos\nsystem.__call__\n(S'echo'\ntR.\nhello",
        b"K\xc2\x80\x040ca.b\nc.d\n(S'echo'\ntR.\nhello",
    ],
)
def test_what_acts_like_a_pickle_is_one(data):
    assert sniff_pickle(BytesSource(data))
    assert looks_like_pickle(data[:4096], len(data))
    assert FileScan("x", "y", tuple(scan_pickle(BytesSource(data), RULES))).grade is not Grade.CLEAN


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x06N.",
        b"\x80\x04\xff\xff",
        b"{}",
        b'{"a": 1}',
        b"# Model\n",
        b"This is a model card.\n",
        b"Very good.\nSee below.\n",
        b"Python\nPerl\n",
        b"cat\ndog\nbird\n",
        b"import os\nos.system('x')\n",
        b"code is here\nand there\n(and more)\n",
        b"N.B. this is text",
        b"(c) 2024 Somebody\n",
        b"Format: https://www.debian.org/doc\nUpstream-Name: x\n",
        b"0.1,0.2\n",
        b"PK\x03\x04",
        b"GGUF\x03\0\0\0",
        b"\x93NUMPY\x01\0",
        b"\x08\0\0\0\0\0\0\0{}      ",
        bytes(4096),
        b"[UNK]\n[CLS]\nthe\n",
        b"I\nL\nF\nV\n",
        b"Copyright (c) 1992\nThe University\n(all rights)\ntR.",
    ],
)
def test_what_is_no_pickle(data):
    assert not sniff_pickle(BytesSource(data))
    assert not looks_like_pickle(data[:4096], len(data))


def test_random_bytes_are_rarely_called_pickles():
    source = numpy.random.default_rng(7)
    wrong = sum(sniff_pickle(BytesSource(source.bytes(200))) for _ in range(2000))
    assert wrong < 5


def test_the_head_alone_errs_towards_yes():
    data = b"N0" * 5000 + b"text that is no pickle"
    assert looks_like_pickle(data[:4096], len(data))
    assert not sniff_pickle(BytesSource(data))


def test_lengths_in_the_head_are_held_against_the_whole_file():
    head = b"X" + struct.pack("<I", 1 << 20)
    assert looks_like_pickle(head + b"a" * 4000, 2 << 20)
    assert not looks_like_pickle(head + b"a" * 4000, 1 << 20)


# What follows STOP.


def test_trailing_bytes():
    assert codes(b"N." + b"\0") == ["trailing-bytes"]
    assert codes(b"N.junk") == ["trailing-bytes"]
    assert codes(b"N.junk", "ignore") == []
    assert codes(b"N.N.", "pickles") == []
    assert codes(b"N.N.") == ["trailing-bytes"]
    assert codes(b"N.junk", "pickles") == ["broken-pickle"]


@pytest.mark.parametrize("trailing", ["refuse", "pickles"])
def test_a_second_pickle_is_judged_too(trailing):
    found = codes(stream(b"N") + stream(name("os", "system")), trailing)
    assert "dangerous-global" in found
    assert ("trailing-bytes" in found) == (trailing == "refuse")


def test_a_thousand_pickles_are_too_many():
    assert codes(b"N." * 1001, "pickles") == ["over-limit"]
    assert codes(b"N." * 999, "pickles") == []


def test_operations_are_counted_over_all_pickles():
    rules = Rules(builtin_allow_list(), max_operations=10)
    hits = scan_pickle(BytesSource(b"N." * 20), rules, trailing=Trailing.PICKLES)
    assert [hit.code for hit in hits] == ["over-limit"]


def test_an_unknown_way_of_trailing_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError):
        codes(b"N.", "whatever")


def test_hits_say_where():
    (hit,) = scan_pickle(BytesSource(stream(name("os", "system"))), RULES, where="a!b/data.pkl")
    assert hit.where == "a!b/data.pkl byte 2"


def test_inspecting_tells_which_storages_are_asked_for():
    scan = inspect_pickle(
        BytesSource(stream(tensor("0") + tensor("1", "HalfStorage") + b"\x86")), RULES
    )
    assert scan.hits == []
    assert scan.storages == {"0": ("FloatStorage", 4), "1": ("HalfStorage", 4)}


# torch before zip files.


def legacy(thing=None, keys=("0",), storages=None, magic=LEGACY_MAGIC, version=1001):
    parts = [
        pickle.dumps(magic, 2),
        pickle.dumps(version, 2),
        pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2),
        stream(tensor("0")) if thing is None else thing,
        pickle.dumps(list(keys), 2),
    ]
    stored = struct.pack("<q", 4) + bytes(16) if storages is None else storages
    return b"".join(parts) + stored


def legacy_codes(data):
    return [hit.code for hit in scan_legacy_torch(BytesSource(data), RULES)]


def test_a_legacy_file_as_torch_writes_it_is_clean():
    assert looks_like_legacy_torch(legacy())
    assert legacy_codes(legacy()) == []


@pytest.mark.parametrize("protocol", [4, 5])
def test_a_legacy_file_with_frames_is_one(protocol):
    data = b"".join(
        pickle.dumps(part, protocol)
        for part in (LEGACY_MAGIC, 1001, {"little_endian": True}, {"epoch": 3}, [])
    )
    assert looks_like_legacy_torch(data)
    assert legacy_codes(data) == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (legacy() + b"\0", "trailing-bytes"),
        (legacy()[:-1], "storage-mismatch"),
        (legacy(storages=b""), "storage-mismatch"),
        (legacy(storages=struct.pack("<q", 5) + bytes(20)), "storage-mismatch"),
        (legacy(storages=struct.pack("<q", -1) + bytes(16)), "storage-mismatch"),
        (legacy(keys=()), "storage-mismatch"),
        (legacy(keys=("0", "0")), "storage-mismatch"),
        (legacy(keys=("0", "1")), "storage-mismatch"),
        (legacy(keys=(0,)), "storage-mismatch"),
        (legacy(magic=5), "not-legacy-torch"),
        (legacy(version=1002), "not-legacy-torch"),
        (legacy(version="1001"), "not-legacy-torch"),
        (legacy(thing=stream(name("os", "system"))), "dangerous-global"),
        (stream(name("os", "system")) + legacy(), "dangerous-global"),
        (legacy()[:30], "broken-pickle"),
        (legacy(thing=b"\x80\x02\xff"), "broken-pickle"),
        (legacy(thing=stream(storage("0", "TypedStorage"))), "storage-mismatch"),
    ],
)
def test_legacy_files_that_are_not_clean(data, code):
    assert code in legacy_codes(data)


def test_what_is_not_the_legacy_magic():
    for data in (b"", b"\x80\x02", stream(b"N"), b"\x80\x02\x8a\x0a" + bytes(10) + b"."):
        assert not looks_like_legacy_torch(data)


# Facts.


def facts(value: bytes):
    return tensor_facts(BytesSource(stream(value)))


def test_facts_of_a_state_dict():
    nested = b"}" + text("model") + b"}" + text("w") + tensor("0") + b"s" + b"s"
    assert facts(nested) == [TensorFact("model.w", "float32", (2, 2))]
    ordered = ordered_dict() + text("b") + tensor("0", "BFloat16Storage") + b"s"
    assert facts(ordered) == [TensorFact("b", "bfloat16", (2, 2))]


def test_facts_behind_wrappers():
    utils = "torch._utils"
    parameter = call(name(utils, "_rebuild_parameter"), tensor(), b"\x88", ordered_dict())
    subclass = call(
        name("torch._tensor", "_rebuild_from_type_v2"),
        name(utils, "_rebuild_tensor_v2"),
        name("torch", "Tensor"),
        b"(" + storage() + number(0) + shape(3) + shape(1) + b"\x89" + ordered_dict() + b"t",
        b"N",
    )
    untyped = call(
        name(utils, "_rebuild_tensor_v3"),
        storage("0", "ByteStorage"),
        number(0),
        shape(5),
        shape(1),
        b"\x89",
        ordered_dict(),
        name("torch", "float8_e4m3fn"),
    )
    sized = call(
        name(utils, "_rebuild_tensor"),
        storage(),
        number(0),
        call(name("torch", "Size"), shape(7, 8)),
        shape(8, 1),
    )
    found = facts(b"]" + parameter + b"a" + subclass + b"a" + untyped + b"a" + sized + b"a")
    assert found == [
        TensorFact("0", "float32", (2, 2)),
        TensorFact("1", "float32", (3,)),
        TensorFact("2", "float8_e4m3fn", (5,)),
        TensorFact("3", "float32", (7, 8)),
    ]


@pytest.mark.parametrize("protocol", range(6))
def test_facts_of_arrays(protocol):
    value = {"w": numpy.zeros((2, 3), "f4"), "list": [numpy.zeros(4, "i8")], "n": 5}
    found = tensor_facts(BytesSource(pickle.dumps(value, protocol)))
    assert found == [TensorFact("w", "float32", (2, 3)), TensorFact("list.0", "int64", (4,))]


def test_a_shared_tensor_has_every_name():
    tied = b"}" + text("a") + tensor() + b"q\x07s" + text("b") + b"h\x07s"
    assert [fact.name for fact in facts(tied)] == ["a", "b"]


def test_facts_of_hostile_structures_are_bounded():
    cyclic = b"]q\0h\0a"
    assert facts(cyclic) == []
    shared = b"]q\0" + b"".join(b"0(" + b"h\0" * 10 + b"lq\0" for _ in range(30))
    assert facts(shared) == []
    assert facts(b"]" * 5000 + b"a" * 4999) == []
    negative = call(
        name("torch._utils", "_rebuild_tensor"), storage(), number(0), shape(-5), shape(1)
    )
    assert facts(negative) == []


def test_facts_of_a_broken_pickle():
    with pytest.raises(MalformedInput):
        tensor_facts(BytesSource(b"\x80\x02(N"))
