"""``attest bom``: what it writes, where, what it claims, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from attest.bom.schema import validate_bom
from attest.claim.predicates import BOM_PREDICATE
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import generate
from tests.attest.bom.test_model import readme, safetensors
from tests.cli.support import attest, attest_process, unchanged


@pytest.fixture
def model(here: Path) -> Path:
    folder = Path("model")
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "model.safetensors").write_bytes(safetensors({"a": ("F32", (2, 3))}))
    (folder / "README.md").write_text(readme(license="llama3.1", datasets=["c4"]))
    return folder


def written(path: str | Path = "model.cdx.json") -> dict:
    data = Path(path).read_bytes()
    assert validate_bom(data) == []
    return json.loads(data)


def test_the_bom_lies_beside_the_artifact_and_nothing_changes_inside(model):
    with unchanged(model):
        ran = attest("bom", model)
    assert ran.code == 0
    assert ran.err == ""
    assert "parameters 6 (safetensors)" in ran.out
    assert "licence    LicenseRef-llama3.1" in ran.out
    assert "restricts  LicenseRef-llama3.1: acceptable-use-policy" in ran.out
    document = written()
    assert document["specVersion"] == "1.6"
    assert document["metadata"]["component"]["name"] == "model"
    assert not Path("model.claims.jsonl").exists()


def test_options_reach_the_bom(model):
    ran = attest(
        *("bom", model, "--spec", "1.7", "--name", "N", "--version", "2", "--supplier", "S"),
        *("--timestamp", "2026-01-02T03:04:05Z", "-o", "x.json"),
    )
    assert ran.code == 0
    document = written("x.json")
    component = document["metadata"]["component"]
    assert (document["specVersion"], component["name"]) == ("1.7", "N")
    assert (component["version"], component["supplier"]) == ("2", {"name": "S"})
    assert document["metadata"]["timestamp"] == "2026-01-02T03:04:05Z"


def test_the_same_moment_makes_the_same_bytes(model, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1760000000")
    assert attest("bom", model).code == 0
    first = Path("model.cdx.json").read_bytes()
    assert json.loads(first)["metadata"]["timestamp"] == "2025-10-09T08:53:20Z"
    assert attest("bom", model).code == 0
    assert Path("model.cdx.json").read_bytes() == first


@pytest.mark.parametrize("value", ["", "now", "-1", "1.5", "+1", "\u0661", "9" * 30, "9" * 12])
def test_a_wrong_moment_is_a_usage_error(model, monkeypatch, value):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    ran = attest("bom", model)
    assert ran.code == 2
    assert "SOURCE_DATE_EPOCH" in ran.err


def test_json(model):
    ran = attest("bom", model, "--json")
    assert ran.code == 0
    report = ran.report
    assert report["schema"] == "urn:attest-toolkit:bom:v1"
    assert report["outcome"] == "pass"
    subject = report["subject"]
    assert subject["kind"] == "model"
    assert set(subject["digests"]) == {"sha256", "attestTreeV1"}
    assert subject["bom"]["serialNumber"] == written()["serialNumber"]
    assert "config.json" in subject["read"]


def test_to_standard_output_the_bom_alone(model):
    ran = attest_process("bom", "model", "-o", "-")
    assert ran.code == 0
    assert ran.err == ""
    assert validate_bom(ran.out.encode()) == []
    assert not Path("model.cdx.json").exists()


def test_quiet_says_nothing(model):
    ran = attest("bom", model, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    written()


def test_warnings_are_told_and_do_not_refuse(model):
    (model / "README.md").write_text(readme(license="acme"))
    ran = attest("bom", model)
    assert ran.code == 0
    assert "warn: licence-unknown" in ran.out
    ran = attest("bom", model, "--json")
    assert "licence-unknown" in {each["code"] for each in ran.report["findings"]}


# -- claims --------------------------------------------------------------------------------------


@pytest.fixture
def signed(model: Path, key) -> Path:
    assert attest("sign", model, "--key", "release.key").code == 0
    return model


def test_with_a_key_the_whole_bom_is_claimed(signed):
    with unchanged(signed):
        ran = attest("bom", signed, "--key", "release.key", "--json")
    assert ran.code == 0
    assert ran.report["subject"]["source"] == "signature"
    listed = attest("claim", "list", signed, "--key", "release.pub", "--json")
    (claim,) = listed.report["subject"]["claims"]
    assert claim["type"] == BOM_PREDICATE
    assert claim["id"] == ran.report["subject"]["claim"]["id"]
    line = json.loads(Path("model.claims.jsonl").read_text())
    import base64

    envelope = line.get("dsseEnvelope", line)
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert statement["predicate"] == written()


def test_a_changed_artifact_is_not_claimed(signed):
    (signed / "config.json").write_text('{"model_type": "gpt"}')
    ran = attest("bom", signed, "--key", "release.key", "--json")
    assert ran.code == 1
    assert ran.codes == {"file-changed"}
    assert not Path("model.claims.jsonl").exists()
    assert not Path("model.cdx.json").exists()


def test_an_unsigned_artifact_is_claimed_only_with_rehash(model, key):
    ran = attest("bom", model, "--key", "release.key", "--json")
    assert ran.code == 1
    assert ran.codes == {"signature-missing"}
    ran = attest("bom", model, "--key", "release.key", "--rehash", "--json")
    assert ran.code == 0
    assert ran.report["subject"]["source"] == "content"


def test_digests_of_materials_come_from_claims_of_the_named_key_only(signed, here):
    Path("recipe.json").write_text('{"steps": 1}')
    predicate = {
        "buildDefinition": {
            "buildType": "urn:attest-toolkit:build:training:v1",
            "externalParameters": {"recipe": {"name": "r", "digest": {"sha256": "3" * 64}}},
            "resolvedDependencies": [
                {
                    "name": "c4",
                    "digest": {"sha256": "1" * 64, "attestTreeV1": "2" * 64},
                    "annotations": {"attest:role": "dataset"},
                }
            ],
        },
        "runDetails": {"builder": {"id": "https://example.com/builder"}},
    }
    Path("p.json").write_text(json.dumps(predicate))
    added = attest(
        *("claim", "add", signed, "--type", "https://slsa.dev/provenance/v1"),
        *("--predicate", "p.json", "--key", "release.key"),
    )
    assert added.code == 0, added.err
    other = generate(KeyAlgorithm.ECDSA_P256)
    Path("other.pub").write_bytes(other.public_key.pem)
    for key, expected in (("release.pub", "2" * 64), ("other.pub", None)):
        assert attest("bom", signed, "--claims-by", key).code == 0
        (component,) = written()["components"]
        told = {each["name"]: each.get("value") for each in component["properties"]}
        assert told.get("attest:attestTreeV1") == expected


# -- refusals ------------------------------------------------------------------------------------


def test_usage_errors(model, key):
    for args in (
        ("bom",),
        ("bom", "model", "--spec", "1.5"),
        ("bom", "model", "--kind", "table"),
        ("bom", "model", "-o", "-", "--json"),
        ("bom", "model", "-o", "-", "--key", "release.key"),
        ("bom", "model", "--rehash"),
        ("bom", "model", "--name", " x "),
        ("bom", "model", "--timestamp", "yesterday"),
    ):
        ran = attest(*args)
        assert ran.code == 2, args
        assert ran.out == ""


def test_what_is_unclear_is_asked_for(here):
    Path("blob.bin").write_bytes(b"x")
    ran = attest("bom", "blob.bin")
    assert ran.code == 2
    assert "--kind model|dataset|firmware" in ran.err
    assert attest("bom", "blob.bin", "--kind", "firmware").code == 0


def test_nothing_is_written_inside_or_over_something_else(model, key):
    before = Path("release.key").read_bytes()
    ran = attest("bom", model, "-o", "model/bom.json", "--json")
    assert ran.code == 1
    assert ran.codes == {"bom-inside"}
    ran = attest("bom", model, "-o", "release.key", "--json")
    assert ran.code == 3
    assert ran.codes == {"not-a-bom"}
    assert Path("release.key").read_bytes() == before


def test_a_missing_artifact_could_not_be_judged(here):
    assert attest("bom", "nowhere").code == 3


def test_a_malformed_header_refuses(model):
    (model / "model.safetensors").write_bytes(b"\xff" * 64)
    ran = attest("bom", model, "--json")
    assert ran.code == 1
    assert not Path("model.cdx.json").exists()


def test_control_characters_stay_off_the_terminal(model):
    (model / "README.md").write_text(readme(license="\x1b[31mred\u202e"))
    ran = attest("bom", model)
    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert "\u202e" not in ran.out


def test_without_a_terminal_and_network_it_works(model):
    assert attest_process("bom", "model").code == 0
