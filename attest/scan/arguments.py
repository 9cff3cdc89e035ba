"""How picklers use the listed names: the only arguments and states that pass as clean.

An allowed function with strange arguments is the next best thing to a forbidden one: hooks that run
later, a dtype whose flags turn bytes into pointers, ``bytearray(10**12)``. So each call and each
state is compared with what torch, numpy and CPython write. A checker returns what is wrong as a
phrase for the message, or None. It looks at a fixed number of values near the top; whatever lies
deeper was checked when it was made.

Nothing here trusts a type: every value is what the file said.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from attest.scan.allowlist import Use
from attest.scan.arrays import ARRAY_CALLS, ARRAY_STATES
from attest.scan.kinds import (
    Checker,
    is_bytes,
    is_constant,
    is_device,
    is_flag,
    is_int,
    is_kind,
    is_metadata,
    is_no_hooks,
    is_number,
    is_plain_state,
    is_shape,
    is_storage,
    is_text,
    shaped,
)
from attest.scan.values import Call, DictValue, Global, Value

_LAYOUT: Final = re.compile(r"torch\.[a-z_]{1,40}", re.ASCII)


def _is_sequence(value: Value) -> bool:
    return type(value) in (list, tuple)


def _is_container(value: Value) -> bool:
    return type(value) in (list, tuple, DictValue)


def _is_dict(value: Value) -> bool:
    return type(value) is DictValue


def _is_latin1(value: Value) -> bool:
    return type(value) is str and value == "latin1"


def _is_tensor(value: Value) -> bool:
    return is_kind(value, "tensor", "new-tensor", "parameter")


def _is_tensor_class(value: Value) -> bool:
    return type(value) is Global and value.entry is not None and value.entry.use is Use.CLASS


def _is_true_dtype(value: Value) -> bool:
    return is_constant(value)


def _is_layout(value: Value) -> bool:
    return is_kind(value, "layout")


def _is_layout_name(value: Value) -> bool:
    return type(value) is str and _LAYOUT.fullmatch(value) is not None


def _is_quantizer(value: Value) -> bool:
    """``(scheme, scale, zero point)`` or ``(scheme, scales, zero points, axis)``."""
    return (
        type(value) is tuple
        and 3 <= len(value) <= 4
        and is_constant(value[0])
        and all(is_number(item) or _is_tensor(item) for item in value[1:])
    )


def _is_sparse_data(value: Value) -> bool:
    return (
        type(value) is tuple
        and 3 <= len(value) <= 4
        and all(
            _is_tensor(item) or is_shape(item) or item is None or is_flag(item) for item in value
        )
    )


def _bytearray(arguments: tuple[Value, ...]) -> str | None:
    """Empty, of bytes, or of Latin-1 text (Python 2); never of a number, which is a size."""
    if not arguments or (len(arguments) == 1 and is_bytes(arguments[0])):
        return None
    latin = len(arguments) == 2 and is_text(arguments[0])
    return None if latin and arguments[1] in ("latin-1", "latin1") else "its arguments"


def _from_type(arguments: tuple[Value, ...]) -> str | None:
    """``_rebuild_from_type_v2(function, type, arguments, state)`` calls ``function(*arguments)``
    and sets every attribute in ``state``."""
    if len(arguments) != 4:
        return f"{len(arguments)} arguments"
    function, new_type, inner, state = arguments
    if type(function) is not Global or function.module != "torch._utils":
        return "a function that does not rebuild tensors"
    known = CALLS.get(function.key)
    if known is None or known[1] not in ("tensor", "parameter") or type(inner) is not tuple:
        return "a function that does not rebuild tensors"
    if not _is_tensor_class(new_type):
        return "a type that is no tensor"
    return known[0](inner) or _tensor_state(state)


def _tensor_state(state: Value) -> str | None:
    """None, a dict, or (dict, dict of slots): each entry becomes an attribute."""
    parts = state if type(state) is tuple and len(state) == 2 else (state,)
    if all(part is None or is_plain_state(part) for part in parts):
        return None
    return "a state that is not plain attributes"


def _with_state(arguments: tuple[Value, ...]) -> str | None:
    if len(arguments) != 4:
        return f"{len(arguments)} arguments"
    return _PARAMETER(arguments[:3]) or _tensor_state(arguments[3])


_PARAMETER: Final = shaped(_is_tensor, is_flag, is_no_hooks)
_V2: Final = (is_storage, is_int, is_shape, is_shape, is_flag, is_no_hooks)

CALLS: Final[dict[tuple[str, str], tuple[Checker, str]]] = {
    ("collections", "OrderedDict"): (shaped(_is_container, optional=1), "mapping"),
    ("collections", "Counter"): (shaped(_is_dict, optional=1), "mapping"),
    ("builtins", "bytes"): (shaped(), "bytes"),
    ("builtins", "bytearray"): (_bytearray, "bytes"),
    ("builtins", "complex"): (shaped(is_number, is_number), "number"),
    ("builtins", "set"): (shaped(_is_sequence, optional=1), "set"),
    ("builtins", "frozenset"): (shaped(_is_sequence, optional=1), "set"),
    ("_codecs", "encode"): (shaped(is_text, _is_latin1), "bytes"),
    ("torch", "Size"): (shaped(is_shape), "size"),
    ("torch", "Tensor"): (shaped(), "new-tensor"),
    ("torch", "device"): (shaped(is_device, is_int, optional=1), "device"),
    ("torch.nn.parameter", "Parameter"): (shaped(_is_tensor, is_flag, optional=1), "parameter"),
    ("torch.serialization", "_get_layout"): (shaped(_is_layout_name), "layout"),
    ("torch._tensor", "_rebuild_from_type_v2"): (_from_type, "tensor"),
    ("torch._utils", "_rebuild_tensor"): (shaped(*_V2[:4]), "tensor"),
    ("torch._utils", "_rebuild_tensor_v2"): (shaped(*_V2, is_metadata, optional=1), "tensor"),
    ("torch._utils", "_rebuild_tensor_v3"): (
        shaped(*_V2, _is_true_dtype, is_metadata, optional=1),
        "tensor",
    ),
    ("torch._utils", "_rebuild_parameter"): (_PARAMETER, "parameter"),
    ("torch._utils", "_rebuild_parameter_with_state"): (_with_state, "parameter"),
    ("torch._utils", "_rebuild_qtensor"): (
        shaped(*_V2[:4], _is_quantizer, is_flag, is_no_hooks),
        "tensor",
    ),
    ("torch._utils", "_rebuild_sparse_tensor"): (shaped(_is_layout, _is_sparse_data), "tensor"),
    ("torch._utils", "_rebuild_meta_tensor_no_storage"): (
        shaped(_is_true_dtype, is_shape, is_shape, is_flag),
        "tensor",
    ),
    ("torch._utils", "_rebuild_wrapper_subclass"): (
        shaped(
            _is_tensor_class,
            _is_true_dtype,
            is_shape,
            is_shape,
            is_int,
            _is_layout,
            is_device,
            is_flag,
        ),
        "tensor",
    ),
    ("torch._utils", "_rebuild_device_tensor_from_numpy"): (
        shaped(lambda value: is_kind(value, "ndarray"), _is_true_dtype, is_device, is_flag),
        "tensor",
    ),
    ("torch._utils", "_rebuild_device_tensor_from_cpu_tensor"): (
        shaped(_is_tensor, _is_true_dtype, is_device, is_flag),
        "tensor",
    ),
    **{
        ("torch.jit._pickle", f"build_{kind}list"): (shaped(_is_sequence), "script-list")
        for kind in ("bool", "double", "int", "tensor")
    },
    ("torch.jit._pickle", "restore_type_tag"): (shaped(_is_container, is_text), "script-list"),
    **ARRAY_CALLS,
}
"""By name: how its arguments are checked, and the kind of its result."""

MADE_NEW: Final = frozenset(
    (
        ("collections", "OrderedDict"),
        ("collections", "Counter"),
        ("torch", "Size"),
        ("torch.nn.parameter", "Parameter"),
    )
)
"""Classes that are also made with ``NEWOBJ``; the arguments are the same as of a call."""


def check_call(function: Global, arguments: Value) -> tuple[str | None, str]:
    """What is wrong with a call of a listed name (None if nothing), and what comes out."""
    known = CALLS.get(function.key)
    if known is None:
        legacy = function.name.endswith("Tensor")  # torch.FloatTensor(), to be given its state
        if legacy and arguments == ():
            return None, "new-tensor"
        return "being called at all", "object"
    check, kind = known
    if type(arguments) is not tuple:
        return "arguments that are no tuple", kind
    return check(arguments), kind


# States: what BUILD hands to ``__setstate__`` or puts into ``__dict__``.


def check_state(target: Call, state: Value) -> str | None:
    """What is wrong with building ``target`` with ``state``; None if nothing is."""
    check = _STATES.get(target.kind)
    if check is None:
        return f"a state for a {target.kind}"
    if target.built:
        return "a second state"
    if target.sealed:
        return "a state after it was used"
    return check(target, state)


def _mapping_state(target: Call, state: Value) -> str | None:
    return None if is_plain_state(state) else "a state that is not plain attributes"


def _new_tensor_state(target: Call, state: Value) -> str | None:
    """torch before 0.2: ``(storage, offset, size, stride)``."""
    if type(state) is not tuple:
        return "its state"
    return shaped(*_V2[:4])(state)


def _parameter_state(target: Call, state: Value) -> str | None:
    """torch 0.2 and 0.3: ``(requires_grad, volatile, hooks)``."""
    if type(target.function) is not Global or target.function.name != "Parameter":
        return "a state for a rebuilt parameter"
    if type(state) is not tuple:
        return "its state"
    return shaped(is_flag, is_flag, is_no_hooks)(state)


_STATES: Final[dict[str, Callable[[Call, Value], str | None]]] = {
    "mapping": _mapping_state,
    "new-tensor": _new_tensor_state,
    "parameter": _parameter_state,
    **ARRAY_STATES,
}
