"""TAP 14."""

import re

import pytest
import yaml
from hypothesis import given

from delivcheck.model import Level, Outcome, Result, TargetKind, Where
from delivcheck.report.tap import Tap
from tests.report import made
from tests.report.forms import HOSTILE, acting, acts, failing, found, setting, target, unreadable, written

POINT = re.compile(
    r"(?P<not>not )?ok (?P<number>\d+) - (?P<said>(?:[^\\#]|\\[\\#])*?)(?: # (?P<directive>SKIP|TODO) (?P<why>.*))?"
)


def points(*targets, **more):
    """The test points as a harness reads them: whether it counts as passed, directive, reason, description, diagnostics."""
    text = written(Tap(setting(**more)), *targets)
    assert not acts(text)
    first, *lines, plan = text.split("\n")[:-1]
    assert first == "TAP version 14"
    read, block = [], None
    for line in lines:
        if block is not None:
            if line == "  ...":
                read[-1]["yaml"] = yaml.safe_load("\n".join(block))
                block = None
            else:
                assert line.startswith("  ")
                block.append(line[2:])
        elif line == "  ---":
            block = []
        else:
            point = POINT.fullmatch(line)
            assert point, line
            assert int(point["number"]) == len(read) + 1
            said = re.sub(r"\\([\\#])", r"\1", point["said"])
            read.append({"ok": not point["not"], "said": said, "directive": point["directive"], "why": point["why"]})
    assert block is None
    assert plan == f"1..{len(read)}"
    return read


def point(result, **more):
    (one,) = points(target(result), **more)
    return one


def test_a_rule_of_a_target_is_a_point():
    read = points(made.newsletter(), made.receipt())
    assert len(read) == len(made.newsletter().results) + len(made.receipt().results)
    assert read[0]["said"] == "newsletter.eml: unsubscribe/post-not-signed"


def test_a_run_without_targets_has_an_empty_plan():
    assert points() == []


def test_a_failure_brings_its_findings():
    problems = (
        found("one: #1", Where(file="a.html", line=3, column=1), fix="x\ny", level=Level.NOTE),
        found("two", Where(name="example.com", type="TXT")),
    )
    one = point(Result("a/b", Outcome.FAIL, Level.ERROR, problems=problems, because="a/a"))
    assert (one["ok"], one["directive"]) == (False, None)
    assert one["yaml"] == {
        "severity": "error",
        "because": "a/a",
        "findings": [
            {"message": "one: #1", "at": "a.html:3", "severity": "note", "fix": "x␊y"},
            {"message": "two", "at": "example.com TXT"},
        ],
    }


def test_a_finding_without_place_and_a_failure_without_findings_are_told():
    (one,) = points(failing(found("x"), name="-", kind=TargetKind.MESSAGE, level=Level.ERROR))
    assert one["yaml"]["findings"] == [{"message": "x"}]
    assert point(Result("a/b", Outcome.FAIL, Level.ERROR))["yaml"] == {"severity": "error"}


@pytest.mark.parametrize(
    ("level", "fail_on", "directive"),
    [(Level.WARNING, Level.ERROR, "TODO"), (Level.WARNING, Level.WARNING, None), (Level.ERROR, None, "TODO")],
)
def test_what_does_not_fail_the_run_is_a_todo(level, fail_on, directive):
    one = point(Result("a/b", Outcome.FAIL, level, problems=(found("x"),)), fail_on=fail_on)
    assert (one["ok"], one["directive"]) == (False, directive)


def test_what_is_undecided_fails_where_it_decides_and_is_skipped_elsewhere():
    decides = point(Result("a/b", Outcome.UNKNOWN, Level.ERROR, "no answer"))
    assert (decides["ok"], decides["yaml"]["findings"][0]["message"]) == (False, "undecided: no answer")
    one = point(Result("a/b", Outcome.UNKNOWN, Level.NOTE, "no answer"))
    assert (one["ok"], one["directive"], one["why"]) == (True, "SKIP", "undecided: no answer")


def test_a_fault_of_ours_fails_at_any_level():
    one = point(Result("a/b", Outcome.UNKNOWN, Level.NOTE, "it raised", bug=True))
    assert (one["ok"], one["directive"]) == (False, None)


def test_what_does_not_apply_is_skipped_with_its_reason():
    one = point(Result("a/b", Outcome.NOT_APPLICABLE, Level.ERROR, "no # sign"))
    assert (one["ok"], one["directive"], one["why"]) == (True, "SKIP", "no # sign")
    assert point(Result("a/b", Outcome.PASS, Level.ERROR)) == {
        "ok": True,
        "said": "a.html: a/b",
        "directive": None,
        "why": None,
    }


def test_an_input_that_cannot_be_read_fails():
    (one,) = points(unreadable())
    assert (one["ok"], one["yaml"]) == (False, {"severity": "fail", "message": "no such file or directory"})


@given(acting, acting)
def test_whatever_is_found_a_harness_reads_it(message, name):
    one = failing(found(message, Where(file=name, line=1), fix=message), name=name, level=Level.ERROR)
    skipped = target(Result("a/b", Outcome.NOT_APPLICABLE, Level.ERROR, message), name=name)
    assert [point["ok"] for point in points(one, skipped, unreadable(name, message))] == [False, True, False]


def test_hostile_text_is_no_directive():
    (one,) = points(failing(found(HOSTILE, data=HOSTILE), name=HOSTILE, level=Level.ERROR))
    assert (one["ok"], one["directive"]) == (False, None)
