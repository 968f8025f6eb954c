"""A run over templates: what is examined, with which data, and where its findings are."""

import asyncio
import json
from pathlib import Path

import pytest

from delivcheck.config import Config, ConfigError
from delivcheck.model import Outcome, Verdict
from delivcheck.templates.run import Run, Wishes
from tests.templates.world import CHECKER, examined, places, problems, result, started, write

IMG = '<img src="https://img.example.org/a.png">\n'
PAGE = f"<!doctype html>\n<html lang='en'><body>\n<p>Hello {{{{ name }}}}</p>\n{IMG}</body></html>\n"
ALT = "html/missing-alt"
BROKEN = "template/does-not-render"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def only(files, paths=(".",), **options):
    (report,) = examined(files, paths, **options).values()
    return report


# --- data --------------------------------------------------------------------------------------------------------


def test_several_data_sets_show_what_each_shows_and_name_it():
    page = f"<p>Hello</p>\n{{% if first %}}\n{IMG}{{% endif %}}\n{{% if second %}}\n{IMG}{{% endif %}}\n"
    report = only(
        {"a.html": page, "a.one.json": '{"first": true, "second": false}', "a.two.json": '{"first": true, "second": true}'}
    )
    assert [(one.where.line, one.data) for one in problems(report, ALT)] == [(3, None), (6, "a.two.json")]


def test_what_a_loop_repeats_is_told_once_whatever_its_values_say():
    page = "<p>Hello</p>\n{% for x in items %}\n<img src='https://img.example.org/{{ x }}.png'>{% endfor %}\n"
    report = only({"a.html": page, "a.json": '{"items": ["oak", "elm", "ash"]}'})
    assert [one.message for one in problems(report, ALT)] == ["the image oak.png has no alt attribute"]
    assert places(report, ALT) == [("a.html", 3)]


def test_what_differs_in_its_words_with_the_data_is_told_once():
    page = "<img src='https://img.example.org/{{ x }}.png'>\n"
    report = only({"a.html": page, "a.one.json": '{"x": "oak"}', "a.two.json": '{"x": "elm"}'})
    assert [one.message for one in problems(report, ALT)] == ["the image oak.png has no alt attribute"]


def test_two_faults_on_one_line_are_two():
    report = only({"a.html": f"<p>Hello</p>{IMG.strip()}{IMG}"})
    assert len(problems(report, ALT)) == 2


def test_common_data_stands_beneath_a_templates_own():
    files = {
        "a.html": "{{ shop }} {{ name }}",
        "a.json": '{"name": "Bob"}',
        "data/common.json": '{"shop": "Oak Ltd", "name": "x"}',
        "b.html": "{{ shop }}{{ name }}",
    }
    write(files)
    _, prepared = started(["a.html", "b.html"], config="[templates]\ndata = ['data/common.json']\n")
    assert [(one.sets[0].name, dict(one.sets[0].data)) for one in prepared] == [
        ("a.json", {"shop": "Oak Ltd", "name": "Bob"}),
        (f"{Path.cwd()}/data/common.json", {"shop": "Oak Ltd", "name": "x"}),
    ]


def test_without_data_it_is_made_up_and_nothing_is_undeclared():
    report = only({"a.html": PAGE})
    assert result(report, "template/undeclared-variable").outcome is Outcome.NOT_APPLICABLE
    assert result(report, BROKEN).outcome is Outcome.PASS


def test_a_variable_that_no_data_set_has_is_told_with_its_place():
    report = only(
        {
            "a.html": "<p>\n{{ user.nmae }} {{ shop }}</p>",
            "a.json": '{"user": {"name": "x"}, "shop": "y"}',
            "a.two.json": '{"shop": ""}',
        }
    )
    (one,) = problems(report, "template/undeclared-variable")
    assert (one.message, one.where.line, one.where.column) == ("user.nmae is in no data set; did you mean user.name?", 2, 4)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"a.json": "{"}, "a.json:"),
        ({"a.json": "[]"}, "a.json:1: a data set is a mapping of names to values, not"),
        ({"a.yaml": "a: [\n"}, "a.yaml:"),
        ({"a.json": b"\xff"}, "a.json:1: not UTF-8"),
        ({"a.toml": "a = "}, "a.toml:1:"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_read_is_one_line_and_the_others_are_examined(files, says):
    reports = examined({"a.html": PAGE, "b.html": PAGE, **files})
    assert reports["a.html"].startswith(says)
    assert "\n" not in reports["a.html"]
    assert places(reports["b.html"], ALT) == [("b.html", 4)]


def test_a_missing_data_file_is_one_line():
    reports = examined({"a.html": PAGE}, data=("gone.json",))
    assert reports["a.html"] == "gone.json: no such file"


# --- includes ----------------------------------------------------------------------------------------------------

FAMILY = {
    "base.html": "<html lang='en'><body>\n{% block main %}{% endblock %}\n{% include 'partials/foot.html' %}\n</body></html>\n",
    "partials/foot.html": f"<hr>\n{IMG}",
    "a.html": "{% extends 'base.html' %}\n{% block main %}\n<p>Hello</p>\n<img src='https://img.example.org/own.png'>\n{% endblock %}\n",
    "b.html": "{% extends 'base.html' %}\n",
}


@pytest.mark.parametrize("engine", ["jinja2", "django"])
def test_findings_are_on_the_line_of_the_file_that_has_them(engine):
    reports = examined(FAMILY, engine=engine)
    assert list(reports) == ["a.html", "b.html"]
    assert places(reports["a.html"], ALT) == [("a.html", 4), ("partials/foot.html", 2)]
    assert places(reports["b.html"], ALT) == [("partials/foot.html", 2)]


def test_what_others_include_is_examined_only_where_it_is_named():
    write(FAMILY)
    assert [one.name for one in started(["."])[1]] == ["a.html", "b.html"]
    named = [one.name for one in started(["base.html", "partials/foot.html", "."])[1]]
    assert named == ["base.html", "partials/foot.html", "a.html", "b.html"]


def test_files_are_named_alike_whether_they_were_found_or_given():
    write(FAMILY)
    here = Path.cwd()
    run, prepared = started([str(here)])
    assert [one.name for one in prepared] == [f"{here}/a.html", f"{here}/b.html"]
    assert {run.sources.known(path).name for path in run.files(prepared[0])} == {
        f"{here}/{name}" for name in FAMILY if name != "b.html"
    }


def test_roots_are_where_includes_are_looked_for(tmp_path, monkeypatch):
    write({"apps/mail/a.html": "{% include 'x/part.html' %}", "lib/x/part.html": IMG})
    monkeypatch.chdir(tmp_path / "apps")
    (report,) = examined({}, ["mail"], roots=("../lib",)).values()
    assert places(report, ALT) == [("../lib/x/part.html", 1)]
    (report,) = examined({}, ["mail"]).values()
    assert problems(report, BROKEN)


def test_roots_of_the_configuration_stand_below_it(tmp_path):
    write({"apps/mail/a.html": "{% include 'x/part.html' %}", "lib/x/part.html": IMG})
    (report,) = examined({}, ["apps/mail"], config="[templates]\nroots = ['lib']\n").values()
    assert places(report, ALT) == [("lib/x/part.html", 1)]


@pytest.mark.parametrize("engine", ["jinja2", "django"])
def test_a_circle_of_includes_is_one_finding(engine):
    reports = examined({"a.html": "<p>\n{% include 'b.html' %}", "b.html": "{% include 'a.html' %}"}, ["a.html"], engine=engine)
    (one,) = problems(reports["a.html"], BROKEN)
    assert one.where.file in {"a.html", "b.html"}
    assert "\n" not in one.message


def test_a_circle_in_a_folder_is_not_passed_by():
    reports = examined({"a.html": "{% include 'b.html' %}", "b.html": "{% include 'a.html' %}"}, engine="jinja2")
    assert list(reports) == ["a.html"]
    assert problems(reports["a.html"], BROKEN)


def test_a_template_that_includes_itself_is_examined():
    page = "{% if items %}{% for items in items %}{% include 'a.html' %}{% endfor %}{% endif %}\n" + IMG
    assert places(only({"a.html": page, "a.json": '{"items": [[], [[]]]}'}, engine="jinja2"), ALT) == [("a.html", 2)]


def test_an_include_that_is_not_there_is_on_its_line():
    report = only({"a.html": "<p>\n\n{% include 'gone.html' %}"}, engine="jinja2")
    (one,) = problems(report, BROKEN)
    assert (one.where.file, one.where.line) == ("a.html", 3)
    assert "gone.html" in one.message


@pytest.mark.parametrize("octets", [b"\x89PNG\0\0", b"\xff\xfe<\0", b"<p>\xe9"], ids=["binary", "utf-16", "latin-1"])
def test_an_included_file_that_is_no_text_is_on_the_line_that_includes_it(octets):
    report = only({"a.html": "<p>\n{% include 'b.inc' %}", "b.inc": octets}, engine="jinja2")
    (one,) = problems(report, BROKEN)
    assert (one.where.file, one.where.line) == ("a.html", 2)
    assert one.message.startswith("b.inc: ") or "b.inc" in one.message


# --- what cannot be examined -------------------------------------------------------------------------------------


def test_a_template_that_does_not_render_fails_with_line_and_the_engines_words():
    report = only({"a.html": "<p>\n{% if x %}\n</p>\n"}, engine="jinja2")
    (one,) = problems(report, BROKEN)
    assert (one.where.file, one.where.line) == ("a.html", 2)
    assert "endif" in one.message
    assert report.verdict is Verdict.FAIL


def test_broken_templates_do_not_stop_good_ones():
    files = {
        "a.j2": "{% if %}",
        "b.html": PAGE,
        "c.liquid": "{% if x %}",
        "d.hbs": "{{#if x}}",
        "e.mjml": "<mjml><mj-body>",
        "f.mustache": "{{#x}}",
        "g.djhtml": "{% if %}",
        "h.html": b"\0",
    }
    reports = examined(files)
    assert reports["h.html"] == "binary data, no template"
    assert [name for name, one in reports.items() if not isinstance(one, str) and problems(one, BROKEN)] == [
        "a.j2",
        "c.liquid",
        "d.hbs",
        "e.mjml",
        "f.mustache",
        "g.djhtml",
    ]
    for name, one in reports.items():
        for problem in [] if isinstance(one, str) else problems(one, BROKEN):
            assert (problem.where.file, problem.where.line) == (name, 1)
    assert places(reports["b.html"], ALT) == [("b.html", 4)]


@pytest.mark.parametrize(
    ("octets", "says"),
    [
        (b"x" * 10_485_761, "more than 10,485,760 characters, which is more than any mail has"),
        (b"\x89PNG\r\n\0", "binary data, no template"),
        ("<p>".encode("utf-16"), "stored as UTF-16: save it as UTF-8"),
        (b"<p>\xe9</p>", "not UTF-8: invalid continuation byte at octet 3"),
    ],
    ids=["large", "binary", "utf-16", "latin-1"],
)
def test_a_file_that_is_no_template_is_one_line(octets, says):
    assert examined({"we: come.html": octets}) == {"we: come.html": says}


def test_a_link_out_of_the_folder_is_read_only_where_it_is_named(tmp_path):
    write({"secret.html": IMG, "m/a.html": PAGE})
    Path("m/out.html").symlink_to(tmp_path / "secret.html")
    reports = examined({}, ["m"])
    assert reports["m/out.html"] == f"a link out of the folders that were given, to {tmp_path}/secret.html"
    assert places(examined({}, ["m/out.html"])["m/out.html"], ALT) == [("m/out.html", 1)]


def test_a_language_that_is_not_rendered_here_says_what_to_do():
    report = only({"a.tsx": "export default () => <p/>"}, ["a.tsx"])
    assert 'set render = "your command" in [templates]' in problems(report, BROKEN)[0].message


def test_options_that_an_engine_does_not_have_are_a_fault_of_the_configuration():
    with pytest.raises(ConfigError, match="trim"):
        examined({"a.j2": "x"}, config="[templates.options]\ntrim = true\n")


@pytest.mark.parametrize(
    ("wishes", "says"),
    [
        ({"engine": "jinja"}, "--engine: no template engine 'jinja'; did you mean jinja2?"),
        ({"make_baseline": True}, "--write-baseline needs --baseline FILE, or baseline in [templates]"),
        ({"baseline": "gone.json"}, "gone.json: No such file or directory; --write-baseline makes it"),
    ],
)
def test_wishes_that_cannot_be_are_one_line(wishes, says):
    with pytest.raises(ConfigError) as caught:
        Run(Config(), Wishes(**wishes), None)
    assert str(caught.value) == says


# --- configuration -----------------------------------------------------------------------------------------------


def test_what_is_said_per_path_holds_there():
    config = "[[templates.overrides]]\npaths = ['old/*']\nengine = 'html'\n"
    reports = examined({"a.html": "{% if %}{% set x = 1 %}", "old/b.html": "{% if %}{% set x = 1 %}"}, config=config)
    assert problems(reports["a.html"], BROKEN)
    assert not problems(reports["old/b.html"], BROKEN)


def test_the_subject_and_the_text_are_checked_with_the_html():
    files = {"a.html": PAGE, "a.txt": "Hello\n\n{{ nmae }}\n", "a.subject.txt": "Hi {{ nmea }}\n", "a.json": '{"name": "Bob"}'}
    assert sorted(places(only(files), "template/undeclared-variable")) == [("a.subject.txt", 1), ("a.txt", 3)]


def test_a_subject_of_front_matter_leads_to_its_line():
    report = only({"a.html": "---\nsubject: Hello {{ nam }}\n---\n<p>Hi</p>", "a.json": '{"name": "x"}'}, engine="jinja2")
    (one,) = problems(report, "template/undeclared-variable")
    assert (one.where.line, one.where.column) == (2, 19)


def test_mjml_with_front_matter():
    page = "---\nsubject: Hello\n---\n<mjml><mj-body><mj-section><mj-column>\n<mj-image src='https://img.example.org/a.png' />\n</mj-column></mj-section></mj-body></mjml>\n"
    report = only({"a.mjml": page})
    assert not problems(report, BROKEN)
    assert all(line >= 4 for _, line in places(report, ALT))


# --- silencing ---------------------------------------------------------------------------------------------------

SILENT = "{# delivcheck: ignore-next html/missing-alt -- decoration #}\n"
UNUSED = "template/unused-suppression"


def test_a_comment_silences_and_is_counted():
    report = only({"a.html": f"<p>Hi</p>\n{SILENT}{IMG}"}, engine="jinja2")
    assert (places(report, ALT), places(report, UNUSED), report.counts.suppressed) == ([], [], 1)


def test_a_comment_in_a_shared_file_is_used_if_one_template_needs_it():
    part = f"{{# delivcheck: ignore html/missing-alt -- x #}}{{% if x %}}{IMG.strip()}{{% endif %}}\n"
    files = {
        "partials/p.html": part,
        "a.html": "{% include 'partials/p.html' %}",
        "b.html": "{% include 'partials/p.html' %}",
        "a.json": '{"x": true}',
        "b.json": '{"x": false}',
    }
    reports = examined(files, engine="jinja2")
    assert [places(report, UNUSED) for report in reports.values()] == [[], []]
    write({"a.json": '{"x": false}'})
    reports = examined({}, engine="jinja2")
    assert [places(report, UNUSED) for report in reports.values()] == [[], [("partials/p.html", 1)]]


def test_of_a_file_that_unknown_templates_include_no_comment_is_called_unused():
    files = {"partials/p.html": f"{SILENT}<p>", "a.html": f"{SILENT}{{% include 'partials/p.html' %}}"}
    (report,) = examined(files, ["a.html"], engine="jinja2").values()
    assert places(report, UNUSED) == [("a.html", 1)]
    (report,) = examined(files, ["."], engine="jinja2").values()
    assert places(report, UNUSED) == [("a.html", 1), ("partials/p.html", 1)]


def test_in_a_broken_template_no_comment_is_called_unused():
    report = only({"a.html": f"{SILENT}<p>{{% if %}}"}, engine="jinja2")
    assert (len(problems(report, BROKEN)), places(report, UNUSED)) == (1, [])


@pytest.mark.parametrize(("name", "comment"), [
    ("a.j2", "{# delivcheck: ignore-file html/missing-alt -- SECRET #}"),
    ("a.djhtml", "{# delivcheck: ignore-file html/missing-alt -- SECRET #}"),
    ("a.djhtml", "{% comment %}delivcheck: ignore-file html/missing-alt -- SECRET{% endcomment %}"),
    ("a.liquid", "{% comment %} delivcheck: ignore-file html/missing-alt -- SECRET {% endcomment %}"),
    ("a.liquid", "{% # delivcheck: ignore-file html/missing-alt -- SECRET %}"),
    ("a.hbs", "{{!-- delivcheck: ignore-file html/missing-alt -- SECRET --}}"),
    ("a.hbs", "{{! delivcheck: ignore-file html/missing-alt -- SECRET }}"),
    ("a.mustache", "{{! delivcheck: ignore-file html/missing-alt -- SECRET }}"),
])  # fmt: skip
def test_a_comment_in_the_engines_own_syntax_silences_and_never_ships(name, comment):
    files = {name: f"<p>Hi</p>{comment}\n{IMG}"}
    report = only(files)
    assert places(report, ALT) == []
    run, (one,) = started()
    done = run.stage.perform(one.script, one.sets[0])
    assert b"SECRET" not in done.built.octets
    assert b"delivcheck:" not in done.built.octets


# --- the baseline ------------------------------------------------------------------------------------------------


def test_what_the_baseline_has_is_silent_wherever_it_has_moved_to():
    write({"a.html": PAGE, "b.html": PAGE})
    run, prepared = started(baseline="base.json", make_baseline=True)
    for one in prepared:
        assert not problems(asyncio.run(run.examine(one, CHECKER, {})), ALT)
    run.baseline.write()
    reports = examined({"a.html": PAGE.replace("<p>", "\n\n<p>") + IMG.replace("a.png", "new.png")}, baseline="base.json")
    assert [places(report, ALT) for report in reports.values()] == [[("a.html", 8)], []]
    assert {one["file"] for one in json.loads(Path("base.json").read_text())["findings"]} == {"a.html", "b.html"}


# --- what the data lacks -----------------------------------------------------------------------------------------

UNDECLARED = "template/undeclared-variable"


def performed(files, paths=(".",), **options):
    """The parts of each template with its first data set, by their names, and nothing that went wrong."""
    write(files)
    run, prepared = started(paths, **options)
    made = {one.name: run.stage.perform(one.script, one.sets[0]) for one in prepared}
    assert [done.faults for done in made.values()] == [()] * len(made)
    return {name: {role.value: text for role, text in done.parts.items()} for name, done in made.items()}


def told(report):
    """Line and name of what no data set has."""
    return [(one.where.line, one.message.partition(" ")[0].rstrip(",")) for one in problems(report, UNDECLARED)]


def test_functions_and_forgotten_values_do_not_hide_what_else_is_found_in_jinja2():
    page = f"<p>Hello {{{{ user.name }}}}</p>\n<a href=\"{{{{ url_for('confirm', token=token) }}}}\">x</a>\n{{{{ user.shop.upper() }}}}\n{IMG}"
    files = {"a.html": page, "a.json": '{"user": {"name": "Bob"}}'}
    report = only(files, engine="jinja2")
    assert (problems(report, BROKEN), places(report, ALT)) == ([], [("a.html", 4)])
    assert told(report) == [(2, "token"), (3, "user.shop")]
    html = performed(files, engine="jinja2")["a.html"]["html"]
    assert "<p>Hello Bob</p>" in html
    assert '<a href="https://' in html


def test_methods_and_forgotten_values_of_django():
    page = f"<p>Hello {{{{ user.name }}}}</p>\n{{{{ user.get_full_name }}}} of {{{{ shop }}}}{{% for x in rows %}}<b>{{{{ x.price }}}}</b>{{% endfor %}}\n{IMG}"
    files = {"a.html": page, "a.json": '{"user": {"name": "Bob"}}'}
    report = only(files, engine="django")
    assert (problems(report, BROKEN), places(report, ALT)) == ([], [("a.html", 3)])
    assert {"user.get_full_name", "shop", "rows"} <= {name.partition("[")[0] for _, name in told(report)}
    html = performed(files, engine="django")["a.html"]["html"]
    assert "<p>Hello Bob</p>" in html
    assert " of <" not in html
    assert "<b></b>" not in html
    assert "<b>" in html


def test_forgotten_values_of_handlebars_in_every_item():
    page = (
        f"<p>Hello {{{{user.name}}}}</p>\n{{{{#each items}}}}<b>{{{{sku}}}}:{{{{price}}}}</b>{{{{/each}}}}\n{{{{shop}}}}\n{IMG}"
    )
    files = {"a.hbs": page, "a.json": '{"user": {"name": "Bob"}, "items": [{"sku": "1"}, {"sku": "2", "price": "7"}]}'}
    report = only(files)
    assert (places(report, ALT), told(report)) == ([("a.hbs", 4)], [(3, "shop")])
    files["a.json"] = '{"user": {"name": "Bob"}, "items": [{"sku": "1"}, {"sku": "2"}]}'
    assert told(only(files)) == [(2, "items[].price"), (3, "shop")]
    html = performed(files)["a.hbs"]["html"]
    assert "<b>1:" in html
    assert "<b>2:" in html
    assert ":</b>" not in html


@pytest.mark.parametrize("engine", ["jinja2", "django"])
def test_what_is_guarded_or_in_some_data_set_stays_missing(engine):
    page = "{% if coupon %}COUPON {{ coupon.code }}{% endif %}[{{ only_two }}]{{ gone }}"
    files = {"a.html": page, "a.one.json": '{"x": 1}', "a.two.json": '{"only_two": "2"}'}
    html = performed(files, engine=engine)["a.html"]["html"]
    assert html.startswith("[]")
    assert html != "[]"


def test_what_fuzzing_takes_away_is_not_made_up_again():
    page = "<p>{{ shop or '' }} {{ note }}</p>\n{{ url_for('x') }}{{ gone }}\n"
    report = only({"a.html": page, "a.json": '{"shop": "Oak", "note": "soon"}'}, engine="jinja2", fuzz=None)
    (one,) = problems(report, "template/missing-value-shows")
    assert (one.where.line, one.message.startswith("None in the HTML")) == (1, True)
    assert told(report) == [(2, "gone")]


def test_data_that_was_given_is_not_changed():
    write({"a.html": "{{ user.name }}{{ user.gone }}", "a.json": '{"user": {"name": "Bob"}}'})
    run, (one,) = started(engine="jinja2")
    run.stage.perform(one.script, one.sets[0])
    assert one.sets[0].data == {"user": {"name": "Bob"}}
    assert [each.name for each in one.sets[0].lacking] == ["user.gone"]


# --- MJML that includes files with code --------------------------------------------------------------------------

OUTER = "<mjml><mj-body>\n<mj-include path='./part' />\n</mj-body></mjml>\n"
PART = "<mj-section><mj-column>\n<mj-text>Hello {{ name | default('you') }}</mj-text>\n<mj-image src='https://img.example.org/{{ x }}.png' />\n</mj-column></mj-section>\n"


def engines(files, paths=("m",), **options):
    write(files)
    return {one.name: one.script.parts[0].engine.name for one in started(paths, **options)[1]}


@pytest.mark.parametrize(
    ("part", "engine"),
    [
        ("{{ name | default('you') }}", "jinja2+mjml"),
        ("{% load i18n %}{{ name|default:'you' }}", "django+mjml"),
        ("{% assign a = 1 %}{{ name | upcase }}", "liquid+mjml"),
        ("{{#if name}}{{name}}{{/if}}", "handlebars+mjml"),
        ("nothing", "mjml"),
    ],
)
def test_the_language_of_mjml_is_that_of_what_it_includes(part, engine):
    text = f"<mj-section><mj-column><mj-text>{part}</mj-text></mj-column></mj-section>"
    inner = "<mj-include path='deep.mjml' />"
    assert engines({"m/a.mjml": OUTER, "m/part.mjml": text}) == {"m/a.mjml": engine}
    assert engines({"m/a.mjml": OUTER, "m/part.mjml": inner, "m/deep.mjml": text}) == {"m/a.mjml": engine}
    assert engines({"m/a.mjml": OUTER, "m/part.mjml": text}, engine="mjml")["m/a.mjml"] == "mjml"


def test_code_of_an_included_file_is_rendered_and_its_findings_are_on_its_own_lines():
    files = {"m/a.mjml": OUTER, "m/part.mjml": PART, "m/a.json": '{"name": "Bob", "x": "oak"}'}
    assert "Hello Bob" in performed(files, ["m"])["m/a.mjml"]["html"]
    (one,) = problems(only({}, ["m"]), ALT)
    assert (one.where.file, one.where.line, one.where.column, one.where.approximate) == ("m/part.mjml", 3, 1, False)
    assert one.message == "the image oak.png has no alt attribute"


def test_variables_of_an_included_file_are_told_where_they_stand():
    report = only({"m/a.mjml": OUTER, "m/part.mjml": PART, "m/a.json": '{"name": "Bob"}'}, ["m"])
    assert places(report, UNDECLARED) == [("m/part.mjml", 3)]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ("<mj-section>\n{% if %}{{ x | default('y') }}</mj-section>", (2, None)),
        ("<mj-section><mj-column>\n<mj-text>{{ name | default('y') }}</mj-section>", (2, 1)),
        (
            "<mj-section><mj-column><mj-text>\n\n  {{ name.x.y | default('y') }}{{ 1 // 0 }}</mj-text></mj-column></mj-section>",
            (3, None),
        ),
        ("{{ x | default('') }}\n<mj-include path='gone.mjml' />", (2, None)),
    ],
)
def test_faults_of_an_included_file_are_on_its_own_lines(part, place):
    report = only({"m/a.mjml": OUTER, "m/part.mjml": part, "m/a.json": "{}"}, ["m"])
    (one,) = problems(report, BROKEN)
    assert (one.where.file, one.where.line, one.where.approximate) == ("m/part.mjml", place[0], False)
    assert place[1] in {None, one.where.column}
    assert "(rendered)" not in one.message


def test_what_mjml_includes_is_not_examined_by_itself():
    assert list(engines({"m/a.mjml": OUTER, "m/part.mjml": PART})) == ["m/a.mjml"]
    assert list(engines({}, ["m/part.mjml"])) == ["m/part.mjml"]


def test_mjml_files_that_include_each_other_are_one_finding():
    files = {"m/a.mjml": OUTER.replace("part", "b"), "m/b.mjml": OUTER.replace("part", "a") + "{{ x | default('') }}"}
    reports = examined(files, ["m"])
    assert list(reports) == ["m/a.mjml"]
    assert len(problems(reports["m/a.mjml"], BROKEN)) == 1


UNSUBSCRIBE = "template/no-unsubscribe-variable"


@pytest.mark.parametrize(
    ("files", "leaves"),
    [
        ({"m/a.html": "{% include 'p/foot.inc' %}", "m/p/foot.inc": "<a href='{{ unsubscribe_url }}'>x</a>"}, True),
        ({"m/a.html": "{% extends 'p/foot.inc' %}", "m/p/foot.inc": "<a href='{{ unsubscribe_url }}'>x</a>"}, True),
        ({"m/a.html": "{% include 'p/foot.inc' %}", "m/p/foot.inc": "{# unsubscribe_url #}<p>x</p>"}, False),
        ({"m/a.html": "<p>x</p>", "m/p/foot.inc": "<a href='{{ unsubscribe_url }}'>x</a>"}, False),
        ({"m/a.mjml": OUTER, "m/part.mjml": PART.replace("Hello", "<a href='{{ unsubscribe_url }}'>x</a>")}, True),
        ({"m/a.mjml": OUTER, "m/part.mjml": PART}, False),
    ],
)
def test_the_way_out_may_stand_in_what_a_template_includes(files, leaves):
    found = result(only(files, ["m"]), UNSUBSCRIBE)
    assert (found.outcome is Outcome.PASS) is leaves
    assert len(found.problems) == (not leaves)
    assert "were not read" not in (found.reason or "")


# --- macros in place of the template -----------------------------------------------------------------------------

MACROS = "{% macro subject() %}Order {{ number }}{% endmacro %}\n{% macro body() %}\n<p>Hello {{ name }}</p>{% block more %}{% endblock %}\n{% endmacro %}\nOUTSIDE"
BY_MACROS = "[templates]\nsubject-macro = 'subject'\ntext-macro = 'body'\n"


def test_macros_are_rendered_in_place_of_the_template():
    files = {"a.html.j2": MACROS, "a.json": '{"number": 7, "name": "Bob"}'}
    parts = performed(files, config=BY_MACROS)["a.html.j2"]
    assert (parts["html"].strip(), parts["subject"]) == ("<p>Hello Bob</p>", "Order 7")


def test_macros_of_a_parent_and_a_subject_in_a_file_of_its_own():
    files = {
        "base.html.j2": MACROS,
        "a.html.j2": "{% extends 'base.html.j2' %}{% block more %}<i>more</i>{% endblock %}",
        "b.html.j2": "{% extends 'base.html.j2' %}",
        "b.subject.txt": "My own",
        "common.json": '{"number": 7, "name": "Bob"}',
    }
    made = performed(files, config=BY_MACROS, data=("common.json",))
    assert {name: parts["subject"] for name, parts in made.items()} == {"a.html.j2": "Order 7", "b.html.j2": "My own"}
    assert "<i>more</i>" in made["a.html.j2"]["html"]


def test_templates_without_such_macros_are_rendered_whole():
    files = {"a.html.j2": "<p>x</p>", "b.hbs": "<p>{{x}}</p>", "c.html.j2": "{% macro subjects() %}y{% endmacro %}<p>z</p>"}
    made = performed(files, config=BY_MACROS)
    assert [sorted(parts) for parts in made.values()] == [["html"]] * 3
    assert made["a.html.j2"]["html"] == "<p>x</p>"


def test_findings_in_a_macro_are_on_its_lines():
    report = only({"a.html.j2": MACROS.replace("{% endblock %}\n", "{% endblock %}\n" + IMG)}, config=BY_MACROS)
    assert places(report, ALT) == [("a.html.j2", 4)]
    report = only({"a.html.j2": MACROS, "a.json": '{"name": "x"}'}, config=BY_MACROS)
    assert places(report, UNDECLARED) == [("a.html.j2", 1)]


def test_a_macro_only_where_an_override_says_so():
    config = "[[templates.overrides]]\npaths = ['old/*']\ntext-macro = 'body'\n"
    made = performed({"old/a.html.j2": MACROS, "b.html.j2": MACROS}, config=config)
    assert ["OUTSIDE" in parts["html"] for parts in made.values()] == [True, False]
