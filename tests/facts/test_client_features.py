"""What is found in the HTML that clients do not all support, and what is let pass."""

import time

import pytest

from delivcheck.facts.client_features import ClientFeatures, Seen
from delivcheck.facts.client_features import client_features as provider
from delivcheck.facts.message import html_parts
from delivcheck.mime.message import parse
from delivcheck.mime.storage import with_crlf
from delivcheck.records.clients import clients, features, usual_mix
from delivcheck.rulefiles import data
from tests.checks.content_world import html


def look(body) -> ClientFeatures:
    """The fact of a message of this HTML."""
    return provider.function(html_parts.function(parse(with_crlf(html(body))[0])))


def used(body):
    """How often each feature is used."""
    return {use.feature.name: len(use.places) for use in look(body).each}


# --- tags --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<video src=a.mp4></video>", {"html-video": 1}),
        ("<video src=a.mp4>Watch it on our site</video>", {}),
        ("<video src=a.mp4><img src=a.jpg></video>", {}),
        ("<VIDEO><source src=a.mp4></VIDEO><audio></audio>", {"html-video": 1, "html-audio": 1}),
        ("<svg><path/></svg>", {"html-svg": 1}),
        ("<picture><source srcset=a.webp></picture>", {"html-picture": 1}),
        ("<picture><source srcset=a.webp><img src=a.jpg></picture>", {}),
        ("<progress value=3></progress><meter>3 of 5</meter>", {"html-progress": 1}),
        ("<img src='https://a.com/a.SVG?x=1'><img src=a.webp#b><img src=a.png>", {"image-svg": 1, "image-webp": 1}),
        ("<img alt=a.svg><a href=a.svg>x</a>", {}),
        ("<p hidden>x</p><p hidden style='display:none'>y</p>", {"html-hidden": 1}),
        ("<td background=a.jpg><table background=a.jpg bgcolor=#fff><tr><td>x", {"html-background": 1}),
        ("<body background=a.jpg>x", {}),
        ("<img usemap=#m><p usemap=#m>", {"html-image-maps": 1}),
    ],
)
def test_tags_and_attributes(body, found):
    if body.startswith("<td"):
        body = f"<table><tr>{body}</table></td></tr></table>"
        found = {"html-background": 1}
    assert used(body) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<a href=#there>x</a><p id=there>", {"html-anchor-links": 1}),
        ("<a href=#there>x</a><a name=there></a>", {"html-anchor-links": 1}),
        ("<a href=#there>x</a><a href=#>y</a>", {}),  # there is no such place
        ("<a href=#jan30 id=jan30>Jan 30</a>", {}),  # keeps phones from making a link of a date
    ],
)
def test_links_within_the_mail(body, found):
    assert used(body) == found


# --- style attributes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "found"),
    [
        ("display:flex", {"css-display-flex"}),
        ("DISPLAY: Inline-Flex !important", {"css-display-flex"}),
        ("display:block;display:flex", set()),  # a fallback before it
        ("display:flex;display:block", set()),  # nobody sees it
        ("display:-webkit-flex;display:flex", {"css-display-flex"}),  # a vendor's word is none
        ("display:grid", set()),  # without columns it looks like blocks
        ("display:grid;grid-template-columns:1fr 1fr", {"css-grid-template"}),
        ("position:absolute;top:0", {"css-position"}),
        ("position:absolute;opacity:0", set()),
        ("position:relative", set()),
        ("visibility:hidden", {"css-visibility"}),
        ("visibility:hidden;max-height:0;mso-hide:all", set()),
        ("transform:none", set()),
        ("transform:rotate(3deg)", {"css-transform"}),
        ("color:var(--a)", {"css-variables"}),
        ("color:#000;color:var(--a)", set()),
        ("box-shadow:0 0 calc(1px) rgba(0,0,0,.5)", set()),  # nobody misses a shadow
        ("color:rgba(0,0,0,.5)", {"css-rgba"}),
        ("color:rgb(0 0 0)", {"css-rgb"}),
        ("color:rgb(0, 0, 0)", set()),
        ("width:calc(100% - 2vw)", {"css-unit-calc", "css-unit-vw"}),
        ("width:100%;width:calc(100% - 2px)", set()),
        ("font-size:1.5rem", {"css-unit-rem"}),
        ("font-size:1.5em;width:10px;background:url(1rem.png) #fff", set()),
        ("margin:0 -2px", {"css-margin"}),
        ("margin-top:-.5em", {"css-margin"}),
        ("margin:-0;margin-left:0 auto;margin-right:calc(1px - 0px)", {"css-unit-calc"}),
        ("background:linear-gradient(#000,#fff)", {"css-linear-gradient"}),
        ("background:#000 linear-gradient(red,#fff)", set()),
        ("background:red;background-image:linear-gradient(red,#fff)", set()),
        ("background-color:rgb(1,2,3);background-image:url(a.jpg)", set()),
        ("background:url(a.jpg)", {"css-background-image"}),
        ("background:url(a.jpg) navy", set()),
        ("background:url(red.jpg) no-repeat)", {"css-background-image"}),
        ("float:left", {"css-float"}),
        ("float:none", set()),
        ("border-radius:3px;transition:all 1s;text-shadow:0 0 1px #000;color:red", set()),
        ("/* display:flex */color:red", set()),
        ("", set()),
    ],
)
def test_declarations(style, found):
    assert used(f'<div style="{style}">x</div>').keys() == found


def test_what_an_attribute_does_as_well_is_no_loss():
    assert used('<img align=left style="float:left">') == {}
    assert used('<td bgcolor=#fff style="background:url(a.jpg)">') == {}
    assert used('<p hidden style="visibility:hidden">x') == {"html-hidden": 1, "css-visibility": 1}


# --- style elements ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sheet", "found"),
    [
        (".a{display:flex}", {"css-display-flex"}),
        (".b{display:flex}", set()),  # fits nothing
        (".b, p.a{display:flex}", {"css-display-flex"}),
        ("*[class='a']{display:flex} [class=b]{color:var(--x)}", {"css-display-flex"}),
        ("#i > p{display:flex} #j{color:var(--x)}", {"css-display-flex"}),
        ("P{display:flex}", {"css-display-flex"}),
        (".a:hover{display:flex}", set()),
        (".a:first-child{display:flex}", {"css-display-flex"}),
        ("@media (max-width:600px){.a{display:flex}}", set()),
        ("@supports (display:grid){.a{display:flex}}", set()),
        ("@media screen{.a{display:flex}}", {"css-display-flex"}),
        (".a::before{content:'New: ';position:absolute}", {"css-pseudo-element-before"}),
        (".a:after{content:attr(title)}", {"css-pseudo-element-after"}),
        (".a:after{content:'';position:absolute} .a::before{content:'→'}", set()),
        (".a{color:red; &.c{color:blue}}", {"css-nesting"}),
        (".a{color:red; &.c{color:blue} display:flex}", {"css-nesting", "css-display-flex"}),
        (".a{mso-hide:all}", set()),
        (".a{float:left} .w{background:url(a.jpg)}", set()),  # the elements have attributes that do it
        ("", set()),
    ],
)
def test_rules(sheet, found):
    body = (
        "<p class='a c' align=left>x</p><div id=i><p class=a align=left>y</p></div><table><tr><td class=w bgcolor=red>z</table>"
    )
    assert used(f"<html><head><style>{sheet}</style></head><body>{body}</body></html>").keys() == found


def test_a_sheet_for_paper_is_not_looked_at():
    assert used("<style media=print>p{display:flex}</style><p>x</p>") == {}


@pytest.mark.parametrize(
    ("sheet", "found"),
    [("p{color:red}", {"html-style": 1}), ("@media (max-width:600px){p{color:red}}", {}), ("@font-face{font-family:x}", {})],
)
def test_rules_in_the_body_are_lost_unless_they_only_add(sheet, found):
    assert used(f"<html><head></head><body><p>x</p><style>{sheet}</style></body></html>") == found


@pytest.mark.parametrize(
    ("rest", "found"),
    [
        ("<p style=\"font-family:'Lato'\">x</p><p style=font-family:lato>", {"css-at-font-face": 2}),
        ('<p style="font-family: &quot;Lato&quot;">x</p>', {"css-at-font-face": 1}),
        ("<style>p{font-family:Lato}</style>", {"css-at-font-face": 1}),
        ("<p style=\"font-family:'Lato', sans-serif\">x</p><p style=font-family:Arial>", {}),
    ],
)
def test_a_loaded_font_wants_another_after_it(rest, found):
    assert used(f"<style>@font-face {{ font-family: 'Lato'; src: url(a.woff) }}</style>{rest}") == found


# --- Outlook -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        ("<p style=display:flex>x</p>", Seen.BY_ALL),
        ("<!--[if !mso]><!--><p style=display:flex>x</p><!--<![endif]-->", Seen.BY_OTHERS),
        ("<!--[if !mso]><!--><style>p{display:flex}</style><!--<![endif]--><p>x</p>", Seen.BY_OTHERS),
        ("<div style=mso-hide:all><p style=display:flex>x</p></div>", Seen.BY_OTHERS),
        ("<!--[if mso]><p style='display:flex'>x</p><![endif]-->", Seen.BY_WORD),
        ('<!--[if mso]><p style="display:flex">x</p><![endif]-->', Seen.BY_WORD),
        ("<!--[if mso]><style>p{display:flex}</style><![endif]-->", Seen.BY_WORD),
    ],
)
def test_conditions_say_who_sees_a_place(body, seen):
    (use,) = look(body).each
    assert (use.feature.name, [place.seen for place in use.places]) == ("css-display-flex", [seen])


@pytest.mark.parametrize(
    "inside",
    ['<v:image style="position:absolute">', "<p style='mso-hide:all'>", "<p align=left>", "<p style='display:flex'"],
)
def test_vml_is_no_html(inside):
    assert used(f"<!--[if mso]>{inside}<![endif]-->").keys() <= {"css-display-flex"}


def test_hiding_from_outlook_ends_with_the_element():
    (use,) = look("<img style=mso-hide:all><p style=display:flex>x</p>").each
    assert use.places[0].seen is Seen.BY_ALL


def test_vml_near_a_background_stands_for_it():
    vml = "<!--[if gte mso 9]><v:rect><v:fill src=a.jpg></v:rect><![endif]-->"
    there = "<div style='background:url(a.jpg)'>"
    assert used(vml + there) == {}
    assert used(there + vml) == {}
    assert used(vml + "x" * 2000 + there) == {"css-background-image": 1}


# --- places ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "line", "mark"),
    [
        ("<p>\n<p style='color:red; display:flex'>", 2, "display:flex"),
        ("<style>\np{}\n a, p { top:0;\ndisplay:flex }</style><p>", 4, "display:flex"),
        ("<p>x</p>\n<p>\n<svg></svg>", 3, "<svg"),
        ("<p>x</p>\n<img alt='' src=a.webp>", 2, "a.webp"),
        ('\n<p style="font-family:&quot;a&quot;;display:flex">', 2, "style="),
        ("\n<!--[if mso]>\n<p style='display:flex'><![endif]-->", 3, "display:flex"),
        ("<html><head></head><body>\n<style>p{}</style>", 2, "<style"),
    ],
)
def test_the_first_place_is_pointed_at(body, line, mark):
    if "<style>p{}" in body:
        body = body.replace("p{}", "p{a:b}")
    source = html(body).decode()
    (use,) = look(body).each
    where = use.where(use.places[0])
    head = source[: source.index("\n\n") + 2].count("\n")
    assert where.line == head + line
    assert source.splitlines()[where.line - 1][where.column - 1 : where.end_column - 1] == mark


# --- floods ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        "<p style='display:flex'>x</p>" * 20_000,
        "<!--[if mso]><p style='display:flex'><![endif]-->" * 10_000,
        "<!--[if mso]>" + "<a style='" * 50_000 + "<![endif]-->",
        "<!--[if mso]>" + "<style>" * 50_000 + "<![endif]-->",
        "<!--[if !mso]><!-->" * 10_000 + "<p style='display:flex'>",
        "<video>" * 5_000,
        "<style>" + ".a{background:url(x)}" * 10_000 + "</style>" + "<p class=a>" * 2_000,
        "<style>" + "a{" * 50_000 + "</style>",
        "<style>" + ",".join([".a .b"] * 20_000) + "{display:flex}</style><p class=a><p class=b>",
        "<style>" + "@font-face{font-family:x}" * 5_000 + "</style>" + "font-family:x;" * 20_000,
        f"<p style='{'margin:-1px;' * 20_000}'>" * 20,
        f"<p class='{' a' * 200_000}'><style>.a{{display:flex}}</style>",
    ],
    ids=range(12),
)
def test_floods_take_linear_time(body):
    started = time.process_time()
    look(body)
    assert time.process_time() - started < 10


# --- the data ----------------------------------------------------------------------------------------------------


def test_every_feature_has_its_facts_and_a_way_to_be_found():
    ways = {"elements", "attributes", "properties", "values", "functions", "units", "images", "special"}
    judged = data("client-features")["feature"]
    assert features().keys() == judged.keys() == data("client-support")["features"].keys()
    for name, one in judged.items():
        assert ways & one.keys(), name
        assert one.keys() <= ways | {"effect", "then", "title", "unless", "notes"}, name
        assert set(one.get("unless", ())) <= {"colour", "vml", "content", "image", "hidden", "align"}, name
        assert not one["then"].endswith("."), name


def test_the_usual_mix_is_of_clients_that_were_tested():
    assert usual_mix().keys() <= clients().keys()
    assert 90 < sum(usual_mix().values()) <= 100
    for feature in features().values():
        for client, letters in feature.support.items():
            assert len(letters) == len(clients()[client].apps)
            assert set(letters) <= set("ynau")


def test_in_part_and_unknown_are_let_pass():
    flex = features()["css-display-flex"]
    assert flex.support["gmail"] == "yaa"
    assert flex.lost_in(clients()["gmail"]) == ()
    assert flex.lost_in(clients()["outlook-word"]) == ("Windows",)
    assert features()["html-anchor-links"].lost_in(clients()["gmail"]) == ("iOS",)
