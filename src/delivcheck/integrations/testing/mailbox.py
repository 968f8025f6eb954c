"""Takes the mail that a program sends before it leaves: from `smtplib` and `aiosmtplib` on the wire, from Django's outbox."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, overload

from . import deliverable, seams
from .octets import Outgoing, of_django, outgoing
from .server import Transaction


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was sent, with the envelope that was given. `octets` are those of the wire, dots unstuffed.

    `via` is smtplib, aiosmtplib or django; `parameters` are those of MAIL FROM (SMTPUTF8, BODY=8BITMIME, …).
    """

    octets: bytes
    mail_from: str
    rcpt_to: tuple[str, ...]
    via: str
    parameters: tuple[str, ...] = ()

    @property
    def message(self) -> EmailMessage:
        """It read again by the standard library, to look into."""
        return message_from_bytes(self.octets, policy=policy.default)

    @property
    def smtputf8(self) -> bool:
        """Whether it was sent as internationalized mail (RFC 6531)."""
        return "SMTPUTF8" in map(str.upper, self.parameters)


class SentMail(Sequence[Sent]):
    """The mail that was sent since, in order; `len`, indices and `for` work as with a list."""

    def __init__(self, judge: "Callable[..., Any] | None" = None, name: str = "sent") -> None:
        """`judge` is called for `assert_deliverable`, with the messages and what that was given; `name` stands in reports."""
        self._judge, self._name = judge or deliverable.hold, name
        self._sent: list[Sent] = []
        self._lock = threading.Lock()
        self._seen: list[Any] = list(_outbox())  # of Django's; held, so that no other message gets the identity of one of them

    def assert_deliverable(self, policy: str | None = None, ignore: Iterable[str] = (), **more: Any) -> Any:
        """Hold every one of them against the rules, as `delivcheck.testing.assert_deliverable` does. Without mail it fails."""
        __tracebackhide__ = True
        if not self:
            raise AssertionError("no mail was sent: nothing came by smtplib or aiosmtplib, or into Django's outbox")
        named = [replace(outgoing(one), name=f"{self._name}[{number}]") for number, one in enumerate(self)]
        return self._judge(named, policy, ignore, **more)

    def clear(self) -> None:
        """Forget what came so far."""
        with self._lock:
            self._look()
            self._sent.clear()

    def take(self, transaction: Transaction, via: str) -> None:
        """Keep a message that came over the wire."""
        with self._lock:
            self._look()
            one = transaction
            self._sent.append(Sent(one.octets, one.mail_from, one.rcpt_to, via, one.parameters))

    @overload
    def __getitem__(self, index: int) -> Sent: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sent]: ...
    def __getitem__(self, index: int | slice) -> Sent | list[Sent]:
        return self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self)} sent>"

    def _all(self) -> list[Sent]:
        with self._lock:
            self._look()
            return list(self._sent)

    def _look(self) -> None:
        """Take what came into Django's outbox since."""
        for one in _outbox():
            if all(one is not known for known in self._seen):
                self._seen.append(one)
                made: Outgoing = of_django(one)
                parameters = ("SMTPUTF8", "BODY=8BITMIME") if made.smtputf8 else ()
                self._sent.append(Sent(made.octets, made.mail_from or "", made.rcpt_to, "django", parameters))


def _outbox() -> Iterable[Any]:
    """What Django's locmem backend holds; nothing where Django is not there, or not under test."""
    return list(getattr(sys.modules.get("django.core.mail"), "outbox", ()))


@contextmanager
def capture(judge: "Callable[..., Any] | None" = None, name: str = "sent") -> Iterator[SentMail]:
    """Keep all mail from leaving, in every thread, and give what is sent; of captures in one another the innermost takes it."""
    mailbox = SentMail(judge, name)
    with seams.closed(mailbox.take):
        yield mailbox
