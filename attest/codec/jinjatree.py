"""The facts of a template's syntax tree: :mod:`attest.codec.jinja`.

The tree is walked with an explicit stack: chains of ``+`` and ``.x`` make it as deep as the
template is long.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from attest.codec.jinjafold import Constants

if TYPE_CHECKING:
    from jinja2 import nodes

TEXT_ATTRIBUTES: Final = frozenset(
    {"content", "text", "prompt", "query", "question", "instruction", "input", "message"}
)
"""Where conversations keep what people wrote."""

CLOCK: Final = "strftime_now"
"""The function that gives templates the date."""

_SEARCHES: Final = frozenset(
    {"startswith", "endswith", "find", "rfind", "index", "rindex", "count", "replace",
     "removeprefix", "removesuffix"}
)  # fmt: skip
_ATTRIBUTE_FILTERS: Final = frozenset(
    {"attr", "map", "selectattr", "rejectattr", "groupby", "sort", "sum", "unique", "min", "max",
     "join"}
)  # fmt: skip
_CONVERSATIONS: Final = frozenset({"messages", "message", "conversation", "history"})
_TO_TEXT: Final = frozenset({"string", "tojson", "to_json", "join", "pprint"})
"""What makes one text of a message, or of all of them."""

_PASSES: Final = 4


class Use(NamedTuple):
    """A name or text, and the line where it is first used."""

    name: str
    line: int


class TemplateCall(NamedTuple):
    """Something that is called.

    Attributes:
        kind: ``name`` (``f()``), ``method`` (``x.f()``) or ``computed`` (anything else).
        name: of the function or method; empty if computed.
        line: where, from 1.
        form: the constant text whose method ``format`` is called; None for everything else.
    """

    kind: str
    name: str
    line: int
    form: str | None = None


@dataclass(frozen=True, slots=True)
class TemplateFacts:
    """What a template does. Each use is listed once, with its first line.

    Attributes:
        names: variables that are read.
        assigned: variables that are set, looped over or taken as arguments.
        macros: functions that the template defines.
        attributes: attribute names, constant keys (Jinja tries both for either), and names given to
            filters that look attributes up, dotted ones in parts.
        computed_keys: lines of subscripts whose key is text built at run time.
        calls: what is called.
        held_functions: names in ``attributes`` or subscripted that are called elsewhere: functions
            that are looked into instead.
        filters, tests: by name.
        statements: ``include``, ``import``, ``extends``.
        strings: constant texts in expressions, and what is built from constants only.
        compared: constants that the text of a message is compared with, searched for or replaced.
        clock: lines that compare the date.
        literal_text: the text outside tags, joined.
    """

    names: tuple[Use, ...]
    assigned: frozenset[str]
    macros: frozenset[str]
    attributes: tuple[Use, ...]
    computed_keys: tuple[int, ...]
    calls: tuple[TemplateCall, ...]
    held_functions: tuple[Use, ...]
    filters: tuple[Use, ...]
    tests: tuple[Use, ...]
    statements: tuple[Use, ...]
    strings: tuple[Use, ...]
    compared: tuple[Use, ...]
    clock: tuple[int, ...]
    literal_text: str


def facts_of(tree: nodes.Node) -> TemplateFacts:
    """The facts of one parsed template."""
    return _Facts(tree).finish()


def _post_order(tree: nodes.Node) -> list[nodes.Node]:
    """Every node after its children, without recursion."""
    order: list[nodes.Node] = []
    open_nodes = [tree]
    while open_nodes:
        node = open_nodes.pop()
        order.append(node)
        open_nodes.extend(node.iter_child_nodes())
    order.reverse()
    return order


@dataclass(slots=True)
class _Seen:
    """Names and texts with the first line of each."""

    lines: dict[str, int] = field(default_factory=dict)

    def add(self, name: str, line: int) -> None:
        self.lines[name] = min(line, self.lines.get(name, line))

    def uses(self) -> tuple[Use, ...]:
        return tuple(Use(name, line) for name, line in self.lines.items())


class _Facts:
    """One walk over a tree. ``_text`` and ``_clock`` hold ids of nodes that carry either."""

    def __init__(self, tree: nodes.Node) -> None:
        from jinja2 import nodes

        self.n = nodes
        self.order = _post_order(tree)
        constants = Constants(self.order)
        self.folded = constants.texts
        self.built = constants.built
        self.text: set[int] = set()
        self.clock: set[int] = set()
        self.text_names = {"content", "text", "prompt", "user_message", "system_message"}
        self.clock_names: set[str] = set()
        self.built_names: set[str] = set()
        self.assigned: set[str] = set()
        self.macros: set[str] = set()
        self.macro_nodes = {node.name: node for node in self.order if isinstance(node, nodes.Macro)}
        self.called: set[int] = set()
        self.seen = {
            kind: _Seen()
            for kind in (
                "names", "attributes", "held", "filters", "tests", "statements", "strings",
                "compared",
            )
        }  # fmt: skip
        self.calls: dict[tuple[str, str, str | None], TemplateCall] = {}
        self.computed_keys: set[int] = set()
        self.clock_lines: set[int] = set()
        self.literal: list[str] = []

    def finish(self) -> TemplateFacts:
        self._follow_assignments()
        for node in self.order:
            self._note(node)
        uses = {kind: seen.uses() for kind, seen in self.seen.items()}
        return TemplateFacts(
            names=uses["names"],
            assigned=frozenset(self.assigned),
            macros=frozenset(self.macros),
            attributes=uses["attributes"],
            computed_keys=tuple(sorted(self.computed_keys)),
            calls=tuple(self.calls.values()),
            held_functions=uses["held"],
            filters=uses["filters"],
            tests=uses["tests"],
            statements=uses["statements"],
            strings=uses["strings"],
            compared=uses["compared"],
            clock=tuple(sorted(self.clock_lines)),
            literal_text="".join(self.literal),
        )

    # What variables carry

    def _follow_assignments(self) -> None:
        """Spread "text of a message", "date" and "built text" over variables, a few times over."""
        pairs = [pair for node in self.order for pair in self._assignments(node)]
        for node in self.order:
            if isinstance(node, self.n.AssignBlock):  # text, put together from what it encloses
                self.built_names.update(_targets(self.n, node.target))
        for _ in range(_PASSES):
            for node in self.order:
                self._carry(node)
            before = len(self.text_names) + len(self.clock_names) + len(self.built_names)
            for name, value in pairs:
                self._spread(name, value)
            if before == len(self.text_names) + len(self.clock_names) + len(self.built_names):
                return

    def _spread(self, name: str, value: nodes.Node) -> None:
        if id(value) in self.text:
            self.text_names.add(name)
        if id(value) in self.clock:
            self.clock_names.add(name)
        if id(value) in self.built:
            self.built_names.add(name)

    def _assignments(self, node: nodes.Node) -> Iterator[tuple[str, nodes.Node]]:
        n = self.n
        if isinstance(node, n.Assign):
            yield from ((name, node.node) for name in _targets(n, node.target))
        elif isinstance(node, n.AssignBlock):
            yield from ((name, part) for name in _targets(n, node.target) for part in node.body)
        elif isinstance(node, n.For):
            yield from ((name, node.iter) for name in _targets(n, node.target))
        elif isinstance(node, n.Call):
            macro = self.macro_nodes.get(getattr(node.node, "name", ""))
            if macro is not None:
                yield from (
                    (argument.name, value)
                    for argument, value in zip(macro.args, node.args, strict=False)
                )
        elif isinstance(node, n.With):
            for target, value in zip(node.targets, node.values, strict=False):
                yield from ((name, value) for name in _targets(n, target))

    def _carry(self, node: nodes.Node) -> None:
        """Whether ``node`` is text of a message or a date, from what its children are."""
        n = self.n
        key: object = None
        sources: list[nodes.Node] = []
        if isinstance(node, n.Name):
            if node.name in self.text_names:
                self.text.add(id(node))
            if node.name in self.clock_names:
                self.clock.add(id(node))
        elif isinstance(node, n.Getattr):
            key = node.attr
            if node.attr in self.text_names and isinstance(node.node, n.Name):
                self.text.add(id(node))  # an attribute of a namespace
        elif isinstance(node, n.Getitem):
            key = self.folded.get(id(node.arg))
            sources = [] if key is not None else [node.node]
        elif isinstance(node, n.Filter):
            sources = [node.node] if node.node is not None else []
            if node.name == "map":
                key = next((self.folded.get(id(pair.value)) for pair in node.kwargs), None)
            elif node.name in _TO_TEXT and isinstance(node.node, n.Name):
                key = "content" if node.node.name in _CONVERSATIONS else None
        elif isinstance(node, n.Call):
            if isinstance(node.node, n.Name) and node.node.name == CLOCK:
                self.clock.add(id(node))
            if isinstance(node.node, n.Getattr):
                sources = [node.node.node]
        elif isinstance(node, n.BinExpr):
            sources = [node.left, node.right]
        elif isinstance(node, n.Concat | n.Output):
            sources = list(node.nodes)
        elif isinstance(node, n.CondExpr):
            sources = [part for part in (node.expr1, node.expr2) if part is not None]
        if key in TEXT_ATTRIBUTES or any(id(part) in self.text for part in sources):
            self.text.add(id(node))
        if any(id(part) in self.clock for part in sources):
            self.clock.add(id(node))

    # Facts

    def _note(self, node: nodes.Node) -> None:
        n = self.n
        line = node.lineno or 0
        folded = self.folded.get(id(node))
        if folded is not None:
            self.seen["strings"].add(folded, line)
        if isinstance(node, n.Name):
            if node.ctx == "load":
                self.seen["names"].add(node.name, line)
            else:
                self.assigned.add(node.name)
        elif isinstance(node, n.NSRef):
            self._attribute(node.attr, line)
            self.assigned.add(node.name)
        elif isinstance(node, n.Macro):
            self.macros.add(node.name)
        elif isinstance(node, n.Getattr):
            self._attribute(node.attr, line)
            self._held(node.node, line)
        elif isinstance(node, n.Getitem):
            self._item(node, line)
        elif isinstance(node, n.Call):
            self._call(node, line)
        elif isinstance(node, n.Filter | n.Test):
            self._filter(node, line)
        elif isinstance(node, n.Compare):
            self._compare(node, line)
        elif isinstance(node, n.TemplateData):
            self.literal.append(node.data)
        elif isinstance(node, n.Include | n.Import | n.FromImport | n.Extends):
            self.seen["statements"].add(type(node).__name__.lower(), line)

    def _attribute(self, name: str, line: int) -> None:
        self.seen["attributes"].add(name, line)

    def _held(self, base: nodes.Node, line: int) -> None:
        if isinstance(base, self.n.Name):
            self.seen["held"].add(base.name, line)

    def _item(self, node: nodes.Getitem, line: int) -> None:
        key = self.folded.get(id(node.arg))
        self._held(node.node, line)
        if key is not None:
            self._attribute(key, line)
        elif id(node.arg) in self.built or (
            isinstance(node.arg, self.n.Name) and node.arg.name in self.built_names
        ):
            self.computed_keys.add(line)

    def _call(self, node: nodes.Call, line: int) -> None:
        n = self.n
        called = node.node
        kind, name, form = "computed", "", None
        if isinstance(called, n.Name):
            kind, name = "name", called.name
        elif isinstance(called, n.Getattr):
            kind, name = "method", called.attr
            form = self.folded.get(id(called.node)) if name == "format" else None
            if name in _SEARCHES and id(called.node) in self.text:
                self._compared(node.args[:1], line)
        elif isinstance(called, n.Getitem) and id(called.arg) in self.folded:
            kind, name = "method", self.folded[id(called.arg)]
        self.calls.setdefault((kind, name, form), TemplateCall(kind, name, line, form))

    def _filter(self, node: nodes.Filter | nodes.Test, line: int) -> None:
        n = self.n
        is_filter = isinstance(node, n.Filter)
        self.seen["filters" if is_filter else "tests"].add(node.name, line)
        texts = [self.folded[id(arg)] for arg in node.args if id(arg) in self.folded]
        if is_filter and node.name in _ATTRIBUTE_FILTERS:
            named = [self.folded.get(id(pair.value)) for pair in node.kwargs]
            for path in (*texts, *(text for text in named if text is not None)):
                for part in path.split("."):
                    self._attribute(part, line)
            if node.name == "attr" and not texts:
                self.computed_keys.add(line)
        if is_filter and node.name in ("map", "select", "reject", "selectattr", "rejectattr"):
            self._inner_names(node, texts, line)
        if (
            node.node is not None
            and id(node.node) in self.text
            and (not is_filter or node.name == "replace")
        ):
            self._compared(node.args[:1], line)
        if not is_filter and any(id(arg) in self.text for arg in node.args):
            self._compared([node.node] if node.node else [], line)  # 'x' is in content

    def _inner_names(self, node: nodes.Filter | nodes.Test, texts: list[str], line: int) -> None:
        """``map('upper')`` applies a filter; ``select('equalto', x)`` a test."""
        if node.name == "map":
            if node.args:
                self.seen["filters"].add(texts[0] if texts else "", line)
            return
        by_attribute = node.name.endswith("attr")
        at = 1 if by_attribute else 0
        if len(node.args) > at:
            self.seen["tests"].add(self.folded.get(id(node.args[at]), ""), line)
        if by_attribute and texts and texts[0] in TEXT_ATTRIBUTES:
            self._compared(node.args[2:], line)

    def _compare(self, node: nodes.Compare, line: int) -> None:
        parts: list[nodes.Node] = [node.expr, *(operand.expr for operand in node.ops)]
        if any(id(part) in self.clock for part in parts):
            self.clock_lines.add(line)
        if any(id(part) in self.text for part in parts):
            self._compared(parts, line)

    def _compared(self, parts: Iterable[nodes.Node], line: int) -> None:
        for part in parts:
            inner = part.items if isinstance(part, self.n.List | self.n.Tuple) else [part]
            for one in inner:
                if id(one) in self.folded:
                    self.seen["compared"].add(self.folded[id(one)], line)


def _targets(n: Any, target: nodes.Node) -> Iterator[str]:
    """Names that an assignment sets; ``ns.x = …`` sets ``x``, which :meth:`_Facts._carry` knows."""
    if isinstance(target, n.Name):
        yield target.name
    elif isinstance(target, n.NSRef):
        yield target.attr
    elif isinstance(target, n.Tuple):
        for item in target.items:
            if isinstance(item, n.Name):
                yield item.name
