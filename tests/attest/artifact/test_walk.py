"""Listing a tree: order, links, and what is no plain file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from attest import limits
from attest.artifact import walk
from attest.artifact.walk import Listing, list_files
from attest.errors import MalformedInput, TooLarge, Unavailable
from tests.support.forge import FILES, make_tree


def problems(listing: Listing) -> dict[str, str]:
    return {problem.name: problem.code for problem in listing.problems}


def test_files_come_in_code_point_order_of_their_whole_names(tmp_path):
    names = ["a/z", "a-b", "a.b", "a0", "a/b/c", "a/b-c", "Z", "z/\U0001f600", "z/\uffff", "a b"]
    listing = list_files(make_tree(tmp_path / "t", dict.fromkeys(names, b"")))
    assert listing.names == sorted(names)


def test_sizes_and_identity_are_those_of_the_files(tmp_path):
    folder = make_tree(tmp_path / "t")
    listing = list_files(folder)
    for at, name in enumerate(listing.names):
        info = (folder / name).stat()
        assert listing.sizes[at] == info.st_size == len(FILES[name])
        assert (listing.devices[at], listing.inodes[at]) == (info.st_dev, info.st_ino)


def test_empty_folders_hold_nothing(tmp_path):
    (tmp_path / "t/a/b").mkdir(parents=True)
    assert list_files(tmp_path / "t").names == []


def test_skipped_folder_is_not_entered(tmp_path):
    folder = make_tree(tmp_path / "t", {"skip/x": b"", "keep": b""})
    (folder / "skip/link").symlink_to("/etc")
    listing = list_files(folder, skip=lambda name: name == "skip")
    assert (listing.names, listing.problems) == (["keep"], [])


def test_hard_link_is_a_file(tmp_path):
    folder = make_tree(tmp_path / "t", {"a": b"x"})
    os.link(folder / "a", folder / "b")
    assert list_files(folder).names == ["a", "b"]


def test_links_by_default_are_problems_and_not_followed(tmp_path):
    folder = make_tree(tmp_path / "t", {"d/x": b""})
    (folder / "file").symlink_to("d/x")
    (folder / "folder").symlink_to("d")
    (folder / "broken").symlink_to("nowhere")
    (folder / "outside").symlink_to("/etc")
    listing = list_files(folder)
    assert listing.names == ["d/x"]
    assert set(problems(listing).values()) == {"symlink-refused"}
    assert len(listing.problems) == 4


def test_followed_links_stay_inside(tmp_path):
    folder = make_tree(tmp_path / "t", {"d/x": b"12"})
    make_tree(tmp_path / "t-beside", {"secret": b""})
    (folder / "file").symlink_to("d/x")
    (folder / "folder").symlink_to(folder / "d")
    (folder / "broken").symlink_to("nowhere")
    (folder / "outside").symlink_to("/etc")
    (folder / "beside").symlink_to(tmp_path / "t-beside")
    (folder / "d/up").symlink_to("..")
    (folder / "self").symlink_to("self")
    listing = list_files(folder, follow_symlinks=True)
    assert listing.names == ["d/x", "file", "folder/x"]
    assert problems(listing) == {
        "beside": "symlink-outside",
        "broken": "symlink-broken",
        "d/up": "symlink-loop",
        "folder/up": "symlink-loop",
        "outside": "symlink-outside",
        "self": "symlink-broken",
    }


def test_link_to_a_device_inside_nothing(tmp_path):
    folder = make_tree(tmp_path / "t", {})
    os.mkfifo(folder / "pipe")
    (folder / "link").symlink_to("pipe")
    listing = list_files(folder, follow_symlinks=True)
    assert problems(listing) == {"link": "special-file", "pipe": "special-file"}


def test_root_may_be_a_link(tmp_path):
    make_tree(tmp_path / "t", {"x": b""})
    (tmp_path / "link").symlink_to("t")
    assert list_files(tmp_path / "link").names == ["x"]


def test_names_that_are_not_utf8(tmp_path):
    folder = make_tree(tmp_path / "t", {"good": b""})
    (folder / os.fsdecode(b"file\xff")).write_bytes(b"")
    (folder / os.fsdecode(b"dir\xfe")).mkdir()
    (folder / os.fsdecode(b"dir\xfe") / "inner").write_bytes(b"")
    listing = list_files(folder)
    assert listing.names == ["good"]
    assert set(problems(listing).values()) == {"name-not-utf8"}
    assert len(listing.problems) == 2


def test_too_deep(tmp_path):
    folder = tmp_path / "t"
    folder.mkdir()
    handle = os.open(folder, os.O_RDONLY)
    for _ in range(limits.MAX_TREE_DEPTH + 3):
        os.mkdir("d", dir_fd=handle)
        inner = os.open("d", os.O_RDONLY, dir_fd=handle)
        os.close(handle)
        handle = inner
    os.close(handle)
    assert set(problems(list_files(folder)).values()) == {"too-deep"}


def test_links_that_double_at_every_level_are_bounded(tmp_path, monkeypatch):
    """2^40 folders from 40: each holds two links to the next."""
    folder = tmp_path / "t"
    for level in range(40):
        (folder / f"d{level}").mkdir(parents=True)
        for link in "ab":
            (folder / f"d{level}/{link}").symlink_to(f"../d{level + 1}")
    make_tree(folder, {"d40/x": b""})
    monkeypatch.setattr(limits, "MAX_MANIFEST_ENTRIES", 500)
    with pytest.raises(TooLarge):
        list_files(folder, follow_symlinks=True)


def test_folder_swapped_for_a_link_while_walking_is_not_followed(tmp_path, monkeypatch):
    folder = make_tree(tmp_path / "t", {"d/x": b""})
    make_tree(tmp_path / "evil", {"x": b""})
    honest = walk._Walker._enter

    def enter(self, parent, name, relative):
        (folder / "d").rename(tmp_path / "moved")
        (folder / "d").symlink_to(tmp_path / "evil")
        return honest(self, parent, name, relative)

    monkeypatch.setattr(walk._Walker, "_enter", enter)
    listing = list_files(folder)
    assert listing.names == []
    assert problems(listing) == {"d": "file-unreadable"}


def test_file_that_vanishes_while_walking(tmp_path, monkeypatch):
    folder = make_tree(tmp_path / "t", {"x": b""})
    honest = walk._Walker._file

    def file(self, entry, relative):
        (folder / "x").unlink()
        return honest(self, entry, relative)

    monkeypatch.setattr(walk._Walker, "_file", file)
    (problem,) = list_files(folder).problems
    assert (problem.code, problem.unreadable) == ("file-unreadable", True)


def test_nothing_there(tmp_path):
    with pytest.raises(Unavailable):
        list_files(tmp_path / "nothing")


def test_special_root():
    with pytest.raises(MalformedInput) as caught:
        list_files(Path("/dev/null"))
    assert caught.value.code == "special-file"


def test_handles_are_closed(tmp_path):
    folder = make_tree(tmp_path / "t")
    before = len(os.listdir("/proc/self/fd"))
    for follow in (False, True):
        list_files(folder, follow_symlinks=follow)
    assert len(os.listdir("/proc/self/fd")) == before
