"""Drives milter connections over asyncio: one object a connection, one task a message, none for packets."""

import asyncio
import contextlib
import socket
from ipaddress import ip_address
from typing import Protocol, cast

from ...model import IPAddress
from ..ports import Watch, unwatched
from ..reply import Reply
from ..settings import Limits, Network
from .codec import Answer, Can, NotOfferedError, WireError
from .protocol import Budget, Closed, Connection, Message

PROGRESS = 3.0  # seconds between two signs of life while a message is worked on; the shortest time-outs in use are 10
NEGOTIATION = 60.0  # seconds that a new connection has to negotiate; Postfix does so at once
IDLE = 7_210.0  # seconds without a packet: libmilter's own default (smfi_settimeout)
UNREAD = 60.0  # seconds that the MTA may leave our answers unread: twice Postfix's milter_command_timeout
SWEEP = 15.0  # seconds between two looks at who is idle
DRAIN = 10.0  # seconds that a session may go on with new messages while draining; then it ends after the message it has

_FAULT = Answer(refusal=Reply(451, "4.3.0", "the message could not be checked just now, please try again"))
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)  # Linux


class Handler(Protocol):
    """What stands behind a milter."""

    async def message(self, message: Message, can: Can) -> Answer:
        """What becomes of a message. `can`: what the MTA lets us do; an answer that needs more is an error.

        A handler that raises is our own fault: the MTA is told to try again later.
        """
        ...


class Server:
    """All connections of one listener."""

    def __init__(
        self,
        name: str,
        handler: Handler,
        limits: Limits,
        *,
        budget: Budget | None = None,
        networks: tuple[Network, ...] = (),
        watch: Watch = unwatched,
    ) -> None:
        """`budget` is the memory shared by all messages of the worker; `networks` who may connect by TCP, empty for all."""
        self.name, self.handler, self.limits, self.budget, self.watch = name, handler, limits, budget, watch
        self._networks = networks
        self._open: set[_Driver] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.draining: float | None = None  # since when, in the loop's time

    async def connect(self, connection: socket.socket) -> None:
        """Serve an accepted socket; returns as soon as it is set up. Raises OSError."""
        loop = asyncio.get_running_loop()
        if refused := self._refused(connection):
            self.watch("connection", listener=self.name, client=_peer(connection), what="refused", reason=refused)
            connection.close()
            return
        if connection.family in {socket.AF_INET, socket.AF_INET6}:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.connect_accepted_socket(lambda: _Driver(self, connection), connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(SWEEP, self._sweep)

    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def drain(self) -> None:
        """Take no new session. A session that is open goes on for DRAIN seconds; its message is always finished.

        A milter cannot ask the MTA to come again: who closes between two messages of a session has the second one answered by
        `milter_default_action`.
        """
        loop = asyncio.get_running_loop()
        self.draining = loop.time()
        for driver in tuple(self._open):
            driver.leave()
        loop.call_later(DRAIN, self._hurry)

    async def close(self) -> None:
        """End everything, at once."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for driver in tuple(self._open):
            driver.abort("" if driver.idle else "cut in the middle of a message")
        await asyncio.sleep(0)

    # --- for the connections ---

    def opened(self, driver: "_Driver") -> None:
        """One more."""
        self._open.add(driver)
        self.watch("connection", listener=self.name, client=driver.peer, what="open", reason="")

    def closed(self, driver: "_Driver", reason: str) -> None:
        """One less. A reason is a fault."""
        self._open.discard(driver)
        if reason:
            self.watch("connection", listener=self.name, client=driver.peer, what="fault", reason=reason)
        self.watch("connection", listener=self.name, client=driver.peer, what="close", reason=reason)

    # --- inside ---

    def _refused(self, connection: socket.socket) -> str | None:
        if len(self._open) >= self.limits.connections:
            return f"{len(self._open)} connections are open"
        ip = _ip(connection)
        if ip is not None and self._networks and not any(ip in network for network in self._networks):
            return "not in networks"
        return None

    def _hurry(self) -> None:
        for driver in tuple(self._open):
            driver.leave()

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for driver in tuple(self._open):
            driver.sweep(now)
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP, self._sweep) if self._open else None


class _Driver(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self._server = server
        self._milter = Connection(server.limits.message_size, server.budget)
        self._quickack = connection if _ip(connection) is not None else None
        self.peer = _peer(connection)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None
        self._alive: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None  # runs while the MTA does not read
        self._reason = ""
        self._heard = self._loop.time()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by class
        self._server.opened(self)

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        try:
            self._milter.receive(data)
            self._go_on()
        except WireError as error:
            self.abort(str(error))
            return
        if self._quickack is not None and _QUICKACK is not None:
            # Linux turns it off again by itself; without it each small message waits 40 ms for a delayed acknowledgement,
            # since the MTA's writes meet Nagle's algorithm (research/gate.md section 3.2).
            with contextlib.suppress(OSError):
                self._quickack.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's shape
        if not self._reason and not self._milter.idle:
            self._reason = "the MTA went away in the middle of a message"
        if self._work is not None:
            self._work.cancel()
        self._quiet()
        self._read_on()
        self._milter.end()
        self._server.closed(self, self._reason)

    def pause_writing(self) -> None:
        """The MTA does not read our answers: what it says waits in its own memory, not in ours."""
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.pause_reading()
        self._unread = self._loop.call_later(UNREAD, self.abort, "it does not read our answers")

    def resume_writing(self) -> None:
        """It does again."""
        assert self._transport is not None
        self._read_on()
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # --- the dialogue ---

    def _go_on(self) -> None:
        """Read what is there, up to the next message. Raises WireError."""
        assert self._transport is not None
        event = self._milter.next()
        self._write()
        if isinstance(event, Closed):
            self._transport.close()
        elif event is not None:
            self._work = self._loop.create_task(self._handle(event))
            self._alive = self._loop.call_later(PROGRESS, self._still_working)
        else:
            self.leave()

    async def _handle(self, message: Message) -> None:
        """Have the message answered."""
        assert self._transport is not None
        answer = _FAULT
        try:
            answer = await self._server.handler.message(message, self._milter.can)
        except Exception as error:  # noqa: BLE001 -- a bug behind us must not end the connection, nor be told to its client
            self._server.watch("fault", where="milter", reason=f"{type(error).__name__}: {error}")
        finally:
            self._work = None
            self._quiet()
        try:
            self._milter.answer(answer)
        except NotOfferedError as error:
            self._server.watch("fault", where="milter", reason=str(error))
            self._milter.answer(_FAULT)
        self._write()  # before what follows is read: should it be nonsense, the answer still stands
        try:
            self._go_on()
        except WireError as error:
            self.abort(str(error))

    def _write(self) -> None:
        assert self._transport is not None
        if (octets := self._milter.to_send()) and not self._transport.is_closing():
            self._transport.write(octets)

    def _still_working(self) -> None:
        assert self._transport is not None
        self._transport.write(self._milter.progress())
        self._alive = self._loop.call_later(PROGRESS, self._still_working)

    def _quiet(self) -> None:
        if self._alive is not None:
            self._alive.cancel()
            self._alive = None

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    # --- its end ---

    @property
    def idle(self) -> bool:
        """Whether there is no message under way."""
        return self._milter.idle

    def abort(self, reason: str) -> None:
        """End it now."""
        assert self._transport is not None
        self._reason = self._reason or reason
        self._transport.abort()

    def leave(self) -> None:
        """While draining, end it if that takes away no message, nor (for a while) a session."""
        since, milter = self._server.draining, self._milter
        if since is None or not milter.idle or self._transport is None:
            return
        if milter.between_sessions or self._loop.time() - since >= DRAIN:
            self._transport.close()

    def sweep(self, now: float) -> None:
        """End it if it has been silent for too long, or leaves the last answer unread."""
        assert self._transport is not None
        silent = now - self._heard
        if self._transport.is_closing() and silent >= UNREAD:
            self._transport.abort()
            return
        if not self._milter.working and silent >= (IDLE if self._milter.negotiated else NEGOTIATION):
            self.abort(f"silent for {silent:.0f} s")


def _ip(connection: socket.socket) -> IPAddress | None:
    """The peer's address; None on a UNIX socket."""
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    found = ip_address(connection.getpeername()[0].partition("%")[0])
    return getattr(found, "ipv4_mapped", None) or found


def _peer(connection: socket.socket) -> str:
    try:
        return str(_ip(connection) or "")
    except OSError:
        return ""
