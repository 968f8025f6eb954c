"""What the clerk does beside bringing records: forget what is old, tell webhooks, follow what comes back."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from ...trace import tallies
from ...trace.store import Store, StoreError
from ...trace.upkeep import expire
from .. import returned, webhooks
from ..desk import Desk

UPKEEP = 3_600.0  # seconds between two rounds of forgetting
SOON = 60.0  # seconds after the start until the first one: what crashes again and again must come to it, too
HOURLY = 45  # days that statistics are kept by the hour, and by the day from then on
AGAIN = 30.0  # seconds until an errand that failed through a fault of ours is begun anew

Errand = Callable[[Desk], Awaitable[None]]  # runs until it is cancelled


async def keep_up(desk: Desk) -> None:
    """Forget what is older than the configuration keeps, and sum up the hours of long ago."""
    trace = desk.gate.trace
    assert trace is not None
    await asyncio.sleep(random.uniform(SOON / 2, SOON))  # noqa: S311 -- so that several gates over one store take turns
    while True:
        try:
            await desk.work(
                expire,
                desk.store,
                datetime.now(UTC),
                keep_days=trace.keep_days,
                keep_content_days=trace.keep_content_days,
                max_octets=trace.max_octets,
            )
            await desk.work(_summed_up, desk.store, datetime.now(UTC))
        except StoreError as error:
            desk.watch("fault", where="upkeep", reason=str(error))
        await asyncio.sleep(UPKEEP)


def _summed_up(store: Store, now: datetime) -> None:
    with store.write() as db:
        tallies.roll_up(db, int((now - timedelta(days=HOURLY)).timestamp() // 3600))


ERRANDS: tuple[Errand, ...] = (keep_up, webhooks.run, returned.follow)


async def run(errand: Errand, desk: Desk) -> None:
    """One errand, for ever: a fault of ours in it is told, and costs the others nothing."""
    while True:
        try:
            await errand(desk)
        except Exception as error:  # noqa: BLE001 -- told, and begun anew
            desk.watch(
                "fault", where=f"errand {errand.__module__.rpartition('.')[2]}", reason=f"{type(error).__name__}: {error}"
            )
        await asyncio.sleep(AGAIN)
