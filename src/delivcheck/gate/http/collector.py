"""What recipients' programs ask of us: pixels (`/o/`), links (`/c/`), one-click unsubscribing (`/u/`).

A redirect needs the token's key and nothing else: whatever is wrong with journal or store, whoever clicks gets there. What was
counted waits in memory for some seconds, until it can be told whether a machine followed all links at once; then it is noted.
No address, no User-Agent and no cookie is kept or set.
"""

import asyncio
import base64
import hashlib
import heapq
import html
import itertools
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response

from ...trace import schema
from ...trace.model import Actor, Kind, Tracking
from ...trace.records import BUCKET, Event, Message, Record, event_id
from ...trace.store import StoreError
from ...trace.tokens import BadToken
from ...trace.tracking import marks
from ...trace.tracking.actors import BURST, Bursts, actor
from ...trace.tracking.leaving import Left, unsubscribed
from ...trace.tracking.marks import CLICK, DAY, OPEN, Bucket, Mark
from ...trace.tracking.targets import redirectable
from ..desk import Desk
from ..journal import JournalError

MAX_WAITING = 20_000  # opens and clicks in memory, some 10 MB: at 2,000 a second for ten seconds
MAX_BATCH = 500  # noted at a time
MAX_KNOWN = 10_000  # links, pixels and buckets of which it is known how often they came
PER_HOUR = 50  # events of one link of one recipient; a mail client that shows a mail again fetches its pixel again
PER_HOUR_SHARED = 50_000  # of one that many recipients have
MAX_BODY = 8_192  # octets of a POST: it has 26, as multipart some 200
SLOW = 10_000  # ms until a journal that failed is tried again
PAUSE = 1.0  # seconds at most between two looks at what waits
LATER = (30_000, 300_000)  # ms after which a recipient is looked for again who was not in the store yet

GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")  # 1 by 1, transparent
_HEADERS = {
    "Cache-Control": "no-store, max-age=0",
    "Referrer-Policy": "no-referrer",  # the token is nobody's business
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex, nofollow",
}
_MULTIPART = re.compile(
    rb'name="?List-Unsubscribe"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n[ \t]*One-Click[ \t]*(?:\r?\n|\Z)', re.IGNORECASE
)


@dataclass(slots=True)
class _Counted:
    """An open or a click that waits to be noted."""

    kind: Kind
    mark: Mark
    at: int  # Unix ms
    actor: Actor
    tries: int = 0
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))  # two in one millisecond are two


class Collector:
    """Counts opens and clicks of one process. Only `counted` is called where somebody waits, and it waits for nothing."""

    def __init__(self, desk: Desk, now: Callable[[], int] | None = None, settle: int = BURST) -> None:
        """`now` are Unix milliseconds; `settle` ms pass before something is noted."""
        self._desk, self._settle = desk, settle
        self.now = now or (lambda: time.time_ns() // 1_000_000)
        self._waiting: list[tuple[int, int, _Counted]] = []  # a heap: when it is due (Unix ms), a number that tells two apart
        self._numbers = itertools.count()
        self._task: asyncio.Task[None] | None = None
        self._bursts = Bursts()
        self._often: OrderedDict[tuple[str, str, int], tuple[int, int]] = OrderedDict()  # hour and count
        self._buckets: OrderedDict[str, None] = OrderedDict()  # that the trace knows
        self.dropped = 0
        self._told = 0

    def counted(self, kind: Kind, mark: Mark, headers: Mapping[str, str]) -> None:
        """Somebody opened or clicked. Never raises, never waits; what is too much is dropped, and that is counted."""
        now = self.now()
        if now - mark.sent > (self._desk.gate.tracking.attribution_days + 1) * DAY:
            return
        if len(self._waiting) >= MAX_WAITING or not self._may(kind, mark, now):
            self.dropped += 1
            return
        since = None if mark.bucket is not None else now - mark.sent
        if kind is Kind.CLICKED and mark.bucket is None:
            self._bursts.clicked(mark.trace, mark.number, now)
        self._put(_Counted(kind, mark, now, actor(kind, headers, since)), now + self._settle)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def _put(self, one: _Counted, due: int) -> None:
        heapq.heappush(self._waiting, (due, next(self._numbers), one))

    def _may(self, kind: Kind, mark: Mark, now: int) -> bool:
        """Whether it did not come too often within the hour."""
        key, hour = (mark.about, str(kind), mark.number), now // 3_600_000
        since, count = self._often.pop(key, (hour, 0))
        count = count + 1 if since == hour else 1
        self._often[key] = (hour, count)
        if len(self._often) > MAX_KNOWN:
            self._often.popitem(last=False)
        return count <= (PER_HOUR if mark.bucket is None else PER_HOUR_SHARED)

    # --- noted, when there is time

    async def _work(self) -> None:
        try:
            while self._waiting:
                if (left := self._waiting[0][0] - self.now()) > 0:
                    await asyncio.sleep(min(left / 1000, PAUSE))
                else:
                    await self._note(self._due(self.now()))
        except asyncio.CancelledError:  # the process ends: what waits is noted as it is
            await self.flush()
            raise

    async def flush(self) -> None:
        """Note all that waits, at once and once."""
        batches = []
        while self._waiting:
            batches.append(self._due(None))
        for batch in batches:
            await self._note(batch, last=True)

    def _due(self, now: int | None) -> list[_Counted]:
        """What is due, or all; MAX_BATCH at most."""
        found: list[_Counted] = []
        while self._waiting and (now is None or self._waiting[0][0] <= now) and len(found) < MAX_BATCH:
            found.append(heapq.heappop(self._waiting)[2])
        return found

    async def _note(self, batch: Sequence[_Counted], *, last: bool = False) -> None:
        try:
            ready = await self._ready(batch, last=last)
            if ready:
                await self._told_of(ready)
        except Exception as error:  # noqa: BLE001 -- a fault of ours must not end the counting
            self.dropped += len(batch)
            self._desk.watch("fault", where="collector", trace="", reason=f"{type(error).__name__}: {error}")
        if self.dropped > self._told:
            self._desk.watch("dropped", count=self.dropped - self._told)
            self._told = self.dropped

    async def _ready(self, batch: Sequence[_Counted], *, last: bool) -> list[tuple[_Counted, str | None]]:
        """Each with its recipient. Those whom the store does not know yet are put back: the trace may be behind."""
        personal = {one.mark.trace for one in batch if one.mark.bucket is None}
        addresses = await self._desk.work(self._recipients, personal) if personal else {}
        found: list[tuple[_Counted, str | None]] = []
        for one in batch:
            recipient = addresses.get(one.mark.trace)
            if one.mark.bucket is None and recipient is None and one.tries < len(LATER) and not last:
                self._put(one, self.now() + LATER[one.tries])
                one.tries += 1
                continue
            if one.kind is Kind.CLICKED and one.mark.bucket is None and self._bursts.within(one.mark.trace, one.at):
                one.actor = Actor.MACHINE
            found.append((one, recipient))
        return found

    async def _told_of(self, ready: Sequence[tuple[_Counted, str | None]]) -> None:
        buckets = {one.mark.bucket.trace: one.mark.bucket for one, _ in ready if one.mark.bucket is not None}
        records: list[Record] = [_message_of(bucket) for trace, bucket in buckets.items() if trace not in self._buckets]
        records += [_event(one, recipient) for one, recipient in ready]
        try:
            await self._desk.note(records)
        except JournalError as error:
            self._desk.watch("fault", where="collector", trace="", reason=str(error))
            for one, _ in ready:
                self._put(one, self.now() + SLOW)
            return
        self._buckets.update(dict.fromkeys(buckets))
        while len(self._buckets) > MAX_KNOWN:
            self._buckets.popitem(last=False)

    def _recipients(self, traces: set[str]) -> dict[str, str]:
        """Whose messages these are. One that the trace has not or no longer, or of somebody who was erased, is nobody's."""
        table = schema.recipient.c
        wanted = sa.select(table.message, table.address).where(table.message.in_(sorted(traces)), table.number == 0)
        try:
            with self._desk.store.read() as db:
                return {row.message: row.address for row in db.execute(wanted)}
        except StoreError as error:
            self._desk.watch("fault", where="collector", trace="", reason=str(error))
            return {}


def _message_of(bucket: Bucket) -> Message:
    """What the events of a bucket hang on: no message, and nobody's."""
    return Message(
        trace=bucket.trace,
        received=bucket.day * DAY,
        recipients=(),
        tenant=bucket.tenant,
        framing=BUCKET,
        stream=bucket.stream,
        template=bucket.template,
        tags=bucket.tags,
        tracking=Tracking.AGGREGATE,
    )


def _event(one: _Counted, recipient: str | None) -> Event:
    mark = one.mark
    detail: dict[str, object] = {}
    if one.kind is Kind.CLICKED:
        # A query is where senders put who somebody is, which is not wanted where nobody is to be known.
        url = mark.url if mark.bucket is None else urlunsplit((*urlsplit(mark.url)[:3], "", ""))
        detail = {"link": mark.number, "url": url}
    return Event(
        id=event_id(mark.about, one.kind, recipient, str(mark.number), str(one.at), one.nonce),
        trace=mark.about,
        kind=one.kind,
        at=one.at,
        recipient=recipient,
        source="collector",
        actor=one.actor,
        detail=detail,
        tenant="" if mark.bucket is None else mark.bucket.tenant,
    )


# --- what is answered ------------------------------------------------------------------------------------------------


def router(desk: Desk, collector: Collector | None = None) -> APIRouter:
    """The routes; `collector` is another one in tests."""
    counts = collector or Collector(desk)
    made = APIRouter(include_in_schema=False)

    @made.api_route("/o/{token}", methods=["GET", "HEAD"])
    async def opened(token: str, request: Request) -> Response:
        """A pixel: nothing is to be seen, and nothing kept by anybody's cache, or the next open would not be seen."""
        try:
            mark = marks.opened(desk.tokens, OPEN, token)
        except BadToken:
            return _nothing()
        if request.method == "GET":
            counts.counted(Kind.OPENED, mark, request.headers)
        return Response(GIF, media_type="image/gif", headers=_HEADERS)

    @made.api_route("/c/{token}", methods=["GET", "HEAD"])
    async def clicked(token: str, request: Request) -> Response:
        """A link: on to the URL in its token, for good. HEAD is what previews and scanners ask."""
        try:
            mark = marks.opened(desk.tokens, CLICK, token)
        except BadToken:
            return _nothing()
        if not redirectable(mark.url):
            return _nothing()
        if request.method == "GET":
            counts.counted(Kind.CLICKED, mark, request.headers)
        return Response(status_code=302, headers={**_HEADERS, "Location": mark.url})

    @made.api_route("/u/{token}", methods=["GET", "HEAD"])
    async def asked(token: str) -> Response:
        """What a person sees who follows the link: scanners do, too, so this changes nothing (RFC 8058 section 1)."""
        try:
            left = marks.leaving(desk.tokens, token)
        except BadToken:
            return _page("This link is not valid", "<p>It is damaged, or not one of ours. Nothing was changed.</p>", 404)
        who, what = html.escape(masked(left.address)), html.escape(left.stream)
        return _page(
            "Unsubscribe",
            f"<p>Shall {who} get no more mail of the kind “{what}”?</p>"
            '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
            "<button>Unsubscribe</button></form>",
        )

    @made.post("/u/{token}")
    async def left(token: str, request: Request) -> Response:
        """RFC 8058 section 3.1: no redirect, no cookie, nothing to be confirmed."""
        try:
            leaving = marks.leaving(desk.tokens, token)
        except BadToken:
            return _page("This link is not valid", "<p>It is damaged, or not one of ours. Nothing was changed.</p>", 404)
        body = await _body(request)
        if body is None or not is_one_click(body, request.headers.get("content-type", "")):
            return _page("Nothing was changed", "<p>The request does not say List-Unsubscribe=One-Click.</p>", 400)
        event = unsubscribed(Left(leaving.trace, leaving.address, leaving.stream, leaving.tenant), counts.now(), "one-click")
        try:
            await desk.note([event])
        except JournalError as error:
            desk.watch("fault", where="collector", trace=leaving.trace, reason=str(error))
            page = _page("Please try again later", "<p>This could not be written down just now.</p>", 503)
            page.headers["Retry-After"] = "60"
            return page
        return _page("You are unsubscribed", f"<p>{html.escape(masked(leaving.address))} gets no more mail of this kind.</p>")

    return made


async def _body(request: Request) -> bytes | None:
    """The body, None where it is too long."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            return None
    return body


def is_one_click(body: bytes, content_type: str) -> bool:
    """Whether a body says List-Unsubscribe=One-Click, as multipart/form-data or urlencoded (RFC 8058 section 3.1)."""
    if content_type.strip().lower().startswith("multipart/"):
        return _MULTIPART.search(body) is not None
    try:
        pairs = parse_qsl(body.decode("ascii"), max_num_fields=20)
    except ValueError:  # UnicodeDecodeError is one
        return False
    return any(name.lower() == "list-unsubscribe" and value.strip().lower() == "one-click" for name, value in pairs)


def masked(address: str) -> str:
    """An address that its owner recognises, and to whom a letter was forwarded does not learn."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def _nothing() -> Response:
    return Response(status_code=404, headers=_HEADERS)


_STYLE = (
    ":root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}"
    "button{font:inherit;padding:.6rem 1.2rem;cursor:pointer}"
)
_CSP = (
    "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; style-src "
    f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


def _page(title: str, body: str, status: int = 200) -> Response:
    """A small page without script; `body` is HTML."""
    text = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )
    return Response(text, status, {**_HEADERS, "Content-Security-Policy": _CSP}, "text/html; charset=utf-8")
