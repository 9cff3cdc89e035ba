"""``attest layout verify``: did this come out of the supply chain that its owner laid down?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest.verdict import VERDICT_SCHEMA, Outcome, Severity, Verdict
from attest_cli import material
from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice, counted
from attest_cli.progress import bar

if TYPE_CHECKING:
    from attest.adapters.intoto import InTotoEngine
    from attest.claim.layout import LayoutResult
    from attest.flow.subject import ArtifactSubject


@click.command(
    cls=Verb,
    name="layout verify",
    schema=VERDICT_SCHEMA,
    examples=(
        "attest layout verify root.layout --links links --layout-key owner.pub built",
        "attest layout verify root.layout --links links --layout-key owner.pub built"
        " --key release.key --rehash",
    ),
)
@click.argument("layout", type=FILE)
@click.argument("path", type=FILE, required=False)
@click.option("--links", type=FILE, required=True, metavar="DIR", help="STEP.KEYID8.link files.")
@click.option(
    "--layout-key",
    type=FILE,
    multiple=True,
    required=True,
    metavar="PUB",
    help="The owner's public key, in PEM; repeated: all must have signed the layout.",
)
@click.option(
    "--prefix",
    metavar="P",
    help="What paths in the links have before those in PATH. Default: `NAME/` if they have it.",
)
@click.option(
    "--at", callback=moment, metavar="TIME", help="Judge for this time (RFC 3339), not now."
)
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    layout: Path,
    path: Path | None,
    links: Path,
    layout_key: tuple[Path, ...],
    prefix: str | None,
    at: datetime | None,
    **options: Any,
) -> Exit:
    """Verify an in-toto LAYOUT, its links, and that PATH is what came out. Uses no network.

    Signatures, thresholds, artifact rules and delegated layouts are checked, and the expiry at
    --at. A layout with inspections is refused: they are commands that would run here. Without PATH
    the outcome is `partial`. With --key the result is signed and added to PATH's claims. Needs the
    extra `in-toto`.
    """
    author = Author.of(path or Path(), options, required=False)
    if path is None and (author.signs or prefix is not None):
        raise click.UsageError("--key and --prefix need the artifact's PATH")

    from attest.adapters.intoto import InTotoEngine
    from attest.flow.layout import Delivered, verify_layout

    engine = InTotoEngine()
    keys = _layout_keys(engine, layout_key)
    content = None if path is None else _content(voice, path)
    delivered = None
    if path is not None and content is not None:
        delivered = Delivered(content.manifest, content.name, path.is_file())
    verdict, result = verify_layout(
        layout,
        links,
        engine=engine,
        keys=keys,
        at=at or datetime.now(UTC),
        delivered=delivered,
        prefix=prefix,
    )
    if author.signs and result is not None and content is not None:
        return _record(voice, author, verdict, result, content)
    voice.emit(verdict)
    _tell(voice, verdict, str(path or layout))
    return for_outcome(verdict.outcome)


def _layout_keys(engine: InTotoEngine, files: Sequence[Path]) -> list[bytes]:
    """The owner's keys, each of them usable and another."""
    from attest.files import read_bounded
    from attest.limits import MAX_KEY_FILE_BYTES

    keys: dict[str, bytes] = {}
    for file in files:
        with material.needed(file):
            pem = read_bounded(file, MAX_KEY_FILE_BYTES, "layout key", allow_pipe=True)
            keyid = engine.check_key(pem)
        if keyid in keys:
            raise click.UsageError("the same --layout-key twice proves nothing more than once")
        keys[keyid] = pem
    return list(keys.values())


def _content(voice: Voice, path: Path) -> ArtifactSubject:
    from attest.flow.subject import subject_from_content

    progress = bar(quiet=voice.quiet)
    with progress or contextlib.nullcontext():
        return subject_from_content(path, progress=progress)


def _record(
    voice: Voice, author: Author, verdict: Verdict, result: LayoutResult, content: ArtifactSubject
) -> Exit:
    """Claim the result about what was compared."""
    from attest.claim.predicates import LAYOUT_PREDICATE
    from attest.errors import DigestMismatch

    with author.session(voice) as session:
        if dict(session.subject.digests) != dict(content.digests):
            raise DigestMismatch(
                "the content is not what its signature says",
                where=str(author.path),
                hint="verify it: attest verify",
            )
        recorded = session.record(LAYOUT_PREDICATE, result.to_predicate())
        findings = [each for each in verdict.findings if each.outcome is not Severity.PASS]
        return Exit(
            session.report(
                recorded,
                "in-toto layout",
                [f"steps      {len(result.steps)}", f"layout     sha256:{result.digest}"],
                details={"layout": dict(verdict.subject)},
                findings=findings,
            )
        )


def _tell(voice: Voice, verdict: Verdict, what: str) -> None:
    good = verdict.outcome in (Outcome.PASS, Outcome.PARTIAL)
    if good and voice.quiet:
        return
    left = "no artifact was compared"
    voice.outcome(verdict.outcome, what, passed="verified", partial=left)
    for step in verdict.subject.get("steps", ()):
        inner = " (delegated)" if step["sublayout"] else ""
        of = f"{len(step['functionaries'])} of {counted(step['threshold'], 'key')} needed"
        voice.say(f"  step       {step['name']}{inner}: signed by {of}")
    shown = set(Severity) if voice.verbose or not good else {Severity.PASS, Severity.WARN}
    voice.findings(finding for finding in verdict.findings if finding.outcome in shown)
