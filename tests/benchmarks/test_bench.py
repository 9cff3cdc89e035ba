"""The benchmarks run at all. Tiny sizes: what they measure is looked at by people only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GROUPS = {"start": 3, "small": 4, "file": 6, "blake3": 4, "memory": 4, "shards": 4, "entries": 8,
    "scan": 1, "boms": 2, "lineage": 2}  # fmt: skip
"""Groups, and the rows that each prints at least."""


def bench(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    folders = [str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, folders))},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("group", GROUPS)
def test_every_group_prints_its_rows_and_leaves_nothing(group: str, tmp_path: Path) -> None:
    done = bench("--quick", "--only", group, "--folder", tmp_path, "--peers", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not done.stderr
    _, table = done.stdout.split("-" * 80, 1)
    assert len(table.splitlines()) - 1 >= GROUPS[group]
    assert not [*tmp_path.iterdir()]


def test_sizes_too_small_to_mean_anything_are_not_judged(tmp_path: Path) -> None:
    done = bench("--quick", "--only", "start", "--folder", tmp_path)
    assert "the figures say nothing" in done.stdout
    assert "MISSED" not in done.stdout
    assert not any(line.endswith(" ok") for line in done.stdout.splitlines())


def test_a_command_that_fails_ends_the_run_with_its_words(tmp_path: Path) -> None:
    peer = tmp_path / "model_signing"
    peer.write_text("#!/bin/sh\necho no such thing; exit 7\n")
    peer.chmod(0o755)
    done = bench("--quick", "--only", "small", "--folder", tmp_path, "--peers", tmp_path)
    assert done.returncode == 1
    assert "no such thing" in done.stderr
    assert [*tmp_path.iterdir()] == [peer]
