"""Text that a loader may act on: JSON, YAML, chat templates, front matter.

What a text is goes by its content where that says so (JSON), and by its name where only the name
tells a loader (YAML, templates). A name never makes text *less* examined.
"""

from __future__ import annotations

import re
from typing import Final

from attest import limits
from attest.codec.reader import BytesSource, Source
from attest.scan.formats.configs import scan_json
from attest.scan.formats.templates import scan_template
from attest.scan.formats.tensorflow import may_be_text_graph, scan_text_graph
from attest.scan.formats.yamls import may_hold_tags, scan_yaml
from attest.scan.grades import Grade, Hit, Rules

_TEMPLATE_NAME: Final = re.compile(r"(?:.*\.(?:jinja2?|j2)|chat_template[^/]*(?<!\.json))")
_YAML_NAME: Final = re.compile(r".*\.ya?ml")
_RECORDS_NAME: Final = re.compile(r".*\.(?:jsonl|ndjson)")
_JSON_START: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?[ \t\r\n]*+(?:\Z|[\[{][ \t\r\n]*+(?:\Z|[\[\]{}\"0-9tfn-]))"
)
"""Where JSON begins, or may begin after what was looked at. ``[PAD]`` begins a vocabulary."""

_FRONT_MATTER: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?---[ \t]*\r?\n(.*?)\n---[ \t]*\r?(?:\n|\Z)", re.S
)


def scan_text(name: str, source: Source, rules: Rules, *, where: str) -> tuple[str, list[Hit]]:
    """Scan text, whatever it is.

    Args:
        name: of the file, for the rules that go by names.
        source: text in UTF-8, of any size.

    Returns:
        its format (``json``, ``yaml``, ``template``, ``text``), and the hits.

    Raises:
        Unavailable: the source cannot be read.
    """
    base = name.rsplit("/", 1)[-1].rsplit("!", 1)[-1].lower()
    head = source.read(0, min(4 * limits.KIB, source.size))
    if _TEMPLATE_NAME.fullmatch(base):
        return "template", scan_template(source, rules, where=where)
    if _YAML_NAME.fullmatch(base):
        return "yaml", scan_yaml(source, rules, where=where)
    if _RECORDS_NAME.fullmatch(base):
        return "json", []  # records of a data set: loaders read values and act on none
    if base.endswith(".pbtxt") and may_be_text_graph(source):
        return "tf-text", scan_text_graph(source, rules, where=where)
    if base.endswith(".json") or _JSON_START.match(head):
        return "json", scan_json(source, rules, where=where)
    return "text", _plain(source, rules, where)


def _plain(source: Source, rules: Rules, where: str) -> list[Hit]:
    """Front matter, and YAML under another name. Prose that only mentions a tag is not YAML."""
    if source.size > limits.MAX_YAML_BYTES:
        return []
    data = source.read(0, source.size)
    front = _FRONT_MATTER.match(data)
    hits = scan_yaml(BytesSource(front.group(1)), rules, where=where) if front else []
    if may_hold_tags(data):
        hits += scan_yaml(source, rules, where=where)
    return [hit for hit in hits if hit.grade is not Grade.UNSCANNABLE]
