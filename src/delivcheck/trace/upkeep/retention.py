"""Retention: what is older than it shall be, or more than there shall be of it, goes, the oldest first.

In small transactions with pauses, so that `ingest`, which writes at the same time, never waits for long. Figures (`tally`),
suppressions and the audit log stay. Age is that of the trace id, which is made when a message comes in.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from ... import ulid
from ..schema import event, message, position, recipient
from ..store import Store

MAX_MESSAGES = 200  # of one transaction
MAX_EVENTS = 5_000  # of one transaction: about 50 ms on SQLite
PAUSE = (
    0.02  # seconds between transactions, at least; as long as the last one took otherwise, so that others have half the time
)
ROUNDS = 8  # of measuring and deleting: what is left after them waits for the next run
CONTENT = "upkeep.content"  # the position up to which headers and bodies are gone


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run did: messages deleted for their age and for the store's size, and those that lost headers and body."""

    aged: int = 0
    crowded: int = 0
    emptied: int = 0


def expire(
    store: Store,
    now: datetime,
    *,
    keep_days: float | None = None,
    keep_content_days: float | None = None,
    max_octets: int | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Kept:
    """Delete what is too old or too much, for all tenants; None and 0 days: no limit. Raises StoreError; what is done stays.

    A message older than `keep_days` goes with all that hangs of it, headers and bodies after `keep_content_days`. `max_octets`
    is what the store's rows and indexes take (`octets`); a database gives the room of deleted rows to new ones, not back.
    """
    pace = _Pace(sleep)
    emptied = _empty(store, _before(now, keep_content_days), pace) if keep_content_days else 0
    aged = _delete(store, _before(now, keep_days), None, pace) if keep_days else 0
    crowded = _shrink(store, max_octets, pace) if max_octets is not None else 0
    return Kept(aged, crowded, emptied)


def octets(store: Store) -> int:
    """What rows and indexes take: exact on SQLite (pages in use), estimated on PostgreSQL (rows that live, by their mean size).

    Raises StoreError.
    """
    with store.read() as db:
        if store.sqlite:
            pages, free, size = (
                db.scalar(sa.text(f"PRAGMA {name}")) or 0 for name in ("page_count", "freelist_count", "page_size")
            )
            return int((pages - free) * size)
        # Files keep the room of dead rows, so that their size says nothing after the first clean-up. reltuples is -1 before the
        # first ANALYZE, n_live_tup 0 after a crash: the larger of both is nearer.
        return int(db.scalar(sa.text(_ESTIMATE)) or 0)


# Room of a live row: its share of the table's files as they would be full, fillfactor and indexes included. A file that has
# holes is counted for the part that its rows need: rows * (mean width from the statistics + 28 octets of head and pointer).
_ESTIMATE = """
SELECT sum(live * (width + 28) * CASE WHEN heap > 0 THEN least(total / heap, 3.0) ELSE 1.0 END) FROM (
  SELECT greatest(c.reltuples, s.n_live_tup, 0) AS live,
         coalesce((SELECT sum((1 - p.null_frac) * p.avg_width) FROM pg_stats p
                   WHERE p.schemaname = s.schemaname AND p.tablename = s.relname), 100) AS width,
         pg_table_size(s.relid)::float AS heap, pg_total_relation_size(s.relid)::float AS total
  FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
  WHERE s.schemaname = current_schema()
) AS tables
"""


class _Pace:
    """Leaves others their time."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep
        self._begun = time.monotonic()

    def begin(self) -> None:
        """A transaction begins."""
        self._begun = time.monotonic()

    def rest(self) -> None:
        """It is over."""
        self._sleep(max(PAUSE, min(1.0, time.monotonic() - self._begun)))


def _before(now: datetime, days: float) -> str:
    """The least id of what is kept."""
    try:
        return ulid.floor(now - timedelta(days=days))
    except OverflowError:
        return ulid.floor(datetime(1970, 1, 1, tzinfo=UTC))


def _delete(store: Store, before: str | None, number: int | None, pace: _Pace) -> int:
    """Delete the oldest messages: those before an id, or a number of them. How many went."""
    gone = 0
    while number is None or gone < number:
        pace.begin()
        most = MAX_MESSAGES if number is None else min(MAX_MESSAGES, number - gone)
        with store.write() as db:
            wanted = sa.select(message.c.id).order_by(message.c.id).limit(most)
            oldest = list(db.scalars(wanted if before is None else wanted.where(message.c.id < before)))
            if not oldest:
                return gone
            batch = _affordable(db, oldest)
            if batch:
                db.execute(message.delete().where(message.c.id.in_(batch)))  # the rest goes by the foreign keys
                gone += len(batch)
            else:
                some = sa.select(event.c.seq).where(event.c.message == oldest[0]).order_by(event.c.seq).limit(MAX_EVENTS)
                db.execute(event.delete().where(event.c.seq.in_(some.scalar_subquery())))
        pace.rest()
    return gone


def _affordable(db: sa.Connection, oldest: Sequence[str]) -> list[str]:
    """The first of them that have MAX_EVENTS events together; none where the first has more by itself."""
    counted = sa.select(event.c.message, sa.func.count()).where(event.c.message.in_(oldest)).group_by(event.c.message)
    events = {row[0]: int(row[1]) for row in db.execute(counted)}
    to = sa.select(recipient.c.message, sa.func.count()).where(recipient.c.message.in_(oldest)).group_by(recipient.c.message)
    recipients = {row[0]: int(row[1]) for row in db.execute(to)}
    batch, room = [], MAX_EVENTS
    for trace in oldest:
        if events.get(trace, 0) > room:
            break
        room -= events.get(trace, 0) + recipients.get(trace, 0)
        batch.append(trace)
        if room <= 0:
            break
    return batch


def _empty(store: Store, before: str, pace: _Pace) -> int:
    """Take headers and bodies from messages before an id. How many had any."""
    emptied = 0
    while True:
        pace.begin()
        with store.write() as db:
            done = db.scalar(sa.select(position.c.value).where(position.c.name == CONTENT))
            wanted = sa.select(message.c.id).where(message.c.id < before).order_by(message.c.id).limit(MAX_MESSAGES)
            some = list(db.scalars(wanted if done is None else wanted.where(message.c.id > done)))
            if not some:
                return emptied
            has = sa.or_(message.c.headers.is_not(None), message.c.body.is_not(None))
            changed = db.execute(message.update().where(message.c.id.in_(some), has).values(headers=None, body=None))
            emptied += changed.rowcount
            if done is None:
                db.execute(position.insert().values(name=CONTENT, value=some[-1]))
            else:
                db.execute(position.update().where(position.c.name == CONTENT).values(value=some[-1]))
        pace.rest()


def _shrink(store: Store, most: int, pace: _Pace) -> int:
    """Delete the oldest messages until the store is small enough, as far as that can be measured."""
    gone = 0
    for _ in range(ROUNDS if store.sqlite else 1):  # PostgreSQL's statistics come later: its next run sees what this one did
        size = octets(store)
        with store.read() as db:
            count = db.scalar(sa.select(sa.func.count()).select_from(message)) or 0
        if size <= most or not count:
            return gone
        # Its share of the messages, if all were alike; a little less, and measured again.
        gone += _delete(store, None, max(1, int(count * (1 - most / size) * 0.9)), pace)
    return gone
