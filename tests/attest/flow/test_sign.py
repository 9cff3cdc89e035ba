"""Signing: what is refused before anything is written, and what is written."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import unicodedata
from pathlib import Path

import pytest

from attest.artifact import hashing
from attest.claim.artifact import ArtifactClaim
from attest.claim.store import split_claims
from attest.codec.manifest import CHUNK_SIZE
from attest.crypto.keys import load_private_key
from attest.crypto.signer import CertificateSigner
from attest.digest import HashAlgorithm
from attest.errors import (
    AttestError,
    MalformedInput,
    Unavailable,
    Unsupported,
    VerificationFailed,
)
from attest.flow.sign import SignOptions, sign_artifact
from attest.verdict import Outcome
from tests.support import pki
from tests.support.forge import (
    ED25519,
    FILES,
    make_tree,
    refusals,
    resources,
    root_of,
    signer,
    tree_of,
    verify,
)
from tests.support.rights import unprivileged


def sign(path: Path, *signers, **more):
    return sign_artifact(path, signers or [signer()], **more)


def snapshot(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*")}


def payload_of(path: Path) -> dict:
    document = json.loads(path.read_bytes())
    envelope = document.get("dsseEnvelope", document)
    return json.loads(base64.b64decode(envelope["payload"], validate=True))


def refused(path: Path, *signers, **more) -> AttestError:
    """The error; nothing may have been written."""
    before = snapshot(path.parent)
    with pytest.raises(AttestError) as caught:
        sign(path, *signers, **more)
    assert snapshot(path.parent) == before
    return caught.value


# What is written


def test_form_that_every_implementation_accepts(tree):
    report = sign(tree)
    statement = payload_of(tree / "model.sig")
    assert statement["predicate"]["resources"] == resources()
    assert statement["subject"] == [
        {
            "name": "model",
            "digest": {"sha256": root_of(resources()), "attestTreeV1": tree_of(resources())},
        }
    ]
    assert statement["predicate"]["serialization"] == {
        "method": "files",
        "hash_type": "sha256",
        "allow_symlinks": False,
        "ignore_paths": [
            ".git",
            ".gitattributes",
            ".github",
            ".gitignore",
            "model.dsse.json",
            "model.sig",
        ],
    }
    document = json.loads((tree / "model.sig").read_bytes())
    assert document["verificationMaterial"] == {
        "publicKey": {"hint": signer().public_key.fingerprint},
        "tlogEntries": [],
    }
    assert (report.files, report.size) == (len(FILES), sum(map(len, FILES.values())))
    assert report.digests == statement["subject"][0]["digest"]


def test_single_file_is_named_by_its_base_name(firmware):
    statement = payload_of(firmware.with_name("fw.bin.sig"))
    assert [entry["name"] for entry in statement["predicate"]["resources"]] == ["fw.bin"]
    assert "ignore_paths" not in statement["predicate"]["serialization"]


def test_chunk_digests_of_large_files(tmp_path):
    data = os.urandom(1000) + bytes(CHUNK_SIZE)
    folder = make_tree(tmp_path / "model", {"big": data, "small": b"x"})
    sign(folder)
    big, small = payload_of(folder / "model.sig")["predicate"]["resources"]
    pieces = [data[:CHUNK_SIZE], data[CHUNK_SIZE:]]
    assert big["chunk_size"] == CHUNK_SIZE
    assert big["chunks"] == [hashlib.sha256(piece).hexdigest() for piece in pieces]
    assert "chunks" not in small
    sign(folder, options=SignOptions(chunk_digests=False))
    big, _ = payload_of(folder / "model.sig")["predicate"]["resources"]
    assert "chunks" not in big
    assert verify(folder).outcome is Outcome.PASS


def test_same_tree_makes_the_same_statement(tree):
    sign(tree)
    first = payload_of(tree / "model.sig")
    sign(tree, options=SignOptions(workers=1))
    assert payload_of(tree / "model.sig") == first


def test_old_signature_is_replaced_and_not_signed(tree):
    sign(tree)
    sign(tree, signer(ED25519))
    sign(tree)
    assert verify(tree).outcome is Outcome.PASS
    assert verify(tree, signer(ED25519)).outcome is Outcome.PASS


def test_signature_inside_under_another_name_is_left_out(tree):
    sign(tree, signature=tree / "sub/our.sig")
    statement = payload_of(tree / "sub/our.sig")
    assert "sub/our.sig" in statement["predicate"]["serialization"]["ignore_paths"]
    assert verify(tree, signature=tree / "sub/our.sig").outcome is Outcome.PASS
    found = refusals(verify(tree, signature=_copy(tree / "sub/our.sig", tree.parent / "x.sig")))
    assert found == {"file-uncovered": ["sub/our.sig"]}


def _copy(source: Path, target: Path) -> Path:
    target.write_bytes(source.read_bytes())
    return target


def test_relative_path_and_dot(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert sign(Path(".")).name == "model"
    assert verify(Path(".")).outcome is Outcome.PASS
    assert verify(tree).outcome is Outcome.PASS


def test_artifact_that_is_named_through_a_link(tree, tmp_path):
    (tmp_path / "latest").symlink_to("model")
    sign(tmp_path / "latest")
    assert verify(tmp_path / "latest").outcome is Outcome.PASS
    assert verify(tree).outcome is Outcome.PASS


def test_git_folder_is_told(tree):
    make_tree(tree, {".git/config": b""})
    assert [finding.code for finding in sign(tree).findings] == ["git-path-left-out"]


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore", ".github/workflow.yml"])
def test_what_other_tools_ignore_is_told(tree, name):
    make_tree(tree, {name: b""})
    (found,) = sign(tree).findings
    assert (found.code, found.where) == ("git-path-left-out", name.partition("/")[0])
    (found,) = sign(tree, options=SignOptions(git_paths=True)).findings
    assert (found.code, found.where) == ("git-path-signed", name.partition("/")[0])
    assert verify(tree).outcome is Outcome.PASS


def test_ignored_path_that_is_not_there(tree):
    (found,) = sign(tree, options=SignOptions(ignore=("*.bin",))).findings
    assert (found.code, found.where) == ("ignore-matches-nothing", "*.bin")


def test_older_signature_in_the_other_form_is_told(tree):
    sign(tree)
    report = sign_artifact(tree, [signer(), signer(ED25519)])
    assert [found.code for found in report.findings] == ["other-signature"]


# What is never overwritten


def test_signature_of_somebody_else_is_kept_unless_told_otherwise(tree):
    sign(tree, signer(number=1))
    theirs = (tree / "model.sig").read_bytes()
    with pytest.raises(Unavailable) as caught:
        sign(tree)
    assert caught.value.code == "signature-by-another"
    assert (tree / "model.sig").read_bytes() == theirs
    sign(tree, options=SignOptions(replace=True))
    assert verify(tree).outcome is Outcome.PASS


def test_own_signature_is_replaced(tree):
    for _ in range(2):
        sign(tree)
        sign(tree, signer(), signer(ED25519))  # in an envelope
    assert verify(tree).outcome is Outcome.PASS


def test_own_certificate_replaces_its_signature_and_no_other(tree):
    first, second = pki.make_pki(), pki.make_pki()

    def sign_with(made):
        key = load_private_key(made.leaf.key_pem, None)
        return sign(tree, CertificateSigner(key, made.chain))

    sign_with(first)
    sign_with(first)
    with pytest.raises(Unavailable) as caught:
        sign_with(second)
    assert caught.value.code == "signature-by-another"


@pytest.mark.parametrize("victim", ["a/weights.bin", "config.json", "release.key"])
def test_signature_never_replaces_something_else(tree, victim):
    place = tree / victim
    place.parent.mkdir(exist_ok=True)
    place.write_bytes(b'{"important": true}')
    with pytest.raises(Unavailable) as caught:
        sign(tree, signature=place)
    assert caught.value.code == "not-a-signature"
    assert place.read_bytes() == b'{"important": true}'


def test_signature_never_replaces_the_artifact(firmware):
    before = firmware.read_bytes()
    with pytest.raises(Unavailable):
        sign(firmware, signature=firmware)
    assert firmware.read_bytes() == before


def test_signature_never_replaces_a_link(tree, tmp_path):
    (tmp_path / "victim").write_bytes(b"keep")
    (tmp_path / "out.sig").symlink_to("victim")
    with pytest.raises(Unavailable):
        sign(tree, signature=tmp_path / "out.sig")
    assert (tmp_path / "out.sig").is_symlink()


@pytest.mark.parametrize(
    "content", [b"firmware", b"-----BEGIN PRIVATE KEY-----\n", b"{}\n", b"x\n{"]
)
def test_claims_are_never_appended_to_something_else(tree, tmp_path, content):
    place = tmp_path / "precious"
    place.write_bytes(content)
    with pytest.raises(Unavailable) as caught:
        sign(tree, claim=ArtifactClaim("model"), claims=place)
    assert caught.value.code == "not-a-claims-file"
    assert place.read_bytes() == content
    assert not (tree / "model.sig").exists()


def test_claims_and_signature_in_one_file(tree, tmp_path):
    with pytest.raises(Unavailable):
        sign(
            tree,
            signature=tmp_path / "one",
            claim=ArtifactClaim("model"),
            claims=tmp_path / "one",
        )
    assert not (tmp_path / "one").exists()


# What is refused


def test_nothing_to_sign(tmp_path):
    (tmp_path / "model").mkdir()
    assert refused(tmp_path / "model").code == "nothing-to-sign"


def test_everything_ignored(tree):
    options = SignOptions(ignore=tuple(FILES))
    assert refused(tree, options=options).code == "nothing-to-sign"


@pytest.mark.parametrize("path", [".", "", "..", "/etc", "a/../b"])
def test_ignoring_the_whole_or_what_lies_outside(tree, path):
    with pytest.raises(ValueError, match="inside the artifact"):
        sign(tree, options=SignOptions(ignore=(path,)))


def test_no_artifact(tmp_path):
    error = refused(tmp_path / "nothing")
    assert isinstance(error, Unavailable)


def test_link(tree):
    (tree / "link").symlink_to("config.json")
    error = refused(tree)
    assert (error.code, error.where) == ("symlink-refused", "link")
    assert "--follow-symlinks" in (error.hint or "")


@pytest.mark.parametrize(
    ("target", "code"),
    [("nowhere", "symlink-broken"), ("/etc/hostname", "symlink-outside"), ("..", "symlink-outside"),
     (".", "symlink-loop"), ("self", "symlink-broken")],
)  # fmt: skip
def test_followed_link_that_leads_astray(tree, target, code):
    (tree / "self").symlink_to(target)
    assert refused(tree, options=SignOptions(follow_symlinks=True)).code == code


def test_all_problems_are_reported_at_once(tree):
    (tree / "l1").symlink_to("x")
    (tree / "l2").symlink_to("y")
    os.mkfifo(tree / "pipe")
    error = refused(tree)
    assert [(each.code, each.where) for each in (error, *error.also)] == [
        ("symlink-refused", "l1"),
        ("symlink-refused", "l2"),
        ("special-file", "pipe"),
    ]


def test_name_that_is_not_utf8(tree):
    (tree / os.fsdecode(b"\xff")).write_bytes(b"")
    error = refused(tree)
    assert error.code == "name-not-utf8"
    str(error).encode("utf-8")


def test_folder_whose_name_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff")
    path.mkdir()
    (path / "config.json").write_bytes(b"{}")
    error = refused(path)
    assert error.code == "name-not-utf8"
    str(error).encode("utf-8")
    assert not (path / "model.sig").exists()


def test_single_file_whose_name_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.bin")
    path.write_bytes(b"")
    error = refused(path)
    assert error.code == "name-not-utf8"
    str(error).encode("utf-8")


def test_names_that_collide_after_normalisation(tree):
    name = "\N{LATIN SMALL LETTER E WITH ACUTE}"
    make_tree(tree, {name: b"1", unicodedata.normalize("NFD", name): b"2"})
    assert refused(tree).code == "colliding-names"


def test_fifo_as_artifact(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path / "pipe").code == "special-file"


def test_no_signer_and_one_key_twice(tree):
    with pytest.raises(ValueError, match="at least one"):
        sign_artifact(tree, [])
    with pytest.raises(ValueError, match="twice"):
        sign_artifact(tree, [signer(), signer()])


def test_certificate_signs_alone_with_an_ecdsa_key(tree):
    made = pki.make_pki()
    certified = CertificateSigner(load_private_key(made.leaf.key_pem, None), made.chain)
    assert refused(tree, certified, signer()).code == "unsupported-certificate-key"
    options = SignOptions(algorithm=HashAlgorithm.SHA512)
    assert refused(tree, certified, options=options).code == "unsupported-hash"


def test_blake2b_is_read_not_written(tree):
    options = SignOptions(algorithm=HashAlgorithm.BLAKE2B)
    assert isinstance(refused(tree, options=options), Unsupported)


@pytest.mark.parametrize("place", ["missing/folder/x.sig", "a"])
def test_signature_cannot_be_written_there(tree, place):
    error = refused(tree, signature=tree / place)
    assert (error.code, type(error)) == ("file-unwritable", Unavailable)


@unprivileged
def test_folder_without_rights(tree):
    tree.chmod(0o500)
    assert refused(tree).code == "file-unwritable"


def test_folder_with_the_name_of_a_signature_is_not_left_out_silently(tree):
    make_tree(tree, {"model.dsse.json/code.py": b"import os\n"})
    error = refused(tree)
    assert (error.code, error.where) == ("file-unwritable", str(tree / "model.dsse.json"))


def test_name_too_long_for_a_signature_beside_it(tmp_path):
    path = tmp_path / ("x" * 254)
    path.write_bytes(b"")
    assert isinstance(refused(path), Unavailable)
    assert verify(path).outcome is not Outcome.PASS
    path = path.rename(tmp_path / ("x" * 250))  # long enough for no claims file
    sign(path)
    assert verify(path).outcome is Outcome.PASS


def test_signer_that_fails_leaves_nothing(tree):
    class Broken:
        algorithm = signer().algorithm
        public_key = signer().public_key
        chain = ()

        def sign_parts(self, parts):
            raise Unavailable("the token was pulled out")

    assert refused(tree, Broken()).message == "the token was pulled out"
    sign(tree)
    before = (tree / "model.sig").read_bytes()
    refused(tree, Broken())
    assert (tree / "model.sig").read_bytes() == before


# Files that change meanwhile


def changing(monkeypatch, when: str, change) -> None:
    """Call ``change`` once, after the first such system call of hashing."""
    honest, honest_run = getattr(os, when), hashing._Job.run
    waiting: list[int] = []

    def spy(*args, **more):
        result = honest(*args, **more)
        if waiting:
            waiting.clear()
            change()
        return result

    def run(job):
        waiting.append(1)
        return honest_run(job)

    monkeypatch.setattr(hashing._Job, "run", run)
    monkeypatch.setattr(os, when, spy)


def test_file_that_grows_while_it_is_read(tree, monkeypatch):
    path = tree / "a-b.txt"

    def grow():
        with path.open("ab") as file:
            file.write(b"more")

    changing(monkeypatch, "read", grow)
    with pytest.raises(VerificationFailed) as caught:
        sign(tree)
    assert (caught.value.code, caught.value.where) == ("file-changed-while-read", "a-b.txt")
    assert not (tree / "model.sig").exists()


def test_file_rewritten_in_place_while_it_is_read(tree, monkeypatch):
    path = tree / "a-b.txt"
    data = path.read_bytes()
    changing(monkeypatch, "read", lambda: path.write_bytes(data[::-1]))
    with pytest.raises(VerificationFailed) as caught:
        sign(tree)
    assert caught.value.code == "file-changed-while-read"


def test_large_file_that_grows_while_it_is_read(tmp_path, monkeypatch):
    folder = make_tree(tmp_path / "model", {"big": bytes(3 << 20)})

    def grow():
        with (folder / "big").open("ab") as file:
            file.write(b"more")

    changing(monkeypatch, "readv", grow)
    with pytest.raises(VerificationFailed) as caught:
        sign(folder)
    assert caught.value.code == "file-changed-while-read"


def test_large_file_that_shrinks_while_it_is_read(tmp_path, monkeypatch):
    folder = make_tree(tmp_path / "model", {"big": bytes(9 << 20)})
    changing(monkeypatch, "readv", lambda: os.truncate(folder / "big", 10))
    with pytest.raises(VerificationFailed) as caught:
        sign(folder)
    assert caught.value.code == "file-changed-while-read"


@pytest.mark.parametrize("replacement", ["file", "link", "fifo", "nothing"])
def test_file_replaced_between_listing_and_hashing(tree, tmp_path, monkeypatch, replacement):
    path = tree / "config.json"

    def replace():
        other = tmp_path / "other"
        other.write_bytes(path.read_bytes())
        if replacement == "file":
            other.rename(path)
            return
        path.unlink()
        if replacement == "link":
            path.symlink_to(other)
        elif replacement == "fifo":
            os.mkfifo(path)

    honest = hashing._Job.run

    def run(job):
        replace()
        return honest(job)

    monkeypatch.setattr(hashing._Job, "run", run)
    with pytest.raises(VerificationFailed) as caught:
        sign(tree)
    assert (caught.value.code, caught.value.where) == ("file-changed-while-read", "config.json")


def test_folder_replaced_by_a_link_between_listing_and_hashing(tree, tmp_path, monkeypatch):
    elsewhere = make_tree(tmp_path / "elsewhere", {"weights.bin": FILES["a/weights.bin"]})
    honest = hashing._Job.run

    def run(job):
        (tree / "a").rename(tmp_path / "moved")
        (tree / "a").symlink_to(elsewhere)
        return honest(job)

    monkeypatch.setattr(hashing._Job, "run", run)
    with pytest.raises(VerificationFailed) as caught:
        sign(tree)
    assert caught.value.where == "a/weights.bin"


def test_verifying_notices_too(signed, monkeypatch):
    path = signed / "a-b.txt"
    data = path.read_bytes()
    changing(monkeypatch, "read", lambda: path.write_bytes(data[::-1]))
    assert refusals(verify(signed)) == {"file-changed-while-read": ["a-b.txt"]}


# Shards


def shards(numbers, total=3, suffix=".safetensors") -> dict[str, bytes]:
    return {f"m-{i:05d}-of-{total:05d}{suffix}": bytes([i]) for i in numbers}


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".gguf"])
def test_missing_numbered_shard(tmp_path, suffix):
    folder = make_tree(tmp_path / "model", shards([1, 3], suffix=suffix))
    error = refused(folder)
    assert (error.code, error.where) == ("shard-missing", f"m-00002-of-00003{suffix}")
    report = sign(folder, options=SignOptions(allow_incomplete=True))
    assert report.files == 2


def test_complete_shards_are_described(tmp_path):
    folder = make_tree(tmp_path / "model", shards([1, 2, 3]))
    assert sign(folder).layout == "m.safetensors: 3 shards"


def index_of(*names: str) -> dict[str, bytes]:
    weights = {f"tensor{i}": name for i, name in enumerate(names)}
    document = {"metadata": {}, "weight_map": weights}
    return {"m.safetensors.index.json": json.dumps(document).encode()}


def test_shard_missing_from_what_the_index_lists(tmp_path):
    files = shards([1, 2], 2) | index_of(*shards([1, 2], 2), "extra.safetensors")
    error = refused(make_tree(tmp_path / "model", files))
    assert (error.code, error.where) == ("shard-missing", "extra.safetensors")


def test_shard_that_the_index_does_not_list(tmp_path):
    files = shards([1, 2], 2) | index_of("m-00001-of-00002.safetensors")
    error = refused(make_tree(tmp_path / "model", files))
    assert (error.code, error.where) == ("shard-extra", "m-00002-of-00002.safetensors")


def test_index_that_cannot_be_read(tmp_path):
    error = refused(make_tree(tmp_path / "model", {"m.safetensors.index.json": b"{}"}))
    assert isinstance(error, MalformedInput)
    assert "m.safetensors.index.json" in str(error)


def dcp_metadata(*names: str) -> bytes:
    """A pickle that names files, written by hand: PROTO 4, a list of SHORT_BINUNICODE, STOP."""
    items = b"".join(b"\x8c" + bytes([len(name)]) + name.encode() for name in names)
    return b"\x80\x04(" + items + b"l."


def test_distributed_checkpoint(tmp_path):
    files = {".metadata": dcp_metadata("__0_0.distcp", "__1_0.distcp", "tensor.weight")}
    folder = make_tree(tmp_path / "model", {**files, "__0_0.distcp": b"", "__1_0.distcp": b""})
    assert sign(folder).files == 3
    (folder / "__1_0.distcp").unlink()
    (folder / "__2_0.distcp").write_bytes(b"")
    with pytest.raises(VerificationFailed) as caught:
        sign(folder)
    error = caught.value
    assert [(each.code, each.where) for each in (error, *error.also)] == [
        ("shard-missing", "__1_0.distcp"),
        ("shard-extra", "__2_0.distcp"),
    ]


def test_distributed_checkpoint_is_never_unpickled(tmp_path):
    marker = tmp_path / "executed"
    attack = f"cos\nsystem\n(S'touch {marker}'\ntR.".encode()
    folder = make_tree(tmp_path / "model", {".metadata": attack, "__0_0.distcp": b""})
    with pytest.raises(AttestError):
        sign(folder)
    sign(folder, options=SignOptions(allow_incomplete=True))
    assert not marker.exists()


# Digests that were given


def test_digest_for_a_file_that_is_not_there(tree):
    error = refused(tree, options=SignOptions(digests={"ghost": bytes(32)}))
    assert (error.code, error.where) == ("digest-without-file", "ghost")


def test_given_digests_are_recorded_as_such(tree):
    given = {name: hashlib.sha256(data).digest() for name, data in FILES.items()}
    assert sign(tree, options=SignOptions(digests=given)).precomputed == len(FILES)
    entries = payload_of(tree / "model.sig")["predicate"]["resources"]
    assert all(entry["precomputed"] is True for entry in entries)


# Claims


def test_claim_beside_the_artifact(tree):
    report = sign(tree, claim=ArtifactClaim("model"))
    path = tree.parent / "model.claims.jsonl"
    assert report.claims == path
    (line,) = split_claims(path.read_bytes())
    statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
    assert statement["subject"] == payload_of(tree / "model.sig")["subject"]
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS


def test_claim_of_firmware(firmware):
    sign(firmware, claim=ArtifactClaim("firmware", "1.2", 7))
    (line,) = split_claims(firmware.with_name("fw.bin.claims.jsonl").read_bytes())
    statement = json.loads(base64.b64decode(json.loads(line)["payload"]))
    assert statement["predicate"]["firmware"] == {"version": "1.2", "rollbackCounter": 7}


def test_claims_file_inside_the_artifact(tree):
    error = refused(tree, claim=ArtifactClaim("model"), claims=tree / "claims.jsonl")
    assert error.code == "claims-inside"


def test_journal_inside_the_artifact(tree):
    error = refused(tree, options=SignOptions(journal=tree / "journal"))
    assert error.code == "journal-inside"


def test_torn_claim_is_repaired_by_the_next_writer_who_says_so(tree):
    path = tree.parent / "model.claims.jsonl"
    sign(tree, claim=ArtifactClaim("model"))
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert set(refusals(verify(tree))) == {"torn-line"}
    report = sign(tree, claim=ArtifactClaim("model"))
    assert [finding.code for finding in report.findings] == ["torn-line-removed"]
    assert len(split_claims(path.read_bytes())) == 2
    assert verify(tree).outcome is Outcome.PASS
