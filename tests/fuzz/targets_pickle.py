"""Fuzz targets of the pickle scanner; see tests/fuzz/targets.py.

Two oracles. pickletools must see the same operations where both read to the end. And CPython's
unpickler, with every class replaced by an inert one, must not look up a name that the abstract
machine did not see: that would be a way past the allow-list.
"""

from __future__ import annotations

import collections
import contextlib
import json
import pickle
import pickletools
import warnings
from collections.abc import Callable
from typing import Final

from attest.codec.pickles import PickleReader
from attest.codec.reader import BytesSource
from attest.errors import Truncated
from attest.scan.allowlist import builtin_allow_list, check_site_name, parse_site_list
from attest.scan.grades import Rules
from attest.scan.machine import run
from attest.scan.pickles import inspect_pickle, looks_like_pickle, scan_legacy_torch, sniff_pickle
from attest.scan.tensors import tensor_facts
from tests.support.pickling import (
    HarmlessPython,
    call,
    dtype,
    name,
    names_asked_for,
    number,
    ordered_dict,
    simple_state,
    stack_name,
    stream,
    tensor,
    text,
)

_RULES: Final = Rules(builtin_allow_list(), max_operations=100_000)


def _operations(data: bytes) -> list[tuple[str, int | None]] | None:
    with contextlib.suppress(ValueError, MemoryError, OverflowError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pickletools undoes escapes in names
        return [(operation.name, at) for operation, _, at in pickletools.genops(data)]
    return None


def fuzz_pickles(data: bytes) -> None:
    source = BytesSource(data)
    reader = PickleReader(source)
    outcome = run(reader, _RULES.allow, max_operations=_RULES.max_operations)
    assert outcome.operations <= len(data) + 1
    found = inspect_pickle(source, _RULES, trailing="pickles")
    assert (outcome.broken is None) or found.hits
    scan_legacy_torch(source, _RULES)
    recognised = sniff_pickle(source)
    assert recognised or not outcome.acts or data[:1] == b"\x80"
    assert looks_like_pickle(data[:64], len(data)) or not recognised
    for hit in found.hits:
        assert hit.message.isprintable()
    codes = {hit.code for hit in outcome.hits}
    # a memo index or a length is memory that CPython takes at once
    if "memo-gap" not in codes and type(outcome.broken) is not Truncated:
        assert set(names_asked_for(data, HarmlessPython)) <= outcome.names
        broken_frame = outcome.broken is not None and b"\x95" in data
        if "frame-mismatch" not in codes and not broken_frame:  # there, readers disagree
            assert set(names_asked_for(data)) <= outcome.names
    if outcome.broken is not None:
        raise outcome.broken
    seen = _operations(data)
    if seen is not None:
        assert [(row[0], row[2]) for row in PickleReader(source)] == seen
    for fact in tensor_facts(source):
        assert all(size >= 0 for size in fact.shape)


def fuzz_allowlist(data: bytes) -> None:
    entries = parse_site_list(data)
    assert len(entries) == len(json.loads(data)["entries"])
    extended = builtin_allow_list().extended(entries)
    for entry in entries:
        check_site_name(entry.module, entry.name)
        assert extended.find(entry.module, entry.name) is not None
    assert (extended.digest == builtin_allow_list().digest) == (
        extended.entries == builtin_allow_list().entries
    )


def _pickles() -> list[bytes]:
    plain = {"a": [1, 2.5, None, "grün", b"x", (True, {3}, frozenset({4}))], "b": -(2**70)}
    made = [pickle.dumps(plain, protocol) for protocol in range(6)]
    made += [pickle.dumps(collections.OrderedDict(x=1), protocol) for protocol in (0, 2, 4)]
    array = call(
        name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\0\x85C\x01b"
    )
    made += [
        stream(ordered_dict() + text("w") + tensor() + b"s}" + text("_metadata") + b"}sb"),
        stream(array + b"(" + number(1) + b"K\x01\x85" + dtype("f8", *simple_state()) + b"\x89Ntb"),
        stream(stack_name("os", "system") + text("x") + b"\x85R", protocol=4),
        b"(S'x\\x41'\nios\nsystem\n.",
        stream(text("os") + b"\x940" + text("system") + b"\x940h\0h\x01\x93(l\x81}b", protocol=4),
        stream(call(name("builtins", "getattr"), name("x", "y"), text("z")) + b")R"),
        b"\x80\x04\x95\x05\0\0\0\0\0\0\0N0N0N.",
        b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}.\x80\x02].",
    ]
    return made


def _site_lists() -> list[bytes]:
    entry = {"module": "megatron.core.enums", "name": "ModelType", "reason": "an enum"}
    schema = "urn:attest-toolkit:scan-allow-list:v1"
    documents = [
        {"schema": schema, "entries": [entry, {**entry, "name": "Other", "use": "constant"}]},
        {"schema": schema, "entries": []},
        {"schema": schema, "entries": [{**entry, "module": "os"}]},
        {"schema": "urn:other", "entries": [entry]},
    ]
    return [json.dumps(document).encode() for document in documents]


SEEDS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "fuzz_pickles": _pickles,
    "fuzz_allowlist": _site_lists,
}


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    return SEEDS[name]()
