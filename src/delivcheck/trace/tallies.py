"""Tallies: how often what happened, by hour of the message and by what messages have in common; `stats` reads them.

An event adds to a handful of rows however many events there are, so that figures of a month cost the same at a thousand
messages and at fifty million. Increments of a batch are collected and written at once.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from functools import lru_cache

import sqlalchemy as sa

from . import bulk
from .model import Actor, Kind
from .schema import tally
from .store import Store

HOUR = 3_600_000  # milliseconds
DAY = 24  # hours
DIMENSIONS = ("all", "stream", "tag", "template", "domain", "provider", "rule")
OTHERS = "(others)"
MAX_VALUES = 1_000  # of a dimension in an hour, as many as `stats.by` shows; a sender who invents tags makes no more rows
MAX_KNOWN = 256  # hours whose values are remembered, about 50 MB where all of them are full

ACTORS: Mapping[Actor | None, str] = {Actor.HUMAN: "human", Actor.MACHINE: "machine", Actor.UNKNOWN: "unknown", None: "unknown"}
_PLAIN = {kind: (str(kind), kind.bit) for kind in Kind}
ACTED = {  # the bits of `recipient.seen` above those of Kind: who opened and clicked
    (kind, actor): (f"{kind}.{actor}", 1 << (len(Kind) + 3 * first + second))
    for first, kind in enumerate((Kind.OPENED, Kind.CLICKED))
    for second, actor in enumerate(("human", "machine", "unknown"))
}

Key = tuple[int, int, str, str, str]  # tenant, hour, dimension, value, kind


def counted(kind: Kind, actor: Actor | None) -> tuple[tuple[str, int], ...]:
    """Under which kinds of a tally an event counts, each with its bit in `recipient.seen`: "opened" and "opened.machine"."""
    own = _PLAIN[kind]
    if kind is Kind.OPENED or kind is Kind.CLICKED:
        return own, ACTED[kind, ACTORS[actor]]
    return (own,)


def dimensions(
    stream: str, tags: Iterable[str], template: str, domain: str, rules: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    """What a message counts under, but for its recipients' providers. `rules`: those that stopped it, or else that failed."""
    return (
        ("all", ""),
        ("stream", stream),
        *(("tag", one) for one in (tuple(tags) or ("",))),
        ("template", template),
        ("domain", domain),
        *(("rule", one) for one in rules),
    )


@lru_cache(maxsize=1)
def _domains() -> Mapping[str, str]:
    from .. import mailboxes  # heavy, and only `ingest` asks

    return {domain: name for name, table in mailboxes.tables().items() for domain in table.domains}


@lru_cache(maxsize=16_384)
def provider(address: str) -> str:
    """The mailbox provider whose own domain an address (`model.normal`) is in, "" for any other.

    Who hosts a company's domain only DNS knows, which is not asked here.
    """
    return _domains().get(address.rpartition("@")[2], "")


class Increments:
    """What one batch adds."""

    def __init__(self) -> None:
        self._found: dict[Key, list[int]] = {}
        self._lowered = False

    def add(
        self, tenant: int, hour: int, kind: str, places: Iterable[tuple[str, str]], *, events: int, recipients: int
    ) -> None:
        """So many events, and so many recipients to whom it happened for the first time; less than none to take back."""
        self._lowered |= events < 0
        found = self._found
        for dimension, value in places:
            entry = found.get(key := (tenant, hour, dimension, value, kind))
            if entry is None:
                found[key] = [events, recipients]
            else:
                entry[0] += events
                entry[1] += recipients

    def write(self, db: sa.Connection, store: Store) -> None:
        """Bring them into the table, in the transaction of what they count."""
        known = _known(store)
        known.load(db, {(tenant, hour) for tenant, hour, *_ in self._found})
        rows: dict[Key, list[int]] = {}
        for (tenant, hour, dimension, value, kind), (events, recipients) in self._found.items():
            shown = value if dimension == "all" else known.admitted(tenant, hour, dimension, value)
            entry = rows.setdefault((tenant, hour, dimension, shown, kind), [0, 0])
            entry[0] += events
            entry[1] += recipients
        known.shrink()
        # Sorted: writers who lock rows in one order do not wait for each other in a circle.
        values = [
            {"tenant": k[0], "hour": k[1], "dimension": k[2], "value": k[3], "kind": k[4], "events": n[0], "recipients": n[1]}
            for k, n in sorted(rows.items())
            if n[0] or n[1]
        ]
        bulk.add_up(db, tally, values, "events", "recipients")
        if self._lowered:
            hours = {row["hour"] for row in values}
            db.execute(tally.delete().where(tally.c.events == 0, tally.c.dimension.in_(DIMENSIONS), tally.c.hour.in_(hours)))


class _Known:
    """Which values a dimension has in an hour already; read once from the table, then kept in memory.

    Two processes that write to one store may together let in more than MAX_VALUES, never more than that many each.
    """

    def __init__(self) -> None:
        self._values: OrderedDict[tuple[int, int], dict[str, set[str]]] = OrderedDict()  # tenant, hour: dimension: values
        self._lock = threading.Lock()

    def load(self, db: sa.Connection, hours: Iterable[tuple[int, int]]) -> None:
        """Make ready for these hours of these tenants, whose values `admitted` asks for next."""
        with self._lock:
            new: dict[int, list[int]] = {}
            for key in hours:
                if key in self._values:
                    self._values.move_to_end(key)
                else:
                    self._values[key] = {dimension: set() for dimension in DIMENSIONS}
                    new.setdefault(key[0], []).append(key[1])
            for tenant, which in new.items():
                t = tally.c
                wanted = (
                    sa.select(t.hour, t.dimension, t.value).where(t.tenant == tenant, t.dimension.in_(DIMENSIONS)).distinct()
                )
                for hour, dimension, value in bulk.rows_in(db, wanted, t.hour, which):
                    self._values[tenant, hour][dimension].add(value)

    def admitted(self, tenant: int, hour: int, dimension: str, value: str) -> str:
        """The value, or OTHERS."""
        with self._lock:
            values = self._values[tenant, hour][dimension]
            if value in values:
                return value
            if len(values) >= MAX_VALUES:
                return OTHERS
            values.add(value)
            return value

    def shrink(self) -> None:
        """Forget the hours that were not asked for the longest."""
        with self._lock:
            while len(self._values) > MAX_KNOWN:
                self._values.popitem(last=False)


_stores: "weakref.WeakKeyDictionary[Store, _Known]" = weakref.WeakKeyDictionary()


def _known(store: Store) -> _Known:
    return _stores.setdefault(store, _Known())


# --- old hours ---------------------------------------------------------------------------------------------------


def roll_up(db: sa.Connection, before: int) -> int:
    """Make days of the hours before a Unix hour (brought down to a day's first, UTC); how many rows there were of them.

    In a transaction of `Store.write`. Nothing is lost but the hour: a recipient counts in one hour only, so sums stay right.
    What comes late for a day that is rolled up already is rolled up the next time.
    """
    before -= before % DAY
    first = tally.c.hour - tally.c.hour % DAY
    old = sa.and_(tally.c.hour < before, tally.c.hour % DAY != 0)
    sums = (sa.func.sum(tally.c.events), sa.func.sum(tally.c.recipients), sa.literal(1, tally.c.weight.type))
    # A name for the day that is no column's: "GROUP BY hour" would be the hour's.
    hours = sa.select(tally.c.tenant, first.label("day"), tally.c.dimension, tally.c.value, tally.c.kind, *sums).where(old)
    days = hours.group_by(tally.c.tenant, sa.text("day"), tally.c.dimension, tally.c.value, tally.c.kind)
    columns = ["tenant", "hour", "dimension", "value", "kind", "events", "recipients", "weight"]
    bulk.add_up_from(db, tally, columns, days, "events", "recipients")
    gone = db.execute(tally.delete().where(old)).rowcount
    db.execute(tally.update().where(tally.c.hour < before, tally.c.weight == 0).values(weight=1))
    return gone
