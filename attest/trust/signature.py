"""Verify the signatures of bundles and envelopes.

Checks, in this order; each raises, none can be left out:

1. the kind of signer that the file claims is the kind of trust that was given;
2. payload type is in-toto;
3. every key that was asked for has a valid signature (a signature that names one of these keys in
   its hint and does not verify refuses the file even so);
4. certificates: path, names, usage, at the proved time or at ``at`` (:mod:`attest.crypto.x509`);
5. timestamps, where roots for them were given: present, over this very signature, not after ``at``.

Signatures by keys that nobody asked for prove nothing and are only counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from attest import limits
from attest.codec.bundle import ChainMaterial, KeyMaterial, SigstoreMaterial, UnverifiedBundle
from attest.codec.dsse import (
    IN_TOTO_PAYLOAD_TYPE,
    EnvelopeSignature,
    UnverifiedEnvelope,
    pae_parts,
)
from attest.codec.oms import is_legacy_statement
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import signature_identity
from attest.errors import (
    AttestError,
    BadSignature,
    TooLarge,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.trust.signers import CertificateTrust, KeyTrust, SignerIdentity, SigstoreTrust, Trust

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from attest.crypto.keys import PublicKey


@dataclass(frozen=True, slots=True)
class VerifiedPayload:
    """A payload whose signatures were checked. Only this module makes one.

    Attributes:
        payload: the original bytes.
        signers: everybody who was asked for; at least one.
        unknown_signatures: further signatures, by keys that nobody asked for.
        unverified_timestamps: tokens that were not judged because no roots were given.
        used: what identifies each signature that was counted
            (:func:`attest.crypto.keys.signature_identity`): one must not stand for two people.
        certified: fingerprint of the public key in the signer's certificate; None for bare keys,
            and where the key is of a kind that is none here.
    """

    payload: bytes = field(repr=False)
    signers: tuple[SignerIdentity, ...]
    unknown_signatures: int = 0
    unverified_timestamps: int = 0
    used: frozenset[bytes] = frozenset()
    certified: str | None = None


def verify_bundle(bundle: UnverifiedBundle, trust: Trust, at: datetime) -> VerifiedPayload:
    """Verify a parsed bundle.

    Args:
        at: the time that is judged for, timezone-aware.

    Raises:
        VerificationFailed and its kinds; Unsupported.
    """
    material = bundle.material
    if isinstance(trust, SigstoreTrust):
        if not isinstance(material, SigstoreMaterial) or bundle.raw is None:
            raise _other_kind(material)
        payload_type, payload, signer = trust.check(bundle.raw)
        check_payload_type(payload_type)
        if payload != bundle.envelope.payload:
            raise BadSignature("two readers see different payloads", code="ambiguous-payload")
        used = frozenset({bundle.envelope.signatures[0].sig})
        certified = _certified_key(material.certificate)
        return VerifiedPayload(payload, (signer,), used=used, certified=certified)
    check_payload_type(bundle.envelope.payload_type)
    sole = bundle.envelope.signatures[0]
    signature = EnvelopeSignature(sole.sig, sole.keyid, bundle.timestamps)
    certified = None
    if isinstance(trust, KeyTrust) and isinstance(material, KeyMaterial):
        signer = _verify_key_bundle(material, bundle.envelope, signature, trust, at)
    elif isinstance(trust, CertificateTrust) and isinstance(material, ChainMaterial):
        signer = _verify_chain(material, bundle.envelope, signature, trust, at)
        certified = _certified_key(material.certificates[0])
    else:
        raise _other_kind(material)
    unjudged = 0 if trust.tsa_roots else len(signature.timestamps)
    used = frozenset({signature_identity(KeyAlgorithm(signer.algorithm), signature.sig)})
    return VerifiedPayload(bundle.envelope.payload, (signer,), 0, unjudged, used, certified)


def verify_envelope(envelope: UnverifiedEnvelope, trust: Trust, at: datetime) -> VerifiedPayload:
    """Verify a stand-alone envelope with one or several signatures by bare keys.

    Raises:
        VerificationFailed and its kinds; Unsupported.
    """
    if not isinstance(trust, KeyTrust):
        raise UntrustedIdentity(
            "a multi-signature envelope is signed by keys",
            code="other-kind-of-signer",
            hint="give the public keys",
        )
    check_payload_type(envelope.payload_type)
    signers, used = [], dict[int, bytes]()
    for key in trust.keys:
        index = _find_signature(envelope, key)
        signature = envelope.signatures[index]
        used[index] = signature_identity(key.algorithm, signature.sig)
        time = _proved_time(signature, trust.tsa_roots, at)
        signers.append(SignerIdentity("key", key.fingerprint, key.algorithm, None, time))
    if len(set(used.values())) != len(trust.keys):
        raise BadSignature(
            "one signature cannot stand for two keys",
            code="signature-counted-twice",
            hint="one of the keys was computed from a signature: ask its owner to prove it",
        )
    stamps = sum(len(signature.timestamps) for signature in envelope.signatures)
    return VerifiedPayload(
        envelope.payload,
        tuple(signers),
        len(envelope.signatures) - len(used),
        0 if trust.tsa_roots else stamps,
        frozenset(used.values()),
    )


def _find_signature(envelope: UnverifiedEnvelope, key: PublicKey) -> int:
    """The index of the valid signature by ``key``; hints only decide the order of trying."""
    check = key.verifier(pae_parts(envelope.payload_type, envelope.payload))
    named = [i for i, sig in enumerate(envelope.signatures) if sig.keyid == key.fingerprint]
    for index in named:
        _verify_with(key, check, envelope.signatures[index].sig)
    if named:
        return named[0]
    for index, signature in enumerate(envelope.signatures):
        try:
            check(signature.sig)
        except BadSignature:
            continue
        return index
    raise BadSignature(
        f"no valid signature by the {key.algorithm} key {key.fingerprint[:16]}…",
        hint="check that this is the signer's public key",
        code="no-signature-by-key",
    )


def _verify_with(key: PublicKey, check: Callable[[bytes], None], signature: bytes) -> None:
    try:
        check(signature)
    except BadSignature:
        raise BadSignature(
            f"the signature does not verify under the {key.algorithm} key {key.fingerprint[:16]}…",
            hint="the content was changed after signing, or this is not the signer's key",
        ) from None


def _verify_key_bundle(
    material: KeyMaterial,
    envelope: UnverifiedEnvelope,
    signature: EnvelopeSignature,
    trust: KeyTrust,
    at: datetime,
) -> SignerIdentity:
    if len(trust.keys) != 1:
        raise BadSignature(
            f"{len(trust.keys)} keys must have signed, and a bundle carries one signature",
            code="no-signature-by-key",
            hint="give one key, or the multi-signature envelope",
        )
    key = trust.keys[0]
    if material.hint is not None and material.hint != key.fingerprint:
        raise UntrustedIdentity(
            f"signed by the key {material.hint[:16]!r}…, not by {key.fingerprint[:16]}…",
            code="key-hint-mismatch",
            hint="give the signer's public key",
        )
    _verify_payload(key, envelope, signature.sig)
    time = _proved_time(signature, trust.tsa_roots, at)
    return SignerIdentity("key", key.fingerprint, key.algorithm, None, time)


def _verify_chain(
    material: ChainMaterial,
    envelope: UnverifiedEnvelope,
    signature: EnvelopeSignature,
    trust: CertificateTrust,
    at: datetime,
) -> SignerIdentity:
    from attest.crypto.x509 import verify_signing_chain

    time = _proved_time(signature, trust.tsa_roots, at)
    leaf = verify_signing_chain(
        material.certificates,
        roots=trust.roots,
        name_rule=trust.name,
        at=time or at,
        legacy=trust.legacy,
    )
    _verify_payload(leaf.public_key, envelope, signature.sig)
    name = ", ".join((*leaf.sans, leaf.subject) if leaf.subject else leaf.sans)
    return SignerIdentity("certificate", leaf.fingerprint, leaf.public_key.algorithm, name, time)


def _certified_key(der: bytes) -> str | None:
    """The fingerprint of the key in a certificate that was verified."""
    from attest.crypto.keys import PublicKey
    from attest.crypto.path import parse_certificate

    try:
        return PublicKey(parse_certificate(der).public_key()).fingerprint
    except AttestError:  # a Sigstore instance may certify kinds of keys that are none here
        return None


def _verify_payload(key: PublicKey, envelope: UnverifiedEnvelope, signature: bytes) -> None:
    if not key.algorithm.oms:
        raise Unsupported(f"{key.algorithm} signatures are not part of OMS", code="unsupported-key")
    check = key.verifier(pae_parts(envelope.payload_type, envelope.payload))
    try:
        _verify_with(key, check, signature)
    except BadSignature:
        if not is_legacy_statement(envelope.payload):
            raise
        key.verify_digest(signature, _legacy_digest(envelope), "sha256")


def _legacy_digest(envelope: UnverifiedEnvelope) -> bytes:
    """SHA-256 of the PAE of the v0.2 era: it held the Python repr of the payload.

    The repr is injective and starts with another word, so no v1.0 signature can pass for one.
    """
    kind, payload = envelope.payload_type, envelope.payload
    if len(payload) > limits.MAX_LEGACY_PAYLOAD_BYTES:
        raise TooLarge(f"a v0.2-era payload has at most {limits.MAX_LEGACY_PAYLOAD_BYTES} bytes")
    text = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}"
    return hashlib.sha256(text.encode("utf-8")).digest()


def _proved_time(
    signature: EnvelopeSignature, roots: Sequence[Certificate], at: datetime
) -> datetime | None:
    """The earliest time that a token proves; None if no roots were given."""
    if not roots:
        return None
    if not signature.timestamps:
        raise VerificationFailed(
            "the signature carries no timestamp, and one is required", code="timestamp-missing"
        )
    from attest.crypto.timestamp import verify_timestamp

    times, failure = [], None
    for token in signature.timestamps:
        try:
            verified = verify_timestamp(token, message=signature.sig, roots=roots, at_most=at)
        except VerificationFailed as error:
            failure = error
        else:
            times.append(verified.time)
    if failure is not None and not times:
        raise failure
    return min(times)


def check_payload_type(payload_type: str) -> None:
    """Refuse anything but in-toto statements.

    Raises:
        Unsupported: ``unknown-payload-type``.
    """
    if payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise Unsupported(
            f"payload type {payload_type[:80]!r} is not in-toto", code="unknown-payload-type"
        )


def _other_kind(material: object) -> UntrustedIdentity:
    said, give = {
        KeyMaterial: ("by a bare key", "its public key"),
        ChainMaterial: ("by a certificate", "a CA and a name"),
    }.get(type(material), ("through Sigstore", "identity, issuer and trusted root"))
    return UntrustedIdentity(
        f"signed {said}, and another kind of trust was given",
        code="other-kind-of-signer",
        hint=f"give {give} to verify it",
    )
