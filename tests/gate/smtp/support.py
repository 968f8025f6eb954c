"""What the tests of the SMTP server share: a handler that notes everything, a running server, a raw client, a certificate."""

import asyncio
import contextlib
import datetime as dt
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from delivcheck.gate.model import Client, Credential, Extensions, MailFrom, RcptTo
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Address, Certificate, Gate, Kind, Limits, Listener
from delivcheck.gate.smtp.limits import Patience
from delivcheck.gate.smtp.server import Server
from tests import servers

ALL = Extensions(eight_bit=True, smtputf8=True, dsn=True)
EVERYONE = (ip_network("127.0.0.0/8"),)
OK = Reply(250, "2.0.0", "Ok")
QUICK = Patience(auth=0.0, linger=0.5)


@dataclass
class Recorder:
    """A handler that takes everything and notes it; `hooks` replace what one of its methods does."""

    extensions_: Extensions = ALL
    users: dict[str, str] = field(default_factory=lambda: {"ann": "secret"})
    hooks: dict[str, Callable[..., Awaitable[Any]]] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    messages: list[tuple[MailFrom, tuple[RcptTo, ...], bytes]] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    _mail: MailFrom | None = None
    _rcpts: list[RcptTo] = field(default_factory=list)

    async def _hook(self, name: str, *arguments: Any) -> Any:
        return await self.hooks[name](*arguments) if name in self.hooks else None

    async def extensions(self, client: Client) -> Extensions:
        self.calls.append(("extensions", client.helo))
        return await self._hook("extensions", client) or self.extensions_

    async def authenticate(self, client: Client, user: str, password: str) -> Credential | None:
        self.calls.append(("authenticate", user))
        await self._hook("authenticate", user, password)
        return Credential(user) if self.users.get(user) == password else None

    async def mail(self, client: Client, sender: MailFrom) -> Reply:
        self.calls.append(("mail", sender.address))
        self.clients.append(replace(client, forwarded=dict(client.forwarded)))
        reply = await self._hook("mail", sender) or OK
        if reply.positive:
            self._mail, self._rcpts = sender, []
        return reply

    async def rcpt(self, client: Client, recipient: RcptTo) -> Reply:
        self.calls.append(("rcpt", recipient.address))
        reply = await self._hook("rcpt", recipient) or OK
        if reply.positive:
            self._rcpts.append(recipient)
        return reply

    async def message(self, client: Client, octets: bytes) -> Sequence[Reply]:
        self.calls.append(("message", len(octets)))
        replies = await self._hook("message", octets)
        assert self._mail is not None
        self.messages.append((self._mail, tuple(self._rcpts), octets))
        self._mail = None
        if replies is not None:
            return replies
        lmtp = "LMTP" in client.protocol
        return [Reply(250, "2.0.0", f"taken {one.address}") for one in self._rcpts] if lmtp else [Reply(250, "2.0.0", "taken")]

    def gone(self, client: Client, *, quits: bool) -> None:
        self.calls.append(("gone",))

    async def replied(self, client: Client, *, written: bool) -> None:
        self.calls.append(("replied", written))

    async def reset(self, client: Client) -> None:
        self.calls.append(("reset",))
        self._mail = None

    def names(self) -> list[str]:
        return [call[0] for call in self.calls]


@dataclass
class Running:
    """A server that accepts on loopback, and what it noted."""

    server: Server
    listener: Listener
    handlers: list[Recorder]
    events: list[tuple[str, dict[str, Any]]]
    address: Any
    tasks: set[asyncio.Task[None]]
    talkers: list["Talker"] = field(default_factory=list)

    @property
    def handler(self) -> Recorder:
        return self.handlers[-1]

    def messages(self) -> list[tuple[MailFrom, tuple[RcptTo, ...], bytes]]:
        return [one for handler in self.handlers for one in handler.messages]

    async def idle(self) -> None:
        """Until every connection is over."""
        async with asyncio.timeout(10):
            await asyncio.gather(*self.tasks)

    async def client(self, *, greeting: bool = True, sock: socket.socket | None = None) -> "Talker":
        if sock is not None:
            reader, writer = await asyncio.open_connection(sock=sock)
        elif isinstance(self.address, str):
            reader, writer = await asyncio.open_unix_connection(self.address)
        else:
            reader, writer = await asyncio.open_connection(*self.address)
        talker = Talker(reader, writer)
        self.talkers.append(talker)
        if greeting:
            assert (await talker.reply()).startswith("220 ")
        return talker


def gate(limits: Limits | None = None, **more: Any) -> Gate:
    return Gate("gate.example", (), limits=limits or Limits(), **more)


def listener(kind: Kind = Kind.SMTP, **more: Any) -> Listener:
    return Listener("test", kind, Address(), **{"trusted": EVERYONE, **more})


@contextlib.asynccontextmanager
async def running(
    one: Listener | None = None,
    settings: Gate | None = None,
    make: Callable[[], Recorder] = Recorder,
    patience: Patience = QUICK,
    path: Path | None = None,
) -> AsyncIterator[Running]:
    """A server on loopback, or on a UNIX socket at `path`, with an accept loop as the worker has one."""
    loop = asyncio.get_running_loop()
    one = one or listener()
    handlers: list[Recorder] = []
    events: list[tuple[str, dict[str, Any]]] = []

    def made(_: Listener) -> Recorder:
        handlers.append(make())
        return handlers[-1]

    def watch(event: str, /, **fields: Any) -> None:
        events.append((event, fields))

    server = Server(settings or gate(), made, watch, patience=patience)
    if path is not None:
        opened = socket.socket(socket.AF_UNIX)
        opened.bind(str(path))
    else:
        opened = socket.socket()
        opened.bind((servers.loopback(), 0))
    opened.listen(1024)
    opened.setblocking(False)
    tasks: set[asyncio.Task[None]] = set()

    async def accept() -> None:
        while True:
            sock, _ = await loop.sock_accept(opened)
            task = loop.create_task(server.serve(sock, one))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    accepting = loop.create_task(accept())
    made_running = Running(server, one, handlers, events, opened.getsockname(), tasks)
    try:
        yield made_running
    finally:
        accepting.cancel()
        left = list(tasks)
        for task in left:
            task.cancel()
        results = await asyncio.gather(accepting, *left, return_exceptions=True)
        opened.close()
        for talker in made_running.talkers:
            await talker.close()
        faults = [one for one in results if isinstance(one, BaseException) and not isinstance(one, asyncio.CancelledError)]
        assert not faults, faults


@dataclass
class Talker:
    """A client that sends what it is told and reads whole replies."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, octets: bytes) -> None:
        self.writer.write(octets)
        await self.writer.drain()

    async def reply(self) -> str:
        """One whole reply, its lines joined by newlines; "" at the end of the connection."""
        lines = []
        async with asyncio.timeout(10):
            while True:
                try:
                    line = (await self.reader.readline()).decode("ascii")
                except ConnectionError:
                    return ""
                lines.append(line.rstrip("\r\n"))
                if line[3:4] != "-":
                    return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        await self.send((line.encode() if isinstance(line, str) else line) + b"\r\n")
        return await self.reply()

    async def hello(self) -> str:
        return await self.say("EHLO client.example")

    async def begin(self, *recipients: str) -> None:
        """A transaction up to DATA's 354."""
        for line in ("MAIL FROM:<a@example.com>", *(f"RCPT TO:<{one}>" for one in recipients or ("b@example.net",))):
            assert (await self.say(line)).startswith("250")
        assert (await self.say("DATA")).startswith("354")

    async def end(self) -> str:
        """Everything until the connection ends."""
        async with asyncio.timeout(10):
            try:
                return (await self.reader.read()).decode("ascii")
            except ConnectionError:
                return ""

    async def start_tls(self) -> None:
        assert (await self.say("STARTTLS")).startswith("220")
        await self.writer.start_tls(trusting())

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


# --- TLS ---------------------------------------------------------------------------------------------------------


def issue(folder: Path, name: str = "gate.example", addresses: Sequence[str] = ()) -> Certificate:
    """A new self-signed certificate and its key in a folder, for a name and for IP addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=2))
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(name), *(x509.IPAddress(ip_address(one)) for one in addresses)]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return Certificate(chain, secret)


@lru_cache(maxsize=1)
def certificate() -> Certificate:
    """One for the whole run."""
    return issue(Path(tempfile.mkdtemp(prefix="delivcheck-tls-")))


def trusting() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    return made
