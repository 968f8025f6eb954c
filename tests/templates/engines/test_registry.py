"""Engines by name, by the names of files, and what is said where one is not there."""

import importlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivcheck.facts.roots import TemplateRole
from delivcheck.templates.engines import registry
from delivcheck.templates.engines.registry import NAMES, EngineMissing, UnknownEngine, engine, known, of
from delivcheck.templates.model import Host, Source, TemplateFault


class Nobody:
    """No other templates."""

    def find(self, name, asked_by=None, suffixes=("",)):
        raise TemplateFault(f"template {name} is not found")


@pytest.mark.parametrize("name", NAMES)
def test_every_engine_can_be_made_and_renders_what_has_no_code(name):
    made = engine(name, Host())
    assert made.name.partition("+")[0] in {name, "html"}
    text = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>"
        if name == "mjml"
        else "<p>Hello</p>\n"
    )
    source = Source("a.html", text)
    assert made.variables(source, Nobody()) == ()
    rendered = made.render(source, {}, Nobody(), html=True)
    assert "Hello" in rendered.text
    where = rendered.where(rendered.text.index("Hello"))
    assert (where.file, where.line, where.approximate) == ("a.html", 1, False)
    assert source.offset(where.line, where.column) == text.index("Hello")


def test_a_chain_is_made_of_its_engines():
    assert engine("jinja2+mjml", Host()).name == "jinja2+mjml"


PAGE = Source("a.html", "{% if x %}\nHi\n{% endif %}\n{% if x %}{% endif %}")


def test_options_may_be_one_engines_alone():
    def rendered(name, **options):
        return engine(name, Host(options=options)).render(PAGE, {"x": 1}, Nobody(), html=True).text

    assert rendered("jinja2") == "\nHi\n\n"
    assert rendered("jinja2", trim_blocks=True) == "Hi\n"
    assert rendered("jinja2", jinja2={"trim_blocks": True}) == "Hi\n"
    assert rendered("jinja2", trim_blocks=True, jinja2={"trim_blocks": False}) == "\nHi\n\n"
    assert rendered("jinja2", liquid={"trim_blocks": True}, mjml={"nonsense": 1}) == "\nHi\n\n"
    assert rendered("django", jinja2={"nonsense": True}) == "\nHi\n\n"


def test_a_chains_engines_have_their_own_options():
    made = engine("jinja2+html", Host(options={"jinja2": {"trim_blocks": True}, "html": {"x": 1}}))
    assert made.render(PAGE, {"x": 1}, Nobody(), html=True).text == "Hi\n"


@pytest.mark.parametrize("options", [{"trim": 1}, {"jinja2": {"trim": 1}}, {"jinja2": 7}, {"nobody": {"x": 1}}])
def test_an_option_that_an_engine_does_not_have_is_said(options):
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z"):
        engine("jinja2", Host(options=options))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("jinja", "no template engine 'jinja'; did you mean jinja2?"),
        ("mjml+handelbars", "no template engine 'handelbars'; did you mean handlebars?"),
        ("", "no template engine '': there are jinja2, django, mjml, liquid, handlebars, mustache, html, mailchimp, sendgrid, salesforce, braze"),
        ("+", "no template engine '': there are"),
        ("MJML", "no template engine 'MJML': there are"),
    ],
)  # fmt: skip
def test_a_name_that_is_no_engines_is_said(name, says):
    for call in (known, lambda name: engine(name, Host())):
        with pytest.raises(UnknownEngine) as caught:
            call(name)
        assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.html.j2", "jinja2"), ("a.j2", "jinja2"), ("a.jinja", "jinja2"), ("A.JINJA2", "jinja2"), ("a.j2.html", "jinja2"),
        ("a.djhtml", "django"), ("a.mjml", "mjml"), ("a.mjml.j2", "jinja2+mjml"), ("a.j2.mjml", "jinja2+mjml"), ("a.mjml.hbs", "handlebars+mjml"),
        ("a.liquid", "liquid"), ("a.html.liquid", "liquid"), ("a.hbs", "handlebars"), ("a.handlebars", "handlebars"), ("a.mustache", "mustache"),
        ("a.html", "html"), ("a.txt", "html"), ("a", "html"), ("a.subject.txt", "html"), ("folder.j2/a.html", "html"),
    ],
)  # fmt: skip
def test_the_engine_by_the_name_of_a_file(name, found):
    assert of(name, "Hello") == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<mjml><mj-body>", "mjml"),
        ("{% set x = 1 %}<mjml>{{ x }}</mjml>", "jinja2+mjml"),
        ("<MJML><mj-text>{{#each items}}{{this}}{{/each}}", "handlebars+mjml"),
        ("{{ user.name | default('there') }}", "jinja2"),
        ("{% load i18n %}{{ user.name|default:'x' }}", "django"),
        ("{% assign x = 1 %}{{ x | date: '%d' }}", "liquid"),
        ("{{#if a}}x{{/if}}", "handlebars"),
        ("{{#a}}x{{/a}} {{{b}}}", "mustache"),
        ("*|FNAME|*", "mailchimp"),
        ("%%first_name%%", "salesforce"),
        ("{{ ${first_name} }}", "braze"),
        ("<p>Hello</p>", "html"),
        ("", "html"),
    ],
)
def test_the_engine_by_the_text_of_a_file_whose_name_does_not_tell(text, found):
    assert of("a.html", text) == found


@given(
    st.text("{}%#/|*<mj>l ab.\n", max_size=60),
    st.lists(st.sampled_from([".html", ".j2", ".mjml", ".hbs", ".x", ""]), max_size=3),
)
def test_every_file_has_an_engine_that_there_is(text, suffixes):
    assert known(of("a" + "".join(suffixes), text))


def test_an_engine_without_its_package_says_what_to_install(monkeypatch):
    def gone(name, *_arguments):
        raise ModuleNotFoundError(f"No module named {name!r}", name="mrml")

    registry._module.cache_clear()
    monkeypatch.setattr(importlib, "import_module", gone)
    try:
        with pytest.raises(EngineMissing) as caught:
            engine("jinja2+mjml", Host())
        assert str(caught.value) == "jinja2 needs mrml: pip install 'delivcheck[templates]'"
        with pytest.raises(ModuleNotFoundError):  # ours, and in every installation
            engine("html", Host())
    finally:
        registry._module.cache_clear()


def test_roles_are_no_part_of_the_engine():
    assert {of(f"welcome.{role}.j2", "x") for role in TemplateRole} == {"jinja2"}
