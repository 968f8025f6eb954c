"""`delivcheck template` on real files: exit codes, formats, repairs, and no network."""

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from delivcheck.report import schema
from tests.cli.conftest import environment

WHOLE = jsonschema.Draft202012Validator(schema.packaged())
LINE = jsonschema.Draft202012Validator({**schema.packaged(), "$ref": "#/$defs/TargetReport"})

GOOD = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Your order</title></head>
<body><p>Hello {{ name or 'there' }},</p>
<p>your order is on its way, and will be with you on Monday or on Tuesday. You will find everything about it on our pages.</p>
</body></html>
"""
IMG = '<img src="https://img.example.net/a.png">\n'
LINE_IMG = '<img src="https://img.example.net/line.png">\n'
ALT = "html/missing-alt"
QUIET = ("--class", "transactional", "--no-fuzz")


@pytest.fixture(autouse=True)
def _where_it_stands(tmp_path):
    (tmp_path / "delivcheck.toml").write_text("[templates]\nfrom = 'Shop <shop@shop.example.net>'\n")


def write(files):
    for name, text in files.items():
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())


def results(ran, number=0):
    return {result["rule"]: result for result in ran.json["targets"][number]["results"]}


def places(ran, rule, number=0):
    return [(one["where"]["file"], one["where"]["line"]) for one in results(ran, number).get(rule, {}).get("problems", [])]


def one_line(ran):
    assert ran.err.count("\n") == 1, ran.err
    assert ran.err.startswith("delivcheck: ")
    return ran.err.removeprefix("delivcheck: ").rstrip("\n")


# --- exit codes --------------------------------------------------------------------------------------------------


def test_a_template_without_a_fault_is_0(run):
    write({"a.html.j2": GOOD, "a.subject.txt": "Your order", "a.txt": "Hello,\n\nyour order is on its way.\n"})
    ran = run("template", "a.html.j2", *QUIET, "--rule", "*=off", "--rule", "template/*=error")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("PASS")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ((), 1),
        (("--exit-zero",), 0),
        (("--fail-on", "never"), 0),
        (("-f", "json"), 1),
        (("-f", "concise"), 1),
        (("-f", "jsonl"), 1),
        (("-f", "sarif"), 1),
    ],
)
def test_a_template_that_does_not_render_is_1(run, more, code):
    write({"a.j2": "<p>\n{% if x %}\n"})
    ran = run("template", "a.j2", *more)
    assert (ran.code, ran.err) == (code, "")
    assert "template/does-not-render" in ran.out
    assert "endif" in ran.out


def test_a_findings_level_decides_with_fail_on(run):
    write({"a.html": f"<p>Hello</p>{IMG}"})
    asked = ("template", "a.html", *QUIET, "--rule", "*=off")
    assert run(*asked, "--rule", f"{ALT}=warning").code == 0
    assert run(*asked, "--rule", f"{ALT}=error").code == 1
    assert run(*asked, "--rule", f"{ALT}=warning", "--fail-on", "warning").code == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["a.html", "--engine", "jinja"], "--engine: no template engine 'jinja'; did you mean jinja2?"),
        (["a.html", "--engine", ""], "--engine: no template engine ''"),
        (["a.html", "--baseline", "gone.json"], "gone.json: No such file or directory; --write-baseline makes it"),
        (["a.html", "--write-baseline"], "--write-baseline needs --baseline FILE, or baseline in [templates]"),
        (["a.html", "--watch", "--fix"], "--watch only checks: leave --fix and --diff out"),
        (["a.html", "--watch", "--write-baseline", "--baseline", "x"], "--write-baseline and --watch contradict each other"),
        (["a.html", "--changed", "--diff"], "--changed only checks: leave --fix, --diff and --watch out"),
        ([], "a path is wanted, or paths in [templates] of the configuration"),
        (["a.html", "--offline"], "no such option"),
        (["a.html", "--output", "json=a.html"], "--output"),
    ],
)  # fmt: skip
def test_what_was_typed_wrongly_is_2_and_one_line(run, arguments, says):
    write({"a.html": GOOD})
    ran = run("template", *arguments)
    assert ran.code == 2
    assert says in one_line(ran)
    assert Path("a.html").read_text() == GOOD


@pytest.mark.parametrize(
    "text",
    [
        "[templates]\nengine = 'x'\n",
        "[templates]\nengin = 'x'\n",
        "[templates.options]\ntrim = 1\n",
        "[[templates.overrides]]\n",
        "templates = 1\n",
    ],
)
def test_a_configuration_that_cannot_be_is_2_and_one_line(run, text):
    write({"a.j2": GOOD, "delivcheck.toml": text})
    ran = run("template", "a.j2")
    assert ran.code == 2
    assert one_line(ran)


@pytest.mark.parametrize(
    ("files", "arguments", "says"),
    [
        ({}, ["gone.html"], "gone.html: no such file or directory"),
        ({"m/.keep": ""}, ["m"], "m: a directory without templates"),
        ({"a.html": b"\x89PNG\0"}, ["a.html"], "a.html: binary data, no template"),
        ({"a.html": "<p>".encode("utf-16")}, ["a.html"], "a.html: stored as UTF-16: save it as UTF-8"),
        ({"a.html": b"\xff<p>"}, ["a.html"], "a.html: not UTF-8: invalid start byte at octet 0"),
        ({"a.html": b"x" * 10_485_761}, ["a.html"], "a.html: more than 10,485,760 characters, which is more than any mail has"),
        ({"a.html": GOOD}, ["a.html", "--data", "gone.json"], "a.html: gone.json: no such file"),
        ({"a.html": GOOD, "a.json": "{"}, ["a.html"], "a.html: a.json:1:"),
        ({}, ["x" * 300], "File name too long"),
    ],
    ids=["gone", "empty", "binary", "utf-16", "latin-1", "large", "data", "broken data", "long"],
)  # fmt: skip
def test_an_input_that_cannot_be_read_is_3_and_one_line(run, files, arguments, says):
    write(files)
    ran = run("template", *arguments, *QUIET)
    assert ran.code == 3
    assert says in one_line(ran)


def test_one_that_cannot_be_read_does_not_stop_the_others(run):
    write({"m/a.html": b"\0", "m/b.html": f"<p>Hello</p>{IMG}", "m/c.j2": "{% if %}"})
    ran = run("template", "m", "gone.html", *QUIET, "-f", "json")
    assert ran.code == 3
    assert [target["target"] for target in ran.json["targets"]] == ["m/a.html", "m/b.html", "m/c.j2", "gone.html"]
    assert places(ran, ALT, 1) == [("m/b.html", 1)]
    assert sorted(ran.err.splitlines()) == [
        "delivcheck: gone.html: no such file or directory",
        "delivcheck: m/a.html: binary data, no template",
    ]


def test_a_huge_template_is_examined(run, soak):
    write({"a.html": "<p>x</p>\n" * ((10_485_760 if soak else 524_288) // 9)})
    ran = run("template", "a.html", *QUIET, "-f", "json")
    assert ran.code in {0, 1, 4}
    assert ran.err == ""


def test_nested_as_deep_as_nobody_writes_is_one_finding(run):
    write(
        {
            "a.j2": "{% if x %}" * 2_000 + "{% endif %}" * 2_000,
            "b.hbs": "{{#if x}}" * 2_000 + "{{/if}}" * 2_000,
            "c.liquid": "{% if x %}" * 2_000 + "{% endif %}" * 2_000,
            "d.mustache": "{{#x}}" * 2_000 + "{{/x}}" * 2_000,
            "e.djhtml": "{% if x %}" * 2_000 + "{% endif %}" * 2_000,
            "f.html": "<div>" * 20_000,
        }
    )
    ran = run("template", "a.j2", "b.hbs", "c.liquid", "d.mustache", "e.djhtml", "f.html", *QUIET, "-f", "json")
    assert ran.code in {0, 1, 4}
    assert ran.err == ""


# --- what is told ------------------------------------------------------------------------------------------------

FAMILY = {
    "m/base.html": "<html lang='en'><body>{% block x %}{% endblock %}\n{% include 'partials/p.html' %}</body></html>\n",
    "m/partials/p.html": f"<hr>\n{IMG}",
    "m/a.html": "{% extends 'base.html' %}\n{% block x %}<p>Hello {{ name }}</p>{% endblock %}\n",
}


def test_json_is_as_the_schema_says(run):
    write(
        {
            **FAMILY,
            "m/b.j2": "{% if %}",
            "m/c.html": b"\0",
            "m/d.html": "{# delivcheck: nonsense #}{{ x }}",
            "m/d.json": '{"y": 1}',
        }
    )
    ran = run("template", "m", "-f", "json", "-v")
    WHOLE.validate(ran.json)
    assert {target["kind"] for target in ran.json["targets"]} == {"template"}
    lines = run("template", "m", "-f", "jsonl")
    for line in lines.lines:
        LINE.validate(line)
    assert [line["target"] for line in lines.lines] == [target["target"] for target in ran.json["targets"]]


def test_text_shows_the_line_of_the_file_that_has_it(run):
    write(FAMILY)
    ran = run("template", "m", *QUIET, "--rule", "*=off", "--rule", f"{ALT}=error")
    assert "m/partials/p.html:2:1" in ran.out
    assert "2 │ <img src=" in ran.out


def test_the_configuration_is_found_from_where_one_stands(run, tmp_path, monkeypatch):
    write({"delivcheck.toml": "[templates]\nengine = 'html'\npaths = ['m']\n", "m/deep/a.html": "{% if %}{% extends %}"})
    monkeypatch.chdir(tmp_path / "m/deep")
    assert not places(run("template", "a.html", *QUIET, "-f", "json"), "template/does-not-render")
    assert [one["target"] for one in run("template", *QUIET, "-f", "json").json["targets"]] == [f"{tmp_path}/m/deep/a.html"]
    ran = run("template", "a.html", "--engine", "jinja2", *QUIET, "-f", "json")
    assert places(ran, "template/does-not-render") == [("a.html", 1)]


def test_roots_and_data_of_the_command_line(run):
    write({"m/a.html": "{% include 'x.inc' %}{{ name }}", "lib/x.inc": IMG, "d.json": '{"nmae": 1}'})
    ran = run("template", "m", "--root", "lib", "--data", "d.json", "--engine", "jinja2", *QUIET, "-f", "json")
    assert places(ran, ALT) == [("lib/x.inc", 1)]
    assert places(ran, "template/undeclared-variable") == [("m/a.html", 1)]


def test_a_problem_of_a_later_data_set_names_it(run):
    write({"a.j2": f"<p>Hello</p>{{% if x %}}\n{IMG}{{% endif %}}", "a.one.json": '{"x": false}', "a.two.json": '{"x": true}'})
    (problem,) = results(run("template", "a.j2", *QUIET, "-f", "json"))[ALT]["problems"]
    assert problem["data"] == "a.two.json"
    assert "a.two.json" in run("template", "a.j2", *QUIET).out


def test_per_path_policies(run):
    config = f"[[overrides]]\npaths = ['old/*']\nrules = {{ '{ALT}' = 'off' }}\n"
    write({"delivcheck.toml": config, "old/a.html": f"<p>Hello</p>{IMG}", "b.html": f"<p>Hello</p>{IMG}"})
    ran = run("template", "old", "b.html", *QUIET, "-f", "json")
    assert [places(ran, ALT, number) for number in (0, 1)] == [[], [("b.html", 1)]]


@pytest.mark.parametrize(
    ("changed", "checked"),
    [
        (["m/partials/p.html"], ["m/a.html", "m/b.html"]),
        (["m/b.html"], ["m/b.html"]),
        (["m/a.json", "m/b.subject.txt"], ["m/a.html", "m/b.html"]),
        (["m/c.html"], ["m/c.html"]),
        (["other/x.html"], ["other/x.html"]),
        (["other/notes.md"], []),
        ([], []),
    ],
)
def test_changed_files_have_the_templates_checked_that_they_belong_to(run, changed, checked):
    files = {
        "m/partials/p.html": "<hr>",
        "m/a.html": "{% include 'partials/p.html' %}",
        "m/b.html": "{% include 'partials/p.html' %}",
        "m/c.html": "x",
        "m/a.json": "{}",
        "m/b.subject.txt": "Hi",
        "other/x.html": "x",
        "other/notes.md": "x",
    }
    write(files)
    ran = run("template", "--changed", *changed, "-f", "json", *QUIET)
    assert [target["target"] for target in ran.json["targets"]] == checked


@pytest.mark.parametrize(("name", "octets"), [("m/a.html", b"\xff"), ("m/a.json", b"{"), ("m/partials/p.html", b"\xff")])
def test_a_changed_file_that_breaks_a_template_is_never_passed_by(run, name, octets):
    write({"m/partials/p.html": "<hr>", "m/a.html": "{% include 'partials/p.html' %}", "m/a.json": "{}"})
    write({name: octets})
    ran = run("template", "--changed", name, "-f", "json", *QUIET)
    assert [target["target"] for target in ran.json["targets"]] == ["m/a.html"]
    assert ran.code in {1, 3}


# --- the baseline ------------------------------------------------------------------------------------------------

ONLY = ("--rule", "*=off", "--rule", f"{ALT}=error", "--class", "transactional", "--no-fuzz")


def test_a_baseline_is_made_hides_and_only_shrinks(run):
    write({"m/a.html": f"<p>Hello</p>{IMG}{IMG}", "m/b.html": f"<p>Hello</p>{IMG}"})
    assert run("template", "m", *ONLY, "--baseline", "base.json", "--write-baseline").code == 0
    whole = Path("base.json").read_bytes()
    assert run("template", "m", *ONLY, "--baseline", "base.json").code == 0
    write({"m/a.html": f"<p>Hello</p>\n\n{IMG}", "m/b.html": f"<p>Hello</p>{IMG}{IMG}"})
    ran = run("template", "m", *ONLY, "--baseline", "base.json", "-f", "json")
    assert (ran.code, places(ran, ALT, 1)) == (1, [("m/b.html", 2)])
    assert Path("base.json").read_bytes() == whole
    assert run("template", "m", *ONLY, "--baseline", "base.json", "--write-baseline").code == 1
    assert [one["count"] for one in json.loads(Path("base.json").read_text())["findings"]] == [1, 1]
    run("template", "m/a.html", *ONLY, "--baseline", "base.json", "--write-baseline")
    assert len(json.loads(Path("base.json").read_text())["findings"]) == 2


def test_a_baseline_of_the_configuration(run):
    write({"delivcheck.toml": "[templates]\nbaseline = 'ci/base.json'\n", "ci/.keep": "", "a.html": f"<p>Hello</p>{IMG}"})
    assert "--write-baseline makes it" in one_line(run("template", "a.html", *ONLY))
    run("template", "a.html", *ONLY, "--write-baseline")
    assert run("template", "a.html", *ONLY).code == 0


# --- repairs -----------------------------------------------------------------------------------------------------

DECLARED = "[templates]\nlanguage = 'en'\nhttps-hosts = ['img.example.net']\n"
FAULTY = "<!doctype html>\n<html>\n<head><title>x</title></head>\n<body>\n<table><tr><td>Hello</td></tr></table>\n<p>ü\u2028x\x0c{{ name }}</p>\n\n\n\n<p>more</p>\n<img src='http://img.example.net/line-1.png'>\n<p>last</p>"
SHAPES = {
    "a.html": FAULTY.encode() + b"\n",
    "crlf.html": FAULTY.replace("\n", "\r\n").encode() + b"\r\n",
    "no end.html": FAULTY.encode(),
    "bom.html": b"\xef\xbb\xbf" + FAULTY.encode() + b"\n",
    "bom crlf no end.html": b"\xef\xbb\xbf" + FAULTY.replace("\n", "\r\n").encode(),
    "ünicode.html": FAULTY.encode() + b"\n",
    "one line.html": b"<p>Hello</p><img src='https://img.example.net/line-1.png'>",
}


def wanted(octets):
    text = octets.decode().replace("<html>", '<html lang="en">').replace("<head>", '<head><meta charset="utf-8">')
    text = (
        text.replace("<table>", '<table role="presentation">')
        .replace("http://img", "https://img")
        .replace("<img", '<img alt=""')
    )
    return text.encode()


def test_fix_mends_the_files_and_keeps_their_line_ends_mark_and_last_line(run):
    write({"delivcheck.toml": DECLARED, **{f"m/{name}": octets for name, octets in SHAPES.items()}})
    run("template", "m", "--fix", "--engine", "jinja2")
    for name, octets in SHAPES.items():
        assert Path("m", name).read_bytes() == wanted(octets), name
    before = {path: path.stat().st_mtime_ns for path in Path("m").iterdir()}
    ran = run("template", "m", "--fix", "--engine", "jinja2")
    assert "mended" not in ran.err
    assert {path: path.stat().st_mtime_ns for path in Path("m").iterdir()} == before


def test_diff_shows_what_fix_does_to_the_octet(run):
    write({"delivcheck.toml": DECLARED, **{f"m/{name}": octets for name, octets in SHAPES.items()}})
    ran = run("template", "m", "--diff", "--engine", "jinja2")
    assert ran.code == 1
    assert ran.err == (
        "delivcheck: 7 files would be mended: a11y/layout-table 6, a11y/no-language 6, html/insecure-resource 6, "
        "html/missing-alt 7, html/no-meta-charset 6\n"
    )
    assert {path.name: path.read_bytes() for path in Path("m").iterdir()} == SHAPES
    Path("mend.diff").write_bytes(ran.out.encode())
    for program in (["patch", "-p1", "--binary", "-i"], ["git", "apply"]):
        write({f"m/{name}": octets for name, octets in SHAPES.items()})
        done = subprocess.run([*program, "mend.diff"], capture_output=True, check=False, timeout=60)
        assert done.returncode == 0, done
        assert {path.name: path.read_bytes() for path in Path("m").iterdir()} == {n: wanted(o) for n, o in SHAPES.items()}
    assert run("template", "m", "--diff", "--engine", "jinja2").code == 0


def test_fix_says_what_it_did_and_checks_what_is_left(run):
    write(
        {
            "delivcheck.toml": DECLARED,
            "a.html": f"<p>Hello</p>{LINE_IMG}<a href='https://www.shop.example.net/'>\n{LINE_IMG}</a>",
        }
    )
    ran = run("template", "a.html", "--fix", *ONLY, "-f", "json")
    assert ran.err == "delivcheck: 1 file mended: html/missing-alt 1\n"
    assert (ran.code, places(ran, ALT)) == (1, [("a.html", 3)])


def test_fix_leaves_to_people_what_only_they_know(run):
    page = f"<p>Hello</p>{IMG}<table><tr><td>{{{{ a }}}}</td><td>{{{{ b }}}}</td></tr></table><a href='http://www.oak.email/'>x</a>\n"
    write({"delivcheck.toml": DECLARED, "a.html": page})
    ran = run(
        "template",
        "a.html",
        "--fix",
        *ONLY,
        "--rule",
        "links/plain-http=error",
        "--rule",
        "a11y/layout-table=error",
        "-f",
        "json",
    )
    assert (ran.code, ran.err, Path("a.html").read_text()) == (1, "", page)
    assert places(ran, "links/plain-http") == places(ran, "a11y/layout-table") == [("a.html", 2)]
    assert places(ran, ALT) == [("a.html", 1)]


def test_fix_mends_every_address_and_every_layout_table_of_a_file_at_once(run):
    page = "<table><tr><td>{table}</td></tr></table>\n<a href='http://www.oak.email/'>http://www.oak.email/</a>\n"
    page = page.replace("{table}", "<table><tr><td>Hello</td></tr></table>") * 3
    write({"delivcheck.toml": "[templates]\nhttps-hosts = ['www.oak.email']\n", "a.html": page})
    ran = run("template", "a.html", "--fix", *ONLY, "--rule", "links/plain-http=error", "--rule", "a11y/layout-table=error")
    assert ran.err == "delivcheck: 1 file mended: a11y/layout-table 6, links/plain-http 3\n"
    assert Path("a.html").read_text() == page.replace("<table>", '<table role="presentation">').replace("'http:", "'https:")


def test_an_mjml_mail_of_parts_is_one_target_with_its_findings_in_the_parts(run):
    write(
        {
            "m/a.mjml": "<mjml><mj-body>\n<mj-include path='./part' />\n</mj-body></mjml>\n",
            "m/part.mjml": "<mj-section><mj-column>\n<mj-text>Hello {{ name | default('you') }}</mj-text>\n<mj-image src='https://img.example.net/{{ x }}.png' />\n</mj-column></mj-section>\n",
            "m/a.json": '{"x": "oak"}',
        }
    )
    ran = run("template", "m", *QUIET, "-f", "json")
    assert [target["target"] for target in ran.json["targets"]] == ["m/a.mjml"]
    assert ran.json["targets"][0]["facts"]["template"]["engine"] == "jinja2+mjml"
    assert places(ran, ALT) == [("m/part.mjml", 3)]
    assert "3 │ <mj-image src=" in run("template", "m", *QUIET, "--rule", "*=off", "--rule", f"{ALT}=error").out


def test_a_folder_for_each_mail(run):
    write({"m/welcome/subject.txt": "Hi", "m/welcome/body.html": GOOD, "m/welcome/body.txt": "Hello", "m/bye/body.html": GOOD})
    ran = run("template", "m", *QUIET, "-f", "json")
    assert [target["target"] for target in ran.json["targets"]] == ["m/bye/body.html", "m/welcome/body.html"]


def test_fix_and_the_baseline_go_together(run):
    write({"a.html": f"<p>Hello</p>{LINE_IMG}"})
    run("template", "a.html", *ONLY, "--baseline", "base.json", "--write-baseline")
    ran = run("template", "a.html", *ONLY, "--baseline", "base.json", "--fix", "--write-baseline")
    assert ran.code == 0
    assert json.loads(Path("base.json").read_text())["findings"] == []


def test_diff_of_nothing_is_0(run):
    write({"a.html": GOOD})
    ran = run("template", "a.html", "--diff", "--engine", "jinja2")
    assert (ran.code, ran.out, ran.err) == (0, "", "delivcheck: nothing to mend\n")


def test_diff_with_exit_zero(run):
    write({"a.html": f"<p>Hello</p>{LINE_IMG}"})
    assert run("template", "a.html", "--diff", "--exit-zero").code == 0


def test_a_file_that_changed_meanwhile_is_left_alone(run, monkeypatch):
    from delivcheck.templates.fix.mending import Mending

    mend = Mending.mend

    async def and_somebody_writes(self, paths):
        done = await mend(self, paths)
        write({"a.html": "somebody's own words"})
        return done

    monkeypatch.setattr(Mending, "mend", and_somebody_writes)
    write({"a.html": f"<p>Hello</p>{LINE_IMG}"})
    ran = run("template", "a.html", "--fix")
    assert ran.code == 2
    assert one_line(ran).endswith("a.html: has changed meanwhile, and was left alone")
    assert Path("a.html").read_text() == "somebody's own words"


# --- no network --------------------------------------------------------------------------------------------------

BLOCKED = """\
import socket, sys

def blocked(*arguments, **options):
    sys.stderr.write("NETWORK: %r\\n" % (arguments[1:],))
    raise RuntimeError("the network was asked")

for name in ("connect", "connect_ex", "bind", "sendto", "sendmsg", "listen"):
    setattr(socket.socket, name, blocked)
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "create_connection", "getnameinfo"):
    setattr(socket, name, blocked)
"""
REMOTE = """\
<html lang="en"><head><link rel="stylesheet" href="http://styles.example.net/a.css">
<style>@import url("http://styles.example.net/b.css"); @font-face { font-family: x; src: url(http://styles.example.net/f.woff) }</style></head>
<body background="http://img.example.net/b.png"><p>Hello %s</p><a href="http://www.example.net/">x</a>
<img src="http://img.example.net/a.png"><iframe src="http://www.example.net/"></iframe></body></html>
"""
MJML = """\
<mjml><mj-head><mj-font name="x" href="http://styles.example.net/f.css" /><mj-include path="http://www.example.net/x.mjml" />
<mj-style inline="inline">@import url(http://styles.example.net/b.css); p { color: red }</mj-style></mj-head>
<mj-body><mj-section background-url="http://img.example.net/b.png"><mj-column><mj-image src="http://img.example.net/a.png" />
<mj-text css-class="x">Hello</mj-text>%s</mj-column></mj-section></mj-body></mjml>
"""
EVERY_ENGINE = {
    "a.j2": REMOTE % "{{ name }}",
    "a2.j2": "{% include 'http://www.example.net/x.html' %}",
    "b.djhtml": REMOTE % "{{ name }}" + "{% include 'http://www.example.net/x.html' %}",
    "c.mjml": MJML % "",
    "c2.mjml": (MJML % "").replace('<mj-include path="http://www.example.net/x.mjml" />', ""),
    "c3.mjml.j2": (MJML % "{{ name }}").replace('<mj-include path="http://www.example.net/x.mjml" />', ""),
    "d.liquid": REMOTE % "{{ name }}" + "{% include 'http://www.example.net/x' %}",
    "e.hbs": REMOTE % "{{name}}",
    "e2.hbs": "{{> http://www.example.net/x }}",
    "f.mustache": REMOTE % "{{name}}",
    "g.html": REMOTE % "you",
    "h.html": REMOTE % "*|FNAME|*",
    "i.html": REMOTE % "%%first_name%%",
    "j.html": REMOTE % "{{ ${first_name} }}{% connected_content http://www.example.net/ %}",
    "k.txt": "Hello http://www.example.net/\n",
    "d.subject.txt": "News from www.example.net",
}


def test_nothing_connects_or_resolves_without_probe(tmp_path, soak):
    write({f"m/{name}": text for name, text in EVERY_ENGINE.items()})
    write({"blocked/sitecustomize.py": BLOCKED, "delivcheck.toml": "[templates]\nfrom = 'Shop <shop@shop.example.net>'\n"})
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path / 'blocked'}:{env['PYTHONPATH']}"
    probe = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('192.0.2.1', 1))"],
        capture_output=True,
        check=False,
        env=env,
        timeout=60,
    )
    assert b"NETWORK" in probe.stderr  # the block is there
    for more in ((), ("--fix",), ("--policy", "strict", "--class", "bulk")) if soak else ((),):
        ran = subprocess.run(
            [sys.executable, "-m", "delivcheck", "template", "m", "-f", "json", *more],
            capture_output=True,
            check=False,
            env=env,
            timeout=120,
        )
        assert b"NETWORK" not in ran.stderr
        assert ran.returncode in {1, 4}, ran.stderr
        targets = json.loads(ran.stdout[ran.stdout.index(b"{") :])["targets"]
        assert len(targets) == len(EVERY_ENGINE) - 1
        assert not [one for one in targets if one.get("error")]


def test_nothing_connects_or_resolves_in_this_process_either(run, monkeypatch):
    import socket

    made = []
    monkeypatch.setattr(socket.socket, "connect", lambda *arguments: made.append(arguments))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **_: made.append(arguments))
    write({f"m/{name}": text for name, text in EVERY_ENGINE.items()})
    assert run("template", "m", "--no-fuzz").code in {1, 4}
    assert made == []
