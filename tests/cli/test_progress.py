"""The progress bar: on a terminal, when it takes long, and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from attest.crypto.keys import LocalSigner
from attest_cli import progress
from tests.cli.support import attest, attest_process, python
from tests.cli.test_output import on_a_terminal

GIB = 1 << 30


@pytest.fixture
def large(here: Path, key: LocalSigner) -> Path:
    """A file that takes long to hash and no room on disk; its signature says something else."""
    with open("large.bin", "wb") as file:
        file.truncate(GIB)
    Path("sums").write_text(f"{'0' * 64}  large.bin\n")
    assert attest("sign", "large.bin", "--key", "release.key", "--digests", "sums").code == 0
    return Path("large.bin")


def test_on_a_terminal_long_work_shows_bytes_rate_and_time_left(large: Path, here: Path):
    args = ("verify", large, "--key", "release.pub")
    code, seen = on_a_terminal(*args, cwd=here, COLUMNS="120")
    assert code == 1
    assert b"hashing" in seen
    assert b"/1.0 GiB" in seen
    assert b"/s" in seen
    assert b"0/1 files" in seen
    code, seen = on_a_terminal(*args, "--quiet", cwd=here)
    assert code == 1
    assert b"hashing" not in seen


def test_in_a_pipe_there_is_none(large: Path, here: Path):
    ran = attest_process("verify", large, "--key", "release.pub", cwd=here)
    assert (ran.code, ran.err) == (1, "")


def test_short_work_on_a_terminal_does_not_load_rich():
    loaded = python(
        "import sys\n"
        "from attest_cli.progress import Bar\n"
        "with Bar() as bar:\n"
        "    bar.begin(1, 100)\n"
        "    bar.advance(1, 100)\n"
        "print('rich' in sys.modules)"
    )
    assert loaded == "False\n"


def test_it_goes_away_when_the_work_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    bar = progress.Bar()
    with pytest.raises(KeyboardInterrupt), bar:
        bar.begin(2, 100)
        bar.advance(1, 50)
        shown = bar._rich
        assert shown is not None
        assert shown.tasks[0].completed == 50
        raise KeyboardInterrupt
    assert bar._rich is None
    assert shown is not None
    assert not shown.live.is_started


def test_it_can_be_used_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(progress, "PATIENCE", 0)
    with progress.Bar() as bar:
        for total in (100, 200):
            bar.begin(1, total)
            bar.advance(0, total // 2)
            assert bar._rich is not None
            assert bar._rich.tasks[0].total == total
            bar.end()


@pytest.mark.parametrize("terminal", [True, False])
def test_where_it_is_made(monkeypatch: pytest.MonkeyPatch, terminal: bool):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert (progress.bar(quiet=False) is not None) is terminal
    assert progress.bar(quiet=True) is None


def test_without_stderr(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stderr", None)
    assert progress.bar(quiet=False) is None
