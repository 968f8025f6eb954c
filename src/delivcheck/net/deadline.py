"""A client that has only so long: one deadline for all questions of an audit."""

import asyncio
import time
import types
from collections.abc import Generator
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

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer within the time that is left."""
        now = time.monotonic()
        if self._end is None:
            self._end = now + self._seconds
        left = self._end - now
        if left > 0:
            # Most answers are in a cache: a timer is set only for one that has to be waited for, where the first step does not
            # come to the end.
            steps = self.beneath.ask(name, type).__await__()
            try:
                waits_for = next(steps)
            except StopIteration as answered:
                return answered.value  # type: ignore[no-any-return] # what `ask` returns
            try:
                async with asyncio.timeout(left):
                    return await _rest(steps, waits_for)
            except TimeoutError:
                pass
        return Failed(Failure.TIMEOUT, f"not answered within {self._seconds:g} s of the first question")


@types.coroutine
def _rest(steps: Generator[Any, None, Answer], waits_for: Any) -> Generator[Any, None, Answer]:
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
