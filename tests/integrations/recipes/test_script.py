"""A script with smtplib: the four outcomes."""

import smtplib

import pytest

from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from tests.integrations import house
from tests.integrations.recipes import page

SECTION = "A script with smtplib"


@pytest.fixture
def send(sink):
    made = page.module(SECTION, {"smtp.example.org": sink.host, "587": sink.port})
    return lambda subject=house.SUBJECT: made.send(house.TO, subject, house.TEXT)


def test_a_good_message_arrives(send, sink, here):
    record = here()
    send()
    (got,) = sink.messages
    assert (got.mail_from, got.rcpt_to) == (house.SENDER, (house.RECIPIENT,))
    assert got.octets.endswith(b"\r\n\r\nYour order has been sent.\r\n")
    assert house.recorded(record) == []


def test_a_bad_one_raises_what_smtplib_raises_and_nothing_leaves(send, sink, here):
    record = here()
    with pytest.raises(smtplib.SMTPDataError, match="550") as refused:
        send(house.BAD_SUBJECT)
    assert isinstance(refused.value, MessageRefused)
    assert house.BAD_RULE in refused.value.rules
    assert house.BAD_RULE in str(refused.value)
    assert sink.messages == []
    (told,) = house.recorded(record)
    assert (told["event"], told["hook"]) == ("refused", "smtplib")


def test_without_dns_it_is_sent_and_recorded(send, sink, here):
    record = here(dns="dead")
    send()
    assert len(sink.messages) == 1
    assert [one["event"] for one in house.recorded(record)] == ["bypassed"]


def test_without_dns_it_is_a_temporary_failure_where_that_was_asked_for(send, sink, here):
    here(dns="dead", on_unknown="raise")
    with pytest.raises(MessageUndetermined) as undetermined:
        send()
    assert undetermined.value.smtp_code == 451
    assert sink.messages == []


def test_observing_a_bad_one_is_sent_and_recorded(send, sink, here):
    record = here(mode="observe")
    send(house.BAD_SUBJECT)
    (got,) = sink.messages
    assert house.BAD_SUBJECT.encode() in got.octets
    (told,) = house.recorded(record)
    assert (told["event"], told["rules"]) == ("bypassed", [house.BAD_RULE])
