"""The mail servers of the recipients' domains, and what they say in their greeting."""

import asyncio
from dataclasses import dataclass

from ..engine import fact
from ..model import Dns, Failed, Found, Probe, ProbeFailed, Question, SmtpAnswer
from ..records.names import BadName, to_ascii
from .answers import is_null_mx, no_answer
from .roots import Envelope

MAX_DOMAINS = 5  # recipient domains greeted for one message; every greeting is a connection to somebody else's server


@dataclass(frozen=True, slots=True)
class RecipientServers:
    """Domain, its first MX host (or the domain itself, RFC 5321 section 5.1), and what that host said."""

    each: tuple[tuple[str, str, SmtpAnswer | ProbeFailed], ...]


@fact
async def recipient_servers(envelope: Envelope, dns: Dns, probe: Probe) -> RecipientServers:
    """Greet the first MX host of each recipient domain, side by side."""
    domains: dict[str, None] = {}
    for address in envelope.rcpt_to:
        try:
            domains[to_ascii(address.rpartition("@")[2])] = None
        except BadName:
            continue  # other rules tell of broken addresses
    wanted = list(domains)[:MAX_DOMAINS]
    hosts = [
        (domain, host)
        for domain, host in zip(wanted, await asyncio.gather(*(_first(dns, one) for one in wanted)), strict=True)
        if host
    ]
    answers = await asyncio.gather(*(probe.smtp(host) for _, host in hosts))
    return RecipientServers(tuple((domain, host, answer) for (domain, host), answer in zip(hosts, answers, strict=True)))


async def _first(dns: Dns, domain: str) -> str:
    """The host to speak to; "" for a domain that takes no mail (RFC 7505)."""
    answer = await dns.ask(domain, "MX")
    if isinstance(answer, Failed):
        raise no_answer(Question(domain, "MX"), answer)
    if is_null_mx(answer):
        return ""
    return str(min(answer.records)[1]) if isinstance(answer, Found) else domain
