"""A client that has only so long: one deadline for all questions of an audit."""

import asyncio
import time
import types
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..model import Answer, Failed, Failure
from .client import Client, Over


class Deadline(Over):
    """Lets questions through to the client beneath until `seconds` after the first one was asked.

    After that every question is answered with a timeout at once, and those still waiting are let go, so that an audit ends in
    time whatever DNS does. The clock starts with the first question, not when the client is made: reading a mailbox costs no
    DNS time.
    """

    def __init__(self, beneath: Client, seconds: float) -> None:
        super().__init__(beneath)
        self._seconds = seconds
        self._end: float | None = None
        self._waits: set[_Wait] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer within the time that is left."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        left = self._end - now
        if left > 0:
            # Most answers are in a cache: only where the first step does not come to the end there is something to wait for.
            steps = self.beneath.ask(name, type).__await__()
            try:
                waits_for = next(steps)
            except StopIteration as answered:
                return answered.value  # type: ignore[no-any-return] # what `ask` returns
            try:
                return await self._in_time(left, steps, waits_for)
            except TimeoutError:
                pass
        return Failed(Failure.TIMEOUT, f"not answered within {self._seconds:g} s of the first question")

    async def _in_time(self, left: float, steps: Generator[Any, None, Answer], waits_for: Any) -> Answer:
        """What `asyncio.timeout` does, with one timer for all that wait. Raises TimeoutError."""
        task = asyncio.current_task()
        assert task is not None
        wait = _Wait(task, task.cancelling())
        self._waits.add(wait)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left, self._expire)
        try:
            return await rest(steps, waits_for)
        except asyncio.CancelledError:
            if wait.expired and task.uncancel() <= wait.cancelling:
                raise TimeoutError from None
            raise
        finally:
            self._waits.discard(wait)
            if not self._waits and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _expire(self) -> None:
        for wait in self._waits:
            wait.expired = True
            wait.task.cancel()


@dataclass(slots=True, eq=False)
class _Wait:
    """A task that waits for an answer, and how often it was being cancelled when it began to."""

    task: "asyncio.Task[Any]"
    cancelling: int
    expired: bool = False


@types.coroutine
def rest(steps: Generator[Any, None, Answer], waits_for: Any) -> Generator[Any, None, Answer]:
    """What `await` does after its first step: hand up what is waited for, hand down what came of it (PEP 380)."""
    while True:
        try:
            yield waits_for
        except BaseException as error:  # noqa: BLE001 -- a cancellation, too, is for the client beneath to see
            step = partial(steps.throw, error)
        else:
            step = partial(next, steps)  # an event loop sends nothing but None
        try:
            waits_for = step()
        except StopIteration as answered:
            return answered.value  # type: ignore[no-any-return]
