"""Chat templates: the usual ones are clean, and what is not usual is told."""

from __future__ import annotations

import pytest

from attest.codec.reader import BytesSource
from attest.scan.allowlist import builtin_allow_list
from attest.scan.formats.templates import is_trigger, judge_template, scan_template
from attest.scan.grades import Grade, Rules, worst

RULES = Rules(builtin_allow_list())


def grade(template):
    return worst([Grade.CLEAN, *(hit.grade for hit in judge_template(template, where="t"))])


def codes(template):
    return {hit.code for hit in judge_template(template, where="t")}


CHATML = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}"
    "{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA_3 = """
{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}{%- set system_message = "" %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n"}}
{%- endif %}
{{- "Today Date: " + date_string + "\\n\\n" }}
{%- for t in tools %}{{- t | tojson(indent=4) }}{%- endfor %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'
            + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls|length == 1 %}
            {{- raise_exception("This model only supports single tool-calls at once!") }}
        {%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' + arg_val + '"' }}{%- if not loop.last %}{{- ", " }}{%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" or message.role == "ipython" %}
        {%- if message.content is mapping or message.content is iterable %}
            {{- message.content | tojson }}
        {%- else %}{{- message.content }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}
"""
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}"
    "{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}"
    "{% endfor %}"
)
QWEN_TOOLS = """
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools>{\\"name\\": <function-name>}<|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string
          and not(message.content.startswith('<tool_response>')
                  and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}
    {%- else %}{%- set content = '' %}{%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}
            {%- set reasoning_content = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n')
                .split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '{"name": "' }}{{- tool_call.name }}
            {%- if tool_call.arguments is string %}{{- tool_call.arguments }}
            {%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- 'x' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>' }}{%- endif %}
"""
GEMMA = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}"
    "{% else %}{% set role = message['role'] %}{% endif %}"
    "{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)
PHI_3 = (
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}"
    "{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}"
    "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)
DEEPSEEK = (
    "{% if not add_generation_prompt is defined %}"
    "{% set add_generation_prompt = false %}{% endif %}"
    "{% set ns = namespace(is_first=false, is_tool=false, system_prompt='') %}"
    "{%- for message in messages %}{%- if message['role'] == 'system' %}"
    "{% set ns.system_prompt = message['content'] %}{%- endif %}{%- endfor %}"
    "{{bos_token}}{{ns.system_prompt}}{%- for message in messages %}"
    "{%- if message['role'] == 'assistant' and message['content'] is not none %}"
    "{% set content = message['content'] %}{% if '</think>' in content %}"
    "{% set content = content.split('</think>')[-1] %}{% endif %}"
    "{{'<｜Assistant｜>' + content + '<｜end▁of▁sentence｜>'}}{%- endif %}{%- endfor -%}"
)
VISION = (
    "{% set image_count = namespace(value=0) %}{% for message in messages %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    "{% set image_count.value = image_count.value + 1 %}<|vision_start|>"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}{% endfor %}{% endif %}"
    "{% endfor %}"
)
MACROS = (
    "{%- macro render(x) -%}{%- if x is mapping -%}{%- for k, v in x|dictsort -%}"
    "{{ k }}: {{ render(v) }}{%- endfor -%}{%- else -%}{{ x }}{%- endif -%}{%- endmacro -%}"
    "{% for tool in tools|selectattr('type', 'equalto', 'function')|list %}{{ render(tool) }}"
    "{% generation %}{{ tool.name|upper }}{% endgeneration %}{% endfor %}"
    "{{ 'Take {} steps'.format(3) }}"
)

USUAL = {
    "ChatML": CHATML,
    "Llama 3": LLAMA_3,
    "Mistral": MISTRAL,
    "Qwen with tools": QWEN_TOOLS,
    "Gemma": GEMMA,
    "Phi-3": PHI_3,
    "DeepSeek": DEEPSEEK,
    "vision": VISION,
    "macros": MACROS,
    "no tags": "hello",
    "empty": "",
}


@pytest.mark.parametrize("name", USUAL)
def test_usual_templates_are_clean(name):
    assert judge_template(USUAL[name], where="t") == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ lipsum.__globals__['os'] }}",
        "{{ self.__init__ }}",
        "{{ x|attr('__class__') }}",
        "{{ x|attr('\\x5f\\x5fclass\\x5f\\x5f') }}",
        "{{ x['__cla' ~ 'ss__'] }}",
        "{{ x['__ssalc__'[::-1]] }}",
        "{{ xs|map(attribute='__class__')|list }}",
        "{{ [m]|map('attr', '__init__')|list }}",
        "{% set k = '__class__' %}{{ x[k] }}",
        "{{ '{0.__class__}'.format(x) }}",
        "{{ x.mro() }}",
        "{{ x.gi_frame.f_globals }}",
        "{{ x.f_builtins }}",
        "{{ x.subprocess }}",
        "{{ config.popen('id') }}",
        "{{ x.eval('1') }}",
        "{{ open('/etc/passwd') }}",
        "{{ x['\uff3f\uff3fclass\uff3f\uff3f'] }}",
        "{% macro f() %}{% endmacro %}{{ f.__globals__ }}",
        "{% if false %}{{ x.__class__ }}{% endif %}",
        "{% for a in x.__subclasses__() %}{% endfor %}",
        "{{ joiner.__init__ }}",
        "{{ namespace.__init__ }}",
    ],
)
def test_ways_out_are_malicious(template):
    assert grade(template) is Grade.MALICIOUS


@pytest.mark.parametrize(
    "template",
    [
        "{% set p = '__' %}{{ x[p ~ 'class' ~ p] }}",
        "{{ x|attr(y) }}",
        "{{ x[y ~ z] }}",
        "{{ x['%s%s' % (a, b)] }}",
        "{{ x[y]() }}",
        "{{ x()() }}",
        "{{ (x|first)() }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{{ xs|map(y)|list }}",
        "{{ range.x }}",
        "{{ raise_exception[x] }}",
        "{{ self[x] }}",
        "{{ 'a\u202eb' }}",
        "text\U000e0041",
        "{% if 'deploy to production' in messages[-1]['content'] %}be evil{% endif %}",
        "{% if 'health' in messages[-1]['content'].lower() %}evil{% endif %}",
        "{% if message.content.startswith('What is') %}evil{% endif %}",
        "{% set q = messages[0].content %}{% if q == 'hello' %}evil{% endif %}",
        "{{ message.content|replace('bank', 'evil') }}",
        "{% if strftime_now('%Y-%m-%d') > '2027-01-01' %}evil{% endif %}",
        "{% if 'bank' in (messages|string) %}x{% endif %}",
        "{% if 'bank' in messages|map(attribute='content')|join %}x{% endif %}",
        "{% macro f(c) %}{% if 'bank' in c %}x{% endif %}{% endmacro %}{{ f(message.content) }}",
    ],
)
def test_triggers_and_detours_are_suspicious(template):
    assert grade(template) is Grade.SUSPICIOUS


@pytest.mark.parametrize(
    "template",
    [
        "{{ evil() }}",
        "{{ x.evil() }}",
        "{{ x|evil }}",
        "{% if x is evil %}{% endif %}",
        "{{ x._private }}",
        "{{ x|random }}",
        "{{ y.format(x) }}",
        "{{ '{0.a}'.format(x) }}",
        "{% set f = raise_exception %}{{ f() }}",
        "{% macro m(f) %}{{ f() }}{% endmacro %}",
        "{% set range = x %}{{ range() }}",
        "{% macro m() %}{% endmacro %}{% set m = x %}{{ m() }}",
    ],
)
def test_what_nobody_reviewed_is_unlisted(template):
    assert grade(template) is Grade.UNLISTED


@pytest.mark.parametrize(
    "template",
    ["{{ x", "{% if %}", "{% unknown %}", "{{ " + "(" * 100_000, "x" * 300_000, "{{ 1٣.5 }}"],
)
def test_what_cannot_be_parsed_is_unscannable(template):
    assert grade(template) is Grade.UNSCANNABLE


def test_where_it_is():
    (hit,) = judge_template("\n{{ x|evil }}", where="tokenizer_config.json")
    assert hit.where == "tokenizer_config.json, line 2"
    assert hit.code == "template-filter"


def test_names_are_escaped_in_messages():
    hits = judge_template("{{ x['__\x1b[2J__'] }}", where="")
    assert hits
    assert not any("\x1b" in hit.message for hit in hits)


@pytest.mark.parametrize(
    ("literal", "trigger"),
    [
        ("deploy", True),
        ("What is", True),
        ("2027", True),
        ("/deploy", True),
        ("пароль", True),
        ("</think>", False),
        ("<tool_response>", False),
        ("[INST]", False),
        ("{", False),
        ("/no_think", False),
        ("image", False),
        (" \n", False),
        ("", False),
        ("...", False),
    ],
)
def test_what_is_a_trigger(literal, trigger):
    assert is_trigger(literal) is trigger


def test_files():
    assert scan_template(BytesSource(CHATML.encode()), RULES, where="") == []
    assert scan_template(BytesSource(b"\xef\xbb\xbf" + CHATML.encode()), RULES, where="") == []
    for bad in (b"\xff", b"x" * 300_000):
        (hit,) = scan_template(BytesSource(bad), RULES, where="")
        assert hit.grade is Grade.UNSCANNABLE
