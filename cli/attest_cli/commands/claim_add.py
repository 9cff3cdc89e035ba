"""``attest claim add``: sign a claim of any type, sign one that is there, or add a signed one."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest.verdict import Finding, Severity, Verdict
from attest_cli import material
from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit, for_outcome
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice
from attest_cli.signedby import SIGNED_BY_OPTIONS


@click.command(
    cls=Verb,
    name="claim add",
    schema="urn:attest-toolkit:claim-add:v1",
    examples=(
        "attest claim add model --type https://example.com/review/v1 --predicate review.json"
        " --key release.key",
        "attest claim add model --signed review.dsse.json --signed-by release.pub",
    ),
)
@click.argument("path", type=FILE)
@click.option("--type", "predicate_type", metavar="URI", help="Predicate type of a new claim.")
@click.option("--predicate", type=FILE, metavar="FILE", help="Its predicate, a JSON object.")
@click.option("--cosign", metavar="ID", help="Sign a claim that is already there, by its id.")
@click.option(
    "--signed", type=FILE, metavar="FILE", help="Add this envelope or bundle; it is not verified."
)
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    predicate_type: str | None,
    predicate: Path | None,
    cosign: str | None,
    signed: Path | None,
    **options: Any,
) -> Exit:
    """Add a claim about PATH: a new one (--type, --predicate), a further signature (--cosign), or
    one that somebody else has signed (--signed).

    A predicate type that is known here is checked before it is signed; any other is carried as it
    is, and never interpreted.
    """
    ways = sum((predicate_type is not None or predicate is not None, bool(cosign), bool(signed)))
    if ways != 1 or (predicate_type is None) is not (predicate is None):
        raise click.UsageError("give --type with --predicate, or --cosign, or --signed")
    if signed is not None:
        return _add_signed(voice, path, signed, options)
    author = Author.of(path, options)

    from attest.errors import AttestError
    from attest.flow.claiming import check_predicate, statement_to_cosign

    if cosign is not None:
        with author.session(voice) as session:
            statement = statement_to_cosign(author.path, cosign, session.subject, author.claims)
            recorded = session.record_statement(statement)
            return session.report(recorded, "signature under a claim")
    assert predicate is not None
    assert predicate_type is not None
    content = material.read_json(predicate, "predicate")
    try:
        check_predicate(predicate_type, content)
    except AttestError as error:
        raise error.within(str(predicate)) from None
    with author.session(voice) as session:
        recorded = session.record(predicate_type, content)
        return session.report(recorded, f"claim of type {predicate_type}")


def _add_signed(voice: Voice, path: Path, signed: Path, options: dict[str, Any]) -> Exit:
    from attest.files import read_bounded
    from attest.flow.claiming import add_signed
    from attest.limits import MAX_JSON_BYTES

    # Without keys, who signed the artifact can only be said with --signed-by or --rehash.
    given = set(options) - {"claims", "signature", "rehash", *SIGNED_BY_OPTIONS}
    if any(options[name] for name in given):
        raise click.UsageError("--signed adds a claim as it is: not with a key to sign with")
    subject = Author.subject_for_reader(voice, path, options)
    line = read_bounded(signed, MAX_JSON_BYTES, "claim", allow_pipe=True)
    with material.about(signed):
        added = add_signed(path, line, subject, claims=options["claims"])
    voice.tell(f"added: {added.predicate_type}")
    voice.tell(f"  claim      {added.claim_id} (not verified)")
    voice.tell(f"  claims     {added.claims}")
    if not voice.quiet:
        voice.findings(added.findings)
    done = Finding("claim-added", Severity.PASS, "added, not verified", str(added.claims))
    verdict = Verdict.conclude(
        (done, *added.findings),
        subject={"name": subject.name, "digests": dict(subject.digests), "claim": added.claim_id},
        inputs={"claim": f"sha256:{added.claim_id}"},
        at=datetime.now(UTC),
    )
    voice.emit(verdict)
    return for_outcome(verdict.outcome)
