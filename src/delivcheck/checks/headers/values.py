"""Rules about the fields that hold one value: Subject, Date, Message-ID."""

import re
from datetime import timedelta

from ...engine import rule
from ...facts.headers import MessageId, SentDate, Subject
from ...facts.roots import Now
from ...mime.headers import ObsoleteDate, encoded_words
from ...mime.message import Message
from ...model import Findings, NotApplicable, Problem
from ...saying import shortened
from . import TOP

EXCHANGE_SUBJECT = 255  # characters, Exchange Online limits
GMAIL_SUBJECT = 998  # characters, Gmail message header limits
GMAIL_MESSAGE_ID = 500  # characters, the same

# rspamd's DATE_IN_FUTURE and DATE_IN_PAST; then the last steps of SpamAssassin's rules of these names
AHEAD, FAR_AHEAD = timedelta(hours=2), timedelta(days=1)
BEHIND, FAR_BEHIND = timedelta(days=1), timedelta(days=4)

# What mail programs put before the subject of an answer or a forwarded message, in six languages
_REPLY = re.compile(r"\s*((?:re|fwd?|aw|wg|rv|tr|sv|antw)(?:\s?\[\d+\])?\s?:)", re.IGNORECASE)

_ANSWERS = ("In-Reply-To", "References", "X-Forwarded-Message-Id")  # the last is Thunderbird's, of what it forwards


# --- Subject -----------------------------------------------------------------------------------------------------


@rule("headers/subject-empty")
def subject_empty(subject: Subject | NotApplicable) -> Findings:
    if isinstance(subject, NotApplicable):
        yield Problem("the message has no Subject field", TOP)
    elif not subject.text.strip():
        yield Problem("the Subject field is empty", subject.field.at)


@rule("headers/subject-too-long")
def subject_too_long(subject: Subject) -> Findings:
    # Catalogue T066: characters of the decoded text; how it is folded and encoded does not count.
    if len(subject.text) > EXCHANGE_SUBJECT and not _over_gmail(subject):
        yield Problem(f"the subject has {len(subject.text)} characters", subject.field.at)


@rule("headers/subject-over-gmail-limit")
def subject_over_gmail_limit(subject: Subject) -> Findings:
    if _over_gmail(subject):
        if len(subject.text) > GMAIL_SUBJECT:
            yield Problem(f"the subject has {len(subject.text)} characters", subject.field.at)
        else:
            yield Problem(f"the subject has {len(subject.field.text)} characters as it is encoded", subject.field.at)


def _over_gmail(subject: Subject) -> bool:
    return len(subject.text) > GMAIL_SUBJECT or len(subject.field.text) > GMAIL_SUBJECT


@rule("headers/fake-reply")
def fake_reply(message: Message, subject: Subject) -> Findings:
    found = _REPLY.match(subject.text)
    if found is None or any(message.all(name) for name in _ANSWERS):
        return
    if any(part.content_type == "message/rfc822" for part in message.leaves):  # what was forwarded is attached
        return
    plain = subject.field.text == subject.text
    where = subject.field.where(*found.span(1)) if plain else subject.field.at
    fix = f"Subject: {subject.text[found.end() :].strip()}" if plain else None
    yield Problem(f"the subject begins with “{found[1]}” and the message answers none", where, fix=fix)


# --- Date --------------------------------------------------------------------------------------------------------


@rule("headers/date-missing")
def date_missing(message: Message) -> Findings:
    if not message.all("Date"):
        yield Problem("the message has no Date field", TOP)


@rule("headers/date-invalid")
def date_invalid(sent: SentDate) -> Findings:
    if sent.date is None:
        position = sent.fault.position if sent.fault is not None else 0
        inside = position < len(sent.field.text)
        where = sent.field.where(position, position + 1) if inside else sent.field.at
        yield Problem(f"Date is not a date: {sent.fault}", where)
    elif ObsoleteDate.SHORT_YEAR in sent.date.obsolete:
        yield Problem("Date is not a date: the year has two or three digits", sent.field.where(*sent.date.span))


@rule("headers/date-zone-name")
def date_zone_name(sent: SentDate) -> Findings:
    if sent.date is None:
        raise NotApplicable("Date cannot be read")
    if ObsoleteDate.NAMED_ZONE in sent.date.obsolete:
        yield Problem("the time zone is given by name in Date", sent.field.where(*sent.date.span))


@rule("headers/date-far-off")
def date_far_off(sent: SentDate, now: Now) -> Findings:
    off = _off(sent, now)
    if AHEAD < off <= FAR_AHEAD or BEHIND < -off <= FAR_BEHIND:
        yield Problem(f"Date is {_length(off)} now", sent.field.at)


@rule("headers/date-out-of-range")
def date_out_of_range(sent: SentDate, now: Now) -> Findings:
    off = _off(sent, now)
    if off > FAR_AHEAD or -off > FAR_BEHIND:
        yield Problem(f"Date is {_length(off)} now", sent.field.at)


def _off(sent: SentDate, now: Now) -> timedelta:
    """How far the date is ahead of now; negative when behind. Both are moments, whatever zone they are written in."""
    if sent.date is None:
        raise NotApplicable("Date cannot be read")
    return sent.date.moment - now.time


def _length(off: timedelta) -> str:
    hours = abs(off) // timedelta(hours=1)
    amount = f"{hours} hours" if hours < 72 else f"{hours // 24} days"
    return f"{amount} {'ahead of' if off > timedelta() else 'behind'}"


# --- Message-ID --------------------------------------------------------------------------------------------------


@rule("headers/message-id-missing")
def message_id_missing(message: Message, *, next_hop_adds_it: bool = False) -> Findings:
    if not message.all("Message-ID") and not next_hop_adds_it:
        yield Problem("the message has no Message-ID field", TOP)


@rule("headers/message-id-malformed")
def message_id_malformed(found: MessageId) -> Findings:
    field, fault = found.field, found.fault
    if words := encoded_words(field.text):
        yield Problem("an encoded-word stands in Message-ID", field.where(*words[0].span))
    elif fault is not None:
        inside = fault.position < len(field.text)
        yield Problem(f"Message-ID: {fault}", field.where(fault.position, fault.position + 1) if inside else field.at)
    elif not field.text.isascii():
        yield Problem("Message-ID has characters that are not ASCII", field.at)
    if len(field.text) > GMAIL_MESSAGE_ID:
        yield Problem(f"Message-ID has {len(field.text)} characters, Gmail takes {GMAIL_MESSAGE_ID}", field.at)


@rule("headers/message-id-local")
def message_id_local(found: MessageId) -> Findings:
    if found.identifier is None:
        raise NotApplicable("Message-ID cannot be read")
    if found.local:
        right = found.identifier.right
        yield Problem(f"“{shortened(right, 100)}” is no public host name", found.field.where(*found.identifier.span))
