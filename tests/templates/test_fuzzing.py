"""Values missing, long and hostile: what a template then shows, whose value it was, and nothing else."""

import json
from dataclasses import replace

import pytest

from delivcheck import policy
from delivcheck.api import Checker, Options
from delivcheck.model import Level, Outcome
from tests.templates.world import NOW, examined, problems, result

DATA = {"name": "Bob", "shop": "Oak", "note": "soon", "items": [{"title": "Chair"}]}


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fuzzed(html, *, subject=None, data=DATA, config=None, name="a.html", engine="jinja2"):
    files = {name: html, f"{name.split('.', 1)[0]}.json": json.dumps(data)}
    if subject is not None:
        files["a.subject.txt"] = subject
    (report,) = examined(files, [name], fuzz=None, config=config, engine=engine).values()
    return report


def told(report, rule):
    """Each problem's line, and its words with the data that shows it."""
    return [(one.where.line, f"{one.message} [{one.data}]" if one.data else one.message) for one in problems(report, rule)]


def test_a_greeting_without_its_name():
    page = "{% set who = name %}<p>\nHi {{ who }},</p><p>{{ shop }}</p>\n"
    (one,) = told(fuzzed(page), "template/empty-greeting")
    assert one == (2, "“Hi ,” in the HTML is a greeting without a name [a.json, values missing: name]")


def test_what_the_source_shows_already_is_not_told_again():
    report = fuzzed("<p>\nHi {{ name }},</p>\n")
    assert told(report, "template/merge-field-without-default") == [(2, "name in the greeting has no default")]
    for rule in ("template/empty-greeting", "template/unrendered-code", "template/missing-value-shows"):
        assert told(report, rule) == [], rule


def test_none_that_shows_with_the_guilty_variable():
    report = fuzzed("<p>Hi {{ name or 'there' }}</p>\n<p>{{ shop or '' }} {{ note }}</p>\n")
    (one,) = told(report, "template/missing-value-shows")
    assert one[0] == 2
    assert one[1].startswith("None in the HTML")
    assert "note" in one[1]
    assert "shop" not in one[1]


def test_what_a_template_says_itself_is_none_of_the_values():
    assert told(fuzzed("<p>None of {{ items[0].title or 'it' }} is lost</p>\n"), "template/missing-value-shows") == []


def test_line_breaks_in_the_subject_are_header_injection():
    report = fuzzed("<p>Hello</p>", subject="News from {{ shop }} for {{ name | replace('\\r', '') | replace('\\n', '') }}\n")
    (one,) = problems(report, "template/header-injection")
    assert (one.where.file, one.where.line, one.where.column) == ("a.subject.txt", 1, 11)
    assert "shop" in f"{one.message} {one.data}"
    assert "name" not in f"{one.message} {one.data}"


def test_a_value_that_arrives_as_markup():
    report = fuzzed("<p>{{ name }}</p>\n<p>{{ note | safe }}</p>\n")
    (one,) = problems(report, "template/value-breaks-markup")
    assert one.where.line == 2
    assert one.message == "note arrives as markup"


def test_a_value_in_an_attribute_without_quotes():
    report = fuzzed("<p title={{ name }}>{{ shop }}</p>\n")
    (one,) = problems(report, "template/value-breaks-markup")
    assert "name" in one.message
    assert "needs quotes" in one.message


def test_a_message_that_long_values_make_too_large_for_gmail():
    page = "{% for i in range(700) %}<p>{{ note }}</p>{% endfor %}<p>{{ name }}</p>"
    report = fuzzed(page, data={"name": "Bob", "note": "soon"})
    (one,) = problems(report, "html/clipped-by-gmail")
    assert "very long values" in f"{one.message} {one.data}"
    assert "note" in f"{one.message} {one.data}"


def test_a_subject_that_long_values_make_too_long():
    report = fuzzed("<p>Hello</p>", subject="Your order {{ shop }} {{ note }} x {{ name }}\n")
    rules = {one.rule for one in report.results if one.outcome is Outcome.FAIL}
    assert rules & {"headers/subject-too-long", "headers/subject-over-gmail-limit"}


def test_a_template_that_breaks_without_a_value_says_so_once():
    report = fuzzed("<p>Hi {{ name or 'x' }}</p>\n{{ name + '!' }}\n{{ name + '!' }}\n")
    (one,) = told(report, "template/does-not-render")
    assert one[0] == 2
    assert "name)" in one[1]
    assert "with values" in one[1]


def test_what_shows_with_every_value_is_told_once_without_the_data():
    report = fuzzed("<p>Hi {{ name }},</p>\n", data={"name": ""})
    found = problems(report, "template/empty-greeting") + problems(report, "template/unrendered-code")
    assert [one.data for one in found] == [None]


def test_a_template_that_sees_to_everything_has_nothing():
    page = "<p>Hi {{ name or 'there' }},</p>\n{% if note %}<p>{{ note }}</p>{% endif %}\n{% for x in items or [] %}<li>{{ x.title or 'it' }}</li>{% endfor %}"
    report = fuzzed(page, subject="News from {{ (shop or 'us') | replace('\\r', ' ') | replace('\\n', ' ') | truncate(30) }}\n")
    shown = [one for one in problems(report) if one.data is not None or "with " in one.message]
    assert shown == []


@pytest.mark.parametrize(
    "config",
    [
        "[templates]\nfuzz = false\n",
        "[templates]\nfuzz = ['emoji']\n",
        "[[templates.overrides]]\npaths = ['a.*']\nfuzz = false\n",
    ],
)
def test_which_values_are_tried_is_the_users_choice(config):
    assert told(fuzzed("<p>Hi {{ name }},</p>\n", config=config), "template/empty-greeting") == []


def test_what_is_required_is_always_there():
    assert told(fuzzed("<p>Hi {{ name }},</p>\n", config="[templates]\nrequired = ['name']\n"), "template/empty-greeting") == []


def test_without_fuzzing_the_rules_about_it_do_not_apply():
    (report,) = examined({"a.html": "<p>{{ x }}</p>"}, engine="jinja2").values()
    for rule in ("template/header-injection", "template/value-breaks-markup", "template/missing-value-shows"):
        assert result(report, rule).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("engine", "name", "greeting", "raw"),
    [
        ("django", "a.html", "{{ name }}", "{{ note|safe }}"),
        ("liquid", "a.liquid", "{{ name }}", "{{ note }}"),
        ("handlebars", "a.hbs", "{{name}}", "{{{note}}}"),
        ("mustache", "a.mustache", "{{name}}", "{{{note}}}"),
    ],
)
def test_other_engines_show_the_same_faults(engine, name, greeting, raw):
    report = fuzzed(f"<p>\nHi {greeting},</p>\n<p>{raw}</p>\n", name=name, engine=engine, data={"name": "Bob", "note": "soon"})
    assert told(report, "template/merge-field-without-default")[0] == (2, "name in the greeting has no default")
    markup = problems(report, "template/value-breaks-markup")
    assert 3 in {one.where.line for one in markup}
    assert any("note" in one.message for one in markup)


def levels(page):
    """The levels of what fails only with changed values, and with the values as they are, if every rule is an error."""
    asked = policy.load("bulk")
    every = [policy.Setting(rule, Level.ERROR) for rule in ("template/*", "headers/*", "html/*", "a11y/*", "links/*", "mime/*")]
    strict = Checker(Options(replace(asked, settings=(*asked.settings, *every)), dns="offline", now=NOW))
    files = {"a.html": page, "a.subject.txt": "News from {{ shop }}\n", "a.json": json.dumps(DATA)}
    (plain,) = examined(files, ["a.html"], checker=strict, engine="jinja2").values()
    (report,) = examined({}, ["a.html"], checker=strict, fuzz=None, engine="jinja2").values()
    before = {one.rule for one in plain.results if one.outcome is Outcome.FAIL}
    failed = {one.rule: one.level for one in report.results if one.outcome is Outcome.FAIL}
    return {rule: level for rule, level in failed.items() if rule not in before}, {failed[rule] for rule in before}


def test_what_only_changed_values_show_is_a_warning_at_most_unless_it_is_certain():
    shown, before = levels("<p>{{ name }}</p>\n<p>{{ note | safe }}</p>\n<p>Hello</p>{{ shop }}\n")
    assert shown.pop("template/value-breaks-markup") is Level.ERROR
    assert {"template/header-injection", "template/missing-value-shows"} <= shown.keys()
    assert set(shown.values()) == {Level.WARNING}
    assert Level.ERROR in before  # what shows with the values as they are stays what it is
    shown, _ = levels("<p>{{ name }}{{ name + '!' }}</p>\n")
    assert shown.pop("template/does-not-render") is Level.ERROR
    assert set(shown.values()) <= {Level.WARNING}


def test_a_value_that_was_made_up_because_the_data_lacks_it_is_not_changed():
    report = fuzzed("<p>{{ gone + '!' }}</p>\n{{ url_for('x') + '!' }}\n", data={"name": "x"})
    assert told(report, "template/does-not-render") == []
    assert [line for line, _ in told(report, "template/undeclared-variable")] == [1]
