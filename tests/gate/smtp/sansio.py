"""Drives the state machine without sockets: answers every event, and notes what was said and done."""

from dataclasses import dataclass, field
from typing import Any

from delivcheck.gate.model import Extensions
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Kind, Limits
from delivcheck.gate.smtp.events import (
    Ended,
    Forward,
    Hello,
    Impersonate,
    Login,
    Mail,
    Message,
    Rcpt,
    Reset,
    StartTls,
    Stranger,
)
from delivcheck.gate.smtp.limits import Load
from delivcheck.gate.smtp.protocol import Options, Session

ALL = Extensions(eight_bit=True, smtputf8=True, dsn=True)
OK = Reply(250, "2.0.0", "Ok")


@dataclass
class Conversation:
    """A session whose events are answered at once: yes to everything, unless `say_no` has a reply for the address."""

    options: Options = field(default_factory=lambda: Options("gate.example", Kind.SMTP, Limits(), trusted=True))
    extensions: Extensions = ALL
    users: dict[str, str] = field(default_factory=lambda: {"ann": "secret"})
    say_no: dict[str, Reply] = field(default_factory=dict)
    events: list[Any] = field(default_factory=list)
    ended: str | None = None

    def __post_init__(self) -> None:
        self.load = Load(self.options.limits)
        self.session = Session(self.options, self.load)
        self._recipients = 0

    def open(self) -> str:
        self.session.open()
        return self.pump()

    def send(self, octets: bytes) -> str:
        self.session.receive(octets)
        return self.pump()

    def eof(self) -> str:
        self.session.end_of_input()
        return self.pump()

    def pump(self) -> str:
        """Everything that is said now."""
        session, out = self.session, b""
        while (event := session.next_event()) is not None:
            out += session.output()
            self.events.append(event)
            match event:
                case Hello():
                    session.greet(self.extensions)
                case StartTls():
                    session.secured()
                case Login(claim):
                    session.authenticated(self.users.get(claim.user) == claim.password)
                case Mail(sender):
                    self._recipients = 0
                    session.answer(self.say_no.get(sender.address, OK))
                case Stranger():
                    session.refuse(OK)
                case Rcpt(recipient):
                    reply = self.say_no.get(recipient.address, OK)
                    self._recipients += reply.positive
                    session.answer(reply)
                case Message():
                    count = self._recipients if session.lmtp else 1
                    session.answer(*[Reply(250, "2.0.0", f"taken {number}") for number in range(1, count + 1)])
                case Reset() | Forward():
                    session.done()
                case Impersonate():
                    session.impersonated(trusted=True)
                case Ended(reason):
                    self.ended = reason
        out += session.output()
        return out.decode("ascii")

    def ready(self) -> "Conversation":
        """Banner and EHLO are behind us."""
        assert self.open().startswith("220")
        hello = b"LHLO c.example\r\n" if self.session.lmtp else b"EHLO c.example\r\n"
        assert self.send(hello).startswith("250")
        self.events.clear()
        return self

    def transaction(self, *recipients: str) -> "Conversation":
        """MAIL and RCPT are, too."""
        assert self.send(b"MAIL FROM:<a@example.com>\r\n").startswith("250")
        for one in recipients or ("b@example.net",):
            self.send(f"RCPT TO:<{one}>\r\n".encode())
        self.events.clear()
        return self

    def messages(self) -> list[bytes]:
        return [event.octets for event in self.events if isinstance(event, Message)]

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


def options(kind: Kind = Kind.SMTP, limits: Limits | None = None, **more: Any) -> Options:
    return Options("gate.example", kind, limits or Limits(), **{"trusted": True, **more})


def codes(said: str) -> list[str]:
    """The code of each reply, the enhanced one with it."""
    return [line[4:].split(" ")[0] and f"{line[:3]} {line[4:].split(' ')[0]}" for line in said.splitlines() if line[3:4] == " "]
