"""`delivcheck webhook`: who is told of events over HTTP, what could not be told, and telling it again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    import sqlalchemy as sa

    from ..config import Config
    from ..gate.settings import Gate
    from ..trace.store import Store
    from ..trace.webhooks.register import Webhook

SCHEMA = "delivcheck-webhooks/1"
FAILED = 1
MISSING = 3
MAX_URL = 80  # columns of a URL in the list

FORMAT = click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True)
ID = click.argument("id", metavar="ID")
WHERE = options.group(*stores.WHERE)


@click.group(name="webhook")
def command() -> None:
    """Tell other servers what happens to mail, signed as Standard Webhooks describes it.

    Events are told by the gate that runs. Exit codes: 0 done, 1 it was not taken, 2 usage or configuration, 3 there is no such
    webhook, or the store cannot be had.
    """


@command.command(name="add")
@click.argument("url", metavar="URL")
@options.group(
    click.option("--event", "kinds", metavar="KIND", multiple=True, help="Only such events, bounced for one [all]."),
    click.option("--note", metavar="TEXT", default="", help="What it is for."),
)
@WHERE
def add(url: str, kinds: tuple[str, ...], note: str, **given: Any) -> int:
    """Register a URL, and print its secret, once. It hears of what happens from now on."""
    context = click.get_current_context()

    def work(store: Store, tenant: int) -> int:
        from ..gate import webhooks
        from ..net.poster import BadUrl, checked
        from ..trace.model import Kind
        from ..trace.webhooks import register
        from . import output

        gate = _gate(given)[1]
        if unknown := set(kinds) - set(Kind):
            raise click.UsageError(f"--event: {min(unknown)!r} is none of {', '.join(Kind)}", context)
        try:
            target = checked(url, gate.webhooks.networks)
        except BadUrl as error:
            raise click.UsageError(f"URL: {error}", context) from None
        with store.write() as db:
            number = tenant or store.tenant(db, given["tenant"])
            try:
                made, secret = register.add(
                    db, number, target, who=stores.who(), kinds=map(Kind, kinds), note=note, sealer=webhooks.sealer(gate)
                )
            except register.BadWebhook as error:
                raise click.UsageError(str(error), context) from None
        output.write(f"{made.id}\nsecret: {secret}\n")
        return 0

    return _within(given, work)


@command.command(name="list")
@WHERE
@FORMAT
def listing(format: str, **given: Any) -> int:
    """List the webhooks, and how much waits for each."""

    def work(store: Store, tenant: int) -> int:
        from ..trace.webhooks import deliveries, register, shapes
        from . import output

        with store.read() as db:
            found, counts = register.every(db, tenant), deliveries.counts(db, tenant)
        if format == "json":
            _write_json({"schema": SCHEMA, "webhooks": [shapes.webhook(one, counts.get(one.id, {})) for one in found]})
        else:
            output.write(output.paint("auto").finished([_row(one, counts.get(one.id, {})) for one in found] or ["no webhooks"]))
        return 0

    return _within(given, work)


@command.command(name="dead")
@ID
@click.option("--limit", type=click.IntRange(1, 500), default=100, show_default=True)
@WHERE
@FORMAT
def dead(id: str, limit: int, format: str, **given: Any) -> int:
    """List what could not be told: all attempts over three days failed."""

    def work(store: Store, tenant: int) -> int:
        from ..report.paint import visible
        from ..trace.model import iso
        from ..trace.webhooks import deliveries, shapes
        from . import output

        with store.read() as db:
            if not _there(db, tenant, id):
                return MISSING
            found = deliveries.page(db, tenant, id.upper(), state=deliveries.State.DEAD, limit=limit)
        if format == "json":
            _write_json({"schema": SCHEMA, "dead": [shapes.delivery(one) for one in found]})
        else:
            rows = [visible(f"{one.id}  {iso(one.updated)}  {one.kind} of {one.trace}  {one.error}") for one in found]
            output.write(output.paint("auto").finished([*rows, f"{len(found)} dead"]))
        return 0

    return _within(given, work)


@command.command(name="replay")
@ID
@click.argument("numbers", metavar="[DELIVERY...]", type=click.IntRange(1), nargs=-1)
@click.option("--all", "every", is_flag=True, help="All that are dead.")
@WHERE
def replay(id: str, numbers: tuple[int, ...], every: bool, **given: Any) -> int:
    """Tell deliveries again, by the numbers that `dead` lists."""
    if bool(numbers) == every:
        raise click.UsageError("either DELIVERY... or --all", click.get_current_context())

    def change(db: sa.Connection, tenant: int) -> str:
        from ..trace.webhooks import deliveries, register

        only = None if every else numbers
        done = deliveries.replay(db, tenant, id.upper(), register.now(), who=stores.who(), only=only)
        return f"{done} to be told again"

    return _changed(id, given, change)


@command.command(name="remove")
@ID
@WHERE
def remove(id: str, **given: Any) -> int:
    """Take a webhook away with all that it was still to be told."""

    def change(db: sa.Connection, tenant: int) -> str:
        from ..trace.webhooks import register

        register.remove(db, tenant, id.upper(), who=stores.who())
        return f"{id.upper()} removed"

    return _changed(id, given, change)


@command.command(name="enable")
@ID
@WHERE
def enable(id: str, **given: Any) -> int:
    """Tell a webhook again that was disabled, from where it stopped."""

    def change(db: sa.Connection, tenant: int) -> str:
        from ..trace.webhooks import register

        register.enable(db, tenant, id.upper(), who=stores.who())
        return f"{id.upper()} enabled"

    return _changed(id, given, change)


@command.command(name="disable")
@ID
@WHERE
def disable(id: str, **given: Any) -> int:
    """Tell a webhook nothing until it is enabled; what happens meanwhile is told it then."""

    def change(db: sa.Connection, tenant: int) -> str:
        from ..trace.webhooks import register

        register.disable(db, tenant, id.upper(), who=stores.who())
        return f"{id.upper()} disabled"

    return _changed(id, given, change)


@command.command(name="rotate")
@ID
@WHERE
def rotate(id: str, **given: Any) -> int:
    """Print another secret, once. The one before signs too for a day."""

    def change(db: sa.Connection, tenant: int) -> str:
        from ..gate import webhooks
        from ..trace.webhooks import register

        sealer = webhooks.sealer(_gate(given)[1])
        return f"secret: {register.rotate(db, tenant, id.upper(), who=stores.who(), sealer=sealer)}"

    return _changed(id, given, change)


@command.command(name="test")
@ID
@WHERE
def test(id: str, **given: Any) -> int:
    """Send a ping from here, now, and say what came of it."""

    def work(store: Store, tenant: int) -> int:
        import asyncio

        from ..report.paint import visible
        from ..trace.webhooks import register
        from . import output

        found, gate = _gate(given)
        with store.read() as db:
            known = register.with_secret(db, tenant, id.upper()) if _there(db, tenant, id) else None
        if known is None:
            return MISSING
        posted = asyncio.run(_ping(found, gate, store, *known))
        output.write(visible(f"{'delivered' if posted.ok else 'failed'}: {posted.error or posted.status}") + "\n")
        return 0 if posted.ok else FAILED

    return _within(given, work)


async def _ping(found: Config, gate: Gate, store: Store, hook: Webhook, written: bytes) -> Any:
    from ..gate import webhooks
    from ..gate.ports import unwatched

    async with webhooks.sender(found, gate, store, unwatched) as sender:
        return await sender.ping(hook, written)


# --- where -------------------------------------------------------------------------------------------------------


def _gate(given: dict[str, Any]) -> tuple[Config, Gate]:
    """The configuration and the gate in it: which networks a webhook may be in, and the key of the secrets."""
    from .. import config
    from ..gate import reading

    found = config.discover(given["config"], system=config.SYSTEM_FILE)
    if found.gate is None:
        raise click.UsageError("webhooks need the gate's configuration: there is no [gate]", click.get_current_context())
    return found, reading.read(found)


def _within(given: dict[str, Any], work: Callable[[Store, int], int]) -> int:
    """As `stores.within`; a key that cannot be had is a line, too."""
    from ..keyring import NotOpened
    from .faults import say

    try:
        return stores.within(given, work)
    except NotOpened as error:
        say(str(error))
        return MISSING


def _changed(id: str, given: dict[str, Any], change: Callable[[sa.Connection, int], str]) -> int:
    """Change a webhook that is there, and say what was done."""

    def work(store: Store, tenant: int) -> int:
        from . import output

        with store.write() as db:
            if not _there(db, tenant, id):
                return MISSING
            said = change(db, tenant)
        output.write(f"{said}\n")
        return 0

    return _within(given, work)


def _there(db: sa.Connection, tenant: int, id: str) -> bool:
    from ..trace.webhooks import register
    from .faults import say

    if register.get(db, tenant, id.upper()) is not None:
        return True
    say(f"there is no webhook {id!r}")
    return False


# --- in words ----------------------------------------------------------------------------------------------------


def _row(one: Webhook, counts: Any) -> str:
    from ..report.paint import visible
    from ..trace.model import iso
    from ..trace.webhooks.deliveries import State

    state = (
        "disabled"
        if one.disabled is not None
        else f"failing since {iso(one.failing)}"
        if one.failing is not None
        else "enabled"
    )
    url = one.url if len(one.url) <= MAX_URL else f"{one.url[: MAX_URL - 3]}..."
    kinds = ", ".join(sorted(one.kinds)) or "all events"
    return visible(
        f"{one.id}  {url}  {kinds}  {state}  {counts.get(State.WAITING, 0)} waiting, {counts.get(State.DEAD, 0)} dead"
    )


def _write_json(value: dict[str, Any]) -> None:
    import msgspec

    from . import output

    output.write_octets(output.inert(msgspec.json.encode(value)) + b"\n")
