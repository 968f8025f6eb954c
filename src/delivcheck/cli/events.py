"""`delivcheck events`: what happened to mail, event by event, as it was told; once, or for as long as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    from ..trace.export.rows import Choice
    from ..trace.store import Store

POLL = 0.5  # seconds between two looks; the gate brings events into the store within a tenth of one


def _complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from ..trace.model import Kind

    return [kind.value for kind in Kind if kind.startswith(incomplete)]


@click.command(name="events")
@options.group(
    click.option("--follow", is_flag=True, help="Go on, with what happens from now on (or from --after, --since)."),
    click.option(
        "--kind", "kinds", metavar="KIND", multiple=True, shell_complete=_complete, help="Only these: bounced, sent ... [all]"
    ),
    click.option("--since", metavar="TIME", help="That happened since: 24h, 7d, 2026-11-23, 2026-11-23T12:00Z."),
    click.option("--until", metavar="TIME", help="That happened before."),
    click.option("--after", metavar="CURSOR", type=click.IntRange(0), help="Behind this `cursor` of an event."),
    click.option(
        "--format", "-f", "format", type=click.Choice(["jsonl", "csv", "parquet"]), default="jsonl", show_default=True
    ),
    click.option("--output", "-o", metavar="FILE", type=click.Path(), help="Where to write [default: standard output]."),
    *stores.WHERE,
)
def command(**given: Any) -> int:
    """Write events in the order in which they became known, one for each recipient; `event_id` tells those that you have.

    A file of --output is there only when it is whole. Exit codes: 0 done, 2 usage or configuration, 3 the store cannot be read.
    """
    if given["follow"] and (given["format"] != "jsonl" or given["output"] is not None or given["until"] is not None):
        raise click.UsageError("--follow is for jsonl on standard output, and has no end", click.get_current_context())
    return stores.within(given, lambda store, tenant: _run(store, tenant, given))


def _run(store: Store, tenant: int, given: dict[str, Any]) -> int:
    from ..trace import export, messages
    from .writing import written

    choice = _choice(given)
    if given["follow"]:
        if given["after"] is None and given["since"] is None:
            from dataclasses import replace

            with store.read() as db:
                choice = replace(choice, after=messages.last_seq(db, tenant))
        return written(_followed(store, tenant, choice), None)
    try:
        made = export.events(store, tenant, export.Format(given["format"]), choice)
    except export.MissingExtra as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    return written(made, given["output"], "json" if given["format"] == "jsonl" else given["format"])


def _choice(given: dict[str, Any]) -> Choice:
    from ..trace.export.rows import Choice
    from ..trace.model import Kind

    context = click.get_current_context()
    try:
        kinds = tuple(Kind(name.lower()) for name in given["kinds"])
    except ValueError as error:
        raise click.UsageError(f"--kind: {str(error).partition(' is ')[0]} is none of {', '.join(Kind)}", context) from None
    since, until = stores.moment("--since", given["since"]), stores.moment("--until", given["until"])
    return Choice(kinds, since, until, given["after"] or 0)


def _followed(store: Store, tenant: int, choice: Choice) -> Iterator[bytes]:
    """Lines as they come, without end. A store that is away for a moment (a PostgreSQL that starts again) is tried again."""
    import time

    from ..trace import messages, shapes
    from ..trace.store import StoreError
    from .faults import say
    from .writing import json_octets

    after, failed = choice.after, False
    while True:
        try:
            with store.read() as db:
                found = messages.events(db, tenant, after, messages.MAX_EVENT_LIMIT, choice.kinds, since=choice.since)
            failed = False
        except StoreError as error:
            if not failed:
                say(f"{error}; trying again")
            failed, found = True, []
        if found:
            after = found[-1].seq
            yield b"".join(json_octets(shapes.event(one)) for one in found)
        if len(found) < messages.MAX_EVENT_LIMIT:
            time.sleep(POLL)
