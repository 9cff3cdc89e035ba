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

    from click.shell_completion import CompletionItem

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
    "scan": OwnVerb("attest_cli.commands.scan", "Find unsafe serialization, without loading."),
    "bom": OwnVerb("attest_cli.commands.bom", "Write a bill of materials (CycloneDX)."),
    "bom check": OwnVerb("attest_cli.commands.bom_check", "What a bill of materials lacks."),
    "bom diff": OwnVerb("attest_cli.commands.bom_diff", "What changed between two releases."),
    "bom vulns": OwnVerb("attest_cli.commands.bom_vulns", "Claim what a scanner or VEX says."),
    "provenance": OwnVerb("attest_cli.commands.provenance", "Claim how an artifact was made."),
    "provenance show": OwnVerb(
        "attest_cli.commands.provenance_show", "Show a provenance, unverified."
    ),
    "provenance verify": OwnVerb(
        "attest_cli.commands.provenance_verify", "Verify the provenance of a file."
    ),
    "dataset": OwnVerb("attest_cli.commands.dataset", "Claim sources, licences and consents."),
    "evaluate": OwnVerb("attest_cli.commands.evaluate", "Claim the result of an evaluation."),
    "evaluate import": OwnVerb(
        "attest_cli.commands.evaluate_import", "Claim results of an evaluation harness."
    ),
    "approve": OwnVerb("attest_cli.commands.approve", "Approve an artifact."),
    "approve check": OwnVerb(
        "attest_cli.commands.approve_check", "Whether enough people approved it."
    ),
    "approve withdraw": OwnVerb(
        "attest_cli.commands.approve_withdraw", "Withdraw a claim of one's own."
    ),
    "claim add": OwnVerb("attest_cli.commands.claim_add", "Sign a claim, or add a signed one."),
    "claim list": OwnVerb("attest_cli.commands.claim_list", "List claims and who signed them."),
    "claim merge": OwnVerb("attest_cli.commands.claim_merge", "Merge claims files."),
    "claim pack": OwnVerb(
        "attest_cli.commands.claim_pack", "Signature and claims as one file, for an air gap."
    ),
    "claim unpack": OwnVerb("attest_cli.commands.claim_unpack", "Verify such a file and open it."),
    "lineage show": OwnVerb("attest_cli.commands.lineage_show", "What an artifact was made from."),
    "lineage impact": OwnVerb("attest_cli.commands.lineage_impact", "What derives from a digest."),
    "layout verify": OwnVerb(
        "attest_cli.commands.layout_verify", "Verify an in-toto layout and its links."
    ),
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
    """A group that knows its verbs by name and imports one only when it is called.

    Some verbs have two words (``bom check``): they are entries of the same table, found before the
    verb of their first word, whose first argument they would otherwise be. A file called ``check``
    is ``./check``.
    """

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
        words = 2 if " ".join(args[:2]) in VERBS else 1
        name = " ".join(args[:words])
        command = self.get_command(ctx, name)
        if command is None and args[1:2] in (["-h"], ["--help"]) and second_words(args[0]):
            command = _Family(args[0])
        if command is None and not ctx.resilient_parsing:
            raise click.UsageError(self._unknown(ctx, args), ctx)
        return (None if command is None else name), command, args[words:]

    def _unknown(self, ctx: click.Context, args: list[str]) -> str:
        """What to say of a verb that is not there, or that needs a second word."""
        family = second_words(args[0])
        if family:
            given = f"no verb {' '.join(args[:2])!r}" if len(args) > 1 else "one word is missing"
            return f"{given}: say {', '.join(f'{args[0]} {word}' for word in family)}"
        near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        return f"no verb {args[0]!r}{guess}"

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """First words only: the shell completes one word at a time."""
        return [
            item for item in super().shell_complete(ctx, incomplete) if " " not in str(item.value)
        ]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, own.summary) for name, own in VERBS.items()]
        for name, entry in sorted(_foreign().items()):
            if name not in VERBS:
                rows.append((name, _summary(entry)))
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


class _Family(click.Command):
    """What ``attest claim --help`` shows: a first word that is no verb by itself."""

    def __init__(self, first: str) -> None:
        super().__init__(first, options_metavar="VERB ...", add_help_option=True)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        first = self.name or ""
        rows = [
            (f"{first} {word}", VERBS[f"{first} {word}"].summary) for word in second_words(first)
        ]
        with formatter.section("Verbs"):
            formatter.write_dl(rows)


def second_words(first: str) -> tuple[str, ...]:
    """The second words that make a verb with this first one."""
    return tuple(verb.removeprefix(f"{first} ") for verb in VERBS if verb.startswith(f"{first} "))


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
