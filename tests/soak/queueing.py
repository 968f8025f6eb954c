"""A client that queues as an MTA does: what was not answered with 2xx or 5xx is sent again, same octets, same envelope.

It writes down every acknowledgement. `smtp-source` cannot do that, and takes every 4xx for the end.
"""

import queue
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

SENDER, RECIPIENT = "bounces@example.org", "pat@example.net"


@dataclass(frozen=True)
class Mail:
    """One message with its envelope; `number` is its name, and stands in its X-Number field."""

    number: str
    octets: bytes
    sender: str = SENDER
    recipients: tuple[str, ...] = (RECIPIENT,)


class Refused(Exception):  # noqa: N818 -- reads well where it is caught
    def __init__(self, code, text):
        super().__init__(f"{code} {text}")
        self.code = code


class Session:
    """One connection. Raises OSError, EOFError when it is lost, Refused for every other answer than the wanted one."""

    def __init__(self, address, *, source=None, seconds=30.0, greeting="EHLO client.example.org"):
        if isinstance(address, tuple):
            self.socket = socket.create_connection(address, seconds, source_address=source)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(seconds)
            self.socket.connect(str(address))
        self.file = self.socket.makefile("rb")
        try:
            self.want(2)
            self.offers = self.say(greeting)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with suppress(OSError):
            self.file.close()
        with suppress(OSError):
            self.socket.close()

    def reply(self):
        """One reply: its code, its text."""
        lines = []
        while True:
            line = self.file.readline()
            if not line.endswith(b"\n"):
                raise EOFError
            lines.append(line[4:].decode("utf-8", "replace").rstrip())
            if line[3:4] != b"-":
                return int(line[:3]), "\n".join(lines)

    def want(self, first):
        code, text = self.reply()
        if code // 100 != first:
            raise Refused(code, text)
        return text

    def say(self, line, first=2):
        self.socket.sendall(line.encode() + b"\r\n")
        return self.want(first)

    def send(self, mail, how="DATA", chunk=0):
        """One transaction, to the reply after the dot."""
        self.begin(mail)
        if how == "DATA":
            self.say("DATA", 3)
            self.socket.sendall(stuffed(mail.octets))
            return self.want(2)
        sizes = chunk or len(mail.octets) or 1
        chunks = [mail.octets[at : at + sizes] for at in range(0, len(mail.octets), sizes)] or [b""]
        for one in chunks[:-1]:
            self.socket.sendall(b"BDAT %d\r\n" % len(one) + one)
            self.want(2)
        self.socket.sendall(b"BDAT %d LAST\r\n" % len(chunks[-1]) + chunks[-1])
        return self.want(2)

    def begin(self, mail):
        more = "" if mail.octets.isascii() or "8BITMIME" not in self.offers else " BODY=8BITMIME"
        self.say(f"MAIL FROM:<{mail.sender}>{more}")
        for one in mail.recipients:
            self.say(f"RCPT TO:<{one}>")


def stuffed(octets):
    """The message as DATA sends it, with its final dot."""
    text = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
    return (b"." if text.startswith(b".") else b"") + text.replace(b"\r\n.", b"\r\n..") + b".\r\n"


@dataclass
class Queue:
    """Sends mail over some sessions at once, `rate` messages a second (0: as fast as it goes), until each has its answer."""

    address: object  # or a function that says it
    rate: float = 0.0
    sessions: int = 4
    pause: float = 0.2  # seconds before a message is tried again
    per_session: int = 50
    source: object = None  # the client's own address and port
    acknowledged: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)
    tries: Counter = field(default_factory=Counter)
    later: Counter = field(default_factory=Counter)  # why mail was tried again
    said: dict[str, str] = field(default_factory=dict)  # to each message that was acknowledged
    took: list[float] = field(default_factory=list)  # seconds from the connection, or the last message, to each of these
    lasted: float = 0.0  # seconds

    def run(self, mails, seconds):
        """Raises AssertionError when something is still unanswered then."""
        todo, total = queue.Queue(), 0
        for one in mails:
            todo.put((0.0, one))
            total += 1
        self._end = time.monotonic() + seconds
        self._begun, self._issued, self._lock = time.monotonic(), 0, threading.Lock()
        threads = [threading.Thread(target=self._work, args=(todo, total)) for _ in range(self.sessions)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        self.lasted = time.monotonic() - self._begun
        assert self.answered == total, f"{total - self.answered} messages are unanswered; {self.later.most_common(10)}"

    @property
    def answered(self):
        return len(self.acknowledged) + len(self.refused)

    def _work(self, todo, total):
        session, sent = None, 0
        while self.answered < total and time.monotonic() < self._end:
            try:
                due, mail = todo.get(timeout=0.05)
            except queue.Empty:
                continue
            self._wait(due)
            self.tries[mail.number] += 1
            begun = time.monotonic()
            try:
                if session is None or sent >= self.per_session:
                    if session is not None:
                        session.close()
                    session, sent = None, 0
                    session = Session(self.address() if callable(self.address) else self.address, source=self.source)
                sent += 1
                self.said[mail.number] = session.send(mail)
                self.took.append(time.monotonic() - begun)
                self.acknowledged.append(mail.number)
            except Refused as no:
                if no.code >= 500:
                    self.refused.append((mail.number, str(no)))
                else:
                    self._again(todo, mail, str(no))
                if session is not None:  # as MTAs do: what comes next is tried afresh
                    session.close()
                session = None
            except (OSError, EOFError) as lost:
                self._again(todo, mail, type(lost).__name__)
                if session is not None:
                    session.close()
                session = None
        if session is not None:
            session.close()

    def _again(self, todo, mail, why):
        self.later[why.split("(")[0]] += 1
        todo.put((time.monotonic() + self.pause, mail))

    def _wait(self, due):
        if self.rate and not due:
            with self._lock:
                due = self._begun + self._issued / self.rate
                self._issued += 1
        if (left := due - time.monotonic()) > 0:
            time.sleep(left)
