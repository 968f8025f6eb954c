"""Errors of everything that is served as JSON: application/problem+json (RFC 9457), whoever found the fault.

A fault of ours is 503 with Retry-After, and its text is for the log alone.
"""

import json
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ...trace.store import StoreError
from ..journal import JournalError

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:delivcheck:problem:"  # RFC 9457 section 3.1.1; a URN, since no host of ours is sure to be reached
SOON = 5  # seconds of Retry-After for a fault of ours: a store that is locked, a worker that starts again
MAX_ERRORS = 20  # that one answer names
MAX_DETAIL = 500  # characters of a text that was made of what a client sent

_log = logging.getLogger("delivcheck.gate")

_TITLES = {
    400: ("malformed", "The request cannot be read"),
    401: ("unauthorized", "A valid API key is needed"),
    403: ("forbidden", "This API key may not do that"),
    404: ("not-found", "There is no such thing"),
    405: ("method", "This method is not for this resource"),
    406: ("not-acceptable", "There is no such form of it"),
    408: ("slow", "The request did not come in time"),
    409: ("conflict", "It conflicts with an earlier request"),
    413: ("too-large", "The request is too large"),
    415: ("media-type", "The body is of a kind that is not taken here"),
    422: ("invalid", "The request asks for something impossible"),
    429: ("rate", "Too many requests"),
    503: ("unavailable", "The gate failed here, please try again"),
}

Error = tuple[str, str]  # a JSON pointer (or "query name", "header name"), and what is wrong there


class Problem(HTTPException):
    """An answer that is an error. `more` are further members of the object, `errors` the places in what was asked."""

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        kind: str = "",
        title: str = "",
        errors: Sequence[Error] = (),
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(status, detail[:MAX_DETAIL], dict(headers or {}))
        known, usual = _TITLES.get(status, ("error", "The request failed"))
        self.body: dict[str, Any] = {"type": TYPE + (kind or known), "title": title or usual, "status": status}
        if self.detail:
            self.body["detail"] = self.detail
        if errors:
            self.body["errors"] = [{"at": at, "detail": said[:MAX_DETAIL]} for at, said in errors[:MAX_ERRORS]]
        self.body.update(more)

    def response(self) -> Response:
        """What is sent."""
        octets = json.dumps(self.body, ensure_ascii=False).encode("utf-8", "replace")
        return Response(octets, self.status_code, dict(self.headers or {}), MEDIA_TYPE)


class Fault(Problem):
    """Our fault, or that of something behind us."""

    def __init__(self, after: int = SOON, detail: str = "") -> None:
        super().__init__(503, detail, headers={"Retry-After": str(after)})


class Route(APIRoute):
    """A route whose every error is a problem, wherever the router stands: `APIRouter(route_class=Route)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with our errors around it."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except Exception as error:  # noqa: BLE001 -- the boundary: what is not known is logged there, and a 503
                return of(error).response()

        return handler


def of(error: Exception) -> Problem:
    """The problem that an exception is; one that nobody expected goes to the log with all it has."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return Problem(422, errors=[_error(one) for one in error.errors()])
        case HTTPException():
            return Problem(error.status_code, headers=error.headers)
        case StoreError() | JournalError():
            _log.error("the store or the journal does not answer: %s", error)
            return Fault()
        case ClientDisconnect():  # nobody reads the answer, and it is no fault of ours
            return Problem(400, "the body did not come whole")
    _log.error("a request failed", exc_info=error)
    return Fault()


def install(app: FastAPI) -> None:
    """The same for what no route of ours answers: 404, 405, and faults in middleware."""

    async def answer(_: Request, error: Exception) -> Response:
        return of(error).response()

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, answer)


def _error(one: Mapping[str, Any]) -> Error:
    """Where and what; never the value, which may be a secret or somebody's address."""
    where, *rest = [str(part) for part in one.get("loc", ())] or [""]
    return " ".join([where, *rest[:1]]), str(one.get("msg", "not valid"))
