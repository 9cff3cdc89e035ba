"""The README and the tutorials are run, and what they refer to exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import console

ROOT = Path(__file__).resolve().parents[1]
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
README = (ROOT / "README.md").read_text(encoding="utf-8")


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, re.MULTILINE))


def test_commands_of_the_readme_work(tmp_path: Path) -> None:
    console.run(README, tmp_path)


@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda path: path.stem)
def test_commands_of_the_tutorials_work(tutorial: Path, tmp_path: Path) -> None:
    text = tutorial.read_text(encoding="utf-8")
    assert console.commands(text)
    console.run(text, tmp_path)


def test_the_readme_shows_every_user_and_a_refusal() -> None:
    assert len(console.CONSOLE.findall(README)) == 5
    assert {status for _, status in console.commands(README)} == {0, 1, 3}


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_make_targets_that_are_named_exist(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"`make ([a-z-]+)", text))
    assert named <= targets()


def test_the_readme_names_the_two_commands() -> None:
    assert {"demo", "test"} <= set(re.findall(r"`make ([a-z-]+)`", README))


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (ROOT / target).exists(), target
