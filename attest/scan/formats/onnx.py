"""ONNX: files outside the model's folder, operators that no runtime ships, hidden bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attest.codec import protobuf
from attest.codec.onnx import OnnxModel, parse_onnx
from attest.codec.protobuf import BYTES, VARINT
from attest.codec.reader import Source
from attest.errors import MalformedInput, Unsupported
from attest.scan.formats.common import anomalies, path_fault, reading, shown
from attest.scan.grades import Grade, Hit, Rules

KNOWN_DOMAINS: Final = frozenset(
    {
        "",
        "ai.onnx",
        "ai.onnx.ml",
        "ai.onnx.preview",
        "ai.onnx.preview.training",
        "ai.onnx.training",
        "com.microsoft",
        "com.microsoft.nchwc",
        "com.ms.internal.nhwc",
    }
)
"""Domains whose operators are part of the standard, or built into ONNX Runtime."""

_FOREIGN_OPS: Final = {
    "EPContext": "carries a compiled program for an accelerator, which is not examined",
    "PythonOp": "calls Python",
    "PythonOpGrad": "calls Python",
    "ExternalAtenOp": "calls into another library",
    "ATen": "calls into another library",
}
"""Operators of ``com.microsoft`` that do more than compute."""

_MEMORY_TAG: Final = "_ORT_MEM_ADDR_"
"""With this location, ONNX Runtime takes the offset for an address in its own memory."""

_GRADES: Final = {"unknown-field": Grade.UNLISTED, "unknown-dtype": Grade.UNLISTED}

_FIELDS: Final = {
    1: VARINT, 2: BYTES, 3: BYTES, 4: BYTES, 5: VARINT, 6: BYTES, 7: BYTES, 8: BYTES, 14: BYTES,
    20: BYTES, 25: BYTES, 26: BYTES,
}  # fmt: skip
_LOOKED_AT: Final = 64


def looks_like_onnx(head: bytes, size: int, source: Source) -> bool:
    """Whether the first fields are those of a ``ModelProto`` that has a graph or functions."""
    seen: set[int] = set()
    try:
        for count, (number, wire_type, _) in enumerate(protobuf.fields(source)):
            if count == _LOOKED_AT:
                break
            if _FIELDS.get(number) != wire_type:
                return _is_model(seen) and 1 in seen  # begins well and breaks off
            seen.add(number)
    except (MalformedInput, Unsupported):
        return _is_model(seen) and 1 in seen
    return _is_model(seen)


def _is_model(seen: set[int]) -> bool:
    return not seen.isdisjoint({7, 25}) and not seen.isdisjoint({1, 8})


def scan_onnx(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan an ONNX model.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        model = parse_onnx(source)
        hits += anomalies(model.anomalies, "onnx", where, _GRADES)
        hits += _locations(model, where)
        hits += _domains(model, where)
    return hits


def _locations(model: OnnxModel, where: str) -> Iterator[Hit]:
    for location in model.external_locations:
        fault = path_fault(location)
        if _MEMORY_TAG in location:
            fault = Grade.MALICIOUS, "stands for an address in memory"
        if fault:
            grade, why = fault
            message = f"the external data path {shown(location)} {why}"
            yield Hit("onnx-external-path", grade, message, where or None)


def _domains(model: OnnxModel, where: str) -> Iterator[Hit]:
    """Operators that are neither known nor defined by functions of the model itself."""
    defined = set(model.functions)
    used: set[str] = set()
    for (domain, op_type), count in sorted(model.nodes.items()):
        if domain == "com.microsoft" and op_type in _FOREIGN_OPS:
            message = f"operator {op_type} ({count} times) {_FOREIGN_OPS[op_type]}"
            yield Hit("onnx-foreign-operator", Grade.SUSPICIOUS, message, where or None)
        if domain in KNOWN_DOMAINS or (domain, op_type) in defined:
            continue
        used.add(domain)
        message = f"operator {shown(op_type)} of domain {shown(domain)} needs a custom library"
        yield Hit("onnx-custom-domain", Grade.SUSPICIOUS, message, where or None)
    own = {domain for domain, _ in defined}
    for domain in sorted(set(model.opsets) - KNOWN_DOMAINS - own - used):
        message = f"imports the operator set {shown(domain)}, which no known runtime has"
        yield Hit("onnx-custom-domain", Grade.SUSPICIOUS, message, where or None)
