"""Check the house rules that no general linter knows; part of ``make check``.

``decode``
    Only ``attest.codec`` and ``attest.adapters`` turn outside bytes into objects. Everywhere else
    in the shipped packages the decoding half of ``json``, ``base64``, ``binascii`` and ``struct``
    is refused, and archive, compression, XML, YAML, CBOR and pickle modules altogether. Encoding is
    free: ``json.dumps``, ``struct.pack``, ``base64.b64encode``.
``folder``
    No ``import cli``, ``import server`` or ``import policies``: under an editable install they
    would load a second copy of the package inside.
``neighbour``
    ``attest_cli``, ``attest_node`` and ``attest_server`` never import each other, and ``attest``
    imports none of them.
``unlisted``
    Every shipped package is a root package of import-linter, so that its contracts hold.

Reads syntax trees, runs nothing. Imports inside functions count like any other. What it cannot see:
names reached by ``getattr``, and modules imported by a computed name.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = {
    "attest": "attest",
    "attest_cli": "cli/attest_cli",
    "attest_node": "cli/attest_node",
    "attest_server": "server/attest_server",
    "attest_policies": "policies/attest_policies",
}
"""Shipped packages and their folders."""

DECODING_ROOMS: Final = ("attest.codec", "attest.adapters")

NEIGHBOURS: Final = {
    "attest": {"attest_cli", "attest_node", "attest_server", "attest_policies"},
    "attest_cli": {"attest_node", "attest_server"},
    "attest_node": {"attest_cli", "attest_server"},
    "attest_server": {"attest_cli", "attest_node"},
    "attest_policies": {"attest_cli", "attest_node", "attest_server"},
}

FOLDERS: Final = {"cli", "server", "policies"}

DECODING_MODULES: Final = {
    "bz2", "cbor2", "configparser", "csv", "defusedxml", "dill", "gzip", "ijson", "lxml", "lzma",
    "marshal", "msgpack", "msgspec", "orjson", "pickle", "pickletools", "plistlib", "ruamel",
    "shelve", "simplejson", "tarfile", "tomllib", "ujson", "xml", "yaml", "zipfile", "zlib",
}  # fmt: skip
"""Modules that are for decoding, or whose encoding half nothing here needs."""

DECODING_NAMES: Final = {
    "ast.literal_eval",
    "base64.a85decode",
    "base64.b16decode",
    "base64.b32decode",
    "base64.b32hexdecode",
    "base64.b64decode",
    "base64.b85decode",
    "base64.decode",
    "base64.decodebytes",
    "base64.standard_b64decode",
    "base64.urlsafe_b64decode",
    "binascii.a2b_base64",
    "binascii.a2b_hex",
    "binascii.a2b_qp",
    "binascii.a2b_uu",
    "binascii.unhexlify",
    "json.JSONDecoder",
    "json.decoder",
    "json.load",
    "json.loads",
    "json.scanner",
    "struct.Struct",
    "struct.iter_unpack",
    "struct.unpack",
    "struct.unpack_from",
}
"""Single names of modules whose other half is welcome."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One broken rule, printed as ``file:line: [rule] message``."""

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: [{self.rule}] {self.message}"


def names_used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Every (line, dotted name) that ``tree`` imports, or reaches through an imported name.

    ``import json as j; j.loads`` and ``from json import loads as l`` both yield ``json.loads``.
    A name that is bound twice keeps both meanings: this finds too much rather than too little.
    """
    meanings: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
                bound, meaning = alias.asname, alias.name
                if bound is None:
                    bound = meaning = alias.name.partition(".")[0]
                meanings.setdefault(bound, set()).add(meaning)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                dotted = f"{node.module}.{alias.name}"
                yield node.lineno, dotted
                meanings.setdefault(alias.asname or alias.name, set()).add(dotted)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield from ((node.lineno, name) for name in _dotted(node, meanings))
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, name) for name in _imported_by_call(node))


def _dotted(node: ast.Attribute, meanings: dict[str, set[str]]) -> Iterator[str]:
    parts = [node.attr]
    inner = node.value
    while isinstance(inner, ast.Attribute):
        parts.append(inner.attr)
        inner = inner.value
    if isinstance(inner, ast.Name):
        for meaning in meanings.get(inner.id, ()):
            yield ".".join([meaning, *reversed(parts)])


def _imported_by_call(node: ast.Call) -> Iterator[str]:
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    if name in ("import_module", "__import__") and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def check_source(source: str, module: str, file: str) -> Iterator[Fault]:
    """The faults of one module, whose dotted name is ``module``."""
    package = module.partition(".")[0]
    shipped = package in PACKAGES
    decodes = any(module == room or module.startswith(room + ".") for room in DECODING_ROOMS)
    try:
        tree = ast.parse(source, file)
    except SyntaxError as error:
        yield Fault(file, error.lineno or 1, "syntax", error.msg)
        return
    for line, name in names_used(tree):
        top = name.partition(".")[0]
        if top in FOLDERS:
            yield Fault(file, line, "folder", f"{top}/ is a folder; import the package inside it")
        if top in NEIGHBOURS.get(package, ()):
            yield Fault(file, line, "neighbour", f"{package} must not import {top}")
        if shipped and not decodes and (top in DECODING_MODULES or _decoding(name)):
            yield Fault(file, line, "decode", f"{name} belongs into attest.codec")


def _decoding(name: str) -> bool:
    return any(name == known or name.startswith(known + ".") for known in DECODING_NAMES)


def modules(root: Path) -> Iterator[tuple[Path, str]]:
    """Every Python file to check and the name it is imported by."""
    places = [(root / folder, name) for name, folder in PACKAGES.items()]
    places += [(root / name, name) for name in ("tests", "tools", "benchmarks")]
    for folder, name in places:
        for file in sorted(folder.rglob("*.py")):
            if "vectors" in file.parts:
                continue
            inner = file.relative_to(folder).with_suffix("").parts
            yield file, ".".join((name, *(part for part in inner if part != "__init__")))


def check_listed(root: Path) -> Iterator[Fault]:
    """A package that exists but is unknown to import-linter escapes every contract."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    listed = settings.get("tool", {}).get("importlinter", {}).get("root_packages", [])
    for name, folder in PACKAGES.items():
        if (root / folder / "__init__.py").exists() and name not in listed:
            message = f"{name} exists: add it to root_packages and to the contracts"
            yield Fault("pyproject.toml", 1, "unlisted", message)


def check(root: Path) -> list[Fault]:
    """Every fault under ``root``, each once, in order."""
    faults: set[Fault] = set(check_listed(root))
    for file, module in modules(root):
        source = file.read_text(encoding="utf-8")
        faults.update(check_source(source, module, str(file.relative_to(root))))
    return sorted(faults)


def main(arguments: Iterable[str] = ()) -> int:
    root = Path(next(iter(arguments), Path(__file__).resolve().parent.parent))
    faults = check(root)
    for fault in faults:
        sys.stdout.write(f"{fault}\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
