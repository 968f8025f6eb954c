"""Tag=value lists, the syntax that DKIM signatures, DKIM keys and DMARC records share (RFC 6376 section 3.2).

`scan_tags` never raises: it returns what can be read and every fault with its place. `parse_tags` raises the first fault.
Positions are offsets in characters into the text that was given.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from msgspec import Struct
from msgspec.structs import replace

from .errors import ParseError

MAX_TAGS = 100  # RFC 6376 defines 14 signature tags, RFC 9989 eleven; a list longer than this is an attack on the reader

WHITE = " \t\r\n"  # FWS = [*WSP CRLF] 1*WSP; whether a CRLF is a proper fold is for whoever read the header

# A tag with a value, white space around it: what nearly every tag is, read in one go. Where it does not match, `_read` finds
# out why. The lookahead keeps it from trying each length of a run of white space.
_WHOLE = re.compile(rf"[{WHITE}]*([A-Za-z][A-Za-z0-9_]*)[{WHITE}]*=[{WHITE}]*(?![{WHITE}])([^;]*[^;{WHITE}])[{WHITE}]*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")  # tag-name = ALPHA *ALNUMPUNC
# What no value may hold: control characters, DEL, and the lone surrogates that undecodable octets leave behind. Other non-ASCII
# is let through: RFC 8616 sections 5 and 6 allow UTF-8 in signatures and i=, and each tag's own syntax decides.
_NEVER = re.compile(r"[^ \t\r\n\x21-\x7e\x80-\ud7ff\ue000-\U0010ffff]")


class TagError(ParseError):
    """A tag list is not one. `span` is the half-open range of characters at fault, `kind` a stable word for what is wrong.

    Kinds: empty (nothing between two semicolons), no-equals, bad-name, bad-character, duplicate, too-many.
    """

    @property
    def position(self) -> int:
        """Where the fault begins."""
        return self.span[0]


class Tag(Struct, frozen=True):
    """One tag as written. `value` has no white space around it but keeps what is inside; it may be empty.

    `span` covers the value, `whole` the tag from its name to the end of its value.
    """

    name: str
    value: str
    span: tuple[int, int]
    whole: tuple[int, int]


@dataclass(frozen=True, slots=True)
class TagList:
    """A list of tags in order, repeats kept, and what is wrong with it. A lookup by name gives the first of that name."""

    text: str
    tags: tuple[Tag, ...]
    faults: tuple[TagError, ...] = ()

    def get(self, name: str) -> Tag | None:
        """Find the first tag of this name, or None: an empty value and an absent tag are two things (RFC 6376 section 3.2)."""
        for tag in self.tags:
            if tag.name == name:
                return tag
        return None

    def value(self, name: str, default: str | None = None) -> str | None:
        """Give the value of the first tag of this name."""
        tag = self.get(name)
        return default if tag is None else tag.value

    def without(self, *names: str) -> str:
        """The text without some tags, the others as they are written."""
        return self.replaced(dict.fromkeys(names))

    def replaced(self, values: Mapping[str, str | None]) -> str:
        """The text with new values for some of its tags, None for those to leave out; the others as they are written."""
        kept = []
        for tag in self.tags:
            value = values.get(tag.name, tag.value)
            if value is not None:
                kept.append(f"{self.text[tag.whole[0] : tag.span[0]]}{value}")
        return "; ".join(kept)

    def __contains__(self, name: object) -> bool:
        return any(tag.name == name for tag in self.tags)

    def __iter__(self) -> Iterator[Tag]:
        return iter(self.tags)


def scan_tags(text: str, *, fold_names: bool = False) -> TagList:
    """Read a tag list as far as it can be read; never raises.

    Names are case-sensitive (RFC 6376 section 3.2) unless `fold_names` brings them to lower case, as DMARC's ABNF means.
    A repeated name makes the whole list invalid by the RFC: it is a fault here, and the tags are all there.
    """
    tags: list[Tag] = []
    faults: list[TagError] = []
    seen: set[str] = set()
    good = (text.isascii() and text.replace("\t", " ").isprintable()) or _NEVER.search(text) is None
    start = 0
    last = False
    while not last:
        if len(tags) + len(faults) >= MAX_TAGS:
            faults.append(TagError(f"more than {MAX_TAGS} tags", (start, len(text)), "too-many"))
            break
        tag: Tag | None = None
        fault: TagError | None = None
        whole = _WHOLE.match(text, start) if good else None
        if whole:
            span, end = whole.span(2), whole.end()
            tag = Tag(whole[1], whole[2], span, (whole.start(1), span[1]))
        else:
            end = text.find(";", start)
            if end < 0:
                end = len(text)
            begin, stop = _trim(text, start, end)
            if begin < stop:
                tag, fault = _read(text, begin, stop)
        last = end == len(text)
        if tag or fault:
            if fault:
                faults.append(fault)
            if tag:
                if fold_names:
                    tag = replace(tag, name=tag.name.lower())
                if tag.name in seen:
                    faults.append(TagError(f"{tag.name}= stands there twice", tag.whole, "duplicate"))
                seen.add(tag.name)
                tags.append(tag)
        elif not last:
            faults.append(TagError("nothing before the semicolon", (start, end), "empty"))
        elif not start:  # otherwise: the one semicolon that may end a list
            faults.append(TagError("the list is empty", (start, end), "empty"))
        start = end + 1
    return TagList(text, tuple(tags), tuple(faults))


def parse_tags(text: str, *, fold_names: bool = False) -> TagList:
    """Read a tag list that is right in every way, or raise TagError for its first fault."""
    found = scan_tags(text, fold_names=fold_names)
    if found.faults:
        raise min(found.faults, key=lambda fault: fault.position)
    return found


def without_white_space(value: str) -> str:
    """Remove all folding white space from a value, as RFC 6376 says for b=, bh= and p=."""
    for white in WHITE:
        value = value.replace(white, "")
    return value


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    """Narrow a range by the white space at either end."""
    while start < end and text[start] in WHITE:
        start += 1
    while end > start and text[end - 1] in WHITE:
        end -= 1
    return start, end


def _read(text: str, begin: int, stop: int) -> tuple[Tag | None, TagError | None]:
    """Read one tag-spec that has no white space around it."""
    equals = text.find("=", begin, stop)
    if equals < 0:
        return None, TagError(f"“{_shown(text[begin:stop])}” has no equals sign", (begin, stop), "no-equals")
    name_end = _trim(text, begin, equals)[1]
    name = text[begin:name_end]
    if not _NAME.match(name):
        return None, TagError(f"“{_shown(name)}” is no tag name", (begin, max(name_end, begin + 1)), "bad-name")
    value_start = _trim(text, equals + 1, stop)[0]
    bad = _NEVER.search(text, value_start, stop)
    fault = TagError(f"{name}= has the character {bad[0]!a}", bad.span(), "bad-character") if bad else None
    return Tag(name, text[value_start:stop], (value_start, stop), (begin, stop)), fault


def _shown(text: str) -> str:
    """At most forty characters, escaped, for a message."""
    plain = text if len(text) <= 40 else text[:39] + "…"
    return plain.encode("unicode_escape").decode("ascii") if not plain.isprintable() else plain
