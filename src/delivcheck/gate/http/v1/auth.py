"""Who asks: API keys of `trace.keys`, what each may do, and how often."""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from fastapi import Request
from fastapi.security import HTTPBearer

from ....trace import keys
from ....trace.keys import Key, Scope
from ....trace.model import DEFAULT_TENANT
from ....trace.store import StoreError
from ...desk import Desk
from ...model import Credential
from ...settings import Network
from ..problem import Problem

FRESH = 2.0  # seconds that what is known of keys is used: a key that is revoked is out after as many
AGAIN = 0.25  # seconds, where somebody comes with a key that is not good
STALE = 30.0  # seconds that it is used where the store does not answer: a writer that holds it must not turn clients away
NOTED = 60.0  # seconds between two writings of when keys were used
RATE = 100.0  # requests a second of one key; Mailgun's API has 500 in ten, Resend's five a second
BURST = 200  # of them at once
MAX_HOPS = 20  # of X-Forwarded-For that are looked at

# Declares the scheme in the OpenAPI document; who came is found out by ourselves.
BEARER = HTTPBearer(auto_error=False, scheme_name="key", description="`dc_ID_SECRET`, made by `delivcheck key api add`.")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `who` is for the audit log, `ip` text or None (a UNIX socket)."""

    key: Key
    ip: str | None

    @property
    def tenant(self) -> int:
        """The number of whose data it sees."""
        return self.key.tenant

    @property
    def who(self) -> str:
        """As the audit log names it."""
        return f"key:{self.key.name}"

    @property
    def credential(self) -> Credential:
        """What its mail may be. The API declares stream, class and tags in fields that the gate takes out again."""
        key = self.key
        name = f"key:{key.name}" if key.tenant_name == DEFAULT_TENANT else f"key:{key.tenant_name}/{key.name}"
        return Credential(name, key.domains, key.streams, may_declare=True, tenant=key.tenant_name)


class Ring:
    """The keys as the store had them FRESH seconds ago at most.

    All of them, so that to know a key and not to know it are the same work, and nobody without one makes us ask the database.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._known: Mapping[str, Key] = {}
        self._read: float | None = None
        self._lock = asyncio.Lock()
        self._used: dict[str, int] = {}
        self._noted = time.monotonic()
        self._noting: asyncio.Task[None] | None = None

    async def find(self, token: str) -> Key | None:
        """The key of a token, if it is one, and good. Raises StoreError."""
        given = keys.parts(token) or ("", "")
        key = self._good(await self._current(FRESH), given)
        if key is None:  # perhaps it was made just now; whether its id or its secret is unknown, the way is the same
            key = self._good(await self._current(AGAIN), given)
        if key is None:
            return None
        self._used[key.id] = keys.now()
        self._note()
        return key

    @staticmethod
    def _good(known: Mapping[str, Key], given: tuple[str, str]) -> Key | None:
        key = known.get(given[0])
        return key if keys.matches(key, given[1]) and key is not None and key.good(keys.now()) else None

    async def _current(self, fresh: float) -> Mapping[str, Key]:
        if self._read is None or time.monotonic() - self._read > fresh:
            async with self._lock:
                if self._read is None or time.monotonic() - self._read > fresh:
                    await self._load()
        return self._known

    async def _load(self) -> None:
        begun = time.monotonic()
        try:
            self._known = await self._desk.work(self._all)
        except StoreError:
            if self._read is None or begun - self._read > STALE:
                raise
            return
        self._read = begun

    def _all(self) -> Mapping[str, Key]:
        with self._desk.store.read() as db:
            return keys.usable(db)

    def _note(self) -> None:
        """Write down now and then who was here; that it fails is no reason to turn anybody away."""
        if time.monotonic() - self._noted < NOTED or (self._noting is not None and not self._noting.done()):
            return
        used, self._used, self._noted = self._used, {}, time.monotonic()
        self._noting = asyncio.get_running_loop().create_task(self._write(used))

    async def _write(self, used: Mapping[str, int]) -> None:
        def write() -> None:
            with self._desk.store.write() as db:
                keys.touched(db, used)

        with contextlib.suppress(StoreError):
            await self._desk.work(write)


class Rates:
    """A token bucket for each key."""

    def __init__(self, rate: float = RATE, burst: int = BURST) -> None:
        self._rate, self._burst = rate, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # id: tokens, and when there were as many

    def take(self, made: str) -> float:
        """Take one; 0, or the seconds until there is one."""
        now = time.monotonic()
        tokens, then = self._buckets.pop(made, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - then) * self._rate)
        wait = 0.0 if tokens >= 1 else (1 - tokens) / self._rate
        self._buckets[made] = (tokens - 1 if not wait else tokens, now)
        if len(self._buckets) > keys.MAX_KEYS:
            self._buckets.popitem(last=False)
        return wait


class Gatekeeper:
    """Lets in who may."""

    def __init__(self, desk: Desk, rates: Rates | None = None) -> None:
        self._ring, self._rates = Ring(desk), rates or Rates()
        self._proxies = desk.gate.http.trusted_proxies

    def allowed(self, scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
        """A dependency: the caller, who has this scope. Raises Problem 401, 403, 429, and StoreError."""

        async def caller(request: Request) -> Caller:
            return await self.caller(request, scope)

        return caller

    async def caller(self, request: Request, scope: Scope) -> Caller:
        """Who asks. One answer for every key that is not good, so that it says nothing about which there are."""
        said = request.headers.get("authorization")
        kind, _, token = (said or "").partition(" ")
        key = await self._ring.find(token.strip() if kind.lower() == "bearer" else "")
        if key is None:
            # RFC 6750 section 3.1: no error code for who brought nothing.
            challenge = 'Bearer realm="delivcheck"' + (', error="invalid_token"' if said else "")
            raise Problem(401, "no API key, or none that is valid", headers={"WWW-Authenticate": challenge})
        wait = self._rates.take(key.id)
        if wait:
            raise Problem(429, "this key asks too often", headers={"Retry-After": str(int(wait) + 1)})
        if not key.may(scope):
            headers = {"WWW-Authenticate": f'Bearer realm="delivcheck", error="insufficient_scope", scope="{scope}"'}
            raise Problem(403, f"the key has not the scope {scope}", headers=headers)
        return Caller(key, client_ip(request, self._proxies))


def client_ip(request: Request, proxies: Sequence[Network]) -> str | None:
    """The client's address; behind a trusted proxy the last in X-Forwarded-For that is none. None on a UNIX socket."""
    try:
        peer = ip_address(request.client.host) if request.client is not None else None
        chain = [one.strip() for said in request.headers.getlist("x-forwarded-for") for one in said.split(",")][-MAX_HOPS:]
        while peer is not None and chain and any(peer in one for one in proxies if one.version == peer.version):
            peer = ip_address(chain.pop())
    except ValueError:  # a UNIX socket, or a proxy that wrote something else
        return None
    return None if peer is None else str(peer)
