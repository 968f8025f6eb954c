"""The desk: what the gate's HTTP side has before it, the Web Service, the collector and the pages alike.

It is one process beside the workers (`serve.clerk`), so that a page with plots never holds up a message. It brings the
journal's outbox into the store, and hands in what comes by HTTP exactly as what comes by SMTP.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import ParamSpec, Protocol, TypeVar

from ..config import Config
from ..trace.records import Record
from ..trace.store import Store
from ..trace.tokens import Tokens
from .held import HeldStore
from .model import Credential, Outcome
from .ports import Watch
from .reply import Reply
from .settings import Gate

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Copy:
    """One content for those recipients who share it; an address stands in one copy only."""

    octets: bytes  # CRLF line ends
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What became of one recipient: the next hop's reply, or ours. `trace` is the message that the recipient was in."""

    recipient: str
    trace: str
    reply: Reply  # 2xx: the next hop has it, or (`held`) a durable copy is here
    held: bool = False
    ours: bool = False  # the reply is the gate's own, not a next hop's
    outcome: Outcome | None = None  # of judging; None where it did not come to that


class Handing(Protocol):
    """Hands in mail that comes by HTTP; the same rules, journal and next hops as for a listener."""

    async def submit(
        self, credential: Credential, sender: str, copies: Sequence[Copy], *, ip: str | None = None, key: str | None = None
    ) -> list[Said]:
        """Judge and send, each next hop and each personal copy in a transaction of its own; one `Said` for each recipient.

        `key` is the client's Idempotency-Key: what was sent under it is answered from the journal. Octets must then be the same
        each time: no Date, Message-ID or boundary made up on the way (the gate adds the first two). Another content under the
        same key is `Conflicting`, the same one that is being sent just now `Underway`. Never raises anything else.
        """
        ...

    async def check(self, credential: Credential, sender: str, copy: Copy, *, ip: str | None = None) -> Outcome:
        """Judge, and send nothing. Never raises."""
        ...

    async def release(self, trace: str, *, who: str) -> Said:
        """Release held mail: the same octets, judged again. Raises held.HeldError."""
        ...


class Conflicting(Exception):  # noqa: N818 -- an answer, no error
    """The key was used for another content (HTTP 409)."""


class Underway(Exception):  # noqa: N818 -- an answer, no error
    """What has this key is being sent just now (HTTP 409, come again)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that a request can need. Blocking calls (`store`, `held`) go through `work`."""

    config: Config
    gate: Gate
    store: Store
    tokens: Tokens
    handing: Handing
    note: Callable[[Sequence[Record]], Awaitable[None]]  # durable when it returns, in the store soon after; raises JournalError
    held: HeldStore | None
    watch: Watch
    waiting: Callable[[], Awaitable[int]] | None = None  # records in the outbox, about; raises JournalError

    async def work(self, function: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
        """Have something blocking done in a thread."""
        return await asyncio.to_thread(function, *values, **named)
