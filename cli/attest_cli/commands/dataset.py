"""``attest dataset``: claim where data came from and what may be done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit
from attest_cli.material import about
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice

_SINGLE: Final = {
    "consent_basis": "consentBasis",
    "personal_data": "personalData",
    "contact": "contact",
    "dataset_version": "version",
}
_LISTED: Final = {
    "licence": "licences",
    "jurisdiction": "jurisdictions",
    "permitted_use": "permittedUses",
    "forbidden_use": "forbiddenUses",
}


@click.command(
    cls=Verb,
    name="dataset",
    schema="urn:attest-toolkit:dataset-claim:v1",
    examples=(
        "attest dataset dataset --card card.json --key release.key",
        "attest dataset dataset --source https://data.example.com/corpus --licence CC-BY-4.0"
        " --consent-basis licence --personal-data none --jurisdiction DE --jurisdiction EU"
        " --permitted-use training --forbidden-use surveillance --retain-until 2035-01-01"
        " --deletion 'all copies are erased' --contact data@example.com --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.option(
    "--card", type=FILE, metavar="FILE", help="The card, in JSON or YAML; options go before it."
)
@click.option("--source", multiple=True, metavar="URI", help="Where it came from; repeatable.")
@click.option(
    "--licence", multiple=True, metavar="SPDX", help="SPDX expression, or unknown; repeatable."
)
@click.option("--consent-basis", metavar="B", help="consent, contract, licence, …, or unknown.")
@click.option("--personal-data", metavar="C", help="none, pseudonymised, personal, …, or unknown.")
@click.option(
    "--jurisdiction",
    multiple=True,
    metavar="CC",
    help="ISO 3166-1 code, EU or unknown; repeatable.",
)
@click.option(
    "--permitted-use", multiple=True, metavar="U", help="Such as training; any; repeatable."
)
@click.option(
    "--forbidden-use", multiple=True, metavar="U", help="Such as surveillance; none; repeatable."
)
@click.option("--retain-until", metavar="DATE", help="Date on which it is deleted (YYYY-MM-DD).")
@click.option("--retain-for", metavar="PERIOD", help="ISO 8601 duration, such as P2Y.")
@click.option("--deletion", metavar="TEXT", help="How it is deleted then.")
@click.option("--contact", metavar="C", help="E-mail address or URI, or unknown.")
@click.option("--dataset-version", metavar="V", help="As its makers count.")
@claim_options
@click.pass_obj
def command(voice: Voice, /, path: Path, card: Path | None, **options: Any) -> Exit:
    """Claim the governance of the dataset at PATH: sources, licences, consent, uses, retention.

    Nothing has a default: what is not known is said to be `unknown`. Contradictions are refused,
    such as one use that is both permitted and forbidden.
    """
    given = _given(options)
    author = Author.of(path, options)

    from attest import limits
    from attest.claim.predicates import DATASET_PREDICATE
    from attest.files import read_bounded
    from attest.flow.dataset import dataset_claim, read_card

    document: dict[str, Any] = {}
    if card is not None:
        with about(card):
            document = read_card(read_bounded(card, limits.MAX_CARD_BYTES, "card", allow_pipe=True))
    claim, findings = dataset_claim({**document, **given})
    with author.session(voice) as session:
        recorded = session.record(DATASET_PREDICATE, claim.to_predicate())
        return session.report(
            recorded,
            "dataset governance",
            [
                f"licences   {', '.join(claim.licences)}",
                f"personal   {claim.personal_data} (basis: {claim.consent_basis})",
                f"permitted  {', '.join(claim.permitted_uses)}",
                f"forbidden  {', '.join(claim.forbidden_uses)}",
            ],
            details={"dataset": claim.to_predicate()},
            findings=findings,
        )


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The members that options name; taken out of ``options``.

    Raises:
        click.UsageError: two ways to say how long it is kept.
    """
    found: dict[str, Any] = {}
    for option, member in _SINGLE.items():
        value = options.pop(option)
        if value is not None:
            found[member] = value
    for option, member in _LISTED.items():
        values = options.pop(option)
        if values:
            found[member] = list(values)
    sources = options.pop("source")
    if sources:
        found["sources"] = [{"uri": uri} for uri in sources]
    until, period, deletion = (
        options.pop(name) for name in ("retain_until", "retain_for", "deletion")
    )
    if until is not None and period is not None:
        raise click.UsageError("choose one of --retain-until and --retain-for")
    kept = {"until": until, "period": period, "deletion": deletion}
    if any(value is not None for value in kept.values()):
        if until is None and period is None:
            raise click.UsageError("--deletion needs --retain-until or --retain-for")
        found["retention"] = {key: value for key, value in kept.items() if value is not None}
    return found
