"""YAML: tags and keys that make a loader construct or call something.

The stream of events is looked at, not what a safe loader would make of it: nobody knows which
loader will read the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from attest import limits
from attest.codec.reader import Source
from attest.codec.yamlstrict import YamlFacts, inspect
from attest.errors import TooLarge
from attest.scan.formats.common import place, reading, shown
from attest.scan.formats.configs import judge_target
from attest.scan.formats.names import judge_name
from attest.scan.grades import Grade, Hit, Rules

_CORE: Final = "tag:yaml.org,2002:"
_PLAIN: Final = frozenset(
    _CORE + name
    for name in (
        "binary", "bool", "float", "int", "map", "merge", "null", "omap", "pairs", "seq", "set",
        "str", "timestamp", "value",
    )
)  # fmt: skip
_HARMLESS_PYTHON: Final = frozenset(
    f"{_CORE}python/{name}"
    for name in ("tuple", "str", "unicode", "bool", "int", "long", "float", "complex", "none",
                 "list", "dict", "bytes")
)  # fmt: skip
_PYTHON: Final = re.compile(r"(?:tag:yaml\.org,2002:|!+)python[/|:]")
_FOREIGN: Final = re.compile(r"(?:tag:yaml\.org,2002:|!+)(?:ruby|java|javax|perl|php|js|lua|net)\W")
_HYPER: Final = re.compile(r"!(?:new|apply|name|module):(.*)", re.DOTALL)
_MARKS: Final = (b"!python", b"2002:python", b"!new:", b"!apply:", b"!module:", b"%TAG ")


def may_hold_tags(data: bytes) -> bool:
    """Whether text that is not called YAML has what would be a dangerous tag in it."""
    return any(mark in data for mark in _MARKS)


def scan_yaml(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a YAML file.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        if source.size > limits.MAX_YAML_BYTES:
            raise TooLarge(f"YAML of {source.size} bytes")
        facts = inspect(source.read(0, source.size))
        hits += dict.fromkeys(_judge(facts, rules, where))
    return hits


def _judge(facts: YamlFacts, rules: Rules, where: str) -> Iterator[Hit]:
    for line, tag in facts.tags:
        at = place(where, f"line {line}")
        if tag in _PLAIN or tag in _HARMLESS_PYTHON or tag == "!":
            continue
        named = _HYPER.fullmatch(tag)
        if _PYTHON.match(tag) or _FOREIGN.match(tag):
            yield Hit("yaml-tag", Grade.MALICIOUS, f"the tag {shown(tag)} makes an object", at)
        elif named:
            grade = judge_name(named.group(1), rules.allow)
            if grade is not Grade.CLEAN:
                yield Hit("yaml-tag", grade, f"the tag {shown(tag)} calls something", at)
        else:
            message = f"the tag {shown(tag)} needs a constructor of its own"
            yield Hit("yaml-tag", Grade.UNLISTED, message, at)
    for line, target in facts.targets:
        yield from judge_target(target, rules, place(where, f"line {line}"))
    for line, name in facts.classes:
        if judge_name(name, rules.allow) is Grade.MALICIOUS:
            message = f"names {shown(name)} where some loaders expect a class"
            yield Hit("yaml-class", Grade.MALICIOUS, message, place(where, f"line {line}"))
    if facts.expanded >= limits.MAX_YAML_EXPANSION:
        message = f"aliases make more than {limits.MAX_YAML_EXPANSION} nodes of it"
        yield Hit("yaml-alias-bomb", Grade.SUSPICIOUS, message, where or None)
