"""Certification paths of a private CA, judged at a given time (RFC 5280 section 6).

The web-PKI verifier of :mod:`cryptography` is made for TLS: it refuses leaves without a DNS name,
RSA-3072 roots that mix with P-521 leaves, and CAs that ``openssl req -x509`` makes by default. So
the path is built here, over the library's certificate parser and its signature check
(``verify_directly_issued_by``).

What :func:`build_path` establishes, in the numbering that the code carries:

1.  There is a trusted root to end at, and a judged time with a time zone.
2.  Every certificate on the path is valid at that time, the root included.
3.  Every certificate on the path has a key of the allow-list (RSA only from 2 048 bits, and only
    for issuers and timestamp authorities) and, except the root, a signature over SHA-2.
4.  No certificate on the path has a critical extension that is not understood here, or name
    constraints, which are not evaluated here.
5.  Every issuer is a CA (basicConstraints), within the path length of every CA above it. Stricter
    than RFC 5280, self-issued certificates count.
6.  Every issuer may sign certificates (keyUsage keyCertSign). Only a root may lack the extension.
7.  Every issuer that restricts extended key usage allows the usage of the leaf.
8.  Every certificate is signed by the next one, and the last one is a root as it was given.

The search is bounded: ``MAX_CHAIN_LENGTH`` certificates on a path, ``_MAX_SIGNATURE_CHECKS``
signature checks in all, however the offered certificates name each other.

What it does not check: the leaf's own usage and names (see :func:`check_leaf_usage` and
``attest.crypto.x509``), and revocation, which the trust snapshot carries.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

from attest.crypto.keys import PublicKey
from attest.errors import (
    MalformedInput,
    OutsideValidity,
    TooLarge,
    TrustUnavailable,
    Unsupported,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.limits import MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES, MAX_CHAIN_LENGTH

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

_MAX_SIGNATURE_CHECKS: Final = 64
_RSA_BITS: Final = range(2048, 16384 + 1)
_HASHES: Final = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNDERSTOOD: Final = (
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
)
# What the library tolerates with a warning, it tolerates no more where warnings are errors.
_UNREADABLE: Final = (
    ValueError,
    TypeError,  # a name whose string type does not fit its attribute
    x509.InvalidVersion,
    x509.DuplicateExtension,
    CryptographyDeprecationWarning,
)
_LABEL = re.compile(rb"-----BEGIN ([^\r\n]{0,64}?)-----")


def parse_certificate(der: bytes) -> x509.Certificate:
    """One certificate, all of whose fields can be read.

    The library reads extensions and keys late; here they are read at once, so that no later check
    can stumble over them.

    Raises:
        TooLarge: over ``MAX_CERTIFICATE_BYTES``.
        MalformedInput: not one DER certificate, trailing bytes, unreadable or repeated extensions.
        Unsupported: a key or name type that the library does not know.
    """
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise TooLarge(f"a certificate has at most {MAX_CERTIFICATE_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # over-long names are common, and harmless
            certificate = _read_through(x509.load_der_x509_certificate(der))
    except _UNREADABLE:
        raise _malformed("not a well-formed DER certificate") from None
    # The signature ends the certificate; its count of unused bits is outside what it signs.
    if not der.endswith(b"\x00" + certificate.signature):
        raise _malformed("its signature is not whole bytes")
    return certificate


def load_certificates(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates of a PEM file, in its order; text between the blocks is allowed.

    Raises:
        TooLarge: over ``MAX_CERTIFICATES``, or one over ``MAX_CERTIFICATE_BYTES``.
        MalformedInput: none, an unreadable one, or a block that is no certificate. A private key
            given by mistake is named as such and not shown.
        Unsupported: a key or name type that the library does not know.
    """
    labels = _LABEL.findall(pem)
    if any(label.endswith(b"PRIVATE KEY") for label in labels):
        raise MalformedInput(
            "this file holds a private key, where only certificates are needed",
            hint="keep the private key out of certificate files",
            code="private-key-given",
        )
    if len(labels) > MAX_CERTIFICATES:
        raise TooLarge(f"a certificate file has at most {MAX_CERTIFICATES} certificates")
    if not labels or any(label != b"CERTIFICATE" for label in labels):
        raise _malformed("only PEM CERTIFICATE blocks are expected, at least one")
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except _UNREADABLE:
        raise _malformed("not well-formed PEM certificates") from None
    if len(certificates) != len(labels):
        raise _malformed("a certificate block could not be read")
    return tuple(parse_certificate(each.public_bytes(Encoding.DER)) for each in certificates)


def build_path(
    leaf: x509.Certificate,
    others: Sequence[x509.Certificate],
    roots: Sequence[x509.Certificate],
    *,
    at: datetime,
    usage: x509.ObjectIdentifier,
) -> tuple[x509.Certificate, ...]:
    """The path from ``leaf`` to one of ``roots``, both included. Checks 1 to 8 hold for it.

    Args:
        leaf: attacker-controlled. Never an anchor itself, even if it is among ``roots``.
        others: intermediate candidates in any order. Attacker-controlled.
        roots: trust anchors. Self-signed or not; those that are not CAs match nothing.
        at: the judged time, with a time zone.
        usage: extended key usage that issuers must not exclude.

    Raises:
        TrustUnavailable: no roots.
        OutsideValidity, Unsupported, VerificationFailed: a check failed on the way.
        UntrustedIdentity: nothing leads to a root.
        ValueError: ``at`` has no time zone.
    """
    # 1.
    if not roots:
        raise TrustUnavailable(
            "no trusted root certificate was given", hint="give one", code="no-trusted-root"
        )
    if at.tzinfo is None:
        raise ValueError("the judged time needs a time zone")
    _check_any(leaf, at)
    issuers: dict[x509.Name, list[x509.Certificate]] = {}
    for candidate in dict.fromkeys((*roots, *others)):
        issuers.setdefault(candidate.subject, []).append(candidate)
    problem: VerificationFailed | Unsupported | None = None
    budget = _MAX_SIGNATURE_CHECKS
    open_paths: list[tuple[x509.Certificate, ...]] = [(leaf,)]
    while open_paths:
        path = open_paths.pop()
        for issuer in issuers.get(path[-1].issuer, ()):
            if issuer in path:
                continue
            budget -= 1
            if budget < 0:
                raise VerificationFailed(
                    f"no trusted root within {_MAX_SIGNATURE_CHECKS} signature checks",
                    hint="remove certificates that the path does not need",
                    code="chain-too-complex",
                )
            if not _issued(path[-1], issuer):
                continue
            try:
                _check_issuer(issuer, path, at, usage, root=issuer in roots)
            except (VerificationFailed, Unsupported) as error:
                # Another issuer of the same name may do; the first reason is the one to report.
                problem = problem or error
                continue
            if issuer in roots:
                return (*path, issuer)
            if len(path) < MAX_CHAIN_LENGTH - 1:
                open_paths.append((*path, issuer))
    raise problem or UntrustedIdentity(
        f"the certificate of {name_of(leaf)} leads to no trusted root",
        hint="give the root of its CA, and its intermediate certificates",
        code="untrusted-issuer",
    )


def check_leaf_usage(leaf: x509.Certificate, usage: x509.ObjectIdentifier, name: str) -> None:
    """The leaf may sign content, and for this usage: not *also* for TLS, not for anything.

    ``serverAuth`` and ``anyExtendedKeyUsage`` beside ``usage`` are refused, as the CA/Browser
    Forum's code signing requirements (7.1.2.3) refuse them.

    Raises:
        VerificationFailed: ``wrong-key-usage`` or ``wrong-extended-key-usage``.
    """
    key_usage = extension(leaf, x509.KeyUsage)
    if key_usage is None or not key_usage.digital_signature:
        raise _refused(leaf, "may not sign content (keyUsage digitalSignature)", "wrong-key-usage")
    purposes = set(extension(leaf, x509.ExtendedKeyUsage) or ())
    foreign = {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if usage not in purposes or purposes & foreign:
        raise _refused(leaf, f"is not a {name} certificate", "wrong-extended-key-usage")


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> _Extension | None:
    """The value of one extension, or None where it is absent."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def name_of(certificate: x509.Certificate) -> str:
    """The subject for messages, printable and bounded: attackers choose it."""
    return ascii(certificate.subject.rfc4514_string()[:100])


def _read_through(certificate: x509.Certificate) -> x509.Certificate:
    if certificate.serial_number <= 0:
        raise _malformed("a serial number is not positive (RFC 5280 section 4.1.2.2)")
    try:
        _ = (certificate.extensions, certificate.subject, certificate.issuer)
        _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        certificate.public_key()
    except (UnsupportedAlgorithm, x509.UnsupportedGeneralNameType):
        raise Unsupported(
            "a certificate uses a key or name type that is not supported",
            code="unsupported-certificate",
        ) from None
    return certificate


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Check 8. False also where algorithm and issuer's key do not fit together."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
        return False
    return True


def _check_any(certificate: x509.Certificate, at: datetime, *, root: bool = False) -> None:
    # 2.
    if at < certificate.not_valid_before_utc:
        since = certificate.not_valid_before_utc.isoformat()
        raise _outside(certificate, f"is not valid before {since}", "certificate-not-yet-valid", at)
    if at > certificate.not_valid_after_utc:
        until = certificate.not_valid_after_utc.isoformat()
        raise _outside(certificate, f"expired on {until}", "certificate-expired", at)
    # 3.
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size not in _RSA_BITS:
            raise _unsupported(certificate, f"has an RSA key of {key.key_size} bits", "weak-key")
    else:
        PublicKey(key)
    if not root and not _signed_over_sha2(certificate):
        raise _unsupported(certificate, "is not signed over SHA-2", "weak-signature-hash")
    # 4.
    for each in certificate.extensions:
        if each.oid == ExtensionOID.NAME_CONSTRAINTS or (
            each.critical and each.oid not in _UNDERSTOOD
        ):
            reason = f"needs extension {each.oid.dotted_string}, which is not understood here"
            raise _unsupported(certificate, reason, "unknown-critical-extension")


def _signed_over_sha2(certificate: x509.Certificate) -> bool:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return False
    # None: Ed25519 and ML-DSA hash by themselves.
    return algorithm is None or isinstance(algorithm, _HASHES)


def _check_issuer(
    issuer: x509.Certificate,
    below: Sequence[x509.Certificate],
    at: datetime,
    usage: x509.ObjectIdentifier,
    *,
    root: bool,
) -> None:
    # 5.
    constraints = extension(issuer, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise _refused(issuer, "issued a certificate and is not a CA", "issuer-not-ca")
    if constraints.path_length is not None and len(below) - 1 > constraints.path_length:
        reason = f"allows {constraints.path_length} CAs below itself, not {len(below) - 1}"
        raise _refused(issuer, reason, "path-length-exceeded")
    # 6.
    key_usage = extension(issuer, x509.KeyUsage)
    if not (key_usage.key_cert_sign if key_usage else root):
        raise _refused(issuer, "may not sign certificates (keyUsage)", "wrong-key-usage")
    # 7.
    purposes = extension(issuer, x509.ExtendedKeyUsage)
    if purposes is not None and not {
        usage,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }.intersection(purposes):
        reason = "is restricted to issuing for other purposes"
        raise _refused(issuer, reason, "wrong-extended-key-usage")
    _check_any(issuer, at, root=root)


def _outside(
    certificate: x509.Certificate, reason: str, code: str, at: datetime
) -> OutsideValidity:
    return OutsideValidity(
        f"the certificate of {name_of(certificate)} {reason}",
        hint=f"judged at {at.isoformat()}; an RFC 3161 timestamp can prove an earlier signing time",
        code=code,
    )


def _refused(certificate: x509.Certificate, reason: str, code: str) -> VerificationFailed:
    return VerificationFailed(
        f"the certificate of {name_of(certificate)} {reason}",
        hint="ask the CA for a certificate that is made for this purpose",
        code=code,
    )


def _unsupported(certificate: x509.Certificate, reason: str, code: str) -> Unsupported:
    return Unsupported(
        f"the certificate of {name_of(certificate)} {reason}",
        hint="ask the CA for a certificate within the documented profile",
        code=code,
    )


def _malformed(reason: str) -> MalformedInput:
    return MalformedInput(f"certificates cannot be read: {reason}", code="malformed-certificate")
