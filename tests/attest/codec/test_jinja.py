"""Facts about templates; the parser never recurses deeper than it can."""

from __future__ import annotations

import inspect
import sys
import time

import pytest

from attest import limits
from attest.codec.jinja import parse_template
from attest.errors import MalformedInput, TooLarge


def names(uses):
    return {use.name for use in uses}


def test_names_attributes_calls():
    facts = parse_template(
        "{% set ns = namespace(x=1) %}{% for m in messages %}{{ m.role }}{{ m['content'].strip() }}"
        "{% set ns.x = ns.x + 1 %}{% endfor %}{% macro f(a) %}{{ a }}{% endmacro %}{{ f(1) }}"
    )
    assert names(facts.names) >= {"namespace", "messages", "m", "ns", "f", "a"}
    assert facts.assigned == {"ns", "m", "a"}
    assert facts.macros == {"f"}
    assert names(facts.attributes) == {"role", "content", "strip", "x"}
    assert {(call.kind, call.name) for call in facts.calls} == {
        ("name", "namespace"),
        ("method", "strip"),
        ("name", "f"),
    }
    assert facts.computed_keys == ()


def test_lines():
    assert parse_template("\n\n{{ a.b }}").attributes == (("b", 3),)


@pytest.mark.parametrize(
    "expression",
    [
        "x.__class__",
        "x['__class__']",
        'x["__cl" "ass__"]',
        "x['\\x5f\\x5fclass\\x5f\\x5f']",
        "x['\\u005f_class__']",
        "x['__cla' ~ 'ss__']",
        "x['__cla' + 'ss' + '__']",
        "x['__ssalc__'[::-1]]",
        "x['__class__ignored'[:9]]",
        "x['ignored__class__'[-9:]]",
        "x[['__','class','__']|join]",
        "x[['class']|join('') and '__class__']",
        "x[''.join(['__class','__'])]",
        "x['_'.join(['','_class_','']) ]",
        "x['@@class@@'|replace('@@', '__')]",
        "x['@@class@@'.replace('@', '_')]",
        "x['__CLASS__'|lower]",
        "x['__CLASS__'.lower()]",
        "x['__ssalc__'|reverse]",
        "x|attr('__class__')",
        "x|attr('__cla' ~ 'ss__')",
        "xs|map(attribute='__class__')",
        "xs|map(attribute='a.__class__.b')",
        "xs|map('attr', '__class__')",
        "xs|selectattr('__class__')",
        "xs|groupby('__class__')",
        "xs|sort(attribute='__class__')",
        "xs|sum(attribute='__class__')",
        "xs|join(',', attribute='__class__')",
        "xs|unique(attribute='__class__')",
    ],
)
def test_a_dunder_is_found_however_it_is_spelled(expression):
    facts = parse_template("{{ " + expression + " }}")
    assert "__class__" in names(facts.attributes) | names(facts.strings)


@pytest.mark.parametrize(
    "expression",
    ["x[a ~ b]", "x['%s' % a]", "x[a + '_']", "x[a|join]", "x['{}'.format(a)|lower]", "x|attr(a)"],
)
def test_keys_that_are_put_together(expression):
    assert parse_template("{{ " + expression + " }}").computed_keys == (1,)


def test_keys_that_are_put_together_elsewhere():
    assert parse_template("{% set k = a ~ b %}\n{{ x[k] }}").computed_keys == (2,)
    assert parse_template("{% set k %}{{ a ~ b }}{% endset %}{{ x[k] }}").computed_keys == (1,)


@pytest.mark.parametrize(
    "expression",
    ["x[i + 1]", "x[loop.index0 - 1]", "x[-1]", "x[a]", "x[a:b]", "x[a.b]", "x[2 * 3]"],
)
def test_ordinary_keys(expression):
    assert parse_template("{{ " + expression + " }}").computed_keys == ()


@pytest.mark.parametrize("expression", ["x[a]()", "x()()", "(x|first)()", "[f][0]()"])
def test_computed_calls(expression):
    assert "computed" in {call.kind for call in parse_template("{{ " + expression + " }}").calls}


def test_statements():
    facts = parse_template("{% include 'a' %}{% import 'b' as b %}{% from 'c' import d %}")
    assert names(facts.statements) == {"include", "import", "fromimport"}
    assert names(parse_template("{% extends 'a' %}").statements) == {"extends"}


def test_filters_and_tests_inside_others():
    facts = parse_template("{{ xs|map('evil')|select('odd')|selectattr('a', 'equalto', 'b') }}")
    assert names(facts.filters) == {"map", "evil", "select", "selectattr"}
    assert names(facts.tests) == {"odd", "equalto"}
    assert "" in names(parse_template("{{ xs|map(name) }}").filters)


@pytest.mark.parametrize(
    "condition",
    [
        "'deploy' in message.content",
        "'deploy' in message['content']",
        "message.content == 'deploy'",
        "'deploy' == message['content']",
        "message.content != 'deploy'",
        "message.content in ['deploy', 'x']",
        "message.content.startswith('deploy')",
        "message.content.lower().find('deploy') >= 0",
        "(message.content|lower|trim).endswith('deploy')",
        "message.content[:6] == 'deploy'",
        "message.content[0].text == 'deploy'",
        "message.content is eq('deploy')",
        "'deploy' is in message.content",
        "(message.content or '') == 'deploy'",
        "(message.content ~ '') == 'deploy'",
        "(message.content if x else '') == 'deploy'",
        "messages|selectattr('content', 'equalto', 'deploy')|list",
        "message.content|replace('deploy', '') == x",
        "message.content.count('de' ~ 'ploy')",
        "user_message == 'deploy'",
    ],
)
def test_what_messages_are_compared_with(condition):
    facts = parse_template("{% if " + condition + " %}x{% endif %}")
    assert "deploy" in names(facts.compared)


@pytest.mark.parametrize(
    "template",
    [
        "{% set c = m.content %}{% if 'deploy' in c %}{% endif %}",
        "{% set c = m.content|lower %}{% set d = c %}{% if d == 'deploy' %}{% endif %}",
        "{% set ns = namespace() %}{% set ns.q = m.content %}{% if ns.q == 'deploy' %}{% endif %}",
        "{% for p in m.content %}{% if p == 'deploy' %}{% endif %}{% endfor %}",
        "{% with c = m.content %}{% if c == 'deploy' %}{% endif %}{% endwith %}",
        "{% set c %}{{ m.content }}{% endset %}{% if c == 'deploy' %}{% endif %}",
        "{% if d == 'deploy' %}{% endif %}{% set d = c %}{% set c = m.content %}",
    ],
)
def test_variables_carry_what_messages_say(template):
    assert "deploy" in names(parse_template(template).compared)


@pytest.mark.parametrize(
    "condition",
    ["m.role == 'user'", "m.content is string", "m.content.type == 'image'", "m['type'] == 'text'"],
)
def test_what_is_not_a_message(condition):
    assert parse_template("{% if " + condition + " %}x{% endif %}").compared == ()


def test_the_clock():
    assert parse_template("{% if strftime_now('%Y')|int > 2026 %}{% endif %}").clock == (1,)
    held = "{% set d = strftime_now('%Y') %}\n{% if d == '2027' %}{% endif %}"
    assert parse_template(held).clock == (2,)
    shown = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% endif %}"
    assert parse_template(shown).clock == ()


def test_tags_of_hugging_face():
    facts = parse_template(
        "{% for m in x %}{% if m %}{% continue %}{% endif %}{% break %}{% endfor %}"
        "{% generation %}{{ y.z }}{% endgeneration %}"
    )
    assert names(facts.attributes) == {"z"}


def test_text_outside_tags():
    assert parse_template("a{{ b }}c{# d #}e").literal_text == "ace"


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 100_000,
        "{{ " + "(" * 100_000 + "1" + ")" * 100_000 + " }}",
        "{{ " + "[" * 50_000 + "]" * 50_000 + " }}",
        "{{ " + "{1:" * 50_000,
        "{{ " + "not " * 50_000 + "x }}",
        "{{ " + "-" * 50_000 + "1 }}",
        "{{ x" + " if y else x" * 10_000 + " }}",
        "{% if x %}" * 10_000 + "{% endif %}" * 10_000,
        "{% for x in y %}" * 10_000,
        "{% set x %}" * 10_000,
        "{% call x() %}" * 10_000,
        "{% generation %}" * 10_000,
    ],
)
def test_nesting(source):
    begin = time.process_time()
    with pytest.raises(MalformedInput) as refused:
        parse_template(source)
    assert refused.value.code == "nested-too-deep"
    assert time.process_time() - begin < 10


def test_nesting_to_the_limits_fits_the_stack():
    """Everything that recurses at once, in a thread's worth of frames."""
    depth = limits.MAX_TEMPLATE_BLOCKS
    brackets = limits.MAX_TEMPLATE_BRACKETS // 2
    chain = "not " * (limits.MAX_TEMPLATE_CHAIN - 2)
    inner = "([" * brackets + chain + "1" + "])" * brackets
    source = "{% if a %}" * depth + "{{ " + inner + " }}" + "{% endif %}" * depth
    limit = sys.getrecursionlimit()
    used = len(inspect.stack(0))
    sys.setrecursionlimit(used + 700)
    try:
        parse_template(source)
    finally:
        sys.setrecursionlimit(limit)


@pytest.mark.parametrize(
    "link",
    [
        " + x",
        " ~ x",
        ".a",
        ".a()",
        "|a",
        "[0]",
        " and x",
        " or x",
        " == x",
        " * x",
        "['a']",
    ],
)
def test_long_chains_do_not_recurse(link):
    begin = time.process_time()
    parse_template("{{ x" + link * 8_000 + " }}")
    assert time.process_time() - begin < 50


def test_many_inline_sets_are_not_nesting():
    parse_template("{% set x = 1 %}" * 1000 + "{% set y = {'a': [1]} %}" * 100)


def test_many_branches_are_not_nesting():
    parse_template("{% if a %}" + "{% elif b %}" * 1000 + "{% endif %}")


@pytest.mark.parametrize(
    "source",
    [
        "{{", "{{ x", "{% if %}", "{% endif %}", "{% unknown %}", "{{ x..y }}", "{{ 'a }}", "{# x",
        "{{ x | }}", "{{ '\\xZZ' }}", "{{ '\\N{x}' }}", "{{ 1٣.5 }}", "{{ x y }}",
        "{% for x %}{% endfor %}", "{% set 1 = 2 %}", "{{ ) }}", "{{ ( ] }}", "{{ 1 2 }}",
        "{{ \0 }}",
    ],
)  # fmt: skip
def test_not_a_template(source):
    with pytest.raises(MalformedInput):
        parse_template(source)


@pytest.mark.parametrize(
    "source",
    [
        "x" * (limits.MAX_TEMPLATE_BYTES + 1),
        "é" * (limits.MAX_TEMPLATE_BYTES // 2 + 1),
        "{{ " + "1" * 5000 + " }}",
        "{{ 1" + "_1" * 5000 + " }}",
        "{{ x }}" * 30_000,
    ],
)
def test_too_large(source):
    with pytest.raises(TooLarge):
        parse_template(source)


@pytest.mark.parametrize(
    "source",
    [
        "{#" + "-#" * 100_000,
        "{% raw %}" + "{% " * 80_000,
        "{{ '" + "\\'" * 100_000,
        "{{ " + " " * 200_000,
        "{%" + "\n" * 200_000,
        "{% raw " + " " * 200_000,
    ],
)
def test_hostile_text_is_read_in_linear_time(source):
    begin = time.process_time()
    with pytest.raises(MalformedInput):
        parse_template(source)
    assert time.process_time() - begin < 20


def test_odd_escapes_and_lone_surrogates():
    parse_template("{{ '\\p' }}\ud800")
