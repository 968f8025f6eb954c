"""Next hops that misbehave: nothing is lost, nothing comes twice by our doing, and 4xx is what our client hears."""

import asyncio
import random
import socket
import time

import pytest

from delivcheck.gate import settings
from delivcheck.gate.ports import Uncertain, Unready
from delivcheck.gate.relay import connection
from delivcheck.gate.relay import hop as one_hop
from delivcheck.gate.relay import outgoing as delivery
from delivcheck.gate.relay.relay import NextHops
from delivcheck.gate.reply import Reply
from tests.gate.next_hop import CLOSE, RESET, SILENCE, NextHop, Slow
from tests.gate.relay.way import MESSAGE, Told, in_loop, nothing, opened, relay_to, sent, until

LARGE = b"Subject: x\r\n\r\n" + (b"x" * 76 + b"\r\n") * 50_000


async def unready(relay_, *recipients, **more):
    """The 4xx that our client is told, wherever on the way it was."""
    try:
        outgoing, replies = await opened(relay_, *(recipients or ("b@rcpt.example",)))
        if not replies[-1].positive:
            await outgoing.abort()
            return replies[-1]
        replies = await outgoing.send(more.get("octets", MESSAGE), nothing, time.monotonic() + 10)
    except Unready as caught:
        return caught.reply
    raise AssertionError(replies)


# --- before the message ----------------------------------------------------------------------------------------------


@pytest.mark.attack(50)
@in_loop
async def test_a_next_hop_that_is_down_is_451_and_works_again_when_it_is_back():
    hop = NextHop()
    await hop.start()
    await hop.stop()
    async with relay_to(hop) as way:
        assert (await unready(way)).code == 451
        await hop.start(hop.port)
        assert (await sent(way))[0].code == 250
        await hop.stop()


@pytest.mark.attack(50)
@pytest.mark.parametrize(
    "banner", ["421 4.3.2 too busy", "554 5.3.2 not for you", CLOSE, RESET, b"220-no end\r\n250 other\r\n", b"SSH-2.0-x\r\n"]
)
@in_loop
async def test_a_bad_banner_is_451_whatever_its_class(banner):
    async with NextHop(says={"BANNER": [banner]}) as hop, relay_to(hop) as way:
        reply = await unready(way)
        assert reply.code == 451
        assert (reply.enhanced or "").startswith("4.")
        assert (await sent(way))[0].code == 250
        assert hop.connections == 2


@pytest.mark.attack(50)
@pytest.mark.parametrize("verb", ["RSET", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("fault", ["421 4.4.2 idle for too long", CLOSE, RESET])
@pytest.mark.parametrize("pipelining", [True, False])
@in_loop
async def test_a_pooled_connection_that_went_away_is_replaced_once(verb, fault, pipelining):
    async with NextHop(extensions=["PIPELINING"] if pipelining else []) as hop, relay_to(hop) as way:
        await sent(way)
        hop.says[verb] = [fault]
        assert (await sent(way, "b@rcpt.example", "c@rcpt.example"))[0].code == 250
        assert hop.connections == 2
        assert [len(message.rcpt_to) for message in hop.messages] == [1, 2]


@pytest.mark.attack(50)
@in_loop
async def test_a_pooled_connection_that_was_closed_meanwhile_is_not_used():
    async with NextHop() as hop, relay_to(hop) as way:
        await sent(way)
        hop.sessions[0].writer.write(b"421 4.4.2 timeout\r\n")
        hop.sessions[0].writer.close()
        await asyncio.sleep(0.02)
        assert (await sent(way))[0].code == 250
        assert hop.connections == 2


@pytest.mark.attack(50)
@pytest.mark.parametrize("verb", ["MAIL", "RCPT"])
@pytest.mark.parametrize("fault", ["421 4.4.2 no", CLOSE, RESET])
@in_loop
async def test_a_next_hop_that_goes_away_again_and_again_is_tried_twice(verb, fault):
    async with NextHop() as hop, relay_to(hop) as way:
        await sent(way)
        hop.says[verb] = fault if fault is CLOSE or fault is RESET else [fault] * 5
        assert (await unready(way)).code == 451
        assert hop.connections == 2
        assert len(hop.messages) == 1


@in_loop
async def test_accepted_recipients_are_asked_for_again_on_the_new_connection_and_must_be_accepted_again():
    async with NextHop() as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "b@rcpt.example", "c@rcpt.example")
        hop.says = {"DATA": [CLOSE], "RCPT": ["250 ok", "550 5.1.1 gone"]}
        with pytest.raises(Unready) as caught:
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert caught.value.reply.code == 451
        assert not hop.messages


@in_loop
async def test_a_connection_lost_between_recipients_is_the_answer_to_all_that_follow():
    async with NextHop(says={"RCPT": ["250 ok", CLOSE]}) as hop, relay_to(hop) as way:
        outgoing, replies = await opened(way, "a@x.example", "b@x.example", "c@x.example")
        assert [reply.code for reply in replies] == [250, 451, 451]
        with pytest.raises(Unready):
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert b"DATA" not in hop.commands


@in_loop
async def test_a_refused_rset_means_another_connection():
    async with NextHop() as hop, relay_to(hop) as way:
        await sent(way)
        hop.says["RSET"] = ["500 5.5.1 what?"]
        assert (await sent(way))[0].code == 250
        assert hop.connections == 2


@in_loop
async def test_a_refused_xforward_does_not_stop_the_mail():
    told = Told()
    async with (
        NextHop(extensions=["XFORWARD ADDR"], says={"XFORWARD": "501 no"}) as hop,
        relay_to(hop, xforward=True, watch=told) as way,
    ):
        assert (await sent(way))[0].code == 250
        assert "XFORWARD" in told.of("failed")[0]["reason"]


@pytest.mark.attack(50)
@in_loop
async def test_every_address_of_a_next_hop_is_tried(monkeypatch):
    async with NextHop() as hop:

        async def addresses(_loop, host, port, **_):
            assert host == "two.example"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (where, port)) for where in ("127.0.3.99", hop.host)]

        monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", addresses)
        way = NextHops([settings.NextHop("hop", settings.Address(host="two.example", port=hop.port))], "gate.example")
        assert (await sent(way))[0].code == 250
        await way.close()


@pytest.mark.attack(50)
@pytest.mark.parametrize(
    "error", [socket.gaierror(-2, "unknown"), UnicodeError("label too long"), ValueError("null"), TimeoutError()]
)
@in_loop
async def test_a_host_without_an_address_is_451(monkeypatch, error):
    async def addresses(*_, **__):
        raise error

    monkeypatch.setattr(asyncio.BaseEventLoop, "getaddrinfo", addresses)
    way = NextHops([settings.NextHop("hop", settings.Address(host="none.example", port=1))], "gate.example")
    assert (await unready(way)).code == 451


@pytest.mark.attack(54)
@pytest.mark.parametrize("verb", ["BANNER", "EHLO", "MAIL", "RCPT"])
@in_loop
async def test_a_next_hop_that_says_nothing_is_451_when_its_time_is_over(verb, monkeypatch):
    monkeypatch.setattr(delivery, "ANSWER", 0.1)
    async with NextHop(says={verb: [SILENCE]}) as hop, relay_to(hop) as way:
        assert (await unready(way)).code == 451
        monkeypatch.setattr(delivery, "ANSWER", 30)  # a busy machine is slower than 0.1 s
        assert (await sent(way))[0].code == 250
        assert hop.connections == 2


@in_loop
async def test_a_silent_next_hop_does_not_hold_up_our_ehlo(monkeypatch):
    monkeypatch.setattr(one_hop, "ASKING", 0.05)
    async with NextHop(says={"BANNER": SILENCE}) as hop, relay_to(hop) as way:
        many = await asyncio.gather(*(way.extensions() for _ in range(20)), return_exceptions=True)
        assert all(isinstance(one, Unready) for one in many)
        assert hop.connections == 1


# --- garbage ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(55)
@pytest.mark.parametrize("verb", ["EHLO", "MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    "garbage",
    [
        b"<html>\r\n",
        b"250 bare\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * 100_000,
        b"250-x\r\n" * 20_000,
        b"250 ok\r\n250 and another\r\n",
        b"399 what\r\n",
        b"\0\r\n",
    ],
    ids=["html", "lf", "codes", "long", "lines", "two", "3xx", "nul"],
)
@in_loop
async def test_garbage_ends_the_connection_and_is_451(verb, garbage):
    async with NextHop(says={verb: [garbage, garbage, garbage]}, extensions=[]) as hop, relay_to(hop) as way:
        assert (await unready(way)).code == 451
        assert not hop.messages
        hop.says.clear()
        assert (await sent(way))[0].code == 250
        assert hop.connections >= 2


@pytest.mark.attack(55, 56)
@pytest.mark.parametrize("unsolicited", [b"250 2.0.0 queued\r\n", b"250 half", b"421 4.3.2 bye\r\n"])
@in_loop
async def test_what_comes_unasked_on_an_idle_connection_is_never_a_reply_to_the_next_message(unsolicited):
    async with NextHop() as hop, relay_to(hop) as way:
        await sent(way)
        hop.sessions[0].writer.write(unsolicited)
        await asyncio.sleep(0.02)
        hop.says["DOT"] = ["554 5.7.1 no"]
        assert (await sent(way))[0] == Reply(554, "5.7.1", "no")
        assert hop.connections == 2


@pytest.mark.attack(55, 56)
@in_loop
async def test_an_answer_before_the_dot_is_never_the_answer_to_the_dot():
    """A reply during DATA would read as "250 queued" for a message that was never finished."""
    async with NextHop() as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "b@rcpt.example")

        async def before_dot():
            hop.sessions[0].writer.write(b"250 2.0.0 queued\r\n")
            await asyncio.sleep(0.02)

        with pytest.raises(Unready):
            await outgoing.send(MESSAGE, before_dot, time.monotonic() + 5)
        assert hop.sessions[0].dots == 0


@pytest.mark.attack(56)
@in_loop
async def test_whatever_the_faults_a_reply_is_the_one_to_its_own_message(soak):
    """Each message says in its subject what the next hop will answer; faults of all kinds lie in between."""
    random_ = random.Random(56)
    faults = [
        CLOSE,
        RESET,
        "421 4.3.2 later",
        b"250 2.0.0 ok\r\n250 one too many\r\n",
        "451 4.3.0 no",
        "550 5.1.1 no",
        b"garbage\r\n",
    ]

    def dot(_session, octets):
        number = octets.split(b"\r\n", 1)[0].decode().removeprefix("Subject: ")
        if random_.random() < 0.15:
            return random_.choice([CLOSE, RESET, f"250 2.0.0 message {number}\r\n250 2.0.0 message 0\r\n".encode()])
        return f"{random_.choice(['250 2.0.0', '451 4.3.0', '554 5.7.1'])} message {number}"

    def sometimes(_session, _line):
        return random_.choice(faults) if random_.random() < 0.08 else None

    says = dict.fromkeys(("RSET", "MAIL", "RCPT", "DATA", "BANNER"), sometimes) | {"DOT": dot}
    got = {"replies": 0, "uncertain": 0, "unready": 0}

    async def one(way, number):
        octets = f"Subject: {number}\r\n\r\nx\r\n".encode()
        try:
            outgoing, replies = await opened(way, f"{number}@rcpt.example")
            if not replies[0].positive or random_.random() < 0.1:
                await outgoing.abort()
                return
            (reply,) = await outgoing.send(octets, nothing, time.monotonic() + 10)
        except Unready:
            got["unready"] += 1
        except Uncertain:
            got["uncertain"] += 1
        else:
            got["replies"] += 1
            # RCPT faults of ours are refusals at DATA, which name no message
            assert reply.text in {f"message {number}", "no"}, (number, reply)

    async with NextHop(says=says) as hop, relay_to(hop, connections=5) as way:
        await asyncio.gather(*(one(way, number) for number in range(1, 10_000 if soak else 400)))
        acknowledged = [message.octets for message in hop.messages]
        assert len(acknowledged) == len(set(acknowledged))  # none came twice
    assert all(got.values()), got


# --- the message -----------------------------------------------------------------------------------------------------


@pytest.mark.attack(51)
@pytest.mark.parametrize("fault", [CLOSE, RESET])
@in_loop
async def test_a_next_hop_that_dies_during_the_message_got_no_dot(fault):
    def line(_session, line):
        return fault if line.startswith(b"xxx") else None

    async with NextHop(says={"LINE": line}) as hop, relay_to(hop) as way:
        called = []

        async def before_dot():
            called.append(1)

        outgoing, _ = await opened(way, "b@rcpt.example")
        with pytest.raises(Unready) as caught:
            await outgoing.send(LARGE, before_dot, time.monotonic() + 5)
        assert caught.value.reply.code == 451
        assert not called  # the journal never heard of a dot
        assert [session.dots for session in hop.sessions] == [0]


@pytest.mark.attack(51)
@in_loop
async def test_where_before_dot_raises_the_dot_is_not_sent_and_the_connection_is_reset():
    class DiskFullError(Exception):
        pass

    async def before_dot():
        raise DiskFullError

    async with NextHop() as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "b@rcpt.example")
        with pytest.raises(DiskFullError):
            await outgoing.send(MESSAGE, before_dot, time.monotonic() + 5)
        await hop.sessions[0].closed.wait()
        assert hop.sessions[0].dots == 0
        assert not hop.messages
        assert b"QUIT" not in hop.commands  # it would be a line of the message


@in_loop
async def test_before_dot_is_awaited_when_all_but_the_dot_has_arrived():
    async with NextHop() as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "b@rcpt.example")

        async def before_dot():
            await until(lambda: hop.raw.endswith(b"the end\r\n"))
            assert not hop.messages

        assert (await outgoing.send(MESSAGE, before_dot, time.monotonic() + 5))[0].code == 250


@pytest.mark.attack(54)
@pytest.mark.parametrize("where", ["DATA", "before_dot", "reading", "at once"])
@in_loop
async def test_no_dot_after_the_deadline(where):
    says = {"DATA": SILENCE} if where == "DATA" else {"LINE": Slow(9, None)} if where == "reading" else {}
    async with NextHop(says=says) as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "b@rcpt.example")

        async def before_dot():
            await asyncio.sleep(0.3 if where == "before_dot" else 0)

        large = LARGE * 5 if where == "reading" else MESSAGE
        with pytest.raises(Unready) as caught:
            await outgoing.send(large, before_dot, time.monotonic() + (-1 if where == "at once" else 0.1))
        assert (caught.value.reply.code, caught.value.reply.enhanced) == (451, "4.4.5")
        await until(lambda: hop.sessions[0].closed.is_set() or where in {"DATA", "reading"})
        assert hop.sessions[0].dots == 0


@pytest.mark.attack(54)
@in_loop
async def test_a_deadline_that_passes_while_nothing_is_awaited_counts_too():
    """before_dot may block the loop (a slow disk): the clock is looked at once more."""

    async def before_dot():
        time.sleep(0.15)  # noqa: ASYNC251 -- this is the fault

    async with NextHop() as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "b@rcpt.example")
        with pytest.raises(Unready):
            await outgoing.send(MESSAGE, before_dot, time.monotonic() + 0.1)
        await hop.sessions[0].closed.wait()
        assert hop.sessions[0].dots == 0


# --- after the dot ---------------------------------------------------------------------------------------------------


@pytest.mark.attack(50, 52)
@pytest.mark.parametrize("fault", [CLOSE, RESET, b"garbage\r\n", b"250-half", "354 go on", b"250-a\r\n451 b\r\n"])
@pytest.mark.parametrize("reused", [False, True])
@in_loop
async def test_no_reply_to_the_dot_is_uncertain_and_never_sent_again(fault, reused):
    async with NextHop() as hop, relay_to(hop) as way:
        if reused:
            await sent(way)
        hop.says = {"DOT": fault}
        outgoing, _ = await opened(way, "b@rcpt.example")
        sending = asyncio.create_task(outgoing.send(MESSAGE, nothing, time.monotonic() + 5))
        if fault == b"250-half":
            await until(lambda: hop.sessions[-1].dots == 1 + reused)
            await asyncio.sleep(0.02)
            hop.sessions[-1].writer.close()
        with pytest.raises(Uncertain):
            await sending
        assert sum(session.dots for session in hop.sessions) == 1 + reused
        assert hop.connections == 1


@pytest.mark.attack(54)
@in_loop
async def test_after_the_dot_the_deadline_does_not_count_and_the_wait_is_that_of_the_rfc(monkeypatch):
    assert connection.TERMINATION == 600
    async with NextHop(says={"DOT": [Slow(0.3, "250 2.0.0 at last")]}) as hop, relay_to(hop) as way:
        assert str((await sent(way, seconds=0.2))[0]) == "250 2.0.0 at last"
        monkeypatch.setattr(delivery, "TERMINATION", 0.05)
        hop.says = {"DOT": SILENCE}
        with pytest.raises(Uncertain):
            await sent(way)


@pytest.mark.attack(52)
@in_loop
async def test_lmtp_replies_that_came_before_the_end_are_told():
    async with NextHop(lmtp=True, says={"DOT": ["250 2.0.0 a", CLOSE]}) as hop, relay_to(hop) as way:
        outgoing, _ = await opened(way, "a@x.example", "b@x.example")
        with pytest.raises(Uncertain) as caught:
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert caught.value.replies == (Reply(250, "2.0.0", "a"),)


@pytest.mark.attack(49)
@in_loop
async def test_a_caller_that_goes_away_after_the_dot_does_not_break_it_off():
    told = Told()
    async with NextHop(says={"DOT": [Slow(0.1, "250 2.0.0 queued")]}) as hop, relay_to(hop, watch=told) as way:
        outgoing, _ = await opened(way, "b@rcpt.example")
        sending = asyncio.create_task(outgoing.send(MESSAGE, nothing, time.monotonic() + 5))
        await until(lambda: hop.sessions[0].dots)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await outgoing.abort()
        await until(lambda: told.of("late"))
        assert told.of("late") == [{"next_hop": "hop", "what": "late", "reason": "250 2.0.0 queued"}]
        assert len(hop.messages) == 1
        await sent(way)
        assert hop.connections == 1


@pytest.mark.attack(49)
@pytest.mark.parametrize("verb", ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "LINE"])
@in_loop
async def test_a_caller_that_goes_away_before_the_dot_leaves_nothing_behind(verb):
    async with NextHop(says={verb: SILENCE}) as hop, relay_to(hop, connections=1) as way:
        sending = asyncio.create_task(sent(way, octets=LARGE * 5))
        seen = {"LINE": "DATA"}.get(verb, verb)
        await until(lambda: hop.sessions and (verb == "BANNER" or seen in hop.sessions[0].verbs))
        await asyncio.sleep(0.02)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        hop.says.clear()
        assert (await sent(way))[0].code == 250  # its place is free again, though there is one only
        assert [session.dots for session in hop.sessions] == [0, 1]
