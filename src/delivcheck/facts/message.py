"""The message as rules read it: parsed, its texts and HTML decoded, its links, its From.

`Octets → Message` lets MessageError through, since octets that are no message are the caller's to refuse before any rule runs
(exit 3): whoever makes the roots calls `mime.message.parse` first and may hand the Message over as a root beside the Octets.
Collections are per item: an HTML part that is too large is `Unavailable` in its place and hides no other.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..engine import fact
from ..memo import lazy
from ..mime.addresses import AddressList, Mailbox, parse_addresses
from ..mime.fields import Field
from ..mime.html import HtmlDocument, HtmlError, Room, parse_html
from ..mime.lexer import HeaderError
from ..mime.links import Link, LinkKind, LinkRoom, links_in_html, links_in_text
from ..mime.message import Message, parse
from ..mime.part import Part
from ..model import NotApplicable, Unavailable, Where
from ..records.names import BadName, to_ascii
from .identity import FromDomain
from .leftovers import has_code
from .roots import Octets


@dataclass(frozen=True, slots=True)
class TextPart:
    """A text/plain part that a reader is shown."""

    part: Part

    @property
    def text(self) -> str:
        """Its text, decoded when first asked for."""
        return self.part.text

    def where(self, start: int, end: int | None = None) -> Where:
        """The place in the message of characters of the text."""
        return self.part.where_text(start, end)


@dataclass(frozen=True, slots=True)
class TextParts:
    """The text/plain parts of a message, in order; empty if it has none."""

    each: tuple[TextPart, ...]


@dataclass(frozen=True, slots=True)
class HtmlPart:
    """A text/html part that a reader is shown, and its document, or why there is none."""

    part: Part
    document: HtmlDocument | Unavailable

    def where(self, start: int, end: int | None = None) -> Where:
        """The place in the message of characters of the document's source."""
        return self.part.where_text(start, end)

    def where_visible(self, start: int, end: int | None = None) -> Where:
        """The place in the message of characters of the document's `visible_text`."""
        assert isinstance(self.document, HtmlDocument)
        last = None if end is None or end <= start else self.document.visible_offset(end - 1) + 1
        return self.part.where_text(self.document.visible_offset(start), last)


@dataclass(frozen=True)
class HtmlParts:
    """The text/html parts of a message, in order; empty if it has none."""

    each: tuple[HtmlPart, ...]

    @lazy
    def readable(self) -> tuple[tuple[HtmlPart, HtmlDocument], ...]:
        """Those that could be parsed, with their documents."""
        return tuple((each, each.document) for each in self.each if isinstance(each.document, HtmlDocument))

    @lazy
    def unavailable(self) -> tuple[Unavailable, ...]:
        """Why the others could not."""
        return tuple(each.document for each in self.each if isinstance(each.document, Unavailable))


@dataclass(frozen=True)
class Links:
    """All links of the texts a reader is shown, part by part; `unavailable` tells of parts whose links are not known."""

    each: tuple[Link, ...]
    unavailable: tuple[Unavailable, ...] = ()

    @lazy
    def rendered(self) -> tuple[Link, ...]:
        """Those without template code: whatever else is wrong with one that has some comes from that."""
        return tuple(link for link in self.each if not has_code(link.raw))

    @lazy
    def web(self) -> tuple[Link, ...]:
        """The rendered ones over http and https."""
        return tuple(link for link in self.rendered if link.url.scheme in {"http", "https"})

    @lazy
    def distinct(self) -> tuple[tuple[Link, int], ...]:
        """Of all links the first to each address, and how many there are to it."""
        return distinct(self.each)

    @lazy
    def distinct_web(self) -> tuple[tuple[Link, int], ...]:
        """The same of those over http and https."""
        return distinct(self.web)

    @lazy
    def distinct_followed(self) -> tuple[tuple[Link, int], ...]:
        """The same of those that a reader follows to a host with a name."""
        return distinct(link for link in self.web if link.kind is LinkKind.LINK and link.host_ascii and link.url.ip is None)


def distinct(links: Iterable[Link]) -> tuple[tuple[Link, int], ...]:
    """The first link to each address, and how many there are to it."""
    by_address: dict[str, list[Link]] = {}
    for link in links:
        address = link.raw.strip()
        same = by_address.get(address)
        if same is None:
            by_address[address] = [link]
        else:
            same.append(link)
    return tuple((same[0], len(same)) for same in by_address.values())


@dataclass(frozen=True, slots=True)
class FromField:
    """The From fields, and for each its addresses or what is wrong with them."""

    fields: tuple[Field, ...]
    parsed: tuple[AddressList | HeaderError, ...]

    @property
    def mailbox(self) -> Mailbox | None:
        """The one mailbox of the one From field; None if there are more or fewer, or if it is in a group."""
        if len(self.parsed) != 1 or isinstance(self.parsed[0], HeaderError):
            return None
        items = self.parsed[0].items
        return items[0] if len(items) == 1 and isinstance(items[0], Mailbox) else None

    @property
    def at(self) -> Where | None:
        """The place of the first From field."""
        return self.fields[0].at if self.fields else None


@fact
def message(octets: Octets) -> Message:
    """The parsed message. Raises MessageError, see above."""
    return parse(octets.data)


@fact
def text_parts(message: Message) -> TextParts:
    """The texts a reader is shown, outside attachments and nested messages."""
    return TextParts(tuple(TextPart(part) for part in message.text_parts))


@fact
def html_parts(message: Message) -> HtmlParts:
    """The HTML a reader is shown, each part parsed once."""
    room = Room()
    return HtmlParts(tuple(HtmlPart(part, _document(part, room)) for part in message.html_parts))


def _document(part: Part, room: Room) -> HtmlDocument | Unavailable:
    try:
        return parse_html(part.text, room)
    except HtmlError as error:
        return Unavailable(f"the HTML was not read: {error}", part.at)


@fact
def links(message: Message, texts: TextParts, html: HtmlParts) -> Links:
    """The links of all these parts, in the order of the message."""
    documents = {each.part: each.document for each in html.each}
    plain = {each.part for each in texts.each}
    found: list[Link] = []
    cut: list[Unavailable] = []
    room = LinkRoom()
    for part in message.body_parts:
        document = documents.get(part)
        if isinstance(document, HtmlDocument):
            found += links_in_html(document, part, room)
        elif part in plain:
            found += links_in_text(part.text, part, room)
        if room.cut is not None:
            cut.append(Unavailable(room.cut, part.at))
            break
    return Links(tuple(found), (*html.unavailable, *cut))


@fact
def from_field(message: Message) -> FromField:
    """All From fields, parsed."""
    fields = message.all("from")
    return FromField(fields, tuple(_addresses(field) for field in fields))


def _addresses(field: Field) -> AddressList | HeaderError:
    try:
        return parse_addresses(field.text)
    except HeaderError as error:
        return error.with_traceback(None)


@fact
def from_domain(author: FromField) -> FromDomain:
    """The author domain: of exactly one From field with exactly one mailbox (RFC 9989 section 3.2.2 knows no other)."""
    if not author.fields:
        raise NotApplicable("the message has no From field")
    if len(author.fields) > 1:
        raise NotApplicable(f"the message has {len(author.fields)} From fields, so no one author domain")
    parsed, box = author.parsed[0], author.mailbox
    if isinstance(parsed, HeaderError):
        raise NotApplicable(f"From cannot be read: {parsed}")
    if box is None:
        count = len(parsed.mailboxes)
        reason = "From holds a group" if parsed.groups else f"From has {count} mailboxes"
        raise NotApplicable(f"{reason}, so no one author domain")
    if box.domain.startswith("["):
        raise NotApplicable("the domain in From is an address literal")
    try:
        return FromDomain(to_ascii(box.domain), author.fields[0].where(*box.domain_span))
    except BadName as error:
        raise NotApplicable(f"the domain in From is no domain name: {error}") from None
