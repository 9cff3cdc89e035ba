"""Scan claims: the result follows from the counts, and a reader computes it again."""

from __future__ import annotations

import copy
import json
from importlib import resources
from typing import Any

import jsonschema
import pytest

from attest.claim.scan import GRADES, MAX_LISTED, NotClean, ScanClaim, read_scan
from attest.errors import MalformedInput

DIGEST = "5a" * 32


def claim(**counts: int) -> ScanClaim:
    listed = [
        NotClean(f"{grade}-{n}", grade, "pickle", ("some-code",))
        for grade, count in counts.items()
        if grade != "clean"
        for n in range(count)
    ]
    return ScanClaim("attest-scan", "1.0", DIGEST, counts, tuple(listed))


GOOD: dict[str, Any] = claim(clean=3, unlisted=1, malicious=2).to_predicate()


@pytest.mark.parametrize(
    ("counts", "result"),
    [
        ({"clean": 1}, "clean"),
        ({"clean": 9, "unlisted": 1}, "unlisted"),
        ({"unlisted": 1, "suspicious": 1}, "suspicious"),
        ({"suspicious": 1, "unscannable": 1}, "unscannable"),
        ({"clean": 9, "malicious": 1, "unscannable": 5}, "malicious"),
    ],
)
def test_the_worst_decides(counts: dict[str, int], result: str):
    made = claim(**counts)
    assert made.result == result
    assert read_scan(made.to_predicate()).result == result


def test_there_and_back():
    assert read_scan(GOOD).to_predicate() == GOOD


def test_what_is_written_fits_the_schema():
    text = (resources.files("attest.claim") / "schemas" / "scan-v1.schema.json").read_text()
    schema = json.loads(text)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GOOD, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**GOOD, "result": "fine"}, schema)


def test_unknown_members_are_ignored():
    assert read_scan({**GOOD, "more": 1, "scanner": {**GOOD["scanner"], "url": "x"}})


@pytest.mark.parametrize("member", ["scanner", "allowList", "result", "files", "notClean"])
def test_a_member_that_is_missing(member: str):
    with pytest.raises(MalformedInput):
        read_scan({key: value for key, value in GOOD.items() if key != member})


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(GOOD)
    holder: Any = document
    *parents, last = path.split(".")
    for part in parents:
        holder = holder[int(part) if part.isdigit() else part]
    holder[int(last) if last.isdigit() else last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("result", "clean"),
        ("result", "unlisted"),
        ("result", "fine"),
        ("files.clean", -1),
        ("files.clean", True),
        ("files.clean", "3"),
        ("files.malicious", 1),
        ("files.malicious", 3),
        ("files", dict.fromkeys(GRADES, 0)),
        ("notClean", []),
        ("notClean.0.grade", "clean"),
        ("notClean.0.grade", "fine"),
        ("notClean.0.grade", "malicious"),
        ("notClean.1.name", "unlisted-0"),
        ("notClean.0.codes", "x"),
        ("notClean.0.codes", ["x"] * 51),
        ("notCleanOmitted", 1),
        ("notCleanOmitted", -1),
        ("allowList.digest.sha256", "5A" * 32),
        ("allowList.digest.sha256", "5a"),
        ("scanner.name", 5),
        ("limits", {"maxDepth": "8"}),
        ("ignored", [1]),
    ],
)
def test_a_claim_that_contradicts_itself(path: str, value: Any):
    with pytest.raises(MalformedInput):
        read_scan(changed(path, value))


def test_nothing_scanned_is_nothing_claimed():
    with pytest.raises(MalformedInput) as caught:
        ScanClaim("attest-scan", "1.0", DIGEST, {"clean": 0})
    assert caught.value.code == "nothing-judged"


def test_more_files_than_are_listed():
    entries = tuple(NotClean(f"{n}", "unlisted", "pickle", ()) for n in range(MAX_LISTED))
    counts = {"unlisted": MAX_LISTED + 5}
    made = ScanClaim("attest-scan", "1.0", DIGEST, counts, entries, omitted=5)
    assert read_scan(made.to_predicate()) == made or made.result == "unlisted"
    with pytest.raises(MalformedInput):
        ScanClaim("attest-scan", "1.0", DIGEST, counts, entries, omitted=4)
    with pytest.raises(MalformedInput):
        ScanClaim("attest-scan", "1.0", DIGEST, counts, (*entries, entries[0]), omitted=4)
