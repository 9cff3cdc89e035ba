"""The table of verbs, verbs of other packages, help, examples, shell completion."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from attest_cli.options import Verb
from attest_cli.verbs import VERBS, group
from tests.cli.support import ROOT, attest, attest_process, environment, make_model, write_pki
from tests.support.bom_examples import write_examples as write_bom_examples
from tests.support.supply import write_example as write_layout_example

EXAMPLE = re.compile(r"^  +\$ (.*\battest .*)$", re.MULTILINE)


def examples(verb: str | None) -> list[str]:
    """The examples in a help text."""
    args = ["--help"] if verb is None else [*verb.split(), "--help"]
    return EXAMPLE.findall(attest(*args).out)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str):
    ran = attest(*verb.split(), "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: attest {verb} ")
    assert examples(verb)


@pytest.mark.parametrize("first", ["claim", "lineage", "layout"])
def test_a_first_word_has_help(first: str):
    ran = attest(first, "--help")
    assert ran.code == 0
    assert ran.out.startswith(f"Usage: attest {first} VERB ...")
    for verb in VERBS:
        assert (f"  {verb} " in ran.out) is verb.startswith(f"{first} ")
    assert attest(first, "-h").out == ran.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_keeps_the_common_switches(verb: str):
    import importlib

    command = importlib.import_module(VERBS[verb].module).command
    assert isinstance(command, Verb)
    assert command.name == verb
    names = {name for param in command.params for name in param.opts}
    assert {"--quiet", "--verbose"} <= names
    assert ("--json" in names) is (command.schema is not None)


def make_example_world(folder: Path) -> None:
    """Everything that the examples of the help texts mention."""
    make_model(folder)
    for name in ("dataset", "signed-by-ca"):
        (folder / name).mkdir()
        (folder / name / "data.bin").write_bytes(name.encode())
    (folder / "firmware.bin").write_bytes(b"\x7fFW" * 100)
    (folder / "secret.txt").write_text("correct horse battery staple\n")
    write_pki(folder)
    header = b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'.ljust(56)
    weights = len(header).to_bytes(8, "little") + header + bytes(16)
    (folder / "model" / "model.safetensors").write_bytes(weights)
    for args in (
        "keygen release",
        "keygen archive --algorithm ml-dsa-65 --passphrase-file secret.txt",
        "sign model --key release.key",
        "sign signed-by-ca --certificate leaf.pem --chain chain.pem --key leaf.key",
    ):
        assert attest(*args.split()).code == 0, args
    make_claims_world(folder)
    make_reports_world(folder)
    write_bom_examples(folder)
    write_layout_example(folder)
    (folder / "bin").mkdir()
    script = folder / "bin" / "attest"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m attest_cli "$@"\n')
    script.chmod(0o755)


def make_claims_world(folder: Path) -> None:
    """A model with an approval, and a claim about the other one that somebody else has signed."""
    shutil.copytree(folder / "model", folder / "approved", ignore=lambda *_: ["model.sig"])
    (folder / "review.json").write_text('{"verdict": "readable", "pages": 12}\n')
    assert attest("sign", "approved", "--key", "release.key").code == 0
    who = ["approve", "approved", "--as", "Alice", "--role", "release", "--key", "release.key"]
    signed = attest(*who, "--environment", "production", "--json")
    (folder / "approval.id").write_text(signed.report["subject"]["claim"]["id"] + "\n")
    review = ["--type", "https://example.com/review/v1", "--predicate", "review.json"]
    placed = ["--key", "release.key", "--claims", "review.dsse.json"]
    assert attest("claim", "add", "model", *review, *placed).code == 0


def make_reports_world(folder: Path) -> None:
    """What goes into provenance, dataset cards and evaluations; and a model with a provenance."""
    card = {
        "sources": [{"uri": "https://data.example.com/corpus"}],
        "licences": ["CC-BY-4.0"],
        "consentBasis": "licence",
        "personalData": "none",
        "jurisdictions": ["DE"],
        "permittedUses": ["training"],
        "forbiddenUses": ["surveillance"],
        "retention": {"period": "P2Y", "deletion": "erased"},
        "contact": "data@example.com",
    }
    results = {
        "results": {"arc_easy": {"acc,none": 0.45}},
        "versions": {"arc_easy": 1},
        "n-samples": {"arc_easy": {"original": 100, "effective": 100}},
    }
    (folder / "train.json").write_text('{"epochs": 3}\n')
    (folder / "card.json").write_text(json.dumps(card))
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "report.xml").write_text('<testsuite name="smoke"><testcase name="a"/></testsuite>\n')
    made = "--build-type training --builder-id https://ci.example.com/trainer/v1"
    made += " --recipe train.json --dataset corpus=dataset --key release.key"
    made += f" --code git+https://git.example.com/team/train@{'1b' * 20}"
    assert attest("sign", "dataset", "--key", "release.key").code == 0
    assert attest("provenance", "model", *made.split()).code == 0
    shutil.copytree(folder / "model", folder / "trained", ignore=lambda *_: ["model.sig"])
    assert attest("sign", "trained", "--key", "release.key").code == 0
    assert attest("provenance", "trained", *made.split()).code == 0


@pytest.mark.parametrize("verb", [None, *VERBS])
def test_every_example_works_as_it_stands(verb: str | None, here: Path):
    make_example_world(here)
    if verb == "keygen":  # its examples make what the world has: start without
        for name in ("release", "archive"):
            (here / f"{name}.key").unlink()
            (here / f"{name}.pub").unlink()
    path = f"{here / 'bin'}:{environment()['PATH']}"
    for line in examples(verb):
        ran = subprocess.run(
            ["sh", "-euc", line],
            cwd=here,
            env=environment(PATH=path),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, (line, ran.stdout, ran.stderr)
        assert ran.stderr == "", line


def test_help_lists_every_verb_and_the_exit_codes():
    ran = attest("--help")
    assert ran.code == 0
    for verb, own in VERBS.items():
        assert re.search(rf"^  {verb} +{re.escape(own.summary)}$", ran.out, re.MULTILINE)
    for code in (0, 1, 2, 3, 4, 70, 130):
        assert re.search(rf"\b{code} [a-z]", ran.out)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if " " in verb])
def test_the_help_of_the_first_word_names_the_second(verb: str):
    first, second = verb.split()
    if first in VERBS:
        assert f"{first} {second}" in attest(first, "--help").out
    else:
        ran = attest(first)
        assert ran.code == 2
        assert "one word is missing" in ran.err
        assert verb in ran.err
        assert verb in attest(first, "bogus").err


def test_no_verb_is_a_usage_error_with_help():
    ran = attest()
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith("Usage: attest ")


def test_an_unknown_verb_is_a_usage_error_with_a_guess():
    ran = attest("verfy")
    assert ran.code == 2
    assert "no verb 'verfy'; did you mean 'verify'?" in ran.err
    assert "hint: see `attest --help`" in ran.err


def test_a_usage_error_under_json_is_text_on_stderr():
    ran = attest("verify", "model", "--json", "--bogus")
    assert ran.code == 2
    assert ran.out == ""
    assert "--bogus" in ran.err


# -- verbs of other packages ---------------------------------------------------------------------

OTHER_PACKAGE = """
import click

@click.command(short_help="Greet from another package.")
@click.argument("name")
def hello(name):
    print(f"hello {name}")
    return 4

not_a_command = object()
"""


@pytest.fixture
def other_package(tmp_path: Path) -> dict[str, str]:
    """An installed distribution that offers verbs: good, broken, and one of our own names."""
    site = tmp_path / "site"
    info = site / "elsewhere-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: elsewhere\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[attest.commands]\n"
        "hello = elsewhere:hello\n"
        "odd = elsewhere:not_a_command\n"
        "gone = not_installed:command\n"
        "verify = elsewhere:hello\n"
    )
    (site / "elsewhere.py").write_text(OTHER_PACKAGE)
    return {"PYTHONPATH": f"{environment()['PYTHONPATH']}:{site}"}


def test_verbs_of_other_packages_are_found(other_package: dict[str, str]):
    ran = attest_process("hello", "world", env=other_package)
    assert (ran.code, ran.out) == (4, "hello world\n")


def test_help_lists_verbs_of_other_packages(other_package: dict[str, str]):
    ran = attest_process("--help", env=other_package)
    assert ran.code == 0
    assert re.search(r"^  hello +Greet from another package\.$", ran.out, re.MULTILINE)
    assert re.search(r"^  gone +\(installed, but cannot be loaded\)$", ran.out, re.MULTILINE)
    assert ran.out.count("\n  verify ") == 1


def test_no_package_can_replace_an_own_verb(other_package: dict[str, str]):
    ran = attest_process("verify", "--help", env=other_package)
    assert ran.out.startswith("Usage: attest verify ")


@pytest.mark.parametrize("verb", ["odd", "gone"])
def test_a_verb_that_cannot_be_loaded_is_named(verb: str, other_package: dict[str, str]):
    ran = attest_process(verb, env=other_package)
    assert ran.code == 3
    assert f"the verb '{verb}'" in ran.err


# -- completion ----------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str):
    ran = attest("completion", shell)
    assert ran.code == 0
    assert f"_ATTEST_COMPLETE={shell}_complete" in ran.out


def test_the_bash_script_is_valid_bash(here: Path):
    Path("attest.bash").write_text(attest("completion", "bash").out)
    subprocess.run(["bash", "-n", "attest.bash"], check=True)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("attest ver", "verify"), ("attest verify --san", "--san"), ("attest sign --ki", "--kind")],
)
def test_completion_answers(words: str, expected: str):
    env = {
        "_ATTEST_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    assert f"plain,{expected}" in attest_process(env=env).out.split("\n")


def test_the_group_is_called_attest():
    assert group.name == "attest"
    assert (ROOT / "cli" / "attest_cli" / "__main__.py").exists()
