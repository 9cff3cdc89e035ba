"""A valid signature over content that is not, or no longer, what is on disk."""

from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path

import pytest

from attest.artifact import compare
from attest.codec.manifest import CHUNK_SIZE
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import generate
from attest.flow.sign import SignOptions, sign_artifact
from attest.verdict import Outcome, Severity
from tests.support.forge import (
    FILES,
    bundle,
    foreign,
    make_tree,
    refusals,
    resources,
    sharded,
    signer,
    statement,
    verify,
    write,
)


def finding(verdict, code: str):
    (found,) = [each for each in verdict.findings if each.code == code]
    return found


def test_untouched_tree_passes_and_says_what_was_checked(signed):
    verdict = verify(signed)
    assert verdict.outcome is Outcome.PASS
    size = sum(map(len, FILES.values()))
    assert verdict.subject["checked"] == {"files": len(FILES), "bytes": size}
    assert finding(verdict, "signature-valid").details["signer"] == {
        "type": "key",
        "fingerprint": signer().public_key.fingerprint,
        "algorithm": "p256",
    }


def test_changed_file(signed):
    (signed / "config.json").write_bytes(b'{"hidden": 9}\n')
    assert refusals(verify(signed)) == {"file-changed": ["config.json"]}


def test_truncated_file(signed):
    os.truncate(signed / "a/weights.bin", 100)
    verdict = verify(signed)
    assert refusals(verdict) == {"file-changed": ["a/weights.bin"]}
    assert "truncated" in finding(verdict, "file-changed").message


def test_grown_file(signed):
    with (signed / "a/weights.bin").open("ab") as file:
        file.write(b"!")
    verdict = verify(signed)
    assert refusals(verdict) == {"file-changed": ["a/weights.bin"]}
    assert "grown" in finding(verdict, "file-changed").message


def test_emptied_file(signed):
    os.truncate(signed / "config.json", 0)
    assert refusals(verify(signed)) == {"file-changed": ["config.json"]}


def test_filled_empty_file(signed):
    (signed / "empty.bin").write_bytes(b"x")
    assert refusals(verify(signed)) == {"file-changed": ["empty.bin"]}


def test_missing_file(signed):
    (signed / "config.json").unlink()
    assert refusals(verify(signed)) == {"file-missing": ["config.json"]}


def test_missing_empty_file(signed):
    (signed / "empty.bin").unlink()
    assert refusals(verify(signed)) == {"file-missing": ["empty.bin"]}


def test_extra_file(signed):
    (signed / "sub/code.py").write_bytes(b"import os\n")
    assert refusals(verify(signed)) == {"file-extra": ["sub/code.py"]}


def test_extra_empty_file(signed):
    (signed / "__init__.py").write_bytes(b"")
    assert refusals(verify(signed)) == {"file-extra": ["__init__.py"]}


def test_renamed_file_though_the_root_stays(signed):
    """OMS' root does not bind names: only the manifest's own names do."""
    (signed / "config.json").rename(signed / "configz.json")
    assert refusals(verify(signed)) == {
        "file-extra": ["configz.json"],
        "file-missing": ["config.json"],
    }


def test_two_files_that_swapped_names(signed):
    (signed / "a-b.txt").rename(signed / "x")
    (signed / "a.b.txt").rename(signed / "a-b.txt")
    (signed / "x").rename(signed / "a.b.txt")
    assert refusals(verify(signed)) == {"file-changed": ["a-b.txt", "a.b.txt"]}


def test_all_differences_are_listed_at_once(signed):
    (signed / "config.json").unlink()
    (signed / "new.txt").write_bytes(b"")
    (signed / "a-b.txt").write_bytes(b"")
    assert refusals(verify(signed)) == {
        "file-changed": ["a-b.txt"],
        "file-extra": ["new.txt"],
        "file-missing": ["config.json"],
    }


def test_emptied_tree(signed):
    for name in FILES:
        (signed / name).unlink()
    assert refusals(verify(signed)) == {"file-missing": sorted(FILES)}


def test_file_that_became_a_folder(signed):
    (signed / "config.json").unlink()
    (signed / "config.json").mkdir()
    assert refusals(verify(signed)) == {"file-missing": ["config.json"]}


def test_changed_ranges_of_a_large_file_are_named(tmp_path):
    path = tmp_path / "big.bin"
    size = 2 * CHUNK_SIZE + 5
    with path.open("wb") as file:
        file.truncate(size)
    sign_artifact(path, [signer()])
    with path.open("r+b") as changed:
        changed.seek(CHUNK_SIZE + 3)
        changed.write(b"!")
    verdict = verify(path)
    assert finding(verdict, "file-changed").details["ranges"] == [[CHUNK_SIZE, 2 * CHUNK_SIZE]]


def test_changed_file_that_vanishes_before_its_ranges_are_named(tmp_path, monkeypatch):
    folder = make_tree(tmp_path / "model", {})
    path = folder / "big.bin"
    with path.open("wb") as file:
        file.truncate(CHUNK_SIZE + 1)
    sign_artifact(folder, [signer()])
    with path.open("r+b") as changed:
        changed.write(b"!")
    honest = compare._changed_ranges

    def vanish(*args):
        path.unlink()
        return honest(*args)

    monkeypatch.setattr(compare, "_changed_ranges", vanish)
    assert refusals(verify(folder)) == {"file-changed": ["big.bin"]}


# Names


def test_name_in_another_unicode_form_is_another_name(tmp_path):
    composed = "\N{LATIN SMALL LETTER E WITH ACUTE}.txt"
    folder = make_tree(tmp_path / "model", {composed: b"x"})
    sign_artifact(folder, [signer()])
    apart = unicodedata.normalize("NFD", composed)
    (folder / composed).rename(folder / apart)
    assert refusals(verify(folder)) == {"file-extra": [apart], "file-missing": [composed]}


def test_second_spelling_of_a_signed_name(tmp_path):
    composed = "\N{LATIN SMALL LETTER E WITH ACUTE}.txt"
    folder = make_tree(tmp_path / "model", {composed: b"x"})
    sign_artifact(folder, [signer()])
    apart = unicodedata.normalize("NFD", composed)
    (folder / apart).write_bytes(b"evil")
    assert refusals(verify(folder)) == {"file-extra": [apart]}


def test_name_that_is_not_utf8(signed):
    (signed / os.fsdecode(b"b\xffd")).write_bytes(b"")
    verdict = verify(signed)
    assert refusals(verdict) == {"name-not-utf8": ["b\\udcffd"]}
    verdict.to_bytes().decode("ascii")


def test_folder_whose_name_is_not_utf8_hides_nothing_from_a_pattern(signed):
    folder = signed / os.fsdecode(b"d\xff")
    folder.mkdir()
    (folder / "code.py").write_bytes(b"")
    assert set(refusals(verify(signed, only=["*.py"]))) == {"name-not-utf8"}


def test_wrong_kind_of_path_file_for_folder(signed, tmp_path):
    found = verify(signed / "config.json", signature=signed / "model.sig")
    assert set(refusals(found)) == {"wrong-kind-of-path"}


def test_wrong_kind_of_path_folder_for_file(tmp_path, tree):
    dot = [{**resources({"x": b"x"}, sizes=False)[0], "name": "."}]
    signature = write(tmp_path / "s.sig", bundle(foreign(dot)))
    assert set(refusals(verify(tree, signature=signature))) == {"wrong-kind-of-path"}


def test_renamed_single_file(firmware, tmp_path):
    other = firmware.rename(tmp_path / "other.bin")
    assert refusals(verify(other, signature=tmp_path / "fw.bin.sig")) == {
        "file-extra": ["other.bin"],
        "file-missing": ["fw.bin"],
    }


# Links and special files


def test_link_in_the_tree(signed):
    (signed / "link").symlink_to("config.json")
    assert refusals(verify(signed)) == {"symlink-refused": ["link"]}


def test_signed_file_replaced_by_a_link_to_the_same_content(signed, tmp_path):
    target = tmp_path / "outside.json"
    (signed / "config.json").rename(target)
    (signed / "config.json").symlink_to(target)
    assert refusals(verify(signed)) == {"symlink-refused": ["config.json"]}
    assert refusals(verify(signed, follow_symlinks=True)) == {"symlink-outside": ["config.json"]}


def test_folder_replaced_by_a_link(signed, tmp_path):
    (signed / "a").rename(tmp_path / "a")
    (signed / "a").symlink_to(tmp_path / "a")
    assert refusals(verify(signed)) == {"symlink-refused": ["a"]}


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A tree with a link to a folder, signed through the link."""
    folder = make_tree(tmp_path / "model", {"v1/w.bin": b"one", "v2/w.bin": b"two"})
    (folder / "current").symlink_to("v1")
    sign_artifact(folder, [signer()], options=SignOptions(follow_symlinks=True))
    return folder


def test_folder_link_is_walked(linked):
    verdict = verify(linked, follow_symlinks=True)
    assert verdict.outcome is Outcome.PASS
    assert verdict.subject["checked"]["files"] == 3


def test_folder_link_whose_target_changed(linked):
    (linked / "current").unlink()
    (linked / "current").symlink_to("v2")
    found = refusals(verify(linked, follow_symlinks=True))
    assert found == {"file-changed": ["current/w.bin"]}


def test_links_need_the_consumers_consent(linked):
    found = refusals(verify(linked))
    assert found == {"symlink-refused": ["current"]}


def test_new_file_behind_a_followed_folder_link(linked):
    (linked / "v1/new.py").write_bytes(b"")
    found = refusals(verify(linked, follow_symlinks=True))
    assert found == {"file-extra": ["current/new.py", "v1/new.py"]}


def test_broken_link(signed):
    (signed / "link").symlink_to("nowhere")
    assert refusals(verify(signed)) == {"symlink-refused": ["link"]}
    assert refusals(verify(signed, follow_symlinks=True)) == {"symlink-broken": ["link"]}


def test_link_loop(signed):
    (signed / "sub/up").symlink_to("..")
    assert refusals(verify(signed, follow_symlinks=True)) == {"symlink-loop": ["sub/up"]}


def test_fifo_in_the_tree_does_not_block(signed):
    os.mkfifo(signed / "pipe")
    assert refusals(verify(signed)) == {"special-file": ["pipe"]}


def test_signed_file_replaced_by_a_fifo(signed):
    (signed / "config.json").unlink()
    os.mkfifo(signed / "config.json")
    assert refusals(verify(signed)) == {"special-file": ["config.json"]}


def test_socket_in_the_tree(signed, monkeypatch):
    monkeypatch.chdir(signed)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock")
        assert refusals(verify(signed)) == {"special-file": ["sock"]}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_device_in_the_tree(signed):
    try:
        os.mknod(signed / "null", 0o600 | 0o020000, os.makedev(1, 3))
    except OSError:
        pytest.skip("devices cannot be made here")
    assert refusals(verify(signed)) == {"special-file": ["null"]}


# What the signature leaves out


def ignoring(tree: Path, *paths: str) -> Path:
    sign_artifact(tree, [signer()], options=SignOptions(ignore=paths))
    return tree


def test_ignored_path_is_refused_unless_the_consumer_allows_it(tree):
    ignoring(tree, "sub")
    verdict = verify(tree)
    assert refusals(verdict) == {"file-uncovered": ["sub"]}
    assert "--allow-ignore sub" in (finding(verdict, "file-uncovered").hint or "")


def test_ignored_path_that_the_consumer_allows_is_reported(tree):
    ignoring(tree, "sub")
    verdict = verify(tree, allow_ignore=["sub"])
    assert verdict.outcome is Outcome.PASS
    found = finding(verdict, "file-uncovered")
    assert (found.outcome, found.where, found.details["files"]) == (Severity.WARN, "sub", 1)


def test_ignored_path_that_does_not_exist_is_no_finding(tree):
    verdict = verify(ignoring(tree, "cache"))
    assert verdict.outcome is Outcome.PASS
    assert not any(found.code == "file-uncovered" for found in verdict.findings)


def test_allowing_a_folder_above_covers_what_is_below(tree):
    assert verify(ignoring(tree, "sub/deep"), allow_ignore=["sub"]).outcome is Outcome.PASS


def test_allowing_a_folder_below_does_not_cover_what_is_above(tree):
    (tree / "sub/other.txt").write_bytes(b"")
    verdict = verify(ignoring(tree, "sub"), allow_ignore=["sub/deep"])
    assert refusals(verdict) == {"file-uncovered": ["sub"]}


def test_allowing_a_name_does_not_allow_names_that_begin_so(signed):
    (signed / "cache.py").write_bytes(b"")
    assert refusals(verify(signed, allow_ignore=["cache"])) == {"file-extra": ["cache.py"]}


def test_allowed_path_may_hold_unsigned_files_though_the_signer_did_not_ignore_it(signed):
    (signed / "cache").mkdir()
    (signed / "cache/x").write_bytes(b"")
    verdict = verify(signed, allow_ignore=["cache"])
    assert verdict.outcome is Outcome.PASS
    assert finding(verdict, "file-uncovered").outcome is Severity.WARN


def test_allowing_a_path_does_not_excuse_a_signed_file_there(signed):
    (signed / "sub/deep/est.txt").write_bytes(b"changed")
    assert refusals(verify(signed, allow_ignore=["sub"])) == {"file-changed": ["sub/deep/est.txt"]}


@pytest.mark.parametrize("path", [".", "./", "", "/etc", "..", "a/../b", "a//b"])
def test_consumer_cannot_allow_everything_or_what_lies_outside(signed, path):
    with pytest.raises(ValueError, match="inside the artifact"):
        verify(signed, allow_ignore=[path])


def test_signer_who_ignores_everything_covers_nothing_more(tree):
    listed = resources({"config.json": FILES["config.json"]})
    write(tree / "model.sig", bundle(statement(listed, ignore_paths=["."])))
    verdict = verify(tree)
    assert refusals(verdict) == {"file-uncovered": ["."]}
    assert finding(verdict, "file-uncovered").details["files"] == len(FILES) - 1


@pytest.mark.parametrize("spelling", ["sub", "./sub", "sub/", "./sub/"])
def test_sloppy_spelling_of_an_ignored_path(tree, spelling):
    files = {name: data for name, data in FILES.items() if not name.startswith("sub/")}
    write(tree / "model.sig", bundle(statement(resources(files), ignore_paths=[spelling])))
    assert set(refusals(verify(tree))) == {"file-uncovered"}
    assert verify(tree, allow_ignore=["sub"]).outcome is Outcome.PASS


def test_uncovered_link_is_refused(tree):
    (tree / "cache").symlink_to("/etc")
    ignoring(tree, "cache")
    assert refusals(verify(tree)) == {"symlink-refused": ["cache"]}
    verdict = verify(tree, allow_ignore=["cache"])
    assert verdict.outcome is Outcome.PASS
    assert finding(verdict, "file-uncovered").outcome is Severity.WARN


def test_folder_with_the_name_of_a_signature_is_not_excused(signed):
    """Every signature of ours ignores ``model.dsse.json``; a folder of that name can hold code."""
    (signed / "model.dsse.json").mkdir()
    (signed / "model.dsse.json/code.py").write_bytes(b"import os\n")
    assert refusals(verify(signed)) == {"file-uncovered": ["model.dsse.json"]}


def test_folder_with_the_name_of_a_signature_is_not_excused_for_other_tools_either(tree):
    (tree / "model.dsse.json").mkdir()
    (tree / "model.dsse.json/code.py").write_bytes(b"import os\n")
    write(tree / "model.sig", bundle(foreign(resources(sizes=False))))
    assert refusals(verify(tree)) == {"file-extra": ["model.dsse.json/code.py"]}


def test_other_signature_at_the_root_is_told(signed):
    sign_artifact(signed, [signer(), generate(KeyAlgorithm.ED25519)])
    assert (signed / "model.dsse.json").exists()
    verdict = verify(signed, signature=signed / "model.sig")
    assert verdict.outcome is Outcome.PASS
    assert finding(verdict, "file-uncovered").outcome is Severity.WARN


@pytest.mark.parametrize(
    "content",
    [b"{}", b"import os", b'{"text": "poison"}', b""],
    ids=["json", "code", "data", "empty"],
)
def test_signature_name_alone_excuses_nothing(signed, content):
    write(signed / "model.dsse.json", content)
    assert refusals(verify(signed)) == {"file-uncovered": ["model.dsse.json"]}


def test_signature_over_other_files_is_no_excuse(signed, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "else.bin").write_bytes(b"other content")
    sign_artifact(other, [signer(), generate(KeyAlgorithm.ED25519)])
    (signed / "model.dsse.json").write_bytes((other / "model.dsse.json").read_bytes())
    assert refusals(verify(signed)) == {"file-uncovered": ["model.dsse.json"]}


def test_signature_name_further_down_is_an_unsigned_file(signed):
    write(signed / "sub/model.sig", b"{}")
    assert refusals(verify(signed)) == {"file-extra": ["sub/model.sig"]}


def test_claims_file_inside_the_tree_is_an_unsigned_file(signed):
    write(signed / "model.claims.jsonl", b"")
    assert refusals(verify(signed)) == {"file-extra": ["model.claims.jsonl"]}


# A part only


def test_part_of_the_tree(signed):
    (signed / "a-b.txt").write_bytes(b"changed, and not asked for")
    verdict = verify(signed, only=["*.bin"])
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.subject["checked"]["files"] == 2


def test_pattern_that_matches_nothing(signed):
    assert refusals(verify(signed, only=["*.gguf"])) == {"only-matches-nothing": ["*.gguf"]}


def test_pattern_that_matches_only_the_signature_itself(signed):
    assert refusals(verify(signed, only=["model.sig"])) == {"only-matches-nothing": ["model.sig"]}


def test_pattern_that_matches_only_another_signature(signed):
    write(signed / "model.dsse.json", b"{}")
    found = refusals(verify(signed, only=["model.dsse.json"]))
    assert found == {"file-uncovered": ["model.dsse.json"]}


def test_pattern_that_matches_only_allowed_unsigned_files(tree):
    ignoring(tree, "sub")
    found = refusals(verify(tree, only=["sub/*"], allow_ignore=["sub"]))
    assert found == {"only-matches-nothing": ["sub/*"]}


def test_pattern_that_matches_unsigned_files(signed):
    (signed / "a/new.bin").write_bytes(b"")
    assert refusals(verify(signed, only=["*.bin"])) == {"file-extra": ["a/new.bin"]}


def test_pattern_that_matches_a_missing_file(signed):
    (signed / "empty.bin").unlink()
    assert refusals(verify(signed, only=["*.bin"])) == {"file-missing": ["empty.bin"]}


def test_pattern_over_a_link_that_could_hide_files(signed):
    (signed / "z").symlink_to("/etc")
    assert refusals(verify(signed, only=["*.bin"])) == {"symlink-refused": ["z"]}


# Other tools' statements


def test_foreign_size_is_not_believed(tree):
    listed = [{**entry, "size": 0} for entry in resources(sizes=False)]
    write(tree / "model.sig", bundle(foreign(listed)))
    assert verify(tree).outcome is Outcome.PASS


def test_foreign_chunks_and_marks_are_not_believed(tree):
    listed = [{**entry, "chunks": ["00"], "chunk_size": 1, "precomputed": True}
              for entry in resources(sizes=False)]  # fmt: skip
    write(tree / "model.sig", bundle(foreign(listed)))
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    assert not any(found.code == "digests-precomputed" for found in verdict.findings)


@pytest.mark.parametrize("label", ["sha256", "sha256-sharded-100"])
def test_byte_ranges(tmp_path, label):
    files = {name: data for name, data in FILES.items() if data}
    folder = make_tree(tmp_path / "model", files)
    listed = sharded(files, 100, label=label)
    write(folder / "model.sig", bundle(foreign(listed, method="shards", shard_size=100)))
    assert verify(folder).outcome is Outcome.PASS
    (folder / "a/weights.bin").write_bytes(files["a/weights.bin"][:-1] + b"!")
    verdict = verify(folder)
    assert refusals(verdict) == {"file-changed": ["a/weights.bin"]}
    assert finding(verdict, "file-changed").details["ranges"] == [[1000, 1024]]
    (folder / "a/weights.bin").write_bytes(files["a/weights.bin"] + b"!")
    assert refusals(verify(folder)) == {"file-changed": ["a/weights.bin"]}
    os.truncate(folder / "a/weights.bin", 1000)
    assert refusals(verify(folder)) == {"file-changed": ["a/weights.bin"]}


def test_byte_ranges_leave_an_empty_file_unsigned(tmp_path):
    """The specification gives an empty file no range, so nothing says that it belongs there."""
    folder = make_tree(tmp_path / "model", {"a": b"x", "empty": b""})
    listed = sharded({"a": b"x"}, 100)
    write(folder / "model.sig", bundle(foreign(listed, method="shards", shard_size=100)))
    assert refusals(verify(folder)) == {"file-extra": ["empty"]}
    assert verify(folder, allow_ignore=["empty"]).outcome is Outcome.PASS


def test_byte_ranges_over_one_file(tmp_path):
    path = tmp_path / "fw.bin"
    path.write_bytes(b"0123456789")
    listed = sharded({".": b"0123456789"}, 4)
    document = bundle(foreign(listed, method="shards", shard_size=4))
    signature = write(tmp_path / "fw.bin.sig", document)
    assert verify(path, signature=signature).outcome is Outcome.PASS
    path.write_bytes(b"012345678!")
    assert refusals(verify(path)) == {"file-changed": ["fw.bin"]}


# Shards by name


SHARDS = {f"model-{i:05d}-of-00003.safetensors": bytes([i]) for i in (1, 2, 3)}


def test_missing_and_extra_shards_are_called_so(tmp_path):
    folder = make_tree(tmp_path / "model", {**SHARDS, "ckpt/__0_0.distcp": b"x"})
    sign_artifact(folder, [signer()])
    (folder / "model-00002-of-00003.safetensors").unlink()
    (folder / "ckpt/__0_0.distcp").unlink()
    (folder / "model-00004-of-00003.safetensors").write_bytes(b"")
    verdict = verify(folder)
    assert refusals(verdict) == {
        "shard-extra": ["model-00004-of-00003.safetensors"],
        "shard-missing": ["ckpt/__0_0.distcp", "model-00002-of-00003.safetensors"],
    }
    assert any("shard 2 of 3" in found.message for found in verdict.findings)


# Precomputed digests


def test_precomputed_digests_are_marked(tree):
    given = {"a/weights.bin": bytes.fromhex(resources()[2]["digest"])}
    report = sign_artifact(tree, [signer()], options=SignOptions(digests=given))
    assert report.precomputed == 1
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    assert "1 file" in finding(verdict, "digests-precomputed").message


def test_wrong_precomputed_digest_is_found_by_verifying(tree):
    sign_artifact(tree, [signer()], options=SignOptions(digests={"config.json": bytes(32)}))
    assert refusals(verify(tree)) == {"file-changed": ["config.json"]}


# No state, no network


def test_verifier_keeps_no_state_between_calls(tmp_path):
    """Trap 8: allowed paths, keys and links of one call must not carry into the next."""
    first = make_tree(tmp_path / "first", {"a": b"1", "skip/x": b"2"})
    second = make_tree(tmp_path / "second", {"a": b"1", "skip/x": b"2"})
    for folder in (first, second):
        ignoring(folder, "skip")
    other = signer(number=1)
    assert verify(first, allow_ignore=["skip"]).outcome is Outcome.PASS
    assert refusals(verify(second)) == {"file-uncovered": ["skip"]}
    assert set(refusals(verify(first, other, allow_ignore=["skip"]))) == {"key-hint-mismatch"}
    assert verify(first, allow_ignore=["skip"]).outcome is Outcome.PASS
    assert refusals(verify(first)) == {"file-uncovered": ["skip"]}


def test_equal_inputs_make_equal_verdicts(signed):
    assert verify(signed).to_bytes() == verify(signed).to_bytes()


def test_every_pattern_must_match(signed):
    assert verify(signed, only=["*.bin", "config.json"]).outcome is Outcome.PARTIAL
    found = refusals(verify(signed, only=["config.json", "zzz"]))
    assert found == {"only-matches-nothing": ["zzz"]}


def test_checkpoint_that_was_signed_incomplete_is_told(tmp_path):
    folder = make_tree(tmp_path / "ck", {"m-00001-of-00002.safetensors": b"x"})
    sign_artifact(folder, [signer()], options=SignOptions(allow_incomplete=True))
    verdict = verify(folder)
    assert verdict.outcome is Outcome.PASS
    assert finding(verdict, "checkpoint-incomplete").where == "m-00002-of-00002.safetensors"


def test_verdict_says_what_was_asked_and_trusted(signed):
    whole, part = verify(signed), verify(signed, only=["*.bin"])
    assert set(whole.inputs) == {"trust", "signature"}
    assert whole.inputs["trust"] == part.inputs["trust"]
    assert part.subject["asked"]["only"] == ["*.bin"]


@pytest.mark.parametrize("name", [".gitattributes", ".gitignore"])
def test_plain_git_file_is_a_warning(tree, name):
    (tree / name).write_bytes(b"*.bin filter=lfs")
    sign_artifact(tree, [signer()])
    verdict = verify(tree)
    assert verdict.outcome is Outcome.PASS
    found = finding(verdict, "file-uncovered")
    assert (found.where, found.outcome) == (name, Severity.WARN)


@pytest.mark.parametrize("name", [".git/hooks/run.py", ".github/x.py", ".gitignore/x.py"])
def test_git_folders_may_hold_code_and_are_refused(signed, name):
    make_tree(signed, {name: b"import os"})
    folder = name.partition("/")[0]
    assert refusals(verify(signed)) == {"file-uncovered": [folder]}
    assert verify(signed, allow_ignore=[folder]).outcome is Outcome.PASS
