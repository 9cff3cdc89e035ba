"""What the claims beside an artifact say, for whoever verifies it.

A claim counts for an artifact only if it is about *both* of its digests and signed by the same
trust. Claims by others, and about others, are counted and otherwise left alone: they prove nothing
here. Claims only add, so a missing file or line is no finding; a malformed one refuses the file.
Claims of one kind that contradict each other are all shown, and refuse.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from attest.claim.artifact import ArtifactClaim, read_artifact_claim
from attest.claim.predicates import ARTIFACT_PREDICATE
from attest.errors import AttestError
from attest.flow.claimset import about, read_claims
from attest.flow.clash import clashes
from attest.trust.principals import Principal, Principals
from attest.trust.signers import Trust
from attest.verdict import Finding, Severity


def claim_findings(
    data: bytes, claims: Path, *, digests: Mapping[str, str], trust: Trust, at: datetime
) -> list[Finding]:
    """What the trusted claims in a file say about the artifact with these digests.

    Args:
        data: the whole claims file.
        claims: its name, for findings.
        digests: OMS root and tree digest of the artifact, from its verified signature.

    Raises:
        MalformedInput, Unsupported: a line that is no claim; named.
    """
    signer = Principals([Principal("the signer", (trust,))])
    read = read_claims(data, principals=signer, at=at, where=str(claims))
    findings = list(read.findings)
    own = [claim for claim in read.verified if about(claim.statement, digests)]
    kinds = [claim for claim in own if claim.predicate_type == ARTIFACT_PREDICATE]
    said = dict[ArtifactClaim, None]()
    for claim in kinds:
        try:
            said[read_artifact_claim(claim.statement.predicate)] = None
        except AttestError as error:
            raise error.within(f"{claims}: line {claim.line}") from None
    findings += map(_artifact_finding, said)
    findings += clashes(kinds, str(claims))
    others = read.others + len(read.withdrawn) + len(read.verified) - len(own)
    if others:
        findings.append(
            Finding(
                "claims-not-counted",
                Severity.INFO,
                f"{others} claim(s) by other signers, withdrawn, or about other artifacts",
                where=str(claims),
            )
        )
    return findings


def _artifact_finding(claim: ArtifactClaim) -> Finding:
    details: dict[str, object] = {"kind": claim.kind}
    text = f"the signer says that it is a {claim.kind}"
    if claim.kind == "firmware":
        text = (
            f"the signer says that it is firmware, version {claim.version},"
            f" rollback counter {claim.rollback_counter}"
        )
        details["firmware"] = {
            "version": claim.version,
            "rollbackCounter": claim.rollback_counter,
        }
    return Finding("artifact-claim", Severity.INFO, text, details=details)
