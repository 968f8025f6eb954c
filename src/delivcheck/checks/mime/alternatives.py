"""Rules about what parts of a message have to do with one another: text and HTML, images and the HTML that shows them."""

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

from ...engine import rule
from ...facts.content import place
from ...facts.message import HtmlParts, Links
from ...mime.message import Message, Part
from ...model import Findings, Level, Problem, Undetermined
from ...saying import shortened
from ..html import unread
from . import Beside

MIN_OVERLAP = 0.2  # of the words of both together; ours (catalogue MIME012). SpamAssassin's MPART_ALT_DIFF fires at 0.01
MIN_TEXT, MIN_HTML = 20, 200  # characters without white space (catalogue MIME012)
MIN_WORDS = 12  # of each, below which only a text says something that has not half of its words from the HTML; ours
MAX_COMPARED = 200_000  # characters of each that are compared; twice what Gmail shows
MAX_TEXTS = 10  # plain texts compared with one HTML; every honest message has one

# A word of letters and digits; in scripts that set no spaces (Thai, Chinese, Japanese, Korean) each sign counts by itself.
_WORD = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+")
_URL = re.compile(r"(?:https?://|www\.|mailto:)\S+", re.IGNORECASE)
_ASCII_URL = re.compile(r"(?:https?://|www\.|mailto:)\S+")  # in lower case
_URL_MARKS = ("http", "www.", "mailto:")
_ASCII_WORDS = {code: chr(code) if chr(code).isalnum() else " " for code in range(128)}  # what else is there goes
_CID = re.compile(r"\bcid:([^\s\"'<>()]{1,250})", re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    # Of what white space parts each is looked at but once: a text says most of its words several times.
    text = " ".join(set(text[:MAX_COMPARED].split()))
    if text.isascii():  # the same in a tenth of the time
        lowered = text.lower()
        if any(mark in lowered for mark in _URL_MARKS):
            lowered = _ASCII_URL.sub(" ", lowered)
        return frozenset(lowered.translate(_ASCII_WORDS).split())
    return frozenset(_WORD.findall(_URL.sub(" ", text).casefold()))


def _characters(text: str) -> int:
    """Without white space."""
    return len("".join(text.split()))


def _first_characters(text: str) -> int:
    """The same where there are fewer than MIN_TEXT; else any number from there on, mostly without looking at all of them."""
    begun = _characters(text[: 10 * MIN_TEXT])
    return begun if begun >= MIN_TEXT else _characters(text)


@rule("mime/text-alternative-unrelated")
def text_alternative_unrelated(message: Message, html: HtmlParts, *, min_overlap: float = MIN_OVERLAP) -> Findings:
    yield from unread(html)
    beside = Beside(message)
    plain: dict[Part, tuple[int, frozenset[str]]] = {}
    for shown, document in html.readable:
        others = beside.of(shown.part, "text/plain")
        seen, rich = document.visible_text, None
        for part in islice(others, MAX_TEXTS):
            if part not in plain:
                plain[part] = _first_characters(part.text), _words(part.text)
            characters, text = plain[part]
            if characters < MIN_TEXT and _characters(seen) > MIN_HTML:
                what = f"the plain text has {characters} characters, the HTML {_characters(seen)}"
                yield Problem(what, part.where_text(0))
                continue
            rich = _words(seen) if rich is None else rich
            both = len(text & rich)
            common = both / max(len(text) + len(rich) - both, 1)
            if min(len(text), len(rich)) >= MIN_WORDS and common < min_overlap:
                yield Problem(f"plain text and HTML have {common:.0%} of their words in common", part.where_text(0))
            elif len(text) < MIN_WORDS and _characters(seen) > MIN_HTML and (both * 2 < len(text) or not text):
                what = f"the plain text has {len(text)} words, and {both} of them stand in the HTML"
                yield Problem(f"{what} of {_characters(seen)} characters", part.where_text(0))
        if next(others, None) is not None:
            yield Undetermined(
                f"the HTML stands beside more than {MAX_TEXTS} plain texts, the rest was not compared", shown.part.at
            )


@rule("mime/unresolved-cid")
def unresolved_cid(message: Message, html: HtmlParts, links: Links) -> Findings:
    yield from unread(html)
    own = [part for part in message.parts if not part.nested]
    by_id: dict[str, Part] = {}
    for part in own:
        name = part.content_id
        if name and by_id.setdefault(name, part) is not part:  # RFC 2045 section 7: unique in the world
            yield Problem(f"two parts have the Content-ID {shortened(name, 120)}", place(part, "content-id"))
    used = set(_in_comments(html))
    for link in links.each:
        if link.scheme != "cid":
            continue
        name = unquote(link.url.text.partition(":")[2])  # RFC 2392 section 2: percent-encoded in the URL, not in the field
        target = by_id.get(name)
        if target is None and name not in used:
            yield Problem(f"cid:{shortened(name, 120)} names no part of the message", link.at)
        elif target is not None and name not in used and link.part is not None and not _related(message, link.part, target):
            what = f"cid:{shortened(name, 120)} names a part outside the multipart/related of the HTML"
            yield Problem(what, link.at, Level.NOTE)
        used.add(name)
    for part in own:
        field = part.first("content-id")
        if field is None:
            continue
        if not (field.text.startswith("<") and field.text.endswith(">")):  # RFC 2045 section 7: a msg-id
            fix = f"Content-ID: <{field.text.strip('<> ')}>"
            yield Problem("Content-ID has no angle brackets around it", field.where(0, len(field.text)), fix=fix)
        elif part.main_type == "image" and part.content_id not in used and _is_inline(message, part) and html.each:
            yield Problem(f"no HTML uses the image {(part.content_id or '')[:120]}", field.at, Level.NOTE)


def _in_comments(html: HtmlParts) -> Iterator[str]:
    """The ids that conditional comments use: Outlook alone shows what is in them."""
    for _, document in html.readable:
        for comment in document.comments:
            yield from (unquote(found[1]) for found in _CID.finditer(comment.text))


def _related(message: Message, html: Part, target: Part) -> bool:
    """Whether two parts stand in one multipart/related, whatever stands between."""
    above = set(_above(message, target))  # at most as many as parts are nested deep: not all parts inside are looked at
    return any(around.content_type == "multipart/related" and around in above for around in _above(message, html))


def _above(message: Message, part: Part) -> Iterator[Part]:
    """All parts around a part, the nearest first."""
    around = message.parent(part)
    while around is not None:
        yield around
        around = message.parent(around)


def _is_inline(message: Message, part: Part) -> bool:
    around = message.parent(part)
    return around is not None and around.content_type == "multipart/related" and part.disposition != "attachment"
