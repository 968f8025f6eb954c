"""JUnit XML, as Jenkins and GitLab read it."""

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from delivcheck.model import Level, Outcome, Result, TargetKind, Where
from delivcheck.report.junit import Junit
from tests.report import made
from tests.report.forms import HOSTILE, acting, acts, failing, found, setting, target, unreadable, written

RED = {"failure", "error"}


def suites(*targets, **more):
    root = ET.fromstring(written(Junit(setting(**more)), *targets).encode())
    assert (root.tag, {suite.tag for suite in root}) == ("testsuites", {"testsuite"} if targets else set())
    for suite in root:  # what Jenkins' reader asks for
        assert {"name", "tests", "failures", "errors", "skipped", "time"} == set(suite.attrib)
        for case in suite:
            assert {"classname", "name"} <= set(case.attrib)
            assert [child.tag for child in case] in ([], ["failure"], ["error"], ["skipped"], ["system-out"])
        assert int(suite.get("tests")) == len(suite)
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(attribute)) == len(suite.findall(f"testcase/{tag}"))
    return list(root)


def case(result, **more):
    """The element that one result comes to; None for a case that passed."""
    ((found_case,),) = suites(target(result), **more)
    return next(iter(found_case), None)


def test_a_target_is_a_suite_and_a_rule_that_ran_a_case():
    (suite,) = suites(made.newsletter())
    assert (suite.get("name"), suite.get("time")) == ("newsletter.eml", "0.250")
    assert [one.get("name") for one in suite] == [result.rule for result in made.newsletter().results]
    first = suite[0]
    assert first.get("classname") == "newsletter.eml.unsubscribe"
    assert first.get("file") == "newsletter.eml"


def test_a_run_without_targets_is_a_document():
    assert suites() == []


def test_no_two_cases_of_a_run_have_the_same_identity():
    cases = [(one.get("classname"), one.get("name")) for suite in suites(made.newsletter(), made.receipt()) for one in suite]
    assert len(set(cases)) == len(cases)


def test_the_text_says_what_the_attributes_say():
    problems = (found("one", Where(file="a.html", line=3, column=1), fix="x"), found("two", Where(file="a.html", line=9)))
    element = case(Result("html/missing-alt", Outcome.FAIL, Level.ERROR, problems=problems, because="a/b"))
    assert (element.tag, element.get("type"), element.get("message")) == ("failure", "error", "one (and 1 more finding)")
    assert element.text.splitlines() == [
        "a.html:3: error html/missing-alt one",
        "  fix: x",
        "a.html:9: error html/missing-alt two",
        "follows from a/b",
    ]


def test_a_place_in_dns_is_told():
    (suite,) = suites(made.silent_domain())
    element = suite.find("testcase[@name='spf/too-many-lookups']/system-out")
    assert element.text.startswith("xn--bcher-kva.example TXT: warning spf/too-many-lookups 9 of 10")


@pytest.mark.parametrize(
    ("level", "fail_on", "tag"),
    [
        (Level.ERROR, Level.ERROR, "failure"),
        (Level.WARNING, Level.ERROR, "system-out"),
        (Level.WARNING, Level.WARNING, "failure"),
        (Level.NOTE, Level.NOTE, "failure"),
        (Level.ERROR, None, "system-out"),
    ],
)
def test_a_case_is_red_where_the_run_is(level, fail_on, tag):
    assert case(Result("a/b", Outcome.FAIL, level, problems=(found("x"),)), fail_on=fail_on).tag == tag


@pytest.mark.parametrize(("level", "tag"), [(Level.ERROR, "error"), (Level.WARNING, "skipped")])
def test_what_is_undecided_is_an_error_where_it_decides_and_never_a_pass(level, tag):
    element = case(Result("a/b", Outcome.UNKNOWN, level, "no answer (timeout)"))
    assert (element.tag, element.get("type"), element.get("message")) == (tag, "undecided", "no answer (timeout)")


def test_a_fault_of_ours_is_an_error_at_any_level():
    assert case(Result("a/b", Outcome.UNKNOWN, Level.NOTE, "it raised", bug=True)).get("type") == "bug"


def test_what_does_not_apply_is_skipped_with_its_reason_and_what_passes_is_empty():
    element = case(Result("a/b", Outcome.NOT_APPLICABLE, Level.ERROR, "no sending address was given"))
    assert (element.tag, element.text) == ("skipped", "no sending address was given")
    assert case(Result("a/b", Outcome.PASS, Level.ERROR)) is None


def test_a_failed_rule_without_problems_is_told():
    assert case(Result("a/b", Outcome.FAIL, Level.ERROR)).get("message") == "a/b"


def test_an_input_that_cannot_be_read_is_an_error():
    ((one,),) = suites(unreadable())
    assert (one.get("name"), one[0].tag, one[0].text) == ("input", "error", "no such file or directory")


def test_hostile_text_stays_text():
    one = failing(found(HOSTILE, Where(file=HOSTILE, line=1), fix=HOSTILE, data=HOSTILE), level=Level.ERROR, name=HOSTILE)
    text = written(Junit(setting()), one, unreadable(HOSTILE, HOSTILE))
    assert not acts(text)
    assert "<script>" not in text
    (suite, _) = suites(one, unreadable(HOSTILE, HOSTILE))
    assert "<script>alert(1)</script>" in suite[0][0].text


@given(acting, acting)
def test_it_is_xml_whatever_is_found(message, name):
    problem = found(message, Where(file=name, line=1), fix=message)
    suites(
        failing(problem, level=Level.ERROR, name=name),
        failing(problem, name=name, kind=TargetKind.MESSAGE),
        target(Result("a/b", Outcome.NOT_APPLICABLE, Level.ERROR, message)),
    )
