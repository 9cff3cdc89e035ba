"""Verifying provenance: who signed it, what it is about, and whether it is what was expected."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from attest import limits
from attest.claim.buildtypes import BUILD_TYPES
from attest.claim.predicates import (
    PROVENANCE_PREDICATE,
    REVOCATION_PREDICATE,
    TEST_RESULT_PREDICATE,
)
from attest.claim.provenance import Provenance
from attest.claim.resources import ResourceDescriptor, resource
from attest.codec.attestations import parse_attestations
from attest.codec.dsse import IN_TOTO_PAYLOAD_TYPE, EnvelopeSignature, encode_envelope, pae_parts
from attest.codec.statement import Subject, encode_statement
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, generate
from attest.digest import Digest
from attest.errors import AttestError, MalformedInput, UntrustedIdentity
from attest.flow.expectations import Expectations, normal_source
from attest.flow.materials import (
    artifact_material,
    code_material,
    container_material,
    parse_digests,
)
from attest.flow.provenance import show_provenance, verify_provenance
from attest.flow.sign import sign_artifact
from attest.flow.subject import subject_from_content
from attest.trust.signers import KeyTrust
from attest.verdict import Outcome, Verdict

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BUILDER = "https://github.com/org/builder/.github/workflows/build.yml@refs/tags/v1.0.0"
REPOSITORY = "https://github.com/org/repo"
COMMIT = "1b" * 20
CONTENT = b"what was built"
KEY = generate(KeyAlgorithm.ED25519)
OTHER = generate(KeyAlgorithm.ED25519)
WORKFLOW = "https://actions.github.io/buildtypes/workflow/v1"


def hashes(content: bytes = CONTENT, *names: str) -> dict[str, str]:
    return {name: hashlib.new(name, content).hexdigest() for name in names or ("sha256",)}


def github(ref: str = "refs/tags/v13.0.30", repository: str = REPOSITORY) -> dict[str, Any]:
    return {
        "buildDefinition": {
            "buildType": WORKFLOW,
            "externalParameters": {
                "workflow": {"ref": ref, "repository": repository, "path": "build.yml"}
            },
            "resolvedDependencies": [
                {"uri": f"git+{repository}@{ref}", "digest": {"gitCommit": COMMIT}}
            ],
        },
        "runDetails": {"builder": {"id": BUILDER}},
    }


def envelope(
    predicate: dict[str, Any] | None = None,
    *,
    subjects: list[dict[str, str]] | None = None,
    kind: str = PROVENANCE_PREDICATE,
    signer: LocalSigner = KEY,
    keyid: str | None = None,
) -> bytes:
    """One line: a signed statement."""
    payload = encode_statement(
        [Subject("artifact", digests) for digests in (subjects or [hashes()])],
        kind,
        github() if predicate is None else predicate,
    )
    return seal(payload, signer, keyid)


def seal(payload: bytes, signer: LocalSigner = KEY, keyid: str | None = None) -> bytes:
    sig = signer.sign_parts(pae_parts(IN_TOTO_PAYLOAD_TYPE, payload))
    return b"".join(encode_envelope(IN_TOTO_PAYLOAD_TYPE, payload, [EnvelopeSignature(sig, keyid)]))


class World:
    def __init__(self, folder: Path) -> None:
        self.artifact = folder / "artifact"
        self.artifact.write_bytes(CONTENT)
        self.bundle = folder / "attestations.jsonl"

    def verify(
        self,
        *lines: bytes,
        digests: dict[str, str] | None = None,
        trust: KeyTrust | None = None,
        **expected: str,
    ) -> Verdict:
        self.bundle.write_bytes(b"".join(lines))
        return verify_provenance(
            self.bundle,
            artifact=None if digests else self.artifact,
            digests=digests,
            expected=Expectations(**{"builder_id": BUILDER, **expected}),
            trust=trust or KeyTrust((KEY.public_key,)),
            at=NOW,
        )


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def refusals(verdict: Verdict) -> set[str]:
    assert verdict.outcome is Outcome.FAIL, verdict
    return {finding.code for finding in verdict.findings if finding.outcome == "fail"}


# -- passes --------------------------------------------------------------------------------------


def test_everything_as_expected(world: World):
    verdict = world.verify(
        envelope(),
        source_uri="github.com/org/repo",
        source_ref="refs/tags/v13.0.30",
        version="v13",
        source_commit=COMMIT,
        build_type=WORKFLOW,
    )
    assert verdict.outcome is Outcome.PASS
    codes = [finding.code for finding in verdict.findings]
    assert codes == [
        "signature-valid", "subject-matches", "builder-matches", "build-type-matches",
        "source-matches", "source-ref-matches", "source-tag-matches", "source-commit-matches",
    ]  # fmt: skip
    (facts,) = verdict.subject["provenance"]
    assert facts["source"] == {
        "uri": REPOSITORY, "ref": "refs/tags/v13.0.30", "commit": COMMIT,
    }  # fmt: skip
    assert verdict.subject["digests"] == hashes()
    assert verdict.inputs["builderId"] == BUILDER
    json.dumps(verdict.to_json())


@pytest.mark.parametrize("names", [("sha512",), ("sha384",), ("sha256", "sha512", "sha384")])
def test_any_known_digest_will_do_and_all_must(world: World, names: tuple[str, ...]):
    assert world.verify(envelope(subjects=[hashes(CONTENT, *names)])).outcome is Outcome.PASS
    for spoiled in names:
        wrong = {**hashes(CONTENT, *names), spoiled: hashes(b"other", spoiled)[spoiled]}
        expected = "subject-mismatch" if len(names) == 1 else "subject-digests-disagree"
        assert expected in refusals(world.verify(envelope(subjects=[wrong])))


def test_digests_of_unknown_names_do_not_count(world: World):
    assert world.verify(envelope(subjects=[{**hashes(), "x1": "ab"}])).outcome is Outcome.PASS
    assert "subject-mismatch" in refusals(world.verify(envelope(subjects=[{"x1": "ab"}])))


def test_a_weak_digest_alone_does_not_count(world: World):
    sha1 = hashlib.sha1(CONTENT).hexdigest()
    assert "subject-mismatch" in refusals(world.verify(envelope(subjects=[{"sha1": sha1}])))


def test_one_of_many_subjects(world: World):
    subjects = [hashes(b"a"), hashes(), hashes(b"b")]
    assert world.verify(envelope(subjects=subjects)).outcome is Outcome.PASS


def test_an_image_by_its_digest(world: World):
    digests = {"sha256": "ab" * 32}
    line = envelope(subjects=[digests])
    assert world.verify(line, digests=digests).outcome is Outcome.PASS
    wrong = world.verify(line, digests={"sha256": "ac" * 32})
    assert "subject-mismatch" in refusals(wrong)


def test_an_image_of_which_one_digest_was_not_given(world: World):
    line = envelope(subjects=[{"sha256": "ab" * 32, "sha512": "cd" * 64}])
    verdict = world.verify(line, digests={"sha256": "ab" * 32})
    assert "subject-digests-disagree" in refusals(verdict)


def test_statement_v01(world: World):
    payload = encode_statement([Subject("a", hashes())], PROVENANCE_PREDICATE, github())
    old = payload.replace(b"Statement/v1", b"Statement/v0.1")
    assert old != payload
    assert world.verify(seal(old)).outcome is Outcome.PASS


# -- our own artifacts ---------------------------------------------------------------------------


def own_line(path: Path) -> bytes:
    provenance = Provenance(
        BUILD_TYPES["training"].uri,
        BUILDER,
        {"recipe": {"digest": {"sha256": "00" * 32}}},
        (resource("dataset", {"sha256": "11" * 32}, name="d"),),
    )
    return envelope(provenance.to_predicate(), subjects=[dict(subject_from_content(path).digests)])


def test_a_directory_and_a_file_of_ours(world: World, tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "a").write_bytes(b"a")
    for path in (folder, world.artifact):
        world.artifact = path
        line = own_line(path)
        assert world.verify(line).outcome is Outcome.PASS
    (folder / "b").write_bytes(b"b")
    world.artifact = folder
    line = own_line(folder)
    (folder / "b").rename(folder / "c")  # the root stays, the tree digest does not
    assert "subject-digests-disagree" in refusals(world.verify(line))
    (folder / "c").write_bytes(b"c")
    assert "subject-mismatch" in refusals(world.verify(line))


def test_a_subject_of_ours_without_its_root(world: World):
    tree = dict(subject_from_content(world.artifact).digests)
    del tree["sha256"]
    assert "subject-mismatch" in refusals(world.verify(envelope(subjects=[tree])))


@pytest.mark.parametrize("right", [True, False])
def test_a_subject_of_ours_with_a_further_digest(world: World, right: bool):
    """Of what, nobody could say: not of the root, and a folder has none."""
    own = dict(subject_from_content(world.artifact).digests)
    further = hashes(CONTENT, "sha512")["sha512"] if right else "00" * 64
    line = envelope(subjects=[{**own, "sha512": further}])
    assert "subject-digests-disagree" in refusals(world.verify(line))


def test_a_plain_digest_is_no_root(world: World):
    """The root of a file is not the hash of its bytes: a subject cannot mix the two."""
    own = dict(subject_from_content(world.artifact).digests)
    mixed = {**own, **hashes()}
    assert "subject-digests-disagree" in refusals(world.verify(envelope(subjects=[mixed])))
    root_alone = {"sha256": own["sha256"]}
    assert "subject-mismatch" in refusals(world.verify(envelope(subjects=[root_alone])))


# -- who -----------------------------------------------------------------------------------------


def test_signed_by_somebody_else(world: World):
    verdict = world.verify(envelope(signer=OTHER))
    assert refusals(verdict) == {"no-signature-by-key"}


def test_a_keyid_is_no_signature(world: World):
    line = envelope(signer=OTHER, keyid=KEY.public_key.fingerprint)
    assert refusals(world.verify(line)) == {"bad-signature"}


def test_a_strange_keyid_does_no_harm(world: World):
    assert world.verify(envelope(keyid="keystore://x")).outcome is Outcome.PASS


def test_a_bare_statement(world: World):
    bare = encode_statement([Subject("a", hashes())], PROVENANCE_PREDICATE, github())
    assert refusals(world.verify(bare)) == {"not-signed"}


def test_others_are_counted_and_left_alone(world: World):
    evil = github(repository="https://github.com/evil/repo")
    verdict = world.verify(
        envelope(evil, signer=OTHER), envelope(), source_uri="github.com/org/repo"
    )
    assert verdict.outcome is Outcome.PASS
    assert "attestations-not-counted" in {finding.code for finding in verdict.findings}


def test_the_worst_of_several_decides(world: World):
    evil = github(repository="https://github.com/evil/repo")
    verdict = world.verify(envelope(), envelope(evil), source_uri="github.com/org/repo")
    assert refusals(verdict) == {"source-mismatch"}


def test_a_revoked_provenance_does_not_count(world: World):
    line = envelope()
    payload = parse_attestations(line)[0].payload
    revocation = {
        "claim": {"sha256": Digest.of(payload).hex},
        "reason": "wrong",
        "revokedOn": "2026-11-20T12:00:00Z",
    }
    taken_back = envelope(revocation, kind=REVOCATION_PREDICATE)
    assert "no-provenance" in refusals(world.verify(line, taken_back))
    by_another = envelope(revocation, kind=REVOCATION_PREDICATE, signer=OTHER)
    assert world.verify(line, by_another).outcome is Outcome.PASS


def test_a_claim_of_another_kind(world: World):
    assert refusals(world.verify(envelope({}, kind=TEST_RESULT_PREDICATE))) == {"no-provenance"}


def test_about_another_artifact(world: World):
    assert refusals(world.verify(envelope(subjects=[hashes(b"other")]))) == {"subject-mismatch"}


def test_a_changed_payload(world: World):
    document = json.loads(envelope())
    import base64

    payload = base64.b64decode(document["payload"]).replace(b"org/repo", b"evl/repo")
    document["payload"] = base64.b64encode(payload).decode()
    assert refusals(world.verify(json.dumps(document).encode())) == {"no-signature-by-key"}


# -- what ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "repository",
    [
        "https://github.com/org/repo-evil",
        "https://github.com/org/rep",
        "https://github.com/evil-org/repo",
        "https://github.com/evil/github.com/org/repo",
        "https://github.com.evil.com/org/repo",
        "https://evil.com/github.com/org/repo",
        "https://github.com/org/repo/evil",
        "https://github.com/org/repo.git",
        "https://github.com/org/repo/",
        "https://github.com/ORG/repo",
        "https://evil@github.com/org/repo",
        "https://github.com/org/repo#evil",
        "http://github.com/org/repo",
    ],
)
def test_source_prefix_and_suffix_attacks(world: World, repository: str):
    line = envelope(github(repository=repository))
    assert refusals(world.verify(line, source_uri=REPOSITORY)) == {"source-mismatch"}


@pytest.mark.parametrize(
    "uri",
    [
        "git+https://github.com/org/repo@evil@refs/heads/main",
        "git+https://github.com/org/repo@refs/heads/main@evil",
        "git+https://github.com/org/repo-evil@refs/heads/main",
        "https://github.com/org/repo@refs/heads/main",
    ],
)
def test_references_behind_the_source(world: World, uri: str):
    predicate = {
        "buildType": "https://example.com/b",
        "builder": {"id": BUILDER},
        "invocation": {"configSource": {"uri": uri, "digest": {"sha1": COMMIT}}},
    }
    line = envelope(predicate, kind="https://slsa.dev/provenance/v0.2")
    verdict = world.verify(line, source_uri=REPOSITORY, source_ref="refs/heads/main")
    assert refusals(verdict) & {"source-mismatch", "source-ref-mismatch"}


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ({"builder_id": BUILDER.removesuffix("@refs/tags/v1.0.0")}, "builder-mismatch"),
        ({"builder_id": BUILDER + "x"}, "builder-mismatch"),
        ({"builder_id": "https://github.com/org/builder"}, "builder-mismatch"),
        ({"source_uri": "github.com/org/other"}, "source-mismatch"),
        ({"source_ref": "refs/heads/main"}, "source-ref-mismatch"),
        ({"source_ref": "v13.0.30"}, "source-ref-mismatch"),
        ({"source_ref": "refs/tags/v13"}, "source-ref-mismatch"),
        ({"source_commit": "2b" * 20}, "source-commit-mismatch"),
        ({"source_commit": COMMIT + "00" * 12}, "source-commit-mismatch"),
        ({"build_type": "https://actions.github.io/buildtypes/workflow/v2"}, "build-type-mismatch"),
    ],
)
def test_each_expectation_refuses(world: World, expected: dict[str, str], code: str):
    assert refusals(world.verify(envelope(), **expected)) == {code}


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ("v13", True), ("v13.0", True), ("v13.0.30", True), ("13", True),
        ("v2", False), ("v0", False), ("v1", False), ("v13.1", False), ("v12.9", False),
        ("v13.0.29", False), ("v13.0.3", False), ("v13.0.31", False), ("v130", False),
    ],
)  # fmt: skip
def test_versions_are_compared_part_by_part(world: World, version: str, fits: bool):
    verdict = world.verify(envelope(), version=version)
    assert (verdict.outcome is Outcome.PASS) is fits


def test_a_branch_that_is_called_like_a_version(world: World):
    verdict = world.verify(envelope(github("refs/heads/v13.0.30")), version="v13")
    assert refusals(verdict) == {"source-tag-absent"}


@pytest.mark.parametrize(
    ("expected", "code"),
    [
        ({"source_uri": REPOSITORY}, "source-absent"),
        ({"source_ref": "refs/heads/main"}, "source-ref-absent"),
        ({"version": "v1"}, "source-tag-absent"),
        ({"source_commit": COMMIT}, "source-commit-absent"),
    ],
)
def test_what_is_expected_and_not_said_refuses(world: World, expected: dict[str, str], code: str):
    """An unknown build type is read and not interpreted, so it has no source."""
    predicate = github()
    predicate["buildDefinition"]["buildType"] = "https://example.com/unknown/v1"
    line = envelope(predicate)
    assert world.verify(line).outcome is Outcome.PASS
    assert refusals(world.verify(line, **expected)) == {code}


def test_a_malformed_provenance_by_the_trusted_signer(world: World):
    assert "missing-member" in refusals(world.verify(envelope({"buildDefinition": {}})))
    wrong = github()
    wrong["buildDefinition"]["resolvedDependencies"][0]["digest"] = {"sha256": "ab"}
    assert "wrong-digest-length" in refusals(world.verify(envelope(wrong)))


def test_a_subject_with_a_digest_of_the_wrong_length(world: World):
    line = envelope(subjects=[{**hashes(), "sha512": "ab"}])
    assert "wrong-digest-length" in refusals(world.verify(line))


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b"[]", b"null", b"{", b'{"payloadType": 1}', b'{"mediaType": "x"}',
     b'{"attestations": []}', b'{"a": 1, "a": 2}', b"{}\n{}\n", b'{"_type": "x"}'],
)  # fmt: skip
def test_files_that_hold_no_attestation(world: World, data: bytes):
    assert refusals(world.verify(data))


def test_one_malformed_line_refuses_the_file(world: World):
    assert refusals(world.verify(envelope(), b'{"payloadType": 1}\n'))


def test_too_many_attestations(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_ATTESTATIONS", 2)
    assert "too-large" in refusals(world.verify(*[envelope()] * 3))


def test_missing_files_are_not_judged(world: World, tmp_path: Path):
    expected = Expectations(BUILDER)
    trust = KeyTrust((KEY.public_key,))
    world.bundle.write_bytes(envelope())
    gone = tmp_path / "gone"
    for artifact, bundle in ((gone, world.bundle), (world.artifact, gone)):
        verdict = verify_provenance(
            bundle, artifact=artifact, expected=expected, trust=trust, at=NOW
        )
        assert verdict.outcome is Outcome.ERROR


def test_misuse(world: World):
    trust = KeyTrust((KEY.public_key,))
    with pytest.raises(ValueError, match="only one"):
        verify_provenance(world.bundle, expected=Expectations(BUILDER), trust=trust, at=NOW)
    with pytest.raises(ValueError, match="timezone"):
        verify_provenance(
            world.bundle,
            artifact=world.artifact,
            expected=Expectations(BUILDER),
            trust=trust,
            at=NOW.replace(tzinfo=None),
        )
    with pytest.raises(TypeError):
        verify_provenance(world.bundle, artifact=world.artifact, expected=None, trust=trust, at=NOW)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Expectations()  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "members",
    [
        {"builder_id": ""}, {"builder_id": "  "}, {"source_ref": ""}, {"version": "latest"},
        {"version": "v1.*"}, {"source_commit": "1b1b"}, {"source_commit": COMMIT.upper()},
        {"source_uri": "repo"}, {"source_uri": "git+https://github.com/org/repo@refs/heads/main"},
        {"source_uri": "https://github.com/org/repo/"}, {"source_uri": ""},
        {"source_uri": "github.com/org/*"},
    ],
)  # fmt: skip
def test_expectations_that_expect_nothing(members: dict[str, str]):
    with pytest.raises(ValueError, match=r"."):
        Expectations(**{"builder_id": BUILDER, **members})


def test_spellings_of_a_source():
    spellings = ("github.com/org/repo", REPOSITORY, f"git+{REPOSITORY}")
    assert {normal_source(text) for text in spellings} == {REPOSITORY}
    assert normal_source("gs://bucket/object") == "gs://bucket/object"


# -- show ----------------------------------------------------------------------------------------


def test_show_says_that_nothing_was_verified(world: World):
    world.bundle.write_bytes(envelope(signer=OTHER) + envelope({}, kind=TEST_RESULT_PREDICATE))
    shown = show_provenance(world.bundle)
    assert shown["verified"] is False
    assert shown["otherAttestations"] == 1
    assert shown["provenance"][0]["builder"] == BUILDER
    world.bundle.write_bytes(envelope({}, kind=TEST_RESULT_PREDICATE))
    with pytest.raises(MalformedInput) as caught:
        show_provenance(world.bundle)
    assert caught.value.code == "no-provenance"


def test_lists_are_cut(world: World):
    predicate = github()
    predicate["buildDefinition"]["resolvedDependencies"] *= 1500
    world.bundle.write_bytes(envelope(predicate))
    (shown,) = show_provenance(world.bundle)["provenance"]
    assert (len(shown["dependencies"]), shown["dependencyCount"]) == (1000, 1500)


# -- materials -----------------------------------------------------------------------------------


def test_a_signed_artifact_as_a_material(tmp_path: Path):
    path = tmp_path / "data"
    path.mkdir()
    (path / "x").write_bytes(b"x")
    sign_artifact(path, [KEY])
    made = artifact_material(
        "dataset", "corpus", path, keys=[OTHER.public_key, KEY.public_key], at=NOW
    )
    assert made.digests == subject_from_content(path).digests
    assert made.role == "dataset"
    with pytest.raises(AttestError) as caught:
        artifact_material("dataset", "corpus", path, keys=[OTHER.public_key], at=NOW)
    assert "--material-key" in (caught.value.hint or "")
    with pytest.raises(UntrustedIdentity):
        artifact_material("dataset", "corpus", path, keys=[], at=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "https://github.com/org/repo",
        f"git+https://github.com/org/repo@{COMMIT[:-1]}",
        "git+https://github.com/org/repo@refs/heads/main",
        "git+https://github.com/org/repo@main",
        f"https://github.com/org/repo@{COMMIT}",
        f"git+ssh://git@github.com/org/repo@{COMMIT}",
    ],
)
def test_code_needs_its_commit(text: str):
    with pytest.raises(MalformedInput):
        code_material(text)


@pytest.mark.parametrize(
    "text", ["image:latest", "image@sha256:ab", "@sha256:" + "ab" * 32, "i m@sha256:" + "ab" * 32]
)
def test_a_container_needs_its_digest(text: str):
    with pytest.raises(MalformedInput):
        container_material(text)


def test_materials_by_name():
    assert code_material(f"git+{REPOSITORY}@{COMMIT}") == ResourceDescriptor(
        {"gitCommit": COMMIT}, None, f"git+{REPOSITORY}", annotations={"attest:role": "code"}
    )
    image = container_material("registry.example.com:5000/train:v1@sha256:" + "ab" * 32)
    assert image == replace(image, name="registry.example.com:5000/train:v1")
    assert parse_digests("some/path") is None
    with pytest.raises(MalformedInput):
        parse_digests("sha256:" + "ab" * 32 + ",sha256:" + "ac" * 32)
