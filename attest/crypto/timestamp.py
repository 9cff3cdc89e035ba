"""RFC 3161 timestamps over signatures: proof that a signature existed at a time.

A certificate is judged at the time of signing, and a signer's own clock proves nothing; a
timestamp authority (TSA) signs (hash of the signature, time) and so provides a time that can be
believed as far as the TSA is.

``rfc3161-client`` (OpenSSL) verifies the CMS signature. It judges the TSA's chain at the token's
own time, never at the wall clock, and reports all its failures as one error; the checks here are
made first and separately, so that each has its name and none depends on that library's defaults.
Its builder is given everything at construction: its ``add_*`` methods change shared lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from attest.codec.tsp import HASH_NAMES, UnverifiedResponse, UnverifiedToken, parse_response
from attest.errors import (
    BadSignature,
    DigestMismatch,
    MalformedInput,
    OutsideValidity,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)

if TYPE_CHECKING:
    from cryptography.x509 import Certificate
    from rfc3161_client import TimeStampResponse


@dataclass(frozen=True, slots=True)
class VerifiedTime:
    """A time that a trusted TSA vouched for; made by :func:`verify_timestamp` only.

    Attributes:
        time: genTime, UTC. The token's accuracy (usually a second) is not added.
        tsa_subject: distinguished name (RFC 4514) of the TSA's certificate.
        policy: dotted object identifier of the TSA's policy; recorded, not judged.
    """

    time: datetime
    tsa_subject: str
    policy: str


@dataclass(frozen=True, slots=True)
class TimestampRequest:
    """A request to a TSA.

    Attributes:
        der: TimeStampReq, to be sent as ``application/timestamp-query``.
        nonce: 64 random bits or more that the answer must repeat.
        message: what is timestamped (a raw signature).
    """

    der: bytes
    nonce: int
    message: bytes


def build_request(message: bytes) -> TimestampRequest:
    """A request for a token over SHA-256 of ``message``, with a fresh nonce and certificates.

    Raises:
        ValueError: an empty message.
    """
    from rfc3161_client import HashAlgorithm, TimestampRequestBuilder

    if not message:
        raise ValueError("there is nothing to timestamp")
    builder = TimestampRequestBuilder(data=message, hash_algorithm=HashAlgorithm.SHA256)
    request = builder.build()
    assert request.nonce is not None
    return TimestampRequest(request.as_bytes(), request.nonce, message)


def check_response(response: bytes, request: TimestampRequest) -> None:
    """Refuse an answer that does not belong to ``request``, when signing.

    Its signature and its signer are *not* judged: whoever verifies does that, with their own
    roots, by :func:`verify_timestamp`.

    Raises:
        MalformedInput: not a response of RFC 3161.
        VerificationFailed: ``timestamp-not-granted`` or ``timestamp-nonce-mismatch``.
        DigestMismatch: about other content.
    """
    check_about(response, request.message)
    if _decode(response).tst_info.nonce != request.nonce:
        raise VerificationFailed(
            "the timestamp does not answer this request",
            hint="try again; if it repeats, the TSA or a proxy replays old answers",
            code="timestamp-nonce-mismatch",
        )


def check_about(response: bytes, message: bytes) -> None:
    """Refuse an answer that was not granted or is about other content; judge nothing else.

    Raises:
        MalformedInput: not a response of RFC 3161.
        VerificationFailed: ``timestamp-not-granted``.
        DigestMismatch: about other content.
    """
    _granted(parse_response(response))
    _check_imprint(_decode(response), message)


def verify_timestamp(
    token: bytes, *, message: bytes, roots: Sequence[Certificate], at_most: datetime | None
) -> VerifiedTime:
    """Verify a TSA's response over ``message``.

    1. It is one strict-DER response that was granted, with one signer.
    2. It is about ``message``: SHA-256, SHA-384 or SHA-512.
    3. Its signer's certificate is present exactly once (in the token, or else in ``roots``) and is
       the one that the signed attribute ESSCertID names (RFC 3161 section 2.2).
    4. That certificate leads to one of ``roots`` at genTime (``attest.crypto.path``), and is for
       timestamping only, which a critical extension says (section 2.3).
    5. The CMS signature holds, over SHA-2.
    6. genTime is not after ``at_most``.

    Args:
        token: DER TimeStampResp. Attacker-controlled.
        message: the raw signature bytes.
        roots: self-signed CA certificates of trusted TSAs. Other certificates beside them are no
            anchors (OpenSSL would not take them as such): they complete tokens that carry too few.
        at_most: the judged time, or None where the caller has no upper bound to give. Required,
            so that it cannot be forgotten.

    Raises:
        MalformedInput, Unsupported: unreadable, or outside the allow-lists.
        TrustUnavailable: no self-signed root.
        DigestMismatch: about other content.
        OutsideValidity: the TSA's certificate was not valid at genTime, or genTime lies after
            ``at_most``.
        UntrustedIdentity: by a TSA that ``roots`` do not cover.
        BadSignature, VerificationFailed: any other check.
        ValueError: ``at_most`` has no time zone.
    """
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from attest.crypto.path import build_path, parse_certificate

    if at_most is not None and at_most.tzinfo is None:
        raise ValueError("the judged time needs a time zone")
    # 1.
    unverified = _granted(parse_response(token))
    decoded = _decode(token)
    # 2.
    _check_imprint(decoded, message)
    # 3.
    embedded = [parse_certificate(der) for der in unverified.certificates]
    tsa = _signer(unverified, embedded or roots)
    # 4.
    time = decoded.tst_info.gen_time
    usage = ExtendedKeyUsageOID.TIME_STAMPING
    anchors = [each for each in roots if each.subject == each.issuer]
    path = build_path(tsa, [*embedded, *roots], anchors, at=time, usage=usage)
    _check_timestamping_only(tsa)
    # 5.
    _check_signature(decoded, unverified, message, path)
    # 6.
    if at_most is not None and time > at_most:
        raise OutsideValidity(
            f"the timestamp says {time.isoformat()}, which is after {at_most.isoformat()}",
            hint="check the clock, or the time given as the judged one",
            code="timestamp-in-future",
        )
    policy = decoded.tst_info.policy.dotted_string
    return VerifiedTime(time, tsa.subject.rfc4514_string(), policy)


def _granted(response: UnverifiedResponse) -> UnverifiedToken:
    """Status "granted with modifications" (1) is a refusal too: it is not what was asked for."""
    if response.status != 0:
        said = ascii("; ".join(response.text)[:200])
        raise VerificationFailed(
            f"the timestamp was not granted (status {response.status}, {said})",
            hint="ask the timestamp authority again",
            code="timestamp-not-granted",
        )
    if response.token is None:
        raise _malformed("it is granted and has no token")
    return response.token


def _decode(response: bytes) -> TimeStampResponse:
    from rfc3161_client import decode_timestamp_response

    try:
        decoded = decode_timestamp_response(response)
        info = decoded.tst_info
        _ = (info.gen_time, info.policy, info.message_imprint.message, info.nonce)
    except ValueError:
        raise _malformed("its TSTInfo is not well-formed") from None
    if info.version != 1:
        raise _malformed("its TSTInfo is not of version 1")
    return decoded


def _check_imprint(decoded: TimeStampResponse, message: bytes) -> None:
    imprint = decoded.tst_info.message_imprint
    hash_name = _hash_name(imprint.hash_algorithm.dotted_string)
    if imprint.message != hashlib.new(hash_name, message).digest():
        raise DigestMismatch(
            "the timestamp is about another signature",
            hint="timestamp this signature again",
            code="timestamp-mismatch",
        )


def _signer(token: UnverifiedToken, candidates: Sequence[Certificate]) -> Certificate:
    from cryptography.hazmat.primitives.serialization import Encoding

    found = {
        each
        for each in candidates
        if each.serial_number == token.serial and each.issuer.public_bytes() == token.issuer_der
    }
    if len(found) != 1:
        raise UntrustedIdentity(
            f"the timestamp's signer matches {len(found)} certificates instead of one",
            hint="give the authority's own certificate with its CA certificates",
            code="timestamp-signer-unknown",
        )
    tsa = found.pop()
    der = tsa.public_bytes(Encoding.DER)
    if any(hashlib.new(name, der).digest() != value for name, value in token.certificate_ids):
        raise UntrustedIdentity(
            "the timestamp was made with another certificate than the one beside it",
            code="timestamp-signer-mismatch",
        )
    return tsa


def _check_timestamping_only(tsa: Certificate) -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from attest.crypto.path import check_leaf_usage, name_of

    check_leaf_usage(tsa, ExtendedKeyUsageOID.TIME_STAMPING, "timestamping")
    usage = tsa.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or len(list(usage.value)) != 1:
        raise VerificationFailed(
            f"the certificate of {name_of(tsa)} is not for timestamping only",
            hint="RFC 3161 section 2.3: one critical extended key usage; use another authority",
            code="wrong-extended-key-usage",
        )


def _check_signature(
    decoded: TimeStampResponse,
    token: UnverifiedToken,
    message: bytes,
    path: Sequence[Certificate],
) -> None:
    from rfc3161_client import VerificationError, VerifierBuilder

    _hash_name(token.digest_oid)
    verifier = VerifierBuilder(
        tsa_certificate=path[0], intermediates=list(path[1:-1]), roots=[path[-1]]
    ).build()
    try:
        accepted = verifier.verify_message(decoded, message)
    except (VerificationError, ValueError):
        accepted = False
    if accepted is not True:
        raise BadSignature(
            "the timestamp's signature is not by its authority",
            hint="the token is damaged or forged: timestamp the signature again",
            code="timestamp-bad-signature",
        )


def _hash_name(oid: str) -> str:
    if oid not in HASH_NAMES:
        raise Unsupported(
            f"the timestamp uses hash algorithm {oid}, which is not allowed",
            hint=f"allowed: {', '.join(HASH_NAMES.values())}",
            code="unsupported-hash",
        )
    return HASH_NAMES[oid]


def _malformed(reason: str) -> MalformedInput:
    return MalformedInput(f"the timestamp cannot be read: {reason}", code="malformed-timestamp")
