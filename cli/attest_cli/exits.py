"""Exit codes: part of the API, so none is ever renumbered or given a second meaning.

When several apply to one run, the first of 70, 1, 3, 4, 0 wins: a defect of ours hides everything,
a refusal outweighs a doubt, a doubt outweighs an emergency approval. Warnings keep 0 unless
``--fail-on-warn``. Codes that are not listed are reserved.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final, assert_never

from attest.errors import AttestError
from attest.verdict import Finding, Outcome, Severity


class Exit(enum.IntEnum):
    """What the process says to its caller.

    ``OK`` verified or allowed, a partial check that was asked for included; ``REFUSED`` it does not
    hold, or is malformed; ``USAGE`` the command line makes no sense; ``UNJUDGED`` trust material or
    a file is missing, expired, unreadable or unwritable; ``BREAK_GLASS`` allowed only by an
    emergency approval; ``INTERNAL`` a defect of attest; ``INTERRUPTED`` Ctrl-C or SIGTERM.
    """

    OK = 0
    REFUSED = 1
    USAGE = 2
    UNJUDGED = 3
    BREAK_GLASS = 4
    INTERNAL = 70
    INTERRUPTED = 130


_PRECEDENCE: Final = (
    Exit.INTERNAL,
    Exit.REFUSED,
    Exit.UNJUDGED,
    Exit.BREAK_GLASS,
    Exit.OK,
)


def for_outcome(outcome: Outcome) -> Exit:
    """The code of a verdict."""
    match outcome:
        case Outcome.PASS | Outcome.PARTIAL:
            return Exit.OK
        case Outcome.FAIL:
            return Exit.REFUSED
        case Outcome.ERROR:
            return Exit.UNJUDGED
        case Outcome.BREAK_GLASS:
            return Exit.BREAK_GLASS
        case _:
            assert_never(outcome)


def for_error(error: AttestError) -> Exit:
    """The code of an error that ended a command: the same split as in a verdict's findings."""
    outcomes = {finding.outcome for finding in Finding.all_from_error(error)}
    return Exit.REFUSED if Severity.FAIL in outcomes else Exit.UNJUDGED


def combine(codes: Iterable[Exit]) -> Exit:
    """The one code for several results.

    Raises:
        ValueError: no codes (nothing done is not success), or one that ends a run by itself.
    """
    seen = set(codes)
    if not seen <= set(_PRECEDENCE):
        raise ValueError(f"not combinable: {sorted(seen - set(_PRECEDENCE))}")
    for code in _PRECEDENCE:
        if code in seen:
            return code
    raise ValueError("no exit code to combine")
