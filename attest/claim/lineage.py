"""A graph of what was made from what, over verified claims only.

Nodes are things (:mod:`attest.claim.mentions`). Claims stay between outputs and inputs: one with
10^4 of each has 2*10^4 edges here, not 10^8. All walks are iterative, and visit a node, a claim and
a shared digest once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from attest.claim.mentions import (
    IDENTIFYING,
    Assertion,
    Merger,
    Node,
    Pair,
    contradict,
    digest_pairs,
    first_name,
    role_order,
)


@dataclass(frozen=True, slots=True)
class Edge:
    """A thing that another was made from.

    Attributes:
        node: index of the input.
        role: what it was used as.
        assertions: indexes of the claims that say so, in order.
    """

    node: int
    role: str
    assertions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Reached:
    """A thing that derives from what was asked for.

    Attributes:
        node: its index.
        distance: steps from there, at least 1; 0 for what was asked for.
        parent, assertion: the step that reached it; -1 where there is none.
        certain: False where a step led over a conflict: it derives from a thing with the same
            digest, of which another claim says something else.
    """

    node: int
    distance: int
    parent: int
    assertion: int
    certain: bool


class Lineage:
    """The graph.

    Args:
        assertions: verified, in order; kept.
        unverified: digests of the subjects of claims that do not count. They mark nodes, and
            neither make nor merge any.

    Attributes:
        nodes: in the order of their first mention.
        conflicts: the members of each conflict.
    """

    def __init__(
        self,
        assertions: Sequence[Assertion],
        unverified: Iterable[Mapping[str, str]] = (),
    ) -> None:
        self.assertions = assertions
        self.nodes: list[Node] = []
        self.conflicts: list[list[int]] = []
        self._inputs: list[list[tuple[int, str]]] = []
        self._outputs: list[list[int]] = []
        self._by_pair: dict[Pair, list[int]] = {}
        self._ordered: dict[Pair, list[int]] = {}
        self._unverified: set[Pair] = set()
        self._connect(Merger(assertions))
        for digests in unverified:
            self._mark_unverifiable(digests)

    # -- building --------------------------------------------------------------------------

    def _connect(self, merger: Merger) -> None:
        nodes, self.conflicts = merger.nodes, merger.conflicts
        self.nodes = nodes
        for index, assertion in enumerate(self.assertions):
            outputs, inputs = merger.nodes_of(index)
            for node, mention in zip(outputs, assertion.outputs, strict=True):
                _describe(nodes[node], mention.name, assertion.kind, mention.role)
            for node, mention in zip(inputs, assertion.inputs, strict=True):
                _describe_use(nodes[node], mention.name, mention.role)
            roles = [mention.role for mention in assertion.inputs]
            self._outputs.append(list(dict.fromkeys(outputs)))
            self._inputs.append(list(dict.fromkeys(zip(inputs, roles, strict=True))))
            for node in self._outputs[index]:
                nodes[node].about.append(index)
            for node in set(inputs):
                nodes[node].used_in.append(index)
        for index, thing in enumerate(nodes):
            for pair in thing.digests:
                if pair[0] in IDENTIFYING:
                    self._by_pair.setdefault(pair, []).append(index)

    def _mark_unverifiable(self, digests: Mapping[str, str]) -> None:
        for pair in digest_pairs(digests):
            if pair[0] not in IDENTIFYING:
                continue
            found = self._by_pair.get(pair, [])
            if len(found) == 1:
                node = self.nodes[found[0]]
                node.unverifiable |= not contradict(node.digests, digests)
            elif pair not in self._unverified:  # a conflict: all of it, and only once
                for index in found:
                    self.nodes[index].unverifiable = True
            self._unverified.add(pair)

    # -- finding ---------------------------------------------------------------------------

    def find(self, digests: Mapping[str, str]) -> list[int]:
        """The nodes that share one of these digests and contradict none."""
        found = dict.fromkeys(
            index
            for pair in digest_pairs(digests)
            for index in self._by_pair.get(pair, ())
            if not contradict(self.nodes[index].digests, digests)
        )
        return sorted(found, key=self.order)

    def find_contradicting(self, digests: Mapping[str, str]) -> list[int]:
        """The nodes that share one of these digests and contradict another."""
        found = dict.fromkeys(
            index
            for pair in digest_pairs(digests)
            for index in self._by_pair.get(pair, ())
            if contradict(self.nodes[index].digests, digests)
        )
        return sorted(found, key=self.order)

    def only_unverified(self, digests: Mapping[str, str]) -> bool:
        """Whether a claim that does not count is about one of these digests."""
        return any(pair in self._unverified for pair in digest_pairs(digests))

    def claimed_by(self, signer: str) -> list[int]:
        """Indexes of the assertions of one signer.

        Args:
            signer: name of a principal, or the fingerprint of a key or certificate.
        """
        return [
            index
            for index, assertion in enumerate(self.assertions)
            if signer in assertion.principals or signer in assertion.signers
        ]

    def outputs(self, assertion: int) -> list[int]:
        """What a claim is about."""
        return self._outputs[assertion]

    def order(self, node: int) -> tuple[str, str]:
        """A sorting key that depends on what the node is, not on where it was read."""
        return self.nodes[node].name, self.nodes[node].key

    def has_inputs(self, node: int) -> bool:
        """Whether it is known what a thing was made from."""
        return any(self._inputs[assertion] for assertion in self.nodes[node].about)

    def inputs(self, node: int) -> list[Edge]:
        """What a thing was made from, by role, then name; each input once a role."""
        said: dict[tuple[int, str], list[int]] = {}
        for assertion in self.nodes[node].about:
            for found in self._inputs[assertion]:
                said.setdefault(found, []).append(assertion)
        edges = [Edge(at, role, tuple(claims)) for (at, role), claims in said.items()]
        if len(edges) > 1:
            edges.sort(key=lambda edge: (role_order(edge.role), *self.order(edge.node)))
        return edges

    # -- walking ---------------------------------------------------------------------------

    def count_steps(self, roots: Iterable[int], depth: int | None = None) -> int:
        """How many steps lead to ``roots``: an output and an input of one claim make one.

        Args:
            depth: of those steps at most in a row; None for all.
        """
        reached = set(roots)
        done: set[int] = set()
        wave, level, count = list(reached), 0, 0
        while wave and (depth is None or level < depth):
            level += 1
            about = [claim for node in wave for claim in self.nodes[node].about]
            count += sum(len(self._inputs[claim]) for claim in about)
            fresh = [claim for claim in dict.fromkeys(about) if claim not in done]
            done.update(fresh)
            inputs = dict.fromkeys(at for claim in fresh for at, _ in self._inputs[claim])
            wave = [node for node in inputs if node not in reached]
            reached.update(wave)
        return count

    def descendants(self, starts: Iterable[int]) -> dict[int, Reached]:
        """What was made from ``starts``, directly or not, they themselves included.

        First over what is certain, then also over conflicts: where claims disagree about a digest,
        whoever asks what is affected wants to know both.
        """
        reached = {start: Reached(start, 0, -1, -1, True) for start in starts}
        claims: set[int] = set()
        self._spread(list(reached), reached, claims, certain=True)
        pairs: set[Pair] = set()
        wave = list(reached)
        while wave:
            twins = [
                Reached(twin, reached[node].distance, node, -1, False)
                for node in wave
                for twin in self._twins(node, pairs)
            ]
            fresh: list[int] = []
            for twin in twins:
                if twin.node not in reached:
                    reached[twin.node] = twin
                    fresh.append(twin.node)
            wave = fresh + self._spread(fresh, reached, claims, certain=False)
        return reached

    def _spread(
        self, wave: list[int], reached: dict[int, Reached], claims: set[int], *, certain: bool
    ) -> list[int]:
        """Follow uses from ``wave``, nearest first; returns what is new."""
        fresh: list[int] = []
        while wave:
            following = []
            for node in wave:
                for claim in self.nodes[node].used_in:
                    if claim in claims:
                        continue
                    claims.add(claim)
                    for output in self._outputs[claim]:
                        if output not in reached:
                            distance = reached[node].distance + 1
                            reached[output] = Reached(output, distance, node, claim, certain)
                            following.append(output)
            fresh += following
            wave = following
        return fresh

    def _twins(self, node: int, done: set[Pair]) -> Iterator[int]:
        """The nodes in conflict with this one that share a digest; each digest is done once."""
        if self.nodes[node].group < 0:
            return
        for pair in self.nodes[node].digests:
            if pair[0] in IDENTIFYING and pair not in done:
                done.add(pair)
                yield from self._by_pair.get(pair, ())

    def conflicting(self, node: int, most: int | None = None) -> list[int]:
        """The other nodes that share a digest with this one and are not the same thing.

        Args:
            most: the first of them that are asked for; None for all. 10^5 claims about one digest
                make as many nodes, each in conflict with all others.
        """
        if self.nodes[node].group < 0:
            return []
        twins = set[int]()
        for pair in self.nodes[node].digests:
            if pair[0] in IDENTIFYING:
                shared = self._in_order(pair)
                twins.update(shared if most is None else shared[: most + 1])
        twins.discard(node)
        return sorted(twins, key=self.order)[:most]

    def _in_order(self, pair: Pair) -> list[int]:
        """The nodes with this digest, in order; sorted once."""
        if pair not in self._ordered:
            self._ordered[pair] = sorted(self._by_pair.get(pair, ()), key=self.order)
        return self._ordered[pair]

    def cycles(self, nodes: Iterable[int]) -> set[int]:
        """Those of ``nodes`` that lead back to themselves without leaving ``nodes``.

        Strongly connected components (Tarjan) over things and claims, with a stack of our own.
        """
        inside = set(nodes)
        count = len(self.nodes)

        def following(vertex: int) -> Iterator[int]:
            if vertex < count:
                return (count + claim for claim in self.nodes[vertex].about)
            return (at for at, _ in self._inputs[vertex - count] if at in inside)

        return {
            vertex
            for component in _components(sorted(inside), following)
            if len(component) > 1
            for vertex in component
            if vertex < count
        }


def _describe(node: Node, name: str, kind: str, role: str) -> None:
    """Take over what a claim about it calls a thing."""
    if name and name != node.own_name:
        node.own_name = first_name(node.own_name, name)
    if kind and kind != node.own_kind:
        node.own_kind = min(kind, node.own_kind or kind, key=role_order)
    node.used_kind = node.used_kind or role


def _describe_use(node: Node, name: str, role: str) -> None:
    """Take over what a claim that uses it calls a thing."""
    if name and name != node.used_name:
        node.used_name = first_name(node.used_name, name)
    if role and role != node.used_kind:
        node.used_kind = min(role, node.used_kind or role, key=role_order)


def _components(
    starts: Iterable[int], following: Callable[[int], Iterator[int]]
) -> Iterator[list[int]]:
    """Strongly connected components of what can be reached from ``starts``."""
    numbers: dict[int, int] = {}
    lowest: dict[int, int] = {}
    open_vertices: list[int] = []
    is_open: set[int] = set()
    for start in starts:
        if start in numbers:
            continue
        path: list[tuple[int, Iterator[int]]] = []
        entered = start
        while True:
            if entered not in numbers:
                numbers[entered] = lowest[entered] = len(numbers)
                open_vertices.append(entered)
                is_open.add(entered)
                path.append((entered, following(entered)))
            vertex, rest = path[-1]
            child = next((each for each in rest if each not in numbers or each in is_open), None)
            if child is not None and child not in numbers:
                entered = child
                continue
            if child is not None:
                lowest[vertex] = min(lowest[vertex], numbers[child])
                entered = vertex
                continue
            path.pop()
            if path:
                above = path[-1][0]
                lowest[above] = min(lowest[above], lowest[vertex])
            if lowest[vertex] == numbers[vertex]:
                component: list[int] = []
                while not component or component[-1] != vertex:
                    component.append(open_vertices.pop())
                is_open.difference_update(component)
                yield component
            if not path:
                break
            entered = path[-1][0]
