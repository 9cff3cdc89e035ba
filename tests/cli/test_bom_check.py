"""``attest bom check``: what is complete, what is not, and what cannot be judged."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.attest.bom.test_elements import big
from tests.cli.support import attest, unchanged
from tests.support.bom_examples import release


def write(document: Any, name: str = "x.cdx.json") -> str:
    Path(name).write_text(json.dumps(document))
    return name


def test_complete_by_cisa(here: Path):
    with unchanged(here):
        pass
    ran = attest("bom", "check", write(release()), "--profile", "cisa")
    assert ran.code == 0, ran.out
    assert ran.out.startswith("complete: x.cdx.json: ")
    assert "2025 Minimum Elements" in ran.out
    assert "present  License: 2 of 2" in ran.out
    assert "n/a      Frequency: It is a practice" in ran.out


def test_incomplete_by_g7_says_what_and_where(here: Path):
    ran = attest("bom", "check", write(release()))
    assert ran.code == 1
    assert "MISSING  Model description" in ran.out
    assert "MISSING  Model timestamp (recommended)" in ran.out
    assert (
        "present  Model license: /metadata/component/licenses/0/license/id (from README.md#license)"
    ) in ran.out


def test_json(here: Path):
    ran = attest("bom", "check", write(release()), "--json")
    report = ran.report
    assert ran.code == 1
    assert report["schema"] == "urn:attest-toolkit:bom-check:v1"
    assert report["subject"]["profile"]["id"] == "g7"
    elements = [each for cluster in report["subject"]["clusters"] for each in cluster["elements"]]
    assert len(elements) == 50
    assert {each["status"] for each in elements} <= {
        "present", "missing", "not-applicable", "unknown",
    }  # fmt: skip
    assert sum(report["subject"]["counts"].values()) == 50
    name = next(each for each in elements if each["id"] == "models.model-name")
    assert name["found"] == [{"pointer": "/metadata/component/name"}]
    assert set(report["inputs"]) == {"bom"}
    assert ran.codes == {"element-missing"}


def test_strict_refuses_what_is_recommended(here: Path):
    document = release(signature={"algorithm": "ES256", "value": "x"})
    name = write(document)
    assert attest("bom", "check", name, "--profile", "cisa").code == 0
    assert attest("bom", "check", name, "--profile", "cisa", "--strict").code == 1
    complete = {**document, "compositions": [{"aggregate": "complete", "assemblies": ["model"]}]}
    assert attest("bom", "check", write(complete), "--profile", "cisa", "--strict").code == 0


def test_unknown_values_pass_and_strict_refuses(here: Path):
    document = release(compositions=[{"aggregate": "complete"}])
    document["metadata"]["component"]["licenses"] = [{"license": {"name": "NOASSERTION"}}]
    name = write(document)
    ran = attest("bom", "check", name, "--profile", "cisa")
    assert ran.code == 0
    assert "unknown  License: 2 of 2" in ran.out
    assert attest("bom", "check", name, "--profile", "cisa", "--strict", "--json").codes == {
        "element-unknown"
    }


def test_the_list_is_chosen_by_what_is_listed(here: Path):
    software = release()
    software["metadata"]["component"] = {"type": "application", "name": "app"}
    software["components"] = []
    ran = attest("bom", "check", write(software), "--json")
    assert ran.report["subject"]["profile"]["id"] == "cisa"
    ran = attest("bom", "check", write(software), "--profile", "g7", "--json")
    assert ran.code == 1
    assert "no-ai-component" in ran.codes


def test_the_final_version_of_cisa(here: Path):
    ran = attest("bom", "check", write(release()), "--profile", "cisa-2026", "--json")
    assert ran.code == 0
    assert ran.report["subject"]["profile"]["published"] == "2026-07-29"


def test_verbose_names_every_place(here: Path):
    ran = attest("bom", "check", write(release()), "--profile", "cisa", "--verbose")
    assert "             /components/0/licenses/0/license/id" in ran.out


def test_quiet(here: Path):
    ran = attest("bom", "check", write(release()), "--profile", "cisa", "--quiet")
    assert (ran.code, ran.out) == (0, "")
    assert attest("bom", "check", write(release()), "--quiet").out != ""


def test_a_bom_that_breaks_its_schema(here: Path):
    document = release()
    document["metadata"]["timestamp"] = "yesterday"
    ran = attest("bom", "check", write(document), "--profile", "cisa", "--json")
    assert ran.code == 1
    assert ran.codes == {"bom-schema"}


def test_dangling_references_are_told_and_strict_refuses(here: Path):
    document = release(compositions=[{"aggregate": "complete"}])
    document["dependencies"][0]["dependsOn"] = ["data", "nowhere"]
    name = write(document)
    ran = attest("bom", "check", name, "--profile", "cisa")
    assert ran.code == 0
    assert "warn: bom-dangling-ref" in ran.out
    assert attest("bom", "check", name, "--profile", "cisa", "--strict", "--json").codes == {
        "bom-dangling-ref"
    }


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "truncated"),
        (b"{", "truncated"),
        (b"[]", "wrong-type"),
        (b"{}", "not-a-bom"),
        (b'{"spdxVersion":"SPDX-2.3"}', "unsupported-bom"),
        (b"<bom/>", "unsupported-bom"),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.3"}', "unsupported-bom-version"),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","a":' + b"[" * 5000, "nested-too-deep"),
        (b'{"bomFormat":"CycloneDX","specVersion":"1.6","version":NaN}', "malformed-json"),
        (b"\xff\xfe", "not-utf8"),
    ],
    ids=["empty", "cut", "array", "object", "spdx", "xml", "1.3", "deep", "nan", "utf-16"],
)
def test_no_bom_at_all(here: Path, content: bytes, code: str):
    Path("x.json").write_bytes(content)
    ran = attest("bom", "check", "x.json", "--json")
    assert ran.code == 1
    assert code in ran.codes


def test_a_missing_file(here: Path):
    assert attest("bom", "check", "nowhere.json").code == 3


def test_usage(here: Path):
    assert attest("bom", "check").code == 2
    assert attest("bom", "check", write(release()), "--profile", "ntia").code == 2
    name = write(release())
    assert attest("bom", "check", name, "--profile", "g7", "--profile", "cisa").code == 2


def test_hostile_names_are_escaped(here: Path):
    document = release()
    document["metadata"]["component"]["properties"][1]["value"] = "\x1b[2Jx"
    ran = attest("bom", "check", write(document))
    assert "\x1b" not in ran.out
    assert "\\x1b[2Jx" in ran.out


def test_100_000_components_in_seconds(here: Path):
    name = write(big(100_000))
    begin = time.process_time()
    ran = attest("bom", "check", name, "--profile", "cisa", "--json")
    assert time.process_time() - begin < 60
    assert ran.code == 1
    assert len(ran.out) < 100_000
