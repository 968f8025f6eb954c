"""`/v1/suppressions`: the addresses that get no mail, shown, added to, and taken off. Who did what is in the audit log."""

import time
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from ....trace import audit, suppressions
from ....trace.keys import Scope
from ....trace.model import Reason
from ....trace.shapes import SuppressionOut, suppression
from ....trace.suppressions import Suppression, SuppressionError
from ...desk import Desk
from ..problem import Problem, Route
from . import strict
from .answers import SuppressIn, SuppressionsOut
from .auth import Caller, Gatekeeper
from .writing import JSON, described, problem, ref, written

MAX_LIMIT = 1_000
DAY = 86_400_000  # milliseconds

Address = Annotated[str, Query(min_length=3, max_length=320, description="The address.")]
Stream = Annotated[str | None, Query(max_length=128, description='Of this stream; "" is the entry for all.')]


def router(desk: Desk, keeper: Gatekeeper) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/suppressions", tags=["suppressions"], route_class=Route)
    Suppressor = Annotated[Caller, Depends(keeper.allowed(Scope.SUPPRESS))]  # noqa: N806 -- a type

    @api.get("", responses=described(SuppressionsOut, 200, "A page."))
    async def listing(
        *,
        by: Suppressor,
        address: Annotated[str | None, Query(max_length=320, description="A part of the address.")] = None,
        reason: Reason | None = None,
        stream: Stream = None,
        after: Annotated[int | None, Query(ge=1, lt=2**63, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
    ) -> Response:
        """The list, the newest entry first."""
        strict.texts(address=address, stream=stream)

        def read() -> list[Suppression]:
            with desk.store.read() as db:
                return suppressions.listed(
                    db, by.tenant, reason=reason, stream=stream, contains=address, before=after, limit=limit + 1
                )

        found = await desk.work(read)
        more = str(found[limit - 1].id) if len(found) > limit else None
        return written(SuppressionsOut([suppression(one) for one in found[:limit]], more))

    @api.post(
        "",
        status_code=200,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": ref(SuppressIn)}}}},
        responses=described(SuppressionsOut, 200, "They are on the list.", 400, 413, 415),
    )
    async def add(request: Request, by: Suppressor) -> Response:
        """Put addresses on the list; those that are there already keep the longer time and the graver reason."""
        asked = await strict.body(request, SuppressIn)
        now = time.time_ns() // 1_000_000
        until = None if asked.days is None else now + asked.days * DAY

        def write() -> list[SuppressionOut]:
            made = []
            with desk.store.write() as db:
                for number, address in enumerate(asked.addresses):
                    try:
                        suppressions.add(
                            db,
                            by.tenant,
                            address,
                            Reason(asked.reason),
                            stream=asked.stream,
                            note=asked.note,
                            since=now,
                            until=until,
                        )
                    except SuppressionError as error:
                        raise Problem(422, errors=[(f"/addresses/{number}", str(error))]) from None
                    audit.note(
                        db, by.tenant, by.who, "suppression.add", address, {"stream": asked.stream, "reason": asked.reason}
                    )
                    made += [
                        suppression(one)
                        for one in suppressions.of(db, by.tenant, address, now=now)
                        if one.stream == asked.stream
                    ]
            return made

        return written(SuppressionsOut(await desk.work(write), None))

    @api.delete("", status_code=204, responses={204: {"description": "It is off the list."}, 404: problem(404)})
    async def remove(by: Suppressor, address: Address, stream: Stream = None) -> Response:
        """Take an address off the list: of one stream, or altogether."""
        strict.texts(address=address, stream=stream)

        def write() -> int:
            with desk.store.write() as db:
                gone = suppressions.remove(db, by.tenant, address, stream=stream)
                if gone:
                    audit.note(db, by.tenant, by.who, "suppression.remove", address, {"stream": stream})
                return gone

        try:
            gone = await desk.work(write)
        except SuppressionError as error:
            raise Problem(422, errors=[("query address", str(error))]) from None
        if not gone:
            raise Problem(404)
        return Response(status_code=204)

    return api
