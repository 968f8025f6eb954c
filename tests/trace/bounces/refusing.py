"""An SMTP server on loopback that refuses what it is told to refuse, and keeps what it takes: reports are sent to it, too.

The local part of a recipient names the case of `cases.CASES` whose reply it gets, and when.
"""

import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.servers import loopback
from tests.trace.bounces.cases import CASES, Case

WAIT = 30.0  # seconds for something to come


@dataclass(slots=True)
class Refusing:
    """A running one. `reports` are the messages it took, for whomever they were."""

    host: str
    port: int
    reports: list[tuple[str, bytes]] = field(default_factory=list)  # recipient, octets with CRLF

    def wait(self, count: int, seconds: float = WAIT) -> list[tuple[str, bytes]]:
        """What came, as soon as there are `count`, or when the time is over."""
        end = time.monotonic() + seconds
        while len(self.reports) < count and time.monotonic() < end:
            time.sleep(0.02)
        return list(self.reports)


@contextmanager
def refusing(cases: Mapping[str, Case] = CASES, host: str | None = None, port: int = 0) -> Iterator[Refusing]:
    """Run it until the block ends."""
    running = Refusing(host or loopback(), 0)

    class Dialogue(socketserver.StreamRequestHandler):
        def say(self, *replies: str) -> None:
            for reply in replies:
                self.wfile.write("".join(f"{line}\r\n" for line in reply.splitlines()).encode())

        def handle(self) -> None:
            try:
                self.dialogue()
            except OSError:
                return

        def dialogue(self) -> None:
            self.say("220 mx.example ESMTP")
            recipients: list[str] = []
            at_dot: str | None = None
            while line := self.rfile.readline().decode("utf-8", "replace").strip():
                verb = line.upper().partition(":")[0].partition(" ")[0]
                if verb == "EHLO":
                    self.say("250-mx.example\n250-SMTPUTF8\n250-8BITMIME\n250 ENHANCEDSTATUSCODES")
                elif verb == "MAIL":
                    recipients, at_dot = [], None
                    self.say("250 2.1.0 ok")
                elif verb == "RCPT":
                    address = line.partition("<")[2].partition(">")[0]
                    case = cases.get(address.partition("@")[0])
                    if case is not None and case.stage == "drop":
                        return
                    if case is not None and case.stage == "rcpt":
                        self.say(case.reply)
                        continue
                    at_dot = case.reply if case is not None and case.stage == "data" else at_dot
                    recipients.append(address)
                    self.say("250 2.1.5 ok")
                elif verb == "DATA":
                    if not recipients:
                        self.say("554 5.5.1 no valid recipients")
                        continue
                    self.say("354 go on")
                    octets = self.octets()
                    if at_dot is None:
                        running.reports += [(one, octets) for one in recipients]
                    self.say(at_dot or "250 2.0.0 ok queued as 4711")
                elif verb == "QUIT":
                    self.say("221 2.0.0 bye")
                    return
                else:
                    self.say("250 2.0.0 ok")

        def octets(self) -> bytes:
            lines = []
            while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                lines.append(line[1:] if line.startswith(b".") else line)
            return b"".join(lines)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True
        request_queue_size = 128

    with Server((running.host, port), Dialogue) as server:
        running.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()
