"""What the trace store carries: events a second into SQLite and PostgreSQL, what they take of a core, and how fast figures are had.

`python -m tests.bench.trace [--events N] [--sustained SECONDS] [--postgres-events N]`. Prints figures of this machine; a store on
other disks has others.
"""

import argparse
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from delivcheck import ulid
from delivcheck.trace import schema, stats, tallies
from delivcheck.trace.ingest import ingest
from delivcheck.trace.model import Actor, Kind
from delivcheck.trace.records import Event, Message, Record, Result, event_id
from delivcheck.trace.store import Store

BATCH = 500  # records
DAYS = 30
EVENTS = 8.7  # of a message of these, on average
DOMAINS = ("gmail.com", "yahoo.com", "outlook.com", "web.de", "example.org", "example.net", "corp.example")
RULES = ("links/http", "headers/no-list-unsubscribe", "content/image-only", "dmarc/policy-none")


def letter(chance: random.Random, at: int) -> Iterator[Record]:
    """A message as the gate tells of it, to one recipient mostly; eight records, on average eleven events."""
    trace = ulid.floor(datetime.fromtimestamp(at / 1000, UTC))[:10] + ulid.new()[10:]
    recipients = tuple(
        f"user{chance.randrange(200_000)}@{chance.choice(DOMAINS)}" for _ in range(1 if chance.random() < 0.9 else 5)
    )
    failed = [rule for rule in RULES if chance.random() < 0.2]
    stream = chance.choice(("receipts", "newsletter", "alerts"))
    yield Message(
        trace=trace,
        received=at,
        recipients=recipients,
        framing="smtp",
        listener="submission",
        client="shop",
        stream=stream,
        template=f"{stream}-{chance.randrange(10)}",
        tags=(f"tag{chance.randrange(20)}",),
        mail_from="bounces@shop.example",
        from_domain="shop.example",
        subject=f"Your order {chance.randrange(1_000_000)}",
        message_id=f"<{trace}@shop.example>",
        size=chance.randrange(2_000, 80_000),
        sha256="0" * 64,
        verdict="pass",
        action="send",
        results=tuple(Result(rule, "fail", "warning", ("one problem", "another one")) for rule in failed),
        links=("https://shop.example/order", "https://shop.example/help"),
    )
    for number, kind in enumerate((Kind.ACCEPTED, Kind.CHECKED, Kind.PASSED)):
        yield Event(id=event_id(trace, kind, None, "gate"), trace=trace, kind=kind, at=at + number)
    for address in recipients:
        for wait, kind in ((300, Kind.SENT), (5_000, Kind.BOUNCED if chance.random() < 0.02 else Kind.DELIVERED)):
            detail = {"next_hop": "mx", "reply": "250 2.0.0 Ok: queued as 4c1Z2x0k8Kz9rWd"}
            yield Event(
                id=event_id(trace, kind, address, "journal"), trace=trace, kind=kind, at=at + wait, recipient=address,
                source="journal", detail=detail,
            )  # fmt: skip
        for kind, share in ((Kind.OPENED, 0.6), (Kind.CLICKED, 0.1)):
            if chance.random() < share:
                yield Event(
                    id=event_id(trace, kind, address, "1"), trace=trace, kind=kind, at=at + 60_000, recipient=address,
                    source="collector", actor=chance.choice(list(Actor)),
                )  # fmt: skip


def traffic(seed: int, begin: int, step: float) -> Iterator[list[Record]]:
    """Batches without end: a message every so many milliseconds, as mail comes."""
    chance = random.Random(seed)
    batch: list[Record] = []
    at = float(begin)
    while True:
        batch += letter(chance, int(at))
        at += step
        if len(batch) >= BATCH:
            yield batch
            batch = []


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def fill(store: Store, events: int, part: int = 0, parts: int = 1) -> dict[str, float]:
    """A part of the mail of 30 days, as fast as it goes; making up the records is not counted."""
    month = DAYS * 86_400_000
    start = time.time_ns() // 1_000_000 - month + month * part // parts
    step = month / parts / (events / EVENTS)
    taken = used = 0.0
    done = batches = 0
    slowest = 0.0
    for batch in traffic(part, start, step):
        begin, before = time.perf_counter(), cpu()
        done += ingest(store, batch).events
        took = time.perf_counter() - begin
        taken, used, slowest, batches = taken + took, used + cpu() - before, max(slowest, took), batches + 1
        if done >= events:
            break
    return {
        "events": done,
        "events a second": done / taken,
        "our share of a core": used / taken,
        "CPU us an event": used / done * 1e6,
        "ms a batch": taken / batches * 1e3,
        "slowest batch, ms": slowest * 1e3,
    }


def sustained(store: Store, rate: int, seconds: float, seed: int) -> dict[str, float]:
    """So many events each second, no more; how far behind it was at worst."""
    source = traffic(seed, time.time_ns() // 1_000_000, 1000 * EVENTS / rate)
    begin, before, done, behind = time.perf_counter(), cpu(), 0, 0.0
    making = 0.0
    while time.perf_counter() - begin < seconds:
        made, batch = cpu(), next(source)
        making += cpu() - made
        done += ingest(store, batch).events
        ahead = begin + done / rate - time.perf_counter()
        behind = max(behind, -ahead)
        if ahead > 0:
            time.sleep(ahead)
    taken = time.perf_counter() - begin
    return {
        "events": done,
        "events a second": done / taken,
        "our share of a core": (cpu() - before - making) / taken,
        "behind at worst, s": behind,
    }


def figures(store: Store) -> dict[str, float]:
    """What `stats` needs of 30 days, and a page of messages."""
    found = {}
    with store.read() as db:
        tenant = store.tenant(db)
        period = stats.Period.last(DAYS + 1, datetime.now(UTC))
        for name, ask in {
            "totals of 30 days, ms": lambda: stats.totals(db, tenant, period),
            "30 days by the hour, ms": lambda: stats.over_time(db, tenant, period),
            "30 days by provider, ms": lambda: stats.by(db, tenant, period, stats.Dimension.PROVIDER),
            "30 days by rule, ms": lambda: stats.by(db, tenant, period, stats.Dimension.RULE),
            "30 days by template, ms": lambda: stats.by(db, tenant, period, stats.Dimension.TEMPLATE),
        }.items():
            begin = time.perf_counter()
            assert ask()
            found[name] = (time.perf_counter() - begin) * 1e3
        found["tally rows"] = float(db.scalar(sa.select(sa.func.count()).select_from(schema.tally)) or 0)
    return found


def rolled_up(store: Store) -> dict[str, float]:
    begin = time.perf_counter()
    with store.write() as db:
        gone = tallies.roll_up(db, time.time_ns() // 1_000_000 // tallies.HOUR - 7 * tallies.DAY)
    return {"rolled up, rows": float(gone), "took ms": (time.perf_counter() - begin) * 1e3}


def show(title: str, found: dict[str, float]) -> None:
    sys.stdout.write(f"{title}\n")
    for name, value in found.items():
        sys.stdout.write(f"  {name:28} {value:12,.{1 if value < 100 else 0}f}\n")
    sys.stdout.flush()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--events", type=int, default=1_000_000, help="into SQLite")
    asked.add_argument("--postgres-events", type=int, default=1_000_000)
    asked.add_argument("--sustained", type=float, default=60, help="seconds of 2,000 events each into PostgreSQL")
    asked.add_argument("--steps", type=int, default=4, help="SQLite is filled in so many steps, to see it slow down")
    asked.add_argument("--only", choices=["sqlite", "postgresql"])
    options = asked.parse_args()
    if options.only != "postgresql":
        with tempfile.TemporaryDirectory(prefix="delivcheck-bench-") as folder:
            path = Path(folder) / "trace.sqlite"
            store = Store(f"sqlite:///{path}")
            store.migrate()
            for step in range(options.steps):
                show(f"SQLite, step {step + 1}", fill(store, options.events // options.steps, step, options.steps))
                show("", {"file, MB": path.stat().st_size / 1e6})
            show("SQLite, figures", figures(store))
            show("SQLite, rolled up", rolled_up(store))
            show("SQLite, figures then", figures(store))
            store.close()
    if options.only != "sqlite":
        from tests.postgres import postgres

        # As a server of an operator's is: what is committed is on the disk.
        with postgres(fsync="on", synchronous_commit="on", full_page_writes="on", shared_buffers="256MB") as server:
            store = Store(server.url(server.create()))
            store.migrate()
            show("PostgreSQL, as fast as it goes", fill(store, options.postgres_events))
            show("PostgreSQL, 2,000 events a second", sustained(store, 2_000, options.sustained, 2))
            show("PostgreSQL, figures", figures(store))
            show("PostgreSQL, rolled up", rolled_up(store))
            show("PostgreSQL, figures then", figures(store))
            store.close()


if __name__ == "__main__":
    main()
