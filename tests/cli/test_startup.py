"""What starting costs: which modules a verb may load, asserted instead of timed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.support import attest, attest_process, python

HEAVY = ("rich", "sigstore", "asyncio", "pkcs11", "rfc3161_client", "urllib.request", "pydantic")


def loaded_by(*args: str, cwd: Path) -> set[str]:
    """Names of the modules that a command line has loaded when it is done."""
    return set(
        python(
            "import contextlib, io, os, sys\n"
            "from attest_cli.main import main\n"
            f"os.chdir({str(cwd)!r})\n"
            "with contextlib.redirect_stdout(io.StringIO()):\n"
            f"    code = main({list(args)!r})\n"
            "assert code == 0, code\n"
            "print('\\n'.join(sys.modules))"
        ).splitlines()
    )


def test_version_loads_next_to_nothing(here: Path):
    loaded = loaded_by("--version", cwd=here)
    own = {name for name in loaded if name.partition(".")[0] in ("attest", "attest_cli")}
    assert own <= {"attest", "attest._version", "attest_cli", "attest_cli.main"}
    assert not loaded & {"click", "cryptography", "json", "datetime", "inspect", *HEAVY}


def test_verify_with_a_key_loads_what_it_needs(signed: Path, here: Path):
    loaded = loaded_by("verify", "model", "--key", "release.pub", cwd=here)
    assert not loaded & set(HEAVY)
    assert "importlib.metadata" not in loaded, "entry points are searched for unknown verbs only"
    assert "attest_cli.commands.sign" not in loaded


def test_help_loads_no_cryptography(here: Path):
    for args in (["--help"], ["verify", "--help"], ["sign", "--help"], ["keygen", "--help"]):
        assert not loaded_by(*args, cwd=here) & {"cryptography", *HEAVY}


@pytest.mark.parametrize("args", [("--version",), ("verify", "--help")])
def test_module_and_entry_point_are_the_same(args: tuple[str, ...], here: Path):
    in_process, as_module = attest(*args), attest_process(*args, env={"COLUMNS": "80"})
    assert in_process.code == as_module.code == 0
    assert in_process.out == as_module.out


def test_version_is_one_line():
    from attest._version import __version__

    assert attest("--version").out == f"attest {__version__}\n"
    assert attest_process("--version").out == f"attest {__version__}\n"
