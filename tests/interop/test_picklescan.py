"""picklescan as an oracle: what it reports is not clean here, and what it misses is written down.

Files are read, never loaded, by either.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from attest.flow.scan import default_rules, scan_artifact
from attest.scan.grades import Grade
from tests.support.fixtures import fixture

pytestmark = pytest.mark.interop

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "formats" / "scan.md"


@pytest.fixture(scope="module")
def folder() -> Path:
    return fixture("pickles")


@pytest.fixture(scope="module")
def said(folder: Path) -> dict[str, str]:
    """File name -> ``flagged``, ``error`` or ``silent``."""
    python = Path(os.environ.get("ATTEST_SCANNERS", ROOT / ".venv-scanners" / "bin")) / "python"
    if not python.exists():
        pytest.skip("picklescan is not installed (make test installs it)")
    done = subprocess.run(
        [python, ROOT / "benchmarks" / "peer_scanners.py", "picklescan", folder],
        capture_output=True,
        check=True,
        timeout=120,
    )
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


@pytest.fixture(scope="module")
def grades(folder: Path) -> dict[str, Grade]:
    return {file.name: file.grade for file in scan_artifact(folder, rules=default_rules()).files}


def test_what_picklescan_reports_is_not_clean(said: dict[str, str], grades: dict[str, Grade]):
    reported = {name for name, answer in said.items() if answer == "flagged"}
    assert reported
    assert {name for name in reported if grades[name] is Grade.CLEAN} == set()


def test_what_picklescan_misses_is_refused_here_and_listed_rightly(
    folder: Path, said: dict[str, str], grades: dict[str, Grade]
):
    document = json.loads((folder / "EXPECTED.json").read_text())
    malicious = {name for name, entry in document.items() if entry["verdict"] == "malicious"}
    missed = {name for name in malicious if said[name] == "silent"}
    assert missed
    assert not {name for name in missed if grades[name] is Grade.CLEAN}
    page = PAGE.read_text(encoding="utf-8").split("## Beside another scanner")[1]
    block = re.search(r"```text\n(.*?)```", page, re.DOTALL)
    assert block is not None
    listed = {f"malicious/{name}" for name in block[1].split()} & set(document)
    assert listed
    assert listed <= missed
