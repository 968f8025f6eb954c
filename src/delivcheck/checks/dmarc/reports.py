"""Rules about report addresses: is there one, is it written well, may it and can it take reports."""

from ...engine import rule
from ...facts.dmarc import Destination, ReportDestinations
from ...facts.dmarc_discovery import DmarcDiscovery
from ...model import Findings, Level, Problem, Unavailable, Undetermined
from ...records.dmarc import parse, published
from ...records.names import psl_organizational_domain
from ...records.zonetext import txt_line
from . import at, tag_span, the_record


@rule("dmarc/no-reports")
def no_reports(discovery: DmarcDiscovery) -> Findings:
    domain, record = the_record(discovery)
    if record.has_report_address:
        return
    rua = record.tags.get("rua")
    what = "the record has no rua=" if rua is None else "rua= has no address that is a URI"
    added = f"{record.text.rstrip(' ;')}; rua=mailto:postmaster@{psl_organizational_domain(domain)}"
    fix = published(domain, added) if rua is None else None
    yield Problem(f"{what}, so receivers send no reports", at(discovery, tag_span(record, "rua")), fix=fix)


@rule("dmarc/bad-report-uri")
def bad_report_uri(discovery: DmarcDiscovery) -> Findings:
    domain, record = the_record(discovery)
    for name, uris in (("rua", record.rua), ("ruf", record.ruf)):
        for uri in uris:
            if uri.fault is None:
                continue
            start, end = uri.span
            with_scheme = f"{record.text[:start]}mailto:{uri.text}{record.text[end:]}"
            mended = [one.fault for one in getattr(parse(with_scheme), name) if one.text == f"mailto:{uri.text}"] == [None]
            yield Problem(
                f"{name}= has {uri.fault}, so receivers ignore it",
                at(discovery, uri.span),
                fix=published(domain, with_scheme) if mended else None,
            )


@rule("dmarc/external-reports-not-authorised")
def external_reports_not_authorised(discovery: DmarcDiscovery, destinations: ReportDestinations) -> Findings:
    about = destinations.policy_domain
    told: set[str] = set()
    for one in destinations.each:
        if isinstance(one.authorized, Unavailable):
            yield Undetermined(one.authorized.reason, one.authorized.where)
        elif not one.authorized and one.host not in told:
            told.add(one.host)
            # Receivers that go by RFC 7489 see one organization here and ask for no agreement
            related = psl_organizational_domain(one.host) == psl_organizational_domain(about)
            yield Problem(
                f"{one.host} has not agreed to take reports about {about}: no v=DMARC1 at {one.question.name}",
                at(discovery, one.uri.span),
                Level.NOTE if related else None,
                txt_line(one.question.name, "v=DMARC1"),
            )
        elif one.redirected:
            message = f"{one.question.name} sends reports on to {one.redirected}, which is not allowed, so they go nowhere"
            yield Problem(message, at(discovery, one.uri.span))
    for host in destinations.left_out:
        yield Undetermined(f"{host} was not looked up: the record names too many report hosts")


@rule("dmarc/report-mailbox-unreachable")
def report_mailbox_unreachable(discovery: DmarcDiscovery, destinations: ReportDestinations) -> Findings:
    for one in destinations.each:
        if isinstance(one.receives, Unavailable):
            yield Undetermined(one.receives.reason, one.receives.where)
        elif one.receives is False:
            yield Problem(f"reports to {one.uri.address} bounce: {_why(one)}", at(discovery, one.uri.span))
    for host in destinations.left_out:
        yield Undetermined(f"{host} was not looked up: the record names too many report hosts")


def _why(one: Destination) -> str:
    return f"{one.host} takes no mail (null MX)" if one.null_mx else f"{one.host} has neither MX nor address"
