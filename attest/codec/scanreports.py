"""Vulnerability reports: Grype JSON, Trivy JSON, SARIF 2.1.0, and ``vulnerabilities`` of CycloneDX.

Each reader takes what all have in common and leaves the rest. Severities, scores and states are
returned as written; :mod:`attest.bom.vulnerabilities` gives them one meaning. A report that says
nothing about whether a scan took place is refused: an empty list of findings must mean that
somebody looked. Whoever wrote the report controls every byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.codec.sarif import read_sarif
from attest.codec.scanmodel import (
    ScanFinding,
    ScanReport,
    Score,
    bounded,
    few,
    few_scores,
    read_ids,
    read_moment,
    read_number,
    read_object,
    read_objects,
    read_required,
    read_text,
    read_texts,
)
from attest.errors import MalformedInput, Unsupported

_CYCLONEDX: Final = ("1.4", "1.5", "1.6", "1.7")


def parse_report(data: bytes) -> ScanReport:
    """Recognise and read a report.

    Raises:
        TooLarge: bytes or findings over their cap.
        MalformedInput: no JSON, wrong types, ``nothing-scanned``, ``scan-failed``.
        Unsupported: no form that we know, or a version of it that we do not.
    """
    return read_report(load_report(data))


def load_report(data: bytes) -> dict[str, Any]:
    """The members of a report, which is one JSON object.

    Raises:
        TooLarge, MalformedInput.
    """
    value = jsonstrict.loads(data, what="report", max_bytes=limits.MAX_SCAN_REPORT_BYTES)
    return jsonstrict.typed(value, dict, where="report")


def read_report(document: dict[str, Any]) -> ScanReport:
    """As :func:`parse_report`, of what :func:`load_report` gave."""
    if document.get("bomFormat") == "CycloneDX":
        return _cyclonedx(document)
    if "runs" in document or "sarif" in str(document.get("$schema", ""))[:200].lower():
        return read_sarif(document)
    if "matches" in document:
        return _grype(document)
    if "SchemaVersion" in document and "ArtifactName" in document:
        return _trivy(document)
    raise Unsupported(
        "neither Grype, Trivy, SARIF nor CycloneDX",
        hint="let the scanner write JSON: grype -o json, trivy --format json, or SARIF",
        code="unknown-report",
    )


# -- Grype ---------------------------------------------------------------------------------------


def _grype(document: dict[str, Any]) -> ScanReport:
    jsonstrict.member(document, "matches", list, where="report")
    about = jsonstrict.member(document, "descriptor", dict, where="report")
    where = "/descriptor"
    database = read_object(about, "db", where)
    status = read_object(database, "status", f"{where}/db") or database
    schema = status.get("schemaVersion")
    return ScanReport(
        form="grype",
        scanner=read_required(about, "name", where),
        version=read_text(about, "version", where),
        uri="https://github.com/anchore/grype",
        db_uri=read_text(status, "from", f"{where}/db"),
        db_version=str(schema) if isinstance(schema, str | int) else None,
        db_updated=read_moment(status, "built", f"{where}/db"),
        started=None,
        finished=read_moment(about, "timestamp", where),
        findings=bounded(_grype_findings(document)),
    )


def _grype_findings(document: dict[str, Any]) -> Iterator[ScanFinding]:
    for pointer, match in read_objects(document, "matches", ""):
        yield _grype_match(match, pointer, None)
    for pointer, match in read_objects(document, "ignoredMatches", ""):
        rules = few(read_objects(match, "appliedIgnoreRules", pointer), pointer)
        states = [read_text(rule, "vex-status", at) for at, rule in rules]
        state = next((each for each in states if each is not None), "suppressed")
        yield _grype_match(match, pointer, state)


def _grype_match(match: dict[str, Any], pointer: str, state: str | None) -> ScanFinding:
    found = jsonstrict.member(match, "vulnerability", dict, where=pointer)
    package = jsonstrict.member(match, "artifact", dict, where=pointer)
    where = f"{pointer}/vulnerability"
    return ScanFinding(
        id=read_required(found, "id", where),
        severity=read_text(found, "severity", where),
        scores=few_scores(_grype_scores(found, where), where),
        purl=read_text(package, "purl", f"{pointer}/artifact"),
        name=read_text(package, "name", f"{pointer}/artifact"),
        version=read_text(package, "version", f"{pointer}/artifact"),
        fixed=read_texts(read_object(found, "fix", where), "versions", f"{where}/fix"),
        state=state,
        justification=None,
        responses=(),
        aliases=read_ids(read_objects(match, "relatedVulnerabilities", pointer), pointer),
        where=None,
        pointer=pointer,
    )


def _grype_scores(found: dict[str, Any], where: str) -> Iterator[Score]:
    for pointer, entry in read_objects(found, "cvss", where):
        metrics = read_object(entry, "metrics", pointer)
        score = read_number(metrics, "baseScore", f"{pointer}/metrics")
        method = read_text(entry, "version", pointer)
        yield Score(_cvss(method), None, score, read_text(entry, "vector", pointer))


def _cvss(version: str | None) -> str:
    """``3.1`` -> ``CVSSv31``, as CycloneDX writes it."""
    return f"CVSSv{(version or '').removesuffix('.0').replace('.', '')}"


# -- Trivy ---------------------------------------------------------------------------------------


def _trivy(document: dict[str, Any]) -> ScanReport:
    schema = jsonstrict.member(document, "SchemaVersion", int, where="report")
    if schema != 2:
        raise Unsupported(f"Trivy schema {schema}", code="unsupported-report")
    if not jsonstrict.optional(document, "Results", list, where="report"):
        raise MalformedInput(
            "the report lists no result: nothing was scanned",
            where="/Results",
            hint="scan something that Trivy knows, such as a container image or an SBOM",
            code="nothing-scanned",
        )
    return ScanReport(
        form="trivy",
        scanner="trivy",
        version=read_text(read_object(document, "Trivy", "report"), "Version", "/Trivy"),
        uri="https://github.com/aquasecurity/trivy",
        db_uri=None,
        db_version=None,
        db_updated=None,
        started=None,
        finished=read_moment(document, "CreatedAt", "report"),
        findings=bounded(_trivy_findings(document)),
    )


def _trivy_findings(document: dict[str, Any]) -> Iterator[ScanFinding]:
    for pointer, result in read_objects(document, "Results", ""):
        target = read_text(result, "Target", pointer)
        for at, found in read_objects(result, "Vulnerabilities", pointer):
            yield _trivy_finding(found, at, target, None)
        for at, changed in read_objects(result, "ExperimentalModifiedFindings", pointer):
            if changed.get("Type") == "vulnerability":
                found = jsonstrict.member(changed, "Finding", dict, where=at)
                yield _trivy_finding(
                    found, f"{at}/Finding", target, read_text(changed, "Status", at)
                )


def _trivy_finding(
    found: dict[str, Any], pointer: str, target: str | None, state: str | None
) -> ScanFinding:
    identifier = read_object(found, "PkgIdentifier", pointer)
    fixed = read_text(found, "FixedVersion", pointer)
    return ScanFinding(
        id=read_required(found, "VulnerabilityID", pointer),
        severity=read_text(found, "Severity", pointer),
        scores=few_scores(_trivy_scores(found, pointer), pointer),
        purl=read_text(identifier, "PURL", f"{pointer}/PkgIdentifier"),
        name=read_required(found, "PkgName", pointer),
        version=read_text(found, "InstalledVersion", pointer),
        fixed=tuple(part.strip() for part in fixed.split(",")) if fixed else (),
        state=state,
        justification=None,
        responses=(),
        aliases=read_texts(found, "VendorIDs", pointer),
        where=target,
        pointer=pointer,
    )


def _trivy_scores(found: dict[str, Any], pointer: str) -> Iterator[Score]:
    for source, entry in read_object(found, "CVSS", pointer).items():
        where = f"{pointer}/CVSS/{source[:40]}"
        scores = jsonstrict.typed(entry, dict, where=where)
        for version in ("2", "3", "40"):
            score = read_number(scores, f"V{version}Score", where)
            vector = read_text(scores, f"V{version}Vector", where)
            if score is not None or vector is not None:
                yield Score(f"CVSSv{version.removesuffix('0')}", None, score, vector)


# -- CycloneDX -----------------------------------------------------------------------------------


def _cyclonedx(document: dict[str, Any]) -> ScanReport:
    version = jsonstrict.member(document, "specVersion", str, where="report")
    if version not in _CYCLONEDX:
        raise Unsupported(f"CycloneDX {version[:20]!r}", code="unsupported-report")
    if jsonstrict.optional(document, "vulnerabilities", list, where="report") is None:
        raise MalformedInput(
            "the BOM says nothing about vulnerabilities",
            where="/vulnerabilities",
            code="nothing-scanned",
        )
    metadata = read_object(document, "metadata", "report")
    return ScanReport(
        form="cyclonedx",
        scanner="cyclonedx",
        version=None,
        uri=None,
        db_uri=None,
        db_version=None,
        db_updated=None,
        started=None,
        finished=read_moment(metadata, "timestamp", "/metadata"),
        findings=bounded(_cyclonedx_findings(document)),
    )


def _cyclonedx_findings(document: dict[str, Any]) -> Iterator[ScanFinding]:
    known = dict(_component_refs(document))
    for pointer, found in read_objects(document, "vulnerabilities", ""):
        common = _cyclonedx_finding(found, pointer)
        affected = [
            read_required(each, "ref", at) for at, each in read_objects(found, "affects", pointer)
        ]
        if not affected:
            yield common
        for ref in affected:
            package = known.get(ref, {})
            yield replace(
                common,
                purl=read_text(package, "purl", "component"),
                name=read_text(package, "name", "component"),
                version=read_text(package, "version", "component"),
                where=ref,
            )


def _component_refs(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every component, nested ones too, by its ref. Iterative: no depth is trusted."""
    metadata = read_object(document, "metadata", "report")
    waiting = [("", document)]
    if isinstance(metadata.get("component"), dict):
        waiting.append(("/metadata/component", metadata["component"]))
    while waiting:
        pointer, holder = waiting.pop()
        ref = holder.get("bom-ref")
        if isinstance(ref, str):
            yield ref, holder
        waiting += read_objects(holder, "components", pointer)


def _cyclonedx_finding(found: dict[str, Any], pointer: str) -> ScanFinding:
    """A vulnerability without the component that it affects."""
    analysis = read_object(found, "analysis", pointer)
    where = f"{pointer}/analysis"
    return ScanFinding(
        id=read_required(found, "id", pointer),
        severity=None,
        scores=few_scores(_cyclonedx_scores(found, pointer), pointer),
        purl=None,
        name=None,
        version=None,
        fixed=(),
        state=read_text(analysis, "state", where),
        justification=read_text(analysis, "justification", where),
        responses=read_texts(analysis, "response", where),
        aliases=read_ids(read_objects(found, "references", pointer), pointer),
        where=None,
        pointer=pointer,
    )


def _cyclonedx_scores(found: dict[str, Any], pointer: str) -> Iterator[Score]:
    for at, rating in read_objects(found, "ratings", pointer):
        yield Score(
            read_text(rating, "method", at) or "other",
            read_text(rating, "severity", at),
            read_number(rating, "score", at),
            read_text(rating, "vector", at),
        )
