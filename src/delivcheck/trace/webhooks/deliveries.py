"""What is still to be told to webhooks: made out of new events, taken by one desk at a time, settled, replayed.

A delivery that is taken has its `due` put off by LEASE, so that another desk, or this one after a crash, takes it when nobody
settled it: at least once. On PostgreSQL several desks take different rows (FOR UPDATE SKIP LOCKED); SQLite has one writer.
"""

import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
import sqlalchemy as sa

from .. import audit, messages, shapes
from ..model import iso
from ..schema import delivery as d
from ..schema import event as e
from ..schema import webhook as w
from .register import Webhook, _id, read

# Seconds to wait after each failed attempt: Standard Webhooks' own example, three days and three and a half hours in all.
SCHEDULE = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
ATTEMPTS = len(SCHEDULE) + 1
JITTER = 0.2  # of each wait, either way: those that failed together do not come back together
LEASE = 60_000  # milliseconds: four times net.poster.TIMEOUT
DISABLE_AFTER = 5 * 86_400_000  # milliseconds of nothing but failures, after which a webhook is disabled; Svix's
GONE = 410  # a server that says so wants no more of it (Standard Webhooks)
BATCH = 1_000  # events of a webhook that are looked at in one transaction
KEEP_DONE = 7 * 86_400_000  # milliseconds that a delivery is kept after it succeeded
MAX_ERROR = 200  # characters
MAX_PAGE = 500
DESK = "desk"  # who disables


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    DONE = "done"
    DEAD = "dead"  # all attempts failed; it can be replayed


@dataclass(frozen=True, slots=True)
class Task:
    """One delivery that this desk has taken; `secret` as it lies in the store."""

    id: int
    webhook: str
    url: str
    secret: bytes
    attempt: int  # from 1
    event: messages.Event


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it. `retry_after` in seconds."""

    task: Task
    ok: bool
    status: int | None
    error: str = ""
    retry_after: int | None = None


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of deliveries, counted; and webhooks that were disabled, with why."""

    done: int = 0
    failed: int = 0  # and will be tried again
    dead: int = 0
    disabled: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery in a list. Times are Unix milliseconds."""

    id: int
    event_id: str
    kind: str
    trace: str
    state: State
    attempts: int
    due: int
    status: int | None
    error: str
    updated: int


def spread(db: sa.Connection, now: int) -> int:
    """Make deliveries of new events; how many events were looked at for the webhook that had most."""
    hooks = db.execute(sa.select(w).where(w.c.disabled.is_(None)).order_by(w.c.id).with_for_update(skip_locked=True)).all()
    latest: dict[int, int] = {}
    most = 0
    for row in hooks:
        if row.tenant not in latest:
            latest[row.tenant] = messages.last_seq(db, row.tenant)
        if latest[row.tenant] <= row.cursor:
            continue
        wanted = (
            sa.select(e.c.seq, e.c.kind).where(e.c.tenant == row.tenant, e.c.seq > row.cursor).order_by(e.c.seq).limit(BATCH)
        )
        found = db.execute(wanted).all()
        if not found:
            continue
        kinds = read(row).kinds
        told = [one.seq for one in found if not kinds or one.kind in kinds]
        if told:
            db.execute(d.insert(), [{"webhook": row.id, "event": seq, "due": now, "updated": now} for seq in told])
        db.execute(w.update().where(w.c.id == row.id).values(cursor=found[-1].seq))
        most = max(most, len(found))
    return most


def take(db: sa.Connection, now: int, room: int, busy: Mapping[str, int], most: int) -> list[Task]:
    """What is due, for this desk to tell: `room` in all, `most` at a time for each webhook, of which `busy` are under way.

    A webhook whose last attempts failed gets one at a time, so that a server that hangs does not hold everything up.
    """
    taken: list[Task] = []
    hooks = db.execute(sa.select(w).where(w.c.disabled.is_(None)).order_by(sa.func.random())).all()
    for row in hooks:
        free = min(room - len(taken), (1 if row.failing is not None else most) - busy.get(row.id, 0))
        if free <= 0:
            continue
        due = sa.select(d.c.id, d.c.event, d.c.attempts).where(
            d.c.webhook == row.id, d.c.state == State.WAITING.value, d.c.due <= now
        )
        found = db.execute(due.order_by(d.c.due, d.c.id).limit(free).with_for_update(skip_locked=True)).all()
        if not found:
            continue
        ids = [one.id for one in found]
        db.execute(d.update().where(d.c.id.in_(ids)).values(due=now + LEASE, attempts=d.c.attempts + 1))
        events = {one.seq: one for one in messages.events_at(db, row.tenant, [one.event for one in found])}
        taken += [
            Task(one.id, row.id, row.url, row.secret, one.attempts + 1, events[one.event])
            for one in found
            if one.event in events
        ]
    return taken


def settle(db: sa.Connection, results: Sequence[Result], now: int) -> Settled:
    """Write down what came of deliveries. A late result of one that another desk took meanwhile counts if it is a success."""
    done = failed = dead = 0
    for one in sorted(results, key=lambda one: one.task.id):  # several desks take locks in the same order
        values = {"status": one.status, "error": one.error[:MAX_ERROR], "updated": now}
        if one.ok:
            db.execute(d.update().where(d.c.id == one.task.id).values(state=State.DONE.value, **values))
            done += 1
            continue
        last = one.task.attempt >= ATTEMPTS
        mine = d.update().where(d.c.id == one.task.id, d.c.state == State.WAITING.value, d.c.attempts == one.task.attempt)
        if last:
            db.execute(mine.values(state=State.DEAD.value, **values))
        else:
            db.execute(mine.values(due=now + int(1000 * wait(one.task.attempt, one.retry_after)), **values))
        dead, failed = dead + last, failed + (not last)
    return Settled(done, failed, dead, tuple(_health(db, results, now)))


def wait(attempt: int, retry_after: int | None = None) -> float:
    """Seconds after a failed attempt (from 1), or what the server asked for where that is longer."""
    step = SCHEDULE[min(attempt, len(SCHEDULE)) - 1]
    return max(step * random.uniform(1 - JITTER, 1 + JITTER), retry_after or 0)  # noqa: S311 -- no secret


def _health(db: sa.Connection, results: Iterable[Result], now: int) -> Iterable[tuple[str, str]]:
    """Note which webhooks fail, and disable those that do for too long, or that said that they are gone."""
    last = {one.task.webhook: one for one in results}
    for name, one in sorted(last.items()):
        if one.ok:
            db.execute(w.update().where(w.c.id == name, w.c.failing.is_not(None)).values(failing=None))
            continue
        row = db.execute(sa.select(w.c.tenant, w.c.failing, w.c.disabled).where(w.c.id == name).with_for_update()).first()
        if row is None or row.disabled is not None:
            continue
        if row.failing is None:
            db.execute(w.update().where(w.c.id == name).values(failing=now))
        if one.status == GONE:
            why = "it answered 410"
        elif row.failing is not None and now - row.failing >= DISABLE_AFTER:
            why = f"every attempt failed for {DISABLE_AFTER // 86_400_000} days, at last: {one.error}"
        else:
            continue
        db.execute(w.update().where(w.c.id == name).values(disabled=now))
        audit.note(db, row.tenant, DESK, "webhook.disable", name, {"why": why[:MAX_ERROR]}, at=now)
        yield name, why


def page(
    db: sa.Connection, tenant: int, hook: str, *, state: State | None = None, before: int | None = None, limit: int = 100
) -> list[Delivery]:
    """A webhook's deliveries, newest first; `before` is the `id` of the last one on the page before."""
    wanted = (
        sa.select(d, e.c.id.label("event_id"), e.c.kind, e.c.message)
        .join(e, e.c.seq == d.c.event)
        .join(w, w.c.id == d.c.webhook)
        .where(w.c.tenant == tenant, w.c.id == _id(hook))
        .order_by(d.c.id.desc())
        .limit(max(1, min(limit, MAX_PAGE)))
    )
    if state is not None:
        wanted = wanted.where(d.c.state == state.value)
    if before is not None:
        wanted = wanted.where(d.c.id < before)
    return [
        Delivery(
            one.id,
            one.event_id,
            one.kind,
            one.message,
            State(one.state),
            one.attempts,
            one.due,
            one.status,
            one.error,
            one.updated,
        )
        for one in db.execute(wanted)
    ]


def counts(db: sa.Connection, tenant: int) -> dict[str, dict[State, int]]:
    """How many deliveries each of a tenant's webhooks has, by state."""
    wanted = (
        sa.select(d.c.webhook, d.c.state, sa.func.count().label("number"))
        .join(w, w.c.id == d.c.webhook)
        .where(w.c.tenant == tenant)
        .group_by(d.c.webhook, d.c.state)
    )
    found: dict[str, dict[State, int]] = {}
    for row in db.execute(wanted):
        found.setdefault(row.webhook, {})[State(row.state)] = row.number
    return found


def replay(db: sa.Connection, tenant: int, hook: str, now: int, *, who: str, only: Collection[int] | None = None) -> int:
    """Tell dead deliveries again from the first attempt on; `only` these (done ones, too), else all dead ones. How many."""
    if db.scalar(sa.select(w.c.id).where(w.c.tenant == tenant, w.c.id == _id(hook))) is None:
        return 0
    chosen = d.update().where(d.c.webhook == hook, d.c.state != State.WAITING.value)
    chosen = chosen.where(d.c.state == State.DEAD.value) if only is None else chosen.where(d.c.id.in_(list(only)[:MAX_PAGE]))
    done = db.execute(chosen.values(state=State.WAITING.value, attempts=0, due=now, updated=now)).rowcount
    if done:
        audit.note(db, tenant, who, "webhook.replay", hook, {"deliveries": done}, at=now)
    return done


def prune(db: sa.Connection, now: int) -> int:
    """Forget deliveries that succeeded long ago; how many."""
    return db.execute(d.delete().where(d.c.state == State.DONE.value, d.c.updated < now - KEEP_DONE)).rowcount


def body(event: messages.Event) -> bytes:
    """What is posted, the same each time: Standard Webhooks' three members, `data` as everywhere (`shapes.event`)."""
    return encoded(event.kind.value, iso(event.at), shapes.event(event))


def encoded(kind: str, timestamp: str, data: object) -> bytes:
    """A payload of a kind."""
    return msgspec.json.encode({"type": kind, "timestamp": timestamp, "data": data})


__all__ = ["Delivery", "Result", "Settled", "State", "Task", "Webhook"]
