"""Fields that are added: only where they are missing, safe for where they stand, and in lines that a message may have."""

from email import message_from_bytes, policy

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from delivcheck.gate.model import Credential
from delivcheck.gate.prepare import PreparationError
from delivcheck.gate.prepare.additions import folded
from delivcheck.model import MessageClass
from tests.gate.prepare.mail import ANYTHING, GATE, MESSAGE, TRACE, adding, incoming, through_milter, values

BARE = b"From: news@example.org\r\nTo: customer@example.net\r\n\r\nhello\r\n"
BULK = b"X-Delivcheck-Class: bulk\r\n" + MESSAGE
UNSUBSCRIBE = "https://example.org/u?s={stream}&r={recipient}"


def added(preparer, octets=MESSAGE, credential=ANYTHING, **more):
    found = preparer.prepare(incoming(octets, credential, **more))
    return {
        name: got[0] for name in ("Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID", "X-Ref")
        if (got := values(found.octets, name)) and not values(octets, name)
    }, found  # fmt: skip


def test_date_and_message_id_are_added_where_missing():
    found, _ = added(adding(date=True, message_id=True), BARE)
    assert found == {"Date": "Mon, 23 Nov 2026 12:00:00 +0000", "Message-ID": f"<{TRACE}@{GATE}>"}
    assert added(adding(date=True, message_id=True))[0] == {}
    assert added(adding(), BARE)[0] == {}


@pytest.mark.attack(37)
def test_what_stands_twice_or_is_wrong_is_not_repaired():
    """The rules find it: a gate that repaired it would judge another message than the one that was written."""
    octets = b"Date: yesterday\r\nMessage-ID:\r\nmessage-id: <2@example.org>\r\nFeedback-ID:\r\n" + MESSAGE
    found = adding(date=True, message_id=True, feedback_id="a:b:c:d").prepare(through_milter(octets))
    assert found.octets is octets


@pytest.mark.parametrize("trace", ["a b", "a@b", "x\r\ny", "ü", "", "a..b", "<>"])
def test_the_message_id_is_one_whatever_the_trace(trace):
    it = incoming(BARE)
    found = adding(message_id=True).prepare(type(it)(it.octets, it.mail_from, it.rcpt_to, it.client, trace, it.received))
    (value,) = values(found.octets, "Message-ID")
    assert value.isascii()
    assert value.count("@") == 1
    assert value.endswith(f"@{GATE}>")
    assert " " not in value


# --- unsubscribing ---------------------------------------------------------------------------------------------------


def test_bulk_mail_to_one_gets_the_pair():
    found, _ = added(
        adding(list_unsubscribe=UNSUBSCRIBE), b"X-Delivcheck-Stream: weekly\r\n" + BULK, rcpt_to=["a+b&c@example.net"]
    )
    assert found == {
        "List-Unsubscribe": "<https://example.org/u?s=weekly&r=a%2Bb%26c%40example.net>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def test_the_class_may_come_from_the_stream_and_a_declared_one_is_stronger():
    classes = {"weekly": MessageClass.BULK, None: None}
    preparer = adding(list_unsubscribe="https://example.org/u", class_of=classes.get)
    assert "List-Unsubscribe" in added(preparer, stream="weekly")[0]
    assert added(preparer)[0] == {}
    assert added(preparer, b"X-Delivcheck-Class: transactional\r\n" + MESSAGE, stream="weekly")[0] == {}
    assert added(preparer, BULK, Credential("may not declare"))[0] == {}


@pytest.mark.parametrize("more", [{"rcpt_to": ["a@example.net", "b@example.net"]}, {"protocol": "milter"}, {"rcpt_to": []}])
def test_one_recipients_token_never_reaches_another(more):
    found, prepared = added(adding({"X-Ref": "{recipient}"}, list_unsubscribe=UNSUBSCRIBE), BULK, **more)
    assert found == {}
    assert [note.partition(" was not added: it names the recipient")[0] for note in prepared.notes] == [
        "List-Unsubscribe",
        "X-Ref",
    ]
    aggregate, _ = added(adding(list_unsubscribe="https://example.org/u?t={trace}"), BULK, **more)
    assert aggregate["List-Unsubscribe"] == f"<https://example.org/u?t={TRACE}>"


@pytest.mark.parametrize(
    "field", [b"List-Unsubscribe: <mailto:u@example.org>\r\n", b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"]
)
def test_half_a_pair_is_left_as_it_is(field):
    assert added(adding(list_unsubscribe="https://example.org/u"), field + BULK)[0] == {}


# --- values ----------------------------------------------------------------------------------------------------------


def test_feedback_id_and_own_fields():
    preparer = adding({"X-Ref": "Auftrag Größe {trace}"}, feedback_id="{stream}:example:2026:gate")
    found, _ = added(preparer)
    assert found["Feedback-ID"] == "default:example:2026:gate"
    octets = preparer.prepare(incoming()).octets
    assert octets.isascii()
    assert message_from_bytes(octets, policy=policy.SMTP)["X-Ref"] == f"Auftrag Größe {TRACE}"


@given(st.text(max_size=300), st.text(max_size=60))
@example("\ud800@example.net", "\udfff")
def test_no_recipient_and_no_stream_gets_out_of_its_place(recipient, stream):
    preparer = adding({"X-Ref": "r={recipient} s={stream}"}, list_unsubscribe=UNSUBSCRIBE, class_of=lambda _: MessageClass.BULK)
    found = preparer.prepare(incoming(stream=stream or None, rcpt_to=[recipient]))
    head, _, body = found.octets.partition(b"\r\n\r\n")
    assert body == MESSAGE.partition(b"\r\n\r\n")[2]
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if line[:1] not in {b" ", b"\t"}]
    assert names == [b"Received", b"From", b"To", b"Subject", b"Date", b"Message-ID", b"MIME-Version", b"Content-Type",
                     b"List-Unsubscribe", b"List-Unsubscribe-Post", b"X-Ref"] or b"was not added" in " ".join(found.notes).encode()  # fmt: skip
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert all(line.strip() for line in head.split(b"\r\n"))
    assert head.isascii()
    for url in values(found.octets, "List-Unsubscribe"):
        assert url.startswith("<https://example.org/u?s=")
        assert url.endswith(">")
        assert not set(url[1:-1]) & set("<>\"'\\ ,;\t")


def test_a_line_that_may_not_be_is_not_written():
    found, prepared = added(
        adding({"X-Ref": "{recipient}"}, list_unsubscribe=UNSUBSCRIBE), BULK, rcpt_to=["x" * 990 + "@example.net"]
    )
    assert found == {}
    assert all("its line would have more than 998 octets" in note for note in prepared.notes)
    assert len(prepared.notes) == 2


@given(st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=120), max_size=40).map(" ".join))
def test_folding_changes_nothing_but_white_space(text):
    value = folded(b"X-Ref", text)
    assert value is not None
    lines = value.split(b"\r\n")
    assert b"".join(lines).decode() == " ".join(text.split())
    assert all(line[:1] == b" " and line.strip() for line in lines[1:])
    for number, line in enumerate(lines):
        assert len(line) + (0 if number else 7) <= 78 or b" " not in line.strip()


# --- what cannot be configured ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"fields": {"X Ref": "a"}}, "no header field that can be added"),
        ({"fields": {"X-Ref:": "a"}}, "no header field"),
        ({"fields": {"": "a"}}, "no header field"),
        ({"fields": {"Größe": "a"}}, "no header field"),
        ({"fields": {"From": "a@b"}}, "no header field"),
        ({"fields": {"DKIM-Signature": "a"}}, "no header field"),
        ({"fields": {"X-Delivcheck-Class": "bulk"}}, "no header field"),
        ({"fields": {"X-Ref": "a\r\nBcc: b"}}, "control characters"),
        ({"fields": {"X-Ref": " "}}, "empty"),
        ({"fields": {"X-Ref": "{user}"}}, r"\{user\} in X-Ref is unknown: it can be \{recipient\}, \{stream\}, \{trace\}"),
        ({"list_unsubscribe": "http://example.org/u"}, "must be an https URL"),
        ({"list_unsubscribe": "https:///u"}, "must be an https URL"),
        ({"list_unsubscribe": "https://[::1/u"}, "must be an https URL"),
        ({"list_unsubscribe": "https://{recipient}/u"}, "with a fixed host"),
        ({"list_unsubscribe": "https://example.org/a b"}, "must be percent-encoded"),
        ({"list_unsubscribe": "https://example.org/a>,<mailto:x@y"}, "must be percent-encoded"),
        ({"feedback_id": "{x}"}, "is unknown"),
    ],
)
def test_what_cannot_be_added_is_said_at_the_start(arguments, says):
    with pytest.raises(PreparationError, match=says):
        adding(**arguments)
