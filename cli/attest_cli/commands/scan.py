"""``attest scan``: would loading this run code, and is it what its name says?"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest.verdict import Outcome, Severity, Verdict
from attest_cli import material
from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice, counted, human_size
from attest_cli.progress import bar

if TYPE_CHECKING:
    from attest.flow.scan import ScanReport
    from attest.flow.subject import ArtifactSubject
    from attest.scan.grades import Rules


@click.command(
    cls=Verb,
    name="scan",
    schema="urn:attest-toolkit:scan-report:v1",
    examples=(
        "attest scan model",
        "attest scan model/model.safetensors --json",
        "attest scan model --report scan.json --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--allow-list", type=FILE, metavar="FILE", help="More names that a pickle may use, signed."
)
@click.option(
    "--allow-list-key",
    type=FILE,
    multiple=True,
    metavar="PUB",
    help="Who signs it; repeated: all must.",
)
@click.option("--report", type=FILE, metavar="FILE", help="Also write every find to FILE (JSON).")
@click.option("--follow-symlinks", is_flag=True, help="Scan what links point to, inside PATH.")
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    allow_list: Path | None,
    allow_list_key: tuple[Path, ...],
    report: Path | None,
    follow_symlinks: bool,
    **options: Any,
) -> Exit:
    """Scan PATH, a directory or a file, for unsafe serialization. Loads and runs nothing.

    Every file is clean, unlisted, suspicious, unscannable or malicious; only clean passes. With a
    key the result is also claimed, whatever it is: the content is then compared with the digests
    that the claim names.
    """
    author = Author.of(path, options, required=False)
    if bool(allow_list) != bool(allow_list_key):
        raise click.UsageError("--allow-list and --allow-list-key need one another")
    run = _Run(voice, path, report, follow_symlinks)
    run.check()
    rules = _rules(allow_list, allow_list_key)
    if not author.signs:
        return run.alone(rules)

    from attest.claim.predicates import SCAN_PREDICATE

    with author.session(voice) as session:
        made = run.scan(rules, session.subject)
        recorded = session.record(SCAN_PREDICATE, made.claim().to_predicate())
        return session.report(
            recorded,
            f"scan ({made.claim().result})",
            [f"scanned    {line}" for line in _summary(made)],
            details=made.describe(),
            findings=made.findings(),
        )


def _rules(allow_list: Path | None, keys: tuple[Path, ...]) -> Rules:
    from attest.flow.scan import default_rules, load_site_list

    if allow_list is None:
        return default_rules()
    from attest.trust.signers import KeyTrust

    trust = KeyTrust(tuple(material.public_key(key) for key in keys))
    return default_rules(load_site_list(allow_list, trust, datetime.now(UTC)))


class _Run:
    """One call of the verb."""

    def __init__(self, voice: Voice, path: Path, target: Path | None, follow: bool) -> None:
        self.voice = voice
        self.path = path
        self.target = target
        self.follow = follow

    def check(self) -> None:
        """Before anything is scanned: may the report be written there?"""
        if self.target is not None:
            from attest.flow.scanreport import check_report_place

            check_report_place(self.path, self.target)

    def scan(self, rules: Rules, subject: ArtifactSubject | None) -> ScanReport:
        from attest.flow.scan import scan_artifact

        progress = bar(quiet=self.voice.quiet)
        with progress or contextlib.nullcontext():
            made = scan_artifact(
                self.path,
                rules=rules,
                subject=subject,
                follow_symlinks=self.follow,
                progress=progress,
            )
        if self.target is not None:
            from attest.flow.scanreport import write_report

            write_report(made, self.target)
        return made

    def alone(self, rules: Rules) -> Exit:
        """Without a claim."""
        made = self.scan(rules, None)
        verdict = made.verdict(datetime.now(UTC))
        self.voice.emit(verdict)
        self._tell(made, verdict)
        return for_outcome(verdict.outcome)

    def _tell(self, made: ScanReport, verdict: Verdict) -> None:
        good = verdict.outcome is Outcome.PASS
        if good and self.voice.quiet:
            return
        if good:
            self.voice.headline("clean", str(self.path), "good")
        elif verdict.outcome is Outcome.ERROR:
            self.voice.headline("not judged", str(self.path), "unsure")
        else:
            self.voice.headline("refused", str(self.path), "bad")
        for line in _summary(made):
            self.voice.say(f"  scanned    {line}")
        if self.target is not None:
            self.voice.say(f"  report     {self.target}")
        shown = {Severity.FAIL, Severity.ERROR, Severity.WARN}
        if self.voice.verbose:
            shown |= {Severity.INFO, Severity.PASS}
        self.voice.findings(each for each in verdict.findings if each.outcome in shown)


def _summary(made: ScanReport) -> Iterator[str]:
    """``12 files, 86.7 MiB: 11 clean, 1 malicious``."""
    grades = ", ".join(f"{count} {grade}" for grade, count in made.counts.items() if count)
    extent = f"{counted(len(made.files), 'file')}, {human_size(made.size)}"
    yield f"{extent}: {grades}" if grades else extent
