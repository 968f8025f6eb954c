"""The links in the text by which a reader leaves the list, and whether the language is one that delivcheck knows."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote

from msgspec import Struct

from ..engine import fact
from ..mime.cascade import Hidden
from ..mime.html import HtmlDocument
from ..mime.links import Link, LinkKind
from ..mime.message import Message, Part
from ..model import NotApplicable, Unavailable
from ..rulefiles import data
from .any_of import AnyOf, AnyPhrase
from .message import HtmlParts, Links, TextParts
from .unsubscribe import ListUnsubscribe
from .wording import folded_words

MIN_PX = 8  # font size; ours (catalogue UNSUB014)
MIN_CONTRAST = 1.5  # to 1; ours (catalogue UNSUB014). WCAG 2.2 section 1.4.3 asks for 4.5 of text that is to be read
MIN_TOKEN = 8  # characters of the header's address that make another address the same; catalogue UNSUB011
NEAR = 300  # characters before a link in plain text that can say what it is for
MAX_NEAR_TEXTS = 20  # texts of a block that are put together for that; a block with more is the whole letter
MAX_TEXT = 1000  # characters of a link's text or address that are searched for words
LETTERS = 5000  # of the text, looked at to tell its script

_BLOCKS = frozenset({"p", "td", "th", "div", "li", "center", "footer", "address", "small"})
_SEEN = frozenset({None, Hidden.RESPONSIVE})  # what another screen shows is not hidden


class LeavingLink(Struct, frozen=True):
    """One link for leaving the list. `fault` says why a reader does not see it, None if it can be seen."""

    link: Link
    fault: str | None = None

    @property
    def octets_before(self) -> int:
        """Octets of the decoded part, as UTF-8, before the link."""
        return len(self.link.part.text[: self.link.offset].encode("utf-8", "replace")) if self.link.part is not None else 0


@dataclass(frozen=True, slots=True)
class UnsubscribeLinks:
    """All links for leaving, in the order of the message.

    `unknown` says why one may have been missed: a part that was not read, or a language whose words are not known. `shown` is
    the part a reader sees: the first HTML part, without any the first text; `instead` are the plain texts that a reader of
    `shown` does not see.
    """

    each: tuple[LeavingLink, ...]
    shown: Part
    unknown: str | None = None
    instead: frozenset[Part] = frozenset()

    @property
    def beside(self) -> tuple[LeavingLink, ...]:
        """Those in the part that is shown and what is shown with it, such as a footer that a list server puts below."""
        return tuple(one for one in self.each if one.link.part not in self.instead)

    @property
    def seen(self) -> tuple[LeavingLink, ...]:
        """Those that a reader can see."""
        return tuple(one for one in self.each if one.fault is None)


@lru_cache(maxsize=1)
def _words() -> Mapping[str, tuple[str, ...]]:
    book = data("unsubscribe-words")["words"]
    return {language: tuple(" ".join(folded_words(word)) for word in words) for language, words in book.items()}


@lru_cache(maxsize=1)
def _all_words() -> tuple[str, ...]:
    return tuple(dict.fromkeys(word for words in _words().values() for word in words))


@lru_cache(maxsize=1)
def _known_scripts() -> frozenset[str]:
    return frozenset(_scripts("".join(_all_words())))


def says_leave(text: str) -> bool:
    """Whether a text has one of the words for leaving a list, in any language."""
    return _leaves(text[:MAX_TEXT])


def has_leaving_words(words: Sequence[str]) -> bool:
    """Whether one stands in a text of any length that is folded already, and given as its words."""
    return _words_for_leaving().stand_in(words)


def leaving_words(text: str) -> Iterator[re.Match[str]]:
    """Every such word in a text that is folded already; only the first MAX_TEXT characters are looked at."""
    text = text[:MAX_TEXT]
    return _any_word(text.isascii()).finditer(text) if has_leaving_words(text.split()) else iter(())


@lru_cache(maxsize=1024)
def _leaves(text: str) -> bool:
    # Newsletters say "Read more" beside every picture: most texts come again, in a message and in the next one.
    return has_leaving_words(folded_words(text))


@lru_cache(maxsize=1)
def _words_for_leaving() -> AnyPhrase:
    return AnyPhrase(_all_words())


@lru_cache(maxsize=2)
def _any_word(is_ascii: bool) -> re.Pattern[str]:
    return re.compile("|".join(re.escape(word) for word in _all_words() if word.isascii() or not is_ascii))


@fact
def unsubscribe_links(
    message: Message,
    links: Links,
    html: HtmlParts,
    texts: TextParts,
    offered: ListUnsubscribe | NotApplicable | Unavailable,
) -> UnsubscribeLinks:
    """Find them by address or by the words of the link, else by the words around it. NotApplicable when there is no text."""
    if not html.each and not texts.each:
        raise NotApplicable("the message has no text")
    addresses = _Addresses(offered)
    by_part: dict[Part | None, list[Link]] = {}
    for link in links.each:
        if link.kind is LinkKind.LINK and link.url.text:
            by_part.setdefault(link.part, []).append(link)
    found: list[Link] = []
    for here in by_part.values():
        found += [link for link in here if addresses.include(link) or _says_so(link)] or [
            link for link in here if says_leave(words_around(link))
        ]
    part = (html.each or texts.each)[0].part
    document = next((one for each, one in html.readable if each.part is part), None)
    instead = frozenset(other for other in message.alternatives_of(part) if html.each and other.content_type == "text/plain")
    unread = next((each.reason for each in links.unavailable), None)
    each = tuple(LeavingLink(link, _fault(link)) for link in found)
    return UnsubscribeLinks(each, part, unread or _unknown_language(message, part, document), instead)


class _Addresses:
    """The addresses of List-Unsubscribe, and the tokens in them."""

    def __init__(self, offered: ListUnsubscribe | NotApplicable | Unavailable) -> None:
        uris = offered.list.uris if isinstance(offered, ListUnsubscribe) else ()
        self.texts = {uri.text for uri in uris}
        self.tokens: dict[str, list[str]] = {}
        for uri in uris:
            pieces = [*uri.path.split("/"), *(value for one in uri.query.split("&") for value in one.split("="))]
            tokens = [piece for piece in pieces if len(piece) >= MIN_TOKEN and any(map(str.isdigit, piece))]
            if uri.host:
                self.tokens.setdefault(uri.host, []).extend(tokens)

    def include(self, link: Link) -> bool:
        """Whether a link leads where the header leads: to the same address, or to the same host with the same token."""
        url = link.url
        return url.text in self.texts or any(token in url.text for token in self.tokens.get(url.host or "", ()))


def _says_so(link: Link) -> bool:
    """Whether the link itself says what it is for: its address, its text, its image, its title."""
    if _is_told_by_address(link.url.text[:MAX_TEXT]):
        return True
    named = [link.text, link.alt]
    if link.element is not None:  # its text, hidden or not: whether it can be seen is another question
        named.append(" ".join(text.data for text in link.element.first_texts(MAX_NEAR_TEXTS)))
        named += [link.element.get("title") or "", link.element.get("aria-label") or ""]
    if link.scheme == "mailto":
        named.append(unquote((link.url.query or "")[:MAX_TEXT]).replace("+", " "))
    return any(says_leave(text) for text in dict.fromkeys(named) if text)


@lru_cache(maxsize=4096)
def _is_told_by_address(url: str) -> bool:
    return _words_in_urls().stands_in(url.lower())


@lru_cache(maxsize=1)
def _words_in_urls() -> AnyOf:
    return AnyOf(data("unsubscribe-words")["in-urls"])


def words_around(link: Link) -> str:
    """The text around a link: of its paragraph or cell in HTML, of its line and the one before in plain text."""
    if link.element is not None:
        block = next((above for above in link.element.ancestors if above.tag in _BLOCKS), None)
        texts = block.first_texts(MAX_NEAR_TEXTS) if block is not None else ()
        return " ".join(text.data for text in texts if text.hidden in _SEEN)
    text = link.part.text if link.part is not None else ""
    line = text.rfind("\n", 0, link.offset)
    start = text.rfind("\n", max(0, line - NEAR), max(line, 0)) + 1
    return text[max(start, link.offset - NEAR) : link.offset]


def _fault(link: Link) -> str | None:
    """Why a reader does not see a link, in words that follow "the unsubscribe link"."""
    if link.hidden not in _SEEN:
        return f"is hidden by CSS ({link.hidden})"
    if link.element is None:
        return None
    seen = [text for text in link.element.first_texts(MAX_NEAR_TEXTS) if text.data.strip() and text.hidden in _SEEN]
    if not seen:
        return None if link.alt or link.text else "has no text"
    size = max(text.parent.style.font_size for text in seen)
    if size < MIN_PX:
        return f"is {size:g} px high"
    contrasts = [text.parent.style.contrast for text in seen]
    best = max((contrast for contrast in contrasts if contrast is not None), default=MIN_CONTRAST)
    if None not in contrasts and best < MIN_CONTRAST:
        return f"has a contrast of {best:.1f} to 1 with its background"
    return None


_SAME_LANGUAGE = {"nb": "no", "nn": "no", "iw": "he", "in": "id", "cmn": "zh", "yue": "zh"}


# --- language ----------------------------------------------------------------------------------------------------


def _unknown_language(message: Message, part: Part, document: HtmlDocument | None) -> str | None:
    """Why the text may have words for leaving that are not in the list: its declared language, or its script, is not there."""
    declared = _declared(message, part, document)
    if declared and declared != "und" and declared not in _words():  # RFC 5646 section 4.1: und says that nobody knows
        return f"the text is in the language {declared!r}, whose words for unsubscribing are not in the list"
    text = document.visible_text if document is not None else part.text
    if text[:LETTERS].isascii():
        return None  # Latin letters, if any
    words = (word for word in text[:LETTERS].split() if "://" not in word and "@" not in word)
    scripts = _scripts("".join(words))
    if scripts and scripts.most_common(1)[0][0] not in _known_scripts():
        script = scripts.most_common(1)[0][0].capitalize()
        return f"the text is in {script} letters, whose words for unsubscribing are not in the list"
    return None


def _declared(message: Message, part: Part, document: HtmlDocument | None) -> str:
    """The primary language subtag of the html element or of Content-Language (RFC 3282), in lower case; "" for none."""
    written = ""
    if document is not None:
        written = next((value for tag in ("html", "body") for one in document.all(tag) if (value := one.get("lang"))), "")
    if not written:
        field = part.first("Content-Language") or message.first("Content-Language")
        written = field.text.partition(",")[0] if field is not None else ""
    subtag = written.strip().replace("_", "-").partition("-")[0].lower()
    return _SAME_LANGUAGE.get(subtag, subtag)


def _scripts(text: str) -> Counter[str]:
    """How many letters of each script, in the order in which they come first."""
    scripts: Counter[str] = Counter()
    for one, times in Counter(text).items():
        if one.isalpha():
            scripts[_script(one)] += times
    return scripts


@lru_cache(maxsize=4096)
def _script(letter: str) -> str:
    """The first word of a letter's name."""
    return unicodedata.name(letter, "").partition(" ")[0]
