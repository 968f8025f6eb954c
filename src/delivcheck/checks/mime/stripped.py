"""Rules about what is left in a plain text that a program made from HTML."""

import re
from collections.abc import Iterator
from itertools import islice

from ...engine import rule
from ...facts.message import HtmlParts, TextParts
from ...mime.message import Message, Part
from ...model import Findings, Problem
from ...saying import shortened
from ..html import unread
from . import Beside

MAX_TEXT = 200_000  # characters of each that are looked at; twice what Gmail shows of HTML
MAX_TEXTS = 10  # plain texts beside one HTML; every honest message has one
MIN_TAGS = 2  # a text may speak of one

_DOCUMENT = re.compile(r"\ufeff?\s*(?:<!doctype\s+html\b|<html[\s>])", re.IGNORECASE)
_BLOCK = re.compile(r"\{([^{}]{1,4000})\}")
_DECLARATION = re.compile(
    r"(?:\A|;)\s*(?:-(?:webkit|ms|moz)-[a-z-]{2,30}|mso-[a-z-]{2,30}|color|display|width|height|max-width|min-width|max-height"
    r"|margin(?:-[a-z]{3,6})?|padding(?:-[a-z]{3,6})?|border(?:-[a-z-]{3,20})?|background(?:-[a-z]{3,10})?"
    r"|font(?:-[a-z]{4,7})?|line-height|text-(?:align|decoration|transform|size-adjust)|vertical-align|visibility|opacity)"
    r"\s*:\s*[^;{}\s]",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?(?:a|b|body|br|center|div|em|font|h[1-6]|head|hr|html|i|img|li|meta|o:p|ol|p|span|strong|style|table|tbody|td|th|title"
    r"|tr|u|ul)(?:\s[^<>]{0,1000})?/?>",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"&(?:nbsp|zwnj|shy|amp|quot|apos|lt|gt|copy|reg|trade|euro|[mn]dash|hellip|bull|middot|raquo|laquo"
                        r"|[lr][sd]quo|[a-z]{1,2}uml|[a-z](?:acute|grave|circ|cedil|tilde)|szlig|#\d{2,6}|#x[0-9a-f]{2,5});",
                        re.IGNORECASE)  # fmt: skip
_APOSTROPHE = re.compile(r"[^\W\d_]&#(?:x27|0?39);[^\W\d_]", re.IGNORECASE)
_SPACE = re.compile(r"\s+")


@rule("mime/text-has-markup")
def text_has_markup(message: Message, texts: TextParts, html: HtmlParts) -> Findings:
    yield from unread(html)
    beside = Beside(message)
    shown_with: dict[Part, str] = {}
    for shown, document in html.readable:
        for part in islice(beside.of(shown.part, "text/plain"), MAX_TEXTS):
            shown_with.setdefault(part, "".join(document.visible_text[:MAX_TEXT].split()))
    for text in texts.each:
        plain = text.text[:MAX_TEXT]
        if _DOCUMENT.match(plain):
            yield Problem("the plain text is an HTML document", text.where(0))
            continue
        # What the HTML shows to its reader is said, not left over; without HTML beside it nobody can tell, but for one thing.
        seen = shown_with.get(text.part)
        found = _alone(plain) if seen is None else _left(plain, seen)
        for what, start, end in found:
            yield Problem(f"the plain text has {what}", text.where(start, end))


def _alone(plain: str) -> Iterator[tuple[str, int, int]]:
    """What a text without HTML beside it has left over: an apostrophe that a template engine escaped for HTML."""
    apostrophe = _APOSTROPHE.search(plain)
    if apostrophe:
        yield f"the character reference {apostrophe[0][1:-1]}", apostrophe.start() + 1, apostrophe.end() - 1


def _left(plain: str, seen: str) -> Iterator[tuple[str, int, int]]:
    block = next(
        (one for one in _BLOCK.finditer(plain) if _DECLARATION.search(one[1]) and _SPACE.sub("", one[0]) not in seen), None
    )
    if block:
        yield "a piece of a style sheet", block.start(), block.end()
    tags = list(islice((one for one in _TAG.finditer(plain) if _SPACE.sub("", one[0]) not in seen), MIN_TAGS))
    if len(tags) == MIN_TAGS:
        yield f"the HTML tag {shortened(tags[0][0], 60)}", tags[0].start(), tags[0].end()
    reference = next((one for one in _REFERENCE.finditer(plain) if one[0] not in seen), None)
    if reference:
        yield f"the character reference {reference[0]}", reference.start(), reference.end()
