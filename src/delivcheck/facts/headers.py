"""The header section, read once for all rules about it: address fields, subject, date, identifier, repeats."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from ..engine import fact
from ..mime.headers import (
    AddressList,
    DateTime,
    HeaderError,
    Identifier,
    Mailbox,
    display_text,
    parse_addresses,
    parse_date,
    parse_identifier,
)
from ..mime.message import Field, Message
from ..model import Dns, NotApplicable, Unavailable, Where
from ..records.names import BadName, is_hostname, to_ascii
from .answers import who_takes_mail
from .reserved import reserved_top
from .roots import Envelope

ADDRESS_FIELDS = ("from", "sender", "reply-to", "to", "cc", "bcc")
MAX_REPLY_DOMAINS = 10  # asked about; Reply-To has one or two addresses in real mail

# RFC 5322 section 3.6's table of what may occur once, and the fields of MIME (RFC 2045 section 3). From and the List fields
# have rules of their own.
ONCE_ONLY = frozenset(
    {"date", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject"}
    | {"mime-version", "content-type", "content-transfer-encoding", "content-disposition", "content-id"}
)


# --- addresses ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Addressed:
    """One address field: what it holds, or why it cannot be read."""

    field: Field
    found: AddressList | None
    fault: HeaderError | None = None

    @property
    def mailboxes(self) -> tuple[Mailbox, ...]:
        """All mailboxes, those inside groups too."""
        return self.found.mailboxes if self.found is not None else ()

    def where(self, box: Mailbox) -> Where:
        """The place of one address."""
        return self.field.where(*box.address_span)

    @property
    def fault_at(self) -> Where:
        """The place where reading stopped."""
        position = self.fault.position if self.fault is not None else 0
        return self.field.where(position, position + 1) if position < len(self.field.text) else self.field.at


@dataclass(frozen=True, slots=True)
class AddressFields:
    """From, Sender, Reply-To, To, Cc and Bcc, in the order of the message, repeats kept."""

    each: tuple[Addressed, ...]

    def of(self, *names: str) -> tuple[Addressed, ...]:
        """The fields of these names, in lower case."""
        return tuple(one for one in self.each if one.field.lower in names)

    @property
    def author(self) -> Addressed | None:
        """The first From field."""
        return next(iter(self.of("from")), None)


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom the message goes to: the envelope's recipients, without an envelope those of To, Cc and Bcc. As written."""

    addresses: tuple[str, ...]
    names: tuple[str, ...] = ()  # display names of To and Cc


@fact
def address_fields(message: Message) -> AddressFields:
    """Read every address field."""
    return AddressFields(tuple(_addressed(field) for field in message.fields if field.lower in ADDRESS_FIELDS))


def _addressed(field: Field) -> Addressed:
    try:
        return Addressed(field, parse_addresses(field.text))
    except HeaderError as error:
        return Addressed(field, None, error)


@fact
def recipients(fields: AddressFields, envelope: Envelope | NotApplicable) -> Recipients:
    """The envelope knows best."""
    shown = [box for one in fields.of("to", "cc") for box in one.mailboxes]
    names = tuple(box.display_name for box in shown if box.display_name)
    if isinstance(envelope, Envelope):
        return Recipients(envelope.rcpt_to, names)
    hidden = [box for one in fields.of("bcc") for box in one.mailboxes]
    return Recipients(tuple(box.address for box in (*shown, *hidden)), names)


# --- one value each ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subject:
    """The first Subject field and its text as a reader sees it."""

    field: Field
    text: str


@dataclass(frozen=True, slots=True)
class SentDate:
    """The first Date field: the date, or why it is none."""

    field: Field
    date: DateTime | None
    fault: HeaderError | None = None


@dataclass(frozen=True, slots=True)
class MessageId:
    """The first Message-ID field: the identifier, or why it is none. `local`: its right side is no public host name."""

    field: Field
    identifier: Identifier | None
    fault: HeaderError | None = None
    local: bool = False


def first(message: Message, name: str) -> Field:
    """The first field of a name, or NotApplicable: whatever reads the fact has nothing to judge then."""
    found = message.first(name)
    if found is None:
        raise NotApplicable(f"there is no {name} field")
    return found


@fact
def subject(message: Message) -> Subject:
    """Decode the subject."""
    field = first(message, "Subject")
    return Subject(field, display_text(field))


@fact
def sent_date(message: Message) -> SentDate:
    """Read the date."""
    field = first(message, "Date")
    try:
        return SentDate(field, parse_date(field.text))
    except HeaderError as error:
        return SentDate(field, None, error)


@fact
def message_id(message: Message) -> MessageId:
    """Read the identifier."""
    field = first(message, "Message-ID")
    try:
        found = parse_identifier(field.text)
    except HeaderError as error:
        return MessageId(field, None, error)
    return MessageId(field, found, local=is_private(found.right))


def is_private(name: str) -> bool:
    """Whether a name has no dot, is an address, or lies under a top-level domain that public DNS does not have.

    Literals in brackets are not names.
    """
    plain = name.rstrip(".").lower()
    top = plain.rpartition(".")[2]
    return not plain.startswith("[") and (top == plain or top.isdigit() or reserved_top(plain) is not None)


# --- all fields --------------------------------------------------------------------------------------------------


def sections(message: Message) -> Iterator[tuple[Field, ...]]:
    """The message's own header section, then those of its parts; messages inside are somebody else's."""
    yield message.fields
    yield from (part.fields for part in message.parts if part is not message.root and not part.nested)


@dataclass(frozen=True, slots=True)
class RepeatedFields:
    """Fields of one name that stand more than once in one header section: a tuple for each name, in order."""

    each: tuple[tuple[Field, ...], ...]

    def among(self, names: frozenset[str]) -> tuple[tuple[Field, ...], ...]:
        """Those of the given names, in lower case."""
        return tuple(fields for fields in self.each if fields[0].lower in names)


@fact
def repeated_fields(message: Message) -> RepeatedFields:
    """Count all names of all sections."""
    found = []
    for section in sections(message):
        by_name: dict[str, list[Field]] = {}
        for field in section:
            by_name.setdefault(field.lower, []).append(field)
        found += [tuple(fields) for fields in by_name.values() if len(fields) > 1]
    return RepeatedFields(tuple(found))


_NO_REPLY = re.compile(r"(?:no|do[-_.]?not)[-_.]?reply", re.IGNORECASE)


def is_no_reply(address: str) -> bool:
    """Whether an address says that nobody reads it."""
    return _NO_REPLY.match(address) is not None


# --- where answers go --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplyDomains:
    """For each mailbox of Reply-To whose domain is a name: whether that domain takes mail."""

    each: tuple[tuple[Addressed, Mailbox, bool | Unavailable], ...]


@fact
async def reply_domains(fields: AddressFields, dns: Dns) -> ReplyDomains:
    """Ask for MX and addresses of every domain at once. NotApplicable when no Reply-To address has a domain name."""
    wanted = []
    for one in fields.of("reply-to"):
        for box in one.mailboxes:
            domain = host_of(box)
            if domain is not None:
                wanted.append((one, box, domain))
    if not wanted:
        raise NotApplicable("there is no Reply-To address")
    domains = list(dict.fromkeys(domain for _, _, domain in wanted))[:MAX_REPLY_DOMAINS]
    known = await who_takes_mail(dns, domains)
    return ReplyDomains(tuple((one, box, known[domain]) for one, box, domain in wanted if domain in known))


def host_of(box: Mailbox) -> str | None:
    """The domain of an address as A-labels, None if it is no full domain name (RFC 5321 section 2.3.5)."""
    try:
        name = to_ascii(box.domain)
    except BadName:
        return None
    return name if is_hostname(name) else None
