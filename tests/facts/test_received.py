"""What a received message tells of its way: the trusted hop, MAIL FROM, the time, the receiver's results."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from delivcheck.engine import Planner, Provider, Roots, gather
from delivcheck.facts import identity, message, received, roots
from delivcheck.facts.identity import MailFromDomain, SendingHost
from delivcheck.facts.received import ReceivedAuthResults, TrustedHop, is_public
from delivcheck.facts.roots import AsReceived, Envelope, Now, Octets, Session
from delivcheck.model import NotApplicable, Unavailable

INSIDE = "Received: from scan.b.example (scan.b.example [10.0.0.3]) by store.b.example; Mon, 23 Nov 2026 10:00:05 +0000\n"
BORDER = (
    "Received: from mx.a.example (host.a.example [192.0.2.1])\n by in.b.example with ESMTPS; Mon, 23 Nov 2026 10:00:00 +0000\n"
)
FORGED = "Received: from evil.example (evil.example [203.0.113.9]) by mx.a.example; Mon, 23 Nov 2026 09:00:00 +0000\n"


PROVIDERS = [each for module in (identity, message, received) for each in vars(module).values() if isinstance(each, Provider)]


def facts(header: str, *wanted: type, came_in: bool = True, more: tuple[object, ...] = ()) -> Any:
    given = Roots(
        Octets((header + "\n").replace("\n", "\r\n").encode()),
        *((AsReceived(),) if came_in else ()),
        *more,
        why_absent=roots.WHY_ABSENT,
    )
    planner = Planner(PROVIDERS)
    found = asyncio.run(gather(planner.plan(wanted, given), given))
    return found[wanted[0]] if len(wanted) == 1 else tuple(found[each] for each in wanted)


def test_the_trusted_hop_is_the_topmost_with_a_public_address() -> None:
    hop, host, now = facts(INSIDE + BORDER + FORGED, TrustedHop, SendingHost, Now)
    assert (hop.ip, hop.field.line) == (ip_address("192.0.2.1"), 2)
    assert host == SendingHost(ip_address("192.0.2.1"), "mx.a.example")
    assert now.time == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_fields_that_cannot_be_read_are_passed_over_and_mapped_addresses_are_ipv4() -> None:
    hop = facts("Received: hello\nReceived: from a.example ([::ffff:192.0.2.1]) by b.example; x\n", TrustedHop)
    assert hop.ip == ip_address("192.0.2.1")


def test_a_hop_without_a_date_leaves_the_time_unknown() -> None:
    found = facts("Received: from a.example ([192.0.2.1]) by b.example; x\n", Now)
    assert isinstance(found, Unavailable)
    assert found.where.header == "Received"


def test_without_a_public_hop_nothing_is_known() -> None:
    for found in facts(INSIDE, TrustedHop, SendingHost, Now):
        assert isinstance(found, NotApplicable)
        assert found.reason == "no Received field names a public client address"


def test_a_message_that_did_not_come_in_tells_nothing() -> None:
    header = BORDER + "Return-Path: <a@b.example>\nAuthentication-Results: mx; spf=pass\n"
    for found in facts(header, SendingHost, ReceivedAuthResults, Now, came_in=False):
        assert isinstance(found, NotApplicable)
        assert found.reason in {roots.WHY_ABSENT[AsReceived], roots.WHY_ABSENT[Session], roots.WHY_ABSENT[Now]}


def test_what_the_user_says_stands_before_what_the_message_tells() -> None:
    header = BORDER + "Return-Path: <a@b.example>\n"
    more = (Session(ip_address("198.51.100.7")), Envelope("x@y.example"))
    host, mail_from = facts(header, SendingHost, MailFromDomain, more=more)
    assert (host.ip, mail_from.name) == (ip_address("198.51.100.7"), "y.example")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Return-Path: <bounce@A.Example>\n", MailFromDomain("a.example", "bounce@A.Example")),
        ("Return-Path: bounce@a.example\n", MailFromDomain("a.example", "bounce@a.example")),
        (BORDER + "Return-Path: <>\n", MailFromDomain("mx.a.example", "postmaster@mx.a.example", "helo")),
        ("Return-Path: <>\n", "the sender is null (<>) and no Received field tells the EHLO name"),
        (
            BORDER.replace("mx.a.example", "a..b") + "Return-Path: <>\n",
            "the EHLO name 'a..b' is no domain name: the name has an empty label",
        ),
        ("Return-Path: nobody\n", "Return-Path cannot be read: no @ in the address 'nobody'"),
        (
            "Return-Path: <a@" + "x" * 64 + ">\n",
            f"the domain in Return-Path is no domain name: the label {'x' * 20}… has 64 characters, the limit is 63",
        ),
        ("To: x\n", "the message has no Return-Path field"),
    ],
)
def test_mail_from_is_read_from_return_path(header: str, expected: MailFromDomain | str) -> None:
    found = facts(header, MailFromDomain)
    if isinstance(expected, str):
        assert isinstance(found, NotApplicable)
        assert found.reason == expected
    else:
        assert found == expected


def test_the_receivers_results_are_those_of_the_topmost_field() -> None:
    found = facts(
        "Authentication-Results: in.b.example; spf=pass smtp.mailfrom=a.example; dkim=fail\nAuthentication-Results: x; spf=fail\n",
        ReceivedAuthResults,
    )
    assert found.authserv_id == "in.b.example"
    assert [each.result for each in found.of("spf")] == ["pass"]
    assert found.at.line == 1


def test_results_that_are_missing_or_broken_are_two_things() -> None:
    assert isinstance(facts("To: x\n", ReceivedAuthResults), NotApplicable)
    broken = facts("Authentication-Results: in.b.example; spf\n", ReceivedAuthResults)
    assert isinstance(broken, Unavailable)
    assert (broken.where.line, broken.where.header) == (1, "Authentication-Results")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("192.0.2.1", True),
        ("8.8.8.8", True),
        ("2001:db8::1", True),
        ("10.1.2.3", False),
        ("172.31.0.1", False),
        ("172.32.0.1", True),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.1.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1", False),
        ("fd00::1", False),
    ],
)
def test_public_means_that_a_client_from_outside_may_have_it(address: str, public: bool) -> None:
    assert is_public(ip_address(address)) is public
