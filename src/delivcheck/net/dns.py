"""The live DNS client: one question in flight for each name and type, several name servers, a cache."""

import asyncio
import ipaddress
import math
import os
import re
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ..model import Answer, DnsUse, Failed, Failure, Found, NoData, NoSuchName, Question
from . import plain
from .client import MAX_TTL, Chain, normal
from .response import Dangling
from .transport import Begun, Heard, Meter, Server, Try, exchange

TIMEOUT = 5.0  # seconds for one question over all servers; dnspython's lifetime
ATTEMPT = 2.0  # seconds for one server to answer; dnspython, c-ares
TRIES = 3  # per silent server: datagrams get lost; c-ares
IN_FLIGHT = 100  # questions at a time; below dnsmasq's 150, so that a home router can be asked
MOST_IN_FLIGHT = 500  # where somebody asks for more at once: each has a socket, of which a process may often have 1,024
PENALTY = 60.0  # seconds a server that failed where another answered is asked last; long for an audit, short for a gate
MOMENT = 5.0  # seconds every answer is kept at least
CACHED = 10_000  # answers kept; a domain takes about 40, the common ones are used again and stay

_SERVER = re.compile(r"(?:\[(?P<address>[^\]]*:[^\]]*)\]|(?P<host>[^:\[\]]+))(?::(?P<port>[0-9]{1,5}))?")
RESOLV_CONF = Path("/etc/resolv.conf")
DNS_PORT = 53  # RFC 1035 section 4.2

# Which failure is told when servers failed differently: the one that says most about the zone. Silence says least.
_TELLING = (Failure.BOGUS, Failure.SERVFAIL, Failure.REFUSED, Failure.TIMEOUT)


class NoNameservers(Exception):  # noqa: N818 -- reads well in an except clause
    """There is no name server to ask; the text says why."""


@dataclass(slots=True, eq=False)
class _Flight:
    """A question on its way, and who waits for it: `wanted` of the `waiters` still do.

    `under_way` is the datagram that is out, or the task that goes on where that was not enough; None before the first.
    """

    question: Question
    name: bytes
    code: int
    waiters: "list[asyncio.Future[Heard]]" = field(default_factory=list)
    wanted: int = 0
    under_way: "Try | asyncio.Task[Heard] | None" = None
    landed: bool = False


@dataclass(frozen=True, slots=True)
class _First:
    """What the first datagram came to, from which server, and when it was sent (monotonic clock)."""

    server: Server
    heard: Begun
    began: float


@dataclass(slots=True)
class _Running:
    """What belongs to one event loop: how many more questions may be put, those in flight, and those that wait for that."""

    free: int
    flights: dict[Question, _Flight] = field(default_factory=dict)
    queue: deque[_Flight] = field(default_factory=deque)


class Live:
    """Asks name servers, in the order given; meant for resolvers, which follow delegations for us.

    `nameservers` are (address, port) pairs, by default those of the system. `timeout` is for one question over all servers,
    `attempt` for one server, both in seconds; `limit` is for questions in flight. One client may serve any number of event
    loops, one after the other or in threads: only answers and counts are shared between them. Raises NoNameservers.

    Answers are kept as long as their TTL allows, but at least for `MOMENT`, failures and TTL 0 included: an audit is one
    transaction (RFC 1035 section 3.2.1 lets TTL 0 serve for that) in which every rule should see the same zone, and RFC 9520
    section 3.2 wants failures kept for at least a second and at most five minutes. A failure is not kept longer than a moment,
    so the next run asks again.
    """

    snapshot_age_s: int | None = None

    def __init__(
        self,
        nameservers: Sequence[tuple[str, int]] | None = None,
        *,
        timeout: float = TIMEOUT,
        attempt: float = ATTEMPT,
        limit: int = IN_FLIGHT,
    ) -> None:
        self._servers = [Server(host, port) for host, port in (system_nameservers() if nameservers is None else nameservers)]
        if not self._servers:
            raise NoNameservers("no name server was given")
        self._timeout = timeout
        # Every server must get its turn within the time-out, and a single one a second try.
        self._attempt = min(attempt, timeout / max(2, len(self._servers)))
        self._limit = limit
        self._meter = Meter()
        self._cache: dict[Question, tuple[float, Heard]] = {}
        self._loops: dict[asyncio.AbstractEventLoop, _Running] = {}

    def use(self) -> DnsUse:
        """Questions sent on the wire, each try counted, and how many rounds of them waited for one another."""
        return DnsUse(self._meter.questions, self._meter.rounds)

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer one question, over as many CNAMEs as it takes. Raises ValueError for a type that does not exist."""
        question = normal(name, type)
        code = plain.type_code(question.type)
        heard = self._cached(question) or await self._hear(question, code)
        if not isinstance(heard, Dangling) and not getattr(heard, "aliases", ()):  # nearly always
            return heard
        chain = Chain(question.name)
        while isinstance(heard, Dangling):
            if failed := chain.follow(heard.aliases, heard.ttl, heard.authentic):
                return failed
            question = Question(heard.aliases[-1], question.type)
            heard = self._cached(question) or await self._hear(question, code)
        return chain.end(heard)

    # --- one flight for each question ---

    async def _hear(self, question: Question, code: int) -> Heard:
        loop = asyncio.get_running_loop()
        running = self._here(loop)
        flight = running.flights.get(question)
        if flight is None:
            name = plain.name_octets(question.name)
            if name is None:
                # No zone can hold such a name, so it does not exist; RFC 7208 sections 4.3 and 4.8 want an answer for it.
                return NoSuchName(MAX_TTL)
            flight = running.flights[question] = _Flight(question, name, code)
            if running.free > 0:
                self._launch(running, flight)
            else:
                running.queue.append(flight)
        waiter: asyncio.Future[Heard] = loop.create_future()
        flight.waiters.append(waiter)
        flight.wanted += 1
        try:
            return await waiter
        except asyncio.CancelledError:
            flight.wanted -= 1
            if not flight.wanted:
                self._abandon(running, flight)
            raise

    def _launch(self, running: _Running, flight: _Flight) -> None:
        """Send it. What one datagram does not bring is for a task, which most questions do not need."""
        running.free -= 1
        server, began = self._in_order()[0], time.monotonic()
        try:
            flight.under_way = Try(
                server,
                flight.name,
                flight.code,
                self._attempt,
                meter=self._meter,
                done=partial(self._heard, running, flight, server, began),
            )
        except NotImplementedError:
            self._go_on(running, flight, None)

    def _heard(self, running: _Running, flight: _Flight, server: Server, began: float, heard: Begun) -> None:
        if isinstance(heard, (Found, NoData, NoSuchName, Dangling)):
            server.last_until = 0.0
            self._keep(flight.question, heard)
            self._land(running, flight, heard)
        else:
            self._go_on(running, flight, _First(server, heard, began))

    def _go_on(self, running: _Running, flight: _Flight, first: "_First | None") -> None:
        flight.under_way = task = asyncio.get_running_loop().create_task(self._ask_servers(flight.name, flight.code, first))
        task.add_done_callback(partial(self._ended, running, flight))

    def _ended(self, running: _Running, flight: _Flight, task: "asyncio.Task[Heard]") -> None:
        if task.cancelled():
            self._land(running, flight, None)
        elif error := task.exception():
            self._land(running, flight, error)
        else:
            self._keep(flight.question, task.result())
            self._land(running, flight, task.result())

    def _abandon(self, running: _Running, flight: _Flight) -> None:
        """Nobody wants it any more."""
        if flight.landed:
            return
        if running.flights.get(flight.question) is flight:
            del running.flights[flight.question]  # whoever asks from now on must not wait for the cancelled one
        if flight.under_way is not None:
            flight.under_way.cancel()
            if isinstance(flight.under_way, Try):
                self._land(running, flight, None)

    def _land(self, running: _Running, flight: _Flight, heard: Heard | BaseException | None) -> None:
        """Tell those who wait, and send what waits for a place."""
        flight.landed = True
        if running.flights.get(flight.question) is flight:
            del running.flights[flight.question]
        for waiter in flight.waiters:
            if waiter.done():  # cancelled
                continue
            if heard is None:
                waiter.cancel()
            elif isinstance(heard, BaseException):
                waiter.set_exception(heard)
            else:
                waiter.set_result(heard)
        running.free += 1
        while running.free > 0 and running.queue:
            following = running.queue.popleft()
            if following.wanted:
                self._launch(running, following)

    def _here(self, loop: asyncio.AbstractEventLoop) -> _Running:
        running = self._loops.get(loop)
        if running is None:
            self._loops = {each: state for each, state in self._loops.items() if not each.is_closed()}
            running = self._loops[loop] = _Running(self._limit)
        return running

    # --- several servers ---

    async def _ask_servers(self, name: bytes, code: int, first: "_First | None") -> Heard:
        """Server after server until one answers; those that said nothing are asked again while there is time.

        `first` is what the first datagram to the first of them came to.
        """
        end = (time.monotonic() if first is None else first.began) + self._timeout
        failed: dict[Server, Failed] = {}
        for _ in range(TRIES):
            servers = self._in_order()
            if first is not None:
                servers = [first.server, *(server for server in servers if server is not first.server)]
            for server in servers:
                left = min(end, math.inf if first is None else first.began + self._attempt) - time.monotonic()
                begun, first = None if first is None else first.heard, None
                if isinstance(begun, Failed):
                    heard: Heard = begun
                elif left <= 0:
                    return _most_telling(failed)
                elif server in failed and failed[server].kind is not Failure.TIMEOUT:
                    continue  # it did answer, and would answer the same again
                else:
                    heard = await exchange(server, name, code, min(left, self._attempt), self._meter, begun=begun)
                if not isinstance(heard, Failed):
                    self._note(server, failed)
                    return heard
                failed[server] = heard
                if heard.kind is Failure.BOGUS:
                    # A validator vouches that the data is signed wrongly. A server that does not validate would hide
                    # what the validating receivers of the mail will see, so nobody else is asked.
                    return _most_telling(failed)
        return _most_telling(failed)

    def _in_order(self) -> list[Server]:
        if len(self._servers) == 1:
            return [*self._servers]
        now = time.monotonic()
        return sorted(self._servers, key=lambda server: server.last_until > now)

    @staticmethod
    def _note(answered: Server, failed: dict[Server, Failed]) -> None:
        """Servers that failed where another one answered are asked last for a while; if all fail, it is the zone's fault."""
        answered.last_until = 0.0
        for server in failed:
            if server is not answered:
                server.last_until = time.monotonic() + PENALTY

    # --- cache ---

    def _cached(self, question: Question) -> Heard | None:
        entry = self._cache.pop(question, None)
        if entry is None or entry[0] <= time.monotonic():
            return None
        self._cache[question] = entry  # to the end: the first is the one not used for longest
        return entry[1]

    def _keep(self, question: Question, heard: Heard) -> None:
        ttl = 0 if isinstance(heard, Failed) else heard.ttl
        self._cache[question] = (time.monotonic() + max(MOMENT, ttl), heard)
        if len(self._cache) > CACHED:
            del self._cache[next(iter(self._cache))]


def _most_telling(failed: dict[Server, Failed]) -> Failed:
    if not failed:
        return Failed(Failure.TIMEOUT, "no time was given to ask")
    kind = min((each.kind for each in failed.values()), key=_TELLING.index)
    return Failed(kind, "; ".join(f"{server}: {each.detail}" for server, each in failed.items()))


# --- which servers -----------------------------------------------------------------------------------------------


def system_nameservers(path: Path = RESOLV_CONF) -> list[tuple[str, int]]:
    """The name servers that the system is set up with (resolv.conf(5), the registry on Windows). Raises NoNameservers."""
    if os.name == "nt":
        from dns.resolver import NoResolverConfiguration, Resolver  # reads the registry; 0.2 s to load

        try:
            return [(str(host), DNS_PORT) for host in Resolver().nameservers]
        except NoResolverConfiguration:
            raise NoNameservers("Windows knows no name server") from None
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise NoNameservers(f"{path} cannot be read: {error.strerror}") from None
    words = [line.split() for line in lines]
    found = [(word[1], DNS_PORT) for word in words if len(word) > 1 and word[0] == "nameserver" and _is_address(word[1])]
    if not found:
        raise NoNameservers(f"{path} names no name server")
    return found


def nameserver(text: str) -> tuple[str, int]:
    """Read `--nameserver HOST[:PORT]`; an IPv6 address with a port stands in brackets. Raises NoNameservers."""
    if _is_address(text):
        return text, DNS_PORT
    parts = _SERVER.fullmatch(text)
    if parts is None or not 0 < (port := int(parts["port"] or DNS_PORT)) < 65536:  # 16 bits, RFC 768
        raise NoNameservers(f"{text[:80]!r} is no name server: HOST, HOST:PORT or [IPV6]:PORT, the port between 1 and 65535")
    host = parts["address"] or parts["host"]
    if _is_address(host):
        return host, port
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0][4][0]), port
    except (OSError, UnicodeError):
        raise NoNameservers(f"{host[:80]!r} is no address, and no host of that name is known") from None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
