"""The null sender: delivery status notifications go on, and who may not send gains nothing by it (attack 19)."""

from dataclasses import replace
from ipaddress import ip_network

import pytest

from delivcheck.gate.prepare import Preparer
from delivcheck.gate.settings import CredentialSettings, Mode
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.whole import TRUSTED, gate
from tests.mta import needs_postfix, postfix, sink

SHOP = replace(TRUSTED, credential="shop")
BOUND = {"credentials": {"shop": CredentialSettings(domains=("example.org",))}}
# of the null sender SPF judges the name in EHLO, which is the gate's: RFC 7208 section 2.4
OURS = {"gate.example.org TXT": f"v=spf1 ip4:{world.IP} -all"}

REPORT = """--b
Content-Type: text/plain; charset=us-ascii

Your message could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.example.org

Final-Recipient: rfc822; nobody@example.org
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

From: Pat <pat@example.net>
Subject: hello

--b--""".replace("\n", "\r\n")


def notification(sender="Mail Delivery System <mailer-daemon@example.org>"):
    """A delivery status notification as RFC 3464 has it, signed by example.org."""
    return world.signed(
        world.message(
            REPORT,
            From=sender,
            Subject="Undelivered Mail Returned to Sender",
            Auto_Submitted="auto-replied",
            Content_Type="multipart/report; report-type=delivery-status; boundary=b",
        )
    )


@pytest.mark.attack(19)
@pytest.mark.parametrize("listener", [TRUSTED, SHOP], ids=["any domain", "bound"])
async def test_a_notification_of_ones_own_goes_on_with_the_null_sender(tmp_path, listener):
    octets, records = notification()
    async with NextHop() as hop, gate(tmp_path, hop, {**records, **OURS}, listener=listener, **BOUND) as whole:
        assert (await whole.send(octets, sender=""))[-1].startswith("250 2.0.0 ")
        (message,) = hop.messages
        assert message.octets == octets
        assert message.mail_from.startswith(b"MAIL FROM:<>")
        assert whole.told.of("message")[0]["mail_from"] == ""


@pytest.mark.attack(19)
@needs_postfix
async def test_postfix_behind_it_has_no_sender_to_bounce_to(tmp_path):
    octets, records = notification()
    with sink() as taken, postfix({"default_transport": taken.transport}) as mta:
        async with gate(tmp_path, mta, {**records, **OURS}, listener=SHOP, **BOUND) as whole:
            assert (await whole.send(octets, sender=""))[-1].startswith("250 2.0.0 ")
        (arrived,) = taken.wait(1)
        assert arrived.octets.endswith(octets)
        mta.wait(r"from=<>, size=")


FOREIGN = [
    "Mail Delivery System <mailer-daemon@example.com>",
    "mailer-daemon@example.org, boss@example.com",
    "nobody:;",
    "<>",
    "Mail Delivery System",
    "",
]


@pytest.mark.attack(19, 20)
@pytest.mark.parametrize("author", [*FOREIGN, None], ids=repr)
async def test_behind_the_null_sender_nobody_writes_in_anothers_name(tmp_path, author):
    octets = world.message(REPORT, From=author)
    _, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, {**records, **OURS}, listener=SHOP, **BOUND) as whole:
        *_, end = await whole.send(octets, sender="")
        assert end.startswith("550 ")
        assert hop.messages == []
        assert all(session.dots == 0 for session in hop.sessions)


@pytest.mark.attack(19)
async def test_what_the_policy_says_holds_for_the_null_sender_too(tmp_path):
    """Neither the signature nor the address it would leave from is waived for a notification."""
    octets, records = notification()
    async with NextHop() as hop, gate(tmp_path, hop, {**records, **OURS}) as whole:
        unsigned = octets[octets.index(b"From: Mail") :]
        assert (await whole.send(unsigned, sender=""))[-1].startswith("550 5.7.20 dkim/no-signature ")
        assert hop.messages == []
    elsewhere = {"gate.example.org TXT": "v=spf1 ip4:203.0.113.9 -all"}
    async with NextHop() as hop, gate(tmp_path, hop, {**records, **elsewhere}) as whole:
        assert (await whole.send(octets, sender=""))[-1].startswith("550 5.7.23 spf/")
        assert hop.messages == []


@pytest.mark.attack(19, 63)
async def test_a_stranger_may_use_it_as_little_as_any_other(tmp_path):
    octets, records = notification()
    stranger = replace(TRUSTED, trusted=(ip_network("192.0.2.0/24"),))
    async with NextHop() as hop, gate(tmp_path, hop, {**records, **OURS}, listener=stranger) as whole:
        assert (await whole.send(octets, sender=""))[0].startswith(("530 5.7.0 ", "550 5.7.1 "))
        assert all(session.verbs == ["EHLO"] for session in hop.sessions)


@pytest.mark.attack(16, 19)
@pytest.mark.parametrize("mode", [Mode.ENFORCE, Mode.OBSERVE])
async def test_null_is_no_recipient_whoever_sends(tmp_path, mode):
    async with NextHop() as hop, gate(tmp_path, hop, mode=mode) as whole, await whole.client() as client:
        await client.say("EHLO client.example.org")
        assert (await client.say("MAIL FROM:<>")).startswith("250")
        assert (await client.say("RCPT TO:<>")).startswith("501 5.1.3")
        assert (await client.say("DATA")).startswith("554 5.5.1")
        assert not [line for line in hop.commands if line.startswith(b"RCPT")]


@pytest.mark.attack(19)
async def test_the_gate_names_the_null_sender_nowhere_in_the_message(tmp_path):
    octets, records = notification()
    preparer = Preparer("gate.example.org")
    async with NextHop() as hop, gate(tmp_path, hop, {**records, **OURS}, preparer=preparer) as whole:
        assert (await whole.send(octets, sender=""))[-1].startswith("250")
        (message,) = hop.messages
        added = message.octets.removesuffix(octets)
        assert added.startswith(b"Received: ")
        assert b"Return-Path" not in added
