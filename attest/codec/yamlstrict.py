"""YAML without constructors: a stream of events, and plain data made from them.

Nothing here builds an object that a tag names. PyYAML's parser (libyaml where it is built in) turns
text into events; it keeps a stack of its own, so nesting costs no recursion, and it stops as soon
as a bound is passed. Whoever wrote the document controls every byte.

:func:`load` reads *plain* documents: the YAML 1.2 core schema (``null``, booleans, integers,
fractions, text), lists and objects. It refuses what makes two readers disagree or a small document
large: other tags, anchors and aliases, duplicate or non-scalar keys, several documents. Dates,
``yes``/``no`` and ``12:30`` stay text, as in YAML 1.2 (YAML 1.1 readers, PyYAML's loaders among
them, turn Norway's ``no`` into a boolean).

:func:`inspect` is for the scanner: what tags are used where, whichever loader they are for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from attest import limits
from attest.errors import MalformedInput, TooLarge, Truncated

if TYPE_CHECKING:
    import yaml

_CORE: Final = "tag:yaml.org,2002:"
_PLAIN_TAGS: Final = frozenset(_CORE + name for name in ("str", "int", "float", "bool", "null"))
_COLLECTION_TAGS: Final = frozenset({_CORE + "seq", _CORE + "map", "!"})
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,20}|0o[0-7]{1,22}|0x[0-9a-fA-F]{1,16}", re.ASCII)
_FRACTION: Final = re.compile(
    r"[-+]?(?:\.[0-9]{1,40}|[0-9]{1,40}(?:\.[0-9]{0,40})?)(?:[eE][-+]?[0-9]{1,3})?", re.ASCII
)
_OPENING: Final = re.compile(rb"---[ \t]*\r?\n")
_CLOSING: Final = re.compile(rb"\n---[ \t]*\r?(?:\n|\Z)")
_DIRECTIVE: Final = re.compile(r"^%[^\r\n\x85\u2028\u2029]*", re.MULTILINE)
_MAX_DIRECTIVES: Final = 64
_MAX_DIRECTIVE_LENGTH: Final = 512
_BOM: Final = b"\xef\xbb\xbf"
_MAX_FRONT_MATTER_BYTES: Final = limits.MIB
_CLASS_KEYS: Final = frozenset({"target", "class_path"})
_MAX_TAGS: Final = 10_000
_MAX_TAG_LENGTH: Final = 1024


@dataclass(frozen=True, slots=True)
class YamlFacts:
    """What stands in a YAML stream.

    Attributes:
        tags: (line, resolved tag) of every explicit tag, in order, lines from 1; at most 10 000 of
            1 024 characters. ``!!x`` resolves to ``tag:yaml.org,2002:x``.
        targets: (line, text) of the values of keys ``_target_``: the callables that Hydra calls.
        classes: likewise of the keys ``target`` and ``class_path``, whose values are callables to
            some loaders (latent diffusion, jsonargparse) and plain text to all others.
        documents: how many.
        expanded: nodes of the stream once aliases are followed, at most ``MAX_YAML_EXPANSION``.
    """

    tags: tuple[tuple[int, str], ...]
    targets: tuple[tuple[int, str], ...]
    classes: tuple[tuple[int, str], ...]
    documents: int
    expanded: int


def tags(data: bytes, *, what: str = "YAML") -> list[tuple[int, str]]:
    """Every explicit tag with its line; see :func:`inspect`.

    Raises:
        TooLarge, MalformedInput.
    """
    return list(inspect(data, what=what).tags)


def inspect(data: bytes, *, what: str = "YAML") -> YamlFacts:
    """Look through all documents of a YAML stream, whatever its tags mean to whom.

    Raises:
        TooLarge: over ``MAX_YAML_BYTES``, ``MAX_YAML_EVENTS``, or ``_MAX_TAGS``.
        MalformedInput: not UTF-8, not YAML, nested deeper than ``MAX_YAML_DEPTH``.
    """
    watch = _Watch()
    for event in _events(data, what, limits.MAX_YAML_BYTES):
        watch.take(event, what)
    return YamlFacts(
        tuple(watch.tags),
        tuple(watch.targets),
        tuple(watch.classes),
        watch.documents,
        watch.expanded,
    )


def load(data: bytes, *, what: str, max_bytes: int = limits.MAX_YAML_BYTES) -> Any:
    """The plain data of one document; see the module for what is refused.

    Returns:
        None, bool, int, float, str, list or dict (keys as written: always text).

    Raises:
        TooLarge, MalformedInput.
    """
    builder = _Builder(what)
    for event in _events(data, what, max_bytes):
        builder.take(event)
    return builder.root


def front_matter(readme: bytes) -> dict[str, Any]:
    """The metadata block at the top of a README, between two lines ``---``; ``{}`` without one.

    Raises:
        Truncated: the block is not closed.
        TooLarge, MalformedInput.
    """
    return split_front_matter(readme)[0]


def split_front_matter(readme: bytes) -> tuple[dict[str, Any], int]:
    """Like :func:`front_matter`, and the offset in bytes where the text begins."""
    start = len(_BOM) if readme.startswith(_BOM) else 0
    opened = _OPENING.match(readme, start)
    if opened is None:
        return {}, start
    closed = _CLOSING.search(readme, opened.end() - 1)
    if closed is None:
        raise Truncated("the front matter has no closing line '---'", code="front-matter-open")
    block = readme[opened.end() : closed.start() + 1]
    value = load(block, what="front matter", max_bytes=_MAX_FRONT_MATTER_BYTES)
    if value is not None and not isinstance(value, dict):
        raise MalformedInput("the front matter is not a mapping", code="wrong-type")
    return value or {}, closed.end()


def _events(data: bytes, what: str, most: int) -> Iterator[yaml.Event]:
    """Parser events, bounded in number and depth.

    PyYAML would also guess UTF-16; a reader that does not guess would see another document.
    """
    if len(data) > most:
        raise TooLarge(f"{what} has {len(data)} bytes; at most {most} are read")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise MalformedInput(f"{what} is not UTF-8 (byte {error.start})", code="not-utf8") from None
    _check_directives(text, what)
    import yaml

    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    try:
        for count, event in enumerate(yaml.parse(text, Loader=loader)):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if depth > limits.MAX_YAML_DEPTH:
                raise MalformedInput(
                    f"{what} is nested more than {limits.MAX_YAML_DEPTH} levels deep",
                    code="nested-too-deep",
                )
            if count > limits.MAX_YAML_EVENTS:
                raise TooLarge(f"{what} has more than {limits.MAX_YAML_EVENTS} nodes")
            yield event
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}" if mark is not None else ""
        raise MalformedInput(f"{what} is not YAML{place}", code="malformed-yaml") from None


def _check_directives(text: str, what: str) -> None:
    """Few and short: the parser searches all of them for each, and a tag is its prefix's length."""
    for count, found in enumerate(_DIRECTIVE.finditer(text), 1):
        if count > _MAX_DIRECTIVES or found.end() - found.start() > _MAX_DIRECTIVE_LENGTH:
            raise TooLarge(f"{what} has too many or too long directives")


@dataclass(slots=True)
class _Frame:
    """An open collection while it is counted."""

    anchor: str | None
    mapping: bool
    nodes: int = 1
    children: int = 0
    key: str | None = None


@dataclass(slots=True)
class _Watch:
    """Collects :class:`YamlFacts` from events."""

    tags: list[tuple[int, str]] = field(default_factory=list)
    targets: list[tuple[int, str]] = field(default_factory=list)
    classes: list[tuple[int, str]] = field(default_factory=list)
    documents: int = 0
    expanded: int = 0
    _open: list[_Frame] = field(default_factory=list)
    _sizes: dict[str, int] = field(default_factory=dict)

    def take(self, event: yaml.Event, what: str) -> None:
        import yaml

        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            self._sizes.clear()
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._sizes.get(event.anchor or "", 1), None)
        elif isinstance(event, yaml.ScalarEvent):
            self._tag(line, event.tag, what)
            if event.anchor:
                self._sizes[event.anchor] = 1
            self._scalar(line, event.value)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._tag(line, event.tag, what)
            self._open.append(_Frame(event.anchor, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            frame = self._open.pop()
            if frame.anchor:
                self._sizes[frame.anchor] = frame.nodes
            self._add(frame.nodes, None)

    def _tag(self, line: int, tag: str | None, what: str) -> None:
        if tag is None:
            return
        if len(self.tags) == _MAX_TAGS:
            raise TooLarge(f"{what} has more than {_MAX_TAGS} tags")
        self.tags.append((line, tag[:_MAX_TAG_LENGTH]))

    def _scalar(self, line: int, value: str) -> None:
        parent = self._open[-1] if self._open else None
        if parent and parent.mapping and parent.children % 2:
            if parent.key == "_target_":
                self.targets.append((line, value))
            elif parent.key in _CLASS_KEYS and "." in value:
                self.classes.append((line, value))
        self._add(1, value)

    def _add(self, nodes: int, key: str | None) -> None:
        """Count a finished node into what holds it."""
        if not self._open:
            self.expanded = min(self.expanded + nodes, limits.MAX_YAML_EXPANSION)
            return
        parent = self._open[-1]
        parent.nodes = min(parent.nodes + nodes, limits.MAX_YAML_EXPANSION)
        parent.key = key if parent.children % 2 == 0 else None
        parent.children += 1


class _Builder:
    """Plain data from events, without recursion."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._open: list[list[Any] | dict[str, Any]] = []
        self._keys: list[str | None] = []
        self._documents = 0
        self.root: Any = None

    def take(self, event: yaml.Event) -> None:
        import yaml

        line = event.start_mark.line + 1 if event.start_mark else 0
        if isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise self._refuse(line, "has a second document", "several-documents")
        elif isinstance(event, yaml.AliasEvent):
            raise self._refuse(line, "has an alias", "yaml-alias")
        elif isinstance(event, yaml.ScalarEvent):
            self._anchor(line, event.anchor)
            self._scalar(line, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            self._anchor(line, event.anchor)
            if event.tag is not None and event.tag not in _COLLECTION_TAGS:
                raise self._refuse(line, f"has the tag {event.tag[:60]!r}", "yaml-tag")
            self._start(line, {} if isinstance(event, yaml.MappingStartEvent) else [])
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()
            self._keys.pop()

    def _anchor(self, line: int, anchor: str | None) -> None:
        if anchor is not None:
            raise self._refuse(line, "has an anchor", "yaml-alias")

    def _start(self, line: int, made: list[Any] | dict[str, Any]) -> None:
        self._place(line, made)
        self._open.append(made)
        self._keys.append(None)

    def _scalar(self, line: int, event: yaml.ScalarEvent) -> None:
        tag = event.tag
        if tag is not None and tag not in _PLAIN_TAGS and tag != "!":
            raise self._refuse(line, f"has the tag {tag[:60]!r}", "yaml-tag")
        if self._open and isinstance(self._open[-1], dict) and self._keys[-1] is None:
            if event.value in self._open[-1]:
                raise self._refuse(line, f"has {event.value[:60]!r} twice", "duplicate-key")
            self._keys[-1] = event.value
            return
        plain = event.implicit[0] and tag is None
        self._place(line, _resolve(event.value) if plain else self._tagged(line, tag, event.value))

    def _tagged(self, line: int, tag: str | None, value: str) -> Any:
        if tag is None or tag in ("!", _CORE + "str"):
            return value
        resolved = _resolve(value)
        kinds = {"int": int, "float": (float, int), "bool": bool, "null": type(None)}
        kind: Any = kinds[tag.removeprefix(_CORE)]
        if not isinstance(resolved, kind) or (isinstance(resolved, bool) and kind is not bool):
            raise self._refuse(line, f"has {value[:40]!r}, which its tag does not fit", "yaml-tag")
        return resolved

    def _place(self, line: int, value: Any) -> None:
        if not self._open:
            self.root = value
            return
        holder = self._open[-1]
        if isinstance(holder, list):
            holder.append(value)
            return
        key = self._keys[-1]
        if key is None:
            raise self._refuse(line, "has a key that is no text", "yaml-key")
        holder[key] = value
        self._keys[-1] = None

    def _refuse(self, line: int, message: str, code: str) -> MalformedInput:
        return MalformedInput(f"{self._what} {message} (line {line})", code=code)


def _resolve(value: str) -> Any:
    """A plain scalar in the core schema of YAML 1.2; infinities and NaN stay text."""
    if value in _NULL:
        return None
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    if _INTEGER.fullmatch(value):
        return int(value, 0 if value[:2] in ("0o", "0x") else 10)
    if _FRACTION.fullmatch(value):
        number = float(value)
        return number if math.isfinite(number) else value
    return value
