"""`delivcheck erase`: forget a person whom the trace knows by an address (GDPR article 17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    from ..trace.store import Store

LEFT = 1


@click.command(name="erase")
@click.argument("address", metavar="ADDRESS")
@options.group(
    click.option(
        "--reference", metavar="TEXT", default="", help="What stands in the audit log in place of the address: a ticket."
    ),
    click.option("--suppressions", is_flag=True, help="Those of the address, too: from then on mail goes there again."),
    click.option("--yes", is_flag=True, help="Do not ask."),
    *stores.WHERE,
)
def command(address: str, **given: Any) -> int:
    """Erase an address, and what is personal of the mail to it: subjects, headers, bodies, links, what was said of it.

    Figures stay, and that the address is suppressed, with the reason and since when: who objected must not be written to again.
    What is on its way makes the address known once more when a report of it comes; erase again then. Backups and logs keep what
    they have.

    Exit codes: 0 done, 1 held mail to the address is left, 2 usage or configuration, 3 the address is not known, or the store
    cannot be read.
    """
    context = click.get_current_context()
    if "@" not in address[1:-1]:
        raise click.UsageError(f"ADDRESS: {address!r} is no address", context)
    if not given["yes"]:
        import sys

        if sys.stdin is None or not sys.stdin.isatty():
            raise click.UsageError("this cannot be undone; without a terminal to ask, say --yes", context)
        click.confirm(f"Erase {address!r}? This cannot be undone.", abort=True, err=True)
    return stores.within(given, lambda store, tenant: _run(store, tenant, address, given))


def _run(store: Store, tenant: int, address: str, given: dict[str, Any]) -> int:
    from ..report.paint import visible
    from ..trace import upkeep
    from . import output
    from .faults import say

    if not tenant:  # nothing was ever told to this store, but that somebody asked is to be written down
        with store.write() as db:
            tenant = store.tenant(db, given["tenant"])
    bare = address[1:-1] if address.startswith("<") and address.endswith(">") else address
    done = upkeep.erase(store, tenant, bare, who=stores.who(), reference=given["reference"], suppressions=given["suppressions"])
    held = _held(bare, given)
    for trace in held:
        say(f"held mail to {bare} is left: delivcheck held discard {trace}")
    if done.nothing and not held:
        say(f"{bare}: not known")
        return stores.MISSING
    kept = "erased" if given["suppressions"] else "kept"
    messages = f"{done.messages} {'message' if done.messages == 1 else 'messages'}"
    suppressions = f"{done.suppressions} {'suppression' if done.suppressions == 1 else 'suppressions'} {kept}"
    output.write(f"{visible(bare)}: erased from {messages}, {suppressions}\n")
    return LEFT if held else 0


def _held(address: str, given: dict[str, Any]) -> list[str]:
    """Held mail to an address, which lies outside of the store; only where a configuration says where that is."""
    from ..gate.held import Entry, HeldStore
    from ..gate.settings import Hold
    from ..trace.model import normal

    gate = stores.configured(given)
    if gate is None:
        return []
    wanted = normal(address)
    entries = HeldStore(gate.state, gate.hold or Hold()).entries()
    return [one.trace for one in entries if isinstance(one, Entry) and wanted in {normal(to.address) for to in one.recipients}]
