"""What claims mention, and which mentions are one thing.

Things are known by digests. Two mentions are one thing when they share a (name, value) pair and
contradict each other in no digest that both have. That is judged for all mentions together, not
pair by pair: where mentions that hang together disagree anywhere ("same sha256, another
attestTreeV1"), none of them is merged; each stays a thing of its own and is part of a conflict. So
the result depends on no order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Pair: TypeAlias = tuple[str, str]
"""Name and value of a digest."""

IDENTIFYING: Final = frozenset(
    {
        "attestTreeV1",
        "blake3",
        "gitCommit",
        "gitTree",
        "sha256",
        "sha384",
        "sha3_256",
        "sha3_384",
        "sha3_512",
        "sha512",
    }
)
"""Digest names that can make two mentions one thing. Others are kept and shown, and may contradict:
anybody could give unrelated things one CRC."""

ROLES: Final = (
    "base-model",
    "dataset",
    "code",
    "container",
    "node-attestation",
    "tool",
    "material",
    "dependency",
)
"""What an input can be, in the order that they are shown in; anything else comes last."""

_HEX: Final = re.compile(r"[0-9a-f]{2,256}")


@dataclass(frozen=True, slots=True)
class Mention:
    """How a claim names a thing.

    Attributes:
        digests: sorted by name; values in lower-case hex where they are hex.
        name: what the claim calls it; whoever signed the claim chose it.
        role: of an input or output, see :data:`ROLES`; may be empty.
    """

    digests: tuple[Pair, ...]
    name: str = ""
    role: str = ""


@dataclass(frozen=True, slots=True)
class Assertion:
    """What one verified claim says about where things come from.

    Attributes:
        id: hex SHA-256 of the statement's bytes.
        predicate_type: of the claim.
        where: file and line.
        principals: who has signed it, sorted.
        signers: fingerprints of their keys and certificates.
        outputs: what the claim is about, at least one.
        inputs: what they were made from; may be empty.
        kind: of the outputs (``model``, ``dataset``, …); may be empty.
    """

    id: str
    predicate_type: str
    where: str
    principals: tuple[str, ...]
    signers: tuple[str, ...]
    outputs: tuple[Mention, ...]
    inputs: tuple[Mention, ...] = ()
    kind: str = ""


@dataclass(slots=True)
class Node:
    """One thing.

    Attributes:
        digests: of all mentions that are this thing, sorted by name.
        about: indexes of the assertions that it is an output of.
        used_in: indexes of the assertions that it is an input of.
        own_name, used_name: the first in order of what its own claims call it, and those that use
            it.
        own_kind, used_kind: what it is by its own claims, and how it is used.
        unverifiable: there are claims about it that do not count.
        group: number of the conflict that it is part of, -1 where there is none.
    """

    digests: tuple[Pair, ...]
    about: list[int] = field(default_factory=list)
    used_in: list[int] = field(default_factory=list)
    own_name: str = ""
    used_name: str = ""
    own_kind: str = ""
    used_kind: str = ""
    unverifiable: bool = False
    group: int = -1

    @property
    def name(self) -> str:
        """What it is called: by its own claims, else by those that use it."""
        return self.own_name or self.used_name

    @property
    def kind(self) -> str:
        """What it is: by its own claims, else by how it is used."""
        return self.own_kind or self.used_kind

    @property
    def state(self) -> str:
        """``verified``: a claim about it counts; ``unverifiable``: there are only others;
        ``missing``: it is mentioned, and no claim about it is known; ``unidentified``: mentioned
        without a digest."""
        if self.about:
            return "verified"
        if self.unverifiable:
            return "unverifiable"
        return "missing" if self.digests else "unidentified"

    @property
    def key(self) -> str:
        """Its digests as one text."""
        return ",".join(f"{name}:{value}" for name, value in self.digests)


def digest_pairs(digests: Mapping[str, object], *, git: bool = False) -> tuple[Pair, ...]:
    """The digests of a claim as a mention has them.

    Args:
        digests: name -> value; values that are no text are left out, as are names over 64
            characters and values over 256.
        git: the thing is in git, so that ``sha1`` is the commit.
    """
    pairs = []
    for name, value in digests.items():
        if not isinstance(value, str) or len(name) > 64 or not 0 < len(value) <= 256:
            continue
        lowered = value.lower()
        plain = _HEX.fullmatch(lowered) is not None
        if git and name == "sha1" and plain and "gitCommit" not in digests:
            name = "gitCommit"
        pairs.append((name, lowered if plain else value))
    return tuple(sorted(pairs))


class Merger:
    """Finds out which mentions are one thing.

    Attributes:
        nodes: in the order of their first mention.
        conflicts: the members of each conflict.
    """

    def __init__(self, assertions: Iterable[Assertion]) -> None:
        sets: dict[tuple[Pair, ...] | str, int] = {}
        self._mentioned: list[tuple[list[int], list[int]]] = []
        for assertion in assertions:
            outputs = [sets.setdefault(_identity(each), len(sets)) for each in assertion.outputs]
            inputs = [sets.setdefault(_identity(each), len(sets)) for each in assertion.inputs]
            self._mentioned.append((outputs, inputs))
        self.nodes: list[Node] = []
        self.conflicts: list[list[int]] = []
        self._nodes_of: list[int] = []
        self._merge(list(sets))

    def nodes_of(self, assertion: int) -> tuple[list[int], list[int]]:
        """The nodes that the outputs and the inputs of an assertion are, in their order."""
        outputs, inputs = self._mentioned[assertion]
        return [self._nodes_of[each] for each in outputs], [self._nodes_of[each] for each in inputs]

    def _merge(self, sets: list[tuple[Pair, ...] | str]) -> None:
        self._nodes_of = [-1] * len(sets)
        for members in _connected(sets):
            first = sets[members[0]]
            if len(members) == 1:
                self._add(members, first if isinstance(first, tuple) else ())
                continue
            listed = [each for each in map(sets.__getitem__, members) if isinstance(each, tuple)]
            united = dict(pair for each in listed for pair in each)
            if not any(contradict(each, united) for each in listed):
                self._add(members, tuple(sorted(united.items())))
                continue
            group = len(self.conflicts)
            self.conflicts.append(
                [
                    self._add([member], own, group)
                    for member, own in zip(members, listed, strict=True)
                ]
            )

    def _add(self, members: list[int], digests: tuple[Pair, ...], group: int = -1) -> int:
        index = len(self.nodes)
        self.nodes.append(Node(digests, group=group))
        for member in members:
            self._nodes_of[member] = index
        return index


def _identity(mention: Mention) -> tuple[Pair, ...] | str:
    """What mentions must have in common to be one thing at once: all digests, else the name."""
    return mention.digests or mention.name


def _connected(sets: list[tuple[Pair, ...] | str]) -> Iterator[list[int]]:
    """Groups of digest sets that hang together by shared pairs, in order of their first member."""
    leader = list(range(len(sets)))
    owners: dict[Pair, int] = {}
    for index, pairs in enumerate(sets):
        for pair in pairs if isinstance(pairs, tuple) else ():
            if pair[0] in IDENTIFYING:
                owner = owners.setdefault(pair, index)
                if owner != index:  # the smaller index leads, so that order is kept
                    one, other = _leader(leader, index), _leader(leader, owner)
                    leader[max(one, other)] = min(one, other)
    groups: dict[int, list[int]] = {}
    for index in range(len(sets)):
        groups.setdefault(_leader(leader, index), []).append(index)
    return iter(groups.values())


def _leader(leader: list[int], at: int) -> int:
    """Who leads the group of ``at``; halves the way there (union-find)."""
    while leader[at] != at:
        leader[at] = leader[leader[at]]
        at = leader[at]
    return at


def contradict(one: Iterable[Pair], other: Mapping[str, str]) -> bool:
    """Whether both have a digest of one name with different values."""
    return any(other.get(name, value) != value for name, value in one)


def first_name(one: str, other: str) -> str:
    """The first in order of two names, of which either may be empty."""
    return min(one, other) if one and other else one or other


def role_order(role: str) -> tuple[int, str]:
    return (ROLES.index(role) if role in ROLES else len(ROLES)), role
