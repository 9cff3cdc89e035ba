"""A small assembler for pickle streams, and CPython's own unpickler with its teeth drawn.

The streams that tests make here are never loaded for real: :class:`Harmless` answers every name
with the same inert class, and imports nothing.
"""

from __future__ import annotations

import contextlib
import io
import pickle
import struct
import warnings


def text(value: str) -> bytes:
    raw = value.encode("utf-8", "surrogatepass")
    return b"X" + struct.pack("<I", len(raw)) + raw


def name(module: str, attribute: str) -> bytes:
    """GLOBAL."""
    return b"c" + f"{module}\n{attribute}\n".encode()


def stack_name(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    """REDUCE with these arguments."""
    return function + b"(" + b"".join(arguments) + b"tR"


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def stream(*parts: bytes, protocol: int = 2) -> bytes:
    return b"\x80" + bytes((protocol,)) + b"".join(parts) + b"."


def ordered_dict() -> bytes:
    return name("collections", "OrderedDict") + b")R"


def storage_id(key: str = "0", kind: str = "FloatStorage", count: int = 4) -> bytes:
    return (
        b"("
        + text("storage")
        + name("torch", kind)
        + text(key)
        + text("cpu")
        + number(count)
        + b"t"
    )


def storage(key: str = "0", kind: str = "FloatStorage", count: int = 4) -> bytes:
    return storage_id(key, kind, count) + b"Q"


def shape(*sizes: int) -> bytes:
    return b"(" + b"".join(map(number, sizes)) + b"t"


def tensor(key: str = "0", kind: str = "FloatStorage", hooks: bytes | None = None) -> bytes:
    return call(
        name("torch._utils", "_rebuild_tensor_v2"),
        storage(key, kind),
        number(0),
        shape(2, 2),
        shape(2, 1),
        b"\x89",
        ordered_dict() if hooks is None else hooks,
    )


def dtype(code: str, *state: bytes) -> bytes:
    """``numpy.dtype(code, False, True)``, with a state if one is given."""
    made = call(name("numpy", "dtype"), text(code), b"\x89", b"\x88")
    return made + b"(" + b"".join(state) + b"tb" if state else made


def simple_state(
    order: str = "<", size: int = -1, alignment: int = -1, flags: int = 0
) -> tuple[bytes, ...]:
    parts = (number(3), text(order), b"N", b"N", b"N")
    return (*parts, number(size), number(alignment), number(flags))


class Inert:
    """Anything at all: takes every call and every item, and does nothing."""

    def __new__(cls, *_, **__):
        return object.__new__(cls)

    def __init__(self, *_, **__):
        self.seen = None

    def __call__(self, *_, **__):
        return Inert()

    def __setstate__(self, _):
        pass

    def __setitem__(self, _, __):
        pass

    def append(self, _):
        pass

    def extend(self, _):
        pass

    def add(self, _):
        pass


class Harmless(pickle.Unpickler):
    """The C unpickler, which records the names it is asked for, and gets none of them."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self.names: list[tuple[str, str]] = []

    def find_class(self, module, attribute):
        self.names.append((module, attribute))
        return Inert

    def persistent_load(self, _):
        return Inert()


class HarmlessPython(pickle._Unpickler):
    """The same in Python, whose frames behave differently."""

    def __init__(self, data: bytes):
        super().__init__(io.BytesIO(data))
        self.names: list[tuple[str, str]] = []

    find_class = Harmless.find_class
    persistent_load = Harmless.persistent_load


_ENDINGS = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)


def names_asked_for(data: bytes, unpickler: type = Harmless) -> list[tuple[str, str]]:
    """Which names an unpickler looks up before it ends or breaks, with everything inert.

    For streams made by tests only. Those with huge memo indices must not come here: CPython
    allocates an array of that size.
    """
    follower = unpickler(data)
    with contextlib.suppress(*_ENDINGS), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in strings
        follower.load()
    return follower.names
