"""Webhooks of sending services, at `/hooks/NAME`: what they report of messages that we handed to them.

Nothing of a request counts before its signature does. Each event has an id that follows from what the service says, so that a
request that comes again, or is replayed, changes nothing. What is not about a message of ours, or not about one of its
recipients, is taken and forgotten.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from ...model import HttpAnswer
from ...net import dns as live
from ...net import probe
from ...trace.bounces import services, signatures
from ...trace.bounces.services import PayloadError
from ...trace.intake import TooEarlyError, events_of
from ...trace.store import StoreError
from .. import secret as secrets
from ..desk import Desk
from ..journal import JournalError
from ..settings import Provider, Reports

MAX_BODY = 2_097_152  # octets: SendGrid's batches have some 700 KB, an SNS notification 256 KB
MAX_SECRET = 4_096  # octets
MAX_CERTIFICATES = 16  # of SNS that are kept: one for a region and a year
SOON = "60"  # seconds of Retry-After

Fetch = Callable[[str], Awaitable[bytes | None]]  # what stands at a URL, None where it could not be had


class _Answer(Exception):  # noqa: N818 -- an answer, no error
    """The end of a request that is not taken."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def router(desk: Desk, fetch: Fetch | None = None) -> APIRouter:
    """The routes. `fetch` gets Amazon's certificates, by default from public addresses only."""
    made = APIRouter()
    hooks = Hooks(desk, fetch or _fetcher(desk))

    @made.post("/hooks/{name}", include_in_schema=False)
    async def report(name: str, request: Request) -> Response:
        return await hooks.answer(name, "", request)

    @made.post("/hooks/{name}/{proof}", include_in_schema=False)
    async def report_by_path(name: str, proof: str, request: Request) -> Response:
        return await hooks.answer(name, proof, request)

    return made


class Hooks:
    """The webhooks of a configuration."""

    def __init__(self, desk: Desk, fetch: Fetch) -> None:
        self._desk, self._fetch = desk, fetch
        self._known = {one.name: one for one in desk.gate.reports}
        self._certificates: dict[str, bytes] = {}

    async def answer(self, name: str, proof: str, request: Request) -> Response:
        """200 where everything in it is durable, or nothing of it is ours."""
        reports = self._known.get(name)
        try:
            if reports is None:
                raise _Answer(404)
            body = await _body(request)
            payload = await self._payload(reports, proof, request, body)
            if payload is None:
                return Response(status_code=200)
            events = await self._desk.work(
                events_of, self._desk.store, f"webhook:{reports.provider}", services.told(reports.provider, payload), _now()
            )
            if events:
                await self._desk.note(events)
        except _Answer as answer:
            headers = {"WWW-Authenticate": 'Basic realm="hooks"'} if answer.status == 401 else {}
            return Response(status_code=answer.status, headers=headers)
        except PayloadError:
            return Response(status_code=400)
        except (StoreError, JournalError, secrets.NoSecret, TooEarlyError) as error:
            self._desk.watch("fault", where="hooks", reason=f"{name}: {error}")
            return Response(status_code=503, headers={"Retry-After": SOON})
        return Response(status_code=200)

    # --- who reports

    async def _payload(self, reports: Reports, proof: str, request: Request, body: bytes) -> Any:
        """What was reported, once it is proved by whom. None: nothing to take in. Raises _Answer."""
        own = ""
        if reports.secret is not None:
            octets = await self._desk.work(secrets.read, reports.secret, MAX_SECRET)
            own = octets.decode("utf-8", "replace").strip()
        match reports.provider:
            case Provider.POSTMARK:
                self._by_password(reports, own, proof, request)
                return _json(body)
            case Provider.MAILGUN:
                payload = _json(body)
                if not isinstance(payload, Mapping) or not signatures.mailgun(payload.get("signature"), own, time.time()):
                    raise _Answer(403)
                return payload
            case Provider.SENDGRID:
                given, moment = (
                    request.headers.get(f"x-twilio-email-event-webhook-{part}", "") for part in ("signature", "timestamp")
                )
                if not signatures.sendgrid(own, body, given, moment, time.time()):
                    raise _Answer(403)
                return _json(body)
            case Provider.SES:
                return await self._of_amazon(reports, _json(body))

    @staticmethod
    def _by_password(reports: Reports, own: str, proof: str, request: Request) -> None:
        if reports.user is not None:
            good = signatures.basic(request.headers.get("authorization", ""), reports.user, own)
        else:
            good = bool(own) and signatures.same(proof, own)
        if not good:  # never 403: it is the one answer after which Postmark does not come again
            raise _Answer(401 if reports.user is not None else 404)

    async def _of_amazon(self, reports: Reports, message: Any) -> Any:
        if not isinstance(message, Mapping) or message.get("TopicArn") not in reports.topics:
            raise _Answer(403)
        topic, url = str(message["TopicArn"]), str(message.get("SigningCertURL", ""))
        if not signatures.of_amazon(url, topic, certificate=True):
            raise _Answer(403)
        if not signatures.sns(message, await self._certificate(url)):
            raise _Answer(403)
        if message.get("Type") == "SubscriptionConfirmation":
            confirm = str(message.get("SubscribeURL", ""))
            if not reports.subscribe or not signatures.of_amazon(confirm, topic, certificate=False):
                raise _Answer(403)
            if await self._fetch(confirm) is None:
                raise _Answer(503)
            return None
        if message.get("Type") != "Notification":
            return None  # of an unsubscription: nothing to do, and a signed GET would subscribe again
        said = _json(str(message["Message"]).encode())
        return said if isinstance(said, Mapping) and "mail" in said else None  # "Successfully validated SNS topic …"

    async def _certificate(self, url: str) -> bytes:
        found = self._certificates.get(url)
        if found is None:
            fetched = await self._fetch(url)
            if fetched is None:
                raise _Answer(503)
            while len(self._certificates) >= MAX_CERTIFICATES:
                del self._certificates[next(iter(self._certificates))]
            found = self._certificates[url] = fetched
        return found


# --- bodies ------------------------------------------------------------------------------------------------------


async def _body(request: Request) -> bytes:
    """At most MAX_BODY octets. Raises _Answer."""
    got = bytearray()
    async for piece in request.stream():
        got += piece
        if len(got) > MAX_BODY:
            raise _Answer(413)
    return bytes(got)


def _json(body: bytes) -> Any:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _Answer(400) from None
    if found is None:
        raise _Answer(400)
    return found


def _now() -> int:
    return time.time_ns() // 1_000_000


def _fetcher(desk: Desk) -> Fetch:
    """Over HTTPS, from public addresses only, no redirect followed."""
    dns = live.Live([live.nameserver(text) for text in desk.config.nameservers] or None)
    probing = probe.Live(dns)

    async def fetch(url: str) -> bytes | None:
        answer = await probing.get(url)
        return answer.body if isinstance(answer, HttpAnswer) and answer.status == 200 else None

    return fetch
