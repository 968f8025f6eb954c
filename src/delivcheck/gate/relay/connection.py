"""One connection to a next hop: the sockets and the clock around `protocol`, from the banner to QUIT."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence
from typing import cast

from ..reply import Reply
from . import commands
from .protocol import Dialogue, Offers, ProtocolError, offered

# Seconds. RFC 5321 section 4.5.3.2 says how long a client has to wait at least, by command; the handshake
# has our own server's limit (gate.md attack 28).
HANDSHAKE = 30.0
BANNER = 300.0  # 4.5.3.2.1
COMMAND = 300.0  # 4.5.3.2.2 and .3: MAIL and RCPT; for EHLO, AUTH, XFORWARD and RSET, which it does not name, the same
DATA = 120.0  # 4.5.3.2.4
BLOCK = 180.0  # 4.5.3.2.5
TERMINATION = 600.0  # 4.5.3.2.6
QUIT = 5.0  # ours: nobody waits for a goodbye
NO_SUCH_COMMAND = frozenset({500, 502, 504})  # to EHLO: a server of before RFC 1425, which has HELO (RFC 5321 section 3.2)
RSET = b"RSET\r\n"
PIECE = 262_144  # octets handed to the transport before we look whether it went out


class Lost(Exception):  # noqa: N818 -- reads well in an except clause
    """The connection is of no use any more, before the message was handed over. `reply` is the 421 where it was one."""

    def __init__(self, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.reply = reply


class Insecure(Lost):
    """TLS did not come about as it must; nothing that matters was sent."""


class Connection(asyncio.Protocol):
    """A connection, in use by one transaction at a time. After any Lost it only can be closed."""

    def __init__(self) -> None:
        self.offers = Offers()
        self.lmtp = False
        self.messages = 0  # transactions that were begun on it
        self.opened = time.monotonic()
        self.clean = True  # no MAIL since the greeting or the last RSET
        self.verified = False  # TLS with a certificate that was checked
        self._dialogue = Dialogue()
        self._answers: deque[asyncio.Future[Reply]] = deque()
        self._banner = self._expect(1)[0]  # it may come before anybody asks for it
        self._transport: asyncio.Transport | None = None
        self._why: Lost | None = None  # set once: why it is of no use
        self._writable = asyncio.Event()
        self._writable.set()
        self._gone = asyncio.Event()

    # --- asyncio's side ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected; the banner is awaited."""
        self._transport = cast("asyncio.Transport", transport)
        _tell_at_once(self._transport)

    def data_received(self, data: bytes) -> None:
        """Give each reply to the one who waits for it."""
        if self._why is not None:
            return
        try:
            for reply in self._dialogue.receive(data):
                answer = self._answers.popleft()
                if not answer.done():  # its command timed out or was given up; the connection will not be used again
                    answer.set_result(reply)
                if reply.code == 421:  # RFC 5321 section 3.8: it closes the connection now
                    self._fail(Lost(f"the next hop closes: {reply}", reply))
        except ProtocolError as error:
            self._fail(Lost(str(error)))

    def eof_received(self) -> None:
        """The other side closed; so do we."""
        self._fail(Lost("the next hop closed the connection"))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._fail(Lost(f"the connection was lost ({type(exc).__name__})" if exc else "the connection was closed"))
        self._gone.set()

    def pause_writing(self) -> None:
        """The other side takes nothing more just now."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """It does again."""
        self._writable.set()

    def _fail(self, why: Lost) -> None:
        """From now on of no use; whoever waits is told. The socket is closed, without a word that could end a half message."""
        if self._why is None:
            self._why = why
        for answer in self._answers:
            if not answer.done():
                answer.set_exception(type(self._why)(str(self._why), self._why.reply))
                answer.exception()  # it may have nobody who waits any more, which is no fault
        self._answers.clear()
        self._writable.set()
        if self._transport is not None:
            self._transport.abort()

    # --- before mail -------------------------------------------------------------------------------------------------

    @property
    def local(self) -> bool:
        """The other end is on this machine: a UNIX socket, or loopback."""
        if self._transport is None:
            return False
        if self._transport.get_extra_info("socket").family == socket.AF_UNIX:
            return True
        peer = self._transport.get_extra_info("peername")
        return bool(peer) and ipaddress.ip_address(str(peer[0]).partition("%")[0]).is_loopback

    @property
    def tls(self) -> str | None:
        """The version of TLS."""
        made = self._transport.get_extra_info("ssl_object") if self._transport is not None else None
        return made.version() if made is not None else None

    async def greet(self, name: str, *, lmtp: bool) -> None:
        """Read the banner and say hello. Raises Lost."""
        self.lmtp = lmtp
        reply = await self._within(BANNER, self._banner, "the banner")
        if reply.code != 220:
            raise self._give_up(f"the banner says {reply}", reply)
        await self.hello(name)

    async def hello(self, name: str) -> None:
        """EHLO (LHLO in LMTP); what was offered before is forgotten (RFC 3207 section 4.2). Raises Lost."""
        self.offers = Offers()
        reply = await self.ask(commands.line(f"{'LHLO' if self.lmtp else 'EHLO'} {name}"))
        # Any other refusal is about us or about now (554 too busy): HELO after it would lose 8BITMIME, and with it our mail.
        if reply.code in NO_SUCH_COMMAND and not self.lmtp:
            reply = await self.ask(commands.line(f"HELO {name}"))
        elif reply.code == 250:
            self.offers = offered(reply)
        if reply.code != 250:
            raise self._give_up(f"the greeting was answered {reply}", reply)

    async def starttls(self, context: ssl.SSLContext, name: str | None) -> bool:
        """STARTTLS and the handshake; false where it is refused, and the connection goes on as it was. Raises Lost."""
        reply = await self.ask(b"STARTTLS\r\n")
        if reply.code != 220:
            return False
        # Whatever came with the 220, in the same read or since, came in plain text: somebody in between wants to speak as the
        # server inside of TLS (CVE-2011-0411, gate.md attack 25). `receive` has failed the connection for it.
        self._check()
        assert self._transport is not None
        try:
            made = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                context,
                server_hostname=name,
                ssl_handshake_timeout=HANDSHAKE,
                ssl_shutdown_timeout=QUIT,
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: no name for SNI
            why = Insecure(f"TLS: {told(error)}")
            self._fail(why)
            raise why from None
        self._check()
        assert made is not None  # it is where the connection is not lost
        self._transport = made
        _tell_at_once(made)
        self.verified = context.verify_mode == ssl.CERT_REQUIRED
        return True

    # --- commands ----------------------------------------------------------------------------------------------------

    async def ask(self, command: bytes, seconds: float = COMMAND) -> Reply:
        """Write a command and wait for its reply. Raises Lost, for a 421, too."""
        return (await self.group([command], seconds))[0]

    async def reset(self, seconds: float = COMMAND) -> None:
        """RSET: the transaction is forgotten. Raises Lost."""
        if (reply := await self.ask(RSET, seconds)).code != 250:
            raise self._give_up(f"RSET was answered {reply}", reply)
        self.clean = True

    async def group(self, group: Sequence[bytes], seconds: float = COMMAND) -> list[Reply]:
        """Write commands and wait for their replies: at once where PIPELINING is offered (RFC 2920), else one after the other.

        Without PIPELINING nothing more is written after a refused MAIL, so that there can be fewer replies. Raises Lost.
        """
        replies: list[Reply] = []
        for batch in [group] if "PIPELINING" in self.offers else [[command] for command in group]:
            answers = self._write(b"".join(batch), len(batch))
            replies += [await self._within(seconds, answer, "a reply") for answer in answers]
            if any(reply.code == 421 for reply in replies):
                self._check()
            if batch[-1].startswith(b"MAIL ") and not replies[-1].positive:
                break
        return replies

    def _write(self, octets: bytes, replies: int) -> list["asyncio.Future[Reply]"]:
        """Write now, for so many replies. Raises Lost."""
        self._check()
        assert self._transport is not None
        answers = self._expect(replies)
        self._transport.write(octets)
        return answers

    def _expect(self, replies: int) -> list["asyncio.Future[Reply]"]:
        loop = asyncio.get_running_loop()
        answers = [loop.create_future() for _ in range(replies)]
        self._answers.extend(answers)
        self._dialogue.expect(replies)
        return answers

    def _check(self) -> None:
        """Raises Lost where the connection is of no use any more; each time a new one, as a traceback grows with each raise."""
        if self._why is not None:
            raise type(self._why)(str(self._why), self._why.reply)

    async def _within(self, seconds: float, answer: "asyncio.Future[Reply]", what: str) -> Reply:
        if answer.done():  # the rest of a pipelined group, mostly
            return answer.result()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise self._give_up(f"{what} did not come within {seconds:g} s") from None
        except asyncio.CancelledError:
            self.abort()  # its reply may still come, and would be taken for another's
            raise

    def _give_up(self, reason: str, reply: Reply | None = None) -> Lost:
        why = Lost(reason, reply)
        self._fail(why)
        return why

    # --- the message -------------------------------------------------------------------------------------------------

    async def stream(self, octets: bytes) -> None:
        """Write the message but for its end. Raises Lost, at the first octet that comes back, too."""
        view = memoryview(octets)
        for start in range(0, len(view), PIECE):
            self._check()
            assert self._transport is not None
            self._transport.write(view[start : start + PIECE])
            if self._writable.is_set():
                continue
            try:
                async with asyncio.timeout(BLOCK):
                    await self._writable.wait()
            except TimeoutError:
                raise self._give_up(f"no data was taken for {BLOCK:g} s") from None
        await self.look()

    def end(self, replies: int) -> list["asyncio.Future[Reply]"]:
        """Write the final dot, now: one reply will come, or in LMTP one for each recipient. Raises Lost."""
        return self._write(commands.DOT, replies)

    async def look(self) -> None:
        """Let the event loop read what has come by now. Raises Lost where that ends the connection."""
        await asyncio.sleep(0)  # the sockets are asked …
        await asyncio.sleep(0)  # … and what they had is handed to us
        self._check()

    # --- the end -----------------------------------------------------------------------------------------------------

    @property
    def usable(self) -> bool:
        """It can take another command."""
        return self._why is None and self._dialogue.quiet

    def abort(self) -> None:
        """Close at once: a QUIT would be a line of the message that was begun."""
        self._fail(Lost("given up by us"))

    async def quit(self) -> None:
        """Say goodbye and close."""
        with contextlib.suppress(Lost):
            await self.ask(b"QUIT\r\n", QUIT)
        self.abort()

    async def gone(self) -> None:
        """Wait until the socket is closed."""
        await self._gone.wait()


def _tell_at_once(transport: asyncio.Transport) -> None:
    """Have it call `pause_writing` until all that was written is with the kernel.

    Over TLS the limit is 1: asyncio pauses there at "as much as the limit", not above it, so that with 0 and nothing to write
    every second look at the buffer paused us, and nothing ever resumed (sslproto._control_app_writing, seen in 3.11).
    """
    transport.set_write_buffer_limits(0 if transport.get_extra_info("ssl_object") is None else 1, 0)


def told(error: BaseException) -> str:
    """An error in a line, for the log."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, OSError) and error.errno is not None and error.errno > 0:  # getaddrinfo's are negative
        return os.strerror(error.errno)  # asyncio's own text names the address as a tuple of Python's
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return text.partition("\n")[0] or type(error).__name__
