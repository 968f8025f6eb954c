"""Flask-Mail: the four outcomes, and what an application does with its Mail besides."""

import smtplib
from email.utils import make_msgid

import pytest

from delivcheck.integrations.case import wire
from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from tests.integrations import house
from tests.integrations.recipes import boundaries, page

flask_mail = pytest.importorskip("flask_mail", reason="Flask-Mail is not installed")

SECTION = "Flask-Mail"


@pytest.fixture
def flask(sink):
    made = page.module(SECTION, {"smtp.example.org": sink.host, "587": sink.port})
    with made.app.app_context():
        yield made


def message(subject=house.SUBJECT, html=None):
    made = flask_mail.Message(subject, recipients=[house.RECIPIENT], body=house.TEXT, html=html)
    made.msgId = make_msgid(domain=house.DOMAIN)
    return made


@pytest.mark.parametrize("html", [None, "<html lang=en><title>Order</title><p>Your order has been sent. Grüße</html>"])
def test_a_good_message_arrives_as_flask_mail_makes_it(flask, sink, here, html):
    record = here()
    sent = message(html=html)
    flask.mail.send(sent)
    (got,) = sink.messages
    assert (got.mail_from, got.rcpt_to) == (house.SENDER, (house.RECIPIENT,))
    assert boundaries.without(got.octets) == boundaries.without(wire(sent.as_bytes()))
    assert house.recorded(record) == []


def test_a_bad_one_raises_what_smtplib_raises_and_nothing_leaves(flask, sink, here):
    record = here()
    with pytest.raises(smtplib.SMTPException) as refused:
        flask.mail.send(message(house.BAD_SUBJECT))
    assert isinstance(refused.value, MessageRefused)
    assert refused.value.smtp_code == 550
    assert house.BAD_RULE in refused.value.rules
    assert sink.messages == []
    (told,) = house.recorded(record)
    assert (told["event"], told["mail_from"], told["rcpt_to"]) == ("refused", house.SENDER, [house.RECIPIENT])


def test_without_dns_it_is_sent_and_recorded(flask, sink, here):
    record = here(dns="dead")
    flask.mail.send(message())
    assert len(sink.messages) == 1
    assert [one["event"] for one in house.recorded(record)] == ["bypassed"]


def test_without_dns_it_is_a_temporary_failure_where_that_was_asked_for(flask, sink, here):
    here(dns="dead", on_unknown="raise")
    with pytest.raises(MessageUndetermined) as undetermined:
        flask.mail.send(message())
    assert undetermined.value.smtp_code == 451
    assert sink.messages == []


def test_observing_a_bad_one_is_sent_and_recorded(flask, sink, here):
    record = here(mode="observe")
    sent = message(house.BAD_SUBJECT)
    flask.mail.send(sent)
    (got,) = sink.messages
    assert got.octets == wire(sent.as_bytes())
    (told,) = house.recorded(record)
    assert (told["event"], told["rules"]) == ("bypassed", [house.BAD_RULE])


def test_one_connection_sends_the_good_ones_after_a_refusal(flask, sink, here):
    here()
    with flask.mail.connect() as connection:
        connection.send(message())
        with pytest.raises(MessageRefused):
            connection.send(message(house.BAD_SUBJECT))
        connection.send(message())
    assert len(sink.messages) == 2
    assert len(sink.hop.sessions) == 1


def test_a_suppressed_mail_is_neither_judged_nor_sent(flask, sink, here):
    record = here()
    flask.app.config["MAIL_SUPPRESS_SEND"] = True
    flask.mail.init_app(flask.app)
    flask.mail.send(message(house.BAD_SUBJECT))
    assert sink.hop.sessions == []
    assert house.recorded(record) == []
