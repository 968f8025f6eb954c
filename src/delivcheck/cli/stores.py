"""Where the trace is, for the commands that read and write it; nothing of it is imported before it is opened."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..gate.settings import Gate
    from ..trace.store import Store

MISSING = 3  # report.words.Exit's number for an input that is not there, which is not imported on the way to --help

STORE = click.option(
    "--store",
    metavar="URL",
    help="The trace's database [default: `url` of [gate.trace], or trace.sqlite in the gate's state folder].",
)
TENANT = click.option("--tenant", metavar="NAME", default="default", show_default=True, help="Whose mail.")
WHERE = (STORE, options.CONFIG, TENANT)


def configured(given: dict[str, Any]) -> Gate | None:
    """The gate of the configuration, where there is one. Raises ConfigError."""
    from .. import config
    from ..gate import reading

    found = config.discover(given["config"], system=config.SYSTEM_FILE)
    return None if found.gate is None else reading.read(found)


def opened(given: dict[str, Any], *, make: bool = False) -> Store:
    """The store that was meant, not opened yet. `make`: it may be missing. Raises UsageError, ConfigError, StoreError."""
    try:
        from ..gate import tracing
        from ..trace.store import Store, StoreError
    except ImportError as error:
        raise click.UsageError(f"{error.name} is not installed: pip install 'delivcheck[gate]'") from None
    try:
        if given["store"] is not None:
            store = Store(given["store"])
        else:
            gate = configured(given)
            if gate is None:
                where = "the configuration has no [gate]" if given["config"] else "there is no delivcheck.toml with [gate]"
                raise click.UsageError(f"which store? {where}; name it with --store", click.get_current_context())
            store = tracing.store(gate)
    except StoreError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    if store.sqlite and not make:
        from pathlib import Path

        # SQLite would make an empty one, and who reads a wrong path would be told that nothing happened.
        path = Path(store.url.database or "")
        if not path.is_file():
            raise StoreError(f"{path}: there is no trace")
    return store


def tenant(store: Store, name: str) -> int:
    """The number of a tenant. Raises StoreError where there is none of that name."""
    import sqlalchemy as sa

    from ..trace.model import DEFAULT_TENANT
    from ..trace.schema import tenant as table
    from ..trace.store import StoreError

    with store.read() as db:
        found = db.scalar(sa.select(table.c.id).where(table.c.name == name))
    if found is None and name != DEFAULT_TENANT:
        raise StoreError(f"there is no tenant {name!r}")
    return int(found or 0)  # 0 is nobody's: a store in which nothing happened yet


def within(given: dict[str, Any], work: Callable[[Store, int], int]) -> int:
    """Do something with the store and the tenant's number; what is not there, or cannot be read, is a line. The exit code."""
    try:
        from ..trace.store import StoreError
    except ImportError as error:
        raise click.UsageError(f"{error.name} is not installed: pip install 'delivcheck[gate]'") from None
    from .faults import say

    try:
        store = opened(given)
        try:
            return work(store, tenant(store, given["tenant"]))
        finally:
            store.close()
    except StoreError as error:
        say(str(error))
        return MISSING


def who() -> str:
    """Whoever runs this, for the audit log."""
    import getpass

    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        import os

        return f"cli:{os.getuid()}"


def moment(option: str, text: str | None) -> int | None:
    """A time or a span before now, in Unix milliseconds. Raises UsageError."""
    if text is None:
        return None
    from datetime import UTC, datetime

    from ..trace.queries import moment as read

    try:
        return read(text, datetime.now(UTC))
    except ValueError as error:
        raise click.UsageError(f"{option}: {error}", click.get_current_context()) from None
