"""Rules about names and addresses: the sender's domains, the sending address, the EHLO name.

What concerns the sending address is judged only where it is known (a session, `--ip`); `facts/hosts.py` says why MX hosts are
not looked up in reverse.
"""

import re
from ipaddress import IPv4Address

from ..engine import rule
from ..facts.answers import is_bogus, no_answer, proves_name
from ..facts.hosts import Ehlo, MailHosts, MxHost, ReverseDns
from ..facts.identity import SendingHost
from ..facts.operator_site import OperatorSite
from ..facts.own_domains import OwnDomains
from ..facts.wildcards import Aliases, Wildcards
from ..model import (
    Failed,
    Failure,
    Findings,
    IPAddress,
    Level,
    NoSuchName,
    NotApplicable,
    ProbeFailed,
    Problem,
    Question,
    Unavailable,
    Undetermined,
    Where,
)
from ..records.names import unmapped
from ..records.networks import is_private_address

# The catalogue's words; SpamAssassin's RDNS_DYNAMIC looks for the same kind of names
_DYNAMIC = re.compile(
    r"(?:^|[.-])(dyn|dynamic|dhcp|dsl|adsl|ppp|pool|dial|cable|cust|client|unassigned|ip)(?=[.-]|[0-9])", re.IGNORECASE
)
_NUMBER = re.compile(r"(?<!\d)\d{1,3}(?!\d)")
_PARTED = re.compile(r"[.-]")


# --- domains -----------------------------------------------------------------------------------------------------


@rule("dns/no-such-domain")
def no_such_domain(hosts: MailHosts) -> Findings:
    for what, one in hosts.domains:
        if one.null_mx:
            continue  # dns/null-mx
        where = Where(name=one.domain, type="MX")
        if isinstance(one.exists, Unavailable):
            yield Undetermined(one.exists.reason, one.exists.where)
        elif not one.exists:
            yield Problem(f"{what} {one.domain} does not exist", where)
        elif isinstance(one.receives, Unavailable):
            yield Undetermined(one.receives.reason, one.receives.where)
        elif not one.receives:
            lacking = "no MX host that has an address" if one.mx else "neither MX nor address"
            yield Problem(f"{what} {one.domain} has {lacking}, so nobody can answer it or bounce mail to it", where)


@rule("dns/null-mx")
def null_mx(hosts: MailHosts) -> Findings:
    for what, one in hosts.domains:
        if one.null_mx:
            where = Where(name=one.domain, type="MX", record="0 .", span=(0, 3))
            yield Problem(f"{what} {one.domain} declares that it takes no mail (null MX)", where)
        elif isinstance(failure := one.answers["MX"], Failed):
            yield _unanswered(one.domain, "MX", failure)


def _unanswered(domain: str, kind: str, failure: Failed) -> Undetermined:
    why = no_answer(Question(domain, kind), failure)
    return Undetermined(why.reason, why.where)


@rule("dns/no-soa")
def no_soa(hosts: MailHosts) -> Findings:
    for what, one in hosts.domains:
        answer = one.answers["SOA"]
        if isinstance(answer, Failed):
            yield _unanswered(one.domain, "SOA", answer)
        elif isinstance(answer, NoSuchName) and one.exists is True:
            # NODATA is right below a zone's apex: its SOA then stands in the authority section (catalogue T071)
            there = next(kind for kind, other in one.answers.items() if proves_name(other))
            yield Problem(
                f"{what} {one.domain} exists for {there} and is denied for SOA (NXDOMAIN)", Where(name=one.domain, type="SOA")
            )


@rule("dns/bad-mx")
def bad_mx(hosts: MailHosts) -> Findings:
    for _, one in hosts.domains:
        mx = one.answers["MX"]
        if isinstance(mx, Failed):
            yield _unanswered(one.domain, "MX", mx)
        for host in one.mx:
            record = f"{host.preference} {host.name or '.'}"
            where = Where(name=one.domain, type="MX", record=record, span=(len(record) - len(host.name or "."), len(record)))
            if isinstance(host.addresses, Unavailable):
                yield Undetermined(host.addresses.reason, host.addresses.where)
            elif fault := _mx_fault(host, host.addresses):
                yield Problem(f"the MX of {one.domain} {fault}", where)


def _mx_fault(host: MxHost, addresses: tuple[IPAddress, ...]) -> str | None:
    """What RFC 5321 section 5.1 and RFC 2181 section 10.3 forbid, or what leads nowhere."""
    if host.literal:
        return f"is the address {host.name}, where a host name must stand"
    if not host.name:
        return "is the root (null MX) beside others"
    if host.aliases:
        return f"{host.name} is an alias of {host.aliases[-1]}"
    if not addresses:
        return f"{host.name} has no address"
    if all(map(is_private_address, addresses)):
        return f"{host.name} has only private addresses: {', '.join(str(address) for address in addresses[:3])}"
    return None


@rule("dns/server-failure")
def server_failure(hosts: MailHosts) -> Findings:
    for what, one in hosts.domains:
        bogus = next((kind for kind, answer in one.answers.items() if is_bogus(answer)), None)
        if bogus:
            yield Problem(
                f"DNSSEC of {what} {one.domain} does not validate, so its records cannot be read",
                Where(name=one.domain, type=bogus),
            )
            continue
        failed = [answer for answer in one.answers.values() if isinstance(answer, Failed)]
        if len(failed) < len(one.answers):
            continue  # the servers work; a question that failed is unknown to whoever needs its answer
        where = Where(name=one.domain, type="SOA")
        if all(answer.kind is Failure.SERVFAIL for answer in failed) and not isinstance(one.parent, Failed):
            # A resolver that answers for the zone above and fails for every question here has found no server that works
            yield Problem(f"every question about {what} {one.domain} fails (SERVFAIL), while the zone above it answers", where)
        else:
            yield Undetermined(f"no question about {one.domain} was answered: {failed[0]}", where)


# --- the host that sends -----------------------------------------------------------------------------------------


@rule("dns/no-ptr")
def no_ptr(reverse: ReverseDns) -> Findings:
    if not reverse.names:
        kind = "IPv6 address" if reverse.ip.version == 6 else "address"  # Gmail has an answer of its own for IPv6
        yield Problem(f"the sending {kind} {reverse.ip} has no host name (PTR)", Where(name=reverse.question.name, type="PTR"))


@rule("dns/ptr-not-confirmed")
def ptr_not_confirmed(reverse: ReverseDns) -> Findings:
    names = _named(reverse)
    confirmed = reverse.confirmed
    if isinstance(confirmed, Unavailable):
        yield Undetermined(confirmed.reason, confirmed.where)
    elif not confirmed:
        kind = "A" if reverse.ip.version == 4 else "AAAA"
        told = "; ".join(
            f"{one.name} has {', '.join(str(address) for address in one.addresses[:3]) or f'no {kind} record'}"
            for one in reverse.names
        )
        first = reverse.names[0].name
        where = Where(name=reverse.question.name, type="PTR", record=first, span=(0, len(first)))
        yield Problem(f"no host name of {reverse.ip} leads back to it: {told}", where, fix=f"{first}. {kind} {names}")


def _named(reverse: ReverseDns) -> str:
    """The address, as a record has it. NotApplicable where it has no name: dns/no-ptr says so."""
    if not reverse.names:
        raise NotApplicable("the sending address has no PTR")
    return str(reverse.ip)


@rule("dns/generic-ptr")
def generic_ptr(reverse: ReverseDns, ours: OwnDomains) -> Findings:
    _named(reverse)
    faults = {}
    for one in reverse.names:
        if ours.has(one.name):
            return  # a name of our own says who sends
        faults[one.name] = _generic(one.name, reverse.ip)
    if all(faults.values()):
        name, why = next(iter(faults.items()))
        where = Where(name=reverse.question.name, type="PTR", record=name, span=(0, len(name)))
        yield Problem(f"the host name {name} of {reverse.ip} {why}, as of a customer's line", where)


def _generic(name: str, ip: IPAddress) -> str | None:
    """Why a host name looks like one given out by number: it spells the address, or says that it is dynamic."""
    if _spells(name, ip):
        return "spells the address"
    word = _DYNAMIC.search(name)
    return f"has the word “{word[1]}”" if word else None


def _spells(name: str, ip: IPAddress) -> bool:
    """Whether the address stands in the name: its octets in any order or in one piece; half of an IPv6 address will do."""
    joined = _PARTED.sub("", name)
    if not isinstance(ip, IPv4Address):
        digits = ip.exploded.replace(":", "")
        return digits[:16] in joined or digits[16:] in joined or ip.compressed.replace(":", "-") in name
    numbers = [int(text) for text in _NUMBER.findall(name)]
    windows = zip(numbers, numbers[1:], numbers[2:], numbers[3:], strict=False)
    in_one_piece = (ip.packed.hex(), "".join(f"{octet:03}" for octet in ip.packed))
    return any(sorted(window) == sorted(ip.packed) for window in windows) or any(piece in joined for piece in in_one_piece)


@rule("dns/bad-ehlo")
def bad_ehlo(ehlo: Ehlo) -> Findings:
    if ehlo.fault is not None:
        yield Problem(f"the EHLO name “{ehlo.name}” is no public host name: {ehlo.fault}")
    elif ehlo.literal is not None:
        # legal where a host has no name (RFC 5321 section 4.1.4), and GMX and T-Online ask for a name
        yield Problem(f"the EHLO name is the address {ehlo.name} and no host name", level=Level.WARNING)
    elif isinstance(ehlo.addresses, Unavailable):
        yield Undetermined(ehlo.addresses.reason, ehlo.addresses.where)
    elif not ehlo.addresses:
        yield Problem(f"the EHLO name {ehlo.name} has no address", Where(name=ehlo.name, type="A"))


@rule("dns/names-disagree")
def names_disagree(ehlo: Ehlo, reverse: ReverseDns, host: SendingHost) -> Findings:
    if ehlo.fault is not None or ehlo.literal is not None:
        raise NotApplicable("the EHLO name is no public host name")
    ip, name = unmapped(host.ip), ehlo.name.lower().rstrip(".")
    if isinstance(ehlo.addresses, Unavailable):
        yield Undetermined(ehlo.addresses.reason, ehlo.addresses.where)
    elif ehlo.addresses and ip not in ehlo.addresses:
        yield Problem(
            f"the EHLO name {name} leads to {ehlo.addresses[0]} and not to the sending address {ip}", Where(name=name, type="A")
        )
    if reverse.names and name not in {one.name for one in reverse.names}:
        where = Where(name=reverse.question.name, type="PTR", record=reverse.names[0].name)
        yield Problem(f"the EHLO name {name} is not the PTR name {reverse.names[0].name} of {ip}", where)


# --- who runs the host -------------------------------------------------------------------------------------------


@rule("dns/operator-unknown")
def operator_unknown(reverse: ReverseDns, site: OperatorSite) -> Findings:
    where = Where(name=reverse.question.name, type="PTR")
    if not site.pages:
        yield Problem(f"{reverse.ip} has no host name under which a web site could say who runs it", where)
        return
    if site.telling:
        return
    failed = [f"{url}: {answer}" for url, answer in site.pages if isinstance(answer, ProbeFailed) and not answer.is_evidence]
    if failed:
        yield Undetermined(failed[0], where)
        return
    seen = ", ".join(url for url, _ in site.pages)
    yield Problem(f"no web page with an imprint or a contact under the host's names ({seen})", where)


# --- wildcards and aliases ---------------------------------------------------------------------------------------


@rule("dns/wildcard-txt")
def wildcard_txt(found: Wildcards) -> Findings:
    for one in found.each:
        where = Where(name=one.name, type="TXT")
        if isinstance(one.texts, Unavailable):
            yield Undetermined(one.texts.reason, where)
        elif one.texts:
            shown = one.texts[0] if len(one.texts[0]) <= _LONGEST_TXT else one.texts[0][:_LONGEST_TXT] + "…"
            yield Problem(
                f"a name that nobody made has a TXT record: a wildcard answers below {one.below}",
                Where(name=one.name, type="TXT", record=shown),
            )


_LONGEST_TXT = 255  # characters of a record in the place of a problem: one character-string


@rule("dns/alias-with-other-data")
def alias_with_other_data(found: Aliases) -> Findings:
    for one in found.each:
        where = Where(name=one.domain, type="CNAME")
        if isinstance(one.target, Unavailable):
            yield Undetermined(one.target.reason, where)
        elif one.target is not None and one.beside:
            # RFC 1034 section 3.6.2, RFC 2181 section 10.1: a name with a CNAME has no other data
            yield Problem(
                f"{one.domain} is an alias of {one.target} and has records of its own ({', '.join(one.beside)})", where
            )
