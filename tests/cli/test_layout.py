"""``attest layout verify``, as a user runs it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.claim.layout import read_layout_result
from attest.codec.dsse import UnverifiedEnvelope
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from tests.cli.support import attest, snapshot
from tests.support.supply import OWNER, Chain, Inspection, worker


@pytest.fixture
def world(signed: Path) -> Chain:
    """A layout, its links, and the signed ``model/`` that came out."""
    chain = Chain(Path())
    files = {
        f"model/{name}": data for name, data in snapshot(signed).items() if name != "model.sig"
    }
    chain.step("train", [worker(1)], materials={"data.csv": b"rows"}, products=files)
    chain.save()
    Path("owner.pub").write_bytes(OWNER.pem)
    return chain


def verify(*args: str | Path, layout: str = "root.layout", links: str = "links"):
    return attest("layout", "verify", layout, "--links", links, "--layout-key", "owner.pub", *args)


def test_the_artifact_came_out_of_it(world: Chain):
    ran = verify("model")
    assert ran.code == 0
    assert ran.out.startswith("verified: model\n  step       train: signed by 1 of 1 key needed\n")
    assert ran.err == ""


def test_without_an_artifact_it_is_partial(world: Chain):
    ran = verify("--json")
    assert (ran.code, ran.report["outcome"]) == (0, "partial")


def test_the_result_as_a_claim(world: Chain, key):
    ran = verify("model", "--key", "release.key", "--json")
    assert ran.code == 0, ran.err
    (line,) = Path("model.claims.jsonl").read_bytes().splitlines()
    envelope = parse_signature(line)
    assert isinstance(envelope, UnverifiedEnvelope)
    statement = parse_statement(envelope.payload)
    assert statement.predicate_type == "urn:attest-toolkit:layout-result:v1"
    result = read_layout_result(statement.predicate)
    assert [step.name for step in result.steps] == ["train"]
    assert [each.name for each in result.materials] == ["data.csv"]
    shown = attest("lineage", "show", "model", "--key", "release.pub", "--json")
    assert shown.report["subject"]["lineage"]["edges"][0]["role"] == "material"


def test_no_claim_of_what_does_not_hold(world: Chain):
    Path("model/extra.py").write_text("import os")
    ran = verify("model", "--key", "release.key", "--rehash")
    assert ran.code == 1
    assert "product-unknown" in ran.out
    assert not Path("model.claims.jsonl").exists()


def test_no_claim_about_content_that_its_signature_does_not_fit(world: Chain):
    chain = Chain(Path("second"))
    Path("model/config.json").write_text("{}")
    files = {
        f"model/{name}": data
        for name, data in snapshot(Path("model")).items()
        if name != "model.sig"
    }
    chain.step("train", [worker(1)], products=files)
    chain.save()
    ran = verify("model", "--key", "release.key", layout="second/root.layout", links="second/links")
    assert ran.code == 1
    assert "not what its signature says" in ran.err
    assert not Path("model.claims.jsonl").exists()


def test_expired_and_judged_for_another_time(world: Chain):
    world.expires = "2020-01-01T00:00:00Z"
    world.save()
    ran = verify("model", "--json")
    assert (ran.code, ran.codes) == (1, {"layout-expired"})
    assert verify("model", "--at", "2019-12-31T00:00:00Z").code == 0


def test_an_inspection_is_refused_and_does_not_run(world: Chain):
    world.inspections.append(Inspection(name="look", run=["touch", "it-ran"]))
    world.save()
    ran = verify("model", "--json")
    assert (ran.code, ran.codes) == (1, {"layout-has-inspections"})
    assert not Path("it-ran").exists()


def test_a_changed_artifact(world: Chain):
    Path("model/config.json").write_text("{}")
    ran = verify("model")
    assert ran.code == 1
    assert "product-changed" in ran.out
    assert "config.json" in ran.out


def test_one_file_with_a_prefix(world: Chain):
    assert verify("model/config.json", "--prefix", "model/").code == 0
    assert verify("model/config.json", "--prefix", "other/").code == 1


def test_hostile_names_stay_on_their_line(here: Path):
    chain = Chain(Path())
    chain.step(
        "build",
        [worker(1)],
        products={"\x1b[2J\nverified: x": b"1"},
        expected_products=[["DISALLOW", "\x1b]0;owned\x07*"], ["DISALLOW", "*"]],
    )
    chain.save()
    Path("owner.pub").write_bytes(OWNER.pem)
    ran = verify()
    assert ran.code == 1
    assert "\x1b" not in ran.out + ran.err
    assert "\nverified" not in ran.out


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", 3), (b"hello", 3), (b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n", 3)],
)
def test_a_layout_key_that_is_none(world: Chain, content: bytes, code: int):
    Path("owner.pub").write_bytes(content)
    assert verify("model").code == code


def test_what_is_not_there(world: Chain):
    assert verify("model", layout="absent").code == 3
    assert verify("model", links="absent").code == 3
    assert verify("absent").code == 3
    Path("owner.pub").unlink()
    assert verify("model").code == 3


def test_a_malformed_layout(world: Chain):
    Path("root.layout").write_text(json.dumps({"signed": {}, "signatures": []}))
    assert verify("model").code == 1


@pytest.mark.parametrize(
    "args",
    [
        ["--key", "release.key"],
        ["--prefix", "x/"],
        ["model", "--rehash"],
        ["model", "--layout-key", "owner.pub"],
        ["model", "--at", "yesterday"],
    ],
)
def test_usage(world: Chain, args: list[str]):
    assert verify(*args).code == 2


def test_a_layout_key_is_needed(world: Chain):
    assert attest("layout", "verify", "root.layout", "--links", "links", "model").code == 2


def test_the_time_of_now_is_used(world: Chain):
    report = verify("model", "--json").report
    at = datetime.fromisoformat(report["at"])
    assert abs((datetime.now(UTC) - at).total_seconds()) < 60
