"""What facts and rules cost is measured without changing what they say."""

import asyncio
import time
from dataclasses import dataclass

from delivcheck.costs import Costs
from delivcheck.engine import Plan, Roots, fact, rule
from delivcheck.model import Outcome, Problem


@dataclass(frozen=True)
class Given:
    value: int


@dataclass(frozen=True)
class Busy:
    value: int


@dataclass(frozen=True)
class Waiting:
    value: int


@dataclass(frozen=True)
class Failing:
    value: int


def work():
    """Something that takes the processor a millisecond."""
    until = time.thread_time() + 0.001
    while time.thread_time() < until:
        pass


@fact
def busy(given: Given) -> Busy:
    work()
    return Busy(given.value)


@fact
async def waiting(given: Given) -> Waiting:
    await asyncio.sleep(0.01)
    work()
    return Waiting(given.value)


@fact
async def failing(given: Given) -> Failing:
    try:
        async with asyncio.timeout(0):
            await asyncio.sleep(9)
    except TimeoutError:
        work()
    raise ZeroDivisionError


@rule("a/b")
def check(busy: Busy):
    work()
    yield Problem("found")


def test_only_the_processors_time_is_counted_and_the_first_round_is_not(caplog):
    costs, roots = Costs(), Roots(Given(1))
    for _ in range(3):
        facts = asyncio.run(costs.gather(Plan((busy, waiting, failing)), roots, {Busy}))
        assert costs.run(check, facts, None, kept=True).outcome is Outcome.FAIL
    assert costs.rounds == 2
    assert facts[Busy] == Busy(1)
    assert facts[Waiting] == Waiting(1)
    assert facts[Failing].bug
    by_name = {one.name: one for one in (*costs.facts, *costs.rules)}
    assert set(by_name) == {"Busy", "Waiting", "Failing", "a/b"}
    assert all(one.us >= 900 for one in by_name.values())
    assert [one.name for one in by_name.values() if one.kept] == ["Busy", "a/b"]
