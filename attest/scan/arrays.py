"""How numpy writes arrays, scalars and dtypes: checks of their calls and states.

numpy believes the state of a dtype. A size that is not its type's, a field outside its record or a
flag that says "pointer" over plain bytes is memory corruption, and so code execution, without any
forbidden name. Checked is therefore that size, flags and offsets are what the type code says.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from attest.scan.kinds import Checker, is_bytes, is_flag, is_int, is_shape, is_text, shaped
from attest.scan.values import Call, DictValue, Global, Value

_DTYPE: Final = re.compile(r"[biufcSUVOMm](?:[1-9][0-9]{0,9}|0)", re.ASCII)


def _is_dtype(value: Value) -> bool:
    """A numpy dtype, complete: one that could still be changed would change its arrays too."""
    if type(value) is not Call or value.kind != "dtype":
        return False
    value.sealed = True
    return True


def _is_dtype_code(value: Value) -> bool:
    """A code, or a scalar class that a site answers for (``ml_dtypes.bfloat16``)."""
    if type(value) is Global:
        return value.entry is not None and value.entry.site
    return type(value) is str and _DTYPE.fullmatch(value) is not None


def _is_off(value: Value) -> bool:
    return is_flag(value) and not value


def _is_on(value: Value) -> bool:
    """``copy``: without it the state would change the dtype of the whole process."""
    return is_flag(value) and bool(value)


def _reconstruct(arguments: tuple[Value, ...]) -> str | None:
    """``_reconstruct(ndarray, (0,), b"b")``: an empty array, which its state then fills."""
    if len(arguments) != 3:
        return f"{len(arguments)} arguments"
    subtype, shape, code = arguments
    if type(subtype) is not Global or subtype.key != ("numpy", "ndarray"):
        return "an array type other than numpy.ndarray"
    if shape != (0,) or type(shape[0]) is not int:
        return "a shape other than (0,)"
    encoded = type(code) is Call and code.kind == "bytes" and code.arguments[:1] == ("b",)
    return None if encoded or code in (b"b", "b") else "a type code other than b"


def _scalar(arguments: tuple[Value, ...]) -> str | None:
    """``scalar(dtype, bytes)``, of a dtype without objects or fields."""
    if len(arguments) != 2 or not _is_dtype(arguments[0]):
        return "its arguments"
    letter = _letter(arguments[0])
    if letter in ("O", "V"):
        return "a scalar of objects or records"
    data = arguments[1]
    return None if is_bytes(data) or is_text(data) else "data that are not bytes"


def _frombuffer(arguments: tuple[Value, ...]) -> str | None:
    """``_frombuffer(buffer, dtype, shape, order)``, the buffer inside the stream."""
    if len(arguments) != 4:
        return f"{len(arguments)} arguments"
    buffer, dtype, shape, order = arguments
    if not _is_dtype(dtype) or _holds_objects(dtype):
        return "its dtype"
    return None if is_bytes(buffer) and is_shape(shape) and order in ("C", "F") else "its arguments"


def _array_state(target: Call, state: Value) -> str | None:
    """``(version, shape, dtype, is Fortran order, data)``; a list of objects for dtype O."""
    if target.function.name != "_reconstruct":
        return "a state for a finished array"
    if type(state) is not tuple or len(state) != 5:
        return "its state"
    version, shape, dtype, fortran, data = state
    if version != 1 or not is_shape(shape) or not _is_dtype(dtype) or not is_flag(fortran):
        return "its state"
    if _holds_objects(dtype):
        return _check_objects(shape, data)
    return None if is_bytes(data) or is_text(data) else "data that are not bytes"


def _check_objects(shape: Value, data: Value) -> str | None:
    """One object for each element: the shape alone is memory."""
    if type(data) is not list:
        return "objects made from bytes"
    if type(shape) is not tuple or len(shape) > 64:
        return "its shape"
    count = 1
    for extent in sorted(shape):  # a zero first: the others do not matter then
        count *= max(extent, -1)
        if not 0 <= count <= len(data):
            return "a shape that is not its data's"
    return None if count == len(data) else "a shape that is not its data's"


_OBJECT_FLAGS: Final = {"O": (63,), "V": (27, 27 | 128)}
_PLAIN_FLAGS: Final = 8 | 16 | 128
"""Initialised before use, reads fields through the Python interface, aligned. The others say that
an element is a pointer: set on plain bytes they turn numbers into addresses."""
_ITEM_BYTES: Final = {"S": 1, "U": 4, "V": 1}
_MAX_FIELDS: Final = 4096


def _dtype_state(target: Call, state: Value) -> str | None:
    """``(version, byte order, subarray, names, fields, size, alignment, flags, [metadata])``.

    numpy believes all of it, so size, flags and field offsets have to be what the type says.
    """
    if type(state) is not tuple or len(state) not in (8, 9):
        return "its state"
    version, order, subarray, names, fields, size, alignment, flags = state[:8]
    if version not in (3, 4) or order not in ("<", ">", "=", "|"):
        return "its version or byte order"
    if not (is_int(size) and is_int(alignment) and is_int(flags)):
        return "its size"
    letter, width = _letter(target), _width(target)
    sized = letter in _ITEM_BYTES
    expected = width * _ITEM_BYTES[letter] if sized else -1
    if size != expected or alignment not in ((1, 2, 4, 8, 16, 32) if sized else (-1,)):
        return "a size that is not its type's"
    objects = letter == "O" or _inner_objects(subarray, fields)
    if flags not in _OBJECT_FLAGS.get(letter, ()) if objects else flags & ~_PLAIN_FLAGS:
        return "flags that are not its type's"
    if letter != "V" and not subarray is names is fields is None:
        return "fields of a type that has none"
    return _check_fields(subarray, names, fields, size) or _check_metadata(state[8:], letter)


def _letter(dtype: Call) -> str:
    text = dtype.arguments[0] if type(dtype.arguments) is tuple and dtype.arguments else ""
    return text[:1] if type(text) is str else ""


def _width(dtype: Call) -> int:
    """The number in ``V16``: bytes, characters or bits, as the letter says."""
    text = dtype.arguments[0] if type(dtype.arguments) is tuple and dtype.arguments else ""
    digits = text[1:] if type(text) is str else ""
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0


def _item_size(dtype: Call) -> int:
    """Bytes of one element, as far as the arguments say: ``f4`` 4, ``U3`` 12, ``V16`` 16."""
    return _width(dtype) * _ITEM_BYTES.get(_letter(dtype), 1)


def _holds_objects(dtype: Call) -> bool:
    """Whether elements are, or hold, references. A dtype that was given no state has no fields."""
    if _letter(dtype) == "O":
        return True
    state = dtype.state
    return type(state) is tuple and len(state) >= 8 and type(state[7]) is int and bool(state[7] & 1)


def _inner_objects(subarray: Value, fields: Value) -> bool:
    if type(fields) is DictValue and _facts(fields).objects:
        return True
    inner = subarray[0] if type(subarray) is tuple and subarray else None
    return type(inner) is Call and inner.kind == "dtype" and _holds_objects(inner)


def _check_fields(subarray: Value, names: Value, fields: Value, size: int) -> str | None:
    if subarray is not None:
        if type(subarray) is not tuple or len(subarray) != 2 or not _is_dtype(subarray[0]):
            return "its subarray"
        shape = (subarray[1],) if type(subarray[1]) is int else subarray[1]
        if not is_shape(shape) or type(shape) is not tuple or not _fits(subarray[0], shape, size):
            return "a subarray that is not its size"
    if names is None and fields is None:
        return None
    if type(names) is not tuple or type(fields) is not DictValue:
        return "its fields"
    if len(names) > _MAX_FIELDS:
        return "too many fields"
    facts = _facts(fields)
    if facts.names is not names:
        if not {type(name) for name in names} <= {str}:
            return "its field names"
        if not facts.keys.issuperset(names):
            return "a field name without a field"
        facts.names = names
    return facts.fault or ("a field outside its record" if facts.end > size else None)


class _Fields:
    """What the fields of a record come to, found out once: many dtypes may share them.

    Attributes:
        fault: what is wrong with them, or None.
        end: bytes that the record must have.
        objects: whether one holds references.
        keys: their names and titles.
        names: the tuple of names that was compared with them last.
    """

    __slots__ = ("end", "fault", "keys", "names", "objects")

    def __init__(self, fields: DictValue) -> None:
        self.fault: str | None = "too many fields"
        self.end, self.objects = 0, False
        self.names: Value = None
        self.keys: set[str] = set()
        if len(fields.items) > 4 * _MAX_FIELDS:
            return
        self.fault = next((why for _, item in fields.pairs() if (why := _check_field(item))), None)
        if self.fault is None:
            self.keys = {key for key in fields.items[::2] if type(key) is str}
            self.end = max(
                (item[1] + _item_size(item[0]) for item in fields.items[1::2]), default=0
            )
            self.objects = any(_holds_objects(item[0]) for item in fields.items[1::2])


def _facts(fields: DictValue) -> _Fields:
    fields.sealed = True
    if type(fields.checked) is not _Fields:
        fields.checked = _Fields(fields)
    return fields.checked


def _fits(dtype: Call, shape: tuple[int, ...], size: int) -> bool:
    total = _item_size(dtype)
    for extent in shape[:64]:
        if extent < 0:
            return False
        total *= extent
    return total == size and len(shape) <= 64


def _check_field(item: Value) -> str | None:
    """``(dtype, offset, [title])``."""
    if type(item) is not tuple or len(item) not in (2, 3) or not _is_dtype(item[0]):
        return "a field"
    if type(item[1]) is not int or item[1] < 0:
        return "a field outside its record"
    return None if len(item) == 2 or is_text(item[2]) else "the title of a field"


def _check_metadata(rest: tuple[Value, ...], letter: str) -> str | None:
    """Times carry ``(metadata, (unit, number, 1, 1))``; others at most a plain dict or None."""
    if not rest or rest[0] is None:
        return None
    if letter in ("M", "m"):
        value = rest[0]
        if type(value) is tuple and len(value) == 2 and type(value[1]) is tuple:
            unit = value[1][:1]
            numbers = all(type(item) is int for item in value[1][1:])
            if numbers and len(value[1]) == 4 and (is_bytes(unit[0]) or is_text(unit[0])):
                return None if value[0] is None or type(value[0]) is DictValue else "its metadata"
        return "its unit"
    return None if type(rest[0]) is DictValue else "its metadata"


_CORES: Final = ("numpy.core", "numpy._core")
"""Before and since numpy 2."""

ARRAY_CALLS: Final[dict[tuple[str, str], tuple[Checker, str]]] = {
    ("numpy", "dtype"): (shaped(_is_dtype_code, _is_off, _is_on), "dtype"),
    **{(f"{core}.multiarray", "_reconstruct"): (_reconstruct, "ndarray") for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): (_scalar, "number") for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): (_frombuffer, "ndarray") for core in _CORES},
}

ARRAY_STATES: Final[dict[str, Callable[[Call, Value], str | None]]] = {
    "ndarray": _array_state,
    "dtype": _dtype_state,
}
