"""What a BOM lacks, and what changed between two: verdicts over :mod:`attest.bom`.

Both read a BOM by anybody as it is. Nothing here says that what a BOM states is true.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from attest import limits
from attest.bom.bomindex import BomIndex, index_bom
from attest.bom.diff import BomDiff, ComponentDiff, diff_boms
from attest.bom.elements import (
    ElementResult,
    Profile,
    Status,
    check_elements,
    load_profile,
)
from attest.bom.schema import problems_of
from attest.codec.boms import UnverifiedBom, parse_bom
from attest.digest import Digest
from attest.errors import AttestError
from attest.files import read_bounded
from attest.verdict import Finding, Severity, Verdict


def check_bom(path: Path, *, profile: str | None, strict: bool, at: datetime) -> Verdict:
    """Judge how complete a BOM is.

    Args:
        path: CycloneDX JSON, 1.4 to 1.7, by anybody.
        profile: one of :data:`attest.bom.elements.PROFILES`; None: ``g7`` for a BOM that lists a
            model or a dataset, else ``cisa``.
        strict: also refuse what the profile only recommends, values that only say "unknown", and
            references that lead nowhere.

    Raises:
        MalformedInput, Unsupported: not such a BOM. Unavailable: it cannot be read.
    """
    bom = _read(path)
    index = index_bom(bom.document)
    chosen = load_profile(profile or ("g7" if index.models or index.datasets else "cisa"))
    results = check_elements(index, chosen)
    findings = (
        *_schema_findings(bom, strict),
        *_scope_findings(index, chosen),
        *(_element_finding(each, chosen, strict) for each in results),
    )
    subject = {
        "name": path.name,
        "specVersion": bom.spec_version,
        "components": len(index.components),
        "models": len(index.models),
        "datasets": len(index.datasets),
        "profile": {
            "id": chosen.id,
            "title": chosen.title,
            "publisher": chosen.publisher,
            "published": chosen.published,
            "url": chosen.url,
        },
        "counts": dict(Counter(each.status.value for each in results)),
        "clusters": [
            {
                "id": cluster,
                "title": title,
                "elements": [
                    _element_json(each) for each in results if each.element.cluster == cluster
                ],
            }
            for cluster, title in chosen.clusters.items()
        ],
    }
    inputs = {"bom": str(Digest.of(bom.data))}
    return Verdict.conclude(findings, subject=subject, inputs=inputs, at=at)


def _read(path: Path) -> UnverifiedBom:
    data = read_bounded(path, limits.MAX_BOM_BYTES, "BOM", allow_pipe=True)
    try:
        return parse_bom(data)
    except AttestError as error:
        raise error.within(str(path)) from None


def _schema_findings(bom: UnverifiedBom, strict: bool) -> Iterator[Finding]:
    """A BOM that breaks its schema is refused; refs that clash or dangle are told."""
    for problem in problems_of(bom):
        breaks = problem.code == "schema" or strict
        yield Finding(
            f"bom-{problem.code}",
            Severity.FAIL if breaks else Severity.WARN,
            problem.message,
            where=problem.path or "/",
        )


def _scope_findings(index: BomIndex, profile: Profile) -> Iterator[Finding]:
    """A list for AI says nothing of a BOM without any."""
    if profile.for_ai and not index.models and not index.datasets:
        yield Finding(
            "no-ai-component",
            Severity.FAIL,
            "the BOM lists neither a model nor a dataset: most of this list does not apply",
            hint="use --profile cisa for other software",
        )


def _element_finding(result: ElementResult, profile: Profile, strict: bool) -> Finding:
    element = result.element
    cluster = profile.clusters[element.cluster]
    details: dict[str, Any] = {"element": element.id, "required": element.required}
    match result.status:
        case Status.PRESENT:
            severity, message = Severity.PASS, "is there"
        case Status.NOT_APPLICABLE:
            severity, message = Severity.INFO, f"does not apply: {result.reason}"
        case Status.UNKNOWN:
            severity = Severity.FAIL if strict else Severity.WARN
            message = "is there, and says that it is not known"
        case Status.MISSING:
            severity = Severity.FAIL if element.required or strict else Severity.WARN
            message = _missing(result)
    return Finding(
        f"element-{result.status.value}",
        severity,
        f"{cluster}: {element.title} {message}",
        details=details,
    )


def _missing(result: ElementResult) -> str:
    if not result.in_scope:
        return f"is missing: no {result.element.scope.value} is listed"
    if result.in_scope == 1:
        return "is missing"
    return f"is missing in {result.in_scope - result.having} of {result.in_scope}"


def _element_json(result: ElementResult) -> dict[str, Any]:
    element = result.element
    made: dict[str, Any] = {
        "id": element.id,
        "title": element.title,
        "asks": element.asks,
        "required": element.required,
        "scope": element.scope.value,
        "status": result.status.value,
        "inScope": result.in_scope,
        "having": result.having,
        "found": [
            {"pointer": each.pointer, **({"readFrom": each.read_from} if each.read_from else {})}
            for each in result.found
        ],
        "lacking": list(result.lacking),
    }
    for key, value in (("reason", result.reason), ("note", element.note)):
        if value is not None:
            made[key] = value
    return made


# -- diff ----------------------------------------------------------------------------------------


def compare_boms(before: Path, after: Path, *, exit_code: bool, at: datetime) -> Verdict:
    """What changed from one BOM to another.

    Args:
        exit_code: refuse where something differs.

    Raises:
        MalformedInput, Unsupported: not such BOMs. Unavailable: one cannot be read.
    """
    old, new = _read(before), _read(after)
    found = diff_boms(old.document, new.document)
    if found.same:
        finding = Finding("boms-same", Severity.PASS, "nothing that is compared differs")
    else:
        told = ", ".join(f"{number} {kind}" for kind, number in found.counts().items())
        severity = Severity.FAIL if exit_code else Severity.PASS
        finding = Finding("boms-differ", severity, f"the BOMs differ: {told}")
    inputs = {"before": str(Digest.of(old.data)), "after": str(Digest.of(new.data))}
    return Verdict.conclude([finding], subject=diff_json(found), inputs=inputs, at=at)


def diff_json(found: BomDiff) -> dict[str, Any]:
    """A difference as JSON-compatible data."""
    return {
        "same": found.same,
        "counts": found.counts(),
        "unchanged": found.unchanged,
        "subject": None if found.subject is None else _component_json(found.subject),
        "added": _typed(found.added),
        "removed": _typed(found.removed),
        "changed": [_component_json(each) for each in found.changed],
        "dependencies": {
            "added": [list(edge) for edge in found.dependencies_added],
            "removed": [list(edge) for edge in found.dependencies_removed],
        },
        "vulnerabilities": {
            "added": [list(each) for each in found.vulnerabilities_added],
            "removed": [list(each) for each in found.vulnerabilities_removed],
            "changed": [
                {"id": identity, "affects": label, "before": change.before, "after": change.after}
                for identity, label, change in found.vulnerabilities_changed
            ],
        },
        "document": [
            {"field": each.field, "before": each.before, "after": each.after}
            for each in found.document
        ],
    }


def _typed(listed: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"type": kind, "component": label} for kind, label in listed]


def _component_json(found: ComponentDiff) -> dict[str, Any]:
    return {
        "type": found.type,
        "component": found.label,
        "changes": [
            {"field": each.field, "before": each.before, "after": each.after}
            for each in found.changes
        ],
    }
