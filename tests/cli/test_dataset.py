"""``attest dataset``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from attest.claim.dataset import read_dataset
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from tests.attest.claim.test_dataset import CARD, SILENT
from tests.cli.support import attest, unchanged

OPTIONS = [
    "--source", "https://data.example.com/corpus", "--licence", "CC-BY-4.0",
    "--consent-basis", "licence", "--personal-data", "none", "--jurisdiction", "DE",
    "--jurisdiction", "EU", "--permitted-use", "training", "--forbidden-use", "surveillance",
    "--retain-until", "2035-01-01", "--deletion", "all copies are erased",
    "--contact", "data@example.com",
]  # fmt: skip


def claimed() -> dict[str, Any]:
    line = Path("model.claims.jsonl").read_bytes().splitlines()[-1]
    parsed: Any = parse_signature(line)
    return parse_statement(getattr(parsed, "envelope", parsed).payload).predicate


def run(signed: Path, *args: str) -> Any:
    return attest("dataset", signed, *args, "--key", "release.key")


def without(option: str) -> list[str]:
    place = OPTIONS.index(option)
    return OPTIONS[:place] + OPTIONS[place + 2 :]


def test_from_options(signed: Path):
    ran = run(signed, *OPTIONS)
    assert (ran.code, ran.err) == (0, "")
    predicate = claimed()
    assert read_dataset(predicate).jurisdictions == ("DE", "EU")
    assert predicate["retention"] == {"until": "2035-01-01", "deletion": "all copies are erased"}


def test_from_a_card(signed: Path):
    Path("card.json").write_text(json.dumps(CARD))
    ran = run(signed, "--card", "card.json", "--json")
    assert ran.report["outcome"] == "pass"
    assert claimed() == CARD == ran.report["subject"]["dataset"]


def test_a_slip_in_a_card_is_told(signed: Path):
    Path("card.json").write_text(json.dumps({**CARD, "steps": ["cleaned"]}))
    ran = run(signed, "--card", "card.json", "--json")
    (told,) = [each for each in ran.report["findings"] if each["code"] == "member-unknown"]
    assert "'steps'" in told["message"]
    assert claimed() == CARD


def test_options_go_before_the_card(signed: Path):
    Path("card.json").write_text(json.dumps(CARD))
    assert run(signed, "--card", "card.json", "--contact", "new@example.com").code == 0
    assert claimed() == {**CARD, "contact": "new@example.com"}


def test_a_card_in_yaml(signed: Path):
    Path("card.yaml").write_text("contact: data@example.com\njurisdictions:\n  - NO\n")
    rest = [part for part in without("--contact") if part not in ("--jurisdiction", "DE", "EU")]
    assert run(signed, "--card", "card.yaml", *rest).code == 0
    assert claimed()["jurisdictions"] == ["NO"]


@pytest.mark.parametrize(
    "option", [part for part in dict.fromkeys(OPTIONS) if part.startswith("--")]
)
def test_nothing_has_a_default(signed: Path, option: str):
    left = without(option)
    if option == "--jurisdiction":
        left = [part for part in left if part not in ("--jurisdiction", "EU", "DE")]
    with unchanged(Path()):
        ran = run(signed, *left)
    assert ran.code in (1, 2)


def test_unknown_is_said_and_told(signed: Path):
    Path("card.json").write_text(json.dumps(SILENT))
    ran = run(signed, "--card", "card.json")
    assert ran.code == 0
    assert "warn: governance-unknown" in ran.out


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (["--forbidden-use", "training"], 1),
        (["--permitted-use", "anything"], 1),
        (["--jurisdiction", "UK"], 1),
        (["--licence", "MIT OR"], 1),
        (["--retain-for", "P2Y"], 2),
        (["--card", "gone.json"], 3),
    ],
)
def test_refusals(signed: Path, extra: list[str], code: int):
    with unchanged(Path()):
        ran = run(signed, *OPTIONS, *extra)
    assert ran.code == code


def test_deletion_alone(signed: Path):
    assert run(signed, *without("--retain-until")).code == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', "a: !!python/name:os.x"])
def test_malformed_cards(signed: Path, text: str):
    Path("card").write_text(text)
    with unchanged(Path()):
        ran = run(signed, "--card", "card", *OPTIONS)
    assert ran.code == 1
    assert "card" in ran.err
