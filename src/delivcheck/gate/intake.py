"""What stands behind a listener of kind "bounces": it takes mail to our own addresses only, and keeps nothing of it but events.

Strangers talk to it, from the whole Internet. What is no address of ours, signed or named in the configuration, is refused at
RCPT (no backscatter, no relaying); what is not understood is taken and forgotten, since nobody could do anything about it.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from ..trace.bounces import paths
from ..trace.bounces.reading import MAX_OCTETS
from ..trace.intake import Find, ReportError, TooEarlyError, take_in
from ..trace.records import Event
from ..trace.store import StoreError
from ..trace.tokens import BadToken, Tokens
from ..trace.tracking.leaving import PREFIX as LEAVING
from .journal import JournalError
from .model import Client, Credential, Extensions, MailFrom, RcptTo
from .ports import Watch, unwatched
from .reply import Reply
from .settings import Bounces

AT_ONCE = 4  # messages that are read at the same time in one worker: each may have 25 MB
_NOBODY = Reply(550, "5.1.1", "there is no such mailbox")
_TAKEN = Reply(250, "2.0.0", "thank you")
_LATER = Reply(451, "4.3.0", "this cannot be taken in just now, please try again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What all such connections of a worker share. `leaving` is `mailto` of [gate.unsubscribe], "" where there is none."""

    settings: Bounces
    tokens: Tokens
    find: Find
    note: Callable[[Sequence[Event]], Awaitable[None]]  # durable when it returns; raises JournalError
    leaving: str = ""
    watch: Watch = unwatched
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    def handler(self) -> "Receiving":
        """What stands behind a new connection."""
        return Receiving(self)

    def takes(self, address: str) -> bool:
        """Whether mail to this address is ours."""
        low = address.lower()
        local, _, domain = low.rpartition("@")
        if low in self.settings.addresses or (self.leaving and low == self.leaving.lower()):
            return True
        if self.leaving.startswith("@") and domain == self.leaving[1:].lower() and local.startswith(LEAVING):
            return True  # whose it is, its message says
        try:
            paths.opened(self.tokens, address, self.settings.domain)
        except BadToken:
            return False
        return True

    async def take(self, octets: bytes, recipients: Sequence[str]) -> Reply:
        """One message; positive only when its events are on the disk."""
        domain, now = self.settings.domain, time.time_ns() // 1_000_000
        try:
            async with self.room:
                events = await asyncio.to_thread(
                    take_in, octets, recipients, self.tokens, domain=domain, find=self.find, now=now
                )
            if events:
                await self.note(events)
        except ReportError:
            return _TAKEN
        except TooEarlyError:
            return _LATER
        except (StoreError, JournalError) as error:
            self.watch("fault", where="intake", reason=str(error))
            return _LATER
        return _TAKEN


class Receiving:
    """The `ports.Handler` of one connection."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._recipients: list[str] = []

    async def extensions(self, client: Client) -> Extensions:  # noqa: ARG002 -- the handler's shape
        """Reports may be in UTF-8 (RFC 6533), and return what was sent."""
        return Extensions(eight_bit=True, smtputf8=True, size=MAX_OCTETS)

    async def authenticate(self, client: Client, user: str, password: str) -> Credential | None:  # noqa: ARG002 -- the same
        """Nobody logs in here."""
        return None

    async def mail(self, client: Client, sender: MailFrom) -> Reply:  # noqa: ARG002 -- the handler's shape
        """Whoever it is: a report comes from the null sender, a complaint from a mailbox. Neither proves anything."""
        self._recipients = []
        return Reply(250, "2.1.0", "go on")

    async def rcpt(self, client: Client, recipient: RcptTo) -> Reply:  # noqa: ARG002 -- the handler's shape
        """Only ours."""
        if not self._intake.takes(recipient.address):
            return _NOBODY
        self._recipients.append(recipient.address)
        return Reply(250, "2.1.5", "go on")

    async def message(self, client: Client, octets: bytes) -> Sequence[Reply]:  # noqa: ARG002 -- the handler's shape
        """Take it in."""
        recipients, self._recipients = self._recipients, []
        return [await self._intake.take(octets, recipients)]

    def gone(self, client: Client, *, quits: bool) -> None:
        """The client does not wait: what it brought is taken in all the same, and once."""

    async def replied(self, client: Client, *, written: bool) -> None:
        """A report that comes again gives the same events."""

    async def reset(self, client: Client) -> None:  # noqa: ARG002 -- the handler's shape
        """Forget the recipients."""
        self._recipients = []
