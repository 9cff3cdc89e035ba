"""``attest lineage show`` and ``attest lineage impact``, as a user runs them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from attest.claim.predicates import ARTIFACT_PREDICATE, PROVENANCE_PREDICATE
from attest.codec.statement import Subject, encode_statement
from attest.crypto.keys import LocalSigner
from attest.flow.seal import append_statement
from attest.flow.subject import subject_from_content
from tests.cli.support import attest, attest_process


def digest(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()


def dependency(name: str, role: str) -> dict:
    return {
        "name": name,
        "digest": {"sha256": digest(name)},
        "annotations": {"attest:role": role},
    }


def write(path: Path, name: str, kind: str, predicate: dict, key: LocalSigner, digests=None):
    subject = Subject(name, digests or {"sha256": digest(name)})
    append_statement(encode_statement([subject], kind, predicate), [key], path)


def provenance(*dependencies: dict) -> dict:
    return {
        "buildDefinition": {
            "buildType": "https://example.org/train/v1",
            "externalParameters": {},
            "resolvedDependencies": list(dependencies),
        },
        "runDetails": {"builder": {"id": "https://example.org/b"}},
    }


@pytest.fixture
def world(signed: Path, key: LocalSigner) -> Path:
    """``model/`` and its claims: tuned from a base model that was made from a dataset."""
    claims = Path("model.claims.jsonl")
    about = subject_from_content(signed).digests
    parents = dependency("base", "base-model"), dependency("chats\n└─ x", "dataset")
    write(claims, "model", PROVENANCE_PREDICATE, provenance(*parents), key, about)
    write(claims, "base", PROVENANCE_PREDICATE, provenance(dependency("crawl", "dataset")), key)
    write(claims, "crawl", ARTIFACT_PREDICATE, {"kind": "dataset"}, key)
    return signed


def test_a_tree(world: Path):
    ran = attest("lineage", "show", world, "--principal", "release=release.pub")
    assert ran.code == 0
    assert ran.err == ""
    lines = ran.out.split("\n")
    assert lines[0].startswith("artifact  sha256:")
    assert lines[0].endswith('claimed by release  "model"')
    assert [line[:14] for line in lines[1:4]] == [
        "├─ base-model ",
        "│  └─ dataset ",
        "└─ dataset  sh",
    ]
    assert lines[3].endswith('missing  "chats\\\\n└─ x"')
    assert lines[4] == "lineage: 3 things led to model"
    assert "parent-missing" in ran.out


def test_a_tree_in_ascii(world: Path):
    env = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    ran = attest_process("lineage", "show", world, "--key", "release.pub", env=env)
    assert ran.code == 0
    assert "|- base-model  sha256:" in ran.out
    assert ran.out.isascii()


def test_json(world: Path):
    for args in (["--json"], ["--format", "json"], ["--json", "--format", "dot"]):
        ran = attest("lineage", "show", world, "--key", "release.pub", *args)
        report = ran.report
        assert report["schema"] == "urn:attest-toolkit:lineage:v1"
        assert report["subject"]["complete"] is True
        assert len(report["subject"]["lineage"]["nodes"]) == 4
        assert set(report["inputs"]) == {"claims", "principals"}


def test_dot(world: Path):
    ran = attest("lineage", "show", world, "--key", "release.pub", "--format", "dot")
    assert ran.code == 0
    assert ran.out.startswith("digraph lineage {\n")
    assert ran.out.endswith("}\n")
    assert "  // warn: parent-missing" in ran.out
    assert ran.out.count(" -> ") == 3


def test_a_digest_instead_of_a_path(world: Path):
    ran = attest(
        "lineage",
        "show",
        f"sha256:{digest('base').upper()}",
        "--claims",
        ".",
        "--key",
        "release.pub",
    )
    assert ran.code == 0
    assert "1 thing led to" in ran.out


def test_depth(world: Path):
    ran = attest("lineage", "show", world, "--key", "release.pub", "--depth", "1")
    assert "crawl" not in ran.out
    assert "goes on" in ran.out


def test_digests_from_the_signature(world: Path):
    trusted = ["--key", "release.pub", "--signed-by", "release.pub"]
    assert attest("lineage", "show", world, *trusted).code == 0


def test_a_changed_model_has_no_lineage(world: Path):
    (world / "config.json").write_text("{}")
    ran = attest("lineage", "show", world, "--key", "release.pub", "--json")
    assert (ran.code, ran.codes) == (1, {"not-mentioned"})


def test_warnings_refuse_where_asked(world: Path):
    ran = attest("lineage", "show", world, "--key", "release.pub", "--fail-on-warn", "--json")
    assert (ran.code, ran.codes) == (1, {"warnings-refused"})


def test_without_claims_nothing_can_be_judged(signed: Path, key):
    ran = attest("lineage", "show", signed, "--key", "release.pub")
    assert ran.code == 3
    assert "model.claims.jsonl" in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["model"], "say whose claims count"),
        ([f"sha256:{'0' * 64}", "--key", "release.pub"], "give --claims"),
        ([f"md5:{'0' * 32}", "--key", "release.pub"], "a digest is one of"),
        (["sha256:00", "--key", "release.pub"], "no whole digest"),
        (["model", "--key", "release.pub", "--depth", "0"], "--depth"),
        (["model", "--key", "release.pub", "--depth", "257"], "--depth 256"),
        (["model", "--key", "release.pub", "--format", "svg"], "--format"),
        (
            [f"sha256:{'0' * 64}", "--key", "release.pub", "--claims", ".", "--signed-by", "x"],
            "--signed-by means nothing",
        ),
    ],
)
def test_usage_of_show(world: Path, args: list[str], said: str):
    ran = attest("lineage", "show", *args)
    assert ran.code == 2
    assert said in ran.err


def impact(*args: str):
    return attest("lineage", "impact", *args, "--claims", ".", "--principal", "release=release.pub")


def test_what_derives_from_a_dataset(world: Path):
    ran = impact(f"sha256:{digest('crawl')}")
    assert ran.code == 0
    lines = ran.out.split("\n")
    assert lines[0] == f"impact: 2 things derive from sha256:{digest('crawl')}"
    assert lines[1].split()[0] == "base-model"
    assert '2 steps  "model"  from "base"  ' in lines[2]


def test_what_derives_from_a_signer(world: Path, key: LocalSigner):
    for signer in ("release", key.public_key.fingerprint):
        ran = impact("--signer", signer, "--json")
        assert ran.code == 0
        assert len(ran.report["subject"]["impact"]["selected"]) == 3
    ran = impact("--signer", "release")
    lines = ran.out.split("\n")
    assert lines[0].startswith("impact: 3 things in claims of release, and ")
    assert sum("  claimed  " in line for line in lines) == 3


def test_a_digest_that_nothing_mentions(world: Path):
    ran = impact(f"sha256:{'0' * 64}", "--json")
    assert (ran.code, ran.codes) == (1, {"not-mentioned"})
    ran = impact("--signer", "nobody")
    assert ran.code == 1
    assert "signer-unknown" in ran.out


def test_a_malformed_file_leaves_the_answer_open(world: Path):
    Path("bad.claims.jsonl").write_text("{}\n")
    ran = impact(f"sha256:{digest('crawl')}")
    assert ran.code == 0
    assert "warn: claims-refused" in ran.out
    assert impact(f"sha256:{digest('crawl')}", "--fail-on-warn").code == 1


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["model"],
        ["crc:00000000"],
        [f"sha256:{'0' * 64}", "--signer", "release"],
    ],
)
def test_usage_of_impact(world: Path, args: list[str]):
    assert impact(*args).code == 2


def test_impact_needs_claims_and_principals(world: Path):
    asked = ["lineage", "impact", f"sha256:{'0' * 64}"]
    assert attest(*asked, "--key", "release.pub").code == 2
    assert attest(*asked, "--claims", ".").code == 2
    assert attest(*asked, "--claims", "absent", "--key", "release.pub").code == 3


def test_quiet(world: Path):
    assert attest("lineage", "show", world, "--key", "release.pub", "-q").out == ""
    assert impact(f"sha256:{digest('crawl')}", "-q").out == ""
    assert json.loads(impact(f"sha256:{digest('crawl')}", "-q", "--json").out)
