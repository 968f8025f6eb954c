"""What servers and forgers send that they should not, and what the live client makes of it."""

import asyncio
import struct
import time

import dns.flags
import dns.message
import pytest
from dns.edns import EDECode, EDEOption
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import DnsUse, Failed, Failure, Found, NoData, NoSuchName
from delivcheck.net import wire
from delivcheck.net.client import MAX_TTL
from delivcheck.net.dns import Live
from delivcheck.net.plain import MAX_JUMPS
from delivcheck.net.response import Dangling, Malformed, NoEdns, Query, Truncated, read
from tests.net.scripted import Scripted, over_tcp, response, truncated

pytestmark = pytest.mark.attack(59)
ADDRESS = "n.test. 60 A 192.0.2.1"
RIGHT = Found(("192.0.2.1",), ttl=60)


def right(query):
    return response(query, ADDRESS)


def ask_one(udp, tcp=None, question=("n.test", "A"), timeout=1.0):
    """The answer, the seconds it took, what it cost, and the server's own list of questions."""

    async def run():
        async with Scripted(udp, tcp) as server:
            client = Live([server.address], timeout=timeout)
            began = time.monotonic()
            answer = await client.ask(*question)
            return answer, time.monotonic() - began, client.use(), server.seen

    return asyncio.run(run())


# --- forgeries ---------------------------------------------------------------------------------------------------


def with_id(query):
    octets = bytearray(right(query))
    octets[1] ^= 1
    return bytes(octets)


def with_question(query, name="m.test.", type_="A"):
    message = dns.message.from_wire(query)
    other = dns.message.make_query(name, type_, id=message.id)
    return response(other.to_wire(), f"{name} 60 A 198.51.100.66")


def without_question(query):
    octets = bytearray(right(query))
    length = len(Query(0, wire.name_octets("n.test"), 1).question)
    return bytes(octets[:4] + b"\0\0" + octets[6:12] + octets[12 + length :])


def record(owner, type_, data, ttl=60, cls=1):
    return owner + struct.pack("!HHIH", type_, cls, ttl, len(data)) + data


def raw(query, *records, flags=0x8180, more=b""):
    """A response whose answer section is octets."""
    question = query[12 : query.index(b"\0", 12) + 5]
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0) + question + b"".join(records) + more


HERE = b"\xc0\x0c"  # a pointer to the question's name
FORGED = {
    "another id": with_id,
    "another name": with_question,
    "another type": lambda query: with_question(query, "n.test.", "AAAA"),
    "no question": without_question,
    "a question, not a response": lambda query: query,
    "an opcode that is not QUERY": lambda query: right(query)[:2] + b"\xa8" + right(query)[3:],
    "nothing": lambda _query: b"",
    "eleven octets": lambda query: right(query)[:11],
    "a header alone": lambda query: right(query)[:12],
    "half a record": lambda query: right(query)[:-2],
    "octets after the end": lambda query: right(query) + b"\0",
    "garbage": lambda query: query[:2] + b"\x81\x80" + b"\xff" * 200,
    "more records than there are": lambda query: right(query)[:6] + b"\xff\xff" + right(query)[8:],
    "a name that points to itself": lambda query: raw(query, record(b"\xc0\x18", 1, b"\1\2\3\4")),
    "a name that points ahead": lambda query: raw(query, record(b"\xc0\x40", 1, b"\1\2\3\4")),
    "a label of an unknown kind": lambda query: raw(query, record(b"\x40a\0", 1, b"\1\2\3\4")),
    "a name of 300 octets": lambda query: raw(query, record((b"\x3b" + b"a" * 59) * 5 + b"\0", 1, b"\1\2\3\4")),
    "an address of three octets": lambda query: raw(query, record(HERE, 1, b"\1\2\3")),
    "records of a name that does not exist": lambda query: response(query, ADDRESS, rcode="NXDOMAIN"),
    "two aliases at one name": lambda query: raw(query, record(HERE, 5, b"\1a\0"), record(HERE, 5, b"\1b\0")),
    "an EDNS option that does not end": lambda query: (
        raw(query)[:10] + b"\0\1" + raw(query)[12:] + b"\0" + struct.pack("!HHIHHH", 41, 1232, 0, 4, 15, 9)
    ),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_the_right_answer_is_taken_though_a_wrong_one_came_first(forged):
    answer, took, use, _ = ask_one(lambda query: [forged(query), right(query)])
    assert answer == RIGHT
    assert took < 0.5
    assert use == DnsUse(questions=1, rounds=1)


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_wrong_answer_alone_is_no_answer(forged):
    answer, took, _, _ = ask_one(lambda query: [forged(query)] * 3, timeout=0.2)
    assert answer == Failed(Failure.TIMEOUT, answer.detail)
    assert took < 0.6


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_wrong_answer_over_tcp_is_no_answer(forged):
    answer, took, _, _ = ask_one(truncated, over_tcp(forged), timeout=0.2)
    assert isinstance(answer, Failed)
    assert answer.kind is Failure.TIMEOUT
    assert took < 0.6


def test_letters_come_back_in_any_case():
    assert ask_one(lambda query: [right(query).replace(b"\1n\4test", b"\1N\4TeSt", 1)])[0] == RIGHT


@pytest.mark.parametrize(
    ("section", "records"),
    [
        ("answer", (ADDRESS, "victim.test. 60 A 198.51.100.66")),
        ("answer", ("victim.test. 60 A 198.51.100.66", ADDRESS)),
        ("additional", ("victim.test. 60 A 198.51.100.66",)),
        ("authority", ("test. 60 NS victim.test.",)),
    ],
)
def test_records_that_were_not_asked_for_are_neither_taken_nor_kept(section, records):
    def forge(query):
        if b"victim" in query:
            return [response(query, "victim.test. 60 A 192.0.2.9")]
        return [response(query, *records) if section == "answer" else response(query, ADDRESS, **{section: records})]

    async def run():
        async with Scripted(forge) as server:
            client = Live([server.address])
            return await client.ask("n.test", "A"), await client.ask("victim.test", "A"), len(server.seen)

    assert asyncio.run(run()) == (RIGHT, Found(("192.0.2.9",), ttl=60), 2)


def test_records_of_another_class_are_none():
    assert ask_one(lambda query: [raw(query, record(HERE, 1, b"\1\2\3\4", cls=3))])[0] == NoData(0)


def test_a_question_of_any_letter_case_or_number_keeps_to_its_type():
    # 65 is HTTPS and "A" in ASCII, 97 is "a": comparing a question's octets without case must stop before its type.
    query = Query(7, wire.name_octets("n.test"), 65)
    forged = Query(7, wire.name_octets("n.test"), 97).octets()
    with pytest.raises(Malformed):
        read(bytes([forged[0], forged[1], 0x81, 0x80]) + forged[4:], query)


# --- TTLs and aliases --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ttl", "taken"), [(0, 0), (60, 60), (MAX_TTL + 1, MAX_TTL), (0x7FFFFFFF, MAX_TTL), (0xFFFFFFFF, MAX_TTL)]
)
def test_a_huge_ttl_is_cut(ttl, taken):
    assert ask_one(lambda query: [raw(query, record(HERE, 1, b"\1\2\3\4", ttl))])[0] == Found(("1.2.3.4",), ttl=taken)


def test_a_record_set_is_a_set():
    def turned(query):
        addresses = [bytes([192, 0, 2, last]) for last in (9, 1, 9, 5)]
        return [raw(query, *(record(HERE, 1, address, ttl=60 + address[3]) for address in addresses))]

    assert ask_one(turned)[0] == Found(("192.0.2.1", "192.0.2.5", "192.0.2.9"), ttl=61)


ALIASES = {"a": "b", "b": "c", "c": "a", "d": "e", "self": "self", **{f"x{n}": f"x{n + 1}" for n in range(12)}}


def one_alias_at_a_time(query):
    name = dns.message.from_wire(query).question[0].name.to_text()
    host = name.removesuffix(".test.")
    if host in ALIASES:
        return [response(query, f"{name} 30 CNAME {ALIASES[host]}.test.")]
    return [response(query, f"{name} 60 A 192.0.2.1")]


@pytest.mark.parametrize(
    ("host", "answer", "questions"),
    [
        ("d", Found(("192.0.2.1",), ttl=30, aliases=("e.test",)), 2),
        ("x4", Found(("192.0.2.1",), ttl=30, aliases=tuple(f"x{n}.test" for n in range(5, 13))), 9),
        ("x3", Failed(Failure.SERVFAIL, "more than 8 CNAME records follow on x3.test"), 9),
        ("a", Failed(Failure.SERVFAIL, "the CNAME records of a.test lead back to a.test"), 3),
        ("self", Failed(Failure.SERVFAIL, "the CNAME records of self.test lead back to self.test"), 1),
    ],
)
def test_aliases_are_followed_over_responses_but_not_for_ever(host, answer, questions):
    found, _, use, _ = ask_one(one_alias_at_a_time, question=(f"{host}.test", "A"))
    assert (found, use.questions) == (answer, questions)


def test_what_an_alias_leads_to_may_not_exist_or_not_answer():
    def target(rcode):
        return lambda query: [
            response(query, rcode=rcode)
            if b"\1t" in query[12:15]
            else response(query, "n.test. 60 CNAME t.test.", flags=dns.flags.AD)
        ]

    assert ask_one(target("NXDOMAIN"))[0] == NoSuchName(0, ("t.test",))
    failed = ask_one(target("SERVFAIL"))[0]
    assert failed.kind is Failure.SERVFAIL
    assert failed.detail.endswith("SERVFAIL at its CNAME target t.test")


@pytest.mark.parametrize(("first", "second", "authentic"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_chain_is_authentic_when_all_of_it_is(first, second, authentic):
    def udp(query):
        asked_target = query[12:14] == b"\1t"
        flags = dns.flags.AD if (second if asked_target else first) else 0
        return [response(query, "t.test. 60 A 192.0.2.1" if asked_target else "n.test. 60 CNAME t.test.", flags=flags)]

    assert ask_one(udp)[0] == Found(("192.0.2.1",), ttl=60, authentic=authentic, aliases=("t.test",))


# --- absence -----------------------------------------------------------------------------------------------------

SOA = "test. 900 SOA ns. hm. 1 2 3 4 "


@pytest.mark.parametrize(
    ("how", "answer"),
    [
        ({"rcode": "NXDOMAIN", "authority": [SOA + "120"]}, NoSuchName(120)),
        ({"rcode": "NXDOMAIN", "authority": [SOA + "86400"]}, NoSuchName(900)),
        ({"rcode": "NXDOMAIN", "authority": ["test. 99999999 SOA ns. hm. 1 2 3 4 99999999"]}, NoSuchName(10_800)),
        ({"rcode": "NXDOMAIN", "authority": ["elsewhere. 900 SOA ns. hm. 1 2 3 4 120"]}, NoSuchName(0)),
        ({"rcode": "NXDOMAIN"}, NoSuchName(0)),
        ({"authority": [SOA + "120"]}, NoData(120)),
        ({"authority": [". 900 SOA ns. hm. 1 2 3 4 120"]}, NoData(120)),
        ({}, NoData(0)),
        ({"authority": ["test. 900 NS ns."], "flags": dns.flags.AA}, NoData(0)),
    ],
)
def test_absence_has_its_own_ttl(how, answer):
    assert ask_one(lambda query: [response(query, **how)])[0] == answer


def test_a_referral_is_no_absence():
    answer = ask_one(lambda query: [response(query, authority=["test. 900 NS ns."])])[0]
    assert answer.kind is Failure.SERVFAIL
    assert "refers to other name servers" in answer.detail


# --- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ({"rcode": "SERVFAIL"}, Failure.SERVFAIL, ": SERVFAIL"),
        ({"rcode": "SERVFAIL", "options": [EDEOption(EDECode.DNSSEC_BOGUS, "x\n")]}, Failure.BOGUS, ": SERVFAIL, DNSSEC BOGUS"),
        ({"rcode": "SERVFAIL", "options": [EDEOption(7)]}, Failure.BOGUS, ": SERVFAIL, SIGNATURE EXPIRED"),
        (
            {"rcode": "SERVFAIL", "options": [EDEOption(22), EDEOption(9)]},
            Failure.BOGUS,
            "NO REACHABLE AUTHORITY, DNSKEY MISSING",
        ),
        ({"rcode": "SERVFAIL", "options": [EDEOption(22)]}, Failure.SERVFAIL, "NO REACHABLE AUTHORITY"),
        ({"rcode": "SERVFAIL", "options": [EDEOption(49152)]}, Failure.SERVFAIL, "49152"),
        ({"rcode": "REFUSED"}, Failure.REFUSED, ": REFUSED"),
        ({"rcode": "NOTAUTH"}, Failure.SERVFAIL, ": NOTAUTH"),
        ({"rcode": "BADCOOKIE", "options": [EDEOption(0)]}, Failure.SERVFAIL, ": BADCOOKIE"),
        ({"rcode": "YXDOMAIN"}, Failure.SERVFAIL, ": YXDOMAIN"),
    ],
)
def test_failures_are_told_apart(how, kind, says):
    answer = ask_one(lambda query: [response(query, **how)])[0]
    assert (answer.kind, says in answer.detail) == (kind, True)


def test_a_failure_needs_no_question_echoed():
    answer, took, _, _ = ask_one(lambda query: [query[:2] + b"\x81\x85" + bytes(8)])
    assert answer.kind is Failure.REFUSED
    assert took < 0.5


def test_what_a_validator_calls_bogus_is_not_asked_of_others():
    async def run():
        bogus = {"rcode": "SERVFAIL", "options": [EDEOption(EDECode.DNSSEC_BOGUS)]}
        async with (
            Scripted(lambda query: [response(query, **bogus)]) as validates,
            Scripted(lambda query: [right(query)]) as does_not,
        ):
            answer = await Live([validates.address, does_not.address]).ask("n.test", "A")
            return answer.kind, len(does_not.seen)

    assert asyncio.run(run()) == (Failure.BOGUS, 0)


@pytest.mark.parametrize("rcode", ["FORMERR", "NOTIMP", "BADVERS"])
def test_a_server_without_edns_is_asked_without_it_from_then_on(rcode):
    def udp(query):
        edns = dns.message.from_wire(query).edns >= 0
        return [response(query, rcode=rcode, edns=rcode == "BADVERS") if edns else response(query, ADDRESS)]

    async def run():
        async with Scripted(udp) as server:
            client = Live([server.address])
            return await client.ask("n.test", "A"), await client.ask("n.test", "MX"), [q[11] for q in server.seen]

    assert asyncio.run(run()) == (RIGHT, NoData(0), [1, 0, 0])


def test_a_server_that_finds_everything_malformed_has_failed():
    answer, _, use, _ = ask_one(lambda query: [response(query, rcode="FORMERR")])
    assert answer.kind is Failure.SERVFAIL
    assert "FORMERR" in answer.detail
    assert use.questions == 2


# --- TCP ---------------------------------------------------------------------------------------------------------


async def drips(query, writer):
    octets = right(query)
    for octet in len(octets).to_bytes(2) + octets:
        writer.write(bytes([octet]))
        await asyncio.sleep(0.1)


async def closes(query, writer):
    writer.write(b"\0\x40abc")


async def hangs(_query, _writer):
    await asyncio.sleep(30)


@pytest.mark.parametrize("tcp", [drips, closes, hangs, over_tcp(lambda query: truncated(query)[0]), None])
def test_a_bad_tcp_stream_ends_with_the_time_out(tcp):
    answer, took, _, _ = ask_one(truncated, tcp, timeout=0.4)
    assert isinstance(answer, Failed)
    assert answer.kind is Failure.TIMEOUT
    assert took < 0.8


def test_a_full_message_over_tcp_is_read():
    long = " ".join('"' + "x" * 255 + '"' for _ in range(250))
    answer, _, use, _ = ask_one(truncated, over_tcp(lambda query: response(query, f"n.test. 60 TXT {long}")), ("n.test", "TXT"))
    assert answer == Found(((b"x" * 255,) * 250,), ttl=60)
    assert use == DnsUse(questions=2, rounds=2)


# --- any octets --------------------------------------------------------------------------------------------------

QUERY = Query(0x1234, wire.name_octets("n.test"), 16)
SEEDS = [
    response(QUERY.octets(), 'n.test. 60 TXT "v=spf1 -all" "x"', flags=dns.flags.AD),
    response(QUERY.octets(), "n.test. 60 CNAME t.test.", 't.test. 60 TXT "x"'),
    response(QUERY.octets(), authority=[SOA + "120"], rcode="NXDOMAIN"),
    response(QUERY.octets(), authority=[SOA + "120"], options=[EDEOption(6, "text")], rcode="SERVFAIL"),
]


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(4, 200), st.integers(0, 255)), max_size=6),
    st.binary(max_size=20),
    st.integers(0, 20),
)
def test_reading_returns_or_raises_the_declared_errors(seed, changes, tail, cut):
    octets = bytearray(seed)
    for at, octet in changes:
        octets[at % len(octets)] = octet
    try:
        said = read(bytes(octets[: len(octets) - cut]) + tail, QUERY)
    except (Malformed, Truncated):
        return
    assert isinstance(said, (Found, NoData, NoSuchName, Failed, Dangling, NoEdns))


@given(st.binary(max_size=400))
def test_reading_noise_returns_or_raises_the_declared_errors(noise):
    question = QUERY.octets()[12:]
    for octets in (
        noise,
        b"\x12\x34\x81\x80" + noise,
        b"\x12\x34\x81\x80\0\1" + noise[:6].ljust(6, b"\0") + question[:-11] + noise[6:],
    ):
        try:
            read(octets, QUERY)
        except (Malformed, Truncated):
            continue


def chain_of_pointers(length):
    """A record whose data is pointers, each to the one before and the first to the question, and a pointer to the last."""
    start = 12 + len(QUERY.question) + 12
    data = b"".join(struct.pack("!H", 0xC000 | at) for at in [12, *range(start, start + 2 * (length - 2), 2)])
    return record(HERE, 99, data), struct.pack("!H", 0xC000 | start + 2 * (length - 2))


def test_pointers_cannot_make_reading_slow():
    first, last = chain_of_pointers(MAX_JUMPS)
    octets = raw(QUERY.octets(), first, *[record(last, 99, b"")] * 5000)  # near the 64 KB that a message can have
    began = time.perf_counter()
    assert read(octets, QUERY) == NoData(0)
    assert time.perf_counter() - began < 10
    first, last = chain_of_pointers(MAX_JUMPS + 1)
    with pytest.raises(Malformed):
        read(raw(QUERY.octets(), first, record(last, 99, b"")), QUERY)


@pytest.mark.parametrize(
    ("type_", "data", "value"),
    [
        (52, b"\3\1\1\xab", "\\# 4 030101ab"),  # SHA-256 of one octet
        (257, b"\0\xff", "\\# 2 00ff"),
        (52, b"\3\1\0\xab", "3 1 0 ab"),
        (65280, b"\1\2", "\\# 2 0102"),
    ],
)
def test_a_broken_record_of_a_rare_type_is_kept_to_be_judged(type_, data, value):
    query = Query(1, wire.name_octets("n.test"), type_)
    assert read(raw(query.octets(), record(HERE, type_, data)), query) == Found((value,), ttl=60)
