"""Payloads and manifests of the reference implementation's own test suite.

Their inputs are the models of its ``tests/conftest.py`` (Apache-2.0), built again here.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from attest.artifact.hashing import hash_listed
from attest.artifact.walk import list_files
from attest.codec.oms import parse_oms
from attest.digest import HashAlgorithm
from attest.errors import MalformedInput
from tests.support.fixtures import fixture
from tests.support.forge import digest_of, make_tree, sharded

TEXT = b"This is a simple model"
MODELS: dict[str, dict[str, bytes]] = {
    "sample_model_file": {".": TEXT},
    "empty_model_file": {".": b""},
    "sample_model_folder": {
        **{
            f"d{i}/f{i}{j}": f"This is file f{i}{j} in d{i}.".encode()
            for i in range(2)
            for j in range(3)
        },
        **{f"f{i}": f"This is file f{i} in root.".encode() for i in range(4)},
    },
    "empty_model_folder": {},
    "model_folder_with_empty_file": {"empty_file": b""},
    "deep_model_folder": {f"d0/d1/d2/d3/d4/f{i}": f"This is file f{i}.".encode() for i in range(4)},
    "symlink_model_folder": {"symlink_file": TEXT},
}
SMALL, NORMAL = 8, 1000000


def golden(*parts: str) -> Path:
    return fixture("oms", "mt", "golden", *parts)


def hashed_on_disk(model: str, folder: Path) -> dict[str, str]:
    """Name -> digest as our walk and hashing see the model on disk."""
    files = MODELS[model]
    if "." in files:
        path = folder / "file"
        path.write_bytes(files["."])
    elif model == "symlink_model_folder":
        path = make_tree(folder / "root", {"real": TEXT})
        (path / "symlink_file").symlink_to("real")
    else:
        path = make_tree(folder / "root", files)
    listing = list_files(path, follow_symlinks=True)
    found = hash_listed(listing, range(len(listing.names)), HashAlgorithm.SHA256)
    assert not (found.problems or listing.problems)
    hexed = found.digests.hex()
    digests = {name: hexed[64 * i : 64 * i + 64] for i, name in enumerate(listing.names)}
    digests.pop("real", None)
    return {"." if listing.single else name: digest for name, digest in digests.items()}


@pytest.mark.parametrize("model", MODELS)
def test_serialized_files(model, tmp_path):
    text = golden("serialization", "file", "TestSerializer", model).read_text()
    listed = dict(line.rsplit(":", 1) for line in text.splitlines())
    assert hashed_on_disk(model, tmp_path) == listed


@pytest.mark.parametrize("suffix", ["", "_small_shards"])
@pytest.mark.parametrize("model", MODELS)
def test_serialized_shards(model, suffix):
    text = golden("serialization", "file_shard", "TestSerializer", model + suffix).read_text()
    listed = {
        found[1]: found[2]
        for line in text.splitlines()
        if (found := re.fullmatch(r"(.+:\d+:\d+):([0-9a-f]{64})", line))
    }
    ours = sharded(MODELS[model], SMALL if suffix else NORMAL)
    assert {entry["name"]: entry["digest"] for entry in ours} == listed


@pytest.mark.parametrize("suffix", ["", "_shard", "_small_shards"])
@pytest.mark.parametrize("model", MODELS)
def test_payload(model, suffix):
    data = golden("signing", "signing", "TestPayload", model + suffix).read_bytes()
    files = MODELS[model]
    covered = files if not suffix else {name: data for name, data in files.items() if data}
    if not covered:
        with pytest.raises(MalformedInput) as caught:
            parse_oms(data)
        assert caught.value.code == "no-resources"
        return
    statement = parse_oms(data)
    manifest = statement.manifest
    assert statement.allow_symlinks
    assert statement.subject.digests["sha256"] == manifest.root().hex
    assert set(manifest.names) == set(covered)
    if not suffix:
        for index, name in enumerate(manifest.names):
            assert manifest.digest(index).hex() == digest_of(files[name])
        return
    assert manifest.ranges is not None
    for index, name in enumerate(manifest.names):
        start, end = manifest.ranges[2 * index], manifest.ranges[2 * index + 1]
        assert manifest.digest(index).hex() == digest_of(files[name][start:end])
