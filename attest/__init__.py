"""Sign, verify, scan and describe checkpoints, datasets and firmware.

A release engineer signs, once::

    >>> import attest, pathlib, tempfile
    >>> from datetime import UTC, datetime
    >>> model = pathlib.Path(tempfile.mkdtemp()) / "model"
    >>> model.mkdir()
    >>> _ = (model / "weights.bin").write_bytes(b"0" * 1000)
    >>> key = attest.generate_key(attest.KeyAlgorithm.ECDSA_P256)
    >>> report = attest.sign(model, [key])
    >>> report.form, report.files
    ('oms-bundle', 1)

Anybody verifies, offline, and says whom they trust and for which time::

    >>> trust = attest.KeyTrust((key.public_key,))
    >>> attest.verify(model, trust=trust, at=datetime.now(UTC)).outcome
    <Outcome.PASS: 'pass'>

A refusal is a verdict too, and names every file that differs::

    >>> _ = (model / "weights.bin").write_bytes(b"1" * 1000)
    >>> verdict = attest.verify(model, trust=trust, at=datetime.now(UTC))
    >>> verdict.outcome
    <Outcome.FAIL: 'fail'>
    >>> [(finding.code, finding.where) for finding in verdict.findings if finding.outcome == "fail"]
    [('file-changed', 'weights.bin')]

Is it safe to load? Reading is enough to tell::

    >>> suspect = model.parent / "state.pkl"
    >>> _ = suspect.write_bytes(b"cposix\\nsystem\\n(S'echo'\\ntR.")
    >>> scanned = attest.scan_artifact(suspect, rules=attest.default_rules())
    >>> [(file.name, str(file.grade)) for file in scanned.files]
    [('state.pkl', 'malicious')]

Claims say more about an artifact, and count by principal::

    >>> from attest.claim.predicates import APPROVAL_PREDICATE
    >>> _ = attest.sign(model, [key])
    >>> now = datetime.now(UTC)
    >>> subject = attest.subject_from_signature(model, trust, now)
    >>> approval = {"decision": "approve", "approver": "Alice", "role": "release",
    ...             "environment": "staging", "approvedOn": "2026-01-01T00:00:00Z"}
    >>> alice = attest.generate_key(attest.KeyAlgorithm.ED25519)
    >>> recorded = attest.record_claim(model, subject, APPROVAL_PREDICATE, approval, [alice])
    >>> people = attest.Principals(
    ...     [attest.Principal("alice", (attest.KeyTrust((alice.public_key,)),))])
    >>> _, claims = attest.load_claims(recorded.claims, principals=people, at=now)
    >>> [sorted(claim.principals) for claim in claims.of_type(APPROVAL_PREDICATE)]
    [['alice']]

Nothing is remembered from one call to the next, and there are no defaults for trust and time. What
could not even be attempted raises :class:`AttestError`; wrong arguments raise ``ValueError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attest.claim.artifact import ArtifactClaim
    from attest.crypto.algorithms import KeyAlgorithm
    from attest.crypto.keys import generate as generate_key
    from attest.crypto.keys import load_private_key, load_public_key
    from attest.crypto.signer import CertificateSigner, Signer
    from attest.crypto.x509 import SanRule, SubjectRule, load_certificates
    from attest.digest import HashAlgorithm
    from attest.errors import AttestError
    from attest.flow.bom import describe_artifact
    from attest.flow.claimset import load_claims
    from attest.flow.inspect import inspect_file as inspect
    from attest.flow.record import record_claim
    from attest.flow.scan import default_rules, scan_artifact
    from attest.flow.sign import SignOptions, SignReport
    from attest.flow.sign import sign_artifact as sign
    from attest.flow.subject import subject_from_content, subject_from_signature
    from attest.flow.verify import verify_artifact as verify
    from attest.trust.principals import Principal, Principals
    from attest.trust.signers import CertificateTrust, KeyTrust, SigstoreTrust
    from attest.verdict import Finding, Outcome, Severity, Verdict

__all__ = [
    "ArtifactClaim",
    "AttestError",
    "CertificateSigner",
    "CertificateTrust",
    "Finding",
    "HashAlgorithm",
    "KeyAlgorithm",
    "KeyTrust",
    "Outcome",
    "Principal",
    "Principals",
    "SanRule",
    "Severity",
    "SignOptions",
    "SignReport",
    "Signer",
    "SigstoreTrust",
    "SubjectRule",
    "Verdict",
    "default_rules",
    "describe_artifact",
    "generate_key",
    "inspect",
    "load_certificates",
    "load_claims",
    "load_private_key",
    "load_public_key",
    "record_claim",
    "scan_artifact",
    "sign",
    "subject_from_content",
    "subject_from_signature",
    "verify",
]

_PLACES = {
    "ArtifactClaim": "attest.claim.artifact",
    "AttestError": "attest.errors",
    "CertificateSigner": "attest.crypto.signer",
    "CertificateTrust": "attest.trust.signers",
    "Finding": "attest.verdict",
    "HashAlgorithm": "attest.digest",
    "KeyAlgorithm": "attest.crypto.algorithms",
    "KeyTrust": "attest.trust.signers",
    "Outcome": "attest.verdict",
    "Principal": "attest.trust.principals",
    "Principals": "attest.trust.principals",
    "SanRule": "attest.crypto.x509",
    "Severity": "attest.verdict",
    "SignOptions": "attest.flow.sign",
    "SignReport": "attest.flow.sign",
    "Signer": "attest.crypto.signer",
    "SigstoreTrust": "attest.trust.signers",
    "SubjectRule": "attest.crypto.x509",
    "Verdict": "attest.verdict",
    "default_rules": "attest.flow.scan",
    "describe_artifact": "attest.flow.bom",
    "generate_key": "attest.crypto.keys:generate",
    "inspect": "attest.flow.inspect:inspect_file",
    "load_certificates": "attest.crypto.x509",
    "load_claims": "attest.flow.claimset",
    "load_private_key": "attest.crypto.keys",
    "load_public_key": "attest.crypto.keys",
    "record_claim": "attest.flow.record",
    "scan_artifact": "attest.flow.scan",
    "sign": "attest.flow.sign:sign_artifact",
    "subject_from_content": "attest.flow.subject",
    "subject_from_signature": "attest.flow.subject",
    "verify": "attest.flow.verify:verify_artifact",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used: the command line starts in milliseconds."""
    place = _PLACES.get(name)
    if place is None:
        raise AttributeError(f"module 'attest' has no attribute {name!r}")
    from importlib import import_module

    module, _, attribute = place.partition(":")
    value = getattr(import_module(module), attribute or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
