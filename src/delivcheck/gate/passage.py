"""One message on its way: known already? prepared, judged, decided; then handed to the next hop, held, or refused.

250 means that the next hop has the message, or that a durable copy is held; nothing is queued here (DESIGN section 8). What
goes wrong with us is a 4xx.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from . import delivery
from .delivery import LATE, NO_SPACE, Attempting, Hearer, Sending, left_of, on_its_way, opened
from .held import Entry, HeldError, HeldStore
from .journal import Attempt, Conflict, Earlier, InProgress, Journal, JournalError, Known, explicit_key, fingerprint
from .model import Action, Client, Incoming, MailFrom, Outcome, RcptTo
from .ports import Outgoing, Pipeline, Relay, Unready, Watch, unwatched
from .prepare import idempotency_key
from .reply import Reply
from .settings import Gate, Kind, Listener, Mode

ANSWERED_EACH = frozenset({Kind.LMTP, Kind.HTTP})  # whose clients are told of each recipient

_MESSAGE_ID = re.compile(rb"^message-id[ \t]*:(?:[ \t]|\r\n[ \t])*[^ \t\r\n]", re.IGNORECASE | re.MULTILINE)


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
    key: str | None = None  # the client's own, beside the one that its header may have
    return_path: MailFrom | None = None  # a signed one of ours, with which it is sent

    @property
    def sent_from(self) -> MailFrom:
        """The sender that the next hop is told, and that is judged."""
        return self.return_path or self.sender


class Passage:
    """The way of one message, from the end of its DATA: the gate's deadline counts from here, for everything.

    `outgoing` is the transaction that has taken all recipients; it is ended here, too.
    """

    def __init__(
        self, shared: Shared, listener: Listener, client: Client, parcel: Parcel, *, outgoing: Outgoing, hearer: Hearer
    ) -> None:
        self._shared, self._listener, self._client = shared, listener, client
        self._parcel, self._outgoing, self._hearer = parcel, outgoing, hearer
        self._begun = time.monotonic()
        self._deadline = self._begun + shared.gate.deadline
        self._observing = shared.gate.manner(listener).mode is Mode.OBSERVE
        self._key = fingerprint(parcel.octets, parcel.sender.address, self._user)
        self._explicit = self._own_key()
        self._named = _MESSAGE_ID.search(parcel.octets, 0, _end_of_header(parcel.octets)) is not None
        self._known = Known((None,) * len(parcel.recipients))
        self._unjournalled = False
        self._next_hop = parcel.next_hop  # where it goes in the end: a sending rule may have it changed
        self.earlier: Earlier | None = None  # what the journal knows of it
        self.outcome: Outcome | None = None  # what judging it came to
        self._attempted: Attempting | None = None

    @property
    def trace(self) -> str:
        """The name of the message."""
        return self._parcel.trace

    async def replies(self) -> Sequence[Reply]:
        """Every step in its order; one reply, or behind LMTP one for each recipient."""
        try:
            each = await self._each()
        except BaseException:
            self._take_back()
            raise
        finally:
            if not (isinstance(self._attempted, Sending) and self._attempted.over):
                await self._outgoing.abort()
        return self._closing(each)

    async def _each(self) -> list[Reply]:
        """A reply for each recipient."""
        count = len(self._parcel.recipients)
        if (ended := await self._look_up()) is not None:
            return [ended] * count
        said = list(self._known.replies)
        rest = [index for index, reply in enumerate(said) if reply is None]
        if len(rest) < count:
            self._told("replayed", next(reply for reply in said if reply is not None))
        if rest:
            replies = await self._hand_on(tuple(self._parcel.recipients[index] for index in rest))
            for index, reply in zip(rest, replies, strict=True):
                said[index] = reply
        return [reply for reply in said if reply is not None]

    def _closing(self, each: Sequence[Reply]) -> Sequence[Reply]:
        """What the client is told, and of which attempts it then knows."""
        begun = self._attempted is not None and self._attempted.begun
        mine = (self._parcel.trace,) if begun else ()
        if self._listener.kind in ANSWERED_EACH:
            self._hearer.answers(*self._known.replayed, *mine)
            return each
        # One reply for all (SMTP): where some have it and some are to come again, the client comes again for all of them.
        reply = next((one for one in each if one.temporary), None) or next((one for one in each if one.permanent), each[0])
        if reply.positive:
            self._hearer.answers(*self._known.replayed, *mine)
            return [reply]
        self._take_back()
        if any(one.positive for one in each):
            self._hearer.answers()
            for trace in mine:
                self._shared.journal.gone(trace)
        return [reply]

    def _take_back(self) -> None:
        """The client is not told what it was to be told again."""
        for trace in self._known.replayed:
            self._shared.journal.unheard(trace)

    # --- sent before? ---

    async def _look_up(self) -> Reply | None:
        """What is known of it; a reply where that ends it here, because an earlier attempt's end is not known to the client."""
        shared, parcel = self._shared, self._parcel
        addresses = tuple(one.address for one in parcel.recipients)
        left = left_of(self._deadline)
        try:
            async with asyncio.timeout(min(delivery.OBSERVING, left) if self._observing else left):
                earlier = await shared.journal.answer_for(self._key, addresses, self._explicit, named=self._named)
        except (JournalError, TimeoutError) as error:
            reason = str(error) or "it does not answer"
            shared.watch("fault", where="journal", trace=parcel.trace, reason=reason)
            if not self._observing:
                return LATE if isinstance(error, TimeoutError) else NO_SPACE
            self._unjournalled = True  # a retry of this message may be sent twice, and that is counted
            shared.watch("bypass", trace=parcel.trace, cause="journal", reason=reason)
            return None
        self.earlier = earlier
        match earlier:
            case Known():
                self._known = earlier
            case InProgress(trace):
                return on_its_way(trace)
            case Conflict(trace) if self._observing:
                self._explicit = None
                shared.watch("bypass", trace=parcel.trace, cause="observe", reason=f"its key is that of {trace}")
            case Conflict(trace):
                return Reply(550, "5.7.1", f"the key of this message was used for another one ({trace})")
        return None

    async def _held_already(self, recipients: Sequence[RcptTo]) -> str | None:
        """The trace of an earlier attempt that is held here for all of these: a crash came between holding and saying so."""
        store = self._shared.held
        if store is None or not self._named or self._observing:  # observing waits for no disk
            return None
        for trace in self._known.follows:
            try:
                async with asyncio.timeout(left_of(self._deadline)):
                    entry = await store.work(store.entry, trace)
            except (HeldError, TimeoutError):  # where its time is over, nothing becomes of this message either
                continue
            if {one.address for one in recipients} <= {one.address for one in entry.recipients}:
                return trace
        return None

    def _own_key(self) -> bytes | None:
        """The key that the client itself gave; a header that cannot be read has none, which the pipeline deals with."""
        try:
            own = self._parcel.key or idempotency_key(self._parcel.octets, self._client.credential)
        except Exception as error:  # noqa: BLE001 -- as in the pipeline: no message may break the gate before it is judged
            self._shared.watch("fault", where="passage", trace=self._parcel.trace, reason=f"{type(error).__name__}: {error}")
            return None
        return None if own is None else explicit_key(own, self._user)

    @property
    def _user(self) -> str | None:
        return None if self._client.credential is None else self._client.credential.name

    # --- judged ---

    async def _hand_on(self, recipients: tuple[RcptTo, ...]) -> Sequence[Reply]:
        """A reply for each of those recipients who do not have it yet."""
        count = len(recipients)
        if (trace := await self._held_already(recipients)) is not None:
            reply = Reply(250, "2.0.0", f"held {trace}")
            self._told("replayed", reply)
            return [reply] * count
        if self._known.unsure and self._shared.gate.at_most_once:
            text = f"it is not known whether this message was sent before ({self._known.unsure[0]})"
            return [Reply(451, "4.4.5", text)] * count
        shared, incoming = self._shared, self._incoming(recipients)
        outcome = self.outcome = await shared.pipeline.process(incoming)
        match outcome.decision.action:
            case Action.SEND:
                return await self._send(outcome, recipients)
            case Action.HOLD:
                reply = await self._hold(incoming, outcome, recipients)
                self._told("held" if reply.positive else "deferred", reply)
                return [reply] * count
            case _:
                shared.journal.note(outcome.notes)
                return [outcome.decision.reply] * count

    def _incoming(self, recipients: Sequence[RcptTo]) -> Incoming:
        return Incoming(
            self._parcel.octets,
            self._parcel.sent_from.address,
            tuple(one.address for one in recipients),
            self._client,
            self._parcel.trace,
            datetime.now(UTC),
            smtputf8=self._parcel.sender.smtputf8,
            next_hop=self._parcel.next_hop,
            stream=self._listener.stream,
            written_from=None if self._parcel.return_path is None else self._parcel.sender.address,
            signed_later=self._listener.pre_sign,
            deadline=self._deadline,
        )

    # --- sent ---

    async def _send(self, outcome: Outcome, recipients: Sequence[RcptTo]) -> Sequence[Reply]:
        parcel, shared = self._parcel, self._shared
        said = [Reply(250, None, "")] * len(recipients)
        self._next_hop = outcome.next_hop or parcel.next_hop
        # The transaction that is open has taken those who have it, too, or is not with the hop that a sending rule names.
        if len(recipients) < len(parcel.recipients) or self._next_hop != parcel.next_hop:
            await self._outgoing.abort()
            outgoing, said = await opened(
                shared.relay, self._next_hop, parcel.sent_from, self._client, recipients=recipients, deadline=self._deadline
            )
            if outgoing is None:
                return said
            self._outgoing = outgoing
        taken = [one for one, reply in zip(recipients, said, strict=True) if reply.positive]
        sending = self._attempted = Sending(
            journal=shared.journal,
            watch=shared.watch,
            attempt=self._attempt(outcome.octets, taken, outcome.notes),
            hearer=self._hearer,
            observing=self._observing,
            unjournalled=self._unjournalled,
            outgoing=self._outgoing,
            octets=outcome.octets,
            deadline=self._deadline,
            since=self._begun,
        )
        final = await sending.replies()
        if any(reply.positive for reply in final):
            shared.pipeline.sent(parcel.trace)
        each = iter(final)
        return [next(each) if reply.positive else reply for reply in said]

    def _attempt(self, octets: bytes, recipients: Sequence[RcptTo], notes: tuple[bytes, ...]) -> Attempt:
        return Attempt(
            self._parcel.trace,
            self._key,
            hashlib.sha256(octets).digest(),
            self._next_hop,
            self._parcel.sent_from.address,
            tuple(one.address for one in recipients),
            len(octets),
            self._user,
            self._explicit,
            follows=self._known.follows,
            notes=notes,
        )

    # --- held ---

    async def _hold(self, incoming: Incoming, outcome: Outcome, recipients: Sequence[RcptTo]) -> Reply:
        """250 only when a durable copy exists. It is journalled as a sending is: a retry must not be held again."""
        shared, trace = self._shared, self._parcel.trace
        if shared.held is None:
            return Reply(451, "4.3.0", "the gate failed here, please try again")
        attempt = self._attempt(incoming.octets, recipients, outcome.notes)
        holding = self._attempted = Attempting(
            journal=shared.journal, watch=shared.watch, attempt=attempt, hearer=self._hearer, observing=self._observing
        )
        said = outcome.decision.reply
        reply = said if said.positive else Reply(250, "2.0.0", f"held {trace}")
        try:
            async with asyncio.timeout(left_of(self._deadline)):
                await holding.begin()
        except Unready as unready:
            return unready.reply
        except TimeoutError:
            return LATE
        keeping = asyncio.ensure_future(
            shared.held.keep(incoming, outcome, sender=self._parcel.sender, recipients=recipients, until=self._deadline)
        )
        try:
            async with asyncio.timeout(left_of(self._deadline)):
                await asyncio.shield(keeping)
        except HeldError as error:
            holding.unsent()
            shared.watch("fault", where="held", trace=trace, reason=str(error))
            return NO_SPACE
        except TimeoutError:
            self._later(holding, keeping, reply)
            shared.watch("fault", where="held", trace=trace, reason="the disk has not answered in time")
            return LATE
        except BaseException:
            self._later(holding, keeping, reply)
            raise
        await holding.ended([reply], held=True)
        return reply

    def _later(self, holding: Attempting, keeping: "asyncio.Future[Entry]", reply: Reply) -> None:
        """Nobody waits for the disk any more: a retry is told to come again until it has answered, and then what it did."""
        journal, attempt = self._shared.journal, holding.attempt
        self._hearer.answers()
        holding.begun = False  # what the client is told now is not its end
        journal.gone(attempt.trace)

        def done(keeping: "asyncio.Future[Entry]") -> None:
            if keeping.cancelled():
                journal.uncertain(attempt.trace)
            elif keeping.exception() is not None:
                journal.unsent(attempt.trace)
            else:
                journal.held(attempt, reply)

        keeping.add_done_callback(done)

    def _told(self, what: str, reply: Reply) -> None:
        self._shared.watch(
            "sent",
            trace=self._parcel.trace,
            held=None,
            next_hop=self._next_hop,
            what=what,
            code=reply.code,
            reply=str(reply),
            ms=round((time.monotonic() - self._begun) * 1000, 1),
        )


def _end_of_header(octets: bytes) -> int:
    found = octets.find(b"\r\n\r\n")
    return len(octets) if found < 0 else found
