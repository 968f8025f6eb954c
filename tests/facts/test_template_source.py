"""Placeholders in a template, each in the place where its value will stand."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.roots import TemplateRole, TemplateSource, TemplateText
from delivcheck.facts.template_source import Context, role_of, template_bodies


def bodies(text, role=None, engine=None, file=None):
    source = TemplateText(text, role or role_of(text, "mail"), file)
    return template_bodies.function(TemplateSource((source,), engine))


def used(text, **given):
    return list(bodies(text, **given).used)


@pytest.mark.parametrize(
    ("text", "context", "attribute", "before"),
    [
        ("<p>{{ x }}</p>", Context.TEXT, "", ""),
        ("<p\n class='a'>{{ x }}</p>", Context.TEXT, "", ""),
        ("<a href='{{ x }}'>a</a>", Context.URL, "href", ""),
        ('<a title="b" href = "https://e.example/?q={{ x }}">a</a>', Context.URL, "href", "https://e.example/?q="),
        ("<a href=https://e.example/{{ x }}>a</a>", Context.URL, "href", "https://e.example/"),
        ("<img src={{ x }}>", Context.URL, "src", ""),
        ("<mj-button href='{{ x }}'>a</mj-button>", Context.URL, "href", ""),
        ("<td background='{{ x }}'>", Context.URL, "background", ""),
        ("<p class='a {{ x }}'>", Context.ATTRIBUTE, "class", "a "),
        ("<a href='{{ x }}", Context.URL, "href", ""),
        ("<p {{ x }}>", Context.TEXT, "", ""),
        ("<!-- {{ x }} --><p>", Context.UNSEEN, "", ""),
        ("<p><!-- {{ x }}", Context.UNSEEN, "", ""),
        ("<!--[if mso]><p>{{ x }}</p><![endif]-->", Context.UNSEEN, "", ""),
        ("<style>.a{color:{{ x }}}</style><p>", Context.UNSEEN, "", ""),
        ("<STYLE type='text/css'>.a{color:{{ x }}}</STYLE><p>", Context.UNSEEN, "", ""),
        ("<p><script>{{ x }}", Context.UNSEEN, "", ""),
        ("<mj-style>{{ x }}</mj-style>", Context.UNSEEN, "", ""),
        ("<style>a</style></style><p>{{ x }}</p>", Context.TEXT, "", ""),
        ("<p>a < b {{ x }}</p>", Context.TEXT, "", ""),
        ("---\nsubject: Hi {{ x }}\n---\n<p>", Context.SUBJECT, "", ""),
        ("---\r\nSubject : {{ x }}\r\nother: 1\r\n---\r\nText", Context.SUBJECT, "", ""),
        ("---\nlayout: {{ x }}\n---\n<p>", Context.UNSEEN, "", ""),
        ("---\nlayout: a\n---\n<p>{{ x }}</p>", Context.TEXT, "", ""),
        ("---\nno end {{ x }}", Context.TEXT, "", ""),
        ("Subject: {{ x }}\n\nText", Context.SUBJECT, "", ""),
        ("Subject: a\n\n{{ x }}", Context.TEXT, "", ""),
        ("{% block subject %}{{ x }}{% endblock %}", Context.SUBJECT, "", ""),
    ],
)
def test_a_placeholder_stands_somewhere(text, context, attribute, before):
    role = TemplateRole.HTML if "<" in text else None
    one = next(one for one in used(text, role=role) if one.placeholder.name == "x")
    assert (one.context, one.attribute, one.before) == (context, attribute, before)


def test_code_between_does_not_end_a_tag():
    text = "<a {% if a > b %}class='x'{% endif %} href='{{ u }}'>{{ t }}</a>"
    assert [(one.placeholder.name, one.context) for one in used(text) if one.placeholder.name] == [
        ("u", Context.URL),
        ("t", Context.TEXT),
    ]


def test_a_subject_alone_is_all_subject():
    (one,) = used("Hello {{ name }}", role=TemplateRole.SUBJECT)
    assert one.context is Context.SUBJECT


@pytest.mark.parametrize(
    ("text", "greeted"),
    [
        ("Hi {{ name }},", True),
        ("Hi {{ title }} {{ name }},", True),
        ("LIEBE {{ name }},", True),
        ("Hello.\n  Dear {{ name }},", True),
        ("Welcome to {{ name }}", False),
        ("This {{ name }}", False),
        ("Hi there, {{ name }}", False),
        ("<p>Hi {{ name }},</p>", True),
        ("<h1>Hi\n   <strong class='a'>{{ name }}</strong></h1>", True),
        ("<td>A</td><td>Hi <b>{{ name }}</b></td>", True),
        ("<p>Hi</p><p>{{ name }}</p>", False),
        ("<!-- a --><p>Hi {{ name }}</p>", True),
    ],
)
def test_a_greeting_stands_before_a_name(text, greeted):
    assert [one.greeted for one in used(text) if one.placeholder.name == "name"] == [greeted]


@pytest.mark.parametrize(
    ("text", "line", "column", "end"),
    [
        ("{{ x }}", 1, 1, 8),
        ("<p>\r\né {{ x }}</p>", 2, 4, 11),
        ("a\n\n  {{ x }}\n", 3, 3, 10),
        ("a {{ x\n }} b", 1, 3, None),
        ("é" * 2500 + "{{ x }}", 1, 5001, 5008),
        ("<p>\ud800{{ x }}", 1, 5, 12),
    ],
)
def test_a_place_is_counted_in_octets(text, line, column, end):
    (one,) = used(text, file="a.html")
    assert (one.at.file, one.at.line, one.at.column, one.at.end_column) == ("a.html", line, column, end)


@pytest.mark.parametrize(
    ("text", "name", "role"),
    [
        ("<p>a</p>", "mail.txt", TemplateRole.HTML),
        ("<mjml><mj-body></mj-body></mjml>", "mail.mjml", TemplateRole.HTML),
        ("Hello {{ name }}", "welcome.subject.txt", TemplateRole.SUBJECT),
        ("Hello {{ name }}", "emails/welcome_subject.txt", TemplateRole.SUBJECT),
        ("Hello {{ name }}", "subject/welcome.txt", TemplateRole.PLAIN),
        ("a < b and <you@example.org>", "mail", TemplateRole.PLAIN),
    ],
)
def test_a_text_becomes_what_its_name_and_tags_say(text, name, role):
    assert role_of(text, name) is role


@pytest.mark.parametrize(
    ("text", "leaves"),
    [
        ("<a href='{{ unsubscribe_url }}'>x</a>", True),
        ("<a href='{{ links.optOutUrl }}'>x</a>", True),
        ("<a href='{{ links.home }}'>x</a>", False),
        ("<a href='{{ links.opt_out }}'>x</a>", True),
        ("<a href='*|UNSUB|*'>x</a>", True),
        ("<a href='%%unsub_center_url%%'>x</a>", True),
        ("<a href='<%asm_group_unsubscribe_raw_url%>'>x</a>", True),
        ("{% unsubscribe_link %}", True),
        ("<p>[[UNSUB_LINK_EN]]</p>", True),
        ("<p><unsubscribe>Leave</unsubscribe></p>", True),
        ("<p>{unsubscribe_text}</p>", True),
        ("Leave: ${unsubscribeUrl}", True),
        ("<a href='https://e.example/unsubscribe'>x</a>", True),
        ("<a href='{{ x }}'>Abmelden</a>", True),
        ("<A HREF='{{ x }}'><b>Abmelden</b></A>", True),
        ("<p>To stop receiving this, <a href='{{ x }}'>click here</a></p>", True),
        ("<mj-button href='{{ x }}'>Unsubscribe</mj-button>", True),
        ("<p>Unsubscribe</p><p><b>{{ x }}</b></p>", False),
        ("<!-- {{ unsubscribe_url }} --><p>a</p>", False),
        ("<style>/* %unsubscribe_url% */</style><p>a</p>", False),
        ("Abmelden: https://e.example/1", True),
        ("Abmelden:\n\n{{ x }}", True),
        ("Abmelden\nmehr\nund mehr\nhttps://e.example/1", False),
        ("Abmelden", False),
    ],
)
def test_a_way_out_is_one(text, leaves):
    assert bodies(text).each[0].leaves == leaves


PIECES = st.sampled_from(
    [
        "<",
        ">",
        "<p>",
        "</p>",
        "<a ",
        "href=",
        "'",
        '"',
        "<!--",
        "-->",
        "<style>",
        "</style>",
        "{{ x }}",
        "{% if a %}",
        "{{",
        "}}",
        "---\n",
        "subject: ",
        "\n",
        " ",
        "/",
        "=",
        "é",
        "Hi ",
        "unsubscribe",
        "\ue000",
        "\x00",
        "�",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from([None, *TemplateRole]))
def test_any_text_can_be_read(text, role):
    for one in used(text, role=role):
        assert one.at.line >= 1
        assert one.at.column >= 1
        assert isinstance(one.context, Context)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a ",
        "<a href='",
        "<!--",
        "<style>",
        "<p>Hi {{ x }}</p>",
        "<a href={{ x }}>abmelden",
        "é {{ x }}",
        "a=",
        "/ ",
        "<a>",
        "https://e.example/ abmelden\n",
        "{{ x }}",
        "<a b ",
        "---\n",
        "<{{ x }}",
    ],
)
@pytest.mark.parametrize("role", [TemplateRole.HTML, TemplateRole.PLAIN])
def test_time_grows_with_the_text_and_not_with_its_square(piece, role):
    def seconds(size):
        text = piece * (size // len(piece))
        taken = []
        for _ in range(3):  # of the process, and the least: other tests run beside
            started = time.process_time()
            bodies(text, role=role)
            taken.append(time.process_time() - started)
        return min(taken)

    assert seconds(200_000) < 40 * max(seconds(20_000), 0.01)
