"""Clients and next hops that go away at any octet, and lines at their limits, through the whole gate (attacks 7, 49, 51)."""

import asyncio
import socket
import struct

import pytest

from delivcheck.gate.journal import State
from tests.gate import world
from tests.gate.next_hop import CLOSE, RESET, NextHop
from tests.gate.test_transaction import until
from tests.gate.whole import gate, stuffed


def let_go(talk, how):
    sock = talk.writer.get_extra_info("socket")
    match how:
        case "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            talk.writer.transport.abort()
        case "half":
            talk.writer.write_eof()
        case _:
            talk.writer.close()


@pytest.mark.attack(49)
@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("framing", ["DATA", "BDAT"])
async def test_a_client_may_go_at_every_octet_and_nothing_is_left_of_it(tmp_path, how, framing, soak):
    octets, records = world.signed()
    groups = [b"EHLO c.example\r\n"]
    envelope = b"MAIL FROM:<bounces@example.org>\r\nRCPT TO:<pat@example.net>\r\n"
    body = stuffed(octets)
    if framing == "DATA":
        groups += [envelope + b"DATA\r\n", body, b"QUIT\r\n"]
    else:
        groups += [envelope + b"BDAT %d LAST\r\n%bQUIT\r\n" % (len(octets), octets)]
    dialogue = b"".join(groups)
    whole_at = len(dialogue) - len(b"QUIT\r\n")  # with that many octets the message is there
    # in the message's own octets one place is like the next, but for those at its ends
    begun = dialogue.index(octets[:40])
    places = [at for at in range(len(dialogue)) if soak or not begun + 3 < at < whole_at - 6 or at % 97 == 0]
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:

        async def one(at):
            client = await whole.client()
            left = at
            for group in groups:
                client.writer.write(group[:left])
                left -= len(group[:left])
                if not left:
                    break
                for _ in range(group.count(b"\r\n") if group.startswith(envelope) and framing == "DATA" else 1):
                    await client.reply()
            let_go(client, how)
            if how == "half":
                await client.reader.read()
                client.writer.close()

        for at in places:
            await one(at)
        await until(lambda: whole.server.connections == 0)
        await until(lambda: all(one.pool._in_use == 0 for one in whole.reception.relay._hops.values()))
        await asyncio.gather(*whole.tasks)
        assert whole.server.load.octets == whole.server.load.connections == 0
        assert not whole.told.of("fault")
        complete = [at for at in places if at >= whole_at]
        assert complete
        # who reset the connection right behind the last octet may be known to be gone before its message is looked at; the others
        # have theirs sent, and the same mail again is answered from the journal until one of them heard it
        assert (0 if how == "reset" else 1) <= len(hop.messages) <= len(complete)
        assert all(one.octets == octets for one in hop.messages)
        assert sum(session.dots for session in hop.sessions) == len(hop.messages)
        # after the dot: what became of it is in the journal, whoever was there to hear it
        written = await whole.journal.records()
        assert [one.state for one in written] == [State.ACCEPTED] * len(hop.messages)
        assert (await whole.send(octets))[-1].startswith("250")


@pytest.mark.attack(51)
@pytest.mark.parametrize("fault", [CLOSE, RESET])
async def test_a_next_hop_that_dies_in_the_message_has_no_dot_and_the_client_comes_again(tmp_path, fault):
    octets, records = world.signed(world.message("x" * 70 + "\r\n" + ("y" * 76 + "\r\n") * 5_000))

    def line(_session, text):
        return fault if text.startswith(b"xxx") else None

    async with NextHop(says={"LINE": line}) as hop, gate(tmp_path, hop, records) as whole:
        assert (await whole.send(octets))[-1].startswith("451 4.4.")
        assert sum(session.dots for session in hop.sessions) == 0
        assert not [one for one in await whole.journal.records() if one.state is not State.UNSENT]
        del hop.says["LINE"]
        assert (await whole.send(octets))[-1].startswith("250")
        assert [one.octets for one in hop.messages] == [octets]


LINES = [
    ".",
    "..",
    ". ",
    ".x",
    "",
    "x" * 998,
    "." * 998,
    "." + "x" * 997,
    "x" * 997 + ".",
    " ",
    "\t",
    "QUIT",
    "DATA",
    "RSET",
    "BDAT 3 LAST",
]


@pytest.mark.attack(7)
@pytest.mark.parametrize("framing", ["DATA", "BDAT"])
async def test_dots_and_lines_of_998_octets_arrive_as_they_were_sent(tmp_path, framing):
    octets, records = world.signed(
        world.message("\r\n".join([*LINES, *LINES[::-1], *[one for one in LINES for _ in range(3)], "."]))
    )
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        if framing == "DATA":
            assert (await whole.send(octets))[-1].startswith("250")
        else:
            async with await whole.client() as client:
                for line in ("EHLO c", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>"):
                    assert (await client.say(line)).startswith("250")
                assert (await client.say(b"BDAT %d LAST\r\n%b" % (len(octets), octets))).startswith("250")
        assert [one.octets for one in hop.messages] == [octets]
        for length in (999, 1_000, 1_001, 100_000):
            assert (await whole.send(world.message("x" * length)))[-1].startswith("550 5.6.0 ")
        assert len(hop.messages) == 1
