"""A client that says nothing between RCPT and the end of its message keeps nobody else from the next hop."""

import asyncio
import time

import pytest

from delivcheck.gate.model import Client, MailFrom, RcptTo
from delivcheck.gate.ports import Unready
from delivcheck.gate.relay import outgoing as delivery
from delivcheck.gate.relay import pool
from tests.gate.next_hop import CLOSE, NextHop
from tests.gate.relay.way import MESSAGE, in_loop, nothing, opened, relay_to, sent, until


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(delivery, "LET_GO", 0.02)


def verbs(hop):
    return [verb for session in hop.sessions for verb in session.verbs]


@pytest.mark.attack(50)
@pytest.mark.parametrize("connections", [1, 3])
@in_loop
async def test_silent_clients_leave_the_connections_to_others_and_still_send_their_own(connections):
    async with NextHop() as hop, relay_to(hop, connections=connections) as relay:
        silent = [(await opened(relay, "a@rcpt.example", "b@rcpt.example"))[0] for _ in range(connections)]
        assert (await sent(relay, "c@rcpt.example"))[0].code == 250
        for one in silent:
            assert (await one.send(MESSAGE, nothing, time.monotonic() + 5))[0].code == 250
        assert hop.connections <= connections
        assert [len(message.rcpt_to) for message in hop.messages] == [1, *[2] * connections]
        assert relay._hops["hop"].pool._in_use == 0


@in_loop
async def test_a_recipient_after_a_silence_joins_those_before_it():
    async with NextHop() as hop, relay_to(hop, connections=1) as relay:
        outgoing, _ = await opened(relay, "a@rcpt.example")
        await until(lambda: "RSET" in verbs(hop))
        assert (await outgoing.rcpt(RcptTo("b@rcpt.example"))).code == 250
        await until(lambda: verbs(hop).count("RSET") == 2)
        await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert hop.messages[0].rcpt_to == [b"RCPT TO:<a@rcpt.example>", b"RCPT TO:<b@rcpt.example>"]


@in_loop
async def test_who_speaks_again_in_time_keeps_its_connection(monkeypatch):
    monkeypatch.setattr(delivery, "LET_GO", 5.0)
    async with NextHop() as hop, relay_to(hop) as relay:
        outgoing, _ = await opened(relay, "a@rcpt.example", "b@rcpt.example")
        await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert verbs(hop) == ["EHLO", "MAIL", "RCPT", "RCPT", "DATA"]


@in_loop
async def test_asking_a_thousand_recipients_again_takes_one_round_trip():
    async with NextHop() as hop, relay_to(hop, connections=1) as relay:
        outgoing, _ = await opened(relay, *(f"r{number}@rcpt.example" for number in range(1000)))
        await until(lambda: "RSET" in verbs(hop))
        waited = []
        group = outgoing._hop.pool._idle or await asyncio.sleep(0.1) or outgoing._hop.pool._idle
        (connection,) = group
        write = connection._write
        connection._write = lambda octets, replies: waited.append(replies) or write(octets, replies)
        await outgoing.send(MESSAGE, nothing, time.monotonic() + 10)
        assert waited == [1001, 1, 1]  # MAIL and RCPTs, DATA, dot
        assert len(hop.messages[0].rcpt_to) == 1000


@pytest.mark.attack(50)
@pytest.mark.parametrize("refusal", ["550 5.1.1 no such user", "451 4.7.1 greylisted", "250 2.1.5 ok"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
@in_loop
async def test_a_next_hop_that_changed_its_mind_in_the_silence_makes_the_mail_wait(verb, refusal):
    """The client was told 250 for this recipient: what comes now is never 5xx, and never mail for fewer."""
    async with NextHop() as hop, relay_to(hop) as relay:
        outgoing, _ = await opened(relay, "a@rcpt.example", "b@rcpt.example")
        await until(lambda: "RSET" in verbs(hop))
        hop.says[verb] = [refusal] * 4  # it is asked once more, on a new connection
        if refusal.startswith("250"):
            assert (await outgoing.send(MESSAGE, nothing, time.monotonic() + 5))[0].code == 250
            return
        with pytest.raises(Unready) as caught:
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert caught.value.reply.code == 451
        await outgoing.abort()
        assert hop.messages == []
        await until(lambda: relay._hops["hop"].pool._in_use == 0)


@pytest.mark.attack(50)
@in_loop
async def test_no_connection_after_a_silence_is_451_and_the_end_of_the_transaction(monkeypatch):
    monkeypatch.setattr(pool, "WAIT", 0.05)
    async with NextHop() as hop, relay_to(hop, connections=1) as relay:
        outgoing, _ = await opened(relay, "a@rcpt.example")
        await until(lambda: "RSET" in verbs(hop))
        await asyncio.sleep(0.02)
        monkeypatch.setattr(delivery, "LET_GO", 5.0)
        other, _ = await opened(relay, "b@rcpt.example")
        assert (await outgoing.rcpt(RcptTo("c@rcpt.example"))).code == 451
        with pytest.raises(Unready):
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        await outgoing.abort()
        assert (await other.send(MESSAGE, nothing, time.monotonic() + 5))[0].code == 250


@pytest.mark.attack(50)
@pytest.mark.parametrize("fault", [CLOSE, "421 4.4.2 idle for too long"])
@in_loop
async def test_a_pooled_connection_that_dies_when_taken_again_is_replaced(fault):
    async with NextHop() as hop, relay_to(hop, connections=1) as relay:
        outgoing, _ = await opened(relay, "a@rcpt.example")
        await until(lambda: "RSET" in verbs(hop))
        hop.says["MAIL"] = [fault]
        assert (await outgoing.send(MESSAGE, nothing, time.monotonic() + 5))[0].code == 250
        assert (hop.connections, len(hop.messages)) == (2, 1)


@in_loop
async def test_an_abort_after_a_silence_takes_nothing_and_ends_it():
    async with NextHop() as hop, relay_to(hop) as relay:
        outgoing, _ = await opened(relay, "a@rcpt.example")
        await until(lambda: "RSET" in verbs(hop))
        await outgoing.abort()
        before = len(hop.commands)
        assert (await outgoing.rcpt(RcptTo("b@rcpt.example"))).code == 451
        assert len(hop.commands) == before


@in_loop
async def test_a_connection_that_was_opened_and_never_used_is_given_back():
    async with NextHop() as hop, relay_to(hop, connections=1) as relay:
        outgoing = await relay.open("hop", MailFrom("a@sender.example"), Client(None))
        assert (await sent(relay))[0].code == 250
        assert (await outgoing.rcpt(RcptTo("a@rcpt.example"))).code == 250
