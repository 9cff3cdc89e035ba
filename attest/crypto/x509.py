"""Signing certificates: whose key signed, according to a CA, at a given time.

::

    roots = load_certificates(ca_pem)
    verified = verify_signing_chain(
        chain_der, roots=roots, name_rule=SanRule("release@example.org"), at=signing_time
    )
    verified.public_key.verify_parts(signature, parts)

A chain proves a name, not a right: a name rule is required, there is no "any certificate of this
CA". The judged time is an argument: the time of use, or an earlier one that an RFC 3161 timestamp
proves (``attest.crypto.timestamp``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from attest.crypto.keys import PublicKey
from attest.crypto.path import (
    build_path,
    check_leaf_usage,
    extension,
    load_certificates,
    name_of,
    parse_certificate,
)
from attest.errors import MalformedInput, UntrustedIdentity, VerificationFailed
from attest.limits import MAX_CHAIN_LENGTH

__all__ = [
    "NameRule",
    "SanRule",
    "SubjectRule",
    "VerifiedCertificate",
    "load_certificates",
    "verify_signing_chain",
]


_SIGSTORE_NAME: Final = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
"""otherName of Fulcio certificates: a user name with a domain (``name!space@example.org``)."""


@dataclass(frozen=True, slots=True)
class SanRule:
    """The certificate carries exactly this subject alternative name.

    Attributes:
        name: its form decides the type that it must have in the certificate. With ``://`` or a
            leading ``spiffe:`` or ``urn:`` it is a URI; with ``@`` an e-mail address; with ``!``
            the otherName that Sigstore uses for user names; else a DNS name or an IP address in
            its canonical text. Compared character by character: no wildcards, no case folding.

    Raises:
        ValueError: an empty name.
    """

    name: str

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("the name is empty, which no certificate can match")


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """The certificate's subject is exactly this distinguished name.

    Attributes:
        dn: as RFC 4514 writes it, most specific part first: ``CN=release,O=Example``
            (``openssl x509 -subject -nameopt RFC2253``).

    Raises:
        ValueError: empty, or not a distinguished name.
    """

    dn: str

    def __post_init__(self) -> None:
        if not self.parsed().rdns:
            raise ValueError("the distinguished name is empty")

    def parsed(self) -> x509.Name:
        """The name as a sequence of attributes."""
        try:
            return x509.Name.from_rfc4514_string(self.dn)
        except ValueError:
            raise ValueError(
                "not a distinguished name of RFC 4514, such as CN=release,O=Example"
            ) from None


NameRule = SanRule | SubjectRule


@dataclass(frozen=True, slots=True)
class VerifiedCertificate:
    """A signing certificate that passed :func:`verify_signing_chain`, which alone makes it.

    Attributes:
        leaf: the certificate.
        public_key: its key; signatures are verified with this and no other.
        subject: distinguished name (RFC 4514). Chosen by the CA; print it escaped.
        sans: subject alternative names as text, in the certificate's order.
        not_before, not_after: its validity, UTC, both inclusive.
        fingerprint: hex SHA-256 of its DER encoding.
        root_fingerprint: hex SHA-256 of the DER encoding of the root that the path ends at.
    """

    leaf: x509.Certificate
    public_key: PublicKey
    subject: str
    sans: tuple[str, ...]
    not_before: datetime
    not_after: datetime
    fingerprint: str
    root_fingerprint: str


def verify_signing_chain(
    chain_der: Sequence[bytes],
    *,
    roots: Sequence[x509.Certificate],
    name_rule: NameRule,
    at: datetime,
    legacy: bool = False,
) -> VerifiedCertificate:
    """Verify the certificate chain that came with a signature.

    1. The chain has 1 to ``MAX_CHAIN_LENGTH`` certificates, each readable and bounded.
    2. The leaf's key is in the allow-list (not RSA).
    3. The leaf leads to one of ``roots`` at time ``at``: every check of ``attest.crypto.path``.
    4. The leaf is not a CA and not self-issued.
    5. The leaf may sign content, as code signing, and is not a TLS certificate.
    6. The leaf has a subject alternative name, and ``name_rule`` matches.

    Args:
        chain_der: leaf first, then intermediates in any order; the root may be among them and
            counts only if it is also in ``roots``. Attacker-controlled.
        roots: trust anchors.
        name_rule: who must have signed.
        at: judged time, with a time zone.
        legacy: tolerate what the first model-signing tools issued: a leaf that is marked as a CA,
            has its issuer's name, or has no subject alternative name (then ``name_rule`` can only
            be a :class:`SubjectRule`). All else is checked as ever.

    Raises:
        MalformedInput, Unsupported: the chain cannot be read, or is outside the allow-lists.
        TrustUnavailable: no roots.
        OutsideValidity: a certificate is not valid at ``at``.
        UntrustedIdentity: it leads to no root, or the name is another one.
        VerificationFailed: any other check.
        TypeError: ``name_rule`` is not a rule.
    """
    if not isinstance(name_rule, SanRule | SubjectRule):
        raise TypeError("a name rule is required")
    # 1.
    if not 1 <= len(chain_der) <= MAX_CHAIN_LENGTH:
        raise MalformedInput(
            f"a signer's chain has 1 to {MAX_CHAIN_LENGTH} certificates, not {len(chain_der)}",
            code="chain-length",
        )
    leaf, *others = [parse_certificate(der) for der in chain_der]
    # 2.
    public_key = PublicKey(leaf.public_key())
    # 3.
    usage = ExtendedKeyUsageOID.CODE_SIGNING
    path = build_path(leaf, others, roots, at=at, usage=usage)
    # 4.
    if not legacy:
        _check_end_entity(leaf)
    # 5.
    check_leaf_usage(leaf, usage, "code-signing")
    # 6.
    sans = _alternative_names(leaf)
    _check_name(leaf, sans, name_rule, legacy=legacy)
    return VerifiedCertificate(
        leaf=leaf,
        public_key=public_key,
        subject=leaf.subject.rfc4514_string(),
        sans=sans,
        not_before=leaf.not_valid_before_utc,
        not_after=leaf.not_valid_after_utc,
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        root_fingerprint=path[-1].fingerprint(hashes.SHA256()).hex(),
    )


def describe_certificate(der: bytes) -> dict[str, Any]:
    """What one certificate says, unverified, JSON-compatible but for the two times.

    Raises:
        MalformedInput, Unsupported: it cannot be read.
    """
    certificate = parse_certificate(der)
    return {
        "subject": certificate.subject.rfc4514_string(),
        "issuer": certificate.issuer.rfc4514_string(),
        "sans": list(_alternative_names(certificate)),
        "notBefore": certificate.not_valid_before_utc,
        "notAfter": certificate.not_valid_after_utc,
        "fingerprint": certificate.fingerprint(hashes.SHA256()).hex(),
    }


def _check_end_entity(leaf: x509.Certificate) -> None:
    constraints = extension(leaf, x509.BasicConstraints)
    key_usage = extension(leaf, x509.KeyUsage)
    if (constraints and constraints.ca) or (key_usage and key_usage.key_cert_sign):
        raise VerificationFailed(
            f"the signing certificate of {name_of(leaf)} is a CA",
            hint="sign with an end-entity certificate, or accept it with --legacy-certificate",
            code="leaf-is-ca",
        )
    if leaf.subject == leaf.issuer:
        raise VerificationFailed(
            f"the signing certificate of {name_of(leaf)} bears the name of its issuer",
            hint="sign with an end-entity certificate, or accept it with --legacy-certificate",
            code="leaf-is-self-issued",
        )


def _check_name(
    leaf: x509.Certificate, sans: tuple[str, ...], rule: NameRule, *, legacy: bool
) -> None:
    if not sans and not legacy:
        raise VerificationFailed(
            f"the signing certificate of {name_of(leaf)} has no subject alternative name",
            hint="ask the CA for one, or accept it with --legacy-certificate",
            code="no-alternative-name",
        )
    match rule:
        case SanRule():
            matches = rule.name in sans
        case SubjectRule():
            matches = rule.parsed() == leaf.subject
    if not matches:
        raise UntrustedIdentity(
            f"the signature is by {name_of(leaf)}, not by the required name",
            hint="check whom you expect to have signed",
            code="name-mismatch",
        )


def _alternative_names(leaf: x509.Certificate) -> tuple[str, ...]:
    """The names that have a text form; others (directory names, foreign otherNames) match none."""
    names = extension(leaf, x509.SubjectAlternativeName) or ()
    texts = [_text_of(name) for name in names]
    return tuple(text for text in texts if text)


def _text_of(name: x509.GeneralName) -> str | None:
    """The text of a name whose type fits the text: a URI in a dNSName would pass for a URI."""
    match name:
        case x509.UniformResourceIdentifier():
            return name.value if _is_uri(name.value) else None
        case x509.RFC822Name():
            return name.value if "@" in name.value and not _is_uri(name.value) else None
        case x509.DNSName():
            return None if _is_uri(name.value) or set(name.value) & {"@", "!"} else name.value
        case x509.IPAddress():
            return str(name.value)
        case x509.OtherName(type_id=oid) if oid == _SIGSTORE_NAME:
            try:
                text = asn1.decode_der(str, name.value)  # UTF8String and nothing after it
            except ValueError:
                return None
            return text if "!" in text and not _is_uri(text) else None
    return None


def _is_uri(text: str) -> bool:
    return "://" in text or text.startswith(("spiffe:", "urn:"))
