"""Fuzz targets for claims files, their own predicates, merging and packs; see targets.py.

Signatures are made once per run, so an input that holds is one that was made here: nothing else may
be verified, whatever the bytes around it are.
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from unittest import mock

from attest.claim.approval import read_approval
from attest.claim.artifact import read_artifact_claim
from attest.claim.predicates import (
    APPROVAL_PREDICATE,
    ARTIFACT_PREDICATE,
    BOM_PREDICATE,
    DATASET_PREDICATE,
    PROVENANCE_PREDICATE,
    REVOCATION_PREDICATE,
    SCAN_PREDICATE,
    TEST_RESULT_PREDICATE,
    VULNS_PREDICATE,
)
from attest.claim.revocation import read_revocation
from attest.claim.store import split_claims
from attest.codec import jsonstrict
from attest.codec.reader import BytesSource
from attest.codec.statement import Statement, Subject
from attest.codec.ustar import encode_ustar
from attest.errors import MalformedInput, VerificationFailed
from attest.flow import pack as packs
from attest.flow.approval import ApprovalScope, judge_approvals
from attest.flow.claiming import read_predicate
from attest.flow.claimset import VerifiedClaim, read_claims
from attest.flow.clash import clashes
from attest.flow.merge import merge_claims
from attest.flow.says import says
from attest.trust.signers import KeyTrust
from tests.support import claims as made
from tests.support import forge, pki
from tests.support.claims import ALICE, BOB, DIGESTS, ODD, approval, claim, line, people, revoking

PEOPLE: Final = people(alice=ALICE, bob=BOB)
SIGNED: Final = [
    claim(APPROVAL_PREDICATE, approval(ring="canary", conditions=["c"], validUntil=None)),
    claim(APPROVAL_PREDICATE, approval(decision="reject")),
    claim(ARTIFACT_PREDICATE, {"kind": "model"}),
    claim(ODD, {"n": 1}),
    revoking(claim(ODD, {"n": 1})),
    revoking(claim(APPROVAL_PREDICATE, approval(decision="reject"))),
]


def fuzz_approval(data: bytes) -> None:
    """A predicate, by its ``kind``: what is read is written and read again, and can be told."""
    document = jsonstrict.typed(jsonstrict.loads(data, what="x"), dict, where="x")
    kind = jsonstrict.member(document, "kind", str, where="x")
    predicate = jsonstrict.member(document, "predicate", dict, where="x")
    if kind == APPROVAL_PREDICATE:
        given = read_approval(predicate)
        assert read_approval(given.to_predicate()) == given
        assert given.decision in ("approve", "reject")
    elif kind == REVOCATION_PREDICATE:
        back = read_revocation(predicate)
        assert read_revocation(back.to_predicate()) == back
    elif kind == ARTIFACT_PREDICATE:
        assert read_artifact_claim(predicate).kind == predicate["kind"]
    with contextlib.suppress(ModuleNotFoundError):  # the reader of a type that is not there yet
        read_predicate(kind, predicate)
        _can_be_told(kind, predicate)


def _can_be_told(kind: str, predicate: dict[str, object]) -> None:
    """What was read without error has words, and can be compared with itself."""
    statement = Statement((Subject("x", DIGESTS),), kind, predicate)
    read = VerifiedClaim(1, "00", statement, b"", frozenset({"alice"}), ())
    for text in says(read):
        assert text
    assert clashes([read, read], "c") == []


def fuzz_claimset(data: bytes) -> None:
    """Nothing but what was signed here is ever verified, in the file and in what merging makes."""
    read = read_claims(data, principals=PEOPLE, at=pki.NOON, where="c")
    lines = split_claims(data)
    assert len(read.verified) + len(read.withdrawn) + read.others == len(lines)
    for each in (*read.verified, *read.withdrawn):
        assert each.payload in SIGNED
        assert each.principals
        assert json.loads(each.payload)["predicateType"] == each.predicate_type
    judge_approvals(read, DIGESTS, ApprovalScope("release", "production"), pki.NOON)
    _merge(data, {(each.id, name) for each in read.verified for name in each.principals})


def _merge(data: bytes, counted: set[tuple[str, str]]) -> None:
    """Merging a file into a good one takes nothing away but what is revoked, and is stable."""
    results: list[bytes] = []

    def rewrite(path: Path, change: Callable[[bytes], list[bytes]]) -> None:
        before = results[-1] if results else line(SIGNED[1], ALICE)
        results.append(b"".join(change(before)))

    with (
        mock.patch("attest.flow.merge.read_bounded", return_value=data),
        mock.patch("attest.flow.merge.rewrite_claims", rewrite),
    ):
        try:
            merge_claims(Path("t"), [Path("s")])
            merge_claims(Path("t"), [Path("s")])
        except MalformedInput:  # a payload that is no statement, by nobody who counts
            return
    assert results[0] == results[1]
    read = read_claims(results[0], principals=PEOPLE, at=pki.NOON, where="c")
    after = {(each.id, name) for each in read.verified for name in each.principals}
    gone = {each.id for each in read.withdrawn}
    mine = made.claim_id(SIGNED[1])
    assert {each for each in counted if each[0] != mine} <= after
    assert (mine, "alice") in after or mine in gone


def _verified(contents: Mapping[str, bytes]) -> packs.PackReport:
    """What packing and unpacking verify of a pack's members."""
    ways = [KeyTrust((ALICE.public_key,))]
    subject = packs.subject_from_bytes(contents["signature"], "signature", ways, pki.NOON)
    return packs._verify(contents, subject, PEOPLE, pki.NOON)


def fuzz_pack(data: bytes) -> None:
    """What is accepted is byte for byte what packing its content makes."""
    try:
        index, contents = packs._read(BytesSource(data))
        report = _verified(contents)
        packs._check_index(index, report, contents)
    except VerificationFailed as refusal:
        raise MalformedInput(refusal.message) from None
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive.getmembers()[1:]:
            held = archive.extractfile(member)
            assert held is not None
            assert held.read() == contents[member.name]
    assert data == _archive({"pack.json": index, **contents})
    assert "/" not in report.subject.name


def _predicates() -> list[bytes]:
    listed = [(json.loads(each)["predicateType"], json.loads(each)["predicate"]) for each in SIGNED]
    firmware = {"version": "1.8.2", "rollbackCounter": 17}
    listed += [
        (ARTIFACT_PREDICATE, {"kind": "firmware", "firmware": firmware}),
        (APPROVAL_PREDICATE, approval(validUntil="2027-01-01T00:00:00Z", comment="x")),
        (APPROVAL_PREDICATE, approval(reviewed=[{"sha256": "ab" * 32}])),
    ]
    listed += _of_other_areas()
    return [json.dumps({"kind": kind, "predicate": held}).encode() for kind, held in listed]


def _of_other_areas() -> list[tuple[str, dict[str, Any]]]:
    """What :mod:`attest.flow.says` and :mod:`attest.flow.clash` have words for."""
    score = {"suite": "s", "version": "1", "metric": "m", "value": 0.5}
    tests = {"result": "WARNED", "configuration": [], "warnedTests": ["s/m"], "evaluation": [score]}
    build = {"buildType": "https://x/y", "externalParameters": {}, "resolvedDependencies": []}
    scanner = {"uri": "x", "db": {"lastUpdate": "2026-05-01T12:00:00Z"}, "result": []}
    times = dict.fromkeys(("scanStartedOn", "scanFinishedOn"), "2026-05-01T12:00:00Z")
    return [
        (BOM_PREDICATE, {"specVersion": "1.6", "components": [{}]}),
        (TEST_RESULT_PREDICATE, {"passedTests": [], "failedTests": [], **tests}),
        (
            PROVENANCE_PREDICATE,
            {"buildDefinition": build, "runDetails": {"builder": {"id": "https://x"}}},
        ),
        (VULNS_PREDICATE, {"scanner": scanner, "metadata": times}),
        (SCAN_PREDICATE, made.scanned()),
        (DATASET_PREDICATE, made.card()),
    ]


def _files() -> list[bytes]:
    singles = [line(each, ALICE) for each in SIGNED]
    return [
        b"".join(singles),
        *singles,
        line(SIGNED[0], ALICE, BOB) + line(SIGNED[3], BOB, keyids=False),
        made.compact(forge.bundle(SIGNED[2], ALICE)),
        line(SIGNED[1], ALICE) + line(revoking(SIGNED[1]), ALICE),
        b"",
    ]


@functools.cache
def _pack() -> bytes:
    """A small pack, made by hand around a signature by Alice."""
    listed = forge.resources({"a": b"1"})
    signature = json.dumps(forge.bundle(forge.statement(listed), ALICE)).encode()
    contents = {
        "signature": signature,
        "claims.jsonl": line(SIGNED[3], ALICE),
        "material/alice.pub": ALICE.public_key.pem,
    }
    report = _verified(contents)
    return _archive({"pack.json": packs._index(report.subject, contents), **contents})


def _archive(members: dict[str, bytes]) -> bytes:
    entries = ((name, len(content), (content,)) for name, content in members.items())
    return b"".join(encode_ustar(entries))


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    made_by: dict[str, Callable[[], list[bytes]]] = {
        "fuzz_approval": _predicates,
        "fuzz_claimset": _files,
        "fuzz_pack": lambda: [_pack(), _pack()[:2048]],
    }
    return made_by[name]()
