"""Tracking and one-click unsubscribing on the way through the gate: in which mode, before signing, and never in the way of mail."""

import re
from dataclasses import replace

import pytest

from delivcheck.gate import settings
from delivcheck.gate.model import Credential
from delivcheck.gate.prepare import PreparationError, load
from delivcheck.gate.prepare.oneclick import OneClick
from delivcheck.gate.prepare.track import Tracker
from delivcheck.mime.message import parse
from delivcheck.model import MessageClass
from delivcheck.records.unsubscribe import parse_list_unsubscribe
from delivcheck.trace.model import Tracking
from delivcheck.trace.tokens import FILE, KEY, Tokens
from delivcheck.trace.tracking import marks, rewrite
from delivcheck.trace.tracking.leaving import unsubscribe_from_mail
from delivcheck.trace.tracking.marks import CLICK, OPEN
from tests.facts.dkim_world import verdicts
from tests.gate.prepare.mail import ANYTHING, MESSAGE, NOW, TRACE, incoming, quiet, values
from tests.gate.prepare.test_sign import RSA, ZONE, ring

URL = "https://mail.example.org"
TOKENS = Tokens([b"k" * KEY])
HTML = (
    MESSAGE.replace(b"text/plain", b"text/html").partition(b"\r\n\r\n")[0]
    + b'\r\n\r\n<body><p><a href="https://shop.example/1">one</a></p></body>\r\n'
)
NONE, AGGREGATE, IDENTIFIED = Tracking
SENDER = Credential("app")


def tracker(mode=IDENTIFIED, **more):
    return Tracker(settings.Tracking(mode, **more), URL, TOKENS)


def prepared(octets=HTML, credential=ANYTHING, mode=IDENTIFIED, said=None, *, settings_=None, **more):
    if said is not None:
        octets = (
            b"".join(b"X-Delivcheck-Tracking: %s\r\n" % one.encode() for one in [said] * isinstance(said, str) or said) + octets
        )
    return quiet(tracker=tracker(mode, **(settings_ or {}))).prepare(incoming(octets, credential, **more))


def tokens_of(octets):
    html = parse(octets).html_parts[0].text
    return re.findall(r"https://mail\.example\.org/c/([\w-]+)", html), re.findall(
        r"https://mail\.example\.org/o/([\w-]+)", html
    )


@pytest.mark.parametrize(
    ("mode", "said", "credential", "more", "becomes"),
    [
        (NONE, "consent", ANYTHING, {}, NONE),  # the configuration says how far it goes at most
        (AGGREGATE, None, ANYTHING, {}, AGGREGATE),
        (AGGREGATE, "consent", ANYTHING, {}, AGGREGATE),
        (AGGREGATE, "none", ANYTHING, {}, NONE),
        (AGGREGATE, "none", SENDER, {}, NONE),  # anybody may ask for less
        (IDENTIFIED, None, ANYTHING, {}, AGGREGATE),  # nobody is identified without consent
        (IDENTIFIED, "consent", ANYTHING, {}, IDENTIFIED),
        (IDENTIFIED, "Consent; at=2026-11-01", ANYTHING, {}, IDENTIFIED),
        (IDENTIFIED, "consent", SENDER, {}, AGGREGATE),  # who may not declare cannot declare consent
        (IDENTIFIED, "consent", None, {}, AGGREGATE),
        (IDENTIFIED, ["consent", "none"], ANYTHING, {}, NONE),
        (IDENTIFIED, "full", ANYTHING, {}, NONE),
        (IDENTIFIED, "aggregate", ANYTHING, {}, AGGREGATE),
        (IDENTIFIED, "consent", ANYTHING, {"rcpt_to": ("a@example.net", "b@example.net")}, AGGREGATE),
        (IDENTIFIED, "consent", ANYTHING, {"protocol": "milter"}, NONE),
        (AGGREGATE, None, ANYTHING, {"protocol": "milter"}, NONE),
    ],
)
def test_the_mode_is_the_careful_one(mode, said, credential, more, becomes):
    made = prepared(credential=credential, mode=mode, said=said, **more)
    assert made.tracking is becomes
    assert b"X-Delivcheck" not in made.octets
    links, pixels = tokens_of(made.octets)
    if becomes is NONE:
        assert (links, pixels, made.links) == ([], [], ())
        return
    assert made.links == ("https://shop.example/1",)
    click, opened = marks.opened(TOKENS, CLICK, links[0]), marks.opened(TOKENS, OPEN, pixels[0])
    assert click.url == "https://shop.example/1"
    assert (click.trace, opened.trace) == ((TRACE, TRACE) if becomes is IDENTIFIED else ("", ""))


def test_a_stream_has_a_mode_of_its_own():
    chosen = {"streams": {"receipts": NONE, "news": AGGREGATE}}
    for stream, becomes in (("receipts", NONE), ("news", AGGREGATE), (None, IDENTIFIED)):
        assert prepared(said="consent", stream=stream, settings_=chosen).tracking is becomes


def test_in_aggregate_mode_all_recipients_of_a_day_get_the_same_octets():
    one = prepared(mode=AGGREGATE, rcpt_to=("a@example.net",), stream="news")
    two = quiet(tracker=tracker(AGGREGATE)).prepare(
        replace(incoming(HTML, ANYTHING, rcpt_to=("b@example.net",), stream="news"), trace="01JDA2Q4Y0ZN7T3V5W8X9Y0ABD")
    )
    assert parse(one.octets).html_parts[0].raw == parse(two.octets).html_parts[0].raw
    bucket = marks.opened(TOKENS, CLICK, tokens_of(one.octets)[0][0]).bucket
    assert (bucket.stream, bucket.day) == ("news", marks.day_of(NOW))


def test_what_is_tracked_is_signed_afterwards():
    made = quiet(tracker=tracker(AGGREGATE), keyring=ring(RSA)).prepare(incoming(HTML, ANYTHING))
    assert made.tracking is AGGREGATE
    assert [str(one.result) for one in verdicts(made.octets, ZONE)] == ["pass"]


def test_what_is_signed_already_stays_and_the_note_says_why():
    signed = quiet(keyring=ring(RSA)).prepare(incoming(HTML, ANYTHING)).octets
    made = prepared(signed, mode=AGGREGATE)
    assert made.tracking is NONE
    assert parse(made.octets).html_parts[0].raw == parse(signed).html_parts[0].raw
    assert any("signed already" in note for note in made.notes)


def test_plain_text_is_not_tracked():
    made = prepared(MESSAGE, mode=AGGREGATE)
    assert (made.tracking, made.octets[-60:]) == (NONE, prepared(MESSAGE, mode=NONE).octets[-60:])


def test_a_fault_of_ours_holds_no_mail_up(monkeypatch):
    def fails(*_):
        raise RuntimeError("secret of the message")

    monkeypatch.setattr("delivcheck.gate.prepare.track.rewritten", fails)
    made = prepared(mode=AGGREGATE)
    assert made.tracking is NONE
    assert made.notes == ("not tracked, by a fault of ours: RuntimeError",)
    assert made.octets.endswith(HTML.partition(b"\r\n\r\n")[2])


def test_links_have_room_for_a_header_of_many_tags():
    tags = b"".join(b"X-Delivcheck-Tag: %s\r\n" % (b"%d" % n * 120) for n in range(10))
    links, _ = tokens_of(prepared(tags + HTML, mode=AGGREGATE).octets)
    assert len(links[0]) < rewrite.MAX_REWRITTEN / 2


@pytest.mark.parametrize(
    "url", ["https://mail.example.org/a'b", 'https://mail.example.org/"', "https://mail.example.org/a b", "javascript:alert(1)"]
)
def test_a_base_that_does_not_fit_into_html_is_refused_at_the_start(url):
    with pytest.raises(PreparationError):
        Tracker(settings.Tracking(), url, TOKENS)


# --- one click --------------------------------------------------------------------------------------------------------


def leaving(octets=MESSAGE, message_class=MessageClass.BULK, stream="news", chosen=None, **more):
    made = OneClick(chosen or settings.Unsubscribe("unsubscribe@example.org"), URL, TOKENS)
    preparer = quiet(one_click=made, class_of=lambda _: message_class, keyring=ring(RSA))
    return preparer.prepare(incoming(octets, ANYTHING, stream=stream, **more))


def test_bulk_mail_gets_both_fields_with_a_token_of_its_recipient_and_they_are_signed():
    made = leaving()
    assert values(made.octets, "List-Unsubscribe-Post") == ["List-Unsubscribe=One-Click"]
    web, mail = parse_list_unsubscribe(values(made.octets, "List-Unsubscribe")[0]).uris
    found = marks.leaving(TOKENS, web.text.removeprefix(f"{URL}/u/"))
    assert (found.trace, found.address, found.stream) == (TRACE, "customer@example.net", "news")
    subject = mail.text.partition("subject=")[2].replace("%20", " ")
    left = unsubscribe_from_mail(b"From: x@example.com\r\nSubject: " + subject.encode() + b"\r\n\r\n", TOKENS)
    assert left.recipient == "customer@example.net"
    [signature] = values(made.octets, "DKIM-Signature")
    assert {"list-unsubscribe", "list-unsubscribe-post"} <= set(re.split(r"[\s:;=]+", signature.lower()))
    assert max(map(len, made.octets.split(b"\r\n"))) < 998
    assert [str(one.result) for one in verdicts(made.octets, ZONE)] == ["pass"]


@pytest.mark.parametrize(
    "more",
    [
        {"message_class": MessageClass.TRANSACTIONAL},
        {"message_class": None},
        {"octets": b"List-Unsubscribe: <mailto:x@example.org>\r\n" + MESSAGE},
        {"rcpt_to": ("a@example.net", "b@example.net")},
        {"protocol": "milter"},
        {"stream": None},
        {"stream": "receipts", "chosen": settings.Unsubscribe(None, ("news",))},
    ],
)
def test_other_mail_gets_none(more):
    made = leaving(**more)
    assert values(made.octets, "List-Unsubscribe-Post") == []
    assert len(values(made.octets, "List-Unsubscribe")) == ("octets" in more)


def test_keys_are_made_where_they_are_needed_and_only_there(tmp_path):
    gate = settings.Gate("gate.example.org", (), state=tmp_path, http=settings.Http(URL))
    load(gate)
    assert not (tmp_path / FILE).exists()
    load(replace(gate, unsubscribe=settings.Unsubscribe()))
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(PreparationError):
        load(replace(gate, unsubscribe=settings.Unsubscribe(), state=tmp_path / "nowhere"))
