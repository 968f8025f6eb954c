"""From an address to a connection that is ready for mail: connect, greet, TLS, log in."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from ..reply import Reply
from ..secret import Kept, NoSecret
from ..settings import Address, NextHop, SaslMechanism, Security
from . import commands
from .connection import HANDSHAKE, QUIT, Connection, Insecure, Lost, told

MAX_SECRET = 8_192  # octets; what fits into an AUTH line of 12,288 octets (RFC 4954 section 4) after base64
CONNECT = 30.0  # seconds, Postfix's smtp_connect_timeout
_BEST = (SaslMechanism.PLAIN, SaslMechanism.LOGIN)  # XOAUTH2 only where it is named: its secret is another kind of thing

Note = Callable[[str, str], None]  # what happened, and why: the `relay` event of ports.Watch


class NotLoggedIn(Lost):
    """The next hop does not take our credentials, or they cannot be had, or they must not be sent."""


class Dial:
    """How to reach one next hop. Made at the start: an unreadable CA file raises OSError then, and not with the first mail."""

    def __init__(self, hop: NextHop, name: str, note: Note) -> None:
        self._hop, self._name, self._note = hop, name, note
        self._secret = Kept(hop.secret, MAX_SECRET) if hop.secret is not None else None
        self._server = hop.server_name or hop.address.host.rstrip(".") or "localhost"
        self._verified, self._any = _verifying(hop), _any()

    async def __call__(self) -> Connection:
        """A new connection, greeted, secured, logged in. Raises Lost."""
        implicit = self._hop.security is Security.IMPLICIT
        try:
            return await self._ready(await self._connect(implicit=implicit), secure=implicit)
        except Insecure as failed:
            # RFC 7435: opportunistic means that a broken handshake is no reason to keep the mail, as Postfix has it ("may").
            if self._hop.security is not Security.OPPORTUNISTIC or self._hop.user is not None:
                raise
            self._note("failed", f"{failed}; going on without TLS")
            return await self._ready(await self._connect(implicit=False), secure=True)

    def _trusting(self) -> ssl.SSLContext:
        assert self._verified is not None  # made for every security that asks for it
        return self._verified

    async def _connect(self, *, implicit: bool) -> Connection:
        if implicit:
            return await _connected(self._hop.address, tls=self._trusting(), name=self._server)
        return await _connected(self._hop.address)

    async def _ready(self, connection: Connection, *, secure: bool) -> Connection:
        """Greet, STARTTLS unless it is `secure` enough, log in."""
        try:
            await connection.greet(self._name, lmtp=self._hop.lmtp)
            if not secure:
                await self._secure(connection)
            if connection.tls is not None:
                self._note("tls", f"{connection.tls}{'' if connection.verified else ', certificate not verified'}")
            if self._hop.user is not None:
                await self._log_in(connection)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def _secure(self, connection: Connection) -> None:
        """STARTTLS, as the configuration wants it. Raises Insecure where it must be and is not; then no mail was named."""
        wanted = self._hop.security
        if wanted is Security.OPPORTUNISTIC and self._hop.user is not None and not connection.local:
            wanted = Security.REQUIRED  # the password needs a verified certificate: without one there is nothing to do here
        if wanted is Security.NONE:
            return
        context = self._trusting() if wanted is Security.REQUIRED else self._any
        if "STARTTLS" in connection.offers and await connection.starttls(context, self._server):
            await connection.hello(self._name)
        elif wanted is Security.REQUIRED:  # stripped by somebody in between, or never there: CVE-2016-0772, gate.md attack 25
            raise Insecure("TLS is required and not offered")

    async def _log_in(self, connection: Connection) -> None:
        """AUTH; a secret that is refused is read again, and where it is another one, tried once more. Raises NotLoggedIn."""
        if not (connection.verified or connection.local):
            raise NotLoggedIn("the credentials are not sent without a verified certificate")
        if self._secret is None:
            raise NotLoggedIn("a user, and no secret")
        refused: str | None = None
        reply: Reply | None = None
        mechanism = self._mechanism(connection)
        for _ in range(2):
            try:
                secret = await self._secret.value()
            except NoSecret as missing:
                raise NotLoggedIn(str(missing)) from None
            if secret == refused:
                break
            reply = await self._authenticate(connection, mechanism, secret)
            if reply.code == 235:
                return
            if not reply.permanent:  # 454 and the like: not the password's fault (RFC 4954 section 4.7.x)
                break
            self._secret.forget(refused := secret)
        raise NotLoggedIn(f"AUTH {mechanism} was answered {_quotable(reply)}", reply)

    async def _authenticate(self, connection: Connection, mechanism: SaslMechanism, secret: str) -> Reply:
        try:
            command, answers = commands.auth(mechanism, self._hop.user or "", secret)
        except commands.Unspeakable as error:
            raise NotLoggedIn(str(error)) from None
        reply = await connection.ask(command)
        for answer in answers:
            if reply.code != 334:
                break
            reply = await connection.ask(answer)
        if reply.code == 334:  # it wants more than the mechanism has: cancel (RFC 4954 section 4)
            reply = await connection.ask(b"*\r\n")
        return reply

    def _mechanism(self, connection: Connection) -> SaslMechanism:
        offers = connection.offers.mechanisms
        for one in (self._hop.mechanism,) if self._hop.mechanism is not None else _BEST:
            if one in offers:
                return one
        raise NotLoggedIn(f"no mechanism that we have: {' '.join(offers)[:200] or 'AUTH is not offered'}")


async def _connected(address: Address, *, tls: ssl.SSLContext | None = None, name: str | None = None) -> Connection:
    """Connect, with TLS from the first octet where a context is given. Raises Lost."""
    loop = asyncio.get_running_loop()
    made: asyncio.BaseProtocol | None = None
    extra: dict[str, Any] = {}
    if tls is not None:
        extra = {"ssl": tls, "server_hostname": name, "ssl_handshake_timeout": HANDSHAKE, "ssl_shutdown_timeout": QUIT}
    try:
        if address.path is not None:
            async with asyncio.timeout(CONNECT):
                _, made = await loop.create_unix_connection(Connection, str(address.path), **extra)
        else:
            async with asyncio.timeout(CONNECT):
                found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
            # One after the other, each with its share of the time: uvloop knows no happy eyeballs.
            for index, (family, _, _, _, where) in enumerate(found):
                try:
                    async with asyncio.timeout(CONNECT / len(found)):
                        _, made = await loop.create_connection(Connection, str(where[0]), address.port, family=family, **extra)
                        break
                except ssl.SSLError:
                    raise
                except (TimeoutError, OSError):
                    if index == len(found) - 1:
                        raise
    except TimeoutError:
        raise Lost(f"no connection within {CONNECT:g} s") from None
    except ssl.SSLError as error:
        raise Insecure(f"TLS: {told(error)}") from None
    except (OSError, ValueError) as error:  # ValueError: a host name with a label of more than 63 octets
        raise Lost(f"no connection: {told(error)}") from None
    assert isinstance(made, Connection)
    made.verified = tls is not None and tls.verify_mode == ssl.CERT_REQUIRED
    return made


def _quotable(reply: Reply | None) -> str:
    """A refusal of AUTH for the log: a server's text may repeat what it was sent, so only the codes."""
    return f"{reply.code} {reply.enhanced or ''}".rstrip() if reply is not None else "nothing"


def _verifying(hop: NextHop) -> ssl.SSLContext | None:
    """TLS 1.2 and up (RFC 8996), the certificate held against the CA file or the system's; None where nobody asks for that."""
    if hop.security is Security.NONE or (hop.security is Security.OPPORTUNISTIC and hop.user is None and hop.ca_file is None):
        return None
    context = ssl.create_default_context(cafile=str(hop.ca_file) if hop.ca_file is not None else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _any() -> ssl.SSLContext:
    """TLS 1.2 and up with anybody: against those who only listen (RFC 7435), for OPPORTUNISTIC only."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
