"""A small certification authority that makes good certificates and every kind of bad one.

::

    pki = make_pki()
    chain = [der(pki.leaf), der(pki.intermediate)]
    expired = pki.intermediate.issue("signer", not_after=datetime(2026, 1, 1, tzinfo=UTC))

All certificates are valid from ``START`` to ``END``; ``NOON`` lies between. Keys are cached where
they are slow to make; nothing here is a secret.
"""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

START = datetime(2025, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
END = datetime(2030, 1, 1, tzinfo=UTC)

CODE_SIGNING = ExtendedKeyUsageOID.CODE_SIGNING
SERVER_AUTH = ExtendedKeyUsageOID.SERVER_AUTH
TIME_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE

_CA_USAGE = ("key_cert_sign", "crl_sign")
_LEAF_USAGE = ("digital_signature",)
_ALL_USAGES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A fresh ECDSA key, P-256 unless told otherwise."""
    return ec.generate_private_key(curve or ec.SECP256R1())


@functools.cache
def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    """One RSA key per size and test run."""
    return rsa.generate_private_key(65537, bits)


def name(common_name: str) -> x509.Name:
    """``CN=<common_name>,O=Example``."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


@dataclass(frozen=True)
class Entity:
    """A certificate with its private key; issues others."""

    certificate: x509.Certificate
    key: Any

    def issue(self, common_name: str, **knobs: Any) -> Entity:
        """A certificate signed by this one; see :func:`issue` for the knobs."""
        return issue(common_name, issuer=self, **knobs)

    @property
    def key_pem(self) -> bytes:
        """PKCS #8, not encrypted."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


@dataclass(frozen=True)
class Pki:
    """Root, intermediate CA and a code-signing leaf."""

    root: Entity
    intermediate: Entity
    leaf: Entity

    @property
    def roots(self) -> list[x509.Certificate]:
        return [self.root.certificate]

    @property
    def chain(self) -> list[bytes]:
        return [der(self.leaf), der(self.intermediate)]


def make_pki(root_key: Any = None, intermediate_key: Any = None, leaf_key: Any = None) -> Pki:
    """The ordinary case; P-384 CAs and a P-256 leaf unless keys are given."""
    root = issue("root", ca=True, key=root_key or ec_key(ec.SECP384R1()))
    intermediate = root.issue("issuing CA", ca=True, path_length=0, key=intermediate_key)
    return Pki(root, intermediate, intermediate.issue("signer", key=leaf_key))


def issue(
    common_name: str,
    *,
    issuer: Entity | None = None,
    ca: bool = False,
    key: Any = None,
    path_length: int | None = None,
    basic_constraints: bool = True,
    key_usage: Sequence[str] | None = None,
    usages: Sequence[x509.ObjectIdentifier] | None = None,
    usages_critical: bool = False,
    sans: Sequence[x509.GeneralName] | None = None,
    not_before: datetime = START,
    not_after: datetime = END,
    serial_number: int | None = None,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Entity:
    """A certificate; self-signed without ``issuer``.

    Args:
        key_usage: names of bits; by default what a CA or leaf needs; empty leaves it out.
        usages: extended key usages; by default none for a CA, codeSigning for a leaf.
        sans: by default ``signer@example.org`` for a leaf; empty leaves the extension out.
        extensions: (value, critical) to add.
    """
    key = key or ec_key()
    key_usage = (_CA_USAGE if ca else _LEAF_USAGE) if key_usage is None else key_usage
    usages = (() if ca else (CODE_SIGNING,)) if usages is None else usages
    sans = (() if ca else (x509.RFC822Name("signer@example.org"),)) if sans is None else sans
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(issuer.certificate.subject if issuer else name(common_name))
        .public_key(key.public_key())
        .serial_number(serial_number or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
    )
    if basic_constraints:
        builder = builder.add_extension(
            x509.BasicConstraints(ca=ca, path_length=path_length), critical=True
        )
    if key_usage:
        bits = {each: each in key_usage for each in _ALL_USAGES}
        builder = builder.add_extension(x509.KeyUsage(**bits), critical=True)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=usages_critical)
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical=critical)
    signing_key = issuer.key if issuer else key
    hashless = isinstance(signing_key, ed25519.Ed25519PrivateKey)
    return Entity(builder.sign(signing_key, None if hashless else hashes.SHA256()), key)


def every_san() -> list[tuple[x509.GeneralName, str]]:
    """One alternative name of each kind that has a text form, with that text."""
    utf8 = b"\x0c\x0bbuild!robot"
    return [
        (x509.DNSName("builder.example.org"), "builder.example.org"),
        (x509.RFC822Name("release@example.org"), "release@example.org"),
        (x509.UniformResourceIdentifier("https://ci.example/w"), "https://ci.example/w"),
        (x509.IPAddress(ipaddress.ip_address("2001:db8::1")), "2001:db8::1"),
        (x509.OtherName(x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7"), utf8), "build!robot"),
    ]


def der(entity: Entity) -> bytes:
    """The certificate in DER."""
    return entity.certificate.public_bytes(serialization.Encoding.DER)


def pem(*entities: Entity) -> bytes:
    """The certificates in PEM, one after the other."""
    encoding = serialization.Encoding.PEM
    return b"".join(each.certificate.public_bytes(encoding) for each in entities)
