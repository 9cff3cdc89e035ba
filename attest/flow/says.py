"""What a verified claim says, in a line or a few."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attest.claim.approval import read_approval
from attest.claim.predicates import (
    APPROVAL_PREDICATE,
    ARTIFACT_PREDICATE,
    BOM_PREDICATE,
    DATASET_PREDICATE,
    LAYOUT_PREDICATE,
    PROVENANCE_PREDICATE,
    REVOCATION_PREDICATE,
    SCAN_PREDICATE,
    TEST_RESULT_PREDICATE,
    VULNS_PREDICATE,
)
from attest.flow.claimset import VerifiedClaim


def says(claim: VerifiedClaim) -> list[str]:
    """A few words for people; empty for types that are not interpreted here.

    Args:
        claim: whose predicate was read without error.
    """
    words = _WORDS.get(claim.predicate_type)
    return [] if words is None else list(words(claim.statement.predicate))


def _artifact(predicate: Mapping[str, Any]) -> Iterator[str]:
    firmware = predicate.get("firmware")
    rest = f" {firmware['version']}, counter {firmware['rollbackCounter']}" if firmware else ""
    yield f"is a {predicate['kind']}{rest}"


def _approval(predicate: Mapping[str, Any]) -> Iterator[str]:
    approval = read_approval(predicate)
    ring = "" if approval.ring is None else f", ring {approval.ring}"
    yield (
        f"{approval.approver} ({approval.role}): {approval.decision}"
        f" for {approval.environment}{ring}"
    )


def _revocation(predicate: Mapping[str, Any]) -> Iterator[str]:
    yield f"revokes {predicate['claim']['sha256']}: {predicate['reason']}"


def _scan(predicate: Mapping[str, Any]) -> Iterator[str]:
    scanner = predicate["scanner"]
    yield f"scanned by {scanner['name']} {scanner['version']}: {predicate['result']}"


def _provenance(predicate: Mapping[str, Any]) -> Iterator[str]:
    definition = predicate["buildDefinition"]
    inputs = definition.get("resolvedDependencies") or ()
    yield f"made by {predicate['runDetails']['builder']['id']} from {len(inputs)} input(s)"
    yield f"build type {definition['buildType']}"


def _test_result(predicate: Mapping[str, Any]) -> Iterator[str]:
    counts = [
        f"{len(predicate.get(key) or ())} {word}"
        for key, word in (("passedTests", "passed"), ("failedTests", "failed"))
    ]
    yield f"evaluation {predicate['result']}: {', '.join(counts)}"


def _dataset(predicate: Mapping[str, Any]) -> Iterator[str]:
    yield f"personal data: {predicate['personalData']}"


def _bom(predicate: Mapping[str, Any]) -> Iterator[str]:
    components = predicate.get("components")
    count = len(components) if isinstance(components, list) else 0
    yield f"CycloneDX {predicate.get('specVersion')} with {count} component(s)"


def _vulns(predicate: Mapping[str, Any]) -> Iterator[str]:
    scanner = predicate["scanner"]
    results = scanner.get("result") or ()
    yield f"{len(results)} vulnerability finding(s) by {scanner.get('uri')}"


def _layout(predicate: Mapping[str, Any]) -> Iterator[str]:
    steps = len(predicate["steps"])
    yield f"came out of the layout {predicate['layout']['name']}: {steps} step(s)"


_WORDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[str]]]] = {
    ARTIFACT_PREDICATE: _artifact,
    APPROVAL_PREDICATE: _approval,
    REVOCATION_PREDICATE: _revocation,
    SCAN_PREDICATE: _scan,
    PROVENANCE_PREDICATE: _provenance,
    TEST_RESULT_PREDICATE: _test_result,
    DATASET_PREDICATE: _dataset,
    LAYOUT_PREDICATE: _layout,
    BOM_PREDICATE: _bom,
    VULNS_PREDICATE: _vulns,
}
