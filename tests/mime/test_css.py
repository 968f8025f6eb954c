"""The cascade: what hides a text, what does not, and what leaves it undecided."""

import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.mime import cascade
from delivcheck.mime.cascade import Hidden, colour, contrast, length
from delivcheck.mime.css import parse_selectors, parse_sheet, parse_style
from delivcheck.mime.html import Room, parse_html


def hidden(source: str) -> Hidden | None:
    """Why the text "x" is hidden."""
    return next(text.hidden for text in parse_html(source).texts if text.data.strip() == "x")


@pytest.mark.parametrize(
    ("style", "why"),
    [
        ("display:none", Hidden.DISPLAY),
        ("DISPLAY : NONE !important", Hidden.DISPLAY),
        ("display:none;display:block", None),
        ("display:none!important;display:block", Hidden.DISPLAY),
        ("display:none !ie", None),
        ("display:none;display:blocky", Hidden.DISPLAY),
        ("display:none;display:", Hidden.DISPLAY),
        ("display:none;display:var(--a)", None),
        ("display:none;display:-webkit-box", None),
        ("display:none;display:inline flow-root", None),
        ("display:none;display:revert", None),
        ("visibility:hidden;visibility:shown", Hidden.VISIBILITY),
        ("opacity:0;opacity:1px", Hidden.OPACITY),
        ("opacity:0;opacity:full", Hidden.OPACITY),
        ("opacity:0;opacity:-1", Hidden.OPACITY),
        ("opacity:0;opacity:100%", None),
        ("font-size:0;font-size:12pxx", Hidden.FONT_SIZE),
        ("font-size:0;font-size:-12px", Hidden.FONT_SIZE),
        ("font-size:0;font-size:big", Hidden.FONT_SIZE),
        ("font-size:0;font-size:1e1vmin", None),
        ("font-size:0;font-size:12", None),
        ("visibility:hidden", Hidden.VISIBILITY),
        ("visibility:collapse", Hidden.VISIBILITY),
        ("opacity:0", Hidden.OPACITY),
        ("opacity:0.0", Hidden.OPACITY),
        ("opacity:.5", None),
        ("opacity:0%", Hidden.OPACITY),
        ("font-size:0", Hidden.FONT_SIZE),
        ("font-size:1px", Hidden.FONT_SIZE),
        ("font-size:0.05em", Hidden.FONT_SIZE),
        ("font-size:2px", None),
        ("font:0/0 a", Hidden.FONT_SIZE),
        ("font:bold 1px/1 'A B'", Hidden.FONT_SIZE),
        ("font:bold 12px/1 'A B'", None),
        ("max-height:0;overflow:hidden", Hidden.COLLAPSED),
        ("max-height:0px;overflow:hidden;mso-hide:all", Hidden.COLLAPSED),
        ("height:0;overflow-y:hidden", Hidden.COLLAPSED),
        ("width:0;overflow:hidden", Hidden.COLLAPSED),
        ("max-height:0", None),
        ("height:1px;overflow:hidden", None),
        ("color:#fff", Hidden.COLOUR),
        ("color:white;background:#fff", Hidden.COLOUR),
        ("color:rgb(255,255,255)", Hidden.COLOUR),
        ("color:#fff;background:#000", None),
        ("color:#fff;background:url(a.png)", None),
        ("color:#fff;background-image:linear-gradient(red,blue)", None),
        ("color:#fff;background:#fff url('a;b.png') no-repeat", None),
        ("color:transparent", Hidden.COLOUR),
        ("color:rgba(0,0,0,0)", Hidden.COLOUR),
        ("color:#fefefe", Hidden.COLOUR),
        ("color:#777", None),
        ("color:var(--x)", None),
        ("color:inherit", None),
        ("background:rgba(0,0,0,0.999)", Hidden.COLOUR),
        ("background:rgba(0,0,0,0.5)", None),
        ("background-color:inherit;color:#fff", Hidden.COLOUR),
        ("background-color:x;color:#fff", None),
        ("position:absolute;left:-9999px", Hidden.OFF_SCREEN),
        ("position:absolute;left:-20px", None),
        ("left:-9999px", None),
        ("text-indent:-9999px", Hidden.OFF_SCREEN),
        ("margin-left:-9999px", Hidden.OFF_SCREEN),
        ("margin:0 0 0 -9999px", Hidden.OFF_SCREEN),
        ("margin:-9999px", Hidden.OFF_SCREEN),
        ("margin:0 auto", None),
        ("position:absolute;clip:rect(0 0 0 0)", Hidden.CLIPPED),
        ("position:absolute;clip:rect(1px, 1px, 1px, 1px)", Hidden.CLIPPED),
        ("clip-path:inset(50%)", Hidden.CLIPPED),
        ("mso-hide:all", None),
        ("dis/**/play:none", None),
        ("display/**/:none", Hidden.DISPLAY),
        ("disp\\6c ay:none", Hidden.DISPLAY),
        ("content:'}';display:none", Hidden.DISPLAY),
        ("(((display:none", None),
        (":;:;;display", None),
        ("", None),
    ],
)
def test_inline_styles_hide_or_do_not(style: str, why: Hidden | None) -> None:
    assert hidden(f'<p style="{style}">x</p>') == why


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("<p>x", None),
        ("<p hidden>x", Hidden.DISPLAY),
        ("<title>x</title>", Hidden.NOT_RENDERED),
        ("<style>x</style>", Hidden.NOT_RENDERED),
        ("<noscript>x</noscript>", None),
        ("<div style=display:none><p style=display:block>x", Hidden.DISPLAY),
        ("<div style=visibility:hidden><p style=visibility:visible>x", None),
        ("<div style=visibility:hidden><p style=visibility:inherit>x", Hidden.VISIBILITY),
        ("<div style=font-size:0><p>x", Hidden.FONT_SIZE),
        ("<div style=font-size:0><p style=font-size:12px>x", None),
        ("<div style=font-size:0><p style=font-size:2em>x", Hidden.FONT_SIZE),
        ("<div style=opacity:0.05><p style=opacity:0.05>x", Hidden.OPACITY),
        ("<div style=opacity:0.5><p>x", None),
        ("<table bgcolor=#000000><td style=color:#fff>x", None),
        ("<table bgcolor=ffffff><td><font color=FFFFFF>x", Hidden.COLOUR),
        ("<body bgcolor=black text=black>x", Hidden.COLOUR),
        ("<table background=a.png><td style='background:rgba(0,0,0,.5);color:#fff'>x", None),
        ("<style>q{}}p{display:none}</style><p>x", None),
        ("<table background=a.png><td style=color:#fff>x", None),
        ("<font size=1>x", None),
        ("<font size=x color=>x", None),
        ("<style>p{display:none}</style><p>x", Hidden.DISPLAY),
        ("<style>.a{display:none}</style><p class='b a'>x", Hidden.DISPLAY),
        ("<style>.a.b{display:none}</style><p class=a>x", None),
        ("<style>#i{display:none}</style><p id=i>x", Hidden.DISPLAY),
        ("<style>#i#j{display:none}</style><p id=i>x", None),
        ("<style>*{display:none}</style><p>x", Hidden.DISPLAY),
        ("<style>p,.a{display:none}</style><i class=a>x", Hidden.DISPLAY),
        ("<style>div p{display:none}</style><div><b><p>x", Hidden.DISPLAY),
        ("<style>div>p{display:none}</style><div><b><p>x", None),
        ("<style>div > p{display:none}</style><div><p>x", Hidden.DISPLAY),
        ("<style>section div>b p{display:none}</style><section><div><i><div><b><i><p>x", Hidden.DISPLAY),
        ("<style>section>div>b p{display:none}</style><section><div><i><div><b><i><p>x", None),
        ("<style>[class~=a]{display:none}</style><p class='b a'>x", Hidden.DISPLAY),
        ("<style>p[title]{display:none}</style><p title=q>x", Hidden.DISPLAY),
        ("<style>p[title='q']{display:none}</style><p title=r>x", None),
        ("<style>p[title^=q]{display:none}</style><p title=qr>x", Hidden.DISPLAY),
        ("<style>p[title$=r]{display:none}</style><p title=qr>x", Hidden.DISPLAY),
        ("<style>p[title*=r]{display:none}</style><p title=qrs>x", Hidden.DISPLAY),
        ("<style>p[title*='']{display:none}</style><p title=qrs>x", None),
        ("<style>p[lang|=en]{display:none}</style><p lang=en-GB>x", Hidden.DISPLAY),
        ("<style>.a{display:none}</style><p class=a style=display:block>x", None),
        ("<style>.a{display:none!important}</style><p class=a style=display:block>x", Hidden.DISPLAY),
        ("<style>#i{display:block}.a{display:none}</style><p id=i class=a>x", None),
        ("<style>.a{display:none}.a{display:block}</style><p class=a>x", None),
        ("<style>p:hover{display:none}</style><p>x", None),
        ("<style>p::before{display:none}</style><p>x", None),
        ("<style>p{display:none}p:hover{display:block}</style><p>x", Hidden.RESPONSIVE),
        ("<style>h1+p{display:none}</style><h1>a</h1><p>x", None),
        ("<style>a:link{color:#fff}</style><a href=b>x", Hidden.COLOUR),
        ("<style>@media print{p{display:none}}</style><p>x", None),
        ("<style>@media screen{p{display:none}}</style><p>x", Hidden.DISPLAY),
        ("<style>@media (max-width:600px){p{display:none}}</style><p>x", None),
        ("<style>.m{display:none}@media (max-width:600px){.m{display:block!important}}</style><p class=m>x", Hidden.RESPONSIVE),
        (
            "<style>@media (max-width:600px){.m{max-height:none!important}}</style><p class=m style='max-height:0;overflow:hidden'>x",
            Hidden.RESPONSIVE,
        ),
        (
            "<style>@media (max-width:600px){.m{visibility:visible}}</style><p class=m style=visibility:hidden>x",
            Hidden.RESPONSIVE,
        ),
        ("<style>@media (max-width:600px){.m{font-size:14px}}</style><p class=m style=font-size:0>x", Hidden.RESPONSIVE),
        ("<style>@media (max-width:600px){.m{font-size:big}}</style><p class=m style=font-size:0>x", Hidden.FONT_SIZE),
        (
            "<style>@media (prefers-color-scheme:dark){.m{background:#000}}</style><p class=m style=color:#fff>x",
            Hidden.RESPONSIVE,
        ),
        ("<style>@media (max-width:600px){.m{color:red}}</style><p class=m style=display:none>x", Hidden.DISPLAY),
        ("<style media=print>p{display:none}</style><p>x", None),
        ("<style type=text/x>p{display:none}</style><p>x", None),
        ("<style>/* p{display:none} */</style><p>x", None),
        ("<style><!-- p{display:none} --></style><p>x", Hidden.DISPLAY),
        ("<style>@import 'a.css';p{display:none}</style><p>x", Hidden.DISPLAY),
        ("<style>@font-face{src:url(display)}p{display:none}</style><p>x", Hidden.DISPLAY),
        ("<style>@keyframes k{from{opacity:0}}</style><p>x", None),
        ("<style>a{content:'}'}p{display:none}</style><p>x", Hidden.DISPLAY),
        ("<style>p{color:#fff} q{</style><p>x", None),
        ("<style>p{color:#fff} div{p{color:red}}</style><p>x", None),
        ("<style>p{display:none} q{</style><p>x", Hidden.DISPLAY),
        (
            "<style>&{display:none} >p{display:none} p>{display:none} p..a{display:none} p[=]{display:none} p[a=]{display:none} p[1]{display:none} p:{display:none} p::{display:none} ,p.a{}</style><p>x",
            None,
        ),
    ],
)
def test_documents_hide_or_do_not(source: str, why: Hidden | None) -> None:
    assert hidden(source) == why


def test_styles_tell_size_colours_and_contrast() -> None:
    document = parse_html(
        "<body style='font-size:20px'><p style='font-size:150%;color:#777'>a</p><i style='background:url(x)'>b</i>"
    )
    paragraph, italic = (next(document.all(tag)) for tag in ("p", "i"))
    assert paragraph.style.font_size == 30.0
    assert paragraph.style.contrast == pytest.approx(4.48, abs=0.01)
    assert italic.style.background is None
    assert italic.style.contrast is None
    assert italic.hidden is None
    assert document.styles_complete


@pytest.mark.parametrize(
    "value", ["1" * 200_000 + "!", "." + "1" * 200_000 + "!", "1" + " " * 200_000 + "!", "1" * 200_000 + "e"]
)
def test_a_long_number_takes_linear_time(value: str) -> None:
    """16,000 digits took 16 seconds where the pattern could part them in two."""
    begin = time.process_time()
    assert length(value) is None
    assert cascade.is_known("color", value)
    assert not cascade.is_known("font-size", value)
    assert time.process_time() - begin < 5


def test_colours_and_lengths() -> None:
    assert colour("#fff").rgb == (255, 255, 255)
    assert colour("rgba(255,0,0,.5)").alpha == 0.5
    assert colour("inherit") is None
    assert colour("nonsense") is None
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert length("12pt") == 16.0
    assert length("2em", relative_to=10) == 20.0
    assert length("50%", relative_to=10) == 5.0
    assert length("1ex", relative_to=10) == 5.0
    assert length("auto") is None
    assert length("1e300px") == 1e9


def test_keywords_of_font_size_are_read() -> None:
    for value, size in (("xx-small", 9.0), ("smaller", 16 / 1.2), ("larger", 19.2), ("-3px", 16.0), ("calc(1px)", 16.0)):
        assert next(parse_html(f"<p style='font-size:{value}'>x").all("p")).style.font_size == pytest.approx(size)
    assert next(parse_html("<font size=7>x").all("font")).style.font_size == 48.0


def test_over_a_limit_less_is_called_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    white = "<p style=color:#fff>x</p>"
    assert hidden(white) is Hidden.COLOUR
    monkeypatch.setattr(cascade, "MAX_INLINE", 3)
    assert hidden(white) is None
    monkeypatch.undo()
    monkeypatch.setattr(cascade, "MAX_SHEET", 10)
    document = parse_html("<style>.aaaaaaaaaaaa{display:none}</style><p class=aaaaaaaaaaaa>x</p>" + white)
    assert not document.styles_complete
    assert [text.hidden for text in document.texts if text.data == "x"] == [None, None]
    monkeypatch.undo()
    monkeypatch.setattr(cascade, "MAX_WORK", 1)
    document = parse_html("<style>p{display:none}</style><p>x<p>y<p>z")
    assert not document.styles_complete
    assert document.styles_cut


def test_a_sheet_that_is_not_understood_is_not_one_that_was_cut() -> None:
    document = parse_html("<style>p{color:red;b{color:red}}</style><p>x")
    assert (document.styles_complete, document.styles_cut) == (False, False)


# Each of these took seconds: a flood of comparisons, of declarations to order, of classes, of values that reveal.
ROWS = "".join(f"<p style='display:none;width:{number}px'>x" for number in range(2_000))
FLOODS = {
    "rules that fit everything": "<style>" + "*{color:red}" * 8_000 + "</style>" + "<b>x</b>" * 5_000,
    "declarations for every row": "<style>" + "p{color:red}" * 8_000 + "</style>" + ROWS,
    "values of media queries": "<style>@media (x){" + "".join(f"p{{width:{n}px}}" for n in range(8_000)) + "}</style>" + ROWS,
    "classes of one element": "<style>"
    + "".join(f".c{number}{{color:red}}" for number in range(6_000))
    + "</style><p class='"
    + " ".join(f"c{number}" for number in range(6_000))
    + "'>x",
    "classes of many elements": "<style>"
    + ".c1.c2.c3{color:red}" * 5_000
    + "</style>"
    + ("<p class='" + " ".join(f"c{number}" for number in range(1_900)) + "'>x") * 50,
    "attributes of one element": "<style>"
    + "[z]{color:red}" * 9_000
    + "</style>"
    + ("<p " + " ".join(f"a{number}=1" for number in range(450)) + ">x") * 20,
    "classes behind attributes": "<style>"
    + ".a.b .c{color:red}" * 4_000
    + "</style><i class=b><b "
    + " ".join(f"a{number}" for number in range(450))
    + " class=a>"
    + "<p class=c>x" * 4_000,
    "words of long values": "<style>" + "[a~=b]{color:red}" * 9_000 + "</style>" + ("<p a='" + "a " * 50_000 + "'>x") * 20,
    "conditions of one selector": "<style>" + "[a~=b]" * 1_300 + "{color:red}</style><p a='" + "a b " * 250_000 + "'>x",
    "classes of one selector": "<style>"
    + (".a .c{color:red}".replace(".a", "".join(f".{number:c}{number:c}" for number in range(0x4E00, 0x5200))) * 20)
    + "</style><i class='"
    + " ".join(f"{number:c}{number:c}" for number in range(0x4E00, 0x5200))
    + "'>"
    + "<p class=c>x" * 5_000,
    "long values": "<style>" + "[a*=ab]{color:red}" * 9_000 + "</style>" + ("<p a='" + "a" * 100_000 + "'>x") * 20,
    "descendants": "<style>" + "b b b b i{color:red}" * 9_000 + "</style>" + "<b>" * 400 + "<i>x",
    "lists of selectors": "<style>" + (",".join(["a>b"] * 2_000) + "{color:red}") * 30 + "</style><b>x",
    "styles of elements": "".join(f"<p style='width:{number}px;" + "color:rgb(1,2,3);" * 400 + "'>x" for number in range(300)),
    "many style elements": "".join(f"<style>p.c{number}{{color:rgb(1,2,3)}}</style>" for number in range(8_000)) + "<p>x",
}


@pytest.mark.parametrize("name", FLOODS)
def test_styles_take_bounded_time_and_say_when_they_were_cut(name: str) -> None:
    document = parse_html(FLOODS[name])
    begin = time.process_time()
    cut = document.styles_cut
    assert time.process_time() - begin < (5 if sys.gettrace() is None else 40)  # coverage traces every line
    assert cut is (name not in {"descendants", "many style elements"})


def test_what_an_element_is_asked_for_its_name_takes_no_longer_for_its_attributes() -> None:
    def seconds(attributes: int) -> float:
        many = " ".join(f"a{number}" for number in range(attributes))
        inside = f"<i class=b><b {many} id=d class=a>" + "<p class=c>x" * 300
        document = parse_html("<style>" + ".a.b .c,#d.b .c{color:red}" * 50 + "</style>" + inside)
        begin = time.process_time()
        assert document.styles_complete
        return time.process_time() - begin

    few, many = (min(seconds(attributes) for _ in range(3)) for attributes in (5, 450))
    assert many < 3 * few  # 90 times the attributes; it was five times as long


def test_splitting_a_value_into_words_is_charged_as_what_it_takes() -> None:
    def steps(operator: str) -> int:
        room = Room()
        assert parse_html(f"<style>[a{operator}b]{{color:red}}</style><p a='{'a ' * 10_000}'>x", room).styles_complete
        return cascade.MAX_WORK - room.work.left

    assert steps("~=") - steps("*=") == 20_000 // cascade.SPLIT - 20_000 // cascade.COMPARED


def test_documents_share_the_steps_of_their_message() -> None:
    room = Room()
    flood = FLOODS["rules that fit everything"]
    assert parse_html(flood, room).styles_cut
    left = room.work.left
    assert parse_html(flood.replace("red", "blue"), room).styles_cut
    assert left - room.work.left < 100_000  # what it takes to see that nothing is left


def test_a_newsletter_takes_a_tenth_of_the_steps() -> None:
    sheet = "".join(f".c{number} td,a.c{number}:hover{{color:#333;font-size:14px;width:100px}}" for number in range(220))
    row = "<tr><td class='c1 x' style='padding:0;color:#333;font-size:14px;width:100px'><a class=c2>x</a></td></tr>"
    room = Room()
    document = parse_html(f"<style>{sheet}</style><table>{row * 800}</table>", room)
    assert document.styles_complete
    assert cascade.MAX_WORK - room.work.left < cascade.MAX_WORK / 4


def test_more_values_than_are_tried_count_as_revealing() -> None:
    def sheet(count: int) -> str:
        return "<style>@media (x){" + "".join(f"p{{display: none{' ' * n}!important}}" for n in range(count)) + "}</style>"

    assert hidden(sheet(1) + "<p style=display:none>x") is Hidden.DISPLAY
    values = "".join(f"p{{width:{number}px}}" for number in range(cascade.MAX_VARIANTS + 1))
    assert hidden(f"<style>@media (x){{{values}}}</style><p style='width:0;overflow:hidden'>x") is Hidden.RESPONSIVE


def test_a_long_class_attribute_is_cut() -> None:
    long = "a " * cascade.MAX_CLASSES
    document = parse_html(f"<style>.b{{display:none}}</style><p class='{long}b'>x")
    assert document.styles_cut


def test_specificity_counts_ids_then_classes_then_tags() -> None:
    (selector,) = parse_selectors("a#b .c[d]:first-child > e")
    assert selector.specificity == (1, 3, 2)
    assert not selector.certain


PIECES = st.sampled_from(
    [
        "a",
        ".a",
        "#a",
        "{",
        "}",
        ";",
        ":",
        "display:none",
        "color:#fff",
        "@media screen",
        "@media (x)",
        "@import",
        '"',
        "'",
        "\\",
        "/*",
        "*/",
        "(",
        ")",
        "[",
        "]",
        ",",
        ">",
        "+",
        "~",
        "!important",
        " ",
        "\n",
        "é",
        "<!--",
        "-->",
        "url(",
        "*",
        "=",
        "0",
    ]
)


@given(st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_css_never_raises(text: str) -> None:
    parse_style(text)
    parse_sheet(text)
    parse_selectors(text)
    assert len(parse_html(f"<style>{text}</style><p class=a id=a style='{text}'>x").styles) > 0


@given(st.text(st.sampled_from("0123456789.#rgbahsl(),% efpxdemt-+/")))
def test_values_never_raise(value: str) -> None:
    colour(value)
    length(value)
    style = f"font-size:{value};color:{value};background:{value};margin:{value};opacity:{value};clip:{value}"
    assert parse_html(f'<p style="{style}">x').visible_text in {"", "x"}
