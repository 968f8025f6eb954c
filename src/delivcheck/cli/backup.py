"""`delivcheck backup`: a copy of the trace that can be put back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options, stores


@click.group(name="backup")
def command() -> None:
    """Copy the trace to a file while the gate runs, and put such a copy back.

    The file tokens.key of the gate's state folder is not in it, and must be kept, too: without it no old link,
    unsubscribe address or return path works any more. Held mail and the journal are not the trace's either.
    """


@command.command(name="create")
@click.argument("file", metavar="FILE", type=click.Path())
@options.group(stores.STORE, options.CONFIG)
def create(file: str, **given: Any) -> int:
    """Write everything in the trace to FILE, which must not be there yet: an SQLite database, or PostgreSQL's pg_dump.

    It is there, mode 0600, only when it is whole and was found sound. PostgreSQL needs pg_dump, of the server's version or
    later.
    """
    return _done(given, file, restoring=False)


@command.command(name="restore")
@click.argument("file", metavar="FILE", type=click.Path())
@options.group(
    click.option("--yes", is_flag=True, help="Do not ask."),
    stores.STORE,
    options.CONFIG,
)
def restore(file: str, **given: Any) -> int:
    """Put a backup in the place of all that is in the trace. Stop the gate before.

    What happened after the backup is lost to the trace; the mail itself is not touched.
    """
    if not given["yes"]:
        import sys

        context = click.get_current_context()
        if sys.stdin is None or not sys.stdin.isatty():
            raise click.UsageError("this replaces the trace; without a terminal to ask, say --yes", context)
        click.confirm("Replace all that is in the trace?", abort=True, err=True)
    return _done(given, file, restoring=True)


def _done(given: dict[str, Any], file: str, *, restoring: bool) -> int:
    from ..report.paint import visible
    from . import output
    from .faults import say

    store = stores.opened(given, make=True)  # before the imports below: it says what is not installed
    from ..trace import upkeep
    from ..trace.store import StoreError

    try:
        if restoring:
            done = upkeep.restore(store, Path(file), who=stores.who())
            output.write(f"restored from {visible(file)}, {done.octets} octets\n")
        else:
            done = upkeep.backup(store, Path(file))
            output.write(f"{visible(file)}: {done.octets} octets\n")
    except (upkeep.BackupError, StoreError) as error:
        say(str(error))
        return stores.MISSING
    finally:
        store.close()
    return 0
