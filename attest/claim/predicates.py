"""The predicate types that are written or read here, in one place.

Standard predicates keep their own URI. For what has no vetted predicate there are URNs of this
project: one constant each, so that they can move to an owned domain. A claim of any other type is
carried and verified like these, and never interpreted.
"""

from __future__ import annotations

from typing import Final

ARTIFACT_PREDICATE: Final = "urn:attest-toolkit:artifact:v1"
BOM_PREDICATE: Final = "https://cyclonedx.org/bom"
SCAN_PREDICATE: Final = "urn:attest-toolkit:scan:v1"
PROVENANCE_PREDICATE: Final = "https://slsa.dev/provenance/v1"
PROVENANCE_V02_PREDICATE: Final = "https://slsa.dev/provenance/v0.2"
PROVENANCE_V01_PREDICATE: Final = "https://slsa.dev/provenance/v0.1"
DATASET_PREDICATE: Final = "urn:attest-toolkit:dataset:v1"
TEST_RESULT_PREDICATE: Final = "https://in-toto.io/attestation/test-result/v0.1"
VULNS_PREDICATE: Final = "https://in-toto.io/attestation/vulns/v0.2"
APPROVAL_PREDICATE: Final = "urn:attest-toolkit:approval:v1"
REVOCATION_PREDICATE: Final = "urn:attest-toolkit:revocation:v1"
LINK_PREDICATE: Final = "https://in-toto.io/attestation/link/v0.3"
LAYOUT_PREDICATE: Final = "urn:attest-toolkit:layout-result:v1"

READERS: Final = {
    ARTIFACT_PREDICATE: "attest.claim.artifact:read_artifact_claim",
    SCAN_PREDICATE: "attest.claim.scan:read_scan",
    PROVENANCE_PREDICATE: "attest.claim.provenance:read_provenance",
    PROVENANCE_V02_PREDICATE: "attest.claim.provenance:read_provenance",
    PROVENANCE_V01_PREDICATE: "attest.claim.provenance:read_provenance",
    DATASET_PREDICATE: "attest.claim.dataset:read_dataset",
    TEST_RESULT_PREDICATE: "attest.claim.evaluation:read_test_result",
    VULNS_PREDICATE: "attest.claim.vulns:read_vulns",
    APPROVAL_PREDICATE: "attest.claim.approval:read_approval",
    REVOCATION_PREDICATE: "attest.claim.revocation:read_revocation",
    LAYOUT_PREDICATE: "attest.claim.layout:read_layout_result",
}
"""Who interprets which type: ``module:function``, taking a predicate, raising MalformedInput. The
one for provenance takes the predicate type before it: it reads several."""
