"""Signature files that cannot be read, or that do not hold. Most defects are vectors."""

from __future__ import annotations

import base64
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest import limits
from attest.crypto.timestamp import build_request
from attest.crypto.x509 import SanRule
from attest.errors import TooLarge
from attest.flow.sign import SignOptions, sign_artifact
from attest.flow.timestamp import attach_timestamp
from attest.trust.signers import CertificateTrust, KeyTrust
from attest.verdict import Outcome
from tests.support import pki
from tests.support.forge import (
    ED25519,
    ML_DSA,
    P256,
    P384,
    P521,
    bundle,
    chain_material,
    envelope,
    refusals,
    signer,
    statement,
    verify,
    write,
)
from tests.support.tsa import TimestampAuthority

NULL = Path("/dev/null")


def test_no_signature_file(tree):
    verdict = verify(tree)
    assert set(refusals(verdict)) == {"signature-missing"}
    assert verdict.outcome is Outcome.FAIL


def test_no_artifact(tmp_path):
    verdict = verify(tmp_path / "nothing")
    assert set(refusals(verdict)) == {"file-missing"}
    assert verdict.outcome is Outcome.ERROR


def test_named_signature_file_is_missing(tree, tmp_path):
    verdict = verify(tree, signature=tmp_path / "none.sig")
    assert set(refusals(verdict)) == {"file-missing"}
    assert verdict.outcome is Outcome.ERROR


def test_artifact_that_is_a_device():
    assert set(refusals(verify(NULL, signature=NULL))) == {"not-a-file"}


def test_signature_that_is_a_fifo_does_not_block(tree):
    os.mkfifo(tree / "model.sig")
    assert set(refusals(verify(tree))) == {"not-a-file"}


def test_signature_that_is_a_folder(tree):
    (tree / "model.sig").mkdir()
    assert set(refusals(verify(tree))) == {"not-a-file"}


def test_signature_of_a_gigabyte_is_not_read(tree):
    """Sparse: costs no disk, and must cost no memory either."""
    with (tree / "model.sig").open("wb") as file:
        file.truncate(1 << 30)
    assert set(refusals(verify(tree))) == {"too-large"}


def test_signature_of_nothing_but_opening_brackets(tree):
    write(tree / "model.sig", b"[" * 1_000_000)
    assert set(refusals(verify(tree))) == {"nested-too-deep"}


def test_signature_of_nothing_but_spaces(tree):
    write(tree / "model.sig", b" " * 1_000_000)
    assert set(refusals(verify(tree))) == {"truncated"}


def test_signature_of_zeros(tree):
    write(tree / "model.sig", bytes(1000))
    assert set(refusals(verify(tree))) == {"malformed-json"}


def test_more_signatures_than_allowed(tree):
    document = envelope(statement(), [signer()])
    document["signatures"] *= limits.MAX_SIGNATURES + 1
    write(tree / "model.dsse.json", document)
    assert set(refusals(verify(tree))) == {"too-large"}


def test_naive_time_is_a_mistake_of_the_caller(signed):
    with pytest.raises(ValueError, match="timezone"):
        verify(signed, at=datetime(2026, 1, 1))  # noqa: DTZ001


def test_empty_trust_cannot_be_made():
    with pytest.raises(ValueError, match="at least one"):
        KeyTrust(())
    with pytest.raises(ValueError, match="at least one"):
        CertificateTrust((), SanRule("x"))


def test_one_key_twice_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="twice"):
        KeyTrust((signer().public_key, signer().public_key))


def test_verdict_has_no_truth_value(signed):
    with pytest.raises(TypeError, match="truth value"):
        bool(verify(signed))


def test_a_denial_is_no_exception_and_its_error_names_the_file(tree):
    write(tree / "model.sig", b"{")
    (found,) = verify(tree).findings
    assert found.where == str(tree / "model.sig")


# Several keys


@pytest.fixture
def hybrid(tree):
    sign_artifact(tree, [signer(P256), signer(ML_DSA)])
    return tree


def test_hybrid(hybrid):
    verdict = verify(hybrid, signer(P256), signer(ML_DSA))
    assert verdict.outcome is Outcome.PASS
    assert [
        f.details["signer"]["algorithm"] for f in verdict.findings if "signer" in f.details
    ] == [
        "p256",
        "ml-dsa-65",
    ]


def test_part_of_the_signers_is_told_of_the_rest(hybrid):
    verdict = verify(hybrid, signer(ML_DSA))
    assert verdict.outcome is Outcome.PASS
    assert "unknown-signatures" in {finding.code for finding in verdict.findings}


def test_signature_stripped(hybrid):
    path = hybrid / "model.dsse.json"
    document = json.loads(path.read_bytes())
    del document["signatures"][1]
    write(path, document)
    found = refusals(verify(hybrid, signer(P256), signer(ML_DSA)))
    assert set(found) == {"no-signature-by-key"}


@pytest.mark.parametrize(
    ("keyids", "code"), [(True, "bad-signature"), (False, "no-signature-by-key")]
)
def test_second_of_two_signatures_is_bad(tree, keyids, code):
    document = envelope(statement(), [signer(P256), signer(ED25519)], keyids=keyids)
    document["signatures"][1]["sig"] = document["signatures"][0]["sig"]
    write(tree / "model.dsse.json", document)
    assert set(refusals(verify(tree, signer(P256), signer(ED25519)))) == {code}


def test_bad_signature_that_names_no_given_key_proves_nothing_and_harms_nothing(tree):
    document = envelope(statement(), [signer(P256), signer(ED25519)])
    document["signatures"][1]["sig"] = "AAAA"
    write(tree / "model.dsse.json", document)
    assert verify(tree, signer(P256)).outcome is Outcome.PASS


def test_hints_that_are_swapped_refuse(tree):
    document = envelope(statement(), [signer(P256), signer(ED25519)])
    first, second = document["signatures"]
    first["keyid"], second["keyid"] = second["keyid"], first["keyid"]
    write(tree / "model.dsse.json", document)
    assert set(refusals(verify(tree, signer(P256), signer(ED25519)))) == {"bad-signature"}


def test_order_of_signatures_does_not_matter(tree):
    write(tree / "model.dsse.json", envelope(statement(), [signer(ED25519), signer(P256)]))
    assert verify(tree, signer(P256), signer(ED25519)).outcome is Outcome.PASS


def test_envelope_is_found_where_the_keys_ask_for_it(hybrid):
    write(hybrid / "model.sig", bundle(statement()))
    verdict = verify(hybrid, signer(ML_DSA))
    assert verdict.subject["form"] == "dsse-envelope"
    assert verify(hybrid, signer(P256)).subject["form"] == "oms-bundle"


@pytest.mark.parametrize("algorithm", [P256, P384, P521, ED25519, ML_DSA], ids=str)
def test_every_algorithm_round_trip(tree, algorithm):
    report = sign_artifact(tree, [signer(algorithm)])
    assert report.form == ("oms-bundle" if algorithm.oms else "dsse-envelope")
    assert verify(tree, signer(algorithm)).outcome is Outcome.PASS
    assert refusals(verify(tree, signer(algorithm, 1)))


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512", "blake3"])
def test_every_hash_round_trip(tree, algorithm):
    from attest.digest import HashAlgorithm

    options = SignOptions(algorithm=HashAlgorithm(algorithm))
    sign_artifact(tree, [signer()], options=options)
    assert verify(tree).outcome is Outcome.PASS
    (tree / "config.json").write_bytes(b'{"hidden": 9}\n')
    assert refusals(verify(tree)) == {"file-changed": ["config.json"]}


# Certificates and time


def test_certificate_names_its_signer(tree):
    from attest.crypto.keys import load_private_key
    from attest.crypto.signer import CertificateSigner

    made = pki.make_pki()
    key = load_private_key(made.leaf.key_pem, None)
    sign_artifact(tree, [CertificateSigner(key, made.chain)])
    trust = CertificateTrust(tuple(made.roots), SanRule("signer@example.org"))
    verdict = verify(tree, trust=trust)
    assert verdict.outcome is Outcome.PASS
    (who,) = [f.details["signer"] for f in verdict.findings if f.code == "signature-valid"]
    assert (who["type"], who["name"]) == (
        "certificate",
        "signer@example.org, CN=signer,O=Example",
    )
    late = verify(tree, trust=trust, at=datetime(2031, 1, 1, tzinfo=UTC))
    assert set(refusals(late)) == {"certificate-expired"}


def test_chain_of_another_authority(tree):
    from attest.crypto.keys import load_private_key

    made, other = pki.make_pki(), pki.make_pki()
    key = load_private_key(made.leaf.key_pem, None)
    write(tree / "model.sig", bundle(statement(), key, material=chain_material(made.chain)))
    trust = CertificateTrust(tuple(other.roots), SanRule("signer@example.org"))
    assert set(refusals(verify(tree, trust=trust))) == {"untrusted-issuer"}


@pytest.fixture(scope="module")
def authority():
    return TimestampAuthority.make()


@pytest.fixture
def stamped(tree, authority):
    sign_artifact(tree, [signer()], timestamp=lambda raw: authority.respond(build_request(raw).der))
    return tree


def trust_with(authority: TimestampAuthority) -> KeyTrust:
    return KeyTrust((signer().public_key,), tsa_roots=tuple(authority.roots))


def test_timestamp_proves_a_time(stamped, authority):
    verdict = verify(stamped, trust=trust_with(authority))
    assert verdict.outcome is Outcome.PASS
    (who,) = [f.details["signer"] for f in verdict.findings if f.code == "signature-valid"]
    assert "signedAt" in who


def test_timestamp_is_told_where_it_is_not_judged(stamped):
    verdict = verify(stamped)
    assert verdict.outcome is Outcome.PASS
    assert "timestamp-unverified" in {finding.code for finding in verdict.findings}


def test_timestamp_missing_where_one_is_required(signed, authority):
    assert set(refusals(verify(signed, trust=trust_with(authority)))) == {"timestamp-missing"}


def test_timestamp_of_another_authority(stamped):
    other = TimestampAuthority.make("Other")
    assert refusals(verify(stamped, trust=trust_with(other)))


def test_timestamp_over_another_signature(stamped, tree, authority, tmp_path):
    path = stamped / "model.sig"
    document = json.loads(path.read_bytes())
    fresh = bundle(statement())
    document["dsseEnvelope"] = fresh["dsseEnvelope"]
    write(path, document)
    assert refusals(verify(stamped, trust=trust_with(authority)))


def test_timestamp_after_the_judged_time(stamped, authority):
    early = datetime(2025, 2, 1, tzinfo=UTC)
    assert refusals(verify(stamped, trust=trust_with(authority), at=early))


@pytest.mark.parametrize("keys", [[P256], [P256, ED25519]], ids=["bundle", "envelope"])
def test_timestamps_are_attached_until_there_is_no_room(tree, authority, keys):
    signers = [signer(key) for key in keys]
    path = sign_artifact(tree, signers).signature
    document = json.loads(path.read_bytes())
    raw = document.get("dsseEnvelope", document)["signatures"][0]["sig"]
    response = authority.respond(build_request(base64.b64decode(raw)).der)
    for _ in range(limits.MAX_TIMESTAMPS):
        attach_timestamp(tree, None, response)
    full = path.read_bytes()
    with pytest.raises(TooLarge):
        attach_timestamp(tree, None, response)
    assert path.read_bytes() == full
    assert verify(tree, *signers).outcome is Outcome.PASS
