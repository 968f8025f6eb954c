"""`delivcheck held`: what the gate holds, shown, released, discarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from . import options

if TYPE_CHECKING:
    from pathlib import Path

    from ..config import Config
    from ..gate.held import Damaged, Entry, HeldStore
    from ..gate.release import Released
    from ..gate.settings import Gate

SCHEMA = "delivcheck-held-list/1"
MAX_REASON = 100  # characters of a reason in the list
MAX_SUBJECT = 50  # columns of a subject in the list
HEADER = 65_536  # octets of a message in which its subject is looked for; Postfix's header_size_limit is 102,400 for one field
MISSING = 3  # report.words.Exit's number for an input that is not there, which is not imported on the way to --help
LEFT = 1

STATE = click.option(
    "--state", metavar="DIR", type=click.Path(), help="The gate's state folder [default: `state` of [gate], or its default]."
)
FORMAT = click.option("--format", "-f", "format", type=click.Choice(["text", "json"]), default="text", show_default=True)
TRACES = click.argument("traces", metavar="TRACE...", nargs=-1, required=True)


@click.group(name="held")
def command() -> None:
    """List, show, release or discard the mail that the gate holds.

    Exit codes: 0 done, 1 something was not released, 2 usage or configuration, 3 there is no such message or it cannot be read.
    """


@command.command(name="list")
@options.group(STATE, options.CONFIG, FORMAT)
def listing(**given: Any) -> int:
    """List what is held, oldest first."""
    from . import output

    store = _store(given)

    def work() -> None:
        found = store.entries()
        if given["format"] == "json":
            _write_json({"schema": SCHEMA, "held": [_plain(one, store) for one in found]})
            return
        count = f"{len(found)} {'message' if len(found) == 1 else 'messages'} held, {store.usage().octets} octets"
        output.write(output.paint("auto").finished([*(_row(one, store) for one in found), count]))

    return _said(work)


@command.command(name="show")
@click.argument("trace", metavar="TRACE")
@options.group(
    STATE,
    options.CONFIG,
    FORMAT,
    click.option("--octets", is_flag=True, help="The message too, with nothing in it that the terminal would obey."),
    click.option("--raw", is_flag=True, help="Only the message, exactly as it came, for a file or a pipe."),
)
def show(trace: str, **given: Any) -> int:
    """Show the envelope of a held message, why it is held and what was found.

    To look at the message with other programs: delivcheck held show TRACE --raw > message.eml
    """
    import sys

    from ..report.paint import decoded, visible
    from . import output

    context = click.get_current_context()
    if given["raw"] and (given["octets"] or given["format"] == "json"):
        raise click.UsageError("--raw is the message and nothing else", context)
    if given["raw"] and sys.stdout is not None and sys.stdout.isatty():
        raise click.UsageError("--raw is not for a terminal, which would obey what is in a message; say --octets", context)
    store = _store(given)

    def work() -> None:
        entry = store.entry(_name(trace))
        octets = store.octets(entry) if given["octets"] or given["raw"] else b""
        if given["raw"]:
            output.write_octets(octets)
        elif given["format"] == "json":
            text = {"octets": octets.decode("latin-1")} if given["octets"] else {}  # one character for each octet
            _write_json({**_plain(entry, store), **text})
        else:
            lines = octets.removesuffix(b"\r\n").split(b"\r\n") if given["octets"] else []
            message = ["", *(visible(decoded(line)) for line in lines)] if lines else []
            output.write(output.paint("auto").finished([*_described(entry, store), *message]))

    return _said(work)


@command.command(name="release")
@click.argument("traces", metavar="[TRACE...]", nargs=-1)
@options.group(
    click.option("--all", "every", is_flag=True, help="All that is held, oldest first."),
    options.CONFIG,
)
def release(traces: tuple[str, ...], every: bool, **given: Any) -> int:
    """Judge held messages again, and send those that pass; the others stay held.

    A recipient whose next hop does not take the message stays held, too.
    """
    import asyncio

    if bool(traces) == every:
        raise click.UsageError("either TRACE... or --all", click.get_current_context())
    found, gate = _gate(given)
    if gate is None:
        where = str(found.path) if found.path is not None else "there is no delivcheck.toml"
        raise click.UsageError(f"to judge again takes the gate's configuration: {where} without [gate]")
    return asyncio.run(_release(found, gate, [_name(one) for one in traces]))


async def _release(found: Config, gate: Gate, names: list[str]) -> int:
    from ..gate.held import HeldError
    from ..gate.journal import JournalError
    from ..gate.serve.log import Log
    from ..gate.serve.releasing import releaser
    from ..report.paint import visible
    from . import output
    from .faults import say

    code = 0
    try:
        # What is sent from here stands in a log as all that the gate sends does.
        async with releaser(found, gate, Log(gate.log_format, gate.log_level)) as by:
            names = names or [one.trace for one in by.store.entries()]
            if not names:  # what was asked for is so; a cron job that releases everything must not fail on a quiet day
                output.write(f"nothing is held in {visible(str(by.store.folder))}\n")
            for name in names:
                try:
                    done = await by.release(name)
                except HeldError as error:
                    say(str(error))
                    code = MISSING
                else:
                    output.write("".join(f"{visible(line)}\n" for line in _ended(done)))
                    code = code or (LEFT if done.left else 0)
    except (JournalError, OSError) as error:
        say(str(error))
        return MISSING
    return code


@command.command(name="discard")
@TRACES
@options.group(STATE, options.CONFIG)
def discard(traces: tuple[str, ...], **given: Any) -> int:
    """Delete held messages for good. Their senders are not told."""
    from ..gate import release
    from ..gate.serve.log import Log
    from . import output

    store, log = _store(given), Log()
    code, done = 0, list[str]()
    for name in map(_name, traces):

        def work(name: str = name) -> None:
            release.discard(store, name, log)
            output.write(f"{name} discarded\n")

        failed = _said(work)
        done += [] if failed else [name]
        code = failed or code
    return _traced(given, done, "discarded") or code


@command.command(name="expire")
@options.group(STATE, options.CONFIG)
def expire(**given: Any) -> int:
    """Delete what is held for longer than `keep-days` of [gate.hold]; a running gate does so a day later by itself."""
    from datetime import UTC, datetime

    from ..gate.serve.log import Log
    from . import output

    store, log = _store(given), Log()
    done: list[str] = []

    def work() -> None:
        for trace in store.expire(datetime.now(UTC)):
            log("held", what="expired", trace=trace, reason="")
            output.write(f"{trace} expired\n")
            done.append(trace)

    code = _said(work)
    return _traced(given, done, "expired") or code


def _traced(given: dict[str, Any], traces: list[str], why: str) -> int:
    """Tell the trace, where there is one, what became of held mail; the exit code."""
    import asyncio

    from ..gate import record
    from ..gate.journal import Journal, JournalError
    from .faults import say

    _, gate = _gate(given)
    if gate is None or gate.trace is None or not traces:
        return 0

    async def note() -> None:
        async with Journal(gate.state) as journal:
            await journal.noted([record.discarded(one, why) for one in traces])

    try:
        asyncio.run(note())
    except (JournalError, OSError) as error:
        say(f"{why}, but the trace does not know: {error}")
        return MISSING
    return 0


# --- where, and which --------------------------------------------------------------------------------------------


def _gate(given: dict[str, Any]) -> tuple[Config, Gate | None]:
    """The configuration, and the gate in it. Raises ConfigError."""
    from .. import config
    from ..gate import reading

    found = config.discover(given["config"], system=config.SYSTEM_FILE)
    return found, None if found.gate is None else reading.read(found)


def _store(given: dict[str, Any]) -> HeldStore:
    """Where held mail is. Raises UsageError, ConfigError."""
    from pathlib import Path

    from ..gate.held import HeldStore
    from ..gate.settings import Hold

    found, gate = _gate(given)
    hold = gate.hold if gate is not None and gate.hold is not None else Hold()
    if given["state"] is not None:
        state: Path = Path(given["state"])
    elif gate is not None:
        state = gate.state
    else:
        where = f"{found.path} has no [gate]" if found.path is not None else "there is no delivcheck.toml"
        raise click.UsageError(f"whose held mail? {where}; name the state folder with --state", click.get_current_context())
    return HeldStore(state, hold)


def _name(trace: str) -> str:
    """A trace id as people type it; replies and the log have it in capitals."""
    return trace.strip().upper()


def _said(work: Callable[[], None]) -> int:
    """Do something with held mail; what is not there, or cannot be read, is a line on stderr. The exit code."""
    from ..gate.held import HeldError
    from .faults import say

    try:
        work()
    except HeldError as error:
        say(str(error))
        return MISSING
    return 0


# --- in words ----------------------------------------------------------------------------------------------------


def _row(one: Entry | Damaged, store: HeldStore) -> str:
    from ..gate.held import Damaged
    from ..report.paint import visible

    if isinstance(one, Damaged):
        return visible(f"{one.trace}  damaged: {one.reason}")
    to = one.recipients[0].address if one.recipients else ""
    more = f" and {len(one.recipients) - 1} more" if len(one.recipients) > 1 else ""
    reason = one.reason if len(one.reason) <= MAX_REASON else f"{one.reason[: MAX_REASON - 3]}..."
    return visible(
        f"{one.trace}  {one.held:%Y-%m-%d %H:%M}  <{one.sender.address}> to <{to}>{more}  {one.size} octets  "
        f"{_cut(_subject(one, store))}  {reason}"
    )


def _file(one: Entry, store: HeldStore) -> Path:
    """Where the octets are."""
    return store.folder / f"{one.trace}.eml"


def _subject(one: Entry, store: HeldStore) -> str:
    """The subject, its encoded words decoded and safe to print; in words where there is none to show."""
    from ..gate.held import HeldError
    from ..mime.headers import display_text
    from ..mime.message import MessageError, header_of
    from ..report.paint import visible

    try:
        header = header_of(store.beginning(one, HEADER))
    except HeldError as error:
        return f"(unreadable: {str(error).removeprefix(f'{one.trace}: ')})"
    except MessageError:
        return "(no header)"
    found = next((field for field in header if field.lower == "subject"), None)
    return "(no subject)" if found is None else visible(display_text(found).strip()) or "(empty subject)"


def _cut(text: str) -> str:
    """The beginning of a text, in MAX_SUBJECT columns."""
    from ..report.paint import cells

    begin = text[: 4 * MAX_SUBJECT]  # characters that take no column are not collected without end
    if begin == text and cells(text) <= MAX_SUBJECT:
        return text
    used = 0
    for at, character in enumerate(begin):
        used += cells(character)
        if used > MAX_SUBJECT - len("..."):
            return f"{begin[:at]}..."
    return f"{begin}..."


def _described(one: Entry, store: HeldStore) -> list[str]:
    """An entry line by line; nothing in it acts on a terminal."""
    from ..report.paint import visible

    user = "" if one.credential is None else f", user {one.credential.name}"
    rows = [
        ("trace", one.trace),
        ("held since", f"{one.held:%Y-%m-%d %H:%M:%S} UTC"),
        (
            "received",
            f"{one.received.astimezone(one.held.tzinfo):%Y-%m-%d %H:%M:%S} UTC, {one.protocol} on {one.listener}{user}",
        ),
        ("client", f"{one.ip or 'a UNIX socket'}{f' ({one.helo})' if one.helo else ''}{f', {one.tls}' if one.tls else ''}"),
        ("from", f"<{one.sender.address}>"),
        *(("to", f"<{recipient.address}>") for recipient in one.recipients),
        ("subject", _subject(one, store)),
        ("next hop", one.next_hop or "by route"),
        *([("stream", one.stream)] if one.stream else []),
        ("size", f"{one.size} octets, SHA-256 {one.sha256}"),
        ("file", f"{_file(one, store)} (--octets shows it, --raw writes it out)"),
        ("reason", one.reason),
    ]
    lines = [f"{name + ':':<12}{visible(text)}" for name, text in rows]
    for finding in one.findings:
        lines.append("")
        lines.append(visible(f"{finding.level}: {finding.rule} ({finding.outcome})"))
        lines += [visible(f"  {said}") for said in finding.found]
    return lines


def _ended(done: Released) -> list[str]:
    if not done.replies:
        return [f"{done.trace} stays held: {done.decision.reason or done.decision.reply.text}"]
    taken = sum(reply.positive for _, reply in done.replies)
    lines = [f"{done.trace} released to {taken} of {len(done.replies)} recipients"]
    return [*lines, *(f"  <{address}> stays held: {reply}" for address, reply in done.replies if not reply.positive)]


def _plain(one: Entry | Damaged, store: HeldStore) -> dict[str, Any]:
    import msgspec

    from ..gate.held import Damaged

    plain: dict[str, Any] = msgspec.to_builtins(one)
    if isinstance(one, Damaged):
        return plain
    return {**plain, "subject": _subject(one, store), "file": str(_file(one, store))}


def _write_json(value: dict[str, Any]) -> None:
    import msgspec

    from . import output

    output.write_octets(output.inert(msgspec.json.encode(value)) + b"\n")
