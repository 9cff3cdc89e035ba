"""``attest lineage impact``: this is compromised; what derives from it?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from attest.verdict import Outcome, Verdict
from attest_cli.claiming import load_principals, principal_options
from attest_cli.commands.lineage_show import (
    LINEAGE_SCHEMA,
    parse_digest,
    refuse_warnings,
    tell_findings,
    without_collector,
)
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice, counted

if TYPE_CHECKING:
    from attest.claim.lineage import Lineage, Reached


@click.command(
    cls=Verb,
    name="lineage impact",
    schema=LINEAGE_SCHEMA,
    examples=(
        "attest lineage impact --signer alice --principal alice=release.pub"
        " --claims approved.claims.jsonl",
    ),
)
@click.argument("digest", required=False)
@click.option(
    "--signer",
    metavar="NAME|FINGERPRINT",
    help="Instead of DIGEST: everything that this principal or key has claimed.",
)
@click.option(
    "--claims",
    type=FILE,
    multiple=True,
    required=True,
    metavar="FILE|DIR",
    help="Claims; of a folder, every *.claims.jsonl below; repeatable.",
)
@principal_options
@click.option("--at", callback=moment, metavar="TIME", help="Judge for this time, not now.")
@click.option("--fail-on-warn", is_flag=True, help="Refuse where there is a warning.")
@click.pass_obj
def command(
    voice: Voice,
    /,
    digest: str | None,
    signer: str | None,
    claims: tuple[Path, ...],
    principal: tuple[str, ...],
    principal_ca: tuple[tuple[str, Path, str], ...],
    key: tuple[Path, ...],
    at: datetime | None,
    fail_on_warn: bool,
) -> Exit:
    """List what derives from DIGEST, directly or not. Uses no network.

    DIGEST is sha256:HEX, attestTreeV1:HEX or gitCommit:HEX of a dataset, model, commit or image.
    A digest that no claim mentions is refused: that is no answer. Claims that could not be verified
    are not followed, and the answer says that it may be incomplete.
    """
    if (digest is None) is (signer is None):
        raise click.UsageError("give a DIGEST, or --signer NAME or FINGERPRINT")
    digests = None if digest is None else parse_digest(digest)
    if digest is not None and digests is None:
        raise click.UsageError(f"{digest!r} is no digest: write sha256:HEX or gitCommit:HEX")
    principals = load_principals(principal, key, principal_ca)

    from attest.flow.gather import load_lineage
    from attest.flow.lineage import lineage_impact

    judged = at or datetime.now(UTC)
    with without_collector():
        loaded = load_lineage(claims, principals=principals, at=judged)
        verdict, derived = lineage_impact(loaded, at=judged, digests=digests, signer=signer)
    verdict = refuse_warnings(verdict) if fail_on_warn else verdict
    voice.emit(verdict)
    claimed = [] if signer is None else _claimed(loaded.lineage, signer)
    _tell(voice, digest or f"claims of {signer}", verdict, loaded.lineage, claimed, derived)
    return for_outcome(verdict.outcome)


def _claimed(lineage: Lineage, signer: str) -> list[int]:
    """What a signer's claims are about: in doubt itself, not only what derives from it."""
    found = {node for each in lineage.claimed_by(signer) for node in lineage.outputs(each)}
    return sorted(found, key=lineage.order)


def _tell(
    voice: Voice,
    asked: str,
    verdict: Verdict,
    lineage: Lineage,
    claimed: list[int],
    derived: list[Reached],
) -> None:
    good = verdict.outcome is Outcome.PASS
    if good and voice.quiet:
        return
    if good:
        about = f"{counted(len(claimed), 'thing')} in {asked}, and " if claimed else ""
        verb = "derives" if len(derived) == 1 else "derive"
        also = "more " if claimed else ""
        count = counted(len(derived), f"{also}thing")
        voice.headline(
            "impact", f"{about}{count} {verb} from {'them' if claimed else asked}", "unsure"
        )
    else:
        voice.headline("refused", asked, "bad")
    for node in claimed:
        voice.say(f"  {_claimed_line(lineage, node)}")
    for each in derived:
        voice.say(f"  {_line(lineage, each)}")
    tell_findings(voice, verdict)


def _claimed_line(lineage: Lineage, node: int) -> str:
    from attest.claim.lineage_view import quoted, short_digest, word

    found = lineage.nodes[node]
    kind = word(found.kind or "artifact")
    return f"{kind}  {short_digest(found)}  claimed  {quoted(found.name)}".rstrip()


def _line(lineage: Lineage, each: Reached) -> str:
    """One thing that derives; its name, and what it derives through, come last."""
    from attest.claim.lineage_view import quoted, short_digest, word

    node, parent = lineage.nodes[each.node], lineage.nodes[each.parent]
    perhaps = "" if each.certain else "  [perhaps: claims disagree]"
    through = f"  from {quoted(parent.name)}" if each.distance > 1 else ""
    kind = word(node.kind or "artifact")
    where = lineage.assertions[each.assertion].where if each.assertion >= 0 else ""
    step = f"  {counted(each.distance, 'step')}" if each.distance else ""
    return (
        f"{kind}  {short_digest(node)}{step}{perhaps}  {quoted(node.name)}{through}  {where}"
    ).rstrip()
