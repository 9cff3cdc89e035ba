"""The house rules, tested themselves: each with a module that keeps it and one that breaks it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import check_house

ROOT = Path(__file__).resolve().parents[2]


def rules(source: str, module: str = "attest.artifact.walk") -> list[tuple[int, str]]:
    return sorted({(f.line, f.rule) for f in check_house.check_source(source, module, "x.py")})


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.loads(b'{}')",
        "import json as j\nj.load(f)",
        "from json import loads",
        "from json import JSONDecoder as D",
        "from json.decoder import scanstring",
        "def f():\n    from base64 import urlsafe_b64decode",
        "import binascii\nx = binascii.unhexlify",
        "import struct\nstruct.unpack('>I', b'')",
        "from struct import Struct",
        "import zipfile",
        "import xml.etree.ElementTree as ET",
        "from xml.etree import ElementTree",
        "import yaml",
        "import importlib\nimportlib.import_module('pickle')",
        "__import__('zlib')",
    ],
)
def test_decoding_outside_the_codec_is_found(source: str) -> None:
    assert {rule for _, rule in rules(source)} == {"decode"}


@pytest.mark.parametrize("room", ["attest.codec", "attest.codec.oms", "attest.adapters.files"])
def test_decoding_rooms_may_decode(room: str) -> None:
    assert rules("import json, zlib\njson.loads(b'{}')", room) == []


def test_a_room_with_a_similar_name_is_not_the_codec() -> None:
    assert rules("import zlib", "attest.codecs") == [(1, "decode")]


@pytest.mark.parametrize(
    "source",
    [
        "import json\njson.dumps({})",
        "import base64\nbase64.b64encode(b'')",
        "import struct\nstruct.pack('>I', 1)",
        "from struct import pack",
        "import hashlib, hmac",
        "loads = 1\nloads",
        "class A:\n    json = 1\nA.json.loads",
        "from attest.codec import jsonstrict\njsonstrict.loads(b'')",
    ],
)
def test_encoding_is_free(source: str) -> None:
    assert rules(source) == []


def test_tests_and_tools_may_decode() -> None:
    assert rules("import json\njson.loads('')", "tests.test_readme") == []


@pytest.mark.parametrize("source", ["import cli.attest_cli", "from server import attest_server"])
@pytest.mark.parametrize("module", ["attest.flow", "attest_cli.main", "tests.cli.test_main"])
def test_folders_are_not_packages(source: str, module: str) -> None:
    assert rules(source, module) == [(1, "folder")]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("attest.flow.sign", "import attest_cli"),
        ("attest_cli.main", "from attest_server.app import create_app"),
        ("attest_node.run", "import attest_cli.output"),
        ("attest_server.app", "def f():\n    import attest_node"),
    ],
)
def test_neighbours_are_not_imported(module: str, source: str) -> None:
    assert {rule for _, rule in rules(source, module)} == {"neighbour"}


def test_a_file_that_is_not_python_is_a_fault() -> None:
    assert rules("def (") == [(1, "syntax")]


def test_surfaces_import_the_library() -> None:
    assert rules("from attest.flow import verify", "attest_cli.commands.verify") == []


def test_a_new_package_must_be_listed(tmp_path: Path) -> None:
    package = tmp_path / "cli" / "attest_node"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import zlib\n")
    (tmp_path / "pyproject.toml").write_text('[tool.importlinter]\nroot_packages = ["attest"]\n')
    found = [(f.file, f.rule) for f in check_house.check(tmp_path)]
    assert found == [("cli/attest_node/__init__.py", "decode"), ("pyproject.toml", "unlisted")]
    assert check_house.main([str(tmp_path)]) == 1


def test_every_module_of_the_project_is_seen() -> None:
    seen = {name for _, name in check_house.modules(ROOT)}
    assert {"attest.errors", "tools.check_house", "tests.tools.test_check_house"} <= seen
