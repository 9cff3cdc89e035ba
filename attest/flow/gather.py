"""Gather verified claims into a lineage.

Only claims that count make nodes and edges. Those that do not (by nobody who counts, or taken back)
mark what they are about as unverifiable, and nothing else. A file that cannot be read or is
malformed is not believed in part: it is told, and every answer is marked as incomplete.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from attest import limits
from attest.claim.lineage import Lineage
from attest.claim.mentions import Assertion
from attest.claim.predicates import REVOCATION_PREDICATE
from attest.claim.revocation import read_revocation
from attest.claim.store import split_claims
from attest.codec.bundle import UnverifiedBundle
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from attest.digest import Digest
from attest.errors import AttestError, MalformedInput, TooLarge, Unavailable, Unsupported
from attest.files import read_bounded
from attest.flow.assertions import Assertions
from attest.flow.claimset import ClaimsRead, read_claims
from attest.trust.principals import COUNTED_TWICE, Principals
from attest.verdict import Finding, Severity

CLAIMS_SUFFIX: Final = ".claims.jsonl"

_PART_BYTES: Final = 8 * limits.MIB

_TOLD: Final = 100
"""Findings of one code that are told; the rest is counted. The nodes carry their states anyway."""


@dataclass(frozen=True, slots=True)
class LoadedLineage:
    """What a set of claims files says.

    Attributes:
        lineage: the graph.
        files: how many files were read.
        others: claims in them that do not count.
        findings: what could not be believed.
        complete: every file was read and every claim that counts was understood.
        inputs: digests of the claims and of whom was trusted.
    """

    lineage: Lineage
    files: int
    others: int
    findings: tuple[Finding, ...]
    complete: bool
    inputs: Mapping[str, str]


def load_lineage(places: Iterable[Path], *, principals: Principals, at: datetime) -> LoadedLineage:
    """Read and verify claims files.

    Args:
        places: files, and folders below which every ``*.claims.jsonl`` is read; links inside
            folders are not followed.
        principals: whose claims count.
        at: the time to judge certificates and timestamps for.

    Raises:
        Unavailable: a named place is not there. TooLarge: more than ``limits.MAX_LINEAGE_FILES``.
        BadSignature: one signature or key stands for two principals, in one file or in several:
            which of them lies cannot be known, so no file is believed.
    """
    findings: list[Finding] = []
    gathered = _Gathered()
    owners: dict[bytes, str] = {}
    digests: list[str] = []
    for path in _claims_files(places, findings):
        try:
            data = read_bounded(path, limits.MAX_BUNDLE_BYTES, "claims file")
            digests.append(Digest.of(data).hex)
            gathered.add(_read(path, data, gathered.assertions, principals, at, owners))
        except AttestError as error:
            if error.code in COUNTED_TWICE:
                raise
            gathered.assertions.findings.clear()
            findings.append(_refused(error, str(path)))
    assertions = gathered.standing()
    findings += gathered.findings
    complete = not any(finding.outcome is Severity.WARN for finding in findings)
    return LoadedLineage(
        Lineage(assertions, gathered.unverified),
        len(digests),
        gathered.others,
        tuple(shortened(findings)),
        complete,
        {"claims": _together(digests), "principals": str(principals.digest)},
    )


@dataclass(slots=True)
class _File:
    """What one file says.

    Attributes:
        assertions: of the claims that count.
        revoked: claim id -> who takes it back.
        unverified: subjects of the claims that do not count.
        others: how many those are.
    """

    assertions: list[Assertion] = field(default_factory=list)
    revoked: list[tuple[str, frozenset[str]]] = field(default_factory=list)
    unverified: list[Mapping[str, str]] = field(default_factory=list)
    others: int = 0
    findings: list[Finding] = field(default_factory=list)


def _read(
    path: Path,
    data: bytes,
    reader: Assertions,
    principals: Principals,
    at: datetime,
    owners: dict[bytes, str],
) -> _File:
    """Verify one file, all of it or nothing.

    A part at a time: of 10^5 claims only what they say of origins is kept, a tenth of them.
    """
    file, first = _File(), 0
    for part in _parts(data):
        where = str(path) if not first else f"{path}: after line {first}"
        read = read_claims(part, principals=principals, at=at, where=where, owners=owners)
        for claim in read.verified:
            if claim.predicate_type == REVOCATION_PREDICATE:
                named = read_revocation(claim.statement.predicate).claim_id
                file.revoked.append((named, claim.principals))
            else:
                file.assertions.append(reader.read(claim, f"{path}:{first + claim.line}"))
        file.findings += read.findings
        file.others += read.others + len(read.withdrawn)
        if read.others or read.withdrawn:
            file.unverified += _not_counted(part, read)
        first += part.count(b"\n")
        if first > limits.MAX_CLAIMS:
            raise TooLarge(f"has more than {limits.MAX_CLAIMS} claims", where=str(path))
    return file


def _parts(data: bytes) -> Iterator[bytes]:
    """Whole lines, some megabytes at a time; a last line without its end comes last."""
    start = 0
    while start < len(data):
        end = data.find(b"\n", start + _PART_BYTES) + 1 or len(data)
        yield data[start:end]
        start = end


class _Gathered:
    """Claims of all files, each statement once."""

    def __init__(self) -> None:
        self.assertions = Assertions()
        self.unverified: list[Mapping[str, str]] = []
        self.others = 0
        self.findings: list[Finding] = []
        self._claims: dict[str, Assertion] = {}
        self._revokers: dict[str, set[str]] = {}

    def add(self, file: _File) -> None:
        for assertion in file.assertions:
            known = self._claims.setdefault(assertion.id, assertion)
            if known is not assertion:
                self._claims[assertion.id] = replace(
                    known,
                    principals=tuple(sorted({*known.principals, *assertion.principals})),
                    signers=tuple(sorted({*known.signers, *assertion.signers})),
                )
        for claim, principals in file.revoked:
            self._revokers.setdefault(claim, set()).update(principals)
        self.unverified += file.unverified
        self.others += file.others
        self.findings += (*file.findings, *self.assertions.findings)
        self.assertions.findings.clear()

    def standing(self) -> list[Assertion]:
        """What nobody took back, in whichever file: a claim whose signers all did no longer counts.

        A copy in another file must not bring a withdrawn claim back.
        """
        standing = []
        for assertion in self._claims.values():
            gone = self._revokers.get(assertion.id, set())
            left = tuple(name for name in assertion.principals if name not in gone)
            if left:
                standing.append(replace(assertion, principals=left) if gone else assertion)
            else:
                self.others += 1
                self.unverified += [dict(output.digests) for output in assertion.outputs]
        return standing


def _not_counted(data: bytes, read: ClaimsRead) -> Iterator[Mapping[str, str]]:
    """The subjects of the claims that do not count: unverified, and used for marks only."""
    counted = {claim.line for claim in read.verified}
    for number, line in enumerate(split_claims(data), 1):
        if number in counted:
            continue
        parsed = parse_signature(line)
        envelope = parsed.envelope if isinstance(parsed, UnverifiedBundle) else parsed
        try:
            statement = parse_statement(envelope.payload)
        except (MalformedInput, Unsupported):
            continue  # whoever wrote it, it names nothing
        yield from (subject.digests for subject in statement.subjects)


def _claims_files(places: Iterable[Path], findings: list[Finding]) -> list[Path]:
    """Every file once, in the order that they were named, those of a folder by name."""
    found: dict[Path, None] = {}
    for place in places:
        if place.is_dir():
            found.update(dict.fromkeys(_below(place, findings)))
        elif not place.exists():
            raise Unavailable(
                "the claims file does not exist", where=str(place), code="file-missing"
            )
        else:
            found[place] = None
        if len(found) > limits.MAX_LINEAGE_FILES:
            raise TooLarge(f"more than {limits.MAX_LINEAGE_FILES} claims files", where=str(place))
    return list(found)


def _below(top: Path, findings: list[Finding]) -> list[Path]:
    """The claims files below a folder. Links are told, not followed; so is what cannot be read."""
    files: list[Path] = []
    folders, seen = [(top, 0)], 0
    while folders:
        folder, depth = folders.pop()
        seen += 1
        if seen > limits.MAX_FOLLOWED_FOLDERS or depth > limits.MAX_TREE_DEPTH:
            raise TooLarge("too many folders, or too deep", where=str(folder))
        try:
            entries = list(os.scandir(folder))
        except OSError as error:
            findings.append(_unread(str(folder), f"cannot be read ({error.strerror})"))
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folders.append((Path(entry.path), depth + 1))
            elif entry.name.endswith(CLAIMS_SUFFIX):
                if entry.is_symlink():
                    findings.append(_unread(entry.path, "is a symbolic link and is not followed"))
                else:
                    files.append(Path(entry.path))
        if len(files) > limits.MAX_LINEAGE_FILES:
            raise TooLarge(f"more than {limits.MAX_LINEAGE_FILES} claims files", where=str(top))
    return sorted(files)


def _together(digests: Sequence[str]) -> str:
    """One digest for all files: of the only one, or of the list of theirs."""
    if len(digests) == 1:
        return f"sha256:{digests[0]}"
    return str(Digest.of("".join(f"{each}\n" for each in digests).encode("ascii")))


def shortened(findings: Iterable[Finding]) -> list[Finding]:
    """The first findings of each code, and how many more there are."""
    told: list[Finding] = []
    counts: Counter[str] = Counter()
    last: dict[str, Finding] = {}
    for finding in findings:
        counts[finding.code] += 1
        last[finding.code] = finding
        if counts[finding.code] <= _TOLD:
            told.append(finding)
    for code, count in counts.items():
        if count > _TOLD:
            message = f"and {count - _TOLD} more like these"
            told.append(Finding(code, last[code].outcome, message, details={"more": count - _TOLD}))
    return told


def _refused(error: AttestError, path: str) -> Finding:
    return Finding(
        "claims-refused",
        Severity.WARN,
        f"not used, so that the answer may be incomplete: {error.message}",
        error.where or path,
        error.hint,
        {"reason": error.code},
    )


def _unread(where: str, message: str) -> Finding:
    return Finding(
        "claims-unread", Severity.WARN, f"{message}: the answer may be incomplete", where
    )
