"""``attest demo``: the whole chain on a real model, in front of your eyes."""

from __future__ import annotations

import contextlib
import io
import shlex
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli.demo_model import provide_model
from attest_cli.demo_steps import STEPS, State, Step
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import Verb
from attest_cli.output import Voice, counted


@click.command(
    cls=Verb,
    name="demo",
    schema="urn:attest-toolkit:demo:v1",
    examples=("attest demo",),
)
@click.pass_obj
def command(voice: Voice) -> Exit:
    """Sign a real model, see tampering refused; then train, scan, describe and approve another.

    Runs the real commands in a temporary directory that is removed afterwards. Exit code 1 if any
    of them does not do what it should.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="attest-demo-") as folder, contextlib.chdir(folder):
        voice.tell(f"The model: {provide_model(Path('model'))}.")
        state = State()
        findings = [_walk(voice, number, step, state) for number, step in enumerate(STEPS, start=1)]
    seconds = time.monotonic() - started
    verdict = Verdict.conclude(
        findings, subject={"steps": len(STEPS)}, inputs={}, at=datetime.now(UTC)
    )
    good = sum(finding.outcome is Severity.PASS for finding in findings)
    summary = f"{good} of {counted(len(STEPS), 'step')} behaved as they should, in {seconds:.1f} s"
    voice.tell()
    if good < len(STEPS):
        voice.headline("demo failed", summary, "bad")
        voice.findings(finding for finding in findings if finding.outcome is Severity.FAIL)
    elif not voice.quiet:
        voice.headline("demo passed", summary, "good")
    voice.emit(verdict)
    return for_outcome(verdict.outcome)


def _walk(voice: Voice, number: int, step: Step, state: State) -> Finding:
    """Run one step, show it as on a terminal, and judge it."""
    voice.tell()
    voice.tell(f"{number}. {step.title}")
    if step.before is not None:
        for line in step.before(state):
            voice.tell(f"  {line}")
    command = step.command.format_map(state)
    voice.tell(f"$ attest {command}")
    code, output = _run(command)
    for line in output.splitlines():
        voice.tell(f"  {line}")
    voice.tell(f"  [exit code {code}]")
    if code == Exit.INTERRUPTED:
        raise KeyboardInterrupt
    details = {"command": f"attest {command}", "exit": code}
    if step.after is not None:
        step.after(state, output)
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
