"""The name servers of a zone, asked directly: past the resolver and past every cache, negative answers included.

Opt-in: a name out of DNS says whom we talk to, so each address is held against the address policy as a probe's is.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from ..model import Answer, Dns, Failed, Failure, Found, IPAddress, NoData, NoSuchName
from . import wire
from .client import MAX_TTL, normal
from .dns import ATTEMPT, DNS_PORT, IN_FLIGHT, TIMEOUT
from .probe import AddressPolicy, public
from .response import Dangling
from .snapshot import Listed, from_mapping
from .transport import Meter, Server, exchange

TRIES = 2  # per address: a datagram gets lost; more would make every silent server cost the whole time
MAX_ADDRESSES = 2  # of one server that are tried; as a rule one IPv4 and one IPv6 address of the same machine

Endpoint = Callable[[IPAddress], tuple[str, int]]


def at_port_53(ip: IPAddress) -> tuple[str, int]:
    """Where name servers listen (RFC 1035 section 4.2)."""
    return str(ip), DNS_PORT


class Live:
    """Asks over the real network. `dns` finds the servers' addresses, `allowed` says which of them may be asked.

    `endpoint` makes of an address where it is asked, by default port 53. `timeout` is for one question at one server, `attempt`
    for one try, both in seconds; `limit` is for questions in flight. A server is asked at its first address, IPv4 before IPv6,
    and at another one only where that says nothing. Nothing is kept: whoever asks again, asks past everything again.
    """

    def __init__(
        self,
        dns: Dns,
        allowed: AddressPolicy = public,
        endpoint: Endpoint = at_port_53,
        *,
        timeout: float = TIMEOUT,
        attempt: float = ATTEMPT,
        limit: int = IN_FLIGHT,
    ) -> None:
        self._dns, self._allowed, self._endpoint = dns, allowed, endpoint
        self._timeout, self._attempt, self._limit = timeout, attempt, limit
        self._slots: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._meter = Meter()

    async def ask_at(self, server: str, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Ask one server one question. Raises ValueError for a type that does not exist."""
        question = normal(name, type)
        code = wire.type_code(question.type)
        octets = wire.name_octets(question.name)
        if octets is None:  # no zone can hold it
            return NoSuchName(MAX_TTL)
        addresses = await self._addresses(server)
        if isinstance(addresses, Failed):
            return addresses
        slots = self._slots.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(self._limit))
        last: Answer = Failed(Failure.TIMEOUT, f"no answer within {self._timeout:g} s")
        async with slots:
            try:
                async with asyncio.timeout(self._timeout):
                    for ip in addresses:
                        last = await self._ask(Server(*self._endpoint(ip)), octets, code)
                        if not _silent(last):
                            return last
            except TimeoutError:
                pass
        return last

    async def _ask(self, server: Server, name: bytes, code: int) -> Answer:
        """One address. The letters of the name are not mixed: port and id are random, and an answer decides nothing alone."""
        heard: Answer = Failed(Failure.TIMEOUT, "no answer")
        for _ in range(TRIES):
            said = await exchange(server, name, code, self._attempt, self._meter, recursion=False)
            heard = NoData(said.ttl, said.aliases) if isinstance(said, Dangling) else said
            if not _silent(heard):
                break
        return heard

    async def _addresses(self, server: str) -> list[IPAddress] | Failed:
        answers = await asyncio.gather(self._dns.ask(server, "A"), self._dns.ask(server, "AAAA"))
        found = [ipaddress.ip_address(text) for answer in answers if isinstance(answer, Found) for text in answer.records]
        if not found:
            failed = next((answer for answer in answers if isinstance(answer, Failed)), None)
            if failed is not None:
                return Failed(Failure.TIMEOUT, f"its address is not known: {failed}")
            return Failed(Failure.LAME, "its name has no address")
        allowed = [ip for ip in found if self._allowed(ip)][:MAX_ADDRESSES]
        return allowed or Failed(Failure.TIMEOUT, "it has no address that may be asked")


def _silent(heard: Answer) -> bool:
    return isinstance(heard, Failed) and heard.kind is Failure.TIMEOUT


# --- scripted ----------------------------------------------------------------------------------------------------


class Scripted:
    """Answers from a table, for the examples on rule pages and for tests: a server that is not listed is silent."""

    def __init__(self, servers: Mapping[str, Listed | Failed]) -> None:
        self._servers = dict(servers)

    async def ask_at(self, server: str, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """What is listed for the server."""
        one = self._servers.get(server, Failed(Failure.TIMEOUT, "no answer"))
        return one if isinstance(one, Failed) else await one.ask(name, type)


def scripted(servers: Mapping[str, Any]) -> Scripted:
    """Make a scripted one of an example's table: `servers."<host>" = { "example.org TXT" = "…" }`, as `dns` has it.

    A word of Failure in capitals ("LAME", "TIMEOUT") in the place of a table, or of a record, is what the server comes to.
    Raises SnapshotError, ValueError.
    """
    return Scripted(
        {host: Failed(Failure(said.lower())) if isinstance(said, str) else from_mapping(said) for host, said in servers.items()}
    )
