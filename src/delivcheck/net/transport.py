"""One question to one name server: UDP with a port of its own, TCP when the answer does not fit."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ..model import Answer, Failed, Failure
from . import response

MAX_DATAGRAM = 65_535  # octets, the most that UDP carries; servers that ignore our EDNS payload are heard too


@dataclass(slots=True, eq=False)
class Server:
    """A name server, and what we have learnt about it. Until `last_until` (monotonic clock) it is asked after the others."""

    host: str
    port: int
    edns: bool = True
    last_until: float = 0.0

    def __str__(self) -> str:
        return self.host if self.port == 53 else f"{self.host}:{self.port}"  # RFC 1035 section 4.2


class Meter:
    """Counts questions on the wire, and rounds: the most of them of which no two were in flight at the same time.

    Questions end in order of time, so the greedy count is exact: each that began after the last counted one ended is one more.
    """

    def __init__(self) -> None:
        self.questions = 0
        self.rounds = 0
        self._ended = 0.0

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Count one attempt, from sending to its end, whichever way it ends."""
        self.questions += 1
        began = time.perf_counter()
        try:
            yield
        finally:
            if began >= self._ended:
                self.rounds += 1
                self._ended = time.perf_counter()


Heard = Answer | response.Dangling


async def exchange(server: Server, name: bytes, code: int, seconds: float, meter: Meter, *, recursion: bool = True) -> Heard:
    """Ask one server once, over TCP again if need be; Failed when it gives no answer in time. Raises nothing else."""
    try:
        async with asyncio.timeout(seconds):
            return await _converse(server, response.Query(_random_id(), name, code, server.edns, recursion), meter)
    except TimeoutError:
        return Failed(Failure.TIMEOUT, "no answer")
    except response.Malformed as error:
        return Failed(Failure.TIMEOUT, f"malformed answer: {error}")
    except EOFError:
        return Failed(Failure.TIMEOUT, "closed the connection")
    except OSError as error:  # nobody listens there, no route, no more sockets
        return Failed(Failure.TIMEOUT, error.strerror or str(error))


async def _converse(server: Server, query: response.Query, meter: Meter) -> Heard:
    heard = await _ask(server, query, meter)
    if not isinstance(heard, response.NoEdns):
        return heard
    again = await _ask(server, replace(query, id=_random_id(), edns=False), meter)  # RFC 6891 section 7
    if isinstance(again, (response.NoEdns, Failed)):
        return heard.failed
    server.edns = False
    return again


async def _ask(server: Server, query: response.Query, meter: Meter) -> Heard | response.NoEdns:
    try:
        with meter.attempt():
            return await _udp(server, query)
    except response.Truncated:
        with meter.attempt():
            return await _tcp(server, query)


def _random_id() -> int:
    return int.from_bytes(os.urandom(2))


async def _udp(server: Server, query: response.Query) -> Heard | response.NoEdns:
    """A socket for each question: the kernel gives each a random port and drops what others than the server send to it.

    That and the random id are what RFC 5452 section 9.2 asks for. The letters of the name are not mixed ("0x20"): the servers
    asked here are resolvers near by, and some forwarders in such places do not echo the letters as they were.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((server.host, server.port))
        await loop.sock_sendall(sock, query.octets())
        while True:
            octets = await loop.sock_recv(sock, MAX_DATAGRAM)
            try:
                return response.read(octets, query)
            except response.Malformed:
                continue  # the right answer may still come behind a forged one; the time-out ends the wait


async def _tcp(server: Server, query: response.Query) -> Heard | response.NoEdns:
    """RFC 7766: each message after its length in two octets."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    try:
        octets = query.octets()
        writer.write(len(octets).to_bytes(2) + octets)
        length = int.from_bytes(await reader.readexactly(2))
        return response.read(await reader.readexactly(length), query)
    except response.Truncated:
        raise response.Malformed("truncated over TCP") from None
    finally:
        writer.transport.abort()
