"""Release of held mail: it is judged again, for the next hops it goes to now, and what passes is handed to them, once.

Who sent it was told 250 when it was held, so nothing may be lost from here on: a recipient whose copy the next hop does not
take, for whatever reason, stays held with that reason.
"""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .. import ulid
from . import record
from .delivery import Sending, opened
from .held import Entry, HeldStore
from .journal import Attempt, Journal, Known, explicit_key, fingerprint
from .model import Action, Decision, Outcome, RcptTo
from .ports import NoRoute, Pipeline, Relay, Watch, unwatched
from .reply import Reply
from .return_path import ReturnPaths
from .settings import DEADLINE

_NOWHERE = Reply(550, "5.7.1", "there is no next hop for this recipient")

Said = list[tuple[RcptTo, Reply]]  # what was said of each recipient


@dataclass(frozen=True, slots=True)
class Released:
    """What became of an entry. `replies`: what was said of each recipient's address; none where it did not pass.

    `decision` is the one that kept it, where it did not pass for all of its next hops. `left` are the addresses that are still
    held.
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
    return_paths: ReturnPaths | None = None
    deadline: float = DEADLINE  # for judging and all up to the final dot, at each next hop

    async def release(self, trace: str) -> Released:
        """Judge an entry again, and send it if it passes. Raises HeldError, JournalError: what was not sent is still held."""
        with self.store.claimed(trace) as entry:
            octets = await self.store.work(self.store.octets, entry)
            copies, said = self._copies(entry, octets)
            removed = False
            try:
                for copy in copies:
                    said += await copy.send()
                kept = [copy.kept for copy in copies if copy.kept is not None]
                if kept and len(kept) == len(copies) and not any(copy.replayed for copy in copies):
                    self.watch("held", what="kept", trace=trace, reason=kept[0].reason)
                    return Released(trace, kept[0], left=tuple(one.address for one in entry.recipients))
                left = [(recipient, reply) for recipient, reply in said if not reply.positive]
                reason = str(left[0][1]) if left else ""
                await self.store.work(self.store.narrow, entry, [recipient for recipient, _ in left], reason)
                removed = True
            finally:
                # The entry plays the client, and knows once it is gone from the disk. Until then a second release is a retry,
                # and is told by the journal what was sent already.
                for one in [one for copy in copies for one in copy.accepted]:
                    (self.journal.answered if removed else self.journal.gone)(one)
        self.watch("held", what="kept" if left else "released", trace=trace, reason=reason)
        return Released(
            trace,
            kept[0] if kept else Decision(Action.SEND, Reply(250, "2.0.0", trace)),
            tuple((recipient.address, reply) for recipient, reply in said),
            tuple(recipient.address for recipient, _ in left),
        )

    def _copies(self, entry: Entry, octets: bytes) -> tuple[list["_Copy"], Said]:
        """Who goes where, and what is said of those for whom the configuration has no next hop any more."""
        groups: dict[str, list[RcptTo]] = {}
        nowhere: Said = []
        for recipient in entry.recipients:
            try:
                groups.setdefault(self.relay.route(recipient.address), []).append(recipient)
            except NoRoute:
                nowhere.append((recipient, _NOWHERE))
        made = [_Copy(by=self, entry=entry, octets=octets, next_hop=hop, recipients=to) for hop, to in groups.items()]
        return made, nowhere


def discard(store: HeldStore, trace: str, watch: Watch) -> None:
    """Take an entry away unsent, for good. Blocks. Raises HeldError."""
    store.discard(trace)
    watch("held", what="discarded", trace=trace, reason="")


@dataclass(slots=True, kw_only=True)
class _Copy:
    """The part of an entry that goes to one next hop.

    `accepted`: the traces of what the next hop has taken, now or (`replayed`) before; `kept`: why it did not pass.
    """

    by: Releaser
    entry: Entry
    octets: bytes  # as they came
    next_hop: str
    recipients: Sequence[RcptTo]
    accepted: list[str] = field(default_factory=list)
    replayed: bool = False
    kept: Decision | None = None

    async def send(self) -> Said:
        """What is said of each recipient; a fault of ours or of the next hop is a 4xx. Raises JournalError, before the dot."""
        addresses = tuple(one.address for one in self.recipients)
        known = await self.by.journal.answer_for(self._key, addresses, self._explicit, lasting=True)
        if not isinstance(known, Known):
            return self._all(Reply(451, "4.4.5", f"it is being sent just now ({known.trace})"))
        said = [
            (recipient, reply) for recipient, reply in zip(self.recipients, known.replies, strict=True) if reply is not None
        ]
        rest = [recipient for recipient, reply in zip(self.recipients, known.replies, strict=True) if reply is None]
        self.accepted += known.replayed
        self.replayed = bool(said)
        if rest:
            said += zip(rest, await self._anew(rest, known), strict=True)
        return said

    async def _anew(self, recipients: Sequence[RcptTo], known: Known) -> Sequence[Reply]:
        """Judged for this next hop, and sent to it; a reply for each recipient."""
        by, entry, begun = self.by, self.entry, time.monotonic()
        if known.unsure and by.at_most_once:
            return [Reply(451, "4.4.5", f"it is not known whether it was sent before ({known.unsure[0]})")] * len(recipients)
        deadline = begun + by.deadline
        to = tuple(one.address for one in recipients)
        incoming = replace(
            entry.incoming(self.octets),
            trace=ulid.new(),
            held=entry.trace,
            rcpt_to=to,
            next_hop=self.next_hop,
            deadline=deadline,
        )
        sender = entry.sender
        if by.return_paths is not None and len(to) == 1 and by.return_paths.wanted(sender, entry.stream):
            sender = by.return_paths.of(sender, incoming.trace)
            incoming = replace(incoming, mail_from=sender.address, written_from=entry.sender.address)
        outcome = await by.pipeline.process(incoming)
        if outcome.decision.action is not Action.SEND:
            self.kept = outcome.decision
            reply = outcome.decision.reply
            why = Reply(451, "4.7.1", outcome.decision.reason or reply.text) if reply.positive else reply
            return [why] * len(recipients)
        self.next_hop = outcome.next_hop or self.next_hop
        outgoing, said = await opened(by.relay, self.next_hop, sender, entry.client(), recipients=recipients, deadline=deadline)
        if outgoing is None:
            return said
        sending = Sending(
            journal=by.journal,
            watch=by.watch,
            attempt=self._attempt(
                incoming.trace,
                outcome,
                [one.address for one, reply in zip(recipients, said, strict=True) if reply.positive],
                known,
            ),
            outgoing=outgoing,
            octets=outcome.octets,
            deadline=deadline,
            since=begun,
            held=entry.trace,
        )
        try:
            final = await sending.replies()
        finally:
            if not sending.over:
                await outgoing.abort()
        if any(reply.positive for reply in final):
            self.accepted.append(sending.attempt.trace)
            if outcome.notes:
                got = [one for one, reply in zip(sending.attempt.rcpt_to, final, strict=True) if reply.positive]
                by.journal.note(record.released(entry.trace, incoming.trace, got))
        each = iter(final)
        return [next(each) if reply.positive else reply for reply in said]

    @property
    def _key(self) -> bytes:
        """The entry's trace stands where a client's name does: no client's retry has this key, and a second release does."""
        return fingerprint(self.octets, self.entry.sender.address, f"held {self.entry.trace}")

    @property
    def _explicit(self) -> bytes:
        """An entry is one mail, whoever was told what of it. Nobody without a name has a key of his own to meet it."""
        return explicit_key(f"held {self.entry.trace}", None)

    def _attempt(self, trace: str, outcome: Outcome, addresses: Sequence[str], known: Known) -> Attempt:
        return Attempt(
            trace,
            self._key,
            hashlib.sha256(outcome.octets).digest(),
            self.next_hop,
            self.entry.sender.address,
            tuple(addresses),
            len(outcome.octets),
            None if self.entry.credential is None else self.entry.credential.name,
            self._explicit,
            follows=known.follows,
            notes=outcome.notes,
        )

    def _all(self, reply: Reply) -> Said:
        return [(recipient, reply) for recipient in self.recipients]
