"""Short words for the relay's tests: a relay to one next hop, a message sent through it, and everything it tells."""

import asyncio
import contextlib
import functools
import time

from delivcheck.gate import settings
from delivcheck.gate.model import Client, MailFrom, RcptTo
from delivcheck.gate.relay.relay import NextHops

MESSAGE = b"From: a@sender.example\r\nSubject: x\r\n\r\n.\r\n..two\r\nthe end\r\n"
LIMIT = 20.0  # seconds a test may hang


def in_loop(test):
    """Run an `async def` test."""

    @functools.wraps(test)
    def run(*arguments, **named):
        async def limited():
            async with asyncio.timeout(LIMIT):
                await test(*arguments, **named)

        asyncio.run(limited())

    return run


class Told(list):
    """A Watch: a list of (event, fields)."""

    def __call__(self, event, /, **fields):
        self.append((event, fields))

    def of(self, what):
        return [fields for _, fields in self if fields.get("what") == what]


def setting(hop, name="hop", **more):
    address = settings.Address(path=hop.path) if hop.path is not None else settings.Address(host=hop.host, port=hop.port)
    return settings.NextHop(name, address, **{"lmtp": hop.lmtp, **more})


@contextlib.asynccontextmanager
async def relay_to(*hops, watch=None, **more):
    """A relay to next hops called "hop", "hop1", …; settings are for all of them."""
    names = ["hop", *(f"hop{index}" for index in range(1, len(hops)))]
    made = NextHops(
        [setting(hop, name, **more) for hop, name in zip(hops, names, strict=True)],
        "gate.example",
        Told() if watch is None else watch,
    )
    try:
        yield made
    finally:
        await made.close()


async def nothing():
    """A `before_dot` with nothing to do."""


async def opened(relay, *recipients, sender="a@sender.example", client=None, hop="hop", **mail):
    """A transaction with its recipients, and what was answered for each."""
    outgoing = await relay.open(hop, MailFrom(sender, **mail), client or Client(None))
    return outgoing, [await outgoing.rcpt(RcptTo(one) if isinstance(one, str) else one) for one in recipients]


async def sent(relay, *recipients, octets=MESSAGE, seconds=10.0, before_dot=nothing, **mail):
    """The replies to a message."""
    outgoing, _ = await opened(relay, *(recipients or ("b@rcpt.example",)), **mail)
    return await outgoing.send(octets, before_dot, time.monotonic() + seconds)


async def until(condition):
    """Wait for what comes from the other side of a socket."""
    while not condition():  # noqa: ASYNC110 -- what is looked at is no event
        await asyncio.sleep(0.005)
