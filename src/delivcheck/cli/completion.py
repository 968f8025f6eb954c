"""`delivcheck completion`: the script that makes a shell complete our words."""

from __future__ import annotations

import click

SHELLS = ("bash", "zsh", "fish", "powershell")
VARIABLE = "_DELIVCHECK_COMPLETE"  # the name that click looks for in the environment


@click.command(name="completion")
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> int:
    """Print the completion script for a shell.

    bash: eval "$(delivcheck completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc; fish: delivcheck completion fish >
    ~/.config/fish/completions/delivcheck.fish
    """
    from click.shell_completion import get_completion_class

    from . import output, root

    made = get_completion_class(shell)
    if made is None:
        raise click.UsageError(f"this click knows no completion for {shell}", click.get_current_context())
    output.write(made(root, {}, "delivcheck", VARIABLE).source() + "\n")
    return 0
