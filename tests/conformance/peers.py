"""pyspf, dkimpy and checkdmarc, each called as its documentation says, over a closed world; and our verdicts in the same words.

pyspf's one hook for DNS is the module's `DNSLookup`, dkimpy takes `dnsfunc`, checkdmarc a `resolver`.
"""

import asyncio
from ipaddress import ip_address

import checkdmarc.dmarc
import checkdmarc.mta_sts
import checkdmarc.smtp_tls_reporting
import checkdmarc.spf
import dkim
import dns.message
import dns.nameserver
import dns.rdatatype
import dns.resolver
import pytest

from delivcheck import catalog
from delivcheck.api import Checker, Options
from delivcheck.engine import Planner, Roots, gather
from delivcheck.facts.dmarc_discovery import DmarcDiscovery
from delivcheck.facts.identity import MailFromDomain, SendingHost
from delivcheck.facts.inbound_tls import MtaStsRecords, TlsRptRecords
from delivcheck.facts.roots import WHY_ABSENT, AuditedDomain
from delivcheck.facts.spf import SpfTree
from delivcheck.facts.spf_verdict import evaluate
from delivcheck.model import Dns, Failed, Found, NotApplicable, Outcome, Unavailable
from delivcheck.net import wire
from delivcheck.policy import load
from delivcheck.records.transport import parse_mta_sts, parse_tls_rpt

EHLO = "out.example.org"
LIFETIME = 0.02  # seconds in which dnspython asks again after a timeout: it has heard all there is


def asked(world, name, kind):
    """The answer of a closed world, which never waits: no event loop for each of some ten thousand questions."""
    try:
        world.ask(name, kind).send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the world waited")


# --- SPF: the words of RFC 7208 section 2.6 ----------------------------------------------------------------------


def pyspf(world, ip, sender, ehlo=EHLO):
    """spf.query(i, s, h).check(), or the name of the exception it lets out."""
    import spf

    def look_up(name, kind, strict, timeout):
        answer = asked(world, name.lower().rstrip("."), kind)
        if isinstance(answer, Failed):
            raise spf.TempError(f"DNS {answer.kind}")
        return [((name, kind), value) for value in answer.records] if isinstance(answer, Found) else []

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spf, "DNSLookup", look_up)
        try:
            return spf.query(ip, sender, ehlo).check()[0]
        except Exception as error:  # noqa: BLE001 -- it declares none
            return type(error).__name__


def our_spf(world, ip, domain, ehlo=EHLO):
    try:
        verdict = asyncio.run(
            evaluate(SendingHost(ip_address(ip), ehlo), MailFromDomain(domain, f"postmaster@{domain}"), world)
        )
    except Unavailable as reason:
        return spf_word(reason)
    return spf_word(verdict)


def spf_word(verdict):
    """Our fact in the RFC's word: what DNS did not answer is a temperror there, and an identity that is no domain is none."""
    if isinstance(verdict, Unavailable):
        return "temperror"
    return "none" if isinstance(verdict, NotApplicable) else str(verdict.result)


# --- DKIM: pass or fail ------------------------------------------------------------------------------------------


def dkimpy(octets, world, index=0):
    """dkim.DKIM(octets).verify(), where an exception that it declares is no pass; or the name of another that it lets out."""

    def get_txt(name, timeout=5):
        answer = asked(world, name.decode("ascii").lower().rstrip("."), "TXT")
        return b"".join(answer.records[0]) if isinstance(answer, Found) else None

    try:
        return "pass" if dkim.DKIM(octets).verify(idx=index, dnsfunc=get_txt) else "fail"
    except dkim.DKIMException:
        return "fail"
    except Exception as error:  # noqa: BLE001 -- what it lets out is a verdict like another
        return type(error).__name__


# --- records: valid (and what it comes to), invalid, absent, unknown ---------------------------------------------


class _World(dns.nameserver.Nameserver):
    """A name server to dnspython; in truth the closed world."""

    def __init__(self, world):
        super().__init__()
        self._world = world

    def __str__(self):
        return "closed"

    def kind(self):
        return "closed"

    def is_always_max_size(self):
        return True

    def answer_nameserver(self):
        return "closed"

    def answer_port(self):
        return 0

    def query(self, request, *_, **__):
        question = request.question[0]
        answer = asked(self._world, wire.name_text(question.name), dns.rdatatype.to_text(question.rdtype))
        return dns.message.from_wire(wire.reply(request, answer).to_wire())


_ABSENT = (
    checkdmarc.spf.SPFRecordNotFound,
    checkdmarc.dmarc.DMARCRecordNotFound,
    checkdmarc.dmarc.DMARCRecordInWrongLocation,
    checkdmarc.mta_sts.MTASTSRecordNotFound,
    checkdmarc.smtp_tls_reporting.SMTPTLSReportingRecordNotFound,
)
_BAD = (
    checkdmarc.spf.SPFError,
    checkdmarc.dmarc.DMARCError,
    checkdmarc.mta_sts.MTASTSError,
    checkdmarc.smtp_tls_reporting.SMTPTLSReportingError,
)


def checkdmarc_of(world, domain):
    """Its word on each kind of record."""
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [_World(world)]
    resolver.lifetime = LIFETIME
    how = {"resolver": resolver, "retries": 0}

    kinds = {
        "spf": (
            checkdmarc.spf.query_spf_record,
            lambda found: _budget(checkdmarc.spf.parse_spf_record(found["record"], domain, **how)["dns_lookups"]),
        ),
        "dmarc": (
            checkdmarc.dmarc.query_dmarc_record,
            lambda found: _tags(checkdmarc.dmarc.parse_dmarc_record(found["record"], found["location"], **how)["tags"]),
        ),
        "mta-sts": (
            checkdmarc.mta_sts.query_mta_sts_record,
            lambda found: checkdmarc.mta_sts.parse_mta_sts_record(found["record"])["tags"]["id"],
        ),
        "tls-rpt": (
            checkdmarc.smtp_tls_reporting.query_smtp_tls_reporting_record,
            lambda found: _uris(checkdmarc.smtp_tls_reporting.parse_smtp_tls_reporting_record(found["record"])["tags"]),
        ),
    }

    def word(query, parse):
        try:
            found = query(domain, **how)
        except _ABSENT:
            return "absent"
        except _BAD:
            return "invalid"
        try:
            return f"valid: {parse(found)}"
        except _BAD:
            return "invalid"

    return {kind: word(query, parse) for kind, (query, parse) in kinds.items()}


def _budget(lookups):
    return f"{lookups} look-ups"


def _tags(tags):
    return " ".join(f"{name}={tags[name]['value']}" for name in ("p", "sp", "np", "adkim", "aspf", "t", "psd"))


def _uris(tags):
    return " ".join(tags["rua"]["value"]).lower()


# The rules that say a record cannot be used, or not as it was meant; and the one that says there is none
_RULES = {
    "spf": (
        "spf/no-record",
        (
            "spf/several-records",
            "spf/syntax-error",
            "spf/malformed-txt",
            "spf/too-many-lookups",
            "spf/void-lookups",
            "spf/mx-too-many-addresses",
            "spf/broken-include",
        ),
    ),
    "dmarc": (
        "dmarc/no-record",
        ("dmarc/several-records", "dmarc/wrong-version", "dmarc/no-policy", "dmarc/invalid-tag", "dmarc/bad-report-uri"),
    ),
    "mta-sts": (None, ("tls/bad-mta-sts-record",)),
    "tls-rpt": (None, ("tls/bad-tls-rpt-record",)),
}
_BOOK = catalog.assemble()
_SMALL = catalog.Catalog(
    {name: _BOOK.rules[name] for absent, bad in _RULES.values() for name in (absent, *bad) if name},
    _BOOK.checks,
    _BOOK.providers,
)


_PLANNER = Planner(_BOOK.providers)


def our_records(world, domain):
    """Our word on each kind of record: what the rules say, and what the facts say it comes to."""
    checker = Checker(Options(load("bulk"), dns=world), _SMALL, shown={})
    outcomes = {result.rule: result.outcome for result in asyncio.run(checker.domain(domain)).results}
    words = {}
    for kind, (absent, bad) in _RULES.items():
        found = [outcomes[name] for name in bad]
        if Outcome.FAIL in found:
            words[kind] = "invalid"
        elif absent is not None and outcomes[absent] is Outcome.FAIL:
            words[kind] = "absent"
        elif Outcome.UNKNOWN in found or (absent is not None and outcomes[absent] is Outcome.UNKNOWN):
            words[kind] = "unknown"
        else:
            words[kind] = f"valid: {_comes_to(kind, world, domain)}" if Outcome.PASS in found else "absent"
    return words


def _comes_to(kind, world, domain):
    roots = Roots(AuditedDomain(domain), (Dns, world), why_absent=WHY_ABSENT)
    wanted = {"spf": SpfTree, "dmarc": DmarcDiscovery, "mta-sts": MtaStsRecords, "tls-rpt": TlsRptRecords}[kind]
    fact = asyncio.run(gather(_PLANNER.plan([wanted], roots), roots))[wanted]
    if kind == "spf":
        return _budget(fact.lookups)
    if kind == "mta-sts":
        return parse_mta_sts(fact.texts[0])
    if kind == "tls-rpt":
        return " ".join(parse_tls_rpt(fact.texts[0]).rua).lower()
    p, sp, np = fact.record.policies
    told = {"p": p, "sp": sp or p, "np": np or sp or p, "adkim": fact.record.adkim, "aspf": fact.record.aspf}
    told |= {"t": "y" if fact.record.testing else "n", "psd": fact.record.psd}
    return _tags({name: {"value": value} for name, value in told.items()})
