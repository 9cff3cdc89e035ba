"""What a dataset says of itself, and whether it is true of the files beside it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from attest import limits
from attest.bom.components import Licence, Property, to_json
from attest.bom.dataset import dataset_component, describe_dataset
from attest.bom.document import BomDocument
from attest.bom.schema import validate_bom
from attest.codec.reader import BytesSource

CSV = b"a,b\n1,2\n"
CARD = b"""---
pretty_name: Bird songs
license: cc-by-4.0
language: [en, de]
task_categories:
- audio-classification
size_categories: [1K<n<10K]
source_datasets: [original]
configs:
- config_name: default
  data_files: "*.csv"
dataset_info:
- config_name: default
  splits:
  - {name: train, num_examples: 120, num_bytes: 4096}
  - {name: test, num_examples: 30}
---
# Birds
"""


def files(**content: bytes) -> dict[str, BytesSource]:
    return {name.replace("__", "."): BytesSource(data) for name, data in content.items()}


def croissant(**changes: Any) -> bytes:
    document = {
        "@context": {"cr": "http://mlcommons.org/croissant/"},
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "birds",
        "description": "Songs of birds.",
        "license": "cc-by-4.0",
        "creator": {"@type": "Person", "name": "A. Lark"},
        "publisher": {"@type": "Organization", "name": "Aviary"},
        "url": "https://example.com/birds",
        "rai:personalSensitiveInformation": "voices of people",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "train",
                "contentUrl": "data.csv",
                "sha256": hashlib.sha256(CSV).hexdigest(),
            }
        ],
        "recordSet": [{"name": "songs", "field": [{"name": "a"}, {"name": "b"}]}],
        **changes,
    }
    return json.dumps(document).encode()


def describe(card: bytes | None = None, description: bytes | None = None, **others: bytes):
    held = dict(others)
    if card is not None:
        held["README__md"] = card
    if description is not None:
        held["croissant__json"] = description
    return describe_dataset(files(**held))


def codes(facts: Any) -> list[str]:
    return [each.code for each in facts.observations]


def test_a_card_alone():
    facts = describe(CARD)
    assert (facts.name, facts.licences) == ("Bird songs", ("cc-by-4.0",))
    assert facts.languages == ("en", "de")
    assert (facts.tasks, facts.sizes) == (("audio-classification",), ("1K<n<10K",))
    assert facts.configs == ("default",)
    assert [(each.name, each.examples, each.size) for each in facts.splits] == [
        ("train", 120, 4096),
        ("test", 30, None),
    ]
    assert facts.read_from["licences"] == "README.md#license"
    assert facts.observations == ()


def test_a_description_and_a_card_that_agree():
    facts = describe(CARD.replace(b"Bird songs", b"birds"), croissant(), data__csv=CSV)
    assert facts.matched == ("data.csv",)
    assert facts.read_from["licences"] == "croissant.json#/license"
    assert facts.read_from["languages"] == "README.md#language"
    assert facts.sensitive == ("voices of people",)
    assert codes(facts) == []


def test_sources_that_disagree_are_both_told():
    facts = describe(CARD, croissant(license="mit"), data__csv=CSV)
    assert facts.licences == ("mit",)
    assert codes(facts) == ["sources-disagree", "sources-disagree"]  # the name as well


def test_a_file_that_is_not_what_the_description_says():
    facts = describe(description=croissant(), data__csv=CSV + b"3,4\n")
    (only,) = facts.observations
    assert (only.code, only.where) == ("file-digest-mismatch", "croissant.json#/distribution/0")
    assert facts.matched == ()


def test_a_file_that_is_not_there():
    assert codes(describe(description=croissant())) == ["file-not-there"]


def test_known_digests_are_not_computed_again():
    class Unreadable(BytesSource):
        def read(self, offset: int, length: int) -> bytes:
            raise AssertionError("hashed again")

    held = {"croissant.json": BytesSource(croissant()), "data.csv": Unreadable(CSV)}
    facts = describe_dataset(held, digests={"data.csv": hashlib.sha256(CSV).hexdigest()})
    assert facts.matched == ("data.csv",)


def test_one_file_named_many_times_is_hashed_once():
    class Counted(BytesSource):
        reads = 0

        def read(self, offset: int, length: int) -> bytes:
            Counted.reads += 1
            return super().read(offset, length)

    entry = {"@id": "x", "contentUrl": "data.csv", "sha256": "00" * 32}
    held = {
        "croissant.json": BytesSource(croissant(distribution=[entry] * 5000)),
        "data.csv": Counted(CSV),
    }
    assert len(describe_dataset(held).observations) == 5000
    assert Counted.reads == 1


def test_urls_archives_and_paths_out_of_the_dataset_are_not_compared():
    entries = [
        {"@id": "a", "contentUrl": "https://example.com/data.csv", "sha256": "00" * 32},
        {"@id": "b", "contentUrl": "data.csv", "containedIn": {"@id": "a"}, "sha256": "00" * 32},
        {"@id": "c", "contentUrl": "/etc/passwd", "sha256": "00" * 32},
        {"@type": "cr:FileSet", "@id": "d", "contentUrl": "data.csv", "sha256": "00" * 32},
    ]
    assert codes(describe(description=croissant(distribution=entries), data__csv=CSV)) == []
    outside = [{"@id": "e", "contentUrl": "../data.csv", "sha256": "00" * 32}]
    facts = describe(description=croissant(distribution=outside), data__csv=CSV)
    assert codes(facts) == ["file-not-there"]


def test_a_malformed_description_is_told_and_the_card_still_read():
    facts = describe(CARD, croissant()[:-2])
    assert facts.name == "Bird songs"
    assert codes(facts) == ["description-unreadable"]


def test_a_malformed_card_is_told():
    facts = describe(b"---\nlicense: [\n---\n", croissant(), data__csv=CSV)
    assert facts.name == "birds"
    assert codes(facts) == ["description-unreadable"]


def test_a_huge_card_is_told():
    assert codes(describe(b"---\n" + b"#" * limits.MAX_CARD_BYTES)) == ["description-unreadable"]


def test_wrong_types_in_a_card_are_told():
    card = b"---\nlicense: {a: b}\nlanguage: [en, 3]\ndataset_info: text\nconfigs: [1]\n---\n"
    facts = describe(card)
    assert facts.languages == ("en",)
    assert codes(facts) == ["unexpected-type"] * 4


def test_no_description_at_all():
    facts = describe(data__csv=CSV)
    assert (facts.name, facts.licences, facts.read_from) == (None, (), {})


def test_a_json_that_is_no_description_is_passed_over():
    facts = describe_dataset(files(metadata__json=b'{"name": "x"}'))
    assert (facts.name, facts.observations) == (None, ())


def test_odd_names_of_responsible_ai_properties_are_left_out():
    facts = describe(description=croissant(**{"rai:bad name\n": "x", "rai:" + "y" * 99: "x"}))
    assert set(facts.rai) == {"personalSensitiveInformation"}


def test_the_component_is_valid_cyclonedx():
    facts = describe(CARD, croissant(), data__csv=CSV)
    component = dataset_component(
        facts,
        name="birds",
        ref="dataset",
        version="3",
        licences=(Licence(id="CC-BY-4.0"),),
        properties=(Property("attest:files", "1"),),
    )
    for version in ("1.6", "1.7"):
        bom = BomDocument(component=component, spec_version=version)
        assert validate_bom(bom.to_bytes()) == []
    made = to_json(component)
    assert made["type"] == "data"
    (data,) = made["data"]
    assert data["type"] == "dataset"
    assert data["sensitiveData"] == ["voices of people"]
    assert data["governance"]["custodians"] == [{"organization": {"name": "Aviary"}}]
    assert data["contents"]["url"] == "https://example.com/birds"
    assert {"name": "attest:source:licenses", "value": "croissant.json#/license"} in made[
        "properties"
    ]


def test_the_component_of_a_silent_dataset_is_valid():
    bom = BomDocument(component=dataset_component(describe(), name="x", ref="x"))
    assert validate_bom(bom.to_bytes()) == []
