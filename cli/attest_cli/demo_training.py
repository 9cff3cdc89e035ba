"""A real, if small, training run for ``attest demo``: a classifier on top of a base model.

It learns to tell log lines about trouble from routine ones: the mean of the base model's word
embeddings goes through one trained layer, by gradient descent, in plain Python. What it reads (the
base model, the dataset) and writes (a model folder, a log) is what a provenance has to name.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attest.codec import jsonstrict
from attest.codec.safetensors import SafetensorsHeader, TensorInfo, parse_safetensors
from attest.files import FileSource, open_source

STEPS: Final = 60
LEARNING_RATE: Final = 4.0
_EMBEDDINGS: Final = ("embeddings.word_embeddings.weight", "embeddings.weight")

_TROUBLE: Final = (
    "disk failure on node {n}, data lost",
    "power supply {n} is broken and smoking",
    "unknown intruder in rack {n}, alarm raised",
    "memory error on node {n}, process killed",
    "network attack against host {n} detected",
    "cooling has failed, danger of fire in hall {n}",
)
_ROUTINE: Final = (
    "backup of node {n} finished as planned",
    "user {n} opened the weekly report",
    "new books arrived at library {n}",
    "training run {n} completed, results saved",
    "menu of canteen {n} was updated for the summer",
    "garden {n} was watered this morning",
)

_UNSEEN_TROUBLE: Final = (
    "data of node {n} damaged by a broken disk",
    "smoke in hall {n}, fire alarm",
    "attack on the power network of rack {n}",
    "host {n} killed, memory has failed",
)
_UNSEEN_ROUTINE: Final = (
    "weekly backup saved, results of user {n} in the report",
    "library {n} opened this summer",
    "new menu for canteen {n} planned",
    "books about garden {n} arrived",
)


@dataclass(frozen=True, slots=True)
class Trained:
    """What came out.

    Attributes:
        accuracy: on the held-out lines, 0 to 1.
        held_out: how many there are.
        loss: after the last step.
    """

    accuracy: float
    held_out: int
    loss: float


def write_dataset(target: Path) -> None:
    """A small labelled dataset with its card: the same each time."""
    target.mkdir()
    parts = {
        "train.jsonl": (range(1, 9), _TROUBLE, _ROUTINE),
        "test.jsonl": (range(21, 24), _UNSEEN_TROUBLE, _UNSEEN_ROUTINE),
    }
    for name, (numbers, trouble, routine) in parts.items():
        lines = [
            {"text": text.format(n=number), "label": label}
            for number in numbers
            for label, texts in ((1, trouble), (0, routine))
            for text in texts
        ]
        content = "".join(json.dumps(line) + "\n" for line in lines)
        (target / name).write_text(content, encoding="utf-8")
    (target / "README.md").write_text(
        "---\n"
        "license: cc0-1.0\n"
        "language: en\n"
        "task_categories: [text-classification]\n"
        "pretty_name: Log lines of a machine hall\n"
        "---\n\n# Log lines of a machine hall\n\nMade up for a demonstration.\n",
        encoding="utf-8",
    )


def train(base: Path, dataset: Path, target: Path, log: Path) -> Trained:
    """Train on ``dataset``, write the model to the new folder ``target`` and a log.

    Args:
        base: a model folder with word embeddings in ``model.safetensors``.

    Raises:
        AttestError: the base model or the dataset is not readable.
    """
    with open_source(base / "model.safetensors", "base model") as source:
        embed = _Embeddings(source, base / "vocab.txt")
        training = _read(dataset / "train.jsonl", embed)
        held_out = _read(dataset / "test.jsonl", embed)
    weights, losses = _descend(training)
    right = sum((_activation(weights, x) > 0.5) is (label == 1) for x, label in held_out)
    _write_model(target, weights, base)
    records = [{"step": step, "loss": round(loss, 6)} for step, loss in enumerate(losses, 1)]
    log.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return Trained(right / len(held_out), len(held_out), losses[-1])


class _Embeddings:
    """Rows of the base model's embedding table, one per known word."""

    def __init__(self, source: FileSource, vocabulary: Path) -> None:
        self._source = source
        self._header: SafetensorsHeader = parse_safetensors(source)
        tensors = {tensor.name: tensor for tensor in self._header.tensors}
        self._table: TensorInfo = next(tensors[name] for name in _EMBEDDINGS if name in tensors)
        self.width = self._table.shape[1]
        self._words: dict[str, int] | None = None
        if vocabulary.is_file():
            lines = vocabulary.read_text(encoding="utf-8").splitlines()
            self._words = {word: row for row, word in enumerate(lines)}

    def mean(self, text: str) -> list[float]:
        """The mean embedding of the words in ``text`` that the base model knows."""
        rows = [row for word in text.replace(",", " ").split() for row in self._row(word)]
        vectors = [self._read_row(row) for row in rows]
        return [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]

    def _row(self, word: str) -> Iterable[int]:
        if self._words is None:
            digest = hashlib.sha256(word.encode()).digest()
            yield int.from_bytes(digest[:8], "big") % self._table.shape[0]
        elif word in self._words and not word.isdigit():
            yield self._words[word]

    def _read_row(self, row: int) -> array[float]:
        start = self._header.data_start + self._table.begin + 4 * self.width * row
        vector = array("f", self._source.read(start, 4 * self.width))
        if sys.byteorder == "big":
            vector.byteswap()
        return vector


def _read(path: Path, embed: _Embeddings) -> list[tuple[list[float], int]]:
    examples = []
    for line in path.read_bytes().splitlines():
        document = jsonstrict.typed(jsonstrict.loads(line, what=path.name), dict, where=path.name)
        text = jsonstrict.member(document, "text", str, where=path.name)
        label = jsonstrict.member(document, "label", int, where=path.name)
        examples.append((embed.mean(text), label))
    return examples


def _activation(weights: list[float], x: list[float]) -> float:
    total = weights[-1] + sum(map(float.__mul__, weights, x))
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, total))))


def _descend(examples: list[tuple[list[float], int]]) -> tuple[list[float], list[float]]:
    """Weights (the last is the bias) and the loss of each step."""
    weights, losses = [0.0] * (len(examples[0][0]) + 1), []
    for _ in range(STEPS):
        gradient, loss = [0.0] * len(weights), 0.0
        for x, label in examples:
            p = _activation(weights, x)
            loss -= math.log(max(1e-12, p if label else 1.0 - p))
            error = p - label
            gradient = [g + error * value for g, value in zip(gradient, (*x, 1.0), strict=True)]
        weights = [
            w - LEARNING_RATE * g / len(examples) for w, g in zip(weights, gradient, strict=True)
        ]
        losses.append(loss / len(examples))
    return weights, losses


def _write_model(target: Path, weights: list[float], base: Path) -> None:
    from attest_cli.demo_model import encode_safetensors

    target.mkdir()
    config = {
        "architectures": ["LogLineClassifier"],
        "model_type": "linear-head",
        "hidden_size": len(weights) - 1,
        "id2label": {"0": "routine", "1": "trouble"},
    }
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    data = array("f", weights)
    shapes = {"classifier.weight": [1, len(weights) - 1], "classifier.bias": [1]}
    (target / "model.safetensors").write_bytes(encode_safetensors(shapes, data))
    (target / "README.md").write_text(
        "---\n"
        "license: apache-2.0\n"
        "language: en\n"
        "pipeline_tag: text-classification\n"
        f"base_model: {base.name}\n"
        "datasets: [log-lines]\n"
        "---\n\n# Log line classifier\n\nTells trouble from routine in log lines.\n",
        encoding="utf-8",
    )
