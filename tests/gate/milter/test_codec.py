"""Packets: what comes is read or refused with the one declared error, what goes out can do no harm."""

import itertools
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.milter import codec
from delivcheck.gate.milter.codec import (
    AddHeader,
    Answer,
    ChangeHeader,
    InsertHeader,
    Packets,
    Quarantine,
    ReplaceBody,
    WireError,
)
from delivcheck.gate.reply import Reply
from tests.gate.milter import mta_side
from tests.gate.milter.mta_side import read

PARSERS = [codec.options, codec.strings, codec.header, codec.macros, codec.connect, codec.address]


@pytest.mark.parametrize("parse", PARSERS)
@given(
    octets=st.binary(max_size=60)
    | st.lists(st.sampled_from([b"\0", b"4", b"6", b"L", b"<a@b>", b"\xff", b"::1", b"IPv6:"])).map(b"".join)
)
def test_a_parser_returns_or_raises_wire_error(parse, octets):
    try:
        parse(octets)
    except WireError as error:
        assert str(error)


@pytest.mark.attack(43)
@given(
    packets=st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=8), cuts=st.lists(st.integers(0, 2_500))
)
def test_packets_are_the_same_however_the_octets_are_split(packets, cuts):
    octets = b"".join(struct.pack("!IB", 1 + len(body), command) + body for command, body in packets)
    reader, found = Packets(), []
    for start, end in itertools.pairwise([0, *sorted(cuts), max(len(octets), 2_500)]):
        reader.receive(octets[start:end])
        while (one := reader.next()) is not None:
            found.append(one)
    assert found == packets
    assert len(reader) == 0


@pytest.mark.attack(43)
@pytest.mark.parametrize("length", [0, codec.MAX_PACKET + 1, 0x47455420, 0xFFFFFFFF])
def test_a_length_that_no_mta_sends_is_refused_before_anything_is_kept(length):
    reader = Packets()
    reader.receive(struct.pack("!I", length))
    with pytest.raises(WireError, match=f"{length} octets"):
        reader.next()


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"mail.example\x004\x09\xdd192.0.2.7\0", ("mail.example", "192.0.2.7", 2525)),
        (b"mail.example\x006\x09\xdd2001:db8::7\0", ("mail.example", "2001:db8::7", 2525)),
        (b"mail.example\x006\x09\xddIPv6:2001:db8::7\0", ("mail.example", "2001:db8::7", 2525)),
        (b"localhost\0L\0\0/run/x\0", ("localhost", "None", 0)),
        (b"unknown\0U", ("unknown", "None", 0)),
        (b"odd\x004\x00\x01nonsense\0", ("odd", "None", 1)),
    ],
)
def test_the_client_is_known_by_its_address(data, expected):
    host, ip, port = codec.connect(data)
    assert (host, str(ip), port) == expected


# --- what goes out -------------------------------------------------------------------------------------------------------


@pytest.mark.attack(39, 46)
@given(
    reply=st.builds(
        Reply,
        st.integers(100, 699),
        st.none() | st.sampled_from(["2.0.0", "4.3.0", "5.7.26"]),
        st.text(max_size=600)
        | st.lists(st.sampled_from(["%", "%s%n", "\r\n250 ok", "\n", "\0", "\x1b[2J", "é", "x" * 400, " "])).map("".join),
    )
)
def test_a_refusal_is_printable_split_escaped_and_never_positive(reply):
    [(command, data)] = read(codec.refusal(reply))
    if command == "t":
        assert not 400 <= reply.code < 600
        return
    assert command == "y"
    assert data.endswith(b"\0")
    text = data[:-1].decode("ascii")
    assert not re.search("%(?!%)", text.replace("%%", ""))
    lines = text.replace("%%", "%").split("\r\n")
    assert len(lines) <= codec.MAX_REPLY_LINES
    for number, line in enumerate(lines, 1):
        assert len(line) <= 510
        assert re.fullmatch(r"([45])[0-9]{2}[ -]\1\.[0-9]{1,3}\.[0-9]{1,3}( [ -~]*)?", line)
        assert line[:3] == str(reply.code)
        assert (line[3] == " ") == (number == len(lines))


@pytest.mark.attack(46)
def test_a_refusal_of_very_many_lines_ends_where_libmilters_would():
    [(_, data)] = read(codec.refusal(Reply(550, "5.7.1", "x\n" * 100)))
    lines = data[:-1].split(b"\r\n")
    assert len(lines) == codec.MAX_REPLY_LINES
    assert [line[:4] for line in lines] == [b"550-"] * (len(lines) - 1) + [b"550 "]


@given(name=st.binary(max_size=30), value=st.binary(max_size=80), index=st.integers(0, 2**32 - 1))
def test_a_change_is_one_packet_whatever_is_in_it(name, value, index):
    for change, command, start in (
        (AddHeader(name, value), "h", b""),
        (InsertHeader(name, value, index), "i", struct.pack("!I", index)),
        (ChangeHeader(name, index, value), "m", struct.pack("!I", index)),
    ):
        for blanks in (True, False):
            first, last = read(codec.answer(Answer((change,)), blanks=blanks))
            assert last == ("a", b"")
            assert first[0] == command
            assert first[1].startswith(start)
            assert first[1][len(start) :].count(b"\0") == 2


def test_what_an_answer_looks_like_on_the_wire():
    changes = (
        ChangeHeader(b"X-Away", 2),
        InsertHeader(b"X-New", b"a\r\n\tb"),
        AddHeader(b"X-Last", b"c"),
        ReplaceBody(b"x" * 70_000),
        Quarantine("bad\r\n\x1b[m"),
    )
    assert read(codec.answer(Answer(changes), blanks=True)) == [
        ("m", b"\0\0\0\2X-Away\0\0"),
        ("i", b"\0\0\0\0X-New\0 a\n\tb\0"),
        ("h", b"X-Last\0 c\0"),
        ("b", b"x" * 65_535),
        ("b", b"x" * 4_465),
        ("q", b"bad???[m\0"),
        ("a", b""),
    ]
    assert read(codec.answer(Answer((AddHeader(b"X-Last", b"c"),)), blanks=False))[0] == ("h", b"X-Last\0c\0")
    assert read(mta_side.QUIT) == [("Q", b"")]
