"""Serves an ASGI application on the connections of a listener, with uvicorn's protocol and our own sockets, TLS and limits."""

import asyncio
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ...model import IPAddress
from ...records.names import unmapped
from ..ports import Watch
from ..settings import Limits, Listener
from ..smtp.tls import Contexts

KEEP_ALIVE = 15  # seconds an idle connection stays; nginx has 75 and browsers open another without a word
HANDSHAKE = 30.0  # seconds for TLS, as our SMTP side gives
HEAD = 65_536  # octets of a request's line and header; h11's default is 16 KiB, a sealed link may have 8 of it
PATIENCE = 30.0  # seconds for the whole head of a request, from the connection or the answer before on; nginx has 60
UNREAD = 60.0  # seconds in which a client must take the next PIECE of an answer; nginx's send_timeout
PIECE = 65_536  # octets, or what is left
LOOK = 5.0  # seconds between two looks at a connection


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client is waited for, seconds."""

    head: float = PATIENCE
    unread: float = UNREAD
    look: float = LOOK


class Server:
    """All HTTP connections of a process."""

    def __init__(self, app: Any, limits: Limits, watch: Watch, patience: Patience = Patience()) -> None:
        self._limits, self._watch, self._patience = limits, watch, patience
        self._opening = 0  # TLS handshakes, which are no connections to uvicorn yet
        self._contexts = Contexts(watch)
        self._state = ServerState()
        self._config = uvicorn.Config(
            app,
            http=H11Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whom we believe is in the configuration, and looked at where it matters
            timeout_keep_alive=KEEP_ALIVE,
            limit_concurrency=None,  # `connect` counts: uvicorn would answer 503 to all, whoever came first
            h11_max_incomplete_event_size=HEAD,
        )
        self._config.load()
        self._draining = False

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.connections) + self._opening

    def check(self, listener: Listener) -> None:
        """Find out at the start what would fail with the first client. Raises BadCertificate."""
        if listener.certificate is not None:
            self._contexts.get(listener.certificate)

    async def connect(self, sock: socket.socket, listener: Listener) -> None:
        """Set up one accepted connection."""
        ip = _peer(sock)
        if listener.networks and ip is not None and not any(ip in network for network in listener.networks):
            self._watch("connection", listener=listener.name, client=str(ip), what="refused", reason="not in networks")
            sock.close()
            return
        if self._draining or (self.connections >= self._limits.connections and not self._made_room()):
            sock.close()
            return
        loop = asyncio.get_running_loop()
        tls = None if listener.certificate is None else self._contexts.get(listener.certificate)
        self._opening += 1
        try:
            await loop.connect_accepted_socket(
                lambda: _Connection(self._config, self._state, loop, self._patience),
                sock,
                ssl=tls,
                ssl_handshake_timeout=None if tls is None else HANDSHAKE,
            )
        finally:
            self._opening -= 1

    def _made_room(self) -> bool:
        """End the connection that has asked for nothing for longest, so that who only holds connections keeps nobody out."""
        idle = [one for one in self._state.connections if isinstance(one, _Connection) and one.may_go]
        if not idle:
            return False
        min(idle, key=lambda one: one.since).end()
        return True

    def drain(self) -> None:
        """Idle connections end now, the others after their answer."""
        self._draining = True
        for one in tuple(self._state.connections):
            one.shutdown()


class _Connection(H11Protocol):
    """uvicorn's protocol with an end to its patience: it waits for ever for a request's head, and for a client to read."""

    def __init__(self, config: uvicorn.Config, state: ServerState, loop: asyncio.AbstractEventLoop, patience: Patience) -> None:
        super().__init__(config, state, {}, loop)
        self._patience = patience
        self.since = loop.time()  # since when it asks for nothing and has all that it asked for, as long as that is so
        self._unread = (0, self.since)  # octets that wait for the client, and when there were as many
        self._timer: asyncio.TimerHandle | None = None

    @property
    def may_go(self) -> bool:
        """Whether nothing is being answered, and it is not on its way out."""
        return self._idle and not self.transport.is_closing()

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def end(self) -> None:
        """At once: to close it would mean to wait until the client has read what is written."""
        self.transport.abort()

    # --- asyncio.Protocol, and uvicorn's own

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """It begins."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(self._patience.look, self._check)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """An answer is written, if not read."""
        self.since = self.loop.time()
        super().on_response_complete()

    # --- patience

    def _check(self) -> None:
        now, unread = self.loop.time(), self.transport.get_write_buffer_size()
        octets, then = self._unread
        if not unread or unread > octets or octets - unread >= PIECE:
            self._unread = (unread, now)
        elif now - then > self._patience.unread:
            self.end()
            return
        if unread:
            self.since = now
        elif self._idle and now - self.since > self._patience.head:
            self.end()
            return
        self._timer = self.loop.call_later(self._patience.look, self._check)


def _peer(sock: socket.socket) -> IPAddress | None:
    """The client's address; None on a UNIX socket."""
    if sock.family not in {socket.AF_INET, socket.AF_INET6}:
        return None
    try:
        return unmapped(ip_address(sock.getpeername()[0].partition("%")[0]))
    except OSError:  # it is gone already
        return None
