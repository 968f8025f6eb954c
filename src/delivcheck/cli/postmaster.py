"""`delivcheck postmaster`: what Google says of a sender domain, brought into the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    from ..trace.store import Store

MISSING = 3


@click.group(name="postmaster")
def command() -> None:
    """Bring in what Google Postmaster Tools says: Gmail sends no complaint reports, so its spam rate is known from there alone.

    Exit codes: 0 done, 2 usage or configuration, 3 the file or the store cannot be read.
    """


@command.command(name="import")
@click.argument("file", metavar="FILE", type=click.File("rb"))
@options.group(
    click.option("--domain", metavar="DOMAIN", help="Whose numbers these are, where the file does not say."), *stores.WHERE
)
def bring(file: Any, domain: str | None, **given: Any) -> int:
    """Import days from a file, - for stdin: the API's trafficStats or domainStats as JSON, or CSV with date and spam rate.

    What was known of the same days is replaced.
    """

    def work(store: Store, tenant: int) -> int:
        from ..trace import audit, postmaster
        from . import output
        from .faults import say

        try:
            days = postmaster.parse(file.read(postmaster.MAX_FILE + 1), domain)
        except postmaster.BadImport as error:
            say(f"{file.name}: {error}")
            return MISSING
        with store.write() as db:
            number = tenant or store.tenant(db, given["tenant"])
            done = postmaster.store(db, number, days)
            names = sorted({one.domain for one in days})
            audit.note(db, number, stores.who(), "postmaster.import", ", ".join(names), {"days": done})
        first, last = min(one.day for one in days), max(one.day for one in days)
        output.write(f"{done} days of {', '.join(names)}, from {first} to {last}\n")
        return 0

    return stores.within(given, work)
