"""What ends a message, and what is refused of it (attacks 1, 2, 4, 7, 8)."""

import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.settings import Limits
from delivcheck.gate.smtp import content
from delivcheck.gate.smtp.limits import MAX_COMMANDS, SMALL_CHUNK, Load

from .sansio import Conversation, codes, options

FALSE_ENDS = [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r",
    b"\r\n.\r\r\n", b"\r\r\n.\r\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\0\r\n.\0", b"\r\n\r.\r\n", b"\r.\n",
    b"\xef\xbc\x8e\r.\n", b"\n\n.\n\n", b"\r\n.\n\r\n",
]  # fmt: skip
SMUGGLED = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<victim@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n.\r\n"


def data() -> Conversation:
    conversation = Conversation().ready().transaction()
    assert conversation.send(b"DATA\r\n").startswith("354")
    return conversation


@pytest.mark.attack(1, 2)
@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_only_crlf_dot_crlf_ends_a_message_and_what_is_hidden_behind_another_is_refused_with_it(end):
    conversation = data()
    said = conversation.send(b"Subject: x\r\n\r\nhello" + end + SMUGGLED)
    assert codes(said) == ["550 5.6.0"]
    assert conversation.messages() == []
    assert [type(one).__name__ for one in conversation.events] == ["Reset"]
    assert codes(conversation.send(b"DATA\r\n")) == ["503 5.5.1"]


@pytest.mark.attack(1, 2)
@pytest.mark.parametrize("end", FALSE_ENDS, ids=repr)
def test_repair_makes_one_message_of_it_and_never_two(end):
    conversation = Conversation(options(limits=Limits(repair_line_ends=True))).ready().transaction()
    conversation.send(b"DATA\r\n")
    said = conversation.send(b"Subject: x\r\n\r\nhello" + end + SMUGGLED)
    if b"\0" in end:
        assert codes(said) == ["550 5.6.0"]
        return
    (message,) = conversation.messages()
    assert b"smuggled" in message
    assert content.fault(message) is None


@pytest.mark.attack(4)
@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\r", b"\n", b"a\0b\r\n", b"a\r\r\n"])
def test_the_same_holds_for_bdat(octets):
    conversation = Conversation().ready().transaction()
    said = conversation.send(b"BDAT %d LAST\r\n%b" % (len(octets), octets))
    assert codes(said) == ["550 5.6.0"]
    assert conversation.messages() == []


@pytest.mark.attack(7)
@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"..\r\n", b".\r\n"),
        (b"...\r\n..\r\n", b"..\r\n.\r\n"),
        (b".a\r\n", b"a\r\n"),
        (b"a\r\n..\r\n..b\r\n", b"a\r\n.\r\n.b\r\n"),
        (b"", b""),
        (b"\r\n", b"\r\n"),
        (b"x" * 998 + b"\r\n", b"x" * 998 + b"\r\n"),
        (b"." + b"." * 998 + b"\r\n", b"." * 998 + b"\r\n"),
        (b"y\r\n" + b"x" * 998 + b"\r\n\r\n" + b"x" * 998 + b"\r\n", b"y\r\n" + b"x" * 998 + b"\r\n\r\n" + b"x" * 998 + b"\r\n"),
    ],
)  # fmt: skip
def test_dots_are_undone_and_nothing_else_is_changed(sent, meant):
    conversation = data()
    assert codes(conversation.send(sent + b".\r\n")) == ["250 2.0.0"]
    assert conversation.messages() == [meant]


@pytest.mark.attack(7)
@pytest.mark.parametrize("length", [999, 1000, 1001, 5000])
@pytest.mark.parametrize("before", [b"", b"a\r\n", b"z" * 997 + b"\r\n"])
def test_a_line_over_998_octets_is_refused(length, before):
    conversation = data()
    assert codes(conversation.send(before + b"x" * length + b"\r\n.\r\n")) == ["550 5.6.0"]
    assert conversation.messages() == []


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b"\0", b".", b"a", b"b" * 997, b"c" * 400]), max_size=12))
def test_the_fault_is_found_as_a_slow_reading_finds_it(parts):
    octets = b"".join(parts)
    bare = re.search(rb"(?<!\r)\n|\r(?!\n)|\0", octets) is not None
    long = any(len(line) > 998 for line in octets.split(b"\r\n"))
    assert (content.fault(octets) is not None) == (bare or long)


@given(st.lists(st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"a"]), max_size=20))
def test_what_is_repaired_has_no_bare_ends(parts):
    assert content.fault(content.repaired(b"".join(parts))) is None


@given(st.binary(max_size=60), st.lists(st.integers(1, 7), max_size=40), st.integers(0, 60))
def test_the_end_and_the_size_are_the_same_for_every_way_to_cut(octets, sizes, limit):
    """Against the definition: the first CRLF.CRLF, and the octets before it without their dots."""
    stream = octets.replace(b"\r\n.\r\n", b"") + b"\r\n.\r\nREST"
    whole = b"\r\n" + stream
    end = whole.index(b"\r\n.\r\n")
    meant = whole[: end + 2].replace(b"\r\n.", b"\r\n")[2:]
    taking, rest, position = content.Data(limit, Load(Limits())), b"", 0
    for size in [*sizes, len(stream)]:
        piece = stream[position : position + size]
        position += len(piece)
        if taking.complete:
            rest += piece
        else:
            rest += taking.feed(piece)
    assert taking.complete
    assert rest == whole[end + 5 :]
    assert (taking.refusal is not None) == (len(meant) > limit)
    if taking.refusal is None:
        assert taking.octets() == meant


# --- size and memory -------------------------------------------------------------------------------------------------


@pytest.mark.attack(8)
@pytest.mark.parametrize("piece", [b"x" * 65_536, b"..\r\n" * 16_384, b"\r\n" * 32_768], ids=["no-line", "dots", "empty-lines"])
def test_a_hundred_megabytes_beyond_the_limit_take_no_memory(piece):
    conversation = Conversation(options(limits=Limits(message_size=1_000_000))).ready().transaction()
    conversation.send(b"DATA\r\n")
    tracemalloc.start()
    try:
        for _ in range(100_000_000 // len(piece)):
            conversation.send(piece)
            if conversation.ended:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000
    assert conversation.ended == "hopeless"
    assert conversation.load.octets == 0


@pytest.mark.attack(8)
def test_a_message_that_is_too_large_is_refused_after_its_end_and_the_connection_goes_on():
    conversation = Conversation(options(limits=Limits(message_size=1_000))).ready().transaction()
    conversation.send(b"DATA\r\n")
    assert conversation.send(b"x\r\n" * 1_000) == ""
    assert codes(conversation.send(b".\r\n")) == ["552 5.3.4"]
    conversation.transaction()
    assert codes(conversation.send(b"BDAT 3 LAST\r\nx\r\n")) == ["250 2.0.0"]


def test_the_limit_does_not_count_the_dots_of_transparency():
    conversation = Conversation(options(limits=Limits(message_size=3_000))).ready().transaction()
    conversation.send(b"DATA\r\n")
    assert codes(conversation.send(b"..\r\n" * 1_000 + b".\r\n")) == ["250 2.0.0"]
    conversation.transaction()
    conversation.send(b"DATA\r\n")
    assert codes(conversation.send(b"..\r\n" * 1_001 + b".\r\n")) == ["552 5.3.4"]


def test_without_room_in_the_worker_a_message_waits_with_its_client():
    limits = Limits(in_flight=1_000)
    conversation = Conversation(options(limits=limits)).ready().transaction()
    conversation.send(b"DATA\r\n")
    assert codes(conversation.send(b"x" * 500 + b"\r\n" + b"y" * 600 + b"\r\n.\r\n")) == ["452 4.3.1"]
    conversation.transaction()
    assert codes(conversation.send(b"BDAT 2000 LAST\r\n" + b"x" * 2000)) == ["452 4.3.1"]
    conversation.transaction()
    assert codes(conversation.send(b"BDAT 3 LAST\r\nx\r\n")) == ["250 2.0.0"]
    assert conversation.load.octets == 0


def test_a_large_message_may_come_in_many_chunks_and_tiny_ones_end_the_session():
    conversation = Conversation(options(limits=Limits(recipients=1))).ready().transaction()
    chunk = b"x" * (SMALL_CHUNK - 2) + b"\r\n"
    for _ in range(2 * MAX_COMMANDS):
        assert codes(conversation.send(b"BDAT %d\r\n%b" % (len(chunk), chunk))) == ["250 2.0.0"]
    assert codes(conversation.send(b"BDAT 0 LAST\r\n")) == ["250 2.0.0"]
    conversation.transaction()
    assert codes(conversation.send(b"BDAT 1\r\nx" * (MAX_COMMANDS + 2)))[-1] == "421 4.7.0"
