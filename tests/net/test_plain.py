"""The one pass over an ordinary response says what the careful reader and dnspython say, or nothing."""

import struct

import dns.exception
import dns.message
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.model import Failed, Failure, Found, NoData, NoSuchName
from delivcheck.net import plain, response, wire
from delivcheck.net.plain import Malformed
from delivcheck.net.response import Dangling, Query, Truncated
from tests.net.scripted import response as made
from tests.net.values import asked, names

QUERY = Query(0x1234, wire.name_octets("n.test"), 16)
SOA = "test. 900 SOA ns. hm. 1 2 3 4 120"
TYPES = ("A", "AAAA", "MX", "TXT", "NS", "PTR", "SOA", "CNAME")


def careful(octets, query, monkeypatch):
    """What is read without the one pass, and with dnspython's values."""
    with monkeypatch.context() as patch:
        patch.setattr(plain, "read", lambda *_: None)
        patch.setattr(plain, "value_at", lambda *_: None)
        try:
            return response.read(octets, query)
        except (Malformed, Truncated) as error:
            return type(error)


def agree(octets, query, monkeypatch):
    quick = plain.read(octets, query.id, query.question)
    slow = careful(octets, query, monkeypatch)
    assert quick is None or quick == slow
    try:
        ours = response.read(octets, query)
    except (Malformed, Truncated) as error:
        ours = type(error)
    assert ours == slow
    return quick


@pytest.fixture(scope="module")
def patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@given(asked())
def test_an_answer_is_read_alike(patch, case):
    question, answer = case
    if isinstance(answer, Failed) and answer.kind is Failure.TIMEOUT:
        return
    query = Query(1, wire.name_octets(question.name), wire.type_code(question.type))
    octets = wire.reply(dns.message.from_wire(query.octets()), answer).to_wire()
    quick = agree(octets, query, patch)
    if isinstance(answer, Found) and not answer.aliases and query.code in plain.OWN_VALUE:
        assert quick == answer, "an ordinary answer is read in one pass"


SEEDS = {
    "TXT": [
        made(QUERY.octets(), 'n.test. 60 TXT "v=spf1 -all" "x"', 'n.test. 90 TXT "y"'),
        made(QUERY.octets(), "n.test. 60 CNAME t.test.", 't.test. 60 TXT "x"'),
        made(QUERY.octets(), authority=[SOA], rcode="NXDOMAIN"),
        made(QUERY.octets(), authority=[SOA]),
    ]
}
for _type, _data in (
    ("A", "192.0.2.1"),
    ("AAAA", "::ffff:192.0.2.1"),
    ("MX", "10 mx.n.test."),
    ("NS", "a\\.b.test."),
    ("PTR", "n.test."),
    ("SOA", "ns.n.test. hm.n.test. 1 2 3 4 5"),
):
    SEEDS[_type] = [made(Query(0x1234, QUERY.name, plain.TYPES[_type]).octets(), f"n.test. 60 {_type} {_data}")]


@given(
    st.sampled_from([(type_, seed) for type_, seeds in SEEDS.items() for seed in seeds]),
    st.lists(st.tuples(st.integers(2, 200), st.integers(0, 255)), max_size=4),
    st.binary(max_size=3),
    st.integers(0, 12),
)
def test_octets_that_changed_on_the_way_are_read_alike(patch, case, changes, tail, cut):
    type_, seed = case
    octets = bytearray(seed)
    for at, octet in changes:
        octets[at % len(octets)] = octet
    agree(bytes(octets[: len(octets) - cut]) + tail, Query(0x1234, QUERY.name, plain.TYPES[type_]), patch)


@pytest.mark.parametrize("type_", TYPES)
@pytest.mark.parametrize("index", range(len(SEEDS["TXT"])))
def test_every_octet_of_a_response_changed_is_read_alike(patch, type_, index):
    seed = SEEDS.get(type_, SEEDS["TXT"])[index % len(SEEDS.get(type_, SEEDS["TXT"]))]
    query = Query(0x1234, QUERY.name, plain.TYPES[type_ if type_ in SEEDS else "TXT"])
    for at in range(2, len(seed)):
        for octet in (0, 1, 3, 12, 0x3F, 0x40, 0xC0, 0xFF, seed[at] ^ 0x20, seed[at] ^ 0x80):
            agree(seed[:at] + bytes([octet]) + seed[at + 1 :], query, patch)


def by_dnspython(octets, type_, start, end):
    try:
        return wire.value(dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType(type_), octets, start, end - start))
    except dns.exception.DNSException:
        return None


name_parts = st.one_of(
    st.binary(min_size=1, max_size=5).map(lambda label: bytes([len(label)]) + label),
    st.integers(0, 40).map(lambda at: struct.pack("!H", 0xC000 | at)),
    st.sampled_from([b"\0", b"\x40", b"\x3f", b"\xc0"]),
)


@given(
    st.sampled_from(TYPES),
    st.lists(name_parts, max_size=5).map(b"".join),
    st.one_of(st.binary(max_size=30), st.lists(name_parts, max_size=6).map(b"".join)),
    st.binary(max_size=4),
)
@example("AAAA", b"", bytes(15) + b"\1", b"")
@example("AAAA", b"", bytes(12) + b"\1\2\3\4", b"")
@example("AAAA", b"", bytes(10) + b"\xff\xff\1\2\3\4", b"")
@example("AAAA", b"", b"\0\1\0\0\0\1\0\0\0\1\0\1\0\1\0\1", b"")
@example("PTR", b"\1a\1b\0", b"\xc0\2", b"")
@example("PTR", b"\1a\5b", b"\xc0\0", b"\0\0\0\0\0")
def test_a_value_is_what_dnspython_reads_of_it(type_, before, data, after):
    octets, start = before + data + after, len(before)
    ours = plain.value_at(octets, plain.TYPES[type_], start, start + len(data))
    theirs = by_dnspython(octets, plain.TYPES[type_], start, start + len(data))
    assert ours is None or ours == theirs


@given(st.sampled_from(["A", "AAAA"]), st.binary(min_size=16, max_size=16))
def test_an_address_is_written_as_dnspython_writes_it(type_, octets):
    length = 4 if type_ == "A" else 16
    assert plain.value_at(octets[:length], plain.TYPES[type_], 0, length) == by_dnspython(octets, plain.TYPES[type_], 0, length)


@given(st.one_of(names, st.text(max_size=80), st.text("ab.-_*\\", max_size=300)))
def test_a_name_has_the_octets_that_dnspython_gives_it(name):
    assert plain.name_octets(name) == wire.name_octets(name)


@given(st.one_of(st.sampled_from([*TYPES, "DS", "TLSA", "CAA", "ANY", "TYPE16"]), st.text(max_size=8)))
def test_a_type_has_the_number_that_dnspython_gives_it(type_):
    try:
        code = wire.type_code(type_)
    except ValueError:
        with pytest.raises(ValueError, match="type"):
            plain.type_code(type_)
    else:
        assert plain.type_code(type_) == code


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (SEEDS["TXT"][0], Found(((b"v=spf1 -all", b"x"), (b"y",)), ttl=60)),
        (SEEDS["TXT"][2], NoSuchName(120)),
        (SEEDS["TXT"][3], NoData(120)),
    ],
)
def test_the_ordinary_is_read_in_one_pass(octets, answer):
    assert plain.read(octets, QUERY.id, QUERY.question) == answer


def test_an_alias_is_left_to_the_careful_reader():
    assert plain.read(SEEDS["TXT"][1], QUERY.id, QUERY.question) is None
    assert response.read(SEEDS["TXT"][1], QUERY) == Found(((b"x",),), 60, aliases=("t.test",))
    assert not isinstance(response.read(SEEDS["TXT"][1], QUERY), Dangling)
