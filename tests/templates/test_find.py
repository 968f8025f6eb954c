"""Paths of the command line become templates, each with its twins."""

import os
from pathlib import Path

import pytest

from delivcheck.facts.roots import TemplateRole
from delivcheck.templates.find import stem_of, templates
from delivcheck.templates.settings import Settings

HTML, PLAIN, SUBJECT = TemplateRole.HTML, TemplateRole.PLAIN, TemplateRole.SUBJECT


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def write(*names):
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")


def found(*given, **said):
    return list(templates(given, Settings(**said)))


def sets(*given, **said):
    """Each template's files, by what they become."""
    return [{role.value[0]: path.as_posix() for role, path in one.files.items()} for one in found(*given, **said)]


# --- twins -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("html", "plain", "subject"),
    [
        ("welcome.html", "welcome.txt", "welcome.subject.txt"),
        ("welcome.html.j2", "welcome.txt.j2", "welcome.subject.txt.j2"),
        ("welcome.html.j2", "welcome.txt.j2", "welcome.subject.j2"),
        ("welcome.j2", "welcome.txt", "welcome.subject"),
        ("welcome.mjml", "welcome.txt", "welcome.subject.txt"),
        ("welcome.mjml.j2", "welcome.text", "welcome.subj.txt"),
        ("welcome.hbs", "welcome.text.hbs", "welcome.subject.hbs"),
        ("Welcome.HTML", "welcome.TXT", "WELCOME.Subject.txt"),
        ("welcome_message.html", "welcome_message.txt", "welcome_subject.txt"),  # django-allauth
        ("welcome_body.html", "welcome_body.txt", "welcome_subject.txt"),
        ("welcome-html.liquid", "welcome-text.liquid", "welcome-subject.liquid"),
        ("welcome.html", "welcome_plain.txt", "welcome.subject.html"),
        ("wel.come.html", "wel.come.txt", "wel.come.subject.txt"),
    ],
)
def test_twins_by_their_names(html, plain, subject):
    write(html, plain, subject, "other.html", "unwelcome.txt")
    wanted = {"h": html, "p": plain, "s": subject}
    assert wanted in sets(".")
    assert sets(html) == [wanted]
    assert sets(subject) == [wanted]
    assert sets(plain) == [wanted]


def test_the_roles_that_names_give():
    write("a.html", "b.txt", "c_subject.txt", "c.txt")
    assert sets(".") == [{"h": "a.html"}, {"p": "b.txt"}, {"p": "c.txt", "s": "c_subject.txt"}]


def test_each_html_of_a_stem_is_a_template_of_its_own():
    write("a.html", "a.mjml", "a.txt")
    assert sets(".") == [{"h": "a.html", "p": "a.txt"}, {"h": "a.mjml", "p": "a.txt"}]
    assert sets("a.mjml") == [{"h": "a.mjml", "p": "a.txt"}]


def test_twins_stand_in_the_same_folder():
    write("x/a.html", "y/a.txt")
    assert sets(".") == [{"h": "x/a.html"}, {"p": "y/a.txt"}]


def test_twins_by_configuration():
    write("mail/a.html", "text/a.text.txt", "subjects/a.txt", "mail/a.txt")
    wanted = {"h": "mail/a.html", "p": "text/a.text.txt", "s": "subjects/a.txt"}
    (one,) = found("mail/a.html", folder=Path.cwd(), text="text/{stem}.text.txt", subject="subjects/{stem}.txt")
    assert {role.value[0]: path.resolve().relative_to(Path.cwd()).as_posix() for role, path in one.files.items()} == wanted


def test_a_configured_twin_that_is_not_there_is_said():
    write("a.html")
    (one,) = found("a.html", subject="{stem}.subj")
    assert one.error == "subject a.subj: no such file"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("welcome.subject.txt.j2", "welcome"),
        ("Welcome.html", "welcome"),
        (".html", ".html"),
        ("subject.txt", ""),
        ("a.b.html.j2", "a.b"),
        ("x", "x"),
        ("a_message.txt", "a"),
        ("message.txt", ""),
    ],
)
def test_the_stem_that_twins_and_data_are_found_by(name, stem):
    assert stem_of(name) == stem


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["Welcome.html"], ("Welcome",)),
        (["x_message.html", "x_message.txt"], ("x", "x_message")),
        (["X_Message.html", "x_subject.txt"], ("X", "X_Message", "x_subject")),
        (["a.subject.txt.j2", "a.html.j2"], ("a",)),
        (["body.html", "subject.txt"], ("body", "subject")),
        (["body.html", "body.txt"], ("body",)),
    ],
)
def test_what_data_beside_a_template_may_be_called(files, names):
    write(*files)
    for given in (".", files[0]):
        assert [sorted(one.names) for one in found(given)] == [sorted(names)]


@pytest.mark.parametrize(
    "files",
    [
        {"h": "body.html", "p": "body.txt", "s": "subject.txt"},
        {"h": "body.mjml.j2", "p": "body.txt.j2", "s": "subject.txt.j2"},
        {"h": "html.hbs", "p": "text.txt", "s": "subject.hbs"} | {"p": "body.txt"},
        {"h": "index.html", "p": "content.txt", "s": "subj.txt"},
        {"h": "Message.html", "s": "Subject.txt"},
        {"h": "email.html.liquid", "p": "email.txt.liquid"},
    ],
)
def test_a_folder_may_be_one_mail(files):
    wanted = {role: f"m/welcome/{name}" for role, name in files.items()}
    write(*wanted.values(), "m/bye/body.html", "m/bye/subject.txt", "m/welcome/other.html")
    assert wanted in sets("m")
    assert {"h": "m/bye/body.html", "s": "m/bye/subject.txt"} in sets("m")
    assert {"h": "m/welcome/other.html"} in sets("m")
    for name in wanted.values():
        assert sets(name) == [wanted]


# --- folders -----------------------------------------------------------------------------------------------------


def test_a_folder_gives_what_somebody_sends():
    write(
        "m/welcome.html", "m/welcome.json", "m/README.txt", "m/requirements-dev.txt", "m/LICENSE.txt", "m/robots.txt", "m/notes.md", "m/style.css",
        "m/_row.html", "m/partials/head.html", "m/sub/_layouts/x.html", "m/layouts/base.html", "m/includes/x.j2", "m/macros/x.j2",
        "m/a.html.bak", "m/a.html.orig", "m/b.html.json", "m/.c.html", "m/sub/d.mjml", "m/e.tsx", "m/f.html~",
    )  # fmt: skip
    assert sets("m") == [{"h": "m/welcome.html"}, {"h": "m/sub/d.mjml"}]


def test_a_partial_that_is_named_is_examined():
    write("m/_row.html", "m/partials/head.html", "m/README.txt")
    assert sets("m/_row.html", "m/partials/head.html", "m/README.txt") == [
        {"h": "m/_row.html"}, {"h": "m/partials/head.html"}, {"p": "m/README.txt"},
    ]  # fmt: skip


def test_a_folder_of_partials_that_is_named_is_examined():
    write("m/partials/head.html")
    assert sets("m/partials") == [{"h": "m/partials/head.html"}]


def test_names_of_folders_above_what_is_given_do_not_make_partials(tmp_path, monkeypatch):
    write("_work/layouts/m/a.html", "_work/layouts/m/partials/b.html")
    monkeypatch.chdir(tmp_path / "_work")
    assert sets(str(tmp_path / "_work/layouts/m")) == [{"h": f"{tmp_path}/_work/layouts/m/a.html"}]


def test_which_are_partials_can_be_said():
    write("m/a.html", "m/old/b.html", "m/_c.html")
    assert sets("m", partials=("m/old/*",)) == [{"h": "m/_c.html"}, {"h": "m/a.html"}]


def test_templates_of_other_languages_are_found_where_a_command_renders_them():
    write("m/a.tsx", "m/b.html")
    assert sets("m", render=("npm", "run", "x")) == [{"h": "m/a.tsx"}, {"h": "m/b.html"}]


def test_a_folder_that_is_called_like_a_template_is_a_folder():
    write("a.html/b.html", "a.html/c.txt")
    assert sets(".") == [{"h": "a.html/b.html"}, {"p": "a.html/c.txt"}]
    assert sets("a.html") == [{"h": "a.html/b.html"}, {"p": "a.html/c.txt"}]


def test_each_is_given_once_in_the_order_of_the_command_line():
    write("a.html", "b.html", "b.txt")
    Path("link.html").symlink_to("a.html")
    assert [one.name for one in found("b.txt", "a.html", "./a.html", str(Path.cwd() / "b.html"), "link.html", ".")] == [
        "b.html",
        "a.html",
    ]


# --- what cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("gone.html", "no such file or directory"),
        ("", "no such file or directory"),
        ("-", "no such file or directory"),
        ("a\0b.html", "no such file or directory"),
        ("x" * 300, "File name too long"),
        ("x/" * 5000, "File name too long"),
        ("empty", "a directory without templates"),
    ],
    ids=["gone", "nothing", "stdin", "nul", "long", "deep", "empty"],
)
def test_what_cannot_be_read_is_said_and_the_others_are_given(name, says):
    write("a.html", "empty/.keep")
    if name == "":
        name = "gone/"
    first, second = found(name, "a.html")
    assert first.error == says
    assert not first.files
    assert second.name == "a.html"


def test_a_link_to_nowhere_is_passed_by_in_a_folder_and_said_when_named():
    write("m/a.html")
    Path("m/b.html").symlink_to("gone")
    assert sets("m") == [{"h": "m/a.html"}]
    assert found("m/b.html")[0].error == "no such file or directory"


def test_odd_names_can_be_told():
    names = ["a b.html", "ü\U0001f469.html", "a\nb.html", "it's.html", "-x.html", "#.html", "a{b}.html"]
    write(*names)
    assert sorted(one.path.name for one in found(".")) == sorted(names)
    odd = os.fsdecode(b"\xff.html")
    write(odd)
    assert found(odd)[0].name == "\\xff.html"
    assert "\\xff.html" in [one.name for one in found(".")]
