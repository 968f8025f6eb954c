"""Sending rules at work: what is answered to a RCPT, and what is made of a message before and after it was judged.

`recipient` and `counted` are for a transaction, `on_input` and `ended` for the pipeline, which sees every message of every
framing. In observe mode nothing is refused; what would have been is told.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ...model import Outcome as Judged
from ...model import TargetReport
from ..model import Action, Client, Decision, Incoming, stream_for
from ..ports import Watch, unwatched
from ..reply import Reply, printable
from ..settings import Ending, Manner, Mode, OnFault, SendingRule
from .rates import Charge, Rates, RatesError, key_of
from .rules import NOTHING, Facts, Rules, Ruling, counted, envelope
from .suppressed import Entry, NotKnownError, Suppressed, for_stream

SUPPRESSED = "suppressed"  # stands there for the suppression list
OWN = "rule/"  # before a sending rule's name, where ids of rules stand
_PERIODS = {1: "second", 60: "minute", 3_600: "hour", 86_400: "day"}


@dataclass(frozen=True, slots=True)
class Recipient:
    """What the rules say of one recipient at RCPT. `reply`: it is refused, or has to wait; `suppressed`: for that reason.

    Recipients of one `kind` can share a transaction. `next_hop` None: as the next hops' domains say.
    """

    reply: Reply | None = None
    by: str = "gate"  # whose reply it is: "rule" or "gate"
    suppressed: Entry | None = None
    kind: tuple[object, ...] = ()
    next_hop: str | None = None
    charges: tuple[Charge, ...] = ()
    limits: tuple[SendingRule, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of itself, as far as its sender may; `header` gives the texts of a field by its lower-case name."""

    header: Callable[[str], Sequence[str]]
    stream: str | None
    tags: tuple[str, ...] = ()
    template: str | None = None
    message_class: str | None = None


@dataclass(frozen=True, slots=True)
class Input:
    """What the rules say of a message before it is judged. `decision`: it ends here (in observe mode: it would have)."""

    facts: Facts | None = None
    ruling: Ruling = NOTHING
    decision: Decision | None = None

    @property
    def held(self) -> bool:
        """Whether what would be sent is held."""
        return self.ruling.ending is Ending.HOLD


@dataclass
class Routing:
    """Rules, rates and suppression list of a worker; without any of them it says nothing, at no cost."""

    rules: Rules = field(default_factory=Rules)
    rates: Rates | None = None
    suppressed: Suppressed | None = None
    watch: Watch = unwatched

    def __bool__(self) -> bool:
        """Whether there is anything to ask."""
        return bool(self.rules) or self.suppressed is not None

    def close(self) -> None:
        """Let go of files and threads."""
        if self.rates is not None:
            self.rates.close()
        if self.suppressed is not None:
            self.suppressed.close()

    # --- at RCPT ---

    async def recipient(
        self, client: Client, stream: str | None, sender: str, address: str, *, manner: Manner, tenant: str, trace: str
    ) -> Recipient:
        """What is said of a recipient; `stream` is the listener's. Nothing is counted yet."""
        credential = client.credential
        declares = credential is not None and credential.may_declare
        known = None if declares else stream_for(stream, credential) or ""
        facts = envelope(sender, [address], credential.name if credential else "", client.listener, known)
        ruling = self.rules.at_rcpt(facts)
        if ruling.stream is not None:
            known = ruling.stream
        observing = manner.mode is Mode.OBSERVE
        refusal = None if observing else _refusal(ruling, [address], trace)
        if refusal is not None:
            return Recipient(refusal.reply, "rule")
        try:
            entries = await self._entries(tenant, [address])
        except NotKnownError as error:
            reply = self._unknown("suppressions", str(error), manner, trace)
            if reply is not None:
                return Recipient(reply)
            entries = []
        streams: tuple[str, ...] = ()
        if entries and not observing:
            entry = for_stream(entries, known or "", time.time())
            if entry is not None:
                return Recipient(Reply(550, "5.7.1", f"{entry.said} ({trace})"), "gate", entry)
            if known is None:  # whether it is for one of these streams is known when the message is there
                streams = tuple(sorted(one.stream for one in entries))
        charges = tuple(
            Charge(key_of(rule.name, rule.limit, counted(rule.limit, facts)), rule.limit)
            for rule in ruling.limits
            if rule.limit
        )
        # Observing, recipients are not parted: that would be an answer that nobody has without us.
        kind = () if observing else (*self.rules.kind(facts), streams)
        return Recipient(kind=kind, next_hop=ruling.next_hop, charges=charges, limits=ruling.limits)

    async def count(self, about: Recipient, *, manner: Manner, trace: str) -> Reply | None:
        """Count a recipient on its limits: 450 where one is used up, and then it is counted on none."""
        if not about.charges or self.rates is None:
            return None
        try:
            full = await self.rates.take(about.charges)
        except RatesError as error:
            return self._unknown("rates", str(error), manner, trace)
        if full is None:
            return None
        rule = about.limits[full]
        if manner.mode is Mode.OBSERVE:
            self.watch("bypass", trace=trace, cause="observe", reason=f"{rule.name}: more than {rule.limit}")
            return None
        assert rule.limit is not None
        self.watch("limited", trace=trace, rule=rule.name)
        return Reply(450, "4.7.1", f"{rule.name}: more than {_limit(rule)}, please try again later ({trace})")

    async def uncount(self, about: Recipient) -> None:
        """The next hop did not take the recipient: the next try must not find the limit used up by this one."""
        if about.charges and self.rates is not None:
            try:
                await self.rates.give_back(about.charges)
            except RatesError as error:
                self.watch("fault", where="rates", reason=str(error))

    def _unknown(self, what: str, reason: str, manner: Manner, trace: str) -> Reply | None:
        """A fault of ours at RCPT: as the listener says, 451 or on with it, which is counted."""
        self.watch("fault", where=what, trace=trace, reason=reason)
        if manner.mode is Mode.OBSERVE or manner.on_fault is OnFault.SEND:
            self.watch("bypass", trace=trace, cause=what, reason=reason)
            return None
        return Reply(451, "4.3.0", f"it could not be checked just now, please try again ({trace})")

    # --- of a message ---

    async def on_input(
        self, incoming: Incoming, said: Said, *, manner: Manner, tenant: str, class_of: Callable[[str | None], str | None]
    ) -> Input:
        """What is said of a message before it is judged. Raises NotKnownError, of which the fault policy says what follows."""
        credential = incoming.client.credential
        facts = replace(
            envelope(
                incoming.mail_from,
                incoming.rcpt_to,
                credential.name if credential else "",
                incoming.client.listener,
                said.stream or "",
            ),
            tags=said.tags,
            template=said.template or "",
            message_class=said.message_class or class_of(said.stream) or "",
            size=len(incoming.octets),
            header=said.header,
        )
        ruling = self.rules.on_input(facts)
        if incoming.held is not None and ruling.ending is Ending.HOLD:  # somebody has looked at it, and let it go
            ruling = replace(ruling, ending=None)
        stream = ruling.stream if ruling.stream is not None else said.stream
        facts = replace(facts, stream=stream or "", message_class=said.message_class or class_of(stream) or "")
        decision = _refusal(ruling, incoming.rcpt_to, incoming.trace)
        if decision is None:
            decision = await self._all_suppressed(incoming, stream or "", manner, tenant)
        return Input(facts, ruling, decision)

    async def _all_suppressed(self, incoming: Incoming, stream: str, manner: Manner, tenant: str) -> Decision | None:
        """A refusal where nobody is left. Of several recipients behind a milter, which cannot part them, some may be."""
        try:
            found = [for_stream(await self._entries(tenant, [one]), stream, time.time()) for one in incoming.rcpt_to]
        except NotKnownError as error:
            if manner.mode is not Mode.OBSERVE and manner.on_fault is not OnFault.SEND:
                raise
            self._unknown("suppressions", str(error), manner, incoming.trace)
            return None
        entries = [(one, entry) for one, entry in zip(incoming.rcpt_to, found, strict=True) if entry is not None]
        if not entries:
            return None
        if len(entries) < len(found):
            for address, entry in entries:
                self.watch("bypass", trace=incoming.trace, cause="suppressed", reason=f"{address} is {entry.said}")
            return None
        for address, entry in entries:
            self.suppression(incoming.trace, incoming.client, address, entry)
        said = entries[0][1].said
        return Decision(Action.REFUSE, Reply(550, "5.7.1", f"{said} ({incoming.trace})"), (SUPPRESSED,), said)

    def suppression(self, trace: str, client: Client, address: str, entry: Entry) -> None:
        """Tell of a recipient that is on the list."""
        self.watch(
            "suppressed",
            trace=trace,
            listener=client.listener,
            user=client.credential.user if client.credential else "",
            address=address,
            reason=entry.reason,
            since=entry.since,
            stream=entry.stream,
        )

    async def _entries(self, tenant: str, addresses: Sequence[str]) -> list[Entry]:
        if self.suppressed is None:
            return []
        return [entry for one in addresses for entry in await self.suppressed.find(tenant, one)]

    def ended(
        self, incoming: Incoming, before: Input, report: TargetReport, wanted: Decision, *, can_hold: bool
    ) -> tuple[Decision, Ruling]:
        """What is done of what the policy wanted, and what the rules on the verdict said."""
        ruling = NOTHING
        if before.facts is not None and self.rules.about_verdict:
            facts = replace(
                before.facts,
                verdict=str(report.verdict),
                failed=tuple(one.rule for one in report.results if one.outcome is Judged.FAIL),
                undecided=tuple(one.rule for one in report.results if one.outcome is Judged.UNKNOWN),
            )
            ruling = self.rules.on_verdict(facts, before.ruling)
            rule = ruling.by.get("ending")
            if rule is not None and not (rule.ending is Ending.HOLD and incoming.held is not None):
                wanted = _ended(rule, wanted, incoming.trace)
        return self.held_by_rule(incoming, before, wanted, can_hold=can_hold), ruling

    def held_by_rule(self, incoming: Incoming, before: Input, wanted: Decision, *, can_hold: bool) -> Decision:
        """What would be sent is held, where a rule on the input said so, and where that can be done."""
        if before.held and wanted.action is Action.SEND:
            wanted = _ended(before.ruling.by["ending"], wanted, incoming.trace)
        if wanted.action is Action.HOLD and not can_hold:
            return replace(wanted, action=Action.DEFER, reply=Reply(451, "4.7.1", f"{wanted.reason} ({incoming.trace})"))
        return wanted


def _refusal(ruling: Ruling, recipients: Sequence[str], trace: str) -> Decision | None:
    """What the rules on the input have against it."""
    rule = ruling.by.get("ending")
    if rule is not None and rule.ending in {Ending.REFUSE, Ending.DEFER}:
        return _ended(rule, Decision(Action.SEND, Reply(250, None, "")), trace)
    outside = ruling.outside(recipients)
    if outside is None:
        return None
    rule, address = outside
    reason = f"{rule.name}: {printable(address)} is none of the recipients that this mail may go to"
    return Decision(Action.REFUSE, Reply(550, "5.7.1", f"{reason} ({trace})"), (OWN + rule.name,), reason)


def _ended(rule: SendingRule, wanted: Decision, trace: str) -> Decision:
    """What a rule makes of what was wanted."""
    reason = f"{rule.name}: {rule.text}" if rule.text else rule.name
    by = (OWN + rule.name,)
    match rule.ending:
        case Ending.REFUSE:
            return Decision(Action.REFUSE, Reply(550, "5.7.1", f"{reason} ({trace})"), by, reason)
        case Ending.DEFER:
            return Decision(Action.DEFER, Reply(451, "4.7.1", f"{reason} ({trace})"), by, reason)
        case Ending.HOLD:
            why = f"{rule.name}: {wanted.reason}" if wanted.reason else f"held by the sending rule {rule.name}"
            return Decision(Action.HOLD, Reply(250, "2.0.0", f"held {trace}"), (*by, *wanted.rules), why)
        case _ if wanted.action is Action.SEND:
            return wanted
        case _:
            text = Reply(250, "2.0.0", trace)
            return Decision(Action.SEND, text, wanted.rules, wanted.reason, bypass=f"rule: {rule.name}")


def _limit(rule: SendingRule) -> str:
    """In words, for a client: "100 an hour for this sender"."""
    assert rule.limit is not None
    period = _PERIODS.get(rule.limit.seconds)
    of = f" for this {str(rule.limit.per).replace('-', ' ')}" if rule.limit.per else ""
    every = f"{'an' if period == 'hour' else 'a'} {period}" if period else f"in {rule.limit.seconds} seconds"
    return f"{rule.limit.count} {every}{of}"
