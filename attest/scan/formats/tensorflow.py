"""TensorFlow: SavedModel, frozen graphs, and the Keras objects beside them.

A graph is a program: TensorFlow runs its operations when a model is called, and some of them reach
files, the network or Python. Every SavedModel also has functions that save and restore it
(``SaveV2``, ``RestoreV2``, ``MergeV2Checkpoints``, ``ShardedFilename``); those take the place from
their caller. The same operations with a place that the model itself names write where *it* wants,
so what counts is where their path comes from, not that they are there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from attest import limits
from attest.codec import protobuf
from attest.codec.protobuf import BYTES, VARINT
from attest.codec.reader import Source
from attest.codec.savedmodel import (
    GraphFacts,
    GraphOp,
    parse_graph,
    parse_keras_metadata,
    parse_meta_graph,
    parse_saved_model,
)
from attest.errors import MalformedInput, Unsupported
from attest.scan.formats.common import path_fault, place, reading, shown
from attest.scan.formats.keras import judge_json
from attest.scan.grades import Grade, Hit, Rules

_FILE_OPS: Final = frozenset(
    {"ReadFile", "WriteFile", "WholeFileReader", "WholeFileReaderV2", "MatchingFiles",
     "MatchingFilesDataset", "ExperimentalMatchingFilesDataset", "FileSystemSetConfiguration",
     "DeleteFile", "RenameFile", "CopyFile", "WriteSummary", "WriteAudioSummary",
     "WriteGraphSummary", "WriteHistogramSummary", "WriteImageSummary", "WriteScalarSummary",
     "CreateSummaryFileWriter", "CreateSummaryDbWriter", "ImportEvent", "WriteRawProtoSummary",
     "SaveDataset", "SaveDatasetV2", "SnapshotDatasetReader", "DistributedSave",
     "DatasetToTFRecord", "ExperimentalDatasetToTFRecord", "ImmutableConst", "DecodeVideo"}
)  # fmt: skip
"""Operations that read, write, list or remove files."""

_PYTHON_OPS: Final = frozenset(
    {"PyFunc", "PyFuncStateless", "EagerPyFunc", "PyCall", "NumpyFunction", "LegacyPyFunc"}
)
"""Operations that call Python by a token of the process that made the graph."""

_NETWORK_OPS: Final = frozenset(
    {"Rpc", "TryRpc", "RpcCall", "RpcClient", "RpcServer", "RpcServerStart", "SendTPUEmbedding",
     "DataServiceDataset", "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4",
     "RegisterDataset", "RegisterDatasetV2", "GcsConfigureBlockCache", "GcsConfigureCredentials",
     "BigtableClient", "BigQueryReader"}
)  # fmt: skip
_INPUT_OPS: Final = frozenset(
    {"TFRecordDataset", "TFRecordDatasetV2", "TFRecordReader", "TFRecordReaderV2",
     "TextLineDataset", "TextLineReader", "TextLineReaderV2", "FixedLengthRecordDataset",
     "FixedLengthRecordDatasetV2", "FixedLengthRecordReader", "FixedLengthRecordReaderV2",
     "LMDBDataset", "LMDBReader", "SqlDataset", "CSVDataset", "CSVDatasetV2", "SnapshotDataset",
     "SnapshotDatasetV2", "LoadDataset", "IdentityReader", "ExperimentalLMDBDataset",
     "ExperimentalCSVDataset", "ExperimentalSqlDataset", "GenerateVocabRemapping",
     "LoadAndRemapMatrix"}
)  # fmt: skip
_FOREIGN_OPS: Final = frozenset(
    {"TRTEngineOp", "RemoteFusedGraphExecute", "_NcclAllReduce", "XlaCustomCallV2", "XlaCustomCall"}
)
"""Operations that carry programs for something else, which are not examined."""

_CHECKPOINT_OPS: Final = frozenset(
    {"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2",
     "ShardedFilename", "ShardedFilespec"}
)  # fmt: skip
_TABLE_OPS: Final = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
_PRINT_OPS: Final = frozenset(
    {
        "PrintV2",
        "DebugIdentity",
        "DebugIdentityV2",
        "DebugIdentityV3",
        "DebugNanCount",
        "DebugNumericSummary",
        "DebugNumericSummaryV2",
    }
)
_CACHE_OPS: Final = frozenset({"CacheDataset", "CacheDatasetV2"})
"""Write to the file that their second input names, unless it is empty."""

_ASKED: Final = _CHECKPOINT_OPS | _TABLE_OPS | _PRINT_OPS | _CACHE_OPS
_WRITERS: Final = frozenset({"Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints"})
_TEXT_NODE: Final = re.compile(rb"\bnode(?:_def)?\s*:?\s*[{<]")
_TEXT_OP: Final = re.compile(rb"\bop\s*:\s*[\"']([A-Za-z0-9_>.]{1,200})[\"']")
_LOOKED_AT: Final = 16
_FINGERPRINT_BYTES: Final = 4096


def looks_like_saved_model(head: bytes, size: int, source: Source) -> bool:
    """Whether this is ``version, meta graph...`` and the first meta graph has its fields."""
    found = _first(source, {1: VARINT, 2: BYTES}, 2)
    meta = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES}
    return found is not None and _shape(found, meta, {1, 2})


def looks_like_meta_graph(head: bytes, size: int, source: Source) -> bool:
    """Whether this is a ``MetaGraphDef`` by itself: the graph in its second field has operations.

    In a SavedModel that field is such a message as a whole, and its first field is no operation.
    """
    found = _first(source, dict.fromkeys(range(1, 8), BYTES), 2)
    graph = {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES}
    if found is None or not _shape(found, graph, {1}):
        return False
    try:
        for number, _, value in protobuf.fields(protobuf.nested(found, "graph")):
            if number == 1:
                return _is_operation(value)
    except (MalformedInput, Unsupported):
        return False
    return False


def looks_like_graph(head: bytes, size: int, source: Source) -> bool:
    """Whether this is a frozen graph: nodes that have a name and an operation."""
    found = _first(source, {1: BYTES, 2: BYTES, 3: VARINT, 4: BYTES, 5: BYTES}, 1)
    node = {1: BYTES, 2: BYTES, 3: BYTES, 4: BYTES, 5: BYTES, 6: BYTES, 7: BYTES}
    return found is not None and _shape(found, node, {2}) and _is_operation(found)


def looks_like_keras_metadata(head: bytes, size: int, source: Source) -> bool:
    """Whether this is ``keras_metadata.pb``: objects with an id, a path, a kind and JSON."""
    found = _first(source, {1: BYTES}, 1)
    return found is not None and _shape(
        found, {1: BYTES, 2: VARINT, 3: BYTES, 4: BYTES, 5: BYTES}, {2, 4}
    )


def looks_like_fingerprint(head: bytes, size: int, source: Source) -> bool:
    """Whether this is ``fingerprint.pb``: checksums (1 to 5), a version (6), an id (7)."""
    known = dict.fromkeys(range(1, 6), VARINT) | {6: BYTES, 7: BYTES}
    return size <= _FINGERPRINT_BYTES and _first(source, known, 1) is not None


def scan_fingerprint(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan ``fingerprint.pb``, which loaders compare and do not act on.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        for number, _, _ in protobuf.fields(source):
            if number > 7:
                message = f"has the field FingerprintDef {number}"
                hits.append(Hit("tensorflow-unknown-field", Grade.UNLISTED, message, where or None))
    return hits


def _first(source: Source, known: dict[int, int], wanted: int) -> protobuf.Value | None:
    """The first field ``wanted``, if all of the first fields are ``known``."""
    found: protobuf.Value | None = None
    try:
        for count, (number, wire_type, value) in enumerate(protobuf.fields(source)):
            if count == _LOOKED_AT:
                break
            if known.get(number) != wire_type:
                return None
            if number == wanted and found is None:
                found = value
    except (MalformedInput, Unsupported):
        return None
    return found


def _shape(value: protobuf.Value, known: dict[int, int], needed: set[int]) -> bool:
    """Whether a message has only fields that are ``known``, and one that is ``needed``."""
    seen: set[int] = set()
    try:
        for count, (number, wire_type, _) in enumerate(
            protobuf.fields(protobuf.nested(value, "message"))
        ):
            if count == _LOOKED_AT:
                break
            if known.get(number) != wire_type:
                return False
            seen.add(number)
    except (MalformedInput, Unsupported):
        return False
    return not seen.isdisjoint(needed)


def _is_operation(value: protobuf.Value) -> bool:
    """Operations have names like ``MatMul``; a SentencePiece score would not be text."""
    for number, wire_type, inner in protobuf.fields(protobuf.nested(value, "node")):
        if number == 2 and wire_type == BYTES:
            data = bytes(protobuf.held(inner, 1 << 20, "operation"))
            return data[:1].isalpha() or data[:1] == b"_"
    return False


def scan_saved_model(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan ``saved_model.pb``: all graphs, function libraries, assets and Keras objects.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        hits += _judge(parse_saved_model(source, _ASKED), rules, where)
    return hits


def scan_graph(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a frozen graph; as :func:`scan_saved_model`."""
    hits: list[Hit] = []
    with reading(hits, where):
        hits += _judge(parse_graph(source, _ASKED), rules, where)
    return hits


def scan_meta_graph(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan the ``.meta`` of a checkpoint; as :func:`scan_saved_model`."""
    hits: list[Hit] = []
    with reading(hits, where):
        hits += _judge(parse_meta_graph(source, _ASKED), rules, where)
    return hits


def may_be_text_graph(source: Source) -> bool:
    """Whether text has the marks of a graph in protobuf's text form (``saved_model.pbtxt``)."""
    data = source.read(0, min(source.size, limits.MAX_UNPACKED_MEMORY))
    return len(data) < source.size or _TEXT_NODE.search(data) is not None


def scan_text_graph(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a graph in text form: its operations are told, and the rest is not read.

    Raises:
        Unavailable: the source cannot be read.
    """
    at = where or None
    data = source.read(0, min(source.size, limits.MAX_UNPACKED_MEMORY))
    ops = Counter(found.group(1).decode() for found in _TEXT_OP.finditer(data))
    hits = list(_operations(ops, at))
    message = "is a TensorFlow graph in text form, of which only the names of operations are read"
    return [*hits, Hit("tensorflow-text", Grade.UNSCANNABLE, message, at)]


def scan_keras_metadata(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan ``keras_metadata.pb``; as :func:`scan_saved_model`."""
    hits: list[Hit] = []
    with reading(hits, where):
        hits += _judge(parse_keras_metadata(source), rules, where)
    return hits


def _judge(facts: GraphFacts, rules: Rules, where: str) -> list[Hit]:
    at = where or None
    hits = list(_operations(facts.ops, at))
    for use in facts.uses:
        hits += _use(use, at)
    for name in facts.assets:
        fault = path_fault(name)
        if fault:
            message = f"the asset {shown(name)} {fault[1]}"
            hits.append(Hit("tensorflow-path", fault[0], message, at))
    for text in facts.metadata:
        if text.lstrip()[:1] == b"{":
            hits += judge_json(text, rules, where=place(where, "Keras metadata"))
    for name in facts.unknown_fields:
        hits.append(Hit("tensorflow-unknown-field", Grade.UNLISTED, f"has the field {name}", at))
    return list(dict.fromkeys(hits))


_TABLE: Final = (
    (_FILE_OPS, "tensorflow-file-operation", Grade.MALICIOUS, "reaches files"),
    (_NETWORK_OPS, "tensorflow-network-operation", Grade.MALICIOUS, "reaches the network"),
    (_PYTHON_OPS, "tensorflow-python", Grade.SUSPICIOUS, "calls Python"),
    (_FOREIGN_OPS, "tensorflow-foreign", Grade.SUSPICIOUS, "runs a program of another kind"),
    (_INPUT_OPS, "tensorflow-input", Grade.SUSPICIOUS, "reads data files when it is called"),
)


def _operations(used: Mapping[str, int], at: str | None) -> Iterator[Hit]:
    for op in sorted(used):
        for ops, code, grade, what in _TABLE:
            if op in ops:
                message = f"operation {op} ({used[op]} times) {what}"
                yield Hit(code, grade, message, at)
        if ">" in op:
            message = f"operation {shown(op)} needs another library than TensorFlow"
            yield Hit("tensorflow-library", Grade.UNLISTED, message, at)


def _use(use: GraphOp, at: str | None) -> Iterator[Hit]:
    """Where the paths of one operation come from."""
    inside = f" in {shown(use.function)}" if use.function else ""
    for path in use.paths:
        fault = path_fault(path) if path else None
        writes = use.op in _CHECKPOINT_OPS or (use.op in _CACHE_OPS and path)
        if fault and (writes or fault[0] is Grade.MALICIOUS):
            message = f"operation {use.op}{inside} uses the path {shown(path)}, which {fault[1]}"
            yield Hit("tensorflow-path", fault[0], message, at)
    if use.op in _WRITERS and use.sources:
        message = f"operation {use.op}{inside} takes its path from {shown(', '.join(use.sources))}"
        yield Hit("tensorflow-path-source", Grade.UNLISTED, message, at)
    for key in ("output_stream", "debug_urls"):
        for text in use.attributes.get(key, ()):
            if text.startswith(("file:", "grpc:", "memcbk:")):
                message = f"operation {use.op}{inside} writes to {shown(text)}"
                yield Hit("tensorflow-file-operation", Grade.MALICIOUS, message, at)
