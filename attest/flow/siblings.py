"""Files that mean something only beside another one: raw tensors that a header points to.

A blob without any structure is unscannable by itself. Where a scanned, clean file of the same
artifact says that its loader reads exactly this file as raw numbers, it is tensor data: the
external data of an ONNX model, the shards of a TensorFlow checkpoint.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import Final

from attest.artifact.content import ArtifactContent
from attest.codec.onnx import parse_onnx
from attest.errors import AttestError
from attest.scan.grades import FileScan, Grade

_SHARD: Final = re.compile(r"(?P<stem>.+)\.data-[0-9]{5}-of-[0-9]{5}")


def explained(files: Sequence[FileScan], content: ArtifactContent) -> list[FileScan]:
    """The same results, with blobs that another file explains as ``tensor-data``, clean."""
    unknown = {file.name for file in files if [hit.code for hit in file.hits] == ["unrecognised"]}
    if not unknown:
        return list(files)
    clean = [file for file in files if file.grade is Grade.CLEAN]
    told = unknown & {name for file in clean for name in _names_told_by(file, content, unknown)}
    return [FileScan(file.name, "tensor-data") if file.name in told else file for file in files]


def _names_told_by(file: FileScan, content: ArtifactContent, unknown: set[str]) -> Iterator[str]:
    if file.format == "onnx":
        folder = posixpath.dirname(file.name)
        for location in _locations(file.name, content):
            yield posixpath.normpath(posixpath.join(folder, location))
    elif file.format == "tf-checkpoint-index":
        stem = file.name.removesuffix(".index")
        for name in unknown:
            match = _SHARD.fullmatch(name)
            if match is not None and match["stem"] == stem:
                yield name


def _locations(name: str, content: ArtifactContent) -> Sequence[str]:
    """Where an ONNX model says that its tensors are."""
    try:
        with content.open(name) as source:
            return tuple(parse_onnx(source).external_locations)
    except AttestError:
        return ()
