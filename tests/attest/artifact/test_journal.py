"""The journal of an interrupted run: used only where nobody else could have written it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from attest.artifact.journal import Journal
from attest.digest import HashAlgorithm
from attest.errors import Unavailable
from tests.support.forge import make_tree

DIGEST = bytes(range(32))


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "model", {"a": b"1", "b": b"2"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def open_(path: Path, tree: Path, algorithm=HashAlgorithm.SHA256, chunks: bool = True) -> Journal:
    return Journal(path, tree, algorithm, chunk_digests=chunks)


@pytest.fixture
def filled(path: Path, tree: Path) -> Path:
    with open_(path, tree) as journal:
        journal.note("a", (tree / "a").stat(), DIGEST, b"")
        journal.note("b", (tree / "b").stat(), DIGEST, DIGEST)
    return path


def found(path: Path, tree: Path, **more) -> set[str]:
    with open_(path, tree, **more) as journal:
        return {n for n in ("a", "b") if journal.find(n, (tree / n).stat()) is not None}


def test_remembers(filled, tree):
    with open_(filled, tree) as journal:
        assert journal.find("a", (tree / "a").stat()) == (DIGEST, b"")
        assert journal.find("b", (tree / "b").stat()) == (DIGEST, DIGEST)
        assert journal.reused == 2


def test_is_private_from_the_start(filled):
    assert filled.stat().st_mode & 0o777 == 0o600


def test_changed_content(filled, tree):
    (tree / "a").write_bytes(b"x")
    assert found(filled, tree) == {"b"}


def test_changed_times_only(filled, tree):
    info = (tree / "a").stat()
    os.utime(tree / "a", ns=(info.st_atime_ns, info.st_mtime_ns + 1))
    assert found(filled, tree) == {"b"}


def test_restored_modification_time_does_not_help(filled, tree):
    """The change time cannot be set back without setting the clock back."""
    info = (tree / "a").stat()
    (tree / "a").write_bytes(b"x")
    os.utime(tree / "a", ns=(info.st_atime_ns, info.st_mtime_ns))
    assert found(filled, tree) == {"b"}


def test_other_file_of_the_same_name(filled, tree):
    info = (tree / "a").stat()
    (tree / "new").write_bytes(b"x")
    os.utime(tree / "new", ns=(info.st_atime_ns, info.st_mtime_ns))
    os.replace(tree / "new", tree / "a")
    assert found(filled, tree) == {"b"}


@pytest.mark.parametrize("more", [{"algorithm": HashAlgorithm.SHA512}, {"chunks": False}], ids=str)
def test_of_another_kind_of_run(filled, tree, more):
    assert found(filled, tree, **more) == set()


def test_of_another_artifact(filled, tree, tmp_path):
    other = make_tree(tmp_path / "other", {"a": b"1", "b": b"2"})
    assert found(filled, other) == set()


def test_of_another_version(filled, tree):
    lines = filled.read_text().splitlines()
    header = json.loads(lines[0])
    header[0] = "attest-sign-journal-v0"
    filled.write_text("\n".join([json.dumps(header), *lines[1:]]) + "\n")
    assert found(filled, tree) == set()


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_torn_tail_is_dropped(filled, tree, cut):
    whole = filled.read_bytes()
    filled.write_bytes(whole[:-cut])
    assert found(filled, tree) == {"a"}
    assert found(filled, tree) == {"a"}
    with open_(filled, tree) as journal:
        journal.note("b", (tree / "b").stat(), DIGEST, DIGEST)
    assert filled.read_bytes() == whole


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        "{}",
        "null",
        '["a",1,2,3,4,5,"00",""]',
        '["a",1,2,3,4,5,6,7]',
        '["a",1.5,2,3,4,5,"%s",""]' % ("00" * 32),
        '["a",true,2,3,4,5,"%s",""]' % ("00" * 32),
        '[["a"],1,2,3,4,5,"%s",""]' % ("00" * 32),
        '[{"a":1},1,2,3,4,5,"%s",""]' % ("00" * 32),
        '["a",1,2,3,4,5,"%s","00"]' % ("00" * 32),
        '["a",1,2,3,4,5,"%s","zz"]' % ("00" * 32),
        "[" * 2000,
        "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"),
    ],
)
def test_nothing_after_a_damaged_line_is_believed(filled, tree, line):
    first, *rest = filled.read_bytes().splitlines(keepends=True)
    filled.write_bytes(first + line.encode("latin-1") + b"\n" + b"".join(rest))
    assert found(filled, tree) == set()


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602, 0o640, 0o777])
def test_that_others_may_touch(filled, tree, mode):
    filled.chmod(mode)
    with pytest.raises(Unavailable) as caught:
        open_(filled, tree)
    assert caught.value.code == "unsafe-journal"


def test_with_a_second_name(filled, tree, tmp_path):
    os.link(filled, tmp_path / "second")
    with pytest.raises(Unavailable) as caught:
        open_(filled, tree)
    assert caught.value.code == "unsafe-journal"


def test_that_is_a_link(filled, tree, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(filled)
    with pytest.raises(Unavailable):
        open_(link, tree)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_of_another_user(filled, tree):
    os.chown(filled, 12345, -1)
    with pytest.raises(Unavailable) as caught:
        open_(filled, tree)
    assert caught.value.code == "unsafe-journal"


def test_that_is_a_fifo_or_folder(tree, tmp_path):
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(Unavailable):
            open_(tmp_path / name, tree)


def test_names_of_every_kind(path, tree):
    names = ["new\nline", 'quo"te', "\N{SNOWMAN}", "\U0001f600", "back\\slash"]
    make_tree(tree, dict.fromkeys(names, b"x"))
    with open_(path, tree) as journal:
        for name in names:
            journal.note(name, (tree / name).stat(), DIGEST, b"")
    with open_(path, tree) as journal:
        for name in names:
            assert journal.find(name, (tree / name).stat()) == (DIGEST, b"")


def test_discarded(filled, tree):
    with open_(filled, tree) as journal:
        journal.discard()
    assert not filled.exists()


def test_handle_is_closed_after_a_refusal(filled, tree):
    filled.chmod(0o644)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(Unavailable):
        open_(filled, tree)
    assert len(os.listdir("/proc/self/fd")) == before


def test_two_runs_at_once(filled, tree):
    with open_(filled, tree), pytest.raises(Unavailable) as refused:
        open_(filled, tree)
    assert refused.value.code == "journal-in-use"
    with open_(filled, tree):
        pass
