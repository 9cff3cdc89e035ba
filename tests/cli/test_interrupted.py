"""Ctrl-C, SIGTERM and a full disk: exit code, words, and nothing half-written."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from attest.crypto.keys import LocalSigner
from tests.cli.support import Ran, attest, attest_process, command, environment, snapshot

GIB = 1 << 30


@pytest.fixture
def huge(here: Path, key: LocalSigner) -> Path:
    """A directory that takes longer to hash than a test waits: sparse files of 64 GiB."""
    Path("huge").mkdir()
    for number in range(4):
        with open(f"huge/part-{number}.bin", "wb") as file:
            file.truncate(16 * GIB)
    return Path("huge")


def wait_until_hashing(process: subprocess.Popen[str]) -> None:
    """Until one of the huge files is open."""
    descriptors = Path(f"/proc/{process.pid}/fd")
    while process.poll() is None:
        with contextlib.suppress(OSError):
            if any(".bin" in os.readlink(each) for each in descriptors.iterdir()):
                return
        time.sleep(0.02)


def listing(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("verb", ["sign", "verify"])
def test_interrupted(huge: Path, here: Path, verb: str, number: signal.Signals):
    if verb == "verify":  # any signature that verifies and lists the files
        sums = "".join(f"{'0' * 64}  part-{n}.bin\n" for n in range(4))
        Path("sums").write_text(sums)
        assert attest("sign", huge, "--key", "release.key", "--digests", "sums").code == 0
    before = listing(here)
    key = "release.key" if verb == "sign" else "release.pub"
    process = subprocess.Popen(
        command(verb, huge, "--key", key, "--json"),
        cwd=here,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until_hashing(process)
    process.send_signal(number)
    try:
        out, err = process.communicate(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in err
    report = json.loads(out)
    assert report["outcome"] == "error"
    assert report["findings"][0]["code"] == "interrupted"
    assert listing(here) == before


def test_a_killed_run_can_be_resumed(here: Path, key: LocalSigner, tmp_path: Path):
    Path("huge").mkdir()
    for name, size in (("endless", 64 * GIB), ("one", GIB // 2), ("two", GIB // 2)):
        with open(f"huge/{name}.bin", "wb") as file:
            file.truncate(size)
    line = ("sign", "huge", "--key", "release.key", "--resume", "--no-chunk-digests")
    journals = tmp_path / "state" / "attest" / "journals"
    process = subprocess.Popen(
        command(*line), cwd=here, env=environment(XDG_STATE_HOME=str(tmp_path / "state"))
    )
    deadline = time.monotonic() + 60
    while not any(b"one.bin" in content for content in snapshot(journals).values()):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not Path("huge/model.sig").exists()
    Path("huge/endless.bin").write_bytes(b"short after all")
    ran = attest(*line)
    assert ran.code == 0
    assert "from the journal" in ran.out
    assert snapshot(journals) == {}
    assert attest("verify", "huge", "--key", "release.pub").code == 0


def on_a_full_disk(size: int, *args: str, cwd: Path) -> Ran:
    """Run where no file may grow beyond ``size`` bytes; Python's own caches are left alone."""
    return attest_process(
        *args,
        cwd=cwd,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        under=["prlimit", f"--fsize={size}:{size}"],
    )


def test_disk_full_half_way_keeps_the_old_signature(here: Path, key: LocalSigner):
    Path("many").mkdir()
    for number in range(500):
        Path(f"many/file-{number:04}").write_text(str(number))
    assert attest("sign", "many", "--key", "release.key").code == 0
    Path("many/new-file").write_text("new")
    before = snapshot(here)
    ran = on_a_full_disk(16384, "sign", "many", "--key", "release.key", "--json", cwd=here)
    assert ran.code == 3
    assert ran.codes == {"disk-full"}
    assert ran.report["findings"][0]["where"] == "many/model.sig"
    assert snapshot(here) == before


def test_disk_full_while_making_a_key(here: Path):
    ran = on_a_full_disk(200, "keygen", "release", "--json", cwd=here)
    assert ran.code == 3
    assert ran.codes == {"disk-full"}
    assert snapshot(here) == {}


@pytest.mark.parametrize("target", ["nowhere/model.sig", "model", "release.key/model.sig"])
def test_signature_file_that_cannot_be_written(
    model: Path, key: LocalSigner, here: Path, target: str
):
    before = snapshot(here)
    ran = attest("sign", model, "--key", "release.key", "--signature", target, "--json")
    assert ran.code == 3
    assert ran.codes == {"file-unwritable"}
    assert ran.report["findings"][0]["where"] in (target, str(Path(target).parent))
    assert snapshot(here) == before
