"""One set of answers: each question once, whatever came of it, and nobody's impatience costs the others."""

import asyncio

from delivcheck.model import Failed, Failure, Found
from delivcheck.net.client import Closed
from delivcheck.net.shared import Shared


class Slow(Closed):
    """Answers after a moment, differently each time."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    async def ask(self, name, type):  # noqa: A002 -- the protocol's word
        self.asked.append((name, type))
        await asyncio.sleep(0.01)
        return self.answers.pop(0)


def test_a_question_is_asked_once_side_by_side_and_later():
    beneath = Slow(Found(("192.0.2.1",)))

    async def go():
        shared = Shared(beneath)
        both = await asyncio.gather(shared.ask("A.example.", "a"), shared.ask("a.example", "A"))
        return [*both, await shared.ask("a.EXAMPLE", "A")]

    assert asyncio.run(go()) == [Found(("192.0.2.1",))] * 3
    assert beneath.asked == [("a.example", "A")]


def test_a_failure_stays_a_failure():
    beneath = Slow(Failed(Failure.TIMEOUT), Found(("192.0.2.1",)))

    async def go():
        shared = Shared(beneath)
        return [await shared.ask("a.example", "A") for _ in range(2)]

    assert asyncio.run(go()) == [Failed(Failure.TIMEOUT)] * 2


def test_who_gives_up_takes_the_answer_from_nobody_and_closing_lets_go():
    async def go():
        shared = Shared(Slow(Found(("192.0.2.1",)), Found(("192.0.2.2",))))
        impatient, patient = (asyncio.ensure_future(shared.ask("a.example", "A")) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        answer = await patient
        waiting = asyncio.ensure_future(shared.ask("b.example", "A"))
        await asyncio.sleep(0)
        await shared.close()
        return answer, (await asyncio.gather(waiting, return_exceptions=True))[0]

    answer, left = asyncio.run(go())
    assert answer == Found(("192.0.2.1",))
    assert isinstance(left, asyncio.CancelledError)
