"""Answers /metrics, /health and /ready over HTTP/1.1: GET and HEAD, one request a connection, nothing else.

So little HTTP is needed that a framework would be most of the worker's memory; what is read is bounded in size and time, and
nothing of it is used but method and path.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from . import metrics

MAX_REQUEST = 8192  # octets of request line and header; Apache's LimitRequestLine and nginx's large_client_header_buffers
TIME = 5.0  # seconds for all of a connection: who asks here is near
MAX_CONNECTIONS = 32  # at a time, the oldest makes room for one more; a scraper and a load balancer need two

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_TEXT = "text/plain; charset=utf-8"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"  # Prometheus' exposition format


async def _nothing() -> Mapping[str, float]:
    return {}


class Admin:
    """The answers. `folder` has the metrics, None: there are none; `unready` says what keeps the gate from serving.

    `now` is asked for what the metrics tell of the moment.
    """

    def __init__(
        self,
        folder: Path | None,
        unready: Callable[[], list[str]],
        now: Callable[[], Awaitable[Mapping[str, float]]] = _nothing,
    ) -> None:
        self._folder, self._unready, self._now = folder, unready, now
        self._open: dict[socket.socket, asyncio.Timeout] = {}  # oldest first

    async def connect(self, connection: socket.socket) -> None:
        """Take one connection. Who asks is answered at once: the oldest of many is one that asks nothing, or does not read."""
        loop = asyncio.get_running_loop()
        if len(self._open) >= MAX_CONNECTIONS:
            oldest = self._open.pop(next(iter(self._open)))
            if not oldest.expired():
                oldest.reschedule(loop.time())
        try:
            async with asyncio.timeout(TIME) as patience:
                self._open[connection] = patience
                request = await self._request(loop, connection)
                if request is not None:
                    now = await self._now() if b" /metrics" in request.partition(b"\r\n")[0] else {}
                    await loop.sock_sendall(connection, self.answer(request, now))
                    connection.shutdown(socket.SHUT_WR)
                    # What the client still sends must be read, or the reset that follows may destroy the answer on its way.
                    while await loop.sock_recv(connection, MAX_REQUEST):
                        pass
        except (OSError, TimeoutError):
            pass
        finally:
            self._open.pop(connection, None)
            connection.close()

    @staticmethod
    async def _request(loop: asyncio.AbstractEventLoop, connection: socket.socket) -> bytes | None:
        """All up to the empty line, or as much as is allowed; None where nothing came."""
        data = b""
        while b"\r\n\r\n" not in data and len(data) <= MAX_REQUEST:
            more = await loop.sock_recv(connection, MAX_REQUEST)
            if not more:
                return None
            data += more
        return data

    def answer(self, request: bytes, now: Mapping[str, float]) -> bytes:
        """The response to a request's octets; `now` is for the metrics."""
        if b"\r\n\r\n" not in request:
            return _response(431, "too large\n")
        words = request.partition(b"\r\n")[0].split(b" ")
        if len(words) != 3 or not words[2].startswith(b"HTTP/1."):
            return _response(400, "not HTTP/1.1\n")
        method, target, _ = words
        if method not in {b"GET", b"HEAD"}:
            return _response(405, "GET only\n", extra="Allow: GET, HEAD\r\n")
        whole = self._page(target.partition(b"?")[0], now)
        return whole if method == b"GET" else whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"

    def _page(self, path: bytes, now: Mapping[str, float] | None = None) -> bytes:
        if path == b"/health":
            return _response(200, "alive\n")
        if path == b"/ready":
            lacking = self._unready()
            return _response(503, "".join(f"{one}\n" for one in lacking)) if lacking else _response(200, "ready\n")
        if path == b"/metrics" and self._folder is not None:
            try:
                return _response(200, metrics.exposition(self._folder, now or {}), kind=_METRICS)
            except (OSError, RuntimeError, ValueError):  # a file that is being made just now
                return _response(500, "the metrics cannot be read\n")
        return _response(404, "there are /metrics, /health and /ready\n")


def _response(code: int, body: str | bytes, *, kind: str = _TEXT, extra: str = "") -> bytes:
    octets = body if isinstance(body, bytes) else body.encode("utf-8", "replace")
    head = (
        f"HTTP/1.1 {code} {_REASONS[code]}\r\nContent-Type: {kind}\r\nContent-Length: {len(octets)}\r\n"
        f"{extra}Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + octets
