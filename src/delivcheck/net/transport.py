"""One question to one name server: UDP with a port of its own, TCP when the answer does not fit."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

from ..model import Answer, Failed, Failure
from . import response
from .plain import Malformed

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

    def begin(self) -> float:
        """Count one attempt, sent now; what comes back is for `end`."""
        self.questions += 1
        return time.perf_counter()

    def end(self, began: float) -> None:
        """It ended, whichever way."""
        if began >= self._ended:
            self.rounds += 1
            self._ended = time.perf_counter()


Heard = Answer | response.Dangling


class Try:
    """One datagram to a server and the wait for what comes back, without a task: an audit puts dozens of questions at once.

    `done` is called once, from the event loop: with what was heard, a failure included, or with what is to be gone on from by
    `exchange`. Raises NotImplementedError where the event loop does not watch sockets (Windows' Proactor).
    """

    __slots__ = ("_began", "_done", "_loop", "_meter", "_query", "_sock", "_timer")

    def __init__(
        self,
        server: Server,
        name: bytes,
        code: int,
        seconds: float,
        *,
        meter: Meter,
        done: Callable[["Begun"], None],
    ) -> None:
        """Send it."""
        self._loop = asyncio.get_running_loop()
        self._done, self._meter = done, meter
        self._query = response.Query(_random_id(), name, code, server.edns)
        self._timer = self._loop.call_later(seconds, self._end, Failed(Failure.TIMEOUT, "no answer"))
        self._sock: socket.socket | None = None
        self._began = meter.begin()
        sock = None
        try:
            sock = _socket_to(server)
            self._loop.add_reader(
                sock.fileno(), self._readable
            )  # not `sock`: `selectors` takes the repr of what it does not know
            self._sock = sock
            sock.send(self._query.octets())
        except (NotImplementedError, OSError) as error:
            if self._sock is None and sock is not None:
                sock.close()
            if not isinstance(error, OSError):
                self._timer.cancel()
                meter.questions -= 1
                raise
            self._loop.call_soon(self._end, _failed(error))

    def _readable(self) -> None:
        assert self._sock is not None
        try:
            octets = self._sock.recv(MAX_DATAGRAM)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(_failed(error))
            return
        try:
            self._end(response.read(octets, self._query))
        except Malformed:
            pass  # the right answer may still come behind a forged one; the time-out ends the wait
        except response.Truncated:
            self._end(TRUNCATED)

    def _end(self, heard: "Begun") -> None:
        if self._timer.cancelled():
            return
        self.cancel()
        self._meter.end(self._began)
        self._done(heard)

    def cancel(self) -> None:
        """Stop waiting; `done` is not called any more."""
        self._timer.cancel()
        if self._sock is not None:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()
            self._sock = None


class _Truncated(Enum):
    """The one answer that is none: it did not fit."""

    TRUNCATED = "truncated"


TRUNCATED = _Truncated.TRUNCATED
Begun = Heard | response.NoEdns | _Truncated  # how a first datagram may end


async def exchange(
    server: Server,
    name: bytes,
    code: int,
    seconds: float,
    meter: Meter,
    *,
    recursion: bool = True,
    begun: Begun | None = None,
) -> Heard:
    """Ask one server once, over TCP again if need be; Failed when it gives no answer in time. Raises nothing else.

    `begun` is what a first datagram came to.
    """
    try:
        async with asyncio.timeout(seconds):
            return await _converse(server, response.Query(_random_id(), name, code, server.edns, recursion), meter, begun)
    except TimeoutError:
        return Failed(Failure.TIMEOUT, "no answer")
    except Malformed as error:
        return Failed(Failure.TIMEOUT, f"malformed answer: {error}")
    except EOFError:
        return Failed(Failure.TIMEOUT, "closed the connection")
    except OSError as error:
        return _failed(error)


def _failed(error: OSError) -> Failed:
    """Nobody listens there, no route, no more sockets."""
    return Failed(Failure.TIMEOUT, error.strerror or str(error))


async def _converse(server: Server, query: response.Query, meter: Meter, begun: Begun | None) -> Heard:
    heard = await _ask(server, query, meter, begun)
    if not isinstance(heard, response.NoEdns):
        return heard
    again = await _ask(server, replace(query, id=_random_id(), edns=False), meter, None)  # RFC 6891 section 7
    if isinstance(again, (response.NoEdns, Failed)):
        return heard.failed
    server.edns = False
    return again


async def _ask(server: Server, query: response.Query, meter: Meter, begun: Begun | None) -> Heard | response.NoEdns:
    if begun is None:
        began = meter.begin()
        try:
            return await _udp(server, query)
        except response.Truncated:
            pass
        finally:
            meter.end(began)
    elif not isinstance(begun, _Truncated):
        return begun
    began = meter.begin()
    try:
        return await _tcp(server, query)
    finally:
        meter.end(began)


def _random_id() -> int:
    return int.from_bytes(os.urandom(2))


def _socket_to(server: Server) -> socket.socket:
    """A socket for each question: the kernel gives each a random port and drops what others than the server send to it.

    That and the random id are what RFC 5452 section 9.2 asks for. The letters of the name are not mixed ("0x20"): the servers
    asked here are resolvers near by, and some forwarders in such places do not echo the letters as they were. Raises OSError.
    """
    sock = socket.socket(socket.AF_INET6 if ":" in server.host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        sock.connect((server.host.encode(), server.port))  # of a str each socket takes the A-labels first
    except BaseException:
        sock.close()
        raise
    return sock


async def _udp(server: Server, query: response.Query) -> Heard | response.NoEdns:
    loop = asyncio.get_running_loop()
    with _socket_to(server) as sock:
        await loop.sock_sendall(sock, query.octets())
        while True:
            octets = await loop.sock_recv(sock, MAX_DATAGRAM)
            try:
                return response.read(octets, query)
            except Malformed:
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
        raise Malformed("truncated over TCP") from None
    finally:
        writer.transport.abort()
