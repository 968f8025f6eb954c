"""GitLab's Code Quality report."""

import json

import pytest
from hypothesis import given

from delivcheck.model import Level, Outcome, Result, TargetKind, Where
from delivcheck.report.gitlab import Gitlab
from tests.report import made
from tests.report.forms import HOSTILE, acting, acts, failing, found, setting, target, unreadable, written


def objects(*targets, folder=None):
    made_of = json.loads(written(Gitlab(setting(folder)), *targets))
    for one in made_of:
        assert set(one) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert one["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert set(one["location"]) == {"path", "lines"}
        assert one["location"]["lines"]["begin"] >= 1
    assert len({one["fingerprint"] for one in made_of}) == len(made_of)
    return made_of


def test_a_finding_is_an_object_with_path_and_line(tmp_path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "mails").mkdir()
    one = failing(found("no alt", Where(file="a b.html", line=7, column=1), fix="x"), name="a b.html")
    (told,) = objects(one, folder=tmp_path / "mails")
    assert (told["description"], told["check_name"]) == ("no alt (fix: x)", "html/missing-alt")
    assert told["location"] == {"path": "mails/a b.html", "lines": {"begin": 7}}


@pytest.mark.parametrize(
    ("level", "severity"), [(Level.ERROR, "critical"), (Level.WARNING, "major"), (Level.NOTE, "minor"), (Level.OFF, "info")]
)
def test_levels_have_their_severities(level, severity):
    assert objects(failing(found("x"), level=level))[0]["severity"] == severity


def test_what_is_undecided_is_but_information_and_an_unreadable_input_a_blocker():
    undecided, gone = objects(target(Result("a/b", Outcome.UNKNOWN, Level.ERROR, "no answer")), unreadable())
    assert (undecided["severity"], undecided["description"]) == ("info", "undecided: no answer")
    assert (gone["severity"], gone["location"]["path"]) == ("blocker", "gone.eml")


def test_a_domain_stands_for_the_path():
    lookups = next(one for one in objects(made.silent_domain()) if one["check_name"] == "spf/too-many-lookups")
    assert lookups["location"] == {"path": "bücher.example", "lines": {"begin": 1}}
    assert lookups["description"].startswith("xn--bcher-kva.example TXT: 9 of 10")


def test_equal_findings_of_a_file_are_kept_apart_and_stable():
    def at(*lines):
        return objects(failing(*(found("no alt", Where(file="a.html", line=line, column=1)) for line in lines)))

    assert [one["fingerprint"] for one in at(3, 9, 20)] == [one["fingerprint"] for one in at(5, 11, 22)]


def test_no_findings_are_an_empty_array():
    assert objects() == []
    assert objects(target(Result("a/b", Outcome.PASS, Level.ERROR))) == []


@given(acting, acting)
def test_it_is_json_whatever_is_found(message, name):
    one = failing(found(message, Where(file=name, line=1), fix=message), name=name)
    dns = failing(found(message, Where(name=name, type="TXT")), name=name, kind=TargetKind.DOMAIN)
    assert len(objects(one, dns, unreadable(name, message))) == 3


def test_hostile_text_does_not_act():
    text = written(Gitlab(setting()), failing(found(HOSTILE, data=HOSTILE, fix=HOSTILE), name=HOSTILE))
    assert not acts(text)
    assert text.isascii()
