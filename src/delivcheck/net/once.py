"""Probes each address once a run: a thousand copies of a newsletter link to the same pages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ..model import HttpAnswer, Probe, ProbeFailed, SmtpAnswer

KEPT = 500  # answers of 64 KB at most; a run that links to more pages fetches some of them again

T = TypeVar("T")


class Once:
    """Lays a memory over a probe, for one run. Who asks for what is already on its way waits for the same answer."""

    def __init__(self, beneath: Probe) -> None:
        self.beneath = beneath
        self._known: dict[tuple[object, ...], asyncio.Task[Any]] = {}

    async def get(self, url: str) -> HttpAnswer | ProbeFailed:
        """Fetch a URL, or tell what came of that before."""
        return await self._once(("GET", url), lambda: self.beneath.get(url))

    async def post(self, url: str, body: bytes, content_type: str) -> HttpAnswer | ProbeFailed:
        """Post to a URL; what differs in the boundary of a multipart body is the same post."""
        key = ("POST", url, content_type.partition(";")[0])
        return await self._once(key, lambda: self.beneath.post(url, body, content_type))

    async def smtp(self, host: str, port: int = 25) -> SmtpAnswer | ProbeFailed:
        """Greet a mail server."""
        return await self._once(("SMTP", host, port), lambda: self.beneath.smtp(host, port))

    async def _once(self, key: tuple[object, ...], ask: Callable[[], Awaitable[T]]) -> T:
        async def answer() -> T:
            return await ask()

        task = self._known.get(key)
        if task is None or (task.done() and task.cancelled()):
            task = self._known[key] = asyncio.ensure_future(answer())
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]
        return cast("T", await asyncio.shield(task))  # the key says which kind of answer it is
