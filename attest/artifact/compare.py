"""Compare a tree with a manifest: what changed, what is missing, what nobody signed.

Every file on disk ends in exactly one class:

* listed in the manifest: hashed and compared;
* the signature file that is being verified;
* another signature over the same files, under a signature's name at the root: a warning;
* under a path that the *consumer* allows to be unsigned: ``uncovered``, a warning;
* git's two plain files at the root, where the signer ignored them: a warning (every OMS tool leaves
  them out);
* under a path that only the *signer* ignored: ``uncovered``, refused;
* none of these: extra, refused.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from attest import limits
from attest.artifact.hashing import (
    FileChanged,
    Progress,
    check_unchanged,
    hash_listed,
    hash_range,
    open_listed,
)
from attest.artifact.layout import describe_shard, numbered_problems
from attest.artifact.names import PLAIN_GIT_FILES, SIGNATURE_NAMES, covering_path, normalise_ignored
from attest.artifact.walk import Listing, Problem
from attest.codec.bundle import UnverifiedBundle
from attest.codec.manifest import Manifest
from attest.codec.oms import OmsStatement, parse_oms
from attest.codec.signature import parse_signature
from attest.digest import HashAlgorithm
from attest.errors import AttestError
from attest.files import read_bounded
from attest.verdict import Finding, Severity


@dataclass(slots=True)
class Comparison:
    """The result of comparing.

    Attributes:
        findings: one per difference, sorted by kind and name.
        files, size: how many files and bytes were compared and found equal.
        listed: files in the manifest.
    """

    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    size: int = 0
    listed: int = 0

    @property
    def refused(self) -> bool:
        """Whether any finding decides against the artifact."""
        return any(found.outcome in (Severity.FAIL, Severity.ERROR) for found in self.findings)

    def refuse(self, code: str, name: str, message: str, **details: object) -> None:
        self.findings.append(Finding(code, Severity.FAIL, message, where=name, details=details))


@dataclass(frozen=True, slots=True)
class Scope:
    """What the consumer wants compared.

    Attributes:
        only: compare names that match one of these shell patterns (``*`` crosses ``/``); none: all.
        allow_ignore: paths that may be unsigned; exact, or a folder with all below.
        signature_name: the signature file, relative to the root, if it lies inside.
        follow_symlinks: the consumer accepts links (inside the root).
    """

    only: tuple[str, ...] = ()
    allow_ignore: tuple[str, ...] = ()
    signature_name: str | None = None
    follow_symlinks: bool = False

    def matcher(self) -> Callable[[str], bool]:
        if not self.only:
            return lambda _: True
        pattern = re.compile("|".join(fnmatch.translate(each) for each in self.only))
        return lambda name: pattern.match(name) is not None


def compare_tree(
    listing: Listing, statement: OmsStatement, scope: Scope, progress: Progress | None = None
) -> Comparison:
    """Compare a listed artifact with a statement whose signature was verified.

    Raises:
        Unavailable: the root vanished.
    """
    result = Comparison()
    manifest = _fit_single(listing, statement, result)
    if manifest is None:
        return result
    result.listed = len(manifest) if manifest.ranges is None else len(set(manifest.names))
    pairs = _pair(listing, statement, scope, result)
    if manifest.ranges is None:
        _compare_files(listing, manifest, pairs, result, progress)
    else:
        _compare_ranges(listing, manifest, pairs, result)
    _check_patterns(scope, [listing.names[position] for position in pairs.positions], result)
    result.findings += _incomplete(manifest)
    result.findings.sort(key=lambda finding: (finding.code, finding.where or ""))
    return result


def _check_patterns(scope: Scope, compared: Sequence[str], result: Comparison) -> None:
    """Every pattern must have chosen something; what it chose and was refused is told already."""
    if result.refused:
        return
    for pattern in scope.only:
        matches = re.compile(fnmatch.translate(pattern)).match
        if not any(map(matches, compared)):
            result.refuse("only-matches-nothing", pattern, "no signed file matches this pattern")


def _incomplete(manifest: Manifest) -> list[Finding]:
    """A checkpoint that was signed with shards missing is whole in the signer's eyes only."""
    return [
        Finding(
            "checkpoint-incomplete",
            Severity.WARN,
            f"was signed as it is: {problem.message}",
            where=problem.name,
        )
        for problem in numbered_problems(set(manifest.names))
    ]


def _fit_single(listing: Listing, statement: OmsStatement, result: Comparison) -> Manifest | None:
    """For single-file artifacts, call the entry by the file's name, in either dialect."""
    manifest = statement.manifest
    dot = manifest.names[0] == "."
    if listing.single and len(set(manifest.names)) == 1 and dot:
        manifest.names = [listing.names[0]] * len(manifest.names)
    elif dot or (listing.single and len(set(manifest.names)) != 1):
        result.refuse(
            "wrong-kind-of-path",
            listing.names[0] if listing.single else ".",
            "the signature is over one file, and this is a folder"
            if dot
            else "the signature is over a folder of files, and this is one file",
        )
        return None
    return manifest


@dataclass(slots=True)
class _Pairs:
    """Files on disk and their entries: two parallel sequences, ranges where all match in order."""

    positions: Sequence[int] = field(default_factory=list)
    indexes: Sequence[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.positions)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.positions, self.indexes, strict=True)


def _pair(listing: Listing, statement: OmsStatement, scope: Scope, result: Comparison) -> _Pairs:
    """Files to compare with their entries; notes everything that has no partner."""
    names = statement.manifest.names
    if listing.names == names and not scope.only and not listing.problems:
        listing.names = names  # one list instead of two equal ones
        return _Pairs(range(len(names)), range(len(names)))
    known = dict(zip(reversed(names), range(len(names) - 1, -1, -1), strict=True))
    wanted = scope.matcher()
    _classify_problems(listing, known, statement, scope, wanted, result)
    positions, indexes, seen = [], [], {problem.name for problem in listing.problems}
    uncovered: dict[str, int] = {}
    for position, name in enumerate(listing.names):
        if not wanted(name):
            continue
        index = known.get(name)
        if index is None:
            _no_entry(name, statement, scope, uncovered, result, listing.single)
        else:
            positions.append(position)
            indexes.append(index)
            seen.add(name)
    for path, count in uncovered.items():
        is_file = path in listing.names  # and no folder of that name, which may hold anything
        tolerated = is_file and path in PLAIN_GIT_FILES
        is_other = is_file and _is_other_signature(listing, path, statement)
        _uncovered(path, count, scope, result, tolerated=tolerated, other_signature=is_other)
    hidden = tuple(problem.name + "/" for problem in listing.problems)  # told as what hides them
    for name in known:
        if name not in seen and wanted(name) and not name.startswith(hidden):
            _missing(name, result)
    return _Pairs(positions, indexes)


def _no_entry(
    name: str,
    statement: OmsStatement,
    scope: Scope,
    uncovered: dict[str, int],
    result: Comparison,
    single: bool,
) -> None:
    if name == scope.signature_name:
        return
    path = covering_path(name, (*scope.allow_ignore, *statement.ignore_paths))
    if name in SIGNATURE_NAMES:  # exactly: a folder of that name may hold anything
        path = name
    if path is not None and not single:
        uncovered[path] = uncovered.get(path, 0) + 1
        return
    shard = describe_shard(name)
    if shard:
        result.refuse("shard-extra", name, f"{shard} is there and is not signed")
    else:
        result.refuse("file-extra", name, "is there and is not signed")


def _uncovered(
    path: str,
    count: int,
    scope: Scope,
    result: Comparison,
    *,
    tolerated: bool = False,
    other_signature: bool = False,
) -> None:
    files = "1 file" if count == 1 else f"{count} files"
    allowed = covering_path(path, scope.allow_ignore) is not None
    accepted = allowed or tolerated or other_signature
    message = f"is not covered by the signature ({files})"
    if other_signature:
        message = "is another signature over the same files, and was not verified"
    result.findings.append(
        Finding(
            "file-uncovered",
            Severity.WARN if accepted else Severity.FAIL,
            message,
            where=path,
            hint=None if accepted else _uncovered_hint(path),
            details={"files": count, "allowed": allowed},
        )
    )


def _is_other_signature(listing: Listing, path: str, statement: OmsStatement) -> bool:
    """Whether a file with a signature's name is one, over these very files.

    Every signature of ours leaves these names out, so that several can lie side by side. The name
    alone excuses nothing: a loader that takes all of ``*.json`` would read what lies there.
    """
    if path not in SIGNATURE_NAMES:
        return False
    try:
        data = read_bounded(listing.root / path, limits.MAX_BUNDLE_BYTES, "signature")
        other = parse_signature(data)
        envelope = other.envelope if isinstance(other, UnverifiedBundle) else other
        manifest = parse_oms(envelope.payload).manifest
    except AttestError:
        return False
    return manifest.lists_the_same(statement.manifest)


def _uncovered_hint(path: str) -> str:
    try:
        (allowable,) = normalise_ignored([path])
    except ValueError:
        return "the signer left everything out; ask for a signature that covers the files"
    return f"the signer left it out; if that is all right: --allow-ignore {allowable}"


def _missing(name: str, result: Comparison) -> None:
    shard = describe_shard(name)
    if shard:
        result.refuse("shard-missing", name, f"{shard} is signed and is not there")
    else:
        result.refuse("file-missing", name, "is signed and is not there")


def _classify_problems(
    listing: Listing,
    known: dict[str, int],
    statement: OmsStatement,
    scope: Scope,
    wanted: Callable[[str], bool],
    result: Comparison,
) -> None:
    """Links, devices, odd names: refused unless the consumer allows their path to be unsigned."""
    for problem in listing.problems:
        if problem.name == scope.signature_name:
            continue  # a link, say; it was read and verified as what it points to
        if problem.name not in known and covering_path(problem.name, scope.allow_ignore):
            _uncovered(problem.name, 1, scope, result)
        elif not scope.only or wanted(problem.name) or _may_hide(problem):
            result.findings.append(problem_finding(problem, statement))


def _may_hide(problem: Problem) -> bool:
    """Whether files that a pattern asks for could lie behind the problem."""
    return problem.unreadable or problem.code != "special-file"


def problem_finding(problem: Problem, statement: OmsStatement | None = None) -> Finding:
    """A problem of the tree as a finding."""
    hint = None
    if problem.code == "symlink-refused":
        hint = "replace it by the file itself, or use --follow-symlinks"
        if statement is not None and statement.allow_symlinks:
            hint = "the signer followed links; if that is all right: --follow-symlinks"
    return Finding(
        problem.code,
        Severity.ERROR if problem.unreadable else Severity.FAIL,
        problem.message,
        where=problem.name.encode("utf-8", "backslashreplace").decode("utf-8"),
        hint=hint,
    )


def _compare_files(
    listing: Listing,
    manifest: Manifest,
    pairs: _Pairs,
    result: Comparison,
    progress: Progress | None,
) -> None:
    if manifest.sizes is not None and listing.sizes != manifest.sizes:
        pairs = _same_size(listing, manifest, pairs, result)
    hashed = hash_listed(listing, pairs.positions, manifest.algorithm, progress=progress)
    result.findings += [problem_finding(problem) for problem in hashed.problems]
    if not hashed.problems and hashed.digests == manifest.digests and _in_order(pairs, manifest):
        result.files, result.size = len(pairs), sum(listing.sizes)
        return
    failed = {problem.name for problem in hashed.problems}
    width = manifest.algorithm.size
    for at, (position, index) in enumerate(pairs):
        if listing.names[position] in failed:
            continue
        found = hashed.digests[at * width : (at + 1) * width]
        if found == manifest.digests[index * width : (index + 1) * width]:
            result.files += 1
            result.size += listing.sizes[position]
        else:
            _changed(listing, position, manifest, index, found.hex(), result)


def _in_order(pairs: _Pairs, manifest: Manifest) -> bool:
    """Whether the pairs are all files of tree and manifest, one to one."""
    return pairs.positions == range(len(manifest)) == pairs.indexes


def _changed(
    listing: Listing, position: int, manifest: Manifest, index: int, found: str, result: Comparison
) -> None:
    details: dict[str, object] = {"expected": manifest.digest(index).hex(), "found": found}
    message = "content differs from what was signed"
    if index in manifest.chunks:
        ranges = _changed_ranges(listing, position, manifest, index)
        details["ranges"] = ranges
        if ranges:
            message += f", first between bytes {ranges[0][0]} and {ranges[0][1]}"
    result.refuse("file-changed", listing.names[position], message, **details)


def _same_size(listing: Listing, manifest: Manifest, pairs: _Pairs, result: Comparison) -> _Pairs:
    """Pairs whose size is the signed one; the others differ, and need no hashing."""
    sizes = manifest.sizes
    assert sizes is not None
    positions, indexes = [], []
    for position, index in pairs:
        size, signed = listing.sizes[position], sizes[index]
        if size == signed:
            positions.append(position)
            indexes.append(index)
            continue
        what = "was truncated" if size < signed else "has grown"
        result.refuse(
            "file-changed",
            listing.names[position],
            f"{what}: {size} bytes instead of {signed}",
            expected_size=signed,
            found_size=size,
        )
    return _Pairs(positions, indexes)


def _changed_ranges(
    listing: Listing, position: int, manifest: Manifest, index: int
) -> list[list[int]]:
    """Byte ranges (start, end) of the signed chunks that differ; at most 20."""
    chunks, step, size = manifest.chunks[index], manifest.chunk_size, listing.sizes[position]
    ranges: list[list[int]] = []
    try:
        handle = open_listed(listing, position)
    except (OSError, FileChanged):
        return ranges
    try:
        for number, start in enumerate(range(0, size, step)):
            end = min(start + step, size)
            digest = hash_range(handle, start, end, HashAlgorithm.SHA256)
            if digest != chunks[32 * number : 32 * (number + 1)] and len(ranges) < 20:
                ranges.append([start, end])
    except (OSError, FileChanged):
        return ranges  # informative only: the file is refused already
    finally:
        os.close(handle)
    return ranges


def _compare_ranges(
    listing: Listing, manifest: Manifest, pairs: _Pairs, result: Comparison
) -> None:
    """OMS method ``shards``: byte ranges must cover each file exactly and agree."""
    entries: dict[str, list[int]] = {}
    for index, name in enumerate(manifest.names):
        entries.setdefault(name, []).append(index)
    for position, _ in pairs:
        name, size = listing.names[position], listing.sizes[position]
        if not _covers(manifest, entries[name], size):
            result.refuse("file-changed", name, "signed byte ranges do not cover the file")
            continue
        try:
            changed = _changed_entries(listing, position, manifest, entries[name])
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            problem = Problem(name, "file-unreadable", message, unreadable=True)
            result.findings.append(problem_finding(problem))
        except FileChanged:
            result.refuse("file-changed-while-read", name, "changed while it was being read")
        else:
            if changed:
                result.refuse("file-changed", name, "content differs", ranges=changed[:20])
            else:
                result.files += 1
                result.size += size


def _covers(manifest: Manifest, indexes: list[int], size: int) -> bool:
    ranges = manifest.ranges
    assert ranges is not None
    end = 0
    for start, stop in sorted((ranges[2 * i], ranges[2 * i + 1]) for i in indexes):
        if start != end:
            return False
        end = stop
    return end == size


def _changed_entries(
    listing: Listing, position: int, manifest: Manifest, indexes: list[int]
) -> list[list[int]]:
    ranges = manifest.ranges
    assert ranges is not None
    handle = open_listed(listing, position)
    try:
        before = os.fstat(handle)
        changed = [
            [ranges[2 * i], ranges[2 * i + 1]]
            for i in indexes
            if hash_range(handle, ranges[2 * i], ranges[2 * i + 1], manifest.algorithm)
            != manifest.digest(i)
        ]
        check_unchanged(before, os.fstat(handle), listing.sizes[position])
        return changed
    finally:
        os.close(handle)
