"""Rules about the markup: what clients strip, cut off or repair."""

import re
from collections.abc import Iterator, Mapping

from ...engine import rule
from ...facts.message import HtmlPart, HtmlParts
from ...facts.unsubscribe_links import UnsubscribeLinks
from ...mime.html import MAX_FAULTY, Element, HtmlDocument, Tag
from ...mime.links import split_url
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Undetermined
from ...records.names import is_within
from ...rulefiles import data
from ...saying import shortened
from . import unread

_CLIP = data("gmail-clip")
CLIP_OCTETS: int = _CLIP["octets"]
CLIP_WARNING: int = _CLIP["warn"]
STYLE_OCTETS: int = _CLIP["style"]["octets"]

ACTIVE = frozenset({"script", "object", "embed", "applet", "iframe", "frame"})
_SAID = frozenset({"alt", "title", "content"})  # whose values are no URLs
_JUDGED = ACTIVE | {"meta"}  # by their name
FIELDS = frozenset({"form", "input", "select", "textarea"})
FONT_HOSTS = ("fonts.googleapis.com", "fonts.bunny.net", "use.typekit.net", "fast.fonts.net", "cloud.typography.com")
MUST_CLOSE = frozenset({"table", "div", "a"})  # td and tr may do without an end tag (HTML section 13.1.2.4)

_EVENT = re.compile(r"on[a-z]{3,}\Z")
# Browsers drop control characters and spaces before a scheme, and tabs and line ends inside it (URL Standard section 4.4).
_DROPPED = dict.fromkeys(range(0x21))
_RUN = ("javascript:", "vbscript:")
_MAY_RUN = frozenset({*"jJvV", *map(chr, _DROPPED)})  # what values begin with that may run: nearly all others do not
_LONGEST_SCHEME = 200  # characters of a value that are looked at
_IMPORT = re.compile(r"@import\s+(?:url\(\s*)?[\"']?([^\"')\s;]{1,2000})", re.IGNORECASE)
_VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})

_FAULTS = {  # codes of the HTML standard, section 13.2.2, and the three of mime.html
    "nested-a": "an <a> begins inside another <a>",
    "second-body": "there is a second <body>",
    "eof-in-comment": "a comment has no end",
    "unexpected-null-character": "there is a NUL character",
}


# --- what clients strip ------------------------------------------------------------------------------------------


@rule("html/active-content")
def active_content(html: HtmlParts) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        suspicious = _has_suspicious(document)
        for tag in document.tags:
            if (suspicious or tag.name in _JUDGED) and not tag.is_end:
                for what in _active(tag):
                    yield Problem(what, part.where(tag.offset))


def _has_suspicious(document: HtmlDocument) -> bool:
    """Whether an attribute may be an event's or have a URL that runs, by how name or value begin."""
    return any(
        name[:2] == "on" or (name not in _SAID and any(value[:1] in _MAY_RUN and ":" in value for value in values))
        for name, values in document.values.items()
    )


def _active(tag: Tag) -> Iterator[str]:
    if tag.name in ACTIVE or tag.name == "meta":
        yield from _active_by_name(tag.name, dict(reversed(tag.attributes)))  # of a duplicate the first counts
    for name, value in tag.attributes:
        if name.startswith("on") and _EVENT.match(name):
            yield f"the event attribute {name} on <{tag.name}>"
        elif name not in _SAID and ":" in value and value[:1] in _MAY_RUN:
            scheme = value[:_LONGEST_SCHEME].translate(_DROPPED).lower()
            if scheme.startswith(_RUN):
                yield f"a {scheme.partition(':')[0]}: URL in {name} of <{tag.name}>"


def _active_by_name(name: str, values: Mapping[str, str]) -> Iterator[str]:
    if name in ACTIVE and not (name == "script" and (values.get("type") or "").strip().lower() == "application/ld+json"):
        yield f"<{name}> in the HTML"
    if name == "meta" and (values.get("http-equiv") or "").strip().lower() == "refresh":
        yield 'a <meta http-equiv="refresh"> in the HTML'


@rule("html/form")
def form(html: HtmlParts) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        inside = False  # a form's fields are told with it
        for tag in document.tags:
            if tag.name == "form":
                inside = not tag.is_end
            submits = tag.name == "button" and dict(tag.attributes).get("type", "").strip().lower() == "submit"
            if not tag.is_end and (tag.name == "form" or (not inside and (submits or tag.name in FIELDS))):
                yield Problem(f"<{tag.name}> in the HTML", part.where(tag.offset))


@rule("html/external-stylesheet")
def external_stylesheet(html: HtmlParts, *, style_max: int = STYLE_OCTETS) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        for element in document.all("link"):
            address = element.get("href") or ""
            if "stylesheet" in (element.get("rel") or "").lower().split():
                # Without its web font a mail falls back to the next family in the list: seen, not broken.
                host = split_url(address).host_ascii or ""
                level = Level.NOTE if any(is_within(host, known) for known in FONT_HOSTS) else None
                yield Problem(
                    f"a stylesheet is loaded from {shortened(address, 120)}", part.where(max(element.offset, 0)), level
                )
        yield from _styles(part, document, style_max)


def _styles(part: HtmlPart, document: HtmlDocument, style_max: int) -> Findings:
    total = 0
    for element in document.all("style"):
        for text in element.texts:
            for found in _IMPORT.finditer(text.data):
                host = split_url(found[1]).host_ascii or ""
                level = Level.NOTE if any(is_within(host, known) for known in FONT_HOSTS) else None
                yield Problem(f"@import loads {shortened(found[1], 120)}", part.where(text.offset_of(found.start())), level)
        before, total = total, total + len(element.text.encode("utf-8", "replace"))
        if before <= style_max < total:
            what = f"here the style elements exceed {style_max} octets of styles, and Gmail drops what goes over"
            yield Problem(what, part.where(max(element.offset, 0)))


# --- what Gmail cuts ---------------------------------------------------------------------------------------------


@rule("html/clipped-by-gmail")
def clipped_by_gmail(
    html: HtmlParts,
    leaving: UnsubscribeLinks | NotApplicable | Unavailable,
    *,
    warn_octets: int = CLIP_WARNING,
    max_octets: int = CLIP_OCTETS,
) -> Findings:
    for part in html.each:
        # Catalogue T079: the decoded part as UTF-8, not what is on the wire; text, images and attachments do not count.
        octets = part.part.text.encode("utf-8", "replace")
        if len(octets) > max_octets:
            cut = len(octets[:max_octets].decode("utf-8", "ignore"))
            element = _standing_at(part.document, cut) if isinstance(part.document, HtmlDocument) else None
            where = f" inside <{element.tag}>" if element is not None else ""
            known = isinstance(leaving, UnsubscribeLinks) and _leaving_is_lost(part, leaving, cut)
            lost = "; the unsubscribe link comes after it" if known else ""
            yield Problem(f"{len(octets)} octets of HTML, Gmail cuts at about {max_octets}{where}{lost}", part.where(cut))
        elif len(octets) > warn_octets:
            what = f"{len(octets)} octets of HTML, Gmail cuts at about {max_octets}"
            yield Problem(what, part.part.where_text(0), Level.NOTE)


def _standing_at(document: HtmlDocument, cut: int) -> Element | None:
    """The innermost element that is open at an offset of the source."""
    element = max((one for one in document.elements if 0 <= one.offset <= cut), key=lambda one: one.offset, default=None)
    while element is not None:
        end = element.end if element.tag in _VOID else element.end_tag
        if end is None or end > cut:
            return element
        element = element.parent
    return None


def _leaving_is_lost(part: HtmlPart, leaving: UnsubscribeLinks, cut: int) -> bool:
    """Whether there are links for leaving the list in this part, and all of them stand after the cut."""
    places = [one.link.offset for one in leaving.each if one.link.part is part.part]
    return bool(places) and min(places) >= cut


# --- what clients repair -----------------------------------------------------------------------------------------


@rule("html/malformed")
def malformed(html: HtmlParts) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        for fault in (*document.faults_as_written, *document.unclosed(MUST_CLOSE)):
            if fault.code in _FAULTS:
                offset = fault.offset
                if fault.code == "eof-in-comment":  # told at the end of the text
                    offset = document.comments[-1].offset if document.comments else offset
                yield Problem(_FAULTS[fault.code], part.where(offset))
            elif fault.code == "unclosed-element":
                yield Problem(f"the <{fault.detail}> has no end tag", part.where(fault.offset))
        yield from _conditionals(part, document)
        if document.faults_cut:
            yield Undetermined(
                f"only the first {MAX_FAULTY} characters of the HTML were looked through for parse errors", part.part.at
            )


def _conditionals(part: HtmlPart, document: HtmlDocument) -> Findings:
    """Conditional comments of Outlook: one comment with its own end, or one that reveals what follows up to another.

    `<!--[if mso]>…<![endif]-->` is the first kind; the second is `<!--[if !mso]><!-->…<!--<![endif]-->` or
    `<![if !mso]>…<![endif]>`.
    """
    opened: list[int] = []
    for comment in document.comments:
        text = comment.text.strip()
        if text.lower().startswith("[if"):
            rest = text.partition("]")[2]
            if rest in {"", ">", "><!", "><!--"}:
                opened.append(comment.offset)
            elif not rest.lower().endswith("<![endif]"):
                yield Problem("a conditional comment for Outlook has no <![endif]", part.where(comment.offset))
        elif text.lower() in {"<![endif]", "[endif]"} and opened:
            opened.pop()
    for offset in opened:
        yield Problem("a conditional comment for Outlook has no <![endif]", part.where(offset))


# --- what it says of itself --------------------------------------------------------------------------------------


@rule("html/no-meta-charset")
def no_meta_charset(html: HtmlParts) -> Findings:
    yield from unread(html)
    for part, document in html.readable:
        head = next((one for one in document.all("head") if one.offset >= 0), None)  # a fragment has none of its own
        if head is not None and not any(map(_names_charset, document.all("meta"))):
            yield Problem("the HTML does not name its charset", part.where(head.offset))


def _names_charset(meta: Element) -> bool:
    http_equiv = (meta.get("http-equiv") or "").strip().lower()
    return bool(meta.get("charset")) or (http_equiv == "content-type" and "charset=" in (meta.get("content") or "").lower())
