"""The progress bar: bytes, rate and time left, on a terminal, once a run takes noticeable time.

rich is imported only when the bar is about to appear: a small artifact is done before that.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.progress import Progress

PATIENCE: Final = 0.3
"""Seconds of work before a bar appears."""

_REFRESH: Final = 0.1
"""Seconds between two updates: hashing must not wait for the terminal."""

_NEVER: Final = float("inf")


def bar(*, quiet: bool) -> Bar | None:
    """A bar where somebody can see it, else None (which :mod:`attest.flow` accepts)."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return None
    return Bar()


class Bar:
    """An :class:`attest.artifact.hashing.Progress`: told from several threads, one at a time.

    Use as a context manager, so that an error or Ctrl-C leaves the terminal as it was.
    """

    def __init__(self) -> None:
        self._rich: Progress | None = None
        self._expected = (0, 0)
        self._done = (0, 0)
        self._next_refresh = _NEVER

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def begin(self, files: int, size: int) -> None:
        """``files`` and ``size`` (bytes) are about to be hashed."""
        self._expected, self._done = (files, size), (0, 0)
        self._next_refresh = time.monotonic() + PATIENCE

    def advance(self, files: int, size: int) -> None:
        """That much more is done."""
        self._done = (self._done[0] + files, self._done[1] + size)
        now = time.monotonic()
        if now >= self._next_refresh:
            self._next_refresh = now + _REFRESH
            self._show()

    def end(self) -> None:
        """The work is over, well or badly: the bar goes away."""
        self._next_refresh = _NEVER
        if self._rich is not None:
            self._rich.stop()
            self._rich = None

    def _show(self) -> None:
        if self._rich is None:
            self._rich = _rich_progress()
            self._rich.add_task("hashing", total=self._expected[1], files="")
            self._rich.start()
        files = f"{self._done[0]}/{self._expected[0]} files"
        self._rich.update(self._rich.task_ids[0], completed=self._done[1], files=files)


def _rich_progress() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TextColumn("{task.fields[files]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
