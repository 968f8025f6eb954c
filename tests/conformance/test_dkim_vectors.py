"""The RFCs' own signed messages verify, and any change that canonicalization does not forgive makes them fail."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conformance.rfc_messages import RFC6376, RFC6376_KEYS, RFC8463, RFC8463_KEYS
from tests.facts.dkim_world import verdict, verdicts

WHEN = datetime(2018, 6, 11, tzinfo=UTC)  # RFC 8463's example was signed on 10 June 2018


def results(octets, zone):
    return [(str(one.result), one.cause) for one in verdicts(octets, zone, WHEN)]


def test_the_message_of_rfc_6376_verifies():
    one = verdict(RFC6376, RFC6376_KEYS, WHEN)
    assert (str(one.result), one.domain, one.selector, one.algorithm, one.bits) == (
        "pass",
        "example.com",
        "brisbane",
        "rsa-sha256",
        1024,
    )
    assert one.signed == ("received", "from", "to", "subject", "date", "message-id")


def test_both_signatures_of_rfc_8463_verify():
    first, second = verdicts(RFC8463, RFC8463_KEYS, WHEN)
    assert (str(first.result), first.algorithm, first.bits) == ("pass", "ed25519-sha256", 256)
    assert (str(second.result), second.algorithm, second.bits) == ("pass", "rsa-sha256", 1024)


BODY, HEADER = ("fail", "body-hash"), ("fail", "signature")
GOOD = ("pass", None)


@pytest.mark.parametrize(
    ("old", "new", "simple", "relaxed"),
    [
        pytest.param("lost", "won ", BODY, BODY, id="a word of the body"),
        pytest.param("Joe.\r\n", "Joe.\r\n-- \r\n", BODY, BODY, id="a line appended"),
        pytest.param("Joe.\r\n", "Joe.", GOOD, GOOD, id="the last line end gone"),
        pytest.param("Joe.\r\n", "Joe.\r\n\r\n\r\n", GOOD, GOOD, id="empty lines at the end"),
        pytest.param("Hi.\r\n", "Hi. \r\n", BODY, GOOD, id="white space at the end of a line"),
        pytest.param("We lost", "We  lost", BODY, GOOD, id="white space inside a line"),
        pytest.param("We lost", "Welost", BODY, BODY, id="white space removed"),
        pytest.param("Hi.\r\n\r\n", "Hi.\r\n", BODY, BODY, id="an empty line in the middle"),
        pytest.param("Hi.\r\n", "Hi.\n", BODY, BODY, id="a bare LF"),
        pytest.param("Is dinner", "Was dinner", HEADER, HEADER, id="a word of the Subject"),
        pytest.param("Subject: Is", "Subject:  Is", HEADER, GOOD, id="white space in a field"),
        pytest.param("dinner ready", "dinner\r\n ready", HEADER, GOOD, id="a field folded"),
        pytest.param("Subject:", "SUBJECT:", HEADER, GOOD, id="upper case in a field name"),
        pytest.param("ready?", "Ready?", HEADER, HEADER, id="upper case in a field value"),
        pytest.param("To: ", "X-New: 1\r\nTo: ", GOOD, GOOD, id="a field nobody signed"),
        pytest.param("To: Suzie", "Cc: x@example.net\r\nTo: Suzie", GOOD, GOOD, id="a Cc, which these do not over-sign"),
        pytest.param("From: Joe", "From: x@example.net\r\nFrom: Joe", HEADER, HEADER, id="a second From"),
        pytest.param(" h=", "  h=", HEADER, GOOD, id="more white space in the signature field"),
        pytest.param(" d=", " n=x; d=", HEADER, HEADER, id="a tag added to the signature"),
    ],
)
def test_what_each_canonicalization_forgives(old, new, simple, relaxed):
    def changed(octets):
        assert old.encode() in octets
        return octets.replace(old.encode(), new.encode(), 1)

    assert results(changed(RFC6376), RFC6376_KEYS) == [simple]
    first, second = results(changed(RFC8463), RFC8463_KEYS)
    assert first == relaxed
    assert second == (GOOD if "=" in old else relaxed)  # a change in the first signature's field is none of the second's


@given(st.integers(0, len(RFC6376) - 1), st.integers(0, 7))
def test_under_simple_no_flipped_bit_that_is_signed_goes_unnoticed(index, bit):
    octets = bytearray(RFC6376)
    octets[index] ^= 1 << bit
    found = verdicts(bytes(octets), RFC6376_KEYS, WHEN)
    name_of_the_field = index < len("DKIM-Signature")
    white_space_in_b = RFC6376.index(b" b=") <= index < RFC6376.index(b"Received:")
    blank_line = RFC6376.index(b"\r\n\r\n") - 2 <= index < RFC6376.index(b"\r\n\r\n") + 4
    at_the_end = index >= len(RFC6376) - 2
    if not (name_of_the_field or white_space_in_b or blank_line or at_the_end):
        assert all(str(one.result) != "pass" for one in found)
