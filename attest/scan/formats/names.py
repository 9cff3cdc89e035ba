"""Names of Python callables in configuration: what a loader would import and call."""

from __future__ import annotations

import re
from typing import Final

from attest.scan.allowlist import AllowList
from attest.scan.danger import is_dangerous, is_indirect
from attest.scan.grades import Grade

_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


def judge_name(dotted: str, allow: AllowList) -> Grade:
    """Grade ``package.module.name``, which a loader imports and calls.

    Every way to cut it into a module and a name in it counts.
    """
    parts = dotted.split(".")
    cuts = [(".".join(parts[:cut]), ".".join(parts[cut:])) for cut in range(1, len(parts))]
    if any(is_dangerous(module, name) for module, name in cuts):
        return Grade.MALICIOUS
    if not cuts and is_dangerous("builtins", dotted):
        return Grade.MALICIOUS
    if any(is_indirect(module, name) for module, name in cuts):
        return Grade.SUSPICIOUS
    if not _DOTTED.fullmatch(dotted):
        return Grade.SUSPICIOUS
    return Grade.CLEAN if allow.find(*cuts[-1]) else Grade.UNLISTED
