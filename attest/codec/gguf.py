"""The header of a GGUF file, versions 2 and 3, little-endian (ggml, ``docs/gguf.md``).

::

    magic "GGUF", version u32, tensor count u64, metadata count u64
    metadata   key, value type u32, value
    tensors    name, n_dims u32, dims u64..., type u32, offset u64
    padding to general.alignment, then the data; offsets count from there

All of it is controlled by whoever sent it. No count is believed: each is compared with the bytes
that are left before anything is allocated. Text is UTF-8. What a loader would stumble over is
refused; what it would not notice is listed as an anomaly.

1. Magic and version; counts fit the file.
2. Every key once; value types known; booleans 0 or 1; strings bounded; arrays walked, not kept,
   when they are long.
3. ``general.alignment`` is a power of two.
4. Every tensor name once, at most 4 dimensions, a whole number of blocks, an aligned offset, a
   range inside the file. *Anomaly:* a type without known block size, whose range is not checked.
5. *Anomaly:* ranges overlap or leave holes, padding is not zero, bytes follow the last tensor.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from attest import limits
from attest.codec.reader import Source, check_range
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported

MAGIC: Final = b"GGUF"

TENSOR_TYPES: Final[dict[int, tuple[str, int, int]]] = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 9: ("Q8_1", 32, 36),
    10: ("Q2_K", 256, 84), 11: ("Q3_K", 256, 110), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210), 15: ("Q8_K", 256, 292), 16: ("IQ2_XXS", 256, 66),
    17: ("IQ2_XS", 256, 74), 18: ("IQ3_XXS", 256, 98), 19: ("IQ1_S", 256, 50),
    20: ("IQ4_NL", 32, 18), 21: ("IQ3_S", 256, 110), 22: ("IQ2_S", 256, 82),
    23: ("IQ4_XS", 256, 136), 24: ("I8", 1, 1), 25: ("I16", 1, 2), 26: ("I32", 1, 4),
    27: ("I64", 1, 8), 28: ("F64", 1, 8), 29: ("IQ1_M", 256, 56), 30: ("BF16", 1, 2),
    34: ("TQ1_0", 256, 54), 35: ("TQ2_0", 256, 66), 39: ("MXFP4", 32, 17), 40: ("NVFP4", 64, 36),
}  # fmt: skip
"""ggml type -> (name, elements of a block, bytes of a block)."""

_SCALARS: Final = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<B",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_BOOL: Final = 7
_STRING: Final = 8
_ARRAY: Final = 9
_TYPE_NAMES: Final = (
    "u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "string", "array", "u64", "i64", "f64",
)  # fmt: skip
_MAX_ARRAY_DEPTH: Final = 3
_MAX_DIMENSIONS: Final = 4
_MAX_ELEMENTS: Final = 1 << 63
_SMALLEST_ENTRY: Final = 8 + 4 + 1
_SMALLEST_TENSOR: Final = 8 + 4 + 4 + 8
_CHUNK: Final = 256 * limits.KIB
_PADDING_BUDGET: Final = 16 * limits.MIB
_WHERE: Final = "GGUF header"

FILE_TYPES: Final = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S",
    17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
}  # fmt: skip
"""``general.file_type`` -> the quantisation that most tensors have."""

Anomaly = tuple[str, str]
"""(stable kebab-case code, one sentence)."""


@dataclass(frozen=True, slots=True)
class GgufArray:
    """An array that was walked and not kept: element type (``string``, ``f32``, ...) and count."""

    type: str
    count: int


class GgufTensor(NamedTuple):
    """One tensor.

    Attributes:
        name: as written.
        type_name: name in :data:`TENSOR_TYPES`, or ``type-N`` where unknown.
        shape: 1 to 4 dimensions, fastest first as the file has them; empty for a scalar.
        offset: bytes from :attr:`GgufHeader.data_start`.
        elements: product of ``shape``.
        size: bytes; None where the type is unknown.
    """

    name: str
    type_name: str
    shape: tuple[int, ...]
    offset: int
    elements: int
    size: int | None


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What a GGUF file says about itself; none of it is verified.

    Attributes:
        version: 2 or 3.
        metadata: key -> int, float, bool, str, list of these, or :class:`GgufArray`.
        tensors: in the order of the file.
        data_start, alignment: in bytes.
        size: of the file.
        anomalies: see the module; at most ``MAX_HEADER_ANOMALIES``.
    """

    version: int
    metadata: dict[str, Any]
    tensors: tuple[GgufTensor, ...]
    data_start: int
    alignment: int
    size: int
    anomalies: tuple[Anomaly, ...]

    @property
    def architecture(self) -> str | None:
        """``general.architecture``."""
        value = self.metadata.get("general.architecture")
        return value if isinstance(value, str) else None

    @property
    def parameters(self) -> int:
        """Elements of all tensors."""
        return sum(tensor.elements for tensor in self.tensors)

    @property
    def quantisation(self) -> str | None:
        """Name of ``general.file_type``; None where absent or unknown."""
        value = self.metadata.get("general.file_type")
        return FILE_TYPES.get(value) if type(value) is int else None

    @property
    def templates(self) -> dict[str, str]:
        """Every chat template, by its key."""
        return {
            key: value
            for key, value in self.metadata.items()
            if _is_template(key) and isinstance(value, str)
        }


def _is_template(key: str) -> bool:
    """``tokenizer.chat_template`` and its named variants; ``…chat_templates`` lists their names.
    Other programs have keys of their own that end so."""
    return key.endswith("chat_template") or "chat_template." in key


class _Cursor:
    """Reads forwards through a source, a chunk at a time, up to the cap on headers."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._end = min(source.size, limits.MAX_GGUF_HEADER_BYTES)
        self._base = 0
        self._at = 0
        self._buffer = b""
        self.items = 0

    @property
    def offset(self) -> int:
        return self._base + self._at

    @property
    def remaining(self) -> int:
        return self._end - self.offset

    def need(self, length: int) -> None:
        """``length`` bytes must be left. Call before anything of that size is made.

        Raises:
            Truncated, TooLarge.
        """
        if length > self.remaining:
            if length > self._source.size - self.offset:
                raise Truncated(
                    f"{length} bytes are due at byte {self.offset}"
                    f" and the file has {self._source.size}",
                    where=_WHERE,
                )
            raise TooLarge(f"is longer than {limits.MAX_GGUF_HEADER_BYTES} bytes", where=_WHERE)

    def take(self, length: int) -> bytes:
        start = self._at
        end = start + length
        if end > len(self._buffer):
            self.need(length)
            self._base += start
            ahead = min(max(length, _CHUNK), self._end - self._base)
            self._buffer = self._source.read(self._base, ahead)
            start, end = 0, length
        self._at = end
        return self._buffer[start:end]

    def skip(self, length: int) -> None:
        self.need(length)
        end = self._at + length
        if end <= len(self._buffer):
            self._at = end
        else:
            self._base += end
            self._at = 0
            self._buffer = b""

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def text(self, most: int, what: str) -> str:
        """A counted string: length u64, UTF-8 bytes."""
        length = self.u64()
        if length > most:
            raise TooLarge(f"{what} of {length} bytes; at most {most} are read", where=_WHERE)
        try:
            return self.take(length).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedInput(
                f"{what} at byte {self.offset} is not UTF-8", where=_WHERE, code="not-utf8"
            ) from None


def parse_gguf(source: Source) -> GgufHeader:
    """Read metadata and tensor list of a GGUF file; checks 1 to 5 of the module.

    Raises:
        Unsupported: version 1, a newer version, big-endian.
        TooLarge, Truncated, MalformedInput.
        Unavailable: the source cannot be read.
    """
    cursor = _Cursor(source)
    version, tensor_count, key_count = _preamble(cursor)  # 1
    metadata = _metadata(cursor, key_count)  # 2
    alignment = _alignment(metadata)  # 3
    anomalies = [
        ("template-type", f"{key[:60]!r} is not a string")
        for key, value in metadata.items()
        if _is_template(key) and not isinstance(value, str)
    ]
    tensors = _tensors(cursor, tensor_count)  # 4
    header_end = cursor.offset
    # A file without tensors may end right after its header.
    data_start = min(-(-header_end // alignment) * alignment, source.size)
    if tensors:
        data_start = -(-header_end // alignment) * alignment
    _check_ranges(tensors, alignment, source.size - data_start)
    anomalies += _layout(tensors, data_start, header_end, alignment, source)  # 5
    kept = anomalies[: limits.MAX_HEADER_ANOMALIES]
    return GgufHeader(version, metadata, tensors, data_start, alignment, source.size, tuple(kept))


def _preamble(cursor: _Cursor) -> tuple[int, int, int]:
    if cursor.take(4) != MAGIC:
        raise MalformedInput("does not begin with GGUF", where=_WHERE, code="bad-magic")
    version = cursor.u32()
    if version & 0xFFFF == 0:
        raise Unsupported("big-endian GGUF is not read", where=_WHERE, code="big-endian")
    if version not in (2, 3):
        raise Unsupported(
            f"GGUF version {version} is not read; 2 and 3 are", where=_WHERE, code="gguf-version"
        )
    tensors, keys = cursor.u64(), cursor.u64()
    _check_count(cursor, tensors, limits.MAX_GGUF_TENSORS, _SMALLEST_TENSOR, "tensors")
    _check_count(cursor, keys, limits.MAX_GGUF_KEYS, _SMALLEST_ENTRY, "metadata entries")
    return version, tensors, keys


def _check_count(cursor: _Cursor, count: int, most: int, smallest: int, what: str) -> None:
    if count > most:
        raise TooLarge(f"says {count} {what}; at most {most} are read", where=_WHERE)
    cursor.need(count * smallest)


def _metadata(cursor: _Cursor, count: int) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    for _ in range(count):
        key = cursor.text(limits.MAX_GGUF_NAME_BYTES, "a key")
        if key in metadata:
            raise MalformedInput(
                f"key {key[:60]!r} occurs twice", where=_WHERE, code="duplicate-key"
            )
        metadata[key] = _value(cursor, cursor.u32(), 0)
    return metadata


def _value(cursor: _Cursor, kind: int, depth: int) -> Any:
    form = _SCALARS.get(kind)
    if form is not None:
        return _scalar(cursor.take(struct.calcsize(form)), form, kind)
    if kind == _STRING:
        return cursor.text(limits.MAX_GGUF_STRING_BYTES, "a string")
    if kind == _ARRAY:
        return _array(cursor, depth)
    raise MalformedInput(f"value type {kind} is unknown", where=_WHERE, code="unknown-type")


def _scalar(data: bytes, form: str, kind: int) -> Any:
    (value,) = struct.unpack(form, data)
    if kind == _BOOL:
        if value > 1:
            raise MalformedInput(f"a boolean is {value}", where=_WHERE, code="bad-boolean")
        return value == 1
    return value


def _array(cursor: _Cursor, depth: int) -> Any:
    """An array: kept when short, else walked. Elements of fixed size are stepped over."""
    kind, count = cursor.u32(), cursor.u64()
    if kind >= len(_TYPE_NAMES):
        raise MalformedInput(f"array type {kind} is unknown", where=_WHERE, code="unknown-type")
    if kind == _ARRAY and depth >= _MAX_ARRAY_DEPTH:
        raise MalformedInput("arrays are nested too deep", where=_WHERE, code="nested-too-deep")
    form = _SCALARS.get(kind)
    smallest = struct.calcsize(form) if form else 8 if kind == _STRING else 12
    cursor.need(count * smallest)
    if form is None:
        cursor.items += count
        if cursor.items > limits.MAX_GGUF_ITEMS:
            raise TooLarge(f"arrays hold more than {limits.MAX_GGUF_ITEMS} texts", where=_WHERE)
    if count <= limits.MAX_GGUF_KEPT_ITEMS:
        return [_value(cursor, kind, depth + 1) for _ in range(count)]
    if form:
        cursor.skip(count * smallest)
    elif kind == _STRING:
        for _ in range(count):
            cursor.skip(cursor.u64())
    else:
        for _ in range(count):
            _array(cursor, depth + 1)
    return GgufArray(_TYPE_NAMES[kind], count)


def _alignment(metadata: dict[str, Any]) -> int:
    value = metadata.get("general.alignment", 32)
    if type(value) is not int or value <= 0 or value & (value - 1):
        raise MalformedInput(
            "general.alignment is not a power of two", where=_WHERE, code="bad-alignment"
        )
    if value > limits.MAX_GGUF_ALIGNMENT:
        raise TooLarge(f"general.alignment is {value} bytes", where=_WHERE)
    return value


def _tensors(cursor: _Cursor, count: int) -> tuple[GgufTensor, ...]:
    tensors: dict[str, GgufTensor] = {}
    for _ in range(count):
        tensor = _tensor(cursor)
        if tensor.name in tensors:
            raise _refuse(tensor.name, "occurs twice", "duplicate-key")
        tensors[tensor.name] = tensor
    return tuple(tensors.values())


def _tensor(cursor: _Cursor) -> GgufTensor:
    name = cursor.text(limits.MAX_GGUF_NAME_BYTES, "a tensor name")
    dimensions = cursor.u32()
    if dimensions > _MAX_DIMENSIONS:
        raise _refuse(name, f"has {dimensions} dimensions; 4 is the most", "bad-shape")
    shape = tuple(cursor.u64() for _ in range(dimensions))
    kind, offset = cursor.u32(), cursor.u64()
    elements = 1
    for dimension in shape:
        elements *= dimension
        if elements >= _MAX_ELEMENTS:
            raise _refuse(name, "has more elements than 63 bits count", "bad-shape")
    known = TENSOR_TYPES.get(kind)
    if known is None:
        return GgufTensor(name, f"type-{kind}", shape, offset, elements, None)
    type_name, block, block_bytes = known
    if (shape[0] if shape else 1) % block:
        raise _refuse(name, f"has rows that are no whole blocks of {block}", "bad-shape")
    return GgufTensor(name, type_name, shape, offset, elements, elements // block * block_bytes)


def _refuse(name: str, what: str, code: str) -> MalformedInput:
    return MalformedInput(f"tensor {name[:100]!r} {what}", where=_WHERE, code=code)


def _check_ranges(tensors: Iterable[GgufTensor], alignment: int, data_size: int) -> None:
    for tensor in tensors:
        if tensor.offset % alignment:
            raise _refuse(tensor.name, f"is not aligned to {alignment} bytes", "bad-offset")
        if data_size < 0 or tensor.offset + (tensor.size or 0) > data_size:
            raise Truncated(
                f"tensor {tensor.name[:100]!r} goes on after the end of the file", where=_WHERE
            )


def _layout(
    tensors: tuple[GgufTensor, ...],
    data_start: int,
    header_end: int,
    alignment: int,
    source: Source,
) -> Iterator[Anomaly]:
    """Check 5. Unknown sizes leave no statement about what follows them."""
    budget = _PADDING_BUDGET
    gaps = [(header_end, data_start - header_end)]
    reached: int | None = 0
    for tensor in sorted(tensors, key=lambda one: (one.offset, one.size or 0)):
        name = tensor.name[:100]
        if reached is not None and tensor.offset < reached:
            yield ("overlap", f"tensor {name!r} lies inside or across another one")
        elif reached is not None and tensor.offset - reached >= alignment:
            yield ("hole", f"{tensor.offset - reached} bytes before {name!r} belong to no tensor")
        elif reached is not None and tensor.offset > reached:
            gaps.append((data_start + reached, tensor.offset - reached))
        if tensor.size is None:
            yield ("unknown-tensor-type", f"tensor {name!r} is of unknown {tensor.type_name}")
            reached = None
        else:
            reached = max(reached or 0, tensor.offset + tensor.size)
    if reached is not None:
        tail = source.size - data_start - reached
        if tail >= alignment:
            yield ("tail", f"{tail} bytes after the last tensor belong to none")
        elif tail:
            gaps.append((data_start + reached, tail))
    for start, length in gaps:
        budget -= length
        if budget < 0:
            yield ("padding", f"more than {_PADDING_BUDGET} bytes of padding")
            return
        check_range(start, length, source.size)
        if any(source.read(start, length)):
            yield ("padding", f"the {length} bytes of padding at byte {start} are not zero")
