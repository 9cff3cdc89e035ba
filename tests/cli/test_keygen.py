"""``attest keygen``: what it writes, with which rights, and when it writes nothing."""

from __future__ import annotations

import hashlib
import os
import pty
import stat
import subprocess
from pathlib import Path

import pytest

from attest.crypto.keys import load_private_key, load_public_key
from attest_cli.commands.keygen import ALGORITHMS
from tests.cli.support import attest, attest_process, command, environment, snapshot, unchanged


def test_the_offered_algorithms_are_the_library_s():
    from attest.crypto.algorithms import KeyAlgorithm

    assert set(ALGORITHMS) == {algorithm.value for algorithm in KeyAlgorithm}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_makes_a_pair_that_belongs_together(here: Path, algorithm: str):
    ran = attest("keygen", "release", "--algorithm", algorithm)
    assert ran.code == 0
    private = load_private_key(Path("release.key").read_bytes(), None)
    public = load_public_key(Path("release.pub").read_bytes())
    assert private.public_key == public
    assert public.algorithm == algorithm
    assert sorted(os.listdir()) == ["release.key", "release.pub"]


def test_the_fingerprint_is_what_sha256sum_prints(here: Path):
    ran = attest("keygen", "release", "--json")
    fingerprint = hashlib.sha256(Path("release.pub").read_bytes()).hexdigest()
    assert ran.report["subject"]["fingerprint"] == fingerprint
    assert ran.report["schema"] == "urn:attest-toolkit:keygen:v1"
    assert ran.report["outcome"] == "pass"
    assert fingerprint in attest("inspect", "release.pub").out


@pytest.mark.parametrize("umask", [0o022, 0o000])
def test_only_the_owner_can_read_the_private_key(here: Path, umask: int):
    before = os.umask(umask)
    try:
        assert attest("keygen", "release").code == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(Path("release.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("release.pub").stat().st_mode) == 0o644


@pytest.mark.parametrize("existing", ["release.key", "release.pub"])
@pytest.mark.parametrize("kind", ["file", "dangling link"])
def test_nothing_is_overwritten_and_nothing_written(here: Path, existing: str, kind: str):
    if kind == "file":
        Path(existing).write_text("precious")
    else:
        Path(existing).symlink_to("nowhere")
    listed = sorted(os.listdir())
    with unchanged(here):
        ran = attest("keygen", "release", "--json")
    assert ran.code == 3
    assert ran.codes == {"already-exists"}
    assert ran.report["findings"][0]["where"] == existing
    assert sorted(os.listdir()) == listed


def test_a_second_file_that_cannot_be_written_takes_the_first_with_it(
    here: Path, monkeypatch: pytest.MonkeyPatch
):
    from attest import files
    from attest.errors import Unavailable

    write_new = files.write_new

    def fail_on_public(path: Path, data: bytes, mode: int = 0o600) -> None:
        if path.suffix == ".pub":
            raise Unavailable("no space is left", where=str(path), code="disk-full")
        write_new(path, data, mode)

    monkeypatch.setattr(files, "write_new", fail_on_public)
    assert attest("keygen", "release").code == 3
    assert os.listdir() == []


def test_a_folder_that_is_not_there(here: Path):
    ran = attest("keygen", "nowhere/release", "--json")
    assert ran.code == 3
    assert ran.report["findings"][0]["where"] == "nowhere/release.key"


@pytest.mark.parametrize("name", ["", ".", "/", "..", "a/..", "./"])
def test_a_name_that_is_a_folder_is_a_usage_error(here: Path, name: str):
    ran = attest("keygen", name)
    assert ran.code == 2
    assert "give the name of a key" in ran.err
    assert os.listdir() == []
    assert not (here.parent / "...key").exists()


def test_an_algorithm_given_twice_is_a_usage_error(here: Path):
    ran = attest("keygen", "release", "--algorithm", "p256", "--algorithm", "p384")
    assert ran.code == 2
    assert "--algorithm is given twice" in ran.err
    assert os.listdir() == []


def test_no_secret_is_printed(here: Path):
    secret = "correct horse battery staple"
    Path("secret.txt").write_text(secret + "\n")
    for extra in ([], ["--json"], ["--verbose"]):
        name = f"k{len(extra)}{''.join(extra)}"
        ran = attest("keygen", name, "--passphrase-file", "secret.txt", *extra)
        assert ran.code == 0
        assert secret not in ran.out + ran.err
        assert "PRIVATE" not in ran.out + ran.err


def test_passphrase_from_a_file(here: Path):
    Path("secret.txt").write_bytes(b"two words\n")
    assert attest("keygen", "release", "--passphrase-file", "secret.txt").code == 0
    pem = Path("release.key").read_bytes()
    assert b"ENCRYPTED" in pem
    assert load_private_key(pem, b"two words").public_key


def test_passphrase_from_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELEASE_PASSPHRASE", "two words")
    assert attest("keygen", "release", "--passphrase-env", "RELEASE_PASSPHRASE").code == 0
    assert load_private_key(Path("release.key").read_bytes(), b"two words").public_key


@pytest.mark.parametrize(
    "args",
    [
        ["--passphrase-file", "empty.txt"],
        ["--passphrase-file", "missing.txt"],
        ["--passphrase-env", "ATTEST_TEST_NOT_SET"],
    ],
)
def test_a_passphrase_that_is_not_there_writes_nothing(here: Path, args: list[str]):
    Path("empty.txt").write_text("\n")
    ran = attest("keygen", "release", *args)
    assert ran.code == 3
    assert set(snapshot(here)) == {"empty.txt"}


def test_a_passphrase_has_one_source(here: Path):
    ran = attest("keygen", "release", "--passphrase-file", "a", "--passphrase-env", "B")
    assert ran.code == 2
    ran = attest("keygen", "release", "--passphrase", "--passphrase-file", "a")
    assert ran.code == 2
    assert os.listdir() == []


def test_no_terminal_to_ask_on(here: Path):
    ran = attest_process("keygen", "release", "--passphrase", cwd=here)
    assert ran.code == 3
    assert "--passphrase-file" in ran.err
    assert os.listdir() == []


END = b"\x04"
"""Ctrl-D."""


def typed(here: Path, *lines: bytes) -> int:
    """Exit code of ``attest keygen release --passphrase`` with ``lines`` typed on a terminal."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command("keygen", "release", "--passphrase")],
        cwd=here,
        env=environment(),
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    seen = b""
    for line in lines:
        while not seen.endswith(b": "):
            seen += os.read(leader, 1024)
        os.write(leader, line if line == END else line + b"\n")
        seen += os.read(leader, 1)
    try:
        while piece := os.read(leader, 1024):
            seen += piece
    except OSError:
        pass
    os.close(leader)
    assert not any(line in seen for line in lines if line not in (b"", END)), (
        "the terminal echoed the passphrase"
    )
    return process.wait()


def test_a_passphrase_is_asked_for_twice(here: Path):
    assert typed(here, b"two words", b"two words") == 0
    assert load_private_key(Path("release.key").read_bytes(), b"two words").public_key


def test_two_different_passphrases_write_nothing(here: Path):
    assert typed(here, b"two words", b"other words") == 3
    assert os.listdir() == []


@pytest.mark.parametrize("lines", [[END], [b"two words", END]])
def test_ctrl_d_at_the_passphrase_prompt_is_an_interruption(here: Path, lines: list[bytes]):
    assert typed(here, *lines) == 130
    assert os.listdir() == []


def test_an_empty_typed_passphrase_is_refused(here: Path):
    assert typed(here, b"") == 3
    assert os.listdir() == []
