"""What is taken out: results in our own name, and what a client tells the gate; what it may tell is read first."""

import pytest

from delivcheck.gate.model import Credential, Delete
from delivcheck.gate.prepare.strip import MAX_TAG, MAX_TAGS, idempotency_key
from delivcheck.model import MessageClass
from tests.gate.prepare.mail import ANYTHING, MESSAGE, quiet, through_milter, values

OTHERS = b"Authentication-Results: mx.example.net; spf=pass smtp.mailfrom=example.org\r\n"


def prepare(fields, credential=ANYTHING, **more):
    return quiet().prepare(through_milter(fields + MESSAGE, credential, **more))


@pytest.mark.attack(38)
@pytest.mark.parametrize(
    "value",
    [
        b" gate.example.org; spf=pass",
        b"gate.example.org;spf=pass",
        b" GATE.Example.ORG; spf=pass",
        b" gate.example.org.; spf=pass",
        b" gate.example.org 1; spf=pass",
        b" gate.example.org/1; spf=pass",
        b" gate.example.org",
        b" gate.example.org; none",
        b"\r\n\tgate.example.org;\r\n\tspf=pass",
        b"\r\n \r\n\tgate.example.org; spf=pass",
        b" (of course) gate.example.org (really); spf=pass",
        b" (a (nested;) one)gate.example.org; spf=pass",
        b" (mx.example.net;\r\n ) gate.example.org; spf=pass",
        b' "gate.example.org"; spf=pass',
        b' "gate\\.example.org"; spf=pass',
        b' "g\\a\\t\\e.example.org" ; spf=pass',
        b" (unclosed gate.example.org; spf=pass",
        b' "unclosed gate.example.org; spf=pass',
        b" =gate.example.org; spf=pass",
        b" gate.example.org spf=pass",
        b" mx.example.net gate.example.org; spf=pass",
        b" gate.example.org; \xff\xfe",
        b" \xff gate.example.org; spf=pass",
        b" gate . example . org; spf=pass",
        b" gate(a).(b;(c))\r\n\texample.org 1; spf=pass",
        b" (\\)) gate.example.org; spf=pass",
        b" (a) b) gate.example.org; spf=pass",
        b" " + b"(" * 5000 + b" gate.example.org; spf=pass",
        " gate.example。org; spf=pass".encode(),
        " ｇate.example.org; spf=pass".encode(),
        b" mx.example.net; " + b"x" * 32_768,
        b" mx.example.net; " + b"()" * 101,
        b" mx" * 101 + b"; gate.example.org",
    ],
)
def test_results_in_our_name_are_removed_however_they_are_written(value):
    found = prepare(b"Authentication-Results:" + value + b"\r\n")
    assert found.octets == MESSAGE
    assert found.edits == (Delete(b"Authentication-Results", 1),)


@pytest.mark.attack(38)
@pytest.mark.parametrize(
    "name", [b"authentication-results", b"AUTHENTICATION-RESULTS", b"Authentication-Results ", b"Authentication-Results\t"]
)
def test_the_name_of_the_field_may_be_written_in_any_way(name):
    assert prepare(name + b": gate.example.org; spf=pass\r\n").octets == MESSAGE


@pytest.mark.parametrize(
    "value",
    [
        b" mx.example.net; spf=pass",
        b" example.org; spf=pass",
        b" other.gate.example.org; spf=pass",
        b" gate.example.org.evil.example; spf=pass",
        b" notgate.example.org; spf=pass",
        b" mx.example.net; spf=pass smtp.mailfrom=gate.example.org",
        b" (not gate.example.org) (at all) mx.example.net; spf=pass",
        " mx.exämple.net (größer); spf=pass".encode(),
        b" spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=example.com",
        b"",
    ],
)
def test_results_of_others_stay(value):
    octets = b"Authentication-Results:" + value + b"\r\n" + MESSAGE
    assert quiet().prepare(through_milter(octets)).octets is octets


@pytest.mark.attack(38)
def test_all_instances_are_removed_from_the_last_to_the_first():
    """OpenDKIM#185: removed from the first to the last, every second one stayed."""
    ours = b"Authentication-Results: gate.example.org; dkim=pass\r\n"
    fields = ours + OTHERS + ours + ours + OTHERS + ours
    found = quiet().prepare(through_milter(MESSAGE.replace(b"Subject", fields + b"Subject")))
    assert found.octets == MESSAGE.replace(b"Subject", OTHERS + OTHERS + b"Subject")
    assert [edit.index for edit in found.edits] == [6, 4, 3, 1]


@pytest.mark.attack(38)
def test_our_own_fields_never_go_on_whoever_sent_them():
    fields = b"X-Delivcheck-Class: bulk\r\nx-delivcheck-results: pass\r\nX-DELIVCHECK-Trace : 1\r\n\t2\r\nX-Delivcheck-: a\r\n"
    for credential in (None, Credential("plain"), ANYTHING):
        assert prepare(fields, credential).octets == MESSAGE


def test_names_that_are_only_like_ours_stay():
    octets = b"X-Delivcheck: a\r\nX-Delivchecks-Class: b\r\n" + MESSAGE
    assert quiet().prepare(through_milter(octets)).octets is octets


def test_who_may_declare_is_heard():
    found = prepare(
        b"X-Delivcheck-Class: Bulk\r\nX-Delivcheck-Stream: weekly\r\nX-Delivcheck-Tag: a, b\r\nX-Delivcheck-Tag: =?utf-8?q?c=C3=BC?=\r\n"
        b"X-Delivcheck-Idempotency-Key: order-17\r\n"
    )
    assert (found.message_class, found.stream, found.tags, found.idempotency_key) == (
        MessageClass.BULK,
        "weekly",
        ("a", "b", "cü"),
        "order-17",
    )
    assert found.notes == ()


@pytest.mark.parametrize("credential", [None, Credential("plain")])
def test_who_may_not_declare_is_not_heard(credential):
    found = prepare(
        b"X-Delivcheck-Class: transactional\r\nX-Delivcheck-Stream: receipts\r\nX-Delivcheck-Tag: a\r\n", credential
    )
    assert (found.message_class, found.stream, found.tags) == (None, None, ())
    assert found.notes == ("X-Delivcheck fields, which this client may not set",)


@pytest.mark.parametrize(
    ("fields", "credential", "note"),
    [
        (
            b"X-Delivcheck-Class: bulk\r\n",
            Credential("a", classes=(MessageClass.TRANSACTIONAL,), may_declare=True),
            "may not declare bulk",
        ),
        (b"X-Delivcheck-Class: urgent\r\n", ANYTHING, "names no class"),
        (b"X-Delivcheck-Class: bulk\r\nX-Delivcheck-Class: transactional\r\n", ANYTHING, "Class fields that disagree"),
        (
            b"X-Delivcheck-Stream: weekly\r\n",
            Credential("a", streams=("receipts",), may_declare=True),
            "may not use that stream",
        ),
        (b"X-Delivcheck-Stream: a\r\nX-Delivcheck-Stream: b\r\n", ANYTHING, "Stream fields that disagree"),
        (b"X-Delivcheck-Tag: " + b"x" * (MAX_TAG + 1) + b"\r\n", ANYTHING, f"one of more than {MAX_TAG} characters"),
        (b"X-Delivcheck-Tag: " + b",".join(b"%d" % n for n in range(20)) + b"\r\n", ANYTHING, f"more than {MAX_TAGS} tags"),
        (b"X-Delivcheck-Idempotency-Key: " + b"x" * 257 + b"\r\n", ANYTHING, "more than 256 characters"),
    ],
)
def test_what_is_declared_beyond_what_is_allowed_is_ignored_and_said(fields, credential, note):
    found = prepare(fields, credential)
    assert found.message_class is None
    assert found.stream == next(iter(credential.streams), None)
    assert len(found.tags) <= MAX_TAGS
    assert found.idempotency_key is None
    assert note in found.notes[0]
    assert found.octets == MESSAGE


def test_the_idempotency_key_can_be_asked_for_before_anything_else():
    octets = b"X-Delivcheck-Idempotency-Key: order-17\r\n" + MESSAGE
    assert idempotency_key(octets, ANYTHING) == "order-17"
    assert idempotency_key(octets, Credential("plain")) is None
    assert idempotency_key(octets, None) is None
    assert idempotency_key(MESSAGE, ANYTHING) is None
    assert idempotency_key(b"garbage\r\n" + octets, ANYTHING) is None


def test_what_is_empty_says_nothing():
    found = prepare(
        b"X-Delivcheck-Class:\r\nX-Delivcheck-Stream: \r\nX-Delivcheck-Tag: ,,\r\nX-Delivcheck-Idempotency-Key:\r\n"
    )
    assert (found.message_class, found.stream, found.tags, found.idempotency_key, found.notes) == (None, None, (), None, ())


def test_no_control_character_comes_out_of_a_declaration():
    found = prepare(b"X-Delivcheck-Stream: a=?utf-8?q?=0D=0Ab?=\r\nX-Delivcheck-Tag: x\x1b[31m\r\n")
    assert found.stream is not None
    assert found.stream.isprintable()
    assert all(tag.isprintable() for tag in found.tags)


@pytest.mark.parametrize(
    ("listener", "streams", "comes_to"),
    [
        ("weekly", (), "weekly"),
        ("weekly", ("receipts", "weekly"), "weekly"),
        ("weekly", ("receipts",), "receipts"),
        (None, ("receipts", "weekly"), "receipts"),
        (None, (), None),
    ],
)
def test_without_a_word_in_the_mail_the_stream_is_the_listeners_or_the_users(listener, streams, comes_to):
    found = quiet().prepare(through_milter(credential=Credential("a", streams=streams), stream=listener))
    assert found.stream == comes_to


def test_the_fields_of_a_nested_message_are_not_ours():
    inner = b"Content-Type: message/rfc822\r\n\r\nX-Delivcheck-Class: bulk\r\n\r\nx"
    octets = MESSAGE.partition(b"Content-Type")[0] + inner
    assert quiet().prepare(through_milter(octets, ANYTHING)).octets is octets
    assert values(octets, "X-Delivcheck-Class") == []


@pytest.mark.attack(33, 38)
@pytest.mark.parametrize(
    "piece",
    [
        b"gate.example.org.x ",
        b"(",
        b"()",
        b"a/",
        b"\\",
        b'"',
        b" . ",
        "ü.ü ".encode(),
        b"a=b ",
        b"((;))",
        b"gate.example.org/",
        b"\xff",
    ],
)
def test_results_made_to_take_long_take_no_longer_than_their_length(piece):
    """A megabyte of them; `--durations` shows it, and what is quadratic or asks IDNA for every word takes minutes."""
    value = piece * (32_000 // len(piece))
    octets = (b"Authentication-Results:" + value + b"gate.example.org; x\r\n") * 30 + MESSAGE
    assert quiet().prepare(through_milter(octets)).octets.endswith(MESSAGE)
