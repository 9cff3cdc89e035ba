"""Before a claim is signed or added: is it well-formed, and is it about this artifact?"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.artifact.names import default_claims
from attest.claim.predicates import (
    PROVENANCE_PREDICATE,
    PROVENANCE_V01_PREDICATE,
    PROVENANCE_V02_PREDICATE,
    READERS,
)
from attest.claim.store import split_claims
from attest.codec import jsonstrict
from attest.codec.bundle import UnverifiedBundle
from attest.codec.dsse import UnverifiedEnvelope
from attest.codec.signature import parse_signature
from attest.codec.statement import Statement, parse_statement
from attest.digest import Digest
from attest.errors import AttestError, DigestMismatch, Unavailable, Unsupported
from attest.files import read_bounded
from attest.flow.claimset import about
from attest.flow.places import check_claims_place, default_signatures
from attest.flow.seal import append_line
from attest.flow.subject import ArtifactSubject
from attest.trust.signature import check_payload_type
from attest.verdict import Finding

_VERSIONED: Final = (PROVENANCE_PREDICATE, PROVENANCE_V02_PREDICATE, PROVENANCE_V01_PREDICATE)
"""Types that one function reads, which is told which of them it is."""


@dataclass(frozen=True, slots=True)
class Added:
    """A claim that was added as it is.

    Attributes:
        claims: the file.
        claim_id: hex SHA-256 of the statement.
        predicate_type: what it says it is.
        findings: warnings.
    """

    claims: Path
    claim_id: str
    predicate_type: str
    findings: tuple[Finding, ...]


def read_predicate(predicate_type: str, predicate: Mapping[str, Any]) -> object | None:
    """The typed claim in a predicate; None for a type that is not interpreted here.

    Raises:
        MalformedInput, Unsupported: it is not what its type says.
    """
    place = READERS.get(predicate_type)
    if place is None:
        return None
    module, _, name = place.partition(":")
    reader: Callable[..., object] = getattr(importlib.import_module(module), name)
    if predicate_type in _VERSIONED:
        return reader(predicate_type, dict(predicate))
    return reader(dict(predicate))


def check_predicate(predicate_type: str, predicate: Mapping[str, Any]) -> dict[str, Any]:
    """A predicate that may be signed under ``predicate_type``.

    Raises:
        MalformedInput: a known type, and not what it asks for.
        Unsupported: not a URI.
    """
    if ":" not in predicate_type or not predicate_type.isprintable() or " " in predicate_type:
        raise Unsupported("a predicate type is a URI", code="bad-predicate-type")
    read_predicate(predicate_type, predicate)
    return dict(predicate)


def add_signed(
    path: Path, data: bytes, subject: ArtifactSubject, *, claims: Path | None = None
) -> Added:
    """Append a claim that somebody else signed, about ``subject``. It is not verified.

    Args:
        data: an envelope or bundle, perhaps over several lines.

    Raises:
        MalformedInput, Unsupported: it is none. TooLarge: it does not fit into a line.
        DigestMismatch: ``claim-for-another-artifact``.
        Unavailable: the file cannot be written.
    """
    line = json.dumps(jsonstrict.loads(data, what="claim"), separators=(",", ":")).encode("ascii")
    payload, payload_type = _payload(parse_signature(line))  # as every reader will see it
    check_payload_type(payload_type)
    statement = parse_statement(payload)
    check_about(statement, subject)
    target = claims or default_claims(path)
    check_claims_place(path, target, *default_signatures(path))
    findings = append_line(line, target)
    return Added(target, Digest.of(payload).hex, statement.predicate_type, findings)


def check_about(statement: Statement, subject: ArtifactSubject) -> None:
    """Refuse a statement about anything else, or about only one of the artifact's digests.

    A statement by another tool about the one file that the artifact consists of is accepted: it
    names the file's own digest, which is neither of ours.

    Raises:
        DigestMismatch: ``claim-for-another-artifact``.
    """
    if about(statement, subject.digests) or about_file(statement, subject):
        return
    raise DigestMismatch(
        "the claim is about another artifact",
        where="subject",
        hint="both digests of its subject must be those of this artifact",
        code="claim-for-another-artifact",
    )


def about_file(statement: Statement, subject: ArtifactSubject) -> bool:
    """Whether one of the subjects is the only file of the artifact, by its content's digest."""
    manifest = subject.manifest
    if len(manifest) != 1:
        return False
    name, value = manifest.algorithm.value, manifest.digest(0).hex()
    return any(dict(each.digests) == {name: value} for each in statement.subjects)


def statement_to_cosign(
    path: Path, claim_id: str, subject: ArtifactSubject, claims: Path | None
) -> bytes:
    """The statement with this id from a claims file, for a further signature.

    Raises:
        Unavailable: ``claim-missing``. DigestMismatch: it is about another artifact.
        MalformedInput: a line is no claim, or the predicate not what its type says.
    """
    place = claims or default_claims(path)
    data = read_bounded(place, limits.MAX_BUNDLE_BYTES, "claims file")
    try:
        payload = _find(data, claim_id)
        if payload is not None:
            statement = parse_statement(payload)
            check_about(statement, subject)
            read_predicate(statement.predicate_type, statement.predicate)
            return payload
    except AttestError as error:
        raise error.within(str(place)) from None
    raise Unavailable("no claim has this id", where=claim_id, code="claim-missing")


def knows_claim(path: Path, claim_id: str, claims: Path | None = None) -> bool:
    """Whether a claim with this id lies beside an artifact, whoever signed it.

    Args:
        claims: default ``PATH.claims.jsonl``; there need not be any.

    Raises:
        MalformedInput, Unsupported: a line is no claim. Unavailable: the file cannot be read.
    """
    place = claims or default_claims(path)
    if not os.path.lexists(place):
        return False
    try:
        data = read_bounded(place, limits.MAX_BUNDLE_BYTES, "claims file")
        return _find(data, claim_id) is not None
    except AttestError as error:
        raise error.at(str(place)) from None


def _find(data: bytes, claim_id: str) -> bytes | None:
    """The statement with this id in a claims file."""
    for line in split_claims(data):
        payload, _ = _payload(parse_signature(line))
        if Digest.of(payload).hex == claim_id:
            return payload
    return None


def _payload(parsed: UnverifiedBundle | UnverifiedEnvelope) -> tuple[bytes, str]:
    envelope = parsed.envelope if isinstance(parsed, UnverifiedBundle) else parsed
    return envelope.payload, envelope.payload_type
