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

from attest import limits
from attest.claim import store
from attest.claim.store import append_claim, rewrite_claims, split_claims
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


def test_a_line_that_no_reader_would_accept_is_not_written(tmp_path):
    path = tmp_path / "c"
    with pytest.raises(TooLarge):
        append_claim(path, b"x" * (limits.MAX_JSON_BYTES + 1))
    assert not path.exists()


def test_a_full_file_is_told_and_stays(tmp_path, monkeypatch):
    path = tmp_path / "c"
    append_claim(path, b'{"keep":1}')
    monkeypatch.setattr(limits, "MAX_BUNDLE_BYTES", 20)
    with pytest.raises(TooLarge):
        append_claim(path, b'{"more":1}')
    assert path.read_bytes() == b'{"keep":1}\n'
    assert append_claim(path, b'{"m":10}') is False  # 20 bytes together


def test_the_name_of_a_new_file_is_made_durable(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(store, "sync_folder", synced.append)
    append_claim(tmp_path / "c", b"{}")
    append_claim(tmp_path / "c", b"{}")
    assert synced == [tmp_path]


# -- rewriting -----------------------------------------------------------------------------------

REWRITER = """
import sys
from pathlib import Path
from attest.claim.store import rewrite_claims
path, count = Path(sys.argv[1]), int(sys.argv[2])
added = b'{"who":"rewriter","pad":"%s"}\\n' % (b"r" * 500)
for _ in range(count):
    rewrite_claims(path, lambda data: [data, added])
"""


def test_rewriting_loses_nothing_that_was_acknowledged(tmp_path):
    """Real processes: two that append, two that replace the file again and again."""
    path = tmp_path / "c"
    command = [sys.executable, "-B", "-c", REWRITER, str(path), "50"]
    rewriters = [
        subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    writers = [writer(path, who, 100) for who in "xy"]
    for process in (*writers, *rewriters):
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    claims = [json.loads(line) for line in split_claims(path.read_bytes())]
    for who in "xy":
        assert [claim["n"] for claim in claims if claim["who"] == who] == list(range(100))
    assert sum(claim["who"] == "rewriter" for claim in claims) == 100
    assert len(claims) == 300
    assert os.listdir(tmp_path) == ["c"]


def test_rewriting_sees_the_torn_tail_and_replaces_all(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b'{"a":1}\n{"b":')
    seen = []

    def change(data: bytes) -> list[bytes]:
        seen.append(data)
        return [b"new\n", b"content\n"]

    rewrite_claims(path, change)
    assert seen == [b'{"a":1}\n{"b":']
    assert path.read_bytes() == b"new\ncontent\n"


def test_a_change_that_fails_leaves_things_as_they_are(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b"old\n")

    def in_the_middle(data: bytes):
        yield b"half"
        raise MalformedInput("no")

    def at_once(data: bytes):
        raise MalformedInput("no")

    for change in (in_the_middle, at_once):
        with pytest.raises(MalformedInput):
            rewrite_claims(path, change)
        assert path.read_bytes() == b"old\n"
        with pytest.raises(MalformedInput):
            rewrite_claims(tmp_path / "new", change)
        assert os.listdir(tmp_path) == ["c"]


def test_a_file_beyond_the_limit_is_not_rewritten(tmp_path, monkeypatch):
    path = tmp_path / "c"
    path.write_bytes(b"x" * 30)
    monkeypatch.setattr(limits, "MAX_BUNDLE_BYTES", 29)
    with pytest.raises(TooLarge):
        rewrite_claims(path, lambda data: [data])
    assert path.read_bytes() == b"x" * 30


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_rewriting_keeps_the_permissions(tmp_path, mode):
    path = tmp_path / "c"
    path.touch()
    path.chmod(mode)
    rewrite_claims(path, lambda data: [b"{}\n"])
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_rewriting_a_link_is_refused(tmp_path):
    (tmp_path / "victim").write_bytes(b"keep")
    (tmp_path / "c").symlink_to("victim")
    with pytest.raises(Unavailable):
        rewrite_claims(tmp_path / "c", lambda data: [b"{}\n"])
    assert (tmp_path / "victim").read_bytes() == b"keep"
    assert (tmp_path / "c").is_symlink()


def test_a_killed_rewriter_leaves_the_old_file_or_the_new(tmp_path):
    path = tmp_path / "c"
    path.write_bytes(b'{"who":"first"}\n')
    for _ in range(3):
        before = path.stat().st_size
        command = [sys.executable, "-B", "-c", REWRITER, str(path), "100000"]
        process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)
        while process.poll() is None and path.stat().st_size <= before:
            pass
        process.kill()
        process.communicate(timeout=60)
        claims = [json.loads(line) for line in split_claims(path.read_bytes())]
        assert claims[0] == {"who": "first"}
        assert append_claim(path, b'{"who":"after"}') is False


def test_what_was_replaced_before_the_failure_is_not_removed(tmp_path, monkeypatch):
    """Somebody may have appended to the new file, and was told that it is there."""
    path = tmp_path / "c"
    honest = store.write_atomic

    def write_atomic(target, data, mode):
        honest(target, data, mode)
        append_claim(path, b'{"who":"other"}')
        raise Unavailable("the folder cannot be synced")

    monkeypatch.setattr(store, "write_atomic", write_atomic)
    with pytest.raises(Unavailable):
        rewrite_claims(path, lambda data: [b'{"who":"me"}\n'])
    assert path.read_bytes() == b'{"who":"me"}\n{"who":"other"}\n'
