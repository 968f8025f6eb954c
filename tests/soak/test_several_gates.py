"""Two gates behind HAProxy over one PostgreSQL: one is killed at random moments, then both are replaced under load. Nothing is lost."""

import random
import time
from collections import Counter, defaultdict
from itertools import islice

import pytest
import sqlalchemy as sa

from delivcheck.trace import schema
from delivcheck.trace.store import Store
from tests.conftest import require
from tests.gate.deploy.several import CLIENT, settle, site
from tests.soak.gates import POLICY, all_off, every, figures
from tests.soak.queueing import Queue
from tests.soak.sink import sink
from tests.soak.test_trace import mails

KINDS = {"sent", "uncertain"}


class Killer:
    """Kills one of the gates with all its processes, and starts it again; not before both serve, or nobody would."""

    def __init__(self, gates, seed=8):
        self._gates, self._dice = gates, random.Random(seed)

    def __call__(self):
        for one in self._gates:
            one.wait()
        time.sleep(self._dice.uniform(0.0, 0.5))
        self._dice.choice(self._gates).kill()


@pytest.mark.attack(53, 58)
def test_what_was_acknowledged_is_with_the_next_hop_and_in_the_trace(tmp_path, soak, postgres):
    require("haproxy")
    count, rate, rest, rolls, batch = (6_000, 60.0, 4.0, 20, 100) if soak else (80, 40.0, 1.5, 2, 30)
    begun = mails(1_000_000)
    name = postgres.create()
    store = Store(postgres.url(name))
    settings = {"policy": POLICY.format(rules=all_off()), "more": "reuse-port = true\ndrain = 10\n", "notice": 3 if soak else 1}
    manner = {"rate": rate, "sessions": 6, "per_session": 10, "source": (CLIENT, 0)}
    with (
        sink(tmp_path, delay=0.01) as hop,
        site(tmp_path, postgres.url(name), (hop.host, hop.port), **settings) as two,
    ):
        gates = list(two.gates.values())
        killed = Queue(two.smtp, **manner)
        with every(rest, Killer(gates)):
            killed.run(islice(begun, count), count / rate * 3 + 90)
        for one in gates:
            one.wait()
        rolled = []
        with every(0.1, roll := Rolling(gates, rolls)):
            while roll.turns < rolls:
                rolled.append(Queue(two.smtp, **manner))
                rolled[-1].run(islice(begun, batch), batch / rate * 3 + 90)
        settle(lambda: not _missing(store, hop), "everything in the trace")
        came, told = hop.numbers, _told(store)
    acknowledged = [number for one in (killed, *rolled) for number in one.acknowledged]
    later = sum((one.later for one in rolled), Counter())
    again = {number: times - 1 for number, times in came.items() if times > 1}
    figures(
        "several gates",
        acknowledged=len(acknowledged),
        kills=sum(one.deaths for one in gates),
        retries=killed.later.most_common(),
        rolls=roll.turns,
        while_rolling=len(acknowledged) - count,
        retries_while_rolling=later.most_common(),
        duplicates=sum(again.values()),
        uncertain=sum("uncertain" in kinds for found in told.values() for kinds in found.values()),
        gates={gate: len(traces) for gate, traces in _shares(store).items()},
    )
    assert sorted(map(int, acknowledged)) == list(range(len(acknowledged)))
    assert set(acknowledged) <= came.keys()
    # Killed gates alone make duplicates, and each of these is a message of its own in the trace, beside the one it repeats.
    assert {number for number in again if int(number) >= count} == set()
    assert {number: len(told[number]) for number in again if len(told[number]) <= again[number]} == {}
    # Rolling: whoever is connected may hear 421 between two messages, as at any server; nobody is refused, and nothing is cut.
    assert {why for why in later if not why.startswith("421 4.3.2")} == set()
    store.close()
    postgres.drop(name)


class Rolling:
    """Replaces one gate after the other, so many times in all."""

    def __init__(self, gates, most):
        self._gates, self._most, self.turns = gates, most, 0

    def __call__(self):
        if self.turns < self._most:
            self._gates[self.turns % len(self._gates)].replace()
            self.turns += 1


def _told(store):
    """By the message's number: each trace of it with the kinds of what happened."""
    found = defaultdict(lambda: defaultdict(set))
    with store.read() as db:
        m, e = schema.message, schema.event
        for subject, trace, kind in db.execute(sa.select(m.c.subject, m.c.id, e.c.kind).join(e, e.c.message == m.c.id)):
            found[subject.removeprefix("n")][trace].add(kind)
    return found


def _missing(store, hop):
    """What the next hop has more often than the trace says that it may have it."""
    told = _told(store)
    known = Counter({number: sum(bool(kinds & KINDS) for kinds in traces.values()) for number, traces in told.items()})
    return [number for number, times in hop.numbers.items() if known[number] < times]


def _shares(store):
    with store.read() as db:
        found = defaultdict(set)
        for gate, trace in db.execute(sa.select(schema.message.c.gate, schema.message.c.id)):
            found[gate].add(trace)
        return found
