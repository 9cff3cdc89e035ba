"""``attest provenance``, ``attest provenance show`` and ``attest provenance verify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.claim.buildtypes import BUILD_TYPES
from attest.claim.provenance import read_provenance
from attest.codec.attestations import parse_any_statement, parse_attestations
from attest.crypto.keys import LocalSigner
from tests.cli.support import attest, unchanged

BUILDER = "https://ci.example.com/trainer/v1"
COMMIT = "1b" * 20
CODE = f"git+https://git.example.com/team/train@{COMMIT}"
SHA = "5a" * 32


@pytest.fixture
def built(signed: Path) -> Path:
    """``model/`` signed, and what it was made from."""
    Path("train.json").write_text('{"epochs": 3}\n')
    Path("node-1.ear").write_text("e30.e30.e30\n")
    Path("train.log").write_text("loss 0.1\n")
    Path("corpus").mkdir()
    Path("corpus", "data.txt").write_text("words\n")
    assert attest("sign", "corpus", "--key", "release.key").code == 0
    return signed


def claim(path: Path, *extra: str, kind: str = "training", dataset: str = "corpus=corpus") -> Any:
    return attest(
        "provenance", path, "--build-type", kind, "--builder-id", BUILDER, "--recipe",
        "train.json", "--dataset", dataset, "--code", CODE, "--key", "release.key", *extra,
    )  # fmt: skip


def verify(path: Path, *extra: str, builder: str = BUILDER) -> Any:
    return attest(
        "provenance", "verify", path, "--bundle", f"{path}.claims.jsonl", "--key", "release.pub",
        "--builder-id", builder, *extra,
    )  # fmt: skip


def facts(file: str = "model.claims.jsonl") -> Any:
    statement = parse_any_statement(parse_attestations(Path(file).read_bytes())[-1].payload)
    return read_provenance(statement.predicate_type, statement.predicate)


def test_claim_show_verify(built: Path):
    ran = claim(
        built,
        "--base-model", f"base=sha256:{SHA},attestTreeV1:{SHA}",
        "--container", f"registry.example.com/train:v3@sha256:{SHA}",
        "--node-result", "node-1.ear",
        "--byproduct", "train.log",
        "--parameter", "seed=42",
        "--parameter", 'entryPoint="train.py"',
        "--parameter", 'hyperparameters={"lr": 0.1}',
        "--builder-version", "trainer=3.1",
        "--invocation-id", "run-17",
        "--started", "2026-11-20T08:00:00Z",
        "--finished", "2026-11-20T12:00:00Z",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    assert "made from  dataset corpus" in ran.out
    made = facts()
    assert [each.role for each in made.dependencies] == [
        "dataset", "base-model", "code", "container", "node-attestation",
    ]  # fmt: skip
    assert all(each.identified for each in made.dependencies)
    assert set(made.dependencies[0].digests) == {"sha256", "attestTreeV1"}
    assert made.parameters["seed"] == 42
    assert made.parameters["recipe"]["name"] == "train.json"
    assert made.byproducts[0].name == "train.log"
    shown = attest("provenance", "show", "model.claims.jsonl")
    assert shown.code == 0
    assert shown.out.startswith("UNVERIFIED")
    assert BUILDER in shown.out
    passed = verify(
        built, "--source-uri", "git.example.com/team/train", "--source-digest", COMMIT,
        "--build-type", BUILD_TYPES["training"].uri,
    )  # fmt: skip
    assert (passed.code, passed.err) == (0, "")
    assert passed.out.startswith("verified: model")


def test_json(built: Path):
    report = claim(built, "--json").report
    assert report["outcome"] == "pass"
    assert report["subject"]["provenance"]["runDetails"]["builder"]["id"] == BUILDER
    shown = attest("provenance", "show", "model.claims.jsonl", "--json").report
    assert (shown["outcome"], shown["subject"]["verified"]) == ("partial", False)
    report = verify(built, "--json").report
    assert report["outcome"] == "pass"
    assert report["inputs"]["builderId"] == BUILDER
    assert report["subject"]["provenance"][0]["builder"] == BUILDER


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (["--source-uri", "git.example.com/team/trai"], "source-mismatch"),
        (["--source-ref", "refs/heads/main"], "source-ref-absent"),
        (["--tag", "v1"], "source-ref-absent"),
        (["--source-version", "v1"], "source-tag-absent"),
        (["--source-digest", "2b" * 20], "source-commit-mismatch"),
        (["--build-type", "urn:attest-toolkit:build:training:v2"], "build-type-mismatch"),
    ],
)
def test_an_unmet_expectation_refuses(built: Path, extra: list[str], code: str):
    claim(built)
    ran = verify(built, *extra, "--json")
    assert (ran.code, ran.codes) == (1, {code})


def test_another_builder(built: Path):
    claim(built)
    ran = verify(built, builder=BUILDER + "2")
    assert ran.code == 1
    assert ran.out.startswith("refused: model")
    assert "builder-mismatch" in ran.out


def test_a_changed_artifact(built: Path):
    claim(built)
    (built / "config.json").write_text("{}")
    ran = verify(built, "--json")
    assert (ran.code, ran.codes) == (1, {"subject-mismatch"})


def test_another_key(built: Path):
    claim(built)
    assert attest("keygen", "other").code == 0
    ran = attest(
        "provenance", "verify", built, "--bundle", "model.claims.jsonl", "--key", "other.pub",
        "--builder-id", BUILDER, "--json",
    )  # fmt: skip
    assert ran.code == 1
    assert not ran.report["subject"]["provenance"]


def test_by_digest(built: Path):
    claim(built)
    subject = attest("provenance", "show", "model.claims.jsonl", "--json").report["subject"]
    digests = subject["provenance"][0]["subjects"][0]["digest"]
    options = [part for name, value in digests.items() for part in ("--digest", f"{name}:{value}")]
    command = [
        "provenance", "verify", "--bundle", "model.claims.jsonl", "--key", "release.pub",
        "--builder-id", BUILDER,
    ]  # fmt: skip
    assert attest(*command, *options).code == 0
    assert attest(*command, *options[:2]).code == 1  # one of the two is not enough
    assert attest(*command, "--digest", "nonsense").code == 2
    assert attest(*command, "--digest", "sha256:abc").code == 2
    assert attest(*command).code == 2
    assert attest(*command, built, *options).code == 2


# -- what is not claimed -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "extra",
    [
        ["--code", "git+https://git.example.com/team/train@main"],
        ["--container", "registry.example.com/train:latest"],
        ["--dataset", "corpus"],
        ["--dataset", "corpus=sha256:abc"],
        ["--dataset", f"corpus=sha1:{COMMIT}"],
        ["--dataset", f"corpus=sha256:{SHA},sha256:{SHA}"],
        ["--base-model", "=x"],
        ["--parameter", "seed"],
        ["--parameter", "seed=4_2"],
        ["--parameter", "seed=NaN"],
        ["--parameter", 'seed="42"'],
        ["--parameter", "framework=torch"],
        ["--parameter", "seed=1", "--parameter", "seed=2"],
        ["--parameter", 'recipe={"inline": {"a": 1}}'],
        ["--builder-version", "x"],
        ["--started", "2026-11-20T12:00:00Z", "--finished", "2026-11-20T08:00:00Z"],
        ["--started", "yesterday"],
    ],
)
def test_usage_errors(built: Path, extra: list[str]):
    with unchanged(Path()):
        ran = claim(built, *extra)
    assert ran.code == 2
    assert ran.out == ""


def test_a_build_type_needs_what_it_is_made_from(built: Path):
    with unchanged(Path()):
        ran = claim(built, kind="quantisation")
    assert ran.code == 2
    assert "scheme" in ran.err
    ran = claim(built, "--parameter", 'scheme="int8"', kind="quantisation")
    assert ran.code == 2
    assert "base-model" in ran.err


def test_builder_and_recipe_are_demanded(built: Path):
    for missing in ("--builder-id", "--recipe", "--build-type"):
        options = {"--build-type": "firmware", "--builder-id": BUILDER, "--recipe": "train.json"}
        del options[missing]
        args = [part for pair in options.items() for part in pair]
        assert attest("provenance", built, *args, "--key", "release.key").code == 2
    assert attest("provenance", "verify", built, "--bundle", "x", "--key", "release.pub").code == 2


def test_an_unsigned_dataset_is_refused(built: Path):
    Path("raw").mkdir()
    Path("raw", "x").write_text("x")
    with unchanged(Path()):
        ran = claim(built, dataset="raw=raw")
    assert ran.code == 1
    assert "--material-key" in ran.err


def test_a_dataset_that_somebody_else_signed(built: Path):
    assert attest("keygen", "other").code == 0
    Path("theirs").mkdir()
    Path("theirs", "x").write_text("x")
    assert attest("sign", "theirs", "--key", "other.key").code == 0
    assert claim(built, dataset="theirs=theirs").code == 1
    assert claim(built, "--material-key", "other.pub", dataset="theirs=theirs").code == 0


@pytest.mark.parametrize("missing", ["train.json", "node-1.ear", "train.log", "corpus"])
def test_missing_files(built: Path, missing: str):
    path = Path(missing)
    path.rename("away")
    ran = claim(built, "--node-result", "node-1.ear", "--byproduct", "train.log")
    assert ran.code == 3
    assert missing in ran.err
    assert not Path("model.claims.jsonl").exists()


def test_show_what_is_no_provenance(built: Path, key: LocalSigner):
    assert attest("provenance", "show", "train.json").code == 1
    assert attest("provenance", "show", "gone").code == 3
    assert attest("provenance", "show", "model/model.sig", "--json").code == 1


def test_names_cannot_colour_the_terminal(built: Path):
    Path("statement.json").write_text(
        json.dumps(
            {
                "_type": "https://in-toto.io/Statement/v1",
                "subject": [{"name": "\x1b[31mred", "digest": {"sha256": SHA}}],
                "predicateType": "https://slsa.dev/provenance/v1",
                "predicate": {
                    "buildDefinition": {"buildType": "https://e.com/b", "externalParameters": {}},
                    "runDetails": {
                        "builder": {"id": "https://e.com/x"},
                        "metadata": {"invocationId": "\x1b[2J"},
                    },
                },
            }
        )
    )
    ran = attest("provenance", "show", "statement.json")
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "not interpreted" in ran.out
