"""Hosts behind the identities: where the sender's domains take mail, and what the sending address and EHLO name say.

Four facts, unknown item by item: `MxNames` (the hosts that take mail for the From domain), `MailHosts` (MX of the From and
MAIL FROM domains), `ReverseDns` (PTR names of the sending address, and whether each leads back) and `Ehlo`.

The addresses of MX hosts are not looked up in reverse. Receivers ask for the PTR of the host that sends; an MX host takes mail
in, is often a provider's, and need not be where mail leaves. A finding about its PTR would send people to repair what nobody
looks at. The outgoing address is known only from a session (`--ip`, the gate): there reverse DNS is judged, and nowhere else.
"""

import ipaddress
from dataclasses import dataclass

from ..engine import fact, side_by_side
from ..model import Answer, Dns, Failed, Found, IPAddress, NoData, NotApplicable, Question, Unavailable
from ..records.names import BadName, is_hostname, parents, reverse_name, to_ascii, unmapped
from .answers import addresses, ask_about, is_null_mx, no_answer, proves_name, takes_mail
from .identity import FromDomain, SenderDomains, SendingHost
from .reserved import reserved_top

MAX_PTR_NAMES = 10  # RFC 7208 section 5.5: "at most 10" names of an address are looked at
MAX_MX_HOSTS = 20  # RFC 7208 section 4.6.4 gives up after ten of one domain; twice that leaves room for the odd large site


# --- domains that receive ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MxNames:
    """The host names of the From domain's MX records, the preferred first; empty without any, and for a null MX (RFC 7505)."""

    domain: str
    names: tuple[str, ...]


@fact
async def mx_names(sender: FromDomain, dns: Dns) -> MxNames:
    """Ask for the MX. Unavailable when it was not answered."""
    answer = await dns.ask(sender.name, "MX")
    if isinstance(answer, Failed):
        raise no_answer(Question(sender.name, "MX"), answer)
    records = sorted(answer.records)[:MAX_MX_HOSTS] if isinstance(answer, Found) else []
    return MxNames(sender.name, tuple(host for _, host in records if host))


@dataclass(frozen=True, slots=True)
class MxHost:
    """One MX of a domain. `aliases`: it is a CNAME and leads there. `literal`: an IP address stands where a name belongs."""

    preference: int
    name: str
    addresses: tuple[IPAddress, ...] | Unavailable
    aliases: tuple[str, ...] = ()
    literal: bool = False


@dataclass(frozen=True, slots=True)
class MailDomain:
    """Whether and where a domain takes mail (RFC 5321 section 5.1).

    `answers` are those to MX, A, AAAA and SOA, by type, `parent` that to SOA one label up. `mx` is empty when there is none:
    then the domain's own addresses take mail. `null_mx`: it says that it takes none (RFC 7505).
    """

    domain: str
    answers: dict[str, Answer]
    parent: Answer
    mx: tuple[MxHost, ...] = ()
    null_mx: bool = False

    @property
    def exists(self) -> bool | Unavailable:
        """Whether the name exists: what one type proves, no other can deny."""
        proofs = [proves_name(answer) for answer in self.answers.values()]
        if True in proofs:
            return True
        return False if False in proofs else _unanswered(self.domain, self.answers)

    @property
    def receives(self) -> bool | Unavailable:
        """Whether mail can be delivered; an MX whose hosts have no address counts as none."""
        if not self.mx:
            return takes_mail(self.domain, self.answers)
        if any(host.addresses for host in self.mx if not isinstance(host.addresses, Unavailable)):
            return True
        return next((host.addresses for host in self.mx if isinstance(host.addresses, Unavailable)), False)


@dataclass(frozen=True, slots=True)
class MailHosts:
    """Those of `SenderDomains`: (what it is, the domain)."""

    domains: tuple[tuple[str, MailDomain], ...]

    def of(self, domain: str) -> MailDomain:
        """The one of a name; KeyError for a domain that is none of them."""
        return {one.domain: one for _, one in self.domains}[domain]


def _unanswered(domain: str, answers: dict[str, Answer]) -> Unavailable:
    kind, failure = next((kind, answer) for kind, answer in answers.items() if isinstance(answer, Failed))
    return no_answer(Question(domain, kind), failure)


@fact(steady=True)
async def mail_hosts(senders: SenderDomains, dns: Dns) -> MailHosts:
    """Ask about both domains, then about their MX hosts: two rounds."""
    found = await side_by_side(*(_mail_domain(dns, domain) for domain in senders.roles))
    return MailHosts(tuple(zip(senders.roles.values(), found, strict=True)))


async def _mail_domain(dns: Dns, domain: str) -> MailDomain:
    above = parents(domain)
    answers, parent = await side_by_side(
        ask_about(dns, domain, ("MX", "A", "AAAA", "SOA")), dns.ask(above[0] if above else "", "SOA")
    )
    mx = answers["MX"]
    if not isinstance(mx, Found) or is_null_mx(mx):
        return MailDomain(domain, answers, parent, null_mx=is_null_mx(mx))
    hosts = await side_by_side(*(_mx_host(dns, preference, name) for preference, name in sorted(mx.records)[:MAX_MX_HOSTS]))
    return MailDomain(domain, answers, parent, tuple(hosts))


async def _mx_host(dns: Dns, preference: int, name: str) -> MxHost:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        pass
    else:  # "MX 10 192.0.2.1" makes a name of four labels that cannot exist
        return MxHost(preference, name, (), literal=True)
    if not name:  # a null MX beside others, which RFC 7505 section 3 forbids
        return MxHost(preference, name, ())
    answers = await ask_about(dns, name, ("A", "AAAA"))
    aliases = next((answer.aliases for answer in answers.values() if not isinstance(answer, Failed) and answer.aliases), ())
    return MxHost(preference, name, addresses(name, answers["A"], answers["AAAA"]), aliases)


# --- the host that sends -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PtrName:
    """One PTR name of the sending address. `confirmed`: its A (for IPv4) or AAAA records have the address."""

    name: str
    confirmed: bool | Unavailable
    addresses: tuple[IPAddress, ...] = ()


@dataclass(frozen=True, slots=True)
class ReverseDns:
    """The PTR names of the sending address; `question` is where they were asked for. Empty: it has none."""

    ip: IPAddress
    question: Question
    names: tuple[PtrName, ...]

    @property
    def confirmed(self) -> bool | Unavailable:
        """Whether any name leads back to the address: one is enough, and one unknown is enough for not knowing."""
        if any(name.confirmed is True for name in self.names):
            return True
        return next((name.confirmed for name in self.names if isinstance(name.confirmed, Unavailable)), False)


@dataclass(frozen=True, slots=True)
class Ehlo:
    """The EHLO name as given. `fault`: why it is no public host name. `literal`: the address in square brackets that it is."""

    name: str
    addresses: tuple[IPAddress, ...] | Unavailable
    fault: str | None = None
    literal: IPAddress | None = None


@fact(steady=True)
async def reverse_dns(host: SendingHost, dns: Dns) -> ReverseDns:
    """Ask for the PTR names, then for the addresses of all of them at once. Unavailable when PTR was not answered."""
    ip = unmapped(host.ip)  # an IPv4-mapped address is IPv4 in every respect
    question = Question(reverse_name(ip), "PTR")
    answer = await dns.ask(question.name, question.type)
    if isinstance(answer, Failed):
        raise no_answer(question, answer)
    if not isinstance(answer, Found):
        return ReverseDns(ip, question, ())
    names = sorted(dict.fromkeys(answer.records))[:MAX_PTR_NAMES]
    return ReverseDns(ip, question, tuple(await side_by_side(*(_ptr_name(dns, ip, name) for name in names))))


async def _ptr_name(dns: Dns, ip: IPAddress, name: str) -> PtrName:
    """Compare parsed addresses: an IPv6 address has many spellings."""
    kind = "A" if ip.version == 4 else "AAAA"
    answer = await dns.ask(name, kind)
    if isinstance(answer, Failed):
        return PtrName(name, no_answer(Question(name, kind), answer))
    found = addresses(name, answer, NoData())
    assert not isinstance(found, Unavailable)
    return PtrName(name, ip in found, found)


@fact(steady=True)
async def ehlo_of_host(host: SendingHost, dns: Dns) -> Ehlo:
    """Read the EHLO name and look it up. NotApplicable when none was given."""
    if host.ehlo is None:
        raise NotApplicable("no EHLO name was given (--ehlo)")
    given = host.ehlo.strip()
    if given.startswith("[") and given.endswith("]"):
        try:
            return Ehlo(given, (), literal=ipaddress.ip_address(given[1:-1].removeprefix("IPv6:")))  # RFC 5321 section 4.1.3
        except ValueError:
            return Ehlo(given, (), "it is no address literal")
    fault, name = _ehlo_fault(given)
    if fault is not None:
        return Ehlo(given, (), fault)
    answers = await ask_about(dns, name, ("A", "AAAA"))
    return Ehlo(given, addresses(name, answers["A"], answers["AAAA"]))


def _ehlo_fault(given: str) -> tuple[str | None, str]:
    """Why a name cannot be a public host's (RFC 5321 sections 2.3.5 and 4.1.1.1), and its A-label form."""
    try:
        ipaddress.ip_address(given)
    except ValueError:
        pass
    else:
        return "it is an address without square brackets", given
    try:
        name = to_ascii(given)
    except BadName as error:
        return str(error), given
    if reserved_top(name) is not None:
        return "it is a name for private use", name
    if "." not in name:
        return "it has no domain", name
    if not is_hostname(name):
        return "it has characters that no host name has", name
    return None, name
