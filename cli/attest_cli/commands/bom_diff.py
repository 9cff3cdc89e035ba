"""``attest bom diff``: what changed between two releases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb
from attest_cli.output import NAMED_PER_CODE, Voice, counted


@click.command(
    cls=Verb,
    name="bom diff",
    schema="urn:attest-toolkit:bom-diff:v1",
    examples=(
        "attest bom diff old.cdx.json release.cdx.json",
        "attest bom diff old.cdx.json release.cdx.json --json",
    ),
)
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.option("--exit-code", is_flag=True, help="Exit 1 if they differ.")
@click.pass_obj
def command(voice: Voice, /, old: Path, new: Path, exit_code: bool) -> Exit:
    """Show what changed from the CycloneDX BOM in OLD to the one in NEW.

    Components, model facts, datasets, dependencies and vulnerabilities. Serial number, version and
    timestamp of the BOMs themselves are left out. Exit 0 when they could be compared.
    """
    from attest.flow.bomcheck import compare_boms

    verdict = compare_boms(old, new, exit_code=exit_code, at=datetime.now(UTC))
    voice.emit(verdict)
    if verdict.subject["same"]:
        voice.tell(f"same: nothing that is compared differs between {old} and {new}")
    else:
        voice.headline("different", f"{old} -> {new}", "unsure")
        for line in _lines(dict(verdict.subject)):
            voice.say(line)
    return for_outcome(verdict.outcome)


def _lines(found: dict[str, Any]) -> Iterator[str]:
    if found["subject"] is not None:
        yield f"  {found['subject']['component']} itself"
        yield from _changes(found["subject"]["changes"])
    yield from _listed("+", "added", found["added"])
    yield from _listed("-", "removed", found["removed"])
    for each in _some(found["changed"]):
        yield f"  ~ {each['type']} {each['component']}"
        yield from _changes(each["changes"])
    yield from _more(found["changed"])
    for sign, key in (("+", "added"), ("-", "removed")):
        for source, target in _some(found["dependencies"][key]):
            yield f"  {sign} dependency {source} -> {target}"
        yield from _more(found["dependencies"][key])
        for identity, label in _some(found["vulnerabilities"][key]):
            yield f"  {sign} vulnerability {identity} in {label}"
        yield from _more(found["vulnerabilities"][key])
    for each in _some(found["vulnerabilities"]["changed"]):
        yield f"  ~ vulnerability {each['id']} in {each['affects']}"
        yield f"      {each['before']} -> {each['after']}"
    yield from _more(found["vulnerabilities"]["changed"])
    if found["document"]:
        yield "  the document"
        yield from _changes(found["document"])
    yield f"  {counted(found['unchanged'], 'component')} unchanged"


def _listed(sign: str, word: str, entries: list[dict[str, str]]) -> Iterator[str]:
    for each in _some(entries):
        yield f"  {sign} {each['type']} {each['component']} {word}"
    yield from _more(entries)


def _changes(changes: list[dict[str, str | None]]) -> Iterator[str]:
    for each in _some(changes):
        before = "(none)" if each["before"] is None else each["before"]
        after = "(none)" if each["after"] is None else each["after"]
        yield f"      {each['field']}: {before} -> {after}"
    yield from _more(changes, "      ")


def _some(entries: list[Any]) -> list[Any]:
    return entries[:NAMED_PER_CODE]


def _more(entries: list[Any], indent: str = "  ") -> Iterator[str]:
    if len(entries) > NAMED_PER_CODE:
        yield f"{indent}... and {len(entries) - NAMED_PER_CODE} more (--json lists all)"
