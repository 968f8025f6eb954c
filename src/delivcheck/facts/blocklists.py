"""What block lists say of the sending address, the sender's domains and the hosts of links; asked only if the user says so.

A list is believed only after its control questions came out right (RFC 5782 section 5), so a refusal, a hijacking name server
or a list that has been shut down is unknown, and never "not listed".
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ..engine import fact
from ..model import Answer, Dns, Failed, Found, IPAddress, NotApplicable, Question, Unavailable, Where
from ..records.blocklists import CLEAN, CLEAN_IP, TEST_IP, BlockList, BlockListError, Listing, known, label_of, read
from ..records.names import BadName, psl_organizational_domain, to_ascii, unmapped
from ..records.networks import is_private_address
from .answers import no_answer
from .dkim import DkimSignatures
from .identity import SenderDomains, SendingHost
from .link_hosts import MAX_HOSTS, askable
from .message import Links
from .roots import BlockLists

MAX_LISTS = 20  # zones asked; SpamAssassin 4 asks about as many
_TEST_V6, _CLEAN_V6 = (f"{last}.0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20 for last in "21")  # RFC 5782 section 5, ::FFFF:7F00:2


@dataclass(frozen=True, slots=True)
class AskedList:
    """One list and whether it can be asked about addresses and about domains: its control questions came out right."""

    list: BlockList
    ips: bool | Unavailable
    domains: bool | Unavailable

    @property
    def unavailable(self) -> Unavailable | None:
        """Why it cannot be asked at all."""
        found = [one for one in (self.ips, self.domains) if isinstance(one, Unavailable)]
        return found[0] if found and True not in (self.ips, self.domains) else None


@dataclass(frozen=True, slots=True)
class AskedLists:
    """The lists that the user asked for."""

    each: tuple[AskedList, ...]


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing looked up in one list. `listed` is empty when it is not listed; `at` the place in DNS."""

    list: BlockList
    what: str
    listed: tuple[Listing, ...] | Unavailable
    at: Where


@dataclass(frozen=True, slots=True)
class IpListings:
    """The sending address in each list of addresses."""

    ip: IPAddress
    each: tuple[Looked, ...]


@dataclass(frozen=True, slots=True)
class SenderNames:
    """The names that a receiver sees of the sender, as A-labels, and what each of them is."""

    roles: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DomainListings:
    """The sender's domains in each list of domains."""

    names: SenderNames
    each: tuple[Looked, ...]


@dataclass(frozen=True, slots=True)
class LinkListings:
    """The hosts of links, and their organizational domains, in each list of domains; `left_out` were too many to ask about."""

    each: tuple[Looked, ...]
    left_out: int = 0


# --- control questions -------------------------------------------------------------------------------------------


@fact
async def asked_lists(wanted: BlockLists, dns: Dns) -> AskedLists:
    """Ask every list its control questions, side by side."""
    zones = dict.fromkeys(wanted.zones)
    return AskedLists(tuple(await asyncio.gather(*(_control(dns, known(zone)) for zone in list(zones)[:MAX_LISTS]))))


async def _control(dns: Dns, one: BlockList) -> AskedList:
    ips, domains = await asyncio.gather(
        _believed(dns, one, (TEST_IP,), CLEAN_IP) if one.ips is not False else _no(),
        _believed(dns, one, one.tests, CLEAN) if one.domains is not False else _no(),
    )
    if ips is False and domains is False:  # it answers, and has neither of the entries that every list has
        silent = Unavailable(f"{one.name} does not list its test entry, so it lists nothing or is not open to us", _at(one))
        return AskedList(one, silent, silent)
    return AskedList(one, ips, domains)


async def _no() -> bool:
    return False


async def _believed(dns: Dns, one: BlockList, tests: tuple[str, ...], clean: str) -> bool | Unavailable:
    """Whether one of the test entries is listed and the clean one is not; Unavailable for a list that cannot be believed."""
    *tested, never = await asyncio.gather(*(dns.ask(one.question(label), "A") for label in (*tests, clean)))
    try:
        if _read(one, never):
            return Unavailable(f"{one.name} lists {clean}, which no list may, so it lists everything", _at(one))
        if any(_read(one, answer) for answer in tested):
            return True
    except BlockListError as error:
        return Unavailable(f"{one.name} {error}", _at(one))
    for label, answer in zip((*tests, clean), (*tested, never), strict=True):
        if isinstance(answer, Failed):
            return no_answer(Question(one.shown(label), "A"), answer)
    return False


def _read(one: BlockList, answer: Answer) -> tuple[Listing, ...]:
    return read(one, answer.records) if isinstance(answer, Found) else ()


def _at(one: BlockList) -> Where:
    return Where(name=one.name, type="A")


# --- what they list ----------------------------------------------------------------------------------------------


@fact
async def ip_listings(host: SendingHost, lists: AskedLists, dns: Dns) -> IpListings:
    """Ask about the sending address."""
    ip = unmapped(host.ip)
    if is_private_address(ip):
        raise NotApplicable(f"{ip} is a private address, which no block list has")
    states = [one for one in lists.each if one.ips is not False and (ip.version == 4 or one.list.ipv6 is not False)]
    if not states:
        raise NotApplicable("none of the block lists asked for lists such addresses")
    looked = await asyncio.gather(*(_ip(dns, one, ip) for one in states))
    return IpListings(ip, tuple(looked))


async def _ip(dns: Dns, state: AskedList, ip: IPAddress) -> Looked:
    believed = state.ips
    if ip.version == 6 and state.list.ipv6 is None and believed is True:
        believed = await _believed(dns, state.list, (_TEST_V6,), _CLEAN_V6)
        if believed is False:
            believed = Unavailable(f"{state.list.name} does not list its IPv6 test entry", _at(state.list))
    return await _look(dns, state.list, believed, label_of(ip), str(ip))


@fact
def sender_names(
    senders: SenderDomains | NotApplicable | Unavailable,
    signatures: DkimSignatures | NotApplicable | Unavailable,
    host: SendingHost | NotApplicable | Unavailable,
) -> SenderNames:
    """The From domain, MAIL FROM's, those that sign and the EHLO name, then the organizational domains of all of them."""
    roles = dict(senders.roles) if isinstance(senders, SenderDomains) else {}
    if isinstance(signatures, DkimSignatures):
        for _, signature in signatures.readable:
            roles.setdefault(signature.domain, "the signing domain")
    if isinstance(host, SendingHost) and host.ehlo is not None:
        with suppress(BadName):  # dns/bad-ehlo tells of it
            roles.setdefault(to_ascii(host.ehlo), "the EHLO name")
    if not roles:
        raise NotApplicable("no domain of the sender is known")
    for name, role in list(roles.items()):
        roles.setdefault(psl_organizational_domain(name), f"the organizational domain of {role}")
    return SenderNames(roles)


@fact
async def domain_listings(names: SenderNames, lists: AskedLists, dns: Dns) -> DomainListings:
    """Ask about all of them."""
    return DomainListings(names, await _domains(dns, lists, names.roles))


@fact
async def link_listings(links: Links, lists: AskedLists, dns: Dns) -> LinkListings:
    """Ask about the hosts of links and their organizational domains."""
    hosts = list(askable(links.each))
    if not hosts:
        raise NotApplicable("the message links to no host that can be asked about")
    asked = hosts[:MAX_HOSTS]
    names = dict.fromkeys(name for host in asked for name in (host, psl_organizational_domain(host)))
    return LinkListings(await _domains(dns, lists, names), len(hosts) - len(asked))


async def _domains(dns: Dns, lists: AskedLists, names: Iterable[str]) -> tuple[Looked, ...]:
    states = [one for one in lists.each if one.domains is not False]
    if not states:
        raise NotApplicable("none of the block lists asked for lists domains")
    return tuple(await asyncio.gather(*(_look(dns, one.list, one.domains, name, name) for one in states for name in names)))


async def _look(dns: Dns, one: BlockList, believed: bool | Unavailable, label: str, what: str) -> Looked:
    at = Where(name=one.shown(label), type="A")
    if isinstance(believed, Unavailable):
        return Looked(one, what, believed, at)
    answer = await dns.ask(one.question(label), "A")
    if isinstance(answer, Failed):
        return Looked(one, what, no_answer(Question(one.shown(label), "A"), answer), at)
    try:
        listed = _read(one, answer)
    except BlockListError as error:
        return Looked(one, what, Unavailable(f"{one.name} {error}", at), at)
    return Looked(one, what, listed, Where(name=at.name, type=at.type, record=listed[0].code) if listed else at)
