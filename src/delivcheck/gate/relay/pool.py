"""The connections to one next hop: which is used for the next message, how many there are, how long they are kept."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine

from ..settings import CONNECTION_WAIT
from .connection import Connection, Lost
from .dial import Dial, NotLoggedIn
from .protocol import Offers

IDLE = 60.0  # seconds a connection is kept unused (gate.md section 4.2.7); servers wait 5 minutes (RFC 5321 section 4.5.3.2.7)
MESSAGES = 100  # on one connection; Exim's connection_max_messages is 500, large receivers often allow 100 and fewer
AGE = 300.0  # seconds, Postfix's smtp_connection_reuse_time_limit
WAIT = CONNECTION_WAIT
RESET = 30.0  # seconds for RSET, behind everybody's back
PAUSE = 30.0  # seconds without a new try after refused credentials: providers lock accounts that keep failing


class Full(Exception):  # noqa: N818 -- reads well in an except clause
    """All connections are in use, and none came free in time."""


class Pool:
    """The connections to a next hop. `note(what, reason, ms)` is told what happens."""

    def __init__(self, dial: Dial, most: int, note: Callable[..., None]) -> None:
        self._dial, self._most, self._note = dial, most, note
        self._places = asyncio.Semaphore(most)  # for connections in use; first come, first served
        self._in_use = 0
        self._idle: dict[Connection, asyncio.TimerHandle] = {}  # the one used last is the last one
        self._tasks: set[asyncio.Task[None]] = set()
        self._refused: tuple[float, NotLoggedIn] | None = None
        self._closed = False
        self.offers: Offers | None = None  # of the last EHLO; None: never reached

    async def take(self, *, fresh: bool = False) -> tuple[Connection, bool]:
        """A connection, and whether it was used before. Not so where `fresh`. Raises Lost, Full.

        It must come back by `give` or `drop`.
        """
        try:
            async with asyncio.timeout(WAIT if self._places.locked() else None):
                await self._places.acquire()
        except TimeoutError:
            raise Full from None
        self._in_use += 1
        try:
            if not fresh and (found := await self._last_used()) is not None:
                self._note("reused")
                return found, True
            return await self._new(), False
        except BaseException:
            self._free()
            raise

    async def _last_used(self) -> Connection | None:
        """LIFO: the others grow old and go, so that there are as many as are needed."""
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            with contextlib.suppress(Lost):
                await connection.look()  # an EOF or a 421 that is here already
                if connection.usable:
                    return connection
            connection.abort()
        return None

    async def _new(self) -> Connection:
        if self._refused is not None and time.monotonic() < self._refused[0]:
            raise NotLoggedIn(str(self._refused[1]))
        while len(self._idle) > self._most - self._in_use:
            self._forget(next(iter(self._idle)))
        start = time.monotonic()
        try:
            connection = await self._dial()
        except Lost as lost:
            self._refused = (time.monotonic() + PAUSE, lost) if isinstance(lost, NotLoggedIn) else None
            self._note("failed", str(lost), _ms(start))
            raise
        self._refused = None
        self.offers = connection.offers
        self._note("connected", "", _ms(start))
        return connection

    def give(self, connection: Connection, *, reset: bool = False) -> None:
        """It is free again; `reset` where a transaction is open on it, which ends first without anybody waiting for that."""
        if not connection.usable:
            self.drop(connection)
        elif reset:
            self._behind(self._reset(connection))
        else:
            self._keep(connection)

    def drop(self, connection: Connection) -> None:
        """It is of no use, or its state is not known."""
        connection.abort()
        self._free()

    def _free(self) -> None:
        self._in_use -= 1
        self._places.release()

    async def _reset(self, connection: Connection) -> None:
        try:
            await connection.reset(RESET)
        except BaseException as error:
            self.drop(connection)
            if not isinstance(error, Lost):
                raise
        else:
            self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        """Keep it for the next, unless it had its time."""
        self._free()
        if self._closed or connection.messages >= MESSAGES or time.monotonic() - connection.opened >= AGE:
            self._behind(connection.quit())
            return
        self._idle[connection] = asyncio.get_running_loop().call_later(IDLE, self._forget, connection)

    def _forget(self, connection: Connection) -> None:
        timer = self._idle.pop(connection, None)
        if timer is not None:
            timer.cancel()
            self._behind(connection.quit())

    def _behind(self, work: Coroutine[None, None, None]) -> None:
        """Work that nobody waits for, kept from the garbage collector until it is done."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Say goodbye on all idle connections; those in use go when they come back."""
        self._closed = True
        for connection in list(self._idle):
            self._forget(connection)
        if self._tasks:
            await asyncio.wait(self._tasks)


def _ms(start: float) -> int:
    return round((time.monotonic() - start) * 1000)
