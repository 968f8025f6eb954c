"""What a received message tells of its way: the trusted hop, MAIL FROM, the time, the receiver's results."""

import asyncio
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest

from delivcheck.engine import Planner, Provider, Roots, gather
from delivcheck.facts import identity, message, received, roots
from delivcheck.facts.identity import MailFromDomain, SendingHost
from delivcheck.facts.received import HopBasis, ReceivedAuthResults, TrustedHop, house, is_public
from delivcheck.facts.roots import AsReceived, Envelope, Now, Octets, Session
from delivcheck.model import NotApplicable, Unavailable
from tests.facts import received_world as world

INSIDE = "Received: from scan.b.example (scan.b.example [10.0.0.3]) by store.b.example; Mon, 23 Nov 2026 10:00:05 +0000\n"
BORDER = (
    "Received: from mx.a.example (host.a.example [192.0.2.1])\n by in.b.example with ESMTPS; Mon, 23 Nov 2026 10:00:00 +0000\n"
)
FORGED = "Received: from evil.example (evil.example [203.0.113.9]) by mx.a.example; Mon, 23 Nov 2026 09:00:00 +0000\n"


PROVIDERS = [each for module in (identity, message, received) for each in vars(module).values() if isinstance(each, Provider)]


def facts(header: str | bytes, *wanted: type, came_in: bool | AsReceived = True, more: tuple[object, ...] = ()) -> Any:
    octets = header if isinstance(header, bytes) else (header + "\n").replace("\n", "\r\n").encode()
    given = Roots(
        Octets(octets),
        *((came_in if isinstance(came_in, AsReceived) else AsReceived(),) if came_in else ()),
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


# --- the border of large receivers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "number", "tls", "by"),
    [
        (world.google, 2, "TLSv1.3", "mx.google.com"),
        (world.microsoft, 4, "TLSv1.2", "BN8NAM12FT012.mail.protection.outlook.com"),
        (world.yahoo, 2, "TLSv1.3", "10.197.38.100"),
        (world.icloud, 2, "TLSv1.3", "p121-mailgateway-smtp-67f8d9f6c-abcde"),
        (world.gmx, 1, None, "mx-ha.gmx.net"),
    ],
)
def test_the_border_is_found_behind_internal_hops(stored: Any, number: int, tls: str | None, by: str) -> None:
    hop, host = facts(stored(world.MESSAGE), TrustedHop, SendingHost)
    assert (hop.number, hop.received.tls, hop.received.by) == (number, tls, by)
    assert hop.received.encrypted
    assert host == SendingHost(ip_address(world.IP), "mail.example.org")


def test_microsoft_hops_are_passed_over_without_its_results_too() -> None:
    kept = [line for line in world.microsoft(world.MESSAGE).split(b"\r\n") if b"spf" not in line.lower()]
    hop = facts(b"\r\n".join(kept), TrustedHop)
    assert (hop.number, hop.basis) == (4, HopBasis.FIRST_PUBLIC)


def test_google_to_google_is_judged_by_the_host_that_google_judged() -> None:
    said = "spf=pass (google.com: domain of a@b.example designates 198.51.100.41 as permitted sender) smtp.mailfrom=a@b.example"
    below = "Received: by mail-sor-f41.google.com with SMTPS id 1; Mon, 23 Nov 2026 10:00:00 +0000\n" + FORGED
    octets = world.google(world.MESSAGE, said, ip="198.51.100.41", ehlo="mail-sor-f41.google.com", extra=below)
    hop = facts(octets, TrustedHop)
    assert (hop.ip, hop.basis) == (ip_address("198.51.100.41"), HopBasis.RESULTS)


OWN = "Received: from mx.b.example (mx.b.example [198.51.100.2]) by store.b.example; Mon, 23 Nov 2026 10:00:05 +0000\n"


def test_relaying_between_public_hosts_of_the_receiver_is_passed_over() -> None:
    border = BORDER.replace("in.b.example", "mx.b.example")
    assert facts(OWN + border, TrustedHop).ip == ip_address("192.0.2.1")
    sent = BORDER.replace("in.b.example", "mx.b.example").replace("ESMTPS", "ESMTPSA")
    assert facts(OWN + sent, TrustedHop).ip == ip_address("198.51.100.2"), "its own user logged in: the border is above"


def test_a_stranger_who_greets_as_the_receiver_is_not_passed_over() -> None:
    liar = "Received: from mx.b.example (unknown [203.0.113.66]) by in.b.example; Mon, 23 Nov 2026 10:00:05 +0000\n"
    named = "Received-SPF: pass client-ip=192.0.2.1\n"
    assert facts(liar + named + BORDER, TrustedHop).ip == ip_address("203.0.113.66")


def test_the_user_may_name_the_hop() -> None:
    hop = facts(INSIDE + BORDER + FORGED, TrustedHop, came_in=AsReceived(trusted_hop=3))
    assert (hop.ip, hop.number, hop.basis) == (ip_address("203.0.113.9"), 3, HopBasis.DECLARED)
    for number, why in (
        (1, None),
        (4, "Received field 4 (--trusted-hop) is not there: the message has 3"),
    ):
        found = facts(INSIDE + BORDER + FORGED, TrustedHop, came_in=AsReceived(trusted_hop=number))
        assert getattr(found, "reason", None) == why
    found = facts("Received: hello\nReceived: by x.example; x\n", TrustedHop, came_in=AsReceived(trusted_hop=1))
    assert found.reason == "Received field 1 (--trusted-hop) cannot be read"
    found = facts("Received: hello\nReceived: by x.example; x\n", TrustedHop, came_in=AsReceived(trusted_hop=2))
    assert found.reason == "Received field 2 (--trusted-hop) names no client address"


def test_houses_hold_the_domains_of_one_operator() -> None:
    assert house("x.prod.outlook.com") & house("Y.outlook.office365.com")
    assert house("mx.b.example") == {"b.example"}
    assert house("hotmail.fr") & house("x.prod.outlook.com"), "mailboxes are of the house whose hosts have the mail"
    assert not house("pool-192-0-2-1.verizon.net") & house("mta1.mail.yahoo.com"), "a customer's line is not"
    for name in (None, "", "localhost", "[192.0.2.1]", "10.197.38.100", "a..b"):
        assert house(name) == frozenset()


# --- whose results -----------------------------------------------------------------------------------------------


FORGED_RESULTS = "Authentication-Results: mx.google.com; dkim=pass header.d=bank.example; spf=pass; dmarc=pass\n"


@pytest.mark.parametrize(
    ("octets", "authserv_id", "methods"),
    [
        (world.google(world.MESSAGE, extra=FORGED_RESULTS), "mx.google.com", ["spf"]),
        (world.microsoft(FORGED_RESULTS.replace("\n", "\r\n").encode() + world.MESSAGE), "", ["spf", "dkim"]),
        (world.icloud(FORGED_RESULTS.replace("\n", "\r\n").encode() + world.MESSAGE), "bimi.icloud.com", ["bimi", "arc", "dmarc", "dkim", "spf"]),
        (world.gmx(FORGED_RESULTS.replace("mx.google.com", "gmx.net").replace("\n", "\r\n").encode() + world.MESSAGE), "gmx.net", ["dkim"]),
    ],
)  # fmt: skip
def test_what_stands_below_the_receivers_own_results_is_ignored(octets: bytes, authserv_id: str, methods: list[str]) -> None:
    found = facts(octets, ReceivedAuthResults)
    assert found.authserv_id == authserv_id
    assert [one.method for one in found.results] == methods
    assert len(found.ignored) == 1


def test_results_below_the_hop_are_the_receivers_only_if_they_carry_its_name() -> None:
    stranger = BORDER + "Authentication-Results: mx.a.example; dkim=pass header.d=bank.example\n"
    found = facts(stranger, ReceivedAuthResults)
    assert isinstance(found, NotApplicable)
    assert found.reason.startswith("the topmost Authentication-Results field, of mx.a.example, stands where the sender may")
    assert facts(stranger.replace("s: mx.a", "s: in.b"), ReceivedAuthResults).authserv_id == "in.b.example"
    further = BORDER + FORGED + "Authentication-Results: in.b.example; dkim=pass header.d=bank.example\n"
    assert isinstance(facts(further, ReceivedAuthResults), NotApplicable)
    nameless = BORDER + "Authentication-Results: dkim=none (message not signed) header.d=none\n"
    assert isinstance(facts(nameless, ReceivedAuthResults), NotApplicable), "Exchange of the sender wrote it"


def test_the_user_may_name_the_receiver() -> None:
    header = (
        "Authentication-Results: filter.c.example; spf=fail\n" + BORDER + "Authentication-Results: MX.a.example; spf=pass\n"
    )
    found = facts(header, ReceivedAuthResults, came_in=AsReceived(authserv_id="mx.A.example"))
    assert ([one.result for one in found.results], found.at.line) == (["pass"], 4)
    found = facts(header, ReceivedAuthResults, came_in=AsReceived(authserv_id="x.example"))
    assert found.reason == "no Authentication-Results field is of x.example (--authserv-id)"


def test_a_hop_that_was_named_has_its_results_next_to_it() -> None:
    gateway = BORDER.replace("in.b.example", "gate.b.example")
    mailbox = "Authentication-Results: mx.c.example; spf=fail\nReceived: from gate.b.example (gate.b.example [198.51.100.2]) by mx.c.example; x\n"
    header = mailbox + "Authentication-Results: gate.b.example; spf=pass\n" + gateway
    assert facts(header, ReceivedAuthResults).authserv_id == "mx.c.example"
    assert facts(header, ReceivedAuthResults, came_in=AsReceived(trusted_hop=2)).authserv_id == "gate.b.example"


@pytest.mark.parametrize(
    "said",
    [
        "spf=pass (google.com: domain of a@b designates 192.0.2.9 as permitted sender) smtp.mailfrom=a",
        "spf=softfail (google.com: domain of transitioning a@b does not designate 192.0.2.9 as permitted sender) smtp.mailfrom=a",
        "spf=neutral (google.com: 192.0.2.9 is neither permitted nor denied by best guess record for domain of a@b)",
        "spf=fail (sender IP is 192.0.2.9) smtp.mailfrom=a",
        "spf=pass smtp.remote-ip=192.0.2.9 smtp.mailfrom=a",
    ],
)
def test_the_client_that_spf_was_judged_for_is_read_from_remarks(said: str) -> None:
    assert facts(f"Authentication-Results: mx.b.example; {said}\n", ReceivedAuthResults).client == ip_address("192.0.2.9")


def test_remarks_without_a_client_tell_none() -> None:
    for said in ("spf=none (sender IP is ) smtp.mailfrom=a", "spf=pass (designates ::::) smtp.mailfrom=a", "dkim=none"):
        assert facts(f"Authentication-Results: mx.b.example; {said}\n", ReceivedAuthResults).client is None
