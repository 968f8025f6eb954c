"""The addresses that an SPF record authorises, as sets; held against pyspf address by address."""

import asyncio
from ipaddress import ip_address

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from delivcheck.facts import spf, spf_verdict
from delivcheck.facts.identity import MailFromDomain, SendingHost
from delivcheck.facts.spf import SpfRecords
from delivcheck.facts.spf_networks import authorised, of_facts
from delivcheck.facts.verdicts import SpfResult
from delivcheck.model import NotApplicable, Unavailable
from delivcheck.net.snapshot import from_mapping
from delivcheck.records.address_sets import networks


def authorises(world, domain="example.org"):
    return authorised(asyncio.run(spf.tree(domain, from_mapping(world))))


def listed(found):
    return [each for version in (4, 6) for each in networks(found.passing[version], version)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("ip4:192.0.2.0/24 -all", ["192.0.2.0/24"]),
        ("ip4:192.0.2.0/25 ip4:192.0.2.128/25 ~all", ["192.0.2.0/24"]),
        ("-ip4:192.0.2.0/25 ip4:192.0.2.0/24 -all", ["192.0.2.128/25"]),
        ("?ip4:192.0.2.0/25 ip4:192.0.2.0/24 ?all", ["192.0.2.128/25"]),
        ("ip4:192.0.2.1 -ip4:192.0.2.0/24 +all", ["0.0.0.0/1", "128.0.0.0/2"]),
        ("-all", []),
        ("a -all", ["192.0.2.10/32", "2001:db8::10/128"]),
        ("a/24//64 -all", ["192.0.2.0/24", "2001:db8::/64"]),
        ("mx -all", ["192.0.2.20/32"]),
        ("include:inc.example.org -all", ["198.51.100.0/24"]),
        ("-include:inc.example.org ip4:198.51.100.0/23 -all", ["198.51.101.0/24"]),
        ("redirect=inc.example.org", ["198.51.100.0/24"]),
        ("exists:there.example.org -all", ["0.0.0.0/0", "::/0"]),
        ("exists:nowhere.example.org -all", []),
        ("a:nowhere.example.org -all", []),
    ],
)
def test_terms_are_taken_in_their_order(record, expected):
    world = {
        "example.org TXT": f"v=spf1 {record}",
        "example.org A": "192.0.2.10",
        "example.org AAAA": "2001:db8::10",
        "example.org MX": "10 mx.example.org.",
        "mx.example.org A": "192.0.2.20",
        "inc.example.org TXT": "v=spf1 ip4:198.51.100.0/24 -ip4:198.51.101.0/24 -all",
        "there.example.org A": "127.0.0.2",
    }
    found = authorises(world)
    assert listed(found)[: len(expected)] == expected if "+all" in record else listed(found) == expected
    assert (found.unknown, found.beyond, found.permerror) == ((), (), None)


def test_past_the_tenth_look_up_nobody_is_authorised():
    terms = " ".join(f"a:h{number}.example.org" for number in range(12))
    world = {"example.org TXT": f"v=spf1 {terms} ip4:192.0.2.99 -all"}
    world |= {f"h{number}.example.org A": f"192.0.2.{number}" for number in range(12)}
    found = authorises(world)
    assert listed(found) == ["192.0.2.0/29", "192.0.2.8/31"]
    assert found.permerror == "past the tenth look-up, from a:h10.example.org in the record of example.org on"


@pytest.mark.parametrize(
    ("world", "expected", "why"),
    [
        ({"example.org TXT": "v=spf1 ip4:192.0.2.1 ipv4:192.0.2.2 -all"}, [], "syntax error"),
        (
            {"example.org TXT": "v=spf1 ip4:192.0.2.1 include:no.example.org ip4:192.0.2.2 -all"},
            ["192.0.2.1/32"],
            "has no SPF record",
        ),
        (
            {
                "example.org TXT": "v=spf1 ip4:192.0.2.1 include:two.example.org -all",
                "two.example.org TXT": ["v=spf1 -all", "v=spf1 ~all"],
            },
            ["192.0.2.1/32"],
            "has several SPF records",
        ),
        ({"example.org TXT": "v=spf1 ip4:192.0.2.1 include:example.org ip4:192.0.2.2 -all"}, ["192.0.2.1/32"], "leads back"),
        (
            {
                "example.org TXT": "v=spf1 mx ip4:192.0.2.1 -all",
                "example.org MX": [f"10 m{number}.example.org." for number in range(11)],
            },
            [],
            "more than 10 MX",
        ),
    ],
)
def test_a_permerror_ends_the_evaluation_for_whom_nothing_matched_yet(world, expected, why):
    found = authorises(world)
    assert listed(found) == expected
    assert why in found.permerror


def test_what_is_no_set_of_addresses_is_named_where_it_can_make_mail_pass():
    found = authorises(
        {
            "example.org TXT": "v=spf1 exists:%{i}.x.example.org -ptr ptr:example.org a:%{l}.example.org include:%{o}.example.org ip4:192.0.2.1 -all"
        }
    )
    assert [term.partition(" in ")[0] for term in found.beyond] == [
        "exists:%{i}.x.example.org",
        "ptr:example.org",
        "a:%{l}.example.org",
    ]
    assert listed(found) == [], "include:%{o} is example.org.example.org, which has no record"
    assert "example.org.example.org has no SPF record" in found.permerror


def test_what_dns_did_not_answer_is_unknown_and_the_rest_is_there():
    found = authorises(
        {
            "example.org TXT": "v=spf1 include:slow.example.org a:dead.example.org ip4:192.0.2.1 -all",
            "slow.example.org TXT": "TIMEOUT",
            "dead.example.org A": "SERVFAIL",
            "dead.example.org AAAA": "2001:db8::1",
        }
    )
    assert listed(found) == ["192.0.2.1/32", "2001:db8::1/128"]
    assert ["slow.example.org TXT" in found.unknown[0], "dead.example.org A" in found.unknown[1]] == [True, True]


def test_without_a_tree_the_records_tell():
    silent = Unavailable("no answer")
    assert of_facts(silent, silent) is silent
    assert of_facts(NotApplicable("none"), SpfRecords("example.org", ())).permerror is None
    assert "several" in of_facts(NotApplicable("two"), SpfRecords("example.org", ("v=spf1 -all",) * 2)).permerror


# --- against pyspf -----------------------------------------------------------------------------------------------

TERMS = [
    "ip4:192.0.2.0/30",
    "ip4:192.0.2.4",
    "ip4:192.0.2.0/29",
    "ip6:2001:db8::/126",
    "a",
    "a:b.example.org/30",
    "mx",
    "include:one.example.org",
    "include:two.example.org",
    "exists:there.example.org",
    "all",
]
terms = st.builds(lambda qualifier, term: qualifier + term, st.sampled_from(["", "-", "~", "?", "+"]), st.sampled_from(TERMS))
records = st.lists(terms, max_size=7).map(lambda each: " ".join(["v=spf1", *each]))
addresses = st.sampled_from([*(f"192.0.2.{number}" for number in range(10)), "2001:db8::1", "2001:db8::9", "203.0.113.1"])


@settings(max_examples=150, deadline=None)
@given(records, records, records, addresses)
@example("v=spf1 -include:one.example.org all", "v=spf1 ip4:192.0.2.0/30 -all", "v=spf1 -all", "192.0.2.1")
def test_an_address_is_in_the_set_exactly_when_pyspf_lets_it_pass(root, one, two, address):
    world = {
        "example.org TXT": root,
        "one.example.org TXT": one,
        "two.example.org TXT": two.replace("include:one", "include:three").replace("include:two", "include:three"),
        "three.example.org TXT": "v=spf1 ip4:192.0.2.6 -all",
        "example.org A": "192.0.2.3",
        "one.example.org A": "192.0.2.7",
        "two.example.org A": "192.0.2.7",
        "b.example.org A": "192.0.2.5",
        "example.org MX": "10 b.example.org.",
        "one.example.org MX": "10 b.example.org.",
        "two.example.org MX": "10 b.example.org.",
        "there.example.org A": "127.0.0.2",
        **{f"{name}.example.org AAAA": "2001:db8::1" for name in ("b", "one", "two")},
        "example.org AAAA": "2001:db8::1",
    }
    dns = from_mapping(world)
    found = authorises(world)
    ip = ip_address(address)
    in_set = any(first <= int(ip) <= last for first, last in found.passing[ip.version])
    host, sender = SendingHost(ip, "mx.example.org"), MailFromDomain("example.org", "postmaster@example.org")
    verdict = asyncio.run(spf_verdict.evaluate(host, sender, dns))
    assert in_set == (verdict.result is SpfResult.PASS), (verdict, found)
