"""Counts requests: each is told to the watch, with its route's pattern and never its path, which has ids and tokens in it."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..ports import Watch

OTHER = "other"  # what no route took
MAX_PREFIX = 50  # characters of a path in which its router's prefix ends


class Counted:
    """ASGI middleware, the outermost."""

    def __init__(self, app: ASGIApp, watch: Watch) -> None:
        self._app, self._watch = app, watch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            ms = (time.perf_counter() - began) * 1000
            self._watch("http", route=_pattern(scope), method=scope["method"], status=status, ms=ms)


def _pattern(scope: Scope) -> str:
    """The pattern of the route that took it, with the prefix that its router was included under: FastAPI may leave it out."""
    route, path = scope.get("route"), scope["path"]
    pattern, regex = getattr(route, "path", None), getattr(route, "path_regex", None)
    if not pattern or regex is None:
        return OTHER
    starts = (at for at, character in enumerate(path[:MAX_PREFIX]) if character == "/" and regex.match(path[at:]))
    return str(path[: next(starts, 0)] + pattern)
