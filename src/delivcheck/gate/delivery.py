"""One attempt to hand a message to its next hop, for a passage or a release: journalled before its final dot and after it.

The order makes that nothing is lost and nothing comes twice without a mark: the intent is on the disk before the dot, what the
next hop said is true whatever becomes of our records, and an end that nobody knows is uncertain.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from . import record
from .journal import Attempt, Journal, JournalError, OvertakenError
from .model import Client, MailFrom, RcptTo
from .ports import Outgoing, Relay, Uncertain, Unready, Watch
from .reply import Reply

OBSERVING = 2.0  # seconds that observe mode waits for the journal: mail must not wait for a disk on our account
NOTING = 5.0  # seconds that our answer waits for the record of what was said: below Journal's PATIENCE, as it is true anyway
NO_SPACE = Reply(452, "4.3.1", "the gate cannot keep its records just now, please try again")
LATE = Reply(451, "4.4.5", "the time for this message was over before the next hop had it")
_LEFT = Reply(451, "4.4.2", "the connection ended before the message was sent on")


def on_its_way(trace: str) -> Reply:
    """What is answered while the same message is being sent."""
    return Reply(451, "4.4.5", f"the same message is on its way just now, please try again ({trace})")


def left_of(deadline: float) -> float:
    """Seconds until then (`time.monotonic`), none below zero."""
    return max(0.0, deadline - time.monotonic())


@dataclass(slots=True)
class Hearer:
    """The client, as far as it is there to hear our reply. The journal is told whether it did, of each attempt in `about`."""

    journal: Journal
    gone: bool = False
    quits: bool = False
    about: tuple[str, ...] = ()

    def answers(self, *traces: str) -> None:
        """From now on, our reply is about these attempts."""
        self.about = traces
        if self.gone:
            for trace in traces:
                self.journal.gone(trace)

    def left(self, *, quits: bool) -> None:
        """It sends no more; should it come again, it is not told of this one's end. `quits`: it said QUIT before."""
        self.gone = True
        self.quits = self.quits or quits
        for trace in self.about:
            self.journal.gone(trace)

    def replied(self, *, written: bool) -> None:
        """Our reply was written, or could not be."""
        for trace in self.about:
            (self.journal.answered if written else self.journal.gone)(trace)
        self.about = ()

    @property
    def broke_off(self) -> bool:
        """Whether what it began is to be given up.

        A connection that ends without QUIT takes its transaction with it (RFC 5321 section 4.1.1.10), and its client comes
        again. Who said QUIT and does not wait for the answer, as mail from scripts is sent, has ended in order: that mail goes.
        """
        return self.gone and not self.quits


@dataclass(slots=True, kw_only=True)
class Attempting:
    """An attempt in the journal. `begun`: its intent is there. `observing`: mail goes on where the journal does not work."""

    journal: Journal
    watch: Watch
    attempt: Attempt
    hearer: Hearer | None = None
    observing: bool = False
    unjournalled: bool = False
    begun: bool = field(default=False, init=False)

    async def begin(self) -> None:
        """The intent, durable before anybody may have the message. Raises Unready: it must not be sent."""
        hearer, trace = self.hearer, self.attempt.trace
        self._still_there()
        if self.unjournalled:
            return
        try:
            async with asyncio.timeout(OBSERVING if self.observing else None):
                await self.journal.before_dot(self.attempt, left=hearer is not None and hearer.gone)
        except OvertakenError:
            raise Unready(on_its_way(trace)) from None
        except (JournalError, TimeoutError) as error:
            reason = str(error) or "it does not answer"
            self.watch("fault", where="journal", trace=trace, reason=reason)
            if not self.observing:
                raise Unready(NO_SPACE) from None
            self.unjournalled = True
            self.journal.note(self.attempt.notes)
            self.watch("bypass", trace=trace, cause="journal", reason=reason)
            return
        self.begun = True
        if hearer is not None:
            hearer.answers(trace)
        self._still_there()

    def _still_there(self) -> None:
        if self.hearer is not None and self.hearer.broke_off and not self.observing:
            raise Unready(_LEFT)

    def unsent(self) -> None:
        """Nobody has it."""
        if self.begun:
            self.journal.unsent(self.attempt.trace)

    def uncertain(self, replies: Sequence[Reply] = ()) -> None:
        """The next hop may have it; these are the first recipients' replies, which did come."""
        if self.begun:
            self.journal.uncertain(self.attempt.trace, replies)

    async def ended(self, replies: Sequence[Reply], *, held: bool = False) -> None:
        """What was said of it; our answer is the same whether that could be written at once, or is later."""
        if not self.begun:
            return
        try:
            async with asyncio.timeout(min(OBSERVING, NOTING) if self.observing else NOTING):
                await self.journal.after(self.attempt, replies, held=held)
        except (JournalError, TimeoutError) as error:
            self.watch("fault", where="journal", trace=self.attempt.trace, reason=str(error) or "it does not answer")


@dataclass(slots=True, kw_only=True)
class Sending(Attempting):
    """An attempt with a transaction that has taken all of its recipients. `deadline` (`time.monotonic`) is for the final dot.

    `over`: the dot was sent, so that there is nothing left to abort. `since`: from when on its time is told; `held`: the trace
    under which it was held, of a release.
    """

    outgoing: Outgoing
    octets: bytes
    deadline: float
    since: float
    held: str | None = None
    over: bool = field(default=False, init=False)

    async def replies(self) -> tuple[Reply, ...]:
        """One reply for each recipient; what goes wrong, with us or the next hop, is a 4xx."""
        trace, count = self.attempt.trace, len(self.attempt.rcpt_to)
        try:
            said = await self.outgoing.send(self.octets, self.begin, self.deadline)
        except Unready as unready:
            if self.begun:
                self.unsent()
            elif self.attempt.notes:
                self.journal.note((*self.attempt.notes, record.deferred(trace, unready.reply)))
            self._tell("deferred" if unready.reply.temporary else "refused", unready.reply)
            return (unready.reply,) * count
        except Uncertain as uncertain:
            self.over = True
            known = tuple(map(self._mirrored, uncertain.replies[:count]))
            self.uncertain(known)
            self.watch("uncertain", trace=trace, next_hop=self.attempt.next_hop, reason=str(uncertain))
            reply = Reply(451, "4.4.2", f"the next hop did not say whether it has the message ({trace})")
            self._tell("uncertain", reply)
            return (*known, *(reply,) * (count - len(known)))
        except BaseException:  # cancelled at the end of a drain, or a bug: the dot may be out
            self.uncertain()
            raise
        self.over = True
        ours = tuple(map(self._mirrored, said))
        await self.ended(ours)
        taken = next((reply for reply in ours if reply.positive), None)
        if taken is not None:
            self._tell("accepted", taken)
        else:
            self._tell("refused" if all(reply.permanent for reply in ours) else "deferred", ours[0])
        return ours * count if len(ours) == 1 else ours

    def _mirrored(self, reply: Reply) -> Reply:
        """The next hop's reply with our trace id; its codes stay."""
        if reply.positive:
            return Reply(250, "2.0.0", f"{self.attempt.trace} {reply.text}")
        return Reply(reply.code, reply.enhanced, f"{reply.text} ({self.attempt.trace})")

    def _tell(self, what: str, reply: Reply) -> None:
        self.watch(
            "sent",
            trace=self.attempt.trace,
            held=self.held,
            next_hop=self.attempt.next_hop,
            what=what,
            code=reply.code,
            reply=str(reply),
            ms=round((time.monotonic() - self.since) * 1000, 1),
        )


async def opened(
    relay: Relay, next_hop: str, sender: MailFrom, client: Client, *, recipients: Sequence[RcptTo], deadline: float
) -> tuple[Outgoing | None, list[Reply]]:
    """A new transaction, None where it takes nobody, and what was said of each recipient."""
    outgoing = None
    try:
        async with asyncio.timeout(left_of(deadline)):
            outgoing = await relay.open(next_hop, sender, client)
            said = [await outgoing.rcpt(recipient) for recipient in recipients]
    except Unready as unready:
        return None, [unready.reply] * len(recipients)
    except TimeoutError:
        said = [LATE] * len(recipients)
    except BaseException:
        if outgoing is not None:
            await outgoing.abort()
        raise
    if outgoing is not None and not any(reply.positive for reply in said):
        await outgoing.abort()
        outgoing = None
    return outgoing, said
