"""What stands behind every framing: whose mail is it, prepare, judge, decide; in time, whatever breaks (DESIGN section 8)."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, field, replace

from ..checker import InputError
from ..mime.headers import display_text
from ..mime.message import MessageError, header_of
from ..trace.model import Tracking
from . import decide, record
from .judging import Judge, Overlay
from .model import Action, Decision, Incoming, Outcome
from .ownership import foreign_author, owns
from .ports import Watch, unwatched
from .prepare import LoopError, NotPreparedError, Prepared, Preparer, Read
from .reply import Reply
from .routing.routing import Input, Routing, Said
from .routing.rules import NOTHING
from .routing.suppressed import NotKnownError
from .settings import Gate, Manner, Mode, Trace

log = logging.getLogger("delivcheck.gate")

MARGIN = 2.0  # seconds of the deadline that are left for the next hop when judging is given up


class _Refused(Exception):  # noqa: N818 -- a way out, no error
    """The message, or who sends it, is at fault."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.code, self.enhanced = code, enhanced


class _Fault(Exception):  # noqa: N818 -- a way out, as above
    """We are at fault, in a way that is known; the text is for the log."""


@dataclass(slots=True)
class _Progress:
    """What was had before something went wrong."""

    prepared: Prepared | None = None
    judged_from: float = 0.0
    policy: str = ""
    read: Read | None = None
    input: Input = field(default_factory=Input)  # what the sending rules say
    matched: tuple[str, ...] = ()  # the sending rules that matched, by name


@dataclass
class GatePipeline:
    """The `ports.Pipeline` of one gate."""

    gate: Gate
    judge: Judge
    preparer: Preparer
    watch: Watch = unwatched
    routing: Routing = field(default_factory=Routing)

    async def process(self, incoming: Incoming) -> Outcome:
        """Never raises but CancelledError: what goes wrong here is the fault policy's, and observe mode sends the octets."""
        started = time.monotonic()
        manner = self.gate.manner(incoming.client.listener)
        progress = _Progress(judged_from=started)
        outcome = await self._outcome(incoming, manner, progress)
        if (ruling := progress.input.ruling) is not NOTHING:
            hop = ruling.next_hop if incoming.next_hop is not None else None
            outcome = replace(outcome, next_hop=hop, sending_rules=progress.matched)
            incoming = replace(incoming, next_hop=hop or incoming.next_hop)
        ended = time.monotonic()
        try:
            if self.gate.trace is not None:
                judge_ms = (ended - progress.judged_from) * 1000
                notes = self._notes(incoming, outcome, progress, self.gate.trace, mode=str(manner.mode), judge_ms=judge_ms)
                outcome = replace(outcome, notes=notes)
            self._tell(incoming, outcome, manner, progress, took=ended - started, judged_in=ended - progress.judged_from)
        except Exception:  # the log is no reason to stop mail
            log.exception("a message could not be told of", extra={"trace": incoming.trace})
        return outcome

    def sent(self, trace: str) -> None:
        """Remember it, for the next message with its Message-ID."""
        self.judge.sent(trace)

    async def _outcome(self, incoming: Incoming, manner: Manner, progress: _Progress) -> Outcome:
        trace = incoming.trace
        try:
            async with asyncio.timeout(self._time_for(incoming)):
                return await self._judged(incoming, manner, progress)
        except _Refused as why:
            decision = decide.refuse(Reply(why.code, why.enhanced, f"{why} ({trace})"), str(why), manner.mode)
        except (InputError, MessageError, NotPreparedError) as error:
            decision = decide.refuse(Reply(550, "5.6.0", f"{error} ({trace})"), str(error), manner.mode)
        except LoopError as error:
            decision = decide.refuse(Reply(554, "5.4.6", f"{error} ({trace})"), str(error), manner.mode)
        except TimeoutError:
            decision = self._fault(incoming, manner, "not judged in time")
        except _Fault as fault:
            decision = self._fault(incoming, manner, str(fault))
        except (Exception, SystemExit) as error:  # a rule of somebody else's may even want to end the program
            log.exception("a message could not be judged", extra={"trace": trace})
            decision = self._fault(incoming, manner, f"{type(error).__name__}: {error}")
        if decision.bypass is not None and decision.action is Action.SEND:  # not judged is no reason to send what is to be held
            held = self.routing.held_by_rule(incoming, progress.input, decision, can_hold=self._can_hold(incoming))
            decision = decision if manner.mode is Mode.OBSERVE else held
        prepared = progress.prepared
        if prepared is None or decision.action is not Action.SEND:
            return Outcome(decision, incoming.octets)
        return Outcome(decision, prepared.octets, prepared.edits, stream=prepared.stream)

    def _time_for(self, incoming: Incoming) -> float:
        """Seconds for judging: of what the deadline leaves, MARGIN or half of a short deadline is the next hop's."""
        whole = self.gate.deadline
        left = whole if incoming.deadline is None else incoming.deadline - time.monotonic()
        return max(0.0, left - min(MARGIN, whole / 2))

    async def _judged(self, incoming: Incoming, manner: Manner, progress: _Progress) -> Outcome:
        if incoming.missing == "too-large":
            raise _Refused(552, "5.3.4", "the message is larger than the gate takes")
        if incoming.missing is not None:
            raise _Fault(f"no memory for the message: {incoming.missing}")
        observed: Decision | None = None  # in observe mode: what would have ended it before it was judged
        foreign = _foreign(incoming)
        if foreign is not None:
            reason = f"{foreign[0]} may not send as {foreign[1]}"
            observed = decide.refuse(Reply(550, "5.7.1", f"{reason} ({incoming.trace})"), reason, manner.mode)
            if observed.action is not Action.SEND:
                return Outcome(observed, incoming.octets)
        if self.routing:
            read = progress.read = await self._ruled(incoming, manner, progress)
            if (ended := progress.input.decision) is not None:
                ended = decide.under(manner.mode, ended)
                if ended.action is not Action.SEND:
                    return Outcome(ended, incoming.octets, stream=read.stream)
                observed = observed or ended
            if progress.input.ruling.next_hop is not None and incoming.next_hop is not None:
                incoming = replace(incoming, next_hop=progress.input.ruling.next_hop)
        prepared = progress.prepared = self.preparer.prepare(incoming, progress.read)
        self._hold_stream(incoming, prepared.stream, progress.input.ruling.stream)
        progress.judged_from = time.monotonic()
        ruling = progress.input.ruling
        overlay = Overlay(ruling.policy, ruling.levels)
        judged = await self.judge.judge(prepared.octets, incoming, prepared.stream, prepared.message_class, overlay)
        progress.policy = judged.policy.name
        if (bug := decide.own_fault(judged.report)) is not None:
            raise _Fault(bug)
        can_hold = self._can_hold(incoming)
        wanted = decide.decide(judged.report, judged.policy, Mode.ENFORCE, incoming.trace, can_hold=can_hold)
        if self.routing:
            wanted, after = self.routing.ended(incoming, progress.input, judged.report, wanted, can_hold=can_hold)
            progress.matched += after.matched
        decided = decide.under(manner.mode, wanted)
        if observed is not None and decided.bypass is None:
            decided = observed
        return Outcome(decided, prepared.octets, prepared.edits, judged.report, prepared.stream)

    async def _ruled(self, incoming: Incoming, manner: Manner, progress: _Progress) -> Read:
        """What the sending rules say of the input; the header as it was read, with the stream that they give it."""
        read = self.preparer.read(incoming)
        self._hold_stream(incoming, read.stream, None)
        declared = read.said
        said = Said(
            header=lambda name: [display_text(one) for one in read.header.all(name)],
            stream=read.stream,
            tags=declared.tags,
            template=declared.template,
            message_class=declared.message_class,
        )
        tenant = record.tenant_of(self.gate.trace or Trace(), incoming.client)
        try:
            progress.input = await self.routing.on_input(
                incoming, said, manner=manner, tenant=tenant, class_of=self.preparer.class_of
            )
        except NotKnownError as error:
            raise _Fault(f"suppressions: {error}") from error
        progress.matched = progress.input.ruling.matched
        chosen = progress.input.ruling.stream
        return read if chosen is None else replace(read, stream=chosen)

    def _hold_stream(self, incoming: Incoming, stream: str | None, ruled: str | None) -> None:
        """A stream that the configuration does not have: the header's fault where only that names it, else the operator's."""
        if stream is None or stream in self.judge.config.streams:
            return
        credential = incoming.client.credential
        if stream in {incoming.stream, ruled} or (credential is not None and stream in credential.streams):
            raise _Fault(f"no stream {stream!r} in the configuration")
        raise _Refused(550, "5.7.1", "X-Delivcheck-Stream names no stream")

    def _fault(self, incoming: Incoming, manner: Manner, reason: str) -> Decision:
        self.watch("fault", where="pipeline", trace=incoming.trace, reason=reason)
        return decide.on_fault(reason, manner.on_fault, manner.mode, incoming.trace, can_hold=self._can_hold(incoming))

    def _can_hold(self, incoming: Incoming) -> bool:
        """A milter holds in the MTA's own queue; elsewhere holding must have been asked for."""
        return incoming.client.protocol == "milter" or self.gate.hold is not None

    def _notes(
        self, incoming: Incoming, outcome: Outcome, progress: _Progress, trace: Trace, *, mode: str, judge_ms: float
    ) -> tuple[bytes, ...]:
        """What the trace is told of it."""
        prepared = progress.prepared
        return record.judged(
            incoming,
            outcome,
            trace,
            tags=prepared.tags if prepared is not None else (),
            template=prepared.template if prepared is not None else None,
            message_id=_message_id(incoming.octets) if prepared is None else prepared.message_id,
            policy=progress.policy,
            mode=mode,
            judge_ms=judge_ms,
            tracking=prepared.tracking if prepared is not None else Tracking.NONE,
            links=prepared.links if prepared is not None else (),
            gate=self.gate.name,
        )

    def _tell(
        self, incoming: Incoming, outcome: Outcome, manner: Manner, progress: _Progress, *, took: float, judged_in: float
    ) -> None:
        client, decision, prepared = incoming.client, outcome.decision, progress.prepared
        declared = outcome.report.declared.class_ if outcome.report is not None else None
        self.watch(
            "message",
            trace=incoming.trace,
            framing=client.protocol,
            listener=client.listener,
            client=str(client.ip or ""),
            user=client.credential.user if client.credential else "",
            queue_id=client.queue_id or "",
            mail_from=incoming.mail_from,
            rcpt_to=list(incoming.rcpt_to),
            size=len(outcome.octets),
            message_id=_message_id(incoming.octets) if prepared is None else prepared.message_id,
            sha256=hashlib.sha256(outcome.octets).hexdigest(),
            stream=outcome.stream or "",
            message_class=str(declared or ""),
            notes=list(prepared.notes) if prepared is not None else [],
            action=str(decision.action),
            rules=list(decision.rules),
            reason=decision.reason,
            bypass=decision.bypass or "",
            next_hop=incoming.next_hop or "",
            sending_rules=list(outcome.sending_rules),
            mode=str(manner.mode),
            ms=round(took * 1000, 1),
            judge_ms=round(judged_in * 1000, 1),
        )


def _foreign(incoming: Incoming) -> tuple[str, str] | None:
    """The credential, and the address in MAIL FROM or From that is not its own. Raises MessageError."""
    credential = incoming.client.credential
    if credential is None or not credential.domains:
        return None
    sender = incoming.mail_from if incoming.written_from is None else incoming.written_from
    if not owns(credential, sender):
        return credential.name, sender
    author = foreign_author(credential, header_of(incoming.octets))
    return None if author is None else (credential.name, author)


def _message_id(octets: bytes) -> str:
    """The Message-ID as it stands, for the log, of a message that could not be prepared."""
    try:
        return next((one.text.strip() for one in header_of(octets) if one.lower == "message-id"), "")
    except MessageError:
        return ""
