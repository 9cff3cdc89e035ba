"""Verify an artifact: read, check signatures, check the statement, compare the tree.

Order of the checks; a failure ends the run except in the last:

1. the signature file is there, bounded, well-formed (:mod:`attest.codec.signature`);
2. its signatures hold under the trust that was given (:mod:`attest.trust.signature`);
3. the statement is an OMS statement whose root and tree digest fit its own entries;
4. every file on disk and every entry agree (:mod:`attest.artifact.compare`); all differences are
   listed;
5. where a claims file lies beside the artifact: what its claims by the same signers say
   (:mod:`attest.flow.claims`).

What this cannot see: a file that is changed after it was read here. Load from storage that the
attacker cannot write, or verify again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from attest import limits
from attest.artifact.compare import Comparison, Scope, compare_tree
from attest.artifact.hashing import Progress
from attest.artifact.names import (
    artifact_name,
    default_claims,
    default_signature,
    normalise_ignored,
    relative_inside,
)
from attest.artifact.walk import list_files
from attest.codec.bundle import UnverifiedBundle
from attest.codec.dsse import UnverifiedEnvelope
from attest.codec.oms import OmsStatement, parse_oms
from attest.codec.signature import parse_signature
from attest.digest import Digest, HashAlgorithm, parse_hex
from attest.errors import AttestError, DigestMismatch, Unavailable, VerificationFailed
from attest.files import read_bounded
from attest.flow.claims import claim_findings
from attest.trust.signature import verify_bundle, verify_envelope
from attest.trust.signers import (
    CertificateTrust,
    KeyTrust,
    SignerIdentity,
    SigstoreTrust,
    Trust,
    trust_digest,
)
from attest.verdict import Finding, Severity, Verdict, format_time


def verify_artifact(
    path: str | os.PathLike[str],
    *,
    trust: Trust,
    at: datetime,
    signature: Path | None = None,
    only: Sequence[str] = (),
    allow_ignore: Sequence[str] = (),
    follow_symlinks: bool = False,
    claims: Path | None = None,
    progress: Progress | None = None,
) -> Verdict:
    """Verify a directory or file against its signature. A denial is a verdict, not an exception.

    Args:
        path: the artifact.
        trust: who must have signed.
        at: the time to judge certificates and timestamps for, timezone-aware.
        signature: default: the file that :func:`attest.sign` writes.
        only: compare only names that match one of these shell patterns (``*`` crosses ``/``); each
            must match a signed file. The outcome is then ``partial`` at best.
        allow_ignore: paths inside the artifact that may be unsigned. What the signer ignored is
            refused unless it is named here.
        follow_symlinks: accept links that stay inside the artifact.
        claims: default: ``PATH.claims.jsonl``, if it is there.

    Example:
        >>> import attest, datetime, pathlib, tempfile
        >>> firmware = pathlib.Path(tempfile.mkdtemp()) / "fw.bin"
        >>> _ = firmware.write_bytes(b"firmware")
        >>> key = attest.generate_key(attest.KeyAlgorithm.ED25519)
        >>> _ = attest.sign(firmware, [key])
        >>> now = datetime.datetime.now(datetime.UTC)
        >>> verdict = attest.verify(firmware, trust=attest.KeyTrust((key.public_key,)), at=now)
        >>> verdict.outcome, verdict.subject["checked"]
        (<Outcome.PASS: 'pass'>, {'files': 1, 'bytes': 8})

    Raises:
        TypeError: ``trust`` is no trust, or ``at`` no time.
        ValueError: ``at`` without timezone, or ``allow_ignore`` leads out of the artifact.
    """
    path = Path(path)
    if not isinstance(trust, KeyTrust | CertificateTrust | SigstoreTrust):
        raise TypeError("`trust` must be a KeyTrust, CertificateTrust or SigstoreTrust")
    if not isinstance(at, datetime):
        raise TypeError("`at` must be a datetime")
    if at.tzinfo is None:
        raise ValueError("`at` must be timezone-aware")
    if isinstance(only, str) or isinstance(allow_ignore, str):
        raise TypeError("`only` and `allow_ignore` are lists of text")
    allowed = normalise_ignored(allow_ignore)
    run = _Run(path, trust, at)
    run.subject["asked"] = {
        "only": list(only),
        "allowIgnore": list(allowed),
        "followSymlinks": follow_symlinks,
    }
    try:
        chosen = signature or find_signature(path, trust)
        statement = run.check_signature(chosen)
        inside = relative_inside(path, chosen) if path.is_dir() else None
        listing = list_files(path, follow_symlinks=follow_symlinks)
        scope = Scope(tuple(only), allowed, inside, follow_symlinks)
        run.add_comparison(compare_tree(listing, statement, scope, progress))
        if statement.carries_tree_digest:
            run.add_claims(claims or default_claims(path), named=claims is not None)
    except AttestError as error:
        run.findings += Finding.all_from_error(error)
    return Verdict.conclude(
        run.findings, subject=run.subject, inputs=run.inputs, at=at, partial=bool(only)
    )


def find_signature(path: Path, trust: Trust) -> Path:
    """The default signature file of ``path``: a bundle, else an envelope.

    Where both lie there, several keys, or a key outside OMS, ask for the envelope.

    Raises:
        VerificationFailed: neither is there: an unsigned artifact is refused.
        Unavailable: the artifact is not there.
    """
    bundle, envelope = (default_signature(path, envelope=choice) for choice in (False, True))
    wants_envelope = isinstance(trust, KeyTrust) and (
        len(trust.keys) > 1 or not trust.keys[0].algorithm.oms
    )
    for candidate in (envelope, bundle) if wants_envelope else (bundle, envelope):
        if os.path.lexists(candidate):
            return candidate
    if not os.path.exists(path):
        raise Unavailable("does not exist", where=str(path), code="file-missing")
    raise VerificationFailed(
        "is not signed",
        where=str(path),
        hint=f"neither {bundle.name} nor {envelope.name} is there; name another with --signature",
        code="signature-missing",
    )


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """A signature file that was parsed and not verified.

    Attributes:
        path: where it was read.
        digest: of the file.
        form: ``oms-bundle`` or ``dsse-envelope``.
        parsed: its content.
    """

    path: Path
    digest: Digest
    form: str
    parsed: UnverifiedBundle | UnverifiedEnvelope


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """What a verified signature says. Its payload, which may have 200 MB, is not kept.

    Attributes:
        statement: whose root and tree digest fit its entries.
        signers: everybody who was asked for.
        unknown_signatures, unverified_timestamps: see
            :class:`attest.trust.signature.VerifiedPayload`.
    """

    statement: OmsStatement
    signers: tuple[SignerIdentity, ...]
    unknown_signatures: int
    unverified_timestamps: int


def read_signature(path: Path) -> SignatureFile:
    """Check 1 of this module.

    Raises:
        MalformedInput, Unsupported, Unavailable.
    """
    return parse_signature_file(read_bounded(path, limits.MAX_BUNDLE_BYTES, "signature"), path)


def parse_signature_file(data: bytes, path: Path) -> SignatureFile:
    """Check 1 of this module, for what was read from ``path``.

    Raises:
        MalformedInput, Unsupported.
    """
    try:
        parsed = parse_signature(data)
    except AttestError as error:
        raise error.at(str(path)) from None
    form = "oms-bundle" if isinstance(parsed, UnverifiedBundle) else "dsse-envelope"
    return SignatureFile(path, Digest.of(data), form, parsed)


def verify_signature(file: SignatureFile, trust: Trust, at: datetime) -> SignedStatement:
    """Checks 2 and 3 of this module.

    Raises:
        MalformedInput, Unsupported, VerificationFailed and its kinds.
    """
    try:
        if isinstance(file.parsed, UnverifiedBundle):
            verified = verify_bundle(file.parsed, trust, at)
        else:
            verified = verify_envelope(file.parsed, trust, at)
        statement = parse_oms(verified.payload)
        check_statement(statement)
    except AttestError as error:
        raise error.at(str(file.path)) from None
    return SignedStatement(
        statement, verified.signers, verified.unknown_signatures, verified.unverified_timestamps
    )


class _Run:
    """One verification. Made anew for every call: nothing is remembered."""

    def __init__(self, path: Path, trust: Trust, at: datetime) -> None:
        self.trust = trust
        self.at = at
        self.findings: list[Finding] = []
        self.subject: dict[str, Any] = {"name": artifact_name(path), "path": str(path)}
        self.inputs: dict[str, str] = {"trust": str(trust_digest(trust))}

    def check_signature(self, path: Path) -> OmsStatement:
        """Checks 1 to 3."""
        file = read_signature(path)
        self.inputs["signature"] = str(file.digest)
        self.subject |= {"signature": str(path), "form": file.form}
        signed = verify_signature(file, self.trust, self.at)
        self._describe(signed)
        return signed.statement

    def _describe(self, signed: SignedStatement) -> None:
        for signer in signed.signers:
            self.findings.append(_signer_finding(signer))
        if signed.unknown_signatures:
            self._note(
                "unknown-signatures",
                f"{signed.unknown_signatures} further signature(s) by keys that were not given",
            )
        if signed.unverified_timestamps:
            self._note("timestamp-unverified", "the timestamp was not judged: no TSA was given")
        statement, manifest = signed.statement, signed.statement.manifest
        if manifest.assumed:
            self._note(
                "digests-precomputed",
                f"the signer did not read {len(manifest.assumed)} file(s): digests were given",
            )
        self.subject["digests"] = dict(statement.subject.digests)
        if statement.legacy:
            self._note(
                "legacy-format", "v0.2-era signature: no root digest, names and sizes unbound"
            )

    def _note(self, code: str, message: str) -> None:
        self.findings.append(Finding(code, Severity.INFO, message))

    def add_comparison(self, result: Comparison) -> None:
        """Check 4."""
        self.subject["files"] = result.listed
        self.subject["checked"] = {"files": result.files, "bytes": result.size}
        self.findings += result.findings
        if result.refused:
            return
        if result.files:
            self.findings.append(
                Finding(
                    "files-match",
                    Severity.PASS,
                    f"{result.files} file(s), {result.size} bytes are what was signed",
                    details={"files": result.files, "bytes": result.size},
                )
            )
        else:
            self.findings.append(Finding("nothing-judged", Severity.FAIL, "no file was compared"))

    def add_claims(self, path: Path, *, named: bool) -> None:
        """Check 5. A file that the caller named must be there."""
        if named or os.path.lexists(path):
            data = read_bounded(path, limits.MAX_BUNDLE_BYTES, "claims file")
            self.inputs["claims"] = str(Digest.of(data))
            self.findings += claim_findings(
                data, path, digests=self.subject["digests"], trust=self.trust, at=self.at
            )


def check_statement(statement: OmsStatement) -> None:
    """The statement's digests fit its own entries. *Every* digest that we know must match.

    Raises:
        DigestMismatch: ``wrong-root`` or ``wrong-tree-digest``.
    """
    if statement.legacy:
        return
    manifest, signed = statement.manifest, statement.subject.digests
    expected = Digest(HashAlgorithm.SHA256, parse_hex(signed["sha256"], 32, what="root digest"))
    if manifest.root() != expected:
        raise DigestMismatch(
            "the root digest does not fit the listed files", where="subject", code="wrong-root"
        )
    if statement.carries_tree_digest:
        text = signed[manifest.tree_name()]
        tree = Digest(HashAlgorithm.SHA256, parse_hex(text, 32, what="tree digest"))
        if manifest.tree_digest() != tree:
            raise DigestMismatch(
                "the tree digest does not fit names, sizes and digests of the listed files",
                where="subject",
                code="wrong-tree-digest",
            )


def _signer_finding(signer: SignerIdentity) -> Finding:
    who = f"{signer.name} ({signer.fingerprint[:16]}…)" if signer.name else signer.fingerprint
    details: dict[str, Any] = {
        "type": signer.type,
        "fingerprint": signer.fingerprint,
        "algorithm": str(signer.algorithm),
    }
    if signer.name is not None:
        details["name"] = signer.name
    when = ""
    if signer.signed_at is not None:
        details["signedAt"] = format_time(signer.signed_at)
        when = f", not after {details['signedAt']}"
    return Finding(
        "signature-valid",
        Severity.PASS,
        f"signed by {signer.algorithm} {signer.type} {who}{when}",
        details={"signer": details},
    )
