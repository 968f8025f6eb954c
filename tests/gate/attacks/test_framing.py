"""BDAT out of its order and lines without end, through the whole gate: what the next hop hears is what was meant (attacks 5, 6, 9)."""

import base64
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from delivcheck.gate.settings import Address, CredentialSettings, Kind
from delivcheck.gate.smtp.limits import MAX_AUTH_LINE, MAX_COMMAND
from delivcheck.gate.users import User, Users, file, hashed
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.whole import TRUSTED, gate
from tests.mta import needs_postfix, postfix, sink

HELLO = b"EHLO client.example.org\r\n"
MAIL, RCPT = b"MAIL FROM:<bounces@example.org>\r\n", b"RCPT TO:<pat@example.net>\r\n"
HIDDEN = (
    b"RSET\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\n"
    b"From: evil@example.org\r\nSubject: smuggled\r\n\r\nx\r\n.\r\nQUIT\r\n"
)
BOUND = {"credentials": {"shop": CredentialSettings(domains=("example.org",))}}
SHOP = replace(TRUSTED, credential="shop")


def chunk(octets, *, last=True):
    return b"BDAT %d%b\r\n%b" % (len(octets), b" LAST" if last else b"", octets)


async def said(whole, octets, *, hello=True):
    """The code of every reply to what one client sends at once, and whether the gate hung up by itself."""
    async with await whole.client() as client:
        if hello:
            assert (await client.say("EHLO client.example.org")).startswith("250")
        client.writer.write(octets)
        replies = [await client.reply()]
        while replies[-1]:
            replies.append(await client.reply())
            if replies[-1].startswith("221"):
                break
    return [f"{one.splitlines()[-1][:9].strip()}" for one in replies if one]


def heard(hop):
    """The envelopes that the next hop was told, in order; BODY=8BITMIME is the gate's own."""
    told = [line for line in hop.commands if not line.startswith((b"EHLO", b"QUIT", b"RSET"))]
    return [line.removesuffix(b" BODY=8BITMIME") for line in told]


# --- 5: chunks that nobody wants -------------------------------------------------------------------------------------


@pytest.mark.attack(5)
@pytest.mark.parametrize(
    "payload", [HIDDEN, HIDDEN * 20_000, b"", b"\r\n.\r\n" + HIDDEN], ids=["commands", "2 MB", "nothing", "a dot first"]
)
@pytest.mark.parametrize(
    ("before", "codes"),
    [
        (b"", ["503 5.5.1"]),
        (b"MAIL FROM:<a@elsewhere.example>\r\n", ["550 5.7.1", "503 5.5.1"]),
        (b"MAIL FROM:<a@elsewhere.example>\r\n" + RCPT, ["550 5.7.1", "503 5.5.1", "503 5.5.1"]),
        (b"MAIL FROM:<no address>\r\n" + RCPT, ["501 5.1.7", "503 5.5.1", "503 5.5.1"]),
        (MAIL, ["250 2.1.0", "554 5.5.1"]),
        (MAIL + b"RCPT TO:<no@example.net>\r\n", ["250 2.1.0", "550 5.1.1", "554 5.5.1"]),
        (MAIL + b"RCPT TO:<no@example.net>\r\n" * 3, ["250 2.1.0", *["550 5.1.1"] * 3, "554 5.5.1"]),
        (MAIL + RCPT + b"RSET\r\n", ["250 2.1.0", "250 2.1.5", "250 2.0.0", "503 5.5.1"]),
    ],
    ids=["no MAIL", "refused MAIL", "refused MAIL, RCPT", "bad MAIL", "no RCPT", "refused RCPT", "all refused", "RSET"],
)
async def test_a_chunk_behind_a_refusal_is_passed_over_to_its_last_octet(tmp_path, before, codes, payload):
    """All in one group, as a client with PIPELINING sends it, and the next message of the same connection is not hurt."""
    octets, records = world.signed()

    def rcpt(_session, line):
        return "550 5.1.1 no such user" if b"<no@" in line else None

    async with NextHop(says={"RCPT": rcpt}) as hop, gate(tmp_path, hop, records, listener=SHOP, **BOUND) as whole:
        # the unwanted message in two chunks: of either nothing is a command
        middle = len(payload) // 2
        unwanted = chunk(payload[:middle], last=False) + chunk(payload[middle:])
        good = b"RSET\r\n" + MAIL + RCPT + chunk(octets)
        replies = await said(whole, before + unwanted + good + b"QUIT\r\n")
        assert replies == [*codes, codes[-1], "250 2.0.0", "250 2.1.0", "250 2.1.5", "250 2.0.0", "221 2.0.0"]
        assert [one.octets for one in hop.messages] == [octets]
        assert not [line for line in heard(hop) if b"evil" in line or b"victim" in line]
        assert b"smuggled" not in hop.raw


@pytest.mark.attack(5)
@pytest.mark.parametrize(
    ("size", "code"),
    [
        (b"-1", "501 5.5.4"), (b"+5", "501 5.5.4"), (b"0x10", "501 5.5.4"), (b"1e3", "501 5.5.4"), (b"5.0", "501 5.5.4"), (b"5,0", "501 5.5.4"),
        (b"", "501 5.5.4"), (b"LAST", "501 5.5.4"), (b"LAST 5", "501 5.5.4"), (b"5 LAST LAST", "501 5.5.4"), (b"5 FIRST", "501 5.5.4"),
        (b"5 5", "501 5.5.4"), (b"5;LAST", "501 5.5.4"), ("٥".encode(), "501 5.5.4"), ("５ LAST".encode(), "501 5.5.4"),
        (b"5\tLAST", "501 5.5.2"), (b"5\0 LAST", "501 5.5.2"), (b"5 LAST\xff", "501 5.5.2"), (b"5\r LAST", "501 5.5.2"),
        (b"5" + b" " * 3_000 + b"LAST", "500 5.5.2"), (b"0" * 21 + b"5", "501 5.5.4"), (b"9" * 5_000, "500 5.5.2"),
        # what 32 or 64 bits would take for 5, with and without a sign
        (b"4294967301", "552 5.3.4"), (b"18446744073709551621", "552 5.3.4"), (b"9223372036854775813 LAST", "552 5.3.4"),
        (b"99999999999999999999 LAST", "552 5.3.4"), (b"2147483648", "552 5.3.4"), (b"340282366920938463463374607431768211461", "501 5.5.4"),
    ],
    ids=lambda one: repr(one)[:40],
)  # fmt: skip
async def test_after_a_chunk_of_unknown_size_nothing_is_a_command_any_more(tmp_path, size, code):
    async with NextHop() as hop, gate(tmp_path, hop) as whole:
        assert await said(whole, MAIL + RCPT + b"BDAT " + size + b"\r\n" + HIDDEN) == ["250 2.1.0", "250 2.1.5", code]
        assert heard(hop) == [MAIL.strip(), RCPT.strip()]
        assert not hop.messages
        assert whole.server.load.octets == 0


@pytest.mark.attack(5)
async def test_leading_zeros_and_small_letters_are_a_size_like_any(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        sent = MAIL + RCPT + b"bdat 00000000000000000%03d last\r\n%b" % (len(octets), octets)
        assert await said(whole, sent + b"QUIT\r\n") == ["250 2.1.0", "250 2.1.5", "250 2.0.0", "221 2.0.0"]
        assert [one.octets for one in hop.messages] == [octets]


@pytest.mark.attack(5)
async def test_a_second_last_chunk_belongs_to_no_message(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        sent = MAIL + RCPT + chunk(octets) + chunk(HIDDEN) + chunk(b"") + MAIL + RCPT + chunk(octets, last=False) + chunk(b"")
        replies = await said(whole, sent + b"QUIT\r\n")
        assert replies == [
            "250 2.1.0", "250 2.1.5", "250 2.0.0", "503 5.5.1", "503 5.5.1",
            "250 2.1.0", "250 2.1.5", "250 2.0.0", "250 2.0.0", "221 2.0.0",
        ]  # fmt: skip
        assert [one.octets for one in hop.messages] == [octets, octets]
        assert b"smuggled" not in hop.raw


@pytest.mark.attack(5, 6)
@needs_postfix
async def test_postfix_behind_it_has_the_good_messages_and_no_other(tmp_path):
    octets, records = world.signed()
    with sink() as taken, postfix({"default_transport": taken.transport}) as mta:
        async with gate(tmp_path, mta, records, listener=SHOP, **BOUND) as whole:
            refused = b"MAIL FROM:<a@elsewhere.example>\r\n" + RCPT + chunk(HIDDEN) + b"RSET\r\n"
            good = MAIL + RCPT + chunk(octets[:300], last=False) + b"DATA\r\n" + chunk(octets[300:]) + chunk(HIDDEN)
            replies = await said(whole, (refused + good) * 3 + b"QUIT\r\n")
        assert [one[:3] for one in replies] == ["550", "503", "503", "250", "250", "250", "250", "503", "250", "503"] * 3 + [
            "221"
        ]
        arrived = taken.wait(3)
        mta.wait("removed", 3)
        assert not mta.queued()
        received = re.compile(rb"\A(?:X-\S+ [^\r]*\r\n)*Received: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*")
        assert [received.sub(b"", one.octets) for one in arrived] == [octets] * 3


# --- 6: DATA and BDAT in one transaction -------------------------------------------------------------------------------


@pytest.mark.attack(6)
async def test_data_after_bdat_is_refused_and_the_chunks_are_the_message(tmp_path):
    octets, records = world.signed()
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole, await whole.client() as client:
        await client.say("EHLO client.example.org")
        for line in (MAIL, RCPT):
            assert (await client.say(line)).startswith("250")
        assert (await client.say(chunk(octets[:100], last=False))).startswith("250")
        for line in (b"DATA\r\n", b"data\r\n", RCPT, MAIL):
            assert (await client.say(line)).startswith("503 5.5.1")
        assert (await client.say(chunk(octets[100:200], last=False))).startswith("250")
        assert (await client.say(b"DATA\r\n")).startswith("503 5.5.1")
        assert (await client.say(chunk(octets[200:]))).startswith("250 2.0.0 ")
        assert [one.octets for one in hop.messages] == [octets]
        # after LAST the transaction is over, for DATA as for BDAT
        assert (await client.say(b"DATA\r\n")).startswith("503 5.5.1")
        assert [line for line in heard(hop) if line.startswith(b"RCPT")] == [RCPT.strip()]


@pytest.mark.attack(6)
async def test_bdat_after_data_is_text(tmp_path):
    octets, records = world.signed(world.message("BDAT 4 LAST\r\nx\r\nDATA\r\nRSET"))
    async with NextHop() as hop, gate(tmp_path, hop, records) as whole:
        assert (await whole.send(octets))[-1].startswith("250")
        assert [one.octets for one in hop.messages] == [octets]


# --- 9: lines that are too long ----------------------------------------------------------------------------------------


@pytest.mark.attack(9)
@pytest.mark.parametrize("pieces", [1, 3, 4_096], ids=["at once", "in thirds", "octet by octet"])
async def test_a_line_may_have_512_and_2048_octets_and_one_more_is_refused_whole(tmp_path, pieces):
    """RFC 5321 section 4.5.3.1.4 asks for 512; MAIL may have more with its extensions."""
    async with NextHop() as hop, gate(tmp_path, hop) as whole, await whole.client() as client:

        async def say(line):
            size = max(len(line) // pieces, 1)
            for at in range(0, len(line), size):
                client.writer.write(line[at : at + size])
                await client.writer.drain()
            return (await client.reply())[:9]

        assert (await client.say("EHLO client.example.org")).startswith("250")
        for length, code in (
            (512, "250 2.0.0"),
            (MAX_COMMAND, "250 2.0.0"),
            (MAX_COMMAND + 1, "500 5.5.2"),
            (9_000, "500 5.5.2"),
        ):
            assert await say(b"NOOP ".ljust(length - 2, b"x") + b"\r\n") == code
            # what stands at the end of a line, or would be its next thousand octets, is no command
            hidden = b"NOOP ".ljust(length - 6, b"x") + b"QUIT\r\n"
            assert await say(hidden) == code
        for length, code in ((MAX_COMMAND, "250 2.1.0"), (MAX_COMMAND + 1, "500 5.5.2")):
            line = MAIL.strip()
            assert await say(line + b" " * (length - len(line) - 2) + b"\r\n") == code
            assert (await client.say("RSET")).startswith("250")
        assert (await client.say("QUIT")).startswith("221")
        assert not [line for line in heard(hop) if line != MAIL.strip()]


@pytest.mark.attack(9)
async def test_a_command_without_end_takes_no_memory(tmp_path):
    async with NextHop() as hop, gate(tmp_path, hop) as whole, await whole.client() as client:
        await client.say("EHLO client.example.org")
        piece = b"NOOP " + b"x" * 65_531
        tracemalloc.start()
        try:
            for _ in range(300):  # 20 MB
                client.writer.write(piece)
                await client.writer.drain()
            client.writer.write(b"\r\n")
            assert (await client.reply()).startswith("500 5.5.2")
            assert tracemalloc.get_traced_memory()[1] < 3_000_000
        finally:
            tracemalloc.stop()
        assert (await client.say("NOOP")).startswith("250")


NAME, PASSWORD = "u" * 255, "p" * 255  # the longest that RFC 4616 section 2 says must be taken


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    path: Path = tmp_path_factory.mktemp("users") / "users.json"
    with file.changing(path) as users:
        for name, password in ((NAME, PASSWORD), ("ann", "secret")):
            users[name] = User(name=name, password=hashed(password))
    return path


def encoded(*parts):
    return base64.b64encode(b"\0".join(one.encode() for one in parts))


@pytest.mark.attack(9)
async def test_a_login_may_be_as_long_as_its_rfc_has_it_and_one_octet_more_is_refused(tmp_path, known):
    """Beyond a command's 2,048: RFC 4954 section 4 has 12,288 for the line of a response, base64 and CRLF."""
    login = encoded(NAME, NAME, PASSWORD)
    # on a UNIX socket no TLS is needed before AUTH
    listener = replace(TRUSTED, kind=Kind.SUBMISSION, address=Address(path=Path("socket")), trusted=())
    users = Users(known)
    longest = b"A" * (MAX_AUTH_LINE - 2)

    async def session(*lines):
        """The last reply to each group of lines; then the client logs in with the longest name and password there are."""
        async with await whole.client() as client:
            await client.say("EHLO client.example.org")
            for line in lines:
                replies = await client.say(line + b"\r\n")
            return replies[:9].strip()

    try:
        async with NextHop() as hop, gate(tmp_path, hop, listener=listener, users=users) as whole:
            assert len(login) > 1_000
            ok = "235 2.7.0"
            assert await session(b"AUTH PLAIN " + login) == ok
            assert await session(b"AUTH PLAIN", login) == ok
            assert await session(b"AUTH LOGIN", encoded(NAME), encoded(PASSWORD)) == ok
            assert await session(b"AUTH LOGIN " + encoded(NAME), encoded(PASSWORD)) == ok
            # read to its end, and found to be no password of anybody's
            for first in (b"AUTH PLAIN", b"AUTH LOGIN"):
                assert await session(first, longest) == "501 5.5.2"
                initial = first + b" "
                assert await session(initial + longest[: -len(initial)]) == "501 5.5.2"
                # a line too long ends the exchange: what follows is a command again, and the login is possible
                for line in (longest + b"A", longest * 3):
                    assert await session(first, line) == "500 5.5.2"
                    assert await session(first, line, b"NOOP") == "250 2.0.0"
                    assert await session(first, line, b"AUTH PLAIN " + login) == ok
                    assert await session(initial + line, b"AUTH PLAIN " + login) == ok
            assert hop.messages == []
    finally:
        users.close()
