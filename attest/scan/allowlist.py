"""The names that a pickle may use: exact (module, name), nothing by pattern.

A name on the list was reviewed: looking it up, and using it as :class:`Use` says, neither runs code
that the file chooses nor reaches files, processes or the network. What is listed and why stands in
``docs/formats/scan-allow-list.md``; how its arguments are held to what picklers write, in
:mod:`attest.scan.arguments`.
"""

from __future__ import annotations

import enum
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.errors import MalformedInput, Unsupported
from attest.scan.danger import is_denied

SITE_LIST_SCHEMA: Final = "urn:attest-toolkit:scan-allow-list:v1"


class Use(enum.StrEnum):
    """What a listed name may be used for; each includes being mentioned.

    ``constant`` is never called. ``function`` is called. ``class`` is called, made with ``NEWOBJ``
    and, on a site's list, given state and items.
    """

    CONSTANT = "constant"
    FUNCTION = "function"
    CLASS = "class"


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One listed name.

    Attributes:
        site: added by a site: its arguments are not checked, the site answers for the name.
        reason: why a site added it; not part of the digest.
    """

    module: str
    name: str
    use: Use
    site: bool = False
    reason: str = ""


@dataclass(frozen=True)
class AllowList:
    """Reviewed names.

    Raises:
        ValueError: a (module, name) occurs twice.
    """

    entries: frozenset[Entry]

    def __post_init__(self) -> None:
        if len(self._by_name) != len(self.entries):
            raise ValueError("a name is listed twice")

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Entry]:
        return {(entry.module, entry.name): entry for entry in self.entries}

    def find(self, module: str, name: str) -> Entry | None:
        """The entry of exactly this name."""
        return self._by_name.get((module, name))

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of what the list allows: ``attest-scan-allow-list-v1``, a line feed, then
        for each entry in order ``module``, ``name``, ``use`` and ``site`` or ``builtin``, separated
        by spaces and ended by a line feed, in ASCII. Reasons are left out."""
        lines = sorted(
            f"{entry.module} {entry.name} {entry.use} {'site' if entry.site else 'builtin'}\n"
            for entry in self.entries
        )
        text = "attest-scan-allow-list-v1\n" + "".join(lines)
        return hashlib.sha256(text.encode("ascii")).hexdigest()

    def extended(self, entries: Iterable[Entry]) -> AllowList:
        """This list and more names. A name that is listed already keeps its stricter entry.

        Raises:
            Unsupported: ``cannot-allow``: a name that no site may add.
        """
        known = dict(self._by_name)
        for entry in entries:
            check_site_name(entry.module, entry.name)
            known.setdefault((entry.module, entry.name), entry)
        return AllowList(frozenset(known.values()))


_MODULE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)


def is_plain_name(module: str, name: str) -> bool:
    """Whether both are ASCII identifiers, and the name is a module's own (no dots)."""
    return _MODULE.fullmatch(module) is not None and _NAME.fullmatch(name) is not None


def check_site_name(module: str, name: str) -> None:
    """Refuse what no list may allow.

    Raises:
        MalformedInput: not the name of something in a module.
        Unsupported: ``cannot-allow``: on the table of dangerous names, or a builtin.
    """
    if not is_plain_name(module, name) or max(len(module), len(name)) > 512:
        raise MalformedInput(
            f"{ascii(module + ' ' + name)[:120]} is no module and name",
            hint="exactly one class or function per entry; attributes of classes cannot be allowed",
            code="bad-name",
        )
    if is_denied(module, name):
        raise Unsupported(
            f"a site list cannot allow {module}.{name}: it can run code or reach files",
            hint="convert the file so that it does without, for example to safetensors",
            code="cannot-allow",
        )


def parse_site_list(data: bytes) -> tuple[Entry, ...]:
    """A site's additions: ``{"schema", "entries": [{"module", "name", "reason", ["use"]}]}``.

    ``use`` is ``class`` unless given. The caller has verified who signed the bytes.

    Raises:
        TooLarge, Truncated, MalformedInput: not such a document, or a name twice.
        Unsupported: another schema, or a name that cannot be allowed.
    """
    what = "scan allow-list"
    document = jsonstrict.loads(data, what=what, max_bytes=limits.MAX_SITE_LIST_BYTES)
    root = jsonstrict.typed(document, dict, where=what)
    schema = jsonstrict.member(root, "schema", str, where=what)
    if schema != SITE_LIST_SCHEMA:
        raise Unsupported(f"{what} has schema {ascii(schema)[:80]}, not {SITE_LIST_SCHEMA}")
    entries: dict[tuple[str, str], Entry] = {}
    for number, item in enumerate(jsonstrict.member(root, "entries", list, where=what)):
        entry = _site_entry(item, f"{what}, entry {number}")
        if (entry.module, entry.name) in entries:
            raise MalformedInput(f"{entry.module}.{entry.name} is listed twice", where=what)
        entries[entry.module, entry.name] = entry
    return tuple(entries.values())


def _site_entry(item: Any, where: str) -> Entry:
    members = jsonstrict.typed(item, dict, where=where)
    unknown = members.keys() - {"module", "name", "reason", "use"}
    if unknown:
        raise MalformedInput(f"unknown member {ascii(min(unknown))[:60]}", where=where)
    module = jsonstrict.member(members, "module", str, where=where)
    name = jsonstrict.member(members, "name", str, where=where)
    reason = jsonstrict.member(members, "reason", str, where=where)
    use = members.get("use", Use.CLASS.value)
    if use not in tuple(Use):
        raise MalformedInput("'use' is class, function or constant", where=where)
    if not reason.strip():
        raise MalformedInput("'reason' is empty: say who reviewed it and why", where=where)
    check_site_name(module, name)
    return Entry(module, name, Use(use), site=True, reason=reason)


@cache
def builtin_allow_list() -> AllowList:
    """What torch's ``weights_only`` loading permits, numpy's arrays, and plain Python data."""
    listed = (
        (Use.CLASS, "collections", "Counter OrderedDict"),
        (Use.CLASS, "builtins", "bytearray bytes complex frozenset set"),
        (Use.FUNCTION, "_codecs", "encode"),
        (Use.FUNCTION, "torch._utils", _REBUILD),
        (Use.FUNCTION, "torch._tensor", "_rebuild_from_type_v2"),
        (Use.FUNCTION, "torch.serialization", "_get_layout"),
        (Use.FUNCTION, "torch.jit._pickle", _SCRIPT_LISTS),
        (Use.CLASS, "torch", "Size Tensor device"),
        (Use.CLASS, "torch.nn.parameter", "Parameter"),
        (Use.CONSTANT, "torch", _DTYPES),
        (Use.CONSTANT, "torch", _QSCHEMES),
        *((Use.CONSTANT, module, _STORAGES) for module in ("torch", "torch.cuda")),
        (Use.CONSTANT, "torch.storage", "TypedStorage UntypedStorage"),
        *((Use.CLASS, module, _TENSORS) for module in _TENSOR_MODULES),
        (Use.CLASS, "numpy", "dtype"),
        (Use.CONSTANT, "numpy", "ndarray"),
        *(
            (Use.FUNCTION, f"numpy.{core}.{module}", names)
            for core in ("core", "_core")
            for module, names in (
                ("multiarray", "_reconstruct scalar"),
                ("numeric", "_frombuffer"),
            )
        ),
    )
    return AllowList(
        frozenset(
            Entry(module, name, use) for use, module, names in listed for name in names.split()
        )
    )


_REBUILD: Final = """
_rebuild_device_tensor_from_cpu_tensor _rebuild_device_tensor_from_numpy
_rebuild_meta_tensor_no_storage _rebuild_parameter _rebuild_parameter_with_state _rebuild_qtensor
_rebuild_sparse_tensor _rebuild_tensor _rebuild_tensor_v2 _rebuild_tensor_v3
_rebuild_wrapper_subclass
"""

_SCRIPT_LISTS: Final = """
build_boollist build_doublelist build_intlist build_tensorlist restore_type_tag
"""

_DTYPES: Final = """
bfloat16 bool complex128 complex64 float16 float32 float64 int16 int32 int64 int8 uint8
qint32 qint8 quint2x4 quint4x2 quint8
bits16 bits1x8 bits2x4 bits4x2 bits8 complex32 float4_e2m1fn_x2 float8_e4m3fn float8_e4m3fnuz
float8_e5m2 float8_e5m2fnuz float8_e8m0fnu uint16 uint32 uint64
int1 int2 int3 int4 int5 int6 int7 uint1 uint2 uint3 uint4 uint5 uint6 uint7
"""

_QSCHEMES: Final = """
per_channel_affine per_channel_affine_float_qparams per_channel_symmetric per_tensor_affine
per_tensor_symmetric
"""

_STORAGES: Final = """
BFloat16Storage BoolStorage ByteStorage CharStorage ComplexDoubleStorage ComplexFloatStorage
DoubleStorage FloatStorage HalfStorage IntStorage LongStorage QInt32Storage QInt8Storage
QUInt2x4Storage QUInt4x2Storage QUInt8Storage ShortStorage
"""

_TENSORS: Final = """
BFloat16Tensor BoolTensor ByteTensor CharTensor DoubleTensor FloatTensor HalfTensor IntTensor
LongTensor ShortTensor
"""

_TENSOR_MODULES: Final = ("torch", "torch.cuda", "torch.sparse", "torch.cuda.sparse")
