"""django-anymail: a gate before its sending services, and what they report afterwards, in the trace.

    from anymail.signals import post_send, pre_send, tracking
    from delivcheck.integrations import anymail

    pre_send.connect(anymail.gate)       # last, so that it sees what the others have changed
    post_send.connect(anymail.sent)      # these two write the trace: DELIVCHECK["TRACE"], or that of [gate.trace]
    tracking.connect(anymail.tracking)

A service with an API makes octets of its own from the parts of an e-mail: what is judged is what Django would send of them
(`message()`). Settings are those of `delivcheck.integrations.django`: `DELIVCHECK`, then `[hooks]` of the configuration.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from typing import Any

from anymail.exceptions import AnymailCancelSend, AnymailError
from anymail.message import AnymailRecipientStatus
from django.core.exceptions import ImproperlyConfigured

from .. import config as configuration
from .. import ulid
from ..config import ConfigError
from ..mime.headers import HeaderError, display_text, parse_addresses
from ..mime.message import MessageError, header_of
from ..trace.bounces.services import Told, refused, trace_in
from ..trace.ingest import ingest
from ..trace.intake import events_of
from ..trace.model import Actor, Kind, Reason
from ..trace.records import Event, Message, Record, event_id
from ..trace.store import Store, StoreError
from ..trace.tracking import actors
from .django import conf
from .django.outgoing import Outgoing, judged
from .errors import MessageRefused, MessageStopped, MessageUndetermined

log = logging.getLogger("delivcheck.hooks")


# --- before sending ------------------------------------------------------------------------------------------------


class Refused(MessageRefused, AnymailError):  # type: ignore[misc] # noqa: N818 -- anymail ships no types; words as in `errors`
    """A rule says that this message must not be sent; an AnymailError, too."""


class Undetermined(MessageUndetermined, AnymailError):  # type: ignore[misc] # noqa: N818 -- as above
    """It could not be found out now whether it may be sent; an AnymailError, so that `fail_silently` holds for it."""


def gate(sender: Any, message: Any, esp_name: str, **_: Any) -> None:
    """Receives `pre_send`. A refused message is cancelled as anymail documents it: `send()` returns 0 and raises nothing.

    Its `anymail_status` is "rejected" for every recipient then, and `message.delivcheck` is the ruling, with the rules. Raises
    AnymailCancelSend, which anymail takes, and with on_unknown="raise" Undetermined, which reaches the caller.
    """
    try:
        strict_gate(sender, message, esp_name)
    except Refused as error:
        if (status := getattr(message, "anymail_status", None)) is not None:
            status.set_recipient_status({one: AnymailRecipientStatus(None, "rejected") for one in error.recipients})
        raise AnymailCancelSend(str(error)) from error


def strict_gate(sender: Any, message: Any, esp_name: str, **_: Any) -> None:  # noqa: ARG001 -- the signal's
    """Receives `pre_send` in place of `gate`, for those who want to hear of it: raises Refused, Undetermined to the caller."""
    if not message.recipients():
        return
    outgoing = Outgoing(message, service=True)
    try:
        message.delivcheck = judged(conf.guard(conf.project().hooks), outgoing, "anymail")
    except MessageStopped as error:
        message.delivcheck = error.ruling
        kind = Refused if isinstance(error, MessageRefused) else Undetermined
        stopped = kind(error.ruling)
        stopped.recipients = outgoing.rcpt_to
        raise stopped from None


# --- afterwards ----------------------------------------------------------------------------------------------------

_REFUSED = frozenset({"rejected", "invalid", "failed"})  # anymail's words for recipients to whom nothing is sent
_SUPPRESSED = frozenset({"bounced", "timed_out", "blocked", "spam", "unsubscribed"})  # reasons of the service's own list


def sent(sender: Any, message: Any, status: Any, esp_name: str, **_: Any) -> None:  # noqa: ARG001 -- the signal's
    """Receives `post_send`: the message goes into the trace with the service's id, by which `tracking` finds it again.

    Raises nothing: it is sent, and whoever is told of a fault would send it again. A fault is logged.
    """
    try:
        ingest(_store(), list(_records(message, status, esp_name)))
    except (StoreError, ImproperlyConfigured, ValueError) as error:
        log.error("sent by %s, but not in the trace: %s", esp_name, error)  # noqa: TRY400 -- said in one line


def tracking(sender: Any, event: Any, esp_name: str, **_: Any) -> None:  # noqa: ARG001 -- the signal's
    """Receives `tracking`: what a service reports goes to its message in the trace; what is not about one of ours is forgotten.

    Raises StoreError, TooEarlyError: anymail answers 500 then, and the service comes again.
    """
    told = _told(event, esp_name.lower().replace(" ", "-"))
    if told is None or not told.recipient:
        return
    store = _store()
    events = events_of(store, f"webhook:{esp_name.lower()}", [told], _now())
    if events:
        ingest(store, events)


def _records(message: Any, status: Any, esp_name: str) -> Iterator[Record]:
    """A message for each id that the service gave, the first under the trace of its ruling."""
    ruling = getattr(message, "delivcheck", None)
    outgoing = Outgoing(message, service=True)
    subject, from_domain = _shown(outgoing.octets)
    by_id: dict[str, list[str]] = {}
    for recipient in status.recipients:
        given = status.recipients[recipient].message_id  # text with most services, a number with some
        by_id.setdefault("" if given is None else str(given), []).append(recipient)
    now = _now()
    for number, (message_id, recipients) in enumerate(by_id.items()):
        trace = ruling.trace if ruling is not None and number == 0 else ulid.new()
        tags = getattr(message, "tags", ())
        template = getattr(message, "template_id", "")
        yield Message(
            trace=trace,
            received=now,
            recipients=tuple(recipients),
            framing="anymail",
            template=template if isinstance(template, str) else "",
            tags=tuple(map(str, tags)) if isinstance(tags, (list, tuple)) else (),
            mail_from=outgoing.mail_from,
            from_domain=from_domain,
            subject=subject,
            message_id=message_id.strip("<>"),
            size=len(outgoing.octets),
            sha256=hashlib.sha256(outgoing.octets).hexdigest() if outgoing.octets else "",
            verdict="" if ruling is None else ruling.verdict,
            action="send",
            rules=() if ruling is None else ruling.rules,
            reason="" if ruling is None else ruling.reason,
            bypass="" if ruling is None else ruling.bypass or "",
            next_hop=esp_name,
        )
        if ruling is not None:
            yield _event(trace, Kind.CHECKED, now, {"verdict": ruling.verdict, "rules": list(ruling.rules)})
            cause = {} if ruling.bypass is None else {"cause": ruling.bypass, "reason": ruling.reason}
            yield _event(trace, Kind.PASSED if ruling.bypass is None else Kind.BYPASSED, now, cause)
        for recipient in recipients:
            said = str(status.recipients[recipient].status)
            refused_by = {"by": "next-hop", "next_hop": esp_name, "reply": said}
            kind, detail = (
                (Kind.REFUSED, refused_by) if said in _REFUSED else (Kind.SENT, {"next_hop": esp_name, "reply": said})
            )
            yield _event(trace, kind, now, detail, recipient)


def _event(trace: str, kind: Kind, at: int, detail: dict[str, Any], recipient: str | None = None) -> Event:
    key = event_id(trace, kind, recipient, "anymail")
    return Event(id=key, trace=trace, kind=kind, at=at, recipient=recipient, source="anymail", detail=detail)


def _shown(octets: bytes) -> tuple[str, str]:
    """The subject and the author's domain; "" where they cannot be read."""
    try:
        fields = list(header_of(octets))
        subject = next((display_text(one) for one in fields if one.lower == "subject"), "")
        authors = parse_addresses(next((one.text for one in fields if one.lower == "from"), "")).mailboxes
    except (MessageError, HeaderError):
        return "", ""
    return subject, authors[0].domain.lower() if authors else ""


def _told(event: Any, service: str) -> Told | None:
    """An event of anymail's in the trace's terms; None for what says nothing of a message's fate (queued, subscribed, …)."""
    at = _now() if event.timestamp is None else int(event.timestamp.timestamp() * 1000)
    kind, recipient, reason = str(event.event_type), str(event.recipient or ""), str(event.reject_reason or "")
    key = str(event.event_id or f"{kind} {at}")
    trace, message_id = trace_in(event.metadata), str(event.message_id or "").strip("<>")
    text = " ".join(str(event.mta_response or event.description or "").split())

    def told(what: Kind, actor: Actor | None = None, suppress: Reason | None = None, **detail: str) -> Told:
        return Told(what, recipient, key, at, trace, message_id, actor, detail, suppress)

    match kind:
        case "delivered":
            return told(Kind.DELIVERED, by=service, reply=text)
        case "bounced" | "deferred":
            later, hard = kind == "deferred", reason in {"invalid", "bounced"}
            return refused(
                recipient, key, at, text, hard=hard and not later, passing=later, delayed=later, type=reason,
                trace=trace, message_id=message_id,
            )  # fmt: skip
        case "rejected" if reason in _SUPPRESSED:
            return told(Kind.SUPPRESSED, by=service, why=reason)
        case "rejected" | "failed":
            return told(Kind.REFUSED, by="next-hop", reply=text or reason)
        case "complained":
            return told(Kind.COMPLAINED, suppress=Reason.COMPLAINT)
        case "unsubscribed":
            return told(Kind.UNSUBSCRIBED, suppress=Reason.UNSUBSCRIBE)
        case "opened":
            return told(Kind.OPENED, _actor(Kind.OPENED, event))
        case "clicked":
            return told(Kind.CLICKED, _actor(Kind.CLICKED, event), url=str(event.click_url or ""))
    return None


def _actor(kind: Kind, event: Any) -> Actor:
    """Who it was, as far as the program's name tells, which is not kept; a service that tells no name says nothing by it."""
    return actors.actor(kind, {"user-agent": str(event.user_agent)}, None) if event.user_agent else Actor.UNKNOWN


# --- the store -----------------------------------------------------------------------------------------------------

_stores: dict[tuple[int, str], Store] = {}  # one a process, and a fork makes its own


def _store() -> Store:
    """The store of the project's settings, or of [gate.trace]. Raises ImproperlyConfigured, StoreError."""
    chosen = conf.project()
    key = (os.getpid(), chosen.trace or str(chosen.hooks.get("config")))
    if key not in _stores:
        made = _configured(chosen.hooks.get("config") or None) if chosen.trace is None else Store(chosen.trace)
        made.migrate()
        _stores[key] = made
    return _stores[key]


def _configured(path: str | None) -> Store:
    from ..gate import reading, tracing

    try:
        found = configuration.discover(path, system=configuration.SYSTEM_FILE)
        gate = None if found.gate is None else reading.read(found)
    except ConfigError as error:
        raise ImproperlyConfigured(str(error)) from None
    if gate is None:
        raise ImproperlyConfigured("which trace? DELIVCHECK has no TRACE, and there is no configuration with [gate]")
    return tracing.store(gate)


def _now() -> int:
    return time.time_ns() // 1_000_000
