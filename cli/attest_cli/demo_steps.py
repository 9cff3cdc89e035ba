"""The steps of ``attest demo``: command lines as a user would type them, and what happens between.

The second half is a release as it should be: a dataset with its governance, a training run that
really runs, and everything that can be claimed about what came out.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from attest_cli.demo_training import LEARNING_RATE, train, write_dataset
from attest_cli.demo_training import STEPS as TRAINING_STEPS
from attest_cli.exits import Exit

_WEIGHTS: Final = Path("model/model.safetensors")
_INTRUDER: Final = Path("model/modeling_extra.py")


class State(dict[str, str]):
    """What earlier steps found out, for the command lines of later ones."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of the walk.

    Attributes:
        title: what it shows.
        command: without ``attest``; ``{name}`` is filled in from the state.
        expect: exit code.
        mention: text that its output must contain.
        before: a change to the files that comes first; what to say of it.
        after: keeps something of the output.
    """

    title: str
    command: str
    expect: Exit
    mention: str
    before: Callable[[State], Iterable[str]] | None = None
    after: Callable[[State, str], None] | None = None


def _tamper(state: State) -> Iterable[str]:
    with _WEIGHTS.open("r+b") as file:
        file.seek(-1, io.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, io.SEEK_END)
        file.write(bytes([byte ^ 1]))
    return ()


def _add_file(state: State) -> Iterable[str]:
    _tamper(state)  # flips the same bit back
    _INTRUDER.write_text("print('loaded with the model')\n", encoding="utf-8")
    return ()


def _remove_file(state: State) -> Iterable[str]:
    _INTRUDER.unlink()
    return ()


def _collect_data(state: State) -> Iterable[str]:
    write_dataset(Path("log-lines"))
    yield "(log-lines/ is written: labelled log lines, made up)"


def _train(state: State) -> Iterable[str]:
    recipe = {
        "architecture": "one linear layer on the mean of the base model's word embeddings",
        "optimizer": "gradient descent",
        "learningRate": LEARNING_RATE,
        "steps": TRAINING_STEPS,
    }
    Path("recipe.json").write_text(json.dumps(recipe, indent=2) + "\n", encoding="utf-8")
    state["started"] = _now()
    trained = train(Path("model"), Path("log-lines"), Path("classifier"), Path("training.jsonl"))
    state["finished"] = _now()
    state["accuracy"] = repr(round(trained.accuracy, 4))
    state["samples"] = str(trained.held_out)
    yield (
        f"(trained {TRAINING_STEPS} steps, loss {trained.loss:.3f}; {trained.accuracy:.0%} of"
        f" {trained.held_out} unseen lines are right)"
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _keep_digest(state: State, output: str) -> None:
    """The tree digest of the dataset, as ``inspect`` shows it."""
    found = re.search(r"attestTreeV1: ([0-9a-f]{64})", output)
    state["dataset"] = f"attestTreeV1:{found[1]}" if found else ""


def _poison(state: State) -> Iterable[str]:
    folder = Path("poisoned")
    folder.mkdir()
    (folder / "config.json").write_text("{}\n", encoding="utf-8")
    # A pickle that would run a command when it is loaded. Nothing here loads it.
    (folder / "weights.bin").write_bytes(b"cposix\nsystem\n(S'echo loaded'\ntR.")
    yield "(poisoned/weights.bin is written: a pickle that runs a command when it is loaded)"


_SIGNING: Final = (
    Step("A release engineer makes a key pair.", "keygen release", Exit.OK, "release.pub"),
    Step(
        "The release engineer signs the model.",
        "sign model --key release.key",
        Exit.OK,
        "model/model.sig",
    ),
    Step(
        "Anybody with the public key verifies it, offline.",
        "verify model --key release.pub",
        Exit.OK,
        "verified",
    ),
    Step(
        "One bit of the weights is flipped: refused, and the file is named.",
        "verify model --key release.pub",
        Exit.REFUSED,
        _WEIGHTS.name,
        _tamper,
    ),
    Step(
        "The bit is flipped back and a Python file slipped in: refused.",
        "verify model --key release.pub",
        Exit.REFUSED,
        _INTRUDER.name,
        _add_file,
    ),
    Step(
        "The file is removed: the model is what was signed again.",
        "verify model --key release.pub",
        Exit.OK,
        "verified",
        _remove_file,
    ),
    Step("Somebody else makes a key pair.", "keygen other", Exit.OK, "other.pub"),
    Step(
        "The model is not signed with that one: refused.",
        "verify model --key other.pub",
        Exit.REFUSED,
        "refused",
    ),
)

_RELEASE: Final = (
    Step(
        "Signed is not safe: the model is scanned, without loading it.",
        "scan model --key release.key",
        Exit.OK,
        "clean",
    ),
    Step(
        "A dataset to train on: signed,",
        "sign log-lines --key release.key --kind dataset",
        Exit.OK,
        "log-lines/model.sig",
        _collect_data,
    ),
    Step(
        "and its governance claimed: where it comes from, what it may be used for.",
        "dataset log-lines --source urn:example:made-up --licence CC0-1.0"
        " --consent-basis none-required --personal-data none --jurisdiction EU"
        " --permitted-use training --forbidden-use surveillance --retain-for P10Y"
        " --deletion 'the folder is erased' --contact data@example.com --key release.key",
        Exit.OK,
        "claimed",
    ),
    Step(
        "A classifier is trained on the signed model and dataset, and signed.",
        "sign classifier --key release.key --kind model",
        Exit.OK,
        "classifier/model.sig",
        _train,
    ),
    Step(
        "Its provenance names everything that went in, by digest.",
        "provenance classifier --build-type fine-tuning"
        " --builder-id https://trainer.example.com/demo --recipe recipe.json"
        " --dataset log-lines=log-lines --base-model model=model --byproduct training.jsonl"
        " --started {started} --finished {finished} --key release.key",
        Exit.OK,
        "fine-tuning",
    ),
    Step("It is scanned too.", "scan classifier --key release.key", Exit.OK, "clean"),
    Step(
        "Its bill of materials is read from its headers and card, and claimed.",
        "bom classifier --version 1.0 --supplier Example --claims-by release.pub --key release.key",
        Exit.OK,
        "classifier.cdx.json",
    ),
    Step(
        "Its evaluation: the result follows from value and threshold.",
        "evaluate classifier --suite held-out-lines --suite-version 1 --metric accuracy"
        " --value {accuracy} --comparator '>=' --threshold 0.8 --sample-size {samples}"
        " --key release.key",
        Exit.OK,
        "PASSED",
    ),
    Step("Alice makes a key pair,", "keygen alice", Exit.OK, "alice.pub"),
    Step("and so does Bob.", "keygen bob --algorithm ml-dsa-65", Exit.OK, "bob.pub"),
    Step(
        "Alice approves the classifier for production.",
        "approve classifier --as 'Alice Example' --role release --environment production"
        " --key alice.key --signed-by release.pub",
        Exit.OK,
        "claimed",
    ),
    Step(
        "Two approvals are asked for, and one is there: refused.",
        "approve check classifier --role release --environment production --threshold 2"
        " --principal alice=alice.pub --principal bob=bob.pub --signed-by release.pub",
        Exit.REFUSED,
        "1 of 2",
    ),
    Step(
        "Bob approves it with a post-quantum key.",
        "approve classifier --as 'Bob Example' --role release --environment production"
        " --key bob.key --signed-by release.pub",
        Exit.OK,
        "claimed",
    ),
    Step(
        "Two people have approved it.",
        "approve check classifier --role release --environment production --threshold 2"
        " --principal alice=alice.pub --principal bob=bob.pub --signed-by release.pub",
        Exit.OK,
        "2 of 2",
    ),
    Step(
        "Everything that was claimed, verified, and by whom.",
        "claim list classifier --principal release=release.pub --principal alice=alice.pub"
        " --principal bob=bob.pub",
        Exit.OK,
        "Bob Example",
    ),
    Step(
        "What is it made from?",
        "lineage show classifier --claims . --principal release=release.pub"
        " --signed-by release.pub",
        Exit.OK,
        "log-lines",
    ),
    Step(
        "The dataset turns out to be bad. Its digest is",
        "inspect log-lines/model.sig",
        Exit.OK,
        "attestTreeV1",
        after=_keep_digest,
    ),
    Step(
        "and this derives from it:",
        "lineage impact {dataset} --claims . --principal release=release.pub"
        " --principal alice=alice.pub --principal bob=bob.pub",
        Exit.OK,
        "classifier",
    ),
    Step(
        "Signature and claims travel over an air gap as one file.",
        "claim pack classifier -o classifier.pack --principal release=release.pub"
        " --principal alice=alice.pub --principal bob=bob.pub",
        Exit.OK,
        "classifier.pack",
    ),
    Step(
        "A model that runs a command when it is loaded is refused.",
        "scan poisoned",
        Exit.REFUSED,
        "malicious",
        _poison,
    ),
)

STEPS: Final = (*_SIGNING, *_RELEASE)
