"""Tests of what a user without special rights may not do.

Root may read and write everything, by two capabilities. Such tests are skipped where this process
has them; ``make test`` runs them once more without (tools/unprivileged.sh).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

_Test = TypeVar("_Test", bound=Callable[..., Any])
_DAC: Final = 0b110  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH


def _overrides() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    assert effective is not None
    return bool(int(effective[1], 16) & _DAC)


OVERRIDES: Final = _overrides()


def unprivileged(test: _Test) -> _Test:
    """Mark a test that needs permissions to be checked."""
    reason = "this process may read and write everything; run again without that right"
    skipped = pytest.mark.skipif(OVERRIDES, reason=reason)(test)
    marked: _Test = pytest.mark.unprivileged(skipped)
    return marked
