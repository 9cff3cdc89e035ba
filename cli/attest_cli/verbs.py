"""The table of verbs and the click group that loads them one at a time.

Own verbs are listed here by module. Verbs of other packages (the node's agent, the server) arrive
through the entry-point group ``attest.commands``, each a :class:`click.Command`; installed packages
are searched only when a verb is not in the table, or for ``--help``. An own verb cannot be replaced
from outside.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import click

from attest._version import __version__
from attest.errors import Unavailable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS: Final = "attest.commands"


@dataclass(frozen=True, slots=True)
class OwnVerb:
    """Where a verb lives, and what ``attest --help`` says of it without loading it."""

    module: str
    summary: str


VERBS: Final[Mapping[str, OwnVerb]] = {
    "keygen": OwnVerb("attest_cli.commands.keygen", "Make a signing key pair."),
    "sign": OwnVerb("attest_cli.commands.sign", "Sign a checkpoint, dataset or firmware image."),
    "verify": OwnVerb("attest_cli.commands.verify", "Verify a signed artifact, offline."),
    "inspect": OwnVerb("attest_cli.commands.inspect", "Show what a file says, unverified."),
    "demo": OwnVerb("attest_cli.commands.demo", "Walk the whole chain on a real model."),
    "completion": OwnVerb("attest_cli.commands.completion", "Print a shell completion script."),
}

_EPILOG: Final = """\b
Exit codes:
  0 verified   1 refused   2 usage   3 could not be judged
  4 allowed by break-glass   70 internal error   130 interrupted

\b
Examples:
  $ attest --version
  $ attest verify --help
"""


class VerbGroup(click.Group):
    """A group that knows its verbs by name and imports one only when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*VERBS, *sorted(set(_foreign()) - set(VERBS))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = VERBS.get(cmd_name)
        if own is not None:
            command = importlib.import_module(own.module).command
            assert isinstance(command, click.Command)
            return command
        entry = _foreign().get(cmd_name)
        return None if entry is None else _load(entry)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None and not ctx.resilient_parsing:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no verb {name!r}{guess}", ctx)
        return (None if command is None else name), command, args[1:]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, own.summary) for name, own in VERBS.items()]
        for name, entry in sorted(_foreign().items()):
            if name not in VERBS:
                rows.append((name, _summary(entry)))
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


def _foreign() -> dict[str, EntryPoint]:
    """Entry points by verb; of two packages that claim one verb, neither gets it."""
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {}
    claimed_twice = set()
    for entry in entry_points(group=ENTRY_POINTS):
        if found.setdefault(entry.name, entry).value != entry.value:
            claimed_twice.add(entry.name)
    return {name: entry for name, entry in found.items() if name not in claimed_twice}


def _load(entry: EntryPoint) -> click.Command:
    try:
        command = entry.load()
    except Exception as error:
        raise Unavailable(
            f"the verb {entry.name!r} cannot be loaded from {entry.value} ({error})",
            hint="reinstall the package that brings it, with its extra",
            code="verb-not-loadable",
        ) from error
    if not isinstance(command, click.Command):
        raise Unavailable(
            f"the verb {entry.name!r} at {entry.value} is not a click command",
            hint="report this to the package that brings it",
            code="verb-not-loadable",
        )
    return command


def _summary(entry: EntryPoint) -> str:
    try:
        return _load(entry).get_short_help_str(60)
    except Unavailable:
        return "(installed, but cannot be loaded)"


def _print_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        click.echo(f"attest {__version__}")
        ctx.exit()


group = VerbGroup(
    name="attest",
    help="Supply-chain security for AI models: sign, verify, decide.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version and exit.",
        )
    ],
)
