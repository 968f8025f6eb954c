"""List-Unsubscribe and List-Unsubscribe-Post: the ways a message offers to leave its list (RFC 2369, RFC 8058).

`scan_list_unsubscribe` never raises: it returns what can be read and every fault with its place; `parse_list_unsubscribe` and
`parse_post` raise the first fault. Text is a field's value unfolded, as `mime` gives it; positions are offsets in characters.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from ..saying import shortened
from .errors import ParseError

MAX_ITEMS = 50  # URIs and faults of one field; RFC 8058 wants one URI and perhaps a mailto, real mail has at most four

_SHOWN = 60  # characters of a value in a message

POST_VALUE = "List-Unsubscribe=One-Click"  # RFC 8058 section 5, postarg

_WHITE = " \t\r\n"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)")  # RFC 3986 section 3.1
_BARE_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|mailto:[^\s]", re.IGNORECASE)
_NEVER = re.compile(r"[^\x21\x23-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7e]")  # all but RFC 3986 section 2 and the angle brackets
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")  # section 2.1
_ENCODED_WORD = re.compile(r"=\?[^?\s]{1,40}\?[BbQq]\?")  # RFC 2047 section 2; long enough for every charset name
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{%|%\}|\*\||\|\*|%%|\[\[|\]\]|\$\{|<%|%[A-Z][A-Z_]{3,}%(?![0-9A-F]{2})")
_PARTS = re.compile(r"[^:]*:(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?")  # section 3, as appendix B


class UnsubscribeError(ParseError):
    """A value is not what its RFC asks for. `span` is the half-open range of characters at fault.

    `kind` is a word. Of the list: empty, encoded-word, no-brackets, not-closed, comment, separator, empty-item, too-many.
    Of one URI: empty-uri, encoded-word, placeholder, non-ascii, space, character, bracket, percent, no-scheme, no-host,
    no-address. Of List-Unsubscribe-Post: empty, encoded-word, case, value.
    """


@dataclass(frozen=True, slots=True)
class ListedUri:
    """One URI, white space removed (RFC 2369 section 2). `scheme` and `host` are lower case; `span` is its place."""

    text: str
    scheme: str
    host: str | None
    path: str
    query: str
    span: tuple[int, int]

    @property
    def is_web(self) -> bool:
        """Whether it is HTTP or HTTPS, of which RFC 8058 section 3.1 allows one."""
        return self.scheme in {"http", "https"}

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses a mailto URI writes to: the path and every `to` (RFC 6068 section 2)."""
        if self.scheme != "mailto":
            return ()
        fields = [field.partition("=") for field in self.query.split("&")]
        lists = [self.path, *(value for name, _, value in fields if name.lower() == "to")]
        return tuple(unquote(each) for one in lists for each in one.split(",") if each)


@dataclass(frozen=True, slots=True)
class UnsubscribeList:
    """The URIs in order of preference, and what is wrong with the value. A URI with a fault of its own is still listed."""

    text: str
    uris: tuple[ListedUri, ...]
    faults: tuple[UnsubscribeError, ...] = ()

    def of(self, scheme: str) -> tuple[ListedUri, ...]:
        """The URIs of one scheme."""
        return tuple(uri for uri in self.uris if uri.scheme == scheme)

    @property
    def web(self) -> tuple[ListedUri, ...]:
        """The HTTP and HTTPS URIs."""
        return tuple(uri for uri in self.uris if uri.is_web)


def scan_list_unsubscribe(text: str) -> UnsubscribeList:
    """Read a List-Unsubscribe value as far as it can be read; never raises.

    Commas separate items only outside the angle brackets, comments may stand around them (RFC 2369 section 2).
    """
    uris: list[ListedUri] = []
    faults: list[UnsubscribeError] = []
    close = -1
    at = _skip(text, 0, faults)
    if at == len(text) and not faults:
        faults.append(UnsubscribeError("the field is empty", (0, len(text)), "empty"))
    while at < len(text):
        if len(uris) + len(faults) >= MAX_ITEMS:
            faults.append(UnsubscribeError(f"more than {MAX_ITEMS} items", (at, len(text)), "too-many"))
            break
        if text[at] != "<":
            opening = text.find("<", at)
            stop = opening if opening >= 0 else len(text)
            faults.append(_outside(text, at, stop))
            at = stop
            continue
        if close < at:  # kept between rounds, or a row of opening brackets would take quadratic time
            close = text.find(">", at)
        if close < 0:
            faults.append(UnsubscribeError("an angle bracket is never closed", (at, len(text)), "not-closed"))
            break
        inner = text.find("<", at + 1, close)
        if inner >= 0:
            faults.append(UnsubscribeError("an angle bracket is never closed", (at, inner), "not-closed"))
            at = inner
            continue
        uri, fault = _read_uri(text, at + 1, close)
        if fault:
            faults.append(fault)
        if uri:
            uris.append(uri)
        at = _next_item(text, close + 1, faults)
    return UnsubscribeList(text, tuple(uris), tuple(faults))


def parse_list_unsubscribe(text: str) -> UnsubscribeList:
    """Read a List-Unsubscribe value that is right in every way, or raise UnsubscribeError for its first fault."""
    found = scan_list_unsubscribe(text)
    if found.faults:
        raise min(found.faults, key=lambda fault: fault.span)
    return found


def parse_post(text: str) -> None:
    """Hold a List-Unsubscribe-Post value against the one it may have (RFC 8058 section 5), or raise UnsubscribeError."""
    value = text.strip(_WHITE)
    start = text.find(value) if value else 0
    span = (start, start + len(value))
    if value == POST_VALUE:
        return
    if not value:
        raise UnsubscribeError("the field is empty", (0, len(text)), "empty")
    if _ENCODED_WORD.search(value):
        raise UnsubscribeError("the value is an encoded-word", span, "encoded-word")
    if value.lower() == POST_VALUE.lower():  # RFC 5234 section 2.3: literals in ABNF have no case; receivers compare octets
        raise UnsubscribeError(f"“{value}” differs from “{POST_VALUE}” in case", span, "case")
    raise UnsubscribeError(f"“{shortened(value, _SHOWN)}” is not “{POST_VALUE}”", span, "value")


# --- the list ----------------------------------------------------------------------------------------------------


def _skip(text: str, at: int, faults: list[UnsubscribeError]) -> int:
    """Step over white space and comments; a comment that is never closed is a fault and takes the rest."""
    while at < len(text):
        if text[at] in _WHITE:
            at += 1
        elif text[at] == "(":
            end = _comment_end(text, at)
            if end < 0:
                faults.append(UnsubscribeError("a comment is never closed", (at, len(text)), "comment"))
                return len(text)
            at = end
        else:
            break
    return at


def _comment_end(text: str, at: int) -> int:
    """Where a comment ends: they nest, and a backslash quotes (RFC 5322 section 3.2.2); -1 if it does not."""
    depth = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return -1


def _outside(text: str, start: int, stop: int) -> UnsubscribeError:
    """The fault of what stands where an opening bracket belongs: RFC 2369 section 2, guidelines 1 and 3."""
    found = text[start:stop].rstrip(_WHITE)
    span = (start, start + len(found))
    if _ENCODED_WORD.search(found):
        return UnsubscribeError("a URI was turned into an encoded-word", span, "encoded-word")
    if _BARE_URI.match(found):
        return UnsubscribeError(f"“{shortened(found, _SHOWN)}” has no angle brackets around it", span, "no-brackets")
    if found == ",":
        return UnsubscribeError("a comma with nothing before it", span, "empty-item")
    return UnsubscribeError(f"“{shortened(found, _SHOWN)}” stands where a URI in angle brackets belongs", span, "no-brackets")


def _next_item(text: str, at: int, faults: list[UnsubscribeError]) -> int:
    """Go past the comma after an item, or note what stands there instead (RFC 2369 section 2, guideline 2)."""
    at = _skip(text, at, faults)
    if at == len(text):
        return at
    if text[at] != ",":
        stop = min((found for found in (text.find(",", at), text.find("<", at)) if found >= 0), default=len(text))
        found = text[at:stop].rstrip(_WHITE)
        if not found:
            faults.append(UnsubscribeError("no comma between two URIs", (at, at + 1), "separator"))
        elif _ENCODED_WORD.search(found):
            faults.append(UnsubscribeError("a URI was turned into an encoded-word", (at, at + len(found)), "encoded-word"))
        else:
            what = f"“{shortened(found, _SHOWN)}” follows a URI without a comma"
            faults.append(UnsubscribeError(what, (at, at + len(found)), "separator"))
        at = stop
        if at == len(text) or text[at] != ",":
            return at
    comma, at = at, _skip(text, at + 1, faults)
    if at == len(text):
        faults.append(UnsubscribeError("nothing after the last comma", (comma, comma + 1), "empty-item"))
    return at


# --- one URI -----------------------------------------------------------------------------------------------------


def _read_uri(text: str, start: int, stop: int) -> tuple[ListedUri | None, UnsubscribeError | None]:
    """Read what stands between two brackets: the URI if there is a scheme, and its first fault."""
    while start < stop and text[start] in _WHITE:
        start += 1
    while stop > start and text[stop - 1] in _WHITE:
        stop -= 1
    whole = text[start:stop]
    span = (start, stop)
    if not whole:
        return None, UnsubscribeError("nothing between the angle brackets", (max(start - 1, 0), stop + 1), "empty-uri")
    bare = "".join(whole.split())
    fault = _fault(whole, bare, start)
    scheme = _SCHEME.match(bare)
    parts = _PARTS.match(bare)
    if scheme is None or parts is None:
        missing = UnsubscribeError(f"“{shortened(bare, _SHOWN)}” has no scheme such as https:", span, "no-scheme")
        return None, fault or missing
    authority, name = parts["authority"], scheme[0].lower()
    host = _host(authority) if authority else None
    uri = ListedUri(bare, name, host, parts["path"], parts["query"] or "", span)
    if fault is None and uri.is_web and not host:
        fault = UnsubscribeError(f"“{shortened(bare, _SHOWN)}” has no host", span, "no-host")
    if fault is None and name == "mailto" and not uri.addresses:
        fault = UnsubscribeError(f"“{shortened(bare, _SHOWN)}” has no address", span, "no-address")
    return uri, fault


def _fault(whole: str, bare: str, start: int) -> UnsubscribeError | None:
    """The first thing that RFC 3986 does not allow in a URI, by how much it explains."""
    span = (start, start + len(whole))
    if _ENCODED_WORD.search(whole):
        return UnsubscribeError("an encoded-word stands in a URI", span, "encoded-word")
    if found := _PLACEHOLDER.search(bare):
        return UnsubscribeError(
            f"the placeholder “{shortened(bare, _SHOWN)}” was not filled in at “{found[0]}”", span, "placeholder"
        )
    if len(bare) != len(whole):
        at = next(index for index, character in enumerate(whole) if character.isspace())
        return UnsubscribeError("white space stands inside a URI", (start + at, start + at + 1), "space")
    if found := _NEVER.search(whole):
        place = (start + found.start(), start + found.end())
        if not found[0].isascii():
            return UnsubscribeError(f"a URI has {found[0]!a}, which is not ASCII", place, "non-ascii")
        return UnsubscribeError(f"a URI has the character {found[0]!a}", place, "character")
    if found := _PERCENT.search(whole):
        place = (start + found.start(), start + found.end())
        return UnsubscribeError("a percent sign without two hexadecimal digits stands in a URI", place, "percent")
    later = whole.partition("//")[2].partition("/")[2]  # RFC 3986 section 3.2.2: square brackets are for IPv6 hosts only
    if "[" in later or "]" in later:
        at = start + len(whole) - len(later) + min(index for index in (later.find("["), later.find("]")) if index >= 0)
        return UnsubscribeError("an unencoded square bracket stands in a URI", (at, at + 1), "bracket")
    return None


def _host(authority: str) -> str:
    """The host of an authority, without user information and port (RFC 3986 section 3.2), lower case."""
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
