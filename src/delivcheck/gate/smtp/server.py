"""The asyncio driver of the SMTP and LMTP server: one object for each accepted connection, and what they share.

server = Server(gate, handlers=make_handler, watch=watch)
task = loop.create_task(server.serve(accepted_socket, listener))
…
server.drain()      # idle connections hear 421 now, the others when their message is answered; `server.connections` falls to 0
"""

import asyncio
import contextlib
import errno
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable

from ...model import IPAddress
from ...records.names import unmapped
from ..model import Client, Credential
from ..ports import Handler, Watch, unwatched
from ..reply import Reply
from ..settings import Gate, Kind, Listener, Network
from . import proxy
from .connection import NOT_YOU, Connection
from .limits import PATIENCE, Load, Patience
from .protocol import Options, Session
from .tls import BadCertificate, Contexts

_BUSY = Reply(421, "4.3.2", "too many connections, please try again")
_BUSY_FOR_YOU = Reply(421, "4.7.0", "too many connections from you, please try again")
_GONE = {errno.ENOTCONN, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH}  # the client is no longer there
_NO_TLS = Reply(421, "4.7.0", "TLS cannot be had just now, please try again")


class Server:
    """The SMTP and LMTP side of one worker under one configuration.

    `handlers` makes what stands behind a connection. `load` is handed from server to server where the configuration is read
    again, so that limits hold for all connections of the worker.
    """

    def __init__(
        self,
        gate: Gate,
        handlers: Callable[[Listener], Handler],
        watch: Watch = unwatched,
        *,
        load: Load | None = None,
        patience: Patience = PATIENCE,
    ) -> None:
        self.gate, self.watch, self.patience = gate, watch, patience
        self.load = load or Load(gate.limits)
        self.load.limits = gate.limits
        self.contexts = Contexts(watch)
        self._handlers = handlers
        self._open: set[Connection] = set()
        self._draining = False

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    def check(self, listener: Listener) -> None:
        """Find out at the start what would fail with the first client. Raises BadCertificate."""
        if listener.certificate is not None:
            self.contexts.get(listener.certificate)
        elif listener.kind is Kind.SUBMISSIONS:
            raise BadCertificate(f"{listener.name}: implicit TLS needs a certificate")

    def drain(self) -> None:
        """Let every connection go at its next command boundary; what is accepted from now on hears 421."""
        self._draining = True
        for connection in tuple(self._open):
            connection.drain()

    async def serve(self, sock: socket.socket, listener: Listener) -> None:
        """One accepted connection, from banner to end. Takes the socket over; raises nothing but cancellation."""
        sock.setblocking(False)
        ip, port = _peer(sock)
        if self.load.full:
            await self._turn_away(sock, listener, ip, _BUSY, "too many connections")
            return
        self.load.connections += 1
        try:
            await self._counted(sock, listener, ip, port)
        except Exception as error:  # noqa: BLE001 -- a bug of ours costs this connection and no other
            if isinstance(error, ConnectionError) or getattr(error, "errno", None) in _GONE:
                return  # it is the client's socket: what stands behind us raises Unready
            self.watch("fault", where=listener.name, reason=f"{type(error).__name__}: {error}")
        finally:
            self.load.connections -= 1
            sock.close()

    async def _counted(self, sock: socket.socket, listener: Listener, ip: IPAddress | None, port: int) -> None:
        if _in(ip, listener.proxy):
            try:
                async with asyncio.timeout(self.patience.proxy):
                    origin = await _proxy_header(sock)
            except (proxy.BadHeader, TimeoutError, OSError) as error:
                self._tell(listener, ip, "refused", f"PROXY header: {error or 'none came'}")
                return
            if origin.ip is not None:
                ip, port = unmapped(origin.ip), origin.port
        if listener.networks and ip is not None and not _in(ip, listener.networks):
            await self._turn_away(sock, listener, ip, NOT_YOU, "not in networks")
            return
        if not self.load.enter(ip):
            await self._turn_away(sock, listener, ip, _BUSY_FOR_YOU, "too many connections from this address")
            return
        try:
            await self._connect(sock, listener, Client(ip, port, listener.name))
        finally:
            self.load.leave(ip)

    async def _connect(self, sock: socket.socket, listener: Listener, client: Client) -> None:
        implicit = listener.kind is Kind.SUBMISSIONS
        context: ssl.SSLContext | None = None
        try:
            if implicit and listener.certificate is not None:
                context = self.contexts.get(listener.certificate)
            elif implicit:
                raise BadCertificate(f"{listener.name}: implicit TLS needs a certificate")
            session = Session(self._options(listener, client, sock), self.load)
            handler = self._handlers(listener)
        except BadCertificate as error:
            self.watch("fault", where="certificate", reason=str(error))
            return
        except Exception as error:  # noqa: BLE001 -- whatever the making of a handler does, this client hears 421 and no other does
            self.watch("fault", where="handler", reason=f"{type(error).__name__}: {error}")
            await self._turn_away(sock, listener, client.ip, Reply(421, "4.3.0", "internal error, please try again"), "fault")
            return
        connection = Connection(self, listener, client, session, handler, watch=self.watch, tls=context)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock)
        except OSError as error:
            self._tell(listener, client.ip, "refused", str(error))
            return
        self._tell(listener, client.ip, "open", "")
        self._open.add(connection)
        try:
            if self._draining:
                connection.drain()
            await connection.run()
        finally:
            self._open.discard(connection)
            connection.abort()
            self._tell(listener, client.ip, "close", connection.reason)

    # --- what a client may do ----------------------------------------------------------------------------------------

    def _options(self, listener: Listener, client: Client, sock: socket.socket) -> Options:
        unix = sock.family == socket.AF_UNIX
        implicit = listener.kind is Kind.SUBMISSIONS
        self.trust(listener, client)
        return Options(
            name=self.gate.name,
            kind=listener.kind,
            limits=self.gate.limits,
            starttls=listener.certificate is not None and not implicit,
            secure=implicit or unix,
            auth=self.gate.users is not None and listener.kind not in {Kind.LMTP, Kind.BOUNCES},
            trusted=client.credential is not None or listener.kind is Kind.BOUNCES,  # which lets anybody in, and nothing out
            xclient=_in(client.ip, listener.xclient) or (unix and bool(listener.xclient)),
            xforward=_in(client.ip, listener.xforward) or (unix and bool(listener.xforward)),
            banner=listener.banner,
        )

    def trust(self, listener: Listener, client: Client) -> bool:
        """Give a client of a trusted network the listener's credential; who may open a UNIX socket is trusted by its mode."""
        client.credential = None
        if listener.kind in {Kind.SMTP, Kind.LMTP} and (client.ip is None or _in(client.ip, listener.trusted)):
            client.credential = Credential.of(listener, self.gate.credentials)
        return client.credential is not None

    def may_connect(self, listener: Listener, ip: IPAddress | None) -> bool:
        """Whether a client that is stood for by XCLIENT might connect itself."""
        return not listener.networks or ip is None or _in(ip, listener.networks)

    # --- telling -----------------------------------------------------------------------------------------------------

    def _tell(self, listener: Listener, ip: IPAddress | None, what: str, reason: str) -> None:
        self.watch("connection", listener=listener.name, client=str(ip or ""), what=what, reason=reason)

    async def _turn_away(
        self, sock: socket.socket, listener: Listener, ip: IPAddress | None, reply: Reply, reason: str
    ) -> None:
        """Say no and hang up, without anything that costs memory; inside TLS nobody could read it."""
        self._tell(listener, ip, "refused", reason)
        with sock, contextlib.suppress(OSError):
            if listener.kind is not Kind.SUBMISSIONS:
                sock.send(reply.octets())  # a fresh socket has room for one line
                sock.shutdown(socket.SHUT_WR)


def _peer(sock: socket.socket) -> tuple[IPAddress | None, int]:
    """The client's address and port; None on a UNIX socket, and where it is gone already."""
    if sock.family == socket.AF_UNIX:
        return None, 0
    try:
        host, port = sock.getpeername()[:2]
    except OSError:
        return ipaddress.IPv4Address(0), 0
    return unmapped(ipaddress.ip_address(str(host).partition("%")[0])), int(port)


def _in(ip: IPAddress | None, networks: Iterable[Network]) -> bool:
    return ip is not None and any(ip in network for network in networks)


async def _proxy_header(sock: socket.socket) -> proxy.Origin:
    """Read a PROXY header and nothing behind it: a TLS handshake may be there. Raises BadHeader, OSError."""
    loop, octets = asyncio.get_running_loop(), b""
    while wanted := proxy.missing(octets):
        more = await loop.sock_recv(sock, wanted)
        if not more:
            raise proxy.BadHeader("the connection ended")
        octets += more
    return proxy.origin(octets)
