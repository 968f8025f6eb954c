"""What stands behind every framing: whose mail is it, prepare, judge, decide; in time, whatever breaks (DESIGN section 8)."""

import asyncio
import hashlib
import logging
import time
from dataclasses import dataclass

from ..checker import InputError
from ..mime.message import MessageError, header_of
from . import decide
from .judging import Judge
from .model import Action, Decision, Incoming, Outcome
from .ownership import foreign_author, owns
from .ports import Watch, unwatched
from .prepare import LoopError, NotPreparedError, Prepared, Preparer
from .reply import Reply
from .settings import Gate, Manner

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


@dataclass
class GatePipeline:
    """The `ports.Pipeline` of one gate."""

    gate: Gate
    judge: Judge
    preparer: Preparer
    watch: Watch = unwatched

    async def process(self, incoming: Incoming) -> Outcome:
        """Never raises but CancelledError: what goes wrong here is the fault policy's, and observe mode sends the octets."""
        started = time.monotonic()
        manner = self.gate.manner(incoming.client.listener)
        progress = _Progress(judged_from=started)
        outcome = await self._outcome(incoming, manner, progress)
        ended = time.monotonic()
        try:
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
        foreign = _foreign(incoming)
        if foreign is not None:
            reason = f"{foreign[0]} may not send as {foreign[1]}"
            decision = decide.refuse(Reply(550, "5.7.1", f"{reason} ({incoming.trace})"), reason, manner.mode)
            if decision.action is not Action.SEND:
                return Outcome(decision, incoming.octets)
        prepared = progress.prepared = self.preparer.prepare(incoming)
        self._hold_stream(incoming, prepared.stream)
        progress.judged_from = time.monotonic()
        judged = await self.judge.judge(prepared.octets, incoming, prepared.stream, prepared.message_class)
        if (bug := decide.own_fault(judged.report)) is not None:
            raise _Fault(bug)
        can_hold = self._can_hold(incoming)
        decided = decide.decide(judged.report, judged.policy, manner.mode, incoming.trace, can_hold=can_hold)
        if foreign is not None and decided.bypass is None:
            decided = decision  # observed: it would have been refused before it was judged
        return Outcome(decided, prepared.octets, prepared.edits, judged.report, prepared.stream)

    def _hold_stream(self, incoming: Incoming, stream: str | None) -> None:
        """A stream that the configuration does not have: the header's fault where only that names it, else the operator's."""
        if stream is None or stream in self.judge.config.streams:
            return
        credential = incoming.client.credential
        if stream == incoming.stream or (credential is not None and stream in credential.streams):
            raise _Fault(f"no stream {stream!r} in the configuration")
        raise _Refused(550, "5.7.1", "X-Delivcheck-Stream names no stream")

    def _fault(self, incoming: Incoming, manner: Manner, reason: str) -> Decision:
        self.watch("fault", where="pipeline", trace=incoming.trace, reason=reason)
        return decide.on_fault(reason, manner.on_fault, manner.mode, incoming.trace, can_hold=self._can_hold(incoming))

    def _can_hold(self, incoming: Incoming) -> bool:
        """A milter holds in the MTA's own queue; elsewhere holding must have been asked for."""
        return incoming.client.protocol == "milter" or self.gate.hold is not None

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
            mode=str(manner.mode),
            ms=round(took * 1000, 1),
            judge_ms=round(judged_in * 1000, 1),
        )


def _foreign(incoming: Incoming) -> tuple[str, str] | None:
    """The credential, and the address in MAIL FROM or From that is not its own. Raises MessageError."""
    credential = incoming.client.credential
    if credential is None or not credential.domains:
        return None
    if not owns(credential, incoming.mail_from):
        return credential.name, incoming.mail_from
    author = foreign_author(credential, header_of(incoming.octets))
    return None if author is None else (credential.name, author)


def _message_id(octets: bytes) -> str:
    """The Message-ID as it stands, for the log, of a message that could not be prepared."""
    try:
        return next((one.text.strip() for one in header_of(octets) if one.lower == "message-id"), "")
    except MessageError:
        return ""
