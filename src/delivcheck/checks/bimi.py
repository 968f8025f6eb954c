"""Rules about BIMI: the assertion record, what DMARC must ask for beside it, the logo and its certificate.

Nobody asks a sender for BIMI (catalogue T093): no record, or one that declines, is no finding. What is published must work, or
the logo is not shown. Sections are those of draft-brand-indicators-for-message-identification-14.
"""

from collections.abc import Iterator
from datetime import timedelta

from ..engine import rule
from ..facts.alignment import Alignment
from ..facts.bimi import (
    NO_RECORD,
    BimiAssertion,
    BimiCertificate,
    BimiLogo,
    BimiRecords,
    BimiSelector,
    Fetched,
    MarkAuthorities,
    record_name,
)
from ..facts.dmarc_discovery import DmarcDiscovery, DmarcWalk, Visit
from ..facts.roots import Now
from ..facts.verdicts import DkimVerdicts
from ..mime.message import Message
from ..model import (
    Finding,
    Findings,
    HttpAnswer,
    Level,
    NotApplicable,
    ProbeFailed,
    ProbeFault,
    Problem,
    Unavailable,
    Undetermined,
    Where,
)
from ..records.bimi import BimiSyntaxError, parse, parse_selector
from ..records.dmarc import DmarcRecord, Policy, published
from ..records.logotype import Logotype, LogotypeError
from ..records.mark_certificate import MarkCertificate, MarkCertificateError, Root, Standing
from ..records.names import psl_organizational_domain
from ..records.svg_tiny_ps import MAX_OCTETS, Logo, SvgError, unpack
from ..saying import listed, shortened
from .coverage import coverage, from_author

_LONGEST_NAME = 100  # characters of a certificate's name in a message
EXPIRES_SOON = timedelta(days=14)  # checkdmarc warns as early; to issue a mark certificate takes days
_NOTES = {"doctype", "no-view-box"}  # kinds of faults in a logo that we know no receiver to refuse


# --- the record --------------------------------------------------------------------------------------------------


@rule("bimi/bad-record")
def bad_record(records: BimiRecords) -> Findings:
    for name, text in records.near:
        try:
            parse(text)
        except BimiSyntaxError as error:
            where = Where(name=name, type="TXT", record=text, span=error.span)
            yield Problem(f"receivers pass over the record at {name}: {error.message}", where)
    if not records.texts:
        if not records.near:
            raise NotApplicable(NO_RECORD)
        return
    if len(records.texts) > 1:  # section 7.2: then "BIMI processing MUST NOT be performed"
        yield Problem(f"{len(records.texts)} BIMI records at {records.name}, so none counts", records.where(records.texts[1]))
        return
    try:
        parse(records.texts[0])
    except BimiSyntaxError as error:
        yield Problem(error.message, records.where(records.texts[0], error.span))


@rule("bimi/no-certificate")
def no_certificate(assertion: BimiAssertion) -> Findings:
    _shows_a_logo(assertion)
    if not assertion.record.evidence:
        yield Problem("the BIMI record names no mark certificate", assertion.where("a"))


def _shows_a_logo(assertion: BimiAssertion) -> None:
    if not assertion.record.location:
        raise NotApplicable("the BIMI record names no logo" if assertion.record.evidence else "the BIMI record declines BIMI")


@rule("bimi/dmarc-not-enforced")
def dmarc_not_enforced(assertion: BimiAssertion, walk: DmarcWalk, discovery: DmarcDiscovery) -> Findings:
    _shows_a_logo(assertion)
    if discovery.record is None:
        yield Problem(f"the domain has a BIMI record, and no DMARC record applies to {discovery.domain}", discovery.at)
        return
    # Section 7.1 asks it of both: "the Author Domain or Author Organizational Domain"
    domains = [discovery.domain, discovery.found_at, psl_organizational_domain(discovery.domain)]
    if isinstance(discovery.organizational_domain, Unavailable):
        yield Undetermined(discovery.organizational_domain.reason, discovery.organizational_domain.where)
    else:
        domains.append(discovery.organizational_domain)
    for visit in walk.visits:
        if visit.domain not in domains:
            continue
        if visit.failure is not None:
            yield Undetermined(f"no answer for {visit.question}: {visit.failure}", visit.where())
        elif visit.record is not None:
            yield from _too_weak(visit, visit.record)


def _too_weak(visit: Visit, record: DmarcRecord) -> Iterator[Problem]:
    """What keeps logos away in one DMARC record (section 7.1 steps 7 to 9)."""
    asked = record.policies
    if asked is None or (asked[0] is Policy.NONE and record.p is not Policy.NONE):  # RFC 9989 section 4.10.1
        yield Problem(f"the DMARC record of {visit.domain} has no policy that counts", visit.where(record.text))
    for name, policy in (("p", record.p), ("sp", record.sp)):
        tag = record.tags.get(name)
        if policy is Policy.NONE and tag is not None:
            stronger = f"{record.text[: tag.span[0]]}quarantine{record.text[tag.span[1] :]}"
            what = f"{name}=none in the DMARC record of {visit.domain}"
            yield Problem(what, visit.where(record.text, tag.whole), fix=published(visit.domain, stronger))
    if record.testing and (tag := record.tags.get("t")) is not None:
        yield Problem(f"t=y in the DMARC record of {visit.domain}", visit.where(record.text, tag.whole))
    for tag in record.removed:  # catalogue T094: without the tag all is well
        # Step 9 asks it with p=quarantine; Gmail's page with p=reject, too
        if tag.name == "pct" and tag.value.isascii() and tag.value.isdigit() and int(tag.value[:9]) < 100:
            yield Problem(f"pct={tag.value[:9]} in the DMARC record of {visit.domain}", visit.where(record.text, tag.whole))


# --- the logo ----------------------------------------------------------------------------------------------------


def _not_fetched(fetched: Fetched, where: Where) -> Iterator[Finding]:
    """Why a file could not be had; nothing where it could."""
    answer = fetched.answer
    if isinstance(answer, ProbeFailed):
        if answer.is_evidence:  # section 7.5 step 2
            yield Problem(f"{fetched.url} cannot be fetched: {answer}", where)
        elif answer.fault is not ProbeFault.TOO_LARGE:
            yield Undetermined(f"{fetched.url}: {answer}", where)
    elif fetched.refused is not None:
        yield Problem(f"{fetched.url} {fetched.refused}", where)
    elif answer.status != 200:
        yield Problem(f"{fetched.url} answers {answer.status}", where)


def _too_large(fetched: Fetched) -> str | None:
    """How much a file is at least, where the probe gave up reading it."""
    answer = fetched.answer
    return answer.detail if isinstance(answer, ProbeFailed) and answer.fault is ProbeFault.TOO_LARGE else None


@rule("bimi/logo-unreachable")
def logo_unreachable(assertion: BimiAssertion, found: BimiLogo) -> Findings:
    where, answer = assertion.where("l"), found.fetched.answer
    yield from _not_fetched(found.fetched, where)
    if found.fetched.body is not None and isinstance(answer, HttpAnswer):
        media_type = (answer.header("content-type") or "").partition(";")[0].strip()
        if media_type.lower() != "image/svg+xml":
            yield Problem(f"{found.fetched.url} is served as {media_type[:80] or 'no type'}", where, Level.NOTE)


@rule("bimi/bad-logo")
def bad_logo(assertion: BimiAssertion, found: BimiLogo, *, max_octets: int = MAX_OCTETS) -> Findings:
    where, url = assertion.where("l"), found.fetched.url
    large = _too_large(found.fetched)
    if large is not None:
        yield Problem(f"the logo {url} is too large to read: {large}", where)
    elif found.logo is None:
        raise NotApplicable("the logo could not be fetched")
    elif isinstance(found.logo, SvgError):
        yield Problem(_in_line(f"the logo {url} is no SVG: {found.logo.message}", found.logo.line), where)
    else:
        size = len(found.logo.octets)
        if size > max_octets:
            unpacked = " unpacked" if found.logo.compressed else ""
            yield Problem(f"the logo {url} has {size:,} octets{unpacked}", where)
        for fault in found.logo.faults:
            level = Level.NOTE if fault.kind in _NOTES else None
            yield Problem(_in_line(f"in the logo {url} {fault.message}", fault.line), where, level)


def _in_line(message: str, line: int | None) -> str:
    return message if line is None else f"{message} (line {line})"


# --- the certificate ---------------------------------------------------------------------------------------------


@rule("bimi/bad-certificate")
def bad_certificate(
    assertion: BimiAssertion,
    found: BimiCertificate,
    logo: BimiLogo | NotApplicable,
    authorities: MarkAuthorities,
    now: Now,
    *,
    roots: tuple[str, ...] = (),
) -> Findings:
    where, url = assertion.where("a"), found.fetched.url
    yield from _not_fetched(found.fetched, where)
    mark = found.certificate
    large = _too_large(found.fetched)
    if large is not None:
        yield Undetermined(f"{url} is too large to read: {large}", where)
    elif isinstance(mark, MarkCertificateError):
        yield Problem(f"{url} is no mark certificate: {mark}", where)
    elif mark is not None:
        trusted = (*authorities.roots, *(Root("", "", sha256.lower(), "") for sha256 in roots))
        yield from (Problem(f"in {url} {fault}", where, Level.NOTE) for fault in mark.faults)
        yield from _of_itself(mark, assertion.records, now, where)
        yield from _of_its_issuers(mark, trusted, authorities, now, where)
        yield from _of_its_logo(mark, logo, where)


def _of_itself(mark: MarkCertificate, records: BimiRecords, now: Now, where: Where) -> Iterator[Finding]:
    """Its time, its usage and its names (draft-fetch-validation-vmc-wchuang-11 sections 4 and 5)."""
    if now.time > mark.not_after:
        yield Problem(f"the mark certificate expired on {mark.not_after:%Y-%m-%d}", where)
    elif now.time < mark.not_before:
        yield Problem(f"the mark certificate is not valid before {mark.not_before:%Y-%m-%d}", where)
    elif mark.not_after - now.time < EXPIRES_SOON:
        yield Problem(f"the mark certificate expires on {mark.not_after:%Y-%m-%d}", where, Level.NOTE)
    if not mark.has_usage:
        yield Problem("the certificate has not the key usage of BIMI, 1.3.6.1.5.5.7.3.31", where)
    if not mark.covers((records.author, records.organizational), records.selector):
        shown = listed([shortened(name, _LONGEST_NAME) for name in mark.names], 5)
        yield Problem(f"the mark certificate is for {shown or 'no domain'} and not for {records.author}", where)


def _of_its_issuers(
    mark: MarkCertificate, roots: tuple[Root, ...], authorities: MarkAuthorities, now: Now, where: Where
) -> Iterator[Finding]:
    chain = mark.chain(roots, now.time)
    if chain.standing is Standing.BROKEN:
        yield Problem(f"the chain of the mark certificate is broken: {chain.reason}", where)
    elif chain.standing is Standing.UNKNOWN:
        reason = f"{chain.reason} of {authorities.checked}"
        yield Undetermined(f"whether the mark certificate is accepted is unknown: {reason}", where)


def _of_its_logo(mark: MarkCertificate, logo: BimiLogo | NotApplicable, where: Where) -> Iterator[Finding]:
    if mark.logo is None:
        yield Problem("the mark certificate has no logo", where)
    elif isinstance(mark.logo, LogotypeError):
        yield Problem(f"the logo in the mark certificate cannot be read: {mark.logo}", where)
    elif isinstance(logo, BimiLogo):
        same = _same_logo(mark.logo, logo)
        if same is None:
            yield Undetermined("whether the logo is that of the mark certificate could not be found out", where)
        elif not same:
            yield Problem(f"the logo {logo.fetched.url} is not the one in the mark certificate", where)


def _same_logo(certified: Logotype, published: BimiLogo) -> bool | None:
    """Whether they are the same; None where one of them is not there to compare.

    The hash is that of the unpacked SVG with LF line ends (RFC 6170 section 5.2); some issuers took the file as it was.
    """
    served = published.fetched.body
    if served is None or (not certified.hashes and certified.embedded is None):
        return None
    logo = published.logo if isinstance(published.logo, Logo) else Logo(served)
    if any(certified.is_of(octets) for octets in (logo.canonical, logo.octets, served)):
        return True
    try:
        return certified.embedded is not None and Logo(unpack(certified.embedded)).canonical == logo.canonical
    except SvgError:
        return False


# --- the message -------------------------------------------------------------------------------------------------


@rule("bimi/selector-header")
def selector_header(
    message: Message,
    selector: BimiSelector,
    dkim: DkimVerdicts,
    alignment: Alignment | NotApplicable,
    records: BimiRecords | NotApplicable | Unavailable,
) -> Findings:
    fields = message.all("bimi-selector")
    if not fields:
        raise NotApplicable("the message has no BIMI-Selector field")
    if len(fields) > 1:
        yield Problem(f"BIMI-Selector stands there {len(fields)} times", fields[1].at)
        return
    field = fields[0]
    try:
        parse_selector(field.text)
    except BimiSyntaxError as error:  # then receivers use the default record (appendix "Invalid BIMI-Selector Header")
        start, end = error.span
        yield Problem(f"BIMI-Selector is ignored: {error.message}", field.where(start, end) if start < end else field.at)
        return
    if isinstance(records, BimiRecords) and not records.texts:
        yield Problem(f"there is no BIMI record at {record_name(selector.name, records.author)}", field.at)
    elif isinstance(records, Unavailable):
        yield Undetermined(records.reason, records.where)
    # "If it is not included in the DMARC-compliant DKIM signature, the header SHOULD be ignored" (section 5.5)
    found = coverage(dkim, ["bimi-selector"])
    signed = isinstance(alignment, Alignment) and from_author((*found.passing, *found.unknown), alignment)
    if isinstance(signed, Undetermined):
        yield signed
    elif not signed:
        yield Problem("no passing signature of the From domain covers BIMI-Selector", field.at)
