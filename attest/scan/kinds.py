"""What an abstract value is: the predicates from which argument checks are made.

Nothing here trusts a type: every value is what the file said. Each predicate looks at a few values
near the top; whatever lies deeper was checked when it was made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from attest.codec.pickles import Blob
from attest.scan.allowlist import Use
from attest.scan.values import Call, DictValue, Global, Persistent, Value

Checker = Callable[[tuple[Value, ...]], str | None]
"""Takes the arguments of a call; returns what is wrong as a phrase for the message, or None."""

_DEVICE: Final = re.compile(r"[a-z_0-9]{1,32}(?::[0-9]{1,5})?", re.ASCII)
_STORAGE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_MAX_DIMENSIONS: Final = 64
_MAX_STATE: Final = 4096
"""Entries of an object's ``__dict__`` that are looked at."""


def is_text(value: Value) -> bool:
    return type(value) is str or (type(value) is Blob and value.kind == "text")


def is_bytes(value: Value) -> bool:
    """Bytes, or the call that makes bytes in protocols 0 to 2."""
    return (
        type(value) is bytes
        or (type(value) is Blob and value.kind == "bytes")
        or (type(value) is Call and value.kind == "bytes")
    )


def is_int(value: Value) -> bool:
    return type(value) is int


def is_flag(value: Value) -> bool:
    """A truth value; ``0`` and ``1`` in old pickles."""
    return type(value) is bool or (type(value) is int and value in (0, 1))


def is_number(value: Value) -> bool:
    return type(value) in (int, float, bool) or (type(value) is Blob and value.kind == "number")


def is_shape(value: Value) -> bool:
    """A tuple of integers, or ``torch.Size`` of one."""
    if type(value) is Call:
        return value.kind == "size"
    short = type(value) is tuple and len(value) <= _MAX_DIMENSIONS
    return short and all(type(item) is int for item in value)


def is_kind(value: Value, *kinds: str) -> bool:
    """A result of one of these kinds; what a site lists may stand in for any."""
    return type(value) is Call and (value.kind in kinds or value.kind == "site")


def is_unlisted(value: Value) -> bool:
    """A name that nobody reviewed, or what came out of it."""
    if type(value) is Call:
        return value.kind == "unlisted"
    return type(value) is Global and value.entry is None


def is_storage(value: Value) -> bool:
    return type(value) is Persistent


def is_constant(value: Value, module: str = "torch") -> bool:
    return (
        type(value) is Global
        and value.entry is not None
        and value.entry.use is Use.CONSTANT
        and value.module == module
    )


def is_device(value: Value) -> bool:
    if type(value) is str:
        return _DEVICE.fullmatch(value) is not None
    return is_kind(value, "device")


def is_no_hooks(value: Value) -> bool:
    """None, or an empty OrderedDict that is never filled: hooks are calls that wait."""
    if value is None:
        return True
    if type(value) is Call and value.kind == "mapping" and not value.items and not value.arguments:
        value.sealed = True
        return not value.built
    if type(value) is DictValue and not value.items:
        value.sealed = True
        return True
    return False


def is_plain_state(value: Value) -> bool:
    """A dict of attributes that are data: no special names, no hooks, no functions."""
    if type(value) is not DictValue or len(value.items) > 2 * _MAX_STATE:
        return False
    value.sealed = True
    if type(value.checked) is not bool:
        value.checked = all(_is_plain_attribute(key, item) for key, item in value.pairs())
    return value.checked


def _is_plain_attribute(key: Value, value: Value) -> bool:
    if type(key) is not str or key.startswith("__") or "hook" in key:
        return False
    return type(value) is not Global or (
        value.entry is not None and value.entry.use is Use.CONSTANT
    )


def is_metadata(value: Value) -> bool:
    """torch's tensor metadata: None, or a few text keys with truth values."""
    if value is None:
        return True
    return (
        type(value) is DictValue
        and len(value.items) <= 16
        and all(type(key) is str and type(item) is bool for key, item in value.pairs())
    )


def is_persistent_id(pid: Value) -> bool:
    """What torch takes for a storage: ``("storage", type, key, location, numel, [view])``, or the
    number of a storage in its oldest format."""
    if type(pid) is int:
        return True
    if type(pid) is not tuple or len(pid) not in (5, 6):
        return False
    kind, storage, key, location, count = pid[:5]
    return (
        kind in ("storage", b"storage")
        and type(storage) is Global
        and storage.entry is not None
        and storage.name.endswith("Storage")
        and type(key) is str
        and _STORAGE_KEY.fullmatch(key) is not None
        and is_device(location)
        and type(count) is int
        and count >= 0
        and (len(pid) == 5 or _is_view(pid[5]))
    )


def _is_view(view: Value) -> bool:
    return view is None or (
        type(view) is tuple
        and len(view) == 3
        and type(view[0]) is str
        and all(type(item) is int for item in view[1:])
    )


def shaped(*tests: Callable[[Value], bool], optional: int = 0) -> Checker:
    """Positional arguments of these shapes; the last ``optional`` ones may be left out."""

    def check(arguments: tuple[Value, ...]) -> str | None:
        if not len(tests) - optional <= len(arguments) <= len(tests):
            return f"{len(arguments)} arguments"
        for number, (test, value) in enumerate(zip(tests, arguments, strict=False), start=1):
            if not test(value):
                return f"argument {number}"
        return None

    return check
