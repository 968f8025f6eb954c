"""Random histories on the journal's rules: whoever is sent to a second time, or may be, is marked as such.

The oracle knows of each attempt and recipient what became of it, and nothing of rows, peers or claims.
"""

import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from delivcheck import ulid
from delivcheck.gate.journal import Attempt, Journal, Known, State, fingerprint, rules, schema
from delivcheck.gate.reply import Reply

OK, NO, LATER = Reply(250, "2.0.0", "queued"), Reply(550, "5.1.1", "no such user"), Reply(451, "4.3.0", "come again")
KEY, EXPLICIT = b"k" * 32, b"e" * 32
NAMES = ("a@example.net", "b@example.net", "c@example.net")
MAY_HAVE = {"dot", "has", "may have"}


@dataclass
class Told:
    """An attempt as the oracle has it: what became of it for each recipient, and whether its client knows."""

    attempt: Attempt
    owner: str
    ends: dict[str, str] = field(default_factory=dict)
    heard: bool = False
    gone: bool = False

    @property
    def flying(self):
        return "dot" in self.ends.values()

    def open_for(self, name):
        """Whether mail for this recipient repeats it, or may."""
        if self.attempt.explicit is not None or self.ends.get(name) != "has":
            return self.ends.get(name) == "may have"
        return self.gone and not self.heard


class History:
    """One message that comes again and again, for some of three recipients; workers that die."""

    def __init__(self, seed):
        self.chance = random.Random(seed)
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        schema.migrate(self.db)
        self.lmtp, self.named = self.chance.random() < 0.7, self.chance.random() < 0.7
        self.explicit = EXPLICIT if self.chance.random() < 0.3 else None
        self.now, self.worker, self.dead, self.claims = 1_800_000_000_000, 0, set(), 0
        self.attempts, self.judged = [], []

    def run(self, steps):
        steps_of = [self.submit] * 4 + [self.begin] * 3 + [self.answer] * 4
        steps_of += [self.lose, self.give_up, self.leave, self.leave, self.hear, self.hear, self.hear, self.die]
        for _ in range(steps):
            self.now += self.chance.choice([1, 1_000, 60_000])
            self.chance.choice(steps_of)()

    def alive(self, owner):
        return owner not in self.dead

    def submit(self):
        to = tuple(self.chance.sample(NAMES, self.chance.randint(1, 3)))
        owner = f"w{self.worker}"
        self.claims += 1
        asked = rules.Submission(KEY, to, self.explicit, owner, f"{owner} {self.claims}", self.now, self.alive, self.named)
        known = (rules.earlier if self.explicit is None else rules.under_key)(self.db, asked)
        if not isinstance(known, Known):
            return
        for name, reply in zip(to, known.replies, strict=True):
            assert reply is None or any(one.ends.get(name) == "has" for one in self.attempts), "nobody took what is replayed"
        for trace in known.replayed:
            end = self.chance.choice(["answered", "gone", "unheard"])
            if end == "answered":
                rules.answered(self.db, trace, self.now)
                next(one for one in self.attempts if one.attempt.trace == trace).heard = True
            else:
                (rules.gone if end == "gone" else rules.unheard)(self.db, trace)
        if not known.whole:
            rest = tuple(name for name, reply in zip(to, known.replies, strict=True) if reply is None)
            self.judged.append((rest, known, owner))

    def begin(self):
        if not self.judged:
            return
        rest, known, owner = self.judged.pop(self.chance.randrange(len(self.judged)))
        if owner in self.dead:
            return
        attempt = Attempt(ulid.new(), KEY, bytes(32), "hop", "x", rest, 1, None, self.explicit, known.follows)
        if not rules.begin(self.db, attempt, owner, self.now, self.alive):
            return
        for name in rest:
            assert self.explicit is None or not any(one.ends.get(name) == "has" for one in self.attempts)
            for earlier in (one for one in self.attempts if one.open_for(name)):
                marked = (one for one in self.attempts if earlier.attempt.trace in one.attempt.follows)
                repeated = any(one.ends.get(name) in MAY_HAVE for one in marked)
                assert repeated or earlier.attempt.trace in known.follows, f"{name} is sent to again unmarked"
        self.attempts.append(Told(attempt, owner, dict.fromkeys(rest, "dot")))

    def one(self, fits):
        found = [one for one in self.attempts if fits(one)]
        return self.chance.choice(found) if found else None

    def at_work(self):
        return self.one(lambda one: one.flying and one.owner not in self.dead)

    def answer(self):
        if (one := self.at_work()) is None:
            return
        to = one.attempt.rcpt_to
        replies = [self.chance.choice([OK, OK, NO, LATER]) for _ in (to if self.lmtp else to[:1])]
        taken, refused = any(reply.positive for reply in replies), all(reply.permanent for reply in replies)
        state = State.ACCEPTED if taken else State.REFUSED if refused else State.DEFERRED
        rules.finish(self.db, one.attempt, one.owner, state=state, replies=replies, now=self.now)
        each = replies if self.lmtp else replies * len(to)
        one.ends = {name: "has" if reply.positive else "has not" for name, reply in zip(to, each, strict=True)}

    def lose(self):
        if (one := self.at_work()) is None:
            return
        to = one.attempt.rcpt_to
        came = [self.chance.choice([OK, LATER]) for _ in to[: self.chance.randint(0, len(to) - 1)]] if self.lmtp else []
        rules.uncertain(self.db, one.attempt.trace, came)
        one.ends = dict.fromkeys(to, "may have")
        one.ends |= {name: "has" if reply.positive else "has not" for name, reply in zip(to, came, strict=False)}

    def give_up(self):
        if (one := self.at_work()) is not None:
            rules.unsent(self.db, one.attempt.trace)
            one.ends = dict.fromkeys(one.ends, "has not")

    def leave(self):
        if (one := self.one(lambda one: not one.heard and not one.gone)) is not None:
            rules.gone(self.db, one.attempt.trace)
            one.gone = True

    def hear(self):
        if (one := self.one(lambda one: not one.flying and not one.gone)) is not None:
            rules.answered(self.db, one.attempt.trace, self.now)
            one.heard = True

    def die(self):
        if self.chance.random() > 0.3:
            return
        owner = f"w{self.worker}"
        self.dead.add(owner)
        self.worker += 1
        self.judged = [one for one in self.judged if one[2] != owner]
        for one in self.attempts:
            if one.owner == owner:
                one.gone = one.gone or not one.heard
                one.ends = {name: "may have" if end == "dot" else end for name, end in one.ends.items()}


@pytest.mark.attack(49, 52, 53, 62)
@pytest.mark.parametrize("lot", range(4))
def test_in_whatever_order_things_happen_no_second_copy_goes_unmarked(lot, soak):
    for seed in range(lot * 50_000, lot * 50_000 + (50_000 if soak else 200)):
        history = History(seed)
        with closing(history.db):
            try:
                history.run(40)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error


def _attempt(key, *to, **more):
    return Attempt(ulid.new(), key, bytes(32), "hop", "ada@example.com", to, 1, **more)


@pytest.mark.attack(52)
async def test_who_did_not_get_it_from_the_repetition_may_still_have_it_from_the_first(tmp_path):
    key = fingerprint(b"x", "ada@example.com", None)
    async with Journal(tmp_path) as journal:
        first = _attempt(key, *NAMES[:2])
        await journal.before_dot(first)
        journal.uncertain(first.trace)
        known = await journal.answer_for(key, NAMES[:2])
        second = _attempt(key, *NAMES[:2], follows=known.follows)
        await journal.before_dot(second)
        await journal.after(second, [OK, LATER])
        journal.answered(second.trace)
        assert (await journal.answer_for(key, NAMES[1:2])).follows == (first.trace,)


@pytest.mark.attack(52)
@pytest.mark.parametrize("arrived", [True, False])
async def test_what_a_person_found_out_the_client_hears_when_it_comes_again(tmp_path, arrived):
    key = fingerprint(b"x", "ada@example.com", None)
    async with Journal(tmp_path) as journal:
        one = _attempt(key, NAMES[0])
        await journal.before_dot(one)
        journal.uncertain(one.trace)
        journal.answered(one.trace)  # with 451
        assert await journal.settle(one.trace, sent=arrived)
        known = await journal.answer_for(key, NAMES[:1])
        assert known.whole is arrived
        assert known.follows == ()


@pytest.mark.attack(52)
async def test_that_a_repetition_did_not_arrive_says_nothing_of_the_first(tmp_path):
    key = fingerprint(b"x", "ada@example.com", None)
    async with Journal(tmp_path) as journal:
        first = _attempt(key, NAMES[0])
        await journal.before_dot(first)
        journal.uncertain(first.trace)
        second = _attempt(key, NAMES[0], follows=(first.trace,))
        await journal.before_dot(second)
        journal.uncertain(second.trace)
        assert await journal.settle(second.trace, sent=False)
        assert (await journal.answer_for(key, NAMES[:1])).unsure == (first.trace,)
