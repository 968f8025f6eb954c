"""At which mailbox provider each recipient is: by domain where the provider's table names it, else by MX."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from .. import rulefiles
from ..engine import fact, side_by_side
from ..model import Dns, Failed, Found, Question, Unavailable
from ..records.names import BadName, to_ascii
from .answers import no_answer
from .roots import Envelope

MAX_DOMAINS = (
    20  # recipient domains whose MX is asked; one transaction of our gate has one next hop, a campaign is not one envelope
)


@dataclass(frozen=True, slots=True)
class RecipientProviders:
    """The provider of each recipient domain, by the name of its table; None: one that no table is about.

    `own` are the providers met at domains of their own; the others only host the domain (Google Workspace, Microsoft 365).
    """

    by_domain: tuple[tuple[str, str | Unavailable | None], ...]
    own: frozenset[str]

    @property
    def found(self) -> tuple[str, ...]:
        """The providers that were found, in order."""
        return tuple(dict.fromkeys(provider for _, provider in self.by_domain if isinstance(provider, str)))

    @property
    def complete(self) -> bool:
        """Whether every recipient is at a provider that has a table: then nobody else's answers matter."""
        return bool(self.by_domain) and all(isinstance(provider, str) for _, provider in self.by_domain)


@lru_cache(maxsize=1)
def _tables() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The providers by their own domains, and by the domains of their mail servers."""
    raw = rulefiles.providers()
    own = {domain: name for name, table in raw.items() for domain in table["domains"]}
    return own, {domain: name for name, table in raw.items() for domain in table["mx"]}


def provider_of_host(host: str) -> str | None:
    """The provider a mail server belongs to: the table that names a domain at or above it."""
    servers = _tables()[1]
    labels = host.lower().split(".")
    return next((servers[name] for start in range(len(labels)) if (name := ".".join(labels[start:])) in servers), None)


def _domains(envelope: Envelope) -> list[str]:
    found: dict[str, None] = {}
    for address in envelope.rcpt_to:
        try:
            found[to_ascii(address.rpartition("@")[2])] = None
        except BadName:
            continue  # headers and envelope rules say what is wrong with an address
    return list(found)[:MAX_DOMAINS]


@fact
async def recipient_providers(envelope: Envelope, dns: Dns) -> RecipientProviders:
    """Ask the MX of every recipient domain that no table names, side by side."""
    own, _ = _tables()
    domains = _domains(envelope)
    asked = [domain for domain in domains if domain not in own]
    answers = dict(zip(asked, await side_by_side(*(dns.ask(domain, "MX") for domain in asked)), strict=True))
    found: dict[str, str | Unavailable | None] = {}
    for domain in domains:
        if domain in own:
            found[domain] = own[domain]
            continue
        answer = answers[domain]
        if isinstance(answer, Failed):
            found[domain] = no_answer(Question(domain, "MX"), answer)
        else:
            found[domain] = (
                _first(provider_of_host(host) for _, host in sorted(answer.records)) if isinstance(answer, Found) else None
            )
    return _made(found)


@fact
def recipient_providers_by_name(envelope: Envelope) -> RecipientProviders:
    """Without DNS: only what the tables name."""
    own, _ = _tables()
    unasked = Unavailable("the MX of the recipients was not asked")
    return _made({domain: own.get(domain, unasked) for domain in _domains(envelope)})


def _first(names: Iterable[str | None]) -> str | None:
    return next(filter(None, names), None)


def _made(found: Mapping[str, str | Unavailable | None]) -> RecipientProviders:
    own = frozenset(provider for domain, provider in found.items() if isinstance(provider, str) and domain in _tables()[0])
    return RecipientProviders(tuple(found.items()), own)
