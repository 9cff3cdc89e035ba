"""What tensors a pickle makes: names, dtypes and shapes, for BOMs. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from attest import limits
from attest.codec.pickles import PickleReader
from attest.codec.reader import Source
from attest.scan.allowlist import AllowList, builtin_allow_list
from attest.scan.machine import run
from attest.scan.values import Call, DictValue, Global, Persistent, Value

_MAX_DEPTH: Final = 32
_MAX_NAME: Final = limits.KIB


@dataclass(frozen=True, slots=True)
class TensorFact:
    """One tensor or array.

    Attributes:
        name: the keys that lead to it, joined with dots; as the file has them.
        dtype: ``float32``, ``bfloat16``, ... as torch and numpy call it; ``unknown``.
        shape: what the pickle claims, in elements; not compared with stored bytes. Not negative.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]


def tensor_facts(
    source: Source, *, allow: AllowList | None = None, position: int = 0
) -> list[TensorFact]:
    """The tensors of ``data.pkl``, of a legacy torch file's object, or of any pickle.

    Args:
        source: whoever made it controls every byte.
        allow: whose classes count as known; the built-in list by default.
        position: where the pickle begins.

    Returns: in the order of the file. A tensor that is shared is listed under each of its names.

    Raises:
        MalformedInput: the pickle cannot be followed to its end.
        Unavailable: the source cannot be read.
    """
    outcome = run(
        PickleReader(source, position),
        allow or builtin_allow_list(),
        max_operations=limits.MAX_PICKLE_OPERATIONS,
    )
    if outcome.broken is not None:
        raise outcome.broken
    return list(_walk(outcome.value))


def _walk(root: Value) -> Iterator[TensorFact]:
    """Depth first, in order. Containers on the way are opened once, however often they occur."""
    opened: set[int] = set()
    waiting: list[tuple[str, int, Value]] = [("", 0, root)]
    for _ in range(limits.MAX_PICKLE_FACTS):
        if not waiting:
            return
        name, depth, value = waiting.pop()
        fact = _fact(name, value)
        if fact is not None:
            yield fact
        elif depth < _MAX_DEPTH and id(value) not in opened:
            opened.add(id(value))
            inner = list(_children(value))
            for key, item in reversed(inner):
                path = f"{name}.{key}" if name else key
                if len(path) <= _MAX_NAME:
                    waiting.append((path, depth + 1, item))


def _children(value: Value) -> Iterator[tuple[str, Value]]:
    if type(value) in (list, tuple):
        for number, item in enumerate(value[: limits.MAX_PICKLE_FACTS]):
            if _may_hold(item):
                yield str(number), item
        return
    if type(value) is Call:
        holders = [DictValue(value.items), *_mapping_arguments(value), value.state]
    else:
        holders = [value]
    for holder in holders:
        if type(holder) is DictValue:
            yield from (
                (str(key), item)
                for key, item in zip(holder.items[::2], holder.items[1::2], strict=False)
                if type(key) in (str, int) and _may_hold(item)
            )


def _mapping_arguments(call: Call) -> list[Value]:
    """``OrderedDict([(key, value), ...])`` and ``OrderedDict({...})``, as dicts."""
    if call.kind != "mapping" or type(call.arguments) is not tuple or not call.arguments:
        return []
    first = call.arguments[0]
    if type(first) in (list, tuple):
        pairs = [pair for pair in first if type(pair) in (list, tuple) and len(pair) == 2]
        return [DictValue([item for pair in pairs for item in pair])]
    return [first]


def _may_hold(value: Value) -> bool:
    return type(value) in (Call, DictValue, list, tuple)


def _fact(name: str, value: Value) -> TensorFact | None:
    """A tensor behind at most a few wrappers (parameter, subclass, quantised)."""
    for _ in range(4):
        if type(value) is not Call or type(value.function) is not Global:
            return None
        arguments = value.arguments
        if value.kind == "new-tensor":
            arguments = value.state
        if type(arguments) is not tuple:
            return None
        inner = _unwrapped(value.function.name, arguments)
        if inner is None:
            return _described(name, value, arguments)
        value = inner
    return None


def _unwrapped(function: str, arguments: tuple[Value, ...]) -> Value:
    if function in _WRAPPERS and arguments:
        return arguments[0]
    if function == "_rebuild_from_type_v2" and len(arguments) == 4:
        return Call(arguments[0], arguments[2], "tensor")
    return None


_WRAPPERS: Final = frozenset(
    (
        "Parameter",
        "_rebuild_device_tensor_from_cpu_tensor",
        "_rebuild_device_tensor_from_numpy",
        "_rebuild_parameter",
        "_rebuild_parameter_with_state",
    )
)


def _described(name: str, call: Call, arguments: tuple[Value, ...]) -> TensorFact | None:
    function = call.function.name
    if call.kind == "ndarray":
        return _array(name, function, call, arguments)
    if call.kind not in ("tensor", "parameter", "new-tensor"):
        return None
    dtype = "unknown"
    shape = next((_shape(item) for item in arguments if _is_sizes(item)), None)
    for item in arguments:
        if type(item) is Global and item.module == "torch" and not item.name.startswith("per_"):
            dtype = item.name
        elif type(item) is Persistent and type(item.pid) is tuple and len(item.pid) > 1:
            storage = item.pid[1]
            if dtype == "unknown" and type(storage) is Global:
                dtype = _STORAGE_DTYPES.get(storage.name, "unknown")
    if function == "_rebuild_sparse_tensor" and type(arguments[-1]) is tuple:
        found = [item for item in map(_shape, arguments[-1]) if item]
        shape = found[-1] if found else None
    return TensorFact(name, dtype, shape) if shape is not None else None


def _array(name: str, function: str, call: Call, arguments: tuple[Value, ...]) -> TensorFact | None:
    state = arguments if function == "_frombuffer" else call.state
    if type(state) is not tuple or len(state) < 3:
        return None
    dtype, shape = (state[1], state[2]) if function == "_frombuffer" else (state[2], state[1])
    sizes = _shape(shape)
    if sizes is None or type(dtype) is not Call or type(dtype.arguments) is not tuple:
        return None
    text = dtype.arguments[0] if dtype.arguments else ""
    return TensorFact(name, _ARRAY_DTYPES.get(text, "unknown") if type(text) is str else "", sizes)


def _is_sizes(value: Value) -> bool:
    return type(value) is tuple or (type(value) is Call and value.kind == "size")


def _shape(value: Value) -> tuple[int, ...] | None:
    if type(value) is Call and value.kind == "size" and type(value.arguments) is tuple:
        value = value.arguments[0] if value.arguments else None
    if type(value) is not tuple or len(value) > 64:
        return None
    return value if all(type(item) is int and item >= 0 for item in value) else None


_STORAGE_DTYPES: Final = {
    "BFloat16Storage": "bfloat16",
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ComplexDoubleStorage": "complex128",
    "ComplexFloatStorage": "complex64",
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "QInt32Storage": "qint32",
    "QInt8Storage": "qint8",
    "QUInt2x4Storage": "quint2x4",
    "QUInt4x2Storage": "quint4x2",
    "QUInt8Storage": "quint8",
    "ShortStorage": "int16",
}

_ARRAY_DTYPES: Final = {
    "b1": "bool",
    "O8": "object",
    **{f"i{size}": f"int{8 * size}" for size in (1, 2, 4, 8)},
    **{f"u{size}": f"uint{8 * size}" for size in (1, 2, 4, 8)},
    **{f"f{size}": f"float{8 * size}" for size in (2, 4, 8, 16)},
    **{f"c{size}": f"complex{8 * size}" for size in (8, 16, 32)},
}
