"""List the verified claims beside an artifact, in words and as data."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from attest.artifact.names import default_claims
from attest.errors import AttestError, Unavailable
from attest.flow.claiming import read_predicate
from attest.flow.claimset import ClaimsRead, VerifiedClaim, about, load_claims
from attest.flow.clash import clashes
from attest.flow.says import says
from attest.flow.subject import subject_from_any
from attest.trust.principals import Principals
from attest.trust.signers import Trust
from attest.verdict import Finding, Severity, Verdict


def list_claims(
    path: Path,
    *,
    principals: Principals,
    at: datetime,
    trust: Trust | None = None,
    signature: Path | None = None,
    claims: Path | None = None,
) -> Verdict:
    """Verify and list claims. The outcome says whether there are any, and whether the file could be
    read and agrees with itself, not whether what it says is good.

    Args:
        path: an artifact, or a claims file by itself (``*.jsonl`` without claims beside it, and no
            other argument that speaks of an artifact): then nothing is said about which artifact
            the claims belong to.
        principals: whose claims are listed.
        trust: who must have signed the artifact; default: any of the principals.
        signature, claims: default: found at and beside ``path``.
    """
    findings = list[Finding]()
    subject: dict[str, Any] = {"path": str(path), "claims": []}
    inputs = {"principals": str(principals.digest)}
    try:
        alone = (
            (claims, trust, signature) == (None, None, None)
            and path.name.endswith(".jsonl")
            and os.path.isfile(path)
            and not os.path.lexists(default_claims(path))
        )
        place = path if alone else claims or default_claims(path)
        if not os.path.lexists(place):
            raise Unavailable("there are no claims", where=str(place), code="file-missing")
        digests: Mapping[str, str] | None = None
        if not alone:
            ways = [trust] if trust else [way for member in principals for way in member.ways]
            artifact = subject_from_any(path, ways, at, signature=signature)
            digests = artifact.digests
            subject |= {"name": artifact.name, "digests": dict(digests)}
        digest, read = load_claims(place, principals=principals, at=at)
        inputs["claims"] = str(digest)
        subject["claims"] = [
            _describe(claim, digests, withdrawn=gone, where=str(place))
            for gone, listed in ((False, read.verified), (True, read.withdrawn))
            for claim in listed
        ]
        findings += _findings(read, digests, str(place))
    except AttestError as error:
        findings += Finding.all_from_error(error)
    return Verdict.conclude(findings, subject=subject, inputs=inputs, at=at)


def _describe(
    claim: VerifiedClaim, digests: Mapping[str, str] | None, *, withdrawn: bool, where: str
) -> dict[str, Any]:
    try:
        read_predicate(claim.predicate_type, claim.statement.predicate)
    except AttestError as error:
        raise error.within(f"{where}: line {claim.line}") from None
    return {
        "line": claim.line,
        "id": claim.id,
        "type": claim.predicate_type,
        "principals": sorted(claim.principals),
        "says": says(claim),
        "withdrawn": withdrawn,
        "other-artifact": digests is not None and not about(claim.statement, digests),
        "subject": [
            {"name": each.name, "digest": dict(each.digests)} for each in claim.statement.subjects
        ],
    }


def _findings(read: ClaimsRead, digests: Mapping[str, str] | None, where: str) -> list[Finding]:
    own = [claim for claim in read.verified if digests is None or about(claim.statement, digests)]
    findings = [_counted(len(read.verified), len(own), where), *read.findings]
    if read.others:
        text = f"{read.others} claim(s) by nobody who was named"
        findings.append(Finding("claims-not-counted", Severity.INFO, text, where=where))
    strangers = len(read.verified) - len(own)
    if strangers:
        text = f"{strangers} claim(s) about another artifact"
        findings.append(Finding("claim-about-another", Severity.WARN, text, where=where))
    findings += clashes(own, where)
    return findings


def _counted(verified: int, own: int, where: str) -> Finding:
    """Nothing that counts is no pass: whoever looks only at the outcome must not see one."""
    if own:
        text = f"{verified} claim(s) that count"
        return Finding("claims-verified", Severity.PASS, text, where=where)
    return Finding(
        "no-claims",
        Severity.FAIL,
        "no claim about it is by anybody who counts",
        where=where,
        hint="name who signed them: --principal NAME=PUB",
    )
