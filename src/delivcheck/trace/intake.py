"""Takes in what comes back: a message, or what a service reports, in; events out, of those messages of ours that it is about.

Whoever has seen a signed address can forge a report that carries it. Such a report can do no more than suppress the one
recipient whom the address stands for; whom it names besides counts for nothing, as does every report without such an address.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import sqlalchemy as sa

from .. import ulid
from . import schema
from .bounces import causes, paths
from .bounces.model import Action, Fate, Report, ReportError, What
from .bounces.paths import Path
from .bounces.reading import read
from .bounces.services import Told, bounced
from .model import Kind, Reason, normal
from .records import Event, event_id
from .store import Store
from .tokens import Tokens
from .tracking.leaving import Left, unsubscribe_from_mail, unsubscribed
from .tracking.marks import check

__all__ = ["ReportError", "Sent", "TooEarlyError", "events_of", "sent_of", "take_in"]

EARLY = 3_600_000  # milliseconds in which a message may not be in the trace yet, while the store is away
DAY = 86_400_000
JUDGED = 2  # `message.known` of one whose recipients are all there
OUTSIDE = 1_000_000  # `recipient.number` from where on one is not of the envelope

_COMPLAINTS = frozenset({"abuse", "fraud", "virus", "other", "miscategorized"})  # RFC 5965 section 7.3, RFC 6430 adds not-spam
_LEAVING = frozenset({"opt-out", "opt-out-list"})  # of drafts of RFC 5965; some still send it


class TooEarlyError(Exception):
    """The message is not in the trace, and may be soon: whoever brings the report is to come again."""


class Sent(NamedTuple):
    """A message of ours: its envelope's recipients as they came, and its stream ("" for none)."""

    recipients: tuple[str, ...]
    stream: str = ""


Find = Callable[[str], Sent | None]  # by its trace; raises StoreError


def sent_of(store: Store) -> Find:
    """Looks messages up in a store. Blocks."""

    def find(trace: str) -> Sent | None:
        m, r = schema.message.c, schema.recipient.c
        with store.read() as db:
            stream = db.scalar(sa.select(m.stream).where(m.id == trace, m.known == JUDGED))
            if stream is None:
                return None
            rows = db.scalars(sa.select(r.address).where(r.message == trace, r.number < OUTSIDE).order_by(r.number))
            return Sent(tuple(rows), stream)

    return find


def take_in(octets: bytes, recipients: Iterable[str], tokens: Tokens, *, domain: str, find: Find, now: int) -> list[Event]:
    """The events of a message that came to one of our addresses; none of one that is not about a message of ours.

    `recipients` are those of the envelope, `domain` that of our return paths, `now` Unix milliseconds. The same report gives
    the same events each time. Raises ReportError for what is no message, TooEarlyError, and what `find` raises.
    """
    to = tuple(recipients)
    report = read(octets)
    if report.what in {What.OTHER, What.AUTOMATIC}:
        left = unsubscribe_from_mail(octets, tokens, to)
        return [] if left is None else _left(left, find, now)
    path = paths.first_opened(tokens, (*to, *report.addresses), domain)
    if path is None or report.what is What.RECEIPT:
        return []
    sent = _found(path.trace, find, now)
    if sent is None or path.number >= len(sent.recipients):
        return []
    recipient = sent.recipients[path.number]
    if report.what is What.COMPLAINT:
        return _complained(report, path, recipient, sent.stream, now)
    return _delivered(report, path, recipient, now)


def _found(trace: str, find: Find, now: int) -> Sent | None:
    sent = find(trace)
    if sent is None and now - int(ulid.minted(trace).timestamp() * 1000) < EARLY:
        raise TooEarlyError(f"{trace} is not in the trace yet")
    return sent


# --- delivery ----------------------------------------------------------------------------------------------------


def _delivered(report: Report, path: Path, recipient: str, now: int) -> list[Event]:
    """One event for each thing that is said; how often, and of how many addresses behind ours, counts for nothing."""
    own = [fate for fate in report.fates if normal(recipient) in {normal(fate.recipient), normal(fate.original)}]
    told = own or list(report.fates)
    events = []
    failed = [fate for fate in told if fate.action is Action.FAILED]
    if failed:
        # An alias of the recipient's may lead to several: while one of them works, the recipient is there.
        nobody = len(failed) == len(told) and all(_nobody(fate) for fate in failed)
        detail = bounced(failed[0], reporting=report.reporting_mta)
        if nobody:
            detail["suppress"] = {"reason": str(Reason.BOUNCE), "stream": ""}
        events.append(_event(path.trace, Kind.BOUNCED, recipient, now, "dsn", detail, "nobody" if nobody else "refused"))
    delayed = next((fate for fate in told if fate.action is Action.DELAYED), None)
    if delayed is not None:
        detail = {"by": "next-hop", "reply": delayed.diagnostic, **bounced(delayed, reporting=report.reporting_mta)}
        events.append(_event(path.trace, Kind.DEFERRED, recipient, now, "dsn", detail, str(now // DAY)))
    if any(fate.action is Action.DELIVERED for fate in told):
        detail = {"by": report.reporting_mta}
        events.append(_event(path.trace, Kind.DELIVERED, recipient, now, "dsn", detail))
    return events


def _nobody(fate: Fate) -> bool:
    return causes.suppresses(fate.status, fate.cause, permanent=fate.permanent)


# --- complaints, and those who leave -----------------------------------------------------------------------------


def _complained(report: Report, path: Path, recipient: str, stream: str, now: int) -> list[Event]:
    """A complaint is about what was sent: it stops that stream, not the receipts of somebody who is tired of the newsletter."""
    complaint = report.complaint
    assert complaint is not None
    detail: dict[str, Any] = {"type": complaint.feedback, "agent": complaint.agent}
    if complaint.feedback in _COMPLAINTS:
        detail["suppress"] = {"reason": str(Reason.COMPLAINT), "stream": stream}
        return [_event(path.trace, Kind.COMPLAINED, recipient, now, "arf", detail)]
    if complaint.feedback in _LEAVING:
        detail["suppress"] = {"reason": str(Reason.UNSUBSCRIBE), "stream": stream}
        return [_event(path.trace, Kind.UNSUBSCRIBED, recipient, now, "arf", detail)]
    return []  # not-spam, auth-failure (RFC 6591): nobody complains


def _left(left: Left, find: Find, now: int) -> list[Event]:
    """Who wrote to a mailto of ours. What the token does not say, the message does."""
    recipient, stream = left.recipient, left.stream
    if recipient is None or stream is None:
        sent = _found(left.trace, find, now)
        if sent is not None:
            recipient = recipient or next((one for one in sent.recipients if check(one) == left.check), None)
            stream = sent.stream if stream is None else stream
    if recipient is None:
        return []
    return [unsubscribed(left._replace(recipient=recipient, stream=stream or ""), now, "mail")]


def _event(  # noqa: PLR0917 -- the fields of an event
    trace: str, kind: Kind, recipient: str, now: int, source: str, detail: dict[str, Any], *what: str
) -> Event:
    key = event_id(trace, kind, normal(recipient), source, *what)
    return Event(id=key, trace=trace, kind=kind, at=now, recipient=recipient, source=source, detail=detail)


# --- what sending services report ----------------------------------------------------------------------------------


def events_of(store: Store, source: str, told: Iterable[Told], now: int) -> list[Event]:
    """The events of what a service told, of messages and recipients of ours. Blocks. Raises StoreError, TooEarlyError.

    A message is found by our trace, where its metadata have it, or by its Message-ID. The same report gives the same events.
    """
    find = sent_of(store)
    found = []
    for one in told:
        trace = one.trace or _by_message_id(store, one.message_id, one.recipient)
        if not trace:
            continue
        sent = find(trace)
        if sent is None:
            if now - one.at < EARLY:
                raise TooEarlyError(f"{trace} is not in the trace yet")
            continue
        address = next((each for each in sent.recipients if normal(each) == normal(one.recipient)), None)
        if address is None:
            continue
        detail = dict(one.detail)
        if one.reason is not None:
            stream = "" if one.reason is Reason.BOUNCE else sent.stream
            detail["suppress"] = {"reason": str(one.reason), "stream": stream}
        key = event_id(trace, one.kind, normal(address), source, one.id, str(one.at))
        found.append(
            Event(
                id=key, trace=trace, kind=one.kind, at=one.at, recipient=address, source=source, actor=one.actor, detail=detail
            )
        )
    return found


def _by_message_id(store: Store, message_id: str, recipient: str) -> str:
    """The newest message with this Message-ID that went to this recipient, "" where there is none."""
    if not message_id:
        return ""
    m, r = schema.message.c, schema.recipient.c
    # Each tenant's, since the index begins with the tenant: there are few.
    wanted = (
        sa.select(m.id)
        .join(schema.recipient, r.message == m.id)
        .where(
            m.tenant.in_(sa.select(schema.tenant.c.id)),
            m.message_id.in_([message_id, f"<{message_id}>"]),
            r.normal == normal(recipient),
        )
        .order_by(m.id.desc())
        .limit(1)
    )
    with store.read() as db:
        return str(db.scalar(wanted) or "")
