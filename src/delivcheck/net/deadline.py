"""A client that has only so long: one deadline for all questions of an audit."""

import asyncio
import time

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
            try:
                async with asyncio.timeout(left):
                    return await self.beneath.ask(name, type)
            except TimeoutError:
                pass
        return Failed(Failure.TIMEOUT, f"not answered within {self._seconds:g} s of the first question")
