"""Answers the daemon's clients, each request within limits of time and memory; what is judged is in `Loaded`.

A client is whoever may open the socket: it is not to be trusted with more than that. It can keep its own places for as long as
the limits say, and make us judge; it cannot make us read a file, keep more memory than there is room for, or stop.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from .. import ulid
from ..gate.ports import Watch
from ..hook import MAX_LINES, ProtocolError
from ..mime.defects import DEFAULT
from . import wire
from .case import Case
from .ruling import Ruling, Wanted, fault
from .settings import Hooks

IDLE = 5.0  # seconds a connection may wait for its next request; uvicorn's timeout-keep-alive
RECEIVE = 30.0  # seconds from a request's first line to its last octet; a client on the same machine needs milliseconds
ANSWER = 10.0  # seconds for a client to take its answer
CONNECTIONS = 128  # at once, each with one message at most; Postfix runs 100 smtpd. The others wait in the socket's queue
PAUSE = 1.0  # seconds without accepting when descriptors or memory are out; asyncio's own ACCEPT_RETRY_DELAY

MAX_OCTETS = DEFAULT.octets  # of a message; the parser takes no more either
SMALL = 1_048_576  # octets; 99 of 100 messages have less. They have room of their own, which those with attachments cannot take
SMALL_ROOM, LARGE_ROOM = 67_108_864, MAX_OCTETS  # octets of all messages that are here at the same time


class Judges(Protocol):
    """What rules on messages: `judge.Bench`."""

    async def rule(self, case: Case) -> Ruling:
        """Rule on one message. Raises nothing but CancelledError."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """One configuration: who judges, what holds where a client says nothing, and the policies that it may name."""

    bench: Judges
    hooks: Hooks
    policies: Mapping[str, str]  # name: what `policy.load` takes


@dataclass(slots=True)
class Room:
    """Octets of memory; who wants more than there are left waits, and those behind it, too."""

    left: int
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def of(self, octets: int) -> AsyncIterator[None]:
        """Room for so many."""
        async with self._turn:
            while self.left < octets:
                self._freed.clear()
                await self._freed.wait()
            self.left -= octets
        try:
            yield
        finally:
            self.left += octets
            self._freed.set()


class Server:
    """Serves the connections of a listening socket in the running loop. The next request goes by what is `loaded` then."""

    def __init__(self, loaded: Loaded, watch: Watch) -> None:
        self.loaded = loaded
        self._watch = watch
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._small, self._large = Room(SMALL_ROOM), Room(LARGE_ROOM)
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: set[asyncio.Task[None]] = set()
        self._draining = False

    async def accept(self, listening: socket.socket) -> None:
        """Take connections, no more than there are places for. Runs until it is cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                connection, _ = await loop.sock_accept(listening)
            except OSError as error:
                self._slots.release()
                if error.errno != errno.ECONNABORTED:  # else the client has gone, which is its own business
                    self._watch("connection", what="refused", reason=f"accepting pauses: {error.strerror}")
                    await asyncio.sleep(PAUSE)
                continue
            except asyncio.CancelledError:
                self._slots.release()
                raise
            task = loop.create_task(self._serve(connection))
            self._connections.add(task)
            task.add_done_callback(self._gone)

    def _gone(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._watch("fault", where="connection", reason=f"{type(error).__name__}: {error}")

    async def drain(self, seconds: float) -> int:
        """Let the requests that are here be answered, in so much time; how many were cut off."""
        self._draining = True
        for task in list(self._idle):
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=seconds)
        left = list(self._connections)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        return len(left)

    # --- one connection

    async def _serve(self, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_unix_connection(sock=connection)
        except BaseException:
            connection.close()
            raise
        try:
            await self._serve_all(reader, writer)
            writer.close()
            async with asyncio.timeout(ANSWER):
                await writer.wait_closed()
        except (OSError, asyncio.IncompleteReadError):  # the client has gone, or does not take its answer (TimeoutError)
            pass
        finally:
            writer.transport.abort()

    async def _serve_all(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request after the other. Raises OSError, IncompleteReadError."""
        try:
            while not self._draining and await self._answered(reader, writer):
                pass
        except ProtocolError as error:
            self._watch("connection", what="refused", reason=str(error))
            await self._say(writer, wire.error(str(error)))

    async def _answered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether there may be another one. Raises ProtocolError, OSError, IncompleteReadError."""
        first = await self._first(reader)
        if first is None:
            return False
        started = asyncio.get_running_loop().time()
        octets = wire.length(first)
        if octets > MAX_OCTETS:  # in the words of the parser, which is not to see it
            text = f"the message has {octets} octets, the limit is {MAX_OCTETS}"
            trace = ulid.new()
            ruling = Ruling(Wanted.REFUSE, "fail", 550, "5.6.0", f"{text} ({trace})", trace, reason=text)
            self._tell(ruling, Case(b"", ""))
            await self._say(writer, wire.answer(ruling))
            return False
        room = self._small if octets <= SMALL else self._large
        try:
            async with asyncio.timeout_at(started + RECEIVE) as limit:
                request = wire.request(await self._lines(reader))
                async with room.of(octets):
                    body = await reader.readexactly(octets)
                    limit.reschedule(None)
                    ruling = await self._ruled(request, body, started)
                    self._tell(ruling, request.case)
                    del body
        except TimeoutError:
            raise ProtocolError(f"the request was not here within {RECEIVE:g} seconds") from None
        await self._say(writer, wire.answer(ruling))
        return True

    async def _first(self, reader: asyncio.StreamReader) -> bytes | None:
        """A request's first line; None where no more comes."""
        task = asyncio.current_task()
        assert task is not None
        self._idle.add(task)
        try:
            async with asyncio.timeout(IDLE):
                return await _line(reader)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return None
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            if self._draining and task.uncancel() == 0:  # what was answered may still be on its way
                return None
            raise
        finally:
            self._idle.discard(task)

    async def _lines(self, reader: asyncio.StreamReader) -> list[bytes]:
        """The lines up to the empty one."""
        lines: list[bytes] = []
        while line := await _line(reader):
            if len(lines) == MAX_LINES:
                raise ProtocolError(f"more than {MAX_LINES} lines")
            lines.append(line)
        return lines

    async def _ruled(self, request: wire.Request, body: bytes, started: float) -> Ruling:
        """What is ruled on a message, by the configuration of this moment."""
        loaded, said = self.loaded, request.case
        hooks, named = loaded.hooks, None
        if said.policy is not None and (named := loaded.policies.get(said.policy)) is None:
            why = f"policy: no {said.policy!r}: a client may name {', '.join(loaded.policies)}"
            return fault(why, ulid.new())
        stream = hooks.stream if said.stream is None else said.stream
        signed = hooks.signed_later if said.signed_later is None else said.signed_later
        case = replace(said, octets=body, stream=stream, policy=named, signed_later=signed)
        try:
            async with asyncio.timeout_at(started + (request.deadline or hooks.deadline)):
                return await loaded.bench.rule(case)
        except TimeoutError:
            return fault("not judged in time", ulid.new())

    async def _say(self, writer: asyncio.StreamWriter, octets: bytes) -> None:
        """Write, and wait until the client takes it. Raises OSError; TimeoutError is one."""
        writer.write(octets)
        async with asyncio.timeout(ANSWER):
            await writer.drain()

    def _tell(self, ruling: Ruling, case: Case) -> None:
        self._watch(
            "message",
            action=str(ruling.wanted),
            trace=ruling.trace,
            mail_from=case.mail_from,
            rcpt_to=case.rcpt_to,
            rules=ruling.rules,
            reason=ruling.reason,
            bypass=ruling.bypass,
            ok=False if ruling.wanted is Wanted.FAULT else None,
        )


async def _line(reader: asyncio.StreamReader) -> bytes:
    """A line without its end. Raises ProtocolError, IncompleteReadError."""
    try:
        return (await reader.readuntil(b"\n"))[:-1]
    except asyncio.LimitOverrunError:
        raise ProtocolError("a line does not end") from None
