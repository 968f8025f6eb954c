"""Signs of promotion: words that sell, and what usually comes with them."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from ..engine import fact
from ..memo import remembered
from ..mime.links import Link, LinkKind
from ..mime.message import Message
from ..model import NotApplicable, Unavailable, Where
from ..rulefiles import data
from .any_of import AnyOf, AnyPhrase
from .headers import Subject
from .message import Links
from .wording import Passage, Wording, folded

MIN_PRODUCTS = 3  # links to different products; ours (catalogue CLS002)
MAX_SUBJECT = 1_000  # characters
MAX_BUTTON = 60  # characters of a link's text
MAX_LINE = 200  # characters of a line of a receipt
MAX_DISCOUNTS = 50  # looked at in one text, most of which will be lines of a receipt

_SIGNS = re.compile(r"[^\w%']+")  # arrows, exclamation marks and brackets around the words of a button
_FIRST = re.compile(r"[\w%']+")


class Sign(NamedTuple):
    """One sign: what it is, for a sentence, and where."""

    what: str
    at: Where


@dataclass(frozen=True, slots=True)
class Promotion:
    """Words that sell, at most one of a kind, and other signs, which mean nothing by themselves."""

    words: tuple[Sign, ...]
    others: tuple[Sign, ...]


class _Discount(NamedTuple):
    markers: tuple[str, ...]
    pattern: re.Pattern[str]


@lru_cache(maxsize=1)
def _discounts() -> tuple[_Discount, ...]:
    book = data("promotion-words")["discount"]
    return tuple(_Discount(tuple(one["markers"]), re.compile(one["pattern"], re.IGNORECASE)) for one in book)


@lru_cache(maxsize=1)
def _taken_off() -> re.Pattern[str]:
    return re.compile(data("promotion-words")["taken-off"])


def _marked(text: str) -> Iterator[re.Pattern[str]]:
    """The patterns that can match in a text, which is folded."""
    return (one.pattern for one in _discounts() if any(marker in text for marker in one.markers))


@lru_cache(maxsize=2)
def _phrases(table: str) -> Mapping[str, None]:
    return dict.fromkeys(map(folded, data("promotion-words")[table]))


@lru_cache(maxsize=1)
def _any_words() -> AnyPhrase:
    """What is in every text with a discount or a suggestion."""
    return AnyPhrase([*_phrases("suggestions"), *(marker for one in _discounts() for marker in one.markers)])


@lru_cache(maxsize=1)
def _first_words() -> frozenset[str]:
    """What the buttons begin with."""
    return frozenset(_SIGNS.split(phrase, 1)[0] for phrase in _phrases("buttons"))


@lru_cache(maxsize=1)
def _product_paths() -> AnyOf:
    return AnyOf(data("promotion-words")["product-paths"])


@fact
def promotion(message: Message, words: Wording, links: Links, subject: Subject | NotApplicable | Unavailable) -> Promotion:
    """Look for all of them."""
    passages = [passage for passage in words.each if _any_words().stand_in(passage.words)]
    selling = [_discount(passages, subject), _button(links), _suggestion(passages)]
    others = [_products(links), _list_field(message), _precedence(message)]
    return Promotion(tuple(one for one in selling if one), tuple(one for one in others if one))


# --- words -------------------------------------------------------------------------------------------------------


def _discount(passages: Sequence[Passage], subject: Subject | NotApplicable | Unavailable) -> Sign | None:
    if isinstance(subject, Subject):
        text = subject.text[:MAX_SUBJECT]
        for pattern in _marked(folded(text)):
            if found := pattern.search(text):
                return Sign(f"“{found[0].strip()[:40]}” in the subject", subject.field.at)
    for passage in passages:
        for start, end in _offered(passage):
            return Sign(f"“{' '.join(passage.text[start:end].split())[:40]}” in the text", passage.place(start, end))
    return None


def _offered(passage: Passage) -> Iterator[tuple[int, int]]:
    """The places of discounts that no line of a receipt takes off: neither their own line nor the next."""
    text = passage.text
    for pattern in _marked(passage.folded):
        for found, _ in zip(pattern.finditer(text), range(MAX_DISCOUNTS), strict=False):
            if not _taken_off().search(text, *_two_lines(text, *found.span())):
                yield found.span()


def _two_lines(text: str, start: int, end: int) -> tuple[int, int]:
    """From the beginning of the line that holds a place to the end of the next."""
    first = text.rfind("\n", max(0, start - MAX_LINE), start) + 1 or max(0, start - MAX_LINE)
    following = text.find("\n", end, end + MAX_LINE)
    last = text.find("\n", following + 1, following + 1 + MAX_LINE) if following >= 0 else -1
    return first, last if last >= 0 else end + MAX_LINE


def _followed(links: Links) -> Iterator[Link]:
    return (link for link in links.each if link.kind is LinkKind.LINK)


def _button(links: Links) -> Sign | None:
    for link in _followed(links):
        for named in (link.text, link.alt):
            if named and _sells(named[:MAX_BUTTON]):
                return Sign(f"a link “{' '.join(named.split())[:40]}”", link.at)
    return None


@remembered(1024)
def _sells(button: str) -> bool:
    if button.isascii():  # most are told by their first word, at a fifth of the time
        first = _FIRST.search(button)
        if first is None or first[0].lower() not in _first_words():
            return False
    return _SIGNS.sub(" ", folded(button)).strip() in _phrases("buttons")


def _suggestion(passages: Sequence[Passage]) -> Sign | None:
    for passage in passages:
        for phrase in _phrases("suggestions"):
            if phrase in passage.folded:
                start = passage.text.casefold().find(phrase)
                return Sign(f"“{phrase}”", passage.place(max(start, 0), max(start, 0)))
    return None


# --- what comes with them ----------------------------------------------------------------------------------------


def _products(links: Links) -> Sign | None:
    found = {link.url.path: link for link in _followed(links) if _is_product(link.url.path)}
    return Sign(f"links to {len(found)} products", next(iter(found.values())).at) if len(found) >= MIN_PRODUCTS else None


@remembered(2048)
def _is_product(path: str) -> bool:
    return _product_paths().stands_in(path.lower())


def _list_field(message: Message) -> Sign | None:
    field = message.first("List-Unsubscribe")
    return Sign("List-Unsubscribe", field.at) if field is not None else None


def _precedence(message: Message) -> Sign | None:
    field = message.first("Precedence")
    bulk = field is not None and field.text.strip().lower() == "bulk"
    return Sign("Precedence: bulk", field.at) if field is not None and bulk else None
