"""Hosts: what a domain's own answers and its MX hosts say, PTR names and whether they lead back, the EHLO name."""

from ipaddress import ip_address

import pytest

from delivcheck.facts.hosts import MAX_MX_HOSTS, MAX_PTR_NAMES, Ehlo, MailHosts, ReverseDns
from delivcheck.model import NotApplicable, Unavailable
from tests.facts.dmarc_world import fact, gathered

MX = {"example.com MX": "10 mx.example.com", "mx.example.com A": "192.0.2.25"}


def domain(records, **more):
    ((_, found),) = fact(MailHosts, records, sender="example.com", **more).domains
    return found


# --- domains that receive ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("records", "exists", "receives"),
    [
        (MX, True, True),
        ({"example.com A": "192.0.2.1"}, True, True),  # implicit MX, RFC 5321 section 5.1
        ({"example.com AAAA": "2001:db8::1"}, True, True),
        ({"example.com MX": "0 ."}, True, False),
        ({"example.com TXT": "x"}, True, False),
        ({"www.example.com A": "192.0.2.1"}, True, False),
        ({}, False, False),
        ({"example.com CNAME": "gone.example.net"}, True, False),
        # an MX whose hosts have no address counts as none, and addresses of the domain do not stand in
        ({"example.com MX": "10 mx.example.com", "example.com A": "192.0.2.1"}, True, False),
        ({"example.com MX": ["10 mx.example.com", "20 b.example.com"], "b.example.com AAAA": "2001:db8::1"}, True, True),
        ({"example.com MX": "10 mx.example.com", "mx.example.com A": "TIMEOUT"}, True, Unavailable),
        ({**MX, "mx.example.com AAAA": "TIMEOUT"}, True, True),
        (
            {
                "example.com MX": ["10 a.example.com", "20 b.example.com"],
                "a.example.com A": "TIMEOUT",
                "b.example.com A": "192.0.2.1",
            },
            True,
            True,
        ),
        ({f"example.com {kind}": "TIMEOUT" for kind in ("MX", "A", "AAAA", "SOA")}, Unavailable, Unavailable),
        ({"example.com MX": "TIMEOUT", "example.com A": "192.0.2.1"}, True, Unavailable),
        ({"example.com A": "TIMEOUT"}, True, Unavailable),
        ({"example.com A": "TIMEOUT", "example.com AAAA": "2001:db8::1"}, True, True),
        # a broken server that denies a name for one type only
        ({"example.com SOA": "NXDOMAIN", **MX}, True, True),
    ],
)
def test_a_domain_exists_and_receives(records, exists, receives):
    found = domain(records)
    for got, wanted in ((found.exists, exists), (found.receives, receives)):
        assert isinstance(got, Unavailable) if wanted is Unavailable else got is wanted


def test_a_null_mx_is_one_record_that_names_the_root():
    assert domain({"example.com MX": "0 ."}).null_mx is True
    both = domain({"example.com MX": ["0 .", "10 mx.example.com"], "mx.example.com A": "192.0.2.25"})
    assert (both.null_mx, [host.name for host in both.mx], both.receives) == (False, ["", "mx.example.com"], True)


def test_mx_hosts_are_told_with_what_is_odd_about_them():
    records = {
        "example.com MX": ["10 192.0.2.1", "20 alias.example.com", "30 gone.example.com", "40 mx.example.com"],
        "alias.example.com CNAME": "mx.example.com",
        "mx.example.com A": ["192.0.2.25", "192.0.2.26"],
        "mx.example.com AAAA": "2001:db8::25",
    }
    literal, alias, gone, host = domain(records).mx
    assert (literal.preference, literal.literal, literal.addresses) == (10, True, ())
    assert (alias.aliases, alias.addresses) == (("mx.example.com",), host.addresses)
    assert (gone.addresses, gone.aliases) == ((), ())
    assert host.addresses == (ip_address("192.0.2.25"), ip_address("192.0.2.26"), ip_address("2001:db8::25"))


def test_both_domains_are_looked_at_once_and_in_two_rounds():
    records = {**MX, "bounce.example.com MX": "10 mx.example.com"}
    facts, client = gathered(records, sender="example.com", mail_from="bounce.example.com", want=[MailHosts])
    assert [(what, one.domain, one.receives) for what, one in facts[MailHosts].domains] == [
        ("the From domain", "example.com", True),
        ("the MAIL FROM domain", "bounce.example.com", True),
    ]
    assert client.rounds == 2
    same = fact(MailHosts, MX, sender="example.com", mail_from="example.com")
    assert [what for what, _ in same.domains] == ["the From domain"]


def test_the_number_of_mx_hosts_looked_at_is_limited():
    records = {"example.com MX": [f"{index} mx{index}.example.com" for index in range(MAX_MX_HOSTS + 9)]}
    assert [host.preference for host in domain(records).mx] == list(range(MAX_MX_HOSTS))


def test_a_top_level_domain_has_the_root_above_it():
    _, client = gathered({}, sender="com", want=[MailHosts])
    assert " SOA" in client.asked


# --- the host that sends -------------------------------------------------------------------------------------------

PTR = {"10.2.0.192.in-addr.arpa PTR": "out1.example.com"}
V6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR"


@pytest.mark.parametrize(
    ("ip", "records", "names", "confirmed"),
    [
        ("192.0.2.10", {}, [], False),
        ("192.0.2.10", {"10.2.0.192.in-addr.arpa PTR": "NODATA"}, [], False),
        ("192.0.2.10", PTR, [("out1.example.com", False)], False),
        ("192.0.2.10", {**PTR, "out1.example.com A": "192.0.2.10"}, [("out1.example.com", True)], True),
        ("192.0.2.10", {**PTR, "out1.example.com A": "192.0.2.99"}, [("out1.example.com", False)], False),
        ("192.0.2.10", {**PTR, "out1.example.com AAAA": "2001:db8::1"}, [("out1.example.com", False)], False),
        ("::ffff:192.0.2.10", {**PTR, "out1.example.com A": "192.0.2.10"}, [("out1.example.com", True)], True),
        # compared as addresses, by family
        (
            "2001:db8::1",
            {V6: "out6.example.com", "out6.example.com AAAA": "2001:0db8:0::1"},
            [("out6.example.com", True)],
            True,
        ),
        ("2001:db8::1", {V6: "out6.example.com", "out6.example.com A": "192.0.2.10"}, [("out6.example.com", False)], False),
        # any name will do
        (
            "192.0.2.10",
            {"10.2.0.192.in-addr.arpa PTR": ["a.example.com", "b.example.com"], "b.example.com A": "192.0.2.10"},
            [("a.example.com", False), ("b.example.com", True)],
            True,
        ),
        # what is unknown is so for itself
        (
            "192.0.2.10",
            {
                "10.2.0.192.in-addr.arpa PTR": ["a.example.com", "b.example.com"],
                "a.example.com A": "TIMEOUT",
                "b.example.com A": "192.0.2.10",
            },
            [("a.example.com", Unavailable), ("b.example.com", True)],
            True,
        ),
        ("192.0.2.10", {**PTR, "out1.example.com A": "TIMEOUT"}, [("out1.example.com", Unavailable)], Unavailable),
    ],
)
def test_an_address_has_names_and_they_lead_back_or_not(ip, records, names, confirmed):
    found = fact(ReverseDns, records, sender="example.com", ip=ip)
    told = [(one.name, Unavailable if isinstance(one.confirmed, Unavailable) else one.confirmed) for one in found.names]
    assert told == names
    assert isinstance(found.confirmed, Unavailable) if confirmed is Unavailable else found.confirmed is confirmed


def test_a_reverse_question_without_an_answer_is_unknown():
    found = fact(ReverseDns, {"10.2.0.192.in-addr.arpa PTR": "SERVFAIL"}, sender="example.com", ip="192.0.2.10")
    assert isinstance(found, Unavailable)
    assert found.reason == "no answer for 10.2.0.192.in-addr.arpa PTR: servfail"


def test_all_names_are_asked_at_once_and_no_more_than_ten():
    records = {"10.2.0.192.in-addr.arpa PTR": [f"out{index}.example.com" for index in range(30)]}
    facts, client = gathered(records, sender="example.com", ip="192.0.2.10", want=[ReverseDns])
    assert len(facts[ReverseDns].names) == MAX_PTR_NAMES
    assert client.rounds == 2


def test_without_a_sending_address_there_is_nothing_to_look_up():
    assert isinstance(fact(ReverseDns, {}, sender="example.com"), NotApplicable)
    assert isinstance(fact(Ehlo, {}, sender="example.com", ip="192.0.2.10"), NotApplicable)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("out1.example.com", None),
        ("OUT1.Example.COM.", None),
        ("192.0.2.10", "it is an address without square brackets"),
        ("2001:db8::1", "it is an address without square brackets"),
        ("localhost", "it is a name for private use"),
        ("mail.localhost", "it is a name for private use"),
        ("host.local", "it is a name for private use"),
        ("mx.home.arpa", "it is a name for private use"),
        ("mailhost", "it has no domain"),
        ("out_1.example.com", "it has characters that no host name has"),
        ("-out.example.com", "it has characters that no host name has"),
        ("out..example.com", "the name has an empty label"),
        ("", "the name is empty"),
        ("[192.0.2]", "it is no address literal"),
        ("[hello]", "it is no address literal"),
    ],
)
def test_an_ehlo_name_is_a_public_host_name(name, fault):
    records = {"out1.example.com A": "192.0.2.10"}
    found = fact(Ehlo, records, sender="example.com", ip="192.0.2.10", ehlo=name)
    assert (found.name, found.fault, found.literal) == (name, fault, None)
    assert bool(found.addresses) is (fault is None)


@pytest.mark.parametrize(("name", "ip"), [("[192.0.2.10]", "192.0.2.10"), ("[IPv6:2001:db8::1]", "2001:db8::1")])
def test_an_address_in_square_brackets_is_a_literal(name, ip):
    found = fact(Ehlo, {}, sender="example.com", ip="192.0.2.10", ehlo=name)
    assert (found.fault, found.literal) == (None, ip_address(ip))


def test_an_ehlo_name_that_did_not_answer_is_unknown():
    found = fact(Ehlo, {"out1.example.com A": "TIMEOUT"}, sender="example.com", ip="192.0.2.10", ehlo="out1.example.com")
    assert isinstance(found.addresses, Unavailable)
