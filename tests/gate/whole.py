"""A whole gate in this process: SMTP server, transactions, pipeline, journal and relay, in front of a next hop of the test's.

async with NextHop() as hop, gate(tmp_path, hop) as whole:
    async with await whole.client() as client:
        assert await client.say("EHLO me") ...
"""

import asyncio
import contextlib
import socket
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from pathlib import Path

from delivcheck.gate.held import HeldStore
from delivcheck.gate.journal import Journal
from delivcheck.gate.judging import Egress, Judge
from delivcheck.gate.pipeline import GatePipeline
from delivcheck.gate.prepare import Preparer
from delivcheck.gate.relay.relay import NextHops
from delivcheck.gate.routing.rates import Rates
from delivcheck.gate.routing.routing import Routing
from delivcheck.gate.routing.rules import Rules
from delivcheck.gate.settings import Address, Gate, Hold, Kind, Listener, NextHop, Security
from delivcheck.gate.smtp.server import Server
from delivcheck.gate.transaction import Reception
from delivcheck.net.lasting import Lasting
from tests.gate import world

TRUSTED = Listener("relay", Kind.SMTP, Address(host="127.0.0.1", port=25), trusted=(ip_network("127.0.0.0/8"),))


class Told(list):
    """Everything that the watch was told."""

    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def of(self, event):
        return [fields for name, fields in self if name == event]


@dataclass
class Whole:
    """A running gate."""

    reception: Reception
    server: Server
    told: Told
    listener: Listener
    tasks: set = field(default_factory=set)

    @property
    def journal(self):
        return self.reception.journal

    async def client(self, listener=None):
        """A connection, its banner read."""
        listener = listener or self.listener
        unix = listener.kind is Kind.LMTP or listener.address.path is not None
        ours, theirs = socket.socketpair(socket.AF_UNIX) if unix else _tcp()
        task = asyncio.create_task(self.server.serve(theirs, listener))
        self.tasks.add(task)
        reader, writer = await asyncio.open_connection(sock=ours)
        made = Talk(reader, writer)
        made.banner = await made.reply()
        return made

    async def send(self, octets, to=("pat@example.net",), sender="bounces@example.org", **more):
        """One message over a connection of its own; the replies from MAIL on."""
        async with await self.client(**more) as client:
            await client.say("EHLO client.example.org")
            return await client.mail(octets, to, sender)


def _tcp():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        ours = socket.create_connection(listening.getsockname())
        theirs, _ = listening.accept()
    return ours, theirs


class Talk:
    """The client's side of a dialogue."""

    def __init__(self, reader, writer):
        self.reader, self.writer, self.banner = reader, writer, ""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def reply(self):
        """One reply, its lines joined by newlines; "" where the connection has ended."""
        lines = []
        while True:
            line = (await self.reader.readline()).decode()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, line):
        self.writer.write(line.encode() + b"\r\n" if isinstance(line, str) else line)
        return await self.reply()

    async def mail(self, octets, to=("pat@example.net",), sender="bounces@example.org"):
        """MAIL, RCPT, DATA, dot: every reply; ends where one refuses, but for single recipients."""
        replies = [await self.say(f"MAIL FROM:<{sender}>")]
        if not replies[-1].startswith("250"):
            return replies
        taken = 0
        for one in to:
            replies.append(await self.say(f"RCPT TO:<{one}>"))
            taken += replies[-1].startswith("250")
        if not taken:
            return replies
        replies.append(await self.say("DATA"))
        if replies[-1].startswith("354"):
            replies.append(await self.say(stuffed(octets)))
        return replies


def stuffed(octets):
    """The message as DATA sends it, with its final dot."""
    text = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
    return (b"." if text.startswith(b".") else b"") + text.replace(b"\r\n.", b"\r\n..") + b".\r\n"


@contextlib.asynccontextmanager
async def gate(
    folder: Path,
    hop,
    records=None,
    *,
    listener=TRUSTED,
    hold=False,
    hops=None,
    preparer=None,
    users=None,
    suppressed=None,
    streams=("receipts",),
    **settings,
):
    """A gate before one next hop, or before `hops` (settings.NextHop)."""
    hops = hops or (NextHop("hop", Address(host=hop.host, port=hop.port), security=Security.NONE),)
    made = Gate(
        "gate.example.org",
        (listener,),
        tuple(hops),
        state=folder,
        hold=Hold() if hold else None,
        users=Path("users") if users else None,  # read by `users` itself; here it says that there is AUTH
        **settings,
    )
    told = Told()
    (folder / "conf").mkdir(exist_ok=True)
    text = "".join(f'[streams.{name}]\nclass = "transactional"\n' for name in streams)
    judge = Judge(
        world.configuration(folder / "conf", text),
        Lasting(world.dns(records)),
        Egress((ip_address(world.IP),), "gate.example.org"),
    )
    preparer = preparer or Preparer(made.name, without_received=[listener.name])
    relay = NextHops(made.next_hops, made.name, told)
    async with Journal(folder) as journal:
        held = HeldStore(folder, made.hold) if made.hold else None
        routing = Routing(Rules(made.rules), Rates(folder), suppressed, told)
        pipeline = GatePipeline(made, judge, preparer, told, routing)
        reception = Reception(made, pipeline, relay, journal, held, told, users, routing)
        whole = Whole(reception, Server(made, reception.handler, told), told, listener)
        try:
            yield whole
        finally:
            for task in whole.tasks:
                task.cancel()
            await asyncio.gather(*whole.tasks, return_exceptions=True)
            await relay.close()
            routing.close()


__all__ = ["TRUSTED", "Talk", "Told", "Whole", "gate", "replace", "stuffed"]
