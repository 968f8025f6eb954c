"""The words that a reader sees, made comparable: names, addresses and phrases are looked for in them."""

import math
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from ..engine import fact
from ..mime.html import Element, HtmlDocument
from ..mime.part import Part
from ..model import NotApplicable, Unavailable, Where
from ..rulefiles import data
from .message import HtmlParts, TextParts

MAX_TEXT = 1_000_000  # characters of one part that are searched; as in `leftovers`
MAX_CODES = 100  # postal codes of one pattern whose surroundings are looked at; a list of shops has fewer
NEAR = 120  # characters before and behind a postal code that can be the street
FEW = 200  # characters of text beside images, below which the words may be in the images; as catalogue HTML005
READABLE, READABLE_HEIGHT = 20_000, 40  # square px, px: a line of an address needs 500 by 40
MAX_DIGITS = 5  # of a width

_NO_SPACES = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")  # between words
_WORD = re.compile(r"\w+")
_ASCII_WORDS = {code: chr(code) if chr(code).isalnum() or chr(code) == "_" else " " for code in range(128)}


def plain(text: str) -> str:
    """Words alone, in one case, with a blank around each: "1 Main St., Springfield" is found in "1, Main St - Springfield"."""
    if text.isascii():  # the same in a tenth of the time
        return f" {' '.join(text.lower().translate(_ASCII_WORDS).split())} "
    return f" {' '.join(_WORD.findall(unicodedata.normalize('NFKC', text).casefold()))} "


def folded(text: str) -> str:
    """Case, kinds of apostrophe and of white space do not matter."""
    return " ".join(folded_words(text))


def folded_words(text: str) -> list[str]:
    """The words of the same."""
    if text.isascii():
        return text.lower().split()
    return unicodedata.normalize("NFC", text).casefold().replace("\u2019", "'").split()


@dataclass(frozen=True)
class Passage:
    """The visible text of one part; `place` gives the place of its characters."""

    text: str
    place: Callable[[int, int], Where]

    @cached_property
    def words(self) -> list[str]:
        """The words of `folded`."""
        return folded_words(self.text)

    @cached_property
    def folded(self) -> str:
        """The text for phrases."""
        return " ".join(self.words)

    @cached_property
    def plain(self) -> str:
        """The text for names and addresses."""
        return plain(self.text)


@dataclass(frozen=True, slots=True)
class Wording:
    """The visible texts of a message. `doubt` says why words that are not in them may be seen all the same.

    `first` is the part that a reader is shown first.
    """

    each: tuple[Passage, ...]
    first: Part
    doubt: str | None = None

    @property
    def at(self) -> Where:
        """Where the first part begins."""
        return self.first.where_text(0)

    def has(self, name: str) -> bool:
        """Whether a name or an address stands in the text, its punctuation and line ends aside."""
        needle = plain(name)
        if not needle.strip():
            return False
        if _NO_SPACES.search(name):
            needle = needle.strip()
        return any(needle in passage.plain for passage in self.each)

    def says(self, phrases: tuple[str, ...]) -> bool:
        """Whether one of some folded phrases stands in the text."""
        return any(phrase in passage.folded for phrase in phrases for passage in self.each)

    @property
    def address(self) -> bool:
        """Whether there is what looks like a postal address."""
        return any(True for passage in self.each for _ in addresses_in(passage.text))


@fact
def wording(texts: TextParts, html: HtmlParts) -> Wording:
    """What is seen of every text and HTML part. NotApplicable where there is none."""
    if not texts.each and not html.each:
        raise NotApplicable("the message has no text")
    passages = [Passage(text.text[:MAX_TEXT], text.where) for text in texts.each]
    passages += [Passage(document.visible_text[:MAX_TEXT], part.where_visible) for part, document in html.readable]
    first = (html.each or texts.each)[0]
    return Wording(tuple(passages), first.part, _doubt(html))


def _doubt(html: HtmlParts) -> str | None:
    unread: tuple[Unavailable, ...] = html.unavailable
    if unread:
        return unread[0].reason
    if any(_in_images(document) for _, document in html.readable):
        return "the words may be in the images"
    return None


def _in_images(document: HtmlDocument) -> bool:
    return _is_short(document.visible_text) and any(
        image.hidden is None and _holds_words(image) for image in document.all("img")
    )


def _is_short(text: str) -> bool:
    # The beginning is enough for most, which are long.
    return all(len(" ".join(some.split())) < FEW for some in (text[: 10 * FEW], text))


def _holds_words(image: Element) -> bool:
    """Whether an image is, or could be, large enough to be read: a logo, an icon, a pixel is not."""
    sizes = [(image.get(name) or "").strip().lower().removesuffix("px") for name in ("width", "height")]
    known = [int(size) for size in sizes if size.isascii() and size.isdigit() and len(size) <= MAX_DIGITS]
    return min(known, default=READABLE_HEIGHT) >= READABLE_HEIGHT and (len(known) < len(sizes) or math.prod(known) >= READABLE)


# --- postal addresses --------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _patterns() -> tuple[tuple[re.Pattern[str], tuple[re.Pattern[str], ...]], ...]:
    book: Any = data("postal-addresses")
    streets = {name: re.compile(pattern) for name, pattern in book["streets"].items()}
    return tuple((re.compile(one["code"]), tuple(streets[name] for name in one.get("near", ()))) for one in book["address"])


def addresses_in(text: str) -> Iterator[tuple[int, int]]:
    """The spans of postal codes that have a street or a box near them, kind by kind; others may be addresses all the same."""
    for code, streets in _patterns():
        for found, _ in zip(code.finditer(text), range(MAX_CODES), strict=False):
            around = text[max(0, found.start() - NEAR) : found.end() + NEAR]
            if not streets or any(street.search(around) for street in streets):
                yield found.span()
