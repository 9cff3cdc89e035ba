"""Every predicate type that is read or written has a schema in the package, and it is a schema."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from attest.claim import predicates

FOLDER = resources.files("attest.claim") / "schemas"
SCHEMAS: dict[str, Any] = {
    file.name: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted(FOLDER.iterdir(), key=lambda file: file.name)
}
TYPES = {value for name, value in vars(predicates).items() if name.endswith("_PREDICATE")}
ELSEWHERE = {
    "https://cyclonedx.org/bom": "the official schemas, in cyclonedx-python-lib",
    "https://slsa.dev/provenance/v0.1": "as v0.2, but for the name of one member",
}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str):
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[name])
    assert SCHEMAS[name]["title"]


def test_every_predicate_has_a_schema():
    identified = {schema["$id"] for schema in SCHEMAS.values()}
    assert TYPES - identified == set(ELSEWHERE)
