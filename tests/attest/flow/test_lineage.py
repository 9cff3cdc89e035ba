"""Lineage over real claims files: what counts, what is only marked, what is told."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from attest.claim.dataset import read_dataset
from attest.claim.predicates import (
    ARTIFACT_PREDICATE,
    DATASET_PREDICATE,
    LAYOUT_PREDICATE,
    LINK_PREDICATE,
    PROVENANCE_PREDICATE,
    PROVENANCE_V02_PREDICATE,
    REVOCATION_PREDICATE,
)
from attest.claim.revocation import Revocation
from attest.codec.statement import Subject, encode_statement
from attest.errors import BadSignature, Unavailable
from attest.flow import gather
from attest.flow.gather import load_lineage
from attest.flow.lineage import lineage_impact, show_lineage
from attest.flow.seal import append_statement
from attest.trust.principals import Principal, Principals
from attest.trust.signers import KeyTrust
from attest.verdict import Outcome, Severity
from tests.support import forge
from tests.support.claims import ODD, claim, people, sign, signatures
from tests.support.forge import signer
from tests.support.pki import NOON
from tests.support.recovered import recovered_keys

ALICE, BOB, MALLORY = signer(number=1), signer(number=2), signer(number=3)
PRINCIPALS = Principals(
    Principal(name, (KeyTrust((key.public_key,)),))
    for name, key in (("alice", ALICE), ("bob", BOB))
)


def digest(of: str) -> str:
    return hashlib.sha256(of.encode()).hexdigest()


def both(name: str) -> dict[str, str]:
    return {"sha256": digest(name), "attestTreeV1": digest(f"tree of {name}")}


def dependency(name: str, role: str, **changes) -> dict:
    return {"name": name, "digest": both(name), "annotations": {"attest:role": role}, **changes}


def provenance(*dependencies: dict, byproducts: tuple[dict, ...] = ()) -> dict:
    return {
        "buildDefinition": {
            "buildType": "https://example.org/train/v1",
            "externalParameters": {},
            "resolvedDependencies": list(dependencies),
        },
        "runDetails": {"builder": {"id": "https://example.org/b"}, "byproducts": list(byproducts)},
    }


def write(path: Path, name: str, predicate_type: str, predicate: dict, *by, digests=None) -> str:
    """Append a claim about ``name``; returns its id."""
    statement = encode_statement([Subject(name, digests or both(name))], predicate_type, predicate)
    append_statement(statement, by or (ALICE,), path)
    return hashlib.sha256(statement).hexdigest()


def show(path: Path, name: str, principals: Principals = PRINCIPALS, **options):
    loaded = load_lineage([path], principals=principals, at=NOON)
    return show_lineage(loaded, both(name), at=NOON, **options)


def codes(verdict, *severities: Severity) -> list[str]:
    wanted = severities or (Severity.FAIL, Severity.ERROR, Severity.WARN)
    return [each.code for each in verdict.findings if each.outcome in wanted]


def states(verdict) -> dict[str, str]:
    return {node["name"]: node["state"] for node in verdict.subject["lineage"]["nodes"]}


@pytest.fixture
def claims(tmp_path: Path) -> Path:
    """A tuned model of a base model of a dataset."""
    path = tmp_path / "all.claims.jsonl"
    commit = {"uri": "git+https://example.org/code", "digest": {"gitCommit": "ab" * 20}}
    write(
        path,
        "tuned",
        PROVENANCE_PREDICATE,
        provenance(dependency("base", "base-model"), dependency("chats", "dataset"), commit),
    )
    write(path, "base", PROVENANCE_PREDICATE, provenance(dependency("crawl", "dataset")), BOB)
    write(path, "crawl", ARTIFACT_PREDICATE, {"kind": "dataset", "files": 1, "size": 1})
    return path


def test_the_whole_way(claims: Path):
    verdict, view = show(claims, "tuned")
    assert verdict.outcome is Outcome.PASS
    assert view is not None
    assert states(verdict) == {
        "tuned": "verified",
        "base": "verified",
        "chats": "missing",
        "git+https://example.org/code": "missing",
        "crawl": "verified",
    }
    assert codes(verdict) == ["parent-missing", "parent-missing"]
    roles = {edge["role"] for edge in verdict.subject["lineage"]["edges"]}
    assert roles == {"base-model", "dataset", "code"}
    assert verdict.subject["complete"] is True
    json.dumps(verdict.to_json())


def test_a_claim_by_nobody_who_counts_makes_no_parent(claims: Path):
    evil = provenance(dependency("evil", "dataset"))
    write(claims, "tuned", PROVENANCE_PREDICATE, evil, MALLORY)
    write(claims, "chats", ARTIFACT_PREDICATE, {"kind": "dataset"}, MALLORY)
    verdict, _ = show(claims, "tuned")
    assert "evil" not in states(verdict)
    assert states(verdict)["chats"] == "unverifiable"
    assert "parent-unverifiable" in codes(verdict)


def test_only_claims_that_do_not_count(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    write(path, "tuned", PROVENANCE_PREDICATE, provenance(), MALLORY)
    verdict, view = show(path, "tuned")
    assert (verdict.outcome, view) == (Outcome.FAIL, None)
    assert codes(verdict) == ["only-unverifiable-claims"]


def test_nothing_mentions_it(claims: Path):
    verdict, _ = show(claims, "unheard of")
    assert codes(verdict, Severity.FAIL) == ["not-mentioned"]


def test_mentioned_and_nothing_known_about_it(claims: Path):
    verdict, view = show(claims, "chats")
    assert codes(verdict, Severity.FAIL) == ["lineage-unknown"]
    assert view is not None


def test_known_and_made_from_nothing_that_is_said(claims: Path):
    verdict, _ = show(claims, "crawl")
    assert verdict.outcome is Outcome.PASS
    assert codes(verdict, Severity.PASS) == ["no-parents"]


def test_one_digest_fits_and_the_other_does_not(claims: Path):
    loaded = load_lineage([claims], principals=PRINCIPALS, at=NOON)
    wrong = {**both("tuned"), "attestTreeV1": "00" * 32}
    verdict, view = show_lineage(loaded, wrong, at=NOON)
    assert (codes(verdict, Severity.FAIL), view) == (["digest-conflict"], None)


def test_clashing_claims_are_both_shown(claims: Path):
    other = dependency("crawl", "dataset")
    other["digest"]["attestTreeV1"] = "00" * 32
    write(claims, "other", PROVENANCE_PREDICATE, provenance(other))
    verdict, _ = show(claims, "tuned")
    (node,) = [each for each in verdict.subject["lineage"]["nodes"] if "conflictsWith" in each]
    assert (node["name"], node["marks"]) == ("crawl", ["conflict"])
    assert "digest-conflict" in codes(verdict, Severity.WARN)


def test_a_cycle_is_shown_and_ends(claims: Path):
    write(claims, "crawl", PROVENANCE_PREDICATE, provenance(dependency("tuned", "base-model")))
    verdict, view = show(claims, "tuned")
    assert codes(verdict, Severity.WARN).count("lineage-cycle") == 3
    assert view is not None
    assert len(view.cycles) == 3


# -- what each claim says ------------------------------------------------------------------------


def parents(path: Path, name: str) -> set[tuple[str, str]]:
    verdict, _ = show(path, name)
    graph = verdict.subject["lineage"]
    called = {node["id"]: node["name"] for node in graph["nodes"]}
    return {
        (called[edge["to"]], edge["role"])
        for edge in graph["edges"]
        if called[edge["from"]] == name
    }


def test_older_provenance(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    predicate = {
        "builder": {"id": "https://example.org/b"},
        "buildType": "https://example.org/t",
        "materials": [
            {"uri": "git+https://example.org/code", "digest": {"sha1": "ab" * 20}},
            {"uri": "docker://image", "digest": {"sha256": "cd" * 32}},
        ],
    }
    write(path, "tuned", PROVENANCE_V02_PREDICATE, predicate)
    assert parents(path, "tuned") == {
        ("git+https://example.org/code", "code"),
        ("docker://image", "container"),
    }
    loaded = load_lineage([path], principals=PRINCIPALS, at=NOON)
    _, derived = lineage_impact(loaded, at=NOON, digests={"gitCommit": "ab" * 20})
    assert len(derived) == 1


def test_an_in_toto_link_and_what_it_passes_on(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    materials = [
        {"name": "in.csv", "digest": {"sha256": digest("in")}},
        {"name": "tuned", "digest": {"sha256": digest("tuned")}},
    ]
    write(path, "tuned", LINK_PREDICATE, {"name": "s", "command": [], "materials": materials})
    assert parents(path, "tuned") == {("in.csv", "material")}


def test_a_layouts_result(tmp_path: Path):
    from tests.attest.flow.test_layout import result

    path = tmp_path / "x.claims.jsonl"
    write(path, "tuned", LAYOUT_PREDICATE, result().to_predicate())
    assert parents(path, "tuned") == {("data.csv", "material")}


def test_a_dataset_card(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    card = {
        "sources": [{"name": "raw", "digest": both("raw")}],
        "licences": ["CC0-1.0"],
        "consentBasis": "public-domain",
        "personalData": "none",
        "jurisdictions": ["EU"],
        "permittedUses": ["any"],
        "forbiddenUses": ["none"],
        "retention": {"unlimited": True},
        "contact": "unknown",
        "transformations": [
            {
                "description": "filter",
                "inputs": [{"name": "raw", "digest": both("raw")}],
                "output": {"name": "between", "digest": {"sha256": digest("between")}},
                "tool": {"name": "filter.py", "digest": {"sha256": digest("tool")}},
            },
            {
                "description": "shuffle",
                "inputs": [{"name": "between", "digest": {"sha256": digest("between")}}],
            },
        ],
    }
    read_dataset(card)
    write(path, "crawl", DATASET_PREDICATE, card)
    assert parents(path, "crawl") == {("raw", "dataset"), ("filter.py", "tool")}
    loaded = load_lineage([path], principals=PRINCIPALS, at=NOON)
    _, derived = lineage_impact(loaded, at=NOON, digests={"sha256": digest("raw")})
    assert {loaded.lineage.nodes[each.node].name for each in derived} == {"crawl", "between"}


def test_a_checkpoint_that_came_out_beside_it(claims: Path):
    checkpoint = {"name": "step-100", "digest": both("step-100")}
    made = provenance(dependency("crawl", "dataset"), byproducts=(checkpoint,))
    write(claims, "third", PROVENANCE_PREDICATE, made)
    write(claims, "fourth", PROVENANCE_PREDICATE, provenance(dependency("step-100", "base-model")))
    loaded = load_lineage([claims], principals=PRINCIPALS, at=NOON)
    _, derived = lineage_impact(loaded, at=NOON, digests=both("crawl"))
    found = {loaded.lineage.nodes[each.node].name for each in derived}
    assert found == {"base", "tuned", "third", "step-100", "fourth"}


def test_a_claim_that_counts_and_is_not_understood(claims: Path):
    write(claims, "third", PROVENANCE_PREDICATE, {"buildDefinition": 1})
    verdict, _ = show(claims, "third")
    assert verdict.outcome is Outcome.PASS  # it is known, and nothing more
    assert codes(verdict) == ["claim-not-understood"]
    assert verdict.subject["complete"] is False


def test_an_unknown_predicate_says_that_its_subject_is_known(claims: Path):
    write(claims, "chats", "https://example.org/whatever", {"resolvedDependencies": 1})
    verdict, _ = show(claims, "tuned")
    assert states(verdict)["chats"] == "verified"


# -- what no longer counts -----------------------------------------------------------------------


def revoke(path: Path, claim_id: str, *by) -> None:
    predicate = Revocation(claim_id, "wrong", NOON).to_predicate()
    write(path, "x", REVOCATION_PREDICATE, predicate, *by)


def test_a_claim_that_was_taken_back(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    made = write(path, "tuned", PROVENANCE_PREDICATE, provenance(dependency("base", "base-model")))
    revoke(path, made)
    verdict, _ = show(path, "tuned")
    assert codes(verdict, Severity.FAIL) == ["only-unverifiable-claims"]


def test_a_copy_in_another_file_does_not_bring_it_back(tmp_path: Path):
    one, two = tmp_path / "a.claims.jsonl", tmp_path / "b.claims.jsonl"
    made = write(one, "tuned", PROVENANCE_PREDICATE, provenance(dependency("base", "base-model")))
    revoke(two, made)
    verdict, _ = show(tmp_path, "tuned")
    assert codes(verdict, Severity.FAIL) == ["only-unverifiable-claims"]


def test_nobody_takes_back_what_another_said(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    made = write(path, "tuned", PROVENANCE_PREDICATE, provenance())
    revoke(path, made, BOB)
    revoke(path, made, MALLORY)
    assert show(path, "tuned")[0].outcome is Outcome.PASS


def test_copies_count_once_and_their_signers_together(tmp_path: Path):
    for name, key in (("a", ALICE), ("b", BOB)):
        write(tmp_path / f"{name}.claims.jsonl", "tuned", PROVENANCE_PREDICATE, provenance(), key)
    verdict, _ = show(tmp_path, "tuned")
    (node,) = verdict.subject["lineage"]["nodes"]
    assert [claim["principals"] for claim in node["claims"]] == [["alice", "bob"]]


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [1, 2])
def test_one_signature_for_two_people_answers_nothing(tmp_path: Path, files: int):
    """Mallory gave a key that was computed from Alice's signature: over one file, or over two."""
    said = claim(ODD, {}, both("model"))
    raw = sign(ALICE, said)
    computed = next(
        key
        for key in recovered_keys(raw, forge.pae(said))
        if key.fingerprint != ALICE.public_key.fingerprint
    )
    lines = [signatures(said, (raw, key.fingerprint)) for key in (ALICE.public_key, computed)]
    for number, each in enumerate(lines):
        with (tmp_path / f"{number % files}.claims.jsonl").open("ab") as file:
            file.write(each)
    principals = people(alice=ALICE, mallory=computed)
    with pytest.raises(BadSignature) as caught:
        load_lineage([tmp_path], principals=principals, at=NOON)
    assert caught.value.code == "signature-counted-twice"
    assert caught.value.where is not None


def test_a_folder_of_files(claims: Path, tmp_path: Path):
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    write(deep / "chats.claims.jsonl", "chats", ARTIFACT_PREDICATE, {"kind": "dataset"})
    (deep / "notes.jsonl").write_text("not read\n")
    verdict, _ = show(tmp_path, "tuned")
    assert states(verdict)["chats"] == "verified"
    assert verdict.subject["files"] == 2


@pytest.mark.parametrize(
    "content", [b"not json\n", b'{"torn": 1}', b"\n", b"\xff\n", b'{"payload": "x"}\n']
)
def test_a_malformed_file_is_told_and_the_answer_incomplete(
    claims: Path, tmp_path: Path, content: bytes
):
    (tmp_path / "bad.claims.jsonl").write_bytes(content)
    verdict, _ = show(tmp_path, "tuned")
    assert verdict.outcome is Outcome.PASS
    assert "claims-refused" in codes(verdict, Severity.WARN)
    assert verdict.subject["complete"] is False


def test_nothing_of_a_malformed_file_counts(claims: Path):
    with claims.open("ab") as file:
        file.write(b"{}\n")
    verdict, view = show(claims, "tuned")
    assert (verdict.outcome, view) == (Outcome.FAIL, None)


def test_a_file_in_parts_is_one_file(claims: Path, monkeypatch):
    monkeypatch.setattr(gather, "_PART_BYTES", 1)
    write(claims, "third", PROVENANCE_PREDICATE, {"buildDefinition": 1})
    made = write(claims, "tuned", PROVENANCE_PREDICATE, provenance(dependency("x", "dataset")))
    revoke(claims, made)
    verdict, _ = show(claims, "tuned")
    assert "x" not in states(verdict)
    where = {
        claim["where"] for node in verdict.subject["lineage"]["nodes"] for claim in node["claims"]
    }
    assert where == {f"{claims}:{number}" for number in (1, 2, 3)}
    with claims.open("ab") as file:
        file.write(b'{"torn": ')
    verdict, view = show(claims, "tuned")
    assert (codes(verdict, Severity.WARN), view) == (["claims-refused"], None)


def test_links_are_told_and_not_followed(claims: Path, tmp_path: Path):
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    write(elsewhere / "c.claims.jsonl", "chats", ARTIFACT_PREDICATE, {"kind": "dataset"})
    (tmp_path / "c.claims.jsonl").symlink_to(elsewhere / "c.claims.jsonl")
    (tmp_path / "folder").symlink_to(elsewhere)
    (tmp_path / "loop").symlink_to(tmp_path)
    verdict, _ = show(tmp_path, "tuned")
    assert states(verdict)["chats"] == "missing"
    assert codes(verdict, Severity.WARN).count("claims-unread") == 1


def test_a_named_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(Unavailable):
        load_lineage([tmp_path / "absent"], principals=PRINCIPALS, at=NOON)


def test_a_folder_without_claims_says_nothing(tmp_path: Path):
    verdict, _ = show(tmp_path, "tuned")
    assert codes(verdict, Severity.FAIL) == ["not-mentioned"]


# -- impact --------------------------------------------------------------------------------------


def impact(path: Path, **question):
    loaded = load_lineage([path], principals=PRINCIPALS, at=NOON)
    verdict, derived = lineage_impact(loaded, at=NOON, **question)
    return verdict, [loaded.lineage.nodes[each.node].name for each in derived]


def test_what_derives_from_a_dataset(claims: Path):
    verdict, found = impact(claims, digests={"sha256": digest("crawl")})
    assert (verdict.outcome, found) == (Outcome.PASS, ["base", "tuned"])
    assert codes(verdict) == []
    assert impact(claims, digests={"attestTreeV1": digest("tree of chats")})[1] == ["tuned"]


def test_nothing_derives_from_the_last(claims: Path):
    verdict, found = impact(claims, digests=both("tuned"))
    assert (verdict.outcome, found) == (Outcome.PASS, [])


def test_a_digest_that_nothing_mentions_is_refused(claims: Path):
    verdict, _ = impact(claims, digests={"sha256": "00" * 32})
    assert codes(verdict) == ["not-mentioned"]


def test_what_derives_from_a_signer(claims: Path):
    assert impact(claims, signer="bob")[1] == ["tuned"]
    verdict, found = impact(claims, signer=BOB.public_key.fingerprint)
    assert found == ["tuned"]
    selected = verdict.subject["impact"]["selected"]
    assert [
        node["name"] for node in verdict.subject["impact"]["nodes"] if node["id"] in selected
    ] == ["base"]


@pytest.mark.parametrize(
    "who",
    ["mallory", "", "ali", MALLORY.public_key.fingerprint],
    ids=["name", "empty", "part", "fingerprint"],
)
def test_a_signer_that_nobody_knows(claims: Path, who: str):
    write(claims, "evil", ARTIFACT_PREDICATE, {"kind": "model"}, MALLORY)
    verdict, _ = impact(claims, signer=who)
    assert codes(verdict, Severity.FAIL) == ["signer-unknown"]


def test_claims_that_do_not_count_leave_the_answer_open(claims: Path):
    evil = provenance(dependency("crawl", "dataset"))
    write(claims, "hidden", PROVENANCE_PREDICATE, evil, MALLORY)
    verdict, found = impact(claims, digests=both("crawl"))
    assert "hidden" not in found
    assert codes(verdict) == ["impact-incomplete"]


def test_a_conflict_on_the_way_is_followed_and_told(claims: Path):
    other = dependency("crawl", "dataset")
    other["digest"]["attestTreeV1"] = "00" * 32
    write(claims, "other", PROVENANCE_PREDICATE, provenance(other))
    verdict, found = impact(claims, digests={"attestTreeV1": "00" * 32})
    assert found == ["other", "crawl", "base", "tuned"]
    assert codes(verdict) == ["impact-uncertain"]


def test_a_question_needs_one_subject(claims: Path):
    loaded = load_lineage([claims], principals=PRINCIPALS, at=NOON)
    for question in ({}, {"digests": both("x"), "signer": "x"}):
        with pytest.raises(ValueError, match="or for a signer"):
            lineage_impact(loaded, at=NOON, **question)


def test_many_findings_of_one_code_are_counted(tmp_path: Path):
    path = tmp_path / "x.claims.jsonl"
    made = provenance(*(dependency(f"d{n}", "dataset") for n in range(150)))
    write(path, "tuned", PROVENANCE_PREDICATE, made)
    verdict, _ = show(path, "tuned")
    missing = [each for each in verdict.findings if each.code == "parent-missing"]
    assert len(missing) == 101
    assert missing[-1].details == {"more": 50}
