"""`attest scan`: text, JSON, exit codes, reports, site lists and claims."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest

from attest.claim.predicates import SCAN_PREDICATE
from attest.claim.scan import read_scan
from attest.codec.signature import parse_signature
from attest.codec.statement import parse_statement
from attest.crypto.keys import LocalSigner
from attest.scan.allowlist import SITE_LIST_SCHEMA, builtin_allow_list
from tests.cli.support import attest, attest_process, snapshot, unchanged

EVIL = b"cos\nsystem\n(S'true'\ntR."
SITE = b"\x80\x02cacme.config\nOptions\n)\x81."


@pytest.fixture
def clean(here: Path) -> Path:
    """``checkpoint/`` in the working directory, all clean."""
    folder = Path("checkpoint")
    folder.mkdir()
    header = b'{"weight":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    content = struct.pack("<Q", len(header)) + header + bytes(16)
    (folder / "model.safetensors").write_bytes(content)
    (folder / "config.json").write_text('{"hidden_size": 8}\n')
    (folder / "optimizer.pkl").write_bytes(pickle.dumps({"step": 3}, protocol=2))
    return folder


@pytest.fixture
def signed_clean(clean: Path, key: LocalSigner) -> Path:
    assert attest("sign", clean, "--key", "release.key").code == 0
    return clean


def claims_in(path: Path) -> list:
    """The statements of a claims file, unverified."""
    lines = path.read_bytes().splitlines()
    return [parse_statement(_payload(parse_signature(line))) for line in lines]


def _payload(parsed) -> bytes:
    return getattr(parsed, "envelope", parsed).payload


# -- results ---------------------------------------------------------------------------------------


def test_clean(clean: Path):
    with unchanged(Path()):
        ran = attest("scan", clean)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.splitlines()[0] == "clean: checkpoint"
    assert "3 files" in ran.out
    assert "3 clean" in ran.out


def test_clean_and_quiet(clean: Path):
    ran = attest("scan", clean, "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")


def test_clean_as_json(clean: Path):
    report = attest("scan", clean, "--json").report
    assert report["schema"] == "urn:attest-toolkit:scan-report:v1"
    assert report["outcome"] == "pass"
    assert report["subject"]["files"]["clean"] == 3
    assert report["subject"]["scanner"]["name"] == "attest-scan"
    digest = builtin_allow_list().digest
    assert report["inputs"]["allow-list"] == f"sha256:{digest}"
    assert report["subject"]["allowList"] == {"digest": {"sha256": digest}}


def test_one_file(clean: Path):
    ran = attest("scan", clean / "model.safetensors")
    assert ran.code == 0
    assert "1 file" in ran.out


def test_every_grade_is_told(clean: Path):
    (clean / "evil.pkl").write_bytes(EVIL)
    (clean / "site.pkl").write_bytes(SITE)
    (clean / "blob").write_bytes(bytes(9))
    (clean / "modeling.py").write_text("pass\n")
    ran = attest("scan", clean)
    assert ran.code == 1
    assert ran.out.splitlines()[0] == "refused: checkpoint"
    assert "3 clean, 1 unlisted, 1 suspicious, 1 unscannable, 1 malicious" in ran.out
    for word in ("evil.pkl", "os.system", "site.pkl", "acme.config", "blob", "modeling.py"):
        assert word in ran.out
    quiet = attest("scan", clean, "--quiet")
    assert (quiet.code, quiet.out) == (1, ran.out)


def test_every_grade_as_json(clean: Path):
    (clean / "evil.pkl").write_bytes(EVIL)
    (clean / "blob").write_bytes(bytes(9))
    ran = attest("scan", clean, "--json")
    assert (ran.code, ran.codes) == (1, {"scan-malicious", "scan-unscannable"})
    found = {each.get("where"): each for each in ran.report["findings"]}
    assert found["evil.pkl"]["grade"] == "malicious"
    assert found["evil.pkl"]["format"] == "pickle"
    assert found["evil.pkl"]["hits"][0]["code"] == "dangerous-global"


def test_names_cannot_move_the_cursor(clean: Path):
    (clean / "a\x1b[2J\n.pkl").write_bytes(b"cos\nsys\x1b[31mtem\n(S'true'\ntR.")
    ran = attest("scan", clean)
    assert ran.code == 1
    assert "\x1b" not in ran.out
    assert "\\x1b[2J\\n.pkl" in ran.out


def test_a_link_is_refused(clean: Path):
    (clean / "link").symlink_to("config.json")
    assert attest("scan", clean, "--json").codes == {"symlink-refused"}
    assert attest("scan", clean, "--follow-symlinks").code == 0


def test_an_empty_folder_is_refused(here: Path):
    Path("empty").mkdir()
    assert attest("scan", "empty", "--json").codes == {"nothing-judged"}


def test_what_is_not_there_cannot_be_judged(here: Path):
    ran = attest("scan", "absent")
    assert ran.code == 3


def test_hundreds_of_finds_are_counted(clean: Path):
    for number in range(30):
        (clean / f"{number}.pkl").write_bytes(EVIL)
    ran = attest("scan", clean)
    assert "and 10 more" in ran.out
    assert len(attest("scan", clean, "--json").report["findings"]) == 31


# -- reports ---------------------------------------------------------------------------------------


def test_a_report(clean: Path):
    (clean / "evil.pkl").write_bytes(EVIL)
    ran = attest("scan", clean, "--report", "scan.json")
    assert ran.code == 1
    assert "scan.json" in ran.out
    document = json.loads(Path("scan.json").read_text())
    assert {each["name"]: each["grade"] for each in document["scanned"]}["evil.pkl"] == "malicious"
    assert attest("scan", clean, "--report", "scan.json").code == 1


@pytest.mark.parametrize("place", ["checkpoint/scan.json", "checkpoint/config.json", "notes.txt"])
def test_a_report_never_overwrites_anything_else(clean: Path, place: str):
    Path("notes.txt").write_text("mine\n")
    before = snapshot(Path())
    ran = attest("scan", clean, "--report", place)
    assert ran.code in (1, 3)
    assert "clean" not in ran.out
    assert snapshot(Path()) == before


# -- site lists ------------------------------------------------------------------------------------


@pytest.fixture
def names(here: Path, key: LocalSigner) -> Path:
    """A signed site list."""
    entry = {"module": "acme.config", "name": "Options", "reason": "reviewed by Alice"}
    path = Path("names.json")
    path.write_text(json.dumps({"schema": SITE_LIST_SCHEMA, "entries": [entry]}))
    assert attest("sign", path, "--key", "release.key").code == 0
    return path


def test_a_site_list(clean: Path, names: Path):
    (clean / "site.pkl").write_bytes(SITE)
    assert attest("scan", clean).code == 1
    ran = attest("scan", clean, "--allow-list", names, "--allow-list-key", "release.pub", "--json")
    assert ran.code == 0
    assert ran.report["inputs"]["allow-list"] != f"sha256:{builtin_allow_list().digest}"


def test_an_unsigned_site_list_is_refused(clean: Path, names: Path):
    Path("names.json.sig").unlink()
    ran = attest("scan", clean, "--allow-list", names, "--allow-list-key", "release.pub")
    assert ran.code == 1
    assert "not signed" in ran.err
    assert "clean" not in ran.out


def test_a_changed_site_list_is_refused(clean: Path, names: Path):
    names.write_text(names.read_text().replace("Options", "Actions"))
    ran = attest("scan", clean, "--allow-list", names, "--allow-list-key", "release.pub", "--json")
    assert ran.codes == {"file-changed"}


@pytest.mark.parametrize(
    "options",
    [
        ["--allow-list", "names.json"],
        ["--allow-list-key", "release.pub"],
        ["--claims", "x.jsonl"],
        ["--rehash"],
        ["--signed-by", "release.pub"],
        ["--report"],
    ],
)
def test_options_that_make_no_sense(clean: Path, names: Path, options: list[str]):
    assert attest("scan", clean, *options).code == 2


# -- claims ----------------------------------------------------------------------------------------


def test_a_clean_scan_is_claimed(signed_clean: Path):
    ran = attest("scan", signed_clean, "--key", "release.key")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("claimed: scan (clean) of checkpoint")
    (statement,) = claims_in(Path("checkpoint.claims.jsonl"))
    assert statement.predicate_type == SCAN_PREDICATE
    claim = read_scan(statement.predicate)
    assert (claim.result, claim.counts["clean"]) == ("clean", 3)
    assert set(statement.subjects[0].digests) == {"sha256", "attestTreeV1"}


def test_a_failed_scan_is_claimed_and_refused(clean: Path, key: LocalSigner):
    (clean / "evil.pkl").write_bytes(EVIL)
    assert attest("sign", clean, "--key", "release.key").code == 0
    ran = attest("scan", clean, "--key", "release.key")
    assert ran.code == 1
    assert "evil.pkl" in ran.out
    (statement,) = claims_in(Path("checkpoint.claims.jsonl"))
    assert read_scan(statement.predicate).result == "malicious"


def test_a_claim_as_json(signed_clean: Path):
    ran = attest("scan", signed_clean, "--key", "release.key", "--json")
    assert ran.code == 0
    assert ran.report["outcome"] == "pass"
    assert ran.report["subject"]["claim"]["file"] == "checkpoint.claims.jsonl"
    assert ran.report["subject"]["files"]["clean"] == 3


def test_other_content_than_was_signed_is_not_claimed(signed_clean: Path):
    (signed_clean / "config.json").write_text('{"hidden_size": 9}\n')
    ran = attest("scan", signed_clean, "--key", "release.key", "--json")
    assert (ran.code, ran.codes) == (1, {"file-changed"})
    assert not Path("checkpoint.claims.jsonl").exists()


def test_a_file_that_was_not_signed_is_not_claimed(signed_clean: Path):
    (signed_clean / "extra.txt").write_text("x")
    ran = attest("scan", signed_clean, "--key", "release.key", "--json")
    assert (ran.code, ran.codes) == (1, {"file-extra"})
    assert not Path("checkpoint.claims.jsonl").exists()


def test_an_unsigned_model_is_claimed_only_by_its_content(clean: Path, key: LocalSigner):
    assert attest("scan", clean, "--key", "release.key").code == 1
    assert attest("scan", clean, "--key", "release.key", "--rehash").code == 0
    (statement,) = claims_in(Path("checkpoint.claims.jsonl"))
    assert read_scan(statement.predicate).result == "clean"


def test_two_scans_are_two_claims(signed_clean: Path):
    for _ in range(2):
        assert attest("scan", signed_clean, "--key", "release.key").code == 0
    assert len(claims_in(Path("checkpoint.claims.jsonl"))) == 2


def test_as_a_process(clean: Path):
    (clean / "evil.pkl").write_bytes(EVIL)
    ran = attest_process("scan", "checkpoint")
    assert (ran.code, ran.err) == (1, "")
    assert "\x1b" not in ran.out
