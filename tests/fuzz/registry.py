"""Every fuzz target of every area, by name.

Each module ``targets*.py`` here has functions called ``fuzz_…``, and ``seeds(name)`` for them.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Final

from attest.errors import MalformedInput, Unsupported

HERE: Final = Path(__file__).parent


def _modules() -> list[ModuleType]:
    names = sorted(path.stem for path in HERE.glob("targets*.py"))
    return [importlib.import_module(f"tests.fuzz.{name}") for name in names]


def _collect() -> dict[str, tuple[ModuleType, Callable[[bytes], None]]]:
    found: dict[str, tuple[ModuleType, Callable[[bytes], None]]] = {}
    for module in _modules():
        for name, function in vars(module).items():
            own = getattr(function, "__module__", None) == module.__name__
            if name.startswith("fuzz_") and own:
                assert name not in found, f"two targets are called {name}"
                found[name] = module, function
    return found


TARGETS: Final = _collect()


def run(name: str, data: bytes) -> bool:
    """Feed one input; whether it was accepted. Raises whatever must not get out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            TARGETS[name][1](data)
        except (MalformedInput, Unsupported) as refusal:
            str(refusal).encode("utf-8", "backslashreplace")
            return False
    return True


def seeds(name: str) -> list[bytes]:
    """Good and bad inputs for one target."""
    made: list[bytes] = TARGETS[name][0].seeds(name)
    return made
