"""Before mail is refused because a record is missing, the zone's own servers are asked for it once.

A resolver keeps "there is none" for as long as the zone's SOA says, an hour as a rule; whoever asked for a key before it was
published would have its mail refused that long.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping

from ..facts.authoritative import zone_of
from ..model import Answer, Authoritative, Found, NoData, NoSuchName, NotApplicable, Question, Unavailable
from ..net.lasting import Lasting

MAX_ASKED = 8  # questions for one message: a key or two, SPF, DMARC of two domains
AGAIN = (
    2.0  # seconds until the same question is asked there again: a queue of refused mail must not become a flood of questions
)
REMEMBERED = 4_096  # questions whose last time is known
TIME = 5.0  # seconds for all of it: it comes on top of judging, within the message's deadline


class Missing:
    """Asks the authoritative servers past every cache; what is there by now goes into `dns`."""

    def __init__(self, dns: Lasting, authoritative: Authoritative) -> None:
        self._dns, self._authoritative = dns, authoritative
        self._asked: OrderedDict[Question, float] = OrderedDict()

    async def appeared(self, answers: Mapping[Question, Answer]) -> bool:
        """Whether one of the records that were not there is there now; then it pays to judge again."""
        now = time.monotonic()
        missing = [
            question
            for question, answer in answers.items()
            if question.type == "TXT" and isinstance(answer, (NoData, NoSuchName)) and _may_hold_policy(question.name)
        ]
        missing.sort(key=lambda question: "._domainkey." not in question.name)
        due = [question for question in missing if now - self._asked.get(question, -AGAIN) >= AGAIN][:MAX_ASKED]
        for question in due:
            self._asked[question] = now
            self._asked.move_to_end(question)
        while len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        if not due:
            return False
        try:
            async with asyncio.timeout(TIME):
                return any(await asyncio.gather(*map(self._look, due)))
        except TimeoutError:
            return False

    async def _look(self, question: Question) -> bool:
        """Ask for one record, past the aliases on the way; keep it when it is there."""
        name = question.name
        for _ in range(3):  # a key is delegated over one CNAME or two
            answer = await self._ask(Question(name, question.type))
            if isinstance(answer, Found):
                self._dns.learn(question, answer)
                return True
            if not isinstance(answer, NoData) or not answer.aliases:
                return False
            name = answer.aliases[-1]
        return False

    async def _ask(self, question: Question) -> Answer | None:
        """The first answer of one of the zone's servers."""
        try:
            zone = await zone_of(self._dns, question.name)
        except (Unavailable, NotApplicable):
            return None
        for server in zone.servers:
            answer = await self._authoritative.ask_at(server, question.name, question.type)
            if isinstance(answer, (Found, NoData, NoSuchName)):
                return answer
        return None


def _may_hold_policy(name: str) -> bool:
    """Not the registries' own names, which the tree walk passes: `_dmarc.com`."""
    return "." in name.removeprefix("_dmarc.")
