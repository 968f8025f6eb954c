"""Template rules where a page example would be too long, or shows only a sub-case."""

import pytest

from delivcheck.facts.roots import Declared
from delivcheck.model import Outcome
from tests.checks.content_world import html, judge, mixed, said, text

CODE = "template/unrendered-code"


@pytest.mark.parametrize(
    ("markup", "place"),
    [
        ("<p>{{ a }}</p>", "the HTML"),
        ("<title>{{ a }}</title>", "the HTML"),
        ("<div style='display:none'>{{ a }}</div>", "the HTML"),  # a preview text
        ("<img alt='{{ a }}'>", "alt of <img>"),
        ("<a title='{{ a }}'>x</a>", "title of <a>"),
        ("<a href='https://a.com/{{ a }}'>x</a>", "href"),
        ("<img src='{{ a }}'>", "src"),
        ("<td style='background:url({{ a }})'>x</td>", "style"),
        ("<a href='mailto:a@b.com?subject={{ a }}'>x</a>", "href"),
    ],
)
def test_code_is_found_wherever_it_reaches_a_reader(markup, place):
    assert f"{{{{ a }}}} in {place}: code of Jinja, Django, Handlebars or Liquid" in said(CODE, html(markup)) or (
        place == "style" and not said(CODE, html(markup))
    )


@pytest.mark.parametrize(
    "markup",
    [
        "<style>{{ a }}</style>",
        "<script>{{ a }}</script>",
        "<!-- {{ a }} -->",
        "<code>{{ a }}</code>",
        "<pre><b>{{ a }}</b></pre>",
        "<p style='width:{{ a }}'>x</p>",
        "<p data-x='{{ a }}'>x</p>",
    ],
)
def test_code_that_no_reader_sees_or_that_is_shown_as_code_is_passed_over(markup):
    assert not said(CODE, html(markup))


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("Subject: {{ a }}", True),
        ("Reply-To: {{ a }} <a@b.com>", True),
        ("List-Unsubscribe: <https://a.com/%7B%7Btoken%7D%7D>", True),
        ("Message-ID: <{{ id }}@a.com>", True),
        ("Feedback-ID: ${campaign}:a", True),
        ('X-SMTPAPI: {"sub": {"%name%": ["{{ a }}"]}}', False),
    ],
)
def test_only_headers_that_somebody_reads_are_searched(field, told):
    data = f"From: a@b.com\n{field}\n\nHello\n".encode()
    problems = judge(CODE, data).problems
    assert bool(problems) is told
    assert all(one.where.line == 2 for one in problems)


def test_an_encoded_subject_is_read_and_placed_as_a_whole():
    data = b"From: a@b.com\nSubject: =?utf-8?Q?H=C3=A9llo_=7B=7Bname=7D=7D?=\n\nx\n"
    (problem,) = judge(CODE, data).problems
    assert problem.message.startswith("{{name}} in Subject")
    assert problem.where.header == "Subject"


@pytest.mark.parametrize(
    ("name", "told"), [("None", True), ("None None", True), ("undefined", True), ("Ana None", False), ("Ana", False)]
)
def test_a_name_that_is_nothing_but_a_missing_value(name, told):
    data = f"From: a@b.com\nTo: {name} <c@d.com>\n\nx\n".encode()
    assert bool(said(CODE, data)) is told
    assert not said(CODE, data, allow=[name])


def test_a_url_in_plain_text_is_told_once():
    assert said(CODE, text("https://a.com/{{ id }}/x")) == ["{{ id }} in the text: code of Jinja, Django, Handlebars or Liquid"]
    assert said(CODE, text("https://a.com/?user=undefined")) == ["user=undefined in a link: a missing value"]


def test_a_missing_value_in_a_link_is_told():
    data = html("<a href='https://a.com/?u=undefined'>x</a>" * 2)
    assert said(CODE, data) == ["u=undefined in href: a missing value"]
    assert not said(CODE, data, allow=["u=undefined"])


def test_a_literal_that_is_allowed_is_allowed_everywhere():
    data = html("<p>*|A|*</p><a href='*|A|*'>x</a>", subject="*|A|*")
    assert said(CODE, data)
    assert not said(CODE, data, allow=["*|A|*"])


def test_each_alternative_is_searched():
    plain = "Content-Type: text/plain\n\n{{ a }}"
    rich = "Content-Type: text/html\n\n<p>Hello</p>"
    assert said(CODE, mixed(plain, rich, kind="alternative"))


def test_a_message_without_a_subject_has_none_to_search():
    for rule in (CODE, "template/empty-greeting", "template/test-content-left"):
        assert judge(rule, b"From: a@b.com\n\nHello\n").outcome is Outcome.PASS


def test_a_hole_in_a_subject_is_told_in_words():
    assert said("template/empty-greeting", text("x", subject="Hi , your order")) == [
        "the subject has “Hi ,”, a greeting without a name"
    ]
    assert said("template/empty-greeting", text("x", subject="Welcome back, !")) == [
        "the subject has a comma with nothing before it"
    ]


def test_addresses_at_example_com_are_drafts_unless_they_are_ones_own():
    data = html("<a href='mailto:help@example.com?subject=x'>Help</a>")
    rule = "template/test-content-left"
    assert said(rule, data) == ["a link writes to an address at example.com"]
    assert not said(rule, data, declared=Declared(owned_domains=("example.com",)))
    own = html("<p>help@example.com</p><a href='mailto:help@example.com'>Help</a>", sender="news@example.com")
    assert not said(rule, own)
    assert not said(rule, html("<a href='mailto:'>Help</a><a href='mailto:a@shop.com'>b</a>"))
    assert not said(rule, text("Lorem ipsum"), allow=["Lorem ipsum"])
