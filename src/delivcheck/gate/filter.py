"""What stands behind a milter: a message of its session goes to the pipeline, the outcome becomes the milter's answer.

The octets are put together from what the MTA tells (`Origin.RECONSTRUCTED`): what it added before is in them, its own Received
field is not. The queue is the MTA's: nothing is sent or kept here, and holding is the MTA's quarantine, from which the
operator's release is final: a released message is not judged again.

Recipients are never refused by themselves: mail that is submitted on the machine (Postfix's `non_smtpd_milters`) has no client
that could be told, and Postfix asks milters not to.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from .. import ulid
from ..facts.roots import Origin
from . import decide
from .milter.codec import AddHeader, Answer, Can, Change, ChangeHeader, InsertHeader, Quarantine, needs
from .milter.protocol import Message
from .model import Action, Client, Credential, Decision, Delete, Edit, Incoming, Outcome
from .ports import Pipeline, Watch, unwatched
from .reply import Reply
from .settings import Gate, Listener


class Filter:
    """The `milter.server.Handler` of one listener; keeps nothing of any message."""

    def __init__(
        self,
        gate: Gate,
        listener: Listener,
        pipeline: Pipeline,
        watch: Watch = unwatched,
        note: Callable[[Sequence[bytes]], None] | None = None,
    ) -> None:
        """`note` takes what the trace is told (`Journal.note`)."""
        self._gate, self._listener, self._pipeline, self._watch, self._note = gate, listener, pipeline, watch, note
        self._manner = gate.manner(listener)
        self._credential = Credential.of(listener, gate.credentials)

    async def message(self, message: Message, can: Can) -> Answer:
        """Have it judged, and say what becomes of it."""
        trace = ulid.new()
        try:
            outcome = await self._pipeline.process(self._incoming(message, trace))
        except Exception as error:  # noqa: BLE001 -- observe mode accepts whatever breaks, and only here is it known
            outcome = Outcome(self._fault(f"{type(error).__name__}: {error}", trace), b"")
        if self._note is not None:
            self._note(outcome.notes)
        return self._answer(outcome, trace, can)

    # --- what came ---

    def _incoming(self, message: Message, trace: str) -> Incoming:
        octets = bytes(message.octets)
        message.octets.clear()
        return Incoming(
            octets,
            message.mail_from,
            tuple(message.recipients),
            self._client(message),
            trace,
            datetime.now(UTC),
            origin=Origin.RECONSTRUCTED,
            smtputf8=message.smtputf8,
            stream=self._listener.stream,
            signed_later=self._listener.pre_sign,
            missing=message.missing,
        )

    def _client(self, message: Message) -> Client:
        """The MTA's client, as the MTA knows it."""
        session = message.session
        return Client(
            session.ip,
            session.port,
            self._listener.name,
            session.helo,
            queue_id=message.macro("i"),
            tls=message.macro("tls_version"),
            protocol="milter",
            credential=self._credential_of(message),
        )

    def _credential_of(self, message: Message) -> Credential | None:
        """Of a client that logged in at the MTA, under that name, or is in `trusted`; what it may do is the listener's to say.

        A login is not looked up among our own credentials: who may choose one at the MTA could choose one of ours.
        """
        user, ip = message.macro("auth_authen"), message.session.ip
        if user is not None:
            return replace(self._credential, name=user, unnamed=False)
        trusted = ip is not None and any(ip in network for network in self._listener.trusted)
        return self._credential if trusted else None

    # --- what is answered ---

    def _answer(self, outcome: Outcome, trace: str, can: Can) -> Answer:
        decision = outcome.decision
        if decision.action in {Action.REFUSE, Action.DEFER}:
            return Answer(refusal=decision.reply)
        changes = tuple(map(_change, outcome.edits))
        if decision.action is Action.HOLD:
            changes = (*changes, Quarantine(f"{decision.reason or 'held'} ({trace})"))
        if not needs(changes) & ~can:
            if decision.action is Action.SEND:
                self._pipeline.sent(trace)
            return Answer(changes)
        # What was judged cannot become what is sent: that is a fault, though one of the wiring.
        fault = self._fault(f"the MTA does not let us {_names(needs(changes) & ~can)}", trace)
        judged = decision.action is not Action.HOLD  # what was to be held is not sent because it cannot be
        if judged and fault.action is Action.SEND:
            return Answer()
        if judged and fault.action is Action.HOLD and Can.QUARANTINE in can:
            return Answer((Quarantine(f"{fault.reason} ({trace})"),))
        return Answer(refusal=Reply(451, "4.3.0", f"it could not be handled just now, please try again ({trace})"))

    def _fault(self, reason: str, trace: str) -> Decision:
        self._watch("fault", where="filter", trace=trace, reason=reason)
        return decide.on_fault(reason, self._manner.on_fault, self._manner.mode, trace, can_hold=True)


def _change(edit: Edit) -> Change:
    """An edit as the MTA makes it. Each insertion goes above all others, as those of an Outcome do."""
    if isinstance(edit, Delete):
        return ChangeHeader(edit.name, edit.index)
    return AddHeader(edit.name, edit.value) if edit.last else InsertHeader(edit.name, edit.value)


def _names(lacking: Can) -> str:
    words = [(one.name or "").lower().replace("_", " ") for one in lacking]
    return " and ".join(words)
