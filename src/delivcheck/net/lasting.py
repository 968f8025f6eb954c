"""A client for a service that runs on: answers stay fresh without anybody waiting, and outlive an outage of DNS (RFC 8767).

`dns.Live` forgets an answer when its TTL is over, as an audit wants it. A gate asks the same few questions for every message;
it must not stop mail because a resolver is restarted, and no message should wait for what the last one asked as well.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum

from ..model import Answer, Failed, Failure, Found, NoData, NoSuchName, Question
from .client import Client, Over, normal

MAX_STALE = 86_400.0  # seconds an answer is served past its TTL; RFC 8767 section 5 suggests one to three days
PATIENCE = 1.8  # seconds a question with a stale answer at hand is waited for: the client response timer of RFC 8767 section 5
BRIEF = 0.3  # seconds, the same where it is known that DNS does not answer: a hundred messages a second must not wait for it
FAILED = (
    10.0  # seconds that a time-out is the answer to the same question, which is asked again meanwhile: RFC 9520 section 3.2
)
SILENT = 5  # time-outs in a row, and
SILENCE = 5.0  # seconds without any answer, after which DNS is taken to be down
RECHECK = 30.0  # seconds until a question that failed is asked again: the failure recheck timer of the same section
STALE_TTL = 30  # seconds, the TTL of a stale answer: RFC 8767 section 4
SHORTEST = 5.0  # seconds an answer is kept at least, as in `dns`: one message is one transaction
LONGEST_NEGATIVE = (
    300.0  # seconds that "there is none" is kept at most: unbound's cache-max-negative-ttl is 3600, a key comes sooner
)
KEPT = 20_000  # answers; a sending domain takes about 40, recipients' domains one or two each
OFTEN = (
    3  # uses between two refreshes that make a question worth asking before somebody waits for it; unbound prefetches at one
)
AT_ONCE = 20  # questions refreshed side by side
TICK = 1.0  # seconds between looks at what has run out
TROUBLED = 1_000  # questions of which it is known that they got no answer


_DOWN = Failed(Failure.TIMEOUT, "DNS has not answered for a while")


@dataclass(slots=True)
class _Kept:
    """An answer, until when it is fresh, until when a failed question rests, and how often it was used since it was asked."""

    answer: Answer
    until: float
    rest: float = 0.0
    uses: int = 0


class Instead(StrEnum):
    """What there is for a question that DNS did not answer when it was asked last."""

    OLD = "old"  # an answer past its time, which serves
    ABSENT = "absent"  # it was said before that there is none, which does not
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Aged:
    """An answer to be handed on: `left` are the seconds until its TTL is over, negative since it is."""

    question: Question
    answer: Answer
    left: float


class Lasting(Over):
    """Keeps what the client beneath answers. `stale_served` counts the answers given past their time.

    Only what was found is served stale: an old "there is none" must not outlive the record's publication.

    `unanswered` are the questions that failed when they were asked last. `news` counts the answers that were not known before,
    `renewals` all others.
    """

    def __init__(self, beneath: Client, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(beneath)
        self.stale_served = self.news = self.renewals = 0
        self.unanswered: OrderedDict[Question, Instead] = OrderedDict()
        self._clock = clock
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()
        self._flights: dict[Question, asyncio.Task[Answer]] = {}
        self._failed: OrderedDict[Question, tuple[float, Failed]] = OrderedDict()  # until when that is the answer
        self._silent = 0  # time-outs since the last answer
        self._heard = clock()  # when that was

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from what is kept, or from beneath; what is stale where beneath says nothing in time."""
        question = normal(name, type)
        kept, now = self._kept.get(question), self._clock()
        if kept is not None:
            kept.uses += 1
            self._kept.move_to_end(question)
            if kept.until > now:
                return kept.answer
            if self._may_be_stale(kept, now) and kept.rest > now:
                return self._stale(kept)
        flight = self._fly(question)
        if kept is not None and self._may_be_stale(kept, now):
            answer = await self._within(BRIEF if kept.rest else PATIENCE, flight)
            if answer is None:
                kept.rest = now + RECHECK
            return self._stale(kept) if answer is None or isinstance(answer, Failed) else answer
        until, failed = self._failed.get(question, (now, _DOWN))
        if until > now:
            return failed
        if self._down(now):
            return await self._within(BRIEF, flight) or _DOWN
        return await asyncio.shield(flight)

    @staticmethod
    async def _within(seconds: float, flight: asyncio.Task[Answer]) -> Answer | None:
        """The answer, where it comes in time."""
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.shield(flight)
        except TimeoutError:
            return None

    def _down(self, now: float) -> bool:
        """Whether nothing at all answers: then nobody is waited for, and every question on its way tries whether it is over."""
        return self._silent >= SILENT and now - self._heard >= SILENCE

    def learn(self, question: Question, answer: Answer) -> None:
        """Keep an answer that was had elsewhere, from the zone's own servers."""
        self._keep(question, answer)

    def memory(self, most: int) -> list[Aged]:
        """What is kept and may still be answered, what was used last first: for a successor, who asks `remember`."""
        now = self._clock()
        found: list[Aged] = []
        for question, kept in reversed(self._kept.items()):
            if len(found) == most:
                break
            if kept.until > now or self._may_be_stale(kept, now):
                found.append(Aged(question, kept.answer, kept.until - now))
        return found

    def remember(self, items: Iterable[Aged]) -> None:
        """Take what another one has kept, what was used last first. What is known here stays; no age is lost.

        Until DNS has confirmed such an answer it is not waited for long: it may be handed on because DNS is down.
        """
        now = self._clock()
        for one in reversed(list(items)):
            kept = _Kept(one.answer, now + min(one.left, _lasts(one.answer)), rest=now)
            if one.question not in self._kept and (kept.until > now or self._may_be_stale(kept, now)):
                self._kept[one.question] = kept
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def ask_again(self, questions: Iterable[Question]) -> None:
        """Ask what was not answered, without waiting for it, and though the answers that serve meanwhile rest."""
        for question in list(questions)[:AT_ONCE]:
            self._fly(question)

    async def keep_fresh(self) -> None:
        """Ask again, as soon as they have run out, the questions that every message asks. Runs until it is cancelled."""
        while True:
            await asyncio.sleep(TICK)
            now = self._clock()
            due = [
                question for question, kept in self._kept.items() if kept.uses >= OFTEN and max(kept.until, kept.rest) <= now
            ]
            for start in range(0, len(due), AT_ONCE):
                await asyncio.wait([self._fly(question) for question in due[start : start + AT_ONCE]])

    async def close(self) -> None:
        """Let go of the questions on their way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*flights, return_exceptions=True)

    def _fly(self, question: Question) -> asyncio.Task[Answer]:
        """The one flight of a question; it outlives whoever waits for it."""
        flight = self._flights.get(question)
        if flight is None:
            flight = self._flights[question] = asyncio.create_task(self._ask_beneath(question))
        return flight

    async def _ask_beneath(self, question: Question) -> Answer:
        try:
            answer = await self.beneath.ask(question.name, question.type)
            self._keep(question, answer)
            return answer
        finally:
            del self._flights[question]

    def _keep(self, question: Question, answer: Answer) -> None:
        now, before = self._clock(), self._kept.get(question)
        self._note(question, answer, now)
        if isinstance(answer, Failed):
            if before is not None:
                before.rest, before.uses = now + RECHECK, 0
            self.unanswered[question] = self._instead(before, now)
            self.unanswered.move_to_end(question)
            if len(self.unanswered) > TROUBLED:
                self.unanswered.popitem(last=False)
            return
        self.unanswered.pop(question, None)
        if before is not None and _same(before.answer, answer):
            self.renewals += 1
        else:
            self.news += 1
        self._kept[question] = _Kept(answer, now + _lasts(answer))
        self._kept.move_to_end(question)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def _note(self, question: Question, answer: Answer, now: float) -> None:
        """Whether DNS answers at all, and what it does not answer. Only time-outs are waited for."""
        self._failed.pop(question, None)
        if not isinstance(answer, Failed) or answer.kind is not Failure.TIMEOUT:
            self._silent, self._heard = 0, now
            return
        self._silent += 1
        self._failed[question] = (now + FAILED, answer)
        if len(self._failed) > KEPT:
            self._failed.popitem(last=False)

    def _may_be_stale(self, kept: _Kept, now: float) -> bool:
        return isinstance(kept.answer, Found) and kept.until + MAX_STALE > now

    def _instead(self, kept: _Kept | None, now: float) -> Instead:
        if kept is None:
            return Instead.NOTHING
        if not isinstance(kept.answer, Found):
            return Instead.ABSENT
        return Instead.OLD if self._may_be_stale(kept, now) else Instead.NOTHING

    def _stale(self, kept: _Kept) -> Answer:
        self.stale_served += 1
        assert isinstance(kept.answer, Found)
        return replace(kept.answer, ttl=STALE_TTL)


def _lasts(answer: Answer) -> float:
    """Seconds that an answer is fresh."""
    if isinstance(answer, Failed):
        return 0.0
    ttl = float(answer.ttl)
    return max(min(ttl, LONGEST_NEGATIVE) if isinstance(answer, (NoData, NoSuchName)) else ttl, SHORTEST)


def _same(one: Answer, other: Answer) -> bool:
    """Whether two answers say the same, however long they hold."""
    if isinstance(one, Found) and isinstance(other, Found):
        return replace(one, ttl=0) == replace(other, ttl=0)
    return type(one) is type(other)
