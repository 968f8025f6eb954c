"""Mending templates in memory: what is kept is proved to change nothing that a reader gets."""

import asyncio
from pathlib import Path

import pytest

from delivcheck.facts.roots import TemplateRole
from delivcheck.templates.fix import mending as mending_module
from delivcheck.templates.fix.mending import Mending
from delivcheck.templates.fix.proof import read, same
from delivcheck.templates.fix.repairs import Allowed, Edit
from delivcheck.templates.rehearse import Performance
from tests.templates.world import CHECKER, started, write

ALLOWED = Allowed("en", ("img.example.org",))


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def mended(files, paths=(".",), *, allowed=ALLOWED, **wishes):
    """The texts of the files that change, by name."""
    write(files)
    run, _ = started(paths, **wishes)
    done = asyncio.run(Mending(run, CHECKER, allowed).mend([str(path) for path in paths]))
    return {one.path.relative_to(Path.cwd().resolve()).as_posix(): one.after for one in done}


PAGE = """\
<!doctype html>
<html>
<head>
<title>x</title></head>
<body>
<table><tr><td>Hello {{ name }}</td></tr></table>
{% for x in items %}<img width="16" src="http://img.example.org/{{ x }}.png">{% endfor %}
<a href="https://www.example.net/"><img src="https://img.example.org/link.png"></a>
</body></html>
"""
MENDED = """\
<!doctype html>
<html lang="en">
<head><meta charset="utf-8">
<title>x</title></head>
<body>
<table role="presentation"><tr><td>Hello {{ name }}</td></tr></table>
{% for x in items %}<img alt="" width="16" src="https://img.example.org/{{ x }}.png">{% endfor %}
<a href="https://www.example.net/"><img src="https://img.example.org/link.png"></a>
</body></html>
"""


def test_everything_that_is_sure_is_mended_at_once():
    assert mended({"a.html": PAGE}, engine="jinja2") == {"a.html": MENDED}


def test_what_was_mended_has_nothing_left_to_mend():
    assert mended({"a.html": MENDED}, engine="jinja2") == {}


def test_every_address_of_a_file_is_mended_and_what_is_read_stays():
    page = "<p>See http://img.example.org/x</p>{% if x %}<a href='http://img.example.org/x'>http://img.example.org/x</a>{% else %}<a href='http://img.example.org/y'>y</a>{% endif %}\n"
    page += "<div style='background: url(http://img.example.org/b.png)'></div>"
    made = mended({"a.html": page, "a.json": '{"x": true}'}, engine="jinja2")["a.html"]
    assert made == page.replace("'http:", "'https:").replace("url(http:", "url(https:")


def test_all_tables_of_a_file_are_mended_at_once_and_data_stays_data():
    data = "<table><tr><td>{{ item.name }}</td><td>{{ item.price }}</td></tr></table>"
    page = f"<table><tr><td>Hello</td><td>{{% for item in items %}}{data}{{% endfor %}}</td></tr></table>\n<table><tr><td>Bye</td></tr></table>\n"
    made = mended({"a.html": page}, engine="jinja2")["a.html"]
    assert made == page.replace("<table>", '<table role="presentation">').replace(
        data.replace("<table>", '<table role="presentation">'), data
    )


def test_pictures_are_left_to_people():
    assert (
        mended({"a.html": "<p>Hi</p><img src='https://img.example.org/online/product.png' width='200'>\n"}, engine="jinja2")
        == {}
    )


def test_nothing_is_written():
    mended({"a.html": PAGE}, engine="jinja2")
    assert Path("a.html").read_text() == PAGE


@pytest.mark.parametrize("engine", ["jinja2", "django"])
def test_a_shared_file_is_mended_once_for_all(engine):
    files = {
        "base.html": "<html><body>{% block x %}{% endblock %}\n{% include 'partials/p.html' %}</body></html>\n",
        "partials/p.html": "<img src='https://img.example.org/line.png'>\n",
        "a.html": "{% extends 'base.html' %}",
        "b.html": "{% extends 'base.html' %}{% block x %}<table><tr><td>Hi</table>{% endblock %}",
    }
    made = mended(files, engine=engine)
    assert sorted(made) == ["b.html", "base.html", "partials/p.html"]
    assert made["partials/p.html"] == "<img alt=\"\" src='https://img.example.org/line.png'>\n"
    assert made["base.html"].startswith('<html lang="en">')


def test_a_shared_image_that_one_template_links_is_left_to_people():
    files = {
        "partials/p.html": "<img src='https://img.example.org/line.png'>\n",
        "a.html": "<p>Hi</p>{% include 'partials/p.html' %}",
        "b.html": "<a href='https://www.example.net/'>{% include 'partials/p.html' %}</a>",
    }
    assert mended(files, engine="jinja2") == {}
    del files["b.html"]
    Path("b.html").unlink()
    assert mended(files, engine="jinja2").keys() == {"partials/p.html"}


def test_an_edit_that_changes_what_is_read_is_refused_and_the_others_are_kept(monkeypatch):
    def careless(rule, problem, source, allowed):
        edit = repaired(rule, problem, source, allowed)
        return (
            edit if edit is None or problem.where.line != 3 else Edit(edit.start, edit.end, f"{edit.text} > NEW WORDS <b", rule)
        )

    repaired = mending_module.repair
    monkeypatch.setattr(mending_module, "repair", careless)
    images = [f"<img src='https://img.example.org/line-{number}.png'>\n" for number in range(1, 8)]
    made = mended({"a.html": "".join(images)}, engine="jinja2")["a.html"].splitlines()
    assert ["alt" in line for line in made] == [True, True, False, True, True, True, True]
    assert "NEW" not in "".join(made)


def test_an_edit_that_leads_a_link_elsewhere_is_refused(monkeypatch):
    def careless(rule, problem, source, allowed):
        edit = repaired(rule, problem, source, allowed)
        return edit if edit is None else Edit(edit.start, edit.end, f'{edit.text} src="https://elsewhere.example.net/"', rule)

    repaired = mending_module.repair
    monkeypatch.setattr(mending_module, "repair", careless)
    assert mended({"a.html": "<p>Hi</p><img src='https://img.example.org/line-1.png'>\n"}, engine="jinja2") == {}


def test_every_data_set_is_part_of_the_proof(monkeypatch):
    def careless(rule, problem, source, allowed):
        edit = repaired(rule, problem, source, allowed)
        return (
            edit
            if edit is None
            else Edit(edit.start, edit.end, f"{edit.text}{{% if second %}} title=x> NEW<b{{% endif %}}", rule)
        )

    repaired = mending_module.repair
    monkeypatch.setattr(mending_module, "repair", careless)
    page = {"a.html": "<p>Hi</p><img src='https://img.example.org/line-1.png'>\n", "a.one.json": '{"second": false}'}
    assert mended(page, engine="jinja2").keys() == {"a.html"}
    assert mended({**page, "a.two.json": '{"second": true}'}, engine="jinja2") == {}


def test_what_a_comment_silences_is_not_mended_and_what_the_baseline_has_is():
    page = "<p>Hi</p>\n{# delivcheck: ignore-next html/missing-alt -- x #}\n<img src='https://img.example.org/line-1.png'>\n<img src='https://img.example.org/line-2.png'>\n"
    write({"a.html": page})
    run, prepared = started(engine="jinja2", baseline="base.json", make_baseline=True)
    asyncio.run(run.examine(prepared[0], CHECKER, {}))
    assert run.baseline.write()
    made = mended({"a.html": page}, engine="jinja2", baseline="base.json")["a.html"].splitlines()
    assert ["alt=" in line for line in made] == [False, False, False, True]


@pytest.mark.parametrize("name", ["a.hbs", "a.mustache", "a.liquid", "a.html"])
def test_other_engines_are_mended_where_places_are_exact(name):
    made = mended({name: "<table><tr><td>Hello {{name}}</td></tr></table>\n<img src='https://img.example.org/line-1.png'>\n"})
    assert made == {
        name: '<table role="presentation"><tr><td>Hello {{name}}</td></tr></table>\n<img alt="" src=\'https://img.example.org/line-1.png\'>\n'
    }


def test_generated_html_of_mjml_is_not_mended_in_the_mjml():
    page = "<mjml><mj-body><mj-section><mj-column><mj-image src='https://img.example.org/line-1.png' /><mj-text>Hi</mj-text></mj-column></mj-section></mj-body></mjml>\n"
    for text in mended({"a.mjml": page}).values():
        assert "<mj-image src" in text


def test_broken_templates_and_unreadable_ones_do_not_stop_the_others():
    files = {
        "a.html": "{% if %}<img src=line.png>",
        "b.html": b"\0",
        "c.html": "<p>Hi</p><img src='https://img.example.org/line-1.png'>",
    }
    assert mended(files, engine="jinja2").keys() == {"c.html"}


# --- the proof ---------------------------------------------------------------------------------------------------


def got(html):
    return [read(Performance(parts={TemplateRole.HTML: html}))]


@pytest.mark.parametrize(
    ("before", "after", "equal"),
    [
        ("<p>Hi</p>", "<p>Hi </p>", True),
        ("<p>Hi</p>", "<p>Ho</p>", False),
        ("<img src=a>", "<img alt='' src=a>", True),
        ("<a href=x><img src=a></a>", "<a href=x><img alt='' src=a></a>", False),
        ("<a href=x><b><img src=a></b>words</a>", "<a href=x><b><img src=a></b>words</a>", True),
        ("<a href='http://a/'>x</a>", "<a href='https://a/'>x</a>", True),
        ("<a href='http://a/'>x</a>", "<a href='https://b/'>x</a>", False),
        ("<img src='http://a/'><img src='http://b/'>", "<img src='http://b/'><img src='http://a/'>", False),
        ("<table><tr><td>x</table>", "<table role=presentation><tr><td>x</table>", True),
    ],
)
def test_what_a_reader_gets(before, after, equal):
    assert same(got(before), got(after)) is equal


def test_other_parts_are_compared_to_the_letter():
    one, other = (read(Performance(parts={TemplateRole.SUBJECT: text})) for text in ("Hi", "Hi "))
    assert not same([one], [other])
