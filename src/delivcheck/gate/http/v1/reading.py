"""GET: messages and what happened to them, events behind a cursor, figures. Another tenant's are 404, as if not there."""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response

from .... import ulid
from ....trace import messages, queries, stats
from ....trace.keys import Scope
from ....trace.model import Kind
from ....trace.queries import BadQuery
from ....trace.shapes import EventOut, GroupOut, MessageOut, event, group, message, summary
from ....trace.stats import Dimension, Period, Step
from ...desk import Desk
from ..problem import Problem, Route
from .answers import EventsOut, MessagesOut, StatsOut
from .auth import Caller, Gatekeeper
from .writing import JSON, NDJSON, described, problem, ref, written

MAX_WAIT = 30  # seconds of a long poll: below the 60 of nginx's proxy_read_timeout
POLL = 0.5  # seconds between two looks at the store
LOOKED_AT = 200_000  # events of all kinds in one query for some kinds; a tenth of a second on PostgreSQL
PATIENCE = 2.0  # seconds for which one request goes on with that
WAITING = 100  # long polls at a time: each looks at the store twice a second
DAY = 86_400_000  # milliseconds
USUAL_DAYS = 30
MAX_GROUPS = 500

Trace = Annotated[str, Path(pattern="^[0-9A-Z]{26}$", description="The message's id, which every answer names.")]
After = Annotated[str | None, Query(max_length=26, pattern="^[0-9A-Z]+$", description="`next` of the page before.")]
Q = Annotated[
    str,
    Query(
        max_length=queries.MAX_QUERY,
        description=f"`to:pat@example.net status:bounced since:7d`; keys: {', '.join(queries.KEYS)}.",
    ),
]
Moment = Annotated[str | None, Query(max_length=40, description="ISO 8601, or a span before now: 90m, 24h, 7d.")]


def router(desk: Desk, keeper: Gatekeeper) -> APIRouter:
    """The routes."""
    api = APIRouter(route_class=Route)
    Reader = Annotated[Caller, Depends(keeper.allowed(Scope.READ))]  # noqa: N806 -- a type
    waiting = asyncio.Semaphore(WAITING)

    @api.get("/messages", tags=["messages"], responses=described(MessagesOut, 200, "A page."))
    async def search(
        by: Reader,
        q: Q = "",
        after: After = None,
        limit: Annotated[int, Query(ge=1, le=messages.MAX_LIMIT)] = messages.DEFAULT_LIMIT,
    ) -> Response:
        """Messages, newest first."""
        try:
            query = queries.parse_query(q)
        except BadQuery as error:
            raise Problem(422, errors=[("query q", f"{error}, at character {error.at}")]) from None

        def read() -> messages.Page:
            with desk.store.read() as db:
                return messages.search(db, by.tenant, query, after, limit)

        page = await desk.work(read)
        return written(MessagesOut([summary(one) for one in page.rows], page.next))

    @api.get("/messages/{id}", tags=["messages"], responses=described(MessageOut, 200, "The message.", 404))
    async def show(by: Reader, id: Trace) -> Response:  # noqa: A002 -- the name in the path
        """A message with its recipients, findings and events. It is here a moment after it was sent."""
        if not ulid.valid(id):
            raise Problem(404)

        def read() -> messages.Message | None:
            with desk.store.read() as db:
                return messages.get(db, by.tenant, id)

        found = await desk.work(read)
        if found is None:
            raise Problem(404)
        return written(message(found))

    @api.get(
        "/events",
        tags=["events"],
        responses={
            200: {
                "description": "Events; as NDJSON one a line, and the next cursor in the field Delivcheck-Next.",
                "content": {JSON: {"schema": ref(EventsOut)}, NDJSON: {"schema": {"type": "string"}}},
                "headers": {"Delivcheck-Next": {"description": "As `next`.", "schema": {"type": "string"}}},
            },
            406: problem(406),
        },
    )
    async def events(
        *,
        request: Request,
        by: Reader,
        after: Annotated[int, Query(ge=0, lt=2**63, description="`next` of the answer before; 0: from the beginning.")] = 0,
        kind: Annotated[list[Kind] | None, Query(max_length=len(Kind), description="Only these.")] = None,
        limit: Annotated[int, Query(ge=1, le=messages.MAX_EVENT_LIMIT)] = 100,
        wait: Annotated[float, Query(ge=0, le=MAX_WAIT, description="Seconds to wait where there is none yet.")] = 0,
    ) -> Response:
        """Events in the order in which they were noted. Ask again with `next`: none is missed, and none comes twice.

        With `kind` there may be none in an answer though some are to come: the end is where `next` stays what it was.

        `Accept: application/x-ndjson` gives one a line.
        """
        lines = _wants_lines(request)

        def read(cursor: int) -> tuple[Sequence[messages.Event], int]:
            with desk.store.read() as db:
                # First how far there is anything at all: of what is left out by `kind` nothing is looked at again.
                last, begun = messages.last_seq(db, by.tenant), time.monotonic()
                while True:
                    # Of a kind that is rare, or never was, there may be none in many millions: bit by bit, and not for ever.
                    to = min(last, cursor + LOOKED_AT) if kind else last
                    found = messages.events(db, by.tenant, cursor, limit, kind or (), to=to)
                    cursor = found[-1].seq if len(found) == limit else max(cursor, to)
                    if found or cursor >= last or time.monotonic() > begun + PATIENCE:
                        return found, cursor

        until = time.monotonic() + wait
        found, cursor = await desk.work(read, after)
        while not found and time.monotonic() < until and not waiting.locked():
            async with waiting:
                await asyncio.sleep(min(POLL, max(0.0, until - time.monotonic())))
            if await request.is_disconnected():
                break
            found, cursor = await desk.work(read, cursor)
        return _events([event(one) for one in found], cursor, lines=lines)

    @api.get("/stats", tags=["stats"], responses=described(StatsOut, 200, "The figures."))
    async def figures(
        *,
        by: Reader,
        since: Moment = None,
        until: Moment = None,
        by_: Annotated[
            str,
            Query(
                alias="by", pattern=f"^({'|'.join([*Step, *(one for one in Dimension if one is not Dimension.ALL)])}|total)$"
            ),
        ] = "total",
        dimension: Annotated[Dimension, Query(description="With `value`: only mail that has it in common.")] = Dimension.ALL,
        value: Annotated[str, Query(max_length=255)] = "",
        limit: Annotated[int, Query(ge=1, le=MAX_GROUPS)] = 50,
    ) -> Response:
        """Counts and rates of the mail of a period, in total, by hour or day, or by what it has in common."""
        now = datetime.now(UTC)
        end = _moment("until", until, now) or int(now.timestamp() * 1000)
        begin = _moment("since", since, now)
        begin = end - USUAL_DAYS * DAY if begin is None else begin
        if begin >= end:
            raise Problem(422, errors=[("query since", "not before until")])
        period = Period.of(begin, end)
        if "\0" in value:
            raise Problem(422, errors=[("query value", "a NUL")])

        def read() -> list[GroupOut]:
            with desk.store.read() as db:
                if by_ == "total":
                    return [group("", stats.totals(db, by.tenant, period, dimension, value))]
                if by_ in set(Step):
                    points = stats.over_time(db, by.tenant, period, Step(by_), dimension, value)
                    return [group(f"{one.at:%Y-%m-%dT%H:%M:%SZ}", one.figures) for one in points]
                return [group(one.value, one.figures) for one in stats.by(db, by.tenant, period, Dimension(by_), limit)]

        try:
            groups = await desk.work(read)
        except ValueError as error:  # too many points
            raise Problem(422, errors=[("query by", str(error))]) from None
        return written(StatsOut(f"{period.begin:%Y-%m-%dT%H:%M:%SZ}", f"{period.over:%Y-%m-%dT%H:%M:%SZ}", by_, groups))

    return api


def _moment(name: str, said: str | None, now: datetime) -> int | None:
    """Unix milliseconds between 1970 and 9999. Raises Problem."""
    if said is None:
        return None
    try:
        found = queries.moment(said, now)
    except ValueError as error:
        raise Problem(422, errors=[(f"query {name}", str(error))]) from None
    if not 0 <= found < 253_402_300_000_000:
        raise Problem(422, errors=[(f"query {name}", "before 1970, or after 9999")])
    return found


def _wants_lines(request: Request) -> bool:
    """Whether NDJSON is asked for, and not JSON. Raises Problem where neither will do."""
    said = request.headers.get("accept", "*/*").lower()
    kinds = {one.partition(";")[0].strip() for one in said.split(",")}
    if NDJSON in kinds or "application/ndjson" in kinds:
        return JSON not in kinds
    if not kinds & {"*/*", "application/*", JSON, ""}:
        raise Problem(406, f"{JSON} or {NDJSON}")
    return False


def _events(found: list[EventOut], cursor: int, *, lines: bool) -> Response:
    following = {"Delivcheck-Next": str(cursor)}
    if lines:
        octets = b"".join(msgspec.json.encode(one) + b"\n" for one in found)
        return Response(octets, 200, following, NDJSON)
    return Response(msgspec.json.encode(EventsOut(found, cursor)), 200, following, JSON)
