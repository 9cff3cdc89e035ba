"""Both ways with the reference implementation: ours verified by it, its verified by ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, load_private_key
from attest.crypto.signer import CertificateSigner
from attest.crypto.x509 import SubjectRule
from attest.digest import HashAlgorithm
from attest.flow.sign import SignOptions, sign_artifact
from attest.trust.signers import CertificateTrust
from attest.verdict import Outcome
from tests.interop.peer import VERSION, Peer, find_peer
from tests.support import pki
from tests.support.forge import P256, P384, P521, make_tree, refusals, signer, verify, write

pytestmark = pytest.mark.interop

FILES = {
    "a-b.txt": b"before a/ by code point, after it by path parts\n",
    "a.txt": b"also\n",
    "a/b/c/deep.bin": bytes(range(256)) * 20,
    "a/z": b"z",
    "config.json": b"{}\n",
    "empty.bin": b"",
    "with space.txt": b" ",
    "\N{LATIN SMALL LETTER U WITH DIAERESIS}.txt": b"not ASCII",
}

curves = pytest.mark.parametrize("algorithm", [P256, P384, P521], ids=str)


@pytest.fixture(scope="session")
def peer() -> Peer:
    return find_peer()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "model", FILES)


@pytest.fixture
def single(tmp_path: Path) -> Path:
    path = tmp_path / "fw.bin"
    path.write_bytes(b"firmware " * 1000)
    return path


def key_files(folder: Path, key: LocalSigner) -> tuple[Path, Path]:
    private = write(folder / "release.key", key.to_pem(None))
    return private, write(folder / "release.pub", key.public_key.pem)


def test_version(peer):
    assert VERSION in peer.run("--version").stdout


# Ours, verified by the peer


@curves
def test_peer_verifies_our_directory(peer, tree, tmp_path, algorithm):
    key = signer(algorithm)
    _, public = key_files(tmp_path, key)
    sign_artifact(tree, [key])
    command = ("verify", "key", tree, "--signature", tree / "model.sig", "--public_key", public)
    peer.accepts(*command)
    (tree / "a/z").write_bytes(b"Z")
    peer.refuses(*command)


def test_peer_verifies_our_blake3(peer, tree, tmp_path):
    _, public = key_files(tmp_path, signer())
    sign_artifact(tree, [signer()], options=SignOptions(algorithm=HashAlgorithm.BLAKE3))
    assert peer.verify_through_api(tree, tree / "model.sig", public, "blake3")
    (tree / "a/z").write_bytes(b"Z")
    assert not peer.verify_through_api(tree, tree / "model.sig", public, "blake3")


def test_peer_verifies_what_we_ignored(peer, tree, tmp_path):
    _, public = key_files(tmp_path, signer())
    sign_artifact(tree, [signer()], options=SignOptions(ignore=("a/b", "empty.bin")))
    peer.accepts("verify", "key", tree, "--signature", tree / "model.sig", "--public_key", public)


def test_peer_verifies_a_repository(peer, tree, tmp_path):
    """Every model repository has .gitattributes, which the peer leaves out without being asked."""
    make_tree(
        tree, {".gitattributes": b"*.bin filter=lfs", ".git/config": b"", "a/.gitignore": b""}
    )
    _, public = key_files(tmp_path, signer())
    sign_artifact(tree, [signer()])
    signature = tree / "model.sig"
    peer.accepts("verify", "key", tree, "--signature", signature, "--public_key", public)
    assert refusals(verify(tree)) == {"file-uncovered": [".git"]}
    assert verify(tree, allow_ignore=[".git"]).outcome is Outcome.PASS


def test_peer_verifies_our_detached_signature(peer, tree, tmp_path):
    _, public = key_files(tmp_path, signer())
    sign_artifact(tree, [signer()], signature=tmp_path / "detached.sig")
    signature = tmp_path / "detached.sig"
    peer.accepts("verify", "key", tree, "--signature", signature, "--public_key", public)


def test_peer_verifies_chunk_digests_and_followed_links(peer, tmp_path):
    tree = make_tree(tmp_path / "model", {"big.bin": bytes(17 << 20), "d/x": b"x"})
    (tree / "link").symlink_to("d/x")
    _, public = key_files(tmp_path, signer())
    sign_artifact(tree, [signer()], options=SignOptions(follow_symlinks=True))
    signature = ("--signature", tree / "model.sig", "--public_key", public)
    peer.accepts("verify", "key", tree, *signature, "--allow_symlinks")


def test_peer_refuses_another_key(peer, tree, tmp_path):
    _, public = key_files(tmp_path, signer(P256, 1))
    sign_artifact(tree, [signer()])
    peer.refuses("verify", "key", tree, "--signature", tree / "model.sig", "--public_key", public)


def test_peer_refuses_the_specifications_single_file(peer, single, tmp_path):
    """A known difference: the peer wants ``.`` where the specification wants the base name."""
    _, public = key_files(tmp_path, signer())
    sign_artifact(single, [signer()])
    signature = single.with_name("fw.bin.sig")
    peer.refuses("verify", "key", single, "--signature", signature, "--public_key", public)


def certificates(folder: Path, curve: ec.EllipticCurve) -> tuple[pki.Pki, dict[str, Path]]:
    made = pki.make_pki(leaf_key=pki.ec_key(curve))
    return made, {
        "key": write(folder / "leaf.key", made.leaf.key_pem),
        "leaf": write(folder / "leaf.pem", pki.pem(made.leaf)),
        "intermediate": write(folder / "intermediate.pem", pki.pem(made.intermediate)),
        "root": write(folder / "root.pem", pki.pem(made.root)),
    }


CURVES = [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()]


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_peer_verifies_our_certificate_signature(peer, tree, tmp_path, curve):
    made, files = certificates(tmp_path, curve)
    key = load_private_key(made.leaf.key_pem, None)
    sign_artifact(tree, [CertificateSigner(key, made.chain)])
    signature = ("--signature", tree / "model.sig")
    peer.accepts("verify", "certificate", tree, *signature, "--certificate_chain", files["root"])
    other = write(tmp_path / "other.pem", pki.pem(pki.make_pki().root))
    peer.refuses("verify", "certificate", tree, *signature, "--certificate_chain", other)


# The peer's, verified by us


@curves
def test_we_verify_the_peers_directory(peer, tree, tmp_path, algorithm):
    key = signer(algorithm)
    private, _ = key_files(tmp_path, key)
    peer.accepts("sign", "key", tree, "--signature", tree / "model.sig", "--private_key", private)
    verdict = verify(tree, key)
    assert verdict.outcome is Outcome.PASS, verdict.findings
    assert verdict.subject["checked"]["files"] == len(FILES)
    (tree / "a/z").write_bytes(b"Z")
    assert refusals(verify(tree, key)) == {"file-changed": ["a/z"]}
    assert set(refusals(verify(tree, signer(algorithm, 1)))) == {"key-hint-mismatch"}


@curves
def test_we_verify_the_peers_single_file(peer, single, tmp_path, algorithm):
    key = signer(algorithm)
    private, _ = key_files(tmp_path, key)
    signature = single.with_name("fw.bin.sig")
    peer.accepts("sign", "key", single, "--signature", signature, "--private_key", private)
    assert verify(single, key).outcome is Outcome.PASS
    single.write_bytes(b"x")
    assert refusals(verify(single, key)) == {"file-changed": ["fw.bin"]}


@pytest.mark.parametrize("method", ["files", "shards"])
@pytest.mark.parametrize("algorithm", ["sha256", "blake2", "blake3"])
def test_we_verify_every_hash_and_method_of_the_peer(peer, tmp_path, algorithm, method):
    files = FILES if method == "files" else {n: data for n, data in FILES.items() if data}
    tree = make_tree(tmp_path / "model", files)
    private, _ = key_files(tmp_path, signer())
    peer.sign_through_api(tree, tree / "model.sig", private, algorithm, method)
    assert verify(tree).outcome is Outcome.PASS
    (tree / "a/b/c/deep.bin").write_bytes(FILES["a/b/c/deep.bin"][:-1] + b"!")
    assert refusals(verify(tree)) == {"file-changed": ["a/b/c/deep.bin"]}


def test_we_ask_about_what_the_peers_user_ignored(peer, tree, tmp_path):
    private, _ = key_files(tmp_path, signer())
    command = ("sign", "key", tree, "--signature", tree / "model.sig", "--private_key", private)
    peer.accepts(*command, "--ignore-paths", tree / "a")
    assert refusals(verify(tree)) == {"file-uncovered": ["a"]}
    assert verify(tree, allow_ignore=["a"]).outcome is Outcome.PASS


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
def test_we_verify_the_peers_certificate_signature(peer, tree, tmp_path, curve):
    made, files = certificates(tmp_path, curve)
    signature = ("--signature", tree / "model.sig", "--private_key", files["key"])
    chain = ("--signing_certificate", files["leaf"], "--certificate_chain", files["intermediate"])
    peer.accepts("sign", "certificate", tree, *signature, *chain)
    subject = made.leaf.certificate.subject.rfc4514_string()
    trust = CertificateTrust(tuple(made.roots), SubjectRule(subject))
    assert verify(tree, trust=trust).outcome is Outcome.PASS
    other = CertificateTrust(tuple(made.roots), SubjectRule("CN=somebody"))
    assert set(refusals(verify(tree, trust=other))) == {"name-mismatch"}


def test_key_that_openssl_wrote_in_its_own_format(peer, tree, tmp_path):
    """The peer's users have SEC1 keys; ours may sign what theirs verify with the same file."""
    key = ec.generate_private_key(ec.SECP384R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    ours = load_private_key(pem, None)
    assert ours.algorithm is KeyAlgorithm.ECDSA_P384
    private = write(tmp_path / "sec1.key", pem)
    peer.accepts("sign", "key", tree, "--signature", tree / "model.sig", "--private_key", private)
    assert verify(tree, ours).outcome is Outcome.PASS
