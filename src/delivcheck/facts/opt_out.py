"""What a message says about leaving its list: the sentences with the words for it, and every address for it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

from ..engine import fact
from ..memo import remembered
from ..mime.cascade import Hidden
from ..mime.html import Element, Text
from ..mime.links import Link
from ..model import NotApplicable, Unavailable, Where
from ..rulefiles import data
from .unsubscribe import ListUnsubscribe
from .unsubscribe_links import UnsubscribeLinks, has_leaving_words, leaving_words
from .wording import folded

MAX_LINKS = 20  # for leaving, whose surroundings are read; a newsletter has one or two
MAX_TEXTS = 60  # of the block around one
NEAR = 300  # characters before and behind a link in plain text
MAX_CLIMB = 10  # elements between a text and the link it is in
MAX_SENTENCES, MAX_SENTENCE = 100, 1000  # of one paragraph; characters

_BLOCKS = frozenset({"p", "td", "th", "div", "li", "center", "footer", "address", "small", "body"})
_SEEN = frozenset({None, Hidden.RESPONSIVE})
_BETWEEN = " | "  # stands where one link ends and the next begins
_WHITE = re.compile(r"[ \t\r\n]+")
_ENDS = re.compile(r"[.!?。！？|•·;:]+(?=\s|\Z)|[。！？|•·]+|\xa0{2,}|\s[-–—]\s|(?:[ \t]*\r?\n){2,}")


@dataclass(frozen=True, slots=True)
class Demand:
    """A sentence that asks more for leaving than following a link. `kind` is login, payment or letter."""

    kind: str
    sentence: str
    at: Where


@dataclass(frozen=True, slots=True)
class OptOutDemands:
    """All such sentences near the links for leaving; `unknown` says why one may not have been understood."""

    each: tuple[Demand, ...]
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class OptOutAddresses:
    """Every web address for leaving, each once and with what tells its place, and the mail addresses, of header and text."""

    web: tuple[tuple[str, Callable[[], Where]], ...]
    mail: tuple[str, ...]


@fact
def opt_out_demands(found: UnsubscribeLinks) -> OptOutDemands:
    """Read the sentences around each link. NotApplicable where there is no link."""
    if not found.each:
        raise NotApplicable("there is no unsubscribe link in the text")
    demands: dict[str, Demand] = {}
    read: set[Element | None] = set()
    for one in found.each[:MAX_LINKS]:
        block = _block(one.link)
        if block is not None and block in read:  # with another link of it
            continue
        read.add(block)
        for kind, shown in _demands_in(_around(one.link, block)):
            demands.setdefault(shown, Demand(kind, shown, one.link.at))
    return OptOutDemands(tuple(demands.values()), found.unknown)


@fact
def opt_out_addresses(
    found: UnsubscribeLinks | NotApplicable | Unavailable, offered: ListUnsubscribe | NotApplicable | Unavailable
) -> OptOutAddresses:
    """Put header and text together. NotApplicable where neither offers one."""
    web: dict[str, Callable[[], Where]] = {}
    mail: list[str] = []
    if isinstance(offered, ListUnsubscribe):
        web.update((uri.text, partial(offered.where, uri)) for uri in reversed(offered.list.web))
        mail += [address for uri in offered.list.of("mailto") for address in uri.addresses]
    for one in found.each if isinstance(found, UnsubscribeLinks) else ():
        if one.link.scheme in {"http", "https"}:
            web.setdefault(one.link.url.text, partial(_place, one.link))
        elif one.link.scheme == "mailto":
            mail.append(one.link.url.path)
    if not web and not mail:
        raise NotApplicable("the message offers no address for unsubscribing")
    return OptOutAddresses(tuple(web.items()), tuple(dict.fromkeys(mail)))


def _place(link: Link) -> Where:
    return link.at


# --- sentences ---------------------------------------------------------------------------------------------------


def _block(link: Link) -> Element | None:
    """The paragraph that a link of HTML stands in."""
    return next((above for above in link.element.ancestors if above.tag in _BLOCKS), None) if link.element is not None else None


def _around(link: Link, block: Element | None) -> str:
    """The text of a link's paragraph; links that touch are kept apart, since "Log in" beside "Unsubscribe" is no sentence."""
    if link.element is None:
        written = link.part.text if link.part is not None else ""
        return written[max(0, link.offset - NEAR) : link.end + NEAR]
    pieces: list[str] = []
    last: Element | None = None
    for text in block.first_texts(MAX_TEXTS) if block is not None else ():
        if text.hidden not in _SEEN:
            continue
        if text.data.strip():
            inside = _link_of(text)
            if inside is not None and last is not None and inside is not last:
                pieces.append(_BETWEEN)
            last = inside
        pieces.append(text.data)
    return _WHITE.sub(" ", "".join(pieces))


@remembered(1024)
def _demands_in(around: str) -> tuple[tuple[str, str], ...]:
    """The sentences of a paragraph that demand something for leaving: what, and the sentence."""
    found = []
    for sentence in _ENDS.split(around)[:MAX_SENTENCES] if _may_be_of_leaving(around) else ():
        kind = _demanded(sentence[:MAX_SENTENCE])
        if kind is not None:
            found.append((kind, " ".join(sentence[:MAX_SENTENCE].split())))
    return tuple(found)


def _may_be_of_leaving(around: str) -> bool:
    """Whether one of its sentences may have words for leaving: most blocks around a link with a token have none."""
    # With other letters, folding a sentence by itself may give what folding all of them does not: there each is asked.
    return not around.isascii() or has_leaving_words(around.lower().split())


def _link_of(text: Text) -> Element | None:
    element: Element | None = text.parent
    for _ in range(MAX_CLIMB):
        if element is None or element.tag == "a":
            return element
        element = element.parent
    return None


@lru_cache(maxsize=1)
def _demands() -> dict[str, re.Pattern[str]]:
    book = data("opt-out-demands")
    return {kind: _any_of([one for words in book[kind].values() for one in words]) for kind in ("login", "payment", "letter")}


@lru_cache(maxsize=2)
def _others(table: str) -> re.Pattern[str]:
    return _any_of(data("opt-out-demands")[table]["words"], whole=table == "alternatives")


def _any_of(words: list[str], *, whole: bool = False) -> re.Pattern[str]:
    """One of some words from the beginning of a word on; scripts without blanks have no such beginnings."""
    unique = sorted({folded(word) for word in words}, key=len, reverse=True)
    end = r"(?![a-zà-öø-ÿа-яα-ω])" if whole else ""
    return re.compile(rf"(?<![a-zà-öø-ÿа-яα-ω])(?:{'|'.join(map(re.escape, unique))}){end}")


def _demanded(sentence: str) -> str | None:
    """What a sentence demands of those who want to leave, None if it is not about leaving, or demands nothing."""
    text = folded(sentence)
    leaving = list(leaving_words(text))
    if not leaving or _others("excuses").search(text):
        return None
    for kind, pattern in _demands().items():
        for found in pattern.finditer(text):
            if not any(word.start() <= found.start() < word.end() for word in leaving) and not _or(text, found, leaving):
                return kind
    return None


def _or(text: str, demand: re.Match[str], leaving: list[re.Match[str]]) -> bool:
    """Whether all words for leaving are behind the demand and an "or": "log in to change your address, or unsubscribe"."""
    after: Iterator[int] = (word.start() for word in leaving)
    first = min(after)
    return first > demand.end() and _others("alternatives").search(text, demand.end(), first) is not None
