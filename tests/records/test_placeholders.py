"""Code in a template's source: where it begins and ends, and whether it is one plain variable."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.records.placeholders import ENGINES, MAX_CODE, Kind, scan


def outputs(text, engine=None):
    return [(one.name, one.filters) for one in scan(text, engine) if one.kind is Kind.OUTPUT]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ name }}", ("name", ())),
        ("{{name}}", ("name", ())),
        ("{{- user.first_name -}}", ("user.first_name", ())),
        ("{{~name~}}", ("name", ())),
        ("{{ .Name }}", ("Name", ())),
        ("{{ this.name }}", ("name", ())),
        ("{{ ../name }}", ("name", ())),
        ("{{ @root.user.name }}", ("user.name", ())),
        ("{{ first-name }}", ("first-name", ())),
        ("{{ pm:unsubscribe_url }}", ("pm:unsubscribe_url", ())),
        ("{{ user['name'] }}", ("user['name']", ())),
        ("{{ items[0].name }}", ("items[0].name", ())),
        ("{{ name | default('a|b', true) | upper }}", ("name", ("default", "upper"))),
        ('{{ name|default:"x" }}', ("name", ("default",))),
        ("{{${first_name}}}", ("first_name", ())),
        ("{{${first_name} | default: 'you'}}", ("first_name", ("default",))),
        ("{{ custom_attribute.${plan} }}", ("plan", ())),
        ("{{ name or 'you' }}", (None, ())),
        ("{{ a || b }}", (None, ())),
        ("{{ default name 'you' }}", (None, ())),
        ("{{ url_for('x', id=y) }}", (None, ())),
        ("{{ 'text' }}", (None, ())),
        ("{{ 3 }}", (None, ())),
        ("{{ }}", (None, ())),
        ("{{{ body }}}", ("body", ())),
        ("{{{${body}}}}", ("body", ())),
        ("{{& body }}", ("body", ())),
        ("<%= @user.name %>", ("user.name", ())),
        ("<%= raw bio %>", ("bio", ())),
        ("<%= raw(bio) %>", ("bio", ())),
        ("<%= bio.html_safe %>", ("bio", ("html_safe",))),
        ("<%== bio %>", ("bio", ())),
        ("<%= name || 'you' %>", (None, ())),
        (f"{{{{ {'x' * 200} }}}}", (None, ())),
    ],
)
def test_an_output_is_one_variable_or_another_expression(text, found):
    assert outputs(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        "50 % of 100%% and {braces} and a {{ that is never closed",
        "@media screen{#outlook a{padding:0}}",
        "{{ one }, {{ two",
        "a state-of-the-art mail -name- for you",
        "if a <% b",
        f"{{{{ {'x ' * MAX_CODE} }}}}",
    ],
)
def test_what_only_looks_like_code_is_none(text):
    assert scan(text) == ()


def test_one_that_is_never_closed_hides_no_other():
    assert outputs("{{ one }, {{ two }}") == [("two", ())]


@pytest.mark.parametrize(
    ("text", "engine", "kind"),
    [
        ("*|FNAME|*", None, Kind.OPAQUE),
        ("%%first_name%%", None, Kind.OPAQUE),
        ("%%=v(@name)=%%", "salesforce", Kind.OPAQUE),
        ("-first_name-", "sendgrid", Kind.OPAQUE),
        ("[%first_name | default%]", None, Kind.OPAQUE),
        ("{# a note #}", None, Kind.COMMENT),
        ("{#a note#}", "jinja2", Kind.COMMENT),
        ("{{! a note }}", None, Kind.COMMENT),
        ("{{!-- a {{ note }} --}}", None, Kind.COMMENT),
        ("<%# a note %>", None, Kind.COMMENT),
        ("{% raw %}{{ a }}{% endraw %}", None, Kind.COMMENT),
        ("{%- verbatim -%}{{ a }}{%- endverbatim -%}", None, Kind.COMMENT),
        ("{% comment %}{{ a }}{% endcomment %}", None, Kind.COMMENT),
        ("{% raw %}{{ a }} to the end", None, Kind.COMMENT),
        ("{{{{raw}}}}{{ a }}{{{{/raw}}}}", None, Kind.COMMENT),
        ("{{{{raw}}}}{{ a }} to the end", None, Kind.COMMENT),
        ("{{else}}", None, Kind.CODE),
        ("{{else if x}}", None, Kind.CODE),
        ("{{> footer}}", None, Kind.CODE),
        ("{% include 'footer.html' %}", None, Kind.CODE),
        ("{% %}", None, Kind.CODE),
        ("<% x %>", None, Kind.CODE),
        ("<%- x %>", "erb", Kind.CODE),
        ("<%- x %>", "ejs", Kind.OUTPUT),
    ],
)
def test_other_code_is_known_for_what_it_is(text, engine, kind):
    (one,) = scan(text, engine)
    assert (one.kind, one.start, one.end) == (kind, 0, len(text))


@pytest.mark.parametrize(
    ("engine", "text"),
    [("erb", "{{ name }}"), ("mailchimp", "{{ name }}"), ("jinja2", "<%= name %>"), ("salesforce", "*|FNAME|*")],
)
def test_an_engine_reads_no_code_but_its_own(engine, text):
    assert scan(text, engine) == ()


@pytest.mark.parametrize(
    "text",
    [
        "{% if name %}{{ name }}{% endif %}",
        "{% if user %}{{ user.name }}{% endif %}",
        "{% if user.name %}{{ user.name.first }}{% endif %}",
        "{% if a %}{% elif name %}{{ name }}{% endif %}",
        "{% unless done %}{% if name %}{{ name }}{% endif %}{% endunless %}",
        "{% for name in names %}{{ name }}{% endfor %}",
        "{% with name=user.name %}{{ name }}{% endwith %}",
        "{% set name = 'you' %}{{ name }}",
        "{% assign name = user.name | default: 'you' %}{{ name }}",
        "{% url 'home' as name %}{{ name }}",
        "{% blocktrans with name=user.name %}{{ name }}{% endblocktrans %}",
        "{{#if name}}{{name}}{{/if}}",
        "{{#each people}}{{name}}{{/each}}",
        "{{#person}}{{name}}{{/person}}",
        "{{^name}}{{name}}{{/name}}",
        "<% if name %><%= name %><% end %>",
        "<% if (name) { %><%= name %><% } %>",
        "<% people.forEach(function(name) { %><%= name %><% }) %>",
        "<% name ||= 'you' %><%= name %>",
        "<% const name = 'you' %><%= name %>",
    ],
)
def test_a_condition_a_loop_or_an_assignment_sees_to_a_variable(text):
    (one,) = [one for one in scan(text) if one.kind is Kind.OUTPUT]
    assert one.sure


@pytest.mark.parametrize(
    "text",
    [
        "{% if name %}x{% endif %}{{ name }}",
        "{% if other %}{{ name }}{% endif %}",
        "{% if 'name' == x %}{{ name }}{% endif %}",
        "{% for x in y %}{% if name %}{% endfor %}{{ name }}",
        "{% endif %}{{ name }}",
        "{% block name %}{{ name }}{% endblock %}",
        "{% set other = name %}{{ name }}",
        "{% set %}{{ name }}",
        "{{#if name}}{{/if}}{{name}}",
        "{{/if}}{{ name }}",
        "{{^}}{{name}}",
        "<% if name %><% end %><%= name %>",
        "<% if a %><% } else if (name) { %><% end %><%= name %>",
        "<% name == 1 %><%= name %>",
    ],
)
def test_what_is_closed_or_about_another_sees_to_nothing(text):
    assert [one.sure for one in scan(text) if one.kind is Kind.OUTPUT] == [False]


@pytest.mark.parametrize(
    ("text", "engine", "raw"),
    [
        ("{{ x }}", None, False),
        ("{{{ x }}}", None, True),
        ("{{& x }}", None, True),
        ("{{ x | safe }}", None, True),
        ("{% autoescape off %}{{ x }}{% endautoescape %}", None, True),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", None, True),
        ("{% autoescape on %}{{ x }}{% endautoescape %}", None, False),
        ("{% autoescape off %}{% endautoescape %}{{ x }}", None, False),
        ("<%= x %>", None, False),
        ("<%== x %>", "erb", True),
        ("<%- x %>", "ejs", True),
        ("<%= raw x %>", "erb", True),
        ("<%= x.html_safe %>", "erb", True),
    ],
)
def test_what_switches_escaping_off_is_seen(text, engine, raw):
    assert [one.raw for one in scan(text, engine) if one.kind is Kind.OUTPUT] == [raw]


def test_a_block_called_subject_is_one():
    found = scan("{% block subject %}{{ a }}{% endblock %}{% block subjects %}{{ b }}{% endblock %}")
    assert [(one.name, one.in_subject) for one in found if one.name] == [("a", True), ("b", False)]


@pytest.mark.parametrize(
    ("text", "includes"),
    [
        ("{% include 'x' %}", True),
        ("{% extends 'x' %}", True),
        ("{% block x %}", True),
        ("{{> footer }}", True),
        ("<%= render 'footer' %>", False),  # an output: what it prints is not known
        ("<% render 'footer' %>", True),
        ("{{content_blocks.${footer}}}", True),
        ("{% if included %}", False),
        ("{{ include }}", False),
    ],
)
def test_an_include_is_one(text, includes):
    assert scan(text)[0].includes == includes


@pytest.mark.parametrize(
    ("name", "last"), [("order.tracking.URL", "url"), ("items[0]", "0"), ("user['home_url']", "home_url"), ("id", "id")]
)
def test_the_last_part_of_a_name(name, last):
    assert scan(f"{{{{ {name} }}}}")[0].last_name == last


PIECES = st.sampled_from(
    [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "<%",
        "%>",
        "{{{",
        "}}}",
        "{{{{",
        "{{!--",
        "--}}",
        "*|",
        "|*",
        "%%",
        "[%",
        "-a-",
        "raw",
        "if x",
        "endif",
        "for",
        "#if x",
        "/if",
        "#x",
        "/x",
        "^",
        "name",
        "|",
        "'",
        '"',
        " ",
        "\n",
        "=",
        "-",
        "${",
        "}",
        "end",
        "é",
    ]
)


@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from([None, *ENGINES, "other"]))
def test_any_text_has_code_in_order_and_apart(text, engine):
    at = 0
    for one in scan(text, engine):
        assert at <= one.start < one.end <= len(text)
        at = one.end
        assert isinstance((one.has_default, one.includes, one.last_name), tuple)


@pytest.mark.parametrize(
    "piece",
    [
        "{{",
        "{{ a }",
        "{%",
        "{#",
        "<%",
        "*|",
        "%%",
        "{{{{",
        "{{!--",
        "{% if x %}",
        "{{#if x}}",
        "{{{{a}}}}",
        "{% endif %}",
        "-a",
        "{{ a.b }}{% if a %}",
        "{{ '",
        "{{ a|",
        "{% raw",
        "<% if %>",
        "{{ a[",
        "{% set a = %}",
        "%%a",
    ],
)
def test_time_grows_with_the_text_and_not_with_its_square(piece):
    def seconds(size):
        text = piece * (size // len(piece))
        started = time.process_time()
        scan(text)
        return time.process_time() - started

    assert min(seconds(200_000), seconds(200_000)) < 60 * max(seconds(20_000), seconds(20_000), 0.005)
