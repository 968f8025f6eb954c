"""POST /v1/messages and /v1/check: a message as JSON or as message/rfc822 is handed in, or only judged."""

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Header, Request, Response

from .... import catalog, reporting
from ....model import Level, Outcome, TargetReport
from ....trace import answered, keys
from ....trace.answered import Answer, AtWork, Other
from ....trace.keys import Scope
from ....trace.store import StoreError
from ...desk import Conflicting, Copy, Desk, Said, Underway
from ...judging import options_for
from ...model import Action
from ..problem import Fault, Problem, Route
from . import body
from .answers import FindingOut, RecipientOut, ReplyOut, SentOut
from .auth import Caller, Gatekeeper
from .body import Large, Mail, Order, Room
from .strict import Invalid
from .writing import JSON, described, problem, ref, written

INLINE = 65_536  # octets of a body that is read at once; a larger one in a thread, since it may take a second
MANY = b'"personalizations"'  # copies: each may be as large as the body, which says once what they share
READING = 2  # large bodies that are read at a time: each takes ten times its size while it is
LATER = 60  # seconds of Retry-After where the next hop, or a rule, says "later"; Postfix's minimal_backoff_time is 300
AGAIN = 5  # seconds where the same request is at work; the gate's deadline is 25
MAX_FINDINGS = 50  # of one answer
MAX_PROBLEMS = 10  # of one finding
MAX_KEY = 255  # characters of an Idempotency-Key; Stripe's limit
MAX_RCPT_TO = 50_000  # characters of Rcpt-To: the whole head of a request has 65,536 (`serving.HEAD`)

_QUOTED = re.compile(r'"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"')  # RFC 8941 section 3.3.3
_BARE = re.compile(r"[!#-~]+")
_TYPES = {JSON, body.RFC822}

_ENVELOPE = "Of message/rfc822: "
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": ref(Mail)},
            body.RFC822: {"schema": {"type": "string", "format": "binary", "description": "CRLF line ends, or LF throughout."}},
        },
    }
}
MailFrom = Annotated[str | None, Header(max_length=1_000, description=_ENVELOPE + "the envelope's sender.")]
RcptTo = Annotated[
    str | None, Header(max_length=MAX_RCPT_TO, description=_ENVELOPE + "the recipients, with commas between them.")
]
Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=MAX_KEY + 2,
        description="The same request under it is sent once, and answered the same for a day.",
    ),
]


def router(desk: Desk, keeper: Gatekeeper) -> APIRouter:
    """The routes."""
    api = APIRouter(tags=["messages"], route_class=Route)
    service = Service(desk)
    Sender = Annotated[Caller, Depends(keeper.allowed(Scope.SEND))]  # noqa: N806 -- a type
    Checker = Annotated[Caller, Depends(keeper.allowed(Scope.CHECK))]  # noqa: N806 -- a type

    @api.post(
        "/messages",
        openapi_extra=_BODY,
        responses={
            **described(
                SentOut, 200, "The next hop has it, for some recipients at least: look at each.", 400, 408, 409, 413, 415
            ),
            202: {"description": "All of it is held here for a person.", "content": {JSON: {"schema": ref(SentOut)}}},
        },
    )
    async def send(
        request: Request, by: Sender, mail_from: MailFrom = None, rcpt_to: RcptTo = None, idempotency_key: Key = None
    ) -> Response:
        """Judge and send. An answer of 2xx comes only when the next hop has the mail, or a durable copy is held here.

        All recipients refused: 422 with the findings. None taken, and some only for now: 503, and the same request may come
        again. Otherwise 200, and `recipients` says what became of each.
        """
        order = await service.order(request, by, mail_from, rcpt_to)
        return await service.send(by, order, _key(idempotency_key))

    @api.post(
        "/check",
        openapi_extra=_BODY,
        responses={
            200: {
                "description": "The report, schema delivcheck/1; a target for each copy.",
                "content": {JSON: {"schema": {"type": "object", "required": ["schema", "verdict", "targets"]}}},
                "headers": {"Delivcheck-Action": {"description": "What the gate would do.", "schema": {"enum": [*Action]}}},
            },
            **{code: problem(code) for code in (400, 408, 413, 415)},
        },
    )
    async def check(request: Request, by: Checker, mail_from: MailFrom = None, rcpt_to: RcptTo = None) -> Response:
        """Judge, and send nothing: the same body, the same rules, whatever the verdict 200."""
        order = await service.order(request, by, mail_from, rcpt_to)
        return await service.check(by, order)

    return api


class Service:
    """What stands behind both."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._room = Room(desk.gate.limits.recipients, desk.gate.limits.message_size)
        self._reading = asyncio.Semaphore(READING)
        self._at_work: set[tuple[str, str]] = set()  # API key and Idempotency-Key: beyond its lease, too

    async def order(self, request: Request, by: Caller, mail_from: str | None, rcpt_to: str | None) -> Order:
        """What is asked. Raises Problem."""
        kind, _, parameters = (request.headers.get("content-type") or "").partition(";")
        kind = kind.strip().lower()
        charset = parameters.replace(" ", "").replace('"', "").lower()
        if kind not in _TYPES or (charset and "charset=" in charset and "charset=utf-8" not in charset and kind == JSON):
            raise Problem(415, f"{JSON} in UTF-8, or {body.RFC822}", headers={"Accept": ", ".join(sorted(_TYPES))})
        if kind == JSON and (mail_from is not None or rcpt_to is not None):
            raise Problem(422, errors=[("header Mail-From", "Mail-From and Rcpt-To are for message/rfc822")])
        octets = await request.body()
        if kind == JSON:
            read = partial(body.from_json, octets, self._room)
        else:
            to = [one.strip() for one in _text(rcpt_to or "").split(",") if one.strip()]
            read = partial(body.from_message, octets, _text(mail_from or ""), to, self._room)
        try:
            if len(octets) <= INLINE and MANY not in octets:
                order = read()
            else:
                async with self._reading:
                    order = await self._desk.work(read)
        except Invalid as invalid:
            raise invalid.problem() from None
        except Large:
            raise Problem(
                413, f"a message would have more than {self._room.octets} octets, or all together twice as many"
            ) from None
        self._check_stream(by, order.stream)
        return order

    def _check_stream(self, by: Caller, stream: str | None) -> None:
        """A stream of the key's and of the configuration's. SMTP cannot say so; here nothing is left out silently."""
        if stream is None:
            return
        if by.key.streams and stream not in by.key.streams:
            raise Problem(403, "the key may not use that stream", errors=[("/stream", "not one of the key's streams")])
        if stream not in self._desk.config.streams:
            raise Problem(422, errors=[("/stream", "no stream of the configuration")])

    # --- sending

    async def send(self, by: Caller, order: Order, key: str | None) -> Response:
        """Hand it in, once for each Idempotency-Key."""
        if key is None:
            return _answered(await self._submit(by, order, None))
        name = (by.key.id, key)
        if name in self._at_work:
            raise _at_work()
        self._at_work.add(name)
        try:
            return await self._once(by, order, key)
        finally:
            self._at_work.discard(name)

    async def _once(self, by: Caller, order: Order, key: str) -> Response:
        asked = await self._desk.work(_fingerprint, order)
        try:
            before = await self._written(lambda db: answered.begin(db, by.key.id, key, asked, keys.now()))
        except Other:
            raise _other() from None
        except AtWork:
            raise _at_work() from None
        if before is not None:
            return Response(before.body, before.status, {"Idempotency-Replayed": "true"}, JSON)
        try:
            said = await self._submit(by, order, key)
        except Problem:  # the journal knows it otherwise
            await self._quietly(lambda db: answered.open_again(db, by.key.id, key))
            raise
        # What was sent is in the journal, too, under the same key: where the store fails here, a retry is answered from there.
        if not any(one.reply.positive for one in said):
            await self._quietly(lambda db: answered.forget(db, by.key.id, key))
            return _answered(said)
        response = _answered(said)
        if any(one.reply.temporary for one in said):
            await self._quietly(lambda db: answered.open_again(db, by.key.id, key))
        else:
            text = bytes(response.body).decode()
            await self._quietly(lambda db: answered.end(db, by.key.id, key, Answer(response.status_code, text)))
        return response

    async def _submit(self, by: Caller, order: Order, key: str | None) -> Sequence[Said]:
        """Hand it in. A client that goes away stops nothing: what was begun comes to its end (DESIGN section 8)."""
        handing = self._desk.handing.submit(by.credential, order.sender, order.copies, ip=by.ip, key=key)
        try:
            return await asyncio.shield(asyncio.ensure_future(handing))
        except Conflicting:
            raise _other() from None
        except Underway:
            raise _at_work() from None

    async def _written(self, work: Any) -> Any:
        def write() -> Any:
            with self._desk.store.write() as db:
                return work(db)

        return await self._desk.work(write)

    async def _quietly(self, work: Any) -> None:
        """The mail is where it is: that the store fails now changes nothing of the answer."""
        try:
            await self._written(work)
        except StoreError as error:
            self._desk.watch("fault", where="idempotency", reason=str(error))

    # --- checking

    async def check(self, by: Caller, order: Order) -> Response:
        """Judge every copy; the report of all."""
        begun = time.monotonic()
        reports: list[TargetReport] = []
        actions: list[Action] = []
        for copy in order.copies:
            outcome = await self._desk.handing.check(by.credential, order.sender, copy, ip=by.ip)
            if outcome.report is None:
                raise _unjudged(outcome.decision.reply.permanent, outcome.decision.reply.text)
            reports.append(outcome.report)
            actions.append(outcome.decision.action)
        chosen = options_for(self._desk.config, order.stream, "offline")
        octets = reporting.to_json(reporting.report(reports, chosen, begun))
        worst = max(actions, key=_GRAVITY.index)
        return Response(octets, 200, {"Delivcheck-Action": str(worst)}, JSON)


_GRAVITY = [Action.SEND, Action.HOLD, Action.DEFER, Action.REFUSE]


def _unjudged(permanent: bool, text: str) -> Problem:
    """It did not come to judging: not the sender's domain, no message at all; or our own fault."""
    if not permanent:
        return Fault()
    return Problem(422, text, kind="refused", title="The message would be refused before it is judged")


def _fingerprint(order: Order) -> str:
    """The SHA-256 of all that is to be sent, to whom, and in whose name."""
    hashed = hashlib.sha256(b"delivcheck request 1\0")
    for part in (order.sender.encode(), *(octets for copy in order.copies for octets in _parts(copy))):
        hashed.update(len(part).to_bytes(8))
        hashed.update(part)
    return hashed.hexdigest()


def _parts(copy: Copy) -> list[bytes]:
    return [b"copy", *(one.encode() for one in copy.recipients), b"octets", copy.octets]


def _key(said: str | None) -> str | None:
    """The Idempotency-Key: a string of RFC 8941, or bare, as most clients send it. Raises Problem."""
    if said is None:
        return None
    quoted = _QUOTED.fullmatch(said.strip())
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else said.strip()
    if not key or len(key) > MAX_KEY or not (quoted or _BARE.fullmatch(key)):
        raise Problem(400, errors=[("header Idempotency-Key", f"1 to {MAX_KEY} printable ASCII characters")])
    return key


def _text(said: str) -> str:
    """A header field of HTTP as UTF-8, which Starlette read as ISO 8859-1."""
    try:
        return said.encode("latin-1").decode("utf-8")
    except UnicodeError:
        raise Problem(422, errors=[("header Rcpt-To", "no UTF-8")]) from None


def _other() -> Problem:
    return Problem(409, "this Idempotency-Key was used for another request", kind="idempotency-key-reused")


def _at_work() -> Problem:
    return Problem(
        409, "the same request is being answered just now", kind="idempotency-at-work", headers={"Retry-After": str(AGAIN)}
    )


# --- the answer ------------------------------------------------------------------------------------------------------


def _answered(said: Sequence[Said]) -> Response:
    """200, 202; or the problem where nobody got it. Raises Problem."""
    recipients = [_recipient(one) for one in said]
    findings = _findings(said)
    if any(one.reply.positive for one in said):
        states = {one.status for one in recipients}
        status: Any = states.pop() if len(states) == 1 else "partial"
        return written(SentOut(status, recipients[0].id, recipients, findings), 202 if status == "held" else 200)
    plain = {"recipients": msgspec.to_builtins(recipients), "findings": msgspec.to_builtins(findings)}
    if any(one.reply.temporary for one in said):
        raise Problem(
            503,
            "nobody has it yet; the same request may come again",
            kind="deferred",
            title="The mail could not be handed on now",
            headers={"Retry-After": str(LATER)},
            **plain,
        )
    raise Problem(422, str(said[0].reply), kind="refused", title="The mail was refused for all recipients", **plain)


def _recipient(one: Said) -> RecipientOut:
    reply = one.reply
    if reply.positive:
        status: Any = "held" if one.held else "sent"
    else:
        status = "refused" if reply.permanent else "deferred"
    if one.outcome is not None:
        ours = one.held or one.outcome.decision.action is not Action.SEND
    else:  # before it was judged: what we say ourselves names the message, or that we failed
        ours = one.ours and not reply.positive
    return RecipientOut(
        one.recipient, one.trace, status, "gate" if ours else "next-hop", ReplyOut(reply.code, reply.enhanced, reply.text)
    )


def _findings(said: Sequence[Said]) -> list[FindingOut]:
    """What was found in what was not sent: the rules that decided, then the other errors."""
    pages = catalog.pages()
    found: dict[str, FindingOut] = {}
    for one in said:
        outcome = one.outcome
        if outcome is None or outcome.report is None or (outcome.decision.action is Action.SEND):
            continue
        decided = set(outcome.decision.rules)
        for each in outcome.report.results:
            if each.outcome not in {Outcome.FAIL, Outcome.UNKNOWN} or each.rule in found:
                continue
            if each.rule not in decided and each.level is not Level.ERROR:
                continue
            page = pages.get(each.rule)
            found[each.rule] = FindingOut(
                each.rule,
                each.outcome.value,
                each.level.value,
                [problem.message for problem in each.problems[:MAX_PROBLEMS]] or [each.reason or ""],
                "" if page is None else page.title,
                "" if page is None else page.fix,
                next((source.url for source in page.source if source.url), "") if page is not None else "",
            )
    return list(found.values())[:MAX_FINDINGS]
