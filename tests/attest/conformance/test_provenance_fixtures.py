"""Real provenance (``../shared/fixtures/provenance``) through the reader and the verifier.

Three groups: what verifies offline against the public-good trusted root, with its artifact and the
expectations of slsa-verifier's own tests; what the ``sigstore`` package cannot verify (older log
entries, no inclusion proof), which must be refused and never pass; and what must be refused.
"""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest.claim.provenance import SLSA_VERSIONS, read_provenance
from attest.codec.attestations import (
    UnverifiedAttestation,
    parse_any_statement,
    parse_attestations,
)
from attest.codec.dsse import EnvelopeSignature, parse_envelope
from attest.crypto.keys import ecdsa_signature_from_raw, load_public_key
from attest.errors import AttestError, BadSignature, MalformedInput, Unsupported
from attest.flow.expectations import Expectations
from attest.flow.provenance import show_provenance, verify_attestation, verify_provenance
from attest.trust.signature import verify_envelope
from attest.trust.signers import KeyTrust, SigstoreTrust
from attest.verdict import Outcome, Verdict
from tests.support.fixtures import fixture, fixtures_root

pytest.importorskip("sigstore")

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
GITHUB = "https://token.actions.githubusercontent.com"
GENERATOR = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows"
EXAMPLE = "github.com/slsa-framework/example-package"
ROOT = "sigstore-go/examples/trusted-root-public-good.json"


def there(*parts: str) -> Path:
    return fixture("provenance", *parts)


def trust(identity: str, issuer: str = GITHUB) -> SigstoreTrust:
    from attest.adapters.sigstore import sigstore_trust

    return sigstore_trust(there(ROOT).read_bytes(), identity=identity, issuer=issuer)


def judge(
    bundle: str,
    *,
    identity: str,
    issuer: str = GITHUB,
    artifact: str | None = None,
    digests: dict[str, str] | None = None,
    builder: str | None = None,
    **expected: str,
) -> Verdict:
    return verify_provenance(
        there(bundle),
        artifact=None if artifact is None else there(artifact),
        digests=digests,
        expected=Expectations(builder or identity, **expected),
        trust=trust(identity, issuer),
        at=NOW,
    )


def refusals(verdict: Verdict) -> set[str]:
    assert verdict.outcome is Outcome.FAIL, verdict
    return {finding.code for finding in verdict.findings if finding.outcome == "fail"}


def recorded_digest(name: str) -> dict[str, str]:
    """Large artifacts are replaced by a file with their digest."""
    return {"sha256": there(f"{name}.sha256").read_text().split()[0]}


# -- what verifies -------------------------------------------------------------------------------

BUILDERS = {
    "gha_generic": f"{GENERATOR}/generator_generic_slsa3.yml@refs/tags/v2.1.0",
    "gha_go": f"{GENERATOR}/builder_go_slsa3.yml@refs/tags/v2.1.0",
}
COMMIT = "4d329c75e7ec1725f7c9ce917a8799d408d06be3"


def generator(kind: str, name: str, **expected: str) -> Verdict:
    base = f"slsa-verifier/{kind}/v2.1.0/binary-linux-amd64-{name}"
    return judge(
        f"{base}.intoto.jsonl",
        identity=BUILDERS[kind],
        digests=recorded_digest(base),
        **expected,
    )


@pytest.mark.parametrize("kind", BUILDERS)
@pytest.mark.parametrize(
    ("name", "ref"),
    [
        ("push-v13.0.30", "refs/tags/v13.0.30"),
        ("push-v14", "refs/tags/v14"),
        ("push-v14.2", "refs/tags/v14.2"),
        ("workflow_dispatch", "refs/heads/main"),
    ],
)
def test_slsa_github_generator(kind: str, name: str, ref: str):
    verdict = generator(kind, name, source_uri=EXAMPLE, source_ref=ref)
    assert verdict.outcome is Outcome.PASS, verdict.findings
    (facts,) = verdict.subject["provenance"]
    assert facts["slsaVersion"] == "0.2"


@pytest.mark.parametrize("kind", BUILDERS)
def test_versioned_tags_as_slsa_verifier_has_them(kind: str):
    fitting = {"v13", "v13.0", "v13.0.30"}
    for version in (*fitting, "v2", "v0", "v13.1", "v12.9", "v13.0.29", "v13.0.31"):
        verdict = generator(kind, "push-v13.0.30", version=version)
        assert (verdict.outcome is Outcome.PASS) is (version in fitting), version


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ({"source_uri": EXAMPLE[:-1]}, "source-mismatch"),
        ({"source_uri": f"{EXAMPLE}-evil"}, "source-mismatch"),
        ({"source_uri": "github.com/evil/github.com/slsa-framework/example-package"},
         "source-mismatch"),
        ({"source_uri": "github.com/SLSA-framework/example-package"}, "source-mismatch"),
        ({"source_ref": "refs/heads/master"}, "source-ref-mismatch"),
        ({"source_commit": COMMIT[:-1] + "4"}, "source-commit-mismatch"),
        ({"builder": f"{GENERATOR}/not-trusted.yml@refs/tags/v2.1.0"}, "builder-mismatch"),
    ],
)  # fmt: skip
def test_slsa_verifiers_negative_cases(expected: dict[str, str], code: str):
    assert code in refusals(generator("gha_generic", "workflow_dispatch", **expected))


def test_the_commit():
    verdict = generator("gha_go", "push-v14", source_commit=COMMIT)
    assert verdict.outcome is Outcome.PASS


def test_another_binary():
    base = "slsa-verifier/gha_generic/v2.1.0/binary-linux-amd64-push-v14"
    verdict = judge(
        f"{base}.intoto.jsonl",
        identity=BUILDERS["gha_generic"],
        digests=recorded_digest(base.replace("generic", "go")),
    )
    assert refusals(verdict) == {"subject-mismatch"}


def test_another_identity_or_issuer():
    bundle = "slsa-verifier/gha_generic/v2.1.0/binary-linux-amd64-push-v14"
    digests = recorded_digest(bundle)
    for identity, issuer in ((BUILDERS["gha_go"], GITHUB), (BUILDERS["gha_generic"], "https://x")):
        verdict = judge(f"{bundle}.intoto.jsonl", identity=identity, issuer=issuer, digests=digests)
        assert verdict.outcome is Outcome.FAIL
        assert not verdict.subject["provenance"]


def test_github_attestations():
    verdict = judge(
        "github-attestation/custom-issuer.sigstore.json",
        identity="https://github.com/too-legit/attest/.github/workflows/integration.yml"
        "@refs/heads/main",
        issuer=f"{GITHUB}/hammer-time",
        artifact="github-attestation/custom-issuer-artifact",
        source_uri="github.com/too-legit/attest",
        source_ref="refs/heads/main",
        source_commit="283bf967fa3c591925dd25e6a6e8e781542117bf",
    )
    assert verdict.outcome is Outcome.PASS, verdict.findings
    verdict = judge(
        "github-attestation/reusable-workflow-attestation.sigstore.json",
        identity="https://github.com/github/artifact-attestations-workflows/.github/workflows/"
        "attest.yml@09b495c3f12c7881b3cc17209a327792065c1a1d",
        builder="https://github.com/actions/runner/github-hosted",
        artifact="github-attestation/reusable-workflow-artifact",
        source_uri="github.com/malancas/attest-demo",
    )
    assert verdict.outcome is Outcome.PASS, verdict.findings


PUBLISHER = "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml"


def test_bazel_registry():
    verdict = judge(
        "slsa-verifier/bcr/MODULE.bazel.intoto.jsonl",
        identity=f"{PUBLISHER}@refs/tags/v0.0.1",
        artifact="slsa-verifier/bcr/MODULE.bazel",
        source_uri="github.com/aspect-build/rules_lint",
    )
    assert verdict.outcome is Outcome.PASS, verdict.findings


def test_the_wrong_signer_of_the_bazel_registry():
    """A valid signature; the statement claims another builder and another repository."""
    wrong: dict[str, Any] = {
        "bundle": "slsa-verifier/bcr/MODULE-wrong-signer.bazel.intoto.jsonl",
        "artifact": "slsa-verifier/bcr/MODULE-wrong-signer.bazel",
        "builder": f"{PUBLISHER}@refs/tags/v0.0.1",
    }
    assert refusals(judge(identity=f"{PUBLISHER}@refs/tags/v0.0.1", **wrong))
    malicious = (
        "https://github.com/loosebazooka/aa-test/.github/workflows/malicious_attestation.yaml"
        "@refs/heads/main"
    )
    codes = refusals(judge(identity=malicious, **wrong))
    assert codes == {"certificate-source-mismatch"}


def test_pep740_with_slsa():
    name = "pypi-attestations/pypi_attestations-0.0.19.tar.gz"
    workflow = "https://github.com/trailofbits/pypi-attestations/.github/workflows/release.yml"
    verdict = judge(
        f"{name}.slsa.attestation",
        identity=f"{workflow}@refs/tags/v0.0.19",
        artifact=name,
        source_uri="github.com/trailofbits/pypi-attestations",
        version="v0.0.19",
    )
    assert verdict.outcome is Outcome.PASS, verdict.findings


@pytest.mark.parametrize(
    ("file", "identity", "issuer"),
    [
        (
            "gitlab_oidc_project-0.0.3.tar.gz.publish.attestation",
            "https://gitlab.com/facutuesca/gitlab-oidc-project//.gitlab-ci.yml@refs/heads/main",
            "https://gitlab.com",
        ),
        (
            "gcb_attestation_test-0.0.0.tar.gz.provenance",
            "919436158236-compute@developer.gserviceaccount.com",
            "https://accounts.google.com",
        ),
    ],
)
def test_pep740_signatures_of_gitlab_and_google(file: str, identity: str, issuer: str):
    """They verify, and say who published, not how it was built."""
    (attestation,) = parse_attestations(there("pypi-attestations", file).read_bytes())
    assert verify_attestation(attestation, trust(identity, issuer), NOW).signers
    artifact = file.removesuffix(".provenance").removesuffix(".publish.attestation")
    verdict = judge(
        f"pypi-attestations/{file}",
        identity=identity,
        issuer=issuer,
        artifact=f"pypi-attestations/{artifact}",
    )
    assert refusals(verdict) == {"no-provenance"}


# -- Google: keys --------------------------------------------------------------------------------

CLOUD_BUILD = "https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3"
IMAGES = "slsa-verifier/gcb_container/v0.3/gcloud-container"


def cloud_build(name: str, key: str, digest: str | None = None) -> Verdict:
    public = load_public_key(there("slsa-verifier/gcb_container/keys", key).read_bytes())
    text = digest or there(f"{IMAGES}-github-tag.digest").read_text().strip()
    return verify_provenance(
        there(f"{IMAGES}-{name}.json"),
        digests={"sha256": text.removeprefix("sha256:")},
        expected=Expectations(
            CLOUD_BUILD,
            source_uri="github.com/slsa-framework/example-package",
            source_commit="c750fd73a1669b095df7c74da9f1ff2032f926c9",
        ),
        trust=KeyTrust((public,)),
        at=NOW,
    )


def test_cloud_build_with_its_dsse_key():
    verdict = cloud_build("github-tag", "global-pae.key")
    assert verdict.outcome is Outcome.PASS, verdict.findings
    assert verdict.subject["provenance"][0]["slsaVersion"] == "0.1"
    wrong = cloud_build("github-tag", "global-pae.key", digest="ab" * 32)
    assert refusals(wrong) == {"subject-mismatch"}
    assert cloud_build("github-tag", "us-west2.key").outcome is Outcome.FAIL


def _names(folder: str) -> list[str]:
    root = fixtures_root()
    place = root / "provenance" / folder if root else None
    return sorted(path.name for path in place.glob("*.json")) if place else []


@pytest.mark.parametrize("name", _names("slsa-verifier/gcb_container/v0.3"))
def test_regional_keys_of_cloud_build_sign_no_dsse(name: str):
    """They sign the payload without the PAE, so that good and bad ones are refused alike."""
    if name == "gcloud-container-github-tag.json":
        return
    short = name.removeprefix("gcloud-container-").removesuffix(".json")
    for key in ("us-west2.key", "global-pae.key"):
        assert cloud_build(short, key).outcome is Outcome.FAIL


def test_googles_vsa_has_another_signature_encoding():
    """Its ECDSA signature is r || s and not DER, so it is refused; the same numbers in DER verify.
    It is a verification summary, about an image without a content digest, and no provenance."""
    folder = "slsa-verifier/vsa/gce/v1"
    key = load_public_key(there(folder, "vsa_signing_public_key.pem").read_bytes())
    file = there(folder, "gke-gce-pre.bcid-vsa.jsonl")
    envelope = parse_envelope(file.read_bytes())
    with pytest.raises(BadSignature):
        verify_envelope(envelope, KeyTrust((key,)), NOW)
    der = ecdsa_signature_from_raw(envelope.signatures[0].sig)
    usual = replace(envelope, signatures=(EnvelopeSignature(der),))
    assert verify_envelope(usual, KeyTrust((key,)), NOW).signers
    with pytest.raises(MalformedInput):
        parse_any_statement(usual.payload)


# -- every bundle --------------------------------------------------------------------------------


def _expected() -> list[dict[str, str]]:
    root = fixtures_root()
    path = root / "provenance" / "expected.json" if root else None
    return json.loads(path.read_bytes())["bundles"] if path and path.exists() else []


def _provenance_bundles() -> list[dict[str, str]]:
    folders = ("github-attestation/", "slsa-verifier/", "sigstore-go/")
    return [entry for entry in _expected() if entry["file"].startswith(folders)]


def _san(attestation: UnverifiedAttestation) -> tuple[str, str]:
    """Identity and issuer that the certificate names: the most lenient trust there could be."""
    from cryptography import x509

    assert attestation.certificate is not None
    certificate = x509.load_der_x509_certificate(attestation.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    issuer = certificate.extensions.get_extension_for_oid(
        x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
    ).value
    return next(iter(names)).value, issuer.value.decode()


@pytest.mark.parametrize(
    "entry", _provenance_bundles(), ids=lambda entry: f"{entry['file']}#{entry['idx']}"
)
def test_no_bundle_fares_better_than_expected(entry: dict[str, str]):
    """What sigstore-python passes verifies; everything else is refused with a deliberate error."""
    try:
        found = parse_attestations(there(entry["file"]).read_bytes())
        attestation = found[int(entry["idx"].rpartition(".")[2])]
        if attestation.form != "sigstore-bundle":
            raise Unsupported("another kind of signature")
        verify_attestation(attestation, trust(*_san(attestation)), NOW)
        outcome = "pass"
    except AttestError:
        outcome = "refused"
    wanted = "pass" if entry["sigstore_python"] == "pass:public-good" else "refused"
    assert outcome == wanted
    assert outcome == "refused" or entry["expected"].startswith("valid")


def _provenance_files() -> list[str]:
    root = fixtures_root()
    place = root / "provenance" if root else None
    if place is None:
        return []
    folders = ("github-attestation", "slsa-verifier", "sigstore-go", "pypi-attestations")
    return sorted(
        str(path.relative_to(place))
        for folder in folders
        for path in (place / folder).rglob("*")
        if path.is_file() and path.read_bytes()[:1] == b"{" and "trust" not in path.name
    )


@pytest.mark.parametrize("file", _provenance_files())
def test_every_file_is_read_or_refused_by_name(file: str):
    """Nothing but a deliberate error gets out, and ``show`` agrees with the plain payload."""
    try:
        shown = show_provenance(there(file))
    except (MalformedInput, Unsupported) as error:
        assert error.where
        return
    assert shown["verified"] is False
    for each in shown["provenance"]:
        assert each["builder"].startswith("https://")
        assert each["source"]["uri"].startswith(("https://", "gs://"))
    for attestation in parse_attestations(there(file).read_bytes()):
        document = json.loads(attestation.payload)
        if document["predicateType"] not in SLSA_VERSIONS:
            continue
        facts = read_provenance(
            document["predicateType"], parse_any_statement(attestation.payload).predicate
        )
        predicate = document["predicate"]
        builder = predicate.get("builder") or predicate["runDetails"]["builder"]
        assert facts.builder_id == builder["id"]


# Bare envelopes of slsa-github-generator v1: signed with a Fulcio key that only the log knows.

BARE = [
    "annotated-tag", "binary-linux-amd64-multi-subject-first", "workflow-inputs",
    "binary-linux-amd64-no-tlog-upload", "binary-linux-amd64-untrusted-builder",
    "binary-linux-amd64-expired-cert",
]  # fmt: skip


@pytest.mark.parametrize("name", BARE)
def test_bare_envelopes_cannot_be_verified_offline(name: str):
    file = f"slsa-verifier/{name}.intoto.jsonl"
    (facts,) = show_provenance(there(file))["provenance"]
    verdict = judge(
        file,
        identity=facts["builder"],
        digests=recorded_digest(f"slsa-verifier/{name}"),
    )
    assert refusals(verdict) == {"other-kind-of-signer"}


def test_a_changed_payload_of_a_real_bundle(tmp_path: Path):
    document = json.loads(there("github-attestation/custom-issuer.sigstore.json").read_bytes())
    envelope = document["dsseEnvelope"]
    payload = base64.b64decode(envelope["payload"])
    envelope["payload"] = base64.b64encode(payload.replace(b"too-legit", b"too-quick")).decode()
    (tmp_path / "b").write_text(json.dumps(document))
    verdict = verify_provenance(
        tmp_path / "b",
        artifact=there("github-attestation/custom-issuer-artifact"),
        expected=Expectations("https://x"),
        trust=trust(
            "https://github.com/too-legit/attest/.github/workflows/integration.yml@refs/heads/main",
            f"{GITHUB}/hammer-time",
        ),
        at=NOW,
    )
    assert verdict.outcome is Outcome.FAIL
