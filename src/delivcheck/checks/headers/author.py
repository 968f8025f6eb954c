"""Rules about who sends: the address in From, its name, and the domains beside it."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial

from ...engine import rule
from ...facts.dkim import DkimSignatures
from ...facts.headers import Addressed, AddressFields, Recipients, host_of, is_no_reply
from ...facts.identity import FromDomain
from ...facts.message import Links
from ...facts.own_domains import OwnDomains
from ...facts.roots import Envelope
from ...mime.headers import Group, Mailbox, Obsolete, decode_words
from ...mime.message import Message
from ...model import Findings, Level, NotApplicable, Problem, Where
from ...records.names import BadName, has_public_suffix, to_ascii
from ...records.scripts import mixed_scripts
from ...saying import shortened
from . import TOP, Places

MAX_NAME = 60  # characters of a display name; ours (catalogue HDR028)

# Forms that RFC 5322 section 4.4 forbids to generate. A dot in a phrase (John Q. Public) is one too, and everybody reads it.
_OBSOLETE = {
    Obsolete.EMPTY_ELEMENT: "a comma with nothing beside it",
    Obsolete.ROUTE: "a route before the address",
    Obsolete.SPACE_IN_ADDRESS: "white space or a comment inside the address",
    Obsolete.QUOTED_PIECE: "a local part that is quoted in pieces",
}


# --- From --------------------------------------------------------------------------------------------------------


@rule("headers/from-missing")
def from_missing(fields: AddressFields) -> Findings:
    if fields.author is None:
        yield Problem("the message has no From field", TOP)
    elif not fields.author.field.text.strip():
        yield Problem("the From field is empty", fields.author.field.at)


@rule("headers/from-repeated")
def from_repeated(message: Message) -> Findings:
    fields = message.all("From")
    if len(fields) > 1:
        yield Problem(f"From stands there {len(fields)} times", fields[1].at)


@rule("headers/several-authors")
def several_authors(fields: AddressFields) -> Findings:
    author = _readable(fields)
    if len(author.mailboxes) > 1:
        shown = ", ".join(box.address for box in author.mailboxes[:5])
        # RFC 5322 section 3.6.2: several authors need a Sender. Without it even the strict column has an error.
        level = None if fields.of("sender") else Level.ERROR
        yield Problem(f"From has {len(author.mailboxes)} addresses: {shown}", author.where(author.mailboxes[1]), level)


@rule("headers/from-invalid")
def from_invalid(fields: AddressFields) -> Findings:
    author = _author(fields)
    if author.found is None:
        yield Problem(f"From cannot be read: {author.fault}", author.fault_at)
        return
    place = Places()
    for item in author.found:
        if isinstance(item, Group):
            # RFC 6854 allows a group; it names no author, so there is no domain for DMARC
            what = "a group" if item.mailboxes else "a group without a mailbox"
            yield Problem(f"From is {what}", place(author.field, item.span))
    for box in author.mailboxes:
        if fault := domain_fault(box):
            yield Problem(f"{fault} in From", place(author.field, box.domain_span))
    for flag in author.found.obsolete:
        if flag.form in _OBSOLETE:
            yield Problem(f"From has {_OBSOLETE[flag.form]}", place(author.field, flag.span))


def domain_fault(box: Mailbox) -> str | None:
    """Why the domain of an address is no full domain name (RFC 5321 section 2.3.5), or None."""
    return None if host_of(box) is not None else f"“{shortened(box.domain, 100)}” is no full domain name"


def _author(fields: AddressFields) -> Addressed:
    if fields.author is None or not fields.author.field.text.strip():
        raise NotApplicable("there is no From address")
    return fields.author


def _readable(fields: AddressFields) -> Addressed:
    author = _author(fields)
    if author.found is None:
        raise NotApplicable("From cannot be read")
    return author


def _sender(fields: AddressFields) -> tuple[Addressed, Mailbox]:
    author = _readable(fields)
    if not author.mailboxes:
        raise NotApplicable("From names no mailbox")
    return author, author.mailboxes[0]


@rule("headers/no-reply-sender")
def no_reply_sender(fields: AddressFields) -> Findings:
    author, box = _sender(fields)
    answers = [one for field in fields.of("reply-to") for one in field.mailboxes]
    if is_no_reply(box.local) and all(is_no_reply(one.local) for one in answers):
        yield Problem(f"{box.address} takes no replies, and there is no Reply-To that does", author.where(box))


# --- its name ----------------------------------------------------------------------------------------------------

_DOMAIN_IN_NAME = re.compile(r"(@?)((?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,63})(?![\w.-])")
_REPLY = re.compile(r"\s*(?:re|fwd?|aw|wg)\s*:", re.IGNORECASE)
_COUNTER = re.compile(r"\(\d{1,3}\)|\[(?:\d{1,3}|[^\W\d_])\]")  # Gmail's examples: User (2), [1] New Message, [v], [z]
_MARKS = frozenset("©®™℠")  # symbols that belong to brands


@rule("headers/display-name-imitates")
def display_name_imitates(fields: AddressFields, sender: FromDomain, own: OwnDomains) -> Findings:
    author, box = _sender(fields)
    for what, text, where in _shown(author, box):
        theirs = next((name for name in _domains(text) if not own.same_organization(name)), None)
        if theirs is not None:
            yield Problem(f"{what} in From shows {theirs}, the address is at {sender.name}", where())


def _shown(author: Addressed, box: Mailbox) -> Iterator[tuple[str, str, Callable[[], Where]]]:
    """What a reader is shown beside the address, or a parser may take for it: what it is, the text, how to find its place."""
    yield "the name", box.display_name or "", lambda: _name_at(author, box)
    for comment, span in zip(box.comments, box.comment_spans, strict=True):
        # RFC 5322 section 3.4, note: a comment was how a name was written, and where there is no name it is still shown
        yield "a comment", decode_words(comment), partial(author.field.where, *span)
    if "@" in box.local:  # only in quotes: who cuts at the first @ reads another address
        yield "the local part", f"@{box.local.partition('@')[2]}", partial(author.field.where, *box.address_span)


def _domains(name: str) -> Iterator[str]:
    """The domains in a text, as A-labels: after an @ any, elsewhere those under a known public suffix."""
    for found in _DOMAIN_IN_NAME.finditer(name[:1000]):
        try:
            domain = to_ascii(found[2])
        except BadName:
            continue
        if found[1] or has_public_suffix(domain):
            yield domain


@rule("headers/misleading-display-name")
def misleading_display_name(fields: AddressFields, recipients: Recipients) -> Findings:
    author, box = _sender(fields)
    name = (box.display_name or "").strip()
    where = _name_at(author, box)
    symbol = next((one for one in name if unicodedata.category(one) in {"So", "Sk"} and one not in _MARKS), None)
    if symbol is not None:
        title = unicodedata.name(symbol, "a symbol").lower()
        yield Problem(f"the name in From has the symbol U+{ord(symbol):04X}, {title}", where)
    if _REPLY.match(name):
        yield Problem("the name in From begins like an answer", where)
    if counter := _COUNTER.search(name):
        yield Problem(f"the name in From has “{counter[0]}”, as a conversation would", where)
    if len(name) > MAX_NAME:
        yield Problem(f"the name in From has {len(name)} characters", where)
    others = {one.casefold() for one in recipients.addresses} - {box.address.casefold()}
    theirs = others | {one.strip().casefold() for one in recipients.names} if others else set()
    if name and name.casefold() in theirs:
        yield Problem(f"the name in From is the recipient's, {shortened(name, 60)}", where)


def _name_at(author: Addressed, box: Mailbox) -> Where:
    return author.field.where(*(box.phrase_span or box.address_span))


# --- scripts -----------------------------------------------------------------------------------------------------


@rule("headers/mixed-script-domain")
def mixed_script_domain(
    fields: AddressFields, signatures: DkimSignatures, links: Links, envelope: Envelope | NotApplicable
) -> Findings:
    told = set()
    for what, name, place in (*_named_domains(fields, envelope), *_signing_domains(signatures), *_link_hosts(links)):
        if (what, name) not in told:
            told.add((what, name))
            found = mixed_scripts(name)
            if found is not None:
                label, scripts = found
                yield Problem(f"{what}: “{label}” mixes {' and '.join(scripts)}", place())


_Named = Iterator[tuple[str, str, Callable[[], Where | None]]]  # what the domain is, the domain, how to find its place


def _named_domains(fields: AddressFields, envelope: Envelope | NotApplicable) -> _Named:
    """The domains that Gmail's guidelines name: of the sender, of Reply-To, of the envelope."""
    for one in fields.of("from", "sender", "reply-to"):
        for box in one.mailboxes:
            yield f"the domain in {one.field.name}", box.domain, partial(one.field.where, *box.domain_span)
    if isinstance(envelope, Envelope):
        yield "the domain in MAIL FROM", envelope.mail_from.rpartition("@")[2], lambda: None


def _signing_domains(signatures: DkimSignatures) -> _Named:
    """The authenticating domains."""
    for field, signature in signatures.readable:
        yield "d= of a DKIM signature", signature.domain, partial(field.where, "d")


def _link_hosts(links: Links) -> _Named:
    """The payload domains."""
    for link in links.each:
        if "xn--" in (link.host_ascii or ""):
            yield "the host of a link", link.host_ascii or "", partial(getattr, link, "at")
