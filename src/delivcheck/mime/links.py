"""Links: every URL of an HTML document and every URL written out in a text, taken apart and with its place."""

import ipaddress
import re
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cached_property, lru_cache
from urllib.parse import unquote

import idna
from msgspec import Struct

from ..memo import LONGEST_HOST, remembered
from ..model import IPAddress, Where
from .cascade import Hidden
from .html import Element, HtmlDocument, Text, visible_text
from .part import Part

MAX_URL = 65_536  # characters looked at; browsers take 2 MB, mail clients break far earlier (Outlook at 2,083)
MAX_LINKS = 20_000  # of one message; rspamd stops at 10,000 (max_urls)
MAX_INSIDE = 500  # texts and elements inside one link that are looked at, since an unclosed one holds the rest of the document
# Links within links (VML, `a` in SVG) can stand 500 deep, and each holds what all inside it hold. What one shows is cut after
# so many characters, and all of a message share so many texts and elements; honest ones are two deep and hold an image.
MAX_NESTED_TEXT = 2_000
MAX_NESTED = 50_000
MAX_IDN_HOSTS = 1_000  # names not in ASCII, each with 0.2 ms of tables and look-alikes; a letter links to a handful of hosts

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")  # RFC 3986 section 3.1
_REMOVED = re.compile(r"[\t\r\n]")  # URL Standard section 4.4: gone before parsing
_CONTROLS_AND_SPACE = "".join(map(chr, range(0x21)))
_HAS_AUTHORITY = frozenset({"http", "https", "ftp", "ws", "wss"})
_AUTHORITY = re.compile(r"[/\\]*([^/\\?#]*)")
_NUMBER = re.compile(r"0[xX][0-9A-Fa-f]*\Z|[0-9]+\Z")
_CSS_URL = re.compile(r"url\(\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^()\"'\s]*+))\s*+\)", re.IGNORECASE)
_IN_TEXT = re.compile(
    r"(?<![A-Za-z0-9+.@/-])(?:(?:https?|ftp)://|mailto:|www\.(?=[^\s.]))[^\s<>\"\u00ab\u00bb\u201c\u201d\u2039\u203a\u3001\u3002\uff0c]+",
    re.IGNORECASE,
)
_BEGINNINGS = ("http://", "https://", "ftp://", "mailto:", "www.")  # of the same, in lower case
_TRAILING = ".,;:!?'*_~|"
_BRACKETS = {")": "(", "]": "[", "}": "{"}


class LinkKind(StrEnum):
    """What a URL is for."""

    LINK = "link"  # a reader follows it
    IMAGE = "image"
    FORM = "form"  # where a form is sent
    RESOURCE = "resource"  # style sheet, script, frame, font


class Url(Struct, frozen=True, gc=False):
    """A URL taken apart as a browser does (URL Standard), leniently: what is missing is None.

    `text` is without the white space that browsers drop. `host` is as written, percent-decoded and in lower case;
    `host_ascii` in A-labels, None where it is no valid name or where the scheme has no host. `port` is as written.
    """

    text: str
    scheme: str | None
    userinfo: str | None = None
    host: str | None = None
    host_ascii: str | None = None
    port: str | None = None
    path: str = ""
    query: str | None = None
    fragment: str | None = None

    @property
    def ip(self) -> IPAddress | None:
        """The address, if the host is one: also in the decimal, octal and hexadecimal forms that browsers read."""
        return _address(self.host) if self.host else None


class Link(Struct, frozen=True, dict=True):
    """A URL where it stands.

    `raw` is the attribute's value or the piece of text as written (references resolved). `span` counts characters of the part's
    text, and is None for one that an attribute has as a whole; `text` is what a reader sees of a link, `alt` the alternative
    texts of images inside. `hidden` tells why a reader does not see it. `part` is None where there is no message (a template).
    """

    url: Url
    raw: str
    kind: LinkKind
    span: tuple[int, int] | None
    part: Part | None = None
    element: Element | None = None
    text: str = ""
    alt: str = ""
    hidden: Hidden | None = None
    attribute: str | None = None  # href, src, background, style …

    @property
    def scheme(self) -> str | None:
        """The scheme in lower case."""
        return self.url.scheme

    @property
    def host_ascii(self) -> str | None:
        """The host in A-labels."""
        return self.url.host_ascii

    @cached_property
    def _place(self) -> tuple[int, int]:
        if self.span is not None:
            return self.span
        assert self.element is not None  # what has no span is an element's
        place = self.element.attribute(self.attribute or "")
        start = place.start if place else max(self.element.offset, 0)
        return start, place.end if place else start

    @property
    def offset(self) -> int:
        """Where it begins in the part's text, in characters: an attribute with its name."""
        return self._place[0]

    @property
    def end(self) -> int:
        """Where it ends there."""
        return self._place[1]

    @cached_property
    def at(self) -> Where:
        """The place in the message."""
        return Where() if self.part is None else self.part.where_text(self.offset, self.end)


# --- taking URLs apart -------------------------------------------------------------------------------------------


@remembered(4096)
def split_url(raw: str) -> Url:
    """Take a URL apart. Never raises."""
    text = _REMOVED.sub("", raw[:MAX_URL].strip(_CONTROLS_AND_SPACE))
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else None
    rest = text[found.end() :] if found else text
    rest, hash_, fragment = rest.partition("#")
    rest, mark, query = rest.partition("?")
    userinfo = host = host_ascii = port = None
    special = scheme in _HAS_AUTHORITY
    if special or rest.startswith("//") or (scheme is None and rest.startswith("\\\\")):
        authority = _AUTHORITY.match(rest)
        assert authority is not None
        rest = rest[authority.end() :]
        before, at, name = authority[1].rpartition("@")
        userinfo = before if at else None
        host, port = _host_and_port(name)
        host_ascii = _to_ascii(host) if host else None
    return Url(text, scheme, userinfo, host, host_ascii, port, rest, query if mark else None, fragment if hash_ else None)


def _host_and_port(name: str) -> tuple[str, str | None]:
    if name.startswith("["):
        host, bracket, after = name.partition("]")
        return (host + bracket).lower(), after.removeprefix(":") or None
    host, colon, port = name.partition(":")
    return unquote(host).lower(), port if colon else None


@lru_cache(maxsize=4096)
def _to_ascii(host: str) -> str | None:
    """A-labels (IDNA 2008 with UTS 46, non-transitional, as browsers do), or None; addresses stay as they are."""
    if host.startswith("["):
        return host
    name = host.rstrip(".")
    if not name or len(name) > 1000:
        return None
    if name.isascii():
        return name if re.fullmatch(r"[!-~]+", name) else None
    try:
        return idna.encode(name, uts46=True, transitional=False).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        return None


@remembered(4096, LONGEST_HOST)
def _address(host: str) -> IPAddress | None:
    """RFC 3986 section 3.2.2 and the URL Standard section 3.5: 0x7f.1, 2130706433 and 017700000001 are 127.0.0.1."""
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host.strip("[]").partition("%")[0])
        except ValueError:
            return None
    pieces = host.removesuffix(".").split(".")
    if len(pieces) > 4 or not all(_NUMBER.match(piece) for piece in pieces) or any(len(piece) > 20 for piece in pieces):
        return None
    numbers = []
    for piece in pieces:
        try:
            if piece[:2].lower() == "0x":
                numbers.append(int(piece[2:] or "0", 16))
            else:
                numbers.append(int(piece, 8 if piece.startswith("0") and len(piece) > 1 else 10))
        except ValueError:
            return None
    if any(number > 255 for number in numbers[:-1]) or numbers[-1] >= 256 ** (5 - len(numbers)):
        return None
    total = numbers[-1]
    for place, number in enumerate(numbers[:-1]):
        total += number << 8 * (3 - place)
    return ipaddress.IPv4Address(total)


# --- finding them ------------------------------------------------------------------------------------------------


class LinkRoom:
    """What may still be looked at of the links of one message: a mail can hold thousands of parts, each full of them.

    `cut` is the limit that was met, one clause; with it set no further link is found. None as long as all were.
    """

    __slots__ = ("_hosts", "_left", "_nested", "cut")

    def __init__(self) -> None:
        """Begin with all of it."""
        self._left = MAX_LINKS
        self._nested = MAX_NESTED
        self._hosts: set[str] = set()
        self.cut: str | None = None

    def take(self) -> bool:
        """Whether one more may be looked at."""
        self._left -= 1
        if self._left < 0 and self.cut is None:
            self.cut = f"only the first {MAX_LINKS} links of the message were looked at"
        return self.cut is None

    def take_inside(self, number: int) -> bool:
        """Whether so many texts and elements inside a link within a link may be looked at."""
        self._nested -= number
        if self._nested < 0 and self.cut is None:
            self.cut = f"links within links were looked at only until {MAX_NESTED} texts and elements"
        return self.cut is None

    def take_host(self, url: Url) -> bool:
        """Whether a link to this host may be looked at."""
        host = url.host
        if host and (not host.isascii() or "xn--" in host):
            self._hosts.add(host)
            if len(self._hosts) > MAX_IDN_HOSTS and self.cut is None:
                self.cut = f"only the links to the first {MAX_IDN_HOSTS} internationalized hosts were looked at"
        return self.cut is None


def links_in_text(text: str, part: Part | None = None, room: LinkRoom | None = None) -> Iterator[Link]:
    """The URLs written out in plain text: http, https, ftp, mailto, bare www. names; punctuation behind them left out.

    What they take of `room` is taken off; where it has not enough left, `room.cut` says so.
    """
    room = room or LinkRoom()
    for found in _written_in(text):
        if not room.take():
            return
        raw = _trimmed(found[0])
        url = split_url(raw if ":" in raw[:8] else f"http://{raw}")
        if not room.take_host(url):
            return
        if url.host or url.scheme == "mailto":
            start = found.start()
            yield Link(url, raw, LinkKind.LINK, (start, start + len(raw)), part, text=raw)


def _written_in(text: str) -> Iterator[re.Match[str]]:
    """What `finditer` gives: in an ASCII text the beginnings alone are looked for first, which takes a tenth of the time."""
    if not text.isascii():
        yield from _IN_TEXT.finditer(text)
        return
    lowered = text.lower()
    next_of = {word: at for word in _BEGINNINGS if (at := lowered.find(word)) >= 0}
    while next_of:
        begin = min(next_of.values())
        found = _IN_TEXT.match(text, begin)
        if found:
            yield found
        end = found.end() if found else begin + 1
        for word, at in [*next_of.items()]:
            if at < end:
                next_of[word] = lowered.find(word, end)
                if next_of[word] < 0:
                    del next_of[word]


def _trimmed(raw: str) -> str:
    """Drop what belongs to the sentence: punctuation at the end, and a closing bracket that was not opened inside."""
    end = len(raw)
    opened = {bracket: raw.count(bracket) for bracket in "([{)]}"} if any(bracket in raw for bracket in ")]}") else {}
    while end:
        last = raw[end - 1]
        if last in _TRAILING:
            end -= 1
        elif last in _BRACKETS and opened[last] > opened[_BRACKETS[last]]:
            opened[last] -= 1
            end -= 1
        else:
            break
    return raw[:end]


_ATTRIBUTES: dict[str, dict[str, LinkKind]] = {
    "a": {"href": LinkKind.LINK},
    "area": {"href": LinkKind.LINK},
    "img": {"src": LinkKind.IMAGE, "srcset": LinkKind.IMAGE},
    "source": {"src": LinkKind.RESOURCE, "srcset": LinkKind.IMAGE},
    "video": {"src": LinkKind.RESOURCE, "poster": LinkKind.IMAGE},
    "audio": {"src": LinkKind.RESOURCE},
    "form": {"action": LinkKind.FORM},
    "button": {"formaction": LinkKind.FORM},
    "input": {"formaction": LinkKind.FORM, "src": LinkKind.IMAGE},
    "link": {"href": LinkKind.RESOURCE},
    "script": {"src": LinkKind.RESOURCE},
    "iframe": {"src": LinkKind.RESOURCE},
    "frame": {"src": LinkKind.RESOURCE},
    "object": {"data": LinkKind.RESOURCE},
    "embed": {"src": LinkKind.RESOURCE},
    "v:fill": {"src": LinkKind.IMAGE},  # VML, in what Outlook reads
    "v:imagedata": {"src": LinkKind.IMAGE},
    "v:image": {"src": LinkKind.IMAGE},
    "v:roundrect": {"href": LinkKind.LINK},
    "v:rect": {"href": LinkKind.LINK},
}


_NONE: dict[str, LinkKind] = {}


def links_in_html(document: HtmlDocument, part: Part | None = None, room: LinkRoom | None = None) -> Iterator[Link]:
    """The URLs of a document in its order: links, images (backgrounds and CSS too), forms, resources.

    What they take of `room` is taken off; where it has not enough left, `room.cut` says so.
    """
    room = room or LinkRoom()
    if room.cut is None:
        for link in _all_in_html(document, part, room):
            if not (room.take() and room.take_host(link.url)):
                return
            yield link


def _all_in_html(document: HtmlDocument, part: Part | None, room: LinkRoom) -> Iterator[Link]:
    around = 0  # the end of the outermost link that is open
    for element in document.elements:
        kinds = _ATTRIBUTES.get(element.tag, _NONE)
        for name, value in element.attributes:
            if name == "srcset" and name in kinds:
                for raw in _candidates(value):
                    yield _link(element, name, raw, kinds[name], part)
            elif name in kinds and kinds[name] is LinkKind.LINK:
                yield _anchor(element, name, value, part, room if element.index < around else None)
                around = max(around, document.ends.elements[element.index])
            elif name in kinds:
                yield _link(element, name, value, kinds[name], part)
            elif name == "background" and value:
                yield _link(element, name, value, LinkKind.IMAGE, part)
            elif name == "style" and "url(" in value.lower():
                for found in _CSS_URL.finditer(value):
                    yield _link(element, name, found[1] or found[2] or found[3] or "", LinkKind.IMAGE, part)
        if element.tag == "style":
            yield from _in_sheet(element, part)


def _in_sheet(element: Element, part: Part | None) -> Iterator[Link]:
    for text in element.texts:
        for found in _CSS_URL.finditer(text.data):
            raw = found[1] or found[2] or found[3] or ""
            imported = text.data[max(0, found.start() - 32) : found.start()].rstrip().lower().endswith("@import")
            font = re.search(r"\.(?:woff2?|ttf|otf|eot)\b", raw, re.IGNORECASE)
            kind = LinkKind.RESOURCE if imported or font else LinkKind.IMAGE
            start = text.offset_of(found.start())
            yield Link(split_url(raw), raw, kind, (start, start + len(found[0])), part, element, attribute="style")


def _link(element: Element, name: str, raw: str, kind: LinkKind, part: Part | None) -> Link:
    return Link(split_url(raw), raw, kind, None, part, element, "", "", element.hidden, name)


def _anchor(element: Element, name: str, raw: str, part: Part | None, room: LinkRoom | None) -> Link:
    """What a reader follows, with what is inside; `room` is given for a link within a link."""
    inside, elements = element.first_texts(MAX_INSIDE), element.first_descendants(MAX_INSIDE)
    if room is not None:
        inside = _beginning(inside) if room.take_inside(len(inside) + len(elements)) else ()
    images = [one for one in elements if one.tag == "img"] if elements else ()
    alt = " ".join(words for image in images if (words := (image.get("alt") or "").strip())) if images else ""
    if room is not None:
        alt = alt[:MAX_NESTED_TEXT]
    hidden = element.hidden
    if hidden is not None or not (len(inside) == 1 and inside[0].hidden is None):  # nearly always it is one that can be seen
        texts = [text for text in inside if text.data and not text.data.isspace()]
        hidden = hidden or next((text.hidden for text in texts), None)
        if hidden and (any(text.hidden is None for text in texts) or any(image.hidden is None for image in images)):
            hidden = None  # something of it can be seen
    shown = visible_text(inside) if inside else ""
    return Link(split_url(raw), raw, LinkKind.LINK, None, part, element, shown, alt, hidden, name)


def _beginning(texts: Sequence[Text]) -> list[Text]:
    """The first MAX_NESTED_TEXT characters of some texts, as texts."""
    found = []
    left = MAX_NESTED_TEXT
    for text in texts:
        if left <= 0:
            break
        whole = len(text.data) <= left
        found.append(text if whole else Text(text.document, text.index, text.data[:left], text.parent, text.before))
        left -= len(text.data)
    return found


def _candidates(srcset: str) -> Iterator[str]:
    """The URLs of a srcset attribute, without their descriptors."""
    for candidate in srcset.split(","):
        words = candidate.split()
        if words:
            yield words[0]
