"""Parts put together into a message, and the way back from any place of it."""

import re

from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.roots import TemplateRole
from delivcheck.mime.message import parse
from delivcheck.model import Where
from delivcheck.templates.message import BOUNDARY, SUBJECT, build
from delivcheck.templates.model import Piece, Rendered, Source

PIECES = [
    "a",
    "b ",
    "é",
    "€",
    "\U0001f469",
    "\r\n",
    "\n",
    "\r",
    "\n\n",
    "\0",
    "\ud800",
    "--",
    BOUNDARY,
    f"--{BOUNDARY}--\n",
    "\x0b",
    "\u2028",
    "\t",
]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)


def copied(text, name):
    return Rendered(text, (Piece(0, len(text), name, 0, len(text), copied=True),) if text else (), {name: Source(name, text)})


def lines_of(built):
    return built.octets.split(b"\r\n")


def arrived(character):
    """How a character stands in the message."""
    return character.replace("\0", "\ufffd").encode("utf-8", "replace")


def assert_every_character_is_found(built, first, source):
    """From the line of the message on which a part begins, each of its characters leads back to itself."""
    text, line, column = source.text, first, 1
    for at, character in enumerate(text):
        if character == "\n" and text[at - 1 : at] == "\r" and at:
            continue
        if character in "\r\n":
            line, column = line + 1, 1
            continue
        octets = arrived(character)
        assert lines_of(built)[line - 1][column - 1 :].startswith(octets)
        for inside in range(len(octets)):
            assert built.place(Where(line=line, column=column + inside)) == source.where(at)
        assert built.place(Where(line=line, column=column, end_column=column + len(octets))) == source.where(at, at + 1)
        column += len(octets)


@given(TEXTS, TEXTS, TEXTS)
def test_every_octet_of_a_message_leads_to_its_character_in_the_template(subject, plain, html):
    parts = {
        TemplateRole.SUBJECT: copied(subject, "s"),
        TemplateRole.PLAIN: copied(plain, "p"),
        TemplateRole.HTML: copied(html, "h"),
    }
    built = build(parts, "Shop <shop@example.org>")
    whole = lines_of(built)
    blanks = [number for number, line in enumerate(whole, 1) if line == b""]
    boundary = re.search(rb'boundary="([^"]+)"', built.octets)[1]
    marks = [number for number, line in enumerate(whole, 1) if line == b"--" + boundary]
    assert len(marks) == 2
    for mark, source in zip(marks, (Source("p", plain), Source("h", html)), strict=True):
        begin = next(number for number in blanks if number > mark) + 1
        assert_every_character_is_found(built, begin, source)


@given(TEXTS)
def test_every_octet_of_a_subject_of_one_line_leads_to_its_character(subject):
    said = subject.strip()
    built = build({TemplateRole.SUBJECT: copied(subject, "s"), TemplateRole.HTML: copied("x", "h")}, None)
    source = Source("s", subject)
    assert lines_of(built)[0].startswith(SUBJECT.encode().rstrip() if not said else SUBJECT.encode())
    if not said or len(said.splitlines()) > 1:
        return
    column = len(SUBJECT) + 1
    lead = len(subject) - len(subject.lstrip())
    for at, character in enumerate(said, lead):
        assert built.place(Where(line=1, column=column)) == source.where(at)
        column += len(arrived(character))


@given(TEXTS)
def test_a_subject_of_several_lines_is_one_header_line_that_leads_to_its_beginning(subject):
    built = build({TemplateRole.SUBJECT: copied(subject, "s"), TemplateRole.HTML: copied("x", "h")}, None)
    assert lines_of(built)[1] == b"MIME-Version: 1.0"
    if len(subject.strip().splitlines()) > 1:
        lead = len(subject) - len(subject.lstrip())
        assert built.place(Where(line=1, column=len(SUBJECT) + 3)) == Source("s", subject).where(lead)


@given(TEXTS, TEXTS)
def test_a_message_has_its_parts_whatever_is_in_them(plain, html):
    built = build({TemplateRole.HTML: copied(html, "h"), TemplateRole.PLAIN: copied(plain, "p")}, None)
    parts = parse(built.octets).leaves
    assert [part.content_type for part in parts] == ["text/plain", "text/html"]
    for part, text in zip(parts, (plain, html), strict=True):
        expected = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        assert part.text.replace("\r\n", "\n") == expected


def test_a_place_about_a_whole_line_has_no_column():
    built = build({TemplateRole.HTML: copied("<p>\n<b>", "h")}, None)
    line = lines_of(built).index(b"<b>") + 1
    assert built.place(Where(line=line)) == Where(file="h", line=2)


def test_lines_that_no_template_has_lead_nowhere():
    built = build({TemplateRole.HTML: copied("<p>", "h")}, "a@example.org")
    assert built.place(Where(line=1, column=1, header="From")) == Where(header="From")
    assert built.place(Where(line=9_999)) == Where()
    assert built.place(Where()) == Where()
    assert build({}, None).place(Where(line=1)) == Where()


def test_a_part_that_came_from_nowhere_leads_nowhere():
    built = build({TemplateRole.HTML: Rendered("<p>")}, None)
    assert built.place(Where(line=lines_of(built).index(b"<p>") + 1, part="1")) == Where(part="1")


def test_the_authors_line_breaks_do_not_make_fields():
    assert (
        build({}, "a@example.org\r\nBcc: b@example.org").octets.split(b"\r\n")[0] == b"From: a@example.org Bcc: b@example.org"
    )


def test_a_text_full_of_boundaries_is_put_together_at_once():
    hostile = "".join(f"\n--{BOUNDARY}_{number}" for number in range(60_000))
    built = build({TemplateRole.HTML: copied(hostile, "h"), TemplateRole.PLAIN: copied("x", "p")}, None)
    assert len(parse(built.octets).leaves) == 2
