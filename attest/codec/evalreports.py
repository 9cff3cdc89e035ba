"""Result files of lm-evaluation-harness (EleutherAI), versions 0.3 to 0.4.

Layout, as far as it is read::

    results        {task: {"metric,filter": number, "metric_stderr,filter": number | "N/A", …}}
    groups         {group: {…as results…}}; also listed in results
    group_subtasks {group: [task, …]}
    versions       {task: number | text}
    n-samples      {task: {"original": int, "effective": int}}
    higher_is_better {task: {metric: bool}}
    config         {"model_name" | "model", "limit", "random_seed", …}
    git_hash, lm_eval_version, model_name, transformers_version: text

Before 0.4 metrics had no filter (``acc``, ``acc_stderr``). JSON of the harness may hold ``NaN``
where a metric failed; that is no JSON, and refuses the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.errors import MalformedInput, TooLarge

_NOT_METRICS: Final = {"alias", "name", "sample_len", "sample_count", "samples"}


@dataclass(frozen=True, slots=True)
class HarnessValue:
    """One measured value.

    Attributes:
        task: name of the task or group.
        version: of the task, as text; empty where not given.
        metric: without filter.
        filter: how answers were taken from the output; None in reports before 0.4.
        value: int or float; None where the report holds no number (``N/A``).
        stderr: likewise.
        effective, original: samples that were used, and that there are; None where not given.
        higher_is_better: None where not given.
    """

    task: str
    version: str
    metric: str
    filter: str | None
    value: int | float | None
    stderr: int | float | None
    effective: int | None
    original: int | None
    higher_is_better: bool | None

    @property
    def full_metric(self) -> str:
        """``metric,filter``, or the metric where there is no filter."""
        return self.metric if self.filter is None else f"{self.metric},{self.filter}"


@dataclass(frozen=True, slots=True)
class HarnessReport:
    """One result file; unverified, as everything in it is.

    Attributes:
        values: in the order of the file.
        model: what the harness calls the model; empty where not given.
        limited: whether only part of the samples were asked for.
        environment: texts about the run, such as versions and seeds.
    """

    values: tuple[HarnessValue, ...]
    model: str
    limited: bool
    environment: Mapping[str, str]


def parse_harness_report(data: bytes) -> HarnessReport:
    """Parse a ``results_*.json``.

    Raises:
        MalformedInput, TooLarge: not such a file, or nothing was measured.
    """
    what = "result file"
    document = jsonstrict.typed(
        jsonstrict.loads(data, what=what, max_bytes=limits.MAX_HARNESS_BYTES), dict, where=what
    )
    results = jsonstrict.member(document, "results", dict, where=what)
    values, samples = [], _Samples(document)
    for task in results:
        members = jsonstrict.member(results, task, dict, where="results")
        for value in _values(document, task, members, samples.of(task)):
            values.append(value)
            if len(values) > limits.MAX_EVALUATIONS:
                raise TooLarge(f"more than {limits.MAX_EVALUATIONS} measured values", where=what)
    if not values:
        raise MalformedInput("holds no measured value", where=what, code="no-test")
    config = jsonstrict.optional(document, "config", dict, where=what) or {}
    model = document.get("model_name") or config.get("model_name") or config.get("model") or ""
    return HarnessReport(
        tuple(values),
        model if isinstance(model, str) else "",
        config.get("limit") is not None,
        dict(_environment(document, config)),
    )


def _values(
    document: dict[str, Any],
    task: str,
    members: dict[str, Any],
    samples: tuple[int | None, int | None],
) -> Iterator[HarnessValue]:
    """The values of one task; a key with a comma makes it a report of 0.4 or later."""
    filtered = any("," in key for key in members)
    for key, value in members.items():
        metric, comma, filter_name = key.partition(",")
        if (bool(comma) is not filtered) or metric.endswith("_stderr") or key in _NOT_METRICS:
            continue
        stderr = members.get(f"{metric}_stderr{comma}{filter_name}")
        yield HarnessValue(
            task,
            _version(document, task),
            metric,
            filter_name if comma else None,
            _number(value),
            _number(stderr),
            *samples,
            _direction(document, task, metric),
        )


def _number(value: Any) -> int | float | None:
    """A number that the report holds; everything else was not measured (``True`` is no number)."""
    return value if type(value) in (int, float) else None


class _Samples:
    """How many samples went into a task; of a group, those of its tasks together, if all are known.

    Groups may list each other; the walk over all of them together is bounded.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        where = "result file"
        self._samples = jsonstrict.optional(document, "n-samples", dict, where=where) or {}
        self._groups = jsonstrict.optional(document, "group_subtasks", dict, where=where) or {}
        self._steps = 100 * limits.MAX_EVALUATIONS

    def of(self, task: str) -> tuple[int | None, int | None]:
        """Used and existing samples; None where not given."""
        effective = original = 0
        for name in self._leaves(task):
            counted = jsonstrict.optional(self._samples, name, dict, where="n-samples")
            if counted is None:
                return None, None
            where = f"n-samples.{name}"
            effective += jsonstrict.member(counted, "effective", int, where=where)
            original += jsonstrict.optional(counted, "original", int, where=where) or 0
        return effective, original or None

    def _leaves(self, task: str) -> Iterator[str]:
        """The tasks below a group, each once; a task itself."""
        waiting, seen = [task], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            inner = self._groups.get(name)
            if name in self._samples or not (isinstance(inner, list) and inner):
                yield name
                continue
            self._steps -= len(inner)
            if self._steps < 0:
                raise TooLarge("groups list each other too often", where="group_subtasks")
            waiting += [each for each in inner if isinstance(each, str)]


def _version(document: dict[str, Any], task: str) -> str:
    versions = jsonstrict.optional(document, "versions", dict, where="result file") or {}
    version = versions.get(task)
    return "" if version is None or isinstance(version, dict | list) else str(version)


def _direction(document: dict[str, Any], task: str, metric: str) -> bool | None:
    tasks = jsonstrict.optional(document, "higher_is_better", dict, where="result file") or {}
    metrics = jsonstrict.optional(tasks, task, dict, where="higher_is_better") or {}
    value = metrics.get(metric)
    return value if isinstance(value, bool) else None


def _environment(document: dict[str, Any], config: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What else says how it was measured; texts and numbers only, cut where they are long."""
    named = {
        "harnessVersion": document.get("lm_eval_version"),
        "harnessCommit": document.get("git_hash"),
        "transformersVersion": document.get("transformers_version"),
        "randomSeed": config.get("random_seed"),
        "numpySeed": config.get("numpy_seed"),
        "torchSeed": config.get("torch_seed"),
        "fewshotSeed": config.get("fewshot_seed"),
        "limit": config.get("limit"),
        "modelArgs": config.get("model_args"),
    }
    for key, value in named.items():
        if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
            yield key, str(value)[: limits.MAX_CLAIM_TEXT]
