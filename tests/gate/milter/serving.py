"""A milter for the tests: our server and filter before a pipeline that does what each message asks for in its X-Do field.

`serve` runs it in a thread of the test's process, `process` in one of its own that can be stopped and killed.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from delivcheck.gate.filter import Filter
from delivcheck.gate.milter.server import Server
from delivcheck.gate.model import Action, Decision, Delete, Incoming, Insert, Outcome
from delivcheck.gate.prepare.header import apply
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Address, Gate, Kind, Limits, Listener
from tests.servers import running, said

REPLIES = {
    Action.SEND: Reply(250, "2.0.0", "ok"),
    Action.REFUSE: Reply(550, "5.7.26", "dmarc/not-aligned 100% not aligned"),
    Action.DEFER: Reply(451, "4.4.3", "dns did not answer"),
    Action.HOLD: Reply(250, "2.0.0", "held"),
}


def asked(octets: bytes) -> list[str]:
    found = re.search(rb"^X-Do: *(.*)\r$", octets, re.MULTILINE | re.IGNORECASE)
    return found[1].decode().split() if found else []


@dataclass
class Obedient:
    """A pipeline that does what the message says; keeps what came."""

    seen: list[Incoming] = field(default_factory=list)
    judged: list[bytes] = field(default_factory=list)
    began: int = 0

    def sent(self, trace: str) -> None:
        pass

    async def process(self, incoming: Incoming) -> Outcome:
        self.seen.append(incoming)
        if incoming.missing == "too-large":
            return Outcome(Decision(Action.REFUSE, Reply(552, "5.3.4", "too large")), b"")
        words = asked(incoming.octets)
        edits = []
        for word in words:
            match word.split("="):
                case ["sleep", seconds]:
                    self.began += 1
                    await asyncio.sleep(float(seconds))
                case ["raise"]:
                    raise RuntimeError("boom\r\n250 injected")
                case ["insert"]:
                    edits += [Insert(b"X-First", b"1"), Insert(b"X-Second", b"a\r\n\tb"), Insert(b"X-Last", b"3", last=True)]
                case ["delete"]:
                    edits += [Delete(b"X-Away", 3), Delete(b"X-Away", 1)]
        action = next((Action(word) for word in words if word in list(Action)), Action.SEND)
        octets = apply(incoming.octets, edits) if edits and "apply" in words else incoming.octets
        self.judged.append(octets)
        return Outcome(Decision(action, REPLIES[action], reason="as asked"), octets, tuple(edits))


def gate(**settings) -> Gate:
    return Gate("gate.example", (), **settings)


def listener(**settings) -> Listener:
    return Listener("milter", Kind.MILTER, Address(), **settings)


@dataclass
class Served:
    """What runs in the thread."""

    pipeline: Obedient
    server: Server
    loop: asyncio.AbstractEventLoop
    events: list[tuple[str, dict]]
    address: object

    def call(self, function, *arguments):
        """Call in the loop's thread, and wait."""

        async def calling():
            made = function(*arguments)
            return await made if asyncio.iscoroutine(made) else made

        return asyncio.run_coroutine_threadsafe(calling(), self.loop).result(10)


def listen(address: Path | tuple[str, int]) -> socket.socket:
    """A listening socket; a UNIX one as it is documented: group postfix, and nobody else."""
    if isinstance(address, tuple):
        return socket.create_server(address)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(address))
    address.chmod(0o660)
    if os.geteuid() == 0 and address.parent.group() == "postfix":
        shutil.chown(address, group="postfix")
    sock.listen(100)
    return sock


async def accepting(server: Server, sock: socket.socket) -> None:
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    while True:
        connection, _ = await loop.sock_accept(sock)
        connection.setblocking(False)
        await server.connect(connection)


def make(pipeline, events, *, the_gate=None, the_listener=None, limits=None, budget=None, networks=(), handler=None) -> Server:
    def watch(event, /, **fields):
        events.append((event, fields))

    handler = handler or Filter(the_gate or gate(), the_listener or listener(), pipeline, watch)
    return Server("milter", handler, limits or Limits(), budget=budget, networks=networks, watch=watch)


@contextmanager
def serve(address: Path | tuple[str, int], **options) -> Iterator[Served]:
    pipeline, events = Obedient(), []
    loop = asyncio.new_event_loop()
    sock = listen(address)
    server = make(pipeline, events, **options)

    async def main():
        await accepting(server, sock)

    def run():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(asyncio.wait([task]))
        loop.run_until_complete(server.close())
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()

    task = loop.create_task(main())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield Served(pipeline, server, loop, events, sock.getsockname())
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        sock.close()
        if isinstance(address, Path):
            address.unlink()


@contextmanager
def process(path: Path, folder: Path):
    """The same in a process of its own; the block is given its Popen."""
    log = folder / f"milter-{path.name}.log"
    log.unlink(missing_ok=True)
    with running([sys.executable, "-m", "tests.gate.milter.serving", str(path)], log, lambda: said(log) is not None) as started:
        yield started


def main() -> None:
    path = Path(sys.argv[1])
    path.unlink(missing_ok=True)
    sock = listen(path)
    server = make(Obedient(), [])
    sys.stdout.write(json.dumps({"pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    asyncio.run(accepting(server, sock))


if __name__ == "__main__":
    main()
