"""What the gate tells the trace: the journal's outbox has it from the moment that the final dot may be sent, and to the end."""

import asyncio
import contextlib
import sqlite3

import pytest

from delivcheck.gate import record
from delivcheck.gate.desk import Conflicting, Copy
from delivcheck.gate.journal import Journal, Record, State
from delivcheck.gate.journal.store import FILE
from delivcheck.gate.model import Credential
from delivcheck.gate.settings import Address, Keep, Kind, Listener, Mode, Trace
from delivcheck.gate.submission import Submission
from delivcheck.trace.model import Kind as Happened
from delivcheck.trace.records import Event, Message, decode
from tests.gate import world
from tests.gate.next_hop import CLOSE, NextHop
from tests.gate.whole import gate

HTTP = Listener("http", Kind.HTTP, Address(host="127.0.0.1", port=80))
SHOP = Credential("shop", domains=("example.org",), may_declare=True)


async def _told(journal):
    """Everything in the outbox, as the clerk reads it."""
    found = []
    for _, what in await journal.outbox(1_000):
        found += record.told_by(what) if isinstance(what, Record) else [decode(what)] if what is not None else []
    return found


def _events(told, trace=None):
    return [(one.kind, one.recipient) for one in told if isinstance(one, Event) and trace in {None, one.trace}]


def _gone(_session, line):
    return "550 5.1.1 no such user" if b"gone@" in line else "250 2.1.5 ok"


def _run(work):
    async def limited():
        async with asyncio.timeout(30):
            await work()

    asyncio.run(limited())


def test_a_message_that_passes_is_told_once_with_all_that_is_known_of_it(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            replies = await whole.send(octets, ("pat@example.net", "eve@example.net"))
            assert replies[-1].startswith("250")
            told = await _told(whole.journal)
            (message,) = (one for one in told if isinstance(one, Message))
            assert message.recipients == ("pat@example.net", "eve@example.net")
            assert (message.verdict, message.action, message.from_domain) == ("pass", "send", "example.org")
            assert message.subject == "Your order 4711"
            assert message.headers is not None
            assert b"\r\nSubject: Your order 4711\r\n" in message.headers
            assert message.body is None
            assert _events(told) == [
                (Happened.ACCEPTED, None),
                (Happened.CHECKED, None),
                (Happened.PASSED, None),
                (Happened.SENT, "pat@example.net"),
                (Happened.SENT, "eve@example.net"),
            ]
            assert message.trace in replies[-1]

    _run(work)


def test_the_same_outbox_read_twice_gives_the_same_ids(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            await whole.send(octets)
            assert await _told(whole.journal) == await _told(whole.journal)

    _run(work)


def test_what_is_told_is_taken_out_and_the_rest_stays(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            await whole.send(octets)
            rows = await whole.journal.outbox(1_000)
            await whole.journal.told([number for number, _ in rows[:2]])
            assert [number for number, _ in await whole.journal.outbox(1_000)] == [number for number, _ in rows[2:]]
            assert await whole.journal.backlog() == len(rows) - 2

    _run(work)


def test_a_refused_message_is_told_with_its_rules_and_never_as_sent(tmp_path):
    async def work():
        octets, records = world.message(), None  # unsigned, and from elsewhere: DMARC fails
        async with NextHop() as hop, gate(tmp_path, hop, records, trace=Trace(keep=Keep.FACTS)) as whole:
            replies = await whole.send(octets, sender="bounces@else.example")
            assert replies[-1].startswith("5")
            told = await _told(whole.journal)
            (message,) = (one for one in told if isinstance(one, Message))
            assert (message.action, message.headers) == ("refuse", None)
            assert message.rules
            assert {one.rule for one in message.results} >= set(message.rules)
            assert Happened.REFUSED in [kind for kind, _ in _events(told)]
            assert Happened.SENT not in [kind for kind, _ in _events(told)]

    _run(work)


def test_without_a_trace_nothing_is_told(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
            await whole.send(octets)
            assert await whole.journal.outbox(10) == []

    _run(work)


def test_a_next_hop_that_never_answers_the_dot_leaves_the_message_uncertain(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop(says={"DOT": CLOSE}) as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            replies = await whole.send(octets)
            assert replies[-1].startswith("451")
            kinds = [kind for kind, _ in _events(await _told(whole.journal))]
            assert Happened.UNCERTAIN in kinds
            assert Happened.SENT not in kinds

    _run(work)


def test_what_somebody_finds_out_of_an_uncertain_message_is_told_too(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop(says={"DOT": CLOSE}) as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            await whole.send(octets)
            (attempt,) = await whole.journal.records(State.UNCERTAIN)
            await whole.journal.settle(attempt.attempt.trace, sent=True)
            assert (Happened.SENT, "pat@example.net") in _events(await _told(whole.journal))

    _run(work)


# --- by HTTP ---------------------------------------------------------------------------------------------------------


def test_what_is_handed_in_goes_the_way_of_all_mail(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            handing = Submission(whole.reception, HTTP, None)
            (said,) = await handing.submit(SHOP, "bounces@example.org", [Copy(octets, ("pat@example.net",))])
            assert said.reply.positive
            assert said.outcome is not None
            assert said.outcome.octets == hop.messages[0].octets
            message = next(one for one in await _told(whole.journal) if isinstance(one, Message))
            assert (message.trace, message.framing, message.client) == (said.trace, "HTTP", "shop")

    _run(work)


def test_each_recipient_is_answered_and_one_that_is_refused_keeps_nobody_back(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop(says={"RCPT": _gone}) as hop, gate(tmp_path, hop, records) as whole:
            handing = Submission(whole.reception, HTTP, None)
            to = ("pat@example.net", "gone@example.net")
            said = await handing.submit(SHOP, "bounces@example.org", [Copy(octets, to)])
            assert [(one.recipient, one.reply.code) for one in said] == [("pat@example.net", 250), ("gone@example.net", 550)]

    _run(work)


def test_the_same_key_sends_once_and_another_content_under_it_is_a_conflict(tmp_path):
    async def work():
        octets, records = world.signed()
        other, _ = world.signed(world.message("Something else."))
        async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
            handing = Submission(whole.reception, HTTP, None)
            copy = Copy(octets, ("pat@example.net",))
            (first,) = await handing.submit(SHOP, "bounces@example.org", [copy], key="order-4711")
            (again,) = await handing.submit(SHOP, "bounces@example.org", [copy], key="order-4711")
            assert first.reply.positive
            assert again.reply.positive
            assert len(hop.messages) == 1
            with pytest.raises(Conflicting):
                await handing.submit(SHOP, "bounces@example.org", [Copy(other, ("pat@example.net",))], key="order-4711")
            assert len(hop.messages) == 1

    _run(work)


def test_a_sender_that_the_credential_does_not_own_is_refused(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records, mode=Mode.ENFORCE) as whole:
            handing = Submission(whole.reception, HTTP, None)
            (said,) = await handing.submit(SHOP, "me@else.example", [Copy(octets, ("pat@example.net",))])
            assert said.reply.permanent
            assert not hop.messages

    _run(work)


def test_a_check_sends_nothing_and_leaves_no_trace(tmp_path):
    async def work():
        octets, records = world.signed()
        async with NextHop() as hop, gate(tmp_path, hop, records, trace=Trace()) as whole:
            handing = Submission(whole.reception, HTTP, None)
            outcome = await handing.check(SHOP, "bounces@example.org", Copy(octets, ("pat@example.net",)))
            assert outcome.report is not None
            assert outcome.report.verdict == "pass"
            assert not hop.messages
            assert await whole.journal.outbox(10) == []

    _run(work)


def test_who_asks_for_the_outbox_waits_for_nobody_who_writes(tmp_path):
    async def work():
        async with Journal(tmp_path) as journal:
            await journal.noted([b"one"])
            with contextlib.closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                assert [what for _, what in await journal.outbox(10)] == [b"one"]
                assert await journal.backlog() == 1

    _run(work)


def test_whatever_another_process_commits_gives_the_journal_another_mark(tmp_path):
    async def work():
        async with Journal(tmp_path) as journal, Journal(tmp_path) as other:
            assert journal.mark() is None
            await journal.noted([b"one"])
            marks = [journal.mark()]
            await journal.outbox(10)
            assert journal.mark() == marks[0]
            for _ in range(5):
                await asyncio.sleep(0.02)  # more than a tick of the kernel's clock
                await other.noted([b"another"])
                marks.append(journal.mark())
            assert None not in marks
            assert len(set(marks)) == len(marks)

    _run(work)
