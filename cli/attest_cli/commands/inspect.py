"""``attest inspect``: what a file says about itself, before anybody has checked it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb
from attest_cli.output import NAMED_PER_CODE, Voice

_BANNER: Final = "UNVERIFIED: this is only what the file says. Nothing of it was checked."


@click.command(
    cls=Verb,
    name="inspect",
    schema="urn:attest-toolkit:inspect:v1",
    examples=("attest inspect model/model.sig", "attest inspect release.pub --json"),
)
@click.argument("file", type=FILE)
@click.pass_obj
def command(voice: Voice, file: Path) -> Exit:
    """Show what FILE says: a signature, envelope, claims file, pack, BOM, key or certificate.

    Nothing is verified, and the output says so. Under --json the outcome is therefore `partial`,
    never `pass`, and `subject.verified` is false.
    """
    from attest.flow.inspect import inspect_file

    content = inspect_file(file)
    voice.say(_BANNER)
    for line in _lines({key: value for key, value in content.items() if key != "verified"}):
        voice.say(line)
    said = Finding("not-verified", Severity.PASS, "shown as found; nothing was checked")
    voice.emit(
        Verdict.conclude([said], subject=content, inputs={}, at=datetime.now(UTC), partial=True)
    )
    return Exit.OK


def _lines(value: Any, indent: str = "") -> Iterator[str]:
    """An outline of JSON-compatible data: one line per leaf, lists cut after 20 members."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _entry(f"{indent}{key}:", member, indent + "  ")
    else:
        for member in value[:NAMED_PER_CODE]:
            for number, line in enumerate(_entry("", member, indent + "  ")):
                yield line if number else f"{indent}- {line.lstrip()}"
        if len(value) > NAMED_PER_CODE:
            yield f"{indent}... and {len(value) - NAMED_PER_CODE} more (--json lists up to 1000)"


def _entry(label: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, dict | list | tuple) and value:
        if label:
            yield label
        yield from _lines(value, indent)
    else:
        yield f"{label} {_leaf(value)}"


def _leaf(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case dict() | list() | tuple():
            return "none"
        case _:
            return str(value)
