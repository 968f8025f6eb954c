"""One message on its way: known already? prepared, judged, decided; then handed to the next hop, held, or refused.

250 means that the next hop has the message, or that a durable copy is held; nothing is queued here (DESIGN section 8). What
goes wrong with us is a 4xx.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from .held import HeldError, HeldStore
from .journal import (
    Attempt,
    Conflict,
    InProgress,
    Journal,
    JournalError,
    OvertakenError,
    Replay,
    Unsure,
    explicit_key,
    fingerprint,
)
from .model import Action, Client, Incoming, MailFrom, Outcome, RcptTo
from .ports import Outgoing, Pipeline, Relay, Uncertain, Unready, Watch, unwatched
from .prepare import idempotency_key
from .reply import Reply
from .settings import Gate, Listener, Mode

OBSERVING = 2.0  # seconds that observe mode waits for the journal: mail must not wait for a disk on our account
NO_SPACE = Reply(452, "4.3.1", "the gate cannot keep its records just now, please try again")


@dataclass
class Shared:
    """What the messages of a worker share."""

    gate: Gate
    pipeline: Pipeline
    relay: Relay
    journal: Journal
    held: HeldStore | None = None
    watch: Watch = unwatched


@dataclass(frozen=True, slots=True)
class Parcel:
    """A message with its envelope, as it came."""

    octets: bytes
    trace: str
    sender: MailFrom
    recipients: tuple[RcptTo, ...]
    next_hop: str

    @property
    def addresses(self) -> tuple[str, ...]:
        """The recipients' addresses, in their order."""
        return tuple(one.address for one in self.recipients)


class Passage:
    """The way of one message. `sent`: the final dot was sent, so that there is nothing left to abort.

    `answers` is told the trace of the attempt that the reply will be about, from the moment when a retry could come too early.
    """

    def __init__(
        self,
        shared: Shared,
        listener: Listener,
        client: Client,
        parcel: Parcel,
        *,
        outgoing: Outgoing,
        answers: Callable[[str | None], None],
    ) -> None:
        self._shared, self._listener, self._client = shared, listener, client
        self._parcel, self._outgoing, self._answers = parcel, outgoing, answers
        self._begun = time.monotonic()
        self._observing = shared.gate.manner(listener).mode is Mode.OBSERVE
        self._follows: str | None = None
        self._key = b""
        self._explicit: bytes | None = None
        self._journalled = self._unjournalled = False
        self.sent = False

    async def replies(self) -> Sequence[Reply]:
        """Every step in its order; one reply, or behind an LMTP next hop one for each recipient. Raises JournalError."""
        if known := await self._known():
            return known
        outcome = await self._shared.pipeline.process(self._incoming())
        match outcome.decision.action:
            case Action.SEND:
                return await self._send(outcome)
            case Action.HOLD:
                return [await self._hold(outcome)]
            case _:
                return [outcome.decision.reply]

    def _incoming(self) -> Incoming:
        return Incoming(
            self._parcel.octets,
            self._parcel.sender.address,
            self._parcel.addresses,
            self._client,
            self._parcel.trace,
            datetime.now(UTC),
            smtputf8=self._parcel.sender.smtputf8,
            next_hop=self._parcel.next_hop,
            stream=self._listener.stream,
            signed_later=self._listener.pre_sign,
        )

    # --- sent before? ---

    async def _known(self) -> Sequence[Reply] | None:
        """What is answered without sending, because an earlier attempt's end is not known to the client."""
        parcel = self._parcel
        self._key = fingerprint(parcel.octets, parcel.sender.address, parcel.addresses, self._user)
        self._explicit = self._own_key()
        try:
            async with asyncio.timeout(OBSERVING if self._observing else None):
                earlier = await self._shared.journal.answer_for(self._key, parcel.addresses, self._explicit)
        except (JournalError, TimeoutError) as error:
            if not self._observing:
                raise
            self._without_journal(str(error) or "it does not answer")
            return None
        match earlier:
            case Replay(trace, replies):
                self._answers(trace)
                self._told("replayed", replies[0])
                return replies
            case InProgress(trace):
                return [Reply(451, "4.4.5", f"the same message is on its way just now, please try again ({trace})")]
            case Conflict(trace) if self._observing:
                self._explicit = None
                self._shared.watch("bypass", trace=self._parcel.trace, cause="observe", reason=f"its key is that of {trace}")
            case Conflict(trace):
                return [Reply(550, "5.7.1", f"the key of this message was used for another one ({trace})")]
            case Unsure(trace) if self._shared.gate.at_most_once:
                return [Reply(451, "4.4.5", f"it is not known whether this message was sent before ({trace})")]
            case Unsure(trace):
                self._follows = trace
        return None

    # --- sending ---

    async def _send(self, outcome: Outcome) -> Sequence[Reply]:
        deadline = self._begun + self._shared.gate.deadline

        attempt = self._attempt(outcome.octets)

        async def before_dot() -> None:
            await self._intend(attempt)

        try:
            replies = await self._outgoing.send(outcome.octets, before_dot, deadline)
        except Unready as unready:
            self._told("deferred" if unready.reply.temporary else "refused", unready.reply)
            if self._journalled:  # the dot was not sent after all
                self._shared.journal.unsent(self._parcel.trace)
            return [unready.reply]
        except Uncertain as uncertain:
            self.sent = True
            self._answers(None)  # whether the client hears of it or not, nobody knows what became of the message
            if self._journalled:
                self._shared.journal.uncertain(self._parcel.trace)
            self._shared.watch("uncertain", trace=self._parcel.trace, next_hop=self._parcel.next_hop, reason=str(uncertain))
            reply = Reply(451, "4.4.2", f"the next hop did not say whether it has the message ({self._parcel.trace})")
            self._told("uncertain", reply)
            return [reply]
        except BaseException:  # cancelled at the end of a drain, or a bug: the dot may be out
            if self._journalled:
                self._shared.journal.uncertain(self._parcel.trace)
            raise
        self.sent = True
        ours = [self._mirrored(reply) for reply in replies]
        accepted = any(reply.positive for reply in replies)
        refused = all(reply.permanent for reply in replies)
        await self._note(attempt, ours)
        if accepted:
            self._shared.pipeline.sent(self._parcel.trace)
        self._told("accepted" if accepted else "refused" if refused else "deferred", replies[0])
        return ours

    async def _intend(self, attempt: Attempt) -> None:
        """The intent, durable before the next hop may take the message; without it nothing is sent, but in observe mode."""
        if self._unjournalled:
            return
        try:
            async with asyncio.timeout(OBSERVING if self._observing else None):
                await self._shared.journal.before_dot(attempt)
            self._journalled = True
            self._answers(self._parcel.trace)
        except OvertakenError:
            raise Unready(
                Reply(451, "4.4.5", f"the same message is on its way just now, please try again ({self._parcel.trace})")
            ) from None
        except (JournalError, TimeoutError) as error:
            if not self._observing:
                self._shared.watch("fault", where="journal", trace=self._parcel.trace, reason=str(error))
                raise Unready(NO_SPACE) from None
            self._without_journal(str(error) or "it does not answer")

    def _without_journal(self, reason: str) -> None:
        """Observe mode goes on: a retry of this message may be sent twice, and that is counted."""
        self._unjournalled = True
        self._shared.watch("fault", where="journal", trace=self._parcel.trace, reason=reason)
        self._shared.watch("bypass", trace=self._parcel.trace, cause="journal", reason=reason)

    def _own_key(self) -> bytes | None:
        """The key that the client itself gave; a header that cannot be read has none, which the pipeline deals with."""
        try:
            own = idempotency_key(self._parcel.octets, self._client.credential)
        except Exception as error:  # noqa: BLE001 -- as in the pipeline: no message may break the gate before it is judged
            self._shared.watch("fault", where="passage", trace=self._parcel.trace, reason=f"{type(error).__name__}: {error}")
            return None
        return None if own is None else explicit_key(own, self._user)

    @property
    def _user(self) -> str | None:
        return None if self._client.credential is None else self._client.credential.name

    def _attempt(self, octets: bytes) -> Attempt:
        parcel = self._parcel
        return Attempt(
            parcel.trace,
            self._key,
            hashlib.sha256(octets).digest(),
            parcel.next_hop,
            parcel.sender.address,
            parcel.addresses,
            len(octets),
            self._user,
            self._explicit,
            follows=self._follows,
        )

    async def _note(self, attempt: Attempt, replies: Sequence[Reply]) -> None:
        """Durable where it can be; the client is told what the next hop said whatever becomes of our records."""
        if not self._journalled:
            return
        try:
            await self._shared.journal.after(attempt, replies)
        except JournalError as error:
            self._shared.watch("fault", where="journal", trace=self._parcel.trace, reason=str(error))

    def _mirrored(self, reply: Reply) -> Reply:
        """The next hop's reply with our trace id; its codes stay."""
        if reply.positive:
            return Reply(250, "2.0.0", f"{self._parcel.trace} {reply.text}")
        return Reply(reply.code, reply.enhanced, f"{reply.text} ({self._parcel.trace})")

    async def _hold(self, outcome: Outcome) -> Reply:
        """250 only when a durable copy exists."""
        held = self._shared.held
        if held is None:
            return Reply(451, "4.3.0", "the gate failed here, please try again")
        try:
            await held.keep(self._incoming(), outcome, sender=self._parcel.sender, recipients=self._parcel.recipients)
        except HeldError as error:
            self._shared.watch("fault", where="held", trace=self._parcel.trace, reason=str(error))
            return NO_SPACE
        reply = outcome.decision.reply if outcome.decision.reply.positive else Reply(250, "2.0.0", f"held {self._parcel.trace}")
        self._told("held", reply)
        return reply

    def _told(self, what: str, reply: Reply) -> None:
        self._shared.watch(
            "sent",
            trace=self._parcel.trace,
            next_hop=self._parcel.next_hop,
            what=what,
            code=reply.code,
            reply=str(reply),
            ms=round((time.monotonic() - self._begun) * 1000, 1),
        )
