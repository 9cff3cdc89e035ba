"""A lineage as text, JSON and Graphviz dot.

Everything that names a thing was chosen by whoever signed a claim. So in text a name comes last on
its line, quoted and escaped: it cannot pass for a state, a signer or another line.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from attest import limits
from attest.claim.lineage import Edge, Lineage, Reached
from attest.claim.mentions import Node
from attest.errors import TooLarge

MARKS: Final = ("conflict", "cycle")
"""What can be wrong with a node beside its state."""

_CONFLICTS_NAMED: Final = 20
_NAME_SHOWN: Final = 120
_WORD_SIGNS: Final = re.compile(r"[-_]")
_DIGEST_SHOWN: Final = 16
_BRANCHES: Final = {False: ("├─ ", "│  "), True: ("|- ", "|  ")}
_LAST: Final = {False: ("└─ ", "   "), True: ("`- ", "   ")}
_COLOURS: Final = {
    "verified": "palegreen",
    "missing": "lightgrey",
    "unidentified": "lightgrey",
    "unverifiable": "khaki",
    "conflict": "salmon",
    "cycle": "salmon",
}


@dataclass(frozen=True, slots=True)
class Ancestry:
    """What some things were made from.

    Attributes:
        roots: what was asked for.
        levels: node -> steps from the nearest root, nearest first; the order of the ids.
        edges: node -> what it was made from.
        cut: nodes with inputs that are left out because of the depth.
        cycles: nodes that lead back to themselves.
    """

    lineage: Lineage
    roots: tuple[int, ...]
    levels: Mapping[int, int]
    edges: Mapping[int, list[Edge]]
    cut: frozenset[int]
    cycles: frozenset[int]
    _ids: dict[int, str] = field(default_factory=dict)

    def id(self, node: int) -> str:
        """What JSON and dot call a node: ``n0`` for the first root."""
        return self._ids.setdefault(node, f"n{len(self._ids)}")

    def marks(self, node: int) -> tuple[str, ...]:
        """What is wrong with a node, see :data:`MARKS`."""
        wrong = (self.lineage.nodes[node].group >= 0, node in self.cycles)
        return tuple(mark for mark, there in zip(MARKS, wrong, strict=True) if there)


def ancestry(lineage: Lineage, roots: Sequence[int], depth: int | None = None) -> Ancestry:
    """Follow what ``roots`` were made from.

    Args:
        depth: steps at most; None for all.

    Raises:
        TooLarge: more than ``limits.MAX_LINEAGE_EDGES`` edges.
    """
    if lineage.count_steps(roots, depth) > limits.MAX_LINEAGE_EDGES:
        raise TooLarge(
            f"more than {limits.MAX_LINEAGE_EDGES} steps lead here",
            hint="ask for less with --depth N",
            code="lineage-too-large",
        )
    levels = dict.fromkeys(roots, 0)
    edges: dict[int, list[Edge]] = {}
    cut = set[int]()
    queue = list(levels)
    for node in queue:  # grows while it is read
        if depth is not None and levels[node] >= depth:
            if lineage.has_inputs(node):
                cut.add(node)
            continue
        edges[node] = found = lineage.inputs(node)
        for edge in found:
            if edge.node not in levels:
                levels[edge.node] = levels[node] + 1
                queue.append(edge.node)
    view = Ancestry(
        lineage, tuple(roots), levels, edges, frozenset(cut), frozenset(lineage.cycles(levels))
    )
    for node in levels:
        view.id(node)
    return view


# -- text ------------------------------------------------------------------------------------


def tree_lines(view: Ancestry, *, plain: bool = False) -> Iterator[str]:
    """The ancestry as a tree: each thing is opened once, where it is nearest to its root.

    Args:
        view: made with a depth: a line is as long as its level is deep.
        plain: draw in ASCII.
    """
    opened: set[int] = set()
    stack = [("", "", "", root) for root in reversed(view.roots)]
    while stack:
        lead, turn, role, node = stack.pop()
        here = node not in opened and len(lead) // 3 + bool(turn) == view.levels[node]
        note = " (opened elsewhere)" if not here and view.edges.get(node) else ""
        if node in view.cut:
            note = " (goes on: ask for more with --depth)"
        yield f"{lead}{turn}{describe(view, node, role, note)}"
        if not here:
            continue
        opened.add(node)
        if turn:
            lead += _LAST[plain][1] if turn == _LAST[plain][0] else _BRANCHES[plain][1]
        children = view.edges.get(node, [])
        for index in range(len(children) - 1, -1, -1):
            branch = (_LAST if index == len(children) - 1 else _BRANCHES)[plain][0]
            stack.append((lead, branch, children[index].role, children[index].node))


def describe(view: Ancestry, index: int, role: str = "", note: str = "") -> str:
    """One thing on one line; its name comes last."""
    node = view.lineage.nodes[index]
    called = word(role or node.kind or "artifact")
    state = node.state
    if state == "verified":
        state = f"claimed by {', '.join(_principals(view.lineage, node))}"
    marks = "".join(f" [{mark}]" for mark in view.marks(index))
    return f"{called}  {short_digest(node)}  {state}{marks}{note}  {quoted(node.name)}"


def short_digest(node: Node) -> str:
    """The digest that a thing is best known by, shortened."""
    known = dict(node.digests)
    for name in ("sha256", "gitCommit", *known):
        if name in known:
            value = known[name]
            more = "…" if len(value) > _DIGEST_SHOWN else ""
            return f"{word(name)}:{word(value[:_DIGEST_SHOWN], _DIGEST_SHOWN)}{more}"
    return "(no digest)"


def quoted(name: str) -> str:
    """A name in double quotes, with all that does not print escaped, and shortened."""
    shown = name if len(name) <= _NAME_SHOWN else name[: _NAME_SHOWN - 1] + "…"
    return json.dumps(_plain(shown), ensure_ascii=False)


def word(text: str, most: int = 40) -> str:
    """A role, kind or digest: as it is where it is one plain word, else quoted."""
    if text.isascii() and _WORD_SIGNS.sub("", text).isalnum() and len(text) <= most:
        return text
    return json.dumps(_plain(text[:most]), ensure_ascii=False)


def _plain(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _principals(lineage: Lineage, node: Node) -> list[str]:
    return sorted({name for claim in node.about for name in lineage.assertions[claim].principals})


# -- JSON ------------------------------------------------------------------------------------


def ancestry_json(view: Ancestry) -> dict[str, Any]:
    """``{"roots", "nodes", "edges"}``; see docs/formats/lineage.md."""
    conflicting = {node: view.lineage.conflicting(node, _CONFLICTS_NAMED) for node in view.levels}
    nodes = dict.fromkeys(view.levels)
    for others in conflicting.values():
        nodes.update(dict.fromkeys(others))
    listed = []
    for node in nodes:
        entry = node_json(view.lineage, node, view.id(node))
        entry["marks"] = list(view.marks(node))
        if conflicting.get(node):
            entry["conflictsWith"] = [view.id(other) for other in conflicting[node]]
        if node in view.cut:
            entry["cut"] = True
        listed.append(entry)
    return {
        "roots": [view.id(root) for root in view.roots],
        "nodes": listed,
        "edges": [
            {
                "from": view.id(node),
                "to": view.id(edge.node),
                "role": edge.role,
                "claims": [view.lineage.assertions[claim].id for claim in edge.assertions],
            }
            for node, edges in view.edges.items()
            for edge in edges
        ],
    }


def node_json(lineage: Lineage, index: int, name: str) -> dict[str, Any]:
    """One thing and the claims about it."""
    node = lineage.nodes[index]
    return {
        "id": name,
        "kind": node.kind,
        "name": node.name,
        "digests": dict(node.digests),
        "state": node.state,
        "claims": [
            {
                "id": assertion.id,
                "type": assertion.predicate_type,
                "where": assertion.where,
                "principals": list(assertion.principals),
            }
            for assertion in map(lineage.assertions.__getitem__, node.about)
        ],
    }


def impact_json(
    lineage: Lineage, selected: Sequence[int], derived: Sequence[Reached]
) -> dict[str, Any]:
    """``{"selected", "derived", "nodes"}``; see docs/formats/lineage.md."""
    ids: dict[int, str] = {}
    for node in (*selected, *(each.node for each in derived)):
        ids.setdefault(node, f"n{len(ids)}")
    return {
        "selected": [ids[node] for node in selected],
        "derived": [
            {
                "node": ids[each.node],
                "distance": each.distance,
                "through": ids[each.parent],
                "claim": None if each.assertion < 0 else lineage.assertions[each.assertion].id,
                "certain": each.certain,
            }
            for each in derived
        ],
        "nodes": [node_json(lineage, node, name) for node, name in ids.items()],
    }


# -- dot -------------------------------------------------------------------------------------


def dot_lines(view: Ancestry, comments: Iterable[str] = ()) -> Iterator[str]:
    """The ancestry as a Graphviz digraph, arrows from what was made to what it was made from.

    Names are in quoted strings with backslashes doubled: they can neither end the string nor hold
    an escape of Graphviz.
    """
    yield "digraph lineage {"
    for comment in comments:
        yield f"  // {_plain(comment)}"
    yield "  rankdir=LR;"
    yield '  node [shape=box, style=filled, fontname="sans-serif"];'
    for index in view.levels:
        node = view.lineage.nodes[index]
        marks = view.marks(index)
        lines = [node.kind or "artifact", node.name[:_NAME_SHOWN], short_digest(node)]
        lines.append(", ".join((node.state, *marks)))
        label = "\\n".join(_dot(line) for line in lines if line)
        colour = _COLOURS[marks[0] if marks else node.state]
        yield f'  {view.id(index)} [label="{label}", fillcolor={colour}];'
    for index, edges in view.edges.items():
        for edge in edges:
            yield f'  {view.id(index)} -> {view.id(edge.node)} [label="{_dot(edge.role[:40])}"];'
    yield "}"


def _dot(text: str) -> str:
    return _plain(text).replace("\\", "\\\\").replace('"', '\\"')
