"""Connections that are kept: how many, which one, how long."""

import asyncio
import time

import pytest

from delivcheck.gate.ports import Unready
from delivcheck.gate.relay import pool
from tests.gate.next_hop import NextHop, Slow
from tests.gate.relay.way import MESSAGE, Told, in_loop, nothing, opened, relay_to, sent, until


@in_loop
async def test_messages_one_after_the_other_share_one_connection():
    told = Told()
    async with NextHop() as hop, relay_to(hop, watch=told) as relay:
        for _ in range(10):
            await sent(relay)
        assert hop.connections == 1
        assert [len(told.of(what)) for what in ("connected", "reused")] == [1, 9]


@in_loop
async def test_the_connection_used_last_is_used_next():
    async with NextHop() as hop, relay_to(hop) as relay:
        several = [(await opened(relay, "b@rcpt.example"))[0] for _ in range(3)]
        for one in several:
            await one.send(MESSAGE, nothing, time.monotonic() + 5)
        before = len(hop.sessions[2].lines)
        for _ in range(4):
            await sent(relay)
        assert hop.connections == 3
        assert len(hop.sessions[2].lines) == before + 16
        assert hop.sessions[0].verbs.count("MAIL") == 1


@in_loop
async def test_there_are_never_more_connections_than_configured_and_who_waits_longest_is_next():
    order = []
    async with NextHop(says={"DOT": Slow(0.01, "250 ok")}) as hop, relay_to(hop, connections=3) as relay:

        async def one(number):
            outgoing, _ = await opened(relay, "b@rcpt.example")
            order.append(number)
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 10)

        await asyncio.gather(*(one(number) for number in range(30)))
        assert hop.connections == 3
        assert len(hop.messages) == 30
    assert all(abs(place - number) <= 3 for place, number in enumerate(order)), order


@in_loop
async def test_idle_connections_count_too(monkeypatch):
    """A fresh one in place of a pooled one that went away does not come on top of those that lie idle."""
    async with NextHop() as hop, relay_to(hop, connections=2) as relay:
        several = [(await opened(relay, "b@rcpt.example"))[0] for _ in range(2)]
        for one in several:
            await one.send(MESSAGE, nothing, time.monotonic() + 5)
        hop.says["RSET"] = ["421 4.4.2 bye"]
        await sent(relay)
        await until(lambda: sum(not session.closed.is_set() for session in hop.sessions) <= 2)


@in_loop
async def test_who_gets_no_connection_in_time_is_told_451(monkeypatch):
    monkeypatch.setattr(pool, "WAIT", 0.05)
    async with NextHop() as hop, relay_to(hop, connections=1) as relay:
        outgoing, _ = await opened(relay, "b@rcpt.example")
        with pytest.raises(Unready) as caught:
            await opened(relay, "b@rcpt.example")
        assert (caught.value.reply.code, caught.value.reply.enhanced) == (451, "4.4.5")
        await outgoing.abort()
        assert (await sent(relay))[0].code == 250


@pytest.mark.parametrize(("limit", "value", "connections"), [("MESSAGES", 2, 3), ("AGE", 0, 5)])
@in_loop
async def test_a_connection_that_had_its_time_is_ended_with_quit(monkeypatch, limit, value, connections):
    monkeypatch.setattr(pool, limit, value)
    async with NextHop() as hop, relay_to(hop) as relay:
        for _ in range(5):
            await sent(relay)
        assert hop.connections == connections
        await until(lambda: sum("QUIT" in session.verbs for session in hop.sessions) >= connections - 1)


@in_loop
async def test_idle_connections_end_with_quit(monkeypatch):
    monkeypatch.setattr(pool, "IDLE", 0.02)
    async with NextHop() as hop, relay_to(hop) as relay:
        await sent(relay)
        await until(lambda: hop.sessions[0].verbs[-1] == "QUIT")
        await sent(relay)
        assert hop.connections == 2


@in_loop
async def test_close_says_goodbye_and_a_transaction_that_is_open_ends_well():
    async with NextHop() as hop, relay_to(hop) as relay:
        await sent(relay)
        outgoing, _ = await opened(relay, "b@rcpt.example")
        await relay.close()
        assert (await outgoing.send(MESSAGE, nothing, time.monotonic() + 5))[0].code == 250
        await relay.close()
        await until(lambda: hop.sessions[0].verbs[-1] == "QUIT")
        assert len(hop.messages) == 2


@in_loop
async def test_ten_thousand_aborted_and_broken_transactions_leave_no_place_taken(soak):
    async with (
        NextHop(says={"MAIL": lambda session, _: "421 no" if len(session.lines) % 7 == 0 else None}) as hop,
        relay_to(hop, connections=4) as relay,
    ):

        async def one(number):
            try:
                outgoing, replies = await opened(relay, "b@rcpt.example")
            except Unready:
                return
            if number % 3 == 0 or not replies[0].positive:
                await outgoing.abort()
            else:
                await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)

        for start in range(0, 10_000 if soak else 300, 10):
            await asyncio.gather(*(one(start + number) for number in range(10)))
        await until(lambda: relay._hops["hop"].pool._in_use == 0)
        assert relay._hops["hop"].pool._places._value == 4
        assert not relay._hops["hop"].pool._tasks
