"""``attest provenance show``: what provenance in a file says, before anybody has checked it."""

from __future__ import annotations

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
    name="provenance show",
    schema="urn:attest-toolkit:provenance-show:v1",
    examples=("attest provenance show model.claims.jsonl",),
)
@click.argument("file", type=FILE)
@click.pass_obj
def command(voice: Voice, /, file: Path) -> Exit:
    """Show the provenance in FILE: a bundle, envelope, claims file or bare statement.

    Also read are the containers of npm, PyPI and Google Cloud Build. Nothing is verified, and the
    output says so: under --json the outcome is `partial`, and `subject.verified` is false.
    """
    from attest.flow.provenance import show_provenance

    content = show_provenance(file)
    voice.say(_BANNER)
    for each in content["provenance"]:
        for line in provenance_lines(each):
            voice.say(line)
    if content["otherAttestations"]:
        voice.say(f"and {content['otherAttestations']} attestation(s) of other kinds")
    said = Finding("not-verified", Severity.PASS, "shown as found; nothing was checked")
    voice.emit(
        Verdict.conclude([said], subject=content, inputs={}, at=datetime.now(UTC), partial=True)
    )
    return Exit.OK


def provenance_lines(facts: dict[str, Any]) -> list[str]:
    """One provenance in words."""
    source = facts.get("source") or {}
    named = {
        "form": facts.get("form"),
        "builder": facts["builder"],
        "build type": facts["buildType"] + ("" if facts["interpreted"] else " (not interpreted)"),
        "source": source.get("uri"),
        "reference": source.get("ref"),
        "commit": source.get("commit"),
        "entry point": facts.get("entryPoint"),
        "invocation": facts.get("invocationId"),
        "started": facts.get("startedOn"),
        "finished": facts.get("finishedOn"),
    }
    lines = [f"provenance (SLSA {facts['slsaVersion']})"]
    lines += [f"  {label:<12} {value}" for label, value in named.items() if value]
    for subject in facts.get("subjects", ())[:NAMED_PER_CODE]:
        lines.append(f"  {'subject':<12} {subject['name']} {_digests(subject['digest'])}")
    for each in facts["dependencies"][:NAMED_PER_CODE]:
        what = each.get("name") or each.get("uri") or ""
        role = f"{each['role']} " if "role" in each else ""
        lines.append(f"  {'made from':<12} {role}{what} {_digests(each.get('digest', {}))}")
    hidden = facts["dependencyCount"] - NAMED_PER_CODE
    if hidden > 0:
        lines.append(f"  {'made from':<12} ... and {hidden} more (--json lists up to 1000)")
    return lines


def _digests(digests: dict[str, str]) -> str:
    return " ".join(f"{name}:{value}" for name, value in digests.items())
