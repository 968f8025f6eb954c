"""Whether a zone is signed: what a name server that does not validate says of it proves nothing."""

import asyncio

import pytest

from delivcheck.engine import Planner, Roots, gather
from delivcheck.facts import dnssec
from delivcheck.facts.dnssec import Dnssec, DnssecState
from delivcheck.facts.identity import FromDomain
from delivcheck.model import Dns, NotApplicable, Unavailable
from delivcheck.net.client import Closed
from delivcheck.net.snapshot import from_mapping
from delivcheck.net.zone import overlay_of_text

PLANNER = Planner([dnssec.resolver_validates, dnssec.dnssec])
SOA = "ns.example.org hostmaster.example.org 1 3600 600 604800 300"
ROOT = {". SOA": {"records": SOA, "authentic": True}}
SIGNED = {"records": SOA, "authentic": True}


def found(client, domain="example.org"):
    roots = Roots((Dns, client), FromDomain(domain))
    return asyncio.run(gather(PLANNER.plan([Dnssec], roots), roots))[Dnssec]


@pytest.mark.parametrize(
    ("records", "domain", "result", "at"),
    [
        ({"example.org SOA": SIGNED}, "example.org", "signed", "example.org"),
        ({"example.org SOA": SOA, **ROOT}, "example.org", "unsigned", "example.org"),
        ({"example.org SOA": "BOGUS", **ROOT}, "example.org", "bogus", "example.org"),
        ({"example.org TXT": "BOGUS", "example.org SOA": SOA, **ROOT}, "example.org", "bogus", "example.org"),
        # a name within a zone has no SOA of its own
        ({"example.org SOA": SIGNED, "news.example.org AAAA": "2001:db8::1"}, "news.example.org", "signed", "example.org"),
        ({"news.example.org MX": {"records": "0 .", "authentic": True}}, "news.example.org", "signed", "news.example.org"),
        # what lies behind an alias says nothing about the zone the alias is in
        (
            {"a.example.org CNAME": "b.example.net", "b.example.net A": "192.0.2.1", "example.org SOA": SIGNED},
            "a.example.org",
            "signed",
            "example.org",
        ),
    ],
)
def test_the_state_is_what_a_validating_name_server_sees(records, domain, result, at):
    assert found(from_mapping(records), domain) == Dnssec(domain, DnssecState(result), at)


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ({"example.org SOA": SOA}, "the name server that was asked does not validate DNSSEC"),
        ({"example.org SOA": SOA, ". SOA": SOA}, "the name server that was asked does not validate DNSSEC"),
        ({"example.org SOA": SOA, ". SOA": "TIMEOUT"}, "no answer for . SOA: timeout"),
        ({"example.org SOA": "TIMEOUT"}, "no answer for example.org SOA: timeout"),
        (
            {"example.org SOA": SOA, "example.org DS": "1 13 2 " + "0" * 64, **ROOT},
            "example.org has a DS record, and nobody vouches for these answers",
        ),
    ],
)
def test_what_nobody_vouches_for_is_unknown_and_not_unsigned(records, reason):
    state = found(from_mapping(records))
    assert isinstance(state, Unavailable)
    assert state.reason == reason


def test_a_domain_without_records_has_no_state():
    assert isinstance(found(from_mapping({"other.example A": "192.0.2.1"})), NotApplicable)


ZONE = "$ORIGIN example.org.\n@ SOA ns host 1 2 3 4 5\n@ MX 0 .\n"


def test_a_zone_file_is_not_taken_for_a_zone_that_is_not_signed():
    published = from_mapping({"example.org SOA": SIGNED, "example.org DS": "1 13 2 " + "0" * 64, **ROOT})
    assert isinstance(found(overlay_of_text(ZONE, published)), Unavailable)
    assert found(overlay_of_text(ZONE, from_mapping(ROOT))).result is DnssecState.UNSIGNED
    assert isinstance(found(overlay_of_text(ZONE, Closed())), Unavailable)
