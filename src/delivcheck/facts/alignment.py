"""Identifier alignment: every domain that SPF or DKIM vouches for, held against the author domain (RFC 9989 section 4.10.2).

Relaxed alignment is decided by tree walk, and beside it by the Public Suffix List as in RFC 7489. What is unknown stays with
the identifier it is about: a key that timed out makes its own signature unknown and no other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from ..engine import fact
from ..model import Dns, NotApplicable, Unavailable, Where
from ..records.dmarc import DmarcRecord
from ..records.names import psl_organizational_domain
from . import tree_walk
from .dkim import SigningNames
from .dmarc_discovery import DmarcDiscovery, Visit, failed, flags, undecided, visit_all
from .identity import FromDomain, MailFromDomain
from .verdicts import DkimResult, DkimVerdict, DkimVerdicts, SpfResult, SpfVerdict

MAX_IDENTIFIERS = 10  # domains walked beside the author's; rspamd verifies five signatures of a message unless told otherwise


class Mechanism(StrEnum):
    """What vouches for a domain (RFC 9989 section 4.3)."""

    SPF = "SPF"
    DKIM = "DKIM"


@dataclass(frozen=True, slots=True)
class OrganizationalDomains:
    """The tree walks of the author domain and of all identifiers, ready to be compared."""

    visits: Mapping[str, Visit]

    def of(self, domain: str) -> str | Unavailable:
        """The organizational domain by tree walk."""
        try:
            return tree_walk.decide(
                lambda world: tree_walk.organizational_domain(domain, world), [domain], *self._told([domain])
            )
        except tree_walk.Undecided as error:
            return undecided(error, self.visits)

    def same(self, one: str, other: str) -> bool | None:
        """Whether two domains align in relaxed mode; None when a missing answer could change it."""
        if one == other:  # whatever the walk would find, it would find it for both
            return True
        try:
            return tree_walk.decide(
                lambda world: tree_walk.same_organization(one, other, world), [one, other], *self._told([one, other])
            )
        except tree_walk.Undecided:
            return None

    def would_be_same(self, one: str, other: str, changes: Mapping[str, str]) -> bool:
        """Whether they would align with these psd flags published, taking names never asked about to have no record."""
        world = {**flags(self.visits.values()), **changes}
        return not failed(self.visits.values()) and tree_walk.same_organization(one, other, world)

    def _told(self, domains: Iterable[str]) -> tuple[dict[str, str], list[str]]:
        names = dict.fromkeys(name for domain in domains for name in tree_walk.names(domain))
        visits = [self.visits[name] for name in names if name in self.visits]
        return flags(visits), [*failed(visits), *(name for name in names if name not in self.visits)]


@dataclass(frozen=True, slots=True)
class Identifier:
    """One domain that a mechanism could vouch for. All three-valued fields are None when it could not be found out.

    `passes`: SPF or this signature; `reason` says why not, or why it is unknown; `asked` is False where nobody asked for it (no
    sending address given). `aligned` is by RFC 9989 in the mode of the record, `relaxed` whatever the mode.
    """

    mechanism: Mechanism
    domain: str
    passes: bool | None
    aligned: bool | None
    relaxed: bool | None
    rfc7489_aligned: bool | None
    organizational_domain: str | Unavailable
    rfc7489_organizational_domain: str
    reason: str | None = None
    asked: bool = True
    selector: str | None = None
    at: Where | None = None

    @property
    def counts(self) -> bool | None:
        """Whether it makes DMARC pass: it passes and is aligned (RFC 9989 section 5.3.5)."""
        return both(self.passes, self.aligned)

    @property
    def rfc7489_counts(self) -> bool | None:
        """The same by RFC 7489."""
        return both(self.passes, self.rfc7489_aligned)


@dataclass(frozen=True, slots=True)
class Unseen:
    """A mechanism may have a further identifier that nobody saw; it matters only when nothing else passes.

    `asked` is False where the mechanism was not judged because nobody asked for it (no envelope given).
    """

    mechanism: Mechanism
    reason: str
    asked: bool = True


@dataclass(frozen=True, slots=True)
class Alignment:
    """The author domain and every identifier of the message, SPF first, then signatures from the top."""

    author: str
    organizational_domain: str | Unavailable
    rfc7489_organizational_domain: str
    identifiers: tuple[Identifier, ...]
    unseen: tuple[Unseen, ...] = ()

    def by(self, mechanism: Mechanism) -> tuple[Identifier, ...]:
        """The identifiers of one mechanism."""
        return tuple(one for one in self.identifiers if one.mechanism is mechanism)


def both(one: bool | None, other: bool | None) -> bool | None:
    """Three-valued and: one that is False settles it."""
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def any_of(values: Iterable[bool | None]) -> bool | None:
    """Three-valued or: one that is True settles it."""
    seen = set(values)
    return True if True in seen else None if None in seen else False


@fact(steady=True)
async def organizational_domains(
    sender: FromDomain,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    signing: SigningNames | Unavailable | NotApplicable,
    dns: Dns,
) -> OrganizationalDomains:
    """Walk from every identifier at once; "multiple DNS Tree Walks" may be needed (RFC 9989 section 4.10.2), one for each.

    Domains are taken from the envelope and the signatures as they stand, so that nothing waits for a verdict.
    """
    domains = [mail_from.name] if isinstance(mail_from, MailFromDomain) else []
    if isinstance(signing, SigningNames):
        domains += [domain for _, domain in signing.readable]
    ours = psl_organizational_domain(sender.name)
    # Those that can be aligned at all come first, should there be too many
    domains = sorted(dict.fromkeys(domains), key=lambda domain: psl_organizational_domain(domain) != ours)
    walked = [sender.name, *domains[:MAX_IDENTIFIERS]]
    return OrganizationalDomains(await visit_all(dns, (name for domain in walked for name in tree_walk.names(domain))))


@fact(steady=True)
def alignment(  # noqa: PLR0917 -- the engine passes facts by position
    sender: FromDomain,
    discovery: DmarcDiscovery | Unavailable,
    organizations: OrganizationalDomains,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    spf: SpfVerdict | Unavailable | NotApplicable,
    dkim: DkimVerdicts | Unavailable | NotApplicable,
) -> Alignment:
    """Hold every identifier against the author domain. NotApplicable when neither SPF nor DKIM was judged."""
    if isinstance(dkim, NotApplicable) and isinstance(spf, NotApplicable):
        raise NotApplicable(dkim.reason)
    compare = _Comparison(sender.name, discovery, organizations)
    identifiers: list[Identifier] = []
    unseen: list[Unseen] = []
    if isinstance(mail_from, MailFromDomain):
        identifiers.append(compare.spf(mail_from.name, spf))
    else:
        unseen.append(Unseen(Mechanism.SPF, mail_from.reason, asked=isinstance(mail_from, Unavailable)))
    if isinstance(dkim, DkimVerdicts):
        identifiers += [compare.dkim(one, one.domain) for one in dkim.each if one.domain is not None]
        unseen += [
            Unseen(Mechanism.DKIM, one.reason or "a signature could not be judged")
            for one in dkim.each
            if one.domain is None and one.result is DkimResult.UNKNOWN
        ]
    else:
        unseen.append(Unseen(Mechanism.DKIM, dkim.reason, asked=isinstance(dkim, Unavailable)))
    return Alignment(
        sender.name,
        organizations.of(sender.name),
        psl_organizational_domain(sender.name),
        tuple(identifiers),
        tuple(unseen),
    )


class _Comparison:
    """The author's side of every comparison: its record's modes, by both RFCs."""

    def __init__(self, author: str, discovery: DmarcDiscovery | Unavailable, organizations: OrganizationalDomains) -> None:
        self.author = author
        self.organizations = organizations
        self.record = discovery if isinstance(discovery, Unavailable) else discovery.record
        self.rfc7489_record = discovery if isinstance(discovery, Unavailable) else discovery.rfc7489_record

    def spf(self, domain: str, verdict: SpfVerdict | Unavailable | NotApplicable) -> Identifier:
        """The MAIL FROM domain; anything but `pass` authenticates nothing (RFC 9989 section 4.4.2)."""
        if isinstance(verdict, SpfVerdict):
            passes: bool | None = verdict.result is SpfResult.PASS
            reason = None if passes else f"{verdict.result}{f', {verdict.reason}' if verdict.reason else ''}"
            return self._identifier(Mechanism.SPF, domain, passes, reason)
        return self._identifier(Mechanism.SPF, domain, None, verdict.reason, asked=isinstance(verdict, Unavailable))

    def dkim(self, verdict: DkimVerdict, domain: str) -> Identifier:
        """The d= of one signature (RFC 9989 section 4.4.1); i= plays no part."""
        passes = None if verdict.result is DkimResult.UNKNOWN else verdict.result is DkimResult.PASS
        return self._identifier(Mechanism.DKIM, domain, passes, verdict.reason, selector=verdict.selector, at=verdict.at)

    def _identifier(
        self,
        mechanism: Mechanism,
        domain: str,
        passes: bool | None,
        reason: str | None,
        *,
        asked: bool = True,
        selector: str | None = None,
        at: Where | None = None,
    ) -> Identifier:
        relaxed = self.organizations.same(self.author, domain)
        psl = psl_organizational_domain(domain)
        by_list = psl == psl_organizational_domain(self.author)
        return Identifier(
            mechanism,
            domain,
            passes,
            self._inmode_of(mode_of(self.record, mechanism), domain, relaxed),
            relaxed,
            self._inmode_of(mode_of(self.rfc7489_record, mechanism), domain, by_list),
            self.organizations.of(domain),
            psl,
            reason,
            asked,
            selector,
            at,
        )

    def _inmode_of(self, mode: str | None, domain: str, relaxed: bool | None) -> bool | None:
        """Strict: "a simple string comparison" (RFC 9989 section 4.10.2). With the mode unknown, what holds in both."""
        if domain == self.author:
            return True
        if mode == "s" or relaxed is False:
            return False
        return relaxed if mode == "r" else None


def mode_of(record: DmarcRecord | Unavailable | None, mechanism: Mechanism) -> str | None:
    """The mode of aspf or adkim; relaxed without a record, None when it is not known whether there is one."""
    if record is None:
        return "r"
    if isinstance(record, Unavailable):
        return None
    return record.aspf if mechanism is Mechanism.SPF else record.adkim
