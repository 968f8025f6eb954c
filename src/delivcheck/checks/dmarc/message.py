"""Rules about one message under DMARC: is anything that passes aligned, and would it last."""

from ...engine import rule
from ...facts.alignment import Alignment, Identifier, Mechanism, OrganizationalDomains, any_of, both
from ...facts.dkim import DkimSignatures
from ...facts.dmarc import FreemailDomains
from ...facts.dmarc_discovery import DmarcDiscovery
from ...facts.dmarc_verdict import DmarcRemedy, unknowns
from ...facts.identity import FromDomain, MailFromDomain
from ...facts.roots import Declared
from ...facts.verdicts import DmarcResult, DmarcVerdict
from ...model import Findings, Level, MessageClass, NotApplicable, Problem, Unavailable, Undetermined
from ...records.dmarc import Policy, published
from ...records.names import is_within, psl_organizational_domain
from . import all_described, at, described, the_record

ENFORCED = {Policy.QUARANTINE, Policy.REJECT}


def _open_question(found: Alignment, *mechanisms: Mechanism) -> Undetermined:
    """What could not be found out. NotApplicable where all that is missing was not asked for."""
    reasons = unknowns(found, *mechanisms)
    of = mechanisms or tuple(Mechanism)
    asked = [one.asked for one in found.unseen if one.mechanism in of]
    asked += [one.asked for one in found.identifiers if one.mechanism in of and one.counts is None]
    if not any(asked):
        raise NotApplicable("; ".join(reasons))
    return Undetermined("; ".join(reasons))


@rule("dmarc/not-aligned")
def not_aligned(
    sender: FromDomain,
    found: Alignment,
    verdict: DmarcVerdict,
    remedy: DmarcRemedy | Unavailable | NotApplicable,
) -> Findings:
    # Alignment is asked for by Gmail, Yahoo and Microsoft even where no record applies, and a receiver that goes by the Public
    # Suffix List may see what the tree walk does not: a problem only if both say no (catalogue T042).
    walked = any_of([verdict.spf_aligned, verdict.dkim_aligned])
    listed = any_of([verdict.rfc7489_spf_aligned, verdict.rfc7489_dkim_aligned])
    aligned = any_of([walked, listed])
    if aligned is True:
        return
    if aligned is None:
        yield _open_question(found)
        return
    own = found.organizational_domain
    known = [f"of {own}"] if isinstance(own, str) and own != found.author else []
    known += [f"policy {verdict.policy}"] if verdict.policy else []
    about = f" ({', '.join(known)})" if known else ""
    yield Problem(
        f"nothing that passes is aligned with {found.author}{about}: {all_described(found)}",
        sender.at,
        Level.ERROR if verdict.policy in ENFORCED else None,
        remedy.smallest.fix if isinstance(remedy, DmarcRemedy) else None,
    )


@rule("dmarc/only-one-aligned")
def only_one_aligned(sender: FromDomain, found: Alignment, verdict: DmarcVerdict) -> Findings:
    if verdict.result is DmarcResult.NONE:
        raise NotApplicable("no DMARC record applies")
    if verdict.result is DmarcResult.FAIL:
        raise NotApplicable("nothing is aligned")  # dmarc/not-aligned
    flags = {Mechanism.SPF: verdict.spf_aligned, Mechanism.DKIM: verdict.dkim_aligned}
    for missing, other in ((Mechanism.SPF, Mechanism.DKIM), (Mechanism.DKIM, Mechanism.SPF)):
        if flags[missing] is None:
            yield _open_question(found, missing)
        elif flags[missing] is False and flags[other] is True:
            lacking = "; ".join(described(one, found) for one in found.by(missing)) or "there is no DKIM signature"
            fix = (
                f"Send with MAIL FROM:<…@bounce.{found.author}>"
                if missing is Mechanism.SPF
                else f"Sign as {found.author}: DKIM-Signature: … d={found.author}; …"
            )
            yield Problem(f"DMARC passes by {other} alone: {lacking}", sender.at, fix=fix)


@rule("dmarc/reject-on-spf-alone")
def reject_on_spf_alone(
    sender: FromDomain,
    discovery: DmarcDiscovery,
    found: Alignment,
    verdict: DmarcVerdict,
    declared: Declared | NotApplicable,
) -> Findings:
    _, record = the_record(discovery)
    if isinstance(discovery.policy, Unavailable):
        raise discovery.policy
    if discovery.policy is not Policy.REJECT or verdict.result is DmarcResult.FAIL:
        return  # what passes by nothing is dmarc/not-aligned
    if verdict.dkim_aligned is None:
        yield _open_question(found, Mechanism.DKIM)
    elif verdict.dkim_aligned is False:
        lacking = "; ".join(described(one, found) for one in found.by(Mechanism.DKIM)) or "there is no DKIM signature"
        # It passes where it is sent to; only forwarded mail is lost. That is no reason to hold back a receipt or a password
        # reset, so it is an error for mail declared as bulk and a warning for all other.
        bulk = isinstance(declared, Declared) and declared.message_class is MessageClass.BULK
        yield Problem(
            f"the policy is reject and no aligned DKIM signature passes, so every forwarded copy fails: {lacking}",
            sender.at or at(discovery, record.tags.tags[0].whole),
            None if bulk else Level.WARNING,
            f"Sign as {found.author}: DKIM-Signature: … d={found.author}; …",
        )


@rule("dmarc/organizational-domains-differ")
def organizational_domains_differ(  # noqa: PLR0917 -- the engine passes facts by position
    sender: FromDomain,
    discovery: DmarcDiscovery,
    organizations: OrganizationalDomains,
    found: Alignment | NotApplicable,
    verdict: DmarcVerdict | NotApplicable,
    remedy: DmarcRemedy | Unavailable | NotApplicable,
) -> Findings:
    if isinstance(found, NotApplicable) or isinstance(verdict, NotApplicable):
        yield from _in_an_audit(discovery, organizations)
        return
    walked = any_of([verdict.spf_aligned, verdict.dkim_aligned])
    listed = any_of([verdict.rfc7489_spf_aligned, verdict.rfc7489_dkim_aligned])
    if walked is None or listed is None:
        yield _open_question(found)
    elif walked is not listed:
        told = "; ".join(_both_ways(one) for one in found.identifiers if one.passes and one.counts is not one.rfc7489_counts)
        yes, no = ("RFC 9989", "RFC 7489") if walked else ("RFC 7489", "RFC 9989")
        fix = remedy.smallest.fix if isinstance(remedy, DmarcRemedy) else None
        yield Problem(f"aligned by {yes} and not by {no}: {_author_both_ways(found)}; {told}", sender.at, fix=fix)


def _in_an_audit(discovery: DmarcDiscovery, organizations: OrganizationalDomains) -> Findings:
    """Without a message nothing passes or fails; that the two ways differ for the domain itself is worth a note."""
    walked = organizations.of(discovery.domain)
    if isinstance(walked, Unavailable):
        yield Undetermined(walked.reason, walked.where)
        return
    listed = psl_organizational_domain(discovery.domain)
    if walked != listed:
        where = at(discovery, None) if discovery.record else discovery.at
        message = f"{discovery.domain} belongs to {walked} by tree walk and to {listed} by the Public Suffix List"
        yield Problem(message, where, Level.NOTE)


def _author_both_ways(found: Alignment) -> str:
    walked, listed = found.organizational_domain, found.rfc7489_organizational_domain
    return f"{found.author} belongs to {walked} by tree walk and to {listed} by the Public Suffix List"


def _both_ways(one: Identifier) -> str:
    who = f"the envelope's {one.domain}" if one.mechanism is Mechanism.SPF else f"d={one.domain}"
    return f"{who} to {one.organizational_domain} and {one.rfc7489_organizational_domain}"


@rule("dmarc/strict-breaks-alignment")
def strict_breaks_alignment(sender: FromDomain, discovery: DmarcDiscovery, found: Alignment) -> Findings:
    domain, record = the_record(discovery)
    for one in found.identifiers:
        tag, mode = ("aspf", record.aspf) if one.mechanism is Mechanism.SPF else ("adkim", record.adkim)
        would_count = both(one.passes, one.relaxed)
        if mode == "r" or one.aligned or would_count is False:
            continue
        if would_count:
            yield Problem(
                f"{described(one, found)} ({tag}=s at _dmarc.{domain})",
                sender.at,
                fix=published(domain, record.tags.without(tag)),
            )
        elif one.asked:
            lacking = one.reason if one.passes is None else None
            yield Undetermined(lacking or f"not known whether {one.domain} and {found.author} are one organization")


@rule("dmarc/mailbox-provider-from")
def mailbox_provider_from(
    sender: FromDomain,
    freemail: FreemailDomains,
    mail_from: MailFromDomain | Unavailable | NotApplicable,
    signatures: DkimSignatures | Unavailable | NotApplicable,
) -> Findings:
    provider = freemail.provider(sender.name)
    if provider is None:
        return
    theirs = isinstance(mail_from, MailFromDomain) and freemail.provider(mail_from.name) == provider
    # whether such a signature verifies is for other rules; that one stands there shows who sends
    signed = isinstance(signatures, DkimSignatures) and any(
        is_within(signature.domain, sender.name) for _, signature in signatures.readable
    )
    if theirs or signed:
        return
    how = f"the envelope is {mail_from.name}" if isinstance(mail_from, MailFromDomain) else "nothing shows that they send it"
    yield Problem(f"From is at {sender.name}, a mailbox domain of {provider}, and {how}", sender.at)
