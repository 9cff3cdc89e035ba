"""Read a claims file: verify every line, and keep what people and services that count have said.

Rules, in this order:

1. a malformed line refuses the whole file: somebody has been at it;
2. a claim counts for the principals that signed it validly; by nobody who counts, it is only
   counted;
3. a claim that a principal has revoked no longer counts for that principal;
4. what a claim says is read only after that.

Claims only add: a missing line is no finding, and nothing may depend on a line to deny.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from attest import limits
from attest.claim.predicates import REVOCATION_PREDICATE
from attest.claim.revocation import read_revocation
from attest.claim.store import split_claims
from attest.codec.signature import parse_signature
from attest.codec.statement import Statement, parse_statement
from attest.digest import Digest
from attest.errors import AttestError, TooLarge
from attest.files import read_bounded
from attest.trust.principals import Principals, check_one_owner, verify_for_principals
from attest.trust.signers import SignerIdentity
from attest.verdict import Finding, Severity


@dataclass(frozen=True, slots=True)
class VerifiedClaim:
    """One claim and who stands behind it. Only :func:`read_claims` makes one.

    Attributes:
        line: in its file, from 1.
        id: hex SHA-256 of the statement's bytes: how revocations and reviews name it.
        statement: parsed from ``payload``.
        payload: the bytes that were signed.
        principals: names of those who signed it and have not taken it back; at least one.
        signers: the keys and certificates that they used, and those who have taken it back.
    """

    line: int
    id: str
    statement: Statement
    payload: bytes = field(repr=False)
    principals: frozenset[str]
    signers: tuple[SignerIdentity, ...]

    @property
    def predicate_type(self) -> str:
        return self.statement.predicate_type


@dataclass(frozen=True, slots=True)
class ClaimsRead:
    """What a claims file holds.

    Attributes:
        verified: claims that count, in the order of the file.
        withdrawn: claims that all of their signers took back.
        others: claims by nobody who counts.
        findings: what may be signatures of somebody who counts and does not count.
    """

    verified: tuple[VerifiedClaim, ...] = ()
    withdrawn: tuple[VerifiedClaim, ...] = ()
    others: int = 0
    findings: tuple[Finding, ...] = ()

    def of_type(self, *predicate_types: str) -> tuple[VerifiedClaim, ...]:
        """The claims of these types."""
        return tuple(claim for claim in self.verified if claim.predicate_type in predicate_types)


def read_claims(
    data: bytes,
    *,
    principals: Principals,
    at: datetime,
    where: str,
    owners: dict[bytes, str] | None = None,
) -> ClaimsRead:
    """Verify a claims file.

    Args:
        data: the whole file; whoever can write it controls every byte.
        principals: whose claims count.
        at: the time to judge certificates and timestamps for.
        where: its name, for findings and errors.
        owners: of the signatures in files that are read together with this one; added to.

    Raises:
        MalformedInput, Unsupported: a line that is no claim; named. BadSignature: one signature
            was made to stand for two principals, on one line or on two.
    """
    verified, findings, others = list[VerifiedClaim](), list[Finding](), 0
    owners = {} if owners is None else owners
    try:
        lines = split_claims(data)
        if len(lines) > limits.MAX_CLAIMS:
            raise TooLarge(f"has {len(lines)} claims; at most {limits.MAX_CLAIMS} are read")
    except AttestError as error:
        raise error.within(where) from None
    for number, line in enumerate(lines, 1):
        place = f"{where}: line {number}"
        try:
            endorsed = verify_for_principals(parse_signature(line), principals, at)
            check_one_owner(owners, endorsed.used)
            findings += [_refused(error, place) for error in endorsed.refusals]
            if not endorsed.principals:
                others += 1
                continue
            verified.append(
                VerifiedClaim(
                    number,
                    Digest.of(endorsed.payload).hex,
                    parse_statement(endorsed.payload),
                    endorsed.payload,
                    endorsed.principals,
                    endorsed.signers,
                )
            )
        except AttestError as error:
            raise error.within(place) from None
    standing, withdrawn = _without_revoked(verified, where)
    return ClaimsRead(tuple(standing), tuple(withdrawn), others, tuple(findings))


def load_claims(path: Path, *, principals: Principals, at: datetime) -> tuple[Digest, ClaimsRead]:
    """Read and verify a claims file; also the digest of what was read.

    Raises:
        as :func:`read_claims`; Unavailable: it is not there, or cannot be read.
    """
    data = read_bounded(path, limits.MAX_BUNDLE_BYTES, "claims file")
    return Digest.of(data), read_claims(data, principals=principals, at=at, where=str(path))


def about(statement: Statement, digests: Mapping[str, str]) -> bool:
    """Whether a statement has the artifact as its only subject: *every* digest of the artifact
    stands in it, with the same value."""
    return (
        len(statement.subjects) == 1
        and len(digests) > 0  # nothing named is nothing matched
        and all(statement.subjects[0].digests.get(name) == value for name, value in digests.items())
    )


def _without_revoked(
    claims: Iterable[VerifiedClaim], where: str
) -> tuple[list[VerifiedClaim], list[VerifiedClaim]]:
    """Standing and withdrawn claims. A revocation cannot itself be taken back: approve anew."""
    listed = list(claims)
    revokers: dict[str, set[str]] = {}
    for claim in listed:
        if claim.predicate_type == REVOCATION_PREDICATE:
            try:
                named = read_revocation(claim.statement.predicate).claim_id
            except AttestError as error:
                raise error.within(f"{where}: line {claim.line}") from None
            revokers.setdefault(named, set()).update(claim.principals)
    standing, withdrawn = [], []
    for claim in listed:
        gone = revokers.get(claim.id, set())
        if claim.predicate_type == REVOCATION_PREDICATE or not gone & claim.principals:
            standing.append(claim)
        elif claim.principals <= gone:
            withdrawn.append(claim)
        else:
            standing.append(replace(claim, principals=claim.principals - gone))
    return standing, withdrawn


def _refused(error: AttestError, place: str) -> Finding:
    return Finding(
        "claim-not-counted",
        Severity.WARN,
        f"not counted: {error.message}",
        where=place,
        hint=error.hint,
        details={"reason": error.code},
    )
