"""Run whole processes and account for them.

Processor time and peak memory come from ``wait4``: they are the kernel's figures for that process
and everything it waited for. Linux starts a child's peak memory at the peak of the process that
started it, so this program has to stay small: it never holds a large buffer.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

Action = Callable[[], "Cost"]


class CommandFailed(Exception):
    """A measured command did not do its work; the text holds what it said."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took.

    Attributes:
        wall, cpu: seconds; ``cpu`` is user and system time of all threads.
        rss: peak resident memory in bytes.
    """

    wall: float
    cpu: float
    rss: int


def run(
    arguments: Sequence[str | Path], *, timed_inside: bool = False, accept: Sequence[int] = (0,)
) -> Cost:
    """Run a command to its end.

    Args:
        arguments: program and arguments; the folder is the root of the repository.
        accept: exit codes of success.
        timed_inside: the command prints ``wall`` and ``cpu`` of its inner loop.

    Raises:
        CommandFailed: another exit code.
    """
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [str(argument) for argument in arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            process.wait()
            raise
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read(4096).decode("utf-8", "replace").strip()
    if process.returncode not in accept:
        raise CommandFailed(f"{' '.join(map(str, arguments))}: {process.returncode}\n{said}")
    cpu = usage.ru_utime + usage.ru_stime
    if timed_inside:
        wall, cpu = map(float, said.split())
    return Cost(wall, cpu, usage.ru_maxrss * 1024)


def in_turns(
    rounds: int, actions: Mapping[str, Action], *, warm_up: bool = True
) -> dict[str, Cost]:
    """Medians of each action over ``rounds`` rounds of all actions.

    Neighbours in time share the machine's mood: what slows one down slows the others too.

    Args:
        warm_up: run all once before, and throw that away.
    """
    taken: dict[str, list[Cost]] = {name: [] for name in actions}
    for turn in range(rounds + warm_up):
        for name, action in actions.items():
            cost = action()
            if turn >= warm_up:
                taken[name].append(cost)
    return {name: _median(costs) for name, costs in taken.items()}


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
        int(statistics.median(cost.rss for cost in costs)),
    )
