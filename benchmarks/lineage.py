"""Lineage over 100 000 claims: from parsed statements, and from files with their signatures."""

from __future__ import annotations

import gc
import hashlib
import random
import resource
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from attest.claim.lineage import Lineage
from attest.claim.lineage_view import ancestry, ancestry_json
from attest.claim.predicates import PROVENANCE_PREDICATE
from attest.codec.statement import Statement, Subject, encode_statement, parse_statement
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import LocalSigner, generate
from attest.flow.assertions import Assertions
from attest.flow.claimset import VerifiedClaim
from attest.flow.gather import load_lineage
from attest.flow.seal import seal
from attest.trust.principals import Principal, Principals
from attest.trust.signers import KeyTrust
from benchmarks.report import Row

TARGET = 5.0
"""Seconds on one core, graph built and asked both ways."""


def statements(count: int) -> Iterator[bytes]:
    """Models made from one of 2 000 datasets, a commit and one of the 50 models before."""
    draw = random.Random(4)
    for number in range(count):
        parents = [_dependency(f"dataset-{draw.randrange(2000)}", "dataset")]
        if number:
            before = draw.randrange(max(0, number - 50), number)
            parents.append(_dependency(f"model-{before}", "base-model"))
        commit = hashlib.sha1(b"%d" % (number % 500)).hexdigest()
        parents.append({"uri": "git+https://example.org/code", "digest": {"gitCommit": commit}})
        predicate = {
            "buildDefinition": {
                "buildType": "https://example.org/train/v1",
                "externalParameters": {"epochs": 3},
                "resolvedDependencies": parents,
            },
            "runDetails": {"builder": {"id": "https://example.org/builder"}},
        }
        subject = Subject(f"model-{number}", digests(f"model-{number}"))
        yield encode_statement([subject], PROVENANCE_PREDICATE, predicate)


def digests(name: str) -> dict[str, str]:
    root, tree = (hashlib.sha256(f"{what} {name}".encode()).hexdigest() for what in ("r", "t"))
    return {"sha256": root, "attestTreeV1": tree}


def _dependency(name: str, role: str) -> dict:
    return {"name": name, "digest": digests(name), "annotations": {"attest:role": role}}


def rows(folder: Path, count: int = 100_000) -> Iterator[Row]:
    """Measured in this process, without the collector of cyclic garbage, as the verbs do it."""
    gc.disable()
    try:
        yield _from_statements(count)
        yield _from_files(folder, count)
    finally:
        gc.enable()


def _from_statements(count: int) -> Row:
    claims = [
        _claim(number, parse_statement(data), data)
        for number, data in enumerate(statements(count), 1)
    ]
    start = time.process_time()
    reader = Assertions()
    lineage = Lineage([reader.read(claim, f"x:{claim.line}") for claim in claims])
    _ask(lineage, count)
    taken = time.process_time() - start
    what = f"lineage, {count} parsed claims"
    return Row(what, f"{taken:.2f} s", f"{TARGET:.0f} s", "", None, "< 5 s", taken < TARGET)


def _claim(number: int, statement: Statement, data: bytes) -> VerifiedClaim:
    identity = hashlib.sha256(data).hexdigest()
    return VerifiedClaim(number, identity, statement, data, frozenset({"lab"}), ())


def _from_files(folder: Path, count: int) -> Row:
    key = generate(KeyAlgorithm.ECDSA_P256)
    path = folder / "all.claims.jsonl"
    with path.open("wb") as file:
        for data in statements(count):
            file.writelines(seal(data, [key], as_bundle=False))
    start = time.process_time()
    trusted = Principals([Principal("lab", (KeyTrust((key.public_key,)),))])
    loaded = load_lineage([path], principals=trusted, at=datetime(2026, 1, 1, tzinfo=UTC))
    _ask(loaded.lineage, count)
    taken = time.process_time() - start
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    alone = _verify_alone(key, count)
    which = f"P-256 verification alone; peak {memory:.0f} MB"
    return Row(f"lineage, {count} signed claims", f"{taken:.1f} s", f"{alone:.1f} s", which)


def _verify_alone(key: LocalSigner, count: int) -> float:
    signature = key.sign_parts([b"x" * 900])
    start = time.process_time()
    for _ in range(count // 20):
        key.public_key.verify_parts(signature, [b"x" * 900])
    return (time.process_time() - start) * 20


def _ask(lineage: Lineage, count: int) -> None:
    last = lineage.find(digests(f"model-{count - 1}"))
    ancestry_json(ancestry(lineage, last))
    assert len(lineage.descendants(lineage.find(digests("model-0")))) > count // 2
