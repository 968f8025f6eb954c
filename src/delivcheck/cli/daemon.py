"""`delivcheck daemon`: keeps rules and DNS answers warm for hooks, behind a UNIX socket."""

from __future__ import annotations

from pathlib import Path

import click

from . import options
from .faults import USAGE, say


@click.command(name="daemon")
@options.CONFIG
@click.option(
    "--socket",
    "path",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Where to listen [default: `daemon` under [hooks], else /run/delivcheck-daemon/socket].",
)
@click.option("--group", metavar="NAME", help="A group whose members may ask, too [default: only the socket's owner].")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True)
@click.option("--print-hook", is_flag=True, help="Print the path of the hook that needs nothing but Python, then end.")
def command(config: str | None, path: Path | None, group: str | None, print_hook: bool, **written: str) -> int:
    """Judge messages for hooks (Guard, sendmail, the standalone hook) until SIGTERM; SIGHUP reads the configuration again.

    Exit codes: 0 stopped as asked, 2 it cannot start, 70 our own fault.
    """
    if print_hook:
        from .. import hook

        click.echo(Path(hook.__file__).resolve())
        return 0
    from .. import config as configuration
    from ..gate.serve.listeners import CannotListen
    from ..integrations import daemon

    try:
        daemon.run(
            lambda: configuration.discover(config, system=configuration.SYSTEM_FILE),
            daemon.How(path, group, **written),
        )
    except CannotListen as error:
        say(str(error))
        return USAGE
    return 0
