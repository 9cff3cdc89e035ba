"""``inspect`` believes nothing, and says so; broken files get the same reasons as in ``verify``."""

from __future__ import annotations

import json
import os

import pytest

from attest.claim.artifact import ArtifactClaim
from attest.errors import MalformedInput, Unavailable, Unsupported
from attest.flow.inspect import inspect_file
from attest.flow.sign import sign_artifact
from tests.support import pki
from tests.support.forge import (
    FILES,
    ML_DSA,
    P256,
    bundle,
    chain_material,
    make_tree,
    signer,
    statement,
    write,
)


def test_bundle(signed):
    described = inspect_file(signed / "model.sig")
    assert described["verified"] is False
    assert described["type"] == "oms-bundle"
    assert described["signer"] == {"type": "key", "hint": signer().public_key.fingerprint}
    payload = described["payload"]
    assert (payload["format"], payload["entries"]) == ("OMS v1.0", len(FILES))
    assert [entry["name"] for entry in payload["files"]] == sorted(FILES)
    json.dumps(described)


def test_bundle_whose_root_is_wrong_is_shown_all_the_same(tmp_path):
    path = write(tmp_path / "x.sig", bundle(statement(root="00" * 32)))
    assert inspect_file(path)["verified"] is False


def test_envelope(tree):
    sign_artifact(tree, [signer(P256), signer(ML_DSA)])
    described = inspect_file(tree / "model.dsse.json")
    assert described["type"] == "dsse-envelope"
    assert [entry["bytes"] > 0 for entry in described["signatures"]] == [True, True]


def test_chain(tmp_path):
    made = pki.make_pki()
    path = write(tmp_path / "x.sig", bundle(statement(), material=chain_material(made.chain)))
    described = inspect_file(path)["signer"]
    assert described["type"] == "certificate"
    assert len(described["chain"]) == 2
    json.dumps(described)


def test_claims(tree):
    for _ in range(2):
        sign_artifact(tree, [signer()], claim=ArtifactClaim("model"))
    described = inspect_file(tree.parent / "model.claims.jsonl")
    assert described["type"] == "claims"
    assert [claim["payload"]["predicate"]["kind"] for claim in described["claims"]] == ["model"] * 2


def test_torn_claims_file(tree):
    for _ in range(2):
        sign_artifact(tree, [signer()], claim=ArtifactClaim("model"))
    path = tree.parent / "model.claims.jsonl"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(MalformedInput) as caught:
        inspect_file(path)
    assert caught.value.code == "torn-line"


def test_public_key_and_certificate(tmp_path):
    path = write(tmp_path / "k.pub", signer().public_key.pem)
    assert inspect_file(path)["fingerprint"] == signer().public_key.fingerprint
    made = pki.make_pki()
    path = write(tmp_path / "c.pem", pki.pem(made.root, made.intermediate))
    assert len(inspect_file(path)["certificates"]) == 2


def test_private_key_is_not_shown(tmp_path):
    path = write(tmp_path / "k.key", signer().to_pem(None))
    with pytest.raises(Unsupported) as caught:
        inspect_file(path)
    assert caught.value.code == "private-key"
    body = signer().to_pem(None).decode().split("\n")[1]
    assert body not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "truncated"),
        (b"hello", "malformed-json"),
        (b"{}", "missing-member"),
        (b"\xff\xfe", "not-utf8"),
        (b"[" * 100_000, "nested-too-deep"),
        (b"-----BEGIN NONSENSE-----\n", "unknown-file"),
        (b"{}\n{}\n", "missing-member"),
        (b"{}\n\n{}\n", "empty-line"),
    ],
)
def test_nonsense(tmp_path, data, code):
    path = write(tmp_path / "x", data)
    with pytest.raises((MalformedInput, Unsupported)) as caught:
        inspect_file(path)
    assert caught.value.code == code
    assert str(path) in str(caught.value) or caught.value.where


def test_long_manifest_is_cut_and_counted(tmp_path):
    tree = make_tree(tmp_path / "model", {f"f{i:04d}": b"" for i in range(1005)})
    sign_artifact(tree, [signer()])
    payload = inspect_file(tree / "model.sig")["payload"]
    assert (payload["entries"], len(payload["files"]), payload["filesNotShown"]) == (1005, 1000, 5)


def test_fifo_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Unavailable):
        inspect_file(tmp_path / "pipe")


def test_gigabyte_is_not_read(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(MalformedInput) as caught:
        inspect_file(tmp_path / "huge")
    assert caught.value.code == "too-large"
