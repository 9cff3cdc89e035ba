"""``attest bom diff``: two releases side by side."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.attest.bom.test_elements import big
from tests.cli.support import attest
from tests.support.bom_examples import release, vex, write_examples


@pytest.fixture
def files(here: Path) -> Path:
    write_examples(here)
    return here


def test_two_releases(files: Path):
    ran = attest("bom", "diff", "old.cdx.json", "release.cdx.json")
    assert ran.code == 0
    assert ran.out.startswith("different: old.cdx.json -> release.cdx.json\n")
    for line in (
        "  classifier@2.1.0 itself",
        "      version: 2.0.0 -> 2.1.0",
        f"      hashes.SHA-256: {'cc' * 32} -> {'aa' * 32}",
        "      properties.attest:parameters: 66362880 -> 109482240",
        "      modelCard.modelParameters.datasets.0.ref: (none) -> data",
        "  + data reviews@3 added",
        "  + dependency (subject) -> reviews@3",
        "  0 components unchanged",
    ):
        assert line in ran.out.split("\n"), line


def test_exit_code(files: Path):
    assert attest("bom", "diff", "old.cdx.json", "release.cdx.json", "--exit-code").code == 1
    assert attest("bom", "diff", "old.cdx.json", "old.cdx.json", "--exit-code").code == 0


def test_the_same(files: Path):
    ran = attest("bom", "diff", "old.cdx.json", "old.cdx.json")
    assert (ran.code, ran.out.split(":")[0]) == (0, "same")
    assert attest("bom", "diff", "old.cdx.json", "old.cdx.json", "--quiet").out == ""


def test_json(files: Path):
    ran = attest("bom", "diff", "old.cdx.json", "release.cdx.json", "--json")
    report = ran.report
    assert report["schema"] == "urn:attest-toolkit:bom-diff:v1"
    assert report["outcome"] == "pass"
    assert report["subject"]["added"] == [{"type": "data", "component": "reviews@3"}]
    assert report["subject"]["dependencies"]["added"] == [["(subject)", "reviews@3"]]
    assert set(report["inputs"]) == {"before", "after"}
    assert [each["code"] for each in report["findings"]] == ["boms-differ"]
    refused = attest("bom", "diff", "old.cdx.json", "release.cdx.json", "--json", "--exit-code")
    assert refused.report["outcome"] == "fail"


def test_vulnerabilities(files: Path):
    changed = vex()
    changed["vulnerabilities"][0]["analysis"]["state"] = "exploitable"
    Path("new.json").write_text(json.dumps(changed))
    ran = attest("bom", "diff", "vex.cdx.json", "new.json")
    assert "  ~ vulnerability CVE-2020-25649 in jackson-databind@2.10.0" in ran.out or (
        "  ~ vulnerability CVE-2020-25649 in jackson-databind" in ran.out
    )
    assert "not_affected, high, unknown -> exploitable, high, unknown" in ran.out


def test_long_lists_are_cut(files: Path):
    Path("big.json").write_text(json.dumps(big(100)))
    ran = attest("bom", "diff", "release.cdx.json", "big.json")
    assert "  ... and 80 more (--json lists all)" in ran.out


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"<bom/>", b'{"spdxVersion":"2.3"}'])
@pytest.mark.parametrize("first", [True, False])
def test_no_bom(files: Path, content: bytes, first: bool):
    Path("bad.json").write_bytes(content)
    names = ("bad.json", "old.cdx.json") if first else ("old.cdx.json", "bad.json")
    ran = attest("bom", "diff", *names)
    assert ran.code == 1
    assert "bad.json" in ran.err


def test_a_missing_file(files: Path):
    assert attest("bom", "diff", "old.cdx.json", "nowhere.json").code == 3


def test_usage(files: Path):
    assert attest("bom", "diff", "old.cdx.json").code == 2


def test_hostile_names_are_escaped(files: Path):
    document = release()
    document["components"][0]["name"] = "\x1b[2J\u202e"
    Path("new.json").write_text(json.dumps(document))
    ran = attest("bom", "diff", "release.cdx.json", "new.json")
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_100_000_components_in_seconds(files: Path):
    before, after = big(100_000), big(100_000)
    for each in after["components"][:50]:
        each["version"] = "9"
    Path("a.json").write_text(json.dumps(before))
    Path("b.json").write_text(json.dumps(after))
    begin = time.process_time()
    ran = attest("bom", "diff", "a.json", "b.json", "--json")
    assert time.process_time() - begin < 75
    assert ran.report["subject"]["counts"] == {"changed": 50}
