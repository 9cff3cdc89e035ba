"""How the tool talks. The rules come first; the code below only keeps them.

1. Results go to stdout. Progress, errors and hints go to stderr.
2. An error is ``attest: error: <where>: <what>``, then ``hint: <what to do next>``. No traceback
   unless ``--verbose``, and then only for a defect of ours.
3. ``--json`` puts exactly one object, on one line, on stdout, for errors as well, and no text;
   usage errors stay text on stderr. Its keys are those of ``docs/cli.md``.
4. ``--quiet`` drops news of success and progress; refusals and errors are still told, and
   ``--json`` still prints.
5. Whatever came from outside (file names, messages about them) is written with every character
   that is not printable escaped: a file name cannot move the cursor, colour a line or reverse it.
6. Findings are grouped by code, in the order of the checks; at most 20 of each are named and the
   rest counted, and each group has one hint, unless it was given before. ``--json`` has them all.
7. Colour marks one word, the outcome: on a terminal, without ``NO_COLOR`` and ``TERM=dumb``.
8. A reader that goes away (``| head``) changes nothing, the exit code included. A stdout that
   cannot be written (disk full) is told and exits 3.
"""

from __future__ import annotations

import io
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TextIO

from attest.errors import AttestError, Unavailable
from attest.verdict import VERDICT_SCHEMA, Finding, Outcome, Severity, Verdict

if TYPE_CHECKING:
    import click

NAMED_PER_CODE: Final = 20
"""Findings of one code that are named in text; the rest are counted."""

_HOW_TO_REPORT: Final = (
    "this is a defect of attest, not of your input. Please report it where `pip show"
    " attest-toolkit` points: the command, `attest --version`, and what --verbose prints"
)
_COLOURS: Final = {"good": "\x1b[1;32m", "bad": "\x1b[1;31m", "unsure": "\x1b[1;33m"}
_PLAIN: Final = "\x1b[0m"


def printable(text: str) -> str:
    """``text`` with all that is not printable escaped: ``\\x1b``, ``\\u202e``, ``\\udcff``.

    Where something is escaped, backslashes are too: an escape can be told from what was there.
    """
    if text.isprintable():
        return text
    text = text.replace("\\", "\\\\")
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def human_size(size: int) -> str:
    """``size`` bytes for a person: ``512 bytes``, ``86.7 MiB``."""
    if size < 1024:
        return f"{size} byte" if size == 1 else f"{size} bytes"
    amount = float(size)
    for unit in ("KiB", "MiB", "GiB"):
        amount /= 1024
        if amount < 1024:
            return f"{amount:.1f} {unit}"
    return f"{amount / 1024:.1f} TiB"


def counted(number: int, noun: str) -> str:
    """``1 file``, ``12 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class Voice:
    """One run's voice: the three switches, and the only writer to stdout and stderr.

    Attributes:
        json: print one object instead of text.
        quiet: no news of success, no progress.
        verbose: also what passed, and tracebacks of internal errors.
        schema: of the object that this verb prints.
        failed: stdout could not be written.
    """

    def __init__(self) -> None:
        self.json = False
        self.quiet = False
        self.verbose = False
        self.schema = VERDICT_SCHEMA
        self.failed = False
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # a locale without "é" must not end the run
                stream.reconfigure(errors="backslashreplace")

    # -- results ---------------------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """One line of a result."""
        if not self.json:
            self._write(sys.stdout, printable(text) + "\n")

    def tell(self, text: str = "") -> None:
        """One line of good news: a result that ``--quiet`` drops."""
        if not self.quiet:
            self.say(text)

    def headline(self, word: str, rest: str, mood: str) -> None:
        """The outcome: ``word`` coloured by ``mood``, a key of ``_COLOURS``, then the rest."""
        if self.json:
            return
        if _colours(sys.stdout):
            word = f"{_COLOURS[mood]}{word}{_PLAIN}"
        self._write(sys.stdout, f"{word}: {printable(rest)}\n")

    def outcome(self, outcome: Outcome, what: str, *, passed: str, partial: str = "") -> None:
        """The headline of a verdict about ``what``: ``passed`` is its word for success, and
        ``partial`` says what a partial one leaves out."""
        match outcome:
            case Outcome.PASS:
                self.headline(passed, what, "good")
            case Outcome.PARTIAL:
                self.headline("partial", f"{what}: {partial}", "unsure")
            case Outcome.ERROR:
                self.headline("not judged", what, "unsure")
            case _:
                self.headline("refused", what, "bad")

    def emit(self, verdict: Verdict) -> None:
        """Under ``--json``, the one object: a verdict's members under this verb's schema."""
        if not self.json:
            return
        if self.schema == VERDICT_SCHEMA:
            text = verdict.to_bytes().decode("ascii")
        else:
            text = _one_line({**verdict.to_json(), "schema": self.schema})
        self._write(sys.stdout, text + "\n")

    def findings(self, findings: Iterable[Finding]) -> None:
        """Findings as text, grouped by severity and code (rule 6)."""
        for line in _grouped(findings):
            self.say(line)

    # -- diagnostics -----------------------------------------------------------------------

    def error(self, message: str, *, hint: str | None = None) -> None:
        """An error, as rule 2 says."""
        self._write(sys.stderr, f"attest: error: {printable(message)}\n")
        if hint:
            self._write(sys.stderr, f"hint: {printable(hint)}\n")

    def refusal(self, error: AttestError) -> None:
        """A deliberate error that ended the command."""
        self._end(Finding.all_from_error(error))

    def system_error(self, error: OSError) -> None:
        """A file or stream that the system would not give us."""
        where = error.filename
        self.refusal(
            Unavailable(
                error.strerror or type(error).__name__,
                where=os.fsdecode(where) if isinstance(where, str | bytes) else None,
                hint="check the path, its permissions and the space left",
                code="io-error",
            )
        )

    def internal_error(self, error: Exception) -> None:
        """A defect: the type of what went wrong, and how to report it; never its content."""
        message = f"internal error ({type(error).__name__})"
        self._end([Finding("internal-error", Severity.ERROR, message, hint=_HOW_TO_REPORT)])
        if self.verbose:
            for line in "".join(traceback.format_exception(error)).splitlines():
                self._write(sys.stderr, printable(line) + "\n")

    def interrupted(self) -> None:
        """Ctrl-C or SIGTERM."""
        self._end([Finding("interrupted", Severity.ERROR, "interrupted")])

    def usage_error(self, error: click.UsageError) -> None:
        """A command line that makes no sense: text on stderr even under ``--json``."""
        from click.exceptions import NoArgsIsHelpError

        if isinstance(error, NoArgsIsHelpError):
            self._write(sys.stderr, error.format_message() + "\n")
            return
        path = error.ctx.command_path if error.ctx is not None else "attest"
        message = error.format_message()
        self.error(message.removesuffix("."), hint=f"see `{path} --help`")

    def _end(self, findings: Sequence[Finding]) -> None:
        """The words for a command that ends here: one error, or several of a tree, grouped."""
        self.emit(Verdict.conclude(findings, subject={}, inputs={}, at=datetime.now(UTC)))
        if self.json:
            return
        if len(findings) == 1:
            sole = findings[0]
            placed = f"{sole.where}: {sole.message}" if sole.where else sole.message
            self.error(placed, hint=sole.hint)
            return
        self.error(counted(len(findings), "problem"))
        for line in _grouped(findings):
            self._write(sys.stderr, printable(line) + "\n")

    # -- streams ---------------------------------------------------------------------------

    def flush(self) -> bool:
        """Write out what is buffered. False when a result was lost for another reason than its
        reader's going away."""
        for stream in (sys.stdout, sys.stderr):
            self._guard(stream, "")
        return not self.failed

    def _write(self, stream: TextIO | None, text: str) -> None:
        self._guard(stream, text, flush=stream is sys.stderr)

    def _guard(self, stream: TextIO | None, text: str, *, flush: bool = True) -> None:
        if stream is None:  # closed by the caller: attest verify … >&-
            return
        try:
            stream.write(text)
            if flush:
                stream.flush()
        except BrokenPipeError:
            _silence(stream)
        except OSError as error:
            _silence(stream)
            if stream is sys.stdout and not self.failed:
                self.failed = True
                self.error(
                    f"standard output: {error.strerror}", hint="the result was not delivered"
                )


def _grouped(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings as lines of text (rule 6)."""
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.outcome, finding.code), []).append(finding)
    hints = set()
    for (severity, code), group in groups.items():
        mark = f"{severity}: " if severity in (Severity.WARN, Severity.INFO) else ""
        yield from _group_lines(mark + code, group)
        hint = next((finding.hint for finding in group if finding.hint), None)
        if hint is not None and hint not in hints:
            hints.add(hint)
            yield f"    hint: {hint}"


def _group_lines(title: str, group: list[Finding]) -> Iterator[str]:
    """The lines of one group: a heading, at most 20 members, the rest counted."""
    number = f" ({len(group)})" if len(group) > 1 else ""
    messages = {finding.message for finding in group}
    if len(messages) == 1:
        yield f"  {title}{number}: {group[0].message}"
        members = [finding.where for finding in group if finding.where is not None]
    else:
        yield f"  {title}{number}"
        members = [
            finding.message if finding.where is None else f"{finding.where}: {finding.message}"
            for finding in group
        ]
    for member in members[:NAMED_PER_CODE]:
        yield f"    {member}"
    if len(members) > NAMED_PER_CODE:
        yield f"    ... and {len(members) - NAMED_PER_CODE} more (--json lists all)"


def _one_line(document: Mapping[str, Any]) -> str:
    import json

    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _colours(stream: TextIO | None) -> bool:
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def _silence(stream: TextIO) -> None:
    """Point a broken stream at nowhere, so that what is still buffered cannot fail again."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    finally:
        os.close(nowhere)
