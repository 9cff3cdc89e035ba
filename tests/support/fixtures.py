"""Where the shared conformance fixtures are, if they are here at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


def fixtures_root() -> Path | None:
    """``$ATTEST_FIXTURES``, or ``../shared/fixtures`` beside the checkout; None where absent."""
    root = Path(os.environ.get("ATTEST_FIXTURES") or _ROOT.parent / "shared" / "fixtures")
    return root if root.is_dir() else None


def fixture(*parts: str) -> Path:
    """A file or folder below the fixtures; skips the test, with the reason, where it is absent."""
    root = fixtures_root()
    if root is None:
        pytest.skip("the shared fixtures are not here (set ATTEST_FIXTURES)")
    path = root.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the fixture {path} is not here")
    return path
