"""Whether the domain's zone is signed, as a validating name server sees it; for the report, since unsigned is no fault.

A zone whose signatures do not fit is the business of dns/server-failure: receivers that validate see it fail.
"""

from dataclasses import dataclass
from enum import StrEnum

from ..engine import fact, side_by_side
from ..model import Dns, Failed, Found, NotApplicable, Question, Unavailable
from ..records.names import parents, psl_organizational_domain
from .answers import is_bogus, no_answer
from .identity import FromDomain

_OWN = ("SOA", "MX", "A", "TXT")  # what a mail domain has of its own; an audit asks for these anyway


class DnssecState(StrEnum):
    """What a validating name server makes of a zone (RFC 4033 section 5: secure, insecure, bogus)."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    BOGUS = "bogus"


@dataclass(frozen=True, slots=True)
class Dnssec:
    """The state of the zone that a domain is in; `at` is the name whose records showed it."""

    domain: str
    result: DnssecState
    at: str


@dataclass(frozen=True, slots=True)
class ResolverValidates:
    """Whether the name server that is asked validates DNSSEC: without that nobody sets the AD bit here."""

    validates: bool


@fact
async def resolver_validates(dns: Dns) -> ResolverValidates:
    """Look at the AD bit of the root's SOA, which is signed since 2010, as the control. Unavailable without an answer."""
    control = await dns.ask("", "SOA")
    if isinstance(control, Failed):
        raise no_answer(Question("", "SOA"), control)
    return ResolverValidates(isinstance(control, Found) and control.authentic)


@fact
async def dnssec(sender: FromDomain, resolver: ResolverValidates | Unavailable, dns: Dns) -> Dnssec:
    """Look at the AD bit of what the domain has; that it is missing says something only where the control has it."""
    domain = sender.name
    organization = psl_organizational_domain(domain)
    above = [name for name in parents(domain) if name == organization or name.endswith(f".{organization}")]
    questions = [*(Question(domain, kind) for kind in _OWN), *(Question(name, "SOA") for name in above)]
    answers = await side_by_side(*(dns.ask(question.name, question.type) for question in questions))
    asked = list(zip(questions, answers, strict=True))
    if bogus := next((question for question, answer in asked if is_bogus(answer)), None):
        return Dnssec(domain, DnssecState.BOGUS, bogus.name)
    # Behind an alias the AD bit is also about the zone it leads to (RFC 4035 section 3.2.3)
    found = next(((question, answer) for question, answer in asked if isinstance(answer, Found) and not answer.aliases), None)
    if found is None:
        failed = next(((question, answer) for question, answer in asked if isinstance(answer, Failed)), None)
        if failed is not None:
            raise no_answer(*failed)
        raise NotApplicable(f"{domain} has no records")
    question, answer = found
    if answer.authentic:
        return Dnssec(domain, DnssecState.SIGNED, question.name)
    if isinstance(resolver, Unavailable):
        raise resolver
    if not resolver.validates:
        raise Unavailable("the name server that was asked does not validate DNSSEC")
    delegated = await dns.ask(question.name, "DS")
    if isinstance(delegated, Found):  # out of a zone file, or signed in a way that the resolver does not know
        raise Unavailable(f"{question.name} has a DS record, and nobody vouches for these answers")
    return Dnssec(domain, DnssecState.UNSIGNED, question.name)
