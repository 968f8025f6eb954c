"""The judge in this process: a bench, and the thread whose event loop it works in, made when it is wanted."""

import atexit
import os
import threading
import time
from typing import TYPE_CHECKING
from weakref import WeakSet

from .. import ulid
from .case import Case
from .ruling import Ruling, fault

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

    from ..checker import DnsMode
    from ..config import Config
    from ..net.client import Client
    from .judge import Bench
    from .settings import Hooks

SPARE = 1.0  # seconds that a thread waits beyond the deadline for a loop that is busy with others' messages
LATE = "not judged in time"
PARKED = 1.0  # seconds a fork waits for the thread to come to a stop; one message's work between two questions is a tenth of it
FORKING = 10.0  # seconds the thread waits for a fork to be over; one of tens of gigabytes takes one


class Warm:
    """A bench with a thread of its own, made when it is wanted, and again after a fork."""

    def __init__(self, config: "Config", hooks: "Hooks", dns: "Client | DnsMode") -> None:
        self._config, self._hooks, self._dns = config, hooks, dns
        self._lock, self.counting = _locks()
        self._bench: Bench | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        _all.add(self)

    def bench(self) -> "Bench":
        """The bench. Raises ConfigError, PolicyError."""
        if self._bench is None:
            from .judge import Bench

            self._bench = Bench(self._config, self._hooks, self._dns)
        return self._bench

    def submit(self, case: Case) -> "Future[Ruling]":
        """Have it judged in the thread, within the deadline. Raises RuntimeError in that thread: it would wait for itself."""
        import asyncio

        if threading.current_thread() is self._thread:
            raise RuntimeError("a log or a rule sends mail while it is judged")
        with self._lock:
            bench = self.bench()
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                loop = asyncio.new_event_loop()
                thread = threading.Thread(target=_run, args=(loop,), name="delivcheck", daemon=True)
                try:
                    thread.start()
                except BaseException:
                    loop.close()
                    raise
                self._loop, self._thread = loop, thread
            work = _within(bench, case, self._hooks.deadline)
            try:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
            except BaseException:
                work.close()
                raise

    def close(self) -> None:
        """Stop the thread; what it was at work on is undetermined."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = self._bench = None  # what the bench's DNS client waits for belongs to its loop
        if loop is not None and thread is not None and thread.is_alive():
            loop.call_soon_threadsafe(loop.stop)
            thread.join(SPARE)

    def parking(self) -> "_Parking | None":
        """Ask the thread to stop where it holds nothing; None where there is no other thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or thread is threading.current_thread() or not thread.is_alive():
            return None
        parking = _Parking()
        try:
            loop.call_soon_threadsafe(parking.park)
        except RuntimeError:  # it was closed just now
            return None
        return parking

    def forked(self) -> None:
        """A child has neither its parent's thread nor, for certain, its locks.

        Its copy of the loop is kept, and never touched: to close it would take sockets out of the epoll(7) that it shares with
        its parent.
        """
        self._lock, self.counting = _locks()
        if self._loop is not None:
            _inherited.append((self._loop, self._thread, self._bench))
            self._loop = self._thread = self._bench = None


def _locks() -> tuple["threading.RLock", "threading.RLock"]:
    """Those who hold one may come again: a signal handler sends mail in the middle of whatever the thread does."""
    return threading.RLock(), threading.RLock()


_all: "WeakSet[Warm]" = WeakSet()
_inherited: list[object] = []


def _run(loop: "asyncio.AbstractEventLoop") -> None:
    """The thread: everything that was asked, until the loop is stopped; then nothing is left behind."""
    import asyncio

    try:
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:  # gathering none needs a loop that runs
            loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    finally:
        loop.close()


# --- forks -----------------------------------------------------------------------------------------------------------


class _Parking:
    """Stops a thread between two steps of its work."""

    def __init__(self) -> None:
        self.there, self.go_on = threading.Event(), threading.Event()

    def park(self) -> None:
        """Run by the thread's loop."""
        self.there.set()
        self.go_on.wait(FORKING)


class _Forking(threading.local):
    """What this thread has parked for its fork."""

    def __init__(self) -> None:
        self.parked: list[_Parking] = []


_forking = _Forking()


def _before() -> None:
    """Let no thread of ours hold a lock during a fork: its copy in the child would never be given back.

    Such locks are in libraries, where nobody can replace them: `functools.cached_property` has one in Python 3.11, for one.
    """
    _forking.parked = [parking for one in list(_all) if (parking := one.parking()) is not None]
    end = time.monotonic() + PARKED
    for parking in _forking.parked:
        parking.there.wait(max(0.0, end - time.monotonic()))


def _after() -> None:
    for parking in _forking.parked:
        parking.go_on.set()
    _forking.parked = []


def _forked() -> None:
    _forking.parked = []
    for one in list(_all):
        one.forked()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_forked)


# --- the end ---------------------------------------------------------------------------------------------------------


@atexit.register
def _end() -> None:
    """Let questions on their way go, or asyncio complains about them while the interpreter is taken down."""
    for one in list(_all):
        one.close()


async def _within(bench: "Bench", case: Case, seconds: float) -> Ruling:
    import asyncio

    try:
        async with asyncio.timeout(seconds):
            return await bench.rule(case)
    except TimeoutError:
        return fault(LATE, ulid.new())
