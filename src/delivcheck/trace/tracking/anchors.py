"""Where the links of an HTML text are, to the character, and where a pixel goes. Finds places and changes nothing.

The parser says which tags there are and what their attributes are; our own scanner, after HTML sections 13.2.5.32 to
13.2.5.40, says where. A tag about which the two do not agree is left alone.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import NamedTuple

import turbohtml

from ...mime.html_source import HtmlSource, Tag

MAX_TEXT = 1_000  # characters of a link's text, as facts/unsubscribe_links has it

_LINKS = frozenset({"a", "area"})
# How senders say that a link is not to be tracked: ours, and those of SendGrid, Amazon SES, Mandrill, Postmark, Mailgun.
_OPT_OUTS = frozenset({"data-no-track", "ses:no-track", "mc:disable-tracking", "data-pm-no-track", "disable-tracking"})
_NAME = re.compile(r"<[A-Za-z][^ \t\n\r\f/>]*")
_BETWEEN = re.compile(r"[ \t\n\r\f/]*")
_ATTRIBUTE = re.compile(r"=?[^ \t\n\r\f/>=]*")
_EQUALS = re.compile(r"[ \t\n\r\f]*=[ \t\n\r\f]*")
_UNQUOTED = re.compile(r"[^ \t\n\r\f>]*")


class Span(NamedTuple):
    """An attribute's value as written, quotes not counted: `text[start:end]`."""

    name: str
    start: int
    end: int


class Anchor(NamedTuple):
    """A link's `href`: its place, its value with references resolved, what the reader sees of the link."""

    start: int
    end: int
    value: str
    text: str


def anchors(source: HtmlSource, decode: Callable[[str], str]) -> Iterator[Anchor]:
    """Every link with an href that asks not to be left alone. `decode` turns a piece of the source into characters.

    It is given where the source holds octets (each as one character), so that places are places in octets. Raises UnicodeError
    where `decode` does.
    """
    tags = source.tags
    starts = [run.start for run in source.runs]
    for index, tag in enumerate(tags):
        if tag.is_end or tag.name not in _LINKS or not any(name == "href" for name, _ in tag.attributes) or _opted_out(tag):
            continue
        place = _href(source.text, tag)
        if place is None:
            continue
        start, end = place
        raw = source.text[start:end]
        closing = next((one.plain_offset for one in tags[index + 1 : index + 200] if one.name == tag.name), tag.plain_offset)
        first = bisect_right(starts, tag.plain_offset)
        said = "".join(run.data for run in source.runs[first : bisect_right(starts, closing)])[:MAX_TEXT]
        alts = _alternatives(tags[index + 1 : index + 20], closing)
        yield Anchor(start, end, resolved(decode(raw)), f"{_lenient(decode, said)} {_lenient(decode, alts)}")


def resolved(raw: str) -> str:
    """An attribute's value with its character references resolved, by the parser itself."""
    if "&" not in raw:
        return raw
    quote = '"' if '"' not in raw else "'"  # a value cannot hold both: its own were around it, or it had none
    token = next(iter(turbohtml.tokenize(f"<a href={quote}{raw}{quote}>")))
    return dict(token.attrs or ()).get("href") or ""


def end_of_body(source: HtmlSource) -> int:
    """Where a pixel goes: before the last `</body>`, else the last `</html>`, else at the end."""
    for name in ("body", "html"):
        last = next((tag for tag in reversed(source.tags) if tag.is_end and tag.name == name), None)
        if last is not None:
            return last.offset
    return len(source.text)


def attributes(text: str, start: int) -> list[Span]:
    """The attributes of the start tag at an offset, as written; of two with one name the parser takes the first."""
    name = _NAME.match(text, start)
    found: list[Span] = []
    if name is None:
        return found
    position = name.end()
    while True:
        position = _end(_BETWEEN, text, position)
        if position >= len(text) or text[position] == ">":
            return found
        end = _end(_ATTRIBUTE, text, position)
        shown = text[position:end]
        position = end
        equals = _EQUALS.match(text, position)
        if equals is None:
            found.append(Span(shown, position, position))
            continue
        position = equals.end()
        quote = text[position : position + 1]
        if quote in {'"', "'"} and quote:
            end = text.find(quote, position + 1)
            if end < 0:
                return found
            found.append(Span(shown, position + 1, end))
            position = end + 1
        else:
            end = _end(_UNQUOTED, text, position)
            found.append(Span(shown, position, end))
            position = end


def _href(text: str, tag: Tag) -> tuple[int, int] | None:
    """Where the value of href is; None where the parser sees other attributes than we do."""
    first: dict[str, Span] = {}
    for span in attributes(text, tag.offset):
        first.setdefault(_lower(span.name), span)
    if list(first) != [name for name, _ in tag.attributes]:
        return None
    return first["href"].start, first["href"].end


def _opted_out(tag: Tag) -> bool:
    return any(name in _OPT_OUTS or (name == "clicktracking" and value.lower() == "off") for name, value in tag.attributes)


def _alternatives(tags: list[Tag], closing: int) -> str:
    """The alternative texts of images inside a link."""
    images = (dict(tag.attributes) for tag in tags if tag.name == "img" and not tag.is_end and tag.plain_offset < closing)
    return " ".join(image.get("alt", "") for image in images)[:MAX_TEXT]


def _lenient(decode: Callable[[str], str], text: str) -> str:
    """For words that are only looked at: resolved references may be characters that no octet stands for."""
    try:
        return decode(text)
    except UnicodeError:
        return text


def _lower(name: str) -> str:
    """HTML section 13.2.5.33 lowers ASCII letters alone; NUL becomes U+FFFD there."""
    return "".join(one.lower() if one.isascii() else one for one in name).replace("\0", "\ufffd")


def _end(pattern: re.Pattern[str], text: str, position: int) -> int:
    found = pattern.match(text, position)
    assert found is not None  # each of them matches nothing, too
    return found.end()
