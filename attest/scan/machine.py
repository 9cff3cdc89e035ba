"""The abstract stack machine: what a pickle would do, computed without doing it.

Every operation of CPython's unpickler (``Lib/pickle.py``, ``_Unpickler``) is carried out on
stand-ins (:mod:`attest.scan.values`); stack, marks and memo behave exactly as there, so that a name
reaches ``STACK_GLOBAL`` here by whatever way it does there. Judged is, as torch's ``weights_only``
unpickler does it and at least as strictly:

1. every name that is looked up: on the allow-list, unlisted, or known to be dangerous;
2. every call (``REDUCE``, ``INST``, ``OBJ``, ``NEWOBJ``, ``NEWOBJ_EX``): only of listed names, with
   arguments that picklers write;
3. every ``BUILD``: only of the few types that have a state, with a state that is data;
4. every ``APPEND(S)``, ``SETITEM(S)``, ``ADDITEMS``: only on plain containers and OrderedDict or
   Counter; on anything else they are method calls (``__setitem__``, ``extend``, ``add``);
5. persistent ids: only torch's storages; names from the extension registry: never.

Results of unlisted calls, and calls that take them, cause no further hits: what happens there is
that name's business, and the file is not clean already.

A stream that breaks is judged up to the break, since a loader executes that much. Work and memory
are bounded by :mod:`attest.limits`; nothing recurses.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from dataclasses import dataclass, field
from typing import Final

from attest.codec.pickles import HIGHEST_PROTOCOL, PickleReader
from attest.errors import MalformedInput, TooLarge
from attest.scan import arguments, danger
from attest.scan.allowlist import AllowList, Use, builtin_allow_list, is_plain_name
from attest.scan.grades import Grade, Hit
from attest.scan.kinds import is_persistent_id, is_unlisted
from attest.scan.stack import OVER_LIMIT, Stack, over
from attest.scan.values import (
    UNKNOWN,
    Call,
    DictValue,
    Global,
    Persistent,
    SetValue,
    Unknown,
    Value,
)

_ANOMALIES: Final = {"frame-mismatch": Grade.UNSCANNABLE, "odd-number": Grade.SUSPICIOUS}
"""Where readers disagree about what runs, only one of the streams was seen."""

_CHECK_EVERY: Final = 0xFFFF


@dataclass(slots=True)
class Outcome:
    """What one pickle came to.

    Attributes:
        hits: what was found, in order; those about the whole stream have no ``byte``.
        value: what the unpickler would return; None where it would not return.
        end: position behind ``STOP``; where it broke off, None.
        broken: why the stream could not be followed to ``STOP``.
        operations: how many were carried out.
        names: every (module, name) that was looked up, as written in the stream.
        storages: torch storages that it asks for: key to (class name, elements).
        acts: whether it looked up a plausible name and used it, which no text does by chance.
    """

    hits: list[Hit]
    value: Value
    end: int | None
    broken: MalformedInput | None
    operations: int
    names: frozenset[tuple[str, str]]
    storages: dict[str, tuple[str, int]]
    acts: bool


def run(reader: PickleReader, allow: AllowList, *, max_operations: int, where: str = "") -> Outcome:
    """Follow one pickle to its ``STOP``.

    Args:
        reader: at the beginning of the pickle.
        where: how to call the stream in hits; ``byte N`` is appended.

    Raises:
        Unavailable: the source cannot be read. Nothing else: what is wrong with the bytes is a hit.
    """
    machine = _Machine(where, allow=allow)
    broken: MalformedInput | None = None
    try:
        machine.follow(reader, max_operations)
    except MalformedInput as error:
        broken = error
        machine.hit(_broken_code(error), Grade.UNSCANNABLE, error.message, None)
    for odd in reader.anomalies:
        machine.hit(odd.code, _ANOMALIES[odd.code], odd.message, odd.position)
    return Outcome(
        list(machine.hits.values()),
        machine.result,
        None if broken else reader.position,
        broken,
        machine.count,
        frozenset((module, name) for module, name, _ in machine.globals),
        machine.storages,
        machine.acts,
    )


def _broken_code(error: MalformedInput) -> str:
    return OVER_LIMIT if isinstance(error, TooLarge) else "broken-pickle"


@dataclass(slots=True)
class _Machine(Stack):
    allow: AllowList = field(default_factory=builtin_allow_list)
    globals: dict[tuple[str, str, bool], Global] = field(default_factory=dict)
    storages: dict[str, tuple[str, int]] = field(default_factory=dict)
    protocol: int = 0
    start: int = 0
    count: int = 0
    result: Value = None
    acts: bool = False

    def follow(self, reader: PickleReader, max_operations: int) -> None:
        handlers = {name: (need, getattr(self, method)) for name, need, method in _HANDLERS}
        count = 0
        self.start = reader.position
        try:
            for name, argument, position in reader:
                self.position = position
                count += 1
                if count > max_operations:
                    raise over(f"the pickle has more than {max_operations} operations")
                if not count & _CHECK_EVERY:
                    self.check_size()
                if name in _PUSHED:
                    self.stack.append(argument)
                    continue
                need, handle = handlers[name]
                if len(self.stack) < need:
                    raise MalformedInput(f"{name} finds too few values (byte {position})")
                handle(argument)
        finally:
            self.count = count

    # Items.

    def append(self, _: Value) -> None:
        item = self.stack.pop()
        self._add(self._target(), [item], list)

    def appends(self, _: Value) -> None:
        items = self.pop_mark()
        self._add(self._target(), items, list)

    def setitem(self, _: Value) -> None:
        value = self.stack.pop()
        key = self.stack.pop()
        self._add(self._target(), [key, value], DictValue)

    def setitems(self, _: Value) -> None:
        items = self.pop_mark()
        self.check_pairs(items)
        self._add(self._target(), items, DictValue)

    def additems(self, _: Value) -> None:
        items = self.pop_mark()
        self._add(self._target(), items, SetValue)

    def _target(self) -> Value:
        if not self.stack:
            raise MalformedInput(f"items without a container (byte {self.position})")
        return self.stack[-1]

    def _add(self, target: Value, items: list[Value], kind: type[Value]) -> None:
        """Check 4: items go into plain containers; into other objects they are method calls."""
        if type(target) is kind:
            (target if kind is list else target.items).extend(items)
            if kind is DictValue and target.sealed:
                self._changed_late()
        elif type(target) is Call:
            self._add_to_call(target, items, kind)
        elif type(target) in (Global, Persistent):
            message = f"puts items into {_described(target)}, which calls its methods"
            self.hit("item-on-object", Grade.MALICIOUS, message, self.position, _described(target))
        elif type(target) is not Unknown:
            message = "puts items into a value that cannot hold them"
            self.hit("item-on-other", Grade.SUSPICIOUS, message, self.position)

    def _add_to_call(self, target: Call, items: list[Value], kind: type[Value]) -> None:
        if target.kind == "mapping" and kind is DictValue:
            target.items.extend(items)
            if target.sealed:
                self._changed_late()
        elif target.kind != "unlisted" and not _is_site_object(target):
            message = f"puts items into {_described(target)}, which calls its methods"
            self.hit("item-on-object", Grade.MALICIOUS, message, self.position, _described(target))

    def _changed_late(self) -> None:
        message = "changes a value after it was handed over"
        self.hit("changed-after-use", Grade.SUSPICIOUS, message, self.position)

    # Names.

    def proto(self, protocol: int) -> None:
        if protocol > HIGHEST_PROTOCOL:
            raise MalformedInput(f"protocol {protocol} is not known", code="unknown-protocol")
        if self.position != self.start:
            message = "the protocol changes inside the stream"
            self.hit("protocol-change", Grade.SUSPICIOUS, message, self.position)
        self.protocol = protocol

    def global_(self, argument: tuple[str, str]) -> None:
        self.stack.append(self._look_up(*argument))

    def stack_global(self, _: Value) -> None:
        name = self.stack.pop()
        module = self.stack.pop()
        if type(name) is str and type(module) is str:
            self.stack.append(self._look_up(module, name))
            return
        if not {type(name), type(module)}.isdisjoint((Call, Unknown, Global, Persistent)):
            message = "looks up a name that is computed while loading, so that nobody can read it"
            self.hit("unresolved-global", Grade.MALICIOUS, message, self.position)
        else:
            message = "looks up a name that is no text, or over the limit"
            self.hit("unresolved-global", Grade.SUSPICIOUS, message, self.position)
        self.stack.append(UNKNOWN)

    def extension(self, code: int) -> None:
        message = f"looks up extension {code}, whose name the stream does not show"
        self.hit("extension-code", Grade.MALICIOUS, message, self.position)
        self.stack.append(UNKNOWN)

    def _look_up(self, module: str, name: str) -> Global:
        """Check 1, once per name. Python 2 names are renamed first, as ``find_class`` does."""
        old = self.protocol < 3
        known = self.globals.get((module, name, old))
        if known is None:
            new_module, new_name = renamed(module, name)
            if not old:
                new_module, new_name = module, name
            entry = self.allow.find(new_module, new_name)
            known = self.globals[module, name, old] = Global(new_module, new_name, entry)
            if entry is None:
                self._judge(module, name, known)
            if _is_plausible(new_module, new_name) and danger.is_dangerous(new_module, new_name):
                self.acts = True
        return known

    def _judge(self, module: str, name: str, found: Global) -> None:
        """Grade an unlisted name by all that it may mean to a loader: as written, and renamed."""
        shown = _described(found)
        meanings = ((module, name), renamed(module, name))
        if any(danger.is_dangerous(*meaning) for meaning in meanings):
            self.hit(
                "dangerous-global",
                Grade.MALICIOUS,
                f"refers to {shown}, which runs code or reaches files, processes or the network",
                self.position,
                shown,
            )
        elif any(danger.is_indirect(*meaning) for meaning in meanings):
            message = f"refers to {shown}, which turns other names into calls"
            self.hit("indirect-global", Grade.SUSPICIOUS, message, self.position, shown)
        elif not is_plain_name(module, name):
            what = "goes through attributes" if "." in name else "is not what picklers write"
            message = f"refers to {shown}, a name that {what}"
            self.hit("odd-global", Grade.SUSPICIOUS, message, self.position, shown)
        else:
            message = f"refers to {shown}, which is not on the allow-list"
            self.hit("unlisted-global", Grade.UNLISTED, message, self.position, shown)

    # Calls.

    def reduce(self, _: Value) -> None:
        values = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], values)

    def inst(self, argument: tuple[str, str]) -> None:
        function = self._look_up(*argument)  # before the mark is missed, as Lib/pickle.py does
        values = self.pop_mark()
        self.stack.append(self._call(function, tuple(values)))

    def obj(self, _: Value) -> None:
        values = self.pop_mark()
        if not values:
            raise MalformedInput(f"OBJ without a class (byte {self.position})")
        self.stack.append(self._call(values[0], tuple(values[1:])))

    def newobj(self, _: Value) -> None:
        values = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], values, new=True)

    def newobj_ex(self, _: Value) -> None:
        keywords = self.stack.pop()
        values = self.stack.pop()
        plain = type(keywords) is DictValue and not keywords.items
        self.stack[-1] = self._call(self.stack[-1], values, new=True, keywords=not plain)

    def _call(
        self, function: Value, values: Value, *, new: bool = False, keywords: bool = False
    ) -> Call:
        """Check 2."""
        self.made += 3
        if type(function) is not Global:
            return self._call_other(function, values)
        self.acts = self.acts or _is_plausible(function.module, function.name)
        entry = function.entry
        if entry is None:
            return Call(function, values, "unlisted")
        if entry.site:
            wrong = "being called at all" if entry.use is Use.CONSTANT else None
            kind = "site"
        else:
            wrong, kind = arguments.check_call(function, values)
            if wrong is None and new and (keywords or function.key not in arguments.MADE_NEW):
                wrong = "being made without its constructor"
        if wrong is not None and _holds_unlisted(values):
            kind = "unlisted"
        elif wrong is not None:
            shown = _described(function)
            message = f"calls {shown} in a way that no pickler does: {wrong}"
            self.hit("unexpected-call", Grade.SUSPICIOUS, message, self.position, shown)
        return Call(function, values, kind)

    def _call_other(self, function: Value, values: Value) -> Call:
        """A call of a result, or of plain data. torch refuses it; no pickler writes it."""
        if type(function) is Unknown:
            self.acts = self.acts or type(values) is tuple
        else:
            message = f"calls {_described(function)}, which is no name"
            self.hit("call-of-value", Grade.SUSPICIOUS, message, self.position)
        return Call(function, values, "unlisted")

    def build(self, _: Value) -> None:
        """Check 3."""
        state = self.stack.pop()
        target = self.stack[-1]
        if type(target) is Global:
            message = f"changes {_described(target)} itself, for the whole process"
            self.hit("build-on-global", Grade.MALICIOUS, message, self.position, _described(target))
            self.acts = True
        elif type(target) is Call:
            if target.kind == "unlisted" or _is_site_object(target):
                wrong = None
            else:
                wrong = arguments.check_state(target, state)
            target.state, target.built = state, True
            if wrong is not None and not _holds_unlisted(state):
                message = f"gives {_described(target)} a state that no pickler gives it: {wrong}"
                self.hit("unexpected-state", Grade.SUSPICIOUS, message, self.position, message)
        elif type(target) is not Unknown:
            message = "gives a state to a value that has none"
            self.hit("unexpected-state", Grade.SUSPICIOUS, message, self.position)

    # What the stream does not hold.

    def persid(self, pid: Value) -> None:
        self.stack.append(pid)
        self._foreign_id()
        self.stack[-1] = Persistent(pid)

    def binpersid(self, _: Value) -> None:
        """Check 5."""
        self.made += 1
        pid = self.stack[-1]
        if not is_persistent_id(pid):
            self._foreign_id()
        elif type(pid) is tuple:
            self._storage(pid[1], pid[2], pid[4])
        self.stack[-1] = Persistent(pid)

    def _storage(self, storage: Global, key: str, count: int) -> None:
        asked = storage.name, count
        if self.storages.setdefault(key, asked) != asked:
            message = f"asks for storage {key} as two different things"
            self.hit("storage-conflict", Grade.SUSPICIOUS, message, self.position)

    def _foreign_id(self) -> None:
        message = "asks its loader for an object by an id that is not one of torch's storages"
        self.hit("foreign-persistent-id", Grade.UNSCANNABLE, message, self.position)

    def next_buffer(self, _: Value) -> None:
        message = "takes a buffer that is not in the stream"
        self.hit("out-of-band-buffer", Grade.UNSCANNABLE, message, self.position)
        self.stack.append(UNKNOWN)

    def stop(self, _: Value) -> None:
        self.result = self.stack.pop()
        if self.stack or self.marks:
            message = "leaves values behind on the stack"
            self.hit("leftover-values", Grade.SUSPICIOUS, message, self.position)


def renamed(module: str, name: str) -> tuple[str, str]:
    """What CPython imports for a name of protocol 0 to 2 (``_compat_pickle``)."""
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def _is_plausible(module: str, name: str) -> bool:
    """Whether a loader could find this name: plain, or through attributes (from protocol 4 on)."""
    return all(is_plain_name(module, part) for part in name.split("."))


def _is_site_object(target: Call) -> bool:
    """An instance of a class that a site answers for, methods included."""
    function = target.function
    if target.kind != "site" or type(function) is not Global or function.entry is None:
        return False
    return function.entry.use is Use.CLASS


def _holds_unlisted(values: Value) -> bool:
    """Whether something unlisted is among them: then that is why they are not as expected."""
    return type(values) is tuple and any(is_unlisted(value) for value in values[:64])


def _described(value: Value) -> str:
    """A value in a message: printable, short, and never its content."""
    if type(value) is Global:
        return ascii(f"{value.module}.{value.name}"[:200])[1:-1]
    if type(value) is Call:
        inner = value.function
        return f"the result of {_described(inner)}" if type(inner) is Global else "a result"
    if type(value) is Persistent:
        return "an object from the loader"
    return "plain data"


_PUSHED: Final = frozenset(
    """BININT BININT1 BININT2 INT LONG LONG1 LONG4 FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING
    UNICODE BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8
    """.split()  # noqa: SIM905
)
"""Operations whose argument goes on the stack as it is."""

_HANDLERS: Final = (
    ("PROTO", 0, "proto"),
    ("FRAME", 0, "do_nothing"),
    ("MARK", 0, "mark"),
    ("POP", 0, "pop"),
    ("POP_MARK", 0, "pop_mark"),
    ("DUP", 1, "dup"),
    ("GET", 0, "get"),
    ("BINGET", 0, "get"),
    ("LONG_BINGET", 0, "get"),
    ("PUT", 1, "put"),
    ("BINPUT", 1, "put"),
    ("LONG_BINPUT", 1, "put"),
    ("MEMOIZE", 1, "memoize"),
    ("NONE", 0, "none"),
    ("NEWTRUE", 0, "true"),
    ("NEWFALSE", 0, "false"),
    ("EMPTY_TUPLE", 0, "empty_tuple"),
    ("EMPTY_LIST", 0, "empty_list"),
    ("EMPTY_DICT", 0, "empty_dict"),
    ("EMPTY_SET", 0, "empty_set"),
    ("TUPLE", 0, "tuple_of_mark"),
    ("TUPLE1", 1, "tuple1"),
    ("TUPLE2", 2, "tuple2"),
    ("TUPLE3", 3, "tuple3"),
    ("LIST", 0, "list_of_mark"),
    ("DICT", 0, "dict_of_mark"),
    ("FROZENSET", 0, "frozenset_of_mark"),
    ("APPEND", 2, "append"),
    ("APPENDS", 0, "appends"),
    ("SETITEM", 3, "setitem"),
    ("SETITEMS", 0, "setitems"),
    ("ADDITEMS", 0, "additems"),
    ("GLOBAL", 0, "global_"),
    ("STACK_GLOBAL", 2, "stack_global"),
    ("EXT1", 0, "extension"),
    ("EXT2", 0, "extension"),
    ("EXT4", 0, "extension"),
    ("REDUCE", 2, "reduce"),
    ("INST", 0, "inst"),
    ("OBJ", 0, "obj"),
    ("NEWOBJ", 2, "newobj"),
    ("NEWOBJ_EX", 3, "newobj_ex"),
    ("BUILD", 2, "build"),
    ("PERSID", 0, "persid"),
    ("BINPERSID", 1, "binpersid"),
    ("NEXT_BUFFER", 0, "next_buffer"),
    ("READONLY_BUFFER", 1, "do_nothing"),
    ("STOP", 1, "stop"),
)
"""Name, how many values it needs above the last mark, method."""
