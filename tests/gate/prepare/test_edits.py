"""Preparing as a whole: octets in, octets and edits out, and no octet of the message touched that no edit names."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.facts.signing import SigningKey
from delivcheck.gate.model import Client, Credential, Delete, Incoming
from delivcheck.gate.prepare import LoopError, NotPreparedError
from delivcheck.gate.prepare.header import Header, apply
from delivcheck.gate.prepare.keys import Keyring, usable
from tests.gate.prepare.mail import (
    ANYTHING,
    GATE,
    MESSAGE,
    NOW,
    TRACE,
    adding,
    applied,
    header_and_body,
    in_a_milter,
    incoming,
    name_of,
    quiet,
    through_milter,
)
from tests.keys import pem

RING = Keyring({"example.org": (usable(SigningKey("example.org", "e1", pem("ed25519"))),)})
EVERYTHING = adding(
    {"X-Ref": "{trace} {stream}", "X-To": "for {recipient}"},
    date=True,
    message_id=True,
    list_unsubscribe="https://example.org/u/{recipient}",
    feedback_id="{stream}:example",
    keyring=RING,
)

NAMES = st.sampled_from(
    [
        *(b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Received", b"Authentication-Results", b"X-Delivcheck-Class"),
        *(b"x-delivcheck-tag", b"X-Delivcheck-Stream ", b"X-DELIVCHECK-", b"List-Unsubscribe", b"DKIM-Signature", b"X-A"),
    ]
)
VALUES = st.sampled_from(
    [
        *(
            b" a@example.org",
            b" " + GATE.encode() + b"; spf=pass",
            b" bulk",
            b"",
            b" ",
            b"\r\n\tfolded",
            b" mx.example.net; none",
        ),
        *(b" (x) gate.example.org\r\n ;dkim=pass", b" \xc3\xbc\xe2\x80\xa8", b" \x00\xff", b" a\r\n \r\n b", b" news, weekly"),
    ]
)
FIELDS = st.builds(lambda name, value: name + b":" + value + b"\r\n", NAMES, VALUES)
MESSAGES = st.builds(
    lambda fields, body: b"".join(fields) + body,
    st.lists(FIELDS, max_size=12),
    st.sampled_from([b"", b"\r\n", b"\r\nhello\r\n", b"\r\n\r\n\r\nX-Delivcheck-Class: bulk\r\n", b"\r\nno end", b"\r\n.\r\n"]),
)
PIECES = st.lists(
    st.one_of(
        NAMES,
        VALUES,
        st.sampled_from([b":", b"\r\n", b"\n", b"\r", b" ", b"\r\n\r\n", b"From ", b"garbage"]),
        st.binary(max_size=5),
    ),
    max_size=20,
).map(b"".join)
CLIENTS = st.sampled_from([None, ANYTHING, Credential("narrow", ("example.net",), ("weekly",), may_declare=True)])


def prepared(octets, credential=ANYTHING, protocol="ESMTP", preparer=EVERYTHING):
    """What comes of it, or None where one of the declared errors does."""
    try:
        return preparer.prepare(incoming(octets, credential, protocol=protocol))
    except (NotPreparedError, LoopError) as error:
        assert str(error)
        return None


@given(MESSAGES, CLIENTS, st.sampled_from(["ESMTP", "LMTP", "milter"]))
@example(b"X-Delivcheck-Class: bulk\r\n", ANYTHING, "milter")
@example(b"X-Delivcheck-Class: bulk\r\nX-Delivcheck-Class: bulk\r\n\r\n", None, "milter")
@example(b"\r\nbody", None, "ESMTP")
def test_the_edits_lead_from_what_came_to_what_is_judged(octets, credential, protocol):
    found = prepared(octets, credential, protocol)
    if found is None:
        return
    assert applied(octets, found.edits) == found.octets
    assert apply(octets, found.edits) == found.octets
    pairs, rest = in_a_milter(octets, found.edits)
    again, body = in_a_milter(found.octets, ())
    assert (pairs, rest) == ([(name, value.strip(b" \t\r\n")) for name, value in again], body)


@given(MESSAGES, CLIENTS)
def test_whatever_is_not_ours_stays_as_it_is(octets, credential):
    found = prepared(octets, credential, "milter", quiet())
    if found is None:
        return
    assert all(isinstance(edit, Delete) for edit in found.edits)
    assert b"delivcheck-class" not in found.octets[: Header(found.octets).body].lower() if found.octets else True
    fields, rest = header_and_body(octets)
    ours = [
        field
        for field in fields
        if name_of(field).startswith(b"x-delivcheck-") or (name_of(field) == b"authentication-results" and b"gate." in field)
    ]
    assert found.octets == b"".join(field for field in fields if field not in ours) + rest


@given(st.one_of(PIECES, st.binary(max_size=200), st.builds(bytes.__add__, PIECES, MESSAGES)))
def test_any_octets_are_prepared_or_raise_a_declared_error(octets):
    found = prepared(octets)
    if found is None:
        return
    assert apply(octets, found.edits) == found.octets
    if re.search(rb"\r(?!\n)|(?<!\r)\n", octets) is None:
        assert re.search(rb"\r(?!\n)|(?<!\r)\n", found.octets) is None
    added = len(found.octets) - len(octets)
    assert added > 0 or any(isinstance(edit, Delete) for edit in found.edits)
    body = Header(octets).body
    assert found.octets.endswith(octets[body:])
    assert max(len(line) for line in found.octets[: len(found.octets) - len(octets) + body].split(b"\r\n")) <= max(
        998, *(len(line) for line in octets.split(b"\r\n"))
    )


def test_without_anything_to_do_the_very_octets_are_handed_on():
    found = quiet().prepare(through_milter())
    assert found.octets is MESSAGE
    assert found.edits == ()


def test_preparing_twice_gives_the_same():
    once, again = (EVERYTHING.prepare(incoming(MESSAGE, ANYTHING)) for _ in range(2))
    assert once == again


@pytest.mark.parametrize(
    ("octets", "comes_to"),
    [
        pytest.param(b"\r\nbody\r\n", b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nbody\r\n", id="no header at all"),
        pytest.param(b"To: a@b\r\n", b"To: a@b\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n", id="no body at all"),
        pytest.param(b"To: a@b\r\n\r\n", b"To: a@b\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n", id="empty body"),
        pytest.param(
            b"To: a@b\r\n\r\n\r\n.\r\n\r\n",
            b"To: a@b\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\n\r\n.\r\n\r\n",
            id="blank lines",
        ),
        pytest.param(
            b"X-Delivcheck-Tag: a\r\n b\r\n\t\r\n\r\nx", b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nx", id="nothing stays"
        ),
        pytest.param(
            "Subject: Grüße\r\n größer\r\n\r\nx".encode(),
            "Subject: Grüße\r\n größer\r\nDate: Mon, 23 Nov 2026 12:00:00 +0000\r\n\r\nx".encode(),
            id="UTF-8 header",
        ),
    ],
)
def test_fields_are_put_in_wherever_the_header_ends(octets, comes_to):
    assert adding(date=True).prepare(through_milter(octets)).octets == comes_to


@pytest.mark.attack(30, 31, 37, 42)
@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"", "the message is empty"),
        (b"\r\n\r\n", "the message is empty"),
        (b" x: y\r\nFrom: a@b\r\n\r\n", "begins with a continuation line"),
        (b"From me Mon Nov 23\r\nTo: a@b\r\n\r\n", "mbox separator"),
        (b"To: a@b\r\ngarbage\r\nFrom: a@b\r\n\r\n", "is no field"),
        (b": x\r\n\r\n", "begins with a colon"),
        ("Sübject: x\r\n\r\n".encode(), "octets that no name may have"),
        (b"X-Delivchec\xe2\x84\xaa-Class: bulk\r\n\r\n", "octets that no name may have"),
        (b"Sub\x00ject: x\r\n\r\n", "octets that no name may have"),
        (b"To: a@b\r\nhello\r\n", "no blank line ends the header"),
        (b"To: a@b", "no line end"),
        (b"To: a@b\nFrom: a@b\r\n\r\n", "not part of CRLF"),
        (b"To: a@b\rX: y\r\n\r\n", "not part of CRLF"),
        (b"To: a@b\r\n\nbody", "not part of CRLF"),
        (b"To: a@b\r\r\n\r\n", "not part of CRLF"),
        (b"X: y\r\n" * 10_001 + b"\r\n", "more than 10000 fields"),
        (b"X: y\r\n" * 100_000 + b"\r\n", "more than 20000 lines"),
        (b"a:\r\n" * 2_000_000, "more than 1048576 octets"),
        (b"X: " + b"y" * 1_048_576 + b"\r\nTo: a@b\r\n\r\n", "more than 1048576 octets"),
        (b"X : y\r\n" * 1000 + b"garbage\r\n\r\n", "1000 faults"),
        (b"X-Delivcheck-Class: bulk\r\n", "nothing but fields that are taken out"),
    ],
)
def test_a_header_that_readers_would_read_differently_is_not_edited(octets, says):
    with pytest.raises(NotPreparedError, match=says):
        quiet().prepare(through_milter(octets))


@pytest.mark.attack(31, 42)
@pytest.mark.parametrize(
    "field", [b"Subject : x\r\n", b"Subject: a\x00b\r\n", b"__class__: x\r\nitems: y\r\n", b"X:\r\n \r\n y\r\n"]
)
def test_what_is_merely_odd_goes_through_unchanged(field):
    octets = field + MESSAGE
    assert quiet().prepare(through_milter(octets)).octets == octets


@pytest.mark.attack(30)
def test_ten_thousand_fields_are_edited_in_one_go():
    octets = b"X-Delivcheck-Tag: a\r\nX: y\r\n" * 5000 + b"\r\n"
    found = quiet().prepare(through_milter(octets))
    assert found.octets == b"X: y\r\n" * 5000 + b"\r\n"
    assert [edit.index for edit in found.edits] == list(range(5000, 0, -1))


def test_a_client_without_address_or_name_is_no_trouble():
    it = Incoming(MESSAGE, "", ("a@b.example",), Client(None), TRACE, NOW)
    assert (
        quiet().prepare(it).octets.startswith(b"Received: from localhost\r\n\tby gate.example.org (delivcheck) with SMTP id ")
    )
