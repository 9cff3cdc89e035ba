"""Files in which others hand out attestations, opened up to their envelopes.

Read, by content and never by name:

* Sigstore bundles v0.1 to v0.3 (GitHub, GitLab, slsa-github-generator, cosign) and our own;
* stand-alone DSSE envelopes, and bare in-toto statements, which nobody signed;
* several of these as JSON lines, or in the containers of npm (``attestations``), PyPI (PEP 740:
  ``attestation_bundles``, or one attestation) and Google Cloud Build (``provenance_summary``).

Nothing outside the envelopes is kept: text beside them is not signed. A PEP 740 attestation is a
Sigstore bundle with other member names; it is given the usual ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.codec import b64, jsonstrict
from attest.codec.bundle import (
    BUNDLE_MEDIA_TYPE,
    Material,
    SigstoreMaterial,
    UnverifiedBundle,
    parse_bundle,
)
from attest.codec.dsse import IN_TOTO_PAYLOAD_TYPE, UnverifiedEnvelope, read_envelope
from attest.codec.statement import STATEMENT_TYPE, Statement, read_statement
from attest.errors import MalformedInput, TooLarge, Unsupported

STATEMENT_V01_TYPE: Final = "https://in-toto.io/Statement/v0.1"

_OLD_BUNDLES: Final = (
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
)
_URL_SAFE: Final = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True)
class UnverifiedAttestation:
    """One attestation as found: nothing in it is proved yet.

    Attributes:
        form: ``sigstore-bundle``, ``bundle`` (key or certificate), ``envelope`` or ``statement``.
        payload: the statement's bytes.
        signed: what to verify; None for a bare statement.
        certificate: DER of a Sigstore signer's leaf; unverified.
    """

    form: str
    payload: bytes
    signed: UnverifiedBundle | UnverifiedEnvelope | None
    certificate: bytes | None = None


def parse_attestations(data: bytes) -> tuple[UnverifiedAttestation, ...]:
    """Every attestation of a file, in order; at least one.

    Raises:
        MalformedInput, Unsupported: one malformed attestation refuses the file.
    """
    if len(data) > limits.MAX_PROVENANCE_BYTES:
        raise TooLarge(f"has {len(data)} bytes; at most {limits.MAX_PROVENANCE_BYTES} are read")
    found: list[UnverifiedAttestation] = []
    for number, document in enumerate(_documents(data), 1):
        try:
            opened = _open(jsonstrict.typed(document, dict, where="attestation"))
            if not opened:
                raise MalformedInput("holds no attestation", code="no-attestation")
        except (MalformedInput, Unsupported) as error:
            raise error.within(f"attestation {number}") from None
        found += opened
        if len(found) > limits.MAX_ATTESTATIONS:
            raise TooLarge(f"more than {limits.MAX_ATTESTATIONS} attestations")
    return tuple(found)


def parse_any_statement(payload: bytes) -> Statement:
    """A statement v1, or v0.1, which has the same members.

    Raises:
        MalformedInput, Unsupported.
    """
    document = jsonstrict.typed(
        jsonstrict.loads(payload, what="statement"), dict, where="statement"
    )
    if document.get("_type") == STATEMENT_V01_TYPE:
        document = {**document, "_type": STATEMENT_TYPE}
    return read_statement(document)


def _documents(data: bytes) -> Iterable[Any]:
    """One document, or one on each line. Lines are tried only where each looks like an object."""
    lines = [line for line in data.splitlines() if line.strip()]
    if len(lines) < 2 or not all(line[:1] == b"{" and line.rstrip()[-1:] == b"}" for line in lines):
        return [jsonstrict.loads(data, what="attestation")]
    if len(lines) > limits.MAX_ATTESTATIONS:
        raise TooLarge(f"more than {limits.MAX_ATTESTATIONS} lines")
    return [_placed(line, number) for number, line in enumerate(lines, 1)]


def _placed(line: bytes, number: int) -> Any:
    try:
        return jsonstrict.loads(line, what="attestation")
    except MalformedInput as error:
        raise error.within(f"line {number}") from None


def _open(document: dict[str, Any]) -> list[UnverifiedAttestation]:
    """The attestations in one document, by the member that only its kind has."""
    if "mediaType" in document:
        return [_bundle(document)]
    if "payloadType" in document:
        return [_envelope(read_envelope(document, None))]
    if "_type" in document:
        return [_bare(document)]
    if "attestations" in document:
        return _npm(document)
    if "attestation_bundles" in document:
        return _pep740(document)
    if "verification_material" in document:
        return [_pep740_attestation(document, "attestation")]
    if "provenance_summary" in document:
        return _cloud_build(document)
    raise Unsupported(
        "neither a bundle nor an envelope, a statement or a known container of these",
        code="unknown-attestation",
    )


def _bare(document: dict[str, Any]) -> UnverifiedAttestation:
    """The statement is encoded anew: nobody signed it, so no bytes of it matter."""
    return UnverifiedAttestation("statement", json.dumps(document).encode("ascii"), None)


def _envelope(envelope: UnverifiedEnvelope) -> UnverifiedAttestation:
    if envelope.payload_type != IN_TOTO_PAYLOAD_TYPE:
        raise Unsupported("the payload is not in-toto", code="unknown-payload-type")
    return UnverifiedAttestation("envelope", envelope.payload, envelope)


def _bundle(document: dict[str, Any]) -> UnverifiedAttestation:
    """A bundle of any version. Its verifier gets the whole of it, as JSON of the same content."""
    if "dsseEnvelope" not in document:
        raise Unsupported("the bundle signs bytes, not a statement", code="not-a-statement")
    raw = json.dumps(document).encode("ascii")
    if jsonstrict.member(document, "mediaType", str, where="bundle") not in _OLD_BUNDLES:
        parsed = parse_bundle(raw)
        return _of_bundle(parsed, parsed.material)
    where = "verificationMaterial"
    material = jsonstrict.member(document, where, dict, where="bundle")
    envelope = read_envelope(
        jsonstrict.member(document, "dsseEnvelope", dict, where="bundle"),
        None,
        where="dsseEnvelope",
    )
    if len(envelope.signatures) != 1:
        raise MalformedInput(
            f"a bundle carries one signature, not {len(envelope.signatures)}",
            code="signature-count",
        )
    if "publicKey" in material:  # such as npm's own: the key comes from the verifier
        return _envelope(envelope)
    entries = jsonstrict.member(material, "tlogEntries", list, where=where)
    certificate = _old_leaf(material, where)
    kind = SigstoreMaterial(certificate, len(entries))
    return _of_bundle(UnverifiedBundle(kind, envelope, (), raw), kind)


def _of_bundle(bundle: UnverifiedBundle, material: Material) -> UnverifiedAttestation:
    payload = _envelope(bundle.envelope).payload
    if isinstance(material, SigstoreMaterial):
        return UnverifiedAttestation("sigstore-bundle", payload, bundle, material.certificate)
    return UnverifiedAttestation("bundle", payload, bundle)


def _old_leaf(material: dict[str, Any], where: str) -> bytes:
    """The first certificate of a v0.1 or v0.2 bundle."""
    holder = jsonstrict.member(material, "x509CertificateChain", dict, where=where)
    place = f"{where}.x509CertificateChain"
    listed = jsonstrict.member(holder, "certificates", list, where=place)
    if not 0 < len(listed) <= limits.MAX_CHAIN_LENGTH:
        raise MalformedInput("no certificate, or too many", where=place, code="chain-length")
    leaf = jsonstrict.typed(listed[0], dict, where=f"{place}[0]")
    return _certificate(jsonstrict.member(leaf, "rawBytes", str, where=f"{place}[0]"), place)


def _certificate(text: str, where: str) -> bytes:
    der = b64.decode(text, what=where)
    if len(der) > limits.MAX_CERTIFICATE_BYTES:
        raise TooLarge(f"certificate has {len(der)} bytes", where=where)
    return der


def _npm(document: dict[str, Any]) -> list[UnverifiedAttestation]:
    """What npm's registry answers: one bundle by the registry, one by the publisher's builder."""
    listed = jsonstrict.member(document, "attestations", list, where="container")
    return [
        _bundle(jsonstrict.member(entry, "bundle", dict, where=f"attestations[{index}]"))
        for index, entry in enumerate(_bounded(listed, "attestations"))
    ]


def _pep740(document: dict[str, Any]) -> list[UnverifiedAttestation]:
    """A PEP 740 provenance object. Its ``publisher`` members are PyPI's word and not signed."""
    found = []
    groups = jsonstrict.member(document, "attestation_bundles", list, where="container")
    for index, group in enumerate(_bounded(groups, "attestation_bundles")):
        place = f"attestation_bundles[{index}]"
        listed = jsonstrict.member(group, "attestations", list, where=place)
        for entry in _bounded(listed, place):
            found.append(_pep740_attestation(entry, place))
            if len(found) > limits.MAX_ATTESTATIONS:
                raise TooLarge(f"more than {limits.MAX_ATTESTATIONS} attestations")
    return found


def _pep740_attestation(entry: dict[str, Any], where: str) -> UnverifiedAttestation:
    if jsonstrict.member(entry, "version", int, where=where) != 1:
        raise Unsupported("unknown version of a PEP 740 attestation", where=where)
    material = jsonstrict.member(entry, "verification_material", dict, where=where)
    envelope = jsonstrict.member(entry, "envelope", dict, where=where)
    return _bundle(
        {
            "mediaType": BUNDLE_MEDIA_TYPE,
            "verificationMaterial": {
                "certificate": {
                    "rawBytes": jsonstrict.member(material, "certificate", str, where=where)
                },
                "tlogEntries": jsonstrict.member(
                    material, "transparency_entries", list, where=where
                ),
            },
            "dsseEnvelope": {
                "payload": jsonstrict.member(envelope, "statement", str, where=where),
                "payloadType": IN_TOTO_PAYLOAD_TYPE,
                "signatures": [{"sig": jsonstrict.member(envelope, "signature", str, where=where)}],
            },
        }
    )


def _cloud_build(document: dict[str, Any]) -> list[UnverifiedAttestation]:
    """What ``gcloud artifacts docker images describe`` prints. Its base64 may be URL-safe."""
    summary = jsonstrict.member(document, "provenance_summary", dict, where="container")
    where = "provenance_summary"
    listed = jsonstrict.member(summary, "provenance", list, where=where)
    found = []
    for index, entry in enumerate(_bounded(listed, where)):
        place = f"{where}.provenance[{index}]"
        envelope = jsonstrict.member(entry, "envelope", dict, where=place)
        signatures = jsonstrict.member(envelope, "signatures", list, where=place)
        usual = {
            **envelope,
            "payload": _usual_base64(envelope, "payload", place),
            "signatures": [
                {**each, "sig": _usual_base64(each, "sig", place)}
                for each in jsonstrict.objects(signatures, where=place)
            ],
        }
        found.append(_envelope(read_envelope(usual, None, where=place)))
    return found


def _usual_base64(holder: dict[str, Any], key: str, where: str) -> str:
    """In the standard alphabet. One alphabet or the other: a mixture stays what it is."""
    text = jsonstrict.member(holder, key, str, where=where)
    return text if "+" in text or "/" in text else text.translate(_URL_SAFE)


def _bounded(listed: list[Any], where: str) -> list[dict[str, Any]]:
    if len(listed) > limits.MAX_ATTESTATIONS:
        raise TooLarge(f"has {len(listed)} entries", where=where)
    return jsonstrict.objects(listed, where=where)
