"""``attest completion``: the script that makes a shell complete verbs and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from attest_cli.exits import Exit
from attest_cli.options import Verb


@click.command(
    cls=Verb,
    name="completion",
    schema=None,
    examples=(
        "attest completion bash > attest.bash  # then: source attest.bash",
        "attest completion zsh > _attest  # into a folder of $fpath",
        "attest completion fish > attest.fish  # into ~/.config/fish/completions",
    ),
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> Exit:
    """Print the completion script for SHELL.

    The script asks `attest` itself, through the variable _ATTEST_COMPLETE, what may follow.
    """
    writer = get_completion_class(shell)
    assert writer is not None
    click.echo(writer(ctx.find_root().command, {}, "attest", "_ATTEST_COMPLETE").source())
    return Exit.OK
