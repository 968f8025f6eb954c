"""What all DNS clients share: their shape, the one form of a question, and chains of aliases."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from ..model import Answer, Dns, DnsUse, Failed, Failure, Found, NoSuchName, Question

MAX_ALIASES = 8  # CNAMEs on the way to one answer; dnspython follows 16; DKIM keys and reports are delegated over 1 to 4
MAX_TTL = 604_800  # seconds; RFC 8767 section 4 asks for a cap of days to weeks and recommends this one
DEFAULT_TTL = 300  # seconds, where nobody stated one

_LABEL = re.compile(r"(?:[^.\\]|\\.)+", re.DOTALL)  # a backslash takes the next character with it, RFC 1035 section 5.1


class Client(Dns, Protocol):
    """A DNS client that can say what it cost."""

    def use(self) -> DnsUse:
        """Questions sent on the wire and rounds of waiting, since the client was made."""
        ...

    @property
    def snapshot_age_s(self) -> int | None:
        """How old the answers are, in seconds, if they come from a snapshot."""
        ...


class Over:
    """A client laid over another one: cost and age are those of the client beneath."""

    def __init__(self, beneath: Client) -> None:
        self.beneath = beneath

    def use(self) -> DnsUse:
        """What the client beneath cost."""
        return self.beneath.use()

    @property
    def snapshot_age_s(self) -> int | None:
        """The age of the client beneath."""
        return self.beneath.snapshot_age_s


class Closed:
    """The client beneath which there is nothing: what was not listed above it does not exist (`--zone-only`)."""

    snapshot_age_s: int | None = None

    async def ask(self, name: str, type: str) -> Answer:  # noqa: A002, ARG002 -- the protocol's words
        """No name exists."""
        return NoSuchName(DEFAULT_TTL)

    def use(self) -> DnsUse:
        """Nothing was asked."""
        return DnsUse()


# --- names -------------------------------------------------------------------------------------------------------


def normal(name: str, type: str) -> Question:  # noqa: A002 -- the DNS word
    r"""The one form a question is kept under: lower case, without the final dot, the type upper case.

    Names are in presentation form (RFC 1035 section 5.1), so `\.` is a dot inside a label.
    """
    name = name.lower()
    if name.endswith("."):
        escapes = len(name) - 1 - len(name[:-1].rstrip("\\"))
        if escapes % 2 == 0:
            name = name[:-1]
    return Question(name, type.upper())


def labels(name: str) -> list[str]:
    """The labels of a name in presentation form; none for the root."""
    return _LABEL.findall(name) if "\\" in name else name.split(".") if name else []


def upward(name: str) -> Iterator[str]:
    """The name, its parent, and so on to the root ""."""
    parts = labels(name)
    for start in range(len(parts) + 1):
        yield ".".join(parts[start:])


# --- chains ------------------------------------------------------------------------------------------------------


class Chain:
    """The CNAMEs passed between a question and its answer, put together from as many replies as it took."""

    def __init__(self, name: str) -> None:
        self._start = name
        self._aliases: list[str] = []
        self._ttl = MAX_TTL
        self._authentic = True

    def follow(self, targets: tuple[str, ...], ttl: int, authentic: bool) -> Failed | None:
        """Add aliases. A loop or a chain without end is an error of the zone, so nothing is known (RFC 1034 section 3.6.2)."""
        for target in targets:
            if target == self._start or target in self._aliases:
                return Failed(Failure.SERVFAIL, f"the CNAME records of {self._start} lead back to {target}")
            self._aliases.append(target)
        if len(self._aliases) > MAX_ALIASES:
            return Failed(Failure.SERVFAIL, f"more than {MAX_ALIASES} CNAME records follow on {self._start}")
        self._ttl = min(self._ttl, ttl)
        self._authentic = self._authentic and authentic
        return None

    def end(self, answer: Answer) -> Answer:
        """The answer as the question that began the chain sees it."""
        if not self._aliases and not getattr(answer, "aliases", ()):
            return answer
        if isinstance(answer, Failed):
            return Failed(answer.kind, f"{answer.detail or answer.kind} at its CNAME target {self._aliases[-1]}")
        authentic = isinstance(answer, Found) and answer.authentic
        if failed := self.follow(answer.aliases, answer.ttl, authentic):
            return failed
        if isinstance(answer, Found):
            return replace(answer, ttl=self._ttl, authentic=self._authentic, aliases=tuple(self._aliases))
        return replace(answer, ttl=self._ttl, aliases=tuple(self._aliases))
