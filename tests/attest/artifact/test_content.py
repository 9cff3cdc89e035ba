"""Reading the files of an artifact: what was read is what was signed, or nothing is claimed."""

from __future__ import annotations

import os
from array import array
from pathlib import Path

import pytest

from attest.artifact.content import ArtifactContent
from attest.artifact.walk import list_files
from attest.codec.manifest import Manifest
from attest.digest import HashAlgorithm
from attest.errors import AttestError, DigestMismatch, Truncated, Unavailable, VerificationFailed
from attest.files import open_source
from tests.support.forge import FILES, digest_of, make_tree
from tests.support.rights import unprivileged

LARGE = "a/weights.bin"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "model")


@pytest.fixture
def content(tree: Path) -> ArtifactContent:
    return ArtifactContent(list_files(tree))


def manifest_of(files: dict[str, bytes], algorithm: str = "sha256") -> Manifest:
    names = sorted(files)
    digests = b"".join(bytes.fromhex(digest_of(files[name], algorithm)) for name in names)
    sizes = array("Q", [len(files[name]) for name in names])
    return Manifest(HashAlgorithm(algorithm), names, bytearray(digests), sizes)


def refused(kind: type[AttestError], code: str, call, *args) -> AttestError:
    with pytest.raises(kind) as caught:
        call(*args)
    assert caught.value.code == code
    return caught.value


def read(content: ArtifactContent, name: str) -> bytes:
    with content.open(name) as source:
        return source.read(0, source.size)


# -- reading -------------------------------------------------------------------------------------


def test_names_sizes_and_bytes(content):
    assert content.names == tuple(sorted(FILES))
    for name, expected in FILES.items():
        assert content.size(name) == len(expected)
        assert read(content, name) == expected
    assert content.opened == tuple(sorted(FILES))


def test_reading_by_position(content):
    with content.open(LARGE) as source:
        assert source.read(256, 3) == b"\0\1\2"
        assert source.read(source.size, 0) == b""
        for offset, length in [(0, 1025), (1024, 1), (-1, 1), (0, -1), (1 << 63, 1), (0, 1 << 70)]:
            with pytest.raises(Truncated):
                source.read(offset, length)


def test_a_name_that_is_not_listed(content):
    for name in ("nothing", "../model/config.json", "", "/etc/passwd"):
        with pytest.raises(KeyError), content.open(name):
            pass
        with pytest.raises(KeyError):
            content.size(name)
    assert content.opened == ()


def test_a_single_file(tmp_path):
    path = tmp_path / "fw.bin"
    path.write_bytes(b"firmware")
    content = ArtifactContent(list_files(path))
    assert content.names == ("fw.bin",)
    assert read(content, "fw.bin") == b"firmware"
    content.match(manifest_of({"fw.bin": b"firmware"}))
    content.match(manifest_of({".": b"firmware"}))  # as the reference calls it
    refused(DigestMismatch, "file-changed", content.match, manifest_of({".": b"FIRMWARE"}))


# -- what was listed is what is opened -----------------------------------------------------------


@pytest.mark.parametrize("how", ["replaced", "longer", "link", "folder", "fifo"])
def test_a_file_that_is_another_when_it_is_opened(tree, content, how):
    path = tree / LARGE
    if how == "longer":
        path.write_bytes(path.read_bytes() + b"x")
    else:
        (path.parent / "new").write_bytes(path.read_bytes())
        path.rename(path.parent / "old")  # keeps its inode from being used again
        if how == "replaced":
            (path.parent / "new").rename(path)
        elif how == "link":
            path.symlink_to("old")
        elif how == "folder":
            path.mkdir()
        else:
            os.mkfifo(path)
    with pytest.raises((VerificationFailed, Unavailable)) as caught, content.open(LARGE):
        pass
    assert caught.value.where == LARGE
    assert LARGE not in content.opened


def test_a_file_that_vanished(tree, content):
    (tree / LARGE).unlink()
    with pytest.raises(Unavailable) as caught, content.open(LARGE):
        pass
    assert caught.value.where == LARGE


def test_a_file_that_becomes_shorter_while_it_is_read(tree, content):
    with content.open(LARGE) as source:
        os.truncate(tree / LARGE, 10)
        refused(Unavailable, "file-changed", source.read, 0, 1024)


def touch(path: Path) -> None:
    """Another modification time, whatever the clock's grain."""
    info = path.stat()
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns + 1_000_000))


def test_two_openings_of_a_file_that_changed_between(tree, content):
    read(content, LARGE)
    touch(tree / LARGE)
    with pytest.raises(VerificationFailed) as caught, content.open(LARGE):
        pass
    assert caught.value.code == "file-changed-while-read"


# -- match ---------------------------------------------------------------------------------------


def test_what_was_opened_is_compared_and_nothing_else(tree, content):
    read(content, "config.json")
    spoiled = {**FILES, LARGE: b"other content of a file that nobody read"}
    content.match(manifest_of(spoiled))
    refused(DigestMismatch, "file-changed", content.match, manifest_of(spoiled), content.names)


def test_match_by_every_algorithm(content):
    for name in content.names:
        read(content, name)
    for algorithm in HashAlgorithm:
        content.match(manifest_of(FILES, algorithm.value))


def test_every_fault_is_told(content):
    for name in content.names:
        read(content, name)
    spoiled = {**FILES, LARGE: b"x", "config.json": b"y"}
    del spoiled["empty.bin"]
    error = refused(DigestMismatch, "file-changed", content.match, manifest_of(spoiled))
    told = {each.where: each.message for each in (error, *error.also)}
    assert set(told) == {LARGE, "config.json", "empty.bin"}
    assert "not in the signature" in told["empty.bin"]
    assert "differs" in told[LARGE]


def test_a_file_that_the_manifest_does_not_know(tree):
    (tree / "extra.py").write_bytes(b"import os")
    content = ArtifactContent(list_files(tree))
    read(content, "extra.py")
    error = refused(DigestMismatch, "file-changed", content.match, manifest_of(FILES))
    assert error.where == "extra.py"


def test_asking_for_a_file_that_is_not_listed(content):
    with pytest.raises(KeyError):
        content.match(manifest_of(FILES), ["nothing"])


@pytest.mark.parametrize("restored", [False, True])
def test_content_that_changed_after_it_was_read(tree, content, restored):
    """Benign bytes while scanning, others while hashing; or the other way about."""
    path = tree / "config.json"
    if restored:
        path.write_bytes(b'{"hidden": 9}\n')
        read(content, "config.json")
        path.write_bytes(FILES["config.json"])
    else:
        read(content, "config.json")
        path.write_bytes(b'{"hidden": 9}\n')
    touch(path)
    with pytest.raises(VerificationFailed):
        content.match(manifest_of(FILES))


def test_a_file_that_vanished_after_it_was_read(tree, content):
    read(content, "config.json")
    (tree / "config.json").unlink()
    with pytest.raises((VerificationFailed, Unavailable)) as caught:
        content.match(manifest_of(FILES))
    assert caught.value.where == "config.json"


def test_a_file_that_was_replaced_by_an_equal_one_with_the_same_time(tree, content):
    path = tree / "config.json"
    read(content, "config.json")
    info = path.stat()
    (tree / "new").write_bytes(FILES["config.json"])
    os.replace(tree / "new", path)
    os.utime(path, ns=(info.st_atime_ns, info.st_mtime_ns))
    with pytest.raises(VerificationFailed):
        content.match(manifest_of(FILES))


def test_byte_ranges_have_no_digests_of_files(content):
    manifest = manifest_of(FILES)
    manifest.ranges = array("Q", [0, 1] * len(manifest))
    with pytest.raises(ValueError, match="ranges"):
        content.match(manifest)


# -- manifest ------------------------------------------------------------------------------------


def test_the_manifest_of_what_lies_there(content):
    made, expected = content.manifest(), manifest_of(FILES)
    assert made.names == expected.names
    assert made.tree_digest() == expected.tree_digest()
    assert made.root() == expected.root()


def test_the_manifest_of_a_tree_that_changed(tree, content):
    (tree / LARGE).write_bytes(b"longer " * 1000)
    error = refused(VerificationFailed, "file-changed-while-read", content.manifest)
    assert error.where == LARGE


def test_the_manifest_after_a_file_was_read_and_changed(tree, content):
    read(content, "config.json")
    touch(tree / "config.json")
    refused(VerificationFailed, "file-changed-while-read", content.manifest)


@unprivileged
def test_a_file_that_cannot_be_read(tree, content):
    (tree / LARGE).chmod(0)
    refused(Unavailable, "file-unreadable", content.manifest)


# -- one file by its path ------------------------------------------------------------------------


def test_open_source(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    with open_source(tmp_path / "f", "header") as source:
        assert (source.size, source.read(1, 2)) == (3, b"bc")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("absent", "file-missing"),
        ("dangling", "file-missing"),
        ("folder", "not-a-file"),
        ("fifo", "not-a-file"),
        ("loop", "file-unreadable"),
    ],
)
def test_open_source_on_what_is_no_file(tmp_path, kind, code):
    path = tmp_path / "f"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind in ("dangling", "loop"):
        path.symlink_to("nowhere" if kind == "dangling" else "f")
    with pytest.raises(Unavailable) as caught, open_source(path, "header"):
        pass
    assert caught.value.code == code
    assert caught.value.where == str(path)


def test_open_source_closes(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    with open_source(tmp_path / "f", "header") as source:
        descriptor = source.descriptor
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)
