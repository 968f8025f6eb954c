"""`delivcheck suppress`: the addresses that get no mail, put on the list, taken off, found, brought in and written out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    import sqlalchemy as sa

    from ..trace.store import Store
    from ..trace.suppressions import Suppression

SCHEMA = "delivcheck-suppressions/1"
REASONS = ("bounce", "complaint", "unsubscribe", "manual")  # trace.model.Reason, which is not imported on the way to --help
MAX_FILE = 268_435_456  # octets: some four million addresses
NOT_THERE = 1

REASON = click.option("--reason", type=click.Choice(REASONS), default="manual", show_default=True, help="Why.")
STREAM = click.option("--stream", metavar="NAME", help="Only mail of this stream [default: all mail].")
NOTE = click.option("--note", metavar="TEXT", default="", help="For the next person who looks: a ticket, a name.")
UNTIL = click.option("--until", metavar="TIME", help="When it ends by itself, ISO 8601, UTC [default: never].")
ADDRESSES = click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)


@click.group(name="suppress")
def command() -> None:
    """Keep the list of addresses that the gate sends nothing to.

    A running gate knows of a change within seconds. What is done here stands in the audit log.

    Exit codes: 0 done, 1 an address was not on the list, 2 usage or configuration, 3 a file or the store cannot be read.
    """


@command.command(name="add")
@ADDRESSES
@options.group(REASON, STREAM, UNTIL, NOTE, *stores.WHERE)
def add(addresses: tuple[str, ...], **given: Any) -> int:
    """Put addresses on the list. One that is there stays, with the graver reason."""
    from ..trace.model import Reason

    found, until, stream = _read(addresses), _until(given["until"]), given["stream"] or ""

    def work(db: sa.Connection, tenant: int) -> int:
        from ..trace import audit, suppressions

        for address in found:
            new = suppressions.add(db, tenant, address, Reason(given["reason"]), stream=stream, note=given["note"], until=until)
            detail = {"reason": given["reason"], "stream": stream, "note": given["note"], "until": until, "new": new}
            audit.note(db, tenant, stores.who(), "suppression.add", address, detail)
            _say(f"{address}: {'suppressed' if new else 'was suppressed already'}{f' for {stream}' if stream else ''}")
        return 0

    return _written(given, work)


@command.command(name="remove")
@ADDRESSES
@options.group(
    click.option(
        "--stream", metavar="NAME", help='Only the entry of this stream ("": the one for all) [default: all entries].'
    ),
    NOTE,
    *stores.WHERE,
)
def remove(addresses: tuple[str, ...], **given: Any) -> int:
    """Take addresses off the list: from then on they get mail again."""
    found = _read(addresses)

    def work(db: sa.Connection, tenant: int) -> int:
        from ..trace import audit, suppressions
        from .faults import say

        code = 0
        for address in found:
            gone = suppressions.remove(db, tenant, address, stream=given["stream"])
            if not gone:
                say(f"{address} is not on the list")
                code = NOT_THERE
                continue
            detail = {"stream": given["stream"], "entries": gone, "note": given["note"]}
            audit.note(db, tenant, stores.who(), "suppression.remove", address, detail)
            _say(f"{address}: taken off the list")
        return code

    return _written(given, work)


@command.command(name="list")
@click.argument("search", metavar="[TEXT]", required=False)
@options.group(
    click.option("--reason", type=click.Choice(REASONS), help="Only these."),
    STREAM,
    click.option("--ended", is_flag=True, help="Those that have ended, too."),
    click.option("--limit", metavar="N", type=click.IntRange(1, 10_000), default=100, show_default=True, help="Lines."),
    click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True),
    *stores.WHERE,
)
def listing(search: str | None, **given: Any) -> int:
    """List the newest entries, or those with TEXT in the address."""

    def work(store: Store, tenant: int) -> int:
        from ..report.paint import visible
        from ..trace import shapes, suppressions
        from ..trace.model import Reason
        from . import output, writing

        with store.read() as db:
            found = suppressions.listed(
                db,
                tenant,
                reason=Reason(given["reason"]) if given["reason"] else None,
                stream=given["stream"],
                contains=search,
                ended=given["ended"],
                limit=given["limit"],
            )
        if given["format"] == "json":
            rows = [shapes.suppression(one) for one in found]
            output.write_octets(output.inert(writing.json_octets({"schema": SCHEMA, "suppressions": rows})))
            return 0
        more = ["(the newest; --limit shows more)"] if len(found) == given["limit"] else []
        lines = [*(visible(_row(one)) for one in found), *more]
        output.write(output.paint("auto").finished(lines or ["nobody is on the list"]))
        return 0

    return stores.within(given, work)


@command.command(name="import")
@click.argument("file", metavar="FILE|-", type=click.Path())
@options.group(
    click.option("--reason", type=click.Choice(REASONS), default="manual", show_default=True, help="Where the file says none."),
    click.option("--stream", metavar="NAME", help="Where the file says none [default: all mail]."),
    *stores.WHERE,
)
def import_(file: str, **given: Any) -> int:
    """Bring a list in: ours, the CSV export of an ESP, JSON lines, or one address a line. All of it, or nothing.

    Columns are found by their names: address (email, recipient ...), reason, stream, since (created_at ...), until, note.
    """
    from .faults import say

    text = _text(file)

    def work(db: sa.Connection, tenant: int) -> int:
        from ..trace import audit, suppressions
        from ..trace.model import Reason

        try:
            entries = suppressions.parsed(text, reason=Reason(given["reason"]), stream=given["stream"] or "")
            new, known = suppressions.imported(db, tenant, entries)
        except suppressions.SuppressionError as error:
            say(f"{file}: {error}")
            raise _NothingDone from None
        audit.note(db, tenant, stores.who(), "suppression.import", file, {"new": new, "known": known})
        _say(f"{new} suppressed, {known} {'was' if known == 1 else 'were'} on the list already")
        return 0

    return _written(given, work)


@command.command(name="export")
@options.group(
    click.option("--format", "-f", "format", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True),
    click.option("--output", "-o", metavar="FILE", type=click.Path(), help="Where to write [default: standard output]."),
    click.option("--ended", is_flag=True, help="Those that have ended, too."),
    *stores.WHERE,
)
def export(**given: Any) -> int:
    """Write the whole list out, as `import` takes it."""

    def work(store: Store, tenant: int) -> int:
        from ..trace import suppressions
        from . import writing

        def pieces() -> Iterator[bytes]:
            with store.read() as db:
                entries = suppressions.exported(db, tenant, ended=given["ended"])
                yield from (piece.encode() for piece in suppressions.written(entries, given["format"]))

        return writing.written(pieces(), given["output"])

    return stores.within(given, work)


# --- what they share ---------------------------------------------------------------------------------------------------


class _NothingDone(Exception):  # noqa: N818 -- a way out of a transaction, which is undone
    pass


def _written(given: dict[str, Any], work: Any) -> int:
    """Do something in one transaction; a store that is not there yet is made."""
    try:
        from ..trace.store import StoreError
    except ImportError as error:
        raise click.UsageError(f"{error.name} is not installed: pip install 'delivcheck[gate]'") from None
    from .faults import say

    try:
        store = stores.opened(given, make=True)
        try:
            store.migrate()
            with store.write() as db:
                return int(work(db, store.tenant(db, given["tenant"])))
        finally:
            store.close()
    except _NothingDone:
        return stores.MISSING
    except StoreError as error:
        say(str(error))
        return stores.MISSING


def _read(addresses: tuple[str, ...]) -> list[str]:
    """Addresses in their normal form. Raises UsageError."""
    try:
        from ..trace.suppressions import SuppressionError, address_of
    except ImportError as error:
        raise click.UsageError(f"{error.name} is not installed: pip install 'delivcheck[gate]'") from None
    try:
        return list(dict.fromkeys(map(address_of, addresses)))
    except SuppressionError as error:
        raise click.UsageError(str(error), click.get_current_context()) from None


def _until(text: str | None) -> int | None:
    """A time in the future, in Unix milliseconds. Raises UsageError."""
    if text is None:
        return None
    import time

    from ..trace.suppressions import SuppressionError, moment

    try:
        found = moment(text)
    except SuppressionError as error:
        raise click.UsageError(f"--until: {error}", click.get_current_context()) from None
    if found is None or found <= time.time() * 1000:
        raise click.UsageError(f"--until: {text} is over", click.get_current_context())
    return found


def _text(file: str) -> str:
    """What stands in a file, or on standard input. Raises UsageError."""
    import sys
    from pathlib import Path

    context = click.get_current_context()
    try:
        if file == "-":
            octets = sys.stdin.buffer.read(MAX_FILE + 1) if sys.stdin is not None else b""
        else:
            with Path(file).open("rb") as opened:
                octets = opened.read(MAX_FILE + 1)
    except OSError as error:
        from .faults import say

        say(f"{file}: {error.strerror or error}")
        raise click.exceptions.Exit(stores.MISSING) from None
    if len(octets) > MAX_FILE:
        raise click.UsageError(f"{file}: more than {MAX_FILE} octets", context)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{file}: not UTF-8: {error.reason} at octet {error.start}", context) from None


def _row(one: Suppression) -> str:
    from . import writing

    of = f" of {one.stream}" if one.stream else ""
    until = f" until {writing.utc(one.until, fine=False)}" if one.until is not None else ""
    note = f"  {one.note}" if one.note else ""
    return f"{one.address}{of}  {one.reason} since {writing.utc(one.since, fine=False)}{until}{note}"


def _say(line: str) -> None:
    from ..report.paint import visible
    from . import output

    output.write(f"{visible(line)}\n")
