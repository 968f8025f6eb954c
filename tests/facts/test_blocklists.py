"""Lists are asked no more than they must be, believed only after their control questions, and never with the key in a report."""

import asyncio

import msgspec

from delivcheck import api, policy
from delivcheck.facts.blocklists import MAX_LISTS
from delivcheck.facts.link_hosts import MAX_HOSTS
from delivcheck.facts.roots import Session
from delivcheck.model import Outcome
from delivcheck.net.snapshot import from_mapping
from delivcheck.records.names import unmapped


def audit(zone, *, ip="192.0.2.2", lists=("zen.spamhaus.org",), message=None):
    import ipaddress

    world = from_mapping(zone)
    checker = api.Checker(api.Options(policy.load("bulk"), dns=world, blocklists=lists))
    if message is not None:
        return asyncio.run(checker.message(message)), world
    session = Session(unmapped(ipaddress.ip_address(ip)))
    return asyncio.run(checker.domain("example.org", session=session)), world


def result(report, rule):
    return next(one for one in report.results if one.rule == rule)


def test_a_list_that_refuses_is_not_asked_about_the_sender():
    error = "127.255.255.254"
    _, world = audit({"2.0.0.127.zen.spamhaus.org A": error, "1.0.0.127.zen.spamhaus.org A": error})

    assert [str(one) for one in world.asked if "spamhaus" in one.name] == [
        "2.0.0.127.zen.spamhaus.org A",
        "1.0.0.127.zen.spamhaus.org A",
    ]


def test_control_questions_are_asked_once_for_all_rules():
    lists = ("dbl.spamhaus.org",)
    message = b"From: a@example.org\r\n\r\nhttps://www.example.org/ https://example.net/\r\n"
    _, world = audit({"test.dbl.spamhaus.org A": "127.0.1.2"}, lists=lists, message=message)

    asked = [one.name.removesuffix(".dbl.spamhaus.org") for one in world.asked if one.name.endswith("dbl.spamhaus.org")]
    assert [asked.count(label) for label in ("test", "dbltest.com", "invalid")] == [1, 1, 1]
    assert {*asked} == {"test", "dbltest.com", "invalid", "example.org", "www.example.org", "example.net"}


def test_the_users_key_stands_nowhere_in_the_report():
    key = "k3ysecret"
    lists = (f"{key}.zen.dq.spamhaus.net", f"{key}.dbl.dq.spamhaus.net")
    zone = {
        f"2.0.0.127.{key}.zen.dq.spamhaus.net A": "127.0.0.2",
        f"2.2.0.192.{key}.zen.dq.spamhaus.net A": "127.0.0.2",
        f"test.{key}.dbl.dq.spamhaus.net A": "127.0.1.2",
        f"example.org.{key}.dbl.dq.spamhaus.net A": "TIMEOUT",
    }
    report, _ = audit(zone, lists=lists)

    assert result(report, "reputation/ip-listed").outcome is Outcome.FAIL
    assert result(report, "reputation/domain-listed").outcome is Outcome.UNKNOWN
    assert key not in msgspec.json.encode(report).decode()
    assert [one["zone"] for one in report.facts["blocklists"]] == ["zen.dq.spamhaus.net", "dbl.dq.spamhaus.net"]


def test_the_number_of_lists_and_of_hosts_is_bounded():
    report, world = audit({}, lists=tuple(f"bl{n}.example.net" for n in range(MAX_LISTS + 5)))
    assert len({one.name.partition("bl")[2] for one in world.asked if ".bl" in one.name}) == MAX_LISTS
    assert len(report.facts["blocklists"]) == MAX_LISTS

    links = "".join(f"https://h{n}.example{n}.org/\r\n" for n in range(MAX_HOSTS + 3))
    message = f"From: a@example.org\r\n\r\n{links}".encode()
    report, _ = audit({"test.dbl.spamhaus.org A": "127.0.1.2"}, lists=("dbl.spamhaus.org",), message=message)
    assert result(report, "links/listed-host").reason == "3 more hosts of links were not asked about"


def test_a_list_we_do_not_know_shows_by_its_test_entries_what_it_lists():
    zone = {"test.bl.example.net A": "127.0.0.2", "example.org.bl.example.net A": "127.0.0.5"}
    report, world = audit(zone, lists=("bl.example.net",))

    assert result(report, "reputation/domain-listed").outcome is Outcome.FAIL
    assert result(report, "reputation/ip-listed").outcome is Outcome.NOT_APPLICABLE
    assert not any(one.name.startswith("2.2.0.192.bl") for one in world.asked)


def test_a_list_of_addresses_without_ipv6_is_not_asked_about_one():
    zone = {"2.0.0.127.bl.spamcop.net A": "127.0.0.2"}
    report, _ = audit(zone, ip="2001:db8::1", lists=("bl.spamcop.net",))

    assert result(report, "reputation/ip-listed").outcome is Outcome.NOT_APPLICABLE


def test_a_list_we_do_not_know_is_asked_about_ipv6_after_its_own_test_entry():
    v6 = "0.0.0.0.0.f.7.f.f.f.f" + ".0" * 20
    asked = "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2"
    zone = {"2.0.0.127.bl.example.net A": "127.0.0.2", f"2.{v6}.bl.example.net A": "127.0.0.2"}
    report, _ = audit(zone, ip="2001:db8::1", lists=("bl.example.net",))
    assert result(report, "reputation/ip-listed").outcome is Outcome.PASS

    report, _ = audit({**zone, f"{asked}.bl.example.net A": "127.0.0.2"}, ip="2001:db8::1", lists=("bl.example.net",))
    assert result(report, "reputation/ip-listed").outcome is Outcome.FAIL
