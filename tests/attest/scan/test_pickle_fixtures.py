"""The crafted files: no malicious one is clean, no benign one malicious. None is ever loaded."""

from __future__ import annotations

import json

import pytest

from attest.codec.reader import BytesSource
from attest.scan.allowlist import builtin_allow_list
from attest.scan.grades import FileScan, Grade, Rules
from attest.scan.pickles import (
    looks_like_legacy_torch,
    looks_like_pickle,
    scan_legacy_torch,
    scan_pickle,
    sniff_pickle,
)
from tests.support.fixtures import fixture, fixtures_root

RULES = Rules(builtin_allow_list())
PLAIN_STREAMS = ("pickle", "pickle-opcode", "gadget", "torch-dcp")


def cases():
    root = fixtures_root()
    if root is None or not (root / "pickles" / "EXPECTED.json").exists():
        return [pytest.param("absent", {}, marks=pytest.mark.skip("the fixtures are not here"))]
    expected = json.loads((root / "pickles" / "EXPECTED.json").read_text())
    return [
        pytest.param(name, entry, id=name)
        for name, entry in expected.items()
        if (entry["class"] in PLAIN_STREAMS and not name.endswith(".distcp"))
        or name == "malicious/noext"
    ]


def scan(name):
    data = fixture("pickles", *name.split("/")).read_bytes()
    return FileScan(name, "pickle", tuple(scan_pickle(BytesSource(data), RULES)))


@pytest.mark.parametrize(("name", "entry"), cases())
def test_verdict(name, entry):
    grade = scan(name).grade
    if entry["verdict"] == "benign":
        assert grade is (Grade.UNLISTED if "metadata" in name else Grade.CLEAN)
    elif "persid" in name:
        assert grade is Grade.UNSCANNABLE  # the danger is whatever the loader makes of the id
    elif entry["class"] == "gadget":
        assert grade in (Grade.MALICIOUS, Grade.UNLISTED)  # a name that no table knows is unlisted
    else:
        assert grade is not Grade.CLEAN


@pytest.mark.parametrize(("name", "entry"), cases())
def test_recognised_by_content(name, entry):
    data = fixture("pickles", *name.split("/")).read_bytes()
    assert looks_like_pickle(data[:4096], len(data))
    assert sniff_pickle(BytesSource(data))


def test_what_came_before_a_break_is_reported_and_the_break_too():
    codes = {hit.code: hit.grade for hit in scan("malicious/op_broken_tail.pkl").hits}
    assert codes == {"dangerous-global": Grade.MALICIOUS, "broken-pickle": Grade.UNSCANNABLE}


def test_items_put_into_a_tensor():
    for name in ("op_setitem_on_tensor", "op_append_on_tensor"):
        (hit,) = scan(f"malicious/{name}.pkl").hits
        assert (hit.code, hit.grade) == ("item-on-object", Grade.MALICIOUS)


def test_a_frame_that_lies_hides_nothing():
    codes = [hit.code for hit in scan("malicious/op_frame_lie.pkl").hits]
    assert codes == ["dangerous-global", "frame-mismatch"]


def test_legacy_torch_file():
    data = fixture("pickles", "malicious", "torch_legacy.pth").read_bytes()
    assert looks_like_legacy_torch(data[:64])
    hits = scan_legacy_torch(BytesSource(data), RULES)
    assert [hit.code for hit in hits if hit.grade is Grade.MALICIOUS] == ["dangerous-global"]
