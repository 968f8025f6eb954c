"""Which DMARC record applies to the author domain: the tree walk asked at once, and what RFC 9989 section 4.10.1 makes of it.

All names of a walk are asked at the same time, since none of them depends on another's answer; the logic in `tree_walk` then
stops where the RFC stops. `DmarcWalk` is what DNS said, name by name, and never fails; `DmarcDiscovery` is the conclusion, and
is `Unavailable` where a missing answer could change it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..engine import fact, side_by_side
from ..model import Dns, Failed, Found, Question, Unavailable, Where
from ..records.dmarc import DmarcRecord, Policy, join, parse, select
from ..records.names import MAX_NAME, is_within, psl_organizational_domain
from . import tree_walk
from .answers import no_answer, proves_name
from .identity import FromDomain


@dataclass(frozen=True, slots=True)
class Visit:
    """What stands at the `_dmarc` name of one domain.

    `texts` are all TXT records there, `records` those that begin with v=DMARC1. `record` is the one that counts: two or more
    are all discarded (RFC 9989 section 4.10 steps 2 and 6). `exists` says whether there is any such name; None when unknown.
    """

    domain: str
    texts: tuple[str, ...] = ()
    records: tuple[str, ...] = ()
    record: DmarcRecord | None = None
    failure: Failed | None = None
    exists: bool | None = False
    aliases: tuple[str, ...] = ()

    @property
    def question(self) -> Question:
        """The question that was asked."""
        return Question(f"_dmarc.{self.domain}", "TXT")

    def where(self, text: str | None = None, span: tuple[int, int] | None = None) -> Where:
        """The place of a record, or of a range of its characters."""
        return Where(name=self.question.name, type="TXT", record=text, span=span)


class Origin(StrEnum):
    """Whose record applies (RFC 9989 section 4.10.1, in order of preference)."""

    AUTHOR = "author"
    ORGANIZATIONAL = "organizational"
    PUBLIC_SUFFIX = "public-suffix"


@dataclass(frozen=True, slots=True)
class DmarcWalk:
    """All that was asked about the author domain: `visits` longest name first, also those above the place where the walk stops.

    `author_exists` is about the domain itself: only NXDOMAIN makes it non-existent (RFC 9989 section 3.2.13).
    """

    domain: str
    visits: tuple[Visit, ...]
    author_exists: bool | Unavailable

    def visit(self, domain: str) -> Visit:
        """The visit to one of the domains."""
        return next(visit for visit in self.visits if visit.domain == domain)

    @property
    def reached(self) -> tuple[Visit, ...]:
        """The visits that count: down to the record that stops the walk, or all."""
        names = set(tree_walk.reached(self.domain, flags(self.visits)))
        return tuple(visit for visit in self.visits if visit.domain in names)

    @property
    def ours(self) -> tuple[Visit, ...]:
        """The visits that count and are not above the registered domain: what stands at `_dmarc.com` is not the sender's."""
        registered = psl_organizational_domain(self.domain)
        return tuple(visit for visit in self.reached if is_within(visit.domain, registered))


@dataclass(frozen=True, slots=True)
class DmarcDiscovery:
    """The record that applies to the author domain, and the policy it comes to after sp, np and t.

    `record` and `found_at` (the domain, without `_dmarc`) are None when no record applies; `at` is the record's place, or the
    author domain's `_dmarc` name. `policy` is None when there is no DMARC processing: no record, or one without a usable policy
    and report address. `organizational_domain` and `policy` may be Unavailable on their own. `rfc7489_record` is what a
    receiver that goes by RFC 7489 section 6.6.3 and the Public Suffix List uses.
    """

    domain: str
    record: DmarcRecord | None
    found_at: str | None
    at: Where
    origin: Origin | None
    organizational_domain: str | Unavailable
    exists: bool | Unavailable
    policy: Policy | Unavailable | None
    rfc7489_record: DmarcRecord | Unavailable | None


async def visit(dns: Dns, domain: str) -> Visit:
    """Ask for the DMARC record of one domain."""
    name = f"_dmarc.{domain}"
    if len(name) > MAX_NAME:  # such a name cannot exist
        return Visit(domain)
    answer = await dns.ask(name, "TXT")
    if isinstance(answer, Failed):
        return Visit(domain, failure=answer, exists=None)
    exists = proves_name(answer)
    if not isinstance(answer, Found):
        return Visit(domain, exists=exists, aliases=answer.aliases)
    texts = tuple(join(strings) for strings in answer.records)
    records = select(texts)
    record = parse(records[0]) if len(records) == 1 else None
    return Visit(domain, texts, records, record, exists=True, aliases=answer.aliases)


async def visit_all(dns: Dns, domains: Iterable[str]) -> dict[str, Visit]:
    """Ask for the DMARC records of several domains at once."""
    visits = await side_by_side(*(visit(dns, domain) for domain in dict.fromkeys(domains)))
    return {visit.domain: visit for visit in visits}


def flags(visits: Iterable[Visit]) -> dict[str, str]:
    """The psd flag of every domain that has one record, as `tree_walk` wants it."""
    return {visit.domain: visit.record.psd for visit in visits if visit.record is not None}


def failed(visits: Iterable[Visit]) -> list[str]:
    """The domains whose question was not answered."""
    return [visit.domain for visit in visits if visit.failure is not None]


def undecided(error: tree_walk.Undecided, visits: Mapping[str, Visit]) -> Unavailable:
    """Name the question whose missing answer could change the outcome, and count the others."""
    told = next(
        (no_answer(visits[name].question, why) for name in error.failed if name in visits and (why := visits[name].failure)),
        None,
    )
    if told is None:
        return Unavailable(f"_dmarc.{error.failed[0]} TXT was not asked: there are too many domains to compare")
    more = len(error.failed) - 1
    return Unavailable(f"{told.reason}{f' and {more} more' if more else ''}", told.where)


async def _existence(dns: Dns, domain: str) -> bool | Unavailable:
    """Whether a domain exists, for np: any type would do; MX is a question that is asked about sender domains anyway."""
    answer = await dns.ask(domain, "MX")
    if isinstance(answer, Failed):
        return no_answer(Question(domain, "MX"), answer)
    return proves_name(answer) is True


@fact(steady=True)
async def dmarc_walk(sender: FromDomain, dns: Dns) -> DmarcWalk:
    """Ask for the records of the author domain and everything above it, and whether the domain exists, in one round."""
    domains = dict.fromkeys((*tree_walk.names(sender.name), psl_organizational_domain(sender.name)))
    visits, exists = await side_by_side(visit_all(dns, domains), _existence(dns, sender.name))
    # Nothing can be below a name that does not exist (RFC 8020), so a `_dmarc` name proves its parent
    known = True if visits[sender.name].exists else exists
    return DmarcWalk(sender.name, tuple(visits.values()), known)


@fact(steady=True)
def dmarc_discovery(walk: DmarcWalk) -> DmarcDiscovery:
    """Find the policy that applies (RFC 9989 section 4.10.1). Raises Unavailable when a missing answer could be the record."""
    visits = {visit.domain: visit for visit in walk.visits}
    psd, unanswered = flags(walk.visits), failed(walk.visits)

    def policy_domain(world: tree_walk.Flags) -> str | None:
        return tree_walk.policy_domain(walk.domain, world)

    def organizational_domain(world: tree_walk.Flags) -> str:
        return tree_walk.organizational_domain(walk.domain, world)

    if visits[walk.domain].record is not None:
        # "If a valid DMARC Policy Record is found there, then this is the DMARC Policy Record to be applied"
        found_at: str | None = walk.domain
    else:
        try:
            found_at = tree_walk.decide(policy_domain, [walk.domain], psd, unanswered)
        except tree_walk.Undecided as error:
            raise undecided(error, visits) from None
    organizational: str | Unavailable
    try:
        organizational = tree_walk.decide(organizational_domain, [walk.domain], psd, unanswered)
    except tree_walk.Undecided as error:
        organizational = undecided(error, visits)
    rfc7489 = _rfc7489_record(walk, visits)
    if found_at is None:
        at = visits[walk.domain].where()
        return DmarcDiscovery(walk.domain, None, None, at, None, organizational, walk.author_exists, None, rfc7489)
    record = visits[found_at].record
    assert record is not None
    return DmarcDiscovery(
        walk.domain,
        record,
        found_at,
        visits[found_at].where(record.text),
        _origin(walk.domain, found_at, record),
        organizational,
        walk.author_exists,
        _policy(record, own=found_at == walk.domain, exists=walk.author_exists),
        rfc7489,
    )


def _origin(author: str, found_at: str, record: DmarcRecord) -> Origin:
    if found_at == author:
        return Origin.AUTHOR
    return Origin.PUBLIC_SUFFIX if record.psd == "y" else Origin.ORGANIZATIONAL


def _policy(record: DmarcRecord, *, own: bool, exists: bool | Unavailable) -> Policy | Unavailable | None:
    """The policy after sp, np and t; unknown only if it depends on an existence that is unknown."""
    if not isinstance(exists, Unavailable):
        return record.applied(own=own, exists=exists)
    if_it_does, if_not = record.applied(own=own, exists=True), record.applied(own=own, exists=False)
    return if_it_does if if_it_does is if_not else exists


def _rfc7489_record(walk: DmarcWalk, visits: Mapping[str, Visit]) -> DmarcRecord | Unavailable | None:
    """The record of the author domain, else of the domain one label below the public suffix (RFC 7489 section 6.6.3).

    Several records at one name end the search there, unlike in RFC 9989.
    """
    for domain in (walk.domain, psl_organizational_domain(walk.domain)):
        found = visits[domain]
        if found.failure is not None:
            return no_answer(found.question, found.failure)
        if found.records:
            return found.record
    return None
