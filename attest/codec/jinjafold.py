"""Texts that a template builds from constants only: :mod:`attest.codec.jinja`.

``'__cla' ~ 'ss__'`` is a constant in two pieces. Folded are ``+``, ``~``, ``join``, ``replace``,
``reverse``, changes of case, slices with constant ends. One pass over nodes in post-order, so that
parts come before what they are parts of, and nothing recurses.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jinja2 import nodes

_BUILDING_FILTERS: Final = frozenset({"join", "format", "replace", "reverse", "lower", "upper"})
_MAX_FOLDED: Final = 512


class Constants:
    """The constant texts of a tree.

    Args:
        order: every node, after its children. The nodes are kept alive, so their ids stay theirs.

    Attributes:
        texts: id of a node -> its text; texts over 512 characters are no names and are left out.
        built: ids of nodes that put text together, constant or not.
    """

    def __init__(self, order: Sequence[nodes.Node]) -> None:
        from jinja2 import nodes

        self.n = nodes
        self.order = order
        self.texts: dict[int, str] = {}
        self.built: set[int] = set()
        for node in order:
            self._fold(node)

    def _fold(self, node: nodes.Node) -> None:
        """Remember the constant text of ``node``, if that is what it is; children were done."""
        n = self.n
        made: str | None = None
        if isinstance(node, n.Const):
            made = node.value if isinstance(node.value, str) else None
        elif isinstance(node, n.Add):
            made = self._joined([node.left, node.right])
            self._mark_built(node, (node.left, node.right))
        elif isinstance(node, n.Concat):
            made = self._joined(node.nodes)
            self.built.add(id(node))
        elif isinstance(node, n.Mod | n.Mul):
            self._mark_built(node, (node.left, node.right))
        elif isinstance(node, n.Getitem) and isinstance(node.arg, n.Slice):
            made = self._sliced(node)
        elif isinstance(node, n.Filter):
            made = self._filtered(node.name, node.node, node.args)
            if node.name in _BUILDING_FILTERS:
                self.built.add(id(node))
        elif isinstance(node, n.Call) and isinstance(node.node, n.Getattr):
            made = self._filtered(node.node.attr, node.node.node, node.args)
            if node.node.attr in _BUILDING_FILTERS:
                self.built.add(id(node))
        if made is not None and len(made) <= _MAX_FOLDED:
            self.texts[id(node)] = made

    def _mark_built(self, node: nodes.Node, parts: Iterable[nodes.Node]) -> None:
        """Text is built if a part is text; ``loop.index + 1`` is a number."""
        if any(id(part) in self.texts or id(part) in self.built for part in parts):
            self.built.add(id(node))

    def _joined(self, parts: list[nodes.Expr]) -> str | None:
        texts = [self.texts.get(id(part)) for part in parts]
        return "".join(text for text in texts if text is not None) if None not in texts else None

    def _sliced(self, node: nodes.Getitem) -> str | None:
        text = self.texts.get(id(node.node))
        part: Any = node.arg
        if text is None:
            return None
        try:
            bounds = slice(*(self._bound(end) for end in (part.start, part.stop, part.step)))
            return text[bounds]
        except ValueError:  # not constants, or a step of 0
            return None

    def _bound(self, node: nodes.Node | None) -> int | None:
        """A constant end of a slice.

        Raises:
            ValueError: it is something else.
        """
        sign = 1
        if isinstance(node, self.n.Neg):
            sign, node = -1, node.node
        value = node.value if isinstance(node, self.n.Const) else None if node is None else ""
        if value is None:
            return None
        if type(value) is not int:
            raise ValueError
        return sign * value

    def _filtered(self, name: str, node: nodes.Node | None, args: list[nodes.Expr]) -> str | None:
        """Text made by a filter or method from constants."""
        given = [self.texts.get(id(arg)) for arg in args]
        if name == "join":
            items, glue = (node, given[0] if given else "")
            if isinstance(node, self.n.Const) and args:  # ''.join([...])
                items, glue = args[0], self.texts.get(id(node))
            if isinstance(items, self.n.List | self.n.Tuple) and glue is not None:
                texts = [self.texts.get(id(item)) for item in items.items]
                if None not in texts:
                    return glue.join(text for text in texts if text is not None)
            return None
        text = self.texts.get(id(node))
        if text is None:
            return None
        if name == "replace" and len(given) >= 2 and given[0] and given[1] is not None:
            return text.replace(given[0], given[1])
        match name:
            case "reverse":
                return text[::-1]
            case "lower" | "upper" | "strip" | "title":
                return str(getattr(text, name)())
            case "trim" | "string" | "safe" | "escape" | "e":
                return text.strip() if name == "trim" else text
        return None
