"""Workflow commands of GitHub Actions."""

import re

import pytest
from hypothesis import example, given

from delivcheck.model import Level, Outcome, Result, TargetKind, Where
from delivcheck.report.github import Github
from delivcheck.report.paint import visible
from tests.report import made
from tests.report.forms import HOSTILE, acting, acts, failing, found, setting, target, unreadable, written


def parsed(text):
    """As the runner reads it: command, properties and message of each line, escapes undone."""
    commands = []
    assert not text or text.endswith("\n")
    for line in text.split("\n")[:-1]:
        command, properties, message = re.fullmatch(r"::(\w+) ([^:]*)::(.*)", line).groups()
        values = dict(part.split("=", 1) for part in properties.split(","))
        commands.append((command, {key: undone(value) for key, value in values.items()}, undone(message)))
    return commands


def undone(value):
    for code, character in (("%0D", "\r"), ("%0A", "\n"), ("%3A", ":"), ("%2C", ","), ("%25", "%")):
        value = value.replace(code, character)
    return value


def commands(*targets, folder=None, **more):
    return parsed(written(Github(setting(folder, **more)), *targets))


def test_a_finding_is_a_command_with_its_place(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "mails").mkdir()
    (tmp_path / "mails" / "a,b.html").write_text("ü<img>\n")
    one = failing(found("50% off: x", Where(file="a,b.html", line=1, column=3, end_column=8)), name="a,b.html")
    text = written(Github(setting(tmp_path / "mails")), one)
    assert text == ("::warning file=mails/a%2Cb.html,line=1,endLine=1,col=2,endColumn=7,title=html/missing-alt::50%25 off: x\n")
    assert parsed(text)[0][1]["file"] == "mails/a,b.html"


@pytest.mark.parametrize(
    ("level", "command"), [(Level.ERROR, "error"), (Level.WARNING, "warning"), (Level.NOTE, "notice"), (Level.OFF, "notice")]
)
def test_levels_have_their_commands(level, command):
    assert commands(failing(found("x"), level=level))[0][0] == command


@pytest.mark.parametrize(("level", "command"), [(Level.ERROR, "warning"), (Level.NOTE, "notice")])
def test_what_is_undecided_is_a_warning_where_it_decides(level, command):
    ((one, _, message),) = commands(target(Result("a/b", Outcome.UNKNOWN, level, "no answer")))
    assert (one, message) == (command, "undecided: no answer")


def test_a_finding_without_file_says_what_it_is_about():
    _, _, _, (_, lookups, message), _ = commands(made.silent_domain())
    assert lookups == {"title": "spf/too-many-lookups"}
    assert message.startswith("xn--bcher-kva.example TXT: 9 of 10")
    assert "\nfix: v=spf1" in message
    ((_, _, message),) = commands(failing(found("x"), name="-", kind=TargetKind.MESSAGE))
    assert message == "-: x"


def test_an_approximate_place_has_no_column():
    where = Where(file="a.html", line=4, column=2, approximate=True)
    ((_, values, message),) = commands(failing(found("x", where)))
    assert values == {"file": "a.html", "line": "4", "endLine": "4", "title": "html/missing-alt"}
    assert message == "x (near this line)"


def test_what_passes_is_silent_and_what_cannot_be_read_an_error():
    assert commands(target(Result("a/b", Outcome.PASS, Level.ERROR))) == []
    assert commands(unreadable()) == [("error", {"title": "delivcheck"}, "gone.eml: no such file or directory")]


@given(acting, acting)
@example("::error::y %0A", "a%2Cb:c,d")
def test_no_text_ends_its_line_or_begins_a_command(message, name):
    name = f"x{name.replace('/', '')}"  # in the working directory
    one = failing(found(message, Where(file=name, line=1), fix=message), name=name)
    text = written(Github(setting()), one, unreadable(name, message))
    assert not acts(text)
    (_, values, said), (command, *_) = parsed(text)
    assert set(values) == {"file", "line", "endLine", "title"}
    assert values["title"] == "html/missing-alt"
    assert values["file"].endswith(visible(name))
    assert said.startswith(visible(message))
    assert command == "error"


def test_hostile_text_is_one_command():
    text = written(Github(setting()), failing(found(HOSTILE, Where(file=HOSTILE, line=1), data=HOSTILE), name=HOSTILE))
    assert not acts(text)
    ((_, values, said),) = parsed(text)
    assert values["title"] == "html/missing-alt"
    assert said.startswith(visible(HOSTILE))
