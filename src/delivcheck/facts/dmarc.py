"""What goes with a DMARC record: the addresses reports go to, records in the wrong place, mailbox providers' domains."""

from collections.abc import Iterator
from dataclasses import dataclass

from ..engine import fact, side_by_side
from ..model import Dns, Failed, Found, NotApplicable, Question, Unavailable
from ..records.dmarc import DmarcRecord, ReportUri, join, parse, select
from ..records.names import MAX_NAME, psl_organizational_domain
from ..rulefiles import data, providers
from . import tree_walk
from .answers import ask_about, is_null_mx, no_answer, takes_mail
from .dmarc_discovery import DmarcDiscovery, DmarcWalk, Visit, failed, flags, undecided, visit_all

MAX_DESTINATIONS = (
    10  # hosts of report addresses that are looked up; RFC 7489 section 6.3 lets receivers stop after two addresses
)


# --- reports -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Destination:
    """One usable address of rua or ruf, and whether reports get there.

    `external`: the host belongs to another organization than the record's domain, by tree walk (RFC 9990 section 4). Then
    `authorized` says whether the host's side agreed at `question`; it is True for a host of our own. `redirected` is another
    host that the agreement sends the reports to, which is not allowed. `receives` is None for what is no mail address;
    `null_mx` says why it is False.
    """

    tag: str
    uri: ReportUri
    host: str
    external: bool | Unavailable
    authorized: bool | Unavailable
    question: Question
    receives: bool | Unavailable | None
    null_mx: bool = False
    redirected: str | None = None


@dataclass(frozen=True, slots=True)
class ReportDestinations:
    """All usable report addresses of the record that applies; `left_out` hosts beyond the limit were not looked up."""

    policy_domain: str
    each: tuple[Destination, ...]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Host:
    """What one round of questions told about a report host."""

    name: str
    visits: dict[str, Visit]
    agreement: tuple[DmarcRecord, ...] | Unavailable
    receives: bool | Unavailable
    null_mx: bool


@fact
async def report_destinations(walk: DmarcWalk, discovery: DmarcDiscovery, dns: Dns) -> ReportDestinations:
    """Ask about all hosts at once: their walk, their agreement and their MX, one round after the record is known."""
    record, domain = discovery.record, discovery.found_at
    if record is None or domain is None:
        raise NotApplicable("there is no DMARC record")
    wanted = [(tag, uri, uri.host) for tag, uri in _addresses(record) if uri.host is not None]
    hosts = list(dict.fromkeys(host for _, _, host in wanted))
    asked = dict(zip(hosts, await side_by_side(*(_ask(dns, domain, host) for host in hosts[:MAX_DESTINATIONS])), strict=False))
    own = {visit.domain: visit for visit in walk.visits}
    each = tuple(
        _destination(domain, tag, uri, {**own, **asked[host].visits}, asked[host]) for tag, uri, host in wanted if host in asked
    )
    return ReportDestinations(domain, each, tuple(hosts[MAX_DESTINATIONS:]))


def _addresses(record: DmarcRecord) -> Iterator[tuple[str, ReportUri]]:
    for uri in record.rua:
        if uri.fault is None:
            yield "rua", uri
    if record.psd == "y":  # nobody may honour ruf in a public suffix's record (RFC 9991)
        return
    for uri in record.ruf:
        if uri.fault is None:
            yield "ruf", uri


def agreement_name(policy_domain: str, host: str) -> str:
    """Where a host says that it takes reports about a domain (RFC 9990 section 4 steps 2 and 3)."""
    return f"{policy_domain}._report._dmarc.{host}"


async def _ask(dns: Dns, policy_domain: str, host: str) -> _Host:
    visits, (agreement, answers) = await side_by_side(
        visit_all(dns, tree_walk.names(host)), side_by_side(_agreement(dns, policy_domain, host), ask_about(dns, host))
    )
    return _Host(host, visits, agreement, takes_mail(host, answers), is_null_mx(answers["MX"]))


async def _agreement(dns: Dns, policy_domain: str, host: str) -> tuple[DmarcRecord, ...] | Unavailable:
    """The records at the name that begin with v=DMARC1; others there mean nothing (RFC 9990 section 4 steps 4 to 8)."""
    name = agreement_name(policy_domain, host)
    if host == policy_domain or len(name) > MAX_NAME:  # step 4: too long a name cannot agree
        return ()
    answer = await dns.ask(name, "TXT")
    if isinstance(answer, Failed):
        return no_answer(Question(name, "TXT"), answer)
    texts = [join(strings) for strings in answer.records] if isinstance(answer, Found) else []
    return tuple(parse(text) for text in select(texts))


def _destination(policy_domain: str, tag: str, uri: ReportUri, visits: dict[str, Visit], about: _Host) -> Destination:
    host = about.name
    try:
        external: bool | Unavailable = not tree_walk.decide(
            lambda world: tree_walk.same_organization(policy_domain, host, world),
            [policy_domain, host],
            flags(visits.values()),
            failed(visits.values()),
        )
    except tree_walk.Undecided as error:
        external = undecided(error, visits)
    agreed = about.agreement if isinstance(about.agreement, Unavailable) else bool(about.agreement)
    redirected = None
    if external is not False and agreed is True and not isinstance(about.agreement, Unavailable):
        other = [new.host for record in about.agreement for new in getattr(record, tag) if new.host not in {None, host}]
        # step 9: "the overriding URI MUST use the same destination host", else reports go to neither
        redirected = other[0] if other else None
    return Destination(
        tag,
        uri,
        host,
        external,
        # an agreement settles it, whosever the host is; without one it hangs on whose the host is
        True if external is False or agreed is True else agreed if external is True else external,
        Question(agreement_name(policy_domain, host), "TXT"),
        about.receives if uri.scheme == "mailto" else None,
        about.null_mx,
        redirected,
    )


# --- records in the wrong place ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MisplacedRecords:
    """DMARC records at names where nobody looks, for domains that have none at `_dmarc`.

    `found` are (domain they were meant for, question, text); `wildcard` are the texts that every name below a domain has, so
    that its `_dmarc` name has them too; `unknown` what was not answered.
    """

    found: tuple[tuple[str, Question, str], ...]
    wildcard: tuple[tuple[str, str], ...] = ()
    unknown: tuple[Unavailable, ...] = ()


def wrong_places(domain: str) -> tuple[str, ...]:
    """Where records meant for `_dmarc.<domain>` end up.

    At the domain itself; with the prefix twice, or with the zone's name twice, where an editor adds what was typed as well; and
    without the underscore.
    """
    return (domain, f"_dmarc._dmarc.{domain}", f"_dmarc.{domain}.{domain}", f"{domain}._dmarc.{domain}", f"dmarc.{domain}")


@fact
async def misplaced_records(walk: DmarcWalk, dns: Dns) -> MisplacedRecords:
    """Look at the usual wrong places, only for domains that have no record at the right one."""
    visits = [walk.visit(domain) for domain in dict.fromkeys((walk.domain, psl_organizational_domain(walk.domain)))]
    lacking = [visit for visit in visits if not visit.records and visit.failure is None]
    places = [(visit.domain, name) for visit in lacking for name in wrong_places(visit.domain) if len(name) <= MAX_NAME]
    answers = await side_by_side(*(dns.ask(name, "TXT") for _, name in places))
    found = []
    unknown = [
        no_answer(Question(f"_dmarc.{visit.domain}", "TXT"), visit.failure) for visit in visits if visit.failure is not None
    ]
    wildcard: dict[str, str] = {}
    at_dmarc = {visit.domain: visit.texts for visit in lacking}
    for (domain, name), answer in zip(places, answers, strict=True):
        if isinstance(answer, Failed):
            unknown.append(no_answer(Question(name, "TXT"), answer))
        texts = tuple(join(strings) for strings in answer.records) if isinstance(answer, Found) else ()
        found += [(domain, Question(name, "TXT"), text) for text in select(texts)]
        if name == f"_dmarc._dmarc.{domain}" and texts and set(texts) == set(at_dmarc[domain]):
            wildcard[domain] = texts[0]  # nobody publishes at this name: it answers because every name does
    return MisplacedRecords(tuple(found), tuple(wildcard.items()), tuple(unknown))


# --- mailbox providers -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FreemailDomains:
    """Domains at which anybody may have a mailbox: provider by domain, from `rules/providers` and `rules/data/freemail`."""

    providers: dict[str, str]

    def provider(self, domain: str) -> str | None:
        """Whose mailbox domain this is, if it is one; a sub-domain of one is not."""
        return self.providers.get(domain)


@fact(steady=True)
def freemail_domains() -> FreemailDomains:
    """Read both."""
    tables = {domain: table["title"] for table in providers().values() for domain in table["domains"]}
    return FreemailDomains(tables | {domain: one["name"] for one in data("freemail")["provider"] for domain in one["domains"]})
