"""The HTML seam: places in the text as given, what is visible, what is wrong; and it survives everything within its limits."""

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime import html_source
from delivcheck.mime.cascade import Hidden
from delivcheck.mime.html import HtmlDocument, HtmlError, Room, parse_html
from tests.mime.corpora import documents, needs_corpora

PAGE = (
    '<!DOCTYPE html>\r\n<html lang=en><head><meta charset="UTF-8"><title> A  title </title>\r\n<base href="https://b.example/">\r\n'
    "<style>.x{color:red}</style></head>\r\n<body>\r\n<p CLASS='a b'\r\n   id=\"p1\" id=p2 hidden2>Tom &amp; Jerry\r\n<b>bold</b> text</p>"
    "<!-- note --><br>\r\n<a href='https://a.example/?x=1&amp;y=2'>click</a></body></html>"
)


def one(document: HtmlDocument, tag: str) -> object:
    (found,) = document.all(tag)
    return found


# --- places ------------------------------------------------------------------------------------------------------


def test_elements_stand_where_they_were_written() -> None:
    document = parse_html(PAGE)
    for element in document.elements:
        assert document.source[element.offset :].lower().startswith(f"<{element.tag}")
    paragraph = one(document, "p")
    assert (paragraph.line, paragraph.column) == (6, 1)
    assert document.source[paragraph.offset : paragraph.end].endswith("hidden2>")
    assert document.source[paragraph.end_tag :].startswith("</p>")
    assert one(document, "br").end_tag is None
    assert [element.tag for element in paragraph.ancestors] == ["body", "html"]
    assert [element.tag for element in paragraph.descendants] == ["b"]
    assert paragraph.text == "Tom & Jerry\nbold text"
    assert paragraph.visible_text == "Tom & Jerry bold text"


def test_attributes_stand_where_they_were_written() -> None:
    document = parse_html(PAGE)
    paragraph, link = one(document, "p"), one(document, "a")
    assert paragraph.attributes == (("class", "a b"), ("id", "p1"), ("hidden2", ""))
    spans = {name: document.source[slice(*paragraph.attribute(name)[2:])] for name in ("class", "id", "hidden2")}
    assert spans == {"class": "CLASS='a b'", "id": 'id="p1"', "hidden2": "hidden2"}
    href = link.attribute("href")
    assert href.value == "https://a.example/?x=1&y=2"
    assert document.source[href.start : href.end] == "href='https://a.example/?x=1&amp;y=2'"
    assert paragraph.get("none") is None
    assert paragraph.attribute("none") is None


def test_texts_and_comments_stand_where_they_were_written() -> None:
    document = parse_html(PAGE)
    text = next(text for text in document.texts if "Tom" in text.data)
    assert document.source[text.offset :].startswith("Tom &amp; Jerry")
    assert document.source[text.offset_of(text.data.index("&")) :].startswith("&amp; Jerry")
    assert document.source[text.offset_of(text.data.index("Jerry")) :].startswith("Jerry")
    (comment,) = document.comments
    assert comment.text == " note "
    assert document.source[comment.offset :].startswith("<!-- note -->")
    assert document.spot(comment.offset)[0] == 8


def test_the_parts_of_a_head_are_told() -> None:
    document = parse_html(PAGE)
    assert document.title == "A title"
    assert document.charset == ("utf-8", document.source.index("<meta"))
    assert document.base.get("href") == "https://b.example/"
    assert parse_html("<meta http-equiv=Content-Type content='text/html; charset=ISO-8859-1'>").charset == ("iso-8859-1", 0)
    bare = parse_html("<meta name=x><base>text")
    assert (bare.title, bare.charset, bare.base) == (None, None, None)


TAGS = st.sampled_from(
    ["<p>", "</p>", "<b class='q\r\nr' id=x>", "</b>", "<table>", "<tr><td>", "</table>", '<a href="a&amp;b">', "</a>", "<i \r\n id='z'\r>", "<br/>",
     "<!-- c\r\n -->", "<!--[if mso]>x<![endif]-->", "<![if !mso]>", "<style>a<b{}</style>", "<title>t&amp;</title>", "<textarea>\r\n", "</textarea>",
     "<script>if(a<b){}</script>", "</foo>", "<select><option>", "<svg><path d=1>", "<pre>\n", "<form>", "<img src=x alt='y\r\nz'>", "<template>"]
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "word",
        " ",
        "\r\n",
        "\n",
        "\r",
        "&amp;",
        "&nbsp;",
        "&notit;",
        "&#65;",
        "&#x1F600;",
        "&bogus;",
        "é",
        "😀",
        "\t",
        "&",
        "\ufeff",
        "\x00",
        "<",
    ]
)
MARKUP = st.lists(st.one_of(TAGS, WORDS), max_size=30).map("".join)


@given(MARKUP)
def test_places_are_right_with_any_line_ends(source: str) -> None:
    document = parse_html(source)
    for element in document.elements:
        if element.offset < 0:
            assert element.attribute("id") is None
            continue
        written = source[element.offset : element.offset + 1 + len(element.tag)].replace("\x00", "\ufffd")
        assert written.lower() == f"<{element.tag}".lower()
        line, column = element.line, element.column
        before = re.split(r"\r\n|\r|\n", source[: element.offset])
        assert (line, column) == (len(before), len(before[-1]) + 1)
        for name, _ in element.attributes:
            found = element.attribute(name)
            assert re.match(rf"{name}\s*(=|[\s/>]|$)", source[found.start :], re.IGNORECASE)
            written = source[found.start : found.end]
            assert found.value == "" or found.value[-1] in written or "&" in written or "\r" in written
    for comment in document.comments:
        assert source[comment.offset : comment.offset + 2] in {"<!", "<?", "</"}


@given(MARKUP)
def test_every_character_of_the_text_leads_back_to_the_source(source: str) -> None:
    document = parse_html(source)
    for text in document.texts:
        aligned = document._alignment[text.index]
        if aligned < 0 or not document.places._stream.startswith(text.data, aligned):
            assert 0 <= text.offset <= len(source)  # moved out of a table: only near
            continue
        for index, character in enumerate(text.data):
            place = text.offset_of(index)
            assert source[place : place + 1] in {character, "&", "\r"} or (source[place], character) == ("\x00", "\ufffd")


@given(st.one_of(st.text(), MARKUP))
def test_it_returns_or_raises_html_error(source: str) -> None:
    try:
        document = parse_html(source)
    except HtmlError:
        return
    assert len(document.styles) == len(document.elements)
    assert all(0 <= fault.offset <= len(source) for fault in document.faults)
    shown = document.visible_text
    assert "  " not in shown.replace("\xa0", "x")
    for position in range(0, len(shown), 7):
        assert 0 <= document.visible_offset(position) <= len(source)


def test_a_reference_that_is_a_prefix_counts_as_it_was_read() -> None:
    (text,) = parse_html("<p>&notit &lt; x").texts
    assert text.data == "¬it < x"
    assert [text.offset_of(text.data.index(character)) for character in "¬it<x"] == [3, 7, 8, 10, 15]


# --- what is visible ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("<p>one</p><p>two</p>", "one\ntwo"),
        ("<p>one <b>two</b>\n three</p>", "one two three"),
        ("a<br>b<div>c</div>d", "a\nb\nc\nd"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\nb"),
        ("<head><title>t</title></head><style>x</style><script>y</script>z", "z"),
        ("a&nbsp;&nbsp;b", "a\xa0\xa0b"),
        ("<p>a</p> <!--[if mso]>Outlook<![endif]--> <!--[if !mso]><!--> b <!--<![endif]-->", "a\nb"),
        ("<p style='display:none'>x</p>y", "y"),
        ("", ""),
        ("   ", ""),
    ],
)
def test_visible_text_is_what_a_reader_sees(source: str, shown: str) -> None:
    assert parse_html(source).visible_text == shown


def test_visible_text_leads_back_to_the_source() -> None:
    document = parse_html("<p>  Hello &amp;\r\n <i hidden>no</i> welcome</p>\r\n<p>{{ name }}</p>")
    for word in ("Hello", "&", "welcome", "{{"):
        place = document.visible_offset(document.visible_text.index(word))
        assert document.source[place:].startswith(word)
    assert parse_html("").visible_offset(3) == 0


def test_preheaders_are_marked_hidden_and_not_dropped() -> None:
    document = parse_html("<body> <div style='display:none'>Preview</div><p>Body</p><p style='opacity:0'>later</p>")
    assert [text.data for text in document.preheader] == ["Preview"]
    assert [text.data for text in document.hidden_texts] == ["Preview", "later"]
    assert [text.hidden for text in document.hidden_texts] == [Hidden.DISPLAY, Hidden.OPACITY]


# --- faults ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("<p>fine<br>", []),
        ("<table><tr><td>x</table>", [("unclosed-element", 7, "tr"), ("unclosed-element", 11, "td")]),
        ("<div>x", [("unclosed-element", 0, "div")]),
        ("<a href=1>x<a href=2>y</a>", [("nested-a", 11, ""), ("unclosed-element", 0, "a")]),
        ("<body>x<body>", [("second-body", 7, "")]),
        ("<p>x<!-- open", [("eof-in-comment", 13, "")]),
        ("a\x00b", [("unexpected-null-character", 1, "")]),
        ("<p id=a id=b>", [("duplicate-attribute", 10, "")]),
        ("<b><p>x</b>y", [("unclosed-element", 0, "b")]),
    ],
)
def test_faults_of_the_markup_are_told_with_their_place(source: str, faults: list[tuple[str, int, str]]) -> None:
    found = [tuple(fault) for fault in parse_html(source).faults]
    assert [(code, detail) for code, _, detail in found] == [(code, detail) for code, _, detail in faults]
    assert all(abs(ours - wanted) <= 1 for (_, ours, _), (_, wanted, _) in zip(found, faults, strict=True))


def test_tags_are_told_as_written() -> None:
    tags = parse_html("<P id=a></p></b>\r\n<br>").tags
    assert [(tag.name, tag.is_end, tag.offset) for tag in tags] == [
        ("p", False, 0),
        ("p", True, 8),
        ("b", True, 12),
        ("br", False, 18),
    ]
    assert tags[0].attributes == (("id", "a"),)


# --- limits ------------------------------------------------------------------------------------------------------


def test_documents_over_a_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from delivcheck.mime import html

    unclosed = "<p>" + "".join(f"<b c={number}>" for number in range(600)) + "</p>" + "<p>x</p>" * 600
    with pytest.raises(HtmlError, match="copies"):
        parse_html(unclosed)
    with pytest.raises(HtmlError, match="tags, texts"):
        parse_html("<p>x" * 60_000)
    monkeypatch.setattr(html, "MAX_HTML", 10)
    with pytest.raises(HtmlError, match="characters") as caught:
        parse_html("x" * 11)
    assert caught.value.position == 10


def test_a_tag_with_more_attributes_than_any_letter_has_is_refused() -> None:
    def tag(attributes: int) -> str:
        return "<p>x</p>\r\n<p " + " ".join(f"a{number}" for number in range(attributes)) + ">"

    assert parse_html(tag(html_source.MAX_ATTRIBUTES)).visible_text == "x"
    with pytest.raises(HtmlError, match="more than 500 attributes") as caught:
        parse_html(tag(html_source.MAX_ATTRIBUTES + 1))
    assert caught.value.position == 10


def test_a_message_has_no_more_than_so_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    from delivcheck.mime import html

    monkeypatch.setattr(html, "MAX_DOCUMENTS", 2)
    room = Room()
    assert [parse_html("<p>x", room).visible_text for _ in range(2)] == ["x", "x"]
    with pytest.raises(HtmlError, match="more than 2 HTML parts"):
        parse_html("<p>x", room)


def test_a_repaired_tree_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from delivcheck.mime import html

    monkeypatch.setattr(html, "MAX_NODES", 20)
    monkeypatch.setattr(html, "MAX_COPIES", 2)
    with pytest.raises(HtmlError, match="nodes"):
        parse_html("<p>x" * 10)


def test_the_documents_of_a_message_share_what_may_be_read() -> None:
    room = Room()
    room.characters, room.nodes = 100, 20
    assert parse_html("<p>x", room).visible_text == "x"
    with pytest.raises(HtmlError, match="all HTML of the message") as caught:
        parse_html("<p>x</p>" * 13, room)
    assert caught.value.position == 96
    with pytest.raises(HtmlError, match="more than 15 tags"):  # html, head, body, p and x are gone from the 20
        parse_html("<p>" * 16, room)


@pytest.mark.parametrize("flood", ["\0", "<>", '<p "" ">', "&a;", "\ufffe"])
def test_a_flood_of_parse_errors_costs_no_more_than_its_beginning(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from delivcheck.mime import html

    monkeypatch.setattr(html, "MAX_FAULTY", 3_000)
    monkeypatch.setattr(html, "MAX_FAULTS", 10)
    document = parse_html("<body>" + flood * 1_500 + "<a><a>" + flood * 1_500)
    codes = Counter(fault.code for fault in document.faults)
    assert document.faults_cut
    assert codes.pop("nested-a") == 1
    assert codes
    assert max(codes.values()) == 10
    assert not any(code.startswith("eof-") for code in codes)


def test_a_short_document_is_looked_through_to_its_end() -> None:
    document = parse_html("x\0<!-- open")
    assert not document.faults_cut
    assert [fault.code for fault in document.faults] == ["unexpected-null-character", "eof-in-comment"]


def test_well_closed_formatting_is_never_taken_for_an_attack() -> None:
    parse_html("".join(f"<p><a href={number}><b style=x>y</b></a></p>" for number in range(5_000)))


def test_text_out_of_order_is_looked_for_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_source, "MAX_SEARCHES", 1)
    document = parse_html("<table><tr><td>a</td></tr>B<tr><td>c</td></tr>D</table>")
    assert {text.data: document.source[text.offset] for text in document.texts} == {"BD": "<", "a": "a", "c": "<"}
    monkeypatch.undo()
    document = parse_html(document.source)
    assert {text.data: document.source[text.offset] for text in document.texts} == {"BD": "<", "a": "a", "c": "c"}


@needs_corpora
def test_every_real_document_is_read(soak: bool) -> None:
    for name, source in documents(soak=soak):
        document = parse_html(source)
        assert len(document.styles) == len(document.elements), name
        assert document.visible_text is not None
        for text in document.texts:
            if text.data.strip() and "{" not in text.data:
                index = len(text.data) - len(text.data.lstrip())
                assert source[text.offset_of(index) :][:1] in {text.data[index], "&"}, (name, text.data[:40])


def test_unclosed_elements_are_told_of_the_names_asked_for():
    document = parse_html("<div><table><tr><td><b>x</table><a href=x>y")

    every = [fault.detail for fault in document.unclosed()]

    assert [fault.detail for fault in document.unclosed({"div", "a"})] == [name for name in every if name in {"div", "a"}]
    assert {"div", "a", "b"} <= set(every)
    assert document.faults == (*document.faults_as_written, *document.unclosed())


def test_elements_of_several_names_come_in_the_order_of_the_document():
    document = parse_html("<p>1<a>2</a><p>3<b>4</b><a>5</a>")

    assert [element.tag for element in document.all("a", "p", "b")] == ["p", "a", "p", "b", "a"]
    assert [element.text for element in document.all("a")] == ["2", "5"]
    assert not list(document.all("form"))


SOUP = ("<a>", "</a>", "<b>", "</b>", "<p>", "</p>", "<div>", "</div>", "<table>", "</table>", "<tr>", "</tr>", "<td>", "</td>")
MORE = ("<h1>", "</h1>", "<img>", "<hr>", "<li>", "</li>", "<nobr>", "</nobr>", "<button>", "</button>", "<br>", "</body>", "x")
CONTAINERS = ("a", "b", "p", "div", "table", "tr", "td", "h1", "ul", "li", "font", "center")
NESTED = st.recursive(
    st.sampled_from(("", "x", "<img>", "<hr>", "<p>")),
    lambda inside: st.tuples(st.sampled_from(CONTAINERS), inside, inside).map(
        lambda each: f"<{each[0]}>{each[1]}</{each[0]}>{each[2]}"
    ),
    max_leaves=12,
)


@given(st.lists(st.sampled_from((*SOUP, *MORE)), max_size=14).map("".join) | NESTED)
def test_an_element_that_is_closed_for_certain_has_its_end_tag(source):
    document = parse_html(source)
    for offset in document._closed:
        assert document.written_at[offset].end_tag is not None


def test_of_a_document_that_is_written_well_all_elements_are_closed_for_certain():
    source = "<html><body><table><tr><td><p><a href=x><b>one</b><img></a></p><hr></td></tr></table><div>two</div></body></html>"
    document = parse_html(source)
    assert {document.written_at[offset].tag for offset in document._closed} == {"a", "b", "table", "tr", "td", "div"}
    assert list(document.unclosed()) == []
