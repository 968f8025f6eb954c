"""What a request may take of us before anybody looks at it: octets, time and memory; and the fields that every answer has."""

import asyncio
import re
import time
from collections.abc import Callable, MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .problem import Fault, Problem, of

SMALL = 65_536  # octets of a body where nothing else is said: forms and settings; nginx's client_max_body_size is a megabyte
IDLE = 15.0  # seconds between two pieces of a body; nginx's client_body_timeout is 60
GRACE = 10.0  # seconds before its rate counts
RATE = 16_384  # octets a second that a body must come at: a message of 36 MB in 40 minutes at the slowest
BUSY = 2  # seconds of Retry-After where the memory for bodies is taken

_DIGITS = re.compile(r"[0-9]{1,18}\Z", re.ASCII)

# For what is no page: nothing of an answer is run, framed, kept or told to other sites. A page says its own (`web`).
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class Bounds:
    """ASGI middleware. `most` says for a path how many octets its body may have, `in_flight` how many all bodies together.

    A body that is compressed is refused: nobody needs it here, and it could be any size (attack 67).
    """

    def __init__(
        self,
        app: ASGIApp,
        most: Callable[[str], int] = lambda _: SMALL,
        *,
        in_flight: int = 268_435_456,
        idle: float = IDLE,
        grace: float = GRACE,
        rate: int = RATE,
    ) -> None:
        self._app, self._most, self._room = app, most, in_flight
        self._idle, self._grace, self._rate = idle, grace, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(self._most(scope["path"]), receive)

        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                _complete(message)
                begun = True
            await send(message)

        try:
            if (problem := _refused(Headers(scope=scope), body.most)) is not None:
                await problem.response()(scope, receive, answer)
                return
            await self._app(scope, lambda: self._receive(body), answer)
        except Exception as error:
            if begun:  # the connection is cut, so that half an answer is not taken for a whole one
                raise
            await of(error).response()(scope, receive, answer)
        finally:
            self._room += body.octets

    async def _receive(self, body: "_Body") -> Message:
        """The next piece. Raises Problem, which is an HTTPException to whatever framework reads the body."""
        if body.whole:
            return await body.receive()
        left = body.begun + self._grace + body.octets / self._rate - time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, min(self._idle, left))):
                message = await body.receive()
        except TimeoutError:
            raise Problem(408, "the body comes too slowly", headers={"Connection": "close"}) from None
        if message["type"] != "http.request":
            return message
        octets = len(message.get("body", b""))
        body.whole = not message.get("more_body", False)
        if body.octets + octets > body.most:
            raise _too_large(body.most)
        if octets > self._room:
            raise Fault(BUSY, "too much is being sent just now")
        body.octets += octets
        self._room -= octets
        return message


class _Body:
    """What has come of one request's body."""

    def __init__(self, most: int, receive: Receive) -> None:
        self.most, self.receive = most, receive
        self.octets, self.whole, self.begun = 0, False, time.monotonic()


def _refused(headers: Headers, most: int) -> Problem | None:
    """What can be said before a single octet of the body is read."""
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in {"", "identity"}:
        return Problem(
            415, "the body is compressed; send it as it is", headers={"Accept-Encoding": "identity"}
        )  # RFC 9110, 15.5.16
    length = headers.get("content-length")
    if length is None:
        return None
    if "transfer-encoding" in headers:  # two lengths: a proxy before us may believe the other one (RFC 9112 section 6.3)
        return Problem(400, "Content-Length and Transfer-Encoding", headers={"Connection": "close"})
    if not _DIGITS.match(length):
        return Problem(400, "Content-Length is no number", headers={"Connection": "close"})
    return _too_large(most) if int(length) > most else None


def _too_large(most: int) -> Problem:
    return Problem(413, f"the body has more than {most} octets", headers={"Connection": "close"})


def _complete(message: MutableMapping[str, Any]) -> None:
    headers = MutableHeaders(scope=message)
    for name, value in HEADERS.items():
        if name not in headers:
            headers[name] = value
