"""The `[templates]` table: what it says, and every way in which it can be wrong."""

from pathlib import Path

import pytest

from delivcheck.config import Config, ConfigError, load
from delivcheck.facts.roots import DataKind
from delivcheck.templates.model import Host
from delivcheck.templates.settings import PARTIALS, Settings, read

FULL = """\
[templates]
paths = ["emails", "more/x.html"]
engine = "jinja2+mjml"
roots = ["shared"]
data = "data/common.json"
from = "Shop <shop@example.org>"
subject = "{stem}.subj"
text = "text/{stem}.txt"
subject-macro = "get_subject"
text-macro = "get_body"
required = ["site_name"]
partials = ["_*"]
fuzz = ["missing", "html-special", "missing", "full"]
render = ["npm", "run", "export"]
output = "out/{stem}.html"
baseline = "baseline.json"
language = "pt-BR"
https-hosts = ["Img.Example.org", "*.bücher.example"]

[templates.stubs]
filters = ["fmt_*"]
tags = ["asset"]
tests = ["premium"]

[templates.options]
trim_blocks = true

[[templates.overrides]]
paths = ["old/*", "x.html"]
engine = "liquid"
fuzz = false

[[templates.overrides]]
paths = ["old/new/*"]
engine = "handlebars"
text-macro = "body"

[templates.options.jinja2]
lstrip_blocks = true
"""


@pytest.fixture
def given(tmp_path):
    def settings(text, name="delivcheck.toml"):
        file = tmp_path / name
        file.write_text(text)
        return read(load(file))

    return settings


def test_everything_that_can_be_said(given, tmp_path):
    made = given(FULL)
    assert made == Settings(
        folder=tmp_path,
        paths=("emails", "more/x.html"),
        engine="jinja2+mjml",
        roots=("shared",),
        data=("data/common.json",),
        author="Shop <shop@example.org>",
        subject="{stem}.subj",
        text="text/{stem}.txt",
        subject_macro="get_subject",
        text_macro="get_body",
        required=("site_name",),
        partials=("_*",),
        fuzz=(DataKind.MISSING, DataKind.HTML),
        render=("npm", "run", "export"),
        output="out/{stem}.html",
        baseline="baseline.json",
        language="pt-BR",
        https_hosts=("img.example.org", "*.xn--bcher-kva.example"),
        host=Host(("fmt_*",), ("asset",), ("premium",), {"trim_blocks": True, "jinja2": {"lstrip_blocks": True}}),
        overrides=(
            (("old/*", "x.html"), {"engine": "liquid", "fuzz": ()}),
            (("old/new/*",), {"engine": "handlebars", "text_macro": "body"}),
        ),
    )


def test_nothing_said_is_the_defaults(given, tmp_path):
    assert read(Config()) == Settings(Path.cwd())
    for text in ("", "policy = 'bulk'\n", "[templates]\n"):
        made = given(text)
        assert made == Settings(tmp_path)
        assert made.fuzz == tuple(DataKind)[1:]
        assert made.partials is PARTIALS


def test_the_table_of_a_pyproject(given):
    assert given("[tool.delivcheck.templates]\nengine = 'django'\n", "pyproject.toml").engine == "django"


def test_later_overrides_go_before_earlier_ones(given, tmp_path):
    made = given(FULL)
    assert made.at(tmp_path / "a.html") is made
    assert made.at(tmp_path / "x.html").engine == "liquid"
    old = made.at(tmp_path / "old/a.html")
    assert (old.engine, old.fuzz, old.author) == ("liquid", (), "Shop <shop@example.org>")
    new = made.at(tmp_path / "old/new/a.html")
    assert (new.engine, new.fuzz, new.text_macro, old.text_macro) == ("handlebars", (), "body", "get_body")
    assert new.host is made.host  # by which engines are kept


def test_patterns_are_about_paths_below_the_configuration_wherever_one_stands(given, tmp_path, monkeypatch):
    made = given(FULL)
    (tmp_path / "old").mkdir()
    monkeypatch.chdir(tmp_path / "old")
    assert made.at(Path("a.html")).engine == "liquid"
    assert made.at(Path("../x.html")).engine == "liquid"
    assert made.at(Path("/elsewhere/x.html")).engine == "jinja2+mjml"


@pytest.mark.parametrize(
    ("fuzz", "kinds"),
    [("true", tuple(DataKind)[1:]), ("false", ()), ("[]", ()), ("['full']", ()), ("['none']", (DataKind.NONE,))],
)
def test_which_values_are_tried(given, fuzz, kinds):
    assert given(f"[templates]\nfuzz = {fuzz}\n").fuzz == kinds


ODD = {
    "number": "7",
    "float": "nan",
    "flag": "true",
    "list": "[]",
    "numbers": "[1]",
    "mixed": "['a', 1]",
    "table": "{}",
    "date": "2026-11-23",
    "blank": "' '",
    "empty": "''",
    "nul": '"a\\u0000b"',
    "text": "'some text'",
}
FINE = {
    "paths": {"list", "text", "blank", "empty", "nul"},
    "engine": set(),
    "roots": {"list", "text", "blank", "empty", "nul"},
    "data": {"list", "text", "blank", "empty", "nul"},
    "from": {"text"},
    "subject": {"text"},
    "text": {"text"},
    "subject-macro": set(),
    "text-macro": set(),
    "required": {"list", "text", "blank", "empty", "nul"},
    "partials": {"list", "text", "blank", "empty", "nul"},
    "fuzz": {"flag", "list"},
    "render": {"text"},
    "output": {"text"},
    "baseline": {"text"},
    "language": set(),
    "https-hosts": {"list"},
    "stubs": {"table"},
    "options": {"table"},
    "overrides": {"list"},
    "inline-css": set(),
    "Engine": set(),
    "stubs.filters": {"list"},
    "stubs.macros": set(),
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("key", FINE)
def test_an_odd_value_is_one_line_with_file_line_and_key(given, tmp_path, key, kind):
    text = f"# mine\n[templates]\n{key} = {ODD[kind]}\n"
    if kind in FINE[key]:
        given(text)
        return
    with pytest.raises(ConfigError) as caught:
        given(text)
    says = str(caught.value)
    assert says.startswith(f"{tmp_path}/delivcheck.toml:3: templates.{key}: ")
    assert says.isprintable()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("templates = 7\n", "1: templates: a table is wanted here"),
        ("[templates]\nengin = 'x'\n", "2: templates.engin: no such key; did you mean engine?"),
        ("[templates]\nengine = 'jinja'\n", "2: templates.engine: no template engine 'jinja'; did you mean jinja2?"),
        ("[templates]\nengine = 'jinja2+'\n", "2: templates.engine: no template engine ''"),
        ("[templates]\nsubject-macro = 'a b'\n", "2: templates.subject-macro: 'a b' is no name of a macro"),
        ("[[templates.overrides]]\npaths = ['x']\ntext-macro = 'x()'\n", "3: templates.overrides.text-macro: 'x()' is no name of a macro"),
        ("[templates]\nfuzz = ['lots']\n", "2: templates.fuzz: 'lots' is none of full, missing"),
        ("[templates]\nlanguage = 'deutsch!'\n", "2: templates.language: 'deutsch!' is no language tag such as en or pt-BR"),
        ("[templates]\nhttps-hosts = ['a..b']\n", "2: templates.https-hosts: "),
        ("[templates]\nrender = ['']\n", "2: templates.render: a program and its arguments are wanted here"),
        ("[templates.stubs]\nfilter = []\n", "2: templates.stubs.filter: no such key; did you mean filters?"),
        ("[[templates.overrides]]\nengine = 'liquid'\n", "1: templates.overrides: paths: at least one pattern is wanted"),
        ("[[templates.overrides]]\npaths = 'x'\n", "2: templates.overrides.paths: a list of strings is wanted here, not 'x'"),
        ("[[templates.overrides]]\npaths = ['x']\nroots = ['y']\n", "3: templates.overrides.roots: no such key"),
        ("[[templates.overrides]]\npaths = ['x']\n[[templates.overrides]]\npaths = ['y']\nfuzz = 1\n", "5: templates.overrides.fuzz: "),
        ("[templates]\noverrides = [7]\n", "2: templates.overrides: a table is wanted here"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(given, tmp_path, text, says):
    with pytest.raises(ConfigError) as caught:
        given(text)
    assert str(caught.value).startswith(f"{tmp_path}/delivcheck.toml:{says}")
