"""Rules about the policy record: is there one, does it count, what does it ask for."""

from collections.abc import Iterator

from ...engine import rule
from ...facts.dmarc import MisplacedRecords
from ...facts.dmarc_discovery import DmarcDiscovery, DmarcWalk, Visit
from ...model import Findings, Level, NotApplicable, Problem, Unavailable, Undetermined, Where
from ...records.dmarc import DmarcRecord, DmarcSyntaxError, Policy, parse, published, resembles, select
from ...records.names import psl_organizational_domain
from ...records.tags import scan_tags
from . import at, tag_span, the_record

POLICY_TAGS = ("p", "sp", "np")


def suggested(domain: str) -> str:
    """The record to begin with; postmaster is the one mailbox that every domain has (RFC 5321 section 4.5.1)."""
    return published(domain, f"v=DMARC1; p=none; rua=mailto:postmaster@{domain}")


def _unanswered(walk: DmarcWalk) -> Iterator[Undetermined]:
    """The questions whose answers could have been the record: none where the author domain has its own."""
    for visit in walk.ours:
        if visit.failure is not None and not _has_own(walk):
            yield Undetermined(f"no answer for {visit.question}: {visit.failure}", visit.where())


def _has_own(walk: DmarcWalk) -> bool:
    return walk.visit(walk.domain).record is not None


def _level(walk: DmarcWalk, visit: Visit) -> Level | None:
    """What a record that does not count is worth: a warning where the policy comes from the author domain's own record."""
    return Level.WARNING if _has_own(walk) and visit.domain != walk.domain else None


@rule("dmarc/no-record")
def no_record(discovery: DmarcDiscovery) -> Findings:
    # A record inherited from the organizational domain counts, which is why this looks at discovery and not at one name.
    if discovery.record is None:
        registered = psl_organizational_domain(discovery.domain)
        above = "" if discovery.domain == registered else f", nor at the names above it down to _dmarc.{registered}"
        yield Problem(
            f"no DMARC record that counts at _dmarc.{discovery.domain}{above}", discovery.at, fix=suggested(registered)
        )


@rule("dmarc/wrong-version")
def wrong_version(walk: DmarcWalk) -> Findings:
    for visit in walk.ours:
        for text in visit.texts:
            if select([text]) or not resembles(text):
                continue  # other TXT records at the name are nobody's business (catalogue T053)
            try:
                parse(text)
            except DmarcSyntaxError as error:
                yield Problem(
                    f"receivers pass over the record at {visit.question.name}: {error.message}",
                    visit.where(text, error.span),
                    # a second record that counts makes this one a leftover
                    Level.NOTE if visit.records else _level(walk, visit),
                    published(visit.domain, _with_version_first(text)),
                )
    yield from _unanswered(walk)


def _with_version_first(text: str) -> str:
    """The same tags as a record that counts."""
    tags = scan_tags(text.strip(" \t\"'“”"), fold_names=True)
    version = tags.value("v") or ""
    # "v=DMARC1 p=none": without the semicolon the rest became part of the version
    swallowed = version[len("DMARC1") :].strip(" \t,:") if version.upper().startswith("DMARC1") else ""
    return "; ".join(["v=DMARC1", *filter(None, [swallowed, tags.without("v")])])


@rule("dmarc/several-records")
def several_records(walk: DmarcWalk) -> Findings:
    for visit in walk.ours:
        if len(visit.records) > 1:
            yield Problem(
                f"{len(visit.records)} DMARC records at {visit.question.name}, so that none of them counts",
                visit.where(visit.records[1], (0, len(visit.records[1]))),
                _level(walk, visit),
            )
    yield from _unanswered(walk)


@rule("dmarc/no-policy")
def no_policy(discovery: DmarcDiscovery) -> Findings:
    domain, record = the_record(discovery)
    if "p" in record.tags:
        return
    version = record.tags.tags[0].whole
    rest = record.tags.without("v")
    fix = published(domain, f"v=DMARC1; p=none; {rest}" if rest else "v=DMARC1; p=none")
    if record.policies is None:
        # "Otherwise, the Mail Receiver applies no DMARC processing to this message" (RFC 9989 section 4.10.1)
        yield Problem(
            "the record has neither p= nor a report address, so no DMARC applies", at(discovery, version), Level.ERROR, fix
        )
    else:
        yield Problem("the record has no p=, which receivers take for p=none", at(discovery, version), fix=fix)


@rule("dmarc/invalid-tag")
def invalid_tag(discovery: DmarcDiscovery) -> Findings:
    _, record = the_record(discovery)
    for fault in record.faults:
        if fault.kind == "uri":
            continue  # dmarc/bad-report-uri
        message, level = fault.message, None
        if fault.tag in POLICY_TAGS:
            # the whole record then counts as p=none, or not at all (RFC 9989 section 4.10.1)
            message += ", so no DMARC applies" if record.policies is None else ", so receivers act as if the record said p=none"
        elif fault.kind == "empty" or (fault.tag == "fo" and not record.ruf):
            level = Level.NOTE  # nothing is lost: fo "MUST be ignored if a ruf tag is not also specified" (section 4.7)
        yield Problem(message, at(discovery, fault.span), level)


@rule("dmarc/monitoring-only")
def monitoring_only(discovery: DmarcDiscovery) -> Findings:
    _, record = the_record(discovery)
    if isinstance(discovery.policy, Unavailable):
        raise discovery.policy
    if discovery.policy is None:
        raise NotApplicable("the record brings no DMARC processing")
    if discovery.policy is Policy.NONE:
        tag = _deciding_tag(discovery, record)
        how = f" by {record.text[slice(*tag)]}" if tag else ""
        yield Problem(f"the policy for {discovery.domain} comes to none{how}", at(discovery, tag))


def _deciding_tag(discovery: DmarcDiscovery, record: DmarcRecord) -> tuple[int, int] | None:
    """The tag that the policy comes from; none where a missing or invalid one made it so."""
    asked = record.policies
    assert asked is not None
    inherited = discovery.found_at != discovery.domain
    names = (("np", "sp", "p") if discovery.exists is False else ("sp", "p")) if inherited else ("p",)
    values = dict(zip(POLICY_TAGS, asked, strict=True))
    name = next(name for name in names if values[name])
    if values[name] is not Policy.NONE:
        name = "t"  # it only came to none by one level
    return tag_span(record, name)


@rule("dmarc/removed-tags")
def removed_tags(discovery: DmarcDiscovery) -> Findings:
    domain, record = the_record(discovery)
    text = record.tags.without("pct", "rf", "ri")
    sized = [uri for uri in (*record.rua, *record.ruf) if uri.size_limit]
    for uri in sized:
        text = text.replace(uri.text, uri.text[: -len(uri.size_limit or "") - 1])
    fix = published(domain, text)
    for tag in record.removed:
        yield Problem(f"{tag.name}= was removed from DMARC by RFC 9989", at(discovery, tag.whole), fix=fix)
    for uri in sized:
        start = uri.span[1] - len(uri.size_limit or "") - 1
        yield Problem(
            f"the size limit !{uri.size_limit} was removed from DMARC by RFC 9989", at(discovery, (start, uri.span[1])), fix=fix
        )


@rule("dmarc/weakened")
def weakened(discovery: DmarcDiscovery) -> Findings:
    domain, record = the_record(discovery)
    asked = [policy for policy in (record.p, record.sp, record.np) if policy not in {None, Policy.NONE}]
    if not asked:
        return  # neither has an effect on none (RFC 9989 section 4.7, "t")
    if record.testing:
        what = " and ".join(dict.fromkeys(f"{policy} to {policy.one_below}" for policy in asked if policy))
        yield Problem(
            f"t=y lowers {what}", at(discovery, tag_span(record, "t")), fix=published(domain, record.tags.without("t"))
        )
    percent = record.tags.value("pct") or ""
    if percent.isascii() and percent.isdigit() and int(percent[:9]) < 100:
        message = (
            f"pct={percent[:9]} asks receivers that go by RFC 7489 to apply the policy to {int(percent[:9])} % of the mail"
        )
        yield Problem(message, at(discovery, tag_span(record, "pct")), fix=published(domain, record.tags.without("pct")))


@rule("dmarc/subdomain-weaker")
def subdomain_weaker(discovery: DmarcDiscovery) -> Findings:
    domain, record = the_record(discovery)
    weaker = [
        name for name, policy in (("sp", record.sp), ("np", record.np)) if policy and record.p and policy.rank < record.p.rank
    ]
    if not weaker or record.policies is None:
        return  # a tag that is absent inherits and is never weaker (catalogue T054)
    organizational = discovery.organizational_domain
    if isinstance(organizational, Unavailable):
        raise organizational
    if organizational != domain:
        return  # elsewhere sp and np are ignored (RFC 9989 section 4.7, "sp")
    for name in weaker:
        whom = "sub-domains" if name == "sp" else "sub-domains that do not exist"
        message = f"{name}={getattr(record, name)} leaves {whom} of {domain} with less than p={record.p}"
        yield Problem(message, at(discovery, tag_span(record, name)), fix=published(domain, record.tags.without(name)))


@rule("dmarc/psd-on-ordinary-domain")
def psd_on_ordinary_domain(walk: DmarcWalk) -> Findings:
    for visit in walk.ours:
        record = visit.record
        # a name below a public suffix is registered by itself
        listed = psl_organizational_domain(f"x.{visit.domain}") == f"x.{visit.domain}"
        if record is None or record.psd != "y" or listed:
            continue
        yield Problem(
            f"psd=y declares {visit.domain} a public suffix, so that its sub-domains are strangers to it and to each other",
            visit.where(record.text, tag_span(record, "psd")),
            fix=published(visit.domain, record.tags.without("psd")),
        )
    yield from _unanswered(walk)


@rule("dmarc/misplaced-record")
def misplaced_record(misplaced: MisplacedRecords) -> Findings:
    for domain, question, text in misplaced.found:
        where = Where(name=question.name, type=question.type, record=text, span=(0, len(text)))
        message = f"a DMARC record stands at {question.name}, where nobody looks, and none at _dmarc.{domain}"
        yield Problem(message, where, fix=published(domain, text))
    for domain, text in misplaced.wildcard:
        where = Where(name=f"_dmarc.{domain}", type="TXT", record=text, span=(0, len(text)))
        yield Problem(f"a wildcard below {domain} answers for _dmarc.{domain} with a record that is not DMARC's", where)
    for unknown in misplaced.unknown:
        yield Undetermined(unknown.reason, unknown.where)
