"""Names with a meaning."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.artifact.names import (
    artifact_name,
    covering_path,
    default_claims,
    default_signature,
    normalise_ignored,
    relative_inside,
)


def test_defaults(tmp_path):
    (tmp_path / "model").mkdir()
    assert default_signature(tmp_path / "model", envelope=False) == tmp_path / "model/model.sig"
    assert default_signature(tmp_path / "model", envelope=True).name == "model.dsse.json"
    assert default_signature(Path("fw.bin"), envelope=False) == Path("fw.bin.sig")
    assert default_claims(Path("x/model")) == Path("x/model.claims.jsonl")


def test_dot_has_the_name_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert artifact_name(Path(".")) == tmp_path.name
    assert default_claims(Path(".")) == tmp_path.with_name(tmp_path.name + ".claims.jsonl")


def test_inside(tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m2").mkdir()
    (tmp_path / "link").symlink_to("m")
    assert relative_inside(tmp_path / "m", tmp_path / "m/x/../model.sig") == "model.sig"
    assert relative_inside(tmp_path / "m", tmp_path / "link/model.sig") == "model.sig"
    assert relative_inside(tmp_path / "m", tmp_path / "m2/model.sig") is None
    assert relative_inside(tmp_path / "m", tmp_path / "m.sig") is None


def test_ignored_paths_have_one_spelling():
    assert normalise_ignored(["./b/", "a", "a/", "./a"]) == ("a", "b")


@pytest.mark.parametrize(
    "path", ["", ".", "./", "/", "/a", "..", "../a", "a/..", "a/./b", "a//b", "././a"]
)
def test_ignored_paths_that_lead_astray(path):
    with pytest.raises(ValueError, match="inside the artifact"):
        normalise_ignored([path])


@pytest.mark.parametrize(
    ("name", "paths", "covering"),
    [
        ("a", ["a"], "a"),
        ("a/b", ["a"], "a"),
        ("a/b", ["a/"], "a/"),
        ("ab", ["a"], None),
        ("a", ["a/b"], None),
        ("x", ["."], "."),
        ("x", ["./"], "./"),
        ("x", [""], ""),
        ("A", ["a"], None),
    ],
)
def test_covering(name, paths, covering):
    assert covering_path(name, paths) == covering
