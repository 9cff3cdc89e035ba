"""Claims files: durable appends by several writers, strict readers."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import subprocess
import sys

import pytest

from attest.claim.store import append_claim, split_claims
from attest.errors import MalformedInput, TooLarge, Unavailable
from tests.cli.support import environment

WRITER = """
import sys
from pathlib import Path
from attest.claim.store import append_claim
path, who, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for number in range(count):
    line = '{"who":"%s","n":%d,"pad":"%s"}' % (who, number, who * (number % 700))
    append_claim(path, line.encode())
"""


def writer(path, who: str, count: int, **more):
    command = [sys.executable, "-B", "-c", WRITER, str(path), who, str(count)]
    return subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True, **more)


def test_append_and_split(tmp_path):
    path = tmp_path / "c"
    assert append_claim(path, b'{"a":1}') is False
    assert append_claim(path, b'{"b":2}') is False
    assert split_claims(path.read_bytes()) == [b'{"a":1}', b'{"b":2}']


def test_two_writers_at_once_lose_and_mix_nothing(tmp_path):
    path = tmp_path / "c"
    writers = [writer(path, who, 40) for who in "xyz"]
    for process in writers:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    claims = [json.loads(line) for line in split_claims(path.read_bytes())]
    for who in "xyz":
        assert [claim["n"] for claim in claims if claim["who"] == who] == list(range(40))
    assert len(claims) == 120


def test_killed_writers_leave_at_most_a_torn_tail(tmp_path):
    path = tmp_path / "c"
    for _ in range(3):
        process = writer(path, "k", 100_000)
        while process.poll() is None and (not path.exists() or path.stat().st_size < 20_000):
            pass
        process.kill()
        process.communicate(timeout=60)
        append_claim(path, b'{"who":"after"}')
        claims = [json.loads(line) for line in split_claims(path.read_bytes())]
        assert claims[-1] == {"who": "after"}


def test_torn_tail_is_repaired_by_a_writer_who_says_so(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b'{"a":1}\n{"b":')
    assert append_claim(path, b'{"c":3}') is True
    assert path.read_bytes() == b'{"a":1}\n{"c":3}\n'


def test_torn_tail_longer_than_a_block(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b'{"a":1}\n' + b"x" * 200_000)
    assert append_claim(path, b"{}") is True
    assert path.read_bytes() == b'{"a":1}\n{}\n'


def test_file_of_nothing_but_a_torn_line(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"x" * 70_000)
    assert append_claim(path, b"{}") is True
    assert path.read_bytes() == b"{}\n"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "torn-line"),
        (b"{}\n{", "torn-line"),
        (b"\n", "empty-line"),
        (b"{}\n\n", "empty-line"),
    ],
)
def test_readers_refuse(data, code):
    with pytest.raises(MalformedInput) as caught:
        split_claims(data)
    assert caught.value.code == code


def test_readers_refuse_a_huge_line():
    with pytest.raises(TooLarge):
        split_claims(b"x" * (17 << 20) + b"\n")


def test_empty_file_has_no_claims():
    assert split_claims(b"") == []


@pytest.mark.parametrize("line", [b"", b"a\nb", b"\n"])
def test_a_claim_is_one_line(tmp_path, line):
    with pytest.raises(ValueError, match="one line"):
        append_claim(tmp_path / "c", line)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "folder", "device"])
def test_odd_places(tmp_path, kind):
    path = tmp_path / "c"
    if kind == "link":
        (tmp_path / "victim").write_bytes(b"keep")
        path.symlink_to("victim")
    elif kind == "dangling":
        path.symlink_to("nowhere")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:  # a device of the test's own: a defect here once cost a machine its /dev/null
        if os.geteuid() != 0:
            pytest.skip("only root may make a device")
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    with pytest.raises((Unavailable, MalformedInput)):
        append_claim(path, b"{}")
    assert not (tmp_path / "nowhere").exists()
    if kind == "link":
        assert (tmp_path / "victim").read_bytes() == b"keep"


def test_disk_full_leaves_the_claims_that_were_there(tmp_path):
    path = tmp_path / "c"
    append_claim(path, b'{"keep":1}')

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    process = writer(path, "full", 1000, preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "claims cannot be written" in err
    lines = split_claims(path.read_bytes())
    assert lines[0] == b'{"keep":1}'
    assert all(json.loads(line) for line in lines)


def test_write_that_fails_half_way_is_undone(tmp_path, monkeypatch):
    path = tmp_path / "c"
    append_claim(path, b'{"keep":1}')
    honest = os.write
    calls = []

    def write(handle, data):
        calls.append(1)
        if len(calls) == 1:
            return honest(handle, bytes(data)[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(Unavailable):
        append_claim(path, b'{"lost":1}')
    assert path.read_bytes() == b'{"keep":1}\n'
