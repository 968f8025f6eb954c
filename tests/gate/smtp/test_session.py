"""The state machine as a whole: any cut of the octets, any octets at all, and limits (attacks 5, 11, 12, 14, 49)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.model import Extensions
from delivcheck.gate.reply import Reply
from delivcheck.gate.settings import Kind, Limits
from delivcheck.gate.smtp.events import Ended, Hello, Mail, Message, Rcpt, Reset
from delivcheck.gate.smtp.limits import MAX_COMMANDS, MAX_ERRORS, MAX_JUNK

from .sansio import OK, Conversation, codes, options

# What a client sends before it waits for answers.
GROUPS = [
    b"EHLO client.example\r\n",
    b"MAIL FROM:<a@example.com> BODY=8BITMIME\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<no@example.net>\r\nDATA\r\n",
    b"Subject: one\r\n\r\n..dot\r\nlone\r\n..\r\nend\r\n.\r\n",
    b"RSET\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nBDAT 9\r\nQUIT\r\n\r\n.BDAT 4 LAST\r\n\r\nx\nNOOP\r\n",
    b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nBDAT 9\r\nQUIT\r\n\r\n.BDAT 4 LAST\r\n\r\nx\rBDAT 3\r\nabcNOOP\r\n",
    b"MAIL FROM:<\xc3\xbc@example.com> SMTPUTF8\r\nRCPT TO:<b@example.net>\r\nNOOP \0\r\nFOO\r\nDATA\r\n",
    b"x\r\n.\r.\r\n\r\n.\r\n",
    b"AUTH PLAIN\r\n",
    b"AGFubgBzZWNyZXQ=\r\n",
    b"QUIT\r\n",
]


def talk(cuts: list[int]) -> tuple[str, list[object]]:
    conversation = Conversation(options(auth=True, secure=True), say_no={"no@example.net": Reply(550, "5.1.1", "no")})
    said = conversation.open()
    position = iter(cuts)
    for group in GROUPS:
        left = group
        while left:
            size = next(position, len(left))
            said += conversation.send(left[:size])
            left = left[size:]
    return said, conversation.events


WHOLE = talk([])


def test_the_session_that_is_cut_is_worth_it():
    said, events = WHOLE
    assert codes(said)[-1] == "221 2.0.0"
    assert sum(isinstance(event, Message) for event in events) == 1
    assert sum(isinstance(event, Reset) for event in events) == 3


@given(st.lists(st.integers(1, 30), max_size=400))
def test_every_cut_of_the_octets_has_the_same_events_and_replies(cuts):
    assert talk(cuts) == WHOLE


def test_one_octet_at_a_time_is_the_same():
    assert talk([1] * 1_000) == WHOLE


PIECES = st.one_of(
    st.binary(max_size=60),
    st.sampled_from(
        [b"EHLO c\r\n", b"HELO c\r\n", b"LHLO c\r\n", b"MAIL FROM:<a@example.com>\r\n", b"MAIL FROM:<> SIZE=10\r\n", b"RCPT TO:<b@example.net>\r\n",
         b"RCPT TO:<no@example.net>\r\n", b"DATA\r\n", b"x\r\n.\r\n", b".\r\n", b"\r\n", b"\n", b"BDAT 3\r\nabc", b"BDAT 3 LAST\r\nab\n", b"BDAT 0 LAST\r\n",
         b"RSET\r\n", b"NOOP\r\n", b"VRFY a\r\n", b"STARTTLS\r\n", b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n", b"AUTH LOGIN\r\n", b"YW5u\r\n", b"*\r\n",
         b"XCLIENT ADDR=192.0.2.1\r\n", b"XFORWARD NAME=a\r\n", b"A" * 3_000, b"\0"]
    ),
)  # fmt: skip


@given(
    st.sampled_from([Kind.SMTP, Kind.LMTP, Kind.SUBMISSION, Kind.SUBMISSIONS]),
    st.lists(PIECES, max_size=40),
    st.booleans(),
    st.booleans(),
)
def test_whatever_comes_is_answered_and_never_an_exception(kind, pieces, rights, trusted):
    limits = Limits(message_size=200, recipients=3, in_flight=400)
    given_options = options(
        kind, limits, trusted=trusted, auth=rights, starttls=not rights, secure=rights, xclient=rights, xforward=rights
    )
    conversation = Conversation(given_options, say_no={"no@example.net": Reply(451, "4.7.1", "later")})
    conversation.open()
    for piece in pieces:
        said = conversation.send(piece)
        assert all(line[:3].isdigit() and line[3] in " -" for line in said.splitlines())
        assert 0 <= conversation.load.octets <= 400
        assert conversation.session.pending <= 12_288 + 60
    before = len(conversation.events)
    conversation.eof()
    assert conversation.load.octets == 0
    assert conversation.ended is not None
    assert all(isinstance(event, Ended) for event in conversation.events[before:])
    for message in conversation.messages():
        assert b"\0" not in message
        assert message.count(b"\n") == message.count(b"\r") == message.count(b"\r\n")
        assert len(message) <= 202


@pytest.mark.attack(49)
def test_the_client_may_end_after_any_octet():
    stream = b"".join(GROUPS[1:3])
    for length in range(len(stream)):
        conversation = Conversation().ready()
        first = stream[: min(length, len(GROUPS[1]))]
        conversation.send(first)
        conversation.send(stream[len(first) : length])
        conversation.eof()
        assert conversation.ended == "client gone"
        assert conversation.messages() == []
        assert conversation.load.octets == 0


# --- a transaction knows nothing of the one before ---------------------------------------------------------------------


def test_nothing_is_left_for_the_next_transaction():
    conversation = Conversation(options(limits=Limits(recipients=2))).ready()
    for number in range(5):
        name = f"{number}@example.net"
        conversation.send(
            f"MAIL FROM:<{name}> RET=HDRS ENVID=x{number}\r\nRCPT TO:<1@example.net>\r\nRCPT TO:<{name}>\r\n".encode()
        )
        conversation.send(b"DATA\r\n")
        conversation.send(f"body {number}\r\n.\r\n".encode())
        conversation.send(b"MAIL FROM:<x@example.com>\r\nRCPT TO:<x@example.net>\r\nBDAT 3\r\nabcRSET\r\n")
    assert conversation.messages() == [f"body {number}\r\n".encode() for number in range(5)]
    senders = [event.sender for event in conversation.of(Mail)]
    assert [(one.address, one.envid) for one in senders[::2]] == [(f"{n}@example.net", f"x{n}") for n in range(5)]
    assert all(one.envid is None and one.ret is None for one in senders[1::2])


def test_one_command_at_a_time_waits_for_its_answer():
    conversation = Conversation().ready()
    session = conversation.session
    session.receive(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nNOOP\r\n")
    assert isinstance(session.next_event(), Mail)
    assert session.next_event() is None
    assert session.output() == b""
    session.answer(OK)
    assert isinstance(session.next_event(), Rcpt)
    session.answer(OK)
    assert session.next_event() is None
    assert session.output().count(b"\r\n") == 3


@pytest.mark.attack(12)
def test_who_goes_on_before_ehlo_is_answered_is_hung_up_on():
    conversation = Conversation()
    conversation.open()
    conversation.session.receive(b"EHLO c\r\n")
    assert isinstance(conversation.session.next_event(), Hello)
    conversation.session.receive(b"MAIL FROM:<a@example.com>\r\n")
    conversation.session.greet(Extensions())
    assert codes(conversation.pump()) == ["554 5.5.0"]
    assert conversation.ended == "early talker"


@pytest.mark.attack(12)
def test_who_talks_before_the_banner_is_hung_up_on():
    conversation = Conversation()
    conversation.session.receive(b"EHLO c\r\n")
    assert codes(conversation.open()) == ["554 5.5.0"]
    assert conversation.ended == "early talker"


# --- patience --------------------------------------------------------------------------------------------------------


@pytest.mark.attack(14)
@pytest.mark.parametrize("line", [b"NOOP\r\n", b"RSET\r\n", b"VRFY a\r\n", b"HELP\r\n", b"EHLO c\r\n"])
def test_commands_that_bring_nobody_further_end_the_connection(line):
    conversation = Conversation().ready()
    count, said = 0, conversation.send(line)
    while conversation.ended is None:
        assert said.startswith("2")
        count, said = count + 1, conversation.send(line)
    assert MAX_JUNK - 1 <= count <= MAX_JUNK
    assert codes(said) == ["421 4.7.0"]
    assert conversation.ended == "junk"


@pytest.mark.attack(14)
@pytest.mark.parametrize(
    "line", [b"FOO\r\n", b"RCPT TO:<b@example.net>\r\n", b"MAIL FROM:x\r\n", b"\r\n", b"BDAT 1\r\nx", b"x" * 3_000 + b"\r\n"]
)
def test_errors_end_the_connection(line):
    conversation = Conversation().ready()
    said = "".join(conversation.send(line) for _ in range(MAX_ERRORS))
    assert codes(said)[-1] == "421 4.7.0"
    assert conversation.ended == "errors"


@pytest.mark.attack(14)
def test_an_accepted_message_makes_good_for_what_was_before():
    conversation = Conversation().ready()
    for _ in range(10):
        for _ in range(MAX_ERRORS - 1):
            conversation.send(b"FOO\r\n")
        conversation.transaction()
        assert codes(conversation.send(b"BDAT 0 LAST\r\n")) == ["250 2.0.0"]


@pytest.mark.attack(14)
def test_transactions_that_never_come_to_a_message_end_the_connection():
    conversation = Conversation(options(limits=Limits(recipients=10))).ready()
    for _ in range(MAX_COMMANDS):
        said = conversation.send(b"MAIL FROM:<a@example.com>\r\nRSET\r\n")
        if conversation.ended:
            break
    assert codes(said)[-1] == "421 4.7.0"
    assert conversation.ended == "commands"


def test_many_messages_on_one_connection_are_no_flood():
    conversation = Conversation().ready()
    for _ in range(2_000):
        conversation.send(b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nBDAT 3 LAST\r\nx\r\n")
    assert len(conversation.messages()) == 2_000
    assert conversation.ended is None


# --- going down ------------------------------------------------------------------------------------------------------


@pytest.mark.attack(61)
def test_an_idle_client_hears_421_at_once():
    conversation = Conversation().ready()
    conversation.session.drain()
    assert codes(conversation.pump()) == ["421 4.3.2"]
    assert conversation.ended == "drained"


@pytest.mark.attack(61)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_message_that_has_begun_is_finished_first(chunked):
    conversation = Conversation().ready().transaction()
    conversation.send(b"BDAT 3\r\nx\r\n" if chunked else b"DATA\r\n")
    conversation.session.drain()
    assert conversation.pump() == ""
    said = conversation.send(b"BDAT 3 LAST\r\ny\r\n" if chunked else b"x\r\n.\r\n")
    assert codes(said) == ["250 2.0.0", "421 4.3.2"]
    assert len(conversation.messages()) == 1


@pytest.mark.attack(61)
def test_a_transaction_without_content_is_over():
    conversation = Conversation().ready().transaction()
    conversation.session.drain()
    assert codes(conversation.send(b"DATA\r\n")) == ["421 4.3.2"]
    assert conversation.session.in_transaction  # the driver has the handler reset it


def test_a_handler_that_says_421_ends_the_connection():
    conversation = Conversation(say_no={"a@example.com": Reply(421, "4.3.2", "no")}).ready()
    assert codes(conversation.send(b"MAIL FROM:<a@example.com>\r\nNOOP\r\n")) == ["421 4.3.2"]
    assert conversation.ended == "421 was said"


def test_lmtp_makes_up_for_a_handler_that_answers_for_too_few():
    conversation = Conversation(options(Kind.LMTP)).ready()
    conversation.transaction("1@example.net", "2@example.net", "3@example.net")
    session = conversation.session
    session.receive(b"BDAT 0 LAST\r\n")
    assert isinstance(session.next_event(), Message)
    session.answer(OK, OK)
    assert codes(session.output().decode()) == ["250 2.0.0", "250 2.0.0", "451 4.3.0"]
