"""Verification needs no network: shown with the network taken away, not merely claimed."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys

import pytest

from attest.flow.sign import sign_artifact
from attest.verdict import Outcome
from tests.cli.support import command, environment
from tests.support.forge import signer, verify

UNSHARE = ["unshare", "--net", "--map-root-user"]


def unshared(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*UNSHARE, *args], env=environment(), capture_output=True, text=True, timeout=60
    )


@pytest.fixture(scope="module")
def without_network():
    """Skips where the kernel does not let us have a network of our own."""
    if shutil.which("unshare") is None or unshared("true").returncode != 0:
        pytest.skip("unshare --net is not permitted here")
    probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    assert "unreachable" in unshared(sys.executable, "-c", probe).stderr


def test_verifies_with_the_network_removed(signed, tmp_path, without_network):
    (tmp_path / "release.pub").write_bytes(signer().public_key.pem)
    line = command("verify", signed, "--key", tmp_path / "release.pub")
    done = unshared(*line)
    assert done.returncode == 0, done.stderr


def test_signs_with_the_network_removed(tree, tmp_path, without_network):
    (tmp_path / "release.key").write_bytes(signer().to_pem(None))
    done = unshared(*command("sign", tree, "--key", tmp_path / "release.key"))
    assert done.returncode == 0, done.stderr
    assert verify(tree).outcome is Outcome.PASS


def test_sigstore_bundle_verifies_with_the_network_removed(without_network):
    pytest.importorskip("sigstore", reason="the extra 'sigstore' is not installed")
    from tests.support.fixtures import fixture

    golden = fixture("oms", "mt", "golden", "signing", "custom_trust_config.json")
    who = ["--identity", "stefanb@us.ibm.com"]
    issuer = ["--issuer", "https://sigstore.verify.ibm.com/oauth2", "--trusted-root", str(golden)]
    folder = fixture("oms", "mt", "v1.0.0-sigstore")
    done = unshared(*command("verify", folder, "--sigstore", *who, *issuer))
    assert done.returncode == 0, done.stderr


def test_no_socket_is_ever_made(tree, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    sign_artifact(tree, [signer()])
    assert verify(tree).outcome is Outcome.PASS
