"""Who visits: by a session that an API key began, or named by a proxy that the operator trusts; nothing is remembered here.

A session is a sealed token in a cookie: the key's id and when it began. The key is looked up for each request (from a copy that
is some seconds old), so that revoking it ends its sessions.
"""

import hashlib
import ipaddress
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request

from ..gate.desk import Desk
from ..gate.http.v1.auth import client_ip
from ..model import IPAddress
from ..trace import keys
from ..trace.keys import Key, Scope
from ..trace.model import DEFAULT_TENANT
from ..trace.tokens import BadToken
from .site import Refusal, Visitor

SESSION = "session"  # purposes of tokens
FORM = "form"
COOKIE = "delivcheck"
SECURE_COOKIE = (
    "__Host-delivcheck"  # with this prefix only this very host, by https, can have set it (RFC 6265bis section 4.1.3)
)
LASTS = 12 * 3_600_000  # ms of a session: a working day; OWASP's session guide says 4 to 8 hours idle for an office's tools
FRESH = 5.0  # seconds for which keys are not asked for again
FUTURE = 60_000  # ms that a session may have begun in the future: two clocks
MAX_USER = 200  # characters of a name that a proxy tells

# Wrong keys: nobody guesses 256 bits, so this only keeps the log and the machine quiet.
FREE = 5  # failures of one network before it must wait; as GitLab's and Django-axes' defaults
WAIT = 2.0  # seconds to wait then, doubled with each failure
LONGEST = 300.0  # seconds at most
NETWORKS = 10_000  # that are remembered, the latest ones
NOWHERE = "a UNIX socket"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a session's token says."""

    key: str
    at: int  # Unix ms


class Access:
    """The door. Blocking methods say so; `clock` is Unix ms, `steady` seconds of a clock that only goes forward."""

    def __init__(self, desk: Desk, clock: Callable[[], int], steady: Callable[[], float] = time.monotonic) -> None:
        self._desk, self._clock, self._steady = desk, clock, steady
        http = desk.gate.http
        self._header = http.trusted_user_header
        self._proxies = http.trusted_proxies
        self.secure = http.public_url is not None and urlsplit(http.public_url).scheme == "https"
        self._keys: Mapping[str, Key] = {}
        self._read = -math.inf  # when, by the steady clock
        self._lock = threading.Lock()
        self._tenant: int | None = None  # the default one
        self.slow = Slow(steady)

    # --- who it is

    def visitor(self, request: Request) -> Visitor | None:
        """Who this is, or nobody. Blocks. Raises StoreError."""
        named = self._by_proxy(request)
        return named if named is not None else self._by_session(request)

    def _by_session(self, request: Request) -> Visitor | None:
        cookie = request.cookies.get(self.cookie(request))
        if cookie is None:
            return None
        try:
            begun = msgspec.msgpack.decode(self._desk.tokens.opened(SESSION, cookie), type=Begun)
        except (BadToken, msgspec.MsgspecError):
            return None
        now = self._clock()
        if not now - LASTS < begun.at <= now + FUTURE:
            return None
        key = self._known(begun.key)
        if key is None:
            return None
        return Visitor(
            name=f"key:{key.name}",
            tenant=key.tenant,
            tenant_name=key.tenant_name,
            scopes=frozenset(key.scopes),
            token=self._token(cookie),
            domains=key.domains,
            streams=key.streams,
        )

    def _by_proxy(self, request: Request) -> Visitor | None:
        """Whom a trusted proxy names; what anybody else sends in its header says nothing."""
        if self._header is None or not self._is_proxy(request):
            return None
        said = request.headers.getlist(self._header)
        user = said[0].strip()[:MAX_USER] if len(said) == 1 else ""
        if not user or not user.isprintable():
            return None
        if self._tenant is None:
            with self._desk.store.write() as db:
                self._tenant = self._desk.store.tenant(db)
        day = self._clock() // 86_400_000
        return Visitor(
            name=f"proxy:{user}",
            tenant=self._tenant,
            tenant_name=DEFAULT_TENANT,
            scopes=frozenset(Scope),
            token=self._token(f"{user} {day}"),
            leaves=False,
        )

    def _is_proxy(self, request: Request) -> bool:
        address = peer(request)
        return address is not None and any(address in network for network in self._proxies)

    def _known(self, made: str) -> Key | None:
        """A key that is good now, as the store had it FRESH seconds ago at most. Blocks."""
        with self._lock:
            if self._steady() - self._read >= FRESH:
                with self._desk.store.read() as db:
                    self._keys = keys.usable(db)
                self._read = self._steady()
            key = self._keys.get(made)
        return key if key is not None and key.good(self._clock()) else None

    # --- coming and leaving

    def sign_in(self, request: Request, secret: str) -> str | None:
        """The cookie's value for a good key, None for any other. Blocks. Raises Refusal for who must wait, StoreError."""
        network = self.network(request)
        wait = self.slow.wait(network)
        if wait > 0:
            raise Refusal(429, f"too many wrong keys; please try again in {max(1, round(wait))} s")
        parts = keys.parts(secret)
        key = None
        if parts is not None:
            with self._desk.store.read() as db:  # not from the copy: it was perhaps made a moment ago
                key = keys.find(db, parts[0])
        if parts is None or not keys.matches(key, parts[1]) or key is None or not key.good(self._clock()):
            self.slow.failed(network)
            self._desk.watch("auth", listener="pages", client=str(network), user="" if key is None else key.name, ok=False)
            return None
        self.slow.right(network)
        with self._lock:
            self._read = -math.inf  # so that the copy has it
        self._desk.watch("auth", listener="pages", client=str(network), user=key.name, ok=True)
        return self._desk.tokens.sealed(SESSION, msgspec.msgpack.encode(Begun(key.id, self._clock())))

    def cookie(self, request: Request) -> str:
        """The cookie's name here: over plain HTTP it cannot have the prefix."""
        return SECURE_COOKIE if self.is_secure(request) else COOKIE

    def is_secure(self, request: Request) -> bool:
        """Whether this request came by https, as far as anybody told us."""
        return self.secure or request.url.scheme == "https"

    def set_cookie(self, request: Request, value: str) -> str:
        """The Set-Cookie field; an empty value takes the cookie away."""
        ends = f"Max-Age={LASTS // 1000 if value else 0}"
        secure = "; Secure" if self.is_secure(request) else ""
        return f"{self.cookie(request)}={value}; Path=/; HttpOnly; SameSite=Strict; {ends}{secure}"

    def _token(self, whose: str) -> str:
        """What stands in the forms of a session: the same all the time, and nobody else can make it."""
        return self._desk.tokens.sealed(FORM, hashlib.sha256(whose.encode("utf-8", "replace")).digest()[:16])

    def network(self, request: Request) -> str:
        """From where somebody comes: an address, of IPv6 the /64 that one person has; NOWHERE behind a UNIX socket.

        Behind a proxy that is trusted it is the client's, or one stranger's wrong keys would make everybody wait.
        """
        said = client_ip(request, self._proxies)
        address = peer(request) if said is None else ipaddress.ip_address(said.partition("%")[0])
        if address is None:
            return NOWHERE
        if address.version == 6:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return str(address)


class Slow:
    """Who fails again and again must wait, longer each time. Bounded, and forgotten when the process ends."""

    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()  # how often, and until when it must wait
        self._lock = threading.Lock()

    def wait(self, network: str) -> float:
        """Seconds that are still to be waited."""
        with self._lock:
            return max(0.0, self._failed.get(network, (0, 0.0))[1] - self._steady())

    def failed(self, network: str) -> None:
        """One more."""
        if network == NOWHERE:  # everybody comes from there
            return
        with self._lock:
            count, until = self._failed.pop(network, (0, 0.0))
            if self._steady() - until > LONGEST and count > FREE:
                count = 0  # it was quiet for long
            count += 1
            pause = 0.0 if count < FREE else min(LONGEST, WAIT * 2 ** min(20, count - FREE))
            self._failed[network] = count, self._steady() + pause
            while len(self._failed) > NETWORKS:
                self._failed.popitem(last=False)

    def right(self, network: str) -> None:
        """It was a person who mistyped."""
        with self._lock:
            self._failed.pop(network, None)


def peer(request: Request) -> IPAddress | None:
    """The address of who is connected to us, whatever any header says; None on a UNIX socket."""
    client = request.scope.get("client")
    try:
        address = ipaddress.ip_address(client[0].partition("%")[0]) if client else None
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if mapped is not None else address
