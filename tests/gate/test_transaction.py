"""A transaction through the whole gate: who may send what, what the next hop says, and what the client is told."""

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest

from delivcheck.gate.journal import State
from delivcheck.gate.prepare import Preparer
from delivcheck.gate.relay import outgoing
from delivcheck.gate.settings import Additions, Address, CredentialSettings, Kind, Limits, Mode, Security
from delivcheck.gate.settings import NextHop as Hop
from delivcheck.gate.transaction import HEADROOM
from tests.gate import world
from tests.gate.next_hop import CLOSE, NextHop, Slow
from tests.gate.whole import TRUSTED, gate, stuffed


async def until(condition):
    """Wait for what happens behind the client's back."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


async def test_what_passes_goes_on_as_the_same_octets_and_250_says_where(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        *_, end = await whole.send(octets)
        assert [one.octets for one in hop.messages] == [octets]
        (told,) = whole.told.of("message")
        assert end == f"250 2.0.0 {told['trace']} queued"
        (sent,) = whole.told.of("sent")
        assert (sent["what"], sent["code"], sent["next_hop"]) == ("accepted", 250, "hop")


async def test_what_fails_is_refused_and_the_next_hop_has_nothing(tmp_path):
    async with NextHop() as hop, gate(tmp_path, hop) as whole:
        *_, end = await whole.send(world.message())
        assert end.startswith("550 5.7.20 dkim/no-signature ")
        assert hop.messages == []
        assert all(session.dots == 0 for session in hop.sessions)


async def test_the_connection_to_the_next_hop_is_used_again_after_a_refusal(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        await whole.send(world.message())
        *_, end = await whole.send(octets)
        assert end.startswith("250")
        assert len(hop.sessions) == 1


@pytest.mark.attack(18, 50)
async def test_the_next_hop_answers_for_each_recipient_itself(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        hop.says["RCPT"] = ["250 2.1.5 ok", "550 5.1.1 no such user", "452 4.2.2 full"]
        replies = await whole.send(octets, ("a@example.net", "b@example.net", "c@example.net"))
        assert replies[1].startswith("250")
        assert replies[2].startswith("550 5.1.1 no such user")
        assert replies[3].startswith("452 4.2.2 full")
        assert replies[-1].startswith("250")
        assert [len(one.rcpt_to) for one in hop.messages] == [1]


@pytest.mark.attack(63)
async def test_nobody_relays_who_is_not_trusted(tmp_path):
    stranger = replace(TRUSTED, trusted=(ip_network("192.0.2.0/24"),))
    async with NextHop() as hop, gate(tmp_path, hop, listener=stranger) as whole:
        assert (await whole.send(world.message()))[0].startswith(("530 5.7.0 ", "550 5.7.1 "))
        assert all(session.verbs == ["EHLO"] for session in hop.sessions), "it was asked what it can, and nothing else"


@pytest.mark.attack(63)
@pytest.mark.parametrize(
    "recipient",
    ["a%b@example.net", "example.net!b", "@evil.example:a@example.net", '"a@b"@example.net', "a@example.net@evil.example"],
)
async def test_routes_inside_an_address_change_nothing(tmp_path, recipient):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        replies = await whole.send(octets, (recipient,))
        sent = [line for session in hop.sessions for line in session.lines if line.startswith(b"RCPT")]
        assert replies[1][:3] in {"250", "501", "553"}
        assert all(b"evil.example:" not in line for line in sent)


@pytest.mark.attack(20)
@pytest.mark.parametrize(
    ("sender", "author", "refused_at"),
    [
        ("bounces@example.com", "orders@example.org", 0),
        ("bounces@example.org", "orders@example.com", -1),
        ("", "orders@example.com", -1),
    ],
)
async def test_a_credential_bound_to_domains_sends_under_no_other(tmp_path, sender, author, refused_at):
    bound = replace(TRUSTED, credential="shop")
    settings = {"credentials": {"shop": CredentialSettings(domains=("example.org",))}}
    async with NextHop() as hop, gate(tmp_path, hop, listener=bound, **settings) as whole:
        replies = await whole.send(world.message(From=author), sender=sender)
        assert replies[refused_at].startswith("550 5.7.1 shop may not send as ")
        assert hop.messages == []


@pytest.mark.attack(19)
async def test_the_null_sender_may_be_used_with_an_own_author(tmp_path):
    bound = replace(TRUSTED, credential="shop")
    octets, records = world.signed(world.message(Auto_Submitted="auto-replied"))
    settings = {"credentials": {"shop": CredentialSettings(domains=("example.org",))}}
    async with (
        NextHop() as hop,
        gate(tmp_path, hop, {**records, "gate.example.org TXT": "v=spf1 a -all"}, listener=bound, **settings) as whole,
    ):
        assert (await whole.send(octets, sender=""))[-1].startswith("250")


async def test_recipients_of_another_next_hop_come_again(tmp_path):
    async with NextHop() as one, NextHop() as two:
        hops = (
            Hop("one", Address(host=one.host, port=one.port), security=Security.NONE),
            Hop("two", Address(host=two.host, port=two.port), security=Security.NONE, domains=("example.com",)),
        )
        octets, records = world.signed()
        async with gate(tmp_path, one, records, hops=hops) as whole:
            replies = await whole.send(octets, ("a@example.net", "b@example.com"))
            assert replies[2].startswith("452 4.5.3 ")
            assert replies[-1].startswith("250")
            assert (len(one.messages), len(two.messages)) == (1, 0)


@pytest.mark.attack(50)
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "BANNER"])
@pytest.mark.parametrize("refusal", ["451 4.3.0 sick", "550 5.7.1 not you"])
async def test_a_next_hop_that_took_nobody_does_not_keep_recipients_of_another_waiting(tmp_path, verb, refusal):
    octets, records = world.signed()
    async with NextHop(says={verb: refusal}) as sick, NextHop() as well:
        hops = (
            Hop("well", Address(host=well.host, port=well.port), security=Security.NONE),
            Hop("sick", Address(host=sick.host, port=sick.port), security=Security.NONE, domains=("example.com",)),
        )
        async with gate(tmp_path, well, records, hops=hops) as whole:
            replies = await whole.send(octets, ("a@example.com", "b@example.com", "c@example.net", "d@example.com"))
            assert {one[:3] for one in replies[1:3]} == {"451" if verb == "BANNER" else refusal[:3]}
            assert replies[3].startswith("250")
            assert replies[4].startswith("452 4.5.3 ")
            assert replies[-1].startswith("250")
            assert [one.rcpt_to for one in well.messages] == [[b"RCPT TO:<c@example.net>"]]
            await until(lambda: all(one.pool._in_use == 0 for one in whole.reception.relay._hops.values()))


@pytest.mark.attack(50)
async def test_clients_that_stand_still_keep_nobody_from_the_next_hop(tmp_path, monkeypatch):
    monkeypatch.setattr(outgoing, "LET_GO", 0.05)
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        idle = [await whole.client() for _ in range(20)]
        for client in idle:
            for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>"):
                await client.say(line)
        assert (await whole.send(octets))[-1].startswith("250")
        assert (await idle[0].say("DATA")).startswith("354")
        assert (await idle[0].say(stuffed(octets))).startswith("250")
        assert [one.octets for one in hop.messages] == [octets, octets]
        for client in idle:
            client.writer.close()


@pytest.mark.parametrize(("limit", "offered"), [(1_000_000, 1_000_000 - HEADROOM), (2_000, 1_000)])
async def test_the_size_offered_leaves_room_for_what_we_put_in(tmp_path, limit, offered):
    extensions = ("PIPELINING", "8BITMIME", "SMTPUTF8", f"SIZE {limit}")
    octets, records = world.signed(world.message(text=("x" * 70 + "\r\n") * ((offered - 700) // 72 - 8)))
    preparer = Preparer("gate.example.org")
    async with NextHop(extensions=extensions) as hop, gate(tmp_path, hop, records, preparer=preparer) as whole:
        async with await whole.client() as client:
            assert f"250-SIZE {offered}" in (await client.say("EHLO client.example.org")).split("\n")
            assert (await client.say(f"MAIL FROM:<bounces@example.org> SIZE={offered + 1}")).startswith("552 5.3.4 ")
        assert len(octets) <= offered
        if limit > 2_000:
            assert (await whole.send(octets))[-1].startswith("250")
            assert len(octets) < len(hop.messages[0].octets) <= limit


async def test_a_providers_limits_hold_where_it_does_not_say_them_itself(tmp_path):
    octets, records = world.signed()
    async with NextHop(extensions=("PIPELINING", "8BITMIME")) as hop:
        hops = (Hop("ses", Address(host=hop.host, port=hop.port), security=Security.NONE, profile="amazon-ses"),)
        async with gate(tmp_path, hop, records, hops=hops, limits=Limits(message_size=90_000_000)) as whole:
            async with await whole.client() as client:
                assert f"250-SIZE {40 * 1_048_576 - HEADROOM}" in (await client.say("EHLO client.example.org")).split("\n")
            replies = await whole.send(octets, [f"r{number}@example.net" for number in range(52)])
            assert {one[:3] for one in replies[1:51]} == {"250"}
            assert {one[:9] for one in replies[51:53]} == {"452 4.5.3"}
            assert replies[-1].startswith("250")
            assert len(hop.messages[0].rcpt_to) == 50


async def test_a_copy_with_its_recipients_token_is_nobody_elses(tmp_path):
    additions = Additions(list_unsubscribe="https://example.org/u?r={recipient}")
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, additions=additions) as whole:
        replies = await whole.send(octets, ("a@example.net", "b@example.net"))
        assert replies[2].startswith("452 4.5.3 ")
        assert [len(one.rcpt_to) for one in hop.messages] == [1]


# --- what goes wrong ---------------------------------------------------------------------------------------------


@pytest.mark.attack(50)
async def test_a_next_hop_that_is_gone_is_a_temporary_fault_at_rcpt(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        await whole.send(octets)
        await hop.stop()
        assert (await whole.send(octets))[1].startswith("451 4.4.")


@pytest.mark.attack(50)
async def test_a_next_hop_that_was_never_there_is_a_temporary_fault_at_ehlo(tmp_path):
    """What it can is not known: with nothing offered the client would convert the mail, or bounce it."""
    _, records = world.signed()
    async with NextHop() as hop:
        host, port = hop.host, hop.port
    hops = (Hop("hop", Address(host=host, port=port), security=Security.NONE),)
    async with gate(tmp_path, hop, records, hops=hops) as whole, await whole.client() as client:
        assert (await client.say("EHLO client.example.org")).startswith("451 4.4.1")


@pytest.mark.attack(52)
async def test_a_next_hop_that_dies_after_the_dot_leaves_an_uncertain_attempt_and_the_retry_is_marked(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        hop.says["DOT"] = [CLOSE]
        *_, end = await whole.send(octets)
        assert end.startswith("451 4.4.2 ")
        (trace,) = [one["trace"] for one in whole.told.of("uncertain")]
        *_, end = await whole.send(octets)
        assert end.startswith("250")
        first, second = await whole.journal.records()
        assert (first.state, first.attempt.trace, first.followed) == (State.UNCERTAIN, trace, second.attempt.trace)
        assert second.attempt.follows == (trace,)


@pytest.mark.attack(52)
async def test_at_most_once_never_sends_what_may_have_been_sent(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, at_most_once=True) as whole:
        hop.says["DOT"] = [CLOSE]
        await whole.send(octets)
        *_, end = await whole.send(octets)
        assert end.startswith("451 4.4.5 ")
        assert hop.messages == []


@pytest.mark.attack(49, 53)
async def test_a_client_that_left_before_its_250_is_answered_from_the_journal_and_the_mail_goes_once(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        hop.says["DOT"] = [Slow(0.2, "250 2.0.0 queued as 1")]
        async with await whole.client() as client:
            await client.say("EHLO client.example.org")
            for line in ("MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>", "DATA"):
                await client.say(line)
            from tests.gate.whole import stuffed

            client.writer.write(stuffed(octets))
            await until(lambda: any(session.dots for session in hop.sessions))
        *_, while_it_runs = await whole.send(octets)
        assert while_it_runs.startswith("451 4.4.5 ")
        await until(lambda: hop.messages and whole.server.connections == 0)
        *_, again = await whole.send(octets)
        assert again.startswith("250 2.0.0 ")
        assert "queued as 1" in again
        assert len(hop.messages) == 1
        *_, meant = await whole.send(octets)
        assert meant.startswith("250")
        assert len(hop.messages) == 2, "once its client was told, the same mail again is another mail"


async def test_two_clients_with_the_same_mail_at_the_same_time_both_send_it(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        replies = await asyncio.gather(*(whole.send(octets) for _ in range(3)))
        assert all(one[-1].startswith("250") for one in replies)
        assert len(hop.messages) == 3


@pytest.mark.attack(54)
async def test_the_dot_is_never_sent_once_the_time_is_over(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, deadline=0.0) as whole:
        *_, end = await whole.send(octets)
        assert end[:3] == "451"
        assert all(session.dots == 0 for session in hop.sessions)


@pytest.mark.attack(57, 58)
async def test_without_its_journal_the_gate_sends_nothing_and_works_again_when_it_is_back(tmp_path):
    octets, records = world.signed()
    (tmp_path / "state").write_text("a file where the folder should be")
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        await whole.journal.close()
        from delivcheck.gate.journal import Journal

        whole.reception.journal = Journal(tmp_path / "state")
        *_, end = await whole.send(octets)
        assert end.startswith("452 4.3.1 ")
        assert hop.messages == []
        (tmp_path / "state").unlink()
        *_, end = await whole.send(octets)
        assert end.startswith("250")
        await whole.reception.journal.close()


async def test_observing_without_a_journal_sends_and_says_so(tmp_path):
    (tmp_path / "state").write_text("a file where the folder should be")
    async with NextHop() as hop, gate(tmp_path, hop, mode=Mode.OBSERVE) as whole:
        from delivcheck.gate.journal import Journal

        whole.reception.journal = Journal(tmp_path / "state")
        *_, end = await whole.send(world.message())
        assert end.startswith("250")
        assert len(hop.messages) == 1
        assert any(one["where"] == "journal" for one in whole.told.of("fault"))
        await whole.reception.journal.close()


# --- keys of the client's own, holding, LMTP -----------------------------------------------------------------------


@pytest.mark.attack(62)
async def test_a_message_with_a_key_of_its_own_goes_once_and_the_key_is_not_passed_on(tmp_path):
    declaring = replace(TRUSTED, credential="app")
    settings = {"credentials": {"app": CredentialSettings(may_declare=True)}}
    octets, records = world.signed()
    keyed = b"X-Delivcheck-Idempotency-Key: order-4711\r\n" + octets
    other = keyed.replace(b"has been sent", b"has been lost")
    async with NextHop() as hop, gate(tmp_path, hop, records, listener=declaring, **settings) as whole:
        first = (await whole.send(keyed))[-1]
        second = (await whole.send(keyed))[-1]
        assert first == second
        assert [one.octets for one in hop.messages] == [octets]
        assert (await whole.send(other))[-1].startswith("550 5.7.1 the key of this message was used for another one")


async def test_held_mail_is_acknowledged_when_it_is_on_the_disk(tmp_path):
    async with NextHop() as hop, gate(tmp_path, hop, hold=True) as whole:
        judge = whole.reception.pipeline.judge
        for checker in judge._checkers.values():
            checker.options = replace(checker.options, policy=replace(checker.options.policy, on_fail="hold"))
        octets = world.message()
        *_, end = await whole.send(octets)
        assert end.startswith("250 2.0.0 held ")
        (entry,) = whole.reception.held.entries()
        assert whole.reception.held.octets(entry) == octets
        assert end == f"250 2.0.0 held {entry.trace}"
        assert hop.messages == []


async def test_lmtp_answers_for_each_recipient(tmp_path):
    lmtp = replace(TRUSTED, kind=Kind.LMTP)
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records, listener=lmtp) as whole, await whole.client() as client:
        assert (await client.say("LHLO client")).startswith("250-")
        replies = await client.mail(octets, ("a@example.net", "b@example.net"))
        assert replies[-1].startswith("250")
        assert (await client.reply()).startswith("250")


async def test_an_lmtp_next_hop_behind_smtp_gets_one_recipient_at_a_time(tmp_path):
    octets, records = world.signed()
    async with NextHop(lmtp=True) as hop:
        hops = (Hop("hop", Address(host=hop.host, port=hop.port), lmtp=True, security=Security.NONE),)
        async with gate(tmp_path, hop, records, hops=hops) as whole:
            replies = await whole.send(octets, ("a@example.net", "b@example.net"))
            assert replies[2].startswith("452 4.5.3 ")
            assert replies[-1].startswith("250")


@pytest.mark.attack(41)
@pytest.mark.parametrize("lacks", ["8BITMIME", "SMTPUTF8", "DSN"])
async def test_what_the_next_hop_lacks_is_not_offered(tmp_path, lacks):
    from tests.gate.next_hop import ALL

    offered = tuple(one for one in ALL if one != lacks)
    async with NextHop(extensions=offered) as hop, gate(tmp_path, hop) as whole, await whole.client() as client:
        ehlo = (await client.say("EHLO client.example.org")).split("\n")
        assert lacks not in {line[4:] for line in ehlo}
        assert {"8BITMIME", "SMTPUTF8", "DSN"} - {lacks} <= {line[4:] for line in ehlo}
        using = {"8BITMIME": "BODY=8BITMIME", "SMTPUTF8": "SMTPUTF8", "DSN": "RET=HDRS"}[lacks]
        assert (await client.say(f"MAIL FROM:<a@example.org> {using}")).startswith("555 5.5.4 ")


@pytest.mark.attack(41)
async def test_eight_bit_content_for_a_seven_bit_next_hop_is_refused_and_never_converted(tmp_path):
    octets, records = world.signed(world.message("Grüße", **{"Content-Transfer-Encoding": "8bit"}))
    async with NextHop(extensions=("PIPELINING",)) as hop, gate(tmp_path, hop, records) as whole:
        *_, end = await whole.send(octets)
        assert end.startswith(("554 5.6.3 ", "550 5.6.3 "))
        assert hop.messages == []


async def test_the_gates_additions_are_signed_judged_and_sent(tmp_path):
    octets, records = world.signed(world.message(Message_ID=None))
    preparer = Preparer("gate.example.org", Additions(date=True, message_id=True))
    async with NextHop() as hop, gate(tmp_path, hop, records, preparer=preparer, mode=Mode.OBSERVE) as whole:
        *_, end = await whole.send(octets)
        assert end.startswith("250")
        (message,) = hop.messages
        assert message.octets.startswith(b"Received: from client.example.org ")
        assert b"\r\nMessage-ID: <" in message.octets
        import hashlib

        assert whole.told.of("message")[0]["sha256"] == hashlib.sha256(message.octets).hexdigest()
