"""`delivcheck trace`: what became of a message, or of those that are looked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import click

from . import options, stores

if TYPE_CHECKING:
    from pathlib import Path

    from ..report.paint import Paint
    from ..trace.messages import Message, Moment, Page, Summary
    from ..trace.queries import Query
    from ..trace.store import Store

SCHEMA = "delivcheck-trace/1"
LAST = 20  # messages of a list where nobody says how many
MAX_SUBJECT = 50  # columns of a subject in a list
EXPORTS = ("jsonl", "csv", "parquet")


def _complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    from ..trace.queries import KEYS

    return [f"{key}:" for key in KEYS if key.startswith(incomplete)]


@click.command(name="trace")
@click.argument("trace", metavar="[ID]", required=False)
@options.group(
    click.option("--recipient", "-r", metavar="ADDRESS", help="Messages to this address, or to @DOMAIN."),
    click.option("--last", "-n", metavar="N", type=click.IntRange(1), help=f"Only the newest [text and json: {LAST}]."),
    click.option(
        "--search",
        "-s",
        metavar="QUERY",
        shell_complete=_complete,
        help="to: from: domain: subject: status: event: stream: tag: template: rule: verdict: since: until: and others.",
    ),
    click.option("--headers", is_flag=True, help="The message's header, too, where it was kept."),
    click.option("--format", "-f", "format", type=click.Choice(["text", "json", *EXPORTS]), default="text", show_default=True),
    click.option("--output", "-o", metavar="FILE", type=click.Path(), help="Where to write [default: standard output]."),
    *stores.WHERE,
    options.COLOR,
)
def command(trace: str | None, **given: Any) -> int:
    """Show what happened to a message, or list those that are looked for, newest first. Times are UTC.

    ID is the trace id in the gate's reply and log, or its beginning. jsonl, csv and parquet have a row for each recipient of
    all that is found; of one message jsonl has its events.

    Exit codes: 0 done, 2 usage or configuration, 3 there is no such message, or the store cannot be read.
    """
    if trace is None and given["recipient"] is None and given["last"] is None and given["search"] is None:
        raise click.UsageError("which message? ID, --recipient, --last or --search", click.get_current_context())
    if trace is not None and not (given["recipient"] is given["last"] is given["search"] is None):
        raise click.UsageError("an ID is one message; leave it out to search", click.get_current_context())
    return stores.within(given, lambda store, tenant: _run(store, tenant, trace, given))


def _run(store: Store, tenant: int, trace: str | None, given: dict[str, Any]) -> int:
    query = _query(trace, given)
    if trace is None:
        return _list(store, tenant, query, given)
    from ..trace import messages
    from .faults import say

    with store.read() as db:
        name = trace.strip().upper()
        found = messages.get(db, tenant, name)
        near = None if found is not None else messages.search(db, tenant, query, limit=2)
        if near is not None and len(near.rows) == 1:
            found = messages.get(db, tenant, near.rows[0].trace)
    if found is None:
        several = near is not None and len(near.rows) > 1
        say(f"{trace}: {'the beginning of several messages; say more of it' if several else 'no such message'}")
        return stores.MISSING
    return _show(found, given)


def _query(trace: str | None, given: dict[str, Any]) -> Query:
    from dataclasses import replace

    from ..trace.queries import BadQuery, parse_query

    context = click.get_current_context()
    try:
        if trace is not None:
            return parse_query(f'trace:"{trace.strip()}"')
        query = parse_query(given["search"] or "")
    except BadQuery as error:
        raise click.UsageError(f"{'the ID' if trace is not None else '--search'}: {error}", context) from None
    if given["recipient"] is None:
        return query
    if query.recipient is not None:
        raise click.UsageError("--recipient and to: in --search are the same; one is enough", context)
    try:
        return replace(query, recipient=parse_query(f'to:"{given["recipient"]}"').recipient)
    except BadQuery as error:
        raise click.UsageError(f"--recipient: {str(error).removeprefix('to: ')}", context) from None


# --- one ---------------------------------------------------------------------------------------------------------


def _show(found: Message, given: dict[str, Any]) -> int:
    import msgspec

    from ..trace import shapes
    from . import output
    from .writing import json_octets, written

    if given["format"] == "text":
        paint = output.paint(given["color"])
        text = paint.finished(_described(found, paint, headers=given["headers"]))
        if given["output"] is None:
            output.write(text, paint.colour)
            return 0
        return written(iter([text.encode()]), given["output"])
    if given["format"] == "json":
        kept = {"headers": found.headers.decode("latin-1")} if given["headers"] and found.headers is not None else {}
        told = {"schema": SCHEMA, **msgspec.to_builtins(shapes.message(found)), **kept}
        return written(iter([json_octets(told)]), given["output"])
    if given["format"] == "jsonl":
        return written((json_octets(shapes.event(one)) for one in found.events), given["output"])
    raise click.UsageError(f"{given['format']} is for lists, not for one message", click.get_current_context())


def _described(found: Message, paint: Paint, *, headers: bool) -> list[str]:
    from ..report.paint import decoded, visible, wrapped
    from .writing import utc

    client = f", {found.client}" if found.client else ""
    listener = f" on {found.listener}" if found.listener else ""
    rules = f": {', '.join(found.rules)}" if found.rules else ""
    policy = f" by {found.policy}" if found.policy else ""
    rows = [
        ("received", f"{utc(found.received)} UTC, {found.framing or 'unknown'}{listener}{client}"),
        ("gate", found.gate),
        ("from", f"<{found.mail_from}>{f', From: {found.from_domain}' if found.from_domain else ''}"),
        ("subject", found.subject or "(none, or not kept)"),
        ("Message-ID", found.message_id),
        ("queue id", found.queue_id),
        ("stream", " ".join(part for part in (found.stream, found.message_class) if part)),
        ("template", found.template),
        ("tags", ", ".join(found.tags)),
        ("size", f"{found.size} octets" if found.size else ""),
        ("verdict", f"{found.verdict}{policy}{rules}" if found.verdict else "not judged"),
        ("done", f"{found.action}{f' ({found.mode})' if found.mode else ''}{f': {found.reason}' if found.reason else ''}"),
        ("bypass", found.bypass),
        ("next hop", found.next_hop),
        ("held as", found.held),
    ]
    lines = [paint("strong", found.trace)]
    lines += [line for name, text in rows if text for line in wrapped(visible(text), paint.width, f"  {name:<12}")]
    lines.append("")
    for to in found.named:
        provider = f" ({to.provider})" if to.provider else ""
        lines.append(f"  {visible(f'<{to.address}>{provider}')}  {paint(_role(to.state), to.state or 'unknown')}")
    lines.append("")
    for moment in found.timeline():
        source = "" if moment.source in {"gate", "journal"} else f"[{moment.source}]"
        text = " ".join(part for part in (_whom(moment, len(found.named)), source, _said(moment)) if part)
        kind = f"{moment.kind:<13}"
        head = f"  {utc(moment.at)}  {kind}"
        body = wrapped(visible(text), paint.width, head) if text else [head]
        body[0] = body[0].replace(kind, paint(_role(moment.kind), kind), 1)
        lines += body
    if found.left_out:
        lines.append(f"  ... and {found.left_out} more recipients and events: delivcheck events has all")
    for one in found.results:
        lines += ["", f"  {visible(one.level)}: {visible(one.rule)} ({visible(one.outcome)})"]
        lines += [line for problem in one.problems for line in wrapped(visible(problem), paint.width, "    ")]
    if found.links:
        lines += ["", "  links", *(f"    {number}  {visible(url)}" for number, url in enumerate(found.links))]
    if headers:
        lines += ["", *(visible(decoded(line)) for line in (found.headers or b"").splitlines())]
        lines += [] if found.headers is not None else ["  (the header was not kept)"]
    return lines


def _whom(moment: Moment, every: int) -> str:
    """To whom it happened, where that was not everybody."""
    if moment.recipients == ("",):
        return "(somebody)"
    if len(moment.recipients) == every:
        return ""
    return f"<{moment.recipients[0]}>" if len(moment.recipients) == 1 else f"{len(moment.recipients)} recipients"


# Details of events, what is best known first; the rest follows by name.
_FIRST = ("by", "verdict", "rules", "cause", "class", "status", "code", "reply", "text", "next_hop", "url", "why", "reason")
_UNSAID = frozenset({"suppress"})  # instructions of ours, no news
_SPEAKING = frozenset({"verdict", "reply", "text", "url", "rules"})  # need no name before them


def _said(moment: Moment) -> str:
    """What an event's detail says, on one line of words. Text of others, not fit to print."""
    detail = moment.detail
    names = [*(name for name in _FIRST if name in detail), *sorted(name for name in detail if name not in (*_FIRST, *_UNSAID))]
    parts = [part for name in names if (part := _part(name, detail[name]))]
    return ", ".join([moment.actor, *parts] if moment.actor else parts)


def _part(name: str, value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    if isinstance(value, list | tuple):
        text = " ".join(map(str, value))
    elif isinstance(value, Mapping):
        text = " ".join(f"{key}={one}" for key, one in value.items())
    else:
        text = str(value)
    return text if name in _SPEAKING else f"{name.replace('_', ' ')}: {text}"


_ROLES = {
    "refused": "error", "bounced": "error", "complained": "error", "discarded": "error", "held": "warning",
    "deferred": "warning", "uncertain": "unknown", "bypassed": "warning", "suppressed": "warning",
    "delivered": "pass", "opened": "pass", "clicked": "pass", "sent": "pass",
}  # fmt: skip


def _role(state: str) -> str:
    return _ROLES.get(state, "strong")


# --- several -----------------------------------------------------------------------------------------------------


def _list(store: Store, tenant: int, query: Query, given: dict[str, Any]) -> int:
    from ..trace.shapes import summary
    from . import output
    from .writing import json_octets, written

    if given["format"] in EXPORTS:
        return _export(store, tenant, query, given)
    rows, more = _found(store, tenant, query, given["last"] or LAST)
    if given["format"] == "json":
        told = {"schema": SCHEMA, "messages": [summary(one) for one in rows], "more": more}
        return written(iter([json_octets(told)]), given["output"])
    paint = output.paint(given["color"])
    lines = [_row(one, paint) for one in rows]
    if not rows:
        lines.append("no message matches")
    elif more:
        lines.append(f"... and older ones; --last {2 * len(rows)} shows more")
    text = paint.finished(lines)
    if given["output"] is None:
        output.write(text, paint.colour)
        return 0
    return written(iter([text.encode()]), given["output"])


def _found(store: Store, tenant: int, query: Query, number: int) -> tuple[list[Summary], bool]:
    """The newest of what is looked for, and whether there are more."""
    from ..trace import messages

    rows: list[Summary] = []
    after: str | None = None
    with store.read() as db:
        while True:
            page: Page = messages.search(db, tenant, query, after, min(number - len(rows), messages.MAX_LIMIT))
            rows += page.rows
            after = page.next
            if after is None or len(rows) >= number:
                return rows, after is not None


def _export(store: Store, tenant: int, query: Query, given: dict[str, Any]) -> int:
    from ..trace import export
    from .writing import written

    path: Path | None = given["output"]
    try:
        made: Iterator[bytes] = export.messages(store, tenant, export.Format(given["format"]), query, most=given["last"])
    except export.MissingExtra as error:
        raise click.UsageError(str(error), click.get_current_context()) from None
    return written(made, path, "json" if given["format"] == "jsonl" else given["format"])


def _row(one: Summary, paint: Paint) -> str:
    from ..report.paint import visible
    from .writing import cut, utc

    to = f"<{one.to[0][0]}>" if one.to else "nobody"
    more = f" and {one.recipients - 1} more" if one.recipients > 1 else ""
    states = ", ".join(
        f"{number} {state}" if len(one.states) > 1 else state or "unknown" for state, number in sorted(one.states.items())
    )
    first = next(iter(one.states), "") if len(one.states) == 1 else ""
    rules = f"  {', '.join(one.rules)}" if one.rules else ""
    head = visible(f"{one.trace}  {utc(one.received, fine=False)}  <{one.mail_from}> to {to}{more}  ")
    return f"{head}{paint(_role(first), visible(states))}  {visible(cut(visible(one.subject), MAX_SUBJECT) + rules)}"
