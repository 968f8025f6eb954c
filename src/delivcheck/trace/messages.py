"""Messages as they are read: searched, shown with all that happened to them, and followed event by event.

Every function takes a connection of `Store.read` and the tenant's number, and sees nothing of another tenant.

Over 500 lines because lists, one message and the stream of events read the same rows into the same values.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import msgspec
import sqlalchemy as sa

from .. import ulid
from . import schema
from .model import Kind
from .queries import Query
from .records import BUCKET
from .schema import message as m
from .schema import recipient as r

DEFAULT_LIMIT = 50  # rows of a page
MAX_LIMIT = 500  # Postmark's /messages and /bounces give as many
MAX_EVENT_LIMIT = 1_000  # events of a page of the cursor; Mailgun gives 300, Stripe 100
SHOWN = 3  # recipients that a row of a list names
MAX_RECIPIENTS = 1_000  # recipients of one message that are shown; Postfix's smtpd_recipient_limit
MAX_TIMELINE = 5_000  # events of one message that are shown
SLACK = timedelta(days=1)  # between a trace id, made when the session began, and `received`; clocks are set back by less
NOBODY = ""  # `recipient.normal` of nobody in particular: who opened or clicked where tracking is aggregate
_PIECE = 400  # values in one IN: SQLite before 3.32 takes 999 parameters


@dataclass(frozen=True, slots=True)
class Summary:
    """A message in a list. `to` are its first recipients with their states, `states` counts all of them by state."""

    trace: str
    received: int
    subject: str
    mail_from: str
    from_domain: str
    stream: str
    template: str
    client: str
    verdict: str
    action: str
    size: int
    rules: tuple[str, ...]
    tags: tuple[str, ...]
    to: tuple[tuple[str, str], ...]  # (address, state)
    states: Mapping[str, int]

    @property
    def recipients(self) -> int:
        """How many it has."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list, newest first. `next` is the cursor of the page after it, None on the last one."""

    rows: tuple[Summary, ...]
    next: str | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient, and where the message stands there. `seen` is all that ever happened, in the usual order."""

    id: int
    address: str  # as it came
    normal: str
    provider: str
    state: str
    updated: int
    seen: tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to one recipient, with what is said of its message, as `shapes.event` tells it."""

    seq: int
    id: str
    trace: str
    kind: Kind
    at: int
    recipient: str
    source: str
    actor: str | None
    detail: Mapping[str, Any]
    stream: str
    template: str
    from_domain: str
    message_id: str
    provider: str
    verdict: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a rule said of the message."""

    rule: str
    outcome: str
    level: str
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Moment:
    """What happened at one time, in one way, to one or more recipients alike: a line of the timeline."""

    kind: Kind
    at: int
    source: str
    actor: str | None
    detail: Mapping[str, Any]
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message and everything that is known of it. Lists end at MAX_RECIPIENTS and MAX_TIMELINE; `left_out` says so."""

    trace: str
    received: int
    framing: str
    listener: str
    client: str
    stream: str
    message_class: str
    template: str
    mail_from: str
    from_domain: str
    subject: str
    message_id: str
    queue_id: str
    size: int
    sha256: str
    verdict: str
    policy: str
    action: str
    rules: tuple[str, ...]
    reason: str
    bypass: str
    mode: str
    next_hop: str
    judge_ms: float
    tracking: str
    held: str
    headers: bytes | None  # None: not kept
    has_body: bool
    tags: tuple[str, ...]
    recipients: tuple[Recipient, ...]
    events: tuple[Event, ...]  # in the order in which they happened
    results: tuple[Result, ...]
    links: tuple[str, ...]
    left_out: int = field(default=0)  # recipients and events beyond the limits
    gate: str = ""  # which of several it was

    @property
    def named(self) -> tuple[Recipient, ...]:
        """The recipients, without the somebody who opened or clicked where tracking is aggregate."""
        return tuple(one for one in self.recipients if one.normal != NOBODY)

    def timeline(self) -> tuple[Moment, ...]:
        """The events, those that say the same of several recipients at the same time as one."""

        def alike(one: Event) -> tuple[Any, ...]:
            return one.at, one.kind, one.source, one.actor or "", msgspec.json.encode(one.detail, order="deterministic")

        found: list[Moment] = []
        for _, group in groupby(sorted(self.events, key=lambda one: (one.at, _ORDER[one.kind], alike(one)[2:])), key=alike):
            same = list(group)
            first = same[0]
            to = tuple(dict.fromkeys(one.recipient for one in same))
            found.append(Moment(first.kind, first.at, first.source, first.actor, first.detail, to))
        return tuple(found)


_ORDER = {kind: number for number, kind in enumerate(Kind)}


# --- search ------------------------------------------------------------------------------------------------------


def search(
    db: sa.Connection, tenant: int, query: Query | None = None, after: str | None = None, limit: int = DEFAULT_LIMIT
) -> Page:
    """The messages that a query asks for, newest first, from behind the cursor `after` (`Page.next`) on. Buckets are none.

    The cursor is the last trace id, so that a page stays what it was whatever comes in meanwhile. Any text will do for it.
    """
    limit = max(1, min(limit, MAX_LIMIT))
    found = traces(db, tenant, query or Query(), after, limit + 1)
    return Page(summaries(db, tenant, found[:limit]), found[limit - 1] if len(found) > limit else None)


def latest(db: sa.Connection, tenant: int, limit: int = DEFAULT_LIMIT) -> tuple[Summary, ...]:
    """The newest messages."""
    return search(db, tenant, limit=limit).rows


def traces(db: sa.Connection, tenant: int, query: Query, after: str | None = None, limit: int = MAX_LIMIT) -> list[str]:
    """Only the ids of what `search` finds: for who goes through all of them."""
    return [row[0] for row in db.execute(_matching(tenant, query, _id(after)).limit(limit))]


def _matching(tenant: int, query: Query, after: str | None) -> sa.Select[str]:
    """The ids, newest first.

    Whichever of recipient, tag, rule and state is asked for leads, the one likely to be rarest first: each has an index that
    ends in the message's id, so that the database reads along it, already in order, and stops when the page is full.
    """
    to = _of_recipient(query)
    of_message = _of_message(query)
    within: list[sa.ColumnElement[bool]] = []
    tags, rules = [*query.tags], [*query.rules]
    lead: sa.Table
    if query.recipient is not None and not query.recipient.startswith("@"):
        lead, column = r, r.c.message
        within += to
        to = []
    elif rules:
        lead, column = schema.result, schema.result.c.message
        within += [schema.result.c.rule == rules.pop(0)]
    elif tags:
        lead, column = schema.tag, schema.tag.c.message
        within += [schema.tag.c.tag == tags.pop(0)]
    elif query.state is not None:
        lead, column = r, r.c.message
        within += to
        to = []
    else:
        lead, column = m, m.c.id
    # Without statistics SQLite takes the index of the tenant for the better one, which has all of its messages.
    within.append(lead.c.tenant + 0 == tenant if lead is m and query.queue_id is not None else lead.c.tenant == tenant)
    if query.recipient is None and lead is not schema.result:
        of_message.append(m.c.framing != BUCKET)  # which has no recipients, and no rule said anything of it
    # Where nothing else is asked of the message, the index alone answers.
    source: sa.FromClause = lead if lead is m or not of_message else lead.join(m, m.c.id == column)
    wanted = sa.select(column).select_from(source).where(*within, *of_message)
    if to:
        wanted = wanted.where(sa.exists(sa.select(1).where(r.c.message == column, *to).correlate_except(r)))
    for name in tags:
        other = schema.tag.alias()
        wanted = wanted.where(
            sa.exists(sa.select(1).where(other.c.message == column, other.c.tag == name).correlate_except(other))
        )
    for name in rules:
        said = schema.result.alias()
        wanted = wanted.where(
            sa.exists(sa.select(1).where(said.c.message == column, said.c.rule == name).correlate_except(said))
        )
    for low, high in _bounds(query, after):
        wanted = wanted.where(column >= low) if low is not None else wanted
        wanted = wanted.where(column < high) if high is not None else wanted
    if lead is r:
        wanted = wanted.group_by(column)
    if query.message_id is not None or query.queue_id is not None:
        # Few have it, and an index finds them; in the order of ids, which both databases would take, all would be looked at.
        return wanted.order_by(column.concat("").desc())
    return wanted.order_by(column.desc())


def _of_recipient(query: Query) -> list[sa.ColumnElement[bool]]:
    found: list[sa.ColumnElement[bool]] = []
    if query.recipient is not None:
        if query.recipient.startswith("@"):
            found.append(r.c.normal.endswith(query.recipient, autoescape=True))
        else:
            found.append(r.c.normal == query.recipient)
    if query.state is not None:
        found.append(r.c.state == query.state.value)
    if query.provider is not None:
        found.append(r.c.provider == query.provider)
    found += [r.c.seen.op("&")(kind.bit) != 0 for kind in query.kinds]
    return found


def _of_message(query: Query) -> list[sa.ColumnElement[bool]]:
    exact = {
        m.c.stream: query.stream,
        m.c.template: query.template,
        m.c.client: query.client,
        m.c.verdict: query.verdict,
        m.c.queue_id: query.queue_id,
    }
    found: list[sa.ColumnElement[bool]] = [column == value for column, value in exact.items() if value is not None]
    if query.sender is not None:
        found.append(sa.func.lower(m.c.mail_from) == query.sender.lower())
    if query.from_domain is not None:
        found.append(sa.func.lower(m.c.from_domain) == query.from_domain.lower())
    if query.message_id is not None:
        bare = query.message_id.removeprefix("<").removesuffix(">")
        found.append(m.c.message_id.in_([bare, f"<{bare}>"]))
    found += [m.c.subject.icontains(part, autoescape=True) for part in query.subject]
    if query.since is not None:
        found.append(m.c.received >= query.since)
    if query.until is not None:
        found.append(m.c.received < query.until)
    return found


def _bounds(query: Query, after: str | None) -> Iterator[tuple[str | None, str | None]]:
    """Between which ids the answer lies: from the first on, before the second."""
    if query.trace is not None:
        yield query.trace, f"{query.trace:Z<26}0"  # "Z" is the last digit in every collation
    if after is not None:
        yield None, after
    # Only to spare the database old messages; `received` decides.
    if query.since is not None:
        yield _floor(query.since, -SLACK), None
    if query.until is not None:
        yield None, _floor(query.until, SLACK)


def _floor(milliseconds: int, by: timedelta) -> str | None:
    try:
        return ulid.floor(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds) + by)
    except OverflowError:
        return None


def _id(text: str | None) -> str | None:
    """A cursor, without what a database does not take."""
    return None if text is None else text[:26].encode("ascii", "replace").decode().replace("\0", "")


def summaries(db: sa.Connection, tenant: int, wanted: Sequence[str]) -> tuple[Summary, ...]:
    """The rows of these ids, in their order; those that are not there, or another tenant's, are left out."""
    if not wanted:
        return ()
    tags, to, states = _tags(db, wanted), _first(db, wanted), _states(db, wanted)
    rows = {
        row.id: row for piece in _pieces(wanted) for row in db.execute(_SUMMARY.where(m.c.id.in_(piece), m.c.tenant == tenant))
    }
    return tuple(
        Summary(
            row.id, row.received, row.subject, row.mail_from, row.from_domain, row.stream, row.template, row.client,
            row.verdict, row.action, row.size, _texts(row.rules), tags.get(row.id, ()), to.get(row.id, ()),
            states.get(row.id, {}),
        )
        for row in (rows[one] for one in wanted if one in rows)
    )  # fmt: skip


_SUMMARY = sa.select(
    m.c.id, m.c.received, m.c.subject, m.c.mail_from, m.c.from_domain, m.c.stream, m.c.template, m.c.client, m.c.verdict,
    m.c.action, m.c.size, m.c.rules,
)  # fmt: skip


def _tags(db: sa.Connection, wanted: Sequence[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for piece in _pieces(wanted):
        rows = (
            sa.select(schema.tag.c.message, schema.tag.c.tag).where(schema.tag.c.message.in_(piece)).order_by(schema.tag.c.tag)
        )
        for trace, name in db.execute(rows):
            found.setdefault(trace, []).append(name)
    return {trace: tuple(names) for trace, names in found.items()}


def _first(db: sa.Connection, wanted: Sequence[str]) -> dict[str, tuple[tuple[str, str], ...]]:
    """The first recipients of each message: by their number, so that a message to thousands costs no more."""
    found: dict[str, list[tuple[str, str]]] = {}
    for piece in _pieces(wanted):
        place = sa.func.row_number().over(partition_by=r.c.message, order_by=r.c.number).label("place")
        every = (
            sa.select(r.c.message, r.c.address, r.c.state, place).where(r.c.message.in_(piece), r.c.normal != NOBODY).subquery()
        )
        for row in db.execute(sa.select(every).where(every.c.place <= SHOWN).order_by(every.c.message, every.c.place)):
            found.setdefault(row.message, []).append((row.address, row.state))
    return {trace: tuple(to) for trace, to in found.items()}


def _states(db: sa.Connection, wanted: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for piece in _pieces(wanted):
        to = sa.select(r.c.message, r.c.state, sa.func.count()).where(r.c.message.in_(piece), r.c.normal != NOBODY)
        counted = to.group_by(r.c.message, r.c.state)
        for trace, state, number in db.execute(counted):
            found.setdefault(trace, {})[state] = number
    return found


def _pieces(wanted: Sequence[str]) -> Iterator[Sequence[str]]:
    return (wanted[at : at + _PIECE] for at in range(0, len(wanted), _PIECE))


# --- one message -------------------------------------------------------------------------------------------------


def get(db: sa.Connection, tenant: int, trace: str) -> Message | None:
    """A message with everything that is known of it, or None: also where it is another tenant's."""
    columns = [column for column in m.c if column is not m.c.body]
    trace = _id(trace) or ""
    row = db.execute(
        sa.select(*columns, m.c.body.is_not(None).label("has_body")).where(m.c.id == trace, m.c.tenant == tenant)
    ).first()
    if row is None:
        return None
    recipients = db.execute(sa.select(r).where(r.c.message == trace).order_by(r.c.number, r.c.id).limit(MAX_RECIPIENTS)).all()
    happened = (
        _EVENTS.where(schema.event.c.message == trace).order_by(schema.event.c.at, schema.event.c.seq).limit(MAX_TIMELINE)
    )
    tags = _tags(db, [trace]).get(trace, ())
    events = tuple(_event(one, tags) for one in db.execute(happened))
    out = 0
    if len(recipients) == MAX_RECIPIENTS:
        out += _count(db, r, trace) - len(recipients)
    if len(events) == MAX_TIMELINE:
        out += _count(db, schema.event, trace) - len(events)
    said = db.execute(sa.select(schema.result).where(schema.result.c.message == trace).order_by(schema.result.c.rule))
    links = db.scalars(sa.select(schema.link.c.url).where(schema.link.c.message == trace).order_by(schema.link.c.number))
    known = row._mapping  # noqa: SLF001 -- SQLAlchemy's documented way; "class" is no attribute's name
    return Message(
        trace=trace,
        **{name: known[name] for name in _SAME},
        message_class=known["class"],
        rules=_texts(row.rules),
        tags=tags,
        recipients=tuple(
            Recipient(one.id, one.address, one.normal, one.provider, one.state, one.updated, seen(one.seen))
            for one in recipients
        ),
        events=events,
        results=tuple(Result(one.rule, one.outcome, one.level, _texts(one.problems)) for one in said),
        links=tuple(links),
        left_out=out,
    )


def body(db: sa.Connection, tenant: int, trace: str) -> bytes | None:
    """The body, where one was kept."""
    found: bytes | None = db.scalar(sa.select(m.c.body).where(m.c.id == (_id(trace) or ""), m.c.tenant == tenant))
    return found


def seen(bits: int) -> tuple[Kind, ...]:
    """What `recipient.seen` says, in the usual order."""
    return tuple(kind for kind in Kind if bits & kind.bit)


_SAME = (
    "received", "framing", "listener", "client", "stream", "template", "mail_from", "from_domain", "subject", "message_id",
    "queue_id", "size", "sha256", "verdict", "policy", "action", "reason", "bypass", "mode", "next_hop", "judge_ms", "tracking",
    "held", "headers", "has_body", "gate",
)  # fmt: skip


def _count(db: sa.Connection, table: sa.Table, trace: str) -> int:
    return db.scalar(sa.select(sa.func.count()).select_from(table).where(table.c.message == trace)) or 0


def _texts(json: str) -> tuple[str, ...]:
    """A JSON list of strings."""
    found = msgspec.json.decode(json or "[]")
    return tuple(map(str, found)) if isinstance(found, list) else ()


# --- events ------------------------------------------------------------------------------------------------------

e = schema.event
_EVENTS = (
    sa.select(e, r.c.address, r.c.provider, m.c.stream, m.c.template, m.c.from_domain, m.c.message_id, m.c.verdict)
    .join(r, r.c.id == e.c.recipient)
    .join(m, m.c.id == e.c.message)
)


def events(
    db: sa.Connection,
    tenant: int,
    after_seq: int = 0,
    limit: int = MAX_EVENT_LIMIT,
    kinds: Iterable[Kind] = (),
    *,
    to: int | None = None,
    since: int | None = None,
    until: int | None = None,
) -> list[Event]:
    """The events behind a cursor (the last `Event.seq`, 0 from the beginning), in the order in which they came in.

    `to`: the last `seq` that is looked at. `kinds` empty: all.
    `since` and `until`, Unix milliseconds, are about when they happened. Gone is what was kept long enough.
    """
    wanted = _EVENTS.where(e.c.tenant == tenant, e.c.seq > min(max(after_seq, 0), 2**63 - 1)).order_by(e.c.seq)
    only = [kind.value for kind in kinds]
    if only:
        wanted = wanted.where(e.c.kind.in_(only))
    if to is not None:
        wanted = wanted.where(e.c.seq <= to)
    if since is not None:
        wanted = wanted.where(e.c.at >= since)
    if until is not None:
        wanted = wanted.where(e.c.at < until)
    rows = db.execute(wanted.limit(max(1, min(limit, MAX_EVENT_LIMIT)))).all()
    tags = _tags(db, list(dict.fromkeys(row.message for row in rows)))
    return [_event(row, tags.get(row.message, ())) for row in rows]


def events_at(db: sa.Connection, tenant: int, seqs: Sequence[int]) -> list[Event]:
    """Events by their `seq`, in that order; what is gone, or another tenant's, is left out."""
    rows = [
        row
        for piece in (seqs[at : at + _PIECE] for at in range(0, len(seqs), _PIECE))
        for row in db.execute(_EVENTS.where(e.c.tenant == tenant, e.c.seq.in_(piece)).order_by(e.c.seq))
    ]
    tags = _tags(db, list(dict.fromkeys(row.message for row in rows)))
    return [_event(row, tags.get(row.message, ())) for row in rows]


def last_seq(db: sa.Connection, tenant: int) -> int:
    """The cursor behind the latest event: for who wants only what is still to come."""
    return db.scalar(sa.select(sa.func.max(e.c.seq)).where(e.c.tenant == tenant)) or 0


def _event(row: Any, tags: tuple[str, ...]) -> Event:
    detail = msgspec.json.decode(row.detail or "{}")
    return Event(
        row.seq, row.id, row.message, Kind(row.kind), row.at, row.address, row.source, row.actor,
        detail if isinstance(detail, dict) else {}, row.stream, row.template, row.from_domain, row.message_id, row.provider,
        row.verdict, tags,
    )  # fmt: skip
