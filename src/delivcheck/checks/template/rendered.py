"""Rules about what a template leaves behind: code that was not rendered, values that were missing, the text of a draft."""

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote

from ...engine import rule
from ...facts.headers import AddressFields, Subject
from ...facts.leftovers import Found, code_in, code_in_url, drafts_in, missing_words, nobody_in, nothing_in, nothing_in_url
from ...facts.message import HtmlPart, HtmlParts, Links, TextParts
from ...facts.own_domains import OwnDomains
from ...mime.cascade import Hidden
from ...mime.headers import display_text
from ...mime.html import Element, HtmlDocument, Text
from ...mime.links import Link
from ...mime.message import Message
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Where
from ...records.names import is_within
from ...rulefiles import data
from ...saying import in_one_line
from ..html import unread
from ..links._walk import distinct

# Fields that people or machines at the other end read. Others (X-SMTPAPI, X-Mailgun-Variables …) carry code on purpose.
HEADERS = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "subject", "message-id", "in-reply-to", "references", "comments", "organization"}
    | {"list-id", "list-unsubscribe", "list-help", "list-archive", "list-post", "list-subscribe", "list-owner", "feedback-id"}
)
SAMPLES = frozenset({"code", "pre", "samp", "kbd", "xmp", "listing", "textarea"})  # catalogue T088: code that is shown
READ_OUT = ("alt", "title", "aria-label")  # attributes whose text reaches a reader


MaybeSubject = Subject | NotApplicable | Unavailable
Place = Callable[[int, int], Where]


class Passage(NamedTuple):
    """A text that was rendered, what to call it, and the place of characters of it; `markdown`: it may have code marks."""

    text: str
    name: str
    place: Place
    markdown: bool = False


def _at(where: Where) -> Place:
    return lambda _start, _end: where


def _headers(message: Message) -> Iterator[Passage]:
    for field in message.fields:
        if field.lower in HEADERS:
            text = display_text(field)
            yield Passage(text, field.name, field.where if text == field.text else _at(field.at))


def subject_passage(subject: MaybeSubject) -> Iterator[Passage]:
    """The subject as a reader sees it, if there is one."""
    if isinstance(subject, Subject):
        exact = subject.text == subject.field.text
        yield Passage(subject.text, "Subject", subject.field.where if exact else _at(subject.field.at))


def seen(texts: TextParts, html: HtmlParts) -> Iterator[Passage]:
    """What a reader sees, in one piece for each part."""
    for text in texts.each:
        yield Passage(text.text, "the text", text.where)
    for part, document in html.readable:
        yield Passage(document.visible_text, "the HTML", part.where_visible)


def _allowed(found: Iterable[Found], allow: Collection[str]) -> Iterator[Found]:
    """Each text once, without those that the policy allows."""
    told = set(allow)
    for one in found:
        if one.text not in told:
            told.add(one.text)
            yield one


# --- code and missing values -------------------------------------------------------------------------------------


@rule("template/unrendered-code")
def unrendered_code(  # noqa: PLR0917 -- the engine passes facts by position
    message: Message,
    texts: TextParts,
    html: HtmlParts,
    links: Links,
    addresses: AddressFields,
    subject: MaybeSubject,
    *,
    allow: tuple[str, ...] = (),
    fields: tuple[str, ...] = (),
) -> Findings:
    yield from unread(html)
    for passage in (*_headers(message), *_written(texts, html)):
        found = list(code_in(passage.text, fields, markdown=passage.markdown))
        if not found and "%7b" in passage.text.lower():
            yield from _told(
                code_in(unquote(passage.text), markdown=passage.markdown),
                passage._replace(place=_at(passage.place(0, 0))),
                allow,
            )
        yield from _told(found, passage, allow)
    for passage in subject_passage(subject):
        yield from _told(nothing_in(passage.text, subject=True), passage, allow)
    for passage in seen(texts, html):
        yield from _told(nothing_in(passage.text), passage, allow)
    yield from _nobody(addresses, allow)
    yield from _in_links(links, allow)


def _told(found: Iterable[Found], passage: Passage, allow: Collection[str]) -> Iterator[Problem]:
    for one in _allowed(found, allow):
        level = Level(one.level) if one.level else None
        yield Problem(f"{in_one_line(one.text, 120)} in {passage.name}: {one.what}", passage.place(one.start, one.end), level)


def _written(texts: TextParts, html: HtmlParts) -> Iterator[Passage]:
    """Every text that may have code in it: of HTML each piece by itself, hidden ones too, since a preview text is hidden."""
    for text in texts.each:
        yield Passage(text.text, "the text", text.where, markdown=True)
    for part, document in html.readable:
        yield from _pieces(part, document)


def _pieces(part: HtmlPart, document: HtmlDocument) -> Iterator[Passage]:
    for text in document.texts:
        if not _is_marked(text.data):
            continue
        rendered = text.hidden is not Hidden.NOT_RENDERED or text.parent.tag == "title"
        if rendered and not _is_sample(text.parent):
            yield Passage(text.data, "the HTML", _in_text(part, text))
    if not any(_is_marked(value) for name in READ_OUT for value in document.values.get(name, ())):
        return
    for element in document.elements:
        if any(name in READ_OUT and _is_marked(value) for name, value in element.attributes):
            yield from _read_out(part, element)


def _read_out(part: HtmlPart, element: Element) -> Iterator[Passage]:
    for name in READ_OUT:
        value = element.get(name)
        attribute = element.attribute(name) if value else None
        if value and attribute is not None:
            yield Passage(value, f"{name} of <{element.tag}>", _at(part.where(attribute.start, attribute.end)))


def _is_marked(text: str) -> bool:
    """Whether there is one of the marks that all code has, and few texts; written out, since every text is asked."""
    return "{" in text or "%" in text or "[[" in text or "*|" in text or "@@" in text


def _in_text(part: HtmlPart, text: Text) -> Place:
    return lambda start, end: part.where(text.offset_of(start), text.offset_of(end - 1) + 1)


def _is_sample(element: Element) -> bool:
    return element.tag in SAMPLES or any(around.tag in SAMPLES for around in element.ancestors)


def _nobody(addresses: AddressFields, allow: Collection[str]) -> Iterator[Problem]:
    for one in addresses.of("from", "sender", "reply-to", "to", "cc"):
        for box in one.mailboxes:
            words = (box.display_name or "").split()
            if words and set(words) <= missing_words() and box.display_name not in allow:
                yield Problem(f"{box.display_name} in {one.field.name}: a missing value", one.where(box))


def _in_links(links: Links, allow: Collection[str]) -> Iterator[Problem]:
    told: set[str] = set(allow)
    for link in links.each:
        if link.raw in told:
            continue
        told.add(link.raw)
        # In plain text a URL ends at the first space, so {{ id }} in one was found in the text already.
        for one in _allowed(code_in_url(link.raw), allow) if link.element is not None else ():
            yield Problem(f"{in_one_line(one.text, 120)} in {link.attribute or 'a link'}: {one.what}", link.at)
        missing = nothing_in_url(link.url.text)
        if missing is not None and missing not in told:
            yield Problem(f"{in_one_line(missing, 120)} in {link.attribute or 'a link'}: a missing value", link.at)


@rule("template/empty-greeting")
def empty_greeting(texts: TextParts, html: HtmlParts, subject: MaybeSubject) -> Findings:
    yield from unread(html)
    for passage in subject_passage(subject):
        for one in nobody_in(passage.text, subject=True):
            what = one.what if one.what.startswith(("begins", "has")) else f"has “{one.text}”, {one.what}"
            yield Problem(f"the subject {what}", passage.place(one.start, one.end))
    for passage in seen(texts, html):
        for one in nobody_in(passage.text):
            yield Problem(f"“{' '.join(one.text.split())}” in {passage.name} is {one.what}", passage.place(one.start, one.end))


# --- drafts ------------------------------------------------------------------------------------------------------


@rule("template/test-content-left")
def test_content_left(
    texts: TextParts,
    html: HtmlParts,
    links: Links,
    subject: MaybeSubject,
    own: OwnDomains,
    *,
    allow: tuple[str, ...] = (),  # noqa: PT028 -- no test, whatever its name says
) -> Findings:
    yield from unread(html)
    for passage in (*subject_passage(subject), *seen(texts, html)):
        for one, level in drafts_in(passage.text, subject=passage.name == "Subject"):
            domain = one.text.rpartition("@")[2] if "@" in one.text else None
            if one.text in (allow or ()) or own.has(domain):
                continue
            where = passage.place(one.start, one.end)
            yield Problem(f"{in_one_line(one.text, 80)} in {passage.name}: {one.what}", where, Level(level) if level else None)
    for link, domain in _written_to(links):
        placeholder = any(is_within(domain, name) for name in data("reserved-names")["placeholder"]["names"])
        if placeholder and not own.has(domain) and link.element is not None:
            yield Problem(f"a link writes to an address at {domain}", link.at)


def _written_to(links: Links) -> Iterator[tuple[Link, str]]:
    """Each mailto link with the domain of its first address."""
    for link, _ in distinct(link for link in links.each if link.scheme == "mailto"):
        domain = unquote(link.url.path).partition(",")[0].rpartition("@")[2].strip().lower()
        if domain:
            yield link, domain
