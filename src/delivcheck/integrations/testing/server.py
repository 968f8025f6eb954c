"""An SMTP server without a network: octets of a client in, replies out. It takes everything and keeps what it was given."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_PATH = re.compile(rb'(?:FROM|TO):[ \t]*<((?:"(?:[^"\\]|\\.)*"|[^>"])*)>[ \t]*(.*)', re.IGNORECASE | re.DOTALL)
_END = b"\r\n.\r\n"

# What submission servers offer: SMTPUTF8 and 8BITMIME change what clients send, so they must be here. AUTH without CRAM-MD5,
# which smtplib would prefer, and which a Python in FIPS mode cannot do.
_EXTENSIONS = ("SIZE 0", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "DSN", "AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER")

GREETING = b"220 delivcheck ESMTP\r\n"

_RESPONSES = {b"LOGIN": 2}  # lines that a mechanism takes from the client; one of them may come with AUTH itself (RFC 4954)


@dataclass(frozen=True, slots=True)
class Transaction:
    """A message, its dots unstuffed, with the envelope as given. `parameters` are those of MAIL without SIZE."""

    mail_from: str
    rcpt_to: tuple[str, ...]
    octets: bytes
    parameters: tuple[str, ...]


class Server:
    """The server's side of one connection. `tls`: whether it began with TLS, or has come to it."""

    def __init__(self, deliver: Callable[[Transaction], None], *, tls: bool = False) -> None:
        """`deliver` is called with each message, before its 250."""
        self.tls = tls
        self._deliver = deliver
        self._lmtp = False
        self._waiting = b""
        self._data: bytearray | None = None
        self._responses = 0
        self._sender: tuple[str, tuple[str, ...]] | None = None
        self._recipients: list[str] = []

    def start_tls(self) -> None:
        """The client has its TLS: all that was said before is forgotten (RFC 3207 section 4.2)."""
        self.tls, self._waiting = True, b""
        self._reset()

    def receive(self, octets: bytes) -> bytes:
        """The replies to what came, empty as long as a line or a message has not ended."""
        replies = b""
        while octets or self._waiting:
            if self._data is not None:
                self._data += self._waiting + octets
                octets = self._waiting = b""
                # A message may be empty: the line end of DATA stands before its final dot (RFC 5321 section 4.1.1.4).
                end = (b"\r\n" + self._data).find(_END)
                if end < 0:
                    break
                message, self._waiting = bytes(self._data[:end]), bytes(self._data[end + 3 :])
                self._data = None
                replies += self._take(message)
                continue
            line, found, rest = (self._waiting + octets).partition(b"\r\n")
            octets = b""
            if not found:
                self._waiting = line
                break
            self._waiting = rest
            replies += self._command(line)
        return replies

    def _take(self, message: bytes) -> bytes:
        # RFC 5321 section 4.5.2: the dot that the client put before a line with one; only CRLF ends a line
        octets = (b"\r\n" + message).replace(b"\r\n.", b"\r\n")[2:]
        assert self._sender is not None
        count = len(self._recipients) if self._lmtp else 1  # RFC 2033 section 4.2
        self._deliver(Transaction(self._sender[0], tuple(self._recipients), octets, self._sender[1]))
        self._reset()
        return b"250 2.0.0 kept\r\n" * count

    def _reset(self) -> None:
        self._sender, self._recipients = None, []

    def _command(self, line: bytes) -> bytes:
        if self._responses:
            self._responses -= 1
            return b"334 \r\n" if self._responses else b"235 2.7.0 welcome\r\n"
        verb, _, rest = line.strip().partition(b" ")
        match verb.upper():
            case b"EHLO" | b"LHLO" as hello:
                self._reset()
                self._lmtp = hello == b"LHLO"
                lines = ["delivcheck", *_EXTENSIONS, *([] if self.tls else ["STARTTLS"])]
                return "".join(f"250{'-' if one is not lines[-1] else ' '}{one}\r\n" for one in lines).encode()
            case b"HELO":
                return b"250 delivcheck\r\n"
            case b"AUTH":
                mechanism, *initial = rest.split()
                self._responses = _RESPONSES.get(mechanism.upper(), 1) - len(initial)
                return b"334 \r\n" if self._responses > 0 else b"235 2.7.0 welcome\r\n"
            case b"MAIL":
                return self._mail(rest)
            case b"RCPT":
                return self._rcpt(rest)
            case b"DATA":
                if not self._recipients:
                    return b"503 5.5.1 no recipient\r\n"
                self._data = bytearray()
                return b"354 go on\r\n"
            case b"RSET":
                self._reset()
                return b"250 2.0.0 yes\r\n"
            case b"NOOP":
                return b"250 2.0.0 yes\r\n"
            case b"STARTTLS" if not self.tls:
                return b"220 2.0.0 go on\r\n"
            case b"QUIT":
                return b"221 2.0.0 goodbye\r\n"
            case b"VRFY":
                return b"252 2.1.5 send it\r\n"
        return b"502 5.5.1 not known here\r\n"

    def _mail(self, rest: bytes) -> bytes:
        found = _PATH.match(rest)
        if found is None:
            return b"501 5.5.4 MAIL FROM:<address>\r\n"
        parameters = tuple(one for one in _text(found[2]).split() if not one.upper().startswith("SIZE="))
        self._sender, self._recipients = (_text(found[1]), parameters), []
        return b"250 2.1.0 yes\r\n"

    def _rcpt(self, rest: bytes) -> bytes:
        found = _PATH.match(rest)
        if self._sender is None:
            return b"503 5.5.1 MAIL first\r\n"
        if found is None or not found[1]:
            return b"501 5.5.4 RCPT TO:<address>\r\n"
        self._recipients.append(_text(found[1]))
        return b"250 2.1.5 yes\r\n"


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
