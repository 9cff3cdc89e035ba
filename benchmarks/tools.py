"""The command lines that are measured: ours, OpenSSL's and model_signing's."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import ROOT, Action, Cost, run
from benchmarks.workspace import Workspace

CORES = len(os.sched_getaffinity(0))


def attest_command() -> list[str]:
    """The installed command beside this Python, as users start it; else the module."""
    installed = Path(sys.executable).with_name("attest")
    return [str(installed)] if installed.exists() else [sys.executable, "-m", "attest_cli"]


def openssl() -> str | None:
    return shutil.which("openssl")


def model_signing(folder: Path) -> str | None:
    """The command of the peers' environment, whose ``bin`` is ``folder``."""
    found = ROOT / folder / "model_signing"
    return str(found) if found.exists() else None


def probe(name: str, path: Path) -> Action:
    """One of :mod:`benchmarks.probe`; its times are those of the inner loop."""
    return lambda: run([sys.executable, "-m", "benchmarks.probe", name, path], timed_inside=True)


def openssl_one(path: Path) -> Action:
    return lambda: run(["openssl", "dgst", "-sha256", path])


def openssl_all(root: Path) -> Action:
    """As many processes at a time as there are processors, one file each."""
    script = f'find "$1" -type f -print0 | xargs -0 -n 1 -P {CORES} openssl dgst -sha256'
    return lambda: run(["sh", "-c", script, "sh", root])


@dataclass(frozen=True, slots=True)
class Keys:
    """One key pair, used by all signers: P-256, which every OMS tool reads."""

    private: Path
    public: Path


def make_keys(workspace: Workspace) -> Keys:
    name = workspace.path("release")
    run([*attest_command(), "keygen", name, "--quiet"])
    return Keys(name.with_suffix(".key"), name.with_suffix(".pub"))


@dataclass(frozen=True, slots=True)
class Signing:
    """Sign and verify one artifact with our command."""

    keys: Keys
    path: Path
    signature: Path

    def sign(self, *options: str) -> Action:
        return self._run("sign", "--key", self.keys.private, *options)

    def verify(self, *options: str) -> Action:
        return self._run("verify", "--key", self.keys.public, *options)

    def _run(self, verb: str, *options: str | Path) -> Action:
        common = ("--signature", self.signature, "--quiet", *options)
        return lambda: run([*attest_command(), verb, self.path, *common])


@dataclass(frozen=True, slots=True)
class PeerSigning:
    """The same with model_signing's command."""

    command: str
    keys: Keys
    path: Path
    signature: Path

    def sign(self) -> Cost:
        return self._run("sign", "--private_key", self.keys.private)

    def verify(self) -> Cost:
        return self._run("verify", "--public_key", self.keys.public)

    def _run(self, verb: str, option: str, key: Path) -> Cost:
        common = ("--signature", self.signature, option, key)
        return run([self.command, verb, "key", self.path, *common])
