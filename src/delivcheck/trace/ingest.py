"""Brings records into the store: whole batches, each in one transaction, in any order and as often as they come.

What the tables hold follows from the set of records alone, not from their order. Events that come before their message make a
row for it that knows nothing else, and the message completes it. There may be several `Message` records for one trace: what was
known when a recipient was refused in the envelope, and later the message as it was judged, which has the last word.

What happened to a message as a whole (`Event.recipient` None) happened to each recipient of its envelope, a row for each; it
waits until the message as it was judged is there, since only that says who they are. Such an event suppresses nobody.
"""

import contextlib
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from .. import ulid
from . import bulk, cleaning, suppressions, tallies
from .cleaning import EVENTS_ONLY, JUDGED, Came, Cleaner, Happened, Row, Unfit
from .model import DEFAULT_TENANT, Actor, Kind, Reason
from .records import Message, Record
from .schema import event, link, message, recipient, result, tag, waiting
from .store import Store, StoreError

OUTSIDE = 1_000_000  # `recipient.number` of one who is not in the judged envelope; sorts last

# A recipient stands where the last of these that happened to it says, whenever each was told of. Who complained is more
# than one who clicked; what bounced in the end was not delivered; a next hop may delay what it took, and deliver it after all.
PRECEDENCE = (
    Kind.ACCEPTED, Kind.CHECKED, Kind.PASSED, Kind.HELD, Kind.RELEASED, Kind.BYPASSED, Kind.UNCERTAIN, Kind.SENT, Kind.DEFERRED,
    Kind.REFUSED, Kind.SUPPRESSED, Kind.DISCARDED, Kind.DELIVERED, Kind.OPENED, Kind.CLICKED, Kind.BOUNCED, Kind.UNSUBSCRIBED,
    Kind.COMPLAINED,
)  # fmt: skip
_RANK = {"": -1} | {str(kind): rank for rank, kind in enumerate(PRECEDENCE)}

STOPPED = frozenset({"refuse", "hold", "defer"})  # `Message.action`, whose `rules` are the ones that decided
_OF_A_RECORD = ("22", "23", "54")  # SQLSTATE classes: data, integrity, limits of rows. 42 (no such table) is not one of them
_OURS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError, AssertionError)

_WAITING = msgspec.msgpack.Decoder(Happened)


@dataclass(frozen=True, slots=True)
class Aside:
    """A record that the store cannot hold, and why: for the caller to tell of, and to keep where a person can look at it."""

    record: Record
    why: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What became of a batch. `messages` are new or completed, `events` rows: one for each recipient. The rest are records."""

    messages: int = 0
    events: int = 0
    repeated: int = 0  # there already
    cleaned: int = 0  # kept, but something in them was cut or replaced
    aside: tuple[Aside, ...] = ()

    def __add__(self, other: "Ingested") -> "Ingested":
        return Ingested(
            self.messages + other.messages,
            self.events + other.events,
            self.repeated + other.repeated,
            self.cleaned + other.cleaned,
            self.aside + other.aside,
        )


def ingest(store: Store, records: Sequence[Record]) -> Ingested:
    """Bring a batch into the store: all of it or, where this raises StoreError, nothing.

    A record that the database will not have does not hold up the others: they are tried in halves, until it is alone.
    """
    try:
        return _at_once(store, records)
    except StoreError as error:
        if not _of_a_record(error):
            raise
        why = str(error)
    except _OURS as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    if len(records) == 1:
        return Ingested(aside=(Aside(records[0], why),))
    middle = len(records) // 2
    return ingest(store, records[:middle]) + ingest(store, records[middle:])


def _of_a_record(error: StoreError) -> bool:
    """Whether it is the data's fault. In doubt it is not: what is set aside is not tried again, the rest waits."""
    cause = error.__cause__
    if not isinstance(cause, sa.exc.DBAPIError):
        return isinstance(cause, sa.exc.StatementError | UnicodeError)  # a value that could not even be sent
    if isinstance(cause, sa.exc.DataError | sa.exc.IntegrityError):
        return True
    return str(getattr(cause.orig, "sqlstate", None) or "").startswith(_OF_A_RECORD) or "binding parameter" in str(cause.orig)


def _at_once(store: Store, records: Sequence[Record]) -> Ingested:
    messages, happened, aside, cleaned = [], [], [], 0
    for one in records:
        clean = Cleaner()
        try:
            if isinstance(one, Message):
                messages.append(cleaning.came(clean, one))
            else:
                happened.append(cleaning.happened(clean, one))
        except Unfit as error:
            aside.append(Aside(one, str(error)))
        cleaned += clean.did
    done = Ingested(cleaned=cleaned, aside=tuple(aside))
    if not messages and not happened:
        return done
    with store.write() as db:
        store.in_turn(db)
        return done + _Batch(store, db).bring(messages, happened)


# --- what is known, in memory ----------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Recipient:
    normal: str
    address: str
    number: int
    provider: str
    id: int | None = None
    state: str = ""
    seen: int = 0
    updated: int = 0
    changed: bool = True


@dataclass(slots=True, eq=False)
class _Entry:
    """One message, as the tables will have it. `came` is what is to be written of it; `new`: it has no row yet."""

    trace: str
    tenant: int
    known: int
    received: int
    new: bool = True
    came: Came | None = None
    places: tuple[tuple[str, str], ...] = ()
    recipients: dict[str, _Recipient] = None  # type: ignore[assignment]  # made below: a default_factory is slower
    reopened: "_Reopened | None" = None

    def __post_init__(self) -> None:
        self.recipients = {}


@dataclass(slots=True, eq=False)
class _Reopened:
    """What a message's rows say, of which more becomes known just now."""

    tenant: int
    known: int
    stored: dict[str, Happened]  # by the id of the row
    waiting: list[Happened]


class _Batch:
    """One transaction. Everything is read first, worked out in memory, and written in one statement for each table."""

    def __init__(self, store: Store, db: sa.Connection) -> None:
        self._store, self._db = store, db
        self._entries: dict[str, _Entry] = {}
        self._tenants: dict[str, int] = {}
        self._increments = tallies.Increments()
        self._insert: list[tuple[str, Happened, _Entry, _Recipient]] = []
        self._delete: list[str] = []  # ids of events
        self._keep: list[Row] = []  # rows of `waiting`
        self._earlier: dict[str, int] = {}  # `received` of messages that came in earlier than their row says

    def bring(self, messages: Sequence[Came], happened: Sequence[Happened]) -> Ingested:
        self._load({one.row["id"] for one in messages} | {one.trace for one in happened})
        completed = sum([self._message(one) for one in messages])
        for entry in self._entries.values():
            if entry.reopened is not None:
                self._tell_again(entry, entry.reopened)
        repeated = self._events(happened)
        self._write()
        return Ingested(completed, len(self._insert), len(messages) - completed + repeated)

    # --- read

    def _load(self, traces: Iterable[str]) -> None:
        m = message.c
        wanted = sa.select(m.id, m.tenant, m.received, m.known, m.stream, m.template, m.from_domain, m.rules, m.action)
        rows = {row.id: row for row in self._in(wanted, m.id, traces)}
        if not rows:
            return
        tags, failed = defaultdict(list), defaultdict(list)
        for trace, value in self._in(sa.select(tag.c.message, tag.c.tag), tag.c.message, rows):
            tags[trace].append(value)
        failing = sa.select(result.c.message, result.c.rule).where(result.c.outcome == "fail")
        for trace, value in self._in(failing, result.c.message, rows):
            failed[trace].append(value)
        for trace, row in rows.items():
            entry = self._entries[trace] = _Entry(trace, row.tenant, row.known, row.received, new=False)
            rules = _rules(row.action, msgspec.json.decode(row.rules), failed[trace])
            entry.places = tallies.dimensions(row.stream, tags[trace], row.template, row.from_domain, rules)
        r = recipient.c
        columns = (r.id, r.message, r.normal, r.address, r.number, r.provider, r.state, r.seen, r.updated)
        for row in self._in(sa.select(*columns), r.message, rows):
            self._entries[row.message].recipients[row.normal] = _Recipient(
                row.normal, row.address, row.number, row.provider, row.id, row.state, row.seen, row.updated, changed=False
            )

    def _in(self, wanted: sa.Select[Any], column: sa.ColumnElement[Any], values: Iterable[Any]) -> Iterator[Any]:
        return bulk.rows_in(self._db, wanted, column, values)

    # --- messages

    def _message(self, came: Came) -> bool:
        """Whether this says something that was not known."""
        trace = came.row["id"]
        entry = self._entries.get(trace)
        if entry is None:
            entry = self._entries[trace] = _Entry(trace, self._tenant(came.tenant), came.known, came.row["received"])
            return self._complete(entry, came)
        if came.known > entry.known:
            self._reopen(entry)
            entry.known, entry.received, entry.tenant = came.known, came.row["received"], self._tenant(came.tenant)
            for one in entry.recipients.values():
                one.number, one.changed = OUTSIDE, True
            return self._complete(entry, came)
        if entry.known == JUDGED:
            if came.known == JUDGED:
                return False
            return self._listed(entry, [(normal, address, OUTSIDE) for normal, address in came.recipients])
        # Another recipient that was refused in the same envelope.
        received = min(entry.received, came.row["received"])
        if received == entry.received and all(
            normal in entry.recipients and entry.recipients[normal].number != OUTSIDE for normal, _ in came.recipients
        ):
            return False
        self._reopen(entry)
        entry.received = received
        if entry.came is None:  # its row stays as it is, but for the time
            self._earlier[entry.trace] = received
        else:
            entry.came.row["received"] = received
        self._listed(entry, [(normal, address, number) for number, (normal, address) in enumerate(came.recipients)])
        return True

    def _complete(self, entry: _Entry, came: Came) -> bool:
        entry.came = came
        row = came.row
        failed = [one["rule"] for one in came.results if one["outcome"] == "fail"]
        rules = _rules(row["action"], msgspec.json.decode(row["rules"]), failed)
        entry.places = tallies.dimensions(row["stream"], came.tags, row["template"], row["from_domain"], rules)
        self._listed(entry, [(normal, address, number) for number, (normal, address) in enumerate(came.recipients)])
        return True

    def _listed(self, entry: _Entry, listed: Iterable[tuple[str, str, int]]) -> bool:
        """Put recipients into the message as a `Message` names them; whether that changed anything."""
        changed = False
        for normal, address, number in listed:
            one = entry.recipients.get(normal)
            if one is None:
                one = entry.recipients[normal] = _Recipient(normal, address, number, tallies.provider(normal))
            elif one.number == OUTSIDE and (number != OUTSIDE or one.address == normal != address):
                one.address, one.number, one.changed = address, min(number, one.number), True
            else:
                continue
            changed = True
        return changed

    def _reopen(self, entry: _Entry) -> None:
        """Take back what its events count for, and forget what followed from them: it is worked out again."""
        if entry.new or entry.reopened is not None:
            return
        e = event.c
        normals = {one.id: one.normal for one in entry.recipients.values()}
        columns = (e.id, e.recipient, e.kind, e.at, e.source, e.actor, e.detail)
        stored = {}
        for row in self._db.execute(sa.select(*columns).where(e.message == entry.trace).order_by(e.seq)):
            actor = Actor(row.actor) if row.actor else None
            kind = Kind(row.kind)
            stored[row.id] = Happened(
                row.id, entry.trace, normals[row.recipient], kind, row.at, row.source, actor, row.detail, _said(row.detail)
            )
        kept = self._db.scalars(sa.select(waiting.c.record).where(waiting.c.message == entry.trace).order_by(waiting.c.id))
        entry.reopened = _Reopened(entry.tenant, entry.known, stored, [_WAITING.decode(one) for one in kept])
        seen: dict[str, int] = defaultdict(int)
        for one in stored.values():
            assert one.normal is not None
            seen[one.normal] |= self._count(entry, entry.recipients[one.normal], one, seen[one.normal], -1)
        for who in entry.recipients.values():
            who.seen, who.state, who.updated, who.changed = 0, "", entry.received, True

    # --- events

    def _tell_again(self, entry: _Entry, before: _Reopened) -> None:
        """The events of a message of which more is known now. Their rows stay where they are, but those of another tenant."""
        to_all = {_one_of_all(wide.id, normal) for wide in before.waiting for normal in entry.recipients}
        desired = [(one.id, one, entry.recipients[one.normal or ""]) for one in before.stored.values() if one.id not in to_all]
        for wide in before.waiting:
            desired += [(_one_of_all(wide.id, who.normal), wide, who) for who in _envelope(entry)]
        moved = entry.tenant != before.tenant
        for key, one, who in desired:
            self._apply(entry, who, one)
            if moved or key not in before.stored:
                self._insert.append((key, one, entry, who))
        wanted = set() if moved else {key for key, _, _ in desired}
        self._delete += [key for key in before.stored if key not in wanted]

    def _events(self, happened: Sequence[Happened]) -> int:
        """How many were there already."""
        found: list[tuple[str, Happened, _Entry, _Recipient]] = []
        wide: dict[str, tuple[Happened, _Entry]] = {}
        for one in happened:
            entry = self._entries.get(one.trace) or self._unknown(one)
            if one.normal is not None:
                found.append((one.id, one, entry, self._recipient(entry, one.normal)))
                continue
            if entry.known < JUDGED:
                wide.setdefault(one.id, (one, entry))
            found += [(_one_of_all(one.id, who.normal), one, entry, who) for who in _envelope(entry)]
        there = {key for (key,) in self._in(sa.select(event.c.id), event.c.id, {key for key, _, _, _ in found})}
        there -= set(self._delete)
        there |= {key for key, _, _, _ in self._insert}
        new = set()
        for key, one, entry, who in found:
            if key in there:
                continue
            there.add(key)
            new.add(id(one))
            self._insert.append((key, one, entry, who))
            self._apply(entry, who, one)
        waits = {key for (key,) in self._in(sa.select(waiting.c.id), waiting.c.id, wide)}
        for key, (one, entry) in wide.items():
            if key not in waits:
                self._keep.append({"id": key, "message": entry.trace, "record": msgspec.msgpack.encode(one)})
                new.add(id(one))
        return len(happened) - len(new)

    def _unknown(self, one: Happened) -> _Entry:
        """A message of which this event is all that is known."""
        received = int(ulid.minted(one.trace).timestamp() * 1000)
        entry = self._entries[one.trace] = _Entry(one.trace, self._tenant(one.tenant or DEFAULT_TENANT), EVENTS_ONLY, received)
        return entry

    def _recipient(self, entry: _Entry, normal: str) -> _Recipient:
        found = entry.recipients.get(normal)
        if found is None:
            found = entry.recipients[normal] = _Recipient(normal, normal, OUTSIDE, tallies.provider(normal))
        return found

    def _apply(self, entry: _Entry, who: _Recipient, one: Happened) -> None:
        who.updated = max(who.updated, one.at) if who.seen else one.at
        who.seen |= self._count(entry, who, one, who.seen, 1)
        # A machine fetches what is in every message; nobody would take that for a message that was read.
        if one.actor is not Actor.MACHINE and _RANK[one.kind] > _RANK[who.state]:
            who.state = str(one.kind)
        who.changed = True

    def _count(self, entry: _Entry, who: _Recipient, one: Happened, seen: int, by: int) -> int:
        """Count an event, or take it back; its bits. What nothing is known of counts for nothing."""
        bits = 0
        for name, bit in tallies.counted(one.kind, one.actor):
            bits |= bit
            if entry.known:
                places = (*entry.places, ("provider", who.provider))
                hour, first = entry.received // tallies.HOUR, 0 if seen & bit else by
                self._increments.add(entry.tenant, hour, name, places, events=by, recipients=first)
        return bits

    # --- write

    def _tenant(self, name: str) -> int:
        if name not in self._tenants:
            self._tenants[name] = self._store.tenant(self._db, name)
        return self._tenants[name]

    def _write(self) -> None:
        entries = self._entries.values()
        self._messages([one for one in entries if one.new or one.came is not None])
        self._recipients(entries)
        bulk.delete(self._db, event.c.id, self._delete)
        bulk.insert(self._db, waiting, self._keep)
        bulk.insert(
            self._db,
            event,
            [
                {
                    "id": key,
                    "tenant": entry.tenant,
                    "message": entry.trace,
                    "recipient": who.id,
                    "kind": str(one.kind),
                    "at": one.at,
                    "source": one.source,
                    "actor": None if one.actor is None else str(one.actor),
                    "detail": one.detail,
                }
                for key, one, entry, who in self._insert
            ],
        )
        self._increments.write(self._db, self._store)
        # Of a message that is not known the tenant may be the wrong one; then the right one's list has the address later,
        # too. It stays on the first: who asked for no more mail is rather left alone by one too many.
        for key, one, entry, who in self._insert:
            if one.suppress is not None:
                reason, stream = one.suppress
                with contextlib.suppress(suppressions.SuppressionError):  # no address: of nobody in particular
                    suppressions.add(self._db, entry.tenant, who.normal, reason, stream=stream, event=key, since=one.at)

    def _messages(self, entries: Sequence[_Entry]) -> None:
        known = [one for one in entries if one.came is not None and not one.new]
        bulk.insert(self._db, message, [_row(one) for one in entries if one.new])
        earlier = [{"id": trace, "received": received} for trace, received in self._earlier.items()]
        bulk.update(self._db, message, earlier)
        bulk.update(self._db, message, [_row(one) for one in known])  # last: the same message may be judged in this batch, too
        for table in (tag, result, link):
            bulk.delete(self._db, table.c.message, [one.trace for one in known])
        bulk.delete(self._db, waiting.c.message, [one.trace for one in known if one.known == JUDGED])
        full = [(one, one.came) for one in entries if one.came is not None]
        owned = [({"message": one.trace, "tenant": one.tenant}, came) for one, came in full]
        bulk.insert(self._db, tag, [{**own, "tag": value} for own, came in owned for value in came.tags])
        bulk.insert(self._db, result, [{**own, **row} for own, came in owned for row in came.results])
        links = [{"message": one.trace, "number": n, "url": url} for one, came in full for n, url in enumerate(came.links)]
        bulk.insert(self._db, link, links)

    def _recipients(self, entries: Iterable[_Entry]) -> None:
        new, changed = {}, []
        for entry in entries:
            for one in entry.recipients.values():
                if not one.changed:
                    continue
                if not one.seen:
                    one.updated = entry.received
                row = {
                    "tenant": entry.tenant,
                    "number": one.number,
                    "address": one.address,
                    "state": one.state,
                    "seen": one.seen,
                    "updated": one.updated,
                }
                if one.id is None:
                    new[entry.trace, one.normal] = one, row | {
                        "message": entry.trace, "normal": one.normal, "provider": one.provider
                    }  # fmt: skip
                else:
                    changed.append({"id": one.id, **row})
        made = bulk.inserted(self._db, recipient, [row for _, row in new.values()], "id", "message", "normal")
        for key, trace, normal in made:
            new[trace, normal][0].id = key
        bulk.update(self._db, recipient, changed)


_NOTHING = {
    column.name: column.default.arg  # type: ignore[attr-defined]  # ours are plain values
    for column in message.c
    if column.default is not None
} | {"headers": None, "body": None}


def _row(entry: _Entry) -> Row:
    own = {"id": entry.trace, "tenant": entry.tenant, "known": entry.known, "received": entry.received}
    return (_NOTHING if entry.came is None else entry.came.row) | own


def _said(detail: str) -> tuple[Reason, str] | None:
    """What a stored event's detail says of suppressing."""
    if "suppress" not in detail:
        return None
    found = msgspec.json.decode(detail).get("suppress")
    return cleaning.suppressed(found)


def _envelope(entry: _Entry) -> list[_Recipient]:
    return [one for one in entry.recipients.values() if one.number < OUTSIDE] if entry.known else []


def _one_of_all(key: str, normal: str) -> str:
    """The id of what happened to one recipient because it happened to all."""
    return hashlib.sha256(f"{key}\0{normal}".encode()).hexdigest()[:32]


def _rules(action: str, decided: Sequence[str], failed: Sequence[str]) -> Sequence[str]:
    """Under which rules a message counts: those that stopped it, or where none did those that failed."""
    return decided if decided and action in STOPPED else failed
