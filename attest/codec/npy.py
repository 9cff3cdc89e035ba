"""Headers of NumPy's ``.npy`` format, versions 1.0 to 3.0 (NEP 1), without evaluating anything.

::

    "\\x93NUMPY" | major u8 | minor u8 | header length u16 (1.0) or u32 | header | data

The header is a Python literal: ``{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }``.
NumPy reads it with ``ast.literal_eval``; here a grammar of six tokens reads it, which is all that a
dtype needs, and everything else is malformed. What matters to a scanner is one bit: a dtype with
an object in it (``O``, at any depth) means that the data is a pickle.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.codec.reader import Source
from attest.errors import MalformedInput, TooLarge, Truncated, Unsupported

MAGIC: Final = b"\x93NUMPY"
_KEYS: Final = {"descr", "fortran_order", "shape"}
_TOKEN: Final = re.compile(
    r"[ \t\n]*(?:(?P<text>[bu]?'(?:[^'\\\n]|\\['\\])*'|[bu]?\"(?:[^\"\\\n]|\\[\"\\])*\")"
    r"|(?P<number>-?(?:0|[1-9][0-9]{0,19})L?)|(?P<word>True|False|None)|(?P<mark>[\[\](){},:]))"
)
_SIMPLE: Final = re.compile(
    r"(?P<order>[<>|=]?)(?P<kind>[?bBhHiIlLqQnNpPefdgFDGcSaUVOmMu])(?P<width>[0-9]{0,9})"
    r"(?P<unit>\[[^\]\[]{1,40}\])?"
)
_WIDTHS: Final = {
    "?": 1, "b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4, "l": 8, "L": 8, "q": 8, "Q": 8, "n": 8,
    "N": 8, "p": 8, "P": 8, "e": 2, "f": 4, "d": 8, "g": 16, "F": 8, "D": 16, "G": 32, "c": 1,
    "m": 8, "M": 8, "O": 8, "S": 0, "a": 0, "U": 0, "V": 0, "u": 1,
}  # fmt: skip
"""Bytes of a dtype spelled without a width."""

_MAX_DEPTH: Final = 16
_MAX_DIMENSIONS: Final = 64


@dataclass(frozen=True, slots=True)
class NpyHeader:
    """A header that was understood.

    Attributes:
        version: major and minor.
        descr: the dtype as it is spelled: text, or a list of fields.
        fortran_order: whether the first index varies fastest.
        shape: lengths of the dimensions; empty for a scalar.
        item_size: bytes of one element.
        has_objects: the data is a pickle.
        data_start: offset of the data.
        data_size: bytes that shape and dtype ask for; meaningless with objects.
    """

    version: tuple[int, int]
    descr: Any
    fortran_order: bool
    shape: tuple[int, ...]
    item_size: int
    has_objects: bool
    data_start: int
    data_size: int


def parse_npy(source: Source) -> NpyHeader:
    """Read a header.

    Args:
        source: the whole file; whoever sent it controls every byte. The data is not read, and may
            be of another length than the header asks for.

    Raises:
        MalformedInput: not this format. Truncated, TooLarge. Unsupported: a later version.
    """
    start = source.read(0, min(12, source.size))
    if start[:6] != MAGIC or len(start) < 10:
        raise MalformedInput("is no npy file", code="not-npy")
    version = start[6], start[7]
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise Unsupported(f"npy version {version[0]}.{version[1]}", code="npy-version")
    width = 2 if version == (1, 0) else 4
    length = int.from_bytes(start[8 : 8 + width], "little")
    if length > limits.MAX_NPY_HEADER_BYTES:
        raise TooLarge(f"the npy header has {length} bytes")
    data_start = 8 + width + length
    if data_start > source.size:
        raise Truncated("the npy header is cut off")
    raw = source.read(8 + width, length)
    try:
        text = raw.decode("utf-8" if version == (3, 0) else "latin-1")
    except UnicodeDecodeError:
        raise MalformedInput("the npy header is not UTF-8", code="not-utf8") from None
    return _header(_Literal(text).document(), version, data_start)


def _header(document: Any, version: tuple[int, int], data_start: int) -> NpyHeader:
    if type(document) is not dict or set(document) != _KEYS:
        raise _malformed("has other members than descr, fortran_order and shape")
    shape, order = document["shape"], document["fortran_order"]
    if type(order) is not bool:
        raise _malformed("has a fortran_order that is neither True nor False")
    if type(shape) is not tuple or any(type(each) is not int or each < 0 for each in shape):
        raise _malformed("has a shape that is no tuple of lengths")
    if len(shape) > _MAX_DIMENSIONS:
        raise _malformed(f"has more than {_MAX_DIMENSIONS} dimensions")
    item_size, has_objects = _dtype(document["descr"], 0)
    size = item_size
    for each in shape:
        size *= each
    return NpyHeader(
        version, document["descr"], order, shape, item_size, has_objects, data_start, size
    )


def _dtype(descr: Any, depth: int) -> tuple[int, bool]:
    """Bytes of one element, and whether an object is in it.

    Forms (``numpy.lib.format.descr_to_dtype``): text; a list of ``(name, descr[, shape])`` where
    the name may be a pair of title and name; a tuple ``(descr, shape)``.
    """
    if depth > _MAX_DEPTH:
        raise _malformed("has a dtype that is nested too deep")
    if type(descr) is str:
        return _simple(descr)
    if type(descr) is tuple and len(descr) == 2:
        size, objects = _dtype(descr[0], depth + 1)
        return size * _count(descr[1]), objects
    if type(descr) is not list:
        raise _malformed("has a dtype of an unknown form")
    total, any_object = 0, False
    for entry in descr:
        if type(entry) is not tuple or len(entry) not in (2, 3) or not _is_name(entry[0]):
            raise _malformed("has a field of an unknown form")
        size, objects = _dtype(entry[1], depth + 1)
        total += size * (_count(entry[2]) if len(entry) == 3 else 1)
        any_object |= objects
    return total, any_object


def _is_name(name: Any) -> bool:
    if type(name) is tuple:
        return len(name) == 2 and all(type(each) is str for each in name)
    return type(name) is str


def _count(shape: Any) -> int:
    lengths = shape if type(shape) is tuple else (shape,)
    count = 1
    for each in lengths:
        if type(each) is not int or not 0 <= each < 1 << 63:
            raise _malformed("has a field whose shape is no tuple of lengths")
        count *= each
    if len(lengths) > _MAX_DIMENSIONS:
        raise _malformed(f"has more than {_MAX_DIMENSIONS} dimensions")
    return count


def _simple(descr: str) -> tuple[int, bool]:
    match = _SIMPLE.fullmatch(descr)
    if match is None or (match["unit"] is not None and match["kind"] not in "mM"):
        raise _malformed(f"has the unknown dtype {descr[:40]!r}")
    kind, width = match["kind"], match["width"]
    if not width:
        return _WIDTHS[kind], kind == "O"
    return int(width) * (4 if kind == "U" else 1), kind == "O"


def _malformed(message: str) -> MalformedInput:
    return MalformedInput(f"the npy header {message}", code="malformed-npy")


class _Literal:
    """The few Python literals of a header: text, whole numbers, True, False, and containers."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> Any:
        value = self._value(0)
        if self._text[self._at :].strip(" \t\n\0"):
            raise _malformed("goes on after its end")
        return value

    def _next(self) -> re.Match[str]:
        match = _TOKEN.match(self._text, self._at)
        if match is None:
            raise _malformed(f"has something else than literals at character {self._at}")
        self._at = match.end()
        return match

    def _peek(self) -> str | None:
        match = _TOKEN.match(self._text, self._at)
        return match["mark"] if match else None

    def _value(self, depth: int) -> Any:
        if depth > _MAX_DEPTH:
            raise _malformed("is nested too deep")
        token = self._next()
        if token["text"] is not None:
            return re.sub(r"\\(.)", r"\1", token["text"].lstrip("bu")[1:-1])
        if token["number"] is not None:
            return int(token["number"].rstrip("L"))
        if token["word"] is not None:
            return {"True": True, "False": False, "None": None}[token["word"]]
        if token["mark"] == "{":
            return self._mapping(depth)
        if token["mark"] in ("(", "["):
            return self._sequence(depth, token["mark"])
        raise _malformed(f"has a stray {token['mark']!r}")

    def _mapping(self, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        while self._peek() != "}":
            key = self._value(depth + 1)
            if type(key) is not str or self._next()["mark"] != ":":
                raise _malformed("has a member without a name")
            if key in made:
                raise _malformed(f"has the member {key[:40]!r} twice")
            made[key] = self._value(depth + 1)
            self._separator("}")
        self._next()
        return made

    def _sequence(self, depth: int, opening: str) -> Any:
        closing = ")" if opening == "(" else "]"
        made = []
        commas = 0
        while self._peek() != closing:
            made.append(self._value(depth + 1))
            commas += self._separator(closing)
        self._next()
        if opening == "[":
            return made
        return made[0] if len(made) == 1 and not commas else tuple(made)

    def _separator(self, closing: str) -> int:
        """A comma, which only the last element need not have."""
        mark = self._peek()
        if mark == ",":
            self._next()
            return 1
        if mark != closing:
            raise _malformed(f"has no comma at character {self._at}")
        return 0
