"""What a chat template does, read off its syntax tree. It is never rendered, nor compiled.

A chat template is a Jinja program that the publisher of a model runs on the user's machine. Jinja's
own parser turns it into a tree (its lexer and grammar are the definition of the language), with the
tags that Hugging Face adds: ``break``, ``continue`` and ``generation``. The parser is recursive, so
nesting is bounded on the tokens before it runs. The tree is walked with an explicit stack: chains
of ``+`` and ``.x`` make it as deep as the template is long.

:func:`parse_template` gives neutral facts: which names, attributes, filters and tests are used,
what is called, which texts are built from constants, what a message's text is compared with. What
is good or bad is for :mod:`attest.scan.formats.templates` to say.

Constants are folded as far as text is built from constants only (``'__cla' ~ 'ss__'``, ``join`` and
``replace`` over constants, reversed slices). Text built from what is known at run time only is
reported as such where it is used as a key. Not followed: what messages contain.
"""

from __future__ import annotations

import functools
import re
import warnings
from typing import TYPE_CHECKING, Final

from attest import limits
from attest.codec.jinjatree import TemplateCall, TemplateFacts, Use, facts_of
from attest.errors import MalformedInput, TooLarge

if TYPE_CHECKING:
    from jinja2 import Environment, nodes

__all__ = ["TemplateCall", "TemplateFacts", "Use", "parse_template"]

_LONG_NUMBER: Final = re.compile(r"[\d_]{400}")
_OPERAND_ENDS: Final = frozenset({")", "]", "}"})
_WORD_OPERATORS: Final = frozenset({"and", "or", "not", "in", "is", "if", "else", "elif"})
_OPENING_BLOCKS: Final = frozenset(
    {"if", "for", "macro", "call", "filter", "set", "block", "with", "generation", "autoescape"}
)


def parse_template(source: str, *, what: str = "template") -> TemplateFacts:
    """The facts of one template.

    Raises:
        TooLarge: over ``MAX_TEMPLATE_BYTES`` or ``MAX_TEMPLATE_TOKENS``, or huge numbers.
        MalformedInput: not a template, or nested too deep.
    """
    if len(source.encode("utf-8", "surrogatepass")) > limits.MAX_TEMPLATE_BYTES:
        raise TooLarge(f"{what} has more than {limits.MAX_TEMPLATE_BYTES} bytes")
    if _LONG_NUMBER.search(source):
        raise TooLarge(f"{what} has a number of more than 400 digits")
    from jinja2 import TemplateError
    from jinja2.parser import Parser

    environment = _environment()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in strings
            _check_nesting(environment, source, what)
            tree = Parser(environment, source).parse()
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        raise _malformed(f"{what} is not a Jinja template{place}") from None
    except (ValueError, SyntaxError):  # numbers of digits that Python does not read
        raise _malformed(f"{what} has a number that cannot be read") from None
    except RecursionError:
        raise _too_deep(what) from None
    return facts_of(tree)


def _malformed(message: str) -> MalformedInput:
    return MalformedInput(message, code="malformed-template")


def _too_deep(what: str) -> MalformedInput:
    return MalformedInput(f"{what} is nested too deep", code="nested-too-deep")


@functools.cache
def _environment() -> Environment:
    """The syntax of Hugging Face's chat templates; nothing is ever rendered in it."""
    from jinja2 import Environment
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser

    class Generation(Extension):
        """``{% generation %}…{% endgeneration %}``: marks what the assistant says."""

        tags = {"generation"}  # noqa: RUF012 - as Jinja declares it

        def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    return Environment(
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=True,
        extensions=[Generation, loopcontrols],
    )


def _check_nesting(environment: Environment, source: str, what: str) -> None:
    """Bound what the parser recurses on: brackets, blocks, and chains inside one tag."""
    blocks = brackets = chain = 0
    tag, last, last_kind = "", "", ""
    for count, (_, kind, text) in enumerate(environment.lexer.tokeniter(source, None)):
        if count > limits.MAX_TEMPLATE_TOKENS:
            raise TooLarge(f"{what} has more than {limits.MAX_TEMPLATE_TOKENS} tokens")
        if kind in ("whitespace", "comment"):
            continue
        if kind in ("block_begin", "variable_begin"):
            brackets = chain = 0
            tag = ""
        elif kind == "block_end":
            blocks += (tag in _OPENING_BLOCKS) - tag.startswith("end")
        elif kind == "name" and last_kind == "block_begin":
            tag = text
        elif kind == "name":
            chain += text in ("not", "else")
        elif kind == "operator":
            brackets += (text in "([{") - (text in ")]}")
            chain += text in "+-" and _is_sign(last, last_kind)
            if text == "=" and tag == "set" and not brackets:
                tag = "set ="  # needs no end
        if (
            brackets > limits.MAX_TEMPLATE_BRACKETS
            or blocks > limits.MAX_TEMPLATE_BLOCKS
            or chain > limits.MAX_TEMPLATE_CHAIN
        ):
            raise _too_deep(what)
        last, last_kind = text, kind


def _is_sign(before: str, kind: str) -> bool:
    if kind == "name":
        return before in _WORD_OPERATORS
    return kind not in ("string", "integer", "float") and before not in _OPERAND_ENDS
