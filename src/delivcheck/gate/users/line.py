"""The line before the threads that verify passwords: for whom there is room in it, and whose turn is next.

Whoever guesses passwords can fill every line. So each address has a share of it, and addresses from which somebody logged in of
late have a line of their own, which is served first: a flood from anywhere else does not lock out who is at home.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address

from ...model import IPAddress
from ..ports import Busy
from ..reply import Reply

MAX_WAITING = 64  # different logins in each line, some seconds' worth: what comes after those would only wait for its time-out
SHARE = 4  # of them from one address; Dovecot's mail_max_userip_connections is 10, of logins that are verified already
KNOWN_SHARE = 16  # from one with a recent success: many users may log in from behind one, a web mailer's
MAX_KNOWN = 1_000  # addresses with a recent success
KNOWN_FOR = 86_400.0  # seconds: whoever sends daily is known
_NETWORK = 64  # bits of an IPv6 address that tell two clients apart: RFC 6177 gives every site at least one /64

# RFC 4954 section 6: 454 4.7.0, temporary authentication failure.
_BUSY = Reply(454, "4.7.0", "too many logins at a time, please try again")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the line; `client` None: a UNIX socket, whose clients are this machine's own and have no share."""

    client: IPAddress | None
    first: bool


class Line:
    """All who wait in one worker. For one event loop."""

    def __init__(self, turns: int, clock: Callable[[], float]) -> None:
        """`turns` have theirs at the same time; `clock` gives seconds that only rise."""
        self._free, self._clock = turns, clock
        self._inside: Counter[bool] = Counter()
        self._shares: Counter[IPAddress] = Counter()
        self._waiting: dict[bool, deque[asyncio.Future[None]]] = {True: deque(), False: deque()}
        self._known: OrderedDict[IPAddress, float] = OrderedDict()

    def place(self, client: IPAddress | None) -> Place:
        """Where a client would stand."""
        client = _whose(client)
        return Place(client, client is None or self._known.get(client, 0.0) > self._clock())

    def enter(self, place: Place) -> None:
        """Take a place, until `leave`. Raises Busy, and then it is not taken."""
        if self._inside[place.first] >= MAX_WAITING:
            raise Busy(_BUSY)
        if place.client is not None:
            if self._shares[place.client] >= (KNOWN_SHARE if place.first else SHARE):
                raise Busy(_BUSY)
            self._shares[place.client] += 1
        self._inside[place.first] += 1

    def leave(self, place: Place) -> None:
        """Give it back."""
        self._inside[place.first] -= 1
        if place.client is not None:
            self._shares[place.client] -= 1
            if self._shares[place.client] <= 0:
                del self._shares[place.client]

    @asynccontextmanager
    async def turn(self, place: Place) -> AsyncIterator[None]:
        """Wait until it is this place's turn; the block is the turn."""
        if self._free:
            self._free -= 1
        else:
            called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[place.first].append(called)
            try:
                await called
            except asyncio.CancelledError:
                if called.done() and not called.cancelled():
                    self._next()
                raise
        try:
            yield
        finally:
            self._next()

    def succeeded(self, client: IPAddress | None) -> None:
        """Somebody logged in from there."""
        if (client := _whose(client)) is None:
            return
        self._known[client] = self._clock() + KNOWN_FOR
        self._known.move_to_end(client)
        while len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    def _next(self) -> None:
        for line in (self._waiting[True], self._waiting[False]):
            while line:
                called = line.popleft()
                if not called.done():
                    called.set_result(None)
                    return
        self._free += 1


def _whose(client: IPAddress | None) -> IPAddress | None:
    """The address that stands for all those of one client."""
    if not isinstance(client, IPv6Address):
        return client
    kept = 128 - _NETWORK
    return IPv6Address(int(client) >> kept << kept)
