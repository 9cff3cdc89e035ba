"""``attest lineage show``: what was this made from?"""

from __future__ import annotations

import contextlib
import gc
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from attest.limits import MAX_LINEAGE_TREE_DEPTH
from attest.verdict import Outcome, Severity, Verdict
from attest_cli.claiming import load_principals, principal_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice, counted
from attest_cli.progress import bar
from attest_cli.signedby import SignedBy, signed_by_options

if TYPE_CHECKING:
    from attest.claim.lineage_view import Ancestry
    from attest.trust.signers import Trust

LINEAGE_SCHEMA: Final = "urn:attest-toolkit:lineage:v1"

_DIGEST: Final = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,63}):([0-9A-Fa-f]+)")
_TREE_DEPTH: Final = 50


@click.command(
    cls=Verb,
    name="lineage show",
    schema=LINEAGE_SCHEMA,
    examples=(
        "attest lineage show approved --key release.pub",
        "attest lineage show approved --key release.pub --format dot --depth 3",
    ),
)
@click.argument("what", metavar="PATH|DIGEST")
@click.option(
    "--claims",
    type=FILE,
    multiple=True,
    metavar="FILE|DIR",
    help="Claims; of a folder, every *.claims.jsonl below. Default: PATH.claims.jsonl.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["tree", "json", "dot"]),
    default="tree",
    show_default=True,
    help="json is what --json prints.",
)
@click.option(
    "--depth",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help=f"Steps at most. Default: all; {_TREE_DEPTH} for a tree.",
)
@principal_options
@signed_by_options(
    "Take PATH's digests from its signature by this key; default: its content is hashed."
)
@click.option("--at", callback=moment, metavar="TIME", help="Judge for this time, not now.")
@click.option("--fail-on-warn", is_flag=True, help="Refuse where there is a warning.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    what: str,
    claims: tuple[Path, ...],
    form: str,
    depth: int | None,
    principal: tuple[str, ...],
    principal_ca: tuple[tuple[str, Path, str], ...],
    key: tuple[Path, ...],
    signed_by: tuple[Path, ...],
    signed_by_ca: Path | None,
    signed_by_san: str | None,
    at: datetime | None,
    fail_on_warn: bool,
) -> Exit:
    """Show what the artifact at PATH, or the thing with DIGEST, was made from. Uses no network.

    Follows claims by those who count (--principal, --key): provenance, dataset cards, in-toto
    links. Parents of which nothing is known, claims that cannot be verified, contradicting digests
    and cycles are shown as such. DIGEST is sha256:HEX, attestTreeV1:HEX or gitCommit:HEX; a file of
    such a name is ./NAME.
    """
    trusted = SignedBy(signed_by, signed_by_ca, signed_by_san)
    trusted.check()
    principals = load_principals(principal, key, principal_ca)
    digest = parse_digest(what)
    if digest is not None and trusted.given:
        raise click.UsageError("--signed-by means nothing with a DIGEST")
    if digest is not None and not claims:
        raise click.UsageError("a DIGEST has no claims beside it: give --claims FILE or DIR")
    if form == "tree":
        if (depth or 0) > MAX_LINEAGE_TREE_DEPTH:
            raise click.UsageError(f"a tree has at most --depth {MAX_LINEAGE_TREE_DEPTH}")
        depth = depth or (None if voice.json else _TREE_DEPTH)
    voice.json = voice.json or form == "json"
    moment_judged = at or datetime.now(UTC)

    from attest.artifact.names import default_claims
    from attest.flow.gather import load_lineage
    from attest.flow.lineage import show_lineage

    digests = digest or _digests(voice, Path(what), trusted.load(), moment_judged)
    places = claims or (default_claims(Path(what)),)
    with without_collector():
        loaded = load_lineage(places, principals=principals, at=moment_judged)
        verdict, view = show_lineage(loaded, digests, at=moment_judged, depth=depth)
    verdict = refuse_warnings(verdict) if fail_on_warn else verdict
    voice.emit(verdict)
    if form == "dot" and view is not None:
        _draw(voice, view, verdict)
    else:
        _tell(voice, what, verdict, view)
    return for_outcome(verdict.outcome)


def parse_digest(text: str) -> dict[str, str] | None:
    """A digest as one of a name and a value; None for what is a path.

    Raises:
        click.UsageError: of a name that identifies nothing, or of an odd length.
    """
    from attest.claim.mentions import IDENTIFYING

    found = _DIGEST.fullmatch(text)
    if found is None:
        return None
    if found[1] not in IDENTIFYING:
        raise click.UsageError(
            f"a digest is one of {', '.join(sorted(IDENTIFYING))}; a file of that name is ./{text}"
        )
    if len(found[2]) not in (40, 64, 96, 128):
        raise click.UsageError(f"{found[1]}: {len(found[2])} characters are no whole digest")
    return {found[1]: found[2].lower()}


def _digests(voice: Voice, path: Path, trust: Trust | None, at: datetime) -> Mapping[str, str]:
    """Both digests of an artifact."""
    from attest.flow.subject import subject_from_content, subject_from_signature

    if trust is not None:
        return subject_from_signature(path, trust, at).digests
    progress = bar(quiet=voice.quiet)
    with progress or contextlib.nullcontext():
        return subject_from_content(path, progress=progress).digests


def _draw(voice: Voice, view: Ancestry, verdict: Verdict) -> None:
    from attest.claim.lineage_view import dot_lines

    notes = [
        f"{finding.outcome}: {finding.code}: {finding.where or ''} {finding.message}"
        for finding in verdict.findings
        if finding.outcome in (Severity.WARN, Severity.FAIL, Severity.ERROR)
    ]
    for line in dot_lines(view, notes):
        voice.say(line)


def _tell(voice: Voice, what: str, verdict: Verdict, view: Ancestry | None) -> None:
    good = verdict.outcome is Outcome.PASS
    if good and voice.quiet:
        return
    if view is not None:
        from attest.claim.lineage_view import tree_lines

        for line in tree_lines(view, plain=not draws_unicode()):
            voice.say(line)
    if good:
        things = len(view.levels) - len(view.roots) if view is not None else 0
        voice.headline("lineage", f"{counted(things, 'thing')} led to {what}", "good")
    else:
        voice.headline("refused", what, "bad")
    tell_findings(voice, verdict)


def tell_findings(voice: Voice, verdict: Verdict) -> None:
    """Findings that somebody who relies on the answer should know, or all with ``--verbose``."""
    shown = {Severity.FAIL, Severity.ERROR, Severity.WARN}
    if voice.verbose:
        shown |= {Severity.INFO, Severity.PASS}
    voice.findings(finding for finding in verdict.findings if finding.outcome in shown)


def refuse_warnings(verdict: Verdict) -> Verdict:
    """The same verdict, refused if it warns."""
    from attest.verdict import Finding

    warnings = sum(finding.outcome is Severity.WARN for finding in verdict.findings)
    if not warnings:
        return verdict
    refusal = Finding(
        "warnings-refused", Severity.FAIL, f"{counted(warnings, 'warning')} with --fail-on-warn"
    )
    return Verdict.conclude(
        (*verdict.findings, refusal), subject=verdict.subject, inputs=verdict.inputs, at=verdict.at
    )


def draws_unicode() -> bool:
    """Whether the lines of a tree can be written to stdout."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    try:
        "├─└│…".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@contextlib.contextmanager
def without_collector() -> Iterator[None]:
    """Without the collector of cyclic garbage.

    A lineage has none, and looking for it again and again among 10^6 objects takes as long as
    building it.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
