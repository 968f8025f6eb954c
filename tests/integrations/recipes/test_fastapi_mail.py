"""fastapi-mail: the four outcomes, and what an application does with its FastMail besides."""

import email.charset
import re
import smtplib

import aiosmtplib
import aiosmtplib.email
import pytest

from delivcheck.integrations.aiosmtp import octets_of
from delivcheck.integrations.errors import MessageRefused, MessageUndetermined
from tests.integrations import house
from tests.integrations.recipes import boundaries, page

fastapi_mail = pytest.importorskip("fastapi_mail", reason="fastapi-mail is not installed")

SECTION = "fastapi-mail"
HTML = "<html lang=en><title>Order</title><p>Your order has been sent. Grüße</html>"


@pytest.fixture
def recipe(sink):
    return page.module(SECTION, {"smtp.example.org": sink.host, "587": sink.port})


@pytest.fixture(autouse=True)
def _charset_of_python(monkeypatch):
    """As Python has it: Flask-Mail changes that for the whole process."""
    monkeypatch.setitem(email.charset.CHARSETS, "utf-8", (email.charset.SHORTEST, email.charset.BASE64, "utf-8"))


def message(subject=house.SUBJECT, subtype="plain", body=house.TEXT, **more):
    schema, kinds = fastapi_mail.MessageSchema, fastapi_mail.MessageType
    return schema(subject=subject, recipients=[house.RECIPIENT], body=body, subtype=kinds(subtype), **more)


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"alternative_body": HTML, "multipart_subtype": "alternative"},
        {"bcc": ["kim@example.net"]},
    ],
    ids=["plain", "html", "bcc"],
)
async def test_a_good_message_arrives_as_fastapi_mail_makes_it(recipe, sink, here, more):
    record = here()
    with recipe.mail.record_messages() as sent:
        await recipe.mail.send_message(message(**more))
    (got,) = sink.messages
    assert got.mail_from == house.SENDER
    assert got.rcpt_to == (house.RECIPIENT, *more.get("bcc", ()))
    theirs = octets_of(aiosmtplib.email.flatten_message(sent[0]))
    assert boundaries.without(got.octets) == boundaries.without(theirs)
    assert b"kim@" not in got.octets
    assert house.recorded(record) == []


async def test_a_multipart_does_not_say_that_it_is_encoded_and_nothing_else_changes(recipe, sink):
    asked = message(headers={"X-Order": "4711"})
    theirs, ours = [
        octets_of((await each.get_message(asked)).as_bytes()) for each in (super(type(recipe.mail), recipe.mail), recipe.mail)
    ]
    encoded = b"\r\nContent-Transfer-Encoding: base64\r\n"
    assert theirs.count(encoded) == 2
    assert ours.count(encoded) == 1
    changing = re.compile(rb"(?m)^(Date|Message-ID): .*$|={15}\d+==")
    assert changing.sub(b"", ours) == changing.sub(b"", theirs.replace(encoded, b"\r\n", 1))


async def test_the_order_that_fastapi_mail_gives_html_with_a_text_is_refused_as_the_page_says(recipe, sink, here):
    here()
    with pytest.raises(MessageRefused) as refused:
        await recipe.mail.send_message(
            message(subtype="html", body=HTML, alternative_body="Text", multipart_subtype="alternative")
        )
    assert refused.value.rules == ("mime/alternatives-out-of-order",)
    assert refused.value.rules[0] in page.prose(SECTION)


async def test_a_bad_one_raises_what_aiosmtplib_raises_and_nothing_leaves(recipe, sink, here):
    record = here()
    with recipe.mail.record_messages() as sent, pytest.raises(aiosmtplib.SMTPException) as refused:
        await recipe.mail.send_message(message(house.BAD_SUBJECT))
    assert isinstance(refused.value, MessageRefused)
    assert isinstance(refused.value, smtplib.SMTPDataError)
    assert (refused.value.smtp_code, refused.value.code) == (550, 550)
    assert house.BAD_RULE in refused.value.rules
    assert str(type(refused.value)(*refused.value.args)) == str(refused.value)  # as a queue rebuilds it that keeps no more
    assert sink.messages == []
    assert sent == []
    assert [one["event"] for one in house.recorded(record)] == ["refused"]


async def test_without_dns_it_is_sent_and_recorded(recipe, sink, here):
    record = here(dns="dead")
    await recipe.mail.send_message(message())
    assert len(sink.messages) == 1
    assert [one["event"] for one in house.recorded(record)] == ["bypassed"]


async def test_without_dns_it_is_a_temporary_failure_where_that_was_asked_for(recipe, sink, here):
    here(dns="dead", on_unknown="raise")
    with pytest.raises(MessageUndetermined) as undetermined:
        await recipe.mail.send_message(message())
    assert undetermined.value.smtp_code == 451
    assert sink.messages == []


async def test_observing_a_bad_one_is_sent_and_recorded(recipe, sink, here):
    record = here(mode="observe")
    await recipe.mail.send_message(message(house.BAD_SUBJECT))
    (got,) = sink.messages
    assert house.BAD_SUBJECT.encode() in got.octets
    (told,) = house.recorded(record)
    assert (told["event"], told["rules"]) == ("bypassed", [house.BAD_RULE])


async def test_several_go_over_one_connection_until_one_is_refused(recipe, sink, here):
    here()
    with pytest.raises(MessageRefused):
        await recipe.mail.send_message([message(), message(house.BAD_SUBJECT), message()])
    assert len(sink.messages) == 1
    assert len(sink.hop.sessions) == 1


async def test_a_suppressed_mail_is_neither_judged_nor_sent_but_recorded_for_its_tests(recipe, sink, here):
    record = here()
    recipe.config.SUPPRESS_SEND = 1
    with recipe.mail.record_messages() as sent:
        await recipe.mail.send_message(message(house.BAD_SUBJECT))
    assert [one["Subject"] for one in sent] == [house.BAD_SUBJECT]
    assert sink.hop.sessions == []
    assert house.recorded(record) == []


async def test_a_guard_of_ones_own_judges(recipe, sink):
    guard = house.guard()
    try:
        with pytest.raises(MessageRefused):
            await type(recipe.mail)(recipe.config, guard).send_message(message(house.BAD_SUBJECT))
        assert guard.counts["refused"] == 1
    finally:
        guard.close()


async def test_a_server_that_is_not_there_is_fastapi_mails_own_error(recipe, sink):
    recipe.config.MAIL_PORT = 1
    with pytest.raises(fastapi_mail.errors.ConnectionErrors):
        await recipe.mail.send_message(message())


def test_no_setting_of_fastapi_mail_is_forgotten():
    ours = {
        *("MAIL_USERNAME", "MAIL_PASSWORD", "MAIL_PORT", "MAIL_SERVER", "MAIL_STARTTLS", "MAIL_SSL_TLS", "SUPPRESS_SEND"),
        *("USE_CREDENTIALS", "VALIDATE_CERTS", "TIMEOUT", "LOCAL_HOSTNAME", "CERT_BUNDLE"),
    }
    of_the_message = {"MAIL_FROM", "MAIL_FROM_NAME", "TEMPLATE_FOLDER"}
    unused = {"MAIL_DEBUG"}  # by fastapi-mail, too
    assert set(fastapi_mail.ConnectionConfig.model_fields) == ours | of_the_message | unused
