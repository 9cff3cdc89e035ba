"""The scanners of single formats, and how each recognises its content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from attest.codec.reader import Source
from attest.scan.formats.keras import looks_like_hdf5, scan_hdf5
from attest.scan.formats.onnx import looks_like_onnx, scan_onnx
from attest.scan.formats.tensorflow import (
    looks_like_fingerprint,
    looks_like_graph,
    looks_like_keras_metadata,
    looks_like_meta_graph,
    looks_like_saved_model,
    scan_fingerprint,
    scan_graph,
    scan_keras_metadata,
    scan_meta_graph,
    scan_saved_model,
)
from attest.scan.formats.tensors import (
    looks_like_gguf,
    looks_like_safetensors,
    scan_gguf,
    scan_safetensors,
)
from attest.scan.grades import Hit


class Scanner(NamedTuple):
    """One format.

    Attributes:
        format: its name in a verdict.
        recognise: from the head, the size and the content.
        scan: called with the content, the rules and ``where=``.
    """

    format: str
    recognise: Callable[[bytes, int, Source], bool]
    scan: Callable[..., list[Hit]]


WITH_SIGNATURE: Final = (
    Scanner("gguf", looks_like_gguf, scan_gguf),
    Scanner("safetensors", looks_like_safetensors, scan_safetensors),
    Scanner("hdf5", looks_like_hdf5, scan_hdf5),
)
"""Formats whose first bytes leave no doubt."""

BY_SHAPE: Final = (
    Scanner("onnx", looks_like_onnx, scan_onnx),
    Scanner("tf-meta-graph", looks_like_meta_graph, scan_meta_graph),
    Scanner("savedmodel", looks_like_saved_model, scan_saved_model),
    Scanner("keras-metadata", looks_like_keras_metadata, scan_keras_metadata),
    Scanner("tf-graph", looks_like_graph, scan_graph),
    Scanner("tf-fingerprint", looks_like_fingerprint, scan_fingerprint),
)
"""Protocol buffers, which have no signature: recognised by their first fields. Asked after pickles
and before text, which a protobuf message can be made to look like."""


def recognise(scanners: tuple[Scanner, ...], head: bytes, source: Source) -> Scanner | None:
    """The first scanner that knows this content."""
    for scanner in scanners:
        if scanner.recognise(head, source.size, source):
            return scanner
    return None
