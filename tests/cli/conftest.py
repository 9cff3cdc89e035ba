"""Fixtures of the command line's tests: a place to work, a model, a key pair."""

from __future__ import annotations

from pathlib import Path

import pytest

from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, generate
from tests.cli.support import attest, make_model


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, with a state directory of its own elsewhere."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


@pytest.fixture
def model(here: Path) -> Path:
    """``model/`` in the working directory, unsigned."""
    make_model(here)
    return Path("model")


@pytest.fixture
def key(here: Path) -> LocalSigner:
    """``release.key`` and ``release.pub`` in the working directory."""
    signer = generate(KeyAlgorithm.ECDSA_P256)
    (here / "release.key").write_bytes(signer.to_pem(None))
    (here / "release.pub").write_bytes(signer.public_key.pem)
    return signer


@pytest.fixture
def signed(model: Path, key: LocalSigner) -> Path:
    """``model/``, signed with ``release.key``."""
    assert attest("sign", model, "--key", "release.key").code == 0
    return model
