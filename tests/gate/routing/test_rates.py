"""Limits that all workers of a machine share: counted right, whatever happens to the file, the clock or a worker."""

import asyncio
import fcntl
import multiprocessing
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivcheck.gate.routing import rates
from delivcheck.gate.routing.rates import Charge, Rates, RatesError, key_of
from delivcheck.gate.settings import Limit, Per

SECOND = 1_000_000_000


class Clock:
    def __init__(self):
        self.now = 1_800_000_000 * SECOND

    def __call__(self):
        return self.now


def charge(limit, value="a@example.org", rule="r"):
    return Charge(key_of(rule, limit, value), limit)


def test_so_many_at_once_and_then_one_as_each_part_of_the_time_is_over(tmp_path):
    clock, limit = Clock(), Limit(10, 100, 10)
    made = Rates(tmp_path, clock)

    async def go():
        assert [await made.take([charge(limit)]) for _ in range(11)] == [None] * 10 + [0]
        clock.now += 10 * SECOND
        assert [await made.take([charge(limit)]) for _ in range(2)] == [None, 0]
        clock.now += 1_000 * SECOND
        assert [await made.take([charge(limit)]) for _ in range(11)] == [None] * 10 + [0]

    asyncio.run(go())
    made.close()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 20), st.integers(1, 60), st.lists(st.integers(0, 30 * SECOND), min_size=1, max_size=60), st.data())
def test_never_more_than_the_limit_and_a_burst_in_any_time(tmp_path_factory, count, seconds, waits, data):
    clock = Clock()
    limit = Limit(count, seconds, data.draw(st.integers(1, count)))
    made = Rates(tmp_path_factory.mktemp("rates"), clock)
    taken = []

    async def go():
        for wait in waits:
            clock.now += wait
            if await made.take([charge(limit)]) is None:
                taken.append(clock.now)

    asyncio.run(go())
    made.close()
    step = limit.seconds * SECOND // limit.count
    for first, begin in enumerate(taken):
        for last, end in enumerate(taken[first:], first):
            assert last - first + 1 <= limit.burst + (end - begin) // step + 1
    assert taken, "the first one is always let through"


def test_all_limits_of_a_recipient_are_counted_or_none(tmp_path):
    clock, wide, narrow = Clock(), Limit(10, 60, 10), Limit(1, 60, 1)
    made = Rates(tmp_path, clock)

    async def go():
        both = [charge(wide, rule="wide"), charge(narrow, rule="narrow")]
        assert await made.take(both) is None
        assert [await made.take(both) for _ in range(20)] == [1] * 20
        assert [await made.take(both[:1]) for _ in range(10)] == [None] * 9 + [0]

    asyncio.run(go())
    made.close()


def test_what_was_given_back_may_be_taken_again(tmp_path):
    clock, limit = Clock(), Limit(2, 60, 2)
    made = Rates(tmp_path, clock)

    async def go():
        for _ in range(20):
            assert await made.take([charge(limit)]) is None
            await made.give_back([charge(limit)])
        assert [await made.take([charge(limit)]) for _ in range(3)] == [None, None, 0]

    asyncio.run(go())
    made.close()


def test_what_is_counted_apart_has_keys_of_its_own():
    limit = Limit(1, 60, 1, Per.SENDER)
    keys = {
        key_of("r", limit, "a"), key_of("r", limit, "b"), key_of("ra", limit, ""), key_of("r", Limit(2, 60, 2), "a"),
        key_of("r", Limit(1, 60, 1), "a"),
    }  # fmt: skip
    assert len(keys) == 5


def _take(folder, times, found):
    made = Rates(folder)

    async def go():
        return sum([await made.take([charge(Limit(500, 86_400, 500))]) is None for _ in range(times)])

    found.put(asyncio.run(go()))


def test_processes_that_take_at_the_same_time_take_no_more_together(tmp_path):
    context = multiprocessing.get_context("spawn")
    found = context.Queue()
    processes = [context.Process(target=_take, args=(tmp_path, 300, found)) for _ in range(2)]
    for one in processes:
        one.start()
    taken = sum(found.get(timeout=60) for _ in processes)
    for one in processes:
        one.join()
    assert taken in {500, 501}  # the day goes on meanwhile


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 2_000_000), st.integers(0, 2_200_000))
def test_a_damaged_or_cut_file_is_never_worse_than_an_empty_one(tmp_path_factory, octets, at, size):
    folder = tmp_path_factory.mktemp("rates")
    clock, limit = Clock(), Limit(2, 60, 2)

    async def go():
        made = Rates(folder, clock)
        await made.take([charge(limit)])
        with (folder / rates.FILE).open("r+b") as file:
            file.seek(at)
            file.write(octets)
            file.truncate(size)
        said = [await made.take([charge(limit)]) for _ in range(3)]
        assert said in ([None, 0, 0], [None, None, 0])
        made.close()

    asyncio.run(go())


def test_a_clock_that_is_put_back_stops_nobody_for_longer_than_the_limits_time(tmp_path):
    clock, limit = Clock(), Limit(10, 100, 10)
    made = Rates(tmp_path, clock)

    async def go():
        await made.take([charge(limit)])
        clock.now -= 30 * 86_400 * SECOND
        assert await made.take([charge(limit)]) == 0
        clock.now += 100 * SECOND
        assert [await made.take([charge(limit)]) for _ in range(11)] == [None] * 10 + [0]

    asyncio.run(go())
    made.close()


def test_the_file_does_not_grow_however_much_is_counted(tmp_path):
    clock, limit = Clock(), Limit(1, 60, 1)
    made = Rates(tmp_path, clock)

    async def go():
        for number in range(3_000):
            await made.take([charge(limit, f"{number}@example.org")])

    asyncio.run(go())
    made.close()
    assert (tmp_path / rates.FILE).stat().st_size <= rates.BUCKETS * rates.SLOTS * 32
    assert (tmp_path / rates.FILE).stat().st_mode & 0o077 == 0


def test_a_full_bucket_forgets_what_is_free_soonest(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "BUCKETS", 1)
    clock, limit = Clock(), Limit(1, 60, 1)
    made = Rates(tmp_path, clock)

    async def go():
        for number in range(rates.SLOTS + 1):
            clock.now += SECOND
            assert await made.take([charge(limit, str(number))]) is None
        assert await made.take([charge(limit, str(rates.SLOTS))]) == 0
        assert await made.take([charge(limit, "0")]) is None, "it made room"

    asyncio.run(go())
    made.close()


def test_somebody_who_keeps_the_lock_is_waited_for_briefly_and_then_told_of(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "PATIENCE", 0.05)
    made = Rates(tmp_path)
    descriptor = os.open(tmp_path / rates.FILE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    async def go():
        beats = 0
        task = asyncio.create_task(made.take([charge(Limit(1, 1, 1))]))
        while not task.done():
            beats += 1
            await asyncio.sleep(0.005)
        assert beats > 1, "the loop went on"
        with pytest.raises(RatesError, match="somebody else has it"):
            await task
        os.close(descriptor)  # as when its holder dies
        assert await made.take([charge(Limit(1, 1, 1))]) is None

    asyncio.run(go())
    made.close()


def test_a_folder_that_is_not_there_is_an_error_in_one_line(tmp_path):
    with pytest.raises(RatesError, match="No such file"):
        asyncio.run(Rates(tmp_path / "nowhere").take([charge(Limit(1, 1, 1))]))
