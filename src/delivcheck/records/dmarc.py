"""DMARC policy records: text to tags, values, report addresses and faults (RFC 9989 sections 4.7 and 4.8).

Nothing is refused but text that does not begin with the version tag: "Syntax errors in the remainder of the record MUST be
discarded in favor of default values (if any) or ignored outright" (section 4.8). What was discarded stands in `faults`.
Spans are half-open ranges of characters of the record's text.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from ..memo import remembered
from .errors import ParseError
from .names import BadName, is_hostname, to_ascii
from .tags import Tag, TagList, scan_tags
from .zonetext import txt_line

Span = tuple[int, int]

MAX_URIS = 100  # per tag; RFC 7489 section 6.3 let receivers stop after two, and checkdmarc 6 warns from three on


class Policy(StrEnum):
    """What the domain owner asks receivers to do with mail that fails (tags p, sp, np)."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"

    @property
    def rank(self) -> int:
        """How strict it is: none 0, quarantine 1, reject 2."""
        return _LADDER.index(self)

    @property
    def one_below(self) -> "Policy":
        """What t=y makes of it (section 4.7, "t"): one level lower, and none stays none."""
        return _LADDER[max(0, self.rank - 1)]


_LADDER = (Policy.NONE, Policy.QUARANTINE, Policy.REJECT)

REMOVED = ("pct", "rf", "ri")  # RFC 9989 appendix C.5.2: now unknown tags, to be ignored
KNOWN = ("v", "p", "sp", "np", "psd", "t", "adkim", "aspf", "fo", "rua", "ruf")

# dmarc-version = "v" equals %s"DMARC1", equals = *WSP "=" *WSP; then a separator or the end (section 4.8)
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_LOOKS_LIKE_ONE = re.compile(r"dmarc1|v\s{0,9}=\s{0,9}[\"'“]?\s{0,9}dmarc", re.IGNORECASE)

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")  # RFC 3986 section 3.1
# What no URI here may have: all but RFC 3986's characters, of which "!" and "," must be encoded and ";" ends the tag
_NOT_URI = re.compile(r"[^A-Za-z0-9._~:/?#\[\]@$&'()*+=%-]|%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"//(?:[^/?#@]*@)?([^/?#:@\[\]]+)")  # RFC 3986 section 3.2
_SIZE = re.compile(r"!([0-9]+[kmgt]?)\Z", re.IGNORECASE)  # obs-dmarc-report-size
_LOCAL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*\Z|\"[\x20\x21\x23-\x5b\x5d-\x7e]+\"\Z"
)


class DmarcSyntaxError(ParseError):
    """The text is no DMARC record: it does not begin with v=DMARC1. `span` is where it departs from that."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in a record that receivers discard. `tag` is the tag it is in, or None between tags.

    Kinds: value (not one of those the tag may have), uri, duplicate, and those of `TagError`.
    """

    message: str
    span: Span
    kind: str
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class ReportUri:
    """One address of rua or ruf as written. `fault` says why receivers ignore it; `is_uri` whether it is a URI all the same.

    `address` is the addr-spec of a mailto URI with percent-encoding undone, `host` its domain (or the authority of another
    scheme) as an A-label name, `size_limit` the obsolete "!10m" without the mark.
    """

    text: str
    span: Span
    scheme: str | None = None
    address: str | None = None
    host: str | None = None
    size_limit: str | None = None
    fault: str | None = None
    is_uri: bool = True


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A policy record with every default filled in; `p`, `sp` and `np` are None when absent or invalid, see `faults`."""

    text: str
    tags: TagList
    p: Policy | None = None
    sp: Policy | None = None
    np: Policy | None = None
    psd: str = "u"
    testing: bool = False  # t
    adkim: str = "r"
    aspf: str = "r"
    fo: tuple[str, ...] = ("0",)
    rua: tuple[ReportUri, ...] = ()
    ruf: tuple[ReportUri, ...] = ()
    removed: tuple[Tag, ...] = ()
    unknown: tuple[Tag, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def has_report_address(self) -> bool:
        """Whether rua has at least one syntactically valid URI; any scheme will do (section 4.7, "rua")."""
        return any(uri.is_uri for uri in self.rua)

    @property
    def policies(self) -> tuple[Policy, Policy | None, Policy | None] | None:
        """The p, sp and np that hold, or None when the record brings no DMARC processing at all.

        Without a valid p, or with an invalid sp or np, a receiver acts as if the record said p=none, provided rua has a valid
        URI; otherwise it applies no DMARC (section 4.10.1).
        """
        broken = any(fault.kind == "value" and fault.tag in {"p", "sp", "np"} for fault in self.faults)
        if self.p is not None and not broken:
            return self.p, self.sp, self.np
        return (Policy.NONE, None, None) if self.has_report_address else None

    def applied(self, *, own: bool, exists: bool = True) -> Policy | None:
        """The policy that holds for an author domain after sp, np and t; None when no DMARC applies.

        `own`: the record is the author domain's own, so p counts; else sp, or np when the author domain does not exist
        (section 4.10.1), each falling back to the one before (section 4.7, "np", "sp").
        """
        asked = self.policies
        if asked is None:
            return None
        p, sp, np = asked
        policy = p if own else (sp or p) if exists else (np or sp or p)
        return policy.one_below if self.testing else policy


def join(strings: Iterable[bytes]) -> str:
    """Make one text of a TXT record's character-strings (section 4.5). Octets that are no UTF-8 show as escapes."""
    return b"".join(strings).decode("utf-8", "backslashreplace")


def select(texts: Iterable[str]) -> tuple[str, ...]:
    """Keep the texts that begin with the version tag: v first, its value DMARC1 in capitals (section 4.7, "v").

    The ABNF allows white space around the equals sign and before the semicolon, and none before v.
    """
    return tuple(text for text in texts if _VERSION.match(text))


def resembles(text: str) -> bool:
    """Tell whether somebody meant this text to be a DMARC record, whatever a receiver makes of it."""
    return _LOOKS_LIKE_ONE.search(text) is not None


def published(domain: str, record: str) -> str:
    """A domain's record as a line of a zone file."""
    return txt_line(f"_dmarc.{domain}", record)


@remembered(512)  # a sender's record is read for each of its messages
def parse(text: str) -> DmarcRecord:
    """Read a record. Raises DmarcSyntaxError when it does not begin with the version tag."""
    if not _VERSION.match(text):
        raise _no_version(text)
    tags = scan_tags(text, fold_names=True)
    faults = [Fault(fault.message, fault.span, fault.kind) for fault in tags.faults]
    # A repeated tag makes a DKIM tag list invalid (RFC 6376 section 3.2), while RFC 9989 section 4.8 discards only what is
    # wrong. Implementations take the first, the last or nothing; we take the first and report the second.
    first: dict[str, Tag] = {}
    for tag in tags:
        first.setdefault(tag.name, tag)

    def word(name: str, allowed: tuple[str, ...]) -> str | None:
        """Read a value of a few words, in any case: ABNF literals have none (RFC 5234 section 2.3)."""
        tag = first.get(name)
        if tag is None:
            return None
        value = tag.value.lower()
        if value in allowed:
            return value
        shown = f"“{tag.value[:40]}”" if tag.value else "nothing"
        faults.append(Fault(f"{name}= has {shown} where only {_or(allowed)} may stand", _at(tag), "value", name))
        return None

    def policy(name: str) -> Policy | None:
        value = word(name, ("none", "quarantine", "reject"))
        return None if value is None else Policy(value)

    def uris(name: str) -> tuple[ReportUri, ...]:
        tag = first.get(name)
        if tag is None:
            return ()
        found = _uris(tag)
        faults.extend(Fault(f"{name}= has {uri.fault}", uri.span, "uri", name) for uri in found if uri.fault)
        return found

    p, sp, np = policy("p"), policy("sp"), policy("np")
    fo = first.get("fo")
    if fo is not None and not _is_fo(fo.value):
        message = f"fo= has “{fo.value[:40]}” where 0 or 1, d and s may stand, each once and parted by colons"
        faults.append(Fault(message, _at(fo), "value", "fo"))
        fo = None
    return DmarcRecord(
        text,
        tags,
        p,
        sp,
        np,
        psd=word("psd", ("y", "n", "u")) or "u",
        testing=word("t", ("y", "n")) == "y",
        adkim=word("adkim", ("r", "s")) or "r",
        aspf=word("aspf", ("r", "s")) or "r",
        fo=tuple(fo.value.lower().split(":")) if fo else ("0",),
        rua=uris("rua"),
        ruf=uris("ruf"),
        removed=tuple(tag for tag in tags if tag.name in REMOVED),
        unknown=tuple(tag for tag in tags if tag.name not in KNOWN and tag.name not in REMOVED),
        faults=tuple(sorted(faults, key=lambda fault: fault.span)),
    )


def _no_version(text: str) -> DmarcSyntaxError:
    """Say how the beginning differs from v=DMARC1."""
    end = text.find(";")
    end = len(text) if end < 0 else end
    head = text[:end]
    span = (0, max(1, min(end, len(text))))
    if not text.strip():
        return DmarcSyntaxError("the text is empty", (0, len(text)))
    if head.startswith((" ", "\t")):
        return DmarcSyntaxError("white space stands before v=DMARC1", (0, len(text) - len(text.lstrip(" \t"))))
    if head.startswith(('"', "'", "“", "”")):
        return DmarcSyntaxError("a quotation mark stands before v=DMARC1", (0, 1))
    name, equals, value = (piece.strip(" \t") for piece in head.partition("="))
    if name.lower() != "v" or not equals:
        return DmarcSyntaxError("the first tag is not v", span)
    if value.upper() == "DMARC1":
        return DmarcSyntaxError(f"the version is written {value[:40]} and not DMARC1", span)
    if value.startswith("DMARC1"):
        return DmarcSyntaxError("no semicolon stands after v=DMARC1", span)
    return DmarcSyntaxError(f"the version is “{value[:40]}” and not DMARC1", span)


def _or(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _at(tag: Tag) -> Span:
    """The value, or the whole tag when the value is empty: a place must have a width to be shown."""
    return tag.span if tag.value else tag.whole


def _is_fo(value: str) -> bool:
    """dmarc-fo (section 4.8): 0 or 1, not both; d and s; each at most once."""
    options = value.lower().split(":")
    return set(options) <= {"0", "1", "d", "s"} and len(set(options)) == len(options) and not {"0", "1"} <= set(options)


def _uris(tag: Tag) -> tuple[ReportUri, ...]:
    """dmarc-urilist: URIs parted by commas; a comma inside one has to be encoded (section 4.8)."""
    found: list[ReportUri] = []
    start = tag.span[0]
    for item in tag.value.split(",", MAX_URIS):
        text = item.strip(" \t")
        begin = start + (len(item) - len(item.lstrip(" \t")))
        span = (begin, begin + len(text)) if text else _at(tag)
        found.append(
            _uri(text, span)
            if len(found) < MAX_URIS
            else ReportUri(text, span, fault=f"more than {MAX_URIS} addresses", is_uri=False)
        )
        start += len(item) + 1
    return tuple(found)


def _uri(text: str, span: Span) -> ReportUri:
    """Read one dmarc-uri or obs-dmarc-uri."""
    size = _SIZE.search(text)
    limit = size[1] if size else None
    bare = text[: size.start()] if size else text

    def no_uri(fault: str) -> ReportUri:
        return ReportUri(text, span, size_limit=limit, fault=fault, is_uri=False)

    if not text:
        return no_uri("an empty address")
    scheme = _SCHEME.match(bare)
    if not scheme:
        return no_uri(f"“{_short(text)}”, which has no scheme such as mailto:")
    bad = _NOT_URI.search(bare)
    if bad:
        what = "a percent sign that encodes nothing" if bad[0] == "%" else f"the character “{_short(bad[0])}” unencoded"
        return no_uri(f"“{_short(text)}”, which has {what}")
    name, rest = scheme[0][:-1].lower(), bare[scheme.end() :]
    if name == "mailto":
        # one addr-spec, percent-encoded (RFC 6068 section 2)
        address = unquote(rest.partition("?")[0])
        local, _, domain = address.rpartition("@")
        host = _host(domain)
        if not _LOCAL.match(local):
            return no_uri(f"“{_short(text)}”, which is no mail address")
        if host is None:
            return no_uri(f"“{_short(text)}”, whose part after the @ is no host name")
        return ReportUri(text, span, name, address, host, limit)
    if name != "https":
        return ReportUri(
            text, span, name, size_limit=limit, fault=f"“{_short(text)}”, whose scheme is neither mailto nor https"
        )
    authority = _AUTHORITY.match(rest)
    host = _host(authority[1]) if authority else None
    if host is None:
        return no_uri(f"“{_short(text)}”, which names no host")
    return ReportUri(text, span, name, host=host, size_limit=limit)


def _host(name: str) -> str | None:
    try:
        host = to_ascii(name)
    except BadName:
        return None
    return host if is_hostname(host) else None


def _short(text: str) -> str:
    plain = text if len(text) <= 60 else text[:59] + "…"
    return plain if plain.isprintable() else plain.encode("unicode_escape").decode("ascii")
