"""The thread that writes: it takes what waits, whoever asked, and does it in one transaction with one fsync.

So the event loop never waits for a disk, and a hundred messages that come together cost one fsync, not two hundred.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .facts import JournalError
from .store import Store, Work

MAX_BATCH = 500  # works in one transaction: keeps the lock below 50 ms, which others wait for
MAX_WAITING = 20_000  # works not yet done: more than a worker's connections could ask for at once (settings.Limits)
LAZY = 0.05  # seconds that work nobody waits for may wait for other work to share its fsync
RETRY = 1.0  # seconds until work that is owed is tried again

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Job:
    work: Work
    future: "asyncio.Future[Any] | None"  # None: nobody waits
    lazy: bool = False
    owed: bool = False  # tried again until it is done
    reading: bool = False


class Writer:
    """Takes work from any event loop. Its thread starts with the first piece; a daemon, since nothing in it must be saved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._jobs: deque[_Job] = deque()
        self._ready = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._failing = False
        self._doing = 0  # works in the batch at hand
        self._behind = 0  # works that waited when it was begun

    @property
    def waiting(self) -> int:
        """How many works are not yet done, the owed ones included."""
        return len(self._jobs) + self._doing

    def do(self, work: Work, *, owed: bool = False, reading: bool = False) -> "asyncio.Future[Any]":
        """Have it done; the future has what it returns once that is on the disk. It, and this, raise JournalError.

        `owed`: where it fails, it is tried again until it is done, though the caller is told of the failure. `reading`: it
        writes nothing.
        """
        future = asyncio.get_running_loop().create_future()
        self._put(_Job(work, future, owed=owed, reading=reading))
        return future

    def later(self, work: Work, *, lazy: bool = False) -> None:
        """Have it done by and by. Nobody waits, nothing is raised, what fails is tried again. `lazy`: it may wait."""
        try:
            self._put(_Job(work, None, lazy=lazy, owed=True))
        except JournalError as error:
            log.warning("not journalled: %s", error)

    def _put(self, job: _Job) -> None:
        with self._ready:
            if self._closing:
                raise JournalError("the journal is closed")
            if len(self._jobs) >= MAX_WAITING:
                raise JournalError(f"{MAX_WAITING} works wait for the disk")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
                self._thread.start()
            self._jobs.append(job)
            if not job.lazy or len(self._jobs) == 1:  # the thread may be asleep until there is something at all
                self._ready.notify()

    async def close(self) -> None:
        """Do what waits, then end. What cannot be done now is lost; recovery draws the careful conclusion from its absence."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        if self._thread is not None:
            await asyncio.to_thread(self._thread.join)

    # --- the thread

    def _run(self) -> None:
        while batch := self._next():
            try:
                reading = all(job.reading for job in batch)
                results: Sequence[Any] = self._store.together([job.work for job in batch], reading=reading)
            except JournalError as error:
                self._failed(batch, error)
            except Exception as error:  # a bug of ours must not end the thread: everybody would wait for ever
                log.exception("the journal's writer")
                self._deliver(batch, [JournalError(f"{type(error).__name__}: {error}")] * len(batch))
            else:
                if self._failing:
                    self._failing = False
                    log.warning("the journal works again")
                self._deliver(batch, results)
            self._doing = 0
        self._store.close()

    def _next(self) -> list[_Job]:
        """The next batch, in the order in which it was asked for; none when all is done and the writer is closed."""
        with self._ready:
            if self._failing and not self._closing and not any(job.future for job in self._jobs):
                self._ready.wait(RETRY)
            while not self._jobs and not self._closing:
                self._ready.wait()
            until = time.monotonic() + LAZY
            while not self._closing and all(job.lazy for job in self._jobs) and (left := until - time.monotonic()) > 0:
                self._ready.wait(left)
            self._doing = min(MAX_BATCH, len(self._jobs))
            self._behind = len(self._jobs) - self._doing
            return [self._jobs.popleft() for _ in range(self._doing)]

    def _failed(self, batch: Sequence[_Job], error: JournalError) -> None:
        """Tell everybody who waited when this try began, also behind the batch: an answer in time is due to each.

        Who came later has a try of his own. What is owed is kept, in its order.
        """
        if not self._failing:
            self._failing = True
            log.warning("the journal fails: %s", error)  # no error of ours: the disk's
        with self._ready:
            waited = [*batch, *(self._jobs.popleft() for _ in range(self._behind))]
            if not self._closing:
                self._jobs.extendleft(_Job(job.work, None, owed=True) for job in reversed(waited) if job.owed)
        self._deliver(waited, [error] * len(waited))

    def _deliver(self, batch: Sequence[_Job], results: Sequence[Any]) -> None:
        """Give the results to who waits, with one call for each event loop."""
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
        for job, result in zip(batch, results, strict=True):
            if job.future is not None:
                loops.setdefault(job.future.get_loop(), []).append((job.future, result))
            elif isinstance(result, Exception) and not isinstance(result, JournalError):
                log.error("not journalled: %s: %s", type(result).__name__, result)
        for loop, pairs in loops.items():
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_give, pairs)


def _give(pairs: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, result in pairs:
        if future.done():  # cancelled meanwhile
            continue
        if isinstance(result, Exception):
            future.set_exception(
                result if isinstance(result, JournalError) else JournalError(f"{type(result).__name__}: {result}")
            )
        else:
            future.set_result(result)
