"""One deadline at a time, on the event loop's clock, and cheap to move."""

import asyncio
from collections.abc import Callable


class Clock:
    """Calls `expired` once the deadline has come, and forgets it.

    A timer that goes off before its deadline, because that was moved, sets itself again: cheaper than a new timer each time a
    client says something.
    """

    def __init__(self, expired: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._expired = expired
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def now(self) -> float:
        """The time, in seconds of a clock that nobody sets."""
        return self._loop.time()

    def set(self, deadline: float) -> None:
        """Move the deadline."""
        self._deadline = deadline
        if self._timer is not None:
            if self._timer.when() <= deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline, self._tick)

    def stand_still(self) -> None:
        """There is no deadline for now."""
        self._deadline = None

    def stop(self) -> None:
        """There is none any more."""
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        deadline = self._deadline
        if deadline is None:
            return
        if self._loop.time() < deadline:
            self.set(deadline)
            return
        self._deadline = None
        self._expired()
