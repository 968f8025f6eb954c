"""One next hop: its settings, its connections, and what it said it can."""

import asyncio
import time
from dataclasses import replace

from ..model import Extensions
from ..ports import Watch
from ..profiles import PROFILES
from ..reply import Reply
from ..settings import NextHop
from .connection import Lost
from .dial import Dial
from .pool import Full, Pool

ASKING = 5.0  # seconds for the EHLO of a next hop that was never reached; a client waits for our own EHLO meanwhile
SOON = 0.5  # seconds before it is asked again after it said no at once, as while it restarts; clients come again after minutes
LATER = 2.0  # times as long as it took to find out that it does not answer: what is silent is not asked by every client


class Hop:
    """One next hop: its settings, its connections, its last EHLO."""

    def __init__(self, hop: NextHop, name: str, watch: Watch) -> None:
        self.settings, self._watch = hop, watch
        self.pool = Pool(Dial(hop, name, self.note), hop.connections, self.note)
        self._asking: asyncio.Task[None] | None = None
        self._not_before = float("-inf")  # time.monotonic() when it may be asked again
        self.late: set[asyncio.Task[list[Reply]]] = set()  # replies to a final dot whose caller went away

    def note(self, what: str, reason: str = "", ms: int | None = None) -> None:
        """Tell the log."""
        self._watch("relay", next_hop=self.settings.name, what=what, reason=reason, **({} if ms is None else {"ms": ms}))

    async def extensions(self) -> Extensions | None:
        """What it can, as of its last EHLO; None where it was never reached, and cannot be now."""
        if self.pool.offers is None and time.monotonic() >= self._not_before:
            if self._asking is None:  # one asks for all
                self._asking = asyncio.create_task(self._ask())
                self._asking.add_done_callback(self._answered)
            await asyncio.shield(self._asking)
        if self.pool.offers is None:
            return None
        can, size = self.pool.offers.extensions, PROFILES[self.settings.profile].size
        return can if size is None else replace(can, size=min(size, can.size or size))

    async def _ask(self) -> None:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(ASKING):
                connection, _ = await self.pool.take()
        except (Lost, Full, TimeoutError):
            now = time.monotonic()
            self._not_before = now + max(SOON, LATER * (now - begun))
        else:
            self.pool.give(connection)  # the next message's

    def _answered(self, _: "asyncio.Task[None]") -> None:
        self._asking = None
