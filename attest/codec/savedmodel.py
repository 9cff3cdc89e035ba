"""TensorFlow's SavedModel, frozen graphs and Keras metadata: which operations, which files.

``saved_model.pb`` is a ``SavedModel`` message (tensorflow/core/protobuf/saved_model.proto), which
holds meta graphs with a ``GraphDef`` and its function library; a frozen graph is a ``GraphDef`` by
itself; ``keras_metadata.pb`` is a ``SavedMetadata``. Whoever sent them controls all of it. Tensors
are stepped over; names are bounded UTF-8; the number of nodes is bounded.

What an operation means is for :mod:`attest.scan.formats.tensorflow` to say. For operations that
name files, the constant texts that reach their file inputs are resolved through the operations that
put paths together, so that "saves to wherever the caller says" and "writes /etc/x" are told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from attest import limits
from attest.codec import protobuf
from attest.codec.protobuf import Budget, Field, Value
from attest.codec.reader import Source
from attest.errors import MalformedInput, TooLarge

_STRING: Final = 7
_WHERE: Final = "TensorFlow graph"
_MAX_TEXTS: Final = 16
_MAX_STEPS: Final = 256
_MAX_ALL_STEPS: Final = 2_000_000
_PATH_OPS: Final = frozenset(
    {"Const", "StringJoin", "ShardedFilename", "ShardedFilespec", "Identity", "Select",
     "PlaceholderWithDefault", "StringFormat", "Pack", "StaticRegexFullMatch", "Placeholder",
     "NoOp", "SaveV2", "MergeV2Checkpoints"}
)  # fmt: skip
"""Operations that paths go through, or that save functions wait for."""

_TEXT_ATTRIBUTES: Final = frozenset(
    {"output_stream", "debug_urls", "filename", "token", "protocol"}
)
"""Node attributes whose text matters."""


class GraphOp(NamedTuple):
    """One use of an operation that was asked for.

    Attributes:
        op: its type, such as ``SaveV2``.
        name: of the node.
        function: name of the library function that it is in; empty for the main graph.
        paths: constant texts that reach its first two inputs (the file names), in no order.
        sources: operations that reach them and make text in ways that are not followed.
        attributes: texts of :data:`_TEXT_ATTRIBUTES`.
    """

    op: str
    name: str
    function: str
    paths: tuple[str, ...]
    sources: tuple[str, ...]
    attributes: dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class GraphFacts:
    """What TensorFlow graphs do; none of it is verified.

    Attributes:
        ops: operation -> how often, over all graphs and functions.
        uses: of the operations that were asked for.
        functions: names in the function libraries.
        assets: file names of the assets.
        metadata: JSON texts of Keras objects, as bytes.
        version: ``saved_model_schema_version``, or 0.
        tensorflow: version of the writer; empty if unknown.
        graphs: meta graphs, or 1 for a frozen graph.
        unknown_fields: of messages that this reader knows.
    """

    ops: dict[str, int]
    uses: tuple[GraphOp, ...]
    functions: tuple[str, ...]
    assets: tuple[str, ...]
    metadata: tuple[bytes, ...]
    version: int
    tensorflow: str
    graphs: int
    unknown_fields: tuple[str, ...]


def parse_saved_model(source: Source, asked: frozenset[str]) -> GraphFacts:
    """Read a ``SavedModel``.

    Args:
        source: of any size.
        asked: operations whose single uses are of interest.

    Raises:
        TooLarge, Truncated, MalformedInput, Unsupported.
        Unavailable: the source cannot be read.
    """
    walk = _Walk(asked)
    for number, _, value in protobuf.fields(source, walk.budget):
        if number == 1:
            walk.version = protobuf.number(value, "schema version")
        elif number == 2:
            walk.meta_graph(value)
        else:
            walk.unknown.add(f"SavedModel {number}")
    if not walk.graphs:
        raise MalformedInput("has no meta graph", where=_WHERE)
    return walk.facts()


def parse_graph(source: Source, asked: frozenset[str]) -> GraphFacts:
    """Read a ``GraphDef`` (a frozen graph); as :func:`parse_saved_model`."""
    walk = _Walk(asked)
    walk.graph_fields(protobuf.fields(source, walk.budget))
    walk.graphs = 1
    if not walk.ops and not walk.functions:
        raise MalformedInput("has no nodes", where=_WHERE)
    return walk.facts()


def parse_meta_graph(source: Source, asked: frozenset[str]) -> GraphFacts:
    """Read a ``MetaGraphDef`` (``model.ckpt.meta``); as :func:`parse_saved_model`."""
    walk = _Walk(asked)
    walk.meta_graph_fields(protobuf.fields(source, walk.budget))
    return walk.facts()


def parse_keras_metadata(source: Source) -> GraphFacts:
    """Read a ``SavedMetadata``: only :attr:`GraphFacts.metadata` is filled."""
    walk = _Walk(frozenset())
    for number, _, value in protobuf.fields(source, walk.budget):
        if number != 1:
            walk.unknown.add(f"SavedMetadata {number}")
            continue
        for inner, _, text in walk.inside(value, "Keras object"):
            if inner == 5:
                walk.add_metadata(text)
    return walk.facts()


class _Node(NamedTuple):
    """What is kept of a node that paths may go through."""

    op: str
    inputs: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(slots=True)
class _Walk:
    """One pass; methods are named after the messages, numbers are field numbers."""

    asked: frozenset[str]
    budget: Budget = field(default_factory=Budget)
    ops: Counter[str] = field(default_factory=Counter)
    uses: list[GraphOp] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    assets: list[str] = field(default_factory=list)
    metadata: list[bytes] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    version: int = 0
    tensorflow: str = ""
    graphs: int = 0
    nodes: int = 0
    steps: _Steps = field(default_factory=lambda: _Steps())

    def facts(self) -> GraphFacts:
        return GraphFacts(
            ops=dict(self.ops),
            uses=tuple(self.uses),
            functions=tuple(self.functions),
            assets=tuple(self.assets),
            metadata=tuple(self.metadata),
            version=self.version,
            tensorflow=self.tensorflow,
            graphs=self.graphs,
            unknown_fields=tuple(sorted(self.unknown)[: limits.MAX_HEADER_ANOMALIES]),
        )

    def inside(self, value: Value, what: str) -> Iterator[Field]:
        return protobuf.fields(protobuf.nested(value, what), self.budget)

    def meta_graph(self, value: Value) -> None:
        self.meta_graph_fields(self.inside(value, "meta graph"))

    def meta_graph_fields(self, read: Iterator[Field]) -> None:
        self.graphs += 1
        for number, _, inner in read:
            match number:
                case 1:
                    self.meta_info(inner)
                case 2:
                    self.graph_fields(self.inside(inner, "graph"))
                case 6:
                    self.asset(inner)
                case 7:
                    self.object_graph(inner)
                case 3 | 4 | 5:
                    pass
                case _:
                    self.unknown.add(f"MetaGraphDef {number}")

    def meta_info(self, value: Value) -> None:
        for number, _, inner in self.inside(value, "meta info"):
            if number == 5:
                self.tensorflow = _text(inner, "version")

    def asset(self, value: Value) -> None:
        for number, _, inner in self.inside(value, "asset"):
            if number == 2:
                self.assets.append(_text(inner, "asset name"))

    def object_graph(self, value: Value) -> None:
        """``SavedObjectGraph.nodes[].user_object.metadata``: what Keras revives layers from."""
        for number, _, node in self.inside(value, "object graph"):
            if number != 1:
                continue
            for kind, wire_type, inner in self.inside(node, "saved object"):
                if kind != 4 or wire_type != protobuf.BYTES:
                    continue
                for part, _, text in self.inside(inner, "user object"):
                    if part == 3:
                        self.add_metadata(text)

    def add_metadata(self, value: Value) -> None:
        text = protobuf.held(value, limits.MAX_KERAS_CONFIG_BYTES, "Keras metadata")
        if text:
            self.metadata.append(bytes(text))

    def graph_fields(self, read: Iterator[Field]) -> None:
        scope = _Scope("", self.asked, self.steps)
        for number, _, value in read:
            if number == 1:
                self.node(value, scope)
            elif number == 2:
                self.library(value)
            elif number not in (3, 4, 5):
                self.unknown.add(f"GraphDef {number}")
        self.uses += scope.resolved()

    def library(self, value: Value) -> None:
        for number, _, inner in self.inside(value, "function library"):
            if number == 1:
                self.function(inner)

    def function(self, value: Value) -> None:
        scope = _Scope("", self.asked, self.steps)
        for number, _, inner in self.inside(value, "function"):
            if number == 1:
                for part, _, text in self.inside(inner, "signature"):
                    if part == 1:
                        scope.function = _text(text, "function name")
            elif number == 3:
                self.node(inner, scope)
        self.functions.append(scope.function)
        self.uses += scope.resolved()

    def node(self, value: Value, scope: _Scope) -> None:
        self.nodes += 1
        if self.nodes > limits.MAX_SAVED_MODEL_NODES:
            raise TooLarge(f"has more than {limits.MAX_SAVED_MODEL_NODES} nodes", where=_WHERE)
        name = op = ""
        inputs: list[str] = []
        attributes: list[Value] = []
        for number, _, inner in self.inside(value, "node"):
            match number:
                case 1:
                    name = _text(inner, "node name")
                case 2:
                    op = _text(inner, "operation")
                case 3:
                    inputs.append(_text(inner, "node input"))
                case 5:
                    attributes.append(inner)
        self.ops[op] += 1
        if op in _PATH_OPS:
            texts = self.constants(attributes) if op in ("Const", "StringFormat") else ()
            scope.nodes[name] = _Node(op, tuple(inputs), texts)
        else:
            scope.others[name] = op
        if op in self.asked:
            scope.asked_nodes.append((op, name, tuple(inputs), self.texts(attributes)))

    def attribute(self, entry: Value) -> tuple[str, Value | None]:
        """A map entry ``string -> AttrValue``."""
        key, held = "", None
        for number, _, inner in self.inside(entry, "attribute"):
            if number == 1:
                key = _text(inner, "attribute name")
            elif number == 2:
                held = inner
        return key, held

    def texts(self, attributes: list[Value]) -> dict[str, tuple[str, ...]]:
        """Attributes with texts: ``s``, or ``list.s``."""
        found: dict[str, tuple[str, ...]] = {}
        for entry in attributes:
            key, value = self.attribute(entry)
            if key not in _TEXT_ATTRIBUTES or value is None:
                continue
            texts = []
            for number, _, inner in self.inside(value, "attribute value"):
                if number == 2:
                    texts.append(_loose(inner))
                elif number == 1:
                    listed = self.inside(inner, "attribute list")
                    texts += [_loose(text) for part, _, text in listed if part == 2]
            found[key] = tuple(texts[:_MAX_TEXTS])
        return found

    def constants(self, attributes: list[Value]) -> tuple[str, ...]:
        """The texts of a constant: ``AttrValue.tensor`` with ``string_val``; or a format."""
        found: list[str] = []
        for entry in attributes:
            key, value = self.attribute(entry)
            if value is None or key not in ("value", "template"):
                continue
            for number, _, inner in self.inside(value, "attribute value"):
                if number == 2 and key == "template":
                    found.append(_loose(inner))
                elif number == 8:
                    found += self.tensor_texts(inner)
        return tuple(found[:_MAX_TEXTS])

    def tensor_texts(self, value: Value) -> list[str]:
        kind = 0
        texts: list[str] = []
        for number, wire_type, inner in self.inside(value, "tensor"):
            if number == 1 and wire_type == protobuf.VARINT:
                kind = protobuf.number(inner, "tensor type")
            elif number == 8 or (number == 4 and kind == _STRING):
                texts.append(_loose(inner, counted=number == 4))
        return texts[:_MAX_TEXTS]


@dataclass(slots=True)
class _Steps:
    """Steps from node to node that are left for the whole file: many nodes may share long ways."""

    left: int = _MAX_ALL_STEPS


@dataclass(slots=True)
class _Scope:
    """One graph or function: the nodes that paths may go through, and those that use them."""

    function: str
    asked: frozenset[str]
    steps: _Steps
    nodes: dict[str, _Node] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)
    asked_nodes: list[tuple[str, str, tuple[str, ...], dict[str, tuple[str, ...]]]] = field(
        default_factory=list
    )

    def resolved(self) -> list[GraphOp]:
        return [
            GraphOp(op, name, self.function, *self.follow(inputs[:2]), attributes)
            for op, name, inputs, attributes in self.asked_nodes
        ]

    def follow(self, inputs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Constant texts, and operations not followed, that reach ``inputs``; bounded."""
        texts: list[str] = []
        sources: set[str] = set()
        waiting = [name for name in inputs if not name.startswith("^")]
        seen: set[str] = set()
        while waiting:
            name = waiting.pop().split(":")[0]
            if name in seen:
                continue
            seen.add(name)
            node = self.nodes.get(name)
            if node is None:
                sources.update((self.others[name],) if name in self.others else ())
                continue
            texts += node.texts
            waiting += [one for one in node.inputs if not one.startswith("^")]
            self.steps.left -= 1
            if len(seen) >= _MAX_STEPS or len(waiting) > _MAX_STEPS or self.steps.left < 0:
                sources.add("more operations than are followed")
                break
        return tuple(texts), tuple(sorted(sources))


def _text(value: Value, what: str) -> str:
    return protobuf.text(value, limits.MAX_ONNX_TEXT_BYTES, what)


def _loose(value: Value, *, counted: bool = False) -> str:
    """Bytes that may be a path: cut at 1 KiB, odd bytes escaped.

    Args:
        counted: raw tensor content, where the lengths of the texts come first.
    """
    if isinstance(value, int):
        return ""
    size = min(protobuf.length_of(value), limits.KIB)
    data = bytes(value[:size] if isinstance(value, memoryview) else value.read(0, size))
    if counted and data:
        data = data[protobuf.varint(data, 0)[1] :]
    return data.decode("utf-8", "backslashreplace")
