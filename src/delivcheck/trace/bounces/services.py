"""What sending services report by webhook, as facts: Postmark, Mailgun, Amazon SES by SNS, SendGrid. Pure.

A service's word for "hard" is not ours: it calls a policy's refusal so as well. What the receiving server said is read as in a
report, and suppresses by the same rule; the service's word must not contradict it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypedDict

from ... import ulid
from ..model import Actor, Kind, Reason
from . import causes, codes
from .model import PASSING, Action, Cause, Fate

MAX_TEXT = 1_000  # characters of a reply
MAX_EVENTS = 5_000  # of one request; SendGrid sends at most about 1,000
_NAMES = ("delivcheck-trace", "delivcheck_trace", "trace")  # of metadata that hold our trace


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that a service told. `at` in Unix milliseconds; `id` is the service's own; `message_id` without brackets."""

    kind: Kind
    recipient: str
    id: str
    at: int
    trace: str = ""
    message_id: str = ""
    actor: Actor | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    reason: Reason | None = None  # suppress for this


class _About(TypedDict):
    """What a payload says of the message."""

    trace: str
    message_id: str


class PayloadError(ValueError):
    """The payload is not what the service documents; one line."""


def told(provider: str, payload: Any) -> list[Told]:
    """All that a request tells that we keep. Raises PayloadError, and nothing else."""
    try:
        found = []
        for one in _READERS[provider](payload):
            found.append(one)
            if len(found) == MAX_EVENTS:
                break
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, RecursionError) as error:
        raise PayloadError(f"no report of {provider}: {type(error).__name__}") from None
    return [one for one in found if one.recipient]


# --- Postmark ------------------------------------------------------------------------------------------------------
# Read 2026-11-23: postmarkapp.com/email-webhooks and /developer/webhooks/subscription-change-webhook (stored copies), the types
# of bounces in Postmark's own postmark.js 4.0.5, and the payloads of django-anymail's tests (github.com/anymail/django-anymail
# at 8c40cc4). The descriptions of the types are Postmark's.

_POSTMARK_NOTHING = frozenset(  # says nothing of what became of a message: somebody, or something, is there
    {"AutoResponder", "AddressChange", "ChallengeVerification", "OpenRelayTest", "Subscribe", "InboundError"}
)
_POSTMARK_DELAYED = frozenset({"Transient", "DnsError"})  # "could not temporarily deliver", "a temporary DNS error"
_POSTMARK_PASSING = frozenset({*_POSTMARK_DELAYED, "SoftBounce", "VirusNotification"})


def _postmark(one: Any) -> Iterator[Told]:
    kind = one["RecordType"]
    recipient = _text(one.get("Recipient") or one.get("Email"), 320)
    about: _About = {"trace": trace_in(one.get("Metadata")), "message_id": ""}
    key = _text(one.get("ID") or one.get("MessageID"), 100)
    match kind:
        case "Delivery":
            detail = {"by": "postmark", "reply": _text(one.get("Details"))}
            yield Told(Kind.DELIVERED, recipient, key, _moment(one["DeliveredAt"]), detail=detail, **about)
        case "Bounce":
            type_ = _text(one.get("Type"), 40)
            if type_ in _POSTMARK_NOTHING:
                return
            if type_ == "SpamComplaint":
                yield Told(Kind.COMPLAINED, recipient, key, _moment(one["BouncedAt"]), reason=Reason.COMPLAINT, **about)
                return
            if type_ == "Unsubscribe":  # a mail that asks for it; told as a bounce (anymail issue 447)
                yield Told(Kind.UNSUBSCRIBED, recipient, key, _moment(one["BouncedAt"]), reason=Reason.UNSUBSCRIBE, **about)
                return
            text = _text(one.get("Details")) or _text(one.get("Description"))
            hard = type_ in {"HardBounce", "BadEmailAddress"}
            passing, delayed = type_ in _POSTMARK_PASSING, type_ in _POSTMARK_DELAYED
            at = _moment(one["BouncedAt"])
            yield refused(recipient, key, at, text, hard=hard, passing=passing, delayed=delayed, type=type_, **about)
        case "SpamComplaint":
            yield Told(Kind.COMPLAINED, recipient, key, _moment(one["BouncedAt"]), reason=Reason.COMPLAINT, **about)
        case "Open":
            yield Told(
                Kind.OPENED, recipient, f"{key} {one['ReceivedAt']}", _moment(one["ReceivedAt"]), actor=Actor.UNKNOWN, **about
            )
        case "Click":
            detail = {"url": _text(one.get("OriginalLink"), 2_000)}
            at = _moment(one["ReceivedAt"])
            yield Told(Kind.CLICKED, recipient, f"{key} {one['ReceivedAt']}", at, actor=Actor.UNKNOWN, detail=detail, **about)
        case "SubscriptionChange":  # what a person did; the others follow from a bounce or complaint, which is told as well
            if (
                one.get("SuppressSending")
                and one.get("SuppressionReason") == "ManualSuppression"
                and one.get("Origin") == "Recipient"
            ):
                at = _moment(one["ChangedAt"])
                yield Told(Kind.UNSUBSCRIBED, recipient, f"{key} {at}", at, reason=Reason.UNSUBSCRIBE, **about)


# --- Mailgun -------------------------------------------------------------------------------------------------------
# Read 2026-11-23: source/api-events.rst and user_manual.rst of github.com/mailgun/documentation (2024-07-23); of
# documentation.mailgun.com/docs/mailgun/user-manual/webhooks the pages securing-webhooks and webhook-retries (stored copies).
# "failed" with severity "temporary" is one attempt: Mailgun goes on. An event's id is unique within a day.


def _mailgun(payload: Any) -> Iterator[Told]:
    one = payload["event-data"]
    message = one.get("message") or {}
    headers = message.get("headers") or {}
    about: _About = {
        "trace": trace_in(one.get("user-variables")),
        "message_id": _text(headers.get("message-id"), 998).strip("<>"),
    }
    recipient, key, at = _text(one.get("recipient"), 320), _text(one["id"], 100), int(float(one["timestamp"]) * 1000)
    status = one.get("delivery-status") or {}
    bot = (one.get("client-info") or {}).get("bot")
    actor = Actor.MACHINE if bot else Actor.UNKNOWN
    match one["event"]:
        case "delivered":
            yield Told(
                Kind.DELIVERED, recipient, key, at, detail={"by": "mailgun", "reply": _text(status.get("message"))}, **about
            )
        case "failed":
            said = _text(status.get("message")) or _text(status.get("description"))
            code, enhanced = status.get("code"), _text(status.get("enhanced-code") or status.get("bounce-code"), 20)
            text = said if codes.reply(said).code or not isinstance(code, int) else f"{code} {said}"
            hard = one.get("severity") == "permanent"
            why = _text(one.get("reason"), 40)
            if why.startswith("suppress-"):  # -bounce, -complaint, -unsubscribe: it was not tried
                yield Told(Kind.SUPPRESSED, recipient, key, at, detail={"by": "mailgun", "why": why}, **about)
                return
            yield refused(
                recipient, key, at, text, hard=hard, passing=not hard, status=enhanced, delayed=not hard, **about
            )  # fmt: skip
        case "complained":
            yield Told(Kind.COMPLAINED, recipient, key, at, reason=Reason.COMPLAINT, **about)
        case "unsubscribed":
            yield Told(Kind.UNSUBSCRIBED, recipient, key, at, reason=Reason.UNSUBSCRIBE, **about)
        case "opened":
            yield Told(Kind.OPENED, recipient, key, at, actor=actor, **about)
        case "clicked":
            yield Told(Kind.CLICKED, recipient, key, at, actor=actor, detail={"url": _text(one.get("url"), 2_000)}, **about)


# --- Amazon SES ----------------------------------------------------------------------------------------------------
# Read 2026-11-23: notification-contents.md, event-publishing-retrieving-sns-contents.md and -examples.md, the sources of
# Amazon's developer guide (github.com/awsdocs/amazon-ses-developer-guide, as it was on 2023-06-15, before it was archived).

_SES_NOT_TRIED = frozenset(  # bounceSubType of what was not sent, as the address is on a list of Amazon's
    # The first two are in these sources; the others are later, and known from what others have met.
    {
        "Suppressed",
        "OnAccountSuppressionList",
        "OnTenantSuppressionList",
        "EmailValidationSuppressed",
        "UnsubscribedRecipient",
    }
)


def _ses(one: Any) -> Iterator[Told]:
    mail = one["mail"]
    headers = {
        str(field["name"]).lower(): str(field["value"]) for field in mail.get("headers") or () if isinstance(field, Mapping)
    }
    common = mail.get("commonHeaders") or {}
    tags = {name: values[0] for name, values in (mail.get("tags") or {}).items() if isinstance(values, list) and values}
    about: _About = {
        "trace": trace_in(tags) or trace_in({"trace": headers.get("x-delivcheck-trace", "")}),
        "message_id": _text(headers.get("message-id") or common.get("messageId"), 998).strip("<>"),
    }
    key = _text(mail["messageId"], 100)
    match one.get("notificationType") or one.get("eventType"):
        case "Delivery":
            said = one["delivery"]
            detail = {"by": "ses", "reply": _text(said.get("smtpResponse"))}
            for recipient in said.get("recipients") or ():
                yield Told(Kind.DELIVERED, _text(recipient, 320), key, _moment(said["timestamp"]), detail=detail, **about)
        case "Bounce":
            said = one["bounce"]
            hard = said.get("bounceType") == "Permanent"
            for each in said.get("bouncedRecipients") or ():
                text = _text(each.get("diagnosticCode"))
                if said.get("bounceSubType") in _SES_NOT_TRIED:
                    detail = {"by": "ses", "why": _text(said.get("bounceSubType"), 40)}
                    yield Told(
                        Kind.SUPPRESSED,
                        _text(each["emailAddress"], 320),
                        key,
                        _moment(said["timestamp"]),
                        detail=detail,
                        **about,
                    )
                    continue
                yield refused(
                    _text(each["emailAddress"], 320), key, _moment(said["timestamp"]), text,
                    hard=hard, passing=not hard, status=_text(each.get("status"), 20), **about,
                )  # fmt: skip
        case "Complaint":
            said = one["complaint"]
            if said.get("complaintFeedbackType") in {"not-spam", "auth-failure"}:
                return
            complained = said.get("complainedRecipients") or ()
            if said.get("complaintSubType"):  # not sent, for an earlier complaint: OnAccountSuppressionList is the only one
                detail = {"by": "ses", "why": _text(said["complaintSubType"], 40)}
                for each in complained:
                    recipient, at = _text(each["emailAddress"], 320), _moment(said["timestamp"])
                    yield Told(Kind.SUPPRESSED, recipient, key, at, detail=detail, **about)
                return
            # Amazon lists everybody who may have complained: with several recipients at one provider nobody knows who did.
            reason = Reason.COMPLAINT if len(complained) == 1 else None
            for each in complained:
                detail = {"type": _text(said.get("complaintFeedbackType"), 40)}
                recipient, at = _text(each["emailAddress"], 320), _moment(said["timestamp"])
                yield Told(Kind.COMPLAINED, recipient, key, at, detail=detail, reason=reason, **about)
        case "DeliveryDelay":
            said = one["deliveryDelay"]
            for each in said.get("delayedRecipients") or ():
                text, at = _text(each.get("diagnosticCode")) or _text(said.get("delayType")), _moment(said["timestamp"])
                yield refused(
                    _text(each["emailAddress"], 320), f"{key} {at}", at, text,
                    hard=False, passing=True, status=_text(each.get("status"), 20), delayed=True, **about,
                )  # fmt: skip
        case "Reject":  # a virus, as far as Amazon can tell: taken, and not sent to anybody
            at = _moment(mail["timestamp"])
            for recipient in mail.get("destination") or ():
                text = _text(one["reject"].get("reason"))
                yield refused(_text(recipient, 320), key, at, text, hard=False, passing=False, type="Reject", **about)
        case "Subscription":  # Amazon's own one-click, of its lists of contacts
            said = one["subscription"]
            at = _moment(said["timestamp"])
            if (said.get("newTopicPreferences") or {}).get("unsubscribeAll"):
                for recipient in _only(mail):
                    yield Told(
                        Kind.UNSUBSCRIBED, recipient, f"{key} {at}", at, reason=Reason.UNSUBSCRIBE, **about
                    )  # fmt: skip
        case "Open":
            at = _moment(one["open"]["timestamp"])
            for recipient in _only(mail):
                yield Told(Kind.OPENED, recipient, f"{key} {at}", at, actor=Actor.UNKNOWN, **about)
        case "Click":
            at = _moment(one["click"]["timestamp"])
            detail = {"url": _text(one["click"].get("link"), 2_000)}
            for recipient in _only(mail):
                yield Told(Kind.CLICKED, recipient, f"{key} {at}", at, actor=Actor.UNKNOWN, detail=detail, **about)


def _only(mail: Mapping[str, Any]) -> tuple[str, ...]:
    """The one recipient of a mail; of several Amazon does not say which did it."""
    found = mail.get("destination") or ()
    return (_text(found[0], 320),) if isinstance(found, Sequence) and not isinstance(found, str) and len(found) == 1 else ()


# --- SendGrid ------------------------------------------------------------------------------------------------------
# Read 2026-11-23: event.md, getting-started-event-webhook.md and -security-features.md below
# content/docs/for-developers/tracking-events of github.com/sendgrid/docs (2021-06-11); the beginning of today's
# twilio.com/docs/sendgrid/for-developers/tracking-events/event (stored copy); the payloads of django-anymail's tests.

_SENDGRID_NOT_TRIED = frozenset({"unsubscribed address", "bounced address", "spam reporting address"})  # reasons of "dropped"


def _sendgrid(payload: Any) -> Iterator[Told]:
    if not isinstance(payload, Sequence) or isinstance(payload, str):
        raise TypeError
    for one in payload:
        about: _About = {"trace": trace_in(one), "message_id": _text(one.get("smtp-id"), 998).strip("<>")}
        recipient, at = _text(one.get("email"), 320), int(one["timestamp"]) * 1000
        key = _text(one.get("sg_event_id"), 100) or f"{one.get('sg_message_id')} {at}"
        actor = Actor.MACHINE if one.get("sg_machine_open") else Actor.UNKNOWN
        reason, status = _text(one.get("reason")), _text(one.get("status"), 20)
        match one.get("event"):
            case "delivered":
                yield Told(
                    Kind.DELIVERED, recipient, key, at, detail={"by": "sendgrid", "reply": _text(one.get("response"))}, **about
                )
            case "deferred":
                text = _text(one.get("response")) or reason
                yield refused(recipient, key, at, text, hard=False, passing=True, delayed=True, **about)
            case "bounce":
                hard = one.get("type", "bounce") == "bounce"  # "blocked" is about us; older ones were "expired", too
                yield refused(recipient, key, at, reason, hard=hard, passing=False, status=status, **about)
            case "dropped" if reason.lower() not in _SENDGRID_NOT_TRIED:  # no address, spam content, a quota of ours
                yield refused(recipient, key, at, reason, hard=False, passing=False, type="dropped", **about)
            case "dropped":
                yield Told(Kind.SUPPRESSED, recipient, key, at, detail={"by": "sendgrid", "why": reason}, **about)
            case "spamreport":
                yield Told(Kind.COMPLAINED, recipient, key, at, reason=Reason.COMPLAINT, **about)
            case "unsubscribe" | "group_unsubscribe":
                yield Told(Kind.UNSUBSCRIBED, recipient, key, at, reason=Reason.UNSUBSCRIBE, **about)
            case "open":
                yield Told(Kind.OPENED, recipient, key, at, actor=actor, **about)
            case "click":
                yield Told(Kind.CLICKED, recipient, key, at, actor=actor, detail={"url": _text(one.get("url"), 2_000)}, **about)


_READERS: Mapping[str, Callable[[Any], Iterator[Told]]] = {
    "postmark": _postmark,
    "mailgun": _mailgun,
    "ses": _ses,
    "sendgrid": _sendgrid,
}


# --- shared ------------------------------------------------------------------------------------------------------


def refused(
    recipient: str,
    key: str,
    at: int,
    text: str,
    *,
    hard: bool,
    passing: bool,
    status: str = "",
    delayed: bool = False,
    type: str = "",  # noqa: A002 -- the service's word
    trace: str = "",
    message_id: str = "",
) -> Told:
    """A bounce or a delay, judged by what the receiving server said."""
    said = codes.reply(text)
    settled = causes.settled(codes.status(status), said)
    why = causes.why(settled, said.code, text, action=Action.DELAYED if delayed else Action.FAILED)
    later = delayed or (passing and (settled or "4").startswith("4"))
    permanent = hard and not later and not settled.startswith("4") and why.cause not in PASSING
    reason = Reason.BOUNCE if permanent and causes.suppresses(settled, why.cause, permanent=True) else None
    fate = Fate(
        recipient=recipient,
        action=Action.DELAYED if later else Action.FAILED,
        status=settled,
        code=said.code,
        diagnostic=text,
        cause=why.cause if text or settled else Cause.UNKNOWN,
        permanent=permanent,
        provider=why.provider,
        rules=why.rules,
    )
    detail = {**bounced(fate), "by": "next-hop", "reply": text, **({"type": type} if type else {})}
    return Told(
        Kind.DEFERRED if later and delayed else Kind.BOUNCED, recipient, key, at,
        trace=trace, message_id=message_id, detail=detail, reason=reason,
    )  # fmt: skip


def bounced(fate: Fate, *, reporting: str = "") -> dict[str, Any]:
    """What an event says of a fate: class, status, code, text, rule (the first of `rules`), and where it came from."""
    detail: dict[str, Any] = {
        "class": str(fate.cause),
        "status": fate.status,
        "code": fate.code,
        "text": fate.diagnostic,
        "permanent": fate.permanent,
    }
    more = {
        "rule": fate.rules[0] if fate.rules else "",
        "rules": list(fate.rules),
        "provider": fate.provider,
        "remote": fate.remote_mta,
        "reporting": reporting,
        "final": fate.recipient,
    }
    return detail | {name: value for name, value in more.items() if value}


def _text(value: Any, most: int = MAX_TEXT) -> str:
    return "" if value is None else " ".join(str(value)[:most].split())


def trace_in(metadata: Any) -> str:
    """Our trace, where the metadata have it."""
    if not isinstance(metadata, Mapping):
        return ""
    found = (str(metadata[name]).strip().upper() for name in _NAMES if name in metadata)
    return next((one for one in found if ulid.valid(one)), "")


def _moment(text: Any) -> int:
    """ISO 8601 as Unix milliseconds. Raises ValueError."""
    return int(datetime.fromisoformat(str(text)).timestamp() * 1000)
