"""A server that hears webhooks on loopback, and mail that happened."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from ipaddress import ip_network

from delivcheck import ulid
from delivcheck.net.poster import Poster
from delivcheck.net.snapshot import from_mapping
from delivcheck.trace.ingest import ingest
from delivcheck.trace.records import Event, Message, event_id

LOOPBACK = (ip_network("127.0.0.0/8"),)


@dataclass
class Hearing:
    """Keeps every request; `answers` is asked for the status (or a whole answer in octets, or None to hang up) of each."""

    port: int = 0
    answers: object = lambda _: 204
    requests: list = field(default_factory=list)
    connections: int = 0
    handlers: set = field(default_factory=set)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hooks"

    async def serve(self, reader, writer):
        self.connections += 1
        self.handlers.add(asyncio.current_task())
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                line, *lines = head.strip().split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
                body = await reader.readexactly(int(fields["content-length"]))
                self.requests.append((line, fields, body))
                answer = self.answers(len(self.requests))
                if asyncio.iscoroutine(answer):
                    answer = await answer
                if answer is None:
                    break
                if isinstance(answer, int):
                    answer = f"HTTP/1.1 {answer} X\r\nContent-Length: 0\r\n\r\n".encode()
                writer.write(answer)
                await writer.drain()


@contextlib.asynccontextmanager
async def hearing(answers=lambda _: 204):
    heard = Hearing(answers=answers)
    server = await asyncio.start_server(heard.serve, "127.0.0.1", 0)
    heard.port = server.sockets[0].getsockname()[1]
    try:
        yield heard
    finally:
        server.close()
        for one in heard.handlers:
            one.cancel()
        await asyncio.gather(*heard.handlers, return_exceptions=True)


def poster(records=None, networks=LOOPBACK, **more):
    return Poster(from_mapping(records or {}), networks, **more)


def happened(store, *kinds, tenant="default", address="a@example.net", at=1_000):
    """A message with events, in the store; its trace."""
    trace = ulid.new()
    ingest(
        store,
        [Message(trace=trace, received=at, recipients=(address,), tenant=tenant, subject="Hi", from_domain="example.org")],
    )
    ingest(
        store, [Event(id=event_id(trace, kind, address), trace=trace, kind=kind, at=at, recipient=address) for kind in kinds]
    )
    return trace


async def until(true, seconds=8.0):
    """Wait for something that is about to be so."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 -- what happens in a database tells no Event
            await asyncio.sleep(0.01)
