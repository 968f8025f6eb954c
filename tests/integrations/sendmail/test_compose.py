"""What sendmail takes out of a message and puts into it; every other octet stays."""

import contextlib
import io
import re
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.integrations.sendmail import compose
from delivcheck.integrations.sendmail.compose import Author, completed, recipients, wire
from delivcheck.integrations.sendmail.sysexits import Exit, NotSent

AUTHOR = Author("me@here.example", "", "here.example")
WHOLE = b"From: a@b.example\r\nDate: today\r\nMessage-ID: <1@b.example>\r\n"


def read(octets, *, dot_ends=True):
    return compose.read(io.BytesIO(octets), dot_ends=dot_ends)


# --- reading -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dot", [b".\n", b".\r\n", b"."])
def test_a_lone_dot_ends_the_message_unless_it_is_told_not_to(dot):
    assert read(b"a\n" + dot) == b"a\n"
    assert read(b"a\n" + dot + b"rest", dot_ends=False) == b"a\n" + dot + b"rest"


def test_a_dot_in_company_ends_nothing_and_is_not_doubled_or_halved():
    octets = b"a\n..\n.b\n. \nc"
    assert read(octets) == octets


@pytest.mark.parametrize("dot_ends", [True, False])
def test_more_than_the_limit_is_refused(monkeypatch, dot_ends):
    monkeypatch.setattr(compose, "MAX_MESSAGE", 100)
    assert read(b"x" * 100, dot_ends=dot_ends) == b"x" * 100
    for octets in (b"x" * 101, b"x\n" * 51):
        with pytest.raises(NotSent) as raised:
            read(octets, dot_ends=dot_ends)
        assert raised.value.code is Exit.DATAERR


@pytest.mark.parametrize(
    ("came", "wanted"),
    [
        (b"a: b\n\nc\n", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\r\n\r\nc\nd\r\n", b"a: b\r\n\r\nc\r\nd\r\n"),  # PHP
        (b"a: b\n\nc", b"a: b\r\n\r\nc\r\n"),
        (b"a: b\n\nc\rd\n", b"a: b\r\n\r\nc\rd\r\n"),  # a CR alone is judged as one
        (b"a: b\n\nc\r\r\n", b"a: b\r\n\r\nc\r\r\n"),
        (b"From me Mon Jan  1 00:00:00 2026\na: b\n\nc\n", b"a: b\r\n\r\nc\r\n"),
        (b">From me Mon Jan  1\na: b\n\nFrom c\n", b"a: b\r\n\r\nFrom c\r\n"),
        (b"", b""),
    ],
)
def test_local_lines_become_lines_of_smtp(came, wanted):
    assert wire(came) == wanted


# --- -t ----------------------------------------------------------------------------------------------------------


def test_recipients_stand_in_to_cc_and_bcc():
    octets = b'To: "A, B" <a@b.example>,\r\n c@d.example\r\nCC: root\r\nBcc: e@f.example\r\nReply-To: no@x.example\r\n\r\nTo: x@y.example\r\n'
    assert recipients(octets, "here.example") == ["a@b.example", "c@d.example", "root@here.example", "e@f.example"]


def test_those_of_a_resent_message_are_its_new_ones():
    octets = b"Resent-To: new@b.example\r\nResent-Bcc: blind@b.example\r\nTo: old@b.example\r\nBcc: old@c.example\r\n\r\n"
    assert recipients(octets, "here.example") == ["new@b.example", "blind@b.example"]


def test_a_name_in_an_old_charset_is_no_fault_and_an_address_is():
    assert recipients(b"To: Zo\xeb <z@b.example>\r\n\r\n", "here.example") == ["z@b.example"]
    with pytest.raises(NotSent, match="To: an address is neither ASCII nor UTF-8") as raised:
        recipients(b"To: zo\xeb@b.example\r\n\r\n", "here.example")
    assert raised.value.code is Exit.DATAERR


def test_a_header_of_many_recipients_takes_no_time():
    names = [f"user{n}@b{n}.example" for n in range(20_000)]
    octets = b"To: " + ",\r\n ".join(names).encode() + b"\r\n\r\n"
    assert recipients(octets, "here.example") == names


def test_a_header_that_does_not_end_is_refused():
    octets = b"X: " + b"a" * compose.MAX_HEADER + b"\r\n\r\n"
    with pytest.raises(NotSent, match="the header has more than") as raised:
        recipients(octets, "here.example")
    assert raised.value.code is Exit.DATAERR


def test_a_header_of_many_lines_takes_no_memory():
    octets = b"a:\n" * compose.MAX_HEADER
    tracemalloc.start()
    try:
        with pytest.raises(NotSent, match="the header has more than"):
            completed(octets, AUTHOR)
        assert tracemalloc.get_traced_memory()[1] < compose.MAX_HEADER
    finally:
        tracemalloc.stop()


# --- what is added and taken out -------------------------------------------------------------------------------------


def test_a_whole_message_stays_as_it_is():
    octets = WHOLE + b"X-Odd :  spaced \r\n\tfolded\r\n\r\nbody\r\n.\r\n"
    assert completed(octets, AUTHOR) == octets


def test_blind_copies_do_not_leave_whatever_their_folding():
    octets = (
        b"Bcc: a@b.example,\r\n\tc@d.example\r\n"
        + WHOLE
        + b"BCC : e@f.example\r\nResent-bcc: g@h.example\r\nContent-Length: 3\r\n"
    )
    assert completed(octets + b"\r\nBcc: no field\r\n", AUTHOR) == WHOLE + b"\r\nBcc: no field\r\n"


def test_what_is_missing_is_added_at_the_end_of_the_header():
    made = completed(b"Subject: hello\r\n\r\nbody\r\n", Author("me@here.example", 'J. "D" Doe', "here.example"))
    assert re.fullmatch(
        rb"Subject: hello\r\n"
        rb'From: "J\. \\"D\\" Doe" <me@here\.example>\r\n'
        rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\n"
        rb"Message-ID: <[0-9A-Z]{26}@here\.example>\r\n"
        rb"\r\nbody\r\n",
        made,
    )


def test_a_name_beyond_ascii_is_encoded_and_folded():
    made = completed(b"\r\n", Author("me@here.example", "Zoë " * 40, "here.example"))
    first, _, _ = made.partition(b"\r\nDate:")
    assert first.isascii()
    assert first.startswith(b"From: =?utf-8?")
    assert first.endswith(b"\r\n <me@here.example>")
    assert max(map(len, first.split(b"\r\n"))) <= 78


@pytest.mark.parametrize("body", [b"hello\r\nworld\r\n", b"http: no, this is a line\r\n"[5:], b""])
def test_what_has_no_header_gets_one_and_its_blank_line(body):
    made = completed(body, AUTHOR)
    head, blank, rest = made.partition(b"\r\n\r\n")
    assert head.startswith(b"From: me@here.example\r\nDate: ")
    assert blank
    assert rest == body


def test_a_line_that_is_no_field_ends_the_header():
    made = completed(WHOLE + b"no field\r\nBcc: a@b.example\r\n\r\nbody\r\n", AUTHOR)
    assert made == WHOLE + b"\r\nno field\r\nBcc: a@b.example\r\n\r\nbody\r\n"


LINES = st.lists(
    st.sampled_from(
        [
            b"From: a@b.example",
            b"Bcc: x@y.example",
            b"To: a@b.example, c@d.example",
            b" folded",
            b"",
            b"text",
            b".",
            b"Date: x",
            b"a:\0",
            b"\xff: \xfe",
            b"To: <",
            b"x\ry",
        ]
    ),
    max_size=12,
)


# What `_header` finds, said in one pattern.
HEADER = re.compile(rb"(?:[!-9;-~]+[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*)*")


@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.binary(max_size=30))
def test_any_octets_give_a_message_with_the_same_body_or_the_one_error(lines, end, tail):
    octets = wire(end.join([*lines, tail]))
    with contextlib.suppress(NotSent):
        recipients(octets, "here.example")
    made = completed(octets, AUTHOR)
    head, blank, _ = made.partition(b"\r\n\r\n")
    assert blank
    assert not re.search(rb"(?im)^bcc[ \t]*:", head)
    assert all(re.search(rb"(?im)^%s[ \t]*:" % name, head) for name in (b"from", b"date", b"message-id"))
    body = HEADER.sub(b"", octets, count=1)
    assert made.endswith(body)
    assert completed(made, AUTHOR) == made
