"""One SMTP connection: octets from the transport to the session, its events to the handler, answers back, and the clock."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol, TypeVar, cast

from ...model import IPAddress
from ..model import Client
from ..ports import Busy, Handler, Unready, Watch
from ..reply import Reply
from ..settings import Gate, Listener
from . import syntax
from .arrival import arrived
from .clock import Clock
from .events import Ended, Event, Forward, Hello, Impersonate, Login, Mail, Message, Rcpt, Reset, StartTls, Stranger
from .limits import READ_AHEAD, Patience
from .protocol import Session
from .secure import Secured
from .tls import BadCertificate, Contexts

NOT_YOU = Reply(554, "5.7.1", "you may not connect here")
_FAULT = Reply(451, "4.3.0", "internal error, please try again")

_T = TypeVar("_T")


class Host(Protocol):
    """What a connection needs of the server."""

    gate: Gate
    contexts: Contexts
    patience: Patience

    def trust(self, listener: Listener, client: Client) -> bool:
        """Set the client's credential by its address; whether it has one."""
        ...

    def may_connect(self, listener: Listener, ip: IPAddress | None) -> bool:
        """Whether an address may connect."""
        ...


class Connection(asyncio.Protocol):
    """Drives a session.

    `run` is the one task: it is never cancelled because the client is gone, so that what the handler does with a message comes
    to its end, and `replied` tells it whether the client heard of it.
    """

    def __init__(
        self,
        host: Host,
        listener: Listener,
        client: Client,
        session: Session,
        handler: Handler,
        *,
        watch: Watch,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.reason = ""
        self._host, self._listener, self._client = host, listener, client
        self._session, self._handler, self._watch = session, handler, watch
        self._patience = host.patience
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tls = Secured(tls) if tls is not None else None
        self._lost = self._eof = self._paused = self._full = self._at_work = False
        self._waiter: asyncio.Future[None] | None = None
        self._clock = Clock(self._expired)
        self._lines = -1
        self._command_deadline = 0.0
        self._received = 0  # octets
        self._window_end = 0.0
        self._window_start = 0  # octets by then

    # --- called by the transport -------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Octets of the client."""
        self._received += len(data)
        session = self._session
        if self._tls is not None:
            data = self._decrypted(self._tls, data)
        session.receive(data)
        if self._waiter is not None:
            if session.hungry:  # a message goes on: nobody need wake up for it
                self._set_deadline()
            else:
                self._wake()
        elif session.pending > READ_AHEAD and not self._paused and self._transport is not None:
            # The handler is at work: the client waits in its own memory, not in ours.
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The client sends no more: it is gone, or only done (half-close)."""
        self._eof = True
        self._gone()
        self._session.end_of_input()
        self._wake()
        return True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Nobody is there any more."""
        self._lost = True
        self._gone()
        self._session.end_of_input()
        self._wake()

    def pause_writing(self) -> None:
        """The client does not read our replies."""
        self._full = True

    def resume_writing(self) -> None:
        """It does again."""
        self._full = False
        self._wake()

    # --- from the server ---------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """Hang up at the next command boundary."""
        self._session.drain()
        self._wake()

    def abort(self) -> None:
        """Close at once, and stop the clock."""
        self._lost = True
        self._clock.stop()
        if self._transport is not None:
            self._transport.abort()

    async def run(self) -> None:
        """From banner to end."""
        if self._tls is not None and not await self._handshake(self._tls):
            return
        # Whoever talks before the banner is there to be seen only once the loop has looked at the socket: two rounds.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        self._session.open()
        try:
            await self._talk()
        finally:
            if self._session.in_transaction:
                await self._tell_reset()
        await self._hang_up()

    # --- the dialogue ------------------------------------------------------------------------------------------------

    async def _talk(self) -> None:
        session = self._session
        while True:
            event = session.next_event()
            if event is None:
                self._flush()
                if self._full:
                    await self._wait_for_room()
                else:
                    await self._wait_for_input()
            elif isinstance(event, Ended):
                self.reason = self.reason or event.reason
                self._flush()
                return
            else:
                await self._handle(event)
                if session.unsaid > READ_AHEAD:  # a long group of commands; usually its answers go out together
                    self._flush()
                    if self._full:
                        await self._wait_for_room()

    async def _handle(self, event: Event) -> None:
        """Have the handler answer."""
        session, handler, client = self._session, self._handler, self._client
        match event:
            case Mail(sender):
                client.protocol = self._protocol(utf8=sender.smtputf8)
                session.answer(await self._reply("mail", handler.mail(client, sender)))
            case Stranger(sender):
                session.refuse(await self._reply("mail", handler.mail(client, sender)))
            case Rcpt(recipient):
                session.answer(await self._reply("rcpt", handler.rcpt(client, recipient)))
            case Message(octets):
                self._flush()
                await self._message(octets)
            case Reset():
                await self._tell_reset()
                session.done()
            case Hello(name, _, resets):
                if resets:
                    await self._tell_reset()
                client.helo, client.protocol = name, self._protocol()
                try:
                    session.greet(await self._strict("extensions", handler.extensions(client)))
                except Unready as unready:
                    session.refuse(unready.reply)
            case Login():
                await self._login(event)
            case StartTls():
                await self._start_tls()
            case Forward(attributes):
                client.forwarded.update({name: value for name, value in attributes.items() if value is not None})
                session.done()
            case Impersonate(attributes):
                self._impersonate(attributes)
            case _:
                raise AssertionError(event)

    async def _message(self, octets: bytes) -> None:
        session = self._session
        replies: Sequence[Reply]
        answered = False
        self._at_work = True
        if self._eof or self._lost:
            self._gone()
        try:
            replies = await self._strict("message", self._handler.message(self._client, octets))
            answered = bool(replies)
        except Unready as unready:
            replies = (unready.reply,)
        finally:
            self._at_work = False
        del octets
        session.answer(*(replies or (_FAULT,)))
        self._flush()
        self._client.forwarded.clear()  # XFORWARD is of one transaction, as in Postfix
        if answered:
            written = await self._written()
            await self._tell("replied", self._handler.replied(self._client, written=written))
        else:
            await self._tell_reset()

    async def _login(self, event: Login) -> None:
        client, user = self._client, event.claim.user
        credential, problem, counts = None, None, False
        try:
            asked = self._handler.authenticate(client, user, event.claim.password)
            # The text of an exception might have the password in it.
            credential = await self._strict("authenticate", asked, secret=True)
        except Busy as busy:
            problem, counts = busy.reply, True
        except Unready as unready:
            problem = unready.reply
        if problem is None:
            self._watch("auth", listener=self._listener.name, client=str(client.ip or ""), user=user, ok=credential is not None)
        if credential is not None:
            client.credential = credential
        elif (problem is None or counts) and not self._lost:
            # Guessing takes time, more with every guess; others are not held up by it.
            await asyncio.sleep(self._patience.auth * (self._session.auth_failures + 1))
        self._session.authenticated(credential is not None, problem, counts=counts)
        client.protocol = self._protocol()

    async def _start_tls(self) -> None:
        """Shake hands. Nothing is awaited between the session's look at its input and the change of protocol."""
        session, certificate = self._session, self._listener.certificate
        if certificate is None:
            raise AssertionError("STARTTLS without a certificate is never offered")
        try:
            context = self._host.contexts.get(certificate)
        except BadCertificate as error:
            self._watch("fault", where="certificate", reason=str(error))
            session.timed_out("TLS cannot be had")
            return
        self._flush()
        self._tls = Secured(context)
        self._client.helo = None
        self._client.forwarded.clear()
        await self._handshake(self._tls)
        session.secured()

    async def _handshake(self, tls: Secured) -> bool:
        """Wait for the handshake's end; false where there is none."""
        self._resume()
        self._clock.set(self._clock.now() + self._patience.handshake)
        while not (tls.established or self._eof or self._lost):
            await self._sleep()
        self._clock.stand_still()
        if not tls.established:
            self.reason = self.reason or "TLS: the client gave up"
            self._leave()
            return False
        self._client.tls = tls.version
        self._client.protocol = self._protocol()
        return True

    def _decrypted(self, tls: Secured, data: bytes) -> bytes:
        """The plain text of what came, the handshake's answers written; nothing, and the connection over, where that fails."""
        try:
            data = tls.receive(data)
        except ssl.SSLError as error:
            self.reason = f"TLS: {error.reason or error}"
            data = b""
            self._write(tls.output())
            self._leave()
        else:
            self._write(tls.output())
        if tls.ended and not self._eof:
            self.eof_received()
        return data

    def _leave(self) -> None:
        """Nothing more can be said or heard."""
        self._lost = True
        self._session.end_of_input()
        if self._transport is not None:
            self._transport.close()
        self._wake()

    def _impersonate(self, attributes: Mapping[str, str | None]) -> None:
        """XCLIENT: from now on the client is somebody else, and is looked at as one that has just connected."""
        client, host = self._client, self._host
        try:
            ip = syntax.client_address(attributes["ADDR"]) if "ADDR" in attributes else client.ip
            port = syntax.client_port(attributes["PORT"]) if "PORT" in attributes else client.port
        except syntax.BadCommand as bad:
            self._session.refuse(bad.reply)
            return
        client.ip, client.port = ip, port
        client.forwarded.clear()
        client.helo = attributes.get("HELO")
        # An address that is not known must not pass for a UNIX socket's.
        trusted = host.trust(self._listener, client) if client.ip is not None else False
        if client.ip is None:
            client.credential = None
        client.protocol = self._protocol()
        self._session.impersonated(trusted, None if host.may_connect(self._listener, client.ip) else NOT_YOU)

    def _gone(self) -> None:
        """The client sends no more. Where the handler is at work for it, a retry may come before it is done."""
        if self._at_work:
            try:
                self._handler.gone(self._client, quits=self._session.quits)
            except Exception as error:  # noqa: BLE001 -- the transport calls us here
                self._watch("fault", where=f"{self._listener.name}: gone", reason=f"{type(error).__name__}: {error}")

    # --- asking the handler ------------------------------------------------------------------------------------------

    async def _strict(self, where: str, asked: Awaitable[_T], *, secret: bool = False) -> _T:
        """The handler's answer; whatever it raises is Unready afterwards. The clock stands still meanwhile."""
        self._clock.stand_still()
        try:
            return await asked
        except Unready:
            raise
        except Exception as error:
            reason = type(error).__name__ if secret else f"{type(error).__name__}: {error}"
            self._watch("fault", where=f"{self._listener.name}: {where}", reason=reason)
            raise Unready(_FAULT) from error

    async def _reply(self, where: str, asked: Awaitable[Reply]) -> Reply:
        try:
            return await self._strict(where, asked)
        except Unready as unready:
            return unready.reply

    async def _tell(self, where: str, told: Awaitable[None]) -> None:
        """Tell the handler what has no answer; its faults are noted, and change nothing."""
        with contextlib.suppress(Unready):
            await self._strict(where, told)

    async def _tell_reset(self) -> None:
        self._client.forwarded.clear()
        await self._tell("reset", self._handler.reset(self._client))

    # --- the client's state ------------------------------------------------------------------------------------------

    def _protocol(self, *, utf8: bool = False) -> str:
        """What "with" in Received says: RFC 3848, RFC 6531 section 4.3."""
        session = self._session
        s = "S" if self._client.tls else ""
        a = "A" if session.logged_in else ""
        if session.lmtp:
            return f"{'UTF8' if utf8 else ''}LMTP{s}{a}"
        if utf8:
            return f"UTF8SMTP{s}{a}"
        return f"ESMTP{s}{a}" if session.esmtp else "SMTP"

    # --- writing -----------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        octets = self._session.output()
        if octets and self._tls is not None and not self._lost:
            try:
                self._tls.send(octets)
            except ssl.SSLError as error:
                self.reason = f"TLS: {error.reason or error}"
                self._leave()
            octets = self._tls.output()
        self._write(octets)

    def _write(self, octets: bytes) -> None:
        if octets and not self._lost and self._transport is not None:
            self._transport.write(octets)

    async def _wait_for_room(self) -> None:
        """Nothing is read before our replies are."""
        self._clock.set(self._clock.now() + self._patience.write)
        while self._full and not self._lost:
            await self._sleep()
        self._clock.stand_still()

    async def _written(self) -> bool:
        """Whether the client is there to hear the answer just written."""
        if self._lost or self._transport is None:
            return False
        if not self._eof:
            return True
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.family == socket.AF_UNIX:
            return not self._transport.is_closing()  # a UNIX socket says so at once
        return await arrived(sock, self._patience.linger) and not self._lost

    async def _hang_up(self) -> None:
        """Close, so that the last reply arrives.

        Octets of the client that nobody reads would have it thrown away (RFC 1122 section 4.2.2.13): they are read for a while.
        """
        transport = self._transport
        if transport is None or self._lost:
            return
        if self._tls is not None:
            self._tls.end()
            self._write(self._tls.output())
        if self._eof or not transport.can_write_eof() or self.reason == "QUIT":
            transport.close()
        else:
            try:
                transport.write_eof()
            except OSError:  # the client is gone, and its `connection_lost` on its way to us
                transport.abort()
            self._resume()
            self._clock.set(self._clock.now() + self._patience.linger)
            while not (self._eof or self._lost):
                await self._sleep()
            transport.close()
        self._clock.set(self._clock.now() + self._patience.linger)
        while not self._lost:
            await self._sleep()

    # --- waiting -----------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _sleep(self) -> None:
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _wait_for_input(self) -> None:
        self._resume()
        self._set_deadline()
        await self._sleep()

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    # --- the clock ---------------------------------------------------------------------------------------------------

    def _set_deadline(self) -> None:
        """When the client must have sent what we wait for: a whole command, however its octets come; more of a message."""
        session, patience, now = self._session, self._patience, self._clock.now()
        if session.lines != self._lines:
            self._lines = session.lines
            self._command_deadline = now + patience.command
            self._window_end, self._window_start = now + patience.window, self._received
        self._clock.set(min(now + patience.data, self._window_end) if session.in_content else self._command_deadline)

    def _expired(self) -> None:
        """Nothing came in time: say 421, or where nobody would hear that, hang up."""
        now = self._clock.now()
        if self._session.in_content and not self._full and now >= self._window_end and self._fast_enough():
            self._window_end, self._window_start = now + self._patience.window, self._received
            self._clock.set(min(now + self._patience.data, self._window_end))
            return
        if self._session.ended or self._full or (self._tls is not None and not self._tls.established):
            self._lost = True
            if self._transport is not None:
                self._transport.abort()
        else:
            self._session.timed_out()
        self._wake()

    def _fast_enough(self) -> bool:
        return self._received - self._window_start >= self._patience.rate * self._patience.window
