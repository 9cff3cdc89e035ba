"""in-toto layouts, made with in-toto's own classes: what must pass, and each way to fail."""

from __future__ import annotations

import json
import logging
import random
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from attest.adapters.intoto import InTotoEngine
from attest.flow.layout import Delivered, verify_layout
from attest.flow.subject import subject_from_content
from attest.verdict import Outcome, Severity
from tests.support.supply import (
    NOON,
    OWNER,
    Chain,
    Inspection,
    Worker,
    demo,
    signed,
    verdict_of_the_package,
    worker,
)


def judge(chain: Chain, *keys: Worker, at: datetime = NOON, artifact: Path | None = None):
    """Verdict and result, by ours."""
    delivered = None
    if artifact is not None:
        subject = subject_from_content(artifact)
        delivered = Delivered(subject.manifest, subject.name, artifact.is_file())
    return verify_layout(
        chain.path,
        chain.links,
        engine=InTotoEngine(),
        keys=[each.pem for each in keys or (chain.owner,)],
        at=at,
        delivered=delivered,
    )


def refusals(chain: Chain, *keys: Worker, at: datetime = NOON) -> set[str]:
    """Codes that decide against; empty if it verifies."""
    verdict, result = judge(chain, *keys, at=at)
    found = {
        each.code for each in verdict.findings if each.outcome in (Severity.FAIL, Severity.ERROR)
    }
    assert bool(found) is (verdict.outcome in (Outcome.FAIL, Outcome.ERROR))
    assert result is None
    return found


@pytest.fixture(params=[False, True], ids=["metablock", "dsse"])
def chain(request, tmp_path: Path) -> Chain:
    made = demo(tmp_path, dsse=request.param)
    made.save()
    return made


# -- what passes ---------------------------------------------------------------------------------


def test_a_good_chain(chain: Chain):
    verdict, _ = judge(chain)
    assert verdict.outcome is Outcome.PARTIAL  # no artifact was given
    assert [step["name"] for step in verdict.subject["steps"]] == ["write", "package"]
    assert verdict_of_the_package(chain) == "ok"


@pytest.mark.parametrize("kind", ["ed25519", "p256", "p384", "rsa"])
def test_every_kind_of_key(tmp_path: Path, kind: str):
    chain = Chain(tmp_path, owner=worker(5, kind))
    chain.step("build", [worker(6, kind)], products={"x": b"1"})
    chain.save()
    assert refusals(chain) == set()


def test_a_threshold_of_two_people(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1), worker(2), worker(3)], threshold=2, products={"x": b"1"})
    chain.save()
    verdict, _ = judge(chain)
    assert "thresholds-count-keys" in {each.code for each in verdict.findings}
    assert len(verdict.subject["steps"][0]["functionaries"]) == 3


def test_a_delegated_step(tmp_path: Path):
    chain = delegated(tmp_path)
    verdict, _ = judge(chain)
    assert verdict.outcome is Outcome.PARTIAL
    names = [step["name"] for step in verdict.subject["steps"]]
    assert names == [f"build/{worker(1).keyid[:8]}/compile", "build"]
    assert verdict.subject["steps"][1]["sublayout"] is True
    assert verdict_of_the_package(chain) == "ok"


def delegated(folder: Path, **knobs) -> Chain:
    """One step, handed on to worker 1, who has worker 2 do it."""
    chain = Chain(folder)
    chain.step(
        "build",
        [worker(1)],
        signers=[],
        expected_products=[["ALLOW", "x"], ["DISALLOW", "*"]],
    )
    inner = chain.delegate("build", worker(1))
    for name, value in knobs.items():
        setattr(inner, name, value)
    inner.step("compile", [worker(2)], products={"x": b"1"})
    chain.hand_in("build", inner)
    chain.save()
    return chain


def test_two_owners_must_both_have_signed(chain: Chain):
    chain.save(OWNER, worker(7))
    assert refusals(chain, OWNER, worker(7)) == set()
    assert refusals(chain, OWNER) == set()
    assert refusals(chain, OWNER, worker(8)) == {"layout-signature-invalid"}


def test_a_keyid_is_only_a_hint(tmp_path: Path):
    """Older tools computed other ids from the same key."""
    chain = demo(tmp_path)
    document = signed(chain.layout(), OWNER)
    document["signatures"][0]["keyid"] = "ab" * 32
    chain.path.write_text(json.dumps(document))
    assert refusals(chain) == set()


# -- the layout ----------------------------------------------------------------------------------


def test_expired_at_the_callers_time_not_the_clocks(chain: Chain):
    assert refusals(chain, at=datetime(2029, 12, 31, 23, 59, 59, tzinfo=UTC)) == set()
    for moment in (datetime(2030, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)):
        assert refusals(chain, at=moment) == {"layout-expired"}


def test_expired_long_ago_and_judged_for_then(tmp_path: Path):
    chain = demo(tmp_path)
    chain.expires = "2019-01-01T00:00:00Z"
    chain.save()
    assert verdict_of_the_package(chain) == "LayoutExpiredError"
    assert refusals(chain) == {"layout-expired"}
    assert refusals(chain, at=datetime(2018, 6, 1, tzinfo=UTC)) == set()


def test_the_wrong_layout_key(chain: Chain):
    assert refusals(chain, worker(8)) == {"layout-signature-invalid"}


def test_a_layout_that_was_changed_after_signing(tmp_path: Path):
    chain = demo(tmp_path)
    chain.save()
    document = json.loads(chain.path.read_text())
    document["signed"]["steps"][0]["expected_products"] = []
    chain.path.write_text(json.dumps(document))
    assert refusals(chain) == {"layout-signature-invalid"}


def test_one_signature_does_not_stand_for_two_layout_keys(tmp_path: Path):
    chain = demo(tmp_path)
    chain.save()
    assert refusals(chain, OWNER, OWNER) == {"layout-signature-invalid"}


def test_one_key_listed_as_two(tmp_path: Path):
    """The package's own comment: it relies on layouts not to do this."""
    chain = Chain(tmp_path)
    chain.step("build", [worker(1)], products={"x": b"1"})
    twin = {**worker(1).key, "keyid": "cd" * 32}
    chain.keys[twin["keyid"]] = twin
    chain.steps[0].pubkeys.append(twin["keyid"])
    chain.steps[0].threshold = 2
    document = signed_link_with_keyid(chain, worker(1), twin["keyid"])
    chain.write("build", twin["keyid"], document)
    chain.save()
    assert verdict_of_the_package(chain) == "ok"  # counts it twice
    assert refusals(chain) == {"key-listed-twice"}


def signed_link_with_keyid(chain: Chain, by: Worker, keyid: str):
    path = chain.links / f"build.{by.keyid[:8]}.link"
    document = json.loads(path.read_text())
    document["signatures"][0]["keyid"] = keyid
    return document


def test_one_key_in_two_spellings(tmp_path: Path):
    chain = Chain(tmp_path)
    one = worker(4, "p256")
    chain.step("build", [one], products={"x": b"1"})
    twin = json.loads(json.dumps(one.key))
    twin["keyid"] = "ef" * 32
    twin["keyval"]["public"] = twin["keyval"]["public"].replace("\n", "\r\n")
    chain.keys[twin["keyid"]] = twin
    chain.save()
    assert refusals(chain) == {"key-listed-twice"}


def test_a_short_rsa_key(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1, "rsa1024")], products={"x": b"1"})
    chain.save()
    assert refusals(chain) == {"unsupported-key"}
    owned = demo(tmp_path / "owned")
    owned.owner = worker(1, "rsa1024")
    owned.save()
    assert refusals(owned) == {"unsupported-key"}


def test_a_key_that_is_not_for_its_scheme(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(4, "p256")], products={"x": b"1"})
    key = chain.keys[worker(4, "p256").keyid]
    key["keytype"], key["scheme"] = "rsa", "rsassa-pss-sha256"
    chain.save()
    assert refusals(chain) == {"unsupported-key"}


def test_the_older_spelling_of_ecdsa_keys(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(4, "p256")], products={"x": b"1"})
    chain.keys[worker(4, "p256").keyid]["keytype"] = "ecdsa-sha2-nistp256"
    chain.save()
    assert refusals(chain) == set()


# -- inspections ---------------------------------------------------------------------------------


def touching(folder: Path) -> Inspection:
    return Inspection(name="untar", run=["touch", str(folder / "it-ran")])


def test_a_layout_with_an_inspection_is_refused_and_nothing_runs(chain: Chain, tmp_path: Path):
    chain.inspections.append(touching(tmp_path))
    chain.save()
    assert refusals(chain) == {"layout-has-inspections"}
    assert not (tmp_path / "it-ran").exists()


def test_an_inspection_inside_a_delegated_layout(tmp_path: Path):
    chain = delegated(tmp_path, inspections=[touching(tmp_path)])
    assert refusals(chain) == {"layout-has-inspections"}
    assert not (tmp_path / "it-ran").exists()


def test_inspections_come_before_everything_else(tmp_path: Path):
    """Even where the layout is by somebody else, expired, and a link is missing."""
    chain = delegated(tmp_path, inspections=[touching(tmp_path)])
    chain.expires = "2001-01-01T00:00:00Z"
    chain.save(worker(9))
    assert refusals(chain, OWNER) == {"layout-has-inspections"}


def test_an_engine_alone_refuses_inspections_too(tmp_path: Path):
    from attest.codec.layouts import parse_layout_metadata
    from attest.errors import Unsupported
    from attest.flow.links import gather_evidence

    chain = demo(tmp_path)
    chain.inspections.append(touching(tmp_path))
    metadata = parse_layout_metadata(chain.save().read_bytes())
    evidence = gather_evidence(metadata.content, chain.links)
    with pytest.raises(Unsupported, match="inspections"):
        InTotoEngine().verify(metadata, evidence, [OWNER.pem], NOON)


# -- links ---------------------------------------------------------------------------------------


def test_a_missing_link(chain: Chain):
    next(chain.links.glob("package.*.link")).unlink()
    assert refusals(chain) == {"link-missing"}


def test_an_empty_folder_of_links(chain: Chain):
    shutil.rmtree(chain.links)
    chain.links.mkdir()
    assert refusals(chain) == {"link-missing"}


def test_a_threshold_that_is_not_met(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1), worker(2)], threshold=2, signers=[worker(1)])
    chain.save()
    assert refusals(chain) == {"link-missing"}


def test_a_threshold_met_by_one_persons_two_files(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1), worker(2)], threshold=2, signers=[worker(1)])
    chain.link("build", worker(1), {}, {}, keyid=worker(2).keyid)
    chain.save()
    assert refusals(chain) == {"threshold-not-met"}


def test_a_link_that_was_changed_after_signing(tmp_path: Path):
    chain = demo(tmp_path)
    chain.save()
    path = next(chain.links.glob("package.*.link"))
    document = json.loads(path.read_text())
    document["signed"]["products"]["model/w.bin"]["sha256"] = "00" * 32
    path.write_text(json.dumps(document))
    assert refusals(chain) == {"threshold-not-met"}


def test_a_link_by_somebody_who_may_not(tmp_path: Path):
    chain = demo(tmp_path)
    chain.link("package", worker(1), {}, {"model/w.bin": b"x"}, keyid=worker(2).keyid)
    chain.save()
    assert refusals(chain) == {"threshold-not-met"}


def test_a_link_of_another_step_under_this_steps_name(tmp_path: Path):
    """The package does not look at the name inside: a link can be replayed for another step."""
    chain = Chain(tmp_path)
    chain.step("review", [worker(1)], signers=[])
    chain.step("build", [worker(1)])
    chain.link("review", worker(1), {}, {}, says="build")
    chain.save()
    assert verdict_of_the_package(chain) == "ok"
    assert refusals(chain) == {"link-for-other-step"}


def test_links_that_disagree_above_a_threshold_of_one(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1), worker(2)], threshold=2, signers=[])
    chain.link("build", worker(1), {}, {"x": b"1"})
    chain.link("build", worker(2), {}, {"x": b"2"})
    chain.save()
    assert refusals(chain) == {"links-disagree"}


def test_links_that_disagree_where_one_is_enough_are_a_warning(tmp_path: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1), worker(2)], signers=[])
    chain.link("build", worker(1), {}, {"x": b"1"})
    chain.link("build", worker(2), {}, {"x": b"2"})
    chain.save()
    verdict, _ = judge(chain)
    warned = [each.code for each in verdict.findings if each.outcome is Severity.WARN]
    assert warned == ["links-disagree"]


def test_another_command_is_a_warning_and_stays_off_stderr(tmp_path: Path, capfd):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1)], products={"x": b"1"}, command=["\x1b[31mcurl", "evil"])
    chain.save()
    verdict, _ = judge(chain)
    assert [each.code for each in verdict.findings if each.outcome is Severity.WARN] == [
        "command-differs"
    ]
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger("in_toto").filters == []


@pytest.mark.parametrize(
    ("rules", "products"),
    [
        ([["DISALLOW", "*"]], {"x": b"1"}),
        ([["CREATE", "y"], ["DISALLOW", "*"]], {"x": b"1"}),
        ([["REQUIRE", "y"]], {"x": b"1"}),
        ([["MATCH", "x", "WITH", "PRODUCTS", "FROM", "nobody"], ["DISALLOW", "*"]], {"x": b"1"}),
        ([["CREATE", "x"], ["DISALLOW", "*"]], {"x": b"1", "x.sh": b"extra"}),
    ],
    ids=["disallowed", "not created", "required", "no such step", "extra product"],
)
def test_a_rule_that_is_violated(tmp_path: Path, rules, products):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1)], products=products, expected_products=rules)
    chain.save()
    assert verdict_of_the_package(chain) == "RuleVerificationError"
    assert refusals(chain) == {"artifact-rule-violated"}


def test_a_path_that_joins_to_another(tmp_path: Path):
    """``a//b`` below the prefix ``a`` is looked up as ``/b``: the package stops with a KeyError."""
    chain = Chain(tmp_path)
    chain.step("one", [worker(1)], products={"x": b"1"})
    chain.step(
        "two",
        [worker(1)],
        products={"a//b": b"1"},
        expected_products=[["MATCH", "*", "IN", "a", "WITH", "PRODUCTS", "FROM", "one"]],
    )
    chain.save()
    assert verdict_of_the_package(chain) == "KeyError"
    assert refusals(chain) == {"unsafe-name"}


def test_too_many_rules_for_so_many_artifacts(tmp_path: Path, monkeypatch):
    from attest import limits

    monkeypatch.setattr(limits, "MAX_LAYOUT_RULE_WORK", 5)
    chain = Chain(tmp_path)
    chain.step(
        "build",
        [worker(1)],
        products={"a": b"", "b": b"", "c": b""},
        expected_products=[["ALLOW", "*"]] * 2,
    )
    chain.save()
    assert refusals(chain) == {"too-many-rules"}


# -- delegated layouts ---------------------------------------------------------------------------


def test_a_delegated_layout_that_has_expired(tmp_path: Path):
    chain = delegated(tmp_path, expires="2020-01-01T00:00:00Z")
    assert refusals(chain) == {"layout-expired"}


def test_a_delegated_layout_by_somebody_else(tmp_path: Path):
    chain = delegated(tmp_path)
    path = next(chain.links.glob("build.*.link"))
    inner = json.loads(path.read_text())
    inner["signatures"][0]["sig"] = "00" * 64
    path.write_text(json.dumps(inner))
    assert refusals(chain) == {"threshold-not-met"}


def test_a_delegated_layout_without_links(tmp_path: Path):
    chain = delegated(tmp_path)
    shutil.rmtree(next(path for path in chain.links.iterdir() if path.is_dir()))
    assert refusals(chain) == {"link-missing"}


def test_delegation_without_end(tmp_path: Path, monkeypatch):
    from attest import limits

    monkeypatch.setattr(limits, "MAX_LAYOUT_DEPTH", 0)
    assert refusals(delegated(tmp_path)) == {"too-large"}


def test_one_link_in_dsse_and_one_not(tmp_path: Path):
    chain = demo(tmp_path)
    chain.dsse = True
    chain.link("package", worker(2), {"src/train.py": b"import this\n"}, {"model/w.bin": bytes(16)})
    chain.dsse = False
    chain.save()
    assert refusals(chain) == set()


# -- the artifact --------------------------------------------------------------------------------


@pytest.fixture
def built(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").write_bytes(bytes(16))
    return folder


def product_refusals(chain: Chain, artifact: Path) -> set[str]:
    verdict, result = judge(chain, artifact=artifact)
    found = {each.code for each in verdict.findings if each.outcome is Severity.FAIL}
    assert (result is None) is bool(found)
    return found


def test_the_artifact_that_came_out(chain: Chain, built: Path):
    verdict, result = judge(chain, artifact=built)
    assert verdict.outcome is Outcome.PASS
    assert result is not None
    assert (result.products, len(result.steps)) == (1, 2)
    assert result.materials == ()  # src/train.py was made by the first step


def test_one_file_that_came_out(chain: Chain, built: Path):
    assert product_refusals(chain, built / "w.bin") == set()


def test_a_changed_file(chain: Chain, built: Path):
    (built / "w.bin").write_bytes(bytes(15) + b"\x01")
    assert product_refusals(chain, built) == {"product-changed"}
    assert product_refusals(chain, built / "w.bin") == {"product-changed"}


def test_an_extra_file(chain: Chain, built: Path):
    (built / "run.py").write_text("import os")
    assert product_refusals(chain, built) == {"product-unknown"}


def test_a_missing_file(chain: Chain, built: Path):
    (built / "other").write_text("")
    (built / "w.bin").unlink()
    assert product_refusals(chain, built) == {"product-missing", "product-unknown"}


def test_nothing_that_came_out_is_no_match(tmp_path: Path, built: Path):
    chain = Chain(tmp_path)
    chain.step("look", [worker(1)], materials={"x": b"1"})
    chain.save()
    assert product_refusals(chain, built) == {"no-products"}
    assert product_refusals(chain, built / "w.bin") == {"no-products"}


def test_two_products_of_one_name_are_none(tmp_path: Path, built: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1)], products={"a/w.bin": bytes(16), "b/w.bin": bytes(16)})
    chain.save()
    assert product_refusals(chain, built / "w.bin") == {"no-products"}


def test_materials_that_nobody_made(tmp_path: Path, built: Path):
    chain = Chain(tmp_path)
    chain.step(
        "train",
        [worker(1)],
        materials={"data.csv": b"rows"},
        products={"model/w.bin": bytes(16), "data.csv": b"rows"},
    )
    chain.steps[0].expected_products = []
    chain.save()
    _, result = judge(chain, artifact=built)
    assert result is not None
    assert result.materials == ()  # passed through unchanged: the link lists it as a product too


def test_a_product_without_sha256(tmp_path: Path, built: Path):
    chain = Chain(tmp_path)
    chain.step("build", [worker(1)], products={"model/w.bin": bytes(16)})
    path = next(chain.links.iterdir())
    from in_toto.models.link import Link

    link = Link(name="build", products={"model/w.bin": {"sha512": "00" * 64}})
    path.write_text(json.dumps(signed(link, worker(1))))
    chain.save()
    assert product_refusals(chain, built) == {"product-without-sha256"}


# -- against the package -------------------------------------------------------------------------


def test_the_same_verdict_as_the_package_on_random_chains(tmp_path: Path):
    """Rules, thresholds and digests drawn at random: ours accepts exactly what in_toto_verify does,
    but for links of another step, which are not drawn."""
    draw = random.Random(3)
    outcomes = set()
    for number in range(120):
        chain = random_chain(tmp_path / str(number), draw)
        theirs = verdict_of_the_package(chain)
        ours = refusals(chain)
        assert (theirs == "ok") is (ours == set()), (number, theirs, ours)
        outcomes.add(theirs)
    assert {"ok", "RuleVerificationError", "LinkNotFoundError"} <= outcomes


def random_chain(folder: Path, draw: random.Random) -> Chain:
    chain = Chain(folder, draw.random() < 0.5)
    files = {name: bytes([draw.randrange(2)]) for name in ("a", "b", "d/a", "d/b")}

    def some() -> dict[str, bytes]:
        return {
            name: data if draw.random() < 0.8 else b"other"
            for name, data in files.items()
            if draw.random() < 0.6
        }

    def rules() -> list[list[str]]:
        made = []
        for _ in range(draw.randrange(4)):
            pattern = draw.choice(["*", "a", "d/*", "?", "[ab]"])
            word = draw.choice(
                ["CREATE", "DELETE", "MODIFY", "ALLOW", "DISALLOW", "MATCH", "MATCH"]
            )
            rule = [word, pattern]
            if word == "MATCH":
                rule += draw.choice([[], ["IN", "d"], ["IN", "d/"]])
                rule += ["WITH", draw.choice(["PRODUCTS", "MATERIALS"])]
                rule += draw.choice([[], ["IN", "d"]])
                rule += ["FROM", draw.choice(["s0", "s1", "x"])]
            made.append(rule)
        return [*made, *draw.choice([[], [["REQUIRE", "a"]], []])]

    for number in range(draw.randrange(1, 4)):
        people = [worker(each) for each in range(1, draw.randrange(2, 4))]
        threshold = draw.randrange(1, len(people) + 1)
        missing = draw.random() < 0.1
        chain.step(
            f"s{number}",
            people,
            threshold=threshold,
            materials=some(),
            products=some(),
            expected_materials=rules(),
            expected_products=rules(),
            signers=people[1:] if missing else people,
        )
    chain.save()
    return chain


# -- the extra -----------------------------------------------------------------------------------


def test_without_the_extra(tmp_path: Path):
    code = (
        "import sys; sys.modules['in_toto'] = None\n"
        "from attest.adapters.intoto import InTotoEngine\n"
        "from attest.errors import Unavailable\n"
        "try: InTotoEngine()\n"
        "except Unavailable as error: print(error.code, error.hint)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "extra-missing pip install 'attest-toolkit[in-toto]'\n"


def test_no_process_is_started(chain: Chain, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert refusals(chain) == set()
