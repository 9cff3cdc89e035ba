"""The public names of the library: all there, all documented, and the examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import attest
from attest import errors
from tests.cli.support import environment

PACKAGE = Path(attest.__file__).parent


@pytest.mark.parametrize("name", attest.__all__)
def test_public_name_is_there_and_documented(name):
    value = getattr(attest, name)
    assert inspect.getdoc(value), name


def test_names_are_sorted_and_all_are_loaded_lazily():
    assert attest.__all__ == sorted(attest.__all__)
    assert set(attest._PLACES) == set(attest.__all__)
    assert dir(attest) == attest.__all__


def test_what_type_checkers_see_is_what_is_loaded():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    seen = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("attest."):
            for alias in node.names:
                seen[alias.asname or alias.name] = (node.module, alias.name)
    assert set(seen) == set(attest.__all__)
    for name, (module, attribute) in seen.items():
        assert getattr(importlib.import_module(module), attribute) is getattr(attest, name), name


def test_unknown_name():
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        attest.nonsense  # noqa: B018


def test_importing_the_library_loads_nothing():
    code = "import attest, sys; print([m for m in sys.modules if m.startswith('attest.')])"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def _modules() -> list[str]:
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


@pytest.mark.parametrize("name", _modules())
def test_module_is_documented_and_its_examples_run(name):
    module = importlib.import_module(name)
    if name not in ("attest._version",):
        assert module.__doc__, name
    result = doctest.testmod(module)
    assert result.failed == 0
    if name == "attest":
        assert result.attempted > 8


def test_errors_are_drawn_as_they_are():
    """The tree at the top of attest.errors is the tree of classes."""
    drawn = {word for word in (errors.__doc__ or "").replace("(", " ").split() if word[0].isupper()}
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.AttestError)
    }
    assert set(classes) <= drawn
    codes = [value.default_code for value in classes.values()]
    assert len(set(codes)) == len(codes)


def test_time_and_trust_have_no_defaults():
    """Trap 2: an argument that, omitted, omits the check."""
    parameters = inspect.signature(attest.verify).parameters
    for name in ("trust", "at"):
        assert parameters[name].default is inspect.Parameter.empty
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    for kind, names in (
        (attest.KeyTrust, ["keys"]),
        (attest.CertificateTrust, ["roots", "name"]),
        (attest.SigstoreTrust, ["identity", "issuer", "check"]),
    ):
        parameters = inspect.signature(kind).parameters
        for name in names:
            assert parameters[name].default is inspect.Parameter.empty
