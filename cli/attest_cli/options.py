"""What the command lines of all verbs share: the verb class, value types, passphrase options."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from attest.errors import MalformedInput
from attest_cli.output import Voice

_Callback = TypeVar("_Callback", bound=Callable[..., Any])

FILE: Final = click.Path(path_type=Path, readable=False)
"""A path. Whether it can be read is found on reading it (exit 3), not while parsing (exit 2)."""


class Verb(click.Command):
    """A verb: carries ``--quiet`` and ``--verbose``, ``--json`` if it reports, and examples.

    Args:
        schema: of the object that ``--json`` prints; None for a verb that reports nothing.
        examples: command lines that work as they stand; shown in ``--help`` and run by the tests.
    """

    def __init__(
        self, *args: Any, schema: str | None, examples: Sequence[str], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.schema = schema
        self.examples = tuple(examples)
        self.params += _switches(with_json=schema is not None)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not ctx.resilient_parsing:
            self._refuse_repeats(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_repeats(self, ctx: click.Context, args: list[str]) -> None:
        """An option of one value given twice: click would keep the last and say nothing."""
        seen = set()
        for param in self.make_parser(ctx).parse_args(args=list(args))[2]:
            if isinstance(param, click.Option) and not (param.is_flag or param.multiple):
                if param.name in seen:
                    raise click.UsageError(f"{param.opts[0]} is given twice", ctx)
                seen.add(param.name)

    def invoke(self, ctx: click.Context) -> Any:
        if self.schema is not None:
            ctx.ensure_object(Voice).schema = self.schema
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        self._format_relatives(formatter)
        if self.examples:
            with formatter.section("Examples"):
                for line in self.examples:
                    formatter.write(f"{'':>{formatter.current_indent}}$ {line}\n")

    def _format_relatives(self, formatter: click.HelpFormatter) -> None:
        """The verbs whose first word is this verb."""
        from attest_cli.verbs import VERBS, second_words

        name = self.name or ""
        rows = [(f"{name} {word}", VERBS[f"{name} {word}"].summary) for word in second_words(name)]
        if rows:
            with formatter.section("See also"):
                formatter.write_dl(rows)


def _switches(*, with_json: bool) -> list[click.Parameter]:
    switches: list[click.Parameter] = [
        _switch(["-q", "--quiet"], "quiet", "Only refusals and errors; no progress."),
        _switch(["-v", "--verbose"], "verbose", "Also what passed; tracebacks of internal errors."),
    ]
    if with_json:
        switches.insert(0, _switch(["--json"], "json", "One JSON object on stdout, no text."))
    return switches


def _switch(names: list[str], attribute: str, help: str) -> click.Option:
    def remember(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
        if wanted:
            setattr(ctx.ensure_object(Voice), attribute, True)

    # Eager: an error in another option already has to know how to speak.
    return click.Option(
        names, is_flag=True, is_eager=True, expose_value=False, callback=remember, help=help
    )


def moment(ctx: click.Context, param: click.Parameter, value: str | None) -> datetime | None:
    """Option callback: a time in RFC 3339 with its offset, nothing else that ISO 8601 allows."""
    if value is None:
        return None
    from attest.codec.times import parse_time

    try:
        return parse_time(value)
    except MalformedInput as error:
        raise click.BadParameter(f"{value!r} {error.message}") from None


def counter(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """Option callback: 0 to 2^63-1 in plain digits; ``int()`` would also take ``+4_2``."""
    if value is None:
        return None
    if re.fullmatch(r"0|[1-9][0-9]{0,18}", value) and int(value) < 1 << 63:
        return int(value)
    raise click.BadParameter(f"{value!r} is not a whole number from 0 to 2^63-1")


def inside(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Option callback: paths relative to the artifact that do not lead out of it."""
    from attest.artifact.names import normalise_ignored

    try:
        return normalise_ignored(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def passphrase_options(command: _Callback) -> _Callback:
    """Where the passphrase of key files comes from: one for all; else the terminal is asked."""
    for option in (
        click.option(
            "--passphrase-env",
            metavar="VAR",
            help="Environment variable with the passphrase, one for all key files.",
        ),
        click.option(
            "--passphrase-file",
            type=FILE,
            metavar="F",
            help="File with it, one for all key files; one newline at its end is dropped.",
        ),
    ):
        command = option(command)
    return command
