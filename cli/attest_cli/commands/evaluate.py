"""``attest evaluate``: claim what was measured, and whether it is good enough."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from attest_cli.claiming import Author, claim_options
from attest_cli.exits import Exit
from attest_cli.options import FILE, Verb
from attest_cli.output import Voice
from attest_cli.pairs import option_value, split_pair, unique_pairs

if TYPE_CHECKING:
    from attest.claim.evaluation import Evaluation, TestResult, Threshold
    from attest.claim.resources import ResourceDescriptor


@click.command(
    cls=Verb,
    name="evaluate",
    schema="urn:attest-toolkit:evaluation-claim:v1",
    examples=(
        "attest evaluate model --suite safety --suite-version 2.1 --metric refusal-rate"
        " --value 0.994 --comparator '>=' --threshold 0.99 --sample-size 5000 --key release.key",
    ),
)
@click.argument("path", type=FILE)
@click.option("--suite", required=True, metavar="S", help="Name of the suite.")
@click.option("--suite-version", required=True, metavar="V", help="Its version.")
@click.option("--task", metavar="T", help="Part of the suite.")
@click.option("--metric", required=True, metavar="M", help="What was measured.")
@click.option("--value", required=True, metavar="X", help="The measured value.")
@click.option("--stderr", metavar="E", help="Its standard error.")
@click.option("--comparator", metavar="C", help=">=, >, <=, < or ==; with --threshold.")
@click.option("--threshold", metavar="T", help="What the value is held against.")
@click.option("--sample-size", required=True, metavar="N", help="How many samples went in.")
@click.option("--dataset", metavar="NAME=DIGEST", help="What it was measured on.")
@click.option(
    "--environment", multiple=True, metavar="K=V", help="What else matters, such as hardware."
)
@claim_options
@click.pass_obj
def command(voice: Voice, /, path: Path, **options: Any) -> Exit:
    """Claim an evaluation of the artifact at PATH.

    The result follows from value, comparator and threshold, and cannot be stated: PASSED or
    FAILED; without a threshold WARNED, since something was measured and nothing was judged. A
    claim of a failed evaluation is a claim all the same: the exit code is 0.
    """
    evaluation = _evaluation(options)
    author = Author.of(path, options)

    from attest.claim.evaluation import TestResult
    from attest.claim.predicates import TEST_RESULT_PREDICATE

    result = TestResult.of([evaluation])
    with author.session(voice) as session:
        recorded = session.record(TEST_RESULT_PREDICATE, result.to_predicate())
        return session.report(
            recorded,
            f"evaluation ({result.result})",
            result_lines(result),
            details={"testResult": result.to_predicate()},
        )


def result_lines(result: TestResult, most: int = 20) -> list[str]:
    """The measured values in words."""
    lines = [f"{each.result:<10} {each.name} {_measured(each)}" for each in result.evaluations]
    if len(lines) > most:
        lines[most:] = [f"           ... and {len(lines) - most} more"]
    return lines


def _measured(evaluation: Evaluation) -> str:
    held = evaluation.threshold
    against = "no threshold" if held is None else f"must be {held.comparator} {held.limit!r}"
    return f"= {evaluation.value!r} ({against})"


def dataset_option(option: str, text: str) -> ResourceDescriptor:
    """``NAME=sha256:…`` as what something was measured on.

    Raises:
        click.UsageError.
    """
    from attest.claim.resources import resource
    from attest.flow.materials import parse_digests

    name, value = split_pair(option, text)
    with option_value(option):
        digests = parse_digests(value)
        if digests is not None:
            return resource("dataset", digests, name=name)
    raise click.UsageError(f"{option} takes NAME=sha256:HEX, not {text!r}")


def environment_option(texts: Iterable[str]) -> dict[str, str]:
    """``K=V`` of ``--environment``."""
    return unique_pairs("--environment", texts)


def _evaluation(options: dict[str, Any]) -> Evaluation:
    """The one record; its options are taken out of ``options``.

    Raises:
        click.UsageError: one of them makes no sense.
    """
    from attest.claim.evaluation import Evaluation
    from attest.flow.evaluation import parse_number

    taken = {
        name: options.pop(name)
        for name in ("suite", "suite_version", "task", "metric", "value", "stderr")
    }
    threshold = _threshold(options.pop("comparator"), options.pop("threshold"))
    size, dataset = options.pop("sample_size"), options.pop("dataset")
    environment = environment_option(options.pop("environment"))
    if not (size.isascii() and size.isdigit() and len(size) <= 15):
        raise click.UsageError(f"--sample-size: {size!r} is not a whole number")
    stderr = taken["stderr"]
    with option_value("the evaluation"):
        return Evaluation(
            taken["suite"],
            taken["suite_version"],
            taken["metric"],
            parse_number(taken["value"], "--value"),
            threshold,
            taken["task"],
            None if stderr is None else parse_number(stderr, "--stderr"),
            int(size),
            dataset=None if dataset is None else dataset_option("--dataset", dataset),
            environment=environment,
        )


def _threshold(comparator: str | None, limit: str | None) -> Threshold | None:
    from attest.claim.evaluation import Threshold
    from attest.flow.evaluation import parse_number

    if comparator is None and limit is None:
        return None
    if comparator is None or limit is None:
        raise click.UsageError("--comparator and --threshold go together")
    with option_value("--threshold"):
        return Threshold(comparator, parse_number(limit, "--threshold"))
