"""Facts of the header section: addresses, recipients, repeats, encoded-words and where they may stand, reply domains."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.engine import Planner, Roots, gather
from delivcheck.facts import encoded_words, headers
from delivcheck.facts.encoded_words import EncodedWords
from delivcheck.facts.headers import (
    ONCE_ONLY,
    AddressFields,
    MessageId,
    Recipients,
    RepeatedFields,
    ReplyDomains,
    SentDate,
    Subject,
    is_no_reply,
    is_private,
)
from delivcheck.facts.roots import WHY_ABSENT, Envelope
from delivcheck.mime.message import Message, parse
from delivcheck.model import Dns, NotApplicable, Unavailable
from delivcheck.net.snapshot import from_mapping

PLANNER = Planner(
    [
        headers.address_fields,
        headers.recipients,
        headers.subject,
        headers.sent_date,
        headers.message_id,
        headers.repeated_fields,
        headers.reply_domains,
        encoded_words.words_of_fields,
    ]
)


def fact(kind, text, *more, zone=None):
    octets = text.encode() if isinstance(text, str) else text
    given = [(Message, parse(octets.replace(b"\n", b"\r\n") + b"\r\n\r\nText.\r\n")), *more]
    if zone is not None:
        given.append((Dns, from_mapping(zone)))
    roots = Roots(*given, why_absent=WHY_ABSENT)
    return asyncio.run(gather(PLANNER.plan([kind], roots), roots))[kind]


# --- addresses ---------------------------------------------------------------------------------------------------


def test_address_fields_keep_order_repeats_and_what_cannot_be_read():
    found = fact(
        AddressFields, "To: joe@example.net\nFrom: a@example.org\nFROM: b@example.org\nCc: nobody\nX-From: x@y.example"
    )
    assert [one.field.name for one in found.each] == ["To", "From", "FROM", "Cc"]
    assert [box.address for one in found.of("from") for box in one.mailboxes] == ["a@example.org", "b@example.org"]
    assert found.author is found.each[1]
    (unread,) = found.of("cc")
    assert unread.mailboxes == ()
    assert (unread.fault_at.line, unread.fault_at.header) == (4, "Cc")
    assert fact(AddressFields, "Subject: x").author is None


def test_a_fault_at_the_end_is_placed_at_the_field():
    (unread,) = fact(AddressFields, "To: ").each
    assert unread.fault_at == unread.field.at


def test_the_envelope_knows_the_recipients_best():
    text = "To: Joe <joe@example.net>, ann@example.net\nBcc: bob@example.net"
    assert fact(Recipients, text) == Recipients(("joe@example.net", "ann@example.net", "bob@example.net"), ("Joe",))
    assert fact(Recipients, text, Envelope("b@example.org", ("x@example.net",))) == Recipients(("x@example.net",), ("Joe",))


# --- one value each ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Subject, SentDate, MessageId])
def test_without_the_field_there_is_nothing_to_judge(kind):
    assert isinstance(fact(kind, "From: a@example.org"), NotApplicable)


def test_the_subject_is_decoded_and_the_first_one_counts():
    assert fact(Subject, "Subject: =?utf-8?q?A=C3=B1o?=\n  nuevo\nSubject: other").text == "Año  nuevo"


def test_dates_and_identifiers_are_read_or_say_why_not():
    assert fact(SentDate, "Date: Sun, 22 Nov 2026 10:00:00 +0000").date.moment.hour == 10
    assert fact(SentDate, "Date: today").fault is not None
    found = fact(MessageId, "Message-ID: <1@mail.example.org>")
    assert (found.identifier.right, found.local) == ("mail.example.org", False)
    assert fact(MessageId, "Message-ID: 1").fault is not None


@pytest.mark.parametrize(
    ("name", "private"),
    [("localhost", True), ("a1b2", True), ("mail.corp.internal", True), ("x.LOCAL.", True), ("mail.example.org", False)],
)
def test_names_without_a_public_domain_are_private(name, private):
    assert is_private(name) is private
    assert not is_private("[192.0.2.1]")


@pytest.mark.parametrize(
    "address", ["noreply@x.example", "no-reply", "No_Reply+7@x.example", "donotreply", "do-not.reply@x.example"]
)
def test_addresses_that_nobody_reads(address):
    assert is_no_reply(address)
    assert not is_no_reply(f"not-{address}")


# --- repeats -----------------------------------------------------------------------------------------------------


def test_repeats_are_counted_in_each_section_by_itself():
    text = (
        "Subject: a\nReceived: x\nReceived: y\nsubject: b\nX-A: 1\nX-A: 2\nContent-Type: multipart/mixed; boundary=b\n"
        "\n--b\nContent-Type: text/plain\ncontent-type: text/html\n\nx\n"
        "--b\nContent-Type: message/rfc822\n\nTo: a\nTo: b\n\n--b--"
    )
    found = fact(RepeatedFields, text)
    assert [(fields[0].name, len(fields), fields[0].part) for fields in found.among(ONCE_ONLY)] == [
        ("Subject", 2, None),
        ("Content-Type", 2, "1"),
    ]
    assert {fields[0].name for fields in found.each} == {"Subject", "Received", "X-A", "Content-Type"}


# --- encoded-words -----------------------------------------------------------------------------------------------

WORD = "=?utf-8?q?=C3=A9?="


@pytest.mark.parametrize(
    "text",
    [
        f"From: {WORD} <a@example.org>",
        f"From: a@example.org ({WORD})",
        f"From: {WORD} (nested ({WORD}) comment) <a@example.org>",
        f"To: {WORD}: a@example.org;",
        f'From: {WORD} "quoted" <a@example.org>',
        f"Subject: {WORD}",
        f"X-Anything: {WORD}",
        f"Comments: a{WORD}b",
        f"List-Id: {WORD} <news.example.org>",
        f"References: <1@example.org> ({WORD})",
        f'Content-Type: text/plain ({WORD}); charset="utf-8"',
    ],
)
def test_an_encoded_word_may_stand_in_names_comments_and_text(text):
    found = fact(EncodedWords, text)
    assert found.each
    assert found.in_place == found.each


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (f'From: "{WORD}" <a@example.org>', "inside quotes in From"),
        (f'From: "a \\" {WORD}" <a@example.org>', "inside quotes in From"),
        (f"From: x <{WORD}@example.org>", "inside angle brackets in From"),
        (f"To: {WORD}@example.org", "in an address in To"),
        (f"To: {WORD}", "in an address in To"),
        (f"To: {WORD}, b@example.org", "in an address in To"),
        (f"Resent-To: {WORD}", "in an address in Resent-To"),
        (f"To: x <unclosed {WORD}", "inside angle brackets in To"),
        (f"References: {WORD}", "in References"),
        (f"MIME-Version: {WORD}", "in MIME-Version"),
        (f"DKIM-Signature: {WORD}", "in DKIM-Signature"),
        (f'Content-Disposition: attachment; filename="{WORD}.pdf"', None),
        (f"List-Help: {WORD}", "in a URI of List-Help"),
        (f"List-Id: x <{WORD}.example.org>", "inside angle brackets in List-Id"),
    ],
)
def test_an_encoded_word_may_not_stand_elsewhere(text, where):
    (found,) = fact(EncodedWords, text).each
    assert found.misplaced == where
    assert found.at.header == text.partition(":")[0]


@pytest.mark.parametrize("name", ["Message-ID", "Date", "List-Unsubscribe", "List-Unsubscribe-Post", "Return-Path"])
def test_fields_with_rules_of_their_own_are_left_out(name):
    assert fact(EncodedWords, f"{name}: {WORD}").each == ()


def test_words_that_touch_are_told_and_parts_are_read_too():
    part = f"--b\nContent-Description: {WORD}\n\nx\n--b--"
    text = f"Subject: {WORD}{WORD} {WORD}\nContent-Type: multipart/mixed; boundary=b\n\n{part}"
    found = fact(EncodedWords, text)
    assert [one.touches for one in found.each] == [False, True, False, False]
    assert found.each[-1].at.part == "1"


@given(
    st.lists(
        st.sampled_from(["=?", "utf-8", "?q?", "x", "?=", '"', "<", ">", "(", ")", "\\", ",", ";", ":", "@", " "]), max_size=30
    )
)
def test_any_address_field_is_read(pieces):
    for one in fact(EncodedWords, "From: " + "".join(pieces)).each:
        assert one.misplaced is None or one.misplaced.endswith("From")


@pytest.mark.parametrize(
    "value", [WORD * 5000, f'"{WORD}" ' * 4000, "(" * 50_000 + WORD, "<" * 50_000 + WORD, f"{WORD} " * 5000]
)
def test_hostile_values_take_linear_time(value):
    message = parse(b"From: " + value.encode() + b"\r\n\r\n")
    started = time.process_time()
    encoded_words.words_of_fields.function(message)
    headers.address_fields.function(message)
    assert time.process_time() - started < 30


# --- where answers go --------------------------------------------------------------------------------------------


def test_each_reply_domain_is_known_or_unknown_by_itself():
    zone = {"a.example MX": "10 mx.a.example", "b.example MX": "0 .", "c.example MX": "TIMEOUT"}
    found = fact(ReplyDomains, "Reply-To: x@a.example, y@B.example, z@c.example, v@[192.0.2.1]", zone=zone)
    assert [(box.address, takes) for _, box, takes in found.each if not isinstance(takes, Unavailable)] == [
        ("x@a.example", True),
        ("y@B.example", False),
    ]
    assert [box.address for _, box, takes in found.each if isinstance(takes, Unavailable)] == ["z@c.example"]


@pytest.mark.parametrize("text", ["From: a@example.org", "Reply-To: nobody", "Reply-To: x@[192.0.2.1]"])
def test_without_a_reply_address_nothing_is_asked(text):
    assert isinstance(fact(ReplyDomains, text, zone={}), NotApplicable)
