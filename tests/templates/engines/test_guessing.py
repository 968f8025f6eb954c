"""The language of a text by its words, and by those of its neighbours where it has none of its own."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.templates.engines.guessing import asks_neighbours, guess, votes_for
from delivcheck.templates.engines.registry import NAMES
from tests.templates.world import started, write


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<p>Hello", "html"), ("{% set x = 1 %}{{ x }}", "jinja2"), ("{% if x is defined %}{{ f(x) }}{% endif %}", "jinja2"),
        ("{% load i18n %}{{ x|date:'d' }}", "django"), ("{{ x|date:'d' }}", "django"), ("{% assign a = 1 %}", "liquid"),
        ("{{ x | date: '%d' }}", "liquid"), ("{{ x | upcase }}", "liquid"), ("{% if a %}{% elsif b %}{% endif %}", "liquid"),
        ("{{#if a}}x{{/if}}", "handlebars"), ("{{#each a}}{{this}}{{/each}}", "handlebars"), ("{{> p a='b'}}", "handlebars"),
        ("{{formatDate date 'x'}}", "handlebars"), ("{{!-- x --}}", "handlebars"), ("{{#a}}{{.}}{{/a}}", "mustache"), ("{{> p}}", "mustache"),
        ("{{ name }}", "mustache"), ("{{{ raw }}}", "mustache"), ("{{${first_name}}}", "braze"), ("*|FNAME|*", "mailchimp"), ("%%name%%", "salesforce"),
        ("<%body%>", "sendgrid"), ("{% connected_content https://x/?a={{${id}}} %}", "braze"),
    ],
)  # fmt: skip
def test_a_language_is_told_by_words_that_only_it_has(text, name):
    assert guess(text) == name


SURE = {
    "jinja2": "{% set x = 1 %}{{ x | default('y') }}{% if x is defined %}{% endif %}",
    "django": "{% load i18n %}{{ x|date:'d' }}{% blocktrans %}x{% endblocktrans %}",
    "liquid": "{% assign x = 1 %}{{ x | upcase }}{% unless x %}{% endunless %}",
}
OPEN = ["{% include 'x' %}", "{{ name }}", "{% if a %}{{ b }}{% endif %}", "{% for x in y %}{{ x.z }}{% endfor %}"]


@pytest.mark.parametrize("text", OPEN)
def test_what_every_language_may_say_asks_its_neighbours(text):
    assert asks_neighbours(text)
    for language, words in SURE.items():
        assert guess(text, votes_for(words)) == language


@pytest.mark.parametrize(
    "text", [*SURE.values(), "<p>Hello</p>", "", "{{#if a}}x{{/if}}", "{{> part}}", "{{{ raw }}}{{/x}}", "*|FNAME|*"]
)
def test_what_tells_by_itself_asks_nobody(text):
    assert not asks_neighbours(text)
    for words in SURE.values():
        assert guess(text, votes_for(words)) == guess(text)


def test_nobody_to_ask_changes_nothing():
    for text in OPEN:
        assert guess(text, Counter()) == guess(text, None) == guess(text)


def test_texts_without_tags_have_no_votes():
    assert votes_for("{{ name | upper }}") == votes_for("<p>") == Counter()
    assert max(votes_for(SURE["django"]).items(), key=lambda one: one[1])[0] == "django"


@given(
    st.lists(
        st.sampled_from([*OPEN, *SURE.values(), "{{#x}}", "{{", "{%", "%}", "|", " ", "<p>", "${", "%%a%%"]), max_size=8
    ).map("".join),
    st.sampled_from([None, *SURE]),
)
def test_every_text_has_a_language_that_there_is(text, near):
    assert guess(text, None if near is None else votes_for(SURE[near])) in NAMES


@pytest.mark.parametrize("language", SURE)
def test_a_file_that_only_includes_is_in_the_language_of_its_folder(language, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(
        {
            "m/sure.html": SURE[language],
            "m/sub/more.txt": SURE[language],
            "m/a.html": "{% include 'partials/p.html' %}",
            "m/b.html": "<p>{{ name }}</p>",
            "m/partials/p.html": "<p>x</p>",
            "m/c.html": "<p>Hello</p>",
            "m/d.html": "{{#if a}}x{{/if}}",
        }
    )
    engines = {one.name: one.script.parts[0].engine.name for one in started(["m"])[1] if one.script.parts}
    assert engines["m/a.html"] == engines["m/b.html"] == language
    assert (engines["m/c.html"], engines["m/d.html"]) == ("html", "handlebars")
