"""``attest approve withdraw``: take back an approval, or any other claim of one's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest.verdict import Finding, Severity
from attest_cli.claiming import Author, Session, claim_options
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice


@click.command(
    cls=Verb,
    name="approve withdraw",
    schema="urn:attest-toolkit:withdraw:v1",
    examples=(
        "attest approve withdraw approved $(head -c 64 approval.id)"
        " --reason 'regression found' --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.argument("claim")
@click.option("--reason", required=True, metavar="TEXT", help="For people.")
@claim_options
@click.pass_obj
def command(voice: Voice, /, path: Path, claim: str, reason: str, **options: Any) -> Exit:
    """Revoke CLAIM, a claim of one's own about PATH, by its id (`attest claim list` shows it).

    It no longer counts for the principals that sign this. A line can be cut out of a file:
    whoever decides must also hear of the withdrawal in another way. A claim that is not here is
    warned of, since it may come with another file; so is one that somebody else signed.
    """
    author = Author.of(path, options)

    from attest.claim.predicates import REVOCATION_PREDICATE
    from attest.claim.revocation import Revocation
    from attest.flow.claiming import knows_claim

    try:
        revocation = Revocation(claim, reason, datetime.now(UTC).replace(microsecond=0))
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with author.session(voice) as session:
        findings = []
        if not knows_claim(path, claim, author.claims):
            text = "no claim here has this id"
            findings.append(Finding("claim-unknown", Severity.WARN, text, where=claim))
        elif not _is_own(author, session, claim):
            text = "none of these keys signed it: it goes on counting for whoever did"
            findings.append(Finding("claim-of-others", Severity.WARN, text, where=claim))
        recorded = session.record(REVOCATION_PREDICATE, revocation.to_predicate())
        return session.report(
            recorded,
            "revocation",
            [f"of         {claim}", f"reason     {reason}"],
            details={"revocation": revocation.to_predicate()},
            findings=findings,
        )


def _is_own(author: Author, session: Session, claim: str) -> bool:
    """Whether one of the keys signed the claim too; taken to be so with a certificate."""
    from attest.artifact.names import default_claims
    from attest.flow.claimset import load_claims
    from attest.trust.principals import Principal, Principals
    from attest.trust.signers import KeyTrust

    if author.keys.certificate is not None:
        return True
    ways = tuple(KeyTrust((each.public_key,)) for each in session.signers)
    place = author.claims or default_claims(author.path)
    own = Principals([Principal("own", ways)])
    _, read = load_claims(place, principals=own, at=datetime.now(UTC))
    return any(each.id == claim for each in (*read.verified, *read.withdrawn))
