"""Vulnerabilities that a scanner or a VEX document reports, in one vocabulary.

A severity has one of seven names. What a report calls its severity is looked up in an exact table;
a name that is not in it is ``unknown``, never ``none``, and what was written is kept beside it.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from attest.codec.scanmodel import ScanFinding, ScanReport, Score


class VulnerabilitySeverity(enum.StrEnum):
    """How bad. ``NONE`` is a statement (CVSS 0.0); ``UNKNOWN`` is the lack of one."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"
    NONE = "none"
    UNKNOWN = "unknown"


_S = VulnerabilitySeverity
SEVERITY_NAMES: Final = {
    "critical": _S.CRITICAL,
    "high": _S.HIGH, "important": _S.HIGH,
    "medium": _S.MEDIUM, "moderate": _S.MEDIUM,
    "low": _S.LOW,
    "info": _S.INFO, "informational": _S.INFO, "negligible": _S.INFO, "unimportant": _S.INFO,
    "none": _S.NONE,
    "unknown": _S.UNKNOWN,
}  # fmt: skip
"""What reports write, in lower case. ``important`` and ``moderate`` are Red Hat's and GitHub's,
``negligible`` Ubuntu's and Grype's, ``unimportant`` Debian's."""

SARIF_LEVELS: Final = {"error": _S.HIGH, "warning": _S.MEDIUM, "note": _S.LOW}
"""SARIF 3.27.10, where no ``security-severity`` says more. ``none`` means there that the idea of a
severity does not apply: unknown."""

_WORST_FIRST: Final = (_S.CRITICAL, _S.HIGH, _S.MEDIUM, _S.LOW, _S.INFO, _S.UNKNOWN, _S.NONE)
"""``unknown`` comes before ``none``: it may be worse."""

OPEN: Final = "open"
"""State of a finding about which nobody has said anything."""

SETTLED: Final = frozenset({"not_affected", "false_positive", "resolved", "resolved_with_pedigree"})
"""States by which somebody says that it does no harm here (CycloneDX)."""

_STATES: Final = {
    "exploitable": "exploitable", "in_triage": "in_triage", "not_affected": "not_affected",
    "false_positive": "false_positive", "resolved": "resolved",
    "resolved_with_pedigree": "resolved_with_pedigree",
    "suppressed": "suppressed", "ignored": "suppressed", "fixed": "resolved",
    "affected": "exploitable", "under_investigation": "in_triage",
}  # fmt: skip
"""States of CycloneDX as they are; of OpenVEX, which Trivy quotes, by their meaning."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """One vulnerability in one package.

    Attributes:
        severity: the worst that any rating says.
        score: the highest CVSS base score, or None.
        scores: (method, score or severity) of every rating, in order.
        package: purl, else ``name@version``, else where it was found; None where nothing is said.
        state: :data:`OPEN`, ``suppressed``, a state of CycloneDX, or ``unknown``.
    """

    id: str
    severity: VulnerabilitySeverity
    score: float | None
    scores: tuple[tuple[str, str], ...]
    package: str | None
    fixed: tuple[str, ...]
    state: str
    justification: str | None
    aliases: tuple[str, ...]
    where: str | None


@dataclass(frozen=True, slots=True)
class VulnerabilityReport:
    """A report in our vocabulary.

    Attributes:
        form: what it was read from.
        scanner, version, uri, db_uri, db_version, db_updated, started, finished: as it says.
        findings: worst first, then by id and package; exact repetitions once.
    """

    form: str
    scanner: str
    version: str | None
    uri: str | None
    db_uri: str | None
    db_version: str | None
    db_updated: str | None
    started: str | None
    finished: str | None
    findings: tuple[Vulnerability, ...]

    def counts(self) -> dict[str, int]:
        """Open findings by severity, worst first; what is settled or suppressed is counted so."""
        found = Counter(
            each.severity.value if each.state not in SETTLED | {"suppressed"} else each.state
            for each in self.findings
        )
        return {name: found[name] for name in _order_of_counts() if found[name]}


def _order_of_counts() -> Iterable[str]:
    return [*(each.value for each in _WORST_FIRST), "suppressed", *sorted(SETTLED)]


def normalise(report: ScanReport) -> VulnerabilityReport:
    """Give every finding of a report our names."""
    findings = {_finding(each) for each in report.findings}
    return VulnerabilityReport(
        form=report.form,
        scanner=report.scanner,
        version=report.version,
        uri=report.uri,
        db_uri=report.db_uri,
        db_version=report.db_version,
        db_updated=report.db_updated,
        started=report.started,
        finished=report.finished,
        findings=tuple(sorted(findings, key=_place)),
    )


def severity_of(name: str | None) -> VulnerabilitySeverity:
    """The severity that is written as ``name``; absent and strange are unknown."""
    return SEVERITY_NAMES.get((name or "").strip().lower(), _S.UNKNOWN)


def severity_of_score(score: float) -> VulnerabilitySeverity:
    """The band of a CVSS base score (CVSS 3.1, table 14; 4.0, table 22).

    0 is unknown here: tools write it where they have no score, and ``none`` takes somebody's word.
    """
    for least, severity in ((9.0, _S.CRITICAL), (7.0, _S.HIGH), (4.0, _S.MEDIUM), (0.1, _S.LOW)):
        if least <= score <= 10:
            return severity
    return _S.UNKNOWN


def worst(severities: Iterable[VulnerabilitySeverity]) -> VulnerabilitySeverity:
    """The first that is given, from critical to info; then unknown; none only if all say so."""
    given = set(severities)
    return next((severity for severity in _WORST_FIRST if severity in given), _S.UNKNOWN)


def _finding(found: ScanFinding) -> Vulnerability:
    numbers = [float(each.score) for each in found.scores if each.score and _is_cvss(each)]
    named = severity_of(found.severity)
    # The report's own word counts for more than the bands of scores of several sources.
    # But `none` beside a score above it is no word that counts.
    if named in (_S.UNKNOWN, _S.NONE):
        named = worst((*([named] if found.severity else []), *map(_rated, found.scores)))
    return Vulnerability(
        id=found.id,
        severity=named,
        score=max((each for each in numbers if 0 <= each <= 10), default=None),
        scores=tuple(_scores(found)),
        package=found.purl or _named(found),
        fixed=found.fixed,
        state=_state(found.state),
        justification=found.justification,
        aliases=tuple(dict.fromkeys(found.aliases)),
        where=found.where,
    )


def _is_cvss(score: Score) -> bool:
    return score.method.startswith("CVSS") or score.method == "security-severity"


def _rated(score: Score) -> VulnerabilitySeverity:
    if score.method == "sarif-level":
        return SARIF_LEVELS.get(score.severity or "", _S.UNKNOWN)
    named = severity_of(score.severity)
    if named in (_S.UNKNOWN, _S.NONE) and score.score is not None and _is_cvss(score):
        scored = severity_of_score(float(score.score))
        return scored if named is _S.UNKNOWN or scored is not _S.UNKNOWN else named
    return named


def _scores(found: ScanFinding) -> Iterable[tuple[str, str]]:
    for each in found.scores:
        if each.score is not None:
            yield each.method, each.score
        elif each.severity is not None:
            yield each.method, each.severity


def _named(found: ScanFinding) -> str | None:
    if found.name is None:
        return None
    return found.name if found.version is None else f"{found.name}@{found.version}"


def _state(written: str | None) -> str:
    """A state that we do not know settles nothing: ``unknown``."""
    return OPEN if written is None else _STATES.get(written, "unknown")


def _place(found: Vulnerability) -> tuple[object, ...]:
    """Worst first; then everything that is shown, so that the order never depends on a set's."""
    return (
        _WORST_FIRST.index(found.severity),
        found.id,
        found.package or "",
        found.where or "",
        found.state,
        found.scores,
        found.fixed,
        found.aliases,
        found.justification or "",
    )
