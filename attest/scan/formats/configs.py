"""JSON beside a model: configuration that makes a loader fetch, import or run something.

JSON itself is harmless, and most of it is data (vocabularies, indexes, data sets): it is parsed
only if one of the keys occurs that a loader acts on. Escaped spellings of the keys count. What has
such a key and cannot be parsed strictly (twice the same key, over a limit) is unscannable, because
another parser may see something in it.

=========================  =======================================================================
``auto_map``               transformers imports code of this repository, or with ``repo--`` of
                           another one, which no signature here covers
``trust_remote_code``      asks the loader to do so
``custom_pipelines``       code of this repository, likewise ``custom_pipeline`` of diffusers
``chat_template``          Jinja: :mod:`attest.scan.formats.templates`
``_attn_implementation``   with a slash: compiled kernels from the Hub
``parent_library``         PEFT imports the module
``model_index.json``       diffusers: library and class of every component
``modules.json``           sentence-transformers: class of every module
``_target_``               Hydra calls it
``class_name``             Keras: :mod:`attest.scan.formats.keras`
``py/object``, ...         jsonpickle makes objects of any class
=========================  =======================================================================
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from attest import limits
from attest.codec import jsonstrict
from attest.codec.reader import Source
from attest.errors import TooLarge
from attest.scan.formats.common import place, reading, shown
from attest.scan.formats.keras import is_keras_object, judge_object
from attest.scan.formats.names import judge_name
from attest.scan.formats.templates import judge_template
from attest.scan.grades import Grade, Hit, Rules

_KEYS: Final = re.compile(
    rb'"(?:auto_map|trust_remote_code|custom_pipelines?|chat_template|default_chat_template'
    rb"|_?attn_implementation(?:_internal)?|parent_library|_diffusers_version|_target_"
    rb'|class_name|idx|py/[a-z]+)"'
)
"""Keys in quotes. What follows is not looked at: white space without end fits before a colon."""

_ESCAPED: Final = re.compile(rb"\\u00([2-7][0-9a-fA-F])")
_TEMPLATE_KEYS: Final = frozenset({"chat_template", "default_chat_template"})
_PIPELINE_LIBRARIES: Final = frozenset(
    {"diffusers", "transformers", "onnxruntime", "optimum", "flax", "k_diffusion", "null"}
)
_PIPELINE_MODULES: Final = frozenset(
    {"stable_diffusion", "pipeline_utils", "schedulers", "deepfloyd_if", "kandinsky", "wuerstchen",
     "stable_cascade", "pixart_alpha", "latent_diffusion", "audioldm2", "blip_diffusion",
     "paint_by_example", "unidiffuser", "stable_diffusion_safe", "spectrogram_diffusion"}
)  # fmt: skip
"""Modules inside diffusers' pipelines that components are named after."""

_SENTENCE_MODULES: Final = ("sentence_transformers.",)
_PEFT_LIBRARIES: Final = frozenset({"transformers", "diffusers", "sentence_transformers", "torch"})
_PICKLE_KEYS: Final = re.compile(r"py/(?:object|reduce|function|type|repr|newargs|newobj|state)\w*")


def scan_json(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a JSON file of any size and purpose.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    if not _may_matter(source):
        if source.size <= limits.MAX_JSON_BYTES:
            with reading(hits, where):  # a loader would parse it, however deep it is
                data = source.read(0, source.size)
                jsonstrict.check_depth(data, "JSON", limits.MAX_SCAN_JSON_DEPTH)
        return hits
    with reading(hits, where):
        if source.size > limits.MAX_SCAN_JSON_BYTES:
            raise TooLarge(f"JSON of {source.size} bytes has keys that loaders act on")
        data = source.read(0, source.size).removeprefix(b"\xef\xbb\xbf")
        if data.count(b"[") + data.count(b"{") > limits.MAX_SCAN_JSON_NODES:
            raise TooLarge(f"JSON with more than {limits.MAX_SCAN_JSON_NODES} lists and objects")
        value = jsonstrict.loads(data, what="JSON", max_bytes=limits.MAX_SCAN_JSON_BYTES)
        hits += judge_config(value, rules, where=where)
    return hits


scan_config = scan_json
"""The name that the rules of ``config.json`` go by."""


def _may_matter(source: Source) -> bool:
    """Whether a key occurs that loaders act on. Read in pieces that overlap."""
    kept = b""
    for offset in range(0, source.size, limits.MIB):
        piece = kept + source.read(offset, min(limits.MIB, source.size - offset))
        if b"\\u00" in piece:
            piece = _ESCAPED.sub(lambda found: bytes.fromhex(found.group(1).decode()), piece)
        if b"\\/" in piece:
            piece = piece.replace(b"\\/", b"/")
        if _KEYS.search(piece):
            return True
        kept = piece[-256:]
    return False


def judge_config(value: Any, rules: Rules, *, where: str) -> list[Hit]:
    """Judge parsed JSON: every object in it, at any depth; each distinct hit once."""
    hits: dict[Hit, None] = {}
    if _templates_size(value) > limits.MAX_TEMPLATES_BYTES:
        message = f"has more than {limits.MAX_TEMPLATES_BYTES} bytes of chat templates"
        return [Hit("too-large", Grade.UNSCANNABLE, message, where or None)]
    if isinstance(value, dict) and "_diffusers_version" in value:
        hits.update(dict.fromkeys(_pipeline(value, rules, where)))
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            hits.update(dict.fromkeys(_object(one, rules, where)))
            waiting += [inner for inner in one.values() if isinstance(inner, dict | list)]
        elif isinstance(one, list):
            waiting += [inner for inner in one if isinstance(inner, dict | list)]
    return list(hits)


def _templates_size(value: Any) -> int:
    """Characters of text below every key that a template may stand under."""
    size = 0
    waiting = [(value, False)]
    while waiting:
        one, inside = waiting.pop()
        if isinstance(one, str):
            size += len(one) if inside else 0
        elif isinstance(one, dict):
            waiting += [(each, inside or key in _TEMPLATE_KEYS) for key, each in one.items()]
        elif isinstance(one, list):
            waiting += [(each, inside) for each in one]
    return size


def _object(value: dict[str, Any], rules: Rules, where: str) -> Iterator[Hit]:
    at = where or None
    if value.get("auto_map"):
        yield from _auto_map(value["auto_map"], where)
    if value.get("trust_remote_code") not in (None, False):
        message = "asks for code from the Hub to be trusted"
        yield Hit("trust-remote-code", Grade.SUSPICIOUS, message, at)
    for key in ("custom_pipeline", "custom_pipelines"):
        if value.get(key):
            message = f"{key} makes the loader run code of the repository"
            yield Hit("remote-code", Grade.SUSPICIOUS, message, at)
    for key in ("attn_implementation", "_attn_implementation", "_attn_implementation_internal"):
        if isinstance(value.get(key), str) and "/" in value[key]:
            message = f"{key} {shown(value[key])} loads compiled kernels from the Hub"
            yield Hit("remote-code", Grade.SUSPICIOUS, message, at)
    for key in sorted(_TEMPLATE_KEYS & value.keys()):
        yield from _templates(value[key], place(where, key))
    if "parent_library" in value:
        yield from _parent_library(value["parent_library"], rules, at)
    if isinstance(value.get("_target_"), str):
        yield from judge_target(value["_target_"], rules, at)
    if {"idx", "name", "path", "type"} <= value.keys():
        yield from _sentence_module(value["type"], rules, at)
    if is_keras_object(value):
        yield from judge_object(value, rules, where=where)
    for key in value:
        if key.startswith("py/") and _PICKLE_KEYS.fullmatch(key):
            message = f"has the jsonpickle key {shown(key)}"
            yield Hit("jsonpickle", Grade.SUSPICIOUS, message, at)


def _auto_map(value: Any, where: str) -> Iterator[Hit]:
    """``{"AutoModel": "module.Class"}``, or ``"repo--module.Class"``, or a list of such."""
    references: list[Any] = list(value.values()) if isinstance(value, dict) else [value]
    at = where or None
    for reference in references:
        for text in reference if isinstance(reference, list) else [reference]:
            if isinstance(text, str) and "--" in text:
                message = f"auto_map runs code of another repository: {shown(text)}"
                yield Hit("remote-code", Grade.MALICIOUS, message, at)
            elif text is not None:
                message = f"auto_map runs code of the repository: {shown(str(text))}"
                yield Hit("remote-code", Grade.SUSPICIOUS, message, at)


def _templates(value: Any, where: str) -> Iterator[Hit]:
    """A template, or a list of ``{"name", "template"}``, or an object of templates by name."""
    if value is None:
        return
    if isinstance(value, str):
        yield from judge_template(value, where=where)
    elif isinstance(value, dict):
        for name, template in value.items():
            yield from _templates(template, place(where, shown(name)))
    elif isinstance(value, list):
        for item in value:
            name = item.get("name") if isinstance(item, dict) else None
            template = item.get("template") if isinstance(item, dict) else None
            if not isinstance(template, str):
                message = "has a chat template of an unknown form"
                yield Hit("template-form", Grade.UNSCANNABLE, message, where)
            else:
                yield from judge_template(template, where=place(where, shown(str(name))))
    else:
        message = "has a chat template that is no text"
        yield Hit("template-form", Grade.UNSCANNABLE, message, where)


def judge_target(target: str, rules: Rules, at: str | None) -> Iterator[Hit]:
    """What Hydra's ``instantiate`` would call."""
    grade = judge_name(target, rules.allow)
    if grade is not Grade.CLEAN:
        yield Hit("hydra-target", grade, f"_target_ calls {shown(target)}", at)


def _parent_library(value: Any, rules: Rules, at: str | None) -> Iterator[Hit]:
    if value is None:
        return
    if not isinstance(value, str):
        yield Hit("import", Grade.SUSPICIOUS, "parent_library is no text", at)
    elif value.partition(".")[0] not in _PEFT_LIBRARIES:
        grade = judge_name(f"{value}.x", rules.allow)
        message = f"parent_library imports the module {shown(value)}"
        yield Hit("import", grade, message, at)


def _sentence_module(value: Any, rules: Rules, at: str | None) -> Iterator[Hit]:
    if not isinstance(value, str) or value.startswith(_SENTENCE_MODULES):
        return
    grade = judge_name(value, rules.allow) if "." in value else Grade.UNLISTED
    message = f"sentence-transformers would load the class {shown(value)}"
    if grade is not Grade.CLEAN:
        yield Hit("remote-code", grade, message, at)


def _pipeline(value: dict[str, Any], rules: Rules, where: str) -> Iterator[Hit]:
    """``model_index.json``: ``"unet": ["diffusers", "UNet2DConditionModel"]``."""
    at = where or None
    if not isinstance(value.get("_class_name", ""), str):
        message = "the pipeline's class is code of the repository"
        yield Hit("remote-code", Grade.SUSPICIOUS, message, at)
    for name, component in value.items():
        if name.startswith("_") or not isinstance(component, list) or len(component) != 2:
            continue
        library = component[0]
        if not isinstance(library, str) or not isinstance(component[1], str):
            continue
        root = library.partition(".")[0]
        if root not in _PIPELINE_LIBRARIES and library not in _PIPELINE_MODULES:
            message = f"component {shown(name)} is code of the module {shown(library)}"
            yield Hit("remote-code", Grade.SUSPICIOUS, message, at)
