"""Replies of a next hop: read in any pieces, bounded, paired with commands."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.relay.protocol import MAX_LINE, MAX_REPLY, Dialogue, Offers, ProtocolError, Replies, offered
from delivcheck.gate.reply import Reply, heard

TEXT = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=60)
CODE = st.integers(200, 599)
REPLY = st.tuples(CODE, st.lists(TEXT, min_size=1, max_size=6))


def written(code, lines):
    """As a server writes it."""
    last = len(lines) - 1
    return b"".join(f"{code}{' ' if at == last else '-'}{line}\r\n".encode() for at, line in enumerate(lines))


def in_pieces(octets, cuts):
    places = sorted({cut % (len(octets) + 1) for cut in cuts} | {0, len(octets)})
    return [octets[start:end] for start, end in itertools.pairwise(places)]


@pytest.mark.attack(55)
@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=5))
def test_any_octets_are_replies_or_the_one_error(octets, cuts):
    reader = Replies()
    try:
        for piece in in_pieces(octets, cuts):
            assert all(isinstance(reply, Reply) for reply in reader.feed(piece))
    except ProtocolError as error:
        assert str(error)


@given(st.lists(REPLY, max_size=5), st.lists(st.integers(0, 2000), max_size=12))
def test_replies_are_the_same_however_they_are_cut(replies, cuts):
    octets = b"".join(written(code, lines) for code, lines in replies)
    reader = Replies()
    found = [reply for piece in in_pieces(octets, cuts) for reply in reader.feed(piece)]
    assert found == [heard(code, lines) for code, lines in replies]
    assert reader.between


@pytest.mark.attack(55)
@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"250 ok\n",
        b"250 o\rk\r\n",
        b"250 o\0k\r\n",
        b"250ok\r\n",
        b"25 ok\r\n",
        b"150 early\r\n",
        b"600 late\r\n",
        b"\r\n",
        b"250-one\r\n550 two\r\n",
        b"250-one\r\n\r\n",
        b"250 " + b"x" * MAX_LINE + b"\r\n",
        b"2" * (MAX_LINE + 1),
        b"250-x\r\n" * (MAX_REPLY // 7 + 1),
    ],
)
def test_what_is_no_reply_is_refused(octets):
    with pytest.raises(ProtocolError):
        list(Replies().feed(octets))


@pytest.mark.attack(55)
def test_a_reply_without_end_is_not_kept():
    reader = Replies()
    endless = (piece for _ in range(MAX_REPLY) for piece in reader.feed(b"250-" + b"x" * 1000 + b"\r\n"))
    with pytest.raises(ProtocolError):
        list(endless)
    assert sum(map(len, reader._lines)) <= MAX_REPLY


def test_replies_without_text_are_replies():
    assert list(Replies().feed(b"250\r\n354 \r\n")) == [Reply(250, None, ""), Reply(354, None, "")]


def test_the_text_may_be_utf_8_and_what_is_not_becomes_a_replacement():
    assert [reply.text for reply in Replies().feed("250 grün\r\n".encode() + b"250 \xff\r\n")] == ["grün", "�"]


@pytest.mark.attack(56)
@given(st.lists(st.integers(1, 4), min_size=1, max_size=6), st.integers(0, 30))
def test_replies_are_given_in_the_order_of_commands_and_one_too_many_is_refused(groups, extra):
    dialogue, number, got = Dialogue(), 0, []
    for size in groups:
        dialogue.expect(size)
        octets = b"".join(f"250 {number + at}\r\n".encode() for at in range(size))
        got += [int(reply.text) for reply in dialogue.receive(octets)]
        number += size
        assert dialogue.quiet
    assert got == list(range(number))
    with pytest.raises(ProtocolError):
        list(dialogue.receive(b"250 one too many\r\n"[: extra or None]))


@pytest.mark.attack(55, 56)
def test_the_replies_before_a_fault_count():
    """A good answer to the final dot with garbage behind it is a good answer."""
    dialogue = Dialogue()
    dialogue.expect()
    reading = dialogue.receive(b"250 queued\r\n421 by the way\r\n")
    assert next(reading) == Reply(250, None, "queued")
    with pytest.raises(ProtocolError):
        next(reading)


def test_ehlo_keywords():
    lines = ["hop.example greets", "PIPELINING", "size 1000", "8bitmime", "AUTH PLAIN login", "AUTH=PLAIN", "", "X  a b"]
    offers = offered(heard(250, lines))
    assert "8BITMIME" in offers
    assert "AUTH=PLAIN" not in offers
    assert offers.mechanisms == ("PLAIN", "LOGIN")
    assert offers.keywords["X"] == ("a", "b")
    assert (offers.extensions.eight_bit, offers.extensions.smtputf8, offers.extensions.size) == (True, False, 1000)


@pytest.mark.parametrize(
    ("said", "size"), [("SIZE", None), ("SIZE 0", None), ("SIZE 10", 10), ("SIZE -1", None), ("SIZE ٣", None)]
)
def test_size_is_a_number_of_octets_or_no_limit(said, size):
    assert offered(heard(250, ["x", said])).size == size


def test_nothing_is_offered_by_nobody():
    assert Offers().extensions.size is None
    assert not Offers().extensions.dsn
