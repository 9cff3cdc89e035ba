"""Verify provenance that others handed out: GitHub, GitLab, slsa-github-generator, Cloud Build, us.

Checks, in this order; none can be left out, and an expectation that is asked for and not met by
what the provenance says, or not said there at all, refuses:

1. the file holds attestations (:mod:`attest.codec.attestations`);
2. the given trust has signed at least one; those of others prove nothing and are counted;
3. the signed ones that are provenance, and that their signer has not revoked, are about this very
   artifact: one of their subjects has *only* digests that fit, and at least one that is known here;
4. the certificate of a Sigstore signer names no other source than the provenance;
5. builder, source, reference, commit and build type are those that were asked for.

Of several provenances by the trusted signer about one artifact each must hold: the worst decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from attest import limits
from attest.claim.predicates import REVOCATION_PREDICATE
from attest.claim.provenance import SLSA_VERSIONS, ProvenanceFacts, read_provenance
from attest.claim.resources import ResourceDescriptor
from attest.claim.revocation import read_revocation
from attest.codec.attestations import (
    UnverifiedAttestation,
    parse_any_statement,
    parse_attestations,
)
from attest.codec.bundle import UnverifiedBundle
from attest.codec.statement import Statement
from attest.crypto.fulcio import build_identity
from attest.digest import Digest
from attest.errors import (
    AttestError,
    BadSignature,
    MalformedInput,
    Unsupported,
    VerificationFailed,
)
from attest.files import read_bounded
from attest.flow.expectations import Expectations, check_expectations
from attest.flow.subjectmatch import ArtifactDigests, Match
from attest.trust.signature import VerifiedPayload, verify_bundle, verify_envelope
from attest.trust.signers import SigstoreTrust, Trust, trust_digest
from attest.verdict import Finding, Severity, Verdict, format_time

_NAMED: Final = 20
"""Attestations whose refusal is spelled out when none is by the trusted signer."""

_LISTED: Final = 1000
"""Dependencies and byproducts that a report lists; all are counted."""


@dataclass(frozen=True, slots=True)
class _Signed:
    """One attestation whose signature was verified."""

    where: str
    attestation: UnverifiedAttestation
    statement: Statement
    verified: VerifiedPayload


@dataclass(slots=True)
class _Run:
    """One verification."""

    trust: Trust
    at: datetime
    expected: Expectations
    artifact: ArtifactDigests
    findings: list[Finding] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    facts: list[dict[str, Any]] = field(default_factory=list)


def verify_provenance(
    attestations: Path,
    *,
    artifact: Path | None = None,
    digests: Mapping[str, str] | None = None,
    expected: Expectations,
    trust: Trust,
    at: datetime,
) -> Verdict:
    """Verify that somebody trusted says how ``artifact`` was built, and that it is as expected.

    Args:
        attestations: bundle, envelope, claims file or container of these.
        artifact: file, or directory whose provenance was written by this toolkit.
        digests: instead of a file: digest name -> hex, such as those of a container image.
        expected: at least the builder.
        trust: who must have signed.
        at: the time to judge certificates and timestamps for.

    Raises:
        ValueError: not exactly one of ``artifact`` and ``digests``; ``at`` without timezone.
        TypeError: ``expected`` is none.
    """
    if (artifact is None) is (digests is None):
        raise ValueError("give an artifact or digests, and only one of the two")
    if not isinstance(expected, Expectations):
        raise TypeError("`expected` must be Expectations")
    if at.tzinfo is None:
        raise ValueError("`at` must be timezone-aware")
    run = _Run(trust, at, expected, ArtifactDigests(artifact, digests))
    run.inputs = {"trust": str(trust_digest(trust)), **expected.to_inputs()}
    try:
        data = read_bounded(attestations, limits.MAX_PROVENANCE_BYTES, "provenance")
        run.inputs["attestations"] = str(Digest.of(data))
        try:
            _judge(run, parse_attestations(data))
        except AttestError as error:
            raise error.at(str(attestations)) from None
    except AttestError as error:
        run.findings += Finding.all_from_error(error)
    subject: dict[str, Any] = {"name": run.artifact.name, "digests": run.artifact.known}
    subject["attestations"] = str(attestations)
    subject["provenance"] = run.facts
    return Verdict.conclude(run.findings, subject=subject, inputs=run.inputs, at=at)


def _judge(run: _Run, attestations: Iterable[UnverifiedAttestation]) -> None:
    """Checks 2 to 5."""
    standing = _standing(_signed(run, attestations))
    provenances = [each for each in standing if each.statement.predicate_type in SLSA_VERSIONS]
    if not standing:
        return
    if not provenances:
        kinds = sorted({each.statement.predicate_type for each in standing})
        raise VerificationFailed(
            f"the trusted signer says nothing about a build, only {', '.join(kinds)[:200]}",
            code="no-provenance",
        )
    run.artifact.prepare(each.statement for each in provenances)
    about = [each for each in provenances if _is_about(run, each)]
    if not about and not any(finding.outcome is Severity.FAIL for finding in run.findings):
        raise VerificationFailed(
            "no signed provenance is about this artifact",
            hint="its digests are those of something else: was the artifact changed?",
            code="subject-mismatch",
        )
    for each in about:
        _judge_one(run, each)


def _signed(run: _Run, attestations: Iterable[UnverifiedAttestation]) -> list[_Signed]:
    """Check 2. Where nobody who is trusted has signed, every refusal is a finding."""
    signed, refusals, others = list[_Signed](), list[AttestError](), 0
    for number, each in enumerate(attestations, 1):
        where = f"attestation {number}"
        try:
            verified = verify_attestation(each, run.trust, run.at)
        except (VerificationFailed, MalformedInput, Unsupported) as error:
            others += 1
            if len(refusals) < _NAMED:
                refusals.append(error.at(where))
            continue
        try:
            signed.append(_Signed(where, each, parse_any_statement(verified.payload), verified))
        except AttestError as error:
            raise error.within(where) from None
    if not signed:
        run.findings += [Finding.from_error(error) for error in refusals]
    elif others:
        note = f"{others} attestation(s) are not by the trusted signer"
        run.findings.append(Finding("attestations-not-counted", Severity.INFO, note))
    return signed


def verify_attestation(
    attestation: UnverifiedAttestation, trust: Trust, at: datetime
) -> VerifiedPayload:
    """Verify the signature of one attestation.

    Raises:
        VerificationFailed and its kinds; ``not-signed`` for a bare statement. MalformedInput,
        Unsupported: the Sigstore verifier cannot read it.
    """
    signed = attestation.signed
    if signed is None:
        raise BadSignature(
            "a bare statement: nobody signed it", hint="anybody can write one", code="not-signed"
        )
    if isinstance(signed, UnverifiedBundle):
        return verify_bundle(signed, trust, at)
    return verify_envelope(signed, trust, at)


def _standing(signed: list[_Signed]) -> list[_Signed]:
    """Without those that the trusted signer took back."""
    revoked = {
        read_revocation(each.statement.predicate).claim_id
        for each in signed
        if each.statement.predicate_type == REVOCATION_PREDICATE
    }
    return [each for each in signed if Digest.of(each.verified.payload).hex not in revoked]


def _is_about(run: _Run, signed: _Signed) -> bool:
    """Check 3. A subject of which one digest fits and another does not refuses."""
    verdicts = [run.artifact.match(subject) for subject in signed.statement.subjects]
    if Match.CONTRADICTION in verdicts:
        run.findings.append(
            Finding(
                "subject-digests-disagree",
                Severity.FAIL,
                "one digest of a subject is the artifact's, and another differs or is not known",
                where=signed.where,
            )
        )
        return False
    return Match.SAME in verdicts


def _judge_one(run: _Run, signed: _Signed) -> None:
    """Checks 4 and 5 for one provenance about the artifact."""
    try:
        facts = read_provenance(signed.statement.predicate_type, signed.statement.predicate)
    except AttestError as error:
        raise error.within(signed.where) from None
    for signer in signed.verified.signers:
        who = signer.name or signer.fingerprint
        run.findings.append(
            Finding(
                "signature-valid",
                Severity.PASS,
                f"signed by {signer.type} {who}",
                where=signed.where,
                details={"signer": {"type": signer.type, "name": who}},
            )
        )
    run.findings.append(
        Finding("subject-matches", Severity.PASS, "it is about this artifact", where=signed.where)
    )
    if isinstance(run.trust, SigstoreTrust) and signed.attestation.certificate is not None:
        run.findings += _check_certificate(signed.attestation.certificate, facts, signed.where)
    run.findings += check_expectations(facts, run.expected, where=signed.where)
    run.facts.append(describe_provenance(facts))


def _check_certificate(der: bytes, facts: ProvenanceFacts, where: str) -> list[Finding]:
    """Check 4: the CA took the source from the builder's identity token, not from the build."""
    identity, source = build_identity(der), facts.source
    if source is None:
        return []
    pairs = {
        "source": (identity.source_uri, source.uri),
        "reference": (identity.source_ref, source.ref),
        "commit": (identity.source_digest, source.commit),
    }
    return [
        Finding(
            "certificate-source-mismatch",
            Severity.FAIL,
            f"the {what} is {claimed!r}, and the signer's certificate says {certified!r}",
            where=where,
            hint="the signer may not speak for this source",
        )
        for what, (certified, claimed) in pairs.items()
        if certified is not None and claimed is not None and certified != claimed
    ]


def show_provenance(file: Path) -> dict[str, Any]:
    """What the attestations in a file say, unverified.

    Returns:
        JSON-compatible; ``verified`` is False.

    Raises:
        MalformedInput: ``no-provenance`` among others. Unsupported, Unavailable.
    """
    data = read_bounded(file, limits.MAX_PROVENANCE_BYTES, "provenance")
    try:
        shown, others = list[dict[str, Any]](), 0
        for number, each in enumerate(parse_attestations(data), 1):
            statement = _placed_statement(each, number)
            if statement.predicate_type not in SLSA_VERSIONS:
                others += 1
                continue
            facts = read_provenance(statement.predicate_type, statement.predicate)
            shown.append(
                {
                    "form": each.form,
                    "subjects": [
                        {"name": subject.name, "digest": dict(subject.digests)}
                        for subject in statement.subjects[:_LISTED]
                    ],
                    **describe_provenance(facts),
                }
            )
    except AttestError as error:
        raise error.at(str(file)) from None
    if not shown:
        raise MalformedInput("holds no provenance", where=str(file), code="no-provenance")
    return {"verified": False, "provenance": shown, "otherAttestations": others}


def _placed_statement(attestation: UnverifiedAttestation, number: int) -> Statement:
    try:
        return parse_any_statement(attestation.payload)
    except AttestError as error:
        raise error.within(f"attestation {number}") from None


def describe_provenance(facts: ProvenanceFacts) -> dict[str, Any]:
    """The facts as JSON-compatible data, lists cut after 1000 members."""
    source = facts.source
    members: dict[str, Any] = {
        "slsaVersion": facts.slsa_version,
        "builder": facts.builder_id,
        "buildType": facts.build_type,
        "interpreted": facts.interpreted,
        "source": source and {"uri": source.uri, "ref": source.ref, "commit": source.commit},
        "entryPoint": facts.entry_point,
        "invocationId": facts.invocation_id,
        "startedOn": facts.started and format_time(facts.started),
        "finishedOn": facts.finished and format_time(facts.finished),
        "dependencies": _describe(facts.dependencies),
        "dependencyCount": len(facts.dependencies),
        "byproducts": _describe(facts.byproducts),
        "parameters": dict(facts.parameters),
    }
    return {key: value for key, value in members.items() if value is not None}


def _describe(resources: tuple[ResourceDescriptor, ...]) -> list[dict[str, Any]]:
    return [
        {
            key: value
            for key, value in {
                "role": each.role,
                "name": each.name,
                "uri": each.uri,
                "digest": dict(each.digests),
            }.items()
            if value
        }
        for each in resources[:_LISTED]
    ]
