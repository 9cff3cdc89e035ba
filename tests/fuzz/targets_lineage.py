"""Fuzz target for lineage: any verified statement makes a graph that can be walked and drawn."""

from __future__ import annotations

import hashlib
import json

from attest.claim.lineage import Lineage
from attest.claim.lineage_view import ancestry, ancestry_json, dot_lines, tree_lines
from attest.codec.statement import parse_statement
from attest.flow.assertions import Assertions
from attest.flow.claimset import VerifiedClaim

A, B = "aa" * 32, "bb" * 32


def fuzz_lineage(data: bytes) -> None:
    """Lines of statements, each as if somebody who counts had signed it."""
    reader = Assertions()
    assertions = []
    for number, line in enumerate(data.split(b"\n"), 1):
        statement = parse_statement(line)
        identity = hashlib.sha256(line).hexdigest()
        claim = VerifiedClaim(number, identity, statement, line, frozenset({"x"}), ())
        assertions.append(reader.read(claim, f"line {number}"))
    lineage = Lineage(assertions, [dict(each.outputs[0].digests) for each in assertions[:1]])
    assert sum(len(group) for group in lineage.conflicts) == sum(
        node.group >= 0 for node in lineage.nodes
    )
    for root in range(len(lineage.nodes)):
        view = ancestry(lineage, [root], 256)
        reached = lineage.descendants([root])
        assert reached[root].distance == 0
        for line_of_text in (*tree_lines(view), *dot_lines(view)):
            assert line_of_text.isprintable()
        json.dumps(ancestry_json(view), allow_nan=False)


def _statement(kind: str, predicate: object, **digests: str) -> bytes:
    subject = [{"name": "s", "digest": digests or {"sha256": A}}]
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subject,
        "predicateType": kind,
        "predicate": predicate,
    }
    return json.dumps(document).encode()


def seeds(name: str) -> list[bytes]:
    """Statements of every kind that is read, alone and together."""
    inputs = [
        {"name": "d", "digest": {"sha256": B}, "annotations": {"attest:role": "dataset"}},
        {"uri": "git+https://example.org/c", "digest": {"sha1": "ab" * 20}},
        {"uri": "https://example.org/x"},
    ]
    v1 = {
        "buildDefinition": {
            "buildType": "https://example.org/t",
            "externalParameters": {},
            "resolvedDependencies": inputs,
        },
        "runDetails": {"builder": {"id": "https://example.org/b"}},
    }
    v02 = {
        "builder": {"id": "https://example.org/b"},
        "buildType": "https://example.org/t",
        "materials": inputs,
    }
    made = [
        _statement("https://slsa.dev/provenance/v1", v1),
        _statement("https://slsa.dev/provenance/v0.2", v02, sha256=B, attestTreeV1=A),
        _statement("https://slsa.dev/provenance/v0.2", v02, sha256=B, attestTreeV1=B),
        _statement("https://in-toto.io/attestation/link/v0.3", {"name": "s", "materials": inputs}),
        _statement("urn:attest-toolkit:artifact:v1", {"kind": "model"}),
        _statement("https://example.org/other", {}),
    ]
    return [*made, b"\n".join(made), b"\n".join(made[:2])]
