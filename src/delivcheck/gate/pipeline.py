"""What stands behind every framing: prepare, judge, decide, in time, whatever breaks (DESIGN section 8)."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass, replace

from ..checker import InputError
from ..config import ConfigError
from ..mime.message import MessageError, parse
from . import decide
from .judging import Judge
from .model import Action, Decision, Incoming, Outcome, Watch, unwatched
from .prepare import LoopError, NotPreparedError, Prepared, Preparer
from .reply import Reply
from .settings import Gate, Mode, OnFault

log = logging.getLogger("delivcheck.gate")

MARGIN = 2.0  # seconds of the deadline that are left for the next hop when judging is given up


@dataclass(frozen=True, slots=True)
class Manner:
    """How a listener's mail is treated: whether the verdict has consequences, and what a fault of ours means."""

    mode: Mode = Mode.ENFORCE
    on_fault: OnFault = OnFault.DEFER


@dataclass
class GatePipeline:
    """The `model.Pipeline` of one gate; `manners` are those of its listeners, by name."""

    gate: Gate
    judge: Judge
    preparer: Preparer
    watch: Watch = unwatched

    def manner(self, listener: str) -> Manner:
        """How this listener's mail is treated: what it says itself, or the gate."""
        for one in self.gate.listeners:
            if one.name == listener:
                return Manner(one.mode or self.gate.mode, one.on_fault or self.gate.on_fault)
        return Manner(self.gate.mode, self.gate.on_fault)

    async def process(self, incoming: Incoming) -> Outcome:
        """Never raises but CancelledError: what goes wrong here is the fault policy's, and observe mode sends the octets."""
        started = time.monotonic()
        manner = self.manner(incoming.client.listener)
        outcome, judged_in, message_id = await self._outcome(incoming, manner)
        self._tell(incoming, outcome, manner, took=time.monotonic() - started, judged_in=judged_in, message_id=message_id)
        return outcome

    async def _outcome(self, incoming: Incoming, manner: Manner) -> tuple[Outcome, float, str]:
        """The outcome, the seconds that judging took, and the Message-ID."""
        prepared: Prepared | None = None
        begun = time.monotonic()
        try:
            async with asyncio.timeout(max(self.gate.deadline - MARGIN, MARGIN)):
                prepared = self.preparer.prepare(incoming)
                begun = time.monotonic()
                judgement = await self.judge.judge(prepared.octets, incoming, prepared.stream, prepared.message_class)
            decision = decide.decide(
                judgement.report, judgement.policy, manner.mode, incoming.trace, can_hold=self._can_hold(incoming)
            )
            took = time.monotonic() - begun
            outcome = Outcome(decision, prepared.octets, prepared.edits, judgement.report, prepared.stream)
            return outcome, took, prepared.message_id
        except (InputError, MessageError, NotPreparedError) as error:
            decision = self._refused(incoming, manner, Reply(550, "5.6.0", f"{error} ({incoming.trace})"), str(error))
        except LoopError as error:
            decision = self._refused(incoming, manner, Reply(554, "5.4.6", f"{error} ({incoming.trace})"), str(error))
        except ConfigError as error:  # a stream that the mail names and nobody knows
            decision = self._refused(incoming, manner, Reply(550, "5.7.1", f"{error} ({incoming.trace})"), str(error))
        except TimeoutError:
            decision = self._fault(incoming, manner, "not judged in time")
        except (Exception, SystemExit) as error:  # a rule of somebody else's may even want to end the program
            log.exception("a message could not be judged", extra={"trace": incoming.trace})
            decision = self._fault(incoming, manner, f"{type(error).__name__}: {error}")
        took = time.monotonic() - begun
        message_id = _message_id(incoming.octets) if prepared is None else prepared.message_id
        if prepared is None or decision.action is not Action.SEND:
            return Outcome(decision, incoming.octets), took, message_id
        return Outcome(decision, prepared.octets, prepared.edits), took, message_id

    def _refused(self, incoming: Incoming, manner: Manner, reply: Reply, reason: str) -> Decision:
        """The message itself is at fault; observe mode lets it through all the same."""
        wanted = Decision(Action.REFUSE, reply, reason=reason)
        if manner.mode is Mode.OBSERVE:
            return replace(wanted, action=Action.SEND, reply=Reply(250, "2.0.0", incoming.trace), bypass="observe: refuse")
        return wanted

    def _fault(self, incoming: Incoming, manner: Manner, reason: str) -> Decision:
        self.watch("fault", where="pipeline", trace=incoming.trace, reason=reason)
        return decide.on_fault(reason, manner.on_fault, manner.mode, incoming.trace, can_hold=self._can_hold(incoming))

    def _can_hold(self, incoming: Incoming) -> bool:
        """A milter holds in the MTA's own queue; elsewhere holding must have been asked for."""
        return incoming.client.protocol == "milter" or self.gate.hold is not None

    def _tell(
        self, incoming: Incoming, outcome: Outcome, manner: Manner, *, took: float, judged_in: float, message_id: str
    ) -> None:
        client, decision = incoming.client, outcome.decision
        self.watch(
            "message",
            trace=incoming.trace,
            framing=client.protocol,
            listener=client.listener,
            client=str(client.ip or ""),
            user=client.credential.name if client.credential else "",
            queue_id=client.queue_id or "",
            mail_from=incoming.mail_from,
            rcpt_to=list(incoming.rcpt_to),
            size=len(outcome.octets),
            message_id=message_id,
            sha256=hashlib.sha256(outcome.octets).hexdigest(),
            stream=outcome.stream or "",
            action=str(decision.action),
            rules=list(decision.rules),
            reason=decision.reason,
            bypass=decision.bypass or "",
            next_hop=incoming.next_hop or "",
            mode=str(manner.mode),
            ms=round(took * 1000, 1),
            judge_ms=round(judged_in * 1000, 1),
        )


def _message_id(octets: bytes) -> str:
    """The Message-ID as it stands, for the log, of a message that could not be prepared."""
    try:
        field = parse(octets).first("message-id")
    except MessageError:
        return ""
    return "" if field is None else field.text.strip()
