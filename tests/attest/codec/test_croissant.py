"""Croissant descriptions: the spellings that tools write, and what must not be believed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from attest import limits
from attest.codec.croissant import looks_like_croissant, parse_croissant
from attest.errors import MalformedInput, TooLarge, Unsupported

DIGEST = "ab" * 32
GOOD: dict[str, Any] = {
    "@context": {"@language": "en", "cr": "http://mlcommons.org/croissant/", "sc": "https://schema.org/"},
    "@type": "sc:Dataset",
    "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
    "name": "birds",
    "description": "Songs of birds.",
    "license": "https://creativecommons.org/licenses/by/4.0/",
    "url": "https://example.com/birds",
    "creator": [
        {"@type": "sc:Person", "name": "A. Lark"}, {"@type": "sc:Organization", "name": "Nest"},
    ],
    "publisher": {"@type": "Organization", "name": "Aviary"},
    "datePublished": "2026-01-02",
    "version": 1.0,
    "citeAs": "@misc{birds}",
    "keywords": ["audio", "birds"],
    "isLiveDataset": False,
    "rai:dataCollection": "Microphones in forests.",
    "rai:personalSensitiveInformation": ["none", "voices of people, rarely"],
    "distribution": [
        {
            "@type": "cr:FileObject", "@id": "songs.zip", "name": "songs.zip",
            "contentUrl": "https://example.com/songs.zip", "contentSize": "5 MB",
            "encodingFormat": "application/zip", "sha256": DIGEST.upper(), "md5": "cd" * 16,
        },
        {
            "@type": "cr:FileSet", "@id": "wavs", "containedIn": {"@id": "songs.zip"},
            "encodingFormat": "audio/wav", "includes": "*.wav",
        },
    ],
    "recordSet": [
        {
            "@type": "cr:RecordSet", "@id": "songs", "name": "songs",
            "field": [
                {"@type": "cr:Field", "@id": "songs/file", "dataType": "sc:AudioObject"},
                {
                    "@type": "cr:Field", "name": "place", "dataType": ["sc:Text", "wd:Q1"],
                    "subField": [{"name": "lat", "dataType": "sc:Float"}],
                },
            ],
        }
    ],
}  # fmt: skip


def encode(**changes: Any) -> bytes:
    document = {**GOOD, **changes}
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def test_a_description():
    read = parse_croissant(encode())
    assert (read.version, read.name, read.dataset_version) == ("1.0", "birds", "1.0")
    assert read.licences == ("https://creativecommons.org/licenses/by/4.0/",)
    assert read.creators == ("A. Lark", "Nest")
    assert read.publishers == ("Aviary",)
    assert read.cite_as == "@misc{birds}"
    assert read.rai == {
        "dataCollection": ("Microphones in forests.",),
        "personalSensitiveInformation": ("none", "voices of people, rarely"),
    }
    archive, waves = read.files
    assert (archive.kind, archive.sha256, archive.md5) == ("file", DIGEST, "cd" * 16)
    assert (waves.kind, waves.contained_in, waves.includes) == ("set", ("songs.zip",), ("*.wav",))
    assert waves.pointer == "/distribution/1"
    (records,) = read.record_sets
    assert records.fields == (
        ("songs/file", ("sc:AudioObject",)),
        ("place", ("sc:Text", "wd:Q1")),
        ("place/lat", ("sc:Float",)),
    )
    assert read.anomalies == ()


@pytest.mark.parametrize(
    "spelled",
    [
        {"@type": "Dataset"},
        {"@type": "https://schema.org/Dataset"},
        {"@type": ["sc:Dataset", "other:Thing"]},
        {"conformsTo": "http://mlcommons.org/croissant/1.1"},
        {"conformsTo": {"@id": "http://mlcommons.org/croissant/1.0"}},
        {"name": ..., "sc:name": "birds"},
        {"name": ..., "https://schema.org/name": "birds"},
        {"name": ["birds", "oiseaux"]},
        {"name": {"@value": "birds", "@language": "en"}},
        {"license": {"@type": "sc:CreativeWork", "name": "CC-BY", "url": "https://cc"}},
        {"creator": "A. Lark"},
        {"distribution": GOOD["distribution"][0]},
        {"conformsTo": ...},
    ],
    ids=str,
)
def test_other_spellings(spelled: dict[str, Any]):
    assert parse_croissant(encode(**spelled)).name == "birds"


def test_a_placeholder_is_no_digest():
    file = {**GOOD["distribution"][0], "sha256": "https://github.com/mlcommons/croissant/issues/80"}
    read = parse_croissant(encode(distribution=[file]))
    assert read.files[0].sha256 is None
    assert [(code, pointer) for code, pointer, _ in read.anomalies] == [
        ("not-a-digest", "/distribution/0/sha256")
    ]


def test_the_context_is_never_fetched():
    read = parse_croissant(encode(**{"@context": "https://attacker.example/context.jsonld"}))
    assert read.name == "birds"


BAD: dict[str, tuple[Any, str]] = {
    "not-json": (b"{", "truncated"),
    "an-array": (b"[]", "wrong-type"),
    "not-a-dataset": (encode(**{"@type": "sc:Person"}), "not-a-dataset"),
    "no-type": (encode(**{"@type": ...}), "not-a-dataset"),
    "name-in-two-spellings": (encode(**{"sc:name": "other"}), "duplicate-key"),
    "name-twice": (encode()[:-1] + b',"name":"other"}', "duplicate-key"),
    "file-digest-in-two-spellings": (
        encode(distribution=[{**GOOD["distribution"][0], "sc:sha256": "00" * 32}]),
        "duplicate-key",
    ),
    "boolean-name": (encode(name=True), "wrong-type"),
    "list-in-list": (encode(keywords=[["a"]]), "wrong-type"),
    "distribution-of-texts": (encode(distribution=["a.csv"]), "wrong-type"),
    "distribution-is-a-text": (encode(distribution="a.csv"), "wrong-type"),
    "file-without-name": (encode(distribution=[{"@type": "cr:FileObject"}]), "missing-member"),
    "field-is-a-number": (encode(recordSet=[{"field": [1]}]), "wrong-type"),
    "deep": (b'{"@type":"Dataset","a":' + b"[" * 40 + b"]" * 40 + b"}", "nested-too-deep"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_description(name: str):
    data, code = BAD[name]
    with pytest.raises(MalformedInput) as caught:
        parse_croissant(data)
    assert caught.value.code == code


def test_another_major_version():
    with pytest.raises(Unsupported):
        parse_croissant(encode(conformsTo="http://mlcommons.org/croissant/2.0"))


def test_a_graph():
    with pytest.raises(Unsupported):
        parse_croissant(b'{"@graph": []}')


def test_a_million_fields():
    fields = b",".join([b"{}"] * 1_000_000)
    with pytest.raises(TooLarge):
        parse_croissant(b'{"@type":"Dataset","recordSet":[{"field":[' + fields + b"]}]}")


def test_a_million_record_sets():
    sets = b",".join([b"{}"] * 1_000_000)
    with pytest.raises(TooLarge):
        parse_croissant(b'{"@type":"Dataset","recordSet":[' + sets + b"]}")


def test_too_many_files():
    files = [{"@id": str(number)} for number in range(limits.MAX_CROISSANT_FILES + 1)]
    with pytest.raises(TooLarge):
        parse_croissant(encode(distribution=files))


def test_a_long_name_in_front_of_many_fields():
    outer = {"name": "x" * 5000, "subField": [{"name": "y"}] * 1000}
    with pytest.raises(TooLarge):
        parse_croissant(encode(recordSet=[{"field": [outer]}]))


def test_looks_like_croissant():
    assert looks_like_croissant(encode())
    assert not looks_like_croissant(b'{"name": "x"}')
