"""``attest provenance verify``: was this built by whom, and from what, I expect?"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest.verdict import Outcome, Severity, Verdict
from attest_cli.commands.provenance_show import provenance_lines
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice
from attest_cli.pairs import option_value
from attest_cli.trusting import TrustOptions, trust_options


@click.command(
    cls=Verb,
    name="provenance verify",
    schema="urn:attest-toolkit:provenance-verify:v1",
    examples=(
        "attest provenance verify model --bundle model.claims.jsonl --key release.pub"
        " --builder-id https://ci.example.com/trainer/v1",
    ),
)
@click.argument("path", type=FILE, required=False)
@click.option(
    "--bundle", required=True, type=FILE, metavar="FILE", help="Attestations: bundle, JSON lines, …"
)
@click.option("--builder-id", required=True, metavar="URI", help="Who must have built it, exactly.")
@click.option(
    "--source-uri", metavar="URI", help="Repository, such as https://github.com/org/repo."
)
@click.option("--source-ref", metavar="REF", help="Such as refs/heads/main, exactly.")
@click.option("--tag", metavar="TAG", help="Short for --source-ref refs/tags/TAG.")
@click.option(
    "--source-version", metavar="V", help="A release tag: v1.2 is met by v1.2.0, not by v1.20."
)
@click.option("--source-digest", metavar="COMMIT", help="Commit, in full.")
@click.option("--build-type", metavar="URI", help="Build type, exactly.")
@click.option(
    "--digest",
    multiple=True,
    metavar="ALGORITHM:HEX",
    help="Instead of PATH, such as the digest of a container image; repeatable.",
)
@trust_options
@click.option(
    "--at", callback=moment, metavar="TIME", help="Judge for this time (RFC 3339), not now."
)
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path | None,
    bundle: Path,
    builder_id: str,
    source_uri: str | None,
    source_ref: str | None,
    tag: str | None,
    source_version: str | None,
    source_digest: str | None,
    build_type: str | None,
    digest: tuple[str, ...],
    at: datetime | None,
    **trusted: Any,
) -> Exit:
    """Verify that FILE says how PATH was built, that somebody trusted says so, and what is said.

    Reads provenance of GitHub, GitLab, slsa-github-generator, npm, PyPI, Google Cloud Build and of
    this toolkit. Uses no network. What is expected must be said, exactly; a provenance that is
    silent about it is refused.
    """
    if (path is None) is (not digest):
        raise click.UsageError("give PATH or --digest ALGORITHM:HEX, and only one of the two")
    if tag is not None:
        if source_ref is not None:
            raise click.UsageError("choose one of --tag and --source-ref")
        source_ref = f"refs/tags/{tag}"

    from attest.flow.expectations import Expectations
    from attest.flow.provenance import verify_provenance

    try:
        expected = Expectations(
            builder_id, source_uri, source_ref, source_version, source_digest, build_type
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    trust = TrustOptions(**trusted).load()
    with option_value("--digest"):
        verdict = verify_provenance(
            bundle,
            artifact=path,
            digests=_digests(digest),
            expected=expected,
            trust=trust,
            at=at or datetime.now(UTC),
        )
    voice.emit(verdict)
    _tell(voice, verdict, str(path or ", ".join(digest)))
    return for_outcome(verdict.outcome)


def _digests(texts: tuple[str, ...]) -> dict[str, str] | None:
    from attest.flow.materials import parse_digests

    if not texts:
        return None
    found = parse_digests(",".join(texts))
    if found is None:
        raise click.UsageError("--digest takes ALGORITHM:HEX, such as sha256:3f…")
    return found


def _tell(voice: Voice, verdict: Verdict, what: str) -> None:
    good = verdict.outcome is Outcome.PASS
    if good and voice.quiet:
        return
    word, mood = ("verified", "good") if good else ("refused", "bad")
    if verdict.outcome is Outcome.ERROR:
        word, mood = "not judged", "unsure"
    voice.headline(word, what, mood)
    if good:
        for facts in verdict.subject["provenance"]:
            for line in provenance_lines(facts):
                voice.say(f"  {line}")
    shown = {Severity.FAIL, Severity.ERROR, Severity.WARN}
    if voice.verbose:
        shown |= {Severity.INFO, Severity.PASS}
    voice.findings(finding for finding in verdict.findings if finding.outcome in shown)
