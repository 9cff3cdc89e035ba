"""Chat templates: a Jinja program that the publisher of a model runs on its user's machine.

Rules over the facts of :mod:`attest.codec.jinja`. Calls, filters and tests go by an allow-list of
what chat templates need; nothing in Jinja runs Python but by calling something, so this is what the
verdict rests on. Names that are known to lead out of the sandbox are told apart as ``malicious``.

``suspicious``: text of a message compared with words (a trigger: the template behaves differently
for some questions), comparison with the date, keys put together at run time, characters that nobody
sees. Control tokens (``</think>``), the names of content types (``image``) and mode switches
(``/no_think``) are what real templates compare with.

Not found: a trigger that is spelled as a control token, and keys that come out of messages.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from attest import limits
from attest.codec.jinja import TemplateFacts, Use, parse_template
from attest.codec.reader import Source
from attest.errors import MalformedInput, TooLarge
from attest.scan.formats.common import place, reading, shown
from attest.scan.grades import Grade, Hit, Rules


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FUNCTIONS: Final = _words("""
    caller cycler dict joiner lipsum loop namespace raise_exception range strftime_now super
""")
"""Functions that chat templates have: Jinja's own, and those that Hugging Face adds."""

METHODS: Final = _words("""
    append capitalize center changed clear copy count current cycle endswith extend find get index
    insert isalnum isalpha isdecimal isdigit islower isnumeric isspace istitle isupper items join
    keys ljust lower lstrip next partition pop remove removeprefix removesuffix replace reset
    reverse rfind rindex rjust rpartition rsplit rstrip setdefault sort split splitlines startswith
    strip swapcase title update upper values zfill
""")
"""Methods of text, lists, dictionaries and loops. None of them runs what it is given."""

FILTERS: Final = _words("""
    abs batch capitalize center count d default dictsort e escape filesizeformat first float
    forceescape from_json fromjson groupby indent int items join last length list lower map max min
    pprint reject rejectattr replace reverse round safe select selectattr slice sort split string
    striptags sum title to_json tojson trim truncate unique upper urlencode wordcount wordwrap
""")
"""Jinja's filters without ``attr``, ``format``, ``random``, ``urlize`` and ``xmlattr``, and those
that runtimes for chat templates add."""

TESTS: Final = _words("""
    boolean callable defined divisibleby eq equalto escaped even false filter float ge greaterthan
    gt in integer iterable le lessthan lower lt mapping ne none number odd sameas sequence string
    test true undefined upper == != < <= > >=
""")

_DANGEROUS: Final = _words("""
    ag_frame co_code co_consts cr_code cr_frame f_back f_builtins f_code f_globals f_locals
    func_closure func_code func_globals gi_code gi_frame im_class im_func im_self mro popen
    subclasses subprocess tb_frame tb_next
""")
"""Attributes that lead from any object to the interpreter, with or without underscores."""

_DANGEROUS_CALLS: Final = _words("""
    compile eval exec execfile getattr import_module import_string listdir open popen read
    read_bytes read_text rmtree run setattr spawn system unlink urlopen write write_text
    __import__
""")

_DUNDER: Final = re.compile(r"__[A-Za-z0-9_]+__")
_PYTHON_DUNDERS: Final = _words("""
    __annotations__ __base__ __bases__ __builtins__ __call__ __class__ __class_getitem__
    __closure__ __code__ __defaults__ __del__ __dict__ __func__ __get__ __getattr__
    __getattribute__ __getitem__ __globals__ __import__ __init__ __init_subclass__ __loader__
    __module__ __mro__ __new__ __objclass__ __reduce__ __reduce_ex__ __self__ __setattr__ __spec__
    __subclasses__ __subclasshook__ __wrapped__
""")
_PLAIN_FORMAT: Final = re.compile(r"(?:[^{}]|\{\{|\}\}|\{\w*\})*+")
_HALF_DUNDER: Final = 24
_CONTENT_TYPES: Final = _words("""
    arguments assistant audio audio_url audios blocks code content developer document documents
    file files formatted_tools function image image_url images input_audio input_image input_text
    ipython json name none null output_text parts reasoning role string system text thinking think
    tool tool_call tool_calls tool_response tool_responses tool_use type user value video video_url
    videos
""")
"""Members and types of structured content, which templates ask for with ``in`` as well."""

_SWITCHES: Final = frozenset(
    {"/think", "/no_think", "/nothink", "/no-think", "/system_override", "detailed thinking on",
     "detailed thinking off"}
)  # fmt: skip
"""What people write into messages to switch a published model's mode."""

_MARKUP_STARTS: Final = "<[{|`#▁｜"
_HIDDEN: Final = re.compile(
    "[\u00ad\u180e\u200b\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def scan_template(source: Source, rules: Rules, *, where: str) -> list[Hit]:
    """Scan a file that is a chat template.

    Raises:
        Unavailable: the source cannot be read.
    """
    hits: list[Hit] = []
    with reading(hits, where):
        if source.size > limits.MAX_TEMPLATE_BYTES:
            raise TooLarge(f"a chat template of {source.size} bytes")
        data = source.read(0, source.size)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise MalformedInput("a chat template is not UTF-8", code="not-utf8") from None
        hits += judge_template(text, where=where)
    return hits


def judge_template(text: str, *, where: str) -> list[Hit]:
    """Judge the text of one chat template; a template that cannot be parsed is unscannable."""
    hits: list[Hit] = []
    with reading(hits, where):
        facts = parse_template(text, what="chat template")
        hits += _judge(facts, where)
    hidden = _HIDDEN.search(text)
    if hidden:
        message = f"chat template has the invisible character U+{ord(hidden.group()):04X}"
        hits.append(Hit("template-hidden-character", Grade.SUSPICIOUS, message, where or None))
    return hits


def _judge(facts: TemplateFacts, where: str) -> Iterator[Hit]:
    def hit(code: str, grade: Grade, message: str, line: int) -> Hit:
        return Hit(f"template-{code}", grade, message, place(where, f"line {line}"))

    for use in facts.attributes:
        fault = _attribute_fault(use.name)
        if fault:
            yield hit("attribute", fault, f"reaches for the attribute {shown(use.name)}", use.line)
    for use in facts.strings:
        fault = _string_fault(use.name)
        if fault:
            yield hit("attribute", fault, f"builds the name {shown(use.name)}", use.line)
    yield from _calls(facts, where)
    yield from _unlisted(facts.filters, FILTERS, "filter", where)
    yield from _unlisted(facts.tests, TESTS, "test", where)
    for use in facts.statements:
        yield hit("statement", Grade.SUSPICIOUS, f"has the statement {use.name!r}", use.line)
    for line in facts.computed_keys:
        yield hit("computed-key", Grade.SUSPICIOUS, "looks up a name that it puts together", line)
    for use in facts.compared:
        if is_trigger(use.name):
            message = f"treats messages differently that have {shown(use.name)}"
            yield hit("trigger", Grade.SUSPICIOUS, message, use.line)
    for line in facts.clock:
        yield hit("clock", Grade.SUSPICIOUS, "behaves differently at some dates", line)


def _plain(name: str) -> str:
    """As Python would fold it: full-width letters are letters."""
    return unicodedata.normalize("NFKC", name)


def _attribute_fault(name: str) -> Grade | None:
    plain = _plain(name)
    if (plain.startswith("__") and len(plain) > 2) or plain in _DANGEROUS:
        return Grade.MALICIOUS
    return Grade.UNLISTED if plain.startswith("_") and plain.isidentifier() else None


def _string_fault(text: str) -> Grade | None:
    """Texts that are names of the interpreter's internals, or halves of such."""
    plain = _plain(text)
    if any(name in _PYTHON_DUNDERS for name in _DUNDER.findall(plain)):
        return Grade.MALICIOUS
    half = plain.startswith("__") or plain.endswith("__")
    if half and len(plain) <= _HALF_DUNDER and not _DUNDER.fullmatch(plain):
        return Grade.SUSPICIOUS
    return None


def _calls(facts: TemplateFacts, where: str) -> Iterator[Hit]:
    """Every call is of a listed function or method, or of a macro of the template itself."""
    own = facts.macros - facts.assigned
    listed = FUNCTIONS - facts.assigned
    for call in facts.calls:
        at = place(where, f"line {call.line}")
        if call.kind == "computed":
            message = "calls something that it looks up"
            yield Hit("template-call", Grade.SUSPICIOUS, message, at)
            continue
        if call.kind == "name" and (call.name in own or call.name in listed):
            continue
        if call.kind == "method" and (call.name in METHODS or _is_plain_format(call.form)):
            continue
        bad = call.name in _DANGEROUS_CALLS
        grade = Grade.MALICIOUS if bad else Grade.UNLISTED
        yield Hit("template-call", grade, f"calls {shown(call.name)}", at)
    for use in facts.held_functions:
        if use.name in FUNCTIONS - {"loop"} or use.name == "self":
            at = place(where, f"line {use.line}")
            yield Hit("template-attribute", Grade.SUSPICIOUS, f"looks into {shown(use.name)}", at)


def _is_plain_format(form: str | None) -> bool:
    """Whether a constant format only puts values in, and looks nothing up in them."""
    return form is not None and _PLAIN_FORMAT.fullmatch(form) is not None


def _unlisted(
    uses: tuple[Use, ...], listed: frozenset[str], what: str, where: str
) -> Iterator[Hit]:
    for use in uses:
        if use.name not in listed:
            grade = Grade.SUSPICIOUS if use.name in ("attr", "") else Grade.UNLISTED
            message = f"uses the {what} {shown(use.name)}"
            yield Hit(f"template-{what}", grade, message, place(where, f"line {use.line}"))


def is_trigger(literal: str) -> bool:
    """Whether a template that compares messages with this text reacts to what people say."""
    plain = literal.strip().lower()
    if not any(character.isalnum() for character in plain):
        return False
    if plain in _CONTENT_TYPES or plain in _SWITCHES:
        return False
    return plain[0] not in _MARKUP_STARTS
