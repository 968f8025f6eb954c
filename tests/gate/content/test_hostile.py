"""Hostile content through the whole gate (attacks 30 to 42): an answer, in time in proportion to the size, and nothing unread that passes.

What takes how long is asked of `process_time` under --soak alone; else sizes are compared within one run, in calls of functions,
which no load on the machine can change.
"""

import asyncio
import re
import resource
import time
from datetime import UTC, datetime

import pytest

from delivcheck.gate.model import Action
from delivcheck.gate.settings import Limits
from delivcheck.mime.message import parse
from delivcheck.model import Outcome
from tests.calls import Calls
from tests.gate import world
from tests.gate.content.hostile import FAMILIES, HEADER, PLAIN, with_body, with_fields
from tests.gate.next_hop import NextHop
from tests.gate.test_pipeline import incoming, pipeline
from tests.gate.whole import gate

SIZE = 6_000  # octets; four times that is measured against it
MESSAGE_SIZE = Limits().message_size
MOST_SECONDS = 20.0  # of CPU for the largest message that is taken, with room for a busy machine; the watchdog kills after 30
MOST_MEMORY = 1_000_000_000  # octets more than before, for the same
NOW = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S").encode()


def cases():
    return [pytest.param(name, id=name, marks=pytest.mark.attack(*attacks)) for name, (attacks, _) in FAMILIES.items()]


def today(octets):
    return octets.replace(b"Mon, 23 Nov 2026 10:00:00", NOW)


def made(name, size):
    octets = today(FAMILIES[name][1](size))
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """One pipeline for all: what it keeps between messages belongs to what is tested."""
    octets, records = world.signed()
    made = pipeline(tmp_path_factory.mktemp("line"), records)
    asyncio.run(made.process(incoming(octets)))
    return made


async def judged(line, octets):
    """The outcome, having made sure that it is one."""
    before = len(line.watch)
    outcome = await line.process(incoming(octets))
    told = line.watch[before:]
    assert [event for event, _ in told] == ["message"], told  # above all no "fault": nothing broke
    assert outcome.decision.action in {Action.SEND, Action.REFUSE, Action.DEFER}
    assert outcome.decision.reply.code in {250, 451, 550, 554}
    assert re.fullmatch(r"[ -~]*", str(outcome.decision.reply))
    return outcome


@pytest.mark.parametrize("name", cases())
async def test_the_answer_is_a_defined_one_and_its_cost_grows_no_faster_than_the_message(line, name, soak):
    """Signed as it should be, so that nothing else refuses it: what passes has nothing failed or unknown at error level."""
    if name.startswith(("endless-", "html-text-")) and not soak:
        pytest.skip("with --soak: the same text in another shape")
    counts = []
    for size in (SIZE, 4 * SIZE):
        octets, _ = world.signed(made(name, size))
        with Calls() as calls:
            outcome = await judged(line, octets)
        counts.append(calls.count)
        if outcome.decision.action is Action.SEND:
            assert not errors(outcome.report)
            assert outcome.octets == octets or outcome.edits
    # What is quadratic would take 16 times as much; what every message takes is set off against it.
    assert counts[1] < 6 * counts[0] + 20_000


def errors(report):
    return [one for one in report.results if one.level == "error" and one.outcome in {Outcome.FAIL, Outcome.UNKNOWN}]


@pytest.mark.parametrize("name", cases())
async def test_the_largest_message_costs_a_bounded_time_and_memory(line, name, soak):
    if not soak:
        pytest.skip("with --soak: 35 MB of each")
    octets = made(name, MESSAGE_SIZE * 95 // 100)
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    await judged(line, octets)
    assert time.process_time() - started < MOST_SECONDS
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < MOST_MEMORY


# --- one by one, from the client to the next hop ---------------------------------------------------------------------


async def answered(tmp_path, octets, records=None):
    """What the client hears, and what the next hop got; the same gate serves the next client."""
    async with NextHop() as hop, gate(tmp_path, hop, world.signed()[1] if records is None else records) as whole:
        *_, end = await whole.send(octets)
        arrived = list(hop.messages)
        assert not whole.told.of("fault")
        assert (await whole.send(world.signed()[0]))[-1].startswith("250")
        return end, arrived


@pytest.mark.attack(30)
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (b"X-A: b\r\n" * 10_001, "550 5.6.0 the header has more than 10000 fields"),
        (b"X-A: b\r\n" * 100_000, "550 5.6.0 the header has more than 20000 lines"),
        (b"X-A: b\r\n" + b" c\r\n" * 30_000, "550 5.6.0 the header has more than 20000 lines"),
        (b"X-A:" + (b" " + b"c" * 900 + b"\r\n") * 1_200, "550 5.6.0 the header has more than 1048576 octets"),
    ],
    ids=["10,000 fields", "100,000 fields", "folded", "1 MB"],
)  # fmt: skip
async def test_a_header_beyond_the_limits_is_refused_and_the_gate_goes_on(tmp_path, fields, said):
    end, messages = await answered(tmp_path, with_fields(fields))
    assert end.startswith(said)
    assert messages == []


@pytest.mark.attack(32)
@pytest.mark.parametrize(
    ("octets", "found"),
    [
        (b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(1_000)), "nested more than 100 deep"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 1_400_000 + b"--b--\r\n", "more than 10000 parts"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 1_400_000 + b"--b--\r\n", 'more than 200000 lines of the message begin with "--"'),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b--\r\n" * 1_400_000, 'more than 200000 lines of the message begin with "--"'),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\nA: b\r\nX: " + b"--bc\r\n" * 2_000 + b"--b\r\n\r\n" * 10_001, "more than 10000 parts"),
    ],
    ids=["1,000 deep", "1.4 million", "1.4 million delimiters", "closed again and again", "behind other faults"],
)  # fmt: skip
async def test_parts_without_end_are_not_read_and_that_is_said(line, octets, found, soak):
    signed, _ = world.signed(today(HEADER) + octets)
    assert any(found in one.message for one in parse(signed).defects)
    if "10000" in found and not soak:
        return  # to judge 10,000 parts takes seconds
    outcome = await judged(line, signed)
    assert outcome.decision.action is not Action.SEND
    said = [f"{one.reason} {[problem.message for problem in one.problems]}" for one in outcome.report.results]
    assert any(found in one for one in said)


@pytest.mark.attack(32)
async def test_a_file_behind_a_thousand_other_faults_is_not_passed_over(line):
    """What is noted of a message has an end; the boundary that hides a program from us may be what was not noted."""
    near = b"--b and more\r\n" * 1_100
    hidden = b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\nContent-Type: application/x-msdownload; name=a.exe\r\n\r\nMZ\r\n"
    octets = (
        HEADER + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + PLAIN + b"\r\n" + near + hidden + b"--b--\r\n"
    )
    outcome = await judged(line, world.signed(today(octets))[0])
    assert outcome.decision.action is not Action.SEND


@pytest.mark.attack(32)
@pytest.mark.parametrize(
    "boundary", [b"b" * 71, b"b" * 998, b"", b"  ", b"b\x00", b"=?utf-8?q?b?=", b"b" * 60 + b'"; boundary="b']
)
async def test_a_boundary_that_none_may_have_is_found(line, boundary):
    octets = (
        HEADER
        + b'Content-Type: multipart/mixed;\r\n boundary="'
        + boundary[:970]
        + b'"\r\n\r\n--b\r\n'
        + PLAIN
        + b"\r\nx\r\n--b--\r\n"
    )
    outcome = await judged(line, world.signed(today(octets))[0])
    assert outcome.decision.action is not Action.SEND
    assert outcome.report is None or any(
        one.rule == "mime/broken-boundary" and one.outcome is Outcome.FAIL for one in outcome.report.results
    )


@pytest.mark.attack(31, 42)
@pytest.mark.parametrize(
    "name", ["__class__", "__dict__", "items", "keys", "get", "__init__", "self", "None", "__proto__", "constructor"]
)
async def test_a_field_named_like_an_attribute_is_a_field_and_goes_through(tmp_path, name):
    octets, records = world.signed(
        world.message(**{name: "x"}).replace(name.replace("_", "-").encode() + b": x", name.encode() + b": x")
    )
    assert f"\r\n{name}: x\r\n".encode() in octets
    end, messages = await answered(tmp_path, octets, records)
    assert end.startswith("250")
    assert messages[0].octets == octets


@pytest.mark.attack(31)
@pytest.mark.parametrize(
    "line_", [b"X-\xc3\xa4: b", b": b", b"X A: b", b"X-A\x00: b", b"no colon", b"X-A : b", b"X-A: \x00", b"X-A: \x1b[2J", b" x"]
)
async def test_a_malformed_field_is_answered_and_never_mended(tmp_path, line_):
    octets, records = world.signed()
    odd = octets.replace(b"Subject:", line_ + b"\r\nSubject:", 1)
    end, messages = await answered(tmp_path, odd, records)
    assert end.startswith("550 ") or messages[0].octets == odd
    assert end.isprintable()


@pytest.mark.attack(37)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"From: Shop <orders@example.org>", b"From: Shop <orders@example.org>\r\nFrom: Boss <boss@example.net>"),
        (b"From: Shop <orders@example.org>", b"From: orders@example.org, boss@example.net"),
        (b"From: Shop <orders@example.org>", b"From: =?utf-8?q?orders=40example=2Eorg?="),
        (b"From: Shop <orders@example.org>", b"From: <orders@=?utf-8?q?example?=.org>"),
        (b"From: Shop <orders@example.org>", b"From: <orders@example.org> <boss@example.net>"),
        (b"From: Shop <orders@example.org>", b"From: boss@example.net <orders@example.org>"),
        (b"From: Shop <orders@example.org>", b'From: "boss@example.net" <orders@example.org>'),
        (b"From: Shop <orders@example.org>", b"From: orders@example.org\x00@example.net"),
        (b"From: Shop <orders@example.org>", b"From : orders@example.org\r\nFrom: boss@example.net"),
        (b"Subject: Your order 4711", b"Subject: one\r\nSubject: two"),
        (b"To: Pat <pat@example.net>", b"To: a@example.net\r\nTo: b@example.net"),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.0\r\nContent-Type: text/html"),
        (b"MIME-Version: 1.0", b"MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\nContent-Transfer-Encoding: base64"),
    ],
    ids=["two Froms", "two authors", "only a word", "a word in a domain", "two addresses", "a name like an address", "the same quoted", "NUL", "a blank before the colon", "two subjects", "two Tos", "two types", "two encodings"],
)  # fmt: skip
async def test_a_field_that_two_readers_read_differently_is_refused(tmp_path, before, after):
    """Signed by who may, so that it is the field that is refused."""
    octets, records = world.signed(world.message().replace(before, after, 1))
    end, messages = await answered(tmp_path, octets, records)
    assert end.startswith("550 ")
    assert messages == []


@pytest.mark.attack(38)
async def test_forged_results_do_not_go_on(tmp_path):
    from delivcheck.gate.prepare import Preparer

    octets, records = world.signed()
    forged = b"Authentication-Results: gate.example.org; spf=pass\r\nX-Delivcheck-Verdict: pass\r\n"
    preparer = Preparer("gate.example.org", without_received=["relay"])
    async with NextHop() as hop, gate(tmp_path, hop, records, preparer=preparer) as whole:
        *_, end = await whole.send(forged * 3 + octets.replace(b"\r\n\r\n", b"\r\n" + forged + b"\r\n", 1))
        assert end.startswith("250")
        assert hop.messages[0].octets == octets


EXE = [
    b"attachment; filename=a.exe", b'attachment; filename="a.exe"', b"attachment; filename*=utf-8''a%2Eexe", b"attachment; filename*0=a.; filename*1=exe",
    b"attachment; filename*0*=utf-8''a; filename*1=.exe", b'attachment; filename="=?utf-8?q?a=2Eexe?="', b'attachment; filename="=?utf-8?b?YS5leGU=?="',
    b"attachment; filename*1=exe; filename*0=a.", b"attachment; filename=a.txt; filename=a.exe", b"attachment; filename=a.txt; filename*=utf-8''a.exe",
    b"attachment; filename*=utf-8''a.txt; filename=a.exe", b"attachment; filename=a.txt;\r\n filename*0=a.;\r\n filename*1=exe", b"attachment; filename=a.exe.", b'attachment; filename="a.exe "',
    b"attachment; filename=a\\.exe", b"inline; filename=A.EXE", b"x; FILENAME=a.exe", b"attachment; filename=(c)a.exe", b"attachment; filename (c) = a.exe", b"attachment filename=a.exe",
]  # fmt: skip


@pytest.mark.attack(40)
@pytest.mark.parametrize("disposition", EXE, ids=lambda one: one.decode())
async def test_however_a_name_is_written_the_decision_is_the_same(line, disposition):
    body = (
        b"--b\r\n" + PLAIN + b"\r\nhello\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: " + disposition
        + b"\r\nContent-Transfer-Encoding: base64\r\n\r\nTVo=\r\n--b--"
    )  # fmt: skip
    outcome = await judged(line, world.signed(today(with_body(body, b"multipart/mixed; boundary=b")))[0])
    assert outcome.decision.action is Action.REFUSE
    assert "mime/blocked-attachment" in outcome.decision.rules


@pytest.mark.attack(35)
@pytest.mark.parametrize("family", ["xml-entities", "xml-external"])
async def test_no_entity_is_expanded_and_no_file_is_read(line, family, monkeypatch):
    opened = []
    monkeypatch.setattr("builtins.open", lambda *arguments, **_: opened.append(arguments))
    outcome = await judged(line, made(family, SIZE))
    assert outcome.decision.action is Action.REFUSE
    assert opened == []
