"""Rules about a domain that sends no mail: does it say so wherever receivers look. They run under the policy `parked` alone."""

from ..engine import rule
from ..facts.dkim import DomainSelectors
from ..facts.dmarc_discovery import DmarcDiscovery
from ..facts.hosts import MailHosts
from ..facts.identity import FromDomain
from ..facts.spf import SpfRecords, SpfTree
from ..facts.wildcards import Wildcards
from ..model import Failed, Findings, Found, Level, NotApplicable, Problem, Question, Unavailable, Undetermined, Where
from ..records.dkim import DkimKey, DkimSyntaxError, parse_key
from ..records.dmarc import Policy, published
from ..records.zonetext import txt_line
from .dmarc import at

SENDS_NOTHING = "v=spf1 -all"  # RFC 7208 section 10.1.2
REVOKED = "v=DKIM1; p="  # RFC 6376 section 3.6.1, "p="
MAX_HOSTS = 3  # named in a message


@rule("parked/can-send")
def can_send(records: SpfRecords, tree: SpfTree | Unavailable | NotApplicable) -> Findings:
    fix = txt_line(records.name, SENDS_NOTHING)
    if not records.texts:
        yield Problem(f"{records.name} has no SPF record, so nothing says that it sends no mail", records.where(), fix=fix)
        return
    if not isinstance(tree, SpfTree):
        raise tree  # several records: spf/several-records
    if any(node.record is not None and node.record.faults for node in tree.policies()):
        raise NotApplicable("the record does not parse, see spf/syntax-error")
    sends = next(tree.passing(), None)
    if sends is not None:
        node, branch = sends
        yield Problem(f"{branch.term.text} in the record at {node.name} lets hosts send", node.where(branch.term), fix=fix)
    for why in tree.unavailable:
        yield Undetermined(why.reason, why.where)
    *_, last = tree.policies()
    end = last.record.all if last.record is not None else None
    if sends is None and (end is None or end.qualifier != "-") and not tree.unavailable:
        how = "does not exist" if last.record is None else f"ends in {end.text}" if end is not None else "has no all at its end"
        yield Problem(f"the record at {last.name} {how}, so mail of other hosts is not refused", last.where(), fix=fix)


@rule("parked/not-rejected")
def not_rejected(discovery: DmarcDiscovery) -> Findings:
    if isinstance(discovery.policy, Unavailable):
        raise discovery.policy
    if discovery.policy is Policy.REJECT:
        return
    fix = published(discovery.domain, "v=DMARC1; p=reject")
    if discovery.record is None:
        yield Problem(f"no DMARC record says what to do with mail that names {discovery.domain}", discovery.at, fix=fix)
    else:
        comes_to = discovery.policy or "nothing"
        yield Problem(
            f"the DMARC policy for {discovery.domain} comes to {comes_to}, not to reject", at(discovery, None), fix=fix
        )


@rule("parked/takes-mail")
def takes_mail(sender: FromDomain, hosts: MailHosts) -> Findings:
    one = hosts.of(sender.name)
    where, mx = Where(name=one.domain, type="MX"), one.answers["MX"]
    if one.null_mx:
        return
    if isinstance(mx, Failed):
        yield Undetermined(f"no answer for {Question(one.domain, 'MX')}: {mx}", where)
    elif one.mx:
        named = ", ".join(host.name or "." for host in one.mx[:MAX_HOSTS])
        yield Problem(f"{one.domain} sends no mail and takes mail at {named}", where, Level.NOTE)
    elif isinstance(one.receives, Unavailable):
        yield Undetermined(one.receives.reason, one.receives.where)
    elif one.receives:
        own = next(str(answer.records[0]) for answer in (one.answers["A"], one.answers["AAAA"]) if isinstance(answer, Found))
        yield Problem(
            f"{one.domain} has no MX, so mail for it goes to its own address {own}", where, fix=f"{one.domain}. MX 0 ."
        )


@rule("parked/key-published")
def key_published(selectors: DomainSelectors, wildcards: Wildcards) -> Findings:
    for found in selectors.keys.values():
        if isinstance(found, Unavailable):
            yield Undetermined(found.reason, found.where)
            continue
        for index, record in found.usable:
            if not record.revoked:
                fix = txt_line(found.name, REVOKED)
                yield Problem(f"{found.name} has a key, so whoever holds its secret half can sign", found.where(index), fix=fix)
    below = wildcards.dkim
    if isinstance(below.texts, Unavailable):
        yield Undetermined(below.texts.reason, below.texts.where)
        return
    for text in below.texts:
        key = _key(text)
        if key is not None and not key.revoked:
            where = Where(name=f"*.{below.below}", type="TXT", record=text)
            yield Problem(f"every selector of {selectors.domain} has a key, so whoever holds its secret half can sign", where)


@rule("parked/selectors-open")
def selectors_open(wildcards: Wildcards) -> Findings:
    one = wildcards.dkim
    where = Where(name=f"*.{one.below}", type="TXT")
    if isinstance(one.texts, Unavailable):
        yield Undetermined(one.texts.reason, one.texts.where)
        return
    keys = [_key(text) for text in one.texts]
    if not any(key is not None and key.revoked for key in keys):
        yield Problem(f"no record at *.{one.below} revokes all keys at once", where, fix=txt_line(f"*.{one.below}", REVOKED))


def _key(text: str) -> DkimKey | None:
    """A TXT record as a key; None for whatever else a wildcard answers with."""
    try:
        return parse_key(text)
    except DkimSyntaxError:
        return None
