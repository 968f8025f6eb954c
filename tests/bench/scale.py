"""How fast figures and pages are over a large trace, and how mail, trace and pages bear each other.

`python -m tests.bench.scale pages URL` measures over a store that is there (`tests.bench.many` fills one); `… stream URL` sends
it 2,000 events a second by the outbox of a real gate while its pages are asked for, `… limit` looks for the rate at which SQLite
falls behind, `… mail` compares a gate with and without the trace, `… idle` says what a gate that does nothing takes of a core.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from delivcheck import ulid
from delivcheck.gate.journal import Journal
from delivcheck.trace import keys, messages, schema, stats, upkeep
from delivcheck.trace.keys import Scope
from delivcheck.trace.model import Kind
from delivcheck.trace.queries import parse_query
from delivcheck.trace.records import encode
from delivcheck.trace.store import Store
from tests.bench import load, peers
from tests.bench.letters import letters
from tests.bench.trace import EVENTS, fill, show, sustained, traffic
from tests.postgres import postgres
from tests.soak import gates

ALIKE = 20  # times that each figure is taken
PAGES = ("/", "/?span=30d", "/?span=90d", "/messages", "/messages?q=to%3A{address}", "/messages?q=status%3Abounced+since%3A7d",
         "/messages/{trace}", "/rules", "/statistics", "/suppressions")  # fmt: skip
API = ("/v1/events?limit=300", "/v1/events?limit=300&after={cursor}", "/v1/messages/{trace}", "/v1/stats")
LIVE = ("/", "/messages")


# --- who asks ----------------------------------------------------------------------------------------------------------


def ask(base: str, key: str, paths: list[str], seconds: float, every: float) -> dict[str, list[float]]:
    """Ask for these pages again and again, signed in; milliseconds of each. `every` 0: as fast as it goes."""
    import httpx

    times: dict[str, list[float]] = {path: [] for path in paths}
    with httpx.Client(base_url=base, headers={"Sec-Fetch-Site": "same-origin", "Origin": base}, timeout=60) as browser:
        answer = browser.post("/sign-in", data={"key": key})
        assert answer.status_code == 303, (answer.status_code, answer.text[:500])
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            begun = time.monotonic()
            for path in paths:
                before = time.perf_counter()
                bearer = {"Authorization": f"Bearer {key}"} if path.startswith("/v1") else {}
                answer = browser.get(path, headers=bearer)
                times[path].append((time.perf_counter() - before) * 1e3)
                assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
            time.sleep(max(0.0, every - (time.monotonic() - begun)))
    return times


@contextmanager
def asking(base: str, key: str, paths: tuple[str, ...], seconds: float, every: float) -> Iterator[dict[str, list[float]]]:
    """The same in another process beside the block; the times are there after it."""
    command = [sys.executable, "-m", "tests.bench.scale", "ask", base, "--seconds", str(seconds), "--every", str(every)]
    environment = {**os.environ, "DELIVCHECK_BENCH_KEY": key}
    found: dict[str, list[float]] = {}
    with subprocess.Popen([*command, *paths], stdout=subprocess.PIPE, env=environment, text=True) as process:
        yield found
        out, _ = process.communicate(timeout=seconds + 120)
    found.update(json.loads(out))


def said(times: list[float]) -> str:
    ordered = sorted(times)
    p95 = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"median {statistics.median(ordered):8.1f}  p95 {p95:8.1f}  max {ordered[-1]:8.1f} ms  n {len(ordered)}"


def line(name: str, text: str) -> None:
    sys.stdout.write(f"  {name:44} {text}\n")
    sys.stdout.flush()


# --- a gate with its pages ----------------------------------------------------------------------------------------------


@contextmanager
def gate(folder: Path, url: str | None, *, hop: object = None, workers: int = 1) -> Iterator[tuple[object, str, str]]:
    """A real gate whose clerk serves pages over this store: what runs, its address, a key."""
    folder.mkdir(exist_ok=True)
    trace = f"[gate.trace]\nkeep-days = 0\nkeep-content-days = 0\n{f'url = {json.dumps(url)}' if url else ''}\n"
    listeners = [gates.listen("smtp"), gates.listen("web", kind="http")]
    path = gates.configuration(folder, *listeners, hop=hop or ("127.0.0.1", 9), workers=workers, more=trace)
    with gates.gate(folder, path, workers=workers + 1) as running:
        store = Store(url or f"sqlite:///{folder / 'state' / 'trace.sqlite'}")
        store.migrate()
        with store.write() as db:
            _, key = keys.add(db, store.tenant(db), f"bench-{time.time_ns()}", [Scope.READ, Scope.ADMIN])
        store.close()
        host, port = running.address("web")
        yield running, f"http://{host}:{port}", key


def clerk(running: object) -> int:
    """The pid of the clerk."""
    return int(running.wait_for("worker", what="start", role="clerk")[-1]["pid"])  # type: ignore[attr-defined]


# --- figures and pages --------------------------------------------------------------------------------------------------


def pages(url: str) -> None:
    store = Store(url)
    with store.read() as db:
        tenant = store.tenant(db)
        newest = messages.latest(db, tenant, 5)
        some = newest[-1]
        last = messages.last_seq(db, tenant)
    address = some.to[0][0]
    rows = {"address": address, "trace": some.trace, "cursor": str(max(0, last // 2))}
    figures(store, address)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="delivcheck-bench-", dir="/var/tmp"))
        _, base, key = stack.enter_context(gate(Path(folder), url))
        paths = tuple(one.format(**rows) for one in (*PAGES, *API))
        with asking(base, key, paths, 20, 0) as times:
            pass
        for path in paths:
            line(path, said(times[path]))
    commands(url, address, some.trace)
    store.close()


def figures(store: Store, address: str) -> None:
    with store.read() as db:
        tenant = store.tenant(db)
        period = stats.Period.last(30, datetime.now(UTC))
        works = {
            "totals of 30 days": lambda: stats.totals(db, tenant, period),
            "30 days by the hour": lambda: stats.over_time(db, tenant, period),
            **{
                f"30 days by {one}": lambda one=one: stats.by(db, tenant, period, one)
                for one in stats.Dimension if one is not stats.Dimension.ALL
            },
            "newest messages": lambda: messages.latest(db, tenant),
            "messages to an address": lambda: messages.search(db, tenant, parse_query(f"to:{address}")),
            "messages to a domain": lambda: messages.search(db, tenant, parse_query("to:@web.de")),
            "bounced messages": lambda: messages.search(db, tenant, parse_query("status:bounced")),
            "messages with a word, none": lambda: messages.search(db, tenant, parse_query("nothing-has-it since:1d")),
            "events, the first": lambda: messages.events(db, tenant, 0, 300),
            "events, one kind": lambda: messages.events(db, tenant, 0, 300, [Kind.BOUNCED]),
            "events, a kind that never was": lambda: messages.events(db, tenant, 0, 300, [Kind.COMPLAINED]),
            "events, the last": lambda: messages.events(db, tenant, messages.last_seq(db, tenant) - 300, 300),
        }  # fmt: skip
        for name, work in works.items():
            times = []
            for _ in range(ALIKE):
                begun = time.perf_counter()
                work()
                times.append((time.perf_counter() - begun) * 1e3)
                if sum(times) > 15_000:
                    break
            line(name, f"first {times[0]:8.1f}  {said(times)}")


def commands(url: str, address: str, trace: str) -> None:
    for words in (["stats", "--days", "30"], ["stats", "--days", "30", "--by", "provider"], ["trace", "--recipient", address],
                  ["trace", trace], ["trace", "--last"]):  # fmt: skip
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "delivcheck", *words, "--store", url], capture_output=True, text=True, check=False
        )
        line(f"delivcheck {' '.join(words)}"[:44], f"{(time.perf_counter() - begun) * 1e3:8.1f} ms  exit {done.returncode}")


# --- events all the time ------------------------------------------------------------------------------------------------


async def _feed(state: Path, rate: float, seconds: float, seed: int) -> dict[str, float]:
    """So many events a second into the journal's outbox, as workers write them; how far behind the outbox was at worst."""
    journal = Journal(state)
    source = traffic(seed, time.time_ns() // 1_000_000, 1000 * EVENTS / rate)
    wait, queue, told, made = 0.05, [], 0, 0
    begin = time.perf_counter()
    waits: list[tuple[float, int]] = []
    looked = 0.0
    while (now := time.perf_counter() - begin) < seconds:
        due = int(now * rate)
        some = []
        while told < due:
            if not queue:
                queue = list(next(source))
            some.append(queue.pop(0))
            told += (
                len(getattr(some[-1], "recipients", ())) * 3
                if hasattr(some[-1], "recipients")
                else int(some[-1].recipient is not None)
            )
        made += len(some)
        if some:
            await journal.noted([encode(one) for one in some])
        if now > looked + 0.5:
            looked = now
            waits.append((now, await journal.backlog()))
        await asyncio.sleep(max(0.0, wait - (time.perf_counter() - begin - now)))
    taken = time.perf_counter() - begin
    drained = time.perf_counter()
    while await journal.backlog() and time.perf_counter() < drained + 120:  # noqa: ASYNC110 -- another process empties it
        await asyncio.sleep(0.05)
    left = await journal.backlog()
    drained = time.perf_counter() - drained
    await journal.close()
    third = [n for at, n in waits if at > taken * 2 / 3]
    first = [n for at, n in waits if taken / 3 < at <= taken * 2 / 3]
    return {
        "events a second": told / taken,
        "records a second": made / taken,
        "records waiting, median": statistics.median(n for _, n in waits),
        "records waiting, at worst": max(n for _, n in waits),
        "behind at worst, s": max(n for _, n in waits) / (made / taken),
        "waiting, mean of 2nd third": statistics.mean(first or [0]),
        "waiting, mean of last third": statistics.mean(third or [0]),
        "s until all was in": drained,
        "left": left,
    }


def stream(url: str | None, rate: float, seconds: float, folder: Path) -> dict[str, float]:
    """Events into the outbox of a real gate, pages asked for once a second."""
    with gate(folder, url) as (running, base, key):
        pid = clerk(running)
        before, begun = peers.cpu([pid]), time.perf_counter()
        with asking(base, key, LIVE, seconds, 1.0) as times:
            found = asyncio.run(_feed(folder / "state", rate, seconds, time.time_ns()))
        found["the clerk's share of a core"] = (peers.cpu([pid]) - before) / (time.perf_counter() - begun)
        show(f"{rate:,.0f} events a second for {seconds:.0f} s, load {os.getloadavg()[0]:.1f}", found)
        for path, each in times.items():
            line(path, said(each))
        faults = running.events("fault")
        assert not faults, faults[0]
    return found


def limit(folder: Path, events: int, rates: list[float], seconds: float) -> None:
    """SQLite of so many events, made where the folder has none: at which rate its lag grows without end."""
    (folder / "state").mkdir(exist_ok=True)
    path = folder / "state" / "trace.sqlite"
    if not path.exists():
        store = Store(f"sqlite:///{path}")
        store.migrate()
        if events:
            show(f"SQLite, {events:,} events", fill(store, events))
        store.close()
    line("file, MB", f"{path.stat().st_size / 1e6:,.0f}")
    for rate in rates:
        found = stream(None, rate, seconds, folder)
        keeps = found["waiting, mean of last third"] < max(1.5 * found["waiting, mean of 2nd third"], rate)
        line(f"{rate:,.0f} a second", "keeps up" if keeps else "falls behind")


# --- a store that others clean --------------------------------------------------------------------------------------------


def clean(url: str) -> None:
    """Retention of a day's messages, and erasure of a recipient, while 500 events a second come in."""
    store = Store(url)
    with store.read() as db:
        tenant = store.tenant(db)
        first = db.scalar(schema.message.select().with_only_columns(schema.message.c.id).order_by(schema.message.c.id).limit(1))
        some = messages.latest(db, tenant, 1)[0].to[0][0]
    began = ulid.minted(str(first)) + timedelta(days=1)
    seconds = 60.0
    code = f"""
import json, sys
from tests.bench.trace import sustained
from delivcheck.trace.store import Store
print(json.dumps(sustained(Store({url!r}), 500, {seconds}, 77)))
"""
    alone = sustained(store, 500, 10, 76)
    show("500 events a second alone", alone)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        begun = time.perf_counter()
        done = upkeep.expire(store, began, keep_days=1e-9)
        took = time.perf_counter() - begun
        line("retention of a day", f"{done.aged:,} messages in {took:.1f} s")
        begun = time.perf_counter()
        gone = upkeep.erase(store, tenant, some, who="bench")
        line("erasure of a recipient", f"{gone.messages} messages in {(time.perf_counter() - begun) * 1e3:.0f} ms")
        out, _ = other.communicate(timeout=seconds + 300)
    show("500 events a second meanwhile", json.loads(out))
    store.close()


# --- the mail's path ------------------------------------------------------------------------------------------------------


def mail(rounds: int, count: int, rate: float, seconds: float) -> None:
    """Messages a second through a gate with and without the trace, in turns; then the client's reply times at a rate."""
    with tempfile.TemporaryDirectory(prefix="delivcheck-bench-", dir="/var/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        sink = stack.enter_context(peers.sink(folder))
        found = {}
        plain = folder / "plain"
        plain.mkdir()
        path = gates.configuration(plain, gates.listen("smtp"), hop=sink, workers=2)
        found["without"] = stack.enter_context(gates.gate(plain, path, workers=2)), "", ""
        found["SQLite"] = stack.enter_context(gate(folder / "sqlite", None, hop=sink, workers=2))
        server = stack.enter_context(postgres(fsync="on", synchronous_commit="on", full_page_writes="on"))
        url = server.url(server.create())
        found["PostgreSQL"] = stack.enter_context(gate(folder / "postgresql", url, hop=sink, workers=2))
        batch = letters(10, 200)
        rates: dict[str, list[float]] = {one: [] for one in found}
        cpus: dict[str, list[float]] = {one: [] for one in found}
        for turn in range(rounds + 1):
            for one, (running, _, _) in found.items():
                pids = sorted(running.workers())  # type: ignore[attr-defined]
                before = peers.cpu(pids)
                sent = load.smtp(running.address("smtp"), load.many(batch, count), sessions=10)  # type: ignore[attr-defined]
                assert not sent.refused, sent.refused[:3]
                _settle(running)
                if turn:
                    rates[one].append(sent.rate)
                    cpus[one].append((peers.cpu(pids) - before) / count * 1e3)
        for one, each in rates.items():
            ratios = sorted(a / b for a, b in zip(each, rates["without"], strict=True))
            line(
                one,
                f"{statistics.median(each):6.0f} a second, {statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f}) of that without; {statistics.median(cpus[one]):.2f} ms CPU a message",
            )
        paced = letters(10, int(rate * seconds))
        for one, (running, base, key) in found.items():
            for busy in (False, True) if base else (False,):
                with asking(base, key, ("/?span=30d",), seconds, 0) if busy else ExitStack() as _:
                    sent = load.smtp(running.address("smtp"), paced, sessions=10, rate=rate)  # type: ignore[attr-defined]
                assert not sent.refused, sent.refused[:3]
                line(
                    f"{one}{', pages all the time' if busy else ''}",
                    f"{rate:.0f} a second: p50 {sent.worst(0.5) * 1e3:.1f}, p99 {sent.worst(0.99) * 1e3:.1f} ms",
                )


def _settle(running: object) -> None:
    """Until the clerk has brought all, so that the next one has the machine for itself."""
    end = time.monotonic() + 60
    while running.metric("delivcheck_outbox_records") and time.monotonic() < end:  # type: ignore[attr-defined]
        time.sleep(0.2)
    time.sleep(1.5)


def idle(seconds: float = 20) -> None:
    """What a gate that does nothing takes of a core."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="delivcheck-bench-", dir="/var/tmp"))
        running, _, _ = stack.enter_context(gate(Path(folder), None, workers=2))
        time.sleep(5)
        pids = {"supervisor": running.process.pid, "clerk": clerk(running)}  # type: ignore[attr-defined]
        before = {one: peers.cpu([pid]) for one, pid in pids.items()}
        time.sleep(seconds)
        for one, pid in pids.items():
            line(one, f"{(peers.cpu([pid]) - before[one]) / seconds:.2%} of a core")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("what", choices=["ask", "pages", "stream", "limit", "clean", "mail", "idle"])
    asked.add_argument("url", nargs="?")
    asked.add_argument("paths", nargs="*")
    asked.add_argument("--rate", type=float, nargs="+", default=[2_000])
    asked.add_argument("--seconds", type=float, default=300)
    asked.add_argument("--every", type=float, default=1)
    asked.add_argument("--events", type=int, default=1_000_000)
    asked.add_argument("--rounds", type=int, default=5)
    asked.add_argument("--count", type=int, default=1_000)
    options = asked.parse_intermixed_args()
    match options.what:
        case "ask":
            key = os.environ["DELIVCHECK_BENCH_KEY"]
            sys.stdout.write(json.dumps(ask(options.url, key, options.paths, options.seconds, options.every)))
        case "pages":
            pages(options.url)
        case "stream":
            with tempfile.TemporaryDirectory(prefix="delivcheck-bench-", dir="/var/tmp") as folder:
                stream(options.url, options.rate[0], options.seconds, Path(folder))
        case "limit":
            with tempfile.TemporaryDirectory(prefix="delivcheck-bench-", dir="/var/tmp") as folder:
                limit(Path(options.url or folder), options.events, options.rate, options.seconds)
        case "clean":
            clean(options.url)
        case "mail":
            mail(options.rounds, options.count, options.rate[0], options.seconds)
        case "idle":
            idle()


if __name__ == "__main__":
    main()
