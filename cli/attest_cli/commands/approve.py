"""``attest approve``: one person lets an artifact into an environment, or does not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb, moment
from attest_cli.output import Voice


@click.command(
    cls=Verb,
    name="approve",
    schema="urn:attest-toolkit:approve:v1",
    examples=(
        "attest approve model --as 'Alice Example' --role release --environment production"
        " --key release.key",
        "attest approve model --as 'Alice Example' --role safety --environment production"
        " --ring canary --valid-until 2036-01-01T00:00:00Z --condition 'rate limit 10/s'"
        " --key archive.key --passphrase-file secret.txt --signed-by release.pub",
    ),
)
@click.argument("path", type=FILE)
@click.option("--as", "approver", required=True, metavar="NAME", help="Who approves.")
@click.option("--role", required=True, metavar="R", help="In which role, such as `safety`.")
@click.option("--environment", required=True, metavar="E", help="For which one; or `any`.")
@click.option("--ring", metavar="G", help="For a part of it only, such as `canary`.")
@click.option("--valid-until", callback=moment, metavar="TIME", help="Not counted after that.")
@click.option(
    "--condition",
    multiple=True,
    metavar="TEXT",
    help="Counted only for those who accept this; repeatable.",
)
@click.option(
    "--reviewed", multiple=True, metavar="ID", help="Claim that was looked at; repeatable."
)
@click.option("--comment", metavar="TEXT", help="For people.")
@click.option("--reject", is_flag=True, help="Reject it instead.")
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    approver: str,
    role: str,
    environment: str,
    ring: str | None,
    valid_until: datetime | None,
    condition: tuple[str, ...],
    reviewed: tuple[str, ...],
    comment: str | None,
    reject: bool,
    **options: Any,
) -> Exit:
    """Approve the artifact at PATH for an environment, as a signed claim beside it.

    What is approved are its digests: those that its signature states (--signed-by says whose
    signature you believe), or with --rehash those of the content that lies there. An approval is
    withdrawn with `attest approve withdraw`, not by deleting its line.
    """
    author = Author.of(path, options)

    from attest.claim.approval import Approval
    from attest.claim.predicates import APPROVAL_PREDICATE
    from attest.flow.approval import describe

    try:
        approval = Approval(
            decision="reject" if reject else "approve",
            approver=approver,
            role=role,
            environment=environment,
            approved_on=datetime.now(UTC).replace(microsecond=0),
            ring=ring,
            valid_until=valid_until,
            conditions=condition,
            reviewed=reviewed,
            comment=comment,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    with author.session(voice) as session:
        recorded = session.record(APPROVAL_PREDICATE, approval.to_predicate())
        return session.report(
            recorded,
            "rejection" if reject else "approval",
            describe(approval),
            details={"approval": approval.to_predicate()},
        )
