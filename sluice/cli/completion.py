"""`sluice completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish")


@click.command("completion", short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the script that makes SHELL complete `sluice`. Nothing is installed.

    \b
    bash   sluice completion bash > ~/.local/share/bash-completion/completions/sluice
    zsh    sluice completion zsh > "${fpath[1]}/_sluice"
    fish   sluice completion fish > ~/.config/fish/completions/sluice.fish
    """
    from click.shell_completion import get_completion_class

    from sluice.cli import group

    made = get_completion_class(shell)
    assert made is not None  # one of click's own
    click.echo(made(group, {}, "sluice", "_SLUICE_COMPLETE").source())
    return 0
