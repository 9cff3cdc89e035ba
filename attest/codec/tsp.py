"""RFC 3161 time-stamp responses: DER to objects, nothing verified.

The structure is RFC 3161 section 2.4.2 around the SignedData of RFC 5652 section 5, in strict DER
(which real authorities send; a response has one spelling here). The content, TSTInfo, stays bytes:
the ``rfc3161-client`` package reads it together with the signature that covers it.

Allocation is bounded by the response itself, which is at most ``MAX_TIMESTAMP_BYTES`` long: DER
declares lengths, and the decoder never goes beyond its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar, cast

from cryptography import x509
from cryptography.hazmat import asn1

from attest.errors import MalformedInput, TooLarge, Unsupported
from attest.limits import MAX_TIMESTAMP_BYTES

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_SIGNING_CERTIFICATE: Final = "1.2.840.113549.1.9.16.2.12"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
HASH_NAMES: Final = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
"""Hash algorithms that a timestamp may use, by dotted object identifier."""

_T = TypeVar("_T")


@asn1.sequence
class _Algorithm:
    algorithm: x509.ObjectIdentifier
    parameters: asn1.Null | None


@asn1.sequence
class _Content:
    content_type: x509.ObjectIdentifier
    content: Annotated[bytes, asn1.Explicit(0)]


@asn1.sequence
class _IssuerAndSerial:
    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _Attribute:
    type: x509.ObjectIdentifier
    values: asn1.SetOf[asn1.TLV]


@asn1.sequence
class _SignerInfo:
    version: int
    sid: _IssuerAndSerial
    digest_algorithm: _Algorithm
    signed_attributes: Annotated[asn1.SetOf[_Attribute], asn1.Implicit(0)]
    signature_algorithm: asn1.TLV
    signature: bytes
    unsigned_attributes: Annotated[asn1.SetOf[_Attribute] | None, asn1.Implicit(1)]


@asn1.sequence
class _SignedData:
    version: int
    digest_algorithms: asn1.SetOf[asn1.TLV]
    content: _Content
    certificates: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(0)]
    crls: Annotated[asn1.SetOf[asn1.TLV] | None, asn1.Implicit(1)]
    signer_infos: asn1.SetOf[_SignerInfo]


@asn1.sequence
class _Token:
    content_type: x509.ObjectIdentifier
    content: Annotated[_SignedData, asn1.Explicit(0)]


@asn1.sequence
class _Status:
    status: int
    text: list[str] | None
    failure: asn1.BitString | None


@asn1.sequence
class _Response:
    status: _Status
    token: _Token | None


@asn1.sequence
class _CertificateSerial:
    """IssuerSerial of RFC 5035: adds nothing to the hash beside it, and is not used."""

    issuer: asn1.TLV
    serial: int


@asn1.sequence
class _CertificateIdV1:
    digest: bytes
    serial: _CertificateSerial | None


@asn1.sequence
class _CertificateIdV2:
    algorithm: _Algorithm | None
    digest: bytes
    serial: _CertificateSerial | None


@asn1.sequence
class _SigningCertificateV1:
    certificates: list[_CertificateIdV1]
    policies: list[asn1.TLV] | None


@asn1.sequence
class _SigningCertificateV2:
    certificates: list[_CertificateIdV2]
    policies: list[asn1.TLV] | None


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """What a granted response says about its signer. Nothing in it is verified.

    Attributes:
        digest_oid: dotted hash algorithm of the signature.
        issuer_der, serial: which certificate the signer claims; not covered by the signature.
        certificate_ids: (:mod:`hashlib` name, digest) of the signer's DER certificate, by the
            signed attributes ESSCertID (SHA-1) and ESSCertIDv2; covered by the signature.
        certificates: DER, in the token's order; not covered by the signature.
    """

    digest_oid: str
    issuer_der: bytes
    serial: int
    certificate_ids: tuple[tuple[str, bytes], ...]
    certificates: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class UnverifiedResponse:
    """A response.

    Attributes:
        status: PKIStatus; 0 is granted.
        text: what the authority says about a refusal. Print it escaped.
        token: None unless one is present.
    """

    status: int
    text: tuple[str, ...]
    token: UnverifiedToken | None


def parse_response(data: bytes) -> UnverifiedResponse:
    """Read one TimeStampResp.

    Raises:
        TooLarge: over ``MAX_TIMESTAMP_BYTES``.
        MalformedInput: not DER, other structure, other content than TSTInfo, not exactly one
            signer, no identifier of the signer's certificate.
        Unsupported: that identifier uses a hash outside the allow-list.
    """
    if len(data) > MAX_TIMESTAMP_BYTES:
        raise TooLarge(f"a timestamp has at most {MAX_TIMESTAMP_BYTES} bytes")
    try:
        response = asn1.decode_der(_Response, data)
    except ValueError:
        raise _malformed("not a DER TimeStampResp of RFC 3161") from None
    token = None if response.token is None else _token(response.token)
    return UnverifiedResponse(response.status.status, tuple(response.status.text or ()), token)


def _token(token: _Token) -> UnverifiedToken:
    signed = token.content
    if token.content_type.dotted_string != _SIGNED_DATA:
        raise _malformed("not CMS SignedData")
    if signed.content.content_type.dotted_string != _TST_INFO:
        raise _malformed("its content is not a TSTInfo")
    signers = signed.signer_infos.as_list()
    if len(signers) != 1:
        raise _malformed(f"{len(signers)} signers instead of one")
    signer = signers[0]
    certificates = signed.certificates.as_list() if signed.certificates else []
    return UnverifiedToken(
        digest_oid=signer.digest_algorithm.algorithm.dotted_string,
        issuer_der=asn1.encode_der(signer.sid.issuer),
        serial=signer.sid.serial,
        certificate_ids=_certificate_ids(signer.signed_attributes.as_list()),
        certificates=tuple(asn1.encode_der(each) for each in certificates),
    )


def _certificate_ids(attributes: Sequence[_Attribute]) -> tuple[tuple[str, bytes], ...]:
    """One per attribute: the first identifier in it is the signer's (RFC 5035 section 5)."""
    found: list[tuple[str, bytes]] = []
    for attribute in attributes:
        oid = attribute.type.dotted_string
        if oid == _SIGNING_CERTIFICATE:
            first = _first(_only_value(attribute, _SigningCertificateV1).certificates)
            found.append(("sha1", first.digest))
        elif oid == _SIGNING_CERTIFICATE_V2:
            second = _first(_only_value(attribute, _SigningCertificateV2).certificates)
            found.append((_hash_name(second.algorithm), second.digest))
    if not found:
        raise _malformed("it does not identify its signer's certificate (ESSCertID)")
    return tuple(found)


def _hash_name(algorithm: _Algorithm | None) -> str:
    """RFC 5035 section 4: SHA-256 where none is named."""
    if algorithm is None:
        return "sha256"
    oid = algorithm.algorithm.dotted_string
    if oid not in HASH_NAMES:
        raise Unsupported(f"hash algorithm {oid} is not allowed", code="unsupported-hash")
    return HASH_NAMES[oid]


def _only_value(attribute: _Attribute, kind: type[_T]) -> _T:
    values = attribute.values.as_list()
    if len(values) != 1:
        raise _malformed("an attribute has not exactly one value")
    try:
        return cast(_T, values[0].parse(kind))
    except ValueError:
        raise _malformed("an attribute cannot be read") from None


def _first(identifiers: Sequence[_T]) -> _T:
    if not identifiers:
        raise _malformed("its ESSCertID is empty")
    return identifiers[0]


def _malformed(reason: str) -> MalformedInput:
    return MalformedInput(f"the timestamp cannot be read: {reason}", code="malformed-timestamp")
