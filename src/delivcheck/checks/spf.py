"""Rules about SPF at the envelope domain: the record, what it leads to, and whether it covers the sending address.

What is said of a message or an address is decided by evaluation (`SpfVerdict`); what is said of a domain is the worst case
over its whole tree (`SpfTree`), which no single address may ever meet. Twenty rules that share the same facts, hence the
length.
"""

from collections.abc import Iterable, Iterator
from ipaddress import ip_address

from ..engine import rule
from ..facts.identity import MailFromDomain, SendingHost
from ..facts.spf import Led, SpfAnswer, SpfBranch, SpfNode, SpfRecords, SpfTree
from ..facts.spf_crawl import Unanswered
from ..facts.verdicts import DmarcVerdict, SpfResult, SpfVerdict
from ..model import Failed, Failure, Findings, Level, NotApplicable, Problem, Unavailable, Undetermined, Where
from ..records.names import psl_organizational_domain
from ..records.networks import is_private_network
from ..records.spf import MAX_LOOKUPS, MAX_MX, MAX_VOIDS, SpfRecord, Term
from ..records.spf_damage import damage
from ..records.spf_edit import OPEN_END, corrected, ended, merged, with_term

_SHOWN = 6  # names or terms told in one message; the rest is counted

_EVERYONE = {4: 7, 6: 15}  # prefix lengths up to these are as good as everybody; the catalogue's numbers, no provider gives any
_UDP = 1232  # octets: the EDNS buffer that resolvers have used since DNS flag day 2020


# --- what the rules share ----------------------------------------------------------------------------------------


def _the_record(records: SpfRecords) -> SpfRecord:
    record = records.only
    if record is None:
        raise NotApplicable(f"{records.name} has {'several SPF records' if records.texts else 'no SPF record'}")
    return record


def _listed(things: Iterable[str]) -> str:
    each = list(dict.fromkeys(things))
    return ", ".join(each[:_SHOWN]) + (f" and {len(each) - _SHOWN} more" if len(each) > _SHOWN else "")


def _terms(tree: SpfTree) -> Iterator[tuple[SpfNode, SpfBranch]]:
    """Every evaluated term of every record, each once."""
    for step in tree.walk():
        yield step.node, step.branch


def _unread(tree: SpfTree) -> Iterator[Undetermined]:
    """The records that DNS did not tell: what a rule looks for may be in them."""
    for node in tree.nodes():
        if node.unanswered is not None:
            yield _undetermined(node.unanswered)


def _undetermined(missing: Unanswered) -> Undetermined:
    return Undetermined(missing.unavailable.reason, missing.unavailable.where)


def _others(tree: SpfTree, node: SpfNode) -> Level | None:
    """A fault in the record of another organization is told, but nobody here can mend it: a note."""
    return None if psl_organizational_domain(node.name) == psl_organizational_domain(tree.domain) else Level.NOTE


# --- the record itself -------------------------------------------------------------------------------------------


@rule("spf/no-record")
def no_record(records: SpfRecords, sender: MailFromDomain) -> Findings:
    # NXDOMAIN and NODATA are answers and mean absence; a failure never gets here (RFC 7208 section 4.4).
    if not records.texts:
        found = "has TXT records, but no SPF record among them" if records.others else "has no TXT record"
        found = found if records.exists else "does not exist, so it has no SPF record"
        which = "the EHLO name " if sender.identity == "helo" else ""
        yield Problem(f"{which}{records.name} {found}", Where(name=records.name, type="TXT"))


@rule("spf/several-records")
def several_records(records: SpfRecords) -> Findings:
    if not records.texts:
        raise NotApplicable(f"{records.name} has no SPF record")
    if len(records.texts) > 1:  # RFC 7208 sections 3.2 and 4.5, even when they are equal
        second = records.texts[1]
        message = f"{records.name} has {len(records.texts)} SPF records, and every receiver must take that for an error"
        yield Problem(message, records.where((0, len(second)), second), fix=merged(records.texts))


@rule("spf/syntax-error")
def syntax_error(records: SpfRecords) -> Findings:
    record = _the_record(records)
    broken = [one.span for one in damage(records.txt) if one.text == record.text]  # how it was published: spf/malformed-txt
    fix = corrected(record)
    told = False
    for fault in [*record.faults, *record.mistakes]:
        if fault.kind != "character" and not any(start < fault.span[1] and fault.span[0] < end for start, end in broken):
            told = True
            yield Problem(fault.message, records.where(fault.span), fix=fix)
    if record.faults and not told:
        raise NotApplicable("the record was damaged when it was published, see spf/malformed-txt")


@rule("spf/malformed-txt")
def malformed_txt(records: SpfRecords) -> Findings:
    for one in damage(records.txt):
        yield Problem(one.message, records.where(one.span, one.text), None if one.fatal else Level.NOTE, one.repaired)


@rule("spf/answer-too-large")
def answer_too_large(records: SpfRecords, *, warn: int = 512, note: int = 450) -> Findings:
    if not records.texts:
        raise NotApplicable(f"{records.name} has no SPF record")
    for text in records.texts:
        if len(text) > note:  # RFC 7208 section 3.4
            level = None if len(text) > warn else Level.NOTE
            yield Problem(
                f"the record has {len(text)} octets, over {warn if level is None else note}", records.where(text=text), level
            )
    if records.answer_size > _UDP:
        said = f"the answer with all {len(records.txt)} TXT records of {records.name}"
        yield Problem(f"{said} has {records.answer_size} octets, over {_UDP}", Where(name=records.name, type="TXT"))


# --- the tree ----------------------------------------------------------------------------------------------------


@rule("spf/too-many-lookups")
def too_many_lookups(tree: SpfTree) -> Findings:
    if tree.root.endless:
        for node, branch in _terms(tree):
            if branch.loop:
                message = (
                    f"{branch.term.text} at {node.name} leads back to {branch.target}, so the evaluation ends only at the limit"
                )
                yield Problem(message, node.where(branch.term))
    elif tree.lookups > MAX_LOOKUPS:  # RFC 7208 section 4.6.4
        spent = _listed(f"{one.term.text} {one.lookups}" for one in tree.spenders)
        message = f"{tree.count} terms need DNS, the limit is {MAX_LOOKUPS}: {spent}"
        yield Problem(message, tree.root.where(tree.spenders[0].term))
    else:
        yield from _unread(tree)


@rule("spf/near-limit")
def near_limit(tree: SpfTree, *, info_from: int = 8) -> Findings:
    if tree.root.endless or tree.lookups > MAX_LOOKUPS:
        raise NotApplicable("the limit is passed, see spf/too-many-lookups")
    if not tree.root.counted:
        yield from _unread(tree)
    elif tree.lookups >= info_from:
        spent = _listed(f"{one.term.text} {one.lookups}" for one in tree.spenders)
        message = f"{tree.lookups} terms need DNS, the limit is {MAX_LOOKUPS}: {spent}"
        yield Problem(message, tree.root.where(tree.spenders[0].term))


@rule("spf/void-lookups")
def void_lookups(tree: SpfTree) -> Findings:
    if tree.root.voids > MAX_VOIDS:  # RFC 7208 section 4.6.4; for whom nothing matches before
        places = [(node, branch) for node, branch in _terms(tree) if branch.void]
        names = _listed(f"{void.name} ({branch.term.text})" for _, branch in places for void in branch.void)
        at_least = "" if tree.complete else "at least "
        message = f"{at_least}{tree.root.voids} look-ups find nothing, the limit is {MAX_VOIDS}: {names}"
        yield Problem(message, places[0][0].where(places[0][1].term))
    elif not tree.complete:
        yield from map(_undetermined, tree.unanswered)


@rule("spf/mx-too-many-addresses")
def mx_too_many_addresses(tree: SpfTree) -> Findings:
    for node, branch in _terms(tree):
        if len(branch.hosts) > MAX_MX:  # RFC 7208 section 4.6.4
            message = f"{branch.term.text} finds {len(branch.hosts)} MX records at {branch.target}, the limit is {MAX_MX}"
            yield Problem(message, node.where(branch.term))
        elif branch.term.name == "mx":
            yield from (_undetermined(each) for each in branch.unanswered if each.question.type == "MX")
    yield from _unread(tree)


@rule("spf/broken-include")
def broken_include(tree: SpfTree) -> Findings:
    # RFC 7208 sections 5.2 and 6.1: none and permerror of the target are permerror for the whole.
    for node, branch in _terms(tree):
        led = branch.node
        if led is None:
            continue
        if led.state is Led.NONE:
            found = "which has no SPF record"
        elif led.state is Led.SEVERAL:
            found = "which has several SPF records"
        elif led.record is not None and led.record.faults:
            found = f"whose record does not parse: {led.record.faults[0].message}"
        else:
            continue
        yield Problem(f"{branch.term.text} leads to {led.name}, {found}", node.where(branch.term))
    yield from _unread(tree)


# --- whom it lets pass -------------------------------------------------------------------------------------------


def _widths(branch: SpfBranch) -> Iterator[tuple[int, int]]:
    """The networks by which a term lets hosts pass, as (IP version, prefix length)."""
    term = branch.term
    if term.network is not None:
        yield term.network.version, term.network.prefixlen
    elif term.name in {"a", "mx"}:
        for version in sorted({ip_address(address).version for address in branch.addresses}):
            length = term.prefix4 if version == 4 else term.prefix6
            if length is not None:
                yield version, length


@rule("spf/passes-everyone")
def passes_everyone(tree: SpfTree) -> Findings:
    for node, branch in tree.passing():
        term = branch.term
        where = node.where(term)
        if term.name == "all":
            yield Problem(f"{term.text} lets every host pass", where)
        elif term.name == "exists" and branch.addresses and not term.letters:
            yield Problem(f"{term.text} has no macro and an address, so it lets every host pass", where)
        else:
            for version, length in _widths(branch):
                if length <= _EVERYONE[version]:
                    yield Problem(f"{term.text} lets 1 in {2**length} of all IPv{version} addresses pass", where)
    yield from _unread(tree)


@rule("spf/wide-range")
def wide_range(tree: SpfTree, *, ip4_max_open_prefix: int = 15, ip6_max_open_prefix: int = 31) -> Findings:
    most = {4: ip4_max_open_prefix, 6: ip6_max_open_prefix}
    for node, branch in tree.passing():
        for version, length in _widths(branch):
            if _EVERYONE[version] < length <= most[version]:
                hosts = f"{2 ** (32 - length):,} addresses" if version == 4 else f"a /{length} of IPv6"
                yield Problem(f"{branch.term.text} lets {hosts} pass", node.where(branch.term), _others(tree, node))
    yield from _unread(tree)


@rule("spf/private-range")
def private_range(tree: SpfTree) -> Findings:
    for node, branch in _terms(tree):
        network = branch.term.network
        if network is not None and is_private_network(network):
            message = f"{branch.term.text} is a private network, which no receiver sees mail from"
            yield Problem(message, node.where(branch.term), _others(tree, node))
    yield from _unread(tree)


@rule("spf/sends-nothing")
def sends_nothing(records: SpfRecords) -> Findings:
    record = _the_record(records)
    if record.faults:
        raise NotApplicable("the record does not parse, see spf/syntax-error")
    if record.redirect is None and not any(term.qualifier == "+" for term in record.evaluated):
        last = record.all
        where = records.where(None if last is None else last.span)
        yield Problem(f"{records.name} is the envelope domain, and its record {record.text} lets no host pass", where)


@rule("spf/ends-neutral")
def ends_neutral(tree: SpfTree) -> Findings:
    *_, last = tree.policies()
    record = last.record
    if record is None or record.redirect is not None:  # redirect= leads nowhere, in a circle, or where only a transaction tells
        yield from _unread(tree)
        return
    end = record.all
    if end is None:  # RFC 7208 section 4.7
        message = f"the record at {last.name} has no all, so hosts that it does not list are neutral"
        yield Problem(message, last.where(), fix=ended(record, OPEN_END))
    elif end.qualifier == "?":
        message = f"{end.text} makes every host that {last.name} does not list neutral"
        yield Problem(message, last.where(end), fix=ended(record, OPEN_END))


@rule("spf/terms-after-all")
def terms_after_all(tree: SpfTree) -> Findings:
    for node in tree.policies():
        record = node.record
        if record is None or record.all is None or not record.ignored:
            continue
        lost = [term for term in record.ignored if term.name != "all"] or record.ignored
        how = "stands beside" if lost[0].name == "redirect" else "stands after" if len(lost) == 1 else "stand after"
        verb = "is" if len(lost) == 1 else "are"
        message = f"{_listed(term.text for term in lost)} {how} {record.all.text} and {verb} ignored"
        yield Problem(message, node.where(lost[0]), fix=_all_last(record, record.all))


def _all_last(record: SpfRecord, end: Term) -> str | None:
    """The record with its first all at the end; None with redirect=: one of the two must go, and the owner knows which."""
    if any(term.name == "redirect" for term in record.ignored):
        return None
    return ended(record, end.text)


@rule("spf/ptr")
def ptr(tree: SpfTree) -> Findings:
    # RFC 7208 section 5.5: SHOULD NOT be published; %{p} asks the same questions (section 7.3).
    for node in tree.nodes():
        for term in () if node.record is None else node.record.terms:
            if term.name == "ptr" and term.qualifier:
                yield Problem(f"{term.text} asks for the name of each sending address", node.where(term), _others(tree, node))
            elif "p" in term.letters:
                yield Problem(
                    f"{term.text} uses %{{p}}, the name of the sending address", node.where(term), _others(tree, node)
                )
    yield from _unread(tree)


# --- this sender -------------------------------------------------------------------------------------------------


@rule("spf/not-authorised")
def not_authorised(verdict: SpfVerdict, host: SendingHost, records: SpfRecords | Unavailable | NotApplicable) -> Findings:
    if verdict.result is SpfResult.PASS:
        return
    record = records.only if isinstance(records, SpfRecords) and verdict.record_at in {None, records.name} else None
    why = verdict.reason or (
        "it has no SPF record" if verdict.result is SpfResult.NONE else verdict.mechanism or "nothing matches"
    )
    message = f"{host.ip} gets {verdict.result} for {verdict.domain}: {why}"
    place = None
    if record is not None:
        spans = [*(term.span for term in record.terms), *(fault.whole for fault in record.faults)]
        place = next((span for span in spans if record.text[slice(*span)] == verdict.mechanism), None)
    text = None if record is None else record.text
    where = Where(name=verdict.record_at or verdict.domain, type="TXT", record=text, span=place)
    fix = None
    if record is not None and verdict.result in {SpfResult.FAIL, SpfResult.SOFTFAIL, SpfResult.NEUTRAL}:
        fix = with_term(record, f"ip{host.ip.version}:{host.ip}", first=True)
    yield Problem(message, where, fix=fix)


@rule("spf/undetermined")
def undetermined(given: SpfAnswer, tree: SpfTree | Unavailable | NotApplicable) -> Findings:
    missing = [Unanswered(given.question, given.answer)] if isinstance(given.answer, Failed) else []
    missing += tree.unanswered if isinstance(tree, SpfTree) else ()
    for one in missing:
        # An answer that says the zone is broken is a finding. Silence or a refusal may as well be our side of the network.
        if one.failed.kind in {Failure.SERVFAIL, Failure.BOGUS}:
            where = Where(name=one.question.name, type=one.question.type)
            yield Problem(f"{one.question} is answered with {one.failed}", where)
        else:
            yield _undetermined(one)


@rule("spf/hard-fail-without-dkim")
def hard_fail_without_dkim(records: SpfRecords, dmarc: DmarcVerdict) -> Findings:
    # RFC 9989 section 7.1: receivers may refuse at -all before they look at DMARC, and then nothing reports it.
    end = _the_record(records).all
    if end is None or end.qualifier != "-" or dmarc.policy not in {"quarantine", "reject"}:
        return
    if dmarc.dkim_aligned is None:
        yield Undetermined("whether an aligned DKIM signature passes is not known")
    elif not dmarc.dkim_aligned:
        message = f"{records.name} ends in {end.text}, the DMARC policy is {dmarc.policy}, and no aligned DKIM signature passes"
        yield Problem(message, records.where(end.span))
