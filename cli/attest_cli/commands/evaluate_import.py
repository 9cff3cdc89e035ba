"""``attest evaluate import``: claim what an evaluation harness or test runner reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest_cli.claiming import Author, claim_options
from attest_cli.commands.evaluate import dataset_option, environment_option, result_lines
from attest_cli.exits import Exit
from attest_cli.material import about
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice
from attest_cli.pairs import option_value

if TYPE_CHECKING:
    from attest.claim.resources import ResourceDescriptor
    from attest.flow.evaluation import Imported


@click.command(
    cls=Verb,
    name="evaluate import",
    schema="urn:attest-toolkit:evaluation-claim:v1",
    examples=(
        "attest evaluate import model --lm-eval results.json --threshold 'arc_easy/acc>=0.4'"
        " --key release.key",
        "attest evaluate import model --junit report.xml --suite-version 1.0"
        " --threshold 'smoke/pass-rate>=0.9' --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.option("--lm-eval", type=FILE, metavar="FILE", help="results_*.json of lm-eval-harness.")
@click.option("--junit", type=FILE, metavar="FILE", help="JUnit XML of a test runner.")
@click.option(
    "--threshold",
    multiple=True,
    metavar="T",
    help="'TASK/METRIC>=0.5', 'TASK/METRIC,FILTER<2', 'SUITE/pass-rate>=1'; repeatable.",
)
@click.option("--all", "everything", is_flag=True, help="lm-eval: also what has no threshold.")
@click.option("--suite-version", metavar="V", help="JUnit: version of the tests.")
@click.option(
    "--dataset",
    multiple=True,
    metavar="TASK=DIGEST",
    help="What a task is measured on; repeatable.",
)
@click.option("--environment", multiple=True, metavar="K=V", help="JUnit: what else matters.")
@claim_options
@click.pass_obj
def command(
    voice: Voice,
    /,
    path: Path,
    lm_eval: Path | None,
    junit: Path | None,
    threshold: tuple[str, ...],
    everything: bool,
    suite_version: str | None,
    dataset: tuple[str, ...],
    environment: tuple[str, ...],
    **options: Any,
) -> Exit:
    """Claim the evaluation of the artifact at PATH that a report holds.

    A threshold must fit exactly one measured value. With thresholds, only what has one is claimed
    (--all: the rest too, as WARNED); without any, all is WARNED. Of JUnit reports each suite must
    pass whole unless its threshold says otherwise; skipped tests did not pass.
    """
    author = Author.of(path, options)
    if (lm_eval is None) is (junit is None):
        raise click.UsageError("give one report: --lm-eval FILE, or --junit FILE")
    if lm_eval is not None:
        if suite_version is not None or environment:
            raise click.UsageError("--suite-version and --environment are for --junit")
        imported = _lm_eval(lm_eval, threshold, everything, dataset)
    else:
        assert junit is not None
        if everything or dataset:
            raise click.UsageError("--all and --dataset are for --lm-eval")
        if suite_version is None:
            raise click.UsageError("--junit needs --suite-version: a report does not say")
        imported = _junit(junit, threshold, suite_version, environment)

    from attest.claim.predicates import TEST_RESULT_PREDICATE

    with author.session(voice) as session:
        recorded = session.record(TEST_RESULT_PREDICATE, imported.result.to_predicate())
        return session.report(
            recorded,
            f"evaluation ({imported.result.result})",
            result_lines(imported.result),
            details={"testResult": imported.result.to_predicate()},
            findings=imported.findings,
        )


def _lm_eval(
    file: Path, thresholds: tuple[str, ...], everything: bool, datasets: tuple[str, ...]
) -> Imported:
    from attest.flow.evaluation import import_lm_eval, parse_threshold

    with option_value("--threshold"):
        wanted = [parse_threshold(text) for text in thresholds]
    known: dict[str, ResourceDescriptor] = {}
    for text in datasets:
        named = dataset_option("--dataset", text)
        assert named.name is not None
        if named.name in known:
            raise click.UsageError(f"--dataset names {named.name!r} twice")
        known[named.name] = named
    data, report = _report(file)
    with about(file):
        return import_lm_eval(data, wanted, everything=everything, datasets=known, report=report)


def _junit(
    file: Path, thresholds: tuple[str, ...], version: str, environment: tuple[str, ...]
) -> Imported:
    from attest.flow.evaluation import import_junit, parse_threshold

    with option_value("--threshold"):
        wanted = [parse_threshold(text) for text in thresholds]
    data, report = _report(file)
    with about(file):
        return import_junit(
            data,
            wanted,
            version=version,
            environment=environment_option(environment),
            report=report,
        )


def _report(file: Path) -> tuple[bytes, ResourceDescriptor]:
    """The report, and how the claim names it."""
    from attest import limits
    from attest.claim.resources import ResourceDescriptor
    from attest.digest import Digest
    from attest.files import read_bounded

    data = read_bounded(file, limits.MAX_HARNESS_BYTES, "report", allow_pipe=True)
    return data, ResourceDescriptor({"sha256": Digest.of(data).hex}, file.name)
