"""A service's DNS client: fresh answers without waiting, old ones while DNS is down (RFC 8767)."""

import asyncio

from delivcheck.model import Failed, Failure, Found, NoSuchName, Question
from delivcheck.net import lasting
from delivcheck.net.client import Closed
from delivcheck.net.lasting import Lasting

DOWN = Failed(Failure.TIMEOUT, "no answer")
NAME = "example.org"


class World(Closed):
    """One answer for every question, which the test changes; counts how often it was asked."""

    def __init__(self, answer):
        self.answer, self.asked, self.hangs = answer, 0, None
        self.asked_thrice = asyncio.Event()

    async def ask(self, name, type):  # noqa: A002 -- the protocol's word
        self.asked += 1
        if self.asked == 3:
            self.asked_thrice.set()
        if self.hangs is not None:
            await self.hangs.wait()
        return self.answer


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def found(text, ttl=60):
    return Found(((text.encode(),),), ttl)


async def client(answer):
    world, clock = World(answer), Clock()
    return Lasting(world, clock), world, clock


async def test_an_answer_is_asked_for_once_within_its_ttl():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    clock.now += 59
    assert await dns.ask(NAME.upper(), "txt") == found("a")
    assert world.asked == 1


async def test_a_change_is_seen_when_the_ttl_is_over():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    world.answer = found("b")
    clock.now += 61
    assert await dns.ask(NAME, "TXT") == found("b")


async def test_what_was_found_is_served_stale_while_dns_is_down_with_the_ttl_of_rfc_8767():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    world.answer = DOWN
    clock.now += 3600
    assert await dns.ask(NAME, "TXT") == found("a", lasting.STALE_TTL)
    assert dns.stale_served == 1


async def test_a_question_that_failed_rests_for_thirty_seconds():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    world.answer = DOWN
    clock.now += 61
    for _ in range(5):
        await dns.ask(NAME, "TXT")
    assert world.asked == 2
    clock.now += lasting.RECHECK
    world.answer = found("b")
    assert await dns.ask(NAME, "TXT") == found("b")


async def test_a_day_after_its_ttl_an_answer_is_no_answer_any_more():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    world.answer = DOWN
    clock.now += lasting.MAX_STALE + 61
    assert await dns.ask(NAME, "TXT") == DOWN


async def test_that_there_is_none_is_never_served_stale():
    dns, world, clock = await client(NoSuchName(3600))
    await dns.ask(NAME, "TXT")
    world.answer = DOWN
    clock.now += lasting.LONGEST_NEGATIVE + 1
    assert await dns.ask(NAME, "TXT") == DOWN


async def test_a_negative_answer_is_kept_for_five_minutes_at_most():
    dns, world, clock = await client(NoSuchName(3600))
    await dns.ask(NAME, "TXT")
    world.answer = found("a")
    clock.now += lasting.LONGEST_NEGATIVE + 1
    assert await dns.ask(NAME, "TXT") == found("a")


async def test_what_was_learned_elsewhere_replaces_what_is_kept():
    dns, world, _ = await client(NoSuchName(3600))
    await dns.ask(NAME, "TXT")
    dns.learn(Question(NAME, "TXT"), found("new"))
    assert await dns.ask(NAME, "TXT") == found("new")
    assert world.asked == 1


async def test_a_slow_name_server_is_waited_for_only_while_there_is_nothing_older(monkeypatch):
    monkeypatch.setattr(lasting, "PATIENCE", 0.01)
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    clock.now += 61
    world.hangs, world.answer = asyncio.Event(), found("b")
    assert (await dns.ask(NAME, "TXT")).records == found("a").records
    world.hangs.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await dns.ask(NAME, "TXT") == found("b"), "the question went on, and its answer is kept"


async def test_who_stops_waiting_takes_the_answer_from_nobody():
    dns, world, _ = await client(found("a"))
    world.hangs = asyncio.Event()
    first = asyncio.create_task(dns.ask(NAME, "TXT"))
    second = asyncio.create_task(dns.ask(NAME, "TXT"))
    await asyncio.sleep(0)
    first.cancel()
    world.hangs.set()
    assert await second == found("a")
    assert world.asked == 1


async def test_questions_of_every_message_are_asked_again_before_anybody_waits(monkeypatch):
    monkeypatch.setattr(lasting, "TICK", 0.001)
    dns, world, clock = await client(found("a"))
    for _ in range(lasting.OFTEN + 1):
        await dns.ask(NAME, "TXT")
    await dns.ask("seldom.example", "TXT")
    world.answer = found("b")
    clock.now += 61
    refreshing = asyncio.create_task(dns.keep_fresh())
    await world.asked_thrice.wait()
    await asyncio.sleep(0)
    refreshing.cancel()
    assert await dns.ask(NAME, "TXT") == found("b")
    assert world.asked == 3, "the one that was used once was not asked again"


async def test_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(lasting, "KEPT", 10)
    dns, world, _ = await client(found("a"))
    for number in range(50):
        await dns.ask(f"n{number}.example", "TXT")
    await dns.ask("n49.example", "TXT")
    assert world.asked == 50
    await dns.ask("n0.example", "TXT")
    assert world.asked == 51


async def test_a_question_that_timed_out_is_not_waited_for_again_and_asked_meanwhile():
    dns, world, _ = await client(DOWN)
    await dns.ask(NAME, "TXT")
    world.hangs, world.answer = asyncio.Event(), found("a")
    for _ in range(100):
        assert await dns.ask(NAME, "TXT") == DOWN
        await asyncio.sleep(0)
    assert world.asked == 2
    world.hangs.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await dns.ask(NAME, "TXT") == found("a")


async def test_a_time_out_long_ago_is_no_answer():
    dns, world, clock = await client(DOWN)
    await dns.ask(NAME, "TXT")
    clock.now += lasting.FAILED
    world.answer = found("a")
    assert await dns.ask(NAME, "TXT") == found("a")


async def test_a_failure_that_is_told_at_once_is_asked_again_by_the_next():
    dns, world, _ = await client(Failed(Failure.SERVFAIL))
    await dns.ask(NAME, "TXT")
    world.answer = found("a")
    assert await dns.ask(NAME, "TXT") == found("a")


async def test_while_nothing_answers_a_new_question_is_hardly_waited_for(monkeypatch):
    monkeypatch.setattr(lasting, "BRIEF", 0.01)
    dns, world, clock = await client(DOWN)
    for number in range(lasting.SILENT):
        await dns.ask(f"{number}.{NAME}", "TXT")
    clock.now += lasting.SILENCE
    world.hangs, world.answer = asyncio.Event(), found("a")
    assert (await dns.ask(NAME, "TXT")).kind is Failure.TIMEOUT
    world.hangs.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert await dns.ask(NAME, "TXT") == found("a")
    world.hangs.clear()
    asyncio.get_running_loop().call_later(0.05, world.hangs.set)
    assert await dns.ask(f"new.{NAME}", "TXT") == found("a"), "it is over with the first answer"


async def test_an_old_answer_is_waited_for_once_in_an_outage(monkeypatch):
    monkeypatch.setattr(lasting, "PATIENCE", 0.01)
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    clock.now += 61
    world.hangs = asyncio.Event()
    for _ in range(100):
        assert (await dns.ask(NAME, "TXT")).records == found("a").records
        monkeypatch.setattr(lasting, "PATIENCE", 60.0)
    await dns.close()


# --- handed on -------------------------------------------------------------------------------------------------------


async def test_a_successor_answers_by_what_it_is_given_and_no_age_is_lost():
    dns, _, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    clock.now += 3_600
    successor, _, later = await client(DOWN)
    successor.remember(dns.memory(10))
    assert await successor.ask(NAME, "TXT") == found("a", lasting.STALE_TTL)
    later.now += lasting.MAX_STALE - 3_600 + 60 - 1
    assert await successor.ask(NAME, "TXT") == found("a", lasting.STALE_TTL)
    later.now += 2
    assert await successor.ask(NAME, "TXT") == DOWN


async def test_what_is_too_old_or_was_not_there_is_not_handed_on():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    world.answer = NoSuchName(60)
    await dns.ask(f"_dmarc.{NAME}", "TXT")
    assert {one.question.name for one in dns.memory(10)} == {NAME, f"_dmarc.{NAME}"}
    clock.now += 61
    assert {one.question.name for one in dns.memory(10)} == {NAME}
    clock.now += lasting.MAX_STALE
    assert dns.memory(10) == []


async def test_a_clock_that_was_set_back_makes_no_answer_younger_than_when_it_came():
    successor, _, clock = await client(DOWN)
    successor.remember([lasting.Aged(Question(NAME, "TXT"), found("a"), 1e9)])
    clock.now += 61
    await successor.ask(NAME, "TXT")
    assert successor.stale_served == 1
    clock.now += lasting.MAX_STALE
    assert await successor.ask(NAME, "TXT") == DOWN


async def test_what_is_handed_on_is_replaced_by_what_dns_says_and_never_replaces_it():
    successor, _, _ = await client(found("new"))
    old = lasting.Aged(Question(NAME, "TXT"), found("old"), -100.0)
    successor.remember([old])
    assert await successor.ask(NAME, "TXT") == found("new")
    successor.remember([old])
    assert await successor.ask(NAME, "TXT") == found("new")


async def test_an_answer_handed_on_is_waited_for_briefly(monkeypatch):
    monkeypatch.setattr(lasting, "BRIEF", 0.01)
    monkeypatch.setattr(lasting, "PATIENCE", 1_000)
    successor, world, _ = await client(DOWN)
    world.hangs = asyncio.Event()
    successor.remember([lasting.Aged(Question(NAME, "TXT"), found("a"), -100.0)])
    assert await successor.ask(NAME, "TXT") == found("a", lasting.STALE_TTL)
    world.hangs.set()
    await successor.close()


async def test_what_is_not_answered_is_known_with_what_there_is_instead_until_it_is_answered():
    dns, world, clock = await client(found("a"))
    await dns.ask(NAME, "TXT")
    world.answer = NoSuchName(60)
    await dns.ask(NAME, "AAAA")
    clock.now += 61
    world.answer = DOWN
    for type_ in ("TXT", "AAAA", "MX"):
        await dns.ask(NAME, type_)
    instead = {question.type: what for question, what in dns.unanswered.items()}
    assert instead == {"TXT": lasting.Instead.OLD, "AAAA": lasting.Instead.ABSENT, "MX": lasting.Instead.NOTHING}
    world.answer = found("b")
    dns.ask_again(dns.unanswered)
    await asyncio.gather(*(dns.ask(NAME, type_) for type_ in ("TXT", "AAAA", "MX")))
    assert not dns.unanswered
    await dns.close()
