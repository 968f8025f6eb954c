"""The clerk: one process beside the workers that keeps the trace and serves HTTP, so that neither ever holds up mail.

It brings the journal's outbox into the store. Nothing is taken out of the outbox before the store has it, and the store takes
nothing twice: a clerk that dies, or a store that is away for a day, costs time and no record.
"""

import asyncio
import functools
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress

import msgspec

from ...trace import suppressions
from ...trace.ingest import ingest
from ...trace.records import Event, Record, decode, encode
from ...trace.store import StoreError
from ...trace.suppressions import Suppression
from .. import record, tracing
from ..desk import Desk
from ..http.app import Router, application
from ..http.serving import Server
from ..journal import JournalError
from ..journal import Record as Attempted
from ..ports import Watch
from ..release import Releaser
from ..routing.copied import FILE, Listed, kept, written
from ..routing.suppressed import Entry
from ..settings import Address, Kind, Listener
from ..smtp.tls import BadCertificate
from ..submission import Submission
from . import errands
from .building import Gateway
from .building import build as build_gateway
from .doors import Connect
from .worker import CannotServe, Counting, Loaded, Running

BATCH = 1_000  # records in one transaction of the store
PAUSE = 0.1  # seconds without anything to bring; how late the trace is when nothing is wrong
AGAIN = (1.0, 30.0)  # seconds until a store that failed is tried again, at first and at most
LOOKING = 1.0  # seconds between two looks at how much waits
AT_FIRST = 5.0  # seconds of the start for the store
COPYING = 1.0  # seconds between two looks at the suppression list
CLOSING = 5.0  # seconds to bring what is left at the end

NOWHERE = Listener("http", Kind.HTTP, Address())  # stands for one where nothing listens: tasks have a desk all the same

_log = logging.getLogger("delivcheck.gate")


async def build(loaded: Loaded, watch: Watch, counting: Counting | None, *, pages: Iterable[Router] = ()) -> Running:
    """Everything that the clerk needs. Raises CannotServe. A store that is away is no reason not to start."""
    gateway = await build_gateway(loaded, watch, counting)
    gate = loaded.gate
    try:
        store = await asyncio.to_thread(tracing.store, gate)
        keys = await asyncio.to_thread(tracing.keys, gate)
    except (StoreError, OSError, ValueError) as error:
        raise CannotServe(f"trace: {error}") from error
    listeners = [one for one in gate.listeners if one.kind is Kind.HTTP]
    reception, held = gateway.reception, gateway.reception.held
    releaser = None
    if held is not None:
        releaser = Releaser(
            store=held,
            pipeline=reception.pipeline,
            relay=reception.relay,
            journal=reception.journal,
            watch=watch,
            at_most_once=gate.at_most_once,
            return_paths=reception.return_paths,
            deadline=gate.deadline,
        )

    async def note(records: Sequence[Record]) -> None:
        await reception.journal.noted([encode(one) for one in records])

    desk = Desk(
        config=loaded.config,
        gate=gate,
        store=store,
        tokens=keys,
        handing=Submission(reception, next(iter(listeners), NOWHERE), releaser),
        note=note,
        held=held,
        watch=watch,
        waiting=reception.journal.backlog,
    )
    clerk = Clerk(gateway, desk, watch, pages if gate.http.pages else ())
    try:
        for one in listeners:
            clerk.server.check(one)
    except BadCertificate as error:
        raise CannotServe(str(error)) from error
    await clerk.at_first()
    clerk.begin()
    return clerk


class Clerk:
    """The `worker.Running` of the clerk."""

    def __init__(self, gateway: Gateway, desk: Desk, watch: Watch, pages: Iterable[Router]) -> None:
        self._gateway, self._desk, self._watch = gateway, desk, watch
        self._listeners = {one.name: one for one in desk.gate.listeners}
        self.server = Server(application(desk, pages), desk.gate.limits, watch)
        self._tasks: list[asyncio.Task[None]] = []
        self._migrated = False
        self._identity = ""  # of the store, once it was reached
        self._copied: tuple[object, ...] | None = None  # what the list was like when the workers' copy was written
        self._failed = ""  # why the store could not be used the last time
        self._caught_up = time.monotonic()  # when nothing waited for the store
        self._looked = 0.0
        self._empty: object = None  # the journal's mark when the outbox was empty

    async def at_first(self) -> None:
        """What the workers should find when they begin to serve; a store that is away or slow is not waited for."""
        try:
            async with asyncio.timeout(AT_FIRST):
                await self._migrate()
                await self._copy_list()
        except (StoreError, OSError, TimeoutError) as error:
            self._tell(str(error) or f"the store has not answered within {AT_FIRST:g} s")

    def begin(self) -> None:
        """What can only be begun in a running loop."""
        loop = asyncio.get_running_loop()
        works = [self._keep(), self._copy(), *(errands.run(one, self._desk) for one in errands.ERRANDS)]
        self._tasks = [loop.create_task(one) for one in works]
        for task in self._tasks:
            task.add_done_callback(_told)

    # --- worker.Running

    def connect(self, listener: str) -> Connect:
        """What takes the connections of a listener."""
        return functools.partial(self.server.connect, listener=self._listeners[listener])

    def unready(self) -> list[str]:
        """Mail goes on whatever is wrong here."""
        return []

    def outage(self) -> tuple[str, list[str]] | None:
        """The workers look at that."""
        return None

    def drain(self) -> None:
        """Idle connections end now."""
        self.server.drain()

    def connections(self) -> int:
        """How many are open."""
        return self.server.connections

    async def now(self) -> Mapping[str, float]:
        """How much waits for the store is told to the watch: whoever is asked for metrics is mostly another process."""
        return {}

    async def close(self) -> None:
        """Bring what is left, if that is quick."""
        for task in self._tasks:
            task.cancel()
        with suppress(TimeoutError, JournalError, StoreError):
            async with asyncio.timeout(CLOSING):
                while await self._bring() == BATCH:
                    pass
        await self._gateway.close()
        self._desk.store.close()

    # --- the outbox

    async def _keep(self) -> None:
        """Bring records as they come, for ever."""
        wait = AGAIN[0]
        while True:
            try:
                brought = await self._bring(asked=time.monotonic() > self._looked + LOOKING)
                if brought < BATCH:
                    self._caught_up = time.monotonic()
                await self._look()
            except (JournalError, StoreError) as error:
                self._tell(str(error))
                await self._look()
                await asyncio.sleep(wait)
                wait = min(AGAIN[1], wait * 2)
                continue
            self._tell("")
            wait = AGAIN[0]
            if brought < BATCH:
                await asyncio.sleep(PAUSE)

    async def _look(self) -> None:
        """Tell how far the trace is behind, for the metrics."""
        if time.monotonic() < self._looked + LOOKING:
            return
        self._looked = time.monotonic()
        with suppress(JournalError):
            waiting = 0 if self._empty is not None else await self._gateway.reception.journal.backlog()
            self._watch("outbox", waiting=waiting, behind=time.monotonic() - self._caught_up)

    async def _bring(self, *, asked: bool = True) -> int:
        """One batch; how many rows it had. Raises JournalError, StoreError: then nothing was taken out.

        Unless `asked` to, it does not look where nothing was written since the outbox was empty.
        """
        journal, store = self._gateway.reception.journal, self._desk.store
        await self._migrate()
        mark = journal.mark()
        if not asked and mark is not None and mark == self._empty:
            return 0
        rows = await journal.outbox(BATCH)
        self._empty = None if rows else mark
        if not rows:
            return 0
        records: list[Record] = []
        for _, what in rows:
            records += self._read(what)
        done = await asyncio.to_thread(ingest, store, records)
        for one in done.aside:
            self._watch("fault", where="outbox", trace=one.record.trace, reason=one.why)
        await journal.told([number for number, _ in rows])
        self._watch("ingest", count=len(rows))
        return len(rows)

    async def _migrate(self) -> None:
        if not self._migrated:
            await asyncio.to_thread(self._desk.store.migrate)
            self._migrated = True

    def _read(self, what: bytes | Attempted | None) -> Sequence[Record]:
        if what is None:  # pruned meanwhile
            return ()
        if isinstance(what, Attempted):
            found: list[Event] = record.told_by(what)
            return found
        try:
            return (decode(what),)
        except msgspec.DecodeError as error:  # written by a version that is not ours: it must not stop the others
            self._watch("fault", where="outbox", reason=str(error))
            return ()

    # --- the suppression list

    async def _copy(self) -> None:
        """Keep the workers' copy, for ever. Whether the list is another is asked for a fiftieth of the time at most."""
        while True:
            begun = time.monotonic()
            with suppress(StoreError):  # told by `_keep`, which is at it all the time
                try:
                    await self._copy_list()
                except OSError as error:
                    self._watch("fault", where="suppressions", reason=str(error))
            await asyncio.sleep(max(COPYING, 50 * (time.monotonic() - begun)))

    async def _copy_list(self) -> None:
        if not self._migrated:
            return
        state = self._desk.gate.state
        store = self._identity = self._identity or await asyncio.to_thread(self._desk.store.identity)
        stamp = await asyncio.to_thread(self._list_stamp)
        there = await asyncio.to_thread(kept, state)
        if there is not None and there[1] and there[0] != store:
            # Whoever lost a database must not write to those who asked not to be written to.
            if stamp != self._copied:
                what = f"the store is another than the one whose {there[1]} suppressions act now"
                how = f"restore it (delivcheck backup restore), or import the list and delete {state / FILE}"
                self._watch("fault", where="suppressions", reason=f"{what}: {how}")
                self._copied = stamp
            return
        if stamp != self._copied or there is None:
            await asyncio.to_thread(self._write_list, store)
            self._copied = stamp

    def _list_stamp(self) -> tuple[object, ...]:
        with self._desk.store.read() as db:
            return suppressions.stamp(db)

    def _write_list(self, store: str) -> None:
        with self._desk.store.read() as db:
            entries = (Listed(tenant, one.address, _entry(one)) for tenant, one in suppressions.every(db))
            written(self._desk.gate.state, entries, store)

    def _tell(self, why: str) -> None:
        """Once when it begins to fail, and once when it works again."""
        if why and not self._failed:
            self._watch("fault", where="trace", reason=why)
        elif self._failed and not why:
            _log.warning("the trace is kept again")
        self._failed = why


def _entry(one: Suppression) -> Entry:
    return Entry(one.stream, str(one.reason), one.since, one.until)


def _told(task: "asyncio.Task[None]") -> None:
    """A task ends only when it is cancelled, or by a fault of ours, which must be heard of."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a task of the clerk ended", exc_info=error)
