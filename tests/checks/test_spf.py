"""What the SPF rules offer beside the examples on their pages: the record that would be right, and bounded messages."""

import asyncio
from ipaddress import ip_address

import pytest

from delivcheck import catalog
from delivcheck.checks import spf as checks
from delivcheck.engine import Check, Planner, Provider, Roots, gather, run
from delivcheck.facts import identity, spf, spf_verdict
from delivcheck.facts.roots import WHY_ABSENT, AuditedDomain, Session
from delivcheck.model import Dns, Outcome
from delivcheck.net.snapshot import from_mapping
from delivcheck.records.spf import parse

PLANNER = Planner([identity.host_of_session, identity.mail_from_audited, *catalog.collect([spf, spf_verdict], Provider)])
RULES = {check.id: check for check in catalog.collect([checks], Check)}


def judged(name, zone, ip=None, **options):
    roots = [AuditedDomain("example.org"), *([Session(ip_address(ip))] if ip else [])]
    given = Roots(*roots, (Dns, from_mapping(zone)), why_absent=WHY_ABSENT)
    check = RULES[f"spf/{name}"]
    facts = asyncio.run(gather(PLANNER.plan([need.fact for need in check.needs], given), given))
    return run(check, facts, options)


def record(text):
    return {"example.org TXT": text}


@pytest.mark.parametrize(
    ("name", "zone", "ip", "fix"),
    [
        (
            "several-records",
            record(["v=spf1 a include:b.example -all", "v=spf1 mx a -all"]),
            None,
            "v=spf1 a include:b.example mx -all",
        ),
        ("several-records", record(["v=spf1 a ~all", "v=spf1 mx -all"]), None, "v=spf1 a mx ~all"),
        ("several-records", record(["v=spf1 a", "v=spf1 mx"]), None, "v=spf1 a mx ~all"),
        ("several-records", record(["v=spf1 a +all", "v=spf1 mx all"]), None, "v=spf1 a mx ~all"),
        ("several-records", record(["v=spf1 redirect=a.example", "v=spf1 mx -all"]), None, None),
        ("several-records", record(["v=spf1 moo -all", "v=spf1 mx -all"]), None, None),
        ("syntax-error", record("v=spf1 ipv4:192.0.2.1 mx, -all"), None, "v=spf1 ip4:192.0.2.1 mx -all"),
        ("syntax-error", record("v=spf1 ip4:192.0.2 -all"), None, None),
        ("malformed-txt", record('"v=spf1 mx -all"'), None, "v=spf1 mx -all"),
        ("ends-neutral", record("v=spf1 mx"), None, "v=spf1 mx ~all"),
        ("ends-neutral", record("v=spf1 mx ?all a exp=a.example"), None, "v=spf1 mx a exp=a.example ~all"),
        ("ends-neutral", record("v=spf1 mx moo ?all"), None, None),
        ("ends-neutral", record("v=spf1 all=x mx"), None, "v=spf1 all=x mx ~all"),
        ("terms-after-all", record("v=spf1 mx -all include:a.example ~all"), None, "v=spf1 mx include:a.example -all"),
        ("terms-after-all", record("v=spf1 redirect=a.example mx -all"), None, None),
        ("terms-after-all", record("v=spf1 mx -all a moo"), None, None),
        ("not-authorised", record("v=spf1 mx -all"), "198.51.100.7", "v=spf1 ip4:198.51.100.7 mx -all"),
        ("not-authorised", record("V=SPF1  mx ~all"), "2001:db8::7", "V=SPF1 ip6:2001:db8::7  mx ~all"),
        ("not-authorised", record("v=spf1"), "198.51.100.7", "v=spf1 ip4:198.51.100.7"),
        ("not-authorised", record("v=spf1 a:1.gone a:2.gone a:3.gone"), "198.51.100.7", None),
        ("not-authorised", record("v=spf1 redirect=a.example") | {"a.example TXT": "v=spf1 -all"}, "198.51.100.7", None),
        ("not-authorised", record(["v=spf1 mx", "v=spf1 a"]), "198.51.100.7", None),
        ("not-authorised", {}, "198.51.100.7", None),
    ],
)
def test_the_fix_is_the_record_that_would_be_right(name, zone, ip, fix):
    result = judged(name, zone, ip)
    assert result.outcome is Outcome.FAIL
    assert {problem.fix for problem in result.problems} == {fix}
    if fix is not None:
        parse(fix)
        again = judged(name, record(fix), ip)
        assert again.outcome is Outcome.PASS, again


@pytest.mark.parametrize("result", ["permerror", "fail", "none"])
def test_the_place_of_a_refusal_is_the_record_that_made_it(result):
    zone, name, text, mark = {
        "permerror": (record("v=spf1 mx moo -all"), "example.org", "v=spf1 mx moo -all", (10, 13)),
        "fail": (record("v=spf1 redirect=a.example") | {"a.example TXT": "v=spf1 -all"}, "a.example", None, None),
        "none": ({}, "example.org", None, None),
    }[result]
    (problem,) = judged("not-authorised", zone, "198.51.100.7").problems
    assert f"gets {result} for example.org: " in problem.message
    assert (problem.where.name, problem.where.type, problem.where.record, problem.where.span) == (name, "TXT", text, mark)


def test_a_message_lists_six_and_counts_the_rest():
    zone = record("v=spf1 " + " ".join(f"a:{n}.gone" for n in range(20)) + " -all")
    (voids,) = judged("void-lookups", zone).problems
    assert voids.message.endswith("5.gone (a:5.gone) and 14 more")
    (lookups,) = judged("too-many-lookups", zone).problems
    assert (
        lookups.message
        == "20 terms need DNS, the limit is 10: " + ", ".join(f"a:{n}.gone 1" for n in range(6)) + " and 14 more"
    )


@pytest.mark.parametrize(
    ("name", "zone", "options", "outcome"),
    [
        ("near-limit", record("v=spf1 a mx -all"), {"info-from": 2}, Outcome.FAIL),
        ("near-limit", record("v=spf1 a a a a a a a a -all"), {"info-from": 9}, Outcome.PASS),
        ("wide-range", record("v=spf1 ip4:52.0.0.0/14 -all"), {"ip4-max-open-prefix": 13}, Outcome.PASS),
        ("wide-range", record("v=spf1 ip6:2001::/24 -all"), {"ip6-max-open-prefix": 20}, Outcome.PASS),
        ("answer-too-large", record("v=spf1 mx -all"), {"warn": 10, "note": 5}, Outcome.FAIL),
    ],
)
def test_thresholds_of_ours_can_be_set(name, zone, options, outcome):
    assert judged(name, zone, **options).outcome is outcome


@pytest.mark.parametrize(
    "zone",
    [
        record("v=spf1 ~all redirect=a.example") | {"a.example TXT": "TIMEOUT"},
        record("v=spf1 ?include:a.example mx -all")
        | {"a.example TXT": "v=spf1 ip4:0.0.0.0/0 -all", "example.org MX": "10 a.example"},
        record("v=spf1 a//64 -all") | {"example.org A": "192.0.2.1"},
        record("v=spf1 a/0 -all") | {"example.org AAAA": "2001:db8::1"},
        record("v=spf1 a/24 exists:no.example -all") | {"example.org A": "192.0.2.1"},
    ],
)
def test_who_is_not_let_in_is_not_everyone(zone):
    assert judged("passes-everyone", zone).outcome is Outcome.PASS


@pytest.mark.parametrize(
    "name", ["passes-everyone", "broken-include", "mx-too-many-addresses", "private-range", "ptr", "wide-range"]
)
def test_what_was_found_is_told_beside_what_was_not_had(name):
    zone = record("v=spf1 include:slow.example include:gone.example mx ptr ip4:10.0.0.0/8 +all") | {
        "slow.example TXT": "TIMEOUT",
        "example.org MX": [f"{n} mx.example" for n in range(11)],
    }
    result = judged(name, zone)
    assert result.outcome is Outcome.FAIL
    assert result.reason == "no answer for slow.example TXT: timeout"
