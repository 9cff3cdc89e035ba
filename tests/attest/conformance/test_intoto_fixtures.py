"""in-toto's own demo (Metablock, DSSE, GPG): its links, under its layout signed by a key of ours.

The demo's layouts are templates: not signed, without expiry, and with an inspection that unpacks an
archive. All three are refused as they stand; each is put right here, one after the other.
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("in_toto", reason="the extra in-toto is not installed")

from attest.adapters.intoto import InTotoEngine
from attest.codec.layouts import Link, parse_layout_metadata
from attest.errors import MalformedInput, Unsupported
from attest.flow.layout import Delivered, verify_layout
from attest.flow.subject import subject_from_content
from attest.verdict import Outcome, Severity
from tests.support.fixtures import fixture
from tests.support.supply import NOON, OWNER, Layout, signed

FOLDERS = ["demo_files", "demo_dsse_files", "demo_files_gpg"]


def template(folder: str) -> dict:
    document = json.loads(fixture("provenance/in-toto", folder, "demo.layout.template").read_text())
    if "payload" in document:
        return json.loads(base64.b64decode(document["payload"]))
    return document["signed"]


def write_layout(path: Path, content: dict, *, dsse: bool) -> None:
    path.write_text(json.dumps(signed(Layout.read(content), OWNER, dsse=dsse)))


def judge(folder: str, layout: Path, at: datetime = NOON, *, artifact: bool = True):
    delivered = None
    if artifact:
        subject = subject_from_content(fixture("provenance/in-toto/demo_files/foo.tar.gz"))
        delivered = Delivered(subject.manifest, "foo.tar.gz", True)
    return verify_layout(
        layout,
        fixture("provenance/in-toto", folder),
        engine=InTotoEngine(),
        keys=[OWNER.pem],
        at=at,
        delivered=delivered,
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_demo_verifies(folder: str, tmp_path: Path):
    content = {**template(folder), "inspect": [], "expires": "2018-06-01T00:00:00Z"}
    layout = tmp_path / "root.layout"
    write_layout(layout, content, dsse="dsse" in folder)
    verdict, result = judge(folder, layout, datetime(2018, 1, 1, tzinfo=UTC))
    assert verdict.outcome is Outcome.PASS, verdict.findings
    assert result is not None
    assert [step.name for step in result.steps] == ["write-code", "package"]
    expired, _ = judge(folder, layout, datetime(2026, 1, 1, tzinfo=UTC))
    assert {each.code for each in expired.findings if each.outcome is Severity.FAIL} == {
        "layout-expired"
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_inspection_is_refused(folder: str, tmp_path: Path):
    content = {**template(folder), "expires": "2030-01-01T00:00:00Z"}
    layout = tmp_path / "root.layout"
    write_layout(layout, content, dsse="dsse" in folder)
    verdict, _ = judge(folder, layout)
    assert {each.code for each in verdict.findings} == {"layout-has-inspections"}


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("demo_files", "no-signature"),
        ("demo_dsse_files", "no-signature"),
        ("demo_files_gpg", "no-signature"),
    ],
)
def test_a_template_is_no_layout(folder: str, code: str):
    data = fixture("provenance/in-toto", folder, "demo.layout.template").read_bytes()
    with pytest.raises(MalformedInput) as refused:
        parse_layout_metadata(data)
    assert refused.value.code == code


@pytest.mark.parametrize("folder", FOLDERS)
def test_its_links_parse(folder: str):
    links = sorted(fixture("provenance/in-toto", folder).glob("*.link"))
    assert len(links) == 2
    for path in links:
        read = parse_layout_metadata(path.read_bytes())
        assert isinstance(read.content, Link)
        assert path.name == f"{read.content.name}.{read.keyids[0][:8]}.link"


def test_a_tampered_link_of_the_demo(tmp_path: Path):
    links = tmp_path / "links"
    links.mkdir()
    for path in fixture("provenance/in-toto/demo_files_gpg").glob("*.link"):
        data = path.read_bytes()
        if path.name.startswith("package"):
            data = data.replace(b"52947cb7", b"00947cb7")
        (links / path.name).write_bytes(data)
    layout = tmp_path / "root.layout"
    content = {**template("demo_files_gpg"), "inspect": [], "expires": "2030-01-01T00:00:00Z"}
    write_layout(layout, content, dsse=False)
    verdict, _ = verify_layout(
        layout, links, engine=InTotoEngine(), keys=[OWNER.pem], at=NOON, delivered=None
    )
    assert {each.code for each in verdict.findings} == {"threshold-not-met"}


def gpg_layout(tmp_path: Path, **validity) -> Path:
    content = {**template("demo_files_gpg"), "inspect": [], "expires": "2030-01-01T00:00:00Z"}
    for key in content["keys"].values():
        key.update(validity)
    layout = tmp_path / "root.layout"
    write_layout(layout, content, dsse=False)
    return layout


def test_a_gpg_key_is_judged_for_the_callers_time(tmp_path: Path):
    made = int(datetime(2018, 1, 1, tzinfo=UTC).timestamp())
    layout = gpg_layout(tmp_path, creation_time=made, validity_period=365 * 86400)
    then, _ = judge("demo_files_gpg", layout, datetime(2018, 6, 1, tzinfo=UTC))
    assert then.outcome is Outcome.PASS, then.findings
    later, _ = judge("demo_files_gpg", layout, datetime(2020, 1, 1, tzinfo=UTC))
    assert {each.code for each in later.findings} == {"threshold-not-met"}


def test_a_gpg_key_that_expires_between_the_clock_and_the_judged_time(tmp_path: Path):
    """Valid today, by any clock until 2027, and judged for 2029."""
    layout = gpg_layout(tmp_path, creation_time=1, validity_period=70 * 365 * 86400)
    late, _ = judge("demo_files_gpg", layout, datetime(2029, 12, 31, tzinfo=UTC))
    assert late.outcome is Outcome.PASS
    layout = gpg_layout(tmp_path, creation_time=1, validity_period=58 * 365 * 86400)
    late, _ = judge("demo_files_gpg", layout, datetime(2029, 12, 31, tzinfo=UTC))
    assert late.outcome is Outcome.FAIL


@pytest.mark.parametrize("name", ["policy-hello-signed.json", "fulcio-policy-presigned.json"])
def test_witness_policies_are_no_in_toto_layouts(name: str):
    with pytest.raises((MalformedInput, Unsupported)):
        parse_layout_metadata(fixture("provenance/witness", name).read_bytes())
