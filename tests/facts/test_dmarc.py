"""DMARC facts beside RFC 9989's own examples: cost, RFC 7489 beside it, remedies, report addresses, misplaced records."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from delivcheck.engine import Roots, gather
from delivcheck.facts import tree_walk
from delivcheck.facts.alignment import MAX_IDENTIFIERS, Alignment, Mechanism, OrganizationalDomains
from delivcheck.facts.dmarc import MAX_DESTINATIONS, FreemailDomains, MisplacedRecords, ReportDestinations
from delivcheck.facts.dmarc_discovery import DmarcDiscovery, DmarcWalk
from delivcheck.facts.dmarc_verdict import Change, DmarcRemedy
from delivcheck.facts.hosts import Ehlo, MailHosts, ReverseDns
from delivcheck.facts.verdicts import DmarcResult, DmarcVerdict
from delivcheck.model import NotApplicable, Unavailable
from delivcheck.records.dmarc import Policy
from tests.facts.dmarc_world import PLANNER, Rounds, fact, gathered

RECORD = "v=DMARC1; p=reject"


# --- cost ----------------------------------------------------------------------------------------------------------


def test_the_verdict_takes_one_round_however_many_identifiers_there_are():
    records = {"_dmarc.example.com TXT": RECORD}
    signed = ["mail.example.com", "esp.example", "a.b.c.d.e.f.g.h.example.net"]
    facts, client = gathered(
        records, sender="news.example.com", mail_from="b.esp.example", spf="pass", signed=signed, want=[DmarcVerdict]
    )
    assert facts[DmarcVerdict].result is DmarcResult.PASS
    assert client.rounds == 1


def test_reports_take_one_round_more():
    addresses = ",".join(f"mailto:d@r{index}.example.net" for index in range(5))
    records = {"_dmarc.example.com TXT": f"{RECORD}; rua={addresses}; ruf=https://elsewhere.example/in"}
    facts, client = gathered(records, sender="example.com", want=[ReportDestinations, DmarcDiscovery])
    assert len(facts[ReportDestinations].each) == 6
    assert client.rounds == 2


def test_all_that_is_asked_of_a_domain_and_its_host_takes_two_rounds():
    records = {
        "_dmarc.example.com TXT": f"{RECORD}; rua=mailto:d@reports.example.net",
        "example.com MX": ["10 mx1.example.com", "20 mx2.example.com"],
        "10.2.0.192.in-addr.arpa PTR": ["out1.example.com", "out2.example.com"],
    }
    wanted = [DmarcVerdict, DmarcRemedy, ReportDestinations, MisplacedRecords, MailHosts, ReverseDns, Ehlo]
    host = {"ip": "192.0.2.10", "ehlo": "out1.example.com"}
    facts, client = gathered(records, sender="news.example.com", mail_from="b.esp.example", spf="pass", want=wanted, **host)
    assert not any(isinstance(facts[key], Unavailable) for key in wanted)
    assert client.rounds == 2


def test_a_record_in_place_is_not_looked_for_elsewhere():
    _, client = gathered({"_dmarc.example.com TXT": RECORD}, sender="example.com", want=[MisplacedRecords])
    assert client.rounds == 1


def test_a_name_too_long_to_exist_is_not_asked():
    long = ".".join(["a" * 60] * 4) + ".bc.com"
    assert len(f"_dmarc.{long}") > 253
    facts, client = gathered({}, sender=long, want=[DmarcWalk])
    assert f"_dmarc.{long} TXT" not in client.asked
    assert facts[DmarcWalk].visit(long).record is None


# --- what DNS said -------------------------------------------------------------------------------------------------


def test_a_walk_keeps_what_was_discarded_and_what_was_not_answered():
    records = {
        "_dmarc.a.example.com TXT": ["v=DMARC1; p=none", RECORD, "other"],
        "_dmarc.example.com TXT": "p=none; v=DMARC1",
        "_dmarc.com TXT": "TIMEOUT",
    }
    sub, top, tld = fact(DmarcWalk, records, sender="a.example.com").visits
    assert (len(sub.texts), len(sub.records), sub.record, sub.exists) == (3, 2, None, True)
    assert (top.texts, top.records, top.record) == (("p=none; v=DMARC1",), (), None)
    assert (str(tld.question), str(tld.failure), tld.exists) == ("_dmarc.com TXT", "timeout", None)
    where = top.where(top.texts[0], (0, 6))
    assert (where.name, where.type, where.record, where.span) == ("_dmarc.example.com", "TXT", "p=none; v=DMARC1", (0, 6))


def test_what_stands_above_the_stop_or_above_the_registered_domain_is_not_ours():
    stopped = {"_dmarc.a.example.com TXT": f"{RECORD}; psd=n", "_dmarc.example.com TXT": RECORD}
    assert [visit.domain for visit in fact(DmarcWalk, stopped, sender="a.example.com").ours] == ["a.example.com"]
    open_end = {"_dmarc.example.com TXT": RECORD}
    walk = fact(DmarcWalk, open_end, sender="a.example.com")
    assert [visit.domain for visit in walk.ours] == ["a.example.com", "example.com"]
    assert [visit.domain for visit in walk.reached] == ["a.example.com", "example.com", "com"]


@pytest.mark.parametrize(
    ("records", "exists"),
    [
        ({"a.example.com A": "192.0.2.1"}, True),
        ({"a.example.com MX": "NODATA"}, True),
        ({"_dmarc.a.example.com TXT": "anything"}, True),
        ({"a.example.com CNAME": "nowhere.example.net"}, True),  # the name is there, its target is not
        ({"a.example.com MX": "SERVFAIL", "_dmarc.a.example.com TXT": "anything"}, True),
        ({}, False),
        ({"_dmarc.a.example.com TXT": "TIMEOUT", "a.example.com MX": "NXDOMAIN"}, False),
    ],
)
def test_only_nxdomain_makes_a_domain_non_existent(records, exists):
    assert fact(DmarcWalk, records, sender="a.example.com").author_exists is exists


def test_the_record_is_shown_where_it_stands_or_where_it_is_missed():
    found = fact(DmarcDiscovery, {"_dmarc.example.com TXT": RECORD}, sender="a.example.com")
    assert (found.at.name, found.at.type, found.at.record) == ("_dmarc.example.com", "TXT", RECORD)
    missing = fact(DmarcDiscovery, {}, sender="a.example.com")
    assert (missing.at.name, missing.at.record, missing.record, missing.policy) == ("_dmarc.a.example.com", None, None, None)


@pytest.mark.parametrize("name", ["_dmarc.a.example.com", "_dmarc.example.com"])
def test_a_timeout_where_the_record_could_be_is_unknown_and_names_the_question(name):
    records = {"_dmarc.example.com TXT": RECORD, f"{name} TXT": "TIMEOUT"}
    found = fact(DmarcDiscovery, records, sender="a.example.com")
    assert isinstance(found, Unavailable)
    assert found.reason == f"no answer for {name} TXT: timeout"
    assert (found.where.name, found.where.type) == (name, "TXT")


def test_several_missing_answers_are_counted():
    records = {f"_dmarc.{name} TXT": "SERVFAIL" for name in ("a.example.com", "example.com", "com")}
    assert (
        fact(DmarcDiscovery, records, sender="a.example.com").reason
        == "no answer for _dmarc.a.example.com TXT: servfail and 2 more"
    )


def test_an_own_record_is_found_though_the_organization_is_unknown():
    records = {"_dmarc.a.example.com TXT": RECORD, "_dmarc.example.com TXT": "TIMEOUT"}
    found = fact(DmarcDiscovery, records, sender="a.example.com")
    assert found.policy is Policy.REJECT
    assert isinstance(found.organizational_domain, Unavailable)


# --- RFC 7489 beside it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "records", "author", "signed", "result", "rfc7489"),
    [
        ("both agree", {"_dmarc.example.com TXT": RECORD}, "a.example.com", "example.com", "pass", "pass"),
        (
            "the parent has no record: the walk sees two organizations",
            {"_dmarc.a.example.com TXT": RECORD},
            "a.example.com",
            "example.com",
            "fail",
            "pass",
        ),
        (
            "psd=n below the registered domain",
            {"_dmarc.a.example.com TXT": f"{RECORD}; psd=n", "_dmarc.example.com TXT": RECORD},
            "a.example.com",
            "example.com",
            "fail",
            "pass",
        ),
        (
            "a record at a public suffix joins what the list parts",
            {"_dmarc.co.uk TXT": RECORD, "_dmarc.one.co.uk TXT": RECORD},
            "one.co.uk",
            "two.co.uk",
            "pass",
            "fail",
        ),
        (
            "a record halfway up is not looked at by the list",
            {"_dmarc.b.example.com TXT": RECORD},
            "a.b.example.com",
            "b.example.com",
            "pass",
            "none",
        ),
        (
            "several records end the search",
            {"_dmarc.a.example.com TXT": [RECORD, "v=DMARC1; p=none"], "_dmarc.example.com TXT": RECORD},
            "a.example.com",
            "example.com",
            "pass",
            "none",
        ),
        (
            "strict counts in both",
            {"_dmarc.example.com TXT": f"{RECORD}; adkim=s"},
            "a.example.com",
            "example.com",
            "fail",
            "fail",
        ),
    ],
)
def test_both_verdicts_stand_side_by_side(what, records, author, signed, result, rfc7489):
    verdict = fact(DmarcVerdict, records, sender=author, mail_from="esp.example", spf="pass", signed=[signed])
    assert (verdict.result, verdict.rfc7489_result) == (result, rfc7489), what


def test_rfc7489_is_unknown_for_itself():
    records = {
        "_dmarc.a.b.example.com TXT": "NODATA",
        "_dmarc.b.example.com TXT": f"{RECORD}; psd=n",
        "_dmarc.example.com TXT": "TIMEOUT",
    }
    found = fact(DmarcDiscovery, records, sender="a.b.example.com")
    assert found.found_at == "b.example.com"
    assert isinstance(found.rfc7489_record, Unavailable)
    verdict = fact(
        DmarcVerdict, records, sender="a.b.example.com", mail_from="esp.example", spf="pass", signed=["b.example.com"]
    )
    assert (verdict.result, verdict.rfc7489_result) == (DmarcResult.PASS, DmarcResult.UNKNOWN)
    # strict or not is unknown then, but what no mode can align is not aligned
    found = fact(Alignment, records, sender="a.b.example.com", mail_from="esp.example", spf="pass", signed=["b.example.com"])
    assert [one.rfc7489_aligned for one in found.identifiers] == [False, None]


# --- the verdict ---------------------------------------------------------------------------------------------------

B1 = {"_dmarc.example.com TXT": RECORD}


def test_what_was_not_asked_for_leaves_the_verdict_open_and_says_so():
    verdict = fact(DmarcVerdict, B1, sender="example.com", signed=["esp.example"])
    assert (verdict.result, verdict.spf_aligned, verdict.dkim_aligned) == (DmarcResult.UNKNOWN, None, False)
    assert verdict.reason == "no envelope was given (--mail-from)"
    # the envelope domain is known and not aligned: the address could change nothing
    verdict = fact(DmarcVerdict, B1, sender="example.com", mail_from="esp.example", signed=["esp.example"])
    assert (verdict.result, verdict.reason) == (DmarcResult.FAIL, "nothing that passes is aligned")


def test_a_domain_without_a_message_has_no_verdict():
    nothing = NotApplicable("there is no message")
    verdict = fact(DmarcVerdict, B1, sender="example.com", mail_from="example.com", signed=nothing)
    assert isinstance(verdict, NotApplicable)
    assert verdict.reason == "there is no message"
    # unless the sending address is known
    verdict = fact(DmarcVerdict, B1, sender="example.com", mail_from="example.com", spf="pass", signed=nothing)
    assert (verdict.result, verdict.dkim_aligned) == (DmarcResult.PASS, None)


def test_an_unknown_record_leaves_alignment_where_the_mode_does_not_matter():
    records = {"_dmarc.example.com TXT": "TIMEOUT"}
    message = {"sender": "example.com", "mail_from": "mail.example.com", "spf": "pass", "signed": ["example.com"]}
    verdict = fact(DmarcVerdict, records, **message)
    assert (verdict.result, verdict.spf_aligned, verdict.dkim_aligned) == (DmarcResult.UNKNOWN, None, True)
    assert verdict.reason == "no answer for _dmarc.example.com TXT: timeout"


def test_a_record_without_use_gives_no_result():
    verdict = fact(
        DmarcVerdict, {"_dmarc.example.com TXT": "v=DMARC1"}, sender="example.com", mail_from="e.example", spf="fail"
    )
    assert (verdict.result, verdict.reason, verdict.aligned_anyway) == (
        DmarcResult.NONE,
        "the record has no usable policy",
        False,
    )


def test_a_signature_that_could_not_be_read_or_judged_is_told_apart():
    broken = fact(
        Alignment, B1, sender="example.com", mail_from="e.example", spf="fail", signed=[("example.com", "permerror", "no key")]
    )
    (one,) = broken.by(Mechanism.DKIM)
    assert (one.passes, one.aligned, one.counts, one.reason) == (False, True, False, "no key")


def test_identifiers_beyond_the_limit_are_unknown_and_those_of_our_own_domain_come_first():
    strangers = [f"esp{index}.example" for index in range(MAX_IDENTIFIERS + 5)]
    records = {**B1, "_dmarc.example TXT": RECORD}
    found = fact(
        Alignment, records, sender="example.com", mail_from="e.example", spf="fail", signed=[*strangers, "mail.example.com"]
    )
    assert found.identifiers[-1].aligned is True
    beyond = found.identifiers[-2]
    assert (
        beyond.organizational_domain.reason == "_dmarc.esp14.example TXT was not asked: there are too many domains to compare"
    )


# --- remedies ------------------------------------------------------------------------------------------------------

ALL_DOMAINS = ["example.com", "a.example.com", "b.example.com", "x.a.example.com", "example.net"]


@pytest.mark.parametrize(
    ("what", "records", "message", "change", "fix"),
    [
        (
            "nothing is there",
            B1,
            {"mail_from": "esp.example", "spf": "fail"},
            Change.SIGN_AS,
            "Sign as example.com: DKIM-Signature: … d=example.com; …",
        ),
        (
            "an ESP signs as itself",
            B1,
            {"mail_from": "esp.example", "spf": "pass", "signed": ["esp.example"]},
            Change.SIGN_AS,
            "Sign as example.com: DKIM-Signature: … d=example.com; …",
        ),
        (
            "strict keeps a sub-domain out",
            {"_dmarc.example.com TXT": "v=DMARC1; p=reject; adkim=s; rua=mailto:d@example.com"},
            {"mail_from": "esp.example", "spf": "pass", "signed": ["mail.example.com"]},
            Change.RELAX_DKIM,
            '_dmarc.example.com. TXT "v=DMARC1; p=reject; rua=mailto:d@example.com"',
        ),
        (
            "strict SPF",
            {"_dmarc.example.com TXT": "v=DMARC1;p=reject;aspf=s"},
            {"mail_from": "bounce.example.com", "spf": "pass"},
            Change.RELAX_SPF,
            '_dmarc.example.com. TXT "v=DMARC1; p=reject"',
        ),
        (
            "an aligned signature does not verify",
            B1,
            {"mail_from": "esp.example", "spf": "pass", "signed": [("example.com", "fail", "the body was changed")]},
            Change.REPAIR_SIGNATURE,
            "Make this signature verify (now: the body was changed): DKIM-Signature: … d=example.com; s=s0; …",
        ),
        (
            "an aligned envelope whose SPF lacks this address",
            B1,
            {"mail_from": "example.com", "spf": "softfail", "ip": "192.0.2.1"},
            Change.AUTHORIZE_HOST,
            'Make SPF pass (now: softfail): example.com. TXT "v=spf1 … ip4:192.0.2.1 …"',
        ),
        (
            "the same over IPv6",
            B1,
            {"mail_from": "example.com", "spf": "fail", "ip": "2001:db8::1"},
            Change.AUTHORIZE_HOST,
            'Make SPF pass (now: fail): example.com. TXT "v=spf1 … ip6:2001:db8::1 …"',
        ),
        (
            "the registered domain has no record",
            {"_dmarc.a.example.com TXT": RECORD},
            {"author": "a.example.com", "mail_from": "esp.example", "spf": "pass", "signed": ["example.com"]},
            Change.PUBLISH_RECORD,
            '_dmarc.example.com. TXT "v=DMARC1; p=none"',
        ),
        (
            "psd=y on an ordinary domain",
            {"_dmarc.example.com TXT": f"{RECORD}; psd=y"},
            {"author": "a.example.com", "mail_from": "esp.example", "spf": "pass", "signed": ["b.example.com"]},
            Change.CHANGE_PSD,
            '_dmarc.example.com. TXT "v=DMARC1; p=reject"',
        ),
    ],
)
def test_the_smallest_change(what, records, message, change, fix):
    author = message.pop("author", "example.com")
    remedy = fact(DmarcRemedy, records, sender=author, **message)
    assert (remedy.smallest.change, remedy.smallest.fix) == (change, fix), what


def test_a_message_that_passes_or_may_pass_needs_no_remedy():
    assert isinstance(fact(DmarcRemedy, B1, sender="example.com", mail_from="example.com", spf="pass"), NotApplicable)
    assert isinstance(fact(DmarcRemedy, B1, sender="example.com", signed=["esp.example"]), NotApplicable)


def test_quotes_and_backslashes_are_escaped_in_a_record():
    records = {"_dmarc.example.com TXT": 'v=DMARC1; p=reject; adkim=s; x="\\'}
    remedy = fact(DmarcRemedy, records, sender="example.com", mail_from="e.example", spf="fail", signed=["a.example.com"])
    assert remedy.smallest.fix == '_dmarc.example.com. TXT "v=DMARC1; p=reject; x=\\"\\\\"'


FLAG = st.sampled_from([None, "", "; psd=n", "; psd=y"])
MODE = st.sampled_from(["", "; adkim=s", "; aspf=s", "; adkim=s; aspf=s"])


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(ALL_DOMAINS),
    st.tuples(st.sampled_from(ALL_DOMAINS), st.sampled_from(["pass", "fail"])),
    st.lists(st.tuples(st.sampled_from(ALL_DOMAINS), st.sampled_from(["pass", "fail"]), st.just("x")), max_size=2),
    st.fixed_dictionaries(dict.fromkeys([*ALL_DOMAINS, "com"], FLAG)),
    MODE,
)
def test_every_remedy_makes_the_message_pass(author, envelope, signed, flags, mode):
    records = {f"_dmarc.{name} TXT": f"v=DMARC1; p=reject{mode}{flag}" for name, flag in flags.items() if flag is not None}
    mail_from, spf = envelope
    message = {"sender": author, "mail_from": mail_from, "spf": spf, "signed": signed}
    verdict = fact(DmarcVerdict, records, **message)
    remedy = fact(DmarcRemedy, records, **message)
    if isinstance(remedy, NotApplicable):
        assert verdict.result is not DmarcResult.FAIL
        return
    for option in remedy.options:
        changed, mail = dict(records), dict(message)
        if option.fix.startswith("_dmarc."):
            name, text = option.fix.split(". TXT ")
            changed[f"{name} TXT"] = text.strip('"')
        elif option.change is Change.REPAIR_SIGNATURE:
            mail["signed"] = [
                (domain, "pass", None) if domain == option.domain else (domain, *rest) for domain, *rest in signed
            ]
        elif option.change is Change.AUTHORIZE_HOST:
            mail["spf"] = "pass"
        elif option.change is Change.SIGN_AS:
            mail["signed"] = [*signed, option.domain]
        else:
            mail["mail_from"] = option.domain
        after = fact(DmarcVerdict, changed, **mail)
        assert True in {after.spf_aligned, after.dkim_aligned}, option


# --- report addresses ----------------------------------------------------------------------------------------------

REPORTS = "v=DMARC1; p=none; rua=mailto:d@{}"


def destination(records, uri_host, **more):
    text = REPORTS.format(uri_host)
    (one,) = fact(ReportDestinations, {"_dmarc.example.com TXT": text, **records}, sender="example.com", **more).each
    return one


@pytest.mark.parametrize(
    ("what", "host", "records", "external", "authorized"),
    [
        ("the domain itself", "example.com", {}, False, True),
        ("a sub-domain", "reports.example.com", {}, False, True),
        ("another organization", "reports.example.net", {}, True, False),
        (
            "which agreed",
            "reports.example.net",
            {"example.com._report._dmarc.reports.example.net TXT": "v=DMARC1"},
            True,
            True,
        ),
        ("for everybody", "reports.example.net", {"*._report._dmarc.reports.example.net TXT": "v=DMARC1;"}, True, True),
        (
            "with other records beside it",
            "reports.example.net",
            {"example.com._report._dmarc.reports.example.net TXT": ["x", "v=DMARC1"]},
            True,
            True,
        ),
        (
            "something else there",
            "reports.example.net",
            {"*._report._dmarc.reports.example.net TXT": "v=spf1 -all"},
            True,
            False,
        ),
        (
            "several agreements are one",
            "reports.example.net",
            {"*._report._dmarc.reports.example.net TXT": ["v=DMARC1", "v=DMARC1;"]},
            True,
            True,
        ),
        ("psd=n parts it", "reports.example.com", {"_dmarc.reports.example.com TXT": "v=DMARC1; psd=n"}, True, False),
        (
            "no answer",
            "reports.example.net",
            {"example.com._report._dmarc.reports.example.net TXT": "TIMEOUT"},
            True,
            Unavailable,
        ),
        # whose the host is does not matter once it agreed
        (
            "organization unknown, agreed",
            "reports.example.com",
            {"_dmarc.reports.example.com TXT": "TIMEOUT", "*._report._dmarc.reports.example.com TXT": "v=DMARC1"},
            Unavailable,
            True,
        ),
        (
            "organization unknown",
            "reports.example.com",
            {"_dmarc.reports.example.com TXT": "TIMEOUT"},
            Unavailable,
            Unavailable,
        ),
    ],
)
def test_who_must_agree_to_reports(what, host, records, external, authorized):
    one = destination(records, host)
    for got, wanted in ((one.external, external), (one.authorized, authorized)):
        assert isinstance(got, Unavailable) if wanted is Unavailable else got is wanted, what


@pytest.mark.parametrize(
    ("records", "receives", "null_mx"),
    [
        ({"reports.example.com MX": "10 mx.example.com"}, True, False),
        ({"reports.example.com A": "192.0.2.1"}, True, False),
        ({"reports.example.com AAAA": "2001:db8::1"}, True, False),
        ({"reports.example.com MX": "0 ."}, False, True),
        ({}, False, False),
        ({"reports.example.com TXT": "x"}, False, False),
        ({"reports.example.com MX": "TIMEOUT"}, Unavailable, False),
        ({"reports.example.com A": "TIMEOUT"}, Unavailable, False),
        ({"reports.example.com MX": "10 mx.example.com", "reports.example.com A": "TIMEOUT"}, True, False),
    ],
)
def test_whether_reports_can_be_delivered(records, receives, null_mx):
    one = destination(records, "reports.example.com")
    assert isinstance(one.receives, Unavailable) if receives is Unavailable else one.receives is receives
    assert one.null_mx is null_mx


def test_what_is_no_usable_address_is_left_out():
    records = {"_dmarc.example.com TXT": "v=DMARC1; p=none; rua=d@example.com,ftp://x.example,https://r.example.net/in"}
    (one,) = fact(ReportDestinations, records, sender="example.com").each
    assert (one.host, one.receives) == ("r.example.net", None)


def test_ruf_of_a_public_suffix_is_nobodys_business():
    """RFC 9991: reporters must not honour it."""
    text = "v=DMARC1; p=none; psd=y; rua=mailto:d@bank.example; ruf=mailto:f@bank.example"
    found = fact(ReportDestinations, {"_dmarc.bank.example TXT": text}, sender="giant.bank.example")
    assert (found.policy_domain, [one.tag for one in found.each]) == ("bank.example", ["rua"])


def test_an_agreement_name_too_long_to_exist_agrees_to_nothing():
    """RFC 9990 section 4 step 4."""
    author = ".".join(["a" * 60] * 3) + ".com"
    host = ".".join(["b" * 60] * 2) + ".example.net"
    records = {f"_dmarc.{author} TXT": REPORTS.format(host)}
    facts, client = gathered(records, sender=author, want=[ReportDestinations])
    assert facts[ReportDestinations].each[0].authorized is False
    assert not any("_report" in question for question in client.asked)


def test_hosts_beyond_the_limit_are_named_and_not_asked():
    hosts = [f"r{index}.example.net" for index in range(MAX_DESTINATIONS + 2)]
    text = "v=DMARC1; p=none; rua=" + ",".join(f"mailto:d@{host}" for host in hosts)
    found = fact(ReportDestinations, {"_dmarc.example.com TXT": text}, sender="example.com")
    assert (len(found.each), found.left_out) == (MAX_DESTINATIONS, tuple(hosts[MAX_DESTINATIONS:]))


def test_without_a_record_there_is_nowhere_to_report_to():
    assert isinstance(fact(ReportDestinations, {}, sender="example.com"), NotApplicable)


# --- misplaced records ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "domain"),
    [
        ("example.com", "example.com"),
        ("_dmarc._dmarc.example.com", "example.com"),
        ("_dmarc.example.com.example.com", "example.com"),
        ("example.com._dmarc.example.com", "example.com"),
        ("dmarc.example.com", "example.com"),
        ("a.example.com", "a.example.com"),
        ("dmarc.a.example.com", "a.example.com"),
    ],
)
def test_a_record_is_found_in_the_usual_wrong_places(name, domain):
    found = fact(MisplacedRecords, {f"{name} TXT": ["other", RECORD]}, sender="a.example.com")
    assert [(meant, str(question), text) for meant, question, text in found.found] == [(domain, f"{name} TXT", RECORD)]


def test_a_wildcard_is_seen_by_a_name_that_nobody_publishes():
    found = fact(MisplacedRecords, {"*.example.com TXT": "v=spf1 -all", "example.com A": "192.0.2.1"}, sender="example.com")
    assert found.wildcard == (("example.com", "v=spf1 -all"),)
    assert found.found == ()


def test_a_wrong_place_that_did_not_answer_is_unknown():
    found = fact(MisplacedRecords, {"dmarc.example.com TXT": "TIMEOUT"}, sender="example.com")
    assert [one.reason for one in found.unknown] == ["no answer for dmarc.example.com TXT: timeout"]


def test_a_domain_whose_own_answer_is_missing_is_not_said_to_lack_a_record():
    found = fact(MisplacedRecords, {"_dmarc.example.com TXT": "TIMEOUT", "example.com TXT": RECORD}, sender="example.com")
    assert found.found == ()


# --- mailbox providers ---------------------------------------------------------------------------------------------


def test_mailbox_providers_are_known_by_their_exact_domains():
    roots = Roots()
    known = asyncio.run(gather(PLANNER.plan([FreemailDomains], roots), roots))[FreemailDomains]
    assert (known.provider("gmail.com"), known.provider("yahoo.co.uk")) == ("Gmail", "Yahoo")
    assert known.provider("mail.gmail.com") is None
    assert known.provider("example.com") is None


# --- whatever comes ------------------------------------------------------------------------------------------------

REPORTING = "v=DMARC1; p=none; rua=mailto:d@b.example.com,mailto:d@other.example!1m; ruf=https://x.example/"
RECORDS = [RECORD, REPORTING, "v=DMARC1", "v=dmarc1; p=none", "v=DMARC1; p=none; psd=n", "v=DMARC1; psd=y"]
ANSWER = st.sampled_from(["TIMEOUT", "SERVFAIL", "NODATA", "NXDOMAIN", "x", *RECORDS])


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["a.b.example.com", "example.com", "com", "a.b.c.d.e.f.g.h.example.com"]),
    st.fixed_dictionaries({f"_dmarc.{name} TXT": ANSWER for name in tree_walk.names("a.b.example.com")}),
    st.sampled_from(["NODATA", "NXDOMAIN", "TIMEOUT", "10 mx.example.com"]),
)
def test_no_world_breaks_a_provider(author, records, mx):
    records = {**records, f"{author} MX": mx}
    facts, _ = gathered(
        Rounds(records),
        sender=author,
        mail_from="b.example.com",
        spf="pass",
        signed=["example.com", ("esp.example", "unknown", "timeout")],
        want=[DmarcRemedy, ReportDestinations, MisplacedRecords],
    )
    assert not any(getattr(value, "bug", False) for value in facts.values())
    assert isinstance(facts[OrganizationalDomains], OrganizationalDomains)
