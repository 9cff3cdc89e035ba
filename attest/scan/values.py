"""What the abstract stack machine computes with: stand-ins for the objects a pickle would make.

Plain data stands for itself: ``None``, numbers, ``str``, ``bytes`` (also for ``bytearray``), tuples
and lists of values, :class:`attest.codec.pickles.Blob` for strings that were not read. The rest are
the classes below. Nothing here hashes, compares or prints a value, so that no structure, however
deep, shared or cyclic, costs more than its size.
"""

from __future__ import annotations

from typing import Any, Final

from attest.scan.allowlist import Entry

Value = Any
"""One of the above. ``Any``, because the file decides which."""


class Global:
    """A name that was looked up: a class, a function, or whatever else its module holds.

    Attributes:
        module, name: after the renames of Python 2 (what would be imported).
        entry: its line of the allow-list; None when it is not on it.
    """

    __slots__ = ("entry", "module", "name")

    def __init__(self, module: str, name: str, entry: Entry | None) -> None:
        self.module = module
        self.name = name
        self.entry = entry

    @property
    def key(self) -> tuple[str, str]:
        return self.module, self.name


class Call:
    """The result of a call or of ``cls.__new__``.

    Attributes:
        function: what was called; a :class:`Global` in every benign pickle.
        arguments: the positional ones, as one value (a tuple in every benign pickle).
        kind: what comes out, e.g. ``tensor``, ``dtype``; ``unlisted`` for what nobody reviewed.
        items: what was put into it by key, alternating; for mappings.
        state: what it was built with, and ``built``, whether it was.
        sealed: used where a later change would escape the check that was made of it.
    """

    __slots__ = ("arguments", "built", "function", "items", "kind", "sealed", "state")

    def __init__(self, function: Value, arguments: Value, kind: str) -> None:
        self.function = function
        self.arguments = arguments
        self.kind = kind
        self.items: list[Value] = []
        self.state: Value = None
        self.built = False
        self.sealed = False


class DictValue:
    """A dict: keys and values in turn, in the order they were put in. ``sealed`` as in Call.

    ``checked`` is what a check of the sealed dict came to: it may be handed over a million times.
    """

    __slots__ = ("checked", "items", "sealed")

    def __init__(self, items: list[Value]) -> None:
        self.items = items
        self.sealed = False
        self.checked: Value = None

    def pairs(self) -> list[tuple[Value, Value]]:
        return list(zip(self.items[::2], self.items[1::2], strict=True))


class SetValue:
    """A set or frozenset."""

    __slots__ = ("items",)

    def __init__(self, items: list[Value]) -> None:
        self.items = items


class Persistent:
    """An object that the loader fetches from elsewhere, by an id. torch: one storage."""

    __slots__ = ("pid",)

    def __init__(self, pid: Value) -> None:
        self.pid = pid


class Unknown:
    """A value that the stream does not show (extension registry, out-of-band buffer)."""

    __slots__ = ()


UNKNOWN: Final = Unknown()
