"""A signing run that is cut off: the old signature survives, and a journal lets it go on."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attest.artifact import journal as journal_module
from attest.errors import Unavailable
from attest.flow.sign import SignOptions, sign_artifact
from attest.verdict import Outcome
from tests.cli.support import environment
from tests.support.forge import make_tree, signer, verify

LINES = """
import sys
from pathlib import Path
from attest.crypto.keys import load_private_key
from attest.flow.sign import SignOptions, sign_artifact
tree, key, journal = sys.argv[1:]
options = SignOptions(journal=Path(journal) if journal else None, workers=1)
sign_artifact(Path(tree), [load_private_key(Path(key).read_bytes(), None)], options=options)
"""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "release.key"
    path.write_bytes(signer().to_pem(None))
    return path


def child(tree: Path, key: Path, journal: Path | str = "", prologue: str = "", **more):
    # -B: a limit on file sizes would cut off the caches of modules, too.
    command = [sys.executable, "-B", "-c", prologue + LINES, str(tree), str(key), str(journal)]
    return subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".attest-")]


def test_disk_full_half_way_leaves_the_old_signature(tmp_path, key):
    tree = make_tree(tmp_path / "model", {f"f{i:04d}": b"x" for i in range(300)})
    sign_artifact(tree, [signer()])
    before = (tree / "model.sig").read_bytes()
    (tree / "f0000").write_bytes(b"changed")

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    process = child(tree, key, preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "no space is left" in err
    assert (tree / "model.sig").read_bytes() == before
    assert leftovers(tree) == []


def test_killed_while_writing_leaves_the_old_signature(tmp_path, key):
    """A real SIGKILL at the worst moment: everything written, nothing renamed."""
    tree = make_tree(tmp_path / "model")
    sign_artifact(tree, [signer()])
    before = (tree / "model.sig").read_bytes()
    prologue = "import os\nos.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    process = child(tree, key, prologue=prologue)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert (tree / "model.sig").read_bytes() == before
    (left,) = leftovers(tree)
    (tree / left).unlink()
    assert verify(tree).outcome is Outcome.PASS


def test_what_a_killed_run_leaves_is_noticed(tmp_path, key):
    """The temporary file lies in the tree: an unsigned file like any other."""
    tree = make_tree(tmp_path / "model")
    sign_artifact(tree, [signer()])
    prologue = "import os\nos.replace = lambda *_: os.kill(os.getpid(), 9)\n"
    child(tree, key, prologue=prologue).communicate(timeout=60)
    assert verify(tree).outcome is Outcome.FAIL


def test_interrupted_leaves_nothing_new(tmp_path, key):
    tree = make_tree(tmp_path / "model")
    prologue = "import os, signal\nos.replace = lambda *_: os.kill(os.getpid(), signal.SIGINT)\n"
    process = child(tree, key, prologue=prologue)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in err
    assert not (tree / "model.sig").exists()
    assert leftovers(tree) == []


def test_resumes_after_a_kill(tmp_path, key):
    files = {f"f{i:04d}": f"content {i}".encode() for i in range(1500)}
    tree = make_tree(tmp_path / "model", files)
    journal = tmp_path / "journal"
    prologue = (
        "import os\n"
        "from attest.artifact.journal import Journal\n"
        "honest = Journal.note\n"
        "def note(self, name, *rest):\n"
        "    if name == 'f1400': os.kill(os.getpid(), 9)\n"
        "    honest(self, name, *rest)\n"
        "Journal.note = note\n"
    )
    process = child(tree, key, journal, prologue=prologue)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert not (tree / "model.sig").exists()
    assert journal.stat().st_mode & 0o777 == 0o600
    (tree / "f0003").write_bytes(b"changed meanwhile")
    report = sign_artifact(tree, [signer()], options=SignOptions(journal=journal))
    assert 1000 <= report.reused <= 1400
    assert not journal.exists()
    assert verify(tree).outcome is Outcome.PASS


def test_killed_from_outside_while_hashing(tmp_path, key):
    """No cooperation of the victim: SIGKILL arrives whenever it arrives."""
    tree = make_tree(tmp_path / "model", {f"f{i:05d}": b"x" * 100 for i in range(6000)})
    journal = tmp_path / "journal"
    process = child(tree, key, journal)
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        if journal.exists() and journal.stat().st_size > 1000:
            process.kill()
            break
        time.sleep(0.002)
    process.communicate(timeout=60)
    report = sign_artifact(tree, [signer()], options=SignOptions(journal=journal))
    assert report.files == 6000
    assert verify(tree).outcome is Outcome.PASS


def test_verify_never_opens_a_journal(tmp_path, monkeypatch):
    tree = make_tree(tmp_path / "model")
    journal = tmp_path / "journal"
    monkeypatch.setattr(journal_module.Journal, "discard", lambda self: None)
    sign_artifact(tree, [signer()], options=SignOptions(journal=journal))
    assert journal.exists()
    opened: list[object] = []
    honest = os.open

    def spy(path, *args, **more):
        opened.append(path)
        return honest(path, *args, **more)

    monkeypatch.setattr(os, "open", spy)
    assert verify(tree).outcome is Outcome.PASS
    assert not any(str(path).endswith("journal") for path in opened)
    assert opened


def test_journal_on_a_full_disk_is_an_error_that_names_it(tmp_path, key):
    tree = make_tree(tmp_path / "model", {f"f{i:04d}": b"x" for i in range(1500)})

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    process = child(tree, key, tmp_path / "journal", preexec_fn=limit)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "journal cannot be written" in err
    assert not (tree / "model.sig").exists()


def test_journal_that_cannot_be_opened(tmp_path):
    tree = make_tree(tmp_path / "model")
    options = SignOptions(journal=tmp_path / "no/such/folder")
    with pytest.raises(Unavailable):
        sign_artifact(tree, [signer()], options=options)


def test_journal_of_another_kind_of_run_is_not_used(tmp_path, monkeypatch):
    tree = make_tree(tmp_path / "model")
    journal = tmp_path / "journal"
    monkeypatch.setattr(journal_module.Journal, "discard", lambda self: None)
    first = sign_artifact(tree, [signer()], options=SignOptions(journal=journal))
    again = sign_artifact(tree, [signer()], options=SignOptions(journal=journal))
    other = SignOptions(journal=journal, chunk_digests=False)
    third = sign_artifact(tree, [signer()], options=other)
    assert (first.reused, again.reused, third.reused) == (0, first.files, 0)
    header = json.loads(journal.read_bytes().splitlines()[0])
    assert header[-1] is False
