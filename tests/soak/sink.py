"""A next hop in a process of its own, that can be killed and started again: it writes down what it takes before it says so.

One line of its file for each message: the X-Number field, the SHA-256 of the octets (dot-stuffing undone, as judged), and that of
the octets without a Received field on top (which is Postfix's own, where it is the client). With a folder, the octets are kept
there too, named by the first of the two.
"""

import argparse
import asyncio
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.servers import free_port, loopback

ROOT = Path(__file__).parents[2]
OFFERS = ("PIPELINING", "SIZE 40000000", "8BITMIME", "SMTPUTF8", "DSN", "ENHANCEDSTATUSCODES")
NUMBER = re.compile(rb"^X-Number: *(\S+)", re.MULTILINE)
OWN = re.compile(rb"Received: .*?\r\n(?![ \t])", re.DOTALL)
WAIT = 20.0  # seconds for it to come up


@dataclass(frozen=True)
class Taken:
    """A message that the sink took."""

    number: str
    sha256: str
    without_received: str


class Sink:
    """The process, as the test sees it."""

    def __init__(self, folder, *, delay=0.0, keep=False, lmtp=False):
        self.host, self.file = loopback(), folder / "sink"
        self.port, self.folder = free_port(self.host), folder / "taken" if keep else None
        self.deaths = 0
        if keep:
            self.folder.mkdir()
        self.file.touch()
        self._command = [sys.executable, "-m", "tests.soak.sink", self.host, str(self.port), str(self.file), f"--delay={delay}"]
        self._command += ["--lmtp"] * lmtp + ([f"--keep={self.folder}"] if keep else [])
        self._process = None

    def start(self):
        """Listen; returns when it does."""
        self._process = subprocess.Popen(self._command, cwd=ROOT, stdin=subprocess.DEVNULL)
        end = time.monotonic() + WAIT
        while True:
            with suppress(OSError), socket.create_connection((self.host, self.port), 1):
                return
            assert time.monotonic() < end, "the sink does not come up"
            time.sleep(0.02)

    def kill(self):
        """It dies, whatever it was about to say."""
        self.deaths += 1
        self.stop(signal.SIGKILL)

    def stop(self, number=signal.SIGTERM):
        self._process.send_signal(number)
        self._process.wait(10)

    @property
    def taken(self):
        """Everything so far, in the order in which it came."""
        return [Taken(*line.split()) for line in self.file.read_text().splitlines()]

    @property
    def numbers(self):
        """How often each came."""
        return Counter(one.number for one in self.taken)


@contextmanager
def sink(folder, **options):
    """A sink for as long as the block runs."""
    made = Sink(folder, **options)
    made.start()
    try:
        yield made
    finally:
        made.stop()


# --- the process itself ----------------------------------------------------------------------------------------------


class _Dialogue:
    def __init__(self, options, file):
        self._options, self._file = options, file

    async def serve(self, reader, writer):
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader, writer):
        writer.write(b"220 sink.example ESMTP\r\n")
        recipients = 0
        while line := await reader.readline():
            match line[:4].upper():
                case b"EHLO" | b"LHLO":
                    said = ["sink.example", *OFFERS]
                    writer.write("".join(f"250{'-' if one != said[-1] else ' '}{one}\r\n" for one in said).encode())
                    continue
                case b"DATA":
                    writer.write(b"354 go on\r\n")
                    lines = []
                    while (one := await reader.readuntil(b"\r\n")) != b".\r\n":
                        lines.append(one[1:] if one.startswith(b".") else one)
                    await self._take(b"".join(lines))
                    for _ in range(recipients if self._options.lmtp else 1):
                        writer.write(b"250 2.0.0 taken\r\n")
                    continue
                case b"RCPT":
                    recipients += 1
                case b"MAIL" | b"RSET":
                    recipients = 0
                case b"QUIT":
                    writer.write(b"221 2.0.0 bye\r\n")
                    return
            writer.write(b"250 2.0.0 ok\r\n")

    async def _take(self, octets):
        if self._options.delay:
            await asyncio.sleep(self._options.delay / 2)
        found = NUMBER.search(octets)
        digest = hashlib.sha256(octets).hexdigest()
        own = OWN.match(octets)
        bare = hashlib.sha256(octets[own.end() :] if own else octets).hexdigest()
        if self._options.keep:
            (Path(self._options.keep) / digest).write_bytes(octets)
        os.write(self._file, f"{found[1].decode() if found else '-'} {digest} {bare}\n".encode())
        if self._options.delay:
            await asyncio.sleep(self._options.delay / 2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--keep")
    parser.add_argument("--lmtp", action="store_true")
    options = parser.parse_args()
    dialogue = _Dialogue(options, os.open(options.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT))

    async def run():
        made = await asyncio.start_server(dialogue.serve, options.host, options.port, limit=50_000_000, backlog=500)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, os._exit, 0)
        await made.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main()
