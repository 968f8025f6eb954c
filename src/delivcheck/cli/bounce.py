"""`delivcheck bounce`: takes in what comes back, from a pipe of the MTA's or from a Maildir."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from ..config import Config
    from ..gate.settings import Gate

# sysexits.h, which is what MTAs know: Postfix's pipe(8) and local(8), Exim's pipe transport.
DATA, LATER, CONFIGURATION = 65, 75, 78


@click.command(name="bounce")
@click.argument("recipients", metavar="[RECIPIENT...]", nargs=-1)
@options.group(
    click.option("--maildir", metavar="DIR", type=click.Path(), help="Take in what is new in a Maildir, and move it to cur."),
    click.option("--explain", is_flag=True, help="Only say what the message on standard input is read as."),
    options.CONFIG,
)
def command(recipients: tuple[str, ...], **given: Any) -> int:
    r"""Take in a bounce, complaint or unsubscribing message from standard input.

    RECIPIENT is the address that it came to; without it, the message's own header is looked at. In Postfix's master.cf:

    \b
    delivcheck-bounce unix - n n - 4 pipe
      flags=q user=delivcheck argv=delivcheck bounce ${original_recipient}

    Exit codes: 0 taken in (also what is about no message of ours), 65 no message, 75 not just now, 78 configuration.
    """
    if given["maildir"] and (recipients or given["explain"]):
        raise click.UsageError("--maildir reads no standard input", click.get_current_context())
    if given["explain"]:
        return _explain(_octets())
    from ..config import ConfigError
    from .faults import say

    try:
        gate = _gate(given)
    except ConfigError as error:
        say(str(error))
        return CONFIGURATION
    if gate is None or gate.bounces is None:
        say("there is no [gate.bounces] table that says which domain our return paths have")
        return CONFIGURATION
    return _maildir(gate, given["maildir"]) if given["maildir"] else _take(gate, recipients)


def _gate(given: dict[str, Any]) -> Gate | None:
    """The gate of the configuration. Raises ConfigError."""
    from .. import config
    from ..gate import reading

    found: Config = config.discover(given["config"], system=config.SYSTEM_FILE)
    return None if found.gate is None else reading.read(found)


def _octets() -> bytes:
    """Standard input, up to one octet more than is taken."""
    import sys

    from ..trace.bounces.reading import MAX_OCTETS

    return sys.stdin.buffer.read(MAX_OCTETS + 1)


def _take(gate: Gate, recipients: tuple[str, ...]) -> int:
    import time

    from ..gate import tracing
    from ..trace.ingest import ingest
    from ..trace.intake import ReportError, TooEarlyError, sent_of, take_in
    from ..trace.store import StoreError
    from .faults import say

    assert gate.bounces is not None
    now = time.time_ns() // 1_000_000
    try:
        store, keys = tracing.store(gate), tracing.keys(gate)
        try:
            events = take_in(_octets(), recipients, keys, domain=gate.bounces.domain, find=sent_of(store), now=now)
            if events:
                ingest(store, events)
        finally:
            store.close()
    except ReportError as error:
        say(str(error))
        return DATA
    except (StoreError, TooEarlyError, OSError, ValueError) as error:
        say(str(error))
        return LATER
    return 0


def _maildir(gate: Gate, folder: str) -> int:
    from pathlib import Path

    from ..gate import tracing
    from ..gate.returned import Maildir
    from ..trace.store import StoreError
    from . import output
    from .faults import say

    assert gate.bounces is not None
    count = 0
    try:
        store, keys = tracing.store(gate), tracing.keys(gate)
        try:
            maildir = Maildir(Path(folder), store, keys, gate.bounces.domain)
            while done := maildir.once():
                count += done
        finally:
            store.close()
    except (StoreError, OSError, ValueError) as error:
        say(str(error))
        return LATER
    output.write(f"{count} taken in\n")
    return 0


def _explain(octets: bytes) -> int:
    from ..report.paint import visible
    from ..trace.bounces.model import ReportError
    from ..trace.bounces.reading import read
    from . import output
    from .faults import say

    try:
        report = read(octets)
    except ReportError as error:
        say(str(error))
        return DATA
    lines = [f"{report.what}"]
    if report.complaint is not None:
        lines.append(f"  {report.complaint.feedback} {report.complaint.agent} {' '.join(report.complaint.recipients)}")
    for fate in report.fates:
        lasting = "permanent" if fate.permanent else "not permanent"
        lines.append(f"  <{fate.recipient}> {fate.action} {fate.status or '-'} {fate.cause}, {lasting}")
        lines += [f"    {fate.diagnostic}"] if fate.diagnostic else []
        lines += [f"    {rule}" for rule in fate.rules]
    output.write("".join(f"{visible(line)}\n" for line in lines))
    return 0
