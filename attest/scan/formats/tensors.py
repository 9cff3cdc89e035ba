"""Safetensors and GGUF: formats without code, except what is hidden in them or beside the data."""

from __future__ import annotations

from typing import Final

from attest import limits
from attest.codec.gguf import MAGIC, parse_gguf
from attest.codec.reader import Source
from attest.codec.safetensors import parse_safetensors
from attest.errors import TooLarge
from attest.scan.formats.common import anomalies, place, reading, shown
from attest.scan.formats.templates import judge_template
from attest.scan.grades import Grade, Hit, Rules

_GGUF_GRADES: Final = {"unknown-tensor-type": Grade.UNLISTED}


def looks_like_safetensors(head: bytes, size: int, source: Source) -> bool:
    """Whether a length that fits is followed by ``{``, or one that does not fit by a header."""
    if len(head) < 9 or head[8:9] != b"{":
        return False
    fits = int.from_bytes(head[:8], "little") <= size - 8
    is_number = b"\0" in head[:8]  # and not the first line of JSON lines
    return fits or (is_number and head[8:].lstrip(b"{ \t\r\n")[:1] == b'"')


def scan_safetensors(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a safetensors file: its header, and whether every byte belongs to a tensor.

    ``__metadata__`` is text that loaders hand on and do not act on.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        hits += anomalies(parse_safetensors(source).anomalies, "safetensors", where)
    return hits


def looks_like_gguf(head: bytes, size: int, source: Source) -> bool:
    """Whether the magic is there."""
    return head.startswith(MAGIC)


def scan_gguf(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a GGUF file: its header, its layout, and every chat template in its metadata.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        header = parse_gguf(source)
        hits += anomalies(header.anomalies, "gguf", where, _GGUF_GRADES)
        if sum(map(len, header.templates.values())) > limits.MAX_TEMPLATES_BYTES:
            raise TooLarge(f"has more than {limits.MAX_TEMPLATES_BYTES} bytes of chat templates")
        for key, template in header.templates.items():
            hits += judge_template(template, where=place(where, shown(key)[1:-1]))
    return hits
