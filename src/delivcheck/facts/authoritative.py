"""What each name server of the zones says of the records that mail hangs on, asked one by one; only if the user says so.

A resolver shows one server's answer, and hides which. Servers that differ make mail pass at one receiver and fail at the next.
The servers are those that the zone names itself (NS); what the zone above delegates to is not looked at.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from ..engine import fact
from ..model import Answer, Authoritative, Dns, Failed, Found, NotApplicable, Question, Unavailable
from ..records.names import parents, psl_organizational_domain
from .answers import no_answer
from .dkim import DomainSelectors
from .dmarc_discovery import DmarcDiscovery
from .identity import FromDomain, SenderDomains

MAX_SERVERS = 13  # of one zone; as many as the root has, RFC 1034 asks for two and registries take up to 13
MAX_KEYS = 10  # DKIM selectors asked about; a domain of several senders has some three to six


@dataclass(frozen=True, slots=True)
class MailRecords:
    """The records that mail hangs on, and what each is for: "SPF", "MX", "DMARC", "DKIM"."""

    wanted: Mapping[Question, str]


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone and the host names of its servers, sorted."""

    name: str
    servers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Served:
    """One question and each server's own answer to it. `what` says what the record is for, as in `MailRecords`, or "SOA"."""

    what: str
    question: Question
    zone: Zone
    answers: tuple[tuple[str, Answer], ...]


@dataclass(frozen=True, slots=True)
class ServedRecords:
    """All records, and the names whose zone could not be found out."""

    each: tuple[Served, ...]
    unknown: tuple[Unavailable, ...] = ()

    @property
    def by_server(self) -> dict[tuple[str, str], list[tuple[Question, Answer]]]:
        """What every server said, by zone and host name."""
        said: dict[tuple[str, str], list[tuple[Question, Answer]]] = {}
        for one in self.each:
            for server, answer in one.answers:
                said.setdefault((one.zone.name, server), []).append((one.question, answer))
        return said


async def zone_of(dns: Dns, name: str) -> Zone:
    """The zone that a name is in, by the NS records at it or nearest above it. Raises Unavailable, NotApplicable."""
    organization = psl_organizational_domain(name)
    above = [one for one in parents(name) if one == organization or one.endswith(f".{organization}")]
    names = [name, *above]
    for candidate, answer in zip(names, await asyncio.gather(*(dns.ask(one, "NS") for one in names)), strict=True):
        if isinstance(answer, Failed):
            raise no_answer(Question(candidate, "NS"), answer)
        if isinstance(answer, Found) and not answer.aliases:  # the servers of an alias's target are not ours
            return Zone(candidate, tuple(sorted(answer.records)[:MAX_SERVERS]))
    raise NotApplicable(f"no zone with name servers was found for {name}")


@fact
async def served_records(records: MailRecords, dns: Dns, authoritative: Authoritative) -> ServedRecords:
    """Find the zone of each record, then ask all its servers at once."""
    wanted = dict(records.wanted)
    names = list(dict.fromkeys(question.name for question in wanted))
    zones: dict[str, Zone | Unavailable] = {}
    found = await asyncio.gather(*(zone_of(dns, name) for name in names), return_exceptions=True)
    for name, zone in zip(names, found, strict=True):
        if isinstance(zone, (Zone, Unavailable)):
            zones[name] = zone
        elif not isinstance(zone, NotApplicable):
            raise zone
    if not zones:
        raise NotApplicable(f"no zone with name servers was found for {names[0]}")
    for one in dict.fromkeys(zone for zone in zones.values() if isinstance(zone, Zone)):
        wanted[Question(one.name, "SOA")] = "SOA"
        zones[one.name] = one

    async def ask(what: str, question: Question, zone: Zone) -> Served:
        asked = (authoritative.ask_at(server, question.name, question.type) for server in zone.servers)
        return Served(what, question, zone, tuple(zip(zone.servers, await asyncio.gather(*asked), strict=True)))

    known = [(what, question, zones.get(question.name)) for question, what in wanted.items()]
    each = await asyncio.gather(*(ask(what, question, zone) for what, question, zone in known if isinstance(zone, Zone)))
    return ServedRecords(tuple(each), tuple(one for one in zones.values() if isinstance(one, Unavailable)))


@fact
def mail_records(
    sender: FromDomain,
    senders: SenderDomains,
    selectors: DomainSelectors | Unavailable | NotApplicable,
    dmarc: DmarcDiscovery | Unavailable | NotApplicable,
) -> MailRecords:
    """Name the records of the From and MAIL FROM domains and of the selectors that are known."""
    wanted = {Question(name, kind): what for name in senders.roles for kind, what in (("TXT", "SPF"), ("MX", "MX"))}
    at = dmarc.found_at if isinstance(dmarc, DmarcDiscovery) else None
    wanted[Question(f"_dmarc.{at or sender.name}", "TXT")] = "DMARC"
    if isinstance(selectors, DomainSelectors):
        for selector, domain in list(selectors.keys)[:MAX_KEYS]:
            wanted[Question(f"{selector}._domainkey.{domain}", "TXT")] = "DKIM"
    return MailRecords(wanted)
