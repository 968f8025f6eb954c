"""Rules about fields that tell machines what the message is: Auto-Submitted, Feedback-ID, Precedence, X-CSA-Complaints."""

import re

from ...engine import rule
from ...facts.roots import Envelope
from ...facts.verdicts import DkimVerdicts
from ...mime.headers import HeaderError, parse_addresses
from ...mime.message import Message
from ...model import Findings, NotApplicable, Problem, Undetermined
from ...saying import shortened
from ..coverage import coverage
from . import TOP

SENDER_ID = range(5, 16)  # characters, Gmail Help, Feedback Loop
MAX_PARTS = 4

_NO = re.compile(r"\s*no\s*(?:[;(]|\Z)", re.IGNORECASE)  # RFC 3834 section 5


@rule("headers/auto-submitted-missing")
def auto_submitted_missing(message: Message, envelope: Envelope | NotApplicable) -> Findings:
    field = message.first("Auto-Submitted")
    if field is None:
        yield Problem("the message has no Auto-Submitted field", TOP)
    elif isinstance(envelope, Envelope) and not envelope.mail_from and _NO.match(field.text):
        yield Problem("Auto-Submitted says “no” and the sender is null", field.at)


@rule("headers/no-feedback-id")
def no_feedback_id(message: Message) -> Findings:
    if not message.all("Feedback-ID"):
        yield Problem("the message has no Feedback-ID field", TOP)


@rule("headers/feedback-id-malformed")
def feedback_id_malformed(message: Message) -> Findings:
    fields = message.all("Feedback-ID")
    if not fields:
        raise NotApplicable("there is no Feedback-ID field")
    if len(fields) > 1:
        yield Problem(f"Feedback-ID stands there {len(fields)} times", fields[1].at)
    field = fields[0]
    parts = [part.strip() for part in field.text.split(":")]
    sender = parts[-1]
    whole = field.where(0, len(field.text)) if field.text else field.at
    if len(parts) > MAX_PARTS:
        yield Problem(f"Feedback-ID has {len(parts)} parts, Gmail reads {MAX_PARTS} from the right", whole)
    if len(sender) not in SENDER_ID:
        yield Problem(f"the sender id “{shortened(sender, 60)}” has {len(sender)} characters, Gmail wants 5 to 15", whole)
    named = [part for part in parts if part]
    twice = next((part for index, part in enumerate(named[:10]) if part in named[:index]), None)
    if twice is not None:
        yield Problem(f"“{shortened(twice, 60)}” stands there twice in Feedback-ID", whole)


@rule("headers/precedence-missing")
def precedence_missing(message: Message) -> Findings:
    field = message.first("Precedence")
    if field is None:
        yield Problem("the message has no Precedence field", TOP)
    elif field.text.strip().lower() != "bulk":
        yield Problem(f"Precedence says “{shortened(field.text, 60)}”, not “bulk”", field.at, fix="Precedence: bulk")


@rule("headers/no-csa-complaints")
def no_csa_complaints(message: Message) -> Findings:
    field = message.first("X-CSA-Complaints")
    if field is None:
        yield Problem("the message has no X-CSA-Complaints field", TOP)
        return
    try:
        parse_addresses(field.text)
    except HeaderError:
        yield Problem("X-CSA-Complaints holds no address", field.at)


@rule("headers/csa-complaints-not-signed")
def csa_complaints_not_signed(message: Message, dkim: DkimVerdicts) -> Findings:
    if not message.all("X-CSA-Complaints"):
        raise NotApplicable("there is no X-CSA-Complaints field")
    if not dkim.each:
        raise NotApplicable("the message has no DKIM signature")
    # Any signature that passes will do: the sending service is certified, and no text that we have asks for alignment
    found = coverage(dkim, ["x-csa-complaints"])
    if found.passing:
        return
    if found.unknown:
        one = found.unknown[0]
        yield Undetermined(f"whether the signature of {one.domain} passes is unknown: {one.reason}", one.at)
    else:
        yield Problem("no passing signature covers X-CSA-Complaints", dkim.each[0].at)
