"""Sign a claim about an artifact and append it to the claims file beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attest import limits
from attest.artifact.names import default_claims
from attest.codec import jsonstrict
from attest.codec.statement import encode_statement, parse_statement
from attest.digest import Digest
from attest.errors import TooLarge
from attest.flow.places import check_claims_place, default_signatures
from attest.flow.seal import Timestamper, append_statement, check_signers
from attest.flow.subject import ArtifactSubject
from attest.verdict import Finding

if TYPE_CHECKING:
    from attest.crypto.signer import Signer


@dataclass(frozen=True, slots=True)
class RecordReport:
    """A claim that was written.

    Attributes:
        claims: the file that it was appended to.
        claim_id: hex SHA-256 of the statement's bytes: how other claims refer to it.
        statement: its bytes.
        signers: fingerprints of the public keys.
        findings: warnings.
    """

    claims: Path
    claim_id: str
    statement: bytes = field(repr=False)
    signers: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def record_claim(
    path: Path,
    subject: ArtifactSubject,
    predicate_type: str,
    predicate: Mapping[str, Any] | bytes,
    signers: Sequence[Signer],
    *,
    claims: Path | None = None,
    timestamp: Timestamper | None = None,
) -> RecordReport:
    """Sign a statement about ``subject`` and append it.

    Args:
        path: the artifact, for the default place of its claims.
        predicate: JSON-compatible, or the text of a JSON object, which is kept byte for byte.
        signers: at least one; several keys make one multi-signature envelope.
        claims: default ``PATH.claims.jsonl``.
        timestamp: asked once for each signature.

    Raises:
        TooLarge: the statement is over ``limits.MAX_CLAIM_BYTES``.
        MalformedInput: ``claims-inside``, or the statement would not be read back.
        Unsupported: a certificate beside other signers.
        Unavailable: the file cannot be written, or is something else.
    """
    if isinstance(predicate, bytes):  # one object, and nothing that would go on after it
        jsonstrict.typed(jsonstrict.loads(predicate, what="predicate"), dict, where="predicate")
    statement = encode_statement([subject.as_statement_subject()], predicate_type, predicate)
    return record_statement(path, statement, signers, claims=claims, timestamp=timestamp)


def record_statement(
    path: Path,
    statement: bytes,
    signers: Sequence[Signer],
    *,
    claims: Path | None = None,
    timestamp: Timestamper | None = None,
) -> RecordReport:
    """Sign a finished statement and append it; arguments and errors as :func:`record_claim`."""
    check_signers(signers)
    target = claims or default_claims(path)
    check_claims_place(path, target, *default_signatures(path))
    if len(statement) > limits.MAX_CLAIM_BYTES:
        raise TooLarge(
            f"the claim has {len(statement)} bytes; at most {limits.MAX_CLAIM_BYTES} are read",
            hint="keep what it says in a file and claim its digest",
            code="claim-too-large",
        )
    parse_statement(statement)  # what is written here must be read everywhere
    findings = append_statement(statement, signers, target, timestamp)
    return RecordReport(
        target,
        Digest.of(statement).hex,
        statement,
        tuple(signer.public_key.fingerprint for signer in signers),
        findings,
    )
