"""The journal: what it remembers, through every death, and what it tells the next submission."""

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import delivcheck
from delivcheck import ulid
from delivcheck.gate.journal import (
    Attempt,
    Conflict,
    InProgress,
    Journal,
    JournalError,
    Known,
    OvertakenError,
    Peer,
    State,
    explicit_key,
    fingerprint,
    rules,
    schema,
    store,
    writer,
)
from delivcheck.gate.journal import journal as journals
from delivcheck.gate.journal.owner import Owner, held
from delivcheck.gate.reply import Reply

OK = Reply(250, "2.0.0", "queued as 4ABC")
NO = Reply(550, "5.1.1", "no such user")
LATER = Reply(451, "4.3.0", "come again")
TO = ("bob@example.org",)
FRESH = Known((None,))
PACKAGE = str(Path(delivcheck.__file__).parents[1])


def key_of(name="one"):
    return fingerprint(name.encode(), "ada@example.com", "app")


def replay(trace, replies):
    """Everybody is answered from one attempt."""
    return Known(replies, (trace,))


def unsure(trace, *more):
    """To be sent again; whether the first did arrive is not known."""
    return Known((None,), (), (trace, *more), (trace,))


def attempt(name="one", rcpt_to=TO, **more):
    return Attempt(ulid.new(), key_of(name), b"\0" * 32, "hop", "ada@example.com", rcpt_to, 100, "app", **more)


def run(state, work):
    """Run an asynchronous piece of work on a journal of its own."""

    async def go():
        async with Journal(state) as journal:
            return await work(journal)

    return asyncio.run(go())


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("octets", "mail_from", "credential"),
    [
        (b"y", "a@b", "app"),
        (b"x", "", "app"),
        (b"x", "A@b", "app"),
        (b"x", "a@b", "other"),
        (b"x", "a@b", ""),
        (b"x", "a@b", None),
        (b"x", "a@b=app", ""),
        (b"\0x", "a@b", "app"),
        (b"", "a@bx", "app"),
        (b"x", "\udc80", "app"),
        (b"x", "\u00e4@b", "app"),
    ],
)
def test_the_key_tells_any_two_messages_apart(octets, mail_from, credential):
    assert fingerprint(octets, mail_from, credential) != fingerprint(b"x", "a@b", "app")


def test_a_clients_own_key_is_its_own():
    keys = {explicit_key("k", None), explicit_key("k", ""), explicit_key("k", "a"), explicit_key("ka", "")}
    assert len(keys) == 4


# --- one message after another ---------------------------------------------------------------------------------------


async def sent(journal, one, replies=(OK,)):
    await journal.before_dot(one)
    await journal.after(one, replies)
    return one.trace


def test_what_was_answered_may_be_sent_again(tmp_path):
    async def work(journal):
        trace = await sent(journal, attempt())
        journal.answered(trace)
        assert await journal.answer_for(key_of(), TO) == FRESH
        found = await journal.find(trace)
        assert (found.state, found.peer, found.replies) == (State.ACCEPTED, Peer.ANSWERED, (OK,))

    run(tmp_path, work)


@pytest.mark.attack(49, 53)
def test_what_its_client_never_learned_is_answered_once_and_then_sent_again(tmp_path):
    async def work(journal):
        trace = await sent(journal, attempt())
        journal.gone(trace)
        assert await journal.answer_for(key_of("another"), TO) == FRESH
        assert await journal.answer_for(key_of(), TO) == replay(trace, (OK,))
        assert await journal.answer_for(key_of(), TO) == FRESH  # a second client with the same mail means it
        journal.answered(trace)
        assert await journal.answer_for(key_of(), TO) == FRESH

    run(tmp_path, work)


def test_a_replay_that_its_client_did_not_hear_either_is_not_given_again_and_the_next_copy_is_marked(tmp_path):
    """Who never listens would else never send the same again."""

    async def work(journal):
        trace = await sent(journal, attempt())
        journal.gone(trace)
        assert await journal.answer_for(key_of(), TO) == replay(trace, (OK,))
        journal.gone(trace)
        for _ in range(2):
            assert await journal.answer_for(key_of(), TO) == Known((None,), (), (trace,))
        journal.answered(await sent(journal, attempt(follows=(trace,))))
        assert await journal.answer_for(key_of(), TO) == FRESH
        assert (await journal.find(trace)).followed

    run(tmp_path, work)


def test_a_replay_that_was_not_given_after_all_is_there_for_the_next(tmp_path):
    async def work(journal):
        trace = await sent(journal, attempt())
        journal.gone(trace)
        for _ in range(3):
            assert await journal.answer_for(key_of(), TO) == replay(trace, (OK,))
            journal.unheard(trace)

    run(tmp_path, work)


def test_without_a_message_id_the_same_octets_are_another_mail_and_go_marked(tmp_path):
    async def work(journal):
        trace = await sent(journal, attempt())
        journal.gone(trace)
        assert await journal.answer_for(key_of(), TO, named=False) == Known((None,), (), (trace,))

    run(tmp_path, work)


def test_each_recipient_is_known_for_itself(tmp_path):
    async def work(journal):
        both = await sent(journal, attempt(rcpt_to=("a@x", "b@x")))
        journal.gone(both)
        assert await journal.answer_for(key_of(), ("c@x",)) == FRESH
        # A part of them is answered, and the others can still come for theirs.
        assert await journal.answer_for(key_of(), ("b@x",)) == Known((OK,))
        assert await journal.answer_for(key_of(), ("c@x", "b@x", "a@x")) == Known((None, OK, OK), (both,))
        journal.answered(both)
        lost = attempt(rcpt_to=("c@x", "d@x"))
        await journal.before_dot(lost)
        journal.uncertain(lost.trace)
        assert await journal.answer_for(key_of(), ("a@x", "d@x")) == Known((None, None), (), (lost.trace,), (lost.trace,))
        await sent(journal, attempt(rcpt_to=("a@x", "d@x"), follows=(lost.trace,)))
        assert await journal.answer_for(key_of(), ("c@x",)) == unsure(lost.trace)
        await sent(journal, attempt(rcpt_to=("c@x", "d@x"), follows=(lost.trace,)))
        assert await journal.answer_for(key_of(), ("c@x",)) == FRESH

    run(tmp_path, work)


def test_behind_lmtp_what_came_before_it_broke_is_known_and_only_the_rest_is_unsure(tmp_path):
    async def work(journal):
        one = attempt(rcpt_to=("a@x", "b@x", "c@x"))
        await journal.before_dot(one)
        journal.uncertain(one.trace, [OK, NO])
        journal.gone(one.trace)
        told = await journal.answer_for(key_of(), ("a@x", "b@x", "c@x"))
        assert told == Known((OK, None, None), (one.trace,), (one.trace,), (one.trace,))
        journal.answered(one.trace)
        assert await journal.answer_for(key_of(), ("a@x", "b@x")) == Known((None, None))
        await sent(journal, attempt(rcpt_to=("c@x",), follows=(one.trace,)))
        assert (await journal.find(one.trace)).followed, "its client knows of the others"

    run(tmp_path, work)


@pytest.mark.attack(49, 52)
@pytest.mark.parametrize("ahead", ["in flight", "accepted", "uncertain", "held"])
def test_what_got_ahead_of_a_submission_that_did_not_know_of_it_is_not_repeated_unmarked(tmp_path, ahead):
    async def work(journal):
        assert await journal.answer_for(key_of(), TO) == FRESH
        one = attempt()
        await journal.before_dot(one)
        if ahead == "uncertain":
            journal.uncertain(one.trace)
        elif ahead != "in flight":
            await journal.after(one, [OK], held=ahead == "held")
        journal.gone(one.trace)
        with pytest.raises(OvertakenError):
            await journal.before_dot(attempt())
        await journal.before_dot(attempt(rcpt_to=("another@x",)))
        if ahead != "in flight":
            await journal.before_dot(attempt(follows=(one.trace,)))

    run(tmp_path, work)


@pytest.mark.attack(52)
def test_of_two_that_repeat_one_attempt_only_the_first_goes(tmp_path):
    async def work(journal):
        one = attempt(rcpt_to=("a@x", "b@x"))
        await journal.before_dot(one)
        journal.uncertain(one.trace)
        for rcpt_to in (("a@x", "b@x"), ("a@x",)):
            first, second = (attempt(rcpt_to=rcpt_to, follows=(one.trace,)) for _ in range(2))
            await journal.before_dot(first)
            with pytest.raises(OvertakenError):
                await journal.before_dot(second)
            await journal.after(first, [LATER])  # so that the first attempt is open again

    run(tmp_path, work)


@pytest.mark.attack(49)
def test_who_left_is_overtaken_by_its_own_retry_even_where_that_was_answered(tmp_path):
    async def work(journal):
        slow, quick = attempt(), attempt()
        journal.answered(await sent(journal, quick))
        with pytest.raises(OvertakenError):
            await journal.before_dot(slow, left=True)
        other = attempt()
        await journal.before_dot(other, left=True)
        assert await journal.answer_for(key_of(), TO) == InProgress(other.trace)

    run(tmp_path, work)


@pytest.mark.attack(53)
def test_what_is_held_is_known_as_what_was_sent(tmp_path):
    async def work(journal):
        one, late = attempt(), attempt("late")
        await journal.before_dot(one)
        await journal.after(one, [OK], held=True)
        journal.gone(one.trace)
        assert await journal.answer_for(key_of(), TO) == replay(one.trace, (OK,))
        await journal.before_dot(late)
        journal.gone(late.trace)
        assert await journal.answer_for(key_of("late"), TO) == InProgress(late.trace)
        journal.held(late, OK)
        assert await journal.answer_for(key_of("late"), TO) == replay(late.trace, (OK,))
        assert [one.state for one in await journal.records()] == [State.HELD] * 2

    run(tmp_path, work)


def test_two_connected_clients_with_the_same_mail_both_send_it(tmp_path):
    async def work(journal):
        one, other = attempt(), attempt()
        assert await journal.answer_for(key_of(), TO) == await journal.answer_for(key_of(), TO) == FRESH
        await journal.before_dot(one)
        assert await journal.answer_for(key_of(), TO) == FRESH
        await journal.after(one, [OK])
        assert await journal.answer_for(key_of(), TO) == FRESH
        await sent(journal, other)

    run(tmp_path, work)


@pytest.mark.attack(49)
def test_while_it_is_sent_for_a_client_that_has_gone_the_next_shall_come_again(tmp_path):
    async def work(journal):
        one = attempt()
        await journal.before_dot(one)
        journal.gone(one.trace)
        assert await journal.answer_for(key_of(), TO) == InProgress(one.trace)
        await journal.after(one, [OK])
        assert await journal.answer_for(key_of(), TO) == replay(one.trace, (OK,))

    run(tmp_path, work)


@pytest.mark.attack(52)
def test_after_an_uncertain_end_it_goes_again_and_the_journal_says_what_it_follows(tmp_path):
    async def work(journal):
        one = attempt()
        await journal.before_dot(one)
        journal.uncertain(one.trace)
        journal.answered(one.trace)  # with 451
        assert await journal.answer_for(key_of(), TO) == unsure(one.trace)
        again = attempt(follows=(one.trace,))
        journal.answered(await sent(journal, again))
        assert await journal.answer_for(key_of(), TO) == FRESH
        first, second = await journal.records()
        assert (first.state, first.followed) == (State.UNCERTAIN, again.trace)
        assert (second.state, second.attempt.follows) == (State.ACCEPTED, (one.trace,))
        assert [record.attempt.trace for record in await journal.records(State.UNCERTAIN)] == [one.trace]

    run(tmp_path, work)


@pytest.mark.parametrize("end", ["refused", "deferred", "unsent"])
def test_a_repetition_that_does_not_arrive_leaves_the_first_uncertain(tmp_path, end):
    async def work(journal):
        one = attempt()
        await journal.before_dot(one)
        journal.uncertain(one.trace)
        again = attempt(follows=(one.trace,))
        await journal.before_dot(again)
        if end == "unsent":
            journal.unsent(again.trace)
        else:
            await journal.after(again, [NO if end == "refused" else LATER])
        assert await journal.answer_for(key_of(), TO) == unsure(one.trace)
        assert (await journal.find(again.trace)).state is State(end)

    run(tmp_path, work)


def test_a_person_settles_an_uncertain_end(tmp_path):
    async def work(journal):
        for sent_after_all, then in ((True, State.ACCEPTED), (False, State.DEFERRED)):
            one = attempt(str(sent_after_all))
            await journal.before_dot(one)
            journal.uncertain(one.trace)
            assert await journal.settle(one.trace, sent=sent_after_all)
            assert not await journal.settle(one.trace, sent=sent_after_all)
            assert (await journal.find(one.trace)).state is then
            assert not (await journal.answer_for(one.key, TO)).unsure

    run(tmp_path, work)


@pytest.mark.parametrize("reply", [NO, LATER])
def test_what_the_next_hop_did_not_take_goes_again(tmp_path, reply):
    async def work(journal):
        journal.gone(await sent(journal, attempt(), [reply]))
        assert await journal.answer_for(key_of(), TO) == FRESH

    run(tmp_path, work)


def test_behind_lmtp_who_has_it_is_answered_and_who_has_not_is_sent_to_in_the_order_asked(tmp_path):
    then, now = ("a@x", "b@x", "c@x"), ("c@x", "a@x", "b@x")

    async def work(journal):
        trace = await sent(journal, attempt(rcpt_to=then), (OK, NO, LATER))
        journal.gone(trace)
        assert await journal.answer_for(key_of(), now) == replay(trace, (None, OK, None))

    run(tmp_path, work)


def test_one_reply_stands_for_all_recipients(tmp_path):
    then = ("a@x", "b@x")

    async def work(journal):
        trace = await sent(journal, attempt(rcpt_to=then))
        journal.gone(trace)
        assert await journal.answer_for(key_of(), then) == replay(trace, (OK, OK))

    run(tmp_path, work)


def test_text_of_any_origin_is_kept(tmp_path):
    odd = "j\udcffr\u00f6g\x00@ex\u00e4mple"

    async def work(journal):
        one = Attempt(ulid.new(), b"k" * 32, b"d" * 32, "hop", odd, (odd,), 1, odd)
        trace = await sent(journal, one, [Reply(250, None, odd * 500)])
        journal.gone(trace)
        assert (await journal.answer_for(b"k" * 32, (odd,))).whole
        assert len((await journal.find(trace)).replies[0].text) < 1_000

    run(tmp_path, work)


def test_old_attempts_are_forgotten_but_what_is_being_sent_stays(tmp_path):
    async def work(journal):
        trace = await sent(journal, attempt())
        flying = attempt("two")
        await journal.before_dot(flying)
        assert await journal.prune(timedelta(days=1)) == 0
        await asyncio.sleep(0.01)
        assert await journal.prune(timedelta(0)) == 1
        assert await journal.find(trace) is None
        assert await journal.find(flying.trace) is not None

    run(tmp_path, work)


@pytest.mark.attack(60)
def test_a_replay_is_not_given_for_ever_and_a_clock_set_back_changes_nothing(tmp_path, monkeypatch):
    async def work(journal):
        now = time.time_ns() // 1_000_000
        trace = await sent(journal, attempt())
        journal.gone(trace)
        monkeypatch.setattr(journals, "_now", lambda: now + rules.REPLAY_FOR + 60_000)
        assert await journal.answer_for(key_of(), TO) == Known((None,), (), (trace,))
        monkeypatch.setattr(journals, "_now", lambda: now + rules.REMEMBERED + 60_000)
        assert await journal.answer_for(key_of(), TO) == FRESH
        monkeypatch.setattr(journals, "_now", lambda: now - 86_400_000)
        assert await journal.answer_for(key_of(), TO) == replay(trace, (OK,))

    run(tmp_path, work)


@pytest.mark.attack(60)
def test_mail_that_is_being_sent_is_not_sent_a_second_time_because_the_clock_jumps(tmp_path, monkeypatch):
    async def work(journal):
        plain, mine = attempt(), attempt("two", explicit=MINE)
        for one in (plain, mine):
            await journal.before_dot(one)
            journal.gone(one.trace)
        now = time.time_ns() // 1_000_000
        monkeypatch.setattr(journals, "_now", lambda: now + 365 * 86_400_000)
        assert await journal.answer_for(key_of(), TO) == InProgress(plain.trace)
        assert await journal.answer_for(key_of("two"), TO, explicit=MINE) == InProgress(mine.trace)
        with pytest.raises(OvertakenError):
            await journal.before_dot(attempt())

    run(tmp_path, work)


# --- the client's own key --------------------------------------------------------------------------------------------

MINE = explicit_key("order-17", "app")


@pytest.mark.attack(62)
def test_under_one_key_one_payload_is_sent_once(tmp_path):
    async def work(journal):
        one = attempt(explicit=MINE)
        assert await journal.answer_for(one.key, TO, MINE) == FRESH
        await journal.before_dot(one)
        assert await journal.answer_for(one.key, TO, MINE) == InProgress(one.trace)
        await journal.after(one, [OK])
        assert await journal.answer_for(one.key, TO, MINE) == replay(one.trace, (OK,))
        journal.answered(one.trace)
        assert await journal.answer_for(one.key, TO, MINE) == replay(one.trace, (OK,))
        assert await journal.answer_for(key_of("other payload"), TO, MINE) == Conflict(one.trace)
        assert await journal.answer_for(key_of("other payload"), TO, explicit_key("order-17", "else")) == FRESH
        assert await journal.answer_for(one.key, TO) == FRESH  # without the key it is a mail of its own

    run(tmp_path, work)


@pytest.mark.attack(62)
def test_under_one_key_those_who_have_it_are_answered_and_the_rest_is_sent_to(tmp_path):
    async def work(journal):
        journal.answered(await sent(journal, attempt(rcpt_to=("a@x",), explicit=MINE)))
        assert await journal.answer_for(key_of(), ("b@x",), MINE) == FRESH
        assert (await journal.answer_for(key_of(), ("b@x", "a@x"), MINE)).replies == (None, OK)
        await sent(journal, attempt(rcpt_to=("b@x",), explicit=MINE))
        assert (await journal.answer_for(key_of(), ("b@x", "a@x"), MINE)).replies == (OK, OK)
        assert isinstance(await journal.answer_for(key_of("other"), ("c@x",), MINE), Conflict)

    run(tmp_path, work)


@pytest.mark.attack(52, 62)
def test_under_a_key_an_uncertain_end_that_was_repeated_does_not_stand_in_the_way(tmp_path):
    async def work(journal):
        one, two = attempt(explicit=MINE), None
        await journal.before_dot(one)
        journal.uncertain(one.trace)
        two = attempt(explicit=MINE, follows=(one.trace,))
        await journal.before_dot(two)
        journal.uncertain(two.trace)
        assert await journal.answer_for(key_of(), TO, MINE) == unsure(two.trace)
        await sent(journal, attempt(explicit=MINE, follows=(two.trace,)))

    run(tmp_path, work)


@pytest.mark.attack(62)
def test_of_two_under_one_key_only_the_first_comes_to_its_dot(tmp_path):
    async def work(journal):
        one, other = attempt(explicit=MINE), attempt(explicit=MINE)
        assert await journal.answer_for(one.key, TO, MINE) == await journal.answer_for(other.key, TO, MINE) == FRESH
        results = await asyncio.gather(journal.before_dot(one), journal.before_dot(other), return_exceptions=True)
        assert [type(result) for result in results] == [type(None), OvertakenError]
        assert await journal.find(other.trace) is None

    run(tmp_path, work)


@pytest.mark.attack(62)
@pytest.mark.parametrize("reply", [NO, LATER])
def test_a_key_whose_mail_never_went_is_free_again(tmp_path, reply):
    async def work(journal):
        await sent(journal, attempt(explicit=MINE), [reply])
        assert await journal.answer_for(key_of("mended"), TO, MINE) == FRESH
        await journal.before_dot(attempt("mended", explicit=MINE))

    run(tmp_path, work)


@pytest.mark.attack(62)
def test_a_key_holds_for_a_day_and_an_uncertain_end_may_be_repeated_under_it(tmp_path, monkeypatch):
    async def work(journal):
        one = attempt(explicit=MINE)
        await journal.before_dot(one)
        journal.uncertain(one.trace)
        assert await journal.answer_for(one.key, TO, MINE) == unsure(one.trace)
        again = attempt(explicit=MINE, follows=(one.trace,))
        await sent(journal, again)
        assert await journal.answer_for(one.key, TO, MINE) == replay(again.trace, (OK,))
        late = time.time_ns() // 1_000_000 + rules.EXPLICIT_FOR + 1_000
        monkeypatch.setattr(journals, "_now", lambda: late)
        assert await journal.answer_for(key_of("other payload"), TO, MINE) == FRESH

    run(tmp_path, work)


# --- workers that die ------------------------------------------------------------------------------------------------

STEPS = """
import asyncio, sys, time
from pathlib import Path
from delivcheck.gate.journal import Attempt, Journal, fingerprint
from delivcheck.gate.reply import Reply

async def main(state, until):
    journal = Journal(Path(state))
    key = fingerprint(b"one", "ada@example.com", "app")
    one = Attempt("01ARZ3NDEKTSV4RRFFQ69G5FAV", key, bytes(32), "hop", "ada@example.com", ("bob@example.org",), 100, "app")
    said = {"refused": Reply(550, "5.1.1", "no such user"), "deferred": Reply(451, "4.3.0", "come again")}
    async def steps():
        print("owner", journal._me().name)
        await journal.answer_for(key, one.rcpt_to)
        yield "begun"
        await journal.before_dot(one)
        yield "dot"
        if until == "uncertain":
            journal.uncertain(one.trace)
            await journal.find(one.trace)
            yield "uncertain"
        await journal.after(one, [said.get(until, Reply(250, "2.0.0", "queued as 4ABC"))])
        yield until if until in said else "accepted"
        if until == "gone" or until == "claimed":
            journal.gone(one.trace)
            await journal.find(one.trace)
            yield "gone"
            await journal.answer_for(key, one.rcpt_to)
            yield "claimed"
        journal.answered(one.trace)
        await journal.find(one.trace)
        yield "answered"
    async for step in steps():
        if step == until:
            print("there", flush=True)
            time.sleep(60)

asyncio.run(main(*sys.argv[1:]))
"""
TRACE = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def child(script, *arguments, **more):
    environment = {**os.environ, "PYTHONPATH": PACKAGE, **more.pop("env", {})}
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)], stdout=subprocess.PIPE, text=True, env=environment, **more
    )


@contextlib.contextmanager
def stopped_at(state, step):
    """A worker that stands still after a step."""
    with child(STEPS, state, step) as process:
        try:
            owner = process.stdout.readline().split()[1]
            assert process.stdout.readline() == "there\n"
            yield process, owner
        finally:
            process.kill()


@pytest.mark.attack(52, 53)
@pytest.mark.parametrize("recovered", [True, False], ids=["recovered", "found when asked"])
@pytest.mark.parametrize(
    ("step", "state", "told"),
    [
        ("begun", None, FRESH),
        ("dot", State.UNCERTAIN, unsure(TRACE)),
        ("uncertain", State.UNCERTAIN, unsure(TRACE)),
        ("accepted", State.ACCEPTED, replay(TRACE, (OK,))),
        ("gone", State.ACCEPTED, replay(TRACE, (OK,))),
        ("claimed", State.ACCEPTED, replay(TRACE, (OK,))),
        ("answered", State.ACCEPTED, FRESH),
        ("refused", State.REFUSED, FRESH),
        ("deferred", State.DEFERRED, FRESH),
    ],
)
def test_whenever_a_worker_is_killed_the_next_submission_is_told_right(tmp_path, step, state, told, recovered):
    with stopped_at(tmp_path, step) as (process, owner):

        async def before(journal):  # while it lives, nothing is concluded
            assert held(tmp_path / "workers", owner)
            assert (await journal.recover()).uncertain == ()
            found = await journal.answer_for(key_of(), TO)
            if step == "gone":  # and now claimed by this one, which ends without a word
                assert found.whole
            elif step != "uncertain":
                assert found == FRESH

        run(tmp_path, before)
        process.kill()
        process.wait()

        async def after(journal):
            if recovered:
                found = await journal.recover()
                assert found.uncertain == ((TRACE,) if step == "dot" else ())
                assert found.unanswered == ((TRACE,) if step in ("accepted", "claimed", "gone") else ())
                assert not (tmp_path / "workers" / owner).exists()
            assert await journal.answer_for(key_of(), TO) == told
            found = await journal.find(TRACE)
            assert (found and found.state) == state

        run(tmp_path, after)


def test_a_worker_that_only_stands_still_is_not_taken_for_dead(tmp_path):
    with stopped_at(tmp_path, "dot") as (process, _):
        process.send_signal(signal.SIGSTOP)

        async def work(journal):
            assert await journal.answer_for(key_of(), TO) == FRESH
            assert (await journal.find(TRACE)).state is State.DOT

        run(tmp_path, work)
        process.send_signal(signal.SIGCONT)


def test_a_worker_in_the_making_keeps_its_lock_from_a_sweeper(tmp_path):
    one = Owner(tmp_path)
    sweeper = Owner(tmp_path)
    done = threading.Event()

    def sweep():
        while not done.is_set():
            sweeper.sweep()

    thread = threading.Thread(target=sweep)
    thread.start()
    try:
        for _ in range(200):
            other = Owner(tmp_path)
            assert held(other.folder, other.name)
            other.close()
            assert not held(other.folder, other.name)
    finally:
        done.set()
        thread.join()
    assert held(one.folder, one.name)
    one.close()
    sweeper.close()


WRITES = """
import asyncio, hashlib, sys
from pathlib import Path
from delivcheck import ulid
from delivcheck.gate.journal import Attempt, Journal, Known
from delivcheck.gate.reply import Reply

async def main(state, name, messages):
    async with Journal(Path(state)) as journal:
        async def one(number):
            key = hashlib.sha256(f"{name} {number}".encode()).digest()
            assert await journal.answer_for(key, ("a@b",)) == Known((None,))
            attempt = Attempt(ulid.new(), key, key, name, "a@b", ("a@b",), number)
            await journal.before_dot(attempt)
            await journal.after(attempt, [Reply(250, None, str(number))])
            journal.answered(attempt.trace)
        await asyncio.gather(*map(one, range(int(messages))))

asyncio.run(main(*sys.argv[1:]))
"""


def test_workers_that_write_at_the_same_time_lose_nothing(tmp_path):
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(child(WRITES, tmp_path, name, 100)) for name in "abcd"]
        assert [process.wait(60) for process in processes] == [0] * 4

    async def work(journal):
        records = await journal.records()
        assert sorted((one.attempt.next_hop, one.attempt.size) for one in records) == [
            (n, i) for n in "abcd" for i in range(100)
        ]
        assert {(one.state, one.peer) for one in records} == {(State.ACCEPTED, Peer.ANSWERED)}
        assert all(one.replies[0].text == str(one.attempt.size) for one in records)

    run(tmp_path, work)


UNTIL_KILLED = """
import asyncio, itertools, os, sys
from pathlib import Path
from delivcheck import ulid
from delivcheck.gate.journal import Attempt, Journal
from delivcheck.gate.reply import Reply

async def main(state):
    async with Journal(Path(state)) as journal:
        async def messages():
            for number in itertools.count():
                one = Attempt(ulid.new(), os.urandom(32), bytes(32), "hop", "a@b", ("a@b",), number)
                await journal.answer_for(one.key, one.rcpt_to)
                await journal.before_dot(one)
                os.write(1, f"dot {one.trace}\\n".encode())
                await journal.after(one, [Reply(250, None, "")])
                os.write(1, f"accepted {one.trace}\\n".encode())
                journal.answered(one.trace)
        await asyncio.gather(*(messages() for _ in range(5)))

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.attack(53)
def test_what_a_worker_said_was_written_is_there_after_it_was_killed(tmp_path, soak):
    said = {}
    for round_ in range(100 if soak else 4):
        with child(UNTIL_KILLED, tmp_path) as one, child(UNTIL_KILLED, tmp_path) as other:
            for process in (one, other):
                process.stdout.readline()  # it is at work
            time.sleep(0.01 * (round_ % 7))
            for process in (one, other):
                process.kill()
                for line in process.stdout.read().splitlines():  # the last may be cut short
                    what, _, trace = line.partition(" ")
                    if ulid.valid(trace):
                        said[trace] = what

    async def work(journal):
        recovered = await journal.recover()
        records = {one.attempt.trace: one for one in await journal.records()}
        for trace, what in said.items():
            assert records[trace].state in ((State.ACCEPTED,) if what == "accepted" else (State.UNCERTAIN, State.ACCEPTED))
        assert {one.state for one in records.values()} <= {State.ACCEPTED, State.UNCERTAIN}
        assert {one.peer for one in records.values()} <= {Peer.GONE, Peer.ANSWERED}
        assert set(recovered.uncertain) == {trace for trace, one in records.items() if one.state is State.UNCERTAIN}
        assert not await journal._ask(lambda db: [row for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"])

    run(tmp_path, work)
    assert len(said) > 8


def test_messages_that_come_together_share_a_transaction(tmp_path, monkeypatch):
    batches = []
    together = store.Store.together

    def counted(self, works, **how):
        batches.append(len(works))
        return together(self, works, **how)

    monkeypatch.setattr(store.Store, "together", counted)

    async def work(journal):
        await asyncio.gather(*(journal.before_dot(attempt(str(number))) for number in range(400)))
        assert len(await journal.records()) == 400

    run(tmp_path, work)
    assert len(batches) < 50


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(store, "BUSY", 0.05)
    monkeypatch.setattr(writer, "RETRY", 0.02)


@pytest.fixture
def locked(tmp_path):
    """Another process's transaction that does not end; made and ended by the test."""
    run(tmp_path, lambda journal: journal.records())
    connection = sqlite3.connect(tmp_path / store.FILE, isolation_level=None)
    yield connection
    connection.close()


@pytest.mark.attack(58)
def test_a_locked_file_is_a_declared_error_and_the_event_loop_goes_on(tmp_path, impatient, locked):
    async def work(journal):
        one = attempt()
        await journal.answer_for(key_of(), TO)
        locked.execute("BEGIN IMMEDIATE")
        ticks = 0
        task = asyncio.create_task(journal.before_dot(one))
        while not task.done():
            await asyncio.sleep(0.001)
            ticks += 1
        assert ticks > 5
        with pytest.raises(JournalError, match="locked"):
            await task
        locked.execute("ROLLBACK")
        assert await journal.find(one.trace) is None
        await sent(journal, attempt())

    run(tmp_path, work)


@pytest.mark.attack(58)
def test_what_the_next_hop_said_is_written_once_the_file_can_be_written(tmp_path, impatient, locked):
    async def work(journal):
        one = attempt()
        await journal.before_dot(one)
        locked.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError):
            await journal.after(one, [OK])
        journal.gone(one.trace)
        await asyncio.sleep(0.1)
        assert journal.waiting
        locked.execute("ROLLBACK")
        await journal.find("what is asked after it")
        assert await journal.answer_for(key_of(), TO) == replay(one.trace, (OK,))

    run(tmp_path, work)


@pytest.mark.attack(58)
def test_a_replay_that_could_not_be_given_is_there_for_the_next(tmp_path, impatient, locked):
    async def work(journal):
        trace = await sent(journal, attempt())
        journal.gone(trace)
        task = asyncio.create_task(journal.answer_for(key_of(), TO))
        await asyncio.sleep(0)  # asked, and cancelled before the answer
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await journal.answer_for(key_of(), TO) == replay(trace, (OK,))

    run(tmp_path, work)


def test_an_intent_that_was_cancelled_was_never_sent(tmp_path):
    async def work(journal):
        one = attempt()
        task = asyncio.create_task(journal.before_dot(one))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        journal.gone(one.trace)
        assert await journal.answer_for(key_of(), TO) == FRESH
        assert (await journal.find(one.trace)).state is State.UNSENT

    run(tmp_path, work)


def test_a_disk_that_does_not_answer_is_not_waited_for(tmp_path, monkeypatch, locked):
    monkeypatch.setattr(journals, "PATIENCE", 0.05)

    async def work(journal):
        await journal.records()
        locked.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match="has not answered"):
            await journal.before_dot(attempt())
        locked.execute("ROLLBACK")

    run(tmp_path, work)


@pytest.mark.attack(58)
@pytest.mark.parametrize("what", ["garbage", "a folder", "a symbolic link", "another database", "a later version"])
def test_a_file_that_is_no_journal_is_a_declared_error_until_it_is_moved_away(tmp_path, what):
    file = tmp_path / store.FILE
    if what == "garbage":
        file.write_bytes(os.urandom(8_192))
    elif what == "a folder":
        file.mkdir()
    elif what == "a symbolic link":
        (tmp_path / "elsewhere").write_bytes(b"")
        file.symlink_to(tmp_path / "elsewhere")
    else:
        if what == "a later version":
            run(tmp_path, lambda journal: journal.records())
        with contextlib.closing(sqlite3.connect(file)) as connection:
            connection.execute("PRAGMA user_version = 99" if what == "a later version" else "CREATE TABLE t (x)")
            connection.commit()

    async def work(journal):
        for _ in range(2):
            with pytest.raises(JournalError):
                await journal.before_dot(attempt())
        for name in (store.FILE, f"{store.FILE}-wal", f"{store.FILE}-shm"):
            if (tmp_path / name).exists():
                (tmp_path / name).rename(tmp_path / f"{name}.bad")
        await sent(journal, attempt())

    run(tmp_path, work)


@pytest.mark.attack(58)
def test_a_file_that_is_damaged_inside_is_a_declared_error(tmp_path):
    async def fill(journal):
        for number in range(200):
            await sent(journal, attempt(str(number)))

    run(tmp_path, fill)
    file = tmp_path / store.FILE
    octets = bytearray(file.read_bytes())
    octets[4_096:] = os.urandom(len(octets) - 4_096)
    file.write_bytes(octets)

    async def work(journal):
        with pytest.raises(JournalError, match="malformed"):
            await journal.records()
        with pytest.raises(JournalError):
            await sent(journal, attempt())

    run(tmp_path, work)


def test_a_file_that_was_deleted_is_made_anew_and_loses_no_reply(tmp_path):
    async def work(journal):
        one = attempt()
        await journal.before_dot(one)
        for path in tmp_path.glob(f"{store.FILE}*"):
            path.unlink()
        await journal.after(one, [OK])
        journal.gone(one.trace)
        assert await journal.answer_for(key_of(), TO) == replay(one.trace, (OK,))

    run(tmp_path, work)


@pytest.mark.attack(58)
@pytest.mark.parametrize("ends", [("wal", "shm"), ("wal",), ("shm",)], ids="-".join)
def test_a_log_that_was_deleted_under_a_running_worker_loses_nothing_and_is_written_no_further(tmp_path, ends):
    async def work(one):
        first, second = attempt("1"), attempt("2")
        await one.before_dot(first)
        for end in ends:
            (tmp_path / f"{store.FILE}-{end}").unlink()
        await one.after(first, [OK])
        await sent(one, second)
        for end in ("", "-wal"):  # as it is seen by who comes after a power cut
            shutil.copy(tmp_path / f"{store.FILE}{end}", tmp_path / f"after{end}")
        with contextlib.closing(sqlite3.connect(tmp_path / "after")) as file:
            return dict(file.execute("SELECT trace, state FROM attempt")), {first.trace, second.trace}

    found, all_ = run(tmp_path, work)
    assert found == dict.fromkeys(all_, "accepted")


@pytest.mark.attack(58)
def test_a_log_that_was_deleted_under_two_workers_is_another_for_both(tmp_path):
    async def work(one):
        async with Journal(tmp_path) as two:
            first, second, third = attempt("1"), attempt("2"), attempt("3")
            await one.before_dot(first)
            await two.before_dot(second)
            (tmp_path / f"{store.FILE}-wal").unlink()
            await one.after(first, [OK])
            await two.after(second, [OK])
            await sent(one, third)
        return {record.attempt.trace: record.state for record in await one.records()}, {first.trace, second.trace, third.trace}

    found, all_ = run(tmp_path, work)
    assert found == dict.fromkeys(all_, State.ACCEPTED)


@pytest.mark.attack(57)
def test_a_state_folder_that_cannot_be_made_is_a_declared_error(tmp_path):
    (tmp_path / "state").write_text("a file")

    async def work(journal):
        for ask in (journal.answer_for(key_of(), TO), journal.before_dot(attempt()), journal.recover()):
            with pytest.raises(JournalError):
                await ask
        journal.gone(ulid.new())  # raises nothing
        (tmp_path / "state").unlink()
        await sent(journal, attempt())

    run(tmp_path / "state", work)


LIMITED = """
import asyncio, os, resource, sys
from pathlib import Path
from delivcheck import ulid
from delivcheck.gate.journal import Attempt, Journal, JournalError, State
from delivcheck.gate.reply import Reply

def attempt(number):
    return Attempt(ulid.new(), number.to_bytes(32), bytes(32), "hop", "a@b", ("x" * 5_000,), number)

async def main(state):
    async with Journal(Path(state)) as journal:
        for number in range(5):
            await journal.before_dot(attempt(number))
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))  # less than a page: EFBIG, whatever is done
        failed = attempt(5)
        for _ in range(3):
            try:
                await journal.before_dot(failed)
            except JournalError as error:
                print(error, file=sys.stderr)
            else:
                raise SystemExit("written in spite of the limit")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        kept = attempt(6)
        await journal.before_dot(kept)
        await journal.after(kept, [Reply(250, None, "")])
        records = await journal.records()
        assert [one.attempt.size for one in records if one.state is State.DOT] == [0, 1, 2, 3, 4], records
        assert [one.attempt.size for one in records if one.state is State.ACCEPTED] == [6]
        assert all(one.state is State.UNSENT for one in records if one.attempt.size == 5)

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.attack(57)
def test_a_disk_that_takes_no_more_is_a_declared_error_and_mended_by_itself(tmp_path):
    with child(LIMITED, tmp_path, stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


SMALL = """
import asyncio, os, subprocess, sys
from pathlib import Path
from delivcheck import ulid
from delivcheck.gate.journal import Attempt, Journal, JournalError
from delivcheck.gate.reply import Reply

def mount(*arguments):
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        raise SystemExit(77)

async def main(state):
    mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", state)
    def attempt():
        return Attempt(ulid.new(), os.urandom(32), bytes(32), "hop", "a@b", ("a@b",), 1)
    async def works():
        one = attempt()
        await journal.before_dot(one)
        await journal.after(one, [Reply(250, None, "")])
        return one.trace
    async def fails():
        try:
            await works()
        except JournalError as error:
            return str(error)
        raise SystemExit("it was to fail")
    async with Journal(Path(state)) as journal:
        first = await works()
        ballast = Path(state, "ballast")
        for _ in range(2):  # once more, since closing after a fault may have made room
            with open(ballast, "ab", buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4_096))
                except OSError:
                    pass
            for _ in range(100):
                try:
                    await works()
                except JournalError:  # "full", or where the shared memory cannot grow "disk I/O error"
                    break
            else:
                raise SystemExit("never full")
        ballast.unlink()
        await works()
        assert (await journal.find(first)) is not None
    async with Journal(Path(state)) as journal:  # opened on a disk that is read-only, then is not
        mount("-o", "remount,ro", state)
        await fails()
        await fails()
        mount("-o", "remount,rw", state)
        await works()

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.attack(57)
def test_a_full_and_then_a_read_only_file_system_are_survived(tmp_path):
    environment = {**os.environ, "PYTHONPATH": PACKAGE}
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", SMALL, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )
    if done.returncode == 77 or "unshare failed" in done.stderr:
        pytest.skip(f"no mounting here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


FAILING_FSYNC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
/* Fails like a disk: while the file that FAIL names is there. */
static int broken(void) { return access(getenv("FAIL"), F_OK) == 0; }
int fsync(int fd) { if (broken()) { errno = EIO; return -1; } return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd); }
int fdatasync(int fd) { if (broken()) { errno = EIO; return -1; } return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd); }
"""

AFTER_FSYNC = """
import asyncio, os, sys
from pathlib import Path
from delivcheck import ulid
from delivcheck.gate.journal import Attempt, Journal, JournalError, State
from delivcheck.gate.reply import Reply

async def main(state):
    fail, wal = Path(os.environ["FAIL"]), Path(state, "journal.sqlite-wal")
    def attempt(number):
        return Attempt(ulid.new(), bytes(32), bytes(32), "hop", "a@b", ("a@b",), number)
    async with Journal(Path(state)) as journal:
        one, two, three = attempt(1), attempt(2), attempt(3)
        await journal.before_dot(one)
        size = wal.stat().st_size
        assert size > 4_096
        fail.touch()
        for _ in range(2):
            try:
                await journal.before_dot(two)
            except JournalError:
                pass
            else:
                raise SystemExit("an fsync failed, and nobody said so")
        fail.unlink()
        await journal.before_dot(three)
        assert wal.stat().st_size < size, "the log must be emptied: what is in it may never have come to the disk"
        found = {record.attempt.size: record.state for record in await journal.records()}
        assert found.pop(2, State.UNSENT) is State.UNSENT  # it may be there; it is not taken for sent
        assert found == {1: State.DOT, 3: State.DOT}

asyncio.run(main(sys.argv[1]))
"""


@pytest.mark.attack(57)
def test_after_a_failed_fsync_nothing_is_believed_that_was_not_written_anew(tmp_path):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to make a disk fail with")
    source, library = tmp_path / "fail.c", tmp_path / "fail.so"
    source.write_text(FAILING_FSYNC)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    failing = {"LD_PRELOAD": str(library), "FAIL": str(tmp_path / "broken")}
    with child(AFTER_FSYNC, tmp_path / "state", env=failing, stderr=subprocess.PIPE) as process:
        _, err = process.communicate(timeout=30)
    assert process.returncode == 0, err


def test_only_the_owner_can_read_the_files(tmp_path):
    before = os.umask(0)
    try:
        run(tmp_path / "state", lambda journal: sent(journal, attempt()))
        with contextlib.closing(sqlite3.connect(tmp_path / "state" / store.FILE)) as connection:
            connection.execute("SELECT * FROM attempt")
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")}
    finally:
        os.umask(before)
    assert modes.pop("workers") == 0o700
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


SHARED = """
import fcntl, sys
with open(sys.argv[1], "r+b") as file:
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)  # SQLite's SHARED_FIRST and SHARED_SIZE
    except OSError:
        print("locked")
"""


def test_a_second_journal_in_one_process_does_not_take_the_firsts_locks_away(tmp_path):
    async def work(journal):
        await journal.records()
        async with Journal(tmp_path) as second:
            await second.records()
            with child(SHARED, tmp_path / store.FILE) as other:
                assert other.communicate(timeout=30)[0] == "locked\n"

    run(tmp_path, work)


def test_what_root_makes_belongs_to_who_owns_the_state_folder(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(tmp_path, 65534, 65534)

    async def work(journal):
        await sent(journal, attempt())
        assert len(list(tmp_path.rglob("*"))) == 5
        assert {path.stat().st_uid for path in tmp_path.rglob("*")} == {65534}

    run(tmp_path, work)


def test_no_mail_is_in_the_journal():
    fields = {field for field in Attempt.__dataclass_fields__ if "octets" in field or "body" in field or "subject" in field}
    assert fields == set()


def test_the_queries_of_every_message_use_their_indexes(tmp_path):
    run(tmp_path, lambda journal: journal.records())
    with contextlib.closing(sqlite3.connect(tmp_path / store.FILE)) as connection:

        def plan(query):
            return " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {query}"))

        assert "open_by_key" in plan(f"SELECT * FROM attempt WHERE key = 1 AND explicit IS NULL AND {schema.OPEN} AND dot > 1")
        assert "open_by_owner" in plan(f"UPDATE attempt SET state = '' WHERE owner = 1 AND {schema.OPEN}")
        assert "open_by_owner" in plan(f"SELECT DISTINCT owner FROM attempt WHERE {schema.OPEN}")
        assert "by_explicit" in plan(f"SELECT 1 FROM attempt WHERE {rules._HOLDING}".replace("?", "1"))


def test_a_closed_journal_says_so(tmp_path):
    async def work():
        journal = Journal(tmp_path)
        await journal.close()
        with pytest.raises(JournalError, match="closed"):
            await journal.records()
        journal.gone(ulid.new())

    asyncio.run(work())


# --- the whole of the rules, against a model -------------------------------------------------------------------------


class _Told:
    """An attempt as the model has it."""

    def __init__(self, real, worker):
        self.real, self.worker = real, worker
        self.state, self.peer = State.DOT, Peer.WAITING
        self.followed, self.claimed = None, False


class Rules(RuleBasedStateMachine):
    """Two workers, two mails, two explicit keys; whatever comes, the answers are those of a model without a database."""

    NAMES = st.sampled_from(["one", "two"])
    KEYS = st.sampled_from([None, None, MINE, explicit_key("order-18", "app")])
    WORKER = st.integers(0, 1)

    @initialize()
    def begin(self):
        self.folder = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
        self.runner = asyncio.Runner()
        self.workers = [Journal(self.folder), Journal(self.folder)]
        self.attempts = []
        self.pending = []

    def teardown(self):
        for journal in self.workers:
            self.runner.run(journal.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def alike(self, name, explicit):
        """What may stand against this mail."""
        states = (State.DOT, State.UNCERTAIN, State.ACCEPTED)
        found = [one for one in self.attempts if one.real.explicit == explicit and one.state in states]
        if explicit is not None:
            return found
        found = [one for one in found if one.real.key == key_of(name) and not one.followed]
        return [one for one in found if one.state is not State.ACCEPTED or one.peer is not Peer.ANSWERED]

    def model(self, name, explicit):
        """What is to be told."""
        mine = self.alike(name, explicit)
        for one in mine:
            if one.real.key != key_of(name):
                return Conflict(one.real.trace)
        for one in mine:
            if one.state is State.ACCEPTED and (explicit is not None or one.peer is Peer.GONE):
                return Known((OK,), (one.real.trace,))
        for one in mine:
            if one.state is State.DOT and (explicit is not None or one.peer is Peer.GONE):
                return InProgress(one.real.trace)
        lost = [one.real.trace for one in mine if not one.followed and one.state is State.UNCERTAIN]
        spent = [one.real.trace for one in mine if not one.followed and one.peer is Peer.SPENT and one.state is State.ACCEPTED]
        return Known((None,), (), tuple(sorted(lost + spent)), tuple(lost))

    def overtaken(self, real, name):
        """Whether it must not go, because of what came since it was told."""
        repeated = [one for one in self.attempts if one.real.trace in real.follows]
        if any(one.followed for one in repeated):
            return True
        others = [one for one in self.alike(name, real.explicit) if one not in repeated and not one.followed]
        if real.explicit is not None:
            return bool(others)
        return any(
            one.state is State.UNCERTAIN
            or one.peer in (Peer.GONE, Peer.SPENT)
            or (one.state is State.DOT and set(one.real.follows) & set(real.follows))
            for one in others
        )

    @rule(name=NAMES, explicit=KEYS, worker=WORKER)
    def submit(self, name, explicit, worker):
        journal = self.workers[worker]
        told = self.runner.run(journal.answer_for(key_of(name), TO, explicit))
        assert told == self.model(name, explicit)
        if isinstance(told, Known) and told.whole and explicit is None:
            (about,) = (one for one in self.attempts if one.real.trace in told.replayed)
            about.peer, about.worker, about.claimed = Peer.WAITING, worker, True
        elif isinstance(told, Known) and not told.whole:
            self.pending.append((name, explicit, worker, told.follows))

    @rule(data=st.data())
    def send(self, data):
        if not self.pending:
            return
        name, explicit, worker, follows = self.pending.pop(data.draw(st.integers(0, len(self.pending) - 1)))
        one = attempt(name, explicit=explicit, follows=follows)
        overtaken = self.overtaken(one, name)
        try:
            self.runner.run(self.workers[worker].before_dot(one))
        except OvertakenError:
            assert overtaken
            return
        assert not overtaken
        for other in self.attempts:
            if other.real.trace in follows:
                other.followed = one.trace
        self.attempts.append(_Told(one, worker))

    def drawn(self, data, *states):
        found = [one for one in self.attempts if one.state in states]
        return found[data.draw(st.integers(0, len(found) - 1))] if found else None

    def not_arrived(self, one):
        for other in self.attempts:
            if other.followed == one.real.trace:
                other.followed = None

    @rule(data=st.data(), reply=st.sampled_from([OK, OK, NO, LATER]))
    def answer(self, data, reply):
        one = self.drawn(data, State.DOT)
        if one is not None:
            self.runner.run(self.workers[one.worker].after(one.real, [reply]))
            one.state = {250: State.ACCEPTED, 550: State.REFUSED, 451: State.DEFERRED}[reply.code]
            if reply is not OK:
                self.not_arrived(one)

    @rule(data=st.data())
    def lose(self, data):
        one = self.drawn(data, State.DOT)
        if one is not None:
            self.workers[one.worker].uncertain(one.real.trace)
            one.state = State.UNCERTAIN

    @rule(data=st.data())
    def give_up(self, data):
        one = self.drawn(data, State.DOT)
        if one is not None:
            self.workers[one.worker].unsent(one.real.trace)
            one.state = State.UNSENT
            self.not_arrived(one)

    @rule(data=st.data(), written=st.booleans())
    def tell(self, data, written):
        one = self.drawn(data, State.DOT, State.ACCEPTED, State.REFUSED, State.UNCERTAIN)
        if one is not None and one.peer is Peer.WAITING and (one.state is not State.DOT or not written):
            journal = self.workers[one.worker]
            (journal.answered if written else journal.gone)(one.real.trace)
            one.peer = Peer.ANSWERED if written else Peer.SPENT if one.claimed else Peer.GONE
            one.claimed = False

    @rule(worker=WORKER, recovers=st.booleans())
    def die(self, worker, recovers):
        self.runner.run(self.workers[worker].close())
        self.workers[worker] = Journal(self.folder)
        self.pending = [one for one in self.pending if one[2] != worker]
        if recovers:
            self.runner.run(self.workers[worker].recover())
        for one in self.attempts:
            if one.worker == worker and one.state in (State.DOT, State.ACCEPTED) and one.peer is Peer.WAITING:
                one.peer, one.claimed = Peer.GONE, False
            if one.worker == worker and one.state is State.DOT:
                one.state = State.UNCERTAIN

    @invariant()
    def everything_is_written(self):
        for journal in getattr(self, "workers", []):
            self.runner.run(journal.find("flush"))

    @rule()
    def look(self):
        self.runner.run(self.workers[0].recover())
        records = self.runner.run(self.workers[0].records())
        assert [(one.attempt, one.state) for one in records] == [(one.real, one.state) for one in self.attempts]
        for record, one in zip(records, self.attempts, strict=True):
            if record.state is State.ACCEPTED:
                assert record.peer is one.peer
            assert bool(record.followed) == bool(one.followed)


TestRules = Rules.TestCase
TestRules.settings = settings(max_examples=settings.default.max_examples // 2, stateful_step_count=30, deadline=None)
