"""A client that notices when its name server does not see the public DNS, whose "no such name" then proves nothing.

Build machines and company networks often have a resolver that knows the names inside, and says of all others that they do not
exist. It says so of `com`, too, and that gives it away (RFC 8020: where a name does not exist, nothing below it does).
"""

from ..model import Answer, Failed, Failure, NoSuchName
from ..records.names import has_known_suffix
from .client import Over, labels, normal


class Outside(Over):
    """Lets through every answer but one: no such name, from a server for which the top-level domain does not exist, either.

    Costs one question for each top-level domain under which a name was missing.
    """

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002 -- the DNS word
        """Answer; Failed instead of NoSuchName where the server does not even know the top-level domain."""
        answer = await self.beneath.ask(name, type)
        if not isinstance(answer, NoSuchName) or answer.aliases:
            return answer
        top = labels(normal(name, type).name)[-1:]
        if not top or not has_known_suffix(top[0]):  # "internal" and slips like "example.cmo" are missing outside, too
            return answer
        if isinstance(await self.beneath.ask(top[0], "NS"), NoSuchName):
            return Failed(Failure.REFUSED, f"not even {top[0]} exists there: no view of the public DNS")
        return answer
