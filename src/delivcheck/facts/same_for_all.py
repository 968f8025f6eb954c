"""Whether an address of a message is certainly the same for every reader, so that fetching it acts for nobody.

In doubt it is not: a page that was not tried costs little, a person who was confirmed, logged in or unsubscribed a lot. A token
made of nothing but pronounceable words cannot be told from words; against that there are the words for what links do.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..mime.links import Link, LinkKind, Url, split_url
from ..records.names import psl_organizational_domain
from ..rulefiles import data
from .fetching import MAX_URL
from .headers import Recipients
from .leftovers import code_in_url
from .link_hosts import never_public
from .unsubscribe_links import says_leave, words_around

PORTS = frozenset({None, "", "80", "443"})  # what a message names must not make us knock at other services (CWE-918)
MIN_NAME = 3  # letters of a recipient's name that are looked for anywhere in an address; a shorter one must be a whole piece
MAX_NAMES = 1_000  # of recipients that are looked for; messages to more people are no mail to one
MAX_WORD = 15  # letters without a break; longer words in addresses of pages are rare
MAX_UPPER = 4  # letters in capitals: SALE; longer ones are codes
MAX_SHORT = 3  # pieces of up to three letters in one path: more of them add up to a token
LONG_ENOUGH = 6  # letters of a word for acting that is found inside others, too: "Newsletteranmeldung"
MAX_TEXT = 2_000  # characters of a link's words that are searched for what it does

# Everything that such an address is made of: no userinfo, no percent-encoding, no braces, no `;`, no `@`, ASCII only.
_ADDRESS = re.compile(
    r"https?://[a-z0-9.-]+(?::[0-9]*)?(?:/[a-z0-9/._-]*)?(?:\?[a-z0-9=&._+-]*)?(?:#.*)?\Z", re.IGNORECASE | re.DOTALL
)
_PIECE = re.compile(r"[0-9A-Za-z]+")
_CAMPAIGN = frozenset({"utm_source", "utm_medium", "utm_campaign"})  # utm_content, utm_term, utm_id may be a reader's
_LANGUAGE = frozenset({"lang", "locale", "hl"})
_LANGUAGE_TAG = re.compile(r"[a-z]{2}(?:[-_][a-z]{2})?", re.IGNORECASE)
_YEAR = re.compile(r"20[0-4][0-9]")
_NUMBERED = frozenset(
    {"page", "seite", "pagina", "part", "teil", "issue", "edition", "ausgabe", "chapter", "kapitel", "week", "kw"}
)
_FILE_SUFFIXES = frozenset({"html", "shtml", "xhtml"})
_UNLIKELY = re.compile(  # rows of letters that words hardly have, and random letters do
    r"[bcdfghjklmnpqrstvwxz]{5}|[aeiouy]{4}|q(?!u)|[jv][bcdfghjklmnpqrstvwxz]|[bcdfgjkmpqstvwz]x|x[bdfgjkmnqrsvwxz]|(.)\1\1"
)


@dataclass(frozen=True, slots=True)
class Readers:
    """What may name a recipient in an address: `names` anywhere in it, `places` (where they work) behind the host."""

    names: frozenset[str]
    places: frozenset[str]


def readers(recipients: Recipients) -> Readers:
    """The names in the recipients' addresses and display names, in lower-case ASCII letters and digits."""
    names: set[str] = set()
    places: set[str] = set()
    for one in recipients.addresses[:MAX_NAMES]:
        local, _, domain = one.rpartition("@")
        names.update(_names(local))
        places.add(psl_organizational_domain(domain.lower().rstrip(".")).partition(".")[0])
    for shown in recipients.names[:MAX_NAMES]:
        names.update(_names(shown))
    return Readers(frozenset(names), frozenset(place for place in places if len(place) >= MIN_NAME))


def says_link_acts(link: Link) -> bool:
    """Whether a link's words or those around it say that following it does something for whoever reads."""
    if link.kind is not LinkKind.LINK:
        return False
    words = [link.text, link.alt, words_around(link)]
    if link.element is not None:
        words += [link.element.get("title") or "", link.element.get("aria-label") or ""]
    return any(says_leave(text) or _acts(text) for text in words if text != link.raw)


def same_for_all(address: str, people: Readers) -> bool:
    """Whether nothing in an address can be one person's, and nothing in it says that a GET acts."""
    url = split_url(address)
    if len(address) > MAX_URL or not _ADDRESS.match(address) or url.port not in PORTS or never_public(url) is not None:
        return False
    if next(code_in_url(address), None) is not None:
        return False
    host, behind = (url.host_ascii or "").rstrip("."), f"{url.path}?{url.query or ''}"
    if says_it_acts(address) or _names_a(people.names, f"{host}{behind}") or _names_a(people.places, behind):
        return False
    return all(map(_is_word, _PIECE.findall(host))) and _is_plain(url.path) and _is_campaign(url)


def says_it_acts(address: str) -> bool:
    """Whether an address itself says that it does something, or that it is one reader's."""
    squashed = _squashed(address.partition("#")[0])
    return any(word in squashed for word in _words_in_urls())


def place_of(address: str) -> tuple[str, str]:
    """Host and path of an address for comparison: scheme, port, case, query and a last slash make no other page of it."""
    url = split_url(address)
    return (url.host_ascii or "").rstrip(".").lower(), url.path.rstrip("/").lower()


# --- pieces ------------------------------------------------------------------------------------------------------


def _is_plain(text: str) -> bool:
    """Whether all pieces are words, but for one year with its month and day, and small numbers behind words like "page"."""
    numbers = short = years = 0
    for piece in _PIECE.findall(text):
        if piece.isalpha():
            numbers = 1 if piece.lower() in _NUMBERED else 0  # how many small numbers may follow
            short += len(piece) < 4
            if not _is_word(piece):
                return False
        elif _YEAR.fullmatch(piece):
            years, numbers = years + 1, 2
        elif piece.isdigit() and len(piece) <= 2 and numbers:
            numbers -= 1
        else:
            return False
    return short <= MAX_SHORT and years <= 1


def _is_word(piece: str) -> bool:
    """Whether a piece of an address reads like a word of letters in one case or with a capital in front."""
    lower = piece.lower()
    if not piece.isalpha() or len(piece) > MAX_WORD or (len(piece) > MAX_UPPER and piece.isupper()):
        return False
    if not (piece.islower() or piece.isupper() or piece.istitle()):
        return False
    return (
        len(piece) < 4 or lower in _FILE_SUFFIXES or (_UNLIKELY.search(lower) is None and not set("aeiouy").isdisjoint(lower))
    )


def _is_campaign(url: Url) -> bool:
    """Whether a query has only campaign parameters with words for values, and languages."""
    for pair in filter(None, (url.query or "").split("&")):
        name, _, value = pair.partition("=")
        if name in _LANGUAGE:
            if not _LANGUAGE_TAG.fullmatch(value):
                return False
        elif name not in _CAMPAIGN or not _is_plain(value):
            return False
    return True


# --- words -------------------------------------------------------------------------------------------------------


def _names(text: str) -> Iterator[str]:
    """The pieces of a name, and all of them in a row; "ü" as "u" and as "ue"."""
    for spelt in {text, text.lower().translate(_UMLAUTS)}:
        plain = _without_marks(spelt)
        yield from (piece.lower() for piece in _PIECE.findall(plain))
        yield _squashed(plain)


_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae"})


def _names_a(names: Collection[str], text: str) -> bool:
    squashed, pieces = _squashed(text), {piece.lower() for piece in _PIECE.findall(text)}
    return any(name in (squashed if len(name) >= MIN_NAME else pieces) for name in names if name)


def _without_marks(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))


def _squashed(text: str) -> str:
    return "".join(_PIECE.findall(text)).lower()


def _acts(text: str) -> bool:
    plain = " ".join(unicodedata.normalize("NFC", text[:MAX_TEXT]).casefold().split())
    return _any_word().search(plain) is not None


@lru_cache(maxsize=1)
def _any_word() -> re.Pattern[str]:
    words = sorted({word.casefold() for each in data("acting-words")["words"].values() for word in each})
    # Short ones only where a word begins: "vota" is in "devotamente". Scripts without blanks have no such beginnings.
    short = [re.escape(word) for word in words if len(word) < LONG_ENOUGH and _without_marks(word).isascii()]
    long = [re.escape(word) for word in words if len(word) >= LONG_ENOUGH or not _without_marks(word).isascii()]
    return re.compile(rf"(?<!\w)(?:{'|'.join(short)})|{'|'.join(long)}")


@lru_cache(maxsize=1)
def _words_in_urls() -> frozenset[str]:
    """Those for addresses, those for leaving, and the longer ones of every language as they are spelt in addresses."""
    acting, leaving = data("acting-words"), data("unsubscribe-words")
    by_language = [
        word
        for book in (acting, leaving)
        for words in book["words"].values()
        for word in words
        if _without_marks(word).isascii()
    ]
    spelt = {_squashed(_without_marks(one)) for word in by_language for one in (word, word.translate(_UMLAUTS))}
    return frozenset({*map(_squashed, (*acting["in-urls"], *leaving["in-urls"])), *(word for word in spelt if len(word) > 4)})
