"""The OpenSSF Model Signing (OMS) v1.0 statement: reading every dialect, writing one.

Read:

* ``https://model_signing/signature/v1.0`` with method ``files`` or ``shards``, resources in any
  order, ``shard_size`` integer or integral fraction, shard algorithms ``sha256`` or
  ``sha256-sharded-<N>``, a single file called by its name or ``.``;
* ``https://model_signing/Digests/v0.1`` (v0.2-era): the files are the subjects, there is no root.

Written: ``files``, names in code-point order, sorted ``ignore_paths``, and in every resource the
``size`` and, beyond one chunk, ``chunk_size`` and ``chunks``. OMS readers ignore those three. They
are *interpreted* only in statements whose subject carries a tree digest v1: a stranger's ``size``
may mean anything.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.codec.bigjson import each_element, new_mark
from attest.codec.manifest import (
    TREE_DIGEST_NAME,
    Manifest,
    check_collisions,
    check_name,
    is_sorted,
    tree_digest_name,
)
from attest.codec.statement import (
    OMS_LEGACY_PREDICATE_TYPE,
    OMS_PREDICATE_TYPE,
    STATEMENT_TYPE,
    Subject,
    check_type,
    read_subject,
)
from attest.digest import HashAlgorithm, parse_hex
from attest.errors import MalformedInput, TooLarge, Unsupported

_RESOURCES: Final = re.compile(rb'"resources"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_SUBJECTS: Final = re.compile(rb'"subject"[ \t\r\n]*:[ \t\r\n]*(?=\[)')
_TYPE_MEMBER: Final = rb'"predicateType"[ \t\r\n]*:[ \t\r\n]*"%s"'
_LEGACY: Final = re.compile(_TYPE_MEMBER % re.escape(OMS_LEGACY_PREDICATE_TYPE.encode()))
_V1: Final = re.compile(_TYPE_MEMBER % re.escape(OMS_PREDICATE_TYPE.encode()))
_RANGE: Final = re.compile(r"(.+):(0|[1-9][0-9]{0,18}):([1-9][0-9]{0,18})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class OmsStatement:
    """One parsed OMS statement; as trustworthy as the signature over its bytes.

    Attributes:
        subject: name and digests of the whole; for v0.2-era statements a name only.
        manifest: the entries. ``manifest.sizes`` is None for statements of other tools.
        allow_symlinks: whether the signer followed symbolic links.
        ignore_paths: what the *signer* left out; the consumer bounds it.
        legacy: v0.2-era statement (no root digest, compat PAE).
        single_file: the only entry is called ``.``.
    """

    subject: Subject
    manifest: Manifest
    allow_symlinks: bool
    ignore_paths: tuple[str, ...]
    legacy: bool
    single_file: bool

    @property
    def carries_tree_digest(self) -> bool:
        """Whether names and sizes are bound by a tree digest v1 in the subject."""
        return self.manifest.tree_name() in self.subject.digests


def parse_oms(payload: bytes) -> OmsStatement:
    """Parse an OMS statement of up to ``limits.MAX_MANIFEST_ENTRIES`` resources.

    Raises:
        MalformedInput: not the format, unsafe or duplicate names, no resources, two subjects.
        Unsupported: another statement, predicate, method or hash.
    """
    # The predicate type decides which array is the large one; it is checked again below, in the
    # strictly parsed document.
    legacy = is_legacy_statement(payload)
    found = (_SUBJECTS if legacy else _RESOURCES).search(payload)
    if found is None or found.end() == len(payload):
        _explain(jsonstrict.typed(_small(payload, what="statement"), dict, where="statement"))
    assert found is not None
    raw = _RawEntries(legacy)
    end = each_element(payload, found.end(), raw.take, what="manifest")
    mark = new_mark()
    rest = payload[: found.end()] + f'"{mark}"'.encode() + payload[end:]
    document = jsonstrict.typed(_small(rest, what="statement"), dict, where="statement")
    check_type(document)
    kind = jsonstrict.member(document, "predicateType", str, where="statement")
    if kind == OMS_LEGACY_PREDICATE_TYPE and legacy:
        return _read_legacy(document, raw, mark)
    if kind != OMS_PREDICATE_TYPE or legacy:
        _explain(document)
    return _read_v1(document, raw, mark)


def _small(data: bytes, *, what: str) -> Any:
    return jsonstrict.loads(data, what=what)


def _explain(document: dict[str, Any]) -> None:
    """Say why a statement is not an OMS statement. Always raises."""
    check_type(document)
    kind = jsonstrict.member(document, "predicateType", str, where="statement")
    if kind != OMS_PREDICATE_TYPE:
        raise Unsupported(
            f"predicate type {kind[:120]!r} is not a model signature",
            code="unknown-predicate-type",
            hint=f"expected {OMS_PREDICATE_TYPE}",
        )
    raise MalformedInput("statement lists no resources", code="no-resources")


class _RawEntries:
    """Resources as they come out of the windows, put into columns at once."""

    def __init__(self, legacy: bool) -> None:
        self.legacy = legacy
        self.names: list[str] = []
        self.digests = bytearray()
        self.algorithms: dict[str, int] = {}
        self.width: int | None = None
        self.sizes: array[int] | None = array("Q")
        self.chunks: dict[int, tuple[int, list[Any]]] = {}
        self.assumed: set[int] = set()

    def take(self, elements: list[Any]) -> None:
        if len(self.names) + len(elements) > limits.MAX_MANIFEST_ENTRIES:
            raise TooLarge(f"manifest has over {limits.MAX_MANIFEST_ENTRIES} entries")
        for element in elements:
            if type(element) is not dict:
                jsonstrict.typed(element, dict, where=f"resources[{len(self.names)}]")
            self._take_one(element)

    def _take_one(self, entry: dict[str, Any]) -> None:
        if self.legacy:
            entry = _legacy_entry(entry, len(self.names))
        try:
            name, text, algorithm = entry["name"], entry["digest"], entry["algorithm"]
            value = bytes.fromhex(text)
            exact = value.hex() == text and type(name) is str and type(algorithm) is str
        except (KeyError, TypeError, ValueError):
            exact = False
        if not exact:
            _explain_entry(entry, len(self.names))
        if algorithm not in self.algorithms:
            self.algorithms[algorithm] = len(self.names)
        if self.width is None:
            self.width = len(value)
        elif len(value) != self.width:
            mixed = len(self.algorithms) > 1
            raise MalformedInput(
                f"algorithm {algorithm[:40]!r} differs from the others"
                if mixed
                else "digest differs in length from the others",
                where=name,
                code="algorithm-mismatch" if mixed else "malformed-digest",
            )
        self.names.append(name)
        self.digests += value
        self._take_extras(entry, len(self.names) - 1)

    def _take_extras(self, entry: dict[str, Any], index: int) -> None:
        size = entry.get("size")
        if type(size) is not int or not 0 <= size < 1 << 63:
            self.sizes = None
        elif self.sizes is not None:
            self.sizes.append(size)
        if "chunks" in entry:
            chunks, step = entry["chunks"], entry.get("chunk_size")
            if type(chunks) is list and type(step) is int:
                self.chunks[index] = (step, chunks)
        if entry.get("precomputed") is True:
            self.assumed.add(index)


def _explain_entry(entry: dict[str, Any], index: int) -> None:
    """Say what is wrong with a resource. Always raises."""
    where = f"resources[{index}]"
    for key in ("name", "digest", "algorithm"):
        jsonstrict.member(entry, key, str, where=where)
    raise MalformedInput(
        "digest is not lower-case hexadecimal", where=f"{where}.digest", code="malformed-digest"
    )


def _legacy_entry(entry: dict[str, Any], index: int) -> dict[str, Any]:
    """A v0.2-era subject as a resource."""
    where = f"statement.subject[{index}]"
    subject = read_subject(entry, where)
    if set(subject.digests) != {"sha256"}:
        raise Unsupported("v0.2-era subjects have exactly one sha256 digest", where=where)
    return {"name": subject.name, "digest": subject.digests["sha256"], "algorithm": "sha256"}


def _read_legacy(document: dict[str, Any], raw: _RawEntries, mark: str) -> OmsStatement:
    if document.get("subject") != mark:
        raise MalformedInput("statement has two lists of subjects", code="ambiguous-manifest")
    manifest = Manifest(HashAlgorithm.SHA256, raw.names, raw.digests)
    _check_entries(manifest, raw, None)
    return OmsStatement(Subject("", {}), manifest, False, (), True, raw.names == ["."])


def _read_v1(document: dict[str, Any], raw: _RawEntries, mark: str) -> OmsStatement:
    predicate = jsonstrict.member(document, "predicate", dict, where="statement")
    if predicate.get("resources") != mark:
        raise MalformedInput("statement has two lists of resources", code="ambiguous-manifest")
    subjects = jsonstrict.member(document, "subject", list, where="statement")
    if len(subjects) != 1:
        raise MalformedInput(
            f"a model signature has exactly one subject, not {len(subjects)}", code="subject-count"
        )
    entry = jsonstrict.typed(subjects[0], dict, where="statement.subject[0]")
    subject = read_subject(entry, "statement.subject[0]")
    if "sha256" not in subject.digests:
        raise MalformedInput("subject has no sha256 root digest", code="no-root-digest")
    parse_hex(subject.digests["sha256"], 32, what="root digest")
    where = "predicate.serialization"
    settings = jsonstrict.member(predicate, "serialization", dict, where="predicate")
    algorithm = HashAlgorithm.parse(jsonstrict.member(settings, "hash_type", str, where=where))
    shard_size = _read_method(settings, where)
    manifest = Manifest(algorithm, raw.names, raw.digests)
    _check_algorithms(raw, algorithm, shard_size)
    _check_entries(manifest, raw, shard_size)
    _check_tree_digests(subject, algorithm)
    if shard_size is not None:
        _split_ranges(manifest)
    trees = [key for key in subject.digests if key.startswith("attestTree")]
    if trees and trees != [tree_digest_name(algorithm)]:
        raise Unsupported(
            f"tree digest {trees[0][:40]!r} does not belong to a {algorithm} manifest",
            code="unknown-tree-digest",
        )
    if trees:
        _interpret_extras(manifest, raw)
    return OmsStatement(
        subject,
        manifest,
        jsonstrict.member(settings, "allow_symlinks", bool, where=where),
        _read_ignore_paths(settings, where),
        False,
        shard_size is None and raw.names == ["."],
    )


def _read_method(settings: dict[str, Any], where: str) -> int | None:
    """The shard size, or None for method ``files``."""
    method = jsonstrict.member(settings, "method", str, where=where)
    if method == "files":
        return None
    if method != "shards":
        raise Unsupported(f"method {method[:40]!r} is not supported", code="unknown-method")
    size = settings.get("shard_size")
    if isinstance(size, float) and size.is_integer():  # protobuf's JSON writes numbers as 8.0
        size = int(size)
    if type(size) is not int or not 0 < size < 1 << 53:
        raise MalformedInput("shard_size must be a positive integer", where=where)
    return size


def _check_algorithms(raw: _RawEntries, algorithm: HashAlgorithm, shard_size: int | None) -> None:
    allowed = {str(algorithm)}
    if shard_size is not None:
        allowed.add(f"{algorithm}-sharded-{shard_size}")
    for found, index in raw.algorithms.items():
        if found not in allowed:
            raise MalformedInput(
                f"algorithm {found[:40]!r} differs from the declared {algorithm}",
                where=raw.names[index],
                code="algorithm-mismatch",
            )
    if raw.width is not None and raw.width != algorithm.size:
        raise MalformedInput(f"digests are not {algorithm} digests", code="malformed-digest")


def _check_tree_digests(subject: Subject, algorithm: HashAlgorithm) -> None:
    """A tree digest over other content hashes than the listed ones could not be checked."""
    for name in subject.digests:
        if name.startswith(TREE_DIGEST_NAME) and name != tree_digest_name(algorithm):
            raise MalformedInput(
                f"subject has a tree digest that is not over {algorithm} digests",
                where=f"statement.subject[0].digest.{name[:40]}",
                code="algorithm-mismatch",
            )


def _check_entries(manifest: Manifest, raw: _RawEntries, shard_size: int | None) -> None:
    if not raw.names:
        raise MalformedInput(
            "statement lists no resources: it would cover nothing", code="no-resources"
        )
    if raw.width != manifest.algorithm.size:
        raise MalformedInput(
            f"digests are not {manifest.algorithm} digests", code="malformed-digest"
        )
    single = shard_size is not None and raw.names[0].startswith(".:")
    if raw.names != ["."] and not single:  # a single file in the reference's dialect
        manifest.check_names()


def _split_ranges(manifest: Manifest) -> None:
    """Take ``path:start:end`` apart (OMS method ``shards``; end is exclusive)."""
    ranges = array("Q")
    for index, name in enumerate(manifest.names):
        found = _RANGE.fullmatch(name)
        if found is None or int(found[2]) >= int(found[3]):
            raise MalformedInput("is not path:start:end", where=name[:200], code="malformed-range")
        if found[1] != ".":
            check_name(found[1])
        manifest.names[index] = found[1]
        ranges.extend((int(found[2]), int(found[3])))
    check_collisions(manifest.names)
    manifest.ranges = ranges


def _interpret_extras(manifest: Manifest, raw: _RawEntries) -> None:
    """Sizes and chunks, in statements whose tree digest binds them."""
    if manifest.ranges is not None or raw.sizes is None or not is_sorted(raw.names):
        raise MalformedInput(
            "a tree digest needs whole files in code-point order with sizes",
            code="tree-digest-without-sizes",
        )
    manifest.sizes = raw.sizes
    manifest.assumed = raw.assumed
    for index, (step, chunks) in raw.chunks.items():
        if step != manifest.chunk_size or len(chunks) != -(-raw.sizes[index] // step):
            raise MalformedInput(
                "chunk digests do not fit the size", where=raw.names[index], code="malformed-chunks"
            )
        manifest.chunks[index] = b"".join(
            parse_hex(jsonstrict.typed(chunk, str, where="chunks"), 32, what="chunk digest")
            for chunk in chunks
        )


def _read_ignore_paths(settings: dict[str, Any], where: str) -> tuple[str, ...]:
    listed = jsonstrict.optional(settings, "ignore_paths", list, where=where) or []
    if len(listed) > limits.MAX_IGNORE_PATHS:
        raise TooLarge(f"signer ignores {len(listed)} paths", where=where)
    return tuple(jsonstrict.typed(path, str, where=f"{where}.ignore_paths") for path in listed)


def encode_oms(
    name: str, manifest: Manifest, *, ignore_paths: Sequence[str], allow_symlinks: bool
) -> bytearray:
    """The statement's bytes, in the form that every implementation accepts.

    Args:
        name: base name of the directory or file.
        manifest: whole files with sizes, in code-point order.
    """
    subject = {
        "name": name,
        "digest": {
            "sha256": manifest.root().hex,
            manifest.tree_name(): manifest.tree_digest().hex,
        },
    }
    settings: dict[str, Any] = {
        "method": "files",
        "hash_type": str(manifest.algorithm),
        "allow_symlinks": allow_symlinks,
    }
    if ignore_paths:
        settings["ignore_paths"] = sorted(ignore_paths)
    head = json.dumps(
        {"_type": STATEMENT_TYPE, "subject": [subject], "predicateType": OMS_PREDICATE_TYPE},
        separators=(",", ":"),
    )[:-1]
    payload = bytearray(f'{head},"predicate":{{"serialization":'.encode())
    payload += json.dumps(settings, separators=(",", ":")).encode()
    payload += b',"resources":['
    for piece in _resource_pieces(manifest):
        payload += piece
    payload[-1:] = b"]}}"
    return payload


def _resource_pieces(manifest: Manifest) -> Iterator[bytes]:
    """Resources, each followed by a comma, a few thousand at a time."""
    quote, algorithm = json.encoder.encode_basestring_ascii, str(manifest.algorithm)
    width, step = manifest.algorithm.size, 4096
    sizes = manifest.sizes
    assert sizes is not None
    for start in range(0, len(manifest), step):
        names = manifest.names[start : start + step]
        digests = manifest.digests[start * width : (start + len(names)) * width].hex()
        lines = []
        for offset, name in enumerate(names):
            hexed = digests[2 * offset * width : 2 * (offset + 1) * width]
            lines.append(
                f'{{"name":{quote(name)},"digest":"{hexed}","algorithm":"{algorithm}",'
                f'"size":{sizes[start + offset]}{_extras(manifest, start + offset)}}},'
            )
        yield "".join(lines).encode("ascii")


def _extras(manifest: Manifest, index: int) -> str:
    text = ',"precomputed":true' if index in manifest.assumed else ""
    chunks = manifest.chunks.get(index)
    if chunks is not None:
        hexed = chunks.hex()
        listed = '","'.join(hexed[at : at + 64] for at in range(0, len(hexed), 64))
        text += f',"chunk_size":{manifest.chunk_size},"chunks":["{listed}"]'
    return text


def is_legacy_statement(payload: bytes) -> bool:
    """Whether the payload calls itself a v0.2-era statement (which has its own PAE)."""
    return _LEGACY.search(payload) is not None


def is_oms_payload(payload: bytes) -> bool:
    """Whether the payload calls itself an OMS statement of either generation."""
    return is_legacy_statement(payload) or _V1.search(payload) is not None
