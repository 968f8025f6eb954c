"""Rules that nobody else has: sub-cases too long for a page, floods, and the code that a page gives to its reader."""

import re
import time

import pytest

from delivcheck.facts.calendars import MAX_CALENDARS
from delivcheck.mime.html_source import MAX_NODES
from delivcheck.mime.icalendar import MAX_PROPERTIES
from delivcheck.model import Outcome
from tests.checks.content_world import BOOK, html, judge, mixed, said

TEXT = "Content-Type: text/plain; charset=utf-8\n\n"
HTML = "Content-Type: text/html; charset=utf-8\n\n"
CALENDAR = "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nMETHOD:REQUEST\n{}END:VCALENDAR"
EVENT = "BEGIN:VEVENT\nUID:1\nDTSTAMP:20261123T100000Z\nDTSTART:20261201T140000Z\nORGANIZER:mailto:a@shop.com\nATTENDEE:mailto:b@c.org\nEND:VEVENT\n"
CAL = "Content-Type: text/calendar; method=REQUEST; charset=UTF-8\n\n"


def nobody(body):
    """A message whose sender is not known."""
    return html(body, sender="undisclosed")


# --- calendars ---------------------------------------------------------------------------------------------------


def test_a_method_without_a_calendar_is_another_rules_problem():
    data = mixed(TEXT + "Hello", CAL + "Hello", kind="alternative")
    assert said("mime/calendar-method-mismatch", data) == []
    assert said("mime/calendar-incomplete", data) == ["no calendar begins with BEGIN:VCALENDAR"]


@pytest.mark.parametrize(
    "inside",
    [
        "BEGIN:VTIMEZONE\nTZID:x\nEND:VTIMEZONE\n" + EVENT,
        EVENT.replace("VEVENT", "VTODO"),
        EVENT + EVENT.replace("UID:1", "UID:2"),
    ],
)
def test_other_components_are_asked_less(inside):
    assert said("mime/calendar-incomplete", mixed(CAL + CALENDAR.format(inside), kind="alternative")) == []


def test_a_calendar_too_large_to_be_read_is_not_called_whole():
    calendar = CALENDAR.format(EVENT.replace("UID:1\n", "UID:1\n" + "X-A:1\n" * MAX_PROPERTIES))
    assert (
        judge("mime/calendar-incomplete", mixed(CAL + calendar, kind="alternative")).outcome is Outcome.FAIL
    )  # what it has not
    calendar = CALENDAR.format(EVENT) + "\n" + "X-A:1\n" * MAX_PROPERTIES
    assert judge("mime/calendar-incomplete", mixed(CAL + calendar, kind="alternative")).outcome is Outcome.UNKNOWN


def test_a_calendar_below_an_alternative_is_one():
    inner = "Content-Type: multipart/mixed; boundary=b2\n\n--b2\n" + CAL + CALENDAR.format(EVENT) + "\n--b2--"
    assert judge("mime/calendar-not-alternative", mixed(TEXT + "Hello", inner, kind="alternative")).outcome is Outcome.PASS


def test_a_file_called_ics_counts_if_it_is_one():
    named = "Content-Type: application/octet-stream\nContent-Disposition: attachment; filename=a.ics\n\n"
    rule = "mime/calendar-not-alternative"
    assert judge(rule, mixed(TEXT + "Hello", named + "x")).outcome is Outcome.NOT_APPLICABLE
    assert said(rule, mixed(TEXT + "Hello", named + CALENDAR.format(EVENT))) != []


def test_so_many_calendars_are_read_and_no_more():
    data = mixed(*[CAL + CALENDAR.format("")] * (MAX_CALENDARS + 5), kind="mixed")
    assert judge("mime/calendar-method-mismatch", data).outcome is Outcome.PASS


# --- AMP, structured data ----------------------------------------------------------------------------------------


def test_an_amp_part_that_cannot_be_parsed_is_undecided():
    data = mixed("Content-Type: text/x-amp-html\n\n" + "<b></b>" * (MAX_NODES + 1), kind="alternative")
    assert judge("mime/amp-invalid", data, max_octets=10_000_000).outcome is Outcome.UNKNOWN


def test_html_that_cannot_be_parsed_is_undecided():
    body = "<b></b>" * (MAX_NODES + 1)
    assert judge("html/bad-structured-data", html(body)).outcome is Outcome.UNKNOWN


# --- the two versions of a text ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "second",
    ["Content-Type: text/plain; name=a.txt\n\nYour code is 482913", TEXT + "Your code is 482913"],
    ids=["a file", "a piece"],
)
def test_of_several_texts_none_is_the_version(second):
    first = TEXT + "Your code is 771204"
    related = f"Content-Type: multipart/mixed; boundary=b2\n\n--b2\n{first}\n--b2\n{second}\n--b2--"
    assert said("mime/parts-disagree", mixed(related, HTML + "<p>Your code is <b>771204</b></p>", kind="alternative")) == []


def test_a_page_that_two_sites_have_by_chance_is_no_disagreement():
    data = mixed(
        TEXT + "https://facebook.com/example-shop https://a.example/o/20318",
        HTML + '<a href="https://instagram.com/example-shop">x</a><a href="https://a.example/o/20318">y</a>',
        kind="alternative",
    )
    assert said("mime/parts-disagree", data) == []


def test_each_of_two_html_parts_is_held_against_the_text():
    shown = HTML + "<p>Your code is <b>{}</b> <a href='https://a.example/x'>x</a></p>"
    data = mixed(
        TEXT + "Your code is 482913 https://a.example/x", shown.format(771204), shown.format(771205), kind="alternative"
    )
    assert len(said("mime/parts-disagree", data)) == 2


def test_a_code_as_the_text_of_an_image_is_there():
    data = mixed(TEXT + "Your code is 482913", HTML + '<p>Your code is <img src="x" alt="4 8 2 9 1 3"></p>', kind="alternative")
    assert said("mime/parts-disagree", data) == []


@pytest.mark.parametrize("rule", ["mime/parts-disagree", "mime/text-has-markup"])
def test_thousands_of_alternatives_take_linear_time(rule):
    texts = [TEXT + f"Your code is 48{number:04}, €{number} https://a.example/orders/{number}" for number in range(1000)]
    if rule == "mime/parts-disagree":
        texts = texts[:1]
    shown = [
        HTML + f"<p>Your code is 77{number:04}, €1{number} <a href='https://b.a.example/orders/{number}'>x</a>"
        for number in range(1000)
    ]
    started = time.process_time()
    judge(rule, mixed(*texts, *shown, kind="alternative"))
    assert time.process_time() - started < 50


def test_thousands_of_amp_parts_take_linear_time():
    started = time.process_time()
    judge("mime/amp-without-fallback", mixed(*["Content-Type: text/x-amp-html\n\nx"] * 9000, kind="alternative"))
    assert time.process_time() - started < 20


# --- links -------------------------------------------------------------------------------------------------------


def test_without_a_known_sender_no_link_is_the_senders_own():
    assert said("links/lookalike-host", nobody('<a href="https://paypa1.com/">x</a>')) != []
    assert judge("links/nested-url", nobody('<a href="https://a.com/?url=https://b.com/">x</a>')).outcome is Outcome.FAIL
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIyMDMxOCJ9.dGhpcy1pcy1hLXNpZ25hdHVyZQ"
    assert said("links/secret-in-url", nobody(f'<a href="https://shop.com/{token}">x</a>')) != []


def test_what_is_secret_does_not_get_into_the_report():
    (what,) = said("links/secret-in-url", html('<a href="https://a.com/x;jsessionid=4F2C9A7E?q=1&password=hunter22">x</a>'))[:1]
    assert "hunter22" not in what
    assert "4F2C9A7E" not in what


# --- the wrong recipient -----------------------------------------------------------------------------------------


def test_an_address_that_is_none_is_still_not_the_recipients():
    data = "From: a@shop.com\nTo: ann@example.net\nContent-Type: text/plain; charset=utf-8\n\nThis email was sent to bob@xn--ä.com\n"
    (what,) = said("template/another-recipient", data.encode())
    assert "bob@xn--ä.com" in what


# --- the code on the pages ---------------------------------------------------------------------------------------


def test_the_cure_for_pythons_encoded_words_cures():
    """`unsubscribe/encoded-word` gives its reader lines of Python: they run, and what they make is right."""
    from email.message import EmailMessage

    code = re.search(r"```\n(.*?)```", BOOK.rules["unsubscribe/encoded-word"].fix, re.DOTALL)[1]
    names = {"EmailMessage": EmailMessage}
    exec(code, names)  # the page's own
    uri = "<https://example.com/unsubscribe/" + "a1b2c3d4e5" * 8 + ">, <mailto:leave@example.com>"
    for message, encoded in ((EmailMessage(), True), (names["message"], False)):
        message["From"] = "a@example.com"
        message["List-Unsubscribe"] = uri
        message.set_content("Hello")
        assert (b"=?utf-8?" in message.as_bytes()) is encoded
    assert f"List-Unsubscribe: {uri}\r\n".encode() in names["message"].as_bytes()
