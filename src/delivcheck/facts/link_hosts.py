"""Whether the hosts of links can be reached: names that public DNS never has, private addresses, what DNS says of the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..engine import fact, side_by_side
from ..memo import LONGEST_HOST, remembered
from ..mime.links import Link, Url
from ..model import Dns, Failed, NoSuchName, Unavailable
from ..records.names import BadName, to_ascii
from ..records.networks import is_private_address
from .answers import addresses, ask_about
from .message import Links
from .reserved import reserved_top

MAX_HOSTS = 100  # asked about; SpamAssassin's uridnsbl_max_domains is 20, the widest newsletter of our corpora links to 31


class Host(StrEnum):
    """What is known of a host, in words that follow its name."""

    REACHABLE = "has an address"
    NOT_FOUND = "does not exist in DNS"
    NO_ADDRESS = "has neither A nor AAAA record"
    PRIVATE = "has only private addresses"


@dataclass(frozen=True, slots=True)
class LinkHosts:
    """What DNS says of each host of a link, by its A-label name; `left_out` counts those over MAX_HOSTS."""

    each: Mapping[str, Host | Unavailable]
    left_out: int = 0


def never_public(url: Url) -> str | None:
    """Why nobody outside reaches the host of a URL, whatever DNS says; None where that is not so."""
    if url.ip is not None:
        return "is a private address" if is_private_address(url.ip) else None
    return _never_a_name(url.host_ascii or "")


@remembered(4096, LONGEST_HOST)
def _never_a_name(host: str) -> str | None:
    """The same of a host that is no address."""
    name = host.rstrip(".")
    if not name or name.startswith("["):
        return None
    if "." not in name and name != "localhost":
        return "is a name of a local network"
    reserved = reserved_top(name)
    if reserved == "localhost":
        return "is the reader's own machine"
    return None if reserved is None else f"lies under .{reserved}, which public DNS does not have"


def askable(links: Iterable[Link]) -> dict[str, Link]:
    """The hosts that DNS can be asked about, each with the first link to it."""
    found: dict[str, Link] = {}
    seen: set[str | None] = set()
    for link in links:
        if link.url.host in seen or link.url.scheme not in {"http", "https"}:
            continue
        seen.add(link.url.host)
        if link.url.ip is not None or never_public(link.url) is not None:
            continue
        try:
            found.setdefault(to_ascii(link.host_ascii or ""), link)
        except BadName:
            continue  # links/dangerous-url tells of it
    return found


@fact
async def link_hosts(links: Links, dns: Dns) -> LinkHosts:
    """Ask for the addresses of all hosts side by side."""
    hosts = list(askable(links.each))
    asked = hosts[:MAX_HOSTS]
    states = await side_by_side(*(_state(dns, host) for host in asked))
    return LinkHosts(dict(zip(asked, states, strict=True)), len(hosts) - len(asked))


async def _state(dns: Dns, host: str) -> Host | Unavailable:
    answers = await ask_about(dns, host, ("A", "AAAA"))
    found = addresses(host, answers["A"], answers["AAAA"])
    if isinstance(found, Unavailable):
        # NXDOMAIN holds for every type (RFC 8020), so one such answer is enough.
        gone = any(isinstance(answer, NoSuchName) for answer in answers.values())
        return Host.NOT_FOUND if gone else found
    if not found:
        gone = all(isinstance(answer, NoSuchName) for answer in answers.values() if not isinstance(answer, Failed))
        return Host.NOT_FOUND if gone else Host.NO_ADDRESS
    return Host.PRIVATE if all(map(is_private_address, found)) else Host.REACHABLE
