"""Stack, marks and memo of the unpickler, and the plain values that go on them.

The half of the abstract machine that judges nothing but size. It behaves as ``Lib/pickle.py`` does,
operation for operation: a name must reach ``STACK_GLOBAL`` here by whatever way it does there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.errors import MalformedInput, TooLarge
from attest.scan.grades import Grade, Hit
from attest.scan.values import DictValue, SetValue, Value

OVER_LIMIT: Final = "over-limit"
"""Code of what is broken off because of :mod:`attest.limits`, although a loader would go on."""

_MEMO_SLACK: Final = 1 << 16


def over(message: str) -> TooLarge:
    """A limit was met."""
    return TooLarge(message, code=OVER_LIMIT)


@dataclass(slots=True)
class Stack:
    """State of one run, and its hits. Every public method that takes one value is an operation; it
    raises MalformedInput where an unpickler would stop.

    Attributes:
        where: how hits call the stream.
        stack: values above the last mark; ``marks`` are the stacks below it.
        position: of the operation at hand.
        floor: rank up to which hits are not kept any more.
        made: objects of the file's making, in units of 80 bytes.
    """

    where: str = ""
    hits: dict[tuple[str, str], Hit] = field(default_factory=dict)
    stack: list[Value] = field(default_factory=list)
    marks: list[list[Value]] = field(default_factory=list)
    memo: dict[int, Value] = field(default_factory=dict)
    position: int = 0
    floor: int = -1
    made: int = 0

    def check_size(self) -> None:
        if len(self.stack) > limits.MAX_PICKLE_STACK:
            raise over(f"more than {limits.MAX_PICKLE_STACK} values are on the stack")
        if self.made > limits.MAX_PICKLE_MADE:
            raise over(f"more than {limits.MAX_PICKLE_MADE} containers and calls")
        if len(self.memo) > limits.MAX_PICKLE_MEMO:
            raise over(f"more than {limits.MAX_PICKLE_MEMO} values are remembered")

    def hit(
        self, code: str, grade: Grade, message: str, position: int | None, about: str = ""
    ) -> None:
        """Note one find; the same kind about the same thing once. When there are too many, a worse
        one takes the place of a better one."""
        key = code, about
        if key in self.hits or grade.rank <= self.floor:
            return
        if len(self.hits) >= limits.MAX_PICKLE_HITS:
            least = min(self.hits, key=lambda known: self.hits[known].grade.rank)
            self.floor = self.hits[least].grade.rank
            if self.floor >= grade.rank:
                return
            del self.hits[least]
        place = f"byte {position}" if position is not None else ""
        self.hits[key] = Hit(code, grade, message, f"{self.where} {place}".strip() or None)

    # Stack, marks, memo: Lib/pickle.py, load_mark, pop_mark, load_pop, load_get, load_put.

    def do_nothing(self, _: Value) -> None:
        pass

    def mark(self, _: Value) -> None:
        if len(self.marks) >= limits.MAX_PICKLE_MARKS:
            raise over(f"more than {limits.MAX_PICKLE_MARKS} marks are open")
        self.marks.append(self.stack)
        self.stack = []

    def pop_mark(self, _: Value = None) -> list[Value]:
        if not self.marks:
            raise MalformedInput(f"no mark is open (byte {self.position})")
        items = self.stack
        self.stack = self.marks.pop()
        return items

    def pop(self, _: Value) -> None:
        """Takes a mark away when nothing lies above it."""
        if self.stack:
            del self.stack[-1]
        else:
            self.pop_mark()

    def dup(self, _: Value) -> None:
        self.stack.append(self.stack[-1])

    def put(self, index: int) -> None:
        if index > len(self.memo) + _MEMO_SLACK:
            message = "skips memo entries, for which CPython makes room: no pickler does"
            self.hit("memo-gap", Grade.SUSPICIOUS, message, self.position)
        self.memo[index] = self.stack[-1]

    def memoize(self, _: Value) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise MalformedInput(f"memo has no entry {index} (byte {self.position})")
        self.stack.append(self.memo[index])

    # Constants and containers.

    def none(self, _: Value) -> None:
        self.stack.append(None)

    def true(self, _: Value) -> None:
        self.stack.append(True)

    def false(self, _: Value) -> None:
        self.stack.append(False)

    def empty_tuple(self, _: Value) -> None:
        self.stack.append(())

    def empty_list(self, _: Value) -> None:
        self.made += 1
        self.stack.append([])

    def empty_dict(self, _: Value) -> None:
        self.made += 2
        self.stack.append(DictValue([]))

    def empty_set(self, _: Value) -> None:
        self.made += 2
        self.stack.append(SetValue([]))

    def tuple_of_mark(self, _: Value) -> None:
        self.made += 1
        items = self.pop_mark()
        self.stack.append(tuple(items))

    def tuple1(self, _: Value) -> None:
        self.made += 1
        self.stack[-1:] = [(self.stack[-1],)]

    def tuple2(self, _: Value) -> None:
        self.made += 1
        self.stack[-2:] = [(self.stack[-2], self.stack[-1])]

    def tuple3(self, _: Value) -> None:
        self.made += 1
        self.stack[-3:] = [(self.stack[-3], self.stack[-2], self.stack[-1])]

    def list_of_mark(self, _: Value) -> None:
        self.made += 1
        items = self.pop_mark()
        self.stack.append(items)

    def dict_of_mark(self, _: Value) -> None:
        self.made += 2
        items = self.pop_mark()
        self.check_pairs(items)
        self.stack.append(DictValue(items))

    def frozenset_of_mark(self, _: Value) -> None:
        self.made += 2
        items = self.pop_mark()
        self.stack.append(SetValue(items))

    def check_pairs(self, items: list[Value]) -> None:
        if len(items) % 2:
            raise MalformedInput(f"a key has no value (byte {self.position})")
