"""Rules about TLS: of the session that carries the mail, and of the mail that the domain receives (replies, bounces, reports).

Catalogue T091: no provider asks a sender for MTA-STS, TLS-RPT or DANE, so their absence is no finding; what is
published must work.
"""

from ..engine import rule
from ..facts.dane import DaneRecords, HostTlsa, MxCertificates
from ..facts.dnssec import ResolverValidates
from ..facts.hosts import MxNames
from ..facts.inbound_tls import MtaStsFetched, MtaStsRecords, MxGreetings, TlsRptRecords
from ..facts.roots import Session
from ..model import Findings, Level, NotApplicable, ProbeFailed, Problem, Unavailable, Undetermined, Where
from ..records.tlsa import DANE_TA, Tlsa, TlsaError, fits, parse
from ..records.transport import MAX_AGE_LOW, TransportError, parse_mta_sts, parse_tls_rpt
from ..records.zonetext import txt_line
from ..saying import shortened


def _at(name: str, record: str | None = None, span: tuple[int, int] | None = None) -> Where:
    return Where(name=name, type="TXT", record=record, span=span)


@rule("tls/bad-mta-sts-record")
def bad_mta_sts_record(records: MtaStsRecords) -> Findings:
    if not records.texts:
        raise NotApplicable("the domain has no MTA-STS record, and none is asked of senders")
    if len(records.texts) > 1:  # RFC 8461 section 3.1: then senders must assume there is no policy
        yield Problem(f"{len(records.texts)} MTA-STS records, so none counts", _at(records.name, records.texts[1]))
        return
    try:
        parse_mta_sts(records.texts[0])
    except TransportError as error:
        fix = txt_line(records.name, "v=STSv1; id=20261123T120000")
        yield Problem(error.message, _at(records.name, records.texts[0], error.span), fix=fix)


@rule("tls/mta-sts-policy-unreachable")
def mta_sts_policy_unreachable(records: MtaStsRecords, fetched: MtaStsFetched) -> Findings:
    if len(records.texts) != 1:
        raise NotApplicable("no MTA-STS record announces a policy")
    where = _at(records.name, records.texts[0])
    answer = fetched.answer
    if isinstance(answer, ProbeFailed):
        if answer.is_evidence:
            yield Problem(f"{fetched.url} cannot be fetched: {answer}", where)
        else:
            yield Undetermined(f"{fetched.url}: {answer}", where)
    elif 300 <= answer.status < 400:  # RFC 8461 section 3.3: redirects MUST NOT be followed
        yield Problem(f"{fetched.url} redirects to {shortened(answer.header('location') or 'nowhere', _LONGEST_SHOWN)}", where)
    elif answer.status != 200:
        yield Problem(f"{fetched.url} answers {answer.status}", where)
    elif (answer.header("content-type") or "").partition(";")[0].strip().lower() != "text/plain":
        yield Problem(f"{fetched.url} is served as {answer.header('content-type') or 'no type'}", where, Level.NOTE)


@rule("tls/bad-mta-sts-policy")
def bad_mta_sts_policy(records: MtaStsRecords, fetched: MtaStsFetched, mx: MxNames | Unavailable) -> Findings:
    policy = fetched.policy
    if policy is None:
        raise NotApplicable("no MTA-STS policy was found")
    where = _at(records.name, records.texts[0])
    for fault in policy.faults:
        yield Problem(f"in {fetched.url} {fault}", where)
    if policy.max_age is not None and policy.max_age < MAX_AGE_LOW:
        yield Problem(f"in {fetched.url} max_age is {policy.max_age} s, under a day", where, Level.WARNING)
    if policy.mode not in {"enforce", "testing"} or not policy.mx:
        return
    if isinstance(mx, Unavailable):
        yield Undetermined(mx.reason, where)
        return
    for host in mx.names:
        if not policy.covers(host):  # T092: the wildcard covers one label
            yield Problem(f"no mx in {fetched.url} covers the MX host {host}", where, fix=f"mx: {host}")


@rule("tls/bad-tls-rpt-record")
def bad_tls_rpt_record(records: TlsRptRecords) -> Findings:
    if not records.texts:
        raise NotApplicable("the domain has no TLS-RPT record, and none is asked of senders")
    if len(records.texts) > 1:  # RFC 8460 section 3
        yield Problem(f"{len(records.texts)} TLS-RPT records, so none counts", _at(records.name, records.texts[1]))
        return
    try:
        parse_tls_rpt(records.texts[0])
    except TransportError as error:
        domain = records.name.removeprefix("_smtp._tls.")
        fix = txt_line(records.name, f"v=TLSRPTv1; rua=mailto:tls-reports@{domain}")
        yield Problem(error.message, _at(records.name, records.texts[0], error.span), fix=fix)


@rule("tls/mx-without-tls")
def mx_without_tls(greetings: MxGreetings) -> Findings:
    if not greetings.each:
        raise NotApplicable("the domain has no MX host")
    for host, answer in greetings.each:
        where = Where(name=host, type="MX")
        if isinstance(answer, ProbeFailed):
            yield Undetermined(f"{host}: {answer}", where)
        elif answer.tls is None:
            yield Problem(f"the MX host {host} does not offer STARTTLS", where)
        elif answer.certificate_fault is not None:
            yield Problem(f"the certificate of the MX host {host} is not valid: {answer.certificate_fault}", where)


# --- the session that carries the mail ---------------------------------------------------------------------------

_OLD = {"SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"}  # RFC 8996: TLS 1.0 and 1.1 MUST NOT be used
_LONGEST_SHOWN = 200  # characters of an address in a message
_UNSAID = "how TLS was used was not said (--tls)"


@rule("tls/sent-without-tls")
def sent_without_tls(session: Session) -> Findings:
    if session.tls is None:
        raise NotApplicable(_UNSAID)
    if session.tls == "none":
        yield Problem(f"the session from {session.ip} does not use TLS")


@rule("tls/obsolete-version")
def obsolete_version(session: Session) -> Findings:
    if session.tls is None or session.tls == "none":
        raise NotApplicable(_UNSAID if session.tls is None else "the session does not use TLS")
    if session.tls in _OLD:
        yield Problem(f"the session from {session.ip} uses {session.tls}")


# --- DANE --------------------------------------------------------------------------------------------------------


def _tlsa_at(host: HostTlsa, record: str | None = None) -> Where:
    return Where(name=host.name, type="TLSA", record=record)


def _parsed(text: str) -> Tlsa | str:
    """A record, or why it is none that SMTP can use."""
    try:
        record = parse(text)
    except TlsaError as error:
        return error.message
    return record.fault or record


@rule("tls/unusable-dane")
def unusable_dane(dane: DaneRecords, resolver: ResolverValidates | Unavailable) -> Findings:
    if not any(one.records for one in dane.each):
        raise NotApplicable("no MX host has TLSA records, and none are asked of senders")
    for host in dane.each:
        if isinstance(host.records, Unavailable):
            yield Undetermined(host.records.reason, _tlsa_at(host))
            continue
        read = {text: _parsed(text) for text in host.records}
        faults = {text: fault for text, fault in read.items() if isinstance(fault, str)}
        for text, fault in faults.items():
            # Beside a usable record one that is not does no harm (RFC 7672 section 3.1): a note.
            yield Problem(
                f"{fault}, so the TLSA record counts for nothing",
                _tlsa_at(host, text),
                None if len(faults) == len(read) else Level.NOTE,
            )
        if not host.records or host.secure:
            continue
        if isinstance(resolver, Unavailable):
            yield Undetermined(resolver.reason, _tlsa_at(host))
        elif not resolver.validates:
            yield Undetermined(
                "the name server asked does not validate DNSSEC, so nothing shows whether the records are signed",
                _tlsa_at(host),
            )
        else:  # RFC 7672 section 2.1.1: only secure answers count
            yield Problem(
                f"the zone of {host.host} is not signed with DNSSEC, so its TLSA records count for nothing",
                _tlsa_at(host, host.records[0]),
            )


@rule("tls/dane-mismatch")
def dane_mismatch(dane: DaneRecords, shown: MxCertificates) -> Findings:
    seen = False
    for host in dane.each:
        if isinstance(host.records, Unavailable) or not host.secure:
            continue
        usable = [record for record in map(_parsed, host.records) if isinstance(record, Tlsa)]
        if not usable:
            continue
        seen = True
        chain = shown.of(host.host)
        where = _tlsa_at(host, usable[0].text)
        if isinstance(chain, Unavailable):
            yield Undetermined(chain.reason, where)
        elif not any(fits(record, chain) for record in usable):
            if len(chain) == 1 and any(record.usage == DANE_TA for record in usable):
                yield Undetermined(
                    f"{host.host} showed no more than its own certificate, and a TLSA record is about the one above", where
                )
            else:
                yield Problem(f"the certificate of {host.host} fits none of its {len(usable)} usable TLSA records", where)
    if not seen:
        raise NotApplicable("no MX host has TLSA records that are signed and usable")
