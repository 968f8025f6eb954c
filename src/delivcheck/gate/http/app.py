"""Puts what is served over HTTP together: each router is made for one desk, and knows nothing of the others."""

from collections.abc import Callable, Iterable

from fastapi import APIRouter, FastAPI

from ...version import __version__
from ..desk import Desk
from . import collector, problem, reports, v1
from .bounds import SMALL, Bounds
from .counting import Counted

Router = Callable[[Desk], APIRouter]

DROP_IN = "/check"  # the page where a message is uploaded, which takes as much as `/v1/check`


def application(desk: Desk, more: Iterable[Router] = ()) -> FastAPI:
    """The application of a listener of kind http; `more` are the pages, where they are installed."""
    app = FastAPI(title="delivcheck", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    problem.install(app)
    app.add_middleware(Bounds, most=lambda path: _most(desk, path), in_flight=desk.gate.limits.in_flight)
    app.add_middleware(Counted, watch=desk.watch)
    for make in (*_ours(), *more):
        app.include_router(make(desk))
    return app


def _most(desk: Desk, path: str) -> int:
    """How many octets the body of a request may have."""
    if path.startswith("/hooks/"):
        return reports.MAX_BODY
    return v1.most(desk.gate, "/v1/check" if path == DROP_IN else path, SMALL)


def _ours() -> list[Router]:
    return [v1.router, collector.router, reports.router]
