"""One connection, without I/O: whole messages, nothing of one in the next, and nonsense ends it."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.milter.codec import AddHeader, Answer, Can, NotOfferedError, Quarantine, WireError
from delivcheck.gate.milter.protocol import MAX_ENVELOPE, WANTED_ACTIONS, WANTED_STEPS, Closed, Connection, Message
from delivcheck.gate.settings import Limits
from delivcheck.gate.smtp.limits import Load
from tests.gate.milter import mta_side as mta
from tests.gate.milter.mta_side import read

MAX = 1_000_000


def connection(max_octets=MAX, budget=None, **offered):
    made = Connection(max_octets, budget)
    made.receive(mta.offer(**offered))
    assert made.next() is None
    return made, read(made.to_send())


def facts(message: Message):
    """All that is known of a message."""
    session = message.session
    return (
        message.mail_from,
        message.smtputf8,
        tuple(message.recipients),
        bytes(message.octets),
        message.missing,
        (session.host, str(session.ip), session.port, session.helo),
        tuple(message.macro(name) for name in ("i", "auth_authen", "tls_version", "rcpt_addr", "j")),
    )


def run(made: Connection, octets: bytes):
    """Feed octets; all messages, each accepted."""
    made.receive(octets)
    found = []
    while (event := made.next()) is not None:
        if isinstance(event, Closed):
            return [*found, "closed"]
        found.append(facts(event))
        made.answer(Answer())
    return found


ONE = (
    "a@sender.example",
    False,
    ("b@rcpt.example",),
    mta.OCTETS,
    None,
    ("client.example", "192.0.2.7", 2525, "client.example"),
    ("Q1", None, "TLSv1.3", "b@rcpt.example", "mail.example"),
)


def test_a_message_is_put_together_and_answered_once():
    made, _ = connection()
    assert run(made, mta.SESSION + mta.message()) == [ONE]
    assert read(made.to_send()) == [("a", b"")]


# --- negotiation ---------------------------------------------------------------------------------------------------------


@pytest.mark.attack(45)
@pytest.mark.parametrize(
    ("offered", "version", "actions", "steps"),
    [
        ({}, 6, int(WANTED_ACTIONS), int(WANTED_STEPS)),
        ({"version": 9, "actions": 0xFFFFFFFF, "steps": 0xFFFFFFFF}, 6, int(WANTED_ACTIONS), int(WANTED_STEPS)),
        ({"version": 2, "actions": 0x3F, "steps": 0x7F}, 2, 0x31, 0),
        ({"version": 3, "actions": 0x1, "steps": 0x1FF}, 3, 0x1, 0x180),
        ({"version": 6, "actions": 0, "steps": 0}, 6, 0, 0),
    ],
)
def test_what_is_agreed_is_never_more_than_the_mta_offered(offered, version, actions, steps):
    made, [(command, data)] = connection(**offered)
    assert command == "O"
    assert struct.unpack("!III", data[:12]) == (version, actions, steps)
    assert bool(data[12:]) == bool(actions & 0x100), "macros are named only where that was offered"
    assert made.can == Can(actions)


@pytest.mark.attack(45)
@given(version=st.integers(2, 2**32 - 1), actions=st.integers(0, 2**32 - 1), steps=st.integers(0, 2**32 - 1))
def test_any_offer_is_answered_with_a_subset_and_mail_goes_through(version, actions, steps):
    made, [(_, data)] = connection(version=version, actions=actions, steps=steps)
    agreed = struct.unpack("!III", data[:12])
    assert agreed[0] <= min(version, 6)
    assert agreed[1] & ~actions == agreed[2] & ~steps == 0
    fields = mta.FIELDS if agreed[2] & 0x100000 else [(name, value.strip()) for name, value in mta.FIELDS]
    assert run(made, mta.SESSION + mta.message(fields=fields)) == [ONE]


@pytest.mark.attack(45)
def test_an_old_mta_is_answered_packet_by_packet():
    made, _ = connection(version=2, actions=0x3F, steps=0x7F)
    assert run(made, mta.connect() + mta.helo() + mta.mail() + mta.rcpt() + mta.content(fields=[(b"From", b"x")]) + mta.END)
    assert [command for command, _ in read(made.to_send())] == ["c"] * 7 + ["a"]


@pytest.mark.attack(45)
@pytest.mark.parametrize("version", [0, 1])
def test_a_protocol_too_old_is_refused_in_words(version):
    made = Connection(MAX)
    made.receive(mta.offer(version=version))
    with pytest.raises(WireError, match=f"milter protocol version {version}; 2 to 6"):
        made.next()


@pytest.mark.attack(45)
def test_an_answer_that_the_mta_does_not_let_us_give_is_an_error_of_its_own():
    made, _ = connection(actions=0x10)
    made.receive(mta.SESSION + mta.message())
    assert isinstance(made.next(), Message)
    with pytest.raises(NotOfferedError, match="add_headers, quarantine"):
        made.answer(Answer((AddHeader(b"X", b"y"), Quarantine("z"))))
    made.answer(Answer())
    assert read(made.to_send()) == [("a", b"")]


# --- octets --------------------------------------------------------------------------------------------------------------


@pytest.mark.attack(43, 44)
@given(cuts=st.lists(st.integers(0, 1_000), max_size=40) | st.just(list(range(1_000))))
def test_messages_are_the_same_however_the_octets_are_split(cuts):
    whole = (
        mta.SESSION
        + mta.message()
        + mta.ABORT
        + mta.message("x@y.example", ("1@z.example", "2@z.example"), queue_id="Q2")
        + mta.QUIT
    )
    assert len(whole) < 1_000
    expected = run(connection()[0], whole)
    made, found = connection()[0], []
    for start, end in itertools.pairwise([0, *sorted(cuts), len(whole)]):
        if found[-1:] != ["closed"]:
            found += run(made, whole[start:end])
    assert found == expected
    assert len(expected) == 3


TEXT = st.binary(max_size=40).map(lambda octets: octets.replace(b"\0", b"").replace(b"\r", b""))


@given(
    fields=st.lists(st.tuples(st.binary(min_size=1, max_size=10).map(lambda octets: octets.replace(b"\0", b"x")), TEXT)),
    body=st.lists(st.binary(min_size=1, max_size=50)),
)
def test_octets_are_those_of_the_parts_folds_with_crlf(fields, body):
    made, _ = connection()
    [found] = run(made, mta.SESSION + mta.message(fields=fields, body=body))
    header = b"".join(name + b":" + value.replace(b"\n", b"\r\n") + b"\r\n" for name, value in fields)
    assert found[3] == header + b"\r\n" + b"".join(body)


def test_a_fold_with_crlf_does_not_become_one_with_two_crs():
    made, _ = connection()
    [found] = run(made, mta.SESSION + mta.message(fields=[(b"X", b" a\r\n b")], body=()))
    assert found[3] == b"X: a\r\n b\r\n\r\n"


# --- state ---------------------------------------------------------------------------------------------------------------

RICH = {"{auth_authen}": "alice"}
PARTS = [
    mta.macros("M", i="OLD", **RICH),
    mta.mail("old@old.example", "SIZE=1", "SMTPUTF8"),
    mta.macros("R", **{"{rcpt_addr}": "old"}),
    mta.rcpt("old@old.example"),
    mta.macros("T", i="OLD"),
    mta.packet("T"),
    mta.field(b"X-Old", b" old"),
    mta.END_OF_HEADER,
    mta.packet("B", b"old"),
    mta.macros("E", i="OLD", **RICH),
]


@pytest.mark.attack(44)
@pytest.mark.parametrize("parts", range(len(PARTS) + 1))
@pytest.mark.parametrize(
    "end",
    [mta.ABORT, b"", mta.helo(), mta.QUIT_NC + mta.SESSION, mta.connect()],
    ids=["abort", "mail", "helo", "quit_nc", "connect"],
)
def test_nothing_of_a_message_that_ended_at_any_stage_is_in_the_next(parts, end):
    load = Load(Limits())
    made, _ = connection(budget=load)
    cut = b"".join(PARTS[:parts]) + end
    if end == mta.connect():
        cut += mta.macros("H", **{"{tls_version}": "TLSv1.3"}) + mta.helo()
    expected = run(connection()[0], mta.SESSION + mta.message())
    assert run(made, mta.SESSION + cut + mta.message()) == expected == [ONE]
    assert load.octets == 0


@pytest.mark.attack(44)
def test_macros_of_a_stage_that_we_do_not_know_are_dropped():
    made, _ = connection()
    odd = mta.macros("Z", i="BAD") + mta.macros("L", i="BAD") + mta.packet("D", b"\xff") + mta.packet("D", b"M")
    assert run(made, mta.SESSION + odd + mta.message() + odd + mta.message()) == [ONE, ONE]


@pytest.mark.attack(44)
def test_one_connection_can_carry_session_after_session():
    made, _ = connection()
    other = mta.connect("other.example", b"6", 1, "2001:db8::9") + mta.helo("other")
    found = run(made, mta.SESSION + mta.message() + mta.QUIT_NC + other + mta.message(queue_id="Q2") + mta.QUIT)
    assert found[0] == ONE
    assert found[1][5:] == (("other.example", "2001:db8::9", 1, "other"), ("Q2", None, None, "b@rcpt.example", None))
    assert found[2] == "closed"


def test_what_comes_while_a_message_is_worked_on_waits_and_is_bounded():
    made, _ = connection()
    made.receive(mta.SESSION + mta.message() + mta.message())
    first = made.next()
    assert isinstance(first, Message)
    assert made.next() is None
    assert made.working
    with pytest.raises(WireError, match="does not wait"):
        made.receive(b"x" * 1_100_000)


# --- limits --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("skip", [False, True])
def test_a_message_over_the_limit_is_not_kept(skip):
    load = Load(Limits())
    made, _ = connection(100_000, load, steps=0x400 | 0x100000 if skip else 0x1FFFFF)
    body = [b"x" * 60_000, b"y" * 60_000, b"z" * 60_000]
    made.receive(mta.SESSION + mta.message(body=body))
    found = made.next()
    assert isinstance(found, Message)
    assert (found.missing, len(found.octets), load.octets) == ("too-large", 0, 0)
    if skip:
        assert [command for command, _ in read(made.to_send())].count("s") == 2
    made.answer(Answer())
    assert run(made, mta.message()) == [ONE]


def test_a_message_that_the_worker_has_no_memory_for_is_not_kept_and_the_next_is():
    load = Load(Limits(in_flight=150_000))
    assert load.take(100_000)
    made, _ = connection(budget=load)
    [found] = run(made, mta.SESSION + mta.message())
    assert (found[3], found[4]) == (b"", "no-room")
    load.give(100_000)
    assert run(made, mta.message()) == [ONE]
    assert load.octets == 0


@pytest.mark.attack(43)
def test_recipients_without_end_are_not_kept():
    made, _ = connection(budget=Load(Limits()))
    made.receive(mta.SESSION + mta.mail())
    flood = mta.rcpt("x" * 900 + "@z.example") * 1_000
    for _ in range(6):
        made.receive(flood)
        assert made.next() is None
    [found] = run(made, mta.content() + mta.END)
    assert found[4] == "too-large"
    assert sum(map(len, found[2])) < MAX_ENVELOPE


# --- nonsense ------------------------------------------------------------------------------------------------------------

GARBAGE = {
    "no negotiation": mta.SESSION,
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "tls": bytes.fromhex("160301020001000100fc0303"),
    "length 0": b"\0\0\0\0",
    "length 4 GiB": b"\xff\xff\xff\xffO",
    "length over 1 MiB": struct.pack("!I", 1_048_577),
    "truncated negotiation": mta.packet("O", b"\0\0\0\6"),
    "a second negotiation": mta.offer() + mta.offer(),
    "unknown command": mta.offer() + mta.packet("z"),
    "end before everything": mta.offer() + mta.END,
    "end before header": mta.offer() + mta.SESSION + mta.mail() + mta.rcpt() + mta.END,
    "body before header": mta.offer() + mta.SESSION + mta.mail() + mta.rcpt() + mta.packet("B", b"x"),
    "header before recipients": mta.offer() + mta.SESSION + mta.mail() + mta.field(b"X", b"y"),
    "recipient before sender": mta.offer() + mta.SESSION + mta.rcpt(),
    "header after body": mta.offer() + mta.SESSION + mta.mail() + mta.rcpt() + mta.content() + mta.field(b"X", b"y"),
    "header without NUL": mta.offer() + mta.SESSION + mta.mail() + mta.rcpt() + mta.packet("L", b"Subject"),
    "header without name": mta.offer() + mta.SESSION + mta.mail() + mta.rcpt() + mta.packet("L", b"\0x\0"),
    "sender without NUL": mta.offer() + mta.SESSION + mta.packet("M", b"<a@b>"),
    "macro without value": mta.offer() + mta.packet("D", b"Mi\0"),
    "empty macro packet": mta.offer() + mta.packet("D"),
    "large macro packet": mta.offer() + mta.packet("D", b"M" + b"i\0x\0" * 20_000),
    "connection without address": mta.offer() + mta.packet("C", b"host\x004"),
    "connection without family": mta.offer() + mta.packet("C", b"host\0"),
}


@pytest.mark.attack(43)
@pytest.mark.parametrize("octets", GARBAGE.values(), ids=GARBAGE)
def test_nonsense_is_named(octets):
    made = Connection(MAX)
    with pytest.raises(WireError):
        run(made, octets)


PIECES = [*PARTS, mta.offer(), mta.SESSION, mta.END, mta.ABORT, mta.QUIT_NC, mta.message(), *GARBAGE.values()]


@pytest.mark.attack(43, 44)
@given(
    st.lists(
        st.sampled_from(PIECES)
        | st.binary(max_size=20)
        | st.binary(max_size=9).map(lambda one: struct.pack("!I", len(one)) + one)
    )
)
def test_anything_gives_messages_or_raises_wire_error_and_memory_is_given_back(pieces):
    load = Load(Limits())
    made = Connection(MAX, load)
    try:
        run(made, mta.offer() + b"".join(pieces))
    except WireError as error:
        assert str(error)
    made.end()
    assert load.octets == 0


@pytest.mark.attack(43)
@pytest.mark.parametrize("command", ["M", "R", "H", "C"])
def test_what_is_named_before_a_message_cannot_be_larger_than_any_mta_makes_it(command):
    made, _ = connection()
    before = mta.SESSION + (mta.mail() if command == "R" else b"")
    with pytest.raises(WireError, match="octets"):
        run(made, before + mta.packet(command, b"<a@sender.example>\0" + b"X=1\0" * 300_000)[: 4 + 1_000_000])
    made, _ = connection()
    with pytest.raises(WireError, match="of 70001 octets"):
        run(made, before + mta.packet(command, b"<a@sender.example>".ljust(70_000, b"a") + b"\0"))


def test_of_the_parameters_of_mail_only_what_is_used_is_kept():
    made, _ = connection()
    sizes = [f"X{n}=1" for n in range(1_000)]
    made.receive(mta.SESSION + mta.mail("a@sender.example", *sizes, "smtputf8") + mta.rcpt() + mta.content() + mta.END)
    message = made.next()
    assert isinstance(message, Message)
    assert message.smtputf8
    assert not any(isinstance(getattr(message, name), list) for name in ("mail_from", "smtputf8", "macros"))
