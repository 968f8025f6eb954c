"""What two audits differ in: which way each rule and provider went, and what that comes to."""

import pytest

from delivcheck.diff.compare import Audit, compare
from delivcheck.model import (
    Counts,
    DeclaredClass,
    Failed,
    Failure,
    Found,
    Level,
    NoData,
    Outcome,
    Outlook,
    Problem,
    Question,
    Result,
    TargetKind,
    TargetReport,
    Unavailable,
    Verdict,
    Where,
)

PASS, FAIL, UNKNOWN, NA = Outcome.PASS, Outcome.FAIL, Outcome.UNKNOWN, Outcome.NOT_APPLICABLE


def result(outcome, *problems, level=Level.ERROR, rule="spf/x"):
    reason = "because" if outcome in {UNKNOWN, NA} else None
    return Result(rule, outcome, level, reason, (), tuple(Problem(text, Where(name="a", record=text)) for text in problems))


def audit(*results, outlook=None, answers=None, facts=None):
    providers = {} if outlook is None else {"gmail": Outlook(outlook)}
    report = TargetReport("example.org", TargetKind.DOMAIN, Verdict.PASS, DeclaredClass(), Counts(), results, {}, providers)
    return Audit(report, facts or {}, {Question(*key.split()): value for key, value in (answers or {}).items()})


@pytest.mark.parametrize(
    ("before", "after", "change", "verdict"),
    [
        (result(PASS), result(PASS), None, "pass"),
        (result(PASS), result(NA), "other", "pass"),
        (result(NA), result(PASS), "other", "pass"),
        (result(PASS), result(FAIL, "p"), "worse", "fail"),
        (result(NA), result(FAIL, "p"), "worse", "fail"),
        (result(UNKNOWN), result(FAIL, "p"), "worse", "fail"),
        (result(FAIL, "p"), result(PASS), "better", "pass"),
        (result(FAIL, "p"), result(NA), "better", "pass"),
        (result(UNKNOWN), result(PASS), "better", "pass"),
        (result(PASS), result(UNKNOWN), "undecided", "unknown"),
        (result(FAIL, "p"), result(UNKNOWN), "undecided", "unknown"),
        (result(UNKNOWN), result(UNKNOWN), None, "unknown"),
        (result(FAIL, "p"), result(FAIL, "p"), None, "pass"),
        (result(FAIL, "p"), result(FAIL, "p", "q"), "worse", "fail"),
        (result(FAIL, "p", "q"), result(FAIL, "p"), "better", "pass"),
        (result(FAIL, "12 of 10"), result(FAIL, "13 of 10"), "other", "pass"),
        (result(FAIL, "p", level=Level.WARNING), result(FAIL, "p"), "worse", "fail"),
        (result(FAIL, "p"), result(FAIL, "p", level=Level.NOTE), "better", "pass"),
        (result(PASS, level=Level.WARNING), result(FAIL, "p", level=Level.WARNING), "worse", "pass"),
        (result(PASS, level=Level.WARNING), result(UNKNOWN, level=Level.WARNING), "undecided", "pass"),
    ],
)
def test_which_way_a_rule_went_and_what_follows(before, after, change, verdict):
    found = compare(audit(before), audit(after))
    assert [one.change for one in found.parts["rules"]] == ([change] if change else [])
    assert (found.verdict, found.parts["same"]) == (verdict, 0 if change else 1)


def test_the_record_around_a_problem_is_no_part_of_it():
    one, other = (
        Result("spf/x", FAIL, Level.ERROR, problems=(Problem("p", Where(name="a", type="TXT", record=text, span=(0, 1))),))
        for text in ("v=spf1 a", "v=spf1 mx")
    )
    assert compare(audit(one), audit(other)).parts["rules"] == ()


def test_what_appears_and_disappears_is_listed_with_the_level_it_had():
    (one,) = compare(audit(result(FAIL, "p", "q", level=Level.WARNING)), audit(result(PASS, level=Level.ERROR))).parts["rules"]
    assert (one.level, [problem.message for problem in one.disappeared], one.appeared) == (Level.WARNING, ["p", "q"], ())


def test_the_worst_stands_first():
    names = ("dns/a", "dns/b", "dns/c", "dns/d")
    before = [
        result(FAIL, "p", rule="dns/a"),
        result(PASS, rule="dns/b"),
        result(PASS, rule="dns/c"),
        result(PASS, rule="dns/d"),
    ]
    after = [
        result(PASS, rule="dns/a"),
        result(NA, rule="dns/b"),
        result(FAIL, "p", level=Level.NOTE, rule="dns/c"),
        result(FAIL, "p", rule="dns/d"),
    ]
    assert [one.rule for one in compare(audit(*before), audit(*after)).parts["rules"]] == [
        names[3],
        names[2],
        names[1],
        names[0],
    ]


@pytest.mark.parametrize(
    ("before", "after", "change", "verdict"),
    [
        ("no-known-blocker", "no-known-blocker", None, "pass"),
        ("no-known-blocker", "may-junk", "worse", "fail"),
        ("may-junk", "would-defer", "worse", "fail"),
        ("would-reject", "would-defer", "better", "pass"),
        ("would-reject", "unknown", "undecided", "unknown"),
        ("unknown", "would-reject", "worse", "fail"),
        ("unknown", "no-known-blocker", "better", "pass"),
        ("unknown", "unknown", None, "pass"),
    ],
)
def test_which_way_a_provider_went(before, after, change, verdict):
    found = compare(audit(outlook=before), audit(outlook=after))
    assert ([one.change for one in found.parts["providers"]], found.verdict) == ([change] if change else [], verdict)


def test_the_level_that_decides_can_be_lowered_or_taken_away():
    before, after = (
        audit(result(PASS, level=Level.NOTE), outlook="no-known-blocker"),
        audit(result(FAIL, "p", level=Level.NOTE)),
    )
    assert [compare(before, after, level).verdict for level in (Level.WARNING, Level.NOTE, None)] == ["pass", "fail", "pass"]
    assert compare(audit(outlook="may-junk"), audit(outlook="would-reject"), None).verdict is Verdict.PASS


def test_a_change_that_is_not_known_as_a_whole_is_at_best_undecided():
    assert compare(audit(result(PASS)), audit(result(PASS)), whole=False).verdict is Verdict.UNKNOWN
    assert compare(audit(result(PASS)), audit(result(FAIL, "p")), whole=False).verdict is Verdict.FAIL


def test_record_sets_are_compared_by_what_they_hold():
    before = {
        "example.org TXT": Found(((b"a", b"b"), (b"kept",)), 60),
        "example.org MX": Found(((10, "mx.example.org"),)),
        "x.example.org TXT": NoData(),
        "y.example.org TXT": Found(((b"y",),), 1),
        "only.before A": NoData(),
    }
    after = {
        "example.org TXT": Found(((b"kept",), (b"new\xff",)), 99),
        "example.org MX": Failed(Failure.REFUSED, "known after apply"),
        "x.example.org TXT": Found(((b"x",),), aliases=("z.example.net",)),
        "y.example.org TXT": Found(((b"y",),), 2),
    }
    changes = compare(audit(answers=before), audit(answers=after)).parts["records"]
    assert [(one.name, one.type, one.before, one.after, one.removed, one.added) for one in changes] == [
        ("example.org", "MX", "found", "unknown: refused (known after apply)", ("10 mx.example.org",), ()),
        ("example.org", "TXT", "found", "found", ("ab",), ("new\\xff",)),
        ("x.example.org", "TXT", "absent", "found", (), ("CNAME z.example.net", "x")),
    ]


def test_facts_that_are_unknown_on_a_side_say_so():
    from delivcheck.diff.compare import DmarcDiscovery, MailHosts, SpfRecords, SpfTree

    silent = Unavailable("DNS did not answer")
    facts = dict.fromkeys((SpfTree, SpfRecords, DmarcDiscovery, MailHosts), silent)
    parts = compare(audit(), audit(facts=facts)).parts
    assert parts["spf"].after.unknown == parts["dmarc"].after.unknown == parts["mx"].after.unknown == ("DNS did not answer",)
    assert not parts["spf"].complete
    assert not parts["dmarc"].weaker
