"""The same mail again: whatever died or left in between, nothing is lost, and nothing comes twice without a mark."""

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from delivcheck.gate import delivery
from delivcheck.gate.held import HeldError
from delivcheck.gate.journal import Peer, State
from delivcheck.gate.model import Client, Credential, MailFrom, RcptTo
from delivcheck.gate.settings import Address, CredentialSettings, Kind, Mode, OnFault, Security
from delivcheck.gate.settings import NextHop as Hop
from tests.gate import world
from tests.gate.next_hop import CLOSE, NextHop, Slow
from tests.gate.test_transaction import until
from tests.gate.whole import TRUSTED, gate, stuffed

LMTP = replace(TRUSTED, kind=Kind.LMTP)
APP = replace(TRUSTED, credential="app")
DECLARING = {"listener": APP, "credentials": {"app": CredentialSettings(may_declare=True)}}
KEY = b"X-Delivcheck-Idempotency-Key: order-4711\r\n"
HOLDING = {"hold": True, "on_fault": OnFault.HOLD}


async def judge_fails(*_, **__):
    raise RuntimeError("boom")


def recipients(hop):
    return [[line.decode()[len("RCPT TO:<") :].partition(">")[0] for line in one.rcpt_to] for one in hop.messages]


async def handed_over(whole, octets, *, quits=False):
    """A client that has sent its message, and leaves at once, with QUIT or without."""
    client = await whole.client()
    for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>", "DATA"):
        await client.say(line)
    client.writer.write(stuffed(octets) + (b"QUIT\r\n" if quits else b""))
    await client.writer.drain()
    client.writer.close()
    await until(lambda: whole.server.connections == 0)


class Gated:
    """Stands in front of a coroutine function; the first call waits until it is let go."""

    def __init__(self, real):
        self.real, self.calls, self.go = real, 0, asyncio.Event()

    async def __call__(self, *arguments, **named):
        self.calls += 1
        if self.calls == 1:
            await self.go.wait()
        return await self.real(*arguments, **named)


# --- keys ---------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(62)
async def test_under_a_key_the_recipient_that_was_deferred_is_sent_to_alone(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **DECLARING) as whole:
        hop.says["RCPT"] = ["250 2.1.5 ok", "451 4.7.1 greylisted"]
        assert (await whole.send(KEY + octets, ("a@example.net", "b@example.net")))[-1].startswith("250")
        assert (await whole.send(KEY + octets, ("b@example.net",)))[-1].startswith("250")
        assert recipients(hop) == [["a@example.net"], ["b@example.net"]]


@pytest.mark.attack(62)
async def test_under_a_key_who_has_it_is_answered_and_only_the_rest_is_sent_to(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **DECLARING) as whole:
        hop.says["RCPT"] = ["250 2.1.5 ok", "451 4.7.1 greylisted"]
        await whole.send(KEY + octets, ("a@example.net", "b@example.net"))
        for rcpt, dot, end in (
            ([None, None, "451 4.7.1 greylisted"], None, "451 4.7.1 greylisted"),
            (None, ["452 4.3.1 full"], "452 4.3.1 full"),
            (None, ["250 2.0.0 queued as 2"], "250 2.0.0 "),
        ):
            hop.says["RCPT"], hop.says["DOT"] = rcpt, dot
            replies = await whole.send(KEY + octets, ("a@example.net", "b@example.net"))
            assert replies[-1].startswith(end)
        assert recipients(hop) == [["a@example.net"], ["b@example.net"]]
        assert (await whole.send(KEY + octets, ("b@example.net", "a@example.net")))[-1].startswith("250")
        assert len(hop.messages) == 2
        await until(lambda: all(one.pool._in_use == 0 for one in whole.reception.relay._hops.values()))


@pytest.mark.attack(62)
async def test_under_a_key_another_sender_is_a_conflict(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **DECLARING) as whole:
        await whole.send(KEY + octets)
        assert (await whole.send(KEY + octets, sender="other@example.org"))[-1].startswith("550 5.7.1 the key")


# --- clients that leave -------------------------------------------------------------------------------------------------


@pytest.mark.attack(49)
@pytest.mark.parametrize("quits", [True, False])
async def test_a_client_that_left_while_it_was_judged_and_came_again_at_once_sends_one_copy(tmp_path, quits):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        pipeline = whole.reception.pipeline
        pipeline.process = Gated(pipeline.process)
        client = await whole.client()
        for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>", "DATA"):
            await client.say(line)
        client.writer.write(stuffed(octets) + (b"QUIT\r\n" if quits else b""))
        await until(lambda: pipeline.process.calls)
        client.writer.close()
        await asyncio.sleep(0.05)
        assert (await whole.send(octets))[-1].startswith("250")
        pipeline.process.go.set()
        await until(lambda: whole.server.connections == 0)
        assert len(hop.messages) == 1
        assert [one.state for one in await whole.journal.records()] == [State.ACCEPTED]


@pytest.mark.attack(49)
async def test_who_goes_without_quit_has_begun_nothing_and_who_says_quit_is_sent(tmp_path):
    """RFC 5321 section 4.1.1.10."""
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        pipeline = whole.reception.pipeline
        for quits in (False, True):
            pipeline.process = Gated(pipeline.process)
            client = await whole.client()
            for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>", "DATA"):
                await client.say(line)
            client.writer.write(stuffed(octets) + (b"QUIT\r\n" if quits else b""))
            await until(lambda: pipeline.process.calls)
            client.writer.close()
            await asyncio.sleep(0.05)
            pipeline.process.go.set()
            await until(lambda: whole.server.connections == 0)
            assert len(hop.messages) == quits
        assert (await whole.send(octets))[-1].startswith("250")
        assert len(hop.messages) == 1, "it came again, and is answered"


@pytest.mark.attack(49)
@pytest.mark.parametrize("quits", [False, True])
async def test_who_was_gone_before_its_message_was_begun_is_known_to_be(tmp_path, quits):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        client = Client(None, listener="relay", credential=Credential("relay"))
        handler = whole.reception.handler(TRUSTED)
        await handler.mail(client, MailFrom("bounces@example.org"))
        await handler.rcpt(client, RcptTo("pat@example.net"))
        handler.gone(client, quits=quits)
        (reply,) = await handler.message(client, octets)
        await handler.replied(client, written=False)
        assert reply.code == (250 if quits else 451)
        assert len(hop.messages) == quits
        assert [one.peer for one in await whole.journal.records()] == [Peer.GONE] * quits
        await handler.mail(client, MailFrom("bounces@example.org"))
        await handler.rcpt(client, RcptTo("other@example.net"))
        (reply,) = await handler.message(client, octets)
        assert reply.code == 250, "the next message is another's to hear"


@pytest.mark.attack(49)
@pytest.mark.parametrize("quits", [False, True])
async def test_a_client_that_sends_its_end_at_once_is_told_whether_its_message_went(tmp_path, quits):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole, await whole.client() as client:
        for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>", "DATA"):
            await client.say(line)
        client.writer.write(stuffed(octets) + (b"QUIT\r\n" if quits else b""))
        client.writer.write_eof()
        assert (await client.reply()).startswith("250 " if quits else "451 4.4.2 ")
        await until(lambda: whole.server.connections == 0)
        assert len(hop.messages) == quits
        assert [one.peer for one in await whole.journal.records()] == ([Peer.ANSWERED] if quits else [])


@pytest.mark.attack(49)
async def test_a_retry_does_not_overtake_what_is_being_sent_for_who_left(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        pipeline = whole.reception.pipeline
        pipeline.process = Gated(pipeline.process)
        hop.says["DOT"] = [Slow(0.3, "250 2.0.0 queued as 1")]
        retry = asyncio.create_task(whole.send(octets))  # it asks the journal first, and is judged for long
        await until(lambda: pipeline.process.calls)
        leaver = await whole.client()
        for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>", "DATA"):
            await leaver.say(line)
        leaver.writer.write(stuffed(octets))
        await until(lambda: any(session.dots for session in hop.sessions))
        leaver.writer.close()
        await asyncio.sleep(0.05)
        pipeline.process.go.set()
        assert (await retry)[-1].startswith("451 4.4.5 the same message is on its way")
        await until(lambda: whole.server.connections == 0)
        assert (await whole.send(octets))[-1].endswith("queued as 1")
        assert len(hop.messages) == 1


@pytest.mark.parametrize(("named", "copies"), [(False, 5), (True, 3)])
async def test_mail_of_who_never_waits_for_an_answer_goes(tmp_path, named, copies):
    """Without a Message-ID every copy is meant; with one, it is the same message, and every second is taken for a retry."""
    octets, records = world.signed(world.message(**({} if named else {"Message_ID": None})))
    observing = replace(TRUSTED, mode=Mode.OBSERVE)  # mail without a Message-ID does not pass
    async with NextHop() as hop, gate(tmp_path, hop, records, listener=observing) as whole:
        for _ in range(4):
            await handed_over(whole, octets, quits=True)
        assert (await whole.send(octets))[-1].startswith("250")
        assert len(hop.messages) == copies
        journalled = await whole.journal.records()
        assert [bool(one.attempt.follows) for one in journalled] == [False] + [True] * (copies - 1), "no copy is unmarked"


@pytest.mark.attack(53)
@pytest.mark.parametrize("named", [False, True])
async def test_after_a_crash_an_answer_is_given_once_and_only_for_the_same_message_id(tmp_path, named):
    octets, records = world.signed(world.message(**({} if named else {"Message_ID": None})))
    observing = replace(TRUSTED, mode=Mode.OBSERVE)
    async with NextHop() as hop:
        async with gate(tmp_path, hop, records, listener=observing) as whole:
            whole.journal.answered = lambda trace: None
            await whole.send(octets)
        async with gate(tmp_path, hop, records, listener=observing) as whole:
            assert (await whole.send(octets))[-1].startswith("250")
            assert len(hop.messages) == (1 if named else 2)
            assert (await whole.send(octets))[-1].startswith("250")
            assert len(hop.messages) == (2 if named else 3)


# --- ends that nobody knows ---------------------------------------------------------------------------------------------


@pytest.mark.attack(52)
async def test_behind_lmtp_what_was_answered_before_it_broke_is_mirrored_and_only_the_rest_comes_again(tmp_path):
    octets, records = world.signed()
    async with NextHop(lmtp=True) as hop:
        hops = (Hop("hop", Address(host=hop.host, port=hop.port), lmtp=True, security=Security.NONE),)
        async with gate(tmp_path, hop, records, listener=LMTP, hops=hops) as whole:
            hop.says["DOT"] = ["250 2.0.0 got a", "550 5.2.2 no b", CLOSE]
            async with await whole.client() as client:
                await client.say("LHLO client.example.org")
                said = await client.mail(octets, [f"{name}@example.net" for name in "abcd"])
                ends = [said[-1], *[await client.reply() for _ in range(3)]]
            assert [one[:9] for one in ends] == ["250 2.0.0", "550 5.2.2", "451 4.4.2", "451 4.4.2"]
            (first,) = await whole.journal.records()
            assert (first.state, [one.code for one in first.replies]) == (State.UNCERTAIN, [250, 550])
            async with await whole.client() as client:
                await client.say("LHLO client.example.org")
                said = await client.mail(octets, ["c@example.net", "d@example.net"])
                assert [said[-1][:3], (await client.reply())[:3]] == ["250", "250"]
            first, second = await whole.journal.records()
            assert second.attempt.follows == (first.attempt.trace,)
            assert first.followed == second.attempt.trace


@pytest.mark.attack(52)
async def test_two_retries_of_one_uncertain_end_do_not_both_go(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        hop.says["DOT"] = [CLOSE]
        await whole.send(octets)
        pipeline = whole.reception.pipeline
        real, waiting = pipeline.process, asyncio.Barrier(2)

        async def together(incoming):
            await waiting.wait()
            return await real(incoming)

        pipeline.process = together
        replies = await asyncio.gather(whole.send(octets), whole.send(octets))
        assert sorted(one[-1][:9] for one in replies) == ["250 2.0.0", "451 4.4.5"]
        assert len(hop.messages) == 1


# --- held mail ----------------------------------------------------------------------------------------------------------


@pytest.mark.attack(49, 53)
async def test_mail_that_was_held_for_a_client_that_did_not_hear_of_it_is_held_once(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **HOLDING) as whole:
        whole.reception.pipeline.judge.judge = judge_fails
        await handed_over(whole, octets, quits=True)
        (entry,) = whole.reception.held.entries()
        assert (await whole.send(octets))[-1] == f"250 2.0.0 held {entry.trace}"
        assert whole.reception.held.entries() == [entry]
        (record,) = await whole.journal.records()
        assert (record.state, record.attempt.trace) == (State.HELD, entry.trace)
        assert hop.messages == []


@pytest.mark.attack(53)
async def test_a_crash_between_holding_and_saying_so_does_not_hold_twice(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop:
        async with gate(tmp_path, hop, records, **HOLDING) as whole:
            whole.reception.pipeline.judge.judge = judge_fails

            async def dies(*_, **__):
                raise RuntimeError("boom")

            whole.journal.after = dies
            await whole.send(octets)
            (entry,) = whole.reception.held.entries()
        async with gate(tmp_path, hop, records, **HOLDING, at_most_once=True) as whole:
            await whole.journal.recover()
            assert (await whole.send(octets))[-1] == f"250 2.0.0 held {entry.trace}"
            assert whole.reception.held.entries() == [entry]
            assert hop.messages == []


@pytest.mark.attack(57)
@pytest.mark.parametrize("fails", [False, True])
async def test_a_disk_that_hangs_is_not_waited_for_beyond_the_deadline_and_what_it_does_late_is_known(tmp_path, fails):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **HOLDING, deadline=0.6) as whole:
        whole.reception.pipeline.judge.judge = judge_fails
        held = whole.reception.held
        put, hangs = held.put, True

        def slow(entry, octets, until):
            while hangs:
                time.sleep(0.01)
            if fails:
                raise HeldError("the disk is gone")
            put(entry, octets)  # as one that had begun in time

        held.put = slow
        assert (await whole.send(octets))[-1].startswith("451 4.4.5 ")
        assert (await whole.send(octets))[-1].startswith("451 4.4.5 the same message is on its way"), "it may be held yet"
        await asyncio.to_thread(lambda: None)  # the default threads are free
        hangs = False
        await until(lambda: fails or held.entries())
        held.put = put
        await asyncio.sleep(0.05)
        assert (await whole.send(octets))[-1].startswith("250 2.0.0 held ")
        assert len(held.entries()) == 1


async def test_what_a_disk_has_not_begun_in_time_is_never_held(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **HOLDING) as whole:
        whole.reception.pipeline.judge.judge = judge_fails
        keep = whole.reception.held.keep
        whole.reception.held.keep = lambda *a, until, **k: keep(*a, until=time.monotonic() - 1, **k)
        assert (await whole.send(octets))[-1].startswith("452 4.3.1 ")
        assert whole.reception.held.entries() == []
        assert [one.state for one in await whole.journal.records()] == [State.UNSENT]


# --- time ---------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(54)
async def test_the_deadline_counts_from_the_end_of_the_message_for_everything(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, deadline=0.5) as whole:
        given = []
        process = whole.reception.pipeline.process

        async def noted(incoming):
            given.append(incoming.deadline)
            return await process(incoming)

        whole.reception.pipeline.process = noted
        answer_for = whole.journal.answer_for

        async def slow(*arguments, **named):
            await asyncio.sleep(0.3)
            return await answer_for(*arguments, **named)

        async def never(*arguments, **named):
            await asyncio.sleep(60)

        whole.journal.answer_for = slow
        whole.reception.pipeline.judge.judge = never
        begun = time.monotonic()
        assert (await whole.send(octets))[-1].startswith("451 ")
        assert given[0] < begun + 1, "it was not begun anew after the journal"
        whole.journal.answer_for = never
        assert (await whole.send(octets))[-1].startswith("451 4.4.5 ")
        assert hop.messages == []


async def test_who_was_answered_may_send_the_same_again(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        for _ in range(3):
            assert (await whole.send(octets))[-1].startswith("250")
        assert len(hop.messages) == 3
        assert {(one.peer, one.attempt.follows) for one in await whole.journal.records()} == {(Peer.ANSWERED, ())}


@pytest.mark.attack(57)
async def test_what_the_next_hop_said_is_told_soon_and_written_when_the_disk_can(tmp_path, monkeypatch):
    monkeypatch.setattr(delivery, "NOTING", 0.2)
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        goes_on = threading.Event()

        def stands_still(session, line):
            whole.journal._writer.later(lambda db: goes_on.wait(5))

        hop.says["DOT"] = stands_still
        try:
            assert (await whole.send(octets))[-1].startswith("250 ")
            assert [one["where"] for one in whole.told.of("fault")] == ["journal"]
        finally:
            goes_on.set()
        (record,) = await whole.journal.records()
        assert (record.state, len(record.replies)) == (State.ACCEPTED, 1)


async def test_a_disk_that_hangs_is_not_asked_for_ever_whether_it_holds_the_message_already(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, **HOLDING, deadline=2) as whole:
        hop.says["DOT"] = [CLOSE]
        assert (await whole.send(octets))[-1].startswith("451 4.4.2 ")

        async def hangs(*_):
            await asyncio.sleep(60)

        whole.reception.held.work = hangs
        async with asyncio.timeout(10):
            assert (await whole.send(octets))[-1].startswith("451 ")
        assert hop.messages == []
