"""Keras: the JSON that describes a model, wherever it is kept, and the HDF5 files around it.

Loading a model means to look up every ``class_name`` in the ``module`` beside it, to call it with
``config``, and to unmarshal the bytecode of ``Lambda`` layers. With ``safe_mode`` off, or around it
(CVE-2024-3660, CVE-2025-1550, CVE-2025-8747, CVE-2025-9906), that runs what the file says.

1. Bytecode (``__lambda__``, a ``Lambda`` layer with a function) is ``malicious``.
2. A module outside of Keras' own object modules is judged by its name; ``keras.utils``,
   ``keras.config`` and ``keras.saving`` hold functions, not objects of models.
3. Layers that fetch or run something else at load time (``TFSMLayer``, ``TorchModuleWrapper``,
   vocabulary files) are told.
4. HDF5: ``model_config`` at the root is read; a file that is not fully understood is unscannable,
   and searched for the marks of a Lambda layer all the same, as is one without ``model_config``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.codec.hdf5 import SIGNATURE, find_superblock, parse_hdf5
from attest.codec.reader import Source
from attest.errors import MalformedInput, Unsupported
from attest.scan.danger import is_dangerous
from attest.scan.formats.common import anomalies, path_fault, place, reading, shown
from attest.scan.formats.names import judge_name
from attest.scan.grades import Grade, Hit, Rules

_PREFIXES: Final = (
    "tensorflow.python.keras.",
    "tensorflow.keras.",
    "keras.api._v2.keras.",
    "keras.api.",
    "keras.src.engine.",
    "keras.src.",
    "keras.engine.",
    "keras.",
    "tf_keras.src.engine.",
    "tf_keras.src.",
    "tf_keras.",
)
"""Where Keras has its modules, the longest first."""

_OBJECT_MODULES: Final = frozenset(
    {"activations", "constraints", "dtype_policies", "functional", "initializers", "layers",
     "losses", "metrics", "mixed_precision", "models", "optimizers", "quantizers", "regularizers",
     "sequential", "training", "base_layer", "input_layer"}
)  # fmt: skip
_WHOLE_MODULES: Final = frozenset({"keras", "tf_keras"})
_FUNCTION_MODULES: Final = frozenset(
    {"activations", "constraints", "initializers", "losses", "metrics", "regularizers"}
)
_ACTIVATIONS: Final = frozenset(
    {"celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu",
     "hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish",
     "relu", "relu6", "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
     "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
     "threshold"}
)  # fmt: skip

_BESIDE_A_NAME: Final = frozenset({"config", "module", "registered_name"})
_BYTECODE: Final = frozenset({"__lambda__"})
_CODE: Final = _BYTECODE | {"Lambda"}
_LOADERS: Final = {
    "TFSMLayer": "loads a TensorFlow program from another folder",
    "TorchModuleWrapper": "holds a pickled torch module",
    "JaxLayer": "holds serialized functions",
    "FlaxLayer": "holds serialized functions",
}
_LOOKUPS: Final = frozenset(
    {"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization", "TextVectorizationV1"}
)
_OP_LAYERS: Final = frozenset({"TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"})
_FILE_OPS: Final = re.compile(
    r"(?:^|\.)(?:io|raw_ops|py_function|numpy_function|py_func|load_library|load_op_library|summary"
    r"|saved_model|train|print|eval)(?:\.|$)|ReadFile|WriteFile"
)
_MARKS: Final = (b'"Lambda"', b'\\"Lambda\\"', b"__lambda__", b"'Lambda'")
_SEARCHED: Final = 64 * limits.MIB
_PIECE: Final = limits.MIB


def is_keras_object(value: dict[str, Any]) -> bool:
    """Whether a JSON object is one that Keras makes something from."""
    name = value.get("class_name")
    return isinstance(name, str) and (
        _own_name(name) in _CODE or not value.keys().isdisjoint(_BESIDE_A_NAME)
    )


def judge_object(value: dict[str, Any], rules: Rules, *, where: str) -> Iterator[Hit]:
    """Judge one Keras object; what is inside it is the caller's to walk."""
    written = value["class_name"]
    name = _own_name(written)
    module = value.get("module")
    config = value.get("config")
    at = where or None
    if name in _BYTECODE:
        yield Hit("keras-lambda", Grade.MALICIOUS, "holds the bytecode of a function", at)
    elif name == "Lambda":
        yield _lambda(config, at)
    if name in _LOADERS:
        yield Hit("keras-loader", Grade.SUSPICIOUS, f"layer {name} {_LOADERS[name]}", at)
    if name in _LOOKUPS and isinstance(config, dict):
        yield from _vocabulary(config, at)
    if name in _OP_LAYERS and isinstance(config, dict):
        yield from _operation(config, at)
    if module is not None:
        yield from _module(module, written, config, rules, at)
    elif "." in written:
        package, _, own = written.rpartition(".")
        yield from _module(package, own, config, rules, at)
    registered = value.get("registered_name") or written
    if isinstance(registered, str) and ">" in registered:
        message = f"needs the custom object {shown(registered)}"
        yield Hit("keras-custom-object", Grade.UNLISTED, message, at)


def _own_name(name: str) -> str:
    """``Lambda`` of ``Lambda``, ``keras.layers.Lambda`` and ``Package>Lambda``."""
    return re.split(r"[.>]", name)[-1]


def _lambda(config: Any, at: str | None) -> Hit:
    function = config.get("function") if isinstance(config, dict) else None
    if isinstance(function, str) or (
        isinstance(function, dict) and function.get("class_name") == "function"
    ):
        message = "a Lambda layer calls a function by its name"
        return Hit("keras-lambda", Grade.SUSPICIOUS, message, at)
    return Hit("keras-lambda", Grade.MALICIOUS, "a Lambda layer holds code", at)


def _vocabulary(config: dict[str, Any], at: str | None) -> Iterator[Hit]:
    vocabulary = config.get("vocabulary")
    if isinstance(vocabulary, str) and vocabulary:
        fault = path_fault(vocabulary)
        grade = fault[0] if fault else Grade.SUSPICIOUS
        message = f"reads a vocabulary from the file {shown(vocabulary)}"
        yield Hit("keras-file", grade, message, at)


def _operation(config: dict[str, Any], at: str | None) -> Iterator[Hit]:
    function = config.get("function")
    node = config.get("node_def")
    for text in (function, node):
        if isinstance(text, str) and _FILE_OPS.search(text):
            message = f"a layer calls {shown(text)}"
            yield Hit("keras-operation", Grade.MALICIOUS, message, at)


def _module(module: Any, name: str, config: Any, rules: Rules, at: str | None) -> Iterator[Hit]:
    """Check 2."""
    if not isinstance(module, str):
        yield Hit("keras-module", Grade.SUSPICIOUS, "names a module that is no text", at)
        return
    is_function = name == "function"
    called = config if is_function and isinstance(config, str) else name
    if _is_keras_object(module, called, is_function=is_function):
        return
    if module == "builtins" and called in _ACTIVATIONS:
        return
    if module.startswith("__"):
        module = module.strip("_") or "builtins"
    grade = judge_name(f"{module}.{called}", rules.allow)
    if grade is not Grade.CLEAN:
        message = f"makes {shown(called)} of the module {shown(module)}"
        yield Hit("keras-module", grade, message, at)


def _is_keras_object(module: str, called: str, *, is_function: bool) -> bool:
    """Whether this is a class, or a harmless function, in a module of Keras that holds objects of
    models. ``keras.models.load_model`` is in such a module, too, and is neither."""
    if is_dangerous(module, called):
        return False
    part = "" if module in _WHOLE_MODULES else None
    for prefix in _PREFIXES:
        if module.startswith(prefix) and part is None:
            part = module.removeprefix(prefix).partition(".")[0]
    if is_function:
        return part in _FUNCTION_MODULES or (part == "" and called in _ACTIVATIONS)
    return part is not None and (not part or part in _OBJECT_MODULES) and called[:1].isupper()


# HDF5


def looks_like_hdf5(head: bytes, size: int, source: Source) -> bool:
    """Whether the signature is at one of the places where readers look for it."""
    return head.startswith(SIGNATURE) or find_superblock(source) is not None


def scan_hdf5(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan an HDF5 file, which may be a Keras model or its weights.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    configured = False
    with reading(hits, where):
        facts = parse_hdf5(source)
        hits += anomalies(facts.anomalies, "hdf5", where)
        for kind, name in facts.external:
            message = f"takes {kind} from another file {shown(name)}"
            hits.append(Hit("hdf5-external", Grade.MALICIOUS, message, where or None))
        for text in facts.unread:
            message = f"has {text}, which is not read"
            hits.append(Hit("hdf5-unread", Grade.UNSCANNABLE, message, where or None))
        for name in ("model_config", "training_config"):
            if name in facts.attributes:
                configured = True
                hits += _attribute(facts.attributes[name], name, rules, where)
    if any(hit.grade is Grade.UNSCANNABLE for hit in hits):
        hits += _search(source, where, Grade.MALICIOUS)
    elif not configured:
        hits += _search(source, where, Grade.SUSPICIOUS)
    return hits


def _attribute(value: bytes | None, name: str, rules: Rules, where: str) -> list[Hit]:
    at = place(where, name)
    if value is None:
        return [Hit("hdf5-unread", Grade.UNSCANNABLE, f"{name} is no text", where or None)]
    return judge_json(value, rules, where=at)


def judge_json(data: bytes, rules: Rules, *, where: str) -> list[Hit]:
    """Judge the JSON text of a Keras model or object."""
    hits: list[Hit] = []
    with reading(hits, where):
        most = limits.MAX_KERAS_CONFIG_BYTES
        value = jsonstrict.loads(data, what="Keras configuration", max_bytes=most)
        hits += judge_tree(value, rules, where=where)
    return hits


def judge_tree(value: Any, rules: Rules, *, where: str) -> list[Hit]:
    """Judge every Keras object inside plain data; each distinct hit once."""
    hits: dict[Hit, None] = {}
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            if is_keras_object(one):
                hits.update(dict.fromkeys(judge_object(one, rules, where=where)))
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
    return list(hits)


def _search(source: Source, where: str, grade: Grade) -> list[Hit]:
    """Look for Lambda layers in a file that was not understood, or that keeps a model where Keras
    does not look. Finding none proves nothing."""
    kept = b""
    try:
        for offset in range(0, min(source.size, _SEARCHED), _PIECE):
            piece = kept + source.read(offset, min(_PIECE, source.size - offset))
            if any(mark in piece for mark in _MARKS):
                message = "has the marks of a Lambda layer"
                return [Hit("keras-lambda", grade, message, where or None)]
            kept = piece[-16:]
    except (MalformedInput, Unsupported):  # the hits say already that it is unscannable
        return []
    return []
