"""``attest bom check``: what a bill of materials lacks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from attest.verdict import Severity, Verdict
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb
from attest_cli.output import NAMED_PER_CODE, Voice

_FEW: Final = 3
"""Places that are named for one element without ``--verbose``."""
_PROFILES: Final = ("g7", "cisa", "cisa-2026")
_MARKS: Final = {
    "present": "present", "unknown": "unknown", "missing": "MISSING", "not-applicable": "n/a",
}  # fmt: skip


@click.command(
    cls=Verb,
    name="bom check",
    schema="urn:attest-toolkit:bom-check:v1",
    examples=(
        "attest bom check release.cdx.json --profile cisa",
        "attest bom check release.cdx.json --profile cisa --json",
    ),
)
@click.argument("file", type=FILE)
@click.option(
    "--profile",
    type=click.Choice(_PROFILES),
    help="Which list. Default: g7 if FILE lists a model or a dataset, else cisa.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Refuse also without what is only recommended, with `unknown`, with dangling references.",
)
@click.pass_obj
def command(voice: Voice, /, file: Path, profile: str | None, strict: bool) -> Exit:
    """Check which minimum elements the CycloneDX BOM in FILE has, and where.

    g7: "SBOM for AI - Minimum Elements" (May 2026, 50 elements). cisa: CISA's 2025 draft;
    cisa-2026: its final version. Exit 1 if a required element is missing or FILE breaks its schema.
    The sources themselves require nothing: which elements are required here is written in
    docs/formats/bom-check.md.
    """
    from attest.flow.bomcheck import check_bom

    verdict = check_bom(file, profile=profile, strict=strict, at=datetime.now(UTC))
    voice.emit(verdict)
    code = for_outcome(verdict.outcome)
    if code is not Exit.OK or not voice.quiet:
        _tell(voice, verdict, complete=code is Exit.OK)
    return code


def _tell(voice: Voice, verdict: Verdict, *, complete: bool) -> None:
    subject = verdict.subject
    told = subject["profile"]
    counts = ", ".join(f"{number} {status}" for status, number in subject["counts"].items())
    if complete:
        voice.headline("complete", f"{subject['name']}: {counts}", "good")
    else:
        voice.headline("incomplete", f"{subject['name']}: {counts}", "bad")
    voice.say(f"  list       {told['title']} ({told['publisher']}, {told['published']})")
    for cluster in subject["clusters"]:
        voice.say(f"  {cluster['title']}")
        for element in cluster["elements"]:
            for line in _element_lines(element, verbose=voice.verbose):
                voice.say(line)
    others = (f for f in verdict.findings if not f.code.startswith("element-"))
    voice.findings(f for f in others if f.outcome in (Severity.FAIL, Severity.WARN))


def _element_lines(element: dict[str, Any], *, verbose: bool) -> list[str]:
    """One line, and under it where a value was found or is lacking."""
    mark = _MARKS[element["status"]]
    wish = "" if element["required"] or element["status"] != "missing" else " (recommended)"
    lines = [f"    {mark:<8} {element['title']}{wish}{_detail(element)}"]
    places = [_place(each) for each in element["found"]] if verbose else []
    if element["status"] == "missing" and element["having"] + len(element["lacking"]) > 1:
        places += [f"not in {pointer}" for pointer in element["lacking"]]
    shown = places[: NAMED_PER_CODE if verbose else _FEW]
    lines += [f"             {place}" for place in shown]
    hidden = len(places) - len(shown) + element["inScope"] - element["having"]
    hidden -= len(element["lacking"])
    if shown and hidden > 0:
        lines.append(f"             ... and {hidden} more")
    return lines


def _detail(element: dict[str, Any]) -> str:
    """Why, how many, or where."""
    if "reason" in element:
        return f": {element['reason']}"
    if element["inScope"] > 1:
        return f": {element['having']} of {element['inScope']}"
    if not element["inScope"]:
        return f": no {element['scope']} is listed"
    return f": {_place(element['found'][0])}" if element["found"] else ""


def _place(found: dict[str, str]) -> str:
    """A pointer, and the file that the BOM read it from."""
    source = found.get("readFrom")
    return found["pointer"] if source is None else f"{found['pointer']} (from {source})"
