"""`/v1/webhooks`: who is told of events, what could not be told, and telling it again."""

from collections.abc import Callable
from typing import Annotated, Any, Protocol, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Response
from msgspec.structs import asdict
from pydantic import BaseModel, ConfigDict, Field

from ....keyring import NotOpened
from ....net.poster import BadUrl, checked
from ....trace.model import Kind
from ....trace.webhooks import deliveries, register, signing
from ....trace.webhooks.deliveries import State
from ....trace.webhooks.shapes import WebhookOut, delivery, webhook
from ... import webhooks
from ...desk import Desk
from ..problem import Fault, Problem, Route
from .answers import DeliveriesOut, NewWebhookOut, WebhooksOut
from .writing import described, written

MAX_SECRET = 100  # characters; the longest that the standard allows has 94
MAX_CHOSEN = 500  # deliveries that one replay may name


class Caller(Protocol):
    """Whose key asked: a tenant's number, and the name for the audit log ("key:NAME")."""

    @property
    def tenant(self) -> int: ...  # noqa: D102 -- the class says it

    @property
    def who(self) -> str: ...  # noqa: D102 -- the class says it


class New(BaseModel):
    """A webhook to be registered."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    url: Annotated[str, Field(min_length=1, max_length=2_000, description="https; public addresses only")]
    kinds: Annotated[list[Kind], Field(max_length=len(Kind), description="Events it hears of; none named: all")] = []
    note: Annotated[str, Field(max_length=register.MAX_NOTE)] = ""
    secret: Annotated[str | None, Field(max_length=MAX_SECRET, description="whsec_ and base 64; made where missing")] = None


class Change(BaseModel):
    """What of a webhook can be changed."""

    model_config = ConfigDict(extra="forbid")

    enabled: bool


class Chosen(BaseModel):
    """Which deliveries to tell again."""

    model_config = ConfigDict(extra="forbid")

    deliveries: Annotated[
        list[Annotated[int, Field(ge=1, lt=2**63)]] | None,
        Field(max_length=MAX_CHOSEN, description="By their id; missing: all dead ones"),
    ] = None


T = TypeVar("T")
Id = Annotated[str, Path(max_length=26)]


def router(desk: Desk, admin: Callable[..., Any]) -> APIRouter:
    """The routes. `admin` is a dependency that returns the `Caller` of a key of scope admin."""
    api = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=Route)
    Asking = Annotated[Caller, Depends(admin)]  # noqa: N806 -- a type
    sealer = webhooks.sealer(desk.gate)

    def shown(db: sa.Connection, by: Caller, id: str) -> WebhookOut | None:  # noqa: A002 -- as in the path
        found = register.get(db, by.tenant, id)
        return None if found is None else webhook(found, deliveries.counts(db, by.tenant).get(id, {}))

    @api.get("", responses=described(WebhooksOut, 200, "All of them."))
    async def listing(by: Asking) -> Response:
        """All webhooks with what waits for them."""

        def read() -> WebhooksOut:
            with desk.store.read() as db:
                counts = deliveries.counts(db, by.tenant)
                return WebhooksOut([webhook(one, counts.get(one.id, {})) for one in register.every(db, by.tenant)])

        return written(await desk.work(read))

    @api.post("", status_code=201, responses=described(NewWebhookOut, 201, "It is registered."))
    async def create(new: New, by: Asking) -> Response:
        """Register a URL. The answer has the secret, which is never shown again."""
        try:
            url = checked(new.url, desk.gate.webhooks.networks)
        except BadUrl as error:
            raise Problem(422, errors=[("body url", str(error))]) from None

        def write() -> NewWebhookOut:
            with desk.store.write() as db:
                made, secret = register.add(
                    db, by.tenant, url, who=by.who, kinds=new.kinds, note=new.note, secret=new.secret, sealer=sealer
                )
                return NewWebhookOut(**asdict(webhook(made, {})), secret=secret)

        return written(await _asked(desk, write), 201)

    @api.get("/{id}", responses=described(WebhookOut, 200, "The webhook."))
    async def show(id: Id, by: Asking) -> Response:  # noqa: A002 -- the name in the path
        """One webhook."""

        def read() -> WebhookOut | None:
            with desk.store.read() as db:
                return shown(db, by, id)

        return written(_found(await desk.work(read)))

    @api.patch("/{id}", responses=described(WebhookOut, 200, "The webhook as it is now."))
    async def change(id: Id, what: Change, by: Asking) -> Response:  # noqa: A002 -- the name in the path
        """Disable it, or tell it again from where it stopped."""

        def write() -> WebhookOut | None:
            with desk.store.write() as db:
                (register.enable if what.enabled else register.disable)(db, by.tenant, id, who=by.who)
                return shown(db, by, id)

        return written(_found(await desk.work(write)))

    @api.delete("/{id}", status_code=204)
    async def remove(id: Id, by: Asking) -> Response:  # noqa: A002 -- the name in the path
        """Take it away with all that it was still to be told."""

        def write() -> bool | None:
            with desk.store.write() as db:
                return register.remove(db, by.tenant, id, who=by.who) or None

        _found(await desk.work(write))
        return Response(status_code=204)

    @api.post("/{id}/secret")
    async def rotate(id: Id, by: Asking) -> dict[str, Any]:  # noqa: A002 -- the name in the path
        """Another secret; the one before signs too for a day."""

        def write() -> str | None:
            with desk.store.write() as db:
                return register.rotate(db, by.tenant, id, who=by.who, sealer=sealer)

        return {"secret": _found(await _asked(desk, write))}

    @api.post("/{id}/test")
    async def test(id: Id, by: Asking) -> dict[str, Any]:  # noqa: A002 -- the name in the path
        """Tell it that this is a test, now and once, and what it answered."""

        def read() -> tuple[register.Webhook, bytes] | None:
            with desk.store.read() as db:
                return register.with_secret(db, by.tenant, id)

        hook, written = _found(await desk.work(read))
        try:
            async with webhooks.sender(desk.config, desk.gate, desk.store, desk.watch) as sender:
                posted = await sender.ping(hook, written)
        except NotOpened as error:
            raise _locked(desk, error) from None
        return {"ok": posted.ok, "status": posted.status, "error": posted.error}

    @api.get("/{id}/deliveries", responses=described(DeliveriesOut, 200, "A page."))
    async def told(
        id: Id,  # noqa: A002 -- the name in the path
        by: Asking,
        state: Annotated[State | None, Query()] = None,
        before: Annotated[int | None, Query(ge=1, lt=2**63, description="The `next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=deliveries.MAX_PAGE)] = 100,
    ) -> Response:
        """What it was told, or is to be, newest first; `state=dead` is the dead-letter list."""

        def read() -> list[deliveries.Delivery] | None:
            with desk.store.read() as db:
                if register.get(db, by.tenant, id) is None:
                    return None
                return deliveries.page(db, by.tenant, id, state=state, before=before, limit=limit)

        found = _found(await desk.work(read))
        return written(DeliveriesOut([delivery(one) for one in found], found[-1].id if len(found) == limit else None))

    @api.post("/{id}/replay")
    async def replay(id: Id, chosen: Chosen, by: Asking) -> dict[str, Any]:  # noqa: A002 -- the name in the path
        """Tell dead deliveries again, or those that are named; how many."""

        def write() -> int | None:
            with desk.store.write() as db:
                if register.get(db, by.tenant, id) is None:
                    return None
                return deliveries.replay(db, by.tenant, id, register.now(), who=by.who, only=chosen.deliveries)

        return {"replayed": _found(await desk.work(write))}

    return api


async def _asked(desk: Desk, write: Callable[[], T]) -> T:
    """Do it; what is wrong with the request, or with our key, becomes its problem."""
    try:
        return await desk.work(write)
    except signing.BadSecret as error:
        raise Problem(422, errors=[("body secret", str(error))]) from None
    except register.BadWebhook as error:
        raise Problem(422, str(error)) from None
    except NotOpened as error:
        raise _locked(desk, error) from None


def _locked(desk: Desk, error: NotOpened) -> Fault:
    desk.watch("fault", where="webhooks", reason=str(error))
    return Fault()


def _found(found: T | None) -> T:
    if found is None:
        raise Problem(404)
    return found
