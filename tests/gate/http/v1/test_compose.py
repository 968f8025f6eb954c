"""A message made of JSON: the same octets each time, right in every field and part, and nothing of it breaks a rule of ours."""

import email
import email.policy
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.gate.http.v1 import fields
from delivcheck.gate.http.v1.compose import Attachment, Content, composed
from delivcheck.mime.addresses import parse_addresses
from delivcheck.mime.headers import display_text
from delivcheck.mime.message import header_of, parse

ANA = ("Ana", "ana@example.org")
LINE = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)
LOCAL = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True)
BOXES = st.lists(st.tuples(LINE.map(str.strip), LOCAL.map(lambda local: f"{local}@example.net")), max_size=5).map(tuple)
FILES = st.lists(
    st.builds(
        Attachment,
        st.binary(max_size=300),
        st.sampled_from(["application/pdf", "image/png", "text/csv"]),
        st.just(()),
        LINE.map(lambda name: name.strip() or "a"),
    ),
    max_size=3,
).map(tuple)


def content(**more):
    return Content(**{"author": ANA, "to": (("", "pat@example.net"),), "subject": "Hello", "text": "Hello.", **more})


def field(octets, name):
    return next(one for one in header_of(octets) if one.lower == name)


def parsed(octets):
    return email.message_from_bytes(octets, policy=email.policy.SMTP)


@given(to=BOXES, cc=BOXES, subject=LINE, text=st.none() | TEXTS, html=st.none() | TEXTS, files=FILES)
def test_whatever_it_says_it_is_a_message_of_short_ascii_lines_and_the_same_each_time(to, cc, subject, text, html, files):
    made = content(to=to, cc=cc, subject=subject.strip(), text=text, html=html, attachments=files)
    octets = composed(made)
    assert octets == composed(made)
    assert octets.isascii()
    assert octets.count(b"\r\n") == octets.count(b"\n") == octets.count(b"\r")
    assert max(map(len, octets.split(b"\r\n"))) <= fields.HARD
    assert b"\0" not in octets
    found = parse(octets)
    assert not found.defects


@given(subject=LINE)
def test_a_subject_is_read_back_as_it_was_said(subject):
    said = subject.strip()
    octets = composed(content(subject=said))
    if said:
        assert display_text(field(octets, "subject")).strip() == said
    assert all(len(line) <= 78 for line in octets.split(b"\r\n\r\n")[0].split(b"\r\n"))


@given(boxes=BOXES)
def test_names_and_addresses_are_read_back_as_they_were_said(boxes):
    octets = composed(content(cc=boxes))
    if boxes:
        found = parse_addresses(field(octets, "cc").text)
        assert [(box.display_name or "", box.address) for box in found.mailboxes] == list(boxes)
        assert not found.obsolete


@given(text=TEXTS, html=TEXTS)
def test_texts_are_read_back_with_crlf_at_each_line_end(text, html):
    whole = parsed(composed(content(text=text, html=html)))
    plain, rich = whole.iter_parts()
    for part, said in ((plain, text), (rich, html)):
        lines = said.replace("\r\n", "\n").replace("\r", "\n").encode()
        lines = lines if not lines or lines.endswith(b"\n") else lines + b"\n"
        assert part.get_payload(decode=True) == lines.replace(b"\n", b"\r\n")


@given(octets=st.binary(max_size=400), name=LINE.map(lambda name: name.strip() or "a"))
def test_a_file_is_read_back_with_its_name(octets, name):
    whole = parse(composed(content(attachments=(Attachment(octets, "application/pdf", (), name),))))
    part = whole.parts[-1]
    assert part.filename == name
    assert part.decoded == octets


def test_html_with_pictures_and_files_has_the_usual_shape():
    files = (Attachment(b"png", "image/png", (), "logo.png", "logo"), Attachment(b"pdf", "application/pdf", (), "a.pdf"))
    whole = parsed(composed(content(html='<img src="cid:logo">', attachments=files)))
    assert [part.get_content_type() for part in whole.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "multipart/related",
        "text/html",
        "image/png",
        "application/pdf",
    ]


def test_a_part_cannot_end_another():
    text = composed(content(html="<p>x</p>")).decode()
    boundary = text.partition('boundary="')[2].partition('"')[0]
    whole = parsed(composed(content(text=f"--{boundary}--\r\n\r\n--{boundary}", html="<p>x</p>")))
    assert len(list(whole.iter_parts())) == 2


def test_blind_copies_stand_in_no_header():
    octets = composed(content(to=(), cc=()))
    assert b"bcc" not in octets.lower()
    assert field(octets, "to").text == "undisclosed-recipients:;"


def test_only_an_address_that_is_not_ascii_makes_a_header_utf8():
    assert composed(content(to=(("Zoë", "pat@example.net"),), subject="Größe")).isascii()
    octets = composed(content(to=(("Zoë", "zoë@example.net"),)))
    assert "<zoë@example.net>".encode() in octets
    assert b"=?utf-8?" in octets


@pytest.mark.parametrize("text", ["From here on", "a\nFrom b", "trailing \nblank", "tab\t\nend", "x" * 999, "ä" * 5])
def test_what_is_changed_on_the_way_is_encoded(text):
    part = parsed(composed(content(text=text)))
    assert part["Content-Transfer-Encoding"] in {"quoted-printable", "base64"}
    assert not any(line.startswith("From ") or line.endswith((" ", "\t")) for line in part.get_payload().splitlines())


def test_a_machines_field_is_not_encoded_and_not_broken_within_a_url():
    url = "<https://example.org/u/" + "x" * 300 + ">"
    octets = composed(content(headers=(("List-Unsubscribe", f"{url}, <mailto:leave@example.org>"),)))
    assert url.encode() in octets
    with pytest.raises(fields.TooLong):
        composed(content(headers=(("List-Unsubscribe", "x" * 999),)))


NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LONG = "Ваш заказ отправлен и будет доставлен в течение трёх дней, если ничего не случится"
MADE = {
    "plain": {},
    "names": {
        "author": ("Größe & Söhne, Shop", "ana@example.org"),
        "to": (("Пётр Ильич", "p@example.net"), ('A "b" c', "q@example.net")),
    },
    "long": {
        "subject": LONG,
        "text": LONG + ".\n" + "x" * 2_000 + "\n",
        "html": f'<html lang="ru"><title>t</title><p>{LONG}</p></html>',
    },
    "files": {
        "html": '<html lang="en"><title>Hello</title><p>Hello. <img src="cid:logo@example.org" alt="Logo" width="1" height="1"></p></html>',
        "attachments": (
            Attachment(b"\x89PNG\r\n\x1a\n" + bytes(20), "image/png", (), "logo.png", "logo@example.org"),
            Attachment(b"%PDF-1.4\n" + bytes(500), "application/pdf", (), "Rechnung für Größe " + "ü" * 60 + ".pdf"),
            Attachment(b"a;b\n", "text/csv", (("charset", "utf-8"),), "annual report.csv"),
        ),
    },
    "fields": {"headers": (("X-Note", "Grüße"), ("List-Id", "News <news.example.org>"), ("In-Reply-To", "<1@example.org>"))},
}


@pytest.mark.parametrize("made", MADE.values(), ids=list(MADE))
async def test_no_rule_about_form_has_anything_to_say(made):
    from delivcheck.api import check_message_async
    from delivcheck.model import Outcome

    octets = composed(content(**made))
    octets = b"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n" + octets
    report = (await check_message_async(octets, policy="transactional", dns="offline", now=NOW)).targets[0]
    wrong = [
        (one.rule, [problem.message for problem in one.problems])
        for one in report.results
        if one.outcome is Outcome.FAIL
        and one.rule.partition("/")[0] in {"headers", "mime", "size", "html"}
        and one.level in {"error", "warning"}
        and one.rule != "mime/html-only"
    ]
    assert wrong == []
