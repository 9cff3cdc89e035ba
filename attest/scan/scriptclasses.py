"""The classes that a TorchScript archive defines for itself.

``data.pkl`` of such an archive names classes below ``__torch__``. They are not Python's: the
TorchScript interpreter compiles them from ``code/`` of the same archive, which is scanned, and no
Python module of that name exists for another loader to import. So exactly those that ``code/``
defines are known while its pickles are scanned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from attest import limits
from attest.codec.reader import Source
from attest.codec.zips import ZipListing, open_member
from attest.errors import MalformedInput, Unsupported
from attest.scan.allowlist import Entry, Use
from attest.scan.grades import Rules

_CLASS: Final = re.compile(rb"^class ([A-Za-z_][A-Za-z0-9_]{0,200})\(", re.MULTILINE)
_PART: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_MAX_CLASSES: Final = 10_000
_PACKED: Final = "__torch__.torch.classes.quantized"
_PACKED_NAMES: Final = (
    "Conv2dPackedParamsBase",
    "Conv3dPackedParamsBase",
    "EmbeddingPackedParamsBase",
    "LinearPackedParamsBase",
)
"""Classes of torch itself that quantised modules keep their weights in. No code is theirs."""


def with_script_classes(rules: Rules, source: Source, listing: ZipListing, root: str) -> Rules:
    """The rules for the pickles of the archive whose folder is ``root`` (with its slash)."""
    known = {(_PACKED, name): Entry(_PACKED, name, Use.CLASS, site=True) for name in _PACKED_NAMES}
    for module, name in _classes(source, listing, root + "code/"):
        known[module, name] = Entry(module, name, Use.CLASS, site=True)
        if len(known) == _MAX_CLASSES:
            break
    try:
        return replace(rules, allow=rules.allow.extended(known.values()))
    except (MalformedInput, Unsupported):  # a name that nobody may allow: then none is
        return rules


def _classes(source: Source, listing: ZipListing, folder: str) -> Iterator[tuple[str, str]]:
    """Module and name of every class, in the order of the archive."""
    for member in listing.members:
        if not (member.name.startswith(folder) and member.name.endswith(".py")):
            continue
        parts = member.name.removeprefix(folder).removesuffix(".py").split("/")
        if parts[0] != "__torch__" or not all(map(_PART.fullmatch, parts)):
            continue
        try:
            content = open_member(source, member, limits.MAX_SOURCE_BYTES)
            if content.size > limits.MAX_SOURCE_BYTES:
                continue
            text = content.read(0, content.size)
        except (MalformedInput, Unsupported):
            continue  # the scan of the member itself tells
        for found in _CLASS.finditer(text):
            yield ".".join(parts), found[1].decode("ascii")
