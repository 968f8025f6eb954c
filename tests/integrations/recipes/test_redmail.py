"""redmail: the four outcomes."""

import smtplib

import pytest

from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from tests.integrations import house
from tests.integrations.recipes import boundaries, page

pytest.importorskip("redmail", reason="redmail is not installed")

SECTION = "redmail"


@pytest.fixture
def sender(sink):
    made = page.module(SECTION, {"smtp.example.org": sink.host, "587": sink.port}).sender
    made.sender = house.FROM
    return made


def letter(subject=house.SUBJECT, **more):
    return {"subject": subject, "receivers": [house.RECIPIENT], "text": house.TEXT, **more}


@pytest.mark.parametrize("html", [{}, {"html": "<html lang=en><title>Order</title><p>Your order has been sent. Grüße</html>"}])
def test_a_good_message_arrives_as_redmail_makes_it(sender, sink, here, html):
    record = here()
    made = sender.send(**letter(**html))
    (got,) = sink.messages
    assert (got.mail_from, got.rcpt_to) == (house.SENDER, (house.RECIPIENT,))
    assert house.recorded(record) == []
    with smtplib.SMTP(sink.host, sink.port) as plain:  # the same message by the standard library's own
        plain.starttls()
        plain.login(sender.username, sender.password)
        plain.send_message(made)
    assert boundaries.without(sink.messages[1].octets) == boundaries.without(got.octets)


def test_a_bad_one_raises_what_smtplib_raises_and_nothing_leaves(sender, sink, here):
    record = here()
    with pytest.raises(smtplib.SMTPException) as refused:
        sender.send(**letter(house.BAD_SUBJECT))
    assert isinstance(refused.value, MessageRefused)
    assert refused.value.smtp_code == 550
    assert house.BAD_RULE in refused.value.rules
    assert sink.messages == []
    assert [one["event"] for one in house.recorded(record)] == ["refused"]


def test_without_dns_it_is_sent_and_recorded(sender, sink, here):
    record = here(dns="dead")
    sender.send(**letter())
    assert len(sink.messages) == 1
    assert [one["event"] for one in house.recorded(record)] == ["bypassed"]


def test_without_dns_it_is_a_temporary_failure_where_that_was_asked_for(sender, sink, here):
    here(dns="dead", on_unknown="raise")
    with pytest.raises(MessageUndetermined) as undetermined:
        sender.send(**letter())
    assert undetermined.value.smtp_code == 451
    assert sink.messages == []


def test_observing_a_bad_one_is_sent_and_recorded(sender, sink, here):
    record = here(mode="observe")
    sender.send(**letter(house.BAD_SUBJECT))
    (got,) = sink.messages
    assert house.BAD_SUBJECT.encode() in got.octets
    (told,) = house.recorded(record)
    assert (told["event"], told["rules"]) == ("bypassed", [house.BAD_RULE])


def test_one_connection_sends_the_good_ones_after_a_refusal(sender, sink, here):
    here()
    with sender:
        sender.send(**letter())
        with pytest.raises(MessageRefused):
            sender.send(**letter(house.BAD_SUBJECT))
        sender.send(**letter())
    assert len(sink.messages) == 2
    assert len(sink.hop.sessions) == 1
