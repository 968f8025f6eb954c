"""Envelopes through the whole gate: very many recipients, relay probes, one key for two messages (attacks 18, 62, 63)."""

import asyncio
import base64
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from delivcheck.gate.settings import Address, CredentialSettings, Kind, Limits
from delivcheck.gate.users import User, Users, file, hashed
from tests.gate import world
from tests.gate.next_hop import NextHop, Slow
from tests.gate.whole import TRUSTED, gate, stuffed

STRANGER = replace(TRUSTED, trusted=(ip_network("192.0.2.0/24"),))

# --- 18 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(18)
@pytest.mark.parametrize("chunked", [False, True], ids=["DATA", "BDAT"])
async def test_a_hundred_recipients_are_taken_and_the_next_one_comes_again(tmp_path, chunked):
    """RFC 5321 section 4.5.3.1.8 asks for 100 at least; 4.5.3.1.10 for 452 and a transaction that goes on."""
    octets, records = world.signed()
    everybody = [f"r{number}@example.net" for number in range(103)]
    async with NextHop() as hop, gate(tmp_path, hop, records, limits=Limits(recipients=100)) as whole:
        async with await whole.client() as client:
            await client.say("EHLO client.example.org")
            left = everybody
            while left:
                lines = ["MAIL FROM:<bounces@example.org>", *(f"RCPT TO:<{one}>" for one in left)]
                client.writer.write("".join(f"{line}\r\n" for line in lines).encode())
                assert (await client.reply()).startswith("250")
                said = [(await client.reply())[:9] for _ in left]
                assert said == ["250 2.1.5"] * min(len(left), 100) + ["452 4.5.3"] * (len(left) - 100)
                if chunked:
                    assert (await client.say(b"BDAT %d LAST\r\n%b" % (len(octets), octets))).startswith("250 2.0.0 ")
                else:
                    assert (await client.say("DATA")).startswith("354")
                    assert (await client.say(stuffed(octets))).startswith("250 2.0.0 ")
                left = left[100:]
        assert [one.octets for one in hop.messages] == [octets, octets]
        assert [line for one in hop.messages for line in one.rcpt_to] == [f"RCPT TO:<{one}>".encode() for one in everybody]


@pytest.mark.attack(18)
async def test_the_limit_that_the_gate_has_by_itself_is_no_smaller_than_the_rfcs():
    assert Limits().recipients >= 100


# --- 62 ----------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(62)
async def test_of_many_at_the_same_time_under_one_key_one_is_sent_and_the_others_come_again(tmp_path):
    """Resend says 409 to these, SMTP 451; when they come again they are told what became of the one."""
    declaring = replace(TRUSTED, credential="app")
    settings = {"credentials": {"app": CredentialSettings(may_declare=True)}}
    octets, records = world.signed()
    keyed = b"X-Delivcheck-Idempotency-Key: order-4711\r\n" + octets
    async with (
        NextHop(says={"DOT": lambda _session, _octets: Slow(0.1, "250 2.0.0 queued as 1")}) as hop,
        gate(tmp_path, hop, records, listener=declaring, **settings) as whole,
    ):
        ends = [replies[-1] for replies in await asyncio.gather(*(whole.send(keyed) for _ in range(10)))]
        assert [one.octets for one in hop.messages] == [octets]
        assert sum(session.dots for session in hop.sessions) == 1
        assert {one[:3] for one in ends} <= {"250", "451"}
        assert any(one.startswith("250 2.0.0 ") for one in ends)
        told = {one for one in ends if one.startswith("250")}
        for _ in range(3):
            told.add((await whole.send(keyed))[-1])
        assert len(told) == 1, "one reply, for each that asks"
        other = keyed.replace(b"has been sent", b"has been lost")
        replies = await asyncio.gather(*(whole.send(other) for _ in range(5)))
        assert all(one[-1].startswith("550 5.7.1 the key of this message was used for another one") for one in replies)
        assert len(hop.messages) == 1


# --- 63 ----------------------------------------------------------------------------------------------------------------

PROBES = [
    "victim@example.com", "victim%example.com@example.net", "victim%example.com@gate.example.org", "victim%example.com",
    "example.com!victim@gate.example.org", "example.com!victim", "@gate.example.org:victim@example.com",
    "@example.org,@example.net:victim@example.com", '"victim@example.com"@gate.example.org', '"victim@example.com"', '"victim%example.com"@gate.example.org',
    "victim@example.com@gate.example.org", "victim@[127.0.0.1]", "victim@[IPv6:::1]", "victim@localhost", "victim@gate.example.org",
    "victim@example.com.example.org", "Postmaster", "postmaster@gate.example.org",
]  # fmt: skip
SENDERS = ["", "bounces@example.org", "victim@example.com", "spam@gate.example.org", "spam@[127.0.0.1]", "postmaster@localhost"]


@pytest.mark.attack(63)
@pytest.mark.parametrize("sender", SENDERS, ids=repr)
async def test_a_stranger_relays_nothing_whatever_it_calls_itself(tmp_path, sender):
    async with NextHop() as hop, gate(tmp_path, hop, listener=STRANGER) as whole:
        for name in ("client.example.org", "gate.example.org", "[127.0.0.1]", "localhost"):
            async with await whole.client() as client:
                await client.say(f"EHLO {name}")
                for more in ("", " AUTH=<>", " SIZE=100", " BODY=8BITMIME"):
                    assert (await client.say(f"MAIL FROM:<{sender}>{more}")).startswith(("530 5.7.0 ", "550 5.7.1 "))
                for probe in PROBES[:6]:
                    assert (await client.say(f"RCPT TO:<{probe}>")).startswith("503 5.5.1")
        assert {verb for session in hop.sessions for verb in session.verbs} <= {"EHLO"}


@pytest.mark.attack(63)
@pytest.mark.parametrize("recipient", PROBES)
async def test_whoever_may_relay_relays_to_the_next_hop_of_the_domain_and_to_nobody_that_a_local_part_names(
    tmp_path, recipient
):
    """What stands in a local part is opaque (RFC 5321 section 2.3.11), and a route is not taken (appendix C)."""
    async with NextHop() as hop, gate(tmp_path, hop) as whole, await whole.client() as client:
        await client.say("EHLO client.example.org")
        await client.say("MAIL FROM:<bounces@example.org>")
        said = await client.say(f"RCPT TO:<{recipient}>")
        told = [line for line in hop.commands if line.startswith(b"RCPT")]
        bare = recipient.rpartition(":")[2] if recipient.startswith("@") else recipient
        if said.startswith("250"):
            assert told == [f"RCPT TO:<{bare}>".encode()]
        else:
            assert said.startswith("501 5.1.3")
            assert told == []
        assert said.startswith("250") == (recipient not in {"victim%example.com", "example.com!victim", '"victim@example.com"', "victim@example.com@gate.example.org"})  # fmt: skip


@pytest.mark.attack(63)
async def test_only_the_domain_says_which_next_hop_it_is(tmp_path):
    from delivcheck.gate.settings import NextHop as Hop
    from delivcheck.gate.settings import Security

    async with NextHop() as ours:
        hops = (Hop("ours", Address(host=ours.host, port=ours.port), security=Security.NONE, domains=("example.net",)),)
        async with gate(tmp_path, ours, hops=hops) as whole, await whole.client() as client:
            await client.say("EHLO client.example.org")
            await client.say("MAIL FROM:<bounces@example.org>")
            for probe in ("victim@example.com", "example.net!victim@example.com", "victim%example.net@example.com", "@example.net:victim@example.com",
                          '"victim@example.net"@example.com', "victim@[127.0.0.1]", "victim@sub.example.net", "victim@example.net.example.com"):  # fmt: skip
                assert (await client.say(f"RCPT TO:<{probe}>")).startswith("550 5.7.1 "), probe
            assert (await client.say("RCPT TO:<pat@EXAMPLE.net>")).startswith("250")
            assert [line for line in ours.commands if line.startswith(b"RCPT")] == [b"RCPT TO:<pat@EXAMPLE.net>"]


@pytest.mark.attack(26, 63)
async def test_a_login_with_nothing_in_it_is_none(tmp_path):
    path = tmp_path / "users.json"
    with file.changing(path) as known:
        known["ann"] = User(name="ann", password=hashed("secret"))
    users = Users(path)
    listener = replace(TRUSTED, kind=Kind.SUBMISSION, address=Address(path=Path("socket")), trusted=())
    try:
        async with NextHop() as hop, gate(tmp_path, hop, listener=listener, users=users) as whole:

            async def claims(claim):
                async with await whole.client() as client:
                    await client.say("EHLO client.example.org")
                    encoded = base64.b64encode(claim).decode() or "="
                    assert (await client.say(f"AUTH PLAIN {encoded}")).startswith(("535 5.7.8", "501 5.5.2")), claim
                    assert (await client.say("MAIL FROM:<bounces@example.org>")).startswith("530 5.7.0 "), claim

            nothing = (
                b"\0\0",
                b"\0ann\0",
                b"\0\0secret",
                b"ann\0ann\0",
                b"ann\0\0secret",
                b"",
                b"\0",
                b"\0\0\0",
                b"bob\0ann\0secret",
            )
            await asyncio.gather(*map(claims, nothing))  # each wrong one is answered a second later
            assert {verb for session in hop.sessions for verb in session.verbs} <= {"EHLO"}
    finally:
        users.close()
