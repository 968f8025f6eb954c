"""HTML rules where a page example would be too long, or shows only a sub-case."""

import pytest

from delivcheck.model import Level, Outcome
from tests.checks.content_world import html, judge, said, text

WORDS = "Garden chairs made of larch, tables for six and for eight, and lamps that need no socket. "


def image(*attributes):
    return f'<img src="https://img.shop.com/a.png" {" ".join(attributes)}>'


# --- markup ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<SCRIPT src=x></SCRIPT>", 1),
        ("<script type=' application/LD+json'>{}</script>", 0),
        ("<body onload=x()>", 1),
        ("<a href=x on=y one=z>", 0),
        ('<a href="vbscript:x">', 1),
        ('<a href=" \x01\tJAVA\nscript :x()">', 1),  # as browsers read it
        ('<a href="view:x">', 0),
        ('<img alt="javascript: a book" src="https://a.org/x.png">', 0),
        ("<meta http-equiv=content-type content=text/html>", 0),
        ("<embed src=x><applet></applet><frame src=y>", 3),
        ("<!-- <script></script> -->", 0),
        ("<style>a{content:'<script>'}</style>", 0),
    ],
)
def test_active_content_is_what_clients_strip(markup, told):
    assert len(said("html/active-content", html(markup))) == told


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<form><input><select></select></form>", 1),
        ("<form></form><input>", 2),
        ("<button type=Submit>x</button>", 1),
        ("<button>x</button><label>y</label>", 0),
    ],
)
def test_the_fields_of_a_form_are_told_with_it(markup, told):
    assert len(said("html/form", html(markup))) == told


@pytest.mark.parametrize(
    ("markup", "level"),
    [
        ('<link rel="stylesheet" href="https://fonts.googleapis.com/css?family=Lato">', Level.NOTE),
        ('<style>@import url("https://fonts.googleapis.com/css?family=Lato");</style>', Level.NOTE),
        ("<style>@IMPORT 'x.css';</style>", None),
        ('<link rel="alternate stylesheet" href="x.css">', None),
    ],
)
def test_a_web_font_that_is_dropped_is_a_note(markup, level):
    assert [one.level for one in judge("html/external-stylesheet", html(markup)).problems] == [level]


def test_other_links_in_the_head_are_no_stylesheets():
    assert not said("html/external-stylesheet", html('<link rel="icon" href="x.png"><link href="y">'))


@pytest.mark.parametrize(
    ("before", "around", "after", "inside"),
    [
        ("<table><tr><td>", "x" * 200, "</td></tr></table>", "inside <td>"),
        ("<p>a</p><br><p>b</p>", "x" * 200, "", ""),
        ("<div><p>a</p><br>", "x" * 200, "</div>", "inside <div>"),
    ],
)
def test_the_element_that_stands_at_the_cut_is_named(before, around, after, inside):
    (message,) = said("html/clipped-by-gmail", html(before + around + after), warn_octets=50, max_octets=100)
    assert message.endswith(f"100 {inside}".rstrip()) or inside in message


def test_the_cut_counts_octets_of_utf_8():
    assert not said("html/clipped-by-gmail", html("x" * 70), warn_octets=80, max_octets=100)
    assert said("html/clipped-by-gmail", html("é" * 70), warn_octets=80, max_octets=100)


def test_a_link_before_the_cut_is_not_lost():
    data = html('<a href="https://shop.com/unsubscribe">Unsubscribe</a>' + "x" * 200)
    (message,) = said("html/clipped-by-gmail", data, warn_octets=80, max_octets=100)
    assert "unsubscribe" not in message
    text_only = said("html/clipped-by-gmail", text("x" * 500), warn_octets=80, max_octets=100)
    assert text_only == []


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<!--[if mso]>a<![endif]-->", 0),
        ("<!--[if !mso]><!-->a<!--<![endif]-->", 0),
        ("<!--[if !mso]><!-- -->a<!-- <![endif]-->", 0),
        ("<![if !mso]>a<![endif]>", 0),
        ("<!--[if mso]>a-->", 1),
        ("<!--[if !mso]><!-->a", 1),
        ("<![if !mso]>a", 1),
        ("<!--<![endif]-->", 0),
        ("<div><p>a", 1),
        ("<body><body>", 1),
        ("a\0b", 1),
        ("<ul><li>a<li>b</ul><p>c<p>d", 0),
        ("<a name=x>", 1),
    ],
)
def test_markup_that_has_no_end(markup, told):
    assert len(said("html/malformed", html(markup))) == told


# --- what is seen ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        (("width=600", "height=900"), 1),
        (("width=120", "height=40"), 0),
        (("width=120",), 0),
        (("height=40",), 0),
        (("width=100%",), 1),
        (('style="width: 100px; height:30px"',), 0),
        (('style="max-width:640px"',), 1),
        (("width=1", "height=1"), 0),
        (('style="display:none"',), 0),
        ((), 1),
    ],
)
def test_an_image_is_content_if_it_is_large_or_of_unknown_size(attributes, told):
    assert len(said("html/image-only", html("<p>Hello</p>" + image(*attributes)))) == told


@pytest.mark.parametrize(
    ("words", "around", "told"),
    [
        (3, "<td></td>" * 2_000, 1),
        (6, "<td></td>" * 4_000, 0),  # four hundred characters say something, whatever stands around them
        (3, "<!--" + "x" * 20_000 + "-->", 0),
        (3, "<style>" + "p{color:red}" * 2_000 + "</style>", 0),
    ],
)
def test_little_text_in_much_markup_is_told_by_its_share(words, around, told):
    messages = said("html/image-only", html(f"<p>{WORDS * words}</p>" + image() * 2 + around))
    assert len(messages) == told
    assert all("with 2 images" in message for message in messages)


@pytest.mark.parametrize(
    ("attributes", "told"),
    [
        ((), 1),
        (("alt",), 0),
        (("alt=''",), 0),
        (("width=1", "height=1"), 0),
        (("role=none",), 0),
        (("aria-hidden=TRUE",), 0),
    ],
)
def test_decoration_needs_no_description(attributes, told):
    assert len(said("html/missing-alt", html(image(*attributes)))) == told
    assert said("html/missing-alt", html("<img>")) == ["the image without a name has no alt attribute"]


def test_each_way_of_hiding_is_told_at_its_longest_text():
    markup = (
        "<p>Buy</p><div style='opacity:0'>" + "a" * 30 + "</div><div style='opacity:0'>  " + "b" * 60 + "</div>"
        "<div style='visibility:hidden'>" + "c" * 30 + "</div>"
    )
    problems = judge("html/hidden-text", html(markup)).problems
    assert [one.message for one in problems] == [
        "90 characters are hidden by opacity, 3 are seen",
        "30 characters are hidden by visibility: hidden, 3 are seen",
    ]
    assert problems[0].where.column == 7 + markup.index("b" * 60) - 6


@pytest.mark.parametrize(
    ("hidden", "seen", "told"),
    [
        ("a" * 39, "x", False),  # a hidden label or two
        ("a" * 41, "x" * 100, True),  # more than 30 %
        ("a" * 41, "x" * 200, False),
        ("a" * 301, "x" * 10_000, True),  # more than 300 in any case
        ("\u200c\xa0" * 500, "x", False),  # padding is no text
    ],
)
def test_hidden_text_is_measured_against_what_is_seen(hidden, seen, told):
    markup = f"<p>{seen}</p><div style='display:none'>{hidden}</div>"
    assert bool(said("html/hidden-text", html(markup))) is told


def test_a_preview_text_over_300_characters_is_hidden_text():
    assert not said("html/hidden-text", html(f"<div style='display:none'>{'a' * 300}</div><p>Hello</p>"))
    assert said("html/hidden-text", html(f"<div style='display:none'>{'a' * 301}</div><p>Hello</p>"))


HYPHENS = "Donau\u00addampf\u00adschiff\u00adfahrts\u00adge\u00adsell\u00adschaft"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("F\u200br\u200be\u200be\u200b c\u200bh\u200bai\u200brs", True),
        ("F\u200br\u200be\u200be\u200b chairs", False),  # three inside a word
        (HYPHENS, False),
        (HYPHENS[:3] + "\u00ad" + HYPHENS[3:4] + "\u00ad" + HYPHENS[4:], True),  # a single letter between two
        ("an\u00adno an\u00adno an\u00adno an\u00adno an\u00adno an\u00adno", True),  # words too short to be broken
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 " * 10, False),
        ("\U0001f468\u200d\U0001f469\u200d\U0001f467 " * 10, False),
        ("word \u200c\xa0\u200c\xa0\u200c\xa0\u200c\xa0\u200c\xa0\u200c\xa0\u200c word", False),
    ],
)
def test_invisible_characters_count_where_they_break_words(words, told):
    assert bool(said("html/invisible-characters", text(words))) is told
    assert bool(said("html/invisible-characters", html(f"<p>{words}</p>"))) is told


def test_the_name_in_from_is_looked_at_too():
    name = "=?utf-8?Q?" + "a=E2=80=8B" * 7 + "a?="
    assert said("html/invisible-characters", text("Hello", sender=f"{name} <news@shop.com>"))
    assert judge("html/invisible-characters", b"To: a@b.com\n\nHello").outcome is Outcome.PASS


# --- resources ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("markup", "told"),
    [
        ("<img src='//img.shop.com/a.png'>", 1),
        ("<img src='file:///C:/a.png'>", 1),
        ("<img src=''>", 0),
        ("<img src='{{ logo }}'>", 0),  # template/unrendered-code's
        ("<img src='a.png'><img src='a.png'>", 1),
        ("<v:fill src='#shape' />", 0),
        ("<a href='page'>x</a>", 0),
        ("<style>td{background:url(data:image/png;base64,AA)}</style>", 1),
    ],
)
def test_resources_need_whole_addresses(markup, told):
    assert len(said("html/relative-or-data-urls", html(markup))) == told


def test_the_encrypted_address_is_offered():
    (problem,) = judge("html/insecure-resource", html("<img src='HTTP://img.shop.com/a.png'>")).problems
    assert problem.fix == "https://img.shop.com/a.png"


# --- what is too much to look at ---------------------------------------------------------------------------------


def test_styles_that_are_too_many_leave_hidden_text_undecided():
    judged = judge("html/hidden-text", html("<style>" + "*{color:red}" * 8000 + "</style>" + "<b>x</b>" * 5000))
    assert judged.outcome is Outcome.UNKNOWN
    assert "too many to be worked out" in judged.reason
    assert judged.where is not None


def test_a_document_that_is_not_looked_through_to_its_end_is_undecided(monkeypatch):
    monkeypatch.setattr("delivcheck.mime.html.MAX_FAULTY", 100)
    judged = judge("html/malformed", html("<p>x</p>" * 100))
    assert (judged.outcome, "parse errors" in judged.reason) == (Outcome.UNKNOWN, True)
    assert judge("html/malformed", html("<a><a>x</a>" + "x" * 100)).outcome is Outcome.FAIL
