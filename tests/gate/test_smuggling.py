"""Smuggling, differentially: every end of data that somebody might believe in, through the gate, to servers of other people.

The gate stands in front of Postfix, smtp-sink, aiosmtpd and a next hop of our own that keeps every octet. Whatever is put around
the dot, in the body or in the header, in DATA or at the border of a chunk, sent on as it came or prepared and signed: what arrives
are as many messages as the gate judged, they are the octets that it judged, and what it wrote upstream has no bare CR or LF, and the
end of the data only where it ended them.
"""

import asyncio
import contextlib
import hashlib
import itertools
import os
import random
import re
import socket
import subprocess
import warnings
from functools import partial

import pytest

from delivcheck.gate.prepare import Preparer
from delivcheck.gate.settings import Additions, Limits
from delivcheck.gate.smtp.content import repaired
from tests.conftest import require
from tests.gate import world
from tests.gate.next_hop import NextHop
from tests.gate.prepare.test_sign import BOTH, ZONE
from tests.gate.smtp.sansio import Conversation, options
from tests.gate.test_pipeline import incoming
from tests.gate.whole import gate
from tests.mta import needs_postfix, postfix, sink
from tests.servers import free_port, loopback, program, running

PIECES = (b"\r", b"\n", b".", b"\0", b"x")
END = b"\r\n.\r\n"
SMUGGLED = b"MAIL FROM:<evil@example.org>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\ny"
NAMED = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r.\n",
    b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\r\n.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\0\r\n.\0", b"\r\n\r.\r\n", b"\r\n.\r\0\n",
    b"\xef\xbc\x8e\r.\n", b"\n\n.\n\n", b"\r\n.\n\r\n", b"\r\n..\r\n", b"\r\n. \r\n", b"\r\n \r\n.x\r\n", b"\r\n.\x0b\n", b"\r\n.\x85",
    b"\r\n.\xe2\x80\xa8", b"\x0d\x0a\x2e\x0c\x0a", b"\r\n=2E\r\n", b"\r\n.\r\n.x", b"\n.\n\r\n.\r\n",
    b"\r.\r\r.\r", b"\r\r.\r\r", b"\r\n.\r\n\r", b"\0\n.\0\n", b"\r\0\n.\r\0\n", b"\r\n\0\r\n.\r\n\0", b"\r\n.\n.\r\n", b"\r\n.\r.\r\n",
]  # fmt: skip


def sequences(longest, extra):
    """All of up to so many pieces, those with names, and so many longer ones by chance, always the same."""
    chance = random.Random(20_240_118)  # the week in which the first of these became known
    every = [b"".join(one) for length in range(1, longest + 1) for one in itertools.product(PIECES, repeat=length)]
    weights = (4, 4, 4, 1, 1)
    longer = [b"".join(chance.choices(PIECES, weights, k=chance.randint(longest + 1, 14))) for _ in range(extra)]
    return [*every, *NAMED, *longer]


def body(sequence, mark):
    """A message with the sequence in its body, and what would be smuggled behind it; the octet where the sequence begins."""
    begun = world.message(f"begin {mark}", Subject=f"mark {mark}").removesuffix(b"\r\n")
    return begun + sequence + SMUGGLED, len(begun)


def header(sequence, mark):
    """The same, in a field of its header."""
    head, blank, rest = world.message(f"begin {mark}", Subject=f"mark {mark}").partition(b"\r\n\r\n")
    begun = head + b"\r\nX-Odd: a"
    return begun + sequence + SMUGGLED + blank + rest.removesuffix(b"\r\n"), len(begun)


def expected(octets, *, repair=False):
    """What RFC 5321 sections 2.3.8 and 4.1.1.4 make of what follows DATA: the first message, or None where it may not go on."""
    first = (b"\r\n" + octets + END).partition(END)[0][2:] + b"\r\n"
    first = re.sub(rb"(?:\A|(?<=\r\n))\.", b"", first)
    if repair:
        first = repaired(first)
    return None if re.search(rb"\r(?!\n)|(?<!\r)\n|\0", first) else first


# --- the state machine alone -----------------------------------------------------------------------------------------


@pytest.mark.attack(1, 2)
@pytest.mark.parametrize("repair", [False, True], ids=["strict", "repair"])
def test_every_sequence_around_the_dot_is_what_the_rfc_says(soak, repair):
    for number, sequence in enumerate(sequences(5, 20_000 if soak else 1_000)):
        conversation = Conversation(options(limits=Limits(repair_line_ends=repair))).ready().transaction()
        conversation.send(b"DATA\r\n")
        begun = b"Subject: x\r\n\r\nhello"
        octets = begun + sequence + SMUGGLED
        # in two segments, whose border is somewhere in the sequence
        cut = len(begun) + number % (len(sequence) + 1)
        conversation.send(octets[:cut])
        conversation.send((octets + END)[cut:])
        found = conversation.messages()
        wanted = expected(octets, repair=repair)
        assert found[:1] == ([] if wanted is None else [wanted]), sequence
        if END not in octets:
            assert len(found) <= 1, sequence


@pytest.mark.attack(4)
def test_every_sequence_in_bdat_is_content(soak):
    for number, sequence in enumerate(sequences(5, 20_000 if soak else 1_000)):
        begun = b"Subject: x\r\n\r\nhello"
        octets = begun + sequence + SMUGGLED + b"\r\n"
        inside = range(len(sequence) + 1) if soak else (number % (len(sequence) + 1), len(sequence))
        for cut in (0, *(len(begun) + one for one in inside), len(octets)):
            conversation = Conversation(options()).ready().transaction()
            chunks = [octets[:cut], octets[cut:]]
            conversation.send(b"BDAT %d\r\n%bBDAT %d LAST\r\n%b" % (len(chunks[0]), chunks[0], len(chunks[1]), chunks[1]))
            clean = not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets)
            assert conversation.messages() == ([octets] if clean else []), (sequence, cut)


# --- through the whole gate ------------------------------------------------------------------------------------------


class Always:
    """A judge that found once that a message passes, and says so of all: what is tested here is on the wire."""

    def __init__(self, judgement):
        self.judgement = judgement

    async def judge(self, *_):
        return self.judgement

    def sent(self, _):
        pass


def dressed():
    """A preparer that does all that one can: fields out, fields in, Received and two signatures on top."""
    return Preparer("gate.example.org", Additions(fields={"X-Trace": "{trace}"}), BOTH)


@contextlib.asynccontextmanager
async def before(tmp_path, hop, *, prepared=False, **settings):
    octets, records = world.signed()
    preparer = dressed() if prepared else None
    async with gate(tmp_path, hop, {**records, **ZONE}, preparer=preparer, **settings) as whole:
        assert (await whole.send(octets))[-1].startswith("250")
        pipeline = whole.reception.pipeline
        pipeline.judge = Always(await pipeline.judge.judge(octets, incoming(octets)))
        whole.told.clear()
        yield whole


async def attack(whole, octets, *, cuts=()):
    """One session that says all that, in chunks cut there or in DATA, and ends; the hashes of the messages that the gate sent."""
    seen = len(whole.told)
    async with await whole.client() as client:
        for line in ("EHLO client.example.org", "MAIL FROM:<bounces@example.org>", "RCPT TO:<pat@example.net>"):
            assert (await client.say(line)).startswith("250")
        if cuts:
            octets += b"\r\n"
            for start, end in itertools.pairwise((0, *cuts, len(octets))):
                last = b" LAST" if end == len(octets) else b""
                client.writer.write(b"BDAT %d%b\r\n%b" % (end - start, last, octets[start:end]))
        else:
            assert (await client.say("DATA")).startswith("354")
            client.writer.write(octets + END)
        client.writer.write(b"QUIT\r\n")
        said = await client.reader.read()
    told = whole.told[seen:]
    judged = [fields["sha256"] for event, fields in told if event == "message" and fields["action"] == "send"]
    taken = [fields for event, fields in told if event == "sent" and fields["what"] == "accepted"]
    assert len(judged) == len(taken) <= said.count(b"250 2.0.0 "), told
    if END not in octets or cuts:
        assert len(judged) <= 1
    return judged


async def all_of_them(whole, soak, *, repair=False):
    """Send everything; the hashes of what must have arrived, in order."""
    judged = []
    for number, sequence in enumerate(sequences(4 if soak else 3, 3_000 if soak else 100)):
        for place, make in (("b", body), ("h", header)):
            if number % 4 and place == "h" and not soak:
                continue
            octets, begun = make(sequence, f"d{place}{number}")
            judged += await attack(whole, octets)
            if not repair:
                octets, begun = make(sequence, f"c{place}{number}")
                within = begun + number % (len(sequence) + 1)
                judged += await attack(whole, octets, cuts=(within, within + 1))
    return judged


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


AS_IT_CAME_OR_SIGNED = pytest.mark.parametrize("prepared", [False, True], ids=["as it came", "signed"])


@pytest.mark.attack(1, 2, 3, 4)
@AS_IT_CAME_OR_SIGNED
@pytest.mark.parametrize("repair", [False, True], ids=["strict", "repair"])
async def test_our_own_next_hop_sees_no_bare_line_end_and_only_our_dot(tmp_path, soak, repair, prepared):
    limits = Limits(repair_line_ends=repair)
    async with NextHop() as hop, before(tmp_path, hop, limits=limits, prepared=prepared) as whole:
        hop.messages.clear()
        judged = await all_of_them(whole, soak, repair=repair)
        assert [sha256(one.octets) for one in hop.messages] == judged
        assert len(judged) > 40
        for session in hop.sessions:
            raw = bytes(session.raw)
            assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
        assert sum(bytes(one.raw).count(END) for one in hop.sessions) == len(judged) + 1  # and the one before them all
        envelopes = [(one.mail_from.split(b" BODY")[0], one.rcpt_to, one.octets) for one in hop.messages]
        ours = (b"MAIL FROM:<bounces@example.org>", [b"RCPT TO:<pat@example.net>"])
        assert all((sender, to) == ours for sender, to, octets in envelopes if b"\r\nSubject: mark" in octets)
        if prepared:
            assert all(octets.startswith(b"Received: ") and b"\r\nDKIM-Signature: " in octets for _, _, octets in envelopes)


@pytest.mark.attack(1, 2, 3, 4)
@AS_IT_CAME_OR_SIGNED
@needs_postfix
async def test_postfix_gets_what_was_judged(tmp_path, soak, prepared):
    # as it was before its makers knew: every bare LF ends a line, and the data
    careless = {
        "smtpd_forbid_bare_newline": "no",
        "smtpd_junk_command_limit": "100000",
        "smtpd_client_connection_count_limit": "0",
        "in_flow_delay": "0",  # else it waits a second with each, as most that comes in does not go out
    }
    with sink() as taken, postfix({"default_transport": taken.transport, **careless}) as mta:
        async with before(tmp_path, mta, prepared=prepared) as whole:
            judged = await all_of_them(whole, soak)
        arrived = await asyncio.to_thread(taken.wait, len(judged) + 1)
        mta.wait("removed", len(judged) + 1)
        assert not mta.queued()
        # Postfix puts its Received in front of what it was given, and nothing else
        received = re.compile(rb"\AReceived: [^\r]*\r\n(?:[ \t][^\r]*\r\n)*")
        bodies = sorted(sha256(received.sub(b"", one.octets)) for one in arrived if b"\r\nSubject: mark" in one.octets)
        assert bodies == sorted(judged)
        assert len(arrived) == len(judged) + 1  # and the one before them all


def answers(host, port):
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) == 0


class At:
    def __init__(self, host, port):
        self.host, self.port = host, port


@pytest.mark.attack(1, 2, 3, 4)
@AS_IT_CAME_OR_SIGNED
async def test_smtp_sink_gets_what_was_judged(tmp_path, soak, prepared):
    require("smtp-sink")
    host = loopback()
    port = free_port(host)
    folder = tmp_path / "mail"
    folder.mkdir()
    folder.chmod(0o777)
    for one in (tmp_path, *list(tmp_path.parents)[:2]):
        one.chmod(one.stat().st_mode | 0o011)
    user = ("-u", "nobody") if os.geteuid() == 0 else ()
    command = subprocess.list2cmdline([program("smtp-sink"), *user, "-d", "%M.", f"{host}:{port}", "50"])
    with running(["sh", "-c", f"cd {folder} && exec {command}"], tmp_path / "log", partial(answers, host, port)):
        async with before(tmp_path, At(host, port), prepared=prepared) as whole:
            judged = await all_of_them(whole, soak)
        files = [path.read_bytes() for path in folder.iterdir()]
    # it writes LF for CRLF, a blank line after each, and its own fields in front
    begun = [one.replace(b"\n", b"\r\n") for one in files]
    first = b"Received: from client.example.org" if prepared else b"From: Shop"
    bodies = sorted(sha256(one[one.index(first) : -2]) for one in begun if b"Subject: mark" in one)
    assert bodies == sorted(judged)
    assert len(files) == len(judged) + 1


@pytest.mark.attack(1, 2, 3, 4)
@AS_IT_CAME_OR_SIGNED
async def test_aiosmtpd_gets_what_was_judged(tmp_path, soak, prepared):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from aiosmtpd.smtp import SMTP

    arrived = []

    class Keep:
        async def handle_DATA(self, server, session, envelope):  # noqa: N802 -- its name
            arrived.append(envelope.original_content)
            return "250 2.0.0 kept"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Keep(), hostname="hop.example", loop=loop), loopback(), 0)
    host, port = server.sockets[0].getsockname()
    try:
        async with before(tmp_path, At(host, port), prepared=prepared) as whole:
            arrived.clear()
            judged = await all_of_them(whole, soak)
        assert [sha256(one) for one in arrived] == judged
    finally:
        server.close()
        await server.wait_closed()


# --- commands in the envelope ----------------------------------------------------------------------------------------

SMUGGLERS = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\0",
    b"\x85",
    "\u2028".encode(),
    b"\x0b",
    b"\x0c",
    b"+0D+0A",
    b"%0D%0A",
    b"\\r\\n",
    b"\\\r\\\n",
    b"=0D=0A",
    b"\t",
]
PLACES = [
    b'MAIL FROM:<"a%b"@example.org>', b"MAIL FROM:<a%b@example.org>", b"MAIL FROM:<a@example.org%b>", b"MAIL FROM:<a@example.org>%b",
    b"MAIL FROM:<a@example.org> SIZE=1%b", b"MAIL FROM:<a@example.org> BODY=8BITMIME%b", b"MAIL FROM:<a@example.org> ENVID=x%b",
    b"MAIL FROM:<a@example.org> RET=HDRS%b", b"MAIL FROM:<a@example.org> AUTH=x%b", b"MAIL FROM:<a@example.org> SMTPUTF8 ENVID=x%b",
    b'MAIL FROM:<"a%b"@example.org> SMTPUTF8', b"MAIL FROM:<a%b@example.org> SMTPUTF8", b"EHLO a%b",
    b'RCPT TO:<"a%b"@example.net>', b"RCPT TO:<a%b@example.net>", b"RCPT TO:<a@example.net%b>", b"RCPT TO:<a@example.net>%b",
    b"RCPT TO:<a@example.net> NOTIFY=NEVER%b", b"RCPT TO:<a@example.net> ORCPT=rfc822;x%b", b"RCPT TO:<a@example.net> ORCPT=rfc822%b;x",
    b"RCPT TO:<a@example.net> ORCPT=utf-8;x%b", b"RCPT TO:<@b%b:a@example.net>",
]  # fmt: skip


@pytest.mark.attack(15, 17)
async def test_no_command_is_smuggled_in_an_envelope(tmp_path):
    """Whatever stands between two commands of the attacker's, the next hop hears only those that the gate understood."""
    hidden = b"RCPT TO:<victim@example.com>"
    async with NextHop(
        extensions=("PIPELINING", "SIZE 1000000", "8BITMIME", "SMTPUTF8", "DSN", "XFORWARD NAME ADDR HELO")
    ) as hop:
        async with before(tmp_path, hop) as whole:
            for place, smuggler in itertools.product(PLACES, SMUGGLERS):
                line = place.replace(b"%b", smuggler + hidden)
                async with await whole.client() as client:
                    if not line.startswith(b"EHLO"):
                        await client.say("EHLO client.example.org")
                    if line.startswith(b"RCPT"):
                        await client.say("MAIL FROM:<bounces@example.org>")
                    client.writer.write(line + b"\r\n")
                    client.writer.write_eof()
                    said = await client.reader.read()
                replies = re.findall(rb"^\d{3} ", said, re.MULTILINE)
                assert replies, line
                if smuggler == b"\r\n":
                    continue  # two commands, and said to be two
                assert said.count(b"\r\n250 2.1.5") + said.startswith(b"250 2.1.5") <= 1, line
        for line in hop.commands:
            assert line.split(b" ")[0] in {b"EHLO", b"MAIL", b"RCPT", b"RSET", b"QUIT", b"XFORWARD", b"DATA"}, line
            assert not re.search(rb"[\x00-\x1f\x7f]", line)
            if line.startswith((b"MAIL", b"RCPT")):
                assert re.match(rb'(?:MAIL FROM|RCPT TO):<(?:"(?:[^"\\]|\\.)*"|[^"<>\s])*>(?: [!-~]+)*\Z', line), line
        raw = b"".join(bytes(session.raw) for session in hop.sessions)
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", raw)
