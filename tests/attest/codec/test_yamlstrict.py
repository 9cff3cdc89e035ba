"""YAML: plain data only, and tags found whatever they are for."""

from __future__ import annotations

import time

import pytest

from attest import limits
from attest.codec import yamlstrict
from attest.codec.yamlstrict import front_matter, inspect, load, split_front_matter, tags
from attest.errors import MalformedInput, TooLarge, Truncated


def plain(text):
    return load(text if isinstance(text, bytes) else text.encode(), what="x")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1", {"a": 1}),
        ("a: [1, -2, +3, 0x1F, 0o17, 007]", {"a": [1, -2, 3, 31, 15, 7]}),
        ("a: [1.5, .5, 1e3, -1.]", {"a": [1.5, 0.5, 1000.0, -1.0]}),
        ("a: [true, False, null, ~, ]", {"a": [True, False, None, None]}),
        ("a:", {"a": None}),
        ("- a\n- {b: c}", ["a", {"b": "c"}]),
        ("a: |\n  b\n  c\n", {"a": "b\nc\n"}),
        ("a: 'null'", {"a": "null"}),
        ("a: !!str 5", {"a": "5"}),
        ("a: ! 5", {"a": "5"}),
        ("a: !!int '5'", {"a": 5}),
        ("a: !!float 5", {"a": 5}),
        ("a: !!map {}", {"a": {}}),
        ("1: a", {"1": "a"}),
        ("null: a", {"null": "a"}),
        ("\ufeffa: b", {"a": "b"}),
        ("", None),
        ("text", "text"),
        # YAML 1.1 would read a boolean, a number in base 60, a date, a number, a merge
        ("a: no", {"a": "no"}),
        ("a: 12:30:00", {"a": "12:30:00"}),
        ("a: 2026-11-20", {"a": "2026-11-20"}),
        ("a: 1_000", {"a": "1_000"}),
        ("a: 0b11", {"a": "0b11"}),
        ("a: .inf", {"a": ".inf"}),
        ("a: .nan", {"a": ".nan"}),
        ("a: 1e999", {"a": "1e999"}),
        ("a: " + "9" * 40, {"a": 1e40}),
        ("a: ٣", {"a": "٣"}),
    ],
)
def test_plain_data(text, value):
    assert plain(text) == value
    assert repr(plain(text)) == repr(value)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: 1\na: 2", "duplicate-key"),
        ("{a: 1, 'a': 2}", "duplicate-key"),
        ("a: &x 1", "yaml-alias"),
        ("a: &x [1]\nb: *x", "yaml-alias"),
        ("a: *x", "yaml-alias"),
        ("&x a: 1", "yaml-alias"),
        ("a: 1\n---\nb: 2", "several-documents"),
        ("? [a]\n: b", "yaml-key"),
        ("? {a: b}\n: c", "yaml-key"),
        ("a: !!python/object/apply:os.system [x]", "yaml-tag"),
        ("a: !!python/name:os.system ''", "yaml-tag"),
        ("a: !foo b", "yaml-tag"),
        ("a: !!binary aGk=", "yaml-tag"),
        ("a: !!timestamp 2026-11-20", "yaml-tag"),
        ("a: !!set {b}", "yaml-tag"),
        ("!!omap []", "yaml-tag"),
        ("a: !!int x", "yaml-tag"),
        ("a: !!int true", "yaml-tag"),
        ("!!python/name:x a: 1", "yaml-tag"),
        ("a: [", "malformed-yaml"),
        ("a: b: c", "malformed-yaml"),
        ("a: '", "malformed-yaml"),
        ("\ta: 1", "malformed-yaml"),
        ("a: \x00", "malformed-yaml"),
        (b"a: \xff", "not-utf8"),
        ("a: b".encode("utf-16"), "not-utf8"),
    ],
)
def test_refused(text, code):
    with pytest.raises(MalformedInput) as refused:
        plain(text)
    assert refused.value.code == code


BOMB = "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9)
)


def test_billion_laughs():
    text = "a: &a [x]\n" + BOMB
    with pytest.raises(MalformedInput) as refused:
        plain(text)
    assert refused.value.code == "yaml-alias"
    assert inspect(text.encode()).expanded == limits.MAX_YAML_EXPANSION


def test_aliases_that_are_few():
    assert inspect(b"a: &a [1, 2]\nb: *a\nc: *a").expanded == 13


def test_an_alias_to_itself():
    assert inspect(b"a: &a [*a]").documents == 1


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"- ", b"? "])
def test_nesting(opening):
    for read in (inspect, plain):
        begin = time.process_time()
        with pytest.raises(MalformedInput) as refused:
            read(opening * 100_000)
        assert refused.value.code in ("nested-too-deep", "yaml-key")
        assert time.process_time() - begin < 10


def test_too_large():
    with pytest.raises(TooLarge):
        inspect(b"#" * (limits.MAX_YAML_BYTES + 1))


def test_too_many_nodes(monkeypatch):
    monkeypatch.setattr(limits, "MAX_YAML_EVENTS", 100)
    with pytest.raises(TooLarge):
        inspect(b"[" + b"a," * 200 + b"]")


@pytest.mark.parametrize(
    "text", ["%TAG !a! b\n" * 100 + "---\na", "%TAG ! " + "x" * 1000 + "\n---\n!a b"]
)
def test_directives_are_few_and_short(text):
    with pytest.raises(TooLarge):
        inspect(text.encode())


def test_too_many_tags(monkeypatch):
    monkeypatch.setattr(yamlstrict, "_MAX_TAGS", 3)
    with pytest.raises(TooLarge):
        inspect(b"[!a b, !a b, !a b, !a b]")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: !!python/object/apply:os.system [x]", ["python/object/apply:os.system"]),
        ("a: !!python/name:os.system ''", ["python/name:os.system"]),
        ("!!python/object:x.Y {}", ["python/object:x.Y"]),
        ("- !<tag:yaml.org,2002:python/module:os> ''", ["python/module:os"]),
        ("%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!name:x ''", ["python/name:x"]),
        ("%TAG ! tag:yaml.org,2002:python/\n---\na: !name:x ''", ["python/name:x"]),
        ("a: b\n---\n!!python/tuple [c]", ["python/tuple"]),
        ("!!python/none\n? !!python/name:x ''\n: b", ["python/none", "python/name:x"]),
        ("a: !!py%74hon/name:x ''", ["python/name:x"]),
    ],
)
def test_tags(text, found):
    core = "tag:yaml.org,2002:"
    assert [tag.removeprefix(core) for _, tag in tags(text.encode())] == found


def test_tags_have_lines():
    assert tags(b"a: 1\nb: !x 2") == [(2, "!x")]


def test_tags_in_text_and_comments_are_none():
    assert tags(b"a: '!!python/name:x'\n# !!python/name:x\nb: |\n  !!python/name:x\n") == []


def test_targets():
    facts = inspect(b"a: {_target_: os.system, b: [_target_, {c: _target_}]}\n_target_: x.y")
    assert facts.targets == ((1, "os.system"), (2, "x.y"))


@pytest.mark.parametrize(
    ("readme", "value", "body"),
    [
        (b"---\nlicense: mit\n---\n# Hi", {"license": "mit"}, b"# Hi"),
        (b"---\r\nlicense: mit\r\n---\r\n# Hi", {"license": "mit"}, b"# Hi"),
        (b"\xef\xbb\xbf---\na: b\n---\nx", {"a": "b"}, b"x"),
        (b"---  \na: b\n---", {"a": "b"}, b""),
        (b"---\n---\nx", {}, b"x"),
        (b"---\n\n---\nx", {}, b"x"),
        (b"# Hi", {}, b"# Hi"),
        (b"", {}, b""),
        (b"----\na: b\n---\n", {}, b"----\na: b\n---\n"),
        (b"x\n---\na: b\n---\n", {}, b"x\n---\na: b\n---\n"),
        (b"---\na: |\n  ---\nb: c\n---\nx", {"a": "---\n", "b": "c"}, b"x"),
    ],
)
def test_front_matter(readme, value, body):
    assert front_matter(readme) == value
    assert readme[split_front_matter(readme)[1] :] == body


@pytest.mark.parametrize(
    ("readme", "kind"),
    [
        (b"---\na: b\n", Truncated),
        (b"---\n", Truncated),
        (b"---\n- a\n---\n", MalformedInput),
        (b"---\na: !!python/name:x ''\n---\n", MalformedInput),
        (b"---\na: &x b\nc: *x\n---\n", MalformedInput),
        (b"---\n" + b"#" * (1 << 20) + b"\n---\n", TooLarge),
    ],
)
def test_bad_front_matter(readme, kind):
    with pytest.raises(kind):
        front_matter(readme)
