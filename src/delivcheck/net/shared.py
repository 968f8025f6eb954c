"""One set of answers for several audits: what one has asked, the others are told, and what each was told is kept."""

import asyncio

from ..model import Answer, Question
from .client import Client, Over, normal


class Shared(Over):
    """Asks the client beneath each question once, however many ask and whenever, and whatever came of it.

    Unlike a cache it keeps timeouts, too: two audits that are compared must not differ because DNS was luckier the second time.
    """

    def __init__(self, beneath: Client) -> None:
        super().__init__(beneath)
        self._asked: dict[Question, asyncio.Task[Answer]] = {}

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer as the first time."""
        question = normal(name, type)
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.create_task(self.beneath.ask(question.name, question.type))
        return await asyncio.shield(task)  # who stops waiting does not take the answer from the others

    async def close(self) -> None:
        """Let go of questions that nobody waits for any more."""
        for task in self._asked.values():
            task.cancel()
        await asyncio.gather(*self._asked.values(), return_exceptions=True)


class Noted(Over):
    """Keeps what one audit was told. Unlike a Recorder it has no clock, and the client beneath need not know its age."""

    def __init__(self, beneath: Client) -> None:
        super().__init__(beneath)
        self.answers: dict[Question, Answer] = {}

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer from beneath."""
        answer = self.answers[normal(name, type)] = await self.beneath.ask(name, type)
        return answer
