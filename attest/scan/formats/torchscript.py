"""TorchScript sources: the ``code/*.py`` of an archive that ``torch.jit.load`` runs.

The language is a subset of Python whose only way out are operators. Operators that read or write
files, or call other processes, are ``malicious``; operator libraries that torch does not ship are
``unlisted``; what the language does not have (imports, ``eval``) is ``suspicious``.

The text is not parsed: names are found after texts and comments were blanked, in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from attest import limits
from attest.codec.reader import BytesSource, Source
from attest.errors import MalformedInput, TooLarge
from attest.scan.formats.common import reading, shown
from attest.scan.grades import Grade, Hit, Rules

_TEXT_OR_COMMENT: Final = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*+(?:""")?|"(?:[^"\\\n]|\\.)*+"?'
    r"|'(?:[^'\\\n]|\\.)*+'?|#[^\n]*",
    re.DOTALL,
)
"""Possessive, and the closing quotes are optional: nothing is read twice."""

_SPACE: Final = r"[\s\\]*+"
_NAME: Final = re.compile(rf"[A-Za-z_]\w*+(?:{_SPACE}\.{_SPACE}[A-Za-z_]\w*+)*", re.ASCII)
"""Names may go over several lines: inside brackets, or behind a backslash."""

_GETATTR: Final = re.compile(rf"\bgetattr{_SPACE}\({_SPACE}(?:torch|ops|__torch__)\b", re.ASCII)
_PYTHON_OP: Final = re.compile(r"(?:^|[=(,:\[])[ \t]*\^[ \t]*[A-Za-z_]", re.MULTILINE)
_STATEMENT: Final = re.compile(r"^[ \t]*(?:import|from)[ \t]+[A-Za-z_.]", re.MULTILINE)

_FILE_OPS: Final = frozenset(
    {"save", "_save", "load", "_load", "from_file", "_from_file", "read_file", "write_file",
     "load_library", "rpc_async", "rpc_sync", "rpc_remote", "open", "load_for_mobile",
     "save_parameters", "_save_parameters", "import_ir_module", "wait_for_debugger",
     "aoti_load_package", "_aoti_load_package"}
)  # fmt: skip
"""Operators and functions below ``torch`` or ``ops`` that reach files, processes or the network."""

_LIBRARIES: Final = frozenset(
    {"aten", "prim", "prims", "quantized", "_quantized", "quantized_decomposed", "prepacked",
     "sparse", "static_runtime", "mkldnn", "mkldnn_prepacked", "onednn", "torchvision", "profiler",
     "vulkan_prepack", "xnnpack"}
)  # fmt: skip
"""Operator libraries that come with torch and torchvision."""

_CLASSES: Final = ("__torch__.torch.classes.", "torch.classes.")
_KNOWN_CLASSES: Final = frozenset({"quantized", "sparse", "rnn", "xnnpack", "vulkan", "mkldnn"})
_FOREIGN_MODULES: Final = frozenset(
    {"builtins", "ctypes", "importlib", "marshal", "os", "pickle", "posix", "pty", "runpy",
     "shutil", "socket", "subprocess", "sys"}
)  # fmt: skip
_FOREIGN_CALLS: Final = frozenset(
    {"eval", "exec", "compile", "open", "__import__", "setattr", "globals", "breakpoint"}
)


def scan_torchscript(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan one source file of a TorchScript archive.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        if source.size > limits.MAX_SOURCE_BYTES:
            raise TooLarge(f"TorchScript source of {source.size} bytes")
        try:
            text = source.read(0, source.size).decode("utf-8")
        except UnicodeDecodeError:
            raise MalformedInput("TorchScript source is not UTF-8", code="not-utf8") from None
        hits += dict.fromkeys(_judge(text, where))
    return hits


def scan_torchscript_code(
    member_sources: Mapping[str, bytes], rules: Rules, *, where: str
) -> list[Hit]:
    """Scan several source files, by member name."""
    hits: list[Hit] = []
    for name, data in member_sources.items():
        at = f"{where}!{name}" if where else name
        hits += scan_torchscript(BytesSource(data), rules, where=at)
    return hits


def _judge(text: str, where: str) -> Iterator[Hit]:
    blank = _TEXT_OR_COMMENT.sub(lambda found: "" if found.group()[0] == "#" else '""', text)
    at = where or None
    for found in _NAME.finditer(blank):
        name = re.sub(r"[\s\\]", "", found.group())
        yield from _name(name, blank[found.end() : found.end() + 1] == "(", at)
    if _GETATTR.search(blank):
        message = "looks up an operator by a text"
        yield Hit("torchscript-python", Grade.SUSPICIOUS, message, at)
    if _PYTHON_OP.search(blank):
        yield Hit("torchscript-python", Grade.SUSPICIOUS, "calls an operator kept in Python", at)
    if _STATEMENT.search(blank):
        yield Hit("torchscript-python", Grade.SUSPICIOUS, "imports a Python module", at)


def _name(name: str, called: bool, at: str | None) -> Iterator[Hit]:
    root, _, rest = name.partition(".")
    last = name.rpartition(".")[2]
    if root in ("torch", "ops") and rest and last in _FILE_OPS:
        message = f"uses the operator {shown(name)}, which reaches files"
        yield Hit("torchscript-file-operator", Grade.MALICIOUS, message, at)
    elif root == "ops" or name.startswith("torch.ops."):
        library = name.removeprefix("torch.").split(".")[1:2]
        if library and library[0] not in _LIBRARIES:
            message = f"uses the operator {shown(name)} of another library"
            yield Hit("torchscript-library", Grade.UNLISTED, message, at)
    elif name.startswith(_CLASSES):
        library = name.partition("torch.classes.")[2].split(".")[:1]
        if library[0] not in _KNOWN_CLASSES:
            message = f"uses the class {shown(name)} of another library"
            yield Hit("torchscript-library", Grade.UNLISTED, message, at)
    elif called and root in _FOREIGN_MODULES and rest:
        message = f"calls {shown(name)} of a Python module"
        yield Hit("torchscript-python", Grade.SUSPICIOUS, message, at)
    elif called and name in _FOREIGN_CALLS:
        message = f"calls {shown(name)}, which TorchScript does not have"
        yield Hit("torchscript-python", Grade.SUSPICIOUS, message, at)
