"""What the headers of weight files say: how many parameters, of which types, made by what.

Headers only: no tensor is read. A format is recognised by its first bytes where it has any; ONNX
has none and goes by its name. A file that says that it is of a format and is not is refused.

Files that are parts of one checkpoint (``-00001-of-00064``) make one *set*. Several sets in one
folder (another precision, another quantisation, another format) are alternatives: the parameters of
a model are those of the largest set of each folder, added up.

Parameters are counted as elements of tensors *as they are stored*. In a checkpoint that packs
several quantised values into one element, that is less than the model is said to have.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from attest import limits
from attest.bom.components import clean_text
from attest.bom.dataset import Observation
from attest.codec.gguf import FILE_TYPES, GgufHeader, parse_gguf
from attest.codec.onnx import OnnxModel, parse_onnx
from attest.codec.reader import Source
from attest.codec.safetensors import SafetensorsHeader, parse_safetensors
from attest.errors import AttestError

_SHARD: Final = re.compile(r"(.+)-[0-9]{5,6}-of-[0-9]{5,6}(\.[A-Za-z0-9.]{1,32})")
BASE_MODEL: Final = "base-model:"
"""How the pairs that a header says begin where they name a base model."""

_HUB: Final = "https://huggingface.co/"
_MAX_BASE_MODELS: Final = 16
_PREFERENCE: Final = ("safetensors", "gguf", "pytorch", "onnx")
_TEMPLATE: Final = "tokenizer.chat_template"


class Tensor(NamedTuple):
    """One tensor of a file whose header is read elsewhere (a pickle).

    Attributes:
        dtype: as its format calls it.
        elements: how many, from its shape.
        shape: where it is known.
    """

    name: str
    dtype: str
    elements: int
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file.

    Attributes:
        format: one of ``safetensors``, ``gguf``, ``pytorch``, ``onnx``.
        dtypes: dtype -> elements.
        shapes: ``F32[384,384]`` -> how many tensors.
        names: of the tensors, where an index may list them; None where none does.
        data_bytes: of all tensors of a safetensors file, else None.
        said: further (name, value) pairs: ``architecture``, ``producer``, ``opset``, …
        templates: (name, text) of chat templates inside.
        oddities: what is odd about the header, a sentence each: holes, overlaps, a tail.
    """

    name: str
    format: str
    tensors: int
    dtypes: Mapping[str, int]
    names: frozenset[str] | None = None
    data_bytes: int | None = None
    said: tuple[tuple[str, str], ...] = ()
    templates: tuple[tuple[str, str], ...] = ()
    shapes: Mapping[str, int] = field(default_factory=dict)
    oddities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WeightSet:
    """The files of one checkpoint in one format.

    Attributes:
        name: path without the numbers of shards: ``model.safetensors``.
        shapes: as of a file, the most frequent first.
        said: of all its files, each once.
    """

    name: str
    format: str
    files: tuple[str, ...]
    tensors: int
    dtypes: Mapping[str, int] = field(default_factory=dict)
    said: tuple[tuple[str, str], ...] = ()
    shapes: Mapping[str, int] = field(default_factory=dict)

    @property
    def parameters(self) -> int:
        """Elements of all its tensors."""
        return sum(self.dtypes.values())

    @property
    def folder(self) -> str:
        """Its folder inside the model, empty for the root."""
        return self.name.rpartition("/")[0]


def format_of(name: str, source: Source) -> str | None:
    """Which format of weights a file has, by its first bytes; None: none that is known here.

    ``zip`` stands for a zip archive, which may be a PyTorch checkpoint.
    """
    head = source.read(0, min(source.size, 9))
    if head[:4] == b"GGUF":
        return "gguf"
    if head[:4] == b"PK\x03\x04":
        return "zip"
    if name.endswith(".safetensors") or _looks_like_safetensors(head, source.size):
        return "safetensors"
    return "onnx" if name.endswith(".onnx") else None


def _looks_like_safetensors(head: bytes, size: int) -> bool:
    """Eight bytes of a plausible length, then the brace of a JSON object."""
    length = int.from_bytes(head[:8], "little")
    return len(head) == 9 and head[8:] == b"{" and 2 <= length <= size - 8


def read_weights(name: str, format: str, source: Source) -> WeightFile:
    """The header of a safetensors, GGUF or ONNX file.

    Raises:
        MalformedInput, Unsupported: it is none; ``where`` names the file. Unavailable.
    """
    readers = {"safetensors": _safetensors, "gguf": _gguf, "onnx": _onnx}
    try:
        return readers[format](name, source)
    except AttestError as error:
        raise error.within(name) from None


def torch_weights(name: str, tensors: Iterable[Tensor]) -> WeightFile:
    """A PyTorch file, by what its pickle was found to hold without running it."""
    dtypes = Counter[str]()
    shapes = Counter[str]()
    count = 0
    for tensor in tensors:
        dtypes[tensor.dtype] += tensor.elements
        if tensor.shape is not None:
            shapes[_shape(tensor.dtype, tensor.shape)] += 1
        count += 1
    return WeightFile(name, "pytorch", count, dict(dtypes), shapes=dict(shapes))


def _shape(dtype: str, shape: Iterable[int]) -> str:
    return f"{dtype}[{','.join(map(str, shape))}]"


def _safetensors(name: str, source: Source) -> WeightFile:
    header: SafetensorsHeader = parse_safetensors(source)
    dtypes = Counter[str]()
    for tensor in header.tensors:
        dtypes[tensor.dtype] += math.prod(tensor.shape)
    said = _told((f"metadata:{key}", value) for key, value in sorted(header.metadata.items()))
    return WeightFile(
        name,
        "safetensors",
        len(header.tensors),
        dict(dtypes),
        frozenset(tensor.name for tensor in header.tensors),
        sum(tensor.end - tensor.begin for tensor in header.tensors),
        said,
        shapes=dict(Counter(_shape(tensor.dtype, tensor.shape) for tensor in header.tensors)),
        oddities=_sentences(header.anomalies),
    )


def _gguf(name: str, source: Source) -> WeightFile:
    header: GgufHeader = parse_gguf(source)
    dtypes = Counter[str]()
    for tensor in header.tensors:
        dtypes[tensor.type_name] += tensor.elements
    known = header.metadata
    pairs: list[tuple[str, Any]] = [
        (key.removeprefix("general."), known.get(key))
        for key in (
            "general.architecture",
            "general.name",
            "general.basename",
            "general.size_label",
            "general.version",
            "general.license",
            "general.quantized_by",
        )
    ]
    pairs += _base_models(known)
    file_type = known.get("general.file_type")
    if isinstance(file_type, int) and file_type in FILE_TYPES:
        pairs.append(("quantization", FILE_TYPES[file_type]))
    templates = tuple(
        (key.removeprefix(_TEMPLATE).lstrip(".") or "default", value)
        for key, value in known.items()
        if (key == _TEMPLATE or key.startswith(_TEMPLATE + ".")) and isinstance(value, str)
    )
    return WeightFile(
        name,
        "gguf",
        len(header.tensors),
        dict(dtypes),
        said=_told([("gguf-version", str(header.version)), *pairs]),
        templates=templates,
        shapes=dict(Counter(_shape(tensor.type_name, tensor.shape) for tensor in header.tensors)),
        oddities=_sentences(header.anomalies),
    )


def _sentences(anomalies: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(message for _, message in anomalies)[: limits.MAX_LISTED]


def _base_models(known: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """What a GGUF file says that it was made from: ``base-model:0``, ``owner/name`` or a name."""
    for number in range(_MAX_BASE_MODELS):
        prefix = f"general.base_model.{number}."
        name, url = known.get(prefix + "name"), known.get(prefix + "repo_url")
        if isinstance(url, str) and url.startswith(_HUB):
            yield f"{BASE_MODEL}{number}", url.removeprefix(_HUB)
        elif isinstance(name, str):
            yield f"{BASE_MODEL}{number}", name


def _onnx(name: str, source: Source) -> WeightFile:
    model: OnnxModel = parse_onnx(source)
    dtypes = Counter[str]()
    for tensor in model.initializers:
        dtypes[tensor.dtype] += tensor.elements
    pairs = [
        ("producer", f"{model.producer_name} {model.producer_version}".strip()),
        ("ir-version", str(model.ir_version)),
        *((f"opset:{key or 'ai.onnx'}", str(value)) for key, value in sorted(model.opsets.items())),
        *(("external-data", place) for place in sorted(model.external_locations)),
    ]
    shapes = Counter(_shape(tensor.dtype, tensor.dims) for tensor in model.initializers)
    return WeightFile(
        name,
        "onnx",
        len(model.initializers),
        dict(dtypes),
        said=_told(pairs),
        shapes=dict(shapes),
        oddities=_sentences(model.anomalies),
    )


def _told(pairs: Iterable[tuple[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Pairs whose texts a BOM can carry; the header's author chose them all."""
    kept = []
    for key, value in pairs:
        name, text = clean_text(key), clean_text(value)
        if name is not None and text is not None:
            kept.append((name, text))
    return tuple(kept[: limits.MAX_LISTED])


# -- sets ----------------------------------------------------------------------------------------


def weight_sets(files: Iterable[WeightFile]) -> tuple[WeightSet, ...]:
    """Files put together to checkpoints, in order of their names."""
    groups: dict[tuple[str, str], list[WeightFile]] = {}
    for each in files:
        groups.setdefault((set_name(each.name), each.format), []).append(each)
    return tuple(_set(name, form, group) for (name, form), group in sorted(groups.items()))


def set_name(name: str) -> str:
    """``model.safetensors`` for ``model-00001-of-00002.safetensors``."""
    found = _SHARD.fullmatch(name)
    return name if found is None else found[1] + found[2]


def _set(name: str, form: str, group: list[WeightFile]) -> WeightSet:
    dtypes = Counter[str]()
    shapes = Counter[str]()
    for each in group:
        dtypes.update(each.dtypes)
        shapes.update(each.shapes)
    return WeightSet(
        name,
        form,
        tuple(each.name for each in group),
        sum(each.tensors for each in group),
        dict(sorted(dtypes.items())),
        tuple(dict.fromkeys(pair for each in group for pair in each.said)),
        dict(sorted(shapes.items(), key=lambda found: (-found[1], found[0]))),
    )


def main_sets(sets: Iterable[WeightSet]) -> tuple[WeightSet, ...]:
    """The largest set of each folder, all of the one format that comes first by preference."""
    listed = list(sets)
    form = next((one for one in _PREFERENCE if any(each.format == one for each in listed)), None)
    largest: dict[str, WeightSet] = {}
    for each in listed:
        best = largest.get(each.folder)
        if each.format == form and (best is None or each.parameters > best.parameters):
            largest[each.folder] = each
    return tuple(largest.values())


# -- the index of a sharded checkpoint -----------------------------------------------------------


def index_problems(
    name: str,
    document: Mapping[str, Any],
    weights: Mapping[str, WeightFile],
    files: Container[str],
) -> Iterator[Observation]:
    """Where an index and the headers of its shards disagree.

    Args:
        name: of the index file; its shards lie in its folder.
        document: its parsed content; whoever wrote it controls all of it.
        weights: the files whose headers were read, by name.
        files: names of all files.
    """
    listed = _listed(name[: name.rfind("/") + 1], document)
    if not listed:
        yield _mismatch(f"{name}#weight_map", "lists no tensors")
        return
    total: int | None = 0
    for file, names in sorted(listed.items()):
        held = weights.get(file)
        if held is None or held.names is None:
            total = None
            if file not in files:
                yield _mismatch(name, f"{file} is listed and is not there")
        else:
            total = None if total is None else total + (held.data_bytes or 0)
            if held.names != names:
                yield _mismatch(name, f"{file} holds other tensors than listed")
    metadata = document.get("metadata")
    stated = metadata.get("total_size") if isinstance(metadata, dict) else None
    if total is not None and isinstance(stated, int | float) and stated != total:
        place = f"{name}#metadata.total_size"
        yield _mismatch(place, f"is {stated}, and the shards hold {total} bytes")


def _listed(folder: str, document: Mapping[str, Any]) -> dict[str, set[str]]:
    """Shard -> tensors, of a ``weight_map``."""
    listed: dict[str, set[str]] = {}
    weight_map = document.get("weight_map")
    for tensor, file in weight_map.items() if isinstance(weight_map, dict) else ():
        if isinstance(file, str):
            listed.setdefault(folder + file, set()).add(tensor)
    return listed


def _mismatch(where: str, message: str) -> Observation:
    return Observation("index-mismatch", where, message)
