"""Dataset governance: nothing is implied, nothing contradicts itself."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from attest import limits
from attest.claim.dataset import CONSENT_BASES, PERSONAL_DATA, USES, read_dataset
from attest.claim.jurisdictions import JURISDICTIONS
from attest.errors import AttestError, MalformedInput, TooLarge
from attest.flow.dataset import dataset_claim, read_card

SHA = "5a" * 32
RAW = {"name": "crawl", "uri": "https://data.example.com/crawl", "digest": {"sha256": SHA}}
CARD: dict[str, Any] = {
    "version": "3",
    "sources": [
        {**RAW, "collectedFrom": "2024-01-01", "collectedTo": "2024-06-30"},
        {"name": "survey"},
    ],
    "licences": ["CC-BY-4.0", "MIT OR Apache-2.0"],
    "consentBasis": "licence",
    "personalData": "pseudonymised",
    "jurisdictions": ["DE", "EU", "US"],
    "permittedUses": ["training", "research", "x-internal-search"],
    "forbiddenUses": ["surveillance", "military"],
    "retention": {"period": "P2Y6M", "deletion": "all copies are erased"},
    "contact": "data@example.com",
    "transformations": [
        {
            "description": "deduplicated",
            "tool": {"uri": "https://git.example.com/dedup", "digest": {"gitCommit": "1b" * 20}},
            "inputs": [{"digest": {"sha256": SHA}}],
            "output": {"digest": {"sha256": "6b" * 32}},
            "parameters": {"threshold": 0.8},
        },
        {"description": "filtered", "inputs": [{"digest": {"sha256": "6b" * 32}}]},
    ],
    "notes": "first release",
}
SILENT: dict[str, Any] = {
    "sources": [{"name": "unknown"}],
    "licences": ["unknown"],
    "consentBasis": "unknown",
    "personalData": "unknown",
    "jurisdictions": ["unknown"],
    "permittedUses": ["unknown"],
    "forbiddenUses": ["unknown"],
    "retention": {"unknown": True},
    "contact": "unknown",
}
DEMANDED = list(SILENT)


def schema() -> dict[str, Any]:
    file = resources.files("attest.claim") / "schemas" / "dataset-v1.schema.json"
    document = json.loads(file.read_bytes())
    jsonschema.Draft202012Validator.check_schema(document)
    return document


def changed(**members: Any) -> dict[str, Any]:
    return {**copy.deepcopy(CARD), **members}


def refused(code: str, card: dict[str, Any]) -> AttestError:
    with pytest.raises(AttestError) as caught:
        dataset_claim(card)
    assert caught.value.code == code, caught.value
    return caught.value


@pytest.mark.parametrize("card", [CARD, SILENT], ids=["full", "unknown"])
def test_round_trip_and_schema(card: dict[str, Any]):
    jsonschema.validate(card, schema())
    claim = read_dataset(card)
    assert claim.to_predicate() == card
    assert read_dataset(claim.to_predicate()) == claim


def test_unknown_members_are_ignored():
    assert read_dataset(changed(x=1, another={"y": 2})) == read_dataset(CARD)


@pytest.mark.parametrize("member", DEMANDED)
def test_nothing_has_a_default(member: str):
    card = changed()
    del card[member]
    error = refused("missing-member", card)
    assert member in str(error)
    with pytest.raises(MalformedInput):
        read_dataset(card)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(card, schema())


def test_what_is_unknown_is_told():
    (finding,) = dataset_claim(SILENT)[1]
    assert finding.code == "governance-unknown"
    for word in ("licences", "consent", "personal", "jurisdictions", "retention", "contact"):
        assert word in finding.message


def test_a_licence_on_no_list_is_told():
    findings = dataset_claim(changed(licences=["LicenseRef-house-rules"]))[1]
    assert [finding.code for finding in findings] == ["licence-unknown"]


@pytest.mark.parametrize("licence", ["MIT OR", "MIT Apache-2.0", "(MIT", "AND", "MIT;rm"])
def test_a_licence_that_is_no_expression(licence: str):
    refused("malformed-licence-expression", changed(licences=[licence]))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"sources": []}, "no-source"),
        ({"sources": [{"digest": {"sha256": SHA}}]}, "nameless-source"),
        ({"sources": [{}]}, "empty-resource"),
        ({"sources": [{"name": "x", "digest": {"sha256": "ab"}}]}, "wrong-digest-length"),
        ({"sources": [{"name": "x", "collectedFrom": "2024"}]}, "bad-date"),
        ({"sources": [{"name": "x", "collectedFrom": "2024-02-30"}]}, "bad-date"),
        (
            {
                "sources": [
                    {"name": "x", "collectedFrom": "2024-02-02", "collectedTo": "2024-02-01"}
                ]
            },
            "bad-date",
        ),
        ({"sources": "x"}, "wrong-type"),
        ({"licences": []}, "empty-list"),
        ({"licences": "MIT"}, "wrong-type"),
        ({"licences": [1]}, "wrong-type"),
        ({"licences": [""]}, "wrong-length"),
        ({"licences": ["MIT", "MIT"]}, "duplicate-entry"),
        ({"licences": ["MIT", "unknown"]}, "contradictory-list"),
        ({"consentBasis": "yes"}, "unknown-value"),
        ({"consentBasis": None}, "wrong-type"),
        ({"consentBasis": "none-required"}, "contradictory-consent"),
        ({"personalData": "some"}, "unknown-value"),
        ({"jurisdictions": []}, "empty-list"),
        ({"jurisdictions": ["XX"]}, "unknown-value"),
        ({"jurisdictions": ["UK"]}, "unknown-value"),
        ({"jurisdictions": ["de"]}, "unknown-value"),
        ({"jurisdictions": ["DE", "DE"]}, "duplicate-entry"),
        ({"jurisdictions": ["DE", "unknown"]}, "contradictory-list"),
        ({"permittedUses": []}, "empty-list"),
        ({"permittedUses": ["everything"]}, "unknown-use"),
        ({"permittedUses": ["X-Upper"]}, "unknown-use"),
        ({"permittedUses": ["x-" + "a" * 200]}, "unknown-use"),
        ({"permittedUses": ["none"]}, "unknown-use"),
        ({"permittedUses": ["any", "training"]}, "contradictory-list"),
        ({"permittedUses": ["any"]}, "contradictory-uses"),
        ({"permittedUses": ["training", "military"]}, "contradictory-uses"),
        ({"permittedUses": ["x-a"], "forbiddenUses": ["x-a"]}, "contradictory-uses"),
        ({"forbiddenUses": []}, "empty-list"),
        ({"forbiddenUses": ["any"]}, "unknown-use"),
        ({"forbiddenUses": ["none", "military"]}, "contradictory-list"),
        ({"retention": {}}, "malformed-retention"),
        ({"retention": {"until": "2030-01-01", "period": "P1Y"}}, "malformed-retention"),
        ({"retention": {"unlimited": True, "unknown": True}}, "malformed-retention"),
        ({"retention": {"until": "soon", "deletion": "x"}}, "bad-date"),
        ({"retention": {"until": "2030-01-01"}}, "no-deletion"),
        ({"retention": {"period": "P2Y", "deletion": "  "}}, "no-deletion"),
        ({"retention": {"period": "2 years", "deletion": "x"}}, "bad-period"),
        ({"retention": {"period": "P", "deletion": "x"}}, "bad-period"),
        ({"retention": {"period": "PT5H", "deletion": "x"}}, "bad-period"),
        ({"retention": {"unlimited": "yes"}}, "wrong-type"),
        ({"retention": "unknown"}, "wrong-type"),
        ({"contact": ""}, "malformed-contact"),
        ({"contact": "ask around"}, "malformed-contact"),
        ({"contact": "a@b"}, "malformed-contact"),
        ({"contact": "a@b.c\nx"}, "malformed-contact"),
        ({"version": 3}, "wrong-type"),
        ({"notes": ""}, "wrong-length"),
        ({"transformations": {}}, "wrong-type"),
        ({"transformations": [{"inputs": [{"digest": {"sha256": SHA}}]}]}, "missing-member"),
        ({"transformations": [{"description": "x"}]}, "unlinked-input"),
        ({"transformations": [{"description": "x", "inputs": []}]}, "unlinked-input"),
        (
            {"transformations": [{"description": "x", "inputs": [{"name": "crawl"}]}]},
            "dependency-without-digest",
        ),
        (
            {
                "transformations": [
                    {"description": "x", "inputs": [{"digest": {"sha256": "99" * 32}}]}
                ]
            },
            "unlinked-input",
        ),
        (
            {
                "sources": [{"name": "x", "digest": {"sha256": SHA, "attestTreeV1": "11" * 32}}],
                "transformations": [
                    {
                        "description": "one digest fits, the other does not",
                        "inputs": [{"digest": {"sha256": SHA, "attestTreeV1": "22" * 32}}],
                    }
                ],
            },
            "unlinked-input",
        ),
        (
            {"transformations": list(reversed(CARD["transformations"]))},  # used before it is made
            "unlinked-input",
        ),
    ],
)
def test_what_is_refused(members: dict[str, Any], code: str):
    refused(code, changed(**members))


def test_personal_data_of_unknown_kind_needs_no_decision():
    assert read_dataset(changed(personalData="unknown", consentBasis="none-required"))


def test_the_tables():
    assert len(JURISDICTIONS) == 250
    assert {"DE", "US", "GB", "CN", "EU"} <= JURISDICTIONS
    assert not {"XX", "UK", "AN", "SU", "EN"} & JURISDICTIONS
    assert "unknown" in CONSENT_BASES
    assert "unknown" in PERSONAL_DATA
    assert not any(use.startswith("x-") for use in USES)


def test_too_many_entries(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "MAX_DATASET_ENTRIES", 1)
    with pytest.raises(TooLarge):
        read_dataset(CARD)


def test_ten_thousand_steps_in_good_time():
    card = changed(
        transformations=[
            {"description": "x", "inputs": [{"digest": {"sha256": SHA}}]} for _ in range(10_000)
        ]
    )
    assert len(read_dataset(card).transformations) == 10_000


# -- cards ---------------------------------------------------------------------------------------


def test_a_card_in_json_and_in_yaml():
    assert read_card(json.dumps(CARD).encode()) == CARD
    yaml = b"contact: data@example.com\nlicences:\n  - MIT\njurisdictions: [NO, DE]\n"
    assert read_card(yaml) == {
        "contact": "data@example.com",
        "licences": ["MIT"],
        "jurisdictions": ["NO", "DE"],
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[1]",
        b"text",
        b'{"a": 1, "a": 2}',
        b"a: 1\na: 2\n",
        b"a: !!python/object:os.system x\n",
        b"a: &x [1]\nb: [*x, *x]\nc: !x\n",
        b"\xff\xfe",
        b'{"sources": [' + b"[" * 100 + b"]" * 100 + b"]}",
    ],
)
def test_a_card_that_is_none(data: bytes):
    with pytest.raises(AttestError):
        dataset_claim(read_card(data))
