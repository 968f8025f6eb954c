"""DMARC's verdict on one message, and the smallest change that would turn a fail into a pass.

One identifier that passes and is aligned is enough, whatever is unknown beside it (RFC 9989 section 5.3.5). The verdict is
unknown only where something unknown could have made it pass (section 5.3.6).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ..engine import fact
from ..model import NotApplicable, Unavailable
from ..records.dmarc import published
from ..records.names import is_within, psl_organizational_domain
from .alignment import Alignment, Identifier, Mechanism, OrganizationalDomains, any_of, mode_of
from .dmarc_discovery import DmarcDiscovery
from .identity import FromDomain, SendingHost
from .verdicts import DmarcResult, DmarcVerdict


@fact(steady=True)
def dmarc_verdict(sender: FromDomain, discovery: DmarcDiscovery | Unavailable, found: Alignment) -> DmarcVerdict:
    """Put discovery and alignment together, by RFC 9989 and by RFC 7489."""
    spf = _aligned(found, Mechanism.SPF)
    dkim = _aligned(found, Mechanism.DKIM)
    rfc7489_spf = _aligned(found, Mechanism.SPF, rfc7489=True)
    rfc7489_dkim = _aligned(found, Mechanism.DKIM, rfc7489=True)
    organizational = found.organizational_domain
    anyway = any_of([spf, dkim, rfc7489_spf, rfc7489_dkim])
    result, reason, policy, at = DmarcResult.UNKNOWN, None, None, None
    rfc7489_result = DmarcResult.UNKNOWN
    if isinstance(discovery, Unavailable):
        reason = discovery.reason
    else:
        policy = None if isinstance(discovery.policy, Unavailable) else discovery.policy
        # "Otherwise, the Mail Receiver applies no DMARC processing": no usable policy, no report address (section 4.10.1)
        if discovery.record is None or discovery.record.policies is None:
            result, reason = (
                DmarcResult.NONE,
                "no DMARC record applies" if discovery.record is None else "the record has no usable policy",
            )
        else:
            at = f"_dmarc.{discovery.found_at}"
            result = _result(any_of([spf, dkim]))
            if result is not DmarcResult.PASS:
                reason = "; ".join(unknowns(found)) or "nothing that passes is aligned"
        listed = discovery.rfc7489_record
        if not isinstance(listed, Unavailable):
            applies = listed is not None and listed.policies is not None
            rfc7489_result = _result(any_of([rfc7489_spf, rfc7489_dkim])) if applies else DmarcResult.NONE
    return DmarcVerdict(
        result,
        sender.name,
        policy,
        None if isinstance(organizational, Unavailable) else organizational,
        spf,
        dkim,
        rfc7489_result,
        found.rfc7489_organizational_domain,
        rfc7489_spf,
        rfc7489_dkim,
        at,
        reason,
        anyway if result is DmarcResult.NONE else None,
    )


def _aligned(found: Alignment, mechanism: Mechanism, *, rfc7489: bool = False) -> bool | None:
    """Whether one mechanism makes DMARC pass; an identifier that nobody saw may be an aligned one."""
    known = any_of(one.rfc7489_counts if rfc7489 else one.counts for one in found.by(mechanism))
    return any_of([known, *(None for one in found.unseen if one.mechanism is mechanism)])


def _result(aligned: bool | None) -> DmarcResult:
    return {True: DmarcResult.PASS, False: DmarcResult.FAIL, None: DmarcResult.UNKNOWN}[aligned]


def unknowns(found: Alignment, *mechanisms: Mechanism) -> list[str]:
    """Why it is not known whether something aligned passes: reasons, each once; empty when everything is known."""
    mechanisms = mechanisms or tuple(Mechanism)
    reasons = [one.reason for one in found.unseen if one.mechanism in mechanisms]
    for one in found.identifiers:
        if one.mechanism not in mechanisms or one.counts is not None:
            continue
        if one.passes is None:
            reasons.append(one.reason or f"{one.mechanism} for {one.domain} could not be judged")
        organizations = (one.organizational_domain, found.organizational_domain) if one.aligned is None else ()
        reasons += [organization.reason for organization in organizations if isinstance(organization, Unavailable)]
    return list(dict.fromkeys(reasons))


# --- the smallest change -----------------------------------------------------------------------------------------


class Change(StrEnum):
    """What to change, the smaller first."""

    REPAIR_SIGNATURE = "repair-signature"  # an aligned signature is there and does not verify
    AUTHORIZE_HOST = "authorize-host"  # the envelope domain is aligned and SPF does not pass for this host
    RELAX_DKIM = "relax-dkim"  # adkim=r
    RELAX_SPF = "relax-spf"  # aspf=r
    PUBLISH_RECORD = "publish-record"  # at a domain above, so that the tree walk finds one organization
    CHANGE_PSD = "change-psd"  # psd= cuts the organization in two
    SIGN_AS = "sign-as"
    ENVELOPE_UNDER = "envelope-under"


@dataclass(frozen=True, slots=True)
class Remedy:
    """One change that would make DMARC pass. `domain` is what it is about; `fix` the record, header or command to have then.

    `record` is the text of the DMARC record to publish at `domain`, where that is the change.
    """

    change: Change
    domain: str
    fix: str
    record: str | None = None

    @classmethod
    def publishing(cls, change: Change, domain: str, record: str) -> "Remedy":
        """A change of one DMARC record."""
        return cls(change, domain, published(domain, record), record)


@dataclass(frozen=True, slots=True)
class DmarcRemedy:
    """All single changes that we can see, the smallest first; never empty."""

    options: tuple[Remedy, ...]

    @property
    def smallest(self) -> Remedy:
        """The first of them."""
        return self.options[0]


@fact(steady=True)
def dmarc_remedy(
    verdict: DmarcVerdict,
    discovery: DmarcDiscovery,
    found: Alignment,
    organizations: OrganizationalDomains,
    host: SendingHost | NotApplicable,
) -> DmarcRemedy:
    """Work out what would make the message pass. NotApplicable unless nothing aligned passes for sure."""
    if any_of([verdict.spf_aligned, verdict.dkim_aligned]) is not False:
        raise NotApplicable("DMARC does not fail for this message")
    options = [
        *(_repair(one, host) for one in found.identifiers if one.aligned and one.passes is False),
        *_relax(found, discovery),
        *_republish(found, discovery, organizations),
        *_send_otherwise(found, discovery, organizations),
    ]
    order = list(Change)
    return DmarcRemedy(tuple(sorted(dict.fromkeys(options), key=lambda one: order.index(one.change))))


def _repair(one: Identifier, host: SendingHost | NotApplicable) -> Remedy:
    """What is aligned already and only has to pass."""
    if one.mechanism is Mechanism.DKIM:
        fix = f"Make this signature verify (now: {one.reason}): DKIM-Signature: … d={one.domain}; s={one.selector}; …"
        return Remedy(Change.REPAIR_SIGNATURE, one.domain, fix)
    ip = host.ip if isinstance(host, SendingHost) else None
    term = f"… {'ip4' if ip.version == 4 else 'ip6'}:{ip} …" if ip else "…"
    return Remedy(Change.AUTHORIZE_HOST, one.domain, f'Make SPF pass (now: {one.reason}): {one.domain}. TXT "v=spf1 {term}"')


def _relax(found: Alignment, discovery: DmarcDiscovery) -> Iterator[Remedy]:
    """What passes and is kept out by strict mode alone."""
    record, domain = discovery.record, discovery.found_at
    if record is None or domain is None:
        return
    for one in found.identifiers:
        if one.passes and one.relaxed and one.aligned is False:
            tag, change = ("adkim", Change.RELAX_DKIM) if one.mechanism is Mechanism.DKIM else ("aspf", Change.RELAX_SPF)
            yield Remedy.publishing(change, domain, record.tags.without(tag))


def _republish(found: Alignment, discovery: DmarcDiscovery, organizations: OrganizationalDomains) -> Iterator[Remedy]:
    """What passes and belongs to one registered domain, which the tree walk does not see."""
    registered = psl_organizational_domain(found.author)
    at_top = organizations.visits.get(registered)
    for one in found.identifiers:
        related = one.rfc7489_organizational_domain == registered and mode_of(discovery.record, one.mechanism) == "r"
        if not one.passes or one.relaxed is not False or not related:
            continue
        if (
            at_top is not None
            and not at_top.records
            and organizations.would_be_same(found.author, one.domain, {registered: "u"})
        ):
            yield Remedy.publishing(Change.PUBLISH_RECORD, registered, "v=DMARC1; p=none")
        for visit in organizations.visits.values():
            record = visit.record
            if record is None or record.psd == "u" or not is_within(visit.domain, registered):
                continue
            if organizations.would_be_same(found.author, one.domain, {visit.domain: "u"}):
                yield Remedy.publishing(Change.CHANGE_PSD, visit.domain, record.tags.without("psd"))


def _send_otherwise(found: Alignment, discovery: DmarcDiscovery, organizations: OrganizationalDomains) -> Iterator[Remedy]:
    """What is always possible: sign as the author domain, or take bounces under it where SPF passes."""
    yield Remedy(Change.SIGN_AS, found.author, f"Sign as {found.author}: DKIM-Signature: … d={found.author}; …")
    if any(one.passes for one in found.by(Mechanism.SPF)):
        below = f"bounce.{found.author}"
        fits = mode_of(discovery.record, Mechanism.SPF) == "r" and organizations.would_be_same(found.author, below, {})
        domain = below if fits else found.author
        yield Remedy(Change.ENVELOPE_UNDER, domain, f"Send with MAIL FROM:<…@{domain}>")
