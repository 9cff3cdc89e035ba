"""Fuzz target; see tests/fuzz/registry.py."""

from __future__ import annotations

import pathlib
import sys

if __name__ == "__main__":
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2]))
    from tests.fuzz.harness import main

    main("fuzz_times")
