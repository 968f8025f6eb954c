"""Names that answer though nobody made them, and aliases that hide what stands beside them."""

from dataclasses import dataclass

from ..engine import fact, side_by_side
from ..model import Answer, Dns, Failed, Found, Question, Unavailable
from .answers import no_answer
from .dkim import CONTROL_SELECTOR
from .identity import FromDomain, SenderDomains

_OWN = ("SOA", "MX", "TXT")  # what a mail domain has of its own


@dataclass(frozen=True, slots=True)
class Probed:
    """A name that nobody makes, below the name at which a wildcard would stand, and the TXT records it has."""

    name: str
    below: str
    texts: tuple[str, ...] | Unavailable


@dataclass(frozen=True, slots=True)
class Wildcards:
    """The names probed, below each place where a record of the From domain stands."""

    spf: Probed
    dkim: Probed
    dmarc: Probed

    @property
    def each(self) -> tuple[Probed, ...]:
        """All of them."""
        return (self.spf, self.dkim, self.dmarc)


@dataclass(frozen=True, slots=True)
class Alias:
    """The CNAME target of a domain, None without one, and the types of records that the same name has beside it."""

    domain: str
    target: str | Unavailable | None
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Aliases:
    """Those of `SenderDomains`."""

    each: tuple[Alias, ...]


@fact
async def wildcards(sender: FromDomain, dns: Dns) -> Wildcards:
    """Ask for a name that nobody makes, at the three places where SPF, DKIM and DMARC records stand."""
    below = (sender.name, f"_domainkey.{sender.name}", f"_dmarc.{sender.name}")
    return Wildcards(*await side_by_side(*(_probed(dns, name) for name in below)))


async def _probed(dns: Dns, below: str) -> Probed:
    name = f"{CONTROL_SELECTOR}.{below}"
    answer = await dns.ask(name, "TXT")
    if isinstance(answer, Failed):
        return Probed(name, below, no_answer(Question(name, "TXT"), answer))
    texts = tuple(b"".join(record).decode("utf-8", "replace") for record in answer.records) if isinstance(answer, Found) else ()
    return Probed(name, below, texts)


@fact(steady=True)
async def aliases(senders: SenderDomains, dns: Dns) -> Aliases:
    """Ask for the CNAME of both domains, and for what else is there."""
    return Aliases(tuple(await side_by_side(*(_alias(dns, domain) for domain in senders.roles))))


async def _alias(dns: Dns, domain: str) -> Alias:
    cname, *others = await side_by_side(*(dns.ask(domain, kind) for kind in ("CNAME", *_OWN)))
    if isinstance(cname, Failed):
        return Alias(domain, no_answer(Question(domain, "CNAME"), cname))
    if not isinstance(cname, Found):
        return Alias(domain, None)
    beside = tuple(kind for kind, answer in zip(_OWN, others, strict=True) if _of_its_own(answer))
    return Alias(domain, str(cname.records[0]), beside)


def _of_its_own(answer: Answer) -> bool:
    """Whether records were found at the very name, not at the target of its alias."""
    return isinstance(answer, Found) and not answer.aliases
