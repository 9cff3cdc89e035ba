"""Claims beside an artifact: believed only from the trusted signer, about this very artifact."""

from __future__ import annotations

import json

import pytest

from attest.claim.artifact import ArtifactClaim, encode_artifact_claim
from attest.flow.sign import SignReport, sign_artifact
from attest.verdict import Outcome
from tests.support.forge import (
    ED25519,
    envelope,
    make_tree,
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
