"""The abstract stack machine: benign pickles are clean, hostile ones are not, CPython agrees."""

from __future__ import annotations

import collections
import pickle
import struct
import time

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attest import limits
from attest.codec.pickles import Blob, PickleReader
from attest.codec.reader import BytesSource
from attest.errors import TooLarge
from attest.scan.allowlist import AllowList, Entry, Use, builtin_allow_list
from attest.scan.grades import FileScan, Grade, Rules
from attest.scan.machine import run
from attest.scan.pickles import scan_pickle
from attest.scan.values import Call, DictValue, SetValue
from tests.support.pickling import (
    HarmlessPython,
    call,
    dtype,
    name,
    names_asked_for,
    number,
    ordered_dict,
    simple_state,
    stack_name,
    storage,
    storage_id,
    stream,
    tensor,
    text,
)

RULES = Rules(builtin_allow_list())
SYSTEM = call(name("os", "system"), text("echo"))


def follow(data: bytes, allow: AllowList | None = None, max_operations: int = 1_000_000):
    reader = PickleReader(BytesSource(data))
    return run(reader, allow or builtin_allow_list(), max_operations=max_operations)


def codes(data: bytes, rules: Rules = RULES) -> list[str]:
    return [hit.code for hit in scan_pickle(BytesSource(data), rules)]


def grade(data: bytes, rules: Rules = RULES) -> Grade:
    return FileScan("x", "pickle", tuple(scan_pickle(BytesSource(data), rules))).grade


# Benign.

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text() | st.integers(), inner)
        | st.lists(inner).map(tuple)
        | st.sets(st.integers() | st.text())
        | st.frozensets(st.binary())
    ),
    max_leaves=30,
)


def concrete(value):
    """The plain Python object that an abstract value stands for."""
    if isinstance(value, DictValue):
        return {concrete(key): concrete(item) for key, item in value.pairs()}
    if isinstance(value, SetValue):
        return {concrete(item) for item in value.items}
    if isinstance(value, tuple):
        return tuple(map(concrete, value))
    if isinstance(value, list):
        return [concrete(item) for item in value]
    if isinstance(value, Call):
        arguments = [concrete(item) for item in value.arguments]
        if value.function.name == "encode":
            return arguments[0].encode(arguments[1])
        return {"bytes": bytes, "set": set, "frozenset": frozenset}[value.function.name](*arguments)
    return value


def shown(value):
    """As ``repr``, whatever the order of sets; NaN is NaN."""
    if isinstance(value, dict):
        return [(shown(key), shown(item)) for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [type(value).__name__, *map(shown, value)]
    if isinstance(value, set | frozenset):
        return ["set", *sorted(map(repr, value))]
    return repr(value)


@given(plain, st.integers(0, 5))
@settings(deadline=None)
def test_plain_data_is_clean_and_understood(value, protocol):
    data = pickle.dumps(value, protocol)
    outcome = follow(data)
    assert outcome.hits == []
    assert outcome.end == len(data)
    assert pickle.dumps(concrete(outcome.value)) == pickle.dumps(value) or (
        shown(concrete(outcome.value)) == shown(value)
    )


@given(plain, st.integers(0, 5))
@settings(deadline=None, max_examples=30)
def test_plain_data_from_the_pickler_in_python_is_clean(value, protocol):
    dumps = vars(pickle)["_dumps"]
    assert follow(dumps(value, protocol)).hits == []


STRUCTURED = numpy.dtype([("a", "<i4"), ("b", ">f8", (2,)), ("c", "S3")])
ARRAYS = [
    numpy.arange(12, dtype="<f4").reshape(3, 4),
    numpy.asfortranarray(numpy.ones((2, 3))),
    numpy.array(5),
    numpy.zeros((0, 3), "u1"),
    numpy.array(["a", "bcd"]),
    numpy.array([b"a", b"bcd"]),
    numpy.array(["2020-01-01"], "M8[D]"),
    numpy.array([3], "m8[ns]"),
    numpy.array([True, False]),
    numpy.array([1j]),
    numpy.zeros(2, STRUCTURED),
    numpy.zeros(2, numpy.dtype([("a", "u1"), ("b", "f8")], align=True)),
    numpy.zeros(2, "V5"),
    numpy.array(["a", None, {"b": 1}], object),
    numpy.zeros((0, 3), object),
    numpy.array(None, object),
    numpy.arange(5, dtype=">i8"),
    numpy.float32(1.5),
    numpy.int64(-3),
    numpy.bool_(True),
    numpy.str_("text"),
    numpy.datetime64("2020-01-01T00:00"),
    numpy.dtype("f8"),
    numpy.dtype([("x", numpy.dtype([("y", "f4")])), ("z", "U7")]),
    numpy.dtype([("o", object), ("f", "f8")]),
    numpy.dtype("S0"),
    numpy.random.default_rng(1).random((300, 300)),
    {"w": numpy.ones(3), "again": numpy.ones(3)},
]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", ARRAYS, ids=lambda value: repr(value)[:40].replace("\n", " "))
def test_numpy_is_clean(value, protocol):
    assert codes(pickle.dumps(value, protocol)) == []


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        collections.OrderedDict(a=1, b=[2]),
        collections.Counter("abca"),
        bytearray(b"abc"),
        bytearray(),
        b"",
        3 - 4j,
        [set(), frozenset(), {1}, frozenset({"a"})],
        ["again"] * 3,
    ],
    ids=repr,
)
def test_listed_python_types_are_clean(value, protocol):
    assert codes(pickle.dumps(value, protocol)) == []


def test_recursive_structures_are_clean():
    value: list = [1]
    value.append((value, {"self": value}))
    for protocol in range(6):
        assert codes(pickle.dumps(value, protocol)) == []


def test_a_state_dict_is_clean():
    metadata = b"}" + text("_metadata") + ordered_dict() + b"sb"
    weights = text("w") + tensor("0") + b"s" + text("b") + tensor("1", "BFloat16Storage") + b"s"
    assert codes(stream(ordered_dict() + weights + metadata)) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"](K\x01K\x02e\x85R", Grade.CLEAN),
        (b"cos\nsystem\n\x85R", Grade.MALICIOUS),
        (b"N\x85R", Grade.SUSPICIOUS),
        (b"]\x85RK\0K\x01s", Grade.MALICIOUS),
        (b"]\x85R}b", Grade.SUSPICIOUS),
    ],
)
def test_lists_of_torchscript(data, expected):
    assert grade(b"\x80\x02ctorch.jit._pickle\nbuild_intlist\n" + data + b".") is expected


def test_tagged_containers_of_torchscript():
    tagged = b"\x80\x02ctorch.jit._pickle\nrestore_type_tag\n}X\x09\0\0\0Dict[a,b]\x86R."
    assert grade(tagged) is Grade.CLEAN
    assert grade(tagged.replace(b"}X", b"NX")) is Grade.SUSPICIOUS


def test_all_ways_torch_writes_tensors_are_clean():
    utils = "torch._utils"
    made = [
        call(name(utils, "_rebuild_parameter"), tensor(), b"\x88", ordered_dict()),
        call(
            name(utils, "_rebuild_parameter_with_state"),
            tensor(),
            b"\x88",
            ordered_dict(),
            b"}" + text("note") + text("x") + b"s",
        ),
        call(
            name(utils, "_rebuild_tensor_v3"),
            storage("0", "ByteStorage"),
            number(0),
            b"(" + number(2) + b"t",
            b"(" + number(1) + b"t",
            b"\x89",
            ordered_dict(),
            name("torch", "float8_e4m3fn"),
        ),
        call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            name(utils, "_rebuild_tensor_v2"),
            name("torch.nn.parameter", "Parameter"),
            b"(" + storage() + number(0) + b"K\x02\x85K\x01\x85\x89" + ordered_dict() + b"t",
            b"}" + text("tag") + number(7) + b"s",
        ),
        call(
            name(utils, "_rebuild_sparse_tensor"),
            call(name("torch.serialization", "_get_layout"), text("torch.sparse_coo")),
            b"(" + tensor() + tensor() + call(name("torch", "Size"), b"K\x02\x85") + b"t",
        ),
        call(
            name(utils, "_rebuild_qtensor"),
            storage("0", "QInt8Storage"),
            number(0),
            b"K\x02\x85",
            b"K\x01\x85",
            b"(" + name("torch", "per_tensor_affine") + b"G?\xf0\0\0\0\0\0\0K\0t",
            b"\x89",
            ordered_dict(),
        ),
        call(
            name(utils, "_rebuild_meta_tensor_no_storage"),
            name("torch", "float32"),
            b"K\x02\x85",
            b"K\x01\x85",
            b"\x89",
        ),
        call(name("torch", "device"), text("cuda:0")),
        call(name("torch", "device"), text("cuda"), number(1)),
    ]
    for one in made:
        assert codes(stream(one)) == []


def test_python_2_names_are_renamed_first():
    assert codes(stream(call(name("__builtin__", "set"), b"]"))) == []
    assert codes(stream(call(name("__builtin__", "set"), b"]"), protocol=4)) != []


# Unlisted: nothing known, nothing added by what happens to the result.


@pytest.mark.parametrize(
    "use",
    [
        b"",
        b")R",
        b")\x81}b",
        b")R}b",
        b")\x81" + text("k") + b"Ns",
        b")\x81Na",
        b")\x81(NNe",
    ],
)
def test_unlisted_stays_unlisted(use):
    data = stream(name("argparse", "Namespace") + use)
    assert codes(data) == ["unlisted-global"]
    assert grade(data) is Grade.UNLISTED


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("argparse", "Namespace"),
        ("megatron.core.enums", "ModelType"),
        ("pathlib", "PosixPath"),
        ("pathlib._local", "PosixPath"),
        ("copyreg", "_reconstructor"),
        ("copyreg", "__newobj__"),
        ("collections", "defaultdict"),
        ("torch.nn.modules.linear", "Linear"),
        ("torch.distributed.checkpoint.metadata", "Metadata"),
        ("transformers.training_args", "TrainingArguments"),
        ("sklearn.linear_model._base", "LinearRegression"),
        ("joblib.numpy_pickle", "NumpyArrayWrapper"),
        ("numpy.random._pickle", "__randomstate_ctor"),
        ("__main__", "Config"),
        ("datetime", "datetime"),
        ("_io", "BytesIO"),
        ("types", "SimpleNamespace"),
        ("omegaconf.dictconfig", "DictConfig"),
        ("ultralytics.nn.tasks", "DetectionModel"),
        ("__torch__.torch.nn.modules.linear", "Linear"),
    ],
)
def test_names_of_benign_checkpoints_are_never_malicious(module, attribute):
    assert codes(stream(name(module, attribute))) == ["unlisted-global"]


# Names by every road.


@pytest.mark.parametrize(
    "road",
    [
        name("os", "system"),
        stack_name("os", "system"),
        text("os") + b"q\x01" + text("system") + b"q\x02\x860h\x01h\x02\x93",
        text("system") + b"q\x07" + text("os") + b"q\x0900h\x09h\x07\x93",
        text("os") + b"2q\x0100" + text("x") + b"0h\x01" + text("system") + b"\x93",
        b"(" + text("os") + b"q\x01" + text("system") + b"q\x02t0h\x01h\x02\x93",
        b"(" + text("os") + b"q\x01" + text("system") + b"q\x021h\x01h\x02\x93",
        text("os") + b"\x940" + text("system") + b"\x940h\0h\x01\x93",
        b"U\x02os" + b"T\x06\0\0\0system" + b"\x93",
        b"S'o\\x73'\n" + b"V\\u0073ystem\n" + b"\x93",
        b"\x8d\x02\0\0\0\0\0\0\0os" + b"\x8c\x06system" + b"\x93",
        text("os") + b"p70000\n0" + b"g70000\n" + text("system") + b"\x93",
        b"N0" * 500 + name("os", "system"),
        b"(((" + b"000" + name("os", "system"),
        stack_name("os", "system").replace(b"os", b"nt"),
        name("__builtin__", "eval"),
        name("commands", "getoutput"),
        name("numpy", "__builtins__"),
        name("torch.serialization", "os"),
        name("builtins", "eval.__call__"),
        name("collections", "OrderedDict.__init__.__globals__"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_dangerous_names_are_found(road, protocol):
    data = stream(road, protocol=protocol)
    assert follow(data).broken is None
    assert "dangerous-global" in codes(data)
    assert grade(data) is Grade.MALICIOUS


def test_inst_obj_newobj_and_newobj_ex():
    for data in (
        b"(S'x'\niposix\nsystem\n.",
        stream(b"(" + name("posix", "system") + text("x") + b"o"),
        stream(name("subprocess", "Popen") + b"(" + text("x") + b"t\x81"),
        stream(name("subprocess", "Popen") + b")}\x92"),
    ):
        assert "dangerous-global" in codes(data)


@pytest.mark.parametrize(
    ("road", "code"),
    [
        (call(name("_codecs", "encode"), text("os"), text("latin1")) + text("x") + b"\x93", "call"),
        (text("os") + call(name("x", "y")) + b"\x93", "call"),
        (text("os") + storage() + b"\x93", "persistent"),
    ],
)
def test_computed_names_are_malicious(road, code):
    assert "unresolved-global" in codes(stream(road))
    assert grade(stream(road)) is Grade.MALICIOUS


def test_the_result_of_inst_and_obj_goes_where_cpython_puts_it():
    for made in (b"(iargparse\nNamespace\n", b"(" + name("argparse", "Namespace") + b"o"):
        outcome = follow(b"(N" + made + b"t.")
        assert [type(item) for item in outcome.value] == [type(None), Call]


def test_names_that_are_no_text():
    for road in (
        b"NN\x93",
        number(1) + text("x") + b"\x93",
        text("a" * 5000) + text("x") + b"\x93",
    ):
        assert grade(stream(road)) is Grade.SUSPICIOUS


@pytest.mark.parametrize(
    ("module", "attribute"),
    [
        ("os\r", "system\r"),
        ("ｏｓ", "path"),
        ("оs", "path"),  # Cyrillic
        ("a b", "c"),
        ("collections", "OrderedDict.fromkeys"),
        ("collections", "OrderedDict "),
        ("", "x"),
        ("x", ""),
        ("torch.", "float32"),
        ("torch", "ﬂoat32"),
        ("a\x1b[31m", "b"),
    ],
)
def test_odd_names_are_suspicious_and_printable(module, attribute):
    (hit,) = scan_pickle(BytesSource(stream(stack_name(module, attribute), protocol=4)), RULES)
    assert (hit.code, hit.grade) == ("odd-global", Grade.SUSPICIOUS)
    assert hit.message.isascii()
    assert hit.message.isprintable()


def test_a_lookalike_is_never_the_listed_name():
    for attribute in ("orderedDict", "OrderedDict\0", "ＯrderedDict", "OrderedDict.x"):
        assert grade(stream(call(stack_name("collections", attribute)))) is not Grade.CLEAN


def test_indirect_names_are_suspicious():
    for module, attribute in (("builtins", "getattr"), ("functools", "partial")):
        assert codes(stream(name(module, attribute))) == ["indirect-global"]


def test_an_unlisted_subclass_or_dtype_is_unlisted_and_no_more():
    subclass = call(
        name("torch._tensor", "_rebuild_from_type_v2"),
        name("torch._utils", "_rebuild_tensor_v2"),
        name("torchao.dtypes", "NF4Tensor"),
        b"(" + storage() + number(0) + b"K\x02\x85K\x01\x85\x89" + ordered_dict() + b"t",
        b"N",
    )
    small = call(name("numpy", "dtype"), name("ml_dtypes", "bfloat16"), b"\x89", b"\x88")
    state = b"(" + b"".join(simple_state()) + b"tb"
    for data in (subclass, small + state, array(small + state, b"C\x02aa")):
        assert codes(stream(data)) == ["unlisted-global"]
    known = builtin_allow_list().extended(
        [
            Entry("torchao.dtypes", "NF4Tensor", Use.CLASS, site=True),
            Entry("ml_dtypes", "bfloat16", Use.CLASS, site=True),
        ]
    )
    for data in (subclass, small + state, array(small + state, b"C\x02aa")):
        assert codes(stream(data), Rules(known)) == []


def test_each_name_is_reported_once_at_its_first_place():
    data = stream(name("a", "b") * 3 + name("c", "d") + b"000")
    hits = scan_pickle(BytesSource(data), RULES, where="archive/data.pkl")
    assert [hit.where for hit in hits] == ["archive/data.pkl byte 2", "archive/data.pkl byte 17"]


def test_hits_are_bounded_and_the_worst_stay():
    many = b"".join(name("m", f"n{number}") + b"0" for number in range(2000))
    hits = scan_pickle(BytesSource(stream(many + SYSTEM)), RULES)
    assert len(hits) < 300
    assert hits[-1].grade is Grade.MALICIOUS


# Calls, states, items.


@pytest.mark.parametrize(
    "data",
    [
        call(name("torch._utils", "_rebuild_tensor_v2"), text("x")),
        call(name("torch._utils", "_rebuild_tensor_v2")),
        name("collections", "OrderedDict") + b"NR",
        call(name("torch", "float32")),
        call(name("torch", "FloatStorage"), number(10)),
        call(name("torch.storage", "UntypedStorage"), number(10**9)),
        call(name("builtins", "bytes"), number(10**9)),
        call(name("builtins", "bytearray"), number(10**9)),
        call(name("_codecs", "encode"), text("x"), text("rot13")),
        call(name("_codecs", "encode"), text("x")),
        call(name("numpy", "ndarray"), b"K\x05\x85"),
        call(
            name("numpy.core.multiarray", "_reconstruct"),
            name("torch", "Size"),
            b"K\0\x85",
            b"C\x01b",
        ),
        call(
            name("numpy.core.multiarray", "_reconstruct"),
            name("numpy", "ndarray"),
            number(9),
            text("b"),
        ),
        call(name("numpy.core.multiarray", "scalar"), dtype("O8"), b"C\x08aaaaaaaa"),
        call(name("numpy", "dtype"), text("f8"), b"\x89", b"\x89"),
        call(name("numpy", "dtype"), text("f8,O"), b"\x89", b"\x88"),
        call(name("numpy", "dtype"), name("collections", "OrderedDict"), b"\x89", b"\x88"),
        call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            name("collections", "OrderedDict"),
            name("torch", "Tensor"),
            b")",
            b"N",
        ),
        call(
            name("torch._tensor", "_rebuild_from_type_v2"),
            name("torch._tensor", "_rebuild_from_type_v2"),
            name("torch", "Tensor"),
            b")",
            b"N",
        ),
        name("torch", "Tensor") + b")\x81",
        name("builtins", "set") + b")\x81",
        name("collections", "OrderedDict") + b")}" + text("k") + b"Ns\x92",
        tensor(hooks=b"}" + number(0) + name("torch.serialization", "_get_layout") + b"s"),
        tensor(hooks=ordered_dict() + number(0) + name("torch", "Size") + b"s"),
        b"N)R",
        tensor() + b")R",
    ],
)
def test_calls_that_no_pickler_writes_are_not_clean(data):
    assert grade(stream(data)) is Grade.SUSPICIOUS


def test_hooks_that_are_filled_later_are_noticed():
    """The dict of hooks is remembered, handed over empty, and filled afterwards."""
    hooks = ordered_dict() + b"q\x05"
    late = tensor(hooks=hooks) + b"0h\x05" + number(0) + name("torch", "Size") + b"s"
    assert codes(stream(late)) == ["changed-after-use"]
    built = tensor(hooks=hooks) + b"0h\x05}" + text("x") + b"Nsb"
    assert codes(stream(built)) == ["unexpected-state"]


@pytest.mark.parametrize(
    "state",
    [
        b"N",
        b"]",
        b"}}\x86",
        b"}" + text("__class__") + name("torch", "Size") + b"s",
        b"}" + text("__class__") + b"Ns",
        b"}" + text("items") + name("torch", "Size") + b"s",
        b"}" + text("_backward_hooks") + b"}s",
        b"}" + number(1) + b"Ns",
    ],
    ids=["none", "list", "slots", "class", "dunder", "method", "hooks", "key"],
)
def test_states_of_ordered_dicts(state):
    assert codes(stream(ordered_dict() + state + b"b")) == ["unexpected-state"]


def test_slot_state_on_a_tensor_and_on_a_site_of_nobody():
    assert codes(stream(tensor() + b"N}" + text("x") + b"Ns\x86b")) == ["unexpected-state"]
    assert codes(stream(b"]}b")) == ["unexpected-state"]
    assert codes(stream(storage() + b"}b")) == ["unexpected-state"]


def test_building_a_class_changes_the_process():
    for target in (name("numpy", "dtype"), name("x", "y")):
        assert "build-on-global" in codes(stream(target + b"N}" + text("shape") + b"Ns\x86b"))
        assert grade(stream(target + b"}b")) is Grade.MALICIOUS


@pytest.mark.parametrize("items", [b"Na", b"(NNe", b"NNs", b"(NNu", b"(NN\x90"])
@pytest.mark.parametrize(
    "target",
    [
        tensor(),
        storage(),
        name("torch", "Size"),
        call(name("torch", "Size"), b")"),
        dtype("f8"),
        call(name("_codecs", "encode"), text("x"), text("latin1")),
    ],
    ids=["tensor", "storage", "class", "size", "dtype", "bytes"],
)
def test_items_only_go_into_containers(target, items):
    assert codes(stream(target + items)) == ["item-on-object"]
    assert grade(stream(target + items)) is Grade.MALICIOUS


def test_lists_of_ordered_dicts_do_not_append():
    assert codes(stream(ordered_dict() + b"Na")) == ["item-on-object"]
    assert codes(stream(ordered_dict() + b"NNs")) == []
    assert codes(stream(b"]NNs")) == ["item-on-other"]
    assert codes(stream(b"}Na")) == ["item-on-other"]


# numpy's dtype state is believed by numpy, so it is checked.


def array(element: bytes, data: bytes = b"C\x08aaaaaaaa", shape: bytes = b"K\x01\x85") -> bytes:
    made = call(
        name("numpy.core.multiarray", "_reconstruct"),
        name("numpy", "ndarray"),
        b"K\0\x85",
        b"C\x01b",
    )
    return made + b"(" + number(1) + shape + element + b"\x89" + data + b"tb"


def test_an_array_as_numpy_writes_it():
    assert codes(stream(array(dtype("f8", *simple_state())))) == []
    assert codes(stream(array(dtype("O8", *simple_state("|", flags=63)), b"]Na"))) == []


@pytest.mark.parametrize(
    "data",
    [
        array(dtype("O8", *simple_state("|", flags=0))),
        array(dtype("O8", *simple_state("|", flags=63))),
        array(dtype("f8", *simple_state(flags=63)), b"]Na"),
        array(dtype("f8", *simple_state(flags=4))),
        array(dtype("f8", *simple_state(size=800))),
        array(dtype("S10", *simple_state("|", 100, 1))),
        array(dtype("V8", *simple_state("|", 8, 1, 63))),
        array(dtype("f8", *simple_state("x"))),
        array(dtype("f8", *simple_state())) + b"(" + number(1) + b"K\x09\x85NNNtb",
        dtype("f8", *simple_state()) + b"(" + b"".join(simple_state()) + b"tb",
        dtype("f8") + b"q\x010" + array(b"h\x01") + b"0h\x01(" + b"".join(simple_state()) + b"tb",
        array(dtype("f8", *simple_state()), b"N"),
        array(dtype("f8", *simple_state()), shape=b"NN\x86"),
        array(text("f8")),
        array(dtype("O8", *simple_state("|", flags=63)), b"]Na", number(10**9) + b"\x85"),
        array(dtype("O8", *simple_state("|", flags=63)), b"]Na", b"K\x01J\xff\xff\xff\xff\x86"),
        dtype("V8", *simple_state("|", 8, 0, 0)),
        dtype("V8", *simple_state("|", 8, 3, 0)),
    ],
    ids=[
        "object-without-flags", "object-from-bytes", "objects-of-f8", "pointer-flag", "too-wide",
        "string-too-wide", "void-with-objects", "order", "array-again", "dtype-again",
        "dtype-after-use", "no-data", "shape", "dtype-text", "more-objects", "negative",
        "alignment-0", "alignment-3",
    ],
)  # fmt: skip
def test_array_states_that_would_corrupt_memory(data):
    assert grade(stream(data)) is Grade.SUSPICIOUS


def record(offset: int, size: int = 8, late: bytes = b"") -> bytes:
    fields = b"}" + text("a") + dtype("f8", *simple_state()) + number(offset) + b"\x86sq\x21"
    state = (number(3), text("|"), b"N", text("a") + b"\x85", fields, number(size), number(1))
    return dtype(f"V{size}", *state, number(16)) + late


def test_record_fields_lie_inside_the_record():
    assert codes(stream(record(0))) == []
    assert codes(stream(record(8, 16))) == []
    for offset in (1, -1, 8, 1 << 30):
        assert codes(stream(record(offset))) == ["unexpected-state"]


def test_every_field_name_has_a_field():
    state = (
        number(3),
        text("|"),
        b"N",
        text("b") + b"\x85",
        b"}",
        number(8),
        number(1),
        number(16),
    )
    assert codes(stream(dtype("V8", *state))) == ["unexpected-state"]


def test_fields_changed_after_the_check_are_noticed():
    change = b"h\x21" + text("a") + dtype("f8", *simple_state()) + number(1 << 20) + b"\x86s0"
    assert codes(stream(record(0, late=change))) == ["changed-after-use"]


# What is not in the stream.


@pytest.mark.parametrize(
    "pid",
    [
        b"N",
        text("evil"),
        b")",
        b"(" + text("module") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"K\x04t",
        storage_id("../../etc/passwd"),
        storage_id("0/1"),
        b"(" + text("storage") + text("FloatStorage") + text("0") + text("cpu") + b"K\x04t",
        b"(" + text("storage") + name("torch", "float32") + text("0") + text("cpu") + b"K\x04t",
        b"(" + text("storage") + name("torch", "FloatStorage") + b"K\0" + text("cpu") + b"K\x04t",
        b"(" + text("storage") + name("torch", "FloatStorage") + text("0") + text("cpu") + b"Nt",
        storage_id(count=-1),
    ],
)
def test_ids_that_are_not_torch_storages(pid):
    assert codes(stream(pid + b"Q")) == ["foreign-persistent-id"]
    assert grade(stream(pid + b"Q")) is Grade.UNSCANNABLE


def test_calls_inside_an_id_are_judged():
    pid = b"(" + text("storage") + SYSTEM + text("0") + text("cpu") + b"K\x04tQ"
    assert "dangerous-global" in codes(stream(pid))


def test_one_storage_asked_for_as_two():
    both = b"(" + storage("0", count=4) + storage("0", count=400) + b"t"
    assert codes(stream(both)) == ["storage-conflict"]


@pytest.mark.parametrize("code", [b"\x82\x01", b"\x83\x01\0", b"\x84\x01\0\0\0", b"\x82\0"])
def test_extensions_are_malicious(code):
    assert codes(stream(code)) == ["extension-code"]
    assert grade(stream(code)) is Grade.MALICIOUS


def test_buffers_outside_of_the_stream():
    assert codes(stream(b"\x97", protocol=5)) == ["out-of-band-buffer"]
    assert codes(stream(b"\x97\x98", protocol=5)) == ["out-of-band-buffer"]
    assert codes(stream(b"C\x01a\x98", protocol=5)) == []


def test_values_left_behind():
    assert codes(stream(b"NN")) == ["leftover-values"]
    assert codes(stream(b"(N")) == ["leftover-values"]


def test_the_protocol_changes_on_the_way():
    hidden = b"\x80\x04N0\x80\x02" + name("__builtin__", "set") + b"."
    assert codes(hidden) == ["protocol-change"]


# Broken and bombs.


@pytest.mark.parametrize(
    "data",
    [
        b".",
        b"\x80\x02.",
        b"\x80\x06N.",
        b"0.",
        b"1.",
        b"2.",
        b"R.",
        b"Nh\x05.",
        b"(t",
        b"N\x86.",
        b"t.",
        b"e.",
        b"(e.",
        b"}(Nu.",
        b"(Nd.",
        b"(o.",
        b"\x93.",
        b"q\0.",
        b"\x94.",
        b"(q\0.",
        b"(2.",
        b"N(\x85.",
        b"b.",
        b"N(b.",
        b"Q.",
        b"\x98.",
        b"ix\ny\n.",
        b"N",
        b"",
        b"\xff",
    ],
)
def test_streams_that_break_are_unscannable(data):
    assert codes(data)[-1] == "broken-pickle"
    assert grade(data) is Grade.UNSCANNABLE


@pytest.mark.parametrize("tail", [b"\xff", b"", b"Nh\x7f", b"RRRR", b"T\xff\xff\xff\xff", b"cx\n"])
def test_a_payload_before_the_break(tail):
    data = stream(SYSTEM)[:-1] + tail
    assert codes(data) == ["dangerous-global", "broken-pickle"]


def test_too_many_operations():
    outcome = follow(b"N0" * 100 + b"N.", max_operations=100)
    assert [hit.code for hit in outcome.hits] == ["over-limit"]
    assert isinstance(outcome.broken, TooLarge)
    assert outcome.end is None


def test_too_many_marks():
    assert codes(b"(" * 20_000 + b".") == ["over-limit"]


def test_deep_nesting_needs_no_recursion():
    """Made, walked and taken apart again without touching the recursion limit."""
    assert codes(b"N" + b"\x85" * 300_000 + b".") == []
    assert codes(b"]" * 200_000 + b"a" * 199_999 + b".") == []
    calls = name("x", "y") + b"q\0" + b")R" * 100_000
    assert "unlisted-global" in codes(stream(calls))


def test_sharing_does_not_multiply():
    """Thirty levels of ten references each: ten to the thirtieth when unfolded."""
    data = b"]q\0" + b"".join(b"0(" + b"h\0" * 10 + b"lq\0" for _ in range(30)) + b"."
    assert codes(data) == []


def test_a_list_that_holds_itself():
    assert codes(b"]q\0h\0a.") == []
    assert codes(stream(b"]q\0h\0a0" + call(name("builtins", "set"), b"h\0"))) == []


def test_memo_bombs_are_noticed_and_followed():
    """CPython makes an array of that size, and goes on if it gets one."""
    data = stream(b"Nr\xff\xff\xff\xff0" + SYSTEM)
    assert codes(data) == ["memo-gap", "dangerous-global"]
    assert "dangerous-global" in codes(b"Np" + b"9" * 30 + b"\n0" + SYSTEM + b".")


def test_claims_of_two_gigabytes():
    for opcode in (b"X", b"B"):
        assert codes(stream(opcode + struct.pack("<I", 1 << 31) + b"abc")) == ["broken-pickle"]
    assert codes(stream(b"\x8e" + struct.pack("<Q", 1 << 62))) == ["broken-pickle"]


def test_the_state_of_the_machine_is_not_shared_between_runs():
    assert follow(stream(text("a") + b"q\0")).hits == []
    assert follow(stream(b"h\0")).broken is not None


def test_too_many_containers_and_calls(monkeypatch):
    """They cost a hundred times their bytes."""
    monkeypatch.setattr(limits, "MAX_PICKLE_MADE", 100_000)
    for made in (b"}", b"]", b")R", b"N\x85"):
        start = b"ca\nb\n" if made == b")R" else b""
        found = codes(b"\x80\x02" + start + made * (limits.MAX_PICKLE_MADE + 70_000))
        assert "over-limit" in found, made


@pytest.mark.parametrize(
    "data",
    [
        b"(" + b"K\x01" * 200_000 + b"tq\0ctorch\nSize\nq\x01" + b"0h\x01h\0\x85R" * 50_000,
        b"ctorch._tensor\n_rebuild_from_type_v2\nq\0("
        b"ctorch._utils\n_rebuild_tensor_v2\nctorch\nTensor\n)}("
        + b"".join(b"X\x04\0\0\0%04dN" % number for number in range(4000))
        + b"utq\x01"
        + b"0h\0h\x01R" * 50_000,
    ],
    ids=["sizes", "states"],
)
def test_what_is_handed_over_many_times_is_looked_at_once(data):
    begin = time.process_time()
    codes(b"\x80\x02" + data + b".")
    assert time.process_time() - begin < 10


def test_a_million_operations_in_a_few_seconds():
    rows = [(index, [1.5, None, "x", b"y"]) for index in range(100_000)]
    data = pickle.dumps(rows, 4)
    started = time.perf_counter()
    outcome = follow(data, max_operations=10_000_000)
    elapsed = time.perf_counter() - started
    assert outcome.hits == []
    assert outcome.operations > 1_000_000
    assert elapsed < 15  # about 0.8 s on an idle core; the machine may be busy


# What a site allows.

SITE = builtin_allow_list().extended(
    [
        Entry("megatron.core.enums", "ModelType", Use.CLASS, site=True, reason="reviewed"),
        Entry("mylib", "make", Use.FUNCTION, site=True, reason="reviewed"),
        Entry("mylib", "DEFAULT", Use.CONSTANT, site=True, reason="reviewed"),
    ]
)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (call(name("megatron.core.enums", "ModelType"), number(1)), []),
        (name("megatron.core.enums", "ModelType") + b")\x81}b", []),
        (name("megatron.core.enums", "ModelType") + b")\x81N}" + text("s") + b"Ns\x86b", []),
        (name("megatron.core.enums", "ModelType") + b")\x81NNs", []),
        (name("megatron.core.enums", "ModelType") + b"}b", ["build-on-global"]),
        (name("megatron.core.enums", "Other"), ["unlisted-global"]),
        (name("megatron.core.enums", "ModelType.x"), ["odd-global"]),
        (name("megatron.core", "ModelType"), ["unlisted-global"]),
        (call(name("mylib", "make")), []),
        (call(name("mylib", "make")) + b"Na", ["item-on-object"]),
        (call(name("mylib", "make")) + b"}b", ["unexpected-state"]),
        (call(name("mylib", "make")) + b")R", ["call-of-value"]),
        (name("mylib", "DEFAULT"), []),
        (call(name("mylib", "DEFAULT")), ["unexpected-call"]),
    ],
)
def test_site_entries(data, expected):
    assert codes(stream(data), Rules(SITE)) == expected


# CPython's unpickler, with inert classes, as the judge of what is looked up.

pieces = st.sampled_from(
    [
        b"(", b"0", b"1", b"2", b"N", b"]", b"}", b")", b"\x8f", b"t", b"l", b"d", b"a", b"e", b"s",
        b"u", b"\x85", b"\x86", b"\x87", b"\x90", b"\x91", b"R", b"b", b"o", b"\x81", b"\x92", b"Q",
        b"\x93", b"\x94", b"q\0", b"h\0", b"q\x01", b"h\x01", b"p1\n", b"g0\n", b"r\x02\0\0\0",
        b"j\x02\0\0\0", text("mod"), text("attr"), b"Vo\\u0073\n", b"S'o\\x73'\n", b"U\x02os",
        b"C\x02ab", name("m", "n"), b"im\nn\n", b"\x80\x02", b"\x80\x04", b"K\x05", b"I7\n", b".",
        b"\x95\x03\0\0\0\0\0\0\0", b"\x95\x00\0\0\0\0\0\0\0", b"\x82\x01", b"\x98", b"\x97",
        b"Px\n", b"\xff", stack_name("x", "y"), b"\x8c\x02os\x8c\x06system\x93)R", b"F1.5\n",
        b"F1_0\n", b"L12L\n", b"I0x1f\n", b"I010\n", b"\x8a\x01\x05", b"\x8b\x01\0\0\0\x05",
    ]
)  # fmt: skip


@given(st.lists(pieces, max_size=40))
@settings(deadline=None, max_examples=600)
def test_no_name_that_cpython_looks_up_is_missed(parts):
    data = b"".join(parts) + b"."
    outcome = follow(data)
    assert set(names_asked_for(data, HarmlessPython)) <= outcome.names
    framed = outcome.broken is not None and b"\x95" in data
    if not framed and "frame-mismatch" not in {hit.code for hit in outcome.hits}:
        assert set(names_asked_for(data)) <= outcome.names


def test_a_frame_that_cuts_an_operation_is_read_in_two_ways():
    """In memory the name is one that the list has; from a file CPython sees the rest of it only."""
    whole, cut = b"ccollections\nCounter\n", len(b"ccollect")
    data = b"\x80\x04\x95" + struct.pack("<Q", cut) + whole + b"."
    assert names_asked_for(data) == [("ions", "Counter")]
    assert follow(data).names == {("collections", "Counter")}
    assert codes(data) == ["frame-mismatch"]
    assert grade(data) is Grade.UNSCANNABLE


def test_the_judge_itself_sees_names():
    assert names_asked_for(stream(SYSTEM)) == [("os", "system")]
    assert names_asked_for(b"(S'x'\nios\nsystem\n.", HarmlessPython) == [("os", "system")]


def test_long_strings_are_kept_as_places():
    outcome = follow(stream(b"B" + struct.pack("<I", 5000) + b"z" * 5000))
    assert outcome.value == Blob("bytes", 7, 5000)
