"""Mail that goes as it should: octets, replies, parameters, LMTP, UNIX sockets, XFORWARD."""

import asyncio
import hashlib
import random
import time
from ipaddress import ip_address

import pytest

from delivcheck.gate.model import Client, Extensions, MailFrom, RcptTo
from delivcheck.gate.ports import Unready
from delivcheck.gate.reply import Reply
from tests.gate.next_hop import NextHop
from tests.gate.relay.way import MESSAGE, in_loop, nothing, opened, relay_to, sent, until


@in_loop
async def test_a_message_arrives_as_it_is_and_the_next_hops_reply_is_returned():
    async with NextHop(says={"DOT": "250 2.6.0 queued as 4711"}) as hop, relay_to(hop) as relay:
        assert await sent(relay) == [Reply(250, "2.6.0", "queued as 4711")]
        (message,) = hop.messages
        assert message.octets == MESSAGE
        assert hop.sessions[0].lines == [
            b"EHLO gate.example",
            b"MAIL FROM:<a@sender.example> BODY=8BITMIME",
            b"RCPT TO:<b@rcpt.example>",
            b"DATA",
        ]


@pytest.mark.attack(3)
@in_loop
async def test_the_octets_on_the_wire_are_those_with_doubled_dots():
    random_ = random.Random(4)
    async with NextHop() as hop, relay_to(hop) as relay:
        for _ in range(50):
            lines = [
                random_.choice([b".", b"..", b".x", b"", b"text " * 200, bytes([random_.randrange(128, 256)])])
                for _ in range(40)
            ]
            octets = b"".join(line + b"\r\n" for line in lines)
            await sent(relay, octets=octets, body="8BITMIME")
            assert hashlib.sha256(hop.messages[-1].octets).digest() == hashlib.sha256(octets).digest()
        assert hop.sessions[0].dots == 50
        assert not {b"\r", b"\n"} & set(hop.raw.replace(b"\r\n", b""))


@in_loop
async def test_a_large_message_goes_through_a_slow_reader():
    octets = b"x" * 76 + b"\r\n"
    octets *= 130_000  # 10 MB: more than all buffers on the way
    async with NextHop() as hop, relay_to(hop) as relay:
        await sent(relay, octets=octets)
        assert hop.messages[0].octets == octets


@pytest.mark.parametrize("pipelining", [True, False])
@in_loop
async def test_each_recipient_gets_its_own_reply_with_and_without_pipelining(pipelining):
    says = {"RCPT": ["250 2.1.5 one", "550 5.1.1 no such user", "452 4.2.2 full", "250 2.1.5 four"]}
    async with NextHop(says=says, extensions=["PIPELINING"] if pipelining else [], at_once=True) as hop, relay_to(hop) as relay:
        outgoing, replies = await opened(relay, *(f"{n}@rcpt.example" for n in range(4)))
        assert [str(reply) for reply in replies] == [
            "250 2.1.5 one",
            "550 5.1.1 no such user",
            "452 4.2.2 full",
            "250 2.1.5 four",
        ]
        assert [reply.code for reply in await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)] == [250]
        assert len(hop.messages) == 1


@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize("refusal", ["550 5.7.1 not you", "451 4.7.1 not now"])
@in_loop
async def test_a_refused_sender_is_the_reply_to_every_recipient(pipelining, refusal):
    async with NextHop(says={"MAIL": refusal}, extensions=["PIPELINING"] if pipelining else []) as hop, relay_to(hop) as relay:
        outgoing, replies = await opened(relay, "b@rcpt.example", "c@rcpt.example")
        assert [str(reply) for reply in replies] == [refusal, refusal]
        with pytest.raises(Unready) as caught:
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert str(caught.value) == refusal
        await outgoing.abort()
        assert (b"RCPT TO:<b@rcpt.example>" in hop.commands) == pipelining  # never after a MAIL that is known to be refused
        assert b"DATA" not in hop.commands
        hop.says.clear()
        assert (await sent(relay))[0].code == 250  # and the connection is good for the next


@pytest.mark.parametrize("refusal", ["554 5.7.1 no", "451 4.3.0 later", "552 too big"])
@pytest.mark.parametrize("verb", ["DATA", "DOT"])
@in_loop
async def test_a_refused_message_is_told_with_the_codes_of_the_next_hop(verb, refusal):
    async with NextHop(says={verb: refusal}) as hop, relay_to(hop) as relay:
        (reply,) = await sent(relay)
        assert str(reply) == refusal
        hop.says.clear()
        if verb == "DATA":  # RSET goes behind everybody's back
            await until(lambda: b"RSET" in hop.commands)
            await asyncio.sleep(0.02)
        assert (await sent(relay))[0].code == 250
        assert hop.connections == 1


@in_loop
async def test_421_to_the_message_is_451_for_our_client_since_our_connection_stays():
    async with NextHop(says={"DOT": "421 4.3.2 going down"}) as hop, relay_to(hop) as relay:
        assert await sent(relay) == [Reply(451, "4.3.2", "going down")]


@in_loop
async def test_an_abort_resets_and_leaves_the_connection_for_the_next():
    async with NextHop() as hop, relay_to(hop) as relay:
        outgoing, _ = await opened(relay, "b@rcpt.example")
        await outgoing.abort()
        await outgoing.abort()
        await until(lambda: b"RSET" in hop.commands)
        await sent(relay)
        assert hop.connections == 1
        assert hop.sessions[0].verbs == ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA"]


@in_loop
async def test_between_two_messages_there_is_rset():
    async with NextHop() as hop, relay_to(hop) as relay:
        await sent(relay)
        await sent(relay)
        assert hop.sessions[0].verbs == ["EHLO", *("MAIL", "RCPT", "DATA"), *("RSET", "MAIL", "RCPT", "DATA")]


# --- extensions ----------------------------------------------------------------------------------------------------


@in_loop
async def test_extensions_are_what_all_next_hops_have():
    one, two = NextHop(extensions=["SIZE 1000", "8BITMIME", "DSN"]), NextHop(extensions=["SIZE 500", "8BITMIME", "SMTPUTF8"])
    async with one, two, relay_to(one, two) as relay:
        assert await relay.extensions() == Extensions(eight_bit=True, size=500)
        assert (one.connections, two.connections) == (1, 1)
        assert await relay.extensions() == Extensions(eight_bit=True, size=500)
        await sent(relay)
        assert (one.connections, two.connections) == (1, 1)  # the one that asked is the one that sends


@in_loop
async def test_where_no_next_hop_was_ever_reached_it_is_not_known_what_can_be_offered():
    """Nothing offered would make clients convert their mail, or bounce it; and a next hop that is down is asked once."""
    hop = NextHop()
    await hop.start()
    await hop.stop()
    async with relay_to(hop) as relay:
        for _ in range(2):
            with pytest.raises(Unready) as caught:
                await relay.extensions()
            assert caught.value.reply.code == 451
            if not hop._server.is_serving():
                await hop.start(hop.port)
        assert hop.connections == 0
        await sent(relay)  # the mail itself is no question
        assert (await relay.extensions()).dsn
        await hop.stop()


@in_loop
async def test_a_next_hop_that_is_down_does_not_hide_what_the_others_can():
    one, two = NextHop(extensions=["8BITMIME"]), NextHop()
    await two.start()
    await two.stop()
    async with one, relay_to(one, two) as relay:
        assert await relay.extensions() == Extensions(eight_bit=True)


@in_loop
async def test_parameters_are_passed_where_they_are_offered():
    async with NextHop() as hop, relay_to(hop) as relay:
        sender = {"size": 99, "body": "8BITMIME", "smtputf8": True, "ret": "FULL", "envid": "a+b"}
        await sent(relay, RcptTo("é@rcpt.example", ("DELAY",), ("rfc822", "c@d")), **sender)
        (message,) = hop.messages
        assert message.mail_from == b"MAIL FROM:<a@sender.example> SIZE=99 BODY=8BITMIME SMTPUTF8 RET=FULL ENVID=a+2Bb"
        assert message.rcpt_to == ["RCPT TO:<é@rcpt.example> NOTIFY=DELAY ORCPT=rfc822;c@d".encode()]


@pytest.mark.attack(41)
@in_loop
async def test_nothing_is_converted_for_a_next_hop_of_seven_bits():
    async with NextHop(extensions=[]) as hop, relay_to(hop) as relay:
        for mail, told in [({"smtputf8": True}, "553 5.6.7"), ({"body": "8BITMIME"}, "554 5.6.3")]:
            outgoing, replies = await opened(relay, "b@rcpt.example", **mail)
            assert str(replies[0]).startswith(told)
            await outgoing.abort()
        (reply,) = await sent(relay, octets="Subject: x\r\n\r\né\r\n".encode())
        assert str(reply).startswith("554 5.6.3")
        assert (await sent(relay))[0].code == 250
        assert [message.octets for message in hop.messages] == [MESSAGE]


@in_loop
async def test_a_message_larger_than_the_next_hop_takes_is_refused_before_data():
    async with NextHop(extensions=[f"SIZE {len(MESSAGE) - 1}"]) as hop, relay_to(hop) as relay:
        assert str((await sent(relay))[0]).startswith("552 5.3.4")
        assert b"DATA" not in hop.commands


@pytest.mark.attack(3, 15)
@in_loop
async def test_nothing_with_a_lone_cr_or_lf_is_ever_written():
    async with NextHop() as hop, relay_to(hop) as relay:
        for bad in (b"a\r\n.\n", b"a\r\n.\r", b"a\n.\r\nb\r\n", b"a\r\r\n", b"no end", b""):
            with pytest.raises(Unready) as caught:
                await sent(relay, octets=bad)
            assert caught.value.reply.code == 451
        outgoing, replies = await opened(relay, '"b\r\nRSET"@rcpt.example', "b@rcpt.example")
        assert [reply.code for reply in replies] == [501, 250]
        await outgoing.abort()
        outgoing, replies = await opened(relay, "b@rcpt.example", sender="a@b\r\nDATA")
        assert [reply.code for reply in replies] == [501]
        await outgoing.abort()
        assert b"DATA" not in hop.commands


# --- LMTP, UNIX sockets, XFORWARD ------------------------------------------------------------------------------------


@in_loop
async def test_lmtp_has_a_reply_for_each_accepted_recipient(tmp_path):
    says = {"RCPT": ["250 a", "550 b", "250 c"], "DOT": ["250 2.0.0 a", "452 4.2.2 full"]}
    async with NextHop(lmtp=True, path=tmp_path / "lmtp.sock", says=says) as hop, relay_to(hop) as relay:
        outgoing, replies = await opened(relay, "a@x.example", "b@x.example", "c@x.example")
        assert [reply.code for reply in replies] == [250, 550, 250]
        replies = await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert [str(reply) for reply in replies] == ["250 2.0.0 a", "452 4.2.2 full"]
        assert hop.sessions[0].verbs[0] == "LHLO"
        assert (await sent(relay, "a@x.example", "b@x.example"))[1].code == 250  # in step afterwards


@in_loop
async def test_a_refused_data_of_lmtp_is_the_reply_for_each():
    async with NextHop(lmtp=True, says={"DATA": "451 4.3.0 no"}) as hop, relay_to(hop) as relay:
        assert [reply.code for reply in await sent(relay, "a@x.example", "b@x.example")] == [451, 451]


@in_loop
async def test_xforward_goes_before_mail_on_every_message():
    async with NextHop(extensions=["PIPELINING", "XFORWARD ADDR HELO"]) as hop, relay_to(hop, xforward=True) as relay:
        for last in (1, 2):
            client = Client(ip_address(f"192.0.2.{last}"), helo="pc.example")
            outgoing = await relay.open("hop", MailFrom("a@sender.example"), client)
            await outgoing.rcpt(RcptTo("b@rcpt.example"))
            await outgoing.send(MESSAGE, nothing, time.monotonic() + 5)
        assert [line for line in hop.commands if line.startswith(b"XFORWARD")] == [
            b"XFORWARD ADDR=192.0.2.1 HELO=pc.example",
            b"XFORWARD ADDR=192.0.2.2 HELO=pc.example",
        ]
        assert hop.sessions[0].verbs[5:9] == ["RSET", "XFORWARD", "MAIL", "RCPT"]


@in_loop
async def test_xforward_is_not_said_where_it_is_not_offered_or_not_wanted():
    async with NextHop() as plain, NextHop(extensions=["XFORWARD ADDR"]) as offering:
        async with relay_to(plain, xforward=True) as relay:
            await sent(relay)
        async with relay_to(offering) as relay:
            await sent(relay)
        assert not [line for line in plain.commands + offering.commands if line.startswith(b"XFORWARD")]


@pytest.mark.parametrize("refusal", ["500 what?", "502 not implemented", "504 not with this"])
@in_loop
async def test_an_old_server_without_ehlo_gets_helo(refusal):
    async with NextHop(says={"EHLO": refusal}) as hop, relay_to(hop) as relay:
        assert (await sent(relay))[0].code == 250
        assert hop.sessions[0].verbs[:2] == ["EHLO", "HELO"]


@pytest.mark.attack(41, 50)
@pytest.mark.parametrize(
    "refusal", ["554 5.3.2 too busy now", "550 5.7.1 not you", "501 5.5.4 no such name", "451 4.3.0 later"]
)
@in_loop
async def test_a_refused_ehlo_is_451_and_what_the_next_hop_can_is_not_forgotten(refusal):
    """After HELO there is no 8BITMIME: 8-bit mail would be refused for good, and our own EHLO would not offer it any more."""
    async with NextHop() as hop, relay_to(hop) as relay:
        before = await relay.extensions()
        await relay._hops["hop"].pool.close()
        hop.says["EHLO"] = [refusal]
        with pytest.raises(Unready) as caught:
            await sent(relay, body="8BITMIME")
        assert caught.value.reply.code == 451
        assert "HELO" not in hop.sessions[-1].verbs
        assert await relay.extensions() == before
        assert (await sent(relay, body="8BITMIME", octets=b"Subject: x\r\n\r\n\xc3\xbc\r\n"))[0].code == 250


@in_loop
async def test_eight_bit_content_is_declared_whether_its_client_did_or_not():
    # A next hop may convert what is not declared (RFC 6152 section 3), and the signature would be broken.
    async with NextHop() as hop, relay_to(hop) as relay:
        await sent(relay, octets="Grüße\r\n".encode())
        assert hop.messages[0].mail_from.endswith(b" BODY=8BITMIME")


@in_loop
async def test_content_that_is_not_what_its_client_declared_does_not_go():
    async with NextHop() as hop, relay_to(hop) as relay:
        (reply,) = await sent(relay, body="7BIT", octets="Grüße\r\n".encode())
        assert (reply.code, reply.enhanced) == (554, "5.6.3")
        assert hop.messages == []
