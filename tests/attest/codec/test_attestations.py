"""Containers of attestations: opened to the envelope, and nothing beside it is believed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from attest import limits
from attest.codec.attestations import parse_any_statement, parse_attestations
from attest.codec.bundle import SigstoreMaterial
from attest.errors import AttestError, MalformedInput, TooLarge, Unsupported

KIND = "application/vnd.in-toto+json"
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "x", "digest": {"sha256": "5a" * 32}}],
    "predicateType": "https://slsa.dev/provenance/v1",
    "predicate": {"text": "\N{LATIN SMALL LETTER Y WITH DIAERESIS}\N{DEGREE SIGN}?>"},
}
PAYLOAD = json.dumps(STATEMENT, ensure_ascii=False).encode()
TEXT = base64.b64encode(PAYLOAD).decode()
ENVELOPE = {"payload": TEXT, "payloadType": KIND, "signatures": [{"sig": "+/+/"}]}
CHAIN = {"certificates": [{"rawBytes": "AAAA"}, {"rawBytes": "AAAB"}]}


def old(version: str = "0.2", **changes: Any) -> dict[str, Any]:
    return {
        "mediaType": f"application/vnd.dev.sigstore.bundle+json;version={version}",
        "verificationMaterial": {"x509CertificateChain": CHAIN, "tlogEntries": [{}]},
        "dsseEnvelope": ENVELOPE,
        **changes,
    }


NEW = {
    "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
    "verificationMaterial": {"certificate": {"rawBytes": "AAAA"}, "tlogEntries": [{}]},
    "dsseEnvelope": ENVELOPE,
}
PEP740 = {
    "version": 1,
    "verification_material": {"certificate": "AAAA", "transparency_entries": [{}]},
    "envelope": {"statement": TEXT, "signature": "+/+/"},
}
URL_SAFE = {
    **ENVELOPE,
    "payload": TEXT.replace("+", "-").replace("/", "_"),
    "signatures": [{"sig": "-_-_"}],
}


def parse(*documents: Any) -> tuple[Any, ...]:
    return parse_attestations(b"\n".join(json.dumps(each).encode() for each in documents))


@pytest.mark.parametrize(
    ("document", "form"),
    [
        (STATEMENT, "statement"),
        (ENVELOPE, "envelope"),
        (old("0.1"), "sigstore-bundle"),
        (old("0.2"), "sigstore-bundle"),
        (NEW, "sigstore-bundle"),
        (PEP740, "sigstore-bundle"),
        (old(verificationMaterial={"publicKey": {"hint": "x"}, "tlogEntries": []}), "envelope"),
        ({**NEW, "verificationMaterial": {"publicKey": {"hint": "x"}}}, "bundle"),
        ({"attestations": [{"predicateType": "lie", "bundle": old()}]}, "sigstore-bundle"),
        ({"attestation_bundles": [{"attestations": [PEP740], "publisher": 1}]}, "sigstore-bundle"),
        ({"provenance_summary": {"provenance": [{"envelope": URL_SAFE}]}}, "envelope"),
    ],
)
def test_forms(document: dict[str, Any], form: str):
    (found,) = parse(document)
    assert found.form == form
    assert json.loads(found.payload) == STATEMENT
    assert (found.signed is None) is (form == "statement")
    assert (found.certificate is not None) is (form == "sigstore-bundle")
    if form == "sigstore-bundle":
        assert isinstance(found.signed.material, SigstoreMaterial)
        assert found.certificate == b"\0\0\0"
        assert found.signed.raw
    if found.signed is not None:
        envelope = getattr(found.signed, "envelope", found.signed)
        assert envelope.signatures[0].sig == base64.b64decode("+/+/")


def test_lines_and_several_in_one_container():
    assert len(parse(ENVELOPE, NEW, old())) == 3
    assert len(parse({"attestations": [{"bundle": old()}, {"bundle": NEW}]})) == 2
    pretty = json.dumps(NEW, indent=2).encode()
    assert len(parse_attestations(pretty)) == 1


def test_statements_of_both_versions():
    v01 = {**STATEMENT, "_type": "https://in-toto.io/Statement/v0.1"}
    for each in (STATEMENT, v01):
        assert parse_any_statement(json.dumps(each).encode()).predicate_type
    with pytest.raises(Unsupported):
        parse_any_statement(
            json.dumps({**STATEMENT, "_type": "https://in-toto.io/Statement/v2"}).encode()
        )


MATERIAL = old()["verificationMaterial"]


@pytest.mark.parametrize(
    "document",
    [
        [],
        "x",
        {},
        {"mediaType": 1},
        {"mediaType": "x", "dsseEnvelope": ENVELOPE},
        {"mediaType": NEW["mediaType"], "messageSignature": {}},
        old(dsseEnvelope={**ENVELOPE, "signatures": [{"sig": "AAAA"}] * 2}),
        old(dsseEnvelope={**ENVELOPE, "signatures": []}),
        old(dsseEnvelope={**ENVELOPE, "payloadType": "text/plain"}),
        old(dsseEnvelope={**ENVELOPE, "payload": TEXT + "\n"}),
        old(verificationMaterial={}),
        old(verificationMaterial={"tlogEntries": []}),
        old(verificationMaterial={**MATERIAL, "tlogEntries": {}}),
        old(verificationMaterial={**MATERIAL, "x509CertificateChain": {"certificates": []}}),
        old(verificationMaterial={**MATERIAL, "x509CertificateChain": {"certificates": [1]}}),
        {"attestations": {}},
        {"attestations": [{}]},
        {"attestations": [{"bundle": {}}]},
        {"attestations": [{"bundle": {"dsseEnvelope": ENVELOPE}}]},
        {"attestations": [{"bundle": {"attestations": []}}]},
        {"attestation_bundles": [{}]},
        {"attestation_bundles": []},
        {**PEP740, "version": 2},
        {**PEP740, "envelope": {}},
        {"provenance_summary": {}},
        {"provenance_summary": {"provenance": [{"build": STATEMENT}]}},
        {"provenance_summary": {"provenance": [{"envelope": {**URL_SAFE, "signatures": [1]}}]}},
        {"provenance_summary": {"provenance": [{"envelope": {**URL_SAFE, "payload": "-+"}}]}},
        {**URL_SAFE, "signatures": [{"sig": "AAAA"}]},  # only Google may write it like that
    ],
)
def test_what_is_refused(document: Any):
    with pytest.raises((MalformedInput, Unsupported)):
        parse(document)
    with pytest.raises((MalformedInput, Unsupported)):
        parse(NEW, document)


def test_an_error_names_the_line():
    with pytest.raises(AttestError) as caught:
        parse_attestations(json.dumps(NEW).encode() + b'\n{"a": 1, "a": 2}\n')
    assert "line 2" in str(caught.value)


def test_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_ATTESTATIONS", 2)
    for documents in (
        [ENVELOPE] * 3,
        [{"attestations": [{"bundle": NEW}] * 3}],
        [{"attestation_bundles": [{"attestations": [PEP740] * 2}] * 2}],
        [{"provenance_summary": {"provenance": [{"envelope": ENVELOPE}] * 3}}],
    ):
        with pytest.raises(TooLarge):
            parse(*documents)
    monkeypatch.setattr(limits, "MAX_PROVENANCE_BYTES", 10)
    with pytest.raises(TooLarge):
        parse(NEW)
