"""The accessibility tree: what a screen reader comes to, what it is called, and what is said around it."""

import pytest

from delivcheck.facts.accessibility import MAX_NAME, AccessibilityTree
from delivcheck.facts.message import HtmlPart
from delivcheck.mime.html import parse_html
from delivcheck.mime.message import parse
from tests.calls import Calls


def tree(source):
    part = parse(b"Content-Type: text/html; charset=utf-8\r\n\r\n" + source.encode()).html_parts[0]
    return AccessibilityTree(HtmlPart(part, parse_html(source)), parse_html(source))


def names(source):
    return [link.name for link in tree(source).links]


@pytest.mark.parametrize(
    ("link", "name"),
    [
        ("<a href=x>Garden <b>chairs</b></a>", "Garden chairs"),
        ("<a href=x><b>Garden</b> <i>chairs</i></a>", "Garden chairs"),
        ("<a href=x aria-label=' Garden  chairs '>More</a>", "Garden chairs"),
        ("<a href=x title=Chairs>More</a>", "More"),
        ("<a href=x title=Chairs></a>", "Chairs"),
        ("<a href=x><img src=a alt=Garden><img src=b alt=''><img src=c aria-label=chairs></a>", "Garden chairs"),
        ("<a href=x><img src=a alt=Picture>Words</a>", "Words"),
        ("<a href=x><img src=a alt='' title=Chairs></a>", "Chairs"),
        ("<a href=x><span style=display:none>Hidden</span></a>", ""),
        ("<a href=x><span style=visibility:hidden>Hidden</span></a>", ""),
        ("<a href=x><span aria-hidden=true>&gt;</span></a>", ""),
        ("<a href=x><span aria-hidden=false>Shown</span></a>", "Shown"),
        ("<a href=x><span style='font-size:0'>For those who hear it</span></a>", "For those who hear it"),
        ("<a href=x>&nbsp;</a>", ""),
        ("<a href=x>Garden<br>chairs<div>and</div> t<b>ables</b></a>", "Garden chairs and tables"),
        (f"<a href=x>{'<b>word</b> ' * 1000}</a>", " ".join(["word"] * (MAX_NAME // 5))),
    ],
)
def test_a_link_is_called_what_is_read_out_for_it(link, name):
    assert names(link) == [name]


def test_what_is_hidden_from_everybody_is_not_come_to():
    hidden = "<a href=x>a</a><img src=b alt=c><h1>d</h1><table><tr><td>e</table>"
    for around in ("style='display:none'", "hidden", "aria-hidden=true", "style='visibility:hidden'"):
        found = tree(f"<div {around}>{hidden}</div>")
        assert [found.links, found.images, found.headings, found.tables, found.texts] == [[]] * 5, around


def test_what_another_screen_shows_is_come_to():
    found = tree("<style>@media (max-width:600px) { .m { display:block } }</style><div class=m style='display:none'>Menu</div>")
    assert [text.data for text in found.texts] == ["Menu"]


def test_an_anchor_is_no_link_and_a_heading_for_looks_is_none():
    found = tree("<a name=top>x</a><h1 role=Presentation>y</h1><h2>z</h2>")
    assert found.links == []
    assert [(heading.level, heading.name) for heading in found.headings] == [(2, "z")]


def test_a_heading_is_called_by_its_image():
    assert tree("<h1><img src=a alt='Your order'></h1>").headings[0].name == "Your order"


def test_headers_explain_the_table_that_they_are_in_and_no_other():
    source = (
        "<table><tr><td><table><tr><th>Price</th></tr></table></td></tr></table><table><tr><td headers=a>x</table><p scope=x>"
    )
    assert [table.is_explained for table in tree(source).tables] == [False, True, True]
    assert [table.is_explained for table in tree("<table role=none></table><table summary=Prices></table>").tables] == [
        True
    ] * 2
    assert tree("<svg><th>x</th></svg>").tables == []


def test_language_and_direction_are_those_said_last_around():
    found = tree(
        "<div lang=en dir=LTR>a<p lang=' de ' style='direction: rtl'>b<i dir=auto style='direction:rtl'>c</i></p></div>d"
    )
    around = [found.around(text.parent) for text in found.texts]
    assert [one.language for one in around] == ["en", "de", "de", None]
    assert [one.direction for one in around] == ["ltr", "rtl", "auto", None]
    assert [one.language_at.tag for one in around[:3]] == ["div", "p", "p"]


def test_a_flex_direction_is_none():
    found = tree("<p style='flex-direction:rtl'>x</p><p dir=''>y</p><p style='direction:inherit'>z</p>")
    assert [found.around(text.parent).direction for text in found.texts] == [None] * 3


def test_a_missing_thing_is_pointed_at_where_the_document_begins():
    assert tree("<!DOCTYPE html>\n<html><body>x</body></html>").first == 16
    assert tree("<p>x").first == 0


@pytest.mark.parametrize(
    "unit",
    [
        "<div>",
        "<table><tr><td>",
        "<a href=x><table><td>",
        "<a href=x>y</a>",
        "<h1><h3>x",
        "<p lang=en>x",
        "<a href=x><img src=y>",
    ],
)
def test_deep_and_wide_documents_are_walked_through_once(unit):
    counts = []
    for times in (500, 2_000):
        source = unit * times
        document = parse_html(source)
        assert len(document.styles) == len(document.elements)
        part = HtmlPart(None, document)
        with Calls() as calls:
            found = AccessibilityTree(part, document)
            assert all(isinstance(link.name, str) for link in found.links)
        counts.append(calls.count)
    assert counts[1] < 5 * counts[0]
