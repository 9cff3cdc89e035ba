"""Claims beside an artifact: believed only from the trusted signer, about this very artifact."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from attest.claim.artifact import ArtifactClaim, encode_artifact_claim
from attest.crypto.x509 import SanRule
from attest.flow.sign import SignReport, sign_artifact
from attest.trust.signers import CertificateTrust
from attest.verdict import Outcome
from tests.support import claims, pki
from tests.support.forge import (
    ED25519,
    bundle,
    chain_material,
    encoded,
    envelope,
    make_tree,
    pae,
    refusals,
    signer,
    statement,
    verify,
    write,
)


@pytest.fixture
def report(tree) -> SignReport:
    return sign_artifact(tree, [signer()], claim=ArtifactClaim("model"))


def codes(verdict) -> list[str]:
    return [finding.code for finding in verdict.findings]


def line(report: SignReport, *keys, kind: str = "model", **digests: str) -> bytes:
    """A claim about the artifact of ``report``, or about other digests."""
    body = encode_artifact_claim(
        ArtifactClaim(kind), name="x", digests={**report.digests, **digests}, files=1, size=1
    )
    return json.dumps(envelope(body, keys or [signer()])).encode() + b"\n"


def test_claim_is_found_and_told(tree, report):
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    assert "claims-not-counted" not in codes(verdict)
    assert any("model" in f.message for f in verdict.findings if f.code.startswith("artifact"))


def test_missing_claims_file_is_no_finding(tree, report):
    report.claims.unlink()
    assert verify(tree).outcome is Outcome.PASS


def test_named_claims_file_must_be_there(tree, report, tmp_path):
    assert refusals(verify(tree, claims=tmp_path / "none.jsonl"))


@pytest.mark.parametrize("spoiled", ["sha256", "attestTreeV1"])
def test_claim_with_one_digest_of_another_artifact_does_not_count(tree, report, spoiled):
    """Trap 16d: in-toto lets any digest match; here all must."""
    write(report.claims, line(report, kind="dataset", **{spoiled: "00" * 32}))
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    assert "claims-not-counted" in codes(verdict)
    assert not any("dataset" in finding.message for finding in verdict.findings)


def test_claim_of_a_stranger_does_not_count(tree, report):
    write(report.claims, line(report, signer(ED25519), kind="dataset"))
    verdict = verify(tree)
    assert "claims-not-counted" in codes(verdict)
    assert not any("dataset" in finding.message for finding in verdict.findings)


def test_signature_is_no_claim_about_the_kind(tree, report):
    write(report.claims, json.dumps(envelope(statement(), [signer()])).encode() + b"\n")
    assert verify(tree).outcome is Outcome.PASS


@pytest.mark.parametrize("data", [b"{}\n", b"junk\n", b"\n", b"{"])
def test_malformed_line_refuses_and_is_named(tree, report, data):
    write(report.claims, report.claims.read_bytes() + data)
    verdict = verify(tree)
    assert verdict.outcome is Outcome.FAIL
    (place,) = [f.where for f in verdict.findings if f.outcome == "fail"]
    assert str(place).startswith(str(report.claims))


def test_removing_a_claim_gains_nothing(tmp_path, report, tree):
    """Trap 16b: claims only add; the verdict without them is the same."""
    with_claim = verify(tree).outcome
    report.claims.unlink()
    assert verify(tree).outcome is with_claim


def test_claims_of_one_artifact_beside_another(tree, report, tmp_path):
    other = make_tree(tmp_path / "other", {"a": b"1"})
    sign_artifact(other, [signer()])
    write(tmp_path / "other.claims.jsonl", report.claims.read_bytes())
    assert "claims-not-counted" in codes(verify(other))


def test_contradicting_kinds_are_both_told_and_refuse(tree, report):
    write(report.claims, report.claims.read_bytes() + line(report, kind="dataset"))
    verdict = verify(tree)
    assert verdict.outcome is Outcome.FAIL
    assert set(refusals(verdict)) == {"claims-clash"}
    told = [f.message for f in verdict.findings if f.code == "artifact-claim"]
    assert len(told) == 2


def test_the_same_kind_twice_is_told_once(tree, report):
    write(report.claims, report.claims.read_bytes() + line(report))
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    assert codes(verdict).count("artifact-claim") == 1


def test_a_withdrawn_kind_no_longer_contradicts(tree, report):
    wrong = line(report, kind="dataset")
    statement = base64.b64decode(json.loads(wrong)["payload"])
    back = claims.line(claims.revoking(statement), signer())
    write(report.claims, report.claims.read_bytes() + wrong + back)
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    assert not any("dataset" in finding.message for finding in verdict.findings)
    assert "claims-not-counted" in codes(verdict)


def test_a_claim_under_a_certificate_out_of_its_validity_is_a_warning(tmp_path):
    """The artifact's own signature has to hold; an older claim that does not only warns."""
    made = pki.make_pki()
    old = made.intermediate.issue("signer", not_after=pki.NOON - timedelta(days=1))
    tree = make_tree(tmp_path / "model")
    body = encoded(statement())
    raw = made.leaf.key.sign(pae(body), ec.ECDSA(hashes.SHA256()))
    write(tree / "model.sig", bundle(body, signature=raw, material=chain_material(made.chain)))
    digests = statement()["subject"][0]["digest"]
    kind = claims.claim(claims.ARTIFACT, {"kind": "model"}, digests)
    place = tmp_path / "model.claims.jsonl"
    trust = CertificateTrust(tuple(made.roots), SanRule("signer@example.org"))
    write(place, claims.certified(kind, made))
    assert "artifact-claim" in codes(verify(tree, trust=trust))
    write(place, claims.certified(kind, made, old))
    verdict = verify(tree, trust=trust)
    assert verdict.outcome is Outcome.PASS
    assert "artifact-claim" not in codes(verdict)
    (warned,) = [f for f in verdict.findings if f.code == "claim-not-counted"]
    assert warned.outcome == "warn"
    assert warned.where == f"{place}: line 1"


def test_every_key_that_was_asked_for_must_have_claimed(tree):
    """Two keys were demanded of the signature: a claim by one of them is by nobody."""
    report = sign_artifact(tree, [signer(), signer(ED25519)], claim=ArtifactClaim("model"))
    both = (signer(), signer(ED25519))
    assert "artifact-claim" in codes(verify(tree, *both))
    write(report.claims, line(report, signer()))
    verdict = verify(tree, *both)
    assert verdict.outcome is Outcome.PASS
    assert "artifact-claim" not in codes(verdict)
