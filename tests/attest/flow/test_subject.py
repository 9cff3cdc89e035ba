"""What a claim is about: digests from a verified signature or from the content; no default."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from pathlib import Path

import pytest

from attest.crypto.x509 import SanRule
from attest.digest import HashAlgorithm
from attest.errors import (
    AttestError,
    DigestMismatch,
    MalformedInput,
    Unavailable,
    UntrustedIdentity,
    VerificationFailed,
)
from attest.flow.sign import SignOptions, sign_artifact
from attest.flow.subject import (
    list_artifact,
    subject_from_any,
    subject_from_bytes,
    subject_from_content,
    subject_from_signature,
)
from attest.trust.signers import CertificateTrust, KeyTrust
from tests.support import forge, pki
from tests.support.claims import ALICE, BOB, CAROL, DAN
from tests.support.forge import FILES, make_tree, signer, write

TRUST = KeyTrust((signer().public_key,))


def keys(*held) -> KeyTrust:
    return KeyTrust(tuple(each.public_key for each in held))


def from_signature(path: Path, trust=TRUST, **more):
    return subject_from_signature(path, trust, pki.NOON, **more)


def refused(kind: type[AttestError], code: str | None, call, *args, **more) -> AttestError:
    with pytest.raises(kind) as caught:
        call(*args, **more)
    if code is not None:
        assert caught.value.code == code
    return caught.value


# -- from a signature ----------------------------------------------------------------------------


def test_digests_of_a_signature_and_of_the_content_are_the_same(signed):
    stated, found = from_signature(signed), subject_from_content(signed)
    assert stated.digests == found.digests
    assert set(stated.digests) == {"sha256", "attestTreeV1"}
    assert stated.manifest.names == found.manifest.names == sorted(FILES)
    assert (stated.source, found.source) == ("signature", "content")
    assert (stated.files, stated.size) == (len(FILES), sum(map(len, FILES.values())))
    assert stated.name == found.name == "model"
    assert [each.fingerprint for each in stated.signers] == [signer().public_key.fingerprint]
    assert found.signers == ()
    assert stated.as_statement_subject().digests == stated.digests


def test_a_single_file(firmware):
    stated, found = from_signature(firmware), subject_from_content(firmware)
    assert stated.digests == found.digests
    assert stated.name == found.name == "fw.bin"
    assert stated.files == 1


@pytest.mark.parametrize("algorithm", ["blake3", "sha384"])
def test_another_content_hash_has_its_own_tree_digest(tree, algorithm):
    options = SignOptions(algorithm=HashAlgorithm(algorithm))
    sign_artifact(tree, [signer()], options=options)
    stated = from_signature(tree)
    assert set(stated.digests) == {"sha256", f"attestTreeV1:{algorithm}"}


def test_the_content_is_not_read(signed):
    (signed / "config.json").write_bytes(b"changed")
    assert from_signature(signed).digests != subject_from_content(signed).digests


def test_the_artifact_need_not_be_there(signed, tmp_path):
    signature = tmp_path / "moved.sig"
    os.rename(signed / "model.sig", signature)
    stated = from_signature(tmp_path / "nowhere", signature=signature)
    assert stated.name == "model"
    refused(Unavailable, "file-missing", from_signature, tmp_path / "nowhere")


def test_an_unsigned_artifact(tree):
    refused(VerificationFailed, "signature-missing", from_signature, tree)


def test_a_signature_by_somebody_else_states_nothing(signed):
    """Anybody can put a signature there that names whatever digests they liked."""
    refused(UntrustedIdentity, None, from_signature, signed, keys(BOB))


@pytest.mark.parametrize("turn", [False, True])
def test_a_signature_of_another_tool_is_completed_by_the_content(tree, turn):
    """Its order of files may be another: the subject is what signing here would state."""
    listed = forge.resources()
    document = forge.foreign(listed[::-1] if turn else listed)
    write(tree / "model.sig", forge.bundle(document))
    stated = from_signature(tree)
    assert stated.digests == subject_from_content(tree).digests
    assert (stated.source, len(stated.signers)) == ("signature", 1)


def test_content_that_another_tool_did_not_sign_states_nothing(tree):
    write(tree / "model.sig", forge.bundle(forge.foreign(forge.resources())))
    name = sorted(FILES)[0]
    (tree / name).write_bytes(b"other")
    refused(DigestMismatch, "file-changed", from_signature, tree)
    (tree / name).unlink()
    refused(VerificationFailed, "file-missing", from_signature, tree)


def test_without_content_a_signature_of_another_tool_states_nothing(tree):
    data = json.dumps(forge.bundle(forge.foreign(forge.resources()))).encode()
    refused(VerificationFailed, "no-tree-digest", subject_from_bytes, data, "x", [TRUST], pki.NOON)


def test_ranges_bind_no_files(tree):
    listed = forge.sharded(FILES, 100)
    document = forge.foreign(listed, method="shards", shard_size=100)
    write(tree / "model.sig", forge.bundle(document))
    refused(VerificationFailed, "no-tree-digest", from_signature, tree)


@pytest.mark.parametrize("wrong", ["root", "tree"])
def test_digests_that_do_not_fit_their_own_files(tree, wrong):
    write(tree / "model.sig", forge.bundle(forge.statement(**{wrong: "00" * 32})))
    code = {"root": "wrong-root", "tree": "wrong-tree-digest"}[wrong]
    refused(VerificationFailed, code, from_signature, tree)


def test_further_digests_of_a_signature_are_not_claimed(tree):
    document = forge.statement()
    document["subject"][0]["digest"]["sha512"] = "00" * 64
    write(tree / "model.sig", forge.bundle(document))
    assert set(from_signature(tree).digests) == {"sha256", "attestTreeV1"}


def test_what_the_signer_left_out_is_known(tree):
    sign_artifact(tree, [signer()], options=SignOptions(ignore=("sub",)))
    assert "sub" in from_signature(tree).ignored


def test_a_malformed_signature(tree):
    (tree / "model.sig").write_bytes(b"{}")
    error = refused(MalformedInput, None, from_signature, tree)
    assert error.where is not None


# -- several ways --------------------------------------------------------------------------------


def test_any_way_is_enough(tree):
    sign_artifact(tree, [CAROL])
    ways = [keys(ALICE), keys(BOB), keys(CAROL)]
    found = subject_from_any(tree, ways, pki.NOON)
    assert [each.fingerprint for each in found.signers] == [CAROL.public_key.fingerprint]
    data = (tree / "model.dsse.json").read_bytes()
    assert subject_from_bytes(data, "x", ways, pki.NOON).digests == found.digests


def test_no_way_is_enough(signed):
    refused(VerificationFailed, None, subject_from_any, signed, [keys(ALICE), keys(BOB)], pki.NOON)
    refused(
        VerificationFailed,
        None,
        subject_from_bytes,
        (signed / "model.sig").read_bytes(),
        "x",
        [keys(ALICE), keys(BOB)],
        pki.NOON,
    )


def test_nobody_trusted_is_the_callers_fault(signed):
    """Trap 2: an empty list of ways must not mean any."""
    with pytest.raises(ValueError, match="nobody"):
        subject_from_any(signed, [], pki.NOON)
    with pytest.raises(ValueError, match="nobody"):
        subject_from_bytes(b"", "x", [], pki.NOON)


def test_a_hybrid_way_needs_all_of_its_keys(tree):
    sign_artifact(tree, [ALICE, DAN])
    both = keys(ALICE, DAN)
    assert len(subject_from_any(tree, [both], pki.NOON).signers) == 2
    refused(VerificationFailed, None, subject_from_any, tree, [keys(ALICE, BOB)], pki.NOON)


def test_a_certificate_is_judged_for_the_given_time(tree):
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    made = pki.make_pki()
    body = forge.encoded(forge.statement())
    raw = made.leaf.key.sign(forge.pae(body), ec.ECDSA(hashes.SHA256()))
    material = forge.chain_material(made.chain)
    write(tree / "model.sig", forge.bundle(body, signature=raw, material=material))
    trust = CertificateTrust(tuple(made.roots), SanRule("signer@example.org"))
    assert from_signature(tree, trust).signers[0].type == "certificate"
    late = pki.END + timedelta(days=1)
    refused(VerificationFailed, "certificate-expired", subject_from_signature, tree, trust, late)


# -- from the content ----------------------------------------------------------------------------


def test_signatures_and_git_files_at_the_root_are_left_out(signed):
    before = subject_from_content(signed).digests
    (signed / "model.dsse.json").write_bytes(b"{}")
    (signed / ".git").mkdir()
    (signed / ".git" / "config").write_bytes(b"x")
    (signed / ".gitattributes").write_bytes(b"x")
    assert subject_from_content(signed).digests == before
    (signed / "sub" / "model.sig").write_bytes(b"not at the root")
    assert subject_from_content(signed).digests != before


@pytest.mark.parametrize("name", ["model.sig", "model.dsse.json"])
def test_a_folder_of_a_signatures_name_is_content(tree, name):
    """It may hold anything: a claim about the digests of the rest would not speak of it."""
    before = subject_from_content(tree)
    (tree / name).mkdir()
    (tree / name / "modeling.py").write_bytes(b"import os")
    after = subject_from_content(tree)
    assert f"{name}/modeling.py" in after.manifest.names
    assert after.digests != before.digests


def test_every_odd_file_is_told(tree):
    (tree / "link").symlink_to("config.json")
    os.mkfifo(tree / "pipe")
    error = refused(MalformedInput, None, subject_from_content, tree)
    assert {each.where for each in (error, *error.also)} == {"link", "pipe"}


def test_links_are_followed_on_request(tree):
    (tree / "link").symlink_to("config.json")
    assert "link" in list_artifact(tree, follow_symlinks=True).names
    assert subject_from_content(tree, follow_symlinks=True).files == len(FILES) + 1


@pytest.mark.parametrize("files", [{}, {"model.sig": b"x"}, {".git/config": b"x"}])
def test_nothing_is_nothing_to_claim(tmp_path, files):
    """Trap 1."""
    tree = make_tree(tmp_path / "empty", files)
    refused(MalformedInput, "nothing-to-claim", subject_from_content, tree)


def test_what_is_not_there(tmp_path):
    refused(Unavailable, None, subject_from_content, tmp_path / "none")


def test_the_name_of_the_working_directory(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert subject_from_content(Path(".")).name == "model"
