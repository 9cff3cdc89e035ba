"""Scanning an artifact: what is scanned is what is listed, signed and claimed."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.artifact.content import ArtifactContent
from attest.claim.scan import read_scan
from attest.crypto.algorithms import KeyAlgorithm
from attest.crypto.keys import generate
from attest.errors import (
    AttestError,
    DigestMismatch,
    MalformedInput,
    Unavailable,
    Unsupported,
    VerificationFailed,
)
from attest.flow import scan as flow
from attest.flow.scan import ScanReport, default_rules, load_site_list, scan_artifact
from attest.flow.scanreport import check_report_place, report_to_json, write_report
from attest.flow.sign import SignOptions, sign_artifact
from attest.flow.subject import ArtifactSubject, subject_from_content, subject_from_signature
from attest.scan.allowlist import SITE_LIST_SCHEMA
from attest.scan.grades import Grade
from attest.trust.signers import KeyTrust
from attest.verdict import Outcome, Severity

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY = generate(KeyAlgorithm.ECDSA_P256)
OTHER = generate(KeyAlgorithm.ECDSA_P256)
TRUST = KeyTrust((KEY.public_key,))
EVIL = b"cos\nsystem\n(S'true'\ntR."
SITE = b"\x80\x02cacme.config\nOptions\n)\x81."
"""A pickle with a name that a site may allow."""


def safetensors() -> bytes:
    header = b'{"weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    return struct.pack("<Q", len(header)) + header + bytes(16)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder in which everything is clean."""
    folder = tmp_path / "model"
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "config.json").write_text('{"hidden_size": 8}\n')
    (folder / "model.safetensors").write_bytes(safetensors())
    (folder / "optimizer.pkl").write_bytes(pickle.dumps({"step": 3}, protocol=2))
    (folder / "tokenizer" / "vocab.txt").write_text("a\nb\n")
    return folder


def scan(path: Path, **options) -> ScanReport:
    return scan_artifact(path, rules=options.pop("rules", default_rules()), **options)


def graded(report: ScanReport) -> dict[str, str]:
    return {file.name: file.grade.value for file in report.files}


def refusals(report: ScanReport) -> dict[str | None, str]:
    decisive = (Severity.FAIL, Severity.ERROR)
    return {each.where: each.code for each in report.findings() if each.outcome in decisive}


def signed(path: Path) -> ArtifactSubject:
    sign_artifact(path, [KEY])
    return subject_from_signature(path, TRUST, NOW)


# -- what is found ---------------------------------------------------------------------------------


def test_a_clean_model(model: Path):
    report = scan(model)
    assert set(graded(report).values()) == {"clean"}
    assert report.counts == {grade.value: 0 for grade in Grade} | {"clean": 4}
    assert report.size == sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    verdict = report.verdict(NOW)
    assert verdict.outcome is Outcome.PASS
    assert verdict.inputs["allow-list"] == f"sha256:{default_rules().allow.digest}"


def test_one_file(model: Path):
    report = scan(model / "model.safetensors")
    assert graded(report) == {"model.safetensors": "clean"}


def test_every_file_that_is_not_clean_is_a_refusal(model: Path):
    (model / "evil.pkl").write_bytes(EVIL)
    (model / "site.pkl").write_bytes(SITE)
    (model / "blob").write_bytes(bytes(9))
    (model / "modeling.py").write_text("pass\n")
    report = scan(model)
    assert refusals(report) == {
        "evil.pkl": "scan-malicious",
        "site.pkl": "scan-unlisted",
        "blob": "scan-unscannable",
        "modeling.py": "scan-suspicious",
    }
    verdict = report.verdict(NOW)
    assert verdict.outcome is Outcome.FAIL
    first = next(each for each in verdict.findings if each.where == "evil.pkl")
    assert first.details["grade"] == "malicious"
    assert first.details["format"] == "pickle"
    assert first.details["hits"][0]["grade"] == "malicious"
    assert first.hint


def test_the_worst_comes_first(model: Path):
    (model / "a.bin").write_bytes(bytes(9))
    (model / "z.pkl").write_bytes(EVIL)
    found = [each.where for each in scan(model).findings() if each.outcome is Severity.FAIL]
    assert found == ["z.pkl", "a.bin"]


def test_an_empty_folder_is_not_clean(tmp_path: Path):
    (tmp_path / "model").mkdir()
    assert scan(tmp_path / "model").verdict(NOW).outcome is Outcome.FAIL


def test_what_is_not_there(tmp_path: Path):
    with pytest.raises(Unavailable):
        scan(tmp_path / "absent")


def test_a_folder_and_files_with_odd_names(tmp_path: Path):
    folder = tmp_path / "évil \x1b[31m\n!"
    folder.mkdir()
    (folder / "a!b\n.pkl").write_bytes(EVIL)
    (folder / "-rf").write_text("x")
    assert graded(scan(folder)) == {"a!b\n.pkl": "malicious", "-rf": "clean"}


def test_signatures_and_git_are_not_part_of_the_artifact(model: Path):
    sign_artifact(model, [KEY])
    (model / ".git" / "hooks").mkdir(parents=True)
    (model / ".git" / "hooks" / "pre-commit").write_text("#!/bin/sh\n")
    (model / ".gitattributes").write_text("*.bin binary\n")
    report = scan(model)
    assert report.ignored == (".git", "model.sig")
    assert ".gitattributes" in graded(report)
    assert report.verdict(NOW).outcome is Outcome.PASS
    assert [each.code for each in report.problems] == ["not-scanned"]


@pytest.mark.parametrize("name", ["sub/model.sig", "model.sig/x", ".gitx", "sub/.git/x"])
def test_what_only_looks_like_a_signature_or_git_is_scanned(model: Path, name: str):
    path = model / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(EVIL)
    assert graded(scan(model))[name] == "malicious"


# -- things in the tree that are no plain files ----------------------------------------------------


def test_a_link(model: Path):
    (model / "link.safetensors").symlink_to("model.safetensors")
    report = scan(model)
    assert refusals(report) == {"link.safetensors": "symlink-refused"}
    assert report.verdict(NOW).outcome is Outcome.FAIL


def test_a_link_that_is_followed(model: Path):
    (model / "evil.pkl").write_bytes(EVIL)
    (model / "link").symlink_to("evil.pkl")
    assert graded(scan(model, follow_symlinks=True))["link"] == "malicious"


def test_a_fifo(model: Path):
    os.mkfifo(model / "pipe")
    assert refusals(scan(model)) == {"pipe": "special-file"}


def test_a_file_that_cannot_be_opened(model: Path, monkeypatch: pytest.MonkeyPatch):
    real = os.open

    def fail(path, *args, **kwargs):
        if str(path).endswith("vocab.txt"):
            raise PermissionError(13, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", fail)
    report = scan(model)
    assert graded(report)["tokenizer/vocab.txt"] == "unscannable"
    assert refusals(report)["tokenizer/vocab.txt"] == "file-unreadable"
    hints = {each.hint for each in report.findings() if each.code == "scan-unscannable"}
    assert hints == {"give the right to read it"}
    assert report.verdict(NOW).outcome is not Outcome.PASS


def test_a_file_that_changes_while_it_is_scanned(model: Path, monkeypatch: pytest.MonkeyPatch):
    real = flow.scan_source

    def meddle(name, source, rules, **options):
        found = real(name, source, rules, **options)
        if name == "config.json":
            (model / name).write_text('{"hidden_size": 9}\n')
        return found

    monkeypatch.setattr(flow, "scan_source", meddle)
    report = scan(model)
    assert refusals(report)["config.json"] == "file-changed-while-read"


def test_a_file_that_is_replaced_before_it_is_opened(model: Path, monkeypatch: pytest.MonkeyPatch):
    real = flow.scan_source

    def meddle(name, source, rules, **options):
        os.replace(model / "optimizer.pkl", model / "tokenizer" / "vocab.txt")
        (model / "optimizer.pkl").write_bytes(EVIL)
        monkeypatch.setattr(flow, "scan_source", real)
        return real(name, source, rules, **options)

    monkeypatch.setattr(flow, "scan_source", meddle)
    assert refusals(scan(model))["optimizer.pkl"] == "file-changed-while-read"


def test_a_file_that_becomes_shorter(model: Path, monkeypatch: pytest.MonkeyPatch):
    path = model / "model.safetensors"
    real = flow.scan_source

    def meddle(name, source, rules, **options):
        if name == "model.safetensors":
            os.truncate(path, 20)
        return real(name, source, rules, **options)

    monkeypatch.setattr(flow, "scan_source", meddle)
    assert refusals(scan(model))["model.safetensors"] == "file-changed"


# -- files that another file explains --------------------------------------------------------------


def onnx(location: str) -> bytes:
    """A model with one tensor in another file."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def entry(key: str, value: str) -> bytes:
        return field(13, field(1, key.encode()) + field(2, value.encode()))

    tensor = b"\x08\x04\x10\x01" + field(8, b"w") + entry("location", location) + b"\x70\x01"
    node = field(4, b"Relu") + field(1, b"w") + field(2, b"y")
    graph = field(1, node) + field(2, b"g") + field(5, tensor)
    return b"\x08\x08" + field(7, graph) + field(8, b"\x10\x11")


def test_the_external_data_of_an_onnx_model(model: Path):
    (model / "onnx").mkdir()
    (model / "onnx" / "model.onnx").write_bytes(onnx("weights.data"))
    (model / "onnx" / "weights.data").write_bytes(bytes(16))
    (model / "onnx" / "other.data").write_bytes(bytes(16))
    grades = graded(scan(model))
    assert grades["onnx/model.onnx"] == "clean"
    assert grades["onnx/weights.data"] == "clean"
    assert grades["onnx/other.data"] == "unscannable"


def test_a_model_that_is_not_clean_explains_nothing(model: Path):
    (model / "model.onnx").write_bytes(onnx("../model/weights.data"))
    (model / "weights.data").write_bytes(bytes(16))
    assert graded(scan(model))["weights.data"] == "unscannable"


def test_external_data_that_is_a_pickle_is_a_pickle(model: Path):
    (model / "model.onnx").write_bytes(onnx("weights.data"))
    (model / "weights.data").write_bytes(EVIL)
    assert graded(scan(model))["weights.data"] == "malicious"


def test_the_shards_of_a_tensorflow_checkpoint(model: Path):
    folder = model / "variables"
    folder.mkdir()
    index = bytes(60) + b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
    (folder / "variables.index").write_bytes(index)
    (folder / "variables.data-00000-of-00001").write_bytes(bytes(16))
    (folder / "other.data-00000-of-00001").write_bytes(bytes(16))
    grades = graded(scan(model))
    assert grades["variables/variables.data-00000-of-00001"] == "clean"
    assert grades["variables/other.data-00000-of-00001"] == "unscannable"


# -- a subject and a claim -------------------------------------------------------------------------


def test_a_claim_of_a_clean_model(model: Path):
    subject = signed(model)
    claim = scan(model, subject=subject).claim()
    assert (claim.result, claim.counts["clean"], claim.not_clean) == ("clean", 4, ())
    assert claim.allow_list == default_rules().allow.digest
    assert read_scan(claim.to_predicate()) == claim


def test_a_failed_scan_is_claimed_too(model: Path):
    (model / "evil.pkl").write_bytes(EVIL)
    claim = scan(model, subject=signed(model)).claim()
    assert claim.result == "malicious"
    (entry,) = claim.not_clean
    assert (entry.name, entry.format, entry.codes) == ("evil.pkl", "pickle", ("dangerous-global",))


def test_a_claim_about_content(model: Path):
    subject = subject_from_content(model)
    assert scan(model, subject=subject).claim().result == "clean"


def test_a_claim_about_one_file(model: Path):
    path = model / "model.safetensors"
    assert scan(path, subject=signed(path)).claim().result == "clean"


@pytest.mark.parametrize("same_size", [False, True])
def test_other_content_than_was_signed(model: Path, same_size: bool):
    subject = signed(model)
    (model / "config.json").write_text('{"hidden_size": 9}\n' if same_size else "{}")
    with pytest.raises(DigestMismatch) as caught:
        scan(model, subject=subject)
    assert caught.value.where == "config.json"


def test_a_file_that_was_not_signed(model: Path):
    subject = signed(model)
    (model / "extra.txt").write_text("x")
    with pytest.raises(DigestMismatch) as caught:
        scan(model, subject=subject)
    assert (caught.value.code, caught.value.where) == ("file-extra", "extra.txt")


def test_a_file_that_is_gone(model: Path):
    subject = signed(model)
    (model / "config.json").unlink()
    with pytest.raises(DigestMismatch) as caught:
        scan(model, subject=subject)
    assert (caught.value.code, caught.value.where) == ("file-missing", "config.json")


def test_a_renamed_file(model: Path):
    subject = signed(model)
    (model / "config.json").rename(model / "modeling.py")
    with pytest.raises(DigestMismatch):
        scan(model, subject=subject)


def test_a_path_that_the_signer_ignored_is_scanned_and_named(model: Path):
    (model / "notes").mkdir()
    (model / "notes" / "evil.pkl").write_bytes(EVIL)
    sign_artifact(model, [KEY], options=SignOptions(ignore=("notes",)))
    report = scan(model, subject=subject_from_signature(model, TRUST, NOW))
    assert graded(report)["notes/evil.pkl"] == "malicious"
    assert "notes/evil.pkl" in report.ignored


def test_one_file_against_the_signature_of_a_folder(model: Path):
    subject = signed(model)
    with pytest.raises(DigestMismatch):
        scan(model / "config.json", subject=subject)


def test_a_link_makes_no_claim(model: Path):
    subject = signed(model)
    (model / "link").symlink_to("config.json")
    report = scan(model, subject=subject)
    with pytest.raises(VerificationFailed) as caught:
        report.claim()
    assert caught.value.code == "scan-incomplete"


def test_no_subject_makes_no_claim(model: Path):
    with pytest.raises(ValueError, match="subject"):
        scan(model).claim()


def test_every_file_is_hashed_when_there_are_many_batches(model: Path, monkeypatch):
    monkeypatch.setattr(flow, "_HASH_AFTER", 10)
    subject = signed(model)
    hashed: list[str] = []
    real = ArtifactContent.match

    def match(self, manifest, names=None, progress=None):
        hashed.extend(names)
        real(self, manifest, names, progress)

    monkeypatch.setattr(ArtifactContent, "match", match)
    scan(model, subject=subject)
    assert sorted(hashed) == sorted(subject.manifest.names)


# -- a site's own names ----------------------------------------------------------------------------


def site_list(folder: Path, *names: tuple[str, str], key=KEY) -> Path:
    path = folder / "names.json"
    entries = [{"module": m, "name": n, "reason": "reviewed by Alice"} for m, n in names]
    path.write_text(json.dumps({"schema": SITE_LIST_SCHEMA, "entries": entries}))
    sign_artifact(path, [key])
    return path


def test_a_site_list(tmp_path: Path, model: Path):
    (model / "site.pkl").write_bytes(SITE)
    path = site_list(tmp_path, ("acme.config", "Options"))
    allow = load_site_list(path, TRUST, NOW)
    report = scan(model, rules=default_rules(allow))
    assert graded(report)["site.pkl"] == "clean"
    assert allow.digest != default_rules().allow.digest
    assert report.describe()["allowList"]["digest"]["sha256"] == allow.digest


def test_a_site_list_that_nobody_signed(tmp_path: Path):
    path = site_list(tmp_path, ("acme.config", "Options"))
    path.with_name("names.json.sig").unlink()
    with pytest.raises(VerificationFailed) as caught:
        load_site_list(path, TRUST, NOW)
    assert caught.value.code == "signature-missing"


def test_a_site_list_signed_by_somebody_else(tmp_path: Path):
    path = site_list(tmp_path, ("acme.config", "Options"), key=OTHER)
    with pytest.raises(VerificationFailed):
        load_site_list(path, TRUST, NOW)


def test_a_site_list_that_changed_after_it_was_signed(tmp_path: Path):
    path = site_list(tmp_path, ("acme.config", "Options"))
    path.write_text(path.read_text().replace("Options", "Actions"))
    with pytest.raises(DigestMismatch):
        load_site_list(path, TRUST, NOW)


def test_a_site_list_that_allows_what_nobody_may(tmp_path: Path):
    path = site_list(tmp_path, ("os", "system"))
    with pytest.raises(Unsupported) as caught:
        load_site_list(path, TRUST, NOW)
    assert caught.value.code == "cannot-allow"


def test_a_signed_file_that_is_no_site_list(tmp_path: Path):
    path = tmp_path / "names.json"
    path.write_text("[]")
    sign_artifact(path, [KEY])
    with pytest.raises(AttestError):
        load_site_list(path, TRUST, NOW)


def test_a_signed_folder_is_no_site_list(model: Path):
    sign_artifact(model, [KEY])
    with pytest.raises(AttestError):
        load_site_list(model, TRUST, NOW)


# -- the report as a file --------------------------------------------------------------------------


def test_a_report_has_every_find(model: Path, tmp_path: Path):
    (model / "evil.pkl").write_bytes(EVIL)
    report = scan(model)
    target = tmp_path / "scan.json"
    write_report(report, target)
    document = json.loads(target.read_text())
    assert document == report_to_json(report)
    entry = next(each for each in document["scanned"] if each["name"] == "evil.pkl")
    assert entry["grade"] == "malicious"
    assert {"code", "grade", "message", "where"} == set(entry["hits"][0])


def test_a_report_replaces_only_a_report(model: Path, tmp_path: Path):
    target = tmp_path / "scan.json"
    check_report_place(model, target)
    write_report(scan(model), target)
    check_report_place(model, target)
    for content in (b"", b"{}", b'{"schema": "other"}', b"\x00" * 10):
        target.write_bytes(content)
        with pytest.raises(Unavailable) as caught:
            check_report_place(model, target)
        assert caught.value.code == "not-a-report"


def test_a_report_inside_the_artifact(model: Path):
    with pytest.raises(MalformedInput) as caught:
        check_report_place(model, model / "scan.json")
    assert caught.value.code == "report-inside"


def test_nothing_is_written_while_scanning(model: Path):
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in model.rglob("*.*")}
    scan(model)
    assert before == {p: hashlib.sha256(p.read_bytes()).digest() for p in model.rglob("*.*")}
