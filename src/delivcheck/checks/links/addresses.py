"""Rules about links: where they lead, and whether they can be followed at all."""

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from ...engine import rule
from ...facts.link_hosts import Host, LinkHosts, askable, never_public
from ...facts.message import Links
from ...facts.own_domains import OwnDomains
from ...memo import LONGEST_HOST, remembered
from ...mime.links import Link, LinkKind, split_url
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Undetermined
from ...records.names import BadName, has_known_suffix, is_within, parents, psl_organizational_domain, to_ascii
from ...rulefiles import data
from ...saying import in_one_line
from ..html import unread
from ._walk import distinct, every, is_unrendered, web

FOLLOWED = frozenset({"http", "https", "mailto", "tel", "sms", "cid"})  # what mail clients open (catalogue LINK004)
RUN = frozenset({"javascript", "vbscript"})  # html/active-content tells of them
SHORTENERS = frozenset(data("shorteners")["domains"])
PLACEHOLDERS = tuple(data("reserved-names")["placeholder"]["names"])

_LONGEST_TEXT = 2_000  # characters of a link's text that are searched for a domain
_URL_IN_TEXT = re.compile(r"(?<![\w@.-])(?:https?://|www\.)[^\s<>\"'()]+", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?=/|\Z)", re.IGNORECASE)
_FILE_ENDINGS = frozenset({"md", "mov", "pl", "ps", "py", "rs", "sh", "zip"})  # top-level domains that end file names too
_INVISIBLE = re.compile("[\u00ad\u034f\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
_SPACE = re.compile(r"\s")


def _among(host: str | None, domains: Iterable[str]) -> bool:
    return host is not None and any(is_within(host, domain.lower()) for domain in domains)


def _is_placeholder(link: Link, own: OwnDomains) -> bool:
    """Whether a link leads to a name kept for examples, and the sender's own is none."""
    host = (link.host_ascii or "").rstrip(".")
    return _is_for_examples(host) and not own.has(host)


@remembered(1024, LONGEST_HOST)
def _is_for_examples(host: str) -> bool:
    return _among(host, PLACEHOLDERS)


@remembered(1024, LONGEST_HOST)
def _is_shortener(host: str) -> bool:
    return not SHORTENERS.isdisjoint((host, *parents(host)))


# --- where links lead --------------------------------------------------------------------------------------------


@rule("links/text-shows-another-site")
def text_shows_another_site(links: Links, own: OwnDomains, *, tracking_domains: tuple[str, ...] = ()) -> Findings:
    yield from unread(links)
    for link in links.web:
        if (
            link.kind is not LinkKind.LINK
            or link.element is None
            or link.host_ascii is None
            or own.declares(link.host_ascii)
            or _among(link.host_ascii, tracking_domains)
        ):
            continue
        shown = _domain_in(link.text[:_LONGEST_TEXT])
        if shown is not None and psl_organizational_domain(shown) != psl_organizational_domain(link.host_ascii.rstrip(".")):
            yield Problem(f"the link shows {shown} and leads to {link.host_ascii}", link.at)


@remembered(1024)
def _domain_in(text: str) -> str | None:
    """The host that a link's text shows: of a URL in it, or the text as a whole if it is a domain (catalogue T087)."""
    text = text.strip().strip(".,;:!?»›→> ")
    url = _URL_IN_TEXT.search(text)
    if url:
        host = split_url(url[0] if ":" in url[0][:8] else f"http://{url[0]}").host_ascii
        return host.rstrip(".") if host and "." in host and not host.startswith("[") else None
    whole = _DOMAIN.match(text)
    if whole is None or _SPACE.search(text):
        return None
    try:
        name = to_ascii(whole[0])
    except BadName:
        return None
    return name if has_known_suffix(name) and name.rpartition(".")[2] not in _FILE_ENDINGS else None


@rule("links/ip-address")
def ip_address(links: Links) -> Findings:
    yield from unread(links)
    for link, shown in distinct(link for link in links.web if link.url.ip is not None):
        written = (link.url.host or "").strip("[]")
        address = f"the IP address {link.url.ip}" + (f", written as {written}" if written != str(link.url.ip) else "")
        yield Problem(f"the link {shown} leads to {address}", link.at)


@rule("links/shortener")
def shortener(links: Links) -> Findings:
    yield from unread(links)
    for link, shown in web(links):
        host = (link.host_ascii or "").rstrip(".")
        if link.kind is LinkKind.LINK and _is_shortener(host):
            yield Problem(f"the link {shown} goes through the shortener {host}", link.at)


@rule("links/plain-http")
def plain_http(links: Links, own: OwnDomains) -> Findings:
    yield from unread(links)
    for link, shown in web(links):
        # A bare www. name in a text has no scheme: what a client makes of it is the client's.
        if (
            link.kind is LinkKind.LINK
            and link.scheme == "http"
            and link.raw.strip().lower().startswith("http:")
            and link.url.host
            and never_public(link.url) is None  # links/unresolvable-host's: https would not make it work
            and not _is_placeholder(link, own)  # links/placeholder's
        ):
            yield Problem(f"the link {shown} is not encrypted", link.at, fix=f"https{link.url.text[4:]}")


# --- whether they work -------------------------------------------------------------------------------------------


@rule("links/dangerous-url")
def dangerous_url(links: Links, *, schemes: tuple[str, ...] = ()) -> Findings:
    yield from unread(links)
    followed = FOLLOWED | {scheme.lower().rstrip(":/") for scheme in schemes}
    for link, shown in every(links):
        if link.kind not in {LinkKind.LINK, LinkKind.FORM} or link.scheme is None or link.scheme in RUN or is_unrendered(link):
            continue
        if link.scheme not in followed:
            # In plain text nobody promised that it can be clicked: whoever reads it may know what to do with it.
            level = Level.WARNING if link.element is None else None
            yield Problem(f"the link {shown} has the scheme {link.scheme}:, which mail clients do not open", link.at, level)
        elif link.scheme in {"http", "https"}:
            for what in _faults(link):
                yield Problem(f"the link {shown} {what}", link.at)


def _faults(link: Link) -> Iterator[str]:
    url, written = link.url, link.raw.strip()
    if url.userinfo is not None:  # RFC 3986 section 7.6, RFC 9110 section 4.2.4
        yield f"has a user name before the host {url.host_ascii or ''}".rstrip()
    if "\\" in written:
        yield "has a backslash"
    is_plain = written.isascii() and written.isprintable()  # of nearly all: the patterns take longer
    if " " in written or (not is_plain and _SPACE.search(written)):
        yield "has white space inside"
    invisible = None if is_plain else _INVISIBLE.search(written)
    if invisible is None and url.host and not url.host.isascii():  # in the host it may be percent-encoded
        invisible = _INVISIBLE.search(url.host)
    if invisible:
        yield f"has the invisible character U+{ord(invisible[0]):04X}"
    yield from _host_faults(link)
    if url.port and not (url.port.isascii() and url.port.isdigit() and int(url.port[:6]) <= 65535):
        yield f"has {url.port[:20]!r} where the port belongs"


def _host_faults(link: Link) -> Iterator[str]:
    url = link.url
    if not url.host:
        if url.text.rstrip("/\\:").lower() not in {"http", "https"}:  # the scheme alone is links/placeholder's
            yield "has no host"
    elif url.host_ascii is None:
        yield "has no valid host name"
    elif url.ip is None and (fault := _fault_of(url.host_ascii)):
        yield f"has no valid host name: {fault}"


@remembered(1024, LONGEST_HOST)
def _fault_of(host: str) -> str | None:
    try:
        to_ascii(host)  # RFC 1035 section 2.3.4: labels of 63 octets, names of 253 as text
    except BadName as error:
        return str(error)
    return None


@rule("links/unresolvable-host")
def unresolvable_host(links: Links, hosts: LinkHosts | NotApplicable | Unavailable, own: OwnDomains) -> Findings:
    yield from unread(links)
    for link, shown in web(links):
        why = never_public(link.url)
        # A sender under such a name is a test of its own, where these links work.
        if why is not None and not own.has(link.host_ascii):
            yield Problem(f"the host of {shown} {why}", link.at, Level.ERROR)
    wanted = askable(links.web)
    if not wanted:
        return
    if isinstance(hosts, (NotApplicable, Unavailable)):
        raise hosts
    for host, link in wanted.items():
        state = hosts.each.get(host)
        if isinstance(state, Unavailable):
            yield Undetermined(state.reason, link.at)
        elif state is not None and state is not Host.REACHABLE:
            yield Problem(f"the host {host} of a link {state}", link.at)
    if hosts.left_out:
        yield Undetermined(f"{hosts.left_out} more hosts of links were not asked about")


@rule("links/placeholder")
def placeholder(links: Links, own: OwnDomains, *, staging: tuple[str, ...] = ()) -> Findings:
    yield from unread(links)
    for link, shown in every(links):
        if link.kind not in {LinkKind.LINK, LinkKind.IMAGE} or is_unrendered(link):
            continue
        host = (link.host_ascii or "").rstrip(".")
        if link.kind is LinkKind.LINK and link.element is not None and _leads_nowhere(link):
            address = f"{shown}" if link.raw.strip() else f"empty{shown}"  # which may end with how often
            yield Problem(f"the link {_called(link)} leads nowhere: its address is {address}", link.at)
        elif _is_placeholder(link, own):
            yield Problem(f"{shown} leads to {host}, a name kept for examples", link.at)
        elif any(fnmatchcase(host, pattern.lower()) for pattern in staging):
            yield Problem(f"{shown} leads to {host}, a staging host", link.at)


def _called(link: Link) -> str:
    name = link.text.strip() or link.alt or "without text"
    return f'"{in_one_line(name, 60)}"'


def _leads_nowhere(link: Link) -> bool:
    """Nothing, `#`, a scheme alone, or a path: a mail has no address that a path could be relative to."""
    text = link.url.text
    if text in {"", "#"} or text.lower().rstrip("/") in {"http:", "https:"}:
        return True
    based = link.element is not None and link.element.document.base is not None
    return link.scheme is None and not text.startswith("#") and not based
