"""Scan an artifact, and say what was scanned.

What is scanned is what is listed: every file is opened through the listing (device, inode and size
must be those that were listed) and must not have changed when it has been read. With a subject, the
same files are hashed while their bytes are still in the page cache, and compared with what was
signed: a scan result is about digests or it is about nothing.

Checks: (1) nothing in the tree but plain files; (2) every file graded; (3) with a subject, no file
missing, no other file, no other content.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attest import limits
from attest._version import __version__
from attest.artifact.content import ArtifactContent
from attest.artifact.hashing import FileChanged, Progress, check_unchanged
from attest.artifact.names import GIT_PATHS, PLAIN_GIT_FILES, SIGNATURE_NAMES, covering_path
from attest.artifact.walk import Listing, list_files
from attest.claim.scan import MAX_CODES, MAX_LISTED, NotClean, ScanClaim
from attest.digest import Digest
from attest.errors import (
    AttestError,
    DigestMismatch,
    VerificationFailed,
)
from attest.files import FileSource, read_bounded
from attest.flow.siblings import explained
from attest.flow.subject import ArtifactSubject, subject_from_signature
from attest.scan.allowlist import AllowList, builtin_allow_list, parse_site_list
from attest.scan.engine import scan_source
from attest.scan.grades import FileScan, Grade, Hit, Rules
from attest.verdict import Finding, Severity, Verdict

if TYPE_CHECKING:
    from attest.trust.signers import Trust

SCANNER: Final = "attest-scan"

_TOLD_HITS: Final = 50
"""Hits of one file in a finding; the rest are counted."""

_HASH_AFTER: Final = 4096 * limits.MIB
"""Bytes scanned before they are hashed: what should still be in the page cache."""

_UNSCANNED: Final = tuple(path for path in GIT_PATHS if path not in PLAIN_GIT_FILES)
"""Folders of git: not part of what is signed, and not what a loader reads."""


@dataclass(slots=True)
class ScanReport:
    """What a scan came to.

    Attributes:
        path: the artifact.
        rules: what it was judged by.
        files: one for each file, in code-point order.
        size: bytes scanned.
        ignored: paths inside that were not scanned: signatures, git's folders.
        problems: findings about the tree and its reading, not about contents.
        subject: what the content was compared with, if that held.
    """

    path: Path
    rules: Rules
    files: list[FileScan] = field(default_factory=list)
    size: int = 0
    ignored: tuple[str, ...] = ()
    problems: list[Finding] = field(default_factory=list)
    subject: ArtifactSubject | None = None

    @property
    def counts(self) -> dict[str, int]:
        """Files by grade, all grades."""
        found = Counter(file.grade for file in self.files)
        return {grade.value: found[grade] for grade in Grade}

    def findings(self) -> list[Finding]:
        """One for what is clean, one for each file that is not, and the problems."""
        clean = self.counts[Grade.CLEAN.value]
        made = []
        if clean:
            text = f"{clean} file(s) are clean"
            made.append(Finding("scan-clean", Severity.PASS, text, details={"files": clean}))
        unclean = [file for file in self.files if file.grade is not Grade.CLEAN]
        unclean.sort(key=lambda file: (-file.grade.rank, file.name))
        return made + [_finding(file) for file in unclean] + self.problems

    def describe(self) -> dict[str, Any]:
        """JSON-compatible: scanner, allow-list, counts."""
        return {
            "scanner": {"name": SCANNER, "version": __version__},
            "allowList": {"digest": {"sha256": self.rules.allow.digest}},
            "files": self.counts,
            "bytes": self.size,
            "ignored": list(self.ignored),
        }

    def verdict(self, at: datetime) -> Verdict:
        """Pass only if every file is clean and there is no problem.

        Args:
            at: timezone-aware.
        """
        return Verdict.conclude(
            self.findings(),
            subject={"name": self.path.name, "path": str(self.path), **self.describe()},
            inputs={"allow-list": f"sha256:{self.rules.allow.digest}"},
            at=at,
        )

    def claim(self) -> ScanClaim:
        """The claim about the subject; failed scans are claimed too.

        Raises:
            VerificationFailed: ``scan-incomplete``: a link, a device, a file that could not be read
                or that changed. A claim speaks of the whole artifact.
            ValueError: there was no subject.
        """
        if self.subject is None:
            raise ValueError("a claim needs a subject")
        decisive = (Severity.FAIL, Severity.ERROR)
        broken = [problem for problem in self.problems if problem.outcome in decisive]
        if broken:
            raise VerificationFailed(
                f"not all of it was scanned ({broken[0].message}), so that nothing is claimed",
                where=broken[0].where,
                code="scan-incomplete",
            )
        unclean = [file for file in self.files if file.grade is not Grade.CLEAN]
        unclean.sort(key=lambda file: (-file.grade.rank, file.name))
        return ScanClaim(
            SCANNER,
            __version__,
            self.rules.allow.digest,
            self.counts,
            tuple(_entry(file) for file in unclean[:MAX_LISTED]),
            len(unclean[MAX_LISTED:]),
            _limits(self.rules),
            self.ignored,
        )


def default_rules(allow: AllowList | None = None) -> Rules:
    """The rules with the built-in allow-list, or another one."""
    return Rules(allow or builtin_allow_list())


def load_site_list(path: Path, trust: Trust, at: datetime) -> AllowList:
    """The built-in allow-list and a site's signed additions.

    The list is an artifact of one file, signed as any other. The bytes that are parsed are those
    whose digest the signature states; the file is read once.

    Args:
        path: the list; its signature lies beside it (``attest sign FILE``).
        trust: who must have signed it.
        at: the time to judge certificates and timestamps for.

    Raises:
        VerificationFailed and its kinds: not signed, by somebody else, or changed since.
        MalformedInput, Unsupported: not such a list, or a name in it that no site may allow.
        Unavailable: it cannot be read.
    """
    data = read_bounded(path, limits.MAX_SITE_LIST_BYTES, "scan allow-list")
    subject = subject_from_signature(path, trust, at)
    manifest = subject.manifest
    if len(manifest) != 1 or manifest.digest(0) != Digest.of(data, manifest.algorithm).value:
        raise DigestMismatch(
            "is not the allow-list that was signed", where=str(path), code="file-changed"
        )
    try:
        return builtin_allow_list().extended(parse_site_list(data))
    except AttestError as error:
        raise error.within(str(path)) from None


def scan_artifact(
    path: str | os.PathLike[str],
    *,
    rules: Rules,
    subject: ArtifactSubject | None = None,
    follow_symlinks: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ScanReport:
    """Scan a directory or a file. What is found is in the report, not raised.

    Args:
        path: the artifact.
        rules: allow-list and limits.
        subject: compare the content with it; the report then may be claimed.
        follow_symlinks: scan what links point to, if that lies inside the artifact.
        workers: threads that help with checksums; default: usable processors.

    Raises:
        Unavailable: ``path`` cannot be listed. MalformedInput: it is a device.
        DigestMismatch, VerificationFailed: with a subject: the content is another.
    """
    path = Path(path)
    report = ScanReport(path, rules)
    listing = _list(path, follow_symlinks, report)
    content = ArtifactContent(listing)
    if subject is not None:
        _check_names(listing, subject, report)
    with ThreadPoolExecutor(workers or len(os.sched_getaffinity(0))) as pool:
        _scan_all(content, report, pool, subject, progress)
    if subject is not None:
        report.subject = subject
    report.files = explained(report.files, content)
    return report


def _list(path: Path, follow_symlinks: bool, report: ScanReport) -> Listing:
    ignored: set[str] = set()

    def skip(name: str) -> bool:
        covering = covering_path(name, _UNSCANNED)
        if name in SIGNATURE_NAMES and not os.path.isdir(path / name):  # a folder may hold anything
            covering = name
        if covering is None:
            return False
        ignored.add(covering)
        return True

    listing = list_files(path, follow_symlinks=follow_symlinks, skip=skip)
    report.ignored = tuple(sorted(ignored))
    for name in sorted(ignored - SIGNATURE_NAMES):
        text = "is git's own and was not scanned"
        report.problems.append(Finding("not-scanned", Severity.WARN, text, where=name))
    for problem in listing.problems:
        severity = Severity.ERROR if problem.unreadable else Severity.FAIL
        report.problems.append(Finding(problem.code, severity, problem.message, problem.name))
    return listing


def _check_names(listing: Listing, subject: ArtifactSubject, report: ScanReport) -> None:
    """Check 3, as far as names go: exactly the files of the subject, and none twice."""
    if listing.single:
        if len(subject.manifest) != 1:
            raise DigestMismatch(
                "is one file, and was signed as a folder of files",
                where=listing.names[0],
                code="wrong-kind-of-path",
            )
        return
    listed, signed = set(listing.names), set(subject.manifest.names)
    faults: list[AttestError] = [
        DigestMismatch("was signed and is not there", where=name, code="file-missing")
        for name in sorted(signed - listed)
    ]
    for name in sorted(listed - signed):
        if covering_path(name, subject.ignored) is None:
            faults.append(
                DigestMismatch("is there and was not signed", where=name, code="file-extra")
            )
        else:
            report.ignored += (name,)
    if faults:
        first, *rest = faults
        first.also = tuple(rest)
        raise first


def _scan_all(
    content: ArtifactContent,
    report: ScanReport,
    pool: ThreadPoolExecutor,
    subject: ArtifactSubject | None,
    progress: Progress | None,
) -> None:
    names = content.names
    signed = None if subject is None else set(subject.manifest.names)
    if progress:
        progress.begin(len(names), sum(map(content.size, names)))
    try:
        pending: list[str] = []
        waiting = 0
        for name in names:
            _scan_one(content, name, report, pool)
            size = content.size(name)
            report.size += size
            if progress:
                progress.advance(1, size)
            if subject is not None and (len(names) == 1 or name in (signed or ())):
                pending.append(name)
                waiting += size
            if subject is not None and waiting > _HASH_AFTER:
                content.match(subject.manifest, pending)
                pending, waiting = [], 0
        if subject is not None and pending:
            content.match(subject.manifest, pending)
    finally:
        if progress:
            progress.end()


def _scan_one(
    content: ArtifactContent, name: str, report: ScanReport, pool: ThreadPoolExecutor
) -> None:
    try:
        with content.open(name) as source:
            scanned = scan_source(name, source, report.rules, pool=pool)
            _check_still(source, name)
    except AttestError as error:
        hit = Hit(error.code, Grade.UNSCANNABLE, error.message)
        report.problems += Finding.all_from_error(error)
        scanned = FileScan(name, _UNREAD, (hit,))
    report.files.append(scanned)


def _check_still(source: FileSource, name: str) -> None:
    """What was scanned is what is there: nobody wrote to it meanwhile."""
    try:
        check_unchanged(source.opened, os.fstat(source.descriptor), source.size)
    except FileChanged:
        raise VerificationFailed(
            "changed while it was read",
            where=name,
            hint="let nobody write to the artifact meanwhile, and try again",
            code="file-changed-while-read",
        ) from None


def _finding(file: FileScan) -> Finding:
    worst = sorted(file.hits, key=lambda hit: -hit.grade.rank)
    first = worst[0]
    place = f"{first.where}: " if first.where else ""
    more = f" (and {len(worst) - 1} more)" if len(worst) > 1 else ""
    return Finding(
        f"scan-{file.grade}",
        Severity.FAIL,
        f"{file.format}: {place}{first.message}{more}",
        where=file.name,
        hint="give the right to read it" if file.format == _UNREAD else _HINTS[file.grade],
        details={
            "grade": file.grade.value,
            "format": file.format,
            "hits": [hit_to_json(hit) for hit in worst[:_TOLD_HITS]],
            "hitsOmitted": len(worst[_TOLD_HITS:]),
        },
    )


_UNREAD: Final = "unread"
"""The format of a file that could not be read."""

_HINTS: Final = {
    Grade.CLEAN: None,
    Grade.UNLISTED: "review the names; what a site trusts goes into a signed list (--allow-list)",
    Grade.SUSPICIOUS: "ask whoever made it why; rewrite the file with the tool of its format",
    Grade.UNSCANNABLE: "leave it out, or convert it to a format that is read here",
    Grade.MALICIOUS: "do not load it",
}


def hit_to_json(hit: Hit) -> dict[str, Any]:
    """JSON-compatible."""
    made = {"code": hit.code, "grade": hit.grade.value, "message": hit.message}
    return made if hit.where is None else {**made, "where": hit.where}


def _entry(file: FileScan) -> NotClean:
    codes = sorted({hit.code for hit in file.hits})
    return NotClean(file.name, file.grade.value, file.format, tuple(codes[:MAX_CODES]))


def _limits(rules: Rules) -> dict[str, int]:
    return {
        "maxDepth": rules.max_depth,
        "maxUnpacked": rules.max_unpacked,
        "maxRatio": rules.max_ratio,
        "maxMembers": rules.max_members,
        "maxOperations": rules.max_operations,
    }
