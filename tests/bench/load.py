"""Clients that send messages over several connections at once, SMTP and milter, and time each."""

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count, cycle

from tests.bench.letters import RECIPIENT, SENDER
from tests.gate.milter import mta_side
from tests.gate.whole import stuffed

PATIENCE = 300.0  # seconds for all of a run
PIECE = 65_535  # octets of a body packet, as in Postfix


@dataclass
class Sent:
    """What a run came to: seconds of all of it, and of each message; `refused` are other answers than 250."""

    seconds: float = 0.0
    each: list = field(default_factory=list)
    refused: list = field(default_factory=list)

    @property
    def rate(self):
        return len(self.each) / self.seconds

    def worst(self, part):
        """The time that so great a part of the messages does not exceed."""
        return sorted(self.each)[min(int(len(self.each) * part), len(self.each) - 1)]


async def run(open_one, work, messages, *, sessions=10, rate=None):
    """Hand every message to `work(connection, message)`, as fast as it goes, or `rate` a second.

    With a rate, a message's time begins when it was due: one that waits for its turn is late, not absent.
    """
    sent, due = Sent(), iter(enumerate(messages))

    async def session():
        async with open_one() as connection:
            for number, message in due:
                begun = time.perf_counter()
                if rate is not None:
                    begun = start + number / rate
                    await asyncio.sleep(max(begun - time.perf_counter(), 0))
                answer = await work(connection, message)
                sent.each.append(time.perf_counter() - begun)
                if not answer.startswith("250"):
                    sent.refused.append(answer)

    start = time.perf_counter()
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        for _ in range(sessions):
            group.create_task(session())
    sent.seconds = time.perf_counter() - start
    return sent


# --- SMTP ------------------------------------------------------------------------------------------------------------


def smtp(address, messages, xclient="", **how):
    """Send messages by SMTP, the envelope's commands in one group; `xclient` are attributes of that command of Postfix's."""

    @asynccontextmanager
    async def connection():
        reader, writer = await asyncio.open_connection(*address)
        await _replies(reader, 1)
        for command in greeting:
            writer.write(command)
            await _replies(reader, 1)
        yield reader, writer
        writer.write(b"QUIT\r\n")
        await _replies(reader, 1)
        writer.close()

    async def one(streams, octets):
        reader, writer = streams
        writer.write(envelope)
        answers = await _replies(reader, 3)
        if not answers[-1].startswith("354"):
            return answers[-1]
        writer.write(octets)
        return (await _replies(reader, 1))[0]

    hello = b"EHLO client.example.org\r\n"
    greeting = [hello, f"XCLIENT {xclient}\r\n".encode(), hello] if xclient else [hello]
    envelope = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()
    return asyncio.run(run(connection, one, [stuffed(message) for message in messages], **how))


async def _replies(reader, wanted):
    found = []
    while len(found) < wanted:
        line = (await reader.readline()).decode()
        if line[3:4] != "-":
            found.append(line.rstrip())
    return found


# --- milter ----------------------------------------------------------------------------------------------------------

# After which commands the MTA goes on without an answer where the milter said so (SMFIP_NR_*), and which it leaves out (SMFIP_NO*).
_QUIET = {"C": 0x1000, "H": 0x2000, "M": 0x4000, "R": 0x8000, "T": 0x10000, "L": 0x80, "N": 0x40000, "B": 0x80000}
_LEFT_OUT = {"C": 0x1, "H": 0x2, "M": 0x4, "R": 0x8, "T": 0x200, "L": 0x20, "N": 0x40, "B": 0x10}


def milter(path, messages, **how):
    """Send messages to a milter as Postfix does, over its UNIX socket, many in a connection."""
    numbers = count()

    @asynccontextmanager
    async def connection():
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(mta_side.offer())
        _, options = await _packet(reader)
        steps = int.from_bytes(options[8:12])
        await _say(reader, writer, mta_side.SESSION, steps)
        yield reader, writer, steps
        writer.write(mta_side.QUIT)
        writer.close()

    async def one(streams, packets):
        *before, last = packets
        reader, writer, steps = streams
        await _say(reader, writer, b"".join(before), steps)
        writer.write(last)
        while (answer := (await _packet(reader))[0]) in "ihmep+":  # changes of the header, progress
            pass
        return "250" if answer in "ca" else answer

    def packets(octets):
        head, _, body = octets.partition(b"\r\n\r\n")
        fields = [
            line.partition(b":")[::2] for line in head.replace(b"\r\n\t", b"\n\t").replace(b"\r\n ", b"\n ").split(b"\r\n")
        ]
        pieces = [body[at : at + PIECE] for at in range(0, len(body), PIECE)]
        made = mta_side.message(SENDER, (RECIPIENT,), fields, pieces, f"Q{next(numbers)}")
        return made.removesuffix(mta_side.END), mta_side.END

    return asyncio.run(run(connection, one, [packets(message) for message in messages], **how))


async def _packet(reader):
    length = int.from_bytes(await reader.readexactly(4))
    octets = await reader.readexactly(length)
    return chr(octets[0]), octets[1:]


async def _say(reader, writer, packets, steps):
    """Write packets, and wait for an answer after each that has one."""
    at = begun = 0
    while at < len(packets):
        end = at + 4 + int.from_bytes(packets[at : at + 4])
        command = chr(packets[at + 4])
        if steps & _LEFT_OUT.get(command, 0):
            writer.write(packets[begun:at])
            begun = end
        elif command != "D" and not steps & _QUIET.get(command, 0):
            writer.write(packets[begun:end])
            begun = end
            answer, _ = await _packet(reader)
            assert answer == "c", answer
        at = end
    writer.write(packets[begun:])


def many(messages, number):
    """So many messages, from the first on and round again."""
    around = cycle(messages)
    return [next(around) for _ in range(number)]
