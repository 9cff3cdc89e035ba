"""What an ONNX model says about itself: https://github.com/onnx/onnx, ``onnx/onnx.proto``.

A ``ModelProto`` read by position: graphs, functions, training graphs and every subgraph inside node
attributes are walked; the data of tensors is stepped over, so that a 2 GiB file costs its nodes
only. All of it is controlled by whoever sent it; text is UTF-8 and bounded.

What is refused: what is no protobuf (:mod:`attest.codec.protobuf`), subgraphs nested deeper than
``MAX_ONNX_DEPTH``, a file with neither ``ir_version`` nor graph. What is listed as an anomaly: a
singular field that occurs twice (two readers may see two models), tensors whose raw data is not of
the size that type and shape say, and external data that is marked as such in one field only.

External data (tensors kept in other files) is listed with its location as written. Whether a
location leaves the folder through a symbolic link is not to be seen here.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from attest import limits
from attest.codec import protobuf
from attest.codec.protobuf import Budget, Value
from attest.codec.reader import Source
from attest.errors import MalformedInput, TooLarge

DATA_TYPES: Final = {
    1: ("FLOAT", 32), 2: ("UINT8", 8), 3: ("INT8", 8), 4: ("UINT16", 16), 5: ("INT16", 16),
    6: ("INT32", 32), 7: ("INT64", 64), 8: ("STRING", 0), 9: ("BOOL", 8), 10: ("FLOAT16", 16),
    11: ("DOUBLE", 64), 12: ("UINT32", 32), 13: ("UINT64", 64), 14: ("COMPLEX64", 64),
    15: ("COMPLEX128", 128), 16: ("BFLOAT16", 16), 17: ("FLOAT8E4M3FN", 8),
    18: ("FLOAT8E4M3FNUZ", 8), 19: ("FLOAT8E5M2", 8), 20: ("FLOAT8E5M2FNUZ", 8), 21: ("UINT4", 4),
    22: ("INT4", 4), 23: ("FLOAT4E2M1", 4), 24: ("FLOAT8E8M0", 8), 25: ("UINT2", 2),
    26: ("INT2", 2), 27: ("FLOAT6E2M3", 6), 28: ("FLOAT6E3M2", 6),
}  # fmt: skip
"""``TensorProto.DataType`` -> (name, bits of an element; 0 where elements vary)."""

EXTERNAL_KEYS: Final = frozenset({"location", "offset", "length", "checksum", "basepath"})
"""Keys of ``external_data`` that readers know. Some set an attribute for any other key."""

_SINGULAR: Final = frozenset({1, 2, 3, 4, 5, 7})
"""Fields of ``ModelProto`` that occur once."""

_KNOWN: Final[dict[str, frozenset[int]]] = {
    "model": frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}),
    "graph": frozenset({1, 2, 5, 10, 11, 12, 13, 14, 15, 16}),
    "node": frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),
    "tensor": frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16}),
    "function": frozenset({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}),
}
"""Fields of ONNX 1.23, by message."""

_EXTERNAL: Final = 1
_MAX_ELEMENTS: Final = 1 << 63
_DECIMAL: Final = re.compile(r"(?:0|[1-9][0-9]{0,18})")
_WHERE: Final = "ONNX"

Anomaly = tuple[str, str]
"""(stable kebab-case code, one sentence)."""


class OnnxTensor(NamedTuple):
    """One tensor: an initializer, or a constant inside a node.

    Attributes:
        name: as written; empty for constants.
        dtype: name in :data:`DATA_TYPES`, or ``type-N``.
        dims: its shape.
        elements: product of ``dims``.
        external: ``external_data`` as written; None where the data is in this file.
        size: bytes of raw data in this file.
    """

    name: str
    dtype: str
    dims: tuple[int, ...]
    elements: int
    external: dict[str, str] | None
    size: int


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """What an ONNX file says about itself; none of it is verified.

    Attributes:
        ir_version, model_version: 0 where absent.
        producer_name, producer_version, domain: empty where absent.
        opsets: domain -> version; ``""`` is ``ai.onnx``.
        metadata: ``metadata_props`` of the model.
        initializers: of all graphs, subgraphs and training graphs.
        nodes: (domain, op_type) -> how often, over everything that was walked.
        functions: (domain, name) of the functions that the model defines itself.
        graphs: how many graphs were walked, subgraphs included.
        external_locations: every ``location`` of external data, sorted, each once.
        anomalies: (code, sentence); at most ``MAX_HEADER_ANOMALIES``.
        size: of the file.
    """

    ir_version: int
    model_version: int
    producer_name: str
    producer_version: str
    domain: str
    opsets: dict[str, int]
    metadata: dict[str, str]
    initializers: tuple[OnnxTensor, ...]
    nodes: dict[tuple[str, str], int]
    functions: tuple[tuple[str, str], ...]
    graphs: int
    external_locations: tuple[str, ...]
    anomalies: tuple[Anomaly, ...]
    size: int

    @property
    def parameters(self) -> int:
        """Elements of all initializers."""
        return sum(tensor.elements for tensor in self.initializers)


def parse_onnx(source: Source) -> OnnxModel:
    """Read everything but the tensor data of an ONNX model.

    Raises:
        TooLarge, Truncated, MalformedInput, Unsupported.
        Unavailable: the source cannot be read.
    """
    walk = _Walk()
    walk.model(source)
    if not walk.ir_version and not walk.graphs:
        raise MalformedInput("has neither an IR version nor a graph", where=_WHERE)
    return OnnxModel(
        ir_version=walk.ir_version,
        model_version=walk.model_version,
        producer_name=walk.texts.get(2, ""),
        producer_version=walk.texts.get(3, ""),
        domain=walk.texts.get(4, ""),
        opsets=walk.opsets,
        metadata=walk.metadata,
        initializers=tuple(walk.initializers),
        nodes=dict(walk.nodes),
        functions=tuple(walk.functions),
        graphs=walk.graphs,
        external_locations=tuple(sorted(walk.locations)),
        anomalies=tuple(walk.anomalies),
        size=source.size,
    )


@dataclass(slots=True)
class _Walk:
    """One pass over a model. Methods are named after the messages; numbers are field numbers."""

    budget: Budget = field(default_factory=Budget)
    ir_version: int = 0
    model_version: int = 0
    texts: dict[int, str] = field(default_factory=dict)
    opsets: dict[str, int] = field(default_factory=dict)
    metadata: dict[str, str] = field(default_factory=dict)
    initializers: list[OnnxTensor] = field(default_factory=list)
    nodes: Counter[tuple[str, str]] = field(default_factory=Counter)
    functions: list[tuple[str, str]] = field(default_factory=list)
    graphs: int = 0
    locations: set[str] = field(default_factory=set)
    anomalies: list[Anomaly] = field(default_factory=list)

    def odd(self, code: str, message: str) -> None:
        if len(self.anomalies) < limits.MAX_HEADER_ANOMALIES:
            self.anomalies.append((code, message))

    def model(self, source: Source) -> None:
        seen: set[int] = set()
        for number, _, value in self.known(protobuf.fields(source, self.budget), "model"):
            if number in _SINGULAR and number in seen:
                self.odd("repeated-field", f"field {number} of the model occurs more than once")
            seen.add(number)
            match number:
                case 1:
                    self.ir_version = protobuf.number(value, "ir_version")
                case 5:
                    self.model_version = protobuf.signed(protobuf.number(value, "model_version"))
                case 2 | 3 | 4:
                    self.texts[number] = _text(value, "producer or domain")
                case 7:
                    self.graph(value, 0)
                case 8:
                    self.opset(value)
                case 14:
                    self.entry(value, self.metadata, "metadata_props")
                case 20:
                    self.training(value)
                case 25:
                    self.function(value)

    def opset(self, value: Value) -> None:
        domain, version = "", 0
        for number, _, inner in self.inside(value, "opset_import"):
            if number == 1:
                domain = _text(inner, "opset domain")
            elif number == 2:
                version = protobuf.signed(protobuf.number(inner, "opset version"))
        if self.opsets.setdefault(domain, version) != version:
            self.odd("clashing-opsets", f"two versions of the operator set {domain[:60]!r}")

    def entry(self, value: Value, into: dict[str, str], what: str) -> None:
        """A ``StringStringEntryProto``. A key that occurs twice is ambiguous."""
        texts = {1: "", 2: ""}
        for number, _, inner in self.inside(value, what):
            if number in texts:
                most = limits.MAX_PROTOBUF_INLINE_BYTES
                texts[number] = protobuf.text(inner, most, f"{what} entry")
        if texts[1] in into:
            self.odd("duplicate-key", f"{what} has the key {texts[1][:60]!r} twice")
        into[texts[1]] = texts[2]

    def training(self, value: Value) -> None:
        for number, _, inner in self.inside(value, "training_info"):
            if number in (1, 2):
                self.graph(inner, 1)

    def function(self, value: Value) -> None:
        texts = {1: "", 10: ""}
        for number, _, inner in self.inside(value, "function"):
            match number:
                case 1 | 10:
                    texts[number] = _text(inner, "function name or domain")
                case 7:
                    self.node(inner, 1)
                case 9:
                    self.opset(inner)
                case 11:
                    self.attribute(inner, 1)
        self.functions.append((texts[10], texts[1]))

    def graph(self, value: Value, depth: int) -> None:
        if depth > limits.MAX_ONNX_DEPTH:
            raise MalformedInput(
                f"subgraphs are nested more than {limits.MAX_ONNX_DEPTH} levels deep",
                where=_WHERE,
                code="nested-too-deep",
            )
        self.graphs += 1
        for number, _, inner in self.inside(value, "graph"):
            if number == 1:
                self.node(inner, depth)
            elif number == 5:
                self.initializers.append(self.tensor(inner))
            elif number == 15:
                self.initializers += self.sparse(inner)

    def node(self, value: Value, depth: int) -> None:
        op_type = domain = ""
        for number, _, inner in self.inside(value, "node"):
            if number == 4:
                op_type = _text(inner, "op_type")
            elif number == 7:
                domain = _text(inner, "node domain")
            elif number == 5:
                self.attribute(inner, depth)
        self.nodes[domain, op_type] += 1

    def attribute(self, value: Value, depth: int) -> None:
        for number, _, inner in self.inside(value, "attribute"):
            if number in (6, 11):
                self.graph(inner, depth + 1)
            elif number in (5, 10):
                self.tensor(inner)
            elif number in (22, 23):
                self.sparse(inner)

    def sparse(self, value: Value) -> list[OnnxTensor]:
        return [
            self.tensor(inner)
            for number, _, inner in self.inside(value, "sparse tensor")
            if number in (1, 2)
        ]

    def tensor(self, value: Value) -> OnnxTensor:
        made = _Tensor()
        for number, wire_type, inner in self.inside(value, "tensor"):
            match number:
                case 1:
                    made.add_dims(inner, wire_type)
                case 2:
                    made.kind = protobuf.number(inner, "data_type")
                case 8:
                    made.name = _text(inner, "tensor name")
                case 9:
                    made.raw = protobuf.length_of(protobuf.nested(inner, "raw_data"))
                case 4 | 5 | 6 | 7 | 10 | 11:
                    made.typed = True
                case 13:
                    made.external = {} if made.external is None else made.external
                    self.entry(inner, made.external, "external_data")
                case 14:
                    made.location = protobuf.number(inner, "data_location")
        return self.checked(made)

    def checked(self, made: _Tensor) -> OnnxTensor:
        """Compare what a tensor says with what it has."""
        name = repr(made.name[:60])
        dtype, bits = DATA_TYPES.get(made.kind, (f"type-{made.kind}", 0))
        elements = made.elements()
        if made.kind not in DATA_TYPES:
            self.odd("unknown-dtype", f"tensor {name} is of unknown {dtype}")
        if made.raw is not None and bits and made.raw != -(-elements * bits // 8):
            self.odd("size-mismatch", f"tensor {name} has {made.raw} bytes of raw data")
        if made.location not in (None, 0, _EXTERNAL):
            self.odd("data-location", f"tensor {name} has the data_location {made.location}")
        if (made.external is not None) != (made.location == _EXTERNAL):
            self.odd("data-location", f"tensor {name} is external in one field and not in another")
        if made.external is not None:
            if made.raw or made.typed:
                self.odd("data-location", f"tensor {name} has data inside and outside the file")
            self.check_external(name, made.external)
        return OnnxTensor(
            made.name, dtype, tuple(made.dims), elements, made.external, made.raw or 0
        )

    def check_external(self, name: str, external: dict[str, str]) -> None:
        if not external.get("location"):
            self.odd("external-location", f"external tensor {name} has no location")
        self.locations.add(external.get("location", ""))
        for key in sorted(set(external) - EXTERNAL_KEYS)[:4]:
            self.odd("external-key", f"external tensor {name} has the unknown key {key[:60]!r}")
        for key in ("offset", "length"):
            if key in external and not _DECIMAL.fullmatch(external[key]):
                self.odd("external-range", f"external tensor {name} has an odd {key}")

    def inside(self, value: Value, what: str) -> Iterator[protobuf.Field]:
        read = protobuf.fields(protobuf.nested(value, what), self.budget)
        return self.known(read, what) if what in _KNOWN else read

    def known(self, read: Iterator[protobuf.Field], what: str) -> Iterator[protobuf.Field]:
        """Tell fields that no reader knows: bytes can hide in them."""
        known = _KNOWN[what]
        for one in read:
            if one.number not in known:
                self.odd("unknown-field", f"a {what} has the unknown field {one.number}")
            yield one


@dataclass(slots=True)
class _Tensor:
    """A ``TensorProto`` while it is read."""

    name: str = ""
    kind: int = 0
    dims: list[int] = field(default_factory=list)
    external: dict[str, str] | None = None
    location: int | None = None
    raw: int | None = None
    typed: bool = False

    def add_dims(self, value: Value, wire_type: int) -> None:
        """``repeated int64``: one number, or packed."""
        if wire_type == protobuf.BYTES:
            view = protobuf.held(value, 10 * limits.MAX_TENSOR_RANK, "dims")
            self.dims += protobuf.packed(view, limits.MAX_TENSOR_RANK)
        else:
            self.dims.append(protobuf.number(value, "dims"))
        if len(self.dims) > limits.MAX_TENSOR_RANK:
            raise TooLarge("a tensor has too many dimensions", where=_WHERE)

    def elements(self) -> int:
        """The product of the dimensions.

        Raises:
            MalformedInput: negative, or more than 63 bits count.
        """
        product = 1
        for dimension in self.dims:
            product *= dimension
            if dimension >= _MAX_ELEMENTS or product >= _MAX_ELEMENTS:
                raise MalformedInput(
                    f"tensor {self.name[:60]!r} has a shape that no memory holds",
                    where=_WHERE,
                    code="bad-shape",
                )
        return product


def _text(value: Value, what: str) -> str:
    return protobuf.text(value, limits.MAX_ONNX_TEXT_BYTES, what)
