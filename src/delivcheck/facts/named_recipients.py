"""Whom a message itself names as its recipient: in "This mail was sent to …", and where one leaves its list."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from urllib.parse import unquote, unquote_plus

from ..engine import fact
from ..memo import remembered
from ..mime.html import HtmlDocument
from ..mime.links import Link, split_url
from ..model import NotApplicable, Unavailable, Where
from ..rulefiles import data
from .link_secrets import parameters_of
from .message import HtmlParts, TextParts
from .unsubscribe import ListUnsubscribe
from .unsubscribe_links import UnsubscribeLinks

MAX_TEXT = 1_000_000  # characters of one text that are searched; ten times what Gmail shows
MAX_NAMED = 50  # kept of one message; every honest one names one recipient, three times at most
MAX_URL = 4_096  # characters of one URL that are looked at

_ADDRESS = r"[\w.+%'*-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}"
_WHOLE = re.compile(rf"{_ADDRESS}\Z")
_VERP = re.compile(r"[\w.-]{1,64}[+-](?P<local>[\w.]{1,64})=(?P<domain>(?:[\w-]{1,63}\.){1,8}[a-z]{2,24})\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class NamedRecipient:
    """One address, lower case, in words where it stands ("the text", "List-Unsubscribe"), and the place."""

    address: str
    said_in: str
    at: Where


@dataclass(frozen=True, slots=True)
class NamedRecipients:
    """All of them in order: texts, links, header."""

    each: tuple[NamedRecipient, ...]


def _phrases() -> list[str]:
    return sorted(data("recipient-phrases")["phrases"], key=len, reverse=True)


@lru_cache(maxsize=1)
def _statement() -> re.Pattern[str]:
    phrases = "|".join(r"\s+".join(map(re.escape, each.split())) for each in _phrases())
    # Between phrase and address: a colon, "the address", an angle or a quotation mark.
    return re.compile(
        rf"(?<!\w)(?:{phrases})[^@.!?\w]{{1,10}}(?:[^\W\d_]{{1,12}}[^@.!?\w]{{1,5}}){{0,3}}({_ADDRESS})", re.IGNORECASE
    )


@lru_cache(maxsize=1)
def _parameters() -> frozenset[str]:
    return frozenset(data("recipient-phrases")["parameters"])


@fact
def named_recipients(
    texts: TextParts,
    html: HtmlParts,
    leaving: UnsubscribeLinks | NotApplicable | Unavailable,
    offered: ListUnsubscribe | NotApplicable | Unavailable,
) -> NamedRecipients:
    """Find them. NotApplicable where the message names nobody."""
    found = tuple(islice(_all(texts, html, leaving, offered), MAX_NAMED))
    if not found:
        raise NotApplicable("the message does not say to whom it was sent")
    return NamedRecipients(found)


def _all(
    texts: TextParts,
    html: HtmlParts,
    leaving: UnsubscribeLinks | NotApplicable | Unavailable,
    offered: ListUnsubscribe | NotApplicable | Unavailable,
) -> Iterator[NamedRecipient]:
    for text in texts.each:
        for address, start, end in _stated(text.text):
            yield NamedRecipient(address, "the plain text", text.where(start, end))
    for part, document in html.readable:
        assert isinstance(document, HtmlDocument)
        for address, start, end in _stated(document.visible_text):
            yield NamedRecipient(address, "the HTML", part.where_visible(start, end))
    if isinstance(leaving, UnsubscribeLinks):
        for one in leaving.each:
            for address in _in_link(one.link):
                yield NamedRecipient(address, "the unsubscribe link", one.link.at)
    if isinstance(offered, ListUnsubscribe):
        for uri in offered.list.uris:
            for address in _in_uri(uri.text):
                yield NamedRecipient(address, "List-Unsubscribe", offered.where(uri))


def _stated(text: str) -> Iterator[tuple[str, int, int]]:
    text = text[:MAX_TEXT]
    plain = " ".join(text.lower().split()) if "@" in text else ""
    if any(phrase in plain for phrase in _phrases()):  # most texts: the pattern would try all phrases at each word
        for found in _statement().finditer(text):
            yield found[1].lower(), *found.span(1)


def _in_link(link: Link) -> Iterator[str]:
    yield from _in_uri(link.url.text)


@remembered(1024)
def _in_uri(text: str) -> tuple[str, ...]:
    """The same, each once. A link stands in the text and in the HTML, and there behind a picture and behind a button."""
    return tuple(dict.fromkeys(_all_in_uri(text)))


def _all_in_uri(text: str) -> Iterator[str]:
    """The subscriber's address in a URI for leaving a list: as a parameter, in a subject, or coded into the mail address."""
    url = split_url(text[:MAX_URL])
    if url.scheme == "mailto":
        local, _, _ = unquote(url.path).rpartition("@")
        coded = _VERP.match(local)
        if coded:
            yield f"{coded['local']}@{coded['domain']}".lower()
        for piece in (url.query or "").split("&"):
            name, _, value = piece.partition("=")
            if name.lower() in {"subject", "body"}:
                yield from (word.lower() for word in unquote_plus(value).split() if _WHOLE.match(word))
        return
    for parameter in parameters_of(url):
        plain = parameter.name.lower().replace("-", "").replace("_", "")
        if plain in _parameters() and _WHOLE.match(parameter.value.strip()):
            yield parameter.value.strip().lower()
