"""``attest demo``: the whole chain on a real model, in front of your eyes."""

from __future__ import annotations

import contextlib
import io
import shlex
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli.demo_model import provide_model
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import Verb
from attest_cli.output import Voice, counted

_WEIGHTS: Final = Path("model/model.safetensors")
_INTRUDER: Final = Path("model/modeling_extra.py")


@dataclass(frozen=True, slots=True)
class _Step:
    """One command of the walk.

    Attributes:
        title: what it shows.
        command: as a user would type it, without ``attest``.
        expect: exit code.
        mention: text that its output must contain.
        before: a change to the files that comes first.
    """

    title: str
    command: str
    expect: Exit
    mention: str
    before: Callable[[], None] = lambda: None


def _tamper() -> None:
    with _WEIGHTS.open("r+b") as file:
        file.seek(-1, io.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, io.SEEK_END)
        file.write(bytes([byte ^ 1]))


def _add_file() -> None:
    _tamper()  # flips the same bit back
    _INTRUDER.write_text("print('loaded with the model')\n", encoding="utf-8")


_STEPS: Final = (
    _Step("A release engineer makes a key pair.", "keygen release", Exit.OK, "release.pub"),
    _Step(
        "The release engineer signs the model.",
        "sign model --key release.key",
        Exit.OK,
        "model/model.sig",
    ),
    _Step(
        "Anybody with the public key verifies it, offline.",
        "verify model --key release.pub",
        Exit.OK,
        "verified",
    ),
    _Step(
        "One bit of the weights is flipped: refused, and the file is named.",
        "verify model --key release.pub",
        Exit.REFUSED,
        _WEIGHTS.name,
        _tamper,
    ),
    _Step(
        "The bit is flipped back and a Python file slipped in: refused.",
        "verify model --key release.pub",
        Exit.REFUSED,
        _INTRUDER.name,
        _add_file,
    ),
    _Step(
        "The file is removed: the model is what was signed again.",
        "verify model --key release.pub",
        Exit.OK,
        "verified",
        _INTRUDER.unlink,
    ),
    _Step("Somebody else makes a key pair.", "keygen other", Exit.OK, "other.pub"),
    _Step(
        "The model is not signed with that one: refused.",
        "verify model --key other.pub",
        Exit.REFUSED,
        "refused",
    ),
)


@click.command(
    cls=Verb,
    name="demo",
    schema="urn:attest-toolkit:demo:v1",
    examples=("attest demo",),
)
@click.pass_obj
def command(voice: Voice) -> Exit:
    """Make a key, sign a real model, verify it, tamper with it, see it refused.

    Runs the real commands in a temporary directory that is removed afterwards. Exit code 1 if any
    of them does not do what it should.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attest-demo-") as folder, contextlib.chdir(folder):
        voice.tell(f"The model: {provide_model(Path('model'))}.")
        findings = [_walk(voice, number, step) for number, step in enumerate(_STEPS, start=1)]
    seconds = time.monotonic() - started
    verdict = Verdict.conclude(
        findings, subject={"steps": len(_STEPS)}, inputs={}, at=datetime.now(UTC)
    )
    good = sum(finding.outcome is Severity.PASS for finding in findings)
    summary = f"{good} of {counted(len(_STEPS), 'step')} behaved as they should, in {seconds:.1f} s"
    voice.tell()
    if good < len(_STEPS):
        voice.headline("demo failed", summary, "bad")
        voice.findings(finding for finding in findings if finding.outcome is Severity.FAIL)
    elif not voice.quiet:
        voice.headline("demo passed", summary, "good")
    voice.emit(verdict)
    return for_outcome(verdict.outcome)


def _walk(voice: Voice, number: int, step: _Step) -> Finding:
    """Run one step, show it as on a terminal, and judge it."""
    voice.tell()
    voice.tell(f"{number}. {step.title}")
    voice.tell(f"$ attest {step.command}")
    step.before()
    code, output = _run(step.command)
    for line in output.splitlines():
        voice.tell(f"  {line}")
    voice.tell(f"  [exit code {code}]")
    if code == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    details = {"command": f"attest {step.command}", "exit": code}
    if code == step.expect and step.mention in output:
        return Finding("step-as-expected", Severity.PASS, step.title, details=details)
    wanted = f"expected exit code {step.expect.value} and a mention of {step.mention!r}"
    return Finding(
        "step-went-wrong", Severity.FAIL, wanted, where=f"step {number}", details=details
    )


def _run(command: str) -> tuple[int, str]:
    """Exit code and output of one command line, through the same entry as the program's own."""
    from attest_cli.main import main

    output = io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        code = main(shlex.split(command))
    return code, output.getvalue()
