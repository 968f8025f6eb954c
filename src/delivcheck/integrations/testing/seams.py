"""Where `smtplib` and `aiosmtplib` would open a connection: they get `server.Server`, and all else is their own code.

Both are changed at their classes, so it does not matter who imported what before. aiosmtplib is changed when it is there, or as
soon as it is imported.
"""

import asyncio
import importlib.machinery
import io
import smtplib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from .server import GREETING, Server, Transaction

Taker = Callable[[Transaction, str], None]

AIOSMTPLIB = "aiosmtplib.smtp"

_takers: list[Taker] = []  # of captures inside one another; the last one takes
_originals: list[tuple[type, str, Any]] = []
_changing = threading.Lock()


@contextmanager
def closed(take: Taker) -> Iterator[None]:
    """Give everything that is sent to `take`."""
    with _changing:
        if not _takers:
            _change()
        _takers.append(take)
    try:
        yield
    finally:
        with _changing:
            _takers.remove(take)
            if not _takers:
                _change_back()


def _change() -> None:
    _put(smtplib.SMTP, "connect", _connect(smtplib.SMTP.connect))
    _put(smtplib.SMTP, "starttls", _starttls(smtplib.SMTP.starttls))
    _put(smtplib.LMTP, "connect", _connect_lmtp(smtplib.LMTP.connect))
    if (module := sys.modules.get(AIOSMTPLIB)) is not None:
        _change_aiosmtplib(module)
    sys.meta_path.insert(0, _WATCH)


def _change_back() -> None:
    sys.meta_path.remove(_WATCH)
    while _originals:
        owner, name, value = _originals.pop()
        setattr(owner, name, value)


def _put(owner: type, name: str, value: Any) -> None:
    _originals.append((owner, name, owner.__dict__[name]))
    setattr(owner, name, value)


def _server(via: str, *, tls: bool) -> tuple[Server, bytes]:
    """A server, and what it says first."""
    taker = _takers[-1]
    return Server(lambda transaction: taker(transaction, via), tls=tls), GREETING


# --- smtplib -------------------------------------------------------------------------------------------------------


class _Socket:
    """What `smtplib` needs of a socket."""

    def __init__(self, server: Server, replies: bytes) -> None:
        self._server = server
        self._replies = io.BytesIO(replies)

    def sendall(self, octets: bytes) -> None:
        at = self._replies.tell()
        self._replies.seek(0, io.SEEK_END)
        self._replies.write(self._server.receive(bytes(octets)))
        self._replies.seek(at)

    def makefile(self, *_: Any, **__: Any) -> io.BytesIO:
        return self._replies

    def start_tls(self) -> "_Socket":
        self._server.start_tls()
        return _Socket(self._server, b"")

    def settimeout(self, _seconds: float | None) -> None:
        pass

    def setsockopt(self, *_: Any) -> None:
        pass

    def close(self) -> None:
        pass


class _Context:
    """Stands for an SSLContext in STARTTLS: there is nobody to talk TLS with."""

    def wrap_socket(self, sock: _Socket, **_: Any) -> _Socket:
        return sock.start_tls()


def _connect(original: Any) -> Any:
    def connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        implicit = isinstance(self, getattr(smtplib, "SMTP_SSL", ()))
        # On the instance, so that those who open sockets of their own (through a proxy) do not either.
        self._get_socket = lambda *_: _Socket(*_server("smtplib", tls=implicit))
        try:
            return original(self, *args, **kwargs)
        finally:
            del self._get_socket

    return connect


def _connect_lmtp(original: Any) -> Any:
    def connect(self: Any, host: str = "localhost", *args: Any, **kwargs: Any) -> Any:
        if not host.startswith("/"):
            return original(self, host, *args, **kwargs)
        self.sock, self.file = _Socket(*_server("smtplib", tls=False)), None
        return self.getreply()

    return connect


def _starttls(original: Any) -> Any:
    def starttls(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self.sock, _Socket):
            return original(self, context=_Context())
        return original(self, *args, **kwargs)

    return starttls


# --- aiosmtplib ----------------------------------------------------------------------------------------------------


class _Transport(asyncio.Transport):
    """What aiosmtplib's protocol writes to."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, server: Server, context: Any) -> None:
        super().__init__({"sslcontext": context})
        self._loop, self._protocol, self._server = loop, protocol, server
        self._over = False

    def open(self, greeting: bytes) -> None:
        self._protocol.connection_made(self)
        self._loop.call_soon(self._protocol.data_received, greeting)

    def write(self, data: Any) -> None:
        if replies := self._server.receive(bytes(data)):
            self._loop.call_soon(self._protocol.data_received, replies)

    def start_tls(self, context: Any) -> None:
        self._server.start_tls()
        self._extra["sslcontext"] = context  # type: ignore[attr-defined] # of asyncio.BaseTransport, untyped

    def is_closing(self) -> bool:
        return self._over

    def close(self) -> None:
        if not self._over:
            self._over = True
            self._loop.call_soon(self._protocol.connection_lost, None)

    abort = close


class _Loop:
    """The running event loop but for connections."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, protocol: Callable[[], asyncio.Protocol], *_: Any, ssl: Any = None, **__: Any) -> Any:
        made = protocol()
        server, greeting = _server("aiosmtplib", tls=ssl is not None)
        transport = _Transport(self._loop, made, server, ssl)
        transport.open(greeting)
        return transport, made

    create_unix_connection = create_connection

    async def start_tls(self, transport: _Transport, _protocol: Any, context: Any, **_: Any) -> _Transport:
        transport.start_tls(context)
        return transport


def _change_aiosmtplib(module: ModuleType) -> None:
    original = module.SMTP._create_connection  # noqa: SLF001 -- 2 to 5 have it; there is no public way in

    async def create_connection(self: Any, *args: Any, **kwargs: Any) -> Any:
        self.loop = _Loop(self.loop)
        return await original(self, *args, **kwargs)

    _put(module.SMTP, "_create_connection", create_connection)


class _Watch:
    """Changes aiosmtplib when the program imports it in the midst of a capture."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> Any:
        if name != AIOSMTPLIB:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def executed(module: ModuleType) -> None:
                execute(module)
                with _changing:
                    if _takers:
                        _change_aiosmtplib(module)

            spec.loader.exec_module = executed  # type: ignore[method-assign] # of this one loader
        return spec


_WATCH: Any = _Watch()
