"""The desk's task that tells webhooks of events: takes what is due, posts several at a time, writes down what came of it."""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from ... import ulid
from ...keyring import NotOpened
from ...net.poster import Posted, Poster
from ...version import __version__
from ..model import iso
from ..store import Store, StoreError
from . import deliveries, register, signing
from .deliveries import Result, Task
from .register import Sealer, now

TOTAL = 64  # requests under way at a time, for all webhooks
EACH = 8  # and for one
IDLE = 1.0  # seconds between two looks where nothing was found
BROKEN = 5.0  # seconds until the next look where the store could not be had
UPKEEP = 3_600.0  # seconds between two rounds of forgetting what is old
CLOSING = 5.0  # seconds to write down what came of requests at the end
PING = "ping"


class Told(Protocol):
    """Who is told what comes of it. Never raises."""

    def settled(self, settled: deliveries.Settled) -> None:
        """What became of deliveries."""

    def failed(self, reason: str) -> None:
        """The store cannot be had just now."""


@dataclass(slots=True)
class Sender:
    """One for each desk; any number of desks may share a PostgreSQL store. what is missing waits."""

    store: Store
    poster: Poster
    sealer: Sealer | None
    told: Told

    async def run(self) -> None:
        """Go on until cancelled; what was under way then is told again by whoever comes next."""
        under_way: dict[asyncio.Task[Result], Task] = {}
        upkeep = 0.0
        try:
            while True:
                try:
                    found = await self._settle([one for one in under_way if one.done()], under_way)
                    if time.monotonic() >= upkeep:
                        await asyncio.to_thread(self._prune)
                        upkeep = time.monotonic() + UPKEEP
                    busy = Counter(one.webhook for one in under_way.values())
                    events, taken = await asyncio.to_thread(self._take, TOTAL - len(under_way), busy)
                except StoreError as error:
                    self.told.failed(str(error))
                    await asyncio.sleep(BROKEN)
                    continue
                for one in taken:
                    under_way[asyncio.create_task(self.send(one))] = one
                if under_way:
                    pause = 0 if events == deliveries.BATCH else IDLE
                    await asyncio.wait(under_way, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
                elif not events and not found:
                    await asyncio.sleep(IDLE)
        finally:
            await self._end(under_way)

    async def _end(self, under_way: dict[asyncio.Task[Result], Task]) -> None:
        done = [one for one in under_way if one.done()]
        for one in under_way:
            one.cancel()
        try:
            async with asyncio.timeout(CLOSING):
                await self._settle(done, under_way)
        except (StoreError, TimeoutError):
            pass  # they are told once more
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _settle(self, done: list[asyncio.Task[Result]], under_way: dict[asyncio.Task[Result], Task]) -> int:
        """Raises StoreError: then they are still there, and settled next time."""
        if not done:
            return 0
        results = [one.result() for one in done]
        settled = await asyncio.to_thread(self._write, results)
        for one in done:
            del under_way[one]
        self.told.settled(settled)
        return len(results)

    async def send(self, task: Task) -> Result:
        """One attempt. Never raises but for cancellation."""
        try:
            keys = register.secrets(task.webhook, task.secret, self.sealer, now())
        except (NotOpened, ValueError) as error:
            return Result(task, False, None, str(error))
        posted = await self._post(task.url, keys, task.event.id, deliveries.body(task.event))
        return Result(task, posted.ok, posted.status, posted.error, posted.retry_after)

    async def ping(self, hook: register.Webhook, written: bytes) -> Posted:
        """Tell a webhook that this is a test, once, now. `written` is its secret as it lies in the store. Raises NotOpened."""
        keys = await asyncio.to_thread(register.secrets, hook.id, written, self.sealer, now())
        data = {"v": 1, "event": PING, "webhook": hook.id}
        return await self._post(hook.url, keys, f"{PING}_{ulid.new()}", deliveries.encoded(PING, iso(now()), data))

    async def _post(self, url: str, keys: tuple[str, ...], name: str, body: bytes) -> Posted:
        fields = {
            "content-type": "application/json",
            "user-agent": f"delivcheck/{__version__}",
            **signing.headers(keys, name, now() // 1000, body),
        }
        return await self.poster.post(url, fields, body)

    # --- in a thread

    def _take(self, room: int, busy: Counter[str]) -> tuple[int, list[Task]]:
        with self.store.write() as db:
            events = deliveries.spread(db, now())
            return events, deliveries.take(db, now(), room, busy, EACH)

    def _write(self, results: list[Result]) -> deliveries.Settled:
        with self.store.write() as db:
            return deliveries.settle(db, results, now())

    def _prune(self) -> None:
        with self.store.write() as db:
            deliveries.prune(db, now())


class Untold:
    """A Told that notes nothing."""

    def settled(self, settled: deliveries.Settled) -> None:
        """Nothing."""

    def failed(self, reason: str) -> None:
        """Nothing."""
