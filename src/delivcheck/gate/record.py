"""What the gate tells the trace: a message when it is judged, and what became of it, as the journal has it.

Everything here is pure: values in, `trace.records` out. They wait in the journal's outbox until the desk brings them into the
store, so a message is in the trace if, and only if, its intent was on the disk before its final dot.
"""

import hashlib
import time
from collections.abc import Sequence

from ..mime.headers import HeaderError, display_text, parse_addresses
from ..mime.message import MessageError, header_of
from ..model import Level
from ..model import Outcome as Judged
from ..trace.model import Kind, Tracking
from ..trace.records import Event, Message, Result, encode, event_id
from .journal import Record, State
from .model import Action, Client, Incoming, Outcome
from .reply import Reply
from .settings import Keep, Trace

MAX_RESULTS = 100  # rules of one message whose findings are kept: what a person reads
MAX_PROBLEMS = 10  # of one rule
MAX_SAID = 500  # characters of one of them
MAX_SUBJECT = 500  # characters
MAX_HEADERS = 262_144  # octets that are kept of a header; Postfix keeps 102,400 of it in memory


def now() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


def judged(
    incoming: Incoming,
    outcome: Outcome,
    trace: Trace,
    *,
    tags: Sequence[str] = (),
    template: str | None = None,
    message_id: str = "",
    policy: str = "",
    mode: str = "",
    judge_ms: float = 0.0,
    tracking: Tracking = Tracking.NONE,
    links: Sequence[str] = (),
    gate: str = "",
) -> tuple[bytes, ...]:
    """A message that came in, and what was decided about it, encoded. What becomes of it afterwards the journal knows."""
    client, decision, report = incoming.client, outcome.decision, outcome.report
    subject, from_domain = _shown(outcome.octets)
    message = Message(
        trace=incoming.trace,
        received=int(incoming.received.timestamp() * 1000),
        recipients=incoming.rcpt_to,
        tenant=tenant_of(trace, client),
        gate=gate,
        framing=client.protocol,
        listener=client.listener,
        client=client.credential.user if client.credential else "",
        stream=outcome.stream or "",
        message_class=str(report.declared.class_ or "") if report is not None else "",
        template=template or "",
        tags=tuple(tags),
        mail_from=incoming.mail_from if incoming.written_from is None else incoming.written_from,
        from_domain=from_domain,
        subject=subject,
        message_id=message_id,
        queue_id=client.queue_id or "",
        size=len(outcome.octets),
        sha256=hashlib.sha256(outcome.octets).hexdigest(),
        verdict=str(report.verdict) if report is not None else "",
        policy=policy,
        action=str(decision.action),
        rules=decision.rules,
        reason=decision.reason,
        bypass=decision.bypass or "",
        mode=mode,
        next_hop=incoming.next_hop or "",
        judge_ms=round(judge_ms, 1),
        tracking=tracking,
        results=_results(outcome),
        links=tuple(links),
        held=incoming.held or "",
        headers=_header(outcome.octets) if trace.keep is not Keep.FACTS else None,
        body=outcome.octets if trace.keep is Keep.MESSAGE else None,
    )
    return (encode(message), *(encode(one) for one in _decided(incoming, outcome)))


def tenant_of(trace: Trace, client: Client) -> str:
    """Whose mail it is: its credential's, else its listener's."""
    credential = client.credential
    if credential is not None and credential.tenant is not None:
        return credential.tenant
    return trace.tenant_of(credential.name if credential is not None else client.listener)


def _decided(incoming: Incoming, outcome: Outcome) -> list[Event]:
    decision, trace, at = outcome.decision, incoming.trace, now()
    milter = incoming.client.protocol == "milter"

    def event(kind: Kind, when: int = at, **detail: object) -> Event:
        return Event(id=event_id(trace, kind, None, "gate"), trace=trace, kind=kind, at=when, detail=detail)

    found = [] if incoming.held else [event(Kind.ACCEPTED, int(incoming.received.timestamp() * 1000))]
    if outcome.report is not None:
        found.append(event(Kind.CHECKED, verdict=str(outcome.report.verdict), rules=list(decision.rules)))
    match decision.action:
        case Action.SEND if decision.bypass is not None:
            found.append(event(Kind.BYPASSED, cause=decision.bypass, reason=decision.reason))
        case Action.SEND:
            found.append(event(Kind.PASSED))
        case Action.REFUSE if decision.rules == ("suppressed",):
            found.append(event(Kind.SUPPRESSED, by="gate", reply=str(decision.reply)))
        case Action.REFUSE:
            found.append(event(Kind.REFUSED, by="gate", reply=str(decision.reply), rules=list(decision.rules)))
        case Action.DEFER:
            found.append(event(Kind.DEFERRED, by="gate", reply=str(decision.reply)))
        case Action.HOLD if milter:  # the MTA has it; elsewhere the journal says when a copy is durable
            found.append(event(Kind.HELD, reason=decision.reason, rules=list(decision.rules)))
        case Action.HOLD:
            pass
    return found


def _results(outcome: Outcome) -> tuple[Result, ...]:
    """What failed or was undecided, errors first."""
    if outcome.report is None:
        return ()
    told = [
        one for one in outcome.report.results if one.outcome in {Judged.FAIL, Judged.UNKNOWN} and one.level is not Level.OFF
    ]
    order = list(Level)
    told.sort(key=lambda one: (-order.index(one.level), str(one.outcome), one.rule))
    return tuple(
        Result(
            one.rule,
            str(one.outcome),
            str(one.level),
            tuple(problem.message[:MAX_SAID] for problem in one.problems[:MAX_PROBLEMS]) or ((one.reason or "")[:MAX_SAID],),
        )
        for one in told[:MAX_RESULTS]
    )


def _shown(octets: bytes) -> tuple[str, str]:
    """The subject, and the author's domain; "" where there is none, or none that can be read."""
    try:
        fields = list(header_of(octets))
    except MessageError:
        return "", ""
    subject = next((display_text(one) for one in fields if one.lower == "subject"), "")
    author = next((one.text for one in fields if one.lower == "from"), "")
    try:
        authors = parse_addresses(author).mailboxes
    except HeaderError:
        return subject[:MAX_SUBJECT], ""
    return subject[:MAX_SUBJECT], authors[0].domain.lower() if authors else ""


def _header(octets: bytes) -> bytes:
    end = octets.find(b"\r\n\r\n", 0, MAX_HEADERS)
    return octets[: end + 2 if end >= 0 else MAX_HEADERS]


# --- before there is a message ---------------------------------------------------------------------------------------


def refused(
    trace: str,
    reply: Reply,
    *,
    client: Client,
    settings: Trace,
    mail_from: str,
    recipient: str,
    kind: Kind | None = None,
    by: str,
    gate: str = "",
) -> tuple[bytes, ...]:
    """A recipient that was refused, or is to come again, before the message came; `by` as in `Kind.REFUSED`'s detail."""
    kind = kind or (Kind.REFUSED if reply.permanent else Kind.DEFERRED)
    at = now()
    message = Message(
        trace=trace,
        received=at,
        recipients=(recipient,),
        tenant=tenant_of(settings, client),
        gate=gate,
        framing=client.protocol,
        listener=client.listener,
        client=client.credential.user if client.credential else "",
        mail_from=mail_from,
    )
    detail = {"by": by, "at": "rcpt", "reply": str(reply)}
    event = Event(
        id=event_id(trace, kind, recipient, "rcpt"), trace=trace, kind=kind, at=at, recipient=recipient, detail=detail
    )
    return encode(message), encode(event)


def deferred(trace: str, reply: Reply) -> bytes:
    """A message that was judged, and whose final dot was never sent."""
    kind = Kind.DEFERRED if reply.temporary else Kind.REFUSED
    detail = {"by": "next-hop" if reply.permanent else "gate", "reply": str(reply)}
    return encode(Event(id=event_id(trace, kind, None, "unsent"), trace=trace, kind=kind, at=now(), detail=detail))


# --- what the journal knows ------------------------------------------------------------------------------------------


def released(trace: str, sent_as: str, recipients: Sequence[str]) -> list[bytes]:
    """Held mail that was let go, to these recipients: under which name it went, and when."""
    at = now()
    return [
        encode(
            Event(
                id=event_id(trace, Kind.RELEASED, one, sent_as),
                trace=trace,
                kind=Kind.RELEASED,
                at=at,
                recipient=one,
                detail={"as": sent_as},
            )
        )
        for one in recipients
    ]


def discarded(trace: str, why: str) -> bytes:
    """Held mail that nobody will get: "discarded" by a person, or "expired"."""
    event = Event(
        id=event_id(trace, Kind.DISCARDED, None, "held"), trace=trace, kind=Kind.DISCARDED, at=now(), detail={"why": why}
    )
    return encode(event)


def told_by(record: Record) -> list[Event]:
    """What an attempt's state says of each of its recipients; the same events however often it is asked."""
    attempt, state = record.attempt, record.state
    at = int((record.replied or record.dot).timestamp() * 1000)
    if state is State.DOT:  # it is being sent just now
        return []
    replies: list[Reply | None] = list(record.replies)
    if len(replies) == 1 and state is not State.UNCERTAIN:  # one for all
        replies *= len(attempt.rcpt_to)
    replies += [None] * (len(attempt.rcpt_to) - len(replies))
    found = []
    for number, (address, reply) in enumerate(zip(attempt.rcpt_to, replies, strict=False)):
        kind = _kind(state, reply)
        detail: dict[str, object] = {"next_hop": attempt.next_hop}
        if reply is not None and state is not State.HELD:
            detail["reply"] = str(reply)
        if kind in {Kind.REFUSED, Kind.DEFERRED}:
            detail["by"] = "gate" if state is State.UNSENT else "next-hop"
        if attempt.follows:
            detail["repeats"] = list(attempt.follows)
        found.append(
            Event(
                id=event_id(attempt.trace, kind, address, "journal", str(number)),
                trace=attempt.trace,
                kind=kind,
                at=at,
                recipient=address,
                source="journal",
                detail=detail,
            )
        )
    return found


def _kind(state: State, reply: Reply | None) -> Kind:
    match state:
        case State.HELD:
            return Kind.HELD
        case State.UNSENT:
            return Kind.DEFERRED
        case State.UNCERTAIN if reply is None:
            return Kind.UNCERTAIN
        case State.ACCEPTED if reply is None:  # a person found out that it arrived
            return Kind.SENT
    if reply is None:
        return Kind.DEFERRED
    if reply.positive:
        return Kind.SENT
    return Kind.REFUSED if reply.permanent else Kind.DEFERRED
