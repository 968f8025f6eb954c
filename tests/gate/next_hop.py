"""A next hop for tests: a small SMTP or LMTP server that records every octet, and misbehaves where it is told to.

    async with NextHop() as hop:                       # on a loopback address and port of its own, `hop.host`, `hop.port`
        ...
        assert hop.messages[0].octets == b"..."        # as on the wire, dot-stuffing undone, without the final dot

Options (all may be changed while it runs):

* `extensions`: lines of the EHLO answer. `lmtp=True`: LHLO, one reply per recipient. `path`: a UNIX socket instead of TCP.
* `says`: the answer to a command by its verb, in place of the usual one: {"RCPT": "550 5.1.1 no such user"}. A list is used up
  one by one, then the usual answer is given. A callable is called with the session and the command's line. Verbs are in capitals;
  "BANNER" is the greeting, "DOT" the answer to the end of the data, "LINE" is asked for every line of data (answer: None to go on).
  An answer is text (CRLF is added), octets (sent as they are), or one of
  `CLOSE` (FIN), `RESET` (RST), `SILENCE` (nothing, for ever), `Slow(seconds, answer)`.
* `tls`: an `ssl.SSLContext` for STARTTLS (offer it in `extensions`), or from the first octet with `implicit=True`.
* `inject`: octets that are sent in the same segment as the 220 of STARTTLS.
* `users`: {"name": "password"} for AUTH PLAIN and LOGIN; XOAUTH2 takes the password as the token.
* `at_once=True`: a strict server that drops clients that pipeline where PIPELINING is not offered.

Recorded: `sessions` (each with `lines`, the commands as octets without CRLF; `raw`, every octet that came; `dots`, how many ends of
data were seen; `closed`, an event), `messages` (whole ones that were acknowledged with 2xx), and `connections`, `commands`.
"""

import asyncio
import base64
import contextlib
import socket
import ssl
import struct
from dataclasses import dataclass, field

from tests.servers import loopback

ALL = ("PIPELINING", "SIZE 36700160", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
USUAL = {
    "BANNER": "220 hop.example ESMTP",
    "HELO": "250 hop.example",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "DOT": "250 2.0.0 queued",
    "RSET": "250 2.0.0 reset",
    "NOOP": "250 2.0.0 ok",
    "XFORWARD": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
    "STARTTLS": "220 2.0.0 go ahead",
}


class _Do:
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return self.name


CLOSE, RESET, SILENCE = _Do("CLOSE"), _Do("RESET"), _Do("SILENCE")


@dataclass(frozen=True)
class Slow:
    """An answer that comes late."""

    seconds: float
    answer: object


@dataclass
class Message:
    mail_from: bytes  # the whole line
    rcpt_to: list[bytes]
    octets: bytes
    session: "Session" = field(repr=False)


@dataclass(eq=False)
class Session:
    number: int
    lines: list[bytes] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray, repr=False)
    dots: int = 0
    tls: str | None = None
    user: str | None = None
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    writer: asyncio.StreamWriter | None = field(default=None, repr=False)

    @property
    def verbs(self):
        return [line.split(b" ")[0].upper().decode("latin-1") for line in self.lines]


class _Over(Exception):  # noqa: N818 -- an end, no error
    pass


class NextHop:
    def __init__(
        self,
        *,
        extensions=ALL,
        lmtp=False,
        says=None,
        tls=None,
        implicit=False,
        inject=b"",
        users=None,
        path=None,
        at_once=False,
    ):
        self.extensions, self.lmtp, self.says, self.tls = extensions, lmtp, dict(says or {}), tls
        self.implicit, self.inject, self.users, self.path, self.at_once = implicit, inject, users or {}, path, at_once
        self.sessions, self.messages = [], []
        self.host, self.port = "", 0
        self._server = None
        self._tasks = set()

    # --- running ---------------------------------------------------------------------------------------------------

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        await self.stop()

    async def start(self, port=0):
        """Listen; with a port, the one it had before."""
        context = self.tls if self.implicit else None
        if self.path is not None:
            self._server = await asyncio.start_unix_server(self._accept, str(self.path), limit=1 << 20, ssl=context)
        else:
            self.host = self.host or loopback()
            self._server = await asyncio.start_server(self._accept, self.host, port or self.port, limit=1 << 20, ssl=context)
            self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self):
        """Stop listening and reset every connection: it died."""
        self._server.close()
        for session in self.sessions:
            if session.writer is not None and not session.closed.is_set():
                session.writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def connections(self):
        return len(self.sessions)

    @property
    def commands(self):
        """All command lines of all sessions."""
        return [line for session in self.sessions for line in session.lines]

    @property
    def raw(self):
        return b"".join(bytes(session.raw) for session in self.sessions)

    # --- one session -----------------------------------------------------------------------------------------------

    async def _accept(self, reader, writer):
        task = asyncio.current_task()
        self._tasks.add(task)
        session = Session(len(self.sessions), writer=writer)
        self.sessions.append(session)
        if self.implicit:
            session.tls = writer.get_extra_info("ssl_object").version()
        try:
            await self._session(session, reader, writer)
        except (_Over, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            session.closed.set()
            self._tasks.discard(task)
            with contextlib.suppress(OSError, ssl.SSLError):
                writer.close()

    async def _session(self, session, reader, writer):
        await self._answer(session, writer, "BANNER", b"")
        mail, rcpts = b"", []
        while True:
            line = await self._line(session, reader)
            session.lines.append(line)
            verb = line.split(b" ")[0].upper().decode("latin-1")
            if self.at_once and getattr(reader, "_buffer", b"") and "PIPELINING" not in self.extensions:
                raise _Over
            answered = await self._answer(session, writer, verb, line)
            if not answered.startswith(("2", "3")):
                continue
            match verb:
                case "EHLO" | "LHLO" | "HELO" | "RSET":
                    mail, rcpts = b"", []
                case "MAIL":
                    mail, rcpts = line, []
                case "RCPT":
                    rcpts.append(line)
                case "QUIT":
                    raise _Over
                case "STARTTLS":
                    await writer.start_tls(self.tls)
                    session.tls = writer.get_extra_info("ssl_object").version()
                case "DATA" if answered.startswith("3"):
                    octets = await self._data(session, reader, writer)
                    for _ in range(len(rcpts) if self.lmtp else 1):
                        said = await self._answer(session, writer, "DOT", octets)
                        if said.startswith("2") and not (self.messages and self.messages[-1].octets is octets):
                            self.messages.append(Message(mail, list(rcpts), octets, session))
                    mail, rcpts = b"", []

    async def _line(self, session, reader):
        line = await reader.readuntil(b"\r\n")
        session.raw += line
        return line[:-2]

    async def _data(self, session, reader, writer):
        octets = bytearray()
        while True:
            line = await reader.readuntil(b"\r\n")
            session.raw += line
            if "LINE" in self.says:
                await self._answer(session, writer, "LINE", line)
            if line == b".\r\n":
                session.dots += 1
                return bytes(octets)
            octets += line[1:] if line.startswith(b".") else line

    def _wanted(self, session, verb, line):
        said = self.says.get(verb)
        if isinstance(said, list):
            said = said.pop(0) if said else None
        if callable(said):
            said = said(session, line)
        if said is not None or verb == "LINE":
            return said
        if verb in ("EHLO", "LHLO") and (verb == "LHLO") == self.lmtp:
            lines = ["hop.example", *self.extensions]
            return "\r\n".join(f"250{' ' if index == len(lines) - 1 else '-'}{each}" for index, each in enumerate(lines))
        if verb == "AUTH":
            return None
        return USUAL.get(verb, "500 5.5.2 what?")

    async def _answer(self, session, writer, verb, line):
        said = self._wanted(session, verb, line)
        if said is None and verb == "AUTH":
            return await self._auth(session, writer, line)
        if said is None:
            return ""
        while isinstance(said, Slow):
            await asyncio.sleep(said.seconds)
            said = said.answer
        if said is SILENCE:
            await asyncio.Event().wait()
        if said is CLOSE:
            raise _Over
        if said is RESET:
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            raise _Over
        octets = said if isinstance(said, bytes) else said.encode() + b"\r\n"
        if verb == "STARTTLS":
            octets += self.inject
        writer.write(octets)
        await writer.drain()
        if octets.startswith(b"421"):
            raise _Over
        return octets.decode("latin-1")

    async def _auth(self, session, writer, line):
        _, mechanism, *rest = line.decode().split(" ")

        async def prompt(text):
            writer.write(b"334 " + base64.b64encode(text) + b"\r\n")
            answer = await self._line(session, writer._reader)  # the stream of the same connection
            session.lines.append(answer)
            return base64.b64decode(answer)

        match mechanism:
            case "PLAIN":
                _, user, password = base64.b64decode(rest[0]).split(b"\0")
            case "LOGIN":
                user, password = await prompt(b"Username:"), await prompt(b"Password:")
            case _:
                fields = base64.b64decode(rest[0]).split(b"\1")
                user, password = fields[0].removeprefix(b"user="), fields[1].removeprefix(b"auth=Bearer ")
                if self.users.get(user.decode()) != password.decode():
                    await prompt(b'{"status":"401"}')
        if self.users.get(user.decode()) == password.decode():
            session.user = user.decode()
            said = "235 2.7.0 welcome"
        else:
            said = "535 5.7.8 wrong"
        writer.write(said.encode() + b"\r\n")
        return said
