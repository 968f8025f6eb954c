"""The rows of an export, read page by page, each in a transaction of its own: an export of an hour holds up no clean-up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from .. import messages as trace
from .. import shapes
from ..model import Kind, iso
from ..queries import Query
from ..schema import message, recipient
from ..store import Store

PAGE = 500  # messages; a page of events is MAX_EVENT_LIMIT

Row = Mapping[str, Any]


class Type(StrEnum):
    """What stands in a column. A list of texts, and an object, are JSON in a cell of CSV."""

    TEXT = "text"
    NUMBER = "number"
    REAL = "real"
    TIME = "time"  # RFC 3339 in text, a time stamp with milliseconds and UTC in Parquet
    TEXTS = "texts"
    OBJECT = "object"


Table = Mapping[str, Type]

EVENTS: Table = {
    "v": Type.NUMBER, "event": Type.TEXT, "event_id": Type.TEXT, "message_id": Type.TEXT, "rcpt": Type.TEXT, "ts": Type.TIME,
    "stream": Type.TEXT, "template": Type.TEXT, "tags": Type.TEXTS, "from_domain": Type.TEXT, "header_message_id": Type.TEXT,
    "provider": Type.TEXT, "source": Type.TEXT, "verdict": Type.TEXT, "actor": Type.TEXT, "detail": Type.OBJECT,
    "cursor": Type.NUMBER,
}  # fmt: skip

MESSAGES: Table = {
    "message_id": Type.TEXT, "ts": Type.TIME, "rcpt": Type.TEXT, "provider": Type.TEXT, "state": Type.TEXT,
    "updated": Type.TIME, "seen": Type.TEXTS, "subject": Type.TEXT, "mail_from": Type.TEXT, "from_domain": Type.TEXT,
    "stream": Type.TEXT, "template": Type.TEXT, "tags": Type.TEXTS, "client": Type.TEXT, "header_message_id": Type.TEXT,
    "queue_id": Type.TEXT, "size": Type.NUMBER, "sha256": Type.TEXT, "verdict": Type.TEXT, "policy": Type.TEXT,
    "action": Type.TEXT, "rules": Type.TEXTS, "reason": Type.TEXT, "next_hop": Type.TEXT, "judge_ms": Type.REAL,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Choice:
    """Which events: of these kinds (empty: all), that happened since and before (Unix milliseconds), behind a cursor."""

    kinds: tuple[Kind, ...] = ()
    since: int | None = None
    until: int | None = None
    after: int = 0


def events(store: Store, tenant: int, choice: Choice) -> Iterator[Row]:
    """One row for each event, as `shapes.event` tells it. Raises StoreError."""
    after = choice.after
    while True:
        with store.read() as db:
            page = trace.events(db, tenant, after, trace.MAX_EVENT_LIMIT, choice.kinds, since=choice.since, until=choice.until)
        yield from (shapes.row(shapes.event(one)) for one in page)
        if len(page) < trace.MAX_EVENT_LIMIT:
            return
        after = page[-1].seq


def messages(store: Store, tenant: int, query: Query, most: int | None = None) -> Iterator[Row]:
    """One row for each recipient of each message, of the `most` newest. Raises StoreError."""
    after: str | None = None
    left = most
    while left is None or left > 0:
        size = PAGE if left is None else min(PAGE, left)
        with store.read() as db:
            found = trace.traces(db, tenant, query, after, size)
            known = {one.trace: one for one in trace.summaries(db, tenant, found)}
        for one in found:  # a message may have thousands of recipients: one at a time
            if one in known:
                with store.read() as db:
                    rows = db.execute(_ROWS.where(message.c.id == one).order_by(recipient.c.number))
                    made = [_row(known[one], row) for row in rows]
                yield from made
        if len(found) < size:
            return
        after = found[-1]
        left = None if left is None else left - len(found)


_ROWS = sa.select(
    recipient.c.address, recipient.c.provider, recipient.c.state, recipient.c.updated, recipient.c.seen, message.c.message_id,
    message.c.queue_id, message.c.sha256, message.c.policy, message.c.reason, message.c.next_hop, message.c.judge_ms,
).join(message, message.c.id == recipient.c.message).where(recipient.c.normal != trace.NOBODY)  # fmt: skip


def _row(known: trace.Summary, row: Any) -> Row:
    return {
        "message_id": known.trace,
        "ts": iso(known.received),
        "rcpt": row.address,
        "provider": row.provider,
        "state": row.state,
        "updated": iso(row.updated),
        "seen": [kind.value for kind in trace.seen(row.seen)],
        "subject": known.subject,
        "mail_from": known.mail_from,
        "from_domain": known.from_domain,
        "stream": known.stream,
        "template": known.template,
        "tags": list(known.tags),
        "client": known.client,
        "header_message_id": row.message_id,
        "queue_id": row.queue_id,
        "size": known.size,
        "sha256": row.sha256,
        "verdict": known.verdict or None,
        "policy": row.policy,
        "action": known.action,
        "rules": list(known.rules),
        "reason": row.reason,
        "next_hop": row.next_hop,
        "judge_ms": row.judge_ms,
    }
