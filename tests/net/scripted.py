"""A name server that does what a test says, right or wrong."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any, Self

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Udp = Callable[[bytes], Iterable[bytes]]
Tcp = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


def silent(_query: bytes) -> list[bytes]:
    return []


def response(query: bytes, *answer: str, authority: Iterable[str] = (), additional: Iterable[str] = (), **how: Any) -> bytes:
    """A response with records in master file form; `how`: rcode, flags to set, edns options."""
    message = dns.message.make_response(dns.message.from_wire(query), recursion_available=True)
    sections = ((message.answer, answer), (message.authority, authority), (message.additional, additional))
    for section, records in sections:
        for record in records:
            name, ttl, type_, data = record.split(None, 3)
            section.append(dns.rrset.from_text(name, int(ttl), "IN", type_, data))
    if how.get("options"):
        message.use_edns(0, options=how["options"])
    if how.get("edns") is False:
        message.use_edns(False)
    message.set_rcode(dns.rcode.from_text(how.get("rcode", "NOERROR")))  # after EDNS, which holds its upper bits
    message.flags |= how.get("flags", 0)
    return message.to_wire(max_size=65535)


def over_tcp(answer: Callable[[bytes], bytes]) -> Tcp:
    """Answer each question properly."""

    async def tcp(query: bytes, writer: asyncio.StreamWriter) -> None:
        octets = answer(query)
        writer.write(len(octets).to_bytes(2) + octets)

    return tcp


class Scripted(asyncio.DatagramProtocol):
    """`async with Scripted(udp) as server`: each datagram is answered with what `udp` returns for it; `seen` has them all."""

    def __init__(self, udp: Udp = silent, tcp: Tcp | None = None, delay: float = 0.0) -> None:
        self.udp, self.tcp, self.delay = udp, tcp, delay
        self.seen: list[bytes] = []
        self.busy = self.most = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self.listener: asyncio.Server | None = None
        while True:
            stream = socket.socket()
            stream.bind(("127.0.0.1", 0))
            self.address: tuple[str, int] = stream.getsockname()
            try:
                self.transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self.address)
                break
            except OSError:  # somebody has the same port for UDP
                stream.close()
        if self.tcp is None:
            stream.close()  # nobody listens there
        else:
            self.listener = await asyncio.start_server(self._stream, sock=stream)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.transport.close()
        if self.listener is not None:
            self.listener.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.seen.append(data)
        self.busy += 1
        self.most = max(self.most, self.busy)
        task = asyncio.ensure_future(self._answer(data, addr))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _answer(self, data: bytes, addr: Any) -> None:
        await asyncio.sleep(self.delay)
        self.busy -= 1
        for octets in self.udp(data):
            self.transport.sendto(octets, addr)

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                query = await reader.readexactly(int.from_bytes(await reader.readexactly(2)))
                self.seen.append(query)
                await self.tcp(query, writer)
                await writer.drain()
        finally:
            writer.close()


def truncated(query: bytes) -> list[bytes]:
    return [response(query, flags=dns.flags.TC)]
