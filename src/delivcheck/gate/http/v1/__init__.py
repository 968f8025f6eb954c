"""`/v1`: the Web Service. A router for each thing that can be asked about, each made for one desk."""

import functools

import msgspec
from fastapi import APIRouter, Response, Security

from ....trace.keys import Scope
from ...desk import Desk
from ...settings import Gate
from ..problem import Route
from . import holding, openapi, reading, sending, suppressing, webhooks
from .auth import BEARER, Gatekeeper, Rates

BODIES = ("/v1/messages", "/v1/check")  # the paths that take mail


def most(gate: Gate, path: str, small: int) -> int:
    """How many octets the body of a request may have: of mail, what base64 and JSON make of a message of the largest size."""
    return gate.limits.message_size * 9 // 8 + small if path in BODIES else small


def router(desk: Desk, rates: Rates | None = None) -> APIRouter:
    """All routes of the Web Service."""
    keeper = Gatekeeper(desk, rates)
    locked = APIRouter(prefix="/v1", dependencies=[Security(BEARER)])

    for one in (sending, reading, suppressing, holding):
        locked.include_router(one.router(desk, keeper))
    locked.include_router(webhooks.router(desk, keeper.allowed(Scope.ADMIN)))
    api = APIRouter()
    api.include_router(locked)
    described = functools.cache(lambda: msgspec.json.encode(openapi.document(locked)))

    async def document() -> Response:
        """This document."""
        return Response(described(), media_type="application/json")

    api.add_api_route("/v1/openapi.json", document, include_in_schema=False, route_class_override=Route)
    return api
