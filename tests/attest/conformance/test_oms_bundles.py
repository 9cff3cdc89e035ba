"""Other people's bundles (``../shared/fixtures/oms``): each verified or refused for its reason.

The fixtures say what must be accepted; the reason that a refusal must give is ours and stands here.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.codec.bundle import SigstoreMaterial, parse_bundle
from attest.codec.signature import parse_signature
from attest.crypto.keys import load_public_key
from attest.crypto.x509 import SanRule, SubjectRule, load_certificates
from attest.errors import MalformedInput
from attest.flow.inspect import inspect_file
from attest.flow.verify import verify_artifact
from attest.trust.signers import CertificateTrust, KeyTrust, SigstoreTrust, Trust
from attest.verdict import Outcome, Verdict
from tests.support.fixtures import fixture, fixtures_root
from tests.support.forge import refusals

AT = datetime(2026, 6, 1, tzinfo=UTC)
LEAF_SUBJECT = "CN=intermediate-ca"

REASONS = {
    "neg-truncated": "truncated",
    "neg-truncated-1": "truncated",
    "neg-wrong-key": "key-hint-mismatch",
    "neg-payload-tampered": "bad-signature",
    "neg-no-signatures": "no-signature",
    "neg-media-type": "unknown-media-type",
    "neg-duplicate-name": "duplicate-name",
    "neg-traversal": "unsafe-name",
    "neg-no-resources": "no-resources",
    "neg-ignore-everything": "no-resources",
    "neg-extra-resource": "file-missing",
    "neg-unknown-method": "unknown-method",
    "neg-unknown-hash": "unsupported-hash",
    "neg-mixed-alg": "algorithm-mismatch",
}


def oms(*parts: str) -> Path:
    return fixture("oms", *parts)


def key_trust(*parts: str) -> KeyTrust:
    return KeyTrust((load_public_key(oms(*parts).read_bytes()),))


def certificate_trust(*, legacy: bool = True, name: str = LEAF_SUBJECT) -> CertificateTrust:
    roots = load_certificates(oms("mt", "keys", "certificate", "ca-cert.pem").read_bytes())
    return CertificateTrust(tuple(roots), SubjectRule(name), legacy=legacy)


def sigstore_trust(
    identity: str = "stefanb@us.ibm.com",
    issuer: str = "https://sigstore.verify.ibm.com/oauth2",
) -> SigstoreTrust:
    pytest.importorskip("sigstore", reason="the extra 'sigstore' is not installed")
    from attest.adapters.sigstore import sigstore_trust as make

    root = oms("mt", "golden", "signing", "custom_trust_config.json").read_bytes()
    return make(root, identity=identity, issuer=issuer)


def assert_passes(verdict: Verdict, *, files: int) -> None:
    assert verdict.outcome is Outcome.PASS, verdict.findings
    assert verdict.subject["checked"]["files"] == files
    assert "signature-valid" in {finding.code for finding in verdict.findings}


def assert_refused(verdict: Verdict, *codes: str) -> None:
    assert verdict.outcome is Outcome.FAIL
    assert set(refusals(verdict)) == set(codes), verdict.findings


# Cases generated for this project: gen/cases.json


def _cases() -> list[dict[str, str]]:
    root = fixtures_root()
    path = root / "oms" / "gen" / "cases.json" if root else None
    return json.loads(path.read_bytes()) if path and path.exists() else []


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case["name"])
def test_generated_case(case):
    verdict = verify_artifact(
        oms("gen", case["model"]),
        trust=key_trust("gen", case["key"]),
        at=AT,
        signature=oms("gen", case["bundle"]),
    )
    if case["want"] == "accept":
        assert_passes(verdict, files=1 if case["model"] != "model" else 5)
    else:
        assert_refused(verdict, REASONS[case["name"]])


def test_generated_cases_are_all_here():
    names = {case["name"] for case in _cases()}
    if not names:
        oms("gen", "cases.json")
    assert {name for name in names if name.startswith("neg-")} == set(REASONS)


def test_tiny_model():
    assert_passes(
        verify_artifact(oms("tiny", "tiny-model"), trust=key_trust("tiny", "key.pub"), at=AT),
        files=4,
    )


# Bundles of the reference implementation, 2025 to today: mt/v*

CERTIFICATES = ("v0.2.0", "v0.3.1", "v1.0.0", "v1.0.1", "v1.1.0")
SIGSTORE = ("v0.3.1", "v1.0.0", "v1.0.1", "v1.1.0")
IGNORING = ("v1.0.1", "v1.1.0")
"""Versions whose fixtures hold an unsigned file ``ignore-me``."""


def allowed(version: str) -> tuple[str, ...]:
    return ("ignore-me",) if version in IGNORING else ()


@pytest.mark.parametrize("version", CERTIFICATES)
def test_reference_certificate(version):
    folder = oms("mt", f"{version}-certificate")
    verdict = verify_artifact(
        folder, trust=certificate_trust(), at=AT, allow_ignore=allowed(version)
    )
    assert_passes(verdict, files=2)
    codes = {finding.code for finding in verdict.findings}
    assert ("legacy-format" in codes) == (version == "v0.2.0")
    assert ("file-uncovered" in codes) == (version in IGNORING)


@pytest.mark.parametrize("version", CERTIFICATES)
def test_reference_certificate_needs_the_legacy_switch(version):
    trust = certificate_trust(legacy=False)
    verdict = verify_artifact(
        oms("mt", f"{version}-certificate"), trust=trust, at=AT, allow_ignore=allowed(version)
    )
    assert_refused(verdict, "leaf-is-ca")


@pytest.mark.parametrize("version", CERTIFICATES)
def test_reference_certificate_of_another_name(version):
    trust = certificate_trust(name="CN=somebody")
    verdict = verify_artifact(
        oms("mt", f"{version}-certificate"), trust=trust, at=AT, allow_ignore=allowed(version)
    )
    assert_refused(verdict, "name-mismatch")


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (datetime(2025, 5, 1, tzinfo=UTC), "certificate-not-yet-valid"),
        (datetime(2035, 5, 1, tzinfo=UTC), "certificate-expired"),
    ],
    ids=["before", "after"],
)
def test_reference_certificate_outside_its_validity(at, code):
    verdict = verify_artifact(oms("mt", "v1.0.0-certificate"), trust=certificate_trust(), at=at)
    assert_refused(verdict, code)


@pytest.mark.parametrize("version", ["v0.3.1", "v1.0.0"])
def test_reference_key_over_one_file(version):
    folder = oms("mt", f"{version}-elliptic-key")
    verdict = verify_artifact(
        folder / "signme-1",
        trust=key_trust("mt", "keys", "certificate", "signing-key-pub.pem"),
        at=AT,
        signature=folder / "model.sig",
    )
    assert_passes(verdict, files=1)


@pytest.mark.parametrize("version", IGNORING)
def test_reference_key_over_a_directory(version):
    trust = key_trust("mt", "keys", "certificate", "signing-key-pub.pem")
    folder = oms("mt", f"{version}-elliptic-key")
    assert_passes(verify_artifact(folder, trust=trust, at=AT, allow_ignore=["ignore-me"]), files=2)


@pytest.mark.parametrize("version", IGNORING)
@pytest.mark.parametrize("kind", ["elliptic-key", "certificate"])
def test_what_the_signer_ignored_must_be_allowed(version, kind):
    trust = (
        certificate_trust()
        if kind == "certificate"
        else key_trust("mt", "keys", "certificate", "signing-key-pub.pem")
    )
    verdict = verify_artifact(oms("mt", f"{version}-{kind}"), trust=trust, at=AT)
    assert verdict.outcome is Outcome.FAIL
    (code,) = refusals(verdict)
    assert code in ("file-uncovered", "file-extra")


@pytest.mark.parametrize("version", SIGSTORE)
def test_reference_sigstore(version):
    trust = sigstore_trust()
    verdict = verify_artifact(
        oms("mt", f"{version}-sigstore"), trust=trust, at=AT, allow_ignore=allowed(version)
    )
    assert_passes(verdict, files=2)
    signer = next(f for f in verdict.findings if f.code == "signature-valid").details["signer"]
    assert signer["type"] == "sigstore"
    assert "stefanb@us.ibm.com" in signer["name"]


@pytest.mark.parametrize(
    "wrong",
    [{"identity": "somebody@us.ibm.com"}, {"issuer": "https://accounts.google.com"}],
    ids=["identity", "issuer"],
)
def test_reference_sigstore_of_somebody_else(wrong):
    verdict = verify_artifact(oms("mt", "v1.0.0-sigstore"), trust=sigstore_trust(**wrong), at=AT)
    assert_refused(verdict, "untrusted-identity")


def test_reference_sigstore_over_other_content():
    verdict = verify_artifact(
        oms("mt", "v0.2.0-certificate"),
        trust=sigstore_trust(),
        at=AT,
        signature=oms("mt", "v1.0.0-sigstore", "model.sig"),
    )
    assert_passes(verdict, files=2)  # the same two files


@pytest.mark.parametrize("kind", ["certificate", "sigstore"])
def test_reference_bundle_under_another_kind_of_trust(kind):
    trust = key_trust("mt", "keys", "certificate", "signing-key-pub.pem")
    verdict = verify_artifact(oms("mt", f"v1.0.0-{kind}"), trust=trust, at=AT)
    assert_refused(verdict, "other-kind-of-signer")


def test_every_reference_bundle_is_covered_here():
    there = {path.name for path in oms("mt").glob("v*") if (path / "model.sig").exists()}
    keys = {f"{v}-elliptic-key" for v in ("v0.3.1", "v1.0.0", *IGNORING)}
    covered = (
        keys | {f"{v}-certificate" for v in CERTIFICATES} | {f"{v}-sigstore" for v in SIGSTORE}
    )
    assert there == covered
    assert len(there) == 13


@pytest.mark.parametrize(
    "name",
    [f"{v}-certificate" for v in CERTIFICATES]
    + [f"{v}-sigstore" for v in SIGSTORE]
    + ["v0.3.1-elliptic-key", "v1.1.0-elliptic-key"],
)
def test_one_changed_byte_of_content_is_named(name, tmp_path):
    version, _, kind = name.partition("-")
    folder = oms("mt", name)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    spoiled = tmp_path / "signme-1"
    spoiled.write_bytes(b"?" + spoiled.read_bytes()[1:])
    trust: Trust
    if kind == "certificate":
        trust = certificate_trust()
    elif kind == "sigstore":
        trust = sigstore_trust()
    else:
        trust = key_trust("mt", "keys", "certificate", "signing-key-pub.pem")
    single = name == "v0.3.1-elliptic-key"
    verdict = verify_artifact(
        spoiled if single else tmp_path,
        trust=trust,
        at=AT,
        signature=tmp_path / "model.sig",
        allow_ignore=allowed(version),
    )
    assert refusals(verdict) == {"file-changed": ["signme-1"]}


# The specification's vectors

SPEC = ("spec", "test-vectors", "v1.0")


def test_spec_valid_key():
    verdict = verify_artifact(
        oms("mt", "v1.1.0-elliptic-key"),
        trust=key_trust("mt", "keys", "certificate", "signing-key-pub.pem"),
        at=AT,
        signature=oms(*SPEC, "valid", "key.bundle.json"),
        allow_ignore=["ignore-me", "model.sig"],
    )
    assert_passes(verdict, files=2)


def test_spec_valid_certificate():
    verdict = verify_artifact(
        oms("mt", "v1.1.0-elliptic-key"),
        trust=certificate_trust(),
        at=AT,
        signature=oms(*SPEC, "valid", "certificate.bundle.json"),
        allow_ignore=["ignore-me", "model.sig"],
    )
    assert_passes(verdict, files=2)


def test_spec_valid_sigstore():
    verdict = verify_artifact(
        oms("mt", "v1.1.0-sigstore"),
        trust=sigstore_trust(),
        at=AT,
        signature=oms(*SPEC, "valid", "sigstore.bundle.json"),
        allow_ignore=["ignore-me"],
    )
    assert_passes(verdict, files=2)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("empty", "truncated"),
        ("missing-envelope", "missing-member"),
        ("missing-verification-material", "missing-member"),
    ],
)
def test_spec_invalid(name, code):
    path = oms(*SPEC, "invalid", f"{name}.bundle.json")
    trust = key_trust("mt", "keys", "certificate", "signing-key-pub.pem")
    verdict = verify_artifact(oms("mt", "v1.1.0-elliptic-key"), trust=trust, at=AT, signature=path)
    assert_refused(verdict, code)
    with pytest.raises(MalformedInput) as caught:
        inspect_file(path)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("invalid/missing-tlog-entries.bundle.json", "no-log-entry"),
        ("invalid-payload/wrong-predicate.bundle.json", "bad-signature"),
    ],
)
def test_spec_invalid_for_a_verifier(name, code):
    """The last one is never asked for its predicate: its signature is none."""
    verdict = verify_artifact(
        oms("mt", "v1.1.0-elliptic-key"),
        trust=key_trust("mt", "keys", "certificate", "signing-key-pub.pem"),
        at=AT,
        signature=oms(*SPEC, *name.split("/")),
    )
    assert_refused(verdict, code)


def test_every_valid_bundle_can_be_inspected():
    for path in (*oms("mt").glob("v*/model.sig"), *oms(*SPEC, "valid").glob("*.json")):
        described = inspect_file(path)
        assert described["verified"] is False
        assert described["type"] == "oms-bundle"
        assert described["payload"]["entries"] >= 1


def test_sigstore_bundles_keep_their_bytes_for_their_own_verifier():
    data = oms("mt", "v1.0.0-sigstore", "model.sig").read_bytes()
    bundle = parse_bundle(data)
    assert isinstance(bundle.material, SigstoreMaterial)
    assert bundle.raw == data
    assert parse_signature(data) == bundle


def test_san_rule_needs_a_san():
    trust = CertificateTrust(certificate_trust().roots, SanRule("intermediate-ca"), legacy=True)
    verdict = verify_artifact(oms("mt", "v1.0.0-certificate"), trust=trust, at=AT)
    assert_refused(verdict, "name-mismatch")
