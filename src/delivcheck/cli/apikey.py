"""`delivcheck key api`: adds, lists and revokes the keys of the Web Service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    from ..trace.keys import Key

SCHEMA = "delivcheck-api-keys/1"
SCOPES = ("send", "check", "read", "suppress", "held", "admin")  # `trace.keys.Scope`, which --help does not import


@click.group(name="api")
def command() -> None:
    """Add, list and revoke the keys of the Web Service.

    Exit codes: 0 done, 2 usage or configuration, 3 the store cannot be read.
    """


@command.command(name="add")
@click.argument("name", metavar="NAME")
@options.group(
    click.option(
        "--scope",
        "scopes",
        multiple=True,
        required=True,
        type=click.Choice(SCOPES),
        help="What it may do; repeatable. admin is all, and webhooks.",
    ),
    click.option(
        "--domain", "domains", metavar="DOMAIN", multiple=True, help="From and MAIL FROM may be here, or below [any]."
    ),
    click.option(
        "--stream", "streams", metavar="NAME", multiple=True, help="Its mail belongs to these; the first by default [any]."
    ),
    click.option("--expires", metavar="DAYS", type=click.IntRange(1, 36_500), help="It ends after so many days [never]."),
    *stores.WHERE,
)
def add(name: str, **given: Any) -> int:
    """Make a key and print it. It is shown this once: the store has only its hash."""
    import time

    from . import output
    from .user import domains_of

    domains = domains_of(given["domains"])
    _check_streams(given)
    days = given["expires"]
    expires = None if days is None else time.time_ns() // 1_000_000 + days * 86_400_000

    def work() -> int:
        from ..trace import audit, keys

        store = stores.opened(given, make=True)
        try:
            store.migrate()
            with store.write() as db:
                tenant = store.tenant(db, given["tenant"])
                try:
                    key, token = keys.add(
                        db,
                        tenant,
                        name,
                        map(keys.Scope, given["scopes"]),
                        domains=domains,
                        streams=given["streams"],
                        expires=expires,
                    )
                except keys.BadKey as error:
                    raise click.UsageError(str(error), click.get_current_context()) from None
                detail = {"scopes": sorted(key.scopes), "domains": domains, "streams": given["streams"], "expires": expires}
                audit.note(db, tenant, stores.who(), "key.add", key.name, detail)
        finally:
            store.close()
        output.write(f"{token}\n")
        return 0

    return _said(work)


@command.command(name="list")
@options.group(
    *stores.WHERE,
    click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True),
)
def show(**given: Any) -> int:
    """List the keys and what they may do; no secret is known."""
    import msgspec

    from ..report.paint import visible
    from . import output

    def work(store: Any, tenant: int) -> int:
        from ..trace import keys

        with store.read() as db:
            found = keys.listing(db, tenant)
        if given["format"] == "json":
            rows = [_plain(one) for one in found]
            output.write_octets(output.inert(msgspec.json.encode({"schema": SCHEMA, "keys": rows})) + b"\n")
            return 0
        lines = [*(_row(one, keys.now()) for one in found), f"{len(found)} {'key' if len(found) == 1 else 'keys'}"]
        output.write("".join(f"{visible(line)}\n" for line in lines))
        return 0

    return stores.within(given, work)


@command.command(name="revoke")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@options.group(*stores.WHERE)
def revoke(names: tuple[str, ...], **given: Any) -> int:
    """Revoke keys by name or id; a running gate refuses them two seconds later. One that is unknown: nothing is changed."""

    def work(store: Any, tenant: int) -> int:
        from ..trace import audit, keys

        with store.write() as db:
            for name in names:
                try:
                    key = keys.revoke(db, tenant, name)
                except keys.BadKey as error:
                    raise click.UsageError(str(error), click.get_current_context()) from None
                audit.note(db, tenant, stores.who(), "key.revoke", key.name)
        return 0

    return stores.within(given, work)


def _said(work: Any) -> int:
    """Do it; a store that cannot be used is a line. The exit code."""
    try:
        from ..trace.store import StoreError
    except ImportError as error:
        raise click.UsageError(f"{error.name} is not installed: pip install 'delivcheck[gate]'") from None
    from .faults import say

    try:
        return int(work())
    except StoreError as error:
        say(str(error))
        return stores.MISSING


def _check_streams(given: dict[str, Any]) -> None:
    """A stream that the configuration does not have is a slip. Raises UsageError."""
    from .. import config
    from .user import known_streams

    if given["streams"]:
        known_streams(given["streams"], config.discover(given["config"], system=config.SYSTEM_FILE))


def _row(key: Key, now: int) -> str:
    limits = [f"{what} {', '.join(some)}" for what, some in (("domains", key.domains), ("streams", key.streams)) if some]
    state = "revoked" if key.revoked is not None else "" if key.good(now) else "expired"
    used = f"used {_day(key.used)}" if key.used is not None else "never used"
    ends = [f"until {_day(key.expires)}"] if key.expires is not None and not state else []
    return "  ".join(filter(None, (key.name, key.id, state, "; ".join([", ".join(sorted(key.scopes)), *limits, used, *ends]))))


def _plain(key: Key) -> dict[str, Any]:
    from ..trace.model import iso

    def when(at: int | None) -> str | None:
        return None if at is None else iso(at)

    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "domains": key.domains,
        "streams": key.streams,
        "created": when(key.created),
        "expires": when(key.expires),
        "revoked": when(key.revoked),
        "used": when(key.used),
    }


def _day(at: int) -> str:
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}"
