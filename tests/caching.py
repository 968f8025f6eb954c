"""DNS that has changed since it was asked last, seen through the real caching client: a name server on loopback, and a clock."""

import asyncio
import time
from types import SimpleNamespace
from unittest import mock

import dns.message
import dns.rdatatype

from delivcheck.model import Answer, Dns, Found, NoData, NoSuchName, Question
from delivcheck.net import dns as net_dns
from tests.net.scripted import Scripted, response

TTL = 60  # seconds of every answer, negative ones included (the SOA's last number, RFC 2308 section 5)


class Changed:
    """Answers as the live client does once `before` has become `now` and the TTL of what it had heard is over.

    Every question is asked three times of one client: while the zone is as before, right after the change, when the cache must
    answer, and when the TTL is over. TXT records and absence only.
    """

    def __init__(self, before: Dns, now: Dns) -> None:
        self._before, self._now = before, now
        self._alone = asyncio.Lock()  # the clock is one for all questions

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        async with self._alone:
            old, new = await self._before.ask(name, type), await self._now.ask(name, type)
            served = [old]
            clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead)
            ahead = 0.0
            with mock.patch.object(net_dns, "time", clock):
                async with Scripted(lambda query: [_wire(query, served[-1])]) as server:
                    client = net_dns.Live([server.address])
                    first = await client.ask(name, type)
                    served.append(new)
                    again = await client.ask(name, type)
                    assert again == first, "an answer is kept for its TTL"
                    assert len(server.seen) == 1
                    ahead = TTL + 1.0
                    return await client.ask(name, type)


def _wire(query: bytes, answer: Answer) -> bytes:
    asked = dns.message.from_wire(query).question[0]
    soa = [f". {TTL} SOA ns. host. 1 3600 600 86400 {TTL}"]
    if isinstance(answer, NoSuchName):
        return response(query, authority=soa, rcode="NXDOMAIN")
    if isinstance(answer, NoData):
        return response(query, authority=soa)
    assert isinstance(answer, Found)
    kind = dns.rdatatype.to_text(asked.rdtype)
    assert kind == "TXT", Question(str(asked.name), kind)
    strings = (" ".join(f'"{each.decode()}"' for each in record) for record in answer.records)
    return response(query, *(f"{asked.name} {TTL} TXT {each}" for each in strings))
