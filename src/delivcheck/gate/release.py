"""Release of held mail: it is judged again, and what passes is handed to its next hop, once.

Who sent it was told 250 when it was held, so nothing may be lost from here on: a recipient whose copy the next hop does not
take, for whatever reason, stays held with that reason.
"""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from . import trace as traces
from .held import Entry, HeldStore
from .journal import Attempt, Conflict, Fresh, InProgress, Journal, JournalError, OvertakenError, Replay, Unsure, fingerprint
from .model import Action, Decision, RcptTo
from .ports import NoRoute, Outgoing, Pipeline, Relay, Uncertain, Unready, Watch, unwatched
from .reply import Reply
from .settings import DEADLINE

_NO_RECORD = Reply(452, "4.3.1", "the gate cannot keep its records just now")

Said = list[tuple[RcptTo, Reply]]  # what a next hop said of each recipient, in their order


@dataclass(frozen=True, slots=True)
class Released:
    """What became of an entry. `replies`: what was said of each recipient's address; none where it did not pass.

    `left` are the addresses that are still held.
    """

    trace: str
    decision: Decision
    replies: tuple[tuple[str, Reply], ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Releaser:
    """What a release needs. `at_most_once`: what may have been sent before is not sent again (`Journal.settle` decides)."""

    store: HeldStore
    pipeline: Pipeline
    relay: Relay
    journal: Journal
    watch: Watch = field(default=unwatched)
    at_most_once: bool = False
    deadline: float = DEADLINE  # from the end of judging to the final dot

    async def release(self, trace: str) -> Released:
        """Judge an entry again, and send it if it passes. Raises HeldError, JournalError: what was not sent is still held."""
        with self.store.claimed(trace) as entry:
            octets = await asyncio.to_thread(self.store.octets, entry)
            outcome = await self.pipeline.process(entry.incoming(octets))
            if outcome.decision.action is not Action.SEND:
                return Released(trace, outcome.decision, left=tuple(one.address for one in entry.recipients))
            said: Said = []
            accepted: list[str] = []
            removed = False
            try:
                groups, nowhere = self._by_next_hop(entry.recipients)
                said += nowhere
                for next_hop, recipients in groups.items():
                    copy = _Copy(
                        by=self, entry=entry, octets=octets, next_hop=next_hop, recipients=recipients, accepted=accepted
                    )
                    said += await copy.send(outcome.octets)
                left = [(recipient, reply) for recipient, reply in said if not reply.positive]
                reason = str(left[0][1]) if left else ""
                await asyncio.to_thread(self.store.narrow, entry, [recipient for recipient, _ in left], reason)
                removed = True
            finally:
                # The entry plays the client, and knows once it is gone from the disk. Until then a second release is a retry,
                # and is told by the journal what was sent already.
                for one in accepted:
                    (self.journal.answered if removed else self.journal.gone)(one)
        return Released(
            trace,
            outcome.decision,
            tuple((recipient.address, reply) for recipient, reply in said),
            tuple(recipient.address for recipient, _ in left),
        )

    def _by_next_hop(self, recipients: Sequence[RcptTo]) -> tuple[dict[str, list[RcptTo]], Said]:
        """Who goes where, and what is said of those for whom the configuration has no next hop any more."""
        groups: dict[str, list[RcptTo]] = {}
        nowhere: Said = []
        for recipient in recipients:
            try:
                groups.setdefault(self.relay.route(recipient.address), []).append(recipient)
            except NoRoute:
                nowhere.append((recipient, Reply(550, "5.7.1", "there is no next hop for this recipient")))
        return groups, nowhere


@dataclass(frozen=True, kw_only=True)
class _Copy:
    """The part of an entry that goes to one next hop. To `accepted` it adds the trace of what the next hop has taken."""

    by: Releaser
    entry: Entry
    octets: bytes  # as they came
    next_hop: str
    recipients: Sequence[RcptTo]
    accepted: list[str]

    @property
    def addresses(self) -> tuple[str, ...]:
        """The recipients, without what RCPT said beside."""
        return tuple(one.address for one in self.recipients)

    @cached_property
    def key(self) -> bytes:
        """The entry's trace stands where a client's name does: no client's retry has this key, and a second release does."""
        return fingerprint(self.octets, self.entry.sender.address, self.addresses, f"held {self.entry.trace}")

    async def send(self, octets: bytes) -> Said:
        """What is said of each recipient; a fault of ours or of the next hop is a 4xx. Raises JournalError, before the dot."""
        follows = None
        match await self.by.journal.answer_for(self.key, self.addresses):
            case Fresh():
                pass
            case Replay(trace, replies):
                self.accepted.append(trace)
                return list(zip(self.recipients, replies, strict=True))
            case Unsure(trace) if not self.by.at_most_once:
                follows = trace
            case Unsure(trace):
                return self._all(Reply(451, "4.4.5", f"it is not known whether it was sent before ({trace})"))
            case InProgress(trace) | Conflict(trace):
                return self._all(Reply(451, "4.4.5", f"it is being sent just now ({trace})"))
        try:
            outgoing = await self.by.relay.open(self.next_hop, self.entry.sender, self.entry.client())
        except Unready as unready:
            return self._all(unready.reply)
        attempt = Attempt(
            traces.new(),
            self.key,
            hashlib.sha256(octets).digest(),
            self.next_hop,
            self.entry.sender.address,
            self.addresses,
            len(octets),
            None if self.entry.credential is None else self.entry.credential.name,
            follows=follows,
        )
        return await self._through(outgoing, attempt, octets)

    async def _through(self, outgoing: Outgoing, attempt: Attempt, octets: bytes) -> Said:
        """The transaction. Where only some recipients are taken, the journal has the replies to all, so that none is lost."""
        ended = False
        try:
            said = [(recipient, await outgoing.rcpt(recipient)) for recipient in self.recipients]
            taken = sum(reply.positive for _, reply in said)
            if not taken:
                return said
            final, ended = await self._data(outgoing, attempt, octets)
            each = iter(final if len(final) == taken else [*final[:1]] * taken)  # LMTP says one for each that it took
            said = [(recipient, next(each) if reply.positive else reply) for recipient, reply in said]
        finally:
            if not ended:
                await outgoing.abort()
        if ended:
            await self._note(attempt, [reply for _, reply in said])
        return said

    async def _data(self, outgoing: Outgoing, attempt: Attempt, octets: bytes) -> tuple[Sequence[Reply], bool]:
        """The replies to the final dot, and whether the next hop itself has spoken."""
        begun = False

        async def before_dot() -> None:
            nonlocal begun
            try:
                await self.by.journal.before_dot(attempt)
            except (JournalError, OvertakenError):
                raise Unready(_NO_RECORD) from None
            begun = True

        try:
            return await outgoing.send(octets, before_dot, time.monotonic() + self.by.deadline), True
        except Unready as unready:
            if begun:
                self.by.journal.unsent(attempt.trace)
            return [unready.reply], False
        except Uncertain as uncertain:
            self.by.journal.uncertain(attempt.trace)
            self.by.watch("uncertain", trace=attempt.trace, next_hop=self.next_hop, reason=str(uncertain))
            return [Reply(451, "4.4.2", f"the next hop did not say whether it has the message ({attempt.trace})")], False
        except BaseException:  # cancelled, or a bug: the dot may be out
            if begun:
                self.by.journal.uncertain(attempt.trace)
            raise

    async def _note(self, attempt: Attempt, replies: Sequence[Reply]) -> None:
        if any(reply.positive for reply in replies):
            self.accepted.append(attempt.trace)
        try:
            await self.by.journal.after(attempt, replies)
        except JournalError as error:  # it is written later; what the next hop said is true all the same
            self.by.watch("fault", where="journal", trace=attempt.trace, reason=str(error))

    def _all(self, reply: Reply) -> Said:
        return [(recipient, reply) for recipient in self.recipients]
