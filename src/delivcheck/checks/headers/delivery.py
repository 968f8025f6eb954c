"""Rules about whom the message goes to and from where: recipients shown, envelope, addresses as SMTP takes them."""

import re
from collections.abc import Iterator

from ...engine import rule
from ...facts.headers import ADDRESS_FIELDS, Addressed, AddressFields
from ...facts.roots import Declared, Envelope
from ...mime.headers import Mailbox
from ...mime.message import Field, Message
from ...model import Findings, MessageClass, NotApplicable, Problem, Undetermined
from ...saying import shortened
from . import TOP, Places

MAX_RECIPIENTS = 100  # RFC 5321 section 4.5.3.1.8: every server takes that many
MAX_LOCAL = 64  # octets, section 4.5.3.1.1
MAX_DOMAIN = 255  # octets, section 4.5.3.1.2
MAX_PATH = 256  # octets with the angle brackets, section 4.5.3.1.3

_EXOTIC = re.compile(r"[,$%?{}<>\x00-\x1f\x7f]")  # Yahoo's SMTP Error Codes page, Other policy errors
_AUTOMATIC_ANSWER = re.compile(r"\s*auto-(?:replied|notified)\s*(?:[;(]|\Z)", re.IGNORECASE)  # RFC 3834 section 5, RFC 5436


# --- recipients --------------------------------------------------------------------------------------------------


@rule("headers/no-recipient")
def no_recipient(fields: AddressFields, declared: Declared) -> Findings:
    found = fields.of("to", "cc", "bcc")
    if not found:
        yield Problem("the message has neither To nor Cc nor Bcc", TOP)
    elif all(not one.field.text.strip() for one in found):
        yield Problem(f"the {found[0].field.name} field is empty", found[0].field.at)
    elif all(one.found is not None and not one.mailboxes for one in found):
        if declared.message_class is MessageClass.BULK:
            yield Problem(f"{found[0].field.name} of a bulk message names nobody", found[0].field.at)
        elif declared.message_class is None:
            yield Undetermined("the message names nobody, and its class was not declared", found[0].field.at)


@rule("headers/recipients-shown")
def recipients_shown(fields: AddressFields) -> Findings:
    shown: dict[str, tuple[Addressed, Mailbox]] = {}
    for one in fields.of("to", "cc"):
        for box in one.mailboxes:
            shown.setdefault(box.address.casefold(), (one, box))
    if len(shown) > 1:
        field, second = list(shown.values())[1]
        yield Problem(f"To and Cc show {len(shown)} addresses", field.where(second))


@rule("headers/too-many-recipients")
def too_many_recipients(envelope: Envelope, *, max_recipients: int = MAX_RECIPIENTS) -> Findings:
    if len(envelope.rcpt_to) > max_recipients:
        yield Problem(f"{len(envelope.rcpt_to)} recipients in one transaction", TOP)


@rule("headers/bcc-present")
def bcc_present(fields: AddressFields, envelope: Envelope | NotApplicable) -> Findings:
    recipient = envelope.rcpt_to[0].casefold() if isinstance(envelope, Envelope) and len(envelope.rcpt_to) == 1 else None
    for one in fields.of("bcc"):
        # RFC 5322 section 3.6.3: a blind recipient's own copy may have that recipient in Bcc
        others = [box for box in one.mailboxes if box.address.casefold() != recipient]
        if others:
            plural = "es" if len(others) > 1 else ""
            yield Problem(f"Bcc shows {len(others)} address{plural}", one.where(others[0]))
        elif one.found is None and one.field.text.strip():
            yield Problem("Bcc stands there and cannot be read", one.field.at)


# --- the envelope ------------------------------------------------------------------------------------------------


@rule("headers/return-path-present")
def return_path_present(message: Message) -> Findings:
    for field in message.all("Return-Path"):
        yield Problem("the outgoing message has a Return-Path field", field.at)


@rule("headers/null-sender")
def null_sender(message: Message, envelope: Envelope) -> Findings:
    if envelope.mail_from or message.root.content_type == "multipart/report":  # RFC 3464, RFC 8098
        return
    answer = message.first("Auto-Submitted")
    if answer is None or not _AUTOMATIC_ANSWER.match(answer.text):
        yield Problem("ordinary mail is sent from the null sender, MAIL FROM:<>", TOP)


# --- addresses ---------------------------------------------------------------------------------------------------


@rule("headers/address-too-long")
def address_too_long(fields: AddressFields, envelope: Envelope | NotApplicable) -> Findings:
    place = Places()
    for what, local, domain, at in _addresses(fields, envelope):
        octets, domain_octets = len(local.encode("utf-8", "replace")), len(domain.encode("utf-8", "replace"))
        path = octets + domain_octets + 3
        if octets > MAX_LOCAL:
            fault = f"{octets} octets before the @, SMTP allows {MAX_LOCAL}"
        elif domain_octets > MAX_DOMAIN:
            fault = f"{domain_octets} octets after the @, SMTP allows {MAX_DOMAIN}"
        elif path > MAX_PATH:
            fault = f"{path} octets with its brackets, SMTP allows {MAX_PATH}"
        else:
            continue
        yield Problem(f"{what} has {fault}", place(*at) if at else None)


@rule("headers/yahoo-characters")
def yahoo_characters(fields: AddressFields, envelope: Envelope | NotApplicable) -> Findings:
    place = Places()
    for what, local, domain, at in _addresses(fields, envelope):
        if found := _EXOTIC.search(local):
            yield Problem(
                f"{what} has {found[0]!r} in {shortened(local, 100)}@{shortened(domain, 100)}", place(*at) if at else None
            )


_Spelled = tuple[str, str, str, tuple[Field, tuple[int, int]] | None]


def _addresses(fields: AddressFields, envelope: Envelope | NotApplicable) -> Iterator[_Spelled]:
    """Every address of header and envelope: where it stands in words, both sides of the @, field and span."""
    for one in fields.of(*ADDRESS_FIELDS):
        for box in one.mailboxes:
            yield f"the address in {one.field.name}", box.local, box.domain, (one.field, box.address_span)
    if isinstance(envelope, Envelope):
        named = [("MAIL FROM", envelope.mail_from), *(("RCPT TO", address) for address in envelope.rcpt_to)]
        for what, address in named:
            local, _, domain = address.rpartition("@")
            yield what, local.strip('"'), domain, None
