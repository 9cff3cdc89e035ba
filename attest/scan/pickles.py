"""Scanning pickle streams: one, several in a row, and torch's legacy files.

``scan_pickle`` and ``scan_legacy_torch`` never raise for what is in the bytes: a stream that cannot
be followed is a hit with the grade ``unscannable``, beside everything found before the break.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from attest import limits
from attest.codec.pickles import HIGHEST_PROTOCOL, PROTO, PickleReader, is_opcode
from attest.codec.reader import Source, Window, check_range
from attest.scan.allowlist import builtin_allow_list
from attest.scan.grades import Grade, Hit, Rules
from attest.scan.machine import Outcome, run
from attest.scan.stack import OVER_LIMIT
from attest.scan.values import Value

LEGACY_MAGIC: Final = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL: Final = 1001
_FRAME: Final = 9
_LEGACY_HEAD: Final = b"\x8a\x0a" + LEGACY_MAGIC.to_bytes(10, "little") + b"."


class Trailing(enum.Enum):
    """What may follow ``STOP``: nothing, further pickles, or bytes the caller answers for."""

    REFUSE = "refuse"
    PICKLES = "pickles"
    IGNORE = "ignore"


@dataclass(slots=True)
class PickleScan:
    """What was found in one source.

    Attributes:
        hits: in order; none means clean.
        storages: torch storages that the pickles ask for: key to (class name, elements).
        end: position behind the last pickle; None when one broke off.
        value: what the last pickle makes, as :mod:`attest.scan.values`.
        operations: how many were carried out.
    """

    hits: list[Hit] = field(default_factory=list)
    storages: dict[str, tuple[str, int]] = field(default_factory=dict)
    end: int | None = 0
    value: Value = None
    operations: int = 0

    def add(self, hits: Iterable[Hit]) -> None:
        """More hits; the same find of a later pickle is not repeated."""
        known = {(hit.code, hit.message) for hit in self.hits}
        self.hits += [hit for hit in hits if (hit.code, hit.message) not in known]


def scan_pickle(
    source: Source, rules: Rules, *, where: str = "", trailing: Trailing | str = Trailing.REFUSE
) -> list[Hit]:
    """Everything that is wrong with a file, or member, that is a pickle.

    Args:
        source: whoever made it controls every byte.
        where: member path for the hits, empty for a file of its own.
        trailing: a :class:`Trailing` or its value.

    Raises:
        Unavailable: the source cannot be read.
    """
    return inspect_pickle(source, rules, where=where, trailing=trailing).hits


def inspect_pickle(
    source: Source, rules: Rules, *, where: str = "", trailing: Trailing | str = Trailing.REFUSE
) -> PickleScan:
    """:func:`scan_pickle`, and what else came to light."""
    follow = Trailing(trailing)
    scan = PickleScan()
    budget = rules.max_operations
    for number in range(limits.MAX_PICKLE_STREAMS):
        outcome = _follow(scan, source, rules, budget, where)
        if scan.end is None or scan.end == source.size or follow is Trailing.IGNORE:
            return scan
        budget -= outcome.operations
        if follow is Trailing.REFUSE:
            if not number:
                scan.hits.append(_trailing(source.size - scan.end, scan.end, where))
            if not sniff_pickle(Window(source, scan.end, source.size - scan.end)):
                return scan
    message = f"more than {limits.MAX_PICKLE_STREAMS} pickles one after another"
    scan.add([Hit("over-limit", Grade.UNSCANNABLE, message, where or None)])
    return scan


def _follow(scan: PickleScan, source: Source, rules: Rules, budget: int, where: str) -> Outcome:
    """The next pickle of ``source``, into ``scan``, whose ``end`` is where it begins."""
    reader = PickleReader(source, scan.end or 0)
    outcome = run(reader, rules.allow, max_operations=budget, where=where)
    scan.add(outcome.hits)
    scan.storages.update(outcome.storages)
    scan.operations += outcome.operations
    scan.end, scan.value = outcome.end, outcome.value
    return outcome


def _trailing(count: int, position: int, where: str) -> Hit:
    message = f"{count} bytes follow the end of the pickle, where loaders do not look"
    place = f"{where} byte {position}".strip()
    return Hit("trailing-bytes", Grade.SUSPICIOUS, message, place)


# Recognising pickles, which have no magic number.


def looks_like_pickle(head: bytes, size: int) -> bool:
    """Whether a file that begins so may be a pickle; a quick test that errs towards yes.

    With a protocol number in front (protocol 2 on) that decides. Otherwise the operations in the
    head are followed: a pickle is what reaches ``STOP`` at its end, what uses a name on the way, or
    what is still valid where the head ends. Before a file is called text, ask
    :func:`sniff_pickle`, which reads on.

    Args:
        head: the first bytes, a few kilobytes.
        size: of the whole file.
    """
    return _sniff(_Head(head, size), len(head))[0]


def sniff_pickle(source: Source) -> bool:
    """Whether a file is a pickle, or does what pickles do before it breaks off.

    Bounded by the limits on pickles; a file that exceeds them is said to be one.
    """
    return sniff_effort(source)[0]


def sniff_effort(source: Source) -> tuple[bool, int]:
    """:func:`sniff_pickle`, and how many operations it took to tell."""
    return _sniff(source, source.size)


def looks_like_legacy_torch(head: bytes) -> bool:
    """Whether this is what ``torch.save`` wrote before zip files: its first pickle is a magic."""
    body = head[2:] if head[:1] == b"\x80" else head
    body = body[_FRAME:] if body[:1] == b"\x95" else body  # protocols 4 and 5
    return body.startswith(_LEGACY_HEAD)


def _sniff(source: Source, seen: int) -> tuple[bool, int]:
    first = source.read(0, min(3, seen))
    if len(first) == 3 and first[0] == PROTO and 2 <= first[1] <= HIGHEST_PROTOCOL:
        return is_opcode(first[2]), 1
    position = operations = 0
    for _ in range(limits.MAX_PICKLE_STREAMS):
        reader = PickleReader(source, position, available=seen)
        outcome = run(
            reader, builtin_allow_list(), max_operations=limits.MAX_PICKLE_OPERATIONS, where=""
        )
        operations += outcome.operations
        if outcome.acts:
            return True, operations
        if outcome.broken is not None:
            if outcome.broken.code == "truncated-pickle" and seen < source.size:
                return True, operations  # valid as far as it was seen
            return outcome.broken.code == OVER_LIMIT, operations
        position = reader.position
        if position == source.size:
            return True, operations
    return True, operations


class _Head:
    """The beginning of a file, as a source of the file's size."""

    def __init__(self, head: bytes, size: int) -> None:
        self._head = head
        self._size = max(size, len(head))

    @property
    def size(self) -> int:
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        check_range(offset, length, len(self._head))
        return self._head[offset : offset + length]


# torch before 1.6.


def scan_legacy_torch(source: Source, rules: Rules, *, where: str = "") -> list[Hit]:
    """Everything that is wrong with a file of ``torch.save`` without zip.

    Raises:
        Unavailable: the source cannot be read.
    """
    return inspect_legacy_torch(source, rules, where=where).hits


def inspect_legacy_torch(source: Source, rules: Rules, *, where: str = "") -> PickleScan:
    """A file of ``torch.save`` without zip: magic number, protocol version, system information,
    the object, the keys of its storages, then the storages.

    All five pickles are loaded, in this order, so all are followed, whatever the first one makes.
    The storages have to be the ones the object asks for, with its sizes, and nothing may follow.

    Raises:
        Unavailable: the source cannot be read.
    """
    scan = PickleScan()
    values: list[Value] = []
    budget = rules.max_operations
    while len(values) < 5:
        budget -= _follow(scan, source, rules, budget, where).operations
        if scan.end is None:
            return scan
        values.append(scan.value)
    if (type(values[0]), values[0]) != (int, LEGACY_MAGIC) or type(values[1]) is not int:
        message = "the pickles in front are not those of a torch file"
        scan.add([Hit("not-legacy-torch", Grade.UNSCANNABLE, message, where or None)])
    elif values[1] != LEGACY_PROTOCOL:
        message = "the torch file has an unknown version"
        scan.add([Hit("not-legacy-torch", Grade.UNSCANNABLE, message, where or None)])
    scan.add(_check_storages(source, scan, values[4], where))
    return scan


def _check_storages(source: Source, scan: PickleScan, keys: Value, where: str) -> list[Hit]:
    position = scan.end or 0
    if type(keys) is not list or not all(type(key) is str for key in keys):
        return [_mismatch("the list of storages is not a list of keys", position, where)]
    if len(set(keys)) != len(keys) or set(keys) != scan.storages.keys():
        return [_mismatch("the storages are not those that the object uses", position, where)]
    for key in keys:
        name, count = scan.storages[key]
        width = ELEMENT_BYTES.get(name)
        if width is None:
            message = f"storage {key} is of a class without a size"
            return [Hit("storage-mismatch", Grade.UNSCANNABLE, message, where or None)]
        if position + 8 > source.size:
            return [_mismatch(f"storage {key} is cut off", position, where)]
        stored = int.from_bytes(source.read(position, 8), "little", signed=True)
        position += 8 + count * width
        if stored != count or position > source.size:
            return [_mismatch(f"storage {key} has another size than is used", position, where)]
    if position < source.size:
        message = f"{source.size - position} bytes follow the last storage"
        place = f"{where} byte {position}".strip()
        return [Hit("trailing-bytes", Grade.SUSPICIOUS, message, place)]
    return []


def _mismatch(message: str, position: int, where: str) -> Hit:
    place = f"{where} byte {position}".strip()
    return Hit("storage-mismatch", Grade.SUSPICIOUS, message, place)


ELEMENT_BYTES: Final = {
    "BFloat16Storage": 2,
    "BoolStorage": 1,
    "ByteStorage": 1,
    "CharStorage": 1,
    "ComplexDoubleStorage": 16,
    "ComplexFloatStorage": 8,
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "IntStorage": 4,
    "LongStorage": 8,
    "QInt32Storage": 4,
    "QInt8Storage": 1,
    "QUInt8Storage": 1,
    "ShortStorage": 2,
    "UntypedStorage": 1,
}
"""Bytes of one element, by storage class; the packed 2- and 4-bit classes have no whole number."""
