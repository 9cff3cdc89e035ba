"""Read the claims beside an artifact, believing only those that the given trust has signed.

A claim counts for an artifact only if *both* digests of its subject are the artifact's. Claims by
others, and about others, are counted and otherwise left alone: they prove nothing here. Claims only
add, so a missing file or line is no finding; a malformed one refuses the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from attest.claim.artifact import (
    ARTIFACT_PREDICATE_TYPE,
    ArtifactClaim,
    read_artifact_claim,
)
from attest.claim.store import split_claims
from attest.codec.bundle import UnverifiedBundle
from attest.codec.signature import parse_signature
from attest.codec.statement import Statement, parse_statement
from attest.errors import AttestError, BadSignature, UntrustedIdentity
from attest.trust.signature import verify_bundle, verify_envelope
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
        MalformedInput, Unsupported: a line that is no claim. VerificationFailed: a claim by the
            trusted signer that is outside its validity, or the like. All name the line.
    """
    findings, others = [], 0
    try:
        lines = split_claims(data)
    except AttestError as error:
        raise error.within(str(claims)) from None
    for number, line in enumerate(lines, 1):
        try:
            statement = _verified(line, trust, at)
            if statement is None or not _is_about(statement, digests):
                others += 1
            elif statement.predicate_type == ARTIFACT_PREDICATE_TYPE:
                findings.append(_artifact_finding(read_artifact_claim(statement)))
        except AttestError as error:
            raise error.within(f"{claims}: line {number}") from None
    if others:
        findings.append(
            Finding(
                "claims-not-counted",
                Severity.INFO,
                f"{others} claim(s) by other signers or about other artifacts",
                where=str(claims),
            )
        )
    return findings


def _verified(line: bytes, trust: Trust, at: datetime) -> Statement | None:
    """The statement of one line, or None where somebody else signed it."""
    parsed = parse_signature(line)
    try:
        if isinstance(parsed, UnverifiedBundle):
            verified = verify_bundle(parsed, trust, at)
        else:
            verified = verify_envelope(parsed, trust, at)
    except (BadSignature, UntrustedIdentity):
        return None
    return parse_statement(verified.payload)


def _is_about(statement: Statement, digests: Mapping[str, str]) -> bool:
    """Every digest of the artifact stands in the one subject, with the same value."""
    return len(statement.subjects) == 1 and all(
        statement.subjects[0].digests.get(name) == value for name, value in digests.items()
    )


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
