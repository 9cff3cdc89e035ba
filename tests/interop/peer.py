"""The reference implementation, ``model_signing`` 1.1.1, in an environment of its own.

``make test`` and ``make interop`` set it up and name it in ``ATTEST_PEERS``.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
VERSION = "1.1.1"

_SIGN = """
import pathlib, sys
import model_signing
model, signature, key, algorithm, method = sys.argv[1:]
hashing = model_signing.hashing.Config()
if method == "shards":
    hashing.use_shard_serialization(hashing_algorithm=algorithm, shard_size=1000)
else:
    hashing.use_file_serialization(hashing_algorithm=algorithm)
hashing.set_ignored_paths(paths=[signature])
config = model_signing.signing.Config()
config.use_elliptic_key_signer(private_key=pathlib.Path(key))
config.set_hashing_config(hashing).sign(pathlib.Path(model), pathlib.Path(signature))
"""

_VERIFY = """
import pathlib, sys
import model_signing
model, signature, key, algorithm = sys.argv[1:]
hashing = model_signing.hashing.Config()
hashing.use_file_serialization(hashing_algorithm=algorithm)
hashing.set_ignored_paths(paths=[signature])
config = model_signing.verifying.Config()
config.use_elliptic_key_verifier(public_key=pathlib.Path(key))
config.set_hashing_config(hashing).verify(pathlib.Path(model), pathlib.Path(signature))
"""


@dataclass(frozen=True)
class Peer:
    """Its command line and its Python."""

    folder: Path

    def run(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        """``model_signing ARGS``."""
        return self._call([str(self.folder / "model_signing"), *map(str, args)])

    def accepts(self, *args: str | Path) -> None:
        """The command succeeds."""
        done = self.run(*args)
        assert done.returncode == 0, done.stdout + done.stderr

    def refuses(self, *args: str | Path) -> None:
        """The command fails, and not because it was misused."""
        done = self.run(*args)
        assert done.returncode == 1, done.stdout + done.stderr

    def sign_through_api(
        self, model: Path, signature: Path, key: Path, algorithm: str, method: str
    ) -> None:
        """What its command line has no options for."""
        arguments = [str(each) for each in (model, signature, key)]
        done = self._call([str(self.folder / "python"), "-c", _SIGN, *arguments, algorithm, method])
        assert done.returncode == 0, done.stderr

    def verify_through_api(self, model: Path, signature: Path, key: Path, algorithm: str) -> bool:
        """Its command line always hashes with SHA-256 when it verifies."""
        arguments = [str(each) for each in (model, signature, key)]
        done = self._call([str(self.folder / "python"), "-c", _VERIFY, *arguments, algorithm])
        assert done.returncode == 0 or "Signature mismatch" in done.stderr, done.stderr
        return done.returncode == 0

    def _call(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        kept = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR") if key in os.environ}
        return subprocess.run(command, capture_output=True, text=True, timeout=120, env=kept)


def find_peer() -> Peer:
    """The peer, or a skip that says how to get it."""
    named = os.environ.get("ATTEST_PEERS")
    for folder in (Path(named) if named else None, _ROOT / ".venv-peers" / "bin"):
        if folder is not None and (folder / "model_signing").exists():
            return Peer(folder)
    pytest.skip("model_signing is not here (`make interop` sets it up)")
