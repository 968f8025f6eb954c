"""Each repair by itself: the edit, and when there is none because it would be a guess."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.model import Problem, Where
from delivcheck.templates.fix.mending import applied
from delivcheck.templates.fix.repairs import AT_THE_PLACE, EVERYWHERE, MAX_TAG, REPAIRS, Allowed, Edit, repair, repairs
from delivcheck.templates.model import Source

ALLOWED = Allowed("de", ("img.example.org", "*.cdn.example.org"))


def mended(rule, text, at, end=None, *, allowed=ALLOWED, approximate=False):
    """The text after the repair of a problem at the first `at` (up to the end of `end`), None where there is none."""
    source = Source("a.html", text)
    start = text.index(at)
    where = source.where(start, None if end is None else text.index(end, start) + len(end), approximate=approximate)
    edit = repair(rule, Problem("x", where), source, allowed)
    return None if edit is None else applied(text, [edit])


def mended_everywhere(rule, text, allowed=ALLOWED):
    """The text after the repairs of a rule in a whole file."""
    return applied(text, repairs(rule, Source("a.html", text), allowed))


def test_a_rule_is_mended_at_its_places_or_in_the_whole_file():
    assert AT_THE_PLACE.keys().isdisjoint(EVERYWHERE)
    assert list(repairs("html/missing-alt", Source("a.html", "<img src=spacer.gif>"), ALLOWED)) == []
    assert mended("a11y/layout-table", "<table><tr><td>x</table>", "<table") is None


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<p><img src="spacer.gif"></p>', '<p><img alt="" src="spacer.gif"></p>'),
        ("<IMG\n  src='a.png' WIDTH='16'\n/>", "<IMG alt=\"\"\n  src='a.png' WIDTH='16'\n/>"),
        ('<img src="{{ url }}" width=32px height=32>', '<img alt="" src="{{ url }}" width=32px height=32>'),
        ('<img src="{{url}}/line.png" class=x>', '<img alt="" src="{{url}}/line.png" class=x>'),
        ('<a href="x">text</a><img src="divider.png">', '<a href="x">text</a><img alt="" src="divider.png">'),
        (
            '<img src="line.png?v=2"{% if x %} width=600{% endif %}>',
            '<img alt="" src="line.png?v=2"{% if x %} width=600{% endif %}>',
        ),
        ('<img width="1" height="1" src="{{ pixel }}">', '<img alt="" width="1" height="1" src="{{ pixel }}">'),
        ('<img src="a.png" width="600" height="2">', '<img alt="" src="a.png" width="600" height="2">'),
        ('<img src="https://x.example/i/Top_Line-grey@2x.PNG">', '<img alt="" src="https://x.example/i/Top_Line-grey@2x.PNG">'),
    ],
)
def test_decoration_gets_an_empty_description(before, after):
    assert mended("html/missing-alt", before, before[before.lower().index("<img") :][:4]) == after


@pytest.mark.parametrize(
    "attributes",
    [
        'src="a.png"',
        'src="product.png" width="33"',
        'src="logo.png" height="20"',
        'src="logo.png" width="120" height="30"',
        'src="hero.png" width="32%"',
        'src="hero.png" width="1em"',
        'src="hero.png" style="max-width:16px; border-radius:4px; line-height:1; border: 0"',
        'src="https://www.online.example/photo.png"',
        'src="https://cdn.line.example/photo.png"',
        'src="/lines-of-code/photo.png"',
        'src="{{ order_line.image }}"',
        'src="{{line.image}}"',
        'src="{{line}}.png"',
        'src="headline.png"',
        'src="line-chart.png"',
        'src="línea-edge.png"',
        'src="x.png?name=line.png"',
        'src="line"',
        'src=""',
        'class="line.png" src="x.png"',
    ],
)
def test_an_image_that_may_show_something_is_left_to_people(attributes):
    assert mended("html/missing-alt", f"<p><img {attributes}></p>", "<img") is None


@pytest.mark.parametrize(
    "text",
    [
        '<a href="x"><img src="spacer.gif"></a>',
        '<a\nhref="x">\n <b>words</b> <img src="spacer.gif"></a>',
        '<img {% if x %}alt="{{ x }}"{% endif %} src="spacer.gif">',
        '<img src="spacer.gif" ALT = "{{ x }}">',
        '<img alt src="spacer.gif">',
        '<img src="{{ a > b }}/line.png" width=1 alt="x">',
        '<img {{ attributes }} src="spacer.gif">',
        '<img {% include "attributes.html" %} src="spacer.gif">',
        "<img <%= attributes %> src='spacer.gif'>",
        "<imgx src='spacer.gif'>",
        "<img src='spacer.gif'",
        f"<img title='{'x' * MAX_TAG}' src='spacer.gif'>",
        "<img",
    ],
)
def test_an_image_that_may_have_one_or_is_all_that_a_link_holds_is_left_to_people(text):
    assert mended("html/missing-alt", text, "<img") is None


@pytest.mark.parametrize(
    ("rule", "before", "after"),
    [
        ("a11y/no-language", "<html xmlns='x'>", "<html lang=\"de\" xmlns='x'>"),
        ("html/no-meta-charset", "<head>\n<title>", '<head><meta charset="utf-8">\n<title>'),
        ("html/no-meta-charset", "<head profile='x'><title>", "<head profile='x'><meta charset=\"utf-8\"><title>"),
    ],
)
def test_what_is_added(rule, before, after):
    assert mended(rule, before, before[:3]) == after


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("a11y/no-language", "<html {% if x %}lang='{{ x }}'{% endif %}>"),
        ("html/no-meta-charset", "<head>{% if x %}<meta charset=utf-8>{% endif %}<title>"),
        ("html/no-meta-charset", "<head>{% if x %}<meta http-equiv=content-type content='text/html; charset=x'>{% endif %}"),
        ("html/no-meta-charset", "<head{% if a > b %} x{% endif %}>"),
        ("html/no-meta-charset", "<header>"),
        ("html/form", "<form>"),
        ("no/rule", "<form>"),
    ],
)
def test_what_may_be_there_already_is_not_added(rule, text):
    assert mended(rule, text, text[:3]) is None


def test_the_language_is_only_written_where_it_was_declared():
    assert mended("a11y/no-language", "<html>", "<html", allowed=Allowed()) is None


# --- tables ------------------------------------------------------------------------------------------------------

ROLE = ' role="presentation"'
ONE = "<table><tr><td>x</td></tr><tr><td>y</td></tr></table>"
DATA = "<table><tr><td>x</td><td>1</td></tr></table>"


def roles(text):
    """Whether each table of a text gets the role, in order."""
    made = mended_everywhere("a11y/layout-table", text)
    assert made.replace(ROLE, "") == text.replace(ROLE, "")
    return [one.startswith(ROLE) for one in made.lower().split("<table")[1:]]


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        (ONE, [True]),
        ("<TABLE width=600>\n<TR><TD>x</TD></TR></TABLE>", [True]),
        (DATA, [False]),
        (f"<table><tr><td>{DATA}</td><td>{ONE}</td></tr></table>", [True, False, True]),
        (f"{ONE}{DATA}{ONE}", [True, False, True]),
        ("<table><tr><th>x</th></tr></table>", [False]),
        (f"<table><tr><th>x</th></tr><tr><td>{ONE}</td></tr></table>", [False, True]),
        (f"<table><caption>x</caption><tr><td>{ONE}</td></tr></table>", [False, True]),
        ("<table><tr><td>{{ x }}</td></tr></table>", [True]),
        ("<table width='{{ width }}'><tr><td>{% include 'x.html' %}</td></tr></table>", [True]),
        ("<table>{% for x in items %}<tr style='{{ x }}'><td>{{ x }}</td></tr>{% endfor %}</table>", [True]),
        ("<table>{{#each items}}<tr><td>{{this}}</td></tr>{{/each}}</table>", [True]),
        ("<table>{{#if a}}<tr><td>1</td></tr>{{else}}<tr><td>2</td></tr>{{/if}}</table>", [True]),
        # What rows will have is not to be seen.
        ("<table></table>", [False]),
        ("<table><tr></tr></table>", [False]),
        ("<table>{% include 'rows.html' %}</table>", [False]),
        ("<table><tr><td>x</td></tr>{% include 'rows.html' %}</table>", [False]),
        ("<table><tr><td>x</td></tr>{{ rows }}</table>", [False]),
        ("<table><tr><td>x</td></tr>{{> rows}}</table>", [False]),
        ("<table><tr>{% for x in row %}<td>{{ x }}</td>{% endfor %}</tr></table>", [False]),
        ("<table><tr>\n{{#each row}}<td>{{this}}</td>{{/each}}</tr></table>", [False]),
        ("<table><tr>{{~#each row}}<td>{{this}}</td>{{/each}}</tr></table>", [False]),
        # What has a role, or may have.
        (f"<table role=none><tr><td>{ONE}</td></tr></table>", [False, True]),
        (f"<table {{% if x %}}role=none{{% endif %}}><tr><td>{ONE}</td></tr></table>", [False, True]),
        (f"<table {{{{ role }}}}><tr><td>{ONE}</td></tr></table>", [False, True]),
        # What is no table, or does not end.
        ("<tablet><tr><td>x</td></tr></tablet>", [False]),
        ("</table></table>" + ONE + "</table>", [True]),
        (f"<table><tr><td>{ONE}", [False, True]),
        ("<table", [False]),
    ],
)
def test_tables_that_can_only_be_layout_get_their_role(text, laid_out):
    assert roles(text) == laid_out


def test_tables_in_each_other_are_mended_all_at_once():
    deep = "<table><tr><td>" * 10_000
    assert all(roles(deep + "x" + "</td></tr></table>" * 10_000))
    assert not any(roles(deep))
    assert not any(roles("<table " * 10_000))
    assert roles(ONE * 10_000) == [True] * 10_000


# --- https -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["html/insecure-resource", "links/plain-http"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('<img src="http://img.example.org/a.png">', '<img src="https://img.example.org/a.png">'),
        ("<img src=HTTP://IMG.example.org/{{ x }}.png>", "<img src=https://IMG.example.org/{{ x }}.png>"),
        ('<img src = "http://x.cdn.example.org">', '<img src = "https://x.cdn.example.org">'),
        ("<img src='http://img.example.org?x={{ y }}'>", "<img src='https://img.example.org?x={{ y }}'>"),
        ("<a\nhref='http://img.example.org#x'>", "<a\nhref='https://img.example.org#x'>"),
        ("<body background=http://img.example.org>", "<body background=https://img.example.org>"),
        ("<form action='http://img.example.org/'>", "<form action='https://img.example.org/'>"),
        ("<mj-section background-url='http://img.example.org/'>", "<mj-section background-url='https://img.example.org/'>"),
        (
            '<td style="color: red; background: url(http://img.example.org/a.png)">',
            '<td style="color: red; background: url(https://img.example.org/a.png)">',
        ),
        ("url('http://img.example.org')", "url('https://img.example.org')"),
        ("url( http://img.example.org)", "url( https://img.example.org)"),
        (
            '<a href="http://img.example.org/x">http://img.example.org/x</a>\n<img src="http://img.example.org/x">',
            '<a href="https://img.example.org/x">http://img.example.org/x</a>\n<img src="https://img.example.org/x">',
        ),
    ],
)
def test_http_becomes_https_in_every_attribute_where_the_host_was_declared(rule, before, after):
    assert mended_everywhere(rule, before) == after
    assert mended_everywhere(rule, before, Allowed()) == before


@pytest.mark.parametrize("rule", ["html/insecure-resource", "links/plain-http"])
@pytest.mark.parametrize(
    "value",
    [
        "http://other.example.org/a.png",
        "http://cdn.example.org/a.png",  # not below itself
        "http://ximg.example.org/a.png",
        "http://img.example.org.evil.example/a.png",
        "http://img.example.org{{ suffix }}/a.png",
        "http://img.example.org{% if x %}.evil{% endif %}/",
        "http://img.example.org:8080/a.png",
        "http://me@img.example.org/",
        "http://{{ host }}/a.png",
        "{{ base }}/a.png",
        "https://img.example.org/a.png",
        "https://x.example/?to=http://img.example.org/a.png",
        "http://[::1]/",
        "http://[/",
        "http:///",
    ],
)
def test_other_hosts_half_of_one_and_what_is_read_are_left_alone(rule, value):
    text = f'<html xmlns="http://img.example.org/"><img src="{value}">\n<p title="http://img.example.org/">http://img.example.org/</p>'
    assert mended_everywhere(rule, text) == text


# --- any text ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where",
    [
        None,
        Where(),
        Where(file="a.html"),
        Where(file="a.html", line=1),
        Where(file="a.html", line=1, column=1, approximate=True),
    ],
)
def test_a_place_that_is_not_sure_is_never_mended(where):
    source = Source("a.html", "<img src=spacer.gif>")
    assert repair("html/missing-alt", Problem("x", Where(file="a.html", line=1, column=1)), source, ALLOWED) is not None
    assert repair("html/missing-alt", Problem("x", where), source, ALLOWED) is None


@given(
    st.sampled_from(sorted(REPAIRS)),
    st.lists(
        st.sampled_from(
            [
                "<img ",
                "<table ",
                "</table>",
                "<tr>",
                "<td>",
                "<th>",
                "<html ",
                "<head",
                "src=",
                "alt",
                "http://img.example.org",
                "line.png",
                "width=1",
                "'",
                '"',
                ">",
                "<",
                "{",
                "}",
                "{%",
                "%}",
                "/",
                "\n",
                " ",
                "é",
            ]
        ),
        max_size=40,
    ).map("".join),
    st.integers(1, 4),
    st.integers(1, 90),
    st.integers(1, 90) | st.none(),
)
def test_any_place_of_any_text_is_an_edit_inside_of_it_or_none(rule, text, line, column, end):
    source = Source("a.html", text)
    made = repair(rule, Problem("x", Where(file="a.html", line=line, column=column, end_column=end)), source, ALLOWED)
    for edit in [*([] if made is None else [made]), *repairs(rule, source, ALLOWED)]:
        assert 0 <= edit.start <= edit.end <= len(text)
        assert edit.text


@pytest.mark.parametrize("rule", sorted(REPAIRS))
@pytest.mark.parametrize("piece", [
    "<img ", "<a ", "http://a.", " src=http://a.", "url(", '"', "'", "<meta ", "=", "alt ", "a" * 50, "<table ", "<table>", "<table></table>",
    "<td", "</td", "<tr ", "<tr>{%", "<table></t", " width=1", " src=a.",
])  # fmt: skip
def test_hostile_tags_take_no_time(rule, piece):
    for head in ("<img ", "<table ", "<html ", "<head ", "src="):
        text = head + piece * (100_000 // len(piece))
        mended(rule, text, head.strip())
        mended_everywhere(rule, text)


@given(
    st.text("ab\n", max_size=20),
    st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["X", "YY"])), max_size=5, unique_by=lambda one: one[0]),
)
def test_edits_are_made_where_they_stand_in_the_text_before(text, wanted):
    edits = [Edit(min(at, len(text)), min(at, len(text)), new, "x") for at, new in wanted]
    made = applied(text, edits)
    assert len(made) == len(text) + sum(len(one.text) for one in edits)
    assert made.replace("X", "").replace("Y", "") == text
