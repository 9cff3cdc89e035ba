"""The entry point ``attest``, and the boundary where every error becomes words and an exit code.

Importing this module costs nothing on purpose: ``attest --version`` answers before click, the
verbs or the library are loaded, and a verb loads only what it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attest_cli.exits import Exit
    from attest_cli.output import Voice


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises for what users can cause."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        from attest._version import __version__

        print(f"attest {__version__}")
        return 0
    try:
        return _run(arguments)
    except KeyboardInterrupt:  # before, or after, the boundary below was in place
        return 130


def _run(arguments: list[str]) -> int:
    from attest_cli.exits import Exit, combine
    from attest_cli.output import Voice

    _treat_termination_as_interrupt()
    voice = Voice()
    code = _guarded(arguments, voice)
    if not voice.flush() and code not in (Exit.USAGE, Exit.INTERRUPTED):
        return combine([code, Exit.UNJUDGED])
    return code


def _guarded(arguments: list[str], voice: Voice) -> Exit:
    """Call the verb; whatever it raises is spoken and mapped here, and nowhere else."""
    import click

    from attest.errors import AttestError
    from attest_cli import exits
    from attest_cli.verbs import group

    try:
        code = group.main(arguments, prog_name="attest", standalone_mode=False, obj=voice)
        return exits.Exit(code or 0)
    except click.UsageError as error:
        voice.usage_error(error)
        return exits.Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        voice.interrupted()
        return exits.Exit.INTERRUPTED
    except AttestError as error:
        voice.refusal(error)
        return exits.for_error(error)
    except OSError as error:
        voice.system_error(error)
        return exits.Exit.UNJUDGED
    except Exception as error:
        voice.internal_error(error)
        return exits.Exit.INTERNAL


def _treat_termination_as_interrupt() -> None:
    """SIGTERM unwinds like Ctrl-C: a cancelled pipeline leaves no temporary files.

    A program that calls :func:`main` from another thread keeps its own handlers.
    """
    import signal
    import threading

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, interrupt)
