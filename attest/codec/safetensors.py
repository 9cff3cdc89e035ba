"""The header of a safetensors file: https://github.com/huggingface/safetensors, "Format".

::

    N        8 bytes, unsigned little-endian: length of the header
    header   N bytes of JSON, beginning with "{", padded with spaces
    data     tensors; offsets count from here

The whole file is controlled by whoever sent it. What breaks the format is refused; what the format
forbids but a loader might not notice (holes, overlaps, a tail: places to hide things in) is listed
as an anomaly, so that a scanner can grade it. The data itself is never read.

1. The length is inside the file and at most 100 MB (the reference implementation's cap).
2. The header is one strict JSON object: no duplicate names, bounded depth and counts.
3. ``__metadata__`` maps strings to strings.
4. Every tensor has a known dtype, a shape of non-negative integers and a range inside the data,
   whose length is what dtype and shape say.
5. *Anomaly:* sorted by offset, the ranges do not tile the data exactly.

Not checked: what the names mean, and the values of tensors (NaN, sparsity).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from attest import limits
from attest.codec import jsonstrict
from attest.codec.reader import Source
from attest.errors import MalformedInput, TooLarge, Truncated

DTYPE_BITS: Final = {
    "BOOL": 8, "U8": 8, "I8": 8, "U16": 16, "I16": 16, "U32": 32, "I32": 32, "U64": 64, "I64": 64,
    "F16": 16, "BF16": 16, "F32": 32, "F64": 64, "C64": 64,
    "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F6_E2M3": 6, "F6_E3M2": 6, "F4": 4,
}  # fmt: skip
"""Bits of one element, by dtype (safetensors 0.8, and the FNUZ variants that others write)."""

_LENGTH_BYTES: Final = 8
_MAX_ELEMENTS: Final = 1 << 63
_MEMBERS: Final = ("dtype", "shape", "data_offsets")
_METADATA: Final = "__metadata__"
_WINDOW: Final = 256 * limits.KIB
_WHERE: Final = "safetensors header"

Anomaly = tuple[str, str]
"""(stable kebab-case code, one sentence)."""


class TensorInfo(NamedTuple):
    """One tensor, as the header describes it.

    Attributes:
        name: as written; controlled by the sender.
        dtype: a key of :data:`DTYPE_BITS`.
        shape: non-negative dimensions; empty for a scalar.
        begin, end: bytes from the start of the data (:attr:`SafetensorsHeader.data_start`).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class SafetensorsHeader:
    """What a safetensors file says about itself.

    Attributes:
        tensors: in the order of the header.
        metadata: ``__metadata__``; free text of the sender.
        header_bytes: length of the JSON, padding included.
        data_start: offset of the data in the file.
        size: of the file.
        anomalies: what no writer of the format makes; at most ``MAX_HEADER_ANOMALIES``.
    """

    tensors: tuple[TensorInfo, ...]
    metadata: dict[str, str]
    header_bytes: int
    data_start: int
    size: int
    anomalies: tuple[Anomaly, ...]


def parse_safetensors(source: Source) -> SafetensorsHeader:
    """Read the header of a safetensors file; checks 1 to 5 of the module.

    Raises:
        TooLarge, Truncated, MalformedInput: checks 1 to 4.
        Unavailable: the source cannot be read.
    """
    header = _read_header(source)  # 1
    data_start = _LENGTH_BYTES + len(header)
    _check_counts(header)
    data_size = source.size - data_start
    extra: set[str] = set()
    by_name, metadata = _read_members(header, data_size, extra)  # 2, 3, 4
    tensors = tuple(by_name.values())
    anomalies = [*_spelling(header, extra), *_tiling(tensors, data_size)]  # 5
    return SafetensorsHeader(
        tensors=tensors,
        metadata=metadata,
        header_bytes=len(header),
        data_start=data_start,
        size=source.size,
        anomalies=bounded(anomalies),
    )


def bounded(anomalies: list[Anomaly]) -> tuple[Anomaly, ...]:
    """The first anomalies, and how many there are beyond them."""
    kept = anomalies[: limits.MAX_HEADER_ANOMALIES]
    if len(anomalies) > len(kept):
        kept[-1] = ("more-anomalies", f"there are {len(anomalies) - len(kept) + 1} more anomalies")
    return tuple(kept)


def _read_header(source: Source) -> bytes:
    if source.size < _LENGTH_BYTES:
        raise Truncated(f"a safetensors file of {source.size} bytes has no header length")
    length = int.from_bytes(source.read(0, _LENGTH_BYTES), "little")
    if length > limits.MAX_SAFETENSORS_HEADER_BYTES:
        raise TooLarge(
            f"the header of {length} bytes is longer than"
            f" {limits.MAX_SAFETENSORS_HEADER_BYTES} bytes",
            where=_WHERE,
        )
    if length > source.size - _LENGTH_BYTES:
        raise Truncated(
            f"the header of {length} bytes goes on after the end of the file", where=_WHERE
        )
    header = source.read(_LENGTH_BYTES, length)
    if not header.startswith(b"{"):
        raise MalformedInput("does not begin with '{'", where=_WHERE, code="malformed-header")
    return header


def _members(header: bytes) -> Iterator[dict[str, Any]]:
    """The members of the header, a window at a time: 10^5 objects at once are slow to keep.

    A window ends at a ``]},`` chosen by eye, and is parsed as an object of its own. JSON is read
    left to right, so if that succeeds the window ended between two members; if the ``]},`` was in a
    text or deeper, it fails, and the window is enlarged. Names that are in two windows are for the
    caller to notice.
    """
    start, size = 1, _WINDOW
    while len(header) - start > size:
        cut = header.find(b"]},", start + size)
        if cut < 0:
            break
        try:
            yield _object(b"{" + header[start : cut + 2] + b"}")
        except MalformedInput:
            size *= 2
            continue
        start, size = cut + 3, _WINDOW
    last = _object(b"{" + header[start:])
    if start > 1 and not last:
        raise MalformedInput("ends with a comma", where=_WHERE, code="malformed-json")
    yield last


def _object(text: bytes) -> dict[str, Any]:
    if _is_usual(text):
        # Strict as well, and without the search for escapes and depth that it cannot need.
        with contextlib.suppress(ValueError, RecursionError, MalformedInput):
            usual = jsonstrict.DECODER.decode(str(text, "utf-8"))
            if type(usual) is dict:
                return usual
    most = limits.MAX_SAFETENSORS_HEADER_BYTES + 1
    document = jsonstrict.loads(text, what=_WHERE, max_bytes=most)
    return jsonstrict.typed(document, dict, where=_WHERE)


def _is_usual(text: bytes) -> bool:
    """Without escapes, and with no more brackets than an object and two arrays for each tensor."""
    brackets = text.count(b"{") + text.count(b"[")
    return b"\\" not in text and brackets <= 3 * text.count(b'"dtype"') + 2


def _check_counts(header: bytes) -> None:
    """Objects cost a hundred times their bytes: count before any is made."""
    if header.count(b"{") > limits.MAX_SAFETENSORS_TENSORS + 2:
        raise TooLarge(f"more than {limits.MAX_SAFETENSORS_TENSORS} tensors", where=_WHERE)
    if header.count(b"[") > 2 * limits.MAX_SAFETENSORS_TENSORS:
        raise TooLarge("more arrays than tensors can have", where=_WHERE)
    if header.count(b",") > 16 * limits.MAX_SAFETENSORS_TENSORS:
        raise TooLarge("more members than tensors can have", where=_WHERE)


def _read_members(
    header: bytes, data_size: int, extra: set[str]
) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Checks 2 to 4."""
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] | None = None
    for members in _members(header):
        if _METADATA in members:
            if metadata is not None:
                raise _twice(_METADATA)
            metadata = _metadata(members.pop(_METADATA))
        if not tensors.keys().isdisjoint(members):
            raise _twice(min(tensors.keys() & members.keys()))
        for name, value in members.items():
            tensors[name] = _tensor(name, value, data_size, extra)
    return tensors, metadata or {}


def _twice(name: str) -> MalformedInput:
    message = f"member {name[:60]!r} occurs twice"
    return MalformedInput(message, where=_WHERE, code="duplicate-key")


def _metadata(value: Any) -> dict[str, str]:
    metadata = jsonstrict.typed(value, dict, where=f"{_WHERE}: __metadata__")
    for key, text in metadata.items():
        if type(text) is not str:
            jsonstrict.typed(text, str, where=f"{_WHERE}: __metadata__.{key[:60]}")
    return metadata


def _tensor(name: str, value: Any, data_size: int, extra: set[str]) -> TensorInfo:
    """Check 4 for one tensor; unknown members are put into ``extra``. Called 10^5 times."""
    try:
        dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        begin, end = offsets
    except (KeyError, TypeError, ValueError):
        raise _refuse(name, "is not an object with dtype, shape and two data_offsets") from None
    if type(shape) is not list or type(begin) is not int or type(end) is not int:
        raise _refuse(name, "has a member of a wrong type")
    if len(value) != len(_MEMBERS):
        extra.update(islice(set(value).difference(_MEMBERS), 4))
    bits = DTYPE_BITS.get(dtype) if type(dtype) is str else None
    if bits is None:
        raise _refuse(name, f"has the unknown dtype {str(dtype)[:40]!r}", "unknown-dtype")
    if not 0 <= begin <= end:
        raise _refuse(name, f"has the range {begin} to {end}", "bad-offsets")
    if end > data_size:
        raise Truncated(
            f"tensor {name[:100]!r} ends at {end}, the data at {data_size}", where=_WHERE
        )
    needed = _elements(name, shape) * bits
    if needed != (end - begin) * 8:
        raise _refuse(
            name,
            f"has {end - begin} bytes; its dtype and shape need {needed} bits",
            "size-mismatch",
        )
    return TensorInfo(name, dtype, tuple(shape), begin, end)


def _elements(name: str, shape: list[Any]) -> int:
    """The product of ``shape``, bounded at every step as the reference does."""
    if len(shape) > limits.MAX_TENSOR_RANK:
        raise _refuse(name, f"has {len(shape)} dimensions", "bad-shape")
    elements = 1
    for dimension in shape:
        if type(dimension) is not int or dimension < 0:
            raise _refuse(name, "has a dimension that is no size", "bad-shape")
        elements *= dimension
        if elements >= _MAX_ELEMENTS:
            raise _refuse(name, "has more elements than 63 bits count", "bad-shape")
    return elements


def _refuse(name: str, what: str, code: str = "malformed-header") -> MalformedInput:
    return MalformedInput(f"tensor {name[:100]!r} {what}", where=_WHERE, code=code)


def _spelling(header: bytes, extra: Iterable[str]) -> Iterable[Anomaly]:
    if not header.rstrip(b" ").endswith(b"}"):
        yield ("header-padding", "the header is padded with something else than spaces")
    for member in sorted(extra)[:4]:
        yield ("unknown-member", f"tensors have an unknown member {member[:60]!r}")


def _tiling(tensors: tuple[TensorInfo, ...], data_size: int) -> Iterable[Anomaly]:
    """Check 5: every byte of the data belongs to exactly one tensor."""
    reached = 0
    for begin, end, name in sorted((tensor.begin, tensor.end, tensor.name) for tensor in tensors):
        if begin > reached:
            yield ("hole", f"{begin - reached} bytes before tensor {name[:100]!r} belong to none")
        elif begin < reached:
            yield ("overlap", f"tensor {name[:100]!r} lies inside or across another one")
        reached = max(reached, end)
    if reached < data_size:
        yield ("tail", f"{data_size - reached} bytes after the last tensor belong to none")
