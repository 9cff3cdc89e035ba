"""A signed tree and a signed file, fresh for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.flow.sign import sign_artifact
from tests.support.forge import make_tree, signer


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An unsigned tree."""
    return make_tree(tmp_path / "model")


@pytest.fixture
def signed(tree: Path) -> Path:
    """The tree, signed by the cached P-256 key with the product itself."""
    sign_artifact(tree, [signer()])
    return tree


@pytest.fixture
def firmware(tmp_path: Path) -> Path:
    """One signed file."""
    path = tmp_path / "fw.bin"
    path.write_bytes(b"firmware " * 100)
    sign_artifact(path, [signer()])
    return path
