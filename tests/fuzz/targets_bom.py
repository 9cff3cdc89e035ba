"""Fuzz target for BOMs by anybody: strict parsing, and validation that ends and holds."""

from __future__ import annotations

import json
from typing import Any

from attest import limits
from attest.bom.schema import problems_of
from attest.codec.boms import is_shallow, parse_bom


def fuzz_boms(data: bytes) -> None:
    shallow = is_shallow(data)
    bom = parse_bom(data)
    assert bom.data == data
    assert bom.document == json.loads(data)
    if shallow:
        assert depth_of(bom.document) <= limits.MAX_JSON_DEPTH
    for problem in problems_of(bom):
        assert problem.path == "" or problem.path.startswith("/")
        assert len(problem.message) < 1000


def depth_of(value: Any) -> int:
    """How deep a parsed document is nested."""
    deepest, level = 0, [value]
    while level:
        deepest += 1
        level = [
            inner
            for each in level
            for inner in (each.values() if isinstance(each, dict) else each)
            if isinstance(inner, dict | list)
        ]
    return deepest


def seeds(name: str) -> list[bytes]:
    """Small BOMs that use much of the format, good ones and bad ones."""
    component = {
        "type": "machine-learning-model",
        "bom-ref": "model:a",
        "name": "a",
        "hashes": [{"alg": "SHA-256", "content": "0" * 64}],
        "licenses": [{"license": {"id": "MIT", "url": "https://example.com/#x"}}],
        "modelCard": {"modelParameters": {"task": "t", "datasets": [{"ref": "dataset:b"}]}},
        "properties": [{"name": "attest:files", "value": '{"[}\\"'}],
    }
    data = {"type": "data", "bom-ref": "dataset:b", "name": "b", "data": [{"type": "dataset"}]}
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "version": 1,
        "metadata": {"timestamp": "2026-01-01T00:00:00Z", "component": component},
        "components": [data],
        "dependencies": [{"ref": "model:a", "dependsOn": ["dataset:b"]}],
        "compositions": [{"aggregate": "unknown", "dependencies": ["model:a"]}],
    }
    made = [document | {"specVersion": version} for version in ("1.4", "1.5", "1.6", "1.7", "9.9")]
    made += [document | {"components": [data, data]}, document | {"dependencies": [{"ref": "?"}]}]
    return [json.dumps(each).encode() for each in made] + [json.dumps(document, indent=1).encode()]
