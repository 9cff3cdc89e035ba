"""Have enough people approved an artifact?

An approval counts if it is about this artifact (both digests), stands (not withdrawn, not before
its making nor after its end), covers the role, environment and ring that are asked for, and sets no
condition that the caller does not accept. Approvals are counted by principal: two keys of one
person are one voice. A standing rejection of that scope outweighs any number of approvals.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from attest.artifact.names import default_claims
from attest.claim.approval import ANY_ENVIRONMENT, Approval, read_approval
from attest.claim.predicates import APPROVAL_PREDICATE
from attest.errors import AttestError
from attest.flow.claimset import ClaimsRead, VerifiedClaim, about, load_claims
from attest.flow.subject import subject_from_any
from attest.trust.principals import Principals
from attest.trust.signers import Trust
from attest.verdict import Finding, Severity, Verdict, format_time


@dataclass(frozen=True, slots=True)
class ApprovalScope:
    """What has to be approved, by how many.

    Attributes:
        role: exactly what the approvals must say.
        environment: as they must say, or they say ``any``. ``any`` itself: all environments.
        ring: None: the whole environment; an approval for one ring is not enough then.
        threshold: principals, at least 1.
        conditions: texts of the conditions that are accepted.
    """

    role: str
    environment: str
    ring: str | None = None
    threshold: int = 1
    conditions: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.threshold < 1:
            raise ValueError("a threshold of no approvals approves everything")


def judge_approvals(
    claims: ClaimsRead, digests: Mapping[str, str], scope: ApprovalScope, at: datetime
) -> list[Finding]:
    """Findings for every approval that was looked at, and one that decides.

    Args:
        claims: verified.
        digests: of the artifact.

    Raises:
        MalformedInput: an approval by somebody who counts is none.
    """
    findings, approved = list[Finding](), set[str]()
    for claim in claims.of_type(APPROVAL_PREDICATE):
        try:
            approval = read_approval(claim.statement.predicate)
        except AttestError as error:
            raise error.within(f"line {claim.line}") from None
        reason = _why_not(claim, approval, digests, scope, at)
        code, severity, what = "approval-not-counted", Severity.INFO, reason or ""
        if reason is None and approval.decision == "reject":
            code, severity, what = "approval-rejected", Severity.FAIL, "rejects"
        elif reason is None:
            approved |= claim.principals
            code, what = "approval-counted", "approves"
        findings.append(_finding(code, severity, claim, approval, what))
    for claim in claims.withdrawn:
        if claim.predicate_type == APPROVAL_PREDICATE and about(claim.statement, digests):
            text = f"the approval on line {claim.line} was withdrawn by {_names(claim.principals)}"
            findings.append(Finding("approval-withdrawn", Severity.INFO, text))
    findings.append(_decision(approved, scope))
    return findings


def check_approvals(
    path: Path,
    scope: ApprovalScope,
    *,
    principals: Principals,
    at: datetime,
    trust: Trust | None = None,
    signature: Path | None = None,
    claims: Path | None = None,
) -> Verdict:
    """Judge the approvals beside an artifact. The content is not read: only its digests count.

    Args:
        path: the artifact.
        principals: whose approvals count.
        trust: who must have signed the artifact; default: any of the principals.
        signature, claims: default: found at and beside ``path``.
    """
    findings, subject = list[Finding](), dict[str, Any]({"path": str(path)})
    inputs = {"principals": str(principals.digest)}
    try:
        ways = [trust] if trust else [way for member in principals for way in member.ways]
        artifact = subject_from_any(path, ways, at, signature=signature)
        subject |= {"name": artifact.name, "digests": dict(artifact.digests)}
        read = ClaimsRead()
        place = claims or default_claims(path)
        if claims is not None or os.path.lexists(place):  # no claims: nobody has approved
            digest, read = load_claims(place, principals=principals, at=at)
            inputs["claims"] = str(digest)
        findings += read.findings
        if read.others:
            text = f"{read.others} claim(s) by nobody who was named"
            findings.append(Finding("claims-not-counted", Severity.INFO, text, where=str(place)))
        findings += judge_approvals(read, artifact.digests, scope, at)
        text = "the content was not compared with the digests: attest verify does that"
        findings.append(Finding("content-not-read", Severity.INFO, text))
    except AttestError as error:
        findings += Finding.all_from_error(error)
    subject["scope"] = {
        "role": scope.role,
        "environment": scope.environment,
        "ring": scope.ring,
        "threshold": scope.threshold,
        "conditions": sorted(scope.conditions),
    }
    return Verdict.conclude(findings, subject=subject, inputs=inputs, at=at)


def _why_not(
    claim: VerifiedClaim,
    approval: Approval,
    digests: Mapping[str, str],
    scope: ApprovalScope,
    at: datetime,
) -> str | None:
    """Why an approval says nothing here; None if it does."""
    if not about(claim.statement, digests):
        return "is about another artifact"
    covered = approval.covers(role=scope.role, environment=scope.environment, ring=scope.ring)
    if not covered and not _rejects_part(approval, scope):
        return "is for another role, environment or ring"
    if not approval.is_current(at):
        return "is not valid at the judged time"
    unmet = [text for text in approval.conditions if text not in scope.conditions]
    if unmet and approval.decision == "approve":
        return f"sets a condition that was not accepted: {unmet[0]}"
    return None


def _rejects_part(approval: Approval, scope: ApprovalScope) -> bool:
    """A rejection of a part stands in the way of the whole: of one ring in that of its environment,
    of one environment in that of ``any``."""
    everywhere = scope.environment == ANY_ENVIRONMENT
    return (
        approval.decision == "reject"
        and (scope.ring is None or scope.ring == approval.ring)
        and approval.covers(
            role=scope.role,
            environment=approval.environment if everywhere else scope.environment,
            ring=approval.ring,
        )
    )


def _finding(
    code: str, severity: Severity, claim: VerifiedClaim, approval: Approval, what: str
) -> Finding:
    return Finding(
        code,
        severity,
        f"{_names(claim.principals)} ({approval.role}): {what}",
        where=f"line {claim.line}",
        details={
            "claim": claim.id,
            "principals": sorted(claim.principals),
            "approval": approval.to_predicate(),
        },
    )


def _decision(approved: set[str], scope: ApprovalScope) -> Finding:
    ring = f", ring {scope.ring}" if scope.ring else ""
    who = f" by {_names(approved)}" if approved else ""
    text = (
        f"{len(approved)} of {scope.threshold} approvals for {scope.environment}{ring}"
        f" in the role {scope.role}{who}"
    )
    details = {"approved": sorted(approved), "threshold": scope.threshold}
    if len(approved) >= scope.threshold:
        return Finding("approvals-met", Severity.PASS, text, details=details)
    return Finding(
        "approvals-missing",
        Severity.FAIL,
        text,
        details=details,
    )


def _names(principals: frozenset[str] | set[str]) -> str:
    return ", ".join(sorted(principals))


def describe(approval: Approval) -> list[str]:
    """An approval in words, a line each."""
    lines = [
        f"decision   {approval.decision}",
        f"role       {approval.role}",
        f"for        {approval.environment}" + (f", ring {approval.ring}" if approval.ring else ""),
    ]
    if approval.valid_until is not None:
        lines.append(f"until      {format_time(approval.valid_until)}")
    lines += [f"condition  {condition}" for condition in approval.conditions]
    return lines
