"""ONNX models: everything is walked, tensor data is not read."""

from __future__ import annotations

import time

import pytest

from attest import limits
from attest.codec.onnx import DATA_TYPES, parse_onnx
from attest.codec.reader import BytesSource
from attest.errors import MalformedInput, TooLarge, Truncated
from tests.support.fixtures import fixture
from tests.support.modelfiles import onnx, onnx_graph, onnx_node, onnx_tensor, pb, varint


def parse(data):
    return parse_onnx(BytesSource(data))


def codes(data):
    return [code for code, _ in parse(data).anomalies]


def test_a_good_model():
    read = parse(
        onnx(
            [onnx_node("Conv"), onnx_node("Conv"), onnx_node("Gelu", "com.microsoft")],
            [onnx_tensor("w", (2, 3), raw=bytes(24)), onnx_tensor("i", (3,), 22, raw=bytes(2))],
            opsets=(("", 17), ("com.microsoft", 1)),
            more=((3, "1.0"), (14, pb((1, "k"), (2, "v"))), (5, 3)),
        )
    )
    assert read.ir_version == 9
    assert read.model_version == 3
    assert (read.producer_name, read.producer_version) == ("tests", "1.0")
    assert read.opsets == {"": 17, "com.microsoft": 1}
    assert read.metadata == {"k": "v"}
    assert read.nodes == {("", "Conv"): 2, ("com.microsoft", "Gelu"): 1}
    assert [(t.name, t.dtype, t.dims, t.elements, t.size) for t in read.initializers] == [
        ("w", "FLOAT", (2, 3), 6, 24),
        ("i", "INT4", (3,), 3, 2),
    ]
    assert read.parameters == 9
    assert read.anomalies == ()


def test_packed_dims():
    tensor = pb((1, varint(2) + varint(3)), (2, 1), (8, "w"), (9, bytes(24)))
    assert parse(onnx(tensors=[tensor])).initializers[0].dims == (2, 3)


def test_a_scalar():
    assert parse(onnx(tensors=[onnx_tensor(dims=(), raw=bytes(4))])).initializers[0].elements == 1


@pytest.mark.parametrize(
    ("place", "fields"),
    [
        ("subgraph", lambda inner: [(6, inner)]),
        ("subgraphs", lambda inner: [(11, inner)]),
    ],
)
def test_subgraphs_are_walked(place, fields):
    inner = onnx_graph([onnx_node("Evil", "custom")], [onnx_tensor(external={"location": "x"})])
    read = parse(onnx([onnx_node("If", attributes=[fields(inner)])]))
    assert read.nodes[("custom", "Evil")] == 1
    assert read.external_locations == ("x",)
    assert read.graphs == 2


@pytest.mark.parametrize("number", [5, 10])
def test_constants_are_looked_at(number):
    tensor = onnx_tensor(external={"location": "../x"})
    read = parse(onnx([onnx_node("Constant", attributes=[[(number, tensor)]])]))
    assert read.external_locations == ("../x",)


@pytest.mark.parametrize("number", [22, 23])
def test_sparse_constants_are_looked_at(number):
    sparse = pb((1, onnx_tensor(external={"location": "a"})), (2, onnx_tensor("i", raw=bytes(16))))
    read = parse(onnx([onnx_node("Constant", attributes=[[(number, sparse)]])]))
    assert read.external_locations == ("a",)


def test_sparse_initializers_are_looked_at():
    sparse = pb((1, onnx_tensor(external={"location": "a"})), (2, onnx_tensor("i", raw=bytes(16))))
    graph = pb((1, onnx_node()), (15, sparse))
    assert parse(pb((1, 9), (7, graph))).external_locations == ("a",)


def test_functions_and_training_are_walked():
    function = pb(
        (1, "F"),
        (10, "local"),
        (7, onnx_node("Inner", "other")),
        (11, pb((1, "a"), (5, onnx_tensor(external={"location": "f"})))),
    )
    training = pb((1, onnx_graph([onnx_node("Init")])), (2, onnx_graph([onnx_node("Step")])))
    read = parse(onnx(more=((25, function), (20, training))))
    assert read.functions == (("local", "F"),)
    assert set(read.nodes) == {("", "Relu"), ("other", "Inner"), ("", "Init"), ("", "Step")}
    assert read.external_locations == ("f",)


def test_subgraphs_ten_thousand_deep():
    graph = onnx_graph()
    for _ in range(10_000):
        graph = pb((1, pb((4, "If"), (5, pb((6, graph))))))
    with pytest.raises(MalformedInput) as refused:
        parse(pb((1, 9), (7, graph)))
    assert refused.value.code == "nested-too-deep"


def test_subgraphs_to_the_limit():
    graph = onnx_graph()
    for _ in range(limits.MAX_ONNX_DEPTH):
        graph = pb((1, pb((4, "If"), (5, pb((6, graph))))))
    assert parse(pb((1, 9), (7, graph))).graphs == limits.MAX_ONNX_DEPTH + 1


@pytest.mark.parametrize("data", [b"", b"PK\3\4", b"\x80\x02}.", pb((2, "x")), b"\xff" * 100])
def test_no_model(data):
    with pytest.raises((MalformedInput, Truncated)):
        parse(data)


def test_every_cut_is_refused_or_shows_less():
    made = onnx(tensors=[onnx_tensor(raw=bytes(16))])
    for size in range(len(made)):
        try:
            assert len(parse(made[:size]).opsets) == 0
        except MalformedInput:
            continue


@pytest.mark.parametrize(
    ("tensor", "code"),
    [
        (onnx_tensor(raw=bytes(15)), "size-mismatch"),
        (onnx_tensor(raw=bytes(17)), "size-mismatch"),
        (onnx_tensor(kind=99), "unknown-dtype"),
        (onnx_tensor(external={"location": "x"}, more=((9, b"1234" * 4),)), "data-location"),
        (pb((1, 4), (2, 1), (14, 1)), "data-location"),
        (pb((1, 4), (2, 1), (14, 7)), "data-location"),
        (pb((1, 4), (2, 1), (13, pb((1, "location"), (2, "x")))), "data-location"),
        (onnx_tensor(external={"offset": "0"}), "external-location"),
        (onnx_tensor(external={"location": "x", "__class__": "y"}), "external-key"),
        (onnx_tensor(external={"location": "x", "offset": "-1"}), "external-range"),
        (onnx_tensor(external={"location": "x", "length": "0x10"}), "external-range"),
        (onnx_tensor(external={"location": "x", "length": "٣"}), "external-range"),
        (onnx_tensor(external={"location": "x", "length": "9" * 40}), "external-range"),
        (onnx_tensor(more=((99, "hidden"),)), "unknown-field"),
    ],
)
def test_anomalies_of_tensors(tensor, code):
    assert code in codes(onnx(tensors=[tensor]))


def test_external_location_twice():
    tensor = onnx_tensor(
        external={"location": "good"}, more=((13, pb((1, "location"), (2, "/etc/x"))),)
    )
    read = parse(onnx(tensors=[tensor]))
    assert ("duplicate-key", "external_data has the key 'location' twice") in read.anomalies


def test_two_graphs():
    read = parse(onnx(more=((7, onnx_graph([onnx_node("Evil", "x")])),)))
    assert "repeated-field" in [code for code, _ in read.anomalies]
    assert ("x", "Evil") in read.nodes


def test_clashing_opsets():
    assert "clashing-opsets" in codes(onnx(opsets=(("", 17), ("", 18))))


def test_hidden_fields():
    assert codes(onnx(more=((1000, b"PK\3\4"),))) == ["unknown-field"]


@pytest.mark.parametrize("dims", [(1 << 63,), (1 << 62, 4), ((1 << 64) - 1,)])
def test_shapes_that_no_memory_holds(dims):
    with pytest.raises(MalformedInput) as refused:
        parse(onnx(tensors=[onnx_tensor(dims=dims)]))
    assert refused.value.code == "bad-shape"


def test_too_many_dimensions():
    with pytest.raises(TooLarge):
        parse(onnx(tensors=[onnx_tensor(dims=(1,) * 65)]))


def test_numbers_where_messages_belong():
    for number in (7, 8, 14, 20, 25):
        with pytest.raises(MalformedInput):
            parse(onnx(more=((number, 1),)))


def test_a_name_that_is_too_long():
    with pytest.raises(TooLarge):
        parse(onnx([onnx_node("x" * (limits.MAX_ONNX_TEXT_BYTES + 1))]))


def test_too_many_fields(monkeypatch):
    monkeypatch.setattr(limits, "MAX_PROTOBUF_FIELDS", 100)
    with pytest.raises(TooLarge):
        parse(onnx([onnx_node()] * 50))


class Sparse:
    """A file of 2 GiB that is zero but for its ends."""

    def __init__(self, head, zeros, tail):
        self.head, self.zeros, self.tail = head, zeros, tail
        self.taken = 0

    @property
    def size(self):
        return len(self.head) + self.zeros + len(self.tail)

    def read(self, offset, length):
        self.taken += length
        out = bytearray(length)
        for start, data in ((0, self.head), (len(self.head) + self.zeros, self.tail)):
            low, high = max(offset, start), min(offset + length, start + len(data))
            if low < high:
                out[low - offset : high - offset] = data[low - start : high - start]
        return bytes(out)


def test_raw_data_of_two_gigabytes_is_skipped():
    zeros = 2 << 30
    head = pb((1, zeros // 4), (2, 1), (8, "w"))
    tensor_size = len(head) + 1 + len(varint(zeros)) + zeros
    after = pb((1, onnx_node("Last")))
    graph_size = 1 + len(varint(tensor_size)) + tensor_size + len(after)
    source = Sparse(
        pb((1, 9))
        + (b"\x3a" + varint(graph_size))
        + (b"\x2a" + varint(tensor_size) + head)
        + (b"\x4a" + varint(zeros)),
        zeros,
        after + pb((8, pb((2, 17)))),
    )
    read = parse_onnx(source)
    assert read.initializers[0].size == zeros
    assert read.nodes == {("", "Last"): 1}
    assert read.anomalies == ()
    assert source.taken < 1 << 20


def test_fifty_thousand_nodes():
    made = onnx([onnx_node("Add", attributes=[[(3, 1), (20, 2)]])] * 50_000)
    begin = time.process_time()
    assert parse(made).nodes == {("", "Add"): 50_000}
    assert time.process_time() - begin < 50


def test_every_data_type():
    for kind, (name, bits) in DATA_TYPES.items():
        raw = bytes(-(-5 * bits // 8)) if bits else None
        read = parse(onnx(tensors=[onnx_tensor(dims=(5,), kind=kind, raw=raw)]))
        assert read.initializers[0].dtype == name
        assert read.anomalies == ()


def test_fixtures():
    read = parse(fixture("pickles/malicious/onnx_traversal.onnx").read_bytes())
    assert read.external_locations == ("../../../../etc/passwd",)
