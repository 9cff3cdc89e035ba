"""Chat templates: programs in Jinja that decide what a model is told, named by their digests.

They stand in a tokenizer's or processor's configuration, in files of their own, and in GGUF
metadata. What is in them is for the scanner; here each is only identified.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Final

from attest import limits
from attest.bom.components import clean_text
from attest.bom.dataset import Observation

TEMPLATE_HOLDERS: Final = (
    "tokenizer_config.json",
    "chat_template.json",
    "processor_config.json",
)
"""JSON files with a member ``chat_template``."""

_FILE: Final = re.compile(r"(?:chat_template|additional_chat_templates/[^/]+)\.jinja")


@dataclass(frozen=True, slots=True)
class Template:
    """A chat template.

    Attributes:
        name: ``default``, or as its file calls it.
        where: file, and after ``#`` the place in it.
        sha256: of its text in UTF-8, hexadecimal.
    """

    name: str
    where: str
    sha256: str


def make_template(name: str, text: str, where: str) -> Template:
    """A template by its text. ``name`` may be anything."""
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
    return Template(clean_text(name, limits.MAX_NAME_BYTES) or "unnamed", where, digest)


def is_template_file(name: str) -> bool:
    """Whether a file of a model is a template by itself."""
    return _FILE.fullmatch(name) is not None


def template_file(name: str, data: bytes) -> Template:
    """The template that a file is."""
    short = name.rpartition("/")[2].removesuffix(".jinja")
    label = "default" if short == "chat_template" else short
    return Template(label, name, hashlib.sha256(data).hexdigest())


def templates_in(told: Any, where: str) -> tuple[list[Template], list[Observation]]:
    """The templates in a member ``chat_template``: one text, or a list of named ones."""
    if told is None:
        return [], []
    if isinstance(told, str):
        return [make_template("default", told, where)], []
    found, odd = [], []
    for each in told[: limits.MAX_LISTED] if isinstance(told, list) else [told]:
        text = each.get("template") if isinstance(each, dict) else None
        if isinstance(text, str):
            name = each.get("name")
            found.append(make_template(name if isinstance(name, str) else "", text, where))
        else:
            odd.append(Observation("unexpected-type", where, "holds what is no template"))
    return found, odd
