"""BIMI assertion records and the BIMI-Selector field: text to tags and values.

By draft-brand-indicators-for-message-identification-14; section numbers here are its own. "Mail receivers MUST NOT attempt to
fix syntactical or capitalization errors" (section 4.3), so the first fault makes a record unusable, and the parser raises it.
Spans are half-open ranges of characters of the text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address

from .errors import ParseError
from .names import BadName, is_hostname, to_ascii
from .tags import Tag, TagError, TagList, parse_tags

DEFAULT_SELECTOR = "default"  # section 4.4
MAX_PREFIX = 63  # characters of one prefix of lps=, section 4.3

# Letters of either case are told apart: the version "MUST match precisely" (section 4.3), tag names as in RFC 6376 section 3.2.
_VERSION = re.compile(r"v[ \t]*=[ \t]*BIMI1[ \t]*(?:;|\Z)")
_LOOKS_LIKE_ONE = re.compile(r"[\"'“\s]{0,9}v\s{0,9}[=:]\s{0,9}[\"'“]?bimi", re.IGNORECASE)
_PREFIX = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_PREFIX}}}\Z")
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"  # sub-domain, RFC 5321 section 4.1.2
_SELECTOR = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\Z")
# What a bimi-uri may not have: all but RFC 3986's characters, of which "," MUST be encoded and ";" ends the tag (section 4.3)
_NOT_URI = re.compile(r"[^A-Za-z0-9._~:/?#\[\]@!$&'()*+=%-]|%(?![0-9A-Fa-f]{2})")
_URI = re.compile(
    r"https://(?:[^/?#@]*@)?(\[[0-9A-Fa-f:.]*\]|[^/?#:@\[\]]*)(?::[0-9]{1,5})?(?P<path>(?:/[^?#]*)?)(?:[?#]|\Z)", re.IGNORECASE
)
_OTHER_IMAGE = re.compile(r"\.(?:png|jpe?g|gif|webp|bmp|ico|tiff?|avif|heic|eps|pdf)\Z", re.IGNORECASE)


class BimiSyntaxError(ParseError):
    """The text is no assertion record, or no BIMI-Selector value, that anybody may use. `kind` is the tag, or a word."""


class Preference(StrEnum):
    """Whether the sender's own avatar or the brand's logo is preferred (tag avp)."""

    BRAND = "brand"
    PERSONAL = "personal"


@dataclass(frozen=True, slots=True)
class BimiRecord:
    """An assertion record. `location` (l) and `evidence` (a) are HTTPS URIs or empty; `prefixes` (lps) is None without it."""

    text: str
    tags: TagList
    location: str
    evidence: str = ""
    preference: Preference = Preference.BRAND
    prefixes: tuple[str, ...] | None = None

    @property
    def declines(self) -> bool:
        """Both l and a are empty: an explicit refusal to take part (section 4.3.1)."""
        return not self.location and not self.evidence

    def span(self, tag: str) -> tuple[int, int]:
        """The place of a tag's value, of the whole tag where that is empty, or of the version where there is no such tag."""
        found = self.tags.get(tag) or self.tags.tags[0]
        return found.span if found.value else found.whole


def join(strings: Iterable[bytes]) -> str:
    """Make one text of a TXT record's character-strings, as SPF does (section 4). Octets that are no UTF-8 show as escapes."""
    return b"".join(strings).decode("utf-8", "backslashreplace")


def select(texts: Iterable[str]) -> tuple[str, ...]:
    """Keep the texts that begin with the version tag; all others MUST be discarded (section 7.2 step 4)."""
    return tuple(text for text in texts if _VERSION.match(text))


def resembles(text: str) -> bool:
    """Tell whether somebody meant this text to be an assertion record, whatever a receiver makes of it."""
    return _LOOKS_LIKE_ONE.match(text) is not None


def parse(text: str) -> BimiRecord:
    """Read a record. Raises BimiSyntaxError for the first thing that is wrong; unknown tags are ignored (section 4.3)."""
    tags = _tags(text)
    location = tags.get("l")
    if location is None:
        raise BimiSyntaxError("there is no l=", tags.tags[0].whole, "l")
    evidence, preference, prefixes = tags.get("a"), tags.get("avp"), tags.get("lps")
    _check_uri(location)
    if evidence is not None:
        _check_uri(evidence)
    if preference is not None and preference.value not in set(Preference):
        shown = f"“{_short(preference.value)}”" if preference.value else "nothing"
        raise BimiSyntaxError(f"avp= has {shown} where only brand or personal may stand", _at(preference), "avp")
    return BimiRecord(
        text,
        tags,
        location.value,
        evidence.value if evidence else "",
        Preference(preference.value) if preference else Preference.BRAND,
        _prefixes(prefixes) if prefixes else None,
    )


def parse_selector(text: str) -> str:
    """The selector that a BIMI-Selector field names, in lower case (section 5.1). Raises BimiSyntaxError."""
    tags = _tags(text)
    selector = tags.get("s")
    if selector is None:
        raise BimiSyntaxError("there is no s=", tags.tags[0].whole, "s")
    if not _SELECTOR.match(selector.value):  # selector = sub-domain *( "." sub-domain ), section 4.4
        shown = f"“{_short(selector.value)}”" if selector.value else "nothing"
        raise BimiSyntaxError(f"s= has {shown} where a selector should stand", _at(selector), "s")
    return selector.value.lower()  # DNS knows no case


def _tags(text: str) -> TagList:
    if not _VERSION.match(text):
        end = text.find(";")
        end = len(text) if end < 0 else end
        what = f"“{_short(text[:end].strip())}” stands where v=BIMI1 should" if text[:end].strip() else "there is no v=BIMI1"
        raise BimiSyntaxError(what, (0, end), "v")
    try:
        return parse_tags(text)
    except TagError as error:  # RFC 6376 section 3.2, whose syntax this is
        raise BimiSyntaxError(error.message, error.span, error.kind) from None


def _at(tag: Tag) -> tuple[int, int]:
    """The value, or the whole tag when the value is empty: a place must have a width to be shown."""
    return tag.span if tag.value else tag.whole


def _check_uri(tag: Tag) -> None:
    """Hold l= or a= against bimi-uri (section 4.3)."""

    def fault(message: str) -> BimiSyntaxError:
        return BimiSyntaxError(f"{tag.name}= has “{_short(tag.value)}”, {message}", tag.span, tag.name)

    if not tag.value:
        return
    if not tag.value.lower().startswith("https://"):
        raise fault("which is no https URI")
    bad = _NOT_URI.search(tag.value)
    if bad:
        what = "a percent sign that encodes nothing" if bad[0] == "%" else f"the character “{_short(bad[0])}” unencoded"
        raise fault(f"which has {what}")
    uri = _URI.match(tag.value)
    if uri is None or not _is_host(uri[1], full=tag.name == "a"):
        raise fault("which names no host" if tag.name == "l" else "which has no full domain name")
    other = _OTHER_IMAGE.search(uri["path"]) if tag.name == "l" else None
    if other:  # "If an l= tag URI ends with any other image format suffix" it is a permanent error (section 4.3.2)
        raise fault(f"which ends in {other[0].lower()}, and only SVG is a BIMI format")


def _is_host(host: str, *, full: bool) -> bool:
    """Whether this is a host; `full`: a= "MUST contain a fully qualified domain name", for l= an address will do."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        try:
            return is_hostname(to_ascii(host))
        except BadName:
            return False
    return not full


def _prefixes(tag: Tag) -> tuple[str, ...]:
    """local-part-prefix-list, or nothing: then every local part matches (section 4.3, "lps")."""
    if not tag.value:
        return ()
    prefixes = []
    start = tag.span[0]
    for item in tag.value.split(","):
        prefix = item.strip(" \t")
        if not _PREFIX.match(prefix):
            begin = start + len(item) - len(item.lstrip(" \t"))
            shown = f"“{_short(prefix)}”" if prefix else "nothing"
            span = (begin, begin + len(prefix)) if prefix else _at(tag)
            raise BimiSyntaxError(f"lps= has {shown} where a prefix of letters, digits and hyphens should stand", span, "lps")
        prefixes.append(prefix.lower())
        start += len(item) + 1
    return tuple(prefixes)


def _short(text: str) -> str:
    plain = text if len(text) <= 60 else text[:59] + "…"
    return plain if plain.isprintable() else plain.encode("unicode_escape").decode("ascii")
