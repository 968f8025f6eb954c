"""`/v1/held`: mail that waits for a person, listed, shown, released, discarded. Who did what is in the audit log."""

from collections.abc import Callable
from itertools import islice
from typing import Annotated, Literal, TypeVar

import sqlalchemy as sa
from fastapi import APIRouter, Depends, Path, Query, Response

from .... import ulid
from ....mime.headers import display_text
from ....mime.message import MessageError, header_of
from ....trace import audit
from ....trace.keys import Scope
from ....trace.model import Kind, iso
from ....trace.records import decode
from ....trace.schema import message, recipient
from ....trace.shapes import ResultOut
from ....trace.store import StoreError
from ... import record
from ...desk import Desk
from ...held import Damaged, Entry, HeldError, HeldStore, NotHeldError
from ...journal import JournalError
from ...release import discard
from ...settings import Trace
from ..bounds import SMALL
from ..problem import Fault, Problem, Route
from .answers import HeldListOut, HeldOut, ReleasedOut, ReplyOut
from .auth import Caller, Gatekeeper
from .body import RFC822
from .writing import described, problem, written

MAX_LIMIT = 200
MAX_SUBJECT = 500  # characters
BUSY = 5  # seconds of Retry-After where somebody else has the entry in hand

T = TypeVar("T")
Id = Annotated[str, Path(pattern="^[0-9A-Z]{26}$", description="The message's id.")]


def router(desk: Desk, keeper: Gatekeeper) -> APIRouter:
    """The routes."""
    api = APIRouter(prefix="/held", tags=["held"], route_class=Route)
    mail = _Mail(desk)
    Holder = Annotated[Caller, Depends(keeper.allowed(Scope.HELD))]  # noqa: N806 -- a type

    @api.get("", responses=described(HeldListOut, 200, "A page."))
    async def listing(
        by: Holder,
        after: Annotated[
            str | None, Query(max_length=26, pattern="^[0-9A-Z]+$", description="`next` of the page before.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 50,
    ) -> Response:
        """What is held, oldest first."""
        return written(await mail.work(lambda held: mail.page(held, by, after or "", limit)))

    @api.get("/{id}", responses=described(HeldOut, 200, "The message's envelope, and why it is held.", 404))
    async def show(by: Holder, id: Id) -> Response:  # noqa: A002 -- the name in the path
        """One of them."""
        return written(await mail.one(by, id, lambda held: _shown(mail.entry(held, by, id), held)))

    @api.get(
        "/{id}/message",
        responses={
            200: {
                "description": "Its octets, as they came.",
                "content": {RFC822: {"schema": {"type": "string", "format": "binary"}}},
            },
            404: problem(404),
        },
    )
    async def content(by: Holder, id: Id) -> Response:  # noqa: A002 -- the name in the path
        """The message itself. Nothing of it is to be shown by a browser: it comes as a file."""
        octets = await mail.one(by, id, lambda held: held.octets(mail.entry(held, by, id)))
        return Response(octets, 200, {"Content-Disposition": f'attachment; filename="{id}.eml"'}, RFC822)

    @api.post("/{id}/release", responses=described(ReleasedOut, 200, "It was judged again, and this became of it.", 404, 409))
    async def release(by: Holder, id: Id) -> Response:  # noqa: A002 -- the name in the path
        """Judge it again, the same octets, and send it if it passes. Who has it already is not sent it twice."""
        await mail.one(by, id, lambda held: mail.entry(held, by, id))
        try:
            said = await desk.handing.release(id, who=by.who)
        except HeldError as error:
            raise _problem(error) from None
        await mail.noted(by, "held.release", id)
        status: Literal["held", "sent"] = "held" if said.held else "sent"
        return written(ReleasedOut(id, status, said.recipient, ReplyOut(said.reply.code, said.reply.enhanced, said.reply.text)))

    @api.delete("/{id}", status_code=204, responses={204: {"description": "It is gone."}, 404: problem(404), 409: problem(409)})
    async def remove(by: Holder, id: Id) -> Response:  # noqa: A002 -- the name in the path
        """Discard it for good. Its sender is not told."""

        def gone(held: HeldStore) -> None:
            mail.entry(held, by, id)
            discard(held, id, desk.watch)

        await mail.one(by, id, gone)
        try:
            await desk.note([decode(record.discarded(id, "discarded"))])
        except JournalError as error:  # it is gone all the same
            desk.watch("fault", where="journal", trace=id, reason=str(error))
        await mail.noted(by, "held.discard", id)
        return Response(status_code=204)

    return api


class _Mail:
    """Held mail as one tenant sees it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def work(self, what: Callable[[HeldStore], T]) -> T:
        """Do something with the store of held mail. Raises Problem."""
        if self._desk.held is None:
            raise Problem(404, "holding is off")
        try:
            return await self._desk.work(what, self._desk.held)
        except HeldError as error:
            raise _problem(error) from None

    async def one(self, by: Caller, trace: str, what: Callable[[HeldStore], T]) -> T:
        """Do something with one entry. Raises Problem: of several gates the one that holds it is named."""
        try:
            return await self.work(what)
        except Problem as error:
            if error.status_code == 404 and (gate := await self._elsewhere(by, trace)):
                raise Problem(404, f"{gate} holds it: ask there") from None
            raise

    async def _elsewhere(self, by: Caller, trace: str) -> str:
        """Which other gate holds a message, as the trace has it; "" where none does."""

        def look() -> str:
            held = sa.exists().where(recipient.c.message == trace, recipient.c.state == Kind.HELD)
            mine = sa.or_(message.c.gate == self._desk.gate.name, message.c.tenant != by.tenant)
            with self._desk.store.read() as db:
                return db.scalar(sa.select(message.c.gate).where(message.c.id == trace, held, sa.not_(mine))) or ""

        try:
            return await self._desk.work(look)
        except StoreError:
            return ""

    async def noted(self, by: Caller, action: str, trace: str) -> None:
        """Tell the audit log; it is done by then, so a store that fails is for our log only."""

        def write() -> None:
            with self._desk.store.write() as db:
                audit.note(db, by.tenant, by.who, action, trace)

        try:
            await self._desk.work(write)
        except StoreError as error:
            self._desk.watch("fault", where="audit", trace=trace, reason=str(error))

    def entry(self, held: HeldStore, by: Caller, trace: str) -> Entry:
        """An entry of the caller's tenant. Blocks. Raises HeldError, NotHeldError too where it is another's."""
        if not ulid.valid(trace):
            raise NotHeldError(trace)
        found = held.entry(trace)
        if not self._owns(by, found):
            raise NotHeldError(trace)
        return found

    def page(self, held: HeldStore, by: Caller, after: str, limit: int) -> HeldListOut:
        """Entries of the caller's tenant behind one. Blocks. Raises HeldError."""
        theirs = (one for one in held.after(after) if not isinstance(one, Damaged) and self._owns(by, one))
        entries = list(islice(theirs, limit + 1))
        more = entries[limit - 1].trace if len(entries) > limit else None
        return HeldListOut([_shown(one, held) for one in entries[:limit]], more)

    def _owns(self, by: Caller, one: Entry) -> bool:
        return record.tenant_of(self._desk.gate.trace or Trace(), one.client()) == by.key.tenant_name


def _shown(one: Entry, held: HeldStore) -> HeldOut:
    return HeldOut(
        one.trace,
        iso(int(one.held.timestamp() * 1000)),
        iso(int(one.received.timestamp() * 1000)),
        one.sender.address,
        [each.address for each in one.recipients],
        _subject(one, held),
        "" if one.credential is None else one.credential.user,
        one.stream or "",
        one.size,
        one.sha256,
        one.reason,
        list(one.rules),
        [ResultOut(each.rule, each.outcome, each.level, list(each.found)) for each in one.findings],
    )


def _subject(one: Entry, held: HeldStore) -> str:
    """The subject as people read it; "" where there is none, or none that could be read."""
    try:
        header = header_of(held.beginning(one, SMALL))
    except (HeldError, MessageError):
        return ""
    return next((display_text(each)[:MAX_SUBJECT].strip() for each in header if each.lower == "subject"), "")


def _problem(error: HeldError) -> Problem:
    if isinstance(error, NotHeldError):
        return Problem(404)
    if "being released" in str(error) or "it changed" in str(error):  # somebody else has it in hand (`held.claimed`)
        return Problem(409, "it is being released or discarded just now", headers={"Retry-After": str(BUSY)})
    return Fault()
